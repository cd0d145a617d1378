/* nn_handshake_server - the server's half of the UDP handshake with all clients: stateless until one is proven.
 *
 * read judges a datagram in the order length, version, cookie age, cookie, token, its expiry and server, that it is
 * unspent, proof of the pre-shared key. Only then come memory, the endpoint's judgement of SETUP, and X25519 in accept.
 * A RESUME has no cookie: ticket, its expiry and epoch, proof of its secret; whether its session is there, the endpoint
 * knows.
 */
#ifndef NN_HANDSHAKE_SERVER_H
#define NN_HANDSHAKE_SERVER_H

#include "nn_handshake_cache.h"
#include "nn_handshake_wire.h"
#include "nn_key_schedule.h"
#include "nn_ticket.h"

#define NN_COOKIE_KEY_US UINT64_C(60000000) /* a new cookie key this often; the former one opens still */
#define NN_COOKIE_LIFE_US UINT64_C(10000000)
#define NN_ACCEPT_LIFE_US UINT64_C(10000000) /* how long the same AUTH gets the same ACCEPT */
#define NN_ACCEPT_CACHE_MAX 4096u            /* ACCEPTs; the oldest goes first */
#define NN_SPENT_TOKENS_MAX 131072u          /* ids of tokens that have not expired; more are refused by name */
#if NECPNET_WITH_SODIUM
#define NN_OPEN_HANDSHAKES_PER_S 1600u /* 20 % of a core at two X25519 of 60 us */
#else
#define NN_OPEN_HANDSHAKES_PER_S 160u /* 20 % of a core at two X25519 of 610 us */
#endif
#define NN_OPEN_HANDSHAKES_BURST 64u

typedef struct nn_handshake_server_config {
    const necpnet_entropy* entropy; /* copied */
    necpnet_security security;
    const uint8_t* psk;                  /* OPEN: NN_PSK_BYTES of nn_key_of_passphrase; NULL: zeroes; copied */
    const necpnet_token_key* token_keys; /* TOKEN; copied */
    size_t token_key_count;
    uint64_t server_id;
    uint32_t token_epoch;
    bool token_restart_guard;
    const nn_ticket_keys* ticket_keys; /* borrowed, outlives the server; NULL: RESUME meets silence */
    uint32_t suites;                   /* bits to take, of those built; 0: all */
    uint32_t open_handshakes_per_s;    /* 0: NN_OPEN_HANDSHAKES_PER_S */
    uint32_t spent_tokens_max;         /* 0: NN_SPENT_TOKENS_MAX */
    nn_spending spending;              /* has NULL: this server alone */
} nn_handshake_server_config;

typedef struct nn_handshake_server nn_handshake_server;

/* A proven client between ADMIT and accept or refuse; by value. */
typedef struct nn_handshake_pending {
    nn_handshake_head head;
    uint8_t nonce[NN_HANDSHAKE_NONCE_BYTES];
    uint8_t client_key[NN_X25519_BYTES];
    uint8_t psk[NN_PSK_BYTES];
    uint8_t setup_secret[NN_SECRET_BYTES];
    uint8_t transcript[NN_SECRET_BYTES];
    uint8_t setup_tag[NN_AEAD_TAG_BYTES];
    uint8_t token_id[NN_TOKEN_ID_BYTES];
    bool is_resume; /* psk is the ticket's secret; no X25519, no token */
    uint64_t token_expires_us;
    uint64_t wall_us;
} nn_handshake_pending;

typedef enum nn_handshake_kind {
    NN_HANDSHAKE_DROP = 0,  /* silence; count `drop` */
    NN_HANDSHAKE_REPLY = 1, /* send reply_bytes of reply; drop is set for a REFUSE, else NECPNET_DROP_COUNT */
    NN_HANDSHAKE_ADMIT = 2  /* judge setup, then accept or refuse */
} nn_handshake_kind;

typedef struct nn_handshake_outcome {
    nn_handshake_kind kind;
    necpnet_drop drop;
    size_t reply_bytes;
    /* ADMIT */
    necpnet_identity identity;
    uint32_t client_connection_id;
    const uint8_t* setup; /* a view until the next read */
    size_t setup_bytes;
    nn_ticket ticket;             /* pending.is_resume: what the ticket says, its secret wiped */
    nn_handshake_pending pending; /* holds secrets: accept and refuse wipe it */
} nn_handshake_outcome;

/* nn_handshake_server_create - OK | ERR_UNSUPPORTED (security needs NECPNET_WITH_MBEDTLS or _SODIUM) | ERR_OUT_OF_MEMORY
 *          | ERR_NO_ENTROPY | ERR_INVALID_ARGUMENT
 */
