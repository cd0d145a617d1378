/* nn_extension - Sec-WebSocket-Extensions (RFC 6455 9.1), and permessage-deflate in it (RFC 7692 7.1), both sides. */
#ifndef NN_EXTENSION_H
#define NN_EXTENSION_H

#include "nn_http.h"

#define NN_EXTENSION_TEXT_BYTES_MAX 192 /* an offer or answer of ours, with its NUL */

/* What this side wants of compression. */
typedef struct nn_extension_wish {
    bool send_context;    /* keep the window between messages that it sends */
    bool receive_context; /* let the peer do so */
    uint8_t send_bits;    /* 9 .. 15: of a window that is kept */
    uint8_t receive_bits; /* 9 .. 15: the largest that may be kept */
} nn_extension_wish;

/* What both agreed on. */
typedef struct nn_extension_deflate {
    bool agreed; /* false: no compression, and the rest is 0 */
    bool send_context;
    bool receive_context;
    uint8_t send_bits;    /* 8 .. 15; with 8 this side sends nothing compressed */
    uint8_t receive_bits; /* 8 .. 15 */
} nn_extension_deflate;

/* nn_extension_answer - the server's choice: the first offer that it can take.
 *
 *   wish  NULL: none.
 *   text  NN_EXTENSION_TEXT_BYTES_MAX bytes: the header's value, "" if nothing is agreed.
 *
 * Returns false if what the client sent is no list of extensions at all (RFC 6455 9.1: the handshake fails). An offer
 * with a parameter that is unknown, doubled or out of range is only passed over (RFC 7692 7.1). */
NN_PRIVATE bool nn_extension_answer(const nn_http_head* head, const nn_extension_wish* wish,
                                    nn_extension_deflate* out_agreed, char* text);

/* nn_extension_write_offer - the header's value that a client sends; text as above. */
NN_PRIVATE void nn_extension_write_offer(const nn_extension_wish* wish, char* text);

/* nn_extension_check_answer - what the server chose.
 *
 *   wish  what was offered; NULL: nothing.
 *
 * Returns false if the server may not answer so: the connection fails. */
NN_PRIVATE bool nn_extension_check_answer(const nn_http_head* head, const nn_extension_wish* wish,
                                          nn_extension_deflate* out_agreed);

#endif
