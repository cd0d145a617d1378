/* api_world - aim: what the server's world holds is what every client sees, moving smoothly, own entities at once.
 * Method: net.h, a world of two types, both transports, loss. */
#include "net.h"

#include <math.h>

typedef struct thing {
    float position[2];
    uint16_t health;
    char name[16];
} thing;

static const necpnet_field thing_fields[] = {
    NECPNET_VEC2(thing, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(thing, health, 2, 0, 1000, 0),
    NECPNET_STRING(thing, name, 3, 0),
};
static const necpnet_entity_type types[] = {{"thing", 1, sizeof(thing), thing_fields, 3}};

struct seen {
    necpnet_view* view;
    uint32_t entered, left;
};

struct stage {
    struct net net;
    necpnet_schema* schema;
    necpnet_world* world;
    struct seen seen[8];
    int count;
    uint32_t committed;
};

static void stage_begin_at(struct stage* stage, uint32_t bytes_per_s)
{
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, types, 1, &stage->schema));
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = stage->net.allocator;
    config.schema = stage->schema;
    config.send_hz = 30;
    config.client_bytes_per_s = bytes_per_s;
    TEST_OK(necpnet_world_create(&config, &stage->world));
    stage->net.server_config.world = stage->world;
}

static void stage_begin(struct stage* stage)
{
    stage_begin_at(stage, 32000);
}

static struct net_client* stage_join(struct stage* stage, const char* url)
{
    necpnet_view_config config;
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = stage->net.allocator;
    config.schema = stage->schema;
    TEST_OK(necpnet_view_create(&config, &stage->seen[stage->count].view));
    stage->net.client_config.view = stage->seen[stage->count++].view;
    struct net_client* client = net_join(&stage->net, url);
    stage->net.client_config.view = NULL;
    return client;
}

/* Steps of a millisecond; the world commits at 60 Hz; views look at every step. */
static void stage_run(struct stage* stage, uint32_t ms, void (*move)(struct stage* stage, uint64_t now_us))
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        if (stage->net.server && tick > stage->committed) {
            if (move) move(stage, stage->net.now_us);
            TEST_OK(necpnet_world_commit(stage->world, tick));
            stage->committed = tick;
        }
        net_step(&stage->net, NET_STEP_US);
        for (int v = 0; v < stage->count; v++) {
            necpnet_view_event event;
            TEST_OK(necpnet_view_update(stage->seen[v].view, stage->net.now_us));
            while (necpnet_view_poll(stage->seen[v].view, &event)) {
                if (event.type == NECPNET_VIEW_ENTERED) stage->seen[v].entered++;
                if (event.type == NECPNET_VIEW_LEFT) stage->seen[v].left++;
            }
        }
    }
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    for (int v = 0; v < stage->count; v++) necpnet_view_destroy(stage->seen[v].view);
    necpnet_world_destroy(stage->world);
    necpnet_schema_destroy(stage->schema);
}

static const char* const transports[] = {NET_URL_UDP, NET_URL_WEB};

/* Every entity of the world, compared with each view, within the quantum. */
static void stage_compare(struct stage* stage)
{
    for (int v = 0; v < stage->count; v++) {
        uint32_t count = 0, in_view = 0;
        necpnet_entity entity = NECPNET_ENTITY_NONE;
        while ((entity = necpnet_world_next(stage->world, entity)) != NECPNET_ENTITY_NONE) {
            thing seen;
            const thing* real = (const thing*)necpnet_world_get(stage->world, entity);
            TEST_HINT("view %d, entity %u", v, (unsigned)entity);
            TEST_OK(necpnet_view_get_latest(stage->seen[v].view, entity, &seen, sizeof seen, NULL));
            TEST_NEAR((double)seen.position[0], (double)real->position[0], 0.006);
            TEST_NEAR((double)seen.position[1], (double)real->position[1], 0.006);
            TEST_EQUAL(seen.health, real->health);
            TEST_EQUAL_STRING(seen.name, real->name);
            count++;
        }
        while ((entity = necpnet_view_next(stage->seen[v].view, entity)) != NECPNET_ENTITY_NONE) in_view++;
        TEST_EQUAL(in_view, count);
    }
}

