/* api_packet_size - aim: messages of every mode arrive whatever size packets have, from 64 bytes to 64 KB, and packets grow to
 * what the path takes without harm.
 *
 * Method: net.h with limits at the configs and at the link; the largest and smallest sizes also over loopback sockets.
 */
#include "net.h"

#define PATIENCE_US 20000000

static uint32_t size_of(const struct net_client* client)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    return statistics.datagram_bytes;
}

static uint32_t server_size(const struct net* net)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_server_get_peer_statistics(net->server, net->peers[0], &statistics));
    return statistics.datagram_bytes;
}

static struct net_client* begin(struct net* net, uint32_t limit, uint32_t path)
{
    net_begin(net);
    net->link_config.latency_us = 10000;
    net->link_config.datagram_bytes_max = path;
    net->server_config.datagram_bytes_max = net->client_config.datagram_bytes_max = limit;
    net_serve(net);
    struct net_client* client = net_join(net, NET_URL_UDP);
    NET_RUN_UNTIL(net, 3000, client->connected && net->peer_count);
    TEST_EQUAL(net->peer_count, 1);
    return client;
}

/* What LZ4 cannot make smaller. */
static void fill_unpackable(uint8_t* data, size_t bytes)
{
    struct test_random random = test_random_begin(5);
    test_random_bytes(&random, data, bytes);
}

/* -- ordinary -- */

TEST(test_packets_grow_to_what_the_path_takes)
{
    static const struct {
        uint32_t limit, path;
    } cases[] = {{1472, 65507}, {1472, 1472}, {1472, 1452},   {1472, 1400},
                 {1472, 1200},  {9000, 1472}, {65507, 65507}, {65507, 8972}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net net;
        necpnet_statistics statistics;
        struct net_client* client = begin(&net, cases[i].limit, cases[i].path);
        TEST_EQUAL(size_of(client), 1200);
        TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
        uint32_t window_bytes = statistics.congestion_bytes;
        net_run(&net, 20000);
        uint32_t best = cases[i].limit < cases[i].path ? cases[i].limit : cases[i].path;
        TEST_HINT("limit %u, path %u", (unsigned)cases[i].limit, (unsigned)cases[i].path);
        TEST_AT_MOST(size_of(client), best);
        TEST_GREATER(size_of(client) + 16, best);
        TEST_AT_MOST(server_size(&net), best);
        TEST_GREATER(server_size(&net) + 16, best);
        TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
        TEST_EQUAL(statistics.packets_lost, 0);                   /* probes are no losses .. */
        TEST_AT_LEAST(statistics.congestion_bytes, window_bytes); /* .. and shrink nothing */
        TEST_EQUAL(client->disconnected, 0);
        net_end(&net);
    }
}

TEST(test_packets_have_the_lesser_limit_of_both_sides)
{
    struct net net;
    net_begin(&net);
    net.server_config.datagram_bytes_max = 9000;
    net.client_config.datagram_bytes_max = 1300;
    net_serve(&net);
    struct net_client* client = net_join(&net, NET_URL_UDP);
    NET_RUN_UNTIL(&net, 3000, client->connected && net.peer_count);
    net_run(&net, 5000);
    TEST_EQUAL(size_of(client), 1300);
    TEST_EQUAL(server_size(&net), 1300);
    net_end(&net);
}

TEST(test_black_hole_brings_packets_back_to_what_every_path_takes)
{
    static uint8_t data[40000];
    struct net net;
    struct net_client* client = begin(&net, 9000, 9000);
    net_run(&net, 5000);
    TEST_EQUAL(size_of(client), 9000);
    net.link_config.datagram_bytes_max = 1250;
    TEST_OK(necpnet_link_configure(net.link, NULL, &net.link_config));
    TEST_OK(necpnet_link_configure(net.link, client->transport, &net.link_config));
    uint64_t began_us = net.now_us;
    fill_unpackable(data, sizeof data);
    for (int i = 0; i < 10; i++) {
        TEST_OK(necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, data, sizeof data));
    }
    NET_RUN_UNTIL(&net, 10000, net.server_messages == 10);
    TEST_EQUAL(net.server_messages, 10);
    TEST_AT_MOST(net.now_us - began_us, 4000000);
    TEST_AT_MOST(size_of(client), 1250);
    TEST_EQUAL(client->disconnected, 0);
    net_run(&net, 60000); /* and the search begins anew */
    TEST_AT_LEAST(size_of(client), 1235);
    net_end(&net);
}

TEST(test_loss_alone_does_not_make_packets_small)
{
    static uint8_t data[40000];
    struct net net;
    struct net_client* client = begin(&net, 1472, 65507);
    net_run(&net, 2000);
    TEST_EQUAL(size_of(client), 1472);
    fill_unpackable(data, sizeof data);
    net.link_config.loss_ppm = 100000;
    TEST_OK(necpnet_link_configure(net.link, client->transport, &net.link_config));
    for (int i = 0; i < 50; i++) {
        necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, data, sizeof data);
        net_run(&net, 200);
        TEST_EQUAL(size_of(client), 1472);
    }
    net_end(&net);
}

