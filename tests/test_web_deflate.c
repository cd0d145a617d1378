/* test_web_deflate - permessage-deflate on the web edge over a network in memory: what is negotiated, messages both ways
 * with and without context, limits, what a hostile peer sends, memory. The frames of a hostile peer are written by hand. */
#include "test.h"

#include "kit_web.h"
#include "nn_deflate.h"

static uint8_t big[300000];
static const necpnet_web_deflate off = {false, false, false, false, 12, 12, 3, 128};
static const necpnet_web_deflate shared = {true, false, false, false, 12, 12, 3, 16};
static const necpnet_web_deflate context = {true, false, true, true, 11, 10, 6, 16};

#define NEEDS_ZLIB() \
    if (!nn_deflate_is_built()) TEST_SKIP("built without zlib")

static necpnet_result create(struct site* site, kit_host* host, const necpnet_web_deflate* deflate, uint32_t bytes_max)
{
    necpnet_web_config config;
    config_of(&config, site, host);
    config.deflate = *deflate;
    config.message_bytes_max = bytes_max;
    return necpnet_web_create(&config, &site->web);
}

/* A server, and a client that connects to it. */
static necpnet_web_connection* begin_both(const necpnet_web_deflate* server, const necpnet_web_deflate* client)
{
    necpnet_web_connection* connection = NULL;
    begin();
    TEST_OK(create(&world.server, world.server_host, server, sizeof big));
    TEST_OK(create(&world.client, world.client_host, client, sizeof big));
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server:81/", NULL, NULL, &connection));
    turn();
    TEST_EQUAL(world.server.opens, 1);
    TEST_EQUAL(world.client.opens, 1);
    return connection;
}

static necpnet_web_statistics statistics_of(const struct site* site)
{
    necpnet_web_statistics statistics;
    TEST_OK(necpnet_web_get_statistics(site->web, &statistics));
    return statistics;
}

/* A stream of a client that the test plays, upgraded with what it offers; *out_answer: what the server said. */
static kit_end* offered(const char* offer, const char** out_answer)
{
    kit_end* stream = kit_wire_connect(&world.wire);
    kit_wire_say_text(stream, UPGRADE "Sec-WebSocket-Extensions: ");
    kit_wire_say_text(stream, offer);
    kit_wire_say_text(stream, "\r\n\r\n");
    turn();
    *out_answer = heard(stream);
    return stream;
}

/* A server with this deflate and limit, and a client of the test's that agreed on it. */
static kit_end* begin_hostile(const necpnet_web_deflate* deflate, uint32_t bytes_max)
{
    const char* answer = NULL;
    begin();
    TEST_OK(create(&world.server, world.server_host, deflate, bytes_max));
    kit_end* stream = offered("permessage-deflate; client_max_window_bits", &answer);
    TEST_CHECK(strstr(answer, "\r\nSec-WebSocket-Extensions: permessage-deflate") != NULL);
    forget(stream);
    return stream;
}

static void expect_close(kit_end* stream, int code)
{
    turn();
    TEST_AT_LEAST(stream->inbox_bytes, 4);
    TEST_EQUAL(stream->inbox[0], 0x88);
    TEST_EQUAL(stream->inbox[2] << 8 | stream->inbox[3], code);
    TEST_EQUAL(world.server.closes, 1);
    TEST_EQUAL(world.server.close_code, code);
}

/* ---- ordinary ------------------------------------------------------------------------------------------------------- */

TEST(test_web_deflate_is_off_unless_both_want_it)
{
    NEEDS_ZLIB();
    const necpnet_web_deflate* const pairs[][2] = {{&off, &off}, {&off, &shared}, {&shared, &off}};
    for (size_t i = 0; i < NN_COUNT(pairs); i++) {
        necpnet_web_connection* connection = begin_both(pairs[i][0], pairs[i][1]);
        memset(big, 'a', 1000);
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_TEXT, big, 1000));
        turn();
        TEST_EQUAL(world.server.messages, 1);
        TEST_EQUAL(statistics_of(&world.client).deflated_messages, 0);
        TEST_EQUAL(statistics_of(&world.server).inflated_messages, 0);
        end();
    }
}

