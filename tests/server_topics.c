/* server_topics - aim: every subscriber gets every message once and in order, or is told exactly which it did not; whatever its
 * pace, whenever it came back. Method: small scenes, and a random history in which each subscriber counts. */
#include "test.h"

#include "topics.h"

#define SECOND UINT64_C(1000000)
#define READERS 6

typedef struct reader {
    topics_subscriber subscriber; /* first */
    uint64_t next;                /* offset that must come */
    uint64_t messages;
    uint64_t lost;
    int room; /* messages that it still takes */
    char last[32];
} reader;

typedef struct scene {
    topics_config config;
    topics* hub;
    uint64_t now_us;
    reader readers[READERS];
} scene;

static topics_taken on_message(topics_subscriber* subscriber, const topics_topic* topic, const topics_message* message,
                               void* user)
{
    reader* to = (reader*)(void*)subscriber;
    (void)topic;
    (void)user;
    if (to->room == 0) return TOPICS_FULL;
    if (to->room > 0) to->room--;
    TEST_EQUAL(message->offset, to->next);
    TEST_EQUAL(message->text[message->text_bytes], 0);
    TEST_EQUAL(strtoull(message->text, NULL, 10), message->offset);
    if (message->binary_bytes) TEST_EQUAL_BYTES(message->binary, "bin", 3);
    to->next = message->offset + 1;
    to->messages++;
    return TOPICS_TAKEN;
}

static topics_taken on_gap(topics_subscriber* subscriber, const topics_topic* topic, uint64_t from, uint64_t to,
                           void* user)
{
    reader* who = (reader*)(void*)subscriber;
    (void)topic;
    (void)user;
    if (who->room == 0) return TOPICS_FULL;
    TEST_EQUAL(from, who->next);
    TEST_AT_LEAST(to, from);
    who->lost += to - from + 1;
    who->next = to + 1;
    return TOPICS_TAKEN;
}

static void scene_begin(scene* at, uint32_t history_messages)
{
    memset(at, 0, sizeof(*at));
    topics_config_default(&at->config);
    at->config.seed = 7;
    at->config.history_messages = history_messages;
    at->config.deliver = on_message;
    at->config.gap = on_gap;
    at->now_us = 1000 * SECOND;
    for (int i = 0; i < READERS; i++) at->readers[i].room = -1;
    TEST_OK(topics_create(&at->config, &at->hub));
}

static topics_topic* scene_topic(scene* at, const char* name)
{
    topics_topic* topic = NULL;
    TEST_OK(topics_open(at->hub, name, &topic));
    return topic;
}

static void scene_publish(scene* at, topics_topic* topic)
{
    char number[32];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)topics_get_position(topic).offset + 1);
    topics_message message = {.text = number, .text_bytes = strlen(number), .binary = "bin", .binary_bytes = 3};
    TEST_OK(topics_publish(at->hub, topic, &message, at->now_us));
}

static bool scene_subscribe(scene* at, topics_topic* topic, int who, const topics_position* since)
{
    bool recovered = false;
    at->readers[who].next = since && since->epoch == topics_get_position(topic).epoch
                                ? since->offset + 1
                                : topics_get_position(topic).offset + 1;
    TEST_OK(topics_subscribe(at->hub, topic, &at->readers[who].subscriber, since, at->now_us, &recovered));
    return recovered;
}

static void scene_end(scene* at)
{
    topics_figures figures;
    for (int i = 0; i < READERS; i++) topics_unsubscribe_all(at->hub, &at->readers[i].subscriber);
    topics_get_figures(at->hub, &figures);
    TEST_EQUAL(figures.subscriptions, 0);
    topics_destroy(at->hub);
}

TEST(test_topics_names_are_words_with_dots)
{
    static const char* const right[] = {"a", "system", "zone.12", "chat.en-GB", "player.u:1", "a.b.c_d"};
    static const char* const wrong[] = {"", ".", "a.", ".a", "a..b", "a b", "a/b", "*", "a.>", "\xc3\xa9", "a\n"};
    char longest[TOPICS_NAME_BYTES_MAX + 2];
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) TEST_CHECK(topics_name_is_right(right[i]));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) TEST_CHECK(!topics_name_is_right(wrong[i]));
    memset(longest, 'x', sizeof(longest));
    longest[TOPICS_NAME_BYTES_MAX] = 0;
    TEST_CHECK(topics_name_is_right(longest));
    longest[TOPICS_NAME_BYTES_MAX] = 'x';
    longest[TOPICS_NAME_BYTES_MAX + 1] = 0;
    TEST_CHECK(!topics_name_is_right(longest));
}

