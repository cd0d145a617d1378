/* nn_world - its slots: who is there, and what the application may ask and change. What followers do with it is in nn_follower.c. */
#include "nn_world.h"

#include "nn_log.h"

#define WORLD_SLOTS_FIRST 64
#define WORLD_BUCKETS_FIRST 16
#define WORLD_HISTORY_FIRST 2
#define WORLD_PRIORITY 16

necpnet_result necpnet_world_config_default(necpnet_world_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->entities_max = 4096;
    config->send_hz = 20;
    config->client_bytes_per_s = 32000;
    config->history_ticks = 64;
    config->slow_ticks = 6;
    config->tick_hz = 60;
    config->interest_radius = 2;
    config->check_interval_ms = 10000;
    return NECPNET_OK;
}

static bool world_check_config(const necpnet_world_config* config)
{
    const char* wrong = NULL;
    if (!config->schema)
        wrong = "schema must be set";
    else if (config->entities_max < 1 || config->entities_max > NN_WORLD_SLOTS_MAX)
        wrong = "entities_max: 1 .. 65,535";
    else if (config->send_hz < 1 || config->send_hz > 120)
        wrong = "send_hz: 1 .. 120";
    else if (config->client_bytes_per_s < 1000)
        wrong = "client_bytes_per_s: 1,000 or more";
    else if (config->history_ticks < 8 || config->history_ticks > 256)
        wrong = "history_ticks: 8 .. 256";
    else if (config->slow_ticks < 1 || config->slow_ticks > 1000)
        wrong = "slow_ticks: 1 .. 1,000";
    else if (config->tick_hz < 1 || config->tick_hz > 1000)
        wrong = "tick_hz: 1 .. 1,000";
    else if (config->check_interval_ms && (config->check_interval_ms < 1000 || config->check_interval_ms > 3600000))
        wrong = "check_interval_ms: 0 (never), or 1,000 .. 3,600,000";
    else if ((int)config->codec < NECPNET_CODEC_DEFAULT || config->codec > NECPNET_CODEC_THIN)
        wrong = "codec: NECPNET_CODEC_DEFAULT or NECPNET_CODEC_THIN";
    else if (!(config->interest_cell >= 0 && config->interest_cell <= 1e12))
        wrong = "interest_cell: 0 (no grid), or a size up to 1e12";
    else if (config->interest_radius > NN_INTEREST_RADIUS_MAX)
        wrong = "interest_radius: 0 .. 15";
    else if ((int)config->interest_plane < NECPNET_PLANE_XY || config->interest_plane > NECPNET_PLANE_YZ)
        wrong = "interest_plane: NECPNET_PLANE_XY, NECPNET_PLANE_XZ or NECPNET_PLANE_YZ";
    if (wrong) nn_log_write(&config->logger, NECPNET_LOG_ERROR, "world config: %s", wrong);
    return !wrong;
}

static uint32_t world_row_words_max(const necpnet_schema* schema)
{
    uint32_t most = 0;
    for (int i = 0; i < schema->type_count; i++) {
        if (schema->plans[i].row_words > most) most = schema->plans[i].row_words;
    }
    return most;
}

