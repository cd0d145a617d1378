/* server_history - figures over time: every answer against a plain copy of the samples. */
#include "test.h"

#include "history.h"

#define MINUTE 60
#define SERIES 5
#define SECONDS 4000

typedef struct plain {
    uint64_t seconds[SECONDS];
    uint64_t values[SECONDS][SERIES];
    int count;
} plain;

static plain known;

static const history_kind kinds[SERIES] = {HISTORY_COUNTER, HISTORY_GAUGE, HISTORY_COUNTER, HISTORY_GAUGE,
                                           HISTORY_GAUGE};

static history* make(uint32_t minutes, int series)
{
    history* at = history_create(minutes);
    TEST_CHECK(at != NULL);
    for (int i = 0; i < series; i++) TEST_EQUAL(history_series(at, kinds[i]), i);
    known.count = 0;
    return at;
}

static void add(history* at, uint64_t second, const uint64_t* values)
{
    TEST_CHECK(history_add(at, second, values));
    known.seconds[known.count] = second;
    memcpy(known.values[known.count], values, sizeof(known.values[0]));
    known.count++;
}

static void make_values(struct test_random* random, uint64_t* values)
{
    values[0] = test_random_below(random, 100000);
    values[1] = 500 + test_random_below(random, 20);
    values[2] = test_random_below(random, 50) == 0 ? UINT64_MAX >> test_random_below(random, 64) : 0;
    values[3] = test_random_below(random, 1 + test_random_below(random, UINT64_MAX - 1));
    values[4] = 7;
}

static history_span plain_span(int series, uint64_t first, uint64_t end)
{
    history_span span = {0, 0, 0, 0};
    for (int i = 0; i < known.count; i++) {
        if (known.seconds[i] < first || known.seconds[i] >= end) continue;
        uint64_t value = known.values[i][series];
        span.sum += value;
        if (kinds[series] == HISTORY_GAUGE) {
            if (!span.samples || value < span.min) span.min = value;
            if (value > span.max) span.max = value;
        }
        span.samples++;
    }
    return span;
}

static void expect_equal(const history* at, uint64_t first, uint32_t span_seconds, size_t count)
{
    static const int order[SERIES] = {3, 0, 4, 1, 2};
    history_span all[SERIES * 50];
    TEST_CHECK(count <= 50);
    TEST_CHECK(history_read(at, order, SERIES, first, span_seconds, all, count));
    for (int place = 0; place < SERIES; place++) {
        int series = order[place];
        const history_span* spans = &all[(size_t)place * count];
        for (size_t i = 0; i < count; i++) {
            uint64_t begins = first + i * span_seconds;
            history_span right = plain_span(series, begins, begins + span_seconds);
            TEST_HINT("series %d, span %zu of %u seconds from %llu", series, i, span_seconds,
                      (unsigned long long)first);
            TEST_EQUAL(spans[i].samples, right.samples);
            TEST_CHECK(spans[i].sum == right.sum && spans[i].min == right.min && spans[i].max == right.max);
        }
    }
}

TEST(test_history_answers_as_a_plain_copy_does)
{
    struct test_random random = test_random_begin(test_seed());
    history* at = make(1000, SERIES);
    uint64_t second = 1000 * MINUTE + 17;
    while (known.count < SECONDS) {
        uint64_t values[SERIES];
        make_values(&random, values);
        add(at, second, values);
        second += test_random_below(&random, 100) == 0 ? 1 + test_random_below(&random, 300) : 1;
    }
    for (int i = 0; i < 60; i++) {
        uint64_t first = known.seconds[test_random_below(&random, SECONDS)] - test_random_below(&random, 100);
        expect_equal(at, first, 1 + (uint32_t)test_random_below(&random, 200), 1 + test_random_below(&random, 40));
        expect_equal(at, first / MINUTE * MINUTE, MINUTE * (1 + (uint32_t)test_random_below(&random, 10)), 30);
    }
    expect_equal(at, 0, 3600, 10);                             /* before all */
    expect_equal(at, second / MINUTE * MINUTE + 6000, 60, 10); /* behind all */
    history_destroy(at);
}

TEST(test_history_forgets_the_oldest_minutes)
{
    history* at = make(3, SERIES);
    uint64_t values[SERIES] = {1, 2, 3, 4, 5};
    history_span spans[10];
    for (uint64_t second = 60; second < 60 + 8 * MINUTE + 30; second++) TEST_CHECK(history_add(at, second, values));
    TEST_CHECK(history_read(at, (const int[]){0}, 1, 60, MINUTE, spans, 9));
    for (int i = 0; i < 5; i++) TEST_EQUAL(spans[i].samples, 0);
    for (int i = 5; i < 8; i++) TEST_EQUAL(spans[i].sum, 60);
    TEST_EQUAL(spans[8].sum, 30); /* the minute under way is counted beside them */
    TEST_EQUAL(history_measure(at).samples, 3 * 60 + 30);
    history_destroy(at);
}

