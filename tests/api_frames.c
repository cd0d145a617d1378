/* api_frames - aim: endpoints that look once a frame, as games do, transfer as those do that wake at every packet: round
 * trips are measured from when packets came, not from when a frame looked at them. Method: real endpoints on the simulated
 * link, each updated at its own frames alone (their lengths vary by up to 2 ms), one bulk transfer from the client, goodput
 * and round trip of the seconds after the start.
 */
#include "net.h"

#define FRAMES_TURN_US 500u /* how finely packets come */

static struct net frames_net;
static uint8_t frames_data[1000];
static uint64_t frames_received;

struct pace {
    uint32_t frame_us; /* 0: at every turn */
    uint64_t at_us;
};

static void frames_on_server(struct net* net, const necpnet_event* event)
{
    (void)net;
    if (event->type == NECPNET_EVENT_MESSAGE) frames_received += event->bytes;
}

static bool frames_is_due(struct pace* pace, struct test_random* random)
{
    if (frames_net.now_us < pace->at_us) return false;
    pace->at_us = frames_net.now_us + pace->frame_us;
    if (pace->frame_us) pace->at_us += test_random_below(random, 2000);
    return true;
}

static void frames_turn(struct net_client* client, struct pace* ours, struct pace* theirs, struct test_random* random)
{
    necpnet_event event;
    TEST_OK(necpnet_link_advance(frames_net.link, frames_net.now_us));
    if (frames_is_due(theirs, random)) {
        TEST_OK(necpnet_server_update(frames_net.server, frames_net.now_us));
        while (necpnet_server_poll(frames_net.server, &event)) net_server_event(&frames_net, &event);
    }
    if (frames_is_due(ours, random)) {
        while (client->connected && necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, frames_data,
                                                        sizeof frames_data) == NECPNET_OK) {
        }
        TEST_OK(necpnet_client_update(client->client, frames_net.now_us));
        while (necpnet_client_poll(client->client, &event)) net_client_event(client, &event);
    }
    frames_net.now_us += FRAMES_TURN_US;
}

/* kB/s over 10 s after the first 3. */
static uint64_t frames_measure(uint64_t bandwidth_bps, uint32_t latency_us, uint32_t frame_us, uint32_t server_frame_us,
                               uint32_t* out_rtt_us)
{
    struct pace ours = {frame_us, 0};
    struct pace theirs = {server_frame_us, 0};
    struct test_random random = test_random_begin(5);
    net_begin(&frames_net);
    frames_net.link_config.bandwidth_bps = bandwidth_bps;
    frames_net.link_config.queue_bytes = 1u << 20;
    frames_net.link_config.latency_us = latency_us;
    frames_net.on_server_event = frames_on_server;
    test_random_bytes(&random, frames_data, sizeof frames_data);
    net_serve(&frames_net);
    struct net_client* client = net_join(&frames_net, NET_URL_UDP);
    uint64_t until_us = frames_net.now_us + 5000000;
    while (!client->connected && frames_net.now_us < until_us) frames_turn(client, &ours, &theirs, &random);
    TEST_CHECK(client->connected);
    until_us = frames_net.now_us + 3000000;
    while (frames_net.now_us < until_us) frames_turn(client, &ours, &theirs, &random);
    frames_received = 0;
    until_us = frames_net.now_us + 10000000;
    while (frames_net.now_us < until_us) frames_turn(client, &ours, &theirs, &random);
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    uint64_t kilobytes = frames_received / 10000;
    if (test_run_state.verbose) {
        printf(
            "%5u kbit/s, round trip %3u ms, frames of %2u and %2u ms: %6u kB/s, rtt %5.1f ms, least %5.1f, window %u\n",
            bandwidth_bps == UINT64_MAX ? 0 : (unsigned)(bandwidth_bps / 1000), latency_us / 500, frame_us / 1000,
            server_frame_us / 1000, (unsigned)kilobytes, statistics.rtt_us / 1e3, statistics.rtt_min_us / 1e3,
            statistics.congestion_bytes);
        fflush(stdout);
    }
    *out_rtt_us = statistics.rtt_us;
    net_end(&frames_net);
    return kilobytes;
}

/* Round trips are the network's, whatever the frames of both sides; 100 ms on the link. */
TEST(test_round_trips_are_measured_without_the_frames)
{
    static const uint32_t frames[][2] = {{16000, 0},     {0, 33000},     {33000, 0},
                                         {16000, 16000}, {16000, 33000}, {50000, 50000}};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        uint32_t rtt_us;
        TEST_HINT("frames of %u and %u us", (unsigned)frames[i][0], (unsigned)frames[i][1]);
        (void)frames_measure(UINT64_MAX, 50000, frames[i][0], frames[i][1], &rtt_us);
        TEST_AT_LEAST(rtt_us, 100000);
        TEST_AT_MOST(rtt_us, 105000);
    }
}

/* Of 1,250 kB/s that the link carries. */
TEST(test_frames_are_not_taken_for_a_queue)
{
    static const struct {
        uint32_t latency_us, frame_us, server_frame_us, least;
    } cases[] = {{10000, 16000, 0, 1000},  {10000, 16000, 33000, 900}, {10000, 33000, 16000, 900},
                 {50000, 16000, 0, 900},   {50000, 33000, 16000, 700}, {50000, 50000, 50000, 500},
                 {100, 33000, 50000, 900}, {100, 0, 33000, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t rtt_us;
        TEST_HINT("frames of %u and %u us, %u us one way", (unsigned)cases[i].frame_us,
                  (unsigned)cases[i].server_frame_us, (unsigned)cases[i].latency_us);
        TEST_AT_LEAST(
            frames_measure(10000000, cases[i].latency_us, cases[i].frame_us, cases[i].server_frame_us, &rtt_us),
            cases[i].least);
    }
}

TEST_MAIN
