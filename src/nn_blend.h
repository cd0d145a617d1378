/* nn_blend - what a picture is put right by: the difference between what was shown and what should be, fading away.
 *
 * Of a struct's fields those count that are interpolated: plan->blend_count numbers, a quaternion's being four. Only what one player sees
 * goes through here; both sides need not agree on it.
 */
#ifndef NN_BLEND_H
#define NN_BLEND_H

#include "nn_schema.h"

#define NN_BLEND_COMPONENTS_MAX 4 /* of a field */
#define NN_BLEND_VALUES_MAX (NECPNET_FIELDS_MAX * NN_BLEND_COMPONENTS_MAX)

/* nn_blend_read, nn_blend_shift - the numbers out of a struct; and what is added to them times scale. Angles wrap, quaternions stay of
 * length one. */
NN_PRIVATE void nn_blend_read(const nn_type_plan* plan, const void* state, double* values);
NN_PRIVATE void nn_blend_shift(const nn_type_plan* plan, void* state, const double* values, double scale);

/* nn_blend_difference - a - b for values of nn_blend_read; angles and quaternions the short way. Returns the largest size.
 * difference may be one of them. */
NN_PRIVATE double nn_blend_difference(const nn_type_plan* plan, const double* a, const double* b, double* difference);

/* nn_blend_times - how many times as long as the way is the difference, of the field where that is most; 0 where nothing is on
 * its way. Both of nn_blend_difference. */
NN_PRIVATE double nn_blend_times(const nn_type_plan* plan, const double* difference, const double* way);

#endif
