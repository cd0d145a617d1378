/* nn_series - the grid, and how states become points. */
#include "nn_series.h"

#define SERIES_LEAD_MAX 64   /* steps that a predictor may look ahead */
#define SERIES_STEP_STATES 8 /* newest states whose least gap is the step */
#define SERIES_GAP_STEPS 4   /* a longer gap between known states is rest, not motion */
#define SERIES_FAR (1 << NN_SERIES_BITS)
#define SERIES_RANGE_SMALL \
    (UINT64_C(1) << 27)                       /* 16 times this is an int32_t  \
                                                */
#define SERIES_TURN_SMALL (UINT64_C(1) << 20) /* and of an angle that went round at every state */

/* ---- the grid */

/* Which states are how near to each point. */
static void grid_fill(nn_grid* grid, uint32_t reach)
{
    const nn_timeline* timeline = grid->timeline;
    uint32_t state = grid->run - 1;
    for (uint32_t i = 0; i < grid->run; i++) {
        grid->at[i] = (uint8_t)i;
        grid->share[i] = 16;
    }
    for (grid->size = grid->run; grid->size < NN_TIMELINE_MAX; grid->size++) {
        uint64_t back = (uint64_t)grid->size * grid->step;
        if (back > reach) break;
        uint32_t tick = timeline->ticks[0] - (uint32_t)back;
        while (timeline->ticks[state] > tick) state++;
        uint32_t share = 16;
        if (timeline->ticks[state] != tick) {
            uint32_t newer = timeline->ticks[state - 1];
            uint32_t gap = newer - timeline->ticks[state];
            if (gap <= (uint64_t)SERIES_GAP_STEPS * grid->step) share = (newer - tick) * 16 / gap;
        }
        grid->at[grid->size] = (uint8_t)state;
        grid->share[grid->size] = (uint8_t)share;
    }
}

NN_PRIVATE void nn_grid_lay(nn_grid* grid, const nn_timeline* timeline)
{
    const uint32_t* ticks = timeline->ticks;
    uint32_t count = timeline->count;
    uint32_t ahead = timeline->now - ticks[0];
    uint32_t step = count < 2 ? ahead : UINT32_MAX;
    uint32_t reach = ticks[0] - ticks[count - 1];
    bool all = count > 1 && reach == count - 1; /* ticks fall by one at least */
    if (all) step = 1;
    for (uint32_t i = 0; !all && i + 1 < count && i < SERIES_STEP_STATES; i++) {
        if (ticks[i] - ticks[i + 1] < step) step = ticks[i] - ticks[i + 1];
    }
    grid->timeline = timeline;
    grid->step = step;
    grid->lead_16 = (uint32_t)nn_min_u64((uint64_t)ahead * 16 / step, SERIES_LEAD_MAX * 16);
    grid->lead = (uint32_t)nn_min_u64(nn_max_u64(((uint64_t)ahead + step / 2) / step, 1), NN_LEAD_MAX);
    grid->size = count;
    grid->even = true;
    grid->run = count;
    if (all) return;
    uint32_t run = 1;
    while (run < count && ticks[run - 1] - ticks[run] == step) run++;
    grid->run = run;
    grid->even = run == count;
    if (!grid->even) grid_fill(grid, reach);
}

/* ---- state by state */

/* A quaternion without its component `largest`, its sign such that it goes on
 * from the state before. What comes first has it positive; from the first state
 * on that leaves out another one, all four are looked at. */
static void series_take_quaternion(nn_series* series, uint32_t state, const uint32_t* words, int64_t values[3])
{
    const nn_field_plan* field = series->field;
    int64_t middle = (int64_t)(field->range / 2) * 16;
    if (words[0] == series->largest && !series->turned) {
        for (unsigned i = 0; i < 3; i++) values[i] = (int64_t)words[1 + i] * 16;
        return;
    }
    int64_t q[4];
    unsigned place = 0;
    if (!series->turned) {
        nn_quaternion_unfold(field, series->grid->timeline->rows[state - 1] + field->word, series->before);
    }
    series->turned = true;
    nn_quaternion_unfold(field, words, q);
    int64_t along = 0;
    for (unsigned i = 0; i < 4; i++) along += q[i] * series->before[i];
    for (unsigned i = 0; i < 4; i++) {
        series->before[i] = along < 0 ? -q[i] : q[i];
        if (i != series->largest) values[place++] = series->before[i] + middle;
    }
}