static void wander(struct stage* stage, uint64_t now_us)
{
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    while ((entity = necpnet_world_next(stage->world, entity)) != NECPNET_ENTITY_NONE) {
        thing* state = (thing*)necpnet_world_get(stage->world, entity);
        uint32_t phase = (uint32_t)(now_us / 16667 + entity * 37u);
        state->position[0] = (float)(phase % 400) * 0.25f - 50.0f;
        state->position[1] = (float)(phase * 7 % 300) * 0.25f - 40.0f;
        state->health = (uint16_t)(phase / 20 % 1000);
        TEST_OK(necpnet_world_mark(stage->world, entity));
    }
}

TEST(test_views_equal_the_world_over_both_transports_and_under_loss)
{
    for (uint32_t loss_ppm = 0; loss_ppm <= 300000; loss_ppm += 150000) {
        struct stage stage;
        stage_begin(&stage);
        stage.net.link_config.latency_us = 30000;
        stage.net.link_config.jitter_us = 10000;
        stage.net.link_config.loss_ppm = loss_ppm;
        net_serve(&stage.net);
        for (int i = 0; i < 40; i++) {
            thing start = {{(float)i, 0}, 100, ""};
            necpnet_entity entity;
            snprintf(start.name, sizeof start.name, "t%d", i);
            TEST_OK(necpnet_world_spawn(stage.world, 1, &start, &entity));
        }
        stage_join(&stage, NET_URL_UDP);
        stage_join(&stage, NET_URL_UDP);
        stage_join(&stage, NET_URL_WEB);
        stage_run(&stage, 4000, wander);
        for (int i = 0; i < 10; i++) { /* some go, others come */
            TEST_OK(necpnet_world_despawn(stage.world, necpnet_world_next(stage.world, NECPNET_ENTITY_NONE)));
        }
        stage_run(&stage, 1000, wander);
        thing late = {{1, 2}, 3, "late"};
        necpnet_entity entity;
        for (int i = 0; i < 5; i++) TEST_OK(necpnet_world_spawn(stage.world, 1, &late, &entity));
        TEST_OK(necpnet_link_config_default(
            &stage.net.link_config)); /* the link heals; a stream still has its stalls to get through */
        stage.net.link_config.allocator = stage.net.allocator;
        TEST_OK(necpnet_link_configure(stage.net.link, NULL, &stage.net.link_config));
        stage_run(&stage, 20000, NULL);
        stage_compare(&stage);
        stage_end(&stage);
    }
}

TEST(test_entity_that_changes_after_a_long_rest_is_seen)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        stage_begin(&stage);
        net_serve(&stage.net);
        thing start = {{0, 0}, 1, "rest"};
        necpnet_entity entity;
        TEST_OK(necpnet_world_spawn(stage.world, 1, &start, &entity));
        stage_join(&stage, transports[t]);
        stage_run(&stage, 3000, NULL);
        necpnet_world_statistics before, after;
        TEST_OK(necpnet_world_get_statistics(stage.world, &before));
        stage_run(&stage, 3000, NULL);
        TEST_OK(necpnet_world_get_statistics(stage.world, &after));
        TEST_EQUAL(after.updates_sent, before.updates_sent); /* an idle world says nothing */
        ((thing*)necpnet_world_get(stage.world, entity))->health = 77;
        TEST_OK(necpnet_world_mark(stage.world, entity));
        stage_run(&stage, 200, NULL);
        stage_compare(&stage);
        stage_end(&stage);
    }
}

TEST(test_view_empties_when_the_session_ends_and_fills_again)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        stage_begin(&stage);
        stage.net.client_config.udp_timeout_ms = 2000;
        net_serve(&stage.net);
        thing start = {{0, 0}, 1, "here"};
        necpnet_entity entity;
        for (int i = 0; i < 3; i++) TEST_OK(necpnet_world_spawn(stage.world, 1, &start, &entity));
        stage_join(&stage, transports[t]);
        stage_run(&stage, 1000, NULL);
        TEST_EQUAL(stage.seen[0].entered, 3);
        net_crash(&stage.net);
        stage_run(&stage, 3000, NULL);
        TEST_EQUAL(stage.seen[0].left, 0); /* the session waits, and what it saw stands still */
        net_serve(&stage.net);
        stage_run(&stage, 20000, NULL);
        TEST_EQUAL(stage.seen[0].left, 3);
        TEST_EQUAL(stage.seen[0].entered, 6);
        stage_compare(&stage);
        stage_end(&stage);
    }
}

