/* test_websocket_cases - the published cases of the public WebSocket conformance suite, by their numbers: 1 framing, 2 pings,
 * 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 9 limits, 10 automatic fragments. Our server and our
 * client, as echoes, each against a peer that this test plays byte by byte; the network carries everything at once, in
 * pieces of 997 bytes, and byte by byte. Sections 12 and 13 (compression) are test_websocket_deflate_cases. */
#include "test.h"

#include "kit_web.h"

#include "kit_frames.h"

/* Every case on both sides and in pieces of these sizes. */
#define EACH_WAY(build, ...) \
    do { \
        static const size_t pieces_[] = {0, 1, 997}; \
        for (int way_ = 0; way_ < 6; way_++) { \
            frames_begin(way_ % 2 == 0, pieces_[way_ / 2]); \
            TEST_HINT("%s under test, pieces of %zu", way_ % 2 ? "client" : "server", pieces_[way_ / 2]); \
            build; \
            frames_run(); \
            const char* summary_ = frames_summary(); \
            TEST_EQUAL_STRING(summary_, __VA_ARGS__); \
            frames_end(); \
        } \
    } while (0)

static char letters[70000];

static void fill_letters(void)
{
    for (size_t i = 0; i < sizeof letters; i++) letters[i] = (char)('a' + i % 23);
}

/* ---- 1 framing ------------------------------------------------------------------------------------------------------ */

static void expect_echo(uint8_t opcode, size_t bytes)
{
    static const size_t pieces[] = {0, 1, 997};
    for (int way = 0; way < 6; way++) {
        size_t at = 0;
        frames_heard frame = {0, NULL, 0};
        frames_begin(way % 2 == 0, pieces[way / 2]);
        frames_add((uint8_t)(0x80 | opcode), letters, bytes);
        frames_run();
        TEST_CHECK(frames_next(&at, &frame));
        TEST_EQUAL(frame.first, 0x80 | opcode);
        TEST_EQUAL(frame.bytes, bytes);
        TEST_EQUAL_BYTES(frame.data, letters, bytes);
        TEST_EQUAL(at, frames.heard_bytes);
        frames_end();
    }
}

TEST(test_websocket_case_1_1_and_1_2_echo_of_every_length_form)
{
    static const size_t lengths[] = {0, 125, 126, 127, 128, 65535, 65536};
    fill_letters();
    for (size_t i = 0; i < NN_COUNT(lengths); i++) {
        expect_echo(1, lengths[i]); /* 1.1.1 .. 1.1.8 */
        expect_echo(2, lengths[i]); /* 1.2.1 .. 1.2.8 */
    }
}

/* ---- 2 pings and pongs ---------------------------------------------------------------------------------------------- */

static void add_pings(int count)
{
    for (int i = 0; i < count; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "payload-%d", i);
        frames_add_text(0x89, text);
    }
}

TEST(test_websocket_case_2_pings_are_answered_and_pongs_are_not)
{
    char long_ping[127];
    memset(long_ping, 'p', sizeof long_ping);
    EACH_WAY(frames_add_text(0x89, ""), "pong ");                                                 /* 2.1 */
    EACH_WAY(frames_add_text(0x89, "Hello, world!"), "pong Hello, world!");                       /* 2.2 */
    EACH_WAY(frames_add(0x89, "\xff\xfe\xfd\x20\x01", 5), "pong \xff\xfe\xfd\x20\x01");           /* 2.3 */
    EACH_WAY(frames_add(0x89, long_ping, 125), "pong (125)");                                     /* 2.4, 2.6 */
    EACH_WAY(frames_add(0x89, long_ping, 126), "close 1002; end");                                /* 2.5 */
    EACH_WAY(frames_add_text(0x8a, ""), "");                                                      /* 2.7 */
    EACH_WAY(frames_add_text(0x8a, "unsolicited"), "");                                           /* 2.8 */
    EACH_WAY((frames_add_text(0x8a, "unsolicited"), frames_add_text(0x89, "ping")), "pong ping"); /* 2.9 */
    EACH_WAY(add_pings(10),
             "pong payload-0; pong payload-1; pong payload-2; pong payload-3; pong payload-4; "
             "pong payload-5; pong payload-6; pong payload-7; pong payload-8; pong payload-9"); /* 2.10, 2.11 */
}

