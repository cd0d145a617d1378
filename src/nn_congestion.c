/* nn_congestion - how much may leave.
 *
 * In each round trip the standing queue q is the least round trip of the round less the base. A window of
 * rate x (base + target) would hold q at the target, and rate = window / (base + q), so the window is moved half way to
 * window x (base + target) / (base + q) (the idea of FAST TCP: Wei, Jin, Low, Hegde 2006; target in time as in LEDBAT, RFC
 * 6817). Slow start ends when several samples in a row show a queue (as HyStart does, Ha and Rhee 2011).
 */
#include "nn_congestion.h"

#define CONGESTION_RTT_FIRST_US 100000u
#define CONGESTION_RTT_MIN_US 20u
#define CONGESTION_ROUND_US_MIN 1000u
#define CONGESTION_NEAR_US 2000u /* a round trip within this of the base shows the base */
#define CONGESTION_ABOVE_SAMPLES 8u
#define CONGESTION_FLOOR_ROUNDS 8u
#define CONGESTION_LOSS_BYTES_MIN 38400u /* judge loss over at least 32 packets */
#define CONGESTION_LOSS_PPM_SOME 20000u
#define CONGESTION_KEEP_PACKETS 2u
#define CONGESTION_BURST_PACKETS 10u /* RFC 9002 7.7 */
#define CONGESTION_LIMIT_BURST_US 50000u
#define CONGESTION_RATE_MAX UINT64_C(8000000000)
#define CONGESTION_SECOND_US 1000000u

static uint32_t congestion_base_us(const nn_congestion* congestion)
{
    uint32_t base = UINT32_MAX;
    for (size_t i = 0; i < NN_CONGESTION_BASE_SLOTS; i++) {
        if (congestion->base_us[i] < base) base = congestion->base_us[i];
    }
    return base == UINT32_MAX ? CONGESTION_RTT_FIRST_US : base;
}

static uint64_t congestion_window_min(const nn_congestion* congestion)
{
    uint64_t floor_bytes = (uint64_t)congestion->bandwidth_min * congestion_base_us(congestion) / CONGESTION_SECOND_US;
    return nn_max_u64(floor_bytes, (uint64_t)congestion->datagram_bytes * NN_CONGESTION_WINDOW_PACKETS_MIN);
}

static void congestion_set_window(nn_congestion* congestion, uint64_t bytes)
{
    bytes = nn_max_u64(bytes, congestion_window_min(congestion));
    congestion->window_bytes = nn_min_u64(bytes, NN_CONGESTION_WINDOW_BYTES_MAX);
}

/* The window that holds now: less of it while the queue drains. */
static uint64_t congestion_window_now(const nn_congestion* congestion, uint64_t now_us)
{
    if (now_us >= congestion->drain_until_us) return congestion->window_bytes;
    uint64_t base = congestion_base_us(congestion);
    uint64_t drained = congestion->window_bytes * base / (base + congestion->queue_us) / 2;
    return nn_max_u64(drained, congestion_window_min(congestion));
}

NN_PRIVATE void nn_congestion_init(nn_congestion* congestion, uint32_t limit_bytes_per_s, uint64_t now_us)
{
    memset(congestion, 0, sizeof *congestion);
    congestion->window_bytes = NN_CONGESTION_WINDOW_BYTES_FIRST;
    congestion->rtt_us = CONGESTION_RTT_FIRST_US;
    congestion->bandwidth_min = NN_CONGESTION_BANDWIDTH_MIN;
    congestion->datagram_bytes = NECPNET_DATAGRAM_BYTES_DEFAULT;
    congestion->limit_bytes_per_s = limit_bytes_per_s;
    congestion->pace_at_us = congestion->limit_at_us = now_us;
    congestion->round_at_us = congestion->judged_at_us = now_us;
    congestion->base_slot_at_us = congestion->base_seen_at_us = now_us;
    congestion->pace_bytes = (int64_t)congestion->datagram_bytes * CONGESTION_BURST_PACKETS;
    congestion->limit_bytes = congestion->datagram_bytes;
    congestion->round_rtt_us = UINT32_MAX;
    congestion->slow_start = true;
    for (size_t i = 0; i < NN_CONGESTION_BASE_SLOTS; i++) congestion->base_us[i] = UINT32_MAX;
}

NN_PRIVATE void nn_congestion_set_limit(nn_congestion* congestion, uint32_t limit_bytes_per_s)
{
    congestion->limit_bytes_per_s = limit_bytes_per_s;
    if (congestion->limit_bytes > congestion->datagram_bytes) congestion->limit_bytes = congestion->datagram_bytes;
}

