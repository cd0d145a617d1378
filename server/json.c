/* json - strict JSON. cJSON 1.7.15 accepts some text that is no JSON (-01, raw control characters, bytes behind the
 * value), so the text is checked first (necpnet_json_check) and cJSON only builds the tree. */
#include "json.h"

#include <stdio.h>
#include <string.h>

#include "necpnet.h"

/* Whether no object has a key twice or too many. */
static bool json_is_unambiguous(const cJSON* value, char* error, size_t error_bytes)
{
    if (cJSON_IsObject(value) && cJSON_GetArraySize(value) > JSON_KEYS_MAX) {
        if (error_bytes) snprintf(error, error_bytes, "an object has more than %d keys", JSON_KEYS_MAX);
        return false;
    }
    const cJSON* child;
    cJSON_ArrayForEach(child, value)
    {
        for (const cJSON* other = child->next; other && cJSON_IsObject(value); other = other->next) {
            if (strcmp(child->string, other->string) != 0) continue;
            if (error_bytes) snprintf(error, error_bytes, "the key \"%s\" stands twice", child->string);
            return false;
        }
        if (!json_is_unambiguous(child, error, error_bytes)) return false;
    }
    return true;
}

cJSON* json_parse(const char* json, size_t bytes, char* error, size_t error_bytes)
{
    if (necpnet_json_check(json, bytes, error, error_bytes) != NECPNET_OK) return NULL;
    cJSON* value = cJSON_ParseWithLength(json, bytes);
    if (!value) {
        if (error_bytes) snprintf(error, error_bytes, "too large to read");
        return NULL;
    }
    if (json_is_unambiguous(value, error, error_bytes)) return value;
    cJSON_Delete(value);
    return NULL;
}
