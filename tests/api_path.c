/* api_path - aim: a client may change its address while it plays, and nobody else can change it for it.
 *
 * Method: net.h; the link gives the client another address (a NAT, another network), or a spy stands between the client and
 * the link: it copies what the client sends from an address of its own, before the client's own packet leaves.
 */
#include "net.h"

#define RTT_US 60000
#define DOWN_MS 20 /* between two messages of the server */

/* -- traffic with numbers, and the longest time without any -- */

struct traffic {
    uint32_t sent, received;
    uint32_t reliable_sent, reliable_next, wrong;
    uint64_t last_us, stall_us; /* of anything */
    uint64_t unreliable_last_us, unreliable_stall_us, reliable_last_us, reliable_stall_us;
    uint64_t* now_us;
};

static void traffic_note(uint64_t* last_us, uint64_t* longest_us, uint64_t now_us)
{
    if (*last_us && now_us - *last_us > *longest_us) *longest_us = now_us - *last_us;
    *last_us = now_us;
}

static void traffic_take(struct traffic* traffic, const necpnet_event* event)
{
    if (event->type != NECPNET_EVENT_MESSAGE) return;
    uint32_t number;
    uint64_t now_us = *traffic->now_us;
    memcpy(&number, event->data, sizeof number);
    traffic_note(&traffic->last_us, &traffic->stall_us, now_us);
    if (event->channel == NECPNET_CHANNEL_UNRELIABLE) {
        traffic->received++;
        traffic_note(&traffic->unreliable_last_us, &traffic->unreliable_stall_us, now_us);
        return;
    }
    if (number != traffic->reliable_next) traffic->wrong++;
    traffic->reliable_next = number + 1;
    traffic_note(&traffic->reliable_last_us, &traffic->reliable_stall_us, now_us);
}

struct game {
    struct net net;
    struct net_client* client;
    struct traffic down, up;
};

static void game_client_event(struct net_client* client, const necpnet_event* event)
{
    traffic_take(&((struct game*)client->user)->down, event);
}

static void game_server_event(struct net* net, const necpnet_event* event)
{
    traffic_take(&((struct game*)net->user)->up, event);
}

static void game_begin(struct game* game)
{
    memset(game, 0, sizeof *game);
    net_begin(&game->net);
    game->net.link_config.latency_us = RTT_US / 2;
    game->net.user = game;
    game->net.on_server_event = game_server_event;
    game->down.now_us = game->up.now_us = &game->net.now_us;
}

static void game_join(struct game* game)
{
    net_serve(&game->net);
    game->client = net_join(&game->net, NET_URL_UDP);
    game->client->user = game;
    game->client->on_event = game_client_event;
    NET_RUN_UNTIL(&game->net, 10000, game->client->connected && game->net.peer_count);
    TEST_EQUAL(game->net.peer_count, 1);
}

/* One step of a millisecond; the client says something 20 times a second, the server 50 times. */
static void game_step(struct game* game)
{
    struct net* net = &game->net;
    if (net->now_us / 1000 % 50 == 0) {
        necpnet_client_send(game->client->client, NECPNET_CHANNEL_UNRELIABLE, &game->up.sent, 4);
        game->up.sent++;
        if (!necpnet_client_send(game->client->client, NECPNET_CHANNEL_RELIABLE, &game->up.reliable_sent, 4))
            game->up.reliable_sent++;
    }
    if (net->now_us / 1000 % DOWN_MS == 0) {
        necpnet_server_send(net->server, net->peers[0], NECPNET_CHANNEL_UNRELIABLE, &game->down.sent, 4);
        game->down.sent++;
        if (!necpnet_server_send(net->server, net->peers[0], NECPNET_CHANNEL_RELIABLE, &game->down.reliable_sent, 4))
            game->down.reliable_sent++;
    }
    net_step(net, NET_STEP_US);
}

static void game_run(struct game* game, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) game_step(game);
}

static void game_check_whole(struct game* game)
{
    net_run(&game->net, 2000);
    TEST_EQUAL(game->down.wrong, 0);
    TEST_EQUAL(game->up.wrong, 0);
    TEST_EQUAL(game->down.reliable_next, game->down.reliable_sent);
    TEST_EQUAL(game->up.reliable_next, game->up.reliable_sent);
    TEST_EQUAL(game->client->disconnected, 0);
    TEST_EQUAL(game->net.server_disconnected, 0);
}

