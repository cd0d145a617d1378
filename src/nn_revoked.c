/* nn_revoked - connect tokens that are refused before their time. */
#include "nn_revoked.h"

#include "nn_bytes.h"

#define REVOKED_CAPACITY_FIRST 16u

NN_PRIVATE void nn_revoked_init(nn_revoked* revoked, nn_alloc* alloc, uint32_t count_max)
{
    memset(revoked, 0, sizeof *revoked);
    revoked->alloc = alloc;
    revoked->count_max = count_max;
}

NN_PRIVATE void nn_revoked_reset(nn_revoked* revoked)
{
    nn_alloc_give(revoked->alloc, revoked->entries, revoked->capacity * sizeof *revoked->entries);
    revoked->entries = NULL;
    revoked->count = revoked->capacity = 0;
}

static void revoked_fill_client(uint8_t id[NN_REVOKED_ID_BYTES], uint64_t client_id)
{
    memset(id, 0, NN_REVOKED_ID_BYTES);
    nn_store_u64(id, client_id);
}

static int revoked_compare(const nn_revocation* entry, bool is_client, const uint8_t* id)
{
    if (entry->is_client != is_client) return entry->is_client ? 1 : -1;
    return memcmp(entry->id, id, NN_REVOKED_ID_BYTES);
}

/* Place of the first entry that is not before this one. */
static uint32_t revoked_find(const nn_revoked* revoked, bool is_client, const uint8_t* id)
{
    uint32_t low = 0, high = revoked->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (revoked_compare(&revoked->entries[middle], is_client, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static const nn_revocation* revoked_get(const nn_revoked* revoked, bool is_client, const uint8_t* id)
{
    uint32_t at = revoked_find(revoked, is_client, id);
    if (at == revoked->count || revoked_compare(&revoked->entries[at], is_client, id) != 0) return NULL;
    return &revoked->entries[at];
}

/* Drop those whose tokens have all expired. */
static void revoked_expire(nn_revoked* revoked, uint64_t wall_us)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < revoked->count; i++) {
        if (revoked->entries[i].at_us + NN_REVOKED_KEEP_US > wall_us) revoked->entries[kept++] = revoked->entries[i];
    }
    revoked->count = kept;
}

static bool revoked_make_room(nn_revoked* revoked, uint64_t wall_us)
{
    if (revoked->count < revoked->capacity) return true;
    revoked_expire(revoked, wall_us);
    if (revoked->count < revoked->capacity) return true;
    if (revoked->count >= revoked->count_max) return false;
    uint32_t capacity = revoked->capacity ? revoked->capacity * 2 : REVOKED_CAPACITY_FIRST;
    if (capacity > revoked->count_max) capacity = revoked->count_max;
    nn_revocation* entries = (nn_revocation*)nn_alloc_take(revoked->alloc, capacity * sizeof *entries);
    if (!entries) return false;
    nn_copy(entries, revoked->entries, revoked->count * sizeof *entries);
    nn_alloc_give(revoked->alloc, revoked->entries, revoked->capacity * sizeof *entries);
    revoked->entries = entries;
    revoked->capacity = capacity;
    return true;
}

static void revoked_add(nn_revoked* revoked, bool is_client, const uint8_t* id, uint64_t wall_us)
{
    bool has_room = revoked_make_room(revoked, wall_us);
    uint32_t at = revoked_find(revoked, is_client, id);
    bool is_known = at < revoked->count && revoked_compare(&revoked->entries[at], is_client, id) == 0;
    if (!is_known && !has_room) {
        revoked->floor_us = wall_us + 1;
        return;
    }
    nn_revocation* entry = &revoked->entries[at];
    if (!is_known) {
        memmove(entry + 1, entry, (revoked->count - at) * sizeof *entry);
        memset(entry, 0, sizeof *entry);
        memcpy(entry->id, id, NN_REVOKED_ID_BYTES);
        entry->is_client = is_client;
        revoked->count++;
    }
    entry->at_us = wall_us;
}

NN_PRIVATE void nn_revoked_add_token(nn_revoked* revoked, const uint8_t id[NN_REVOKED_ID_BYTES], uint64_t wall_us)
{
    revoked_add(revoked, false, id, wall_us);
}

NN_PRIVATE void nn_revoked_add_client(nn_revoked* revoked, uint64_t client_id, uint64_t wall_us)
{
    uint8_t id[NN_REVOKED_ID_BYTES];
    revoked_fill_client(id, client_id);
    revoked_add(revoked, true, id, wall_us);
}

NN_PRIVATE bool nn_revoked_has(const nn_revoked* revoked, const uint8_t id[NN_REVOKED_ID_BYTES], uint64_t client_id,
                               uint64_t issued_us)
{
    if (issued_us < revoked->floor_us) return true;
    if (revoked->count == 0) return false;
    uint8_t client[NN_REVOKED_ID_BYTES];
    revoked_fill_client(client, client_id);
    const nn_revocation* entry = revoked_get(revoked, true, client);
    if (entry && issued_us <= entry->at_us) return true;
    return revoked_get(revoked, false, id) != NULL;
}
