/* nn_deadlines - a binary heap of deadlines. Ties fall by place, so that one history has one order. */
#include "nn_deadlines.h"

NN_PRIVATE void nn_deadlines_init(nn_deadlines* deadlines, nn_alloc* alloc)
{
    memset(deadlines, 0, sizeof *deadlines);
    deadlines->alloc = alloc;
}

NN_PRIVATE void nn_deadlines_reset(nn_deadlines* deadlines)
{
    nn_alloc_give(deadlines->alloc, deadlines->heap, deadlines->capacity * sizeof *deadlines->heap);
    nn_deadlines_init(deadlines, deadlines->alloc);
}

NN_PRIVATE necpnet_result nn_deadlines_reserve(nn_deadlines* deadlines, uint32_t count)
{
    if (count <= deadlines->capacity) return NECPNET_OK;
    uint32_t capacity = deadlines->capacity ? deadlines->capacity : 16;
    while (capacity < count) capacity *= 2;
    nn_deadlines_entry* heap = (nn_deadlines_entry*)nn_alloc_grow(
        deadlines->alloc, deadlines->heap, deadlines->capacity * sizeof *heap, capacity * sizeof *heap);
    if (!heap) return NECPNET_ERR_OUT_OF_MEMORY;
    deadlines->heap = heap;
    deadlines->capacity = capacity;
    return NECPNET_OK;
}

static void deadlines_place(nn_deadlines* deadlines, uint32_t index, const nn_deadlines_entry* entry)
{
    deadlines->heap[index] = *entry;
    entry->deadline->place = index + 1;
}

static void deadlines_sift(nn_deadlines* deadlines, uint32_t index, nn_deadlines_entry entry)
{
    nn_deadlines_entry* heap = deadlines->heap;
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (heap[parent].at_us <= entry.at_us) break;
        deadlines_place(deadlines, index, &heap[parent]);
        index = parent;
    }
    for (;;) {
        uint32_t child = index * 2 + 1;
        if (child >= deadlines->count) break;
        if (child + 1 < deadlines->count && heap[child + 1].at_us < heap[child].at_us) child++;
        if (heap[child].at_us >= entry.at_us) break;
        deadlines_place(deadlines, index, &heap[child]);
        index = child;
    }
    deadlines_place(deadlines, index, &entry);
}

NN_PRIVATE void nn_deadlines_set(nn_deadlines* deadlines, nn_deadline* deadline, uint64_t at_us)
{
    if (at_us == NN_NEVER) {
        if (deadline->place == 0) return;
        uint32_t index = deadline->place - 1;
        nn_deadlines_entry last = deadlines->heap[--deadlines->count];
        deadline->place = 0;
        if (last.deadline != deadline) deadlines_sift(deadlines, index, last);
        return;
    }
    nn_deadlines_entry entry = {at_us, deadline};
    if (deadline->place == 0) {
        NN_ASSERT(deadlines->count < deadlines->capacity);
        deadlines_sift(deadlines, deadlines->count++, entry);
    } else {
        deadlines_sift(deadlines, deadline->place - 1, entry);
    }
}

NN_PRIVATE uint64_t nn_deadlines_at_us(const nn_deadlines* deadlines, const nn_deadline* deadline)
{
    return deadline->place ? deadlines->heap[deadline->place - 1].at_us : NN_NEVER;
}

NN_PRIVATE uint64_t nn_deadlines_next(const nn_deadlines* deadlines)
{
    return deadlines->count ? deadlines->heap[0].at_us : NN_NEVER;
}

NN_PRIVATE nn_deadline* nn_deadlines_take(nn_deadlines* deadlines, uint64_t now_us)
{
    if (deadlines->count == 0 || deadlines->heap[0].at_us > now_us) return NULL;
    nn_deadline* deadline = deadlines->heap[0].deadline;
    nn_deadlines_set(deadlines, deadline, NN_NEVER);
    return deadline;
}
