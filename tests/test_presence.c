/* test_presence - aim: everybody who may see a player hears of each change once, in time and as little as promised; invisible
 * is offline to the last bit; limits, short memory and hostile bytes are ordinary. Method: small scenes, and a random history
 * beside a model that keeps what each watcher should know. */
#include "test.h"

#include "nn_presence.h"

#define SECOND UINT64_C(1000000)
#define WALL (UINT64_C(1700000000) * SECOND)

typedef struct scene {
    necpnet_allocator allocator;
    necpnet_presence_config config;
    necpnet_presence* presence;
    uint64_t now_us;
} scene;

static void scene_configure(scene* at)
{
    memset(at, 0, sizeof *at);
    at->allocator = test_allocator();
    TEST_OK(necpnet_presence_config_default(&at->config));
    at->config.allocator = at->allocator;
    at->now_us = 5 * SECOND;
}

static void scene_open(scene* at)
{
    TEST_OK(necpnet_presence_create(&at->config, &at->presence));
    TEST_OK(necpnet_presence_set_wall_time(at->presence, WALL + at->now_us, at->now_us));
    TEST_OK(necpnet_presence_update(at->presence, at->now_us));
}

static void scene_begin(scene* at)
{
    scene_configure(at);
    scene_open(at);
}

/* What the records and edges must be, whatever happened. */
static void scene_check(const scene* at)
{
    const necpnet_presence* presence = at->presence;
    uint64_t ends = 0;
    for (uint32_t i = 0; i < presence->used; i++) {
        const nn_presence_record* record = &presence->records[i];
        uint32_t friends = 0, watches = 0, watched = 0;
        if (record->life == NN_PRESENCE_FREE) continue;
        TEST_EQUAL(nn_presence_find(presence, record->player), i);
        for (uint32_t e = 0; e < record->edge_count; e++) {
            const nn_presence_edge* edge = &record->edges[e];
            const nn_presence_edge* back = &presence->records[nn_presence_other(edge)].edges[edge->back];
            TEST_EQUAL(nn_presence_other(back), i);
            TEST_EQUAL(back->back, e);
            TEST_EQUAL(edge->other & NN_PRESENCE_FRIEND, back->other & NN_PRESENCE_FRIEND);
            TEST_EQUAL(!!(edge->other & NN_PRESENCE_WATCHES), !!(back->other & NN_PRESENCE_WATCHED));
            TEST_CHECK(edge->other & (NN_PRESENCE_SEES | NN_PRESENCE_SEEN));
            friends += (edge->other & NN_PRESENCE_FRIEND) != 0;
            watches += (edge->other & NN_PRESENCE_WATCHES) != 0;
            watched += (edge->other & NN_PRESENCE_WATCHED) != 0;
            if (record->life == NN_PRESENCE_GONE) TEST_CHECK(!(edge->other & NN_PRESENCE_WATCHES));
        }
        TEST_EQUAL(record->friends, friends);
        TEST_EQUAL(record->watches, watches);
        TEST_EQUAL(record->watched, watched);
        ends += record->edge_count;
    }
    TEST_EQUAL(presence->statistics.edges * 2, ends);
}

static void scene_end(scene* at)
{
    scene_check(at);
    necpnet_presence_destroy(at->presence);
}

static void scene_step(scene* at, uint64_t us)
{
    at->now_us += us;
    TEST_OK(necpnet_presence_update(at->presence, at->now_us));
}

static necpnet_presence_info scene_look(const scene* at, necpnet_player viewer, necpnet_player player)
{
    necpnet_presence_info info;
    TEST_OK(necpnet_presence_get(at->presence, viewer, player, &info));
    return info;
}

