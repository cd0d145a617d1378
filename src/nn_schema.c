/* nn_schema - refuse what cannot work, naming type and field; lay out rows; hash the wire form. */
#include "nn_schema.h"

#include "nn_bits.h"
#include "nn_bytes.h"
#include "nn_hash.h"
#include "nn_log.h"

#define SCHEMA_INTEGER_MAX 9007199254740992.0 /* 2^53: doubles hold every integer up to it */
#define SCHEMA_TURN 6.283185307179586
#define SCHEMA_HALF_ROOT 0.7071067811865476 /* the most that the second largest of a unit quaternion can be */
#define SCHEMA_FLOAT_MAX 3.402823466e38     /* FLT_MAX, rounded down */
#define SCHEMA_FLAGS_ALL (1023u | NECPNET_FIELD_PARENT | NECPNET_FIELD_RATE(0xffff))
#define SCHEMA_FLAGS_HASHED \
    (NECPNET_FIELD_OWNER_ONLY | NECPNET_FIELD_NOT_OWNER | NECPNET_FIELD_ARRAY | NECPNET_FIELD_BOUNDED | \
     NECPNET_FIELD_SERVER)

/* For the texts of refusals. */
typedef struct schema_check {
    const necpnet_logger* logger;
    const necpnet_entity_type* type;
    const necpnet_field* field;
} schema_check;

static const char* schema_name(const char* name)
{
    return name ? name : "(no name)";
}

static bool schema_refuse(const schema_check* check, const char* text)
{
    if (check->field) {
        nn_log_write(check->logger, NECPNET_LOG_ERROR, "schema: type %s (%u), field %s (%u): %s",
                     schema_name(check->type->name), check->type->id, schema_name(check->field->name), check->field->id,
                     text);
    } else {
        nn_log_write(check->logger, NECPNET_LOG_ERROR, "schema: type %s (%u): %s", schema_name(check->type->name),
                     check->type->id, text);
    }
    return false;
}

static bool schema_name_fits(const char* name)
{
    if (!name) return false;
    size_t bytes = 0;
    while (bytes <= NECPNET_NAME_BYTES_MAX && name[bytes]) bytes++;
    return bytes >= 1 && bytes <= NECPNET_NAME_BYTES_MAX;
}

static bool schema_is_finite(double value)
{
    return value - value == 0.0;
}

static bool schema_is_float_kind(uint8_t kind)
{
    return kind == NECPNET_FIELD_FLOAT || kind == NECPNET_FIELD_VEC2 || kind == NECPNET_FIELD_VEC3 ||
           kind == NECPNET_FIELD_QUAT || kind == NECPNET_FIELD_ANGLE;
}

static bool schema_is_text(uint8_t kind)
{
    return kind == NECPNET_FIELD_STRING || kind == NECPNET_FIELD_BYTES;
}

NN_PRIVATE uint32_t nn_field_value_bytes(const necpnet_field* field)
{
    uint32_t number = field->storage_bytes;
    switch (field->kind) {
    case NECPNET_FIELD_VEC2: return number * 2;
    case NECPNET_FIELD_VEC3: return number * 3;
    case NECPNET_FIELD_QUAT: return number * 4;
    default: return number;
    }
}

NN_PRIVATE uint32_t nn_field_bytes(const necpnet_field* field)
{
    bool many = schema_is_text(field->kind) || (field->flags & NECPNET_FIELD_ARRAY);
    return many ? nn_field_value_bytes(field) * field->count : nn_field_value_bytes(field);
}

NN_PRIVATE uint32_t nn_field_end(const necpnet_field* field)
{
    uint32_t end = field->offset + nn_field_bytes(field);
    uint32_t length_end = field->length_offset + field->length_bytes;
    return (field->flags & NECPNET_FIELD_BOUNDED) && length_end > end ? length_end : end;
}

/* ---- plans */

static uint64_t schema_round(double value)
{
    return (uint64_t)(value + 0.5);
}

