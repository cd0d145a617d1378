/* Bodies of messages: the same bytes for peers that decompress and for those that do not, and no more memory than the form
 * that is kept needs. */
#include "nn_payload.h"
#include "test.h"

#include "nn_bytes.h"
#include "nn_compress.h"

static nn_alloc alloc;
static nn_blocks blocks;

static void begin(void)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&alloc, &allocator);
    nn_blocks_init(&blocks, &alloc);
}

static void end(void)
{
    nn_blocks_reset(&blocks);
    TEST_EQUAL(alloc.bytes, 0);
}

TEST(test_payload_comes_back_compressed_or_not)
{
    static const size_t sizes[] = {0, 1, 100, 128, 129, 1000, 60000};
    static uint8_t data[60000], again[60100];
    begin();
    for (size_t i = 0; i < NN_COUNT(sizes) * 4; i++) {
        size_t bytes = sizes[i / 4];
        const char* name = i & 1 ? "named" : NULL;
        size_t head = name ? 6 : 0;
        for (size_t at = 0; at < bytes; at++) data[at] = (uint8_t)(at / 50);
        nn_payload* payload = nn_payload_create(&blocks, data, bytes, name, (i & 2) != 0);
        TEST_CHECK(payload != NULL);
        TEST_EQUAL(payload->plain_bytes, bytes);
        TEST_EQUAL(payload->cost, bytes + head);
        nn_payload* plain = nn_payload_plain(payload);
        TEST_CHECK(plain != NULL);
        TEST_EQUAL(plain->bytes, bytes + head);
        TEST_EQUAL_BYTES(nn_payload_data(plain) + head, data, bytes);
        if (payload->flags & NN_CHANNEL_COMPRESSED) {
            nn_reader reader = nn_reader_of(nn_payload_data(payload), payload->bytes);
            TEST_EQUAL(nn_read_varint(&reader), bytes + head);
            TEST_CHECK(nn_decompress(reader.at, nn_reader_left(&reader), again, bytes + head));
            TEST_EQUAL_BYTES(again + head, data, bytes);
        }
        nn_payload_release(payload);
    }
    end();
}

/* A queue's limit counts bytes as they go over the wire: a thousand messages of 44 bytes that were 8,000 must not hold
 * eight megabytes. */
TEST(test_payload_compressed_holds_the_memory_of_its_compressed_form)
{
    static const uint8_t zeroes[8000];
    nn_payload* payloads[100];
    begin();
    for (int i = 0; i < 100; i++) {
        payloads[i] = nn_payload_create(&blocks, zeroes, sizeof zeroes, NULL, true);
        TEST_CHECK(payloads[i] != NULL);
    }
    if (!(payloads[0]->flags & NN_CHANNEL_COMPRESSED)) {
        for (int i = 0; i < 100; i++) nn_payload_release(payloads[i]);
        end();
        TEST_SKIP("built without LZ4");
    }
    TEST_AT_MOST(alloc.bytes, 100000);
    for (int i = 0; i < 100; i++) nn_payload_release(payloads[i]);
    end();
}

TEST(test_payload_survives_failing_allocations)
{
    static const uint8_t zeroes[3000];
    TEST_EACH_ALLOCATION_FAILS {
        begin();
        nn_payload* payload = nn_payload_create(&blocks, zeroes, sizeof zeroes, "name", true);
        if (payload) {
            TEST_EQUAL(payload->plain_bytes, sizeof zeroes);
            nn_payload* plain = nn_payload_plain(payload);
            if (plain) TEST_EQUAL(plain->bytes, sizeof zeroes + 5);
        } else {
            TEST_CHECK(test_allocation_failed());
        }
        nn_payload_release(payload);
        nn_blocks_reset(&blocks);
    }
}

TEST_MAIN
