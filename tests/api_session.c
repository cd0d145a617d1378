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

/* Nothing to compress: the same bytes travel in every build. */
static uint32_t talk_noise(uint32_t last)
{
    return last * 1664525u + 1013904223u;
}

static void flow_receive(struct flow* flow, const necpnet_event* event)
{
    uint32_t number;
    TEST_AT_LEAST(event->bytes, sizeof number);
    memcpy(&number, event->data, sizeof number);
    const uint8_t* body = (const uint8_t*)event->data;
    uint32_t noise = number;
    for (size_t i = sizeof number; i < event->bytes; i++) {
        noise = talk_noise(noise);
        TEST_EQUAL(body[i], noise >> 24);
    }
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
    uint32_t noise = number;
    for (size_t i = sizeof number; i < bytes; i++) {
        noise = talk_noise(noise);
        body[i] = (uint8_t)(noise >> 24);
    }
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
        necpnet_server_statistics traffic;
        TEST_OK(necpnet_server_get_statistics(talk.net.server, &traffic));
        TEST_AT_LEAST(traffic.udp.bytes_sent + traffic.websocket.bytes_sent, 100); /* of the connection that is lost */
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
        talk.bytes_max = seed % 3 == 0 ? 8000 : 300;
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
        TEST_HINT("seed %llu: %s", (unsigned long long)seed, client->text);
        TEST_EQUAL(client->connected, 1);
        TEST_EQUAL(client->disconnected, 0);
        talk.net.link_config.loss_ppm = 0; /* what is left is much, and a link that loses a packet in seven is slow */
        TEST_OK(necpnet_link_configure(talk.net.link, client->transport, &talk.net.link_config));
        talk_settle(&talk, 60000);
        TEST_EQUAL(client->connected, 1);
        necpnet_peer_info info;
        TEST_OK(necpnet_server_get_peer(talk.net.server, peer, &info));
        TEST_CHECK(info.connected);
        TEST_EQUAL(client->lost_count, 0);
        net_end(&talk.net);
    }
}

/* ---- blocked UDP: the client's datagrams vanish, its streams live -------------------------------------------------------- */

static struct {
    necpnet_transport outer;
    const necpnet_transport* inner;
    bool is_shut;
    uint8_t resume[1200]; /* the last RESUME that was sent */
    necpnet_address to;
    uint32_t resumes;
} wall;

static necpnet_result wall_send(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    if (bytes == sizeof wall.resume && data[0] == 5) {
        memcpy(wall.resume, data, bytes);
        wall.to = *to;
        wall.resumes++;
    }
    return wall.is_shut ? NECPNET_OK : wall.inner->send_datagram(user, to, data, bytes);
}

/* A client whose datagrams go through the wall. */
static struct net_client* wall_join(struct talk* talk, const char* const* urls, int url_count, bool is_shut)
{
    struct net* net = &talk->net;
    struct net_client* client = &net->clients[net->client_count++];
    TEST_OK(necpnet_link_add_client(net->link, &client->transport));
    memset(&wall, 0, sizeof wall);
    wall.inner = client->transport;
    wall.outer = *client->transport;
    wall.outer.send_datagram = wall_send;
    wall.is_shut = is_shut;
    net->client_config.transport = &wall.outer;
    TEST_OK(necpnet_client_create(&net->client_config, &client->client));
    client->user = talk;
    client->on_event = talk_on_client;
    TEST_OK(necpnet_client_update(client->client, net->now_us));
    TEST_OK(necpnet_client_connect(client->client, urls, url_count));
    return client;
}

static necpnet_transport_kind talk_transport(const struct net_client* client)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_client_get_statistics(client->client, &statistics));
    return statistics.transport;
}

/* What the server has sent by each transport never becomes less, whatever becomes of the connections. */
static void expect_growing_traffic(const struct talk* talk, necpnet_server_statistics* before)
{
    necpnet_server_statistics now;
    TEST_OK(necpnet_server_get_statistics(talk->net.server, &now));
    TEST_AT_LEAST(now.udp.bytes_sent, before->udp.bytes_sent);
    TEST_AT_LEAST(now.udp.packets_received, before->udp.packets_received);
    TEST_AT_LEAST(now.udp.packets_lost, before->udp.packets_lost);
    TEST_AT_LEAST(now.websocket.bytes_sent, before->websocket.bytes_sent);
    TEST_AT_LEAST(now.websocket.packets_received, before->websocket.packets_received);
    *before = now;
}

