/* Bugs that other networking libraries have had, one test for each class. Aim: what broke them ends here in a named error for
 * the peer that did it, and nobody else notices. Method: a server and clients on the simulated link; a tap on a hostile
 * client's line puts frames into its packets, sealed with the right keys, as no honest client would write them.
 *
 * Further classes have their tests where their parts are: sequence arithmetic in test_sequence, test_packet and test_acks;
 * fragments in test_session; tokens in test_handshake, test_token and api_token; WebSocket frames in test_websocket; inflate
 * bombs in test_deflate; floods and silence in api_safe; key changes in test_rotation. docs/quality.md has the whole table. */
#include "net.h"

#include "kit_tap.h"
#include "nn_base64.h"
#include "nn_server.h"
#include "nn_setup.h"

#define QUIET 2 /* bystanders: one over each transport */

struct scene {
    struct net net;
    tap tap; /* of the hostile client, net.clients[QUIET] */
};

static struct scene* begin(struct scene* scene)
{
    memset(&scene->tap, 0, sizeof scene->tap);
    tap_streaming = NULL;
    net_begin(&scene->net);
    scene->net.echo = true;
    net_serve(&scene->net);
    net_join(&scene->net, NET_URL_UDP);
    net_join(&scene->net, NET_URL_WEB);
    NET_RUN_UNTIL(&scene->net, 1000, scene->net.peer_count == QUIET);
    TEST_EQUAL(scene->net.peer_count, QUIET);
    return scene;
}

/* A hostile client, connected; the one before is forgotten. */
static void join_hostile(struct scene* scene, const char* url)
{
    struct net* net = &scene->net;
    const necpnet_transport* inner;
    if (net->client_count > QUIET) necpnet_client_destroy(net->clients[QUIET].client);
    net->client_count = QUIET;
    memset(&net->clients[QUIET], 0, sizeof net->clients[QUIET]);
    TEST_OK(necpnet_link_add_client(net->link, &inner));
    tap_begin(&scene->tap, inner);
    tap_streaming = url[0] == 'w' ? &scene->tap : NULL;
    net->client_config.transport = &scene->tap.transport;
    net->client_config.reconnect = false;
    TEST_OK(necpnet_client_create(&net->client_config, &scene->tap.client));
    net->clients[QUIET].client = scene->tap.client;
    net->client_count = QUIET + 1;
    necpnet_client_update(scene->tap.client, net->now_us);
    TEST_OK(necpnet_client_connect(scene->tap.client, &url, 1));
    int before = net->peer_count;
    NET_RUN_UNTIL(net, 1000, net->peer_count > before && net->clients[QUIET].connected);
    TEST_EQUAL(net->peer_count, before + 1);
    net_run(net, 20);
}

/* The next thing that the hostile client sends is or contains these bytes. */
static void say(struct scene* scene, harm_kind how, const void* bytes, size_t count)
{
    scene->tap.out.data = (const uint8_t*)bytes;
    scene->tap.out.bytes = count;
    scene->tap.out.kind = how;
    TEST_OK(necpnet_client_send(scene->tap.client, NECPNET_CHANNEL_UNRELIABLE, "x", 1));
    net_run(&scene->net, 5);
    TEST_EQUAL(scene->tap.out.kind, HARM_NONE);
}

static void expect_undisturbed(struct scene* scene)
{
    for (int i = 0; i < QUIET; i++) {
        struct net_client* client = &scene->net.clients[i];
        uint64_t before = client->messages;
        TEST_OK(necpnet_client_send(client->client, 0, "still here?", 11));
        NET_RUN_UNTIL(&scene->net, 1000, client->messages > before);
        TEST_EQUAL(client->messages, before + 1);
        TEST_EQUAL(client->disconnected, 0);
    }
}

static void end(struct scene* scene)
{
    net_end(&scene->net);
}

