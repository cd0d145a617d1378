/* config - the table of keys is filled: presets, file, environment, flags, and what only all together can tell. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_inside.h"
#include "json.h"

/* -------------------------------------------------------------------------------------------------- the file -- */

/* Completes a line of the report: "unknown; did you mean port?" */
static void config_suggest(config_reader* reader, const char* key)
{
    const char* names[CONFIG_KEYS_MAX];
    for (size_t i = 0; i < config_row_count; i++) names[i] = config_rows[i].key;
    const char* nearest = text_nearest(key, names, config_row_count);
    if (nearest) {
        text_format(reader->report, "unknown key; did you mean %s?\n", nearest);
    } else {
        text_put(reader->report, "unknown key; --help lists all\n");
    }
}

char* config_read_file(const char* path, size_t bytes_max, size_t* out_bytes)
{
    FILE* file = fopen(path, "rb");
    char* bytes = file ? malloc(bytes_max + 2) : NULL;
    size_t count = bytes ? fread(bytes, 1, bytes_max + 1, file) : 0;
    bool failed = !bytes || ferror(file) || count > bytes_max;
    if (bytes && !ferror(file) && count > bytes_max) errno = EFBIG;
    int error = errno;
    if (file) fclose(file);
    if (failed) {
        free(bytes);
        errno = error;
        return NULL;
    }
    bytes[count] = 0;
    *out_bytes = count;
    return bytes;
}

/* A file's JSON, or NULL with a line in the report. */
cJSON* config_read_json(config_reader* reader, const char* path)
{
    char error[160];
    size_t bytes = 0;
    char* file = config_read_file(path, CONFIG_FILE_BYTES_MAX, &bytes);
    if (!file) {
        reader->unreadable = true;
        config_complain(reader, path, "file");
        text_format(reader->report, "cannot be read: %s; check the path and its permissions\n", strerror(errno));
        return NULL;
    }
    cJSON* json = json_parse(file, bytes, error, sizeof(error));
    memset(file, 0, bytes);
    free(file);
    if (!json) {
        config_complain(reader, path, "file");
        text_format(reader->report, "%s\n", error);
    }
    return json;
}

static void config_read_main_file(config_reader* reader, const char* path)
{
    const cJSON* item;
    cJSON* json = config_read_json(reader, path);
    if (json && !cJSON_IsObject(json)) {
        config_complain(reader, path, "file");
        text_put(reader->report, "one JSON object is wanted: {\"port\": 8080}\n");
    } else if (json) {
        cJSON_ArrayForEach(item, json)
        {
            const config_row* row = config_find(item->string);
            if (row) {
                config_set_json(reader, row, item, path);
            } else {
                config_complain(reader, item->string, path);
                config_suggest(reader, item->string);
            }
        }
    }
    cJSON_Delete(json);
}

/* ---------------------------------------------------------------------------------------- environment, flags -- */

/* SERVER_ADDR: "address", "address:port", "[address]:port" or ":port". */
static void config_set_server_address(config_reader* reader, const char* value)
{
    char host[64];
    const char* source = "environment SERVER_ADDR";
    const char* colon = strrchr(value, ':');
    necpnet_address address;
    if (colon && value[0] != '[' && strchr(value, ':') != colon) colon = NULL; /* bare IPv6 */
    if (colon && value[0] == '[' && colon[-1] != ']') colon = NULL;
    size_t bytes = colon ? (size_t)(colon - value) : strlen(value);
    if (bytes >= 2 && value[0] == '[' && value[bytes - 1] == ']') value++, bytes -= 2;
    snprintf(host, sizeof(host), "%.*s", (int)(bytes < 63 ? bytes : 63), value);
    if (host[0] && necpnet_address_parse(host, &address) != NECPNET_OK) {
        config_complain(reader, "bind_address", source);
        text_json(reader->report, host);
        text_put(reader->report, " is no numeric address; write 0.0.0.0:8080, [::]:8080 or :8080\n");
        return;
    }
    config_set(reader, config_find("bind_address"), host[0] ? host : "::", source);
    reader->out->sources[config_find("bind_address") - config_rows] = CONFIG_FROM_ENVIRONMENT;
    if (!colon) return;
    config_set(reader, config_find("port"), colon + 1, source);
    reader->out->sources[config_find("port") - config_rows] = CONFIG_FROM_ENVIRONMENT;
}

static void config_read_environment(config_reader* reader, const char* (*environment)(const char*))
{
    const char* address = environment("SERVER_ADDR");
    if (address && address[0]) config_set_server_address(reader, address);
    for (size_t i = 0; i < config_row_count; i++) {
        char name[64];
        char source[96];
        const config_row* row = &config_rows[i];
        config_environment_name(row, name);
        const char* value = environment(name);
        const char* from = name;
        if (!value && row->seed_name && strcmp(row->seed_name, "SERVER_ADDR") != 0) {
            from = row->seed_name;
            value = environment(from);
        }
        if (value) {
            snprintf(source, sizeof(source), "environment %s", from);
            config_set(reader, row, value, source);
            reader->out->sources[i] = CONFIG_FROM_ENVIRONMENT;
        }
    }
}

