/* nn_follower - what one client has, and the frames that bring it what it lacks. */
#include "nn_follower.h"

#include "nn_frame.h"

#include "nn_row.h"

#define FOLLOWER_HEAD_BYTES_MAX 28     /* type, length 2, flags, three varints of at most 8 */
#define FOLLOWER_BURST_BYTES 1200u     /* budget that may be saved up, at least */
#define FOLLOWER_TRAILING_ORDERED 1    /* frames after the last change, which tell that nothing moves any more */
#define FOLLOWER_TRAILING_UNORDERED 3  /* some of them may be lost */
#define FOLLOWER_RECORD_BITS_FIRST 96u /* guess of a record's size */
#define FOLLOWER_NEW_HEAD_START 32u    /* ticks of waiting that an entity unknown to the client begins with */
#define FOLLOWER_LEAVE_HEAD_START 64u
#define FOLLOWER_ENTRIES_FIRST 64

typedef enum follower_flag {
    FOLLOWER_KNOWN = 1,  /* the client may have it, or a former entity of the slot */
    FOLLOWER_BASE = 2,   /* base_* name a state that it surely has */
    FOLLOWER_OWNER = 4,  /* and it was sent as its own */
    FOLLOWER_LEAVING = 8 /* it is gone, and the client may not know */
} follower_flag;

/* One a client and entity. */
typedef struct follower_state {
    uint32_t base_version;
    uint32_t base_tick;
    uint32_t sent_version;
    uint32_t sent_tick;
    uint16_t generation;
    uint16_t base_index;  /* which sending the base was */
    uint16_t sent_index;  /* sendings so far */
    uint16_t floor_index; /* acks of sendings up to this one say nothing */
    uint16_t pending;     /* place in the pending list plus 1; 0: not in it */
    uint8_t flags;        /* follower_flag */
} follower_state;

typedef enum follower_kind { FOLLOWER_UPDATE = 0, FOLLOWER_FULL = 1, FOLLOWER_LEAVE = 2 } follower_kind;

/* One a record in a frame that is neither acked nor lost. */
typedef struct follower_entry {
    uint32_t version;
    uint16_t place;
    uint16_t generation;
    uint16_t index;
    uint16_t base_index; /* UPDATE: of the baseline that it was written against */
    uint8_t kind;        /* follower_kind */
} follower_entry;

typedef struct follower_frame {
    uint32_t first; /* number of its first entry */
    uint32_t count;
    uint32_t tick;
    bool open;
} follower_frame;

struct nn_follower {
    necpnet_world* world;
    nn_follower* next; /* in its bucket */
    necpnet_peer peer;
    bool ordered;
    follower_state* states; /* by slot */
    uint32_t state_capacity;
    uint16_t* pending; /* slots with something to send; room for pending_capacity */
    uint32_t pending_count;
    uint32_t pending_capacity;
    uint64_t* order;         /* scratch for choosing, as large as pending */
    follower_entry* entries; /* ring by number, a power of two */
    uint32_t entry_capacity;
    uint32_t entry_next;
    follower_frame frames[NN_FOLLOWER_RECORDS_MAX]; /* ring by value */
    uint32_t frame_first;                           /* the oldest value that is open */
    uint32_t frame_next;
    uint64_t seen;        /* commit up to which the change list was walked */
    uint64_t sent_commit; /* of the last frame */
    uint32_t sent_tick;
    uint32_t quiet_tick;   /* the client had all until then, without a frame; counts when after sent_tick */
    uint32_t input_now;    /* inputs processed as of the commit input_commit + 1 */
    uint32_t input_before; /* and as of earlier ones */
    uint64_t input_commit;
    bool has_input;
    bool has_input_before;
    uint32_t input_sent;
    uint64_t next_us;
    uint64_t refilled_us;
    uint64_t allowance;   /* bytes that may be sent now, times 1,000,000 */
    uint32_t record_bits; /* mean size of a record, in sixteenths of a bit */
    uint16_t start;       /* the slot to begin with: the first that found no room */
    uint8_t trailing;
    bool again; /* the last frame left something behind that the budget allows: another one at once */
};

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
    nn_alloc_give(&world->alloc, follower->states, follower->state_capacity * sizeof(follower_state));
    nn_alloc_give(&world->alloc, follower->pending, follower->pending_capacity * sizeof(uint16_t));
    nn_alloc_give(&world->alloc, follower->order, follower->pending_capacity * sizeof(uint64_t));
    nn_alloc_give(&world->alloc, follower->entries, follower->entry_capacity * sizeof(follower_entry));
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

