/* server_relay - aim: whatever node a client is on, it hears each message of a topic once, in order, under the one epoch and offset
 * that the topic's node gave it, or is told what it missed; through joins, good byes, crashes and lost messages. Method: some
 * nodes in one process over a bus of the test's own that delivers in an order drawn from a seed, each with readers that check;
 * then two nodes over every backend of the bus (the contract that a broker has to keep).
 */
#include "test.h"

#include "bus/bus.h"
#include "relay.h"
#include "relay_wire.h"

#define NODES 5
#define TOPICS 4
#define PLACES 20000 /* positions remembered */

typedef struct packet {
    struct packet* next;
    size_t bytes;
    uint8_t data[];
} packet;

typedef struct world world;

typedef struct reader {
    topics_subscriber subscriber; /* first */
    uint64_t epoch;               /* 0: none yet */
    uint64_t offset;              /* the last that was heard, or told as lost */
    uint32_t messages;
    uint32_t lost;
    uint32_t renewals;
    uint32_t last[NODES]; /* number of each publisher's last message */
    bool wants;
    bool subscribed;
} reader;

typedef struct node {
    world* home;
    int index;
    bool alive;
    bool leaves;
    uint64_t origin;
    char name[16];
    topics* hub;
    relay* machine;
    reader readers[TOPICS];
    uint32_t published[TOPICS]; /* numbers given out */
    uint32_t done;              /* publishes that were done */
    uint32_t failed;
} node;

/* What the first reader heard at a position: all others must hear the same. */
typedef struct place {
    int topic;
    topics_position position;
    char said[32];
} place;

struct world {
    node nodes[NODES];
    packet* ways[NODES][NODES]; /* in order */
    uint64_t now_us;
    uint64_t origins;
    uint32_t loss_percent;
    uint32_t topics_max; /* 0: the default */
    place* places;
    uint32_t place_count;
    uint32_t done[TOPICS];
    struct test_random random;
};

static const char* const topic_names[TOPICS] = {"chat.lobby", "zone.7", "game.x", "world"};

/* A ticket: which node asked for what. Publishes are numbered from 0, subscriptions are of a topic. */
static void* ticket_of(int topic, bool subscribes)
{
    return (void*)(uintptr_t)(1 + topic * 2 + (subscribes ? 1 : 0));
}

static int topic_of(const topics_topic* topic)
{
    int at = 0;
    while (strcmp(topic_names[at], topics_name(topic)) != 0) at++;
    return at;
}

static void check_place(world* at, int topic, topics_position position, const char* said)
{
    for (uint32_t i = 0; i < at->place_count; i++) {
        const place* one = &at->places[i];
        if (one->topic != topic || one->position.epoch != position.epoch || one->position.offset != position.offset)
            continue;
        TEST_EQUAL_STRING(said, one->said);
        return;
    }
    TEST_LESS(at->place_count, PLACES);
    place* made = &at->places[at->place_count++];
    *made = (place){.topic = topic, .position = position};
    snprintf(made->said, sizeof(made->said), "%s", said);
}

static topics_taken on_message(topics_subscriber* subscriber, const topics_topic* topic, const topics_message* message,
                               void* user)
{
    node* at = user;
    reader* to = (reader*)(void*)subscriber;
    topics_position position = {topics_get_position(topic).epoch, message->offset};
    unsigned publisher = 0, number = 0;
    if (to->epoch == 0) {
        to->epoch = position.epoch;
        to->offset = position.offset - 1;
    }
    TEST_EQUAL(position.epoch, to->epoch);
    TEST_EQUAL(position.offset, to->offset + 1);
    to->offset = position.offset;
    to->messages++;
    TEST_EQUAL(sscanf(message->text, "%u says %u", &publisher, &number), 2);
    TEST_LESS(publisher, NODES);
    TEST_GREATER(number, to->last[publisher]); /* the order of one publisher */
    to->last[publisher] = number;
    check_place(at->home, topic_of(topic), position, message->text);
    return TOPICS_TAKEN;
}

static topics_taken on_gap(topics_subscriber* subscriber, const topics_topic* topic, uint64_t from, uint64_t to,
                           void* user)
{
    reader* who = (reader*)(void*)subscriber;
    (void)topic;
    (void)user;
    TEST_EQUAL(from, who->offset + 1);
    who->lost += (uint32_t)(to - from + 1);
    who->offset = to;
    return TOPICS_TAKEN;
}