struct bad_frame {
    const char* what;
    const char* bytes;
    size_t count;
};
#define BAD(what, bytes) \
    { \
        what, bytes, sizeof(bytes) - 1 \
    }

static void expect_each_cuts(struct scene* scene, const struct bad_frame* frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TEST_HINT("%s", frames[i].what);
        join_hostile(scene, NET_URL_UDP);
        uint32_t before = scene->net.server_disconnected;
        say(scene, HARM_REPLACE, frames[i].bytes, frames[i].count);
        net_run(&scene->net, 100);
        TEST_EQUAL(scene->net.server_disconnected, before + 1);
        TEST_EQUAL(scene->net.server_reason, NECPNET_ERR_PROTOCOL);
        TEST_CHECK(scene->net.server_text[0]);
    }
    expect_undisturbed(scene);
}

/* Acknowledgement ranges that say more than there is: a sender that walks them, or believes them, is stalled or made to
 * send without end (optimistic acknowledgement, RFC 9000 21.4; picoquic 504 and quic-go 398 added the guard later). */
TEST(test_acknowledgements_of_what_was_never_sent_and_range_bombs_end_the_peer)
{
    static const struct bad_frame frames[] = {
        BAD("a number never sent", "\x03\xff\x7f\x00\x00"),
        BAD("all numbers down from one never sent", "\x03\xff\x7f\x00\x7f"),
        BAD("a range below zero", "\x03\x00\x00\x00\x5f\x03\x00\x00\x00\x5f"),
        BAD("a first range of 2^62 numbers", "\x03\x01\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00"),
        BAD("a gap of 2^62 numbers", "\x03\x01\x00\x00\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\x00"),
        BAD("a range of 2^62 numbers", "\x03\x01\x00\x00\x80\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff"),
        BAD("more ranges than there may be", "\x03\x01\x00\x00\x80\xff\x00\x00\x00\x00\x00\x00"),
        BAD("no further range where one is told", "\x03\x01\x00\x00\x80\x00"),
        BAD("ranges cut off", "\x03\x01\x00\x00\x80\x05\x00\x00"),
    };
    struct scene scene;
    expect_each_cuts(begin(&scene), frames, sizeof frames / sizeof frames[0]);
    end(&scene);
}

/* Fragments that disagree about their message, or lie outside of it: heap overflows in yojimbo (78) and reliable (39), a
 * counter that two fragments fought over in ENet's protocol. */
TEST(test_fragments_that_disagree_or_lie_outside_end_the_peer)
{
#define DATA16 "0123456789abcdef"
    static const struct bad_frame frames[] = {
        BAD("another size than the fragment before",
            "\x07\x00\x00\x00\x4f\xa0\x00\x10" DATA16 "\x07\x00\x00\x00\x5f\x40\x01\x10" DATA16),
        BAD("a smaller size than the fragment before",
            "\x07\x00\x00\x00\x4f\xa0\x20\x10" DATA16 "\x07\x00\x00\x00\x40\x20\x00\x10" DATA16),
        BAD("behind the end", "\x07\x00\x00\x00\x40\x40\x04\x10" DATA16),
        BAD("over the end", "\x07\x00\x00\x00\x28\x02\x10" DATA16),
        BAD("at a place of 2^62", "\x07\x00\x00\x00\x4f\xa0\xff\xff\xff\xff\xff\xff\xff\xff\x10" DATA16),
        BAD("at a place that times 16 is 0 in 64 bits",
            "\x07\x00\x00\x00\x4f\xa0\xd0\x00\x00\x00\x00\x00\x00\x00\x10" DATA16),
        BAD("a message of 2^62 bytes", "\x07\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x10" DATA16),
        BAD("a message over the channel's limit", "\x07\x00\x00\x00\x80\x01\x00\x80\x00\x10" DATA16),
        BAD("longer than its packet", "\x07\x00\x00\x00\x4f\xa0\x00\x50\x00" DATA16),
        BAD("of 2^62 bytes", "\x07\x00\x00\x00\x4f\xa0\x00\xff\xff\xff\xff\xff\xff\xff\xff" DATA16),
        BAD("of no bytes", "\x07\x00\x00\x00\x4f\xa0\x00\x00"),
        BAD("no whole unit and not the end", "\x07\x00\x00\x00\x4f\xa0\x00\x05" DATA16),
        BAD("on a channel that is not there", "\x07\x3f\x00\x00\x4f\xa0\x00\x10" DATA16),
        BAD("of an id far beyond", "\x07\x00\x00\x40\x4f\xa0\x00\x10" DATA16),
    };
    struct scene scene;
    expect_each_cuts(begin(&scene), frames, sizeof frames / sizeof frames[0]);
    end(&scene);
}

