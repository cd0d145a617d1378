/* nn_acks - the receiver's side of acknowledgement.
 *
 * The window is a bitmap over the last 1024 packet numbers; ACK ranges are read off it, so nothing else is kept. What the
 * peer surely knows lies below `floor`: once a packet of ours that carried an ACK frame is itself acknowledged, everything
 * that frame told need not be told again, and neither need old gaps.
 */
#include "nn_acks.h"

#include "nn_frame.h"

#define ACKS_NONE UINT64_MAX
#define ACKS_DELAY_UNIT_US 8u
#define ACKS_LENGTH_EXACT 96u /* a full report counts exactly up to here, then in steps, rounding down */
#define ACKS_LENGTH_STEP 32u
#define ACKS_LENGTH_ESCAPE 127u
#define ACKS_MORE 0x80u    /* ranges follow */
#define ACKS_LOST_AFTER 3u /* our packet is taken for lost when the peer acks so much later ones */

NN_PRIVATE void nn_acks_init(nn_acks* acks, uint32_t delay_us_max)
{
    memset(acks, 0, sizeof *acks);
    acks->largest = ACKS_NONE;
    acks->deadline_us = NN_NEVER;
    acks->watch_number = ACKS_NONE;
    acks->mark = ACKS_NONE;
    acks->delay_us_max = delay_us_max;
}

/* ---- the window ---- */

static bool acks_seen(const nn_acks* acks, uint64_t number)
{
    return (acks->seen[number % NN_ACKS_WINDOW / 64] >> (number % 64) & 1) != 0;
}

static uint64_t acks_oldest(const nn_acks* acks)
{
    return acks->largest < NN_ACKS_WINDOW ? 0 : acks->largest - (NN_ACKS_WINDOW - 1);
}

NN_PRIVATE bool nn_acks_is_new(const nn_acks* acks, uint64_t number)
{
    if (number < acks->refused_below) return false;
    if (acks->largest == ACKS_NONE || number > acks->largest) return true;
    return number >= acks_oldest(acks) && !acks_seen(acks, number);
}

NN_PRIVATE void nn_acks_refuse(nn_acks* acks, uint64_t number)
{
    acks->refused_below = nn_max_u64(acks->refused_below, number + 1);
}

/* Forget what falls out of the window when number becomes the largest. */
static void acks_advance(nn_acks* acks, uint64_t number)
{
    uint64_t ahead = acks->largest == ACKS_NONE ? NN_ACKS_WINDOW : number - acks->largest;
    if (ahead >= NN_ACKS_WINDOW) {
        memset(acks->seen, 0, sizeof acks->seen);
        return;
    }
    for (uint64_t at = acks->largest + 1; at < number; at++) {
        acks->seen[at % NN_ACKS_WINDOW / 64] &= ~(UINT64_C(1) << (at % 64));
    }
}

static void acks_add(nn_acks* acks, uint64_t number, bool ack_eliciting, bool may_wait, bool at_once, uint64_t now_us)
{
    NN_ASSERT(nn_acks_is_new(acks, number));
    bool in_order = acks->largest == ACKS_NONE ? number == 0 : number == acks->largest + 1;
    bool sparse = acks->largest != ACKS_NONE && now_us - acks->largest_at_us >= NN_ACKS_SPARSE_US;
    if (acks->largest == ACKS_NONE || number > acks->largest) {
        acks_advance(acks, number);
        acks->largest = number;
        acks->largest_at_us = now_us;
    }
    acks->seen[number % NN_ACKS_WINDOW / 64] |= UINT64_C(1) << (number % 64);
    if (number < acks->floor) acks->floor = number; /* came after all: tell it */
    if (acks->watch_number != ACKS_NONE && number < acks->watch_floor) acks->watch_number = ACKS_NONE;
    if (acks->mark != ACKS_NONE && number <= acks->mark) acks->mark = ACKS_NONE;
    if (!ack_eliciting && !at_once) return;
    bool urgent = !in_order || (acks->urgent > 0 && sparse);
    if (!in_order) {
        acks->urgent = NN_ACKS_URGENT;
    } else if (acks->urgent > 0) {
        acks->urgent--;
    }
    if (acks->eliciting < UINT8_MAX) acks->eliciting++;
    may_wait = may_wait && sparse;
    unsigned many = acks->largest < NN_ACKS_LATER_FROM && !may_wait ? NN_ACKS_ELICITING_FIRST : NN_ACKS_ELICITING_LATER;
    uint64_t interval_us = many == NN_ACKS_ELICITING_LATER ? NN_ACKS_INTERVAL_US : 0;
    if (at_once || urgent || acks->eliciting >= NN_ACKS_ELICITING_MAX) {
        acks->deadline_us = nn_min_u64(acks->deadline_us, now_us);
    } else if (acks->eliciting >= many) {
        acks->deadline_us = nn_min_u64(acks->deadline_us, nn_max_u64(now_us, acks->reported_at_us + interval_us));
    } else {
        uint64_t delay_us = may_wait ? NN_ACKS_LATER_US : acks->delay_us_max;
        acks->deadline_us = nn_min_u64(acks->deadline_us, now_us + delay_us);
    }
}

