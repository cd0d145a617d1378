/* nn_schema_json - schemas out of JSON. Every name that is not known is refused: a misspelt flag would be a silent one. */
#include "nn_json.h"
#include "nn_log.h"
#include "nn_schema.h"

/* A type on its way: its names are the tree's. */
typedef struct schema_json_type {
    necpnet_field* fields;
    int capacity;
} schema_json_type;

typedef struct schema_json {
    const necpnet_logger* logger;
    nn_alloc* alloc;
    necpnet_entity_type* types;
    schema_json_type* owned; /* one a type */
    int type_count;
    const char* type_name; /* for the texts of refusals; NULL: none */
    const char* field_name;
} schema_json;

static bool schema_json_refuse(const schema_json* json, const char* name, const char* problem)
{
    nn_log_write(json->logger, NECPNET_LOG_ERROR, "schema: %s%s%s%s%s%s%s", json->type_name ? "type " : "",
                 json->type_name ? json->type_name : "", json->field_name ? ", field " : "",
                 json->field_name ? json->field_name : "", json->type_name ? ": " : "", name, problem);
    return false;
}

/* ---- members of one value ---------------------------------------------------------------------------------------- */

static const nn_json* schema_json_of_kind(const schema_json* json, const nn_json* object, const char* name,
                                          nn_json_kind kind, bool* ok)
{
    const nn_json* value = nn_json_find(object, name);
    if (value && nn_json_kind_of(value) != kind) {
        static const char* const kinds[] = {"",
                                            " must be true or false",
                                            " must be a number",
                                            " must be a text",
                                            " must be a list",
                                            " must be an object"};
        *ok = schema_json_refuse(json, name, kinds[kind]);
        return NULL;
    }
    return value;
}

/* A whole number within limits; otherwise unchanged. */
static bool schema_json_whole(const schema_json* json, const nn_json* object, const char* name, uint32_t low,
                              uint32_t high, bool must, uint32_t* out)
{
    bool ok = true;
    const nn_json* value = schema_json_of_kind(json, object, name, NN_JSON_NUMBER, &ok);
    if (!ok) return false;
    if (!value) return !must || schema_json_refuse(json, name, " is missing");
    double number = nn_json_number(value);
    if (!(number >= low && number <= high) || (double)(uint32_t)number != number) {
        return schema_json_refuse(json, name, " is out of range, or no whole number");
    }
    *out = (uint32_t)number;
    return true;
}

static bool schema_json_double(const schema_json* json, const nn_json* object, const char* name, bool must, double* out)
{
    bool ok = true;
    const nn_json* value = schema_json_of_kind(json, object, name, NN_JSON_NUMBER, &ok);
    if (!ok) return false;
    if (!value) return !must || schema_json_refuse(json, name, " is missing");
    *out = nn_json_number(value);
    return true;
}

static bool schema_json_only(const schema_json* json, const nn_json* object, const char* const* names, size_t count)
{
    for (const nn_json* member = nn_json_first(object); member; member = nn_json_next(member)) {
        bool known = false;
        for (size_t i = 0; i < count; i++) known = known || !strcmp(nn_json_name(member), names[i]);
        if (!known) return schema_json_refuse(json, nn_json_name(member), " is no word of a schema");
    }
    return true;
}

