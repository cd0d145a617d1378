/* test_web_connect - outgoing connections, raw bytes, TLS and sessions of the web edge, over a network in memory
 * (kit_wire). */
#include "test.h"

#include "kit_web.h"

/* ---- raw bytes ------------------------------------------------------------------------------------------------------ */

TEST(test_web_hands_over_raw_bytes_behind_the_head)
{
    necpnet_web_answer answer = {NECPNET_WEB_RAW, 0, NULL, NULL, NULL, NULL, false};
    begin_server(&answer);
    world.server.echoing = true;
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, "POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    turn();
    TEST_EQUAL_STRING(world.server.text, "body|");
    TEST_EQUAL_STRING(heard(stream), "body");
    kit_wire_say_text(stream, "\x81 anything");
    turn();
    TEST_EQUAL_STRING(heard(stream), "body\x81 anything");
    wait_ms(100000); /* a raw connection has no pings and no timeouts */
    TEST_EQUAL(world.server.closes, 0);
    TEST_OK(necpnet_web_close(world.server.connection, 1000, NULL));
    turn();
    TEST_CHECK(stream->other_ended && !stream->reset);
    TEST_EQUAL(world.server.closes, 1);
    TEST_EQUAL(world.server.close_reason, NECPNET_OK);
    end();
}

static void pause_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                          necpnet_web_answer* answer, void* user)
{
    (void)request;
    answer->action = NECPNET_WEB_RAW;
    ((struct site*)user)->connection = connection;
    TEST_OK(necpnet_web_pause(connection, true));
}

TEST(test_web_a_proxy_may_pause_in_the_request)
{
    necpnet_web_config config;
    begin();
    config_of(&config, &world.server, world.server_host);
    config.handlers.on_request = pause_request;
    TEST_OK(necpnet_web_create(&config, &world.server.web));
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, "POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    turn();
    TEST_EQUAL(world.server.raws, 0);
    TEST_OK(necpnet_web_pause(world.server.connection, false));
    turn();
    TEST_EQUAL_STRING(world.server.text, "body|");
    kit_wire_hang_up(stream, false);
    turn();
    TEST_EQUAL(world.server.close_reason, NECPNET_ERR_CLOSED);
    TEST_EQUAL(world.server.close_code, 1005);
    end();
}

TEST(test_web_connects_raw)
{
    necpnet_web_answer answer = {NECPNET_WEB_RAW, 0, NULL, NULL, NULL, NULL, false};
    necpnet_web_connection* connection = NULL;
    necpnet_address address = {NECPNET_ADDRESS_IPV4, 0, 80, 0, {127, 0, 0, 1}};
    begin_server(&answer);
    begin_client();
    world.server.echoing = true;
    TEST_OK(necpnet_web_connect_raw(world.client.web, &address, NULL, &connection));
    TEST_EQUAL(necpnet_web_send_raw(connection, "x", 1), NECPNET_ERR_INVALID_STATE);
    turn();
    TEST_EQUAL(world.client.opens, 1);
    const char* request = "GET / HTTP/1.1\r\nHost: x\r\n\r\nmore";
    TEST_OK(necpnet_web_send_raw(connection, request, strlen(request)));
    turn();
    TEST_EQUAL_STRING(world.client.text, "more|");
    TEST_OK(necpnet_web_close(world.server.connection, 1000, NULL));
    turn();
    TEST_EQUAL(world.client.close_reason, NECPNET_ERR_CLOSED);
    end();
}

/* ---- connecting ----------------------------------------------------------------------------------------------------- */

static void expect_failed_connect(necpnet_result reason, const char* text)
{
    TEST_EQUAL(world.client.opens, 0);
    TEST_EQUAL(world.client.closes, 1);
    TEST_EQUAL(world.client.close_reason, reason);
    TEST_EQUAL(world.client.close_code, 1006);
    TEST_EQUAL_STRING(world.client.close_text, text);
    TEST_EQUAL(nn_web_connection_count(world.client.web), 0);
}