NN_PRIVATE void nn_acks_add(nn_acks* acks, uint64_t number, bool ack_eliciting, bool at_once, uint64_t now_us)
{
    acks_add(acks, number, ack_eliciting, false, at_once, now_us);
}

NN_PRIVATE void nn_acks_add_later(nn_acks* acks, uint64_t number, bool at_once, uint64_t now_us)
{
    acks_add(acks, number, true, true, at_once, now_us);
}

NN_PRIVATE void nn_acks_hurry(nn_acks* acks, uint64_t at_us)
{
    if (acks->deadline_us != NN_NEVER) acks->deadline_us = nn_min_u64(acks->deadline_us, at_us);
}

NN_PRIVATE bool nn_acks_wants(const nn_acks* acks)
{
    return acks->deadline_us != NN_NEVER;
}

NN_PRIVATE uint64_t nn_acks_deadline_us(const nn_acks* acks)
{
    return acks->deadline_us;
}

/* ---- the frame ---- */

NN_PRIVATE uint8_t nn_acks_delay_encode(uint64_t delay_us)
{
    uint64_t units = delay_us / ACKS_DELAY_UNIT_US;
    unsigned exponent = 1;
    if (units < 16) return (uint8_t)units;
    while (units >= 32 && exponent < 15) {
        units >>= 1;
        exponent++;
    }
    if (units > 31) units = 31;
    return (uint8_t)(exponent << 4 | (unsigned)(units & 15));
}

NN_PRIVATE uint64_t nn_acks_delay_decode(uint8_t code)
{
    unsigned exponent = code >> 4;
    uint64_t units = exponent ? (UINT64_C(16) + (code & 15u)) << (exponent - 1) : code;
    return units * ACKS_DELAY_UNIT_US;
}

typedef struct acks_range {
    uint64_t low;
    uint64_t high;
} acks_range;

/* The lowest number of the run of equal bits that ends at high, not below low. */
static uint64_t acks_run(const nn_acks* acks, uint64_t high, uint64_t low)
{
    bool seen = acks_seen(acks, high);
    uint64_t at = high;
    while (at > low) {
        if (at % 64 == 0 && at - low >= 64) { /* a whole word of 64 at once */
            uint64_t word = acks->seen[(at - 1) % NN_ACKS_WINDOW / 64];
            if (word == (seen ? UINT64_MAX : 0)) {
                at -= 64;
                continue;
            }
        }
        if (acks_seen(acks, at - 1) != seen) break;
        at--;
    }
    return at;
}

/* Ranges, newest first, down to the floor. Returns how many; *exact: whether they are all. */
static size_t acks_ranges(const nn_acks* acks, acks_range ranges[NN_ACKS_RANGES_MAX], bool* exact)
{
    uint64_t low = nn_max_u64(acks_oldest(acks), nn_min_u64(acks->floor, acks->largest));
    uint64_t high = acks->largest;
    size_t count = 0;
    *exact = true;
    for (;;) {
        if (count == NN_ACKS_RANGES_MAX) {
            *exact = false;
            return count;
        }
        ranges[count].high = high;
        ranges[count].low = acks_run(acks, high, low);
        high = ranges[count].low;
        count++;
        if (high == low) return count;
        high = acks_run(acks, high - 1, low); /* the gap */
        if (high == low) return count;        /* nothing seen below it */
        high--;
    }
}

/* Bytes of a range behind the first. */
static size_t acks_range_bytes(const acks_range* above, const acks_range* range)
{
    return nn_varint_bytes(above->low - range->high - 2) + nn_varint_bytes(range->high - range->low);
}

