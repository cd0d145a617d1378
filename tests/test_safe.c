/* The promises of docs/quality.md "Safe" that strangers and floods could break. Aim: silence to strangers, no amplification,
 * memory within its limits, and nobody else notices. Method: a server and two quiet clients (UDP, WebSocket) on the simulated
 * link; a tap collects what a real client says, and a stranger says it again: cut, flipped, elsewhere, very often. The delay
 * of the quiet clients' messages is measured in virtual time, with and without the attack. */
#include "net.h"

#include "kit_tap.h"
#include "nn_query.h"

#define HEARD_MAX 64
#define DELAYS_MAX 4000

struct scene {
    struct net net;
    tap tap;
    const necpnet_transport* stranger;
    uint64_t said_bytes, answered_bytes, largest_answer;
    uint8_t heard[HEARD_MAX][1300]; /* datagrams that a client sent */
    size_t heard_bytes[HEARD_MAX];
    int heard_count;
    uint32_t delays_us[DELAYS_MAX];
    int delay_count;
};

static struct scene scene;
static const necpnet_token_key key = {7, {1, 2, 3}};

static void collect(tap* self, bool outward, const uint8_t* data, size_t bytes)
{
    (void)self;
    if (!outward || scene.heard_count == HEARD_MAX || bytes > sizeof scene.heard[0]) return;
    memcpy(scene.heard[scene.heard_count], data, bytes);
    scene.heard_bytes[scene.heard_count++] = bytes;
}

static void on_answer(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    (void)waited_us;
    (void)user;
    (void)from;
    (void)data;
    scene.answered_bytes += bytes;
    if (bytes > scene.largest_answer) scene.largest_answer = bytes;
}

static void note_delay(struct net_client* client, const necpnet_event* event)
{
    uint64_t sent_us;
    (void)client;
    if (event->type != NECPNET_EVENT_MESSAGE || event->bytes != sizeof sent_us) return;
    memcpy(&sent_us, event->data, sizeof sent_us);
    if (scene.delay_count < DELAYS_MAX) scene.delays_us[scene.delay_count++] = (uint32_t)(scene.net.now_us - sent_us);
}

static void give_token(struct net_client* client)
{
    necpnet_token_config config;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    const char* url = NET_URL_UDP;
    TEST_OK(necpnet_token_config_default(&config));
    config.issued_us = NET_WALL_US + scene.net.now_us;
    config.urls = &url;
    config.url_count = 1;
    TEST_OK(necpnet_token_create(&config, &key, text, sizeof text));
    TEST_OK(necpnet_client_set_token(client->client, text, NET_WALL_US + scene.net.now_us));
}

static void begin(necpnet_security security)
{
    struct net* net = &scene.net;
    memset(&scene, 0, sizeof scene);
    tap_streaming = NULL;
    net_begin(net);
    net->echo = true;
    net->link_config.latency_us = 5000;
    net->server_config.security = net->client_config.security = security;
    net->server_config.token_keys = &key;
    net->server_config.token_key_count = 1;
}

/* The quiet clients; with tokens one over UDP alone. The first has a tap. */
static void serve(void)
{
    struct net* net = &scene.net;
    const necpnet_transport* inner;
    const char* url = NET_URL_UDP;
    net_serve(net);
    TEST_OK(necpnet_link_add_client(net->link, &inner));
    tap_begin(&scene.tap, inner);
    scene.tap.watch = collect;
    net->client_config.transport = &scene.tap.transport;
    TEST_OK(necpnet_client_create(&net->client_config, &scene.tap.client));
    net->clients[net->client_count++].client = scene.tap.client;
    necpnet_client_update(scene.tap.client, net->now_us);
    TEST_OK(necpnet_client_connect(scene.tap.client, &url, 1));
    if (net->client_config.security == NECPNET_SECURITY_TOKEN) {
        net_step(net, NET_STEP_US);
        give_token(&net->clients[0]);
    } else {
        net_join(net, NET_URL_WEB);
    }
    NET_RUN_UNTIL(net, 2000, net->peer_count == net->client_count);
    TEST_EQUAL(net->peer_count, net->client_count);
    for (int i = 0; i < net->client_count; i++) net->clients[i].on_event = note_delay;
    TEST_OK(necpnet_link_add_client(net->link, &scene.stranger));
    necpnet_sink sink = {NULL, on_answer, NULL, NULL, NULL, NULL, NULL, NULL};
    TEST_OK(scene.stranger->attach(scene.stranger->user, &sink));
}

static void finish(void)
{
    scene.stranger->detach(scene.stranger->user);
    net_end(&scene.net);
}

