/* nn_follower - what one client has, what it lacks, and what became of its frames. They are written in
 * nn_follower_write.c. */
#include "nn_follower.h"

#define FOLLOWER_BURST_BYTES 1200u     /* budget that may be saved up, at least */
#define FOLLOWER_RECORD_BITS_FIRST 96u /* guess of a record's size */

/* ---- following */

static nn_follower** follower_bucket(const necpnet_world* world, necpnet_peer peer)
{
    uint64_t mixed = peer * UINT64_C(0x9e3779b97f4a7c15);
    return &world->buckets[(mixed >> 32) & (world->bucket_count - 1)];
}

NN_PRIVATE nn_follower* nn_follower_find(const necpnet_world* world, necpnet_peer peer)
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

static void follower_unlink(necpnet_world* world, const nn_follower* follower)
{
    nn_follower** at = follower_bucket(world, follower->peer);
    while (*at != follower) at = &(*at)->next;
    *at = follower->next;
}

static nn_follower* follower_create(necpnet_world* world, necpnet_peer peer)
{
    nn_follower* follower = (nn_follower*)nn_alloc_take(&world->alloc, sizeof *follower);
    if (!follower) return NULL;
    follower->world = world;
    follower->peer = peer;
    follower->parked = true;
    if (nn_follower_look(follower)) {
        nn_observer_reset(&follower->observer);
        nn_alloc_give(&world->alloc, follower, sizeof *follower);
        return NULL;
    }
    if (world->follower_count >= world->bucket_count) follower_spread(world);
    nn_follower** bucket = follower_bucket(world, peer);
    follower->next = *bucket;
    *bucket = follower;
    return follower;
}

NN_PRIVATE necpnet_result nn_world_follow(necpnet_world* world, necpnet_peer peer, bool ordered,
                                          nn_follower** out_follower)
{
    nn_follower* follower = nn_follower_find(world, peer);
    if (follower && !follower->parked) return NECPNET_ERR_ALREADY_EXISTS;
    if (!follower) follower = follower_create(world, peer);
    if (!follower) return NECPNET_ERR_OUT_OF_MEMORY;
    follower->parked = false;
    follower->ordered = ordered;
    follower->thin = world->config.codec == NECPNET_CODEC_THIN;
    follower->own_tables = false;
    follower->record_bits = FOLLOWER_RECORD_BITS_FIRST * 16;
    follower->frame_first = 1;
    follower->frame_next = 1;
    follower->quiet_most = UINT32_MAX;
    follower->rescan = true;
    follower->greeting = ordered ? 1 : NN_STATE_GREETING_FRAMES;
    follower->list_place = 1;
    world->follower_count++;
    *out_follower = follower;
    return NECPNET_OK;
}

NN_PRIVATE void nn_follower_set_tables(nn_follower* follower, uint64_t own_hash)
{
    const nn_tables* own = follower->world->schema->own_tables;
    follower->own_tables = own && own->hash == own_hash;
}

necpnet_result necpnet_world_set_codec(necpnet_world* world, necpnet_peer peer, necpnet_codec codec)
{
    if (!world || (int)codec < NECPNET_CODEC_DEFAULT || codec > NECPNET_CODEC_THIN) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    nn_follower* follower = nn_follower_find(world, peer);
    if (!follower || follower->parked) return NECPNET_ERR_NOT_FOUND;
    follower->thin = codec == NECPNET_CODEC_THIN;
    return NECPNET_OK;
}

/* Whether it looks at the world in a way of its own, or has something of its own in it. */
static bool follower_is_placed(const nn_follower* follower)
{
    const nn_observer* observer = &follower->observer;
    return follower->watched || follower->own_variables || follower->object_count ||
           observer->x != NN_INTEREST_NOWHERE || observer->room_count != 1 || observer->rooms[0] != 0;
}

