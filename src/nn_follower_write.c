/* nn_follower_write - choose what goes into a frame, and write it. src/PROTOCOL.md "State". */
#include "nn_check.h"
#include "nn_follower.h"

#include "nn_frame.h"
#include "nn_row.h"

#define FOLLOWER_CHECKS_BUDGET_MIN 256 /* smaller frames have no checks */
#define FOLLOWER_HEAD_BYTES_MAX 32     /* type, length 2, flags, three varints of at most 8, two slots; no more flags */
#define FOLLOWER_TRAILING_ORDERED 1    /* frames after the last change, which tell that nothing moves any more */
#define FOLLOWER_TRAILING_UNORDERED 3  /* some of them may be lost */
#define FOLLOWER_ENTRIES_FIRST 64
#define FOLLOWER_FRAMES_FIRST 8
#define FOLLOWER_WAIT_MAX 0xffffffu /* ticks; times a weight it fits 40 bits */
#define FOLLOWER_FIRST UINT64_C(0xffffffffffff)
#define FOLLOWER_WEIGHT_ONE 256u
#define FOLLOWER_RECORD_BITS_MIN 3 /* of a record that is not of the moving: said to be one, slot, kind */

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

/* How much an entity's waiting counts: its priority, and less by how many cells it is away. */
static uint32_t follower_weight(const nn_follower* follower, uint16_t place)
{
    uint32_t away = nn_observer_distance(&follower->observer, place);
    return follower->world->slots[place].priority * FOLLOWER_WEIGHT_ONE / (1 + away);
}

/* Slots for this frame into order[]: own entities first, then by slot from start on. Returns how many; fewer than are
 * pending if the room is short, those that waited longest. */
static uint32_t follower_choose(nn_follower* follower, size_t room_bytes)
{
    const necpnet_world* world = follower->world;
    uint32_t count = follower->pending_count;
    uint64_t* order = world->order;
    uint64_t fit = (uint64_t)room_bytes * 8 * 16 / (follower->record_bits ? follower->record_bits : 1) + 1;
    uint32_t chosen = fit < count ? (uint32_t)fit : count;
    for (uint32_t i = 0; i < count; i++) {
        const nn_follower_state* state = &follower->states[follower->pending[i]];
        uint16_t place = state->place;
        uint64_t waited = nn_min_u64(world->tick - state->sent_tick, FOLLOWER_WAIT_MAX);
        waited *= follower_weight(follower, place);
        if (place == follower->start || nn_follower_owns(follower, &world->slots[place])) waited = FOLLOWER_FIRST;
        order[i] = (FOLLOWER_FIRST - waited) << 16 | place;
    }
    if (chosen < count) follower_sort(order, count);
    for (uint32_t i = 0; i < chosen; i++) {
        uint16_t place = (uint16_t)order[i];
        uint64_t turned = (uint16_t)(place - follower->start);
        bool own = nn_follower_owns(follower, &world->slots[place]);
        order[i] = (own ? 0u : UINT64_C(1) << 32) | turned << 16 | place;
    }
    follower_sort(order, chosen);
    return chosen;
}

/* ---- writing */

#define FOLLOWER_LIST_BITS 8 /* to begin and end the list of other records, at most */

typedef struct follower_writing {
    nn_encoder encoder;
    nn_known known;
    uint64_t known_hash; /* nn_records_known, and what the leads do */
    size_t bits_max;     /* of all records */
    size_t walk_max;     /* of the moving ones */
    uint32_t moving;     /* how many the client takes for moving */
    uint32_t waiting;    /* others that are pending */
    uint32_t own;        /* moving and pending ones of the client's own, which go with every frame */
    uint32_t records;
    unsigned gap_order;
    uint16_t former;     /* slot of the record before */
    bool budget_limited; /* by the budget, not by the packet */
    bool leading;        /* it is leads that are being written */
    bool own_complete;   /* the own entities all found room */
    bool complete;       /* all that had changed is in it, or was sent before */
    uint16_t walk_from;  /* slots of the moving ones in this frame; 0: from the first on */
    uint16_t walk_to;    /* 0: to the last */
    size_t check_bytes;
    uint8_t checks[NN_CHECKS_BYTES_MAX];
} follower_writing;

/* Where a record begins. */
static size_t follower_begin_record(follower_writing* writing)
{
    nn_encoder_mark(&writing->encoder);
    return writing->encoder.bits.bit_count;
}

/* Takes the record back if it found no room. */
static bool follower_end_record(follower_writing* writing, size_t mark, size_t bits_max)
{
    nn_encoder* encoder = &writing->encoder;
    if (!encoder->bits.failed && nn_encoder_bits(encoder) + FOLLOWER_LIST_BITS <= bits_max) return true;
    nn_encoder_rewind(encoder, mark);
    return false;
}

