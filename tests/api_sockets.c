/* api_sockets - aim: what api_connection shows on a simulated link also holds on real loopback sockets, IPv4 and IPv6, UDP
 * and WebSocket. Method: a server and clients in one process, driven by wait with a bounded real time; ports chosen by the
 * operating system. Encrypted where the build can. */
#include "test.h"

#define CLIENTS 100
#define PATIENCE_US 20000000 /* how long a test may take before it fails; it ends as soon as it can */

struct room {
    struct necpnet_allocator allocator;
    necpnet_loop* loop;
    necpnet_server* server;
    necpnet_client* clients[CLIENTS];
    int client_count;
    int connected[CLIENTS];
    int messages[CLIENTS];
    int failed;
    necpnet_result reason;
    uint32_t next[CLIENTS];
    uint64_t wrong;
    int peers;
    necpnet_peer peer;
    int udp_port, tcp_port;
    bool echo;
};

static necpnet_security security(void)
{
    return strstr(necpnet_version(), "mbedtls") ? NECPNET_SECURITY_OPEN : NECPNET_SECURITY_NONE;
}

static void room_begin(struct room* room, necpnet_loop_backend backend)
{
    necpnet_server_config config;
    memset(room, 0, sizeof *room);
    room->allocator = test_allocator();
    TEST_OK(necpnet_loop_create(&room->allocator, backend, &room->loop));
    TEST_OK(necpnet_server_config_default(&config));
    config.allocator = room->allocator;
    config.loop = room->loop;
    config.security = security();
    config.udp_port = 0;
    config.tcp_port = 0;
    config.peers_per_address_max = 1000;
    TEST_OK(necpnet_server_create(&config, &room->server));
    TEST_OK(necpnet_server_get_ports(room->server, &room->udp_port, &room->tcp_port));
    TEST_GREATER(room->udp_port, 0);
    TEST_GREATER(room->tcp_port, 0);
}

static int room_join(struct room* room, const char* form, int port)
{
    char url[128];
    const char* urls[] = {url};
    necpnet_client_config config;
    TEST_OK(necpnet_client_config_default(&config));
    config.allocator = room->allocator;
    config.security = security();
    config.reconnect = false;
    config.connect_timeout_ms = 10000;
    snprintf(url, sizeof url, form, port);
    TEST_OK(necpnet_client_create(&config, &room->clients[room->client_count]));
    TEST_OK(necpnet_client_update(room->clients[room->client_count], necpnet_time_us()));
    TEST_OK(necpnet_client_connect(room->clients[room->client_count], urls, 1));
    return room->client_count++;
}

static void room_take(struct room* room, int index, const necpnet_event* event)
{
    switch (event->type) {
    case NECPNET_EVENT_CONNECTED: room->connected[index]++; break;
    case NECPNET_EVENT_MESSAGE: {
        uint32_t number = 0;
        if (event->bytes == sizeof number) memcpy(&number, event->data, sizeof number);
        if (number != room->next[index]) room->wrong++;
        room->next[index] = number + 1;
        room->messages[index]++;
        break;
    }
    case NECPNET_EVENT_CONNECT_FAILED:
    case NECPNET_EVENT_DISCONNECTED:
        room->failed++;
        room->reason = event->reason;
        break;
    default: break;
    }
}

static void room_turn(struct room* room)
{
    necpnet_event event;
    TEST_OK(necpnet_loop_step(room->loop, 1000));
    TEST_OK(necpnet_server_update(room->server, necpnet_time_us()));
    while (necpnet_server_poll(room->server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) {
            room->peer = event.peer;
            room->peers++;
        }
        if (event.type == NECPNET_EVENT_MESSAGE && room->echo) {
            TEST_OK(necpnet_server_send(room->server, event.peer, event.channel, event.data, event.bytes));
        }
    }
    for (int i = 0; i < room->client_count; i++) {
        TEST_OK(necpnet_client_update(room->clients[i], necpnet_time_us()));
        while (necpnet_client_poll(room->clients[i], &event)) room_take(room, i, &event);
    }
}

static int room_total(const int* counts)
{
    int total = 0;
    for (int i = 0; i < CLIENTS; i++) total += counts[i];
    return total;
}

#define ROOM_UNTIL(room, condition) \
    do { \
        uint64_t room_end_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && necpnet_time_us() < room_end_us) room_turn(room); \
        TEST_CHECK(condition); \
    } while (0)

static void room_end(struct room* room)
{
    for (int i = 0; i < room->client_count; i++) necpnet_client_destroy(room->clients[i]);
    necpnet_server_destroy(room->server);
    necpnet_loop_destroy(room->loop);
}

TEST(test_hundred_clients_over_real_sockets_hear_a_broadcast)
{
    for (int backend = 0; backend < 2; backend++) {
        struct room room;
        uint32_t zero = 0;
        room_begin(&room, (necpnet_loop_backend)backend);
        for (int i = 0; i < CLIENTS; i++) {
            bool udp = i % 2 == 0;
            room_join(&room, udp ? "udp://127.0.0.1:%d" : "ws://127.0.0.1:%d/ws", udp ? room.udp_port : room.tcp_port);
        }
        ROOM_UNTIL(&room, room.peers == CLIENTS && room_total(room.connected) == CLIENTS);
        TEST_OK(necpnet_server_broadcast(room.server, NECPNET_PEER_NONE, 0, &zero, sizeof zero, NULL, NULL));
        ROOM_UNTIL(&room, room_total(room.messages) == CLIENTS);
        TEST_EQUAL(room.failed, 0);
        room_end(&room);
    }
}