/* The input whose effect the last commit holds; false before the first. */
static bool follower_input(const nn_follower* follower, uint32_t* out_tick)
{
    bool now = follower->has_input && follower->world->commit > follower->input_commit;
    *out_tick = now ? follower->input_now : follower->input_before;
    return now || follower->has_input_before;
}

/* ---- the pending list */

static void follower_pend(nn_follower* follower, uint16_t place)
{
    follower_state* state = &follower->states[place];
    if (state->pending) return;
    NN_ASSERT(follower->pending_count < follower->pending_capacity);
    follower->pending[follower->pending_count++] = place;
    state->pending = (uint16_t)follower->pending_count;
}

static void follower_unpend(nn_follower* follower, uint16_t place)
{
    follower_state* state = &follower->states[place];
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
        uint64_t* order = (uint64_t*)nn_alloc_take(alloc, capacity * sizeof(uint64_t));
        if (!pending || !order) {
            nn_alloc_give(alloc, pending, capacity * sizeof(uint16_t));
            nn_alloc_give(alloc, order, capacity * sizeof(uint64_t));
            return false;
        }
        nn_copy(pending, follower->pending, follower->pending_count * sizeof(uint16_t));
        nn_alloc_give(alloc, follower->pending, follower->pending_capacity * sizeof(uint16_t));
        nn_alloc_give(alloc, follower->order, follower->pending_capacity * sizeof(uint64_t));
        follower->pending = pending;
        follower->order = order;
        follower->pending_capacity = capacity;
    }
    follower_state* states = (follower_state*)nn_alloc_grow(
        alloc, follower->states, follower->state_capacity * sizeof(follower_state), capacity * sizeof(follower_state));
    if (!states) return false;
    follower->states = states;
    follower->state_capacity = capacity;
    return true;
}

static bool follower_owns(const nn_follower* follower, const nn_world_slot* slot)
{
    return follower->peer != NECPNET_PEER_NONE && slot->owner_committed == follower->peer;
}

static bool follower_has_newest(const nn_follower* follower, const follower_state* state, const nn_world_slot* slot)
{
    return (state->flags & FOLLOWER_BASE) && state->base_version == slot->version &&
           follower_owns(follower, slot) == ((state->flags & FOLLOWER_OWNER) != 0);
}

/* A slot changed in the world: note what this client then needs. */
static void follower_notice(nn_follower* follower, uint16_t place)
{
    const nn_world_slot* slot = &follower->world->slots[place];
    follower_state* state = &follower->states[place];
    if (slot->flags & NN_SLOT_COMMITTED) {
        if (state->generation !=
            slot->generation) { /* a new entity; its state or its leave makes the former one leave */
            uint8_t known = state->flags & FOLLOWER_KNOWN;
            follower_unpend(follower, place);
            memset(state, 0, sizeof *state);
            state->flags = known;
            state->generation = slot->generation;
            state->sent_tick = follower->world->tick - FOLLOWER_NEW_HEAD_START;
        }
        follower_pend(follower, place);
    } else if (state->flags & FOLLOWER_KNOWN) {
        state->flags |= FOLLOWER_LEAVING;
        state->sent_tick -= FOLLOWER_LEAVE_HEAD_START;
        follower_pend(follower, place);
    } else {
        follower_unpend(follower, place);
        memset(state, 0, sizeof *state);
    }
}

/* The tick before a slot left the state that the client has; the present one for a slot without such a state. */
static uint32_t follower_still_until(const nn_follower* follower, uint16_t place)
{
    const nn_world_slot* slot = &follower->world->slots[place];
    const follower_state* state = &follower->states[place];
    bool known = (state->flags & FOLLOWER_KNOWN) && state->generation == slot->generation;
    if (!known || !(slot->flags & NN_SLOT_COMMITTED) || slot->versions == 0) return follower->world->tick;
    if (slot->version == state->sent_version) return follower->world->tick;
    if (!nn_world_row(follower->world, slot, state->sent_version + 1)) return 0;
    return nn_world_version_tick(slot, state->sent_version + 1) - 1;
}

