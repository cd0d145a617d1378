/* nn_save - a world as bytes, and back.
 *
 *   "NNWS", version 3 (1), tick (4), length (varint) and description of the schema (nn_schema_describe), number of entities (varint);
 *   then each entity by rising slot: slots skipped (varint), generation (2), scope (1: 1 the world's object of its type), type id
 *   (varint), the words of its row (varints); number of variables of the world (varint), then each as on the wire, in the order
 *   of their changes; SipHash-2-4 of all before (8, key 0). What is of sessions is not in it.
 *
 * Versions 1 and 2 have the schema's hash (8) in front of the tick in place of its description, and no variables; 1 has no scopes.
 * They are read where the schema is the same, version 3 by the rules of versions: what both know.
 */
#include "nn_bytes.h"
#include "nn_hash.h"
#include "nn_log.h"
#include "nn_quantise.h"
#include "nn_schema_map.h"
#include "nn_world.h"

#define SAVE_VERSION 3
#define SAVE_HEAD_BYTES 9 /* to the tick */
#define SAVE_HASH_BYTES 8

static const uint8_t save_magic[4] = {'N', 'N', 'W', 'S'};
static const uint8_t save_key[NN_SIPHASH_KEY_BYTES] = {0};

/* The bytes of one entity's record; writes them when there is a writer. */
static size_t save_entity(nn_writer* writer, const necpnet_world* world, uint32_t place, uint32_t former)
{
    const nn_world_slot* slot = &world->slots[place];
    const uint32_t* row = nn_world_row(world, slot, slot->version);
    uint32_t words = world->schema->plans[slot->type].row_words;
    uint16_t type_id = world->schema->types[slot->type].id;
    size_t bytes = nn_varint_bytes(place - former - 1) + 3 + nn_varint_bytes(type_id);
    for (uint32_t i = 0; i < words; i++) bytes += nn_varint_bytes(row[i]);
    if (!writer) return bytes;
    nn_write_varint(writer, place - former - 1);
    nn_write_u16(writer, slot->generation);
    nn_write_u8(writer, slot->scope);
    nn_write_varint(writer, type_id);
    for (uint32_t i = 0; i < words; i++) nn_write_varint(writer, row[i]);
    return bytes;
}

/* All entities that a commit has seen. */
static size_t save_entities(nn_writer* writer, const necpnet_world* world, uint32_t* out_count)
{
    size_t bytes = 0;
    uint32_t former = 0;
    *out_count = 0;
    for (uint32_t place = 1; place <= world->slot_count; place++) {
        const nn_world_slot* slot = &world->slots[place];
        if (!(slot->flags & NN_SLOT_ALIVE) || slot->versions == 0 || slot->scope == NN_SCOPE_SESSION) continue;
        bytes += save_entity(writer, world, place, former);
        former = place;
        (*out_count)++;
    }
    return bytes;
}

/* Those of the world that are set. */
static size_t save_variables(nn_writer* writer, const necpnet_world* world, uint32_t* out_count)
{
    size_t bytes = 0;
    *out_count = 0;
    for (const nn_variable* at = nn_variables_after(&world->variables, 0); at; at = at->newer) {
        uint8_t record[NN_VARIABLE_RECORD_BYTES_MAX];
        nn_writer own = nn_writer_of(record, sizeof record);
        if (at->type == NECPNET_VALUE_NONE) continue;
        nn_variable_write(at, &own);
        bytes += nn_writer_bytes(&own);
        if (writer) nn_write_bytes(writer, record, nn_writer_bytes(&own));
        (*out_count)++;
    }
    return bytes;
}

necpnet_result necpnet_world_save(const necpnet_world* world, void* data, size_t bytes, size_t* out_bytes)
{
    if (!world || !out_bytes || (bytes && !data)) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t entities;
    uint32_t variables;
    size_t described = nn_schema_described_bytes(world->schema);
    size_t needed = SAVE_HEAD_BYTES + nn_varint_bytes(described) + described + SAVE_HASH_BYTES;
    needed += save_entities(NULL, world, &entities) + save_variables(NULL, world, &variables);
    needed += nn_varint_bytes(entities) + nn_varint_bytes(variables);
    *out_bytes = needed;
    if (bytes < needed) return NECPNET_ERR_BUFFER_TOO_SMALL;
    nn_writer writer = nn_writer_of(data, needed);
    nn_write_bytes(&writer, save_magic, sizeof save_magic);
    nn_write_u8(&writer, SAVE_VERSION);
    nn_write_u32(&writer, world->tick);
    nn_write_varint(&writer, described);
    nn_schema_describe(world->schema, &writer);
    nn_write_varint(&writer, entities);
    save_entities(&writer, world, &entities);
    nn_write_varint(&writer, variables);
    save_variables(&writer, world, &variables);
    nn_write_u64(&writer, nn_siphash64(save_key, data, needed - SAVE_HASH_BYTES));
    NN_ASSERT(!writer.failed && nn_writer_left(&writer) == 0);
    return NECPNET_OK;
}

