/* test_clock_sync - server time from PING and PONG over simulated paths with queues, drift and asymmetry. */
#include "test.h"

#include "nn_clock_sync.h"

typedef struct clock_path {
    struct test_random random;
    uint64_t base_us;  /* one way */
    uint64_t queue_us; /* at most, at random, each way */
    int64_t offset_us; /* server minus client at time 0 */
    int64_t drift_ppm; /* server's clock against the client's */
} clock_path;

static uint64_t clock_server_time(const clock_path* path, uint64_t now_us)
{
    return (uint64_t)((int64_t)now_us + path->offset_us + (int64_t)now_us / 1000000 * path->drift_ppm);
}

/* One PING at now; returns when the PONG came. */
static uint64_t clock_exchange(nn_clock_sync* clock, clock_path* path, uint64_t now_us)
{
    uint64_t there = now_us + path->base_us + test_random_below(&path->random, path->queue_us + 1);
    uint64_t hold = test_random_below(&path->random, 3000);
    uint64_t back = there + hold + path->base_us + test_random_below(&path->random, path->queue_us + 1);
    TEST_CHECK(nn_clock_sync_add(clock, now_us, clock_server_time(path, there), hold, back));
    return back;
}

static int64_t clock_error(const nn_clock_sync* clock, const clock_path* path, uint64_t now_us)
{
    return (int64_t)(nn_clock_sync_server_us(clock, now_us) - clock_server_time(path, now_us));
}

TEST(test_clock_sync_is_exact_without_queues)
{
    nn_clock_sync clock;
    nn_clock_sync_init(&clock);
    TEST_CHECK(!nn_clock_sync_is_ready(&clock));
    TEST_EQUAL(nn_clock_sync_error_us(&clock, 5), UINT32_MAX);
    /* RFC 5905: sent 1000, received 501500 there, held 200, back at 2200: round trip 1000, offset 500000. */
    TEST_CHECK(nn_clock_sync_add(&clock, 1000, 501500, 200, 2200));
    TEST_EQUAL(nn_clock_sync_offset_us(&clock, 2200), 500000);
    TEST_EQUAL(nn_clock_sync_server_us(&clock, 3000), 503000);
    TEST_EQUAL(nn_clock_sync_error_us(&clock, 2200), 500);
}

TEST(test_clock_sync_stays_within_5_ms_on_symmetric_paths)
{
    TEST_EACH_SEED (seed, 50) {
        nn_clock_sync clock;
        clock_path path = {test_random_begin(seed), 0, 0, 0, 0};
        path.base_us = test_random_below(&path.random, 80000);
        path.queue_us = test_random_below(&path.random, 8000);
        path.offset_us = (int64_t)test_random_below(&path.random, 2000000000) - 1000;
        path.drift_ppm = (int64_t)test_random_below(&path.random, 101) - 50;
        nn_clock_sync_init(&clock);
        uint64_t now = 2000000;
        uint64_t server_before = 0;
        for (int i = 0; i < 200; i++) {
            uint64_t sent = now;
            now = clock_exchange(&clock, &path, now);
            if (i >= 8) {
                int64_t error = clock_error(&clock, &path, now);
                TEST_LESS(error, 5000);
                TEST_GREATER(error, -5000);
                TEST_AT_MOST(error < 0 ? -error : error, nn_clock_sync_error_us(&clock, now) + 1200);
                TEST_GREATER(nn_clock_sync_server_us(&clock, now), server_before); /* never backwards */
            }
            server_before = nn_clock_sync_server_us(&clock, now);
            now = nn_max_u64(now + 1, sent + nn_clock_sync_interval_us(&clock));
            uint64_t server = nn_clock_sync_server_us(&clock, now);
            TEST_AT_LEAST(server, server_before);
            server_before = server;
        }
    }
}

TEST(test_clock_sync_prefers_the_quickest_of_noisy_samples)
{
    nn_clock_sync clock;
    nn_clock_sync_init(&clock);
    uint64_t now = 1000000;
    for (int i = 0; i < 7; i++) {
        bool quick = i == 3;
        uint64_t there = quick ? 10000 : 60000; /* the way there is held up, the way back is not */
        TEST_CHECK(nn_clock_sync_add(&clock, now, now + there + 777000, 0, now + there + 10000));
        now += 100000;
    }
    TEST_EQUAL(clock.best_rtt_us, 20000);
    TEST_EQUAL(clock.target_us, 777000);
}

TEST(test_clock_sync_slews_small_changes_and_steps_large_ones)
{
    nn_clock_sync clock;
    nn_clock_sync_init(&clock);
    TEST_CHECK(nn_clock_sync_add(&clock, 1000000, 2010000, 0, 1020000));
    TEST_EQUAL(nn_clock_sync_offset_us(&clock, 1020000), 1000000);
    TEST_CHECK(nn_clock_sync_add(&clock, 1100000, 2104900, 0, 1110000)); /* offset 999,900 with 10 ms round trip */
    TEST_EQUAL(clock.target_us, 999900);
    TEST_EQUAL(nn_clock_sync_offset_us(&clock, 1110000), 1000000);
    TEST_EQUAL(nn_clock_sync_offset_us(&clock, 1112500), 999950); /* 2 % of 2500 us */
    TEST_EQUAL(nn_clock_sync_offset_us(&clock, 1200000), 999900);
    TEST_CHECK(nn_clock_sync_add(&clock, 1200000, 3202500, 0, 1205000)); /* the server's clock was set */
    TEST_EQUAL(nn_clock_sync_offset_us(&clock, 1205000), 2000000);
}

TEST(test_clock_sync_ignores_impossible_samples)
{
    nn_clock_sync clock;
    nn_clock_sync_init(&clock);
    TEST_CHECK(!nn_clock_sync_add(&clock, 2000, 5, 0, 1999));
    TEST_CHECK(!nn_clock_sync_add(&clock, 1000, 5, 1001, 2000)); /* held longer than it was away */
    TEST_CHECK(!nn_clock_sync_add(&clock, 1000, UINT64_MAX, 0, 2000));
    TEST_CHECK(!nn_clock_sync_add(&clock, 0, 5, 0, 40000000));
    TEST_CHECK(!nn_clock_sync_is_ready(&clock));
    TEST_EQUAL(nn_clock_sync_interval_us(&clock), NN_CLOCK_SYNC_FAST_US);
}

TEST_MAIN
