/* test_runner - a client on an I/O thread: the ring that joins the threads, and a runner against a real server.
 *
 * The server is turned by the test's thread, over the loopback interface. Nothing sleeps: the test turns until what it
 * waits for has happened, and fails after PATIENCE_US. Run it under tsan, too.
 */
#include "test.h"
#include "nn_runner.h"

#define PATIENCE_US UINT64_C(20000000)

/* ---- the ring -- */

struct ring_work {
    nn_ring ring;
    nn_thread thread;
    uint32_t count;
    uint64_t seed;
};

static uint32_t ring_bytes_of(struct test_random* random, const nn_ring* ring)
{
    return 4 + (uint32_t)test_random_below(random, test_random_below(random, 8) ? 60 : nn_ring_record_max(ring) - 4);
}

static void ring_write(void* user)
{
    struct ring_work* work = (struct ring_work*)user;
    struct test_random random = test_random_begin(work->seed);
    for (uint32_t i = 0; i < work->count; i++) {
        uint32_t bytes = ring_bytes_of(&random, &work->ring);
        uint8_t* at;
        while ((at = (uint8_t*)nn_ring_begin(&work->ring, bytes)) == NULL) {
        }
        memset(at, (int)(i & 0xff), bytes);
        memcpy(at, &i, sizeof i);
        nn_ring_commit(&work->ring);
    }
}

TEST(test_ring_carries_records_whole_and_in_order_between_threads)
{
    TEST_EACH_SEED (seed, 5) {
        necpnet_allocator allocator = test_allocator();
        nn_alloc alloc;
        nn_alloc_init(&alloc, &allocator);
        static struct ring_work work;
        memset(&work, 0, sizeof work);
        work.count = 20000;
        work.seed = seed;
        TEST_OK(nn_ring_init(&work.ring, &alloc, 1024));
        TEST_CHECK(nn_thread_start(&work.thread, ring_write, &work));
        struct test_random random = test_random_begin(seed);
        int wrong = 0;
        for (uint32_t i = 0; i < work.count; i++) {
            uint32_t bytes = ring_bytes_of(&random, &work.ring);
            uint8_t* at;
            while ((at = (uint8_t*)nn_ring_peek(&work.ring)) == NULL) {
            }
            uint32_t number;
            memcpy(&number, at, sizeof number);
            wrong += number != i;
            for (uint32_t k = 4; k < bytes; k++) wrong += at[k] != (uint8_t)i;
            wrong += (uintptr_t)at % NN_RING_ALIGNMENT != 0;
            nn_ring_release(&work.ring);
        }
        nn_thread_join(&work.thread);
        TEST_EQUAL(wrong, 0);
        TEST_CHECK(nn_ring_peek(&work.ring) == NULL);
        nn_ring_reset(&work.ring, &alloc);
    }
}

TEST(test_ring_refuses_what_does_not_fit_and_takes_it_later)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    nn_ring ring;
    TEST_OK(nn_ring_init(&ring, &alloc, 64));
    TEST_CHECK(nn_ring_begin(&ring, nn_ring_record_max(&ring) + 1) == NULL);
    for (int round = 0; round < 100; round++) {
        int written = 0;
        while (nn_ring_begin(&ring, 8)) {
            nn_ring_commit(&ring);
            written++;
        }
        TEST_EQUAL(written, 4);
        for (int i = 0; i < written; i++) {
            TEST_CHECK(nn_ring_peek(&ring) != NULL);
            nn_ring_release(&ring);
        }
        TEST_CHECK(nn_ring_begin(&ring, nn_ring_record_max(&ring)) != NULL); /* begun, never committed: not there */
        TEST_CHECK(nn_ring_peek(&ring) == NULL);
        TEST_CHECK(nn_ring_begin(&ring, 8) != NULL);
        nn_ring_commit(&ring);
        nn_ring_peek(&ring);
        nn_ring_release(&ring);
    }
    nn_ring_reset(&ring, &alloc);
}

