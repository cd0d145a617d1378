/* nn_voice_mix - many streams become one: volume, place, sum, limiter. */
#include "nn_voice_mix.h"

#include <math.h>

#define MIX_CEILING 0.97f
#define MIX_RELEASE 0.0001f /* of what is missing, a sample: 200 ms */

NN_PRIVATE nn_voice_gain nn_voice_place(const nn_voice_listener* listener, const float* position, float volume)
{
    float square = 0, side = 0;
    for (int i = 0; i < 3; i++) {
        float d = position[i] - listener->position[i];
        square += d * d;
        side += d * listener->right[i];
    }
    float distance = sqrtf(square);
    float span = listener->far_distance - listener->near_distance;
    float left = (listener->far_distance - distance) / span;
    left = left < 0 ? 0 : left > 1 ? 1 : left;
    float turn = distance > 1e-6f ? side / distance : 0;
    turn = turn < -1 ? -1 : turn > 1 ? 1 : turn;
    if (distance < listener->near_distance)
        turn *= distance / listener->near_distance; /* beside the ears: in the middle */
    float loud = volume * left * left;
    nn_voice_gain gain = {loud * sqrtf(1 - turn), loud * sqrtf(1 + turn)};
    return gain;
}

NN_PRIVATE void nn_voice_mix_add(float* sum, const float* pcm, unsigned channels, nn_voice_gain* gain, nn_voice_gain to)
{
    float left = gain->left, right = gain->right;
    float left_step = (to.left - left) / NN_VOICE_MIX_FRAMES;
    float right_step = (to.right - right) / NN_VOICE_MIX_FRAMES;
    for (size_t i = 0; i < NN_VOICE_MIX_FRAMES; i++) {
        left += left_step;
        right += right_step;
        sum[i * 2] += pcm[i * channels] * left;
        sum[i * 2 + 1] += pcm[i * channels + channels - 1] * right;
    }
    *gain = to;
}

NN_PRIVATE void nn_voice_limit(float* sum, float* gain)
{
    float now = *gain;
    for (size_t i = 0; i < NN_VOICE_MIX_FRAMES; i++) {
        float a = fabsf(sum[i * 2]), b = fabsf(sum[i * 2 + 1]);
        float peak = a > b ? a : b;
        now += (1 - now) * MIX_RELEASE;
        if (peak * now > MIX_CEILING) now = MIX_CEILING / peak;
        sum[i * 2] *= now;
        sum[i * 2 + 1] *= now;
    }
    *gain = now;
}

NN_PRIVATE void nn_voice_to_mono(float* sum)
{
    for (size_t i = 0; i < NN_VOICE_MIX_FRAMES; i++) sum[i] = (sum[i * 2] + sum[i * 2 + 1]) * 0.5f;
}