static topics_taken on_renew(topics_subscriber* subscriber, const topics_topic* topic, uint64_t offset, void* user)
{
    reader* who = (reader*)(void*)subscriber;
    (void)user;
    TEST_NOT_EQUAL(topics_get_position(topic).epoch, who->epoch);
    who->epoch = topics_get_position(topic).epoch;
    who->offset = offset;
    who->renewals++;
    return TOPICS_TAKEN;
}

static void on_end(const topics_topic* topic, void* user)
{
    relay_forget(((node*)user)->machine, topic);
}

static void on_send(uint64_t to, const void* data, size_t bytes, void* user)
{
    node* from = user;
    world* at = from->home;
    int target = 0;
    while (target < NODES && at->nodes[target].origin != to) target++;
    if (target == NODES) return; /* it is gone */
    if (test_random_below(&at->random, 100) < at->loss_percent) return;
    packet* made = (packet*)malloc(sizeof(*made) + bytes);
    TEST_CHECK(made != NULL);
    *made = (packet){.bytes = bytes};
    memcpy(made->data, data, bytes);
    packet** end = &at->ways[from->index][target];
    while (*end) end = &(*end)->next;
    *end = made;
}

static necpnet_result on_publish(topics_topic* topic, const void* message, size_t bytes, topics_position position,
                                 void* user)
{
    node* at = user;
    topics_message made = {.text = (const char*)message, .text_bytes = bytes, .binary = message, .binary_bytes = bytes};
    necpnet_result result = topics_publish(at->hub, topic, &made, at->home->now_us);
    if (result == NECPNET_OK) {
        TEST_EQUAL(topics_get_position(topic).epoch, position.epoch);
        TEST_EQUAL(topics_get_position(topic).offset, position.offset);
    }
    return result;
}

static void subscribe_here(node* at, int topic)
{
    topics_topic* made;
    bool recovered;
    reader* to = &at->readers[topic];
    TEST_OK(topics_open(at->hub, topic_names[topic], &made));
    topics_position position = topics_get_position(made);
    to->epoch = position.epoch;
    to->offset = position.offset;
    TEST_OK(topics_subscribe(at->hub, made, &to->subscriber, NULL, at->home->now_us, &recovered));
    to->subscribed = true;
}

static void on_answer(void* ticket, relay_result result, topics_position position, void* user)
{
    node* at = user;
    uintptr_t what = (uintptr_t)ticket - 1;
    int topic = (int)(what / 2);
    (void)position;
    if (what % 2) {
        if (result == RELAY_DONE) {
            subscribe_here(at, topic);
        } else {
            TEST_CHECK(!relay_subscribe(at->machine, topic_names[topic], ticket, at->home->now_us)); /* once more */
        }
    } else if (result == RELAY_DONE) {
        at->done++;
        at->home->done[topic]++;
    } else {
        at->failed++;
    }
}

static void world_tell_nodes(world* at)
{
    relay_node known[NODES];
    uint32_t count = 0;
    for (int i = 0; i < NODES; i++) {
        if (at->nodes[i].alive)
            known[count++] = (relay_node){at->nodes[i].origin, at->nodes[i].name, at->nodes[i].leaves};
    }
    for (int i = 0; i < NODES; i++) {
        if (at->nodes[i].alive) TEST_OK(relay_set_nodes(at->nodes[i].machine, known, count, at->now_us));
    }
}

static void on_left(uint64_t origin, void* user)
{
    node* at = user;
    world* home = at->home;
    relay_node known[NODES];
    uint32_t count = 0;
    for (int i = 0; i < NODES; i++) {
        const node* other = &home->nodes[i];
        if (other->alive && other->origin != origin)
            known[count++] = (relay_node){other->origin, other->name, other->leaves};
    }
    TEST_OK(relay_set_nodes(at->machine, known, count, home->now_us));
}

static void node_begin(world* home, int index, bool tells)
{
    node* at = &home->nodes[index];
    topics_config hub;
    memset(at, 0, sizeof(*at));
    at->home = home;
    at->index = index;
    at->alive = true;
    at->origin = ++home->origins * 1000 + (uint64_t)index;
    snprintf(at->name, sizeof(at->name), "node-%d", index);
    topics_config_default(&hub);
    if (home->topics_max) hub.topics_max = home->topics_max;
    hub.seed = at->origin;
    hub.deliver = on_message;
    hub.gap = on_gap;
    hub.renew = on_renew;
    hub.end = on_end;
    hub.user = at;
    TEST_OK(topics_create(&hub, &at->hub));
    relay_config config = {.hub = at->hub,
                           .self = {at->origin, at->name, false},
                           .send = on_send,
                           .publish = on_publish,
                           .answer = on_answer,
                           .left = on_left,
                           .user = at};
    TEST_OK(relay_create(&config, home->now_us, &at->machine));
    if (tells) world_tell_nodes(home);
}

