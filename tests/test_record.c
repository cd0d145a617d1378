/* test_record - recordings of views and worlds, replayed: what the replay shows equals what was there; every cut, every turned
 * bit and every lack of memory is told, and none is believed. net.h with the parts inside. */
#include "net.h"

#include "nn_record.h"
#include "nn_view.h"

typedef struct body {
    float position[2];
    int32_t count;
    char name[12];
    uint8_t secret;
} body;

static const necpnet_field body_fields[] = {
    NECPNET_VEC2(body, position, 1, -500, 500, 0.01, NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_POSITION),
    NECPNET_INTEGER(body, count, 2, -1000, 1000, NECPNET_FIELD_SIGNED),
    NECPNET_STRING(body, name, 3, 0),
    NECPNET_INTEGER(body, secret, 4, 0, 255, NECPNET_FIELD_OWNER_ONLY),
};
static const necpnet_entity_type body_type = {"body", 7, sizeof(body), body_fields, 4};

#define BYTES_MAX 400000
#define BODIES 30

typedef struct tape {
    uint8_t data[BYTES_MAX];
    size_t bytes;
    size_t at;
    size_t refuse_from; /* 0: never */
} tape;

static bool tape_write(void* user, const void* data, size_t bytes)
{
    tape* t = (tape*)user;
    if (t->refuse_from && t->bytes + bytes > t->refuse_from) return false;
    TEST_AT_MOST(t->bytes + bytes, BYTES_MAX);
    memcpy(t->data + t->bytes, data, bytes);
    t->bytes += bytes;
    return true;
}

static size_t tape_read(void* user, void* data, size_t bytes)
{
    tape* t = (tape*)user;
    size_t left = t->bytes - t->at;
    if (bytes > left) bytes = left;
    if (bytes > 97) bytes = 97; /* a reader may give less than it is asked for */
    memcpy(data, t->data + t->at, bytes);
    t->at += bytes;
    return bytes;
}

static tape the_tape;
static tape other_tape;

struct stage {
    struct net net;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* view;
    necpnet_entity bodies[BODIES];
    uint32_t committed;
};

static void stage_begin(struct stage* stage, const char* url, tape* of_view, tape* of_world)
{
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, &body_type, 1, &stage->schema));
    necpnet_world_config world;
    TEST_OK(necpnet_world_config_default(&world));
    world.allocator = stage->net.allocator;
    world.schema = stage->schema;
    world.interest_cell = 50;
    TEST_OK(necpnet_world_create(&world, &stage->world));
    stage->net.server_config.world = stage->world;
    stage->net.link_config.latency_us = 20000;
    stage->net.link_config.loss_ppm = 50000;
    net_serve(&stage->net);
    necpnet_view_config view;
    TEST_OK(necpnet_view_config_default(&view));
    view.allocator = stage->net.allocator;
    view.schema = stage->schema;
    TEST_OK(necpnet_view_create(&view, &stage->view));
    if (of_view) {
        necpnet_recorder recorder = {tape_write, of_view};
        TEST_OK(necpnet_view_record(stage->view, &recorder));
        TEST_EQUAL(necpnet_view_record(stage->view, &recorder), NECPNET_ERR_ALREADY_EXISTS);
    }
    if (of_world) {
        necpnet_recorder recorder = {tape_write, of_world};
        TEST_OK(necpnet_world_record(stage->world, &recorder, 60, 2));
        TEST_EQUAL(necpnet_world_record(stage->world, &recorder, 60, 2), NECPNET_ERR_ALREADY_EXISTS);
    }
    stage->net.client_config.view = stage->view;
    net_join(&stage->net, url);
    for (int ms = 0; ms < 10000 && !stage->net.peer_count; ms++) net_step(&stage->net, NET_STEP_US);
    for (int i = 0; i < BODIES; i++) {
        body state = {{(float)i, 0}, i, "body", 9};
        TEST_OK(necpnet_world_spawn(stage->world, 7, &state, &stage->bodies[i]));
        if (i % 3 == 0) TEST_OK(necpnet_world_set_room(stage->world, stage->bodies[i], 5));
    }
    TEST_OK(necpnet_world_commit(stage->world, 1 + (stage->committed = (uint32_t)(stage->net.now_us * 60 / 1000000))));
    stage->committed++;
    TEST_OK(necpnet_world_set_observer_at(stage->world, stage->net.peers[0], 0, 0));
}

