/* test_packet_size - aim: the search finds the largest size that a path takes, gives up where it must, and falls back when
 * large packets stop coming through. Method: the machine against a path of a known size, every probe answered at once. */
#include "test.h"

#include "nn_packet_size.h"

#define SECOND UINT64_C(1000000)

/* Answer probes as a path of path_bytes would, until none is wanted. Returns how many were lost. */
static int search(nn_packet_size* size, uint32_t path_bytes, uint64_t now_us)
{
    int lost = 0;
    for (int i = 0; i < 100; i++) {
        uint32_t bytes = nn_packet_size_wants(size, now_us);
        if (!bytes) return lost;
        TEST_GREATER(bytes, size->bytes);
        TEST_AT_MOST(bytes, size->bytes_max);
        nn_packet_size_sent(size, bytes);
        TEST_EQUAL(nn_packet_size_wants(size, now_us), 0); /* one at a time */
        if (bytes <= path_bytes) {
            nn_packet_size_acked(size, bytes, now_us);
        } else {
            nn_packet_size_lost(size, bytes, now_us);
            lost++;
        }
    }
    TEST_FAIL("the search does not end");
    return lost;
}

TEST(test_packet_size_finds_every_path)
{
    static const uint32_t limits[] = {1201, 1216, 1280, 1472, 9000, 65507};
    for (size_t i = 0; i < NN_COUNT(limits); i++) {
        for (uint32_t path = 1200; path <= 66000; path += path < 1500 ? 1 : 97) {
            nn_packet_size size;
            nn_packet_size_init(&size, limits[i], 0);
            TEST_EQUAL(size.bytes, 1200);
            TEST_EQUAL(nn_packet_size_wants(&size, NN_PACKET_SIZE_FIRST_US - 1), 0);
            int lost = search(&size, path, NN_PACKET_SIZE_FIRST_US);
            uint32_t best = path < limits[i] ? path : limits[i];
            TEST_HINT("limit %u, path %u", (unsigned)limits[i], (unsigned)path);
            TEST_AT_MOST(size.bytes, best);
            TEST_GREATER(size.bytes + NN_PACKET_SIZE_STEP, best);
            TEST_AT_MOST(lost, 15 * (int)NN_PACKET_SIZE_TRIES);
        }
    }
}

TEST(test_packet_size_below_the_base_is_never_probed)
{
    for (uint32_t limit = 64; limit <= 1200; limit += 8) {
        nn_packet_size size;
        nn_packet_size_init(&size, limit, 0);
        TEST_EQUAL(size.bytes, limit);
        TEST_EQUAL(nn_packet_size_wants(&size, SECOND * 10000), 0);
        TEST_EQUAL(size.next_us, NN_NEVER);
        nn_packet_size_black_hole(&size, 0);
        TEST_EQUAL(size.bytes, limit);
        TEST_EQUAL(size.next_us, NN_NEVER);
    }
}

TEST(test_packet_size_tries_thrice_before_it_believes_a_loss)
{
    nn_packet_size size;
    uint64_t now_us = SECOND;
    nn_packet_size_init(&size, 1472, 0);
    uint32_t first = nn_packet_size_wants(&size, now_us);
    for (int i = 0; i < 3; i++) {
        TEST_EQUAL(nn_packet_size_wants(&size, now_us), first);
        nn_packet_size_sent(&size, first);
        nn_packet_size_lost(&size, first, now_us);
        nn_packet_size_lost(&size, first, now_us); /* told twice: a probe timeout, then the loss */
    }
    TEST_NOT_EQUAL(nn_packet_size_wants(&size, now_us), first);
    nn_packet_size_acked(&size, first, now_us); /* it came through after all */
    TEST_EQUAL(size.bytes, first);
    search(&size, 1472, now_us);
    TEST_EQUAL(size.bytes, 1472);
}

TEST(test_packet_size_searches_again_later)
{
    nn_packet_size size;
    nn_packet_size_init(&size, 9000, 0);
    search(&size, 1400, SECOND);
    uint32_t before = size.bytes;
    TEST_EQUAL(size.next_us, SECOND + NN_PACKET_SIZE_RAISE_US);
    search(&size, 9000, SECOND + NN_PACKET_SIZE_RAISE_US - 1);
    TEST_EQUAL(size.bytes, before);
    search(&size, 9000, SECOND + NN_PACKET_SIZE_RAISE_US);
    TEST_EQUAL(size.bytes, 9000);
    TEST_EQUAL(size.next_us, NN_NEVER);
}

TEST(test_packet_size_falls_back_in_a_black_hole_and_comes_back)
{
    nn_packet_size size;
    nn_packet_size_init(&size, 1472, 0);
    search(&size, 1472, SECOND);
    TEST_EQUAL(size.bytes, 1472);
    nn_packet_size_black_hole(&size, SECOND * 2);
    TEST_EQUAL(size.bytes, 1200);
    TEST_EQUAL(nn_packet_size_wants(&size, SECOND * 2), 0);
    search(&size, 1300, SECOND * 2 + NN_PACKET_SIZE_RETRY_US);
    TEST_AT_LEAST(size.bytes, 1285);
    nn_packet_size_begin(&size, SECOND * 100); /* another path */
    TEST_EQUAL(size.bytes, 1200);
    search(&size, 1472, SECOND * 101);
    TEST_EQUAL(size.bytes, 1472);
}

TEST_MAIN