/* ---- 3 reserved bits ------------------------------------------------------------------------------------------------ */

static void add_between(uint8_t first, const char* text)
{
    frames_add_text(0x81, "Hello, world!");
    frames_add_text(first, text);
    frames_add_text(0x89, "");
}

TEST(test_websocket_case_3_reserved_bits_fail)
{
    EACH_WAY(frames_add_text(0xc1, "Hello, world!"), "close 1002; end");                 /* 3.1 */
    EACH_WAY(add_between(0xa1, "Hello, world!"), "text Hello, world!; close 1002; end"); /* 3.2 */
    EACH_WAY(add_between(0xb1, "Hello, world!"), "text Hello, world!; close 1002; end"); /* 3.3 */
    EACH_WAY(add_between(0xc1, "Hello, world!"), "text Hello, world!; close 1002; end"); /* 3.4 */
    EACH_WAY(frames_add(0xd2, "\x00\xff", 2), "close 1002; end");                        /* 3.5 */
    EACH_WAY(frames_add_text(0xe9, "Hello, world!"), "close 1002; end");                 /* 3.6 */
    EACH_WAY(frames_add_text(0xf8, ""), "close 1002; end");                              /* 3.7 */
}

/* ---- 4 opcodes ------------------------------------------------------------------------------------------------------ */

TEST(test_websocket_case_4_reserved_opcodes_fail)
{
    EACH_WAY(frames_add_text(0x83, ""), "close 1002; end");                  /* 4.1.1 */
    EACH_WAY(frames_add_text(0x84, "reserved payload"), "close 1002; end");  /* 4.1.2 */
    EACH_WAY(add_between(0x85, ""), "text Hello, world!; close 1002; end");  /* 4.1.3 */
    EACH_WAY(add_between(0x86, "x"), "text Hello, world!; close 1002; end"); /* 4.1.4 */
    EACH_WAY(add_between(0x87, "x"), "text Hello, world!; close 1002; end"); /* 4.1.5 */
    EACH_WAY(frames_add_text(0x8b, ""), "close 1002; end");                  /* 4.2.1 */
    EACH_WAY(frames_add_text(0x8c, "reserved payload"), "close 1002; end");  /* 4.2.2 */
    EACH_WAY(add_between(0x8d, ""), "text Hello, world!; close 1002; end");  /* 4.2.3 */
    EACH_WAY(add_between(0x8e, "x"), "text Hello, world!; close 1002; end"); /* 4.2.4 */
    EACH_WAY(add_between(0x8f, "x"), "text Hello, world!; close 1002; end"); /* 4.2.5 */
}

/* ---- 5 fragmentation ------------------------------------------------------------------------------------------------ */

static void add_fragments(const char* ping)
{
    frames_add_text(0x01, "fragment1");
    if (ping) frames_add_text(0x89, ping);
    frames_add_text(0x80, "fragment2");
}

static void add_control_in_fragments(uint8_t opcode)
{
    frames_add_text(opcode, "fragment1");
    frames_add_text(0x80, "fragment2");
}

static void add_stray(uint8_t first)
{
    frames_add_text(first, "non-continuation");
    frames_add_text(0x81, "Hello, world!");
}

static void add_stray_behind_message(int times)
{
    for (int i = 0; i < times; i++) {
        if (times == 1) add_fragments(NULL);
        frames_add_text(0x00, "fragment3");
        frames_add_text(0x81, "fragment4");
    }
}

static void add_many_fragments_with_pings(void)
{
    frames_add_text(0x01, "fragment1");
    frames_add_text(0x00, "fragment2");
    frames_add_text(0x89, "pongme 1!");
    frames_run();
    world.now_us += 1000000;
    frames_add_text(0x00, "fragment3");
    frames_add_text(0x89, "pongme 2!");
    frames_add_text(0x00, "fragment4");
    frames_run();
    frames_add_text(0x80, "fragment5");
}