/* Angles are followed the short way round, from state to older state. */
static void series_take_angle(nn_series* series, bool first, int64_t raw, int64_t* value)
{
    int64_t turn = ((int64_t)series->field->range + 1) * 16;
    int64_t way = raw - series->angle;
    if (way > turn / 2) way -= turn;
    if (way < -(turn / 2)) way += turn;
    *value = first ? raw : series->followed + way;
    series->angle = raw;
    series->followed = *value;
}

/* A state's components in sixteenths. States are taken one by one, newest
 * first. */
static void series_take(nn_series* series, uint32_t state, bool first, int64_t values[3])
{
    const uint32_t* words = series->grid->timeline->rows[state] + series->field->word;
    if (series->field->kind == NECPNET_FIELD_QUAT) {
        series_take_quaternion(series, state, words, values);
        return;
    }
    if (series->field->kind == NECPNET_FIELD_ANGLE) {
        series_take_angle(series, first, (int64_t)words[0] * 16, values);
        return;
    }
    for (unsigned i = 0; i < series->count; i++) values[i] = (int64_t)words[i] * 16;
}

/* ---- points */

/* What is far away is looked at coarsely: by how many bits, the nearest points
 * say. */
static void series_scale(nn_series* series, unsigned to, int64_t (*raw)[NN_TIMELINE_MAX])
{
    for (unsigned c = 0; c < series->count; c++) {
        uint64_t most = 0;
        for (unsigned i = 0; i < to; i++) most |= (uint64_t)(raw[c][i] < 0 ? -raw[c][i] : raw[c][i]);
        unsigned bits = nn_bits_for(most);
        series->scale[c] = (uint8_t)(bits > NN_SERIES_BITS ? bits - NN_SERIES_BITS : 0);
    }
}

static void series_keep(nn_series* series, unsigned near, unsigned to, int64_t (*raw)[NN_TIMELINE_MAX])
{
    if (!series->loaded) series_scale(series, near < to ? near : to, raw);
    for (unsigned c = 0; c < series->count; c++) {
        unsigned scale = series->scale[c];
        for (unsigned i = series->loaded; i < to; i++) {
            int64_t value = raw[c][i] >> scale;
            value = value > SERIES_FAR ? SERIES_FAR : value;
            series->x[c][i] = (int32_t)(value < -SERIES_FAR ? -SERIES_FAR : value);
        }
    }
    series->loaded = to;
}

/* An even grid: its points are the states. */
static void series_load_states(nn_series* series, unsigned near, unsigned to)
{
    int64_t raw[3][NN_TIMELINE_MAX];
    int64_t value[3] = {0, 0, 0};
    for (unsigned i = series->loaded; i < to; i++) {
        series_take(series, i, i == 0, value);
        for (unsigned c = 0; c < series->count; c++) raw[c][i] = value[c] - series->base[c];
    }
    series_keep(series, near, to, raw);
}

/* Another one: all points at once. */
static void series_load_between(nn_series* series, unsigned near)
{
    const nn_grid* grid = series->grid;
    int64_t raw[3][NN_TIMELINE_MAX];
    int64_t newer[3] = {0, 0, 0};
    int64_t value[3] = {0, 0, 0};
    uint32_t state = UINT32_MAX; /* before the first one */
    series->turned = false;      /* from the beginning, whatever was loaded */
    for (uint32_t i = 0; i < series->size; i++) {
        while (state != grid->at[i]) {
            state++;
            memcpy(newer, value, sizeof newer);
            series_take(series, state, state == 0, value);
        }
        int64_t share = grid->share[i];
        for (unsigned c = 0; c < series->count; c++) {
            int64_t mixed = share == 16 ? value[c] : (value[c] * share + newer[c] * (16 - share)) / 16;
            raw[c][i] = mixed - series->base[c];
        }
    }
    series_keep(series, near, series->size, raw);
}