/* One value of a field. */
static void schema_plan_value(nn_field_plan* plan, const necpnet_field* field)
{
    memset(plan, 0, sizeof *plan);
    plan->field = field;
    plan->kind = field->kind;
    plan->components = 1;
    plan->step = field->step;
    plan->room = (uint8_t)field->count;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: plan->range = 1; break;
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM:
        plan->base = (int64_t)field->min;
        plan->range = (uint64_t)((int64_t)field->max - (int64_t)field->min);
        plan->wide = plan->range > UINT32_MAX;
        break;
    case NECPNET_FIELD_VEC2: plan->components = 2; break;
    case NECPNET_FIELD_VEC3: plan->components = 3; break;
    case NECPNET_FIELD_QUAT:
        plan->components = 3;
        plan->range = 2 * schema_round(SCHEMA_HALF_ROOT / field->step);
        break;
    case NECPNET_FIELD_ANGLE:
        plan->range = schema_round(SCHEMA_TURN / field->step) - 1;
        plan->step = SCHEMA_TURN / (double)(plan->range + 1);
        break;
    case NECPNET_FIELD_FLOAT: break;
    default: plan->components = 0; break; /* ENTITY, STRING, BYTES */
    }
    if (field->kind == NECPNET_FIELD_FLOAT || field->kind == NECPNET_FIELD_VEC2 || field->kind == NECPNET_FIELD_VEC3) {
        plan->range = schema_round((field->max - field->min) / field->step);
    }
    plan->words = (uint16_t)(plan->components * (plan->wide ? 2 : 1));
    if (field->kind == NECPNET_FIELD_QUAT) plan->words = 4;
    if (field->kind == NECPNET_FIELD_ENTITY) plan->words = 1;
    plan->bits = (uint8_t)nn_bits_for(plan->range);
}

/* element: filled for an ARRAY, and kept as long as the plan. */
static void schema_plan_field(nn_field_plan* plan, nn_field_plan* element, const necpnet_field* field, uint16_t word)
{
    schema_plan_value(plan, field);
    plan->word = word;
    bool array = (field->flags & NECPNET_FIELD_ARRAY) != 0;
    if (!array && !schema_is_text(field->kind)) return;
    plan->has_length = field->kind == NECPNET_FIELD_STRING || (field->flags & NECPNET_FIELD_BOUNDED);
    plan->bits = (uint8_t)nn_bits_for(plan->has_length ? nn_field_length_max(field) : field->count - 1);
    plan->words = (uint16_t)((field->count + 3) / 4 + plan->has_length);
    if (!array) return;
    schema_plan_value(element, field);
    plan->element = element;
    plan->kind = NECPNET_FIELD_BYTES;
    plan->components = 0;
    plan->wide = false;
    plan->words = (uint16_t)(field->count * element->words + plan->has_length);
}

/* ---- checks */

static bool schema_check_integer(const schema_check* check)
{
    const necpnet_field* field = check->field;
    unsigned bits = field->storage_bytes * 8u;
    if (field->min < -SCHEMA_INTEGER_MAX || field->max > SCHEMA_INTEGER_MAX) {
        return schema_refuse(check, "min and max must lie within 2^53");
    }
    if ((double)(int64_t)field->min != field->min || (double)(int64_t)field->max != field->max) {
        return schema_refuse(check, "min and max of an integer must be whole numbers");
    }
    if (field->kind == NECPNET_FIELD_ENUM && field->min != 0) return schema_refuse(check, "min of an enum must be 0");
    bool is_signed = (field->flags & NECPNET_FIELD_SIGNED) != 0;
    if (!is_signed && field->min < 0) {
        return schema_refuse(check, "min is negative but the storage is unsigned; add NECPNET_FIELD_SIGNED");
    }
    if (bits < 64) {
        double most = (double)((UINT64_C(1) << (is_signed ? bits - 1 : bits)) - 1);
        if (field->max > most || field->min < -most - 1) return schema_refuse(check, "the range exceeds the storage");
    }
    return true;
}

