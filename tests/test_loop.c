/* test_loop - the loop: descriptors, timers and posts, on each backend.
 *
 * Real descriptors (a loop's own wake pair serves as one) and the real clock, but no sleep: a test steps the loop with
 * a bounded timeout until what it waits for has happened, and fails after PATIENCE_US.
 */
#include "test.h"
#include "nn_loop.h"
#include "nn_thread.h"

#define PATIENCE_US UINT64_C(5000000)

static const necpnet_loop_backend backends[] = {NECPNET_LOOP_BEST, NECPNET_LOOP_POLL};
#define EACH_BACKEND(index) for (size_t index = 0; index < NN_COUNT(backends); index++)

static necpnet_loop* loop_new(necpnet_loop_backend backend)
{
    necpnet_allocator allocator = test_allocator();
    necpnet_loop* loop = NULL;
    TEST_OK(necpnet_loop_create(&allocator, backend, &loop));
    return loop;
}

#define STEP_UNTIL(loop, condition) \
    do { \
        uint64_t until_us = necpnet_time_us() + PATIENCE_US; \
        while (!(condition) && necpnet_time_us() < until_us) TEST_OK(necpnet_loop_step(loop, 10000)); \
        TEST_CHECK(condition); \
    } while (0)

struct counter {
    necpnet_loop* loop;
    int count;
    int order[8];
    int number;
    struct counter* to;
    int descriptor;
    int other;
};

static void count_call(void* user)
{
    struct counter* counter = (struct counter*)user;
    struct counter* to = counter->to ? counter->to : counter;
    if (to->count < (int)NN_COUNT(to->order)) to->order[to->count] = counter->number;
    to->count++;
}

TEST(test_loop_fires_timers_in_the_order_of_their_times_and_never_early)
{
    EACH_BACKEND(b)
    {
        necpnet_loop* loop = loop_new(backends[b]);
        struct counter all;
        memset(&all, 0, sizeof all);
        struct counter each[3];
        memset(each, 0, sizeof each);
        uint64_t begin_us = necpnet_time_us();
        const uint64_t delays[3] = {3000, 1000, 2000};
        for (int i = 0; i < 3; i++) {
            each[i].number = i;
            each[i].to = &all;
            TEST_OK(necpnet_loop_after(loop, delays[i], count_call, &each[i], NULL));
        }
        STEP_UNTIL(loop, all.count == 3);
        TEST_AT_LEAST(necpnet_time_us() - begin_us, 3000u);
        TEST_EQUAL(all.order[0], 1);
        TEST_EQUAL(all.order[1], 2);
        TEST_EQUAL(all.order[2], 0);
        necpnet_loop_destroy(loop);
    }
}

TEST(test_loop_forgets_a_cancelled_timer_and_tells_a_fired_one)
{
    necpnet_loop* loop = loop_new(NECPNET_LOOP_BEST);
    struct counter first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    necpnet_loop_timer a, b;
    TEST_OK(necpnet_loop_after(loop, 1000, count_call, &first, &a));
    TEST_OK(necpnet_loop_after(loop, 0, count_call, &second, &b));
    TEST_OK(necpnet_loop_cancel(loop, a));
    TEST_EQUAL(necpnet_loop_cancel(loop, a), NECPNET_ERR_NOT_FOUND);
    STEP_UNTIL(loop, second.count == 1);
    TEST_EQUAL(necpnet_loop_cancel(loop, b), NECPNET_ERR_NOT_FOUND);
    necpnet_loop_timer c;
    TEST_OK(necpnet_loop_after(loop, 0, count_call, &second, &c)); /* takes a's or b's place */
    TEST_EQUAL(necpnet_loop_cancel(loop, a), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_loop_cancel(loop, b), NECPNET_ERR_NOT_FOUND);
    STEP_UNTIL(loop, second.count == 2);
    TEST_EQUAL(first.count, 0);
    TEST_EQUAL(necpnet_loop_cancel(loop, UINT64_MAX), NECPNET_ERR_NOT_FOUND);
    necpnet_loop_destroy(loop);
}

TEST(test_loop_holds_many_timers)
{
    necpnet_loop* loop = loop_new(NECPNET_LOOP_BEST);
    struct counter all;
    memset(&all, 0, sizeof all);
    for (int i = 0; i < 1000; i++) TEST_OK(necpnet_loop_after(loop, (uint64_t)(i % 7) * 100, count_call, &all, NULL));
    STEP_UNTIL(loop, all.count == 1000);
    necpnet_loop_destroy(loop);
}

static void step_again(void* user)
{
    struct counter* counter = (struct counter*)user;
    TEST_OK(necpnet_loop_step(counter->loop, PATIENCE_US)); /* inside a step: returns at once */
    counter->count++;
}

