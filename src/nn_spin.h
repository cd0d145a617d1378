/* nn_spin - quaternions that turn at a constant rate about a constant axis: each component is then a wave of the same, known
 * length, and is fitted as such. Integers alone; src/PROTOCOL.md "Prediction".
 */
#ifndef NN_SPIN_H
#define NN_SPIN_H

#include "nn_bank.h"

#define NN_SPIN_NUMBERS 2 /* of 17, 25 points */
#define NN_SPIN_NONE 0    /* as a rate: it does not turn */
#define NN_SPIN_POINTS_MAX 25

/* What points weigh for the lead that was asked for last. */
typedef struct nn_spin_weights {
    uint32_t lead_16; /* UINT32_MAX: none yet */
    int64_t points[NN_SPIN_POINTS_MAX];
    int64_t sum; /* of them */
} nn_spin_weights;

/* A turn. */
typedef struct nn_spin {
    int32_t rate; /* cosine of half the angle of a step, times 2^26; or NN_SPIN_NONE */
    nn_spin_weights weights[NN_SPIN_NUMBERS];
} nn_spin;

/* nn_spin_seek - how fast it turns. All points of the series are loaded. */
NN_PRIVATE int32_t nn_spin_seek(const nn_series* series);

/* nn_spin_judge - as nn_bank_judge; number: 0 .. NN_SPIN_NUMBERS - 1. */
NN_PRIVATE bool nn_spin_judge(nn_spin* spin, nn_series* series, unsigned number, unsigned lead, int64_t errors[3]);

/* nn_spin_predict - as nn_bank_predict, all three. */
NN_PRIVATE void nn_spin_predict(nn_spin* spin, const nn_series* series, unsigned number, uint32_t lead_16,
                                int64_t values[3]);

#endif