/* One update for this watcher of this many items, and no other update. */
static necpnet_presence_change scene_expect(scene* at, necpnet_player watcher, size_t count)
{
    necpnet_presence_change change, more;
    TEST_CHECK(necpnet_presence_poll(at->presence, &change));
    TEST_EQUAL(change.watcher, watcher);
    TEST_EQUAL(change.count, count);
    necpnet_presence_info first = change.items[0];
    TEST_CHECK(!necpnet_presence_poll(at->presence, &more));
    TEST_EQUAL_BYTES(&change.items[0], &first, sizeof first);
    return change;
}

static void scene_expect_silence(scene* at)
{
    necpnet_presence_change change;
    TEST_CHECK(!necpnet_presence_poll(at->presence, &change));
}

/* Two friends who know of each other. */
static void scene_two_friends(scene* at)
{
    necpnet_presence_change change;
    TEST_OK(necpnet_presence_connect(at->presence, 1, NECPNET_PRESENCE_ONLINE));
    TEST_OK(necpnet_presence_connect(at->presence, 2, NECPNET_PRESENCE_ONLINE));
    TEST_OK(necpnet_presence_add_friend(at->presence, 1, 2));
    TEST_CHECK(necpnet_presence_poll(at->presence, &change));
    TEST_CHECK(necpnet_presence_poll(at->presence, &change));
    scene_step(at, SECOND);
    scene_expect_silence(at);
}

/* ---- ordinary ---- */

TEST(test_presence_friends_hear_of_each_other_at_once)
{
    scene s;
    necpnet_presence_change change;
    scene_begin(&s);
    TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_ONLINE));
    TEST_OK(necpnet_presence_add_friend(s.presence, 1, 2));
    scene_expect_silence(&s); /* 2 is offline, 1 takes it for that */
    TEST_OK(necpnet_presence_connect(s.presence, 2, NECPNET_PRESENCE_AWAY));
    TEST_CHECK(necpnet_presence_poll(s.presence, &change));
    TEST_EQUAL(change.watcher, 1);
    TEST_EQUAL(change.count, 1);
    TEST_EQUAL(change.items[0].player, 2);
    TEST_EQUAL(change.items[0].status, NECPNET_PRESENCE_AWAY);
    change = scene_expect(&s, 2, 1);
    TEST_EQUAL(change.items[0].player, 1);
    TEST_EQUAL(change.items[0].status, NECPNET_PRESENCE_ONLINE);
    TEST_EQUAL(change.items[0].last_seen_us, WALL + s.now_us);
    scene_end(&s);
}

TEST(test_presence_changes_within_the_interval_are_told_together_at_its_end)
{
    scene s;
    scene_begin(&s);
    scene_two_friends(&s);
    TEST_OK(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_BUSY));
    (void)scene_expect(&s, 2, 1);
    scene_step(&s, SECOND / 10);
    TEST_OK(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_IN_GAME));
    TEST_OK(necpnet_presence_set_place(s.presence, 1, 7, "the mill"));
    scene_expect_silence(&s);
    TEST_EQUAL(necpnet_presence_deadline_us(s.presence), s.now_us + SECOND / 10 * 9);
    scene_step(&s, SECOND / 10 * 9 - 1);
    scene_expect_silence(&s);
    scene_step(&s, 1);
    necpnet_presence_change change = scene_expect(&s, 2, 1);
    TEST_EQUAL(change.items[0].status, NECPNET_PRESENCE_IN_GAME);
    TEST_EQUAL(change.items[0].zone, 7);
    TEST_EQUAL_STRING(change.items[0].location, "the mill");
    scene_step(&s, SECOND);
    scene_expect_silence(&s);
    TEST_EQUAL(necpnet_presence_deadline_us(s.presence), UINT64_MAX);
    TEST_OK(necpnet_presence_set_place(s.presence, 1, 7, "the mill")); /* as it is */
    scene_expect_silence(&s);
    scene_end(&s);
}

