/* nn_resample - sound from one sample rate to another (nn_dep_speexdsp.c). Equal rates need no library. */
#ifndef NN_RESAMPLE_H
#define NN_RESAMPLE_H

#include "nn_alloc.h"

typedef struct nn_resampler nn_resampler;

/* nn_resample_is_built - false: create refuses with ERR_UNSUPPORTED. */
NN_PRIVATE bool nn_resample_is_built(void);

/* nn_resampler_create - the library takes its own memory from the system.
 *
 *   channels  1 or 2, interleaved.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED
 */
NN_PRIVATE necpnet_result nn_resampler_create(nn_alloc* alloc, uint32_t from_hz, uint32_t to_hz, uint32_t channels,
                                              nn_resampler** out_resampler);

/* nn_resampler_destroy - NULL does nothing. */
NN_PRIVATE void nn_resampler_destroy(nn_resampler* resampler);

/* nn_resampler_run - as much as fits; frames are samples of each channel.
 *
 *   frames      in: given; out: taken.
 *   out_frames  in: room; out: written.
 */
NN_PRIVATE void nn_resampler_run(nn_resampler* resampler, const float* in, uint32_t* frames, float* out,
                                 uint32_t* out_frames);

#endif
