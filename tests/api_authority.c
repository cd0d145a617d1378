/* api_authority - aim: a client that has authority over an entity writes it, the server judges each write, the others see what
 * was taken; authority changes hands without a write of the wrong one being taken; whoever writes a shared entity against an
 * old state is told so. Method: net.h, clients over UDP and over WebSocket, loss on the way; the numbers of both sides must
 * agree in the end. */
#include "net.h"

#include <math.h>

typedef struct crate {
    float position[2];
    float angle;
    int32_t health; /* the server's */
    char label[16];
    uint8_t secret;  /* the owner's alone */
    uint32_t untold; /* no field */
} crate;

static const necpnet_field crate_fields[] = {
    NECPNET_VEC2(crate, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_ANGLE(crate, angle, 2, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(crate, health, 3, 0, 100, NECPNET_FIELD_SIGNED | NECPNET_FIELD_SERVER),
    NECPNET_STRING(crate, label, 4, 0),
    NECPNET_INTEGER(crate, secret, 5, 0, 255, NECPNET_FIELD_OWNER_ONLY),
};
static const necpnet_entity_type crate_type = {"crate", 1, sizeof(crate), crate_fields, 5};

#define CLIENTS 3
#define SPEED_MAX 50.0 /* units a second */

struct stage {
    struct net net;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* views[CLIENTS];
    necpnet_entity crate;
    uint32_t committed;
    uint32_t events[CLIENTS][16]; /* of views, by type */
    necpnet_view_event last[CLIENTS][16];
    uint32_t released, requested;
    necpnet_world_event asked;
    uint32_t judged;
    uint64_t elapsed_us;
};

static bool stage_validate(void* user, const necpnet_write* write, void* state)
{
    struct stage* stage = (struct stage*)user;
    const crate* before = (const crate*)write->before;
    crate* after = (crate*)state;
    double x = (double)(after->position[0] - before->position[0]);
    double y = (double)(after->position[1] - before->position[1]);
    double most = SPEED_MAX * write->elapsed_us / 1e6 + 0.1;
    stage->judged++;
    stage->elapsed_us += write->elapsed_us;
    if (strcmp(after->label, "forbidden") == 0) return false;
    if (after->position[1] > 50) after->position[1] = 50; /* a wall */
    return sqrt(x * x + y * y) <= most;
}

/* The clients' memory, that may be short for a while. */
static bool memory_is_short;

static void* stage_allocate(size_t bytes, void* user)
{
    const struct net* net = (const struct net*)user;
    return memory_is_short ? NULL : net->allocator.allocate(bytes, net->allocator.user);
}

static void stage_release(void* memory, size_t bytes, void* user)
{
    const struct net* net = (const struct net*)user;
    net->allocator.release(memory, bytes, net->allocator.user);
}

static void stage_begin(struct stage* stage, uint32_t loss_ppm, bool validates)
{
    static const char* const urls[CLIENTS] = {NET_URL_UDP, NET_URL_WEB, NET_URL_UDP};
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    necpnet_allocator memory = {stage_allocate, stage_release, &stage->net};
    stage->net.client_config.allocator = memory;
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, &crate_type, 1, &stage->schema));
    necpnet_world_config world;
    TEST_OK(necpnet_world_config_default(&world));
    world.allocator = stage->net.allocator;
    world.schema = stage->schema;
    if (validates) world.validate = stage_validate;
    world.validate_user = stage;
    TEST_OK(necpnet_world_create(&world, &stage->world));
    stage->net.server_config.world = stage->world;
    stage->net.client_config.websocket_timeout_ms = stage->net.server_config.websocket_timeout_ms = 2000;
    stage->net.client_config.websocket_ping_ms = stage->net.server_config.websocket_ping_ms = 500;
    stage->net.link_config.latency_us = 20000;
    stage->net.link_config.loss_ppm = loss_ppm;
    net_serve(&stage->net);
    for (int i = 0; i < CLIENTS; i++) {
        necpnet_view_config view;
        TEST_OK(necpnet_view_config_default(&view));
        view.allocator = stage->net.allocator;
        view.schema = stage->schema;
        TEST_OK(necpnet_view_create(&view, &stage->views[i]));
        stage->net.client_config.view = stage->views[i];
        net_join(&stage->net, urls[i]);
        for (int ms = 0; ms < 10000 && stage->net.peer_count <= i; ms++) net_step(&stage->net, NET_STEP_US);
        TEST_EQUAL(stage->net.peer_count, i + 1); /* so peers[i] is client i */
    }
    crate start = {{1, 2}, 0, 90, "crate", 7, 1234};
    TEST_OK(necpnet_world_spawn(stage->world, 1, &start, &stage->crate));
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    for (int v = 0; v < CLIENTS; v++) necpnet_view_destroy(stage->views[v]);
    necpnet_world_destroy(stage->world);
    necpnet_schema_destroy(stage->schema);
}