static void stage_run(struct stage* stage, uint32_t ms, bool moves)
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        if (tick > stage->committed) {
            for (int t = 0; moves && t < BODIES; t++) {
                body* state = (body*)necpnet_world_get(stage->world, stage->bodies[t]);
                if (!state || (tick + (unsigned)t) % 3) continue;
                state->position[0] = (float)((tick * (unsigned)(t + 1)) % 20000) / 100;
                state->count = (int32_t)(tick % 900);
                TEST_OK(necpnet_world_mark(stage->world, stage->bodies[t]));
            }
            if (moves && tick % 97 == 0) (void)necpnet_world_despawn(stage->world, stage->bodies[tick % BODIES]);
            TEST_OK(necpnet_world_commit(stage->world, stage->committed = tick));
        }
        net_step(&stage->net, NET_STEP_US);
        TEST_OK(necpnet_view_update(stage->view, stage->net.now_us));
    }
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    necpnet_view_destroy(stage->view);
    necpnet_world_destroy(stage->world);
    necpnet_schema_destroy(stage->schema);
}

static necpnet_result replay_open(tape* t, const necpnet_schema* schema, necpnet_replay** out_replay)
{
    necpnet_replay_config config;
    TEST_OK(necpnet_replay_config_default(&config));
    config.allocator = test_allocator();
    config.read = tape_read;
    config.user = t;
    config.schema = schema;
    t->at = 0;
    return necpnet_replay_create(&config, out_replay);
}

/* Everything in one view is in the other, alike. */
static void check_alike(const necpnet_view* a, const necpnet_view* b)
{
    uint32_t count = 0, others = 0;
    for (necpnet_entity e = necpnet_view_next(a, 0); e; e = necpnet_view_next(a, e)) {
        body x, y;
        TEST_HINT("entity %08x", (unsigned)e);
        TEST_OK(necpnet_view_get_latest(a, e, &x, sizeof x, NULL));
        TEST_OK(necpnet_view_get_latest(b, e, &y, sizeof y, NULL));
        TEST_CHECK(x.position[0] == y.position[0] && x.count == y.count && x.secret == y.secret);
        TEST_EQUAL_STRING(x.name, y.name);
        count++;
    }
    for (necpnet_entity e = necpnet_view_next(b, 0); e; e = necpnet_view_next(b, e)) others++;
    TEST_EQUAL(count, others);
    TEST_AT_LEAST(count, 5);
}

TEST(test_record_of_a_view_replays_what_it_saw)
{
    static const char* const urls[] = {NET_URL_UDP, NET_URL_WEB};
    for (int u = 0; u < 2; u++) {
        struct stage stage;
        necpnet_replay* replay;
        memset(&the_tape, 0, sizeof the_tape);
        stage_begin(&stage, urls[u], &the_tape, NULL);
        stage_run(&stage, 3000, true);
        TEST_OK(necpnet_view_record(stage.view, NULL));
        TEST_EQUAL(necpnet_view_record(stage.view, NULL), NECPNET_ERR_INVALID_STATE);
        TEST_OK(replay_open(&the_tape, NULL, &replay));
        uint64_t time_us = 0, frames = 0;
        while (necpnet_replay_update(replay, time_us) == NECPNET_OK) {
            TEST_AT_LEAST(necpnet_replay_next_us(replay), time_us);
            time_us += 50000;
            frames++;
        }
        necpnet_replay_info info;
        TEST_OK(necpnet_replay_get_info(replay, &info));
        TEST_HINT("%s: %s", urls[u], info.error);
        TEST_EQUAL(necpnet_replay_update(replay, time_us), NECPNET_ERR_CLOSED);
        TEST_CHECK(info.is_whole && info.frames > 20 && info.bytes == the_tape.bytes && frames > 40);
        TEST_EQUAL(info.tick_hz, 60);
        TEST_EQUAL(necpnet_schema_get_hash(necpnet_replay_get_schema(replay)), necpnet_schema_get_hash(stage.schema));
        uint32_t count = 0, others = 0; /* its structs are laid out otherwise: count is an int16_t */
        for (necpnet_entity e = 0; (e = necpnet_view_next(stage.view, e)) != 0;) count++;
        for (necpnet_entity e = 0; (e = necpnet_view_next(necpnet_replay_get_view(replay), e)) != 0;) others++;
        TEST_EQUAL(count, others);
        necpnet_replay_destroy(replay);
        TEST_OK(replay_open(&the_tape, stage.schema, &replay)); /* the same into the game's own structs */
        TEST_EQUAL(necpnet_replay_update(replay, UINT64_MAX), NECPNET_ERR_CLOSED);
        check_alike(stage.view, necpnet_replay_get_view(replay));
        necpnet_replay_destroy(replay);
        stage_end(&stage);
    }
}