static bool schema_check_range(const schema_check* check)
{
    const necpnet_field* field = check->field;
    if (!schema_is_finite(field->min) || !schema_is_finite(field->max) || !schema_is_finite(field->step)) {
        return schema_refuse(check, "min, max and step must be finite numbers");
    }
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM:
        if (!(field->max > field->min)) return schema_refuse(check, "max must be greater than min");
        return schema_check_integer(check);
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        if (!(field->max > field->min)) return schema_refuse(check, "max must be greater than min");
        if (!(field->step > 0)) return schema_refuse(check, "step must be greater than 0");
        if (field->storage_bytes == 4 && (field->max > SCHEMA_FLOAT_MAX || field->min < -SCHEMA_FLOAT_MAX)) {
            return schema_refuse(check, "the range exceeds the storage");
        }
        if ((field->max - field->min) / field->step > (double)NN_FIELD_RANGE_MAX) {
            return schema_refuse(check, "more than 2^32 - 2 steps from min to max; take a larger step");
        }
        if ((field->max - field->min) / field->step < 1) return schema_refuse(check, "step is larger than the range");
        return true;
    case NECPNET_FIELD_QUAT:
        if (!(field->step >= 0.0001 && field->step <= 0.1)) return schema_refuse(check, "step must be 0.0001 .. 0.1");
        return true;
    case NECPNET_FIELD_ANGLE:
        if (!(field->step >= 0.000001 && field->step <= 1.0)) return schema_refuse(check, "step must be 0.000001 .. 1");
        return true;
    default: return true;
    }
}

/* Whether bytes from offset on lie in the struct. */
static bool schema_lies_within(const necpnet_entity_type* type, uint32_t offset, uint32_t bytes)
{
    return offset <= type->struct_bytes && bytes <= type->struct_bytes - offset;
}

static bool schema_check_length(const schema_check* check)
{
    const necpnet_field* field = check->field;
    if (!(field->flags & NECPNET_FIELD_BOUNDED)) {
        return (!field->length_offset && !field->length_bytes) ||
               schema_refuse(check, "it has a length member and is not BOUNDED");
    }
    if (!(field->flags & NECPNET_FIELD_ARRAY) && field->kind != NECPNET_FIELD_BYTES) {
        return schema_refuse(check, "only an ARRAY or BYTES can be BOUNDED");
    }
    if (field->length_bytes != 1 && field->length_bytes != 2 && field->length_bytes != 4) {
        return schema_refuse(check, "the length member must be an unsigned integer of 1, 2 or 4 bytes");
    }
    if (!schema_lies_within(check->type, field->length_offset, field->length_bytes)) {
        return schema_refuse(check, "its length member lies beyond the end of the struct");
    }
    return true;
}

static bool schema_check_count(const schema_check* check)
{
    const necpnet_field* field = check->field;
    bool array = (field->flags & NECPNET_FIELD_ARRAY) != 0;
    if (array && schema_is_text(field->kind)) {
        return schema_refuse(check, "strings and bytes cannot be the values of an ARRAY");
    }
    if (array && (field->flags & (NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_POSITION))) {
        return schema_refuse(check, "an ARRAY cannot be interpolated, nor be the POSITION");
    }
    if (field->kind == NECPNET_FIELD_STRING && (field->count < 2 || field->count > NECPNET_FIELD_COUNT_MAX)) {
        return schema_refuse(check, "count of a string must be 2 .. 255 (its NUL is counted)");
    }
    if (field->kind == NECPNET_FIELD_BYTES && (field->count < 1 || field->count > NECPNET_FIELD_COUNT_MAX)) {
        return schema_refuse(check, "count of bytes must be 1 .. 255");
    }
    if (array && (field->count < 1 || field->count > NECPNET_FIELD_COUNT_MAX)) {
        return schema_refuse(check, "count of an ARRAY must be 1 .. 255");
    }
    if (!array && !schema_is_text(field->kind) && field->count != 1) {
        return schema_refuse(check, "count must be 1, or the field an ARRAY");
    }
    if (!schema_lies_within(check->type, field->offset, nn_field_bytes(field))) {
        return schema_refuse(check, "it lies beyond the end of the struct");
    }
    return schema_check_length(check);
}