TEST(test_websocket_case_5_fragments)
{
    EACH_WAY(add_control_in_fragments(0x09), "close 1002; end");                       /* 5.1 */
    EACH_WAY(add_control_in_fragments(0x0a), "close 1002; end");                       /* 5.2 */
    EACH_WAY(add_fragments(NULL), "text fragment1fragment2");                          /* 5.3 .. 5.5 */
    EACH_WAY(add_fragments("ping"), "pong ping; text fragment1fragment2");             /* 5.6 .. 5.8 */
    EACH_WAY(add_stray(0x80), "close 1002; end");                                      /* 5.9 .. 5.11 */
    EACH_WAY(add_stray(0x00), "close 1002; end");                                      /* 5.12 .. 5.14 */
    EACH_WAY(add_stray_behind_message(1), "text fragment1fragment2; close 1002; end"); /* 5.15 */
    EACH_WAY(add_stray_behind_message(2), "close 1002; end");                          /* 5.16 */
    EACH_WAY((frames_add_text(0x80, "fragment1"), frames_add_text(0x01, "fragment2")), "close 1002; end"); /* 5.17 */
    EACH_WAY((frames_add_text(0x01, "fragment1"), frames_add_text(0x81, "fragment2")), "close 1002; end"); /* 5.18 */
    EACH_WAY(add_many_fragments_with_pings(), "pong pongme 1!; pong pongme 2!; text (45)"); /* 5.19, 5.20 */
}

/* ---- 6 UTF-8 -------------------------------------------------------------------------------------------------------- */

static void add_bytewise(const char* text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        frames_add((uint8_t)((i == 0 ? 0x01 : 0x00) | (i + 1 == bytes ? 0x80 : 0)), text + i, 1);
    }
}

static void add_three(const char* a, const char* b, const char* c)
{
    frames_add_text(0x01, a);
    frames_add_text(0x00, b);
    frames_add_text(0x80, c);
}

#define GREETING "H\xc3\xab-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0!"
#define KOSME "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

TEST(test_websocket_case_6_1_to_6_3_text_in_fragments)
{
    EACH_WAY(frames_add_text(0x81, ""), "text ");                                                     /* 6.1.1 */
    EACH_WAY(add_three("", "", ""), "text ");                                                         /* 6.1.2 */
    EACH_WAY(add_three("", "middle frame payload", ""), "text middle frame payload");                 /* 6.1.3 */
    EACH_WAY(frames_add_text(0x81, GREETING), "text " GREETING);                                      /* 6.2.1 */
    EACH_WAY((frames_add(0x01, GREETING, 8), frames_add_text(0x80, &GREETING[8])), "text " GREETING); /* 6.2.2 */
    EACH_WAY(add_bytewise(GREETING, strlen(GREETING)), "text " GREETING);                             /* 6.2.3 */
    EACH_WAY(add_bytewise(KOSME, strlen(KOSME)), "text " KOSME);                                      /* 6.2.4 */
    EACH_WAY(frames_add_text(0x81, KOSME "\xed\xa0\x80"
                                         "edited"),
             "close 1007; end"); /* 6.3.1 */
    EACH_WAY(add_bytewise(KOSME "\xed\xa0\x80"
                                "edited",
                          20),
             "close 1007; end"); /* 6.3.2 */
}

/* What cannot become UTF-8 any more ends the connection at once, before the message is whole. */
TEST(test_websocket_case_6_4_fails_fast)
{
    static const char bad[] = KOSME "\xf4\x90\x80\x80"
                                    "edited";
    for (int side = 0; side < 2; side++) {
        for (int way = 0; way < 4; way++) {
            frames_begin(side == 0, 0);
            TEST_HINT("6.4.%d", way + 1);
            size_t cut = way % 2 ? 12 : 11; /* .2, .4: right behind the byte that decides; .1, .3: before, then it */
            if (way < 2) {
                frames_add(0x01, bad, cut);
                frames_run();
                if (way == 0) {
                    TEST_EQUAL_STRING(frames_summary(), "");
                    frames_add(0x00, bad + cut, 4);
                    frames_run();
                }
            } else { /* in pieces of one frame */
                frames_add(0x81, bad, sizeof bad - 1);
                size_t header = frames.said_bytes - (sizeof bad - 1);
                for (size_t from = 0; from < header + 13; from += 1) {
                    TEST_OK(necpnet_web_send_raw(frames.peer, frames.said + from, 1));
                    frames_turn();
                    if (!frames.peer) break;
                }
                frames.said_bytes = 0;
            }
            if (way == 1) { /* f4 is a good beginning: 90 decides */
                TEST_EQUAL_STRING(frames_summary(), "");
                frames_add(0x00, bad + cut, 1);
                frames_run();
            }
            TEST_EQUAL_STRING(frames_summary(), "close 1007; end");
            frames_end();
        }
    }
}

