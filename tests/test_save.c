/* Save and load: a world of random types, states, spawns and despawns comes back entity for entity, row for row; and whatever
 * else is given to load is refused and leaves the world empty. */
#include "kit_state.h"
#include "nn_bytes.h"
#include "nn_hash.h"
#include "nn_world.h"
#include "test.h"

struct stage {
    nn_random random;
    kit_schema kit;
    necpnet_schema* schema;
    necpnet_world* worlds[2];
};

static necpnet_result stage_world(struct stage* stage, uint32_t entities_max, necpnet_world** out_world)
{
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = test_allocator();
    config.schema = stage->schema;
    config.entities_max = entities_max;
    return necpnet_world_create(&config, out_world);
}

static void stage_begin(struct stage* stage, uint64_t seed)
{
    necpnet_allocator allocator = test_allocator();
    memset(stage, 0, sizeof *stage);
    nn_random_seed(&stage->random, seed);
    kit_schema_random(&stage->kit, &stage->random, true);
    TEST_OK(necpnet_schema_create(&allocator, NULL, stage->kit.types, stage->kit.type_count, &stage->schema));
    TEST_OK(stage_world(stage, 300, &stage->worlds[0]));
}

static void stage_end(struct stage* stage)
{
    necpnet_world_destroy(stage->worlds[0]);
    necpnet_world_destroy(stage->worlds[1]);
    necpnet_schema_destroy(stage->schema);
}

/* Entities come and go, so that numbers have gaps and generations. */
static void stage_fill(struct stage* stage, uint32_t steps)
{
    uint64_t state[NN_STRUCT_BYTES_MAX / 8];
    for (uint32_t step = 0; step < steps; step++) {
        const necpnet_entity_type* type =
            &stage->kit.types[nn_random_below(&stage->random, (uint32_t)stage->kit.type_count)];
        necpnet_entity entity = NECPNET_ENTITY_NONE;
        memset(state, 0, sizeof state);
        kit_state_random(type, &stage->random, state);
        TEST_OK(necpnet_world_spawn(stage->worlds[0], type->id, state, &entity));
        TEST_OK(necpnet_world_commit(stage->worlds[0], 1000 * (step + 1)));
        if (nn_random_below(&stage->random, 3)) continue;
        necpnet_entity other = NECPNET_ENTITY_NONE;
        for (uint64_t i = nn_random_below(&stage->random, 20) + 1; i > 0; i--) {
            necpnet_entity next = necpnet_world_next(stage->worlds[0], other);
            if (next) other = next;
        }
        TEST_OK(necpnet_world_despawn(stage->worlds[0], other));
    }
}

static size_t stage_save(const struct stage* stage, int which, uint8_t* data, size_t room)
{
    size_t bytes = 0;
    TEST_OK(necpnet_world_save(stage->worlds[which], data, room, &bytes));
    return bytes;
}

static double number_at(const necpnet_field* field, const uint8_t* at, unsigned component)
{
    float narrow;
    double wide;
    if (field->storage_bytes == 8) {
        memcpy(&wide, at + component * 8, 8);
        return wide;
    }
    memcpy(&narrow, at + component * 4, 4);
    return (double)narrow;
}

/* A field that is no text, or one value of an array. */
static void check_value_alike(const nn_field_plan* plan, const uint8_t* a, const uint8_t* b)
{
    const necpnet_field* field = plan->field;
    switch (field->kind) {
    case NECPNET_FIELD_QUAT:
    case NECPNET_FIELD_ANGLE: break;
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_VEC2:
    case NECPNET_FIELD_VEC3:
        for (unsigned c = 0; c < plan->components; c++) {
            double x = number_at(field, a, c);
            TEST_NEAR(number_at(field, b, c), x, plan->step * 0.51 + (x < 0 ? -x : x) * 1e-6);
        }
        break;
    default: TEST_EQUAL_BYTES(a, b, nn_field_value_bytes(field));
    }
}

/* Of a list those that count, and how many they are. */
static uint32_t check_counts_alike(const necpnet_field* field, const uint8_t* a, const uint8_t* b)
{
    uint32_t count = 0;
    if (!field->length_bytes) return field->count;
    TEST_EQUAL_BYTES(a + field->length_offset, b + field->length_offset, field->length_bytes);
    memcpy(&count, a + field->length_offset, field->length_bytes);
    return count;
}

/* Numbers to the quantum (and what a float can tell apart), all else to the bit. Quaternions and angles have two ways to say
 * the same and are tested where they are quantised. */
