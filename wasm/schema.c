/* schema - a schema that JavaScript describes field by field, and the description of any schema for its accessors. */
#include "exports.h"
#include "game.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_TYPES_MAX 64
#define SCHEMA_NAME_BYTES 64

typedef struct schema_type {
    char name[SCHEMA_NAME_BYTES];
    char field_names[NECPNET_FIELDS_MAX][SCHEMA_NAME_BYTES];
    necpnet_field fields[NECPNET_FIELDS_MAX];
    int field_count;
    uint32_t bytes;
    uint32_t align;
    uint16_t id;
} schema_type;

struct wasm_schema {
    schema_type* types[SCHEMA_TYPES_MAX];
    int type_count;
    necpnet_schema* made;
    char* description;
};

/* Why a schema is refused, for the console. */
EM_JS(void, wasm_js_log, (int level, const char* line), {
    if (Module["necpnetLog"]) Module["necpnetLog"](level, UTF8ToString(line));
})

static void schema_log(necpnet_log_level level, const char* line, void* user)
{
    (void)user;
    wasm_js_log((int)level, line);
}

WASM_EXPORT wasm_schema* wasm_schema_begin(void)
{
    return calloc(1, sizeof(wasm_schema));
}

static int schema_make(wasm_schema* schema, const necpnet_entity_type* types, int count)
{
    necpnet_logger logger = {schema_log, NULL, NECPNET_LOG_WARNING};
    return necpnet_schema_create(NULL, &logger, types, count, &schema->made);
}

WASM_EXPORT wasm_schema* wasm_schema_of_game(void)
{
    const wasm_game* game = wasm_game_get();
    wasm_schema* schema = game ? wasm_schema_begin() : NULL;
    if (schema && schema_make(schema, game->types, game->type_count) != NECPNET_OK) {
        wasm_schema_destroy(schema);
        return NULL;
    }
    return schema;
}

WASM_EXPORT int wasm_schema_add_type(wasm_schema* schema, const char* name, int id)
{
    if (schema->type_count == SCHEMA_TYPES_MAX) return NECPNET_ERR_LIMIT_REACHED;
    if (id < 1 || id > 65535 || strlen(name) >= SCHEMA_NAME_BYTES) return NECPNET_ERR_BAD_SCHEMA;
    schema_type* type = calloc(1, sizeof *type);
    if (!type) return NECPNET_ERR_OUT_OF_MEMORY;
    snprintf(type->name, sizeof type->name, "%s", name);
    type->id = (uint16_t)id;
    type->align = 1;
    schema->types[schema->type_count++] = type;
    return NECPNET_OK;
}

/* How many numbers of storage_bytes a field of a kind has. */
static uint32_t schema_numbers(int kind, int count, int flags)
{
    uint32_t many = flags & (int)NECPNET_FIELD_ARRAY ? (uint32_t)count : 1;
    switch (kind) {
    case NECPNET_FIELD_VEC2: return 2 * many;
    case NECPNET_FIELD_VEC3: return 3 * many;
    case NECPNET_FIELD_QUAT: return 4 * many;
    case NECPNET_FIELD_STRING:
    case NECPNET_FIELD_BYTES: return (uint32_t)count;
    default: return many;
    }
}

