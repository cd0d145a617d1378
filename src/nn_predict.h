/* nn_predict - what a state will be, from states that both sides surely have. Integers alone.
 *
 * A timeline is the states of one entity that the receiver is known to have. It is read on a grid of equal steps; each
 * field then takes, out of a bank of predictors, the one that would have been best for the newest states, and its past
 * error says how far off it may be now. Both sides compute the same, so the choice costs no bits. src/PROTOCOL.md "State".
 */
#ifndef NN_PREDICT_H
#define NN_PREDICT_H

#include "nn_lead.h"

#define NN_QUIET_STATES 8 /* a field that was the same in so many known states is quiet: it is held */

/* A prediction. Errors are in 1/128 of a step, of the size that the true value has probably missed it by. */
typedef struct nn_prediction {
    uint32_t row[NN_ROW_WORDS_MAX];
    uint32_t error[NN_ROW_WORDS_MAX];         /* by word of a row: of the first word of each component */
    int8_t lean[NN_ROW_WORDS_MAX];            /* which way the second best predictor lies: -1, 0, 1 */
    uint32_t group_error[NECPNET_FIELDS_MAX]; /* mean of a field's components */
    uint32_t turn_margin[NECPNET_FIELDS_MAX]; /* QUAT: how far the second largest component is below the largest */
    uint64_t moving;                          /* bit of each field that is not quiet */
} nn_prediction;

/* nn_predict - fills prediction for all fields; for hidden ones it means nothing.
 *
 *   timeline   at least one state
 *   leads      of the frame so far; NULL: none
 */
NN_PRIVATE void nn_predict(const nn_type_plan* plan, const nn_timeline* timeline, bool owner, nn_leads* leads,
                           nn_prediction* prediction);

#endif