static bool schema_check_storage(const schema_check* check)
{
    const necpnet_field* field = check->field;
    unsigned bytes = field->storage_bytes;
    bool fits = false;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: fits = bytes == sizeof(bool); break;
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM: fits = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8; break;
    case NECPNET_FIELD_ENTITY: fits = bytes == 4; break;
    case NECPNET_FIELD_STRING:
    case NECPNET_FIELD_BYTES: fits = bytes == 1; break;
    default: fits = bytes == 4 || bytes == 8; break;
    }
    if (!fits) return schema_refuse(check, "storage_bytes does not fit the kind; is the struct's member of that type?");
    return schema_check_count(check);
}

static bool schema_meet(uint32_t a, uint32_t a_bytes, uint32_t b, uint32_t b_bytes)
{
    return a_bytes && b_bytes && a < b + b_bytes && b < a + a_bytes;
}

/* A field is its values, and its length member if it has one. */
static bool schema_overlap(const necpnet_field* a, const necpnet_field* b)
{
    uint32_t a_bytes = nn_field_bytes(a);
    uint32_t b_bytes = nn_field_bytes(b);
    return schema_meet(a->offset, a_bytes, b->offset, b_bytes) ||
           schema_meet(a->length_offset, a->length_bytes, b->offset, b_bytes) ||
           schema_meet(a->offset, a_bytes, b->length_offset, b->length_bytes) ||
           schema_meet(a->length_offset, a->length_bytes, b->length_offset, b->length_bytes);
}

/* The rates of a type's fields up to this one. */
static int schema_count_rates(const necpnet_entity_type* type, int index)
{
    int count = 0;
    for (int i = 0; i <= index; i++) {
        uint32_t rate = type->fields[i].flags & (NECPNET_FIELD_RATE(0xffff) | NECPNET_FIELD_SLOW);
        bool is_new = rate != 0;
        for (int j = 0; j < i && is_new; j++) {
            is_new = (type->fields[j].flags & (NECPNET_FIELD_RATE(0xffff) | NECPNET_FIELD_SLOW)) != rate;
        }
        count += is_new;
    }
    return count;
}

static bool schema_check_field(const schema_check* check, int index)
{
    const necpnet_field* field = check->field;
    if (!schema_name_fits(field->name)) return schema_refuse(check, "the name must have 1 .. 63 bytes");
    if (field->id == 0) return schema_refuse(check, "the id must be 1 .. 65,535");
    if (field->kind > NECPNET_FIELD_BYTES) return schema_refuse(check, "unknown kind");
    if (field->flags & ~SCHEMA_FLAGS_ALL) return schema_refuse(check, "unknown flag");
    if ((field->flags & NECPNET_FIELD_OWNER_ONLY) && (field->flags & NECPNET_FIELD_NOT_OWNER)) {
        return schema_refuse(check, "OWNER_ONLY and NOT_OWNER together: nobody would get it");
    }
    if (nn_field_rate(field) > NN_FIELD_RATE_MAX) return schema_refuse(check, "the rate must be 1 .. 1,000 Hz");
    if (nn_field_rate(field) && (field->flags & NECPNET_FIELD_SLOW)) {
        return schema_refuse(check, "SLOW and a rate together: one of them");
    }
    if (schema_count_rates(check->type, index) > NECPNET_RATES_MAX) {
        return schema_refuse(check, "the fields of a type have at most 8 rates");
    }
    if ((field->flags & NECPNET_FIELD_INTERPOLATE) && field->kind != NECPNET_FIELD_INTEGER &&
        !schema_is_float_kind(field->kind)) {
        return schema_refuse(check, "only numbers, vectors, quaternions and angles can be interpolated");
    }
    if ((field->flags & NECPNET_FIELD_PARENT) &&
        (field->kind != NECPNET_FIELD_ENTITY || (field->flags & NECPNET_FIELD_ARRAY))) {
        return schema_refuse(check, "only a reference to an entity can be the PARENT");
    }
    if ((field->flags & NECPNET_FIELD_POSITION) && field->kind != NECPNET_FIELD_VEC2 &&
        field->kind != NECPNET_FIELD_VEC3) {
        return schema_refuse(check, "only a vector of 2 or 3 numbers can be the POSITION");
    }
    if (!schema_check_storage(check) || !schema_check_range(check)) return false;
    for (int i = 0; i < index; i++) {
        const necpnet_field* other = &check->type->fields[i];
        if (other->flags & field->flags & NECPNET_FIELD_PARENT) {
            return schema_refuse(check, "another field of the type is its PARENT");
        }
        if (other->flags & field->flags & NECPNET_FIELD_POSITION) {
            return schema_refuse(check, "another field of the type is its POSITION");
        }
        if (other->id == field->id) return schema_refuse(check, "another field of the type has the same id");
        if (schema_overlap(field, other)) return schema_refuse(check, "it overlaps another field in the struct");
    }
    if (schema_meet(field->offset, nn_field_bytes(field), field->length_offset, field->length_bytes)) {
        return schema_refuse(check, "its length member lies within it");
    }
    return true;
}