static void stage_step(struct stage* stage)
{
    uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
    necpnet_world_event told;
    necpnet_view_event event;
    if (tick > stage->committed) {
        TEST_OK(necpnet_world_commit(stage->world, tick));
        stage->committed = tick;
    }
    net_step(&stage->net, NET_STEP_US);
    while (necpnet_world_poll(stage->world, &told)) {
        if (told.type == NECPNET_WORLD_AUTHORITY_REQUESTED) stage->requested++;
        if (told.type == NECPNET_WORLD_AUTHORITY_RELEASED) stage->released++;
        stage->asked = told;
    }
    for (int v = 0; v < CLIENTS; v++) {
        TEST_OK(necpnet_view_update(stage->views[v], stage->net.now_us));
        while (necpnet_view_poll(stage->views[v], &event)) {
            stage->events[v][event.type]++;
            stage->last[v][event.type] = event;
        }
    }
}

static void stage_run(struct stage* stage, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) stage_step(stage);
}

#define STAGE_UNTIL(stage, ms, condition) \
    do { \
        for (uint32_t until_ms = 0; until_ms < (ms) && !(condition); until_ms++) stage_step(stage); \
        TEST_CHECK(condition); \
    } while (0)

static void stage_give(struct stage* stage, int client)
{
    TEST_OK(necpnet_world_set_authority(stage->world, stage->crate, NECPNET_AUTHORITY_OWNER));
    TEST_OK(necpnet_world_set_owner(stage->world, stage->crate, stage->net.peers[client]));
    STAGE_UNTIL(stage, 5000, stage->events[client][NECPNET_VIEW_AUTHORITY_GIVEN] > 0);
    TEST_CHECK(necpnet_view_has_authority(stage->views[client], stage->crate, NULL));
}

static crate stage_seen(struct stage* stage, int client)
{
    crate seen;
    TEST_OK(necpnet_view_get_latest(stage->views[client], stage->crate, &seen, sizeof seen, NULL));
    return seen;
}

static necpnet_world_statistics stage_statistics(const struct stage* stage)
{
    necpnet_world_statistics statistics;
    TEST_OK(necpnet_world_get_statistics(stage->world, &statistics));
    return statistics;
}

/* Walks at a speed for some time, writing 60 times a second. */
static void stage_walk(struct stage* stage, int client, crate* state, float speed, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        if (i % 16 == 0) {
            state->position[0] += speed * 0.016f;
            state->angle += 0.05f;
            TEST_OK(necpnet_view_write(stage->views[client], stage->crate, state, sizeof *state, 0, NULL));
        }
        stage_step(stage);
    }
}

static void stage_check_walk(int client, uint32_t loss_ppm)
{
    struct stage stage;
    TEST_HINT("client %d, loss %u ppm", client, (unsigned)loss_ppm);
    stage_begin(&stage, loss_ppm, true);
    stage_give(&stage, client);
    crate state = {{1, 2}, 0, 5, "walker", 99, 777};
    stage_walk(&stage, client, &state, 20, 2000);
    stage_run(&stage, 4000);
    const crate* real = (const crate*)necpnet_world_get(stage.world, stage.crate);
    TEST_NEAR((double)real->position[0], (double)state.position[0], 0.006);
    TEST_EQUAL_STRING(real->label, "walker");
    TEST_EQUAL(real->secret, 99);
    TEST_EQUAL(real->health, 90);   /* the server's field */
    TEST_EQUAL(real->untold, 1234); /* no field: as the server has it */
    for (int v = 0; v < CLIENTS; v++) {
        crate seen = stage_seen(&stage, v);
        TEST_NEAR((double)seen.position[0], (double)state.position[0], 0.006);
        TEST_EQUAL(seen.secret, v == client ? 99 : 0);
        TEST_EQUAL(seen.health, 90);
    }
    crate shown; /* its own writer sees it as it wrote it, with the server's fields as the server has them */
    TEST_OK(necpnet_view_get(stage.views[client], stage.crate, &shown, sizeof shown));
    TEST_CHECK(shown.position[0] == state.position[0] && shown.health == 90);
    necpnet_world_statistics statistics = stage_statistics(&stage);
    TEST_CHECK(statistics.writes_accepted > 20 && statistics.writes_accepted <= 125);
    TEST_EQUAL(statistics.writes_refused + statistics.writes_clamped + statistics.writes_conflicting, 0);
    stage_end(&stage);
}

TEST(test_an_owner_writes_its_entity_and_all_others_see_it)
{
    stage_check_walk(0, 0);
    stage_check_walk(1, 0);
    stage_check_walk(2, 200000);
}

