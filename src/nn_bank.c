/* nn_bank - lines, parabolas, and lines and parabolas of least squares. Shifts of negative numbers round down. */
#include "nn_bank.h"

/* Points that a predictor looks at. */
static const uint8_t bank_span[NN_BANK_NUMBERS] = {1, 2, 5, 3, 9, 24, 16, 9, 9, 17};

/* Weights of windows, by how many there are; their sum is 8, so that sums are in 1/128 of a step. */
static const uint8_t bank_weights[NN_BANK_WINDOWS][NN_BANK_WINDOWS - 1] = {
    {0, 0, 0}, {8, 0, 0}, {5, 3, 0}, {4, 2, 2}}; /* of four: 3, 2, 2, 1 */

/* How many windows a predictor can be judged by. */
static unsigned bank_windows(const nn_series* series, unsigned lead, unsigned span)
{
    unsigned seen = lead + span;
    if (seen > series->size) return 0;
    return series->size - seen + 1 < NN_BANK_WINDOWS ? series->size - seen + 1 : NN_BANK_WINDOWS;
}

static int64_t bank_size(int64_t off)
{
    return off < 0 ? -off : off;
}

NN_PRIVATE int64_t nn_bank_weigh(const int64_t off[NN_BANK_WINDOWS], unsigned windows)
{
    if (windows == NN_BANK_WINDOWS)
        return 3 * bank_size(off[0]) + 2 * (bank_size(off[1]) + bank_size(off[2])) + bank_size(off[3]);
    int64_t sum = 0;
    for (unsigned i = 0; i < windows; i++) sum += bank_weights[windows][i] * bank_size(off[i]);
    return sum;
}

NN_PRIVATE int64_t nn_bank_dot(const int32_t* x, const int64_t* weights, unsigned n)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < n; i++) sum += weights[i] * x[i];
    return sum;
}

NN_PRIVATE void nn_bank_dots(const int32_t* x, const int64_t* weights, unsigned n, int64_t sums[NN_BANK_WINDOWS])
{
    int64_t a = 0;
    int64_t b = 0;
    int64_t c = 0;
    int64_t d = 0;
    for (unsigned i = 0; i < n; i++) {
        int64_t weight = weights[i];
        a += weight * x[i];
        b += weight * x[i + 1];
        c += weight * x[i + 2];
        d += weight * x[i + 3];
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

/* ---- what looks at few points: how far off it is in each window */

static void bank_try_near(const int32_t* x, unsigned predictor, unsigned lead, int64_t off[NN_BANK_WINDOWS])
{
    const int32_t* a = x + lead;
    int32_t ahead = (int32_t)lead;
    switch (predictor) {
    case 0:
        for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) off[i] = x[i] - a[i];
        break;
    case 1:
        for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) off[i] = x[i] - a[i] - (a[i] - a[i + 1]) * ahead;
        break;
    case 2:
        for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) {
            int32_t slope = (3 * a[i] - 4 * a[i + 2] + a[i + 4]) * 2;
            off[i] = x[i] - a[i] - ((slope + (a[i] - 2 * a[i + 2] + a[i + 4]) * ahead) * ahead >> 3);
        }
        break;
    case 3:
        for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) {
            int32_t slope = 3 * a[i] - 4 * a[i + 1] + a[i + 2];
            off[i] = x[i] - a[i] - ((slope + (a[i] - 2 * a[i + 1] + a[i + 2]) * ahead) * ahead >> 1);
        }
        break;
    default:
        for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) {
            int32_t slope = (3 * a[i] - 4 * a[i + 4] + a[i + 8]) * 4;
            off[i] = x[i] - a[i] - ((slope + (a[i] - 2 * a[i + 4] + a[i + 8]) * ahead) * ahead >> 5);
        }
        break;
    }
}

/* Errors of all four in four windows. A line's next difference is a whole number of steps, so that nothing is cut off there:
 * the parabola through three points is the line through two, and its curve L (L + 1) / 2 times. */