static void node_end(world* home, int index)
{
    node* at = &home->nodes[index];
    relay* machine = at->machine;
    at->alive = false;
    at->origin = 0;
    at->machine = NULL; /* topics end without it */
    relay_destroy(machine);
    topics_destroy(at->hub);
    for (int i = 0; i < NODES; i++) { /* what is under way to it is lost; what it said is not */
        while (home->ways[i][index]) {
            packet* gone = home->ways[i][index];
            home->ways[i][index] = gone->next;
            free(gone);
        }
    }
}

/* One message arrives, drawn among the ways that have some. False: there is none. */
static bool world_deliver(world* at)
{
    int pairs[NODES * NODES];
    uint32_t count = 0;
    for (int i = 0; i < NODES * NODES; i++) {
        if (at->ways[i / NODES][i % NODES]) pairs[count++] = i;
    }
    if (count == 0) return false;
    int pair = pairs[test_random_below(&at->random, count)];
    int from = pair / NODES, to = pair % NODES;
    packet* one = at->ways[from][to];
    at->ways[from][to] = one->next;
    uint64_t origin = at->nodes[from].origin;
    if (origin == 0) origin = 1; /* it left; its good bye is read by the origin inside */
    relay_message message;
    if (relay_read(one->data, one->bytes, &message)) origin = message.kind == RELAY_LEFT ? message.origin : origin;
    if (at->nodes[to].alive) relay_hear(at->nodes[to].machine, origin, one->data, one->bytes, at->now_us);
    free(one);
    return true;
}

static void world_pass(world* at, uint64_t us)
{
    at->now_us += us;
    for (int i = 0; i < NODES; i++) {
        if (at->nodes[i].alive) relay_work(at->nodes[i].machine, at->now_us);
    }
}

/* Until nothing is under way and all know who owns what. */
static void world_settle(world* at)
{
    for (int turn = 0; turn < 3000; turn++) {
        world_pass(at, 10000);
        for (int i = 0; i < 10000 && world_deliver(at); i++) {
        }
        bool quiet = true;
        for (int i = 0; i < NODES; i++)
            quiet = quiet && (!at->nodes[i].alive || relay_is_settled(at->nodes[i].machine));
        if (quiet && turn > 100) return;
    }
    TEST_FAIL("the nodes do not settle");
}

static void world_begin(world* at, int nodes, uint64_t seed)
{
    memset(at, 0, sizeof(*at));
    at->now_us = 1000000;
    at->places = (place*)calloc(PLACES, sizeof(place));
    TEST_CHECK(at->places != NULL);
    at->random = test_random_begin(seed);
    for (int i = 0; i < nodes; i++) node_begin(at, i, false);
    world_tell_nodes(at);
    world_settle(at);
}

static void world_end(world* at)
{
    for (int i = 0; i < NODES; i++) {
        if (at->nodes[i].alive) node_end(at, i);
    }
    for (int i = 0; i < NODES * NODES; i++) {
        while (at->ways[i / NODES][i % NODES]) {
            packet* gone = at->ways[i / NODES][i % NODES];
            at->ways[i / NODES][i % NODES] = gone->next;
            free(gone);
        }
    }
    free(at->places);
}

static void publish(world* at, int from, int topic)
{
    char said[32];
    topics_topic* made;
    node* publisher = &at->nodes[from];
    int bytes = snprintf(said, sizeof(said), "%d says %u", from, ++publisher->published[topic]);
    if (!relay_publish(publisher->machine, topic_names[topic], said, (size_t)bytes, ticket_of(topic, false),
                       at->now_us))
        return;
    TEST_OK(topics_open(publisher->hub, topic_names[topic], &made));
    topics_position position = topics_get_position(made);
    position.offset++;
    TEST_OK(on_publish(made, said, (size_t)bytes, position, publisher));
    relay_spread(publisher->machine, made);
    publisher->done++;
    at->done[topic]++;
}

