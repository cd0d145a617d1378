/* nn_alloc - memory through the instance's allocator, counted. */
#include "nn_alloc.h"

#include <stdlib.h>

static void* alloc_default_allocate(size_t bytes, void* user)
{
    (void)user;
    return malloc(bytes);
}

static void alloc_default_release(void* memory, size_t bytes, void* user)
{
    (void)bytes;
    (void)user;
    free(memory);
}

NN_PRIVATE void nn_alloc_init(nn_alloc* alloc, const necpnet_allocator* allocator)
{
    memset(alloc, 0, sizeof *alloc);
    if (allocator && allocator->allocate && allocator->release) {
        alloc->allocator = *allocator;
    } else {
        alloc->allocator.allocate = alloc_default_allocate;
        alloc->allocator.release = alloc_default_release;
    }
}

NN_PRIVATE void* nn_alloc_take(nn_alloc* alloc, size_t bytes)
{
    if (bytes == 0) return NULL;
    void* memory = alloc->allocator.allocate(bytes, alloc->allocator.user);
    if (!memory) return NULL;
    memset(memory, 0, bytes);
    alloc->bytes += bytes;
    if (alloc->bytes > alloc->bytes_peak) alloc->bytes_peak = alloc->bytes;
    return memory;
}

NN_PRIVATE void nn_alloc_give(nn_alloc* alloc, void* memory, size_t bytes)
{
    if (!memory) return;
    NN_ASSERT(alloc->bytes >= bytes);
    alloc->bytes -= bytes;
    alloc->allocator.release(memory, bytes, alloc->allocator.user);
}

NN_PRIVATE void* nn_alloc_grow(nn_alloc* alloc, void* memory, size_t bytes, size_t bytes_new)
{
    NN_ASSERT(bytes_new >= bytes);
    void* larger = nn_alloc_take(alloc, bytes_new);
    if (!larger) return NULL;
    nn_copy(larger, memory, bytes);
    nn_alloc_give(alloc, memory, bytes);
    return larger;
}
