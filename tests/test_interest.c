/* Interest against a plain model: after every step each observer's set, kept from the events alone, must lie between what
 * the rules demand (within radius) and what they allow (within radius + 1). */
#include "nn_interest.h"
#include "test.h"

#define ENTITIES 60
#define OBSERVERS 6
#define ROOMS 3

struct seer {
    nn_observer observer;
    bool sees[ENTITIES + 1];
    uint32_t changed[ENTITIES + 1];
    bool joined[ROOMS];
    uint32_t events;
};

struct stood {
    bool is_in;
    uint32_t room;
    int32_t x, y;
};

static void seer_enter(void* user, uint16_t place)
{
    struct seer* seer = (struct seer*)user;
    if (!seer->sees[place]) seer->events++;
    seer->sees[place] = true;
}

static void seer_leave(void* user, uint16_t place)
{
    struct seer* seer = (struct seer*)user;
    if (seer->sees[place]) seer->events++;
    seer->sees[place] = false;
}

static void seer_changed(void* user, uint16_t place)
{
    struct seer* seer = (struct seer*)user;
    if (!seer->sees[place]) return;
    seer->changed[place]++;
    seer->events++;
}

static const nn_interest_events seer_events = {seer_enter, seer_leave, seer_changed};

static int64_t stood_distance(const struct seer* seer, const struct stood* stood)
{
    int64_t x = (int64_t)stood->x - seer->observer.x;
    int64_t y = (int64_t)stood->y - seer->observer.y;
    x = x < 0 ? -x : x;
    y = y < 0 ? -y : y;
    return x > y ? x : y;
}

static void check_seer(const struct seer* seer, const struct stood* stood)
{
    for (uint16_t place = 1; place <= ENTITIES; place++) {
        bool must = false;
        bool may = false;
        if (stood[place].is_in && seer->joined[stood[place].room]) {
            if (stood[place].x == NN_INTEREST_NOWHERE) {
                must = may = true;
            } else if (seer->observer.x != NN_INTEREST_NOWHERE) {
                must = stood_distance(seer, &stood[place]) <= (int64_t)seer->observer.radius;
                may = stood_distance(seer, &stood[place]) <= (int64_t)seer->observer.radius + 1;
            }
        }
        if (must) TEST_CHECK(seer->sees[place]);
        if (!may) TEST_CHECK(!seer->sees[place]);
    }
}

static int32_t random_cell(struct test_random* random, int32_t around)
{
    static const int32_t far_cells[] = {INT32_MAX, INT32_MAX - 1, INT32_MIN + 1, INT32_MIN + 2};
    if (test_random_below(random, 40) == 0) return far_cells[test_random_below(random, 4)];
    return around + (int32_t)test_random_below(random, 21) - 10;
}

static void random_step(nn_interest* interest, struct seer* seers, struct stood* stood, struct test_random* random)
{
    uint16_t place = (uint16_t)(1 + test_random_below(random, ENTITIES));
    struct seer* seer = &seers[test_random_below(random, OBSERVERS)];
    uint32_t room = (uint32_t)test_random_below(random, ROOMS);
    switch (test_random_below(random, 12)) {
    case 0:
        nn_interest_take(interest, place);
        stood[place].is_in = false;
        break;
    case 1:
        TEST_OK(nn_observer_join(&seer->observer, room));
        seer->joined[room] = true;
        break;
    case 2:
        TEST_EQUAL(nn_observer_part(&seer->observer, room), seer->joined[room] ? NECPNET_OK : NECPNET_ERR_NOT_FOUND);
        seer->joined[room] = false;
        break;
    case 3:
    case 4: {
        bool nowhere = test_random_below(random, 10) == 0;
        int32_t x = nowhere ? NN_INTEREST_NOWHERE : random_cell(random, 0);
        TEST_OK(nn_observer_move(&seer->observer, x, nowhere ? x : random_cell(random, 0)));
        break;
    }
    case 5: nn_interest_changed(interest, place); break;
    default: {
        bool nowhere = test_random_below(random, 10) == 0;
        struct stood* one = &stood[place];
        bool step = one->is_in && one->x != NN_INTEREST_NOWHERE && one->x < 1000 && one->x > -1000 && one->y < 1000 &&
                    one->y > -1000 && test_random_below(random, 2);
        one->x = nowhere ? NN_INTEREST_NOWHERE
                 : step  ? one->x + (int32_t)test_random_below(random, 3) - 1
                         : random_cell(random, 0);
        one->y = nowhere ? NN_INTEREST_NOWHERE
                 : step  ? one->y + (int32_t)test_random_below(random, 3) - 1
                         : random_cell(random, 0);
        if (!step) one->room = room;
        one->is_in = true;
        TEST_OK(nn_interest_put(interest, place, one->room, one->x, one->y));
    }
    }
}

