/* nn_predict - the grid, the bank of predictors, and which of them to believe. */
#include "nn_predict.h"

#define PREDICT_SHIFT 16           /* series are in 1/16 of a step */
#define PREDICT_LEAD_MAX 64        /* steps that a predictor may look ahead */
#define PREDICT_PAST_LEAD 12       /* and when its past is judged */
#define PREDICT_GAP_STEPS 4        /* a longer gap between known states is rest, not motion */
#define PREDICT_FEW_POINTS 2       /* newest points that predictors are judged by; the very newest counts twice */
#define PREDICT_MANY_POINTS 6      /* where all is smooth */
#define PREDICT_FIXED (1 << 7)     /* of an error */
#define PREDICT_ROUGH INT64_C(256) /* an error of two steps */
#define PREDICT_OFF_MAX (INT64_C(1) << 40)
#define PREDICT_WEIGHT_MAX INT64_C(0xffffffff)

/* Points of the grid: the state at or before each, and how far towards it from the next newer one, in sixteenths. */
typedef struct predict_grid {
    uint32_t size;
    uint32_t lead_16; /* sixteenths of a step from the newest state to now */
    uint32_t lead;    /* whole steps, for judging */
    uint8_t at[NN_TIMELINE_MAX];
    uint8_t share[NN_TIMELINE_MAX]; /* 16: the state itself */
    bool even;                      /* every point is a state */
} predict_grid;

/* One field's components over the grid, newest first. */
typedef struct predict_series {
    int64_t x[3][NN_TIMELINE_MAX];
    unsigned count;  /* components */
    unsigned size;   /* points that there are */
    unsigned loaded; /* of them */
} predict_series;

/* What was chosen for a field. */
typedef struct predict_choice {
    unsigned best;
    unsigned second;
    int64_t error[3]; /* in 1/128 of a step */
    int64_t mean;
} predict_choice;

NN_PRIVATE uint64_t nn_predict_root(uint64_t value)
{
    if (value < 2) return value;
    uint64_t root = 1;
    while (root * root < value && root < UINT64_C(1) << 31) root <<= 1;
    for (;;) { /* Newton from above */
        uint64_t next = (root + value / root) / 2;
        if (next >= root) return root;
        root = next;
    }
}

static int64_t predict_clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

/* ---- the grid */

static void predict_lay_grid(const nn_timeline* timeline, predict_grid* grid)
{
    uint32_t step = UINT32_MAX;
    for (uint32_t i = 0; i + 1 < timeline->count && i < NN_QUIET_STATES; i++) {
        uint32_t gap = timeline->ticks[i] - timeline->ticks[i + 1];
        if (gap < step) step = gap;
    }
    uint32_t ahead = timeline->now - timeline->ticks[0];
    if (timeline->count < 2) step = ahead;
    grid->lead_16 = (uint32_t)nn_min_u64((uint64_t)ahead * 16 / step, PREDICT_LEAD_MAX * 16);
    grid->lead = (uint32_t)nn_min_u64(nn_max_u64(((uint64_t)ahead + step / 2) / step, 1), PREDICT_PAST_LEAD);
    uint32_t state = 0;
    uint32_t reach = timeline->ticks[0] - timeline->ticks[timeline->count - 1];
    grid->even = true;
    for (grid->size = 0; grid->size < NN_TIMELINE_MAX; grid->size++) {
        uint64_t back = (uint64_t)grid->size * step;
        if (back > reach) break;
        uint32_t tick = timeline->ticks[0] - (uint32_t)back;
        while (timeline->ticks[state] > tick) state++;
        uint32_t share = 16;
        if (timeline->ticks[state] != tick) {
            uint32_t newer = timeline->ticks[state - 1];
            uint32_t gap = newer - timeline->ticks[state];
            if (gap <= (uint64_t)PREDICT_GAP_STEPS * step) share = (newer - tick) * 16 / gap;
        }
        grid->at[grid->size] = (uint8_t)state;
        grid->share[grid->size] = (uint8_t)share;
        if (state != grid->size || timeline->ticks[state] != tick) grid->even = false;
    }
}

/* ---- series */

