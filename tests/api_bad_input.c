/* api_bad_input - aim: whatever a stranger or a hostile peer sends ends in its own named error on the right side, and nobody
 * else is disturbed. Method: a server on the simulated link with a well-behaved client over each transport; beside them
 * hand-made datagrams, and a WebSocket client that speaks frames byte by byte (src/PROTOCOL.md). */
#include "net.h"

#define SETUP_BYTES_MAX 256
#define FRAME_CLOSE 0x0C

/* A hand-made client of necpnet.v1. */
struct crafted {
    const necpnet_transport* transport;
    necpnet_web* web;
    necpnet_web_connection* connection;
    bool is_open, is_closed, has_setup, has_close;
    uint32_t close_reason; /* -1 x necpnet_result */
    char close_text[NECPNET_REASON_BYTES_MAX + 1];
};

static size_t put(uint8_t* at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
    return bytes;
}

/* A SETUP as a client with the default channels writes it. */
static size_t write_setup(uint8_t* to)
{
    static const uint8_t modes[] = {4, 0, 1, 3, 2};
    uint8_t body[SETUP_BYTES_MAX];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t n = 0;
    body[n++] = 1;                  /* version */
    body[n++] = 0;                  /* client */
    body[n++] = 0;                  /* features */
    body[n++] = 0x40 | (1200 >> 8); /* datagram, a varint of 2 bytes */
    body[n++] = 1200 & 0xff;
    n += put(body + n, 0, 8); /* session */
    n += put(body + n, 0, 8); /* schema */
    body[n++] = 0;            /* ticks a second */
    n += put(body + n, 0, 4);
    n += put(body + n, 0, 8);
    uint8_t table[1 + 5 * sizeof modes];
    table[0] = sizeof modes;
    for (size_t i = 0; i < sizeof modes; i++) {
        table[1 + 5 * i] = modes[i];
        put(table + 2 + 5 * i, 65536, 4);
    }
    for (size_t i = 0; i < sizeof table; i++) hash = (hash ^ table[i]) * UINT64_C(0x100000001b3);
    n += put(body + n, hash, 8);
    body[n++] = sizeof modes;
    for (size_t i = 0; i < sizeof modes; i++) body[n++] = (uint8_t)(modes[i] | 8 | (modes[i] >= 3 ? 16 : 0));
    body[n++] = 0; /* no credential */
    to[0] = 0x0B;
    to[1] = (uint8_t)(0x40 | (n >> 8));
    to[2] = (uint8_t)n;
    memcpy(to + 3, body, n);
    return n + 3;
}

static uint64_t take_varint(const uint8_t** at)
{
    size_t bytes = (size_t)1 << (**at >> 6);
    uint64_t value = **at & 0x3f;
    for (size_t i = 1; i < bytes; i++) value = value << 8 | (*at)[i];
    *at += bytes;
    return value;
}

static void on_open(necpnet_web_connection* connection, void* user)
{
    (void)connection;
    ((struct crafted*)user)->is_open = true;
}

static void on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data, size_t bytes,
                       void* user)
{
    struct crafted* crafted = (struct crafted*)user;
    (void)connection;
    (void)kind;
    TEST_GREATER(bytes, 0);
    if (data[0] == 0x0B) crafted->has_setup = true;
    if (data[0] != FRAME_CLOSE || crafted->has_close) return;
    const uint8_t* at = data + 1;
    crafted->has_close = true;
    crafted->close_reason = (uint32_t)take_varint(&at);
    (void)take_varint(&at);
    (void)take_varint(&at);
    size_t length = *at++;
    TEST_AT_MOST(length, NECPNET_REASON_BYTES_MAX);
    memcpy(crafted->close_text, at, length);
    crafted->close_text[length] = '\0';
}

static void on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason, void* user)
{
    struct crafted* crafted = (struct crafted*)user;
    (void)connection;
    (void)code;
    (void)text;
    (void)reason;
    crafted->is_closed = true;
    crafted->connection = NULL;
}

static void crafted_run(struct net* net, struct crafted* crafted, uint32_t ms)
{
    uint64_t until_us = net->now_us + (uint64_t)ms * 1000;
    while (net->now_us < until_us) {
        TEST_OK(necpnet_web_update(crafted->web, net->now_us));
        net_step(net, NET_STEP_US);
    }
}

