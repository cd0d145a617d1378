/* api_jitter - aim: delays that vary and packets that overtake each other are no congestion: a transfer goes on over them,
 * with and without a bottleneck, and the bottleneck's queue stays short. Method: real endpoints on the simulated link
 * (net.h), virtual time in steps of 1 ms, incompressible reliable messages, goodput of the seconds after the start. */
#include "net.h"

static uint8_t jitter_data[1000];
static uint64_t jitter_received;
static struct net jitter_net;

static void jitter_on_server(struct net* net, const necpnet_event* event)
{
    (void)net;
    if (event->type == NECPNET_EVENT_MESSAGE) jitter_received += event->bytes;
}

static void jitter_run(struct net_client* client, uint64_t ms)
{
    uint64_t until_us = jitter_net.now_us + ms * 1000;
    jitter_received = 0;
    while (jitter_net.now_us < until_us) {
        while (necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, jitter_data, sizeof jitter_data) ==
               NECPNET_OK) {
        }
        net_step(&jitter_net, NET_STEP_US);
    }
}

/* kB/s of messages, of 10 s after the first 3. */
static uint64_t jitter_measure(uint64_t bandwidth_bps, uint32_t jitter_ms, uint32_t reorder_percent,
                               uint32_t loss_percent, uint64_t seed)
{
    net_begin(&jitter_net);
    jitter_net.link_config.seed = seed;
    jitter_net.link_config.bandwidth_bps = bandwidth_bps;
    jitter_net.link_config.queue_bytes = 1u << 20;
    jitter_net.link_config.latency_us = 20000;
    jitter_net.link_config.jitter_us = jitter_ms * 1000;
    jitter_net.link_config.reorder_ppm = reorder_percent * 10000;
    jitter_net.link_config.loss_ppm = loss_percent * 10000;
    jitter_net.on_server_event = jitter_on_server;
    struct test_random random = test_random_begin(seed);
    test_random_bytes(&random, jitter_data, sizeof jitter_data);
    net_serve(&jitter_net);
    struct net_client* client = net_join(&jitter_net, NET_URL_UDP);
    NET_RUN_UNTIL(&jitter_net, 5000, client->connected);
    jitter_run(client, 3000);
    jitter_run(client, 10000);
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    if (test_run_state.verbose) {
        printf("%s jitter %3u ms, reordered %2u %%, lost %u %%: %5u kB/s, rtt %.1f ms, least %.1f, window %u, lost "
               "%llu of %llu\n",
               bandwidth_bps == UINT64_MAX ? "no limit  " : "10 Mbit/s ", jitter_ms, reorder_percent, loss_percent,
               (unsigned)(jitter_received / 10000), statistics.rtt_us / 1e3, statistics.rtt_min_us / 1e3,
               statistics.congestion_bytes, (unsigned long long)statistics.packets_lost,
               (unsigned long long)statistics.packets_sent);
        fflush(stdout);
    }
    net_end(&jitter_net);
    return jitter_received / 10000;
}

TEST(test_jitter_that_keeps_the_order_costs_little_of_a_bottleneck)
{
    static const uint32_t jitters[] = {0, 10, 30};
    for (size_t i = 0; i < sizeof jitters / sizeof jitters[0]; i++) {
        TEST_HINT("%u ms", jitters[i]);
        TEST_GREATER(jitter_measure(10000000, jitters[i], 0, 0, 1), 1000);
    }
    TEST_GREATER(jitter_measure(10000000, 30, 0, 2, 1), 900);
}

TEST(test_jitter_without_a_bottleneck_lets_much_pass)
{
    TEST_GREATER(jitter_measure(UINT64_MAX, 10, 0, 0, 1), 1500);
    TEST_GREATER(jitter_measure(UINT64_MAX, 30, 0, 0, 1), 1500);
    TEST_GREATER(jitter_measure(UINT64_MAX, 60, 0, 2, 1), 500);
}

TEST(test_packets_that_overtake_each_other_are_not_lost)
{
    TEST_GREATER(jitter_measure(10000000, 0, 50, 0, 1), 900);
    TEST_GREATER(jitter_measure(10000000, 10, 50, 1, 1), 500);
    TEST_GREATER(jitter_measure(10000000, 150, 50, 0, 1), 60);
}

TEST_MAIN
