/* kit_web - what test_web and test_web_connect share: webs with handlers that note what they hear, and a world of a
 * server, a client and streams that the test holds, over kit_wire. Include behind test.h. */
#ifndef KIT_WEB_H
#define KIT_WEB_H

#include "kit_wire.h"
#include "nn_bytes.h"
#include "nn_web_connection.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE \
    "GET /chat?room=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n"

/* What the handlers of one web heard. */
struct site {
    necpnet_web* web;
    necpnet_web_connection* connection; /* the last that opened */
    necpnet_web_answer answer;          /* given by on_request, if answering */
    bool answering;
    bool echoing;
    int requests, opens, messages, raws, closes, writables;
    char path[64], query[64], subprotocols[64];
    bool is_upgrade;
    char raw_head[2048]; /* of the last request, as it came */
    char text[4096];     /* all messages and raw bytes, each with a '|' behind it */
    int close_code;
    char close_text[128];
    necpnet_result close_reason;
    void (*on_message)(struct site* site, necpnet_web_connection* connection);
};

static struct {
    kit_wire wire;
    kit_host* server_host;
    kit_host* client_host;
    struct site server, client;
    struct test_random random;
    struct necpnet_allocator allocator;
    nn_alloc alloc; /* of webs made by nn_web_create */
    uint64_t now_us;
    int session_opens, session_closes;
    necpnet_result session_reason;
    char session_text[512];
} world;

TEST_UNUSED static bool fill_entropy(void* to, size_t bytes, void* user)
{
    test_random_bytes((struct test_random*)user, to, bytes);
    return true;
}

/* ---- handlers ------------------------------------------------------------------------------------------------------- */

TEST_UNUSED static void append(char* to, size_t to_bytes, const void* data, size_t bytes)
{
    size_t used = strlen(to);
    if (used + bytes + 2 > to_bytes) return;
    memcpy(to + used, data, bytes);
    to[used + bytes] = '|';
    to[used + bytes + 1] = 0;
}

TEST_UNUSED static void on_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                                   necpnet_web_answer* answer, void* user)
{
    struct site* site = (struct site*)user;
    site->requests++;
    site->connection = connection;
    site->is_upgrade = request->is_upgrade;
    snprintf(site->path, sizeof site->path, "%s", request->path);
    snprintf(site->query, sizeof site->query, "%s", request->query);
    snprintf(site->subprotocols, sizeof site->subprotocols, "%s", request->subprotocols);
    snprintf(site->raw_head, sizeof site->raw_head, "%.*s", (int)request->raw_bytes, (const char*)request->raw);
    TEST_EQUAL_BYTES(request->raw + request->raw_bytes - 4, "\r\n\r\n", 4);
    TEST_EQUAL(request->from.port, 40000);
    if (site->answering) *answer = site->answer;
}

TEST_UNUSED static void on_open(necpnet_web_connection* connection, void* user)
{
    struct site* site = (struct site*)user;
    site->opens++;
    site->connection = connection;
}

TEST_UNUSED static void on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data,
                                   size_t bytes, void* user)
{
    struct site* site = (struct site*)user;
    site->messages++;
    append(site->text, sizeof site->text, data, bytes);
    if (site->echoing) TEST_OK(necpnet_web_send(connection, kind, data, bytes));
    if (site->on_message) site->on_message(site, connection);
}

TEST_UNUSED static void on_raw(necpnet_web_connection* connection, const uint8_t* data, size_t bytes, void* user)
{
    struct site* site = (struct site*)user;
    site->raws++;
    append(site->text, sizeof site->text, data, bytes);
    if (site->echoing) TEST_OK(necpnet_web_send_raw(connection, data, bytes));
}

TEST_UNUSED static void on_writable(necpnet_web_connection* connection, void* user)
{
    (void)connection;
    ((struct site*)user)->writables++;
}

TEST_UNUSED static void on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason,
                                 void* user)
{
    struct site* site = (struct site*)user;
    site->closes++;
    site->close_code = code;
    site->close_reason = reason;
    snprintf(site->close_text, sizeof site->close_text, "%s", text);
    if (site->connection == connection) site->connection = NULL;
    TEST_EQUAL(necpnet_web_send(connection, NECPNET_WEB_TEXT, "late", 4), NECPNET_ERR_INVALID_STATE);
    TEST_OK(necpnet_web_close(connection, 1000, NULL)); /* does nothing */
    TEST_EQUAL(necpnet_web_pending(connection), 0);
}