NN_PRIVATE necpnet_result nn_handshake_server_create(nn_alloc* alloc, const nn_handshake_server_config* config,
                                                     uint64_t now_us, nn_handshake_server** out_server);

/* nn_handshake_server_destroy - NULL does nothing. */
NN_PRIVATE void nn_handshake_server_destroy(nn_handshake_server* server);

/* nn_handshake_server_set_start - the wall time at which this server began, for the restart guard; the first call
 * counts. Without it, it is reckoned from the now_us of create and the first wall time that read is given. */
NN_PRIVATE void nn_handshake_server_set_start(nn_handshake_server* server, uint64_t wall_us);

/* nn_handshake_server_revoke_client, nn_handshake_server_revoke_token, nn_handshake_server_set_epoch - which tokens are
 * refused from now on: of a client, issued until now; the one of that id; of older epochs. */
NN_PRIVATE void nn_handshake_server_revoke_client(nn_handshake_server* server, uint64_t client_id, uint64_t wall_us);
NN_PRIVATE void nn_handshake_server_revoke_token(nn_handshake_server* server, const uint8_t* token_id,
                                                 uint64_t wall_us);
NN_PRIVATE void nn_handshake_server_set_epoch(nn_handshake_server* server, uint32_t epoch);

/* nn_handshake_server_check_token - a connect token that came in a SETUP over a stream, and is spent by this.
 *
 *   sealed  NN_TOKEN_SEALED_BYTES.
 *   proof   16 bytes: SipHash-2-4-128 of the sealed part under the first 16 bytes of the token's psk.
 *
 * Returns  OK | ERR_TOKEN_INVALID | ERR_TOKEN_EXPIRED | ERR_TOKEN_FOREIGN | ERR_TOKEN_SPENT | ERR_TOKEN_REVOKED | ERR_RATE_LIMITED (too many
 *          unexpired tokens) | ERR_OUT_OF_MEMORY; unspent unless OK
 */
NN_PRIVATE necpnet_result nn_handshake_server_check_token(nn_handshake_server* server, const uint8_t* sealed,
                                                          const uint8_t* proof, uint64_t wall_us,
                                                          necpnet_identity* out_identity);

/* nn_handshake_server_expire - forget the ACCEPTs whose time is over, though nobody asks. */
NN_PRIVATE void nn_handshake_server_expire(nn_handshake_server* server, uint64_t now_us);

/* nn_handshake_server_read - judge one datagram whose first byte is a handshake's.
 *
 *   wall_us  0: unknown; then no token is accepted.
 *   reply    NN_HANDSHAKE_BYTES; never more is answered than was received.
 */
NN_PRIVATE void nn_handshake_server_read(nn_handshake_server* server, const necpnet_address* from, const uint8_t* data,
                                         size_t bytes, uint64_t now_us, uint64_t wall_us, uint8_t* reply,
                                         nn_handshake_outcome* out);

/* nn_handshake_server_accept - let the client of an ADMIT in: spend its token, agree on keys, write ACCEPT. Exactly one
 * of accept and refuse follows an ADMIT; after a failure of accept neither.
 *
 *   alloc     for the two AEADs.
 *   setup_ok  at most NN_HANDSHAKE_SETUP_BYTES_MAX.
 *   ticket    NULL: none; else sealed into ACCEPT. Its secret is made here; the rest is the caller's.
 *   reply     NN_HANDSHAKE_BYTES.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY | ERR_PROTOCOL (the client's key is no key) | ERR_TOKEN_SPENT
 *          | ERR_LIMIT_REACHED | ERR_INVALID_ARGUMENT
 *          | ERR_INTERNAL; on failure nothing is held, the token unspent, nothing to send
 */
NN_PRIVATE necpnet_result nn_handshake_server_accept(nn_handshake_server* server, nn_handshake_pending* pending,
                                                     nn_alloc* alloc, uint32_t server_connection_id,
                                                     const void* setup_ok, size_t setup_ok_bytes, nn_ticket* ticket,
                                                     uint8_t* reply, size_t* out_reply_bytes,
                                                     nn_connection_keys* out_keys);

/* nn_handshake_server_refuse - write a REFUSE that only this client can read. Its token stays unspent.
 *
 *   text  cut to NECPNET_REASON_BYTES_MAX bytes; NULL: empty.
 */
NN_PRIVATE void nn_handshake_server_refuse(nn_handshake_server* server, nn_handshake_pending* pending,
                                           necpnet_result reason, const char* text, uint8_t* reply,
                                           size_t* out_reply_bytes);

#endif