TEST(test_an_idle_owner_sends_no_writes)
{
    struct stage stage;
    stage_begin(&stage, 0, true);
    stage_give(&stage, 0);
    crate state = {{1, 2}, 0, 90, "still", 7, 0};
    TEST_OK(necpnet_view_write(stage.views[0], stage.crate, &state, sizeof state, 0, NULL));
    stage_run(&stage, 500);
    uint64_t judged = stage.judged;
    for (int i = 0; i < 200; i++) {
        TEST_OK(necpnet_view_write(stage.views[0], stage.crate, &state, sizeof state, 0, NULL));
        stage_run(&stage, 10);
    }
    TEST_EQUAL(stage.judged, judged);
    stage_end(&stage);
}

TEST(test_who_is_too_fast_is_refused_and_put_back)
{
    struct stage stage;
    stage_begin(&stage, 100000, true);
    stage_give(&stage, 0);
    crate state = {{1, 2}, 0, 90, "cheat", 7, 0};
    stage_walk(&stage, 0, &state, 20, 500);
    state.position[0] += 60; /* at once */
    TEST_OK(necpnet_view_write(stage.views[0], stage.crate, &state, sizeof state, 0, NULL));
    STAGE_UNTIL(&stage, 3000, stage.events[0][NECPNET_VIEW_REFUSED] > 0);
    stage_run(&stage, 3000);
    const crate* real = (const crate*)necpnet_world_get(stage.world, stage.crate);
    crate shown;
    TEST_CHECK(real->position[0] < 20);
    TEST_OK(necpnet_view_get(stage.views[0], stage.crate, &shown, sizeof shown));
    TEST_NEAR((double)shown.position[0], (double)real->position[0], 0.011);
    necpnet_view_statistics seen;
    TEST_OK(necpnet_view_get_statistics(stage.views[0], &seen));
    necpnet_world_statistics statistics = stage_statistics(&stage);
    TEST_CHECK(statistics.writes_refused >= 1 && seen.writes_refused >= 1);
    state = shown; /* from there it may go on */
    stage_walk(&stage, 0, &state, 20, 500);
    stage_run(&stage, 2000);
    TEST_NEAR((double)real->position[0], (double)state.position[0], 0.006);
    stage_end(&stage);
}

TEST(test_a_clock_that_runs_fast_gains_no_speed)
{
    /* The client tells a view whose time runs four times as fast, and walks four times as fast as it may. */
    struct stage stage;
    stage_begin(&stage, 0, true);
    stage_give(&stage, 0);
    crate state = {{-90, 2}, 0, 90, "fast", 7, 0};
    crate* real = (crate*)necpnet_world_get(stage.world, stage.crate);
    real->position[0] = -90;
    TEST_OK(necpnet_world_correct(stage.world, stage.crate));
    stage_run(&stage, 200);
    uint64_t began_us = stage.net.now_us;
    double began = -90;
    for (uint32_t i = 0; i < 1000; i++) {
        TEST_OK(necpnet_view_update(stage.views[0], stage.net.now_us + (stage.net.now_us - began_us) * 3));
        state.position[0] += 0.19f; /* 190 a second */
        (void)necpnet_view_write(stage.views[0], stage.crate, &state, sizeof state, 0, NULL);
        necpnet_event event;
        uint32_t tick = (uint32_t)(stage.net.now_us * 60 / 1000000);
        if (tick > stage.committed) TEST_OK(necpnet_world_commit(stage.world, stage.committed = tick));
        TEST_OK(necpnet_link_advance(stage.net.link, stage.net.now_us));
        TEST_OK(necpnet_server_update(stage.net.server, stage.net.now_us));
        while (necpnet_server_poll(stage.net.server, &event)) continue;
        TEST_OK(necpnet_client_update(stage.net.clients[0].client, stage.net.now_us));
        stage.net.now_us += NET_STEP_US;
    }
    real = (crate*)necpnet_world_get(stage.world, stage.crate);
    double moved = (double)real->position[0] - began;
    TEST_HINT("moved %.1f in a second", moved);
    TEST_CHECK(moved <= SPEED_MAX * 1.5 + 5); /* 250 ms ahead, what passed since the correction, rounding */
    TEST_CHECK(stage_statistics(&stage).writes_refused > 0);
    stage_end(&stage);
}

