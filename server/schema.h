/* schema.h - the part of JSON Schema (draft 2020-12) that events and RPC parameters use, and precise words about what does not
 * fit. Keywords: type (one of the seven), properties, required, additionalProperties (false, or a schema), items, minItems,
 * maxItems, minLength, maxLength (in characters), minimum, maximum, enum, const; title, description, default, examples, $schema,
 * $id and x-.. say nothing about values. A schema with another keyword is refused, so that no rule is ignored silently.
 */
#ifndef SERVER_SCHEMA_H
#define SERVER_SCHEMA_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define SCHEMA_INTEGER_MAX 9007199254740991.0 /* 2^53 - 1: what every reader of JSON keeps */

/* schema_check - whether a schema is one of the part above; else error says where and why. */
bool schema_check(const cJSON* schema, char* error, size_t error_bytes);

/* schema_validate - whether a value fits a checked schema; else error says the first fault: "/items/3/count must be at most 5". */
bool schema_validate(const cJSON* schema, const cJSON* value, char* error, size_t error_bytes);

#endif