static uint32_t game_migrations(struct game* game)
{
    necpnet_statistics statistics;
    TEST_OK(necpnet_server_get_peer_statistics(game->net.server, game->net.peers[0], &statistics));
    return statistics.migrations;
}

/* -- ordinary -- */

TEST(test_address_change_every_two_seconds_for_ten_minutes_stalls_less_than_a_round_trip)
{
    struct game game;
    game_begin(&game);
    game_join(&game);
    game_run(&game, 1000);
    game.down.stall_us = game.up.stall_us = 0;
    for (int change = 0; change < 300; change++) {
        TEST_OK(necpnet_link_rebind(game.net.link, game.client->transport));
        game_run(&game, 1976 + (uint32_t)change % 49); /* at every time between two messages */
    }
    uint64_t interval_us = DOWN_MS * 1000; /* between two messages without any change */
    TEST_AT_MOST(game.down.stall_us - interval_us, RTT_US + 50000);
    TEST_AT_MOST(game.down.reliable_stall_us - interval_us, RTT_US + 50000);
    TEST_AT_MOST(game.up.reliable_stall_us - 50000, 1000);
    TEST_AT_MOST(game.up.stall_us - 50000, 1000);
    /* what is not sent again may have found the budget of the unproven address used up */
    TEST_AT_MOST(game.down.unreliable_stall_us - interval_us, 2 * RTT_US + 50000);
    TEST_AT_LEAST(game.down.received + 300 * 8, game.down.sent);
    TEST_EQUAL(game_migrations(&game), 300);
    game_check_whole(&game);
    net_end(&game.net);
}

TEST(test_address_change_under_loss_keeps_every_reliable_message)
{
    TEST_EACH_SEED (seed, 4) {
        struct game game;
        game_begin(&game);
        game.net.link_config.seed = seed;
        game.net.link_config.loss_ppm = 200000;
        game.net.link_config.reorder_ppm = 20000;
        game_join(&game);
        for (int change = 0; change < 30; change++) {
            TEST_OK(necpnet_link_rebind(game.net.link, game.client->transport));
            game_run(&game, 2000);
        }
        net_run(&game.net, 3000);
        game_check_whole(&game);
        TEST_AT_LEAST(game_migrations(&game), 25);
        net_end(&game.net);
    }
}

TEST(test_address_of_a_peer_is_the_present_one)
{
    struct game game;
    necpnet_peer_info before, after;
    game_begin(&game);
    game_join(&game);
    game_run(&game, 200);
    TEST_OK(necpnet_server_get_peer(game.net.server, game.net.peers[0], &before));
    TEST_OK(necpnet_link_rebind(game.net.link, game.client->transport));
    game_run(&game, 500);
    TEST_OK(necpnet_server_get_peer(game.net.server, game.net.peers[0], &after));
    TEST_EQUAL(after.address.port, before.address.port + 1);
    TEST_EQUAL(after.peer, before.peer);
    net_end(&game.net);
}

TEST(test_client_migrates_when_told_to)
{
    struct game game;
    necpnet_statistics statistics;
    game_begin(&game);
    game_join(&game);
    TEST_EQUAL(necpnet_client_migrate(NULL), NECPNET_ERR_INVALID_ARGUMENT);
    for (int i = 1; i <= 5; i++) {
        TEST_OK(necpnet_client_migrate(game.client->client));
        game_run(&game, 1000);
        TEST_EQUAL(game_migrations(&game), i);
    }
    TEST_OK(necpnet_client_get_statistics(game.client->client, &statistics));
    TEST_EQUAL(statistics.migrations, 5);
    game_check_whole(&game);
    TEST_OK(necpnet_client_disconnect(game.client->client, 0, NULL, 0));
    net_run(&game.net, 500);
    TEST_EQUAL(necpnet_client_migrate(game.client->client), NECPNET_ERR_NOT_CONNECTED);
    struct net_client* web = net_join(&game.net, NET_URL_WEB);
    NET_RUN_UNTIL(&game.net, 1000, web->connected);
    TEST_EQUAL(necpnet_client_migrate(web->client), NECPNET_ERR_UNSUPPORTED);
    net_end(&game.net);
}