static uint32_t schema_value_bits(const nn_field_plan* plan)
{
    switch (plan->field->kind) {
    case NECPNET_FIELD_QUAT: return 2 + 3u * plan->bits;
    case NECPNET_FIELD_ENTITY: return 32;
    default: return (uint32_t)plan->components * plan->bits;
    }
}

/* Of a whole state, as nn_row_write makes it, and of its row. */
static void schema_measure(const necpnet_entity_type* type, uint32_t* out_bits, uint32_t* out_words)
{
    *out_bits = *out_words = 0;
    for (int i = 0; i < type->field_count; i++) {
        nn_field_plan plan;
        nn_field_plan element;
        const necpnet_field* field = &type->fields[i];
        schema_plan_field(&plan, &element, field, 0);
        *out_words += plan.words;
        if (plan.has_length) *out_bits += plan.bits;
        if (plan.element) {
            *out_bits += field->count * schema_value_bits(&element);
        } else {
            *out_bits += schema_is_text(field->kind) ? nn_field_length_max(field) * 8 : schema_value_bits(&plan);
        }
    }
}

static bool schema_check_type(const necpnet_logger* logger, const necpnet_entity_type* types, int index)
{
    schema_check check = {logger, &types[index], NULL};
    const necpnet_entity_type* type = check.type;
    if (!schema_name_fits(type->name)) return schema_refuse(&check, "the name must have 1 .. 63 bytes");
    if (type->id == 0) return schema_refuse(&check, "the id must be 1 .. 65,535");
    for (int i = 0; i < index; i++) {
        if (types[i].id == type->id) return schema_refuse(&check, "another type has the same id");
    }
    if (type->struct_bytes < 1 || type->struct_bytes > NN_STRUCT_BYTES_MAX) {
        return schema_refuse(&check, "struct_bytes must be 1 .. 4,096");
    }
    if (!type->fields || type->field_count < 1 || type->field_count > NECPNET_FIELDS_MAX) {
        return schema_refuse(&check, "a type has 1 .. 64 fields");
    }
    for (int i = 0; i < type->field_count; i++) {
        check.field = &type->fields[i];
        if (!schema_check_field(&check, i)) return false;
    }
    check.field = NULL;
    uint32_t bits;
    uint32_t words;
    schema_measure(type, &bits, &words);
    if (bits > NN_STATE_BYTES_MAX * 8u) {
        return schema_refuse(&check, "a state of it takes more than 1,000 bytes, which one packet may not hold");
    }
    if (words > NN_ROW_WORDS_MAX) return schema_refuse(&check, "a state of it takes more than 1,200 words of memory");
    return true;
}