static void bank_near(const int32_t* x, int32_t ahead, uint32_t errors[NN_BANK_NEAR])
{
    const int32_t* a = x + ahead;
    int32_t off[NN_BANK_NEAR][NN_BANK_WINDOWS];
    int32_t bend = ahead * (ahead + 1) / 2;
    int32_t bend_wide = ahead * (ahead + 2);
    for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) {
        int32_t way = a[i] - a[i + 1];
        int32_t way_wide = a[i] - a[i + 2];
        int32_t curve = way - (a[i + 1] - a[i + 2]);
        int32_t curve_wide = way_wide - (a[i + 2] - a[i + 4]);
        off[0][i] = x[i] - a[i];
        off[1][i] = off[0][i] - way * ahead;
        off[2][i] = off[0][i] - ((way_wide * (4 * ahead) + curve_wide * bend_wide) >> 3);
        off[3][i] = off[1][i] - curve * bend;
    }
    for (unsigned p = 0; p < NN_BANK_NEAR; p++) { /* below 2^29 each, the sum below 2^32 */
        uint32_t size[NN_BANK_WINDOWS];
        for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) size[i] = (uint32_t)(off[p][i] < 0 ? -off[p][i] : off[p][i]);
        errors[p] = 3 * size[0] + 2 * (size[1] + size[2]) + size[3];
    }
}

NN_PRIVATE bool nn_bank_judge_near(const nn_series* series, unsigned lead, int64_t errors[NN_BANK_NEAR][3])
{
    if (lead + bank_span[2] + NN_BANK_WINDOWS - 1 > series->size) return false;
    for (unsigned c = 0; c < series->count; c++) {
        uint32_t found[NN_BANK_NEAR];
        bank_near(series->x[c], (int32_t)lead, found);
        for (unsigned p = 0; p < NN_BANK_NEAR; p++) errors[p][c] = (int64_t)found[p] * (INT64_C(1) << series->scale[c]);
    }
    return true;
}

/* ---- least squares: what the sums of x, k x, k k x over n points (k = 0: the newest) weigh, times 2^32 */

typedef struct bank_fit {
    int64_t sum;
    int64_t moment;
    int64_t square;
} bank_fit;

#define BANK_ONE (INT64_C(1) << 32)
#define BANK_SLOPE(n, l) (-((l) + 8 * ((n)-1)) * BANK_ONE / (16 * ((n) * ((n) * (n)-1) / 12)))
#define BANK_LINE(n, l) \
    { \
        BANK_ONE / (n)-BANK_SLOPE(n, l) * ((n)-1) / 2, BANK_SLOPE(n, l), 0 \
    }
#define BANK_TILT(n, h, l) (((l) + 16 * (h)) * BANK_ONE / (16 * ((n) * ((n) * (n)-1) / 12)))
#define BANK_CURVE(n, h, l) \
    ((3 * ((l) + 16 * (h)) * ((l) + 16 * (h)) - 256 * (h) * ((h) + 1)) * (BANK_ONE / 256) / \
     (3 * ((n) * ((n) * (n)-1) * ((n) * (n)-4) / 180)))
#define BANK_PARABOLA(n, h, l) \
    { \
        BANK_ONE / (n) + (h)*BANK_TILT(n, h, l) + (h) * (h)*BANK_CURVE(n, h, l) - \
            (h) * ((h) + 1) * BANK_CURVE(n, h, l) / 3, \
            -BANK_TILT(n, h, l) - 2 * (h)*BANK_CURVE(n, h, l), BANK_CURVE(n, h, l) \
    }
#define BANK_LEADS(fit) \
    { \
        fit(16), fit(32), fit(48), fit(64), fit(80), fit(96), fit(112), fit(128), fit(144), fit(160), fit(176), \
            fit(192) \
    }
#define BANK_LINE_24(l) BANK_LINE(INT64_C(24), INT64_C(l))
#define BANK_LINE_16(l) BANK_LINE(INT64_C(16), INT64_C(l))
#define BANK_PARABOLA_9(l) BANK_PARABOLA(INT64_C(9), INT64_C(4), INT64_C(l))

/* For whole leads. */
static const bank_fit bank_fits[3][NN_LEAD_MAX] = {BANK_LEADS(BANK_LINE_24), BANK_LEADS(BANK_LINE_16),
                                                   BANK_LEADS(BANK_PARABOLA_9)};

static bank_fit bank_fit_of(unsigned predictor, uint32_t lead_16)
{
    if (lead_16 && lead_16 % 16 == 0) return bank_fits[predictor - NN_BANK_LINE][lead_16 / 16 - 1];
    int64_t n = bank_span[predictor];
    int64_t h = (n - 1) / 2;
    int64_t l = lead_16;
    if (predictor < NN_BANK_PARABOLA) {
        bank_fit line = BANK_LINE(n, l);
        return line;
    }
    bank_fit parabola = BANK_PARABOLA(n, h, l);
    return parabola;
}

/* Sums of the n points from x on: of them, times k, times k k. */
typedef struct bank_sums {
    int64_t sum;
    int64_t moment;
    int64_t square;
} bank_sums;

