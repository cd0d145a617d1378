/* nn_predict - which predictor to believe for each field. */
#include "nn_predict.h"

#include "nn_course.h"

#define PREDICT_FIXED (1 << 7)    /* of an error */
#define PREDICT_EXACT INT64_C(48) /* what rounding leaves */
#define PREDICT_DOUBT INT64_C(96) /* an error that may be chance */
#define PREDICT_FAR \
    INT64_C(384) /* so much worse than four times the best: not worth listening  \
                  to */
#define PREDICT_WEIGHT_MAX INT64_C(0xffffffff)
#define PREDICT_COUNTER_RANGE 4096 /* integers of a smaller range count, they do not move */
#define PREDICT_COUNTER_NEAR 2     /* predictors that those are tried with */
#define PREDICT_RIDE_WINDOWS 2     /* riding is judged by */
#define PREDICT_ROUGH INT64_C(80)  /* an error by step ahead that no course leaves */
#define PREDICT_COURSE NN_BANK_NUMBERS
#define PREDICT_RIDE_FIRST (PREDICT_COURSE + 1)
#define PREDICT_DRIFT_FIRST (PREDICT_RIDE_FIRST + NN_LEADS_ENTITY_MAX)
#define PREDICT_COUNT (PREDICT_DRIFT_FIRST + NN_LEADS_ENTITY_MAX)

/* What looks at more points is believed a little more, in sixteenths. */
static const uint8_t predict_trust[PREDICT_COUNT] = {0, 0, 0, 4, 6, 6, 3, 3};

/* An entity whose fields are predicted. */
typedef struct predict_subject {
    nn_grid grid;
    nn_lead* leads[NN_LEADS_ENTITY_MAX]; /* that it may follow */
    unsigned lead_count;
    const nn_field_plan* position; /* what riding is about */
    const nn_field_plan* rotation;
} predict_subject;