/* -- every mode, smallest and largest -- */

/* Messages of many sizes on each channel, one after the other, echoed and compared. */
static const size_t message_sizes[] = {0, 1, 15, 16, 17, 39, 64, 200, 1000, 1500};

static void expect_pattern(struct net_client* client, const necpnet_event* event)
{
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    const uint8_t* data = (const uint8_t*)event->data;
    for (size_t i = 0; i < event->bytes; i++) TEST_EQUAL(data[i], (uint8_t)(i * 31 + event->bytes));
    (void)client;
}

static void fill(uint8_t* data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)(i * 31 + bytes);
}

static void echo_every_mode(struct net* net, struct net_client* client, size_t largest)
{
    static uint8_t data[65536];
    net->echo = true;
    client->on_event = expect_pattern;
    for (int channel = 0; channel < NECPNET_CHANNELS_DEFAULT; channel++) {
        for (size_t s = 0; s <= sizeof message_sizes / sizeof message_sizes[0]; s++) {
            size_t bytes = s < sizeof message_sizes / sizeof message_sizes[0] ? message_sizes[s] : largest;
            bool partly = channel != NECPNET_CHANNEL_RELIABLE && channel != NECPNET_CHANNEL_UNORDERED;
            if (partly && bytes > 30000) bytes = 30000; /* at most 36,864 in one of these modes */
            fill(data, bytes);
            uint64_t before = client->messages;
            TEST_HINT("channel %d, %zu bytes", channel, bytes);
            TEST_OK(necpnet_client_send(client->client, channel, data, bytes));
            NET_RUN_UNTIL(net, 20000, client->messages > before);
            TEST_EQUAL(client->messages, before + 1);
        }
    }
    TEST_EQUAL(client->disconnected, 0);
}

TEST(test_every_mode_passes_with_packets_of_every_size)
{
    static const uint32_t sizes[] = {64, 65, 80, 100, 576, 1200, 9000, 65507};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct net net;
        struct net_client* client = begin(&net, sizes[i], 65507);
        net_run(&net, 5000);
        TEST_EQUAL(size_of(client), sizes[i]);
        echo_every_mode(&net, client, sizes[i] < 1000 ? 10000 : 65536);
        net_end(&net);
    }
}

TEST(test_every_mode_passes_with_the_smallest_packets_under_loss)
{
    struct net net;
    struct net_client* client = begin(&net, 64, 65507);
    net.echo = true;
    net.link_config.loss_ppm = 50000;
    net.link_config.reorder_ppm = 20000;
    TEST_OK(necpnet_link_configure(net.link, client->transport, &net.link_config));
    uint8_t data[700];
    client->on_event = expect_pattern;
    for (uint32_t i = 0; i < 200; i++) {
        size_t bytes = 1 + i * 37 % 700;
        fill(data, bytes);
        TEST_OK(necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, data, bytes));
        TEST_OK(necpnet_client_send(client->client, NECPNET_CHANNEL_UNORDERED, data, bytes));
        TEST_OK(necpnet_client_send(client->client, NECPNET_CHANNEL_UNRELIABLE, data, bytes));
        net_run(&net, 20);
    }
    net_run(&net, 20000);
    TEST_AT_LEAST(client->messages, 400);
    TEST_EQUAL(client->disconnected, 0);
    net_end(&net);
}

TEST(test_inputs_over_websocket_fit_a_datagram_too_for_the_session_may_move)
{
    uint8_t data[255];
    memset(data, 3, sizeof data);
    for (uint32_t datagram = 64; datagram <= 291; datagram += 227) {
        struct net net;
        net_begin(&net);
        net.server_config.datagram_bytes_max = datagram;
        net_serve(&net);
        struct net_client* client = net_join(&net, NET_URL_WEB);
        NET_RUN_UNTIL(&net, 2000, client->connected);
        TEST_OK(necpnet_client_send_input(client->client, 1, data, datagram - 36));
        necpnet_result result = necpnet_client_send_input(client->client, 2, data, datagram - 35);
        TEST_EQUAL(result, datagram == 64 ? NECPNET_ERR_MESSAGE_TOO_LARGE : NECPNET_ERR_INVALID_ARGUMENT);
        net_end(&net);
    }
}

