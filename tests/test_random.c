/* The seeded generator gives the numbers of its authors, so that a seed replays one history on every machine. */
#include "nn_random.h"
#include "test.h"

TEST(test_random_is_xoshiro256_starstar_seeded_by_splitmix64)
{
    nn_random random = {{1, 2, 3, 4}};
    static const uint64_t outputs[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    for (size_t i = 0; i < 4; i++) TEST_EQUAL(nn_random_u64(&random), outputs[i]);
    nn_random_seed(&random, 1234567);
    static const uint64_t states[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                      UINT64_C(9817491932198370423), UINT64_C(4593380528125082431)};
    for (size_t i = 0; i < 4; i++) TEST_EQUAL(random.state[i], states[i]);
}

TEST(test_random_stays_below_and_meets_its_chance)
{
    nn_random random;
    nn_random_seed(&random, 0);
    int counts[7] = {0};
    int hits = 0;
    TEST_EQUAL(nn_random_below(&random, 0), 0);
    for (int i = 0; i < 70000; i++) {
        uint64_t value = nn_random_below(&random, 7);
        TEST_LESS(value, 7);
        counts[value]++;
        hits += nn_random_chance(&random, 250000);
        TEST_CHECK(!nn_random_chance(&random, 0));
        TEST_CHECK(nn_random_chance(&random, 1000000));
    }
    for (int i = 0; i < 7; i++) TEST_NEAR(counts[i], 10000, 400); /* four standard deviations */
    TEST_NEAR(hits, 17500, 500);
}

TEST_MAIN
