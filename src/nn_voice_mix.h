/* nn_voice_mix - many streams become one: volume, place, sum, limiter. 10 ms at 48 kHz at a time, stereo inside. */
#ifndef NN_VOICE_MIX_H
#define NN_VOICE_MIX_H

#include "nn_base.h"

#define NN_VOICE_MIX_FRAMES NECPNET_VOICE_UNIT_SAMPLES

/* What a stream is multiplied by; it glides from one to the next, or a change would click. */
typedef struct nn_voice_gain {
    float left, right;
} nn_voice_gain;

typedef struct nn_voice_listener {
    float position[3];
    float right[3];
    float near_distance, far_distance;
} nn_voice_listener;

/* nn_voice_place - the gains of a speaker at a place: full up to near, none from far on, in between the square of what is
 * left of the way; turned to an ear with constant power. */
NN_PRIVATE nn_voice_gain nn_voice_place(const nn_voice_listener* listener, const float* position, float volume);

/* nn_voice_mix_add - one stream's 10 ms to the sum.
 *
 *   sum   NN_VOICE_MIX_FRAMES x 2.
 *   pcm   NN_VOICE_MIX_FRAMES x channels.
 *   gain  where the last piece ended; becomes to.
 */
NN_PRIVATE void nn_voice_mix_add(float* sum, const float* pcm, unsigned channels, nn_voice_gain* gain,
                                 nn_voice_gain to);

/* nn_voice_limit - nothing leaves -1 .. 1: loud sums are turned down at once, and up again over 200 ms.
 *
 *   gain  1 at first; kept between pieces.
 */
NN_PRIVATE void nn_voice_limit(float* sum, float* gain);

/* nn_voice_to_mono - in place; the first half holds the result. */
NN_PRIVATE void nn_voice_to_mono(float* sum);

#endif
