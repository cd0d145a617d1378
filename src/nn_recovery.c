/* nn_recovery - the sender's side of acknowledgement (RFC 9002).
 *
 * Ack-eliciting packets alone are kept, in a ring by ascending number; an ACK range finds them by bisection. A packet
 * declared lost stays for a while, so that a late ACK is known for what it is.
 */
#include "nn_recovery.h"

#include "nn_sequence.h"

#define RECOVERY_NONE UINT64_MAX
#define RECOVERY_RTT_MAX_US 60000000u
#define RECOVERY_DELAY_ROUGH_US 64000u /* an ACK's delay is told to a sixteenth */
#define RECOVERY_DELAY_US_MAX 100000u
#define RECOVERY_DELAY_FADE 64u
#define RECOVERY_TIME_EIGHTHS_FIRST 9u /* RFC 9002 6.1.2 */
#define RECOVERY_TIME_EIGHTHS_MAX 24u
#define RECOVERY_SKIP_MIN \
    256u /* packets between two left-out numbers; NN_RECOVERY_SKIPS of them cover the ACK window */
#define RECOVERY_SKIP_SPREAD 1024u
#define RECOVERY_PROBE_PACKETS 2u
#define RECOVERY_ACK_ESCAPE 127u /* the ACK frame's lengths: see nn_acks.c and PROTOCOL.md */
#define RECOVERY_ACK_EXACT 96u
#define RECOVERY_ACK_STEP 32u

typedef enum recovery_state {
    RECOVERY_ACKED = 0,  /* may be dropped */
    RECOVERY_SENT = 1,   /* in flight */
    RECOVERY_PROBED = 2, /* in flight; contents were given to `lost` on a probe timeout */
    RECOVERY_LOST = 3
} recovery_state;

struct nn_recovery_packet {
    uint64_t number;
    uint64_t sent_at_us;
    uint32_t bytes;
    uint8_t state;
    bool later; /* its ACK may take longer */
    nn_contents contents;
};

static nn_recovery_packet* recovery_at(const nn_recovery* recovery, uint32_t index)
{
    return &recovery->ring[(recovery->first + index) & (recovery->capacity - 1)];
}

