/* nn_predict - the grid, and which predictor to believe for each field. */
#include "nn_predict.h"

#include "nn_spin.h"

#define PREDICT_LEAD_MAX 64        /* steps that a predictor may look ahead */
#define PREDICT_GAP_STEPS 4        /* a longer gap between known states is rest, not motion */
#define PREDICT_FIXED (1 << 7)     /* of an error */
#define PREDICT_EXACT INT64_C(48)  /* what rounding leaves */
#define PREDICT_DOUBT INT64_C(96)  /* an error that may be chance */
#define PREDICT_NEAR_POINTS 8      /* beyond the lead, that the first predictors look at */
#define PREDICT_ROUGH INT64_C(256) /* an error of two steps */
#define PREDICT_WEIGHT_MAX INT64_C(0xffffffff)
#define PREDICT_COUNTER_RANGE 4096 /* integers of a smaller range count, they do not move */
#define PREDICT_RIDE_WINDOWS 2     /* riding is judged by */
#define PREDICT_SPIN_FIRST NN_BANK_NUMBERS
#define PREDICT_RIDE_FIRST (PREDICT_SPIN_FIRST + NN_SPIN_NUMBERS)
#define PREDICT_DRIFT_FIRST (PREDICT_RIDE_FIRST + NN_LEADS_ENTITY_MAX)
#define PREDICT_COUNT (PREDICT_DRIFT_FIRST + NN_LEADS_ENTITY_MAX)

/* What looks at more points is believed a little more, in sixteenths. */
static const uint8_t predict_trust[PREDICT_COUNT] = {0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 3, 3, 3, 3, 4, 5, 6, 6, 3, 3};

/* Points of the grid: the state at or before each, and how far towards it from the next newer one, in sixteenths. */
typedef struct predict_grid {
    const nn_timeline* timeline;
    uint32_t size;
    uint32_t lead_16; /* sixteenths of a step from the newest state to now */
    uint32_t lead;    /* whole steps, for judging */
    uint8_t at[NN_TIMELINE_MAX];
    uint8_t share[NN_TIMELINE_MAX]; /* 16: the state itself */
    uint32_t ticks[NN_TIMELINE_MAX];
    bool even;                           /* every point is a state */
    nn_lead* leads[NN_LEADS_ENTITY_MAX]; /* that it may follow */
    unsigned lead_count;
    const nn_field_plan* position; /* what riding is about */
    const nn_field_plan* rotation;
} predict_grid;

/* A field on its way to a prediction. */
typedef struct predict_race {
    const nn_field_plan* field;
    const predict_grid* grid;
    unsigned lead;     /* that predictors are judged over */
    unsigned largest;  /* QUAT: the component that is left out */
    bool turned;       /* QUAT: a state has left out another one */
    int64_t before[4]; /* QUAT: the state before, then */
    int64_t angle;     /* ANGLE: the state before, and with its turns */
    int64_t followed;
    nn_series series;
    nn_spin spin;
    unsigned best;
    unsigned second;
    int64_t least; /* what it is best by */
    int64_t next;
    int64_t error[3]; /* in 1/128 of a step */
    int64_t mean;
} predict_race;

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
    grid->timeline = timeline;
    grid->lead_16 = (uint32_t)nn_min_u64((uint64_t)ahead * 16 / step, PREDICT_LEAD_MAX * 16);
    grid->lead = (uint32_t)nn_min_u64(nn_max_u64(((uint64_t)ahead + step / 2) / step, 1), NN_BANK_LEAD_MAX);
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
        grid->ticks[grid->size] = tick;
        if (state != grid->size || timeline->ticks[state] != tick) grid->even = false;
    }
}

/* ---- series */

/* A quaternion without its component `largest`, its sign such that it goes on from the state before. What comes first has
 * it positive; from the first state on that leaves out another one, all four are looked at. */
static void predict_load_quaternion(predict_race* race, uint32_t state, const uint32_t* words, int64_t values[3])
{
    const nn_field_plan* field = race->field;
    int64_t middle = (int64_t)(field->range / 2) * 16;
    if (words[0] == race->largest && !race->turned) {
        for (unsigned i = 0; i < 3; i++) values[i] = (int64_t)words[1 + i] * 16;
        return;
    }
    int64_t q[4];
    unsigned place = 0;
    if (!race->turned) nn_quaternion_unfold(field, race->grid->timeline->rows[state - 1] + field->word, race->before);
    race->turned = true;
    nn_quaternion_unfold(field, words, q);
    int64_t along = 0;
    for (unsigned i = 0; i < 4; i++) along += q[i] * race->before[i];
    for (unsigned i = 0; i < 4; i++) {
        race->before[i] = along < 0 ? -q[i] : q[i];
        if (i != race->largest) values[place++] = race->before[i] + middle;
    }
}

