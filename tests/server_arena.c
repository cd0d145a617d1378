/* server_arena - the arena: its movement, which server and clients share, and the game on a server of its own.
 *
 * The game runs on a real necpnet_server over the simulated link, in virtual time; clients predict with the shared step. */
#include <math.h>

#include "test.h"

#include "arena_schema.h"
#include "game.h"
#include "log.h"

/* --------------------------------------------------------------------------------------------------- movement -- */

static arena_player player_at(int32_t x, int32_t y)
{
    arena_player player;
    memset(&player, 0, sizeof(player));
    player.position[0] = arena_units(x);
    player.position[1] = arena_units(y);
    return player;
}

static void step_player(arena_player* player, int move_x, int move_y, unsigned buttons)
{
    uint8_t bytes[ARENA_INPUT_BYTES];
    arena_input input = {.move_x = (int8_t)move_x, .move_y = (int8_t)move_y, .buttons = (uint8_t)buttons};
    arena_input_write(&input, bytes);
    arena_player_step(player, bytes, sizeof(bytes), NULL);
}

TEST(test_arena_nobody_enters_a_wall_or_leaves_the_world)
{
    struct test_random random = test_random_begin(test_seed());
    arena_player player = player_at(20 * ARENA_UNIT, 2 * ARENA_UNIT);
    for (int i = 0; i < 200000; i++) {
        static int x, y;
        if (i % 50 == 0) {
            x = (int)test_random_below(&random, 255) - 127;
            y = (int)test_random_below(&random, 255) - 127;
        }
        step_player(&player, x, y, (unsigned)test_random_below(&random, 2));
        int32_t at_x = arena_steps(player.position[0]);
        int32_t at_y = arena_steps(player.position[1]);
        TEST_CHECK(at_x >= ARENA_PLAYER_RADIUS && at_x <= ARENA_WIDTH * ARENA_UNIT - ARENA_PLAYER_RADIUS);
        TEST_CHECK(at_y >= ARENA_PLAYER_RADIUS && at_y <= ARENA_HEIGHT * ARENA_UNIT - ARENA_PLAYER_RADIUS);
        for (int wall = 0; wall < ARENA_WALL_COUNT; wall++)
            TEST_CHECK(!arena_hits(&arena_walls[wall], at_x, at_y, ARENA_PLAYER_RADIUS));
        TEST_CHECK(arena_units(at_x) == player.position[0] && arena_units(at_y) == player.position[1]);
    }
}

TEST(test_arena_moves_alike_on_every_machine)
{
    struct test_random random = test_random_begin(1);
    arena_player player = player_at(20 * ARENA_UNIT, 2 * ARENA_UNIT);
    uint64_t hash = UINT64_C(14695981039346656037);
    for (int i = 0; i < 10000; i++) {
        int x = (int)test_random_below(&random, 255) - 127;
        int y = (int)test_random_below(&random, 255) - 127;
        step_player(&player, x, y, 0);
        hash = (hash ^ (uint64_t)(uint32_t)arena_steps(player.position[0])) * UINT64_C(1099511628211);
        hash = (hash ^ (uint64_t)(uint32_t)arena_steps(player.position[1])) * UINT64_C(1099511628211);
    }
    TEST_HINT("movement changed: clients of before predict wrongly; hash 0x%016llx", (unsigned long long)hash);
    TEST_EQUAL(hash, UINT64_C(0x600848c87b5a799b));
}

TEST(test_arena_full_speed_is_one_speed)
{
    for (int x = -127; x <= 127; x += 127) {
        for (int y = -127; y <= 127; y += 127) {
            arena_player player = player_at(20 * ARENA_UNIT, 2 * ARENA_UNIT);
            step_player(&player, x, y, 0);
            int32_t dx = arena_steps(player.position[0]) - 20 * ARENA_UNIT;
            int32_t dy = arena_steps(player.position[1]) - 2 * ARENA_UNIT;
            int32_t length = arena_root(dx * dx + dy * dy);
            TEST_CHECK(x == 0 && y == 0 ? length == 0 : length >= ARENA_WALK_STEPS - 2 && length <= ARENA_WALK_STEPS);
        }
    }
    arena_player runner = player_at(20 * ARENA_UNIT, 2 * ARENA_UNIT);
    step_player(&runner, 127, 0, ARENA_BUTTON_RUN);
    TEST_EQUAL(arena_steps(runner.position[0]) - 20 * ARENA_UNIT, ARENA_RUN_STEPS);
    TEST_CHECK(runner.running);
}

TEST(test_arena_slides_along_walls)
{
    /* left of the wall {18, 4, 19, 9}, walking right and down */
    int32_t x = 18 * ARENA_UNIT - ARENA_PLAYER_RADIUS - 10;
    arena_player player = player_at(x, 5 * ARENA_UNIT);
    step_player(&player, 127, 127, 0);
    TEST_EQUAL(arena_steps(player.position[0]), 18 * ARENA_UNIT - ARENA_PLAYER_RADIUS);
    TEST_GREATER(arena_steps(player.position[1]), 5 * ARENA_UNIT + 90);
}

