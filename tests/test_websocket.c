/* test_websocket - the frames of RFC 6455: what the published conformance cases ask for (framing, pings, reserved bits,
 * opcodes, fragmentation, UTF-8, closing, limits), each in one piece and byte by byte, on both sides. The reader under
 * test is fed frames that this file builds by itself, so that no error of the writer can hide one of the reader. */
#include "test.h"

#include "nn_websocket.h"

#define FIXTURE_BYTES_MAX (200 * 1024)
#define FIXTURE_ITEMS_MAX 64

struct heard {
    nn_websocket_kind kind;
    nn_websocket_opcode opcode;
    int code;
    size_t bytes;
    uint8_t data[300]; /* the first bytes */
    uint64_t sum;      /* of all bytes */
};

static struct fixture {
    uint8_t input[FIXTURE_BYTES_MAX + 64];
    size_t input_bytes;
    struct heard heard[FIXTURE_ITEMS_MAX];
    int count;
    bool is_server;
} world;

static void begin(bool is_server)
{
    world.input_bytes = 0;
    world.count = 0;
    world.is_server = is_server;
}

static void add(const void* data, size_t bytes)
{
    TEST_CHECK(world.input_bytes + bytes <= sizeof world.input);
    memcpy(world.input + world.input_bytes, data, bytes);
    world.input_bytes += bytes;
}

/* A frame with every detail given: first is FIN, reserved bits and opcode; wide 0 (shortest), 2 or 8 bytes of length. */
static void add_frame_with(uint8_t first, bool masked, int wide, const void* data, size_t bytes)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t header[14] = {first, 0};
    size_t at = 2;
    if (!wide) wide = bytes < 126 ? 1 : bytes < 65536 ? 2 : 8;
    header[1] = (uint8_t)((masked ? 0x80 : 0) | (wide == 1 ? (int)bytes : wide == 2 ? 126 : 127));
    for (int i = wide == 1 ? 0 : wide; i > 0; i--) header[at++] = (uint8_t)((uint64_t)bytes >> (8 * (i - 1)));
    if (masked) {
        memcpy(header + at, mask, 4);
        at += 4;
    }
    add(header, at);
    size_t begin_at = world.input_bytes;
    add(data, bytes);
    for (size_t i = 0; masked && i < bytes; i++) world.input[begin_at + i] ^= mask[i % 4];
}

static void add_frame(uint8_t first, const void* data, size_t bytes)
{
    add_frame_with(first, world.is_server, 0, data, bytes);
}

static void add_text(uint8_t first, const char* text)
{
    add_frame(first, text, strlen(text));
}

/* Run the reader over the input in pieces of so many bytes. */
static void run_with(size_t piece, uint32_t message_bytes_max)
{
    static uint8_t scratch[FIXTURE_BYTES_MAX + 64];
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_websocket websocket;
    nn_alloc_init(&alloc, &allocator);
    nn_websocket_init(&websocket, &alloc, world.is_server, message_bytes_max);
    world.count = 0;
    for (size_t from = 0; from < world.input_bytes; from += piece) {
        size_t bytes = world.input_bytes - from < piece ? world.input_bytes - from : piece;
        uint8_t* at = scratch;
        nn_websocket_item item;
        nn_websocket_kind kind;
        memcpy(scratch, world.input + from, bytes);
        while ((kind = nn_websocket_next(&websocket, &at, scratch + bytes, &item)) != NN_WEBSOCKET_MORE) {
            TEST_LESS(world.count, FIXTURE_ITEMS_MAX);
            struct heard* heard = &world.heard[world.count++];
            memset(heard, 0, sizeof *heard);
            heard->kind = kind;
            heard->opcode = item.opcode;
            if (kind == NN_WEBSOCKET_CLOSED || kind == NN_WEBSOCKET_FAILED) heard->code = item.code;
            heard->bytes = item.bytes;
            for (size_t i = 0; i < item.bytes; i++) {
                if (i < sizeof heard->data) heard->data[i] = item.data[i];
                heard->sum = heard->sum * 31 + item.data[i];
            }
        }
        TEST_EQUAL_POINTER(at, scratch + bytes);
    }
    nn_websocket_reset(&websocket);
    TEST_EQUAL(alloc.bytes, 0);
}

