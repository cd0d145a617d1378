/* Numbers that wrap, against plain arithmetic on numbers that do not. */
#include "nn_sequence.h"
#include "test.h"

TEST(test_sequence_is_newer_for_half_of_the_circle)
{
    for (uint32_t b = 0; b < 65536; b += 257) {
        for (uint32_t ahead = 0; ahead < 65536; ahead += ahead < 3 || ahead > 32765 ? 1 : 1021) {
            uint16_t a = (uint16_t)(b + ahead);
            TEST_EQUAL(nn_sequence_newer(a, (uint16_t)b), ahead > 0 && ahead < 32768);
            TEST_EQUAL(nn_sequence_distance(a, (uint16_t)b), ahead < 32768 ? (int32_t)ahead : (int32_t)ahead - 65536);
            if (ahead == 32771) ahead = 65530;
        }
    }
}

TEST(test_sequence_expands_to_the_nearest)
{
    /* RFC 9000 A.3: expected 0xa82f30eb, 0x9b32 in 16 bits is 0xa82f9b32 */
    TEST_EQUAL(nn_sequence_expand(UINT64_C(0xa82f30eb), 0x9b32, 16), UINT64_C(0xa82f9b32));
    static const unsigned widths[] = {16, 32};
    struct test_random random = test_random_begin(9);
    for (int w = 0; w < 2; w++) {
        uint64_t half = UINT64_C(1) << (widths[w] - 1);
        uint64_t mask = (half << 1) - 1;
        for (int i = 0; i < 20000; i++) {
            uint64_t expected = test_random_next(&random) >> (2 + test_random_below(&random, 60));
            uint64_t offset = test_random_below(&random, half);
            TEST_EQUAL(nn_sequence_expand(expected, (expected + offset) & mask, widths[w]), expected + offset);
            if (offset && offset <= expected) {
                TEST_EQUAL(nn_sequence_expand(expected, (expected - offset) & mask, widths[w]), expected - offset);
            }
        }
        /* Near zero nothing is below zero. */
        TEST_EQUAL(nn_sequence_expand(0, mask, widths[w]), mask);
        TEST_EQUAL(nn_sequence_expand(1, half + 5, widths[w]), half + 5);
    }
}

TEST_MAIN