/* ---- back */

static bool load_component(const nn_field_plan* field, const uint32_t* words, unsigned component)
{
    uint64_t value = words[component * (field->wide ? 2u : 1u)];
    if (field->wide) value |= (uint64_t)words[component * 2 + 1] << 32;
    return value <= field->range;
}

/* A field that is no text and no array, or one value of an array. */
static bool load_value_holds(const nn_field_plan* field, const uint32_t* words)
{
    if (field->kind == NECPNET_FIELD_QUAT) {
        return words[0] <= 3 && words[1] <= field->range && words[2] <= field->range && words[3] <= field->range;
    }
    for (unsigned c = 0; c < field->components; c++) {
        if (!load_component(field, words, c)) return false;
    }
    return true;
}

static bool load_items_hold(const nn_field_plan* field, const uint32_t* words)
{
    const nn_field_plan* element = field->element;
    uint32_t count = field->field->count;
    if (field->has_length) count = *words++;
    if (field->has_length && count > nn_field_length_max(field->field)) return false;
    for (uint32_t i = 0; element && i < count; i++) {
        if (!load_value_holds(element, words + i * element->words)) return false;
    }
    return true;
}

/* Whether a row of words could have come from a struct. */
static bool load_row_holds(const nn_type_plan* plan, const uint32_t* row)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        const uint32_t* words = row + field->word;
        bool holds =
            field->kind >= NECPNET_FIELD_STRING ? load_items_hold(field, words) : load_value_holds(field, words);
        if (!holds) return false;
    }
    return true;
}

static necpnet_result load_refuse(const necpnet_world* world, const char* why)
{
    nn_log_write(&world->logger, NECPNET_LOG_ERROR, "saved world: %s", why);
    return NECPNET_ERR_BAD_DATA;
}

/* What is being loaded. */
typedef struct load_state {
    necpnet_world* world;
    nn_reader reader;
    unsigned version;
    const necpnet_schema* schema; /* by which rows were written: the world's, or a map of another onto its structs */
    necpnet_schema* map;          /* NULL: the world's */
    uint32_t former;              /* slot */
    uint32_t dropped;             /* entities of types that are no more */
} load_state;

static necpnet_result load_spawn(load_state* load, int type, uint32_t place, uint16_t generation, unsigned scope,
                                 const uint32_t* row)
{
    uint64_t state[NN_STRUCT_BYTES_MAX / sizeof(uint64_t)];
    const nn_type_plan* plan = &load->schema->plans[type];
    int own = load->map ? plan->own : type;
    if (own < 0) {
        load->dropped++;
        return NECPNET_OK;
    }
    memset(state, 0, load->world->schema->types[own].struct_bytes); /* what was not known then */
    nn_dequantise(plan, row, state);
    necpnet_entity entity = nn_entity_of(generation, (uint16_t)place);
    necpnet_result result = nn_world_spawn_at(load->world, entity, own, state);
    if (result || scope == NN_SCOPE_NORMAL) return result;
    result = nn_world_adopt_object(load->world, entity);
    return result == NECPNET_ERR_BAD_DATA ? load_refuse(load->world, "a type has two objects of the world") : result;
}

static necpnet_result load_entity(load_state* load)
{
    uint32_t row[NN_ROW_WORDS_MAX];
    const necpnet_world* world = load->world;
    nn_reader* reader = &load->reader;
    uint64_t place = nn_read_varint(reader);
    uint16_t generation = nn_read_u16(reader);
    unsigned scope = load->version >= 2 ? nn_read_u8(reader) : (unsigned)NN_SCOPE_NORMAL;
    uint64_t type_id = nn_read_varint(reader);
    if (reader->failed || place > NN_WORLD_SLOTS_MAX) return load_refuse(world, "an entity's head does not decode");
    place += load->former + 1;
    int type = type_id <= UINT16_MAX ? nn_schema_index(load->schema, (uint16_t)type_id) : -1;
    if (place > NN_WORLD_SLOTS_MAX || generation == 0 || type < 0 || scope > NN_SCOPE_WORLD) {
        return load_refuse(world, "an entity has a number or type that cannot be");
    }
    const nn_type_plan* plan = &load->schema->plans[type];
    for (uint32_t i = 0; i < plan->row_words; i++) {
        uint64_t word = nn_read_varint(reader);
        if (word > UINT32_MAX) return load_refuse(world, "a value is out of its field's range");
        row[i] = (uint32_t)word;
    }
    if (reader->failed) return load_refuse(world, "it ends within an entity");
    if (!load_row_holds(plan, row)) return load_refuse(world, "a value is out of its field's range");
    load->former = (uint32_t)place;
    return load_spawn(load, type, (uint32_t)place, generation, scope, row);
}

