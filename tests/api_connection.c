/* api_connection - aim: clients and a server find each other, talk in every mode, and part in good order, over UDP and
 * over WebSocket. Method: real endpoints on the simulated link (net.h), a virtual clock, no sleep. */
#include "net.h"

static const char* const transports[] = {NET_URL_UDP, NET_URL_WEB};

/* -- ordinary -- */

TEST(test_client_connects_over_udp_and_websocket)
{
    struct net net;
    net_begin(&net);
    net.link_config.latency_us = 20000;
    net_serve(&net);
    struct net_client* udp = net_join(&net, NET_URL_UDP);
    struct net_client* web = net_join(&net, NET_URL_WEB);
    TEST_EQUAL(necpnet_client_get_state(udp->client), NECPNET_CLIENT_CONNECTING);
    NET_RUN_UNTIL(&net, 1000, udp->connected && web->connected && net.peer_count == 2);
    TEST_EQUAL(udp->connected, 1);
    TEST_EQUAL(web->connected, 1);
    TEST_EQUAL(net.peer_count, 2);
    TEST_EQUAL(necpnet_client_get_state(udp->client), NECPNET_CLIENT_CONNECTED);
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(udp->client, &statistics));
    TEST_EQUAL(statistics.transport, NECPNET_TRANSPORT_UDP);
    TEST_OK(necpnet_client_get_statistics(web->client, &statistics));
    TEST_EQUAL(statistics.transport, NECPNET_TRANSPORT_WEBSOCKET);
    necpnet_server_statistics of_server;
    TEST_OK(necpnet_server_get_statistics(net.server, &of_server));
    TEST_EQUAL(of_server.peers_udp, 1);
    TEST_EQUAL(of_server.peers_websocket, 1);
    net_end(&net);
}

TEST(test_message_of_every_channel_is_echoed)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.echo = true;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 1000, client->connected);
        for (int channel = 0; channel < NECPNET_CHANNELS_DEFAULT; channel++) {
            uint64_t before = client->messages;
            TEST_OK(necpnet_client_send(client->client, channel, "hello", 5));
            NET_RUN_UNTIL(&net, 1000, client->messages > before);
            TEST_EQUAL(client->messages, before + 1);
        }
        TEST_EQUAL(client->bytes, 5 * NECPNET_CHANNELS_DEFAULT);
        net_end(&net);
    }
}

static void expect_large(struct net_client* client, const necpnet_event* event)
{
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    const uint8_t* data = (const uint8_t*)event->data;
    for (size_t i = 0; i < event->bytes; i++) TEST_EQUAL(data[i], (uint8_t)(i * 31 + event->bytes));
    (void)client;
}

TEST(test_messages_from_empty_to_the_largest_arrive_whole)
{
    static uint8_t data[NECPNET_MESSAGE_BYTES_DEFAULT];
    static const size_t sizes[] = {0, 1, 63, 64, 1000, 1150, 1200, 4000, 16384, 40000, NECPNET_MESSAGE_BYTES_DEFAULT};
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.echo = true;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        client->on_event = expect_large;
        NET_RUN_UNTIL(&net, 1000, client->connected);
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (size_t i = 0; i < sizes[s]; i++) data[i] = (uint8_t)(i * 31 + sizes[s]);
            uint64_t before = client->messages;
            TEST_HINT("transport %zu, %zu bytes", t, sizes[s]);
            TEST_OK(necpnet_client_send(client->client, 0, data, sizes[s]));
            NET_RUN_UNTIL(&net, 3000, client->messages > before);
            TEST_EQUAL(client->messages, before + 1);
        }
        TEST_EQUAL(necpnet_client_send(client->client, 0, data, sizeof data + 1), NECPNET_ERR_MESSAGE_TOO_LARGE);
        net_end(&net);
    }
}

/* -- the acceptance of the engine's seed -- */