TEST(test_thousand_reliable_messages_over_real_sockets_are_once_and_in_order)
{
    static const char* const forms[] = {"udp://localhost:%d", "ws://localhost:%d/ws", "udp://[::1]:%d",
                                        "ws://[::1]:%d/ws"};
    for (int f = 0; f < 4; f++) {
        struct room room;
        room_begin(&room, NECPNET_LOOP_BEST);
        room_join(&room, forms[f], f % 2 == 0 ? room.udp_port : room.tcp_port);
        ROOM_UNTIL(&room, room.peers == 1 || room.failed);
        if (f >= 2 && room.failed) { /* no IPv6 on this machine */
            room_end(&room);
            continue;
        }
        for (uint32_t i = 0; i < 1000; i++) TEST_OK(necpnet_server_send(room.server, room.peer, 0, &i, sizeof i));
        ROOM_UNTIL(&room, room.messages[0] == 1000);
        TEST_EQUAL(room.wrong, 0);
        room_end(&room);
    }
}

TEST(test_ping_pong_comes_back)
{
    struct room room;
    room_begin(&room, NECPNET_LOOP_BEST);
    room.echo = true;
    room_join(&room, "udp://127.0.0.1:%d", room.udp_port);
    ROOM_UNTIL(&room, room.connected[0]);
    for (uint32_t i = 0; i < 100; i++) {
        TEST_OK(necpnet_client_send(room.clients[0], 0, &i, sizeof i));
        ROOM_UNTIL(&room, room.messages[0] == (int)i + 1);
    }
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(room.clients[0], &statistics));
    TEST_GREATER(statistics.rtt_us, 0);
    TEST_EQUAL(room.wrong, 0);
    room_end(&room);
}

TEST(test_client_goes_on_from_another_port)
{
    struct room room;
    necpnet_peer_info before, after;
    room_begin(&room, NECPNET_LOOP_BEST);
    room.echo = true;
    room_join(&room, "udp://127.0.0.1:%d", room.udp_port);
    ROOM_UNTIL(&room, room.connected[0] && room.peers);
    uint32_t number = 0;
    for (int i = 0; i < 5; i++) {
        TEST_OK(necpnet_server_get_peer(room.server, room.peer, &before));
        TEST_OK(necpnet_client_migrate(room.clients[0]));
        necpnet_statistics statistics;
        memset(&statistics, 0, sizeof statistics);
        while (statistics.migrations <= (uint32_t)i) {
            TEST_OK(necpnet_client_send(room.clients[0], 0, &number, sizeof number));
            number++;
            ROOM_UNTIL(&room, room.messages[0] == (int)number);
            TEST_OK(necpnet_server_get_peer_statistics(room.server, room.peer, &statistics));
        }
        TEST_OK(necpnet_server_get_peer(room.server, room.peer, &after));
        TEST_NOT_EQUAL(after.address.port, before.address.port);
    }
    TEST_EQUAL(room.wrong, 0);
    TEST_EQUAL(room.failed, 0);
    room_end(&room);
}

TEST(test_the_environments_refusals_have_names)
{
    struct room room;
    room_begin(&room, NECPNET_LOOP_BEST);
    necpnet_server_config config;
    necpnet_server* second = NULL;
    TEST_OK(necpnet_server_config_default(&config));
    config.allocator = room.allocator;
    config.security = NECPNET_SECURITY_NONE;
    config.udp_port = -1;
    config.tcp_port = room.tcp_port;
    TEST_EQUAL(necpnet_server_create(&config, &second), NECPNET_ERR_ADDRESS_IN_USE);
    config.tcp_port = -1;
    config.udp_port = room.udp_port;
    TEST_EQUAL(necpnet_server_create(&config, &second), NECPNET_ERR_ADDRESS_IN_USE);
    config.udp_port = 0;
#if !defined(_WIN32)                    /* wine binds to any address */
    config.bind_address = "192.0.2.77"; /* TEST-NET-1: not ours */
    necpnet_result result = necpnet_server_create(&config, &second);
    TEST_CHECK(result < 0 && result != NECPNET_ERR_ADDRESS_IN_USE);
#endif
    config.bind_address = "localhost";
    TEST_CHECK(necpnet_server_create(&config, &second) < 0);
    TEST_CHECK(second == NULL);
    room_end(&room);
}

TEST(test_wrong_addresses_fail_by_name_on_real_sockets)
{
    struct room room;
    room_begin(&room, NECPNET_LOOP_BEST);
    int free_port = room.tcp_port;
    necpnet_server_destroy(room.server); /* now nobody listens there */
    room.server = NULL;
    necpnet_server_config config;
    TEST_OK(necpnet_server_config_default(&config));
    config.allocator = room.allocator;
    config.loop = room.loop;
    config.security = NECPNET_SECURITY_NONE;
    config.udp_port = 0;
    TEST_OK(necpnet_server_create(&config, &room.server));
    room_join(&room, "ws://127.0.0.1:%d/ws", free_port);
    ROOM_UNTIL(&room, room.failed == 1);
    TEST_EQUAL(room.reason, NECPNET_ERR_CONNECTION_REFUSED);
    room_join(&room, "ws://no-such-host.invalid:%d/ws", free_port);
    ROOM_UNTIL(&room, room.failed == 2);
    TEST_EQUAL(room.reason, NECPNET_ERR_HOST_UNKNOWN);
    room_end(&room);
}

TEST_MAIN