static void expect_text(const char* number, const char* text, size_t bytes, bool valid)
{
    static char expected[64];
    for (int side = 0; side < 2; side++) {
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            frames_begin(side == 0, 0);
            TEST_HINT("%s", number);
            if (bytewise) {
                add_bytewise(text, bytes);
            } else {
                frames_add(0x81, text, bytes);
            }
            frames_run();
            if (!valid) {
                TEST_EQUAL_STRING(frames_summary(), "close 1007; end");
            } else if (bytes > 20) {
                (void)snprintf(expected, sizeof expected, "text (%zu)", bytes);
                TEST_EQUAL_STRING(frames_summary(), expected);
            } else {
                (void)snprintf(expected, sizeof expected, "text %.*s", (int)bytes, text);
                TEST_EQUAL_STRING(frames_summary(), expected);
            }
            frames_end();
        }
    }
}

/* Markus Kuhn's test of decoders, as the suite cuts it up. */
TEST(test_websocket_case_6_5_to_6_23_valid_and_invalid_sequences)
{
    static const struct {
        const char* number;
        bool valid;
        const char* text;
    } cases[] = {
        {"6.5.1", true, "*"},
        {"6.5.2", true, "!~"},
        {"6.5.3", true, KOSME},
        {"6.5.4", true, "\xef\xbf\xbd"},
        {"6.5.5", true, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"6.6.1", false, "\xce"},
        {"6.6.2", true, "\xce\xba"},
        {"6.6.3", false, "\xce\xba\xe1"},
        {"6.6.4", false, "\xce\xba\xe1\xbd"},
        {"6.6.5", true, "\xce\xba\xe1\xbd\xb9"},
        {"6.6.6", false, "\xce\xba\xe1\xbd\xb9\xcf"},
        {"6.6.7", true, "\xce\xba\xe1\xbd\xb9\xcf\x83"},
        {"6.6.8", false, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce"},
        {"6.6.9", true, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc"},
        {"6.6.10", false, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce"},
        {"6.6.11", true, KOSME},
        {"6.7.2", true, "\xc2\x80"},
        {"6.7.3", true, "\xe0\xa0\x80"},
        {"6.7.4", true, "\xf0\x90\x80\x80"},
        {"6.8.1", false, "\xf8\x88\x80\x80\x80"},
        {"6.8.2", false, "\xfc\x84\x80\x80\x80\x80"},
        {"6.9.1", true, "\x7f"},
        {"6.9.2", true, "\xdf\xbf"},
        {"6.9.3", true, "\xef\xbf\xbf"},
        {"6.9.4", true, "\xf4\x8f\xbf\xbf"},
        {"6.10.1", false, "\xf7\xbf\xbf\xbf"},
        {"6.10.2", false, "\xfb\xbf\xbf\xbf\xbf"},
        {"6.10.3", false, "\xfd\xbf\xbf\xbf\xbf\xbf"},
        {"6.11.1", true, "\xed\x9f\xbf"},
        {"6.11.2", true, "\xee\x80\x80"},
        {"6.11.3", true, "\xef\xbf\xbd"},
        {"6.11.4", true, "\xf4\x8f\xbf\xbf"},
        {"6.11.5", false, "\xf4\x90\x80\x80"},
        {"6.12.1", false, "\x80"},
        {"6.12.2", false, "\xbf"},
        {"6.12.3", false, "\x80\xbf"},
        {"6.12.4", false, "\x80\xbf\x80"},
        {"6.12.5", false, "\x80\xbf\x80\xbf"},
        {"6.12.6", false, "\x80\xbf\x80\xbf\x80"},
        {"6.12.7", false, "\x80\xbf\x80\xbf\x80\xbf"},
        {"6.12.8", false, "\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"},
        {"6.13.1", false, "\xc0 \xc1 \xc2 \xc3 \xc4 \xc5 \xc6 \xc7 "},
        {"6.13.2", false, "\xe0 \xe1 \xe2 \xe3 \xe4 "},
        {"6.13.3", false, "\xf0 \xf1 \xf2 \xf3 \xf4 \xf5 \xf6 \xf7 "},
        {"6.13.4", false, "\xf8 \xf9 \xfa \xfb "},
        {"6.13.5", false, "\xfc \xfd "},
        {"6.14.1", false, "\xc0"},
        {"6.14.2", false, "\xe0\x80"},
        {"6.14.3", false, "\xf0\x80\x80"},
        {"6.14.4", false, "\xf8\x80\x80\x80"},
        {"6.14.5", false, "\xfc\x80\x80\x80\x80"},
        {"6.14.6", false, "\xdf"},
        {"6.14.7", false, "\xef\xbf"},
        {"6.14.8", false, "\xf7\xbf\xbf"},
        {"6.14.9", false, "\xfb\xbf\xbf\xbf"},
        {"6.14.10", false, "\xfd\xbf\xbf\xbf\xbf"},
        {"6.15.1", false, "\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf"},
        {"6.16.1", false, "\xfe"},
        {"6.16.2", false, "\xff"},
        {"6.16.3", false, "\xfe\xfe\xff\xff"},
        {"6.17.1", false, "\xc0\xaf"},
        {"6.17.2", false, "\xe0\x80\xaf"},
        {"6.17.3", false, "\xf0\x80\x80\xaf"},
        {"6.17.4", false, "\xf8\x80\x80\x80\xaf"},
        {"6.17.5", false, "\xfc\x80\x80\x80\x80\xaf"},
        {"6.18.1", false, "\xc1\xbf"},
        {"6.18.2", false, "\xe0\x9f\xbf"},
        {"6.18.3", false, "\xf0\x8f\xbf\xbf"},
        {"6.18.4", false, "\xf8\x87\xbf\xbf\xbf"},
        {"6.18.5", false, "\xfc\x83\xbf\xbf\xbf\xbf"},
        {"6.19.1", false, "\xc0\x80"},
        {"6.19.2", false, "\xe0\x80\x80"},
        {"6.19.3", false, "\xf0\x80\x80\x80"},
        {"6.19.4", false, "\xf8\x80\x80\x80\x80"},
        {"6.19.5", false, "\xfc\x80\x80\x80\x80\x80"},
        {"6.20.1", false, "\xed\xa0\x80"},
        {"6.20.2", false, "\xed\xad\xbf"},
        {"6.20.3", false, "\xed\xae\x80"},
        {"6.20.4", false, "\xed\xaf\xbf"},
        {"6.20.5", false, "\xed\xb0\x80"},
        {"6.20.6", false, "\xed\xbe\x80"},
        {"6.20.7", false, "\xed\xbf\xbf"},
        {"6.21.1", false, "\xed\xa0\x80\xed\xb0\x80"},
        {"6.21.2", false, "\xed\xa0\x80\xed\xbf\xbf"},
        {"6.21.3", false, "\xed\xad\xbf\xed\xb0\x80"},
        {"6.21.4", false, "\xed\xad\xbf\xed\xbf\xbf"},
        {"6.21.5", false, "\xed\xae\x80\xed\xb0\x80"},
        {"6.21.6", false, "\xed\xae\x80\xed\xbf\xbf"},
        {"6.21.7", false, "\xed\xaf\xbf\xed\xb0\x80"},
        {"6.21.8", false, "\xed\xaf\xbf\xed\xbf\xbf"},
        {"6.22.1", true, "\xef\xbf\xbe"},
        {"6.22.2", true, "\xef\xbf\xbf"},
        {"6.23.1", true, "\xef\xbf\xb9"},
        {"6.23.7", true, "\xef\xbf\xbf"},
    };
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        expect_text(cases[i].number, cases[i].text, strlen(cases[i].text), cases[i].valid);
    }
    expect_text("6.7.1", "\x00", 1, true);
    for (uint32_t plane = 1; plane <= 16; plane++) { /* 6.22.3 .. 6.22.34: U+nFFFE and U+nFFFF */
        for (uint32_t last = 0xfffe; last <= 0xffff; last++) {
            uint32_t point = plane << 16 | last;
            char text[4] = {(char)(0xf0 | point >> 18), (char)(0x80 | (point >> 12 & 63)),
                            (char)(0x80 | (point >> 6 & 63)), (char)(0x80 | (point & 63))};
            expect_text("6.22", text, 4, true);
        }
    }
}

/* ---- 7 closing ------------------------------------------------------------------------------------------------------ */

static void add_after_close(void (*add)(void))
{
    frames_add_close(1000, "");
    add();
}

static void add_a_close(void)
{
    frames_add_close(1000, "");
}

static void add_a_ping(void)
{
    frames_add_text(0x89, "ping");
}

static void add_a_text(void)
{
    frames_add_text(0x81, "Hello World!");
}

static void add_last_fragment(void)
{
    frames_add_text(0x80, "fragment2");
}

/* A server ends the stream behind the close; a client lets the server end it. */
#define CLOSES(build, number) \
    do { \
        for (int side_ = 0; side_ < 2; side_++) { \
            char expected_[64]; \
            frames_begin(side_ == 0, 0); \
            build; \
            frames_run(); \
            (void)snprintf(expected_, sizeof expected_, "close %d%s", number, side_ == 0 ? "; end" : ""); \
            const char* summary_ = frames_summary(); \
            const char* at_ = strstr(summary_, "close"); \
            TEST_CHECK(at_ != NULL); \
            TEST_EQUAL_STRING(at_, expected_); \
            if (side_) { \
                TEST_OK(necpnet_web_close(frames.peer, 1000, NULL)); \
                frames_turn(); \
            } \
            TEST_EQUAL(frames.tested->closes, 1); \
            TEST_EQUAL(frames.tested->close_code, number ? number : 1005); \
            frames_end(); \
        } \
    } while (0)

TEST(test_websocket_case_7_1_closes_in_order)
{
    static char long_text[262144];
    memset(long_text, 'x', sizeof long_text);
    CLOSES((add_a_text(), add_a_close()), 1000);                                                /* 7.1.1 */
    CLOSES(add_after_close(add_a_close), 1000);                                                 /* 7.1.2 */
    CLOSES(add_after_close(add_a_ping), 1000);                                                  /* 7.1.3 */
    CLOSES(add_after_close(add_a_text), 1000);                                                  /* 7.1.4 */
    CLOSES((frames_add_text(0x01, "fragment1"), add_after_close(add_last_fragment)), 1000);     /* 7.1.5 */
    CLOSES((frames_add(0x81, long_text, sizeof long_text), add_after_close(add_a_ping)), 1000); /* 7.1.6 */
}

TEST(test_websocket_case_7_3_and_7_5_close_payloads)
{
    char reason[125];
    memset(reason, '*', sizeof reason);
    reason[123] = 0;
    CLOSES(frames_add(0x88, "", 0), 0);                    /* 7.3.1 */
    EACH_WAY(frames_add(0x88, "a", 1), "close 1002; end"); /* 7.3.2 */
    CLOSES(frames_add_close(1000, ""), 1000);              /* 7.3.3 */
    CLOSES(frames_add_close(1000, "Hello World!"), 1000);  /* 7.3.4 */
    CLOSES(frames_add_close(1000, reason), 1000);          /* 7.3.5 */
    reason[123] = '*';
    reason[124] = 0;
    EACH_WAY(frames_add_close(1000, reason), "close 1002; end"); /* 7.3.6 */
    EACH_WAY(frames_add_close(1000, KOSME "\xed\xa0\x80"
                                          "edited"),
             "close 1007; end"); /* 7.5.1 */
}

TEST(test_websocket_case_7_7_and_7_9_close_codes)
{
    static const int good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                               1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const int bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}; /* 7.13 too */
    for (size_t i = 0; i < NN_COUNT(good); i++) CLOSES(frames_add_close(good[i], ""), good[i]);
    for (size_t i = 0; i < NN_COUNT(bad); i++) EACH_WAY(frames_add_close(bad[i], ""), "close 1002; end");
}

/* ---- 9 limits, 10 automatic fragments --------------------------------------------------------------------------------- */

/* One message in fragments of so many bytes, the network carrying so much at once; echoed whole. */
static void expect_large(bool tests_server, uint8_t opcode, size_t bytes, size_t fragment, size_t piece)
{
    uint8_t* data = (uint8_t*)malloc(bytes);
    size_t at = 0;
    frames_heard frame = {0, NULL, 0};
    TEST_CHECK(data != NULL);
    for (size_t i = 0; i < bytes; i++) data[i] = opcode == 1 ? (uint8_t)('a' + i % 26) : (uint8_t)(i * 7 >> 3);
    frames_begin(tests_server, piece);
    for (size_t from = 0; from < bytes; from += fragment) {
        size_t part = bytes - from < fragment ? bytes - from : fragment;
        frames_add((uint8_t)((from ? 0 : opcode) | (from + part == bytes ? 0x80 : 0)), data + from, part);
    }
    frames_run();
    TEST_CHECK(frames_next(&at, &frame));
    TEST_EQUAL(frame.first, 0x80 | opcode);
    TEST_EQUAL(frame.bytes, bytes);
    TEST_CHECK(memcmp(frame.data, data, bytes) == 0);
    TEST_EQUAL(at, frames.heard_bytes);
    frames_end();
    free(data);
}

TEST(test_websocket_case_9_1_to_9_6_large_messages)
{
    static const size_t sizes[] = {65536, 262144, 1u << 20, 4u << 20, 8u << 20, 16u << 20};
    static const size_t fragments[] = {64, 256, 1024, 4096, 16384, 65536, 262144, 1u << 20, 4u << 20};
    static const size_t chops[] = {128, 256, 512, 1024, 2048};
    for (size_t i = 0; i < NN_COUNT(sizes); i++) { /* 9.1.1 .. 9.2.6 */
        expect_large(i % 2 == 0, 1, sizes[i], sizes[i], 0);
        expect_large(i % 2 == 1, 2, sizes[i], sizes[i], 0);
    }
    for (size_t i = 0; i < NN_COUNT(fragments); i++) { /* 9.3.1 .. 9.4.9 */
        expect_large(i % 2 == 0, 1, 4u << 20, fragments[i], 0);
        expect_large(i % 2 == 1, 2, 4u << 20, fragments[i], 0);
    }
    for (size_t i = 0; i < NN_COUNT(chops); i++) { /* 9.5.1 .. 9.6.6 */
        expect_large(i % 2 == 0, 1, 1u << 20, 1u << 20, chops[i]);
        expect_large(i % 2 == 1, 2, 1u << 20, 1u << 20, chops[i]);
    }
}

TEST(test_websocket_case_9_7_and_9_8_thousand_messages)
{
    static const size_t sizes[] = {0, 16, 64, 256, 1024, 4096};
    fill_letters();
    for (size_t i = 0; i < NN_COUNT(sizes) * 2; i++) {
        size_t bytes = sizes[i / 2];
        uint8_t opcode = i % 2 ? 0x82 : 0x81;
        frames_begin(i % 4 < 2, 0);
        for (int j = 0; j < 1000; j++) frames_add(opcode, letters + j % 100, bytes);
        frames_run();
        size_t at = 0;
        frames_heard frame = {0, NULL, 0};
        for (int j = 0; j < 1000; j++) {
            TEST_CHECK(frames_next(&at, &frame));
            TEST_EQUAL(frame.first, opcode);
            TEST_EQUAL(frame.bytes, bytes);
            TEST_CHECK(memcmp(frame.data, letters + j % 100, bytes) == 0);
        }
        TEST_EQUAL(at, frames.heard_bytes);
        frames_end();
    }
}

TEST(test_websocket_case_10_1_message_in_fragments_of_1300)
{
    expect_large(true, 1, 65536, 1300, 0);
    expect_large(false, 1, 65536, 1300, 0);
}

TEST_MAIN