NN_PRIVATE void nn_world_unfollow(necpnet_world* world, nn_follower* follower)
{
    if (!follower) return;
    world->follower_count--;
    nn_follower_end_authority(follower);
    nn_follower_clear(follower);
    nn_alloc_give(&world->alloc, follower->entries, follower->entry_capacity * sizeof(uint16_t));
    nn_alloc_give(&world->alloc, follower->frames, follower->frame_capacity * sizeof(nn_follower_frame));
    nn_follower kept;
    memset(&kept, 0, sizeof kept);
    kept.world = world;
    kept.next = follower->next;
    kept.peer = follower->peer;
    kept.parked = true;
    kept.observer = follower->observer;
    kept.watched = follower->watched;
    kept.own_variables = follower->own_variables;
    kept.objects = follower->objects;
    kept.object_count = follower->object_count;
    *follower = kept; /* its address is the observer's */
    if (!follower_is_placed(follower)) nn_world_forget(world, follower->peer);
}

NN_PRIVATE void nn_world_forget(necpnet_world* world, necpnet_peer peer)
{
    nn_follower* follower = nn_follower_find(world, peer);
    if (!follower || !follower->parked) return;
    nn_world_slot* watched = nn_world_find(world, follower->watched);
    if (watched) watched->watchers--;
    nn_follower_end_variables(follower);
    nn_follower_end_objects(follower);
    nn_observer_reset(&follower->observer);
    follower_unlink(world, follower);
    nn_alloc_give(&world->alloc, follower, sizeof *follower);
}

necpnet_result necpnet_world_set_input(necpnet_world* world, necpnet_peer peer, uint32_t tick)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_follower* follower = nn_follower_find(world, peer);
    if (!follower || follower->parked) return NECPNET_ERR_NOT_FOUND;
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

NN_PRIVATE void nn_follower_pend(nn_follower* follower, nn_follower_state* state)
{
    if (state->pending) return;
    NN_ASSERT(follower->pending_count < follower->state_capacity);
    follower->pending[follower->pending_count++] = (uint16_t)(state - follower->states);
    state->pending = (uint16_t)follower->pending_count;
}

NN_PRIVATE void nn_follower_unpend(nn_follower* follower, nn_follower_state* state)
{
    if (!state->pending) return;
    uint16_t last = follower->pending[--follower->pending_count];
    follower->pending[state->pending - 1] = last;
    follower->states[last].pending = state->pending;
    state->pending = 0;
    if (!follower->pending_count) follower->quiet_most = UINT32_MAX;
}

NN_PRIVATE void nn_follower_take_changes(nn_follower* follower)
{
    uint32_t before = follower->changed_tick - 1;
    for (uint32_t i = 0; i < follower->changed_count; i++) {
        nn_follower_state* state = nn_follower_state_of(follower, follower->changed[i]);
        if (!state || !(state->flags & NN_FOLLOWER_SEEN)) continue;
        if (state->flags & NN_FOLLOWER_KNOWN) {
            follower->quiet_most = (uint32_t)nn_min_u64(follower->quiet_most, before);
        }
        nn_follower_pend(follower, state);
    }
    follower->changed_count = 0;
}

NN_PRIVATE bool nn_follower_sync(nn_follower* follower)
{
    if (follower->rescan && !nn_follower_rescan(follower)) return false;
    nn_follower_take_changes(follower);
    follower->quiet_tick = (uint32_t)nn_min_u64(follower->world->tick, follower->quiet_most);
    if (follower->pending_count) follower->quiet_most = 0;
    return true;
}

/* ---- when */

static bool follower_has_something(const nn_follower* follower)
{
    const necpnet_world* world = follower->world;
    uint32_t input;
    if (follower->frame_next - follower->frame_first >= NN_FOLLOWER_RECORDS_MAX) return false;
    if (follower->pending_count || follower->changed_count || follower->walk_from || follower->rescan) return true;
    if (world->commit <= follower->sent_commit) return false;
    if (follower->trailing || follower->greeting || follower->moving_count) return true;
    return nn_follower_input(follower, &input) && input != follower->input_sent;
}

