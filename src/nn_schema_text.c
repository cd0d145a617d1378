/* nn_schema_text - schemas as JSON. */
#include "nn_schema.h"

#include <stdio.h>

NN_PRIVATE const char* nn_schema_kind_name(unsigned kind)
{
    static const char* const names[] = {"bool", "integer", "enum",   "float",  "vec2", "vec3",
                                        "quat", "angle",   "entity", "string", "bytes"};
    return kind < NN_COUNT(names) ? names[kind] : "";
}

NN_PRIVATE uint8_t nn_schema_integer_bytes(double min, double max)
{
    for (unsigned bytes = 1; bytes < 8; bytes *= 2) {
        double most = (double)((UINT64_C(1) << (min < 0 ? bytes * 8 - 1 : bytes * 8)) - 1);
        if (max <= most && min >= -most - 1) return (uint8_t)bytes;
    }
    return 8;
}

/* Text that is counted on beyond its room. */
typedef struct schema_text {
    char* to;
    size_t room;
    size_t used;
} schema_text;

static void schema_text_put(schema_text* text, const char* piece)
{
    size_t bytes = strlen(piece);
    if (text->used < text->room) {
        nn_copy(text->to + text->used, piece, nn_min_size(bytes, text->room - text->used));
    }
    text->used += bytes;
}

static void schema_text_put_name(schema_text* text, const char* name)
{
    schema_text_put(text, "\"");
    for (; *name; name++) {
        char piece[8] = {*name, 0};
        if (*name == '"' || *name == '\\') {
            piece[0] = '\\';
            piece[1] = *name;
        } else if ((uint8_t)*name < 0x20) {
            (void)snprintf(piece, sizeof piece, "\\u%04x", (unsigned)(uint8_t)*name);
        }
        schema_text_put(text, piece);
    }
    schema_text_put(text, "\"");
}

/* Whether 15 digits read back as the value: both they and the power of ten are exact then, and one division rounds as a
 * reader does (Clinger 1990). scientific: "d.dddddddddddddde+xx", whatever the point is. */
static bool schema_text_is_exact(const char* scientific, double value)
{
    double digits = 0;
    int exponent = -14;
    const char* c = scientific + (*scientific == '-');
    for (; *c && *c != 'e'; c++) {
        if (*c >= '0' && *c <= '9') digits = digits * 10 + (*c - '0');
    }
    if (*c != 'e') return false;
    int power = 0;
    for (const char* d = c + 2; *d >= '0' && *d <= '9'; d++) power = power * 10 + (*d - '0');
    exponent += c[1] == '-' ? -power : power;
    if (exponent < -22 || exponent > 22) return false;
    double ten = 1;
    for (int i = 0; i < (exponent < 0 ? -exponent : exponent); i++) ten *= 10;
    double back = exponent < 0 ? digits / ten : digits * ten;
    return (*scientific == '-' ? -back : back) == value;
}

/* In 15 digits where they are enough, else 17; a point whatever the locale. */
static void schema_text_put_double(schema_text* text, double value)
{
    char digits[40];
    (void)snprintf(digits, sizeof digits, "%.14e", value + 0.0);
    bool exact = schema_text_is_exact(digits, value);
    (void)snprintf(digits, sizeof digits, exact ? "%.15g" : "%.17g", value + 0.0);
    for (char* c = digits; *c; c++) {
        if (*c == ',') *c = '.';
    }
    schema_text_put(text, digits);
}

static void schema_text_put_member(schema_text* text, const char* name, double value)
{
    schema_text_put(text, ", \"");
    schema_text_put(text, name);
    schema_text_put(text, "\": ");
    schema_text_put_double(text, value);
}

static void schema_text_put_range(schema_text* text, const necpnet_field* field)
{
    switch (field->kind) {
    case NECPNET_FIELD_INTEGER:
        schema_text_put_member(text, "min", field->min);
        schema_text_put_member(text, "max", field->max);
        break;
    case NECPNET_FIELD_ENUM: schema_text_put_member(text, "max", field->max); break;
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        schema_text_put_member(text, "min", field->min);
        schema_text_put_member(text, "max", field->max);
        schema_text_put_member(text, "step", field->step);
        break;
    case NECPNET_FIELD_QUAT:
    case NECPNET_FIELD_ANGLE: schema_text_put_member(text, "step", field->step); break;
    default: break;
    }
    if (field->kind >= NECPNET_FIELD_STRING || (field->flags & NECPNET_FIELD_ARRAY)) {
        schema_text_put_member(text, "count", (double)field->count);
    }
}

