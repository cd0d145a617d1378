/* api_wake - aim: an endpoint says itself when it must be updated next: idle ones sleep but for their pings, busy ones never
 * spin, nothing waits that could go; and running out of memory anywhere in a connection's life is an ordinary result.
 * Method: real endpoints on the simulated link, driven by their deadlines alone; the allocator of test.h. */
#include "net.h"

static const char* const transports[] = {NET_URL_UDP, NET_URL_WEB};

/* Run for so long, each turn as late as the deadlines allow. Returns the turns. */
static uint64_t sleep_through(struct net* net, uint64_t us)
{
    uint64_t end_us = net->now_us + us, turns = 0;
    while (net->now_us < end_us) {
        uint64_t at_us = necpnet_link_deadline_us(net->link);
        if (net->server && necpnet_server_deadline_us(net->server) < at_us)
            at_us = necpnet_server_deadline_us(net->server);
        for (int i = 0; i < net->client_count; i++) {
            uint64_t client_us = necpnet_client_deadline_us(net->clients[i].client);
            if (client_us < at_us) at_us = client_us;
        }
        if (at_us > net->now_us) net->now_us = at_us < end_us ? at_us : end_us;
        net_step(net, 0);
        turns++;
        TEST_LESS(turns, 2000000); /* else it spins: the time does not move */
    }
    return turns;
}

TEST(test_idle_pair_wakes_for_its_pings_alone)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.link_config.latency_us = 20000;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        sleep_through(&net, 3000000);
        TEST_EQUAL(client->connected, 1);
        uint64_t turns = sleep_through(&net, 60000000);
        TEST_EQUAL(client->disconnected, 0);
        TEST_HINT("%s: %llu turns in a minute", transports[t], (unsigned long long)turns);
        TEST_AT_MOST(turns, t == 0 ? 60 * 8 : 60); /* UDP: PING, PONG, ACK each second at most; WebSocket: each 30 s */
        net_end(&net);
    }
}

TEST(test_unanswered_attempts_and_retries_do_not_spin)
{
    struct net net;
    net_begin(&net);
    net_serve(&net);
    net_crash(&net);
    struct net_client* client = net_add(&net);
    const char* urls[] = {"udp://server:7777", "ws://server:7777/ws", "ws://nowhere:1/ws"};
    TEST_OK(necpnet_client_connect(client->client, urls, 3));
    uint64_t turns = sleep_through(&net, 60000000);
    TEST_GREATER(client->failed, 2);
    TEST_AT_MOST(turns, 60 * 20);
    net_end(&net);
}

TEST(test_full_path_does_not_spin_and_bulk_arrives)
{
    static uint8_t data[32768];
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.link_config.latency_us = 10000;
        net.link_config.bandwidth_bps = 4000000;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        sleep_through(&net, 500000);
        for (int i = 0; i < 16; i++) TEST_OK(necpnet_server_send(net.server, net.peers[0], 0, data, sizeof data));
        uint64_t turns = sleep_through(&net, 4000000); /* 512 KB need a second */
        TEST_EQUAL(client->bytes, 16 * sizeof data);
        TEST_HINT("%s: %llu turns", transports[t], (unsigned long long)turns);
        TEST_AT_MOST(turns, 8000);
        net_end(&net);
    }
}

TEST(test_parting_does_not_spin_and_is_quick)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.link_config.latency_us = 20000;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        sleep_through(&net, 500000);
        TEST_OK(necpnet_client_disconnect(client->client, 0, "bye", 0));
        uint64_t turns = sleep_through(&net, 100000); /* a round trip and a little */
        TEST_EQUAL(client->disconnected, 1);
        TEST_EQUAL(net.server_disconnected, 1);
        TEST_AT_MOST(turns, 60);
        net_end(&net);
    }
}

TEST(test_silent_peer_ends_in_time_without_a_spin)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        sleep_through(&net, 500000);
        TEST_OK(necpnet_server_kick(net.server, net.peers[0], 7, "out", 100));
        TEST_OK(necpnet_link_block(net.link, client->transport, true, true));
        uint64_t turns = sleep_through(&net, 70000000);
        TEST_EQUAL(net.server_disconnected, 1);
        TEST_AT_MOST(turns, 3000);
        net_end(&net);
    }
}

TEST(test_loading_peer_is_waited_for_beyond_the_usual_silence)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        sleep_through(&net, 500000);
        TEST_OK(necpnet_client_set_loading(client->client, true));
        sleep_through(&net, 500000);
        TEST_OK(necpnet_link_block(net.link, client->transport, true, true));
        uint64_t turns = sleep_through(&net, 100000000); /* of 120 s */
        TEST_HINT("%s: %llu turns", transports[t], (unsigned long long)turns);
        TEST_AT_MOST(turns, 2000);
        TEST_OK(necpnet_link_block(net.link, client->transport, false, false));
        sleep_through(&net, 5000000);
        TEST_EQUAL(client->disconnected, 0);
        TEST_EQUAL(net.server_disconnected, 0);
        TEST_OK(necpnet_client_set_loading(client->client, false));
        sleep_through(&net, 1000000);
        TEST_OK(necpnet_link_block(net.link, client->transport, true, true));
        sleep_through(&net, 100000000);
        TEST_EQUAL(client->suspended, 1);
        TEST_EQUAL(net.server_suspended, 1);
        TEST_EQUAL(net.server_disconnected, 1);
        net_end(&net);
    }
}

