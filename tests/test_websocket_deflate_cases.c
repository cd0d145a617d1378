/* test_websocket_deflate_cases - sections 12 and 13 of the public WebSocket conformance suite by their numbers:
 * permessage-deflate with messages of ten sizes, whole and in fragments, five kinds of content, and every agreement about
 * context and windows. Our server and our client, as echoes, against a peer that the test plays: it keeps to what was
 * agreed, and holds the side under test to it by a window that is no larger than agreed. */
#include "test.h"

#include "kit_web.h"

#include "kit_frames.h"
#include "nn_deflate.h"

#define MESSAGES 4 /* the suite sends 1,000 of each */

static struct {
    struct necpnet_allocator allocator;
    nn_alloc alloc;
    nn_deflater* deflater;
    nn_inflater* inflater;
    bool send_context;    /* of the peer */
    bool receive_context; /* of the side under test */
    int receive_bits;
    int deflated; /* answers that came compressed */
} peer;

static uint8_t message[131072];
static uint8_t wire[140000];
static uint8_t back[140000];

/* Section 12's contents: 1 structured text, 2 prose, 3 binary with patterns, 4 random, 5 mixed. */
static void fill(int kind, size_t bytes, int seed)
{
    static const char* const words[] = {
        "{\"lang\":\"de\",", "\"text\":\"", "the ", "quick ", "fox ", "},", "und ", "0.25,"};
    struct test_random random = test_random_begin((uint64_t)(kind * 1000 + seed));
    for (size_t at = 0; at < bytes;) {
        const char* word = words[test_random_below(&random, NN_COUNT(words))];
        bool wild = kind == 4 || (kind == 5 && test_random_below(&random, 4) == 0);
        if (kind == 3) {
            message[at] = (uint8_t)(at * 31 >> 4);
            at++;
        } else if (wild) {
            message[at++] = (uint8_t)(test_random_next(&random) & 0x7f);
        } else {
            for (; *word && at < bytes; word++) message[at++] = (uint8_t)*word;
        }
    }
}

/* A case: what the peer offers or chooses, and what must hold then. */
static void deflate_begin(bool tests_server, const necpnet_web_deflate* deflate, const char* extensions)
{
    frames.deflate = *deflate;
    frames.extensions = extensions;
    frames_begin(tests_server, 0);
    const nn_extension_deflate* agreed = &frames.tested->connection->extra->compression;
    TEST_CHECK(agreed->agreed);
    peer.allocator = test_allocator();
    nn_alloc_init(&peer.alloc, &peer.allocator);
    peer.send_context = agreed->receive_context;
    peer.receive_context = agreed->send_context;
    peer.receive_bits = agreed->send_bits;
    int bits = agreed->receive_bits < 9 ? 9 : agreed->receive_bits;
    peer.deflater = nn_deflater_create(&peer.alloc, 6, bits, 8);
    peer.inflater = nn_inflater_create(&peer.alloc, peer.receive_bits);
    peer.deflated = 0;
}

static void deflate_end(void)
{
    nn_deflater_destroy(peer.deflater);
    nn_inflater_destroy(peer.inflater);
    frames_end();
    memset(&frames.deflate, 0, sizeof frames.deflate);
    frames.extensions = NULL;
}

/* The peer says the message compressed, in frames of so many bytes. */
static void say_message(uint8_t opcode, size_t bytes, size_t fragment)
{
    size_t wire_bytes = nn_deflater_write(peer.deflater, message, bytes, peer.send_context, wire, sizeof wire);
    TEST_GREATER(wire_bytes, 0);
    for (size_t from = 0; from < wire_bytes; from += fragment) {
        size_t part = wire_bytes - from < fragment ? wire_bytes - from : fragment;
        uint8_t first = (uint8_t)(from ? 0 : 0x40 | opcode);
        frames_add(from + part == wire_bytes ? first | 0x80 : first, wire + from, part);
    }
    frames_run();
}

static void expect_echo(uint8_t opcode, size_t bytes)
{
    size_t at = 0;
    size_t total = 0;
    frames_heard frame = {0, NULL, 0};
    TEST_CHECK(frames_next(&at, &frame));
    TEST_EQUAL(frame.first & 0xbf, 0x80 | opcode);
    if (frame.first & 0x40) {
        nn_inflater_begin(peer.inflater, frame.data, frame.bytes, peer.receive_context);
        TEST_EQUAL(nn_inflater_read(peer.inflater, back, sizeof back, &total), NN_INFLATE_WHOLE);
        peer.deflated++;
    } else {
        total = frame.bytes;
        memcpy(back, frame.data, total);
    }
    TEST_EQUAL(total, bytes);
    TEST_CHECK(memcmp(back, message, bytes) == 0);
    TEST_EQUAL(at, frames.heard_bytes);
    frames.heard_bytes = 0;
}

