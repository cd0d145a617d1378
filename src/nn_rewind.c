/* nn_rewind - the world as a client saw it: structs of the past out of the shared history, for lag compensation. */
#include "nn_quantise.h"
#include "nn_world.h"

#define REWIND_SHARE_MAX 1000000u

/* Where a moment lies in an entity's history: the row of before, and the one that it is on its way to. */
typedef struct rewind_moment {
    const uint32_t* before;
    const uint32_t* after; /* NULL: it stands still, or nothing newer is known */
    double share;
} rewind_moment;

/* The oldest moment that is asked for may be older than what the slot still has: it was not there yet, or it is
 * forgotten. */
static necpnet_result rewind_find(const necpnet_world* world, const nn_world_slot* slot, uint32_t tick,
                                  uint32_t share_ppm, rewind_moment* out_moment)
{
    if (tick < world->tick && world->tick - tick >= world->config.history_ticks) return NECPNET_ERR_OUT_OF_RANGE;
    if (slot->versions == 0) return NECPNET_ERR_NOT_FOUND;
    uint32_t version = slot->version;
    uint32_t oldest = slot->version - slot->versions + 1;
    while (version != oldest && nn_world_version_tick(slot, version) > tick) version--;
    if (nn_world_version_tick(slot, version) > tick) {
        return slot->versions < slot->capacity ? NECPNET_ERR_NOT_FOUND : NECPNET_ERR_OUT_OF_RANGE;
    }
    out_moment->before = nn_world_row(world, slot, version);
    out_moment->after = NULL;
    out_moment->share = 0.0;
    if (version == slot->version) return NECPNET_OK;
    /* It stood still until one commit before the next version. */
    uint32_t next = nn_world_version_tick(slot, version + 1);
    uint32_t began = nn_world_version_tick(slot, version);
    if (next - began > world->commit_gap) began = next - world->commit_gap;
    double moment = (double)tick + (double)share_ppm / REWIND_SHARE_MAX;
    if (moment <= (double)began) return NECPNET_OK;
    out_moment->after = nn_world_row(world, slot, version + 1);
    out_moment->share = (moment - (double)began) / (double)(next - began);
    return NECPNET_OK;
}

static void rewind_write(const nn_type_plan* plan, const rewind_moment* moment, void* state)
{
    if (moment->after)
        nn_dequantise_between(plan, moment->before, moment->after, moment->share, state);
    else
        nn_dequantise(plan, moment->before, state);
}

necpnet_result necpnet_world_get_at(const necpnet_world* world, necpnet_entity entity, uint32_t tick,
                                    uint32_t share_ppm, void* state, size_t struct_bytes)
{
    if (!world || !state || share_ppm >= REWIND_SHARE_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    if (struct_bytes < plan->type->struct_bytes) return NECPNET_ERR_BUFFER_TOO_SMALL;
    rewind_moment moment;
    necpnet_result result = rewind_find(world, slot, tick, share_ppm, &moment);
    if (result == NECPNET_OK) rewind_write(plan, &moment, state);
    return result;
}

/* The members that are fields; others of the application's struct stay. */
static void rewind_write_fields(const nn_type_plan* plan, const rewind_moment* moment, void* state)
{
    uint64_t scratch[NN_STRUCT_BYTES_MAX / sizeof(uint64_t)];
    rewind_write(plan, moment, scratch);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const necpnet_field* field = plan->fields[i].field;
        const uint8_t* from = (const uint8_t*)scratch;
        memcpy((uint8_t*)state + field->offset, from + field->offset, nn_field_bytes(field));
        memcpy((uint8_t*)state + field->length_offset, from + field->length_offset, field->length_bytes);
    }
}

/* Of a live entity's struct; while rewound none comes or goes. */
static size_t rewind_bytes(const necpnet_world* world, necpnet_entity entity)
{
    return world->schema->plans[nn_world_find(world, entity)->type].type->struct_bytes;
}

/* Room for the present structs of so many entities; kept for the next time. */
static bool rewind_reserve(necpnet_world* world, const necpnet_entity* entities, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const nn_world_slot* slot = nn_world_find(world, entities[i]);
        if (slot) bytes += world->schema->plans[slot->type].type->struct_bytes;
    }
    if (count > world->rewound_capacity) {
        necpnet_entity* rewound = (necpnet_entity*)nn_alloc_take(&world->alloc, count * sizeof(necpnet_entity));
        if (!rewound) return false;
        nn_alloc_give(&world->alloc, world->rewound, world->rewound_capacity * sizeof(necpnet_entity));
        world->rewound = rewound;
        world->rewound_capacity = count;
    }
    if (bytes > world->present_bytes) {
        uint8_t* present = (uint8_t*)nn_alloc_take(&world->alloc, bytes);
        if (!present) return false;
        nn_alloc_give(&world->alloc, world->present, world->present_bytes);
        world->present = present;
        world->present_bytes = bytes;
    }
    return true;
}

necpnet_result necpnet_world_rewind(necpnet_world* world, uint32_t tick, uint32_t share_ppm,
                                    const necpnet_entity* entities, int count, int* out_count)
{
    if (!world || count < 0 || count > NN_WORLD_SLOTS_MAX || (count && !entities) || share_ppm >= REWIND_SHARE_MAX) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    if (tick < world->tick && world->tick - tick >= world->config.history_ticks) return NECPNET_ERR_OUT_OF_RANGE;
    if (!rewind_reserve(world, entities, (uint32_t)count)) return NECPNET_ERR_OUT_OF_MEMORY;
    world->is_rewound = true;
    world->rewound_count = 0;
    uint8_t* present = world->present;
    for (int i = 0; i < count; i++) {
        const nn_world_slot* slot = nn_world_find(world, entities[i]);
        rewind_moment moment;
        if (!slot || rewind_find(world, slot, tick, share_ppm, &moment) != NECPNET_OK) continue;
        const nn_type_plan* plan = &world->schema->plans[slot->type];
        memcpy(present, slot->state, plan->type->struct_bytes);
        present += plan->type->struct_bytes;
        rewind_write_fields(plan, &moment, slot->state);
        world->rewound[world->rewound_count++] = entities[i];
    }
    if (out_count) *out_count = (int)world->rewound_count;
    return NECPNET_OK;
}

necpnet_result necpnet_world_restore(necpnet_world* world)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    world->is_rewound = false;
    uint8_t* present = world->present;
    for (uint32_t i = 0; i < world->rewound_count; i++) present += rewind_bytes(world, world->rewound[i]);
    /* Backwards: an entity named twice gets back what it had first. */
    for (uint32_t i = world->rewound_count; i-- > 0;) {
        size_t bytes = rewind_bytes(world, world->rewound[i]);
        present -= bytes;
        memcpy(nn_world_find(world, world->rewound[i])->state, present, bytes);
    }
    world->rewound_count = 0;
    return NECPNET_OK;
}