TEST(test_session_lives_on_websocket_while_udp_is_blocked_and_moves_there_and_back)
{
    uint32_t late = 0;
    TEST_EACH_SEED (seed, 8) {
        static struct talk talk;
        talk_begin(&talk, seed);
        talk_hasten(&talk);
        talk.bytes_max = 3000;
        talk.net.client_config.udp_timeout_ms = talk.net.server_config.udp_timeout_ms = 2000;
        /* what a stream loses comes late, and with it all behind it */
        talk.net.client_config.websocket_timeout_ms = talk.net.server_config.websocket_timeout_ms = 4000;
        talk.net.client_config.upgrade_min_ms = 500;
        talk.net.client_config.upgrade_max_ms = 2000;
        talk.net.link_config.latency_us = 10000;
        talk.net.link_config.loss_ppm = 20000;
        net_serve(&talk.net);
        struct net_client* client = wall_join(&talk, transports, 2, true);
        talk.speaks = false;
        NET_RUN_UNTIL(&talk.net, 10000, client->connected);
        TEST_EQUAL(client->connected, 1);
        TEST_EQUAL(talk_transport(client), NECPNET_TRANSPORT_WEBSOCKET);
        talk.speaks = true;
        necpnet_server_statistics traffic;
        memset(&traffic, 0, sizeof traffic);
        talk_run(&talk, 6000);
        TEST_EQUAL(talk_transport(client), NECPNET_TRANSPORT_WEBSOCKET);
        expect_growing_traffic(&talk, &traffic);
        TEST_EQUAL(traffic.udp.bytes_sent, 0);
        TEST_AT_LEAST(traffic.websocket.bytes_sent, 1000);
        uint32_t tried = wall.resumes;
        TEST_AT_LEAST(tried, 3);
        TEST_AT_MOST(tried, 60); /* at growing intervals */
        wall.is_shut = false;
        talk_run(&talk, 6000);
        TEST_HINT("seed %llu: suspended %u, moved %u", (unsigned long long)seed, client->suspended, client->moved);
        TEST_EQUAL(talk_transport(client), NECPNET_TRANSPORT_UDP);
        TEST_EQUAL(client->suspended, 0);
        TEST_EQUAL(talk.net.server_suspended, 0);
        TEST_EQUAL(client->moved, 1);
        TEST_EQUAL(talk.net.server_moved, 1);
        expect_growing_traffic(&talk, &traffic);
        TEST_AT_LEAST(traffic.udp.bytes_sent, 1000);
        wall.is_shut = true;
        talk_run(&talk, 4000);
        expect_growing_traffic(&talk, &traffic);
        TEST_EQUAL(talk_transport(client), NECPNET_TRANSPORT_WEBSOCKET);
        late += client->suspended; /* else WebSocket was there before UDP was given up */
        talk_settle(&talk, 20000);
        TEST_EQUAL(client->connected, 1);
        TEST_EQUAL(talk.net.server_disconnected, 0);
        net_end(&talk.net);
    }
    TEST_AT_MOST(late, 2); /* the stream loses packets, too, and has a second */
}

/* ---- tickets ---------------------------------------------------------------------------------------------------------- */

/* Connected over UDP, then cut until both sides know. */
static struct net_client* ticket_begin(struct talk* talk, uint64_t seed)
{
    talk_begin(talk, seed);
    talk_hasten(talk);
    talk->net.link_config.latency_us = 5000;
    net_serve(&talk->net);
    struct net_client* client = wall_join(talk, transports, 1, false);
    talk_run(talk, 500);
    TEST_EQUAL(client->connected, 1);
    wall.is_shut = true;
    talk_run(talk, 2000);
    TEST_EQUAL(client->suspended, 1);
    TEST_EQUAL(talk->net.server_suspended, 1);
    TEST_AT_LEAST(wall.resumes, 1);
    return client;
}

static uint64_t talk_drops(const struct talk* talk, necpnet_drop drop)
{
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(talk->net.server, &statistics));
    return statistics.drops[drop];
}

