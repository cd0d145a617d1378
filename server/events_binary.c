/* events_binary - events as Protocol Buffers write them (https://protobuf.dev/programming-guides/encoding/), by their JSON Schema. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "json.h"
#include "schema.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* Of an envelope. */
enum {
    FIELD_TOPIC = 1,
    FIELD_EPOCH = 2,
    FIELD_OFFSET = 3,
    FIELD_KIND = 4,
    FIELD_VERSION = 5,
    FIELD_TIME_MS = 6,
    FIELD_FROM = 7,
    FIELD_DATA = 8
};

#define BINARY_DEPTH_MAX 8

static const cJSON* binary_get(const cJSON* object, const char* key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* ------------------------------------------------------------------------------------------------------ writing -- */

static void binary_put_varint(text* out, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    while (value >= 0x80u) {
        bytes[count++] = (uint8_t)(value | 0x80u);
        value >>= 7;
    }
    bytes[count++] = (uint8_t)value;
    text_put_bytes(out, bytes, count);
}

static void binary_put_key(text* out, uint32_t field, unsigned wire)
{
    binary_put_varint(out, (uint64_t)field << 3 | wire);
}

static void binary_put_bytes(text* out, uint32_t field, const void* data, size_t bytes)
{
    binary_put_key(out, field, WIRE_BYTES);
    binary_put_varint(out, bytes);
    text_put_bytes(out, data, bytes);
}

static void binary_put_number(text* out, uint32_t field, uint64_t value)
{
    if (value == 0) return;
    binary_put_key(out, field, WIRE_VARINT);
    binary_put_varint(out, value);
}

static void binary_put_message(text* out, const cJSON* schema, const cJSON* value);

static void binary_put_object(text* out, uint32_t field, const cJSON* schema, const cJSON* value)
{
    if (!binary_get(schema, "properties")) {
        char* json = cJSON_PrintUnformatted(value);
        if (json) {
            binary_put_bytes(out, field, json, strlen(json));
        } else {
            out->failed = true;
        }
        cJSON_free(json);
        return;
    }
    text inside;
    text_begin_growing(&inside);
    binary_put_message(&inside, schema, value);
    if (inside.failed) out->failed = true;
    binary_put_bytes(out, field, inside.to, inside.failed ? 0 : inside.bytes);
    text_end(&inside);
}

static void binary_put_value(text* out, uint32_t field, const cJSON* schema, const cJSON* value)
{
    const cJSON* item;
    if (cJSON_IsArray(value)) {
        cJSON_ArrayForEach(item, value) binary_put_value(out, field, binary_get(schema, "items"), item);
    } else if (cJSON_IsObject(value)) {
        binary_put_object(out, field, schema, value);
    } else if (cJSON_IsString(value)) {
        binary_put_bytes(out, field, value->valuestring, strlen(value->valuestring));
    } else if (cJSON_IsBool(value)) {
        binary_put_key(out, field, WIRE_VARINT);
        binary_put_varint(out, cJSON_IsTrue(value) ? 1 : 0);
    } else if (strcmp(binary_get(schema, "type")->valuestring, "integer") == 0) {
        int64_t whole = (int64_t)value->valuedouble;
        binary_put_key(out, field, WIRE_VARINT);
        binary_put_varint(out, whole < 0 ? (uint64_t)(-whole) * 2 - 1 : (uint64_t)whole * 2);
    } else {
        uint8_t bytes[8];
        uint64_t bits;
        memcpy(&bits, &value->valuedouble, 8);
        for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(bits >> 8 * i);
        binary_put_key(out, field, WIRE_FIXED64);
        text_put_bytes(out, bytes, 8);
    }
}

static void binary_put_message(text* out, const cJSON* schema, const cJSON* value)
{
    const cJSON* property;
    cJSON_ArrayForEach(property, binary_get(schema, "properties"))
    {
        const cJSON* item = binary_get(value, property->string);
        if (item) binary_put_value(out, (uint32_t)binary_get(property, "x-id")->valuedouble, property, item);
    }
}

void events_put_binary(text* out, const events_event* event)
{
    text data;
    text_begin_growing(&data);
    binary_put_message(&data, event->kind->schema, event->data);
    binary_put_bytes(out, FIELD_TOPIC, event->topic, strlen(event->topic));
    binary_put_number(out, FIELD_EPOCH, event->epoch);
    binary_put_number(out, FIELD_OFFSET, event->offset);
    binary_put_number(out, FIELD_KIND, event->kind->id);
    binary_put_number(out, FIELD_VERSION, event->kind->version);
    binary_put_number(out, FIELD_TIME_MS, event->time_ms);
    if (event->from[0]) binary_put_bytes(out, FIELD_FROM, event->from, strlen(event->from));
    if (data.bytes) binary_put_bytes(out, FIELD_DATA, data.to, data.bytes);
    if (data.failed) out->failed = true;
    text_end(&data);
}

/* ------------------------------------------------------------------------------------------------------ reading -- */

typedef struct binary_reader {
    const uint8_t* at;
    const uint8_t* end;
} binary_reader;

/* One field: its number, and what it holds. */
typedef struct binary_field {
    uint32_t number;
    unsigned wire;
    uint64_t value;      /* VARINT, FIXED64 */
    const uint8_t* data; /* BYTES */
    size_t bytes;
} binary_field;

static bool binary_read_varint(binary_reader* reader, uint64_t* out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (reader->at == reader->end) return false;
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1) return false;
        *out |= (uint64_t)(byte & 0x7fu) << shift;
        if (!(byte & 0x80u)) return true;
    }
    return false;
}

