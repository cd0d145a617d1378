/* nn_congestion - how much may leave.
 *
 * In each round trip the standing queue q is the least of its samples less the base. The base is kept for four sizes of
 * packets apart, for a slow link holds a large packet longer than a small one, and that is no queue.
 *
 * Above its target T the window becomes window x (base + T) / (base + q), which leaves T (FAST TCP: Wei, Jin, Low,
 * Hegde 2006); then a round passes until that shows. Below, it grows by a packet a round trip; by twice as much after each
 * round with hardly a queue (as Copa does, Arun and Balakrishnan 2018). A small window has a larger target than a large
 * one, T = target x sqrt(10 packets / window) (Swift, Kumar and others 2020): together with growth by equal steps and
 * shrinking by equal shares that makes flows of ours equal. Whoever fills queues until they overflow, as TCP does, finds
 * ours gone down to its least bandwidth.
 *
 * Jitter is no queue: what samples turn back and forth by is taken for part of the base, and a lost packet that comes after
 * all is taken off the losses.
 *
 * Slow start ends when samples in a row show a queue (HyStart, Ha and Rhee 2011), or much loss.
 */
#include "nn_congestion.h"

#define CONGESTION_RTT_FIRST_US 100000u
#define CONGESTION_RTT_MIN_US 20u
#define CONGESTION_ROUND_US_MIN 1000u
#define CONGESTION_NEAR_US 1500u /* a queue within this shows the base */
#define CONGESTION_ABOVE_SAMPLES 4u
#define CONGESTION_FLOOR_ROUNDS 10u
#define CONGESTION_JUDGE_BYTES_MIN 96000u /* judge loss over at least 80 packets */
#define CONGESTION_LOSS_PPM_BEYOND 15000u
#define CONGESTION_LOSS_FADE_US 1000000u
#define CONGESTION_BURST_PACKETS 10u /* RFC 9002 7.7 */
#define CONGESTION_TARGET_PACKETS 10u
#define CONGESTION_TARGET_US_MAX 20000u
#define CONGESTION_FEW_PACKETS 4u
#define CONGESTION_RATE_LEAST 2000u
#define CONGESTION_FLOOR_RATE (NN_CONGESTION_BANDWIDTH_MIN + NN_CONGESTION_BANDWIDTH_MIN / 8) /* some gets lost */
#define CONGESTION_FLOOR_AGAIN_US 60000000u
#define CONGESTION_RATE_SLOT_US 10000000u
#define CONGESTION_RATE_SLOT_FULL_US 4000000u
#define CONGESTION_SECOND_US 1000000u
#define CONGESTION_JITTER_SAMPLES 16u
#define CONGESTION_ROUND_SAMPLES 8u /* where there is jitter; but no more than .. */
#define CONGESTION_ROUND_RTTS 4u

/* ---- the window -- */

NN_PRIVATE uint64_t nn_congestion_window_min(const nn_congestion* congestion)
{
    uint64_t floor_bytes = (uint64_t)congestion->floor_rate * congestion->rtt_us / CONGESTION_SECOND_US;
    return nn_max_u64(floor_bytes, congestion->datagram_bytes / 8u + 1u);
}

static void congestion_set_window(nn_congestion* congestion, uint64_t bytes)
{
    bytes = nn_max_u64(bytes, nn_congestion_window_min(congestion));
    congestion->window_bytes = nn_min_u64(bytes, NN_CONGESTION_WINDOW_BYTES_MAX);
}

NN_PRIVATE void nn_congestion_init(nn_congestion* congestion, uint32_t limit_bytes_per_s, uint64_t now_us)
{
    memset(congestion, 0, sizeof *congestion);
    congestion->window_bytes = NN_CONGESTION_WINDOW_BYTES_FIRST;
    congestion->rtt_us = CONGESTION_RTT_FIRST_US;
    congestion->floor_rate = CONGESTION_FLOOR_RATE / 3;
    congestion->datagram_bytes = NECPNET_DATAGRAM_BYTES_DEFAULT;
    nn_limit_init(&congestion->limit, limit_bytes_per_s, now_us);
    congestion->pace_at_us = congestion->sent_at_us = now_us;
    congestion->round_at_us = congestion->judged_at_us = congestion->rate_slot_at_us = now_us;
    congestion->base_slot_at_us = congestion->base_seen_at_us = now_us;
    congestion->pace_bytes = (int64_t)congestion->datagram_bytes * CONGESTION_BURST_PACKETS;
    congestion->round_queue_us = UINT32_MAX;
    congestion->loss_least_ppm[0] = congestion->loss_least_ppm[1] = NN_CONGESTION_LOSS_PPM_MAX + 1;
    congestion->step_packets = 1;
    congestion->slow_start = true;
    for (unsigned i = 0; i < NN_CONGESTION_BASE_SLOTS; i++) nn_congestion_forget_base(congestion, i);
}

