/* nn_setup - the SETUP frame: what each side is and wants, first on every transport.
 *
 * Bounded, checked, and growable: its body has a length, and what follows the known fields inside it is skipped.
 */
#ifndef NN_SETUP_H
#define NN_SETUP_H

#include "nn_bytes.h"

#define NN_SETUP_TOKEN_BYTES 196u       /* sealed part of a connect token */
#define NN_SETUP_PROOF_BYTES 16u        /* proof of its psk */
#define NN_SETUP_TEXT_BYTES_MAX 8191u   /* JWT */
#define NN_SETUP_TICKET_BYTES_MAX 1024u /* resume ticket */
#define NN_SETUP_BODY_BYTES_MAX 12288u
#define NN_SETUP_DIFFERENCE_BYTES_MAX 120u /* text of nn_setup_compare_channels with NUL */

/* Feature bits. A frame that the peer's features lack is never sent. */
#define NN_FEATURE_LZ4 (UINT64_C(1) << 0)
#define NN_FEATURE_STATE (UINT64_C(1) << 1)
#define NN_FEATURE_INPUT (UINT64_C(1) << 2)
#define NN_FEATURE_VOICE (UINT64_C(1) << 3)
#define NN_FEATURE_EVENT (UINT64_C(1) << 4)
#define NN_FEATURE_MIGRATION (UINT64_C(1) << 5)

typedef enum nn_setup_role { NN_ROLE_CLIENT = 0, NN_ROLE_SERVER = 1 } nn_setup_role;

typedef enum nn_credential_kind {
    NN_CREDENTIAL_NONE = 0,
    NN_CREDENTIAL_TOKEN = 1, /* 196 bytes sealed token + 16 bytes proof */
    NN_CREDENTIAL_TEXT = 2,  /* JWT, 1 .. 8191 bytes */
    NN_CREDENTIAL_TICKET = 3 /* 1 .. 1024 bytes */
} nn_credential_kind;

typedef struct nn_setup_channel {
    uint8_t mode; /* necpnet_channel_mode */
    uint32_t message_bytes_max;
    uint32_t window_bytes; /* first receive window of the writer of this SETUP; 0 for modes without credit */
} nn_setup_channel;

typedef struct nn_setup {
    uint32_t version; /* NECPNET_PROTOCOL_VERSION */
    nn_setup_role role;
    uint64_t features;
    uint32_t datagram_bytes_max; /* largest that the writer takes: 64 .. NECPNET_DATAGRAM_BYTES_MAX */
    uint64_t session_id;         /* client: the session it would go on with, 0 none; server: the session */
    uint64_t schema_hash;        /* 0 none */
    uint64_t tables_hash;        /* of the codec's tables that everyone has; 0 where there is no schema, or not told */
    uint64_t own_tables_hash;    /* of the schema's own; 0 none */
    uint32_t tick_hz;            /* server's; 0 from a client */
    uint32_t tick;               /* server's, now */
    uint64_t time_us;            /* server's clock, now */
    uint64_t channels_hash;      /* filled by nn_setup_read; nn_setup_write computes it */
    uint8_t channel_count;       /* 1 .. NECPNET_CHANNELS_MAX */
    nn_setup_channel channels[NECPNET_CHANNELS_MAX];
    nn_credential_kind credential_kind;
    const uint8_t* credential; /* after nn_setup_read a view of the input; TOKEN: sealed part, then proof */
    size_t credential_bytes;
} nn_setup;

/* nn_setup_init - zero, this protocol version, datagram size and role. */
NN_PRIVATE void nn_setup_init(nn_setup* setup, nn_setup_role role);

/* nn_setup_set_channels - take mode, message_bytes_max and window_bytes from a (checked) configuration. */
NN_PRIVATE void nn_setup_set_channels(nn_setup* setup, const necpnet_channel_config* channels, int count);

/* nn_setup_write - the whole frame, type byte included. */
NN_PRIVATE void nn_setup_write(nn_writer* writer, const nn_setup* setup);

/* nn_setup_bytes - how long nn_setup_write's frame is. */
NN_PRIVATE size_t nn_setup_bytes(const nn_setup* setup);

/* nn_setup_read - behind the type byte.
 *
 * Returns  OK | ERR_PROTOCOL | ERR_VERSION_DIFFERS (version and role are set, nothing else).
 */
NN_PRIVATE necpnet_result nn_setup_read(nn_reader* reader, nn_setup* out);

/* nn_setup_channels_hash - over count, and mode and message_bytes_max of each. */
NN_PRIVATE uint64_t nn_setup_channels_hash(const nn_setup* setup);

/* nn_setup_compare_channels - whether two tables are the same on the wire; else text names the first difference:
 * "channel 2: client reliable ordered, server unreliable".
 *
 *   text  at least NN_SETUP_DIFFERENCE_BYTES_MAX bytes; "" when same; may be NULL.
 */
NN_PRIVATE bool nn_setup_compare_channels(const nn_setup* client, const nn_setup* server, char* text,
                                          size_t text_bytes);

#endif