static void check_alike(const struct stage* stage, necpnet_entity entity)
{
    const uint8_t* a = (const uint8_t*)necpnet_world_get(stage->worlds[0], entity);
    const uint8_t* b = (const uint8_t*)necpnet_world_get(stage->worlds[1], entity);
    int type = nn_schema_index(stage->schema, necpnet_world_get_type(stage->worlds[0], entity));
    const nn_type_plan* plan = &stage->schema->plans[type];
    for (unsigned i = 0; i < plan->field_count; i++) {
        const necpnet_field* field = plan->fields[i].field;
        TEST_HINT("field %u of kind %d", (unsigned)field->id, (int)field->kind);
        if (field->kind == NECPNET_FIELD_STRING) {
            TEST_EQUAL_STRING((const char*)a + field->offset, (const char*)b + field->offset);
            continue;
        }
        uint32_t count = check_counts_alike(field, a, b);
        const nn_field_plan* value = plan->fields[i].element ? plan->fields[i].element : &plan->fields[i];
        for (uint32_t k = 0; k < count; k++) {
            uint32_t at = field->offset + k * nn_field_value_bytes(field);
            check_value_alike(value, a + at, b + at);
        }
    }
}

#define ROOM (1u << 20)
static uint8_t saved[ROOM], again[ROOM];

TEST(test_save_and_load_give_the_same_world)
{
    TEST_EACH_SEED (seed, 60) {
        struct stage stage;
        stage_begin(&stage, seed);
        stage_fill(&stage, (uint32_t)(seed % 5) * 25);
        size_t bytes = stage_save(&stage, 0, saved, ROOM);
        TEST_OK(stage_world(&stage, 300, &stage.worlds[1]));
        TEST_OK(necpnet_world_load(stage.worlds[1], saved, bytes));
        TEST_OK(necpnet_world_commit(stage.worlds[1], 5));
        necpnet_entity entity = NECPNET_ENTITY_NONE;
        do { /* the same numbers, the same types */
            entity = necpnet_world_next(stage.worlds[0], entity);
            TEST_EQUAL(necpnet_world_get_type(stage.worlds[1], entity),
                       necpnet_world_get_type(stage.worlds[0], entity));
            if (entity) check_alike(&stage, entity);
        } while (entity);
        /* life goes on: free numbers are used, with no generation twice */
        uint64_t state[NN_STRUCT_BYTES_MAX / 8] = {0};
        for (int i = 0; i < 100; i++) {
            TEST_OK(necpnet_world_spawn(stage.worlds[1], stage.kit.types[0].id, state, &entity));
        }
        stage_end(&stage);
    }
}

TEST(test_save_tells_the_room_it_needs)
{
    struct stage stage;
    stage_begin(&stage, 3);
    stage_fill(&stage, 40);
    size_t needed = 0, bytes = 0;
    TEST_EQUAL(necpnet_world_save(stage.worlds[0], NULL, 0, &needed), NECPNET_ERR_BUFFER_TOO_SMALL);
    for (size_t room = 0; room < needed; room += 7) {
        uint8_t guard = saved[room] = 0xa5;
        TEST_EQUAL(necpnet_world_save(stage.worlds[0], saved, room, &bytes), NECPNET_ERR_BUFFER_TOO_SMALL);
        TEST_EQUAL(bytes, needed);
        TEST_EQUAL(saved[room], guard);
    }
    TEST_OK(necpnet_world_save(stage.worlds[0], saved, needed, &bytes));
    TEST_EQUAL(necpnet_world_save(stage.worlds[0], NULL, 5, &bytes), NECPNET_ERR_INVALID_ARGUMENT);
    stage_end(&stage);
}

/* Sealed anew, so that it is not the hash that refuses. */
static void seal(uint8_t* data, size_t bytes)
{
    static const uint8_t key[NN_SIPHASH_KEY_BYTES] = {0};
    nn_store_u64(data + bytes - 8, nn_siphash64(key, data, bytes - 8));
}

