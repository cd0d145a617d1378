/* nn_predict - which predictor to believe for each field. */
#include "nn_predict.h"

#include "nn_spin.h"

#define PREDICT_FIXED (1 << 7)     /* of an error */
#define PREDICT_EXACT INT64_C(48)  /* what rounding leaves */
#define PREDICT_DOUBT INT64_C(96)  /* an error that may be chance */
#define PREDICT_ROUGH INT64_C(256) /* an error of two steps */
#define PREDICT_WEIGHT_MAX INT64_C(0xffffffff)
#define PREDICT_COUNTER_RANGE 4096 /* integers of a smaller range count, they do not move */
#define PREDICT_COUNTER_NEAR 2     /* predictors that those are tried with */
#define PREDICT_GUESS_FIRST 2      /* from here on to riding they guess */
#define PREDICT_RIDE_WINDOWS 2     /* riding is judged by */
#define PREDICT_HABIT_STEPS 8      /* for so long what is smooth is not asked again how it moves */
#define PREDICT_HABIT_POINTS 28    /* that are looked at then */
#define PREDICT_SPIN_FIRST NN_BANK_NUMBERS
#define PREDICT_RIDE_FIRST (PREDICT_SPIN_FIRST + NN_SPIN_NUMBERS)
#define PREDICT_DRIFT_FIRST (PREDICT_RIDE_FIRST + NN_LEADS_ENTITY_MAX)
#define PREDICT_COUNT (PREDICT_DRIFT_FIRST + NN_LEADS_ENTITY_MAX)

/* What looks at more points is believed a little more, in sixteenths. */
static const uint8_t predict_trust[PREDICT_COUNT] = {0, 0, 0, 0, 0, 4, 3, 2, 3, 3, 4, 5, 6, 6, 3, 3};

/* An entity whose fields are predicted. */
typedef struct predict_subject {
    nn_grid grid;
    nn_lead* leads[NN_LEADS_ENTITY_MAX]; /* that it may follow */
    unsigned lead_count;
    const nn_field_plan* position; /* what riding is about */
    const nn_field_plan* rotation;
    nn_habits* habits;
    bool anchored;   /* the following are known */
    unsigned anchor; /* the point from which on habits are found out */
    unsigned points; /* that they are found out from; 0: too few */
    uint64_t key;    /* of all that they follow from but the field */
} predict_subject;

