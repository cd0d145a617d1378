/* nn_lead - rigid motion with another entity. */
#include "nn_lead.h"

#define LEAD_BITS 18
#define LEAD_ONE (INT64_C(1) << LEAD_BITS)
#define LEAD_FAR (INT64_C(1) << 30)        /* of a rider from its lead, in sixteenths of a step */
#define LEAD_RATIO_MAX (UINT64_C(1) << 24) /* of two steps, times 65,536 */

static const nn_field_plan* lead_first(const nn_type_plan* plan, uint8_t kind)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].kind == kind) return &plan->fields[i];
    }
    return NULL;
}

NN_PRIVATE const nn_field_plan* nn_lead_position(const nn_type_plan* plan)
{
    const nn_field_plan* field = lead_first(plan, NECPNET_FIELD_VEC3);
    return field ? field : lead_first(plan, NECPNET_FIELD_VEC2);
}

NN_PRIVATE const nn_field_plan* nn_lead_rotation(const nn_type_plan* plan)
{
    return lead_first(plan, NECPNET_FIELD_VEC3) ? lead_first(plan, NECPNET_FIELD_QUAT) : NULL;
}

static void lead_keep(nn_lead* lead, uint32_t tick, const uint32_t* row)
{
    uint32_t* words = lead->words[lead->count];
    lead->ticks[lead->count++] = tick;
    memset(words, 0, 3 * sizeof *words);
    memcpy(words, row + lead->position->word, lead->position->words * sizeof *words);
    if (lead->rotation) memcpy(words + 3, row + lead->rotation->word, 4 * sizeof *words);
}

NN_PRIVATE void nn_lead_set(nn_lead* lead, const nn_type_plan* plan, const nn_timeline* timeline, const uint32_t* row)
{
    lead->position = nn_lead_position(plan);
    lead->rotation = nn_lead_rotation(plan);
    lead->count = 0;
    lead->turn_count = 0;
    lead->present = lead->position != NULL;
    if (!lead->present) return;
    lead_keep(lead, timeline->now, row);
    for (uint32_t i = 0; i < timeline->count; i++) lead_keep(lead, timeline->ticks[i], timeline->rows[i]);
}

NN_PRIVATE nn_lead* nn_leads_find(nn_leads* leads, uint16_t place)
{
    for (unsigned i = 0; i < leads->count; i++) {
        if (leads->leads[i].place == place) return &leads->leads[i];
    }
    return NULL;
}

NN_PRIVATE unsigned nn_leads_of(nn_leads* leads, const nn_type_plan* plan, const uint32_t* row,
                                nn_lead* out[NN_LEADS_ENTITY_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (plan->fields[i].kind != NECPNET_FIELD_ENTITY) continue;
        out[0] = nn_leads_find(leads, (uint16_t)row[plan->fields[i].word]);
        if (out[0]) return out[0]->present ? 1 : 0;
    }
    for (unsigned j = 0; j < leads->count && count < NN_LEADS_ENTITY_MAX; j++) {
        if (leads->leads[j].present) out[count++] = &leads->leads[j];
    }
    return count;
}

/* ---- what it did */

static const uint32_t* lead_at(const nn_lead* lead, uint32_t tick)
{
    for (uint32_t i = 0; i < lead->count; i++) {
        if (lead->ticks[i] == tick) return lead->words[i];
    }
    return NULL;
}

/* The rotation from one orientation to another: the product of the second with the first one's inverse. */
static bool lead_rotation(const nn_field_plan* field, const uint32_t* from, const uint32_t* to, int64_t rotation[4])
{
    int64_t a[4];
    int64_t b[4];
    int64_t square = nn_quaternion_square(field);
    nn_quaternion_unfold(field, from, a);
    nn_quaternion_unfold(field, to, b);
    rotation[0] = -b[3] * a[0] + b[0] * a[3] - b[1] * a[2] + b[2] * a[1];
    rotation[1] = -b[3] * a[1] + b[1] * a[3] - b[2] * a[0] + b[0] * a[2];
    rotation[2] = -b[3] * a[2] + b[2] * a[3] - b[0] * a[1] + b[1] * a[0];
    rotation[3] = b[3] * a[3] + b[0] * a[0] + b[1] * a[1] + b[2] * a[2];
    for (unsigned i = 0; i < 4; i++) {
        rotation[i] = rotation[i] * LEAD_ONE / square;
        if (rotation[i] > 2 * LEAD_ONE || rotation[i] < -2 * LEAD_ONE) return false; /* of no unit quaternion */
    }
    return true;
}

