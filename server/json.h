/* json.h - strict JSON for what comes from outside: RFC 8259 and nothing else, no key twice, a named depth. */
#ifndef SERVER_JSON_H
#define SERVER_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define JSON_KEYS_MAX 256 /* of one object: looking for keys that stand twice is quadratic */

/* json_parse - what necpnet_json_check passes, as a tree; refuses an object that has a key twice or over JSON_KEYS_MAX keys.
 * cJSON_Delete the result; NULL: error says why. */
cJSON* json_parse(const char* json, size_t bytes, char* error, size_t error_bytes);

#endif