/* A field on its way to a prediction. */
typedef struct predict_race {
    const nn_field_plan* field;
    predict_subject* subject;
    nn_series series;
    nn_course course;
    unsigned lead; /* that predictors are judged over */
    unsigned best;
    unsigned second;
    int64_t least; /* what it is best by */
    int64_t next;
    int64_t errors[PREDICT_COUNT][3]; /* of those that were tried, in 1/128 of a step */
    int64_t error[3];                 /* of the best, over the whole lead */
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

static void predict_begin(predict_race* race, const nn_field_plan* field, predict_subject* subject)
{
    race->field = field;
    race->subject = subject;
    nn_series_begin(&race->series, field, &subject->grid);
    race->lead = nn_grid_lead(&subject->grid);
    race->best = race->second = 0;
    race->least = race->next = INT64_MAX;
}

/* ---- riding on another entity */

static int64_t predict_point(const predict_race* race, unsigned component, unsigned point)
{
    return (int64_t)race->series.x[component][point] * (INT64_C(1) << race->series.scale[component]);
}

/* What the state at point `from` becomes when it goes along with a lead up to a
 * tick, from the newest point on. */
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

static bool predict_judge_along(predict_race* race, unsigned predictor)
{
    int64_t off[3][PREDICT_RIDE_WINDOWS];
    unsigned windows = 0;
    for (; windows < PREDICT_RIDE_WINDOWS; windows++) {
        int64_t values[3];
        uint32_t to = nn_grid_tick(&race->subject->grid, windows);
        if (!predict_along(race, predictor, windows + race->lead, to, race->lead * 16, values)) break;
        for (unsigned c = 0; c < race->series.count; c++) off[c][windows] = predict_point(race, c, windows) - values[c];
    }
    for (unsigned c = 0; windows && c < race->series.count; c++) {
        race->errors[predictor][c] = nn_bank_weigh(off[c][0], off[c][windows - 1]);
    }
    return windows > 0;
}

/* ---- the race */

/* A predictor whose errors are known. */
static void predict_enter(predict_race* race, unsigned predictor)
{
    const int64_t* errors = race->errors[predictor];
    unsigned count = race->series.count;
    int64_t error = errors[0];
    for (unsigned c = 1; c < count; c++) error += errors[c];
    if (predict_trust[predictor]) {
        int64_t doubt = predictor < PREDICT_RIDE_FIRST ? PREDICT_DOUBT * (int64_t)count : error;
        error -= (error < doubt ? error : doubt) * predict_trust[predictor] >> 4;
    }
    if (error < race->least) {
        race->next = race->least;
        race->second = race->best;
        race->least = error;
        race->best = predictor;
    } else if (error < race->next) {
        race->next = error;
        race->second = predictor;
    }
}

static void predict_choose_lead(predict_race* race)
{
    const predict_subject* subject = race->subject;
    bool position = race->field == subject->position;
    if (!position && race->field != subject->rotation) return;
    for (unsigned i = 0; i < subject->lead_count; i++) {
        if (predict_judge_along(race, PREDICT_RIDE_FIRST + i)) predict_enter(race, PREDICT_RIDE_FIRST + i);
        if (position && predict_judge_along(race, PREDICT_DRIFT_FIRST + i)) {
            predict_enter(race, PREDICT_DRIFT_FIRST + i);
        }
    }
}

/* What moves evenly; not asked of what is rough. */
static void predict_choose_course(predict_race* race)
{
    int64_t* errors = race->errors[PREDICT_COURSE];
    if (race->least > PREDICT_ROUGH * (int64_t)((race->lead + 1) * race->series.count)) return;
    if (!nn_course_seek(&race->course, &race->series, race->lead)) return;
    memset(errors, 0, 3 * sizeof *errors);
    nn_course_judge(&race->course, &race->series, errors);
    bool alone = errors[0] + errors[1] + errors[2] <= PREDICT_EXACT * (int64_t)race->series.count;
    if (alone) race->least = race->next = INT64_MAX;
    predict_enter(race, PREDICT_COURSE);
}

static void predict_choose(predict_race* race, bool counter)
{
    const nn_grid* grid = &race->subject->grid;
    unsigned count = race->series.count;
    nn_series_load(&race->series, race->lead + NN_NEAR_POINTS);
    unsigned near =
        nn_bank_judge(&race->series, race->lead, counter ? PREDICT_COUNTER_NEAR : NN_BANK_NUMBERS, race->errors);
    for (unsigned i = 0; i < near; i++) predict_enter(race, i);
    if (!counter) predict_choose_course(race);
    if (race->subject->lead_count && race->least > PREDICT_EXACT * (int64_t)count) predict_choose_lead(race);
    if (race->next > 4 * race->least + PREDICT_FAR * (int64_t)count) race->second = race->best;
    int64_t sum = 0;
    for (unsigned c = 0; c < count; c++) {
        race->error[c] = race->errors[race->best][c];
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

/* What a predictor says, in sixteenths from the newest point; none of it if it
 * cannot. */
static void predict_by(predict_race* race, unsigned predictor, int64_t values[3])
{
    const nn_grid* grid = &race->subject->grid;
    memset(values, 0, 3 * sizeof *values);
    if (predictor < PREDICT_COURSE) {
        for (unsigned c = 0; c < race->series.count; c++) {
            values[c] = nn_bank_predict(&race->series, c, predictor, grid->lead_16);
        }
    } else if (predictor == PREDICT_COURSE) {
        nn_course_say(&race->course, &race->series, (int64_t)nn_min_u64(grid->lead_16, 16 * NN_LEAD_MAX), values);
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

/* One component that held or went on as it did, by two errors; as the race has
 * it. */
static void predict_count(const nn_field_plan* field, unsigned index, const nn_grid* grid, nn_prediction* prediction)
{
    const uint32_t* const* rows = grid->timeline->rows;
    unsigned lead = nn_grid_lead(grid);
    int32_t x[5]; /* points 0, 1, and lead, lead + 1, lead + 2 */
    for (unsigned i = 0; i < 5; i++) x[i] = (int32_t)rows[i < 2 ? i : lead + i - 2][field->word] * 16;
    int64_t hold = nn_bank_weigh(x[0] - x[2], x[1] - x[3]);
    int64_t line =
        nn_bank_weigh(x[0] - x[2] - (x[2] - x[3]) * (int32_t)lead, x[1] - x[3] - (x[3] - x[4]) * (int32_t)lead);
    int64_t way = (int64_t)(x[0] - x[1]) * grid->lead_16 >> 4;
    int64_t error = line < hold ? line : hold;
    int64_t worse = line < hold ? hold : line;
    int64_t lean = worse > 4 * error + PREDICT_FAR ? 0 : line < hold ? -way : way;
    if (lead < grid->lead) error = error * (int64_t)grid->lead / (int64_t)lead;
    int64_t apart = (lean < 0 ? -lean : lean) * (PREDICT_FIXED / 16);
    int64_t value = predict_clamp(x[0] + (line < hold ? way : 0), 0, (int64_t)field->range * 16);
    prediction->group_error[index] = predict_limit(error);
    prediction->error[field->word] = predict_limit((6 * error + 2 * apart) / 8);
    prediction->lean[field->word] = (int8_t)(lean >= 8 ? 1 : lean <= -8 ? -1 : 0);
    prediction->row[field->word] = (uint32_t)(value + 8) / 16;
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
    bool counter = predict_is_counter(field);
    if (counter && subject->grid.even && nn_grid_lead(&subject->grid) + NN_NEAR_POINTS <= subject->grid.size) {
        predict_count(field, index, &subject->grid, prediction);
        return;
    }
    predict_begin(&race, field, subject);
    predict_choose(&race, counter);
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
        uint64_t a, b, now_a, now_b; /* two words each */
        uint64_t any_a = 0;
        uint64_t any_b = 0;
        memcpy(&now_a, newest + k, sizeof now_a);
        memcpy(&now_b, newest + k + 2, sizeof now_b);
        for (unsigned i = 1; i < states; i++) {
            memcpy(&a, timeline->rows[i] + k, sizeof a);
            memcpy(&b, timeline->rows[i] + k + 2, sizeof b);
            any_a |= now_a ^ a;
            any_b |= now_b ^ b;
        }
        memcpy(differs + k, &any_a, sizeof any_a);
        memcpy(differs + k + 2, &any_b, sizeof any_b);
    }
    for (; k < words; k++) {
        differs[k] = 0;
        for (unsigned i = 1; i < states; i++) differs[k] |= newest[k] ^ timeline->rows[i][k];
    }
    for (unsigned j = 0; j < plan->field_count; j++) {
        const nn_field_plan* field = &plan->fields[j];
        uint32_t any = differs[field->word];
        for (unsigned i = 1; i < field->words; i++) any |= differs[field->word + i];
        moving |= (uint64_t)(any != 0) << j;
    }
    return moving;
}

NN_PRIVATE void nn_predict(const nn_type_plan* plan, const nn_timeline* timeline, bool owner, nn_leads* leads,
                           nn_prediction* prediction)
{
    predict_subject subject;
    NN_ASSERT(timeline->count >= 1 && timeline->count <= NN_TIMELINE_MAX);
    memcpy(prediction->row, timeline->rows[0], plan->row_words * sizeof(uint32_t));
    prediction->moving = 0;
    uint64_t moving = predict_find_moving(plan, timeline);
    if (!moving) return;
    nn_grid_lay(&subject.grid, timeline);
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
