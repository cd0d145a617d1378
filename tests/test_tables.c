/* test_tables - aim: tables of a game's own are used with clients that have the same and with no others, tables that both lack are
 * named at connect, and a codec may be chosen for one client and for one type. Method: net.h with a world of two types that
 * move, over UDP with loss and over WebSocket; own tables are the built-in ones with worse odds of events, so that their use shows
 * in the bytes; after each run every entity of every view is compared with the world's. */
#include "net.h"

#include "nn_bytes.h"
#include "nn_schema.h"
#include "nn_view.h"

#define TABLES_THINGS 24

typedef struct body {
    double position[3];
    int32_t charge;
} body;
typedef struct walker {
    double position[2];
    double heading;
    char name[12];
} walker;

static const necpnet_field body_fields[] = {
    NECPNET_VEC3(body, position, 1, -500, 500, 0.01, 0),
    NECPNET_INTEGER(body, charge, 2, 0, 1000, NECPNET_FIELD_SIGNED),
};
static const necpnet_field walker_fields[] = {
    NECPNET_VEC2(walker, position, 1, -500, 500, 0.01, 0),
    NECPNET_ANGLE(walker, heading, 2, 0.01, 0),
    NECPNET_STRING(walker, name, 3, 0),
};
static const necpnet_entity_type types[] = {{"body", 3, sizeof(body), body_fields, 2},
                                            {"walker", 9, sizeof(walker), walker_fields, 3}};

static const char* const transports[2] = {NET_URL_UDP, NET_URL_WEB};

struct stage {
    struct net net;
    struct test_random random;
    necpnet_schema* schemas[3]; /* server's, clients' */
    necpnet_world* world;
    necpnet_view* views[2];
    struct net_client* clients[2];
    necpnet_entity entities[TABLES_THINGS];
    double speeds[TABLES_THINGS][3];
    uint32_t tick;
    uint64_t noise; /* of a step, in hundredths */
};

/* The built-in blob with other odds of events. */
static const uint8_t* other_blob(size_t* out_bytes)
{
    static uint8_t blob[16384];
    const uint8_t* built_in = nn_tables_blob(out_bytes);
    TEST_LESS(*out_bytes, sizeof blob);
    memcpy(blob, built_in, *out_bytes);
    for (size_t i = 0; i < NN_EVENT_LEVELS; i++) nn_store_u16(blob + 5 + 2 * i, 60000);
    return blob;
}

static void stage_begin(struct stage* stage, uint64_t seed, necpnet_codec codec)
{
    memset(stage, 0, sizeof *stage);
    stage->random = test_random_begin(seed);
    net_begin(&stage->net);
    for (int i = 0; i < 3; i++)
        TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, types, 2, &stage->schemas[i]));
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = stage->net.allocator;
    config.schema = stage->schemas[0];
    config.codec = codec;
    config.send_hz = 60;
    TEST_OK(necpnet_world_create(&config, &stage->world));
    for (int i = 0; i < TABLES_THINGS; i++) {
        body one = {{(double)i, 2, 3}, 0};
        walker two = {{(double)i, 1}, 0, "walker"};
        uint16_t type = i % 2 ? 3 : 9;
        TEST_OK(necpnet_world_spawn(stage->world, type, i % 2 ? (void*)&one : (void*)&two, &stage->entities[i]));
        for (int j = 0; j < 3; j++) stage->speeds[i][j] = (double)test_random_below(&stage->random, 100) / 200;
    }
}

static void stage_serve(struct stage* stage, uint32_t loss_ppm)
{
    stage->net.server_config.world = stage->world;
    stage->net.link_config.latency_us = 25000;
    stage->net.link_config.loss_ppm = loss_ppm;
    net_serve(&stage->net);
}

static void stage_join(struct stage* stage, int index, const char* url)
{
    necpnet_view_config config;
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = stage->net.allocator;
    config.schema = stage->schemas[index + 1];
    TEST_OK(necpnet_view_create(&config, &stage->views[index]));
    stage->net.client_config.view = stage->views[index];
    stage->clients[index] = net_join(&stage->net, url);
}