WASM_EXPORT int wasm_schema_add_field(wasm_schema* schema, const char* name, int id, int kind, int storage_bytes,
                                      int count, int flags, double min, double max, double step)
{
    if (schema->type_count == 0) return NECPNET_ERR_INVALID_STATE;
    schema_type* type = schema->types[schema->type_count - 1];
    bool sized = storage_bytes == 1 || storage_bytes == 2 || storage_bytes == 4 || storage_bytes == 8;
    if (type->field_count == NECPNET_FIELDS_MAX) return NECPNET_ERR_LIMIT_REACHED;
    if (!sized || count < 1 || count > 255 || id < 1 || id > 65535 || kind < 0 || kind > NECPNET_FIELD_BYTES ||
        strlen(name) >= SCHEMA_NAME_BYTES) {
        return NECPNET_ERR_BAD_SCHEMA;
    }
    necpnet_field* field = &type->fields[type->field_count];
    uint32_t align = (uint32_t)storage_bytes;
    uint32_t offset = (type->bytes + align - 1) / align * align;
    uint32_t end = offset + align * schema_numbers(kind, count, flags);
    bool bounded = (flags & (int)NECPNET_FIELD_BOUNDED) != 0; /* its length is a byte behind it */
    snprintf(type->field_names[type->field_count], SCHEMA_NAME_BYTES, "%s", name);
    necpnet_field made = {type->field_names[type->field_count],
                          (uint16_t)id,
                          (uint8_t)kind,
                          (uint8_t)storage_bytes,
                          offset,
                          (uint32_t)count,
                          (uint32_t)flags,
                          min,
                          max,
                          step,
                          bounded ? end : 0,
                          bounded ? 1 : 0};
    *field = made;
    type->field_count++;
    type->bytes = end + bounded;
    if (align > type->align) type->align = align;
    return NECPNET_OK;
}

WASM_EXPORT int wasm_schema_finish(wasm_schema* schema)
{
    necpnet_entity_type types[SCHEMA_TYPES_MAX];
    if (schema->made) return NECPNET_ERR_INVALID_STATE;
    for (int i = 0; i < schema->type_count; i++) {
        const schema_type* from = schema->types[i];
        uint32_t bytes = (from->bytes + from->align - 1) / from->align * from->align;
        necpnet_entity_type type = {from->name, from->id, bytes, from->fields, from->field_count};
        types[i] = type;
    }
    return schema_make(schema, types, schema->type_count);
}

static size_t schema_write(char* to, size_t bytes_max, const necpnet_schema* schema)
{
    size_t at = 0;
    const necpnet_entity_type* type;
#define SCHEMA_PUT(...) at += (size_t)snprintf(to ? to + at : NULL, to ? bytes_max - at : 0, __VA_ARGS__)
    SCHEMA_PUT("[");
    for (int i = 0; (type = necpnet_schema_get_type(schema, i)) != NULL; i++) {
        SCHEMA_PUT("%s{\"name\":\"%s\",\"id\":%u,\"bytes\":%u,\"fields\":[", i ? "," : "", type->name,
                   (unsigned)type->id, (unsigned)type->struct_bytes);
        for (int k = 0; k < type->field_count; k++) {
            const necpnet_field* field = &type->fields[k];
            SCHEMA_PUT(
                "%s{\"name\":\"%s\",\"id\":%u,\"kind\":%u,\"storageBytes\":%u,\"offset\":%u,\"count\":%u,\"flags\":%u",
                k ? "," : "", field->name, (unsigned)field->id, (unsigned)field->kind, (unsigned)field->storage_bytes,
                (unsigned)field->offset, (unsigned)field->count, (unsigned)field->flags);
            SCHEMA_PUT(",\"lengthOffset\":%u,\"lengthBytes\":%u}", (unsigned)field->length_offset,
                       (unsigned)field->length_bytes);
        }
        SCHEMA_PUT("]}");
    }
    SCHEMA_PUT("]");
#undef SCHEMA_PUT
    return at + 1;
}

WASM_EXPORT const char* wasm_schema_describe(wasm_schema* schema)
{
    if (!schema->made) return "[]";
    size_t bytes = schema_write(NULL, 0, schema->made);
    free(schema->description);
    schema->description = malloc(bytes);
    if (!schema->description) return "[]";
    schema_write(schema->description, bytes, schema->made);
    return schema->description;
}

WASM_EXPORT void wasm_schema_destroy(wasm_schema* schema)
{
    if (!schema) return;
    necpnet_schema_destroy(schema->made);
    for (int i = 0; i < schema->type_count; i++) free(schema->types[i]);
    free(schema->description);
    free(schema);
}

const necpnet_schema* wasm_schema_get(const wasm_schema* schema)
{
    return schema ? schema->made : NULL;
}