TEST(test_view_goes_on_over_a_new_connection_and_drops_what_left_meanwhile)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        stage_begin(&stage);
        stage.net.client_config.udp_timeout_ms = stage.net.server_config.udp_timeout_ms = 2000;
        stage.net.client_config.websocket_ping_ms = stage.net.server_config.websocket_ping_ms = 500;
        stage.net.client_config.websocket_timeout_ms = stage.net.server_config.websocket_timeout_ms = 2000;
        net_serve(&stage.net);
        thing start = {{0, 0}, 1, "here"};
        necpnet_entity entities[3];
        for (int i = 0; i < 3; i++) TEST_OK(necpnet_world_spawn(stage.world, 1, &start, &entities[i]));
        stage_join(&stage, transports[t]);
        stage_run(&stage, 1000, NULL);
        struct net_client* client = &stage.net.clients[0];
        TEST_EQUAL(stage.seen[0].entered, 3);
        TEST_OK(necpnet_link_block(stage.net.link, client->transport, true, true));
        stage_run(&stage, 3000, NULL);
        TEST_EQUAL(stage.net.server_suspended, 1);
        TEST_OK(necpnet_world_despawn(stage.world, entities[1]));
        ((thing*)necpnet_world_get(stage.world, entities[2]))->health = 5;
        TEST_OK(necpnet_world_mark(stage.world, entities[2]));
        TEST_OK(necpnet_link_block(stage.net.link, client->transport, false, false));
        stage_run(&stage, 8000, NULL);
        TEST_HINT("%s", transports[t]);
        TEST_EQUAL(client->resumed, 1);
        TEST_EQUAL(stage.seen[0].entered, 3); /* nobody came anew */
        TEST_EQUAL(stage.seen[0].left, 1);    /* but the one that is gone */
        stage_compare(&stage);
        stage_end(&stage);
    }
}

/* -- how much, and how soon -- */

/* One in three walks, turning a little; now and then one is hurt. */
static void stroll(struct stage* stage, uint64_t now_us)
{
    static uint32_t noise;
    static float headings[65536];
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    (void)now_us;
    while ((entity = necpnet_world_next(stage->world, entity)) != NECPNET_ENTITY_NONE) {
        thing* state = (thing*)necpnet_world_get(stage->world, entity);
        float* heading = &headings[entity & 0xffff];
        noise = noise * 1664525u + 1013904223u;
        if (entity % 3) continue;
        *heading += (float)((int)(noise >> 24) - 128) * 0.0005f;
        if (state->position[0] > 90 || state->position[0] < -90) *heading = state->position[0] > 0 ? 3.1f : 0;
        if (state->position[1] > 90 || state->position[1] < -90) *heading = state->position[1] > 0 ? -1.6f : 1.6f;
        state->position[0] += 0.05f * cosf(*heading); /* 3 units a second */
        state->position[1] += 0.05f * sinf(*heading);
        if ((noise >> 8) % 200 == 0) state->health = (uint16_t)((noise >> 12) % 1000);
        TEST_OK(necpnet_world_mark(stage->world, entity));
    }
}

static void stage_fill(struct stage* stage, int count)
{
    for (int i = 0; i < count; i++) {
        thing start = {{(float)(i % 20) * 9 - 90, (float)(i / 20) * 7 - 80}, 100, ""};
        necpnet_entity entity;
        snprintf(start.name, sizeof start.name, "t%d", i);
        TEST_OK(necpnet_world_spawn(stage->world, 1, &start, &entity));
    }
}

