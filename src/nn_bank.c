/* nn_bank - hold, line, parabola. Shifts of negative numbers round down. */
#include "nn_bank.h"

/* How far off each is at a point. A line's next difference is a whole number of
 * steps, so that nothing is cut off there. */
NN_INLINE void bank_try(const int32_t* x, int32_t ahead, int32_t off[NN_BANK_NUMBERS])
{
    const int32_t* a = x + ahead; /* sizes: 2^20 of a point, 2^29 of a product,
                                   2^28 of what is off */
    int32_t way = a[0] - a[2];
    int32_t curve = way - (a[2] - a[4]);
    off[0] = x[0] - a[0];
    off[1] = off[0] - (a[0] - a[1]) * ahead;
    off[2] = off[0] - ((way * (4 * ahead) + curve * (ahead * (ahead + 2))) >> 3);
}

NN_PRIVATE unsigned nn_bank_judge(const nn_series* series, unsigned lead, unsigned count,
                                  int64_t errors[NN_BANK_NUMBERS][3])
{
    static const uint8_t seen[NN_BANK_NUMBERS] = {1, 2, 5};
    bool both = lead + NN_NEAR_POINTS <= series->size;
    for (unsigned c = 0; c < series->count; c++) {
        int32_t newest[NN_BANK_NUMBERS];
        int32_t before[NN_BANK_NUMBERS];
        bank_try(series->x[c], (int32_t)lead, newest);
        bank_try(series->x[c] + both, (int32_t)lead, before); /* the same once more if there is no other */
        for (unsigned p = 0; p < NN_BANK_NUMBERS; p++) {
            uint32_t sizes[2] = {(uint32_t)(newest[p] < 0 ? -newest[p] : newest[p]),
                                 (uint32_t)(before[p] < 0 ? -before[p] : before[p])};
            errors[p][c] = (int64_t)(5 * sizes[0] + 3 * sizes[1]) << series->scale[c]; /* below 2^31 */
        }
    }
    while (!both && lead + seen[count - 1] > series->size) count--;
    return count;
}

NN_PRIVATE int64_t nn_bank_predict(const nn_series* series, unsigned component, unsigned predictor, uint32_t lead_16)
{
    const int32_t* x = series->x[component];
    int64_t lead = (int64_t)lead_16;
    int64_t value = 0;
    if (predictor == NN_BANK_LINE) value = -x[1] * lead >> 4;
    if (predictor == NN_BANK_PARABOLA) value = ((x[4] - 4 * x[2]) * lead * 32 + (x[4] - 2 * x[2]) * lead * lead) >> 11;
    return value * (INT64_C(1) << series->scale[component]);
}