/* What necpnet_schema_from_json would not choose by itself. */
static void schema_text_put_storage(schema_text* text, const necpnet_field* field)
{
    if (field->kind == NECPNET_FIELD_INTEGER || field->kind == NECPNET_FIELD_ENUM) {
        char storage[40];
        bool is_signed = (field->flags & NECPNET_FIELD_SIGNED) != 0;
        if (field->storage_bytes == nn_schema_integer_bytes(field->min, field->max) && is_signed == (field->min < 0)) {
            return;
        }
        (void)snprintf(storage, sizeof storage, ", \"storage\": \"%sint%u\"", is_signed ? "" : "u",
                       field->storage_bytes * 8u);
        schema_text_put(text, storage);
    } else if (field->storage_bytes == 8) {
        schema_text_put(text, ", \"double\": true");
    }
}

static void schema_text_put_flags(schema_text* text, uint32_t flags)
{
    if (flags & NECPNET_FIELD_OWNER_ONLY) schema_text_put(text, ", \"ownerOnly\": true");
    if (flags & NECPNET_FIELD_NOT_OWNER) schema_text_put(text, ", \"notOwner\": true");
    if (flags & NECPNET_FIELD_INTERPOLATE) schema_text_put(text, ", \"interpolate\": true");
    if (flags & NECPNET_FIELD_REQUIRED) schema_text_put(text, ", \"required\": true");
    if (flags & NECPNET_FIELD_SLOW) schema_text_put(text, ", \"slow\": true");
    if (flags & NECPNET_FIELD_POSITION) schema_text_put(text, ", \"position\": true");
    if (flags & NECPNET_FIELD_SERVER) schema_text_put(text, ", \"serverWrites\": true");
    if (flags & NECPNET_FIELD_PARENT) schema_text_put(text, ", \"parent\": true");
    if (flags & NECPNET_FIELD_BOUNDED) schema_text_put(text, ", \"bounded\": true");
    if (flags >> 16) schema_text_put_member(text, "rate", flags >> 16);
}

static void schema_text_put_type(schema_text* text, const necpnet_entity_type* type)
{
    uint32_t end = 0;
    uint32_t align = 1;
    schema_text_put(text, "{\"name\": ");
    schema_text_put_name(text, type->name);
    schema_text_put_member(text, "id", type->id);
    schema_text_put(text, ", \"fields\": [\n");
    for (int i = 0; i < type->field_count; i++) {
        const necpnet_field* field = &type->fields[i];
        schema_text_put(text, "    {\"name\": ");
        schema_text_put_name(text, field->name);
        schema_text_put_member(text, "id", field->id);
        schema_text_put(text, ", \"kind\": \"");
        schema_text_put(text, nn_schema_kind_name(field->kind));
        schema_text_put(text, "\"");
        schema_text_put_range(text, field);
        schema_text_put_storage(text, field);
        schema_text_put_flags(text, field->flags);
        if (field->offset != nn_schema_align(end, field->storage_bytes)) {
            schema_text_put_member(text, "offset", field->offset);
        }
        if (field->flags & NECPNET_FIELD_BOUNDED) {
            if (field->length_bytes != 1) schema_text_put_member(text, "lengthBytes", field->length_bytes);
            if (field->length_offset != nn_schema_align(field->offset + nn_field_bytes(field), field->length_bytes)) {
                schema_text_put_member(text, "lengthOffset", field->length_offset);
            }
        }
        end = (uint32_t)nn_max_u64(end, nn_field_end(field));
        align = (uint32_t)nn_max_u64(align, nn_max_u64(field->storage_bytes, field->length_bytes));
        schema_text_put(text, i + 1 < type->field_count ? "},\n" : "}\n");
    }
    schema_text_put(text, "  ]");
    if (type->struct_bytes != nn_schema_align(end, align)) {
        schema_text_put_member(text, "structBytes", type->struct_bytes);
    }
    schema_text_put(text, "}");
}

necpnet_result necpnet_schema_to_json(const necpnet_schema* schema, char* text, size_t text_bytes, size_t* out_bytes)
{
    if (!schema || (!text && text_bytes) || !out_bytes) return NECPNET_ERR_INVALID_ARGUMENT;
    schema_text out = {text, text_bytes ? text_bytes - 1 : 0, 0};
    schema_text_put(&out, "{\"types\": [");
    for (int i = 0; i < schema->type_count; i++) {
        schema_text_put(&out, i ? ", " : "\n  ");
        schema_text_put_type(&out, &schema->types[i]);
    }
    schema_text_put(&out, "\n]}\n");
    *out_bytes = out.used;
    if (text_bytes) text[nn_min_size(out.used, text_bytes - 1)] = 0;
    return out.used < text_bytes || !text ? NECPNET_OK : NECPNET_ERR_BUFFER_TOO_SMALL;
}