/* By adding alone: from the far end on, x[k] is k times in the sums of the sums, and k (k + 1) / 2 times in the sums of those. */
static bank_sums bank_sum_up(const int32_t* x, unsigned n)
{
    int32_t sum = 0; /* of 24 at most, each 2^20; with k 2^29, with k k of nine 2^28 */
    int32_t moment = 0;
    int32_t triangle = 0;
    if (n == 9) {
        for (unsigned k = 8; k > 0; k--) triangle += moment += sum += x[k];
    } else {
        for (unsigned k = n - 1; k > 0; k--) moment += sum += x[k];
    }
    bank_sums sums = {sum + x[0], moment, n == 9 ? 2 * triangle - moment : 0};
    return sums;
}

/* The same a point further back. */
static void bank_sum_on(bank_sums* sums, const int32_t* x, int64_t n)
{
    sums->sum += x[n] - x[0];
    sums->square += n * n * x[n] - 2 * (sums->moment + n * x[n]) + sums->sum;
    sums->moment += n * x[n] - sums->sum;
}

static int64_t bank_apply(const bank_sums* sums, const bank_fit* fit)
{
    return (fit->sum * sums->sum + fit->moment * sums->moment + fit->square * sums->square) >> 32;
}

/* ---- cubes of 9 points and fourth powers of 17, whole leads: what each point weighs, the newest first, times 2^20;
 * src/PROTOCOL.md has the formula */

/* clang-format off */
static const int64_t bank_cubic[NN_LEAD_MAX][9] = {
    {1864134, 116508, -632474, -674085, -299593, 199729, 532610, 407778, -466034},
    {3262235, -233019, -1606152, -1497966, -549254, 599186, 1306558, 932067, -1165085},
    {5168736, -789081, -3011063, -2646406, -844308, 1246036, 2475427, 1694667, -2245436},
    {7657780, -1588752, -4916051, -4167068, -1184755, 2187938, 4108057, 2732652, -3781228},
    {10803508, -2669104, -7389965, -6107615, -1570594, 3472557, 6273299, 4083090, -5846606},
    {14680062, -4067204, -10501648, -8515709, -2001827, 5147555, 9039996, 5783054, -8515708},
    {19361583, -5820127, -14319947, -11439011, -2478452, 7260595, 12476995, 7869615, -11862677},
    {24922213, -7964942, -18913708, -14925186, -3000471, 9859338, 16653142, 10379842, -15961657},
    {31436094, -10538719, -24351779, -19021894, -3567882, 12991448, 21637283, 13350807, -20886786},
    {38977368, -13578530, -30703001, -23776802, -4180686, 16704588, 27498263, 16819582, -26712208},
    {47620178, -17121446, -38036224, -29237566, -4838883, 21046418, 34304928, 20823236, -33512066},
    {57438662, -21204538, -46420293, -35451855, -5542473, 26064603, 42126125, 25398840, -41360498},
};
static const int64_t bank_quartic[NN_LEAD_MAX][17] = {
    {1542020, 385503, -231304, -462608, -441256, -278750, -65241, 130478, 260957, 300100, 243165, 106756, -71170, -231304, -292986, -154203, 308404},
    {2570036, 385503, -719612, -1063997, -921261, -519938, -43495, 369690, 626298, 678094, 521915, 199672, -201649, -549989, -668212, -334105, 719610},
    {3976795, 338161, -1442740, -1924825, -1586973, -828031, 33190, 757922, 1187420, 1242982, 925942, 317665, -420445, -1046955, -1240384, -599225, 1358063},
    {5838045, 228326, -2453713, -3100280, -2474729, -1211560, 183585, 1333921, 1991520, 2037301, 1481049, 461400, -754155, -1769270, -2058737, -968500, 2284359},
    {8236026, 39225, -3810422, -4650420, -3623859, -1679432, 428582, 2140311, 3090290, 3107457, 2215164, 631168, -1232371, -2768880, -3177382, -1462487, 3565590},
    {11259474, -247538, -5575633, -6640171, -5076690, -2240929, 791197, 3223577, 4539916, 4503727, 3158337, 826887, -1887678, -4102595, -4655289, -2103374, 5275342},
    {15003615, -651980, -7816978, -9139331, -6878549, -2905705, 1296568, 4634081, 6401082, 6280259, 4342740, 1048097, -2755665, -5832095, -6556306, -2914966, 7493693},
    {19570170, -1195746, -10606959, -12222566, -9077754, -3683792, 1971959, 6426054, 8738965, 8495072, 5802669, 1293968, -3874912, -8023934, -8949147, -3922692, 10307208},
    {25067349, -1902101, -14022946, -15969412, -11725622, -4585595, 2846749, 8657597, 11623236, 11210053, 7574539, 1563291, -5286998, -10749528, -11907398, -5153605, 13808955},
    {31609856, -2795934, -18147183, -20464276, -14876469, -5621892, 3952448, 11390682, 15128062, 14490962, 9696892, 1854486, -7036497, -14085168, -15509511, -6636382, 18098486},
    {39318892, -3903756, -23066780, -25796432, -18587606, -6803840, 5322685, 14691154, 19332104, 18407432, 12210391, 2165596, -9170982, -18112014, -19838810, -8401324, 23281850},
    {48322145, -5253703, -28873715, -32060023, -22919339, -8142965, 6993211, 18628725, 24318522, 23032961, 15157819, 2494291, -11741021, -22916093, -24983487, -10480349, 29471585},
};
/* clang-format on */

