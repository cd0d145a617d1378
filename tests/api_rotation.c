/* api_rotation - aim: the keys of live UDP connections change again and again, and nobody notices but the statistics.
 *
 * Method: net.h with a short config.key_interval_ms on either side or both, the simulated link losing 30 %, traffic both
 * ways; the other transports and securities beside. A thousand changes are a few simulated minutes.
 */
#include "net.h"

struct flow {
    uint32_t sent, expected, wrong;
};

static void expect_order(struct net_client* client, const necpnet_event* event)
{
    struct flow* flow = (struct flow*)client->user;
    uint32_t number;
    if (event->type != NECPNET_EVENT_MESSAGE || event->channel != NECPNET_CHANNEL_RELIABLE) return;
    memcpy(&number, event->data, sizeof number);
    if (number != flow->expected) flow->wrong++;
    flow->expected = number + 1;
}

static uint32_t phase_of(const struct net_client* client)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    return statistics.key_phase;
}

/* Numbered messages there and back, until the keys changed so often. */
static void run(struct net* net, struct net_client* client, uint32_t phases, uint32_t seconds_max)
{
    struct flow flow = {0, 0, 0};
    client->user = &flow;
    client->on_event = expect_order;
    net->echo = true;
    net_serve(net);
    uint64_t until_us = net->now_us + (uint64_t)seconds_max * 1000000;
    net_join(net, NET_URL_UDP);
    NET_RUN_UNTIL(net, 20000, client->connected);
    TEST_EQUAL(client->connected, 1);
    while (phase_of(client) < phases && net->now_us < until_us) {
        for (int i = 0; i < 20; i++) net_step(net, 2000);
        if (necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, &flow.sent, sizeof flow.sent) == NECPNET_OK) {
            flow.sent++;
        }
    }
    TEST_AT_LEAST(phase_of(client), phases);
    NET_RUN_UNTIL(net, 20000, flow.expected == flow.sent);
    TEST_EQUAL(flow.expected, flow.sent);
    TEST_EQUAL(flow.wrong, 0);
    TEST_EQUAL(client->disconnected, 0);
    TEST_EQUAL(net->server_disconnected, 0);
    necpnet_statistics statistics;
    TEST_OK(necpnet_server_get_peer_statistics(net->server, net->peers[0], &statistics));
    TEST_AT_LEAST(statistics.key_phase + 1, phase_of(client));
    necpnet_server_statistics server;
    TEST_OK(necpnet_server_get_statistics(net->server, &server));
    TEST_EQUAL(server.drops[NECPNET_DROP_AUTHENTICATION], 0);
}

TEST(test_keys_change_whoever_wants_it)
{
    for (int who = 0; who < 3; who++) {
        struct net net;
        net_begin(&net);
        net.link_config.latency_us = 20000;
        if (who != 0) net.server_config.key_interval_ms = 100;
        if (who != 1) net.client_config.key_interval_ms = 100;
        run(&net, &net.clients[0], 20, 60);
        net_end(&net);
    }
}

TEST(test_keys_change_a_thousand_times_under_thirty_percent_loss)
{
    struct net net;
    net_begin(&net);
    net.link_config.latency_us = 10000;
    net.link_config.jitter_us = 5000;
    net.link_config.reorder_ppm = 50000;
    net.link_config.loss_ppm = 300000;
    net.server_config.key_interval_ms = 40;
    net.client_config.key_interval_ms = 40;
    run(&net, &net.clients[0], 1000, 1200);
    net_end(&net);
}

TEST(test_keys_of_real_ciphers_change_alike)
{
    struct net net;
    net_begin(&net);
    if (!strstr(necpnet_version(), "mbedtls") && !strstr(necpnet_version(), "sodium")) {
        TEST_SKIP("built without a crypto library");
    }
    net.server_config.security = net.client_config.security = NECPNET_SECURITY_OPEN;
    net.link_config.latency_us = 5000;
    net.link_config.loss_ppm = 100000;
    net.client_config.key_interval_ms = 50;
    run(&net, &net.clients[0], 50, 60);
    net_end(&net);
}

TEST(test_keys_stay_for_their_interval)
{
    struct net net;
    net_begin(&net);
    net_serve(&net);
    struct net_client* client = net_join(&net, NET_URL_UDP);
    struct net_client* web = net_join(&net, NET_URL_WEB);
    NET_RUN_UNTIL(&net, 1000, client->connected && web->connected);
    uint64_t until_us = net.now_us + UINT64_C(599000000);
    while (net.now_us < until_us) net_step(&net, 10000);
    TEST_EQUAL(phase_of(client), 0);
    until_us += 4000000; /* ten minutes, and a PING to change them with */
    while (net.now_us < until_us) net_step(&net, 10000);
    TEST_EQUAL(phase_of(client), 1);
    TEST_EQUAL(phase_of(web), 0); /* TLS has keys of its own */
    TEST_EQUAL(client->disconnected, 0);
    net_end(&net);
}

TEST(test_keys_interval_out_of_range_is_refused)
{
    struct net net;
    necpnet_server* server = NULL;
    necpnet_client* client = NULL;
    net_begin(&net);
    net.server_config.key_interval_ms = 19;
    net.client_config.key_interval_ms = 3600001;
    TEST_EQUAL(necpnet_server_create(&net.server_config, &server), NECPNET_ERR_BAD_CONFIG);
    TEST_EQUAL(necpnet_client_create(&net.client_config, &client), NECPNET_ERR_BAD_CONFIG);
    net_end(&net);
}

TEST_MAIN