/* A state's components in sixteenths. States are loaded one by one, newest first. */
static void predict_load(predict_race* race, uint32_t state, int64_t values[3])
{
    const nn_field_plan* field = race->field;
    const uint32_t* words = race->grid->timeline->rows[state] + field->word;
    if (field->kind == NECPNET_FIELD_QUAT) {
        predict_load_quaternion(race, state, words, values);
        return;
    }
    for (unsigned i = 0; i < field->components; i++) values[i] = (int64_t)words[i] * 16;
}

/* Angles are followed the short way round, from state to newer state. newer: that one as it is in its row, followed: as it
 * was followed. */
static void predict_follow(const nn_field_plan* field, int64_t newer, int64_t followed, int64_t* value)
{
    int64_t turn = ((int64_t)field->range + 1) * 16;
    int64_t way = *value - newer;
    if (way > turn / 2) way -= turn;
    if (way < -(turn / 2)) way += turn;
    *value = followed + way;
}

/* The next older state of an angle: its turns are counted. */
static void predict_load_angle(predict_race* race, uint32_t state, int64_t* value)
{
    predict_load(race, state, value);
    int64_t raw = *value;
    if (state > 0) predict_follow(race->field, race->angle, race->followed, value);
    race->angle = raw;
    race->followed = *value;
}

static void predict_load_state(predict_race* race, uint32_t state, int64_t values[3])
{
    if (race->field->kind == NECPNET_FIELD_ANGLE) {
        predict_load_angle(race, state, values);
    } else {
        predict_load(race, state, values);
    }
}

/* What is far away is looked at coarsely: by how many bits, the nearest points say. */
static void predict_scale(predict_race* race, int64_t (*raw)[NN_TIMELINE_MAX])
{
    nn_series* series = &race->series;
    unsigned near = race->lead + PREDICT_NEAR_POINTS;
    for (unsigned c = 0; c < series->count; c++) {
        uint64_t most = 0;
        for (unsigned i = 0; i < near && i < series->size; i++) {
            most = nn_max_u64(most, (uint64_t)(raw[c][i] < 0 ? -raw[c][i] : raw[c][i]));
        }
        unsigned bits = nn_bits_for(most);
        series->scale[c] = (uint8_t)(bits > NN_SERIES_BITS ? bits - NN_SERIES_BITS : 0);
    }
}

static void predict_keep(predict_race* race, unsigned to, int64_t (*raw)[NN_TIMELINE_MAX])
{
    nn_series* series = &race->series;
    if (!series->loaded) predict_scale(race, raw);
    for (unsigned c = 0; c < series->count; c++) {
        unsigned scale = series->scale[c];
        for (unsigned i = series->loaded; i < to; i++) {
            int64_t value = raw[c][i] >> scale;
            value = value > NN_SERIES_FAR ? NN_SERIES_FAR : value;
            series->x[c][i] = (int32_t)(value < -NN_SERIES_FAR ? -NN_SERIES_FAR : value);
        }
    }
    series->loaded = to;
}

/* Points up to `to` at least, from what is loaded on. An even grid: its points are the states. */
static void predict_load_even(predict_race* race, unsigned to)
{
    nn_series* series = &race->series;
    int64_t raw[3][NN_TIMELINE_MAX];
    int64_t value[3] = {0, 0, 0};
    bool quaternion = race->field->kind == NECPNET_FIELD_QUAT;
    bool plain = race->field->kind != NECPNET_FIELD_ANGLE;
    unsigned first = race->field->word + (quaternion ? 1u : 0u);
    for (unsigned i = series->loaded; i < to; i++) {
        const uint32_t* words = race->grid->timeline->rows[i] + first;
        if (plain && (!quaternion || (words[-1] == race->largest && !race->turned))) {
            for (unsigned c = 0; c < series->count; c++) raw[c][i] = (int64_t)words[c] * 16 - series->base[c];
            continue;
        }
        predict_load_state(race, i, value);
        for (unsigned c = 0; c < series->count; c++) raw[c][i] = value[c] - series->base[c];
    }
    predict_keep(race, to, raw);
}