NN_PRIVATE void nn_congestion_set_datagram(nn_congestion* congestion, uint32_t datagram_bytes)
{
    NN_ASSERT(datagram_bytes > 0);
    congestion->datagram_bytes = datagram_bytes;
    congestion_set_window(congestion, congestion->window_bytes);
}

/* ---- pace and limit ---- */

NN_PRIVATE uint64_t nn_congestion_rate(const nn_congestion* congestion)
{
    uint64_t rtt = nn_max_u64(congestion->rtt_us, CONGESTION_RTT_MIN_US);
    uint64_t rate = congestion->window_bytes * CONGESTION_SECOND_US / rtt;
    rate = congestion->slow_start ? rate * 2 : rate + rate / 4;
    rate = nn_max_u64(rate, congestion->bandwidth_min);
    return nn_min_u64(rate, CONGESTION_RATE_MAX);
}

/* What a bucket earned since *at_us; time too short for a whole byte stays for later. */
static int64_t congestion_earned(uint64_t* at_us, uint64_t rate, uint64_t now_us)
{
    if (now_us <= *at_us) return 0;
    uint64_t elapsed = now_us - *at_us;
    if (elapsed >= CONGESTION_SECOND_US) {
        elapsed = CONGESTION_SECOND_US;
        *at_us = now_us - elapsed;
    }
    uint64_t earned = rate * elapsed / CONGESTION_SECOND_US;
    if (earned) *at_us += nn_min_u64(elapsed, (earned * CONGESTION_SECOND_US + rate - 1) / rate);
    return (int64_t)earned;
}

/* The pacer keeps a few packets for later. More, up to NN_CONGESTION_BURST_US of them, come only at once, after a pause
 * between two calls (a game that updates once a frame), and run off again if they are not used: a sender that is called
 * often but held by its window must not save up a burst. */
static void congestion_fill_pace(nn_congestion* congestion, uint64_t now_us)
{
    if (now_us <= congestion->pace_at_us) return;
    uint64_t rate = nn_congestion_rate(congestion);
    int64_t keep = (int64_t)congestion->datagram_bytes * CONGESTION_KEEP_PACKETS;
    uint64_t once = nn_max_u64(rate * NN_CONGESTION_BURST_US / CONGESTION_SECOND_US,
                               (uint64_t)congestion->datagram_bytes * CONGESTION_BURST_PACKETS);
    once = nn_min_u64(once, nn_max_u64(congestion->window_bytes, congestion->datagram_bytes));
    int64_t earned = congestion_earned(&congestion->pace_at_us, rate, now_us);
    if (congestion->pace_bytes <= keep) {
        congestion->pace_bytes += earned;
        if (congestion->pace_bytes > (int64_t)once) congestion->pace_bytes = (int64_t)once;
    } else {
        congestion->pace_bytes = congestion->pace_bytes - earned > keep ? congestion->pace_bytes - earned : keep;
    }
}

static void congestion_refill(nn_congestion* congestion, uint64_t now_us)
{
    congestion_fill_pace(congestion, now_us);
    if (congestion->limit_bytes_per_s == NN_CONGESTION_UNLIMITED) return;
    uint64_t limit = nn_max_u64(congestion->limit_bytes_per_s, 1);
    uint64_t most = nn_max_u64(limit * CONGESTION_LIMIT_BURST_US / CONGESTION_SECOND_US, congestion->datagram_bytes);
    congestion->limit_bytes += congestion_earned(&congestion->limit_at_us, limit, now_us);
    if (congestion->limit_bytes > (int64_t)most) congestion->limit_bytes = (int64_t)most;
}

NN_PRIVATE size_t nn_congestion_budget(nn_congestion* congestion, uint64_t now_us)
{
    congestion_refill(congestion, now_us);
    int64_t budget = (int64_t)congestion_window_now(congestion, now_us) - (int64_t)congestion->flight_bytes;
    if (congestion->pace_bytes < budget) budget = congestion->pace_bytes;
    if (congestion->limit_bytes_per_s != NN_CONGESTION_UNLIMITED && congestion->limit_bytes < budget) {
        budget = congestion->limit_bytes;
    }
    if (budget <= 0) return 0;
    return nn_max_size((size_t)budget, congestion->datagram_bytes);
}

/* When a bucket holds a byte again. */
static uint64_t congestion_bucket_deadline(int64_t bytes, uint64_t at_us, uint64_t rate)
{
    if (bytes > 0) return 0;
    return at_us + ((uint64_t)(1 - bytes) * CONGESTION_SECOND_US + rate - 1) / rate;
}