necpnet_result necpnet_world_create(const necpnet_world_config* config, necpnet_world** out_world)
{
    if (!config || !out_world) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (!world_check_config(config)) return NECPNET_ERR_BAD_CONFIG;
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    necpnet_world* world = (necpnet_world*)nn_alloc_take(&alloc, sizeof *world);
    if (!world) return NECPNET_ERR_OUT_OF_MEMORY;
    world->alloc = alloc;
    world->logger = config->logger;
    world->config = *config;
    world->schema = config->schema;
    world->slot_capacity = WORLD_SLOTS_FIRST;
    world->bucket_count = WORLD_BUCKETS_FIRST;
    nn_alloc* from = &world->alloc;
    world->slots = (nn_world_slot*)nn_alloc_take(from, world->slot_capacity * sizeof(nn_world_slot));
    nn_variables_init(&world->variables, &world->alloc);
    nn_user_ids_init(&world->user_ids, &world->alloc);
    world->dirty = (uint16_t*)nn_alloc_take(from, world->slot_capacity * sizeof(uint16_t));
    world->motions = (nn_world_motion*)nn_alloc_take(from, world->slot_capacity * sizeof(nn_world_motion));
    world->scratch_row = (uint32_t*)nn_alloc_take(from, world_row_words_max(world->schema) * sizeof(uint32_t));
    world->frame = (uint8_t*)nn_alloc_take(from, NN_STATE_FRAME_BYTES_MAX);
    world->coding = (nn_world_coding*)nn_alloc_take(from, sizeof(nn_world_coding));
    world->grids = (nn_world_grid*)nn_alloc_take(from, (size_t)world->schema->type_count * sizeof(nn_world_grid));
    world->buckets = (nn_follower**)nn_alloc_take(from, world->bucket_count * sizeof(nn_follower*));
    if (!world->slots || !world->dirty || !world->motions || !world->scratch_row || !world->frame || !world->coding ||
        !world->buckets || !world->grids) {
        necpnet_world_destroy(world);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    necpnet_result result = nn_world_begin_sight(world);
    if (result) {
        necpnet_world_destroy(world);
        return result;
    }
    *out_world = world;
    return NECPNET_OK;
}

/* ---- slots */

NN_PRIVATE uint32_t nn_world_version_at(const nn_world_slot* slot, uint32_t tick)
{
    for (uint32_t i = 0; i < slot->versions; i++) {
        if (nn_world_version_tick(slot, slot->version - i) <= tick) return slot->version - i;
    }
    return 0;
}

NN_PRIVATE const uint32_t* nn_world_row(const necpnet_world* world, const nn_world_slot* slot, uint32_t version)
{
    if (slot->version - version >= slot->versions) return NULL;
    return nn_world_row_place(nn_world_plan(world, slot), slot, version);
}

static size_t world_state_bytes(const nn_type_plan* plan)
{
    return nn_world_rates_at(plan) + plan->rate_count * sizeof(uint32_t);
}

static void world_release_state(necpnet_world* world, nn_world_slot* slot)
{
    nn_alloc_give(&world->alloc, slot->state, world_state_bytes(nn_world_plan(world, slot)));
    slot->state = NULL;
}

static void world_release_slot(necpnet_world* world, nn_world_slot* slot)
{
    const nn_type_plan* plan = nn_world_plan(world, slot);
    world_release_state(world, slot);
    nn_alloc_give(&world->alloc, slot->history, nn_world_history_bytes(plan, slot->capacity));
    slot->history = NULL;
    slot->capacity = 0;
    slot->versions = 0;
}

void necpnet_world_destroy(necpnet_world* world)
{
    if (!world) return;
    nn_world_end_record(world);
    NN_ASSERT(world->follower_count == 0);
    nn_world_end_sight(world);
    nn_world_end_authority(world);
    nn_variables_reset(&world->variables);
    nn_user_ids_reset(&world->user_ids);
    nn_alloc_give(&world->alloc, world->objects, world->object_count * sizeof(necpnet_entity));
    for (uint32_t i = 1; world->slots && i <= world->slot_count; i++) world_release_slot(world, &world->slots[i]);
    nn_alloc* to = &world->alloc;
    nn_alloc_give(to, world->slots, world->slot_capacity * sizeof(nn_world_slot));
    nn_alloc_give(to, world->dirty, world->slot_capacity * sizeof(uint16_t));
    nn_alloc_give(to, world->motions, world->slot_capacity * sizeof(nn_world_motion));
    nn_alloc_give(to, world->scratch_row, world_row_words_max(world->schema) * sizeof(uint32_t));
    nn_alloc_give(to, world->frame, NN_STATE_FRAME_BYTES_MAX);
    nn_alloc_give(to, world->coding, sizeof(nn_world_coding));
    nn_alloc_give(to, world->cache.words, world->cache.capacity * sizeof(uint64_t));
    nn_alloc_give(to, world->grids, (size_t)world->schema->type_count * sizeof(nn_world_grid));
    nn_alloc_give(to, world->order, world->order_capacity * sizeof(uint64_t));
    nn_alloc_give(to, world->buckets, world->bucket_count * sizeof(nn_follower*));
    nn_alloc_give(to, world->rewound, world->rewound_capacity * sizeof(necpnet_entity));
    nn_alloc_give(to, world->present, world->present_bytes);
    nn_alloc alloc = world->alloc;
    nn_alloc_give(&alloc, world, sizeof *world);
}

NN_PRIVATE nn_world_slot* nn_world_find(const necpnet_world* world, necpnet_entity entity)
{
    uint32_t place = entity & 0xffff;
    if (place == 0 || place > world->slot_count) return NULL;
    nn_world_slot* slot = &world->slots[place];
    return (slot->flags & NN_SLOT_ALIVE) && slot->generation == entity >> 16 ? slot : NULL;
}

NN_PRIVATE void nn_world_mark(necpnet_world* world, nn_world_slot* slot)
{
    if (slot->flags & NN_SLOT_DIRTY) return;
    slot->flags |= NN_SLOT_DIRTY;
    world->dirty[world->dirty_count++] = nn_world_place_of(world, slot);
}

static bool world_grow(necpnet_world* world)
{
    uint32_t capacity = world->slot_capacity * 2;
    if (capacity > NN_WORLD_SLOTS_MAX + 1) capacity = NN_WORLD_SLOTS_MAX + 1;
    uint32_t former = world->slot_capacity;
    nn_alloc* alloc = &world->alloc;
    uint16_t* dirty = (uint16_t*)nn_alloc_take(alloc, capacity * sizeof(uint16_t));
    nn_world_motion* motions = (nn_world_motion*)nn_alloc_take(alloc, capacity * sizeof(nn_world_motion));
    nn_world_slot* slots = NULL;
    if (dirty && motions) {
        slots = (nn_world_slot*)nn_alloc_grow(alloc, world->slots, former * sizeof(nn_world_slot),
                                              capacity * sizeof(nn_world_slot));
    }
    if (!slots) {
        nn_alloc_give(alloc, dirty, capacity * sizeof(uint16_t));
        nn_alloc_give(alloc, motions, capacity * sizeof(nn_world_motion));
        return false;
    }
    nn_copy(dirty, world->dirty, world->dirty_count * sizeof(uint16_t));
    nn_copy(motions, world->motions, former * sizeof(nn_world_motion));
    nn_alloc_give(alloc, world->dirty, former * sizeof(uint16_t));
    nn_alloc_give(alloc, world->motions, former * sizeof(nn_world_motion));
    world->motions = motions;
    world->slots = slots;
    world->dirty = dirty;
    world->slot_capacity = capacity;
    return true;
}

/* The longest free slot if it may be used again, else a new one; nothing is taken yet. */
static necpnet_result world_choose_slot(necpnet_world* world, uint16_t* out_place)
{
    uint16_t first = world->free_first;
    if (first) {
        const nn_world_slot* slot = &world->slots[first];
        if (slot->version == 0 || world->tick - slot->freed_tick > NN_STATE_WINDOW_TICKS) {
            *out_place = first;
            return NECPNET_OK;
        }
    }
    uint64_t most = nn_min_u64((uint64_t)world->config.entities_max + NN_WORLD_NAP_SLOTS, NN_WORLD_SLOTS_MAX);
    if (world->slot_count >= most) return NECPNET_ERR_LIMIT_REACHED;
    if (world->slot_count + 1 >= world->slot_capacity && !world_grow(world)) return NECPNET_ERR_OUT_OF_MEMORY;
    *out_place = (uint16_t)(world->slot_count + 1);
    return NECPNET_OK;
}

static void world_take_slot(necpnet_world* world, uint16_t place)
{
    if (place > world->slot_count) {
        world->slot_count = place;
    } else {
        world->free_first = world->slots[place].next_free;
        if (!world->free_first) world->free_last = 0;
        world->slots[place].next_free = 0;
    }
}

/* An entity into a slot that is not in use. */
static necpnet_result world_fill_slot(necpnet_world* world, uint16_t place, int type, uint16_t generation,
                                      const void* state)
{
    const nn_type_plan* plan = &world->schema->plans[type];
    void* copy = nn_alloc_take(&world->alloc, world_state_bytes(plan));
    size_t history_bytes = nn_world_history_bytes(plan, WORLD_HISTORY_FIRST);
    uint32_t* history = (uint32_t*)nn_alloc_take(&world->alloc, history_bytes);
    if (!copy || !history) {
        nn_alloc_give(&world->alloc, copy, world_state_bytes(plan));
        nn_alloc_give(&world->alloc, history, history_bytes);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    world_take_slot(world, place);
    nn_world_slot* slot = &world->slots[place];
    world_release_slot(world, slot);
    if (state) memcpy(copy, state, plan->type->struct_bytes);
    slot->state = copy;
    slot->history = history;
    slot->capacity = WORLD_HISTORY_FIRST;
    slot->versions = 0;
    slot->type = (uint8_t)type;
    slot->owner = NECPNET_PEER_NONE;
    slot->owner_committed = NECPNET_PEER_NONE;
    slot->generation = generation;
    slot->scope = NN_SCOPE_NORMAL;
    slot->room = 0;
    slot->watchers = 0;
    slot->interval = 1;
    slot->priority = WORLD_PRIORITY;
    slot->authority = NECPNET_AUTHORITY_SERVER;
    slot->writer = NECPNET_PEER_NONE;
    slot->foreign_tick = 0;
    slot->written_us = 0;
    slot->written_commit = 0;
    slot->flags = (uint8_t)((slot->flags & NN_SLOT_DIRTY) | NN_SLOT_ALIVE);
    nn_world_mark(world, slot);
    world->entity_count++;
    return NECPNET_OK;
}

necpnet_result necpnet_world_spawn(necpnet_world* world, uint16_t type_id, const void* state,
                                   necpnet_entity* out_entity)
{
    if (!world || !out_entity) return NECPNET_ERR_INVALID_ARGUMENT;
    if (world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    int type = nn_schema_index(world->schema, type_id);
    if (type < 0) return NECPNET_ERR_NOT_FOUND;
    if (world->type_scopes[type]) return NECPNET_ERR_INVALID_STATE;
    return nn_world_spawn(world, type, state, out_entity);
}

NN_PRIVATE necpnet_result nn_world_spawn(necpnet_world* world, int type, const void* state, necpnet_entity* out_entity)
{
    if (world->entity_count >= world->config.entities_max) return NECPNET_ERR_LIMIT_REACHED;
    uint16_t place = 0;
    necpnet_result result = world_choose_slot(world, &place);
    if (result) return result;
    uint16_t generation = (uint16_t)(world->slots[place].generation + 1u);
    if (generation == 0) generation = 1;
    result = world_fill_slot(world, place, type, generation, state);
    if (result == NECPNET_OK) *out_entity = nn_entity_of(generation, place);
    return result;
}

static void world_free_slot(necpnet_world* world, uint16_t place)
{
    if (world->free_last)
        world->slots[world->free_last].next_free = place;
    else
        world->free_first = place;
    world->free_last = place;
}

NN_PRIVATE necpnet_result nn_world_spawn_at(necpnet_world* world, necpnet_entity entity, int type, const void* state)
{
    uint16_t place = (uint16_t)(entity & 0xffff);
    uint64_t most = nn_min_u64((uint64_t)world->config.entities_max + NN_WORLD_NAP_SLOTS, NN_WORLD_SLOTS_MAX);
    if (place > most || world->entity_count >= world->config.entities_max) return NECPNET_ERR_LIMIT_REACHED;
    while ((uint32_t)place + 1 > world->slot_capacity) {
        if (!world_grow(world)) return NECPNET_ERR_OUT_OF_MEMORY;
    }
    while (world->slot_count + 1 < place) world_free_slot(world, (uint16_t)++world->slot_count);
    return world_fill_slot(world, place, type, (uint16_t)(entity >> 16), state);
}

necpnet_result necpnet_world_despawn(necpnet_world* world, necpnet_entity entity)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    if (world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    nn_world_change_authority(world, slot, NECPNET_PEER_NONE, NECPNET_AUTHORITY_SERVER);
    (void)nn_user_ids_change(&world->user_ids, entity, &slot->user_id, 0);
    world_release_state(world, slot); /* its history stays: clients may still be sent deltas of others against it */
    slot->flags &= (uint8_t) ~(NN_SLOT_ALIVE | NN_SLOT_TOUCHED);
    slot->freed_tick = world->tick;
    if (slot->flags & NN_SLOT_COMMITTED) nn_world_mark(world, slot);
    uint16_t place = nn_world_place_of(world, slot);
    world_free_slot(world, place);
    world->entity_count--;
    return NECPNET_OK;
}

/* ---- access */

void* necpnet_world_get(necpnet_world* world, necpnet_entity entity)
{
    nn_world_slot* slot = world ? nn_world_find(world, entity) : NULL;
    return slot ? slot->state : NULL;
}

necpnet_result necpnet_world_mark(necpnet_world* world, necpnet_entity entity)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    slot->flags |= NN_SLOT_TOUCHED;
    nn_world_mark(world, slot);
    return NECPNET_OK;
}

NN_PRIVATE void nn_world_changed(necpnet_world* world, nn_world_slot* slot)
{
    nn_world_mark(world, slot);
}

necpnet_result necpnet_world_set_owner(necpnet_world* world, necpnet_entity entity, necpnet_peer owner)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    if (slot->scope == NN_SCOPE_SESSION) return NECPNET_ERR_INVALID_STATE;
    if (slot->owner != owner) nn_world_change_authority(world, slot, owner, slot->authority);
    nn_world_mark(world, slot);
    return NECPNET_OK;
}

necpnet_result necpnet_world_set_user_id(necpnet_world* world, necpnet_entity entity, uint64_t user_id)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_world_slot* slot = nn_world_find(world, entity);
    return slot ? nn_user_ids_change(&world->user_ids, entity, &slot->user_id, user_id) : NECPNET_ERR_NOT_FOUND;
}

