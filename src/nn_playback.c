/* nn_playback - the view's clock. */
#include "nn_playback.h"

#define PLAYBACK_SLEW 20           /* the offset moves by at most 1/20 of real time */
#define PLAYBACK_JUMP_US 1000000   /* further off than this it jumps */
#define PLAYBACK_GAP_US_MAX 500000 /* longer pauses are silence, no rate */
#define PLAYBACK_MARGIN_US 2000    /* for the frame that is drawn between two updates */

NN_PRIVATE void nn_playback_init(nn_playback* playback, uint32_t delay_min_ms, uint32_t delay_max_ms)
{
    memset(playback, 0, sizeof *playback);
    playback->tick_hz = 60;
    playback->delay_min_us = delay_min_ms * 1000u;
    playback->delay_max_us = delay_max_ms * 1000u;
}

NN_PRIVATE void nn_playback_reset(nn_playback* playback)
{
    uint32_t tick_hz = playback->tick_hz;
    nn_playback_init(playback, playback->delay_min_us / 1000u, playback->delay_max_us / 1000u);
    playback->tick_hz = tick_hz;
}

static int64_t playback_tick_us(const nn_playback* playback, uint32_t tick)
{
    return (int64_t)((uint64_t)tick * 1000000u / playback->tick_hz);
}

NN_PRIVATE uint32_t nn_playback_gap(const nn_playback* playback)
{
    uint32_t sorted[NN_PLAYBACK_GAPS];
    uint32_t count = playback->gap_count < NN_PLAYBACK_GAPS ? playback->gap_count : NN_PLAYBACK_GAPS;
    if (count == 0) return 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = i;
        for (; place > 0 && sorted[place - 1] > playback->gaps[i]; place--) sorted[place] = sorted[place - 1];
        sorted[place] = playback->gaps[i];
    }
    return sorted[count / 2];
}

NN_PRIVATE void nn_playback_arrived(nn_playback* playback, uint32_t tick, uint64_t now_us)
{
    if (playback->late_count > 0) {
        uint32_t gap = tick - playback->newest_tick;
        if ((uint64_t)gap * 1000000u <= (uint64_t)PLAYBACK_GAP_US_MAX * playback->tick_hz) {
            playback->gaps[playback->gap_count++ % NN_PLAYBACK_GAPS] = gap;
        }
    }
    playback->newest_tick = tick;
    playback->late_us[playback->late_count++ % NN_PLAYBACK_SAMPLES] =
        (int64_t)now_us - playback_tick_us(playback, tick);
}

/* The offset to aim for: the latest arrival but one, and a gap; within the limits behind the promptest. */
static int64_t playback_target(nn_playback* playback)
{
    uint32_t count = playback->late_count < NN_PLAYBACK_SAMPLES ? playback->late_count : NN_PLAYBACK_SAMPLES;
    int64_t least = INT64_MAX;
    int64_t most = INT64_MIN;
    int64_t second = INT64_MIN;
    for (uint32_t i = 0; i < count; i++) {
        int64_t late = playback->late_us[i];
        if (late < least) least = late;
        if (late > most) {
            second = most;
            most = late;
        } else if (late > second) {
            second = late;
        }
    }
    playback->least_us = least;
    int64_t reach = count > NN_PLAYBACK_SAMPLES / 2 ? second : most;
    int64_t delay = reach - least + playback_tick_us(playback, nn_playback_gap(playback)) + PLAYBACK_MARGIN_US;
    if (delay < (int64_t)playback->delay_min_us) delay = (int64_t)playback->delay_min_us;
    if (delay > (int64_t)playback->delay_max_us) delay = (int64_t)playback->delay_max_us;
    return least + delay;
}

NN_PRIVATE void nn_playback_update(nn_playback* playback, uint64_t now_us)
{
    if (playback->late_count == 0) return;
    int64_t target = playback_target(playback);
    int64_t error = target - playback->offset_us;
    bool jump = !playback->begun || error > PLAYBACK_JUMP_US || error < -PLAYBACK_JUMP_US;
    if (jump) {
        playback->offset_us = target;
        playback->begun = true;
    } else {
        uint64_t elapsed = now_us > playback->now_us ? now_us - playback->now_us : 0;
        int64_t most = (int64_t)(elapsed / PLAYBACK_SLEW);
        playback->offset_us += error > most ? most : error < -most ? -most : error;
    }
    playback->now_us = now_us;
    double tick = (double)((int64_t)now_us - playback->offset_us) * (double)playback->tick_hz / 1e6;
    if (jump || tick > playback->tick) playback->tick = tick;
}

NN_PRIVATE uint32_t nn_playback_delay_us(const nn_playback* playback)
{
    if (!playback->begun || playback->offset_us < playback->least_us) return 0;
    return (uint32_t)(playback->offset_us - playback->least_us);
}