TEST(test_deltas_save_four_fifths_and_more_of_full_states)
{
    for (size_t t = 0; t < 2; t++) {
        for (uint32_t loss_percent = 0; loss_percent <= 30; loss_percent += 10) {
            struct stage stage;
            necpnet_world_statistics whole, before, after;
            stage_begin_at(&stage, 100000);
            stage.net.link_config.latency_us = 30000;
            net_serve(&stage.net);
            stage_fill(&stage, 150);
            struct net_client* client = stage_join(&stage, transports[t]);
            stage_run(&stage, 2000, NULL);
            TEST_OK(necpnet_world_get_statistics(stage.world, &whole));
            TEST_EQUAL(whole.full_sent, 150);
            stage.net.link_config.loss_ppm = loss_percent * 10000;
            TEST_OK(necpnet_link_configure(stage.net.link, client->transport, &stage.net.link_config));
            stage_run(&stage, 1000, stroll);
            TEST_OK(necpnet_world_get_statistics(stage.world, &before));
            stage_run(&stage, 8000, stroll);
            TEST_OK(necpnet_world_get_statistics(stage.world, &after));
            uint64_t updates = after.updates_sent - before.updates_sent;
            uint64_t bytes = after.bytes_sent - before.bytes_sent;
            uint64_t full = updates * whole.bytes_sent / whole.full_sent;
            printf("%s, %2u %% loss: %llu updates of %.2f bytes, %.2f bytes whole: %.1f %% saved\n",
                   t ? "WebSocket" : "UDP", (unsigned)loss_percent, (unsigned long long)updates,
                   (double)bytes / (double)updates, (double)whole.bytes_sent / (double)whole.full_sent,
                   100.0 - 100.0 * (double)bytes / (double)full);
            TEST_GREATER(updates, 2000);
            TEST_AT_MOST(bytes * 5, full);
            TEST_AT_MOST(after.full_sent - before.full_sent, updates / 100);
            stage_end(&stage);
        }
    }
}

static uint32_t stage_lacks(struct stage* stage, int view)
{
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    uint32_t lacks = 0;
    while ((entity = necpnet_world_next(stage->world, entity)) != NECPNET_ENTITY_NONE) {
        thing seen;
        const thing* real = (const thing*)necpnet_world_get(stage->world, entity);
        if (necpnet_view_get_latest(stage->seen[view].view, entity, &seen, sizeof seen, NULL)) {
            lacks++;
        } else if (entity % 3 && seen.health != real->health) { /* of those that rest */
            lacks++;
        }
    }
    return lacks;
}

/* 300 entities, a third in motion, at a budget that takes most of a second for all of their states. */
TEST(test_client_that_joins_late_or_returns_is_whole_within_a_second_at_its_budget)
{
    for (size_t t = 0; t < 2; t++) {
        for (uint32_t loss_percent = 0; loss_percent <= 5; loss_percent += 5) {
            struct stage stage;
            stage_begin_at(&stage, 8000);
            stage.net.link_config.latency_us = 25000;
            stage.net.link_config.loss_ppm = loss_percent * 10000;
            stage.net.client_config.udp_timeout_ms = stage.net.server_config.udp_timeout_ms = 2000;
            stage.net.client_config.websocket_ping_ms = stage.net.server_config.websocket_ping_ms = 500;
            stage.net.client_config.websocket_timeout_ms = stage.net.server_config.websocket_timeout_ms = 2000;
            net_serve(&stage.net);
            stage_fill(&stage, 300);
            stage_run(&stage, 5000, stroll); /* it is late */
            struct net_client* client = stage_join(&stage, transports[t]);
            for (int ms = 0; ms < 5000 && !client->connected; ms++) stage_run(&stage, 1, stroll);
            uint32_t joined_ms = 0, returned_ms = 0;
            while (stage_lacks(&stage, 0) && joined_ms < 3000) {
                stage_run(&stage, 5, stroll);
                joined_ms += 5;
            }
            TEST_OK(necpnet_link_block(stage.net.link, client->transport, true, true));
            stage_run(&stage, 4000, stroll);
            necpnet_entity entity = NECPNET_ENTITY_NONE;
            while ((entity = necpnet_world_next(stage.world, entity)) != NECPNET_ENTITY_NONE) {
                ((thing*)necpnet_world_get(stage.world, entity))->health = 555; /* while it is away, all change */
                TEST_OK(necpnet_world_mark(stage.world, entity));
            }
            TEST_OK(necpnet_link_block(stage.net.link, client->transport, false, false));
            for (int ms = 0; ms < 20000 && !client->resumed; ms++) stage_run(&stage, 1, stroll);
            while (stage_lacks(&stage, 0) && returned_ms < 3000) {
                stage_run(&stage, 5, stroll);
                returned_ms += 5;
            }
            printf("%s, %u %% loss: whole %u ms after joining, %u ms after returning\n", t ? "WebSocket" : "UDP",
                   (unsigned)loss_percent, (unsigned)joined_ms, (unsigned)returned_ms);
            TEST_EQUAL(client->resumed, 1);
            TEST_AT_MOST(joined_ms, 1000);
            TEST_AT_MOST(returned_ms, 1000);
            stage_end(&stage);
        }
    }
}

