/* schema - a part of JSON Schema. */
#include "schema.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_PATH_BYTES_MAX 256
#define SCHEMA_DEPTH_MAX 32

/* Where in the value (or schema) we are, as an RFC 6901 pointer. */
typedef struct schema_place {
    char path[SCHEMA_PATH_BYTES_MAX];
    size_t bytes;
    int depth;
    char* error;
    size_t error_bytes;
} schema_place;

static void schema_begin(schema_place* at, char* error, size_t error_bytes)
{
    memset(at, 0, sizeof(*at));
    at->error = error;
    at->error_bytes = error_bytes;
    if (error_bytes) error[0] = 0;
}

static size_t schema_enter(schema_place* at, const char* step)
{
    size_t before = at->bytes;
    int count = snprintf(at->path + before, sizeof(at->path) - before, "/%s", step);
    if (count > 0) {
        size_t room = sizeof(at->path) - 1 - before;
        at->bytes += (size_t)count < room ? (size_t)count : room;
    }
    at->depth++;
    return before;
}

static void schema_leave(schema_place* at, size_t before)
{
    at->bytes = before;
    at->path[before] = 0;
    at->depth--;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static bool
schema_fail(schema_place* at, const char* format, ...)
{
    va_list arguments;
    if (at->error_bytes == 0) return false;
    int count = snprintf(at->error, at->error_bytes, "%s ", at->bytes ? at->path : "the value");
    if (count < 0 || (size_t)count >= at->error_bytes) return false;
    va_start(arguments, format);
    vsnprintf(at->error + count, at->error_bytes - (size_t)count, format, arguments);
    va_end(arguments);
    return false;
}

static const cJSON* schema_get(const cJSON* object, const char* key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* --------------------------------------------------------------------------------------------- the schema itself -- */

static bool schema_is_count(const cJSON* item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= SCHEMA_INTEGER_MAX &&
           floor(item->valuedouble) == item->valuedouble;
}

static bool schema_is_type(const char* type)
{
    static const char* const types[] = {"object", "array", "string", "integer", "number", "boolean", "null"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i], type) == 0) return true;
    }
    return false;
}

static bool schema_check_at(schema_place* at, const cJSON* schema);

static bool schema_check_properties(schema_place* at, const cJSON* properties)
{
    const cJSON* property;
    if (!cJSON_IsObject(properties)) return schema_fail(at, "must have an object of properties");
    cJSON_ArrayForEach(property, properties)
    {
        size_t before = schema_enter(at, property->string);
        if (!schema_check_at(at, property)) return false;
        schema_leave(at, before);
    }
    return true;
}

static bool schema_check_texts(schema_place* at, const cJSON* schema, const cJSON* list)
{
    const cJSON* item;
    const cJSON* properties = schema_get(schema, "properties");
    if (!cJSON_IsArray(list)) return schema_fail(at, "must have a list of required names");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item)) return schema_fail(at, "requires something that is no name");
        if (!schema_get(properties, item->valuestring)) {
            return schema_fail(at, "requires \"%s\", which is no property", item->valuestring);
        }
    }
    return true;
}

/* One keyword. */
static bool schema_check_keyword(schema_place* at, const cJSON* schema, const cJSON* item)
{
    static const char* const counts[] = {"minItems", "maxItems", "minLength", "maxLength"};
    static const char* const silent[] = {"title", "description", "default", "examples", "$schema", "$id", "const"};
    const char* key = item->string;
    if (strncmp(key, "x-", 2) == 0) return true;
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        if (strcmp(key, silent[i]) == 0) return true;
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (strcmp(key, counts[i]) == 0) return schema_is_count(item) || schema_fail(at, "has a wrong %s", key);
    }
    if (strcmp(key, "type") == 0) {
        return (cJSON_IsString(item) && schema_is_type(item->valuestring)) || schema_fail(at, "has an unknown type");
    }
    if (strcmp(key, "properties") == 0) return schema_check_properties(at, item);
    if (strcmp(key, "required") == 0) return schema_check_texts(at, schema, item);
    if (strcmp(key, "additionalProperties") == 0) return cJSON_IsFalse(item) || schema_check_at(at, item);
    if (strcmp(key, "items") == 0) return schema_check_at(at, item);
    if (strcmp(key, "minimum") == 0 || strcmp(key, "maximum") == 0) {
        return cJSON_IsNumber(item) || schema_fail(at, "has a %s that is no number", key);
    }
    if (strcmp(key, "enum") == 0) {
        return (cJSON_IsArray(item) && cJSON_GetArraySize(item) > 0) || schema_fail(at, "has an enum that is no list");
    }
    return schema_fail(at, "has the keyword \"%s\", which is not known here", key);
}

static bool schema_check_at(schema_place* at, const cJSON* schema)
{
    const cJSON* item;
    if (!cJSON_IsObject(schema)) return schema_fail(at, "is no schema");
    if (at->depth > SCHEMA_DEPTH_MAX) return schema_fail(at, "is nested too deeply");
    cJSON_ArrayForEach(item, schema)
    {
        if (!schema_check_keyword(at, schema, item)) return false;
    }
    return true;
}

bool schema_check(const cJSON* schema, char* error, size_t error_bytes)
{
    schema_place at;
    schema_begin(&at, error, error_bytes);
    return schema_check_at(&at, schema);
}

