/* nn_payload - the body of a message as it goes over the wire, counted, so that a broadcast stores it once. */
#ifndef NN_PAYLOAD_H
#define NN_PAYLOAD_H

#include "nn_blocks.h"

#define NN_COMPRESS_BYTES_MIN 128 /* bodies of at most this are sent as they are */

typedef struct nn_payload {
    nn_blocks* blocks;
    struct nn_payload* plain; /* uncompressed twin for peers that cannot decompress; made when first wanted */
    uint32_t references;
    uint32_t capacity;
    uint32_t bytes;       /* on the wire */
    uint32_t plain_bytes; /* as the application gave it, without name */
    uint32_t cost;        /* of credit: bytes before compression, with name */
    uint8_t flags;        /* NN_CHANNEL_COMPRESSED | NN_CHANNEL_NAMED */
} nn_payload;

/* The two high bits of the channel byte on the wire. */
#define NN_CHANNEL_COMPRESSED 0x40
#define NN_CHANNEL_NAMED 0x80

/* nn_payload_create - copy a message; one reference. name NULL or 1 .. NECPNET_NAME_BYTES_MAX bytes. NULL when out of
 * memory. */
NN_PRIVATE nn_payload* nn_payload_create(nn_blocks* blocks, const void* data, size_t bytes, const char* name,
                                         bool compress);

/* nn_payload_plain - the uncompressed form, owned by payload (no reference of its own); NULL when out of memory. */
NN_PRIVATE nn_payload* nn_payload_plain(nn_payload* payload);

NN_INLINE nn_payload* nn_payload_acquire(nn_payload* payload)
{
    payload->references++;
    return payload;
}

/* nn_payload_release - give a reference back; NULL does nothing. */
NN_PRIVATE void nn_payload_release(nn_payload* payload);

NN_INLINE const uint8_t* nn_payload_data(const nn_payload* payload)
{
    return (const uint8_t*)(payload + 1);
}

#endif