TEST(test_arena_reads_inputs_of_the_right_form_alone)
{
    arena_input input;
    uint8_t bytes[ARENA_INPUT_BYTES + 1] = {0x81, 0x7f, 3, 1, 0};
    TEST_CHECK(arena_input_read(&input, bytes, ARENA_INPUT_BYTES));
    TEST_EQUAL(input.move_x, -127);
    TEST_EQUAL(input.move_y, 127);
    TEST_CHECK(!arena_input_read(&input, bytes, ARENA_INPUT_BYTES - 1));
    TEST_CHECK(!arena_input_read(&input, bytes, ARENA_INPUT_BYTES + 1));
    TEST_CHECK(!arena_input_read(&input, bytes, 0));
    bytes[0] = 0x80;
    TEST_CHECK(!arena_input_read(&input, bytes, ARENA_INPUT_BYTES));
}

/* ------------------------------------------------------------------------------------------- a server with it -- */

#define PORT 7777
#define TICK_US (1000000 / ARENA_TICK_HZ)
#define CLIENTS_MAX 4

typedef struct person {
    necpnet_client* client;
    necpnet_view* view;
    necpnet_entity own;
    uint32_t last_input;
    char heard[512]; /* the last named message, "name:text" */
    int heard_count;
    bool connected;
} person;

typedef struct stage {
    necpnet_link* link;
    necpnet_schema* schema; /* of the clients */
    necpnet_server* server;
    necpnet_world* world;
    void* game;
    person people[CLIENTS_MAX];
    int count;
    uint64_t now_us;
    uint32_t tick;
} stage;

static bool stage_entropy(void* to, size_t bytes, void* user)
{
    struct test_random* random = user;
    test_random_bytes(random, to, bytes);
    return true;
}

static struct test_random stage_random;

static void stage_begin_lossy(stage* at, uint32_t latency_us, uint32_t loss_ppm, uint32_t bots)
{
    necpnet_link_config link;
    necpnet_server_config server;
    const necpnet_transport* transport = NULL;
    game_config game = {.seed = 7, .bots = bots, .players_max = 16, .state_hz = 20, .state_bytes_per_s = 64000};
    memset(at, 0, sizeof(*at));
    log_begin(NECPNET_LOG_OFF, true, 2);
    stage_random = test_random_begin(test_seed());
    at->now_us = 1000000;
    TEST_OK(necpnet_link_config_default(&link));
    link.latency_us = latency_us;
    link.loss_ppm = loss_ppm;
    TEST_OK(necpnet_link_create(&link, &at->link));
    TEST_OK(necpnet_link_add_server(at->link, PORT, &transport));
    TEST_OK(necpnet_schema_create(NULL, NULL, arena_types, ARENA_TYPE_COUNT, &at->schema));
    TEST_OK(arena_game.create(&game, &at->game, &at->world));
    TEST_OK(necpnet_server_config_default(&server));
    server.transport = transport;
    server.security = NECPNET_SECURITY_NONE;
    server.entropy = (necpnet_entropy){stage_entropy, &stage_random};
    server.world = at->world;
    server.tick_hz = ARENA_TICK_HZ;
    TEST_OK(necpnet_server_create(&server, &at->server));
    arena_game.start(at->game, at->server);
}

static void stage_begin(stage* at, uint32_t latency_us, uint32_t bots)
{
    stage_begin_lossy(at, latency_us, 0, bots);
}

static person* stage_join(stage* at)
{
    necpnet_client_config client;
    necpnet_view_config view;
    const necpnet_transport* transport = NULL;
    static const char* const urls[] = {"udp://server:7777"};
    person* someone = &at->people[at->count++];
    TEST_OK(necpnet_link_add_client(at->link, &transport));
    TEST_OK(necpnet_view_config_default(&view));
    view.schema = at->schema;
    TEST_OK(necpnet_view_create(&view, &someone->view));
    TEST_OK(necpnet_view_set_prediction(someone->view, ARENA_PLAYER, arena_player_step, NULL));
    TEST_OK(necpnet_client_config_default(&client));
    client.transport = transport;
    client.security = NECPNET_SECURITY_NONE;
    client.entropy = (necpnet_entropy){stage_entropy, &stage_random};
    client.view = someone->view;
    TEST_OK(necpnet_client_create(&client, &someone->client));
    TEST_OK(necpnet_client_connect(someone->client, urls, 1));
    return someone;
}