TEST(test_web_deflate_is_for_sessions_only_where_told)
{
    NEEDS_ZLIB();
    for (int sessions = 0; sessions < 2; sessions++) {
        necpnet_web_deflate deflate = shared;
        nn_extension_wish wish;
        deflate.sessions = sessions != 0;
        begin();
        TEST_OK(create(&world.server, world.server_host, &deflate, 1000));
        TEST_CHECK(nn_web_deflate_wishes(world.server.web, false, &wish));
        TEST_EQUAL(nn_web_deflate_wishes(world.server.web, true, &wish), sessions != 0);
        end();
    }
}

TEST(test_web_deflate_echoes_messages_of_every_size)
{
    NEEDS_ZLIB();
    static const necpnet_web_deflate* const kinds[] = {&shared, &context};
    static const size_t lengths[] = {0, 1, 15, 16, 100, 3000, 5000, 65536, sizeof big};
    static const size_t pieces[] = {0, 1, 700};
    for (size_t i = 0; i < 12; i++) {
        size_t piece = pieces[i % 3];
        struct test_random random = test_random_begin(i);
        necpnet_web_connection* connection = begin_both(kinds[i / 3 % 2], kinds[i / 6]);
        world.wire.piece = piece;
        world.server.echoing = true;
        uint64_t wire_bytes = 0;
        int messages = 0;
        for (size_t j = 0; j < NN_COUNT(lengths) && (piece != 1 || lengths[j] <= 5000); j++) {
            for (size_t k = 0; k < lengths[j]; k++) big[k] = (uint8_t)('a' + test_random_below(&random, 3));
            TEST_OK(necpnet_web_send(connection, j % 2 ? NECPNET_WEB_TEXT : NECPNET_WEB_BINARY, big, lengths[j]));
            turn();
            TEST_EQUAL(world.server.messages, ++messages);
            TEST_EQUAL(world.client.messages, messages);
            if (lengths[j] < 3500) {
                TEST_EQUAL_BYTES(world.client.text, big, lengths[j]);
                TEST_EQUAL(world.client.text[lengths[j]], '|');
            }
            memset(world.client.text, 0, sizeof world.client.text);
        }
        necpnet_web_statistics client = statistics_of(&world.client);
        necpnet_web_statistics server = statistics_of(&world.server);
        TEST_GREATER(client.deflated_messages, 1);
        TEST_EQUAL(client.deflated_messages, server.inflated_messages);
        TEST_EQUAL(client.deflated_bytes, server.inflated_bytes);
        TEST_EQUAL(client.deflated_wire_bytes, server.inflated_wire_bytes);
        TEST_EQUAL(server.deflated_wire_bytes, client.inflated_wire_bytes);
        TEST_LESS(client.deflated_wire_bytes, client.deflated_bytes / 2);
        TEST_EQUAL(client.inflate_failures + server.inflate_failures, 0);
        wire_bytes += client.deflated_wire_bytes;
        end();
        TEST_GREATER(wire_bytes, 0);
    }
}

TEST(test_web_deflate_leaves_alone_what_it_does_not_make_smaller)
{
    NEEDS_ZLIB();
    struct test_random random = test_random_begin(1);
    necpnet_web_connection* connection = begin_both(&context, &context);
    world.server.echoing = true;
    for (int i = 0; i < 6; i++) { /* in turn, so that a context is lost and begins again */
        if (i % 2) {
            memset(big, 'x', 2000);
        } else {
            test_random_bytes(&random, big, 2000);
        }
        TEST_OK(necpnet_web_send(connection, NECPNET_WEB_BINARY, big, 2000));
        turn();
        TEST_EQUAL(world.client.messages, i + 1);
        TEST_EQUAL_BYTES(world.client.text, big, 1); /* up to its first NUL it is text */
        memset(world.client.text, 0, sizeof world.client.text);
    }
    TEST_EQUAL(statistics_of(&world.client).deflated_messages, 3);
    TEST_EQUAL(statistics_of(&world.server).deflated_messages, 3);
    TEST_OK(necpnet_web_send(connection, NECPNET_WEB_BINARY, "aaaaaaaaaaaaaaa", 15)); /* under bytes_min */
    turn();
    TEST_EQUAL(statistics_of(&world.client).deflated_messages, 3);
    end();
}

