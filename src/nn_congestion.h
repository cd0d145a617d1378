/* nn_congestion - how much may leave: a delay-based window, a pacer and a bandwidth limit.
 *
 * The window grows while the standing queue (least of a round trip's samples, less the base) is under its target and
 * shrinks above it. Loss alone does not shrink it, but makes it content with a shorter queue. Fed by nn_recovery.
 */
#ifndef NN_CONGESTION_H
#define NN_CONGESTION_H

#include "nn_limit.h"

#define NN_CONGESTION_WINDOW_BYTES_FIRST 12000u /* RFC 6928: ten packets */
#define NN_CONGESTION_WINDOW_BYTES_MAX (16u << 20)
#define NN_CONGESTION_BANDWIDTH_MIN 8000u /* bytes a second that it never goes below, or a quarter of a slower link */
#define NN_CONGESTION_QUEUE_TARGET_US \
    8000u /* standing queue aimed at by a window of ten packets; it stays under 20 ms */
#define NN_CONGESTION_QUEUE_LEAST_US 2400u  /* the target of large windows, and wherever packets get lost */
#define NN_CONGESTION_LOSS_PPM_SOME 3000u   /* more loss than this is reason for a short queue */
#define NN_CONGESTION_LOSS_PPM_MAX 80000u   /* more loss than this shrinks the window */
#define NN_CONGESTION_BASE_SLOTS 3u         /* the base round trip is the least of so many slots .. */
#define NN_CONGESTION_BASE_SLOT_US 7000000u /* .. of 7 s */
#define NN_CONGESTION_BASE_SIZES 4u         /* kept for packets of a quarter, half .. of a datagram apart */
#define NN_CONGESTION_DRAIN_US 6000000u     /* so long without a round trip near the base: drain the queue once */
#define NN_CONGESTION_BURST_US 16000u       /* the pacer saves up at most so much time: a frame of a game at 60 Hz */
#define NN_CONGESTION_IDLE_US 1000000u      /* after so long without sending, and each time again, half the window */

typedef struct nn_congestion {
    uint64_t window_bytes;
    uint64_t flight_bytes;
    uint64_t pace_at_us; /* when pace_bytes was counted */
    int64_t pace_bytes;  /* that the pacer lets go; below 0 after an overshoot */
    nn_limit limit;
    uint64_t sent_at_us; /* when something in flight left last */
    uint64_t round_at_us;
    uint64_t round_bytes; /* acknowledged in this round */
    uint64_t acked_bytes; /* since loss was judged last */
    uint64_t lost_bytes;
    uint64_t judged_at_us;
    uint64_t rate_slot_at_us;
    uint64_t floor_again_us; /* when more than floor_rate may be tried beside others */
    uint64_t slot_bytes;     /* acknowledged in the rate's slot */
    uint64_t base_slot_at_us;
    uint64_t base_seen_at_us; /* when a round trip near the base was last seen */
    uint64_t drain_until_us;  /* the window is held small until then, so that the base can be seen */
    uint32_t rate_max[2];     /* most bytes a second acknowledged in a round: in the slot before, and in this one */
    uint32_t base_us[NN_CONGESTION_BASE_SLOTS][NN_CONGESTION_BASE_SIZES]; /* UINT32_MAX none */
    uint32_t round_queue_us;                                              /* least of this round; UINT32_MAX none */
    uint32_t round_base_us;                                               /* and what it stood on */
    uint32_t round_rtt_us;                                                /* least of the last round; 0 none */
    uint32_t seen_us[2];          /* the queue that the last two samples showed, newest first */
    uint32_t jitter_us;           /* how far samples turn back from their neighbours, smoothed */
    uint32_t spurious_bytes;      /* counted as lost, and arrived after all: to be taken off */
    uint32_t floor_queue_us;      /* standing queue when the window came down to its least */
    uint32_t queue_us;            /* standing queue of the last round */
    uint32_t loss_ppm;            /* smoothed */
    uint32_t loss_least_ppm[2];   /* in the rate's slots */
    uint32_t excess_window_bytes; /* the window when loss rose above that; 0 none */
    uint32_t floor_rate;          /* bytes a second that it never goes below */
    uint32_t datagram_bytes;
    uint32_t rtt_us;      /* smoothed, for pacing and rounds */
    uint32_t slot_rounds; /* in the rate's slot; and those with no more than the target in the queue */
    uint32_t slot_rounds_free;
    uint16_t step_packets; /* growth of a round; doubles while the queue is short */
    uint8_t base_slot;
    uint8_t jitter_samples; /* saturates */
    uint8_t round_samples;  /* of this round; saturates */
    uint8_t above_samples;  /* in a row with a queue, in slow start */
    uint8_t floor_rounds;   /* in a row over the target with the least window: the path itself is longer now */
    uint8_t settle_rounds;  /* to wait: the queue does not show the last step yet */
    bool slow_start;
    bool hold;        /* loss without gain: do not grow in this round */
    bool window_used; /* in this round the window was at least half full: not application-limited */
} nn_congestion;