/* Index of the first kept packet whose number is at least number. */
static uint32_t recovery_find(const nn_recovery* recovery, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = recovery->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (recovery_at(recovery, middle)->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool recovery_in_flight(const nn_recovery_packet* packet)
{
    return packet->state == RECOVERY_SENT || packet->state == RECOVERY_PROBED;
}

static uint64_t recovery_random(nn_recovery* recovery)
{
    recovery->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t z = recovery->random;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void recovery_choose_skip(nn_recovery* recovery, uint64_t after)
{
    recovery->skip_at = after + RECOVERY_SKIP_MIN + recovery_random(recovery) % RECOVERY_SKIP_SPREAD;
}

NN_PRIVATE void nn_recovery_init(nn_recovery* recovery, nn_alloc* alloc, nn_acks* acks, nn_congestion* congestion,
                                 uint64_t seed)
{
    memset(recovery, 0, sizeof *recovery);
    recovery->alloc = alloc;
    recovery->acks = acks;
    recovery->congestion = congestion;
    recovery->random = seed;
    recovery->largest_acked = RECOVERY_NONE;
    recovery->loss_at_us = NN_NEVER;
    recovery->large_bytes = UINT16_MAX;
    recovery->rtt_us = NN_RECOVERY_RTT_FIRST_US;
    recovery->rtt_variance_us = NN_RECOVERY_RTT_FIRST_US / 2;
    recovery->peer_delay_us = NN_ACKS_DELAY_US_DEFAULT;
    recovery->packet_threshold = NN_RECOVERY_PACKET_THRESHOLD;
    recovery->time_eighths = RECOVERY_TIME_EIGHTHS_FIRST;
    for (size_t i = 0; i < NN_RECOVERY_SKIPS; i++) recovery->skips[i] = RECOVERY_NONE;
    recovery_choose_skip(recovery, 0);
}

NN_PRIVATE void nn_recovery_reset(nn_recovery* recovery)
{
    for (uint32_t i = 0; i < recovery->count; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        if (recovery_in_flight(packet)) nn_congestion_on_forgotten(recovery->congestion, packet->bytes);
    }
    if (recovery->ring) nn_alloc_give(recovery->alloc, recovery->ring, nn_recovery_memory_bytes(recovery));
    recovery->ring = NULL;
    recovery->capacity = recovery->first = recovery->count = recovery->flight = recovery->flight_soon = 0;
    recovery->loss_at_us = NN_NEVER;
}

NN_PRIVATE void nn_recovery_rest(nn_recovery* recovery, uint64_t now_us)
{
    if (recovery->ring && recovery->flight == 0 && now_us - recovery->eliciting_at_us >= NN_RECOVERY_REST_US) {
        nn_recovery_reset(recovery);
    }
}

NN_PRIVATE size_t nn_recovery_memory_bytes(const nn_recovery* recovery)
{
    return recovery->capacity * sizeof(nn_recovery_packet);
}

/* ---- round trip (RFC 9002 5.3) ---- */

static void recovery_first_rtt(nn_recovery* recovery, uint32_t latest)
{
    recovery->has_rtt = true;
    recovery->rtt_latest_us = latest;
    recovery->rtt_min_us = latest;
    recovery->rtt_us = latest;
    recovery->rtt_variance_us = latest / 2;
}

static uint32_t recovery_clamp_rtt(uint64_t sample_us)
{
    return (uint32_t)nn_min_u64(nn_max_u64(sample_us, 1), RECOVERY_RTT_MAX_US);
}

static void recovery_sample_rtt(nn_recovery* recovery, uint64_t sample_us, uint64_t delay_us, uint32_t bytes,
                                uint64_t now_us)
{
    uint32_t latest = recovery_clamp_rtt(sample_us);
    recovery->rtt_latest_us = latest;
    if (!recovery->has_rtt) {
        recovery_first_rtt(recovery, latest);
        nn_congestion_on_rtt(recovery->congestion, latest, latest, bytes, now_us);
        return;
    }
    if (latest < recovery->rtt_min_us) recovery->rtt_min_us = latest;
    uint32_t delay = (uint32_t)delay_us;
    uint32_t adjusted = latest >= recovery->rtt_min_us + delay ? latest - delay : latest;
    uint32_t difference = adjusted > recovery->rtt_us ? adjusted - recovery->rtt_us : recovery->rtt_us - adjusted;
    recovery->rtt_variance_us = (3 * recovery->rtt_variance_us + difference) / 4;
    recovery->rtt_us = (uint32_t)((7 * (uint64_t)recovery->rtt_us + adjusted) / 8);
    if (delay > RECOVERY_DELAY_ROUGH_US) { /* told too roughly to show a queue */
        recovery->congestion->rtt_us = recovery->rtt_us;
        return;
    }
    nn_congestion_on_rtt(recovery->congestion, adjusted, recovery->rtt_us, bytes, now_us);
}

NN_PRIVATE void nn_recovery_seed_rtt(nn_recovery* recovery, uint64_t rtt_us, uint64_t now_us)
{
    (void)now_us;
    recovery_first_rtt(recovery, recovery_clamp_rtt(rtt_us));
    recovery->congestion->rtt_us = recovery->rtt_us; /* paces by it; small packets say nothing of the base */
}

NN_PRIVATE uint64_t nn_recovery_probe_us(const nn_recovery* recovery)
{
    uint64_t variance = nn_max_u64((uint64_t)recovery->rtt_variance_us * 4, NN_RECOVERY_GRANULARITY_US);
    return recovery->rtt_us + variance + recovery->peer_delay_us;
}

static uint64_t recovery_probe_at(const nn_recovery* recovery)
{
    uint64_t once = nn_recovery_probe_us(recovery);
    if (!recovery->flight_soon) once += NN_ACKS_LATER_US;
    uint64_t wait = once << nn_min_u64(recovery->probes, 10);
    return recovery->eliciting_at_us + nn_max_u64(once, nn_min_u64(wait, NN_RECOVERY_PROBE_US_MAX));
}

static uint64_t recovery_loss_delay(const nn_recovery* recovery)
{
    uint64_t rtt = nn_max_u64(recovery->rtt_latest_us, recovery->rtt_us);
    return nn_max_u64(rtt * recovery->time_eighths / 8, NN_RECOVERY_GRANULARITY_US);
}

/* ---- sending ---- */

/* Drop what is settled at the old end: acknowledged packets, and lost ones older than a late ACK is likely. */
static void recovery_trim(nn_recovery* recovery, uint64_t now_us, bool lost_too)
{
    uint64_t keep = nn_recovery_probe_us(recovery) * 2;
    while (recovery->count) {
        const nn_recovery_packet* packet = recovery_at(recovery, 0);
        if (recovery_in_flight(packet)) break;
        if (packet->state == RECOVERY_LOST && !lost_too && now_us - packet->sent_at_us < keep) break;
        recovery->first = (recovery->first + 1) & (recovery->capacity - 1);
        recovery->count--;
    }
}

NN_PRIVATE necpnet_result nn_recovery_reserve(nn_recovery* recovery)
{
    if (recovery->count < recovery->capacity) return NECPNET_OK;
    if (recovery->flight < recovery->capacity / 2) recovery_trim(recovery, 0, true);
    if (recovery->count < recovery->capacity) return NECPNET_OK;
    if (recovery->count >= NN_RECOVERY_FLIGHT_MAX) {
        recovery_trim(recovery, 0, true);
        return recovery->count < NN_RECOVERY_FLIGHT_MAX ? NECPNET_OK : NECPNET_ERR_WOULD_BLOCK;
    }
    uint32_t capacity = recovery->capacity ? recovery->capacity * 2 : NN_RECOVERY_RING_FIRST;
    nn_recovery_packet* ring =
        (nn_recovery_packet*)nn_alloc_take(recovery->alloc, capacity * sizeof(nn_recovery_packet));
    if (!ring) return NECPNET_ERR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < recovery->count; i++) ring[i] = *recovery_at(recovery, i);
    if (recovery->ring) nn_alloc_give(recovery->alloc, recovery->ring, nn_recovery_memory_bytes(recovery));
    recovery->ring = ring;
    recovery->capacity = capacity;
    recovery->first = 0;
    return NECPNET_OK;
}

NN_PRIVATE uint64_t nn_recovery_next_number(const nn_recovery* recovery)
{
    return recovery->next_number + (recovery->next_number == recovery->skip_at ? 1 : 0);
}

NN_PRIVATE bool nn_recovery_wants_ack(const nn_recovery* recovery)
{
    return recovery->asked + 1 >= NN_RECOVERY_ACK_REQUEST_PACKETS;
}

NN_PRIVATE bool nn_recovery_hurries(const nn_recovery* recovery)
{
    return recovery->hurry > 0 || recovery->probes > 0 || !recovery->has_rtt;
}

NN_PRIVATE void nn_recovery_sent(nn_recovery* recovery, uint64_t number, uint32_t bytes, bool ack_eliciting,
                                 const nn_contents* contents, uint64_t now_us)
{
    NN_ASSERT(number == nn_recovery_next_number(recovery));
    if (number != recovery->next_number) {
        memmove(&recovery->skips[1], &recovery->skips[0], sizeof recovery->skips - sizeof recovery->skips[0]);
        recovery->skips[0] = recovery->next_number;
        recovery_choose_skip(recovery, number);
    }
    recovery->next_number = number + 1;
    recovery->asked = nn_recovery_wants_ack(recovery) ? 0 : recovery->asked + 1;
    nn_congestion_on_sent(recovery->congestion, bytes, ack_eliciting, now_us);
    if (!ack_eliciting) return;
    if (recovery->hurry) recovery->hurry--;
    NN_ASSERT(recovery->count < recovery->capacity);
    nn_recovery_packet* packet = recovery_at(recovery, recovery->count++);
    packet->number = number;
    packet->sent_at_us = now_us;
    packet->bytes = bytes;
    packet->state = RECOVERY_SENT;
    packet->later = false;
    nn_contents_init(&packet->contents);
    if (contents) {
        packet->contents.count = contents->count;
        packet->contents.is_copied = contents->is_copied;
        if (contents->is_copied) recovery->has_copied = true;
        nn_copy(packet->contents.frames, contents->frames, contents->count * sizeof contents->frames[0]);
    }
    recovery->flight++;
    recovery->flight_soon++;
    recovery->eliciting_at_us = now_us;
}

NN_PRIVATE void nn_recovery_sent_later(nn_recovery* recovery)
{
    recovery_at(recovery, recovery->count - 1)->later = true;
    recovery->flight_soon--;
}

/* A packet is in flight no more. */
static void recovery_land(nn_recovery* recovery, const nn_recovery_packet* packet)
{
    recovery->flight--;
    if (!packet->later) recovery->flight_soon--;
}

/* ---- losses (RFC 9002 6.1) ---- */

/* Larger than what is known to come through: that it did not says so, and no more (RFC 8899 3). */
static bool recovery_is_size_probe(const nn_recovery_packet* packet)
{
    return packet->contents.count == 1 && packet->contents.frames[0].kind == NN_SENT_SIZE_PROBE;
}

static void recovery_lose(nn_recovery* recovery, nn_recovery_packet* packet, uint64_t now_us, nn_recovery_function lost,
                          void* user)
{
    bool told = packet->state == RECOVERY_PROBED;
    packet->state = RECOVERY_LOST;
    recovery_land(recovery, packet);
    if (recovery_is_size_probe(packet)) {
        nn_congestion_on_forgotten(recovery->congestion, packet->bytes);
    } else {
        recovery->packets_lost++;
        recovery->hurry = NN_RECOVERY_HURRY_PACKETS;
        nn_congestion_on_lost(recovery->congestion, packet->bytes, now_us);
        if (packet->bytes > recovery->large_bytes && !recovery->large_came && recovery->large_lost < UINT8_MAX) {
            recovery->large_lost++;
        }
    }
    if (!told && packet->contents.count) lost(user, &packet->contents);
}

static void recovery_detect(nn_recovery* recovery, uint64_t now_us, nn_recovery_function lost, void* user)
{
    uint64_t delay = recovery_loss_delay(recovery);
    recovery->loss_at_us = NN_NEVER;
    if (recovery->largest_acked == RECOVERY_NONE) return;
    for (uint32_t i = recovery_find(recovery, recovery->flight_from); i < recovery->count; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        recovery->flight_from = packet->number;
        if (packet->number > recovery->largest_acked) break;
        if (!recovery_in_flight(packet)) continue;
        if (recovery->largest_acked - packet->number >= recovery->packet_threshold ||
            now_us >= packet->sent_at_us + delay) {
            recovery_lose(recovery, packet, now_us, lost, user);
        } else {
            recovery->loss_at_us = packet->sent_at_us + delay;
            break; /* later ones are later */
        }
    }
    recovery_trim(recovery, now_us, false);
}

/* A lost packet arrived after all: wait longer for the next ones (RFC 9002 6.1.1, 6.1.2). */
static void recovery_spurious(nn_recovery* recovery, uint64_t number, uint64_t largest)
{
    recovery->packets_spurious++;
    uint64_t distance = largest - number + 1;
    if (distance > recovery->packet_threshold) {
        recovery->packet_threshold = (uint16_t)nn_min_u64(distance, NN_RECOVERY_PACKET_THRESHOLD_MAX);
    }
    if (recovery->time_eighths < RECOVERY_TIME_EIGHTHS_MAX) recovery->time_eighths++;
}

/* ---- reading an ACK ---- */

typedef struct recovery_range {
    uint64_t low;
    uint64_t high;
} recovery_range;

typedef struct recovery_ack {
    size_t count;
    uint64_t delay_us;
    recovery_range ranges[NN_ACKS_RANGES_MAX]; /* newest first */
} recovery_ack;

/* One range that ends at high; false if it reaches below 0 or out of the window under largest. */
static bool recovery_set_range(recovery_ack* ack, uint64_t high, uint64_t length)
{
    if (length > NN_ACKS_WINDOW || length > high + 1) return false;
    recovery_range* range = &ack->ranges[ack->count++];
    range->high = high;
    range->low = high + 1 - length;
    return ack->ranges[0].high - range->low < NN_ACKS_WINDOW;
}

static bool recovery_parse(const nn_recovery* recovery, nn_reader* reader, recovery_ack* ack)
{
    uint16_t largest = nn_read_u16(reader);
    ack->delay_us = nn_acks_delay_decode(nn_read_u8(reader));
    unsigned head = nn_read_u8(reader);
    uint64_t length = (head & 0x7Fu) + 1;
    ack->count = 0;
    if (reader->failed || recovery->next_number == 0) return false;
    uint64_t high = nn_sequence_expand(recovery->next_number - 1, largest, 16);
    if (high >= recovery->next_number) return false;
    if (!(head & 0x80u)) {
        if (length > RECOVERY_ACK_EXACT)
            length = RECOVERY_ACK_EXACT + (length - RECOVERY_ACK_EXACT) * RECOVERY_ACK_STEP;
        return recovery_set_range(ack, high, length);
    }
    if (length == RECOVERY_ACK_ESCAPE + 1) length += nn_read_varint(reader);
    unsigned more = nn_read_u8(reader);
    if (reader->failed || more < 1 || more >= NN_ACKS_RANGES_MAX) return false;
    if (!recovery_set_range(ack, high, length)) return false;
    for (unsigned i = 0; i < more; i++) {
        uint64_t gap = nn_read_varint(reader) + 1;
        length = nn_read_varint(reader) + 1;
        uint64_t low = ack->ranges[ack->count - 1].low;
        if (reader->failed || gap >= NN_ACKS_WINDOW || low < gap + 1) return false;
        if (!recovery_set_range(ack, low - gap - 1, length)) return false;
    }
    return true;
}

static bool recovery_is_honest(const nn_recovery* recovery, const recovery_ack* ack)
{
    for (size_t i = 0; i < ack->count; i++) {
        for (size_t j = 0; j < NN_RECOVERY_SKIPS; j++) {
            uint64_t skip = recovery->skips[j];
            if (skip != RECOVERY_NONE && skip >= ack->ranges[i].low && skip <= ack->ranges[i].high) return false;
        }
    }
    return true;
}

/* Settle the packets of one range. Returns when the newest newly acknowledged one left, 0 if none was. */
static uint64_t recovery_settle(nn_recovery* recovery, const recovery_range* range, uint64_t now_us,
                                nn_recovery_function acked, void* user)
{
    uint64_t newest_sent_at = 0;
    for (uint32_t i = recovery_find(recovery, range->low); i < recovery->count; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        if (packet->number > range->high) break;
        if (packet->state == RECOVERY_ACKED) continue;
        if (packet->state == RECOVERY_LOST) {
            uint64_t largest = recovery->largest_acked == RECOVERY_NONE ? range->high : recovery->largest_acked;
            recovery_spurious(recovery, packet->number, nn_max_u64(largest, packet->number));
            nn_congestion_on_spurious(recovery->congestion, packet->bytes);
        } else {
            recovery_land(recovery, packet);
            nn_congestion_on_acked(recovery->congestion, packet->bytes, now_us);
            newest_sent_at = nn_max_u64(packet->sent_at_us, 1);
        }
        if (packet->bytes > recovery->large_bytes) {
            recovery->large_lost = 0;
            recovery->large_came = true;
        }
        packet->state = RECOVERY_ACKED;
        recovery->packets_acked++;
        if (packet->contents.count) acked(user, &packet->contents);
    }
    return newest_sent_at;
}

/* How long the peer takes: one that looks once a frame answers once a frame. */
static void recovery_note_delay(nn_recovery* recovery, uint64_t delay_us)
{
    uint32_t told = (uint32_t)nn_min_u64(nn_max_u64(delay_us, NN_ACKS_DELAY_US_DEFAULT), RECOVERY_DELAY_US_MAX);
    uint32_t known = recovery->peer_delay_us;
    recovery->peer_delay_us = told >= known ? told : known - (known - told) / RECOVERY_DELAY_FADE;
}

NN_PRIVATE necpnet_result nn_recovery_read_ack(nn_recovery* recovery, nn_reader* reader, uint64_t now_us,
                                               nn_recovery_function acked, nn_recovery_function lost, void* user)
{
    recovery_ack ack;
    if (!recovery_parse(recovery, reader, &ack) || !recovery_is_honest(recovery, &ack)) return NECPNET_ERR_PROTOCOL;
    uint64_t largest = ack.ranges[0].high;
    bool ahead = recovery->largest_acked == RECOVERY_NONE || largest > recovery->largest_acked;
    uint32_t newest = recovery_find(recovery, largest);
    bool samples = ahead && newest < recovery->count && recovery_at(recovery, newest)->number == largest;
    uint32_t bytes = samples ? recovery_at(recovery, newest)->bytes : 0;
    bool later = samples && recovery_at(recovery, newest)->later;
    if (samples && !later) recovery_note_delay(recovery, ack.delay_us);
    uint64_t delay_us = nn_min_u64(ack.delay_us, later ? NN_ACKS_LATER_US : RECOVERY_DELAY_US_MAX);
    uint64_t sent_at = 0;
    bool progress = false;
    recovery->large_came = false;
    for (size_t i = ack.count; i-- > 0;) {
        sent_at = recovery_settle(recovery, &ack.ranges[i], now_us, acked, user);
        progress = progress || sent_at != 0;
        nn_acks_peer_has(recovery->acks, ack.ranges[i].low, ack.ranges[i].high);
    }
    if (ahead) {
        recovery->largest_acked = largest;
        recovery->asked = 0;
    }
    nn_acks_peer_done(recovery->acks, largest);
    if (samples && sent_at && now_us >= sent_at) {
        recovery_sample_rtt(recovery, now_us - sent_at, delay_us, bytes, now_us);
    }
    if (progress) recovery->probes = 0;
    recovery_detect(recovery, now_us, lost, user);
    return NECPNET_OK;
}

/* ---- time ---- */

NN_PRIVATE uint64_t nn_recovery_deadline_us(const nn_recovery* recovery)
{
    if (recovery->loss_at_us != NN_NEVER) return recovery->loss_at_us;
    return recovery->flight ? recovery_probe_at(recovery) : NN_NEVER;
}

/* The oldest that may be doubted: later than all that is acknowledged. */
static nn_recovery_packet* recovery_next_copied(const nn_recovery* recovery)
{
    if (!recovery->has_copied) return NULL;
    uint64_t from = recovery->largest_acked == RECOVERY_NONE ? 0 : recovery->largest_acked + 1;
    for (uint32_t i = recovery_find(recovery, from); i < recovery->count; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        if (packet->state == RECOVERY_SENT && packet->contents.is_copied) return packet;
    }
    return NULL;
}

static uint64_t recovery_doubt_delay(const nn_recovery* recovery)
{
    uint64_t variance = nn_max_u64((uint64_t)recovery->rtt_variance_us * 2, NN_RECOVERY_GRANULARITY_US);
    return recovery->rtt_us + variance + recovery->peer_delay_us;
}

NN_PRIVATE uint64_t nn_recovery_doubt_at_us(const nn_recovery* recovery)
{
    const nn_recovery_packet* packet = recovery_next_copied(recovery);
    return packet && recovery->has_rtt ? packet->sent_at_us + recovery_doubt_delay(recovery) : NN_NEVER;
}

NN_PRIVATE void nn_recovery_doubt(nn_recovery* recovery, uint64_t now_us, nn_recovery_function doubted, void* user)
{
    while (now_us >= nn_recovery_doubt_at_us(recovery)) {
        nn_recovery_packet* packet = recovery_next_copied(recovery);
        packet->contents.is_copied = false;
        doubted(user, &packet->contents);
    }
    if (!recovery_next_copied(recovery)) recovery->has_copied = false;
}

NN_PRIVATE uint32_t nn_recovery_on_deadline(nn_recovery* recovery, uint64_t now_us, nn_recovery_function lost,
                                            void* user)
{
    if (now_us < nn_recovery_deadline_us(recovery)) return 0;
    if (recovery->loss_at_us != NN_NEVER) {
        recovery_detect(recovery, now_us, lost, user);
        return 0;
    }
    uint32_t again = 0;
    uint32_t i = recovery_find(recovery, recovery->flight_from);
    for (; i < recovery->count && again < RECOVERY_PROBE_PACKETS; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        if (packet->state != RECOVERY_SENT) continue;
        packet->state = RECOVERY_PROBED;
        again++;
        if (packet->contents.count) lost(user, &packet->contents);
    }
    if (recovery->probes < UINT8_MAX) recovery->probes++;
    if (recovery->probes == NN_RECOVERY_PERSISTENT_PROBES) nn_congestion_on_persistent(recovery->congestion, now_us);
    recovery->eliciting_at_us = now_us;
    return (uint32_t)nn_min_u64(recovery->flight, RECOVERY_PROBE_PACKETS);
}

NN_PRIVATE void nn_recovery_lose_all(nn_recovery* recovery, nn_recovery_function lost, void* user)
{
    for (uint32_t i = 0; i < recovery->count; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        if (!recovery_in_flight(packet)) continue;
        nn_congestion_on_forgotten(recovery->congestion, packet->bytes);
        if (packet->state == RECOVERY_SENT && packet->contents.count) lost(user, &packet->contents);
    }
    recovery->first = recovery->count = recovery->flight = recovery->flight_soon = 0;
    recovery->probes = 0;
    recovery->loss_at_us = NN_NEVER;
}

NN_PRIVATE void nn_recovery_lose_before(nn_recovery* recovery, uint64_t before_us, nn_recovery_function lost,
                                        void* user)
{
    for (uint32_t i = 0; i < recovery->count; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        if (!recovery_in_flight(packet) || packet->sent_at_us >= before_us) continue;
        bool told = packet->state == RECOVERY_PROBED;
        packet->state = RECOVERY_LOST;
        recovery_land(recovery, packet);
        nn_congestion_on_forgotten(recovery->congestion, packet->bytes);
        if (!told && packet->contents.count) lost(user, &packet->contents);
    }
    recovery->probes = 0;
    recovery->loss_at_us = NN_NEVER;
}

NN_PRIVATE void nn_recovery_repeat(nn_recovery* recovery, nn_recovery_function lost, void* user)
{
    for (uint32_t i = 0; i < recovery->count; i++) {
        nn_recovery_packet* packet = recovery_at(recovery, i);
        if (packet->state != RECOVERY_SENT) continue;
        packet->state = RECOVERY_PROBED;
        if (packet->contents.count) lost(user, &packet->contents);
    }
}

NN_PRIVATE void nn_recovery_forget_rtt(nn_recovery* recovery)
{
    recovery->has_rtt = false;
    recovery->rtt_us = NN_RECOVERY_RTT_FIRST_US;
    recovery->rtt_variance_us = NN_RECOVERY_RTT_FIRST_US / 2;
    recovery->rtt_min_us = recovery->rtt_latest_us = 0;
    recovery->packet_threshold = NN_RECOVERY_PACKET_THRESHOLD;
    recovery->time_eighths = RECOVERY_TIME_EIGHTHS_FIRST;
}
