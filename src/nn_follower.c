/* nn_follower - what one client has, what it lacks, and what became of its frames. They are written in
 * nn_follower_write.c. */
#include "nn_follower.h"

#define FOLLOWER_BURST_BYTES 1200u     /* budget that may be saved up, at least */
#define FOLLOWER_RECORD_BITS_FIRST 96u /* guess of a record's size */
#define FOLLOWER_NEW_HEAD_START 32u    /* ticks of waiting that an entity unknown to the client begins with */
#define FOLLOWER_LEAVE_HEAD_START 64u

/* ---- following */

static nn_follower** follower_bucket(const necpnet_world* world, necpnet_peer peer)
{
    uint64_t mixed = peer * UINT64_C(0x9e3779b97f4a7c15);
    return &world->buckets[(mixed >> 32) & (world->bucket_count - 1)];
}

static nn_follower* follower_find(const necpnet_world* world, necpnet_peer peer)
{
    nn_follower* follower = *follower_bucket(world, peer);
    while (follower && follower->peer != peer) follower = follower->next;
    return follower;
}

/* More buckets when there are more followers; without memory the chains grow longer, nothing else. */
static void follower_spread(necpnet_world* world)
{
    uint32_t count = world->bucket_count * 2;
    nn_follower** former = world->buckets;
    uint32_t former_count = world->bucket_count;
    nn_follower** buckets = (nn_follower**)nn_alloc_take(&world->alloc, count * sizeof(nn_follower*));
    if (!buckets) return;
    world->buckets = buckets;
    world->bucket_count = count;
    for (uint32_t i = 0; i < former_count; i++) {
        for (nn_follower* at = former[i]; at;) {
            nn_follower* next = at->next;
            nn_follower** bucket = follower_bucket(world, at->peer);
            at->next = *bucket;
            *bucket = at;
            at = next;
        }
    }
    nn_alloc_give(&world->alloc, former, former_count * sizeof(nn_follower*));
}

NN_PRIVATE necpnet_result nn_world_follow(necpnet_world* world, necpnet_peer peer, bool ordered,
                                          nn_follower** out_follower)
{
    if (follower_find(world, peer)) return NECPNET_ERR_ALREADY_EXISTS;
    nn_follower* follower = (nn_follower*)nn_alloc_take(&world->alloc, sizeof *follower);
    if (!follower) return NECPNET_ERR_OUT_OF_MEMORY;
    if (world->follower_count >= world->bucket_count) follower_spread(world);
    follower->world = world;
    follower->peer = peer;
    follower->ordered = ordered;
    follower->thin = world->config.codec == NECPNET_CODEC_THIN;
    follower->record_bits = FOLLOWER_RECORD_BITS_FIRST * 16;
    follower->frame_first = 1;
    follower->frame_next = 1;
    nn_follower** bucket = follower_bucket(world, peer);
    follower->next = *bucket;
    *bucket = follower;
    world->follower_count++;
    *out_follower = follower;
    return NECPNET_OK;
}

NN_PRIVATE void nn_world_unfollow(necpnet_world* world, nn_follower* follower)
{
    if (!follower) return;
    nn_follower** at = follower_bucket(world, follower->peer);
    while (*at != follower) at = &(*at)->next;
    *at = follower->next;
    world->follower_count--;
    nn_alloc_give(&world->alloc, follower->states, follower->state_capacity * sizeof(nn_follower_state));
    nn_alloc_give(&world->alloc, follower->pending, follower->pending_capacity * sizeof(uint16_t));
    nn_alloc_give(&world->alloc, follower->order, follower->pending_capacity * sizeof(uint64_t));
    nn_alloc_give(&world->alloc, follower->recent, follower->pending_capacity * sizeof(uint16_t));
    nn_alloc_give(&world->alloc, follower->entries, follower->entry_capacity * sizeof(uint16_t));
    nn_alloc_give(&world->alloc, follower->frames, follower->frame_capacity * sizeof(nn_follower_frame));
    nn_alloc_give(&world->alloc, follower, sizeof *follower);
}