TEST(test_hundred_clients_connect_and_a_broadcast_reaches_all_within_a_second)
{
    struct net net;
    net_begin(&net);
    net.link_config.latency_us = 10000;
    net_serve(&net);
    for (int i = 0; i < 100; i++) net_join(&net, transports[i % 2]);
    NET_RUN_UNTIL(&net, 3000, net.peer_count == 100);
    TEST_EQUAL(net.peer_count, 100);
    size_t refused = 99;
    TEST_OK(necpnet_server_broadcast(net.server, NECPNET_PEER_NONE, 0, "Hello World", 11, NULL, &refused));
    TEST_EQUAL(refused, 0);
    uint64_t began_us = net.now_us;
    int reached = 0;
    while (reached < 100 && net.now_us < began_us + 1000000) {
        net_step(&net, NET_STEP_US);
        reached = 0;
        for (int i = 0; i < 100; i++) reached += net.clients[i].messages == 1;
    }
    TEST_EQUAL(reached, 100);
    TEST_OK(necpnet_server_broadcast(net.server, net.peers[0], 0, "but one", 7, NULL, NULL));
    net_run(&net, 200);
    uint64_t total = 0;
    for (int i = 0; i < 100; i++) total += net.clients[i].messages;
    TEST_EQUAL(total, 199);
    net_end(&net);
}

struct order {
    uint32_t next;
    uint64_t wrong;
};

static void expect_order(struct net_client* client, const necpnet_event* event)
{
    struct order* order = (struct order*)client->user;
    uint32_t number;
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    TEST_EQUAL(event->bytes, sizeof number);
    memcpy(&number, event->data, sizeof number);
    if (number != order->next) order->wrong++;
    order->next = number + 1;
}

static void run_thousand(const char* url, uint32_t loss_ppm, uint32_t duplicate_ppm, uint32_t reorder_ppm,
                         uint64_t seed)
{
    struct net net;
    struct order order = {0, 0};
    net_begin(&net);
    net.link_config.latency_us = 20000;
    net.link_config.jitter_us = 5000;
    net.link_config.loss_ppm = loss_ppm;
    net.link_config.duplicate_ppm = duplicate_ppm;
    net.link_config.reorder_ppm = reorder_ppm;
    net.link_config.seed = seed;
    net_serve(&net);
    struct net_client* client = net_join(&net, url);
    client->on_event = expect_order;
    client->user = &order;
    NET_RUN_UNTIL(&net, 30000, client->connected && net.peer_count);
    TEST_EQUAL(client->connected, 1);
    for (uint32_t i = 0; i < 1000; i++) TEST_OK(necpnet_server_send(net.server, net.peers[0], 0, &i, sizeof i));
    NET_RUN_UNTIL(&net, 60000, client->messages >= 1000);
    net_run(&net, 500);
    TEST_EQUAL(client->messages, 1000);
    TEST_EQUAL(order.wrong, 0);
    TEST_EQUAL(client->disconnected, 0);
    net_end(&net);
}

TEST(test_thousand_reliable_messages_arrive_once_and_in_order)
{
    run_thousand(NET_URL_UDP, 0, 0, 0, 1);
    run_thousand(NET_URL_WEB, 0, 0, 0, 1);
}

TEST(test_thousand_reliable_messages_survive_loss_duplication_and_reordering)
{
    TEST_EACH_SEED (seed, 5) {
        run_thousand(NET_URL_UDP, 200000, 200000, 200000, seed);
        run_thousand(NET_URL_WEB, 50000, 0, 0, seed);
    }
}

TEST(test_mean_round_trip_is_the_links)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.echo = true;
        net.link_config.latency_us = 15000;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 1000, client->connected);
        uint64_t sum_us = 0;
        for (int i = 0; i < 100; i++) {
            uint64_t before = client->messages, began_us = net.now_us;
            TEST_OK(necpnet_client_send(client->client, 0, &i, sizeof i));
            NET_RUN_UNTIL(&net, 1000, client->messages > before);
            sum_us += net.now_us - began_us;
        }
        TEST_LESS(sum_us / 100, 40000); /* 30 ms on the way, steps of 1 ms */
        net_end(&net);
    }
}