TEST(test_web_deflate_answers_what_it_was_offered)
{
    NEEDS_ZLIB();
    const char* answer = NULL;
    begin();
    TEST_OK(create(&world.server, world.server_host, &shared, 1000));
    (void)offered("permessage-deflate; client_max_window_bits", &answer);
    TEST_CHECK(strstr(answer, "HTTP/1.1 101 ") == answer);
    TEST_CHECK(strstr(answer, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                              "client_no_context_takeover\r\n") != NULL);
    (void)offered("permessage-deflate; unknown", &answer);
    TEST_CHECK(strstr(answer, "HTTP/1.1 101 ") == answer);
    TEST_CHECK(strstr(answer, "Extensions") == NULL);
    (void)offered("permessage-deflate; ;", &answer);
    TEST_CHECK(strstr(answer, "HTTP/1.1 400 ") == answer);
    end();
}

/* A server that the test plays upgrades our client with this choice of extension. */
static void begin_choosing_server(const necpnet_web_deflate* deflate, const char* choice)
{
    necpnet_web_answer answer = {NECPNET_WEB_RAW, 0, NULL, NULL, NULL, NULL, false};
    necpnet_web_connection* connection = NULL;
    char accept[NN_UPGRADE_ACCEPT_BYTES + 1];
    char text[1024];
    begin_server(&answer);
    TEST_OK(create(&world.client, world.client_host, deflate, 1000));
    TEST_OK(necpnet_web_connect(world.client.web, "ws://server:81/", NULL, NULL, &connection));
    turn();
    const char* key = strstr(world.server.raw_head, "Sec-WebSocket-Key: ");
    TEST_CHECK(key != NULL);
    nn_upgrade_accept(key + 19, accept);
    int bytes =
        snprintf(text, sizeof text,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                 accept, choice ? "Sec-WebSocket-Extensions: " : "", choice ? choice : "", choice ? "\r\n" : "");
    TEST_OK(necpnet_web_send_raw(world.server.connection, text, (size_t)bytes));
    turn();
}

TEST(test_web_deflate_fails_on_an_answer_that_was_not_asked_for)
{
    NEEDS_ZLIB();
    static const char* const bad[] = {"permessage-deflate", "permessage-deflate; server_no_context_takeover; x",
                                      "x-other", "permessage-deflate; server_no_context_takeover=1"};
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        begin_choosing_server(&shared, bad[i]);
        TEST_EQUAL(world.client.opens, 0);
        TEST_EQUAL(world.client.close_reason, NECPNET_ERR_PROTOCOL);
        end();
    }
    begin_choosing_server(&off, "permessage-deflate; server_no_context_takeover");
    TEST_EQUAL(world.client.close_reason, NECPNET_ERR_PROTOCOL);
    end();
    begin_choosing_server(&shared, NULL); /* declined */
    TEST_EQUAL(world.client.opens, 1);
    end();
    begin_choosing_server(&shared, "permessage-deflate; server_no_context_takeover; client_max_window_bits=8");
    TEST_EQUAL(world.client.opens, 1);
    memset(big, 'a', 500);
    TEST_OK(
        necpnet_web_send(world.client.connection, NECPNET_WEB_TEXT, big, 500)); /* a window that zlib cannot write */
    TEST_EQUAL(statistics_of(&world.client).deflated_messages, 0);
    end();
}

/* ---- boundary and hostile ------------------------------------------------------------------------------------------- */

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

TEST(test_web_deflate_reads_fragments_with_pings_between)
{
    NEEDS_ZLIB();
    kit_end* stream = begin_hostile(&shared, 1000);
    say_frame(stream, 0x41, HELLO, 3);
    say_frame(stream, 0x89, "p", 1);
    say_frame(stream, 0x00, &HELLO[3], 2);
    say_frame(stream, 0x00, "", 0);
    say_frame(stream, 0x80, &HELLO[5], 2);
    say_frame(stream, 0x81, "plain", 5); /* each message says for itself */
    say_frame(stream, 0xc1, "", 0);      /* what some make of an empty message */
    say_frame(stream, 0xc2, "\x00", 1);
    turn();
    TEST_EQUAL_STRING(world.server.text, "Hello|plain|||");
    TEST_EQUAL_BYTES(stream->inbox, "\x8a\x01p", 3);
    end();
}

