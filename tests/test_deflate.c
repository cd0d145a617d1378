/* test_deflate - messages through zlib in the form of RFC 7692 7.2: the examples of the RFC byte for byte, contexts and
 * windows, what is no DEFLATE, output in pieces of every size, and memory. */
#include "test.h"

#include "nn_deflate.h"

#define MESSAGE_BYTES 20000

static uint8_t message[MESSAGE_BYTES];
static uint8_t wire[MESSAGE_BYTES + 1000];
static uint8_t back[MESSAGE_BYTES + 1000];
static struct necpnet_allocator allocator;
static nn_alloc alloc;

#define NEEDS_ZLIB() \
    do { \
        if (!nn_deflate_is_built()) TEST_SKIP("built without zlib"); \
        allocator = test_allocator(); \
        nn_alloc_init(&alloc, &allocator); \
    } while (0)

/* Text-like: words of a small vocabulary. */
static void fill_message(size_t bytes, uint64_t seed)
{
    static const char* const words[] = {"position", "velocity", "player", "{\"x\":", "}, ", "12.5", "room", "\n"};
    struct test_random random = test_random_begin(seed);
    for (size_t at = 0; at < bytes;) {
        const char* word = words[test_random_below(&random, NN_COUNT(words))];
        for (; *word && at < bytes; word++) message[at++] = (uint8_t)*word;
    }
}

/* Read a message with room for so many bytes at a time; -1: refused. */
static long read_message(nn_inflater* inflater, const void* data, size_t bytes, bool keep, size_t piece)
{
    size_t total = 0;
    nn_inflater_begin(inflater, (const uint8_t*)data, bytes, keep);
    for (;;) {
        size_t written = 0;
        TEST_AT_MOST(total + piece, sizeof back);
        nn_inflate_kind kind = nn_inflater_read(inflater, back + total, piece, &written);
        total += written;
        if (kind == NN_INFLATE_WHOLE) return (long)total;
        if (kind != NN_INFLATE_FULL) return -1;
        TEST_EQUAL(written, piece);
    }
}

static void expect_text(nn_inflater* inflater, const void* data, size_t bytes, bool keep, const char* text)
{
    for (size_t piece = keep ? 100 : 1; piece <= 100; piece += 33) {
        TEST_EQUAL(read_message(inflater, data, bytes, keep, piece), (long)strlen(text));
        TEST_EQUAL_BYTES(back, text, strlen(text));
    }
}

/* ---- ordinary ------------------------------------------------------------------------------------------------------- */

TEST(test_deflate_reads_the_examples_of_the_rfc)
{
    NEEDS_ZLIB();
    nn_inflater* inflater = nn_inflater_create(&alloc, 15);
    expect_text(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, false, "Hello");                  /* 7.2.3.1 */
    expect_text(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, true, "Hello");                   /* 7.2.3.2 */
    expect_text(inflater, "\xf2\x00\x11\x00\x00", 5, true, "Hello");                           /* with its window */
    expect_text(inflater, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, false, "Hello"); /* 7.2.3.3 */
    expect_text(inflater, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, false, "Hello");              /* 7.2.3.4: BFINAL */
    expect_text(inflater, "\xf2\x00\x11\x00\x00", 5, true, "Hello"); /* ... keeps the window */
    expect_text(inflater, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, false, "Hello"); /* 7.2.3.5 */
    expect_text(inflater, "\x00", 1, false, "");                                                       /* 7.2.3.6 */
    expect_text(inflater, "\x03\x00\x00", 3, false, "");
    nn_inflater_destroy(inflater);
}

TEST(test_deflate_reads_what_it_writes_for_every_window)
{
    NEEDS_ZLIB();
    static const size_t lengths[] = {1, 2, 5, 100, 511, 513, 4096, MESSAGE_BYTES};
    for (int bits = NN_DEFLATE_BITS_MIN; bits <= NN_DEFLATE_BITS_MAX; bits++) {
        for (int keep = 0; keep < 2; keep++) {
            nn_deflater* deflater = nn_deflater_create(&alloc, 1 + bits % 9, bits, bits - 7);
            nn_inflater* inflater = nn_inflater_create(&alloc, bits); /* no larger than the writer's */
            for (size_t i = 0; i < NN_COUNT(lengths); i++) {
                fill_message(lengths[i], i);
                size_t bytes = nn_deflater_write(deflater, message, lengths[i], keep, wire, sizeof wire);
                TEST_GREATER(bytes, 0);
                TEST_EQUAL(read_message(inflater, wire, bytes, keep, 777), (long)lengths[i]);
                TEST_EQUAL_BYTES(back, message, lengths[i]);
            }
            nn_deflater_destroy(deflater);
            nn_inflater_destroy(inflater);
        }
    }
}

TEST(test_deflate_context_makes_alike_messages_small)
{
    NEEDS_ZLIB();
    nn_deflater* deflater = nn_deflater_create(&alloc, 3, 12, 5);
    fill_message(300, 1);
    size_t alone = nn_deflater_write(deflater, message, 300, false, wire, sizeof wire);
    TEST_EQUAL(nn_deflater_write(deflater, message, 300, true, wire, sizeof wire), alone);
    TEST_LESS(nn_deflater_write(deflater, message, 300, true, wire, sizeof wire), alone / 4);
    TEST_AT_MOST(alloc.bytes, (1u << 14) + (1u << 14) + 6200);
    nn_deflater_destroy(deflater);
}

/* ---- boundary ------------------------------------------------------------------------------------------------------- */