/* ---- a runner and a server -- */

struct mover {
    float x;
    int32_t lives;
};

struct world {
    necpnet_server* server;
    necpnet_runner* runner;
    char url[64];
    necpnet_peer peer;
    int connected; /* the runner's events */
    int disconnected;
    int failed;
    necpnet_result reason;
    uint32_t code;
    char text[128];
    uint32_t echoes;
    uint32_t next; /* number of the next message expected back */
    int disorder;
    size_t bytes; /* of the last message */
    bool same;    /* the last message was the number repeated */
    char name[64];
    uint64_t receipt;
    uint32_t inputs; /* the server's */
    uint32_t input_tick;
    int left; /* the server's */
    uint32_t left_code;
};

static void world_begin(struct world* world, bool websocket, necpnet_world* entities, necpnet_view* view)
{
    memset(world, 0, sizeof *world);
    necpnet_server_config server;
    TEST_OK(necpnet_server_config_default(&server));
    server.allocator = test_allocator();
    server.bind_address = "127.0.0.1";
    server.udp_port = websocket ? -1 : 0;
    server.tcp_port = websocket ? 0 : -1;
    server.security = NECPNET_SECURITY_NONE;
    server.world = entities;
    necpnet_channel_config channels[NECPNET_CHANNELS_DEFAULT];
    for (int i = 0; i < NECPNET_CHANNELS_DEFAULT; i++) {
        channels[i] = server.channels[i];
        channels[i].queue_bytes_max = 64u << 20; /* it echoes whatever the runner sends, as fast as it may */
        channels[i].queue_messages_max = 16384;
    }
    server.channels = channels;
    TEST_OK(necpnet_server_create(&server, &world->server));
    int udp, tcp;
    TEST_OK(necpnet_server_get_ports(world->server, &udp, &tcp));
    if (websocket) {
        snprintf(world->url, sizeof world->url, "ws://127.0.0.1:%d/ws", tcp);
    } else {
        snprintf(world->url, sizeof world->url, "udp://127.0.0.1:%d", udp);
    }
    necpnet_client_config client;
    TEST_OK(necpnet_client_config_default(&client));
    client.allocator = test_allocator();
    client.security = NECPNET_SECURITY_NONE;
    client.view = view;
    TEST_OK(necpnet_runner_create(&client, 65536, &world->runner));
}

static void world_end(struct world* world)
{
    necpnet_runner_destroy(world->runner);
    necpnet_server_destroy(world->server);
}

static void world_serve(struct world* world)
{
    necpnet_event event;
    TEST_OK(necpnet_server_update(world->server, necpnet_time_us()));
    while (necpnet_server_poll(world->server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) world->peer = event.peer;
        if (event.type == NECPNET_EVENT_DISCONNECTED) {
            world->left++;
            world->left_code = event.code;
        }
        if (event.type == NECPNET_EVENT_INPUT) {
            world->inputs++;
            world->input_tick = event.tick;
        }
        if (event.type == NECPNET_EVENT_MESSAGE) {
            necpnet_send_options options;
            memset(&options, 0, sizeof options);
            options.name = event.name;
            TEST_OK(
                necpnet_server_send_with(world->server, event.peer, event.channel, event.data, event.bytes, &options));
        }
    }
}