static void stage_move(struct stage* stage)
{
    for (int i = 0; i < TABLES_THINGS; i++) {
        double* at = i % 2 ? ((body*)necpnet_world_get(stage->world, stage->entities[i]))->position
                           : ((walker*)necpnet_world_get(stage->world, stage->entities[i]))->position;
        for (int j = 0; j < 2; j++) {
            at[j] += stage->speeds[i][j];
            if (stage->noise) at[j] += (double)test_random_below(&stage->random, stage->noise) / 100;
        }
        if (i % 2 && test_random_below(&stage->random, 9) == 0) {
            ((body*)necpnet_world_get(stage->world, stage->entities[i]))->charge =
                (int32_t)test_random_below(&stage->random, 1000);
        }
        if (test_random_below(&stage->random, 40) == 0) stage->speeds[i][0] = -stage->speeds[i][0];
        TEST_OK(necpnet_world_mark(stage->world, stage->entities[i]));
    }
}

static void stage_run(struct stage* stage, uint32_t ms, bool moves)
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        if (tick > stage->tick) {
            if (moves) stage_move(stage);
            TEST_OK(necpnet_world_commit(stage->world, tick));
            stage->tick = tick;
        }
        net_step(&stage->net, NET_STEP_US);
        for (int v = 0; v < 2; v++) {
            if (stage->views[v]) TEST_OK(necpnet_view_update(stage->views[v], stage->net.now_us));
        }
    }
}

static void stage_compare(const struct stage* stage)
{
    for (int v = 0; v < 2; v++) {
        if (!stage->views[v]) continue;
        for (int i = 0; i < TABLES_THINGS; i++) {
            TEST_HINT("view %d, entity %d", v, i);
            const void* real = necpnet_world_get(stage->world, stage->entities[i]);
            if (i % 2) {
                body seen;
                TEST_OK(necpnet_view_get(stage->views[v], stage->entities[i], &seen, sizeof seen));
                TEST_NEAR(seen.position[0], ((const body*)real)->position[0], 0.006);
                TEST_NEAR(seen.position[1], ((const body*)real)->position[1], 0.006);
                TEST_EQUAL(seen.charge, ((const body*)real)->charge);
            } else {
                walker seen;
                TEST_OK(necpnet_view_get(stage->views[v], stage->entities[i], &seen, sizeof seen));
                TEST_NEAR(seen.position[0], ((const walker*)real)->position[0], 0.006);
                TEST_EQUAL_STRING(seen.name, "walker");
            }
        }
    }
}

static uint64_t stage_bytes(const struct stage* stage, int view)
{
    necpnet_view_statistics statistics;
    TEST_OK(necpnet_view_get_statistics(stage->views[view], &statistics));
    return statistics.bytes;
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    for (int i = 0; i < 2; i++) necpnet_view_destroy(stage->views[i]);
    necpnet_world_destroy(stage->world);
    for (int i = 0; i < 3; i++) necpnet_schema_destroy(stage->schemas[i]);
}

TEST(test_own_tables_are_used_with_clients_that_have_them_alone)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        size_t bytes;
        const uint8_t* blob = other_blob(&bytes);
        stage_begin(&stage, 1, NECPNET_CODEC_DEFAULT);
        uint64_t built_in = necpnet_schema_get_tables_hash(stage.schemas[0]);
        TEST_OK(necpnet_schema_set_tables(stage.schemas[0], blob, bytes));
        TEST_OK(necpnet_schema_set_tables(stage.schemas[1], blob, bytes));
        TEST_CHECK(necpnet_schema_get_tables_hash(stage.schemas[0]) != built_in);
        TEST_EQUAL(necpnet_schema_get_tables_hash(stage.schemas[2]), built_in);
        stage_serve(&stage, 0);
        stage_join(&stage, 0, transports[t]);
        stage_join(&stage, 1, transports[t]);
        stage_run(&stage, 3000, true);
        stage_run(&stage, 2000, false);
        stage_compare(&stage);
        TEST_HINT("%s: %d %s; %d %s", transports[t], stage.clients[0]->reason, stage.clients[0]->text,
                  stage.clients[1]->reason, stage.clients[1]->text);
        TEST_EQUAL(stage.clients[0]->connected + stage.clients[1]->connected, 2);
        TEST_HINT("%s", transports[t]);
        TEST_LESS(stage_bytes(&stage, 1), stage_bytes(&stage, 0)); /* they are bad */
        stage_end(&stage);
    }
}

