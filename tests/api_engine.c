/* api_engine - what an engine with components in arrays needs: entities described at once, its own numbers for them, and what
 * changed as lists.
 *
 * Method: net.h; entities that move, rest, come and go. A copy of what is shown is kept from the lists alone, field by field,
 * and compared with what the view shows of every entity at every picture: what the lists leave out has not changed.
 */
#include "net.h"

typedef struct body {
    float position[2];
    float heading;
    uint16_t health;
    uint8_t items[6];
    uint8_t item_count;
    char name[12];
} body;

enum { BODY = 1, FIELDS = 5 };

static const necpnet_field body_fields[] = {
    NECPNET_VEC2(body, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_ANGLE(body, heading, 2, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(body, health, 3, 0, 1000, 0),
    NECPNET_INTEGER_LIST(body, items, item_count, 4, 0, 50, 0),
    NECPNET_STRING(body, name, 5, NECPNET_FIELD_SLOW),
};
static const necpnet_entity_type types[] = {{"body", BODY, sizeof(body), body_fields, FIELDS}};

#define SLOTS 200

struct shadow {
    necpnet_entity entity; /* NECPNET_ENTITY_NONE: not in view, as far as the lists said */
    body seen;
};

struct stage {
    struct net net;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* view;
    struct shadow shadows[SLOTS];
    uint32_t committed;
    uint64_t changed, entered, left;
};

static void stage_begin(struct stage* stage, uint32_t loss_ppm, uint64_t seed)
{
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    stage->net.link_config.seed = seed;
    stage->net.link_config.latency_us = 20000;
    stage->net.link_config.jitter_us = 10000;
    stage->net.link_config.loss_ppm = loss_ppm;
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, types, 1, &stage->schema));
    necpnet_world_config world_config;
    TEST_OK(necpnet_world_config_default(&world_config));
    world_config.allocator = stage->net.allocator;
    world_config.schema = stage->schema;
    TEST_OK(necpnet_world_create(&world_config, &stage->world));
    stage->net.server_config.world = stage->world;
    necpnet_view_config view_config;
    TEST_OK(necpnet_view_config_default(&view_config));
    view_config.allocator = stage->net.allocator;
    view_config.schema = stage->schema;
    TEST_OK(necpnet_view_create(&view_config, &stage->view));
    net_serve(&stage->net);
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    necpnet_view_destroy(stage->view);
    necpnet_world_destroy(stage->world);
    necpnet_schema_destroy(stage->schema);
}

static struct shadow* shadow_of(struct stage* stage, necpnet_entity entity)
{
    for (int i = 0; i < SLOTS; i++) {
        if (stage->shadows[i].entity == entity) return &stage->shadows[i];
    }
    return NULL;
}

static void copy_field(body* to, const body* from, int index)
{
    switch (index) {
    case 0: memcpy(to->position, from->position, sizeof to->position); break;
    case 1: to->heading = from->heading; break;
    case 2: to->health = from->health; break;
    case 3:
        memcpy(to->items, from->items, sizeof to->items);
        to->item_count = from->item_count;
        break;
    default: memcpy(to->name, from->name, sizeof to->name); break;
    }
}

