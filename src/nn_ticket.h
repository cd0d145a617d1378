/* nn_ticket - resume tickets: what lets a client go on with its session over a new connection (PROTOCOL.md "Tickets").
 *
 * A server seals them under keys that a group of servers may share; a client reads nothing of them but their number. The
 * record of the session is where the server keeps it: a ticket names and proves, it holds no queue.
 */
#ifndef NN_TICKET_H
#define NN_TICKET_H

#include "nn_key_schedule.h"

#define NN_TICKET_BYTES 216u   /* key id 4, number 4, salt 24, ciphertext 168, tag 16 */
#define NN_TICKET_WORKER_AT 7u /* the number's highest byte: the worker that has the session */
#define NN_TICKET_PLAIN_BYTES 168u
#define NN_TICKET_SALT_BYTES 24u
#define NN_TICKET_HEADER_BYTES (8u + NN_TICKET_SALT_BYTES)
#define NN_TICKET_PROOF_BYTES 16u
#define NN_TICKET_SHOWN_BYTES (NN_SECRET_BYTES + NN_TICKET_BYTES) /* to its client, over a stream or CONTROL */
#define NN_TICKET_KEYS_MAX 16
#define NN_SESSION_TAG_BYTES 16u

#define NN_TICKET_ENCRYPTED 1u /* flag: the session was on an encrypted transport; it never goes on without */

/* What a ticket says. */
typedef struct nn_ticket {
    uint32_t number;  /* counts the tickets of a session, from 1; highest byte: the worker that has it */
    uint64_t session; /* the necpnet_peer at the server that issued it */
    uint8_t session_tag[NN_SESSION_TAG_BYTES]; /* random, of the session; its first 8 bytes name it in SETUP */
    uint64_t client_id;
    uint64_t server_id;
    uint64_t issued_us;  /* wall time; 0: the server did not know it */
    uint64_t expires_us; /* wall time; 0: with its session alone */
    uint64_t identity_expires_us;
    uint32_t epoch; /* token_epoch of the server */
    uint32_t flags; /* NN_TICKET_* */
    uint8_t secret[NN_SECRET_BYTES];
    uint8_t user_data[NECPNET_USER_DATA_BYTES];
} nn_ticket;

/* The keys of a server: the first seals, all open. suite is that of their primitives: NONE with security none. */
typedef struct nn_ticket_keys {
    necpnet_token_key keys[NN_TICKET_KEYS_MAX];
    int count;
    uint32_t suite;
} nn_ticket_keys;

/* nn_ticket_seal - OK | ERR_UNSUPPORTED | ERR_INTERNAL. salt: fresh random bytes. */
NN_PRIVATE necpnet_result nn_ticket_seal(const nn_ticket_keys* keys, const nn_ticket* ticket,
                                         const uint8_t salt[NN_TICKET_SALT_BYTES], uint8_t out[NN_TICKET_BYTES]);

/* nn_ticket_open - whether one of the keys opens it. Judges nothing else. */
NN_PRIVATE bool nn_ticket_open(const nn_ticket_keys* keys, const uint8_t* sealed, size_t bytes, nn_ticket* out_ticket);

/* nn_ticket_number - the only thing that a client reads; 0 when it is none. */
NN_PRIVATE uint32_t nn_ticket_number(const uint8_t* sealed, size_t bytes);

/* nn_ticket_proof - over a stream: that whoever shows a ticket has its secret. */
NN_PRIVATE void nn_ticket_proof(const uint8_t secret[NN_SECRET_BYTES], const uint8_t sealed[NN_TICKET_BYTES],
                                uint8_t out[NN_TICKET_PROOF_BYTES]);

#endif
