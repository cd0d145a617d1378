/* nn_voice_stretch - speech made a little shorter or longer at the same pitch: one period of it is folded away, or said
 * twice (overlap and add at the lag of best likeness; Verhelst and Roelands, WSOLA, 1993). */
#ifndef NN_VOICE_STRETCH_H
#define NN_VOICE_STRETCH_H

#include "nn_base.h"

#define NN_VOICE_LAG_MIN 120u /* samples at 48 kHz: 2.5 ms */
#define NN_VOICE_LAG_MAX 480u /* 10 ms */

/* nn_voice_stretch - change frames samples a channel in place.
 *
 *   pcm      interleaved, with room for frames + NN_VOICE_LAG_MAX.
 *   frames   at least 2 x NN_VOICE_LAG_MIN; below 2 x NN_VOICE_LAG_MAX shorter periods alone are tried.
 *   longer   else shorter.
 *   forced   also where no period is like the next.
 *
 * Returns  frames afterwards; as before when nothing was like enough.
 */
NN_PRIVATE size_t nn_voice_stretch(float* pcm, size_t frames, unsigned channels, bool longer, bool forced);

#endif