/* Bytes of the frame's head that say more than its first flags; 0: it has none. */
static size_t follower_more_bytes(const nn_follower* follower)
{
    const necpnet_world* world = follower->world;
    bool mixed = !follower->thin && world->thin_type_count;
    if (!mixed && !follower->own_tables) return 0;
    return 1 + (mixed ? ((size_t)world->schema->type_count + 7) / 8 : 0);
}

static bool follower_is_thin(const nn_follower* follower, uint8_t type)
{
    return follower->thin || (follower->world->thin_types[type / 32] >> (type % 32) & 1);
}

/* ---- records */

static void follower_predict(necpnet_world* world, const follower_writing* writing, const nn_follower_state* state,
                             const nn_timeline* timeline, bool owner)
{
    nn_world_coding* coding = world->coding;
    const nn_world_slot* slot = &world->slots[state->place];
    coding->habits.subject = nn_entity_of(state->generation, state->place);
    nn_predict(&world->schema->plans[slot->type], timeline, owner, writing->leading ? NULL : &coding->leads,
               &coding->habits, &coding->prediction);
}

/* An update. False if the client lacks what it would follow from; then nothing was written. */
static bool follower_write_update(const nn_follower* follower, follower_writing* writing,
                                  const nn_follower_state* state, const nn_follower_recent* recent, bool special)
{
    necpnet_world* world = follower->world;
    nn_world_slot* slot = &world->slots[state->place];
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
    nn_encoder* encoder = &writing->encoder;
    bool shares = world->follower_count > 1 && !encoder->thin;
    nn_timeline timeline;
    uint64_t key = 0;
    if (!nn_follower_can_update(follower, state, recent, &writing->known)) return false;
    if (shares) {
        key = nn_records_key(follower, state, recent, &writing->known, writing->known_hash, special);
        const nn_cached_record* record = nn_records_find(world, slot, key);
        if (record) {
            world->statistics.records_shared++;
            nn_records_put(encoder, record);
            return true;
        }
    }
    if (!nn_follower_timeline(follower, state, recent, &writing->known, &timeline)) return false;
    size_t from = encoder->bits.bit_count;
    follower_predict(world, writing, state, &timeline, owner);
    encoder->plain = !follower_is_thin(follower, slot->type);
    nn_codec_write(encoder, plan, &world->coding->prediction, nn_world_row(world, slot, slot->version), owner, special);
    world->statistics.records_made++;
    if (shares) nn_records_keep(world, slot, key, encoder, from);
    return true;
}

static void follower_write_whole(const nn_follower* follower, follower_writing* writing, const nn_follower_state* state)
{
    const necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[state->place];
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
    nn_put_bits(&writing->encoder, state->generation, 16);
    nn_put_bits(&writing->encoder, slot->type, world->schema->type_bits);
    nn_put_bits(&writing->encoder, owner, 1);
    nn_row_write(&world->schema->plans[slot->type], &writing->encoder, nn_world_row(world, slot, slot->version), owner);
}

/* Nothing, in the place of an update that the client expects. */
static void follower_write_skip(const nn_follower* follower, follower_writing* writing, const nn_follower_state* state,
                                const nn_follower_recent* recent)
{
    const necpnet_world* world = follower->world;
    const nn_type_plan* plan = &world->schema->plans[world->slots[state->place].type];
    nn_follower_state expected = *state;
    nn_timeline timeline;
    expected.flags &= (uint8_t)~NN_FOLLOWER_FULL; /* the client expects what it knows */
    uint32_t count = nn_follower_timeline(follower, &expected, recent, &writing->known, &timeline);
    NN_ASSERT(count); /* it moves */
    if (!count) return;
    follower_predict(follower->world, writing, state, &timeline, false);
    writing->encoder.plain = !follower_is_thin(follower, world->slots[state->place].type);
    nn_codec_write_skip(&writing->encoder, plan, &world->coding->prediction, false);
}

/* ---- book-keeping */

static void follower_note_sent(nn_follower* follower, nn_follower_state* state, nn_follower_recent* recent,
                               nn_follower_kind kind)
{
    necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[state->place];
    if (!recent) recent = nn_follower_note(follower, state);
    recent->kind = (uint8_t)kind;
    state->sent_tick = world->tick;
    world->statistics.updates_sent++;
    if (kind == NN_FOLLOWER_WHOLE) world->statistics.full_sent++;
    follower->entries[follower->entry_next++ & (follower->entry_capacity - 1)] = state->place;
    if (kind == NN_FOLLOWER_LEAVE) {
        nn_follower_unpend(follower, state);
        return;
    }
    state->flags |= NN_FOLLOWER_KNOWN;
    state->sent_version = slot->version;
    /* Own entities go with every frame until acked, so that a frame's input tick never runs ahead of them. */
    if (follower->ordered || !(state->flags & NN_FOLLOWER_OWNER)) nn_follower_unpend(follower, state);
}

