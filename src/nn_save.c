/* nn_save - a world as bytes, and back.
 *
 *   "NNWS", version (1), schema hash (8), tick (4), number of entities (varint); then each entity by rising slot: slots
 *   skipped (varint), generation (2), scope (1: 1 the world's object of its type), type id (varint), the words of its row
 *   (varints); SipHash-2-4 of all before (8, key 0). Objects of sessions are not in it.
 */
#include "nn_bytes.h"
#include "nn_hash.h"
#include "nn_log.h"
#include "nn_quantise.h"
#include "nn_world.h"

#define SAVE_VERSION 2
#define SAVE_HEAD_BYTES 17
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

necpnet_result necpnet_world_save(const necpnet_world* world, void* data, size_t bytes, size_t* out_bytes)
{
    if (!world || !out_bytes || (bytes && !data)) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t count;
    size_t needed = save_entities(NULL, world, &count);
    needed += SAVE_HEAD_BYTES + nn_varint_bytes(count) + SAVE_HASH_BYTES;
    *out_bytes = needed;
    if (bytes < needed) return NECPNET_ERR_BUFFER_TOO_SMALL;
    nn_writer writer = nn_writer_of(data, needed);
    nn_write_bytes(&writer, save_magic, sizeof save_magic);
    nn_write_u8(&writer, SAVE_VERSION);
    nn_write_u64(&writer, world->schema->hash);
    nn_write_u32(&writer, world->tick);
    nn_write_varint(&writer, count);
    save_entities(&writer, world, &count);
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

static necpnet_result load_entity(necpnet_world* world, nn_reader* reader, uint32_t* former)
{
    uint64_t state[NN_STRUCT_BYTES_MAX / sizeof(uint64_t)];
    uint64_t place = nn_read_varint(reader);
    uint16_t generation = nn_read_u16(reader);
    unsigned scope = nn_read_u8(reader);
    uint64_t type_id = nn_read_varint(reader);
    if (reader->failed || place > NN_WORLD_SLOTS_MAX) return load_refuse(world, "an entity's head does not decode");
    place += *former + 1;
    int type = type_id <= UINT16_MAX ? nn_schema_index(world->schema, (uint16_t)type_id) : -1;
    if (place > NN_WORLD_SLOTS_MAX || generation == 0 || type < 0 || scope > NN_SCOPE_WORLD) {
        return load_refuse(world, "an entity has a number or type that cannot be");
    }
    const nn_type_plan* plan = &world->schema->plans[type];
    for (uint32_t i = 0; i < plan->row_words; i++) {
        uint64_t word = nn_read_varint(reader);
        if (word > UINT32_MAX) return load_refuse(world, "a value is out of its field's range");
        world->scratch_row[i] = (uint32_t)word;
    }
    if (reader->failed) return load_refuse(world, "it ends within an entity");
    if (!load_row_holds(plan, world->scratch_row)) return load_refuse(world, "a value is out of its field's range");
    nn_dequantise(plan, world->scratch_row, state);
    *former = (uint32_t)place;
    necpnet_entity entity = nn_entity_of(generation, (uint16_t)place);
    necpnet_result result = nn_world_spawn_at(world, entity, type, state);
    if (result || scope == NN_SCOPE_NORMAL) return result;
    result = nn_world_adopt_object(world, entity);
    return result == NECPNET_ERR_BAD_DATA ? load_refuse(world, "a type has two objects of the world") : result;
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
    nn_reader reader = nn_reader_of((const uint8_t*)data + sizeof save_magic, bytes - sizeof save_magic);
    if (nn_read_u8(&reader) != SAVE_VERSION) return load_refuse(world, "it is of another version");
    uint64_t hash = nn_load_u64((const uint8_t*)data + bytes - SAVE_HASH_BYTES);
    if (hash != nn_siphash64(save_key, data, bytes - SAVE_HASH_BYTES))
        return load_refuse(world, "it is damaged or cut");
    if (nn_read_u64(&reader) != world->schema->hash) return NECPNET_ERR_SCHEMA_DIFFERS;
    nn_read_u32(&reader); /* the tick: for people */
    uint64_t count = nn_read_varint(&reader);
    uint32_t former = 0;
    necpnet_result result = NECPNET_OK;
    for (uint64_t i = 0; i < count && result == NECPNET_OK; i++) result = load_entity(world, &reader, &former);
    if (result == NECPNET_OK && nn_reader_left(&reader) != SAVE_HASH_BYTES) {
        result = load_refuse(world, "there is more in it than its entities");
    }
    if (result) load_undo(world);
    return result;
}