TEST(test_the_server_clamps_and_the_writer_sees_it)
{
    struct stage stage;
    stage_begin(&stage, 0, true);
    stage_give(&stage, 1);
    crate state = {{1, 2}, 0, 90, "up", 7, 0};
    crate* real = (crate*)necpnet_world_get(stage.world, stage.crate);
    real->position[1] = 48;
    TEST_OK(necpnet_world_correct(stage.world, stage.crate));
    stage_run(&stage, 500);
    state.position[1] = 52;
    TEST_OK(necpnet_view_write(stage.views[1], stage.crate, &state, sizeof state, 0, NULL));
    STAGE_UNTIL(&stage, 3000, stage.events[1][NECPNET_VIEW_CLAMPED] > 0);
    stage_run(&stage, 500);
    crate shown;
    TEST_OK(necpnet_view_get(stage.views[1], stage.crate, &shown, sizeof shown));
    TEST_NEAR((double)shown.position[1], 50, 0.011);
    TEST_NEAR((double)real->position[1], 50, 0.011);
    TEST_EQUAL(stage_statistics(&stage).writes_clamped, 1);
    stage_end(&stage);
}

/* A correction puts back what the server changed or refused, and nothing that was written and taken since. */
static void stage_check_later_writes(int client, const char* label, float y, uint32_t ms_between)
{
    struct stage stage;
    TEST_HINT("client %d, label \"%s\", %u ms between the writes", client, label, (unsigned)ms_between);
    stage_begin(&stage, 0, true);
    stage_give(&stage, client);
    crate* real = (crate*)necpnet_world_get(stage.world, stage.crate);
    real->position[1] = 49.95f; /* as near to the wall as no speed limit matters */
    TEST_OK(necpnet_world_correct(stage.world, stage.crate));
    stage_run(&stage, 500);
    bool refused = !strcmp(label, "forbidden");
    uint32_t answered = refused ? NECPNET_VIEW_REFUSED : NECPNET_VIEW_CLAMPED;
    uint32_t before = stage.events[client][answered];
    crate state;
    TEST_OK(necpnet_view_get(stage.views[client], stage.crate, &state, sizeof state));
    state.position[1] = y;
    snprintf(state.label, sizeof state.label, "%s", label);
    TEST_OK(necpnet_view_write(stage.views[client], stage.crate, &state, sizeof state, 0, NULL));
    stage_run(&stage, ms_between);
    state.secret = 201; /* taken, while the answer to the first is on its way */
    TEST_OK(necpnet_view_write(stage.views[client], stage.crate, &state, sizeof state, 0, NULL));
    bool taken = false;
    for (int ms = 0; ms < 1000; ms++) {
        crate shown;
        stage_step(&stage);
        TEST_CHECK(!taken || real->secret == 201);
        taken = real->secret == 201;
        TEST_OK(necpnet_view_get(stage.views[client], stage.crate, &shown, sizeof shown));
        if (!refused) TEST_EQUAL(shown.secret, 201);
    }
    TEST_CHECK(stage.events[client][answered] > before);
    crate shown;
    TEST_OK(necpnet_view_get(stage.views[client], stage.crate, &shown, sizeof shown));
    TEST_EQUAL(shown.secret, real->secret);
    TEST_NEAR((double)shown.position[1], (double)real->position[1], 0.011);
    TEST_EQUAL_STRING(shown.label, real->label);
    TEST_CHECK(!refused || strcmp(shown.label, "crate") == 0);
    TEST_NEAR((double)real->position[1], refused ? 49.95 : 50, 0.011);
    stage_end(&stage);
}

TEST(test_a_correction_keeps_what_was_written_after_it)
{
    for (int client = 0; client < 2; client++) { /* over UDP, over WebSocket */
        for (uint32_t ms = 5; ms < 60; ms += 10) {
            stage_check_later_writes(client, "crate", 50.02f, ms);
            stage_check_later_writes(client, "forbidden", 49.98f, ms);
        }
    }
}