static void subscribe(world* at, int index, int topic)
{
    node* who = &at->nodes[index];
    who->readers[topic].wants = true;
    if (relay_subscribe(who->machine, topic_names[topic], ticket_of(topic, true), at->now_us)) {
        subscribe_here(who, topic);
    }
}

static int owner_of(const world* at, int topic)
{
    for (int i = 0; i < NODES; i++) {
        if (!at->nodes[i].alive) continue;
        const char* name = relay_owner(at->nodes[i].machine, topic_names[topic]);
        return name[5] - '0';
    }
    return -1;
}

/* One node hears at a time that another leaves, as it comes over the bus. */
static void drain(world* at, int leaver)
{
    relay_node known[NODES];
    at->nodes[leaver].leaves = true;
    for (int i = 0; i < NODES; i++) {
        uint32_t count = 0;
        int to = (leaver + i) % NODES; /* it knows first */
        if (!at->nodes[to].alive) continue;
        for (int k = 0; k < NODES; k++) {
            const node* one = &at->nodes[k];
            if (one->alive) known[count++] = (relay_node){one->origin, one->name, one->leaves};
        }
        TEST_OK(relay_set_nodes(at->nodes[to].machine, known, count, at->now_us));
        for (int k = (int)test_random_below(&at->random, 6); k > 0; k--) {
            publish(at, (int)test_random_below(&at->random, 4), (int)test_random_below(&at->random, TOPICS));
            (void)world_deliver(at);
        }
    }
}

TEST(test_relay_hands_topics_over_when_a_node_begins_to_leave_and_nobody_notices)
{
    world at;
    TEST_EACH_SEED (seed, 60) {
        world_begin(&at, 4, seed);
        for (int i = 0; i < 4; i++) {
            for (int topic = 0; topic < TOPICS; topic++) subscribe(&at, i, topic);
        }
        world_settle(&at);
        for (int leaver = 0; leaver < 4;
             leaver++) { /* one after the other, the last one alone; then all leave, and all own again */
            for (int n = 0; n < 30; n++) {
                publish(&at, (int)test_random_below(&at.random, 4), (int)test_random_below(&at.random, TOPICS));
                (void)world_deliver(&at);
            }
            drain(&at, leaver);
            for (int n = 0; n < 30; n++) {
                publish(&at, (int)test_random_below(&at.random, 4), (int)test_random_below(&at.random, TOPICS));
                if (test_random_below(&at.random, 3)) (void)world_deliver(&at);
            }
            world_settle(&at);
            relay_figures figures;
            relay_get_figures(at.nodes[leaver].machine, &figures);
            if (leaver < 3) TEST_EQUAL(figures.owned, 0);
            for (int topic = 0; topic < TOPICS; topic++) TEST_CHECK(leaver == 3 || owner_of(&at, topic) > leaver);
        }
        for (int i = 0; i < 4; i++) {
            uint32_t published = 0;
            for (int topic = 0; topic < TOPICS; topic++) {
                const reader* one = &at.nodes[i].readers[topic];
                TEST_EQUAL(one->renewals + one->lost, 0);
                TEST_EQUAL(one->messages, at.done[topic]);
                published += at.nodes[i].published[topic];
            }
            TEST_EQUAL(at.nodes[i].failed, 0);
            TEST_EQUAL(at.nodes[i].done, published);
        }
        relay_leave(at.nodes[0].machine); /* and it goes: nothing is left to be handed */
        node_end(&at, 0);
        for (int turn = 0; turn < 1000 && world_deliver(&at); turn++) {
        }
        world_settle(&at);
        for (int topic = 0; topic < TOPICS; topic++) TEST_EQUAL(at.nodes[2].readers[topic].renewals, 0);
        world_end(&at);
    }
}

TEST(test_relay_counts_a_topic_in_one_place_for_all_nodes)
{
    world at;
    world_begin(&at, 3, 1);
    for (int i = 0; i < 3; i++) {
        for (int topic = 0; topic < TOPICS; topic++) subscribe(&at, i, topic);
    }
    world_settle(&at);
    for (int n = 0; n < 300; n++) {
        publish(&at, n % 3, n % TOPICS);
        if (n % 7 == 0) (void)world_deliver(&at);
    }
    world_settle(&at);
    for (int i = 0; i < 3; i++) {
        TEST_EQUAL(at.nodes[i].done, 100);
        TEST_EQUAL(at.nodes[i].failed, 0);
        for (int topic = 0; topic < TOPICS; topic++) {
            const reader* one = &at.nodes[i].readers[topic];
            TEST_EQUAL(one->messages, 75);
            TEST_EQUAL(one->offset, 75);
            TEST_EQUAL(one->epoch, at.nodes[0].readers[topic].epoch);
            TEST_EQUAL(one->renewals, 0);
        }
    }
    world_end(&at);
}