/* Another host sends what it has seen or made. */
static void thief_send(struct talk* talk, const uint8_t* datagram)
{
    const necpnet_transport* thief;
    TEST_OK(necpnet_link_add_client(talk->net.link, &thief));
    TEST_OK(thief->send_datagram(thief->user, &wall.to, datagram, sizeof wall.resume));
    net_run(&talk->net, 100);
    TEST_OK(necpnet_link_remove(talk->net.link, thief));
}

TEST(test_stolen_or_changed_resume_changes_nothing)
{
    static struct talk talk;
    struct net_client* client = ticket_begin(&talk, 3);
    uint8_t stolen[1200], changed[1200];
    memcpy(stolen, wall.resume, sizeof stolen);
    thief_send(&talk, stolen); /* it gets an ACCEPT that it cannot read, and no packet */
    TEST_EQUAL(talk.net.server_resumed, 0);
    TEST_EQUAL(talk.net.server_disconnected, 0);
    net_run(&talk.net, 10500); /* until the ACCEPT is forgotten that the same nonce gets again */
    for (size_t at = 0; at < sizeof changed; at += 7) {
        memcpy(changed, stolen, sizeof changed);
        changed[at] ^= 1;
        thief_send(&talk, changed);
    }
    TEST_EQUAL(talk.net.server_resumed, 0);
    TEST_GREATER(talk_drops(&talk, NECPNET_DROP_TICKET_KEY), 0);
    TEST_GREATER(talk_drops(&talk, NECPNET_DROP_PROOF), 0);
    TEST_GREATER(talk_drops(&talk, NECPNET_DROP_MALFORMED), 0);
    wall.is_shut = false;
    talk_run(&talk, 3000);
    TEST_EQUAL(client->resumed, 1);
    TEST_EQUAL(talk.net.server_resumed, 1);
    /* used up: the same bytes again, once the cached ACCEPT is forgotten */
    net_run(&talk.net, 11000);
    uint64_t spent = talk_drops(&talk, NECPNET_DROP_TICKET_SPENT);
    thief_send(&talk, stolen);
    TEST_EQUAL(talk_drops(&talk, NECPNET_DROP_TICKET_SPENT), spent + 1);
    TEST_EQUAL(talk.net.server_moved, 0);
    talk_settle(&talk, 5000);
    net_end(&talk.net);
}

TEST(test_ticket_dies_with_its_session)
{
    static const struct {
        const char* how;
        uint32_t window_ms;
        bool kick, drain;
    } ends[] = {{"the window passes", 3000, false, false}, {"kick", 30000, true, false}, {"drain", 30000, false, true}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        static struct talk talk;
        talk_begin(&talk, 5);
        talk_hasten(&talk);
        talk.net.server_config.resume_window_ms = ends[i].window_ms;
        net_serve(&talk.net);
        struct net_client* client = wall_join(&talk, transports, 1, false);
        talk_run(&talk, 500);
        wall.is_shut = true;
        talk_run(&talk, 2000);
        TEST_EQUAL(talk.net.server_suspended, 1);
        TEST_HINT("%s", ends[i].how);
        if (ends[i].kick) TEST_OK(necpnet_server_kick(talk.net.server, talk.net.peers[0], 3, "out", 100));
        if (ends[i].drain) TEST_OK(necpnet_server_drain(talk.net.server, 100));
        talk.speaks = false;
        net_run(&talk.net, 3000);
        TEST_EQUAL(talk.net.server_disconnected, 1);
        TEST_EQUAL(talk.net.server_reason, ends[i].kick    ? NECPNET_ERR_KICKED
                                           : ends[i].drain ? NECPNET_ERR_DRAINING
                                                           : NECPNET_ERR_TIMEOUT);
        uint32_t before = client->disconnected;
        memset(&talk.up, 0, sizeof talk.up);
        wall.is_shut = false;
        client->on_event = NULL;
        talk.net.on_server_event = NULL;
        net_run(&talk.net, 4000);
        if (ends[i].drain) {
            TEST_EQUAL(client->resumed, 0);
        } else {
            TEST_EQUAL(client->disconnected, before + 1);
            TEST_EQUAL(client->connected, 2);
            TEST_GREATER(client->lost_count, 0); /* the gap is counted */
        }
        net_end(&talk.net);
    }
}