TEST(test_topics_message_reaches_those_who_subscribed_before)
{
    scene s;
    scene_begin(&s, 16);
    topics_topic* topic = scene_topic(&s, "chat.a");
    topics_topic* other = scene_topic(&s, "chat.b");
    TEST_CHECK(topic != other && topics_find(s.hub, "chat.a") == topic && !topics_find(s.hub, "chat.c"));
    TEST_NOT_EQUAL(topics_get_position(topic).epoch, topics_get_position(other).epoch);
    TEST_CHECK(scene_subscribe(&s, topic, 0, NULL));
    scene_publish(&s, topic);
    scene_publish(&s, other);
    TEST_CHECK(scene_subscribe(&s, topic, 1, NULL));
    scene_publish(&s, topic);
    TEST_EQUAL(s.readers[0].messages, 2);
    TEST_EQUAL(s.readers[1].messages, 1);
    TEST_EQUAL(topics_subscribers(topic), 2);
    TEST_CHECK(topics_unsubscribe(s.hub, topic, &s.readers[0].subscriber));
    TEST_CHECK(!topics_unsubscribe(s.hub, topic, &s.readers[0].subscriber));
    scene_publish(&s, topic);
    TEST_EQUAL(s.readers[0].messages, 2);
    TEST_EQUAL(s.readers[1].messages, 2);
    scene_end(&s);
}

TEST(test_topics_subscriber_gets_what_came_after_its_position)
{
    scene s;
    scene_begin(&s, 8);
    topics_topic* topic = scene_topic(&s, "t");
    for (int i = 0; i < 20; i++) scene_publish(&s, topic);
    topics_position since = topics_get_position(topic);
    since.offset = 12; /* the oldest there is 13 */
    TEST_CHECK(scene_subscribe(&s, topic, 0, &since));
    TEST_EQUAL(s.readers[0].messages, 8);
    since.offset = 11;
    TEST_CHECK(!scene_subscribe(&s, topic, 1, &since));
    TEST_EQUAL(s.readers[1].lost, 1);
    TEST_EQUAL(s.readers[1].messages, 8);
    since.offset = 20;
    TEST_CHECK(scene_subscribe(&s, topic, 2, &since));
    TEST_EQUAL(s.readers[2].messages, 0);
    since.offset = 21; /* never was */
    bool recovered = true;
    s.readers[3].next = 21;
    TEST_OK(topics_subscribe(s.hub, topic, &s.readers[3].subscriber, &since, s.now_us, &recovered));
    TEST_CHECK(!recovered);
    since.epoch++;
    since.offset = 15;
    TEST_CHECK(!scene_subscribe(&s, topic, 4, &since));
    TEST_EQUAL(s.readers[4].messages, 0);
    scene_publish(&s, topic);
    for (int i = 0; i < 5; i++) TEST_EQUAL(s.readers[i].next, 22);
    scene_end(&s);
}

TEST(test_topics_slow_reader_goes_on_from_the_history_and_hears_of_gaps)
{
    scene s;
    topics_figures figures;
    scene_begin(&s, 8);
    topics_topic* topic = scene_topic(&s, "t");
    (void)scene_subscribe(&s, topic, 0, NULL);
    (void)scene_subscribe(&s, topic, 1, NULL);
    s.readers[0].room = 3;
    for (int i = 0; i < 6; i++) scene_publish(&s, topic);
    TEST_EQUAL(s.readers[0].messages, 3);
    TEST_EQUAL(s.readers[1].messages, 6);
    TEST_EQUAL(s.readers[0].subscriber.behind, 1);
    s.readers[0].room = 2;
    TEST_CHECK(!topics_catch_up(s.hub, &s.readers[0].subscriber));
    s.readers[0].room = -1;
    TEST_CHECK(topics_catch_up(s.hub, &s.readers[0].subscriber));
    TEST_EQUAL(s.readers[0].messages, 6);
    TEST_EQUAL(s.readers[0].lost, 0);
    s.readers[0].room = 0;
    for (int i = 0; i < 20; i++) scene_publish(&s, topic);
    s.readers[0].room = -1;
    TEST_CHECK(topics_catch_up(s.hub, &s.readers[0].subscriber));
    TEST_EQUAL(s.readers[0].lost, 12);
    TEST_EQUAL(s.readers[0].next, 27);
    topics_get_figures(s.hub, &figures);
    TEST_EQUAL(figures.lost, 12);
    TEST_EQUAL(figures.fell_behind, 2);
    TEST_EQUAL(figures.published, 26);
    scene_end(&s);
}