TEST(test_web_deflate_refuses_reserved_bits_where_they_may_not_be)
{
    NEEDS_ZLIB();
    static const uint8_t firsts[] = {0xc8, 0xc9, 0xca, 0xa1, 0x91, 0xe1, 0xd2, 0xc0, 0x40};
    for (size_t i = 0; i < sizeof firsts; i++) {
        kit_end* stream = begin_hostile(&shared, 1000);
        if ((firsts[i] & 15) == 0) say_frame(stream, 0x41, HELLO, 3); /* RSV1 on a continuation */
        say_frame(stream, firsts[i], "", 0);
        expect_close(stream, 1002);
        end();
    }
}

TEST(test_web_deflate_refuses_what_is_no_deflate_or_no_utf8)
{
    NEEDS_ZLIB();
    kit_end* stream = begin_hostile(&shared, 1000);
    say_frame(stream, 0xc2, "\xff\xff\xff", 3);
    expect_close(stream, 1007);
    TEST_EQUAL(statistics_of(&world.server).inflate_failures, 1);
    end();
    stream = begin_hostile(&context, 1000);
    say_frame(stream, 0xc2, HELLO, 5);
    expect_close(stream, 1007);
    end();
    static const uint8_t bad_text[] = {0x00, 0x02, 0x00, 0xfd, 0xff, 0xc3, 0x28, 0x00}; /* stored: C3 28 */
    stream = begin_hostile(&shared, 1000);
    say_frame(stream, 0xc2, bad_text, sizeof bad_text);
    turn();
    TEST_EQUAL(world.server.messages, 1);
    say_frame(stream, 0xc1, bad_text, sizeof bad_text);
    expect_close(stream, 1007);
    TEST_EQUAL(world.server.close_reason, NECPNET_ERR_BAD_DATA);
    end();
}

/* A message of so many zeroes, compressed; what say_frame can carry. */
static size_t bomb(size_t bytes, uint8_t* to, size_t to_bytes)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    nn_deflater* deflater = nn_deflater_create(&alloc, 9, 15, 9);
    uint8_t* zeroes = (uint8_t*)nn_alloc_take(&alloc, bytes);
    size_t written = nn_deflater_write(deflater, zeroes, bytes, false, to, to_bytes);
    nn_alloc_give(&alloc, zeroes, bytes);
    nn_deflater_destroy(deflater);
    TEST_GREATER(written, 0);
    return written;
}

TEST(test_web_deflate_cuts_inflate_bombs_at_the_limit)
{
    NEEDS_ZLIB();
    static uint8_t wire[2048];
    static const necpnet_web_deflate* const kinds[] = {&shared, &context};
    static const uint32_t limits[] = {1, 4095, 4096, 4097, 100000, 262144};
    for (size_t i = 0; i < NN_COUNT(kinds) * NN_COUNT(limits); i++) {
        uint32_t limit = limits[i / 2];
        kit_end* stream = begin_hostile(kinds[i % 2], limit);
        say_frame(stream, 0xc2, wire, bomb(limit, wire, sizeof wire)); /* just allowed */
        turn();
        TEST_EQUAL(world.server.messages, 1);
        TEST_EQUAL(statistics_of(&world.server).inflated_bytes, limit);
        say_frame(stream, 0xc2, wire, bomb(limit + 1, wire, sizeof wire));
        expect_close(stream, 1009);
        TEST_EQUAL(world.server.messages, 1);
        TEST_EQUAL(world.server.close_reason, NECPNET_ERR_MESSAGE_TOO_LARGE);
        end();
        stream = begin_hostile(kinds[i % 2], limit);
        size_t before = world.server.web->alloc->bytes_peak;
        say_frame(stream, 0xc2, wire, bomb(1900000, wire, sizeof wire));
        expect_close(stream, 1009);
        /* the limit, once more while the buffer grows, a reader, and the frame itself */
        TEST_AT_MOST(world.server.web->alloc->bytes_peak - before, 2 * (size_t)limit + 50000);
        end();
    }
}