NN_PRIVATE uint64_t nn_congestion_deadline_us(nn_congestion* congestion, uint64_t now_us)
{
    congestion_refill(congestion, now_us);
    uint64_t deadline =
        congestion_bucket_deadline(congestion->pace_bytes, congestion->pace_at_us, nn_congestion_rate(congestion));
    if (congestion->limit_bytes_per_s != NN_CONGESTION_UNLIMITED) {
        uint64_t limit = congestion_bucket_deadline(congestion->limit_bytes, congestion->limit_at_us,
                                                    nn_max_u64(congestion->limit_bytes_per_s, 1));
        deadline = nn_max_u64(deadline, limit);
    }
    if (congestion->flight_bytes >= congestion->window_bytes) return NN_NEVER;
    if (congestion->flight_bytes >= congestion_window_now(congestion, now_us)) {
        deadline = nn_max_u64(deadline, congestion->drain_until_us);
    }
    return deadline;
}

/* ---- what happened ---- */

NN_PRIVATE void nn_congestion_on_sent(nn_congestion* congestion, uint32_t bytes, bool in_flight, uint64_t now_us)
{
    congestion_refill(congestion, now_us);
    if (congestion->limit_bytes_per_s != NN_CONGESTION_UNLIMITED) {
        int64_t debt_max = (int64_t)nn_max_u64(congestion->limit_bytes_per_s / 4, congestion->datagram_bytes);
        congestion->limit_bytes -= bytes;
        if (congestion->limit_bytes < -debt_max) congestion->limit_bytes = -debt_max;
    }
    if (!in_flight) return; /* acknowledgements alone are not paced (RFC 9002 7.7): they must not hold up data */
    congestion->pace_bytes -= bytes;
    congestion->flight_bytes += bytes;
    if (congestion->flight_bytes * 2 >= congestion->window_bytes) congestion->window_used = true;
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
    if (congestion->slow_start && congestion->window_used) {
        congestion_set_window(congestion, congestion->window_bytes + bytes);
    }
}

/* Much loss shrinks the window by half its share. Less than that may be a radio link's, or that of a buffer too short to
 * show a queue: then a larger window brings nothing through, and the window shrinks by a quarter of the share. */
static void congestion_judge_loss(nn_congestion* congestion, uint64_t now_us)
{
    uint64_t all = congestion->acked_bytes + congestion->lost_bytes;
    uint64_t elapsed = now_us - congestion->judged_at_us;
    if (all < CONGESTION_LOSS_BYTES_MIN || elapsed == 0) return;
    uint64_t lost_ppm = congestion->lost_bytes * 1000000u / all;
    uint64_t rate = congestion->acked_bytes * CONGESTION_SECOND_US / elapsed;
    bool in_vain = rate < congestion->judged_rate + congestion->judged_rate / 32;
    congestion->judged_rate = rate;
    congestion->judged_at_us = now_us;
    congestion->acked_bytes = congestion->lost_bytes = 0;
    if (lost_ppm <= CONGESTION_LOSS_PPM_SOME) return;
    if (lost_ppm <= NN_CONGESTION_LOSS_PPM_MAX) {
        if (!in_vain) return;
        lost_ppm /= 2;
    }
    congestion->hold = true;
    congestion->slow_start = false;
    congestion_set_window(congestion, congestion->window_bytes - congestion->window_bytes * lost_ppm / 2000000u);
}

NN_PRIVATE void nn_congestion_on_lost(nn_congestion* congestion, uint32_t bytes, uint64_t now_us)
{
    (void)now_us;
    nn_congestion_on_forgotten(congestion, bytes);
    congestion->lost_bytes += bytes;
}

NN_PRIVATE void nn_congestion_on_persistent(nn_congestion* congestion, uint64_t now_us)
{
    congestion_set_window(congestion, 0);
    congestion->slow_start = true;
    congestion->above_samples = 0;
    congestion->acked_bytes = congestion->lost_bytes = 0;
    congestion->round_at_us = now_us;
    congestion->window_used = false;
}

/* ---- rounds ---- */

static void congestion_see_base(nn_congestion* congestion, uint32_t rtt, uint64_t now_us)
{
    if (now_us - congestion->base_slot_at_us >= NN_CONGESTION_BASE_SLOT_US) {
        congestion->base_slot = (uint8_t)((congestion->base_slot + 1u) % NN_CONGESTION_BASE_SLOTS);
        congestion->base_us[congestion->base_slot] = UINT32_MAX;
        congestion->base_slot_at_us = now_us;
    }
    if (rtt < congestion->base_us[congestion->base_slot]) congestion->base_us[congestion->base_slot] = rtt;
    if (rtt <= congestion_base_us(congestion) + CONGESTION_NEAR_US) congestion->base_seen_at_us = now_us;
}