static void expect(int index, nn_websocket_kind kind, nn_websocket_opcode opcode, const char* text)
{
    TEST_LESS(index, world.count);
    const struct heard* heard = &world.heard[index];
    TEST_EQUAL(heard->kind, kind);
    if (kind == NN_WEBSOCKET_MESSAGE || kind == NN_WEBSOCKET_CONTROL) TEST_EQUAL(heard->opcode, opcode);
    TEST_EQUAL(heard->bytes, strlen(text));
    TEST_EQUAL_BYTES(heard->data, text, heard->bytes);
}

static void expect_code(int index, nn_websocket_kind kind, int code)
{
    TEST_LESS(index, world.count);
    TEST_EQUAL(world.heard[index].kind, kind);
    TEST_EQUAL(world.heard[index].code, code);
    TEST_EQUAL(world.count, index + 1); /* nothing is read behind it */
}

/* Both sides, in pieces of every size that splits headers and payloads. */
#define EACH_WAY(build) \
    for (int side_ = 0; side_ < 2; side_++) \
        for (size_t piece_ = 1; piece_ < 2048; piece_ = piece_ < 20 ? piece_ + 1 : piece_ * 8) \
            if (begin(side_ == 0), (build), run_with(piece_, 70000), true)

/* ---- messages ----------------------------------------------------------------------------------------------------- */

static void build_messages(void)
{
    add_text(0x81, "Hello");
    add_text(0x81, "");
    add_frame(0x82, "\x00\xff\x80", 3);
    add_text(0x81, "h\xc3\xa4llo \xe2\x82\xac \xf0\x9f\x8e\xae");
}

TEST(test_websocket_reads_messages)
{
    EACH_WAY(build_messages())
    {
        TEST_EQUAL(world.count, 4);
        expect(0, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "Hello");
        expect(1, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "");
        TEST_EQUAL(world.heard[2].opcode, NN_WEBSOCKET_BINARY);
        TEST_EQUAL_BYTES(world.heard[2].data, "\x00\xff\x80", 3);
        expect(3, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "h\xc3\xa4llo \xe2\x82\xac \xf0\x9f\x8e\xae");
    }
}