uint64_t necpnet_world_get_user_id(const necpnet_world* world, necpnet_entity entity)
{
    const nn_world_slot* slot = world ? nn_world_find(world, entity) : NULL;
    return slot ? slot->user_id : 0;
}

necpnet_entity necpnet_world_find_user_id(const necpnet_world* world, uint64_t user_id)
{
    return world ? nn_user_ids_find(&world->user_ids, user_id) : NECPNET_ENTITY_NONE;
}

necpnet_result necpnet_entity_descriptor_default(necpnet_entity_descriptor* descriptor)
{
    if (!descriptor) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(descriptor, 0, sizeof *descriptor);
    descriptor->struct_bytes = sizeof *descriptor;
    descriptor->owner = NECPNET_PEER_NONE;
    descriptor->authority = NECPNET_AUTHORITY_SERVER;
    descriptor->priority = WORLD_PRIORITY;
    descriptor->interval_ticks = 1;
    return NECPNET_OK;
}

necpnet_result necpnet_world_spawn_with(necpnet_world* world, const necpnet_entity_descriptor* descriptor,
                                        necpnet_entity* out_entity)
{
    if (!world || !descriptor || !out_entity) return NECPNET_ERR_INVALID_ARGUMENT;
    if (descriptor->struct_bytes != sizeof *descriptor) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (nn_user_ids_find(&world->user_ids, descriptor->user_id)) return NECPNET_ERR_ALREADY_EXISTS;
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    necpnet_result result = necpnet_world_spawn(world, descriptor->type_id, descriptor->state, &entity);
    if (result) return result;
    result = necpnet_world_set_priority(world, entity, descriptor->priority);
    if (result == NECPNET_OK) result = necpnet_world_set_interval(world, entity, descriptor->interval_ticks);
    if (result == NECPNET_OK) result = necpnet_world_set_room(world, entity, descriptor->room);
    if (result == NECPNET_OK) result = necpnet_world_set_owner(world, entity, descriptor->owner);
    if (result == NECPNET_OK) result = necpnet_world_set_authority(world, entity, descriptor->authority);
    if (result == NECPNET_OK) result = necpnet_world_set_user_id(world, entity, descriptor->user_id);
    if (result) {
        (void)necpnet_world_despawn(world, entity);
    } else {
        *out_entity = entity;
    }
    return result;
}