/* -- receipts, names, groups, handlers -- */

TEST(test_receipt_tells_that_the_peer_has_the_message)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 1000, client->connected);
        necpnet_send_options options = {0};
        options.wants_receipt = true;
        options.receipt = 4711;
        TEST_OK(necpnet_client_send_with(client->client, 0, "x", 1, &options));
        NET_RUN_UNTIL(&net, 1000, client->receipts);
        TEST_EQUAL(client->receipts, 1);
        TEST_EQUAL(client->last.receipt, 4711);
        TEST_EQUAL(net.server_messages, 1);
        net_end(&net);
    }
}

static void count_call(const necpnet_event* event, void* user)
{
    (void)event;
    ++*(int*)user;
}

static void send_named(struct net* net, const necpnet_event* event)
{
    if (event->type != NECPNET_EVENT_CONNECTED) return;
    necpnet_send_options options = {0};
    options.name = "chat.say";
    TEST_OK(necpnet_server_send_with(net->server, event->peer, 0, "hi", 2, &options));
    TEST_OK(necpnet_server_send(net->server, event->peer, 3, "unnamed", 7));
}

TEST(test_dispatch_prefers_name_over_channel_over_type)
{
    struct net net;
    int named = 0, channel = 0, any = 0, connected = 0;
    net_begin(&net);
    net.on_server_event = send_named;
    net_serve(&net);
    struct net_client* client = net_add(&net);
    TEST_OK(necpnet_client_on_name(client->client, "chat.say", count_call, &named));
    TEST_OK(necpnet_client_on_channel(client->client, 0, count_call, &channel));
    TEST_OK(necpnet_client_on_event(client->client, NECPNET_EVENT_MESSAGE, count_call, &any));
    TEST_OK(necpnet_client_on_event(client->client, NECPNET_EVENT_CONNECTED, count_call, &connected));
    const char* url = NET_URL_UDP;
    TEST_OK(necpnet_client_connect(client->client, &url, 1));
    necpnet_client* own = client->client;
    client->client = NULL; /* dispatched here, not by net */
    for (int i = 0; i < 300 && !any; i++) {
        net_step(&net, NET_STEP_US);
        TEST_OK(necpnet_client_update(own, net.now_us));
        necpnet_client_dispatch(own);
    }
    TEST_EQUAL(connected, 1);
    TEST_EQUAL(named, 1);
    TEST_EQUAL(channel, 0);
    TEST_EQUAL(any, 1);
    client->client = own;
    net_end(&net);
}

TEST(test_group_reaches_its_members_alone)
{
    struct net net;
    necpnet_group group;
    net_begin(&net);
    net_serve(&net);
    for (int i = 0; i < 6; i++) net_join(&net, transports[i % 2]);
    NET_RUN_UNTIL(&net, 2000, net.peer_count == 6);
    TEST_OK(necpnet_server_group_create(net.server, &group));
    for (int i = 0; i < 3; i++) TEST_OK(necpnet_server_group_add(net.server, group, net.peers[i]));
    TEST_OK(necpnet_server_group_add(net.server, group, net.peers[0]));
    TEST_OK(necpnet_server_group_send(net.server, group, net.peers[1], 0, "g", 1, NULL, NULL));
    net_run(&net, 300);
    uint64_t total = 0;
    for (int i = 0; i < 6; i++) total += net.clients[i].messages;
    TEST_EQUAL(total, 2);
    TEST_OK(necpnet_server_group_remove(net.server, group, net.peers[2]));
    TEST_EQUAL(necpnet_server_group_remove(net.server, group, net.peers[2]), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_server_group_destroy(net.server, group));
    TEST_EQUAL(necpnet_server_group_send(net.server, group, 0, 0, "g", 1, NULL, NULL), NECPNET_ERR_NOT_FOUND);
    net_end(&net);
}