static bool follower_sync(nn_follower* follower)
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
    if (follower->pending_count) return true;
    if (world->commit <= follower->sent_commit) return false;
    if (follower->trailing) return true;
    if (world->newest && world->slots[world->newest].changed > follower->seen) return true;
    return follower_input(follower, &input) && input != follower->input_sent;
}

NN_PRIVATE uint64_t nn_follower_deadline_us(const nn_follower* follower)
{
    return follower_has_something(follower) ? follower->next_us : NN_NEVER;
}

NN_PRIVATE bool nn_follower_ready(const nn_follower* follower, uint64_t now_us)
{
    return now_us >= follower->next_us && follower_has_something(follower);
}

/* Keeps its phase; late frames are not made up for. */
static void follower_schedule(nn_follower* follower, uint64_t now_us)
{
    uint64_t interval = 1000000u / follower->world->config.send_hz;
    follower->next_us += interval;
    if (follower->next_us <= now_us) follower->next_us = now_us + interval;
    if (follower->next_us > now_us + interval) follower->next_us = now_us + interval;
}

static void follower_refill(nn_follower* follower, uint64_t now_us)
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

/* ---- choosing */

/* Heap sort: rising, in place, no order among equals to differ between C libraries. */
static void follower_sift(uint64_t* keys, uint32_t at, uint32_t count)
{
    uint64_t key = keys[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count) break;
        if (child + 1 < count && keys[child + 1] > keys[child]) child++;
        if (keys[child] <= key) break;
        keys[at] = keys[child];
        at = child;
    }
    keys[at] = key;
}

static void follower_sort(uint64_t* keys, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) follower_sift(keys, i, count);
    for (uint32_t end = count; end-- > 1;) {
        uint64_t largest = keys[0];
        keys[0] = keys[end];
        keys[end] = largest;
        follower_sift(keys, 0, end);
    }
}

/* Slots for this frame into order[]: own entities first, then by slot from start on. Returns how many; fewer than are
 * pending if the room is short, those that waited longest. */
static uint32_t follower_choose(nn_follower* follower, size_t room_bytes)
{
    const necpnet_world* world = follower->world;
    uint64_t* order = follower->order;
    uint32_t count = follower->pending_count;
    uint64_t fit = (uint64_t)room_bytes * 8 * 16 / (follower->record_bits ? follower->record_bits : 1) + 1;
    uint32_t chosen = fit < count ? (uint32_t)fit : count;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t place = follower->pending[i];
        uint64_t waited = world->tick - follower->states[place].sent_tick;
        if (place == follower->start || follower_owns(follower, &world->slots[place])) waited = UINT32_MAX;
        order[i] = (UINT32_MAX - waited) << 16 | place;
    }
    if (chosen < count) follower_sort(order, count);
    for (uint32_t i = 0; i < chosen; i++) {
        uint16_t place = (uint16_t)order[i];
        uint64_t turned = (uint16_t)(place - follower->start);
        bool own = follower_owns(follower, &world->slots[place]);
        order[i] = (own ? 0u : UINT64_C(1) << 32) | turned << 16 | place;
    }
    follower_sort(order, chosen);
    return chosen;
}

/* ---- writing */

typedef struct follower_writing {
    nn_bit_writer bits;
    size_t bits_max;
    bool budget_limited; /* by the budget, not by the packet */
    unsigned gap_order;
    uint32_t usual_age; /* of most baselines; 0: none */
    uint16_t former;    /* slot of the record before */
} follower_writing;

static bool follower_can_delta(const nn_follower* follower, const follower_state* state, const nn_world_slot* slot)
{
    return (state->flags & FOLLOWER_BASE) && (uint16_t)(state->sent_index - state->base_index) < NN_VIEW_STATES - 1 &&
           nn_world_row(follower->world, slot, state->base_version);
}

/* The baseline age that most of the chosen have (Boyer and Moore's majority vote). */
static uint32_t follower_usual_age(const nn_follower* follower, uint32_t count)
{
    uint32_t candidate = 0;
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const follower_state* state = &follower->states[(uint16_t)follower->order[i]];
        uint32_t age = follower->world->tick - state->base_tick;
        if (!(state->flags & FOLLOWER_BASE) || age == 0 || age > 255) continue;
        if (votes == 0) candidate = age;
        if (candidate == age) {
            votes++;
        } else {
            votes--;
        }
    }
    return candidate;
}

