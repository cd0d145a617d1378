/* fuzz_websocket - frames of RFC 6455 from a hostile peer, read in one piece and in pieces: both must hear the same.
 *
 * The first byte says which side reads (bit 0) and how large the pieces are; the rest are the frames.
 */
#include "nn_websocket.h"

#include <stdlib.h>

#define MESSAGE_BYTES_MAX 5000

/* A number that stands for all that was heard. */
static uint64_t read_all(const uint8_t* data, size_t bytes, size_t piece, bool is_server)
{
    nn_alloc alloc;
    nn_websocket websocket;
    uint64_t heard = 1;
    nn_alloc_init(&alloc, NULL);
    nn_websocket_init(&websocket, &alloc, is_server, MESSAGE_BYTES_MAX);
    for (size_t from = 0; from < bytes; from += piece) {
        size_t part = bytes - from < piece ? bytes - from : piece;
        uint8_t* input = (uint8_t*)malloc(part); /* exact, so that a sanitizer sees a read beyond it */
        if (!input) abort();
        memcpy(input, data + from, part);
        uint8_t* at = input;
        nn_websocket_item item;
        nn_websocket_kind kind;
        while ((kind = nn_websocket_next(&websocket, &at, input + part, &item)) != NN_WEBSOCKET_MORE) {
            bool ends = kind == NN_WEBSOCKET_CLOSED || kind == NN_WEBSOCKET_FAILED;
            heard = heard * 31 + (uint64_t)kind;
            heard = heard * 31 + (uint64_t)(ends ? item.code : (int)item.opcode);
            if (item.bytes > MESSAGE_BYTES_MAX) abort();
            for (size_t i = 0; i < item.bytes; i++) heard = heard * 31 + item.data[i];
        }
        free(input);
    }
    nn_websocket_reset(&websocket);
    if (alloc.bytes != 0 || alloc.bytes_peak > 3 * MESSAGE_BYTES_MAX) abort();
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    if (bytes < 2) return 0;
    bool is_server = (data[0] & 1) != 0;
    uint64_t whole = read_all(data + 1, bytes - 1, bytes, is_server);
    if (read_all(data + 1, bytes - 1, 1 + (data[0] >> 1) % 40, is_server) != whole) abort();
    return 0;
}