static void predict_load_uneven(predict_race* race)
{
    const predict_grid* grid = race->grid;
    nn_series* series = &race->series;
    int64_t raw[3][NN_TIMELINE_MAX];
    int64_t newer[3] = {0, 0, 0};
    int64_t value[3] = {0, 0, 0};
    uint32_t state = UINT32_MAX;
    for (uint32_t i = 0; i < grid->size; i++) {
        while (state != grid->at[i]) {
            state++;
            memcpy(newer, value, sizeof newer);
            predict_load_state(race, state, value);
        }
        int64_t share = grid->share[i];
        for (unsigned c = 0; c < series->count; c++) {
            int64_t mixed = share == 16 ? value[c] : (value[c] * share + newer[c] * (16 - share)) / 16;
            raw[c][i] = mixed - series->base[c];
        }
    }
    predict_keep(race, grid->size, raw);
}

static void predict_load_points(predict_race* race, unsigned to)
{
    unsigned size = race->grid->size;
    if (to > size) to = size;
    if (race->series.loaded >= to) return;
    if (race->grid->even) {
        predict_load_even(race, to);
    } else {
        predict_load_uneven(race);
    }
}

static void predict_begin(predict_race* race, const nn_field_plan* field, const predict_grid* grid)
{
    int64_t value[3] = {0, 0, 0};
    nn_series* series = &race->series;
    race->field = field;
    race->grid = grid;
    race->largest = grid->timeline->rows[0][field->word]; /* of a QUAT */
    race->turned = false;
    race->spin.sought = race->spin.found = false;
    series->count = field->components;
    series->size = grid->size;
    series->loaded = 0;
    series->summed = false;
    predict_load(race, 0, value);
    for (unsigned c = 0; c < series->count; c++) {
        series->base[c] = value[c];
        memset(series->x[c] + grid->size, 0, NN_BANK_WINDOWS * sizeof series->x[c][0]);
    }
    race->lead = grid->lead;
    if (race->lead > (grid->size - 1) / 2) race->lead = (grid->size - 1) / 2;
    if (race->lead < 1) race->lead = 1;
}

/* ---- riding on another entity */

static int64_t predict_point(const predict_race* race, unsigned component, unsigned point)
{
    return (int64_t)race->series.x[component][point] * (INT64_C(1) << race->series.scale[component]);
}

/* What the state at point `from` becomes when it goes along with a lead up to a tick, from the newest point on. */
static bool predict_ride(const predict_race* race, nn_lead* lead, unsigned from, uint32_t to, int64_t values[3])
{
    const predict_grid* grid = race->grid;
    const nn_field_plan* field = race->field;
    if (from >= grid->size || grid->timeline->ticks[grid->at[from]] != grid->ticks[from]) return false;
    uint32_t tick = grid->ticks[from];
    const uint32_t* words = grid->timeline->rows[grid->at[from]] + field->word;
    if (field == grid->position) {
        int64_t position[3] = {(int64_t)words[0] * 16, (int64_t)words[1] * 16, 0};
        if (field->components == 3) position[2] = (int64_t)words[2] * 16;
        if (!nn_lead_carry(lead, field, tick, to, position, values)) return false;
    } else {
        int64_t before[4];
        int64_t after[4];
        unsigned place = 0;
        nn_quaternion_unfold(field, words, before);
        if (!nn_lead_turn_with(lead, tick, to, before, after)) return false;
        for (unsigned i = 0; i < 4; i++) {
            if (i == race->largest) continue;
            values[place++] = (after[race->largest] < 0 ? -after[i] : after[i]) + (int64_t)(field->range / 2) * 16;
        }
    }
    for (unsigned c = 0; c < field->components; c++) values[c] -= race->series.base[c];
    return true;
}

/* The same, and half as fast on as it went from its lead at the last step. */
static bool predict_drift(const predict_race* race, nn_lead* lead, unsigned from, uint32_t to, int64_t lead_16,
                          int64_t values[3])
{
    int64_t last[3];
    if (from + 1 >= race->grid->size || !predict_ride(race, lead, from, to, values) ||
        !predict_ride(race, lead, from + 1, race->grid->ticks[from], last)) {
        return false;
    }
    for (unsigned c = 0; c < race->series.count; c++) {
        values[c] += (predict_point(race, c, from) - last[c]) * lead_16 / 32;
    }
    return true;
}