/* The owner changed since it was sent: what the client has shows other fields. */
static void follower_check_owner(nn_follower* follower, nn_follower_state* state, const nn_world_slot* slot)
{
    bool owner = nn_follower_owns(follower, slot);
    if (owner == ((state->flags & NN_FOLLOWER_OWNER) != 0)) return;
    state->flags &= (uint8_t)~NN_FOLLOWER_OWNER;
    if (owner) state->flags |= NN_FOLLOWER_OWNER;
    state->flags |= NN_FOLLOWER_FULL;
    state->floor = (uint16_t)follower->frame_next;
}

/* Nothing visible changed against the last state that has arrived: it is as good as the newest. */
static bool follower_needs_nothing(const nn_follower* follower, nn_follower_state* state,
                                   const nn_follower_recent* recent, const nn_world_slot* slot)
{
    if (nn_follower_has_newest(follower, state, slot)) return true;
    if (!(state->flags & NN_FOLLOWER_BASE) || (state->flags & NN_FOLLOWER_FULL)) return false;
    if (!nn_follower_surely(state, recent, UINT64_MAX)) return false;
    const nn_type_plan* plan = &follower->world->schema->plans[slot->type];
    uint32_t version = nn_world_version_at(slot, state->base_tick);
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
    if (!version || !nn_row_visible_equal(plan, nn_world_row(follower->world, slot, version),
                                          nn_world_row(follower->world, slot, slot->version), owner)) {
        return false;
    }
    state->base_tick = follower->world->tick;
    return true;
}

/* Whether the slot still has the entity that the client is to see. */
static bool follower_is_there(const nn_follower_state* state, const nn_world_slot* slot)
{
    return (slot->flags & NN_SLOT_ALIVE) && (slot->flags & NN_SLOT_COMMITTED) && slot->generation == state->generation;
}

static bool follower_was_sent(const nn_follower* follower, const nn_follower_state* state, const nn_world_slot* slot)
{
    return state->sent_version == slot->version && state->sent_tick == follower->world->tick;
}

/* ---- moving entities: every one that the client takes for moving, by slot, without saying which */

/* Finds out what moves. */
static void follower_count_moving(nn_follower* follower, follower_writing* writing)
{
    uint32_t pending = 0;
    writing->moving = 0;
    for (uint32_t i = 0; i < follower->recent_count; i++) {
        nn_follower_recent* recent = &follower->recent[i];
        recent->moves = nn_follower_moves(follower, recent, &writing->known);
        recent->is_skipped = false;
        if (!recent->moves) continue;
        writing->moving++;
        if (!follower->states[recent->state].pending) continue;
        pending++;
        if (nn_follower_owns(follower, &follower->world->slots[recent->place])) writing->own++;
    }
    writing->waiting = follower->pending_count - pending;
}

/* What became of a moving entity's place in a frame. */
typedef struct follower_moved {
    bool there;   /* it is to be seen */
    bool updated; /* else it was skipped */
} follower_moved;

/* One moving entity's bits. False if it found no room. What cannot be an update is skipped. */
static bool follower_put_moving(nn_follower* follower, follower_writing* writing, nn_follower_recent* recent,
                                follower_moved* moved)
{
    const necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[recent->place];
    nn_follower_state* state = &follower->states[recent->state];
    size_t bits_max = writing->records ? writing->walk_max : writing->bits_max;
    size_t mark = follower_begin_record(writing);
    moved->there = follower_is_there(state, slot) && !(state->flags & NN_FOLLOWER_LEAVING);
    if (moved->there) follower_check_owner(follower, state, slot);
    moved->updated =
        moved->there && !recent->is_skipped && follower_write_update(follower, writing, state, recent, true);
    if (!moved->updated) follower_write_skip(follower, writing, state, recent);
    return follower_end_record(writing, mark, bits_max);
}

/* It is in the frame. What was skipped follows among the others. */
static void follower_note_moved(nn_follower* follower, follower_writing* writing, nn_follower_recent* recent,
                                follower_moved moved)
{
    nn_follower_state* state = &follower->states[recent->state];
    if (moved.updated) {
        follower_note_sent(follower, state, recent, NN_FOLLOWER_UPDATE);
        writing->records++;
    } else if (moved.there) {
        nn_follower_pend(follower, state);
    }
}

/* What a lead does, for those that come after it. */
static void follower_set_lead(const nn_follower* follower, const follower_writing* writing,
                              const nn_follower_recent* recent, nn_lead* lead)
{
    const necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[lead->place];
    const nn_follower_state* state = &follower->states[recent->state];
    nn_timeline timeline;
    if (!nn_follower_timeline(follower, state, recent, &writing->known, &timeline)) return;
    nn_lead_set(lead, &world->schema->plans[slot->type], &timeline, nn_world_row(world, slot, slot->version));
}