/* What counts, at its largest: yojimbo 69 met an old entry of a sequence buffer after 32,768 packets. */
TEST(test_numbers_at_their_largest_end_the_peer_or_mean_what_they_say)
{
    static const struct bad_frame frames[] = {
        BAD("a message id far beyond", "\x05\x00\x00\x40\x01x"),
        BAD("a message id of the other half of the circle", "\x05\x00\xff\xff\x01x\x05\x00\x00\x40\x01x"),
        BAD("a message of 2^62 bytes", "\x05\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"),
        BAD("an input's tick of 2^62", "\x21\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01x"),
        BAD("an input behind the last tick", "\x21\xc0\x00\x00\x00\xff\xff\xff\xff\x01\x01x\x00\x01x"),
        BAD("inputs acknowledged that never were", "\x22\xc0\x00\x00\x00\xff\xff\xff\xff"),
        BAD("messages received that were never sent", "\x04\x00\x00\x01\x00\x05\x00\x00\x00"),
        BAD("a CLOSE of a text that is not there", "\x0c\x00\x00\x00\x78"),
    };
    struct scene scene;
    expect_each_cuts(begin(&scene), frames, sizeof frames / sizeof frames[0]);
    /* Credit without end is the peer's own affair: it promises to take what comes. */
    join_hostile(&scene, NET_URL_UDP);
    say(&scene, HARM_REPLACE, "\x08\x00\xff\xff\xff\xff\xff\xff\xff\xff\x08\x00\xff\xff\xff\xff\xff\xff\xff\xfe", 20);
    TEST_OK(necpnet_server_send(scene.net.server, scene.net.peers[scene.net.peer_count - 1], 0, "hello", 5));
    uint64_t before = scene.net.clients[QUIET].messages;
    NET_RUN_UNTIL(&scene.net, 200, scene.net.clients[QUIET].messages > before);
    TEST_GREATER(scene.net.clients[QUIET].messages, before);
    end(&scene);
}

/* Beginnings of messages without end. A receiver that keeps all of them is out of memory; one that keeps none of them loses
 * honest ones. */
TEST(test_a_flood_of_fragments_ends_at_a_limit)
{
    struct scene scene;
    necpnet_server_statistics before, after;
    begin(&scene);
    join_hostile(&scene, NET_URL_UDP);
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &before));
    for (int id = 0; id < 3000; id++) { /* unreliable: older ones are forgotten */
        uint8_t whole[28] = {0x07,        0x01, (uint8_t)id, (uint8_t)(id >> 8), 0x80, 0x00, 36000 >> 8,
                             36000 & 255, 0x00, 0x10};
        say(&scene, HARM_REPLACE, whole, 26);
    }
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &after));
    TEST_EQUAL(scene.net.server_disconnected, 0);
    TEST_AT_MOST(after.memory_peak_bytes, before.memory_bytes + 4 * 36864 + 65536);
    uint32_t cut = scene.net.server_disconnected;
    int begun = 0;
    for (; begun < 200 && scene.net.server_disconnected == cut; begun++) { /* reliable: one too many ends it */
        uint8_t whole[28] = {0x07, 0x03, (uint8_t)begun, 0, 0x4f, 0xa0, 0x00, 0x10}; /* of 4,000 bytes */
        say(&scene, HARM_REPLACE, whole, 24);
        net_run(&scene.net, 10);
    }
    TEST_EQUAL(begun, 129); /* 128 may be half received */
    TEST_EQUAL(scene.net.server_reason, NECPNET_ERR_PROTOCOL);
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &after));
    TEST_AT_MOST(after.memory_peak_bytes, before.memory_bytes + 129 * 4096 + 65536);
    expect_undisturbed(&scene);
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &after));
    TEST_AT_MOST(after.memory_bytes, before.memory_bytes + 65536);
    end(&scene);
}