/* ---- the same where numbers are small, without a detour */

/* One component, for points that are states. Returns whether all are within the
 * limit. */
static bool series_copy(nn_series* series, unsigned component, unsigned word, unsigned to)
{
    const uint32_t* const* rows = series->grid->timeline->rows;
    int32_t* x = series->x[component];
    uint32_t base = rows[0][word];
    uint32_t most = 0;
    for (unsigned i = series->loaded; i < to; i++) {
        uint32_t value = (rows[i][word] - base) * 16;
        x[i] = (int32_t)value;
        most |= value + (SERIES_FAR - 1);
    }
    return most <= 2 * SERIES_FAR - 1;
}

/* Three beside each other. */
static bool series_copy_three(nn_series* series, unsigned word, unsigned to)
{
    const uint32_t* const* rows = series->grid->timeline->rows;
    uint32_t base[3] = {rows[0][word], rows[0][word + 1], rows[0][word + 2]};
    uint32_t most = 0;
    for (unsigned i = series->loaded; i < to; i++) {
        const uint32_t* words = rows[i] + word;
        uint32_t a = (words[0] - base[0]) * 16;
        uint32_t b = (words[1] - base[1]) * 16;
        uint32_t c = (words[2] - base[2]) * 16;
        series->x[0][i] = (int32_t)a;
        series->x[1][i] = (int32_t)b;
        series->x[2][i] = (int32_t)c;
        most |= (a + (SERIES_FAR - 1)) | (b + (SERIES_FAR - 1)) | (c + (SERIES_FAR - 1));
    }
    return most <= 2 * SERIES_FAR - 1;
}

/* One component, for points that may lie between two states. A share of 16 is
 * the older one. */
static bool series_copy_between(nn_series* series, unsigned component, unsigned word, unsigned to)
{
    const nn_grid* grid = series->grid;
    const uint32_t* const* rows = grid->timeline->rows;
    int32_t* x = series->x[component];
    uint32_t base = rows[0][word] * 16;
    uint32_t most = 0;
    for (unsigned i = series->loaded; i < to; i++) {
        unsigned at = grid->at[i];
        uint32_t share = grid->share[i];
        uint32_t value = rows[at][word] * share + rows[at ? at - 1 : 0][word] * (16 - share) - base;
        x[i] = (int32_t)value;
        most |= value + (SERIES_FAR - 1);
    }
    return most <= 2 * SERIES_FAR - 1;
}

static bool series_copy_angle(nn_series* series, unsigned to)
{
    const uint32_t* const* rows = series->grid->timeline->rows;
    unsigned word = series->field->word;
    int32_t turn = (int32_t)series->field->range + 1;
    uint32_t most = 0;
    for (unsigned i = series->loaded; i < to; i++) {
        int32_t raw = (int32_t)rows[i][word];
        int32_t way = i ? raw - (int32_t)series->angle : 0;
        if (2 * way > turn) way -= turn;
        if (2 * way < -turn) way += turn;
        series->angle = raw;
        series->followed += way;
        int32_t value = (int32_t)series->followed * 16;
        series->x[0][i] = value;
        most |= (uint32_t)value + (SERIES_FAR - 1);
    }
    return most <= 2 * SERIES_FAR - 1;
}

/* Values that are too large for what predictors reckon with become coarse, or
 * end at the limit. */
