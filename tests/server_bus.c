/* server_bus - the contract of the bus, kept by every backend alike (see backends): patterns, order, bounded queues, ends of
 * subscriptions, publishing from another thread.
 */
#include "test.h"

#include <pthread.h>

#include "bus/bus.h"

static const char* const backends[] = {"local:"};

typedef struct listener {
    bus* events;
    bus_subscription* subscription;
    int count;
    int last; /* the number in the last message */
    bool in_order;
    bool leaves; /* at its first message */
    char topic[64];
} listener;

static void hear(const char* topic, const void* data, size_t bytes, void* user)
{
    listener* at = user;
    int number = 0;
    TEST_EQUAL(bytes, sizeof(number));
    memcpy(&number, data, sizeof(number));
    at->in_order = at->in_order && number > at->last;
    at->last = number;
    at->count++;
    snprintf(at->topic, sizeof(at->topic), "%s", topic);
    if (at->leaves && at->subscription) {
        bus_unsubscribe(at->events, at->subscription);
        at->subscription = NULL;
    }
}

static void listen_to(listener* at, bus* events, necpnet_loop* loop, const char* pattern)
{
    *at = (listener){.events = events, .in_order = true};
    TEST_OK(bus_subscribe(events, pattern, loop, hear, at, &at->subscription));
}

static void say(bus* events, const char* topic, int number)
{
    TEST_OK(bus_publish(events, topic, &number, sizeof(number)));
}

TEST(test_bus_patterns_fit_as_documented)
{
    TEST_CHECK(bus_matches("a.b", "a.b"));
    TEST_CHECK(!bus_matches("a.b", "a.c"));
    TEST_CHECK(!bus_matches("a.b", "a.b.c"));
    TEST_CHECK(!bus_matches("a.b.c", "a.b"));
    TEST_CHECK(bus_matches("a.*", "a.b"));
    TEST_CHECK(!bus_matches("a.*", "a"));
    TEST_CHECK(!bus_matches("a.*", "a.b.c"));
    TEST_CHECK(bus_matches("*.b", "a.b"));
    TEST_CHECK(bus_matches("a.>", "a.b.c"));
    TEST_CHECK(!bus_matches("a.>", "a"));
    TEST_CHECK(bus_matches(">", "a"));
    TEST_CHECK(!bus_matches("ab", "a"));
    TEST_CHECK(!bus_matches("a", "ab"));
}

TEST(test_bus_delivers_in_order_to_those_whose_pattern_fits)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        bus* events = NULL;
        necpnet_loop* loop = NULL;
        listener all;
        listener one;
        listener other;
        bus_figures figures;
        TEST_HINT("backend %s", backends[i]);
        TEST_OK(bus_open(backends[i], &events));
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        listen_to(&all, events, loop, "zone.>");
        listen_to(&one, events, loop, "zone.*.chat");
        listen_to(&other, events, loop, "guild.7");
        for (int n = 1; n <= 1000; n++) say(events, n % 2 ? "zone.3.chat" : "zone.3.moves", n);
        for (int n = 0; n < 1000 && all.count < 1000; n++) TEST_OK(necpnet_loop_step(loop, 1000));
        TEST_EQUAL(all.count, 1000);
        TEST_EQUAL(one.count, 500);
        TEST_EQUAL(other.count, 0);
        TEST_CHECK(all.in_order && one.in_order);
        TEST_EQUAL_STRING(one.topic, "zone.3.chat");
        bus_get_figures(events, &figures);
        TEST_EQUAL(figures.published, 1000);
        TEST_EQUAL(figures.delivered, 1500);
        TEST_EQUAL(figures.subscriptions, 3);
        bus_unsubscribe(events, all.subscription);
        bus_unsubscribe(events, one.subscription);
        bus_unsubscribe(events, other.subscription);
        TEST_OK(necpnet_loop_step(loop, 0));
        necpnet_loop_destroy(loop);
        bus_close(events);
    }
}