TEST(test_ticket_expires_and_is_renewed_before)
{
    static struct talk talk;
    talk_begin(&talk, 9);
    talk_hasten(&talk);
    talk.speaks = false;
    talk.net.server_config.resume_window_ms = 2000;
    talk.net.server_config.ticket_lifetime_ms = 4000;
    net_serve(&talk.net);
    struct net_client* client = wall_join(&talk, transports, 1, false);
    net_run(&talk.net, 20000); /* five lifetimes */
    wall.is_shut = true;
    NET_RUN_UNTIL(&talk.net, 2800, client->suspended);
    net_run(&talk.net, 300);
    TEST_EQUAL(client->suspended, 1);
    uint8_t stolen[1200];
    memcpy(stolen, wall.resume, sizeof stolen);
    wall.is_shut = false;
    net_run(&talk.net, 2500);
    TEST_EQUAL(client->resumed, 1);
    net_run(&talk.net, 11000);
    uint64_t before = talk_drops(&talk, NECPNET_DROP_TICKET_EXPIRED);
    thief_send(&talk, stolen);
    TEST_EQUAL(talk_drops(&talk, NECPNET_DROP_TICKET_EXPIRED), before + 1);
    net_end(&talk.net);
}

TEST(test_new_epoch_gives_open_sessions_new_tickets)
{
    static struct talk talk;
    struct net_client* client = talk_begin(&talk, 21);
    talk_hasten(&talk);
    net_serve(&talk.net);
    talk_join(&talk, transports, 1);
    talk_run(&talk, 1000);
    TEST_OK(necpnet_server_set_token_epoch(talk.net.server, 7));
    talk_run(&talk, 500);
    talk_block(&talk, true);
    talk_run(&talk, 2000);
    TEST_EQUAL(client->suspended, 1);
    talk_block(&talk, false);
    talk_run(&talk, 4000);
    TEST_EQUAL(client->resumed, 1);
    TEST_EQUAL(client->disconnected, 0);
    TEST_EQUAL(talk_drops(&talk, NECPNET_DROP_TICKET_EXPIRED), 0);
    talk_settle(&talk, 5000);
    net_end(&talk.net);
}

TEST(test_session_that_was_encrypted_does_not_go_on_without)
{
    static struct talk talk;
    talk_begin(&talk, 4);
    talk_hasten(&talk);
    talk.speaks = false;
    talk.net.server_config.security = talk.net.client_config.security = NECPNET_SECURITY_OPEN;
    net_begin(&talk.net);
    talk_hasten(&talk);
    talk.net.server_config.security = talk.net.client_config.security = NECPNET_SECURITY_OPEN;
    TEST_OK(necpnet_link_create(&talk.net.link_config, &talk.net.link));
    TEST_OK(necpnet_link_advance(talk.net.link, talk.net.now_us));
    TEST_OK(necpnet_link_add_server(talk.net.link, 7777, &talk.net.server_transport));
    talk.net.server_config.transport = talk.net.server_transport;
    if (necpnet_server_create(&talk.net.server_config, &talk.net.server)) {
        net_end(&talk.net);
        TEST_SKIP("built without encryption");
    }
    TEST_OK(necpnet_server_set_wall_time(talk.net.server, NET_WALL_US + talk.net.now_us, talk.net.now_us));
    struct net_client* client = wall_join(&talk, transports, 2, false);
    client->on_event = NULL;
    NET_RUN_UNTIL(&talk.net, 2000, client->connected);
    TEST_EQUAL(talk_transport(client), NECPNET_TRANSPORT_UDP);
    net_run(&talk.net, 200);
    wall.is_shut = true; /* ws:// alone is left: a new session */
    net_run(&talk.net, 6000);
    TEST_EQUAL(client->resumed, 0);
    TEST_EQUAL(client->disconnected, 1);
    TEST_EQUAL(client->connected, 2);
    TEST_EQUAL(talk_transport(client), NECPNET_TRANSPORT_WEBSOCKET);
    net_end(&talk.net);
}

/* ---- restart, limits, take-over ------------------------------------------------------------------------------------------ */