TEST(test_presence_watching_is_one_way_and_ends)
{
    scene s;
    scene_begin(&s);
    TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_ONLINE));
    TEST_OK(necpnet_presence_connect(s.presence, 2, NECPNET_PRESENCE_ONLINE));
    TEST_OK(necpnet_presence_watch(s.presence, 1, 2));
    TEST_OK(necpnet_presence_watch(s.presence, 1, 2));
    (void)scene_expect(&s, 1, 1);
    TEST_OK(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_BUSY));
    scene_step(&s, SECOND);
    scene_expect_silence(&s);
    TEST_OK(necpnet_presence_set_status(s.presence, 2, NECPNET_PRESENCE_BUSY));
    (void)scene_expect(&s, 1, 1);
    TEST_OK(necpnet_presence_unwatch(s.presence, 1, 2));
    TEST_EQUAL(necpnet_presence_unwatch(s.presence, 1, 2), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_presence_remove_friend(s.presence, 1, 2), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_presence_set_status(s.presence, 2, NECPNET_PRESENCE_AWAY));
    scene_step(&s, SECOND);
    scene_expect_silence(&s);
    scene_end(&s);
}

TEST(test_presence_lost_player_is_shown_as_before_until_grace_ends)
{
    scene s;
    scene_begin(&s);
    scene_two_friends(&s);
    TEST_OK(necpnet_presence_set_place(s.presence, 1, 3, "gate"));
    (void)scene_expect(&s, 2, 1);
    uint64_t lost_us = s.now_us;
    TEST_OK(necpnet_presence_disconnect(s.presence, 1, true));
    TEST_EQUAL(necpnet_presence_disconnect(s.presence, 1, true), NECPNET_ERR_NOT_FOUND);
    scene_step(&s, 10 * SECOND);
    scene_expect_silence(&s);
    TEST_EQUAL(scene_look(&s, 2, 1).status, NECPNET_PRESENCE_ONLINE);
    TEST_EQUAL(necpnet_presence_deadline_us(s.presence), lost_us + 30 * SECOND);
    scene_step(&s, 20 * SECOND);
    necpnet_presence_change change = scene_expect(&s, 2, 1);
    TEST_EQUAL(change.items[0].status, NECPNET_PRESENCE_OFFLINE);
    TEST_EQUAL(change.items[0].zone, 0);
    TEST_EQUAL_STRING(change.items[0].location, "");
    TEST_EQUAL(change.items[0].last_seen_us, WALL + lost_us);
    scene_end(&s);
}

TEST(test_presence_outlives_a_reconnect)
{
    scene s;
    scene_begin(&s);
    scene_two_friends(&s);
    TEST_OK(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_BUSY));
    (void)scene_expect(&s, 2, 1);
    TEST_OK(necpnet_presence_disconnect(s.presence, 1, true));
    scene_step(&s, 5 * SECOND);
    TEST_OK(necpnet_presence_set_status(s.presence, 2, NECPNET_PRESENCE_AWAY));
    scene_step(&s, 5 * SECOND);
    scene_expect_silence(&s); /* 1 is away: it waits */
    TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_ONLINE));
    TEST_EQUAL(scene_look(&s, 2, 1).status, NECPNET_PRESENCE_BUSY);
    necpnet_presence_change change = scene_expect(&s, 1, 1);
    TEST_EQUAL(change.items[0].status, NECPNET_PRESENCE_AWAY);
    scene_step(&s, 100 * SECOND);
    TEST_EQUAL(scene_look(&s, 2, 1).status, NECPNET_PRESENCE_BUSY);
    scene_end(&s);
}

TEST(test_presence_player_with_two_devices_is_here_until_both_are_gone)
{
    scene s;
    scene_begin(&s);
    scene_two_friends(&s);
    TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_INVISIBLE)); /* here already: ignored */
    TEST_OK(necpnet_presence_refresh(s.presence, 1));
    (void)scene_expect(&s, 1, 1);
    TEST_OK(necpnet_presence_disconnect(s.presence, 1, false));
    TEST_EQUAL(scene_look(&s, 2, 1).status, NECPNET_PRESENCE_ONLINE);
    TEST_OK(necpnet_presence_disconnect(s.presence, 1, false));
    TEST_EQUAL(scene_look(&s, 2, 1).status, NECPNET_PRESENCE_OFFLINE);
    TEST_EQUAL(necpnet_presence_disconnect(s.presence, 1, false), NECPNET_ERR_NOT_FOUND);
    scene_end(&s);
}

