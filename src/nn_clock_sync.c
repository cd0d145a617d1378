/* nn_clock_sync - the server's clock as seen from a client.
 *
 * offset = ((received - sent) + (replied - now)) / 2, round trip = (now - sent) - hold (RFC 5905 8). The sample with the
 * least round trip was delayed least by queues, so its two ways are the most alike.
 */
#include "nn_clock_sync.h"

#define CLOCK_RTT_US_MAX 30000000u
#define CLOCK_AGE_PENALTY_SHIFT \
    3 /* a sample counts as worse by 1 us for 8 ms of age: 125 us a second, as clocks drift */

NN_PRIVATE void nn_clock_sync_init(nn_clock_sync* clock)
{
    memset(clock, 0, sizeof *clock);
}

NN_PRIVATE bool nn_clock_sync_is_ready(const nn_clock_sync* clock)
{
    return clock->count != 0;
}

static const nn_clock_sample* clock_best(const nn_clock_sync* clock, uint64_t now_us)
{
    const nn_clock_sample* best = NULL;
    uint64_t best_cost = UINT64_MAX;
    uint32_t kept = clock->count < NN_CLOCK_SYNC_SAMPLES ? clock->count : NN_CLOCK_SYNC_SAMPLES;
    for (uint32_t i = 0; i < kept; i++) {
        const nn_clock_sample* sample = &clock->samples[i];
        uint32_t age_ms = (uint32_t)(now_us / 1000) - sample->at_ms;
        uint64_t cost = (uint64_t)sample->rtt_us + (age_ms >> CLOCK_AGE_PENALTY_SHIFT);
        if (cost < best_cost) {
            best_cost = cost;
            best = sample;
        }
    }
    return best;
}

static uint64_t clock_magnitude(int64_t value)
{
    return value < 0 ? (uint64_t)-value : (uint64_t)value;
}

NN_PRIVATE int64_t nn_clock_sync_offset_us(const nn_clock_sync* clock, uint64_t now_us)
{
    uint64_t elapsed = now_us > clock->slewed_at_us ? now_us - clock->slewed_at_us : 0;
    int64_t left = clock->target_us - clock->offset_us;
    uint64_t step = elapsed / (1000000u / NN_CLOCK_SYNC_SLEW_PPM);
    if (step >= clock_magnitude(left)) return clock->target_us;
    return left < 0 ? clock->offset_us - (int64_t)step : clock->offset_us + (int64_t)step;
}

NN_PRIVATE bool nn_clock_sync_add(nn_clock_sync* clock, uint64_t sent_at_us, uint64_t received_at_us, uint64_t hold_us,
                                  uint64_t now_us)
{
    if (now_us < sent_at_us || hold_us > now_us - sent_at_us) return false;
    uint64_t rtt = now_us - sent_at_us - hold_us;
    if (rtt > CLOCK_RTT_US_MAX || received_at_us > INT64_MAX || now_us > INT64_MAX) return false;
    nn_clock_sample* sample = &clock->samples[clock->count % NN_CLOCK_SYNC_SAMPLES];
    sample->offset_us = (int64_t)received_at_us - (int64_t)sent_at_us - (int64_t)(rtt / 2);
    sample->at_ms = (uint32_t)(now_us / 1000);
    sample->rtt_us = (uint32_t)rtt;
    int64_t offset = nn_clock_sync_offset_us(clock, now_us);
    bool first = clock->count == 0;
    /* The count matters only below the number of samples and modulo it. */
    clock->count = clock->count + 1 < 2 * NN_CLOCK_SYNC_SAMPLES ? clock->count + 1 : NN_CLOCK_SYNC_SAMPLES;
    const nn_clock_sample* best = clock_best(clock, now_us);
    clock->target_us = best->offset_us;
    clock->best_rtt_us = best->rtt_us;
    clock->slewed_at_us = now_us;
    bool step = first || clock_magnitude(clock->target_us - offset) > NN_CLOCK_SYNC_STEP_US;
    clock->offset_us = step ? clock->target_us : offset;
    return true;
}

NN_PRIVATE uint64_t nn_clock_sync_server_us(const nn_clock_sync* clock, uint64_t now_us)
{
    int64_t server = (int64_t)now_us + nn_clock_sync_offset_us(clock, now_us);
    return server < 0 ? 0 : (uint64_t)server;
}

NN_PRIVATE uint32_t nn_clock_sync_error_us(const nn_clock_sync* clock, uint64_t now_us)
{
    if (clock->count == 0) return UINT32_MAX;
    uint64_t age = now_us > clock->slewed_at_us ? now_us - clock->slewed_at_us : 0;
    uint64_t error = clock->best_rtt_us / 2 + age * NN_CLOCK_SYNC_DRIFT_PPM / 1000000u;
    error += clock_magnitude(clock->target_us - nn_clock_sync_offset_us(clock, now_us));
    return (uint32_t)nn_min_u64(error, UINT32_MAX - 1);
}

NN_PRIVATE uint64_t nn_clock_sync_interval_us(const nn_clock_sync* clock)
{
    return clock->count < NN_CLOCK_SYNC_SAMPLES ? NN_CLOCK_SYNC_FAST_US : NN_CLOCK_SYNC_SLOW_US;
}