TEST(test_authority_is_asked_for_denied_given_taken_and_released_in_sequence)
{
    struct stage stage;
    uint32_t sequence = 0, next = 0;
    stage_begin(&stage, 100000, true);
    TEST_OK(necpnet_world_set_authority(stage.world, stage.crate, NECPNET_AUTHORITY_OWNER));
    STAGE_UNTIL(&stage, 3000, necpnet_view_get_type(stage.views[1], stage.crate) != 0);
    TEST_OK(necpnet_view_request_authority(stage.views[1], stage.crate));
    STAGE_UNTIL(&stage, 3000, stage.requested == 1);
    TEST_EQUAL(stage.asked.peer, stage.net.peers[1]);
    TEST_OK(necpnet_world_deny(stage.world, stage.asked.peer, stage.asked.entity));
    STAGE_UNTIL(&stage, 3000, stage.events[1][NECPNET_VIEW_AUTHORITY_DENIED] == 1);
    TEST_OK(necpnet_view_request_authority(stage.views[1], stage.crate));
    STAGE_UNTIL(&stage, 3000, stage.requested == 2);
    TEST_OK(necpnet_world_set_owner(stage.world, stage.crate, stage.asked.peer));
    STAGE_UNTIL(&stage, 3000, stage.events[1][NECPNET_VIEW_AUTHORITY_GIVEN] == 1);
    TEST_CHECK(necpnet_view_has_authority(stage.views[1], stage.crate, &sequence));
    TEST_EQUAL(necpnet_view_request_authority(stage.views[1], stage.crate), NECPNET_ERR_ALREADY_EXISTS);
    TEST_OK(necpnet_world_set_owner(stage.world, stage.crate, stage.net.peers[0]));
    STAGE_UNTIL(&stage, 3000, stage.events[0][NECPNET_VIEW_AUTHORITY_GIVEN] == 1);
    STAGE_UNTIL(&stage, 3000, stage.events[1][NECPNET_VIEW_AUTHORITY_LOST] == 1);
    TEST_CHECK(necpnet_view_has_authority(stage.views[0], stage.crate, &next));
    TEST_CHECK(!necpnet_view_has_authority(stage.views[1], stage.crate, NULL));
    TEST_CHECK(next > sequence);
    TEST_EQUAL(stage.last[1][NECPNET_VIEW_AUTHORITY_LOST].sequence, next);
    TEST_EQUAL(necpnet_view_release_authority(stage.views[1], stage.crate), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_view_release_authority(stage.views[0], stage.crate));
    STAGE_UNTIL(&stage, 3000, stage.released == 1);
    STAGE_UNTIL(&stage, 3000, stage.events[0][NECPNET_VIEW_AUTHORITY_LOST] == 1);
    necpnet_authority authority;
    necpnet_peer owner;
    TEST_OK(necpnet_world_get_authority(stage.world, stage.crate, &authority, &owner, &sequence));
    TEST_EQUAL(authority, NECPNET_AUTHORITY_OWNER);
    TEST_EQUAL(owner, NECPNET_PEER_NONE);
    TEST_EQUAL(sequence, next + 1);
    TEST_EQUAL(stage.asked.sequence, sequence);
    stage_end(&stage);
}

TEST(test_late_writes_of_a_former_owner_are_refused)
{
    struct stage stage;
    stage_begin(&stage, 0, false);
    stage_give(&stage, 0);
    crate state = {{1, 2}, 0, 90, "first", 7, 0};
    stage_walk(&stage, 0, &state, 20, 200);
    /* the server takes it; what client 0 writes until it hears of that comes too late */
    crate* real = (crate*)necpnet_world_get(stage.world, stage.crate);
    TEST_OK(necpnet_world_set_owner(stage.world, stage.crate, stage.net.peers[1]));
    snprintf(real->label, sizeof real->label, "second");
    real->position[0] = 70;
    TEST_OK(necpnet_world_mark(stage.world, stage.crate));
    state.position[0] = -50;
    TEST_OK(necpnet_view_write(stage.views[0], stage.crate, &state, sizeof state, 0, NULL));
    stage_run(&stage, 1000);
    TEST_EQUAL(stage.events[0][NECPNET_VIEW_AUTHORITY_LOST], 1);
    TEST_EQUAL_STRING(real->label, "second");
    TEST_CHECK(real->position[0] == 70);
    TEST_CHECK(stage_statistics(&stage).writes_late > 0);
    crate shown; /* and it shows the server's again */
    TEST_OK(necpnet_view_get(stage.views[0], stage.crate, &shown, sizeof shown));
    TEST_NEAR((double)shown.position[0], 70, 0.011);
    stage_end(&stage);
}

TEST(test_the_servers_correction_beats_what_is_on_its_way)
{
    struct stage stage;
    stage_begin(&stage, 0, true);
    stage_give(&stage, 0);
    crate state = {{1, 2}, 0, 90, "runner", 7, 0};
    stage_walk(&stage, 0, &state, 20, 300);
    crate* real = (crate*)necpnet_world_get(stage.world, stage.crate);
    real->position[0] = -80; /* teleported */
    TEST_OK(necpnet_world_correct(stage.world, stage.crate));
    stage_walk(&stage, 0, &state, 20, 30); /* it does not know yet */
    STAGE_UNTIL(&stage, 2000, stage.events[0][NECPNET_VIEW_CLAMPED] > 0);
    stage_run(&stage, 500);
    TEST_NEAR((double)real->position[0], -80, 0.011);
    crate shown;
    TEST_OK(necpnet_view_get(stage.views[0], stage.crate, &shown, sizeof shown));
    TEST_NEAR((double)shown.position[0], -80, 0.011);
    TEST_EQUAL(stage.events[0][NECPNET_VIEW_AUTHORITY_LOST], 0);
    stage_end(&stage);
}