/* One flag; returns how many arguments it took. */
static int config_read_flag(config_reader* reader, int left, char** arguments)
{
    char key[64];
    char source[80];
    const char* flag = arguments[0];
    const char* equals = strchr(flag, '=');
    size_t bytes = equals ? (size_t)(equals - flag) : strlen(flag);
    snprintf(source, sizeof(source), "flag %.*s", (int)(bytes < 64 ? bytes : 64), flag);
    if (strncmp(flag, "--", 2) != 0 || bytes < 3 || bytes > 60) {
        config_complain(reader, flag, "argument");
        text_put(reader->report, "not a flag; flags look like --port 8080, and --help lists all\n");
        return 1;
    }
    snprintf(key, sizeof(key), "%.*s", (int)(bytes - 2), flag + 2);
    for (char* at = key; *at; at++) *at = *at == '-' ? '_' : *at;
    const config_row* row = config_find(key);
    bool negated = !row && strncmp(key, "no_", 3) == 0;
    if (negated) row = config_find(key + 3);
    if (!row || (negated && row->kind != CONFIG_BOOL)) {
        config_complain(reader, source, "argument");
        config_suggest(reader, key);
        return left > 1 && !equals && strncmp(arguments[1], "--", 2) != 0 ? 2 : 1;
    }
    if (row->kind == CONFIG_BOOL && !equals) {
        bool spoken = !negated && left > 1 && strncmp(arguments[1], "--", 2) != 0;
        config_set(reader, row, negated ? "false" : spoken ? arguments[1] : "true", source);
        return spoken ? 2 : 1;
    }
    if (!equals && left < 2) {
        config_complain(reader, row->key, source);
        text_put(reader->report, "its value is missing\n");
        return 1;
    }
    config_set(reader, row, equals ? equals + 1 : arguments[1], source);
    return equals ? 1 : 2;
}

/* The flags that are no keys. Returns how many arguments it took, 0 if it is another flag. */
static int config_read_verb(config_result* verb, const char** path, int left, char** arguments)
{
    if (strcmp(arguments[0], "--help") == 0 || strcmp(arguments[0], "-h") == 0) {
        *verb = CONFIG_SHOW_HELP;
    } else if (strcmp(arguments[0], "--version") == 0) {
        *verb = CONFIG_SHOW_VERSION;
    } else if (strcmp(arguments[0], "--check-config") == 0) {
        *verb = CONFIG_SHOW_CHECK;
    } else if (strcmp(arguments[0], "--config") == 0 && left > 1) {
        *path = arguments[1];
        return 2;
    } else if (strncmp(arguments[0], "--config=", 9) == 0) {
        *path = arguments[0] + 9;
    } else {
        return 0;
    }
    return 1;
}

static config_result config_finish(config_reader* reader, config_result verb)
{
    for (size_t i = 0; i < config_row_count; i++) { /* out of memory while a text was copied */
        if (config_rows[i].kind != CONFIG_TEXT) continue;
        char** value = config_at(reader->out, &config_rows[i]);
        if (!*value) {
            text_put(reader->report, "out of memory\n");
            return CONFIG_UNREADABLE;
        }
    }
    config_check(reader);
    if (reader->mistakes > 0) return reader->unreadable ? CONFIG_UNREADABLE : CONFIG_WRONG;
    if (verb == CONFIG_SHOW_CHECK) config_show(reader->out, reader->report);
    return verb;
}

config_result config_load(config* out, int argument_count, char** arguments, const char* (*environment)(const char*),
                          text* report)
{
    config_reader reader = {.out = out, .report = report};
    config_result verb = CONFIG_RUN;
    const char* path = environment("NECPNET_CONFIG");
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < config_row_count; i++) config_set(&reader, &config_rows[i], config_rows[i].preset, "preset");
    for (int i = 1; i < argument_count;) {
        int taken = config_read_verb(&verb, &path, argument_count - i, arguments + i);
        i += taken ? taken : 1;
    }
    if (verb == CONFIG_SHOW_HELP || verb == CONFIG_SHOW_VERSION) return verb;
    if (path && path[0]) {
        reader.has_file = true;
        config_read_main_file(&reader, path);
    }
    config_read_environment(&reader, environment);
    for (int i = 1; i < argument_count;) {
        config_result ignored;
        const char* same;
        int taken = config_read_verb(&ignored, &same, argument_count - i, arguments + i);
        if (taken == 0) taken = config_read_flag(&reader, argument_count - i, arguments + i);
        i += taken;
    }
    return config_finish(&reader, verb);
}

void config_release(config* loaded)
{
    for (size_t i = 0; i < config_row_count; i++) {
        const config_row* row = &config_rows[i];
        if (row->secret && row->kind == CONFIG_TEXT) {
            char* value = *(char**)config_at(loaded, row);
            if (value) memset(value, 0, strlen(value));
        }
        config_clear(loaded, row);
    }
}