static void crafted_begin(struct net* net, struct crafted* crafted)
{
    necpnet_web_config config;
    memset(crafted, 0, sizeof *crafted);
    TEST_OK(necpnet_link_add_client(net->link, &crafted->transport));
    TEST_OK(necpnet_web_config_default(&config));
    config.allocator = net->allocator;
    config.entropy = net->server_config.entropy;
    config.transport = crafted->transport;
    config.handlers.on_open = on_open;
    config.handlers.on_message = on_message;
    config.handlers.on_close = on_close;
    config.handlers.user = crafted;
    TEST_OK(necpnet_web_create(&config, &crafted->web));
    TEST_OK(necpnet_web_update(crafted->web, net->now_us));
}

static void crafted_open(struct net* net, struct crafted* crafted)
{
    crafted->is_open = crafted->is_closed = crafted->has_setup = crafted->has_close = false;
    TEST_OK(necpnet_web_connect(crafted->web, NET_URL_WEB, "necpnet.v1", NULL, &crafted->connection));
    for (int i = 0; i < 50 && !crafted->is_open; i++) crafted_run(net, crafted, 1);
    TEST_CHECK(crafted->is_open);
}

static void crafted_send(struct crafted* crafted, const void* data, size_t bytes)
{
    if (crafted->connection) (void)necpnet_web_send(crafted->connection, NECPNET_WEB_BINARY, data, bytes);
}

/* Connected and past SETUP. */
static void crafted_join(struct net* net, struct crafted* crafted)
{
    uint8_t setup[SETUP_BYTES_MAX];
    crafted_open(net, crafted);
    crafted_send(crafted, setup, write_setup(setup));
    for (int i = 0; i < 50 && !crafted->has_setup; i++) crafted_run(net, crafted, 1);
    TEST_CHECK(crafted->has_setup);
}

static void crafted_end(struct crafted* crafted)
{
    necpnet_web_destroy(crafted->web);
}

/* A server with one well-behaved client over each transport. */
struct bystanders {
    struct net_client* udp;
    struct net_client* web;
};

static struct bystanders begin(struct net* net)
{
    struct bystanders two;
    net_begin(net);
    net->echo = true;
    net_serve(net);
    two.udp = net_join(net, NET_URL_UDP);
    two.web = net_join(net, NET_URL_WEB);
    NET_RUN_UNTIL(net, 1000, two.udp->connected && two.web->connected && net->peer_count == 2);
    TEST_EQUAL(net->peer_count, 2);
    return two;
}

static void expect_undisturbed(struct net* net, const struct bystanders* two)
{
    struct net_client* both[] = {two->udp, two->web};
    for (int i = 0; i < 2; i++) {
        uint64_t before = both[i]->messages;
        TEST_OK(necpnet_client_send(both[i]->client, 0, "still here?", 11));
        NET_RUN_UNTIL(net, 1000, both[i]->messages > before);
        TEST_EQUAL(both[i]->messages, before + 1);
        TEST_EQUAL(both[i]->disconnected, 0);
        TEST_EQUAL(both[i]->failed, 0);
    }
}

TEST(test_crafted_client_that_keeps_the_rules_is_a_peer)
{
    struct net net;
    struct crafted crafted;
    struct bystanders two = begin(&net);
    crafted_begin(&net, &crafted);
    crafted_join(&net, &crafted);
    TEST_EQUAL(net.peer_count, 3);
    crafted_run(&net, &crafted, 300);
    TEST_CHECK(!crafted.is_closed);
    expect_undisturbed(&net, &two);
    crafted_end(&crafted);
    net_end(&net);
}

TEST(test_bytes_that_are_no_setup_are_refused_by_name)
{
    struct net net;
    struct crafted crafted;
    uint8_t setup[SETUP_BYTES_MAX];
    struct bystanders two = begin(&net);
    crafted_begin(&net, &crafted);
    size_t bytes = write_setup(setup);
    for (size_t cut = 1; cut < bytes; cut++) { /* a SETUP cut at every byte */
        TEST_HINT("SETUP cut to %zu bytes", cut);
        crafted_open(&net, &crafted);
        crafted_send(&crafted, setup, cut);
        crafted_run(&net, &crafted, 20);
        TEST_CHECK(crafted.has_close);
        TEST_EQUAL(crafted.close_reason, (uint32_t)-NECPNET_ERR_PROTOCOL);
        crafted_run(&net, &crafted, 20);
        TEST_CHECK(crafted.is_closed);
    }
    crafted_open(&net, &crafted);
    crafted_send(&crafted, "\x03 not SETUP", 10);
    crafted_run(&net, &crafted, 20);
    TEST_EQUAL(crafted.close_reason, (uint32_t)-NECPNET_ERR_PROTOCOL);
    crafted_run(&net, &crafted, 20);
    setup[3] = 9; /* the version */
    crafted_open(&net, &crafted);
    crafted_send(&crafted, setup, bytes);
    crafted_run(&net, &crafted, 20);
    TEST_EQUAL(crafted.close_reason, (uint32_t)-NECPNET_ERR_VERSION_DIFFERS);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
    TEST_EQUAL(statistics.drops[NECPNET_DROP_VERSION], 1);
    TEST_EQUAL(statistics.drops[NECPNET_DROP_MALFORMED], bytes);
    TEST_EQUAL(statistics.peers, 2);
    expect_undisturbed(&net, &two);
    crafted_end(&crafted);
    net_end(&net);
}

