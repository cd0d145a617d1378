/* api_acks - aim: what is sent once and never again is acknowledged seldom, and whatever else travels beside it as soon as
 * ever. Method: real endpoints on the simulated link (net.h), virtual time in steps of 1 ms, 20 unreliable messages a second
 * from the client; the server sends nothing of its own, so nearly all its packets are acknowledgements. */
#include "net.h"

#define ACKS_GAP_MS 50
#define ACKS_LATENCY_US 25000

static struct net acks_net;

static struct net_client* acks_begin(uint32_t latency_us)
{
    net_begin(&acks_net);
    acks_net.link_config.latency_us = latency_us;
    acks_net.link_config.seed = 3;
    net_serve(&acks_net);
    struct net_client* client = net_join(&acks_net, NET_URL_UDP);
    NET_RUN_UNTIL(&acks_net, 5000, client->connected);
    TEST_EQUAL(client->connected, 1);
    net_run(&acks_net, 3000); /* the clocks agree, the path's size is known */
    return client;
}

static necpnet_statistics acks_statistics(struct net_client* client)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    return statistics;
}

/* Packets of the server that arrive while so many messages are sent. */
static uint64_t acks_send(struct net_client* client, unsigned messages, uint8_t channel)
{
    static const uint8_t data[64] = {1};
    uint64_t before = acks_statistics(client).packets_received;
    for (unsigned i = 0; i < messages; i++) {
        TEST_OK(necpnet_client_send(client->client, channel, data, sizeof data));
        net_run(&acks_net, ACKS_GAP_MS);
    }
    return acks_statistics(client).packets_received - before;
}

TEST(test_sparse_unreliable_messages_are_acknowledged_seldom_and_arrive_all)
{
    struct net_client* client = acks_begin(ACKS_LATENCY_US);
    uint64_t received = acks_net.server_messages;
    uint64_t packets = acks_send(client, 400, NECPNET_CHANNEL_UNRELIABLE);
    TEST_AT_MOST(packets, 400 / 4 + 30); /* one for the four of 200 ms; pings */
    TEST_GREATER(packets, 40);
    TEST_EQUAL(acks_net.server_messages - received, 400);
    necpnet_statistics statistics = acks_statistics(client);
    TEST_EQUAL(statistics.packets_lost, 0);
    TEST_AT_MOST(statistics.rtt_us, 2 * ACKS_LATENCY_US + 12000); /* steps of 1 ms, and what the delay's code drops */
    TEST_GREATER(statistics.rtt_us, 2 * ACKS_LATENCY_US - 1);
    packets = acks_send(client, 100, NECPNET_CHANNEL_RELIABLE); /* the measure sees the difference */
    TEST_GREATER(packets, 90);
    net_end(&acks_net);
}

TEST(test_a_receipt_beside_sparse_unreliable_messages_comes_in_a_round_trip)
{
    struct net_client* client = acks_begin(ACKS_LATENCY_US);
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    options.wants_receipt = true;
    for (uint32_t i = 1; i <= 20; i++) {
        (void)acks_send(client, 3, NECPNET_CHANNEL_UNRELIABLE);
        TEST_OK(necpnet_client_send_with(client->client, NECPNET_CHANNEL_RELIABLE, "x", 1, &options));
        uint64_t sent_us = acks_net.now_us;
        NET_RUN_UNTIL(&acks_net, 1000, client->receipts == i);
        TEST_EQUAL(client->receipts, i);
        TEST_AT_MOST(acks_net.now_us - sent_us, 2 * ACKS_LATENCY_US + 18000 + 4000);
    }
    net_end(&acks_net);
}

TEST(test_a_sender_of_unreliable_messages_that_fills_its_window_is_told_at_once)
{
    uint8_t data[300]; /* that do not compress */
    struct test_random random = test_random_begin(1);
    test_random_bytes(&random, data, sizeof data);
    struct net_client* client = acks_begin(400000);
    uint64_t before = acks_statistics(client).packets_received;
    uint64_t flight_max = 0;
    for (unsigned i = 0; i < 400; i++) {
        TEST_OK(necpnet_client_send(client->client, NECPNET_CHANNEL_UNRELIABLE, data, sizeof data));
        net_run(&acks_net, 8);
        uint64_t flight = acks_statistics(client).flight_bytes;
        if (flight > flight_max) flight_max = flight;
    }
    uint64_t packets = acks_statistics(client).packets_received - before;
    TEST_GREATER(flight_max, 6000);
    TEST_GREATER(packets, 90); /* by the eighth alone: 50 */
    net_end(&acks_net);
}

TEST_MAIN
