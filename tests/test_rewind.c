/* Rewind: the world keeps what it committed. A plain list of every commit is the model; between two commits a struct lies on
 * the straight line. */
#include "nn_world.h"
#include "test.h"

typedef struct body {
    double x;
    uint16_t health;
    uint32_t kept; /* no field */
} body;

static const necpnet_field body_fields[] = {
    NECPNET_FLOAT(body, x, 1, -100000, 100000, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(body, health, 2, 0, 1000, 0),
};
static const necpnet_entity_type body_types[] = {{"body", 1, sizeof(body), body_fields, 2}};

struct past {
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_entity entities[3];
};

static necpnet_result past_begin(struct past* past)
{
    struct necpnet_allocator allocator = test_allocator();
    memset(past, 0, sizeof *past);
    necpnet_result result = necpnet_schema_create(&allocator, NULL, body_types, 1, &past->schema);
    if (result) return result;
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = allocator;
    config.schema = past->schema;
    result = necpnet_world_create(&config, &past->world);
    for (int i = 0; i < 3 && !result; i++) {
        body state = {i * 1000.0, (uint16_t)(i + 1), 77};
        result = necpnet_world_spawn(past->world, 1, &state, &past->entities[i]);
    }
    return result;
}

static void past_end(struct past* past)
{
    necpnet_world_destroy(past->world);
    necpnet_schema_destroy(past->schema);
}

/* Entity 0 moves ten a tick, entity 1 only in every 20th tick, entity 2 never. */
static double past_x(int entity, uint32_t tick)
{
    if (entity == 0) return tick * 10.0;
    if (entity == 1) return 1000.0 + tick / 20;
    return 2000.0;
}

static void past_run(struct past* past, uint32_t from, uint32_t to)
{
    for (uint32_t tick = from; tick <= to; tick++) {
        for (int i = 0; i < 3; i++) {
            body* state = (body*)necpnet_world_get(past->world, past->entities[i]);
            state->x = past_x(i, tick);
            TEST_OK(necpnet_world_mark(past->world, past->entities[i]));
        }
        TEST_OK(necpnet_world_commit(past->world, tick));
    }
}

static double past_seen(const struct past* past, int entity, uint32_t tick, uint32_t share_ppm)
{
    body state;
    TEST_OK(necpnet_world_get_at(past->world, past->entities[entity], tick, share_ppm, &state, sizeof state));
    TEST_EQUAL(state.health, entity + 1);
    return state.x;
}

static void check_near(double a, double b)
{
    TEST_CHECK(a - b < 0.0011 && b - a < 0.0011);
}

TEST(test_rewind_shows_every_moment_of_the_history_as_it_was)
{
    struct past past;
    TEST_OK(past_begin(&past));
    past_run(&past, 1, 200);
    for (uint32_t tick = 137; tick <= 200; tick++) {
        for (int i = 0; i < 3; i++) check_near(past_seen(&past, i, tick, 0), past_x(i, tick));
        if (tick == 200) continue;
        check_near(past_seen(&past, 0, tick, 250000), past_x(0, tick) + 2.5);
        double step = past_x(1, tick + 1) - past_x(1, tick); /* it stands still until the last moment */
        check_near(past_seen(&past, 1, tick, 500000), past_x(1, tick) + step / 2);
        check_near(past_seen(&past, 2, tick, 999999), 2000.0);
    }
    check_near(past_seen(&past, 0, 900, 0), past_x(0, 200)); /* not yet: the newest there is */
    body state;
    TEST_EQUAL(necpnet_world_get_at(past.world, past.entities[0], 136, 0, &state, sizeof state),
               NECPNET_ERR_OUT_OF_RANGE);
    TEST_EQUAL(necpnet_world_get_at(past.world, past.entities[2], 0, 0, &state, sizeof state),
               NECPNET_ERR_OUT_OF_RANGE);
    past_end(&past);
}

TEST(test_rewind_blends_over_the_gap_of_a_world_that_commits_every_third_tick)
{
    struct past past;
    TEST_OK(past_begin(&past));
    for (uint32_t tick = 3; tick <= 90; tick += 3) past_run(&past, tick, tick);
    check_near(past_seen(&past, 0, 61, 500000), 615.0);
    check_near(past_seen(&past, 0, 62, 0), 620.0);
    past_end(&past);
}

TEST(test_rewind_knows_where_it_stood_before_it_began_to_move)
{
    struct past past;
    TEST_OK(past_begin(&past));
    for (uint32_t tick = 1; tick <= 300; tick++) {
        body* state = (body*)necpnet_world_get(past.world, past.entities[0]);
        state->x = tick < 280 ? 5.0 : tick;
        TEST_OK(necpnet_world_mark(past.world, past.entities[0]));
        TEST_OK(necpnet_world_commit(past.world, tick));
        if (tick < 285) continue;
        check_near(past_seen(&past, 0, tick - 20, 0), tick - 20 < 280 ? 5.0 : tick - 20);
    }
    past_end(&past);
}

TEST(test_rewind_puts_a_set_back_and_restores_it)
{
    struct past past;
    TEST_OK(past_begin(&past));
    past_run(&past, 1, 50);
    necpnet_entity late;
    TEST_OK(necpnet_world_spawn(past.world, 1, NULL, &late));
    past_run(&past, 51, 60);
    necpnet_entity set[6] = {past.entities[0], past.entities[2], late, past.entities[0], 12345, past.entities[1]};
    int count = 0;
    for (int round = 0; round < 3; round++) {
        TEST_OK(necpnet_world_rewind(past.world, 40, 500000, set, 6, &count));
        TEST_EQUAL(count, 4); /* not the late one, nor the one that never was */
        body* state = (body*)necpnet_world_get(past.world, past.entities[0]);
        check_near(state->x, 405.0);
        TEST_EQUAL(state->kept, 77);
        state->x = -1;
        TEST_EQUAL(necpnet_world_rewind(past.world, 40, 0, set, 6, NULL), NECPNET_ERR_INVALID_STATE);
        TEST_EQUAL(necpnet_world_spawn(past.world, 1, NULL, &late), NECPNET_ERR_INVALID_STATE);
        TEST_EQUAL(necpnet_world_despawn(past.world, late), NECPNET_ERR_INVALID_STATE);
        TEST_EQUAL(necpnet_world_commit(past.world, 61), NECPNET_ERR_INVALID_STATE);
        TEST_OK(necpnet_world_restore(past.world));
        for (int i = 0; i < 3; i++) {
            state = (body*)necpnet_world_get(past.world, past.entities[i]);
            TEST_CHECK(state->x >= past_x(i, 60) && state->x <= past_x(i, 60));
        }
    }
    TEST_EQUAL(necpnet_world_restore(past.world), NECPNET_ERR_INVALID_STATE);
    TEST_OK(necpnet_world_despawn(past.world, late));
    past_end(&past);
}

TEST(test_rewind_refuses_what_cannot_be)
{
    struct past past;
    TEST_OK(past_begin(&past));
    body state;
    necpnet_entity one = past.entities[0];
    TEST_EQUAL(necpnet_world_get_at(past.world, one, 0, 0, &state, sizeof state),
               NECPNET_ERR_NOT_FOUND); /* no commit */
    past_run(&past, 1, 10);
    TEST_EQUAL(necpnet_world_get_at(past.world, one, 0, 0, &state, sizeof state), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_get_at(past.world, 999, 5, 0, &state, sizeof state), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_get_at(past.world, one, 5, 0, &state, sizeof state - 1), NECPNET_ERR_BUFFER_TOO_SMALL);
    TEST_EQUAL(necpnet_world_get_at(past.world, one, 5, 1000000, &state, sizeof state), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_get_at(past.world, one, 5, 0, NULL, sizeof state), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_rewind(past.world, 5, 0, NULL, 1, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_rewind(past.world, 5, 0, &one, -1, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_rewind(past.world, 5, 1000000, &one, 1, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    past_run(&past, 11, 100);
    TEST_EQUAL(necpnet_world_rewind(past.world, 5, 0, &one, 1, NULL), NECPNET_ERR_OUT_OF_RANGE);
    TEST_OK(necpnet_world_rewind(past.world, UINT32_MAX, 999999, &one, 1, NULL));
    TEST_OK(necpnet_world_restore(past.world));
    past_end(&past);
}

TEST(test_rewind_without_memory_changes_nothing)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct past past;
        if (past_begin(&past) == NECPNET_OK) {
            past_run(&past, 1, 5);
            if (necpnet_world_rewind(past.world, 3, 0, past.entities, 3, NULL) == NECPNET_OK) {
                TEST_OK(necpnet_world_restore(past.world));
            }
            for (int i = 0; i < 3; i++) {
                const body* state = (const body*)necpnet_world_get(past.world, past.entities[i]);
                TEST_CHECK(state->x >= past_x(i, 5) && state->x <= past_x(i, 5));
            }
        }
        past_end(&past);
    }
}

TEST_MAIN
