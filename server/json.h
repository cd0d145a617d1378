/* json.h - strict JSON for what comes from outside: RFC 8259 and nothing else, no key twice, a named depth. */
#ifndef SERVER_JSON_H
#define SERVER_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define JSON_DEPTH_MAX 32
#define JSON_KEYS_MAX 256 /* of one object: looking for keys that stand twice is quadratic */

/* json_check - whether the text is one JSON value and nothing behind it.
 *
 *   error  gets "line 3, column 7: ..." where it is not; may be NULL with 0.
 */
bool json_check(const char* json, size_t bytes, char* error, size_t error_bytes);

/* json_parse - check, parse, and refuse an object that has a key twice. cJSON_Delete the result; NULL: error says why. */
cJSON* json_parse(const char* json, size_t bytes, char* error, size_t error_bytes);

#endif
