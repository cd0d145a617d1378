/* api_bulk - aim: a client that always has more to send fills the path it has, over UDP, without a standing queue, and
 * small messages beside it are not held up. Method: real endpoints on the simulated link (net.h), virtual time in steps
 * of 1 ms, goodput of messages in the seconds after the start. */
#include "net.h"

static uint8_t bulk_data[60000];
static size_t bulk_bytes; /* of one message */

struct bulk {
    uint64_t received;
    uint64_t echo_worst_us;
    uint64_t echo_sent_us;
    uint32_t echoes;
};

static struct net bulk_net;
static struct bulk bulk_now;

static void bulk_on_server(struct net* net, const necpnet_event* event)
{
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    if (event->channel == NECPNET_CHANNEL_RELIABLE) {
        bulk_now.received += event->bytes;
        return;
    }
    TEST_OK(necpnet_server_send(net->server, event->peer, event->channel, event->data, event->bytes));
}

static void bulk_on_client(struct net_client* client, const necpnet_event* event)
{
    (void)client;
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    uint64_t took_us = bulk_net.now_us - bulk_now.echo_sent_us;
    if (took_us > bulk_now.echo_worst_us) bulk_now.echo_worst_us = took_us;
    bulk_now.echoes++;
    bulk_now.echo_sent_us = 0;
}

/* Keep the queue of the reliable channel full for so long, with an echo on another channel now and then. */
static void bulk_run(struct net_client* client, uint64_t ms)
{
    uint64_t until_us = bulk_net.now_us + ms * 1000;
    bulk_now.received = bulk_now.echo_worst_us = bulk_now.echoes = 0; /* an echo may be under way */
    while (bulk_net.now_us < until_us) {
        while (necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, bulk_data, bulk_bytes) == NECPNET_OK) {
        }
        if (!bulk_now.echo_sent_us) {
            bulk_now.echo_sent_us = bulk_net.now_us;
            TEST_OK(necpnet_client_send(client->client, NECPNET_CHANNEL_UNORDERED, "ping", 4));
        }
        net_step(&bulk_net, NET_STEP_US);
    }
}

static struct net_client* bulk_begin(size_t message_bytes, uint64_t bandwidth_bps, uint32_t latency_us,
                                     uint32_t loss_ppm)
{
    bulk_bytes = message_bytes;
    net_begin(&bulk_net);
    bulk_net.link_config.bandwidth_bps = bandwidth_bps;
    bulk_net.link_config.latency_us = latency_us;
    bulk_net.link_config.loss_ppm = loss_ppm;
    bulk_net.link_config.queue_bytes = 1u << 20;
    bulk_net.on_server_event = bulk_on_server;
    memset(&bulk_now, 0, sizeof bulk_now);
    struct test_random random = test_random_begin(1);
    test_random_bytes(&random, bulk_data, sizeof bulk_data); /* nothing to compress */
    net_serve(&bulk_net);
    struct net_client* client = net_join(&bulk_net, NET_URL_UDP);
    client->on_event = bulk_on_client;
    NET_RUN_UNTIL(&bulk_net, 3000, client->connected && bulk_net.peer_count == 1);
    return client;
}

static void bulk_report(const char* name, uint64_t bits_per_s, struct net_client* client)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    if (!test_run_state.verbose) return;
    printf(
        "%-24s %6.2f Mbit/s of messages, echo worst %5.1f ms (%u), rtt %.1f ms, least %.1f ms, window %u, lost %llu\n",
        name, (double)bits_per_s / 1e6, (double)bulk_now.echo_worst_us / 1e3, bulk_now.echoes, statistics.rtt_us / 1e3,
        statistics.rtt_min_us / 1e3, statistics.congestion_bytes, (unsigned long long)statistics.packets_lost);
}

TEST(test_bulk_fills_the_path_and_small_messages_pass)
{
    static const struct {
        const char* name;
        size_t message_bytes;
        uint64_t bandwidth_bps;
        uint32_t latency_us;
        uint32_t loss_ppm;
        uint32_t percent_least;
        uint32_t echo_ms_most; /* round trip, 20 ms of queue, retransmissions where there is loss */
    } cases[] = {
        {"2 Mbit/s, 20 ms", 1000, 2000000, 10000, 0, 85, 70},
        {"10 Mbit/s, 40 ms", 1000, 10000000, 20000, 0, 85, 90},
        {"20 Mbit/s, 100 ms", 60000, 20000000, 50000, 0, 85, 160},
        {"10 Mbit/s, 100 ms, 2,000 bytes", 2000, 10000000, 50000, 0, 85, 160},
        {"10 Mbit/s, 100 ms, 8,000, 2 %", 8000, 10000000, 50000, 20000, 75, 600},
        {"10 Mbit/s, 40 ms, 5 %", 1000, 10000000, 20000, 50000, 70, 500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net_client* client =
            bulk_begin(cases[i].message_bytes, cases[i].bandwidth_bps, cases[i].latency_us, cases[i].loss_ppm);
        bulk_run(client, 4000);
        bulk_run(client, 6000);
        uint64_t bits_per_s = bulk_now.received * 8 / 6;
        bulk_report(cases[i].name, bits_per_s, client);
        TEST_HINT("%s", cases[i].name);
        TEST_GREATER(bits_per_s * 100, cases[i].bandwidth_bps * cases[i].percent_least);
        TEST_GREATER(bulk_now.echoes, 5);
        TEST_LESS(bulk_now.echo_worst_us, cases[i].echo_ms_most * UINT64_C(1000));
        net_end(&bulk_net);
    }
}

TEST(test_bulk_on_an_open_path_is_not_held_up)
{
    struct net_client* client = bulk_begin(1000, UINT64_MAX, 5000, 0);
    bulk_run(client, 1000);
    bulk_run(client, 2000);
    uint64_t bits_per_s = bulk_now.received * 8 / 2;
    bulk_report("no limit, 10 ms", bits_per_s, client);
    TEST_GREATER(bits_per_s, 200000000);
    net_end(&bulk_net);
}

TEST(test_bulk_respects_the_bandwidth_limit)
{
    struct net_client* client = bulk_begin(1000, 100000000, 5000, 0);
    TEST_OK(necpnet_client_set_bandwidth_limit(client->client, 100000));
    bulk_run(client, 2000);
    bulk_run(client, 5000);
    bulk_report("limit 0.8 Mbit/s", bulk_now.received * 8 / 5, client);
    TEST_LESS(bulk_now.received / 5, 104000);
    TEST_GREATER(bulk_now.received / 5, 85000);
    net_end(&bulk_net);
}

TEST_MAIN