/* RFC 6455 5.7, byte for byte. */
TEST(test_websocket_reads_the_examples_of_the_rfc)
{
    begin(true);
    add("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    run_with(100, 1000);
    expect(0, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "Hello");
    begin(false);
    add("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", 9);
    add("\x89\x05\x48\x65\x6c\x6c\x6f", 7);
    run_with(100, 1000);
    expect(0, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "Hello");
    expect(1, NN_WEBSOCKET_CONTROL, NN_WEBSOCKET_PING, "Hello");
}

TEST(test_websocket_reads_every_length_around_the_length_forms)
{
    static const size_t lengths[] = {0,    1,    124,   125,   126,   127,   128,  4095,
                                     4096, 4097, 65534, 65535, 65536, 65537, 70000};
    static const size_t pieces[] = {7, 1000, 4096, FIXTURE_BYTES_MAX};
    static uint8_t data[70000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < NN_COUNT(lengths) * NN_COUNT(pieces); i++) {
        size_t bytes = lengths[i / NN_COUNT(pieces)];
        uint64_t sum = 0;
        for (size_t j = 0; j < bytes; j++) sum = sum * 31 + data[j];
        begin(true);
        add_frame(0x82, data, bytes);
        add_text(0x81, "next");
        run_with(pieces[i % NN_COUNT(pieces)], 70000);
        TEST_EQUAL(world.count, 2);
        TEST_EQUAL(world.heard[0].bytes, bytes);
        TEST_EQUAL(world.heard[0].sum, sum);
        expect(1, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "next");
    }
}

TEST(test_websocket_mask_is_the_same_at_every_length_and_place)
{
    static const uint8_t mask[4] = {1, 2, 4, 8};
    uint8_t data[200], again[200];
    for (size_t bytes = 0; bytes < 150; bytes++) {
        for (size_t place = 0; place < 9; place++) {
            for (size_t i = 0; i < sizeof data; i++) data[i] = again[i] = (uint8_t)(i * 13);
            nn_websocket_mask(data + place, bytes, mask);
            for (size_t i = 0; i < bytes; i++) again[place + i] ^= mask[i % 4];
            TEST_EQUAL_BYTES(data, again, sizeof data);
        }
    }
}

TEST(test_websocket_written_headers_are_read_again)
{
    static const uint64_t lengths[] = {0, 125, 126, 65535, 65536, 69000};
    static const uint8_t mask[4] = {9, 8, 7, 6};
    static uint8_t data[70000];
    for (size_t i = 0; i < NN_COUNT(lengths) * 2; i++) {
        size_t bytes = (size_t)lengths[i / 2];
        uint8_t header[NN_WEBSOCKET_HEADER_BYTES_MAX];
        begin(i % 2 == 0);
        memset(data, 'a', sizeof data);
        size_t used = nn_websocket_write_header(header, NN_WEBSOCKET_TEXT, bytes, world.is_server ? mask : NULL);
        TEST_EQUAL(used, (bytes < 126 ? 2u : bytes < 65536 ? 4u : 10u) + (world.is_server ? 4u : 0u));
        add(header, used);
        if (world.is_server) nn_websocket_mask(data, bytes, mask);
        add(data, bytes);
        run_with(1000, 70000);
        TEST_EQUAL(world.count, 1);
        TEST_EQUAL(world.heard[0].bytes, bytes);
    }
}

/* ---- fragments and control frames ----------------------------------------------------------------------------------- */

static void build_fragments(void)
{
    add_text(0x01, "one ");
    add_text(0x89, "ping inside");
    add_text(0x00, "");
    add_text(0x00, "two ");
    add_text(0x8a, "");
    add_text(0x80, "three");
    add_text(0x02, "");
    add_text(0x80, "");
    add_text(0x81, "whole");
}

TEST(test_websocket_joins_fragments_around_control_frames)
{
    EACH_WAY(build_fragments())
    {
        TEST_EQUAL(world.count, 5);
        expect(0, NN_WEBSOCKET_CONTROL, NN_WEBSOCKET_PING, "ping inside");
        expect(1, NN_WEBSOCKET_CONTROL, NN_WEBSOCKET_PONG, "");
        expect(2, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "one two three");
        expect(3, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_BINARY, "");
        expect(4, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "whole");
    }
}

static void build_character_over_fragments(void)
{
    add_frame(0x01, "\xf0", 1);
    add_frame(0x00, "\x9f\x8e", 2);
    add_frame(0x89, "\xff", 1);
    add_frame(0x80, "\xae", 1);
}

TEST(test_websocket_lets_a_character_cross_fragments)
{
    EACH_WAY(build_character_over_fragments())
    {
        TEST_EQUAL(world.count, 2);
        expect(1, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "\xf0\x9f\x8e\xae");
    }
}

static void build_largest_ping(void)
{
    uint8_t data[125];
    memset(data, 0xfe, sizeof data);
    add_frame(0x89, data, sizeof data);
}

TEST(test_websocket_reads_a_ping_of_125_bytes)
{
    EACH_WAY(build_largest_ping())
    {
        TEST_EQUAL(world.count, 1);
        TEST_EQUAL(world.heard[0].bytes, 125);
        TEST_EQUAL(world.heard[0].data[124], 0xfe);
    }
}

/* ---- what breaks the protocol --------------------------------------------------------------------------------------- */

static void build_broken(int which)
{
    uint8_t data[200] = {0};
    add_text(0x81, "before");
    switch (which) {
    case 0: add_text(0xc1, "reserved bit 1"); break;
    case 1: add_text(0xa1, "reserved bit 2"); break;
    case 2: add_text(0x91, "reserved bit 3"); break;
    case 3: add_text(0xf9, "all of them, on a ping"); break;
    case 4: add_text(0x83, "opcode 3"); break;
    case 5: add_text(0x87, ""); break;
    case 6: add_text(0x8b, "opcode 11"); break;
    case 7: add_text(0x8f, ""); break;
    case 8: add_frame(0x89, data, 126); break;
    case 9: add_text(0x09, "a ping in fragments"); break;
    case 10: add_text(0x08, "\x03\xe8"); break;
    case 11: add_text(0x80, "nothing to continue"); break;
    case 12: add_text(0x00, "nothing to continue"); break;
    case 13:
        add_text(0x01, "first");
        add_text(0x81, "instead of a continuation");
        break;
    case 14: add_frame_with(0x81, !world.is_server, 0, "masked wrongly", 14); break;
    case 15: add_frame_with(0x81, world.is_server, 2, data, 125); break;
    case 16: add_frame_with(0x81, world.is_server, 8, data, 200); break;
    case 17:
        add(world.is_server ? "\x82\xff\x80\0\0\0\0\0\0\1\0\0\0\0" : "\x82\x7f\x80\0\0\0\0\0\0\1",
            world.is_server ? 14 : 10);
        break;
    case 18: add_frame(0x88, "\x03", 1); break;
    default: add_frame_with(0x89, world.is_server, 2, data, 10); break; /* a control frame with a long length */
    }
    add_text(0x81, "after");
}

TEST(test_websocket_refuses_what_breaks_the_protocol)
{
    for (int which = 0; which < 20; which++) {
        TEST_HINT("case %d of build_broken", which);
        EACH_WAY(build_broken(which))
        {
            bool begun = which == 13;
            (void)begun;
            expect(0, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, "before");
            expect_code(1, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_PROTOCOL);
        }
    }
}

TEST(test_websocket_fails_at_the_second_byte_of_a_bad_frame)
{
    begin(true);
    add("\xc1\x85", 2);
    run_with(1, 1000);
    expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_PROTOCOL);
}

