/* nn_blocks - message memory of an endpoint: blocks by size class, kept on free lists so that a steady state takes
 * nothing from the allocator. */
#ifndef NN_BLOCKS_H
#define NN_BLOCKS_H

#include "nn_alloc.h"

#define NN_BLOCK_STEP_BYTES 64          /* classes to 1024 are this far apart, then four a doubling */
#define NN_BLOCK_CLASS_BYTES_MAX 131072 /* larger blocks go to the allocator directly */
#define NN_BLOCK_CLASSES 44             /* 64, 128 .. 1024, 1280, 1536, 1792, 2048, 2560 .. 131072 */
#define NN_BLOCK_FREE_BYTES_MAX 1048576 /* free blocks beyond this go back to the allocator */

typedef struct nn_free_block {
    struct nn_free_block* next;
} nn_free_block;

/* One an endpoint, shared by its sessions. */
typedef struct nn_blocks {
    nn_alloc* alloc;
    size_t free_bytes;
    size_t live_bytes;
    nn_free_block* lists[NN_BLOCK_CLASSES];
} nn_blocks;

NN_PRIVATE void nn_blocks_init(nn_blocks* blocks, nn_alloc* alloc);

/* nn_blocks_reset - give back what is free; nothing may be taken still. */
NN_PRIVATE void nn_blocks_reset(nn_blocks* blocks);

/* nn_blocks_take - at least `bytes` (1 ..), not zeroed; NULL when out of memory.
 *
 *   out_capacity  what was given; goes back with nn_blocks_give.
 */
NN_PRIVATE void* nn_blocks_take(nn_blocks* blocks, size_t bytes, uint32_t* out_capacity);

/* nn_blocks_give - NULL does nothing. */
NN_PRIVATE void nn_blocks_give(nn_blocks* blocks, void* block, uint32_t capacity);

#endif