TEST(test_web_tries_every_address_of_a_host)
{
    necpnet_web_connection* connection = NULL;
    begin_server(NULL);
    begin_client();
    world.wire.resolve_count = 3;
    world.wire.refuse_next = 2;
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", "a", NULL, &connection));
    TEST_EQUAL(world.client_host->asked[0].port, 80);
    turn();
    TEST_EQUAL(world.client.opens, 1);
    TEST_EQUAL(necpnet_web_get_address(connection).bytes[3], 3);
    TEST_EQUAL_STRING(necpnet_web_get_subprotocol(connection), "");
    end();
}

TEST(test_web_names_why_it_could_not_connect)
{
    necpnet_web_connection* connection = NULL;
    begin_server(NULL);
    begin_client();
    world.wire.refuse_next = 1;
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", NULL, NULL, &connection));
    turn();
    expect_failed_connect(NECPNET_ERR_CONNECTION_REFUSED, "");
    memset(&world.client.opens, 0, sizeof(int) * 4);
    world.client.closes = 0;
    world.wire.resolve_count = 0;
    TEST_OK(necpnet_web_connect(world.client.web, "ws://nowhere/", NULL, NULL, &connection));
    turn();
    expect_failed_connect(NECPNET_ERR_HOST_UNKNOWN, "");
    TEST_EQUAL(necpnet_web_connect(world.client.web, "http://x/", NULL, NULL, &connection), NECPNET_ERR_BAD_URL);
    TEST_EQUAL(necpnet_web_connect(world.client.web, "udp://x:1", NULL, NULL, &connection), NECPNET_ERR_BAD_URL);
    TEST_EQUAL(necpnet_web_connect(world.client.web, "ws://x/", "a\r\nb", NULL, &connection),
               NECPNET_ERR_INVALID_ARGUMENT);
    end();
}

TEST(test_web_names_a_refused_upgrade_with_its_status)
{
    necpnet_web_answer answer = {NECPNET_WEB_REFUSE, 404, NULL, NULL, NULL, NULL, false};
    necpnet_web_connection* connection = NULL;
    begin_server(&answer);
    begin_client();
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", NULL, NULL, &connection));
    turn();
    expect_failed_connect(NECPNET_ERR_UPGRADE_REFUSED, "404 Not Found");
    end();
}

/* A server that the test plays: a raw web that answers with these bytes. */
static void expect_from_server(const char* bytes, bool hang_up, necpnet_result reason)
{
    necpnet_web_answer answer = {NECPNET_WEB_RAW, 0, NULL, NULL, NULL, NULL, false};
    necpnet_web_connection* connection = NULL;
    begin_server(&answer);
    begin_client();
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", NULL, NULL, &connection));
    turn();
    TEST_OK(necpnet_web_send_raw(world.server.connection, bytes, strlen(bytes)));
    if (hang_up) TEST_OK(necpnet_web_close(world.server.connection, 1000, NULL));
    turn();
    TEST_HINT("%s", bytes);
    expect_failed_connect(reason, "");
    end();
}

TEST(test_web_names_servers_that_do_not_speak_websocket)
{
    expect_from_server("SSH-2.0-OpenSSH\r\n", false, NECPNET_ERR_NOT_HTTP);
    expect_from_server("", true, NECPNET_ERR_NOT_HTTP);
    expect_from_server("HTTP/1.1 101 x\r\n\r\n", false, NECPNET_ERR_PROTOCOL);
}

TEST(test_web_gives_up_a_server_that_says_nothing)
{
    necpnet_web_answer answer = {NECPNET_WEB_RAW, 0, NULL, NULL, NULL, NULL, false};
    necpnet_web_connection* connection = NULL;
    begin_server(&answer);
    begin_client();
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", NULL, NULL, &connection));
    wait_ms(5100);
    expect_failed_connect(NECPNET_ERR_TIMEOUT, "");
    end();
}

