/* nn_follower_records - updates that one client was sent and others may be: a record follows from its entity, its version, the
 * known states, and how it is written. Kept for one commit, as a chain a slot. */
#include "nn_follower.h"

#define RECORDS_FIRST 64

static uint64_t records_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

NN_PRIVATE uint64_t nn_records_known(const nn_follower* follower, const nn_known* known)
{
    uint64_t hash = records_mix(0, follower->world->tick);
    if (known->reach && known->reach < follower->even_frames) { /* a frame a tick: the newest tells them all */
        unsigned newest = nn_lowest_bit(known->frames);
        hash = records_mix(hash, follower->ticks[(known->number - 1 - newest) & 63]);
        return records_mix(hash, known->frames >> newest);
    }
    for (uint64_t bits = known->frames; bits; bits &= bits - 1) {
        hash = records_mix(hash, follower->ticks[(known->number - 1 - nn_lowest_bit(bits)) & 63]);
    }
    return hash;
}

NN_PRIVATE uint64_t nn_records_key(const nn_follower* follower, const nn_follower_state* state,
                                   const nn_follower_recent* recent, const nn_known* known, uint64_t known_hash,
                                   bool special)
{
    const nn_world_slot* slot = &follower->world->slots[state->place];
    uint64_t held = recent ? recent->acked & ((UINT64_C(1) << known->reach) - 1) : 0;
    /* masks count from the newest known frame on, so that clients of different round trips differ by ticks alone */
    unsigned first = known->frames ? nn_lowest_bit(known->frames) : 0;
    uint64_t how =
        (state->flags & NN_FOLLOWER_OWNER ? 1u : 0u) | (special ? 2u : 0u) | (follower->own_tables ? 4u : 0u);
    uint64_t hash = records_mix(known_hash, (uint64_t)state->generation << 35 | how << 32 | slot->version);
    hash = records_mix(hash, held >> first);
    if (!held) return records_mix(hash, state->base_tick); /* and by that its version */
    return records_mix(hash, (recent->full & held) >> first);
}

NN_PRIVATE const nn_cached_record* nn_records_find(const necpnet_world* world, const nn_world_slot* slot, uint64_t key)
{
    const nn_record_cache* cache = &world->cache;
    if (cache->commit != world->commit || slot->record_commit != (uint32_t)world->commit) return NULL;
    for (uint32_t at = slot->record_first; at; at = cache->records[at].next) {
        if (cache->records[at].key == key) return &cache->records[at];
    }
    return NULL;
}

/* A place for one record more; those of former commits are forgotten. NULL: there is none. */
static nn_cached_record* records_take(necpnet_world* world)
{
    nn_record_cache* cache = &world->cache;
    if (cache->commit != world->commit || !cache->count) cache->count = 1; /* 0 is none */
    cache->commit = world->commit;
    if (cache->count == cache->capacity || !cache->capacity) {
        uint32_t capacity = cache->capacity ? cache->capacity * 2 : RECORDS_FIRST;
        if (capacity > NN_CACHE_RECORDS_MAX) return NULL;
        nn_cached_record* records =
            (nn_cached_record*)nn_alloc_grow(&world->alloc, cache->records, cache->capacity * sizeof(nn_cached_record),
                                             capacity * sizeof(nn_cached_record));
        if (!records) return NULL;
        cache->records = records;
        cache->capacity = capacity;
    }
    return &cache->records[cache->count++];
}

NN_PRIVATE void nn_records_keep(necpnet_world* world, nn_world_slot* slot, uint64_t key, const nn_encoder* encoder,
                                size_t from)
{
    size_t bits = encoder->bits.bit_count - from;
    if (encoder->bits.failed || bits > NN_CACHE_RECORD_WORDS * 64) return;
    nn_cached_record* record = records_take(world);
    if (!record) return;
    nn_bit_reader reader = nn_bit_reader_of(encoder->bits.begin, encoder->bits.bytes_max);
    reader.bit_at = from;
    record->key = key;
    record->bits = (uint32_t)bits;
    record->next = slot->record_commit == (uint32_t)world->commit ? slot->record_first : 0;
    for (unsigned i = 0; i * 64 < bits; i++) {
        record->data[i] = nn_bits_read(&reader, bits - i * 64 < 64 ? (unsigned)(bits - i * 64) : 64u);
    }
    slot->record_first = (uint32_t)(record - world->cache.records);
    slot->record_commit = (uint32_t)world->commit;
}

NN_PRIVATE void nn_records_put(nn_encoder* encoder, const nn_cached_record* record)
{
    for (unsigned i = 0; i * 64 < record->bits; i++) {
        nn_bits_write(&encoder->bits, record->data[i], record->bits - i * 64 < 64 ? record->bits - i * 64 : 64u);
    }
}
