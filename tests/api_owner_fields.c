/* api_owner_fields - aim: what only the owner may see reaches nobody else, what the owner may not see does not reach it, and
 * both change sides with the owner. Method: net.h, one client over UDP, one over WebSocket, loss on the way. */
#include "net.h"

typedef struct pilot {
    float position[2];
    int32_t ammunition; /* the owner's secret */
    char marker[16];    /* what the others see of it */
} pilot;

static const necpnet_field pilot_fields[] = {
    NECPNET_VEC2(pilot, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(pilot, ammunition, 2, 0, 1000, NECPNET_FIELD_SIGNED | NECPNET_FIELD_OWNER_ONLY),
    NECPNET_STRING(pilot, marker, 3, NECPNET_FIELD_NOT_OWNER),
};
static const necpnet_entity_type pilot_type = {"pilot", 1, sizeof(pilot), pilot_fields, 3};

struct stage {
    struct net net;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* views[2];
    uint32_t committed;
};

static void stage_begin(struct stage* stage)
{
    static const char* const urls[2] = {NET_URL_UDP, NET_URL_WEB};
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, &pilot_type, 1, &stage->schema));
    necpnet_world_config world;
    TEST_OK(necpnet_world_config_default(&world));
    world.allocator = stage->net.allocator;
    world.schema = stage->schema;
    TEST_OK(necpnet_world_create(&world, &stage->world));
    stage->net.server_config.world = stage->world;
    stage->net.link_config.latency_us = 20000;
    stage->net.link_config.loss_ppm = 100000;
    net_serve(&stage->net);
    for (int i = 0; i < 2; i++) {
        necpnet_view_config view;
        TEST_OK(necpnet_view_config_default(&view));
        view.allocator = stage->net.allocator;
        view.schema = stage->schema;
        TEST_OK(necpnet_view_create(&view, &stage->views[i]));
        stage->net.client_config.view = stage->views[i];
        net_join(&stage->net, urls[i]);
        for (int ms = 0; ms < 10000 && stage->net.peer_count <= i; ms++) net_step(&stage->net, NET_STEP_US);
        TEST_EQUAL(stage->net.peer_count, i + 1); /* so peers[i] is client i */
    }
}

/* Ammunition and marker change all the time, with the tick. */
static void stage_run(struct stage* stage, necpnet_entity entity, uint32_t ms, bool changing)
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        if (tick > stage->committed) {
            pilot* state = (pilot*)necpnet_world_get(stage->world, entity);
            if (changing) {
                state->ammunition = (int32_t)(1 + tick % 999);
                snprintf(state->marker, sizeof state->marker, "m%u", (unsigned)(tick % 1000));
                state->position[0] = (float)(tick % 100);
                TEST_OK(necpnet_world_mark(stage->world, entity));
            }
            TEST_OK(necpnet_world_commit(stage->world, tick));
            stage->committed = tick;
        }
        net_step(&stage->net, NET_STEP_US);
        for (int v = 0; v < 2; v++) TEST_OK(necpnet_view_update(stage->views[v], stage->net.now_us));
    }
}

static void stage_check(struct stage* stage, necpnet_entity entity, int owner)
{
    const pilot* real = (const pilot*)necpnet_world_get(stage->world, entity);
    for (int v = 0; v < 2; v++) {
        pilot seen;
        TEST_HINT("client %d, owner %d", v, owner);
        TEST_EQUAL(necpnet_view_is_owner(stage->views[v], entity), v == owner);
        TEST_OK(necpnet_view_get_latest(stage->views[v], entity, &seen, sizeof seen, NULL));
        TEST_NEAR((double)seen.position[0], (double)real->position[0], 0.006);
        TEST_EQUAL(seen.ammunition, v == owner ? real->ammunition : 0);
        TEST_EQUAL_STRING(seen.marker, v == owner ? "" : real->marker);
    }
}

TEST(test_fields_follow_the_owner_and_reach_nobody_else)
{
    struct stage stage;
    stage_begin(&stage);
    pilot start = {{1, 2}, 77, "start"};
    necpnet_entity entity;
    TEST_OK(necpnet_world_spawn(stage.world, 1, &start, &entity));
    static const int owners[] = {0, 1, -1, 1, 0, 1, 0};
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        necpnet_peer owner = owners[i] < 0 ? NECPNET_PEER_NONE : stage.net.peers[owners[i]];
        TEST_OK(necpnet_world_set_owner(stage.world, entity, owner));
        stage_run(&stage, entity, 700, true);
        stage_run(&stage, entity, 8000, false); /* what was lost comes again */
        stage_check(&stage, entity, owners[i]);
    }
    net_end(&stage.net);
    for (int v = 0; v < 2; v++) necpnet_view_destroy(stage.views[v]);
    necpnet_world_destroy(stage.world);
    necpnet_schema_destroy(stage.schema);
}

TEST_MAIN