/* Fragments that overtake each other: ENet 134 crashed within seconds of jitter. */
TEST(test_fragments_survive_jitter_and_reordering_on_every_channel)
{
    TEST_EACH_SEED (seed, 3) {
        static uint8_t message[30000];
        struct test_random random = test_random_begin(seed);
        test_random_bytes(&random, message, sizeof message); /* the same bytes travel with and without compression */
        struct net net;
        net_begin(&net);
        net.link_config.seed = seed;
        net.link_config.latency_us = 20000;
        net.link_config.jitter_us = 150000;
        net.link_config.reorder_ppm = 500000;
        net.link_config.duplicate_ppm = 50000;
        net.link_config.loss_ppm = 10000;
        net.echo = true;
        net_serve(&net);
        struct net_client* client = net_join(&net, NET_URL_UDP);
        NET_RUN_UNTIL(&net, 5000, client->connected);
        for (int i = 0; i < 20; i++) {
            for (int channel = 0; channel < NECPNET_CHANNELS_DEFAULT; channel++) {
                (void)necpnet_client_send(client->client, channel, message, sizeof message - (size_t)(i * 777));
            }
            net_run(&net, 100);
        }
        net_run(&net, 150000); /* 2 MB that nothing shortens, there and back */
        TEST_EQUAL(client->disconnected, 0);
        TEST_AT_LEAST(client->messages, 40); /* the two channels that are once and whole */
        necpnet_channel_statistics statistics;
        for (int channel = 0; channel < NECPNET_CHANNELS_DEFAULT; channel += 3) {
            TEST_OK(necpnet_client_get_channel_statistics(client->client, channel, &statistics));
            TEST_EQUAL(statistics.messages_received, 20);
        }
        net_end(&net);
    }
}

/* Clocks that pass a power of two: KCP and ENet count milliseconds in 32 bits (KCP 290), which turn over after 49.7 days. */
TEST(test_clocks_may_stand_anywhere)
{
    static const uint64_t starts[] = {UINT64_C(0xffffffff) - 2000000, UINT64_C(0xffffffff) * 1000 - 2000000,
                                      (UINT64_C(1) << 53) - 2000000, (UINT64_C(1) << 62) - 2000000,
                                      UINT64_C(0x7fffffffffffffff) - 60000000};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct net net;
        TEST_HINT("a clock from %llu on", (unsigned long long)starts[i]);
        net_begin(&net);
        net.now_us = starts[i];
        net.link_config.latency_us = 10000;
        net.echo = true;
        net_serve(&net);
        struct net_client* clients[2] = {net_join(&net, NET_URL_UDP), net_join(&net, NET_URL_WEB)};
        for (int round = 0; round < 30; round++) {
            net_run(&net, 200);
            for (int j = 0; j < 2; j++) (void)necpnet_client_send(clients[j]->client, 0, "tick", 4);
        }
        net_run(&net, 500);
        for (int j = 0; j < 2; j++) {
            uint64_t server_us;
            TEST_EQUAL(clients[j]->connected, 1);
            TEST_EQUAL(clients[j]->disconnected, 0);
            TEST_AT_LEAST(clients[j]->messages, 28);
            TEST_OK(necpnet_client_server_time_us(clients[j]->client, net.now_us, &server_us));
            TEST_AT_MOST(server_us > net.now_us ? server_us - net.now_us : net.now_us - server_us, 5000);
        }
        net_end(&net);
    }
}