TEST(test_web_deflate_counts_wire_bytes_too)
{
    NEEDS_ZLIB();
    kit_end* stream = begin_hostile(&shared, 100);
    uint8_t stored[2048];
    memset(stored, 'x', sizeof stored);
    memcpy(stored, "\x00\x64\x00\x9b\xff", 5); /* 100 bytes as they are: 106 over the wire */
    stored[105] = 0;
    say_frame(stream, 0xc1, stored, 106);
    turn();
    TEST_EQUAL(world.server.messages, 1);
    say_frame(stream, 0xc1, stored, 1000); /* refused before it is read */
    expect_close(stream, 1009);
    end();
}

/* Empty last blocks: each ends a DEFLATE stream in two bytes. */
TEST(test_web_deflate_reads_many_last_blocks)
{
    NEEDS_ZLIB();
    kit_end* stream = begin_hostile(&context, 1000);
    uint8_t blocks[1001];
    for (size_t i = 0; i < 500; i++) memcpy(blocks + 2 * i, "\x03\x00", 2);
    blocks[1000] = 0;
    say_frame(stream, 0xc1, blocks, sizeof blocks);
    turn();
    TEST_EQUAL_STRING(world.server.text, "|");
    end();
}

/* ---- memory --------------------------------------------------------------------------------------------------------- */

TEST(test_web_deflate_shared_takes_no_memory_for_a_connection)
{
    NEEDS_ZLIB();
    begin();
    TEST_OK(create(&world.server, world.server_host, &shared, 100000));
    world.server.echoing = true;
    size_t bytes_each[3];
    size_t before = 0;
    memset(big, 'a', 1000);
    for (int i = 0; i < 3; i++) {
        const char* answer = NULL;
        kit_end* stream = offered("permessage-deflate; client_max_window_bits", &answer);
        say_frame(stream, 0x82, big, 1000);
        turn();
        forget(stream);
        bytes_each[i] = test_live_bytes() - before;
        before = test_live_bytes();
    }
    TEST_EQUAL(statistics_of(&world.server).deflated_messages, 3);
    TEST_AT_MOST(bytes_each[2], sizeof(necpnet_web_connection) + 2048); /* the rest is the kit's */
    end();
}

TEST(test_web_deflate_context_is_limited_and_taken_late)
{
    NEEDS_ZLIB();
    kit_end* stream = begin_hostile(&context, 100000);
    world.server.echoing = true;
    const nn_web_extra* extra = world.server.connection->extra;
    TEST_CHECK(extra != NULL);
    TEST_CHECK(!extra->deflater && !extra->inflater);
    TEST_EQUAL(extra->compression.receive_bits, 10);
    TEST_EQUAL(extra->compression.send_bits, 11);
    size_t before = world.server.web->alloc->bytes;
    memset(big, 'a', 1000);
    say_frame(stream, 0x82, big, 1000);
    turn();
    TEST_CHECK(extra->deflater && !extra->inflater);
    say_frame(stream, 0xc1, HELLO, 7);
    turn();
    TEST_CHECK(extra->inflater != NULL);
    size_t taken = world.server.web->alloc->bytes - before;
    TEST_AT_MOST(taken, (1u << 13) + (1u << 13) + 6200 + (1u << 10) + 7400 + 2 * 4096);
    end();
}

TEST(test_web_deflate_survives_every_failed_allocation)
{
    NEEDS_ZLIB();
    for (int keep = 0; keep < 2; keep++) {
        TEST_EACH_ALLOCATION_FAILS {
            necpnet_web_connection* connection = NULL;
            const necpnet_web_deflate* deflate = keep ? &context : &shared;
            begin();
            world.allocator = test_allocator();
            if (create(&world.server, world.server_host, deflate, 100000) == NECPNET_OK &&
                create(&world.client, world.client_host, deflate, 100000) == NECPNET_OK &&
                necpnet_web_connect(world.client.web, "ws://server:81/", NULL, NULL, &connection) == NECPNET_OK) {
                turn();
                memset(big, 'a', 6000);
                for (int i = 0; i < 2 && world.client.opens && world.client.connection; i++) {
                    (void)necpnet_web_send(connection, NECPNET_WEB_TEXT, big, 6000);
                    turn();
                }
                if (!test_allocation_failed()) TEST_EQUAL(world.server.messages, 2);
            }
            end();
        }
    }
}

TEST_MAIN
