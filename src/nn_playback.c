/* nn_playback - the view's clock. */
#include "nn_playback.h"

#define PLAYBACK_SLOWER 20         /* the picture falls back by at most 1/20 of real time */
#define PLAYBACK_FASTER 50         /* and catches up by 1/50, which leaves room for corrections */
#define PLAYBACK_RARE 64           /* one frame of so many may come later than it is needed */
#define PLAYBACK_GAPS_MAX 3        /* a gap of more than so many usual ones is no loss */
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

/* The latest needs count, but for one in 64: that one is caught up with in passing. */
static int64_t playback_need_us(const nn_playback* playback, uint32_t count)
{
    int64_t largest[1 + NN_PLAYBACK_SAMPLES / PLAYBACK_RARE];
    uint32_t wanted = 1 + count / PLAYBACK_RARE;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t need = playback->need_us[i];
        if (found == wanted && need <= largest[found - 1]) continue;
        uint32_t at = found < wanted ? found++ : found - 1;
        for (; at > 0 && largest[at - 1] < need; at--) largest[at] = largest[at - 1];
        largest[at] = need;
    }
    return largest[found - 1];
}

static void playback_aim(nn_playback* playback)
{
    uint32_t count = playback->late_count < NN_PLAYBACK_SAMPLES ? playback->late_count : NN_PLAYBACK_SAMPLES;
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (playback->late_us[i] < least) least = playback->late_us[i];
    }
    int64_t delay = playback_need_us(playback, count) - least + PLAYBACK_MARGIN_US;
    if (delay < (int64_t)playback->delay_min_us) delay = (int64_t)playback->delay_min_us;
    if (delay > (int64_t)playback->delay_max_us) delay = (int64_t)playback->delay_max_us;
    playback->least_us = least;
    playback->target_us = least + delay;
}

NN_PRIVATE void nn_playback_arrived(nn_playback* playback, uint32_t tick, uint64_t now_us)
{
    uint32_t usual = nn_playback_gap(playback);
    uint32_t gap = usual;
    if (playback->late_count > 0) {
        gap = tick - playback->newest_tick;
        if ((uint64_t)gap * 1000000u <= (uint64_t)PLAYBACK_GAP_US_MAX * playback->tick_hz) {
            playback->gaps[playback->gap_count++ % NN_PLAYBACK_GAPS] = gap;
        }
        if (gap > usual * PLAYBACK_GAPS_MAX) gap = usual; /* there was nothing to tell */
    }
    uint32_t place = playback->late_count++ % NN_PLAYBACK_SAMPLES;
    playback->newest_tick = tick;
    playback->late_us[place] = (int64_t)now_us - playback_tick_us(playback, tick);
    playback->need_us[place] = playback->late_us[place] + playback_tick_us(playback, gap);
    playback_aim(playback);
}

NN_PRIVATE void nn_playback_update(nn_playback* playback, uint64_t now_us)
{
    if (playback->late_count == 0) return;
    int64_t error = playback->target_us - playback->offset_us;
    bool jump = !playback->begun || error > PLAYBACK_JUMP_US || error < -PLAYBACK_JUMP_US;
    if (jump) {
        playback->offset_us = playback->target_us;
        playback->begun = true;
    } else {
        uint64_t elapsed = now_us > playback->now_us ? now_us - playback->now_us : 0;
        int64_t slower = (int64_t)(elapsed / PLAYBACK_SLOWER);
        int64_t faster = (int64_t)(elapsed / PLAYBACK_FASTER);
        playback->offset_us += error > slower ? slower : error < -faster ? -faster : error;
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