/* ---- nonces */

#define NONCES_MAX 60000

static struct {
    uint8_t nonce[NN_AEAD_IV_BYTES];
} nonces[NONCES_MAX];
static size_t nonce_count;

static void note_nonce(const nn_aead* aead, uint64_t number)
{
    TEST_LESS(nonce_count, NONCES_MAX);
    memcpy(nonces[nonce_count].nonce, aead->iv, NN_AEAD_IV_BYTES);
    for (int i = 0; i < 8; i++) nonces[nonce_count].nonce[11 - i] ^= (uint8_t)(number >> 8 * i);
    nonce_count++;
}

static uint64_t number_of(const uint8_t* data, size_t bytes, uint64_t near)
{
    nn_packet packet;
    necpnet_drop why;
    static uint8_t copy[NECPNET_DATAGRAM_BYTES_MAX]; /* packets grow */
    TEST_AT_MOST(bytes, sizeof copy);
    memcpy(copy, data, bytes);
    TEST_CHECK(nn_packet_parse(copy, bytes, near, &packet, &why));
    return packet.number;
}

/* Both directions, by the client's keys. */
static void watch_nonces(tap* self, bool outward, const uint8_t* data, size_t bytes)
{
    const nn_connection* connection = &self->client->connection;
    if (!(data[0] & NN_PACKET_FORM) || !connection->udp || !connection->udp->phases.send) return;
    if (outward) {
        note_nonce(connection->udp->phases.send,
                   number_of(data, bytes, nn_recovery_next_number(&connection->udp->recovery) - 1));
    } else {
        note_nonce(connection->udp->phases.receive, number_of(data, bytes, connection->udp->acks.largest));
    }
}

static int order_nonces(const void* a, const void* b)
{
    return memcmp(a, b, NN_AEAD_IV_BYTES);
}

/* A key and number that seal two packets give both away. Keys that outlive a restart did that; so may a machine that is
 * restored from a snapshot and draws the same random bytes again. Here the server is restarted, and each time draws the very
 * bytes that it drew before. */
TEST(test_nonces_are_never_used_twice_over_restarts)
{
    struct scene scene;
    static uint64_t server_entropy;
    begin(&scene);
    nonce_count = 0;
    for (int restart = 0; restart < 40; restart++) {
        net_crash(&scene.net);
        server_entropy = 99; /* as in the snapshot */
        scene.net.server_config.entropy.user = &server_entropy;
        net_serve(&scene.net);
        join_hostile(&scene, NET_URL_UDP);
        scene.tap.watch = watch_nonces;
        for (int i = 0; i < 30; i++) {
            TEST_OK(necpnet_client_send(scene.tap.client, i % 2, "the same text each time", 23));
            net_run(&scene.net, 10);
        }
        scene.tap.watch = NULL;
    }
    TEST_GREATER(nonce_count, 2000);
    qsort(nonces, nonce_count, sizeof nonces[0], order_nonces);
    for (size_t i = 1; i < nonce_count; i++) {
        TEST_CHECK(memcmp(nonces[i - 1].nonce, nonces[i].nonce, NN_AEAD_IV_BYTES) != 0);
    }
    end(&scene);
}

/* ---- ids */

/* Ids that run out: netcode's slots, libwebsockets' fd tables. A server of three places is filled, refuses by name, and gives
 * its places again; the generations of a place turn over without giving an old id a new owner at once. */