TEST(test_web_counts_its_patience_from_the_first_update_on)
{
    necpnet_web_connection* connection = NULL;
    begin_server(NULL);
    begin_client();
    world.now_us = UINT64_C(1) << 50; /* the clock of a machine that has long been up */
    world.wire.stalled = true;        /* the answer of the resolver comes, the stream does not open */
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", NULL, NULL, &connection));
    wait_ms(4500);
    TEST_EQUAL(world.client.closes, 0);
    world.now_us += 3600000000; /* nobody called update for an hour */
    turn();
    TEST_EQUAL(world.client.closes, 1);
    world.wire.stalled = false;
    world.now_us += 3600000000;
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", NULL, NULL, &connection));
    turn();
    TEST_EQUAL(world.client.opens, 1);
    TEST_OK(necpnet_web_close(connection, 1000, NULL));
    world.now_us += 3600000000;
    turn();
    TEST_EQUAL(world.client.close_reason, NECPNET_OK);
    end();
}

TEST(test_web_may_close_before_it_is_open)
{
    necpnet_web_connection* connection = NULL;
    begin_server(NULL);
    begin_client();
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server/", NULL, NULL, &connection));
    TEST_OK(necpnet_web_close(connection, 1000, NULL));
    turn();
    TEST_EQUAL(world.client.closes, 1);
    TEST_EQUAL(world.client.close_reason, NECPNET_OK);
    end();
}

/* ---- TLS ------------------------------------------------------------------------------------------------------------ */

#if NECPNET_WITH_MBEDTLS && NECPNET_WITH_PLATFORM

static necpnet_web_connection* begin_tls(const char* certificate, const char* url)
{
    necpnet_web_config config;
    necpnet_web_connection* connection = NULL;
    begin();
    config_of(&config, &world.server, world.server_host);
    config.tls.certificate_file = certificate;
    config.tls.key_file = "tests/certificates/server.key";
    TEST_OK(necpnet_web_create(&config, &world.server.web));
    config_of(&config, &world.client, world.client_host);
    config.tls.ca_file = "tests/certificates/ca.pem";
    TEST_OK(necpnet_web_create(&config, &world.client.web));
    TEST_OK(necpnet_web_connect(world.client.web, url, NULL, NULL, &connection));
    turn();
    return connection;
}

TEST(test_web_speaks_tls)
{
    static const size_t pieces[] = {0, 1, 100};
    static char big[100000];
    for (size_t i = 0; i < NN_COUNT(pieces); i++) {
        necpnet_web_connection* connection = begin_tls("tests/certificates/server.pem", "wss://localhost/");
        TEST_EQUAL(world.client.opens, 1);
        world.wire.piece = pieces[i];
        world.server.echoing = true;
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_TEXT, "secret", 6));
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_BINARY, big, sizeof big));
        turn();
        TEST_EQUAL(world.client.messages, 2);
        TEST_EQUAL_BYTES(world.client.text, "secret|", 7);
        TEST_OK(necpnet_web_close(connection, 1000, "done"));
        turn();
        TEST_EQUAL(world.client.close_reason, NECPNET_OK);
        TEST_EQUAL(world.server.close_reason, NECPNET_ERR_CLOSED);
        TEST_EQUAL_STRING(world.server.close_text, "done");
        end();
    }
}

TEST(test_web_names_what_is_wrong_with_tls)
{
    (void)begin_tls("tests/certificates/server.pem", "wss://example.com/");
    expect_failed_connect(NECPNET_ERR_CERTIFICATE, "");
    end();
    (void)begin_tls("tests/certificates/expired.pem", "wss://localhost/");
    expect_failed_connect(NECPNET_ERR_CERTIFICATE, "");
    end();
    (void)begin_tls("tests/certificates/server.pem", "ws://localhost/"); /* plain to a TLS port */
    expect_failed_connect(NECPNET_ERR_NOT_HTTP, "");
    end();
    necpnet_web_connection* connection = NULL;
    begin_server(NULL); /* TLS to a plain port */
    necpnet_web_config config;
    config_of(&config, &world.client, world.client_host);
    config.tls.insecure = true;
    TEST_OK(necpnet_web_create(&config, &world.client.web));
    TEST_OK(necpnet_web_connect(world.client.web, "wss://localhost/", NULL, NULL, &connection));
    turn();
    expect_failed_connect(NECPNET_ERR_TLS, "");
    end();
}

