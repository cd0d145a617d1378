/* nn_address - numeric addresses as text and back (RFC 4291 2.2, RFC 5952), without the operating system. */
#include "nn_base.h"

#include <stdio.h>

static bool address_number(const char** at, unsigned base, uint32_t max, size_t digits_max, uint32_t* out)
{
    uint64_t value = 0;
    size_t digits = 0;
    for (;; (*at)++, digits++) {
        char c = **at;
        unsigned digit;
        if (c >= '0' && c <= '9') {
            digit = (unsigned)(c - '0');
        } else if (base == 16 && c >= 'a' && c <= 'f') {
            digit = (unsigned)(c - 'a') + 10;
        } else if (base == 16 && c >= 'A' && c <= 'F') {
            digit = (unsigned)(c - 'A') + 10;
        } else {
            break;
        }
        if (digits == digits_max) return false;
        value = value * base + digit;
    }
    *out = (uint32_t)value;
    return digits > 0 && value <= max;
}

static bool address_v4(const char** at, uint8_t bytes[4])
{
    for (int i = 0; i < 4; i++) {
        uint32_t value;
        if (i > 0 && *(*at)++ != '.') return false;
        if (!address_number(at, 10, 255, 3, &value)) return false;
        bytes[i] = (uint8_t)value;
    }
    return true;
}

static bool address_v6(const char** at, uint8_t bytes[16])
{
    size_t used = 0;
    size_t gap = SIZE_MAX;
    if ((*at)[0] == ':' && (*at)[1] == ':') {
        gap = 0;
        *at += 2;
    }
    while (used < 16 &&
           ((**at >= '0' && **at <= '9') || (**at >= 'a' && **at <= 'f') || (**at >= 'A' && **at <= 'F'))) {
        const char* group = *at;
        uint32_t value;
        if (!address_number(at, 16, 0xffff, 4, &value)) return false;
        if (**at == '.') { /* the last 32 bits as IPv4 */
            if (used > 12) return false;
            *at = group;
            if (!address_v4(at, bytes + used)) return false;
            used += 4;
            break;
        }
        bytes[used++] = (uint8_t)(value >> 8);
        bytes[used++] = (uint8_t)value;
        if (**at != ':') break;
        if ((*at)[1] == ':') {
            if (gap != SIZE_MAX) return false;
            gap = used;
            *at += 2;
        } else {
            (*at)++;
            if (**at == '\0' || **at == ']') return false;
        }
    }
    if (gap == SIZE_MAX) return used == 16;
    if (used == 16) return false;
    size_t tail = used - gap;
    memmove(bytes + 16 - tail, bytes + gap, tail);
    memset(bytes + gap, 0, 16 - used);
    return true;
}

necpnet_result necpnet_address_parse(const char* text, necpnet_address* out_address)
{
    if (!text || !out_address) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_address address;
    memset(&address, 0, sizeof address);
    const char* at = text;
    uint32_t number;
    bool bracket = *at == '[';
    bool v6 = bracket;
    if (!bracket) {
        const char* colon = strchr(at, ':');
        v6 = colon && strchr(colon + 1, ':');
    }
    if (bracket) at++;
    if (v6) {
        address.family = NECPNET_ADDRESS_IPV6;
        if (!address_v6(&at, address.bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
        if (*at == '%') {
            at++;
            if (!address_number(&at, 10, UINT32_MAX, 10, &address.scope)) return NECPNET_ERR_INVALID_ARGUMENT;
        }
    } else {
        address.family = NECPNET_ADDRESS_IPV4;
        if (!address_v4(&at, address.bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (bracket && *at++ != ']') return NECPNET_ERR_INVALID_ARGUMENT;
    if (*at == ':' && (bracket || !v6)) {
        at++;
        if (!address_number(&at, 10, 65535, 5, &number)) return NECPNET_ERR_INVALID_ARGUMENT;
        address.port = (uint16_t)number;
    }
    if (*at) return NECPNET_ERR_INVALID_ARGUMENT;
    *out_address = address;
    return NECPNET_OK;
}

/* The longest run of two or more zero groups becomes "::" (RFC 5952 4.2). */
static void address_format_v6(const uint8_t bytes[16], char text[48])
{
    unsigned group[8];
    int best = -1, best_count = 1;
    for (int i = 0; i < 8; i++) group[i] = (unsigned)bytes[i * 2] << 8 | bytes[i * 2 + 1];
    for (int i = 0; i < 8; i++) {
        int count = 0;
        while (i + count < 8 && group[i + count] == 0) count++;
        if (count > best_count) {
            best = i;
            best_count = count;
        }
    }
    size_t at = 0;
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            at += (size_t)snprintf(text + at, 48 - at, "::");
            i += best_count - 1;
        } else {
            bool first = i == 0 || (best >= 0 && i == best + best_count);
            at += (size_t)snprintf(text + at, 48 - at, "%s%x", first ? "" : ":", group[i]);
        }
    }
}

necpnet_result necpnet_address_format(const necpnet_address* address, char* text, size_t text_bytes)
{
    if (!address || !text) return NECPNET_ERR_INVALID_ARGUMENT;
    char buffer[NECPNET_ADDRESS_TEXT_BYTES_MAX];
    const uint8_t* b = address->bytes;
    int length;
    if (address->family == NECPNET_ADDRESS_IPV4) {
        length = snprintf(buffer, sizeof buffer, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], address->port);
    } else if (address->family == NECPNET_ADDRESS_IPV6) {
        char inner[48];
        address_format_v6(b, inner);
        if (address->scope) {
            length =
                snprintf(buffer, sizeof buffer, "[%s%%%lu]:%u", inner, (unsigned long)address->scope, address->port);
        } else {
            length = snprintf(buffer, sizeof buffer, "[%s]:%u", inner, address->port);
        }
    } else if (address->family == NECPNET_ADDRESS_MEMORY) {
        length = snprintf(buffer, sizeof buffer, "memory-%u:%u",
                          (unsigned)b[0] | (unsigned)b[1] << 8 | (unsigned)b[2] << 16, address->port);
    } else {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (length < 0 || (size_t)length >= text_bytes) return NECPNET_ERR_BUFFER_TOO_SMALL;
    memcpy(text, buffer, (size_t)length + 1);
    return NECPNET_OK;
}

bool necpnet_address_equal(const necpnet_address* a, const necpnet_address* b)
{
    return a && b && a->family == b->family && a->port == b->port && a->scope == b->scope &&
           memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