NN_PRIVATE uint64_t nn_predict_square(const nn_field_plan* field)
{
    return (uint64_t)(1.0 / (field->step * field->step) + 0.5);
}

/* The four components of a quaternion, the one left out found by the root. */
static void predict_unfold(const nn_field_plan* field, const uint32_t* words, int64_t q[4])
{
    int64_t middle = (int64_t)(field->range / 2);
    int64_t left = (int64_t)nn_predict_square(field);
    unsigned place = 1;
    for (unsigned i = 0; i < 4; i++) {
        if (i == words[0]) continue;
        q[i] = (int64_t)words[place++] - middle;
        left -= q[i] * q[i];
    }
    q[words[0] & 3] = (int64_t)nn_predict_root(left > 0 ? (uint64_t)left : 0);
}

static void predict_fold(const nn_field_plan* field, const int64_t q[4], unsigned largest, uint32_t* to)
{
    int64_t middle = (int64_t)(field->range / 2);
    unsigned place = 1;
    to[0] = largest;
    for (unsigned i = 0; i < 4; i++) {
        if (i == largest) continue;
        int64_t value = q[largest] < 0 ? -q[i] : q[i];
        if (value > middle) value = middle;
        if (value < -middle) value = -middle;
        to[place++] = (uint32_t)(value + middle);
    }
}

NN_PRIVATE void nn_predict_turn(const nn_field_plan* field, const uint32_t* words, unsigned largest, uint32_t* to)
{
    int64_t q[4];
    predict_unfold(field, words, q);
    predict_fold(field, q, largest, to);
}

/* A state's components in steps; a quaternion's seen as one whose component `largest` is left out. */
static void predict_load(const nn_field_plan* field, const uint32_t* words, unsigned largest, int64_t* values)
{
    uint32_t turned[4];
    if (field->kind == NECPNET_FIELD_QUAT) {
        if (words[0] != largest) {
            nn_predict_turn(field, words, largest, turned);
            words = turned;
        }
        words++;
    }
    for (unsigned i = 0; i < field->components; i++) values[i] = (int64_t)words[i];
}

/* The short way round from one angle to another. */
static int64_t predict_way(const nn_field_plan* field, int64_t from, int64_t to)
{
    int64_t turn = (int64_t)field->range + 1;
    int64_t way = (to - from) % turn;
    if (way > turn / 2) way -= turn;
    if (way < -(turn / 2)) way += turn;
    return way;
}

/* An even grid: its points are the states. */
static void predict_load_even(const nn_field_plan* field, const nn_timeline* timeline, uint32_t to,
                              predict_series* series)
{
    unsigned largest = timeline->rows[0][field->word];
    int64_t value[3] = {0, 0, 0};
    for (uint32_t i = series->loaded; i < to; i++) {
        predict_load(field, timeline->rows[i] + field->word, largest, value);
        for (unsigned k = 0; k < series->count; k++) series->x[k][i] = value[k] * PREDICT_SHIFT;
    }
}

static void predict_load_uneven(const nn_field_plan* field, const nn_timeline* timeline, const predict_grid* grid,
                                predict_series* series)
{
    unsigned largest = timeline->rows[0][field->word];
    int64_t newer[3] = {0, 0, 0};
    int64_t value[3] = {0, 0, 0};
    uint32_t state = UINT32_MAX;
    for (uint32_t i = 0; i < grid->size; i++) {
        while (state != grid->at[i]) {
            state = state == UINT32_MAX ? 0 : state + 1;
            memcpy(newer, value, sizeof newer);
            predict_load(field, timeline->rows[state] + field->word, largest, value);
            if (state > 0 && field->kind == NECPNET_FIELD_ANGLE) {
                value[0] = newer[0] + predict_way(field, newer[0], value[0]);
            }
        }
        int64_t share = grid->share[i];
        for (unsigned k = 0; k < series->count; k++) {
            series->x[k][i] = value[k] * share + (share == 16 ? 0 : newer[k] * (16 - share));
        }
    }
}