TEST(test_web_names_files_that_cannot_be_used)
{
    necpnet_web_config config;
    begin();
    config_of(&config, &world.server, world.server_host);
    config.tls.certificate_file = "tests/certificates/no such file";
    config.tls.key_file = "tests/certificates/server.key";
    TEST_EQUAL(necpnet_web_create(&config, &world.server.web), NECPNET_ERR_FILE);
    config.tls.certificate_file = "tests/certificates/other.pem";
    TEST_EQUAL(necpnet_web_create(&config, &world.server.web), NECPNET_ERR_BAD_CERTIFICATE_FILE);
    config.tls.key_file = NULL;
    TEST_EQUAL(necpnet_web_create(&config, &world.server.web), NECPNET_ERR_BAD_CONFIG);
    end();
}

#endif

/* ---- sessions ------------------------------------------------------------------------------------------------------- */

static void on_session_open(void* user, necpnet_web_connection* connection)
{
    (void)user;
    world.session_opens++;
    TEST_OK(nn_web_send_session(connection, (const uint8_t*)"hi", 2));
}

static void on_session_message(void* user, necpnet_web_connection* connection, uint8_t* data, size_t bytes)
{
    (void)user, (void)connection;
    append(world.session_text, sizeof world.session_text, data, bytes);
    memset(data, 0, bytes); /* allowed */
}

static void on_session_close(void* user, necpnet_web_connection* connection, necpnet_result reason, const char* text)
{
    (void)user, (void)connection, (void)text;
    world.session_closes++;
    world.session_reason = reason;
}

static const nn_web_session_hooks hooks = {NULL, on_session_open, on_session_message, on_session_close, NULL, NULL,
                                           NULL};

static void* session_accept(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    return nn_web_on_accept((necpnet_web*)user, stream, from);
}

static void session_resolved(void* user, uint64_t request, const necpnet_address* addresses, int count,
                             necpnet_result reason)
{
    nn_web_on_resolved((necpnet_web*)user, request, addresses, count, reason);
}

/* A web as an endpoint has it: inside, with hooks, on the endpoint's transport. */
static necpnet_web* inner_web(kit_host* host, struct site* site)
{
    necpnet_web_config config;
    necpnet_web* web = NULL;
    config_of(&config, site, host);
    TEST_OK(nn_web_create(&config, &world.alloc, &host->transport, &hooks, &web));
    necpnet_sink sink = {web,
                         NULL,
                         session_accept,
                         nn_web_on_open,
                         nn_web_on_data,
                         nn_web_on_writable,
                         nn_web_on_close,
                         session_resolved};
    TEST_OK(host->transport.attach(host, &sink));
    return web;
}

static void inner_turn(necpnet_web* web, kit_host* host)
{
    nn_web_begin(web, world.now_us);
    host->transport.receive(host, world.now_us);
    nn_web_update(web, world.now_us);
    host->transport.flush(host);
}