necpnet_result necpnet_world_set_input(necpnet_world* world, necpnet_peer peer, uint32_t tick)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_follower* follower = follower_find(world, peer);
    if (!follower) return NECPNET_ERR_NOT_FOUND;
    if (follower->has_input && tick <= follower->input_now) return NECPNET_OK;
    if (follower->has_input && world->commit > follower->input_commit) {
        follower->input_before = follower->input_now;
        follower->has_input_before = true;
    }
    follower->input_now = tick;
    follower->has_input = true;
    follower->input_commit = world->commit;
    return NECPNET_OK;
}

NN_PRIVATE bool nn_follower_input(const nn_follower* follower, uint32_t* out_tick)
{
    bool now = follower->has_input && follower->world->commit > follower->input_commit;
    *out_tick = now ? follower->input_now : follower->input_before;
    return now || follower->has_input_before;
}

/* ---- the pending list */

NN_PRIVATE void nn_follower_pend(nn_follower* follower, uint16_t place)
{
    nn_follower_state* state = &follower->states[place];
    if (state->pending) return;
    NN_ASSERT(follower->pending_count < follower->pending_capacity);
    follower->pending[follower->pending_count++] = place;
    state->pending = (uint16_t)follower->pending_count;
}

NN_PRIVATE void nn_follower_unpend(nn_follower* follower, uint16_t place)
{
    nn_follower_state* state = &follower->states[place];
    if (!state->pending) return;
    uint16_t last = follower->pending[--follower->pending_count];
    follower->pending[state->pending - 1] = last;
    follower->states[last].pending = state->pending;
    state->pending = 0;
}

/* Room for every slot of the world; all places are pending at most once. */
static bool follower_reserve(nn_follower* follower)
{
    const necpnet_world* world = follower->world;
    nn_alloc* alloc = &follower->world->alloc;
    if (world->slot_count < follower->state_capacity) return true;
    uint32_t capacity = world->slot_capacity;
    if (follower->pending_capacity < capacity) {
        uint16_t* pending = (uint16_t*)nn_alloc_take(alloc, capacity * sizeof(uint16_t));
        uint16_t* recent = (uint16_t*)nn_alloc_take(alloc, capacity * sizeof(uint16_t));
        uint64_t* order = (uint64_t*)nn_alloc_take(alloc, capacity * sizeof(uint64_t));
        if (!pending || !recent || !order) {
            nn_alloc_give(alloc, pending, capacity * sizeof(uint16_t));
            nn_alloc_give(alloc, recent, capacity * sizeof(uint16_t));
            nn_alloc_give(alloc, order, capacity * sizeof(uint64_t));
            return false;
        }
        nn_copy(pending, follower->pending, follower->pending_count * sizeof(uint16_t));
        nn_copy(recent, follower->recent, follower->recent_count * sizeof(uint16_t));
        nn_alloc_give(alloc, follower->pending, follower->pending_capacity * sizeof(uint16_t));
        nn_alloc_give(alloc, follower->recent, follower->pending_capacity * sizeof(uint16_t));
        nn_alloc_give(alloc, follower->order, follower->pending_capacity * sizeof(uint64_t));
        follower->pending = pending;
        follower->recent = recent;
        follower->order = order;
        follower->pending_capacity = capacity;
    }
    nn_follower_state* states =
        (nn_follower_state*)nn_alloc_grow(alloc, follower->states, follower->state_capacity * sizeof(nn_follower_state),
                                          capacity * sizeof(nn_follower_state));
    if (!states) return false;
    follower->states = states;
    follower->state_capacity = capacity;
    return true;
}