/* Points 0 .. to - 1 at least. */
static void predict_load_series(const nn_field_plan* field, const nn_timeline* timeline, const predict_grid* grid,
                                uint32_t to, predict_series* series)
{
    if (to > grid->size) to = grid->size;
    if (series->loaded >= to) return;
    if (grid->even && field->kind != NECPNET_FIELD_ANGLE) {
        predict_load_even(field, timeline, to, series);
        series->loaded = to;
    } else {
        predict_load_uneven(field, timeline, grid, series);
        series->loaded = grid->size;
    }
}

/* ---- the bank */

#define PREDICT_BANK 13
#define PREDICT_COUNTER_RANGE 4096 /* integers of a smaller range count, they do not move */
#define PREDICT_NEAR_SPAN 5        /* of the first six */

/* Points that a predictor looks at. */
static const uint8_t predict_span[PREDICT_BANK] = {1, 2, 3, 2, 5, 3, 9, 8, 16, 24, 9, 17, 23};

NN_INLINE int64_t predict_quadratic(const int64_t* x, unsigned spacing, int64_t lead)
{
    int64_t a = x[0];
    int64_t b = x[spacing];
    int64_t c = x[2 * spacing];
    int64_t apart = (int64_t)spacing;
    return a + (3 * a - 4 * b + c) * lead / (32 * apart) + (a - 2 * b + c) * lead * lead / (512 * apart * apart);
}

/* Least squares: a line, a parabola, from sums over the points. Slopes are in sixteenths a step. */
NN_INLINE int64_t predict_line_of(int points, int64_t sum, int64_t moment, int64_t lead)
{
    int64_t slope = 16 * moment / (points * (points * points - 1) / 6);
    return sum / points + slope * (8 * (points - 1) + lead) / 256;
}

NN_INLINE int64_t predict_parabola_of(int half, int64_t sum, int64_t moment, int64_t squared, int64_t lead)
{
    int points = 2 * half + 1;
    int squares = half * (half + 1);
    int64_t at = 16 * half + lead;
    int64_t slope = 16 * moment / (points * (points * points - 1) / 12);
    int64_t curve =
        16 * (3 * squared - squares * sum) / (points * (points * points - 1) / 4 * (points * points - 4) / 5);
    return sum / points + slope * at / 256 + curve * (3 * at * at - 256 * squares) / 4096;
}

/* For so many windows, each a point further back than the one before; sums are carried from one to the next. */
NN_INLINE void predict_line(const int64_t* x, int points, int64_t lead, unsigned windows, int64_t* values)
{
    int64_t sum = 0;
    int64_t moment = 0;
    for (int i = 0; i < points; i++) {
        sum += x[i];
        moment += (points - 1 - 2 * i) * x[i];
    }
    values[0] = predict_line_of(points, sum, moment, lead);
    for (unsigned i = 1; i < windows; i++, x++) {
        sum += x[points] - x[0];
        moment += 2 * sum - (points - 1) * x[0] - (points + 1) * x[points];
        values[i] = predict_line_of(points, sum, moment, lead);
    }
}

NN_INLINE void predict_parabola(const int64_t* x, int half, int64_t lead, unsigned windows, int64_t* values)
{
    int points = 2 * half + 1;
    int64_t sum = 0;
    int64_t moment = 0;
    int64_t squared = 0;
    for (int i = -half; i <= half; i++) {
        int64_t value = x[half - i];
        sum += value;
        moment += i * value;
        squared += i * i * value;
    }
    values[0] = predict_parabola_of(half, sum, moment, squared, lead);
    for (unsigned i = 1; i < windows; i++, x++) {
        squared += 2 * moment + sum - (half + 1) * (half + 1) * x[0] + half * half * x[points];
        moment += sum - (half + 1) * x[0] - half * x[points];
        sum += x[points] - x[0];
        values[i] = predict_parabola_of(half, sum, moment, squared, lead);
    }
}