/* The number of steps that 0 is from min, within the range. */
static uint64_t schema_zero_of(const nn_field_plan* plan)
{
    const necpnet_field* field = plan->field;
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM:
        if (plan->base >= 0) return 0;
        return nn_min_u64((uint64_t)-plan->base, plan->range);
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        if (field->min >= 0) return 0;
        if (field->max <= 0) return plan->range;
        return nn_min_u64(schema_round(-field->min / field->step), plan->range);
    case NECPNET_FIELD_QUAT: return plan->range / 2;
    default: return 0;
    }
}

static void schema_plan_zeroes(const nn_field_plan* plan, uint32_t* row)
{
    uint32_t* at = row + plan->word;
    if (plan->element && !plan->has_length) {
        for (uint32_t i = 0; i < plan->field->count; i++)
            schema_plan_zeroes(plan->element, at + i * plan->element->words);
    }
    if (plan->element) return; /* of a list none, and zeroes behind */
    uint64_t zero = schema_zero_of(plan);
    if (plan->field->kind == NECPNET_FIELD_QUAT) *at++ = 3; /* (0, 0, 0, 1) */
    for (unsigned i = 0; i < plan->components; i++) {
        *at++ = (uint32_t)zero;
        if (plan->wide) *at++ = (uint32_t)(zero >> 32);
    }
}

static bool schema_is_blended(const necpnet_field* field)
{
    return (field->flags & NECPNET_FIELD_INTERPOLATE) && schema_is_float_kind(field->kind) &&
           field->kind != NECPNET_FIELD_QUAT;
}

/* The field's rate among those of its type; that there is room was checked. */
static uint8_t schema_plan_rate(nn_type_plan* plan, const necpnet_field* field)
{
    uint32_t rate = nn_field_rate(field);
    uint8_t index = 0;
    if (!rate && !(field->flags & NECPNET_FIELD_SLOW)) return 0;
    while (index < plan->rate_count && plan->rates[index] != rate) index++;
    if (index == plan->rate_count) plan->rates[plan->rate_count++] = (uint16_t)rate;
    return (uint8_t)(index + 1);
}

/* elements: as many as the type has arrays. */
static void schema_plan_type(nn_type_plan* plan, nn_field_plan* fields, nn_field_plan* elements,
                             const necpnet_entity_type* type)
{
    plan->type = type;
    plan->fields = fields;
    plan->field_count = (uint16_t)type->field_count;
    for (int i = 0; i < type->field_count; i++) {
        const necpnet_field* field = &type->fields[i];
        schema_plan_field(&fields[i], elements, field, plan->row_words);
        if (fields[i].element) elements++;
        plan->row_words = (uint16_t)(plan->row_words + fields[i].words);
        if (field->flags & (NECPNET_FIELD_OWNER_ONLY | NECPNET_FIELD_NOT_OWNER)) plan->restricted = true;
        if (field->flags & NECPNET_FIELD_PARENT) plan->parent = (uint16_t)(fields[i].word + 1u);
        fields[i].rate = schema_plan_rate(plan, field);
        if (schema_is_blended(field)) plan->blend_count = (uint16_t)(plan->blend_count + fields[i].components);
    }
}

/* ---- hash */

static void schema_hash_bytes(uint64_t* hash, uint64_t value, size_t bytes)
{
    uint8_t piece[8];
    nn_store_u64(piece, value);
    *hash = nn_fnv1a64(*hash, piece, bytes);
}

static void schema_hash_double(uint64_t* hash, double value)
{
    uint64_t bits;
    value += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &value, sizeof bits);
    schema_hash_bytes(hash, bits, 8);
}

static uint64_t schema_hash(const necpnet_schema* schema)
{
    uint64_t hash = NN_FNV1A64_BASIS;
    schema_hash_bytes(&hash, (uint64_t)schema->type_count, 2);
    for (int i = 0; i < schema->type_count; i++) {
        const nn_type_plan* plan = &schema->plans[i];
        schema_hash_bytes(&hash, plan->type->id, 2);
        schema_hash_bytes(&hash, plan->field_count, 2);
        for (int j = 0; j < plan->field_count; j++) {
            const necpnet_field* field = plan->fields[j].field;
            schema_hash_bytes(&hash, field->id, 2);
            schema_hash_bytes(&hash, field->kind, 1);
            schema_hash_bytes(&hash, field->flags & SCHEMA_FLAGS_HASHED, 2);
            schema_hash_bytes(&hash, field->count, 1);
            schema_hash_bytes(&hash, plan->fields[j].range, 8);
            if (field->kind == NECPNET_FIELD_INTEGER || schema_is_float_kind(field->kind)) {
                schema_hash_double(&hash, field->min);
                schema_hash_double(&hash, field->step);
            }
        }
    }
    return hash;
}

