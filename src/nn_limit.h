/* nn_limit - a bandwidth limit: a bucket of bytes that fills with time. */
#ifndef NN_LIMIT_H
#define NN_LIMIT_H

#include "nn_base.h"

#define NN_CONGESTION_UNLIMITED UINT32_MAX

/* A bandwidth limit. By itself for WebSocket, where TCP sees to the rest. */
typedef struct nn_limit {
    uint64_t at_us;
    int64_t bytes;        /* in the bucket */
    uint32_t bytes_per_s; /* NN_CONGESTION_UNLIMITED */
    uint32_t datagram_bytes;
} nn_limit;

/* nn_bucket_earned - what a bucket earned since *at_us, which moves on; time too short for a whole byte stays for later.
 * nn_bucket_deadline_us - when one filled last at at_us holds a byte again; 0: it does. */
NN_PRIVATE int64_t nn_bucket_earned(uint64_t* at_us, uint64_t rate, uint64_t now_us);
NN_PRIVATE uint64_t nn_bucket_deadline_us(int64_t bytes, uint64_t at_us, uint64_t rate);

NN_PRIVATE void nn_limit_init(nn_limit* limit, uint32_t bytes_per_s, uint64_t now_us);
NN_PRIVATE void nn_limit_set(nn_limit* limit, uint32_t bytes_per_s);
NN_PRIVATE void nn_limit_sent(nn_limit* limit, uint32_t bytes, uint64_t now_us);

/* nn_limit_room - bytes that it lets go now: 0, or at least a whole datagram; SIZE_MAX without a limit.
 * nn_limit_deadline_us - when that, 0 when last asked, is more. */
NN_PRIVATE size_t nn_limit_room(nn_limit* limit, uint64_t now_us);
NN_PRIVATE uint64_t nn_limit_deadline_us(const nn_limit* limit);

/* nn_limit_refill - what time has brought (nn_limit_room does it). */
NN_PRIVATE void nn_limit_refill(nn_limit* limit, uint64_t now_us);

#endif
