/* nn_dep_speexdsp - the one part that names libspeexdsp: nn_resample by it, or nothing. */
#include "nn_resample.h"

#if NECPNET_WITH_SPEEXDSP

#include <speex/speex_resampler.h>

#define SPEEXDSP_QUALITY 4 /* 0 .. 10: the desktop's; 3 us for 10 ms */

struct nn_resampler {
    nn_alloc* alloc;
    SpeexResamplerState* state;
    uint32_t channels;
};

NN_PRIVATE bool nn_resample_is_built(void)
{
    return true;
}

NN_PRIVATE necpnet_result nn_resampler_create(nn_alloc* alloc, uint32_t from_hz, uint32_t to_hz, uint32_t channels,
                                              nn_resampler** out_resampler)
{
    int error = 0;
    nn_resampler* resampler = (nn_resampler*)nn_alloc_take(alloc, sizeof *resampler);
    if (!resampler) return NECPNET_ERR_OUT_OF_MEMORY;
    resampler->alloc = alloc;
    resampler->channels = channels;
    resampler->state = speex_resampler_init(channels, from_hz, to_hz, SPEEXDSP_QUALITY, &error);
    if (!resampler->state) {
        nn_alloc_give(alloc, resampler, sizeof *resampler);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    (void)speex_resampler_skip_zeros(resampler->state);
    *out_resampler = resampler;
    return NECPNET_OK;
}

NN_PRIVATE void nn_resampler_destroy(nn_resampler* resampler)
{
    if (!resampler) return;
    speex_resampler_destroy(resampler->state);
    nn_alloc_give(resampler->alloc, resampler, sizeof *resampler);
}

NN_PRIVATE void nn_resampler_run(nn_resampler* resampler, const float* in, uint32_t* frames, float* out,
                                 uint32_t* out_frames)
{
    (void)speex_resampler_process_interleaved_float(resampler->state, in, frames, out, out_frames);
}

#else

NN_PRIVATE bool nn_resample_is_built(void)
{
    return false;
}

NN_PRIVATE necpnet_result nn_resampler_create(nn_alloc* alloc, uint32_t from_hz, uint32_t to_hz, uint32_t channels,
                                              nn_resampler** out_resampler)
{
    (void)alloc;
    (void)from_hz;
    (void)to_hz;
    (void)channels;
    (void)out_resampler;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE void nn_resampler_destroy(nn_resampler* resampler)
{
    (void)resampler;
}

NN_PRIVATE void nn_resampler_run(nn_resampler* resampler, const float* in, uint32_t* frames, float* out,
                                 uint32_t* out_frames)
{
    (void)resampler;
    (void)in;
    (void)out;
    *frames = 0;
    *out_frames = 0;
}

#endif
