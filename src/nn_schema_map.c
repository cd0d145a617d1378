/* nn_schema_map - description, comparison and map of schemas. */
#include "nn_schema_map.h"

#include "nn_log.h"

#include <stdio.h>

#define SCHEMA_FORMAT 2 /* first byte of a description */
#define SCHEMA_FLAGS_WIRE \
    (NECPNET_FIELD_OWNER_ONLY | NECPNET_FIELD_NOT_OWNER | NECPNET_FIELD_REQUIRED | NECPNET_FIELD_SLOW | \
     NECPNET_FIELD_ARRAY | NECPNET_FIELD_BOUNDED | NECPNET_FIELD_SERVER)
#define SCHEMA_TYPE_HEAD_BYTES 4   /* of a type without its name: id, number of fields, length of the name */
#define SCHEMA_FIELD_HEAD_BYTES 31 /* of a field: id, kind, flags, count, length of the name, min, max, step */

/* ---- the wire form ------------------------------------------------------------------------------------------------ */

static void schema_write_name(nn_writer* writer, const char* name)
{
    size_t bytes = strlen(name);
    nn_write_u8(writer, (uint8_t)bytes);
    nn_write_bytes(writer, name, bytes);
}

static void schema_write_double(nn_writer* writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    nn_write_u64(writer, bits);
}

NN_PRIVATE void nn_schema_describe(const necpnet_schema* schema, nn_writer* writer)
{
    nn_write_u8(writer, SCHEMA_FORMAT);
    nn_write_u16(writer, (uint16_t)schema->type_count);
    for (int i = 0; i < schema->type_count; i++) {
        const necpnet_entity_type* type = &schema->types[i];
        nn_write_u16(writer, type->id);
        nn_write_u8(writer, (uint8_t)type->field_count);
        schema_write_name(writer, type->name);
        for (int j = 0; j < type->field_count; j++) {
            const necpnet_field* field = &type->fields[j];
            nn_write_u16(writer, field->id);
            nn_write_u8(writer, field->kind);
            nn_write_u16(writer, (uint16_t)(field->flags & SCHEMA_FLAGS_WIRE));
            nn_write_u8(writer, (uint8_t)field->count);
            schema_write_name(writer, field->name);
            schema_write_double(writer, field->min);
            schema_write_double(writer, field->max);
            schema_write_double(writer, field->step);
        }
    }
}

NN_PRIVATE size_t nn_schema_described_bytes(const necpnet_schema* schema)
{
    size_t bytes = 3;
    for (int i = 0; i < schema->type_count; i++) {
        const necpnet_entity_type* type = &schema->types[i];
        bytes += SCHEMA_TYPE_HEAD_BYTES + strlen(type->name);
        for (int j = 0; j < type->field_count; j++) bytes += SCHEMA_FIELD_HEAD_BYTES + strlen(type->fields[j].name);
    }
    return bytes;
}

/* A schema on its way: one block for all. */
typedef struct schema_draft {
    necpnet_entity_type types[NECPNET_ENTITY_TYPES_MAX];
    char (*names)[NECPNET_NAME_BYTES_MAX + 1]; /* of types and fields, in the order of the wire */
    necpnet_field* fields;
    size_t name_count;
    size_t field_count;
    size_t field_capacity;
} schema_draft;

static const char* schema_read_name(nn_reader* reader, schema_draft* draft)
{
    char* name = draft->names[draft->name_count++];
    size_t bytes = nn_read_u8(reader);
    if (bytes > NECPNET_NAME_BYTES_MAX) {
        reader->failed = true;
        bytes = 0;
    }
    nn_read_copy(reader, name, bytes);
    name[bytes] = 0;
    return name;
}