/* -- inputs and time -- */

struct inputs {
    uint32_t count;
    uint32_t last_tick;
    uint32_t bytes;
};

static void take_input(struct net* net, const necpnet_event* event)
{
    struct inputs* inputs = (struct inputs*)net->user;
    if (event->type != NECPNET_EVENT_INPUT) return;
    TEST_GREATER(event->tick, inputs->last_tick);
    TEST_EQUAL(event->bytes, inputs->bytes);
    inputs->last_tick = event->tick;
    inputs->count++;
}

TEST(test_inputs_arrive_once_in_order_under_loss)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        struct inputs inputs = {0, 0, 2};
        net_begin(&net);
        net.link_config.loss_ppm = 200000;
        net.link_config.latency_us = 20000;
        net.on_server_event = take_input;
        net.user = &inputs;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 20000, client->connected);
        for (uint32_t tick = 1; tick <= 200; tick++) {
            necpnet_result result = necpnet_client_send_input(client->client, tick, "ab", 2);
            TEST_CHECK(result == NECPNET_OK || result == NECPNET_ERR_WOULD_BLOCK);
            if (result) tick--;
            net_run(&net, 16);
        }
        NET_RUN_UNTIL(&net, 10000, inputs.count == 200);
        TEST_EQUAL(inputs.count, 200);
        TEST_EQUAL(inputs.last_tick, 200);
        net_end(&net);
    }
}

TEST(test_inputs_that_do_not_fit_into_one_packet_follow_at_once)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        struct inputs inputs = {0, 0, 250};
        uint8_t data[250];
        memset(data, 7, sizeof data);
        net_begin(&net);
        net.on_server_event = take_input;
        net.user = &inputs;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 2000, client->connected);
        net_run(&net, 200);
        for (uint32_t tick = 1; tick <= 20; tick++) {
            TEST_OK(necpnet_client_send_input(client->client, tick, data, sizeof data));
        }
        net_run(&net, 500); /* no ping of this time carries them */
        TEST_EQUAL(inputs.count, 20);
        net_end(&net);
    }
}

TEST(test_server_time_is_known_within_five_milliseconds)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.link_config.latency_us = 50000;
        net.link_config.jitter_us = 10000;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 2000, client->connected);
        net_run(&net, 3000);
        uint64_t server_us = 0;
        TEST_OK(necpnet_client_server_time_us(client->client, net.now_us, &server_us));
        TEST_NEAR((double)server_us, (double)net.now_us, 5000);
        uint32_t tick = 0, input_tick = 0;
        TEST_OK(necpnet_client_server_tick(client->client, net.now_us, &tick, &input_tick));
        TEST_GREATER(input_tick, tick);
        net_end(&net);
    }
}

TEST(test_deadline_is_now_while_news_of_the_connection_waits)
{
    struct net net;
    net_begin(&net);
    net.link_config.latency_us = 100000;
    net_serve(&net);
    struct net_client* client = net_join(&net, NET_URL_UDP);
    net_run(&net, 50); /* the answer is on its way */
    TEST_GREATER(necpnet_client_deadline_us(client->client), net.now_us);
    TEST_OK(necpnet_client_disconnect(client->client, 0, NULL, 0));
    TEST_AT_MOST(necpnet_client_deadline_us(client->client), net.now_us);
    necpnet_event event;
    TEST_CHECK(necpnet_client_poll(client->client, &event));
    TEST_EQUAL(event.type, NECPNET_EVENT_DISCONNECTED);
    TEST_EQUAL(necpnet_client_deadline_us(client->client), UINT64_MAX);
    net_end(&net);
}