static void world_hear(struct world* world)
{
    necpnet_event event;
    while (necpnet_runner_poll(world->runner, &event)) {
        TEST_CHECK(event.text != NULL);
        if (event.type == NECPNET_EVENT_CONNECTED) world->connected++;
        if (event.type == NECPNET_EVENT_DISCONNECTED) world->disconnected++;
        if (event.type == NECPNET_EVENT_CONNECT_FAILED) world->failed++;
        if (event.type == NECPNET_EVENT_RECEIPT) world->receipt = event.receipt;
        if (event.type == NECPNET_EVENT_MESSAGE) {
            uint32_t number = 0;
            nn_copy(&number, event.data, nn_min_size(event.bytes, sizeof number));
            if (number != world->next++) world->disorder++;
            world->echoes++;
            world->bytes = event.bytes;
            world->same = true;
            const uint8_t* data = (const uint8_t*)event.data;
            for (size_t i = 4; i < event.bytes; i++) world->same &= data[i] == (uint8_t)number;
            snprintf(world->name, sizeof world->name, "%s", event.name ? event.name : "");
        } else {
            world->reason = event.reason;
            world->code = event.code;
            snprintf(world->text, sizeof world->text, "%s", event.text);
        }
    }
}

#define TURN_UNTIL(world, condition) \
    do { \
        uint64_t turn_until_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && necpnet_time_us() < turn_until_us) { \
            world_serve(world); \
            world_hear(world); \
            if (!(condition)) necpnet_server_wait((world)->server, 500); \
        } \
        TEST_CHECK(condition); \
    } while (0)

static void world_connect(struct world* world)
{
    const char* urls[1] = {world->url};
    TEST_OK(necpnet_runner_connect(world->runner, urls, 1));
    TEST_NOT_EQUAL(necpnet_runner_get_state(world->runner), NECPNET_CLIENT_IDLE); /* at once, as the client's */
    TEST_EQUAL(necpnet_runner_connect(world->runner, urls, 1), NECPNET_ERR_INVALID_STATE);
    TURN_UNTIL(world, world->connected == 1 && world->peer);
    TURN_UNTIL(world, necpnet_runner_get_state(world->runner) == NECPNET_CLIENT_CONNECTED);
}

/* Send count messages, as fast as the rings take them. */
static void world_send(struct world* world, uint32_t count, size_t bytes_max)
{
    necpnet_allocator allocator = test_allocator();
    uint8_t* data = (uint8_t*)allocator.allocate(bytes_max, allocator.user);
    struct test_random random = test_random_begin(count);
    uint32_t end = world->next + count;
    uint64_t until_us = necpnet_time_us() + PATIENCE_US;
    size_t bytes = 0;
    for (uint32_t i = world->next; i < end && necpnet_time_us() < until_us;) {
        if (bytes == 0) {
            bytes = 4 + (size_t)test_random_below(&random, bytes_max - 3);
            memset(data, (int)(i & 0xff), bytes);
            memcpy(data, &i, sizeof i);
        }
        necpnet_result result = necpnet_runner_send_with(world->runner, NECPNET_CHANNEL_RELIABLE, data, bytes, NULL);
        TEST_CHECK(result == NECPNET_OK || result == NECPNET_ERR_WOULD_BLOCK);
        if (result == NECPNET_OK) {
            i++;
            bytes = 0;
        }
        world_serve(world);
        world_hear(world);
    }
    TURN_UNTIL(world, world->next == end);
    allocator.release(data, bytes_max, allocator.user);
    TEST_EQUAL(world->disorder, 0);
    TEST_CHECK(world->same);
}