TEST(test_restarted_server_with_the_same_ticket_keys_says_so_at_once)
{
    static const necpnet_token_key keys[2] = {{1, {1, 2, 3}}, {2, {4, 5, 6}}};
    for (int same = 0; same < 2; same++) {
        struct net net;
        net_begin(&net);
        net.client_config.udp_timeout_ms = 1000;
        net.client_config.udp_ping_ms = 200;
        net.server_config.ticket_keys = keys;
        net.server_config.ticket_key_count = same ? 1 : 0;
        net_serve(&net);
        struct net_client* client = net_join(&net, NET_URL_UDP);
        net_run(&net, 300);
        TEST_OK(necpnet_client_send(client->client, 0, "x", 1));
        net_crash(&net);
        TEST_OK(necpnet_client_send(client->client, 0, "y", 1)); /* it may have left: nobody knows */
        net_run(&net, 1500);
        TEST_EQUAL(client->suspended, 1);
        TEST_OK(necpnet_client_send(client->client, 0, "z", 1)); /* it has not */
        if (same) {
            net.server_config.ticket_keys = keys + 0;
            net.server_config.ticket_key_count = 2; /* rotated: another key opens still */
        }
        net_serve(&net);
        net_run(&net, 10000);
        TEST_EQUAL(client->disconnected, 1);
        TEST_EQUAL(client->connected, 2);
        TEST_EQUAL(client->resumed, 0);
        TEST_EQUAL(client->lost_count, 2);
        TEST_EQUAL(net.server_messages, 1);
        net_end(&net);
    }
}

TEST(test_silent_udp_is_looked_for_elsewhere_now_and_then_not_without_a_pause)
{
    static const necpnet_token_key key = {1, {1, 2, 3}};
    static const char* const urls[2] = {NET_URL_UDP, NET_URL_WEB};
    struct net net;
    net_begin(&net);
    net.client_config.udp_timeout_ms = 4000;
    net.client_config.udp_ping_ms = 500;
    net.client_config.reconnect_delay_min_ms = 250;
    net.server_config.ticket_keys = &key;
    net.server_config.ticket_key_count = 1;
    net_serve(&net);
    struct net_client* client = net_add(&net);
    TEST_OK(necpnet_client_connect(client->client, urls, 2));
    net_run(&net, 300);
    TEST_EQUAL(client->connected, 1);
    net_crash(&net);
    net_serve(&net); /* knows the ticket's key, not its session: says so to each who asks */
    necpnet_server_statistics statistics;
    NET_RUN_UNTIL(&net, 10000, client->connected == 2);
    TEST_EQUAL(client->connected, 2);
    necpnet_server_get_statistics(net.server, &statistics);
    TEST_AT_LEAST(statistics.drops[NECPNET_DROP_TICKET_SESSION], 2);
    TEST_AT_MOST(statistics.drops[NECPNET_DROP_TICKET_SESSION], 2000 / 250 + 2);
    net_end(&net);
}

TEST(test_oldest_of_too_many_suspended_sessions_gives_way)
{
    struct net net;
    net_begin(&net);
    net.server_config.suspended_max = 2;
    net.server_config.udp_timeout_ms = 1000;
    net.server_config.udp_ping_ms = 200;
    net.server_config.peers_max = 4;
    net_serve(&net);
    for (int i = 0; i < 4; i++) net_join(&net, NET_URL_UDP);
    net_run(&net, 500);
    TEST_EQUAL(net.peer_count, 4);
    for (int i = 0; i < 3; i++) {
        TEST_OK(necpnet_link_block(net.link, net.clients[i].transport, true, true));
        net_run(&net, 300);
    }
    net_run(&net, 1500);
    TEST_EQUAL(net.server_suspended, 3);
    TEST_EQUAL(net.server_disconnected, 1);
    TEST_EQUAL(net.server_reason, NECPNET_ERR_LIMIT_REACHED);
    /* two newcomers: one place is free, one is made */
    net_join(&net, NET_URL_UDP);
    net_join(&net, NET_URL_WEB);
    net_run(&net, 1000);
    TEST_EQUAL(net.peer_count, 6);
    TEST_EQUAL(net.server_disconnected, 2);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
    TEST_EQUAL(statistics.peers_connected, 3);
    TEST_EQUAL(statistics.peers_suspended, 1);
    net_end(&net);
}