/* ---- UTF-8 ---------------------------------------------------------------------------------------------------------- */

TEST(test_websocket_refuses_text_that_is_not_utf8)
{
    static const char* const bad[] = {"\xff",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\x80",
                                      "\xbf",
                                      "abc\xc3",
                                      "abc\xe2\x82",
                                      "abc\xf0\x9f\x8e",
                                      "\xc3\x28",
                                      "12345678\xe2\x28\xa1",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xfe"};
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("text %d", (int)i);
        TEST_CHECK(!nn_utf8_valid((const uint8_t*)bad[i], strlen(bad[i])));
        EACH_WAY(add_text(0x81, bad[i])) expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_BAD_DATA);
        EACH_WAY((add_text(0x01, bad[i]), add_text(0x80, "")))
        expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_BAD_DATA);
        EACH_WAY(add_text(0x82, bad[i])) expect(0, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_BINARY, bad[i]);
    }
}

TEST(test_websocket_accepts_the_ends_of_every_utf8_range)
{
    static const char* const good[] = {"\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xec\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf3\xbf\xbf\xbf",
                                       "\xf4\x8f\xbf\xbf",
                                       ("1234567\xc3\xa4"
                                        "12345678")};
    for (size_t i = 0; i < NN_COUNT(good); i++) {
        EACH_WAY(add_text(0x81, good[i])) expect(0, NN_WEBSOCKET_MESSAGE, NN_WEBSOCKET_TEXT, good[i]);
    }
}

TEST(test_websocket_fails_at_the_first_impossible_byte)
{
    begin(true);
    add_text(0x01, "good");
    add_frame(0x00, "\xce\xba\xf4\x90", 4); /* beyond U+10FFFF from its second byte on; the message is not at its end */
    size_t until = world.input_bytes;
    add_text(0x80, "never read");
    world.input_bytes = until;
    run_with(1, 1000);
    expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_BAD_DATA);
}

/* ---- closing -------------------------------------------------------------------------------------------------------- */

static void add_close(int code, const char* text)
{
    uint8_t payload[125] = {(uint8_t)(code >> 8), (uint8_t)code};
    memcpy(payload + 2, text, strlen(text));
    add_frame(0x88, payload, 2 + strlen(text));
    add_text(0x81, "never read");
}

TEST(test_websocket_reads_close_frames)
{
    EACH_WAY((add_text(0x88, ""), add_text(0x81, "never read")))
    expect_code(0, NN_WEBSOCKET_CLOSED, NN_WEBSOCKET_CODE_NONE);
    EACH_WAY(add_close(1001, "going \xc3\xa4way"))
    {
        expect_code(0, NN_WEBSOCKET_CLOSED, 1001);
        expect(0, NN_WEBSOCKET_CLOSED, NN_WEBSOCKET_CLOSE, "going \xc3\xa4way");
    }
    char longest[124] = "";
    memset(longest, 'x', 123);
    EACH_WAY(add_close(4999, longest)) expect(0, NN_WEBSOCKET_CLOSED, NN_WEBSOCKET_CLOSE, longest);
    EACH_WAY(add_close(1000, "\xce\xba\xed\xa0\x80")) expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_BAD_DATA);
}