static void stage_serve(stage* at)
{
    necpnet_event event;
    necpnet_peer_info info;
    uint32_t tick = (uint32_t)(at->now_us * ARENA_TICK_HZ / 1000000);
    if (tick != at->tick) {
        at->tick = tick;
        arena_game.tick(at->game, tick);
        TEST_OK(necpnet_world_commit(at->world, tick));
    }
    TEST_OK(necpnet_server_update(at->server, at->now_us));
    while (necpnet_server_poll(at->server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) {
            TEST_OK(necpnet_server_get_peer(at->server, event.peer, &info));
            TEST_OK(arena_game.join(at->game, event.peer, &info));
        } else if (event.type == NECPNET_EVENT_DISCONNECTED) {
            arena_game.leave(at->game, event.peer);
        } else if (event.type == NECPNET_EVENT_INPUT) {
            arena_game.input(at->game, event.peer, event.tick, event.data, event.bytes);
        } else if (event.type == NECPNET_EVENT_MESSAGE) {
            arena_game.message(at->game, &event);
        }
    }
}

static void person_update(stage* at, person* someone)
{
    necpnet_event event;
    necpnet_view_event change;
    TEST_OK(necpnet_client_update(someone->client, at->now_us));
    while (necpnet_client_poll(someone->client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) someone->connected = true;
        if (event.type == NECPNET_EVENT_DISCONNECTED) someone->connected = false;
        if (event.type != NECPNET_EVENT_MESSAGE) continue;
        someone->heard_count++;
        snprintf(someone->heard, sizeof(someone->heard), "%s:%.*s", event.name ? event.name : "", (int)event.bytes,
                 (const char*)event.data);
    }
    TEST_OK(necpnet_view_update(someone->view, at->now_us));
    while (necpnet_view_poll(someone->view, &change)) {
        if (change.type == NECPNET_VIEW_ENTERED && necpnet_view_is_owner(someone->view, change.entity))
            someone->own = change.entity;
    }
    for (necpnet_entity entity = necpnet_view_next(someone->view, NECPNET_ENTITY_NONE); entity && !someone->own;
         entity = necpnet_view_next(someone->view, entity)) {
        if (necpnet_view_is_owner(someone->view, entity)) someone->own = entity;
    }
}

/* Half a tick for everybody. */
static void stage_step(stage* at)
{
    at->now_us += TICK_US / 2;
    TEST_OK(necpnet_link_advance(at->link, at->now_us));
    stage_serve(at);
    for (int i = 0; i < at->count; i++) {
        if (at->people[i].client) person_update(at, &at->people[i]);
    }
}

static void stage_run(stage* at, int ticks)
{
    for (int i = 0; i < 2 * ticks; i++) stage_step(at);
}

static void person_leave(person* someone)
{
    necpnet_client_destroy(someone->client);
    necpnet_view_destroy(someone->view);
    *someone = (person){0};
}

static void stage_end(stage* at)
{
    for (int i = 0; i < at->count; i++) person_leave(&at->people[i]);
    arena_game.stop(at->game);
    necpnet_server_destroy(at->server);
    arena_game.destroy(at->game);
    necpnet_schema_destroy(at->schema);
    necpnet_link_destroy(at->link);
}

static void stage_wait_for(stage* at, person* someone)
{
    for (int i = 0; i < 600 && !(someone->connected && someone->own); i++) stage_step(at);
    TEST_HINT("no own entity after 5 s");
    TEST_CHECK(someone->connected && someone->own);
}

/* An input for the tick that the client thinks right. Returns whether one was due. */
static bool person_act(stage* at, person* someone, arena_input input)
{
    uint32_t tick = 0;
    uint32_t input_tick = 0;
    uint32_t view_tick = 0;
    uint32_t share_ppm = 0;
    uint8_t bytes[ARENA_INPUT_BYTES];
    if (necpnet_client_server_tick(someone->client, at->now_us, &tick, &input_tick) != NECPNET_OK) return false;
    if (input_tick <= someone->last_input) return false;
    someone->last_input = input_tick;
    if (necpnet_view_get_tick(someone->view, &view_tick, &share_ppm) == NECPNET_OK) {
        arena_input_see(&input, input_tick, view_tick, share_ppm);
    }
    arena_input_write(&input, bytes);
    TEST_OK(necpnet_client_send_input(someone->client, input_tick, bytes, sizeof(bytes)));
    TEST_OK(necpnet_view_predict(someone->view, input_tick, bytes, sizeof(bytes)));
    return true;
}

static bool person_move(stage* at, person* someone, int move_x, int move_y)
{
    return person_act(at, someone, (arena_input){.move_x = (int8_t)move_x, .move_y = (int8_t)move_y, .aim = 64});
}

static arena_player person_seen(person* by, necpnet_entity whom)
{
    arena_player state;
    TEST_OK(necpnet_view_get_latest(by->view, whom, &state, sizeof(state), NULL));
    return state;
}

