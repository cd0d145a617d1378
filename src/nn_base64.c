/* nn_base64 - RFC 4648, strict. */
#include "nn_base64.h"

static const char base64_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

NN_PRIVATE size_t nn_base64_encode(const void* data, size_t bytes, bool url, char* text, size_t text_bytes_max)
{
    const uint8_t* p = (const uint8_t*)data;
    const char* alphabet = url ? base64_url : base64_standard;
    size_t full = NN_BASE64_TEXT_BYTES(bytes);
    size_t pad = (3 - bytes % 3) % 3;
    size_t length = url ? full - pad : full;
    if (text_bytes_max < length + 1) return 0;
    size_t out = 0;
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t group = (uint32_t)p[i] << 16;
        if (i + 1 < bytes) group |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < bytes) group |= p[i + 2];
        for (size_t k = 0; k < 4 && out < length; k++) {
            bool is_pad = i + k > bytes;
            text[out++] = is_pad ? '=' : alphabet[group >> (18 - 6 * k) & 63];
        }
    }
    text[out] = '\0';
    return out;
}

static int base64_value(char c, bool url)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == (url ? '-' : '+')) return 62;
    if (c == (url ? '_' : '/')) return 63;
    return -1;
}

NN_PRIVATE bool nn_base64_decode(const char* text, size_t text_bytes, bool url, void* data, size_t bytes_max,
                                 size_t* out_bytes)
{
    uint8_t* to = (uint8_t*)data;
    if (!url) {
        if (text_bytes % 4) return false;
        for (int i = 0; i < 2 && text_bytes && text[text_bytes - 1] == '='; i++) text_bytes--;
    }
    if (text_bytes % 4 == 1) return false;
    size_t bytes = text_bytes / 4 * 3 + (text_bytes % 4 ? text_bytes % 4 - 1 : 0);
    if (bytes > bytes_max) return false;
    uint32_t group = 0;
    unsigned bits = 0;
    size_t out = 0;
    for (size_t i = 0; i < text_bytes; i++) {
        int value = base64_value(text[i], url);
        if (value < 0) return false;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[out++] = (uint8_t)(group >> bits);
            group &= (1u << bits) - 1u;
        }
    }
    if (group) return false;
    *out_bytes = bytes;
    return true;
}