/* -- interpolation -- */

static void straight(struct stage* stage, uint64_t now_us)
{
    necpnet_entity entity = necpnet_world_next(stage->world, NECPNET_ENTITY_NONE);
    thing* state = (thing*)necpnet_world_get(stage->world, entity);
    state->position[0] = (float)((double)(now_us % 20000000) / 100000.0 - 100.0); /* 10 units a second */
    TEST_OK(necpnet_world_mark(stage->world, entity));
}

TEST(test_interpolated_motion_has_no_step_beyond_the_true_one)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        stage_begin(&stage);
        stage.net.now_us = 20000000;
        stage.net.link_config.latency_us = 40000;
        stage.net.link_config.jitter_us = 50000;
        net_serve(&stage.net);
        thing start = {{-100, 0}, 1, "runner"};
        necpnet_entity entity;
        TEST_OK(necpnet_world_spawn(stage.world, 1, &start, &entity));
        stage_join(&stage, transports[t]);
        stage_run(&stage, 4000, straight);
        double last = 0, worst = 0;
        for (int frame = 0; frame < 600; frame++) {
            thing seen;
            stage_run(&stage, 16, straight);
            TEST_OK(necpnet_view_get(stage.seen[0].view, entity, &seen, sizeof seen));
            double step = (double)seen.position[0] - last;
            if (frame > 0 && step > worst) worst = step;
            if (frame > 0) TEST_CHECK(step >= -0.02);
            last = (double)seen.position[0];
        }
        TEST_CHECK(worst < 0.16 * 1.1 + 0.02); /* 16 ms at 10 units a second, 10 %, two quanta */
        stage_end(&stage);
    }
}

/* -- prediction -- */

static void push_right(void* state, const void* input, size_t bytes, void* user)
{
    (void)user;
    if (bytes == 1) ((thing*)state)->position[0] += (float)*(const int8_t*)input * 0.125f;
}

static void apply_input(struct net* net, const necpnet_event* event)
{
    struct stage* stage = (struct stage*)net->user;
    necpnet_entity entity = necpnet_world_next(stage->world, NECPNET_ENTITY_NONE);
    if (event->type == NECPNET_EVENT_CONNECTED) TEST_OK(necpnet_world_set_owner(stage->world, entity, event->peer));
    if (event->type != NECPNET_EVENT_INPUT) return;
    push_right(necpnet_world_get(stage->world, entity), event->data, event->bytes, NULL);
    TEST_OK(necpnet_world_mark(stage->world, entity));
    TEST_OK(necpnet_world_set_input(stage->world, event->peer, event->tick));
}

TEST(test_own_entity_answers_at_once_and_agrees_with_the_server)
{
    for (size_t t = 0; t < 2; t++) {
        struct stage stage;
        stage_begin(&stage);
        stage.net.link_config.latency_us = 100000;
        stage.net.link_config.loss_ppm = t == 0 ? 50000 : 0;
        stage.net.on_server_event = apply_input;
        stage.net.user = &stage;
        net_serve(&stage.net);
        thing start = {{0, 0}, 1, "own"};
        necpnet_entity entity;
        TEST_OK(necpnet_world_spawn(stage.world, 1, &start, &entity));
        struct net_client* client = stage_join(&stage, transports[t]);
        TEST_OK(necpnet_view_set_prediction(stage.seen[0].view, 1, push_right, NULL));
        stage_run(&stage, 3000, NULL);
        TEST_CHECK(necpnet_view_is_owner(stage.seen[0].view, entity));
        int8_t right = 1;
        for (uint32_t tick = 1; tick <= 100; tick++) {
            thing before, after;
            TEST_OK(necpnet_view_get(stage.seen[0].view, entity, &before, sizeof before));
            TEST_OK(necpnet_client_send_input(client->client, tick, &right, 1));
            TEST_OK(necpnet_view_predict(stage.seen[0].view, tick, &right, 1));
            TEST_OK(necpnet_view_get(stage.seen[0].view, entity, &after, sizeof after));
            TEST_NEAR((double)(after.position[0] - before.position[0]), 0.125, 0.011);
            stage_run(&stage, 17, NULL);
        }
        stage_run(&stage, 3000, NULL);
        thing seen;
        TEST_OK(necpnet_view_get(stage.seen[0].view, entity, &seen, sizeof seen));
        TEST_NEAR((double)seen.position[0], 12.5, 0.02);
        stage_compare(&stage);
        stage_end(&stage);
    }
}