TEST(test_memory_of_suspended_sessions_is_bounded)
{
    struct net net;
    net_begin(&net);
    net.server_config.suspended_bytes_max = 65536;
    net.server_config.udp_timeout_ms = 1000;
    net.server_config.udp_ping_ms = 200;
    net_serve(&net);
    for (int i = 0; i < 2; i++) net_join(&net, NET_URL_UDP);
    net_run(&net, 500);
    for (int i = 0; i < 2; i++) TEST_OK(necpnet_link_block(net.link, net.clients[i].transport, true, true));
    net_run(&net, 2000);
    TEST_EQUAL(net.server_suspended, 2);
    static uint8_t message[10000];
    uint64_t random = 1;
    net_fill(message, sizeof message, &random); /* nothing to compress */
    for (int i = 0; i < 4; i++) {
        TEST_OK(necpnet_server_broadcast(net.server, NECPNET_PEER_NONE, 0, message, sizeof message, NULL, NULL));
        TEST_OK(necpnet_server_broadcast(net.server, NECPNET_PEER_NONE, 1, message, sizeof message, NULL, NULL));
    }
    net_run(&net, 10);
    TEST_EQUAL(net.server_disconnected, 1); /* 2 x 40,000 are too much */
    TEST_EQUAL(net.server_reason, NECPNET_ERR_LIMIT_REACHED);
    net_end(&net);
}

static necpnet_result everybody_is(const char* credential, const necpnet_address* from, necpnet_identity* out_identity,
                                   void* user)
{
    (void)from;
    (void)user;
    out_identity->client_id = (uint64_t)(unsigned char)credential[0];
    return NECPNET_OK;
}

static struct net_client* join_as(struct net* net, const char* who)
{
    static const char* const url = NET_URL_WEB;
    struct net_client* client = net_add(net);
    TEST_OK(necpnet_client_set_credential(client->client, who));
    TEST_OK(necpnet_client_connect(client->client, &url, 1));
    net_run(net, 500);
    return client;
}

TEST(test_second_login_takes_over_or_is_refused_or_stays)
{
    for (int how = 0; how < 3; how++) {
        struct net net;
        net_begin(&net);
        net.server_config.authorize = everybody_is;
        net.server_config.take_over = (necpnet_take_over)how;
        net.client_config.reconnect = false; /* without its credential it would be somebody else */
        net_serve(&net);
        struct net_client* first = join_as(&net, "ada");
        struct net_client* other = join_as(&net, "bob");
        struct net_client* second = join_as(&net, "ada");
        TEST_HINT("take_over %d", how);
        TEST_EQUAL(other->disconnected, 0);
        TEST_EQUAL(second->connected, (how == NECPNET_TAKE_OVER_REFUSE ? 0u : 1u));
        TEST_EQUAL(first->disconnected, (how == NECPNET_TAKE_OVER_REPLACE ? 1u : 0u));
        if (how == NECPNET_TAKE_OVER_REPLACE) {
            TEST_EQUAL(first->reason, NECPNET_ERR_REPLACED);
            TEST_CHECK(!first->last.will_reconnect);
            TEST_EQUAL(net.server_reason, NECPNET_ERR_REPLACED);
        }
        if (how == NECPNET_TAKE_OVER_REFUSE) TEST_EQUAL(second->reason, NECPNET_ERR_REFUSED);
        net_end(&net);
    }
}