/* A slot changed in the world: note what this client then needs. */
static void follower_notice(nn_follower* follower, uint16_t place)
{
    const nn_world_slot* slot = &follower->world->slots[place];
    nn_follower_state* state = &follower->states[place];
    if (slot->flags & NN_SLOT_COMMITTED) {
        if (state->generation !=
            slot->generation) { /* a new entity; its state or its leave makes the former one leave */
            uint8_t known = state->flags & (NN_FOLLOWER_KNOWN | NN_FOLLOWER_RECENT);
            nn_follower_unpend(follower, place);
            memset(state, 0, sizeof *state);
            state->flags = known;
            state->generation = slot->generation;
            state->sent_tick = follower->world->tick - FOLLOWER_NEW_HEAD_START;
        }
        nn_follower_pend(follower, place);
    } else if (state->flags & NN_FOLLOWER_KNOWN) {
        state->flags |= NN_FOLLOWER_LEAVING;
        state->sent_tick -= FOLLOWER_LEAVE_HEAD_START;
        nn_follower_pend(follower, place);
    } else {
        nn_follower_forget(follower, place);
    }
}

/* The tick before a slot left the state that the client has; the present one for a slot without such a state. */
static uint32_t follower_still_until(const nn_follower* follower, uint16_t place)
{
    const nn_world_slot* slot = &follower->world->slots[place];
    const nn_follower_state* state = &follower->states[place];
    bool known = (state->flags & NN_FOLLOWER_KNOWN) && state->generation == slot->generation;
    if (!known || !(slot->flags & NN_SLOT_COMMITTED) || slot->versions == 0) return follower->world->tick;
    if (slot->version == state->sent_version) return follower->world->tick;
    if (!nn_world_row(follower->world, slot, state->sent_version + 1)) return 0;
    return nn_world_version_tick(slot, state->sent_version + 1) - 1;
}

NN_PRIVATE bool nn_follower_sync(nn_follower* follower)
{
    const necpnet_world* world = follower->world;
    if (!follower_reserve(follower)) return false;
    uint32_t quiet = follower->pending_count ? 0 : world->tick;
    for (uint16_t place = world->newest; place; place = world->slots[place].older) {
        if (world->slots[place].changed <= follower->seen) break;
        uint32_t still = follower_still_until(follower, place);
        if (still < quiet) quiet = still;
        follower_notice(follower, place);
    }
    follower->quiet_tick = quiet;
    follower->seen = world->commit;
    return true;
}

/* ---- when */

static bool follower_has_something(const nn_follower* follower)
{
    const necpnet_world* world = follower->world;
    uint32_t input;
    if (follower->frame_next - follower->frame_first >= NN_FOLLOWER_RECORDS_MAX) return false;
    if (follower->pending_count || follower->walk_from) return true;
    if (world->commit <= follower->sent_commit) return false;
    if (follower->trailing || follower->moving_count) return true;
    if (world->newest && world->slots[world->newest].changed > follower->seen) return true;
    return nn_follower_input(follower, &input) && input != follower->input_sent;
}

NN_PRIVATE uint64_t nn_follower_deadline_us(const nn_follower* follower)
{
    return follower_has_something(follower) ? follower->next_us : NN_NEVER;
}

NN_PRIVATE bool nn_follower_ready(const nn_follower* follower, uint64_t now_us)
{
    return now_us >= follower->next_us && follower_has_something(follower);
}

NN_PRIVATE void nn_follower_schedule(nn_follower* follower, uint64_t now_us)
{
    uint64_t interval = 1000000u / follower->world->config.send_hz;
    follower->next_us += interval;
    if (follower->next_us <= now_us) follower->next_us = now_us + interval;
    if (follower->next_us > now_us + interval) follower->next_us = now_us + interval;
}

NN_PRIVATE void nn_follower_refill(nn_follower* follower, uint64_t now_us)
{
    uint64_t rate = follower->world->config.client_bytes_per_s;
    uint64_t most = rate * 2 / follower->world->config.send_hz;
    if (most < FOLLOWER_BURST_BYTES) most = FOLLOWER_BURST_BYTES;
    uint64_t elapsed_us = nn_min_u64(now_us - follower->refilled_us, 10000000u);
    if (now_us < follower->refilled_us) elapsed_us = 0;
    if (follower->refilled_us == 0) elapsed_us = 10000000u;
    follower->refilled_us = now_us;
    follower->allowance = nn_min_u64(follower->allowance + elapsed_us * rate, most * 1000000u);
}