TEST(test_without_authority_a_write_is_refused_by_name)
{
    struct stage stage;
    stage_begin(&stage, 0, true);
    STAGE_UNTIL(&stage, 3000, necpnet_view_get_type(stage.views[1], stage.crate) != 0);
    crate state = {{9, 9}, 0, 90, "mine?", 7, 0};
    uint32_t number = 0;
    TEST_OK(necpnet_view_write(stage.views[1], stage.crate, &state, sizeof state, 0, &number));
    STAGE_UNTIL(&stage, 3000, stage.events[1][NECPNET_VIEW_REFUSED] == 1);
    TEST_EQUAL(stage.last[1][NECPNET_VIEW_REFUSED].number, number);
    TEST_EQUAL(stage.judged, 0);
    stage_run(&stage, 500);
    TEST_EQUAL_STRING(((const crate*)necpnet_world_get(stage.world, stage.crate))->label, "crate");
    crate shown;
    TEST_OK(necpnet_view_get(stage.views[1], stage.crate, &shown, sizeof shown));
    TEST_EQUAL_STRING(shown.label, "crate");
    TEST_EQUAL(stage_statistics(&stage).writes_refused, 1);
    stage_end(&stage);
}

static void stage_relabel(struct stage* stage, int client, const char* label, uint32_t* out_number)
{
    uint32_t tick;
    crate state;
    TEST_OK(necpnet_view_get_latest(stage->views[client], stage->crate, &state, sizeof state, &tick));
    snprintf(state.label, sizeof state.label, "%s", label);
    TEST_OK(necpnet_view_write(stage->views[client], stage->crate, &state, sizeof state, tick, out_number));
}

TEST(test_of_two_who_write_a_shared_entity_at_once_the_slower_is_told)
{
    for (uint32_t loss_ppm = 0; loss_ppm <= 200000; loss_ppm += 200000) {
        struct stage stage;
        uint32_t numbers[CLIENTS] = {0};
        TEST_HINT("loss %u ppm", (unsigned)loss_ppm);
        stage_begin(&stage, loss_ppm, false);
        TEST_OK(necpnet_world_set_authority(stage.world, stage.crate, NECPNET_AUTHORITY_SHARED));
        stage_run(&stage, 3000);
        for (int i = 0; i < CLIENTS; i++) {
            char label[16];
            snprintf(label, sizeof label, "by %d", i);
            stage_relabel(&stage, i, label, &numbers[i]);
        }
        stage_run(&stage, 4000);
        uint32_t written = 0, conflicts = 0;
        int winner = -1;
        for (int i = 0; i < CLIENTS; i++) {
            written += stage.events[i][NECPNET_VIEW_WRITTEN];
            conflicts += stage.events[i][NECPNET_VIEW_CONFLICT];
            if (!stage.events[i][NECPNET_VIEW_WRITTEN]) continue;
            winner = i;
            TEST_EQUAL(stage.last[i][NECPNET_VIEW_WRITTEN].number, numbers[i]);
        }
        TEST_EQUAL(written, 1);
        TEST_EQUAL(conflicts, CLIENTS - 1); /* none is lost in silence */
        TEST_EQUAL(stage_statistics(&stage).writes_conflicting, CLIENTS - 1);
        char label[16];
        snprintf(label, sizeof label, "by %d", winner);
        for (int i = 0; i < CLIENTS; i++) {
            crate shown;
            TEST_OK(necpnet_view_get(stage.views[i], stage.crate, &shown, sizeof shown));
            TEST_EQUAL_STRING(shown.label, label);
        }
        /* whoever saw that may write again, and goes on from his own without waiting */
        int second = (winner + 1) % CLIENTS;
        stage_relabel(&stage, second, "again", NULL);
        stage_run(&stage, 10);
        stage_relabel(&stage, second, "and again", NULL);
        stage_run(&stage, 4000);
        TEST_CHECK(stage.events[second][NECPNET_VIEW_WRITTEN] >= 1);
        TEST_EQUAL(stage.events[second][NECPNET_VIEW_CONFLICT], 1);
        TEST_EQUAL_STRING(((const crate*)necpnet_world_get(stage.world, stage.crate))->label, "and again");
        stage_end(&stage);
    }
}

TEST(test_a_shared_write_against_what_the_server_has_changed_is_a_conflict)
{
    struct stage stage;
    stage_begin(&stage, 0, false);
    TEST_OK(necpnet_world_set_authority(stage.world, stage.crate, NECPNET_AUTHORITY_SHARED));
    stage_run(&stage, 1000);
    crate* real = (crate*)necpnet_world_get(stage.world, stage.crate);
    real->health = 10;
    TEST_OK(necpnet_world_mark(stage.world, stage.crate));
    stage_relabel(&stage, 0, "stale", NULL);
    stage_run(&stage, 1000);
    TEST_EQUAL(stage.events[0][NECPNET_VIEW_CONFLICT], 1);
    TEST_EQUAL_STRING(real->label, "crate");
    stage_relabel(&stage, 0, "fresh", NULL);
    stage_run(&stage, 1000);
    TEST_EQUAL(stage.events[0][NECPNET_VIEW_WRITTEN], 1);
    TEST_EQUAL_STRING(real->label, "fresh");
    stage_end(&stage);
}