static bool predict_along(const predict_race* race, unsigned predictor, unsigned from, uint32_t to, int64_t lead_16,
                          int64_t values[3])
{
    nn_lead* const* leads = race->grid->leads;
    if (predictor < PREDICT_DRIFT_FIRST)
        return predict_ride(race, leads[predictor - PREDICT_RIDE_FIRST], from, to, values);
    return predict_drift(race, leads[predictor - PREDICT_DRIFT_FIRST], from, to, lead_16, values);
}

static bool predict_judge_along(const predict_race* race, unsigned predictor, int64_t errors[3])
{
    int64_t off[3][NN_BANK_WINDOWS];
    unsigned windows = 0;
    for (; windows < PREDICT_RIDE_WINDOWS; windows++) {
        int64_t values[3];
        uint32_t to = race->grid->ticks[windows];
        if (!predict_along(race, predictor, windows + race->lead, to, race->lead * 16, values)) break;
        for (unsigned c = 0; c < race->series.count; c++) off[c][windows] = predict_point(race, c, windows) - values[c];
    }
    for (unsigned c = 0; windows && c < race->series.count; c++) errors[c] = nn_bank_weigh(off[c], windows);
    return windows > 0;
}

/* ---- the race */

static bool predict_judge(predict_race* race, unsigned predictor, int64_t errors[3])
{
    if (predictor < PREDICT_SPIN_FIRST) return nn_bank_judge(&race->series, predictor, race->lead, errors);
    if (predictor >= PREDICT_RIDE_FIRST) return predict_judge_along(race, predictor, errors);
    return nn_spin_judge(&race->spin, race->field, &race->series, predictor - PREDICT_SPIN_FIRST, race->lead, errors);
}

/* Whether it sees enough. */
static bool predict_try(predict_race* race, unsigned predictor)
{
    int64_t errors[3] = {0, 0, 0};
    int64_t rough = PREDICT_ROUGH * (int64_t)race->series.count;
    if (!predict_judge(race, predictor, errors)) return false;
    int64_t error = errors[0] + errors[1] + errors[2];
    if (predictor >= 4 && predictor < PREDICT_RIDE_FIRST && error > rough)
        error += (error - rough) / 8; /* it guesses */
    int64_t doubt = predictor < PREDICT_RIDE_FIRST ? PREDICT_DOUBT * (int64_t)race->series.count : error;
    error -= (error < doubt ? error : doubt) * predict_trust[predictor] / 16;
    if (error < race->least) {
        race->next = race->least;
        race->second = race->best;
        race->least = error;
        race->best = predictor;
        memcpy(race->error, errors, sizeof errors);
    } else if (error < race->next) {
        race->next = error;
        race->second = predictor;
    }
    return true;
}

/* What looks far back, for what is smooth: lines if it goes straight on, else curves; waves for what turns. */
static void predict_choose_smooth(predict_race* race)
{
    predict_load_points(race, race->grid->size);
    predict_try(race, 7);
    if (race->field->kind == NECPNET_FIELD_QUAT) {
        unsigned tries = 2;
        for (unsigned i = NN_SPIN_NUMBERS; i-- > 0 && tries;) tries -= predict_try(race, PREDICT_SPIN_FIRST + i);
        if (race->spin.found) return;
    } else {
        predict_try(race, 8);
        if (race->best == 7 || race->best == 8) return;
    }
    predict_try(race, 6);
    predict_try(race, 9);
    predict_try(race, 10);
    if (race->grid->lead_16 % 16 || race->least <= PREDICT_EXACT * (int64_t)race->series.count) return;
    predict_try(race, NN_BANK_CUBIC);
    predict_try(race, NN_BANK_CUBIC + 1);
}