/* The suite's 18 sizes: ten whole, eight in fragments. */
static void run_sizes(int kind, int sizes)
{
    static const struct {
        size_t bytes, fragment;
    } cases[18] = {{16, 0},      {64, 0},      {256, 0},      {1024, 0},     {4096, 0},      {8192, 0},
                   {16384, 0},   {32768, 0},   {65536, 0},    {131072, 0},   {8192, 256},    {16384, 256},
                   {32768, 256}, {65536, 256}, {131072, 256}, {16384, 1000}, {131072, 1000}, {131072, 131072}};
    for (int i = 0; i < sizes; i++) {
        TEST_HINT("x.%d: %zu bytes in fragments of %zu", i + 1, cases[i].bytes, cases[i].fragment);
        for (int j = 0; j < MESSAGES; j++) {
            uint8_t opcode = kind == 3 ? 2 : 1;
            fill(kind, cases[i].bytes, i * MESSAGES + j % 3);
            say_message(opcode, cases[i].bytes, cases[i].fragment ? cases[i].fragment : sizeof wire);
            expect_echo(opcode, cases[i].bytes);
        }
    }
}

#define NEEDS_ZLIB() \
    if (!nn_deflate_is_built()) TEST_SKIP("built without zlib")

#define D "permessage-deflate"

static const necpnet_web_deflate shared = {true, false, false, false, 15, 15, 3, 16};
static const necpnet_web_deflate context = {true, false, true, true, 15, 15, 3, 16};

TEST(test_websocket_case_12_every_content_and_size_is_echoed)
{
    NEEDS_ZLIB();
    for (int kind = 1; kind <= 5; kind++) { /* 12.1.x .. 12.5.x */
        deflate_begin(true, kind % 2 ? &shared : &context, D "; client_max_window_bits");
        run_sizes(kind, 18);
        if (kind != 4) TEST_GREATER(peer.deflated, 12 * MESSAGES); /* what is random does not get smaller */
        deflate_end();
        deflate_begin(false, kind % 2 ? &context : &shared,
                      kind % 2 ? D : D "; server_no_context_takeover; client_no_context_takeover");
        run_sizes(kind, 18);
        deflate_end();
    }
}

TEST(test_websocket_case_13_a_server_keeps_what_it_agreed_to)
{
    NEEDS_ZLIB();
    static const struct {
        const char* offer;
        bool context; /* that the server may keep, if it is told to keep one */
        int bits;
    } cases[] = {
        {D "; client_no_context_takeover; client_max_window_bits", true, 15},                             /* 13.1 */
        {D "; client_max_window_bits; server_no_context_takeover", false, 15},                            /* 13.2 */
        {D "; client_max_window_bits; server_max_window_bits=9", true, 9},                                /* 13.3 */
        {D "; client_max_window_bits; server_max_window_bits=15", true, 15},                              /* 13.4 */
        {D "; client_max_window_bits; server_no_context_takeover; server_max_window_bits=9", false, 9},   /* 13.5 */
        {D "; client_max_window_bits; server_no_context_takeover; server_max_window_bits=15", false, 15}, /* 13.6 */
        {D "; server_no_context_takeover; server_max_window_bits=9, " D "; server_no_context_takeover, " D, false,
         9}, /* 13.7 */
    };
    for (size_t i = 0; i < NN_COUNT(cases) * 2; i++) {
        deflate_begin(true, i % 2 ? &context : &shared, cases[i / 2].offer);
        TEST_EQUAL(peer.receive_context, i % 2 && cases[i / 2].context);
        TEST_EQUAL(peer.receive_bits, cases[i / 2].bits);
        run_sizes(1, 10);
        TEST_GREATER(peer.deflated, 0);
        deflate_end();
    }
}

TEST(test_websocket_case_13_a_client_keeps_what_the_server_chose)
{
    NEEDS_ZLIB();
    static const struct {
        const char* choice;
        bool context;
        int bits;
    } cases[] = {
        {D, true, 15},                                                           /* 13.1 */
        {D "; client_no_context_takeover", false, 15},                           /* 13.2 */
        {D "; client_max_window_bits=9", true, 9},                               /* 13.3 */
        {D "; client_max_window_bits=15", true, 15},                             /* 13.4 */
        {D "; client_no_context_takeover; client_max_window_bits=9", false, 9},  /* 13.5 */
        {D "; client_no_context_takeover; client_max_window_bits=15", false, 15} /* 13.6, 13.7 */
    };
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        deflate_begin(false, &context, cases[i].choice);
        TEST_EQUAL(peer.receive_context, cases[i].context);
        TEST_EQUAL(peer.receive_bits, cases[i].bits);
        run_sizes(1, 10);
        TEST_GREATER(peer.deflated, 0);
        deflate_end();
    }
}

TEST_MAIN
