/* nn_deadlines - a binary heap of (time, item): many machines, one next deadline, no scan over the idle ones. */
#ifndef NN_DEADLINES_H
#define NN_DEADLINES_H

#include "nn_alloc.h"

/* Embedded in the item that waits. */
typedef struct nn_deadline {
    uint32_t place; /* 1-based place in the heap; 0 not waiting */
} nn_deadline;

/* A place in the heap. The time stands here: sifting then looks at no item but those that it moves. */
typedef struct nn_deadlines_entry {
    uint64_t at_us;
    nn_deadline* deadline;
} nn_deadlines_entry;

typedef struct nn_deadlines {
    nn_alloc* alloc;
    nn_deadlines_entry* heap;
    uint32_t count;
    uint32_t capacity;
} nn_deadlines;

NN_PRIVATE void nn_deadlines_init(nn_deadlines* deadlines, nn_alloc* alloc);
NN_PRIVATE void nn_deadlines_reset(nn_deadlines* deadlines);

/* nn_deadlines_reserve - make room for count items, so that nn_deadlines_set cannot fail. */
NN_PRIVATE necpnet_result nn_deadlines_reserve(nn_deadlines* deadlines, uint32_t count);

/* nn_deadlines_set - insert, move, or (NN_NEVER) remove. Needs reserved room. */
NN_PRIVATE void nn_deadlines_set(nn_deadlines* deadlines, nn_deadline* deadline, uint64_t at_us);

/* nn_deadlines_at_us - of an item that waits; NN_NEVER. */
NN_PRIVATE uint64_t nn_deadlines_at_us(const nn_deadlines* deadlines, const nn_deadline* deadline);

/* nn_deadlines_next - the earliest time, or NN_NEVER. */
NN_PRIVATE uint64_t nn_deadlines_next(const nn_deadlines* deadlines);

/* nn_deadlines_take - the earliest item if it is due, removed; else NULL. */
NN_PRIVATE nn_deadline* nn_deadlines_take(nn_deadlines* deadlines, uint64_t now_us);

#endif
