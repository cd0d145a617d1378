/* nn_socket_kept - the store of what a turn sends to streams other than the active one: a fan-out writes each stream
 * once, however many messages there are, and holds each message once, however many streams it goes to.
 *
 * Bytes lie at the front of one block, in the order in which they came; records of streams and of their segments at its
 * back. A segment is a run of those bytes. What a stream is sent is looked for where it would stand if others were sent
 * the same: behind its own last segment, at the beginning of the stream that came before, and in the last piece stored.
 * Found there, nothing is copied, and a stream that gets what the others get has one segment, written from where it
 * lies. The block is empty after every flush. */
#include "nn_socket.h"

#if !defined(__EMSCRIPTEN__)

/* References are places in the block plus 1; 0: none. */
typedef struct kept_segment {
    uint32_t next;
    uint32_t at; /* of its bytes in the block */
    uint32_t bytes;
} kept_segment;

typedef struct kept_record { /* of one stream */
    necpnet_stream* stream;  /* NULL: it is gone */
    uint32_t next;           /* record */
    uint32_t last;           /* segment; it may be the first */
    uint32_t bytes;          /* of all segments */
    kept_segment first;
} kept_record;

static kept_record* kept_record_at(const nn_socket_buffers* buffers, uint32_t reference)
{
    return (kept_record*)(void*)(buffers->kept + reference - 1);
}

static kept_segment* kept_segment_at(const nn_socket_buffers* buffers, uint32_t reference)
{
    return (kept_segment*)(void*)(buffers->kept + reference - 1);
}

/* Room at the back, aligned as the block is. */
static uint32_t kept_take(nn_socket_buffers* buffers, size_t bytes)
{
    buffers->kept_back -= (uint32_t)((bytes + 7) & ~(size_t)7);
    return buffers->kept_back + 1;
}

static bool kept_is_at(const nn_socket_buffers* buffers, uint32_t at, const uint8_t* data, size_t bytes)
{
    return bytes <= buffers->kept_front - at && memcmp(buffers->kept + at, data, bytes) == 0;
}

/* Where these bytes lie: found, or put behind all others. */
static uint32_t kept_store(nn_socket_buffers* buffers, const kept_record* record, const uint8_t* data, size_t bytes)
{
    if (record) {
        const kept_segment* last = kept_segment_at(buffers, record->last);
        if (kept_is_at(buffers, last->at + last->bytes, data, bytes)) return last->at + last->bytes;
    } else if (kept_is_at(buffers, buffers->kept_began, data, bytes)) {
        return buffers->kept_began;
    }
    if (kept_is_at(buffers, buffers->kept_stored, data, bytes)) return buffers->kept_stored;
    uint32_t at = buffers->kept_front;
    memcpy(buffers->kept + at, data, bytes);
    buffers->kept_stored = at;
    buffers->kept_front += (uint32_t)bytes;
    return at;
}

static void kept_begin_record(nn_socket_buffers* buffers, necpnet_stream* stream, uint32_t at, uint32_t bytes)
{
    uint32_t reference = kept_take(buffers, sizeof(kept_record));
    kept_record* record = kept_record_at(buffers, reference);
    memset(record, 0, sizeof *record);
    record->stream = stream;
    record->last = reference + (uint32_t)offsetof(kept_record, first);
    record->bytes = bytes;
    record->first.at = at;
    record->first.bytes = bytes;
    stream->kept = reference;
    buffers->kept_began = at;
    if (buffers->kept_last) {
        kept_record_at(buffers, buffers->kept_last)->next = reference;
    } else {
        buffers->kept_first = reference;
    }
    buffers->kept_last = reference;
}

static void kept_append(nn_socket_buffers* buffers, kept_record* record, uint32_t at, uint32_t bytes)
{
    kept_segment* last = kept_segment_at(buffers, record->last);
    record->bytes += bytes;
    if (last->at + last->bytes == at) {
        last->bytes += bytes;
        return;
    }
    uint32_t reference = kept_take(buffers, sizeof(kept_segment));
    kept_segment* segment = kept_segment_at(buffers, reference);
    segment->next = 0;
    segment->at = at;
    segment->bytes = bytes;
    last->next = reference;
    record->last = reference;
}

NN_PRIVATE bool nn_socket_keep(nn_socket_buffers* buffers, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    size_t needed = sizeof(kept_record) + 8 + bytes;
    if (bytes > NN_SOCKET_KEPT_PIECE_BYTES_MAX || needed > buffers->kept_bytes_max) return false;
    if (needed > buffers->kept_back - buffers->kept_front) {
        nn_socket_flush_kept(buffers);
        if (stream->queue || stream->state != NN_STREAM_OPEN) return false; /* it was among those written */
    }
    kept_record* record = stream->kept ? kept_record_at(buffers, stream->kept) : NULL;
    uint32_t at = kept_store(buffers, record, data, bytes);
    if (record) {
        kept_append(buffers, record, at, (uint32_t)bytes);
    } else {
        kept_begin_record(buffers, stream, at, (uint32_t)bytes);
    }
    return true;
}

/* One segment is written from where it lies; several are put together in the cork. */
static void kept_write(nn_socket_buffers* buffers, const kept_record* record)
{
    necpnet_stream* stream = record->stream;
    const kept_segment* segment = &record->first;
    stream->kept = 0;
    if (!segment->next) {
        (void)nn_socket_write(stream, buffers->kept + segment->at, segment->bytes, NULL, 0);
        return;
    }
    if (buffers->cork_stream) nn_socket_flush_cork(buffers);
    size_t used = 0;
    for (;;) {
        for (uint32_t done = 0; done < segment->bytes;) {
            size_t part = nn_min_size(segment->bytes - done, buffers->cork_bytes_max - used);
            memcpy(buffers->cork + used, buffers->kept + segment->at + done, part);
            used += part;
            done += (uint32_t)part;
            if (used < buffers->cork_bytes_max) continue;
            if (!nn_socket_write(stream, buffers->cork, used, NULL, 0)) return;
            used = 0;
        }
        if (!segment->next) break;
        segment = kept_segment_at(buffers, segment->next);
    }
    if (used) (void)nn_socket_write(stream, buffers->cork, used, NULL, 0);
}

NN_PRIVATE void nn_socket_flush_kept(nn_socket_buffers* buffers)
{
    for (uint32_t at = buffers->kept_first; at;) {
        kept_record* record = kept_record_at(buffers, at);
        at = record->next;
        if (record->stream) kept_write(buffers, record);
        record->stream = NULL;
    }
    buffers->kept_front = 0;
    buffers->kept_back = buffers->kept_bytes_max;
    buffers->kept_began = 0;
    buffers->kept_stored = 0;
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
