/* nn_dep_zlib - nn_deflate by zlib, or nothing. */
#include "nn_deflate.h"

#if NECPNET_WITH_ZLIB

#include <zlib.h>

#define ZLIB_TAIL_BYTES 4    /* what ends every message and is not sent (RFC 7692 7.2.1) */
#define ZLIB_PREFIX_BYTES 16 /* before each block of zlib: its size, for nn_alloc_give */

struct nn_deflater {
    nn_alloc* alloc;
    z_stream stream;
};

struct nn_inflater {
    nn_alloc* alloc;
    z_stream stream;
    bool tail_given;     /* the message's own bytes are used up */
    bool between_blocks; /* after what is read so far */
};

static voidpf zlib_take(voidpf opaque, uInt items, uInt size)
{
    if (!items || !size || items > UINT32_MAX / size - ZLIB_PREFIX_BYTES) return NULL;
    size_t bytes = (size_t)items * size + ZLIB_PREFIX_BYTES;
    uint8_t* memory = (uint8_t*)nn_alloc_take((nn_alloc*)opaque, bytes);
    if (!memory) return NULL;
    memcpy(memory, &bytes, sizeof bytes);
    return memory + ZLIB_PREFIX_BYTES;
}

static void zlib_give(voidpf opaque, voidpf address)
{
    if (!address) return;
    uint8_t* memory = (uint8_t*)address - ZLIB_PREFIX_BYTES;
    size_t bytes;
    memcpy(&bytes, memory, sizeof bytes);
    nn_alloc_give((nn_alloc*)opaque, memory, bytes);
}

static void zlib_begin(z_stream* stream, nn_alloc* alloc)
{
    stream->zalloc = zlib_take;
    stream->zfree = zlib_give;
    stream->opaque = alloc;
}