TEST(test_query_answers_without_a_connection)
{
    struct net net;
    net_begin(&net);
    net.link_config.latency_us = 10000;
    net.server_config.query_name = "arena of tests";
    net_serve(&net);
    struct net_client* client = net_add(&net);
    TEST_OK(necpnet_client_query(client->client, NET_URL_UDP));
    TEST_EQUAL(necpnet_client_query(client->client, NET_URL_WEB), NECPNET_ERR_BAD_URL);
    NET_RUN_UNTIL(&net, 1000, client->answers);
    TEST_EQUAL(client->answers, 1);
    TEST_EQUAL(client->last.players_max, 1024);
    TEST_AT_LEAST(client->last.rtt_us, 20000);
    TEST_EQUAL(net.peer_count, 0);
    net_crash(&net);
    TEST_OK(necpnet_client_query(client->client, NET_URL_UDP));
    net_run(&net, 3000);
    TEST_EQUAL(client->last.type, NECPNET_EVENT_QUERY_FAILED);
    net_end(&net);
}

/* -- parting -- */

TEST(test_disconnect_delivers_what_was_reliable_first)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.link_config.latency_us = 20000;
        net.link_config.loss_ppm = t == 0 ? 200000 : 0;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 20000, client->connected);
        for (int i = 0; i < 50; i++) TEST_OK(necpnet_client_send(client->client, 0, "bye", 3));
        TEST_OK(necpnet_client_disconnect(client->client, 42, "gone fishing", 5000));
        NET_RUN_UNTIL(&net, 8000, client->disconnected && net.server_disconnected);
        TEST_EQUAL(net.server_messages, 50);
        TEST_EQUAL(net.server_disconnected, 1);
        TEST_EQUAL_STRING(net.server_text, "gone fishing");
        TEST_EQUAL(client->reason, NECPNET_ERR_CLOSED);
        TEST_EQUAL(necpnet_client_get_state(client->client), NECPNET_CLIENT_IDLE);
        TEST_EQUAL(necpnet_server_get_peer(net.server, net.peers[0], &(necpnet_peer_info){0}), NECPNET_ERR_NOT_FOUND);
        net_end(&net);
    }
}

TEST(test_kick_tells_code_and_text_and_the_client_stays_away)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 1000, client->connected && net.peer_count);
        TEST_OK(necpnet_server_kick(net.server, net.peers[0], 7, "cheating", 100));
        NET_RUN_UNTIL(&net, 3000, client->disconnected);
        TEST_EQUAL(client->reason, NECPNET_ERR_KICKED);
        TEST_EQUAL(client->last.code, 7);
        TEST_EQUAL_STRING(client->text, "cheating");
        TEST_CHECK(!client->last.will_reconnect);
        net_run(&net, 3000);
        TEST_EQUAL(client->connected, 1);
        net_end(&net);
    }
}

TEST(test_client_reconnects_by_itself_after_the_server_was_restarted)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.link_config.latency_us = 20000;
        net.client_config.udp_timeout_ms = 2000;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 1000, client->connected);
        net_crash(&net);
        net_run(&net, 3000);
        TEST_EQUAL(client->suspended, 1);
        TEST_EQUAL(client->last.type == NECPNET_EVENT_SUSPENDED || client->failed > 0, 1);
        TEST_OK(necpnet_client_send(client->client, 0, "while away", 10));
        TEST_EQUAL(necpnet_client_send(client->client, 1, "lost", 4), NECPNET_ERR_NOT_CONNECTED);
        net_serve(&net);
        NET_RUN_UNTIL(&net, 30000, client->connected == 2 && net.server_messages);
        TEST_EQUAL(client->connected, 2);
        TEST_EQUAL(client->disconnected, 1); /* told once the server said that it has no such session */
        TEST_EQUAL(net.server_messages, 1);
        net_end(&net);
    }
}

