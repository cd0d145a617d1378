/* test_fragments - sets of units against a plain array, and what becomes of lost and acknowledged runs. */
#include "nn_fragments.h"
#include "test.h"

static nn_alloc alloc;
static nn_blocks blocks;

static void begin(const struct necpnet_allocator* allocator)
{
    nn_alloc_init(&alloc, allocator);
    nn_blocks_init(&blocks, &alloc);
}

TEST(test_units_agree_with_a_plain_array)
{
    struct necpnet_allocator allocator = test_allocator();
    begin(&allocator);
    TEST_EACH_SEED (seed, 300) {
        struct test_random random = test_random_begin(seed);
        uint32_t units = 1 + (uint32_t)test_random_below(&random, 300);
        bool model[300] = {false};
        nn_units* set = nn_units_create(&blocks, units);
        TEST_CHECK(set);
        for (int step = 0; step < 50; step++) {
            uint32_t first = (uint32_t)test_random_below(&random, units);
            uint32_t count = (uint32_t)test_random_below(&random, units - first + 1);
            bool add = test_random_below(&random, 2) == 0;
            if (add) {
                nn_units_add(set, first, count);
            } else {
                nn_units_remove(set, first, count);
            }
            for (uint32_t i = first; i < first + count; i++) model[i] = add;
            uint32_t members = 0;
            for (uint32_t i = 0; i < units; i++) {
                members += model[i];
                TEST_EQUAL(nn_units_has(set, i), model[i]);
            }
            TEST_EQUAL(set->count, members);
            uint32_t from = (uint32_t)test_random_below(&random, units);
            uint32_t most = 1 + (uint32_t)test_random_below(&random, 100);
            uint32_t at = from;
            while (at < units && !model[at]) at++;
            uint32_t end = at;
            while (end < units && model[end] && end - at < most) end++;
            uint32_t run_first = 0, run_count = 0;
            bool found = nn_units_run(set, from, most, &run_first, &run_count);
            TEST_EQUAL(found, at < units);
            if (found) TEST_EQUAL(run_first, at);
            if (found) TEST_EQUAL(run_count, end - at);
        }
        nn_units_release(&blocks, set);
    }
    nn_blocks_reset(&blocks);
}

TEST(test_fragments_lost_are_done_again_unless_acknowledged)
{
    struct necpnet_allocator allocator = test_allocator();
    begin(&allocator);
    nn_fragments* fragments = nn_fragments_begin(&blocks, 7, 1000); /* 63 units */
    TEST_CHECK(fragments);
    TEST_EQUAL(fragments->unsent->count, 63);
    nn_units_remove(fragments->unsent, 0, 63);
    TEST_CHECK(!nn_fragments_acked(fragments, 10, 20));
    nn_fragments_lost(fragments, 0, 40);
    TEST_EQUAL(fragments->unsent->count, 20); /* 0 .. 9 and 30 .. 39 */
    TEST_CHECK(nn_units_has(fragments->unsent, 9));
    TEST_CHECK(!nn_units_has(fragments->unsent, 10));
    TEST_CHECK(!nn_units_has(fragments->unsent, 29));
    TEST_CHECK(nn_units_has(fragments->unsent, 30));
    TEST_CHECK(!nn_fragments_acked(fragments, 0, 10));
    TEST_CHECK(nn_fragments_acked(fragments, 30, 33));
    TEST_EQUAL(fragments->unsent->count, 0);
    nn_fragments_end(fragments, &blocks);
    nn_blocks_reset(&blocks);
}

TEST(test_fragments_ignore_runs_out_of_range)
{
    struct necpnet_allocator allocator = test_allocator();
    begin(&allocator);
    nn_fragments* fragments = nn_fragments_begin(&blocks, 7, 100); /* 7 units */
    TEST_CHECK(fragments);
    nn_units_remove(fragments->unsent, 0, 7);
    TEST_CHECK(!nn_fragments_acked(fragments, 0, 8));
    TEST_CHECK(!nn_fragments_acked(fragments, 8, 0));
    TEST_CHECK(!nn_fragments_acked(fragments, UINT32_MAX, 2));
    nn_fragments_lost(fragments, 6, 2);
    TEST_EQUAL(fragments->unsent->count, 0);
    TEST_EQUAL(fragments->acked->count, 0);
    nn_fragments_end(fragments, &blocks);
    nn_blocks_reset(&blocks);
}

TEST(test_fragments_begin_leaves_nothing_when_memory_is_out)
{
    struct necpnet_allocator allocator = test_allocator();
    TEST_EACH_ALLOCATION_FAILS {
        begin(&allocator);
        nn_fragments* fragments = nn_fragments_begin(&blocks, 1, 5000);
        TEST_EQUAL(fragments == NULL, test_allocation_failed());
        if (fragments) nn_fragments_end(fragments, &blocks);
        TEST_EQUAL(blocks.live_bytes, 0);
        nn_blocks_reset(&blocks);
    }
}

TEST_MAIN