static double schema_read_double(nn_reader* reader)
{
    uint64_t bits = nn_read_u64(reader);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint8_t schema_storage_bytes(const necpnet_field* field)
{
    switch (field->kind) {
    case NECPNET_FIELD_BOOL: return (uint8_t)sizeof(bool);
    case NECPNET_FIELD_INTEGER:
    case NECPNET_FIELD_ENUM: return nn_schema_integer_bytes(field->min, field->max);
    case NECPNET_FIELD_STRING:
    case NECPNET_FIELD_BYTES: return 1;
    default: return 4;
    }
}

static void schema_read_field(nn_reader* reader, schema_draft* draft, uint32_t* end)
{
    necpnet_field* field = &draft->fields[draft->field_count++];
    field->id = nn_read_u16(reader);
    field->kind = nn_read_u8(reader);
    field->flags = nn_read_u16(reader) & SCHEMA_FLAGS_WIRE;
    field->count = nn_read_u8(reader);
    field->name = schema_read_name(reader, draft);
    field->min = schema_read_double(reader);
    field->max = schema_read_double(reader);
    field->step = schema_read_double(reader);
    bool is_integer = field->kind == NECPNET_FIELD_INTEGER || field->kind == NECPNET_FIELD_ENUM;
    if (is_integer && field->min < 0) field->flags |= NECPNET_FIELD_SIGNED;
    bool is_number =
        field->kind == NECPNET_FIELD_FLOAT || field->kind == NECPNET_FIELD_VEC2 || field->kind == NECPNET_FIELD_VEC3;
    field->storage_bytes = schema_storage_bytes(field);
    if (is_number && (field->max > 1e38 || field->min < -1e38)) field->storage_bytes = 8;
    field->offset = nn_schema_align(*end, field->storage_bytes);
    if (field->flags & NECPNET_FIELD_BOUNDED) {
        field->length_offset = field->offset + nn_field_bytes(field);
        field->length_bytes = 1;
    }
    *end = nn_field_end(field);
}

static bool schema_read_draft(nn_reader* reader, schema_draft* draft, int type_count)
{
    for (int i = 0; i < type_count && !reader->failed; i++) {
        necpnet_entity_type* type = &draft->types[i];
        uint32_t end = 0;
        type->id = nn_read_u16(reader);
        type->field_count = nn_read_u8(reader);
        type->name = schema_read_name(reader, draft);
        type->fields = draft->fields + draft->field_count;
        if (reader->failed || (size_t)type->field_count > draft->field_capacity - draft->field_count) return false;
        for (int j = 0; j < type->field_count; j++) schema_read_field(reader, draft, &end);
        type->struct_bytes = nn_schema_align(end, 8);
    }
    return !reader->failed && nn_reader_left(reader) == 0;
}

NN_PRIVATE necpnet_result nn_schema_read(const necpnet_allocator* allocator, const necpnet_logger* logger,
                                         nn_reader* reader, necpnet_schema** out_schema)
{
    nn_alloc alloc;
    nn_alloc_init(&alloc, allocator);
    if (nn_read_u8(reader) != SCHEMA_FORMAT) return NECPNET_ERR_PROTOCOL;
    int type_count = nn_read_u16(reader);
    if (reader->failed || type_count < 1 || type_count > NECPNET_ENTITY_TYPES_MAX) return NECPNET_ERR_PROTOCOL;
    size_t fields_max = nn_reader_left(reader) / SCHEMA_FIELD_HEAD_BYTES + 1; /* as many as may have come */
    size_t names_max = fields_max + (size_t)type_count;
    schema_draft* draft = (schema_draft*)nn_alloc_take(&alloc, sizeof *draft);
    necpnet_field* fields = (necpnet_field*)nn_alloc_take(&alloc, fields_max * sizeof(necpnet_field));
    void* names = nn_alloc_take(&alloc, names_max * sizeof(draft->names[0]));
    necpnet_result result = NECPNET_ERR_OUT_OF_MEMORY;
    if (draft && fields && names) {
        draft->fields = fields;
        draft->field_capacity = fields_max;
        draft->names = (char(*)[NECPNET_NAME_BYTES_MAX + 1]) names;
        result = schema_read_draft(reader, draft, type_count)
                     ? necpnet_schema_create(allocator, logger, draft->types, type_count, out_schema)
                     : NECPNET_ERR_PROTOCOL;
    }
    nn_alloc_give(&alloc, names, names_max * sizeof(draft->names[0]));
    nn_alloc_give(&alloc, fields, fields_max * sizeof(necpnet_field));
    nn_alloc_give(&alloc, draft, sizeof *draft);
    return result;
}

/* ---- comparison --------------------------------------------------------------------------------------------------- */

static const necpnet_field* schema_find_field(const necpnet_entity_type* type, uint16_t id)
{
    for (int i = 0; type && i < type->field_count; i++) {
        if (type->fields[i].id == id) return &type->fields[i];
    }
    return NULL;
}

static bool schema_say(char* text, const necpnet_entity_type* type, const necpnet_field* field, const char* problem)
{
    (void)snprintf(text, NN_SCHEMA_DIFFERENCE_BYTES_MAX, "type %s (%u), field %s (%u): required, %s", type->name,
                   (unsigned)type->id, field->name, (unsigned)field->id, problem);
    return true;
}

/* Whether one can be read as the other. */
static bool schema_field_like(const necpnet_field* a, const necpnet_field* b)
{
    return a->kind == b->kind && nn_field_form(a) == nn_field_form(b);
}

static const char* schema_form_name(const necpnet_field* field)
{
    if (field->flags & NECPNET_FIELD_BOUNDED) return " list";
    return field->flags & NECPNET_FIELD_ARRAY ? " array" : "";
}

/* One field that one side requires, against the other's of that id. */
static bool schema_field_differs(const necpnet_entity_type* type, const necpnet_field* reads,
                                 const necpnet_field* writes, char* text)
{
    uint32_t flags = (reads ? reads->flags : 0) | (writes ? writes->flags : 0);
    if (!(flags & NECPNET_FIELD_REQUIRED)) return false;
    if (!writes) return schema_say(text, type, reads, "and the writer does not have it");
    if (!reads) return schema_say(text, type, writes, "and the reader does not have it");
    if (schema_field_like(reads, writes)) return false;
    char kinds[80];
    (void)snprintf(kinds, sizeof kinds, "and of kind %s%s at the reader, %s%s at the writer",
                   nn_schema_kind_name(reads->kind), schema_form_name(reads), nn_schema_kind_name(writes->kind),
                   schema_form_name(writes));
    return schema_say(text, type, reads, kinds);
}

NN_PRIVATE bool nn_schema_differs(const necpnet_schema* reader, const necpnet_schema* writer,
                                  char text[NN_SCHEMA_DIFFERENCE_BYTES_MAX])
{
    text[0] = 0;
    for (int i = 0; i < reader->type_count; i++) {
        const necpnet_entity_type* reads = &reader->types[i];
        const necpnet_entity_type* writes = necpnet_schema_find_type(writer, reads->id);
        for (int j = 0; j < reads->field_count; j++) {
            const necpnet_field* field = &reads->fields[j];
            if (schema_field_differs(reads, field, schema_find_field(writes, field->id), text)) return true;
        }
        for (int j = 0; writes && j < writes->field_count; j++) {
            const necpnet_field* field = &writes->fields[j];
            if (schema_find_field(reads, field->id)) continue; /* looked at above */
            if (schema_field_differs(writes, NULL, field, text)) return true;
        }
    }
    return false;
}

necpnet_result necpnet_schema_compare(const necpnet_schema* reader, const necpnet_schema* writer, char* text,
                                      size_t text_bytes)
{
    char difference[NN_SCHEMA_DIFFERENCE_BYTES_MAX];
    if (!reader || !writer || (!text && text_bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    bool differs = nn_schema_differs(reader, writer, difference);
    if (text_bytes) {
        size_t bytes = nn_min_size(strlen(difference), text_bytes - 1);
        memcpy(text, difference, bytes);
        text[bytes] = 0;
    }
    return differs ? NECPNET_ERR_SCHEMA_DIFFERS : NECPNET_OK;
}

/* ---- the map ------------------------------------------------------------------------------------------------------ */

/* The writer's field where the reader has it; false: hidden. */
static bool schema_map_field(const necpnet_entity_type* reads, necpnet_field* field)
{
    const necpnet_field* own = schema_find_field(reads, field->id);
    if (!own || !schema_field_like(own, field)) return false;
    uint32_t ours = NECPNET_FIELD_SIGNED | NECPNET_FIELD_INTERPOLATE;
    field->flags = (field->flags & ~ours) | (own->flags & ours);
    field->offset = own->offset;
    field->storage_bytes = own->storage_bytes;
    field->length_offset = own->length_offset;
    field->length_bytes = own->length_bytes;
    field->name = own->name;
    return true;
}

/* After the map is built: which fields are hidden, and how large the reader's texts are. */
static void schema_map_plan(nn_type_plan* plan, const necpnet_entity_type* reads, int own)
{
    nn_field_plan* fields = (nn_field_plan*)(uintptr_t)(const void*)plan->fields; /* the map's own block */
    plan->own = (int16_t)own;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const necpnet_field* field = schema_find_field(reads, fields[i].field->id);
        if (!reads) continue; /* a type of the writer alone: nobody looks at its structs */
        fields[i].hidden = !field || !schema_field_like(field, fields[i].field);
        if (!fields[i].hidden) fields[i].room = (uint8_t)field->count;
    }
}

NN_PRIVATE necpnet_result nn_schema_map(const necpnet_allocator* allocator, const necpnet_schema* reader,
                                        const necpnet_schema* writer, necpnet_schema** out_map)
{
    nn_alloc alloc;
    nn_alloc_init(&alloc, allocator);
    size_t field_count = 0;
    for (int i = 0; i < writer->type_count; i++) field_count += (size_t)writer->types[i].field_count;
    size_t types_bytes = (size_t)writer->type_count * sizeof(necpnet_entity_type);
    necpnet_entity_type* types = (necpnet_entity_type*)nn_alloc_take(&alloc, types_bytes);
    necpnet_field* fields = (necpnet_field*)nn_alloc_take(&alloc, field_count * sizeof(necpnet_field));
    necpnet_result result = types && fields ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_field* at = fields;
    for (int i = 0; i < writer->type_count && !result; i++) {
        const necpnet_entity_type* reads = necpnet_schema_find_type(reader, writer->types[i].id);
        types[i] = writer->types[i];
        types[i].fields = at;
        if (reads) {
            types[i].struct_bytes = reads->struct_bytes;
            types[i].name = reads->name;
        }
        for (int j = 0; j < writer->types[i].field_count; j++, at++) {
            *at = writer->types[i].fields[j];
            if (reads && !schema_map_field(reads, at)) at->flags &= ~NECPNET_FIELD_INTERPOLATE;
        }
    }
    if (!result) result = nn_schema_make(allocator, types, writer->type_count, out_map);
    nn_alloc_give(&alloc, fields, field_count * sizeof(necpnet_field));
    nn_alloc_give(&alloc, types, types_bytes);
    if (result) return result;
    for (int i = 0; i < (*out_map)->type_count; i++) {
        nn_type_plan* plan = &(*out_map)->plans[i];
        int own = nn_schema_index(reader, plan->type->id);
        schema_map_plan(plan, own < 0 ? NULL : &reader->types[own], own);
    }
    (*out_map)->hash = writer->hash;
    return NECPNET_OK;
}
