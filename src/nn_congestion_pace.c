/* nn_congestion_pace - what the window lets go now: spread over the round trip, within the bandwidth limit. */
#include "nn_congestion.h"

#define CONGESTION_RTT_MIN_US 20u
#define CONGESTION_BURST_PACKETS 10u /* RFC 9002 7.7 */
#define CONGESTION_KEEP_PACKETS 2u
#define CONGESTION_FEW_PACKETS 4u
#define CONGESTION_SMALL_PACKETS 8u /* windows below are paced exactly */
#define CONGESTION_RATE_MAX UINT64_C(8000000000)
#define CONGESTION_SECOND_US 1000000u

/* The window that holds now: less of it while the queue drains; of a few packets none is left. */
static uint64_t congestion_window_now(const nn_congestion* congestion, uint64_t now_us)
{
    uint64_t window = congestion->window_bytes;
    if (now_us >= congestion->drain_until_us) return window;
    if (window < (uint64_t)congestion->datagram_bytes * CONGESTION_FEW_PACKETS) return 1;
    return nn_max_u64(window / 2, nn_congestion_window_min(congestion));
}

/* A window of few packets leaves it to the pacer when the next one goes: one may overlap, and a lost one not stop all. */
static bool congestion_is_paced(const nn_congestion* congestion, uint64_t now_us)
{
    return now_us >= congestion->drain_until_us && !congestion->slow_start &&
           congestion->window_bytes < (uint64_t)congestion->datagram_bytes * CONGESTION_FEW_PACKETS;
}

/* The smoothed one is slow to forget a queue that has gone. */
NN_PRIVATE uint64_t nn_congestion_rtt_us(const nn_congestion* congestion)
{
    uint64_t rtt = congestion->rtt_us;
    if (congestion->round_rtt_us) rtt = nn_min_u64(rtt, congestion->round_rtt_us);
    return nn_max_u64(rtt, CONGESTION_RTT_MIN_US);
}

NN_PRIVATE uint64_t nn_congestion_rate(const nn_congestion* congestion)
{
    uint64_t rtt = nn_congestion_rtt_us(congestion);
    uint64_t rate = congestion->window_bytes * CONGESTION_SECOND_US / rtt;
    bool small = congestion->window_bytes < (uint64_t)congestion->datagram_bytes * CONGESTION_SMALL_PACKETS;
    if (congestion->slow_start) {
        rate *= 2;
    } else if (!small) {
        rate += rate / 4;
    }
    rate = nn_max_u64(rate, congestion->floor_rate);
    return nn_min_u64(rate, CONGESTION_RATE_MAX);
}

/* The pacer keeps a few packets for later. More, up to NN_CONGESTION_BURST_US of them, come only at once, after a pause
 * between two calls (a game that updates once a frame), and run off again if they are not used: a sender that is called
 * often but held by its window must not save up a burst. */
NN_PRIVATE void nn_congestion_fill_pace(nn_congestion* congestion, uint64_t now_us)
{
    if (now_us <= congestion->pace_at_us) return;
    uint64_t rate = nn_congestion_rate(congestion);
    uint64_t packet = congestion->datagram_bytes;
    uint64_t window = congestion->window_bytes;
    int64_t keep = (int64_t)nn_min_u64(packet * CONGESTION_KEEP_PACKETS, window / 4 + 1);
    uint64_t once = nn_max_u64(rate * NN_CONGESTION_BURST_US / CONGESTION_SECOND_US,
                               nn_min_u64(packet * CONGESTION_BURST_PACKETS, window / 2 + 1));
    once = nn_min_u64(once, nn_max_u64(window, packet));
    int64_t earned = nn_bucket_earned(&congestion->pace_at_us, rate, now_us);
    if (congestion->pace_bytes <= keep) {
        congestion->pace_bytes += earned;
        if (congestion->pace_bytes > (int64_t)once) congestion->pace_bytes = (int64_t)once;
    } else {
        congestion->pace_bytes = congestion->pace_bytes - earned > keep ? congestion->pace_bytes - earned : keep;
    }
}

static void congestion_refill(nn_congestion* congestion, uint64_t now_us)
{
    nn_congestion_fill_pace(congestion, now_us);
    nn_limit_refill(&congestion->limit, now_us);
}

NN_PRIVATE size_t nn_congestion_budget(nn_congestion* congestion, uint64_t now_us)
{
    congestion_refill(congestion, now_us);
    uint64_t room = congestion_window_now(congestion, now_us);
    if (congestion_is_paced(congestion, now_us)) room += congestion->datagram_bytes;
    int64_t budget = (int64_t)room - (int64_t)congestion->flight_bytes;
    if (congestion->pace_bytes < budget) budget = congestion->pace_bytes;
    if (congestion->limit.bytes_per_s != NN_CONGESTION_UNLIMITED && congestion->limit.bytes < budget) {
        budget = congestion->limit.bytes;
    }
    if (budget <= 0) return 0;
    return nn_max_size((size_t)budget, congestion->datagram_bytes);
}

NN_PRIVATE uint64_t nn_congestion_deadline_us(nn_congestion* congestion, uint64_t now_us)
{
    congestion_refill(congestion, now_us);
    uint64_t deadline =
        nn_bucket_deadline_us(congestion->pace_bytes, congestion->pace_at_us, nn_congestion_rate(congestion));
    deadline = nn_max_u64(deadline, nn_limit_deadline_us(&congestion->limit));
    uint64_t paced = congestion_is_paced(congestion, now_us) ? congestion->datagram_bytes : 0;
    if (congestion->flight_bytes >= congestion->window_bytes + paced) return NN_NEVER;
    if (congestion->flight_bytes >= congestion_window_now(congestion, now_us) + paced) {
        deadline = nn_max_u64(deadline, congestion->drain_until_us);
    }
    return deadline;
}