TEST(test_silence_is_noticed_in_the_configured_time)
{
    struct net net;
    net_begin(&net);
    net_serve(&net);
    struct net_client* client = net_join(&net, NET_URL_UDP);
    net_run(&net, 100);
    TEST_OK(necpnet_link_block(net.link, client->transport, true, true));
    net_run(&net, 4000);
    TEST_EQUAL(client->suspended, 0);
    net_run(&net, 2500);
    TEST_EQUAL(client->suspended, 1);
    TEST_EQUAL(client->reason, NECPNET_ERR_TIMEOUT);
    TEST_EQUAL(net.server_suspended, 1);
    TEST_EQUAL(net.server_disconnected, 0);
    net_run(&net, 30000);
    TEST_EQUAL(net.server_disconnected, 1);
    TEST_EQUAL(net.server_reason, NECPNET_ERR_TIMEOUT);
    net_end(&net);
}

TEST(test_loading_and_suspended_clients_are_given_patience)
{
    struct net net;
    net_begin(&net);
    net_serve(&net);
    struct net_client* client = net_join(&net, NET_URL_UDP);
    NET_RUN_UNTIL(&net, 1000, client->connected);
    TEST_OK(necpnet_client_set_loading(client->client, true));
    net_run(&net, 200);
    necpnet_client* own = client->client;
    client->client = NULL; /* busy with its level: no update */
    net_run(&net, 20000);
    TEST_EQUAL(net.server_disconnected, 0);
    client->client = own;
    net_run(&net, 2000);
    TEST_EQUAL(client->disconnected, 0);
    TEST_OK(necpnet_client_set_loading(client->client, false));
    TEST_OK(necpnet_client_suspend(client->client, net.now_us));
    TEST_EQUAL(necpnet_client_get_state(client->client), NECPNET_CLIENT_SUSPENDED);
    net_run(&net, 30000);
    TEST_EQUAL(client->disconnected, 0);
    TEST_OK(necpnet_client_resume(client->client, net.now_us));
    net_run(&net, 2000);
    TEST_EQUAL(client->disconnected, 0);
    TEST_EQUAL(necpnet_client_get_state(client->client), NECPNET_CLIENT_CONNECTED);
    net_end(&net);
}

TEST(test_drain_sends_clients_away_and_refuses_new_ones)
{
    struct net net;
    net_begin(&net);
    net_serve(&net);
    struct net_client* a = net_join(&net, NET_URL_UDP);
    struct net_client* b = net_join(&net, NET_URL_WEB);
    NET_RUN_UNTIL(&net, 1000, a->connected && b->connected);
    TEST_OK(necpnet_server_drain(net.server, 20000));
    net_run(&net, 2000);
    TEST_EQUAL(a->disconnected, 1);
    TEST_EQUAL(b->disconnected, 1);
    TEST_EQUAL(a->reason, NECPNET_ERR_DRAINING);
    TEST_CHECK(a->last.will_reconnect);
    struct net_client* c = net_join(&net, NET_URL_UDP);
    struct net_client* d = net_join(&net, NET_URL_WEB);
    net_run(&net, 2000);
    TEST_EQUAL(c->reason, NECPNET_ERR_DRAINING);
    TEST_EQUAL(d->reason, NECPNET_ERR_DRAINING);
    TEST_EQUAL(c->connected + d->connected, 0);
    net_end(&net);
}

/* -- refusals by name -- */

TEST(test_nobody_there_is_reported_with_the_likely_causes)
{
    struct net net;
    net_begin(&net);
    net.client_config.reconnect = false;
    net.client_config.connect_timeout_ms = 1000;
    net_serve(&net);
    struct net_client* udp = net_join(&net, "udp://server:9999");
    struct net_client* web = net_join(&net, "ws://server:9999/ws");
    struct net_client* path = net_join(&net, "ws://server:7777/elsewhere");
    net_run(&net, 3000);
    TEST_EQUAL(udp->failed, 1);
    TEST_CHECK(udp->reason == NECPNET_ERR_NO_ANSWER || udp->reason == NECPNET_ERR_HOST_UNKNOWN);
    TEST_CHECK(web->reason == NECPNET_ERR_CONNECTION_REFUSED || web->reason == NECPNET_ERR_HOST_UNKNOWN);
    TEST_EQUAL(path->reason, NECPNET_ERR_UPGRADE_REFUSED);
    TEST_EQUAL(necpnet_client_get_state(path->client), NECPNET_CLIENT_IDLE);
    net_end(&net);
}