TEST(test_record_of_a_world_holds_every_entity)
{
    struct stage stage;
    necpnet_replay* replay;
    memset(&the_tape, 0, sizeof the_tape);
    stage_begin(&stage, NET_URL_UDP, NULL, &the_tape);
    stage_run(&stage, 3000, true);
    stage_run(&stage, 1000, false);
    necpnet_world_statistics statistics;
    TEST_OK(necpnet_world_get_statistics(stage.world, &statistics));
    TEST_OK(necpnet_world_record(stage.world, NULL, 0, 0));
    TEST_OK(replay_open(&the_tape, stage.schema, &replay));
    TEST_EQUAL(necpnet_replay_update(replay, UINT64_MAX), NECPNET_ERR_CLOSED);
    const necpnet_view* view = necpnet_replay_get_view(replay);
    uint32_t count = 0;
    for (int i = 0; i < BODIES; i++) {
        const body* real = (const body*)necpnet_world_get(stage.world, stage.bodies[i]);
        body seen;
        TEST_HINT("body %d", i);
        TEST_EQUAL(necpnet_view_get_latest(view, stage.bodies[i], &seen, sizeof seen, NULL),
                   real ? NECPNET_OK : NECPNET_ERR_NOT_FOUND);
        if (!real) continue;
        TEST_NEAR((double)seen.position[0], (double)real->position[0], 0.006);
        TEST_EQUAL(seen.count, real->count);
        TEST_EQUAL(seen.secret, 0); /* the owners' alone */
        count++;
    }
    TEST_EQUAL(statistics.entities, count);
    TEST_AT_LEAST(count, 20);
    necpnet_replay_destroy(replay);
    stage_end(&stage);
}

TEST(test_record_goes_on_over_reconnects)
{
    struct stage stage;
    necpnet_replay* replay;
    memset(&the_tape, 0, sizeof the_tape);
    stage_begin(&stage, NET_URL_UDP, &the_tape, NULL);
    stage_run(&stage, 1000, true);
    TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[0].transport, true, true));
    stage_run(&stage, 8000, true);
    TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[0].transport, false, false));
    stage_run(&stage, 15000, true);
    TEST_AT_LEAST(stage.net.clients[0].resumed, 1);
    TEST_OK(necpnet_view_record(stage.view, NULL));
    TEST_OK(replay_open(&the_tape, stage.schema, &replay));
    TEST_EQUAL(necpnet_replay_update(replay, UINT64_MAX), NECPNET_ERR_CLOSED);
    check_alike(stage.view, necpnet_replay_get_view(replay));
    necpnet_replay_destroy(replay);
    stage_end(&stage);
}

static void tape_of_view(tape* t, uint32_t ms)
{
    struct stage stage;
    memset(t, 0, sizeof *t);
    stage_begin(&stage, NET_URL_UDP, t, NULL);
    stage_run(&stage, ms, true);
    TEST_OK(necpnet_view_record(stage.view, NULL));
    stage_end(&stage);
}

/* Replays to the end; the result, and where it says that something is wrong. */
static necpnet_result tape_judge(tape* t, char* text, size_t text_bytes)
{
    necpnet_replay* replay = NULL;
    necpnet_replay_info info;
    text[0] = 0;
    necpnet_result result = replay_open(t, NULL, &replay);
    if (result) return result;
    result = necpnet_replay_update(replay, UINT64_MAX);
    TEST_OK(necpnet_replay_get_info(replay, &info));
    snprintf(text, text_bytes, "%s", info.error);
    necpnet_replay_destroy(replay);
    return result;
}

TEST(test_record_that_was_cut_says_where)
{
    char text[200];
    tape_of_view(&the_tape, 400);
    size_t whole = the_tape.bytes;
    TEST_EQUAL(tape_judge(&the_tape, text, sizeof text), NECPNET_ERR_CLOSED);
    for (size_t bytes = 0; bytes < whole; bytes += bytes < 300 || bytes + 300 > whole ? 1 : 13) {
        the_tape.bytes = bytes;
        TEST_HINT("cut to %zu of %zu bytes: %s", bytes, whole, text);
        TEST_EQUAL(tape_judge(&the_tape, text, sizeof text), NECPNET_ERR_BAD_DATA);
        if (text[0]) TEST_CHECK(strstr(text, "record ") && strstr(text, "cut"));
    }
}

TEST(test_record_with_a_bit_turned_over_is_found)
{
    char text[200];
    tape_of_view(&the_tape, 300);
    for (size_t at = 0; at < the_tape.bytes; at += at < 200 ? 1 : 7) {
        the_tape.data[at] ^= (uint8_t)(1u << at % 8);
        TEST_HINT("byte %zu", at);
        TEST_EQUAL(tape_judge(&the_tape, text, sizeof text), NECPNET_ERR_BAD_DATA);
        the_tape.data[at] ^= (uint8_t)(1u << at % 8);
    }
    TEST_EQUAL(tape_judge(&the_tape, text, sizeof text), NECPNET_ERR_CLOSED);
}