static void run(uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        if (scene.net.now_us / 1000 % 20 == 0) {
            for (int j = 0; j < 2 && j < scene.net.client_count; j++) {
                (void)necpnet_client_send(scene.net.clients[j].client, 0, &scene.net.now_us, 8);
            }
        }
        net_step(&scene.net, NET_STEP_US);
        scene.stranger->receive(scene.stranger->user, scene.net.now_us);
    }
}

static void stranger_says(const uint8_t* data, size_t bytes)
{
    TEST_OK(scene.stranger->send_datagram(scene.stranger->user, &scene.tap.server, data, bytes));
    scene.said_bytes += bytes;
}

static int order_u32(const void* a, const void* b)
{
    uint32_t x = *(const uint32_t*)a;
    uint32_t y = *(const uint32_t*)b;
    return x < y ? -1 : x > y;
}

static uint32_t p99_us(void)
{
    TEST_GREATER(scene.delay_count, 50);
    qsort(scene.delays_us, (size_t)scene.delay_count, sizeof scene.delays_us[0], order_u32);
    uint32_t delay_us = scene.delays_us[scene.delay_count * 99 / 100];
    scene.delay_count = 0;
    return delay_us;
}

static uint64_t memory_bytes(void)
{
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &statistics));
    return statistics.memory_bytes;
}

static void expect_quiet_ones_are_well(void)
{
    for (int i = 0; i < 2 && i < scene.net.client_count; i++) {
        TEST_EQUAL(scene.net.clients[i].disconnected, 0);
        TEST_EQUAL(scene.net.clients[i].connected, 1);
    }
}

static bool is_built(necpnet_security security)
{
    return security == NECPNET_SECURITY_NONE || necpnet_token_client_id("a", "b") != 0;
}

/* ---- strangers ------------------------------------------------------------------------------------------------------ */

/* What a real client said, from elsewhere: cut at every byte, and with every bit flipped. A HELLO that is whole is answered,
 * whoever says it; that is what RETRY is for. */
static void say_what_was_heard(int which)
{
    uint8_t changed[1300];
    const uint8_t* data = scene.heard[which];
    size_t bytes = scene.heard_bytes[which];
    for (size_t cut = 0; cut < bytes; cut++) {
        stranger_says(data, cut);
        if (cut % 100 == 99) run(1);
    }
    if (data[0] == 1) return; /* HELLO */
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        if (bit > 400 * 8 && bit % 8) continue; /* one of each byte of padding */
        memcpy(changed, data, bytes);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (changed[0] == 1) continue;
        stranger_says(changed, bytes);
        if (bit % 100 == 99) run(1);
    }
    stranger_says(data, bytes);
}

TEST(test_strangers_meet_silence_and_memory_stays_flat)
{
    static const necpnet_security securities[] = {NECPNET_SECURITY_NONE, NECPNET_SECURITY_TOKEN};
    for (size_t s = 0; s < 2; s++) {
        if (!is_built(securities[s])) continue;
        begin(securities[s]);
        serve();
        run(300);
        TEST_GREATER(scene.heard_count, 8); /* HELLO, AUTH, packets */
        run(1000);
        uint32_t usual_us = p99_us();
        uint64_t before = memory_bytes();
        int heard = scene.heard_count < 8 ? scene.heard_count : 8;
        for (int i = 0; i < heard; i++) say_what_was_heard(i);
        struct test_random random = test_random_begin(test_seed());
        for (int i = 0; i < 10000; i++) {
            uint8_t datagram[1300];
            size_t bytes = (size_t)test_random_below(&random, i % 2 ? 60 : sizeof datagram);
            test_random_bytes(&random, datagram, sizeof datagram);
            stranger_says(datagram, bytes);
            if (i % 100 == 99) run(1);
        }
        run(1000);
        TEST_GREATER(scene.said_bytes, 5000000);
        TEST_EQUAL(scene.answered_bytes, 0);
        TEST_AT_MOST(memory_bytes(), before + 1024); /* what the quiet ones have under way */
        TEST_AT_MOST(p99_us(), usual_us + 1000);
        expect_quiet_ones_are_well();
        finish();
    }
}

