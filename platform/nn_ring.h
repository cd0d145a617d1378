/* nn_ring - records from one thread to one other, lock-free: a bounded ring of bytes with one writer and one reader. */
#ifndef NN_RING_H
#define NN_RING_H

#include "nn_alloc.h"
#include "nn_atomic.h"

#define NN_RING_ALIGNMENT 8u

/* A record is whole: it never wraps. Positions count all bytes ever, modulo 2^32; capacity is a power of two. */
typedef struct nn_ring {
    uint8_t* bytes;
    uint32_t capacity;
    uint32_t writing;   /* the writer's: bytes of the record begun, 0 for none */
    uint32_t read_seen; /* the writer's last look at read_at */
    uint32_t write_at;  /* atomic; the writer's line */
    uint8_t apart[64];
    uint32_t read_at; /* atomic; the reader's line */
    uint32_t reading; /* the reader's: bytes of the record peeked at */
} nn_ring;

NN_PRIVATE necpnet_result nn_ring_init(nn_ring* ring, nn_alloc* alloc, uint32_t capacity);
NN_PRIVATE void nn_ring_reset(nn_ring* ring, nn_alloc* alloc);

/* nn_ring_begin - room for one record, aligned to 8; NULL: too full. nn_ring_commit shows it to the reader. */
NN_PRIVATE void* nn_ring_begin(nn_ring* ring, uint32_t bytes);
NN_PRIVATE void nn_ring_commit(nn_ring* ring);

/* nn_ring_peek - the oldest record, a view until nn_ring_release; NULL: empty. Again gives the same. */
NN_PRIVATE void* nn_ring_peek(nn_ring* ring);
NN_PRIVATE void nn_ring_release(nn_ring* ring);

/* nn_ring_record_max - bytes of the largest record that surely fits an empty ring. */
NN_INLINE uint32_t nn_ring_record_max(const nn_ring* ring)
{
    return ring->capacity / 2 - 2 * NN_RING_ALIGNMENT;
}

#endif
