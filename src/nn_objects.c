/* nn_objects - entities of which there is one a world, or one a session: in view of all, or of that session, always. */
#include "nn_follower.h"
#include "nn_view.h"

static nn_slot_scope objects_scope(necpnet_peer peer)
{
    return peer == NECPNET_PEER_NONE ? NN_SCOPE_WORLD : NN_SCOPE_SESSION;
}

static bool objects_type_is_used(const necpnet_world* world, int type)
{
    for (uint32_t place = 1; place <= world->slot_count; place++) {
        const nn_world_slot* slot = &world->slots[place];
        if ((slot->flags & NN_SLOT_ALIVE) && slot->type == type) return true;
    }
    return false;
}

/* Where the object of a type is noted; NULL: nowhere yet. */
static necpnet_entity* objects_place(const necpnet_world* world, const nn_follower* follower, int type)
{
    necpnet_entity* objects = follower ? follower->objects : world->objects;
    uint32_t count = follower ? follower->object_count : world->object_count;
    for (uint32_t i = 0; i < count; i++) {
        const nn_world_slot* slot = nn_world_find(world, objects[i]);
        if (slot && slot->type == type) return &objects[i];
    }
    return NULL;
}

/* A place for one more: that of one that is gone, or a new one. Filled at once. */
static necpnet_entity* objects_need_place(necpnet_world* world, nn_follower* follower)
{
    necpnet_entity** objects = follower ? &follower->objects : &world->objects;
    uint32_t* count = follower ? &follower->object_count : &world->object_count;
    for (uint32_t i = 0; i < *count; i++) {
        if (!nn_world_find(world, (*objects)[i])) return &(*objects)[i];
    }
    necpnet_entity* grown = (necpnet_entity*)nn_alloc_grow(&world->alloc, *objects, *count * sizeof(necpnet_entity),
                                                           (*count + 1) * sizeof(necpnet_entity));
    if (!grown) return NULL;
    *objects = grown;
    return &grown[(*count)++];
}

/* A live entity becomes the object of its type. */
static necpnet_result objects_adopt(necpnet_world* world, nn_follower* follower, necpnet_entity entity)
{
    necpnet_entity* place = objects_need_place(world, follower);
    if (!place) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_world_slot* slot = nn_world_find(world, entity);
    *place = entity;
    slot->scope = (uint8_t)(follower ? NN_SCOPE_SESSION : NN_SCOPE_WORLD);
    if (follower) slot->owner = follower->peer;
    world->type_scopes[slot->type] = slot->scope;
    return NECPNET_OK;
}

necpnet_result necpnet_world_open_object(necpnet_world* world, uint16_t type_id, necpnet_peer peer,
                                         necpnet_entity* out_entity)
{
    if (!world || !out_entity) return NECPNET_ERR_INVALID_ARGUMENT;
    if (world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    int type = nn_schema_index(world->schema, type_id);
    nn_follower* follower = peer == NECPNET_PEER_NONE ? NULL : nn_follower_find(world, peer);
    if (type < 0 || (peer != NECPNET_PEER_NONE && !follower)) return NECPNET_ERR_NOT_FOUND;
    uint8_t scope = world->type_scopes[type];
    if (scope != (uint8_t)objects_scope(peer) && (scope || objects_type_is_used(world, type))) {
        return NECPNET_ERR_INVALID_STATE;
    }
    const necpnet_entity* there = objects_place(world, follower, type);
    if (there) {
        *out_entity = *there;
        return NECPNET_OK;
    }
    necpnet_entity entity;
    necpnet_result result = nn_world_spawn(world, type, NULL, &entity);
    if (result) return result;
    result = objects_adopt(world, follower, entity);
    if (result) {
        (void)necpnet_world_despawn(world, entity);
    } else {
        *out_entity = entity;
    }
    return result;
}

necpnet_entity necpnet_world_find_object(const necpnet_world* world, uint16_t type_id, necpnet_peer peer)
{
    int type = world ? nn_schema_index(world->schema, type_id) : -1;
    if (type < 0 || world->type_scopes[type] != (uint8_t)objects_scope(peer)) return NECPNET_ENTITY_NONE;
    const nn_follower* follower = peer == NECPNET_PEER_NONE ? NULL : nn_follower_find(world, peer);
    if (peer != NECPNET_PEER_NONE && !follower) return NECPNET_ENTITY_NONE;
    const necpnet_entity* there = objects_place(world, follower, type);
    return there ? *there : NECPNET_ENTITY_NONE;
}

NN_PRIVATE necpnet_result nn_world_adopt_object(necpnet_world* world, necpnet_entity entity)
{
    const nn_world_slot* slot = nn_world_find(world, entity);
    if (objects_place(world, NULL, slot->type)) return NECPNET_ERR_BAD_DATA;
    return objects_adopt(world, NULL, entity);
}

NN_PRIVATE void nn_follower_end_objects(nn_follower* follower)
{
    for (uint32_t i = 0; i < follower->object_count; i++) {
        (void)necpnet_world_despawn(follower->world, follower->objects[i]);
    }
    nn_alloc_give(&follower->world->alloc, follower->objects, follower->object_count * sizeof(necpnet_entity));
    follower->objects = NULL;
    follower->object_count = 0;
}

necpnet_entity necpnet_view_find_object(const necpnet_view* view, uint16_t type_id)
{
    necpnet_entity entity = view ? necpnet_view_next(view, NECPNET_ENTITY_NONE) : NECPNET_ENTITY_NONE;
    while (entity != NECPNET_ENTITY_NONE && necpnet_view_get_type(view, entity) != type_id) {
        entity = necpnet_view_next(view, entity);
    }
    return entity;
}
