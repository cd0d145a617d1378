/* proxies - X-Forwarded-For and Forwarded, read from the right. */
#include "proxies.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PROXIES_HOPS_MAX 32 /* addresses looked at of one request */

static unsigned proxy_bits_of(const necpnet_address* address)
{
    return address->family == NECPNET_ADDRESS_IPV4 ? 32 : 128;
}

/* Whether the first bits of both are the same. */
static bool proxy_has_prefix(const necpnet_address* address, const necpnet_address* prefix, unsigned bits)
{
    unsigned whole = bits / 8;
    if (address->family != prefix->family || memcmp(address->bytes, prefix->bytes, whole) != 0) return false;
    if (bits % 8 == 0) return true;
    unsigned mask = 0xffu << (8 - bits % 8) & 0xffu;
    return ((address->bytes[whole] ^ prefix->bytes[whole]) & mask) == 0;
}

bool proxies_parse(const char* from, proxy_network* out)
{
    char host[64];
    size_t bytes = strcspn(from, "/");
    if (bytes >= sizeof(host)) return false;
    memcpy(host, from, bytes);
    host[bytes] = 0;
    if (strpbrk(host, "[]%") || necpnet_address_parse(host, &out->first) != NECPNET_OK || out->first.port != 0)
        return false;
    out->bits = proxy_bits_of(&out->first);
    if (from[bytes] == '/') {
        const char* digits = from + bytes + 1;
        size_t count = strspn(digits, "0123456789");
        if (count == 0 || count > 3 || digits[count] || (digits[0] == '0' && count > 1)) return false;
        unsigned bits = (unsigned)strtoul(digits, NULL, 10);
        if (bits > out->bits) return false;
        out->bits = bits;
    }
    necpnet_address cut = out->first;
    for (unsigned i = out->bits; i < proxy_bits_of(&cut); i++) cut.bytes[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    return memcmp(cut.bytes, out->first.bytes, proxy_bits_of(&cut) / 8) == 0;
}

void proxies_begin(proxies* out, const config* settings)
{
    *out = (proxies){.rfc7239 = settings->proxy_header == CONFIG_PROXY_FORWARDED};
    for (int i = 0; i < settings->trusted_proxies.count; i++) {
        if (proxies_parse(settings->trusted_proxies.items[i], &out->items[out->count])) out->count++;
    }
}

bool proxies_trusts(const proxies* all, const necpnet_address* address)
{
    for (int i = 0; i < all->count; i++) {
        if (proxy_has_prefix(address, &all->items[i].first, all->items[i].bits)) return true;
    }
    return false;
}

/* --------------------------------------------------------------------------------------------------------- lists -- */

typedef struct proxy_piece {
    const char* at;
    size_t bytes;
} proxy_piece;

static proxy_piece proxy_trim(const char* at, size_t bytes)
{
    while (bytes > 0 && (at[0] == ' ' || at[0] == '\t')) at++, bytes--;
    while (bytes > 0 && (at[bytes - 1] == ' ' || at[bytes - 1] == '\t')) bytes--;
    return (proxy_piece){at, bytes};
}

/* Takes the first item of a list off it, at a separator outside quotes. False: nothing is left. */
static bool proxy_next(proxy_piece* list, char separator, proxy_piece* out)
{
    bool quoted = false;
    size_t end = 0;
    if (!list->at) return false;
    for (; end < list->bytes && (quoted || list->at[end] != separator); end++) {
        if (quoted && list->at[end] == '\\' && end + 1 < list->bytes) {
            end++;
        } else if (list->at[end] == '"') {
            quoted = !quoted;
        }
    }
    *out = proxy_trim(list->at, end);
    bool more = end < list->bytes;
    list->at = more ? list->at + end + 1 : NULL;
    list->bytes = more ? list->bytes - end - 1 : 0;
    return true;
}

/* The value of a parameter of one element of Forwarded, without its quotes. */
static bool proxy_parameter(proxy_piece element, const char* name, proxy_piece* out)
{
    proxy_piece pair;
    size_t name_bytes = strlen(name);
    while (proxy_next(&element, ';', &pair)) {
        if (pair.bytes <= name_bytes || strncasecmp(pair.at, name, name_bytes) != 0 || pair.at[name_bytes] != '=')
            continue;
        *out = (proxy_piece){pair.at + name_bytes + 1, pair.bytes - name_bytes - 1};
        if (out->bytes >= 2 && out->at[0] == '"' && out->at[out->bytes - 1] == '"') out->at++, out->bytes -= 2;
        return true;
    }
    return false;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80". */
static bool proxy_read_address(proxy_piece from, necpnet_address* out)
{
    char host[NECPNET_ADDRESS_TEXT_BYTES_MAX];
    if (from.bytes == 0 || from.bytes >= sizeof(host) || memchr(from.at, '%', from.bytes)) return false;
    memcpy(host, from.at, from.bytes);
    host[from.bytes] = 0;
    if (necpnet_address_parse(host, out) != NECPNET_OK) return false;
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}; /* RFC 4291 2.5.5.2 */
    if (out->family == NECPNET_ADDRESS_IPV6 && memcmp(out->bytes, mapped, sizeof(mapped)) == 0) {
        necpnet_address plain = {.family = NECPNET_ADDRESS_IPV4};
        memcpy(plain.bytes, out->bytes + 12, 4);
        *out = plain;
    }
    out->port = 0;
    return true;
}

/* The last items of all headers of a name, in their order; how many. */
static int proxy_collect(const necpnet_web_request* request, const char* name, proxy_piece last[PROXIES_HOPS_MAX])
{
    int count = 0;
    for (int i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) != 0) continue;
        proxy_piece list = {request->headers[i].value, strlen(request->headers[i].value)};
        proxy_piece item;
        while (proxy_next(&list, ',', &item)) {
            if (count == PROXIES_HOPS_MAX) {
                memmove(last, last + 1, (PROXIES_HOPS_MAX - 1) * sizeof(last[0]));
                count--;
            }
            last[count++] = item;
        }
    }
    return count;
}

static void proxy_read_scheme(proxy_piece from, bool* tls)
{
    if (from.bytes == 5 && strncasecmp(from.at, "https", 5) == 0) *tls = true;
    if (from.bytes == 4 && strncasecmp(from.at, "http", 4) == 0) *tls = false;
}

necpnet_address proxies_find_client(const proxies* all, const necpnet_web_request* request, bool* tls)
{
    proxy_piece last[PROXIES_HOPS_MAX];
    proxy_piece scheme;
    necpnet_address client = request->from;
    if (!proxies_trusts(all, &client)) return client;
    int schemes = all->rfc7239 ? 0 : proxy_collect(request, "X-Forwarded-Proto", last);
    if (schemes > 0) proxy_read_scheme(last[schemes - 1], tls);
    int count = proxy_collect(request, all->rfc7239 ? "Forwarded" : "X-Forwarded-For", last);
    if (all->rfc7239 && count > 0 && proxy_parameter(last[count - 1], "proto", &scheme)) proxy_read_scheme(scheme, tls);
    while (count > 0 && proxies_trusts(all, &client)) {
        necpnet_address told;
        proxy_piece item = last[--count];
        if (all->rfc7239 && !proxy_parameter(item, "for", &item)) break;
        if (!proxy_read_address(item, &told)) break;
        client = told;
    }
    return client;
}