TEST(test_different_channel_tables_are_refused_naming_the_channel)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        necpnet_channel_config channels[2];
        net_begin(&net);
        net_serve(&net);
        TEST_OK(necpnet_channel_config_default(&channels[0], NECPNET_RELIABLE_ORDERED));
        TEST_OK(necpnet_channel_config_default(&channels[1], NECPNET_RELIABLE_ORDERED));
        net.client_config.channels = channels;
        net.client_config.channel_count = 2;
        struct net_client* client = net_join(&net, transports[t]);
        net_run(&net, 2000);
        TEST_EQUAL(client->failed, 1);
        TEST_EQUAL(client->reason, NECPNET_ERR_CHANNELS_DIFFER);
        TEST_CHECK(strstr(client->text, "channel") != NULL);
        TEST_EQUAL(client->last.will_reconnect, false);
        TEST_EQUAL(net.peer_count, 0);
        net_end(&net);
    }
}

TEST(test_full_server_says_so)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        net_begin(&net);
        net.server_config.peers_max = 1;
        net.client_config.reconnect = false;
        net_serve(&net);
        struct net_client* first = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 1000, first->connected);
        struct net_client* second = net_join(&net, transports[t]);
        net_run(&net, 1500);
        TEST_EQUAL(second->reason, NECPNET_ERR_SERVER_FULL);
        TEST_EQUAL(first->disconnected, 0);
        net_end(&net);
    }
}

