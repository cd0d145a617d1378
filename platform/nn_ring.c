/* nn_ring - records from one thread to one other. */
#include "nn_ring.h"

#define RING_SKIP UINT32_MAX /* in place of a length: the rest of the ring is empty, go on at its begin */

NN_PRIVATE necpnet_result nn_ring_init(nn_ring* ring, nn_alloc* alloc, uint32_t capacity)
{
    NN_ASSERT(capacity >= 4 * NN_RING_ALIGNMENT && (capacity & (capacity - 1)) == 0);
    memset(ring, 0, sizeof *ring);
    ring->bytes = (uint8_t*)nn_alloc_take(alloc, capacity);
    ring->capacity = ring->bytes ? capacity : 0;
    return ring->bytes ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

NN_PRIVATE void nn_ring_reset(nn_ring* ring, nn_alloc* alloc)
{
    nn_alloc_give(alloc, ring->bytes, ring->capacity);
    memset(ring, 0, sizeof *ring);
}

static uint8_t* ring_place(const nn_ring* ring, uint32_t at)
{
    return ring->bytes + (at & (ring->capacity - 1));
}

/* Whether so many bytes are free behind `at`; looks at the reader's place only when the last look does not suffice. */
static bool ring_has_room(nn_ring* ring, uint32_t at, uint32_t bytes)
{
    if (ring->capacity - (at - ring->read_seen) >= bytes) return true;
    ring->read_seen = nn_atomic_load(&ring->read_at);
    return ring->capacity - (at - ring->read_seen) >= bytes;
}

NN_PRIVATE void* nn_ring_begin(nn_ring* ring, uint32_t bytes)
{
    if (bytes > nn_ring_record_max(ring)) return NULL;
    uint32_t needed = NN_RING_ALIGNMENT + ((bytes + NN_RING_ALIGNMENT - 1) & ~(NN_RING_ALIGNMENT - 1));
    uint32_t at = ring->write_at;
    uint32_t to_end = ring->capacity - (at & (ring->capacity - 1));
    if (needed > to_end) {
        if (!ring_has_room(ring, at, to_end + needed)) return NULL;
        uint32_t skip = RING_SKIP;
        memcpy(ring_place(ring, at), &skip, sizeof skip);
        ring->writing = to_end;
        at += to_end;
    } else {
        if (!ring_has_room(ring, at, needed)) return NULL;
        ring->writing = 0;
    }
    memcpy(ring_place(ring, at), &needed, sizeof needed);
    ring->writing += needed;
    return ring_place(ring, at) + NN_RING_ALIGNMENT;
}

NN_PRIVATE void nn_ring_commit(nn_ring* ring)
{
    nn_atomic_store(&ring->write_at, ring->write_at + ring->writing);
    ring->writing = 0;
}

NN_PRIVATE void* nn_ring_peek(nn_ring* ring)
{
    uint32_t at = ring->read_at;
    uint32_t end = nn_atomic_load(&ring->write_at);
    if (at == end) return NULL;
    uint32_t bytes;
    memcpy(&bytes, ring_place(ring, at), sizeof bytes);
    ring->reading = 0;
    if (bytes == RING_SKIP) {
        ring->reading = ring->capacity - (at & (ring->capacity - 1));
        at += ring->reading; /* the record behind was shown together with the skip */
        memcpy(&bytes, ring_place(ring, at), sizeof bytes);
    }
    ring->reading += bytes;
    return ring_place(ring, at) + NN_RING_ALIGNMENT;
}

NN_PRIVATE void nn_ring_release(nn_ring* ring)
{
    nn_atomic_store(&ring->read_at, ring->read_at + ring->reading);
    ring->reading = 0;
}