static necpnet_result load_entities(load_state* load)
{
    uint64_t count = nn_read_varint(&load->reader);
    for (uint64_t i = 0; i < count; i++) {
        necpnet_result result = load_entity(load);
        if (result) return result;
    }
    if (load->dropped) {
        nn_log_write(&load->world->logger, NECPNET_LOG_WARNING,
                     "saved world: %u entities are of types that the schema no longer has", (unsigned)load->dropped);
    }
    return NECPNET_OK;
}

static necpnet_result load_variables(load_state* load)
{
    uint64_t count = load->version >= 3 ? nn_read_varint(&load->reader) : 0;
    for (uint64_t i = 0; i < count; i++) {
        const char* key;
        size_t key_bytes;
        necpnet_value value;
        if (!nn_variable_read(&load->reader, &key, &key_bytes, &value) || value.type == NECPNET_VALUE_NONE) {
            return load_refuse(load->world, "a variable does not decode");
        }
        necpnet_result result = nn_variables_set(&load->world->variables, key, key_bytes, &value);
        if (result) return result;
    }
    return NECPNET_OK;
}

/* Its schema, as the world's structs read it. */
static necpnet_result load_schema(load_state* load)
{
    char text[NN_SCHEMA_DIFFERENCE_BYTES_MAX];
    necpnet_schema* writer = NULL;
    necpnet_world* world = load->world;
    uint64_t bytes = nn_read_varint(&load->reader);
    if (load->reader.failed || bytes > nn_reader_left(&load->reader))
        return load_refuse(world, "its schema does not decode");
    nn_reader described = nn_reader_of(nn_read_view(&load->reader, (size_t)bytes), (size_t)bytes);
    necpnet_result result = nn_schema_read(&world->alloc.allocator, &world->logger, &described, &writer);
    if (result == NECPNET_ERR_OUT_OF_MEMORY) return result;
    if (result) return load_refuse(world, "its schema does not decode");
    if (writer->hash != world->schema->hash) {
        if (nn_schema_differs(world->schema, writer, text)) {
            nn_log_write(&world->logger, NECPNET_LOG_ERROR, "saved world: %s", text);
            result = NECPNET_ERR_SCHEMA_DIFFERS;
        } else {
            result = nn_schema_map(&world->alloc.allocator, world->schema, writer, &load->map);
        }
        load->schema = load->map;
    }
    necpnet_schema_destroy(writer);
    return result;
}

static void load_undo(necpnet_world* world)
{
    necpnet_entity entity;
    while ((entity = necpnet_world_next(world, NECPNET_ENTITY_NONE)) != NECPNET_ENTITY_NONE) {
        necpnet_world_despawn(world, entity);
    }
}

necpnet_result necpnet_world_load(necpnet_world* world, const void* data, size_t bytes)
{
    if (!world || !data) return NECPNET_ERR_INVALID_ARGUMENT;
    if (world->slot_count || world->is_rewound) return NECPNET_ERR_INVALID_STATE;
    if (bytes < SAVE_HEAD_BYTES + 1 + SAVE_HASH_BYTES || memcmp(data, save_magic, sizeof save_magic)) {
        return load_refuse(world, "these bytes are none");
    }
    load_state load;
    memset(&load, 0, sizeof load);
    load.world = world;
    load.schema = world->schema;
    load.reader = nn_reader_of((const uint8_t*)data + sizeof save_magic, bytes - sizeof save_magic - SAVE_HASH_BYTES);
    load.version = nn_read_u8(&load.reader);
    if (load.version < 1 || load.version > SAVE_VERSION) return load_refuse(world, "it is of another version");
    uint64_t hash = nn_load_u64((const uint8_t*)data + bytes - SAVE_HASH_BYTES);
    if (hash != nn_siphash64(save_key, data, bytes - SAVE_HASH_BYTES))
        return load_refuse(world, "it is damaged or cut");
    if (load.version < 3 && nn_read_u64(&load.reader) != world->schema->hash) return NECPNET_ERR_SCHEMA_DIFFERS;
    nn_read_u32(&load.reader); /* the tick: for people */
    necpnet_result result = load.version >= 3 ? load_schema(&load) : NECPNET_OK;
    if (result == NECPNET_OK) result = load_entities(&load);
    if (result == NECPNET_OK) result = load_variables(&load);
    if (result == NECPNET_OK && (load.reader.failed || nn_reader_left(&load.reader))) {
        result = load_refuse(world, "there is more in it than its entities and variables");
    }
    necpnet_schema_destroy(load.map);
    if (result) load_undo(world);
    return result;
}
