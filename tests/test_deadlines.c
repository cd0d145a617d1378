/* The heap of deadlines against a plain list. */
#include "nn_deadlines.h"
#include "test.h"

#define ITEMS 200

TEST(test_deadlines_come_in_order_whatever_was_set_moved_and_removed)
{
    struct necpnet_allocator allocator = test_allocator();
    TEST_EACH_SEED (seed, 100) {
        nn_alloc alloc;
        nn_deadlines deadlines;
        static nn_deadline items[ITEMS];
        uint64_t times[ITEMS];
        struct test_random random = test_random_begin(seed);
        nn_alloc_init(&alloc, &allocator);
        nn_deadlines_init(&deadlines, &alloc);
        memset(items, 0, sizeof items);
        TEST_EQUAL(nn_deadlines_next(&deadlines), NN_NEVER);
        TEST_CHECK(nn_deadlines_take(&deadlines, NN_NEVER - 1) == NULL);
        TEST_OK(nn_deadlines_reserve(&deadlines, ITEMS));
        for (int i = 0; i < ITEMS; i++) times[i] = NN_NEVER;
        uint64_t now_us = 0;
        for (int step = 0; step < 1500; step++) {
            size_t i = (size_t)test_random_below(&random, ITEMS);
            uint64_t at_us = test_random_below(&random, 4) ? now_us + test_random_below(&random, 50) : NN_NEVER;
            nn_deadlines_set(&deadlines, &items[i], at_us);
            times[i] = at_us;
            TEST_EQUAL(nn_deadlines_at_us(&deadlines, &items[i]), at_us);
            uint64_t least = NN_NEVER;
            for (int k = 0; k < ITEMS; k++) least = nn_min_u64(least, times[k]);
            TEST_EQUAL(nn_deadlines_next(&deadlines), least);
            if (step % 7) continue;
            now_us += test_random_below(&random, 20);
            uint64_t former = 0;
            for (nn_deadline* due; (due = nn_deadlines_take(&deadlines, now_us)) != NULL;) {
                size_t k = (size_t)(due - items);
                TEST_AT_MOST(times[k], now_us);
                TEST_AT_LEAST(times[k], former);
                former = times[k];
                TEST_EQUAL(due->place, 0);
                times[k] = NN_NEVER;
            }
            for (int k = 0; k < ITEMS; k++) TEST_CHECK(times[k] > now_us);
        }
        nn_deadlines_reset(&deadlines);
        TEST_EQUAL(alloc.bytes, 0);
    }
}

TEST(test_deadlines_reserve_fails_without_harm)
{
    struct necpnet_allocator allocator = test_allocator();
    TEST_EACH_ALLOCATION_FAILS {
        nn_alloc alloc;
        nn_deadlines deadlines;
        nn_deadline items[40];
        memset(items, 0, sizeof items);
        nn_alloc_init(&alloc, &allocator);
        nn_deadlines_init(&deadlines, &alloc);
        if (nn_deadlines_reserve(&deadlines, 10) == NECPNET_OK) {
            for (uint32_t i = 0; i < 10; i++) nn_deadlines_set(&deadlines, &items[i], 100 - i);
            necpnet_result result = nn_deadlines_reserve(&deadlines, 40);
            TEST_EQUAL(result, test_allocation_failed() ? NECPNET_ERR_OUT_OF_MEMORY : NECPNET_OK);
            for (uint32_t i = 0; i < 10; i++) TEST_EQUAL_POINTER(nn_deadlines_take(&deadlines, 200), &items[9 - i]);
        } else {
            TEST_CHECK(test_allocation_failed());
        }
        nn_deadlines_reset(&deadlines);
    }
}

TEST_MAIN