TEST(test_every_broken_frame_of_a_peer_ends_that_peer_alone)
{
    static const struct {
        const char* bytes;
        size_t count;
        const char* text; /* part of the reason */
    } frames[] = {
        {"\x01", 1, "PING"},
        {"\x01\x05\x01\x02", 4, "PING"},
        {"\x02\x01", 2, "PONG"},
        {"\x03\x00\x00\x00\x00", 5, "ACK"}, /* there are none on a WebSocket */
        {"\x04", 1, ""},
        {"\x05", 1, ""},
        {"\x05\x3f\x00\x00", 4, ""}, /* a channel that is not there */
        {"\x0a", 1, ""},
        {"\x0b\x01\x01", 3, "SETUP"}, /* a second SETUP */
        {"\x0c", 1, "CLOSE"},
        {"\x0d", 1, "SUSPEND"},
        {"\x20\x00", 2, "STATE"},
        {"\x21", 1, "INPUT"},
        {"\x21\x01\x00\xff", 4, "INPUT"},
        {"\x22\x05", 2, "INPUT_ACK"}, /* of an input that was never sent */
        {"\x1f", 1, "0x1f"},
        {"\x3f", 1, "0x3f"},
        {"\x7f", 1, "0x7f"},
        {"\xff", 1, "0xff"},
    };
    struct net net;
    struct crafted crafted;
    struct bystanders two = begin(&net);
    crafted_begin(&net, &crafted);
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        TEST_HINT("frame %zu, type 0x%02x", i, (unsigned)(uint8_t)frames[i].bytes[0]);
        uint32_t before = net.server_disconnected;
        crafted_join(&net, &crafted);
        crafted_send(&crafted, frames[i].bytes, frames[i].count);
        crafted_run(&net, &crafted, 50);
        TEST_CHECK(crafted.has_close);
        TEST_EQUAL(crafted.close_reason, (uint32_t)-NECPNET_ERR_PROTOCOL);
        TEST_CHECK(strstr(crafted.close_text, frames[i].text));
        TEST_CHECK(crafted.close_text[0]);
        TEST_CHECK(crafted.is_closed);
        TEST_EQUAL(net.server_disconnected, before + 1);
        TEST_EQUAL(net.server_reason, NECPNET_ERR_PROTOCOL);
        TEST_EQUAL_STRING(net.server_text, crafted.close_text);
    }
    expect_undisturbed(&net, &two);
    crafted_end(&crafted);
    net_end(&net);
}

TEST(test_random_frames_of_peers_disturb_nobody_and_leave_no_memory)
{
    struct net net;
    struct crafted crafted;
    struct test_random random;
    uint8_t message[600];
    struct bystanders two = begin(&net);
    crafted_begin(&net, &crafted);
    random = test_random_begin(test_seed());
    uint64_t memory_bytes = 0;
    for (int i = 0; i < 1500; i++) {
        static const uint8_t types[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                        0x08, 0x0b, 0x0c, 0x0d, 0x20, 0x21, 0x22};
        if (!crafted.connection) crafted_join(&net, &crafted);
        size_t bytes = 1 + test_random_below(&random, i % 3 ? 24 : sizeof message - 1);
        test_random_bytes(&random, message, bytes);
        if (i % 4) message[0] = types[test_random_below(&random, sizeof types)];
        crafted_send(&crafted, message, bytes);
        crafted_run(&net, &crafted, 3);
        if (i != 300 && i != 1499) continue;
        necpnet_server_statistics statistics;
        if (crafted.connection) TEST_OK(necpnet_web_close(crafted.connection, 1000, ""));
        crafted_run(&net, &crafted, 100);
        TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
        TEST_EQUAL(statistics.peers, 2);
        if (i == 300) memory_bytes = statistics.memory_bytes;
        TEST_AT_MOST(statistics.memory_bytes,
                     memory_bytes + 16384); /* blocks are kept for the next, but do not add up */
    }
    TEST_GREATER(net.server_disconnected, 100);
    expect_undisturbed(&net, &two);
    crafted_end(&crafted);
    net_end(&net);
}

