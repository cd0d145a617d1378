/* server_cache - the contract of the cache, kept by every backend alike (see backends): values, counters, times to live, limits,
 * answers on a loop.
 */
#include "test.h"

#include <unistd.h>

#include "cache/cache.h"

static const char* const backends[] = {"memory:"};

#define EACH_BACKEND(at) \
    for (size_t backend_ = 0; backend_ < sizeof(backends) / sizeof(backends[0]); backend_++) \
        for (bool open_ = (open_cache(at, backends[backend_]), true); open_; open_ = (cache_close(*(at)), false))

static void open_cache(cache** at, const char* url)
{
    TEST_HINT("backend %s", url);
    TEST_OK(cache_open(url, at));
}

static desk_result set(cache* at, cache_kind kind, const char* key, const char* value, uint32_t ttl_ms)
{
    cache_answer answer;
    cache_query query = {.kind = kind, .key = key, .value = value, .bytes = strlen(value), .ttl_ms = ttl_ms};
    desk_result result = cache_ask(at, &query, &answer);
    cache_answer_end(&answer);
    return result;
}

/* The value, copied; "-" where there is none. */
static const char* get(cache* at, const char* key, char value[64])
{
    cache_answer answer;
    cache_query query = {.kind = CACHE_GET, .key = key};
    desk_result result = cache_ask(at, &query, &answer);
    TEST_CHECK(result == DESK_OK || result == DESK_NOT_FOUND);
    snprintf(value, 64, "%s", result == DESK_OK ? (const char*)answer.value : "-");
    cache_answer_end(&answer);
    return value;
}

static int64_t add(cache* at, const char* key, int64_t amount, desk_result expected)
{
    cache_answer answer;
    cache_query query = {.kind = CACHE_COUNT, .key = key, .amount = amount, .ttl_ms = 60000};
    TEST_EQUAL(cache_ask(at, &query, &answer), expected);
    cache_answer_end(&answer);
    cache_query again = {.kind = CACHE_COUNT, .key = key, .amount = 0, .ttl_ms = 60000};
    (void)cache_ask(at, &again, &answer);
    return answer.sum;
}

TEST(test_cache_keeps_values_until_they_are_removed_or_replaced)
{
    cache* at = NULL;
    char value[64];
    EACH_BACKEND(&at)
    {
        TEST_EQUAL_STRING(get(at, "a", value), "-");
        TEST_EQUAL(set(at, CACHE_SET, "a", "one", 60000), DESK_OK);
        TEST_EQUAL_STRING(get(at, "a", value), "one");
        TEST_EQUAL(set(at, CACHE_ADD, "a", "two", 60000), DESK_CONFLICT);
        TEST_EQUAL(set(at, CACHE_SET, "a", "", 60000), DESK_OK);
        TEST_EQUAL_STRING(get(at, "a", value), "");
        TEST_EQUAL(set(at, CACHE_REMOVE, "a", "", 0), DESK_OK);
        TEST_EQUAL(set(at, CACHE_REMOVE, "a", "", 0), DESK_NOT_FOUND);
        TEST_EQUAL(set(at, CACHE_ADD, "a", "three", 60000), DESK_OK);
        TEST_EQUAL_STRING(get(at, "a", value), "three");
    }
}

TEST(test_cache_forgets_a_value_after_its_time)
{
    cache* at = NULL;
    char value[64];
    EACH_BACKEND(&at)
    {
        TEST_EQUAL(set(at, CACHE_SET, "short", "x", 1), DESK_OK);
        TEST_EQUAL(set(at, CACHE_SET, "long", "y", 60000), DESK_OK);
        uint64_t until_us = necpnet_time_us() + 2000000u; /* far more than 1 ms; asked, not slept through */
        while (strcmp(get(at, "short", value), "-") != 0) TEST_LESS(necpnet_time_us(), until_us);
        TEST_EQUAL(set(at, CACHE_ADD, "short", "again", 60000), DESK_OK);
        TEST_EQUAL_STRING(get(at, "long", value), "y");
    }
}

TEST(test_cache_counts_for_several_at_once)
{
    cache* at = NULL;
    char value[64];
    EACH_BACKEND(&at)
    {
        TEST_EQUAL(add(at, "n", 5, DESK_OK), 5);
        TEST_EQUAL(add(at, "n", -2, DESK_OK), 3);
        TEST_EQUAL(add(at, "n", INT64_MAX, DESK_OK), 3); /* stays where it would overflow */
        TEST_EQUAL(set(at, CACHE_SET, "text", "x", 60000), DESK_OK);
        TEST_EQUAL(add(at, "text", 1, DESK_CONFLICT), 0);
        TEST_EQUAL_STRING(get(at, "n", value), "-");
    }
}

TEST(test_cache_holds_many_keys_and_refuses_wrong_ones)
{
    cache* at = NULL;
    char key[CACHE_KEY_BYTES_MAX + 2];
    char value[64];
    EACH_BACKEND(&at)
    {
        for (int i = 0; i < 3000; i++) {
            snprintf(key, sizeof(key), "key-%d", i);
            TEST_EQUAL(set(at, CACHE_SET, key, key, 60000), DESK_OK);
        }
        for (int i = 0; i < 3000; i += 7) {
            snprintf(key, sizeof(key), "key-%d", i);
            TEST_EQUAL_STRING(get(at, key, value), key);
        }
        memset(key, 'k', sizeof(key));
        key[sizeof(key) - 1] = 0;
        TEST_EQUAL(set(at, CACHE_SET, key, "x", 60000), DESK_INVALID);
        TEST_EQUAL(set(at, CACHE_SET, key + 1, "x", 60000), DESK_OK);
        TEST_EQUAL(set(at, CACHE_SET, "", "x", 60000), DESK_INVALID);
        TEST_EQUAL(set(at, CACHE_SET, "a", "x", 0), DESK_INVALID);
        TEST_EQUAL(set(at, CACHE_SET, "a", "x", CACHE_TTL_MS_MAX + 1), DESK_INVALID);
    }
}

static void take(const cache_answer* answer, void* user)
{
    char* value = user;
    snprintf(value, 64, "%s", answer->result == DESK_OK ? (const char*)answer->value : "-");
}

TEST(test_cache_tells_a_loop)
{
    cache* at = NULL;
    EACH_BACKEND(&at)
    {
        char value[64] = "";
        necpnet_loop* loop = NULL;
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        TEST_EQUAL(set(at, CACHE_SET, "a", "one", 60000), DESK_OK);
        cache_query query = {.kind = CACHE_GET, .key = "a"};
        TEST_EQUAL(cache_post(at, &query, loop, take, value), DESK_OK);
        for (int i = 0; i < 5000 && value[0] == 0; i++) TEST_OK(necpnet_loop_step(loop, 1000));
        TEST_EQUAL_STRING(value, "one");
        necpnet_loop_destroy(loop);
    }
}

TEST_MAIN
