/* test_web - the web edge over a network in memory (kit_wire): heads and what they are answered, WebSocket both ways,
 * pauses, slow readers, time, and memory. Time is a number that the test moves. */
#include "test.h"

#include "kit_web.h"

/* ---- requests ------------------------------------------------------------------------------------------------------- */

static void expect_answer(const char* request, const char* status, int requests)
{
    kit_end* stream = kit_wire_connect(&world.wire);
    int before = world.server.requests;
    kit_wire_say_text(stream, request);
    turn();
    TEST_HINT("request:\n%s\nanswer:\n%s", request, heard(stream));
    TEST_CHECK(!strncmp(heard(stream), "HTTP/1.1 ", 9) && !strncmp(heard(stream) + 9, status, 3));
    TEST_CHECK(strstr(heard(stream), "\r\nConnection: close\r\n") != NULL || *status == '1');
    TEST_EQUAL(stream->other_ended, *status != '1');
    TEST_EQUAL(world.server.requests - before, requests);
    TEST_HINT(" ");
}

TEST(test_web_answers_requests_by_name)
{
    necpnet_web_answer answer = {NECPNET_WEB_REFUSE, 418, "short and stout", "X-Pot: tea\r\n", NULL, NULL, false};
    static const size_t pieces[] = {0, 1, 7};
    for (size_t i = 0; i < NN_COUNT(pieces); i++) {
        begin_server(&answer);
        world.wire.piece = pieces[i];
        expect_answer("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "418", 1);
        expect_answer(UPGRADE "\r\n", "418", 1);
        expect_answer("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400", 0);
        expect_answer("GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505", 0);
        expect_answer("no http at all\r\n\r\n", "400", 0);
        expect_answer("\x16\x03\x01", "400", 0);
        expect_answer("GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
                      "426", 0);
        expect_answer("GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "426", 0);
        expect_answer(UPGRADE "Sec-WebSocket-Protocol: a b\r\n\r\n", "400", 0);
        TEST_EQUAL(world.server.closes, 0); /* refused connections are not the application's */
        TEST_EQUAL(nn_web_connection_count(world.server.web), 0);
        end();
    }
}

TEST(test_web_without_handler_upgrades_all_and_answers_426)
{
    begin_server(NULL);
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    turn();
    TEST_CHECK(strstr(heard(stream), "HTTP/1.1 426 Upgrade Required\r\n") != NULL);
    TEST_CHECK(strstr(heard(stream), "\r\nUpgrade: websocket\r\n") != NULL);
    upgraded();
    TEST_EQUAL(world.server.opens, 1);
    end();
}

TEST(test_web_tells_the_handler_what_was_asked)
{
    necpnet_web_answer answer = {NECPNET_WEB_ACCEPT, 0, NULL, "X-More: 1\r\n", "b", &world, false};
    begin_server(&answer);
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, UPGRADE "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n");
    turn();
    TEST_EQUAL_STRING(world.server.path, "/chat");
    TEST_EQUAL_STRING(world.server.query, "room=1");
    TEST_EQUAL_STRING(world.server.subprotocols, "a, b");
    TEST_CHECK(world.server.is_upgrade);
    TEST_CHECK(strstr(heard(stream), "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != NULL);
    TEST_CHECK(strstr(heard(stream), "\r\nSec-WebSocket-Protocol: b\r\nX-More: 1\r\n\r\n") != NULL);
    TEST_EQUAL_STRING(necpnet_web_get_subprotocol(world.server.connection), "b");
    TEST_EQUAL_POINTER(necpnet_web_get_user_data(world.server.connection), &world);
    TEST_EQUAL(necpnet_web_get_address(world.server.connection).port, 40000);
    end();
}

TEST(test_web_connection_has_the_address_that_a_proxy_told)
{
    necpnet_web_answer answer = {NECPNET_WEB_ACCEPT, 0, NULL, NULL, NULL, NULL, false};
    necpnet_address real;
    begin_server(&answer);
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, UPGRADE "\r\n");
    turn();
    TEST_OK(necpnet_address_parse("192.0.2.9", &real));
    necpnet_web_set_address(world.server.connection, &real);
    necpnet_web_set_address(NULL, &real);
    necpnet_web_set_address(world.server.connection, NULL);
    necpnet_address now = necpnet_web_get_address(world.server.connection);
    TEST_EQUAL(now.port, 0);
    TEST_EQUAL(now.bytes[3], 9);
    end();
}

TEST(test_web_refuses_a_subprotocol_that_was_not_offered)
{
    necpnet_web_answer answer = {NECPNET_WEB_ACCEPT, 0, NULL, NULL, "c", NULL, false};
    begin_server(&answer);
    expect_answer(UPGRADE "Sec-WebSocket-Protocol: a, b\r\n\r\n", "400", 1);
    TEST_EQUAL(world.server.closes, 1); /* it was accepted, so its end is told */
    end();
}

TEST(test_web_answers_431_to_a_head_over_its_limit)
{
    begin_server(NULL);
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 1000; i++) kit_wire_say_text(stream, "X-Filler: 1234567890\r\n");
    turn();
    TEST_CHECK(strstr(heard(stream), "HTTP/1.1 431 ") == heard(stream));
    end();
}

TEST(test_web_times_out_a_head_that_does_not_come)
{
    begin_server(NULL);
    turn();
    kit_end* silent = kit_wire_connect(&world.wire);
    kit_end* slow = kit_wire_connect(&world.wire);
    kit_wire_say_text(slow, "GET / HTTP/1.1\r\n");
    wait_ms(4900);
    TEST_CHECK(!silent->other_ended && !slow->other_ended);
    wait_ms(200);
    TEST_EQUAL_STRING(heard(silent), "");
    TEST_CHECK(silent->other_ended);
    TEST_CHECK(strstr(heard(slow), "HTTP/1.1 408 ") == heard(slow));
    end();
}

TEST(test_web_turns_away_connections_over_its_limit)
{
    necpnet_web_config config;
    begin();
    config_of(&config, &world.server, world.server_host);
    config.connections_max = 2;
    TEST_OK(necpnet_web_create(&config, &world.server.web));
    kit_end* first = kit_wire_connect(&world.wire);
    TEST_CHECK(kit_wire_connect(&world.wire) != NULL);
    TEST_CHECK(kit_wire_connect(&world.wire) == NULL);
    kit_wire_hang_up(first, false);
    turn();
    TEST_CHECK(kit_wire_connect(&world.wire) != NULL);
    end();
}

/* ---- messages ------------------------------------------------------------------------------------------------------- */

TEST(test_web_echoes_between_client_and_server)
{
    static const size_t pieces[] = {0, 1, 3, 500};
    for (size_t i = 0; i < NN_COUNT(pieces); i++) {
        necpnet_web_connection* connection = begin_pair();
        static char big[200000];
        memset(big, 'b', sizeof big);
        world.wire.piece = pieces[i];
        world.server.echoing = true;
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_TEXT, "one", 3));
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_BINARY, NULL, 0));
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_BINARY, big, i ? 3000 : sizeof big));
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_TEXT, "two", 3));
        turn();
        TEST_EQUAL(world.server.messages, 4);
        TEST_EQUAL(world.client.messages, 4);
        TEST_EQUAL_BYTES(world.client.text, "one||", 5);
        TEST_EQUAL_STRING(world.client.text + strlen(world.client.text) - 4, "two|");
        end();
    }
}