/* Leads first, with their names. False if they found no room. */
static bool follower_write_leads(nn_follower* follower, follower_writing* writing)
{
    nn_leads* leads = &follower->world->coding->leads;
    follower_moved moved[NN_LEADS_MAX];
    nn_put_bits(&writing->encoder, leads->count - 1, 3);
    for (unsigned i = 0; i < leads->count; i++) nn_put_bits(&writing->encoder, leads->leads[i].place, 16);
    for (unsigned i = 0; i < leads->count; i++) {
        nn_follower_recent* recent = nn_follower_recent_of(follower, leads->leads[i].place);
        recent->is_skipped = false;
        if (!follower_put_moving(follower, writing, recent, &moved[i])) return false;
    }
    uint64_t hash = writing->known_hash;
    bool present = false;
    for (unsigned i = 0; i < leads->count; i++) {
        nn_lead* lead = &leads->leads[i];
        nn_follower_recent* recent = nn_follower_recent_of(follower, lead->place);
        if (moved[i].updated) follower_set_lead(follower, writing, recent, lead);
        const nn_follower_state* state = &follower->states[recent->state];
        hash = nn_records_key(follower, state, recent, &writing->known, hash, lead->present) + lead->place;
        present = present || lead->present;
        follower_note_moved(follower, writing, recent, moved[i]);
    }
    if (present) writing->known_hash = hash;
    return true;
}

/* Those that others may ride on, or that there are none. */
static void follower_walk_leads(nn_follower* follower, follower_writing* writing)
{
    nn_world_coding* coding = follower->world->coding;
    nn_encoder* encoder = &writing->encoder;
    size_t bit_count = encoder->bits.bit_count;
    if (encoder->thin) memcpy(&coding->thin_leads, encoder->thin, sizeof coding->thin_leads);
    nn_follower_choose_leads(follower, &coding->leads);
    if (coding->leads.count) {
        nn_put_bits(encoder, 1, 1);
        writing->leading = true;
        bool written = follower_write_leads(follower, writing);
        writing->leading = false;
        if (written) return;
        nn_bits_rewind(&encoder->bits, bit_count);
        if (encoder->thin) memcpy(encoder->thin, &coding->thin_leads, sizeof coding->thin_leads);
        coding->leads.count = 0;
    }
    nn_put_bits(encoder, 0, 1);
}

/* Whether an entity is left out this time. When not all find room in a frame, walking through them takes several; what
 * counts less then gets a turn not in every walk, but when it has waited as long as its weight is less than the largest. */
static bool follower_skips(nn_follower* follower, const nn_follower_recent* recent)
{
    const necpnet_world* world = follower->world;
    if (!follower->walk_ticks) return false;
    const nn_follower_state* state = &follower->states[recent->state];
    uint32_t weight = follower_weight(follower, recent->place);
    if (weight > follower->weight_most) follower->weight_most = weight;
    if (nn_follower_owns(follower, &world->slots[recent->place])) return false;
    uint64_t waited = nn_min_u64(world->tick - state->sent_tick, FOLLOWER_WAIT_MAX);
    return waited * weight * 4 < (uint64_t)follower->walk_ticks * follower->weight_past * 3;
}

/* A walk begins at the first slot: what the last one took says whether there is room for all. */
static void follower_begin_walk(nn_follower* follower)
{
    uint32_t tick = follower->world->tick;
    bool one_frame = follower->walk_tick == follower->walk_end_tick;
    follower->walk_ticks = one_frame ? 0 : tick - follower->walk_tick;
    follower->walk_tick = tick;
    follower->weight_past = follower->weight_most;
    follower->weight_most = 0;
}

static void follower_walk(nn_follower* follower, follower_writing* writing)
{
    const necpnet_world* world = follower->world;
    writing->walk_from = follower->walk_from;
    writing->walk_to = 0;
    bool walk = writing->moving && (writing->walk_from || world->commit > follower->walk_commit);
    nn_put_bits(&writing->encoder, walk, 1);
    follower->walk_from = 0;
    world->coding->leads.count = 0;
    if (!walk) return;
    follower->walk_commit = world->commit;
    if (!writing->walk_from) follower_begin_walk(follower);
    follower->walk_end_tick = world->tick;
    follower_walk_leads(follower, writing);
    for (uint32_t i = 0; i < follower->recent_count; i++) {
        nn_follower_recent* recent = &follower->recent[i];
        if (recent->place < writing->walk_from || !recent->moves) continue;
        if (nn_leads_find(&world->coding->leads, recent->place)) continue;
        follower_moved moved;
        recent->is_skipped = follower_skips(follower, recent);
        if (!follower_put_moving(follower, writing, recent, &moved)) {
            writing->walk_to = follower->walk_from = recent->place;
            break;
        }
        follower_note_moved(follower, writing, recent, moved);
    }
}

/* ---- all others, by their slots */

static unsigned follower_gap_order(const nn_follower* follower, uint32_t count)
{
    if (count < 2) return 8;
    uint32_t bits = nn_bits_for(follower->world->slot_count / count);
    return bits ? (bits - 1) & 15 : 0;
}

