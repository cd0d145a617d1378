/* api_session - sessions that outlive their connections, over the public API alone.
 *
 * Aim: what an application sees of a session is one conversation: reliable messages exactly once (and in order, where the
 * channel promises it) whatever becomes of the connections below; the peer at the server stays the same; the events tell the
 * truth; a ticket is good for one going on, in the hands of its owner, and for nothing else.
 * Method: client and server on a simulated link with a virtual clock; cuts, loss, blocked UDP, restarts. Both sides number what
 * they send on each channel and check what they receive against it.
 */
#include "net.h"

static const char* const transports[] = {NET_URL_UDP, NET_URL_WEB};

/* ---- numbered traffic on all channels, both ways --------------------------------------------------------------------- */

#define SESSION_MODES NECPNET_CHANNELS_DEFAULT
#define SESSION_MESSAGES_MAX 4000

struct flow {
    uint32_t sent[SESSION_MODES];           /* numbers from 1 */
    uint32_t newest[SESSION_MODES];         /* received */
    uint32_t count[SESSION_MODES];          /* received */
    uint8_t seen[SESSION_MESSAGES_MAX / 8]; /* reliable unordered */
};

struct talk {
    struct net net;
    struct flow up;   /* client to server */
    struct flow down; /* server to client */
    uint32_t bytes_max;
    bool speaks;
    uint64_t random;
};

static uint32_t talk_random(struct talk* talk, uint32_t below)
{
    talk->random = talk->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((talk->random >> 33) % below);
}

static void flow_receive(struct flow* flow, const necpnet_event* event)
{
    uint32_t number;
    TEST_AT_LEAST(event->bytes, sizeof number);
    memcpy(&number, event->data, sizeof number);
    const uint8_t* body = (const uint8_t*)event->data;
    for (size_t i = sizeof number; i < event->bytes; i++) TEST_EQUAL(body[i], (uint8_t)(number + i));
    int c = event->channel;
    TEST_HINT("channel %d, message %u", c, (unsigned)number);
    TEST_AT_MOST(number, flow->sent[c]);
    flow->count[c]++;
    switch (c) {
    case NECPNET_CHANNEL_RELIABLE: TEST_EQUAL(number, flow->newest[c] + 1); break;
    case NECPNET_CHANNEL_SEQUENCED:
    case NECPNET_CHANNEL_LATEST: TEST_GREATER(number, flow->newest[c]); break;
    case NECPNET_CHANNEL_UNORDERED:
        TEST_LESS(number, SESSION_MESSAGES_MAX);
        TEST_EQUAL(flow->seen[number / 8] >> (number % 8) & 1, 0);
        flow->seen[number / 8] = (uint8_t)(flow->seen[number / 8] | 1u << (number % 8));
        break;
    default: break;
    }
    if (number > flow->newest[c]) flow->newest[c] = number;
}

static void talk_on_client(struct net_client* client, const necpnet_event* event)
{
    struct talk* talk = (struct talk*)client->user;
    if (event->type == NECPNET_EVENT_MESSAGE) flow_receive(&talk->down, event);
}

static void talk_on_server(struct net* net, const necpnet_event* event)
{
    struct talk* talk = (struct talk*)net->user;
    if (event->type == NECPNET_EVENT_MESSAGE) flow_receive(&talk->up, event);
}

static size_t talk_fill(struct talk* talk, uint8_t* body, uint32_t number)
{
    size_t bytes = sizeof number + talk_random(talk, talk->bytes_max);
    memcpy(body, &number, sizeof number);
    for (size_t i = sizeof number; i < bytes; i++) body[i] = (uint8_t)(number + i);
    return bytes;
}

/* Either side says something on a channel, now and then. */
static void talk_say(struct talk* talk)
{
    static uint8_t body[65536];
    struct net_client* client = &talk->net.clients[0];
    int c = (int)talk_random(talk, SESSION_MODES);
    if (talk->up.sent[c] + 1 < SESSION_MESSAGES_MAX) {
        size_t bytes = talk_fill(talk, body, talk->up.sent[c] + 1);
        if (necpnet_client_send(client->client, c, body, bytes) == NECPNET_OK) talk->up.sent[c]++;
    }
    c = (int)talk_random(talk, SESSION_MODES);
    if (talk->net.peer_count && talk->down.sent[c] + 1 < SESSION_MESSAGES_MAX) {
        necpnet_peer peer = talk->net.peers[talk->net.peer_count - 1];
        size_t bytes = talk_fill(talk, body, talk->down.sent[c] + 1);
        if (necpnet_server_send(talk->net.server, peer, c, body, bytes) == NECPNET_OK) talk->down.sent[c]++;
    }
}

static void talk_run(struct talk* talk, uint32_t ms)
{
    uint64_t until_us = talk->net.now_us + (uint64_t)ms * 1000;
    while (talk->net.now_us < until_us) {
        if (talk->speaks && talk_random(talk, 4) == 0) talk_say(talk);
        net_step(&talk->net, NET_STEP_US);
    }
}

static bool flow_is_whole(const struct flow* flow)
{
    return flow->count[NECPNET_CHANNEL_RELIABLE] == flow->sent[NECPNET_CHANNEL_RELIABLE] &&
           flow->count[NECPNET_CHANNEL_UNORDERED] == flow->sent[NECPNET_CHANNEL_UNORDERED] &&
           flow->newest[NECPNET_CHANNEL_LATEST] == flow->sent[NECPNET_CHANNEL_LATEST];
}

/* Nothing more is said; everything reliable must arrive. */
static void talk_settle(struct talk* talk, uint32_t ms)
{
    talk->speaks = false;
    NET_RUN_UNTIL(&talk->net, ms, flow_is_whole(&talk->up) && flow_is_whole(&talk->down));
    TEST_HINT("reliable: up %u of %u, down %u of %u", talk->up.count[0], talk->up.sent[0], talk->down.count[0],
              talk->down.sent[0]);
    TEST_CHECK(flow_is_whole(&talk->up));
    TEST_CHECK(flow_is_whole(&talk->down));
}

