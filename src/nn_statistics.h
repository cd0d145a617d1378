/* nn_statistics - smoothed figures: rates over a second, loss over 256 packets, jitter as in RFC 3550. */
#ifndef NN_STATISTICS_H
#define NN_STATISTICS_H

#include "nn_base.h"

#define NN_RATE_SLOTS 4u
#define NN_RATE_SLOT_US 250000u /* 4 slots are a second */
#define NN_LOSS_PACKETS 256u

/* Bytes a second, counted over the last second. */
typedef struct nn_rate {
    uint32_t slot; /* number of the newest slot: 1 + time / NN_RATE_SLOT_US; 0: nothing was ever added */
    uint32_t bytes[NN_RATE_SLOTS];
} nn_rate;

NN_PRIVATE void nn_rate_add(nn_rate* rate, size_t bytes, uint64_t now_us);

/* nn_rate_per_s - since_us: when counting began, not after the first add. */
NN_PRIVATE uint32_t nn_rate_per_s(const nn_rate* rate, uint64_t since_us, uint64_t now_us);

/* Fates of the last 256 packets. */
typedef struct nn_loss {
    uint64_t bits[NN_LOSS_PACKETS / 64]; /* 1: lost */
    uint16_t at;
    uint16_t count;
    uint16_t lost;
} nn_loss;

NN_PRIVATE void nn_loss_add(nn_loss* loss, bool lost);
NN_PRIVATE uint32_t nn_loss_ppm(const nn_loss* loss);

/* Mean deviation of transit times (RFC 3550 6.4.1, A.8). */
typedef struct nn_jitter {
    uint32_t transit_us; /* of the last packet, modulo 2^32: only differences count */
    uint32_t scaled_us;  /* 16 x the estimate, plus 1; 0: no packet yet */
} nn_jitter;

/* nn_jitter_add - a packet with the peer's time of sending, any epoch. */
NN_PRIVATE void nn_jitter_add(nn_jitter* jitter, uint64_t sent_at_us, uint64_t received_at_us);
NN_PRIVATE uint32_t nn_jitter_us(const nn_jitter* jitter);

#endif
