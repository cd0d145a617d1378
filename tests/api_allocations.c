/* api_allocations - aim: in steady state a message costs no allocation on its way from send over the wire to poll, in every
 * channel mode, over UDP and over WebSocket. Method: real loopback sockets, client and server with an allocator that
 * counts; after a warm-up of every size and burst, thousands of messages without one call, to take or to give back. */
#include "test.h"

#define PATIENCE_US 20000000
#define BYTES_MAX 3000 /* in fragments, too */
#define BURST_MAX 32
#define BURST_BYTES_MAX 12000
#define PHASES_MAX 8 /* the first warms up; tables may still grow in the next: the peak depends on the system's mood */

struct counter {
    necpnet_allocator under;
    uint64_t calls;
};

struct pair {
    struct counter counter;
    necpnet_server* server;
    necpnet_client* client;
    necpnet_peer peer;
    int channel;       /* the one that is tried */
    uint64_t up, down; /* its messages that arrived */
    bool lost;
};

static void* counter_allocate(size_t bytes, void* user)
{
    struct counter* counter = (struct counter*)user;
    counter->calls++;
    return counter->under.allocate(bytes, counter->under.user);
}

static void counter_release(void* memory, size_t bytes, void* user)
{
    struct counter* counter = (struct counter*)user;
    counter->calls++;
    counter->under.release(memory, bytes, counter->under.user);
}

static void pair_turn(struct pair* pair)
{
    necpnet_event event;
    TEST_OK(necpnet_server_update(pair->server, necpnet_time_us()));
    while (necpnet_server_poll(pair->server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) pair->peer = event.peer;
        if (event.type == NECPNET_EVENT_MESSAGE) pair->up += event.channel == pair->channel;
        if (event.type == NECPNET_EVENT_DISCONNECTED) pair->lost = true;
    }
    TEST_OK(necpnet_client_update(pair->client, necpnet_time_us()));
    while (necpnet_client_poll(pair->client, &event)) {
        if (event.type == NECPNET_EVENT_MESSAGE) pair->down += event.channel == pair->channel;
        if (event.type == NECPNET_EVENT_DISCONNECTED || event.type == NECPNET_EVENT_CONNECT_FAILED) pair->lost = true;
    }
}

#define PAIR_UNTIL(pair, condition) \
    do { \
        uint64_t pair_until_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && !(pair)->lost && necpnet_time_us() < pair_until_us) pair_turn(pair); \
        TEST_CHECK(condition); \
    } while (0)

static void pair_begin(struct pair* pair, bool web)
{
    necpnet_server_config server;
    necpnet_client_config client;
    char url[64];
    const char* urls[1] = {url};
    int udp, tcp;
    memset(pair, 0, sizeof *pair);
    pair->counter.under = test_allocator();
    necpnet_allocator allocator;
    memset(&allocator, 0, sizeof allocator);
    allocator.allocate = counter_allocate;
    allocator.release = counter_release;
    allocator.user = &pair->counter;
    bool encrypts = strstr(necpnet_version(), "mbedtls") || strstr(necpnet_version(), "sodium");
    TEST_OK(necpnet_server_config_default(&server));
    server.allocator = allocator;
    server.bind_address = "127.0.0.1";
    server.udp_port = web ? -1 : 0;
    server.tcp_port = web ? 0 : -1;
    server.security = encrypts ? NECPNET_SECURITY_OPEN : NECPNET_SECURITY_NONE;
    TEST_OK(necpnet_server_create(&server, &pair->server));
    TEST_OK(necpnet_server_get_ports(pair->server, &udp, &tcp));
    TEST_OK(necpnet_client_config_default(&client));
    client.allocator = allocator;
    client.security = server.security;
    TEST_OK(necpnet_client_create(&client, &pair->client));
    snprintf(url, sizeof url, web ? "ws://127.0.0.1:%d/ws" : "udp://127.0.0.1:%d", web ? tcp : udp);
    TEST_OK(necpnet_client_update(pair->client, necpnet_time_us()));
    TEST_OK(necpnet_client_connect(pair->client, urls, 1));
    PAIR_UNTIL(pair, pair->peer && necpnet_client_get_state(pair->client) == NECPNET_CLIENT_CONNECTED);
}

static void pair_end(struct pair* pair)
{
    necpnet_client_destroy(pair->client);
    necpnet_server_destroy(pair->server);
}

/* Unreliable messages that have not left; reliable ones may stay until they are acknowledged. */
static uint32_t pair_queued(const struct pair* pair, int channel)
{
    necpnet_channel_statistics up, down;
    if (channel != NECPNET_CHANNEL_SEQUENCED) return 0;
    TEST_OK(necpnet_client_get_channel_statistics(pair->client, channel, &up));
    TEST_OK(necpnet_server_get_channel_statistics(pair->server, pair->peer, channel, &down));
    return up.queue_messages + down.queue_messages;
}

/* A burst each way, and until what must arrive has arrived. */
static void pair_exchange(struct pair* pair, int channel, uint32_t burst, size_t bytes)
{
    static uint8_t data[BYTES_MAX];
    uint64_t up = pair->up, down = pair->down;
    for (uint32_t i = 0; i < burst; i++) {
        TEST_OK(necpnet_client_send(pair->client, channel, data, bytes));
        TEST_OK(necpnet_server_send(pair->server, pair->peer, channel, data, bytes));
    }
    /* sequenced: the newest arrives, those it overtakes may not; loopback loses nothing, so the last one is the sign */
    bool skips = channel == NECPNET_CHANNEL_SEQUENCED || channel == NECPNET_CHANNEL_LATEST;
    if (skips) {
        PAIR_UNTIL(pair, pair->up > up && pair->down > down && pair_queued(pair, channel) == 0);
    } else {
        PAIR_UNTIL(pair, pair->up == up + burst && pair->down == down + burst);
    }
}

static void pair_exchange_all(struct pair* pair, int channel, int rounds)
{
    static const size_t sizes[] = {1, 64, 200, 900, BYTES_MAX};
    for (int round = 0; round < rounds; round++) {
        size_t bytes = sizes[round % 5];
        uint32_t burst = 1 + (uint32_t)(round * 7 % BURST_MAX);
        /* what the system does not take is queued in memory of its own: that is back-pressure, not a steady state */
        if (burst * bytes > BURST_BYTES_MAX) burst = (uint32_t)(BURST_BYTES_MAX / bytes);
        pair_exchange(pair, channel, burst, bytes);
    }
}

static void steady_state(bool web)
{
    struct pair pair;
    pair_begin(&pair, web);
    for (int channel = 0; channel < NECPNET_CHANNELS_DEFAULT; channel++) {
        pair.channel = channel;
        uint64_t calls = 0, messages = 0;
        for (int phase = 0; phase < PHASES_MAX; phase++) {
            calls = pair.counter.calls;
            messages = pair.up + pair.down;
            pair_exchange_all(&pair, channel, 400);
            if (phase > 0 && pair.counter.calls == calls) break;
        }
        TEST_HINT("channel %d over %s: %u calls for %u messages", channel, web ? "WebSocket" : "UDP",
                  (unsigned)(pair.counter.calls - calls), (unsigned)(pair.up + pair.down - messages));
        TEST_EQUAL(pair.counter.calls, calls);
        TEST_AT_LEAST(pair.up + pair.down - messages, 800u);
    }
    pair_end(&pair);
}

TEST(test_messages_over_udp_allocate_nothing_in_steady_state)
{
    steady_state(false);
}

TEST(test_messages_over_websocket_allocate_nothing_in_steady_state)
{
    steady_state(true);
}

TEST_MAIN
