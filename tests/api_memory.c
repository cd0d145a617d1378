/* api_memory - aim: an idle session, and what a client has in view, cost a server no more memory than is promised (bench/memory
 * and bench/world_scale have the figures of real sockets and of large worlds). Method: the simulated link (net.h), a server whose allocator counts; what 192 sessions more took, some seconds after
 * they came. Plaintext keys are 16 bytes smaller than those of a cipher, and the stream is the link's. */
#include "net.h"

#define MEMORY_FIRST 64
#define MEMORY_ALL 256
#define MEMORY_STEP_US 20000

static struct net memory_net;
static size_t memory_held;

static void* memory_allocate(size_t bytes, void* user)
{
    const struct necpnet_allocator* inner = (const struct necpnet_allocator*)user;
    void* block = inner->allocate(bytes, inner->user);
    if (block) memory_held += bytes;
    return block;
}

static void memory_release(void* block, size_t bytes, void* user)
{
    const struct necpnet_allocator* inner = (const struct necpnet_allocator*)user;
    memory_held -= bytes;
    inner->release(block, bytes, inner->user);
}

static size_t memory_join(const char* url, int count)
{
    while (memory_net.client_count < count) (void)net_join(&memory_net, url);
    for (int i = 0; i < 700; i++) net_step(&memory_net, MEMORY_STEP_US); /* ACCEPTs are remembered for 10 s */
    TEST_EQUAL(memory_net.peer_count, count);
    return memory_held;
}

static size_t memory_of_a_session(const char* url)
{
    net_begin(&memory_net);
    memory_held = 0;
    memory_net.server_config.allocator.allocate = memory_allocate;
    memory_net.server_config.allocator.release = memory_release;
    memory_net.server_config.allocator.user = &memory_net.allocator;
    memory_net.server_config.peers_max = MEMORY_ALL;
    memory_net.client_config.datagram_bytes_max = NECPNET_DATAGRAM_BYTES_DEFAULT;
    memory_net.link_config.latency_us = 1000;
    net_serve(&memory_net);
    size_t first = memory_join(url, MEMORY_FIRST);
    size_t all = memory_join(url, MEMORY_ALL);
    net_end(&memory_net);
    TEST_EQUAL(memory_held, 0);
    return (all - first) / (MEMORY_ALL - MEMORY_FIRST);
}

TEST(test_an_idle_session_over_udp_takes_two_kilobytes)
{
    TEST_AT_MOST(memory_of_a_session(NET_URL_UDP), 1984);
}

TEST(test_an_idle_session_over_websocket_takes_one_kilobyte)
{
    TEST_AT_MOST(memory_of_a_session(NET_URL_WEB), 1024 - 16);
}

/* ---- what is in view */

#define SIGHT_CLIENTS 96
#define SIGHT_SIDE 32 /* entities to a side, ten units apart */
#define SIGHT_SPELL 40

typedef struct body {
    float position[2];
    uint16_t health;
} body;

static const necpnet_field body_fields[] = {
    NECPNET_VEC2(body, position, 1, -1000, 1000, 0.01, NECPNET_FIELD_POSITION),
    NECPNET_INTEGER(body, health, 2, 0, 1000, 0),
};
static const necpnet_entity_type body_type = {"body", 1, sizeof(body), body_fields, 2};

static necpnet_world* sight_world;
static necpnet_entity sight_bodies[SIGHT_SIDE * SIGHT_SIDE];
static uint32_t sight_tick;

/* Walks for two seconds of twenty, as bench/world_scale has it. */
static void sight_walk(uint32_t index)
{
    uint32_t phase = (sight_tick + index * 7919u) % (SIGHT_SPELL * 10);
    if (phase >= SIGHT_SPELL) return;
    body* at = (body*)necpnet_world_get(sight_world, sight_bodies[index]);
    at->position[index % 2] += (phase < SIGHT_SPELL / 2 ? 0.1f : -0.1f) + 0.01f * (float)(phase % 3);
    TEST_OK(necpnet_world_mark(sight_world, sight_bodies[index]));
}