static void runner_echoes(bool websocket)
{
    struct world world;
    world_begin(&world, websocket, NULL, NULL);
    TEST_EQUAL(necpnet_runner_get_state(world.runner), NECPNET_CLIENT_IDLE);
    TEST_EQUAL(necpnet_runner_send_with(world.runner, 0, "x", 1, NULL), NECPNET_ERR_NOT_CONNECTED);
    TEST_EQUAL(necpnet_runner_disconnect(world.runner, 0, NULL, 0), NECPNET_ERR_NOT_CONNECTED);
    world_connect(&world);
    world_send(&world, 2000, 100);
    world_send(&world, 40, 65536); /* more than a quarter of the ring: elsewhere */
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    options.name = "chat.say";
    options.wants_receipt = true;
    options.receipt = 77;
    uint32_t number = world.next;
    TEST_OK(necpnet_runner_send_with(world.runner, NECPNET_CHANNEL_RELIABLE, &number, sizeof number, &options));
    TURN_UNTIL(&world, world.next == number + 1 && world.receipt == 77);
    TEST_EQUAL_STRING(world.name, "chat.say");
    necpnet_statistics statistics;
    TEST_OK(necpnet_runner_get_statistics(world.runner, &statistics));
    TEST_GREATER(statistics.bytes_sent, 100000u);
    uint32_t tick = 0, input_tick = 0;
    if (!websocket) { /* the clock is kept where it is wanted */
        TURN_UNTIL(&world,
                   necpnet_runner_server_tick(world.runner, necpnet_time_us(), &tick, &input_tick) == NECPNET_OK);
        TEST_NEAR((double)tick, (double)necpnet_server_tick(world.server), 30);
        TEST_GREATER(input_tick, tick);
    }
    uint8_t input[3] = {1, 2, 3};
    for (uint32_t i = 1; i <= 5; i++) TEST_OK(necpnet_runner_send_input(world.runner, i, input, sizeof input));
    TURN_UNTIL(&world, world.inputs == 5);
    TEST_EQUAL(world.input_tick, 5u);
    TEST_OK(necpnet_runner_disconnect(world.runner, 42, "bye", 1000));
    TURN_UNTIL(&world, world.disconnected == 1 && world.left == 1);
    TEST_EQUAL(world.reason, NECPNET_ERR_CLOSED);
    TEST_EQUAL(world.left_code, 42u);
    TURN_UNTIL(&world, necpnet_runner_get_state(world.runner) == NECPNET_CLIENT_IDLE);
    world_end(&world);
}

TEST(test_runner_echoes_over_udp)
{
    runner_echoes(false);
}

TEST(test_runner_echoes_over_websocket)
{
    runner_echoes(true);
}

TEST(test_runner_keeps_messages_while_the_game_does_not_poll)
{
    struct world world;
    world_begin(&world, false, NULL, NULL);
    world_connect(&world);
    uint8_t data[1000];
    uint32_t sent = 0;
    uint64_t until_us = necpnet_time_us() + 300000;
    while (necpnet_time_us() < until_us && sent < 1000) { /* a megabyte through rings of 64 KB: nobody polls */
        memset(data, (int)(sent & 0xff), sizeof data);
        memcpy(data, &sent, sizeof sent);
        if (necpnet_runner_send_with(world.runner, NECPNET_CHANNEL_RELIABLE, data, sizeof data, NULL) == NECPNET_OK)
            sent++;
        world_serve(&world);
    }
    TEST_GREATER(sent, 100u);
    TURN_UNTIL(&world, world.echoes == sent);
    TEST_EQUAL(world.disorder, 0);
    TEST_CHECK(world.same);
    world_end(&world);
}

TEST(test_runner_disconnect_goes_before_sends_that_cannot_go)
{
    struct world world;
    world_begin(&world, false, NULL, NULL);
    const char* urls[1] = {world.url};
    TEST_OK(necpnet_runner_connect(world.runner, urls, 1)); /* the server is not turned: it does not answer */
    static uint8_t data[60000];
    uint64_t until_us = necpnet_time_us() + PATIENCE_US;
    int blocked = 0;
    while (blocked < 1000 && necpnet_time_us() < until_us) { /* the channel's queue, then the ring */
        if (necpnet_runner_send_with(world.runner, NECPNET_CHANNEL_RELIABLE, data, sizeof data, NULL) != NECPNET_OK)
            blocked++;
    }
    TEST_EQUAL(blocked, 1000);
    TEST_OK(necpnet_runner_disconnect(world.runner, 1, NULL, 0));
    until_us = necpnet_time_us() + PATIENCE_US;
    while (necpnet_runner_get_state(world.runner) != NECPNET_CLIENT_IDLE && necpnet_time_us() < until_us)
        world_hear(&world);
    TEST_EQUAL(necpnet_runner_get_state(world.runner), NECPNET_CLIENT_IDLE);
    world_end(&world);
}

