/* test_user_ids - numbers of an engine against an array: found, doubled, changed, removed, without memory. */
#include "test.h"

#include "nn_user_ids.h"

#define ENTITIES 300

TEST(test_user_ids_are_found_as_in_a_list)
{
    TEST_EACH_SEED (seed, 50) {
        struct test_random random = test_random_begin(seed);
        necpnet_allocator allocator = test_allocator();
        nn_alloc alloc;
        nn_user_ids ids;
        uint64_t slots[ENTITIES + 1];
        memset(slots, 0, sizeof slots);
        nn_alloc_init(&alloc, &allocator);
        nn_user_ids_init(&ids, &alloc);
        uint64_t apart = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 64 : UINT64_C(0x9e3779b97f4a7c15);
        for (int i = 0; i < 3000; i++) {
            size_t at = 1 + (size_t)test_random_below(&random, ENTITIES);
            uint64_t id = test_random_below(&random, 3) ? (1 + test_random_below(&random, 400)) * apart : 0;
            bool taken = false;
            for (size_t k = 1; k <= ENTITIES; k++) taken = taken || (id && k != at && slots[k] == id);
            TEST_EQUAL(nn_user_ids_change(&ids, (necpnet_entity)at, &slots[at], id),
                       taken ? NECPNET_ERR_ALREADY_EXISTS : NECPNET_OK);
            if (!taken) TEST_CHECK(slots[at] == id);
        }
        uint32_t count = 0;
        for (size_t k = 1; k <= ENTITIES; k++) {
            count += slots[k] != 0;
            if (slots[k]) TEST_EQUAL(nn_user_ids_find(&ids, slots[k]), k);
        }
        TEST_EQUAL(ids.count, count);
        TEST_EQUAL(nn_user_ids_find(&ids, 401 * apart), NECPNET_ENTITY_NONE);
        TEST_EQUAL(nn_user_ids_find(&ids, 0), NECPNET_ENTITY_NONE);
        nn_user_ids_reset(&ids);
    }
}

TEST(test_user_ids_without_memory_are_as_before)
{
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_allocator allocator = test_allocator();
        nn_alloc alloc;
        nn_user_ids ids;
        uint64_t slots[201];
        memset(slots, 0, sizeof slots);
        nn_alloc_init(&alloc, &allocator);
        nn_user_ids_init(&ids, &alloc);
        for (uint32_t k = 1; k <= 200; k++) {
            necpnet_result result = nn_user_ids_change(&ids, k, &slots[k], k * UINT64_C(1000003));
            TEST_EQUAL(nn_user_ids_find(&ids, k * UINT64_C(1000003)), result ? NECPNET_ENTITY_NONE : k);
        }
        nn_user_ids_reset(&ids);
    }
}

TEST_MAIN