/* A field on its way to a prediction. */
typedef struct predict_race {
    const nn_field_plan* field;
    predict_subject* subject;
    nn_series series;
    nn_spin spin;
    unsigned lead; /* that predictors are judged over */
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

/* A sum of components' errors to one. */
static int64_t predict_mean(int64_t sum, unsigned count)
{
    return count == 1 ? sum : count == 2 ? sum / 2 : sum / 3;
}

static void predict_begin(predict_race* race, const nn_field_plan* field, predict_subject* subject, unsigned from,
                          unsigned points)
{
    race->field = field;
    race->subject = subject;
    nn_series_begin(&race->series, field, &subject->grid, from, points);
    race->lead = nn_series_lead(&race->series);
    race->spin.rate = NN_SPIN_NONE;
    for (unsigned i = 0; i < NN_SPIN_NUMBERS; i++) race->spin.weights[i].lead_16 = UINT32_MAX;
    race->best = race->second = 0;
    race->least = race->next = INT64_MAX;
    memset(race->error, 0, sizeof race->error);
}

/* ---- riding on another entity */

static int64_t predict_point(const predict_race* race, unsigned component, unsigned point)
{
    return (int64_t)race->series.x[component][point] * (INT64_C(1) << race->series.scale[component]);
}

/* What the state at point `from` becomes when it goes along with a lead up to a tick, from the newest point on. */
static bool predict_ride(const predict_race* race, nn_lead* lead, unsigned from, uint32_t to, int64_t values[3])
{
    const nn_field_plan* field = race->field;
    const uint32_t* words = nn_grid_state(&race->subject->grid, from);
    if (!words) return false;
    words += field->word;
    uint32_t tick = nn_grid_tick(&race->subject->grid, from);
    if (field == race->subject->position) {
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
            if (i == race->series.largest) continue;
            values[place++] =
                (after[race->series.largest] < 0 ? -after[i] : after[i]) + (int64_t)(field->range / 2) * 16;
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
    if (!predict_ride(race, lead, from, to, values) ||
        !predict_ride(race, lead, from + 1, nn_grid_tick(&race->subject->grid, from), last)) {
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
    nn_lead* const* leads = race->subject->leads;
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
        uint32_t to = nn_grid_tick(&race->subject->grid, windows);
        if (!predict_along(race, predictor, windows + race->lead, to, race->lead * 16, values)) break;
        for (unsigned c = 0; c < race->series.count; c++) off[c][windows] = predict_point(race, c, windows) - values[c];
    }
    for (unsigned c = 0; windows && c < race->series.count; c++) errors[c] = nn_bank_weigh(off[c], windows);
    return windows > 0;
}

/* ---- the race */

/* A predictor, and how far off it was. */
static void predict_enter(predict_race* race, unsigned predictor, const int64_t errors[3])
{
    unsigned count = race->series.count;
    int64_t rough = PREDICT_ROUGH * (int64_t)count;
    int64_t error = errors[0];
    for (unsigned c = 1; c < count; c++) error += errors[c];
    if (predictor >= PREDICT_GUESS_FIRST && predictor < PREDICT_RIDE_FIRST && error > rough)
        error += (error - rough) >> 3;
    int64_t doubt = predictor < PREDICT_RIDE_FIRST ? PREDICT_DOUBT * (int64_t)count : error;
    error -= (error < doubt ? error : doubt) * predict_trust[predictor] >> 4;
    if (error < race->least) {
        race->next = race->least;
        race->second = race->best;
        race->least = error;
        race->best = predictor;
        for (unsigned c = 0; c < count; c++) race->error[c] = errors[c];
    } else if (error < race->next) {
        race->next = error;
        race->second = predictor;
    }
}

/* Of those for what is smooth; if it sees enough. */
static void predict_try(predict_race* race, unsigned predictor)
{
    int64_t errors[3] = {0, 0, 0};
    bool sees = predictor < PREDICT_SPIN_FIRST
                    ? nn_bank_judge(&race->series, predictor, race->lead, errors)
                    : nn_spin_judge(&race->spin, &race->series, predictor - PREDICT_SPIN_FIRST, race->lead, errors);
    if (sees) predict_enter(race, predictor, errors);
}

/* ---- habits: what is smooth is asked how it moves as of a tick that stays the same for some steps */

/* From which point on: a state. And what there is from there on. */
static void predict_anchor(predict_subject* subject)
{
    const nn_grid* grid = &subject->grid;
    const uint32_t* ticks = grid->timeline->ticks;
    unsigned at = ticks[0] / grid->step % PREDICT_HABIT_STEPS;
    subject->anchored = true;
    subject->points = 0;
    while (at < grid->size && !nn_grid_state(grid, at)) at++;
    if (at >= grid->size) return;
    unsigned points = grid->size - at < PREDICT_HABIT_POINTS ? grid->size - at : PREDICT_HABIT_POINTS;
    uint64_t key = (uint64_t)(subject->habits ? subject->habits->subject : 0) << 32 | nn_grid_tick(grid, at);
    key = nn_habit_mix(0, key);
    key = nn_habit_mix(key, (uint64_t)grid->step << 32 | points << 8 | grid->lead << 1 | (grid->lead_16 % 16 == 0));
    for (unsigned i = 0; !grid->even && i < points; i++) {
        key = nn_habit_mix(key, (uint64_t)ticks[grid->at[at + i]] << 8 | grid->share[at + i]);
    }
    subject->anchor = at;
    subject->points = points;
    subject->key = key;
}

/* Tries all of them. A second one counts while it is not much worse than the best. */
static void predict_find_habit(predict_subject* subject, const nn_field_plan* field, nn_habit* habit)
{
    predict_race race;
    predict_begin(&race, field, subject, subject->anchor, subject->points);
    race.best = race.second = NN_HABIT_NONE;
    nn_series_load(&race.series, subject->points);
    if (field->kind == NECPNET_FIELD_QUAT) race.spin.rate = nn_spin_seek(&race.series);
    predict_try(&race, NN_BANK_LINE);
    if (race.spin.rate != NN_SPIN_NONE) {
        for (unsigned i = 0; i < NN_SPIN_NUMBERS; i++) predict_try(&race, PREDICT_SPIN_FIRST + i);
    } else {
        unsigned most = subject->grid.lead_16 % 16 ? NN_BANK_CUBIC : NN_BANK_NUMBERS;
        for (unsigned i = NN_BANK_LINE + 1; i < most; i++) predict_try(&race, i);
        predict_try(&race, NN_BANK_WIDE);
    }
    if (race.least > PREDICT_ROUGH * (int64_t)race.series.count) return; /* none is worth asking */
    habit->rate = race.spin.rate;
    habit->first = (uint8_t)race.best;
    if (race.next <= 2 * race.least + PREDICT_DOUBT * (int64_t)race.series.count) habit->second = (uint8_t)race.second;
}

static nn_habit predict_habit(predict_subject* subject, const nn_field_plan* field)
{
    nn_habit habit = {0, NN_SPIN_NONE, 0, NN_HABIT_NONE, NN_HABIT_NONE};
    if (!subject->anchored) predict_anchor(subject);
    if (!subject->points) return habit;
    habit.stamp = (uint16_t)subject->grid.timeline->now;
    nn_habits* habits = subject->habits;
    if (habits) {
        const uint32_t* newest = nn_grid_state(&subject->grid, subject->anchor) + field->word;
        uint64_t key = nn_habit_mix(subject->key, (uint64_t)field->word << 32 | newest[field->words - 1u]);
        habit.key = nn_habit_mix(key, newest[0]) | 1;
        const nn_habit* kept = nn_habits_find(habits, habit.key, habit.stamp);
        if (kept) return *kept;
    }
    predict_find_habit(subject, field, &habit);
    if (habits) nn_habits_keep(habits, &habit);
    return habit;
}

/* ---- */

static void predict_choose_lead(predict_race* race)
{
    const predict_subject* subject = race->subject;
    bool position = race->field == subject->position;
    int64_t errors[3];
    if (!position && race->field != subject->rotation) return;
    for (unsigned i = 0; i < subject->lead_count; i++) {
        if (predict_judge_along(race, PREDICT_RIDE_FIRST + i, errors))
            predict_enter(race, PREDICT_RIDE_FIRST + i, errors);
        if (position && predict_judge_along(race, PREDICT_DRIFT_FIRST + i, errors)) {
            predict_enter(race, PREDICT_DRIFT_FIRST + i, errors);
        }
    }
}

static void predict_choose_smooth(predict_race* race)
{
    nn_habit habit = predict_habit(race->subject, race->field);
    if (habit.first == NN_HABIT_NONE) return;
    race->spin.rate = habit.rate;
    predict_try(race, habit.first);
    race->second = race->best;
    if (race->least <= PREDICT_EXACT * (int64_t)race->series.count || habit.second == NN_HABIT_NONE) return;
    predict_try(race, habit.second);
}

static void predict_choose_near(predict_race* race, unsigned count)
{
    int64_t errors[NN_BANK_NEAR][3];
    if (nn_bank_judge_near(&race->series, race->lead, errors)) {
        for (unsigned i = 0; i < count; i++) predict_enter(race, i, errors[i]);
    } else {
        for (unsigned i = 0; i < count; i++) predict_try(race, i);
    }
}

static void predict_choose(predict_race* race, bool counter)
{
    const nn_grid* grid = &race->subject->grid;
    unsigned count = race->series.count;
    nn_series_load(&race->series, race->lead + NN_NEAR_POINTS);
    if (!counter) predict_choose_smooth(race);
    if (race->least > PREDICT_EXACT * (int64_t)count) {
        predict_choose_near(race, counter ? PREDICT_COUNTER_NEAR : NN_BANK_NEAR);
        if (race->subject->lead_count) predict_choose_lead(race);
    }
    int64_t sum = 0;
    for (unsigned c = 0; c < count; c++) {
        if (race->lead < grid->lead) race->error[c] = race->error[c] * (int64_t)grid->lead / (int64_t)race->lead;
        sum += race->error[c];
    }
    race->mean = predict_mean(sum, count);
}

/* ---- fields */

static uint32_t predict_limit(int64_t error)
{
    return (uint32_t)(error > PREDICT_WEIGHT_MAX ? PREDICT_WEIGHT_MAX : error);
}

/* What a predictor says, in sixteenths from the newest point; none of it if it cannot. */
static void predict_by(predict_race* race, unsigned predictor, int64_t values[3])
{
    const nn_grid* grid = &race->subject->grid;
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
static void predict_values(predict_race* race, int64_t* values, uint32_t* errors, int8_t* leans)
{
    int64_t best[3];
    int64_t second[3];
    predict_by(race, race->best, best);
    memcpy(second, best, sizeof second);
    if (race->second != race->best) predict_by(race, race->second, second);
    for (unsigned c = 0; c < race->series.count; c++) {
        int64_t lean = second[c] - best[c];
        int64_t apart = (lean < 0 ? -lean : lean) * (PREDICT_FIXED / 16);
        if (apart > PREDICT_WEIGHT_MAX) apart = PREDICT_WEIGHT_MAX;
        errors[c] = predict_limit((3 * race->error[c] + 3 * race->mean + 2 * apart) / 8);
        leans[c] = (int8_t)(lean >= 8 ? 1 : lean <= -8 ? -1 : 0);
        values[c] = race->series.base[c] + best[c];
    }
}

static void predict_numbers(predict_race* race, nn_prediction* prediction)
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

static void predict_quaternion(predict_race* race, unsigned index, nn_prediction* prediction)
{
    const nn_field_plan* field = race->field;
    int64_t values[3];
    int64_t q[4];
    int64_t middle = (int64_t)(field->range / 2);
    int64_t left = nn_quaternion_square(field);
    int64_t second = 0;
    unsigned largest = race->series.largest & 3;
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

static void predict_field(const nn_field_plan* field, unsigned index, predict_subject* subject,
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
    predict_begin(&race, field, subject, 0, subject->grid.size);
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
    uint32_t differs[NN_ROW_WORDS_MAX];
    uint64_t moving = 0;
    const uint32_t* newest = timeline->rows[0];
    unsigned words = plan->row_words;
    unsigned states = timeline->count < NN_QUIET_STATES ? timeline->count : NN_QUIET_STATES;
    unsigned k = 0;
    for (; k + 4 <= words; k += 4) {
        uint32_t a = 0, b = 0, c = 0, d = 0;
        for (unsigned i = 1; i < states; i++) {
            const uint32_t* older = timeline->rows[i] + k;
            a |= newest[k] ^ older[0];
            b |= newest[k + 1] ^ older[1];
            c |= newest[k + 2] ^ older[2];
            d |= newest[k + 3] ^ older[3];
        }
        differs[k] = a;
        differs[k + 1] = b;
        differs[k + 2] = c;
        differs[k + 3] = d;
    }
    for (; k < words; k++) {
        differs[k] = 0;
        for (unsigned i = 1; i < states; i++) differs[k] |= newest[k] ^ timeline->rows[i][k];
    }
    for (unsigned j = 0; j < plan->field_count; j++) {
        const nn_field_plan* field = &plan->fields[j];
        uint32_t any = 0;
        for (unsigned i = 0; i < field->words; i++) any |= differs[field->word + i];
        moving |= (uint64_t)(any != 0) << j;
    }
    return moving;
}

NN_PRIVATE void nn_predict(const nn_type_plan* plan, const nn_timeline* timeline, bool owner, nn_leads* leads,
                           nn_habits* habits, nn_prediction* prediction)
{
    predict_subject subject;
    NN_ASSERT(timeline->count >= 1 && timeline->count <= NN_TIMELINE_MAX);
    memcpy(prediction->row, timeline->rows[0], plan->row_words * sizeof(uint32_t));
    prediction->moving = 0;
    uint64_t moving = predict_find_moving(plan, timeline);
    if (!moving) return;
    nn_grid_lay(&subject.grid, timeline);
    subject.habits = habits;
    subject.anchored = false;
    subject.position = subject.rotation = NULL;
    subject.lead_count = leads && leads->count ? nn_leads_of(leads, plan, timeline->rows[0], subject.leads) : 0;
    if (subject.lead_count) {
        subject.position = nn_lead_position(plan);
        subject.rotation = nn_lead_rotation(plan);
    }
    for (; moving; moving &= moving - 1) {
        unsigned i = nn_lowest_bit(moving);
        if (!nn_field_visible(&plan->fields[i], owner)) continue;
        prediction->moving |= UINT64_C(1) << i;
        predict_field(&plan->fields[i], i, &subject, prediction);
    }
}