TEST(test_authority_ends_with_the_session)
{
    struct stage stage;
    stage_begin(&stage, 0, true);
    stage_give(&stage, 0);
    TEST_OK(necpnet_client_disconnect(stage.net.clients[0].client, 0, "", 100));
    STAGE_UNTIL(&stage, 5000, stage.released == 1);
    necpnet_authority authority;
    necpnet_peer owner;
    TEST_OK(necpnet_world_get_authority(stage.world, stage.crate, &authority, &owner, NULL));
    TEST_EQUAL(owner, NECPNET_PEER_NONE);
    STAGE_UNTIL(&stage, 5000, !necpnet_view_has_authority(stage.views[0], stage.crate, NULL));
    stage_end(&stage);
}

TEST(test_authority_outlives_a_connection)
{
    struct stage stage;
    stage_begin(&stage, 0, true);
    for (int client = 0; client < 2; client++) { /* over UDP, over WebSocket */
        memset(stage.events, 0, sizeof stage.events);
        stage_give(&stage, client);
        crate state = *(crate*)necpnet_world_get(stage.world, stage.crate);
        stage_walk(&stage, client, &state, 20, 100);
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[client].transport, true, true));
        stage_walk(&stage, client, &state, 1, 100); /* it does not know yet */
        STAGE_UNTIL(&stage, 40000, stage.net.clients[client].suspended > 0);
        snprintf(state.label, sizeof state.label, "away %u", (unsigned)client & 15u);
        (void)necpnet_view_write(stage.views[client], stage.crate, &state, sizeof state, 0, NULL);
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[client].transport, false, false));
        STAGE_UNTIL(&stage, 60000, stage.net.clients[client].resumed > 0);
        stage_run(&stage, 2000);
        const crate* real = (const crate*)necpnet_world_get(stage.world, stage.crate);
        TEST_EQUAL_STRING(real->label, state.label); /* written while there was no connection */
        TEST_NEAR((double)real->position[0], (double)state.position[0], 0.006);
        TEST_EQUAL(stage.events[client][NECPNET_VIEW_AUTHORITY_LOST], 0);
        TEST_EQUAL(stage.events[client][NECPNET_VIEW_AUTHORITY_GIVEN], 1);
    }
    stage_end(&stage);
}

/* It may be in the first packet of the new connection, before the server has sent anything over it. */
/* The server does not take what is written into an entity that the client sees no more; but where it is back before the client
 * has heard that it went, the write must not be shown for ever. */
TEST(test_a_write_into_what_left_and_came_back_unheard_is_refused)
{
    for (int client = 0; client < 2; client++) { /* UDP, WebSocket */
        struct stage stage;
        TEST_HINT("client %d", client);
        stage_begin(&stage, 0, false);
        TEST_OK(necpnet_world_set_room(stage.world, stage.crate, 5));
        TEST_OK(necpnet_world_join_room(stage.world, stage.net.peers[client], 5));
        TEST_OK(necpnet_world_set_authority(stage.world, stage.crate, NECPNET_AUTHORITY_SHARED));
        stage_run(&stage, 1000);
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[client].transport, false, true));
        uint32_t number = 0;
        TEST_OK(necpnet_world_leave_room(stage.world, stage.net.peers[client], 5));
        stage_relabel(&stage, client, "unheard", &number);
        stage_run(&stage, 200);
        TEST_EQUAL_STRING(((const crate*)necpnet_world_get(stage.world, stage.crate))->label, "crate");
        TEST_OK(necpnet_world_join_room(stage.world, stage.net.peers[client], 5));
        stage_run(&stage, 100);
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[client].transport, false, false));
        stage_run(&stage, 3000);
        crate shown;
        TEST_OK(necpnet_view_get(stage.views[client], stage.crate, &shown, sizeof shown));
        TEST_HINT("client %d: refused %u, late %u", client, (unsigned)stage.events[client][NECPNET_VIEW_REFUSED],
                  (unsigned)stage_statistics(&stage).writes_late);
        TEST_EQUAL_STRING(shown.label, "crate");
        TEST_EQUAL(stage.events[client][NECPNET_VIEW_WRITTEN], 0);
        if (client == 0) TEST_EQUAL(stage.last[client][NECPNET_VIEW_REFUSED].number, number);
        stage_end(&stage);
    }
}

