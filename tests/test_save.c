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
    saved[6] ^= 1; /* another schema's hash */
    seal(saved, bytes);
    TEST_EQUAL(necpnet_world_load(stage.worlds[1], saved, bytes), NECPNET_ERR_SCHEMA_DIFFERS);
    saved[6] ^= 1;
    saved[4] ^= 1; /* another version */
    seal(saved, bytes);
    TEST_EQUAL(necpnet_world_load(stage.worlds[1], saved, bytes), NECPNET_ERR_BAD_DATA);
    stage_end(&stage);
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
