/* test_blocks - message memory: every size gets enough room, blocks come back, nothing is taken in a steady state. */
#include "nn_blocks.h"
#include "test.h"

TEST(test_blocks_hold_every_size)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_blocks blocks;
    nn_alloc_init(&alloc, &allocator);
    nn_blocks_init(&blocks, &alloc);
    static const size_t sizes[] = {1,    63,   64,   65,   1023,  1024,  1025,  1280,   1281,
                                   2048, 2049, 2560, 3000, 65535, 65536, 65537, 1048576};
    for (size_t i = 0; i < NN_COUNT(sizes); i++) {
        uint32_t capacity = 0;
        void* block = nn_blocks_take(&blocks, sizes[i], &capacity);
        TEST_CHECK(block);
        TEST_AT_LEAST(capacity, sizes[i]);
        TEST_AT_MOST(capacity, nn_max_size(sizes[i] + 63, sizes[i] + sizes[i] / 4));
        memset(block, 0xee, sizes[i]);
        TEST_EQUAL(blocks.live_bytes, capacity);
        nn_blocks_give(&blocks, block, capacity);
        TEST_EQUAL(blocks.live_bytes, 0);
    }
    nn_blocks_reset(&blocks);
    TEST_EQUAL(alloc.bytes, 0);
}

TEST(test_blocks_take_nothing_in_a_steady_state)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_blocks blocks;
    nn_alloc_init(&alloc, &allocator);
    nn_blocks_init(&blocks, &alloc);
    uint64_t before = 0;
    for (int round = 0; round < 10; round++) {
        void* held[8];
        uint32_t capacities[8];
        for (size_t i = 0; i < 8; i++) held[i] = nn_blocks_take(&blocks, 100 * (i + 1), &capacities[i]);
        for (size_t i = 0; i < 8; i++) nn_blocks_give(&blocks, held[i], capacities[i]);
        if (round == 0) before = test_allocation_count();
    }
    TEST_EQUAL(test_allocation_count(), before);
    nn_blocks_reset(&blocks);
}

TEST(test_blocks_keep_no_more_than_their_limit)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_blocks blocks;
    nn_alloc_init(&alloc, &allocator);
    nn_blocks_init(&blocks, &alloc);
    void* held[40];
    uint32_t capacity = 0;
    for (size_t i = 0; i < 40; i++) held[i] = nn_blocks_take(&blocks, 65536, &capacity);
    for (size_t i = 0; i < 40; i++) nn_blocks_give(&blocks, held[i], capacity);
    TEST_AT_MOST(blocks.free_bytes, NN_BLOCK_FREE_BYTES_MAX);
    TEST_EQUAL(alloc.bytes, blocks.free_bytes);
    nn_blocks_reset(&blocks);
}

TEST(test_blocks_say_when_memory_is_out)
{
    struct necpnet_allocator allocator = test_allocator();
    TEST_EACH_ALLOCATION_FAILS {
        nn_alloc alloc;
        nn_blocks blocks;
        nn_alloc_init(&alloc, &allocator);
        nn_blocks_init(&blocks, &alloc);
        uint32_t capacity = 0;
        void* block = nn_blocks_take(&blocks, 500, &capacity);
        TEST_EQUAL(block == NULL, test_allocation_failed());
        nn_blocks_give(&blocks, block, capacity);
        nn_blocks_reset(&blocks);
    }
}

TEST_MAIN
