/* nn_follower_known - what a client is known to have: masks of frames, and the timelines that follow from them. */
#include "nn_follower.h"

/* Frames between the newest and the oldest known one that are not known. */
static unsigned follower_missing(const nn_known* known)
{
    return known->reach - nn_lowest_bit(known->frames) - nn_bit_count(known->frames);
}

NN_PRIVATE nn_known nn_follower_known(const nn_follower* follower, size_t room)
{
    const necpnet_world* world = follower->world;
    uint32_t oldest = (uint32_t)nn_min_u64(world->config.history_ticks, NN_STATE_WINDOW_TICKS) - 1;
    nn_known known;
    known.number = follower->frame_next;
    known.frames = follower->known & ((UINT64_C(1) << NN_KNOWN_FRAMES) - 1);
    if (world->tick - follower->sent_tick >= NN_STATE_WINDOW_TICKS) known.frames = 0; /* all are too old */
    known.reach = nn_bits_for(known.frames);
    while (known.reach) { /* the older a frame, the smaller its tick */
        uint32_t tick = nn_follower_tick(follower, follower->frame_next - known.reach);
        if (world->tick - tick < oldest && tick >= world->history_from) break;
        known.frames &= ~(UINT64_C(1) << (known.reach - 1));
        known.reach = nn_bits_for(known.frames);
    }
    while (known.reach &&
           24 + 8 * follower_missing(&known) > room * 4) { /* the list of gaps must not fill a small frame */
        known.frames &= ~(UINT64_C(1) << (known.reach - 1));
        while (known.reach && !(known.frames >> (known.reach - 1) & 1)) known.reach--;
    }
    return known;
}

static uint64_t follower_mask(uint32_t reach)
{
    return (UINT64_C(1) << reach) - 1; /* reach is at most 63 */
}

NN_PRIVATE bool nn_follower_surely(const nn_follower_state* state, const nn_follower_recent* recent, uint64_t frames)
{
    uint64_t of_them = recent ? (recent->sent | recent->full) & frames : 0;
    if (of_them) return (recent->acked & recent->sent & of_them & (~of_them + 1)) != 0;
    return (state->flags & NN_FOLLOWER_SURE) != 0;
}

/* The version in the client's state from before the frames within reach, if that is surely the newest of those that it may
 * have; else 0. */
static uint32_t follower_old_version(const nn_follower* follower, const nn_follower_state* state,
                                     const nn_follower_recent* recent, const nn_known* known)
{
    if (!(state->flags & NN_FOLLOWER_BASE)) return 0;
    if (!nn_follower_surely(state, recent, ~follower_mask(known->reach))) return 0;
    return nn_world_version_at(&follower->world->slots[state->place], state->base_tick);
}

/* The version that was true at a tick, at or before one that was true later. Ticks of versions rise by one at least, so the one
 * so many versions before is true then or earlier: mostly it is that one. */
static uint32_t follower_version_before(const nn_world_slot* slot, uint32_t version, uint32_t tick)
{
    uint32_t oldest = slot->version - slot->versions + 1;
    uint32_t at = nn_world_version_tick(slot, version);
    if (at <= tick) return version;
    uint32_t back = at - tick;
    if (back <= version - oldest && nn_world_version_tick(slot, version - back + 1) > tick) return version - back;
    while (nn_world_version_tick(slot, version) > tick) {
        if (version == oldest) return 0;
        version--;
    }
    return version;
}

NN_PRIVATE uint32_t nn_follower_timeline(const nn_follower* follower, const nn_follower_state* state,
                                         const nn_follower_recent* recent, const nn_known* known, nn_timeline* timeline)
{
    const necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[state->place];
    uint32_t version = slot->version;
    timeline->now = world->tick;
    timeline->count = 0;
    if (!slot->versions || (state->flags & NN_FOLLOWER_FULL)) return 0;
    uint64_t within = recent ? recent->acked & follower_mask(known->reach) : 0;
    if (!within) {
        version = follower_old_version(follower, state, recent, known);
        if (!version) return 0;
        timeline->ticks[0] = state->base_tick;
        timeline->rows[0] = nn_world_row(world, slot, version);
        return timeline->count = 1;
    }
    const nn_world_motion* motion = &world->motions[state->place];
    const uint32_t* rows = slot->history + slot->capacity;
    uint32_t row_words = world->schema->plans[slot->type].row_words;
    uint32_t former = motion->changed_tick; /* of version */
    for (; within && timeline->count < NN_TIMELINE_MAX; within &= within - 1) {
        unsigned bit = nn_lowest_bit(within);
        if (!(recent->sent >> bit & 1)) break; /* it had left */
        uint32_t tick = nn_follower_tick(follower, known->number - 1 - bit);
        if (timeline->count && tick >= timeline->ticks[timeline->count - 1]) continue;
        if (tick < former && tick >= motion->run_tick) { /* one version a tick */
            version -= former - tick;
            former = tick;
        } else if (tick < former) {
            version = follower_version_before(slot, version, tick);
        }
        if (!version || slot->version - version >= slot->versions) return 0; /* beyond the history */
        timeline->ticks[timeline->count] = tick;
        timeline->rows[timeline->count++] = rows + (size_t)(version & (slot->capacity - 1u)) * row_words;
        if (recent->full >> bit & 1) break;
    }
    return timeline->count;
}

NN_PRIVATE bool nn_follower_can_update(const nn_follower* follower, const nn_follower_state* state,
                                       const nn_follower_recent* recent, const nn_known* known)
{
    if (state->flags & NN_FOLLOWER_FULL) return false;
    uint64_t within = recent ? recent->acked & follower_mask(known->reach) : 0;
    if (within) return (recent->sent & within & (~within + 1)) != 0;
    return follower_old_version(follower, state, recent, known) != 0;
}

NN_PRIVATE bool nn_follower_moves(const nn_follower* follower, const nn_follower_recent* recent, const nn_known* known)
{
    uint64_t within = recent->acked & follower_mask(known->reach);
    if (!(within & (within - 1))) return false; /* it takes two */
    const necpnet_world* world = follower->world;
    const nn_world_motion* motion = &world->motions[recent->place];
    uint32_t ticks[NN_MOVING_STATES];
    unsigned count = 0;
    for (; within && count < NN_MOVING_STATES; within &= within - 1) {
        unsigned bit = nn_lowest_bit(within);
        if (!(recent->sent >> bit & 1)) break;
        ticks[count++] = nn_follower_tick(follower, known->number - 1 - bit);
        if (recent->full >> bit & 1) break;
    }
    if (count < 2 || ticks[0] >= world->tick || motion->changed_tick <= ticks[count - 1]) return false;
    /* a version is made when something changes: that of the next tick is another */
    if (ticks[0] - ticks[1] == 1 && ticks[0] >= motion->run_tick && ticks[0] <= motion->changed_tick) return true;
    const nn_world_slot* slot = &world->slots[recent->place];
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    if (plan->restricted || !slot->versions) return false;
    uint32_t newest = follower_version_before(slot, slot->version, ticks[0]);
    uint32_t version = newest;
    for (unsigned i = 1; i < count && version; i++) {
        version = follower_version_before(slot, version, ticks[i]);
        if (version == newest) continue;
        if (version + 1 == newest) return true;
        if (version && memcmp(nn_world_row(world, slot, newest), nn_world_row(world, slot, version),
                              plan->row_words * sizeof(uint32_t))) {
            return true;
        }
    }
    NN_ASSERT(version); /* what is known is within the history: nn_follower_known */
    return false;
}