TEST(test_inputs_and_close_pass_with_the_smallest_packets)
{
    struct net net;
    struct net_client* client = begin(&net, 64, 65507);
    for (uint32_t tick = 1; tick <= 50; tick++) {
        TEST_OK(necpnet_client_send_input(client->client, tick, "ab", 2));
        net_run(&net, 20);
    }
    net_run(&net, 500);
    necpnet_peer_info info;
    TEST_OK(necpnet_server_get_peer(net.server, net.peers[0], &info));
    TEST_EQUAL(info.input_tick, 50);
    TEST_OK(
        necpnet_client_disconnect(client->client, 7, "a reason that is longer than a packet of 64 bytes can be", 1000));
    NET_RUN_UNTIL(&net, 2000, net.server_disconnected);
    TEST_EQUAL(net.server_disconnected, 1);
    TEST_EQUAL(net.server_reason, NECPNET_ERR_CLOSED);
    net_end(&net);
}

/* -- real sockets -- */

struct room {
    necpnet_server* server;
    necpnet_client* client;
    bool connected;
    int messages;
    size_t bytes;
};

static void room_turn(struct room* room)
{
    necpnet_event event;
    TEST_OK(necpnet_client_wait(room->client, 200));
    TEST_OK(necpnet_server_update(room->server, necpnet_time_us()));
    while (necpnet_server_poll(room->server, &event)) {
        if (event.type == NECPNET_EVENT_MESSAGE) {
            TEST_OK(necpnet_server_send(room->server, event.peer, event.channel, event.data, event.bytes));
        }
    }
    TEST_OK(necpnet_client_update(room->client, necpnet_time_us()));
    while (necpnet_client_poll(room->client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) room->connected = true;
        if (event.type != NECPNET_EVENT_MESSAGE) continue;
        expect_pattern(NULL, &event);
        room->messages++;
        room->bytes = event.bytes;
    }
}

#define ROOM_UNTIL(room, condition) \
    do { \
        uint64_t room_end_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && necpnet_time_us() < room_end_us) room_turn(room); \
        TEST_CHECK(condition); \
    } while (0)

static uint32_t room_size(const struct room* room)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(room->client, &statistics));
    return statistics.datagram_bytes;
}

TEST(test_every_mode_passes_over_real_sockets_with_packets_of_64_bytes_and_64_kilobytes)
{
    static const uint32_t sizes[] = {64, 65507};
    static uint8_t data[65536];
    for (size_t i = 0; i < 2; i++) {
        struct room room;
        necpnet_server_config server;
        necpnet_client_config config;
        char url[64];
        const char* urls[] = {url};
        int port = 0;
        memset(&room, 0, sizeof room);
        TEST_OK(necpnet_server_config_default(&server));
        TEST_OK(necpnet_client_config_default(&config));
        server.allocator = config.allocator = test_allocator();
        bool encrypts = strstr(necpnet_version(), "mbedtls") != NULL;
        server.security = config.security = encrypts ? NECPNET_SECURITY_OPEN : NECPNET_SECURITY_NONE;
        server.datagram_bytes_max = config.datagram_bytes_max = sizes[i];
        server.udp_port = 0;
        TEST_OK(necpnet_server_create(&server, &room.server));
        TEST_OK(necpnet_server_get_ports(room.server, &port, NULL));
        snprintf(url, sizeof url, "udp://127.0.0.1:%d", port);
        TEST_OK(necpnet_client_create(&config, &room.client));
        TEST_OK(necpnet_client_update(room.client, necpnet_time_us()));
        TEST_OK(necpnet_client_connect(room.client, urls, 1));
        ROOM_UNTIL(&room, room.connected);
        /* loopback may be smaller than its 64 KB (a container), never below a usual link */
        ROOM_UNTIL(&room, room_size(&room) == sizes[i] || (sizes[i] > 1472 && room_size(&room) >= 16356));
        for (int channel = 0; channel < NECPNET_CHANNELS_DEFAULT; channel++) {
            for (size_t s = 0; s < 3; s++) {
                static const size_t bytes[] = {1, 600, 30000};
                int before = room.messages;
                fill(data, bytes[s]);
                TEST_HINT("packets of %u bytes, channel %d, %zu bytes", (unsigned)sizes[i], channel, bytes[s]);
                uint64_t again_us = 0;
                uint64_t end_us = necpnet_time_us() + PATIENCE_US;
                while (room.messages == before && necpnet_time_us() < end_us) {
                    /* a mode may lose one when the system is busy */
                    if (necpnet_time_us() >= again_us) {
                        necpnet_client_send(room.client, channel, data, bytes[s]);
                        bool is_reliable =
                            channel != NECPNET_CHANNEL_UNRELIABLE && channel != NECPNET_CHANNEL_SEQUENCED;
                        again_us = necpnet_time_us() + (is_reliable ? PATIENCE_US : 1000000);
                    }
                    room_turn(&room);
                }
                TEST_GREATER(room.messages, before);
                TEST_EQUAL(room.bytes, bytes[s]);
            }
        }
        necpnet_client_destroy(room.client);
        necpnet_server_destroy(room.server);
    }
}

TEST_MAIN
