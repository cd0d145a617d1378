/* config_inside.h - what the parts of the configuration share: the rows of the table, and who reads into it. */
#ifndef SERVER_CONFIG_INSIDE_H
#define SERVER_CONFIG_INSIDE_H

#include <cjson/cJSON.h>

#include "config.h"

typedef enum config_kind {
    CONFIG_BOOL,
    CONFIG_INTEGER,
    CONFIG_CHOICE, /* int64_t: the index in the choices */
    CONFIG_TEXT,
    CONFIG_LIST, /* of texts; in one text separated by commas */
    CONFIG_KEYS  /* of token keys; in one text "id:key,id:key" */
} config_kind;

typedef struct config_row {
    const char* key; /* --port and NECPNET_PORT for "port" */
    config_kind kind;
    size_t offset;
    int64_t low; /* TEXT: bytes at most in high */
    int64_t high;
    const char* preset;
    const char* choices;   /* CHOICE: "a|b|c" */
    const char* seed_name; /* another environment variable, or NULL; NECPNET_... wins over it */
    bool secret;
    const char* help;
} config_row;

typedef struct config_reader {
    config* out;
    text* report;
    int mistakes;
    bool unreadable;
    bool has_file;
} config_reader;

/* config_rows.c */
extern const config_row config_rows[];
extern const size_t config_row_count;
const config_row* config_find(const char* key); /* NULL: there is none */
void* config_at(config* out, const config_row* row);
const void* config_at_const(const config* out, const config_row* row);
void config_clear(config* out, const config_row* row);
void config_environment_name(const config_row* row, char name[64]);

/* config_set.c: one value; what is wrong is a line of the report */
void config_complain(config_reader* reader, const char* key, const char* source); /* begins the line */
void config_set(config_reader* reader, const config_row* row, const char* value, const char* source);
void config_set_json(config_reader* reader, const config_row* row, const cJSON* value, const char* source);
void config_set_json_keys(config_reader* reader, const cJSON* value, const char* source);

/* config_check.c: what only all together can tell */
void config_check(config_reader* reader);

/* config.c */
cJSON* config_read_json(config_reader* reader, const char* path); /* NULL, and a line of the report */

#endif