TEST(test_deflate_gives_up_when_it_does_not_fit)
{
    NEEDS_ZLIB();
    struct test_random random = test_random_begin(3);
    nn_deflater* deflater = nn_deflater_create(&alloc, 6, 15, 8);
    nn_inflater* inflater = nn_inflater_create(&alloc, 15);
    test_random_bytes(&random, message, 1000);
    TEST_EQUAL(nn_deflater_write(deflater, message, 1000, true, wire, 1000), 0);
    fill_message(1000, 1); /* what follows refers to nothing of it */
    size_t bytes = nn_deflater_write(deflater, message, 1000, true, wire, 1000);
    TEST_GREATER(bytes, 0);
    TEST_EQUAL(read_message(inflater, wire, bytes, true, sizeof back), 1000);
    size_t again = nn_deflater_write(deflater, message, 1000, false, wire, sizeof wire);
    for (size_t room = 0; room < again + 4; room++) { /* 4: the tail that is cut off */
        TEST_EQUAL(nn_deflater_write(deflater, message, 1000, false, wire, room), 0);
    }
    TEST_GREATER(nn_deflater_write(deflater, message, 1000, false, wire, bytes + 5), 0);
    nn_deflater_destroy(deflater);
    nn_inflater_destroy(inflater);
}

TEST(test_deflate_hands_out_a_message_in_pieces)
{
    NEEDS_ZLIB();
    nn_deflater* deflater = nn_deflater_create(&alloc, 9, 15, 8);
    nn_inflater* inflater = nn_inflater_create(&alloc, 15);
    memset(message, 'a', 3000);
    size_t bytes = nn_deflater_write(deflater, message, 3000, false, wire, sizeof wire);
    TEST_LESS(bytes, 30);
    for (size_t piece = 1; piece < 4000; piece += piece < 20 ? 1 : 331) {
        TEST_EQUAL(read_message(inflater, wire, bytes, false, piece), 3000);
        TEST_EQUAL_BYTES(back, message, 3000);
    }
    nn_deflater_destroy(deflater);
    nn_inflater_destroy(inflater);
}

/* ---- hostile -------------------------------------------------------------------------------------------------------- */

TEST(test_deflate_refuses_what_is_no_deflate)
{
    NEEDS_ZLIB();
    nn_inflater* inflater = nn_inflater_create(&alloc, 15);
    static const struct {
        const char* data;
        size_t bytes;
    } bad[] = {
        {"\xff\xff\xff", 3},                         /* block type 3 */
        {"\xf2\x48\xcd", 3},                         /* ends within a block */
        {"\x00\x05\x00\xfa\xff\x48\x65", 7},         /* ends within a stored block */
        {"\x00\x05\x00\x00\x00\x48\x65\x6c\x6c", 9}, /* length and complement differ */
        {"\xf2\x00\x11\x00\x00", 5},                 /* refers to what was never there */
        {"\xf2\x48\xcd\xc9\xc9\x07", 6},             /* without its empty block */
    };
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("case %zu", i);
        TEST_EQUAL(read_message(inflater, bad[i].data, bad[i].bytes, false, 1000), -1);
        expect_text(inflater, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, false, "Hello"); /* the next one is read well */
    }
    nn_inflater_destroy(inflater);
    inflater = nn_inflater_create(&alloc, 9);
    nn_deflater* deflater = nn_deflater_create(&alloc, 9, 15, 8);
    struct test_random random = test_random_begin(8);
    test_random_bytes(&random, message, 2000);
    memcpy(message + 2000, message, 2000);
    size_t bytes = nn_deflater_write(deflater, message, 4000, false, wire, sizeof wire);
    TEST_LESS(bytes, 2300);
    TEST_EQUAL(read_message(inflater, wire, bytes, false, 1000), -1); /* reaches back beyond the agreed window */
    nn_deflater_destroy(deflater);
    nn_inflater_destroy(inflater);
}

TEST(test_deflate_survives_random_bytes)
{
    NEEDS_ZLIB();
    nn_inflater* inflater = nn_inflater_create(&alloc, 10);
    TEST_EACH_SEED (seed, 300) {
        struct test_random random = test_random_begin(seed);
        size_t bytes = (size_t)test_random_below(&random, 300);
        size_t written = 0;
        test_random_bytes(&random, wire, bytes);
        nn_inflater_begin(inflater, wire, bytes, seed & 1);
        for (int i = 0; i < 100; i++) {
            size_t piece = 1 + (size_t)test_random_below(&random, 500);
            if (nn_inflater_read(inflater, back, piece, &written) != NN_INFLATE_FULL) break;
            TEST_EQUAL(written, piece);
        }
    }
    nn_inflater_destroy(inflater);
}

/* ---- exhaustion ----------------------------------------------------------------------------------------------------- */

TEST(test_deflate_reports_every_failed_allocation)
{
    NEEDS_ZLIB();
    fill_message(2000, 4);
    TEST_EACH_ALLOCATION_FAILS {
        allocator = test_allocator();
        nn_alloc_init(&alloc, &allocator);
        nn_deflater* deflater = nn_deflater_create(&alloc, 3, 12, 5);
        nn_inflater* inflater = nn_inflater_create(&alloc, 12);
        if (deflater && inflater) {
            size_t bytes = nn_deflater_write(deflater, message, 2000, true, wire, sizeof wire);
            long read = read_message(inflater, wire, bytes, true, 1500);
            TEST_CHECK(read == 2000 || (read == -1 && test_allocation_failed()));
        }
        nn_deflater_destroy(deflater);
        nn_inflater_destroy(inflater);
        TEST_EQUAL(alloc.bytes, 0);
    }
}

TEST_MAIN