TEST(test_a_client_with_tables_follows_a_server_without)
{
    struct stage stage;
    size_t bytes;
    const uint8_t* blob = other_blob(&bytes);
    stage_begin(&stage, 2, NECPNET_CODEC_THIN);
    TEST_OK(necpnet_schema_set_tables(stage.schemas[1], blob, bytes));
    stage_serve(&stage, 50000);
    stage_join(&stage, 0, NET_URL_UDP);
    stage_run(&stage, 2000, true);
    stage_run(&stage, 1500, false);
    stage_compare(&stage);
    stage_end(&stage);
}

TEST(test_tables_that_no_side_shares_are_named_at_connect)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        stage_begin(&stage, 3, NECPNET_CODEC_DEFAULT);
        stage.schemas[1]->tables->hash = UINT64_C(0x1122334455667788); /* a client that was built with other tables */
        stage_serve(&stage, 0);
        stage_join(&stage, 0, transports[t]);
        stage_run(&stage, 1500, true);
        TEST_EQUAL(stage.clients[0]->connected, 0);
        TEST_EQUAL(stage.clients[0]->reason, NECPNET_ERR_SCHEMA_DIFFERS);
        TEST_CHECK(strstr(stage.clients[0]->text, "the codec's tables differ: client 1122334455667788, server ") !=
                   NULL);
        stage_end(&stage);
    }
}

/* Other built-in tables do no harm where both have the same of their own. */
TEST(test_own_tables_bridge_two_builds)
{
    struct stage stage;
    size_t bytes;
    const uint8_t* blob = other_blob(&bytes);
    stage_begin(&stage, 4, NECPNET_CODEC_DEFAULT);
    stage.schemas[1]->tables->hash = 5;
    for (int i = 0; i < 2; i++) TEST_OK(necpnet_schema_set_tables(stage.schemas[i], blob, bytes));
    stage_serve(&stage, 0);
    stage_join(&stage, 0, NET_URL_UDP);
    stage_run(&stage, 1500, true);
    stage_run(&stage, 1500, false);
    stage_compare(&stage);
    stage_end(&stage);
}

/* Each client and each type changes its codec in the middle of it, in all ways. */
TEST(test_codecs_of_clients_and_types_change_at_any_time)
{
    TEST_EACH_SEED (seed, 6) {
        struct stage stage;
        size_t bytes;
        const uint8_t* blob = other_blob(&bytes);
        stage_begin(&stage, seed, seed % 3 ? NECPNET_CODEC_DEFAULT : NECPNET_CODEC_THIN);
        if (seed % 2) {
            for (int i = 0; i < 2; i++) TEST_OK(necpnet_schema_set_tables(stage.schemas[i], blob, bytes));
        }
        stage_serve(&stage, 50000);
        for (int i = 0; i < 2; i++) stage_join(&stage, i, transports[(seed + (uint64_t)i) % 2]);
        stage_run(&stage, 1000, true);
        for (int round = 0; round < 12; round++) {
            necpnet_peer peer = stage.net.peers[test_random_below(&stage.random, (uint64_t)stage.net.peer_count)];
            necpnet_codec codec = test_random_below(&stage.random, 2) ? NECPNET_CODEC_THIN : NECPNET_CODEC_DEFAULT;
            if (test_random_below(&stage.random, 2)) {
                TEST_OK(necpnet_world_set_codec(stage.world, peer, codec));
            } else {
                uint16_t type = test_random_below(&stage.random, 2) ? 3 : 9;
                TEST_OK(necpnet_world_set_type_codec(stage.world, type, codec));
            }
            stage_run(&stage, 150 + (uint32_t)test_random_below(&stage.random, 200), true);
        }
        stage_run(&stage, 2500, false);
        stage_compare(&stage);
        for (int i = 0; i < 2; i++) TEST_EQUAL(stage.clients[i]->reason, NECPNET_OK);
        stage_end(&stage);
    }
}