/* Predictions of windows that begin at x[0], x[1], ..; lead: sixteenths of a step beyond the first point of each. */
NN_INLINE void predict_by(unsigned predictor, const int64_t* x, int64_t lead, unsigned windows, int64_t* values)
{
    switch (predictor) {
    case 7: predict_line(x, 8, lead, windows, values); return;
    case 8: predict_line(x, 16, lead, windows, values); return;
    case 9: predict_line(x, 24, lead, windows, values); return;
    case 10: predict_parabola(x, 4, lead, windows, values); return;
    case 11: predict_parabola(x, 8, lead, windows, values); return;
    case 12: predict_parabola(x, 11, lead, windows, values); return;
    default: break;
    }
    for (unsigned i = 0; i < windows; i++, x++) {
        switch (predictor) {
        case 1: values[i] = x[0] + (x[0] - x[1]) * lead / 16; break;
        case 2: values[i] = x[0] + (x[0] - x[2]) * lead / 32; break;
        case 3: values[i] = x[0] + (x[0] - x[1]) * lead / 32; break;
        case 4: values[i] = predict_quadratic(x, 2, lead); break;
        case 5: values[i] = predict_quadratic(x, 1, lead); break;
        case 6: values[i] = predict_quadratic(x, 4, lead); break;
        default: values[i] = x[0]; break;
        }
    }
}

static unsigned predict_bank_of(const nn_field_plan* field)
{
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER: return field->range >= PREDICT_COUNTER_RANGE ? PREDICT_BANK : 3;
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
    case NECPNET_FIELD_QUAT:
    case NECPNET_FIELD_ANGLE: return PREDICT_BANK;
    default: return 1;
    }
}

/* How far off a predictor was for the newest points, seen from lead steps before each. False if it sees too little. */
NN_INLINE bool predict_judge(const predict_series* series, unsigned predictor, unsigned lead, unsigned most,
                             int64_t errors[3])
{
    unsigned seen = lead + predict_span[predictor];
    if (seen > series->size) return false;
    unsigned points = series->size - seen + 1 < most ? series->size - seen + 1 : most;
    for (unsigned k = 0; k < series->count; k++) {
        int64_t values[PREDICT_MANY_POINTS];
        int64_t sum = 0;
        predict_by(predictor, series->x[k] + lead, (int64_t)lead * 16, points, values);
        for (unsigned i = 0; i < points; i++) {
            int64_t off = series->x[k][i] - values[i];
            off = off < 0 ? -off : off;
            if (off > PREDICT_OFF_MAX) off = PREDICT_OFF_MAX;
            sum += i ? off : 2 * off;
        }
        sum *= PREDICT_FIXED / PREDICT_SHIFT;
        errors[k] = points == most ? sum / (int64_t)(most + 1) : sum / (int64_t)(points + 1);
    }
    return true;
}

typedef struct predict_race {
    const predict_series* series;
    predict_choice* choice;
    unsigned lead;
    int64_t best;
    int64_t second;
} predict_race;

NN_INLINE void predict_try(predict_race* race, unsigned predictor, unsigned points)
{
    int64_t errors[3] = {0, 0, 0};
    if (!predict_judge(race->series, predictor, race->lead, points, errors)) return;
    int64_t error = errors[0] + errors[1] + errors[2];
    if (predictor >= 4 && error > PREDICT_ROUGH * race->series->count) {
        error += (error - PREDICT_ROUGH * (int64_t)race->series->count) / 8; /* it guesses */
    }
    if (error < race->best) {
        race->second = race->best;
        race->choice->second = race->choice->best;
        race->best = error;
        race->choice->best = predictor;
        memcpy(race->choice->error, errors, sizeof errors);
    } else if (error < race->second) {
        race->second = error;
        race->choice->second = predictor;
    }
}

