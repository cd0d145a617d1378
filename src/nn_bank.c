/* nn_bank - lines, parabolas, and lines and parabolas of least squares. Shifts of negative numbers round down. */
#include "nn_bank.h"

#define BANK_OFF_MAX (1 << 24)

/* Points that a predictor looks at. */
static const uint8_t bank_span[NN_BANK_NUMBERS] = {1, 2, 3, 2, 5, 3, 9, 24, 16, 9, 17, 9, 17};

/* Weights of windows, by how many there are; their sum is 8, so that sums are in 1/128 of a step. */
static const int32_t bank_weights[NN_BANK_WINDOWS + 1][NN_BANK_WINDOWS] = {
    {0, 0, 0, 0}, {8, 0, 0, 0}, {5, 3, 0, 0}, {4, 2, 2, 0}, {3, 2, 2, 1}};

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
#define BANK_PARABOLA_17(l) BANK_PARABOLA(INT64_C(17), INT64_C(8), INT64_C(l))

/* For whole leads. */
static const bank_fit bank_fits[4][NN_BANK_LEAD_MAX] = {BANK_LEADS(BANK_LINE_24), BANK_LEADS(BANK_LINE_16),
                                                        BANK_LEADS(BANK_PARABOLA_9), BANK_LEADS(BANK_PARABOLA_17)};

static bank_fit bank_line_of(int64_t n, int64_t l)
{
    bank_fit fit = BANK_LINE(n, l);
    return fit;
}

static bank_fit bank_parabola_of(int64_t n, int64_t l)
{
    int64_t h = (n - 1) / 2;
    bank_fit fit = BANK_PARABOLA(n, h, l);
    return fit;
}

static bank_fit bank_fit_of(unsigned predictor, uint32_t lead_16)
{
    if (lead_16 && lead_16 % 16 == 0) return bank_fits[predictor - 7][lead_16 / 16 - 1];
    return predictor < 9 ? bank_line_of(bank_span[predictor], lead_16)
                         : bank_parabola_of(bank_span[predictor], lead_16);
}

/* Of the n points from x[a] on. */
static int64_t bank_apply(const nn_series* series, unsigned component, unsigned a, unsigned n, const bank_fit* fit)
{
    const int64_t(*sums)[NN_TIMELINE_MAX + 1] = series->sums[component];
    int64_t from = (int64_t)a;
    int64_t sum = sums[0][a + n] - sums[0][a];
    int64_t raw = sums[1][a + n] - sums[1][a];
    int64_t moment = raw - from * sum;
    int64_t square = sums[2][a + n] - sums[2][a] - 2 * from * raw + from * from * sum;
    return (fit->sum * sum + fit->moment * moment + fit->square * square) >> 32;
}

static void bank_sum_up(nn_series* series)
{
    for (unsigned c = 0; c < series->count; c++) {
        int64_t sum = 0;
        int64_t moment = 0;
        int64_t square = 0;
        for (unsigned i = 0; i < series->size; i++) {
            int64_t value = series->x[c][i];
            int64_t at = (int64_t)i;
            series->sums[c][0][i] = sum;
            series->sums[c][1][i] = moment;
            series->sums[c][2][i] = square;
            sum += value;
            moment += at * value;
            square += at * at * value;
        }
        series->sums[c][0][series->size] = sum;
        series->sums[c][1][series->size] = moment;
        series->sums[c][2][series->size] = square;
    }
    series->summed = true;
}

/* ---- cubes of 9 points and fourth powers of 17, whole leads: what each point weighs, the newest first, times 2^20;
 * src/PROTOCOL.md has the formula */

/* clang-format off */
static const int32_t bank_cubic[NN_BANK_LEAD_MAX][9] = {
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
static const int32_t bank_quartic[NN_BANK_LEAD_MAX][17] = {
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

static const int32_t* bank_weights_of(unsigned predictor, unsigned lead)
{
    return predictor == NN_BANK_CUBIC ? bank_cubic[lead - 1] : bank_quartic[lead - 1];
}

static int64_t bank_power(const int32_t* x, const int32_t* weights, unsigned points)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < points; i++) sum += (int64_t)weights[i] * x[i];
    return sum >> 20;
}

/* ---- four windows, each a point further back, whole leads */

static void bank_line(const int32_t* x, unsigned apart, int32_t lead, unsigned half, int32_t values[NN_BANK_WINDOWS])
{
    for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) values[i] = x[i] + ((x[i] - x[i + apart]) * lead >> half);
}

static void bank_curve(const int32_t* x, unsigned apart, unsigned bits, int32_t lead, int32_t values[NN_BANK_WINDOWS])
{
    int32_t once = lead * (int32_t)apart;
    int32_t twice = lead * lead;
    for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) {
        int32_t a = x[i];
        int32_t b = x[i + apart];
        int32_t c = x[i + 2 * apart];
        values[i] = a + (((3 * a - 4 * b + c) * once + (a - 2 * b + c) * twice) >> (1 + 2 * bits));
    }
}