TEST(test_relay_lets_a_client_recover_on_another_node)
{
    world at;
    topics_topic* topic;
    bool recovered = false;
    world_begin(&at, 3, 2);
    int owner = owner_of(&at, 0);
    int here = (owner + 1) % 3, there = (owner + 2) % 3;
    subscribe(&at, here, 0);
    world_settle(&at);
    for (int n = 0; n < 20; n++) publish(&at, n % 3, 0);
    world_settle(&at);
    reader* old = &at.nodes[here].readers[0];
    topics_position had = {old->epoch, 12};
    TEST_EQUAL(old->offset, 20);
    /* it comes back on a node that never heard of the topic */
    TEST_CHECK(topics_find(at.nodes[there].hub, topic_names[0]) == NULL);
    subscribe(&at, there, 0);
    TEST_CHECK(!at.nodes[there].readers[0].subscribed);
    world_settle(&at);
    topic = topics_find(at.nodes[there].hub, topic_names[0]);
    TEST_CHECK(topic != NULL);
    reader back;
    memset(&back, 0, sizeof(back));
    back.epoch = had.epoch;
    back.offset = had.offset;
    TEST_OK(topics_subscribe(at.nodes[there].hub, topic, &back.subscriber, &had, at.now_us, &recovered));
    TEST_CHECK(recovered);
    TEST_EQUAL(back.messages, 8);
    topics_unsubscribe_all(at.nodes[there].hub, &back.subscriber);
    world_end(&at);
}

/* Nodes come and go in good order while all publish: nothing is lost, nothing counted anew, every reader has every message. */
TEST(test_relay_hands_topics_over_without_a_gap)
{
    TEST_EACH_SEED (seed, 60) {
        world at;
        world_begin(&at, 2, seed);
        for (int topic = 0; topic < TOPICS; topic++) subscribe(&at, 0, topic);
        for (int topic = 0; topic < TOPICS; topic++) subscribe(&at, 1, topic);
        world_settle(&at);
        for (int n = 0; n < 600; n++) {
            uint32_t choice = (uint32_t)test_random_below(&at.random, 200);
            int index = 2 + (int)test_random_below(&at.random, NODES - 2);
            node* other = &at.nodes[index];
            if (choice < 4 && !other->alive && at.place_count > 50) {
                uint32_t numbers[TOPICS];
                memcpy(numbers, other->published, sizeof(numbers));
                node_begin(&at, index, true);
                memcpy(other->published, numbers, sizeof(numbers)); /* readers go on with its numbers */
            } else if (choice < 6 && other->alive && at.nodes[index].done > 10) {
                world_settle(&at); /* its own requests are answered first, as in a drain */
                relay_leave(other->machine);
                node_end(&at, index);
            } else if (choice < 90) {
                int from = (int)test_random_below(&at.random, NODES);
                if (at.nodes[from].alive) publish(&at, from, (int)test_random_below(&at.random, TOPICS));
            } else if (choice < 95) {
                world_pass(&at, 5000);
            } else {
                (void)world_deliver(&at);
            }
        }
        world_settle(&at);
        world_settle(&at);
        for (int i = 0; i < 2; i++) {
            TEST_EQUAL(at.nodes[i].failed, 0);
            for (int topic = 0; topic < TOPICS; topic++) {
                const reader* one = &at.nodes[i].readers[topic];
                TEST_EQUAL(one->renewals, 0);
                TEST_EQUAL(one->lost, 0);
                TEST_EQUAL(one->messages, at.done[topic]);
                TEST_EQUAL(one->offset, at.done[topic]);
            }
        }
        world_end(&at);
    }
}

