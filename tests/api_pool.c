/* api_pool - aim: names share a connection when their addresses are the same set, each client can be reached by its names,
 * and health tells how the connection is. Method: real loopback sockets, two servers, ports of the system's choice. */
#include "test.h"

#define PATIENCE_US 20000000
#define SERVERS 2

struct hall {
    struct necpnet_allocator allocator;
    necpnet_loop* loop;
    necpnet_server* servers[SERVERS];
    char urls[SERVERS][2][64]; /* UDP, WebSocket */
    int peers[SERVERS];
    necpnet_pool* pool;
    int connected, disconnected, failed, messages;
    necpnet_client* from; /* of the last message */
};

static void hall_serve(struct hall* hall, int index)
{
    necpnet_server_config config;
    int udp, tcp;
    TEST_OK(necpnet_server_config_default(&config));
    config.allocator = hall->allocator;
    config.loop = hall->loop;
    config.security = NECPNET_SECURITY_NONE;
    config.udp_port = 0;
    config.tcp_port = 0;
    TEST_OK(necpnet_server_create(&config, &hall->servers[index]));
    TEST_OK(necpnet_server_get_ports(hall->servers[index], &udp, &tcp));
    snprintf(hall->urls[index][0], sizeof hall->urls[index][0], "udp://127.0.0.1:%d", udp);
    snprintf(hall->urls[index][1], sizeof hall->urls[index][1], "ws://127.0.0.1:%d/ws", tcp);
}

static void hall_config(struct hall* hall, necpnet_client_config* config)
{
    TEST_OK(necpnet_client_config_default(config));
    config->allocator = hall->allocator;
    config->security = NECPNET_SECURITY_NONE;
    config->reconnect_delay_min_ms = 10;
    config->reconnect_delay_max_ms = 50;
}

static void hall_begin(struct hall* hall)
{
    necpnet_client_config config;
    memset(hall, 0, sizeof *hall);
    hall->allocator = test_allocator();
    TEST_OK(necpnet_loop_create(&hall->allocator, NECPNET_LOOP_BEST, &hall->loop));
    for (int i = 0; i < SERVERS; i++) hall_serve(hall, i);
    hall_config(hall, &config);
    TEST_OK(necpnet_pool_create(&config, &hall->pool));
    TEST_OK(necpnet_pool_update(hall->pool, necpnet_time_us()));
}

static void hall_turn(struct hall* hall)
{
    necpnet_event event;
    necpnet_client* client;
    TEST_OK(necpnet_loop_step(hall->loop, 1000));
    for (int i = 0; i < SERVERS; i++) {
        if (!hall->servers[i]) continue;
        TEST_OK(necpnet_server_update(hall->servers[i], necpnet_time_us()));
        while (necpnet_server_poll(hall->servers[i], &event)) {
            if (event.type == NECPNET_EVENT_CONNECTED) hall->peers[i]++;
            if (event.type == NECPNET_EVENT_DISCONNECTED) hall->peers[i]--;
            if (event.type != NECPNET_EVENT_MESSAGE) continue;
            TEST_OK(necpnet_server_send(hall->servers[i], event.peer, event.channel, event.data, event.bytes));
        }
    }
    TEST_OK(necpnet_pool_update(hall->pool, necpnet_time_us()));
    while (necpnet_pool_poll(hall->pool, &client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) hall->connected++;
        if (event.type == NECPNET_EVENT_DISCONNECTED) hall->disconnected++;
        if (event.type == NECPNET_EVENT_CONNECT_FAILED) hall->failed++;
        if (event.type != NECPNET_EVENT_MESSAGE) continue;
        hall->messages++;
        hall->from = client;
    }
}

#define HALL_UNTIL(hall, condition) \
    do { \
        uint64_t hall_end_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && necpnet_time_us() < hall_end_us) hall_turn(hall); \
        TEST_CHECK(condition); \
    } while (0)

static void hall_end(struct hall* hall)
{
    necpnet_pool_destroy(hall->pool);
    for (int i = 0; i < SERVERS; i++) necpnet_server_destroy(hall->servers[i]);
    necpnet_loop_destroy(hall->loop);
}

static necpnet_pool_health health_of(struct hall* hall, const char* name)
{
    necpnet_pool_health health;
    TEST_OK(necpnet_pool_get_health(hall->pool, name, &health));
    return health;
}