static void sight_run(int ticks)
{
    for (int i = 0; i < ticks; i++) {
        sight_tick++;
        for (uint32_t index = 0; index < SIGHT_SIDE * SIGHT_SIDE; index++) sight_walk(index);
        TEST_OK(necpnet_world_commit(sight_world, sight_tick));
        for (int step = 0; step < 5; step++) net_step(&memory_net, 10000);
    }
}

static void sight_open(const necpnet_schema* schema)
{
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator.allocate = memory_allocate;
    config.allocator.release = memory_release;
    config.allocator.user = &memory_net.allocator;
    config.schema = schema;
    config.send_hz = 20;
    config.interest_cell = 20;
    config.interest_radius = 2;
    TEST_OK(necpnet_world_create(&config, &sight_world));
    for (int i = 0; i < SIGHT_SIDE * SIGHT_SIDE; i++) {
        body at = {
            {(float)(i % SIGHT_SIDE - SIGHT_SIDE / 2) * 10 + 5, (float)(i / SIGHT_SIDE - SIGHT_SIDE / 2) * 10 + 5}, 0};
        TEST_OK(necpnet_world_spawn(sight_world, 1, &at, &sight_bodies[i]));
    }
}

static void sight_join(const necpnet_schema* schema, necpnet_view** views)
{
    necpnet_view_config config;
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = memory_net.allocator;
    config.schema = schema;
    for (int i = 0; i < SIGHT_CLIENTS; i++) {
        TEST_OK(necpnet_view_create(&config, &views[i]));
        memory_net.client_config.view = views[i];
        memory_net.link_config.latency_us = 10000 + 1000 * (uint32_t)(i % 90);
        struct net_client* client = net_join(&memory_net, NET_URL_UDP);
        TEST_OK(necpnet_link_configure(memory_net.link, client->transport, &memory_net.link_config));
    }
    for (int ticks = 0; ticks < 100 && memory_net.peer_count < SIGHT_CLIENTS; ticks++) sight_run(1);
    TEST_EQUAL(memory_net.peer_count, SIGHT_CLIENTS);
    for (int i = 0; i < SIGHT_CLIENTS; i++) {
        double x = (double)(i % 12 - 6) * 16 + 3, y = (double)(i / 12 - 4) * 22 + 3;
        TEST_OK(necpnet_world_set_observer_at(sight_world, memory_net.peers[i], x, y));
    }
}

/* History and slots are there before the clients; what they all share (records) counts. In a world of a tenth of that
 * of bench/world_scale, so that the steps of tables weigh more. */
TEST(test_an_entity_in_view_of_a_client_takes_64_bytes)
{
    static necpnet_view* views[SIGHT_CLIENTS];
    necpnet_schema* schema = NULL;
    net_begin(&memory_net);
    memory_held = 0;
    sight_tick = 0;
    TEST_OK(necpnet_schema_create(&memory_net.allocator, NULL, &body_type, 1, &schema));
    sight_open(schema);
    memory_net.server_config.world = sight_world;
    memory_net.server_config.peers_max = SIGHT_CLIENTS;
    net_serve(&memory_net);
    sight_run(SIGHT_SPELL * 10);
    size_t before = memory_held;
    sight_join(schema, views);
    sight_run(200);
    uint64_t in_view = 0;
    for (int i = 0; i < SIGHT_CLIENTS; i++) {
        necpnet_view_statistics statistics;
        TEST_OK(necpnet_view_get_statistics(views[i], &statistics));
        in_view += statistics.entities;
    }
    printf("%.1f entities in view, %.1f bytes a client and entity in view\n", (double)in_view / SIGHT_CLIENTS,
           (double)(memory_held - before) / (double)in_view);
    TEST_AT_LEAST(in_view, SIGHT_CLIENTS * 90u);
    TEST_AT_MOST(memory_held - before, in_view * 64);
    net_end(&memory_net);
    for (int i = 0; i < SIGHT_CLIENTS; i++) necpnet_view_destroy(views[i]);
    necpnet_world_destroy(sight_world);
    necpnet_schema_destroy(schema);
    TEST_EQUAL(memory_held, 0);
}

TEST_MAIN
