/* nn_spin - quaternions that turn at a constant rate about a constant axis: each component is then a wave of the same, known
 * length, and is fitted as such. Integers alone; src/PROTOCOL.md "Prediction".
 */
#ifndef NN_SPIN_H
#define NN_SPIN_H

#include "nn_bank.h"
#include "nn_quaternion.h"

#define NN_SPIN_NUMBERS 3 /* of 9, 17, 25 points */

typedef struct nn_spin {
    int64_t cosine;  /* of half the angle of a step, times 2^26 */
    int64_t base[3]; /* of the series' newest values from the middle, in sixteenths */
    bool sought;
    bool found;
} nn_spin;

/* nn_spin_judge - as nn_bank_judge; number: 0 .. NN_SPIN_NUMBERS - 1. The first call finds out how fast it turns. All points
 * of the series are loaded. */
NN_PRIVATE bool nn_spin_judge(nn_spin* spin, const nn_field_plan* field, const nn_series* series, unsigned number,
                              unsigned lead, int64_t errors[3]);

/* nn_spin_predict - as nn_bank_predict, all three. */
NN_PRIVATE void nn_spin_predict(const nn_spin* spin, const nn_series* series, unsigned number, uint32_t lead_16,
                                int64_t values[3]);

#endif
