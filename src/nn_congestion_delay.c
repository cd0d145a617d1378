/* nn_congestion_delay - what samples of the round trip show: the base, the queue upon it, and jitter, which is none. */
#include "nn_congestion.h"

#define CONGESTION_NEAR_US 1500u /* a queue within this shows the base */
#define CONGESTION_SECOND_US 1000000u
#define CONGESTION_JITTER_NONE_US 1000u
#define CONGESTION_JITTER_SLOW_US 25000u /* packets that take longer are seen by themselves */
#define CONGESTION_JITTER_SAMPLES 16u
#define CONGESTION_JITTER_FADE 8u
#define CONGESTION_JITTER_TIMES 8u
#define CONGESTION_JITTER_BETWEEN_US 16000u

NN_PRIVATE uint64_t nn_congestion_rate_max(const nn_congestion* congestion)
{
    return nn_max_u64(congestion->rate_max[0], congestion->rate_max[1]);
}

/* ---- jitter -- */

/* How far a sample stands out between its two neighbours, as a peak or a hollow. A queue rises and falls over many samples
 * and shows next to nothing here, whoever fills it; but for the packets that stand between two of ours. */
static uint32_t congestion_turn(const nn_congestion* congestion, uint32_t queue)
{
    uint32_t before = congestion->seen_us[1];
    uint32_t middle = congestion->seen_us[0];
    if (middle > before && middle > queue) return middle - (before > queue ? before : queue);
    if (middle < before && middle < queue) return (before < queue ? before : queue) - middle;
    return 0;
}

static void congestion_see_jitter(nn_congestion* congestion, uint32_t queue)
{
    uint64_t packet_us =
        (uint64_t)congestion->datagram_bytes * CONGESTION_SECOND_US / (nn_congestion_rate_max(congestion) + 1);
    uint64_t between_us = packet_us * 2;
    if (packet_us < CONGESTION_JITTER_SLOW_US || !nn_congestion_rate_max(congestion)) {
        between_us = nn_min_u64(between_us, CONGESTION_JITTER_BETWEEN_US);
    }
    uint64_t usual = CONGESTION_JITTER_NONE_US + between_us;
    uint64_t turn = congestion->jitter_samples >= 2 ? congestion_turn(congestion, queue) : 0;
    turn = turn > usual ? turn - usual : 0;
    if (congestion->jitter_samples < CONGESTION_JITTER_SAMPLES) congestion->jitter_samples++;
    uint64_t samples = congestion->jitter_samples;
    if (turn < congestion->jitter_us) samples *= CONGESTION_JITTER_FADE;
    congestion->jitter_us = (uint32_t)((congestion->jitter_us * (samples - 1) + turn) / samples);
    congestion->seen_us[1] = congestion->seen_us[0];
    congestion->seen_us[0] = queue;
}

/* Of what a sample shows above the base so much is jitter: where packets keep their order one that is late holds up those
 * behind it, so that the more are sent the fewer come as fast as the base. */
static uint32_t congestion_jitter_of(const nn_congestion* congestion, uint32_t queue)
{
    uint64_t jitter = (uint64_t)congestion->jitter_us * CONGESTION_JITTER_TIMES;
    return (uint32_t)nn_min_u64(queue, jitter);
}

/* ---- the base -- */

/* Of packets of this size: the least seen of them and of larger ones. UINT32_MAX: none. */
NN_PRIVATE uint32_t nn_congestion_base(const nn_congestion* congestion, unsigned size)
{
    uint32_t base = UINT32_MAX;
    for (unsigned i = 0; i < NN_CONGESTION_BASE_SLOTS; i++) {
        for (unsigned j = size; j < NN_CONGESTION_BASE_SIZES; j++) {
            if (congestion->base_us[i][j] < base) base = congestion->base_us[i][j];
        }
    }
    return base;
}

static unsigned congestion_size_of(const nn_congestion* congestion, uint32_t bytes)
{
    unsigned size = (unsigned)((uint64_t)bytes * NN_CONGESTION_BASE_SIZES / (congestion->datagram_bytes + 1u));
    return size < NN_CONGESTION_BASE_SIZES ? size : NN_CONGESTION_BASE_SIZES - 1;
}

NN_PRIVATE void nn_congestion_forget_base(nn_congestion* congestion, unsigned slot)
{
    for (unsigned j = 0; j < NN_CONGESTION_BASE_SIZES; j++) congestion->base_us[slot][j] = UINT32_MAX;
}

/* Take a sample in; returns the queue that it shows. */
NN_PRIVATE uint32_t nn_congestion_see(nn_congestion* congestion, uint32_t rtt, uint32_t bytes, uint64_t now_us)
{
    if (now_us - congestion->base_slot_at_us >= NN_CONGESTION_BASE_SLOT_US) {
        congestion->base_slot = (uint8_t)((congestion->base_slot + 1u) % NN_CONGESTION_BASE_SLOTS);
        congestion->base_slot_at_us = now_us;
        nn_congestion_forget_base(congestion, congestion->base_slot);
    }
    unsigned size = congestion_size_of(congestion, bytes);
    uint32_t known = nn_congestion_base(congestion, size);
    if (known != UINT32_MAX && rtt + CONGESTION_NEAR_US < known) congestion->base_seen_at_us = now_us;
    uint32_t* least = &congestion->base_us[congestion->base_slot][size];
    if (rtt < *least) *least = rtt;
    uint32_t base = nn_congestion_base(congestion, size);
    uint32_t queue = rtt - base;
    congestion_see_jitter(congestion, queue);
    uint32_t jitter = congestion_jitter_of(congestion, queue);
    queue -= jitter;
    base += jitter;
    if (congestion->round_samples < UINT8_MAX) congestion->round_samples++;
    if (queue < congestion->round_queue_us) {
        congestion->round_queue_us = queue;
        congestion->round_base_us = base;
    }
    return queue;
}