/* All that may be answered to an unproven address, by its largest and in sum. */
TEST(test_no_message_of_an_unproven_address_gets_more_than_it_was)
{
    begin(NECPNET_SECURITY_NONE);
    serve();
    uint8_t query[NN_QUERY_BYTES];
    TEST_EQUAL(nn_query_write(query, sizeof query, 7), NN_QUERY_BYTES);
    const uint8_t* hello = scene.heard[0];
    TEST_EQUAL(hello[0], 1);
    TEST_EQUAL(scene.heard_bytes[0], 1200);
    struct test_random random = test_random_begin(test_seed());
    for (int i = 0; i < 3000; i++) {
        uint8_t datagram[sizeof scene.heard[0]];
        uint64_t answered = scene.answered_bytes;
        size_t bytes = scene.heard_bytes[0];
        memcpy(datagram, hello, bytes);
        if (i % 4 == 1) { /* another nonce */
            test_random_bytes(&random, datagram + 12, 32);
        } else if (i % 4 == 2) {
            bytes = NN_QUERY_BYTES;
            memcpy(datagram, query, bytes);
        } else if (i % 4 == 3) { /* what the others said, cookie and all */
            int which = 1 + i % (scene.heard_count - 1);
            bytes = scene.heard_bytes[which];
            memcpy(datagram, scene.heard[which], bytes);
        }
        stranger_says(datagram, bytes);
        if (i % 50 == 0) TEST_OK(necpnet_link_rebind(scene.net.link, scene.stranger));
        run(i % 10 ? 1 : 12);
        if (i % 10 == 0) TEST_AT_MOST(scene.answered_bytes - answered, 10 * bytes);
        TEST_AT_MOST(scene.largest_answer, NN_QUERY_BYTES); /* RETRY has 32, an answer to a query at most its 128 */
    }
    TEST_GREATER(scene.answered_bytes, 3000);
    TEST_AT_MOST(scene.answered_bytes, scene.said_bytes / 4);
    expect_quiet_ones_are_well();
    finish();
}

/* ENet 278: connects from many addresses fill the peers of a server before any of them is proven. */
TEST(test_a_flood_of_connects_takes_no_memory_and_keeps_nobody_out)
{
    begin(NECPNET_SECURITY_NONE);
    scene.net.server_config.peers_max = 4;
    serve();
    run(2000);
    uint64_t before = memory_bytes();
    uint8_t hello[1200];
    memcpy(hello, scene.heard[0], sizeof hello);
    struct test_random random = test_random_begin(test_seed());
    struct net_client* late = NULL;
    for (int i = 0; i < 4000; i++) {
        TEST_OK(necpnet_link_rebind(scene.net.link, scene.stranger));
        test_random_bytes(&random, hello + 4, 4);
        test_random_bytes(&random, hello + 12, 32);
        stranger_says(hello, sizeof hello);
        if (i % 20 == 0) run(1);
        if (i == 2000) {
            TEST_AT_MOST(memory_bytes(), before + 1024);
            late = net_join(&scene.net, NET_URL_UDP);
        }
    }
    run(200);
    TEST_EQUAL(late->connected, 1);
    TEST_EQUAL(scene.net.peer_count, 3);
    expect_quiet_ones_are_well();
    finish();
}

/* ---- floods --------------------------------------------------------------------------------------------------------- */

/* A peer that stops reading, while everybody is told a lot: what waits for it is bounded, and in the end it is let go. */
TEST(test_a_slow_reader_is_bounded_and_cut_and_nobody_waits_for_it)
{
    static uint8_t message[8000];
    const char* const urls[2] = {NET_URL_WEB, NET_URL_UDP};
    for (int which = 0; which < 2; which++) {
        begin(NECPNET_SECURITY_NONE);
        scene.net.server_config.websocket_ping_ms = 2000;
        scene.net.server_config.websocket_timeout_ms = 5000;
        serve();
        run(1000);
        uint32_t usual_us = p99_us();
        struct net_client* reader = net_join(&scene.net, urls[which]);
        run(200);
        TEST_EQUAL(reader->connected, 1);
        uint64_t before = memory_bytes();
        uint64_t most = 0;
        scene.net.client_count = 2; /* it does nothing any more */
        for (int i = 0; i < 3000; i++) {
            (void)necpnet_server_broadcast(scene.net.server, scene.net.peers[0], i % 2, message, sizeof message, NULL,
                                           NULL);
            run(1);
            if (memory_bytes() > most) most = memory_bytes();
        }
        TEST_EQUAL(scene.net.server_suspended, 0);
        run(5000);
        TEST_EQUAL(scene.net.server_suspended, 1); /* the silence is noticed */
        TEST_CHECK(scene.net.server_reason == NECPNET_ERR_TIMEOUT ||
                   scene.net.server_reason == NECPNET_ERR_SLOW_READER);
        TEST_AT_MOST(most,
                     before + 2 * (2u << 20) + (1u << 20)); /* two queues of 1 MB of two peers, and what is sent */
        TEST_AT_MOST(p99_us(), usual_us + 40000);           /* the other WebSocket is told the same 8 MB a second */
        expect_quiet_ones_are_well();
        scene.net.client_count = 3;
        finish();
    }
}