/* ---- the world ------------------------------------------------------------------------------------------------------ */

TEST_UNUSED static void config_of(necpnet_web_config* config, struct site* site, kit_host* host)
{
    TEST_OK(necpnet_web_config_default(config));
    config->allocator = world.allocator;
    config->entropy.fill = fill_entropy;
    config->entropy.user = &world.random;
    config->transport = &host->transport;
    config->handlers.on_open = on_open;
    config->handlers.on_message = on_message;
    config->handlers.on_raw = on_raw;
    config->handlers.on_writable = on_writable;
    config->handlers.on_close = on_close;
    config->handlers.user = site;
}

TEST_UNUSED static void begin(void)
{
    memset(&world, 0, sizeof world);
    kit_wire_begin(&world.wire);
    world.random = test_random_begin(5);
    world.allocator = test_allocator();
    world.server_host = kit_wire_add(&world.wire, true, NECPNET_TRANSPORT_STREAMS);
    world.client_host = kit_wire_add(&world.wire, false, NECPNET_TRANSPORT_STREAMS);
    world.now_us = 1000000;
}

/* A server, with on_request when it shall answer. */
TEST_UNUSED static void begin_server(const necpnet_web_answer* answer)
{
    necpnet_web_config config;
    begin();
    config_of(&config, &world.server, world.server_host);
    if (answer) {
        world.server.answering = true;
        world.server.answer = *answer;
        config.handlers.on_request = on_request;
    }
    TEST_OK(necpnet_web_create(&config, &world.server.web));
}

TEST_UNUSED static void begin_client(void)
{
    necpnet_web_config config;
    config_of(&config, &world.client, world.client_host);
    TEST_OK(necpnet_web_create(&config, &world.client.web));
}

TEST_UNUSED static void end(void)
{
    necpnet_web_destroy(world.client.web);
    necpnet_web_destroy(world.server.web);
    kit_wire_end(&world.wire);
    world.client.web = NULL;
    world.server.web = NULL;
}

TEST_UNUSED static void turn(void)
{
    for (int i = 0; i < 8; i++) {
        if (world.client.web) TEST_OK(necpnet_web_update(world.client.web, world.now_us));
        if (world.server.web) TEST_OK(necpnet_web_update(world.server.web, world.now_us));
    }
}

TEST_UNUSED static void wait_ms(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        world.now_us += 10000;
        turn();
    }
}

/* What the test's own end of a stream received so far. */
TEST_UNUSED static const char* heard(kit_end* end_of_test)
{
    static char text[8192];
    size_t bytes = end_of_test->inbox_bytes < sizeof text - 1 ? end_of_test->inbox_bytes : sizeof text - 1;
    if (bytes) memcpy(text, end_of_test->inbox, bytes);
    text[bytes] = 0;
    return text;
}

TEST_UNUSED static void forget(kit_end* end_of_test)
{
    end_of_test->inbox_bytes = 0;
}

TEST_UNUSED static void say_frame(kit_end* end_of_test, uint8_t first, const void* data, size_t bytes)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    uint8_t frame[2048 + 14];
    TEST_AT_MOST(bytes, 2048);
    size_t header = nn_websocket_write_header(frame, (nn_websocket_opcode)(first & 15), bytes, mask);
    frame[0] = first;
    memcpy(frame + header, data, bytes);
    nn_websocket_mask(frame + header, bytes, mask);
    kit_wire_say(end_of_test, frame, header + bytes);
}

/* An upgraded stream whose client is the test. */
TEST_UNUSED static kit_end* upgraded(void)
{
    kit_end* stream = kit_wire_connect(&world.wire);
    TEST_CHECK(stream != NULL);
    kit_wire_say_text(stream, UPGRADE "\r\n");
    turn();
    TEST_CHECK(strstr(heard(stream), "HTTP/1.1 101 ") == heard(stream));
    forget(stream);
    return stream;
}

/* Client and server of ours, connected. */
TEST_UNUSED static necpnet_web_connection* begin_pair(void)
{
    necpnet_web_connection* connection = NULL;
    necpnet_web_answer answer = {NECPNET_WEB_ACCEPT, 0, NULL, NULL, NULL, NULL, false};
    begin_server(&answer);
    begin_client();
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server:81/chat?room=1", NULL, NULL, &connection));
    turn();
    TEST_EQUAL(world.server.opens, 1);
    TEST_EQUAL(world.client.opens, 1);
    return connection;
}

#endif