/* With wanderers the score changes all the time: the server's news, which prediction says nothing of. */
static void check_prediction(uint32_t bots)
{
    stage at;
    stage_begin(&at, 40000, bots);
    person* someone = stage_join(&at);
    stage_wait_for(&at, someone);
    stage_run(&at, 60); /* clock samples */
    int moved = 0;
    for (int i = 0; i < 600; i++) {
        stage_step(&at);
        moved += person_move(&at, someone, i % 200 < 100 ? 127 : -90, i % 300 < 150 ? 60 : -127);
    }
    TEST_GREATER(moved, 200);
    stage_run(&at, 60);
    const arena_player* server = necpnet_world_get(at.world, someone->own);
    arena_player shown;
    necpnet_view_statistics statistics;
    TEST_OK(necpnet_view_get(someone->view, someone->own, &shown, sizeof(shown)));
    TEST_CHECK(shown.position[0] == server->position[0] && shown.position[1] == server->position[1]);
    TEST_OK(necpnet_view_get_statistics(someone->view, &statistics));
    TEST_HINT("mean correction %g units", statistics.correction_error);
    TEST_EQUAL(statistics.corrections, 0);
    TEST_NEAR((double)server->aim, 64 * ARENA_AIM_STEP, 0.001);
    if (bots) TEST_GREATER(server->score, 0);
    stage_end(&at);
}

TEST(test_arena_a_predicted_player_is_where_the_server_puts_it)
{
    check_prediction(0);
    check_prediction(200);
}

/* Each input carries its number as its aim, which the server's player then has: so a predicted place is compared with the
 * server's after the same input. */
typedef struct race {
    int32_t predicted[256][2]; /* by number */
    int inputs;
    int answered; /* inputs that moved the shown player in the call that made them */
    int compared;
    int off;       /* of them: not exactly where the server has it */
    int32_t worst; /* in steps */
    int64_t total;
} race;

static void race_act(stage* at, person* someone, race* r, int x, int y)
{
    arena_player before, after;
    int number = (r->inputs + 1) & 255;
    TEST_OK(necpnet_view_get(someone->view, someone->own, &before, sizeof(before)));
    arena_input input = {.move_x = (int8_t)x, .move_y = (int8_t)y, .aim = (uint8_t)number};
    if (!person_act(at, someone, input)) return;
    TEST_OK(necpnet_view_get(someone->view, someone->own, &after, sizeof(after)));
    r->inputs++;
    r->answered += (after.position[0] - before.position[0]) * (float)x > 0 ||
                   (after.position[1] - before.position[1]) * (float)y > 0;
    r->predicted[number][0] = arena_steps(after.position[0]);
    r->predicted[number][1] = arena_steps(after.position[1]);
}

static void race_compare(const stage* at, const person* someone, race* r)
{
    const arena_player* server = necpnet_world_get(at->world, someone->own);
    int number = (int)((double)server->aim / ARENA_AIM_STEP + 0.5) & 255;
    if (r->inputs < 60) return;
    int32_t dx = arena_steps(server->position[0]) - r->predicted[number][0];
    int32_t dy = arena_steps(server->position[1]) - r->predicted[number][1];
    int32_t error = arena_root(dx * dx + dy * dy);
    r->compared++;
    r->off += error > 0;
    r->total += error;
    if (error > r->worst) r->worst = error;
}

/* A second of it: what was off, in units. */
static void race_second(stage* at, person* someone, person* other, race* r, int second)
{
    race before = *r;
    r->worst = 0;
    for (int i = 0; i < 2 * ARENA_TICK_HZ; i++) {
        int phase = second * 2 * ARENA_TICK_HZ + i;
        stage_step(at);
        race_compare(at, someone, r);
        race_act(at, someone, r, phase % 200 < 100 ? 127 : -127, phase % 330 < 165 ? 90 : -90);
        if (!other) continue;
        const arena_player* target = necpnet_world_get(at->world, someone->own);
        const arena_player* self = necpnet_world_get(at->world, other->own);
        person_move(at, other,
                    arena_clamp(arena_steps(target->position[0]) - arena_steps(self->position[0]), -127, 127),
                    arena_clamp(arena_steps(target->position[1]) - arena_steps(self->position[1]), -127, 127));
    }
    if (!test_run_state.verbose) return;
    necpnet_view_statistics statistics;
    TEST_OK(necpnet_view_get_statistics(someone->view, &statistics));
    printf("second %2d: off %3d of %3d, mean %.3f, worst %.3f units; corrections so far %u, mean %.3f units\n", second,
           r->off - before.off, r->compared - before.compared,
           (double)(r->total - before.total) / (r->compared - before.compared + 1) / ARENA_UNIT,
           (double)r->worst / ARENA_UNIT, (unsigned)statistics.corrections, statistics.correction_error);
}

/* 200 ms there and back, 5 % lost each way: alone a player is where it was predicted to be; one who is pushed is not, and that is
 * counted, stays small, and is over when the other is gone. */