/* Takes the lists in, then compares all. */
static void picture(struct stage* stage)
{
    necpnet_changes changes;
    TEST_OK(necpnet_view_update(stage->view, stage->net.now_us));
    TEST_OK(necpnet_view_take_changes(stage->view, &changes));
    for (uint32_t i = 0; i < changes.left_count; i++) {
        struct shadow* shadow = shadow_of(stage, changes.left[i]);
        TEST_CHECK(shadow != NULL);
        TEST_CHECK(changes.left_user_ids[i] == (uint64_t)changes.left[i] * 1000);
        TEST_EQUAL(necpnet_view_find_user_id(stage->view, (uint64_t)changes.left[i] * 1000), NECPNET_ENTITY_NONE);
        TEST_EQUAL(changes.left_types[i], BODY);
        if (shadow) shadow->entity = NECPNET_ENTITY_NONE;
    }
    for (uint32_t i = 0; i < changes.entered_count; i++) {
        struct shadow* shadow = shadow_of(stage, NECPNET_ENTITY_NONE);
        TEST_CHECK(shadow && !shadow_of(stage, changes.entered[i]));
        TEST_EQUAL(changes.entered_types[i], BODY);
        if (!shadow) return;
        memset(shadow, 0, sizeof *shadow);
        shadow->entity = changes.entered[i];
        TEST_OK(necpnet_view_set_user_id(stage->view, shadow->entity, (uint64_t)shadow->entity * 1000));
    }
    for (uint32_t i = 0; i < changes.changed_count; i++) {
        struct shadow* shadow = shadow_of(stage, changes.changed[i]);
        body seen;
        TEST_CHECK(shadow != NULL && changes.changed_fields[i] != 0 && changes.changed_fields[i] < 1u << FIELDS);
        if (!shadow) return;
        TEST_OK(necpnet_view_get(stage->view, shadow->entity, &seen, sizeof seen));
        for (int k = 0; k < FIELDS; k++) {
            if (changes.changed_fields[i] >> k & 1) copy_field(&shadow->seen, &seen, k);
        }
    }
    stage->changed += changes.changed_count;
    stage->entered += changes.entered_count;
    stage->left += changes.left_count;
    int there = 0;
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    while ((entity = necpnet_view_next(stage->view, entity)) != NECPNET_ENTITY_NONE) {
        const struct shadow* shadow = shadow_of(stage, entity);
        body seen, mine;
        TEST_HINT("entity %08x", (unsigned)entity);
        TEST_CHECK(shadow != NULL);
        if (!shadow) return;
        memset(&mine, 0, sizeof mine);
        for (int k = 0; k < FIELDS; k++) copy_field(&mine, &shadow->seen, k);
        TEST_OK(necpnet_view_get(stage->view, entity, &seen, sizeof seen));
        TEST_EQUAL_BYTES(&mine, &seen, sizeof seen);
        TEST_EQUAL(necpnet_view_find_user_id(stage->view, (uint64_t)entity * 1000), entity);
        TEST_CHECK(necpnet_view_get_user_id(stage->view, entity) == (uint64_t)entity * 1000);
        there++;
    }
    for (int i = 0; i < SLOTS; i++) there -= stage->shadows[i].entity != NECPNET_ENTITY_NONE;
    TEST_EQUAL(there, 0);
}

/* A world where most rests. */
static void live(struct stage* stage, struct test_random* random, necpnet_entity* entities, int count)
{
    for (int i = 0; i < count; i++) {
        body* at = (body*)necpnet_world_get(stage->world, entities[i]);
        if (!at) {
            if (test_random_below(random, 40)) continue;
            TEST_OK(necpnet_world_spawn(stage->world, BODY, NULL, &entities[i]));
            continue;
        }
        if (i % 4 == 0) { /* it goes round */
            at->position[0] += 0.05f;
            if (at->position[0] > 90) at->position[0] = -90;
            at->heading += 0.03f;
        } else if (test_random_below(random, 60)) {
            continue;
        }
        uint64_t what = test_random_below(random, 8);
        if (what == 1) at->health = (uint16_t)test_random_below(random, 1000);
        if (what == 2) at->items[at->item_count++ % 6] = (uint8_t)test_random_below(random, 50);
        if (at->item_count > 6) at->item_count = 0;
        if (what == 3) snprintf(at->name, sizeof at->name, "n%u", (unsigned)test_random_below(random, 1000));
        TEST_OK(necpnet_world_mark(stage->world, entities[i]));
        if (what == 4 && i % 5 == 0) TEST_OK(necpnet_world_despawn(stage->world, entities[i]));
    }
}

static void run(struct stage* stage, struct test_random* random, necpnet_entity* entities, int count, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        if (tick > stage->committed) {
            if (random) live(stage, random, entities, count);
            TEST_OK(necpnet_world_commit(stage->world, tick));
            stage->committed = tick;
        }
        net_step(&stage->net, NET_STEP_US);
        if (i % 16 == 0) picture(stage);
    }
}

TEST(test_changes_are_all_that_changes)
{
    TEST_EACH_SEED (seed, 6) {
        enum { COUNT = 40 };
        struct stage stage;
        necpnet_entity entities[COUNT];
        struct test_random random = test_random_begin(seed);
        stage_begin(&stage, seed % 2 ? 50000 : 0, seed + 1);
        for (int i = 0; i < COUNT; i++) TEST_OK(necpnet_world_spawn(stage.world, BODY, NULL, &entities[i]));
        stage.net.client_config.view = stage.view;
        net_join(&stage.net, seed % 3 ? NET_URL_UDP : NET_URL_WEB);
        run(&stage, &random, entities, COUNT, 5000);
        TEST_GREATER(stage.entered, COUNT - 1);
        TEST_GREATER(stage.left, 0);
        TEST_GREATER(stage.changed, 500);
        /* at rest nothing is told any more */
        run(&stage, NULL, entities, COUNT, 2000);
        uint64_t before = stage.changed;
        run(&stage, NULL, entities, COUNT, 1000);
        TEST_EQUAL(stage.changed, before);
        TEST_OK(necpnet_client_disconnect(stage.net.clients[0].client, 0, "", 0));
        run(&stage, NULL, entities, COUNT, 500);
        TEST_EQUAL(stage.left, stage.entered);
        stage_end(&stage);
    }
}

