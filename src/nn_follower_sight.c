/* nn_follower_sight - who sees what of a world: nn_interest tells what comes into view, changes and leaves; here it becomes
 * what a follower has to send. An owner always sees its own. */
#include "nn_follower.h"
#include "nn_log.h"

#define SIGHT_NEW_HEAD_START 32u /* ticks of waiting that an entity unknown to the client begins with */
#define SIGHT_LEAVE_HEAD_START 64u

/* ---- one follower, one slot */

static bool sight_allows(const nn_follower* follower, uint16_t place)
{
    const necpnet_world_config* config = &follower->world->config;
    if (!config->can_see || follower->records) return true;
    necpnet_entity entity = nn_entity_of(follower->world->slots[place].generation, place);
    return config->can_see(config->can_see_user, follower->peer, entity);
}

static void sight_begin(nn_follower* follower, uint16_t place)
{
    const nn_world_slot* slot = &follower->world->slots[place];
    nn_follower_state* state = nn_follower_add(follower, place);
    if (!state) {
        follower->rescan = true;
        return;
    }
    bool same = state->generation == slot->generation;
    if (same && (state->flags & NN_FOLLOWER_SEEN)) return;
    state->flags |= NN_FOLLOWER_SEEN;
    if (!same) { /* its state or its leave makes a former entity leave */
        uint8_t kept = state->flags & (NN_FOLLOWER_KNOWN | NN_FOLLOWER_RECENT | NN_FOLLOWER_SEEN);
        nn_follower_recent* recent = kept & NN_FOLLOWER_RECENT ? nn_follower_recent_of(follower, place) : NULL;
        if (recent) recent->sent = recent->full = recent->acked = 0;
        nn_follower_unpend(follower, state);
        memset(state, 0, sizeof *state);
        state->place = place;
        state->flags = kept;
        state->generation = slot->generation;
    } else { /* it left, and the client may have heard of it or not */
        state->flags &= (uint8_t)~NN_FOLLOWER_LEAVING;
        nn_follower_need_full(follower, state);
    }
    state->sent_tick = (uint16_t)(follower->world->tick - SIGHT_NEW_HEAD_START);
    nn_follower_pend(follower, state);
}

static void sight_end(nn_follower* follower, uint16_t place)
{
    nn_follower_state* state = nn_follower_state_of(follower, place);
    if (!state || !(state->flags & NN_FOLLOWER_SEEN)) return;
    state->flags &= (uint8_t)~NN_FOLLOWER_SEEN;
    if (!(state->flags & NN_FOLLOWER_KNOWN)) {
        nn_follower_forget(follower, place);
        return;
    }
    state->flags |= NN_FOLLOWER_LEAVING;
    state->sent_tick = (uint16_t)(state->sent_tick - SIGHT_LEAVE_HEAD_START);
    nn_follower_pend(follower, state);
}

static bool sight_owns(const nn_follower* follower, uint16_t place)
{
    const nn_world_slot* slot = &follower->world->slots[place];
    return (slot->flags & NN_SLOT_COMMITTED) && nn_follower_owns(follower, slot);
}

static void sight_changed(void* user, uint16_t place)
{
    nn_follower* follower = (nn_follower*)user;
    if (follower->parked) return;
    if (follower->changed_count == NN_FOLLOWER_CHANGED_MAX) nn_follower_take_changes(follower);
    if (!follower->changed_count) follower->changed_tick = follower->world->tick;
    follower->changed[follower->changed_count++] = place; /* looked at with the next frame, when all else is at hand */
}

static void sight_enter(void* user, uint16_t place)
{
    nn_follower* follower = (nn_follower*)user;
    if (!follower->parked && (sight_owns(follower, place) || sight_allows(follower, place))) {
        sight_begin(follower, place);
    }
}

static void sight_leave(void* user, uint16_t place)
{
    nn_follower* follower = (nn_follower*)user;
    if (!follower->parked && !follower->records && !sight_owns(follower, place)) sight_end(follower, place);
}

