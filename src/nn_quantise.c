/* nn_quantise - structs to rows of integers and back. Built with -ffp-contract=off. */
#include "nn_quantise.h"

#include "nn_bytes.h"

#define QUANTISE_TURN 6.283185307179586
#define QUANTISE_ANGLE_MAX 1e9 /* radians; beyond it an angle has no meaning left */

/* ---- numbers in structs */

NN_PRIVATE double nn_load_number(const uint8_t* at, unsigned bytes)
{
    if (bytes == 8) {
        double value;
        memcpy(&value, at, 8);
        return value;
    }
    float value;
    memcpy(&value, at, 4);
    return (double)value;
}

NN_PRIVATE void nn_store_number(uint8_t* at, unsigned bytes, double value)
{
    if (bytes == 8) {
        memcpy(at, &value, 8);
    } else {
        float narrow = (float)value;
        memcpy(at, &narrow, 4);
    }
}

static int64_t quantise_load_integer(const uint8_t* at, unsigned bytes, bool is_signed)
{
    switch (bytes) {
    case 1: return is_signed ? (int64_t)(int8_t)*at : (int64_t)*at;
    case 2: {
        uint16_t value;
        memcpy(&value, at, 2);
        return is_signed ? (int64_t)(int16_t)value : (int64_t)value;
    }
    case 4: {
        uint32_t value;
        memcpy(&value, at, 4);
        return is_signed ? (int64_t)(int32_t)value : (int64_t)value;
    }
    default: {
        uint64_t value;
        memcpy(&value, at, 8);
        if (!is_signed && value > (uint64_t)INT64_MAX) return INT64_MAX;
        return (int64_t)value;
    }
    }
}

/* What a struct of another version cannot hold becomes the most that it can. */
static int64_t quantise_fit(const necpnet_field* field, int64_t value)
{
    bool is_signed = (field->flags & NECPNET_FIELD_SIGNED) != 0;
    if (field->storage_bytes == 8) return !is_signed && value < 0 ? 0 : value;
    int64_t most = (INT64_C(1) << (field->storage_bytes * 8 - (is_signed ? 1 : 0))) - 1;
    int64_t least = is_signed ? -most - 1 : 0;
    return value < least ? least : value > most ? most : value;
}

static void quantise_store_integer(uint8_t* at, unsigned bytes, int64_t value)
{
    switch (bytes) {
    case 1: *at = (uint8_t)value; break;
    case 2: {
        uint16_t narrow = (uint16_t)value;
        memcpy(at, &narrow, 2);
        break;
    }
    case 4: {
        uint32_t narrow = (uint32_t)value;
        memcpy(at, &narrow, 4);
        break;
    }
    default: memcpy(at, &value, 8); break;
    }
}

static bool quantise_is_finite(double value)
{
    return value - value == 0.0;
}

/* Newton's square root of a number in 0.25 .. 4, without the mathematics library. */
static double quantise_root_near_one(double x)
{
    double root = 0.5 * (1.0 + x);
    for (int i = 0; i < 6; i++) root = 0.5 * (root + x / root);
    return root;
}

NN_PRIVATE double nn_root(double x)
{
    double scale = 1.0;
    while (x > 4.0) {
        x *= 0.25;
        scale *= 2.0;
    }
    while (x < 0.25) {
        x *= 4.0;
        scale *= 0.5;
    }
    return scale * quantise_root_near_one(x);
}

/* ---- struct to row */

static uint32_t quantise_integer(const nn_field_plan* plan, const uint8_t* at, uint32_t* row)
{
    int64_t value =
        plan->field->kind == NECPNET_FIELD_BOOL
            ? (int64_t)(*at != 0)
            : quantise_load_integer(at, plan->field->storage_bytes, (plan->field->flags & NECPNET_FIELD_SIGNED) != 0);
    uint32_t clamped = 0;
    uint64_t steps = 0;
    if (value < plan->base) {
        clamped = 1;
    } else {
        steps = (uint64_t)value - (uint64_t)plan->base;
        if (steps > plan->range) {
            steps = plan->range;
            clamped = 1;
        }
    }
    row[0] = (uint32_t)steps;
    if (plan->wide) row[1] = (uint32_t)(steps >> 32);
    return clamped;
}

