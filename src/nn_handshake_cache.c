/* nn_handshake_cache - spent tokens and ACCEPTs, both bounded. */
#include "nn_handshake_cache.h"

#include "nn_bytes.h"
#include "nn_hash.h"

#define CACHE_CAPACITY_MIN 64u
#define CACHE_NONE UINT32_MAX

/* ---- spent tokens ---- */

NN_PRIVATE void nn_spent_init(nn_spent* spent, nn_alloc* alloc, size_t count_max)
{
    memset(spent, 0, sizeof *spent);
    spent->alloc = alloc;
    spent->count_max = count_max;
}

NN_PRIVATE void nn_spent_reset(nn_spent* spent)
{
    nn_alloc_give(spent->alloc, spent->entries, spent->capacity * sizeof *spent->entries);
    spent->entries = NULL;
    spent->capacity = 0;
    spent->count = 0;
}

/* Token ids come from a backend's random source through a seal: their own bytes are the hash. */
static size_t cache_spent_slot(const nn_spent* spent, const uint8_t* id)
{
    size_t slot = (size_t)nn_load_u64(id) & (spent->capacity - 1);
    while (spent->entries[slot].expires_us && memcmp(spent->entries[slot].id, id, NN_SPENT_ID_BYTES) != 0) {
        slot = (slot + 1) & (spent->capacity - 1);
    }
    return slot;
}

NN_PRIVATE bool nn_spent_has(const nn_spent* spent, const uint8_t id[NN_SPENT_ID_BYTES])
{
    return spent->capacity && spent->entries[cache_spent_slot(spent, id)].expires_us;
}

NN_PRIVATE necpnet_result nn_spent_reserve(nn_spent* spent, uint64_t wall_us)
{
    /* At most three quarters full, so that probing ends soon. */
    if (spent->count < spent->count_max && (spent->count + 1) * 4 <= spent->capacity * 3) return NECPNET_OK;
    size_t alive = 0;
    for (size_t i = 0; i < spent->capacity; i++) {
        uint64_t expires_us = spent->entries[i].expires_us;
        if (expires_us && expires_us + NN_SPENT_KEEP_US > wall_us) alive++;
    }
    if (alive >= spent->count_max) return NECPNET_ERR_LIMIT_REACHED;
    /* At most half full after a rebuild, so that rebuilds are rare. */
    size_t capacity = CACHE_CAPACITY_MIN;
    while ((alive + 1) * 2 > capacity) capacity *= 2;
    nn_spent larger = *spent;
    larger.count = 0;
    larger.capacity = capacity;
    larger.entries = (nn_spent_entry*)nn_alloc_take(spent->alloc, capacity * sizeof *larger.entries);
    if (!larger.entries) return NECPNET_ERR_OUT_OF_MEMORY;
    for (size_t i = 0; i < spent->capacity; i++) {
        const nn_spent_entry* entry = &spent->entries[i];
        if (entry->expires_us && entry->expires_us + NN_SPENT_KEEP_US > wall_us) {
            nn_spent_add(&larger, entry->id, entry->expires_us);
        }
    }
    nn_spent_reset(spent);
    *spent = larger;
    return NECPNET_OK;
}

NN_PRIVATE void nn_spent_add(nn_spent* spent, const uint8_t id[NN_SPENT_ID_BYTES], uint64_t expires_us)
{
    NN_ASSERT(expires_us && spent->count < spent->capacity);
    nn_spent_entry* entry = &spent->entries[cache_spent_slot(spent, id)];
    NN_ASSERT(!entry->expires_us);
    memcpy(entry->id, id, NN_SPENT_ID_BYTES);
    entry->expires_us = expires_us;
    spent->count++;
}

NN_PRIVATE necpnet_result nn_spent_spend(nn_spent* spent, const uint8_t id[NN_SPENT_ID_BYTES], uint64_t expires_us,
                                         uint64_t wall_us)
{
    if (nn_spent_has(spent, id)) return NECPNET_ERR_TOKEN_SPENT;
    necpnet_result result = nn_spent_reserve(spent, wall_us);
    if (result == NECPNET_OK) nn_spent_add(spent, id, expires_us);
    return result;
}

/* ---- ACCEPTs ---- */

NN_PRIVATE void nn_accepts_init(nn_accepts* accepts, nn_alloc* alloc, uint32_t capacity_max, uint64_t life_us,
                                const uint8_t hash_key[16])
{
    NN_ASSERT(capacity_max >= CACHE_CAPACITY_MIN && (capacity_max & (capacity_max - 1)) == 0);
    memset(accepts, 0, sizeof *accepts);
    accepts->alloc = alloc;
    accepts->capacity_max = capacity_max;
    accepts->life_us = life_us;
    memcpy(accepts->hash_key, hash_key, sizeof accepts->hash_key);
}

static uint32_t* cache_accepts_head(const nn_accepts* accepts, const uint8_t* key)
{
    uint64_t hash = nn_siphash64(accepts->hash_key, key, NN_ACCEPT_KEY_BYTES);
    return &accepts->heads[hash & (accepts->capacity - 1)];
}

