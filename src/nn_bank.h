/* nn_bank - predictors of one number from its past, each judged by how far off it would have been of late. Integers alone;
 * src/PROTOCOL.md "Prediction".
 *
 * A series is a field's components on an even grid, newest first, in sixteenths of a step from the newest one. Four windows
 * are judged at once: what would each predictor have said of the newest four points, from as long before as now?
 */
#ifndef NN_BANK_H
#define NN_BANK_H

#include "nn_timeline.h"

#define NN_BANK_LEAD_MAX 12 /* whole steps that predictors are judged over */
#define NN_BANK_WINDOWS 4
#define NN_BANK_NEAR 6     /* predictors 0 .. 5, that look at five points at most */
#define NN_BANK_CUBIC 11   /* and 12: for whole leads alone */
#define NN_BANK_NUMBERS 13 /* 6 .. 12 are for what is smooth */
#define NN_SERIES_BITS 20
#define NN_SERIES_FAR (1 << NN_SERIES_BITS)

typedef struct nn_series {
    int32_t x[3][NN_TIMELINE_MAX + NN_BANK_WINDOWS]; /* behind the end: 0 */
    int64_t base[3];                                 /* the newest, in sixteenths of a step */
    uint8_t scale[3];                                /* x is times 2 to this */
    unsigned count;                                  /* components */
    unsigned size;                                   /* points that there are */
    unsigned loaded;                                 /* of them */
    bool summed;                                     /* sums are of these points */
    int64_t sums[3][3][NN_TIMELINE_MAX + 1];         /* of x, i x, i i x, of the points before each */
} nn_series;

/* nn_bank_judge - errors of a predictor by component, in 1/128 of a step. lead: 1 .. NN_BANK_LEAD_MAX. False if it sees too
 * few points. */
NN_PRIVATE bool nn_bank_judge(nn_series* series, unsigned predictor, unsigned lead, int64_t errors[3]);

/* nn_bank_predict - of a component, lead_16 sixteenths of a step ahead, in sixteenths from the newest one. For a predictor
 * that was judged. */
NN_PRIVATE int64_t nn_bank_predict(const nn_series* series, unsigned component, unsigned predictor, uint32_t lead_16);

/* nn_bank_weigh - errors of up to four windows, newest first, to one. */
NN_PRIVATE int64_t nn_bank_weigh(const int64_t off[NN_BANK_WINDOWS], unsigned windows);

#endif