/* A peer that says as much as it can, in as small messages as there are. */
TEST(test_a_flood_of_frames_delays_nobody_and_is_held_at_a_limit)
{
    const char* const urls[2] = {NET_URL_WEB, NET_URL_UDP};
    for (int which = 0; which < 2; which++) {
        begin(NECPNET_SECURITY_NONE);
        scene.net.server_config.receive_bytes_max = 1u << 20;
        serve();
        run(1000);
        uint32_t usual_us = p99_us();
        struct net_client* flood = net_join(&scene.net, urls[which]);
        run(100);
        for (int i = 0; i < 1000; i++) {
            for (int j = 0; j < 200; j++) (void)necpnet_client_send(flood->client, j % NECPNET_CHANNELS_DEFAULT, "", 0);
            run(1);
        }
        TEST_GREATER(scene.net.server_messages, 20000);
        TEST_AT_MOST(p99_us(), usual_us + 1000);
        /* and now nobody polls at the server */
        uint64_t before = memory_bytes();
        static uint8_t message[4000];
        for (int i = 0; i < 2000; i++) {
            for (int j = 0; j < 5; j++) {
                (void)necpnet_client_send(flood->client, j % NECPNET_CHANNELS_DEFAULT, message, sizeof message);
            }
            scene.net.now_us += 1000;
            TEST_OK(necpnet_link_advance(scene.net.link, scene.net.now_us));
            TEST_OK(necpnet_server_update(scene.net.server, scene.net.now_us));
            for (int j = 0; j < scene.net.client_count; j++) {
                TEST_OK(necpnet_client_update(scene.net.clients[j].client, scene.net.now_us));
            }
        }
        TEST_AT_MOST(memory_bytes(), before + 2 * (1u << 20));
        run(2000);
        expect_quiet_ones_are_well();
        finish();
    }
}

static void on_stream_open(void* context)
{
    (void)context;
}

static void on_stream_data(void* context, uint8_t* data, size_t bytes)
{
    (void)context;
    (void)data;
    (void)bytes;
}

static void on_stream_close(void* context, necpnet_result reason)
{
    (void)reason;
    *(necpnet_stream**)context = NULL;
}

/* Hundreds of requests that never end (slowloris): each is cut after 5 s, and meanwhile others come in. */
TEST(test_slow_request_heads_are_cut_and_keep_nobody_out)
{
    static necpnet_stream* streams[300];
    static const char head[] =
        "GET /ws HTTP/1.1\r\nHost: server\r\nX-Patience: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    begin(NECPNET_SECURITY_NONE);
    serve();
    scene.stranger->detach(scene.stranger->user);
    necpnet_sink sink = {NULL, on_answer, NULL, on_stream_open, on_stream_data, on_stream_open, on_stream_close, NULL};
    TEST_OK(scene.stranger->attach(scene.stranger->user, &sink));
    run(1000);
    uint32_t usual_us = p99_us();
    uint64_t before = memory_bytes();
    memset(streams, 0, sizeof streams);
    for (size_t i = 0; i < 300; i++) {
        TEST_OK(scene.stranger->open_stream(scene.stranger->user, &scene.tap.server, NULL, &streams[i], &streams[i]));
    }
    uint64_t most = 0;
    for (size_t at = 0; at < 48; at++) { /* a byte each 100 ms */
        run(100);
        for (size_t i = 0; i < 300; i++) {
            if (streams[i])
                (void)scene.stranger->send_stream(scene.stranger->user, streams[i], (const uint8_t*)head + at, 1);
        }
        if (memory_bytes() > most) most = memory_bytes();
        if (at == 20) net_join(&scene.net, NET_URL_WEB);
    }
    TEST_EQUAL(scene.net.clients[2].connected, 1);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &statistics));
    TEST_GREATER(statistics.web_connections, 300);
    TEST_AT_MOST(most, before + 300 * 9216);
    run(1000);
    TEST_OK(necpnet_server_get_statistics(scene.net.server, &statistics));
    TEST_EQUAL(statistics.web_connections, 2);
    TEST_AT_LEAST(statistics.drops[NECPNET_DROP_HANDSHAKE_TIMEOUT], 300);
    TEST_AT_MOST(p99_us(), usual_us + 1000);
    expect_quiet_ones_are_well();
    finish();
}

TEST_MAIN