static void ignore_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    (void)waited_us;
    (void)from;
    (void)data;
    *(size_t*)user += bytes;
}

TEST(test_garbage_datagrams_meet_silence_and_are_counted)
{
    struct net net;
    struct test_random random;
    const necpnet_transport* transport;
    uint8_t datagram[1300];
    size_t answered = 0, sent = 0;
    struct bystanders two = begin(&net);
    random = test_random_begin(test_seed());
    TEST_OK(necpnet_link_add_client(net.link, &transport));
    necpnet_sink sink = {&answered, ignore_datagram, NULL, NULL, NULL, NULL, NULL, NULL};
    TEST_OK(transport->attach(transport->user, &sink));
    necpnet_server_statistics before, after;
    TEST_OK(necpnet_server_get_statistics(net.server, &before));
    necpnet_address to;
    TEST_OK(necpnet_client_get_address(two.udp->client, &to));
    for (int i = 0; i < 5000; i++) {
        size_t bytes = 1 + test_random_below(&random, i % 2 ? 64 : sizeof datagram - 1);
        test_random_bytes(&random, datagram, bytes);
        TEST_OK(transport->send_datagram(transport->user, &to, datagram, bytes));
        sent += bytes;
        if (i % 50 == 0) net_step(&net, NET_STEP_US);
    }
    net_run(&net, 50);
    transport->receive(transport->user, net.now_us);
    TEST_OK(necpnet_server_get_statistics(net.server, &after));
    uint64_t counted = 0;
    for (int i = 0; i < NECPNET_DROP_COUNT; i++) counted += after.drops[i] - before.drops[i];
    TEST_GREATER(counted, 4900); /* all but those that are a HELLO or a query by chance */
    TEST_AT_MOST(answered, sent / 100);
    TEST_EQUAL(after.peers, 2);
    expect_undisturbed(&net, &two);
    transport->detach(transport->user);
    net_end(&net);
}

TEST(test_bytes_that_are_not_http_are_counted_by_name)
{
    struct net net;
    struct crafted crafted;
    struct bystanders two = begin(&net);
    necpnet_address to;
    TEST_OK(necpnet_client_get_address(two.web->client, &to));
    crafted_begin(&net, &crafted);
    TEST_OK(necpnet_web_connect_raw(crafted.web, &to, NULL, &crafted.connection));
    for (int i = 0; i < 50 && !crafted.is_open; i++) crafted_run(&net, &crafted, 1);
    TEST_OK(necpnet_web_send_raw(crafted.connection, "\x16\x03\x01 hello TLS?", 14));
    crafted_run(&net, &crafted, 50);
    TEST_CHECK(crafted.is_closed);
    crafted.is_open = crafted.is_closed = false;
    TEST_OK(necpnet_web_connect_raw(crafted.web, &to, NULL, &crafted.connection));
    crafted_run(&net, &crafted, 50);
    TEST_OK(necpnet_web_send_raw(crafted.connection, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27));
    crafted_run(&net, &crafted, 50);
    crafted.is_open = crafted.is_closed = false;
    TEST_OK(necpnet_web_connect_raw(crafted.web, &to, NULL, &crafted.connection));
    crafted_run(&net, &crafted, 5200); /* says nothing */
    TEST_CHECK(crafted.is_closed);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
    TEST_EQUAL(statistics.drops[NECPNET_DROP_NOT_HTTP], 1);
    TEST_EQUAL(statistics.drops[NECPNET_DROP_UPGRADE], 1);
    TEST_EQUAL(statistics.drops[NECPNET_DROP_HANDSHAKE_TIMEOUT], 1);
    expect_undisturbed(&net, &two);
    crafted_end(&crafted);
    net_end(&net);
}

TEST(test_a_peer_that_says_close_and_stays_is_let_go)
{
    struct net net;
    struct crafted crafted;
    struct bystanders two = begin(&net);
    crafted_begin(&net, &crafted);
    crafted_join(&net, &crafted);
    crafted_send(&crafted, "\x0c\x00\x00\x00\x00", 5);
    crafted_run(&net, &crafted, 100);
    TEST_EQUAL(net.server_disconnected, 1);
    TEST_CHECK(crafted.is_closed);
    necpnet_server_statistics statistics;
    TEST_OK(necpnet_server_get_statistics(net.server, &statistics));
    TEST_EQUAL(statistics.web_connections, 1);
    expect_undisturbed(&net, &two);
    crafted_end(&crafted);
    net_end(&net);
}

TEST_MAIN
