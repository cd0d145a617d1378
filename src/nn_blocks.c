/* nn_blocks - message memory by size class. */
#include "nn_blocks.h"

#define BLOCKS_STEPS_BYTES_MAX 1024 /* the last class of equal steps */
#define BLOCKS_STEPS (BLOCKS_STEPS_BYTES_MAX / NN_BLOCK_STEP_BYTES)

/* Class of a size up to NN_BLOCK_CLASS_BYTES_MAX, and the size of its blocks. */
static unsigned blocks_class(size_t bytes, uint32_t* out_capacity)
{
    if (bytes <= BLOCKS_STEPS_BYTES_MAX) {
        unsigned step = bytes ? (unsigned)((bytes - 1) / NN_BLOCK_STEP_BYTES) : 0;
        *out_capacity = (step + 1) * NN_BLOCK_STEP_BYTES;
        return step;
    }
    unsigned at = BLOCKS_STEPS;
    uint32_t base = BLOCKS_STEPS_BYTES_MAX;
    for (; base * 2 < bytes; base *= 2) at += 4;
    uint32_t quarter = ((uint32_t)bytes - base + base / 4 - 1) / (base / 4); /* 1 .. 4 */
    *out_capacity = base + quarter * (base / 4);
    return at + quarter - 1;
}

/* Size of the blocks of a class. */
static uint32_t blocks_class_bytes(unsigned at)
{
    if (at < BLOCKS_STEPS) return (at + 1) * NN_BLOCK_STEP_BYTES;
    uint32_t base = (uint32_t)BLOCKS_STEPS_BYTES_MAX << ((at - BLOCKS_STEPS) / 4);
    return base + ((at - BLOCKS_STEPS) % 4 + 1) * (base / 4);
}

NN_PRIVATE void nn_blocks_init(nn_blocks* blocks, nn_alloc* alloc)
{
    memset(blocks, 0, sizeof *blocks);
    blocks->alloc = alloc;
}

NN_PRIVATE void nn_blocks_reset(nn_blocks* blocks)
{
    NN_ASSERT(blocks->live_bytes == 0);
    for (unsigned i = 0; i < NN_BLOCK_CLASSES; i++) {
        uint32_t capacity = blocks_class_bytes(i);
        while (blocks->lists[i]) {
            nn_free_block* block = blocks->lists[i];
            blocks->lists[i] = block->next;
            nn_alloc_give(blocks->alloc, block, capacity);
        }
    }
    blocks->free_bytes = 0;
}

NN_PRIVATE void* nn_blocks_take(nn_blocks* blocks, size_t bytes, uint32_t* out_capacity)
{
    void* memory;
    NN_ASSERT(bytes > 0 && bytes <= UINT32_MAX);
    if (NN_UNLIKELY(bytes > NN_BLOCK_CLASS_BYTES_MAX)) {
        *out_capacity = (uint32_t)bytes;
        memory = nn_alloc_take(blocks->alloc, bytes);
    } else {
        unsigned at = blocks_class(bytes, out_capacity);
        nn_free_block* block = blocks->lists[at];
        if (NN_LIKELY(block != NULL)) {
            blocks->lists[at] = block->next;
            blocks->free_bytes -= *out_capacity;
            memory = block;
        } else {
            memory = nn_alloc_take(blocks->alloc, *out_capacity);
        }
    }
    if (memory) blocks->live_bytes += *out_capacity;
    return memory;
}

NN_PRIVATE void nn_blocks_give(nn_blocks* blocks, void* block, uint32_t capacity)
{
    if (!block) return;
    NN_ASSERT(blocks->live_bytes >= capacity);
    blocks->live_bytes -= capacity;
    if (capacity > NN_BLOCK_CLASS_BYTES_MAX || blocks->free_bytes + capacity > NN_BLOCK_FREE_BYTES_MAX) {
        nn_alloc_give(blocks->alloc, block, capacity);
        return;
    }
    uint32_t class_bytes;
    unsigned at = blocks_class(capacity, &class_bytes);
    NN_ASSERT(class_bytes == capacity);
    nn_free_block* free_block = (nn_free_block*)block;
    free_block->next = blocks->lists[at];
    blocks->lists[at] = free_block;
    blocks->free_bytes += capacity;
}
