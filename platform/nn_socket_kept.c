/* nn_socket_kept - the store of what a turn sends to streams other than the active one: a fan-out writes each stream
 * once, however many messages there are. Records and pieces lie in one block that is empty after every flush. */
#include "nn_socket.h"

#if !defined(__EMSCRIPTEN__)

/* Of one stream. References are places in the block plus 1; 0: none. */
typedef struct kept_record {
    necpnet_stream* stream; /* NULL: it is gone */
    uint32_t next;          /* record */
    uint32_t first;         /* piece */
    uint32_t last;
    uint32_t bytes;
} kept_record;

typedef struct kept_piece { /* its bytes follow */
    uint32_t next;
    uint32_t bytes;
} kept_piece;

static kept_record* kept_record_at(const nn_socket_buffers* buffers, uint32_t reference)
{
    return (kept_record*)(void*)(buffers->kept + reference - 1);
}

static kept_piece* kept_piece_at(const nn_socket_buffers* buffers, uint32_t reference)
{
    return (kept_piece*)(void*)(buffers->kept + reference - 1);
}

/* Room for a struct and the bytes behind it, both aligned. */
static uint32_t kept_take(nn_socket_buffers* buffers, size_t bytes)
{
    uint32_t reference = buffers->kept_bytes + 1;
    buffers->kept_bytes += (uint32_t)((bytes + 7) & ~(size_t)7);
    return reference;
}

static kept_record* kept_take_record(nn_socket_buffers* buffers, necpnet_stream* stream)
{
    uint32_t reference = kept_take(buffers, sizeof(kept_record));
    kept_record* record = kept_record_at(buffers, reference);
    memset(record, 0, sizeof *record);
    record->stream = stream;
    stream->kept = reference;
    if (buffers->kept_last) {
        kept_record_at(buffers, buffers->kept_last)->next = reference;
    } else {
        buffers->kept_first = reference;
    }
    buffers->kept_last = reference;
    return record;
}

NN_PRIVATE bool nn_socket_keep(nn_socket_buffers* buffers, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    size_t needed = sizeof(kept_record) + sizeof(kept_piece) + bytes + 16;
    if (bytes > NN_SOCKET_KEPT_PIECE_BYTES_MAX || needed > buffers->kept_bytes_max) return false;
    if (needed > buffers->kept_bytes_max - buffers->kept_bytes) {
        nn_socket_flush_kept(buffers);
        if (stream->queue_bytes || stream->state != NN_STREAM_OPEN) return false; /* it was among those written */
    }
    kept_record* record = stream->kept ? kept_record_at(buffers, stream->kept) : kept_take_record(buffers, stream);
    uint32_t reference = kept_take(buffers, sizeof(kept_piece) + bytes);
    kept_piece* piece = kept_piece_at(buffers, reference);
    piece->next = 0;
    piece->bytes = (uint32_t)bytes;
    memcpy(piece + 1, data, bytes);
    if (record->last) {
        kept_piece_at(buffers, record->last)->next = reference;
    } else {
        record->first = reference;
    }
    record->last = reference;
    record->bytes += (uint32_t)bytes;
    return true;
}

/* One piece is written from where it lies; several are put together in the cork. */
static void kept_write(nn_socket_buffers* buffers, const kept_record* record)
{
    necpnet_stream* stream = record->stream;
    const kept_piece* piece = kept_piece_at(buffers, record->first);
    stream->kept = 0;
    if (!piece->next) {
        (void)nn_socket_write(stream, (const uint8_t*)(piece + 1), piece->bytes, NULL, 0);
        return;
    }
    if (buffers->cork_stream) nn_socket_flush_cork(buffers);
    size_t used = 0;
    for (uint32_t at = record->first; at; at = piece->next) {
        piece = kept_piece_at(buffers, at);
        if (buffers->cork_bytes_max - used < piece->bytes) {
            if (!nn_socket_write(stream, buffers->cork, used, NULL, 0)) return;
            used = 0;
        }
        memcpy(buffers->cork + used, piece + 1, piece->bytes);
        used += piece->bytes;
    }
    (void)nn_socket_write(stream, buffers->cork, used, NULL, 0);
}

NN_PRIVATE void nn_socket_flush_kept(nn_socket_buffers* buffers)
{
    for (uint32_t at = buffers->kept_first; at;) {
        kept_record* record = kept_record_at(buffers, at);
        at = record->next;
        if (record->stream) kept_write(buffers, record);
        record->stream = NULL;
    }
    buffers->kept_bytes = 0;
    buffers->kept_first = 0;
    buffers->kept_last = 0;
}

NN_PRIVATE void nn_socket_flush_kept_of(nn_socket_buffers* buffers, necpnet_stream* stream)
{
    if (!stream->kept) return;
    kept_record* record = kept_record_at(buffers, stream->kept);
    kept_write(buffers, record);
    record->stream = NULL;
}

NN_PRIVATE void nn_socket_drop_kept(nn_socket_buffers* buffers, necpnet_stream* stream)
{
    if (stream->kept) kept_record_at(buffers, stream->kept)->stream = NULL;
    stream->kept = 0;
}

NN_PRIVATE size_t nn_socket_kept_bytes_of(const nn_socket_buffers* buffers, const necpnet_stream* stream)
{
    return stream->kept ? kept_record_at(buffers, stream->kept)->bytes : 0;
}

#endif
