/* api_congestion - aim: through a bottleneck we fill the link, leave no standing queue, share with a second flow of ours,
 * leave TCP Reno at least half of what it has alone and take at least 8 kB/s beside it; bandwidth limits hold on both sides
 * and both transports. Method: real endpoints on a virtual clock (bottleneck.h, where the model of Reno is described; net.h
 * for the limits). bench/congestion has the whole matrix. */
#include "bottleneck.h"
#include "net.h"

#define SECOND UINT64_C(1000000)

static bottleneck shared;

static uint32_t shared_percent(int flow, uint64_t seconds)
{
    return (uint32_t)(shared.flows[flow].arrived_bytes * 100 / seconds / shared.rate);
}

TEST(test_alone_it_fills_the_link_and_leaves_no_queue_whatever_is_lost_at_random)
{
    static const struct {
        const char* name;
        uint64_t rate_bps;
        uint32_t rtt_us, queue_bytes, loss_ppm;
        uint32_t used_least; /* per cent */
        uint32_t queue_most_us;
    } cases[] = {
        {"64 kbit/s, 100 ms: a packet takes 130 ms", 64000, 100000, 15000, 0, 85, 150000},
        {"256 kbit/s, 20 ms: a packet takes 33 ms", 256000, 20000, 32000, 0, 85, 60000},
        {"1 Mbit/s, 20 ms, deep", 1000000, 20000, 125000, 0, 90, 20000},
        {"3 Mbit/s, 100 ms, shallow", 3000000, 100000, 18750, 0, 90, 20000},
        {"10 Mbit/s, 20 ms, shallow", 10000000, 20000, 15000, 0, 90, 20000},
        {"10 Mbit/s, 300 ms, deep", 10000000, 300000, 1250000, 0, 90, 20000},
        {"3 Mbit/s, 100 ms, 1 %", 3000000, 100000, 375000, 10000, 85, 20000},
        {"10 Mbit/s, 100 ms, 5 %", 10000000, 100000, 62500, 50000, 75, 20000},
        {"3 Mbit/s, 300 ms, 5 %", 3000000, 300000, 56250, 50000, 75, 20000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bottleneck_begin(&shared, cases[i].rate_bps, cases[i].rtt_us, cases[i].queue_bytes, cases[i].loss_ppm, 1);
        bottleneck_add(&shared, BOTTLENECK_OURS, 0);
        bottleneck_run(&shared, 12 * SECOND);
        bottleneck_measure(&shared);
        bottleneck_run(&shared, 20 * SECOND);
        TEST_HINT("%s", cases[i].name);
        TEST_GREATER(shared_percent(0, 20), cases[i].used_least);
        TEST_LESS(bottleneck_standing_us(&shared, 90), cases[i].queue_most_us);
        bottleneck_end(&shared);
    }
}

TEST(test_the_start_does_not_fill_a_deep_buffer)
{
    bottleneck_begin(&shared, 3000000, 100000, 375000, 0, 2); /* a second of buffer */
    bottleneck_add(&shared, BOTTLENECK_OURS, 0);
    bottleneck_measure(&shared);
    bottleneck_run(&shared, 5 * SECOND);
    TEST_LESS(shared.queue_worst_us, 100000);
    TEST_EQUAL(shared.flows[0].dropped, 0);
    bottleneck_end(&shared);
}

TEST(test_a_second_flow_gets_its_share_of_a_link_that_is_full)
{
    static const uint64_t rates[] = {1000000, 3000000, 10000000};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        bottleneck_begin(&shared, rates[i], 50000, (uint32_t)(rates[i] / 8), 0, 3);
        bottleneck_add(&shared, BOTTLENECK_OURS, 0);
        bottleneck_add(&shared, BOTTLENECK_OURS, 10 * SECOND);
        bottleneck_run(&shared, 30 * SECOND);
        bottleneck_measure(&shared);
        bottleneck_run(&shared, 40 * SECOND);
        TEST_HINT("%u bit/s", (unsigned)rates[i]);
        TEST_GREATER(shared_percent(0, 40), 25);
        TEST_GREATER(shared_percent(1, 40), 25);
        TEST_GREATER(shared_percent(0, 40) + shared_percent(1, 40), 90);
        bottleneck_end(&shared);
    }
}