TEST(test_large_messages_survive_a_change_in_their_middle)
{
    static uint8_t data[50000];
    struct test_random random = test_random_begin(1);
    test_random_bytes(&random, data, sizeof data); /* the same bytes travel with and without compression */
    struct game game;
    game_begin(&game);
    game.net.link_config.bandwidth_bps = 2000000;
    game_join(&game);
    for (int i = 0; i < 20; i++) { /* a megabyte, which the queue holds: 4 s of the link */
        TEST_OK(necpnet_server_send(game.net.server, game.net.peers[0], NECPNET_CHANNEL_UNORDERED, data, sizeof data));
    }
    uint64_t before = game.client->bytes;
    for (int i = 0; i < 10; i++) {
        net_run(&game.net, 400);
        TEST_OK(necpnet_link_rebind(game.net.link, game.client->transport));
    }
    net_run(&game.net, 15000);
    TEST_EQUAL(game.client->bytes - before, 20 * sizeof data);
    TEST_EQUAL(game.client->disconnected, 0);
    net_end(&game.net);
}

/* -- hostile: a spy that copies -- */

struct spy {
    necpnet_transport transport; /* what the client gets */
    const necpnet_transport* below;
    const necpnet_transport* attacker;
    bool copies;   /* and wins the race each time */
    bool forwards; /* to the client what it gets from the server */
    bool moved;    /* no spy: the client itself is at the other host now */
    necpnet_sink sink;
    necpnet_address client_address;
    uint64_t sent_bytes, received_bytes, received;
    uint8_t kept[64][1500];
    size_t kept_bytes[64];
    uint32_t kept_count;
    necpnet_address server;
};

static necpnet_result spy_attach(void* user, const necpnet_sink* sink)
{
    struct spy* spy = (struct spy*)user;
    spy->sink = *sink;
    return spy->below->attach(spy->below->user, sink);
}

static void spy_detach(void* user)
{
    const necpnet_transport* below = ((struct spy*)user)->below;
    below->detach(below->user);
}

static void spy_receive(void* user, uint64_t now_us)
{
    struct spy* spy = (struct spy*)user;
    spy->attacker->receive(spy->attacker->user, now_us);
    spy->below->receive(spy->below->user, now_us);
}

static necpnet_result spy_send(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    struct spy* spy = (struct spy*)user;
    spy->server = *to;
    if (bytes <= sizeof spy->kept[0] && (data[0] & 0x80)) {
        uint32_t at = spy->kept_count++ % 64;
        memcpy(spy->kept[at], data, bytes);
        spy->kept_bytes[at] = bytes;
        if (spy->copies) {
            spy->sent_bytes += bytes;
            spy->attacker->send_datagram(spy->attacker->user, to, data, bytes);
        }
    }
    const necpnet_transport* way = spy->moved ? spy->attacker : spy->below;
    return way->send_datagram(way->user, to, data, bytes);
}

static necpnet_result spy_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    const necpnet_transport* below = ((struct spy*)user)->below;
    return below->resolve(below->user, request, host, port);
}

static void spy_flush(void* user)
{
    const necpnet_transport* below = ((struct spy*)user)->below;
    below->flush(below->user);
}

static void attacker_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    struct spy* spy = (struct spy*)user;
    if (spy->moved) {
        spy->sink.on_datagram(spy->sink.user, from, data, bytes, waited_us);
        return;
    }
    spy->received++;
    spy->received_bytes += bytes;
    if (spy->forwards) spy->attacker->send_datagram(spy->attacker->user, &spy->client_address, data, bytes);
}

static void spy_join(struct game* game, struct spy* spy)
{
    necpnet_sink sink;
    memset(spy, 0, sizeof *spy);
    memset(&sink, 0, sizeof sink);
    net_serve(&game->net);
    struct net_client* client = &game->net.clients[game->net.client_count++];
    TEST_OK(necpnet_link_add_client(game->net.link, &client->transport));
    TEST_OK(necpnet_link_add_client(game->net.link, &spy->attacker));
    sink.user = spy;
    sink.on_datagram = attacker_datagram;
    TEST_OK(spy->attacker->attach(spy->attacker->user, &sink));
    spy->below = client->transport;
    spy->transport.user = spy;
    spy->transport.flags = NECPNET_TRANSPORT_DATAGRAMS;
    spy->transport.attach = spy_attach;
    spy->transport.detach = spy_detach;
    spy->transport.receive = spy_receive;
    spy->transport.send_datagram = spy_send;
    spy->transport.resolve = spy_resolve;
    spy->transport.flush = spy_flush;
    game->net.client_config.transport = &spy->transport;
    TEST_OK(necpnet_client_create(&game->net.client_config, &client->client));
    game->client = client;
    client->user = game;
    client->on_event = game_client_event;
    necpnet_client_update(client->client, game->net.now_us);
    const char* url = NET_URL_UDP;
    TEST_OK(necpnet_client_connect(client->client, &url, 1));
    NET_RUN_UNTIL(&game->net, 2000, client->connected && game->net.peer_count);
    TEST_EQUAL(game->net.peer_count, 1);
    necpnet_peer_info info;
    TEST_OK(necpnet_server_get_peer(game->net.server, game->net.peers[0], &info));
    spy->client_address = info.address;
}

