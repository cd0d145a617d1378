/* test_world_strict - values out of their field's range: clamped and counted, or, where the world is strict, an error that
 * names the entity's field and leaves what was committed before. */
#include "test.h"

#include "nn_world.h"

typedef struct thing {
    float height;
    uint8_t level;
} thing;

static const necpnet_field fields[] = {
    NECPNET_FLOAT(thing, height, 1, -10, 10, 0.5, 0),
    NECPNET_INTEGER(thing, level, 2, 0, 9, 0),
};
static const necpnet_entity_type type = {"thing", 3, sizeof(thing), fields, 2};

static char last_line[512];
static int lines;

static void keep_line(necpnet_log_level level, const char* line, void* user)
{
    (void)level, (void)user;
    snprintf(last_line, sizeof last_line, "%s", line);
    lines++;
}

static necpnet_schema* schema;

static necpnet_world* begin(bool strict)
{
    necpnet_allocator allocator = test_allocator();
    necpnet_world_config config;
    necpnet_world* world = NULL;
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &schema));
    TEST_OK(necpnet_world_config_default(&config));
    TEST_CHECK(!config.strict);
    config.allocator = allocator;
    config.logger.write = keep_line;
    config.logger.level = NECPNET_LOG_ERROR;
    config.schema = schema;
    config.strict = strict;
    TEST_OK(necpnet_world_create(&config, &world));
    lines = 0;
    return world;
}

static void end(necpnet_world* world)
{
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
}

static uint32_t row_word(const necpnet_world* world, necpnet_entity entity, unsigned word)
{
    const nn_world_slot* slot = &world->slots[entity & 0xffff];
    return nn_world_row(world, slot, slot->version)[word];
}

static uint64_t clamped(const necpnet_world* world)
{
    necpnet_world_statistics statistics;
    TEST_OK(necpnet_world_get_statistics(world, &statistics));
    return statistics.values_clamped;
}

TEST(test_world_clamps_and_counts_what_is_out_of_range)
{
    necpnet_world* world = begin(false);
    thing state = {50, 3};
    necpnet_entity entity;
    TEST_OK(necpnet_world_spawn(world, 3, &state, &entity));
    TEST_OK(necpnet_world_commit(world, 1));
    TEST_EQUAL(row_word(world, entity, 0), 40);
    TEST_EQUAL(clamped(world), 1);
    TEST_EQUAL(lines, 0);
    end(world);
}

TEST(test_world_that_is_strict_refuses_and_names_what_is_out_of_range)
{
    necpnet_world* world = begin(true);
    thing state = {5, 3};
    necpnet_entity entities[2];
    for (int i = 0; i < 2; i++) TEST_OK(necpnet_world_spawn(world, 3, &state, &entities[i]));
    TEST_OK(necpnet_world_commit(world, 1));
    thing* first = (thing*)necpnet_world_get(world, entities[0]);
    thing* second = (thing*)necpnet_world_get(world, entities[1]);
    first->height = 6;
    first->level = 10;
    second->height = 7;
    for (int i = 0; i < 2; i++) TEST_OK(necpnet_world_mark(world, entities[i]));
    TEST_EQUAL(necpnet_world_commit(world, 2), NECPNET_ERR_OUT_OF_RANGE);
    TEST_EQUAL(lines, 1);
    TEST_CHECK(strstr(last_line, "type thing (3), field level (2)") != NULL);
    TEST_EQUAL(row_word(world, entities[0], 0), 30); /* as before, whole */
    TEST_EQUAL(row_word(world, entities[0], 1), 3);
    TEST_EQUAL(row_word(world, entities[1], 0), 34); /* the others go on */
    TEST_EQUAL(clamped(world), 1);
    first->level = 9;
    TEST_OK(necpnet_world_mark(world, entities[0]));
    TEST_OK(necpnet_world_commit(world, 3));
    TEST_EQUAL(row_word(world, entities[0], 0), 32);
    TEST_EQUAL(row_word(world, entities[0], 1), 9);
    state.height = -11;
    TEST_OK(necpnet_world_spawn(world, 3, &state, &entities[0]));
    TEST_EQUAL(necpnet_world_commit(world, 4), NECPNET_ERR_OUT_OF_RANGE);
    TEST_EQUAL(row_word(world, entities[0], 0), 0); /* there is nothing else to show */
    end(world);
}

TEST_MAIN