static void predict_choose(predict_race* race, bool counter)
{
    const predict_grid* grid = race->grid;
    int64_t rough = PREDICT_ROUGH * (int64_t)race->series.count;
    race->best = race->second = 0;
    race->least = race->next = INT64_MAX;
    memset(race->error, 0, sizeof race->error);
    predict_load_points(race, race->lead + PREDICT_NEAR_POINTS);
    predict_try(race, 0);
    predict_try(race, 1);
    predict_try(race, counter ? 2 : 5);
    if (race->field == grid->position || race->field == grid->rotation) {
        for (unsigned i = 0; i < grid->lead_count; i++) {
            predict_try(race, PREDICT_RIDE_FIRST + i);
            if (race->field == grid->position) predict_try(race, PREDICT_DRIFT_FIRST + i);
        }
    }
    if (!counter) {
        predict_try(race, 4);
        predict_try(race, 2);
        predict_try(race, 3);
        if (race->least <= rough) predict_choose_smooth(race);
    }
    race->mean = 0;
    for (unsigned c = 0; c < race->series.count; c++) {
        if (race->lead < grid->lead) race->error[c] = race->error[c] * (int64_t)grid->lead / (int64_t)race->lead;
        race->mean += race->error[c];
    }
    race->mean /= race->series.count;
}

/* ---- fields */

static uint32_t predict_limit(int64_t error)
{
    return (uint32_t)(error > PREDICT_WEIGHT_MAX ? PREDICT_WEIGHT_MAX : error);
}

/* What a predictor says, in sixteenths from the newest point; none of it if it cannot. */
static void predict_by(const predict_race* race, unsigned predictor, int64_t values[3])
{
    const predict_grid* grid = race->grid;
    memset(values, 0, 3 * sizeof *values);
    if (predictor < PREDICT_SPIN_FIRST) {
        for (unsigned c = 0; c < race->series.count; c++) {
            values[c] = nn_bank_predict(&race->series, c, predictor, grid->lead_16);
        }
    } else if (predictor < PREDICT_RIDE_FIRST) {
        nn_spin_predict(&race->spin, &race->series, predictor - PREDICT_SPIN_FIRST, grid->lead_16, values);
    } else if (!predict_along(race, predictor, 0, grid->timeline->now, grid->lead_16, values)) {
        memset(values, 0, 3 * sizeof *values);
    }
}

/* Values of the best predictor, and the errors to expect. */
static void predict_values(const predict_race* race, int64_t* values, uint32_t* errors, int8_t* leans)
{
    int64_t best[3];
    int64_t second[3];
    predict_by(race, race->best, best);
    predict_by(race, race->second, second);
    for (unsigned c = 0; c < race->series.count; c++) {
        int64_t lean = second[c] - best[c];
        int64_t apart = (lean < 0 ? -lean : lean) * (PREDICT_FIXED / 16);
        if (apart > PREDICT_WEIGHT_MAX) apart = PREDICT_WEIGHT_MAX;
        errors[c] = predict_limit((3 * race->error[c] + 3 * race->mean + 2 * apart) / 8);
        leans[c] = (int8_t)(lean >= 8 ? 1 : lean <= -8 ? -1 : 0);
        values[c] = race->series.base[c] + best[c];
    }
}

static void predict_numbers(const predict_race* race, nn_prediction* prediction)
{
    int64_t values[3];
    const nn_field_plan* field = race->field;
    predict_values(race, values, prediction->error + field->word, prediction->lean + field->word);
    for (unsigned c = 0; c < field->components; c++) {
        int64_t steps;
        if (field->kind == NECPNET_FIELD_ANGLE) {
            int64_t turn = (int64_t)field->range + 1;
            steps = values[c] % (turn * 16);
            if (steps < 0) steps += turn * 16;
            steps = (steps + 8) / 16 % turn;
        } else {
            steps = (predict_clamp(values[c], 0, (int64_t)field->range * 16) + 8) / 16;
        }
        prediction->row[field->word + c] = (uint32_t)steps;
    }
}

