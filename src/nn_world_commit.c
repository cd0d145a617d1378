/* nn_world_commit - once a tick: what was marked becomes rows, which all followers share. */
#include "nn_world.h"

#include "nn_log.h"
#include "nn_quantise.h"

/* A larger history while its oldest row is still needed: it was true until the next one came. Without memory the oldest is
 * overwritten, which costs clients with older baselines a full state, and rewind that moment. */
static void world_reserve_version(necpnet_world* world, nn_world_slot* slot, uint32_t tick)
{
    if (slot->versions < slot->capacity) return;
    uint32_t oldest = slot->version - slot->versions + 1;
    uint32_t age = tick - slot->history[(oldest + 1) & (slot->capacity - 1u)];
    if (age >= world->config.history_ticks || slot->capacity >= world->config.history_ticks) return;
    const nn_type_plan* plan = nn_world_plan(world, slot);
    nn_world_slot larger = *slot;
    larger.capacity = (uint16_t)(slot->capacity * 2);
    larger.history = (uint32_t*)nn_alloc_take(&world->alloc, nn_world_history_bytes(plan, larger.capacity));
    if (!larger.history) return;
    for (uint32_t version = oldest; version != slot->version + 1; version++) {
        larger.history[version & (larger.capacity - 1u)] = slot->history[version & (slot->capacity - 1u)];
        memcpy(nn_world_row_place(plan, &larger, version), nn_world_row_place(plan, slot, version),
               plan->row_words * sizeof(uint32_t));
    }
    nn_alloc_give(&world->alloc, slot->history, nn_world_history_bytes(plan, slot->capacity));
    slot->history = larger.history;
    slot->capacity = larger.capacity;
}

static void world_note_motion(const necpnet_world* world, const nn_world_slot* slot, uint32_t tick)
{
    nn_world_motion* motion = &world->motions[nn_world_place_of(world, slot)];
    if (slot->versions == 0 || tick - motion->changed_tick != 1) motion->run_tick = tick;
    if (nn_world_plan(world, slot)->restricted) motion->run_tick = UINT32_MAX;
    motion->changed_tick = tick;
}

static void world_add_version(necpnet_world* world, nn_world_slot* slot, uint32_t tick)
{
    const nn_type_plan* plan = nn_world_plan(world, slot);
    world_reserve_version(world, slot, tick);
    if (slot->versions == slot->capacity) { /* what the oldest stood for is forgotten */
        uint32_t next = slot->history[(slot->version - slot->versions + 2) & (slot->capacity - 1u)];
        world->history_from = (uint32_t)nn_max_u64(world->history_from, next);
    }
    slot->version++;
    if (slot->version == 0) slot->version = 1;
    slot->history[slot->version & (slot->capacity - 1u)] = tick;
    world_note_motion(world, slot, tick);
    memcpy(nn_world_row_place(plan, slot, slot->version), world->scratch_row, plan->row_words * sizeof(uint32_t));
    if (slot->versions < slot->capacity) slot->versions++;
}

/* Ticks between two changes of the fields of a rate. */
static uint32_t world_rate_interval(const necpnet_world* world, uint16_t rate)
{
    return rate ? (world->config.tick_hz + rate - 1u) / rate : world->config.slow_ticks;
}

/* Keeps fields at their former values until their rate is due. Returns whether some are held back. */
static bool world_hold_rates(necpnet_world* world, nn_world_slot* slot, const uint32_t* former, uint32_t tick)
{
    const nn_type_plan* plan = nn_world_plan(world, slot);
    uint32_t* ticks = nn_world_rate_ticks(plan, slot);
    bool due[NECPNET_RATES_MAX];
    bool taken[NECPNET_RATES_MAX];
    bool held = false;
    for (unsigned i = 0; i < plan->rate_count; i++) {
        due[i] = tick - ticks[i] >= world_rate_interval(world, plan->rates[i]);
        taken[i] = false;
    }
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        uint32_t* now = world->scratch_row + field->word;
        size_t bytes = field->words * sizeof(uint32_t);
        if (!field->rate || !memcmp(now, former + field->word, bytes)) continue;
        if (due[field->rate - 1]) {
            taken[field->rate - 1] = true;
        } else {
            memcpy(now, former + field->word, bytes);
            held = true;
        }
    }
    for (unsigned i = 0; i < plan->rate_count; i++) {
        if (taken[i]) ticks[i] = tick;
    }
    return held;
}