TEST(test_reno_keeps_at_least_half_and_we_at_least_the_least_bandwidth)
{
    static const struct {
        uint64_t rate_bps;
        uint32_t rtt_us, queue_bytes;
    } cases[] = {
        {1000000, 100000, 15000}, {3000000, 20000, 15000},   {3000000, 100000, 18750},
        {3000000, 20000, 375000}, {10000000, 100000, 62500}, {10000000, 100000, 1250000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t alone = 0;
        for (int beside = 0; beside < 2; beside++) {
            bottleneck_begin(&shared, cases[i].rate_bps, cases[i].rtt_us, cases[i].queue_bytes, 0, 4);
            bottleneck_add(&shared, BOTTLENECK_RENO, 0);
            if (beside) bottleneck_add(&shared, BOTTLENECK_OURS, 2 * SECOND);
            bottleneck_run(&shared, 12 * SECOND);
            bottleneck_measure(&shared);
            bottleneck_run(&shared, 40 * SECOND);
            if (!beside) alone = shared.flows[0].arrived_bytes;
            TEST_HINT("%u bit/s, %u us", (unsigned)cases[i].rate_bps, (unsigned)cases[i].rtt_us);
            TEST_AT_LEAST(shared.flows[0].arrived_bytes * 2, alone);
            if (beside) TEST_AT_LEAST(shared.flows[1].arrived_bytes / 40, 8000);
            bottleneck_end(&shared);
        }
    }
}

TEST(test_the_link_is_taken_again_when_reno_has_gone)
{
    bottleneck_begin(&shared, 3000000, 50000, 375000, 0, 5);
    bottleneck_add(&shared, BOTTLENECK_OURS, 0);
    bottleneck_add(&shared, BOTTLENECK_RENO, 5 * SECOND)->ends_us = 30 * SECOND;
    bottleneck_run(&shared, 36 * SECOND);
    bottleneck_measure(&shared);
    bottleneck_run(&shared, 10 * SECOND);
    TEST_GREATER(shared_percent(0, 10), 85);
    bottleneck_end(&shared);
}

TEST(test_an_application_that_sends_little_is_held_up_by_nothing)
{
    bottleneck_begin(&shared, 1000000, 50000, 125000, 10000, 6);
    bottleneck_flow* flow = bottleneck_add(&shared, BOTTLENECK_OURS, 0);
    flow->message_bytes = 200;
    flow->offered_bytes_per_s = 12000;
    bottleneck_run(&shared, 2 * SECOND);
    bottleneck_measure(&shared);
    bottleneck_run(&shared, 20 * SECOND);
    TEST_AT_LEAST(flow->message_bytes_arrived / 20, 11800);
    TEST_LESS(bottleneck_standing_us(&shared, 100), 3000);
    bottleneck_end(&shared);
}

/* ---- the bandwidth limit -- */

static struct net limited;
static uint64_t limited_received;

static void limited_on_server(struct net* net, const necpnet_event* event)
{
    (void)net;
    if (event->type == NECPNET_EVENT_MESSAGE) limited_received += event->bytes;
}

static void limited_run(struct net_client* client, bool from_server, uint32_t ms)
{
    static uint8_t message[900];
    struct test_random random = test_random_begin(1);
    test_random_bytes(&random, message, sizeof message);
    uint64_t until_us = limited.now_us + (uint64_t)ms * 1000;
    while (limited.now_us < until_us) {
        necpnet_result result = NECPNET_OK;
        while (result == NECPNET_OK) {
            result = from_server
                         ? necpnet_server_send(limited.server, limited.peers[0], NECPNET_CHANNEL_RELIABLE, message,
                                               sizeof message)
                         : necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, message, sizeof message);
        }
        TEST_EQUAL(result, NECPNET_ERR_WOULD_BLOCK);
        net_step(&limited, NET_STEP_US);
    }
}

TEST(test_bandwidth_limit_holds_on_both_sides_and_transports_and_may_change)
{
    static const char* const urls[] = {NET_URL_UDP, NET_URL_WEB};
    static const uint32_t limits[] = {4000, 50000, 400000, 20000};
    for (int way = 0; way < 4; way++) {
        bool from_server = way & 1;
        net_begin(&limited);
        limited.link_config.latency_us = 10000;
        limited.on_server_event = limited_on_server;
        net_serve(&limited);
        struct net_client* client = net_join(&limited, urls[way / 2]);
        NET_RUN_UNTIL(&limited, 3000, client->connected && limited.peer_count == 1);
        for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
            if (from_server) {
                TEST_OK(necpnet_server_set_bandwidth_limit(limited.server, limited.peers[0], limits[i]));
            } else {
                TEST_OK(necpnet_client_set_bandwidth_limit(client->client, limits[i]));
            }
            limited_run(client, from_server, 2000);
            necpnet_statistics before, after;
            TEST_OK(from_server ? necpnet_server_get_peer_statistics(limited.server, limited.peers[0], &before)
                                : necpnet_client_get_statistics(client->client, &before));
            limited_received = client->bytes = 0;
            limited_run(client, from_server, 6000);
            TEST_OK(from_server ? necpnet_server_get_peer_statistics(limited.server, limited.peers[0], &after)
                                : necpnet_client_get_statistics(client->client, &after));
            TEST_HINT("%s, %s, limit %u", urls[way / 2], from_server ? "server" : "client", limits[i]);
            uint64_t rate = (after.bytes_sent - before.bytes_sent) / 6;
            TEST_AT_MOST(rate, limits[i] + limits[i] / 20 + 250);
            TEST_AT_LEAST(rate, limits[i] * 9 / 10);
            uint64_t received = from_server ? client->bytes : limited_received;
            TEST_AT_LEAST(received / 6, limits[i] * 8 / 10);
        }
        net_end(&limited);
    }
}

TEST(test_bandwidth_limit_refuses_what_is_too_little)
{
    net_begin(&limited);
    net_serve(&limited);
    struct net_client* client = net_add(&limited);
    TEST_EQUAL(necpnet_client_set_bandwidth_limit(client->client, 999), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_server_set_bandwidth_limit(limited.server, NECPNET_PEER_NONE, 999),
               NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_server_set_bandwidth_limit(limited.server, 12345, 5000), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_server_set_bandwidth_limit(limited.server, NECPNET_PEER_NONE, 1000));
    net_end(&limited);
}

TEST_MAIN
