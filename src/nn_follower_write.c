/* nn_follower_write - a STATE frame as a whole: its room, its head, what it says that the client has, and when the next one is due.
 * src/PROTOCOL.md "State". */
#include "nn_writing.h"

#include "nn_frame.h"
#include "nn_row.h"

#define FOLLOWER_CHECKS_BUDGET_MIN 256 /* smaller frames have no checks */
#define FOLLOWER_HEAD_BYTES_MAX 32     /* type, length 2, flags, three varints of at most 8, two slots; no more flags */
#define FOLLOWER_TRAILING_ORDERED 1    /* frames after the last change, which tell that nothing moves any more */
#define FOLLOWER_TRAILING_UNORDERED 3  /* some of them may be lost */
#define FOLLOWER_ENTRIES_FIRST 64
#define FOLLOWER_FRAMES_FIRST 8
#define FOLLOWER_RECORD_BITS_MIN 3 /* of a record that is not of the moving: said to be one, slot, kind */

/* ---- room */

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

/* ---- the frame */

/* Bytes of the frame's head that say more than its first flags; 0: it has none. */
static size_t follower_more_bytes(const nn_follower* follower)
{
    const necpnet_world* world = follower->world;
    bool mixed = !follower->thin && world->thin_type_count;
    if (!mixed && !follower->own_tables) return 0;
    return 1 + (mixed ? ((size_t)world->schema->type_count + 7) / 8 : 0);
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
#define FOLLOWER_RECORD_BITS_MORE (14u + 5u + 3u + 32u + 16u + 1u + NN_WRITING_LIST_BITS)

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

static void follower_write_frame(nn_follower* follower, nn_writer* writer, nn_writing* writing)
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
        complete =
            state->sent_version == (uint16_t)world->slots[state->place].version && (state->flags & NN_FOLLOWER_OWNER);
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
static void follower_plan_next(nn_follower* follower, const nn_writing* writing, bool written, uint64_t now_us)
{
    bool budget = follower->allowance / 1000000u >= NN_STATE_FRAME_BYTES_MIN;
    bool more = follower->start || follower->walk_from;
    follower->again = written && more && !writing->budget_limited && budget;
    if (!follower->again) nn_follower_schedule(follower, now_us);
}

/* Which frames the client is known to have: 12 bits of this one's number; then, if any, how far back the newest of them
 * is, and the oldest, and which between them are missing. */
static void follower_write_known(nn_writing* writing)
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
static void follower_share_room(const nn_follower* follower, nn_writing* writing)
{
    size_t others = (size_t)(writing->waiting + writing->own) * follower->record_bits / 16 + writing->own * 32;
    size_t half = writing->bits_max / 2;
    writing->walk_max = writing->bits_max - (others < half ? others : half);
}

/* Fills writing with records. */
static void follower_encode(nn_follower* follower, nn_writing* writing, size_t room)
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
    nn_writing_walk(follower, writing);
    bool stuck = writing->walk_to && !writing->records && writing->budget_limited; /* what is large gets its turn */
    if (stuck) writing->own_complete = false;
    uint32_t count =
        stuck ? 0 : nn_writing_choose(follower, room - nn_min_size(room, nn_encoder_bits(&writing->encoder) / 8));
    nn_writing_list(follower, writing, count);
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
    uint32_t tick = follower->world->tick;
    uint32_t gap = tick - follower->sent_tick;
    follower->even_frames = gap == 1 ? follower->even_frames + 1 : 1;
    follower->ticks[number & 63] = (uint16_t)tick;
    follower->known = gap < NN_STATE_WINDOW_TICKS ? follower->known << 1 : 0; /* too old for good */
    follower->sent_tick = tick;
    nn_follower_step(follower);
    if (follower->ordered) { /* it will arrive before whatever is written next */
        follower->known |= 1;
        if (complete) follower->greeting = 0;
        follower->frame_first = follower->frame_next;
        for (uint32_t i = entry_first; i != follower->entry_next; i++) {
            nn_follower_arrived(follower, follower->entries[i & (follower->entry_capacity - 1)], number, tick);
        }
        return 0;
    }
    nn_follower_frame* frame = nn_follower_frame_of(follower, number);
    frame->first = entry_first;
    frame->count = follower->entry_next - entry_first;
    frame->tick = tick;
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
static bool follower_prepare(nn_follower* follower, nn_writing* writing, size_t budget)
{
    necpnet_world* world = follower->world;
    size_t more = follower_more_bytes(follower);
    if (budget < NN_STATE_FRAME_BYTES_MIN + more || !nn_follower_sync(follower)) return false;
    writing->known = nn_follower_known(follower, budget - FOLLOWER_HEAD_BYTES_MAX - more);
    nn_writing_count_moving(follower, writing);
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
    nn_writing writing;
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