static const int64_t* bank_weights_of(unsigned predictor, unsigned lead)
{
    return predictor == NN_BANK_CUBIC ? bank_cubic[lead - 1] : bank_quartic[lead - 1];
}

/* ---- what looks far back */

/* What is said of the windows' points, each from `lead` points further back. */
static void bank_say(const int32_t* x, unsigned predictor, unsigned lead, unsigned windows,
                     int64_t values[NN_BANK_WINDOWS])
{
    unsigned n = bank_span[predictor];
    x += lead;
    if (predictor >= NN_BANK_CUBIC) {
        nn_bank_dots(x, bank_weights_of(predictor, lead), n, values);
        for (unsigned i = 0; i < windows; i++) values[i] >>= 20;
    } else {
        const bank_fit* fit = &bank_fits[predictor - NN_BANK_LINE][lead - 1];
        bank_sums sums = bank_sum_up(x, n);
        values[0] = bank_apply(&sums, fit);
        for (unsigned i = 1; i < windows; i++) {
            bank_sum_on(&sums, x + i - 1, n);
            values[i] = bank_apply(&sums, fit);
        }
    }
}

NN_PRIVATE bool nn_bank_judge(nn_series* series, unsigned predictor, unsigned lead, int64_t errors[3])
{
    unsigned windows = bank_windows(series, lead, bank_span[predictor]);
    if (!windows) return false;
    nn_series_load(series, lead + bank_span[predictor] + windows - 1);
    for (unsigned c = 0; c < series->count; c++) {
        const int32_t* x = series->x[c];
        int64_t off[NN_BANK_WINDOWS];
        if (predictor <= NN_BANK_WIDE) {
            bank_try_near(x, predictor, lead, off);
        } else {
            bank_say(x, predictor, lead, windows, off);
            for (unsigned i = 0; i < windows; i++) off[i] = x[i] - off[i];
        }
        errors[c] = nn_bank_weigh(off, windows) * (INT64_C(1) << series->scale[c]);
    }
    return true;
}

/* ---- from the newest point on, in sixteenths */

static int64_t bank_ahead(const int32_t* x, unsigned apart, unsigned bits, int64_t lead)
{
    int64_t b = x[apart];
    int64_t c = x[2 * apart];
    return ((c - 4 * b) * lead * 16 * (int64_t)apart + (c - 2 * b) * lead * lead) >> (9 + 2 * bits);
}

static int64_t bank_predict(const int32_t* x, unsigned predictor, uint32_t lead_16)
{
    int64_t lead = (int64_t)lead_16;
    switch (predictor) {
    case 0: return 0;
    case 1: return -x[1] * lead >> 4;
    case 2: return bank_ahead(x, 2, 1, lead);
    case 3: return bank_ahead(x, 1, 0, lead);
    case NN_BANK_WIDE: return bank_ahead(x, 4, 2, lead);
    default: break;
    }
    if (lead_16 > 16 * NN_LEAD_MAX) lead_16 = 16 * NN_LEAD_MAX;
    if (predictor >= NN_BANK_CUBIC) {
        const int64_t* weights = bank_weights_of(predictor, lead_16 < 16 ? 1 : lead_16 / 16);
        return nn_bank_dot(x, weights, bank_span[predictor]) >> 20;
    }
    bank_fit fit = bank_fit_of(predictor, lead_16);
    bank_sums sums = bank_sum_up(x, bank_span[predictor]);
    return bank_apply(&sums, &fit);
}

NN_PRIVATE int64_t nn_bank_predict(const nn_series* series, unsigned component, unsigned predictor, uint32_t lead_16)
{
    return bank_predict(series->x[component], predictor, lead_16) * (INT64_C(1) << series->scale[component]);
}
