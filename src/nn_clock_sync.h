/* nn_clock_sync - the server's clock as seen from a client (NTP, RFC 5905 8 and 10), from PING and PONG.
 *
 * Of the last samples the one with the least round trip wins; the estimate is slewed towards it, so that server time
 * runs on without leaps.
 */
#ifndef NN_CLOCK_SYNC_H
#define NN_CLOCK_SYNC_H

#include "nn_base.h"

#define NN_CLOCK_SYNC_SAMPLES 8u
#define NN_CLOCK_SYNC_SLEW_PPM 20000u  /* at most so much faster or slower than the local clock */
#define NN_CLOCK_SYNC_STEP_US 100000u  /* farther off than this: step, do not slew */
#define NN_CLOCK_SYNC_DRIFT_PPM 100u   /* two quartz clocks; added to the error bound with age */
#define NN_CLOCK_SYNC_FAST_US 60000u   /* between PINGs until the samples are full */
#define NN_CLOCK_SYNC_SLOW_US 2000000u /* afterwards */

typedef struct nn_clock_sample {
    int64_t offset_us;
    uint32_t at_ms; /* local; wraps */
    uint32_t rtt_us;
} nn_clock_sample;

typedef struct nn_clock_sync {
    nn_clock_sample samples[NN_CLOCK_SYNC_SAMPLES];
    int64_t offset_us; /* used at slewed_at_us */
    int64_t target_us; /* of the best sample */
    uint64_t slewed_at_us;
    uint32_t best_rtt_us;
    uint32_t count; /* samples ever */
} nn_clock_sync;

NN_PRIVATE void nn_clock_sync_init(nn_clock_sync* clock);

/* nn_clock_sync_add - one answered PING.
 *
 *   sent_at_us      of the PING, local clock.
 *   received_at_us  server's clock.
 *   hold_us         the server's, until the PONG.
 *
 * Returns  false: impossible (times run backwards); ignored.
 */
NN_PRIVATE bool nn_clock_sync_add(nn_clock_sync* clock, uint64_t sent_at_us, uint64_t received_at_us, uint64_t hold_us,
                                  uint64_t now_us);

NN_PRIVATE bool nn_clock_sync_is_ready(const nn_clock_sync* clock);

/* nn_clock_sync_offset_us - server time minus local time, now; 0 without a sample. */
NN_PRIVATE int64_t nn_clock_sync_offset_us(const nn_clock_sync* clock, uint64_t now_us);

/* nn_clock_sync_server_us - the server's clock now. Never runs backwards but for a step. */
NN_PRIVATE uint64_t nn_clock_sync_server_us(const nn_clock_sync* clock, uint64_t now_us);

/* nn_clock_sync_error_us - bound of the error: half the best round trip, what is still to be slewed, and drift;
 * UINT32_MAX without a sample. */
NN_PRIVATE uint32_t nn_clock_sync_error_us(const nn_clock_sync* clock, uint64_t now_us);

/* nn_clock_sync_interval_us - how long after the last PING the next should be sent. */
NN_PRIVATE uint64_t nn_clock_sync_interval_us(const nn_clock_sync* clock);

#endif