/* Writes one record, or leaves all as it was when there is no room. */
static bool follower_write_record(const nn_follower* follower, follower_writing* writing,
                                  const nn_follower_state* state, const nn_follower_recent* recent,
                                  nn_follower_kind* kind)
{
    uint16_t place = state->place;
    nn_encoder* encoder = &writing->encoder;
    size_t mark = follower_begin_record(writing);
    nn_put_bits(encoder, 1, 1);
    nn_put_golomb(encoder, (uint16_t)(place - writing->former - 1), writing->gap_order);
    if (*kind == NN_FOLLOWER_UPDATE && !nn_follower_can_update(follower, state, recent, &writing->known)) {
        *kind = NN_FOLLOWER_WHOLE;
    }
    if (*kind == NN_FOLLOWER_UPDATE) {
        nn_put_bits(encoder, 0, 1);
        (void)follower_write_update(follower, writing, state, recent, false);
    }
    if (*kind != NN_FOLLOWER_UPDATE) {
        nn_put_bits(encoder, *kind == NN_FOLLOWER_WHOLE ? 1 : 3, 2);
        if (*kind == NN_FOLLOWER_WHOLE) {
            follower_write_whole(follower, writing, state);
        } else {
            nn_put_bits(encoder, state->generation, 16);
        }
    }
    if (!follower_end_record(writing, mark, writing->bits_max)) return false;
    writing->former = place;
    return true;
}

/* Records for the chosen. What finds no room begins the next frame. When it is the budget that is short, all others wait
 * with it, so that even a large state gets its turn. */
static void follower_write_records(nn_follower* follower, follower_writing* writing, uint32_t count)
{
    const necpnet_world* world = follower->world;
    follower->start = 0;
    writing->gap_order = follower_gap_order(follower, count);
    bool begun = false;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t place = (uint16_t)world->order[i];
        const nn_world_slot* slot = &world->slots[place];
        nn_follower_state* state = nn_follower_state_of(follower, place);
        nn_follower_recent* recent = state->flags & NN_FOLLOWER_RECENT ? nn_follower_recent_of(follower, place) : NULL;
        nn_follower_kind kind = NN_FOLLOWER_LEAVE;
        if (!(state->flags & NN_FOLLOWER_LEAVING)) {
            if (!follower_is_there(state, slot)) continue; /* gone with the next commit */
            follower_check_owner(follower, state, slot);
            if (follower_needs_nothing(follower, state, recent, slot)) {
                nn_follower_unpend(follower, state);
                continue;
            }
            if (recent && (recent->kind || recent->is_skipped)) continue; /* in this frame already, or not its turn */
            if (follower->again && follower_was_sent(follower, state, slot)) continue;
            kind = NN_FOLLOWER_UPDATE;
        }
        if (!begun) {
            nn_put_bits(&writing->encoder, 1, 1);
            nn_put_bits(&writing->encoder, writing->gap_order, 4);
            begun = true;
        }
        if (follower_write_record(follower, writing, state, recent, &kind)) {
            follower_note_sent(follower, state, recent, kind);
            writing->records++;
            continue;
        }
        if (!follower->start) follower->start = place;
        if (nn_follower_owns(follower, slot)) writing->own_complete = false;
        if (writing->budget_limited) break;
    }
    nn_put_bits(&writing->encoder, 0, 1); /* no list, or its end */
}

/* Room to remember one more frame. */
static bool follower_reserve_frame(nn_follower* follower)
{
    uint32_t open = follower->frame_next - follower->frame_first;
    if (open < follower->frame_capacity) return true;
    uint32_t capacity = follower->frame_capacity ? follower->frame_capacity * 2 : FOLLOWER_FRAMES_FIRST;
    nn_alloc* alloc = &follower->world->alloc;
    nn_follower_frame* frames = (nn_follower_frame*)nn_alloc_take(alloc, capacity * sizeof(nn_follower_frame));
    if (!frames) return false;
    for (uint32_t value = follower->frame_first; value != follower->frame_next; value++) {
        frames[value & (capacity - 1)] = *nn_follower_frame_of(follower, value);
    }
    nn_alloc_give(alloc, follower->frames, follower->frame_capacity * sizeof(nn_follower_frame));
    follower->frames = frames;
    follower->frame_capacity = capacity;
    return true;
}

/* Room to remember one more frame of up to count records. */
static bool follower_reserve_entries(nn_follower* follower, uint32_t count)
{
    if (!follower->ordered && !follower_reserve_frame(follower)) return false;
    uint32_t first = follower->entry_next;
    if (!follower->ordered && follower->frame_first != follower->frame_next) {
        first = nn_follower_frame_of(follower, follower->frame_first)->first;
    }
    uint32_t needed = follower->entry_next - first + count;
    if (needed <= follower->entry_capacity) return true;
    uint32_t capacity = follower->entry_capacity ? follower->entry_capacity : FOLLOWER_ENTRIES_FIRST;
    while (capacity < needed) capacity *= 2;
    nn_alloc* alloc = &follower->world->alloc;
    uint16_t* entries = (uint16_t*)nn_alloc_take(alloc, capacity * sizeof(uint16_t));
    if (!entries) return false;
    for (uint32_t number = first; number != follower->entry_next; number++) {
        entries[number & (capacity - 1)] = follower->entries[number & (follower->entry_capacity - 1)];
    }
    nn_alloc_give(alloc, follower->entries, follower->entry_capacity * sizeof(uint16_t));
    follower->entries = entries;
    follower->entry_capacity = capacity;
    return true;
}