/* Those that look far back are asked only when all is smooth. */
static void predict_choose(const nn_field_plan* field, const nn_timeline* timeline, const predict_grid* grid,
                           unsigned bank, predict_series* series, predict_choice* choice)
{
    uint32_t lead = grid->lead;
    series->count = field->components;
    series->size = grid->size;
    series->loaded = 0;
    predict_load_series(field, timeline, grid, lead + PREDICT_NEAR_SPAN + PREDICT_FEW_POINTS - 1, series);
    predict_race race = {series, choice, lead, INT64_MAX, INT64_MAX};
    if (race.lead > (series->size - 1) / 2) race.lead = (series->size - 1) / 2;
    if (race.lead < 1) race.lead = 1;
    memset(choice, 0, sizeof *choice);
    predict_try(&race, 0, PREDICT_FEW_POINTS);
    predict_try(&race, 1, PREDICT_FEW_POINTS);
    predict_try(&race, 2, PREDICT_FEW_POINTS);
    if (bank > 3) {
        predict_try(&race, 3, PREDICT_FEW_POINTS);
        predict_try(&race, 4, PREDICT_FEW_POINTS);
        predict_try(&race, 5, PREDICT_FEW_POINTS);
    }
    if (race.best <= PREDICT_ROUGH * (int64_t)series->count && bank > 3) {
        predict_load_series(field, timeline, grid, grid->size, series);
        race.best = race.second = INT64_MAX;
        memset(choice, 0, sizeof *choice);
        predict_try(&race, 0, PREDICT_MANY_POINTS);
        predict_try(&race, 1, PREDICT_MANY_POINTS);
        predict_try(&race, 2, PREDICT_MANY_POINTS);
        predict_try(&race, 3, PREDICT_MANY_POINTS);
        predict_try(&race, 4, PREDICT_MANY_POINTS);
        predict_try(&race, 5, PREDICT_MANY_POINTS);
        predict_try(&race, 6, PREDICT_MANY_POINTS);
        predict_try(&race, 7, PREDICT_MANY_POINTS);
        predict_try(&race, 8, PREDICT_MANY_POINTS);
        predict_try(&race, 9, PREDICT_MANY_POINTS);
        predict_try(&race, 10, PREDICT_MANY_POINTS);
        predict_try(&race, 11, PREDICT_MANY_POINTS);
        predict_try(&race, 12, PREDICT_MANY_POINTS);
    }
    for (unsigned k = 0; k < series->count; k++) {
        if (race.lead < lead) choice->error[k] = choice->error[k] * (int64_t)lead / (int64_t)race.lead;
        choice->mean += choice->error[k];
    }
    choice->mean /= series->count;
}

/* ---- fields */

static uint32_t predict_limit(int64_t error)
{
    return (uint32_t)(error > PREDICT_WEIGHT_MAX ? PREDICT_WEIGHT_MAX : error);
}

/* Values of the best predictor, and the errors to expect. */
static void predict_values(const predict_series* series, const predict_choice* choice, const predict_grid* grid,
                           int64_t* values, uint32_t* errors, int8_t* leans)
{
    for (unsigned k = 0; k < series->count; k++) {
        int64_t other;
        predict_by(choice->best, series->x[k], grid->lead_16, 1, &values[k]);
        predict_by(choice->second, series->x[k], grid->lead_16, 1, &other);
        int64_t lean = other - values[k];
        int64_t apart = (lean < 0 ? -lean : lean) * (PREDICT_FIXED / PREDICT_SHIFT);
        if (apart > PREDICT_WEIGHT_MAX) apart = PREDICT_WEIGHT_MAX;
        errors[k] = predict_limit((3 * choice->error[k] + 3 * choice->mean + 2 * apart) / 8);
        leans[k] = (int8_t)(lean >= PREDICT_SHIFT / 2 ? 1 : lean <= -PREDICT_SHIFT / 2 ? -1 : 0);
    }
}

static void predict_numbers(const nn_field_plan* field, const predict_series* series, const predict_choice* choice,
                            const predict_grid* grid, nn_prediction* prediction)
{
    int64_t values[3];
    predict_values(series, choice, grid, values, prediction->error + field->word, prediction->lean + field->word);
    for (unsigned k = 0; k < field->components; k++) {
        int64_t steps;
        if (field->kind == NECPNET_FIELD_ANGLE) {
            int64_t turn = (int64_t)field->range + 1;
            steps = values[k] % (turn * PREDICT_SHIFT);
            if (steps < 0) steps += turn * PREDICT_SHIFT;
            steps = (steps + PREDICT_SHIFT / 2) / PREDICT_SHIFT % turn;
        } else {
            int64_t most = (int64_t)field->range * PREDICT_SHIFT;
            steps = (predict_clamp(values[k], 0, most) + PREDICT_SHIFT / 2) / PREDICT_SHIFT;
        }
        prediction->row[field->word + k] = (uint32_t)steps;
    }
}

