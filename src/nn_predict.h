/* nn_predict - what a state will be, from states that both sides surely have. Integers alone.
 *
 * A timeline is the states of one entity that the receiver is known to have. It is read on a grid of equal steps; each
 * field then takes, out of a bank of predictors, the one that would have been best for the newest states, and its past
 * error says how far off it may be now. Both sides compute the same, so the choice costs no bits. src/PROTOCOL.md "State".
 */
#ifndef NN_PREDICT_H
#define NN_PREDICT_H

#include "nn_schema.h"

#define NN_TIMELINE_MAX 28 /* states of a timeline, and points of its grid */
#define NN_QUIET_STATES 8  /* a field that was the same in so many known states is quiet: it is held */

/* Known states, newest first. */
typedef struct nn_timeline {
    uint32_t now; /* the tick to predict */
    uint32_t count;
    uint32_t ticks[NN_TIMELINE_MAX];
    const uint32_t* rows[NN_TIMELINE_MAX];
} nn_timeline;

/* A prediction. Errors are in 1/128 of a step, of the size that the true value has probably missed it by. */
typedef struct nn_prediction {
    uint32_t row[NN_ROW_WORDS_MAX];
    uint32_t error[NN_ROW_WORDS_MAX];         /* by word of a row: of the first word of each component */
    int8_t lean[NN_ROW_WORDS_MAX];            /* which way the second best predictor lies: -1, 0, 1 */
    uint32_t group_error[NECPNET_FIELDS_MAX]; /* mean of a field's components */
    uint32_t turn_margin[NECPNET_FIELDS_MAX]; /* QUAT: how far the second largest component is below the largest */
    uint64_t moving;                          /* bit of each field that is not quiet */
} nn_prediction;

/* nn_predict - fills prediction for all fields; for hidden ones it means nothing. timeline->count: at least 1. */
NN_PRIVATE void nn_predict(const nn_type_plan* plan, const nn_timeline* timeline, bool owner,
                           nn_prediction* prediction);

/* nn_predict_square - the square of a unit quaternion's length in steps of a field. */
NN_PRIVATE uint64_t nn_predict_square(const nn_field_plan* field);

/* nn_predict_turn - the words of a quaternion (four) with another component left out, its sign such that this one is
 * positive. to: four words. */
NN_PRIVATE void nn_predict_turn(const nn_field_plan* field, const uint32_t* words, unsigned largest, uint32_t* to);

/* nn_predict_root - the integer root of a number, cut. */
NN_PRIVATE uint64_t nn_predict_root(uint64_t value);

#endif