/* A side that sends nothing but ACKs never hears which of them came. What was in several of them is taken for heard: should
 * all have been lost, the peer sends again what we have. */
static void acks_mark(nn_acks* acks, uint64_t now_us)
{
    if (acks->mark == ACKS_NONE) {
        acks->mark = acks->largest;
        acks->mark_at_us = now_us;
        acks->mark_frames = 1;
        return;
    }
    if (acks->mark_frames < UINT8_MAX) acks->mark_frames++;
    if (acks->mark_frames < NN_ACKS_MARK_FRAMES || now_us - acks->mark_at_us < NN_ACKS_MARK_US) return;
    acks->floor = nn_max_u64(acks->floor, acks->mark + 1);
    acks->mark = ACKS_NONE;
}

NN_PRIVATE bool nn_acks_write(nn_acks* acks, nn_writer* writer, uint64_t now_us)
{
    acks_range ranges[NN_ACKS_RANGES_MAX];
    bool exact;
    if (acks->largest == ACKS_NONE || nn_writer_left(writer) < NN_ACKS_BYTES_FULL || writer->failed) return false;
    size_t count = acks_ranges(acks, ranges, &exact);
    uint64_t length = ranges[0].high - ranges[0].low + 1;
    size_t first_bytes = length - 1 >= ACKS_LENGTH_ESCAPE ? nn_varint_bytes(length - 1 - ACKS_LENGTH_ESCAPE) : 0;
    size_t room = nn_writer_left(writer) - NN_ACKS_BYTES_FULL;
    size_t used = first_bytes + 1;
    size_t fit = 1;
    while (fit < count && used + acks_range_bytes(&ranges[fit - 1], &ranges[fit]) <= room) {
        used += acks_range_bytes(&ranges[fit - 1], &ranges[fit]);
        fit++;
    }
    if (fit < count) exact = false;
    uint64_t delay_us = now_us > acks->largest_at_us ? now_us - acks->largest_at_us : 0;
    nn_write_u8(writer, NN_FRAME_ACK);
    nn_write_u16(writer, (uint16_t)acks->largest);
    nn_write_u8(writer, nn_acks_delay_encode(delay_us));
    if (fit == 1) {
        uint64_t code = length - 1;
        if (length > ACKS_LENGTH_EXACT) {
            uint64_t steps = (length - ACKS_LENGTH_EXACT) / ACKS_LENGTH_STEP;
            code = ACKS_LENGTH_EXACT - 1 + steps;
            if (steps * ACKS_LENGTH_STEP + ACKS_LENGTH_EXACT != length) exact = false;
        }
        nn_write_u8(writer, (uint8_t)code);
    } else {
        nn_write_u8(writer, (uint8_t)(ACKS_MORE | nn_min_u64(length - 1, ACKS_LENGTH_ESCAPE)));
        if (first_bytes) nn_write_varint(writer, length - 1 - ACKS_LENGTH_ESCAPE);
        nn_write_u8(writer, (uint8_t)(fit - 1));
        for (size_t i = 1; i < fit; i++) {
            nn_write_varint(writer, ranges[i - 1].low - ranges[i].high - 2);
            nn_write_varint(writer, ranges[i].high - ranges[i].low);
        }
    }
    NN_ASSERT(!writer->failed);
    acks->written_floor = exact ? acks->largest + 1 : 0;
    if (exact) acks_mark(acks, now_us);
    acks->deadline_us = NN_NEVER;
    acks->reported_at_us = now_us;
    acks->eliciting = 0;
    return true;
}

/* ---- acknowledgement of acknowledgements ---- */

NN_PRIVATE void nn_acks_sent(nn_acks* acks, uint64_t number)
{
    if (acks->watch_number != ACKS_NONE || acks->written_floor == 0) return;
    acks->watch_number = number;
    acks->watch_floor = acks->written_floor;
}

NN_PRIVATE void nn_acks_peer_has(nn_acks* acks, uint64_t low, uint64_t high)
{
    if (acks->watch_number < low || acks->watch_number > high) return;
    acks->floor = nn_max_u64(acks->floor, acks->watch_floor);
    acks->watch_number = ACKS_NONE;
}

NN_PRIVATE void nn_acks_peer_done(nn_acks* acks, uint64_t largest)
{
    if (acks->watch_number == ACKS_NONE || largest < acks->watch_number) return;
    if (largest - acks->watch_number >= ACKS_LOST_AFTER) acks->watch_number = ACKS_NONE;
}