/* strict: values out of range are the application's mistake. What was committed before stays; of a new entity, what was
 * clamped is taken. */
static void world_refuse_values(necpnet_world* world, const nn_world_slot* slot, const nn_type_plan* plan)
{
    uint32_t place = (uint32_t)(slot - world->slots);
    if (!world->has_refused) {
        const necpnet_field* field = nn_quantise_find_clamped(plan, slot->state, world->scratch_row);
        nn_log_write(&world->config.logger, NECPNET_LOG_ERROR, "world: entity %u, type %s (%u), field %s (%u): %s",
                     (unsigned)nn_entity_of(slot->generation, (uint16_t)place), plan->type->name,
                     (unsigned)plan->type->id, field ? field->name : "", field ? (unsigned)field->id : 0u,
                     necpnet_result_text(NECPNET_ERR_OUT_OF_RANGE));
        (void)nn_quantise(plan, slot->state, world->scratch_row);
    }
    world->has_refused = true;
    if (slot->versions == 0) return;
    memcpy(world->scratch_row, nn_world_row(world, slot, slot->version), plan->row_words * sizeof(uint32_t));
}

/* Returns whether the slot stays dirty. */
static bool world_commit_slot(necpnet_world* world, nn_world_slot* slot, uint32_t tick)
{
    uint16_t place = nn_world_place_of(world, slot);
    necpnet_peer former_owner = slot->owner_committed;
    if (!(slot->flags & NN_SLOT_ALIVE)) {
        bool was_seen = (slot->flags & NN_SLOT_COMMITTED) != 0;
        slot->flags &= (uint8_t)~NN_SLOT_COMMITTED;
        if (was_seen) nn_world_hide(world, place);
        return false;
    }
    const nn_type_plan* plan = nn_world_plan(world, slot);
    bool is_new = slot->versions == 0;
    bool held = false;
    uint32_t clamped = nn_quantise(plan, slot->state, world->scratch_row);
    world->statistics.values_clamped += clamped;
    if (NN_UNLIKELY(clamped > 0) && world->config.strict) world_refuse_values(world, slot, plan);
    bool changed = is_new;
    if (is_new) {
        for (unsigned i = 0; i < plan->rate_count; i++) nn_world_rate_ticks(plan, slot)[i] = tick;
    } else {
        const uint32_t* former = nn_world_row(world, slot, slot->version);
        if (plan->rate_count) held = world_hold_rates(world, slot, former, tick);
        changed = memcmp(former, world->scratch_row, plan->row_words * sizeof(uint32_t)) != 0;
    }
    if (changed && !is_new && tick - world->motions[place].changed_tick < slot->interval) {
        changed = false;
        held = true;
    }
    if (changed) world_add_version(world, slot, tick);
    if (changed && (slot->flags & NN_SLOT_TOUCHED)) slot->writer = NECPNET_PEER_NONE;
    if (!held) slot->flags &= (uint8_t)~NN_SLOT_TOUCHED;
    slot->owner_committed = slot->owner;
    slot->flags |= NN_SLOT_COMMITTED;
    bool placed = nn_world_show(world, place, changed || slot->owner != former_owner, former_owner);
    return held || !placed;
}

necpnet_result necpnet_world_commit(necpnet_world* world, uint32_t tick)
{
    if (!world || (world->commit > 0 && tick <= world->tick)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    uint64_t began_ns = nn_world_time_ns(world);
    world->commit_gap = world->commit ? tick - world->tick : 1;
    world->commit++;
    world->tick = tick;
    uint32_t kept = 0;
    world->has_refused = false;
    for (uint32_t i = 0; i < world->dirty_count; i++) {
        nn_world_slot* slot = &world->slots[world->dirty[i]];
        if (world_commit_slot(world, slot, tick)) {
            world->dirty[kept++] = world->dirty[i];
        } else {
            slot->flags &= (uint8_t)~NN_SLOT_DIRTY;
        }
    }
    world->dirty_count = kept;
    nn_world_look(world);
    nn_world_record_commit(world);
    world->statistics.interest_ns += nn_world_time_ns(world) - began_ns;
    return world->has_refused ? NECPNET_ERR_OUT_OF_RANGE : NECPNET_OK;
}