#define FOLLOWER_FRAME_COMPLETE 1u
#define FOLLOWER_FRAME_INPUT 2u
#define FOLLOWER_FRAME_QUIET 4u
#define FOLLOWER_FRAME_THIN 8u
#define FOLLOWER_FRAME_FROM 16u
#define FOLLOWER_FRAME_TO 32u
#define FOLLOWER_FRAME_CHECKS 64u
#define FOLLOWER_FRAME_MORE 128u
#define FOLLOWER_MORE_TABLES 1u
#define FOLLOWER_MORE_TYPES 2u

/* Beside a row: number and known, no list of moving ones, the other list with one record in it, its slot and generation, and
 * its end. A list of known frames leaves half of the room, but there is none before anything has arrived. */
#define FOLLOWER_RECORD_BITS_MORE (14u + 5u + 3u + 32u + 16u + 1u + FOLLOWER_LIST_BITS)

NN_PRIVATE uint32_t nn_world_frame_bytes(const necpnet_schema* schema, const char** out_type)
{
    uint32_t most = 0;
    *out_type = "";
    for (int i = 0; i < schema->type_count; i++) {
        uint32_t bits = nn_row_bits_most(&schema->plans[i]);
        if (bits < most) continue;
        most = bits;
        *out_type = schema->plans[i].type->name;
    }
    uint32_t more = 1u + ((uint32_t)schema->type_count + 7u) / 8u;
    return FOLLOWER_HEAD_BYTES_MAX + more + (most + schema->type_bits + FOLLOWER_RECORD_BITS_MORE + 7u) / 8u;
}

static void follower_write_more(const nn_follower* follower, nn_writer* writer)
{
    const necpnet_world* world = follower->world;
    bool mixed = !follower->thin && world->thin_type_count;
    unsigned more = (follower->own_tables ? FOLLOWER_MORE_TABLES : 0) | (mixed ? FOLLOWER_MORE_TYPES : 0);
    nn_write_u8(writer, (uint8_t)more);
    for (int i = 0; mixed && i < world->schema->type_count; i += 8) {
        nn_write_u8(writer, (uint8_t)(world->thin_types[i / 32] >> (i % 32)));
    }
}

static void follower_write_frame(nn_follower* follower, nn_writer* writer, follower_writing* writing)
{
    const necpnet_world* world = follower->world;
    uint32_t input = 0;
    bool has_input = nn_follower_input(follower, &input);
    if (!writing->own_complete) { /* an own entity stayed behind: so must the input */
        input = follower->input_sent;
        has_input = input != 0;
    }
    bool complete = !writing->walk_to; /* all that is still pending was sent, and waits for its ack */
    for (uint32_t i = 0; complete && i < follower->pending_count; i++) {
        const nn_follower_state* state = &follower->states[follower->pending[i]];
        complete = state->sent_version == world->slots[state->place].version && (state->flags & NN_FOLLOWER_OWNER);
    }
    writing->complete = complete;
    size_t records = nn_encoder_end(&writing->encoder);
    bool quiet =
        follower->sent_commit && follower->quiet_tick > follower->sent_tick && follower->quiet_tick < world->tick;
    uint32_t quiet_age = world->tick - follower->quiet_tick;
    size_t more = follower_more_bytes(follower);
    size_t bytes = 1 + more + nn_varint_bytes(world->tick) + (has_input ? nn_varint_bytes(input) : 0) +
                   (quiet ? nn_varint_bytes(quiet_age) : 0) + (writing->walk_from ? 2u : 0u) +
                   (writing->walk_to ? 2u : 0u) + writing->check_bytes + records;
    unsigned flags = (complete ? FOLLOWER_FRAME_COMPLETE : 0) | (has_input ? FOLLOWER_FRAME_INPUT : 0) |
                     (quiet ? FOLLOWER_FRAME_QUIET : 0) | (writing->encoder.thin ? FOLLOWER_FRAME_THIN : 0) |
                     (more ? FOLLOWER_FRAME_MORE : 0) | (writing->walk_from ? FOLLOWER_FRAME_FROM : 0) |
                     (writing->walk_to ? FOLLOWER_FRAME_TO : 0) | (writing->check_bytes ? FOLLOWER_FRAME_CHECKS : 0);
    nn_write_u8(writer, NN_FRAME_STATE);
    nn_write_varint(writer, bytes);
    nn_write_u8(writer, (uint8_t)flags);
    if (more) follower_write_more(follower, writer);
    nn_write_varint(writer, world->tick);
    if (has_input) nn_write_varint(writer, input);
    if (quiet) nn_write_varint(writer, quiet_age);
    if (writing->walk_from) nn_write_u16(writer, writing->walk_from);
    if (writing->walk_to) nn_write_u16(writer, writing->walk_to);
    nn_write_bytes(writer, writing->checks, writing->check_bytes);
    nn_write_bytes(writer, world->frame, records);
    if (has_input) follower->input_sent = input;
}