TEST(test_arena_prediction_at_200_ms_and_5_percent_loss)
{
    stage at;
    race r;
    necpnet_view_statistics statistics;
    memset(&r, 0, sizeof(r));
    stage_begin_lossy(&at, 100000, 50000, 200);
    person* someone = stage_join(&at);
    stage_wait_for(&at, someone);
    stage_run(&at, 120);
    for (int second = 0; second < 10; second++) race_second(&at, someone, NULL, &r, second);
    TEST_OK(necpnet_view_get_statistics(someone->view, &statistics));
    TEST_HINT("off %d of %d, worst %d steps; corrections %u", r.off, r.compared, (int)r.worst,
              (unsigned)statistics.corrections);
    TEST_GREATER(r.inputs, 550);
    TEST_AT_LEAST(r.answered * 10, r.inputs * 9); /* but where a wall is in the way */
    TEST_GREATER(r.compared, 1000);
    TEST_AT_MOST(r.off * 50, r.compared);
    TEST_AT_MOST(statistics.corrections, 5);

    person* other = stage_join(&at);
    stage_wait_for(&at, other);
    uint64_t before = statistics.corrections;
    int off = r.off;
    for (int second = 10; second < 20; second++) race_second(&at, someone, other, &r, second);
    TEST_OK(necpnet_view_get_statistics(someone->view, &statistics));
    TEST_GREATER(r.off, off);
    TEST_GREATER(statistics.corrections, before);
    TEST_AT_MOST(r.worst, 2 * ARENA_UNIT);
    TEST_CHECK(statistics.correction_error < 1.0);
    TEST_OK(necpnet_client_disconnect(other->client, 0, "", 0));
    stage_run(&at, 10 * ARENA_TICK_HZ); /* until its session is over, should all its CLOSEs be lost */
    person_leave(other);
    at.count--;
    for (int second = 20; second < 23; second++) race_second(&at, someone, NULL, &r, second);
    off = r.off;
    race_second(&at, someone, NULL, &r, 23);
    TEST_EQUAL(r.off, off);
    stage_end(&at);
}

TEST(test_arena_players_see_each_other_and_make_room)
{
    stage at;
    stage_begin(&at, 20000, 0);
    person* a = stage_join(&at);
    person* b = stage_join(&at);
    stage_wait_for(&at, a);
    stage_wait_for(&at, b);
    arena_player* left = necpnet_world_get(at.world, a->own);
    stage_run(&at, 30);
    for (int i = 0; i < 900; i++) { /* a walks at b */
        arena_player target = person_seen(a, b->own);
        int32_t dx = arena_steps(target.position[0]) - arena_steps(left->position[0]);
        int32_t dy = arena_steps(target.position[1]) - arena_steps(left->position[1]);
        stage_step(&at);
        person_move(&at, a, arena_clamp(dx, -127, 127), arena_clamp(dy, -127, 127));
    }
    stage_run(&at, 60);
    arena_player seen_a = person_seen(b, a->own);
    arena_player seen_b = person_seen(a, b->own);
    const arena_player* right = necpnet_world_get(at.world, b->own);
    TEST_CHECK(seen_a.position[0] == left->position[0] && seen_a.position[1] == left->position[1]);
    TEST_CHECK(seen_b.position[0] == right->position[0] && seen_b.position[1] == right->position[1]);
    int32_t dx = arena_steps(left->position[0]) - arena_steps(right->position[0]);
    int32_t dy = arena_steps(left->position[1]) - arena_steps(right->position[1]);
    TEST_AT_LEAST(arena_root(dx * dx + dy * dy), 2 * ARENA_PLAYER_RADIUS - 40);
    TEST_EQUAL(seen_a.platform, ARENA_PLATFORM_NATIVE);
    TEST_CHECK(seen_a.name[0] && strcmp(seen_a.name, seen_b.name) != 0);
    TEST_NOT_EQUAL(seen_a.colour, seen_b.colour);
    stage_end(&at);
}

TEST(test_arena_nobody_is_faster_than_time)
{
    stage at;
    stage_begin(&at, 0, 0);
    person* someone = stage_join(&at);
    stage_wait_for(&at, someone);
    arena_player* player = necpnet_world_get(at.world, someone->own);
    int64_t path = 0;
    uint32_t tick = 1;
    for (int i = 0; i < 240; i++) { /* 2 s; eight inputs each half tick */
        int32_t before_x = arena_steps(player->position[0]);
        int32_t before_y = arena_steps(player->position[1]);
        uint8_t bytes[ARENA_INPUT_BYTES] = {(uint8_t)(i % 60 < 30 ? 127 : 129), 0, 0, 0};
        for (int j = 0; j < 8; j++) (void)necpnet_client_send_input(someone->client, tick++, bytes, sizeof(bytes));
        stage_step(&at);
        path += abs(arena_steps(player->position[0]) - before_x) + abs(arena_steps(player->position[1]) - before_y);
    }
    TEST_AT_MOST(path, (int64_t)(120 + 31) * ARENA_WALK_STEPS);
    TEST_GREATER(path, 60 * ARENA_WALK_STEPS);
    stage_end(&at);
}

