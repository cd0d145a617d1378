/* api_pings - aim: connections that began in one moment do not ask for the time in one moment. Method: a thousand idle clients
 * connect in one tick on the simulated link (net.h); what each sends is counted tick by tick of 10 ms, as a server sees it. */
#define NET_CLIENTS_MAX 1000
#include "net.h"

#define PINGS_TICK_US 10000

static struct net pings_net;
static uint64_t pings_sent[NET_CLIENTS_MAX];

/* Clients that sent anything in the tick. */
static uint32_t pings_step(void)
{
    uint32_t senders = 0;
    net_step(&pings_net, PINGS_TICK_US);
    for (int i = 0; i < NET_CLIENTS_MAX; i++) {
        necpnet_statistics statistics;
        TEST_OK(necpnet_client_get_statistics(pings_net.clients[i].client, &statistics));
        senders += statistics.packets_sent != pings_sent[i];
        pings_sent[i] = statistics.packets_sent;
    }
    return senders;
}

/* The most senders of any tick, and in *out_all the sum. */
static uint32_t pings_run(uint32_t ticks, uint32_t* out_all)
{
    uint32_t most = 0;
    *out_all = 0;
    for (uint32_t i = 0; i < ticks; i++) {
        uint32_t senders = pings_step();
        *out_all += senders;
        if (senders > most) most = senders;
    }
    return most;
}

TEST(test_a_thousand_clients_that_came_in_one_tick_do_not_ping_in_one_tick)
{
    uint32_t all;
    net_begin(&pings_net);
    pings_net.server_config.peers_max = NET_CLIENTS_MAX;
    pings_net.client_config.datagram_bytes_max = NECPNET_DATAGRAM_BYTES_DEFAULT; /* no probes of the size */
    pings_net.link_config.latency_us = 1000;
    net_serve(&pings_net);
    for (int i = 0; i < NET_CLIENTS_MAX; i++) (void)net_join(&pings_net, NET_URL_UDP);
    for (int i = 0; i < 20 && pings_net.peer_count < NET_CLIENTS_MAX; i++) net_step(&pings_net, PINGS_TICK_US);
    TEST_EQUAL(pings_net.peer_count, NET_CLIENTS_MAX);
    (void)pings_step();
    uint32_t most = pings_run(50, &all); /* eight each, 60 ms apart, for the clock */
    TEST_GREATER(all, NET_CLIENTS_MAX * 6);
    TEST_AT_MOST(most, NET_CLIENTS_MAX * 35 / 100);
    (void)pings_run(150, &all);
    most = pings_run(1000, &all); /* then every two seconds */
    TEST_GREATER(all, NET_CLIENTS_MAX * 4);
    TEST_AT_MOST(most, NET_CLIENTS_MAX * 15 / 100);
    net_end(&pings_net);
}

TEST_MAIN
