/* nn_bank - predictors of one number from its newest points, each judged by how far off it would have been of late. Integers
 * alone; src/PROTOCOL.md "Prediction".
 *
 * Two windows are judged: what would each predictor have said of the newest two points, from as long before as now?
 */
#ifndef NN_BANK_H
#define NN_BANK_H

#include "nn_series.h"

#define NN_BANK_HOLD 0
#define NN_BANK_LINE 1
#define NN_BANK_PARABOLA 2 /* through every second of five points */
#define NN_BANK_NUMBERS 3

/* nn_bank_judge - errors of the first `count` predictors by component, in 1/128 of a step. lead: 1 .. NN_LEAD_MAX, with
 * NN_NEAR_POINTS behind it loaded, as far as there are. Returns how many see enough, the first ones. */
NN_PRIVATE unsigned nn_bank_judge(const nn_series* series, unsigned lead, unsigned count,
                                  int64_t errors[NN_BANK_NUMBERS][3]);

/* nn_bank_predict - of a component, lead_16 sixteenths of a step ahead, in sixteenths from the newest one. For a predictor
 * that was judged. */
NN_PRIVATE int64_t nn_bank_predict(const nn_series* series, unsigned component, unsigned predictor, uint32_t lead_16);

/* nn_bank_weigh - how far it was off in the newest window and in the one before, to one error. */
NN_INLINE int64_t nn_bank_weigh(int64_t newest, int64_t before)
{
    return 5 * (newest < 0 ? -newest : newest) + 3 * (before < 0 ? -before : before);
}

#endif