TEST(test_a_shared_write_made_while_away_is_answered)
{
    for (int client = 0; client < 2; client++) { /* over UDP, over WebSocket */
        struct stage stage;
        stage_begin(&stage, 0, false);
        TEST_OK(necpnet_world_set_authority(stage.world, stage.crate, NECPNET_AUTHORITY_SHARED));
        stage_run(&stage, 1000);
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[client].transport, true, true));
        STAGE_UNTIL(&stage, 100000, stage.net.clients[client].suspended > 0);
        uint32_t tick;
        crate state;
        TEST_OK(necpnet_view_get_latest(stage.views[client], stage.crate, &state, sizeof state, &tick));
        snprintf(state.label, sizeof state.label, "away");
        (void)necpnet_view_write(stage.views[client], stage.crate, &state, sizeof state, tick, NULL);
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[client].transport, false, false));
        STAGE_UNTIL(&stage, 60000, stage.net.clients[client].resumed > 0);
        stage_run(&stage, 2000);
        TEST_HINT("client %d", client);
        TEST_EQUAL(stage.events[client][NECPNET_VIEW_WRITTEN], 1);
        TEST_EQUAL_STRING(((const crate*)necpnet_world_get(stage.world, stage.crate))->label, "away");
        stage_end(&stage);
    }
}

TEST(test_a_write_that_found_no_memory_is_sent_by_poll)
{
    for (int client = 0; client < 2; client++) {
        struct stage stage;
        stage_begin(&stage, 0, false);
        TEST_OK(necpnet_world_set_authority(stage.world, stage.crate, NECPNET_AUTHORITY_SHARED));
        stage_run(&stage, 1000);
        uint32_t tick;
        crate state;
        TEST_OK(necpnet_view_get_latest(stage.views[client], stage.crate, &state, sizeof state, &tick));
        snprintf(state.label, sizeof state.label, "late");
        memory_is_short = true;
        necpnet_result result = necpnet_view_write(stage.views[client], stage.crate, &state, sizeof state, tick, NULL);
        memory_is_short = false;
        TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        stage_run(&stage, 2000);
        TEST_EQUAL(stage.events[client][NECPNET_VIEW_WRITTEN], 1);
        TEST_EQUAL_STRING(((const crate*)necpnet_world_get(stage.world, stage.crate))->label, "late");
        stage_end(&stage);
    }
}

TEST(test_authority_needs_no_memory_of_the_world)
{
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_schema* schema = NULL;
        necpnet_world* world = NULL;
        necpnet_world_config config;
        necpnet_allocator allocator = test_allocator();
        necpnet_entity entity = 0;
        crate state = {{1, 2}, 0, 90, "crate", 7, 0};
        necpnet_world_event event;
        TEST_OK(necpnet_world_config_default(&config));
        config.allocator = allocator;
        if (necpnet_schema_create(&allocator, NULL, &crate_type, 1, &schema) == NECPNET_OK) {
            config.schema = schema;
            if (necpnet_world_create(&config, &world) == NECPNET_OK &&
                necpnet_world_spawn(world, 1, &state, &entity) == NECPNET_OK) {
                TEST_OK(necpnet_world_set_authority(world, entity, NECPNET_AUTHORITY_OWNER));
                TEST_OK(necpnet_world_set_owner(world, entity, 5));
                TEST_OK(necpnet_world_correct(world, entity));
                (void)necpnet_world_commit(world, 1);
                TEST_CHECK(!necpnet_world_poll(world, &event));
            }
        }
        necpnet_world_destroy(world);
        necpnet_schema_destroy(schema);
    }
}

TEST(test_bad_arguments_change_nothing)
{
    struct stage stage;
    crate state = {{1, 2}, 0, 90, "x", 7, 0};
    necpnet_authority authority;
    stage_begin(&stage, 0, true);
    stage_run(&stage, 500);
    TEST_EQUAL(necpnet_world_set_authority(NULL, stage.crate, NECPNET_AUTHORITY_OWNER), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_set_authority(stage.world, stage.crate, (necpnet_authority)3),
               NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_set_authority(stage.world, 77, NECPNET_AUTHORITY_OWNER), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_get_authority(stage.world, 77, &authority, NULL, NULL), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_correct(stage.world, 77), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_deny(stage.world, 12345, stage.crate), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_view_write(stage.views[0], 77, &state, sizeof state, 0, NULL), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_view_write(stage.views[0], stage.crate, &state, 4, 0, NULL), NECPNET_ERR_BUFFER_TOO_SMALL);
    TEST_EQUAL(necpnet_view_write(NULL, stage.crate, &state, sizeof state, 0, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_view_request_authority(stage.views[0], 77), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_view_release_authority(stage.views[0], stage.crate), NECPNET_ERR_NOT_FOUND);
    TEST_CHECK(!necpnet_world_poll(NULL, NULL));
    stage_end(&stage);
}

TEST_MAIN