/* ------------------------------------------------------------------------------------------------------ a value -- */

static size_t schema_characters(const char* utf8)
{
    size_t count = 0;
    for (; *utf8; utf8++) count += ((unsigned char)*utf8 & 0xc0u) != 0x80u;
    return count;
}

static bool schema_has_type(const cJSON* value, const char* type)
{
    switch (type[0]) {
    case 'o': return cJSON_IsObject(value);
    case 'a': return cJSON_IsArray(value);
    case 's': return cJSON_IsString(value);
    case 'b': return cJSON_IsBool(value);
    case 'i':
        return cJSON_IsNumber(value) && floor(value->valuedouble) == value->valuedouble &&
               fabs(value->valuedouble) <= SCHEMA_INTEGER_MAX;
    default: return type[2] == 'm' ? cJSON_IsNumber(value) : cJSON_IsNull(value); /* number, null */
    }
}

static bool schema_limit(const cJSON* schema, const char* key, double* out)
{
    const cJSON* item = schema_get(schema, key);
    if (!item) return false;
    *out = item->valuedouble;
    return true;
}

static bool schema_fits(schema_place* at, const cJSON* schema, const cJSON* value);

static bool schema_fits_object(schema_place* at, const cJSON* schema, const cJSON* value)
{
    const cJSON* properties = schema_get(schema, "properties");
    const cJSON* others = schema_get(schema, "additionalProperties");
    const cJSON* item;
    cJSON_ArrayForEach(item, schema_get(schema, "required"))
    {
        if (!schema_get(value, item->valuestring)) return schema_fail(at, "lacks \"%s\"", item->valuestring);
    }
    cJSON_ArrayForEach(item, value)
    {
        const cJSON* own = schema_get(properties, item->string);
        if (!own && cJSON_IsFalse(others)) return schema_fail(at, "has an unknown \"%.64s\"", item->string);
        if (!own) own = others;
        if (!own) continue;
        size_t before = schema_enter(at, item->string);
        if (!schema_fits(at, own, item)) return false;
        schema_leave(at, before);
    }
    return true;
}

static bool schema_fits_array(schema_place* at, const cJSON* schema, const cJSON* value)
{
    const cJSON* items = schema_get(schema, "items");
    const cJSON* item;
    double limit;
    int count = cJSON_GetArraySize(value);
    int number = 0;
    if (schema_limit(schema, "minItems", &limit) && count < limit) {
        return schema_fail(at, "must have at least %.0f items", limit);
    }
    if (schema_limit(schema, "maxItems", &limit) && count > limit) {
        return schema_fail(at, "must have at most %.0f items", limit);
    }
    if (!items) return true;
    cJSON_ArrayForEach(item, value)
    {
        char step[16];
        snprintf(step, sizeof(step), "%d", number++);
        size_t before = schema_enter(at, step);
        if (!schema_fits(at, items, item)) return false;
        schema_leave(at, before);
    }
    return true;
}

static bool schema_fits_limits(schema_place* at, const cJSON* schema, const cJSON* value)
{
    double limit;
    if (cJSON_IsNumber(value)) {
        if (schema_limit(schema, "minimum", &limit) && !(value->valuedouble >= limit)) {
            return schema_fail(at, "must be at least %.17g", limit);
        }
        if (schema_limit(schema, "maximum", &limit) && !(value->valuedouble <= limit)) {
            return schema_fail(at, "must be at most %.17g", limit);
        }
    } else if (cJSON_IsString(value)) {
        double characters = (double)schema_characters(value->valuestring);
        if (schema_limit(schema, "minLength", &limit) && characters < limit) {
            return schema_fail(at, "must have at least %.0f characters", limit);
        }
        if (schema_limit(schema, "maxLength", &limit) && characters > limit) {
            return schema_fail(at, "must have at most %.0f characters", limit);
        }
    }
    return true;
}

static bool schema_fits(schema_place* at, const cJSON* schema, const cJSON* value)
{
    const cJSON* type = schema_get(schema, "type");
    const cJSON* choices = schema_get(schema, "enum");
    const cJSON* fixed = schema_get(schema, "const");
    const cJSON* choice;
    bool found = !choices;
    if (type && !schema_has_type(value, type->valuestring)) {
        char first = type->valuestring[0];
        return schema_fail(at, "must be %s %s", first == 'o' || first == 'a' || first == 'i' ? "an" : "a",
                           type->valuestring);
    }
    cJSON_ArrayForEach(choice, choices)
    {
        if (cJSON_Compare(choice, value, true)) found = true;
    }
    if (!found) return schema_fail(at, "is not one of the values that are allowed");
    if (fixed && !cJSON_Compare(fixed, value, true)) return schema_fail(at, "is not the value that is allowed");
    if (!schema_fits_limits(at, schema, value)) return false;
    if (cJSON_IsObject(value)) return schema_fits_object(at, schema, value);
    if (cJSON_IsArray(value)) return schema_fits_array(at, schema, value);
    return true;
}

bool schema_validate(const cJSON* schema, const cJSON* value, char* error, size_t error_bytes)
{
    schema_place at;
    schema_begin(&at, error, error_bytes);
    return schema_fits(&at, schema, value);
}