static unsigned follower_gap_order(const nn_follower* follower, uint32_t count)
{
    if (count < 2) return 8;
    uint32_t bits = nn_bits_for(follower->world->slot_count / count);
    return bits ? (bits - 1) & 15 : 0;
}

/* The owner changed since it was sent: what the client has shows other fields. */
static void follower_check_owner(nn_follower* follower, follower_state* state, const nn_world_slot* slot)
{
    bool owner = follower_owns(follower, slot);
    if (owner == ((state->flags & FOLLOWER_OWNER) != 0)) return;
    state->flags &= (uint8_t) ~(FOLLOWER_BASE | FOLLOWER_OWNER);
    if (owner) state->flags |= FOLLOWER_OWNER;
    state->floor_index = state->sent_index;
}

/* Writes one record, or leaves bits as they were when there is no room. */
static bool follower_write_record(nn_follower* follower, follower_writing* writing, uint16_t place, follower_kind kind)
{
    necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[place];
    const follower_state* state = &follower->states[place];
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    nn_bit_writer* bits = &writing->bits;
    size_t mark = bits->bit_count;
    memcpy(world->model_before, world->model + plan->model, plan->row_words * sizeof(uint16_t));
    bool owner = (state->flags & FOLLOWER_OWNER) != 0;
    nn_bits_write(bits, 1, 1);
    nn_golomb_write(bits, (uint16_t)(place - writing->former - 1), writing->gap_order);
    if (kind == FOLLOWER_UPDATE) {
        uint32_t age = world->tick - state->base_tick;
        nn_bits_write(bits, 0, 1);
        nn_bits_write(bits, age == writing->usual_age, 1);
        if (age != writing->usual_age) nn_golomb_write(bits, age, 4);
        if (plan->restricted) nn_bits_write(bits, owner, 1);
        nn_row_write_delta(plan, world->model, bits, nn_world_row(world, slot, state->base_version),
                           nn_world_row(world, slot, slot->version), owner);
    } else {
        nn_bits_write(bits, kind == FOLLOWER_FULL ? 1 : 3, 2);
        nn_bits_write(bits, state->generation, 16);
        if (kind == FOLLOWER_FULL) {
            nn_bits_write(bits, slot->type, world->schema->type_bits);
            nn_bits_write(bits, owner, 1);
            nn_row_write(plan, bits, nn_world_row(world, slot, slot->version), owner);
        }
    }
    if (bits->failed || bits->bit_count + 1 > writing->bits_max) { /* the last bit ends the list */
        nn_bits_rewind(bits, mark);
        memcpy(world->model + plan->model, world->model_before, plan->row_words * sizeof(uint16_t));
        return false;
    }
    writing->former = place;
    return true;
}

static void follower_set_base(follower_state* state, uint32_t version, uint32_t tick, uint16_t index)
{
    state->flags |= FOLLOWER_BASE;
    state->base_version = version;
    state->base_tick = tick;
    state->base_index = index;
}

/* Book-keeping of a record that was written. */
static void follower_note_sent(nn_follower* follower, uint16_t place, follower_kind kind)
{
    necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[place];
    follower_state* state = &follower->states[place];
    state->sent_index++;
    if ((uint16_t)(state->sent_index - state->floor_index) > NN_FOLLOWER_RECORDS_MAX) {
        state->floor_index = (uint16_t)(state->sent_index - NN_FOLLOWER_RECORDS_MAX); /* older ones are settled */
    }
    state->sent_tick = world->tick;
    world->statistics.updates_sent++;
    if (kind == FOLLOWER_FULL) world->statistics.full_sent++;
    if (!follower->ordered) {
        follower_entry* entry = &follower->entries[follower->entry_next++ & (follower->entry_capacity - 1)];
        entry->version = slot->version;
        entry->place = place;
        entry->generation = state->generation;
        entry->index = state->sent_index;
        entry->base_index = state->base_index;
        entry->kind = (uint8_t)kind;
    }
    if (kind == FOLLOWER_LEAVE) {
        follower_unpend(follower, place);
        if (follower->ordered) memset(state, 0, sizeof *state);
        return;
    }
    state->flags |= FOLLOWER_KNOWN;
    state->sent_version = slot->version;
    if (follower->ordered) follower_set_base(state, slot->version, world->tick, state->sent_index);
    /* Own entities go with every frame until acked, so that a frame's input tick never runs ahead of them. */
    if (follower->ordered || !(state->flags & FOLLOWER_OWNER)) follower_unpend(follower, place);
}