static void cache_accepts_drop_first(nn_accepts* accepts)
{
    nn_accept_entry* entry = &accepts->entries[accepts->first];
    uint32_t* link = cache_accepts_head(accepts, entry->key);
    while (*link != accepts->first) link = &accepts->entries[*link].next;
    *link = entry->next;
    nn_wipe(entry->data, entry->bytes);
    nn_alloc_give(accepts->alloc, entry->data, entry->bytes);
    memset(entry, 0, sizeof *entry);
    accepts->first = (accepts->first + 1) & (accepts->capacity - 1);
    accepts->count--;
}

NN_PRIVATE void nn_accepts_expire(nn_accepts* accepts, uint64_t now_us)
{
    while (accepts->count && now_us - accepts->entries[accepts->first].made_us > accepts->life_us) {
        cache_accepts_drop_first(accepts);
    }
}

NN_PRIVATE void nn_accepts_reset(nn_accepts* accepts)
{
    while (accepts->count) cache_accepts_drop_first(accepts);
    nn_alloc_give(accepts->alloc, accepts->entries, accepts->capacity * sizeof *accepts->entries);
    nn_alloc_give(accepts->alloc, accepts->heads, accepts->capacity * sizeof *accepts->heads);
    accepts->entries = NULL;
    accepts->heads = NULL;
    accepts->capacity = 0;
}

NN_PRIVATE const uint8_t* nn_accepts_find(nn_accepts* accepts, const uint8_t key[NN_ACCEPT_KEY_BYTES], uint64_t now_us,
                                          size_t* out_bytes)
{
    nn_accepts_expire(accepts, now_us);
    if (!accepts->count) return NULL;
    for (uint32_t at = *cache_accepts_head(accepts, key); at != CACHE_NONE; at = accepts->entries[at].next) {
        const nn_accept_entry* entry = &accepts->entries[at];
        if (memcmp(entry->key, key, NN_ACCEPT_KEY_BYTES) == 0) {
            *out_bytes = entry->bytes;
            return entry->data;
        }
    }
    return NULL;
}

static necpnet_result cache_accepts_grow(nn_accepts* accepts)
{
    nn_accepts larger = *accepts;
    larger.capacity = accepts->capacity ? accepts->capacity * 2 : CACHE_CAPACITY_MIN;
    larger.first = 0;
    larger.entries = (nn_accept_entry*)nn_alloc_take(accepts->alloc, larger.capacity * sizeof *larger.entries);
    larger.heads = (uint32_t*)nn_alloc_take(accepts->alloc, larger.capacity * sizeof *larger.heads);
    if (!larger.entries || !larger.heads) {
        nn_alloc_give(accepts->alloc, larger.entries, larger.capacity * sizeof *larger.entries);
        nn_alloc_give(accepts->alloc, larger.heads, larger.capacity * sizeof *larger.heads);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < larger.capacity; i++) larger.heads[i] = CACHE_NONE;
    for (uint32_t i = 0; i < accepts->count; i++) {
        larger.entries[i] = accepts->entries[(accepts->first + i) & (accepts->capacity - 1)];
        uint32_t* head = cache_accepts_head(&larger, larger.entries[i].key);
        larger.entries[i].next = *head;
        *head = i;
    }
    nn_alloc_give(accepts->alloc, accepts->entries, accepts->capacity * sizeof *accepts->entries);
    nn_alloc_give(accepts->alloc, accepts->heads, accepts->capacity * sizeof *accepts->heads);
    *accepts = larger;
    return NECPNET_OK;
}

NN_PRIVATE void nn_accepts_take_back(nn_accepts* accepts)
{
    NN_ASSERT(accepts->count > 0);
    uint32_t at = (accepts->first + accepts->count - 1) & (accepts->capacity - 1);
    nn_accept_entry* entry = &accepts->entries[at];
    *cache_accepts_head(accepts, entry->key) = entry->next; /* the newest stands first in its chain */
    nn_wipe(entry->data, entry->bytes);
    nn_alloc_give(accepts->alloc, entry->data, entry->bytes);
    memset(entry, 0, sizeof *entry);
    accepts->count--;
}

NN_PRIVATE necpnet_result nn_accepts_put(nn_accepts* accepts, const uint8_t key[NN_ACCEPT_KEY_BYTES],
                                         const uint8_t* data, size_t bytes, uint64_t now_us)
{
    nn_accepts_expire(accepts, now_us);
    uint8_t* copy = (uint8_t*)nn_alloc_take(accepts->alloc, bytes);
    if (!copy) return NECPNET_ERR_OUT_OF_MEMORY;
    if (accepts->count == accepts->capacity) {
        if (accepts->capacity >= accepts->capacity_max) {
            cache_accepts_drop_first(accepts);
        } else if (cache_accepts_grow(accepts)) {
            nn_alloc_give(accepts->alloc, copy, bytes);
            return NECPNET_ERR_OUT_OF_MEMORY;
        }
    }
    memcpy(copy, data, bytes);
    uint32_t at = (accepts->first + accepts->count) & (accepts->capacity - 1);
    nn_accept_entry* entry = &accepts->entries[at];
    uint32_t* head = cache_accepts_head(accepts, key);
    memcpy(entry->key, key, NN_ACCEPT_KEY_BYTES);
    entry->made_us = now_us;
    entry->data = copy;
    entry->bytes = bytes;
    entry->next = *head;
    *head = at;
    accepts->count++;
    return NECPNET_OK;
}
