/* nn_schema_check - what cannot work is refused, with the name of type and field. */
#include "nn_schema.h"

#include "nn_log.h"

#define SCHEMA_INTEGER_MAX 9007199254740992.0 /* 2^53: doubles hold every integer up to it */
#define SCHEMA_FLOAT_MAX 3.402823466e38       /* FLT_MAX, rounded down */
#define SCHEMA_FLAGS_ALL (1023u | NECPNET_FIELD_PARENT | NECPNET_FIELD_RATE(0xffff))

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
    if (array && nn_field_is_text(field)) {
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
    if (!array && !nn_field_is_text(field) && field->count != 1) {
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
        !nn_field_is_float(field)) {
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

NN_PRIVATE bool nn_schema_check_type(const necpnet_logger* logger, const necpnet_entity_type* types, int index)
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
    nn_schema_measure(type, &bits, &words);
    if (bits > NN_STATE_BYTES_MAX * 8u) {
        return schema_refuse(&check, "a state of it takes more than 1,000 bytes, which one packet may not hold");
    }
    if (words > NN_ROW_WORDS_MAX) return schema_refuse(&check, "a state of it takes more than 1,200 words of memory");
    return true;
}