/* The client has the newest state (versions only rise, so whatever was sent after the baseline is the same one). Or
 * nothing visible changed against what was sent last, and that has arrived: the baseline is as good as the newest. */
static bool follower_needs_nothing(nn_follower* follower, follower_state* state, const nn_world_slot* slot)
{
    if (follower_has_newest(follower, state, slot)) return true;
    if (!(state->flags & FOLLOWER_BASE) || state->sent_index != state->base_index) return false;
    const uint32_t* base = nn_world_row(follower->world, slot, state->base_version);
    const nn_type_plan* plan = &follower->world->schema->plans[slot->type];
    bool owner = (state->flags & FOLLOWER_OWNER) != 0;
    if (!base || !nn_row_visible_equal(plan, base, nn_world_row(follower->world, slot, slot->version), owner)) {
        return false;
    }
    state->base_version = slot->version;
    return true;
}

/* Records for the chosen. What finds no room begins the next frame. When it is the budget that is short, all others wait
 * with it, so that even a large state gets its turn. Returns whether the own entities all found room. */
static bool follower_write_records(nn_follower* follower, follower_writing* writing, uint32_t count)
{
    const necpnet_world* world = follower->world;
    bool own_complete = true;
    follower->start = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t place = (uint16_t)follower->order[i];
        const nn_world_slot* slot = &world->slots[place];
        follower_state* state = &follower->states[place];
        follower_kind kind = FOLLOWER_LEAVE;
        if (!(state->flags & FOLLOWER_LEAVING)) {
            if (slot->versions == 0 || slot->generation != state->generation) continue; /* gone with the next commit */
            follower_check_owner(follower, state, slot);
            if (follower_needs_nothing(follower, state, slot)) {
                follower_unpend(follower, place);
                continue;
            }
            if (follower->again && state->sent_version == slot->version && state->sent_tick == world->tick) continue;
            kind = follower_can_delta(follower, state, slot) ? FOLLOWER_UPDATE : FOLLOWER_FULL;
        }
        if (follower_write_record(follower, writing, place, kind)) {
            follower_note_sent(follower, place, kind);
            continue;
        }
        if (!follower->start) follower->start = place;
        if (follower_owns(follower, slot)) own_complete = false;
        if (writing->budget_limited) break;
    }
    return own_complete;
}

static bool follower_reserve_entries(nn_follower* follower, uint32_t count)
{
    if (follower->ordered) return true;
    uint32_t first = follower->entry_next;
    if (follower->frame_first != follower->frame_next) {
        first = follower->frames[follower->frame_first % NN_FOLLOWER_RECORDS_MAX].first;
    }
    uint32_t needed = follower->entry_next - first + count;
    if (needed <= follower->entry_capacity) return true;
    uint32_t capacity = follower->entry_capacity ? follower->entry_capacity : FOLLOWER_ENTRIES_FIRST;
    while (capacity < needed) capacity *= 2;
    nn_alloc* alloc = &follower->world->alloc;
    follower_entry* entries = (follower_entry*)nn_alloc_take(alloc, capacity * sizeof(follower_entry));
    if (!entries) return false;
    for (uint32_t number = first; number != follower->entry_next; number++) {
        entries[number & (capacity - 1)] = follower->entries[number & (follower->entry_capacity - 1)];
    }
    nn_alloc_give(alloc, follower->entries, follower->entry_capacity * sizeof(follower_entry));
    follower->entries = entries;
    follower->entry_capacity = capacity;
    return true;
}

#define FOLLOWER_FRAME_COMPLETE 1u
#define FOLLOWER_FRAME_INPUT 2u
#define FOLLOWER_FRAME_QUIET 4u