/* nn_congestion_init - limit_bytes_per_s: NN_CONGESTION_UNLIMITED for none. */
NN_PRIVATE void nn_congestion_init(nn_congestion* congestion, uint32_t limit_bytes_per_s, uint64_t now_us);
NN_PRIVATE void nn_congestion_set_datagram(nn_congestion* congestion, uint32_t datagram_bytes);

/* nn_congestion_budget - bytes that may leave now: 0, or at least a whole datagram. */
NN_PRIVATE size_t nn_congestion_budget(nn_congestion* congestion, uint64_t now_us);

/* nn_congestion_deadline_us - when the budget, 0 now, may be more by the passing of time alone; NN_NEVER if only an
 * acknowledgement can raise it; 0 if it is not 0 now. */
NN_PRIVATE uint64_t nn_congestion_deadline_us(nn_congestion* congestion, uint64_t now_us);

/* What nn_recovery tells. Packets that elicit no ACK count against the limit alone. */
NN_PRIVATE void nn_congestion_on_sent(nn_congestion* congestion, uint32_t bytes, bool in_flight, uint64_t now_us);
NN_PRIVATE void nn_congestion_on_acked(nn_congestion* congestion, uint32_t bytes, uint64_t now_us);
NN_PRIVATE void nn_congestion_on_lost(nn_congestion* congestion, uint32_t bytes, uint64_t now_us);
NN_PRIVATE void nn_congestion_on_spurious(nn_congestion* congestion, uint32_t bytes); /* told as lost before */
NN_PRIVATE void nn_congestion_on_forgotten(nn_congestion* congestion, uint32_t bytes);

/* nn_congestion_on_rtt - one round-trip sample (less the peer's delay) of a packet of so many bytes, and the smoothed
 * value; closes rounds. */
NN_PRIVATE void nn_congestion_on_rtt(nn_congestion* congestion, uint64_t rtt_us, uint64_t smoothed_us, uint32_t bytes,
                                     uint64_t now_us);

/* nn_congestion_on_persistent - nothing came through for several probe timeouts (RFC 9002 7.6). */
NN_PRIVATE void nn_congestion_on_persistent(nn_congestion* congestion, uint64_t now_us);

/* nn_congestion_is_used - whether with so many bytes more in flight the window is at least half full. */
NN_PRIVATE bool nn_congestion_is_used(const nn_congestion* congestion, uint64_t bytes);

/* nn_congestion_rate - the pacer's bytes a second. */
NN_PRIVATE uint64_t nn_congestion_rate(const nn_congestion* congestion);

/* Between the files of congestion. */

/* nn_congestion_see - take a sample in; returns the queue that it shows. */
NN_PRIVATE uint32_t nn_congestion_see(nn_congestion* congestion, uint32_t rtt, uint32_t bytes, uint64_t now_us);

/* nn_congestion_base - the round trip of a path without a queue for packets of a size class (NN_CONGESTION_BASE_SIZES - 1: whole
 * ones); UINT32_MAX none. nn_congestion_forget_base - of all, from one slot. */
NN_PRIVATE uint32_t nn_congestion_base(const nn_congestion* congestion, unsigned size);
NN_PRIVATE void nn_congestion_forget_base(nn_congestion* congestion, unsigned slot);
NN_PRIVATE uint64_t nn_congestion_rate_max(const nn_congestion* congestion); /* bytes a second */
NN_PRIVATE uint64_t nn_congestion_window_min(const nn_congestion* congestion);

/* nn_congestion_rtt_us - for pacing and rounds: the smoothed one is slow to forget a queue that has gone. */
NN_PRIVATE uint64_t nn_congestion_rtt_us(const nn_congestion* congestion);
NN_PRIVATE void nn_congestion_fill_pace(nn_congestion* congestion, uint64_t now_us);

#endif