TEST(test_load_refuses_what_is_damaged_and_leaves_the_world_empty)
{
    TEST_EACH_SEED (seed, 40) {
        struct stage stage;
        stage_begin(&stage, seed);
        stage_fill(&stage, 30);
        size_t bytes = stage_save(&stage, 0, saved, ROOM);
        for (int round = 0; round < 60; round++) {
            size_t length = bytes;
            memcpy(again, saved, bytes);
            if (nn_random_below(&stage.random, 3) == 0)
                length = (size_t)nn_random_below(&stage.random, (uint32_t)bytes);
            if (length > 17)
                again[17 + nn_random_below(&stage.random, (uint32_t)length - 17)] ^=
                    (uint8_t)(1 + nn_random_below(&stage.random, 255));
            bool sealed = length > 26 && nn_random_below(&stage.random, 2);
            if (sealed) seal(again, length);
            TEST_OK(stage_world(&stage, 300, &stage.worlds[1]));
            necpnet_result result = necpnet_world_load(stage.worlds[1], again, length);
            if (!sealed) TEST_EQUAL(result, NECPNET_ERR_BAD_DATA);
            if (result) TEST_EQUAL(necpnet_world_next(stage.worlds[1], NECPNET_ENTITY_NONE), NECPNET_ENTITY_NONE);
            TEST_OK(necpnet_world_commit(stage.worlds[1], 1));
            necpnet_world_destroy(stage.worlds[1]);
            stage.worlds[1] = NULL;
        }
        stage_end(&stage);
    }
}

TEST(test_load_names_what_does_not_fit)
{
    struct stage stage;
    stage_begin(&stage, 9);
    stage_fill(&stage, 40);
    size_t bytes = stage_save(&stage, 0, saved, ROOM);
    TEST_EQUAL(necpnet_world_load(stage.worlds[0], saved, bytes), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_world_load(NULL, saved, bytes), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_OK(stage_world(&stage, 5, &stage.worlds[1]));
    TEST_EQUAL(necpnet_world_load(stage.worlds[1], NULL, bytes), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_load(stage.worlds[1], saved, bytes), NECPNET_ERR_LIMIT_REACHED);
    necpnet_world_destroy(stage.worlds[1]);
    TEST_OK(stage_world(&stage, 300, &stage.worlds[1]));
    saved[4] = 4; /* a later version */
    seal(saved, bytes);
    TEST_EQUAL(necpnet_world_load(stage.worlds[1], saved, bytes), NECPNET_ERR_BAD_DATA);
    saved[4] = 0;
    seal(saved, bytes);
    TEST_EQUAL(necpnet_world_load(stage.worlds[1], saved, bytes), NECPNET_ERR_BAD_DATA);
    stage_end(&stage);
}

/* What necpnet_world_save wrote as an earlier version wrote it, into again. */
static size_t write_as(unsigned version, const necpnet_schema* schema, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data + 5, bytes - 5 - 8);
    nn_writer writer = nn_writer_of(again, ROOM);
    nn_write_bytes(&writer, data, 4);
    nn_write_u8(&writer, (uint8_t)version);
    nn_write_u64(&writer, schema->hash);
    nn_write_u32(&writer, nn_read_u32(&reader));
    (void)nn_read_view(&reader, (size_t)nn_read_varint(&reader));
    uint64_t count = nn_read_varint(&reader);
    nn_write_varint(&writer, count);
    for (uint64_t i = 0; i < count; i++) {
        nn_write_varint(&writer, nn_read_varint(&reader));
        nn_write_u16(&writer, nn_read_u16(&reader));
        uint8_t scope = nn_read_u8(&reader);
        if (version > 1) nn_write_u8(&writer, scope);
        uint64_t type_id = nn_read_varint(&reader);
        nn_write_varint(&writer, type_id);
        uint32_t words = schema->plans[nn_schema_index(schema, (uint16_t)type_id)].row_words;
        while (words--) nn_write_varint(&writer, nn_read_varint(&reader));
    }
    TEST_EQUAL(nn_read_varint(&reader), 0); /* no variables */
    TEST_CHECK(!reader.failed && !nn_reader_left(&reader));
    nn_write_u64(&writer, 0);
    TEST_CHECK(!writer.failed);
    seal(again, nn_writer_bytes(&writer));
    return nn_writer_bytes(&writer);
}

TEST(test_load_reads_what_earlier_versions_wrote)
{
    for (unsigned version = 1; version <= 2; version++) {
        struct stage stage;
        stage_begin(&stage, 20 + version);
        stage_fill(&stage, 40);
        size_t bytes = stage_save(&stage, 0, saved, ROOM);
        size_t older = write_as(version, stage.schema, saved, bytes);
        TEST_OK(stage_world(&stage, 300, &stage.worlds[1]));
        again[6] ^= 1; /* another schema's hash: they knew no rules of versions */
        seal(again, older);
        TEST_EQUAL(necpnet_world_load(stage.worlds[1], again, older), NECPNET_ERR_SCHEMA_DIFFERS);
        again[6] ^= 1;
        seal(again, older);
        TEST_OK(necpnet_world_load(stage.worlds[1], again, older));
        TEST_OK(necpnet_world_commit(stage.worlds[1], 5));
        necpnet_entity entity = NECPNET_ENTITY_NONE;
        while ((entity = necpnet_world_next(stage.worlds[0], entity)) != NECPNET_ENTITY_NONE)
            check_alike(&stage, entity);
        TEST_EQUAL(stage_save(&stage, 1, again, ROOM), bytes); /* as of this version again */
        stage_end(&stage);
    }
}