/* ---- building: one block, carved from the front */

typedef struct schema_carver {
    uint8_t* memory; /* NULL: measure */
    size_t used;
} schema_carver;

static void* schema_carve(schema_carver* carver, size_t bytes)
{
    void* piece = carver->memory ? carver->memory + carver->used : NULL;
    carver->used += (bytes + 15) / 16 * 16;
    return piece;
}

static const char* schema_carve_name(schema_carver* carver, const char* name)
{
    size_t bytes = strlen(name) + 1;
    char* copy = (char*)schema_carve(carver, bytes);
    if (copy) memcpy(copy, name, bytes);
    return copy;
}

static void schema_build_type(schema_carver* carver, necpnet_schema* schema, const necpnet_entity_type* type, int index)
{
    necpnet_field* fields = (necpnet_field*)schema_carve(carver, (size_t)type->field_count * sizeof(necpnet_field));
    nn_field_plan* plans = (nn_field_plan*)schema_carve(carver, (size_t)type->field_count * sizeof(nn_field_plan));
    const char* type_name = schema_carve_name(carver, type->name);
    uint32_t row_words;
    uint32_t bits;
    size_t arrays = 0;
    schema_measure(type, &bits, &row_words);
    for (int i = 0; i < type->field_count; i++) { /* by rising id: insertion sort */
        arrays += (type->fields[i].flags & NECPNET_FIELD_ARRAY) != 0;
        const char* name = schema_carve_name(carver, type->fields[i].name);
        if (!fields) continue;
        int place = i;
        for (; place > 0 && fields[place - 1].id > type->fields[i].id; place--) fields[place] = fields[place - 1];
        fields[place] = type->fields[i];
        fields[place].name = name;
    }
    nn_field_plan* elements = (nn_field_plan*)schema_carve(carver, arrays * sizeof(nn_field_plan));
    uint32_t* zeroes = (uint32_t*)schema_carve(carver, row_words * sizeof(uint32_t));
    if (!schema) return;
    necpnet_entity_type* copy = &schema->types[index];
    *copy = *type;
    copy->name = type_name;
    copy->fields = fields;
    nn_type_plan* plan = &schema->plans[index];
    schema_plan_type(plan, plans, elements, copy);
    for (int i = 0; i < type->field_count; i++) schema_plan_zeroes(&plans[i], zeroes);
    plan->row_zeroes = zeroes;
    plan->own = (int16_t)index;
}

/* Measures with memory NULL, builds otherwise. */
static size_t schema_build(void* memory, const necpnet_entity_type* types, int type_count)
{
    schema_carver carver = {(uint8_t*)memory, 0};
    necpnet_schema* schema = (necpnet_schema*)schema_carve(&carver, sizeof(necpnet_schema));
    void* copies = schema_carve(&carver, (size_t)type_count * sizeof(necpnet_entity_type));
    void* plans = schema_carve(&carver, (size_t)type_count * sizeof(nn_type_plan));
    if (schema) {
        schema->types = (necpnet_entity_type*)copies;
        schema->plans = (nn_type_plan*)plans;
        schema->type_count = type_count;
        schema->type_bits = nn_bits_for((uint64_t)type_count - 1);
    }
    int id = 0;
    for (int index = 0; index < type_count; index++) { /* by rising id: take the smallest not yet taken */
        int next = -1;
        for (int i = 0; i < type_count; i++) {
            if (types[i].id > id && (next < 0 || types[i].id < types[next].id)) next = i;
        }
        NN_ASSERT(next >= 0);
        id = types[next].id;
        schema_build_type(&carver, schema, &types[next], index);
    }
    return carver.used;
}

