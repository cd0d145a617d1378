/* nn_follower_records - updates that one client was sent and others may be: a record follows from its entity, its version, the
 * known states, and how it is written. Kept for one commit, as a chain a slot. */
#include "nn_follower.h"

#define RECORDS_FIRST 64 /* words */
#define RECORDS_HEAD_WORDS (uint32_t)(sizeof(nn_cached_record) / sizeof(uint64_t))

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
        hash = records_mix(hash, nn_follower_tick(follower, known->number - 1 - newest));
        return records_mix(hash, known->frames >> newest);
    }
    for (uint64_t bits = known->frames; bits; bits &= bits - 1) {
        hash = records_mix(hash, nn_follower_tick(follower, known->number - 1 - nn_lowest_bit(bits)));
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

static nn_cached_record* records_at(const nn_record_cache* cache, uint32_t number)
{
    return (nn_cached_record*)(void*)&cache->words[number];
}

NN_PRIVATE const nn_cached_record* nn_records_find(const necpnet_world* world, const nn_world_slot* slot, uint64_t key)
{
    const nn_record_cache* cache = &world->cache;
    if (cache->commit != world->commit || slot->record_commit != (uint32_t)world->commit) return NULL;
    for (uint32_t at = slot->record_first; at; at = records_at(cache, at)->next) {
        if (records_at(cache, at)->key == key) return records_at(cache, at);
    }
    return NULL;
}

/* Another capacity, with the words so far. False: without memory it stays as it is. */
static bool records_resize(necpnet_world* world, uint32_t capacity)
{
    nn_record_cache* cache = &world->cache;
    uint64_t* words = (uint64_t*)nn_alloc_take(&world->alloc, capacity * sizeof(uint64_t));
    if (!words) return false;
    nn_copy(words, cache->words, nn_min_size(cache->count, capacity) * sizeof(uint64_t));
    nn_alloc_give(&world->alloc, cache->words, cache->capacity * sizeof(uint64_t));
    cache->words = words;
    cache->capacity = capacity;
    return true;
}

/* Those of former commits are forgotten, and what they took is given back when it is far more than is needed of late. */
static void records_begin(necpnet_world* world)
{
    nn_record_cache* cache = &world->cache;
    cache->most = (uint32_t)nn_max_u64(cache->most - cache->most / 64, cache->count);
    cache->commit = world->commit;
    cache->count = 1; /* 0 is none */
    if (cache->capacity / 3 * 2 > cache->most + RECORDS_FIRST)
        (void)records_resize(world, cache->most + cache->most / 4);
}

/* A place for one record more, so many words; 0: there is none. */
static uint32_t records_take(necpnet_world* world, uint32_t words)
{
    nn_record_cache* cache = &world->cache;
    if (cache->commit != world->commit || !cache->count) records_begin(world);
    if (cache->count + words > cache->capacity) {
        uint32_t capacity = cache->capacity + cache->capacity / 4 + RECORDS_FIRST;
        if (capacity > NN_CACHE_WORDS_MAX || !records_resize(world, capacity)) return 0;
    }
    uint32_t number = cache->count;
    cache->count += words;
    return number;
}

NN_PRIVATE void nn_records_keep(necpnet_world* world, nn_world_slot* slot, uint64_t key, const nn_encoder* encoder,
                                size_t from)
{
    size_t bits = encoder->bits.bit_count - from;
    if (encoder->bits.failed || bits > NN_CACHE_RECORD_WORDS * 64) return;
    uint32_t number = records_take(world, RECORDS_HEAD_WORDS + (uint32_t)(bits + 63) / 64);
    if (!number) return;
    nn_bit_reader reader = nn_bit_reader_of(encoder->bits.begin, encoder->bits.bytes_max);
    nn_cached_record* record = records_at(&world->cache, number);
    uint64_t* data = &world->cache.words[number + RECORDS_HEAD_WORDS];
    reader.bit_at = from;
    record->key = key;
    record->bits = (uint32_t)bits;
    record->next = slot->record_commit == (uint32_t)world->commit ? slot->record_first : 0;
    for (unsigned i = 0; i * 64 < bits; i++) {
        data[i] = nn_bits_read(&reader, bits - i * 64 < 64 ? (unsigned)(bits - i * 64) : 64u);
    }
    slot->record_first = number;
    slot->record_commit = (uint32_t)world->commit;
}

NN_PRIVATE void nn_records_put(nn_encoder* encoder, const nn_cached_record* record)
{
    const uint64_t* data = (const uint64_t*)(const void*)(record + 1);
    for (unsigned i = 0; i * 64 < record->bits; i++) {
        nn_bits_write(&encoder->bits, data[i], record->bits - i * 64 < 64 ? record->bits - i * 64 : 64u);
    }
}
