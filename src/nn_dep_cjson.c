/* nn_dep_cjson - trees of nn_json by cJSON, or nothing. */
#include "nn_json.h"

#if NECPNET_WITH_CJSON

#include <cjson/cJSON.h>

static const cJSON* cjson_of(const nn_json* value)
{
    return (const cJSON*)(const void*)value;
}

static const nn_json* cjson_value(const cJSON* value)
{
    return (const nn_json*)(const void*)value;
}

#define CJSON_NAMES_MAX 256 /* of one object: looking for one that stands twice is quadratic */

/* No object has a name twice. */
static bool cjson_is_unambiguous(const cJSON* value)
{
    if (cJSON_IsObject(value) && cJSON_GetArraySize(value) > CJSON_NAMES_MAX) return false;
    for (const cJSON* member = value->child; member; member = member->next) {
        for (const cJSON* other = member->next; cJSON_IsObject(value) && other; other = other->next) {
            if (!strcmp(member->string, other->string)) return false;
        }
        if (!cjson_is_unambiguous(member)) return false; /* as deep as NECPNET_JSON_DEPTH_MAX */
    }
    return true;
}

NN_PRIVATE bool nn_json_is_built(void)
{
    return true;
}

NN_PRIVATE nn_json* nn_json_parse(const char* text, size_t bytes)
{
    cJSON* root = cJSON_ParseWithLength(text, bytes);
    if (root && !cjson_is_unambiguous(root)) {
        cJSON_Delete(root);
        root = NULL;
    }
    return (nn_json*)(void*)root;
}

NN_PRIVATE void nn_json_destroy(nn_json* root)
{
    cJSON_Delete((cJSON*)(void*)root);
}

NN_PRIVATE nn_json_kind nn_json_kind_of(const nn_json* value)
{
    const cJSON* it = cjson_of(value);
    if (cJSON_IsBool(it)) return NN_JSON_BOOL;
    if (cJSON_IsNumber(it)) return NN_JSON_NUMBER;
    if (cJSON_IsString(it)) return NN_JSON_STRING;
    if (cJSON_IsArray(it)) return NN_JSON_ARRAY;
    return cJSON_IsObject(it) ? NN_JSON_OBJECT : NN_JSON_NULL;
}

NN_PRIVATE double nn_json_number(const nn_json* value)
{
    return cjson_of(value)->valuedouble;
}

NN_PRIVATE bool nn_json_bool(const nn_json* value)
{
    return cJSON_IsTrue(cjson_of(value)) != 0;
}

NN_PRIVATE const char* nn_json_text(const nn_json* value)
{
    return cjson_of(value)->valuestring;
}

NN_PRIVATE const nn_json* nn_json_first(const nn_json* value)
{
    return cjson_value(cjson_of(value)->child);
}

NN_PRIVATE const nn_json* nn_json_next(const nn_json* member)
{
    return cjson_value(cjson_of(member)->next);
}

NN_PRIVATE const char* nn_json_name(const nn_json* member)
{
    return cjson_of(member)->string;
}

NN_PRIVATE const nn_json* nn_json_find(const nn_json* object, const char* name)
{
    return cjson_value(cJSON_GetObjectItemCaseSensitive(cjson_of(object), name));
}

#else

NN_PRIVATE bool nn_json_is_built(void)
{
    return false;
}

NN_PRIVATE nn_json* nn_json_parse(const char* text, size_t bytes)
{
    (void)text, (void)bytes;
    return NULL;
}

NN_PRIVATE void nn_json_destroy(nn_json* root)
{
    (void)root;
}

NN_PRIVATE nn_json_kind nn_json_kind_of(const nn_json* value)
{
    (void)value;
    return NN_JSON_NULL;
}

NN_PRIVATE double nn_json_number(const nn_json* value)
{
    (void)value;
    return 0;
}

NN_PRIVATE bool nn_json_bool(const nn_json* value)
{
    (void)value;
    return false;
}

NN_PRIVATE const char* nn_json_text(const nn_json* value)
{
    (void)value;
    return "";
}

NN_PRIVATE const nn_json* nn_json_first(const nn_json* value)
{
    (void)value;
    return NULL;
}

NN_PRIVATE const nn_json* nn_json_next(const nn_json* member)
{
    (void)member;
    return NULL;
}

NN_PRIVATE const char* nn_json_name(const nn_json* member)
{
    (void)member;
    return "";
}

NN_PRIVATE const nn_json* nn_json_find(const nn_json* object, const char* name)
{
    (void)object, (void)name;
    return NULL;
}

#endif
