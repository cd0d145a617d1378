/* events - the catalogue of event schemas, and events as JSON. */
#include "events.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "json.h"
#include "schema.h"

/* Built in: made from schemas/events/ by CMakeLists.txt. */
extern const char* const events_builtin[];

struct events {
    events_kind kinds[EVENTS_MAX];
    int count;
};

static const cJSON* events_get(const cJSON* object, const char* key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool events_fail(char* what, size_t what_bytes, const char* name, const char* why)
{
    snprintf(what, what_bytes, "event schema %s: %s", name, why);
    return false;
}

/* -------------------------------------------------------------------------------------------------- one schema -- */

static bool events_read_number(const cJSON* schema, const char* key, double low, double high, uint32_t* out)
{
    const cJSON* item = events_get(schema, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= low && item->valuedouble <= high)) return false;
    *out = (uint32_t)item->valuedouble;
    return *out == item->valuedouble;
}

static bool events_read_roles(const cJSON* list, unsigned* out)
{
    static const char* const names[] = {"player", "service", "admin"}; /* ROLE_PLAYER, ROLE_SERVICE, ROLE_ADMIN */
    const cJSON* item;
    *out = 0;
    if (!cJSON_IsArray(list)) return false;
    cJSON_ArrayForEach(item, list)
    {
        unsigned bit = 0;
        for (unsigned i = 0; i < 3; i++) {
            if (cJSON_IsString(item) && strcmp(item->valuestring, names[i]) == 0) bit = 2u << i;
        }
        if (!bit) return false;
        *out |= bit;
    }
    return *out != 0;
}

/* Field numbers: there, in range, no two the same; also inside. */
static bool events_numbers_are_right(const cJSON* schema, int depth)
{
    const cJSON* properties = events_get(schema, "properties");
    const cJSON* property;
    if (depth > 8) return false;
    cJSON_ArrayForEach(property, properties)
    {
        uint32_t id, other;
        const cJSON* items = events_get(property, "items");
        const cJSON* type = events_get(property, "type");
        if (!cJSON_IsString(type) || strcmp(type->valuestring, "null") == 0) return false;
        if (!events_read_number(property, "x-id", 1, 65535, &id)) return false;
        for (const cJSON* before = properties->child; before != property; before = before->next) {
            if (events_read_number(before, "x-id", 1, 65535, &other) && other == id) return false;
        }
        if (strcmp(type->valuestring, "array") == 0) {
            const cJSON* item_type = events_get(items, "type");
            if (!cJSON_IsString(item_type) || strcmp(item_type->valuestring, "array") == 0 ||
                strcmp(item_type->valuestring, "null") == 0) {
                return false;
            }
            if (!events_numbers_are_right(items, depth + 1)) return false;
        }
        if (!events_numbers_are_right(property, depth + 1)) return false;
    }
    return true;
}

static bool events_type_is_right(const char* type, const char* category)
{
    size_t bytes = strlen(category);
    if (strlen(type) > EVENTS_TYPE_BYTES_MAX || strncmp(type, category, bytes) != 0 || type[bytes] != '.') return false;
    return type[bytes + 1] && strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789_.") == strlen(type);
}

static bool events_category_is_right(const char* category)
{
    static const char* const known[] = {"system", "player", "world", "game", "chat", "voice", "custom"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(category, known[i]) == 0) return true;
    }
    return false;
}

/* Against those that are there: one number a type, each version once. */
static const char* events_find_clash(const events* catalogue, const events_kind* kind)
{
    for (int i = 0; i < catalogue->count; i++) {
        const events_kind* other = &catalogue->kinds[i];
        bool same = strcmp(other->type, kind->type) == 0;
        if (same != (other->id == kind->id)) return "its x-id is that of another type, or differs between versions";
        if (same && other->version == kind->version) return "this version is there already";
    }
    return NULL;
}

/* Takes the schema over. */
static bool events_add(events* catalogue, cJSON* schema, const char* name, char* what, size_t what_bytes)
{
    char error[256];
    events_kind kind = {.schema = schema};
    const cJSON* type = events_get(schema, "title");
    const cJSON* category = events_get(schema, "x-category");
    const cJSON* data_type = events_get(schema, "type");
    const char* why = NULL;
    if (!schema_check(schema, error, sizeof(error))) {
        why = error;
    } else if (!cJSON_IsString(category) || !events_category_is_right(category->valuestring)) {
        why = "x-category must be system, player, world, game, chat, voice or custom";
    } else if (!cJSON_IsString(type) || !events_type_is_right(type->valuestring, category->valuestring)) {
        why = "title must be the type: the category, a dot, small letters, digits, _ and dots";
    } else if (!cJSON_IsString(data_type) || strcmp(data_type->valuestring, "object") != 0 ||
               !cJSON_IsFalse(events_get(schema, "additionalProperties"))) {
        why = "must be an object without additionalProperties";
    } else if (!events_read_number(schema, "x-id", 1, 65535, &kind.id) ||
               !events_read_number(schema, "x-version", 1, 65535, &kind.version)) {
        why = "x-id and x-version must be whole numbers of 1 .. 65,535";
    } else if (!events_read_roles(events_get(schema, "x-publish"), &kind.publish)) {
        why = "x-publish must list roles: player, service, admin";
    } else if (!events_numbers_are_right(schema, 0)) {
        why = "every property needs a type and an x-id of its own; an array's items need a type that is no array";
    } else if (catalogue->count == EVENTS_MAX) {
        why = "there are too many";
    } else {
        kind.type = type->valuestring;
        kind.category = category->valuestring;
        why = events_find_clash(catalogue, &kind);
    }
    if (why) {
        cJSON_Delete(schema);
        return events_fail(what, what_bytes, name, why);
    }
    catalogue->kinds[catalogue->count++] = kind;
    return true;
}