static struct net_client* talk_begin(struct talk* talk, uint64_t seed)
{
    memset(talk, 0, sizeof *talk);
    net_begin(&talk->net);
    talk->net.link_config.seed = seed;
    talk->random = seed;
    talk->bytes_max = 300;
    talk->speaks = true;
    talk->net.user = talk;
    talk->net.on_server_event = talk_on_server;
    talk->net.client_config.udp_timeout_ms = talk->net.server_config.udp_timeout_ms = 2000;
    talk->net.client_config.udp_ping_ms = talk->net.server_config.udp_ping_ms = 500;
    return &talk->net.clients[0];
}

static void talk_join(struct talk* talk, const char* const* urls, int url_count)
{
    struct net_client* client = net_add(&talk->net);
    client->user = talk;
    client->on_event = talk_on_client;
    TEST_OK(necpnet_client_connect(client->client, urls, url_count));
}

static void talk_block(struct talk* talk, bool blocked)
{
    TEST_OK(necpnet_link_block(talk->net.link, talk->net.clients[0].transport, blocked, blocked));
}

TEST(test_session_goes_on_after_a_cut)
{
    for (size_t t = 0; t < 2; t++) {
        static struct talk talk;
        struct net_client* client = talk_begin(&talk, 11 + t);
        talk.net.link_config.latency_us = 20000;
        talk.net.client_config.websocket_timeout_ms = talk.net.server_config.websocket_timeout_ms = 2000;
        talk.net.client_config.websocket_ping_ms = talk.net.server_config.websocket_ping_ms = 500;
        net_serve(&talk.net);
        talk_join(&talk, &transports[t], 1);
        talk_run(&talk, 1000);
        TEST_EQUAL(client->connected, 1);
        necpnet_peer peer = talk.net.peers[0];
        talk_block(&talk, true);
        talk_run(&talk, 4000);
        TEST_EQUAL(client->suspended, 1);
        TEST_EQUAL(talk.net.server_suspended, 1);
        necpnet_peer_info info;
        TEST_OK(necpnet_server_get_peer(talk.net.server, peer, &info));
        TEST_CHECK(info.suspended && !info.connected);
        talk_block(&talk, false);
        talk_run(&talk, 8000);
        TEST_HINT("%s", transports[t]);
        TEST_EQUAL(client->resumed, 1);
        TEST_EQUAL(talk.net.server_resumed, 1);
        TEST_EQUAL(client->connected, 1);
        TEST_EQUAL(client->disconnected, 0);
        TEST_EQUAL(talk.net.server_disconnected, 0);
        TEST_OK(necpnet_server_get_peer(talk.net.server, peer, &info));
        TEST_CHECK(!info.suspended && info.connected);
        talk_settle(&talk, 5000);
        net_end(&talk.net);
    }
}

/* Short patience, so that a lifetime of cuts fits into a second of virtual time. */
static void talk_hasten(struct talk* talk)
{
    talk->net.client_config.udp_timeout_ms = talk->net.server_config.udp_timeout_ms = 1000;
    talk->net.client_config.udp_ping_ms = talk->net.server_config.udp_ping_ms = 200;
    talk->net.client_config.websocket_timeout_ms = talk->net.server_config.websocket_timeout_ms = 1000;
    talk->net.client_config.websocket_ping_ms = talk->net.server_config.websocket_ping_ms = 200;
    talk->net.client_config.connect_timeout_ms = 1000;
    talk->net.client_config.reconnect_delay_max_ms = 500;
}

TEST(test_session_loses_and_doubles_nothing_under_cuts_and_loss)
{
    TEST_EACH_SEED (seed, 60) {
        static struct talk talk;
        struct net_client* client = talk_begin(&talk, seed);
        talk_hasten(&talk);
        talk.bytes_max = seed % 3 == 0 ? 20000 : 300;
        talk.net.link_config.latency_us = 5000 + talk_random(&talk, 40000);
        talk.net.link_config.jitter_us = talk_random(&talk, 10000);
        talk.net.link_config.loss_ppm = talk_random(&talk, 150000);
        talk.net.link_config.duplicate_ppm = talk_random(&talk, 50000);
        net_serve(&talk.net);
        talk.speaks = false;
        talk_join(&talk, &transports[seed % 2], 1);
        NET_RUN_UNTIL(&talk.net, 60000, client->connected);
        talk.speaks = true;
        necpnet_peer peer =
            talk.net.peers[talk.net.peer_count - 1]; /* attempts of which it heard nothing came before */
        talk_run(&talk, 500);
        for (int cut = 0; cut < 4; cut++) {
            bool up = talk_random(&talk, 3) != 0;
            bool down = !up || talk_random(&talk, 3) != 0;
            TEST_OK(necpnet_link_block(talk.net.link, client->transport, up, down));
            talk_run(&talk, 100 + talk_random(&talk, 2500));
            talk_block(&talk, false);
            talk_run(&talk, talk_random(&talk, 1500));
        }
        TEST_HINT("seed %llu", (unsigned long long)seed);
        TEST_EQUAL(client->connected, 1);
        TEST_EQUAL(client->disconnected, 0);
        talk_settle(&talk, 60000);
        TEST_EQUAL(client->connected, 1);
        necpnet_peer_info info;
        TEST_OK(necpnet_server_get_peer(talk.net.server, peer, &info));
        TEST_CHECK(info.connected);
        TEST_EQUAL(client->lost_count, 0);
        net_end(&talk.net);
    }
}

TEST_MAIN