/* A slow link holds each packet for long itself: that is no queue. */
static uint64_t congestion_target_us(const nn_congestion* congestion)
{
    uint64_t rtt = nn_max_u64(congestion->rtt_us, CONGESTION_RTT_MIN_US);
    uint64_t packet_us = (uint64_t)congestion->datagram_bytes * rtt / congestion->window_bytes;
    return NN_CONGESTION_QUEUE_TARGET_US + nn_min_u64(packet_us, NN_CONGESTION_QUEUE_TARGET_US) / 2;
}

/* window x (base + target) / (base + queue). */
static uint64_t congestion_aim(const nn_congestion* congestion, uint64_t base, uint64_t queue, uint64_t target)
{
    return congestion->window_bytes * (base + target) / (base + queue);
}

static void congestion_slow_start_sample(nn_congestion* congestion, uint32_t rtt)
{
    uint32_t base = congestion_base_us(congestion);
    uint32_t queue = rtt - base;
    uint64_t target = congestion_target_us(congestion);
    if (!congestion->window_used || queue <= target / 2) {
        congestion->above_samples = 0;
        return;
    }
    if (++congestion->above_samples < CONGESTION_ABOVE_SAMPLES) return;
    congestion->above_samples = 0;
    congestion->slow_start = false;
    congestion->queue_us = queue;
    congestion_set_window(congestion, congestion_aim(congestion, base, queue, target / 2));
}

/* The path itself is longer now: what stands there with the least window is the base. */
static void congestion_take_base(nn_congestion* congestion)
{
    for (size_t i = 0; i < NN_CONGESTION_BASE_SLOTS; i++) congestion->base_us[i] = congestion->round_rtt_us;
    congestion->floor_rounds = 0;
    congestion->slow_start = true;
    congestion->above_samples = 0;
}

static void congestion_steer(nn_congestion* congestion)
{
    uint64_t base = congestion_base_us(congestion);
    uint64_t target = congestion_target_us(congestion);
    uint64_t window = congestion->window_bytes;
    uint64_t aim = congestion_aim(congestion, base, congestion->queue_us, target);
    aim = nn_min_u64(aim, congestion->hold ? window : window + window / 2);
    congestion_set_window(congestion, (window + aim + 1) / 2);
    if (congestion->queue_us <= target || congestion->window_bytes > congestion_window_min(congestion)) {
        congestion->floor_rounds = 0;
    } else if (++congestion->floor_rounds >= CONGESTION_FLOOR_ROUNDS) {
        congestion_take_base(congestion);
    }
}

static void congestion_close_round(nn_congestion* congestion, uint64_t now_us)
{
    uint32_t base = congestion_base_us(congestion);
    bool draining = now_us < congestion->drain_until_us;
    congestion->queue_us = congestion->round_rtt_us > base ? congestion->round_rtt_us - base : 0;
    congestion->hold = false;
    congestion_judge_loss(congestion, now_us);
    if (!congestion->slow_start && congestion->window_used && !draining) {
        congestion_steer(congestion);
        if (now_us - congestion->base_seen_at_us >= NN_CONGESTION_DRAIN_US) {
            congestion->drain_until_us = now_us + congestion->rtt_us * 2;
            congestion->base_seen_at_us = now_us;
        }
    }
    congestion->round_at_us = now_us;
    congestion->round_rtt_us = UINT32_MAX;
    congestion->window_used = congestion->flight_bytes * 2 >= congestion->window_bytes;
}

NN_PRIVATE void nn_congestion_on_rtt(nn_congestion* congestion, uint64_t rtt_us, uint64_t smoothed_us, uint64_t now_us)
{
    uint32_t rtt = (uint32_t)nn_min_u64(rtt_us, UINT32_MAX - 1);
    congestion->rtt_us = smoothed_us;
    congestion_see_base(congestion, rtt, now_us);
    if (rtt < congestion->round_rtt_us) congestion->round_rtt_us = rtt;
    if (congestion->slow_start) congestion_slow_start_sample(congestion, rtt);
    if (now_us - congestion->round_at_us >= nn_max_u64(smoothed_us, CONGESTION_ROUND_US_MIN)) {
        congestion_close_round(congestion, now_us);
    }
}
