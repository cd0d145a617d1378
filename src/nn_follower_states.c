/* nn_follower_states - what a follower holds of slots, so that memory goes with what is in view and not with the world: a
 * compact array of all, found by a hash, and one in the order of slots of those that were sent of late, which every frame
 * walks through. */
#include "nn_follower.h"

#define STATES_STEP 4      /* a sixteenth more, and so many */
#define RECENT_SPARE 8     /* room that is not given back */
#define RECENT_FRAMES 64   /* in the masks */
#define RECENT_STEPS_MAX 6 /* then halves are faster */

static uint32_t states_capacity(uint32_t count)
{
    return count + count / 16 + STATES_STEP;
}

static uint32_t states_bucket(const nn_follower* follower, uint16_t place)
{
    return (uint32_t)((uint64_t)(place * UINT32_C(0x9e3779b1)) * follower->index_size >> 32);
}

static uint32_t states_next(const nn_follower* follower, uint32_t bucket)
{
    return bucket + 1 == follower->index_size ? 0 : bucket + 1;
}

/* Where the index has a slot, or the empty bucket where it would be. */
static uint32_t states_find(const nn_follower* follower, uint16_t place)
{
    uint32_t at = states_bucket(follower, place);
    while (follower->index[at] && follower->states[follower->index[at] - 1].place != place) {
        at = states_next(follower, at);
    }
    return at;
}

NN_PRIVATE nn_follower_state* nn_follower_state_of(const nn_follower* follower, uint16_t place)
{
    if (!follower->index) return NULL;
    uint16_t number = follower->index[states_find(follower, place)];
    return number ? &follower->states[number - 1] : NULL;
}

static void states_give(nn_follower* follower)
{
    nn_alloc* to = &follower->world->alloc;
    nn_alloc_give(to, follower->states, follower->state_capacity * sizeof(nn_follower_state));
    nn_alloc_give(to, follower->pending, follower->state_capacity * sizeof(uint16_t));
    nn_alloc_give(to, follower->index, follower->index_size * sizeof(uint16_t));
}

static bool states_resize(nn_follower* follower, uint32_t capacity)
{
    nn_alloc* alloc = &follower->world->alloc;
    nn_follower larger = *follower;
    larger.state_capacity = capacity;
    larger.index_size = capacity + capacity / 2;
    larger.states = (nn_follower_state*)nn_alloc_take(alloc, capacity * sizeof(nn_follower_state));
    larger.pending = (uint16_t*)nn_alloc_take(alloc, capacity * sizeof(uint16_t));
    larger.index = (uint16_t*)nn_alloc_take(alloc, larger.index_size * sizeof(uint16_t));
    if (!larger.states || !larger.pending || !larger.index) {
        states_give(&larger);
        return false;
    }
    nn_copy(larger.states, follower->states, follower->state_count * sizeof(nn_follower_state));
    nn_copy(larger.pending, follower->pending, follower->pending_count * sizeof(uint16_t));
    for (uint32_t i = 0; i < larger.state_count; i++) {
        larger.index[states_find(&larger, larger.states[i].place)] = (uint16_t)(i + 1);
    }
    states_give(follower);
    follower->states = larger.states;
    follower->pending = larger.pending;
    follower->index = larger.index;
    follower->index_size = larger.index_size;
    follower->state_capacity = capacity;
    return true;
}

NN_PRIVATE nn_follower_state* nn_follower_add(nn_follower* follower, uint16_t place)
{
    nn_follower_state* state = nn_follower_state_of(follower, place);
    if (state) return state;
    uint32_t count = follower->state_count;
    if (count == follower->state_capacity && !states_resize(follower, states_capacity(count))) {
        return NULL;
    }
    state = &follower->states[count];
    memset(state, 0, sizeof *state);
    follower->index[states_find(follower, place)] = (uint16_t)(count + 1);
    state->place = place;
    follower->state_count++;
    return state;
}

/* Those behind an emptied bucket move up, so that no search ends too early. */
static void states_close_gap(nn_follower* follower, uint32_t gap)
{
    for (uint32_t at = states_next(follower, gap); follower->index[at]; at = states_next(follower, at)) {
        uint32_t home = states_bucket(follower, follower->states[follower->index[at] - 1].place);
        bool is_between = gap < at ? home > gap && home <= at : home > gap || home <= at;
        if (is_between) continue;
        follower->index[gap] = follower->index[at];
        gap = at;
    }
    follower->index[gap] = 0;
}

/* Away with it; it is in no list. The last one takes its place. */
static void states_drop(nn_follower* follower, uint16_t place)
{
    uint32_t bucket = states_find(follower, place);
    uint16_t number = follower->index[bucket];
    NN_ASSERT(number && !follower->states[number - 1].pending);
    if (!number) return;
    states_close_gap(follower, bucket);
    const nn_follower_state* last = &follower->states[--follower->state_count];
    if (last->place == place) return;
    follower->index[states_find(follower, last->place)] = number;
    follower->states[number - 1] = *last;
    if (last->pending) follower->pending[last->pending - 1] = (uint16_t)(number - 1);
    if (last->flags & NN_FOLLOWER_RECENT) {
        nn_follower_recent_of(follower, last->place)->state = (uint16_t)(number - 1);
    }
}

/* ---- what was sent of late */