TEST(test_loop_step_inside_a_callback_does_nothing)
{
    necpnet_loop* loop = loop_new(NECPNET_LOOP_BEST);
    struct counter counter;
    memset(&counter, 0, sizeof counter);
    counter.loop = loop;
    uint64_t begin_us = necpnet_time_us();
    TEST_OK(necpnet_loop_post(loop, step_again, &counter));
    STEP_UNTIL(loop, counter.count == 1);
    TEST_LESS(necpnet_time_us() - begin_us, PATIENCE_US);
    necpnet_loop_destroy(loop);
}

TEST(test_loop_refuses_posts_beyond_its_limit_and_loses_none)
{
    EACH_BACKEND(b)
    {
        necpnet_loop* loop = loop_new(backends[b]);
        struct counter all;
        memset(&all, 0, sizeof all);
        for (uint32_t i = 0; i < NN_POSTS_MAX; i++) TEST_OK(necpnet_loop_post(loop, count_call, &all));
        TEST_EQUAL(necpnet_loop_post(loop, count_call, &all), NECPNET_ERR_WOULD_BLOCK);
        TEST_OK(necpnet_loop_step(loop, PATIENCE_US));
        TEST_EQUAL(all.count, (int)NN_POSTS_MAX);
        TEST_OK(necpnet_loop_post(loop, count_call, &all));
        TEST_OK(necpnet_loop_step(loop, PATIENCE_US));
        TEST_EQUAL(all.count, (int)NN_POSTS_MAX + 1);
        necpnet_loop_destroy(loop);
    }
}

#define POSTERS 4
#define POSTS_EACH 20000

struct poster_total {
    int count;
    int disorder;
};

struct poster {
    nn_thread thread;
    necpnet_loop* loop;
    struct poster_total* total;
    struct poster_item* items;
    int next; /* the loop's thread: posts of one thread come in their order */
};

struct poster_item {
    struct poster* poster;
    int number;
};

static void poster_arrived(void* user)
{
    struct poster_item* item = (struct poster_item*)user;
    if (item->number != item->poster->next++) item->poster->total->disorder++;
    item->poster->total->count++;
}

static void poster_run(void* user)
{
    struct poster* poster = (struct poster*)user;
    for (int i = 0; i < POSTS_EACH;) {
        poster->items[i].poster = poster;
        poster->items[i].number = i;
        if (necpnet_loop_post(poster->loop, poster_arrived, &poster->items[i]) == NECPNET_OK) i++;
    }
}

TEST(test_loop_takes_posts_of_many_threads_in_the_order_of_each)
{
    EACH_BACKEND(b)
    {
        necpnet_loop* loop = loop_new(backends[b]);
        struct poster_total total = {0, 0};
        struct poster posters[POSTERS];
        necpnet_allocator allocator = test_allocator();
        size_t bytes = POSTS_EACH * sizeof(struct poster_item);
        for (int i = 0; i < POSTERS; i++) {
            memset(&posters[i], 0, sizeof posters[i]);
            posters[i].loop = loop;
            posters[i].total = &total;
            posters[i].items = (struct poster_item*)allocator.allocate(bytes, allocator.user);
            TEST_CHECK(nn_thread_start(&posters[i].thread, poster_run, &posters[i]));
        }
        uint64_t until_us = necpnet_time_us() + 4 * PATIENCE_US;
        while (total.count < POSTERS * POSTS_EACH && necpnet_time_us() < until_us) necpnet_loop_step(loop, 1000000);
        for (int i = 0; i < POSTERS; i++) nn_thread_join(&posters[i].thread);
        TEST_EQUAL(total.count, POSTERS * POSTS_EACH);
        TEST_EQUAL(total.disorder, 0);
        for (int i = 0; i < POSTERS; i++) allocator.release(posters[i].items, bytes, allocator.user);
        necpnet_loop_destroy(loop);
    }
}

static void descriptor_ready(int descriptor, bool readable, bool writable, void* user)
{
    struct counter* counter = (struct counter*)user;
    counter->count++;
    if (readable) counter->number |= 1;
    if (writable) counter->number |= 2;
    counter->descriptor = descriptor;
    if (readable) nn_net_wake_clear(descriptor);
}

TEST(test_loop_watches_a_descriptor_until_it_is_told_not_to)
{
    EACH_BACKEND(b)
    {
        necpnet_loop* loop = loop_new(backends[b]);
        struct counter counter;
        memset(&counter, 0, sizeof counter);
        int to_read, to_write;
        TEST_OK(nn_net_wake_open(&to_read, &to_write));
        TEST_OK(necpnet_loop_watch(loop, to_read, true, false, descriptor_ready, &counter));
        TEST_OK(necpnet_loop_step(loop, 0));
        TEST_EQUAL(counter.count, 0);
        nn_net_wake_write(to_write);
        STEP_UNTIL(loop, counter.count == 1);
        TEST_EQUAL(counter.descriptor, to_read);
        TEST_EQUAL(counter.number, 1);
        TEST_OK(necpnet_loop_step(loop, 0));
        TEST_EQUAL(counter.count, 1);
        nn_net_wake_write(to_write);
        TEST_OK(necpnet_loop_watch(loop, to_read, false, false, NULL, NULL));
        TEST_OK(necpnet_loop_watch(loop, to_read, false, false, NULL, NULL)); /* again: nothing */
        TEST_OK(necpnet_loop_step(loop, 0));
        TEST_EQUAL(counter.count, 1);
        TEST_OK(necpnet_loop_watch(loop, to_read, true, false, descriptor_ready, &counter));
        STEP_UNTIL(loop, counter.count == 2);
        TEST_OK(
            necpnet_loop_watch(loop, to_write, false, true, descriptor_ready, &counter)); /* stays watched: destroy */
        STEP_UNTIL(loop, counter.number & 2);
        necpnet_loop_destroy(loop);
        nn_net_wake_close(to_read, to_write);
    }
}

