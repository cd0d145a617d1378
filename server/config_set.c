/* config_set - one value, from a text or from JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_inside.h"

/* Begins a line of the report: "port (flag --port): ". */
void config_complain(config_reader* reader, const char* key, const char* source)
{
    reader->mistakes++;
    text_format(reader->report, "%s (%s): ", key, source);
}

static bool config_read_integer(const char* digits, int64_t* out_value)
{
    char* end = NULL;
    if (!((digits[0] >= '0' && digits[0] <= '9') || digits[0] == '-')) return false;
    errno = 0;
    *out_value = strtoll(digits, &end, 10);
    return errno == 0 && end != digits && *end == 0;
}

static void config_set_integer(config_reader* reader, const config_row* row, int64_t value, const char* source)
{
    if (value < row->low || value > row->high) {
        config_complain(reader, row->key, source);
        text_format(reader->report, "%" PRId64 " is out of range; %" PRId64 " .. %" PRId64 " is allowed\n", value,
                    row->low, row->high);
        return;
    }
    *(int64_t*)config_at(reader->out, row) = value;
}

static void config_set_choice(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    const char* wanted = strcasecmp(value, "warn") == 0 ? "warning" : value;
    size_t wanted_bytes = strlen(wanted);
    int64_t index = 0;
    for (const char* at = row->choices;; index++) {
        size_t bytes = strcspn(at, "|");
        if (bytes == wanted_bytes && strncasecmp(at, wanted, bytes) == 0) {
            *(int64_t*)config_at(reader->out, row) = index;
            return;
        }
        if (at[bytes] == 0) break;
        at += bytes + 1;
    }
    config_complain(reader, row->key, source);
    text_json(reader->report, value);
    text_format(reader->report, " is none of %s\n", row->choices);
}

static void config_set_bool(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    static const char* const names[2][5] = {{"false", "0", "no", "off", NULL}, {"true", "1", "yes", "on", NULL}};
    for (int truth = 0; truth < 2; truth++) {
        for (int i = 0; names[truth][i]; i++) {
            if (strcasecmp(value, names[truth][i]) != 0) continue;
            *(bool*)config_at(reader->out, row) = truth == 1;
            return;
        }
    }
    config_complain(reader, row->key, source);
    text_json(reader->report, value);
    text_put(reader->report, " is neither true nor false\n");
}

static void config_set_string(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    if (strlen(value) > (size_t)row->high) {
        config_complain(reader, row->key, source);
        text_format(reader->report, "longer than %" PRId64 " bytes\n", row->high);
        return;
    }
    if (!text_is_printable(value, strlen(value))) {
        config_complain(reader, row->key, source);
        text_put(reader->report, "holds control characters or is not UTF-8\n");
        return;
    }
    char** to = config_at(reader->out, row);
    free(*to);
    *to = text_copy(value);
}

static void config_add_item(config_reader* reader, const config_row* row, const char* item, size_t bytes,
                            const char* source)
{
    config_list* list = config_at(reader->out, row);
    while (bytes > 0 && item[0] == ' ') item++, bytes--;
    while (bytes > 0 && item[bytes - 1] == ' ') bytes--;
    if (bytes == 0) return;
    if (list->count == CONFIG_LIST_MAX || bytes > NECPNET_URL_BYTES_MAX) {
        config_complain(reader, row->key, source);
        text_format(reader->report, "more than %d items, or one longer than %d bytes\n", CONFIG_LIST_MAX,
                    NECPNET_URL_BYTES_MAX);
        return;
    }
    list->items[list->count++] = strndup(item, bytes);
}

