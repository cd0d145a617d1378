/* proxies.h - who is behind a proxy that is trusted: networks from which X-Forwarded-For or Forwarded (RFC 7239) is believed, and the
 * client that they tell of. Pure functions.
 *
 * Each proxy appends the address that it sees: the list is read from its right end, and what stands left of the first address that
 * is no trusted proxy may be anybody's invention.
 */
#ifndef SERVER_PROXIES_H
#define SERVER_PROXIES_H

#include "config.h"

typedef struct proxy_network {
    necpnet_address first; /* its port is 0 */
    unsigned bits;
} proxy_network;

typedef struct proxies {
    proxy_network items[CONFIG_LIST_MAX];
    int count;
    bool rfc7239; /* Forwarded; else X-Forwarded-For and X-Forwarded-Proto */
} proxies;

/* proxies_parse - "10.0.0.0/8", "fd00::/8", "192.0.2.1". False: it is none, or has bits behind its prefix. */
bool proxies_parse(const char* from, proxy_network* out);

/* proxies_begin - as configured; what cannot be parsed is left out (config_load has complained). */
void proxies_begin(proxies* out, const config* settings);

bool proxies_trusts(const proxies* all, const necpnet_address* address);

/* proxies_find_client - who sent a request.
 *
 *   tls  whether this server's own port speaks TLS; gets what a trusted proxy says of the client's way to it.
 *
 * Returns  the address nearest to this server that is no trusted proxy, port 0 when a header told it; request->from where that is not
 *          trusted. A list that cannot be read counts as far as it can: then it is the proxy which wrote it. */
necpnet_address proxies_find_client(const proxies* all, const necpnet_web_request* request, bool* tls);

#endif