TEST(test_names_with_the_same_addresses_share_one_connection)
{
    struct hall hall;
    hall_begin(&hall);
    const char* ways[] = {hall.urls[0][0], hall.urls[0][1]};
    const char* back[] = {hall.urls[0][1], hall.urls[0][0]};
    const char* other[] = {hall.urls[1][1]};
    TEST_OK(necpnet_pool_open(hall.pool, "game", ways, 2));
    TEST_OK(necpnet_pool_open(hall.pool, "crafting", back, 2));
    TEST_OK(necpnet_pool_open(hall.pool, "voice", other, 1));
    TEST_EQUAL(necpnet_pool_open(hall.pool, "voice", other, 1), NECPNET_ERR_ALREADY_EXISTS);
    TEST_EQUAL(health_of(&hall, "game").health, NECPNET_HEALTH_CONNECTING);
    TEST_EQUAL_POINTER(necpnet_pool_get(hall.pool, "game"), necpnet_pool_get(hall.pool, "crafting"));
    TEST_CHECK(necpnet_pool_get(hall.pool, "game") != necpnet_pool_get(hall.pool, "voice"));
    TEST_CHECK(necpnet_pool_get(hall.pool, "nothing") == NULL);
    HALL_UNTIL(&hall, hall.connected == 2 && hall.peers[0] == 1 && hall.peers[1] == 1);
    TEST_EQUAL(health_of(&hall, "game").users, 2);
    TEST_EQUAL(health_of(&hall, "game").health, NECPNET_HEALTH_GOOD);
    TEST_EQUAL(health_of(&hall, "voice").users, 1);
    TEST_OK(necpnet_client_send(necpnet_pool_get(hall.pool, "voice"), 0, "hm", 2));
    HALL_UNTIL(&hall, hall.messages == 1);
    TEST_EQUAL_POINTER(hall.from, necpnet_pool_get(hall.pool, "voice"));
    TEST_OK(necpnet_pool_close(hall.pool, "game"));
    TEST_EQUAL(necpnet_pool_close(hall.pool, "game"), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_client_send(necpnet_pool_get(hall.pool, "crafting"), 0, "on", 2)); /* still there */
    HALL_UNTIL(&hall, hall.messages == 2);
    TEST_OK(necpnet_pool_close(hall.pool, "crafting"));
    HALL_UNTIL(&hall, hall.peers[0] == 0);
    TEST_EQUAL(hall.peers[1], 1);
    hall_end(&hall);
}

TEST(test_health_tells_of_a_loss_and_of_coming_back)
{
    struct hall hall;
    hall_begin(&hall);
    const char* ways[] = {hall.urls[0][1]};
    TEST_OK(necpnet_pool_open(hall.pool, "game", ways, 1));
    HALL_UNTIL(&hall, hall.connected == 1 && hall.peers[0] == 1);
    TEST_EQUAL(health_of(&hall, "game").reason, NECPNET_OK);
    necpnet_peer peer = necpnet_server_next_peer(hall.servers[0], NECPNET_PEER_NONE);
    TEST_OK(necpnet_server_kick(hall.servers[0], peer, 1, "out", 0));
    HALL_UNTIL(&hall, hall.disconnected == 1);
    TEST_EQUAL(health_of(&hall, "game").health, NECPNET_HEALTH_DOWN); /* who is kicked does not come back .. */
    TEST_EQUAL(health_of(&hall, "game").reason, NECPNET_ERR_KICKED);
    TEST_OK(necpnet_pool_open(hall.pool, "game again", ways, 1)); /* .. unless it is asked for */
    HALL_UNTIL(&hall, hall.connected == 2);
    TEST_EQUAL(health_of(&hall, "game").users, 2);
    TEST_OK(necpnet_server_drain(hall.servers[0], 10));
    HALL_UNTIL(&hall, hall.disconnected == 2);
    TEST_EQUAL(health_of(&hall, "game").reconnects, 1);
    TEST_EQUAL(health_of(&hall, "game").reason, NECPNET_ERR_DRAINING);
    HALL_UNTIL(&hall, hall.failed > 0); /* a server that drains takes nobody */
    hall_end(&hall);
}

TEST(test_pool_refuses_what_it_cannot_hold)
{
    struct hall hall;
    necpnet_client_config config;
    necpnet_pool* second = NULL;
    char name[NECPNET_NAME_BYTES_MAX + 2];
    hall_begin(&hall);
    hall_config(&hall, &config);
    const char* ways[] = {hall.urls[0][0]};
    const char* bad[] = {"http://127.0.0.1:1/"};
    config.struct_bytes--;
    TEST_EQUAL(necpnet_pool_create(&config, &second), NECPNET_ERR_BAD_STRUCT_BYTES);
    TEST_EQUAL(necpnet_pool_open(hall.pool, "", ways, 1), NECPNET_ERR_INVALID_ARGUMENT);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    TEST_EQUAL(necpnet_pool_open(hall.pool, name, ways, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_pool_open(hall.pool, "game", bad, 1), NECPNET_ERR_BAD_URL);
    TEST_EQUAL(necpnet_pool_open(hall.pool, "game", NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_CHECK(necpnet_pool_get(hall.pool, "game") == NULL);
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, "name %d", i);
        TEST_OK(necpnet_pool_open(hall.pool, name, ways, 1));
    }
    TEST_EQUAL(necpnet_pool_open(hall.pool, "one more", ways, 1), NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(health_of(&hall, "name 63").users, 64);
    hall_end(&hall);
}

TEST_MAIN