static uint32_t quantise_floats(const nn_field_plan* plan, const uint8_t* at, uint32_t* row)
{
    const necpnet_field* field = plan->field;
    uint32_t clamped = 0;
    for (unsigned i = 0; i < plan->components; i++) {
        double value = nn_load_number(at + i * field->storage_bytes, field->storage_bytes);
        double slack = field->step * 0.5; /* a float is seldom exactly its limit */
        if (!(value >= field->min)) {     /* also what is no number */
            if (!(value >= field->min - slack)) clamped++;
            value = field->min;
        } else if (value > field->max) {
            if (value > field->max + slack) clamped++;
            value = field->max;
        }
        row[i] = (uint32_t)nn_min_u64((uint64_t)((value - field->min) / field->step + 0.5), plan->range);
    }
    return clamped;
}

static uint32_t quantise_angle(const nn_field_plan* plan, const uint8_t* at, uint32_t* row)
{
    double value = nn_load_number(at, plan->field->storage_bytes);
    uint32_t clamped = 0;
    if (!(value >= -QUANTISE_ANGLE_MAX && value <= QUANTISE_ANGLE_MAX)) {
        value = 0;
        clamped = 1;
    }
    int64_t turn = (int64_t)plan->range + 1;
    int64_t steps = (int64_t)(value / plan->step + (value < 0 ? -0.5 : 0.5)) % turn;
    row[0] = (uint32_t)(steps < 0 ? steps + turn : steps);
    return clamped;
}

static uint32_t quantise_quaternion(const nn_field_plan* plan, const uint8_t* at, uint32_t* row)
{
    double q[4];
    double squares = 0;
    unsigned largest = 0;
    for (unsigned i = 0; i < 4; i++) {
        q[i] = nn_load_number(at + i * plan->field->storage_bytes, plan->field->storage_bytes);
        squares += q[i] * q[i];
        if ((q[i] < 0 ? -q[i] : q[i]) > (q[largest] < 0 ? -q[largest] : q[largest])) largest = i;
    }
    int64_t middle = (int64_t)(plan->range / 2);
    if (!quantise_is_finite(squares) || squares < 1e-30) { /* no direction: (0, 0, 0, 1) */
        row[0] = 3;
        for (unsigned i = 1; i < 4; i++) row[i] = (uint32_t)middle;
        return 1;
    }
    double scale = 1.0 / (nn_root(squares) * plan->step);
    if (q[largest] < 0) scale = -scale;
    unsigned place = 1;
    row[0] = largest;
    for (unsigned i = 0; i < 4; i++) {
        if (i == largest) continue;
        double value = q[i] * scale;
        int64_t steps = (int64_t)(value + (value < 0 ? -0.5 : 0.5));
        if (steps < -middle) steps = -middle;
        if (steps > middle) steps = middle;
        row[place++] = (uint32_t)(steps + middle);
    }
    return 0;
}

/* The length member of a list; what is out of range is clamped. */
static uint32_t quantise_length(const necpnet_field* field, const void* state, uint32_t most, uint32_t* out_clamped)
{
    int64_t length = quantise_load_integer((const uint8_t*)state + field->length_offset, field->length_bytes, false);
    *out_clamped = length > (int64_t)most;
    return *out_clamped ? most : (uint32_t)length;
}

static uint32_t quantise_bytes(const nn_field_plan* plan, const void* state, uint32_t* row)
{
    const uint8_t* at = (const uint8_t*)state + plan->field->offset;
    uint32_t count = plan->room < plan->field->count ? plan->room : plan->field->count;
    uint32_t clamped = 0;
    memset(row, 0, (size_t)plan->words * sizeof(uint32_t));
    if (plan->kind == NECPNET_FIELD_STRING) {
        uint32_t length = 0;
        while (length < count && at[length]) length++;
        if (length == count) { /* no NUL: cut */
            length--;
            clamped = 1;
        }
        count = length;
    } else if (plan->has_length) {
        count = quantise_length(plan->field, state, count, &clamped);
    }
    if (plan->has_length) *row++ = count;
    for (uint32_t i = 0; i < count; i++) row[i >> 2] |= (uint32_t)at[i] << (8 * (i & 3));
    return clamped;
}