static nn_lead_turn* lead_turn(nn_lead* lead, uint32_t from, uint32_t to)
{
    for (unsigned i = 0; i < lead->turn_count && i < NN_LEAD_TURNS; i++) {
        if (lead->turns[i].from == from && lead->turns[i].to == to) return &lead->turns[i];
    }
    nn_lead_turn* turn = &lead->turns[lead->turn_count++ % NN_LEAD_TURNS];
    const uint32_t* begin = lead_at(lead, from);
    const uint32_t* end = lead_at(lead, to);
    turn->from = from;
    turn->to = to;
    turn->good = begin && end;
    turn->turns = false;
    if (!turn->good) return turn;
    for (unsigned i = 0; i < 3; i++) {
        turn->begin[i] = (int64_t)begin[i] * 16;
        turn->end[i] = (int64_t)end[i] * 16;
    }
    if (!lead->rotation) return turn;
    turn->good = lead_rotation(lead->rotation, begin + 3, end + 3, turn->rotation);
    turn->turns = turn->good;
    return turn;
}

NN_PRIVATE bool nn_lead_get_rotation(nn_lead* lead, uint32_t from, uint32_t to, int64_t rotation[4])
{
    const nn_lead_turn* turn = lead_turn(lead, from, to);
    if (!turn->turns) return false;
    memcpy(rotation, turn->rotation, sizeof turn->rotation);
    return true;
}

/* ---- along with it */

/* The lead's position in sixteenths of a step of another field. False if they are too different. */
static bool lead_convert(const nn_field_plan* from, const nn_field_plan* to, const int64_t position[3], int64_t out[3])
{
    memcpy(out, position, 3 * sizeof *out);
    if (from->step == to->step && from->field->min == to->field->min) return true;
    double ratio = from->step / to->step * 65536.0 + 0.5;
    double base = (from->field->min - to->field->min) / to->step * 16.0;
    if (!(ratio >= 1) || ratio > (double)LEAD_RATIO_MAX || !(base < 1e15) || !(base > -1e15)) return false;
    for (unsigned i = 0; i < 3; i++) out[i] = position[i] * (int64_t)ratio / 65536 + (int64_t)base;
    return true;
}

NN_PRIVATE bool nn_lead_carry(nn_lead* lead, const nn_field_plan* field, uint32_t from, uint32_t to,
                              const int64_t position[3], int64_t out[3])
{
    int64_t begin[3];
    int64_t end[3];
    int64_t v[3] = {0, 0, 0};
    const nn_lead_turn* turn = lead_turn(lead, from, to);
    if (!turn->good || !lead_convert(lead->position, field, turn->begin, begin) ||
        !lead_convert(lead->position, field, turn->end, end)) {
        return false;
    }
    unsigned count = nn_min_size(field->components, lead->position->components) == 3 ? 3 : 2;
    for (unsigned i = 0; i < count; i++) {
        v[i] = position[i] - begin[i];
        if (v[i] > LEAD_FAR || v[i] < -LEAD_FAR) return false;
    }
    memcpy(out, position, 3 * sizeof *out);
    for (unsigned i = 0; i < count; i++) out[i] = v[i] + end[i];
    if (!turn->turns || count < 3) return true;
    const int64_t* u = turn->rotation;
    int64_t t[3] = {(u[1] * v[2] - u[2] * v[1]) / LEAD_ONE, (u[2] * v[0] - u[0] * v[2]) / LEAD_ONE,
                    (u[0] * v[1] - u[1] * v[0]) / LEAD_ONE};
    out[0] += 2 * (u[3] * t[0] + u[1] * t[2] - u[2] * t[1]) / LEAD_ONE;
    out[1] += 2 * (u[3] * t[1] + u[2] * t[0] - u[0] * t[2]) / LEAD_ONE;
    out[2] += 2 * (u[3] * t[2] + u[0] * t[1] - u[1] * t[0]) / LEAD_ONE;
    return true;
}

NN_PRIVATE bool nn_lead_turn_with(nn_lead* lead, uint32_t from, uint32_t to, const int64_t rotation[4], int64_t out[4])
{
    const nn_lead_turn* turn = lead_turn(lead, from, to);
    const int64_t* a = turn->rotation;
    const int64_t* b = rotation;
    if (!turn->turns) return false;
    out[0] = (a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1]) / LEAD_ONE;
    out[1] = (a[3] * b[1] + a[1] * b[3] + a[2] * b[0] - a[0] * b[2]) / LEAD_ONE;
    out[2] = (a[3] * b[2] + a[2] * b[3] + a[0] * b[1] - a[1] * b[0]) / LEAD_ONE;
    out[3] = (a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2]) / LEAD_ONE;
    return true;
}