TEST(test_web_reads_frames_that_come_with_the_head)
{
    begin_server(NULL);
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, UPGRADE "\r\n");
    say_frame(stream, 0x81, "early", 5);
    turn();
    TEST_EQUAL_STRING(world.server.text, "early|");
    end();
}

TEST(test_web_answers_pings)
{
    begin_server(NULL);
    kit_end* stream = upgraded();
    say_frame(stream, 0x89, "are you there", 13);
    turn();
    TEST_EQUAL_BYTES(heard(stream),
                     "\x8a\x0d"
                     "are you there",
                     15);
    end();
}

TEST(test_web_refuses_sends_that_make_no_sense)
{
    necpnet_web_connection* connection = begin_pair();
    TEST_EQUAL(necpnet_web_send(NULL, NECPNET_WEB_TEXT, "x", 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_web_send(connection, (necpnet_web_kind)3, "x", 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_web_send(connection, NECPNET_WEB_TEXT, NULL, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_web_send(connection, NECPNET_WEB_TEXT, "x", 2u << 20), NECPNET_ERR_MESSAGE_TOO_LARGE);
    TEST_EQUAL(necpnet_web_send_raw(connection, "x", 1), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_web_close(connection, 1005, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_web_close(connection, 1000, "\xff"), NECPNET_ERR_INVALID_ARGUMENT);
    end();
}

/* ---- closing -------------------------------------------------------------------------------------------------------- */

TEST(test_web_closes_by_handshake_from_either_side)
{
    for (int side = 0; side < 2; side++) {
        necpnet_web_connection* connection = begin_pair();
        struct site* closer = side ? &world.server : &world.client;
        struct site* other = side ? &world.client : &world.server;
        if (side) connection = world.server.connection;
        TEST_OK(necpnet_web_close(connection, 4001, "enough"));
        TEST_EQUAL(necpnet_web_send(connection, NECPNET_WEB_TEXT, "x", 1), NECPNET_ERR_INVALID_STATE);
        TEST_EQUAL(closer->closes, 0);
        turn();
        TEST_EQUAL(closer->closes, 1);
        TEST_EQUAL(closer->close_reason, NECPNET_OK);
        TEST_EQUAL(closer->close_code, 4001);
        TEST_EQUAL(other->closes, 1);
        TEST_EQUAL(other->close_reason, NECPNET_ERR_CLOSED);
        TEST_EQUAL(other->close_code, 4001);
        TEST_EQUAL_STRING(other->close_text, "enough");
        TEST_EQUAL(nn_web_connection_count(world.server.web) + nn_web_connection_count(world.client.web), 0);
        end();
    }
}

TEST(test_web_answers_an_empty_close_by_an_empty_close)
{
    begin_server(NULL);
    kit_end* stream = upgraded();
    say_frame(stream, 0x88, "", 0);
    turn();
    TEST_EQUAL(stream->inbox_bytes, 2);
    TEST_EQUAL_BYTES(stream->inbox, "\x88\x00", 2);
    TEST_CHECK(stream->other_ended && !stream->reset);
    TEST_EQUAL(world.server.close_code, 1005);
    end();
}

TEST(test_web_does_not_wait_long_for_a_close)
{
    begin_server(NULL);
    (void)upgraded();
    TEST_OK(necpnet_web_close(world.server.connection, 1000, NULL));
    wait_ms(1900);
    TEST_EQUAL(world.server.closes, 0);
    wait_ms(200);
    TEST_EQUAL(world.server.closes, 1);
    TEST_EQUAL(world.server.close_reason, NECPNET_ERR_TIMEOUT);
    TEST_EQUAL(world.server.close_code, 1006);
    end();
}

TEST(test_web_names_the_end_without_a_close_frame)
{
    begin_server(NULL);
    kit_end* stream = upgraded();
    kit_wire_hang_up(stream, false);
    turn();
    TEST_EQUAL(world.server.close_code, 1006);
    TEST_EQUAL(world.server.close_reason, NECPNET_ERR_CONNECTION_RESET);
    end();
}

TEST(test_web_closes_with_the_code_of_the_fault)
{
    static const struct {
        uint8_t first;
        const char* text;
        uint8_t code[2];
        necpnet_result reason;
    } faults[] = {{0xc1, "x", {0x03, 0xea}, NECPNET_ERR_PROTOCOL}, {0x81, "\xff", {0x03, 0xef}, NECPNET_ERR_BAD_DATA}};
    for (size_t i = 0; i < NN_COUNT(faults); i++) {
        begin_server(NULL);
        kit_end* stream = upgraded();
        say_frame(stream, faults[i].first, faults[i].text, 1);
        say_frame(stream, 0x81, "never", 5);
        turn();
        TEST_EQUAL(stream->inbox[0], 0x88);
        TEST_EQUAL_BYTES(stream->inbox + 2, faults[i].code, 2);
        TEST_CHECK(stream->other_ended && !stream->reset);
        TEST_EQUAL(world.server.close_reason, faults[i].reason);
        TEST_EQUAL(world.server.messages, 0);
        end();
    }
}

TEST(test_web_closes_1009_over_the_message_limit)
{
    necpnet_web_config config;
    begin();
    config_of(&config, &world.server, world.server_host);
    config.message_bytes_max = 100;
    TEST_OK(necpnet_web_create(&config, &world.server.web));
    kit_end* stream = upgraded();
    uint8_t data[101] = {0};
    say_frame(stream, 0x82, data, 100);
    say_frame(stream, 0x82, data, 101);
    turn();
    TEST_EQUAL(world.server.messages, 1);
    TEST_EQUAL_BYTES(stream->inbox + 2, "\x03\xf1", 2);
    end();
}

static void close_inside(struct site* site, necpnet_web_connection* connection)
{
    (void)site;
    TEST_OK(necpnet_web_close(connection, 1000, "inside"));
}

static void cut_inside(struct site* site, necpnet_web_connection* connection)
{
    (void)site;
    nn_web_cut(connection, NECPNET_ERR_REFUSED);
}

TEST(test_web_callbacks_may_end_their_own_connection)
{
    begin_server(NULL);
    world.server.on_message = close_inside;
    kit_end* stream = upgraded();
    for (int i = 0; i < 3; i++) say_frame(stream, 0x81, "x", 1);
    turn();
    TEST_EQUAL(world.server.messages, 1);
    say_frame(stream, 0x88, "\x03\xe8", 2);
    turn();
    TEST_EQUAL(world.server.closes, 1);
    world.server.on_message = cut_inside;
    stream = upgraded();
    for (int i = 0; i < 3; i++) say_frame(stream, 0x81, "x", 1);
    turn();
    TEST_EQUAL(world.server.messages, 2);
    TEST_EQUAL(world.server.close_reason, NECPNET_ERR_REFUSED);
    TEST_CHECK(stream->reset);
    end();
}

TEST(test_web_destroy_tells_every_connection)
{
    begin_pair();
    upgraded();
    necpnet_web_destroy(world.server.web);
    world.server.web = NULL;
    TEST_EQUAL(world.server.closes, 2);
    turn();
    TEST_EQUAL(world.client.closes, 1);
    TEST_EQUAL(world.client.close_reason, NECPNET_ERR_CONNECTION_RESET);
    end();
}

/* ---- time ----------------------------------------------------------------------------------------------------------- */

TEST(test_web_pings_when_idle_and_gives_up_when_nothing_is_heard)
{
    begin_server(NULL);
    kit_end* stream = upgraded();
    wait_ms(26000);
    TEST_EQUAL(stream->inbox_bytes, 0); /* not before seven eighths of the interval */
    wait_ms(4100);
    TEST_EQUAL_BYTES(heard(stream), "\x89\x00", 2);
    forget(stream);
    say_frame(stream, 0x8a, "", 0);
    turn();
    wait_ms(26000);
    TEST_EQUAL(stream->inbox_bytes, 0);
    wait_ms(34000);
    TEST_EQUAL(world.server.closes, 0);
    wait_ms(6000);
    TEST_EQUAL(world.server.closes, 1);
    TEST_EQUAL(world.server.close_reason, NECPNET_ERR_TIMEOUT);
    end();
}

TEST(test_web_two_of_ours_stay_alive_by_pings)
{
    begin_pair();
    wait_ms(200000);
    TEST_EQUAL(world.server.closes + world.client.closes, 0);
    end();
}

TEST(test_web_deadline_says_when_there_is_work)
{
    begin_server(NULL);
    TEST_EQUAL(necpnet_web_deadline_us(world.server.web), UINT64_MAX);
    kit_end* stream = kit_wire_connect(&world.wire);
    TEST_EQUAL(necpnet_web_deadline_us(world.server.web), 0); /* outside of update: it waits for the time */
    turn();
    TEST_EQUAL(necpnet_web_deadline_us(world.server.web), world.now_us + 5000000);
    kit_wire_hang_up(stream, false);
    turn();
    TEST_EQUAL(necpnet_web_deadline_us(world.server.web), UINT64_MAX);
    (void)upgraded();
    nn_web_cut(world.server.connection, NECPNET_ERR_REFUSED);
    TEST_EQUAL(necpnet_web_deadline_us(world.server.web), 0);
    turn();
    TEST_EQUAL(necpnet_web_deadline_us(world.server.web), UINT64_MAX);
    end();
}

/* ---- back-pressure -------------------------------------------------------------------------------------------------- */

TEST(test_web_cuts_a_slow_reader_and_queues_nothing_more)
{
    necpnet_web_connection* connection = begin_pair();
    static uint8_t data[100000];
    int sent = 0;
    world.wire.stalled = true;
    necpnet_result result = NECPNET_OK;
    while (result == NECPNET_OK && sent < 100) {
        result = necpnet_web_send(connection, NECPNET_WEB_BINARY, data, sizeof data);
        if (result == NECPNET_OK) sent++;
    }
    TEST_EQUAL(result, NECPNET_ERR_SLOW_READER);
    TEST_EQUAL(sent, 10);               /* of 100,000 into 1 MB */
    TEST_EQUAL(world.client.closes, 0); /* not inside the send */
    turn();
    TEST_EQUAL(world.client.closes, 1);
    TEST_EQUAL(world.client.close_reason, NECPNET_ERR_SLOW_READER);
    end();
}

TEST(test_web_says_when_all_is_written)
{
    necpnet_web_connection* connection = begin_pair();
    world.wire.stalled = true;
    int before = world.client.writables;
    TEST_OK(necpnet_web_send(connection, NECPNET_WEB_BINARY, "x", 1));
    turn();
    TEST_EQUAL(world.client.writables, before);
    TEST_GREATER(necpnet_web_pending(connection), 0);
    world.wire.stalled = false;
    turn();
    TEST_EQUAL(world.client.writables, before + 1);
    end();
}

static void pause_inside(struct site* site, necpnet_web_connection* connection)
{
    (void)site;
    TEST_OK(necpnet_web_pause(connection, true));
}

TEST(test_web_holds_messages_while_paused)
{
    begin_server(NULL);
    world.server.on_message = pause_inside;
    kit_end* stream = upgraded();
    say_frame(stream, 0x81, "a", 1);
    say_frame(stream, 0x81, "b", 1);
    say_frame(stream, 0x81, "c", 1);
    turn();
    TEST_EQUAL_STRING(world.server.text, "a|");
    say_frame(stream, 0x81, "d", 1);
    turn();
    TEST_EQUAL_STRING(world.server.text, "a|");
    TEST_OK(necpnet_web_pause(world.server.connection, false));
    TEST_EQUAL_STRING(world.server.text, "a|"); /* callbacks come in update alone */
    turn();
    TEST_EQUAL_STRING(world.server.text, "a|b|");
    world.server.on_message = NULL;
    TEST_OK(necpnet_web_pause(world.server.connection, false));
    turn();
    TEST_EQUAL_STRING(world.server.text, "a|b|c|d|");
    end();
}

TEST(test_web_a_paused_connection_does_not_time_out)
{
    begin_server(NULL);
    (void)upgraded();
    TEST_OK(necpnet_web_pause(world.server.connection, true));
    wait_ms(150000);
    TEST_EQUAL(world.server.closes, 0);
    end();
}

/* ---- config and memory ---------------------------------------------------------------------------------------------- */

TEST(test_web_refuses_configs_out_of_range)
{
    necpnet_web_config config;
    necpnet_web* web = NULL;
    begin();
    config_of(&config, &world.server, world.server_host);
    config.deflate.send_bits = 8;
    TEST_EQUAL(necpnet_web_create(&config, &web), NECPNET_ERR_BAD_CONFIG);
    config.deflate.send_bits = 9;
    config.deflate.level = 10;
    TEST_EQUAL(necpnet_web_create(&config, &web), NECPNET_ERR_BAD_CONFIG);
    config.deflate.level = 9;
    config.head_bytes_max = 10;
    TEST_EQUAL(necpnet_web_create(&config, &web), NECPNET_ERR_BAD_CONFIG);
    config_of(&config, &world.server, world.server_host);
    config.struct_bytes--;
    TEST_EQUAL(necpnet_web_create(&config, &web), NECPNET_ERR_BAD_STRUCT_BYTES);
    TEST_EQUAL(necpnet_web_create(NULL, &web), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_web_config_default(NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_CHECK(web == NULL);
    necpnet_web_destroy(NULL);
    end();
}

TEST(test_web_an_idle_connection_is_small)
{
    begin_server(NULL);
    (void)upgraded();
    size_t before = test_live_bytes();
    for (int i = 0; i < 100; i++) (void)upgraded();
    TEST_AT_MOST((test_live_bytes() - before) / 100, 300);
    end();
}

TEST(test_web_survives_each_failing_allocation)
{
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_web_config config;
        begin();
        config_of(&config, &world.server, world.server_host);
        necpnet_result result = necpnet_web_create(&config, &world.server.web);
        if (result != NECPNET_OK) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        config_of(&config, &world.client, world.client_host);
        result = necpnet_web_create(&config, &world.client.web);
        if (result != NECPNET_OK) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        world.wire.piece = 3;
        necpnet_web_connection* connection = NULL;
        if (world.client.web && world.server.web) {
            world.server.echoing = true;
            result = necpnet_web_connect(world.client.web, "ws://server/", "a", NULL, &connection);
            turn();
            if (world.client.opens && world.client.connection) {
                (void)necpnet_web_send(world.client.connection, NECPNET_WEB_TEXT, "hello", 5);
                turn();
                if (world.client.connection) (void)necpnet_web_close(world.client.connection, 1000, "bye");
                turn();
            }
            TEST_EQUAL(world.client.closes, result == NECPNET_OK ? 1 : 0);
            TEST_EQUAL(world.server.closes, world.server.opens);
        }
        end();
    }
}

TEST(test_web_survives_noise_in_every_state)
{
    TEST_EACH_SEED (seed, 200) {
        necpnet_web_answer answer = {NECPNET_WEB_ACCEPT, 0, NULL, NULL, NULL, NULL, false};
        begin_server(&answer);
        struct test_random random = test_random_begin(seed);
        world.wire.piece = (size_t)test_random_below(&random, 12);
        kit_end* stream = kit_wire_connect(&world.wire);
        uint8_t bytes[600];
        size_t head = strlen(UPGRADE "\r\n");
        memcpy(bytes, UPGRADE "\r\n", head);
        test_random_bytes(&random, bytes + head, sizeof bytes - head);
        if (test_random_below(&random, 2)) bytes[test_random_below(&random, head)] ^= 32;
        kit_wire_say(stream, bytes, head);
        say_frame(stream, 0x81, "text", 4);
        kit_wire_say(stream, bytes + head, sizeof bytes - head);
        turn();
        kit_wire_hang_up(stream, test_random_below(&random, 2) == 0);
        turn();
        TEST_EQUAL(nn_web_connection_count(world.server.web), 0);
        TEST_EQUAL(world.server.closes, world.server.requests); /* accepted, whatever came of it */
        end();
    }
}

TEST_MAIN
