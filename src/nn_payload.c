/* nn_payload - message bodies: name, compression, references. */
#include "nn_payload.h"

#include "nn_bytes.h"
#include "nn_compress.h"

static nn_payload* payload_take(nn_blocks* blocks, size_t bytes)
{
    uint32_t capacity;
    nn_payload* payload = (nn_payload*)nn_blocks_take(blocks, sizeof *payload + bytes, &capacity);
    if (!payload) return NULL;
    payload->blocks = blocks;
    payload->plain = NULL;
    payload->references = 1;
    payload->capacity = capacity;
    payload->bytes = (uint32_t)bytes;
    payload->plain_bytes = 0;
    payload->cost = (uint32_t)bytes;
    payload->flags = 0;
    return payload;
}

/* The same in a block of its own size: what waits must not hold the memory of what it was before compression. */
static nn_payload* payload_fitted(nn_payload* payload)
{
    nn_payload* fitted = payload_take(payload->blocks, payload->bytes);
    if (!fitted) return payload;
    if (fitted->capacity >= payload->capacity) {
        nn_payload_release(fitted);
        return payload;
    }
    fitted->plain_bytes = payload->plain_bytes;
    fitted->cost = payload->cost;
    fitted->flags = payload->flags;
    memcpy(fitted + 1, payload + 1, payload->bytes);
    nn_payload_release(payload);
    return fitted;
}

/* A compressed form of a plain payload, or NULL where there is no gain (or no memory: then plain is as good). */
static nn_payload* payload_compressed(const nn_payload* plain)
{
    nn_payload* packed = payload_take(plain->blocks, plain->bytes);
    if (!packed) return NULL;
    nn_writer writer = nn_writer_of(packed + 1, plain->bytes);
    nn_write_varint(&writer, plain->bytes);
    size_t bytes = nn_compress(nn_payload_data(plain), plain->bytes, writer.at, nn_writer_left(&writer) - 1);
    if (bytes == 0) {
        nn_payload_release(packed);
        return NULL;
    }
    packed->bytes = (uint32_t)(nn_writer_bytes(&writer) + bytes);
    packed->plain_bytes = plain->plain_bytes;
    packed->cost = plain->cost;
    packed->flags = (uint8_t)(plain->flags | NN_CHANNEL_COMPRESSED);
    return payload_fitted(packed);
}

NN_PRIVATE nn_payload* nn_payload_create(nn_blocks* blocks, const void* data, size_t bytes, const char* name,
                                         bool compress)
{
    size_t name_bytes = name ? strlen(name) : 0;
    NN_ASSERT(bytes <= NECPNET_MESSAGE_BYTES_MAX && name_bytes <= NECPNET_NAME_BYTES_MAX);
    nn_payload* payload = payload_take(blocks, bytes + (name ? 1 + name_bytes : 0));
    if (!payload) return NULL;
    uint8_t* body = (uint8_t*)(payload + 1);
    payload->plain_bytes = (uint32_t)bytes;
    if (name) {
        payload->flags = NN_CHANNEL_NAMED;
        *body++ = (uint8_t)name_bytes;
        memcpy(body, name, name_bytes);
        body += name_bytes;
    }
    nn_copy(body, data, bytes);
    if (compress && payload->bytes > NN_COMPRESS_BYTES_MIN) {
        nn_payload* packed = payload_compressed(payload);
        if (packed) {
            nn_payload_release(payload);
            return packed;
        }
    }
    return payload;
}

NN_PRIVATE nn_payload* nn_payload_plain(nn_payload* payload)
{
    if (!(payload->flags & NN_CHANNEL_COMPRESSED)) return payload;
    if (payload->plain) return payload->plain;
    nn_reader reader = nn_reader_of(payload + 1, payload->bytes);
    size_t bytes = (size_t)nn_read_varint(&reader);
    nn_payload* plain = payload_take(payload->blocks, bytes);
    if (!plain) return NULL;
    bool whole = nn_decompress(reader.at, nn_reader_left(&reader), plain + 1, bytes);
    NN_ASSERT(whole);
    (void)whole;
    plain->plain_bytes = payload->plain_bytes;
    plain->flags = (uint8_t)(payload->flags & ~NN_CHANNEL_COMPRESSED);
    payload->plain = plain;
    return plain;
}

NN_PRIVATE void nn_payload_release(nn_payload* payload)
{
    if (!payload) return;
    NN_ASSERT(payload->references > 0);
    if (--payload->references > 0) return;
    nn_payload_release(payload->plain);
    nn_blocks_give(payload->blocks, payload, payload->capacity);
}