static void unwatch_other(int descriptor, bool readable, bool writable, void* user)
{
    struct counter* counter = (struct counter*)user;
    (void)readable;
    (void)writable;
    counter->count++;
    int other = descriptor == counter->descriptor ? counter->other : counter->descriptor;
    necpnet_loop_watch(counter->loop, other, false, false, NULL, NULL);
}

TEST(test_loop_does_not_report_what_a_callback_of_the_same_step_unwatched)
{
    EACH_BACKEND(b)
    {
        struct counter counter;
        memset(&counter, 0, sizeof counter);
        counter.loop = loop_new(backends[b]);
        int writes[2];
        TEST_OK(nn_net_wake_open(&counter.descriptor, &writes[0]));
        TEST_OK(nn_net_wake_open(&counter.other, &writes[1]));
        TEST_OK(necpnet_loop_watch(counter.loop, counter.descriptor, true, false, unwatch_other, &counter));
        TEST_OK(necpnet_loop_watch(counter.loop, counter.other, true, false, unwatch_other, &counter));
        nn_net_wake_write(writes[0]);
        nn_net_wake_write(writes[1]);
        TEST_OK(necpnet_loop_step(counter.loop, PATIENCE_US));
        TEST_EQUAL(counter.count, 1);
        necpnet_loop_destroy(counter.loop);
        nn_net_wake_close(counter.descriptor, writes[0]);
        nn_net_wake_close(counter.other, writes[1]);
    }
}

TEST(test_loop_poll_backend_serves_more_descriptors_than_one_batch)
{
    enum { count = NN_LOOP_BATCH_MAX + 40 };
    necpnet_loop* loop = loop_new(NECPNET_LOOP_POLL);
    static struct counter counters[count];
    static int reads[count], writes[count];
    memset(counters, 0, sizeof counters);
    for (int i = 0; i < count; i++) {
        TEST_OK(nn_net_wake_open(&reads[i], &writes[i]));
        TEST_OK(necpnet_loop_watch(loop, reads[i], true, false, descriptor_ready, &counters[i]));
        nn_net_wake_write(writes[i]);
    }
    TEST_OK(necpnet_loop_step(loop, PATIENCE_US));
    TEST_OK(necpnet_loop_step(loop, PATIENCE_US));
    for (int i = 0; i < count; i++) TEST_EQUAL(counters[i].count, 1);
    for (int i = 0; i < count; i++) TEST_OK(necpnet_loop_watch(loop, reads[i], false, false, NULL, NULL));
    necpnet_loop_destroy(loop);
    for (int i = 0; i < count; i++) nn_net_wake_close(reads[i], writes[i]);
}

TEST(test_loop_refuses_wrong_arguments)
{
    necpnet_loop* loop = loop_new(NECPNET_LOOP_BEST);
    necpnet_loop* out = NULL;
    TEST_EQUAL(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_loop_create(NULL, (necpnet_loop_backend)7, &out), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_loop_step(NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_loop_post(loop, NULL, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_loop_after(loop, 0, NULL, NULL, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_loop_watch(loop, -1, true, true, descriptor_ready, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_loop_watch(loop, 0, true, true, NULL, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    necpnet_loop_destroy(loop);
    necpnet_loop_destroy(NULL);
}

static void never_called(void* user)
{
    (void)user;
}

TEST(test_loop_gives_everything_back_when_memory_fails)
{
    necpnet_allocator allocator = test_allocator();
    TEST_CHECK(nn_net_start()); /* the sockets below outlive a loop that could not be made */
    EACH_BACKEND(b)
    {
        TEST_EACH_ALLOCATION_FAILS {
            necpnet_loop* loop = NULL;
            necpnet_result result = necpnet_loop_create(&allocator, backends[b], &loop);
            if (result == NECPNET_OK) result = necpnet_loop_after(loop, 1000, never_called, NULL, NULL);
            int to_read = -1, to_write = -1;
            TEST_OK(nn_net_wake_open(&to_read, &to_write));
            if (result == NECPNET_OK) result = necpnet_loop_watch(loop, to_read, true, false, descriptor_ready, NULL);
            if (test_allocation_failed()) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
            necpnet_loop_destroy(loop);
            nn_net_wake_close(to_read, to_write);
        }
    }
    nn_net_stop();
}

TEST_MAIN