/* ---- a field ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char* name;
    uint32_t flag;
} schema_json_flags[] = {
    {"ownerOnly", NECPNET_FIELD_OWNER_ONLY},
    {"notOwner", NECPNET_FIELD_NOT_OWNER},
    {"interpolate", NECPNET_FIELD_INTERPOLATE},
    {"required", NECPNET_FIELD_REQUIRED},
    {"slow", NECPNET_FIELD_SLOW},
    {"position", NECPNET_FIELD_POSITION},
    {"serverWrites", NECPNET_FIELD_SERVER},
    {"parent", NECPNET_FIELD_PARENT},
    {"bounded", NECPNET_FIELD_BOUNDED},
};

static const struct {
    const char* name;
    uint8_t bytes;
    bool is_signed;
} schema_json_storages[] = {
    {"uint8", 1, false}, {"uint16", 2, false}, {"uint32", 4, false}, {"uint64", 8, false},
    {"int8", 1, true},   {"int16", 2, true},   {"int32", 4, true},   {"int64", 8, true},
};

static bool schema_json_is_integer(const necpnet_field* field)
{
    return field->kind == NECPNET_FIELD_INTEGER || field->kind == NECPNET_FIELD_ENUM;
}

static bool schema_json_kind(const schema_json* json, const nn_json* object, necpnet_field* field)
{
    bool ok = true;
    const nn_json* kind = schema_json_of_kind(json, object, "kind", NN_JSON_STRING, &ok);
    if (!kind) return ok && schema_json_refuse(json, "kind", " is missing");
    for (unsigned i = 0; i <= NECPNET_FIELD_BYTES; i++) {
        if (strcmp(nn_schema_kind_name(i), nn_json_text(kind)) != 0) continue;
        field->kind = (uint8_t)i;
        return true;
    }
    return schema_json_refuse(json, nn_json_text(kind), " is no kind of field");
}

/* min, max and step as the macros of necpnet.h fill them. */
static bool schema_json_range(const schema_json* json, const nn_json* object, necpnet_field* field)
{
    bool ok = true;
    field->step = 1;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: field->max = 1; break;
    case NECPNET_FIELD_INTEGER:
        return schema_json_double(json, object, "min", true, &field->min) &&
               schema_json_double(json, object, "max", true, &field->max);
    case NECPNET_FIELD_ENUM: {
        const nn_json* values = schema_json_of_kind(json, object, "values", NN_JSON_ARRAY, &ok);
        if (!ok) return false;
        if (values) {
            field->max = -1;
            for (const nn_json* value = nn_json_first(values); value; value = nn_json_next(value)) field->max++;
        }
        return schema_json_double(json, object, "max", !values, &field->max);
    }
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        return schema_json_double(json, object, "min", true, &field->min) &&
               schema_json_double(json, object, "max", true, &field->max) &&
               schema_json_double(json, object, "step", true, &field->step);
    case NECPNET_FIELD_QUAT:
        field->min = -1;
        field->max = 1;
        return schema_json_double(json, object, "step", true, &field->step);
    case NECPNET_FIELD_ANGLE: return schema_json_double(json, object, "step", true, &field->step);
    default: break;
    }
    return true;
}

static bool schema_json_storage(const schema_json* json, const nn_json* object, necpnet_field* field)
{
    bool ok = true;
    const nn_json* is_double = schema_json_of_kind(json, object, "double", NN_JSON_BOOL, &ok);
    const nn_json* storage = schema_json_of_kind(json, object, "storage", NN_JSON_STRING, &ok);
    if (!ok) return false;
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: field->storage_bytes = sizeof(bool); break;
    case NECPNET_FIELD_STRING:
    case NECPNET_FIELD_BYTES: field->storage_bytes = 1; break;
    case NECPNET_FIELD_ENTITY: field->storage_bytes = 4; break;
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM:
        field->storage_bytes = nn_schema_integer_bytes(field->min, field->max);
        if (field->min < 0) field->flags |= NECPNET_FIELD_SIGNED;
        break;
    default: field->storage_bytes = is_double && nn_json_bool(is_double) ? 8 : 4; break;
    }
    if (!storage) return true;
    for (size_t i = 0; i < NN_COUNT(schema_json_storages) && schema_json_is_integer(field); i++) {
        if (strcmp(schema_json_storages[i].name, nn_json_text(storage)) != 0) continue;
        field->storage_bytes = schema_json_storages[i].bytes;
        field->flags &= ~NECPNET_FIELD_SIGNED;
        if (schema_json_storages[i].is_signed) field->flags |= NECPNET_FIELD_SIGNED;
        return true;
    }
    return schema_json_refuse(json, "storage", " must be uint8 .. uint64 or int8 .. int64, of an integer or enum");
}

/* end: where the struct ends so far; moved behind the field. */
static bool schema_json_place(const schema_json* json, const nn_json* object, necpnet_field* field, uint32_t* end,
                              uint32_t* align)
{
    uint32_t at = nn_schema_align(*end, field->storage_bytes);
    if (!schema_json_whole(json, object, "offset", 0, NN_STRUCT_BYTES_MAX, false, &at)) return false;
    field->offset = at;
    if (field->flags & NECPNET_FIELD_BOUNDED) {
        field->length_bytes = 1;
        if (!schema_json_whole(json, object, "lengthBytes", 1, 4, false, &field->length_bytes)) return false;
        field->length_offset = nn_schema_align(at + nn_field_bytes(field), field->length_bytes);
        if (!schema_json_whole(json, object, "lengthOffset", 0, NN_STRUCT_BYTES_MAX, false, &field->length_offset)) {
            return false;
        }
    } else if (nn_json_find(object, "lengthBytes") || nn_json_find(object, "lengthOffset")) {
        return schema_json_refuse(json, "lengthBytes and lengthOffset", " are of fields that are bounded");
    }
    *end = (uint32_t)nn_max_u64(*end, nn_field_end(field));
    *align = (uint32_t)nn_max_u64(*align, nn_max_u64(field->storage_bytes, field->length_bytes));
    return true;
}