/* After a frame, or the attempt: at once if there is more to send and budget for it, else in the rhythm of send_hz. */
static void follower_plan_next(nn_follower* follower, const follower_writing* writing, bool written, uint64_t now_us)
{
    bool budget = follower->allowance / 1000000u >= NN_STATE_FRAME_BYTES_MIN;
    bool more = follower->start || follower->walk_from;
    follower->again = written && more && !writing->budget_limited && budget;
    if (!follower->again) nn_follower_schedule(follower, now_us);
}

/* Which frames the client is known to have: 12 bits of this one's number; then, if any, how far back the newest of them
 * is, and the oldest, and which between them are missing. */
static void follower_write_known(follower_writing* writing)
{
    const nn_known* known = &writing->known;
    nn_encoder* encoder = &writing->encoder;
    nn_put_bits(encoder, known->number & 0xfff, 12);
    nn_put_bits(encoder, known->reach != 0, 1);
    if (!known->reach) return;
    unsigned newest = nn_lowest_bit(known->frames);
    uint64_t missing = ~known->frames & ((UINT64_C(1) << known->reach) - 1);
    missing &= ~((UINT64_C(1) << newest) - 1);
    nn_put_golomb(encoder, newest, 2);
    nn_put_bits(encoder, known->reach, 6);
    nn_put_golomb(encoder, nn_bit_count(missing), 0);
    unsigned at = newest;
    for (; missing; missing &= missing - 1) {
        unsigned next = nn_lowest_bit(missing);
        nn_put_golomb(encoder, next - at - 1, 3);
        at = next;
    }
}

/* Shares between the moving and the others when not all find room. */
static void follower_share_room(const nn_follower* follower, follower_writing* writing)
{
    size_t others = (size_t)(writing->waiting + writing->own) * follower->record_bits / 16 + writing->own * 32;
    size_t half = writing->bits_max / 2;
    writing->walk_max = writing->bits_max - (others < half ? others : half);
}

/* Fills writing with records. */
static void follower_encode(nn_follower* follower, follower_writing* writing, size_t room)
{
    necpnet_world* world = follower->world;
    nn_world_coding* coding = world->coding;
    writing->bits_max = room * 8;
    writing->own_complete = true;
    const nn_tables* tables = follower->own_tables ? world->schema->own_tables : world->schema->tables;
    bool thin = follower->thin || world->thin_type_count;
    writing->encoder = nn_encoder_of(tables, thin ? &coding->thin : NULL, world->frame, room + 8);
    writing->encoder.undo = &coding->undo;
    writing->known_hash = nn_records_known(follower, &writing->known);
    follower_write_known(writing);
    follower_share_room(follower, writing);
    size_t head_bits = nn_encoder_bits(&writing->encoder);
    if (writing->moving) nn_habits_prepare(&coding->habits, &world->alloc);
    follower_walk(follower, writing);
    bool stuck = writing->walk_to && !writing->records && writing->budget_limited; /* what is large gets its turn */
    if (stuck) writing->own_complete = false;
    uint32_t count =
        stuck ? 0 : follower_choose(follower, room - nn_min_size(room, nn_encoder_bits(&writing->encoder) / 8));
    follower_write_records(follower, writing, count);
    if (writing->records) {
        uint32_t mean = (uint32_t)((nn_encoder_bits(&writing->encoder) - head_bits) * 16 / writing->records);
        follower->record_bits = (follower->record_bits * 3 + mean) / 4;
    }
    NN_ASSERT(!writing->encoder.bits.failed);
    follower->moving_count = writing->moving;
}

static uint32_t follower_remember_frame(nn_follower* follower, uint32_t entry_first, bool complete)
{
    uint32_t number = follower->frame_next++;
    bool even = follower->world->tick - follower->ticks[(number - 1) & 63] == 1;
    follower->even_frames = even ? follower->even_frames + 1 : 1;
    follower->ticks[number & 63] = follower->world->tick;
    follower->known <<= 1;
    nn_follower_step(follower);
    if (follower->ordered) { /* it will arrive before whatever is written next */
        follower->known |= 1;
        if (complete) follower->greeting = 0;
        follower->frame_first = follower->frame_next;
        for (uint32_t i = entry_first; i != follower->entry_next; i++) {
            nn_follower_arrived(follower, follower->entries[i & (follower->entry_capacity - 1)], number);
        }
        return 0;
    }
    nn_follower_frame* frame = nn_follower_frame_of(follower, number);
    frame->first = entry_first;
    frame->count = follower->entry_next - entry_first;
    frame->tick = follower->world->tick;
    frame->open = true;
    frame->complete = complete;
    return number;
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
    if (follower->greeting) return true;
    return own_complete && nn_follower_input(follower, &input) && input != follower->input_sent;
}