TEST(test_interest_equals_a_plain_model_whatever_moves_joins_and_goes)
{
    struct necpnet_allocator allocator = test_allocator();
    TEST_EACH_SEED (seed, 60) {
        nn_alloc alloc;
        nn_interest interest;
        static struct seer seers[OBSERVERS];
        static struct stood stood[ENTITIES + 1];
        struct test_random random = test_random_begin(seed);
        memset(seers, 0, sizeof seers);
        memset(stood, 0, sizeof stood);
        nn_alloc_init(&alloc, &allocator);
        nn_interest_init(&interest, &alloc, &seer_events);
        for (uint32_t i = 0; i < OBSERVERS; i++) nn_observer_init(&seers[i].observer, &interest, &seers[i], i);
        for (int step = 0; step < 600; step++) {
            random_step(&interest, seers, stood, &random);
            for (int i = 0; i < OBSERVERS; i++) check_seer(&seers[i], stood);
        }
        for (int i = 0; i < OBSERVERS; i++) nn_observer_reset(&seers[i].observer);
        for (uint16_t place = 1; place <= ENTITIES; place++) nn_interest_take(&interest, place);
        TEST_EQUAL(interest.cell_count, 0);
        nn_interest_reset(&interest);
        TEST_EQUAL(alloc.bytes, 0);
    }
}

TEST(test_interest_tells_a_change_to_those_who_watch_and_to_nobody_else)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_interest interest;
    struct seer near_by, far_off;
    memset(&near_by, 0, sizeof near_by);
    memset(&far_off, 0, sizeof far_off);
    nn_alloc_init(&alloc, &allocator);
    nn_interest_init(&interest, &alloc, &seer_events);
    nn_observer_init(&near_by.observer, &interest, &near_by, 2);
    nn_observer_init(&far_off.observer, &interest, &far_off, 2);
    TEST_OK(nn_observer_join(&near_by.observer, 0));
    TEST_OK(nn_observer_join(&far_off.observer, 0));
    TEST_OK(nn_observer_move(&near_by.observer, 0, 0));
    TEST_OK(nn_observer_move(&far_off.observer, 100, 0));
    TEST_OK(nn_interest_put(&interest, 7, 0, 2, -2));
    TEST_EQUAL(near_by.events, 1);
    for (int i = 0; i < 5; i++) nn_interest_changed(&interest, 7);
    TEST_EQUAL(near_by.changed[7], 5);
    TEST_EQUAL(far_off.events, 0);
    TEST_OK(nn_interest_put(&interest, 7, 0, 3, -2)); /* one cell beyond: still in view */
    TEST_CHECK(near_by.sees[7]);
    TEST_OK(nn_interest_put(&interest, 7, 0, 4, -2));
    TEST_CHECK(!near_by.sees[7]);
    TEST_OK(nn_interest_put(&interest, 7, 0, 3, -2)); /* and comes back within the radius alone */
    TEST_CHECK(!near_by.sees[7]);
    nn_interest_changed(&interest, 99);
    nn_interest_take(&interest, 99);
    nn_observer_reset(&near_by.observer);
    nn_observer_reset(&far_off.observer);
    nn_interest_reset(&interest);
    TEST_EQUAL(alloc.bytes, 0);
}

TEST(test_interest_stands_as_it_stood_when_memory_is_refused)
{
    struct necpnet_allocator allocator = test_allocator();
    TEST_EACH_ALLOCATION_FAILS {
        nn_alloc alloc;
        nn_interest interest;
        struct seer seer;
        struct stood stood[ENTITIES + 1];
        memset(&seer, 0, sizeof seer);
        memset(stood, 0, sizeof stood);
        nn_alloc_init(&alloc, &allocator);
        nn_interest_init(&interest, &alloc, &seer_events);
        nn_observer_init(&seer.observer, &interest, &seer, 3);
        for (uint32_t room = 0; room < ROOMS; room++) {
            if (nn_observer_join(&seer.observer, room) == NECPNET_OK) seer.joined[room] = true;
        }
        for (int32_t step = 0; step < 60; step++) {
            uint16_t place = (uint16_t)(1 + step % ENTITIES);
            if (nn_interest_put(&interest, place, (uint32_t)step % ROOMS, step, step / 2) == NECPNET_OK) {
                stood[place].is_in = true;
                stood[place].room = (uint32_t)step % ROOMS;
                stood[place].x = step;
                stood[place].y = step / 2;
            }
            (void)nn_observer_move(&seer.observer, step / 2, step / 4);
            check_seer(&seer, stood);
        }
        nn_observer_reset(&seer.observer);
        nn_interest_reset(&interest);
        TEST_EQUAL(alloc.bytes, 0);
    }
}

TEST(test_interest_limits_the_rooms_of_one_observer)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_interest interest;
    struct seer seer;
    memset(&seer, 0, sizeof seer);
    nn_alloc_init(&alloc, &allocator);
    nn_interest_init(&interest, &alloc, &seer_events);
    nn_observer_init(&seer.observer, &interest, &seer, 0);
    for (uint32_t room = 0; room < NN_INTEREST_ROOMS_MAX; room++) TEST_OK(nn_observer_join(&seer.observer, room));
    TEST_OK(nn_observer_join(&seer.observer, 0));
    TEST_EQUAL(nn_observer_join(&seer.observer, NN_INTEREST_ROOMS_MAX), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(nn_observer_part(&seer.observer, 3));
    TEST_OK(nn_observer_join(&seer.observer, NN_INTEREST_ROOMS_MAX));
    nn_observer_reset(&seer.observer);
    nn_interest_reset(&interest);
}

TEST_MAIN
