/* nn_handshake_client - the client's half of the UDP handshake with one server address.
 *
 *   init -> { write whenever deadline_us has come; read what arrives } until DONE or FAILED -> reset
 */
#ifndef NN_HANDSHAKE_CLIENT_H
#define NN_HANDSHAKE_CLIENT_H

#include "nn_handshake_wire.h"
#include "nn_key_schedule.h"

#define NN_HANDSHAKE_RESEND_US_MIN UINT64_C(250000) /* doubles at each resend .. */
#define NN_HANDSHAKE_RESEND_US_MAX UINT64_C(1000000)
#define NN_HANDSHAKE_AUTHS_MAX 4             /* unanswered AUTHs before a new cookie is asked for */
#define NN_HANDSHAKE_PAIR_US UINT64_C(20000) /* HELLO follows RESUME by this */
#define NN_HANDSHAKE_DOUBTS_MAX 6 /* HELLOs answered, the RESUMEs beside them not: the ticket is not known there */

typedef enum nn_handshake_state {
    NN_HANDSHAKE_WAITING = 0,
    NN_HANDSHAKE_DONE = 1,
    NN_HANDSHAKE_FAILED = 2
} nn_handshake_state;

typedef struct nn_handshake_client_config {
    nn_alloc* alloc;
    const necpnet_entropy* entropy; /* copied */
    necpnet_security security;
    const nn_token_bundle* bundle; /* SECURITY_TOKEN; copied */
    const uint8_t* ticket;         /* RESUME with it instead; NULL: HELLO and AUTH; copied */
    size_t ticket_bytes;           /* 1 .. NN_HANDSHAKE_TICKET_BYTES_MAX */
    const uint8_t* ticket_secret;  /* NN_SECRET_BYTES; copied */
    const uint8_t* psk;            /* SECURITY_OPEN: NN_PSK_BYTES of nn_key_of_passphrase; NULL: zeroes; copied */
    const void* setup;             /* copied */
    size_t setup_bytes;            /* 0 .. NN_HANDSHAKE_SETUP_BYTES_MAX */
    uint32_t client_connection_id; /* what the server puts into packets for this client */
    uint32_t suites;               /* bits to offer; 0: all that are built */
    uint64_t timeout_us;           /* without an answer: FAILED with ERR_NO_ANSWER */
    uint64_t wall_us;              /* 0: unknown, the token's expiry is not judged */
} nn_handshake_client_config;

/* Caller's storage, about 2.6 KB. Fields below `result` are private. */
typedef struct nn_handshake_client {
    nn_handshake_state state;
    necpnet_result result;                   /* FAILED: why */
    char text[NECPNET_REASON_BYTES_MAX + 1]; /* FAILED: the server's words, or the likely causes */
    /* DONE: */
    uint32_t server_connection_id;
    nn_connection_keys keys; /* may be taken: set send and receive to NULL then */
    uint32_t rtt_us;         /* of RETRY's or ACCEPT's exchange, where unambiguous; 0 unknown */
    uint8_t setup_ok[NN_HANDSHAKE_SETUP_BYTES_MAX];
    size_t setup_ok_bytes;
    uint8_t ticket[NN_HANDSHAKE_TICKET_BYTES_MAX];
    size_t ticket_bytes; /* 0: none was given */
    uint8_t ticket_secret[NN_SECRET_BYTES];
    /* private */
    nn_alloc* alloc;
    necpnet_entropy entropy;
    uint8_t phase;
    uint8_t security;
    uint8_t suite;
    bool has_key;
    bool is_resume;
    bool hello_waits; /* RESUME: the HELLO beside it has no answer yet */
    uint32_t doubts;  /* RESUME: HELLOs that had */
    uint32_t suites;
    uint32_t client_connection_id;
    uint32_t sends; /* of the present message */
    uint64_t now_us;
    uint64_t sent_us;
    uint64_t due_us;
    uint64_t resend_us;
    uint64_t ends_us;
    uint64_t timeout_us;
    uint8_t nonce[NN_HANDSHAKE_NONCE_BYTES];
    uint8_t psk[NN_PSK_BYTES];
    uint8_t private_key[NN_X25519_BYTES];
    uint8_t setup_secret[NN_SECRET_BYTES];
    uint8_t transcript[NN_SECRET_BYTES];
    size_t setup_bytes;
    uint8_t auth[NN_HANDSHAKE_BYTES]; /* the token and SETUP wait here in their places; sealed once */
} nn_handshake_client;

/* nn_handshake_client_init - begin; the first write gives HELLO at now_us. On failure nothing is held.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_UNSUPPORTED (security needs NECPNET_WITH_MBEDTLS or _SODIUM) | ERR_NO_ENTROPY
 *          | ERR_VERSION_DIFFERS, ERR_TOKEN_EXPIRED, ERR_TOKEN_MISSING (what the bundle says)
 */
NN_PRIVATE necpnet_result nn_handshake_client_init(nn_handshake_client* handshake,
                                                   const nn_handshake_client_config* config, uint64_t now_us);

/* nn_handshake_client_reset - wipe, and destroy the keys if still there. */
NN_PRIVATE void nn_handshake_client_reset(nn_handshake_client* handshake);

/* nn_handshake_client_write - the datagram that is due, if one is. Also where the timeout strikes.
 *
 *   datagram   at least NN_HANDSHAKE_BYTES.
 *   out_bytes  its bytes; 0: nothing is due.
 */
NN_PRIVATE nn_handshake_state nn_handshake_client_write(nn_handshake_client* handshake, uint64_t now_us,
                                                        uint8_t* datagram, size_t* out_bytes);

/* nn_handshake_client_read - a datagram from the server's address. What does not fit or does not authenticate changes
 * nothing. */
NN_PRIVATE nn_handshake_state nn_handshake_client_read(nn_handshake_client* handshake, const uint8_t* datagram,
                                                       size_t bytes, uint64_t now_us);

/* nn_handshake_client_deadline_us - when write must be called; NN_NEVER when over. */
NN_PRIVATE uint64_t nn_handshake_client_deadline_us(const nn_handshake_client* handshake);

#endif