/* Whether a slot is to be in view, asked anew. */
static void sight_check(nn_follower* follower, uint16_t place)
{
    const nn_world_slot* slot = &follower->world->slots[place];
    const nn_follower_state* state = nn_follower_state_of(follower, place);
    bool seen = state && (state->flags & NN_FOLLOWER_SEEN) && state->generation == slot->generation;
    bool sees = (slot->flags & NN_SLOT_COMMITTED) != 0;
    if (sees && slot->scope == NN_SCOPE_SESSION) {
        sees = follower->records || nn_follower_owns(follower, slot);
    } else if (sees && !follower->records && slot->scope == NN_SCOPE_NORMAL && !nn_follower_owns(follower, slot)) {
        nn_sight sight = nn_observer_sight(&follower->observer, place);
        sees = sight == NN_SIGHT_FULL || (sight == NN_SIGHT_MARGIN && seen);
        sees = sees && sight_allows(follower, place);
    }
    if (sees) {
        sight_begin(follower, place);
    } else {
        sight_end(follower, place);
    }
}

NN_PRIVATE bool nn_follower_rescan(nn_follower* follower)
{
    follower->rescan = false;
    for (uint32_t place = 1; place <= follower->world->slot_count && !follower->rescan; place++) {
        sight_check(follower, (uint16_t)place);
    }
    return !follower->rescan;
}

NN_PRIVATE necpnet_result nn_follower_look(nn_follower* follower)
{
    nn_observer_init(&follower->observer, &follower->world->interest, follower,
                     follower->world->config.interest_radius);
    return nn_observer_join(&follower->observer, 0);
}

/* ---- the world */

static bool sight_plan(nn_world_grid* grid, const nn_type_plan* plan, const necpnet_world_config* config)
{
    static const uint8_t axes[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!(field->field->flags & NECPNET_FIELD_POSITION)) continue;
        bool flat = field->field->kind == NECPNET_FIELD_VEC2;
        double steps = field->step / config->interest_cell;
        double begin = field->field->min / config->interest_cell;
        double end = field->field->max / config->interest_cell;
        if (!(steps <= 1 && begin >= -1e9 && end <= 1e9)) {
            nn_log_write(&config->logger, NECPNET_LOG_ERROR,
                         "world config: interest_cell: type %s, field %s: must be at least a step of it, and cut its "
                         "range into at most 1,000,000,000 cells to each side",
                         plan->type->name, field->field->name);
            return false;
        }
        grid->is_placed = true;
        grid->x = (uint16_t)(field->word + (flat ? 0 : axes[config->interest_plane][0]));
        grid->y = (uint16_t)(field->word + (flat ? 1 : axes[config->interest_plane][1]));
        grid->cells_per_step = (int64_t)(steps * NN_GRID_ONE + 0.5);
        grid->origin = (int64_t)(begin * NN_GRID_ONE + (begin < 0 ? -0.5 : 0.5));
    }
    return true;
}

NN_PRIVATE necpnet_result nn_world_begin_sight(necpnet_world* world)
{
    static const nn_interest_events events = {sight_enter, sight_leave, sight_changed};
    nn_interest_init(&world->interest, &world->alloc, &events);
    for (int i = 0; i < world->schema->type_count; i++) {
        if (world->schema->plans[i].parent) world->has_parents = true;
    }
    if (world->config.interest_cell <= 0) return NECPNET_OK;
    for (int i = 0; i < world->schema->type_count; i++) {
        if (!sight_plan(&world->grids[i], &world->schema->plans[i], &world->config)) return NECPNET_ERR_BAD_CONFIG;
    }
    return NECPNET_OK;
}

NN_PRIVATE void nn_world_end_sight(necpnet_world* world)
{
    for (uint32_t i = 0; world->buckets && i < world->bucket_count; i++) {
        while (world->buckets[i]) nn_world_forget(world, world->buckets[i]->peer); /* all are parked */
    }
    if (world->interest.alloc) nn_interest_reset(&world->interest);
}

static int32_t sight_cell(const nn_world_grid* grid, uint32_t steps)
{
    int64_t at = grid->origin + (int64_t)steps * grid->cells_per_step;
    return (int32_t)(at >= 0 ? at / NN_GRID_ONE : -((-at + NN_GRID_ONE - 1) / NN_GRID_ONE));
}