static bool events_add_text(events* catalogue, const char* json, size_t bytes, const char* name, char* what,
                            size_t what_bytes)
{
    char error[256];
    cJSON* schema = json_parse(json, bytes, error, sizeof(error));
    if (!schema) return events_fail(what, what_bytes, name, error);
    return events_add(catalogue, schema, name, what, what_bytes);
}

/* ------------------------------------------------------------------------------------------------ the catalogue -- */

static int events_compare_names(const struct dirent** a, const struct dirent** b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int events_is_schema(const struct dirent* entry)
{
    size_t bytes = strlen(entry->d_name);
    return bytes > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + bytes - 5, ".json") == 0;
}

static bool events_add_directory(events* catalogue, const char* directory, char* what, size_t what_bytes)
{
    struct dirent** names = NULL;
    int count = scandir(directory, &names, events_is_schema, events_compare_names);
    bool right = count >= 0;
    if (!right) snprintf(what, what_bytes, "the directory %s of event schemas cannot be read", directory);
    for (int i = 0; i < count; i++) {
        char path[4300];
        size_t bytes = 0;
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
        char* json = right ? config_read_file(path, 65536, &bytes) : NULL;
        if (right && !json) right = events_fail(what, what_bytes, path, "it cannot be read, or is larger than 64 KB");
        if (right) right = events_add_text(catalogue, json, bytes, path, what, what_bytes);
        free(json);
        free(names[i]);
    }
    free(names);
    return right;
}

events* events_open(const char* directory, char* what, size_t what_bytes)
{
    events* catalogue = calloc(1, sizeof(*catalogue));
    bool right = catalogue != NULL;
    if (!right) snprintf(what, what_bytes, "no memory for event schemas");
    for (int i = 0; right && events_builtin[i]; i += 2) {
        right = events_add_text(catalogue, events_builtin[i + 1], strlen(events_builtin[i + 1]), events_builtin[i],
                                what, what_bytes);
    }
    if (right && directory[0]) right = events_add_directory(catalogue, directory, what, what_bytes);
    if (right) return catalogue;
    events_close(catalogue);
    return NULL;
}

void events_close(events* catalogue)
{
    if (!catalogue) return;
    for (int i = 0; i < catalogue->count; i++) cJSON_Delete((cJSON*)(uintptr_t)catalogue->kinds[i].schema);
    free(catalogue);
}

const events_kind* events_find(const events* catalogue, const char* type, uint32_t version)
{
    const events_kind* best = NULL;
    for (int i = 0; i < catalogue->count; i++) {
        const events_kind* kind = &catalogue->kinds[i];
        if (strcmp(kind->type, type) != 0 || (version && kind->version != version)) continue;
        if (!best || kind->version > best->version) best = kind;
    }
    return best;
}

const events_kind* events_find_id(const events* catalogue, uint32_t id, uint32_t version)
{
    for (int i = 0; i < catalogue->count; i++) {
        if (catalogue->kinds[i].id == id) return events_find(catalogue, catalogue->kinds[i].type, version);
    }
    return NULL;
}

int events_count(const events* catalogue)
{
    return catalogue->count;
}

const events_kind* events_at(const events* catalogue, int index)
{
    return &catalogue->kinds[index];
}

const char* events_nearest(const events* catalogue, const char* type)
{
    const char* names[EVENTS_MAX];
    for (int i = 0; i < catalogue->count; i++) names[i] = catalogue->kinds[i].type;
    return text_nearest(type, names, (size_t)catalogue->count);
}

void events_put_json(text* out, const events_event* event)
{
    char* data = cJSON_PrintUnformatted(event->data);
    text_put(out, "{\"type\":");
    text_json(out, event->kind->type);
    text_format(out, ",\"version\":%u,\"category\":", event->kind->version);
    text_json(out, event->kind->category);
    text_format(out, ",\"time\":%llu,\"from\":", (unsigned long long)event->time_ms);
    text_json(out, event->from);
    text_put(out, ",\"data\":");
    if (data) {
        text_put(out, data);
    } else {
        out->failed = true;
    }
    text_put(out, "}");
    cJSON_free(data);
}