/* The first at or behind a slot. */
static uint32_t recent_search(const nn_follower* follower, uint16_t place)
{
    uint32_t first = 0;
    uint32_t count = follower->recent_count;
    while (count > 0) {
        uint32_t half = count / 2;
        if (follower->recent[first + half].place < place) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}

NN_PRIVATE nn_follower_recent* nn_follower_recent_of(nn_follower* follower, uint16_t place)
{
    const nn_follower_recent* recent = follower->recent;
    uint32_t count = follower->recent_count;
    uint32_t at = follower->recent_hint;
    uint32_t most = at + RECENT_STEPS_MAX < count ? at + RECENT_STEPS_MAX : count;
    while (at < most && recent[at].place < place) at++;
    bool found = at < count && recent[at].place == place;
    if (!found) {
        at = recent_search(follower, place);
        found = at < count && recent[at].place == place;
    }
    follower->recent_hint = at;
    return found ? &follower->recent[at] : NULL;
}

static bool recent_resize(nn_follower* follower, uint32_t capacity)
{
    nn_alloc* alloc = &follower->world->alloc;
    nn_follower_recent* recent = (nn_follower_recent*)nn_alloc_take(alloc, capacity * sizeof *recent);
    if (!recent) return false;
    nn_copy(recent, follower->recent, follower->recent_count * sizeof *recent);
    nn_alloc_give(alloc, follower->recent, follower->recent_capacity * sizeof *recent);
    follower->recent = recent;
    follower->recent_capacity = capacity;
    return true;
}

NN_PRIVATE bool nn_follower_reserve(nn_follower* follower, uint32_t count)
{
    uint32_t needed = follower->recent_count + count;
    uint32_t capacity = states_capacity(needed);
    if (needed > follower->recent_capacity) return recent_resize(follower, capacity);
    if (capacity + RECENT_SPARE < follower->recent_capacity) (void)recent_resize(follower, capacity);
    return true;
}

NN_PRIVATE nn_follower_recent* nn_follower_note(nn_follower* follower, nn_follower_state* state)
{
    uint32_t at = follower->recent_count++;
    NN_ASSERT(at < follower->recent_capacity);
    nn_follower_recent* recent = follower->recent;
    for (; at > 0 && recent[at - 1].place > state->place; at--) recent[at] = recent[at - 1];
    memset(&recent[at], 0, sizeof *recent);
    recent[at].place = state->place;
    recent[at].state = (uint16_t)(state - follower->states);
    recent[at].fresh = RECENT_FRAMES;
    state->flags |= NN_FOLLOWER_RECENT;
    return &recent[at];
}

NN_PRIVATE void nn_follower_need_full(nn_follower* follower, nn_follower_state* state)
{
    state->flags |= NN_FOLLOWER_FULL;
    if (state->flags & NN_FOLLOWER_RECENT) nn_follower_recent_of(follower, state->place)->fresh = 0;
}

NN_PRIVATE void nn_follower_step(nn_follower* follower)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < follower->recent_count; i++) {
        nn_follower_recent* recent = &follower->recent[i];
        if ((recent->sent | recent->full) >> 63) { /* the newest of those that the masks no longer hold */
            nn_follower_state* state = &follower->states[recent->state];
            state->flags &= (uint8_t)~NN_FOLLOWER_SURE;
            if ((recent->acked & recent->sent) >> 63) state->flags |= NN_FOLLOWER_SURE;
        }
        bool is_state = recent->kind == NN_FOLLOWER_UPDATE || recent->kind == NN_FOLLOWER_WHOLE;
        recent->sent = recent->sent << 1 | is_state;
        recent->full = recent->full << 1 | (recent->kind >= NN_FOLLOWER_WHOLE);
        recent->acked <<= 1;
        if (recent->fresh < RECENT_FRAMES) recent->fresh++;
        recent->kind = NN_FOLLOWER_NOTHING;
        if (recent->sent | recent->full) {
            if (kept != i) follower->recent[kept] = *recent;
            kept++;
        } else {
            follower->states[recent->state].flags &= (uint8_t)~NN_FOLLOWER_RECENT;
        }
    }
    follower->recent_count = kept;
}

static void recent_remove(nn_follower* follower, uint16_t place)
{
    nn_follower_recent* recent = nn_follower_recent_of(follower, place);
    if (!recent) return;
    const nn_follower_recent* end = follower->recent + --follower->recent_count;
    memmove(recent, recent + 1, (size_t)(end - recent) * sizeof *recent);
}

NN_PRIVATE void nn_follower_forget(nn_follower* follower, uint16_t place)
{
    nn_follower_state* state = nn_follower_state_of(follower, place);
    nn_follower_unpend(follower, state);
    if (state->flags & NN_FOLLOWER_RECENT) recent_remove(follower, place);
    states_drop(follower, place);
}

NN_PRIVATE void nn_follower_shrink(nn_follower* follower)
{
    uint32_t capacity = states_capacity(follower->state_count);
    if (capacity < follower->state_capacity / 2) (void)states_resize(follower, capacity);
}

NN_PRIVATE void nn_follower_clear(nn_follower* follower)
{
    states_give(follower);
    nn_alloc_give(&follower->world->alloc, follower->recent, follower->recent_capacity * sizeof(nn_follower_recent));
    follower->states = NULL;
    follower->pending = NULL;
    follower->recent = NULL;
    follower->index = NULL;
    follower->state_count = 0;
    follower->state_capacity = 0;
    follower->pending_count = 0;
    follower->recent_count = 0;
    follower->recent_capacity = 0;
    follower->changed_count = 0;
}
