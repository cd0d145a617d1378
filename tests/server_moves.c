/* server_moves - aim: a session is on one node at a time, whatever is lost, comes twice or overtakes: its owner or one claimant has it,
 * or nobody; never two. Each claim is answered once. Method: nodes in one process over ways that lose, repeat and delay by a
 * seed; a session is a number, what it carries a text.
 */
#include "test.h"

#include "moves.h"

#define NODES 3
#define SESSIONS 6
#define PACKETS 4096

typedef struct packet {
    uint64_t from, to, at_us;
    size_t bytes;
    uint8_t data[256];
} packet;

typedef struct world world;

typedef struct node {
    world* home;
    uint64_t origin; /* 1 .. */
    moves* machine;
    bool has[SESSIONS];  /* and may serve it */
    bool held[SESSIONS]; /* given, not settled */
    bool refuses;
    int answers[MOVES_NODE_GONE + 1];
} node;

struct world {
    node nodes[NODES];
    packet packets[PACKETS];
    uint32_t packet_count;
    uint32_t loss_percent, twice_percent, delay_us;
    uint32_t asked;
    uint64_t now_us;
    struct test_random random;
};

static void on_send(uint64_t to, const void* data, size_t bytes, void* user)
{
    node* at = user;
    world* home = at->home;
    for (int copies = test_random_below(&home->random, 100) < home->twice_percent ? 2 : 1; copies > 0; copies--) {
        if (test_random_below(&home->random, 100) < home->loss_percent) continue;
        TEST_LESS(home->packet_count, PACKETS);
        TEST_AT_MOST(bytes, sizeof(home->packets[0].data));
        packet* made = &home->packets[home->packet_count++];
        *made = (packet){.from = at->origin, .to = to, .bytes = bytes};
        made->at_us = home->now_us + 1 + test_random_below(&home->random, home->delay_us + 1);
        memcpy(made->data, data, bytes);
    }
}

static int number_of(const moves_key* key)
{
    return key->session[31] - 'a';
}

static bool on_give(const moves_key* key, text* record, void* user)
{
    node* at = user;
    int session = number_of(key);
    TEST_EQUAL_STRING(key->ticket + 40, "proof-ok");
    if (!at->has[session] || at->held[session]) return false;
    at->held[session] = true;
    text_format(record, "session %d of %u", session, (unsigned)key->client_id);
    return true;
}

static void on_settle(const moves_key* key, bool gone, bool taken, void* user)
{
    node* at = user;
    int session = number_of(key);
    TEST_CHECK(at->held[session]);
    TEST_CHECK(gone || !taken);
    at->held[session] = false;
    if (gone) at->has[session] = false;
}

/* The session's number; 1 more, because a ticket is never NULL. */
static bool on_answer(void* ticket, moves_result result, const void* record, size_t bytes, void* user)
{
    node* at = user;
    int session = (int)(uintptr_t)ticket - 1;
    char wanted[64];
    at->answers[result]++;
    if (result != MOVES_DONE) return false;
    snprintf(wanted, sizeof(wanted), "session %d of %d", session, session + 100);
    TEST_EQUAL(bytes, strlen(wanted));
    TEST_EQUAL_BYTES(record, wanted, bytes);
    if (at->refuses) return false;
    TEST_CHECK(!at->has[session]);
    at->has[session] = true;
    return true;
}

static void begin(world* at, uint64_t seed)
{
    memset(at, 0, sizeof(*at));
    at->random = test_random_begin(seed);
    at->now_us = 1000000;
    for (int i = 0; i < NODES; i++) {
        node* one = &at->nodes[i];
        one->home = at;
        one->origin = (uint64_t)i + 1;
        moves_config wish = {.self = one->origin,
                             .send = on_send,
                             .give = on_give,
                             .settle = on_settle,
                             .answer = on_answer,
                             .user = one};
        TEST_OK(moves_create(&wish, &one->machine));
    }
    for (int i = 0; i < SESSIONS; i++) at->nodes[0].has[i] = true;
}

static void end(world* at)
{
    for (int i = 0; i < NODES; i++) moves_destroy(at->nodes[i].machine);
}

/* At most one node may serve a session. */
static void check_one(const world* at)
{
    for (int session = 0; session < SESSIONS; session++) {
        int holders = 0;
        for (int i = 0; i < NODES; i++) holders += at->nodes[i].has[session] && !at->nodes[i].held[session];
        TEST_AT_MOST(holders, 1);
    }
}

static void claim(world* at, int by, int of, int session)
{
    moves_key key = {.client_id = (uint64_t)session + 100};
    snprintf(key.session, sizeof(key.session), "0123456789012345678901234567890%c", 'a' + session);
    snprintf(key.ticket, sizeof(key.ticket), "0123456789012345678901234567890123456789proof-ok");
    at->asked++;
    TEST_OK(
        moves_claim(at->nodes[by].machine, at->nodes[of].origin, &key, (void*)((uintptr_t)session + 1), at->now_us));
}

static void step(world* at, uint64_t us)
{
    uint64_t until_us = at->now_us + us;
    while (at->now_us < until_us) {
        at->now_us += 10000;
        for (uint32_t i = 0; i < at->packet_count;) {
            if (at->packets[i].at_us > at->now_us) {
                i++;
                continue;
            }
            packet one = at->packets[i];
            at->packets[i] = at->packets[--at->packet_count];
            moves_hear(at->nodes[one.to - 1].machine, one.from, one.data, one.bytes, at->now_us);
            check_one(at);
        }
        for (int i = 0; i < NODES; i++) moves_work(at->nodes[i].machine, at->now_us);
        check_one(at);
    }
}