necpnet_result necpnet_schema_create(const necpnet_allocator* allocator, const necpnet_logger* logger,
                                     const necpnet_entity_type* types, int type_count, necpnet_schema** out_schema)
{
    if (!types || type_count < 1 || type_count > NECPNET_ENTITY_TYPES_MAX || !out_schema) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    for (int i = 0; i < type_count; i++) {
        if (!schema_check_type(logger, types, i)) return NECPNET_ERR_BAD_SCHEMA;
    }
    return nn_schema_make(allocator, types, type_count, out_schema);
}

NN_PRIVATE necpnet_result nn_schema_make(const necpnet_allocator* allocator, const necpnet_entity_type* types,
                                         int type_count, necpnet_schema** out_schema)
{
    nn_alloc alloc;
    nn_alloc_init(&alloc, allocator);
    size_t bytes = schema_build(NULL, types, type_count);
    necpnet_schema* schema = (necpnet_schema*)nn_alloc_take(&alloc, bytes);
    if (!schema) return NECPNET_ERR_OUT_OF_MEMORY;
    schema_build(schema, types, type_count);
    schema->alloc = alloc;
    schema->block_bytes = bytes;
    size_t blob_bytes;
    const uint8_t* blob = nn_tables_blob(&blob_bytes);
    schema->tables = (nn_tables*)nn_alloc_take(&schema->alloc, sizeof(nn_tables));
    if (!schema->tables || !nn_tables_load(schema->tables, blob, blob_bytes)) {
        necpnet_schema_destroy(schema);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    schema->hash = schema_hash(schema);
    *out_schema = schema;
    return NECPNET_OK;
}

void necpnet_schema_destroy(necpnet_schema* schema)
{
    if (!schema) return;
    nn_alloc alloc = schema->alloc;
    nn_alloc_give(&alloc, schema->tables, sizeof(nn_tables));
    nn_alloc_give(&alloc, schema->own_tables, sizeof(nn_tables));
    nn_alloc_give(&alloc, schema, schema->block_bytes);
}

necpnet_result necpnet_schema_set_tables(necpnet_schema* schema, const void* blob, size_t bytes)
{
    if (!schema || (!blob && bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_tables* tables = NULL;
    if (blob) {
        tables = (nn_tables*)nn_alloc_take(&schema->alloc, sizeof(nn_tables));
        if (!tables) return NECPNET_ERR_OUT_OF_MEMORY;
        if (!nn_tables_load(tables, blob, bytes)) {
            nn_alloc_give(&schema->alloc, tables, sizeof(nn_tables));
            return NECPNET_ERR_BAD_DATA;
        }
    }
    nn_alloc_give(&schema->alloc, schema->own_tables, sizeof(nn_tables));
    schema->own_tables = tables;
    return NECPNET_OK;
}

uint64_t necpnet_schema_get_tables_hash(const necpnet_schema* schema)
{
    if (!schema) return 0;
    return schema->own_tables ? schema->own_tables->hash : schema->tables->hash;
}

uint64_t necpnet_schema_get_hash(const necpnet_schema* schema)
{
    return schema ? schema->hash : 0;
}

const necpnet_entity_type* necpnet_schema_get_type(const necpnet_schema* schema, int index)
{
    if (!schema || index < 0 || index >= schema->type_count) return NULL;
    return &schema->types[index];
}

NN_PRIVATE int nn_schema_index(const necpnet_schema* schema, uint16_t type_id)
{
    int low = 0;
    int high = schema->type_count - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        if (schema->types[middle].id == type_id) return middle;
        if (schema->types[middle].id < type_id) {
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return -1;
}

const necpnet_entity_type* necpnet_schema_find_type(const necpnet_schema* schema, uint16_t id)
{
    if (!schema) return NULL;
    int index = nn_schema_index(schema, id);
    return index < 0 ? NULL : &schema->types[index];
}