TEST(test_web_carries_sessions)
{
    necpnet_web_connection* connection = NULL;
    necpnet_address address = {NECPNET_ADDRESS_IPV4, 0, 7777, 0, {127, 0, 0, 1}};
    begin();
    nn_alloc_init(&world.alloc, &world.allocator);
    necpnet_web* server = inner_web(world.server_host, &world.server);
    necpnet_web* client = inner_web(world.client_host, &world.client);
    TEST_EQUAL(necpnet_web_update(server, 1), NECPNET_ERR_INVALID_ARGUMENT); /* the endpoint drives it */
    TEST_OK(nn_web_connect_session(client, &address, "::1", "/ws", false, &world, &connection));
    for (int i = 0; i < 4; i++) {
        inner_turn(client, world.client_host);
        inner_turn(server, world.server_host);
    }
    TEST_EQUAL(world.session_opens, 2);
    TEST_EQUAL_STRING(world.session_text, "hi|hi|");
    TEST_EQUAL_STRING(necpnet_web_get_subprotocol(connection), "necpnet.v1");
    TEST_EQUAL_POINTER(necpnet_web_get_user_data(connection), &world);
    static uint8_t large[NN_WEB_SESSION_BYTES_MAX + 1];
    TEST_EQUAL(nn_web_send_session(connection, large, sizeof large), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_OK(nn_web_send_session(connection, large, sizeof large - 1));
    TEST_EQUAL(necpnet_web_send(connection, NECPNET_WEB_BINARY, "x", 1), NECPNET_ERR_INVALID_STATE);
    inner_turn(server, world.server_host);
    TEST_OK(necpnet_web_close(connection, 1000, NULL));
    for (int i = 0; i < 4; i++) {
        inner_turn(client, world.client_host);
        inner_turn(server, world.server_host);
    }
    TEST_EQUAL(world.session_closes, 2);
    nn_web_destroy(client);
    nn_web_destroy(server);
    TEST_EQUAL(world.alloc.bytes, 0);
    end();
}

TEST(test_web_a_session_needs_its_subprotocol)
{
    necpnet_web_connection* connection = NULL;
    necpnet_address address = {NECPNET_ADDRESS_IPV4, 0, 7777, 0, {127, 0, 0, 1}};
    begin_server(NULL); /* an ordinary web: accepts, but agrees on no subprotocol */
    nn_alloc_init(&world.alloc, &world.allocator);
    necpnet_web* client = inner_web(world.client_host, &world.client);
    TEST_OK(nn_web_connect_session(client, &address, "x", "/ws", false, NULL, &connection));
    for (int i = 0; i < 4; i++) {
        inner_turn(client, world.client_host);
        turn();
    }
    TEST_EQUAL(world.session_closes, 1);
    TEST_EQUAL(world.session_reason, NECPNET_ERR_UPGRADE_REFUSED);
    nn_web_destroy(client);
    end();
}

TEST(test_web_sessions_leave_framing_to_a_transport_of_messages)
{
    necpnet_web_connection* connection = NULL;
    necpnet_address address = {NECPNET_ADDRESS_NONE, 0, 443, 0, {0}};
    begin();
    nn_alloc_init(&world.alloc, &world.allocator);
    kit_host* page = kit_wire_add(&world.wire, false, NECPNET_TRANSPORT_MESSAGES | NECPNET_TRANSPORT_STREAMS);
    kit_host* peer = kit_wire_add(&world.wire, true, NECPNET_TRANSPORT_MESSAGES | NECPNET_TRANSPORT_STREAMS);
    necpnet_web* web = inner_web(page, &world.client);
    struct site site = {0};
    necpnet_web* other = inner_web(peer, &site); /* accepts the stream; never reads it here */
    TEST_OK(nn_web_connect_session(web, &address, "game.example", "/ws?a", true, NULL, &connection));
    TEST_EQUAL_STRING(world.wire.url, "wss://game.example/ws?a");
    inner_turn(web, page);
    TEST_EQUAL(world.session_opens, 1);
    kit_end* far = world.wire.ends; /* the newest end: the peer's */
    TEST_EQUAL(far->inbox_bytes, 2);
    TEST_EQUAL_BYTES(far->inbox, "hi", 2); /* no header, no mask */
    kit_wire_say(far, "answer", 6);
    inner_turn(web, page);
    TEST_EQUAL_STRING(world.session_text, "answer|");
    TEST_EQUAL(necpnet_web_connect(web, "ws://x/", NULL, NULL, &connection), NECPNET_ERR_UNSUPPORTED);
    nn_web_destroy(web);
    nn_web_destroy(other);
    TEST_EQUAL(world.session_closes, 1);
    end();
}

TEST_MAIN
