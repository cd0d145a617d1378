/* tokens.h - the office that makes connect tokens. Immutable after tokens_begin but for the epoch: any thread. */
#ifndef SERVER_TOKENS_H
#define SERVER_TOKENS_H

#include <stdatomic.h>

#include "config.h"

typedef struct tokens {
    const config* settings;
    necpnet_token_key keys[CONFIG_TOKEN_KEYS_MAX]; /* the first one seals */
    int key_count;
    int tcp_port;
    int udp_port; /* -1: none */
    bool tls;
    atomic_uint epoch; /* of the tokens that are made */
} tokens;

typedef enum tokens_transport { TOKENS_ANY = 0, TOKENS_UDP = 1, TOKENS_WEBSOCKET = 2 } tokens_transport;

typedef struct tokens_wish {
    const char* host; /* of the request's Host header: "name", "name:port", "[v6]:port" */
    bool tls;         /* a trusted proxy says that the client came by TLS */
    tokens_transport transport;
    uint64_t client_id;
    const char* name; /* sealed user data; at most NECPNET_USER_DATA_BYTES - 1 bytes are used */
} tokens_wish;

typedef struct tokens_grant {
    char token[NECPNET_TOKEN_TEXT_BYTES_MAX];
    uint64_t expires_us;
    char urls[NECPNET_URLS_MAX][NECPNET_URL_BYTES_MAX + 1];
    int url_count;
} tokens_grant;

/* tokens_begin - the configured keys; without any, one at random, of this process alone.
 *
 * Returns  OK | ERR_NO_ENTROPY. The ports are set by the worker before any token is made. */
necpnet_result tokens_begin(tokens* office, const config* settings);

/* tokens_make - a token for somebody.
 *
 * Returns  OK | ERR_NOT_FOUND (no address for that transport) | as necpnet_token_create. */
necpnet_result tokens_make(tokens* office, const tokens_wish* wish, tokens_grant* out_grant);

/* tokens_random - random bytes from the operating system. */
bool tokens_random(void* to, size_t bytes);

#endif
