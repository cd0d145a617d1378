/* nn_statistics - smoothed figures: rates over a second, loss over 256 packets, jitter as in RFC 3550. */
#ifndef NN_STATISTICS_H
#define NN_STATISTICS_H

#include "nn_base.h"

#define NN_RATE_SLOTS 8u
#define NN_RATE_SLOT_US 125000u /* 8 slots are a second */
#define NN_LOSS_PACKETS 256u

/* Bytes a second, counted over the last second. */
typedef struct nn_rate {
    uint64_t slot;     /* number of the newest slot: time / NN_RATE_SLOT_US */
    uint64_t first_us; /* time of the first add; 0 none */
    uint32_t bytes[NN_RATE_SLOTS];
} nn_rate;

NN_PRIVATE void nn_rate_add(nn_rate* rate, size_t bytes, uint64_t now_us);
NN_PRIVATE uint32_t nn_rate_per_s(const nn_rate* rate, uint64_t now_us);

/* Fates of the last 256 packets. */
typedef struct nn_loss {
    uint64_t bits[NN_LOSS_PACKETS / 64]; /* 1: lost */
    uint32_t at;
    uint32_t count;
    uint32_t lost;
} nn_loss;

NN_PRIVATE void nn_loss_add(nn_loss* loss, bool lost);
NN_PRIVATE uint32_t nn_loss_ppm(const nn_loss* loss);

/* Mean deviation of transit times (RFC 3550 6.4.1, A.8). */
typedef struct nn_jitter {
    int64_t transit_us;
    uint32_t scaled_us; /* 16 x the estimate */
    bool has_transit;
} nn_jitter;

/* nn_jitter_add - a packet with the peer's time of sending, any epoch. */
NN_PRIVATE void nn_jitter_add(nn_jitter* jitter, uint64_t sent_at_us, uint64_t received_at_us);
NN_PRIVATE uint32_t nn_jitter_us(const nn_jitter* jitter);

#endif