TEST(test_objects_and_variables_of_the_world_are_saved)
{
    static const char* const keys[] = {"zone", "name", "ratio", "open", "blob"};
    struct stage stage;
    necpnet_value values[5], value;
    necpnet_entity match = NECPNET_ENTITY_NONE, loaded = NECPNET_ENTITY_NONE;
    stage_begin(&stage, 31);
    values[0] = necpnet_value_of_integer(-INT64_C(5000000000));
    values[1] = necpnet_value_of_string("the old harbour");
    values[2] = necpnet_value_of_number(0.125);
    values[3] = necpnet_value_of_bool(true);
    values[4] = necpnet_value_of_bytes("\0\1\2", 3);
    uint16_t type = stage.kit.types[0].id;
    TEST_OK(necpnet_world_open_object(stage.worlds[0], type, NECPNET_PEER_NONE, &match));
    for (int i = 0; i < 5; i++)
        TEST_OK(necpnet_world_set_variable(stage.worlds[0], NECPNET_PEER_NONE, keys[i], values[i]));
    TEST_OK(necpnet_world_set_variable(stage.worlds[0], NECPNET_PEER_NONE, "gone", values[3]));
    memset(&value, 0, sizeof value);
    TEST_OK(necpnet_world_set_variable(stage.worlds[0], NECPNET_PEER_NONE, "gone", value));
    TEST_OK(necpnet_world_commit(stage.worlds[0], 100000));
    size_t bytes = stage_save(&stage, 0, saved, ROOM);
    TEST_OK(stage_world(&stage, 300, &stage.worlds[1]));
    TEST_OK(
        necpnet_world_set_variable(stage.worlds[1], NECPNET_PEER_NONE, "zone", values[3])); /* the saved one counts */
    TEST_OK(necpnet_world_load(stage.worlds[1], saved, bytes));
    TEST_OK(necpnet_world_open_object(stage.worlds[1], type, NECPNET_PEER_NONE, &loaded));
    TEST_EQUAL(loaded, match);
    for (int i = 0; i < 5; i++) {
        TEST_HINT("%s", keys[i]);
        TEST_OK(necpnet_world_get_variable(stage.worlds[1], NECPNET_PEER_NONE, keys[i], &value));
        TEST_EQUAL(value.type, values[i].type);
        TEST_EQUAL(value.integer, values[i].integer);
        TEST_CHECK(value.number == values[i].number && value.boolean == values[i].boolean);
        TEST_EQUAL(value.bytes, values[i].bytes);
        if (value.bytes) TEST_EQUAL_BYTES(value.data, values[i].data, value.bytes);
    }
    TEST_EQUAL(necpnet_world_get_variable(stage.worlds[1], NECPNET_PEER_NONE, "gone", &value), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_world_commit(stage.worlds[1], 100000));
    TEST_EQUAL(stage_save(&stage, 1, again, ROOM), bytes);
    for (size_t cut = 1; cut < 60; cut++) { /* within the variables */
        necpnet_world* world = NULL;
        memcpy(again, saved, bytes - cut);
        seal(again, bytes - cut);
        TEST_OK(stage_world(&stage, 300, &world));
        TEST_EQUAL(necpnet_world_load(world, again, bytes - cut), NECPNET_ERR_BAD_DATA);
        necpnet_world_destroy(world);
    }
    stage_end(&stage);
}

/* ---- another version of the schema */

typedef struct old_ship {
    float position[2];
    uint8_t crew;
    char name[20];
    uint16_t sails;
} old_ship;
typedef struct ship {
    char name[8];
    double position[2];
    uint32_t flag;
    int16_t crew;
} ship;