TEST(test_moves_a_session_goes_to_who_claims_it_first_and_to_nobody_else)
{
    static world at;
    moves_figures figures;
    begin(&at, 1);
    claim(&at, 1, 0, 2);
    step(&at, 100000);
    TEST_CHECK(at.nodes[1].has[2] && !at.nodes[0].has[2] && !at.nodes[0].held[2]);
    claim(&at, 2, 0, 2);
    step(&at, 100000);
    TEST_EQUAL(at.nodes[2].answers[MOVES_UNKNOWN], 1);
    claim(&at, 2, 1, 2); /* and on from there */
    step(&at, 100000);
    TEST_CHECK(at.nodes[2].has[2] && !at.nodes[1].has[2]);
    moves_get_figures(at.nodes[1].machine, &figures);
    TEST_EQUAL(figures.taken, 1);
    TEST_EQUAL(figures.given, 1);
    TEST_EQUAL(figures.claims + figures.held, 0);
    end(&at);
}

TEST(test_moves_a_session_whose_client_has_gone_meanwhile_stays_where_it_was)
{
    static world at;
    begin(&at, 1);
    at.nodes[1].refuses = true;
    claim(&at, 1, 0, 0);
    step(&at, 100000);
    TEST_CHECK(at.nodes[0].has[0] && !at.nodes[0].held[0]);
    claim(&at, 2, 0, 0);
    step(&at, 100000);
    TEST_CHECK(at.nodes[2].has[0] && !at.nodes[0].has[0]);
    end(&at);
}

TEST(test_moves_who_does_not_answer_is_late_and_who_is_gone_is_gone)
{
    static world at;
    begin(&at, 1);
    at.loss_percent = 100;
    claim(&at, 1, 0, 0);
    step(&at, MOVES_DEADLINE_US - 100000);
    TEST_EQUAL(at.nodes[1].answers[MOVES_LATE], 0);
    step(&at, 300000);
    TEST_EQUAL(at.nodes[1].answers[MOVES_LATE], 1);
    TEST_CHECK(at.nodes[0].has[0]);
    claim(&at, 1, 0, 1);
    claim(&at, 1, 2, 1);
    moves_lose_node(at.nodes[1].machine, at.nodes[0].origin);
    TEST_EQUAL(at.nodes[1].answers[MOVES_NODE_GONE], 1);
    step(&at, MOVES_DEADLINE_US + 200000);
    TEST_EQUAL(at.nodes[1].answers[MOVES_LATE], 2);
    end(&at);
}

TEST(test_moves_what_nobody_said_anything_about_ends)
{
    static world at;
    begin(&at, 1);
    claim(&at, 1, 0, 3);
    at.loss_percent = 100; /* the claim is on its way already */
    step(&at, MOVES_HELD_US + MOVES_DEADLINE_US);
    TEST_CHECK(!at.nodes[0].has[3] && !at.nodes[0].held[3] && !at.nodes[1].has[3]);
    TEST_EQUAL(at.nodes[1].answers[MOVES_LATE], 1);
    end(&at);
}

TEST(test_moves_never_two_have_a_session_whatever_the_way_does)
{
    static world at;
    int served = 0;
    TEST_EACH_SEED (seed, 300) {
        begin(&at, seed);
        at.loss_percent = (uint32_t)test_random_below(&at.random, 50);
        at.twice_percent = (uint32_t)test_random_below(&at.random, 50);
        at.delay_us = (uint32_t)test_random_below(&at.random, 3000000);
        for (int i = 0; i < 40; i++) {
            int by = (int)test_random_below(&at.random, NODES);
            int of = (int)test_random_below(&at.random, NODES);
            int session = (int)test_random_below(&at.random, SESSIONS);
            at.nodes[by].refuses = test_random_below(&at.random, 8) == 0;
            if (by != of && !at.nodes[by].has[session]) {
                bool free_of_it = true; /* one claim a client at a time, as sessions do */
                moves_figures figures;
                for (int k = 0; k < NODES; k++) {
                    moves_get_figures(at.nodes[k].machine, &figures);
                    free_of_it = free_of_it && figures.claims == 0;
                }
                if (free_of_it) claim(&at, by, of, session);
            }
            step(&at, test_random_below(&at.random, 2000000));
        }
        step(&at, MOVES_HELD_US + 2 * MOVES_DEADLINE_US + at.delay_us);
        uint32_t answered = 0;
        for (int i = 0; i < NODES; i++) {
            moves_figures figures;
            moves_get_figures(at.nodes[i].machine, &figures);
            TEST_EQUAL(figures.claims + figures.held, 0);
            for (int k = 0; k <= MOVES_NODE_GONE; k++) answered += (uint32_t)at.nodes[i].answers[k];
            for (int k = 0; k < SESSIONS; k++) {
                TEST_CHECK(!at.nodes[i].held[k]);
                served += at.nodes[i].has[k];
            }
        }
        TEST_EQUAL(answered, at.asked);
        end(&at);
    }
    TEST_GREATER(served, 300); /* most of them live on */
}

TEST(test_moves_strange_bytes_do_nothing)
{
    static world at;
    uint8_t data[200];
    begin(&at, 5);
    for (int i = 0; i < 20000; i++) {
        size_t bytes = test_random_below(&at.random, sizeof(data));
        test_random_bytes(&at.random, data, bytes);
        data[0] = MOVES_WIRE;
        data[1] = (uint8_t)(2 + test_random_below(&at.random, 4)); /* all but a whole claim */
        moves_hear(at.nodes[0].machine, 2, data, bytes, at.now_us);
        at.packet_count = 0;
    }
    for (int i = 0; i < SESSIONS; i++) TEST_CHECK(at.nodes[0].has[i]);
    moves_destroy(NULL);
    end(&at);
}

TEST_MAIN
