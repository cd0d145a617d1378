/* nn_frame - frame types, their names and properties, and the codec of the small ones.
 *
 * Writers put the type byte and the body; readers begin behind the type byte. Readers return false on malformed bytes
 * and leave their output unspecified then. Layouts: PROTOCOL.md, Packets and frames.
 */
#ifndef NN_FRAME_H
#define NN_FRAME_H

#include "nn_bytes.h"

typedef enum nn_frame_type {
    NN_FRAME_PADDING = 0x00, /* one zero byte */
    NN_FRAME_PING = 0x01,
    NN_FRAME_PONG = 0x02,
    NN_FRAME_ACK = 0x03,          /* nn_acks writes it, nn_recovery reads it */
    NN_FRAME_RECEIVED = 0x04,     /* ordered transports: what arrived on each reliable channel */
    NN_FRAME_MESSAGE = 0x05,      /* with its length */
    NN_FRAME_MESSAGE_LAST = 0x06, /* reaches to the end of the packet */
    NN_FRAME_FRAGMENT = 0x07,
    NN_FRAME_CREDIT = 0x08,
    NN_FRAME_PATH_CHALLENGE = 0x09,
    NN_FRAME_PATH_RESPONSE = 0x0A,
    NN_FRAME_SETUP = 0x0B, /* nn_setup */
    NN_FRAME_CLOSE = 0x0C,
    NN_FRAME_SUSPEND = 0x0D,
    NN_FRAME_STATE = 0x20,
    NN_FRAME_INPUT = 0x21, /* nn_inputs */
    NN_FRAME_INPUT_ACK = 0x22,
    NN_FRAME_WRITE = 0x23, /* nn_writes */
    NN_FRAME_VOICE = 0x30, /* .. 0x3B: nn_voice_frame */
    NN_FRAME_VOICE_REPORT = 0x3C,
    NN_FRAME_EVENT = 0x40
} nn_frame_type;

/* nn_frame_name - "MESSAGE" and so on; "UNKNOWN". Static text. */
NN_PRIVATE const char* nn_frame_name(uint8_t type);

/* nn_frame_is_ack_eliciting - whether a packet with it wants an ACK (RFC 9000 13.2). All but PADDING, ACK, PONG, CLOSE,
 * INPUT_ACK, VOICE and VOICE_REPORT. */
NN_PRIVATE bool nn_frame_is_ack_eliciting(uint8_t type);

typedef struct nn_ping {
    uint64_t id;
    uint64_t sent_at_us; /* sender's clock */
} nn_ping;

typedef struct nn_pong {
    uint64_t id;             /* of the PING */
    uint64_t sent_at_us;     /* of the PING */
    uint64_t received_at_us; /* responder's clock, when the PING came */
    uint64_t hold_us;        /* from then until the PONG was written */
} nn_pong;

typedef struct nn_close {
    necpnet_result reason; /* a number that this version does not know reads as ERR_CLOSED */
    uint32_t code;         /* the application's */
    bool has_retry;
    uint32_t retry_ms; /* 0 .. NN_CLOSE_RETRY_MS_MAX: when to connect again */
    char text[NECPNET_REASON_BYTES_MAX + 1];
} nn_close;

#define NN_CLOSE_RETRY_MS_MAX 86400000u /* a day */
#define NN_SUSPEND_SUSPENDED 1u         /* flags of SUSPEND */
#define NN_SUSPEND_LOADING 2u

/* Longest encodings, type byte included: what a writer must have room for. */
#define NN_PING_BYTES_MAX 17u
#define NN_PONG_BYTES_MAX 33u
#define NN_CLOSE_BYTES_MAX (1u + 2u + 8u + 8u + 1u + NECPNET_REASON_BYTES_MAX)
#define NN_PATH_BYTES 9u
#define NN_SUSPEND_BYTES 2u
#define NN_INPUT_ACK_BYTES_MAX 9u

NN_PRIVATE void nn_frame_write_ping(nn_writer* writer, const nn_ping* ping);
NN_PRIVATE bool nn_frame_read_ping(nn_reader* reader, nn_ping* out);
NN_PRIVATE void nn_frame_write_pong(nn_writer* writer, const nn_pong* pong);
NN_PRIVATE bool nn_frame_read_pong(nn_reader* reader, nn_pong* out);

/* nn_frame_write_close - text is cut at NECPNET_REASON_BYTES_MAX. */
NN_PRIVATE void nn_frame_write_close(nn_writer* writer, const nn_close* close);

/* nn_frame_read_close - text comes with control characters replaced by '?', so that it may be logged. */
NN_PRIVATE bool nn_frame_read_close(nn_reader* reader, nn_close* out);

/* nn_frame_result_of - of -1 x necpnet_result; ERR_CLOSED for a number that this version does not know. */
NN_PRIVATE necpnet_result nn_frame_result_of(uint64_t number);

/* nn_frame_write_path, nn_frame_read_path - type PATH_CHALLENGE or PATH_RESPONSE with its 8 bytes. */
NN_PRIVATE void nn_frame_write_path(nn_writer* writer, nn_frame_type type, uint64_t challenge);
NN_PRIVATE bool nn_frame_read_path(nn_reader* reader, uint64_t* out);

/* nn_frame_write_suspend, nn_frame_read_suspend - flags NN_SUSPEND_*; unknown bits are cleared by the reader. */
NN_PRIVATE void nn_frame_write_suspend(nn_writer* writer, uint8_t flags);
NN_PRIVATE bool nn_frame_read_suspend(nn_reader* reader, uint8_t* out);

NN_PRIVATE void nn_frame_write_input_ack(nn_writer* writer, uint32_t tick);
NN_PRIVATE bool nn_frame_read_input_ack(nn_reader* reader, uint32_t* out);

#endif
