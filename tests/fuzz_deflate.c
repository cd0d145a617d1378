/* fuzz_deflate - permessage-deflate from a hostile peer: what is negotiated, and compressed messages.
 *
 * The first byte chooses: bit 0, negotiation (the rest is the value of Sec-WebSocket-Extensions, judged by a server and a
 * client) or messages (the rest is one message after another, each behind its length); bits 1 .. 3, window bits; bit 4,
 * with context; bits 5 .. 7, how much is read at a time.
 */
#include "nn_deflate.h"
#include "nn_extension.h"

#include <stdio.h>
#include <stdlib.h>

#define OUTPUT_BYTES_MAX 100000

/* What a server agreed to must be what a client that offered so can obey. */
static void negotiate(const uint8_t* data, size_t bytes, const nn_extension_wish* wish)
{
    nn_http_head head;
    nn_extension_deflate server;
    nn_extension_deflate client;
    char answer[NN_EXTENSION_TEXT_BYTES_MAX];
    char* text = (char*)malloc(bytes + 1); /* exact, so that a sanitizer sees a read beyond it */
    if (!text) abort();
    memcpy(text, data, bytes);
    text[bytes] = 0;
    memset(&head, 0, sizeof head);
    head.headers[0].name = "Sec-WebSocket-Extensions";
    head.headers[0].value = text;
    head.header_count = 1;
    bool is_list = nn_extension_answer(&head, wish, &server, answer);
    if (is_list != nn_extension_answer(&head, NULL, &client, answer)) abort();
    (void)nn_extension_answer(&head, wish, &server, answer);
    if (server.agreed != (*answer != 0)) abort();
    if (server.agreed && (server.send_bits < 8 || server.send_bits > 15 || server.receive_bits < 8)) abort();
    if (nn_extension_check_answer(&head, wish, &client) && client.agreed &&
        (client.send_bits < 8 || client.send_bits > 15)) {
        abort();
    }
    if (server.agreed && is_list) { /* our own answer is well formed: its sender may have offered anything */
        nn_extension_wish open = {true, true, 15, 15};
        head.headers[0].value = answer;
        if (!nn_extension_check_answer(&head, &open, &client) || !client.agreed) abort();
        if (client.receive_bits != server.send_bits || client.receive_context != server.send_context) abort();
    }
    free(text);
}

static void read_messages(const uint8_t* data, size_t bytes, int bits, bool keep, size_t piece)
{
    static uint8_t out[512];
    nn_alloc alloc;
    nn_alloc_init(&alloc, NULL);
    nn_inflater* inflater = nn_inflater_create(&alloc, bits);
    size_t total = 0;
    while (inflater && bytes && total < OUTPUT_BYTES_MAX) {
        size_t part = data[0] < bytes - 1 ? data[0] : bytes - 1;
        uint8_t* input = (uint8_t*)malloc(part + 1);
        if (!input) abort();
        memcpy(input, data + 1, part);
        nn_inflater_begin(inflater, input, part, keep);
        nn_inflate_kind kind = NN_INFLATE_FULL;
        while (kind == NN_INFLATE_FULL && total < OUTPUT_BYTES_MAX) {
            size_t written = 0;
            kind = nn_inflater_read(inflater, out, piece, &written);
            if (written > piece || (kind == NN_INFLATE_FULL && written != piece)) abort();
            total += written;
        }
        free(input);
        data += part + 1;
        bytes -= part + 1;
        if (kind != NN_INFLATE_WHOLE) break; /* the connection would end here */
    }
    nn_inflater_destroy(inflater);
    if (alloc.bytes != 0 || alloc.bytes_peak > 50000) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    if (bytes < 2) return 0;
    int bits = 8 + (data[0] >> 1) % 8;
    bool keep = (data[0] & 16) != 0;
    if (data[0] & 1) {
        nn_extension_wish wish = {keep, keep, (uint8_t)(bits < 9 ? 9 : bits), (uint8_t)(bits < 9 ? 9 : bits)};
        negotiate(data + 1, bytes - 1, &wish);
    } else {
        read_messages(data + 1, bytes - 1, bits, keep, (size_t)1 << (data[0] >> 5));
    }
    return 0;
}