TEST(test_messages_queue_while_offline_within_limits_and_priorities)
{
    necpnet_channel_config channels[3];
    struct net net;
    net_begin(&net);
    TEST_OK(necpnet_channel_config_default(&channels[0], NECPNET_RELIABLE_ORDERED));
    TEST_OK(necpnet_channel_config_default(&channels[1], NECPNET_RELIABLE_ORDERED));
    TEST_OK(necpnet_channel_config_default(&channels[2], NECPNET_UNRELIABLE));
    channels[0].priority = NECPNET_PRIORITY_CRITICAL;
    channels[1].priority = NECPNET_PRIORITY_LOW;
    channels[0].compress = channels[1].compress = false;
    net.server_config.channels = net.client_config.channels = channels;
    net.server_config.channel_count = net.client_config.channel_count = 3;
    net.client_config.offline_bytes_max = 10240;
    net.client_config.offline_drops = true;
    net.client_config.udp_timeout_ms = 1000;
    net.client_config.udp_ping_ms = 200;
    net_serve(&net);
    struct net_client* client = net_join(&net, NET_URL_UDP);
    net_run(&net, 300);
    TEST_OK(necpnet_link_block(net.link, client->transport, true, true));
    net_run(&net, 1500);
    TEST_EQUAL(client->suspended, 1);
    uint8_t message[1024] = {0};
    int low = 0, critical = 0;
    while (necpnet_client_send(client->client, 1, message, sizeof message) == NECPNET_OK) low++;
    while (necpnet_client_send(client->client, 0, message, sizeof message) == NECPNET_OK) critical++;
    TEST_EQUAL(necpnet_client_send(client->client, 0, message, sizeof message), NECPNET_ERR_WOULD_BLOCK);
    TEST_EQUAL(low, 5);
    TEST_EQUAL(critical, 5);
    TEST_OK(necpnet_client_send(client->client, 2, message, 10)); /* dropped, and counted */
    necpnet_channel_statistics statistics;
    TEST_OK(necpnet_client_get_channel_statistics(client->client, 2, &statistics));
    TEST_EQUAL(statistics.messages_dropped, 1);
    TEST_OK(necpnet_link_block(net.link, client->transport, false, false));
    net_run(&net, 4000);
    TEST_EQUAL(client->resumed, 1);
    TEST_EQUAL(net.server_messages, 10);
    net_end(&net);
}

TEST(test_thousand_resumes)
{
    static struct talk talk;
    struct net_client* client = talk_begin(&talk, 21);
    talk_hasten(&talk);
    talk.net.client_config.udp_timeout_ms = talk.net.server_config.udp_timeout_ms = 100;
    talk.net.client_config.udp_ping_ms = talk.net.server_config.udp_ping_ms = 50;
    talk.net.client_config.reconnect_delay_min_ms = talk.net.client_config.reconnect_delay_max_ms = 10;
    net_serve(&talk.net);
    talk_join(&talk, transports, 1);
    talk_run(&talk, 100);
    for (uint32_t i = 1; i <= 1000; i++) {
        talk_block(&talk, true);
        NET_RUN_UNTIL(&talk.net, 500, client->suspended >= i);
        talk_block(&talk, false);
        talk.speaks = i % 100 == 0;
        talk_run(&talk, talk.speaks ? 30 : 1);
        NET_RUN_UNTIL(&talk.net, 2000, client->resumed >= i);
        TEST_AT_LEAST(client->resumed, i);
    }
    TEST_EQUAL(client->connected, 1);
    TEST_EQUAL(talk.net.server_disconnected, 0);
    talk_settle(&talk, 3000);
    net_end(&talk.net);
}

/* A callback that leaves, from the event that tells of the way back. */
static void leave_at_once(struct net_client* client, const necpnet_event* event)
{
    if (event->type == NECPNET_EVENT_SUSPENDED || (event->type == NECPNET_EVENT_CONNECTED && event->resumed)) {
        (void)necpnet_client_disconnect(client->client, 0, "enough", 0);
    }
}

static void kick_at_once(struct net* net, const necpnet_event* event)
{
    if (event->type == NECPNET_EVENT_SUSPENDED || event->resumed) {
        (void)necpnet_server_kick(net->server, event->peer, 0, "enough", 0);
    }
}

TEST(test_leaving_from_the_events_of_a_resume)
{
    for (int who = 0; who < 2; who++) {
        for (size_t t = 0; t < 2; t++) {
            struct net net;
            net_begin(&net);
            net.client_config.udp_timeout_ms = net.server_config.udp_timeout_ms = 1000;
            net.client_config.udp_ping_ms = net.server_config.udp_ping_ms = 200;
            net.client_config.websocket_timeout_ms = net.server_config.websocket_timeout_ms = 1000;
            net.client_config.websocket_ping_ms = net.server_config.websocket_ping_ms = 200;
            net_serve(&net);
            struct net_client* client = net_join(&net, transports[t]);
            net_run(&net, 300);
            if (who == 0) client->on_event = leave_at_once;
            if (who == 1) net.on_server_event = kick_at_once;
            TEST_OK(necpnet_link_block(net.link, client->transport, true, true));
            net_run(&net, 1800);
            TEST_OK(necpnet_link_block(net.link, client->transport, false, false));
            net_run(&net, 4000);
            TEST_EQUAL(client->resumed, 0);
            TEST_EQUAL(client->disconnected, 1);
            if (who == 1) TEST_EQUAL(net.server_disconnected, 1);
            net_end(&net);
        }
    }
}