static void series_fit(nn_series* series, unsigned component, unsigned to)
{
    int32_t* x = series->x[component];
    uint32_t most = 0;
    for (unsigned i = 0; i < to && !series->loaded; i++) most |= (uint32_t)(x[i] < 0 ? -x[i] : x[i]);
    unsigned bits = nn_bits_for(most);
    if (!series->loaded) series->scale[component] = (uint8_t)(bits > NN_SERIES_BITS ? bits - NN_SERIES_BITS : 0);
    unsigned scale = series->scale[component];
    for (unsigned i = series->loaded; i < to; i++) {
        int32_t value = x[i] >> scale;
        value = value > SERIES_FAR ? SERIES_FAR : value;
        x[i] = value < -SERIES_FAR ? -SERIES_FAR : value;
    }
}

/* Whether all points up to `to` can be copied. */
static bool series_is_plain(const nn_series* series, unsigned to)
{
    const nn_field_plan* field = series->field;
    if (field->kind == NECPNET_FIELD_ANGLE) return field->range < SERIES_TURN_SMALL && to <= series->grid->run;
    if (field->range >= SERIES_RANGE_SMALL || series->turned) return false;
    if (field->kind != NECPNET_FIELD_QUAT) return true;
    const uint32_t* const* rows = series->grid->timeline->rows;
    const nn_grid* grid = series->grid;
    unsigned end = grid->even ? to - 1 : grid->at[to - 1];
    for (unsigned i = grid->even ? series->loaded : grid->at[series->loaded]; i <= end; i++) {
        if (rows[i][field->word] != series->largest) return false;
    }
    return true;
}

static void series_load_plain(nn_series* series, unsigned to)
{
    const nn_field_plan* field = series->field;
    unsigned word = field->word + (field->kind == NECPNET_FIELD_QUAT ? 1u : 0u);
    bool between = to > series->grid->run;
    bool fits = true;
    if (field->kind == NECPNET_FIELD_ANGLE) {
        fits = series_copy_angle(series, to);
    } else if (series->count == 3 && !between) {
        fits = series_copy_three(series, word, to);
    } else {
        for (unsigned c = 0; c < series->count; c++) {
            bool good = between ? series_copy_between(series, c, word + c, to) : series_copy(series, c, word + c, to);
            fits = fits && good;
        }
    }
    for (unsigned c = 0; c < series->count; c++) {
        if (!series->loaded) series->scale[c] = 0;
        if (!fits || series->scale[c]) series_fit(series, c, to);
    }
    series->loaded = to;
}

NN_PRIVATE void nn_series_begin(nn_series* series, const nn_field_plan* field, const nn_grid* grid)
{
    const uint32_t* words = grid->timeline->rows[0] + field->word;
    series->field = field;
    series->grid = grid;
    series->count = field->components;
    series->size = grid->size;
    series->loaded = 0;
    series->largest = words[0];
    series->turned = false;
    series->angle = series->followed = 0;
    if (field->kind == NECPNET_FIELD_QUAT) words++;
    for (unsigned c = 0; c < series->count; c++) {
        series->base[c] = (int64_t)words[c] * 16;
        memset(series->x[c] + grid->size, 0, NN_SERIES_PAD * sizeof series->x[c][0]);
    }
}

/* Points up to `to`, of which there are so many and not all are loaded. */
static void series_load_to(nn_series* series, unsigned near, unsigned to)
{
    if (series_is_plain(series, to)) {
        series_load_plain(series, to);
    } else if (series->grid->even) {
        series_load_states(series, near, to);
    } else {
        series_load_between(series, near);
    }
}

NN_PRIVATE void nn_series_load(nn_series* series, unsigned to)
{
    if (series->loaded >= to || series->loaded == series->size) return;
    unsigned near = nn_grid_lead(series->grid) + NN_NEAR_POINTS;
    if (near > series->size) near = series->size;
    if (!series->loaded && to < near) to = near;
    if (to > series->size) to = series->size;
    if (!series->loaded && to > near) series_load_to(series, near, near); /* these say how coarse */
    if (series->loaded < to) series_load_to(series, near, to);
}