static void predict_quaternion(const predict_race* race, unsigned index, nn_prediction* prediction)
{
    const nn_field_plan* field = race->field;
    int64_t values[3];
    int64_t q[4];
    int64_t middle = (int64_t)(field->range / 2);
    int64_t left = nn_quaternion_square(field);
    int64_t second = 0;
    unsigned largest = race->largest & 3;
    unsigned place = 0;
    predict_values(race, values, prediction->error + field->word + 1, prediction->lean + field->word + 1);
    for (unsigned i = 0; i < 4; i++) {
        if (i == largest) continue;
        q[i] = predict_clamp(values[place++] - middle * 16, -middle * 32, middle * 32);
        left -= q[i] * q[i];
        second = (int64_t)nn_max_u64((uint64_t)second, (uint64_t)(q[i] * q[i]));
    }
    if (left >= second) { /* the same component stays the largest */
        int64_t length = middle * 16 * 181 / 128;
        prediction->turn_margin[index] = predict_limit((left - second) * 8 / (length + 1));
        q[largest] = 0;
        nn_quaternion_fold(field, q, largest, prediction->row + field->word);
        return;
    }
    unsigned most = largest;
    q[largest] = (int64_t)nn_quaternion_root(left > 0 ? (uint64_t)left : 0);
    for (unsigned i = 0; i < 4; i++) {
        if (q[i] * q[i] > q[most] * q[most]) most = i;
    }
    nn_quaternion_fold(field, q, most, prediction->row + field->word);
    prediction->turn_margin[index] = 0;
    for (unsigned i = 1; i < 4; i++) {
        prediction->error[field->word + i] = prediction->group_error[index];
        prediction->lean[field->word + i] = 0;
    }
}

static bool predict_is_counter(const nn_field_plan* field)
{
    return field->kind == NECPNET_FIELD_INTEGER && field->range < PREDICT_COUNTER_RANGE;
}

/* Whether it is a number that moves; others are held. */
static bool predict_is_number(const nn_field_plan* field)
{
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
    case NECPNET_FIELD_QUAT:
    case NECPNET_FIELD_ANGLE: return !field->wide;
    default: return false;
    }
}

static void predict_field(const nn_field_plan* field, unsigned index, const predict_grid* grid,
                          nn_prediction* prediction)
{
    predict_race race;
    prediction->group_error[index] = PREDICT_FIXED;
    if (!predict_is_number(field)) {
        for (unsigned i = 0; i < field->words; i++) {
            prediction->error[field->word + i] = PREDICT_FIXED;
            prediction->lean[field->word + i] = 0;
        }
        return;
    }
    predict_begin(&race, field, grid);
    predict_choose(&race, predict_is_counter(field));
    prediction->group_error[index] = predict_limit(race.mean);
    if (field->kind == NECPNET_FIELD_QUAT) {
        predict_quaternion(&race, index, prediction);
    } else {
        predict_numbers(&race, prediction);
    }
}

/* Fields that were not the same in the newest states. */
static uint64_t predict_find_moving(const nn_type_plan* plan, const nn_timeline* timeline)
{
    uint64_t moving = 0;
    const uint32_t* newest = timeline->rows[0];
    for (uint32_t i = 1; i < timeline->count && i < NN_QUIET_STATES; i++) {
        const uint32_t* older = timeline->rows[i];
        if (older == newest || !memcmp(older, newest, plan->row_words * sizeof *newest)) continue;
        for (unsigned j = 0; j < plan->field_count; j++) {
            const nn_field_plan* field = &plan->fields[j];
            if (moving >> j & 1) continue;
            for (unsigned k = field->word; k < (unsigned)field->word + field->words; k++) {
                if (newest[k] == older[k]) continue;
                moving |= UINT64_C(1) << j;
                break;
            }
        }
    }
    return moving;
}

NN_PRIVATE void nn_predict(const nn_type_plan* plan, const nn_timeline* timeline, bool owner, nn_leads* leads,
                           nn_prediction* prediction)
{
    predict_grid grid;
    NN_ASSERT(timeline->count >= 1 && timeline->count <= NN_TIMELINE_MAX);
    memcpy(prediction->row, timeline->rows[0], plan->row_words * sizeof(uint32_t));
    prediction->moving = 0;
    uint64_t moving = predict_find_moving(plan, timeline);
    if (!moving) return;
    predict_lay_grid(timeline, &grid);
    grid.position = grid.rotation = NULL;
    grid.lead_count = leads && leads->count ? nn_leads_of(leads, plan, timeline->rows[0], grid.leads) : 0;
    if (grid.lead_count) {
        grid.position = nn_lead_position(plan);
        grid.rotation = nn_lead_rotation(plan);
    }
    for (; moving; moving &= moving - 1) {
        unsigned i = nn_lowest_bit(moving);
        if (!nn_field_visible(&plan->fields[i], owner)) continue;
        prediction->moving |= UINT64_C(1) << i;
        predict_field(&plan->fields[i], i, &grid, prediction);
    }
}