static bool binary_read_field(binary_reader* reader, binary_field* out)
{
    uint64_t key;
    memset(out, 0, sizeof(*out));
    if (!binary_read_varint(reader, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffffu) return false;
    out->number = (uint32_t)(key >> 3);
    out->wire = (unsigned)(key & 7u);
    size_t left = (size_t)(reader->end - reader->at);
    size_t fixed = out->wire == WIRE_FIXED64 ? 8 : 4;
    switch (out->wire) {
    case WIRE_VARINT: return binary_read_varint(reader, &out->value);
    case WIRE_FIXED32:
    case WIRE_FIXED64:
        if (left < fixed) return false;
        for (size_t i = 0; i < fixed; i++) out->value |= (uint64_t)reader->at[i] << 8 * i;
        reader->at += fixed;
        return true;
    case WIRE_BYTES: {
        uint64_t bytes;
        if (!binary_read_varint(reader, &bytes) || bytes > (uint64_t)(reader->end - reader->at)) return false;
        out->data = reader->at;
        out->bytes = (size_t)bytes;
        reader->at += bytes;
        return true;
    }
    default: return false;
    }
}

static cJSON* binary_read_message(const cJSON* schema, const uint8_t* data, size_t bytes, int depth);

static cJSON* binary_read_string(const binary_field* field)
{
    if (field->wire != WIRE_BYTES || !text_is_utf8(field->data, field->bytes) || memchr(field->data, 0, field->bytes)) {
        return NULL;
    }
    char* copy = malloc(field->bytes + 1);
    if (!copy) return NULL;
    memcpy(copy, field->data, field->bytes);
    copy[field->bytes] = 0;
    cJSON* value = cJSON_CreateString(copy);
    free(copy);
    return value;
}

/* NULL: it is not of the schema's type, or memory is short. */
static cJSON* binary_read_value(const cJSON* schema, const binary_field* field, int depth)
{
    const char* type = binary_get(schema, "type")->valuestring;
    if (strcmp(type, "string") == 0) return binary_read_string(field);
    if (strcmp(type, "boolean") == 0) {
        return field->wire == WIRE_VARINT && field->value <= 1 ? cJSON_CreateBool(field->value == 1) : NULL;
    }
    if (strcmp(type, "integer") == 0) {
        if (field->wire != WIRE_VARINT || field->value >> 1 > (uint64_t)SCHEMA_INTEGER_MAX) return NULL;
        double magnitude = (double)(field->value >> 1);
        return cJSON_CreateNumber(field->value & 1u ? -magnitude - 1 : magnitude);
    }
    if (strcmp(type, "number") == 0) {
        double value;
        memcpy(&value, &field->value, 8);
        return field->wire == WIRE_FIXED64 && isfinite(value) ? cJSON_CreateNumber(value) : NULL;
    }
    if (field->wire != WIRE_BYTES) return NULL;
    if (binary_get(schema, "properties")) return binary_read_message(schema, field->data, field->bytes, depth + 1);
    cJSON* json =
        text_is_utf8(field->data, field->bytes) ? json_parse((const char*)field->data, field->bytes, NULL, 0) : NULL;
    if (json && cJSON_IsObject(json)) return json;
    cJSON_Delete(json);
    return NULL;
}

static const cJSON* binary_find_property(const cJSON* schema, uint32_t number)
{
    const cJSON* property;
    cJSON_ArrayForEach(property, binary_get(schema, "properties"))
    {
        if (binary_get(property, "x-id")->valuedouble == number) return property;
    }
    return NULL;
}

/* Adds a field to its object; one that stands twice replaces the first, as Protocol Buffers have it. */
static bool binary_take(cJSON* object, const cJSON* property, const binary_field* field, int depth)
{
    bool is_array = strcmp(binary_get(property, "type")->valuestring, "array") == 0;
    cJSON* value = binary_read_value(is_array ? binary_get(property, "items") : property, field, depth);
    cJSON* there = cJSON_GetObjectItemCaseSensitive(object, property->string);
    if (!value) return false;
    if (is_array) {
        if (!there) there = cJSON_AddArrayToObject(object, property->string);
        if (there && cJSON_AddItemToArray(there, value)) return true;
        cJSON_Delete(value);
        return false;
    }
    if (there) cJSON_DeleteItemFromObjectCaseSensitive(object, property->string);
    if (cJSON_AddItemToObject(object, property->string, value)) return true;
    cJSON_Delete(value);
    return false;
}

/* Unknown fields are those of a newer version: left out. An empty array has no bytes: it comes back where it is required. */
static cJSON* binary_read_message(const cJSON* schema, const uint8_t* data, size_t bytes, int depth)
{
    binary_reader reader = {data, data + bytes};
    cJSON* object = depth <= BINARY_DEPTH_MAX ? cJSON_CreateObject() : NULL;
    bool right = object != NULL;
    while (right && reader.at < reader.end) {
        binary_field field;
        right = binary_read_field(&reader, &field);
        const cJSON* property = right ? binary_find_property(schema, field.number) : NULL;
        if (property) right = binary_take(object, property, &field, depth);
    }
    const cJSON* name;
    cJSON_ArrayForEach(name, binary_get(schema, "required"))
    {
        const cJSON* property = binary_get(binary_get(schema, "properties"), name->valuestring);
        bool is_array = strcmp(binary_get(property, "type")->valuestring, "array") == 0;
        if (right && is_array && !binary_get(object, name->valuestring)) {
            right = cJSON_AddArrayToObject(object, name->valuestring) != NULL;
        }
    }
    if (right) return object;
    cJSON_Delete(object);
    return NULL;
}

static bool binary_copy_text(char* to, size_t room, const binary_field* field)
{
    if (field->wire != WIRE_BYTES || field->bytes >= room || !text_is_utf8(field->data, field->bytes) ||
        memchr(field->data, 0, field->bytes)) {
        return false;
    }
    memcpy(to, field->data, field->bytes);
    to[field->bytes] = 0;
    return true;
}

/* The envelope's fields; the data is found, not yet read. */
static bool binary_read_envelope(binary_reader* reader, events_read* out, uint64_t* kind, uint64_t* version,
                                 binary_field* data)
{
    while (reader->at < reader->end) {
        binary_field field;
        if (!binary_read_field(reader, &field)) return false;
        bool right =
            field.wire == (field.number == FIELD_TOPIC || field.number >= FIELD_FROM ? WIRE_BYTES : WIRE_VARINT);
        switch (field.number) {
        case FIELD_TOPIC: right = binary_copy_text(out->topic, sizeof(out->topic), &field); break;
        case FIELD_EPOCH: out->event.epoch = field.value; break;
        case FIELD_OFFSET: out->event.offset = field.value; break;
        case FIELD_KIND: *kind = field.value; break;
        case FIELD_VERSION: *version = field.value; break;
        case FIELD_TIME_MS: out->event.time_ms = field.value; break;
        case FIELD_FROM: right = binary_copy_text(out->from, sizeof(out->from), &field); break;
        case FIELD_DATA: *data = field; break;
        default: right = true; break; /* of a newer version */
        }
        if (!right) return false;
    }
    return true;
}

bool events_read_binary(const events* catalogue, const void* bytes, size_t count, events_read* out, char* error,
                        size_t error_bytes)
{
    binary_reader reader = {bytes, (const uint8_t*)bytes + count};
    binary_field data = {0};
    uint64_t kind = 0, version = 0;
    memset(out, 0, sizeof(*out));
    out->event.topic = out->topic;
    out->event.from = out->from;
    if (!binary_read_envelope(&reader, out, &kind, &version, &data)) {
        snprintf(error, error_bytes,
                 "this is no event: its bytes are no message of Protocol Buffers with the fields of one");
        return false;
    }
    if (kind <= UINT32_MAX && version <= UINT32_MAX) {
        out->event.kind = events_find_id(catalogue, (uint32_t)kind, (uint32_t)version);
    }
    if (!out->event.kind) {
        snprintf(error, error_bytes, "there is no event with number %llu and version %llu", (unsigned long long)kind,
                 (unsigned long long)version);
        return false;
    }
    out->data = binary_read_message(out->event.kind->schema, data.data, data.bytes, 0);
    out->event.data = out->data;
    if (!out->data) {
        snprintf(error, error_bytes, "the data of %s does not decode: a field has another type", out->event.kind->type);
        return false;
    }
    if (schema_validate(out->event.kind->schema, out->data, error, error_bytes)) return true;
    cJSON_Delete(out->data);
    out->data = NULL;
    out->event.data = NULL;
    return false;
}