/* Room to choose among all that is pending; followers take turns in it. */
static bool follower_reserve_order(necpnet_world* world, uint32_t count)
{
    if (count <= world->order_capacity) return true;
    uint32_t capacity = count + count / 2;
    uint64_t* order = (uint64_t*)nn_alloc_take(&world->alloc, capacity * sizeof(uint64_t));
    if (!order) return false;
    nn_alloc_give(&world->alloc, world->order, world->order_capacity * sizeof(uint64_t));
    world->order = order;
    world->order_capacity = capacity;
    return true;
}

/* Takes note of the world and of what the client knows. False if nothing can be written now. */
static bool follower_prepare(nn_follower* follower, follower_writing* writing, size_t budget)
{
    necpnet_world* world = follower->world;
    size_t more = follower_more_bytes(follower);
    if (budget < NN_STATE_FRAME_BYTES_MIN + more || !nn_follower_sync(follower)) return false;
    writing->known = nn_follower_known(follower, budget - FOLLOWER_HEAD_BYTES_MAX - more);
    follower_count_moving(follower, writing);
    uint32_t pending = follower->pending_count + writing->moving; /* a moving one that is skipped becomes pending */
    uint32_t others = (uint32_t)nn_min_u64(follower->pending_count, budget * 8 / FOLLOWER_RECORD_BITS_MIN);
    nn_follower_shrink(follower);
    return follower_reserve_order(world, pending) && follower_reserve_entries(follower, writing->moving + others) &&
           nn_follower_reserve(follower, others);
}

static bool follower_write(nn_follower* follower, nn_writer* writer, size_t budget_bytes, uint32_t* out_value,
                           uint64_t now_us)
{
    necpnet_world* world = follower->world;
    size_t packet = nn_min_size(nn_min_size(budget_bytes, nn_writer_left(writer)), NN_STATE_FRAME_BYTES_MAX);
    if (packet < NN_STATE_FRAME_BYTES_MIN) return false; /* the next packet has more room */
    nn_follower_refill(follower, now_us);
    size_t budget = nn_min_size(packet, (size_t)(follower->allowance / 1000000u));
    follower_writing writing;
    memset(&writing, 0, sizeof writing);
    writing.budget_limited = budget < packet;
    uint64_t check_us = follower->check_us;
    uint32_t check_at = follower->check_at;
    if (budget >= FOLLOWER_CHECKS_BUDGET_MIN) {
        writing.check_bytes = nn_follower_make_checks(follower, writing.checks, budget / 4, now_us);
        budget -= writing.check_bytes;
    }
    if (!follower_prepare(follower, &writing, budget)) {
        follower->check_us = check_us;
        follower->check_at = check_at;
        follower_plan_next(follower, &writing, false, now_us);
        return false;
    }
    uint32_t entry_first = follower->entry_next;
    follower_encode(follower, &writing, budget - FOLLOWER_HEAD_BYTES_MAX - follower_more_bytes(follower));
    if (!writing.records && !follower_has_news(follower, writing.own_complete)) {
        follower->check_us = check_us; /* an unchanged world sends nothing, not even checks */
        follower->check_at = check_at;
        follower_plan_next(follower, &writing, false, now_us);
        return false;
    }
    if (writing.records)
        follower->trailing = follower->ordered ? FOLLOWER_TRAILING_ORDERED : FOLLOWER_TRAILING_UNORDERED;
    size_t before = nn_writer_bytes(writer);
    follower_write_frame(follower, writer, &writing);
    size_t bytes = nn_writer_bytes(writer) - before;
    NN_ASSERT(!writer->failed && bytes <= budget + writing.check_bytes);
    follower->allowance -= (uint64_t)bytes * 1000000u;
    follower->sent_commit = world->commit;
    follower->sent_tick = world->tick;
    world->statistics.bytes_sent += bytes;
    world->statistics.check_bytes += writing.check_bytes;
    if (writing.check_bytes) world->statistics.checks_sent += writing.checks[1];
    *out_value = follower_remember_frame(follower, entry_first, writing.complete);
    follower_plan_next(follower, &writing, true, now_us);
    return true;
}

NN_PRIVATE bool nn_follower_write(nn_follower* follower, nn_writer* writer, size_t budget_bytes, uint32_t* out_value,
                                  uint64_t now_us)
{
    necpnet_world* world = follower->world;
    if (!nn_follower_ready(follower, now_us) || writer->failed) return false;
    uint64_t began_ns = nn_world_time_ns(world);
    bool written = follower_write(follower, writer, budget_bytes, out_value, now_us);
    world->statistics.encode_ns += nn_world_time_ns(world) - began_ns;
    return written;
}