NN_PRIVATE void nn_congestion_set_datagram(nn_congestion* congestion, uint32_t datagram_bytes)
{
    NN_ASSERT(datagram_bytes > 0);
    congestion->datagram_bytes = congestion->limit.datagram_bytes = datagram_bytes;
    congestion_set_window(congestion, congestion->window_bytes);
}

/* ---- what happened ---- */

/* What was known of the path fades while nothing is sent (RFC 2861). */
static void congestion_after_idle(nn_congestion* congestion, uint64_t now_us)
{
    if (congestion->flight_bytes > 0) return;
    uint64_t idle_us = now_us > congestion->sent_at_us ? now_us - congestion->sent_at_us : 0;
    for (; idle_us >= NN_CONGESTION_IDLE_US; idle_us -= NN_CONGESTION_IDLE_US) {
        if (congestion->window_bytes <= NN_CONGESTION_WINDOW_BYTES_FIRST) return;
        uint64_t half = congestion->window_bytes / 2;
        congestion_set_window(congestion, nn_max_u64(half, NN_CONGESTION_WINDOW_BYTES_FIRST));
    }
}

NN_PRIVATE bool nn_congestion_is_used(const nn_congestion* congestion, uint64_t bytes)
{
    return (congestion->flight_bytes + bytes) * 2 >= congestion->window_bytes;
}

NN_PRIVATE void nn_congestion_on_sent(nn_congestion* congestion, uint32_t bytes, bool in_flight, uint64_t now_us)
{
    nn_congestion_fill_pace(congestion, now_us);
    nn_limit_sent(&congestion->limit, bytes, now_us);
    if (!in_flight) return; /* acknowledgements alone are not paced (RFC 9002 7.7): they must not hold up data */
    congestion_after_idle(congestion, now_us);
    congestion->sent_at_us = now_us;
    congestion->pace_bytes -= bytes;
    congestion->flight_bytes += bytes;
    if (nn_congestion_is_used(congestion, 0)) congestion->window_used = true;
}

NN_PRIVATE void nn_congestion_on_forgotten(nn_congestion* congestion, uint32_t bytes)
{
    NN_ASSERT(congestion->flight_bytes >= bytes);
    congestion->flight_bytes -= bytes;
}

NN_PRIVATE void nn_congestion_on_acked(nn_congestion* congestion, uint32_t bytes, uint64_t now_us)
{
    (void)now_us;
    nn_congestion_on_forgotten(congestion, bytes);
    congestion->acked_bytes += bytes;
    congestion->round_bytes += bytes;
    if (congestion->flight_bytes == 0) congestion->drain_until_us = 0; /* surely drained */
    if (congestion->slow_start && congestion->window_used) {
        congestion_set_window(congestion, congestion->window_bytes + bytes);
    }
}

NN_PRIVATE void nn_congestion_on_lost(nn_congestion* congestion, uint32_t bytes, uint64_t now_us)
{
    (void)now_us;
    nn_congestion_on_forgotten(congestion, bytes);
    congestion->lost_bytes += bytes;
}

NN_PRIVATE void nn_congestion_on_spurious(nn_congestion* congestion, uint32_t bytes)
{
    congestion->spurious_bytes = (uint32_t)nn_min_u64((uint64_t)congestion->spurious_bytes + bytes, INT32_MAX);
    congestion->acked_bytes += bytes;
    congestion->round_bytes += bytes;
}

/* At the end of a round. A path may lose packets at random: that much is the least share of 10 to 20 s. What is lost
 * beyond is lost to a buffer too short to show a queue, and the window shrinks; but when as much is lost after a quarter of
 * the window went, this is how the path is. Much loss shrinks it in any case. */