TEST(test_load_follows_another_version_of_the_schema)
{
    static const necpnet_field old_fields[] = {
        NECPNET_VEC2(old_ship, position, 1, -100, 100, 0.5, 0),
        NECPNET_INTEGER(old_ship, crew, 2, 0, 200, 0),
        NECPNET_STRING(old_ship, name, 3, 0),
        NECPNET_INTEGER(old_ship, sails, 4, 0, 60000, 0),
    };
    static const necpnet_field fields[] = {
        NECPNET_VEC2(ship, position, 1, -500, 500, 0.125, NECPNET_FIELD_REQUIRED),
        NECPNET_INTEGER(ship, crew, 2, -1, 999, NECPNET_FIELD_SIGNED),
        NECPNET_STRING(ship, name, 3, 0),
        NECPNET_INTEGER(ship, flag, 5, 0, 90000, 0),
    };
    static const necpnet_field broken_fields[] = {NECPNET_INTEGER(ship, flag, 1, 0, 9, NECPNET_FIELD_REQUIRED)};
    static const necpnet_entity_type old_types[] = {{"rock", 3, sizeof(old_ship), old_fields, 2},
                                                    {"ship", 7, sizeof(old_ship), old_fields, 4}};
    static const necpnet_entity_type type = {"ship", 7, sizeof(ship), fields, 4};
    static const necpnet_entity_type broken = {"ship", 7, sizeof(ship), broken_fields, 1};
    necpnet_allocator allocator = test_allocator();
    necpnet_schema* schemas[3];
    necpnet_world* worlds[3];
    TEST_OK(necpnet_schema_create(&allocator, NULL, old_types, 2, &schemas[0]));
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &schemas[1]));
    TEST_OK(necpnet_schema_create(&allocator, NULL, &broken, 1, &schemas[2]));
    for (int i = 0; i < 3; i++) {
        necpnet_world_config config;
        TEST_OK(necpnet_world_config_default(&config));
        config.allocator = allocator;
        config.schema = schemas[i];
        TEST_OK(necpnet_world_create(&config, &worlds[i]));
    }
    old_ship one = {{12.5f, -3}, 70, "a long name", 9};
    old_ship rock = {{1, 1}, 0, "", 0};
    necpnet_entity entities[2];
    TEST_OK(necpnet_world_spawn(worlds[0], 3, &rock, &entities[0]));
    TEST_OK(necpnet_world_spawn(worlds[0], 7, &one, &entities[1]));
    TEST_OK(necpnet_world_set_variable(worlds[0], NECPNET_PEER_NONE, "sea", necpnet_value_of_integer(7)));
    TEST_OK(necpnet_world_commit(worlds[0], 1));
    size_t bytes = 0;
    TEST_OK(necpnet_world_save(worlds[0], saved, ROOM, &bytes));
    TEST_OK(necpnet_world_load(worlds[1], saved, bytes));
    const ship* now = (const ship*)necpnet_world_get(worlds[1], entities[1]);
    TEST_CHECK(now != NULL);
    TEST_CHECK(now->position[0] == 12.5 && now->position[1] == -3);
    TEST_EQUAL(now->crew, 70);
    TEST_EQUAL(now->flag, 0);
    TEST_EQUAL_STRING(now->name, "a long ");
    TEST_CHECK(necpnet_world_get(worlds[1], entities[0]) == NULL); /* there are no rocks any more */
    TEST_OK(necpnet_world_commit(worlds[1], 1));
    TEST_EQUAL(necpnet_world_load(worlds[2], saved, bytes), NECPNET_ERR_SCHEMA_DIFFERS);
    TEST_EQUAL(necpnet_world_next(worlds[2], NECPNET_ENTITY_NONE), NECPNET_ENTITY_NONE);
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_world_config config;
        necpnet_world* world = NULL;
        TEST_OK(necpnet_world_config_default(&config));
        config.allocator = test_allocator();
        config.schema = schemas[1];
        if (necpnet_world_create(&config, &world)) continue;
        if (necpnet_world_load(world, saved, bytes))
            TEST_EQUAL(necpnet_world_next(world, NECPNET_ENTITY_NONE), NECPNET_ENTITY_NONE);
        necpnet_world_destroy(world);
    }
    for (int i = 0; i < 3; i++) {
        necpnet_world_destroy(worlds[i]);
        necpnet_schema_destroy(schemas[i]);
    }
}

TEST(test_load_without_memory_leaves_the_world_empty)
{
    struct stage stage;
    stage_begin(&stage, 11);
    stage_fill(&stage, 12);
    size_t bytes = stage_save(&stage, 0, saved, ROOM);
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_world* world = NULL;
        if (stage_world(&stage, 300, &world) == NECPNET_OK) {
            if (necpnet_world_load(world, saved, bytes)) {
                TEST_EQUAL(necpnet_world_next(world, NECPNET_ENTITY_NONE), NECPNET_ENTITY_NONE);
            }
            necpnet_world_destroy(world);
        }
    }
    stage_end(&stage);
}

TEST_MAIN
