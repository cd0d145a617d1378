/* nn_handshake_wire - HELLO, RETRY, AUTH, ACCEPT, RESUME and REFUSE as bytes (PROTOCOL.md "Handshake").
 *
 * The first byte of a handshake datagram is below 0x10; sealed packets have its top bit set. The version stands second
 * in every message of every version.
 */
#ifndef NN_HANDSHAKE_WIRE_H
#define NN_HANDSHAKE_WIRE_H

#include "nn_aead.h"
#include "nn_ticket.h"
#include "nn_token.h"

#define NN_HANDSHAKE_BYTES 1200u /* HELLO, AUTH and RESUME are exactly this long: no amplification */
#define NN_HANDSHAKE_VERSION 1u  /* NECPNET_PROTOCOL_VERSION */
#define NN_HANDSHAKE_NONCE_BYTES 32u
#define NN_COOKIE_BYTES 24u               /* time 8, SipHash-2-4-128 16 */
#define NN_HANDSHAKE_SETUP_BYTES_MAX 800u /* SETUP inside AUTH, SETUP_OK inside ACCEPT */
#define NN_HANDSHAKE_TICKET_BYTES_MAX 220u
#define NN_HELLO_BYTES 44u /* used, before padding */
#define NN_RETRY_BYTES 32u
#define NN_AUTH_HEADER_BYTES 298u   /* before the sealed SETUP */
#define NN_RESUME_HEADER_BYTES 268u /* before the sealed SETUP */
#define NN_ACCEPT_HEADER_BYTES 42u  /* before the sealed part */
#define NN_REFUSE_HEADER_BYTES 18u
#define NN_REFUSE_BYTES_MAX (NN_REFUSE_HEADER_BYTES + 4u + NECPNET_REASON_BYTES_MAX + NN_AEAD_TAG_BYTES)

typedef enum nn_handshake_type {
    NN_HANDSHAKE_HELLO = 1,
    NN_HANDSHAKE_RETRY = 2,
    NN_HANDSHAKE_AUTH = 3,
    NN_HANDSHAKE_ACCEPT = 4,
    NN_HANDSHAKE_RESUME = 5,
    NN_HANDSHAKE_REFUSE = 6
} nn_handshake_type;

/* nn_handshake_is - whether a datagram is for the handshake: first byte 0x01 .. 0x0F. */
NN_INLINE bool nn_handshake_is(const uint8_t* data, size_t bytes)
{
    return bytes > 0 && data[0] >= 1 && data[0] <= 0x0f;
}

#define NN_RESUME_WORKER_AT (46u + NN_TICKET_WORKER_AT) /* in a RESUME: the highest byte of its ticket's number */

/* The first 8 bytes of every message. */
typedef struct nn_handshake_head {
    uint8_t type; /* nn_handshake_type */
    uint8_t version;
    uint8_t security; /* necpnet_security */
    uint8_t suite;    /* chosen by the server from RETRY on; 0 in HELLO */
    uint32_t client_connection_id;
} nn_handshake_head;

typedef struct nn_hello {
    nn_handshake_head head;
    uint32_t suites; /* bits 1 << nn_suite */
    uint8_t nonce[NN_HANDSHAKE_NONCE_BYTES];
} nn_hello;

typedef struct nn_retry {
    nn_handshake_head head;
    uint8_t cookie[NN_COOKIE_BYTES];
} nn_retry;

/* Views point into the datagram. */
typedef struct nn_auth {
    nn_handshake_head head;
    uint32_t suites;
    uint8_t nonce[NN_HANDSHAKE_NONCE_BYTES];
    uint8_t cookie[NN_COOKIE_BYTES];
    uint8_t key[32];      /* ephemeral X25519; zeroes in SECURITY_NONE */
    const uint8_t* token; /* NN_TOKEN_SEALED_BYTES; zeroes without tokens */
    const uint8_t* setup; /* sealed */
    size_t setup_bytes;
    const uint8_t* tag;
} nn_auth;

typedef struct nn_resume {
    nn_handshake_head head;
    uint32_t suites;
    uint8_t nonce[NN_HANDSHAKE_NONCE_BYTES];
    const uint8_t* ticket; /* 1 .. NN_HANDSHAKE_TICKET_BYTES_MAX */
    size_t ticket_bytes;
    const uint8_t* setup; /* sealed */
    size_t setup_bytes;
    const uint8_t* tag;
} nn_resume;

typedef struct nn_accept {
    nn_handshake_head head;
    uint8_t key[32];       /* ephemeral X25519; in answer to RESUME, and in SECURITY_NONE, random bytes */
    const uint8_t* sealed; /* server connection id 4, ticket bytes 1, ticket, SETUP_OK */
    size_t sealed_bytes;
    const uint8_t* tag;
} nn_accept;

typedef struct nn_refuse {
    nn_handshake_head head;
    uint64_t number;       /* of the seal: never twice in a server's life */
    const uint8_t* sealed; /* result 4, text */
    size_t sealed_bytes;
    const uint8_t* tag;
} nn_refuse;

/* Writers. to has NN_HANDSHAKE_BYTES. They return the datagram's bytes. nn_auth_write writes all but setup and tag, whose
 * room is at NN_AUTH_HEADER_BYTES (nn_resume_write: NN_RESUME_HEADER_BYTES); nn_accept_write and nn_refuse_write the
 * header. */
NN_PRIVATE size_t nn_hello_write(const nn_hello* hello, uint8_t* to);
NN_PRIVATE size_t nn_retry_write(const nn_retry* retry, uint8_t* to);
NN_PRIVATE size_t nn_auth_write(const nn_auth* auth, uint8_t* to);
NN_PRIVATE size_t nn_resume_write(const nn_resume* resume, uint8_t* to);
NN_PRIVATE size_t nn_accept_write(const nn_accept* accept, uint8_t* to);
NN_PRIVATE size_t nn_refuse_write(const nn_refuse* refuse, uint8_t* to);

/* Readers are strict: exact length, right type, zero reserved bytes and padding. nn_handshake_head_read needs 8 bytes
 * and judges nothing. */
NN_PRIVATE bool nn_handshake_head_read(const uint8_t* data, size_t bytes, nn_handshake_head* out);
NN_PRIVATE bool nn_hello_read(const uint8_t* data, size_t bytes, nn_hello* out);
NN_PRIVATE bool nn_retry_read(const uint8_t* data, size_t bytes, nn_retry* out);
NN_PRIVATE bool nn_auth_read(const uint8_t* data, size_t bytes, nn_auth* out);
NN_PRIVATE bool nn_resume_read(const uint8_t* data, size_t bytes, nn_resume* out);
NN_PRIVATE bool nn_accept_read(const uint8_t* data, size_t bytes, nn_accept* out);
NN_PRIVATE bool nn_refuse_read(const uint8_t* data, size_t bytes, nn_refuse* out);

/* nn_auth_transcript - T1 of nn_key_schedule: AUTH's header without its cookie. */
NN_PRIVATE necpnet_result nn_auth_transcript(const uint8_t* auth, uint32_t suite, uint8_t out[32]);

/* nn_resume_transcript - T1 of a RESUME: its header. */
NN_PRIVATE necpnet_result nn_resume_transcript(const uint8_t* resume, uint32_t suite, uint8_t out[32]);

/* nn_accept_transcript - T2. */
NN_PRIVATE necpnet_result nn_accept_transcript(const uint8_t auth_transcript[32], const uint8_t setup_tag[16],
                                               const uint8_t* accept, uint32_t suite, uint8_t out[32]);

#endif