static void congestion_judge_loss(nn_congestion* congestion, uint64_t now_us)
{
    uint64_t all = congestion->acked_bytes + congestion->lost_bytes;
    if (all < CONGESTION_JUDGE_BYTES_MIN) {
        if (congestion->lost_bytes || now_us - congestion->judged_at_us < CONGESTION_LOSS_FADE_US) return;
        congestion->loss_ppm -= congestion->loss_ppm / 4; /* a slow flow forgets in time, too */
        congestion->judged_at_us = now_us;
        return;
    }
    congestion->judged_at_us = now_us;
    congestion->hold = false;
    uint64_t spurious = nn_min_u64(congestion->spurious_bytes, congestion->lost_bytes);
    congestion->spurious_bytes -= (uint32_t)spurious;
    uint32_t lost_ppm = (uint32_t)((congestion->lost_bytes - spurious) * 1000000u / all);
    congestion->acked_bytes = congestion->lost_bytes = 0;
    bool first = congestion->loss_least_ppm[1] > NN_CONGESTION_LOSS_PPM_MAX;
    congestion->loss_ppm = first ? lost_ppm : (uint32_t)((congestion->loss_ppm * UINT64_C(3) + lost_ppm) / 4);
    if (congestion->loss_ppm < congestion->loss_least_ppm[1]) congestion->loss_least_ppm[1] = congestion->loss_ppm;
    uint32_t random = congestion->loss_least_ppm[0] < congestion->loss_least_ppm[1] ? congestion->loss_least_ppm[0]
                                                                                    : congestion->loss_least_ppm[1];
    uint32_t most = (uint32_t)nn_min_u64(random + random / 2 + CONGESTION_LOSS_PPM_BEYOND, NN_CONGESTION_LOSS_PPM_MAX);
    if (congestion->loss_ppm <= most || lost_ppm <= most) {
        congestion->excess_window_bytes = 0;
        return;
    }
    if (!congestion->excess_window_bytes) congestion->excess_window_bytes = (uint32_t)congestion->window_bytes;
    if (congestion->window_bytes < congestion->excess_window_bytes * UINT64_C(3) / 4) {
        congestion->loss_least_ppm[0] = congestion->loss_least_ppm[1] = congestion->loss_ppm;
        congestion->excess_window_bytes = 0;
        return;
    }
    congestion->hold = true;
    congestion->slow_start = false;
    congestion_set_window(congestion, congestion->window_bytes - congestion->window_bytes * lost_ppm / 2000000u);
}

NN_PRIVATE void nn_congestion_on_persistent(nn_congestion* congestion, uint64_t now_us)
{
    congestion_set_window(congestion, 0);
    congestion->slow_start = true;
    congestion->above_samples = 0;
    congestion->acked_bytes = congestion->lost_bytes = congestion->round_bytes = 0;
    congestion->round_at_us = now_us;
    congestion->window_used = false;
}

/* ---- rounds ---- */

static uint64_t congestion_sqrt(uint64_t value)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit; bit >>= 1) {
        if ((root + bit) * (root + bit) <= value) root += bit;
    }
    return root;
}

/* target x sqrt(ten packets / window); short where packets get lost, but for a third of what a packet takes on the link. */
static uint64_t congestion_target_us(const nn_congestion* congestion)
{
    uint64_t packet_us =
        (uint64_t)congestion->datagram_bytes * CONGESTION_SECOND_US / (nn_congestion_rate_max(congestion) + 1);
    uint64_t least = nn_min_u64(NN_CONGESTION_QUEUE_LEAST_US + packet_us / 3, NN_CONGESTION_QUEUE_TARGET_US * 3 / 2);
    if (congestion->loss_ppm > NN_CONGESTION_LOSS_PPM_SOME) return least;
    uint64_t packets = (uint64_t)congestion->datagram_bytes * CONGESTION_TARGET_PACKETS;
    uint64_t scale = congestion_sqrt(packets * 65536u / congestion->window_bytes); /* 256: as it is */
    uint64_t target = NN_CONGESTION_QUEUE_TARGET_US * scale / 256;
    return nn_min_u64(nn_max_u64(target, least), CONGESTION_TARGET_US_MAX);
}

