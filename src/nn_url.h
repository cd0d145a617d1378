/* nn_url - the addresses that connect takes: udp://host:port, ws://host:port/path?query, wss://.. (RFC 3986 in part). */
#ifndef NN_URL_H
#define NN_URL_H

#include "nn_base.h"

#define NN_URL_HOST_BYTES_MAX 253 /* a DNS name (RFC 1035 2.3.4) */

typedef enum nn_url_scheme { NN_URL_UDP = 1, NN_URL_WS = 2, NN_URL_WSS = 3 } nn_url_scheme;

typedef struct nn_url {
    nn_url_scheme scheme;
    uint16_t port;                        /* default: udp 7777, ws 80, wss 443 */
    char host[NN_URL_HOST_BYTES_MAX + 1]; /* without brackets */
    char path[NECPNET_URL_BYTES_MAX + 2]; /* with query; "/" if none; udp: "" */
    char text[NECPNET_URL_BYTES_MAX + 1]; /* as given */
} nn_url;

/* nn_url_parse - strict: no user info, no fragment, no control characters, no spaces.
 *
 * Returns  OK | ERR_BAD_URL
 */
NN_PRIVATE necpnet_result nn_url_parse(const char* text, nn_url* out_url);

#endif
