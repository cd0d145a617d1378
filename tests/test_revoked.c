/* test_revoked - aim: what is revoked stays out as long as it could come in, in bounded memory, and whatever is short. */
#include "test.h"

#include "nn_revoked.h"

#define SECOND UINT64_C(1000000)
#define NOW (SECOND * 1000000)

static void id_of(uint8_t id[NN_REVOKED_ID_BYTES], uint32_t number)
{
    memset(id, 0, NN_REVOKED_ID_BYTES);
    for (int i = 0; i < 4; i++) id[12 + i] = (uint8_t)(number >> 8 * i);
}

static void begin(nn_revoked* revoked, nn_alloc* alloc, uint32_t count_max)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(alloc, &allocator);
    nn_revoked_init(revoked, alloc, count_max);
}

TEST(test_revoked_token_is_refused_and_no_other)
{
    nn_alloc alloc;
    nn_revoked revoked;
    uint8_t id[NN_REVOKED_ID_BYTES];
    begin(&revoked, &alloc, 64);
    id_of(id, 7);
    TEST_CHECK(!nn_revoked_has(&revoked, id, 1, NOW));
    nn_revoked_add_token(&revoked, id, NOW);
    TEST_CHECK(nn_revoked_has(&revoked, id, 1, NOW));
    TEST_CHECK(nn_revoked_has(&revoked, id, 1, NOW + SECOND)); /* whenever it says it was issued */
    id_of(id, 8);
    TEST_CHECK(!nn_revoked_has(&revoked, id, 1, NOW));
    nn_revoked_reset(&revoked);
}

TEST(test_revoked_client_is_refused_with_tokens_issued_until_then)
{
    nn_alloc alloc;
    nn_revoked revoked;
    uint8_t id[NN_REVOKED_ID_BYTES];
    begin(&revoked, &alloc, 64);
    id_of(id, 7);
    nn_revoked_add_client(&revoked, 42, NOW);
    TEST_CHECK(nn_revoked_has(&revoked, id, 42, NOW - SECOND));
    TEST_CHECK(nn_revoked_has(&revoked, id, 42, NOW));
    TEST_CHECK(!nn_revoked_has(&revoked, id, 42, NOW + 1));
    TEST_CHECK(!nn_revoked_has(&revoked, id, 43, NOW));
    nn_revoked_add_client(&revoked, 42, NOW + SECOND); /* again, later */
    TEST_CHECK(nn_revoked_has(&revoked, id, 42, NOW + 1));
    TEST_EQUAL(revoked.count, 1);
    nn_revoked_reset(&revoked);
}

TEST(test_revocations_expire_with_what_they_mean)
{
    nn_alloc alloc;
    nn_revoked revoked;
    uint8_t id[NN_REVOKED_ID_BYTES];
    begin(&revoked, &alloc, 64);
    for (uint32_t i = 0; i < 10000; i++) { /* 20 a second: 2,100 are alive in the end, and 64 have room */
        id_of(id, i);
        nn_revoked_add_token(&revoked, id, NOW + i * (NN_REVOKED_KEEP_US / 60));
        TEST_CHECK(nn_revoked_has(&revoked, id, 1, NOW + i * (NN_REVOKED_KEEP_US / 60)));
    }
    TEST_AT_MOST(revoked.count, 64);
    TEST_EQUAL(revoked.floor_us, 0); /* there was always room */
    nn_revoked_reset(&revoked);
}

TEST(test_revocations_beyond_the_limit_refuse_everything_older)
{
    nn_alloc alloc;
    nn_revoked revoked;
    uint8_t id[NN_REVOKED_ID_BYTES], innocent[NN_REVOKED_ID_BYTES];
    begin(&revoked, &alloc, 100);
    for (uint32_t i = 0; i < 500; i++) {
        nn_revoked_add_client(&revoked, i, NOW + i);
        id_of(id, i);
        nn_revoked_add_token(&revoked, id, NOW + i);
        TEST_CHECK(nn_revoked_has(&revoked, id, 9999999, NOW));
        TEST_CHECK(nn_revoked_has(&revoked, id, i, NOW + i));
        TEST_AT_MOST(test_live_bytes(), 128 * sizeof(nn_revocation));
    }
    for (uint32_t i = 0; i < 500; i++) {
        id_of(id, i);
        TEST_CHECK(nn_revoked_has(&revoked, id, 9999999, NOW + i));
    }
    id_of(innocent, 100000);
    TEST_CHECK(nn_revoked_has(&revoked, innocent, 100000, NOW));
    TEST_CHECK(!nn_revoked_has(&revoked, innocent, 100000, NOW + 501)); /* a new token comes in */
    nn_revoked_reset(&revoked);
}

TEST(test_revocation_without_memory_takes_effect_alike)
{
    TEST_EACH_ALLOCATION_FAILS {
        nn_alloc alloc;
        nn_revoked revoked;
        uint8_t id[NN_REVOKED_ID_BYTES];
        begin(&revoked, &alloc, 64);
        for (uint32_t i = 0; i < 40; i++) {
            id_of(id, i);
            nn_revoked_add_token(&revoked, id, NOW);
            TEST_CHECK(nn_revoked_has(&revoked, id, 1, NOW));
        }
        for (uint32_t i = 0; i < 40; i++) {
            id_of(id, i);
            TEST_CHECK(nn_revoked_has(&revoked, id, 1, NOW));
        }
        nn_revoked_reset(&revoked);
    }
}

TEST_MAIN