TEST(test_connection_ids_run_out_and_come_round)
{
    struct net net;
    net_begin(&net);
    net.server_config.peers_max = 3;
    net_serve(&net);
    for (int i = 0; i < 4; i++) net_join(&net, NET_URL_UDP);
    net_run(&net, 500);
    TEST_EQUAL(net.peer_count, 3);
    int refused = -1;
    for (int i = 0; i < 4; i++) {
        if (!net.clients[i].connected) refused = i;
    }
    TEST_AT_LEAST(refused, 0);
    TEST_EQUAL(net.clients[refused].reason, NECPNET_ERR_SERVER_FULL);
    TEST_OK(necpnet_client_disconnect(net.clients[refused].client, 0, NULL, 0));
    /* the place of the first is used again and again, across the end of its generations */
    net.client_config.reconnect = false;
    necpnet_peer first = net.peers[0];
    nn_peer* peer = nn_server_find(net.server, first);
    TEST_CHECK(peer != NULL);
    uint32_t slot = peer->slot;
    uint32_t last_id = peer->connection.udp->local_id;
    necpnet_client* client = net.clients[0].client;
    for (int round = 0; round < 12; round++) {
        TEST_OK(necpnet_client_disconnect(client, 0, NULL, 0));
        net_run(&net, 600);
        TEST_CHECK(!nn_server_find(net.server, first)); /* the old name is nobody's */
        if (round == 4) net.server->generations[slot] = net.server->carriers[slot] = UINT32_MAX - 2;
        int before = net.peer_count;
        const char* url = NET_URL_UDP;
        TEST_OK(necpnet_client_connect(client, &url, 1));
        NET_RUN_UNTIL(&net, 1000, net.peer_count > before);
        TEST_EQUAL(net.peer_count, before + 1);
        necpnet_peer next = net.peers[before];
        TEST_NOT_EQUAL(next, NECPNET_PEER_NONE);
        TEST_NOT_EQUAL(next, first);
        peer = nn_server_find(net.server, next);
        TEST_CHECK(peer != NULL);
        TEST_NOT_EQUAL(peer->connection.udp->local_id, last_id);
        last_id = peer->connection.udp->local_id;
        first = next;
    }
    TEST_EQUAL(net.clients[1].disconnected, 0);
    TEST_EQUAL(net.clients[2].disconnected, 0);
    net_end(&net);
}

/* ---- WebSocket */

/* Lengths of 64 bits that become negative or wrap when 4 is added (noPoll 84, baresip re 1584), and frames without a mask,
 * which RFC 6455 5.1 forbids a client. */
TEST(test_websocket_lengths_of_64_bits_and_frames_without_mask_end_the_stream)
{
    static const struct bad_frame frames[] = {
        BAD("2^64 - 1 bytes", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00x"),
        BAD("2^64 - 4 bytes", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xfc\x00\x00\x00\x00x"),
        BAD("2^63 bytes", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00x"),
        BAD("2^63 - 1 bytes", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00x"),
        BAD("2^32 bytes", "\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00x"),
        BAD("a small length in 8 bytes", "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x"),
        BAD("a ping of 126 bytes", "\x89\xfe\x00\x7e\x00\x00\x00\x00"),
        BAD("no mask", "\x82\x01\x01"),
        BAD("reserved bits", "\xb2\x81\x00\x00\x00\x00x"),
        BAD("a continuation of nothing", "\x80\x81\x00\x00\x00\x00x"),
        BAD("a reserved opcode", "\x83\x81\x00\x00\x00\x00x"),
        BAD("text where a session speaks", "\x81\x81\x00\x00\x00\x00x"),
    };
    struct scene scene;
    necpnet_server_statistics before, after;
    begin(&scene);
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &before));
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        TEST_HINT("%s", frames[i].what);
        join_hostile(&scene, NET_URL_WEB);
        uint32_t cut = scene.net.server_disconnected;
        say(&scene, HARM_RAW, frames[i].bytes, frames[i].count);
        net_run(&scene.net, 100);
        TEST_EQUAL(scene.net.server_disconnected, cut + 1);
        TEST_CHECK(scene.net.server_reason == NECPNET_ERR_PROTOCOL ||
                   scene.net.server_reason == NECPNET_ERR_MESSAGE_TOO_LARGE);
    }
    net_run(&scene.net, 3000);
    expect_undisturbed(&scene);
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &after));
    TEST_AT_MOST(after.memory_bytes, before.memory_bytes + 65536);
    end(&scene);
}

