/* nn_follower_known - what a client is known to have: masks of frames, and the timelines that follow from them. */
#include "nn_follower.h"

NN_PRIVATE void nn_follower_age(const nn_follower* follower, nn_follower_state* state)
{
    uint32_t frames = (uint16_t)(follower->frame_next - state->number);
    uint64_t all = state->sent | state->full;
    if (!all) state->number = (uint16_t)follower->frame_next;
    if (!all || !frames || frames == UINT16_MAX) return; /* UINT16_MAX: it is in the frame that is being written */
    uint64_t gone = frames < 64 ? all >> (64 - frames) : all;
    if (gone) { /* bits leave at the top: the lowest of those is the newest */
        uint64_t newest = gone & (~gone + 1);
        uint64_t bit = frames < 64 ? newest << (64 - frames) : newest;
        state->flags &= (uint8_t)~NN_FOLLOWER_SURE;
        if (state->acked & state->sent & bit) state->flags |= NN_FOLLOWER_SURE;
    }
    state->sent = frames < 64 ? state->sent << frames : 0;
    state->full = frames < 64 ? state->full << frames : 0;
    state->acked = frames < 64 ? state->acked << frames : 0;
    state->number = (uint16_t)follower->frame_next;
}

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
    known.frames = 0;
    known.reach = 0;
    for (uint32_t i = 0; i < NN_KNOWN_FRAMES && i + 1 < follower->frame_next; i++) {
        if (!(follower->known >> i & 1)) continue;
        uint32_t tick = follower->ticks[(follower->frame_next - 1 - i) & 63];
        if (world->tick - tick >= oldest || tick < world->history_from) break;
        known.frames |= UINT64_C(1) << i;
        known.reach = i + 1;
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

/* The state from before the frames within reach, if it is surely the newest of those that the client may have. */
static uint32_t follower_old_state(const nn_follower* follower, uint16_t place, const nn_known* known,
                                   nn_timeline* timeline)
{
    const nn_follower_state* state = nn_follower_state_of(follower, place);
    const nn_world_slot* slot = &follower->world->slots[place];
    uint64_t older = (state->sent | state->full) & ~follower_mask(known->reach);
    bool sure = (state->flags & NN_FOLLOWER_SURE) != 0;
    if (older) sure = (state->acked & state->sent & older & (~older + 1)) != 0;
    uint32_t version = nn_world_version_at(slot, state->base_tick);
    if (!sure || !version || !(state->flags & NN_FOLLOWER_BASE)) return 0;
    timeline->ticks[0] = state->base_tick;
    timeline->rows[0] = nn_world_row(follower->world, slot, version);
    timeline->count = 1;
    return 1;
}

/* The version that was true at a tick, at or before one that was true later. */
static uint32_t follower_version_before(const nn_world_slot* slot, uint32_t version, uint32_t tick)
{
    uint32_t oldest = slot->version - slot->versions + 1;
    while (nn_world_version_tick(slot, version) > tick) {
        if (version == oldest) return 0;
        version--;
    }
    return version;
}

NN_PRIVATE uint32_t nn_follower_timeline(const nn_follower* follower, uint16_t place, const nn_known* known,
                                         nn_timeline* timeline)
{
    const nn_follower_state* state = nn_follower_state_of(follower, place);
    const nn_world_slot* slot = &follower->world->slots[place];
    uint32_t version = slot->version;
    timeline->now = follower->world->tick;
    timeline->count = 0;
    if (!slot->versions || (state->flags & NN_FOLLOWER_FULL)) return 0;
    uint64_t within = state->acked & follower_mask(known->reach);
    if (!within) return follower_old_state(follower, place, known, timeline);
    for (; within && timeline->count < NN_TIMELINE_MAX; within &= within - 1) {
        unsigned bit = nn_lowest_bit(within);
        if (!(state->sent >> bit & 1)) break; /* it had left */
        uint32_t tick = follower->ticks[(known->number - 1 - bit) & 63];
        if (timeline->count && tick >= timeline->ticks[timeline->count - 1]) continue;
        version = follower_version_before(slot, version, tick);
        if (!version) return 0;
        timeline->ticks[timeline->count] = tick;
        timeline->rows[timeline->count++] = nn_world_row(follower->world, slot, version);
        if (state->full >> bit & 1) break;
    }
    return timeline->count;
}

NN_PRIVATE bool nn_follower_can_update(const nn_follower* follower, uint16_t place, const nn_known* known)
{
    const nn_follower_state* state = nn_follower_state_of(follower, place);
    uint64_t within = state->acked & follower_mask(known->reach);
    nn_timeline timeline;
    if (state->flags & NN_FOLLOWER_FULL) return false;
    if (within) return (state->sent & within & (~within + 1)) != 0;
    return follower_old_state(follower, place, known, &timeline) != 0;
}

NN_PRIVATE bool nn_follower_moves(const nn_follower* follower, uint16_t place, const nn_known* known)
{
    const nn_follower_state* state = nn_follower_state_of(follower, place);
    const nn_world_slot* slot = &follower->world->slots[place];
    const nn_type_plan* plan = &follower->world->schema->plans[slot->type];
    uint64_t within = state->acked & follower_mask(known->reach);
    uint32_t version = slot->version;
    uint32_t newest = 0;
    if (plan->restricted || !slot->versions || !(within & (within - 1))) return false; /* it takes two */
    for (unsigned seen = 0; within && seen < NN_MOVING_STATES; within &= within - 1, seen++) {
        unsigned bit = nn_lowest_bit(within);
        if (!(state->sent >> bit & 1)) return false;
        uint32_t tick = follower->ticks[(known->number - 1 - bit) & 63];
        if (tick >= follower->world->tick) return false;
        version = follower_version_before(slot, version, tick);
        NN_ASSERT(version); /* what is known is within the history: nn_follower_known */
        if (!version) return false;
        if (newest && newest != version &&
            memcmp(nn_world_row(follower->world, slot, newest), nn_world_row(follower->world, slot, version),
                   plan->row_words * sizeof(uint32_t))) {
            return true;
        }
        if (!newest) newest = version;
        if (state->full >> bit & 1) return false;
    }
    return false;
}