bool config_key_parse(const char* digits, uint8_t key[NECPNET_TOKEN_KEY_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bytes = strlen(digits);
    if (bytes == 2 * NECPNET_TOKEN_KEY_BYTES) {
        for (size_t i = 0; i < bytes; i++) {
            const char* at = strchr(hex, digits[i] >= 'A' && digits[i] <= 'F' ? digits[i] + 32 : digits[i]);
            if (!at) return false;
            key[i / 2] = (uint8_t)(i % 2 ? key[i / 2] | (at - hex) : (at - hex) << 4);
        }
        return true;
    }
    if (bytes == 44 && digits[43] == '=') bytes = 43;
    if (bytes != 43) return false;
    uint32_t bits = 0;
    size_t made = 0;
    for (size_t i = 0; i < bytes; i++) {
        char c = digits[i] == '-' ? '+' : digits[i] == '_' ? '/' : digits[i];
        const char* at = strchr(base64, c);
        if (!at) return false;
        bits = bits << 6 | (uint32_t)(at - base64);
        if (i % 4 == 0) continue;
        key[made++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return made == NECPNET_TOKEN_KEY_BYTES && (bits & 3) == 0;
}

static void config_add_key(config_reader* reader, int64_t id, const char* digits, const char* source)
{
    config_keys* keys = &reader->out->token_keys;
    necpnet_token_key key = {.id = (uint32_t)id};
    const char* wrong = NULL;
    if (id < 0 || id > UINT32_MAX) wrong = "an id is out of range; 0 .. 4294967295 is allowed";
    if (!wrong && !config_key_parse(digits, key.bytes)) {
        wrong = "a key is neither 64 hexadecimal digits nor base64 of 32 bytes; make one with: openssl rand -hex 32";
    }
    if (!wrong && keys->count == CONFIG_TOKEN_KEYS_MAX) wrong = "more than 16 keys";
    for (int i = 0; !wrong && i < keys->count; i++) {
        if (keys->items[i].id == key.id) wrong = "two keys have the same id";
    }
    if (wrong) {
        config_complain(reader, "token_keys", source);
        text_format(reader->report, "%s\n", wrong);
        return;
    }
    keys->items[keys->count++] = key;
}

/* "1:KEY" */
static void config_add_key_text(config_reader* reader, const char* item, size_t bytes, const char* source)
{
    char buffer[128];
    if (bytes == 0) return;
    snprintf(buffer, sizeof(buffer), "%.*s", (int)(bytes < 127 ? bytes : 127), item);
    char* colon = strchr(buffer, ':');
    int64_t id = -1;
    if (colon) *colon = 0;
    if (!colon || !config_read_integer(buffer, &id)) {
        config_complain(reader, "token_keys", source);
        text_put(reader->report, "a key is written id:key, for example 1:64-hex-digits\n");
        return;
    }
    config_add_key(reader, id, colon + 1, source);
}

/* A value as text: from the environment, a flag, or the preset. */
void config_set(config_reader* reader, const config_row* row, const char* value, const char* source)
{
    int64_t number = 0;
    reader->out->sources[row - config_rows] = row->preset == value ? CONFIG_FROM_PRESET : CONFIG_FROM_FLAG;
    switch (row->kind) {
    case CONFIG_BOOL: config_set_bool(reader, row, value, source); break;
    case CONFIG_CHOICE: config_set_choice(reader, row, value, source); break;
    case CONFIG_TEXT: config_set_string(reader, row, value, source); break;
    case CONFIG_INTEGER:
        if (config_read_integer(value, &number)) {
            config_set_integer(reader, row, number, source);
        } else {
            config_complain(reader, row->key, source);
            text_json(reader->report, value);
            text_put(reader->report, " is no whole number\n");
        }
        break;
    case CONFIG_LIST:
    case CONFIG_KEYS:
        config_clear(reader->out, row);
        for (const char* at = value;; at++) {
            size_t bytes = strcspn(at, ",");
            if (row->kind == CONFIG_LIST) {
                config_add_item(reader, row, at, bytes, source);
            } else {
                config_add_key_text(reader, at, bytes, source);
            }
            at += bytes;
            if (*at == 0) break;
        }
        break;
    }
}

/* -------------------------------------------------------------------------------------------------------- JSON -- */

void config_set_json_keys(config_reader* reader, const cJSON* value, const char* source)
{
    const cJSON* item;
    if (!cJSON_IsArray(value)) {
        config_complain(reader, "token_keys", source);
        text_put(reader->report, "a list is wanted: [{\"id\": 1, \"key\": \"...\"}]\n");
        return;
    }
    reader->out->token_keys.count = 0;
    cJSON_ArrayForEach(item, value)
    {
        const cJSON* id = cJSON_GetObjectItemCaseSensitive(item, "id");
        const cJSON* key = cJSON_GetObjectItemCaseSensitive(item, "key");
        if (!cJSON_IsObject(item) || !cJSON_IsNumber(id) || !cJSON_IsString(key) || cJSON_GetArraySize(item) != 2 ||
            id->valuedouble != (double)(int64_t)id->valuedouble) {
            config_complain(reader, "token_keys", source);
            text_put(reader->report, "an item is not {\"id\": whole number, \"key\": \"text\"}\n");
            continue;
        }
        config_add_key(reader, (int64_t)id->valuedouble, key->valuestring, source);
    }
}

static void config_set_json_list(config_reader* reader, const config_row* row, const cJSON* value, const char* source)
{
    const cJSON* item;
    config_clear(reader->out, row);
    cJSON_ArrayForEach(item, value)
    {
        if (cJSON_IsString(item) && item->valuestring[0]) {
            config_add_item(reader, row, item->valuestring, strlen(item->valuestring), source);
        } else {
            config_complain(reader, row->key, source);
            text_put(reader->report, "an item is no text\n");
        }
    }
}

void config_set_json(config_reader* reader, const config_row* row, const cJSON* value, const char* source)
{
    static const char* const wanted[] = {"true or false", "a whole number",  "a text",
                                         "a text",        "a list of texts", "a list of keys"};
    reader->out->sources[row - config_rows] = CONFIG_FROM_FILE;
    if (row->kind == CONFIG_BOOL && cJSON_IsBool(value)) {
        *(bool*)config_at(reader->out, row) = cJSON_IsTrue(value);
    } else if (row->kind == CONFIG_INTEGER && cJSON_IsNumber(value) && value->valuedouble >= -9007199254740991.0 &&
               value->valuedouble <= 9007199254740991.0 && value->valuedouble == (double)(int64_t)value->valuedouble) {
        config_set_integer(reader, row, (int64_t)value->valuedouble, source);
    } else if (row->kind == CONFIG_CHOICE && cJSON_IsString(value)) {
        config_set_choice(reader, row, value->valuestring, source);
    } else if (row->kind == CONFIG_TEXT && cJSON_IsString(value)) {
        config_set_string(reader, row, value->valuestring, source);
    } else if (row->kind == CONFIG_LIST && cJSON_IsArray(value)) {
        config_set_json_list(reader, row, value, source);
    } else if (row->kind == CONFIG_KEYS) {
        config_set_json_keys(reader, value, source);
    } else {
        config_complain(reader, row->key, source);
        text_format(reader->report, "%s is wanted\n", wanted[row->kind]);
    }
}