static void bank_windows(const nn_series* series, unsigned component, unsigned predictor, unsigned lead,
                         int32_t values[NN_BANK_WINDOWS])
{
    const int32_t* x = series->x[component] + lead;
    int32_t ahead = (int32_t)lead;
    switch (predictor) {
    case 0: memcpy(values, x, NN_BANK_WINDOWS * sizeof *values); return;
    case 1: bank_line(x, 1, ahead, 0, values); return;
    case 2: bank_line(x, 2, ahead, 1, values); return;
    case 3: bank_line(x, 1, ahead, 1, values); return;
    case 4: bank_curve(x, 2, 1, ahead, values); return;
    case 5: bank_curve(x, 1, 0, ahead, values); return;
    default: bank_curve(x, 4, 2, ahead, values); return;
    }
}

NN_PRIVATE int64_t nn_bank_weigh(const int64_t off[NN_BANK_WINDOWS], unsigned windows)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < windows; i++) {
        int64_t size = off[i] < 0 ? -off[i] : off[i];
        sum += bank_weights[windows][i] * (size > BANK_OFF_MAX ? BANK_OFF_MAX : size);
    }
    return sum;
}

static int32_t bank_weigh(const int32_t* x, const int32_t values[NN_BANK_WINDOWS], const int32_t* weights)
{
    int32_t sum = 0;
    for (unsigned i = 0; i < NN_BANK_WINDOWS; i++) {
        int32_t off = x[i] - values[i];
        off = off < 0 ? -off : off;
        off = off > BANK_OFF_MAX ? BANK_OFF_MAX : off;
        sum += off * weights[i];
    }
    return sum;
}

/* Predictions of windows that each begin a point further back than the one before. */
static void bank_far_windows(const nn_series* series, unsigned component, unsigned predictor, unsigned lead,
                             unsigned windows, int64_t values[NN_BANK_WINDOWS])
{
    if (predictor >= NN_BANK_CUBIC) {
        const int32_t* weights = bank_weights_of(predictor, lead);
        for (unsigned i = 0; i < windows; i++) {
            values[i] = bank_power(series->x[component] + lead + i, weights, bank_span[predictor]);
        }
        return;
    }
    bank_fit fit = bank_fits[predictor - 7][lead - 1];
    for (unsigned i = 0; i < windows; i++)
        values[i] = bank_apply(series, component, lead + i, bank_span[predictor], &fit);
}

NN_PRIVATE bool nn_bank_judge(nn_series* series, unsigned predictor, unsigned lead, int64_t errors[3])
{
    unsigned seen = lead + bank_span[predictor];
    if (seen > series->size) return false;
    unsigned windows = series->size - seen + 1;
    if (windows > NN_BANK_WINDOWS) windows = NN_BANK_WINDOWS;
    if (predictor > NN_BANK_NEAR && predictor < NN_BANK_CUBIC && !series->summed) bank_sum_up(series);
    for (unsigned c = 0; c < series->count; c++) {
        if (predictor <= NN_BANK_NEAR) {
            int32_t values[NN_BANK_WINDOWS];
            bank_windows(series, c, predictor, lead, values);
            errors[c] = bank_weigh(series->x[c], values, bank_weights[windows]);
        } else {
            int64_t values[NN_BANK_WINDOWS];
            bank_far_windows(series, c, predictor, lead, windows, values);
            for (unsigned i = 0; i < windows; i++) values[i] = series->x[c][i] - values[i];
            errors[c] = nn_bank_weigh(values, windows);
        }
        errors[c] *= INT64_C(1) << series->scale[c];
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

static int64_t bank_predict(const nn_series* series, unsigned component, unsigned predictor, uint32_t lead_16)
{
    const int32_t* x = series->x[component];
    int64_t lead = (int64_t)lead_16;
    switch (predictor) {
    case 0: return 0;
    case 1: return -x[1] * lead >> 4;
    case 2: return -x[2] * lead >> 5;
    case 3: return -x[1] * lead >> 5;
    case 4: return bank_ahead(x, 2, 1, lead);
    case 5: return bank_ahead(x, 1, 0, lead);
    case 6: return bank_ahead(x, 4, 2, lead);
    default: break;
    }
    if (lead_16 > 16 * NN_BANK_LEAD_MAX) lead_16 = 16 * NN_BANK_LEAD_MAX;
    if (predictor >= NN_BANK_CUBIC) {
        return bank_power(x, bank_weights_of(predictor, lead_16 < 16 ? 1 : lead_16 / 16), bank_span[predictor]);
    }
    bank_fit fit = bank_fit_of(predictor, lead_16);
    return bank_apply(series, component, 0, bank_span[predictor], &fit);
}

NN_PRIVATE int64_t nn_bank_predict(const nn_series* series, unsigned component, unsigned predictor, uint32_t lead_16)
{
    return bank_predict(series, component, predictor, lead_16) * (INT64_C(1) << series->scale[component]);
}
