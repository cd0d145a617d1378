/* nn_user_ids - a hash by number. */
#include "nn_user_ids.h"

#define USER_IDS_FIRST 64

NN_PRIVATE void nn_user_ids_init(nn_user_ids* ids, nn_alloc* alloc)
{
    memset(ids, 0, sizeof *ids);
    ids->alloc = alloc;
}

NN_PRIVATE void nn_user_ids_reset(nn_user_ids* ids)
{
    if (ids->alloc) nn_alloc_give(ids->alloc, ids->places, ids->capacity * sizeof(nn_user_id));
    nn_user_ids_init(ids, ids->alloc);
}

static uint32_t user_ids_home(const nn_user_ids* ids, uint64_t id)
{
    id = (id ^ id >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(id >> 32) & (ids->capacity - 1);
}

/* Where a number is, or would be. */
static uint32_t user_ids_place(const nn_user_ids* ids, uint64_t id)
{
    uint32_t at = user_ids_home(ids, id);
    while (ids->places[at].entity && ids->places[at].id != id) at = (at + 1) & (ids->capacity - 1);
    return at;
}

NN_PRIVATE necpnet_entity nn_user_ids_find(const nn_user_ids* ids, uint64_t id)
{
    return ids->count && id ? ids->places[user_ids_place(ids, id)].entity : NECPNET_ENTITY_NONE;
}

static bool user_ids_reserve(nn_user_ids* ids)
{
    if ((ids->count + 1) * 3 <= ids->capacity * 2) return true;
    nn_user_ids larger = *ids;
    larger.capacity = ids->capacity ? ids->capacity * 2 : USER_IDS_FIRST;
    larger.places = (nn_user_id*)nn_alloc_take(ids->alloc, larger.capacity * sizeof(nn_user_id));
    if (!larger.places) return false;
    for (uint32_t i = 0; i < ids->capacity; i++) {
        if (ids->places[i].entity) larger.places[user_ids_place(&larger, ids->places[i].id)] = ids->places[i];
    }
    nn_alloc_give(ids->alloc, ids->places, ids->capacity * sizeof(nn_user_id));
    *ids = larger;
    return true;
}

/* Those behind it that had to go on from its place move up. */
static void user_ids_remove(nn_user_ids* ids, uint64_t id)
{
    uint32_t hole = user_ids_place(ids, id);
    uint32_t at = hole;
    for (;;) {
        at = (at + 1) & (ids->capacity - 1);
        if (!ids->places[at].entity) break;
        uint32_t home = user_ids_home(ids, ids->places[at].id);
        if (((at - home) & (ids->capacity - 1)) < ((at - hole) & (ids->capacity - 1))) continue;
        ids->places[hole] = ids->places[at];
        hole = at;
    }
    ids->places[hole].entity = NECPNET_ENTITY_NONE;
    ids->count--;
}

NN_PRIVATE necpnet_result nn_user_ids_change(nn_user_ids* ids, necpnet_entity entity, uint64_t* slot_id, uint64_t id)
{
    if (*slot_id == id) return NECPNET_OK;
    if (nn_user_ids_find(ids, id)) return NECPNET_ERR_ALREADY_EXISTS;
    if (id && !user_ids_reserve(ids)) return NECPNET_ERR_OUT_OF_MEMORY;
    if (*slot_id) user_ids_remove(ids, *slot_id);
    *slot_id = id;
    if (!id) return NECPNET_OK;
    uint32_t at = user_ids_place(ids, id);
    ids->places[at].id = id;
    ids->places[at].entity = entity;
    ids->count++;
    return NECPNET_OK;
}