TEST(test_runner_names_wrong_addresses_and_arguments_at_once)
{
    struct world world;
    world_begin(&world, false, NULL, NULL);
    const char* urls[1] = {"gopher://x"};
    TEST_EQUAL(necpnet_runner_connect(world.runner, urls, 1), NECPNET_ERR_BAD_URL);
    TEST_EQUAL(necpnet_runner_connect(world.runner, NULL, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_runner_set_token(world.runner, "no token", 0), NECPNET_ERR_BAD_TOKEN_TEXT);
    TEST_EQUAL(necpnet_runner_send_with(world.runner, 99, "x", 1, NULL), NECPNET_ERR_NO_SUCH_CHANNEL);
    static uint8_t large[65537];
    TEST_EQUAL(necpnet_runner_send_with(world.runner, 0, large, sizeof large, NULL), NECPNET_ERR_MESSAGE_TOO_LARGE);
    TEST_EQUAL(necpnet_runner_send_input(world.runner, 1, large, 256), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_runner_send_input(world.runner, 1, large, 1), NECPNET_ERR_NOT_CONNECTED);
    uint32_t tick;
    TEST_EQUAL(necpnet_runner_server_tick(world.runner, 1, &tick, NULL), NECPNET_ERR_NOT_CONNECTED);
    TEST_EQUAL(necpnet_runner_connect(world.runner, NULL, 0), NECPNET_OK); /* refused by the client: reported */
    TURN_UNTIL(&world, world.failed == 1);
    TEST_NOT_EQUAL(world.reason, NECPNET_OK);
    necpnet_client_config config;
    TEST_OK(necpnet_client_config_default(&config));
    necpnet_runner* none = NULL;
    TEST_EQUAL(necpnet_runner_create(&config, 1000, &none), NECPNET_ERR_INVALID_ARGUMENT);
    config.struct_bytes = 1;
    TEST_EQUAL(necpnet_runner_create(&config, 65536, &none), NECPNET_ERR_BAD_STRUCT_BYTES);
    world_end(&world);
    necpnet_runner_destroy(NULL);
}

TEST(test_runner_names_a_refused_connection)
{
    struct world world;
    world_begin(&world, true, NULL, NULL);
    char url[64];
    snprintf(url, sizeof url, "%s", world.url);
    necpnet_server_destroy(world.server);
    necpnet_server_config server;
    TEST_OK(necpnet_server_config_default(&server));
    server.allocator = test_allocator();
    server.bind_address = "127.0.0.1";
    server.udp_port = 0;
    server.security = NECPNET_SECURITY_NONE;
    TEST_OK(necpnet_server_create(&server, &world.server)); /* elsewhere */
    const char* urls[1] = {url};
    TEST_OK(necpnet_runner_connect(world.runner, urls, 1));
    TURN_UNTIL(&world, world.failed >= 1);
    TEST_EQUAL(world.reason, NECPNET_ERR_CONNECTION_REFUSED);
    world_end(&world);
}

/* The state that a runner's view shows: its schema, the server's world, and the view. */
struct sight {
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* view;
};

static struct sight sight_begin(uint32_t flags)
{
    const necpnet_field fields[] = {
        NECPNET_FLOAT(struct mover, x, 1, -1000, 1000, 0.01, flags),
        NECPNET_INTEGER(struct mover, lives, 2, 0, 100, 0),
    };
    const necpnet_entity_type types[] = {{"mover", 1, sizeof(struct mover), fields, 2}};
    struct sight sight;
    necpnet_allocator allocator = test_allocator();
    TEST_OK(necpnet_schema_create(&allocator, NULL, types, 1, &sight.schema));
    necpnet_world_config world_config;
    TEST_OK(necpnet_world_config_default(&world_config));
    world_config.allocator = allocator;
    world_config.schema = sight.schema;
    TEST_OK(necpnet_world_create(&world_config, &sight.world));
    necpnet_view_config view_config;
    TEST_OK(necpnet_view_config_default(&view_config));
    view_config.allocator = allocator;
    view_config.schema = sight.schema;
    TEST_OK(necpnet_view_create(&view_config, &sight.view));
    return sight;
}

static void sight_end(struct sight* sight)
{
    necpnet_view_destroy(sight->view);
    necpnet_world_destroy(sight->world);
    necpnet_schema_destroy(sight->schema);
}

TEST(test_runner_feeds_the_view_on_the_games_thread)
{
    struct sight sight = sight_begin(NECPNET_FIELD_INTERPOLATE);
    necpnet_world* entities = sight.world;
    necpnet_view* view = sight.view;
    struct mover mover = {1, 1};
    necpnet_entity entity;
    TEST_OK(necpnet_world_spawn(entities, 1, &mover, &entity));
    struct world world;
    world_begin(&world, false, entities, view);
    world_connect(&world);
    struct mover seen = {0, 0};
    uint64_t until_us = necpnet_time_us() + PATIENCE_US;
    int32_t lives = 1;
    uint32_t tick = 0;
    while (necpnet_time_us() < until_us && seen.lives < 20) { /* the entity changes until the view has seen 20 */
        if (tick != necpnet_server_tick(world.server)) {
            tick = necpnet_server_tick(world.server);
            if (seen.lives == lives || lives == 1) lives++;
            struct mover* state = (struct mover*)necpnet_world_get(entities, entity);
            state->lives = lives;
            state->x = (float)lives;
            TEST_OK(necpnet_world_mark(entities, entity));
            TEST_OK(necpnet_world_commit(entities, tick));
        }
        world_serve(&world);
        world_hear(&world);
        TEST_OK(necpnet_view_update(view, necpnet_time_us()));
        uint32_t seen_tick;
        if (necpnet_view_get_latest(view, entity, &seen, sizeof seen, &seen_tick) != NECPNET_OK) seen.lives = 0;
        necpnet_server_wait(world.server, 1000);
    }
    TEST_AT_LEAST(seen.lives, 20);
    TEST_NEAR(seen.x, (double)seen.lives, 0.02);
    TEST_EQUAL(world.disconnected, 0);
    TEST_OK(necpnet_runner_disconnect(world.runner, 0, NULL, 0));
    TURN_UNTIL(&world, world.disconnected == 1);
    TURN_UNTIL(&world, necpnet_view_next(view, NECPNET_ENTITY_NONE) == NECPNET_ENTITY_NONE); /* all have left */
    world_end(&world);
    sight_end(&sight);
}

/* What the game's thread writes reaches the server by the runner's thread, and the answers come back: by authority that is asked
 * for, and into a shared entity that the server changes at the same time. */
TEST(test_runner_carries_writes_and_their_answers)
{
    for (int websocket = 0; websocket < 2; websocket++) {
        struct sight sight = sight_begin(0); /* what is read is what was written */
        necpnet_world* entities = sight.world;
        necpnet_view* view = sight.view;
        struct mover mover = {1, 1};
        necpnet_entity own;
        necpnet_entity shared;
        TEST_OK(necpnet_world_spawn(entities, 1, &mover, &own));
        TEST_OK(necpnet_world_spawn(entities, 1, &mover, &shared));
        TEST_OK(necpnet_world_set_authority(entities, own, NECPNET_AUTHORITY_OWNER));
        TEST_OK(necpnet_world_set_authority(entities, shared, NECPNET_AUTHORITY_SHARED));
        struct world world;
        world_begin(&world, websocket, entities, view);
        world_connect(&world);
        uint64_t until_us = necpnet_time_us() + PATIENCE_US;
        uint32_t tick = 0, asked = 0;
        int given = 0, written = 0, conflicts = 0, lost = 0;
        bool released = false;
        const struct mover* real = (const struct mover*)necpnet_world_get(entities, own);
        while (necpnet_time_us() < until_us && !(lost && written >= 5)) {
            necpnet_world_event told;
            necpnet_view_event event;
            if (tick != necpnet_server_tick(world.server)) {
                tick = necpnet_server_tick(world.server);
                TEST_OK(necpnet_world_commit(entities, tick));
                struct mover state;
                uint32_t base = 0;
                if (necpnet_view_has_authority(view, own, NULL) && real->lives < 20 &&
                    necpnet_view_get(view, own, &state, sizeof state) == NECPNET_OK) {
                    state.lives++;
                    state.x += 0.5f;
                    TEST_OK(necpnet_view_write(view, own, &state, sizeof state, 0, NULL));
                } else if (given && !released && real->lives >= 20) {
                    released = necpnet_view_release_authority(view, own) == NECPNET_OK;
                } else if (!asked) {
                    asked = necpnet_view_request_authority(view, own) == NECPNET_OK;
                }
                if (necpnet_view_get_latest(view, shared, &state, sizeof state, &base) == NECPNET_OK) {
                    state.lives = (state.lives + 1) % 100;
                    TEST_OK(necpnet_view_write(view, shared, &state, sizeof state, base, NULL));
                }
            }
            while (necpnet_world_poll(entities, &told)) {
                if (told.type == NECPNET_WORLD_AUTHORITY_REQUESTED)
                    TEST_OK(necpnet_world_set_owner(entities, told.entity, told.peer));
            }
            world_serve(&world);
            world_hear(&world);
            TEST_OK(necpnet_view_update(view, necpnet_time_us()));
            while (necpnet_view_poll(view, &event)) {
                if (event.type == NECPNET_VIEW_AUTHORITY_GIVEN) given++;
                if (event.type == NECPNET_VIEW_AUTHORITY_LOST) lost++;
                if (event.type == NECPNET_VIEW_WRITTEN) written++;
                if (event.type == NECPNET_VIEW_CONFLICT) conflicts++;
            }
            necpnet_server_wait(world.server, 1000);
        }
        TEST_HINT("websocket %d: given %d, lost %d, written %d, conflicts %d", websocket, given, lost, written,
                  conflicts);
        TEST_AT_LEAST(real->lives, 20);
        TEST_NEAR((double)real->x, 1 + 0.5 * (real->lives - 1), 0.02);
        TEST_EQUAL(given, 1);
        TEST_EQUAL(lost, 1);
        TEST_AT_LEAST(written, 5);
        TEST_EQUAL(world.disconnected, 0);
        world_end(&world);
        sight_end(&sight);
    }
}

TEST(test_runner_is_destroyed_in_the_middle_of_everything)
{
    for (int round = 0; round < 20; round++) {
        struct world world;
        world_begin(&world, round % 2 == 1, NULL, NULL);
        const char* urls[1] = {world.url};
        TEST_OK(necpnet_runner_connect(world.runner, urls, 1));
        for (int i = 0; i < round; i++) {
            world_serve(&world);
            uint32_t number = (uint32_t)i;
            necpnet_runner_send_with(world.runner, NECPNET_CHANNEL_RELIABLE, &number, sizeof number, NULL);
        }
        world_end(&world);
    }
}

TEST(test_runner_gives_everything_back_when_memory_fails)
{
    necpnet_client_config config;
    TEST_OK(necpnet_client_config_default(&config));
    config.allocator = test_allocator();
    config.security = NECPNET_SECURITY_NONE;
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_runner* runner = NULL;
        necpnet_result result = necpnet_runner_create(&config, 65536, &runner);
        TEST_CHECK(result == NECPNET_OK || (result == NECPNET_ERR_OUT_OF_MEMORY && !runner));
        if (test_allocation_failed() && result == NECPNET_OK) TEST_CHECK(runner != NULL); /* the thread's, later */
        necpnet_runner_destroy(runner);
    }
}

TEST_MAIN