TEST(test_arena_wanderers_follow_who_touched_them_and_are_freed)
{
    stage at;
    char json[1024];
    stage_begin(&at, 10000, 200);
    person* someone = stage_join(&at);
    stage_wait_for(&at, someone);
    for (int i = 0; i < 1200; i++) {
        stage_step(&at);
        person_move(&at, someone, i % 120 < 60 ? 127 : -127, i % 400 < 200 ? 127 : -127);
    }
    const arena_player* player = necpnet_world_get(at.world, someone->own);
    int held = 0;
    for (necpnet_entity entity = necpnet_world_next(at.world, 0); entity;
         entity = necpnet_world_next(at.world, entity)) {
        if (necpnet_world_get_type(at.world, entity) != ARENA_WANDERER) continue;
        const arena_wanderer* wanderer = necpnet_world_get(at.world, entity);
        int32_t x = arena_steps(wanderer->position[0]);
        int32_t y = arena_steps(wanderer->position[1]);
        for (int wall = 0; wall < ARENA_WALL_COUNT; wall++)
            TEST_CHECK(!arena_hits(&arena_walls[wall], x, y, ARENA_WANDERER_RADIUS));
        if (wanderer->holder != someone->own) continue;
        held++;
        TEST_EQUAL(wanderer->colour, player->colour);
    }
    TEST_GREATER(held, 0);
    TEST_EQUAL(player->score, held);
    TEST_CHECK(arena_game.describe(at.game, json, sizeof(json)) > 0);
    TEST_CHECK(strstr(json, "\"players\":1") && strstr(json, "\"wanderers\":200") &&
               strstr(json, "\"leader\":{\"name\":\"guest-1\""));
    TEST_EQUAL(arena_game.describe(at.game, json, 20), 0);
    person_leave(someone);
    at.count = 0;
    stage_run(&at, 60);
    for (necpnet_entity entity = necpnet_world_next(at.world, 0); entity;
         entity = necpnet_world_next(at.world, entity)) {
        if (necpnet_world_get_type(at.world, entity) == ARENA_VEHICLE) continue;
        TEST_EQUAL(necpnet_world_get_type(at.world, entity), ARENA_WANDERER);
        const arena_wanderer* wanderer = necpnet_world_get(at.world, entity);
        TEST_EQUAL(wanderer->holder, NECPNET_ENTITY_NONE);
        TEST_EQUAL(wanderer->colour, ARENA_COLOUR_FREE);
    }
    stage_end(&at);
}

static void person_say(person* someone, const char* name, const void* data, size_t bytes)
{
    necpnet_send_options options = {.name = name};
    TEST_OK(necpnet_client_send_with(someone->client, NECPNET_CHANNEL_RELIABLE, data, bytes, &options));
}

TEST(test_arena_messages_are_checked)
{
    stage at;
    stage_begin(&at, 5000, 0);
    person* a = stage_join(&at);
    person* b = stage_join(&at);
    stage_wait_for(&at, a);
    stage_wait_for(&at, b);
    person_say(a, ARENA_MESSAGE_ECHO, "hello", 5);
    stage_run(&at, 20);
    TEST_EQUAL_STRING(a->heard, "echo:hello");
    TEST_EQUAL_STRING(b->heard, "");
    person_say(a, ARENA_MESSAGE_PROFILE,
               "\x10\x20\x30"
               "Zoe",
               6);
    person_say(a, ARENA_MESSAGE_CHAT, "hi", 2);
    stage_run(&at, 60);
    TEST_EQUAL_STRING(b->heard, "chat:Zoe: hi");
    arena_player seen = person_seen(b, a->own);
    TEST_EQUAL(seen.colour, 0x102030);
    TEST_EQUAL_STRING(seen.name, "Zoe");
    /* none of these does anything */
    person_say(a, ARENA_MESSAGE_PROFILE, "\x01\x02", 2);
    person_say(a, ARENA_MESSAGE_PROFILE,
               "\x01\x02\x03"
               "a\nb",
               6);
    person_say(a, ARENA_MESSAGE_PROFILE,
               "\x01\x02\x03"
               "0123456789012345678901234",
               28);
    person_say(a, ARENA_MESSAGE_CHAT, "", 0);
    person_say(a, ARENA_MESSAGE_CHAT, "\xff", 1);
    person_say(a, "unknown", "x", 1);
    b->heard[0] = 0;
    stage_run(&at, 60);
    TEST_EQUAL_STRING(b->heard, "");
    seen = person_seen(b, a->own);
    TEST_EQUAL(seen.colour, 0x102030);
    TEST_EQUAL_STRING(seen.name, "Zoe");
    stage_run(&at, 300); /* the talk of before is forgotten */
    b->heard_count = 0;
    for (int i = 0; i < 20; i++) person_say(a, ARENA_MESSAGE_CHAT, "spam", 4);
    stage_run(&at, 20);
    TEST_AT_LEAST(b->heard_count, 5);
    TEST_AT_MOST(b->heard_count, 6); /* five at once, and one more each second */
    char json[1024];
    TEST_CHECK(arena_game.describe(at.game, json, sizeof(json)) > 0);
    TEST_CHECK(strstr(json, "\"messages_refused\":20") || strstr(json, "\"messages_refused\":21"));
    stage_end(&at);
}