/* A field that is no text and no array, or one value of an array. */
static uint32_t quantise_value(const nn_field_plan* plan, const uint8_t* at, uint32_t* to)
{
    switch (plan->kind) {
    case NECPNET_FIELD_BOOL:
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM: return quantise_integer(plan, at, to);
    case NECPNET_FIELD_QUAT: return quantise_quaternion(plan, at, to);
    case NECPNET_FIELD_ANGLE: return quantise_angle(plan, at, to);
    case NECPNET_FIELD_ENTITY: memcpy(to, at, 4); return 0;
    default: return quantise_floats(plan, at, to);
    }
}

static uint32_t quantise_array(const nn_field_plan* plan, const void* state, uint32_t* row)
{
    const uint8_t* at = (const uint8_t*)state + plan->field->offset;
    uint32_t stride = nn_field_value_bytes(plan->field);
    uint32_t count = plan->room < plan->field->count ? plan->room : plan->field->count;
    uint32_t clamped = 0;
    memset(row, 0, (size_t)plan->words * sizeof(uint32_t));
    if (plan->has_length) *row++ = count = quantise_length(plan->field, state, count, &clamped);
    for (uint32_t i = 0; i < count; i++) {
        clamped += quantise_value(plan->element, at + i * stride, row + i * plan->element->words);
    }
    return clamped;
}

/* One field. Returns how many of its values were clamped. */
static uint32_t quantise_field(const nn_field_plan* field, const void* state, uint32_t* row)
{
    uint32_t* to = row + field->word;
    if (NN_UNLIKELY(field->hidden)) {
        memset(to, 0, field->words * sizeof(uint32_t));
        return 0;
    }
    if (field->element) return quantise_array(field, state, to);
    if (field->kind >= NECPNET_FIELD_STRING) return quantise_bytes(field, state, to);
    return quantise_value(field, (const uint8_t*)state + field->field->offset, to);
}

NN_PRIVATE uint32_t nn_quantise(const nn_type_plan* plan, const void* state, uint32_t* row)
{
    uint32_t clamped = 0;
    for (unsigned i = 0; i < plan->field_count; i++) clamped += quantise_field(&plan->fields[i], state, row);
    return clamped;
}

NN_PRIVATE const necpnet_field* nn_quantise_find_clamped(const nn_type_plan* plan, const void* state, uint32_t* row)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (quantise_field(&plan->fields[i], state, row)) return plan->fields[i].field;
    }
    return NULL;
}

/* ---- row to struct */

static uint64_t quantise_word(const nn_field_plan* plan, const uint32_t* row)
{
    return plan->wide ? (uint64_t)row[0] | (uint64_t)row[1] << 32 : row[0];
}

static double quantise_angle_of(const nn_field_plan* plan, uint32_t steps)
{
    double value = (double)steps * plan->step;
    return value > QUANTISE_TURN / 2 ? value - QUANTISE_TURN : value;
}

static void quantise_quaternion_of(const nn_field_plan* plan, const uint32_t* row, double q[4])
{
    unsigned largest = row[0] & 3;
    double middle = (double)(plan->range / 2);
    double left = 1.0;
    unsigned place = 1;
    for (unsigned i = 0; i < 4; i++) {
        if (i == largest) continue;
        q[i] = ((double)row[place++] - middle) * plan->step;
        left -= q[i] * q[i];
    }
    q[largest] = quantise_root_near_one(left < 0.25 ? 0.25 : left); /* the largest of four is at least a half */
}

static void quantise_store_quaternion(const necpnet_field* field, uint8_t* at, const double q[4])
{
    for (unsigned i = 0; i < 4; i++) nn_store_number(at + i * field->storage_bytes, field->storage_bytes, q[i]);
}