static bool sight_cell_of(const necpnet_world* world, const nn_world_slot* slot, int32_t* out_x, int32_t* out_y)
{
    const nn_world_grid* grid = &world->grids[slot->type];
    const uint32_t* row = slot->versions ? nn_world_row(world, slot, slot->version) : NULL;
    *out_x = *out_y = NN_INTEREST_NOWHERE;
    if (!grid->is_placed || !row) return false;
    *out_x = sight_cell(grid, row[grid->x]);
    *out_y = sight_cell(grid, row[grid->y]);
    return true;
}

/* An entity that stands in no cell: there is one of its type for all. */
static void sight_show_all(necpnet_world* world, uint16_t place, bool changed)
{
    for (uint32_t i = 0; i < world->bucket_count; i++) {
        for (nn_follower* at = world->buckets[i]; at; at = at->next) {
            if (at->parked) continue;
            sight_begin(at, place);
            if (changed) sight_changed(at, place);
        }
    }
}

static void sight_hide_all(necpnet_world* world, uint16_t place)
{
    for (uint32_t i = 0; i < world->bucket_count; i++) {
        for (nn_follower* at = world->buckets[i]; at; at = at->next) {
            if (!at->parked) sight_end(at, place);
        }
    }
}

NN_PRIVATE bool nn_world_show(necpnet_world* world, uint16_t place, bool changed, necpnet_peer former_owner)
{
    nn_world_slot* slot = &world->slots[place];
    int32_t x, y;
    bool placed = true;
    if (slot->scope == NN_SCOPE_NORMAL) {
        (void)sight_cell_of(world, slot, &x, &y);
        placed = nn_interest_put(&world->interest, place, slot->room, x, y) == NECPNET_OK;
    }
    if (slot->scope == NN_SCOPE_WORLD) sight_show_all(world, place, changed);
    if (slot->watchers) world->watched_moved = true;
    necpnet_peer owner = slot->owner_committed;
    nn_follower* own = owner != NECPNET_PEER_NONE ? nn_follower_find(world, owner) : NULL;
    if (own && !own->parked) {
        sight_begin(own, place);
        if (changed) sight_changed(own, place);
    }
    if (changed) nn_interest_changed(&world->interest, place);
    nn_follower* recording = nn_world_recording_follower(world);
    if (recording) {
        sight_begin(recording, place);
        if (changed) sight_changed(recording, place);
    }
    if (former_owner == owner) return placed;
    nn_follower* former = former_owner != NECPNET_PEER_NONE ? nn_follower_find(world, former_owner) : NULL;
    if (former && !former->parked) {
        sight_changed(former, place); /* it may go on seeing it, but no longer as its own */
        sight_check(former, place);
    }
    return placed;
}

NN_PRIVATE void nn_world_hide(necpnet_world* world, uint16_t place)
{
    necpnet_peer owner = world->slots[place].owner_committed;
    nn_follower* own = owner != NECPNET_PEER_NONE ? nn_follower_find(world, owner) : NULL;
    nn_interest_take(&world->interest, place);
    if (world->slots[place].scope == NN_SCOPE_WORLD) sight_hide_all(world, place);
    if (own && !own->parked) sight_end(own, place);
    nn_follower* recording = nn_world_recording_follower(world);
    if (recording) sight_end(recording, place);
}

/* Where it looks from, as of the last commit; what it watches may be gone: then it stays where that was last. */
static necpnet_result sight_follow(nn_follower* follower)
{
    int32_t x, y;
    const nn_world_slot* slot = nn_world_find(follower->world, follower->watched);
    if (!slot || !(slot->flags & NN_SLOT_COMMITTED)) return NECPNET_OK;
    (void)sight_cell_of(follower->world, slot, &x, &y);
    return nn_observer_move(&follower->observer, x, y);
}

NN_PRIVATE void nn_world_look(necpnet_world* world)
{
    if (!world->watched_moved) return;
    world->watched_moved = false;
    for (uint32_t i = 0; i < world->bucket_count; i++) {
        for (nn_follower* at = world->buckets[i]; at; at = at->next) {
            if (at->watched && sight_follow(at))
                world->watched_moved = true; /* no memory: again after the next commit */
        }
    }
}

/* ---- the application's part */

necpnet_result necpnet_world_set_room(necpnet_world* world, necpnet_entity entity, uint32_t room)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    slot->room = room;
    return necpnet_world_mark(world, entity);
}