/* ---- invisible ---- */

/* The same life twice, once leaving and once becoming invisible; 2 and a stranger see the same bytes at every step. */
TEST(test_presence_invisible_looks_exactly_offline)
{
    uint8_t seen[2][4096];
    size_t seen_bytes[2] = {0, 0};
    for (int run = 0; run < 2; run++) {
        scene s;
        scene_begin(&s);
        scene_two_friends(&s);
        TEST_OK(necpnet_presence_set_place(s.presence, 1, 5, "bridge"));
        (void)scene_expect(&s, 2, 1);
        scene_step(&s, 2 * SECOND);
        if (run == 0) {
            TEST_OK(necpnet_presence_disconnect(s.presence, 1, false));
        } else {
            TEST_OK(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_INVISIBLE));
        }
        for (int step = 0; step < 8; step++) {
            necpnet_presence_change change;
            necpnet_presence_info infos[8];
            size_t bytes, count;
            while (necpnet_presence_poll(s.presence, &change)) {
                TEST_EQUAL(change.watcher, 2);
                TEST_OK(necpnet_presence_write(change.items, change.count, seen[run] + seen_bytes[run],
                                               sizeof seen[run] - seen_bytes[run], &bytes));
                seen_bytes[run] += bytes;
            }
            TEST_OK(necpnet_presence_get_seen(s.presence, 2, infos, 8, &count));
            infos[count++] = scene_look(&s, 0, 1);
            TEST_OK(necpnet_presence_write(infos, count, seen[run] + seen_bytes[run],
                                           sizeof seen[run] - seen_bytes[run], &bytes));
            seen_bytes[run] += bytes;
            seen[run][seen_bytes[run]++] = (uint8_t)necpnet_presence_next(s.presence, 0);
            if (run == 1) { /* whatever it does */
                if (step == 1) TEST_OK(necpnet_presence_set_place(s.presence, 1, 6, "cave"));
                if (step == 2) TEST_OK(necpnet_presence_disconnect(s.presence, 1, true));
                if (step == 3) TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_ONLINE));
                if (step == 4) TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_ONLINE));
                if (step == 5) TEST_OK(necpnet_presence_disconnect(s.presence, 1, true));
                if (step == 6) TEST_OK(necpnet_presence_disconnect(s.presence, 1, false));
                if (step >= 3 && step < 5) {
                    TEST_EQUAL(scene_look(&s, 1, 1).status, NECPNET_PRESENCE_INVISIBLE);
                    TEST_EQUAL_STRING(scene_look(&s, 1, 1).location, "cave");
                }
            }
            scene_step(&s, 700000);
        }
        scene_end(&s);
    }
    TEST_EQUAL(seen_bytes[0], seen_bytes[1]);
    TEST_EQUAL_BYTES(seen[1], seen[0], seen_bytes[0]);
}

TEST(test_presence_invisible_from_the_start_is_never_seen_and_sees)
{
    scene s;
    scene_begin(&s);
    TEST_OK(necpnet_presence_connect(s.presence, 2, NECPNET_PRESENCE_ONLINE));
    TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_INVISIBLE));
    TEST_OK(necpnet_presence_add_friend(s.presence, 1, 2));
    necpnet_presence_change change = scene_expect(&s, 1, 1);
    TEST_EQUAL(change.items[0].player, 2);
    TEST_EQUAL(scene_look(&s, 2, 1).status, NECPNET_PRESENCE_OFFLINE);
    TEST_EQUAL(scene_look(&s, 2, 1).last_seen_us, 0);
    TEST_OK(necpnet_presence_disconnect(s.presence, 1, false));
    TEST_EQUAL(scene_look(&s, 2, 1).last_seen_us, 0);
    scene_step(&s, 5 * SECOND);
    scene_expect_silence(&s);
    TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_INVISIBLE));
    (void)scene_expect(&s, 1, 1); /* the friendship held, because 2 was here */
    TEST_OK(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_ONLINE));
    (void)scene_expect(&s, 2, 1);
    scene_end(&s);
}