/* ---- what became of frames */

NN_PRIVATE void nn_follower_forget(nn_follower* follower, uint16_t place)
{
    nn_follower_state* state = &follower->states[place];
    uint8_t kept = state->flags & NN_FOLLOWER_RECENT;
    nn_follower_unpend(follower, place);
    memset(state, 0, sizeof *state);
    state->flags = kept;
}

static uint64_t follower_bit(const nn_follower_state* state, uint32_t number)
{
    uint32_t back = state->number - 1 - number;
    return back < 64 ? (state->sent | state->full) & UINT64_C(1) << back : 0;
}

NN_PRIVATE void nn_follower_arrived(nn_follower* follower, uint16_t place, uint32_t number)
{
    nn_follower_state* state = &follower->states[place];
    const nn_world_slot* slot = &follower->world->slots[place];
    uint64_t bit = follower_bit(state, number);
    if (!bit) return; /* of a former entity, or too long ago */
    state->acked |= bit;
    if (!(state->sent & bit)) {
        if (state->flags & NN_FOLLOWER_LEAVING) nn_follower_forget(follower, place);
        return;
    }
    bool newest = !(state->acked & (bit - 1));
    if ((state->full & bit) && (uint16_t)(number - state->floor) < 0x8000) {
        state->flags &= (uint8_t)~NN_FOLLOWER_FULL;
    }
    if (newest) {
        state->flags |= NN_FOLLOWER_BASE;
        state->base_tick = follower->ticks[number & 63];
    }
    if (state->flags & NN_FOLLOWER_LEAVING) return;
    if (nn_follower_has_newest(follower, state, slot)) nn_follower_unpend(follower, place);
}

static void follower_missed(nn_follower* follower, uint16_t place, uint32_t number)
{
    nn_follower_state* state = &follower->states[place];
    const nn_world_slot* slot = &follower->world->slots[place];
    nn_follower_age(follower, state);
    uint64_t bit = follower_bit(state, number);
    uint64_t newer = bit ? bit - 1 : UINT64_MAX;     /* it may be too long ago for the masks */
    if ((state->sent | state->full) & newer) return; /* something newer is under way */
    if (!bit && (state->flags & NN_FOLLOWER_SURE)) return;
    bool leaving = (state->flags & NN_FOLLOWER_LEAVING) != 0;
    if ((state->sent & bit) && leaving) return; /* the leave is under way, or will be */
    if (slot->generation != state->generation && !leaving) return;
    nn_follower_pend(follower, place);
}

static void follower_settle(nn_follower* follower, uint32_t value, bool acked)
{
    if (value - follower->frame_first >= follower->frame_next - follower->frame_first) return;
    nn_follower_frame* frame = nn_follower_frame_of(follower, value);
    if (!frame->open) return;
    /* So late that the view may have dropped it: see NN_STATE_WINDOW_TICKS. */
    if (follower->sent_tick - frame->tick >= NN_STATE_WINDOW_TICKS) acked = false;
    uint32_t back = follower->frame_next - 1 - value;
    if (back >= NN_FRAME_LATE_MAX) acked = false;
    if (acked) follower->known |= UINT64_C(1) << back;
    for (uint32_t i = 0; i < frame->count; i++) {
        uint16_t place = follower->entries[(frame->first + i) & (follower->entry_capacity - 1)];
        if (acked) {
            nn_follower_arrived(follower, place, value);
        } else {
            follower_missed(follower, place, value);
        }
    }
    frame->open = false;
    while (follower->frame_first != follower->frame_next &&
           !nn_follower_frame_of(follower, follower->frame_first)->open) {
        follower->frame_first++;
    }
}

NN_PRIVATE void nn_follower_acked(nn_follower* follower, uint32_t value)
{
    follower_settle(follower, value, true);
}

NN_PRIVATE void nn_follower_lost(nn_follower* follower, uint32_t value)
{
    follower_settle(follower, value, false);
}