static uint64_t congestion_round_rate(const nn_congestion* congestion, uint64_t now_us)
{
    uint64_t elapsed = nn_max_u64(now_us - congestion->round_at_us, CONGESTION_ROUND_US_MIN);
    return congestion->round_bytes * CONGESTION_SECOND_US / elapsed;
}

static void congestion_slow_start_sample(nn_congestion* congestion, uint32_t queue, uint64_t now_us)
{
    if (!congestion->window_used || queue <= congestion_target_us(congestion) / 2) {
        congestion->above_samples = 0;
        return;
    }
    if (++congestion->above_samples < CONGESTION_ABOVE_SAMPLES) return;
    if (congestion->jitter_us && congestion->jitter_samples < CONGESTION_JITTER_SAMPLES / 2)
        return; /* too few to tell */
    uint64_t base = congestion->round_base_us;
    uint64_t window = congestion->window_bytes * base / (base + queue);
    uint64_t carried = congestion_round_rate(congestion, now_us) * base / CONGESTION_SECOND_US;
    congestion->above_samples = 0;
    congestion->slow_start = false;
    congestion->settle_rounds = 1;
    congestion->queue_us = queue;
    congestion_set_window(congestion, nn_min_u64(window, nn_max_u64(carried, congestion->datagram_bytes)));
}

/* The path itself is longer now: a queue that stays as it is while hardly anything is sent is none. */
static void congestion_watch_floor(nn_congestion* congestion)
{
    uint32_t queue = congestion->queue_us;
    uint32_t last = congestion->floor_queue_us;
    uint32_t off = queue > last ? queue - last : last - queue;
    if (congestion->floor_rounds == 0 || off > CONGESTION_NEAR_US) {
        congestion->floor_queue_us = queue;
        congestion->floor_rounds = 1;
        return;
    }
    if (++congestion->floor_rounds < CONGESTION_FLOOR_ROUNDS) return;
    for (unsigned i = 0; i < NN_CONGESTION_BASE_SLOTS; i++) nn_congestion_forget_base(congestion, i);
    congestion->floor_rounds = 0;
    congestion->slow_start = true;
    congestion->above_samples = 0;
}

static void congestion_shrink(nn_congestion* congestion, uint64_t base, uint64_t target)
{
    uint64_t window = congestion->window_bytes;
    uint64_t aim = window * (base + target) / (base + congestion->queue_us);
    congestion_set_window(congestion, nn_max_u64(aim, window / 2));
    congestion->step_packets = 1;
    congestion->settle_rounds = 1;
    if (congestion->window_bytes > nn_congestion_window_min(congestion)) {
        congestion->floor_rounds = 0;
    } else {
        congestion_watch_floor(congestion);
    }
}

static void congestion_grow(nn_congestion* congestion, uint64_t base, uint64_t target)
{
    uint64_t window = congestion->window_bytes;
    uint64_t step = (uint64_t)congestion->step_packets * congestion->datagram_bytes;
    bool few = window < (uint64_t)congestion->datagram_bytes * CONGESTION_FEW_PACKETS;
    step = nn_min_u64(step, few ? congestion->datagram_bytes / 12u : window / 8);
    congestion->floor_rounds = 0;
    if (congestion->queue_us > target / 4 + CONGESTION_ROUND_US_MIN / 2) {
        congestion->step_packets = 1;
        step = nn_min_u64(step, window * (target - congestion->queue_us) / (base + congestion->queue_us));
    } else if (congestion->step_packets < 1024) {
        congestion->step_packets = (uint16_t)(congestion->step_packets * 2);
    }
    congestion_set_window(congestion, window + step + 1);
}

static void congestion_steer(nn_congestion* congestion)
{
    uint64_t base = nn_max_u64(congestion->round_base_us, CONGESTION_RTT_MIN_US);
    uint64_t target = congestion_target_us(congestion);
    if (congestion->settle_rounds) {
        congestion->settle_rounds--;
    } else if (congestion->queue_us > target) {
        congestion_shrink(congestion, base, target);
    } else if (!congestion->hold) {
        congestion_grow(congestion, base, target);
    }
}

/* What is known of the link's rate: the best round of 10 to 20 s without a queue; and whether it carries the least
 * bandwidth. A slot in which the queue was long throughout and less came through says that it does not. */
