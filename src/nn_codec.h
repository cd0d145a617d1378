/* nn_codec - a state of an entity against what is predicted of it, in and out.
 *
 * A record is its events (did the quiet fields change, is each moving one exactly as predicted, has a quaternion turned)
 * and then the residuals of what is not as predicted. Everything but the residuals follows from the prediction, which
 * both sides have. src/PROTOCOL.md "State".
 */
#ifndef NN_CODEC_H
#define NN_CODEC_H

#include "nn_coder.h"
#include "nn_predict.h"

/* nn_codec_write - row, as predicted from known states. may_skip: the reader expects
 * it, and a skip could come in its place. */
NN_PRIVATE void nn_codec_write(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                               const uint32_t* row, bool owner, bool may_skip);

/* nn_codec_write_skip - nothing in the place of a state. */
NN_PRIVATE void nn_codec_write_skip(nn_encoder* encoder, const nn_type_plan* plan, const nn_prediction* prediction,
                                    bool owner);

typedef enum nn_codec_result { NN_CODEC_ROW = 0, NN_CODEC_SKIP = 1, NN_CODEC_BAD = 2 } nn_codec_result;

/* nn_codec_read - row is filled, hidden fields as they are in the prediction. */
NN_PRIVATE nn_codec_result nn_codec_read(nn_decoder* decoder, const nn_type_plan* plan, const nn_prediction* prediction,
                                         uint32_t* row, bool owner, bool may_skip);

/* What bench/state_replay.c counts: bits since the last time went into a field (its index), into what changed, or were no
 * record's. Nothing elsewhere. */
#define NN_CODEC_EVENTS (-1)
#define NN_CODEC_BETWEEN (-2)
#ifndef NN_CODEC_SPENT
#define NN_CODEC_SPENT(encoder, what) ((void)0)
#endif

#endif