static void follower_write_frame(nn_follower* follower, nn_writer* writer, const follower_writing* writing,
                                 bool own_complete)
{
    const necpnet_world* world = follower->world;
    uint32_t input = 0;
    bool has_input = follower_input(follower, &input);
    if (!own_complete) { /* an own entity stayed behind: so must the input */
        input = follower->input_sent;
        has_input = input != 0;
    }
    bool complete = true; /* all that is still pending was sent, and waits for its ack */
    for (uint32_t i = 0; complete && i < follower->pending_count; i++) {
        const follower_state* state = &follower->states[follower->pending[i]];
        complete = state->sent_version == world->slots[follower->pending[i]].version && (state->flags & FOLLOWER_OWNER);
    }
    size_t records = nn_bits_bytes(&writing->bits);
    bool quiet =
        follower->sent_commit && follower->quiet_tick > follower->sent_tick && follower->quiet_tick < world->tick;
    uint32_t quiet_age = world->tick - follower->quiet_tick;
    size_t bytes = 1 + nn_varint_bytes(world->tick) + (has_input ? nn_varint_bytes(input) : 0) +
                   (quiet ? nn_varint_bytes(quiet_age) : 0) + records;
    unsigned flags = (complete ? FOLLOWER_FRAME_COMPLETE : 0) | (has_input ? FOLLOWER_FRAME_INPUT : 0) |
                     (quiet ? FOLLOWER_FRAME_QUIET : 0);
    nn_write_u8(writer, NN_FRAME_STATE);
    nn_write_varint(writer, bytes);
    nn_write_u8(writer, (uint8_t)flags);
    nn_write_varint(writer, world->tick);
    if (has_input) nn_write_varint(writer, input);
    if (quiet) nn_write_varint(writer, quiet_age);
    nn_write_bytes(writer, world->frame, records);
    if (has_input) follower->input_sent = input;
}

/* After a frame, or the attempt: at once if there is more to send and budget for it, else in the rhythm of send_hz. */
static void follower_plan_next(nn_follower* follower, const follower_writing* writing, bool written, uint64_t now_us)
{
    bool budget = follower->allowance / 1000000u >= NN_STATE_FRAME_BYTES_MIN;
    follower->again = written && follower->start && !writing->budget_limited && budget;
    if (!follower->again) follower_schedule(follower, now_us);
}

/* Fills writing with records. Returns how many; own_complete as of follower_write_records. */
static uint32_t follower_encode(nn_follower* follower, follower_writing* writing, size_t room, uint32_t count,
                                bool* own_complete)
{
    necpnet_world* world = follower->world;
    uint64_t sent_before = world->statistics.updates_sent;
    writing->bits = nn_bit_writer_of(world->frame, room);
    writing->bits_max = room * 8;
    writing->gap_order = follower_gap_order(follower, count);
    writing->usual_age = follower_usual_age(follower, count);
    nn_bits_write(&writing->bits, writing->usual_age, 8);
    nn_bits_write(&writing->bits, writing->gap_order, 4);
    size_t head_bits = writing->bits.bit_count;
    nn_row_model_reset(world->schema, world->model);
    *own_complete = follower_write_records(follower, writing, count);
    uint32_t records = (uint32_t)(world->statistics.updates_sent - sent_before);
    if (records) {
        uint32_t mean = (uint32_t)((writing->bits.bit_count - head_bits) * 16 / records);
        follower->record_bits = (follower->record_bits * 3 + mean) / 4;
    }
    nn_bits_write(&writing->bits, 0, 1);
    NN_ASSERT(!writing->bits.failed);
    return records;
}

static uint32_t follower_remember_frame(nn_follower* follower, uint32_t entry_first, uint32_t records)
{
    if (follower->ordered) return 0;
    follower_frame* frame = &follower->frames[follower->frame_next % NN_FOLLOWER_RECORDS_MAX];
    frame->first = entry_first;
    frame->count = records;
    frame->tick = follower->world->tick;
    frame->open = true;
    return follower->frame_next++;
}

/* Whether a frame without records is worth sending: an input was processed, or the last one had some. */
static bool follower_has_news(nn_follower* follower, bool own_complete)
{
    uint32_t input;
    if (follower->world->commit <= follower->sent_commit) return false;
    if (follower->trailing) {
        follower->trailing--;
        return true;
    }
    return own_complete && follower_input(follower, &input) && input != follower->input_sent;
}

