/* nn_fragments - messages larger than a packet, cut at multiples of 16 bytes: which units are to be sent, which the peer
 * has. Any run of units may be one fragment, so a resend fits whatever the packet size has become. */
#ifndef NN_FRAGMENTS_H
#define NN_FRAGMENTS_H

#include "nn_blocks.h"

#define NN_FRAGMENT_UNIT_BYTES 16
#define NN_FRAGMENTED_AT_ONCE_MAX 128  /* messages of a reliable (un)ordered channel that are partly with the peer */
#define NN_FRAGMENTS_UNRELIABLE_MAX 32 /* of a message that is not reliable ordered or unordered .. */
#define NN_FRAGMENT_BYTES_TYPICAL 1152 /* .. of which each carries about so much: 36,864 bytes in all */
#define NN_FRAGMENTED_BYTES_UNRELIABLE_MAX (NN_FRAGMENTS_UNRELIABLE_MAX * NN_FRAGMENT_BYTES_TYPICAL)

NN_INLINE uint32_t nn_fragment_units(size_t bytes)
{
    return (uint32_t)((bytes + NN_FRAGMENT_UNIT_BYTES - 1) / NN_FRAGMENT_UNIT_BYTES);
}

/* nn_units: a set of units of one message. The bits follow the struct in one block. */
typedef struct nn_units {
    uint32_t units;
    uint32_t count; /* of units in the set */
    uint32_t capacity;
    uint32_t words;
} nn_units;

/* nn_units_create - an empty set; NULL when out of memory. nn_units_release: NULL does nothing. */
NN_PRIVATE nn_units* nn_units_create(nn_blocks* blocks, uint32_t units);
NN_PRIVATE void nn_units_release(nn_blocks* blocks, nn_units* set);

/* nn_units_add, nn_units_remove - a run. nn_units_has - one. */
NN_PRIVATE void nn_units_add(nn_units* set, uint32_t first, uint32_t count);
NN_PRIVATE void nn_units_remove(nn_units* set, uint32_t first, uint32_t count);
NN_PRIVATE bool nn_units_has(const nn_units* set, uint32_t unit);

/* nn_units_run - the first run of members at or after `from`, at most `most` long; false if there is none. */
NN_PRIVATE bool nn_units_run(const nn_units* set, uint32_t from, uint32_t most, uint32_t* out_first,
                             uint32_t* out_count);

/* One message on its way out in fragments, on a reliable channel; on the channel's list until the peer has it. */
typedef struct nn_fragments {
    struct nn_fragments* next;
    nn_units* unsent; /* to be sent now */
    nn_units* acked;  /* the peer has them */
    uint32_t capacity;
    uint16_t id; /* message */
} nn_fragments;

/* nn_fragments_begin - all units to do; NULL when out of memory. nn_fragments_end releases it, not what follows. */
NN_PRIVATE nn_fragments* nn_fragments_begin(nn_blocks* blocks, uint16_t id, size_t bytes);
NN_PRIVATE void nn_fragments_end(nn_fragments* fragments, nn_blocks* blocks);

/* nn_fragments_acked - whether the peer now has all. nn_fragments_lost - to do again, unless acknowledged. Runs may come
 * from stale contents and be out of range: then nothing happens. */
NN_PRIVATE bool nn_fragments_acked(nn_fragments* fragments, uint32_t first, uint32_t count);
NN_PRIVATE void nn_fragments_lost(nn_fragments* fragments, uint32_t first, uint32_t count);

/* value of a NN_SENT_FRAGMENT */
NN_INLINE uint32_t nn_fragment_value(uint32_t first, uint32_t count)
{
    return first | count << 17;
}

#define NN_FRAGMENT_UNITS_AT_ONCE_MAX 32767 /* 15 bits of the value above */

#endif