/* ------------------------------------------------------------------------------------- shots, bumps, the tram -- */

static uint64_t stage_count(const stage* at, const char* key)
{
    char json[1024];
    char wanted[40];
    TEST_CHECK(arena_game.describe(at->game, json, sizeof(json)) > 0);
    snprintf(wanted, sizeof(wanted), "\"%s\":", key);
    const char* found = strstr(json, wanted);
    TEST_CHECK(found != NULL);
    return found ? strtoull(found + strlen(wanted), NULL, 10) : 0;
}

/* Put a player somewhere and let its client learn it. */
static void stage_put(stage* at, person* someone, int32_t x, int32_t y)
{
    arena_player* player = necpnet_world_get(at->world, someone->own);
    player->position[0] = arena_units(x);
    player->position[1] = arena_units(y);
    for (int i = 0; i < 120; i++) {
        stage_step(at);
        person_move(at, someone, 0, 0);
    }
}

static uint8_t turn_towards(const float from[2], const float to[2])
{
    double turn = atan2((double)to[1] - (double)from[1], (double)to[0] - (double)from[0]) / ARENA_AIM_STEP;
    return (uint8_t)(int)lround(turn < 0 ? turn + 256 : turn);
}

/* A player at a distance of five units runs up and down; the other shoots at what is on its screen, 120 ms away each way.
 * Returns the share of shots that hit, in percent. */
static uint32_t shoot_at_a_runner(uint8_t button)
{
    stage at;
    stage_begin(&at, 120000, 0);
    person* runner = stage_join(&at);
    person* shooter = stage_join(&at);
    stage_wait_for(&at, runner);
    stage_wait_for(&at, shooter);
    stage_run(&at, 60);
    stage_put(&at, runner, 30 * ARENA_UNIT, 12 * ARENA_UNIT);
    stage_put(&at, shooter, 26 * ARENA_UNIT, 12 * ARENA_UNIT);
    uint64_t shots = stage_count(&at, "shots");
    uint64_t hits = stage_count(&at, "hits");
    for (int i = 0; i < 2400; i++) {
        arena_player seen, own;
        stage_step(&at);
        const arena_player* real = necpnet_world_get(at.world, runner->own);
        static int way = 127;
        if (real->position[1] > 15) way = -127;
        if (real->position[1] < 9) way = 127;
        int back = arena_clamp((30 * ARENA_UNIT - arena_steps(real->position[0])) / 4, -127, 127);
        person_move(&at, runner, back, way);
        TEST_OK(necpnet_view_get(shooter->view, runner->own, &seen, sizeof(seen)));
        TEST_OK(necpnet_view_get(shooter->view, shooter->own, &own, sizeof(own)));
        person_act(&at, shooter,
                   (arena_input){.aim = turn_towards(own.position, seen.position),
                                 .buttons = (uint8_t)(ARENA_BUTTON_FIRE | button)});
        ((arena_player*)necpnet_world_get(at.world, runner->own))->health = ARENA_HEALTH_MAX; /* it stays */
    }
    shots = stage_count(&at, "shots") - shots;
    hits = stage_count(&at, "hits") - hits;
    stage_end(&at);
    TEST_AT_LEAST(shots, 60);
    return (uint32_t)(hits * 100 / shots);
}

TEST(test_arena_shots_hit_what_was_on_the_screen_and_without_lag_compensation_they_do_not)
{
    uint32_t with = shoot_at_a_runner(0);
    uint32_t without = shoot_at_a_runner(ARENA_BUTTON_NOW);
    TEST_HINT("%u %% with, %u %% without", with, without);
    TEST_AT_LEAST(with, 85);
    TEST_AT_MOST(without, 35);
}

