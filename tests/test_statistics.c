/* test_statistics - rates, loss and jitter against plain computation. */
#include "test.h"

#include "nn_statistics.h"

TEST(test_statistics_rate_follows_a_steady_stream)
{
    nn_rate rate;
    memset(&rate, 0, sizeof rate);
    TEST_EQUAL(nn_rate_per_s(&rate, 0, 5), 0);
    const uint64_t began = 77777777;
    uint64_t now = began;
    for (int i = 0; i < 300; i++, now += 10000) {
        nn_rate_add(&rate, 1000, now);
        if (i > 20) TEST_NEAR((double)nn_rate_per_s(&rate, began, now), 100000.0, 12000.0);
    }
    TEST_LESS(nn_rate_per_s(&rate, began, now + 500000), 70000);
    TEST_EQUAL(nn_rate_per_s(&rate, began, now + 1100000), 0);
    nn_rate_add(&rate, 8000, now + 60000000); /* after a long pause the old slots are gone */
    TEST_AT_MOST(nn_rate_per_s(&rate, began, now + 60000000), 8000 * 4 / 3); /* of three slots at least */
}

TEST(test_statistics_rate_saturates)
{
    nn_rate rate;
    memset(&rate, 0, sizeof rate);
    nn_rate_add(&rate, SIZE_MAX / 2, 1000);
    nn_rate_add(&rate, UINT32_MAX, 1000);
    TEST_EQUAL(nn_rate_per_s(&rate, 0, 1000), UINT32_MAX);
}

TEST(test_statistics_loss_counts_the_last_256)
{
    nn_loss loss;
    memset(&loss, 0, sizeof loss);
    TEST_EQUAL(nn_loss_ppm(&loss), 0);
    nn_loss_add(&loss, true);
    nn_loss_add(&loss, false);
    TEST_EQUAL(nn_loss_ppm(&loss), 500000);
    bool history[2000];
    struct test_random random = test_random_begin(test_seed());
    memset(&loss, 0, sizeof loss);
    for (size_t i = 0; i < NN_COUNT(history); i++) {
        history[i] = test_random_below(&random, 10) == 0;
        nn_loss_add(&loss, history[i]);
        uint32_t lost = 0;
        size_t from = i + 1 > 256 ? i + 1 - 256 : 0;
        for (size_t j = from; j <= i; j++) lost += history[j];
        TEST_EQUAL(nn_loss_ppm(&loss), (uint64_t)lost * 1000000 / (i + 1 - from));
    }
}

TEST(test_statistics_jitter_is_that_of_rfc_3550)
{
    nn_jitter jitter;
    double model = 0;
    uint64_t transit_before = 0;
    struct test_random random = test_random_begin(test_seed());
    memset(&jitter, 0, sizeof jitter);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t sent = i * 20000;
        uint64_t transit = 30000 + test_random_below(&random, 5000);
        if (i) {
            double difference =
                transit > transit_before ? (double)(transit - transit_before) : (double)(transit_before - transit);
            model += (difference - model) / 16; /* RFC 3550 A.8 */
        }
        transit_before = transit;
        nn_jitter_add(&jitter, sent + UINT64_C(0xFFFFFFFF00000000), sent + transit); /* epochs differ, and wrap */
        TEST_NEAR((double)nn_jitter_us(&jitter), model, 2.0);
    }
    TEST_NEAR(model, 1666.0, 700.0);
}

TEST_MAIN