necpnet_result necpnet_world_join_room(necpnet_world* world, necpnet_peer peer, uint32_t room)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_follower* follower = nn_follower_find(world, peer);
    if (!follower) return NECPNET_ERR_NOT_FOUND;
    return nn_observer_join(&follower->observer, room);
}

necpnet_result necpnet_world_leave_room(necpnet_world* world, necpnet_peer peer, uint32_t room)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_follower* follower = nn_follower_find(world, peer);
    if (!follower) return NECPNET_ERR_NOT_FOUND;
    return nn_observer_part(&follower->observer, room);
}

/* What was watched so far, no longer. */
static void sight_unwatch(nn_follower* follower)
{
    nn_world_slot* slot = nn_world_find(follower->world, follower->watched);
    if (slot && slot->watchers) slot->watchers--;
    follower->watched = NECPNET_ENTITY_NONE;
}

necpnet_result necpnet_world_set_observer(necpnet_world* world, necpnet_peer peer, necpnet_entity entity)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_follower* follower = nn_follower_find(world, peer);
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!follower || (!slot && entity != NECPNET_ENTITY_NONE)) return NECPNET_ERR_NOT_FOUND;
    if (!slot) {
        necpnet_result result = nn_observer_move(&follower->observer, NN_INTEREST_NOWHERE, NN_INTEREST_NOWHERE);
        if (result == NECPNET_OK) sight_unwatch(follower);
        return result;
    }
    if (!world->grids[slot->type].is_placed) return NECPNET_ERR_INVALID_STATE;
    sight_unwatch(follower);
    follower->watched = entity;
    slot->watchers++;
    return sight_follow(follower);
}

static bool sight_cell_at(double position, double cell, int32_t* out_cell)
{
    double at = position / cell;
    if (!(at > -1e9 && at < 1e9)) return false; /* nor NaN */
    *out_cell = (int32_t)at - (at < (double)(int32_t)at ? 1 : 0);
    return true;
}

necpnet_result necpnet_world_set_observer_at(necpnet_world* world, necpnet_peer peer, double x, double y)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    if (world->config.interest_cell <= 0) return NECPNET_ERR_INVALID_STATE;
    nn_follower* follower = nn_follower_find(world, peer);
    if (!follower) return NECPNET_ERR_NOT_FOUND;
    int32_t cell_x, cell_y;
    double cell = world->config.interest_cell;
    if (!sight_cell_at(x, cell, &cell_x) || !sight_cell_at(y, cell, &cell_y)) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = nn_observer_move(&follower->observer, cell_x, cell_y);
    if (result == NECPNET_OK) sight_unwatch(follower);
    return result;
}

static void sight_refilter(nn_follower* follower, necpnet_entity entity)
{
    if (follower->parked) return;
    if (entity == NECPNET_ENTITY_NONE) {
        if (!nn_follower_rescan(follower)) follower->rescan = true;
        return;
    }
    sight_check(follower, (uint16_t)entity);
}

necpnet_result necpnet_world_refilter(necpnet_world* world, necpnet_peer peer, necpnet_entity entity)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    if (entity != NECPNET_ENTITY_NONE && !nn_world_find(world, entity)) return NECPNET_ERR_NOT_FOUND;
    if (peer != NECPNET_PEER_NONE) {
        nn_follower* follower = nn_follower_find(world, peer);
        if (!follower) return NECPNET_ERR_NOT_FOUND;
        sight_refilter(follower, entity);
        return NECPNET_OK;
    }
    for (uint32_t i = 0; i < world->bucket_count; i++) {
        for (nn_follower* at = world->buckets[i]; at; at = at->next) sight_refilter(at, entity);
    }
    return NECPNET_OK;
}

necpnet_result necpnet_world_set_priority(necpnet_world* world, necpnet_entity entity, uint32_t priority)
{
    if (!world || priority < 1 || priority > 255) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    slot->priority = (uint8_t)priority;
    return NECPNET_OK;
}

necpnet_result necpnet_world_set_interval(necpnet_world* world, necpnet_entity entity, uint32_t ticks)
{
    if (!world || ticks < 1 || ticks > 1000) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    slot->interval = (uint16_t)ticks;
    return NECPNET_OK;
}