static void spy_end(struct game* game, struct spy* spy)
{
    spy->attacker->detach(spy->attacker->user);
    net_end(&game->net);
}

TEST(test_copied_packets_from_another_address_steal_nothing)
{
    for (int forwards = 0; forwards < 2; forwards++) {
        static struct spy spy;
        struct game game;
        necpnet_peer_info info;
        game_begin(&game);
        spy_join(&game, &spy);
        game_run(&game, 500);
        spy.copies = true;
        spy.forwards = forwards != 0;
        game.down.stall_us = 0;
        game_run(&game, 10000);
        TEST_EQUAL(game_migrations(&game), 0);
        TEST_OK(necpnet_server_get_peer(game.net.server, game.net.peers[0], &info));
        TEST_CHECK(necpnet_address_equal(&info.address, &spy.client_address));
        TEST_GREATER(spy.received, 0); /* it was challenged .. */
        TEST_AT_MOST(spy.received_bytes, spy.sent_bytes * 3);
        TEST_AT_MOST(game.down.stall_us, DOWN_MS * 1000 + 1000); /* .. and the client missed nothing */
        game_check_whole(&game);
        spy_end(&game, &spy);
    }
}

TEST(test_another_host_begins_with_a_round_trip_of_its_own)
{
    static struct spy spy;
    struct game game;
    necpnet_statistics statistics;
    game_begin(&game);
    spy_join(&game, &spy);
    game_run(&game, 3000);
    necpnet_link_config near_by = game.net.link_config;
    near_by.latency_us = 4000;
    TEST_OK(necpnet_link_configure(game.net.link, spy.attacker, &near_by));
    spy.moved = true;
    game_run(&game, 300);
    TEST_EQUAL(game_migrations(&game), 1);
    TEST_OK(necpnet_server_get_peer_statistics(game.net.server, game.net.peers[0], &statistics));
    TEST_AT_MOST(statistics.rtt_us, 20000);
    TEST_AT_LEAST(statistics.rtt_min_us, 8000);
    necpnet_link_config far_off = game.net.link_config;
    far_off.latency_us = 150000;
    TEST_OK(necpnet_link_configure(game.net.link, spy.below, &far_off));
    spy.moved = false;
    game_run(&game, 1500);
    TEST_EQUAL(game_migrations(&game), 2);
    TEST_OK(necpnet_server_get_peer_statistics(game.net.server, game.net.peers[0], &statistics));
    TEST_AT_LEAST(statistics.rtt_min_us, 300000);
    game_check_whole(&game);
    spy_end(&game, &spy);
}

TEST(test_packets_replayed_later_from_another_address_get_nothing)
{
    static struct spy spy;
    struct game game;
    game_begin(&game);
    spy_join(&game, &spy);
    game_run(&game, 1000);
    for (uint32_t i = 0; i < 64 && i < spy.kept_count; i++) {
        spy.attacker->send_datagram(spy.attacker->user, &spy.server, spy.kept[i], spy.kept_bytes[i]);
    }
    game_run(&game, 1000);
    TEST_EQUAL(spy.received, 0);
    TEST_EQUAL(game_migrations(&game), 0);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(game.net.server, &statistics));
    TEST_AT_LEAST(statistics.drops[NECPNET_DROP_REPLAY], 10);
    game_check_whole(&game);
    spy_end(&game, &spy);
}

TEST(test_forged_packets_from_another_address_get_nothing)
{
    static struct spy spy;
    struct game game;
    game_begin(&game);
    spy_join(&game, &spy);
    game_run(&game, 500);
    for (uint32_t i = 0; i < 1000; i++) {
        uint8_t* data = spy.kept[0];
        data[5] = (uint8_t)i; /* another number */
        data[6] = (uint8_t)(i >> 8);
        spy.attacker->send_datagram(spy.attacker->user, &spy.server, data, spy.kept_bytes[0]);
        if (i % 10 == 0) game_step(&game);
    }
    game_run(&game, 500);
    TEST_EQUAL(spy.received, 0);
    TEST_EQUAL(game_migrations(&game), 0);
    game_check_whole(&game);
    spy_end(&game, &spy);
}

TEST_MAIN