/* A struct of another version may have less room: a text is cut before the character that does not fit. */
static uint32_t quantise_cut(const nn_field_plan* plan, const uint32_t* items)
{
    if (plan->kind != NECPNET_FIELD_STRING) return plan->room;
    uint32_t cut = plan->room - 1u;
    while (cut && ((items[cut >> 2] >> (8 * (cut & 3))) & 0xc0) == 0x80) cut--;
    return cut;
}

/* How many items the struct gets of a text, bytes or an array; its length member, if it has one, is written. */
static uint32_t quantise_restore_length(const nn_field_plan* plan, const uint32_t* row, void* state)
{
    const necpnet_field* field = plan->field;
    bool is_text = plan->kind == NECPNET_FIELD_STRING;
    uint32_t count = plan->has_length ? row[0] : field->count;
    if (NN_UNLIKELY(count + is_text > plan->room)) count = quantise_cut(plan, row + plan->has_length);
    if (plan->has_length && !is_text) {
        quantise_store_integer((uint8_t*)state + field->length_offset, field->length_bytes, (int64_t)count);
    }
    return count;
}

static void quantise_restore_value(const nn_field_plan* plan, const uint32_t* row, uint8_t* at)
{
    const necpnet_field* field = plan->field;
    double q[4];
    switch (plan->kind) {
    case NECPNET_FIELD_BOOL: {
        bool value = row[0] != 0;
        memcpy(at, &value, sizeof value);
        break;
    }
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM:
        quantise_store_integer(at, field->storage_bytes,
                               quantise_fit(field, (int64_t)((uint64_t)plan->base + quantise_word(plan, row))));
        break;
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        for (unsigned i = 0; i < plan->components; i++) {
            double value = field->min + (double)row[i] * field->step;
            nn_store_number(at + i * field->storage_bytes, field->storage_bytes,
                            value > field->max ? field->max : value);
        }
        break;
    case NECPNET_FIELD_QUAT:
        quantise_quaternion_of(plan, row, q);
        quantise_store_quaternion(field, at, q);
        break;
    case NECPNET_FIELD_ANGLE: nn_store_number(at, field->storage_bytes, quantise_angle_of(plan, row[0])); break;
    default: memcpy(at, row, 4); break; /* ENTITY */
    }
}

static void quantise_restore(const nn_field_plan* plan, const uint32_t* row, void* state)
{
    uint8_t* at = (uint8_t*)state + plan->field->offset;
    if (NN_UNLIKELY(plan->hidden)) return;
    if (plan->kind < NECPNET_FIELD_STRING) {
        quantise_restore_value(plan, row, at);
        return;
    }
    const nn_field_plan* element = plan->element;
    uint32_t count = quantise_restore_length(plan, row, state);
    uint32_t stride = nn_field_value_bytes(plan->field);
    row += plan->has_length;
    for (uint32_t i = 0; i < count; i++) {
        if (element) {
            quantise_restore_value(element, row + i * element->words, at + i * stride);
        } else {
            at[i] = (uint8_t)(row[i >> 2] >> (8 * (i & 3)));
        }
    }
}

NN_PRIVATE void nn_dequantise(const nn_type_plan* plan, const uint32_t* row, void* state)
{
    memset(state, 0, plan->type->struct_bytes);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        quantise_restore(field, row + field->word, state);
    }
}

NN_PRIVATE void nn_dequantise_field(const nn_type_plan* plan, unsigned index, const uint32_t* row, void* state)
{
    const nn_field_plan* field = &plan->fields[index];
    uint8_t* at = (uint8_t*)state + field->field->offset;
    if (field->hidden) return;
    if (field->kind >= NECPNET_FIELD_STRING) /* what it does not fill becomes 0 */
        memset(at, 0, field->room * (size_t)nn_field_value_bytes(field->field));
    quantise_restore(field, row + field->word, state);
}

/* ---- blending */