necpnet_result necpnet_world_set_type_codec(necpnet_world* world, uint16_t type_id, necpnet_codec codec)
{
    if (!world || (int)codec < NECPNET_CODEC_DEFAULT || codec > NECPNET_CODEC_THIN) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    int index = nn_schema_index(world->schema, type_id);
    if (index < 0) return NECPNET_ERR_NOT_FOUND;
    uint32_t* word = &world->thin_types[index / 32];
    uint32_t bit = UINT32_C(1) << (index % 32);
    if ((*word & bit) != 0) world->thin_type_count--;
    *word &= ~bit;
    if (codec == NECPNET_CODEC_THIN) {
        *word |= bit;
        world->thin_type_count++;
    }
    return NECPNET_OK;
}

necpnet_entity necpnet_world_next(const necpnet_world* world, necpnet_entity entity)
{
    if (!world) return NECPNET_ENTITY_NONE;
    for (uint32_t place = (entity & 0xffff) + 1; place <= world->slot_count; place++) {
        const nn_world_slot* slot = &world->slots[place];
        if (slot->flags & NN_SLOT_ALIVE) return nn_entity_of(slot->generation, (uint16_t)place);
    }
    return NECPNET_ENTITY_NONE;
}

uint16_t necpnet_world_get_type(const necpnet_world* world, necpnet_entity entity)
{
    const nn_world_slot* slot = world ? nn_world_find(world, entity) : NULL;
    return slot ? world->schema->types[slot->type].id : 0;
}

const necpnet_schema* necpnet_world_get_schema(const necpnet_world* world)
{
    return world ? world->schema : NULL;
}

necpnet_result necpnet_world_get_statistics(const necpnet_world* world, necpnet_world_statistics* out_statistics)
{
    if (!world || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    *out_statistics = world->statistics;
    out_statistics->entities = world->entity_count;
    return NECPNET_OK;
}

NN_PRIVATE const necpnet_schema* nn_world_get_schema(const necpnet_world* world)
{
    return world->schema;
}