TEST(test_relay_counts_anew_after_a_crash_and_says_so)
{
    for (int topic = 0; topic < TOPICS; topic++) {
        world at;
        relay_figures figures;
        world_begin(&at, 3, 5);
        for (int i = 0; i < 3; i++) subscribe(&at, i, topic);
        world_settle(&at);
        int owner = owner_of(&at, topic);
        int left = (owner + 1) % 3;
        for (int n = 0; n < 10; n++) publish(&at, left, topic);
        world_settle(&at);
        TEST_EQUAL(at.nodes[left].done, 10);
        publish(&at, left, topic); /* under way when the owner dies */
        node_end(&at, owner);
        world_tell_nodes(&at);
        TEST_EQUAL(at.nodes[left].failed, 1); /* told that it is not known */
        world_settle(&at);
        publish(&at, left, topic);
        publish(&at, (owner + 2) % 3, topic);
        world_settle(&at);
        for (int i = 1; i < 3; i++) {
            const reader* one = &at.nodes[(owner + i) % 3].readers[topic];
            TEST_EQUAL(one->renewals, 1);
            TEST_EQUAL(one->offset, 2);
            TEST_EQUAL(one->messages, 12);
        }
        relay_get_figures(at.nodes[owner_of(&at, topic)].machine, &figures);
        TEST_EQUAL(figures.renewed, 1);
        world_end(&at);
    }
}

/* A bus that loses: answers may fail, but nobody is left behind and nothing is left out silently (the readers check). */
TEST(test_relay_catches_up_after_messages_were_lost)
{
    TEST_EACH_SEED (seed, 40) {
        world at;
        world_begin(&at, 4, seed);
        at.loss_percent = 10;
        for (int i = 0; i < 4; i++) {
            for (int topic = 0; topic < TOPICS; topic++) subscribe(&at, i, topic);
        }
        for (int n = 0; n < 400; n++) {
            publish(&at, (int)test_random_below(&at.random, 4), (int)test_random_below(&at.random, TOPICS));
            for (int k = 0; k < 3; k++) (void)world_deliver(&at);
            world_pass(&at, 3000);
            if (n == 200) world_tell_nodes(&at); /* also while a table is made */
        }
        at.loss_percent = 0;
        for (int n = 0; n < 20; n++) world_settle(&at); /* 20 s */
        for (int topic = 0; topic < TOPICS; topic++) {
            const reader* first = &at.nodes[0].readers[topic];
            TEST_GREATER(first->offset, 0);
            for (int i = 0; i < 4; i++) {
                const reader* one = &at.nodes[i].readers[topic];
                TEST_CHECK(one->subscribed);
                TEST_EQUAL(one->epoch, first->epoch);
                TEST_EQUAL(one->offset, first->offset);
            }
        }
        world_end(&at);
    }
}

TEST(test_relay_lets_go_of_topics_that_nobody_listens_to)
{
    world at;
    relay_figures figures;
    world_begin(&at, 2, 3);
    int owner = owner_of(&at, 0);
    node* other = &at.nodes[1 - owner];
    subscribe(&at, 1 - owner, 0);
    world_settle(&at);
    relay_get_figures(other->machine, &figures);
    TEST_EQUAL(figures.followed, 1);
    topics_unsubscribe_all(other->hub, &other->readers[0].subscriber);
    for (int n = 0; n < 12; n++) world_settle(&at);
    relay_get_figures(other->machine, &figures);
    TEST_EQUAL(figures.followed, 0);
    TEST_CHECK(topics_find(other->hub, topic_names[0]) == NULL);
    relay_get_figures(at.nodes[owner].machine, &figures);
    TEST_EQUAL(figures.owned, 1);
    world_end(&at);
}

/* Owned here or there: who has no room says so at once. */
TEST(test_relay_refuses_a_topic_for_which_its_node_has_no_room)
{
    world at;
    world_begin(&at, 2, 8);
    for (int i = 0; i < 2; i++) node_end(&at, i);
    at.topics_max = 1;
    for (int i = 0; i < 2; i++) node_begin(&at, i, false);
    world_tell_nodes(&at);
    world_settle(&at);
    for (int n = 0; n < TOPICS; n++) {
        publish(&at, 0, n);
        world_settle(&at);
    }
    relay_figures figures[2];
    for (int i = 0; i < 2; i++) relay_get_figures(at.nodes[i].machine, &figures[i]);
    TEST_AT_MOST(figures[0].owned, 1);
    TEST_AT_MOST(figures[1].owned, 1);
    TEST_EQUAL(figures[0].held + figures[1].held, 0);
    TEST_EQUAL(at.nodes[0].done, figures[0].owned + figures[1].owned);
    TEST_EQUAL(at.nodes[0].failed, TOPICS - at.nodes[0].done);
    world_end(&at);
}