TEST(test_resume_without_memory_comes_later_or_ends_by_name)
{
    struct necpnet_allocator allocator = test_allocator();
    (void)allocator;
    TEST_EACH_ALLOCATION_FAILS {
        struct net net;
        net_begin(&net);
        net.client_config.udp_timeout_ms = net.server_config.udp_timeout_ms = 300;
        net.client_config.udp_ping_ms = net.server_config.udp_ping_ms = 100;
        net.link_config.latency_us = 1000;
        if (necpnet_link_create(&net.link_config, &net.link) == NECPNET_OK &&
            necpnet_link_add_server(net.link, 7777, &net.server_transport) == NECPNET_OK) {
            net.server_config.transport = net.server_transport;
            struct net_client* client = &net.clients[0];
            const char* url = NET_URL_UDP;
            if (necpnet_server_create(&net.server_config, &net.server) == NECPNET_OK &&
                necpnet_link_add_client(net.link, &client->transport) == NECPNET_OK) {
                net.client_config.transport = client->transport;
                if (necpnet_client_create(&net.client_config, &client->client) == NECPNET_OK) {
                    net.client_count = 1;
                    (void)necpnet_client_connect(client->client, &url, 1);
                    net_run(&net, 200);
                    (void)necpnet_link_block(net.link, client->transport, true, true);
                    net_run(&net, 450);
                    (void)necpnet_client_send(client->client, 0, "kept", 4);
                    (void)necpnet_link_block(net.link, client->transport, false, false);
                    net_run(&net, 900);
                }
            }
        }
        net_end(&net);
    }
}

/* ---- the background ------------------------------------------------------------------------------------------------------- */

/* Milliseconds from resume until something that was sent then is back; the server has patience with a sleeper for so long. */
static uint32_t wake_after(const char* url, uint32_t asleep_ms, uint32_t server_patience_ms, uint32_t resumed)
{
    static struct net net;
    net_begin(&net);
    net.echo = true;
    net.link_config.latency_us = 20000;
    net.client_config.loading_timeout_ms = 20000;
    net.server_config.loading_timeout_ms = server_patience_ms;
    net_serve(&net);
    struct net_client* client = net_join(&net, url);
    NET_RUN_UNTIL(&net, 5000, client->connected);
    TEST_OK(necpnet_client_send(client->client, NECPNET_CHANNEL_RELIABLE, "x", 1));
    net_run(&net, 2000);
    TEST_EQUAL(client->messages, 1);
    TEST_OK(necpnet_client_suspend(client->client, net.now_us));
    net_run(&net, 200);
    necpnet_client* own = client->client;
    client->client = NULL; /* the system gives it no time */
    net_run(&net, asleep_ms);
    client->client = own;
    TEST_OK(necpnet_client_resume(own, net.now_us));
    (void)necpnet_client_send(own, NECPNET_CHANNEL_RELIABLE, "y", 1);
    uint64_t woke_us = net.now_us;
    NET_RUN_UNTIL(&net, 20000, client->messages == 2);
    TEST_HINT("%s, asleep %u ms, patience %u ms", url, asleep_ms, server_patience_ms);
    TEST_EQUAL(client->messages, 2);
    TEST_EQUAL(client->resumed, resumed);
    TEST_EQUAL(client->disconnected, 0);
    net_end(&net);
    return (uint32_t)((net.now_us - woke_us) / 1000);
}

TEST(test_session_of_a_sleeper_goes_on_without_the_usual_timeout)
{
    TEST_AT_MOST(wake_after(NET_URL_UDP, 10000, 20000, 0), 60); /* it was kept: a round trip */
    TEST_AT_MOST(wake_after(NET_URL_UDP, 30000, 20000, 1),
                 400); /* surely not: the ticket at once, after a short random wait */
    TEST_AT_MOST(wake_after(NET_URL_UDP, 10000, 6000, 1), 1000); /* unknown: half a second, then the ticket */
    TEST_AT_MOST(wake_after(NET_URL_WEB, 10000, 80000, 0), 60);
    TEST_AT_MOST(wake_after(NET_URL_WEB, 90000, 70000, 1), 600);
}

TEST_MAIN