TEST(test_columns_feed_the_world_and_come_out_of_the_view)
{
    enum { COUNT = 50 };
    struct stage stage;
    stage_begin(&stage);
    net_serve(&stage.net);
    necpnet_entity entities[COUNT];
    struct component {
        float position[2];
        uint16_t health;
    } components[COUNT], seen[COUNT];
    memset(components, 0, sizeof components);
    for (int i = 0; i < COUNT; i++) {
        TEST_OK(necpnet_world_spawn(stage.world, 1, NULL, &entities[i]));
        components[i].position[0] = (float)i;
        components[i].position[1] = -(float)i / 4;
        components[i].health = (uint16_t)(i * 3);
    }
    necpnet_column in[3] = {{1, components[0].position, sizeof components[0]},
                            {2, &components[0].health, sizeof components[0]},
                            {3, "everyone       ", 0}};
    int changed = 0;
    TEST_OK(necpnet_world_update_many(stage.world, 1, entities, COUNT, in, 3, &changed));
    TEST_EQUAL(changed, COUNT);
    components[7].health++;
    TEST_OK(necpnet_world_update_many(stage.world, 1, entities, COUNT, in, 2, &changed));
    TEST_EQUAL(changed, 1);
    stage_join(&stage, NET_URL_UDP);
    stage_run(&stage, 1500, NULL);
    stage_compare(&stage);
    memset(seen, 0, sizeof seen);
    necpnet_column_out out[2] = {{1, seen[0].position, sizeof seen[0]}, {2, &seen[0].health, sizeof seen[0]}};
    int count = 0;
    necpnet_entity gone = entities[9];
    entities[9] = 4242;
    TEST_OK(necpnet_view_read_many(stage.seen[0].view, 1, entities, COUNT, out, 2, &count));
    TEST_EQUAL(count, COUNT - 1);
    for (int i = 0; i < COUNT; i++) {
        TEST_EQUAL(seen[i].health, i == 9 ? 0 : components[i].health);
        if (i != 9) TEST_NEAR((double)seen[i].position[1], (double)components[i].position[1], 0.006);
    }
    /* what is wrong changes nothing */
    components[0].health = 999;
    TEST_EQUAL(necpnet_world_update_many(stage.world, 1, entities, COUNT, in, 2, NULL), NECPNET_ERR_NOT_FOUND);
    entities[9] = gone;
    TEST_EQUAL(((const thing*)necpnet_world_get(stage.world, entities[0]))->health, 0);
    in[1].field_id = 77;
    TEST_EQUAL(necpnet_world_update_many(stage.world, 1, entities, COUNT, in, 2, NULL), NECPNET_ERR_NOT_FOUND);
    in[1].field_id = 2;
    in[1].data = NULL;
    TEST_EQUAL(necpnet_world_update_many(stage.world, 1, entities, COUNT, in, 2, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_update_many(stage.world, 9, entities, COUNT, in, 1, NULL), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_update_many(stage.world, 1, entities, -1, in, 1, NULL), NECPNET_ERR_INVALID_ARGUMENT);
    out[0].field_id = 77;
    TEST_EQUAL(necpnet_view_read_many(stage.seen[0].view, 1, entities, COUNT, out, 2, NULL), NECPNET_ERR_NOT_FOUND);
    stage_end(&stage);
}

TEST_MAIN
