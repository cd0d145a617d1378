/* nn_alloc - memory through the instance's allocator, counted. */
#ifndef NN_ALLOC_H
#define NN_ALLOC_H

#include "nn_base.h"

/* One a live instance; every block is taken and given back with its size. */
typedef struct nn_alloc {
    necpnet_allocator allocator;
    size_t bytes;      /* held now */
    size_t bytes_peak; /* most ever held */
} nn_alloc;

/* nn_alloc_init - NULL allocator means malloc and free. */
NN_PRIVATE void nn_alloc_init(nn_alloc* alloc, const necpnet_allocator* allocator);

/* nn_alloc_take - zeroed memory, or NULL. bytes 0 gives NULL. */
NN_PRIVATE void* nn_alloc_take(nn_alloc* alloc, size_t bytes);

/* nn_alloc_give - give back what nn_alloc_take gave, with the same size. NULL does nothing. */
NN_PRIVATE void nn_alloc_give(nn_alloc* alloc, void* memory, size_t bytes);

/* nn_alloc_grow - move a block to a larger size, new bytes zeroed; NULL leaves the old block whole. */
NN_PRIVATE void* nn_alloc_grow(nn_alloc* alloc, void* memory, size_t bytes, size_t bytes_new);

#endif