TEST(test_relay_tells_of_an_owner_that_does_not_answer)
{
    world at;
    world_begin(&at, 2, 4);
    int owner = owner_of(&at, 0);
    at.loss_percent = 100;
    publish(&at, 1 - owner, 0);
    for (int n = 0; n < 49; n++) world_pass(&at, 100000);
    TEST_EQUAL(at.nodes[1 - owner].failed, 0);
    for (int n = 0; n < 3; n++) world_pass(&at, 100000);
    TEST_EQUAL(at.nodes[1 - owner].failed, 1);
    world_end(&at);
}

TEST(test_relay_refuses_nodes_of_one_name_and_reads_no_rubbish)
{
    world at;
    uint8_t bytes[256];
    world_begin(&at, 2, 6);
    relay_node twice[3] = {{at.nodes[0].origin, "node-0", false}, {77, "node-1", false}, {78, "node-1", false}};
    TEST_EQUAL(relay_set_nodes(at.nodes[0].machine, twice, 3, at.now_us), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(relay_set_nodes(at.nodes[0].machine, twice, 0, at.now_us), NECPNET_ERR_INVALID_ARGUMENT);
    relay_node strangers[2] = {{76, "a", false}, {77, "b", false}}; /* self is not among them */
    TEST_EQUAL(relay_set_nodes(at.nodes[0].machine, strangers, 2, at.now_us), NECPNET_ERR_INVALID_ARGUMENT);
    subscribe(&at, 0, 0);
    world_settle(&at);
    for (int n = 0; n < 20000; n++) {
        size_t count = (size_t)test_random_below(&at.random, sizeof(bytes));
        for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)test_random_below(&at.random, 256);
        if (count > 5) {
            bytes[0] = 1;
            bytes[1] = (uint8_t)(RELAY_PUBLISH + test_random_below(&at.random, 7));
            bytes[4] = (uint8_t)test_random_below(&at.random, 4);
        }
        if (count > 5 && bytes[1] == RELAY_PUBLISH) bytes[1] = RELAY_KINDS; /* that one would be a real publish */
        relay_hear(at.nodes[0].machine, at.nodes[1].origin, bytes, count, at.now_us);
    }
    world_settle(&at);
    publish(&at, 1, 0);
    world_settle(&at);
    TEST_EQUAL(at.nodes[0].readers[0].messages, 1);
    world_end(&at);
}

/* ---------------------------------------------------------------------------------------- over a backend of the bus -- */

static const char* const backends[] = {"local:"};

typedef struct bus_node {
    bus* events;
    necpnet_loop* loop;
    bus_subscription* subscription;
    uint64_t origin;
    topics* hub;
    relay* machine;
    reader one;
    uint32_t done;
    bool ready;
} bus_node;

static topics_taken bus_on_message(topics_subscriber* subscriber, const topics_topic* topic,
                                   const topics_message* message, void* user)
{
    reader* to = (reader*)(void*)subscriber;
    (void)user;
    TEST_EQUAL(topics_get_position(topic).epoch, to->epoch);
    TEST_EQUAL(message->offset, to->offset + 1);
    to->offset = message->offset;
    to->messages++;
    return TOPICS_TAKEN;
}

static void bus_on_send(uint64_t to, const void* data, size_t bytes, void* user)
{
    bus_node* at = user;
    char topic[64];
    text out;
    text_begin_growing(&out);
    text_put_bytes(&out, &at->origin, sizeof(at->origin));
    text_put_bytes(&out, data, bytes);
    snprintf(topic, sizeof(topic), "necpnet.node.%016llx", (unsigned long long)to);
    TEST_OK(bus_publish(at->events, topic, out.to, out.bytes));
    text_end(&out);
}

static void bus_on_hear(const char* topic, const void* data, size_t bytes, void* user)
{
    bus_node* at = user;
    uint64_t from;
    (void)topic;
    memcpy(&from, data, sizeof(from));
    relay_hear(at->machine, from, (const uint8_t*)data + sizeof(from), bytes - sizeof(from), necpnet_time_us());
}

static necpnet_result bus_on_publish(topics_topic* topic, const void* message, size_t bytes, topics_position position,
                                     void* user)
{
    bus_node* at = user;
    topics_message made = {.text = (const char*)message, .text_bytes = bytes, .binary = message, .binary_bytes = bytes};
    (void)position;
    return topics_publish(at->hub, topic, &made, necpnet_time_us());
}