TEST(test_arena_walls_stop_shots)
{
    stage at;
    stage_begin(&at, 1000, 0);
    person* a = stage_join(&at);
    person* b = stage_join(&at);
    stage_wait_for(&at, a);
    stage_wait_for(&at, b);
    stage_run(&at, 60);
    stage_put(&at, a, 16 * ARENA_UNIT, 6 * ARENA_UNIT); /* on both sides of the wall {18, 4, 19, 9} */
    stage_put(&at, b, 21 * ARENA_UNIT, 6 * ARENA_UNIT);
    b->heard[0] = 0;
    const arena_player* from = necpnet_world_get(at.world, a->own);
    const arena_player* to = necpnet_world_get(at.world, b->own);
    for (int i = 0; i < 200; i++) {
        stage_step(&at);
        person_act(&at, a,
                   (arena_input){.aim = turn_towards(from->position, to->position), .buttons = ARENA_BUTTON_FIRE});
    }
    TEST_AT_LEAST(stage_count(&at, "shots"), 5);
    TEST_EQUAL(stage_count(&at, "hits"), 0);
    TEST_CHECK(strncmp(b->heard, "shot:", 5) == 0);
    /* and in the open it hits, until the other begins again elsewhere */
    stage_put(&at, a, 16 * ARENA_UNIT, 2 * ARENA_UNIT);
    stage_put(&at, b, 21 * ARENA_UNIT, 2 * ARENA_UNIT);
    for (int i = 0; i < 400 && from->wins == 0; i++) {
        stage_step(&at);
        person_act(&at, a,
                   (arena_input){.aim = turn_towards(from->position, to->position), .buttons = ARENA_BUTTON_FIRE});
    }
    TEST_EQUAL(from->wins, 1);
    TEST_EQUAL(to->health, ARENA_HEALTH_MAX);
    stage_end(&at);
}

TEST(test_arena_wanderers_make_room_for_each_other)
{
    stage at;
    stage_begin(&at, 0, 200);
    stage_run(&at, 600);
    int overlaps = 0, pairs = 0;
    const arena_wanderer* all[256];
    int count = 0;
    for (necpnet_entity entity = necpnet_world_next(at.world, 0); entity;
         entity = necpnet_world_next(at.world, entity)) {
        if (necpnet_world_get_type(at.world, entity) == ARENA_WANDERER)
            all[count++] = necpnet_world_get(at.world, entity);
    }
    TEST_EQUAL(count, 200);
    for (int i = 0; i < count; i++) {
        for (int j = i + 1; j < count; j++, pairs++) {
            int32_t dx = arena_steps(all[i]->position[0]) - arena_steps(all[j]->position[0]);
            int32_t dy = arena_steps(all[i]->position[1]) - arena_steps(all[j]->position[1]);
            if (dx * dx + dy * dy < ARENA_WANDERER_RADIUS * ARENA_WANDERER_RADIUS) overlaps++;
        }
    }
    TEST_EQUAL(pairs, 19900);
    TEST_EQUAL(overlaps, 0); /* none by more than half */
    stage_end(&at);
}

TEST(test_arena_the_tram_carries_who_is_on_it)
{
    stage at;
    stage_begin(&at, 30000, 0);
    person* someone = stage_join(&at);
    stage_wait_for(&at, someone);
    necpnet_entity tram = necpnet_world_next(at.world, 0);
    TEST_EQUAL(necpnet_world_get_type(at.world, tram), ARENA_VEHICLE);
    const arena_vehicle* vehicle = necpnet_world_get(at.world, tram);
    const arena_player* player = necpnet_world_get(at.world, someone->own);
    stage_run(&at, 60);
    person_act(&at, someone, (arena_input){.buttons = ARENA_BUTTON_RIDE}); /* far from it: nothing */
    stage_run(&at, 20);
    TEST_EQUAL(player->ride, NECPNET_ENTITY_NONE);
    stage_put(&at, someone, 37 * ARENA_UNIT, 12 * ARENA_UNIT); /* it comes by */
    bool near_by = false;
    for (int i = 0; i < 6000 && !near_by; i++) {
        stage_step(&at);
        person_move(&at, someone, 0, 0);
        near_by = fabsf(vehicle->position[1] - player->position[1]) < 0.4f && fabsf(vehicle->position[0] - 37) < 0.1f;
    }
    TEST_CHECK(near_by);
    for (int i = 0; i < 20; i++) {
        stage_step(&at);
        person_act(&at, someone, (arena_input){.move_x = 127, .buttons = ARENA_BUTTON_RIDE}); /* held: once */
    }
    TEST_EQUAL(player->ride, tram);
    float apart = player->position[1] - vehicle->position[1];
    for (int i = 0; i < 600; i++) {
        stage_step(&at);
        person_move(&at, someone, 127, 127);
    }
    TEST_EQUAL(player->ride, tram);
    TEST_NEAR((double)(player->position[1] - vehicle->position[1]), (double)apart, 0.001);
    for (int i = 0; i < 20; i++) {
        stage_step(&at);
        person_act(&at, someone, (arena_input){.buttons = ARENA_BUTTON_RIDE});
    }
    TEST_EQUAL(player->ride, NECPNET_ENTITY_NONE);
    stage_end(&at);
}

TEST_MAIN
