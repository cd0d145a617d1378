/* nn_voice_stretch - speech made a little shorter or longer at the same pitch. */
#include "nn_voice_stretch.h"

#define STRETCH_STEP 4u /* samples that one stands for while looking for the lag */
#define STRETCH_POINTS_MAX 256u
#define STRETCH_LIKENESS 0.7f /* of 1: below it a fold would be heard */
#define STRETCH_QUIET 1e-5f   /* mean square, -50 dB: anything goes */

/* How alike the first lag points and the next are, -1 .. 1. */
static float stretch_likeness(const float* points, size_t lag)
{
    float cross = 0, a = 1e-9f, b = 1e-9f;
    for (size_t i = 0; i < lag; i++) {
        cross += points[i] * points[i + lag];
        a += points[i] * points[i];
        b += points[i + lag] * points[i + lag];
    }
    if (cross <= 0) return 0;
    return cross * cross / (a * b); /* squared: no root needed to compare */
}

/* The lag to fold at, in samples; 0: none is good. */
static size_t stretch_find_lag(const float* pcm, size_t frames, unsigned channels, bool forced)
{
    float points[STRETCH_POINTS_MAX];
    size_t count = nn_min_size(frames / STRETCH_STEP, STRETCH_POINTS_MAX);
    float energy = 0;
    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        for (size_t k = 0; k < STRETCH_STEP * channels; k++) sum += pcm[i * STRETCH_STEP * channels + k];
        points[i] = sum / (float)(STRETCH_STEP * channels);
        energy += points[i] * points[i];
    }
    size_t most = nn_min_size(NN_VOICE_LAG_MAX / STRETCH_STEP, count / 2);
    size_t least = NN_VOICE_LAG_MIN / STRETCH_STEP, best = 0;
    float likeness = -1;
    if (most < least) return 0;
    if (energy / (float)count < STRETCH_QUIET) return most * STRETCH_STEP;
    for (size_t lag = least; lag <= most; lag++) {
        float now = stretch_likeness(points, lag);
        if (now <= likeness) continue;
        likeness = now;
        best = lag;
    }
    return forced || likeness >= STRETCH_LIKENESS * STRETCH_LIKENESS ? best * STRETCH_STEP : 0;
}

NN_PRIVATE size_t nn_voice_stretch(float* pcm, size_t frames, unsigned channels, bool longer, bool forced)
{
    size_t lag = stretch_find_lag(pcm, frames, channels, forced);
    if (lag == 0) return frames;
    size_t span = lag * channels;
    if (longer) memmove(pcm + span, pcm, frames * channels * sizeof *pcm);
    /* From the early copy to the late one: shorter, pcm[0 ..] to pcm[lag ..]. Longer, where the late copy begins at
     * 2 lag, pcm[2 lag ..] (what follows the first lag) to pcm[lag ..] (the same from the start). */
    float* out = longer ? pcm + span : pcm;
    const float* to = pcm + span;
    for (size_t i = 0; i < lag; i++) {
        float w = (float)i / (float)lag;
        for (unsigned c = 0; c < channels; c++) {
            size_t at = i * channels + c;
            float from = longer ? pcm[2 * span + at] : pcm[at];
            out[at] = from * (1 - w) + to[at] * w;
        }
    }
    if (longer) return frames + lag;
    memmove(pcm + span, pcm + 2 * span, (frames - 2 * lag) * channels * sizeof *pcm);
    return frames - lag;
}
