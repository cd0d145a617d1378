/* nn_websocket - the frames of RFC 6455, both sides, sans I/O.
 *
 * Bytes that arrive are decoded and unmasked where they are. A message that lies whole in one input is a view into it;
 * only what an input leaves unfinished is copied, into a block that grows with what has really arrived.
 *
 *     while ((kind = nn_websocket_next(websocket, &at, end, &item)) != NN_WEBSOCKET_MORE) { ... }
 */
#ifndef NN_WEBSOCKET_H
#define NN_WEBSOCKET_H

#include "nn_alloc.h"
#include "nn_utf8.h"

#define NN_WEBSOCKET_HEADER_BYTES_MAX 14
#define NN_WEBSOCKET_CONTROL_BYTES_MAX 125
#define NN_WEBSOCKET_COMPRESSED 0x40 /* in the first byte of a message's first frame (RFC 7692 6) */
#define NN_WEBSOCKET_CLOSE_TEXT_BYTES_MAX 123

/* RFC 6455 5.2. */
typedef enum nn_websocket_opcode {
    NN_WEBSOCKET_CONTINUATION = 0,
    NN_WEBSOCKET_TEXT = 1,
    NN_WEBSOCKET_BINARY = 2,
    NN_WEBSOCKET_CLOSE = 8,
    NN_WEBSOCKET_PING = 9,
    NN_WEBSOCKET_PONG = 10
} nn_websocket_opcode;

/* RFC 6455 7.4.1. */
#define NN_WEBSOCKET_CODE_NORMAL 1000
#define NN_WEBSOCKET_CODE_GOING_AWAY 1001
#define NN_WEBSOCKET_CODE_PROTOCOL 1002
#define NN_WEBSOCKET_CODE_NONE 1005 /* never sent: the close frame had no code */
#define NN_WEBSOCKET_CODE_LOST 1006 /* never sent: there was no close frame */
#define NN_WEBSOCKET_CODE_BAD_DATA 1007
#define NN_WEBSOCKET_CODE_POLICY 1008
#define NN_WEBSOCKET_CODE_TOO_LARGE 1009
#define NN_WEBSOCKET_CODE_INTERNAL 1011

typedef enum nn_websocket_kind {
    NN_WEBSOCKET_MORE = 0,    /* the input is used up */
    NN_WEBSOCKET_MESSAGE = 1, /* a whole text or binary message */
    NN_WEBSOCKET_CONTROL = 2, /* a ping or pong; opcode says which */
    NN_WEBSOCKET_CLOSED = 3,  /* a close frame: code and text; nothing after it is read */
    NN_WEBSOCKET_FAILED = 4   /* the peer broke the protocol: code says how to close; nothing after it is read */
} nn_websocket_kind;

typedef struct nn_websocket_item {
    uint8_t* data; /* a view until the next call of this part, or until the input goes; may be changed */
    size_t bytes;
    nn_websocket_opcode opcode;
    int code;            /* CLOSED, FAILED */
    bool compressed;     /* MESSAGE: by permessage-deflate; a text is not yet known to be UTF-8 */
    const char* problem; /* FAILED: static text for the log */
} nn_websocket_item;

/* The reading side of one connection. */
typedef struct nn_websocket {
    nn_alloc* alloc;
    uint8_t* message; /* what has come of an unfinished message, or NULL */
    uint8_t* control; /* what has come of an unfinished control frame, or NULL */
    uint32_t message_bytes;
    uint32_t message_capacity;
    uint32_t message_bytes_max;
    uint32_t frame_left; /* payload bytes still to come of the present frame */
    union {
        uint8_t mask[4];                               /* in_frame: rotated to fit the next byte */
        uint8_t header[NN_WEBSOCKET_HEADER_BYTES_MAX]; /* else: what has come of an unfinished one */
    } at;
    uint8_t header_bytes;
    uint8_t opcode;         /* of the present frame */
    uint8_t message_opcode; /* of the unfinished message, 0: none */
    uint8_t control_bytes;
    nn_utf8 utf8;
    bool is_server : 1;  /* peers of a server mask, peers of a client do not */
    bool deflate : 1;    /* permessage-deflate is agreed: messages may be compressed */
    bool compressed : 1; /* the unfinished message is */
    bool in_frame : 1;   /* the header is read, payload follows */
    bool fin : 1;
    bool delivered : 1; /* message or control was handed out and is given back at the next call */
    bool ended : 1;     /* closed or failed */
} nn_websocket;

NN_PRIVATE void nn_websocket_init(nn_websocket* websocket, nn_alloc* alloc, bool is_server, uint32_t message_bytes_max);
NN_PRIVATE void nn_websocket_reset(nn_websocket* websocket);

/* nn_websocket_next - the next thing in the input.
 *
 *   at   moved past what was used; the bytes there are changed (unmasked).
 */
NN_PRIVATE nn_websocket_kind nn_websocket_next(nn_websocket* websocket, uint8_t** at, const uint8_t* end,
                                               nn_websocket_item* item);

/* nn_websocket_write_header - one unfragmented frame's header; mask NULL: not masked (server).
 *
 * Returns its length, at most NN_WEBSOCKET_HEADER_BYTES_MAX. */
NN_PRIVATE size_t nn_websocket_write_header(uint8_t* to, nn_websocket_opcode opcode, uint64_t bytes,
                                            const uint8_t* mask);

/* nn_websocket_mask - xor with the mask, beginning with its first byte; 8 bytes a step. */
NN_PRIVATE void nn_websocket_mask(uint8_t* data, size_t bytes, const uint8_t mask[4]);

/* nn_websocket_code_is_valid - may stand in a close frame (RFC 6455 7.4). */
NN_PRIVATE bool nn_websocket_code_is_valid(int code);

#endif
