/* nn_spin - how far it turns in a step, and waves of that length. Numbers are times 2^26. */
#include "nn_spin.h"

#define SPIN_BITS 26
#define SPIN_ONE (INT64_C(1) << SPIN_BITS)
#define SPIN_PAIRS 4
#define SPIN_NOISE 160  /* what rounding alone puts between two states, squared, in sixteenths of a step */
#define SPIN_LEAST 1024 /* less than that is not seen to turn */

static const uint8_t spin_half[NN_SPIN_NUMBERS] = {8, 12};

/* Of the newest value, from the middle, in sixteenths. */
static int64_t spin_base(const nn_series* series, unsigned component)
{
    return series->base[component] - (int64_t)(series->field->range / 2) * 16;
}

/* ---- the rate */

/* The fourth component of a point, in sixteenths of a step; square: of all four. */
static int64_t spin_fourth(const nn_series* series, unsigned point, int64_t square)
{
    for (unsigned c = 0; c < 3; c++) {
        int64_t x = spin_base(series, c) + series->x[c][point];
        square -= x * x;
    }
    return square > 0 ? (int64_t)nn_quaternion_root((uint64_t)square) : 0;
}

/* The mean square of the way between points so far apart on the quaternion's sphere. */
static int64_t spin_mean_way(const nn_series* series, unsigned apart, int64_t square)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < SPIN_PAIRS; i++) {
        int64_t way = spin_fourth(series, i, square) - spin_fourth(series, i + apart, square);
        sum += way * way;
        for (unsigned c = 0; c < 3; c++) {
            way = series->x[c][i] - series->x[c][i + apart];
            sum += way * way;
        }
    }
    return sum / SPIN_PAIRS - SPIN_NOISE;
}

/* From the square of a chord (of the unit circle) to the cosine of its angle's share. */
static int64_t spin_cosine(int64_t chord, int64_t apart)
{
    int64_t second = chord * chord >> SPIN_BITS;
    int64_t third = second * chord >> SPIN_BITS;
    int64_t fourth = third * chord >> SPIN_BITS;
    int64_t square = (chord + second / 12 + third / 90 + fourth / 560) / (apart * apart);
    int64_t again = square * square >> SPIN_BITS;
    return SPIN_ONE - square / 2 + again / 24 - (again * square >> SPIN_BITS) / 720;
}

NN_PRIVATE int32_t nn_spin_seek(const nn_series* series)
{
    int64_t square = nn_quaternion_square(series->field);
    for (unsigned apart = 12; apart >= 3; apart /= 2) {
        if (series->size < apart + SPIN_PAIRS) continue;
        int64_t way = spin_mean_way(series, apart, square);
        if (way >= square) continue; /* too far round to tell */
        if (way < SPIN_LEAST) break;
        return (int32_t)spin_cosine((way << SPIN_BITS) / square, (int64_t)apart);
    }
    return NN_SPIN_NONE;
}

/* ---- waves */

/* What 2 half + 1 points weigh, the newest first, lead_16 sixteenths of a step ahead. */
static const nn_spin_weights* spin_weigh(nn_spin* spin, unsigned number, uint32_t lead_16)
{
    int64_t even[NN_SPIN_POINTS_MAX / 2 + NN_LEAD_MAX + 2]; /* cosines of 0, 1, .. steps */
    int64_t odd[NN_SPIN_POINTS_MAX / 2 + NN_LEAD_MAX + 2];  /* sines, over that of one step */
    nn_spin_weights* weights = &spin->weights[number];
    int half = spin_half[number];
    int64_t cosine = spin->rate;
    int at = half + (int)(lead_16 / 16);
    int64_t share = lead_16 % 16;
    if (weights->lead_16 == lead_16) return weights;
    weights->lead_16 = lead_16;
    even[0] = SPIN_ONE;
    even[1] = cosine;
    odd[0] = 0;
    odd[1] = SPIN_ONE;
    for (int i = 2; i <= at + 1; i++) {
        even[i] = (2 * cosine * even[i - 1] >> SPIN_BITS) - even[i - 2];
        odd[i] = (2 * cosine * odd[i - 1] >> SPIN_BITS) - odd[i - 2];
    }
    int64_t evens = SPIN_ONE;
    int64_t odds = 0;
    for (int i = 1; i <= half; i++) {
        evens += 2 * (even[i] * even[i] >> SPIN_BITS);
        odds += 2 * (odd[i] * odd[i] >> SPIN_BITS);
    }
    int64_t now_even = (even[at] * (16 - share) + even[at + 1] * share) / 16 * SPIN_ONE / evens;
    int64_t now_odd = (odd[at] * (16 - share) + odd[at + 1] * share) / 16 * SPIN_ONE / odds;
    weights->points[half] = now_even;
    weights->sum = now_even;
    for (int i = 1; i <= half; i++) {
        int64_t one = even[i] * now_even >> SPIN_BITS;
        int64_t other = odd[i] * now_odd >> SPIN_BITS;
        weights->points[half - i] = one + other;
        weights->points[half + i] = one - other;
        weights->sum += 2 * one;
    }
    return weights;
}

/* A sum of weight x point, relative to the series' newest. */
static int64_t spin_say(const nn_spin_weights* weights, const nn_series* series, unsigned component, int64_t sum)
{
    int64_t base = spin_base(series, component);
    return ((sum + weights->sum * base) >> SPIN_BITS) - base;
}

NN_PRIVATE bool nn_spin_judge(nn_spin* spin, nn_series* series, unsigned number, unsigned lead, int64_t errors[3])
{
    unsigned points = 2u * spin_half[number] + 1;
    if (lead + points > series->size || spin->rate == NN_SPIN_NONE) return false;
    unsigned windows = series->size - lead - points + 1;
    if (windows > NN_BANK_WINDOWS) windows = NN_BANK_WINDOWS;
    nn_series_load(series, lead + points + windows - 1);
    const nn_spin_weights* weights = spin_weigh(spin, number, lead * 16);
    for (unsigned c = 0; c < 3; c++) {
        int64_t off[NN_BANK_WINDOWS];
        nn_bank_dots(series->x[c] + lead, weights->points, points, off);
        for (unsigned i = 0; i < windows; i++) off[i] = series->x[c][i] - spin_say(weights, series, c, off[i]);
        errors[c] = nn_bank_weigh(off, windows);
    }
    return true;
}

NN_PRIVATE void nn_spin_predict(nn_spin* spin, const nn_series* series, unsigned number, uint32_t lead_16,
                                int64_t values[3])
{
    if (lead_16 > 16 * NN_LEAD_MAX) lead_16 = 16 * NN_LEAD_MAX;
    const nn_spin_weights* weights = spin_weigh(spin, number, lead_16);
    for (unsigned c = 0; c < 3; c++) {
        int64_t sum = nn_bank_dot(series->x[c], weights->points, 2u * spin_half[number] + 1);
        values[c] = spin_say(weights, series, c, sum);
    }
}
