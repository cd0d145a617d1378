/* nn_limit - a bandwidth limit: a bucket that fills with time. */
#include "nn_limit.h"

#define LIMIT_SECOND_US 1000000u
#define LIMIT_BURST_US 50000u

NN_PRIVATE int64_t nn_bucket_earned(uint64_t* at_us, uint64_t rate, uint64_t now_us)
{
    if (now_us <= *at_us) return 0;
    uint64_t elapsed = now_us - *at_us;
    if (elapsed >= LIMIT_SECOND_US) {
        elapsed = LIMIT_SECOND_US;
        *at_us = now_us - elapsed;
    }
    uint64_t earned = rate * elapsed / LIMIT_SECOND_US;
    if (earned) *at_us += nn_min_u64(elapsed, (earned * LIMIT_SECOND_US + rate - 1) / rate);
    return (int64_t)earned;
}

NN_PRIVATE uint64_t nn_bucket_deadline_us(int64_t bytes, uint64_t at_us, uint64_t rate)
{
    if (bytes > 0) return 0;
    return at_us + ((uint64_t)(1 - bytes) * LIMIT_SECOND_US + rate - 1) / rate;
}

NN_PRIVATE void nn_limit_init(nn_limit* limit, uint32_t bytes_per_s, uint64_t now_us)
{
    limit->at_us = now_us;
    limit->bytes = limit->datagram_bytes = NECPNET_DATAGRAM_BYTES_DEFAULT;
    limit->bytes_per_s = bytes_per_s;
}

NN_PRIVATE void nn_limit_set(nn_limit* limit, uint32_t bytes_per_s)
{
    limit->bytes_per_s = bytes_per_s;
    if (limit->bytes > limit->datagram_bytes) limit->bytes = limit->datagram_bytes;
}

NN_PRIVATE void nn_limit_refill(nn_limit* limit, uint64_t now_us)
{
    if (limit->bytes_per_s == NN_CONGESTION_UNLIMITED) return;
    uint64_t rate = nn_max_u64(limit->bytes_per_s, 1);
    uint64_t most = nn_max_u64(rate * LIMIT_BURST_US / LIMIT_SECOND_US, limit->datagram_bytes);
    limit->bytes += nn_bucket_earned(&limit->at_us, rate, now_us);
    if (limit->bytes > (int64_t)most) limit->bytes = (int64_t)most;
}

NN_PRIVATE size_t nn_limit_room(nn_limit* limit, uint64_t now_us)
{
    if (limit->bytes_per_s == NN_CONGESTION_UNLIMITED) return SIZE_MAX;
    nn_limit_refill(limit, now_us);
    if (limit->bytes <= 0) return 0;
    return nn_max_size((size_t)limit->bytes, limit->datagram_bytes);
}

NN_PRIVATE void nn_limit_sent(nn_limit* limit, uint32_t bytes, uint64_t now_us)
{
    if (limit->bytes_per_s == NN_CONGESTION_UNLIMITED) return;
    nn_limit_refill(limit, now_us);
    int64_t debt_max = (int64_t)nn_max_u64(limit->bytes_per_s / 4, limit->datagram_bytes);
    limit->bytes -= bytes;
    if (limit->bytes < -debt_max) limit->bytes = -debt_max;
}

NN_PRIVATE uint64_t nn_limit_deadline_us(const nn_limit* limit)
{
    if (limit->bytes_per_s == NN_CONGESTION_UNLIMITED) return 0;
    return nn_bucket_deadline_us(limit->bytes, limit->at_us, nn_max_u64(limit->bytes_per_s, 1));
}