static bool schema_json_field(schema_json* json, const nn_json* object, necpnet_field* field, uint32_t* end,
                              uint32_t* align)
{
    static const char* const words[] = {
        "name",     "id",      "kind",        "min",       "max",          "step",        "count",        "values",
        "double",   "storage", "offset",      "ownerOnly", "notOwner",     "interpolate", "required",     "slow",
        "position", "about",   "lengthBytes", "bounded",   "lengthOffset", "rate",        "serverWrites", "parent"};
    bool ok = true;
    uint32_t id = 0;
    uint32_t count = 1;
    json->field_name = "(no name)";
    if (nn_json_kind_of(object) != NN_JSON_OBJECT) return schema_json_refuse(json, "a field", " must be an object");
    const nn_json* name = schema_json_of_kind(json, object, "name", NN_JSON_STRING, &ok);
    if (!name) return ok && schema_json_refuse(json, "name", " is missing");
    field->name = json->field_name = nn_json_text(name);
    if (!schema_json_only(json, object, words, NN_COUNT(words))) return false;
    if (!schema_json_whole(json, object, "id", 1, 65535, true, &id) || !schema_json_kind(json, object, field))
        return false;
    bool counted = field->kind == NECPNET_FIELD_STRING || field->kind == NECPNET_FIELD_BYTES;
    if (!counted && nn_json_find(object, "count")) field->flags |= NECPNET_FIELD_ARRAY;
    if (!schema_json_whole(json, object, "count", 1, NECPNET_FIELD_COUNT_MAX, counted, &count)) return false;
    field->id = (uint16_t)id;
    field->count = count;
    for (size_t i = 0; i < NN_COUNT(schema_json_flags); i++) {
        const nn_json* flag = schema_json_of_kind(json, object, schema_json_flags[i].name, NN_JSON_BOOL, &ok);
        if (!ok) return false;
        if (flag && nn_json_bool(flag)) field->flags |= schema_json_flags[i].flag;
    }
    uint32_t rate = 0;
    if (!schema_json_whole(json, object, "rate", 1, NN_FIELD_RATE_MAX, false, &rate)) return false;
    field->flags |= NECPNET_FIELD_RATE(rate);
    return schema_json_range(json, object, field) && schema_json_storage(json, object, field) &&
           schema_json_place(json, object, field, end, align);
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

static int schema_json_length(const nn_json* list)
{
    int count = 0;
    for (const nn_json* member = nn_json_first(list); member; member = nn_json_next(member)) count++;
    return count;
}

/* OK, or BAD_SCHEMA (said why) or OUT_OF_MEMORY. */
static necpnet_result schema_json_read_type(schema_json* json, const nn_json* object, int index)
{
    static const char* const words[] = {"name", "id", "fields", "structBytes", "about"};
    necpnet_entity_type* type = &json->types[index];
    bool ok = true;
    uint32_t id = 0;
    json->field_name = NULL;
    json->type_name = "(no name)";
    if (nn_json_kind_of(object) != NN_JSON_OBJECT) {
        (void)schema_json_refuse(json, "a type", " must be an object");
        return NECPNET_ERR_BAD_SCHEMA;
    }
    const nn_json* name = schema_json_of_kind(json, object, "name", NN_JSON_STRING, &ok);
    if (name) type->name = json->type_name = nn_json_text(name);
    const nn_json* fields = ok ? schema_json_of_kind(json, object, "fields", NN_JSON_ARRAY, &ok) : NULL;
    if (!ok || !schema_json_only(json, object, words, NN_COUNT(words))) return NECPNET_ERR_BAD_SCHEMA;
    int count = fields ? schema_json_length(fields) : 0;
    if (!name || count < 1 || count > NECPNET_FIELDS_MAX) {
        (void)schema_json_refuse(json, name ? "fields" : "name", name ? " must be a list of 1 .. 64" : " is missing");
        return NECPNET_ERR_BAD_SCHEMA;
    }
    if (!schema_json_whole(json, object, "id", 1, 65535, true, &id)) return NECPNET_ERR_BAD_SCHEMA;
    type->id = (uint16_t)id;
    json->owned[index].fields = (necpnet_field*)nn_alloc_take(json->alloc, (size_t)count * sizeof(necpnet_field));
    if (!json->owned[index].fields) return NECPNET_ERR_OUT_OF_MEMORY;
    json->owned[index].capacity = count;
    type->fields = json->owned[index].fields;
    uint32_t end = 0;
    uint32_t align = 1;
    for (const nn_json* field = nn_json_first(fields); field; field = nn_json_next(field)) {
        if (!schema_json_field(json, field, &json->owned[index].fields[type->field_count++], &end, &align)) {
            return NECPNET_ERR_BAD_SCHEMA;
        }
    }
    json->field_name = NULL;
    type->struct_bytes = nn_schema_align(end, align);
    return schema_json_whole(json, object, "structBytes", 1, NN_STRUCT_BYTES_MAX, false, &type->struct_bytes)
               ? NECPNET_OK
               : NECPNET_ERR_BAD_SCHEMA;
}

static necpnet_result schema_json_read(schema_json* json, const nn_json* root)
{
    static const char* const words[] = {"types", "events", "name", "about"};
    bool ok = true;
    if (nn_json_kind_of(root) != NN_JSON_OBJECT) {
        (void)schema_json_refuse(json, "a schema", " must be an object");
        return NECPNET_ERR_BAD_SCHEMA;
    }
    const nn_json* types = schema_json_of_kind(json, root, "types", NN_JSON_ARRAY, &ok);
    if (!ok || !schema_json_only(json, root, words, NN_COUNT(words))) return NECPNET_ERR_BAD_SCHEMA;
    int count = types ? schema_json_length(types) : 0;
    if (count < 1 || count > NECPNET_ENTITY_TYPES_MAX) {
        (void)schema_json_refuse(json, "types", " must be a list of 1 .. 256");
        return NECPNET_ERR_BAD_SCHEMA;
    }
    json->types = (necpnet_entity_type*)nn_alloc_take(json->alloc, (size_t)count * sizeof(necpnet_entity_type));
    json->owned = (schema_json_type*)nn_alloc_take(json->alloc, (size_t)count * sizeof(schema_json_type));
    json->type_count = count;
    if (!json->types || !json->owned) return NECPNET_ERR_OUT_OF_MEMORY;
    int index = 0;
    for (const nn_json* type = nn_json_first(types); type; type = nn_json_next(type)) {
        necpnet_result result = schema_json_read_type(json, type, index++);
        if (result) return result;
    }
    return NECPNET_OK;
}

static void schema_json_give(schema_json* json)
{
    for (int i = 0; json->owned && i < json->type_count; i++) {
        nn_alloc_give(json->alloc, json->owned[i].fields, (size_t)json->owned[i].capacity * sizeof(necpnet_field));
    }
    nn_alloc_give(json->alloc, json->owned, (size_t)json->type_count * sizeof(schema_json_type));
    nn_alloc_give(json->alloc, json->types, (size_t)json->type_count * sizeof(necpnet_entity_type));
}

necpnet_result necpnet_schema_from_json(const necpnet_allocator* allocator, const necpnet_logger* logger,
                                        const char* text, size_t bytes, necpnet_schema** out_schema)
{
    char error[128];
    nn_alloc alloc;
    schema_json json;
    if (!text || !out_schema) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!nn_json_is_built()) return NECPNET_ERR_UNSUPPORTED;
    if (necpnet_json_check(text, bytes, error, sizeof error) != NECPNET_OK) {
        nn_log_write(logger, NECPNET_LOG_ERROR, "schema: %s", error);
        return NECPNET_ERR_BAD_SCHEMA;
    }
    nn_json* root = nn_json_parse(text, bytes);
    if (!root) {
        nn_log_write(logger, NECPNET_LOG_ERROR, "schema: a name stands twice in one object, or there is no memory");
        return NECPNET_ERR_BAD_SCHEMA;
    }
    nn_alloc_init(&alloc, allocator);
    memset(&json, 0, sizeof json);
    json.logger = logger;
    json.alloc = &alloc;
    necpnet_result result = schema_json_read(&json, root);
    if (result == NECPNET_OK) {
        result = necpnet_schema_create(allocator, logger, json.types, json.type_count, out_schema);
    } else if (result == NECPNET_ERR_OUT_OF_MEMORY) {
        nn_log_write(logger, NECPNET_LOG_ERROR, "schema: no memory");
    }
    schema_json_give(&json);
    nn_json_destroy(root);
    return result;
}