TEST(test_topics_limits_are_named)
{
    scene s;
    bool recovered;
    scene_begin(&s, 4);
    topics_destroy(s.hub);
    s.config.topics_max = 2;
    s.config.subscriptions_max = 1;
    TEST_OK(topics_create(&s.config, &s.hub));
    topics_topic* a = scene_topic(&s, "a");
    topics_topic* b = scene_topic(&s, "b");
    topics_topic* c = NULL;
    TEST_EQUAL(topics_open(s.hub, "c", &c), NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(topics_open(s.hub, "c..", &c), NECPNET_ERR_INVALID_ARGUMENT);
    (void)scene_subscribe(&s, a, 0, NULL);
    TEST_EQUAL(topics_subscribe(s.hub, a, &s.readers[0].subscriber, NULL, 0, &recovered), NECPNET_ERR_ALREADY_EXISTS);
    TEST_EQUAL(topics_subscribe(s.hub, b, &s.readers[0].subscriber, NULL, 0, &recovered), NECPNET_ERR_LIMIT_REACHED);
    scene_end(&s);
}

TEST(test_topics_history_ends_by_bytes_and_age_and_topics_that_nobody_needs_go)
{
    scene s;
    topics_figures figures;
    scene_begin(&s, 1000);
    topics_destroy(s.hub);
    s.config.history_bytes = 2000;
    s.config.history_ms = 1000;
    TEST_OK(topics_create(&s.config, &s.hub));
    topics_topic* topic = scene_topic(&s, "t");
    for (int i = 0; i < 500; i++) scene_publish(&s, topic);
    topics_get_figures(s.hub, &figures);
    TEST_AT_MOST(figures.history_bytes, 2000);
    TEST_GREATER(figures.history_messages, 20);
    uint64_t epoch = topics_get_position(topic).epoch;
    (void)scene_subscribe(&s, topic, 0, NULL);
    s.now_us += 3 * SECOND;
    topics_sweep(s.hub, s.now_us);
    topics_get_figures(s.hub, &figures);
    TEST_EQUAL(figures.history_messages, 0);
    TEST_EQUAL(figures.topics, 1); /* has a subscriber */
    scene_publish(&s, topic);
    TEST_EQUAL(s.readers[0].next, 502);
    topics_unsubscribe_all(s.hub, &s.readers[0].subscriber);
    s.now_us += 3 * SECOND;
    topics_sweep(s.hub, s.now_us);
    TEST_CHECK(!topics_find(s.hub, "t"));
    TEST_NOT_EQUAL(topics_get_position(scene_topic(&s, "t")).epoch, epoch);
    topics_get_figures(s.hub, &figures);
    TEST_EQUAL(figures.history_bytes, 0);
    scene_end(&s);
}

/* Subscribers come, go, stall and return with their position; each must count without a hole that it was not told. */
TEST(test_topics_each_reader_accounts_for_every_message)
{
    TEST_EACH_SEED (seed, 100) {
        scene s;
        struct test_random random = test_random_begin(seed);
        topics_position left[READERS];
        bool is_in[READERS] = {false};
        scene_begin(&s, 1 + (uint32_t)test_random_below(&random, 20));
        topics_topic* topic = scene_topic(&s, "t");
        memset(left, 0, sizeof(left));
        for (int step = 0; step < 600; step++) {
            int who = (int)test_random_below(&random, READERS);
            reader* at = &s.readers[who];
            switch (test_random_below(&random, 6)) {
            case 0:
                if (is_in[who]) { /* leaves, knowing what it has */
                    left[who] = topics_get_position(topic);
                    left[who].offset = at->next - 1;
                    TEST_CHECK(topics_unsubscribe(s.hub, topic, &at->subscriber));
                } else {
                    at->room = -1;
                    (void)scene_subscribe(&s, topic, who, left[who].epoch ? &left[who] : NULL);
                }
                is_in[who] = !is_in[who];
                break;
            case 1: at->room = (int)test_random_below(&random, 4); break;
            case 2:
                at->room = -1;
                if (is_in[who]) {
                    TEST_CHECK(topics_catch_up(s.hub, &at->subscriber));
                    TEST_EQUAL(at->next, topics_get_position(topic).offset + 1);
                }
                break;
            default: scene_publish(&s, topic); break;
            }
        }
        scene_end(&s);
    }
}

TEST(test_topics_thousands_are_found_again)
{
    scene s;
    char name[32];
    scene_begin(&s, 4);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "zone.%d", i);
        scene_publish(&s, scene_topic(&s, name));
    }
    int count = 0;
    for (topics_topic* topic = topics_next(s.hub, NULL); topic; topic = topics_next(s.hub, topic)) {
        snprintf(name, sizeof(name), "zone.%d", count++);
        TEST_EQUAL_STRING(topics_name(topic), name);
        TEST_EQUAL_POINTER(topics_find(s.hub, name), topic);
    }
    TEST_EQUAL(count, 5000);
    scene_end(&s);
}

TEST_MAIN