NN_PRIVATE uint64_t nn_follower_deadline_us(const nn_follower* follower)
{
    if (nn_follower_has_tell(follower)) return 0;
    if (!follower->tells_later && nn_follower_lacks_variables(follower)) return 0;
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
    if (follower->records) {
        follower->allowance = UINT64_C(1000000) * NN_STATE_FRAME_BYTES_MAX;
        return;
    }
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

/* The frame's bit in the masks, if it had the entity; it may have been too long ago. */
static uint64_t follower_bit(const nn_follower* follower, const nn_follower_recent* recent, uint32_t number)
{
    uint32_t back = follower->frame_next - 1 - number;
    return recent && back < 64 ? (recent->sent | recent->full) & UINT64_C(1) << back : 0;
}

NN_PRIVATE void nn_follower_arrived(nn_follower* follower, uint16_t place, uint32_t number, uint32_t tick)
{
    nn_follower_recent* recent = nn_follower_recent_of(follower, place);
    uint64_t bit = follower_bit(follower, recent, number);
    if (!bit) return; /* of a former entity, or too long ago */
    nn_follower_state* state = &follower->states[recent->state];
    const nn_world_slot* slot = &follower->world->slots[place];
    recent->acked |= bit;
    if (!(recent->sent & bit)) { /* it left, unless it came back since */
        bool is_last = !((recent->sent | recent->full) & (bit - 1));
        if ((state->flags & NN_FOLLOWER_LEAVING) && is_last) nn_follower_forget(follower, place);
        return;
    }
    bool newest = !(recent->acked & (bit - 1));
    if ((recent->full & bit) && follower->frame_next - 1 - number < recent->fresh) {
        state->flags &= (uint8_t)~NN_FOLLOWER_FULL;
    }
    if (newest) {
        state->flags |= NN_FOLLOWER_BASE;
        state->base_tick = tick;
    }
    if (!state->pending || (state->flags & NN_FOLLOWER_LEAVING)) return;
    if (nn_follower_has_newest(follower, state, slot)) nn_follower_unpend(follower, state);
}

static void follower_missed(nn_follower* follower, uint16_t place, uint32_t number)
{
    nn_follower_state* state = nn_follower_state_of(follower, place);
    if (!state) return;
    const nn_world_slot* slot = &follower->world->slots[place];
    const nn_follower_recent* recent = nn_follower_recent_of(follower, place);
    uint64_t bit = follower_bit(follower, recent, number);
    uint64_t newer = bit ? bit - 1 : UINT64_MAX;                   /* it may be too long ago for the masks */
    if (recent && ((recent->sent | recent->full) & newer)) return; /* something newer is under way */
    if (!bit && (state->flags & NN_FOLLOWER_SURE)) return;
    bool leaving = (state->flags & NN_FOLLOWER_LEAVING) != 0;
    if (bit && (recent->sent & bit) && leaving) return; /* the leave is under way, or will be */
    if (slot->generation != state->generation && !leaving) return;
    nn_follower_pend(follower, state);
    follower->quiet_most = 0;
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
    if (acked && frame->complete && follower->greeting) follower->greeting--;
    for (uint32_t i = 0; i < frame->count; i++) {
        uint16_t place = follower->entries[(frame->first + i) & (follower->entry_capacity - 1)];
        if (acked) {
            nn_follower_arrived(follower, place, value, frame->tick);
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

static void follower_settle_timed(nn_follower* follower, uint32_t value, bool acked)
{
    necpnet_world* world = follower->world;
    uint64_t began_ns = nn_world_time_ns(world);
    follower_settle(follower, value, acked);
    world->statistics.encode_ns += nn_world_time_ns(world) - began_ns;
}

NN_PRIVATE void nn_follower_acked(nn_follower* follower, uint32_t value)
{
    follower_settle_timed(follower, value, true);
}

NN_PRIVATE void nn_follower_lost(nn_follower* follower, uint32_t value)
{
    follower_settle_timed(follower, value, false);
}
