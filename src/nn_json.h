/* nn_json - texts of JSON (RFC 8259), strict: one value and nothing behind it, no name twice in an object, valid UTF-8, no
 * NUL in strings, at most NECPNET_JSON_DEPTH_MAX levels. The check is ours (necpnet_json_check); the tree is cJSON's
 * (nn_dep_cjson.c), whose version 1.7.15 takes -01, raw control characters and bytes behind the value.
 */
#ifndef NN_JSON_H
#define NN_JSON_H

#include "nn_base.h"

typedef struct nn_json nn_json; /* a value in a tree */

typedef enum nn_json_kind {
    NN_JSON_NULL = 0,
    NN_JSON_BOOL = 1,
    NN_JSON_NUMBER = 2,
    NN_JSON_STRING = 3,
    NN_JSON_ARRAY = 4,
    NN_JSON_OBJECT = 5
} nn_json_kind;

/* nn_json_is_built - false: nn_json_parse gives NULL. */
NN_PRIVATE bool nn_json_is_built(void);

/* nn_json_parse - text that necpnet_json_check has passed. NULL: no memory, a name twice, or over 256 names in one object. The tree is
 * cJSON's own memory (malloc): to be destroyed before the caller returns. */
NN_PRIVATE nn_json* nn_json_parse(const char* text, size_t bytes);
NN_PRIVATE void nn_json_destroy(nn_json* root);

NN_PRIVATE nn_json_kind nn_json_kind_of(const nn_json* value);
NN_PRIVATE double nn_json_number(const nn_json* value);
NN_PRIVATE bool nn_json_bool(const nn_json* value);
NN_PRIVATE const char* nn_json_text(const nn_json* value);

/* nn_json_first, nn_json_next - the members of an array or object, NULL at the end; nn_json_name - of an object's. */
NN_PRIVATE const nn_json* nn_json_first(const nn_json* value);
NN_PRIVATE const nn_json* nn_json_next(const nn_json* member);
NN_PRIVATE const char* nn_json_name(const nn_json* member);

/* nn_json_find - a member of an object by name, or NULL. */
NN_PRIVATE const nn_json* nn_json_find(const nn_json* object, const char* name);

#endif
