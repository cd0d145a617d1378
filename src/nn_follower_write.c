/* nn_follower_write - choose what goes into a frame, and write it. src/PROTOCOL.md "State". */
#include "nn_follower.h"

#include "nn_frame.h"
#include "nn_row.h"

#define FOLLOWER_HEAD_BYTES_MAX 28    /* type, length 2, flags, three varints of at most 8 */
#define FOLLOWER_TRAILING_ORDERED 1   /* frames after the last change, which tell that nothing moves any more */
#define FOLLOWER_TRAILING_UNORDERED 3 /* some of them may be lost */
#define FOLLOWER_ENTRIES_FIRST 64
#define FOLLOWER_FRAMES_FIRST 8

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
        if (place == follower->start || nn_follower_owns(follower, &world->slots[place])) waited = UINT32_MAX;
        order[i] = (UINT32_MAX - waited) << 16 | place;
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

typedef struct follower_writing {
    nn_bit_writer bits;
    size_t bits_max;
    bool budget_limited; /* by the budget, not by the packet */
    unsigned gap_order;
    uint32_t usual_age; /* of most baselines; 0: none */
    uint16_t former;    /* slot of the record before */
} follower_writing;

static bool follower_can_delta(const nn_follower* follower, const nn_follower_state* state, const nn_world_slot* slot)
{
    return (state->flags & NN_FOLLOWER_BASE) &&
           (uint16_t)(state->sent_index - state->base_index) < NN_VIEW_STATES - 1 &&
           nn_world_row(follower->world, slot, state->base_version);
}