TEST(test_bad_arguments_change_nothing)
{
    struct net net;
    net_begin(&net);
    net_serve(&net);
    struct net_client* client = net_add(&net);
    const char* bad[] = {"http://x", "udp://", "udp://h:99999", "udp://h:0", "ws://h:1/ space", "udp://h:1/path",
                         "",         NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        TEST_EQUAL(necpnet_client_connect(client->client, &bad[i], 1), NECPNET_ERR_BAD_URL);
    }
    TEST_EQUAL(necpnet_client_connect(NULL, bad, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_client_connect(client->client, bad, 17), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_client_send(client->client, 0, "x", 1), NECPNET_ERR_NOT_CONNECTED);
    TEST_EQUAL(necpnet_client_disconnect(client->client, 0, NULL, 0), NECPNET_ERR_NOT_CONNECTED);
    TEST_EQUAL(necpnet_client_get_state(client->client), NECPNET_CLIENT_IDLE);
    TEST_EQUAL(necpnet_server_send(net.server, 12345, 0, "x", 1), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_server_kick(net.server, 12345, 0, NULL, 0), NECPNET_ERR_NOT_FOUND);
    necpnet_client_config config = net.client_config;
    necpnet_client* none = NULL;
    config.struct_bytes = 1;
    TEST_EQUAL(necpnet_client_create(&config, &none), NECPNET_ERR_BAD_STRUCT_BYTES);
    config = net.client_config;
    config.udp_timeout_ms = 1;
    TEST_EQUAL(necpnet_client_create(&config, &none), NECPNET_ERR_BAD_CONFIG);
    TEST_CHECK(none == NULL);
    necpnet_client_destroy(NULL);
    necpnet_server_destroy(NULL);
    net_end(&net);
}

/* -- hostile -- */

TEST(test_garbage_datagrams_get_silence_and_disturb_nobody)
{
    struct net net;
    struct test_random random;
    net_begin(&net);
    net.echo = true;
    net_serve(&net);
    struct net_client* client = net_join(&net, NET_URL_UDP);
    NET_RUN_UNTIL(&net, 1000, client->connected);
    const necpnet_transport* stranger;
    TEST_OK(necpnet_link_add_client(net.link, &stranger));
    necpnet_sink sink;
    memset(&sink, 0, sizeof sink);
    TEST_OK(stranger->attach(stranger->user, &sink)); /* an answer would call NULL and crash */
    necpnet_address to;
    TEST_OK(necpnet_client_get_address(client->client, &to));
    random = test_random_begin(test_seed());
    for (int i = 0; i < 5000; i++) {
        uint8_t data[1400];
        size_t bytes = (size_t)test_random_below(&random, sizeof data);
        test_random_bytes(&random, data, bytes);
        stranger->send_datagram(stranger->user, &to, data, bytes);
        if (i % 50 == 0) net_step(&net, NET_STEP_US);
    }
    stranger->flush(stranger->user);
    net_run(&net, 100);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
    uint64_t drops = 0;
    for (int i = 0; i < NECPNET_DROP_COUNT; i++) drops += statistics.drops[i];
    TEST_AT_LEAST(drops, 4000);
    TEST_OK(necpnet_client_send(client->client, 0, "still here", 10));
    NET_RUN_UNTIL(&net, 1000, client->messages);
    TEST_EQUAL(client->messages, 1);
    stranger->detach(stranger->user);
    net_end(&net);
}

/* -- exhaustion -- */

TEST(test_full_queue_refuses_and_says_when_there_is_room)
{
    for (size_t t = 0; t < 2; t++) {
        struct net net;
        static uint8_t data[60000];
        struct test_random random = test_random_begin(test_seed());
        test_random_bytes(&random, data, sizeof data); /* nothing for LZ4 */
        net_begin(&net);
        net.link_config.bandwidth_bps = 8000000;
        net_serve(&net);
        struct net_client* client = net_join(&net, transports[t]);
        NET_RUN_UNTIL(&net, 1000, client->connected);
        necpnet_result result = NECPNET_OK;
        uint64_t sent = 0;
        while ((result = necpnet_client_send(client->client, 0, data, sizeof data)) == NECPNET_OK)
            TEST_LESS(sent++, 100);
        TEST_EQUAL(result, NECPNET_ERR_WOULD_BLOCK);
        NET_RUN_UNTIL(&net, 20000, client->last.type == NECPNET_EVENT_WRITABLE);
        TEST_EQUAL(client->last.type, NECPNET_EVENT_WRITABLE);
        TEST_OK(necpnet_client_send(client->client, 0, data, sizeof data));
        NET_RUN_UNTIL(&net, 60000, net.server_messages == sent + 1);
        TEST_EQUAL(net.server_messages, sent + 1);
        net_end(&net);
    }
}

TEST(test_creation_survives_each_failing_allocation)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct net net;
        net_begin(&net);
        necpnet_link* link = NULL;
        necpnet_server* server = NULL;
        necpnet_client* client = NULL;
        const necpnet_transport* one = NULL;
        const necpnet_transport* two = NULL;
        if (necpnet_link_create(&net.link_config, &link) == NECPNET_OK &&
            necpnet_link_add_server(link, 7777, &one) == NECPNET_OK &&
            necpnet_link_add_client(link, &two) == NECPNET_OK) {
            net.server_config.transport = one;
            net.client_config.transport = two;
            necpnet_result a = necpnet_server_create(&net.server_config, &server);
            necpnet_result b = necpnet_client_create(&net.client_config, &client);
            TEST_CHECK(a == NECPNET_OK || (a == NECPNET_ERR_OUT_OF_MEMORY && !server));
            TEST_CHECK(b == NECPNET_OK || (b == NECPNET_ERR_OUT_OF_MEMORY && !client));
        }
        necpnet_client_destroy(client);
        necpnet_server_destroy(server);
        necpnet_link_destroy(link);
    }
}

TEST_MAIN