/* ---- boundaries ---- */

TEST(test_presence_limits_are_named_and_change_nothing)
{
    scene s;
    scene_configure(&s);
    s.config.players_max = 6;
    s.config.friends_max = 2;
    s.config.watches_max = 1;
    s.config.watchers_max = 1;
    scene_open(&s);
    for (necpnet_player i = 1; i <= 6; i++) TEST_OK(necpnet_presence_connect(s.presence, i, NECPNET_PRESENCE_ONLINE));
    TEST_EQUAL(necpnet_presence_connect(s.presence, 7, NECPNET_PRESENCE_ONLINE), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(necpnet_presence_add_friend(s.presence, 1, 2));
    TEST_OK(necpnet_presence_add_friend(s.presence, 1, 3));
    TEST_EQUAL(necpnet_presence_add_friend(s.presence, 1, 4), NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(necpnet_presence_add_friend(s.presence, 4, 1), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(necpnet_presence_watch(s.presence, 4, 1));
    TEST_EQUAL(necpnet_presence_watch(s.presence, 4, 2), NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(necpnet_presence_watch(s.presence, 5, 1), NECPNET_ERR_LIMIT_REACHED);
    scene_check(&s);
    TEST_OK(necpnet_presence_disconnect(s.presence, 6, false)); /* forgotten for the next */
    TEST_OK(necpnet_presence_connect(s.presence, 7, NECPNET_PRESENCE_ONLINE));
    TEST_OK(necpnet_presence_disconnect(s.presence, 2, false)); /* kept: 1 sees it */
    TEST_EQUAL(necpnet_presence_connect(s.presence, 8, NECPNET_PRESENCE_ONLINE), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(necpnet_presence_remove_friend(s.presence, 1, 2));
    TEST_OK(necpnet_presence_connect(s.presence, 8, NECPNET_PRESENCE_ONLINE));
    scene_end(&s);
}

TEST(test_presence_friendship_ends_when_both_are_gone)
{
    scene s;
    necpnet_presence_info infos[4];
    necpnet_presence_statistics statistics;
    size_t count;
    scene_begin(&s);
    scene_two_friends(&s);
    TEST_OK(necpnet_presence_disconnect(s.presence, 1, false));
    TEST_OK(necpnet_presence_get_seen(s.presence, 2, infos, 4, &count));
    TEST_EQUAL(count, 1);
    TEST_OK(necpnet_presence_disconnect(s.presence, 2, false));
    TEST_OK(necpnet_presence_get_statistics(s.presence, &statistics));
    TEST_EQUAL(statistics.edges, 0);
    TEST_EQUAL(statistics.here, 0);
    TEST_EQUAL(statistics.players, 2);
    TEST_EQUAL(scene_look(&s, 0, 1).last_seen_us, WALL + s.now_us);
    TEST_OK(necpnet_presence_forget(s.presence, 1));
    TEST_EQUAL(necpnet_presence_forget(s.presence, 1), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(scene_look(&s, 0, 1).last_seen_us, 0);
    TEST_OK(necpnet_presence_remember(s.presence, 1, WALL));
    TEST_OK(necpnet_presence_remember(s.presence, 1, WALL - 5));
    TEST_EQUAL(scene_look(&s, 0, 1).last_seen_us, WALL);
    scene_end(&s);
}

TEST(test_presence_refuses_bad_arguments)
{
    scene s;
    necpnet_presence_info info;
    necpnet_presence_config config;
    necpnet_presence* other = NULL;
    size_t count;
    char longest[NECPNET_PRESENCE_LOCATION_BYTES_MAX + 2];
    scene_begin(&s);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    TEST_EQUAL(necpnet_presence_connect(s.presence, 0, NECPNET_PRESENCE_ONLINE), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_OFFLINE), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_connect(s.presence, 1, (necpnet_presence_status)6), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_BUSY), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_presence_connect(s.presence, 1, NECPNET_PRESENCE_ONLINE));
    TEST_EQUAL(necpnet_presence_set_status(s.presence, 1, NECPNET_PRESENCE_OFFLINE), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_set_place(s.presence, 1, 1, longest), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_set_place(s.presence, 1, 1, "\xff"), NECPNET_ERR_INVALID_ARGUMENT);
    longest[NECPNET_PRESENCE_LOCATION_BYTES_MAX] = 0;
    TEST_OK(necpnet_presence_set_place(s.presence, 1, 1, longest));
    TEST_OK(necpnet_presence_set_place(s.presence, 1, 1, NULL));
    TEST_EQUAL_STRING(scene_look(&s, 1, 1).location, "");
    TEST_EQUAL(necpnet_presence_add_friend(s.presence, 1, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_add_friend(s.presence, 2, 1), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_presence_watch(s.presence, 1, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_forget(s.presence, 1), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_presence_get(s.presence, 0, 0, &info), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_presence_get_seen(s.presence, 9, &info, 1, &count), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_presence_watch(s.presence, 1, 2));
    TEST_EQUAL(necpnet_presence_get_seen(s.presence, 1, NULL, 0, &count), NECPNET_ERR_BUFFER_TOO_SMALL);
    TEST_EQUAL(necpnet_presence_update(NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    config = s.config;
    config.interval_ms = 0;
    TEST_EQUAL(necpnet_presence_create(&config, &other), NECPNET_ERR_BAD_CONFIG);
    config = s.config;
    config.struct_bytes--;
    TEST_EQUAL(necpnet_presence_create(&config, &other), NECPNET_ERR_BAD_STRUCT_BYTES);
    TEST_CHECK(other == NULL);
    necpnet_presence_destroy(NULL);
    scene_end(&s);
}

/* ---- as bytes ---- */

TEST(test_presence_bytes_are_read_as_written)
{
    necpnet_presence_info items[3], read[3];
    uint8_t data[4 + 3 * 87];
    size_t bytes, count;
    memset(items, 0, sizeof items);
    items[0].player = 1;
    items[0].location = "";
    items[1].player = UINT64_MAX;
    items[1].status = NECPNET_PRESENCE_IN_GAME;
    items[1].zone = UINT32_MAX;
    items[1].location = "\xc3\xa9t\xc3\xa9";
    items[1].last_seen_us = WALL;
    items[2].player = 3;
    items[2].status = NECPNET_PRESENCE_BUSY;
    items[2].location = "x";
    TEST_OK(necpnet_presence_write(items, 3, data, sizeof data, &bytes));
    for (size_t room = 0; room < bytes; room++) {
        size_t unused;
        TEST_EQUAL(necpnet_presence_write(items, 3, data, room, &unused), NECPNET_ERR_BUFFER_TOO_SMALL);
    }
    TEST_OK(necpnet_presence_write(items, 3, data, sizeof data, &bytes));
    TEST_EQUAL(necpnet_presence_read(data, bytes, read, 2, &count), NECPNET_ERR_BUFFER_TOO_SMALL);
    TEST_OK(necpnet_presence_read(data, bytes, read, 3, &count));
    TEST_EQUAL(count, 3);
    for (int i = 0; i < 3; i++) {
        TEST_EQUAL(read[i].player, items[i].player);
        TEST_EQUAL(read[i].status, items[i].status);
        TEST_EQUAL(read[i].zone, items[i].zone);
        TEST_EQUAL(read[i].last_seen_us, items[i].last_seen_us);
        TEST_EQUAL_STRING(read[i].location, items[i].location);
    }
    for (size_t cut = 0; cut < bytes; cut++) {
        TEST_EQUAL(necpnet_presence_read(data, cut, read, 3, &count), NECPNET_ERR_BAD_DATA);
    }
}

TEST(test_presence_hostile_bytes_are_refused_or_mean_what_they_say)
{
    TEST_EACH_SEED (seed, 200) {
        struct test_random random = test_random_begin(seed);
        uint8_t data[128], again[1024];
        necpnet_presence_info items[16];
        size_t count, bytes;
        for (int round = 0; round < 200; round++) {
            size_t length = (size_t)test_random_below(&random, sizeof data);
            test_random_bytes(&random, data, length);
            if (length) data[0] = (uint8_t)test_random_below(&random, 4);
            for (size_t i = 1; i < length; i++) {
                if (test_random_below(&random, 2)) data[i] &= 0x31;
            }
            necpnet_result result = necpnet_presence_read(data, length, items, 16, &count);
            if (result != NECPNET_OK) continue;
            TEST_OK(necpnet_presence_write(items, count, again, sizeof again, &bytes));
            TEST_AT_MOST(bytes, length);
        }
    }
}

/* ---- a random history beside a model ---- */

#define MODEL_PLAYERS 12

typedef struct model {
    necpnet_presence_status knows[MODEL_PLAYERS + 1][MODEL_PLAYERS + 1]; /* as the watcher was told */
    uint32_t zone[MODEL_PLAYERS + 1][MODEL_PLAYERS + 1];
    uint64_t told_us[MODEL_PLAYERS + 1];
} model;

static void model_listen(scene* s, model* m)
{
    necpnet_presence_change change;
    while (necpnet_presence_poll(s->presence, &change)) {
        TEST_CHECK(m->told_us[change.watcher] == 0 || s->now_us >= m->told_us[change.watcher] + SECOND);
        m->told_us[change.watcher] = s->now_us;
        for (size_t i = 0; i < change.count; i++) {
            m->knows[change.watcher][change.items[i].player] = change.items[i].status;
            m->zone[change.watcher][change.items[i].player] = change.items[i].zone;
        }
    }
}

/* Quiet for a second: all who are here know what there is to see. */
static void model_check(scene* s, const model* m)
{
    for (necpnet_player watcher = 1; watcher <= MODEL_PLAYERS; watcher++) {
        necpnet_presence_info infos[MODEL_PLAYERS];
        size_t count;
        if (scene_look(s, watcher, watcher).status == NECPNET_PRESENCE_OFFLINE) continue;
        uint32_t at = nn_presence_find(s->presence, watcher);
        if (at == NN_PRESENCE_NOBODY || s->presence->records[at].life != NN_PRESENCE_HERE) continue;
        TEST_OK(necpnet_presence_get_seen(s->presence, watcher, infos, MODEL_PLAYERS, &count));
        for (size_t i = 0; i < count; i++) {
            TEST_EQUAL(m->knows[watcher][infos[i].player], infos[i].status);
            TEST_EQUAL(m->zone[watcher][infos[i].player], infos[i].zone);
        }
    }
}

/* One thing happens; a client that begins anew knows nothing. */
static void model_act(scene* s, model* m, struct test_random* random)
{
    necpnet_player a = 1 + test_random_below(random, MODEL_PLAYERS);
    necpnet_player b = 1 + test_random_below(random, MODEL_PLAYERS);
    bool was_offline = scene_look(s, a, a).status == NECPNET_PRESENCE_OFFLINE;
    necpnet_presence_status status = (necpnet_presence_status)(1 + test_random_below(random, 5));
    switch (test_random_below(random, 9)) {
    case 0:
    case 1:
        if (was_offline) {
            memset(m->knows[a], 0, sizeof m->knows[a]);
            memset(m->zone[a], 0, sizeof m->zone[a]);
            m->told_us[a] = 0;
        }
        (void)necpnet_presence_connect(s->presence, a, status);
        break;
    case 2: (void)necpnet_presence_disconnect(s->presence, a, test_random_below(random, 3) != 0); break;
    case 3: (void)necpnet_presence_set_status(s->presence, a, status); break;
    case 4: (void)necpnet_presence_set_place(s->presence, a, (uint32_t)test_random_below(random, 4), "here"); break;
    case 5: (void)necpnet_presence_add_friend(s->presence, a, b); break;
    case 6: (void)necpnet_presence_watch(s->presence, a, b); break;
    case 7:
        if (necpnet_presence_remove_friend(s->presence, a, b) == NECPNET_OK) { /* both take the other for offline */
            m->knows[a][b] = m->knows[b][a] = NECPNET_PRESENCE_OFFLINE;
            m->zone[a][b] = m->zone[b][a] = 0;
            (void)necpnet_presence_refresh(s->presence, a); /* in case it still watches */
            (void)necpnet_presence_refresh(s->presence, b);
        }
        break;
    default:
        if (necpnet_presence_unwatch(s->presence, a, b) == NECPNET_OK) {
            m->knows[a][b] = NECPNET_PRESENCE_OFFLINE;
            m->zone[a][b] = 0;
            (void)necpnet_presence_refresh(s->presence, a);
        }
        break;
    }
}

TEST(test_presence_watchers_know_what_there_is_after_any_history)
{
    TEST_EACH_SEED (seed, 200) {
        scene s;
        model m;
        struct test_random random = test_random_begin(seed);
        memset(&m, 0, sizeof m);
        scene_configure(&s);
        s.config.grace_ms = 3000;
        s.config.players_max = 4 + (uint32_t)test_random_below(&random, 20);
        scene_open(&s);
        for (int step = 0; step < 400; step++) {
            model_act(&s, &m, &random);
            if (test_random_below(&random, 2)) {
                scene_step(&s, test_random_below(&random, SECOND / 2));
                model_listen(&s, &m);
            }
            if (test_random_below(&random, 20) == 0) {
                model_listen(&s, &m);
                scene_step(&s, SECOND);
                model_listen(&s, &m);
                model_check(&s, &m);
                scene_check(&s);
            }
        }
        scene_end(&s);
    }
}

/* ---- exhaustion ---- */

TEST(test_presence_every_allocation_may_fail)
{
    TEST_EACH_ALLOCATION_FAILS {
        scene s;
        necpnet_presence_change change;
        scene_configure(&s);
        necpnet_result result = necpnet_presence_create(&s.config, &s.presence);
        if (result == NECPNET_OK) {
            for (necpnet_player i = 1; i <= 100 && result == NECPNET_OK; i++) {
                result = necpnet_presence_connect(s.presence, i, NECPNET_PRESENCE_ONLINE);
            }
            for (necpnet_player i = 2; i <= 20 && result == NECPNET_OK; i++) {
                result = necpnet_presence_add_friend(s.presence, 1, i);
                if (result == NECPNET_OK) result = necpnet_presence_watch(s.presence, i, 50 + i);
            }
            if (result == NECPNET_OK) result = necpnet_presence_set_place(s.presence, 1, 1, "somewhere");
            if (result == NECPNET_OK) result = necpnet_presence_set_place(s.presence, 1, 1, "elsewhere");
            scene_check(&s);
            while (necpnet_presence_poll(s.presence, &change)) continue;
            (void)necpnet_presence_disconnect(s.presence, 1, false);
            scene_check(&s);
            necpnet_presence_destroy(s.presence);
        }
        TEST_EQUAL(result, test_allocation_failed() ? NECPNET_ERR_OUT_OF_MEMORY : NECPNET_OK);
    }
}

TEST_MAIN
