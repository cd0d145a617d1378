/* nn_playback - when to show what: the view's time behind the server's, adapted to the jitter of arrival.
 *
 * Each new frame tells how late its tick arrived by the local clock, and until when the frame before it had to do: so much
 * delay was needed to have a state on either side of the moment shown, jitter, gap and loss together. The delay is what
 * nearly all of the last frames needed. The picture falls back by at most a twentieth of real time and catches up by a
 * fiftieth, so that motion keeps its speed.
 */
#ifndef NN_PLAYBACK_H
#define NN_PLAYBACK_H

#include "nn_base.h"

#define NN_PLAYBACK_SAMPLES 128
#define NN_PLAYBACK_GAPS 16

typedef struct nn_playback {
    uint32_t tick_hz;
    uint32_t delay_min_us; /* limits of the delay behind the promptest frame */
    uint32_t delay_max_us;
    int64_t late_us[NN_PLAYBACK_SAMPLES]; /* arrival minus the tick's own time: an unknown constant plus the delay */
    int64_t need_us[NN_PLAYBACK_SAMPLES]; /* the same for the frame before it: until then it is what there is */
    uint32_t late_count;
    uint32_t gaps[NN_PLAYBACK_GAPS]; /* ticks between frames */
    uint32_t gap_count;
    uint32_t newest_tick;
    bool begun;
    int64_t offset_us; /* shown moment = local time - offset */
    int64_t target_us; /* what offset goes to */
    int64_t least_us;  /* of late_us */
    uint64_t now_us;
    double tick; /* shown moment in ticks of the server */
} nn_playback;

NN_PRIVATE void nn_playback_init(nn_playback* playback, uint32_t delay_min_ms, uint32_t delay_max_ms);

/* nn_playback_reset - forget all but the settings. */
NN_PRIVATE void nn_playback_reset(nn_playback* playback);

/* nn_playback_arrived - a frame newer than all before. */
NN_PRIVATE void nn_playback_arrived(nn_playback* playback, uint32_t tick, uint64_t now_us);

/* nn_playback_update - move the shown moment on; never backwards unless it was off by over a second. */
NN_PRIVATE void nn_playback_update(nn_playback* playback, uint64_t now_us);

/* nn_playback_delay_us - behind the promptest frame; 0 before the first. */
NN_PRIVATE uint32_t nn_playback_delay_us(const nn_playback* playback);

/* nn_playback_gap - the usual ticks between frames, at least 1. */
NN_PRIVATE uint32_t nn_playback_gap(const nn_playback* playback);

#endif