/* What moves at random costs less thin. For one type it lies between, but for the two bytes of a frame that say so. */
TEST(test_thin_for_one_type_saves_on_that_type)
{
    uint64_t bytes[3];
    for (int round = 0; round < 3; round++) {
        struct stage stage;
        stage_begin(&stage, 5, round == 2 ? NECPNET_CODEC_THIN : NECPNET_CODEC_DEFAULT);
        if (round == 1) TEST_OK(necpnet_world_set_type_codec(stage.world, 3, NECPNET_CODEC_THIN));
        stage.noise = 1000;
        stage_serve(&stage, 0);
        stage_join(&stage, 0, NET_URL_UDP);
        stage_run(&stage, 6000, true);
        necpnet_view_statistics statistics;
        TEST_OK(necpnet_view_get_statistics(stage.views[0], &statistics));
        bytes[round] = statistics.bytes - (round == 1 ? 2 * statistics.states : 0);
        stage_end(&stage);
    }
    TEST_LESS(bytes[1], bytes[0]);
    TEST_LESS(bytes[2], bytes[1]);
}

TEST(test_tables_bad_arguments)
{
    struct stage stage;
    size_t bytes;
    const uint8_t* blob = other_blob(&bytes);
    stage_begin(&stage, 1, NECPNET_CODEC_DEFAULT);
    uint64_t hash = necpnet_schema_get_tables_hash(stage.schemas[0]);
    TEST_EQUAL(necpnet_schema_set_tables(NULL, blob, bytes), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_schema_set_tables(stage.schemas[0], NULL, 5), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_schema_set_tables(stage.schemas[0], blob, bytes - 1), NECPNET_ERR_BAD_DATA);
    TEST_EQUAL(necpnet_schema_set_tables(stage.schemas[0], "", 0), NECPNET_ERR_BAD_DATA);
    TEST_EQUAL(necpnet_schema_get_tables_hash(stage.schemas[0]), hash);
    TEST_OK(necpnet_schema_set_tables(stage.schemas[0], blob, bytes));
    TEST_OK(necpnet_schema_set_tables(stage.schemas[0], blob, bytes)); /* in place of the former */
    TEST_OK(necpnet_schema_set_tables(stage.schemas[0], NULL, 0));
    TEST_EQUAL(necpnet_schema_get_tables_hash(stage.schemas[0]), hash);
    TEST_EQUAL(necpnet_schema_get_tables_hash(NULL), 0);
    TEST_EQUAL(necpnet_world_set_codec(NULL, 1, NECPNET_CODEC_THIN), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_set_codec(stage.world, 1, NECPNET_CODEC_THIN), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_set_codec(stage.world, 1, (necpnet_codec)2), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_set_type_codec(NULL, 3, NECPNET_CODEC_THIN), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_set_type_codec(stage.world, 4, NECPNET_CODEC_THIN), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_set_type_codec(stage.world, 3, (necpnet_codec)2), NECPNET_ERR_INVALID_ARGUMENT);
    stage_end(&stage);
}

TEST(test_setting_tables_without_memory_changes_nothing)
{
    size_t bytes;
    const uint8_t* blob = other_blob(&bytes);
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_allocator allocator = test_allocator();
        necpnet_schema* schema;
        if (necpnet_schema_create(&allocator, NULL, types, 2, &schema)) continue;
        uint64_t hash = necpnet_schema_get_tables_hash(schema);
        necpnet_result result = necpnet_schema_set_tables(schema, blob, bytes);
        if (result) {
            TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
            TEST_EQUAL(necpnet_schema_get_tables_hash(schema), hash);
        }
        necpnet_schema_destroy(schema);
    }
}

TEST_MAIN