NN_PRIVATE bool nn_deflate_is_built(void)
{
    return true;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

NN_PRIVATE nn_deflater* nn_deflater_create(nn_alloc* alloc, int level, int window_bits, int memory_level)
{
    nn_deflater* deflater = (nn_deflater*)nn_alloc_take(alloc, sizeof *deflater);
    if (!deflater) return NULL;
    deflater->alloc = alloc;
    zlib_begin(&deflater->stream, alloc);
    int result = deflateInit2(&deflater->stream, level, Z_DEFLATED, -window_bits, memory_level, Z_DEFAULT_STRATEGY);
    if (result != Z_OK) {
        nn_alloc_give(alloc, deflater, sizeof *deflater);
        return NULL;
    }
    return deflater;
}

NN_PRIVATE void nn_deflater_destroy(nn_deflater* deflater)
{
    if (!deflater) return;
    (void)deflateEnd(&deflater->stream);
    nn_alloc_give(deflater->alloc, deflater, sizeof *deflater);
}

NN_PRIVATE size_t nn_deflater_write(nn_deflater* deflater, const uint8_t* data, size_t bytes, bool keep_context,
                                    uint8_t* out, size_t out_bytes)
{
    z_stream* stream = &deflater->stream;
    NN_ASSERT(bytes && bytes <= UINT32_MAX);
    uInt room = (uInt)nn_min_size(out_bytes, UINT32_MAX);
    stream->next_in = (z_const Bytef*)data;
    stream->avail_in = (uInt)bytes;
    stream->next_out = out;
    stream->avail_out = room;
    int result = deflate(stream, Z_SYNC_FLUSH);
    size_t written = room - stream->avail_out;
    bool whole = result == Z_OK && stream->avail_out && !stream->avail_in && written > ZLIB_TAIL_BYTES;
    if (!whole || !keep_context) (void)deflateReset(stream);
    return whole ? written - ZLIB_TAIL_BYTES : 0;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

NN_PRIVATE nn_inflater* nn_inflater_create(nn_alloc* alloc, int window_bits)
{
    nn_inflater* inflater = (nn_inflater*)nn_alloc_take(alloc, sizeof *inflater);
    if (!inflater) return NULL;
    inflater->alloc = alloc;
    zlib_begin(&inflater->stream, alloc);
    if (inflateInit2(&inflater->stream, -window_bits) != Z_OK) {
        nn_alloc_give(alloc, inflater, sizeof *inflater);
        return NULL;
    }
    return inflater;
}

NN_PRIVATE void nn_inflater_destroy(nn_inflater* inflater)
{
    if (!inflater) return;
    (void)inflateEnd(&inflater->stream);
    nn_alloc_give(inflater->alloc, inflater, sizeof *inflater);
}

NN_PRIVATE void nn_inflater_begin(nn_inflater* inflater, const uint8_t* data, size_t bytes, bool keep_context)
{
    NN_ASSERT(bytes <= UINT32_MAX);
    if (!keep_context) (void)inflateReset(&inflater->stream);
    inflater->stream.next_in = (z_const Bytef*)data;
    inflater->stream.avail_in = (uInt)bytes;
    inflater->tail_given = false;
    inflater->between_blocks = false;
}

NN_PRIVATE nn_inflate_kind nn_inflater_read(nn_inflater* inflater, uint8_t* out, size_t out_bytes, size_t* out_written)
{
    static const uint8_t tail[ZLIB_TAIL_BYTES] = {0, 0, 0xff, 0xff};
    z_stream* stream = &inflater->stream;
    uInt room = (uInt)nn_min_size(out_bytes, UINT32_MAX);
    nn_inflate_kind kind = NN_INFLATE_FULL;
    stream->next_out = out;
    stream->avail_out = room;
    while (stream->avail_out) {
        if (!stream->avail_in && !inflater->tail_given) {
            stream->next_in = (z_const Bytef*)tail;
            stream->avail_in = sizeof tail;
            inflater->tail_given = true;
        }
        int result = inflate(stream, Z_SYNC_FLUSH);
        /* zlib.h: 128 after the end of a block, and how many bits of the last byte are unused: the empty block that ends
         * each message leaves none. A call that did nothing does not tell. */
        if (result == Z_OK) inflater->between_blocks = (stream->data_type & 0xbf) == 128;
        bool used = !stream->avail_in && inflater->tail_given;
        if (result == Z_STREAM_END) { /* a last block is only the last of its stream (RFC 7692 7.2.3.4) */
            (void)inflateResetKeep(stream);
            if (!used) continue;
            kind = NN_INFLATE_WHOLE;
            break;
        }
        if (result == Z_MEM_ERROR) {
            kind = NN_INFLATE_MEMORY;
            break;
        }
        bool stuck = result == Z_BUF_ERROR && stream->avail_in && stream->avail_out;
        if ((result != Z_OK && result != Z_BUF_ERROR) || stuck) {
            kind = NN_INFLATE_BAD;
            break;
        }
        if (used && stream->avail_out) {
            kind = inflater->between_blocks ? NN_INFLATE_WHOLE : NN_INFLATE_BAD;
            break;
        }
    }
    if (kind == NN_INFLATE_BAD || kind == NN_INFLATE_MEMORY) (void)inflateReset(stream);
    *out_written = room - stream->avail_out;
    return kind;
}

#else

NN_PRIVATE bool nn_deflate_is_built(void)
{
    return false;
}

NN_PRIVATE nn_deflater* nn_deflater_create(nn_alloc* alloc, int level, int window_bits, int memory_level)
{
    (void)alloc, (void)level, (void)window_bits, (void)memory_level;
    return NULL;
}

NN_PRIVATE void nn_deflater_destroy(nn_deflater* deflater)
{
    (void)deflater;
}

NN_PRIVATE size_t nn_deflater_write(nn_deflater* deflater, const uint8_t* data, size_t bytes, bool keep_context,
                                    uint8_t* out, size_t out_bytes)
{
    (void)deflater, (void)data, (void)bytes, (void)keep_context, (void)out, (void)out_bytes;
    return 0;
}

NN_PRIVATE nn_inflater* nn_inflater_create(nn_alloc* alloc, int window_bits)
{
    (void)alloc, (void)window_bits;
    return NULL;
}

NN_PRIVATE void nn_inflater_destroy(nn_inflater* inflater)
{
    (void)inflater;
}

NN_PRIVATE void nn_inflater_begin(nn_inflater* inflater, const uint8_t* data, size_t bytes, bool keep_context)
{
    (void)inflater, (void)data, (void)bytes, (void)keep_context;
}

NN_PRIVATE nn_inflate_kind nn_inflater_read(nn_inflater* inflater, uint8_t* out, size_t out_bytes, size_t* out_written)
{
    (void)inflater, (void)out, (void)out_bytes, (void)out_written;
    return NN_INFLATE_BAD;
}

#endif