static void congestion_see_rate(nn_congestion* congestion, uint64_t now_us)
{
    uint64_t rate = nn_min_u64(congestion_round_rate(congestion, now_us), UINT32_MAX);
    congestion->slot_bytes += congestion->round_bytes;
    if (!congestion->window_used) return;
    congestion->slot_rounds++;
    if (congestion->queue_us <= congestion_target_us(congestion)) {
        congestion->slot_rounds_free++;
        congestion->rate_max[1] = (uint32_t)nn_max_u64(rate, congestion->rate_max[1]);
        uint64_t share = nn_min_u64(rate * 3 / 8, CONGESTION_FLOOR_RATE);
        congestion->floor_rate = (uint32_t)nn_max_u64(share, congestion->floor_rate);
    }
    uint64_t elapsed = now_us - congestion->rate_slot_at_us;
    bool free = congestion->slot_rounds_free * 4 > congestion->slot_rounds;
    if (elapsed < (free ? CONGESTION_RATE_SLOT_US : CONGESTION_RATE_SLOT_FULL_US)) return;
    if (free) {
        congestion->rate_max[0] = congestion->rate_max[1];
        congestion->rate_max[1] = (uint32_t)rate;
    } else {
        uint64_t carried = congestion->slot_bytes * CONGESTION_SECOND_US / elapsed;
        if (carried * 100 < (uint64_t)congestion->floor_rate * 88) {
            congestion->floor_rate = (uint32_t)nn_max_u64(carried / 2, CONGESTION_RATE_LEAST);
            congestion->floor_again_us = now_us + CONGESTION_FLOOR_AGAIN_US;
        } else if (now_us >= congestion->floor_again_us) {
            uint64_t more = (uint64_t)congestion->floor_rate * 3 / 2;
            congestion->floor_rate = (uint32_t)nn_min_u64(more, CONGESTION_FLOOR_RATE);
        }
    }
    congestion->loss_least_ppm[0] = congestion->loss_least_ppm[1];
    congestion->loss_least_ppm[1] = congestion->loss_ppm;
    congestion->rate_slot_at_us = now_us;
    congestion->slot_bytes = 0;
    congestion->slot_rounds = congestion->slot_rounds_free = 0;
}

static void congestion_close_round(nn_congestion* congestion, uint64_t now_us)
{
    bool draining = now_us < congestion->drain_until_us;
    congestion->queue_us = congestion->round_queue_us;
    congestion->round_rtt_us = congestion->round_base_us + congestion->queue_us;
    congestion_see_rate(congestion, now_us);
    congestion_judge_loss(congestion, now_us);
    if (!congestion->slow_start && congestion->window_used && !draining) {
        congestion_steer(congestion);
        if (now_us - congestion->base_seen_at_us >=
            nn_max_u64(NN_CONGESTION_DRAIN_US, (uint64_t)congestion->rtt_us * 40)) {
            congestion->drain_until_us = now_us + (uint64_t)congestion->rtt_us * 2;
            congestion->base_seen_at_us = now_us;
        }
    }
    congestion->round_at_us = now_us;
    congestion->round_bytes = 0;
    congestion->round_queue_us = UINT32_MAX;
    congestion->round_samples = 0;
    congestion->window_used = nn_congestion_is_used(congestion, 0);
}

NN_PRIVATE void nn_congestion_on_rtt(nn_congestion* congestion, uint64_t rtt_us, uint64_t smoothed_us, uint32_t bytes,
                                     uint64_t now_us)
{
    uint32_t rtt = (uint32_t)nn_min_u64(rtt_us, UINT32_MAX - 1);
    congestion->rtt_us = (uint32_t)nn_min_u64(smoothed_us, UINT32_MAX);
    uint32_t queue = nn_congestion_see(congestion, rtt, bytes, now_us);
    if (congestion->slow_start) congestion_slow_start_sample(congestion, queue, now_us);
    uint64_t round_us = nn_max_u64(nn_congestion_rtt_us(congestion), CONGESTION_ROUND_US_MIN);
    bool few = congestion->jitter_us && congestion->round_samples < CONGESTION_ROUND_SAMPLES;
    if (now_us - congestion->round_at_us >= round_us * (few ? CONGESTION_ROUND_RTTS : 1)) {
        congestion_close_round(congestion, now_us);
    }
}