TEST(test_websocket_knows_which_close_codes_may_be_sent)
{
    static const int good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999};
    static const int bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < NN_COUNT(good); i++) {
        EACH_WAY(add_close(good[i], "")) expect_code(0, NN_WEBSOCKET_CLOSED, good[i]);
    }
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        EACH_WAY(add_close(bad[i], "")) expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_PROTOCOL);
    }
}

/* ---- limits and memory ---------------------------------------------------------------------------------------------- */

TEST(test_websocket_refuses_a_message_over_the_limit_by_its_header_alone)
{
    static uint8_t data[1001];
    begin(true);
    add_frame(0x82, data, 1000);
    run_with(50, 1000);
    TEST_EQUAL(world.heard[0].kind, NN_WEBSOCKET_MESSAGE);
    begin(true);
    add_frame(0x82, data, 1001);
    world.input_bytes = 8; /* no payload at all */
    run_with(50, 1000);
    expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_TOO_LARGE);
    begin(true);
    add("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14); /* 2^63 - 1 */
    run_with(50, 1000);
    expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_TOO_LARGE);
}

TEST(test_websocket_counts_all_fragments_against_the_limit)
{
    static uint8_t data[600];
    begin(false);
    add_frame(0x02, data, 600);
    add_frame(0x00, data, 400);
    add_frame(0x80, data, 1);
    run_with(64, 1000);
    expect_code(0, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_TOO_LARGE);
}

TEST(test_websocket_takes_memory_only_for_what_has_come)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_websocket websocket;
    nn_websocket_item item;
    uint8_t input[64] = "\x82\x7f\0\0\0\0\x3f\xff\xff\xffonly this";
    uint8_t* at = input;
    nn_alloc_init(&alloc, &allocator);
    nn_websocket_init(&websocket, &alloc, false, 1u << 30);
    TEST_EQUAL(nn_websocket_next(&websocket, &at, input + 19, &item), NN_WEBSOCKET_MORE);
    TEST_AT_MOST(alloc.bytes, 8192);
    nn_websocket_reset(&websocket);
    TEST_EQUAL(alloc.bytes, 0);
}

TEST(test_websocket_takes_no_memory_for_messages_that_come_whole)
{
    begin(true);
    for (int i = 0; i < 20; i++) add_text(0x81, "whole");
    uint64_t before = test_allocation_count();
    run_with(FIXTURE_BYTES_MAX, 1000);
    TEST_EQUAL(world.count, 20);
    TEST_EQUAL(test_allocation_count(), before);
}

TEST(test_websocket_survives_each_failing_allocation)
{
    TEST_EACH_ALLOCATION_FAILS {
        begin(true);
        build_fragments();
        run_with(3, 70000);
        if (test_allocation_failed()) {
            expect_code(world.count - 1, NN_WEBSOCKET_FAILED, NN_WEBSOCKET_CODE_INTERNAL);
        } else {
            TEST_EQUAL(world.count, 5);
        }
    }
}

TEST(test_websocket_never_reads_noise_differently_in_pieces)
{
    TEST_EACH_SEED (seed, 300) {
        struct test_random random = test_random_begin(seed);
        begin(test_random_below(&random, 2) == 0);
        for (int i = 0; i < 6; i++) {
            uint8_t data[40];
            size_t bytes = (size_t)test_random_below(&random, sizeof data);
            test_random_bytes(&random, data, sizeof data);
            if (test_random_below(&random, 2)) memset(data, 'a', sizeof data);
            static const uint8_t firsts[] = {0x81, 0x82, 0x01, 0x00, 0x80, 0x89, 0x8a, 0x02};
            add_frame(firsts[test_random_below(&random, sizeof firsts)], data, bytes);
        }
        world.input[test_random_below(&random, world.input_bytes)] ^= (uint8_t)(1u << test_random_below(&random, 8));
        run_with(FIXTURE_BYTES_MAX, 1000);
        static struct heard whole[FIXTURE_ITEMS_MAX];
        int count = world.count;
        memcpy(whole, world.heard, sizeof whole[0] * (size_t)count);
        run_with(1 + (size_t)test_random_below(&random, 9), 1000);
        TEST_EQUAL(world.count, count);
        for (int i = 0; i < count; i++) {
            TEST_EQUAL(world.heard[i].kind, whole[i].kind);
            TEST_EQUAL(world.heard[i].code, whole[i].code);
            TEST_EQUAL(world.heard[i].sum, whole[i].sum);
        }
    }
}

TEST_MAIN