static void predict_quaternion(const nn_field_plan* field, unsigned index, const predict_series* series,
                               const predict_choice* choice, const predict_grid* grid, nn_prediction* prediction)
{
    int64_t values[3];
    int64_t middle = (int64_t)(field->range / 2);
    int64_t left = (int64_t)nn_predict_square(field) * PREDICT_SHIFT * PREDICT_SHIFT;
    int64_t second = 0;
    uint32_t* words = prediction->row + field->word;
    unsigned largest = words[0] & 3;
    predict_values(series, choice, grid, values, prediction->error + field->word + 1,
                   prediction->lean + field->word + 1);
    for (unsigned k = 0; k < 3; k++) {
        values[k] = predict_clamp(values[k] - middle * PREDICT_SHIFT, -middle * 32, middle * 32);
        left -= values[k] * values[k];
        second = (int64_t)nn_max_u64((uint64_t)second, (uint64_t)(values[k] * values[k]));
    }
    if (left >= second) { /* the same component stays the largest */
        int64_t length = middle * PREDICT_SHIFT * 181 / 128;
        prediction->turn_margin[index] = predict_limit((left - second) * 8 / (length + 1));
        for (unsigned k = 0; k < 3; k++) {
            int64_t steps = predict_clamp(values[k], -middle * PREDICT_SHIFT, middle * PREDICT_SHIFT);
            words[1 + k] = (uint32_t)((steps + middle * PREDICT_SHIFT + PREDICT_SHIFT / 2) / PREDICT_SHIFT);
        }
        return;
    }
    int64_t q[4];
    unsigned place = 0;
    unsigned most = largest;
    q[largest] = (int64_t)nn_predict_root(left > 0 ? (uint64_t)left : 0) / PREDICT_SHIFT;
    for (unsigned i = 0; i < 4; i++) {
        if (i != largest) q[i] = values[place++] / PREDICT_SHIFT;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (q[i] * q[i] > q[most] * q[most]) most = i;
    }
    predict_fold(field, q, most, words);
    prediction->turn_margin[index] = 0;
    for (unsigned k = 1; k < 4; k++) {
        prediction->error[field->word + k] = prediction->group_error[index];
        prediction->lean[field->word + k] = 0;
    }
}

static bool predict_is_quiet(const nn_field_plan* field, const nn_timeline* timeline)
{
    for (uint32_t i = 1; i < timeline->count && i < NN_QUIET_STATES; i++) {
        const uint32_t* newest = timeline->rows[0] + field->word;
        const uint32_t* older = timeline->rows[i] + field->word;
        for (unsigned k = 0; k < field->words; k++) {
            if (newest[k] != older[k]) return false;
        }
    }
    return true;
}

static void predict_field(const nn_field_plan* field, unsigned index, const nn_timeline* timeline,
                          const predict_grid* grid, nn_prediction* prediction)
{
    predict_series series;
    predict_choice choice;
    unsigned bank = predict_bank_of(field);
    prediction->moving |= UINT64_C(1) << index;
    prediction->group_error[index] = PREDICT_FIXED;
    if (bank == 1 || field->wide) {
        for (unsigned k = 0; k < field->words; k++) {
            prediction->error[field->word + k] = PREDICT_FIXED;
            prediction->lean[field->word + k] = 0;
        }
        return;
    }
    predict_choose(field, timeline, grid, bank, &series, &choice);
    prediction->group_error[index] = predict_limit(choice.mean);
    if (field->kind == NECPNET_FIELD_QUAT) {
        predict_quaternion(field, index, &series, &choice, grid, prediction);
    } else {
        predict_numbers(field, &series, &choice, grid, prediction);
    }
}

NN_PRIVATE void nn_predict(const nn_type_plan* plan, const nn_timeline* timeline, bool owner, nn_prediction* prediction)
{
    predict_grid grid;
    bool laid = false;
    NN_ASSERT(timeline->count >= 1 && timeline->count <= NN_TIMELINE_MAX);
    prediction->moving = 0;
    memcpy(prediction->row, timeline->rows[0], plan->row_words * sizeof(uint32_t));
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!nn_field_visible(field, owner) || predict_is_quiet(field, timeline)) continue;
        if (!laid) predict_lay_grid(timeline, &grid);
        laid = true;
        predict_field(field, i, timeline, &grid, prediction);
    }
}
