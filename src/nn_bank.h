/* nn_bank - predictors of one number from its past, each judged by how far off it would have been of late. Integers alone;
 * src/PROTOCOL.md "Prediction".
 *
 * Four windows are judged at once: what would each predictor have said of the newest four points, from as long before as now?
 */
#ifndef NN_BANK_H
#define NN_BANK_H

#include "nn_series.h"

#define NN_BANK_WINDOWS 4
#define NN_BANK_NEAR 4 /* predictors 0 .. 3, that look at five points at most */
#define NN_BANK_WIDE 4 /* a wide parabola; this and all behind are for what is smooth */
#define NN_BANK_LINE 5 /* lines of 24 and of 16 points */
#define NN_BANK_PARABOLA 7
#define NN_BANK_CUBIC 8 /* and 9: for whole leads alone */
#define NN_BANK_NUMBERS 10

/* nn_bank_judge - errors of a predictor by component, in 1/128 of a step. lead: 1 .. NN_LEAD_MAX. False if it sees too few points. */
NN_PRIVATE bool nn_bank_judge(nn_series* series, unsigned predictor, unsigned lead, int64_t errors[3]);

/* nn_bank_judge_near - the same for the first NN_BANK_NEAR at once. False if there are not four windows for each of them: then
 * one by one. The points up to lead + NN_NEAR_POINTS are loaded. */
NN_PRIVATE bool nn_bank_judge_near(const nn_series* series, unsigned lead, int64_t errors[NN_BANK_NEAR][3]);

/* nn_bank_predict - of a component, lead_16 sixteenths of a step ahead, in sixteenths from the newest one. For a predictor
 * that was judged. */
NN_PRIVATE int64_t nn_bank_predict(const nn_series* series, unsigned component, unsigned predictor, uint32_t lead_16);

/* nn_bank_dot - the sum of weight x point for n points from x on. nn_bank_dots - and for those from the next ones on. */
NN_PRIVATE int64_t nn_bank_dot(const int32_t* x, const int64_t* weights, unsigned n);
NN_PRIVATE void nn_bank_dots(const int32_t* x, const int64_t* weights, unsigned n, int64_t sums[NN_BANK_WINDOWS]);

/* nn_bank_weigh - errors of up to four windows, newest first, to one. */
NN_PRIVATE int64_t nn_bank_weigh(const int64_t off[NN_BANK_WINDOWS], unsigned windows);

#endif