/* The baseline age that most of the chosen have (Boyer and Moore's majority vote). */
static uint32_t follower_usual_age(const nn_follower* follower, uint32_t count)
{
    uint32_t candidate = 0;
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const nn_follower_state* state = &follower->states[(uint16_t)follower->order[i]];
        uint32_t age = follower->world->tick - state->base_tick;
        if (!(state->flags & NN_FOLLOWER_BASE) || age == 0 || age > 255) continue;
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
static void follower_check_owner(nn_follower* follower, nn_follower_state* state, const nn_world_slot* slot)
{
    bool owner = nn_follower_owns(follower, slot);
    if (owner == ((state->flags & NN_FOLLOWER_OWNER) != 0)) return;
    state->flags &= (uint8_t) ~(NN_FOLLOWER_BASE | NN_FOLLOWER_OWNER);
    if (owner) state->flags |= NN_FOLLOWER_OWNER;
    state->floor_index = state->sent_index;
}

/* Writes one record, or leaves bits as they were when there is no room. */
static bool follower_write_record(nn_follower* follower, follower_writing* writing, uint16_t place,
                                  nn_follower_kind kind)
{
    necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[place];
    const nn_follower_state* state = &follower->states[place];
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    nn_bit_writer* bits = &writing->bits;
    size_t mark = bits->bit_count;
    memcpy(world->model_before, world->model + plan->model, plan->row_words * sizeof(uint16_t));
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
    nn_bits_write(bits, 1, 1);
    nn_golomb_write(bits, (uint16_t)(place - writing->former - 1), writing->gap_order);
    if (kind == NN_FOLLOWER_UPDATE) {
        uint32_t age = world->tick - state->base_tick;
        nn_bits_write(bits, 0, 1);
        nn_bits_write(bits, age == writing->usual_age, 1);
        if (age != writing->usual_age) nn_golomb_write(bits, age, 4);
        if (plan->restricted) nn_bits_write(bits, owner, 1);
        nn_row_write_delta(plan, world->model, bits, nn_world_row(world, slot, state->base_version),
                           nn_world_row(world, slot, slot->version), owner);
    } else {
        nn_bits_write(bits, kind == NN_FOLLOWER_FULL ? 1 : 3, 2);
        nn_bits_write(bits, state->generation, 16);
        if (kind == NN_FOLLOWER_FULL) {
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

/* Book-keeping of a record that was written. */
static void follower_note_sent(nn_follower* follower, uint16_t place, nn_follower_kind kind)
{
    necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[place];
    nn_follower_state* state = &follower->states[place];
    state->sent_index++;
    if ((uint16_t)(state->sent_index - state->floor_index) > NN_FOLLOWER_RECORDS_MAX) {
        state->floor_index = (uint16_t)(state->sent_index - NN_FOLLOWER_RECORDS_MAX); /* older ones are settled */
    }
    state->sent_tick = world->tick;
    world->statistics.updates_sent++;
    if (kind == NN_FOLLOWER_FULL) world->statistics.full_sent++;
    if (!follower->ordered) {
        nn_follower_entry* entry = &follower->entries[follower->entry_next++ & (follower->entry_capacity - 1)];
        entry->version = slot->version;
        entry->place = place;
        entry->generation = state->generation;
        entry->index = state->sent_index;
        entry->base_index = state->base_index;
        entry->kind = (uint8_t)kind;
    }
    if (kind == NN_FOLLOWER_LEAVE) {
        nn_follower_unpend(follower, place);
        if (follower->ordered) memset(state, 0, sizeof *state);
        return;
    }
    state->flags |= NN_FOLLOWER_KNOWN;
    state->sent_version = slot->version;
    if (follower->ordered) nn_follower_set_base(state, slot->version, world->tick, state->sent_index);
    /* Own entities go with every frame until acked, so that a frame's input tick never runs ahead of them. */
    if (follower->ordered || !(state->flags & NN_FOLLOWER_OWNER)) nn_follower_unpend(follower, place);
}

/* The client has the newest state (versions only rise, so whatever was sent after the baseline is the same one). Or
 * nothing visible changed against what was sent last, and that has arrived: the baseline is as good as the newest. */
static bool follower_needs_nothing(nn_follower* follower, nn_follower_state* state, const nn_world_slot* slot)
{
    if (nn_follower_has_newest(follower, state, slot)) return true;
    if (!(state->flags & NN_FOLLOWER_BASE) || state->sent_index != state->base_index) return false;
    const uint32_t* base = nn_world_row(follower->world, slot, state->base_version);
    const nn_type_plan* plan = &follower->world->schema->plans[slot->type];
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
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
        nn_follower_state* state = &follower->states[place];
        nn_follower_kind kind = NN_FOLLOWER_LEAVE;
        if (!(state->flags & NN_FOLLOWER_LEAVING)) {
            if (slot->versions == 0 || slot->generation != state->generation) continue; /* gone with the next commit */
            follower_check_owner(follower, state, slot);
            if (follower_needs_nothing(follower, state, slot)) {
                nn_follower_unpend(follower, place);
                continue;
            }
            if (follower->again && state->sent_version == slot->version && state->sent_tick == world->tick) continue;
            kind = follower_can_delta(follower, state, slot) ? NN_FOLLOWER_UPDATE : NN_FOLLOWER_FULL;
        }
        if (follower_write_record(follower, writing, place, kind)) {
            follower_note_sent(follower, place, kind);
            continue;
        }
        if (!follower->start) follower->start = place;
        if (nn_follower_owns(follower, slot)) own_complete = false;
        if (writing->budget_limited) break;
    }
    return own_complete;
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
    if (follower->ordered) return true;
    if (!follower_reserve_frame(follower)) return false;
    uint32_t first = follower->entry_next;
    if (follower->frame_first != follower->frame_next) {
        first = nn_follower_frame_of(follower, follower->frame_first)->first;
    }
    uint32_t needed = follower->entry_next - first + count;
    if (needed <= follower->entry_capacity) return true;
    uint32_t capacity = follower->entry_capacity ? follower->entry_capacity : FOLLOWER_ENTRIES_FIRST;
    while (capacity < needed) capacity *= 2;
    nn_alloc* alloc = &follower->world->alloc;
    nn_follower_entry* entries = (nn_follower_entry*)nn_alloc_take(alloc, capacity * sizeof(nn_follower_entry));
    if (!entries) return false;
    for (uint32_t number = first; number != follower->entry_next; number++) {
        entries[number & (capacity - 1)] = follower->entries[number & (follower->entry_capacity - 1)];
    }
    nn_alloc_give(alloc, follower->entries, follower->entry_capacity * sizeof(nn_follower_entry));
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
    bool has_input = nn_follower_input(follower, &input);
    if (!own_complete) { /* an own entity stayed behind: so must the input */
        input = follower->input_sent;
        has_input = input != 0;
    }
    bool complete = true; /* all that is still pending was sent, and waits for its ack */
    for (uint32_t i = 0; complete && i < follower->pending_count; i++) {
        const nn_follower_state* state = &follower->states[follower->pending[i]];
        complete =
            state->sent_version == world->slots[follower->pending[i]].version && (state->flags & NN_FOLLOWER_OWNER);
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
    if (!follower->again) nn_follower_schedule(follower, now_us);
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
    nn_follower_frame* frame = nn_follower_frame_of(follower, follower->frame_next);
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
    return own_complete && nn_follower_input(follower, &input) && input != follower->input_sent;
}

NN_PRIVATE bool nn_follower_write(nn_follower* follower, nn_writer* writer, size_t budget_bytes, uint32_t* out_value,
                                  uint64_t now_us)
{
    necpnet_world* world = follower->world;
    if (!nn_follower_ready(follower, now_us) || writer->failed) return false;
    size_t packet = nn_min_size(nn_min_size(budget_bytes, nn_writer_left(writer)), NN_STATE_FRAME_BYTES_MAX);
    if (packet < NN_STATE_FRAME_BYTES_MIN) return false; /* the next packet has more room */
    nn_follower_refill(follower, now_us);
    size_t budget = nn_min_size(packet, (size_t)(follower->allowance / 1000000u));
    follower_writing writing;
    memset(&writing, 0, sizeof writing);
    writing.budget_limited = budget < packet;
    uint32_t count = 0;
    bool possible = budget >= NN_STATE_FRAME_BYTES_MIN && nn_follower_sync(follower);
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
