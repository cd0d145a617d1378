/* api_versions - client and server with two versions of a schema: what both know arrives, what one does not know is skipped,
 * and a required field that is missing is named to both. Method: net.h, over UDP and WebSocket, with loss on the way. */
#include "net.h"

/* The server's newer version: more fields, a type more, wider ranges. */
typedef struct tank {
    double armour;
    float position[2];
    float turret;
    int32_t shells;
    char crew[40];
} tank;
typedef struct mine {
    bool armed;
} mine;

/* The client's older one. */
typedef struct old_tank {
    char crew[16];
    uint8_t shells;
    float position[2];
    uint8_t gone;
} old_tank;

static const necpnet_field tank_fields[] = {
    NECPNET_VEC2(tank, position, 1, -500, 500, 0.01, NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_REQUIRED),
    NECPNET_INTEGER(tank, shells, 2, 0, 1000, NECPNET_FIELD_SIGNED),
    NECPNET_STRING(tank, crew, 3, 0),
    NECPNET_ANGLE(tank, turret, 5, 0.01, 0),
    NECPNET_FLOAT(tank, armour, 6, 0, 1, 0.01, NECPNET_FIELD_OWNER_ONLY),
};
static const necpnet_field mine_fields[] = {NECPNET_BOOL(mine, armed, 1, 0)};
static const necpnet_field old_tank_fields[] = {
    NECPNET_VEC2(old_tank, position, 1, -100, 100, 0.1, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(old_tank, shells, 2, 0, 100, 0),
    NECPNET_STRING(old_tank, crew, 3, 0),
    NECPNET_BOOL(old_tank, gone, 4, 0),
};
static const necpnet_field broken_fields[] = {
    NECPNET_INTEGER(old_tank, shells, 1, 0, 100, 0),
};
static const necpnet_entity_type new_types[] = {
    {"mine", 1, sizeof(mine), mine_fields, 1},
    {"tank", 2, sizeof(tank), tank_fields, 5},
};
static const necpnet_entity_type old_types[] = {{"tank", 2, sizeof(old_tank), old_tank_fields, 4}};
static const necpnet_entity_type broken_types[] = {{"tank", 2, sizeof(old_tank), broken_fields, 1}};

static const char* const transports[2] = {NET_URL_UDP, NET_URL_WEB};

struct stage {
    struct net net;
    necpnet_schema* schemas[2]; /* server's, client's */
    necpnet_world* world;
    necpnet_view* view;
    struct net_client* client;
    uint32_t committed;
};

static void stage_begin(struct stage* stage, const necpnet_entity_type* types, int count, const char* url)
{
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, new_types, 2, &stage->schemas[0]));
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, types, count, &stage->schemas[1]));
    necpnet_world_config world;
    TEST_OK(necpnet_world_config_default(&world));
    world.allocator = stage->net.allocator;
    world.schema = stage->schemas[0];
    TEST_OK(necpnet_world_create(&world, &stage->world));
    stage->net.server_config.world = stage->world;
    stage->net.link_config.latency_us = 20000;
    stage->net.link_config.loss_ppm = 100000;
    net_serve(&stage->net);
    necpnet_view_config view;
    TEST_OK(necpnet_view_config_default(&view));
    view.allocator = stage->net.allocator;
    view.schema = stage->schemas[1];
    TEST_OK(necpnet_view_create(&view, &stage->view));
    stage->net.client_config.view = stage->view;
    stage->client = net_join(&stage->net, url);
}

static void stage_run(struct stage* stage, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        if (tick > stage->committed) {
            TEST_OK(necpnet_world_commit(stage->world, tick));
            stage->committed = tick;
        }
        net_step(&stage->net, NET_STEP_US);
        TEST_OK(necpnet_view_update(stage->view, stage->net.now_us));
    }
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    necpnet_view_destroy(stage->view);
    necpnet_world_destroy(stage->world);
    necpnet_schema_destroy(stage->schemas[1]);
    necpnet_schema_destroy(stage->schemas[0]);
}

TEST(test_an_older_client_follows_a_newer_server)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        necpnet_entity tanks[2];
        necpnet_entity unknown;
        tank state = {0.5, {12.25f, -300}, 1, 42, "a crew with a long name"};
        mine other = {true};
        stage_begin(&stage, old_types, 1, transports[t]);
        TEST_OK(necpnet_world_spawn(stage.world, 1, &other, &unknown));
        for (int i = 0; i < 2; i++) TEST_OK(necpnet_world_spawn(stage.world, 2, &state, &tanks[i]));
        for (int round = 0; round < 2; round++) {
            stage_run(&stage, 3000);
            TEST_HINT("%s, round %d", transports[t], round);
            TEST_EQUAL(stage.client->connected, 1);
            TEST_EQUAL(stage.client->disconnected, 0);
            necpnet_view_event event;
            int entered = 0;
            for (; necpnet_view_poll(stage.view, &event); entered++) TEST_EQUAL(event.type_id, 2);
            TEST_EQUAL(entered, round ? 0 : 2); /* of the mine nothing is told */
            int seen = 0;
            for (necpnet_entity e = necpnet_view_next(stage.view, 0); e; e = necpnet_view_next(stage.view, e)) seen++;
            TEST_EQUAL(seen, 2);
            old_tank read;
            memset(&read, 0x55, sizeof read);
            TEST_OK(necpnet_view_get(stage.view, tanks[0], &read, sizeof read));
            TEST_NEAR(read.position[0], (double)state.position[0], 0.006);
            TEST_NEAR(read.position[1], (double)state.position[1], 0.006);
            TEST_EQUAL(read.shells, round ? 255 : 42);
            TEST_EQUAL_STRING(read.crew, "a crew with a l");
            TEST_EQUAL(read.gone, 0);
            state.position[1] = 250;
            state.shells = 900; /* more than the older one holds */
            memcpy(necpnet_world_get(stage.world, tanks[0]), &state, sizeof state);
            TEST_OK(necpnet_world_mark(stage.world, tanks[0]));
        }
        stage_end(&stage);
    }
}

TEST(test_a_missing_required_field_is_named_to_the_client)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        stage_begin(&stage, broken_types, 1, transports[t]);
        stage_run(&stage, 3000);
        TEST_HINT("%s: %s", transports[t], stage.client->text);
        TEST_EQUAL(stage.client->reason, NECPNET_ERR_SCHEMA_DIFFERS);
        TEST_EQUAL_STRING(
            stage.client->text,
            "type tank (2), field shells (1): required, and of kind integer at the reader, vec2 at the writer");
        TEST_EQUAL(necpnet_client_get_state(stage.client->client), NECPNET_CLIENT_IDLE); /* again would be no better */
        stage_end(&stage);
    }
}

TEST_MAIN