NN_PRIVATE bool nn_follower_write(nn_follower* follower, nn_writer* writer, size_t budget_bytes, uint32_t* out_value,
                                  uint64_t now_us)
{
    necpnet_world* world = follower->world;
    if (!nn_follower_ready(follower, now_us) || writer->failed) return false;
    size_t packet = nn_min_size(nn_min_size(budget_bytes, nn_writer_left(writer)), NN_STATE_FRAME_BYTES_MAX);
    if (packet < NN_STATE_FRAME_BYTES_MIN) return false; /* the next packet has more room */
    follower_refill(follower, now_us);
    size_t budget = nn_min_size(packet, (size_t)(follower->allowance / 1000000u));
    follower_writing writing;
    memset(&writing, 0, sizeof writing);
    writing.budget_limited = budget < packet;
    uint32_t count = 0;
    bool possible = budget >= NN_STATE_FRAME_BYTES_MIN && follower_sync(follower);
    if (possible) {
        count = follower_choose(follower, budget - FOLLOWER_HEAD_BYTES_MAX);
        possible = follower_reserve_entries(follower, count);
    }
    if (!possible) {
        follower_plan_next(follower, &writing, false, now_us);
        return false;
    }
    uint32_t entry_first = follower->entry_next;
    bool own_complete = true;
    uint32_t records = follower_encode(follower, &writing, budget - FOLLOWER_HEAD_BYTES_MAX, count, &own_complete);
    if (!records && !follower_has_news(follower, own_complete)) {
        follower_plan_next(follower, &writing, false, now_us);
        return false;
    }
    if (records) follower->trailing = follower->ordered ? FOLLOWER_TRAILING_ORDERED : FOLLOWER_TRAILING_UNORDERED;
    size_t before = nn_writer_bytes(writer);
    follower_write_frame(follower, writer, &writing, own_complete);
    size_t bytes = nn_writer_bytes(writer) - before;
    NN_ASSERT(!writer->failed && bytes <= budget);
    follower->allowance -= (uint64_t)bytes * 1000000u;
    follower->sent_commit = world->commit;
    follower->sent_tick = world->tick;
    world->statistics.bytes_sent += bytes;
    *out_value = follower_remember_frame(follower, entry_first, records);
    follower_plan_next(follower, &writing, true, now_us);
    return true;
}

/* ---- what became of frames */

static void follower_ack_entry(nn_follower* follower, const follower_entry* entry, uint32_t tick)
{
    follower_state* state = &follower->states[entry->place];
    const nn_world_slot* slot = &follower->world->slots[entry->place];
    if (state->generation != entry->generation) return;
    if (entry->kind == FOLLOWER_LEAVE) {
        follower_unpend(follower, entry->place);
        memset(state, 0, sizeof *state);
        return;
    }
    if ((uint16_t)(entry->index - state->floor_index - 1) >= 0x8000) return;
    if ((state->flags & FOLLOWER_BASE) && (uint16_t)(entry->index - state->base_index - 1) >= 0x8000) return;
    /* If it came late, newer states may have pushed its baseline out of the view, which then could not read it. */
    if (entry->kind == FOLLOWER_UPDATE && (uint16_t)(state->sent_index - entry->base_index) >= NN_VIEW_STATES) return;
    follower_set_base(state, entry->version, tick, entry->index);
    if (state->flags & FOLLOWER_LEAVING) return;
    if (follower_has_newest(follower, state, slot)) follower_unpend(follower, entry->place);
}

static void follower_lose_entry(nn_follower* follower, const follower_entry* entry)
{
    follower_state* state = &follower->states[entry->place];
    const nn_world_slot* slot = &follower->world->slots[entry->place];
    if (state->generation != entry->generation || entry->index != state->sent_index) return;
    if (entry->kind != FOLLOWER_LEAVE && (state->flags & FOLLOWER_LEAVING)) return; /* the leave is under way */
    if (slot->generation != entry->generation && !(state->flags & FOLLOWER_LEAVING)) return;
    follower_pend(follower, entry->place);
}

static void follower_settle(nn_follower* follower, uint32_t value, bool acked)
{
    follower_frame* frame = &follower->frames[value % NN_FOLLOWER_RECORDS_MAX];
    if (value - follower->frame_first >= follower->frame_next - follower->frame_first || !frame->open) return;
    /* So late that the view may have dropped it: see NN_STATE_WINDOW_TICKS. */
    if (follower->sent_tick - frame->tick >= NN_STATE_WINDOW_TICKS) acked = false;
    for (uint32_t i = 0; i < frame->count; i++) {
        const follower_entry* entry = &follower->entries[(frame->first + i) & (follower->entry_capacity - 1)];
        if (acked) {
            follower_ack_entry(follower, entry, frame->tick);
        } else {
            follower_lose_entry(follower, entry);
        }
    }
    frame->open = false;
    while (follower->frame_first != follower->frame_next &&
           !follower->frames[follower->frame_first % NN_FOLLOWER_RECORDS_MAX].open) {
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