/* ---- callbacks */

struct meddler {
    struct net* net;
    necpnet_client* client;
    int calls;
};

static void server_meddles(const necpnet_event* event, void* user)
{
    struct meddler* meddler = (struct meddler*)user;
    meddler->calls++;
    necpnet_server* server = meddler->net->server;
    (void)necpnet_server_send(server, event->peer, 0, "first", 5);
    (void)necpnet_server_kick(server, event->peer, 7, "from its own handler", 0);
    (void)necpnet_server_send(server, event->peer, 0, "late", 4);
    (void)necpnet_server_broadcast(server, event->peer, 0, "he is gone", 10, NULL, NULL);
    (void)necpnet_server_kick(server, event->peer, 8, "twice", 0);
}

static void client_meddles(const necpnet_event* event, void* user)
{
    struct meddler* meddler = (struct meddler*)user;
    const char* url = NET_URL_UDP;
    meddler->calls++;
    TEST_CHECK(event->type != NECPNET_EVENT_NONE);
    (void)necpnet_client_send(meddler->client, 0, "first", 5);
    (void)necpnet_client_disconnect(meddler->client, 0, "from its own handler", 0);
    (void)necpnet_client_send(meddler->client, 0, "late", 4);
    (void)necpnet_client_disconnect(meddler->client, 0, "twice", 0);
    (void)necpnet_client_connect(meddler->client, &url, 1);
    (void)necpnet_client_set_loading(meddler->client, true);
}

/* A handler that ends the connection it is called for: uWebSockets 669 and 105 used it after it was freed, and 296 sent from
 * within the handler of the end. */
TEST(test_handlers_may_end_the_connection_that_they_are_called_for)
{
    static const necpnet_event_type types[] = {NECPNET_EVENT_CONNECTED, NECPNET_EVENT_MESSAGE,
                                               NECPNET_EVENT_DISCONNECTED};
    const char* const urls[2] = {NET_URL_UDP, NET_URL_WEB};
    for (int which = 0; which < 12; which++) {
        struct net net;
        net_begin(&net);
        net.client_config.reconnect = false;
        net_serve(&net);
        struct net_client* quiet = net_add(&net);
        struct net_client* client = net_add(&net);
        TEST_OK(necpnet_client_connect(quiet->client, &urls[0], 1));
        TEST_OK(necpnet_client_connect(client->client, &urls[which & 1], 1));
        struct meddler meddler = {&net, client->client, 0};
        necpnet_event_type type = types[which / 2 % 3];
        if (which < 6) {
            TEST_OK(necpnet_server_on_event(net.server, type, server_meddles, &meddler));
        } else {
            TEST_OK(necpnet_client_on_event(client->client, type, client_meddles, &meddler));
        }
        for (int i = 0; i < 600; i++) {
            net.now_us += 1000;
            TEST_OK(necpnet_link_advance(net.link, net.now_us));
            TEST_OK(necpnet_server_update(net.server, net.now_us));
            (void)necpnet_server_dispatch(net.server);
            for (int j = 0; j < 2; j++) {
                TEST_OK(necpnet_client_update(net.clients[j].client, net.now_us));
                (void)necpnet_client_dispatch(net.clients[j].client);
            }
            if (i == 100) {
                (void)necpnet_client_send(client->client, 0, "hello", 5);
                necpnet_peer peer = necpnet_server_next_peer(net.server, 0);
                if (peer) (void)necpnet_server_broadcast(net.server, 0, 0, "hello", 5, NULL, NULL);
            }
            if (i == 200) (void)necpnet_client_disconnect(client->client, 0, NULL, 0);
        }
        TEST_HINT("round %d", which);
        TEST_AT_LEAST(meddler.calls, 1);
        net_end(&net);
    }
}