TEST(test_history_takes_no_second_twice_and_counts_what_it_refuses)
{
    history* at = make(3, SERIES);
    uint64_t values[SERIES] = {1, 2, 3, 4, 5};
    TEST_CHECK(history_add(at, 100, values));
    TEST_CHECK(!history_add(at, 100, values));
    TEST_CHECK(!history_add(at, 40, values));
    TEST_CHECK(history_add(at, 101, values));
    TEST_EQUAL(history_measure(at).refused, 2);
    TEST_EQUAL(history_measure(at).samples, 2);
    history_destroy(at);
}

TEST(test_history_series_that_come_later_were_zero)
{
    history* at = make(10, 1);
    uint64_t values[SERIES] = {5, 9};
    history_span span[3];
    for (uint64_t second = 60; second < 150; second++) TEST_CHECK(history_add(at, second, values));
    TEST_EQUAL(history_series(at, HISTORY_GAUGE), 1);
    for (uint64_t second = 150; second < 200; second++) TEST_CHECK(history_add(at, second, values));
    TEST_CHECK(history_read(at, (const int[]){1}, 1, 60, 60, span, 3));
    TEST_EQUAL(span[0].samples, 60);
    TEST_EQUAL(span[0].max, 0);
    TEST_EQUAL(span[1].samples, 60);
    TEST_EQUAL(span[1].min, 0);
    TEST_EQUAL(span[1].max, 9);
    TEST_EQUAL(span[1].sum, 9 * 30);
    TEST_CHECK(history_read(at, (const int[]){1}, 1, 61, 1, span, 3));
    TEST_EQUAL(span[0].samples, 1);
    TEST_EQUAL(span[0].sum, 0);
    history_destroy(at);
}

TEST(test_history_has_named_limits)
{
    uint64_t values[HISTORY_SERIES_MAX] = {0};
    history_span span;
    TEST_CHECK(history_create(0) == NULL);
    TEST_CHECK(history_create(HISTORY_MINUTES_MAX + 1) == NULL);
    history* at = history_create(2);
    for (int i = 0; i < HISTORY_SERIES_MAX; i++) TEST_EQUAL(history_series(at, HISTORY_GAUGE), i);
    TEST_EQUAL(history_series(at, HISTORY_GAUGE), -1);
    for (int i = 0; i < HISTORY_SERIES_MAX; i++) values[i] = UINT64_MAX;
    for (uint64_t second = 1; second < 300; second++) {
        if (second % 2) values[second % HISTORY_SERIES_MAX] ^= UINT64_MAX; /* the largest differences */
        TEST_CHECK(history_add(at, second, values));
    }
    static const int bad[] = {-1, HISTORY_SERIES_MAX, 0, HISTORY_SERIES_MAX - 1, 0};
    TEST_CHECK(!history_read(at, bad, 1, 0, 60, &span, 1));
    TEST_CHECK(!history_read(at, bad + 1, 1, 0, 60, &span, 1));
    TEST_CHECK(!history_read(at, bad + 2, 3, 0, 60, &span, 1));
    TEST_CHECK(!history_read(at, bad + 2, 0, 0, 60, &span, 1));
    TEST_CHECK(!history_read(at, bad + 2, 1, 0, 0, &span, 1));
    TEST_CHECK(!history_read(at, bad + 2, 1, 0, 60, &span, 0));
    TEST_CHECK(history_read(at, bad + 3, 1, 239, 1, &span, 1));
    TEST_EQUAL(span.samples, 1);
    history_destroy(at);
}

TEST(test_history_holds_an_ordinary_day_in_less_than_a_third)
{
    struct test_random random = test_random_begin(test_seed());
    history* at = make(24 * 60, SERIES);
    uint64_t players = 400;
    for (uint64_t second = 1; second <= 6 * 3600; second++) {
        players += test_random_below(&random, 3) - 1;
        uint64_t values[SERIES] = {players * 5000 + test_random_below(&random, 20000), players,
                                   players * 20 + test_random_below(&random, 40),
                                   40000 + test_random_below(&random, 2000), 0};
        TEST_CHECK(history_add(at, second, values));
    }
    history_size size = history_measure(at);
    TEST_HINT("%llu bytes for %llu", (unsigned long long)size.stored_bytes, (unsigned long long)size.raw_bytes);
    TEST_CHECK(size.stored_bytes * 10 < size.raw_bytes * 3);
    history_destroy(at);
}

TEST_MAIN