/* A recording with right checks and whatever records. */
static void tape_forge(tape* t, uint8_t kind, const void* data, size_t bytes)
{
    struct stage stage;
    nn_recording recording;
    necpnet_recorder recorder = {tape_write, t};
    nn_alloc alloc;
    necpnet_allocator allocator = test_allocator();
    memset(t, 0, sizeof *t);
    memset(&stage, 0, sizeof stage);
    nn_alloc_init(&alloc, &allocator);
    TEST_OK(necpnet_schema_create(&allocator, NULL, &body_type, 1, &stage.schema));
    TEST_OK(nn_recording_begin(&recording, &alloc, &recorder));
    nn_recording_add_schema(&recording, stage.schema, 0);
    nn_recording_add(&recording, (nn_record_kind)kind, data, bytes, 1000);
    TEST_OK(nn_recording_end(&recording));
    necpnet_schema_destroy(stage.schema);
}

TEST(test_record_made_by_somebody_who_means_harm_is_refused_by_name)
{
    static const struct {
        uint8_t kind;
        uint8_t data[10];
        size_t bytes;
        const char* text;
    } forged[] = {
        {NN_RECORD_STATE, {5, 0x80, 4, 0, 0, 0}, 6, "unknown flag"},
        {NN_RECORD_STATE, {5, 0x80, 1, 0, 0, 0}, 6, "tables"},
        {NN_RECORD_STATE, {200, 1, 2}, 3, "exceeds"},
        {NN_RECORD_CLOCK, {1, 2, 3}, 3, "clock"},
        {NN_RECORD_RENEW, {1, 2}, 2, "length"},
        {NN_RECORD_RESET, {1}, 1, "length"},
        {NN_RECORD_SCHEMA, {9, 9, 9}, 3, "schema"},
        {NN_RECORD_END, {40}, 1, "counts"},
        {99, {0}, 1, "unknown kind"},
    };
    char text[200];
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        tape_forge(&the_tape, forged[i].kind, forged[i].data, forged[i].bytes);
        necpnet_result result = tape_judge(&the_tape, text, sizeof text);
        TEST_HINT("%zu: %s", i, text);
        TEST_EQUAL(result, NECPNET_ERR_BAD_DATA);
        TEST_CHECK(strstr(text, "record 2 ") && strstr(text, forged[i].text));
    }
    memset(&the_tape, 0, sizeof the_tape); /* the first record is no schema */
    memcpy(the_tape.data, "NNRC\x02", 5);
    the_tape.bytes = 5;
    TEST_EQUAL(tape_judge(&the_tape, text, sizeof text), NECPNET_ERR_BAD_DATA);
}

TEST(test_record_that_cannot_be_kept_says_so_at_the_end)
{
    struct stage stage;
    memset(&the_tape, 0, sizeof the_tape);
    the_tape.refuse_from = 500;
    stage_begin(&stage, NET_URL_UDP, &the_tape, NULL);
    stage_run(&stage, 500, true);
    TEST_EQUAL(necpnet_view_record(stage.view, NULL), NECPNET_ERR_IO);
    TEST_AT_MOST(the_tape.bytes, 500);
    necpnet_recorder recorder = {tape_write, &other_tape};
    TEST_EQUAL(necpnet_view_record(stage.view, &recorder), NECPNET_ERR_INVALID_STATE); /* in the middle of it */
    stage_end(&stage);
}

TEST(test_replay_survives_a_lack_of_memory)
{
    tape_of_view(&other_tape, 200);
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_replay* replay = NULL;
        if (replay_open(&other_tape, NULL, &replay) == NECPNET_OK) {
            (void)necpnet_replay_update(replay, UINT64_MAX);
            necpnet_replay_destroy(replay);
        }
    }
}

TEST(test_record_refuses_bad_arguments)
{
    necpnet_replay_config config;
    necpnet_replay* replay;
    necpnet_recorder none = {NULL, NULL};
    struct stage stage;
    stage_begin(&stage, NET_URL_UDP, NULL, NULL);
    TEST_EQUAL(necpnet_view_record(NULL, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_view_record(stage.view, &none), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_record(stage.world, &none, 60, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_record(stage.world, NULL, 60, 1), NECPNET_ERR_INVALID_STATE);
    TEST_OK(necpnet_replay_config_default(&config));
    TEST_EQUAL(necpnet_replay_create(&config, &replay), NECPNET_ERR_INVALID_ARGUMENT);
    config.read = tape_read;
    config.struct_bytes = 1;
    TEST_EQUAL(necpnet_replay_create(&config, &replay), NECPNET_ERR_BAD_STRUCT_BYTES);
    stage_end(&stage);
}

TEST_MAIN