TEST(test_bus_drops_and_counts_what_a_slow_subscriber_has_no_place_for)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        bus* events = NULL;
        necpnet_loop* loop = NULL;
        listener slow;
        bus_figures figures;
        TEST_OK(bus_open(backends[i], &events));
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        listen_to(&slow, events, loop, "t");
        for (int n = 1; n <= BUS_QUEUE_MAX + 100; n++) say(events, "t", n);
        TEST_OK(necpnet_loop_step(loop, 1000));
        bus_get_figures(events, &figures);
        TEST_EQUAL(figures.dropped, 100);
        TEST_EQUAL(slow.count, BUS_QUEUE_MAX);
        say(events, "t", 1000000);
        TEST_OK(necpnet_loop_step(loop, 1000));
        TEST_EQUAL(slow.last, 1000000);
        bus_unsubscribe(events, slow.subscription);
        necpnet_loop_destroy(loop);
        bus_close(events);
    }
}

TEST(test_bus_says_nothing_after_a_subscription_ended)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        bus* events = NULL;
        necpnet_loop* loop = NULL;
        listener leaving;
        listener gone;
        TEST_OK(bus_open(backends[i], &events));
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        listen_to(&leaving, events, loop, "t");
        listen_to(&gone, events, loop, "t");
        leaving.leaves = true; /* inside its handler, with more waiting */
        for (int n = 1; n <= 10; n++) say(events, "t", n);
        bus_unsubscribe(events, gone.subscription); /* with messages on their way */
        for (int n = 0; n < 3; n++) TEST_OK(necpnet_loop_step(loop, 1000));
        TEST_EQUAL(leaving.count, 1);
        TEST_EQUAL(gone.count, 0);
        necpnet_loop_destroy(loop);
        bus_close(events);
    }
}

TEST(test_bus_refuses_topics_and_patterns_that_are_none)
{
    static const char* const wrong[] = {"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "\xc3\xa9"};
    bus* events = NULL;
    necpnet_loop* loop = NULL;
    bus_subscription* subscription = NULL;
    char longest[BUS_TOPIC_BYTES_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    TEST_OK(bus_open("local:", &events));
    TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        TEST_HINT("topic %s", wrong[i]);
        TEST_EQUAL(bus_publish(events, wrong[i], NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    }
    TEST_EQUAL(bus_publish(events, longest, NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_OK(bus_publish(events, longest + 1, NULL, 0));
    TEST_EQUAL(bus_subscribe(events, "a.>.b", loop, hear, NULL, &subscription), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(bus_subscribe(events, "a.b*", loop, hear, NULL, &subscription), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(bus_open("nats://x", &events), NECPNET_ERR_UNSUPPORTED);
    necpnet_loop_destroy(loop);
    bus_close(events);
}

#define CROWD 4
#define CROWD_MESSAGES 500

static void* talk(void* user)
{
    bus* events = user;
    for (int n = 1; n <= CROWD_MESSAGES; n++) say(events, "t", n);
    return NULL;
}

TEST(test_bus_takes_messages_of_several_threads)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        bus* events = NULL;
        necpnet_loop* loop = NULL;
        listener all;
        pthread_t threads[CROWD];
        TEST_OK(bus_open(backends[i], &events));
        TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop));
        listen_to(&all, events, loop, "t");
        for (int n = 0; n < CROWD; n++) TEST_EQUAL(pthread_create(&threads[n], NULL, talk, events), 0);
        for (int n = 0; n < 10000 && all.count < CROWD * CROWD_MESSAGES; n++) TEST_OK(necpnet_loop_step(loop, 1000));
        for (int n = 0; n < CROWD; n++) pthread_join(threads[n], NULL);
        TEST_EQUAL(all.count, CROWD * CROWD_MESSAGES);
        bus_unsubscribe(events, all.subscription);
        TEST_OK(necpnet_loop_step(loop, 0));
        necpnet_loop_destroy(loop);
        bus_close(events);
    }
}

TEST_MAIN
