/* fields.h - what a request may say, as one table of fields: parameters of path and query, keys of a JSON body or of the
 * params of an RPC. The table is all there is to checking: a handler sees values that fit, or is not called.
 */
#ifndef SERVER_FIELDS_H
#define SERVER_FIELDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIELDS_MAX 16 /* of one request */

typedef enum field_place { FIELD_END = 0, FIELD_IN_PATH, FIELD_IN_QUERY, FIELD_IN_BODY } field_place;

typedef enum field_kind {
    FIELD_TEXT,    /* printable UTF-8 of low .. high bytes */
    FIELD_ID,      /* letters, digits and . _ : @ - of low .. high bytes */
    FIELD_INTEGER, /* low .. high */
    FIELD_BOOL,
    FIELD_CHOICE, /* one of choices */
    FIELD_TEXTS,  /* body: a list of 1 .. count_max different texts of low .. high bytes each */
    FIELD_OBJECT, /* body: any JSON object of at most high bytes */
    FIELD_NUMBER  /* body: low .. high, with a fraction */
} field_kind;

typedef struct field {
    const char* name;
    field_place place;
    field_kind kind;
    bool required;
    int64_t low;
    int64_t high;
    const char* choices; /* "a|b|c" */
    int count_max;
} field;

/* Rows of a table; FIELDS_END is the last. */
#define PATH_ID(name, high) \
    { \
        name, FIELD_IN_PATH, FIELD_ID, true, 1, high, NULL, 0 \
    }
#define QUERY_INTEGER(name, low, high) \
    { \
        name, FIELD_IN_QUERY, FIELD_INTEGER, false, low, high, NULL, 0 \
    }
#define QUERY_CHOICE(name, choices) \
    { \
        name, FIELD_IN_QUERY, FIELD_CHOICE, false, 0, 0, choices, 0 \
    }
#define QUERY_ID(name, high) \
    { \
        name, FIELD_IN_QUERY, FIELD_ID, false, 1, high, NULL, 0 \
    }
#define BODY_FIELD(name, kind, required, low, high) \
    { \
        name, FIELD_IN_BODY, kind, required, low, high, NULL, 0 \
    }
#define BODY_CHOICE(name, required, choices) \
    { \
        name, FIELD_IN_BODY, FIELD_CHOICE, required, 0, 0, choices, 0 \
    }
#define BODY_TEXTS(name, required, high, count_max) \
    { \
        name, FIELD_IN_BODY, FIELD_TEXTS, required, 1, high, NULL, count_max \
    }
#define FIELDS_END \
    { \
        NULL, FIELD_END, FIELD_TEXT, false, 0, 0, NULL, 0 \
    }

typedef struct field_value {
    bool present;
    char* text;        /* TEXT, ID, CHOICE */
    int64_t number;    /* INTEGER; BOOL: 0 or 1; CHOICE: the index */
    const cJSON* json; /* TEXTS, OBJECT, NUMBER: inside the body */
} field_value;

typedef struct field_values {
    const field* fields;
    cJSON* body; /* NULL without one */
    field_value values[FIELDS_MAX];
} field_values;

/* What is wrong, for the one who asked. */
typedef struct field_fault {
    char field[64];    /* its name; "" when it is the body as a whole */
    const char* place; /* "path", "query", "body", "header" */
    const char*
        reason; /* "missing", "type", "range", "length", "characters", "duplicate", "unknown", "encoding", "syntax" */
    char message[256];
} field_fault;

/* fields_begin - no values yet. fields: borrowed until fields_end; NULL: none. */
void fields_begin(field_values* values, const field* fields);
void fields_end(field_values* values);

/* fields_take_path - one parameter of the path, percent-encoded. */
bool fields_take_path(field_values* values, const char* name, const char* encoded, size_t bytes, field_fault* fault);

/* fields_take_query - all of "a=b&c=d".  ignored: a parameter that is not looked at, or NULL. */
bool fields_take_query(field_values* values, const char* query, const char* ignored, field_fault* fault);

/* fields_take_body - a JSON text; fields_take_json - a tree, which is taken over also on failure (the params of an RPC). */
bool fields_take_body(field_values* values, const char* json, size_t bytes, field_fault* fault);
bool fields_take_json(field_values* values, cJSON* object, field_fault* fault);

/* fields_finish - whether all that is required came. Last of all. */
bool fields_finish(const field_values* values, field_fault* fault);

/* Values by name (that may stand in query and body: the first that is present); a name that the table does not have is a
 * mistake of ours. */
const field_value* fields_get(const field_values* values, const char* name);
const char* fields_text(const field_values* values, const char* name); /* "" if absent */
int64_t fields_number(const field_values* values, const char* name, int64_t absent);

double fields_real(const field_values* values, const char* name, double absent); /* NUMBER */

/* fields_say - the fault as the details of an error: {"field":..,"in":..,"reason":..}. json: at least 256 bytes. */
void fields_say(const field_fault* fault, char* json, size_t json_bytes);

/* fields_decode - percent-decoding; plus: '+' is a blank. NULL: malformed, no UTF-8, or a NUL inside. free the result. */
char* fields_decode(const char* encoded, size_t bytes, bool plus);

#endif
