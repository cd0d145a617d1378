/* nn_fragments - which units of a large message are to be sent, and which the peer has. */
#include "nn_fragments.h"

static uint64_t* units_bits(nn_units* set)
{
    return (uint64_t*)(void*)(set + 1);
}

static const uint64_t* units_bits_const(const nn_units* set)
{
    return (const uint64_t*)(const void*)(set + 1);
}

/* Bits [from, to) of one word, to <= 64. */
static uint64_t units_mask(uint32_t from, uint32_t to)
{
    uint64_t below_to = to == 64 ? UINT64_MAX : (UINT64_C(1) << to) - 1;
    return below_to & (UINT64_MAX << from);
}

NN_PRIVATE nn_units* nn_units_create(nn_blocks* blocks, uint32_t units)
{
    uint32_t words = (units + 63) / 64;
    uint32_t capacity;
    nn_units* set = (nn_units*)nn_blocks_take(blocks, sizeof *set + words * sizeof(uint64_t), &capacity);
    if (!set) return NULL;
    memset(set, 0, sizeof *set + words * sizeof(uint64_t));
    set->units = units;
    set->capacity = capacity;
    set->words = words;
    return set;
}

NN_PRIVATE void nn_units_release(nn_blocks* blocks, nn_units* set)
{
    if (set) nn_blocks_give(blocks, set, set->capacity);
}

NN_PRIVATE void nn_units_add(nn_units* set, uint32_t first, uint32_t count)
{
    uint64_t* bits = units_bits(set);
    uint32_t end = first + count;
    NN_ASSERT(end <= set->units);
    while (first < end) {
        uint32_t word = first / 64;
        uint32_t to = end - word * 64 < 64 ? end - word * 64 : 64;
        uint64_t mask = units_mask(first % 64, to);
        set->count += nn_bit_count(mask & ~bits[word]);
        bits[word] |= mask;
        first = word * 64 + to;
    }
}

NN_PRIVATE void nn_units_remove(nn_units* set, uint32_t first, uint32_t count)
{
    uint64_t* bits = units_bits(set);
    uint32_t end = first + count;
    NN_ASSERT(end <= set->units);
    while (first < end) {
        uint32_t word = first / 64;
        uint32_t to = end - word * 64 < 64 ? end - word * 64 : 64;
        uint64_t mask = units_mask(first % 64, to);
        set->count -= nn_bit_count(mask & bits[word]);
        bits[word] &= ~mask;
        first = word * 64 + to;
    }
}

NN_PRIVATE bool nn_units_has(const nn_units* set, uint32_t unit)
{
    return unit < set->units && (units_bits_const(set)[unit / 64] >> (unit % 64) & 1);
}

NN_PRIVATE bool nn_units_run(const nn_units* set, uint32_t from, uint32_t most, uint32_t* out_first,
                             uint32_t* out_count)
{
    const uint64_t* bits = units_bits_const(set);
    uint32_t first = from;
    while (first < set->units) {
        uint64_t word = bits[first / 64] & (UINT64_MAX << (first % 64));
        if (word) {
            first = first / 64 * 64 + nn_lowest_bit(word);
            break;
        }
        first = (first / 64 + 1) * 64;
    }
    if (first >= set->units || most == 0) return false;
    uint32_t limit = set->units - first < most ? set->units : first + most;
    uint32_t end = first;
    while (end < limit) {
        uint64_t gaps = ~bits[end / 64] & (UINT64_MAX << (end % 64));
        if (gaps) {
            end = end / 64 * 64 + nn_lowest_bit(gaps);
            break;
        }
        end = (end / 64 + 1) * 64;
    }
    if (end > limit) end = limit;
    *out_first = first;
    *out_count = end - first;
    return true;
}

NN_PRIVATE nn_fragments* nn_fragments_begin(nn_blocks* blocks, uint16_t id, size_t bytes)
{
    uint32_t units = nn_fragment_units(bytes);
    uint32_t capacity;
    nn_fragments* fragments = (nn_fragments*)nn_blocks_take(blocks, sizeof *fragments, &capacity);
    if (!fragments) return NULL;
    fragments->next = NULL;
    fragments->capacity = capacity;
    fragments->id = id;
    fragments->unsent = nn_units_create(blocks, units);
    fragments->acked = fragments->unsent ? nn_units_create(blocks, units) : NULL;
    if (!fragments->acked) {
        nn_fragments_end(fragments, blocks);
        return NULL;
    }
    nn_units_add(fragments->unsent, 0, units);
    return fragments;
}

NN_PRIVATE void nn_fragments_end(nn_fragments* fragments, nn_blocks* blocks)
{
    nn_units_release(blocks, fragments->unsent);
    nn_units_release(blocks, fragments->acked);
    nn_blocks_give(blocks, fragments, fragments->capacity);
}

NN_PRIVATE bool nn_fragments_acked(nn_fragments* fragments, uint32_t first, uint32_t count)
{
    if (first > fragments->acked->units || count > fragments->acked->units - first) return false;
    nn_units_add(fragments->acked, first, count);
    nn_units_remove(fragments->unsent, first, count);
    return fragments->acked->count == fragments->acked->units;
}

NN_PRIVATE void nn_fragments_lost(nn_fragments* fragments, uint32_t first, uint32_t count)
{
    if (first > fragments->acked->units || count > fragments->acked->units - first) return;
    uint32_t end = first + count;
    while (first < end) {
        uint32_t acked_first, acked_count;
        if (!nn_units_run(fragments->acked, first, end - first, &acked_first, &acked_count) || acked_first >= end) {
            acked_first = end;
            acked_count = 0;
        }
        nn_units_add(fragments->unsent, first, acked_first - first);
        first = acked_first + acked_count;
    }
}