static void move_on(void* state, const void* input, size_t bytes, void* user)
{
    (void)bytes, (void)user;
    ((body*)state)->position[1] += (float)*(const uint8_t*)input;
}

TEST(test_changes_tell_predicted_entities)
{
    struct stage stage;
    necpnet_entity entity;
    necpnet_changes changes;
    stage_begin(&stage, 0, 3);
    TEST_OK(necpnet_view_set_prediction(stage.view, BODY, move_on, NULL));
    stage.net.client_config.view = stage.view;
    net_join(&stage.net, NET_URL_UDP);
    run(&stage, NULL, NULL, 0, 300);
    TEST_OK(necpnet_world_spawn(stage.world, BODY, NULL, &entity));
    TEST_OK(necpnet_world_set_owner(stage.world, entity, stage.net.peers[0]));
    run(&stage, NULL, NULL, 0, 1000);
    TEST_OK(necpnet_view_take_changes(stage.view, &changes));
    TEST_EQUAL(changes.changed_count, 0);
    TEST_OK(necpnet_view_predict(stage.view, 1000, "\7", 1));
    TEST_OK(necpnet_view_take_changes(stage.view, &changes));
    TEST_EQUAL(changes.changed_count, 1);
    TEST_EQUAL(changes.changed[0], entity);
    TEST_EQUAL(changes.changed_fields[0], 1);
    stage_end(&stage);
}

TEST(test_entities_are_described_at_once)
{
    struct stage stage;
    necpnet_entity entity, other;
    necpnet_entity_descriptor descriptor;
    body state;
    memset(&state, 0, sizeof state);
    state.health = 70;
    stage_begin(&stage, 0, 4);
    TEST_OK(necpnet_entity_descriptor_default(&descriptor));
    TEST_EQUAL(necpnet_world_spawn_with(stage.world, &descriptor, &entity), NECPNET_ERR_NOT_FOUND);
    descriptor.type_id = BODY;
    descriptor.state = &state;
    descriptor.room = 5;
    descriptor.user_id = UINT64_C(0xffffffff00000001);
    TEST_OK(necpnet_world_spawn_with(stage.world, &descriptor, &entity));
    TEST_EQUAL(((const body*)necpnet_world_get(stage.world, entity))->health, 70);
    TEST_EQUAL(necpnet_world_find_user_id(stage.world, descriptor.user_id), entity);
    TEST_CHECK(necpnet_world_get_user_id(stage.world, entity) == descriptor.user_id);
    TEST_EQUAL(necpnet_world_spawn_with(stage.world, &descriptor, &other), NECPNET_ERR_ALREADY_EXISTS);
    descriptor.user_id = 2;
    descriptor.priority = 0;
    TEST_EQUAL(necpnet_world_spawn_with(stage.world, &descriptor, &other), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_next(stage.world, entity), NECPNET_ENTITY_NONE); /* nothing is left of it */
    descriptor.struct_bytes--;
    TEST_EQUAL(necpnet_world_spawn_with(stage.world, &descriptor, &other), NECPNET_ERR_BAD_STRUCT_BYTES);
    TEST_OK(necpnet_world_despawn(stage.world, entity));
    TEST_EQUAL(necpnet_world_find_user_id(stage.world, UINT64_C(0xffffffff00000001)), NECPNET_ENTITY_NONE);
    TEST_EQUAL(necpnet_world_set_user_id(stage.world, entity, 9), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_view_set_user_id(stage.view, entity, 9), NECPNET_ERR_NOT_FOUND);
    stage_end(&stage);
}

TEST(test_changes_survive_failing_allocations)
{
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_schema* schema = NULL;
        necpnet_view* view = NULL;
        necpnet_view_config config;
        necpnet_changes changes;
        necpnet_allocator allocator = test_allocator();
        TEST_OK(necpnet_view_config_default(&config));
        config.allocator = allocator;
        if (necpnet_schema_create(&allocator, NULL, types, 1, &schema) != NECPNET_OK) continue;
        config.schema = schema;
        if (necpnet_view_create(&config, &view) == NECPNET_OK) {
            necpnet_result result = necpnet_view_take_changes(view, &changes);
            TEST_CHECK(result == NECPNET_OK || result == NECPNET_ERR_OUT_OF_MEMORY);
            if (result == NECPNET_OK) TEST_EQUAL(changes.changed_count, 0);
        }
        necpnet_view_destroy(view);
        necpnet_schema_destroy(schema);
    }
}

TEST_MAIN