/* ---- output buffers */

/* Writes into every size of a buffer: what does not fit is refused whole, and nothing behind it changes. */
#define EACH_SIZE(most, call, fits) \
    for (size_t size = 0; size <= (most); size++) { \
        uint8_t* buffer = (uint8_t*)malloc(size + 8); \
        TEST_CHECK(buffer != NULL); \
        memset(buffer, 0xA5, size + 8); \
        TEST_HINT("%s into %u bytes", #call, (unsigned)size); \
        bool taken = (call); \
        TEST_EQUAL(taken, (fits)); \
        for (size_t at = size; at < size + 8; at++) TEST_EQUAL(buffer[at], 0xA5); \
        free(buffer); \
    }

TEST(test_functions_write_into_buffers_of_every_size_and_not_behind_them)
{
    necpnet_address address;
    TEST_OK(necpnet_address_parse("[2001:db8:1:2:3:4:5:6%77]:65535", &address));
    char text[NECPNET_ADDRESS_TEXT_BYTES_MAX];
    TEST_OK(necpnet_address_format(&address, text, sizeof text));
    size_t needed = strlen(text) + 1;
    EACH_SIZE(80, necpnet_address_format(&address, (char*)buffer, size) == NECPNET_OK, size >= needed);
    EACH_SIZE(80, nn_base64_encode("twenty bytes of text", 20, false, (char*)buffer, size) != 0, size >= 29);
    EACH_SIZE(80, nn_base64_encode("twenty bytes of text", 20, true, (char*)buffer, size) != 0, size >= 28);
    size_t bytes = 0;
    EACH_SIZE(40, nn_base64_decode("dHdlbnR5IGJ5dGVzIG9mIHRleHQ=", 28, false, buffer, size, &bytes), size >= 20);
    nn_close close = nn_close_of(NECPNET_ERR_KICKED, 70000, "a text that takes room");
    nn_writer writer;
    EACH_SIZE(60, (writer = nn_writer_of(buffer, size), nn_frame_write_close(&writer, &close), !writer.failed),
              size >= 1 + 2 + 4 + 1 + 1 + 22);
    static nn_setup setup;
    memset(&setup, 0, sizeof setup);
    setup.version = NECPNET_PROTOCOL_VERSION;
    setup.datagram_bytes_max = 1200;
    setup.tick_hz = 60;
    setup.channel_count = 3;
    for (int i = 0; i < 3; i++) {
        setup.channels[i].mode = (uint8_t)(i + 2);
        setup.channels[i].message_bytes_max = 1000;
        setup.channels[i].window_bytes = 100000;
    }
    needed = nn_setup_bytes(&setup);
    EACH_SIZE(needed + 8, (writer = nn_writer_of(buffer, size), nn_setup_write(&writer, &setup), !writer.failed),
              size >= needed);
    if (!necpnet_token_client_id("a", "b")) TEST_SKIP("tokens need a crypto library");
    necpnet_token_config config;
    necpnet_token_key key = {1, {2}};
    TEST_OK(necpnet_token_config_default(&config));
    config.issued_us = NET_WALL_US;
    uint64_t entropy = 5;
    config.entropy.fill = net_fill;
    config.entropy.user = &entropy;
    char token[NECPNET_TOKEN_TEXT_BYTES_MAX];
    TEST_OK(necpnet_token_create(&config, &key, token, sizeof token));
    needed = strlen(token) + 1;
    EACH_SIZE(needed + 4, necpnet_token_create(&config, &key, (char*)buffer, size) == NECPNET_OK, size >= needed);
}

TEST_MAIN