static void quantise_blend_quaternion(const nn_field_plan* plan, const uint32_t* a, const uint32_t* b, double share,
                                      uint8_t* at)
{
    double from[4];
    double to[4];
    double dot = 0;
    double squares = 0;
    quantise_quaternion_of(plan, a, from);
    quantise_quaternion_of(plan, b, to);
    for (unsigned i = 0; i < 4; i++) dot += from[i] * to[i];
    for (unsigned i = 0; i < 4; i++) {
        from[i] += ((dot < 0 ? -to[i] : to[i]) - from[i]) * share;
        squares += from[i] * from[i];
    }
    double scale = squares > 1e-12 ? 1.0 / nn_root(squares) : 0.0;
    for (unsigned i = 0; i < 4; i++) from[i] *= scale;
    quantise_store_quaternion(plan->field, at, scale > 0 ? from : to);
}

static void quantise_blend(const nn_field_plan* plan, const uint32_t* a, const uint32_t* b, double share, uint8_t* at)
{
    const necpnet_field* field = plan->field;
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER: {
        double from = (double)quantise_word(plan, a);
        double value = from + ((double)quantise_word(plan, b) - from) * share;
        uint64_t steps = value <= 0 ? 0 : nn_min_u64((uint64_t)(value + 0.5), plan->range);
        quantise_store_integer(at, field->storage_bytes, quantise_fit(field, (int64_t)((uint64_t)plan->base + steps)));
        break;
    }
    case NECPNET_FIELD_QUAT: quantise_blend_quaternion(plan, a, b, share, at); break;
    case NECPNET_FIELD_ANGLE: {
        double from = quantise_angle_of(plan, a[0]);
        double way = quantise_angle_of(plan, b[0]) - from;
        if (way > QUANTISE_TURN / 2) way -= QUANTISE_TURN;
        if (way < -QUANTISE_TURN / 2) way += QUANTISE_TURN;
        double value = from + way * share;
        while (value > QUANTISE_TURN / 2) value -= QUANTISE_TURN;
        while (value < -QUANTISE_TURN / 2) value += QUANTISE_TURN;
        nn_store_number(at, field->storage_bytes, value);
        break;
    }
    default:
        for (unsigned i = 0; i < plan->components; i++) {
            double steps = (double)a[i] + ((double)b[i] - (double)a[i]) * share;
            double value = field->min + steps * field->step;
            if (value < field->min) value = field->min;
            if (value > field->max) value = field->max;
            nn_store_number(at + i * field->storage_bytes, field->storage_bytes, value);
        }
        break;
    }
}

NN_PRIVATE void nn_dequantise_between(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, double share,
                                      void* state)
{
    memset(state, 0, plan->type->struct_bytes);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        const uint32_t* from = a + field->word;
        const uint32_t* to = b + field->word;
        if ((field->field->flags & NECPNET_FIELD_INTERPOLATE) && memcmp(from, to, field->words * sizeof(uint32_t))) {
            quantise_blend(field, from, to, share, (uint8_t*)state + field->field->offset);
        } else {
            quantise_restore(field, share < 1.0 ? from : to, state);
        }
    }
}

NN_PRIVATE bool nn_row_near(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, uint64_t fields,
                            uint64_t steps)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        const uint32_t* x = a + field->word;
        const uint32_t* y = b + field->word;
        if (field->hidden || !(fields >> i & 1) || !memcmp(x, y, field->words * sizeof(uint32_t))) continue;
        if (!(field->field->flags & NECPNET_FIELD_INTERPOLATE)) return false;
        bool quaternion = field->field->kind == NECPNET_FIELD_QUAT;
        if (quaternion && x[0] != y[0]) return false;
        for (unsigned j = quaternion ? 1 : 0; j < field->words; j += field->wide ? 2 : 1) {
            uint64_t p = quantise_word(field, x + j);
            uint64_t q = quantise_word(field, y + j);
            uint64_t apart = p > q ? p - q : q - p;
            if (field->field->kind == NECPNET_FIELD_ANGLE) apart = nn_min_u64(apart, field->range + 1 - apart);
            if (apart > steps) return false;
        }
    }
    return true;
}