static void bus_on_answer(void* ticket, relay_result result, topics_position position, void* user)
{
    bus_node* at = user;
    (void)position;
    TEST_EQUAL(result, RELAY_DONE);
    if (ticket == &at->one) {
        at->ready = true;
    } else {
        at->done++;
    }
}

static void bus_on_left(uint64_t origin, void* user)
{
    (void)origin;
    (void)user;
}

static void bus_node_begin(bus_node* at, bus* events, uint64_t origin)
{
    char pattern[64];
    topics_config hub;
    memset(at, 0, sizeof(*at));
    at->events = events;
    at->origin = origin;
    topics_config_default(&hub);
    hub.seed = origin;
    hub.deliver = bus_on_message;
    hub.gap = on_gap;
    hub.renew = on_renew;
    hub.user = at;
    TEST_OK(topics_create(&hub, &at->hub));
    relay_config config = {.hub = at->hub,
                           .self = {origin, origin == 1 ? "one" : "two"},
                           .send = bus_on_send,
                           .publish = bus_on_publish,
                           .answer = bus_on_answer,
                           .left = bus_on_left,
                           .user = at};
    TEST_OK(relay_create(&config, necpnet_time_us(), &at->machine));
    TEST_OK(necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &at->loop));
    snprintf(pattern, sizeof(pattern), "necpnet.node.%016llx", (unsigned long long)origin);
    TEST_OK(bus_subscribe(events, pattern, at->loop, bus_on_hear, at, &at->subscription));
}

static void bus_node_end(bus_node* at)
{
    bus_unsubscribe(at->events, at->subscription);
    TEST_OK(necpnet_loop_step(at->loop, 0));
    necpnet_loop_destroy(at->loop);
    relay_destroy(at->machine);
    topics_destroy(at->hub);
}

static void bus_turn(bus_node* nodes)
{
    for (int i = 0; i < 2; i++) {
        TEST_OK(necpnet_loop_step(nodes[i].loop, 1000));
        relay_work(nodes[i].machine, necpnet_time_us());
    }
}

TEST(test_relay_over_every_bus_gives_two_nodes_one_counting)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        bus* events = NULL;
        bus_node nodes[2];
        topics_topic* topic;
        bool recovered;
        TEST_HINT("backend %s", backends[i]);
        TEST_OK(bus_open(backends[i], &events));
        bus_node_begin(&nodes[0], events, 1);
        bus_node_begin(&nodes[1], events, 2);
        relay_node known[2] = {{1, "one", false}, {2, "two", false}};
        for (int k = 0; k < 2; k++) TEST_OK(relay_set_nodes(nodes[k].machine, known, 2, necpnet_time_us()));
        for (int k = 0; k < 2; k++) {
            if (relay_subscribe(nodes[k].machine, "chat.lobby", &nodes[k].one, necpnet_time_us()))
                nodes[k].ready = true;
        }
        for (int n = 0; n < 5000 && !(nodes[0].ready && nodes[1].ready); n++) bus_turn(nodes);
        for (int k = 0; k < 2; k++) {
            TEST_CHECK(nodes[k].ready);
            TEST_OK(topics_open(nodes[k].hub, "chat.lobby", &topic));
            nodes[k].one.epoch = topics_get_position(topic).epoch;
            TEST_OK(
                topics_subscribe(nodes[k].hub, topic, &nodes[k].one.subscriber, NULL, necpnet_time_us(), &recovered));
        }
        TEST_EQUAL(nodes[0].one.epoch, nodes[1].one.epoch);
        for (int n = 0; n < 1000; n++) {
            bus_node* from = &nodes[n % 2];
            if (relay_publish(from->machine, "chat.lobby", "hello", 5, from, necpnet_time_us())) {
                TEST_OK(topics_open(from->hub, "chat.lobby", &topic));
                TEST_OK(bus_on_publish(topic, "hello", 5, (topics_position){0, 0}, from));
                relay_spread(from->machine, topic);
                from->done++;
            }
        }
        for (int n = 0; n < 5000 && nodes[0].one.messages + nodes[1].one.messages < 2000; n++) bus_turn(nodes);
        for (int k = 0; k < 2; k++) {
            TEST_EQUAL(nodes[k].one.messages, 1000);
            TEST_EQUAL(nodes[k].one.offset, 1000);
            TEST_EQUAL(nodes[k].done, 500);
        }
        bus_node_end(&nodes[0]);
        bus_node_end(&nodes[1]);
        bus_close(events);
    }
}

TEST_MAIN