TEST(test_token_given_before_the_first_update_is_not_expired_by_it)
{
    struct net net;
    net_begin(&net);
    static const necpnet_token_key key = {1, {1, 2, 3}};
    net.server_config.security = net.client_config.security = NECPNET_SECURITY_TOKEN;
    net.server_config.token_keys = &key;
    net.server_config.token_key_count = 1;
    net.server_config.token_restart_guard = false;
    net.now_us = UINT64_C(900000000000); /* ten days of uptime */
    if (!strstr(necpnet_version(), "mbedtls")) TEST_SKIP("no cryptography in this build");
    net_serve(&net);
    const char* urls[] = {NET_URL_UDP};
    char token[NECPNET_TOKEN_TEXT_BYTES_MAX];
    necpnet_token_config config;
    TEST_OK(necpnet_token_config_default(&config));
    config.urls = urls;
    config.url_count = 1;
    config.server_id = 1;
    config.issued_us = NET_WALL_US + net.now_us;
    config.entropy = net.client_config.entropy;
    TEST_OK(necpnet_token_create(&config, &key, token, sizeof token));
    struct net_client* client = &net.clients[net.client_count];
    TEST_OK(necpnet_link_add_client(net.link, &client->transport));
    net.client_config.transport = client->transport;
    TEST_OK(necpnet_client_create(&net.client_config, &client->client));
    net.client_count++;
    TEST_OK(necpnet_client_set_token(client->client, token, NET_WALL_US + net.now_us));
    TEST_OK(necpnet_client_connect(client->client, NULL, 0));
    NET_RUN_UNTIL(&net, 2000, client->connected || client->failed);
    TEST_EQUAL(client->connected, 1);
    net_end(&net);
}

/* A whole life: connect, a message each way, disconnect. Whatever memory is refused, only ordinary results may come, and
 * nothing may be left. */
static void live(const struct necpnet_allocator* allocator, const char* url, bool* out_whole)
{
    uint64_t entropy = 7, now_us = 1000000;
    necpnet_link_config link_config;
    necpnet_server_config server_config;
    necpnet_client_config client_config;
    necpnet_link* link = NULL;
    necpnet_server* server = NULL;
    necpnet_client* client = NULL;
    const necpnet_transport *server_transport = NULL, *client_transport = NULL;
    necpnet_link_config_default(&link_config);
    necpnet_server_config_default(&server_config);
    necpnet_client_config_default(&client_config);
    link_config.allocator = server_config.allocator = client_config.allocator = *allocator;
    server_config.entropy.fill = client_config.entropy.fill = net_fill;
    server_config.entropy.user = client_config.entropy.user = &entropy;
    server_config.security = client_config.security = NECPNET_SECURITY_NONE;
    client_config.reconnect = false;
    client_config.connect_timeout_ms = 500;
    bool up = necpnet_link_create(&link_config, &link) == NECPNET_OK &&
              necpnet_link_add_server(link, 7777, &server_transport) == NECPNET_OK &&
              necpnet_link_add_client(link, &client_transport) == NECPNET_OK;
    server_config.transport = server_transport;
    client_config.transport = client_transport;
    if (up) {
        necpnet_result result = necpnet_server_create(&server_config, &server);
        TEST_CHECK(result == NECPNET_OK || (result == NECPNET_ERR_OUT_OF_MEMORY && !server));
        result = necpnet_client_create(&client_config, &client);
        TEST_CHECK(result == NECPNET_OK || (result == NECPNET_ERR_OUT_OF_MEMORY && !client));
    }
    if (client && server && necpnet_client_connect(client, &url, 1) == NECPNET_OK) {
        bool is_sent = false, is_echoed = false, is_over = false;
        for (int ms = 0; ms < 1500 && !is_over; ms++, now_us += 1000) {
            necpnet_event event;
            TEST_OK(necpnet_link_advance(link, now_us));
            TEST_OK(necpnet_server_update(server, now_us));
            while (necpnet_server_poll(server, &event)) {
                if (event.type != NECPNET_EVENT_MESSAGE) continue;
                (void)necpnet_server_send(server, event.peer, event.channel, event.data, event.bytes);
            }
            TEST_OK(necpnet_client_update(client, now_us));
            while (necpnet_client_poll(client, &event)) {
                if (event.type == NECPNET_EVENT_CONNECTED)
                    is_sent = necpnet_client_send(client, 0, "hello", 5) == NECPNET_OK;
                if (event.type == NECPNET_EVENT_MESSAGE) is_echoed = true;
                if (event.type == NECPNET_EVENT_MESSAGE) (void)necpnet_client_disconnect(client, 0, "", 100);
                if (event.type == NECPNET_EVENT_DISCONNECTED) is_over = true;
                if (event.type == NECPNET_EVENT_CONNECT_FAILED) is_over = true;
            }
        }
        *out_whole = is_sent && is_echoed && is_over;
    }
    necpnet_client_destroy(client);
    necpnet_server_destroy(server);
    necpnet_link_destroy(link);
}

static void live_without_memory(const char* url)
{
    struct necpnet_allocator allocator = test_allocator();
    bool is_whole = false;
    live(&allocator, url, &is_whole);
    TEST_CHECK(is_whole);
    TEST_EACH_ALLOCATION_FAILS {
        live(&allocator, url, &is_whole);
    }
}

TEST(test_life_over_udp_survives_any_refused_allocation)
{
    live_without_memory(NET_URL_UDP);
}

TEST(test_life_over_websocket_survives_any_refused_allocation)
{
    live_without_memory(NET_URL_WEB);
}

TEST_MAIN
