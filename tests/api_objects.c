/* api_objects - objects of worlds and sessions, and variables by key, over whole endpoints: both transports, lost packets, those
 * who come late, who come back, who go.
 *
 * Method: net.h; a world with a grid and a filter that lets nobody see anything, so that what is seen is so for being an
 * object. Each client's picture is compared with the server's after some time of random changes.
 */
#include "net.h"

typedef struct pawn {
    float position[2];
} pawn;

typedef struct match {
    uint32_t round;
    int16_t scores[4];
} match;

typedef struct inventory {
    uint16_t items[8];
    uint8_t item_count;
    uint32_t gold;
} inventory;

enum { PAWN = 1, MATCH = 2, INVENTORY = 3 };

static const necpnet_field pawn_fields[] = {
    NECPNET_VEC2(pawn, position, 1, -100, 100, 0.01, NECPNET_FIELD_POSITION),
};
static const necpnet_field match_fields[] = {
    NECPNET_INTEGER(match, round, 1, 0, 1000000, 0),
    NECPNET_INTEGER_ARRAY(match, scores, 2, -99, 9999, NECPNET_FIELD_SIGNED),
};
static const necpnet_field inventory_fields[] = {
    NECPNET_INTEGER_LIST(inventory, items, item_count, 1, 0, 999, 0),
    NECPNET_INTEGER(inventory, gold, 2, 0, 1000000, NECPNET_FIELD_OWNER_ONLY),
};
static const necpnet_entity_type types[] = {
    {"pawn", PAWN, sizeof(pawn), pawn_fields, 1},
    {"match", MATCH, sizeof(match), match_fields, 2},
    {"inventory", INVENTORY, sizeof(inventory), inventory_fields, 2},
};

#define CLIENTS_MAX 8

struct stage {
    struct net net;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* views[CLIENTS_MAX];
    int count;
    uint32_t committed;
};

static bool sees_nothing(void* user, necpnet_peer peer, necpnet_entity entity)
{
    (void)user, (void)peer, (void)entity;
    return false;
}

static void stage_begin(struct stage* stage, uint32_t loss_ppm)
{
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    stage->net.link_config.latency_us = 20000;
    stage->net.link_config.loss_ppm = loss_ppm;
    stage->net.client_config.websocket_timeout_ms = stage->net.server_config.websocket_timeout_ms = 2000;
    stage->net.client_config.websocket_ping_ms = stage->net.server_config.websocket_ping_ms = 500;
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, types, 3, &stage->schema));
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = stage->net.allocator;
    config.schema = stage->schema;
    config.interest_cell = 10;
    config.can_see = sees_nothing;
    TEST_OK(necpnet_world_create(&config, &stage->world));
    stage->net.server_config.world = stage->world;
    net_serve(&stage->net);
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    for (int i = 0; i < stage->count; i++) necpnet_view_destroy(stage->views[i]);
    necpnet_world_destroy(stage->world);
    necpnet_schema_destroy(stage->schema);
}

static void stage_run(struct stage* stage, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        if (tick > stage->committed) {
            TEST_OK(necpnet_world_commit(stage->world, tick));
            stage->committed = tick;
        }
        net_step(&stage->net, NET_STEP_US);
        for (int v = 0; v < stage->count; v++) TEST_OK(necpnet_view_update(stage->views[v], stage->net.now_us));
    }
}

/* Returns the peer. */
static necpnet_peer stage_join(struct stage* stage, const char* url)
{
    necpnet_view_config config;
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = stage->net.allocator;
    config.schema = stage->schema;
    TEST_OK(necpnet_view_create(&config, &stage->views[stage->count]));
    stage->net.client_config.view = stage->views[stage->count++];
    net_join(&stage->net, url);
    int before = stage->net.peer_count;
    for (int i = 0; i < 300 && stage->net.peer_count == before; i++) stage_run(stage, 50);
    TEST_GREATER(stage->net.peer_count, before);
    return stage->net.peers[before];
}

static const char* const transports[] = {NET_URL_UDP, NET_URL_WEB};
#define EACH_TRANSPORT(url) for (const char* const* url = transports; url < transports + 2; url++)

static bool has(const struct stage* stage, int view, uint16_t type)
{
    return necpnet_view_find_object(stage->views[view], type) != NECPNET_ENTITY_NONE;
}

static int count_in_view(const struct stage* stage, int view)
{
    int count = 0;
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    while ((entity = necpnet_view_next(stage->views[view], entity)) != NECPNET_ENTITY_NONE) count++;
    return count;
}

/* ---- objects ---------------------------------------------------------------------------------------------------------- */

TEST(test_objects_are_seen_whatever_the_filter_says)
{
    EACH_TRANSPORT(url)
    {
        struct stage stage;
        necpnet_entity pawn_entity, match_entity, bags[2];
        stage_begin(&stage, 100000);
        TEST_OK(necpnet_world_spawn(stage.world, PAWN, NULL, &pawn_entity));
        TEST_OK(necpnet_world_open_object(stage.world, MATCH, NECPNET_PEER_NONE, &match_entity));
        match* game = (match*)necpnet_world_get(stage.world, match_entity);
        game->round = 3;
        game->scores[2] = -7;
        for (int i = 0; i < 2; i++) {
            necpnet_peer peer = stage_join(&stage, *url);
            TEST_OK(necpnet_world_open_object(stage.world, INVENTORY, peer, &bags[i]));
            inventory* bag = (inventory*)necpnet_world_get(stage.world, bags[i]);
            bag->items[0] = (uint16_t)(i + 1);
            bag->item_count = 1;
            bag->gold = 50;
            TEST_OK(necpnet_world_mark(stage.world, bags[i]));
        }
        stage_run(&stage, 1000);
        for (int i = 0; i < 2; i++) {
            match seen_match;
            inventory seen_bag;
            TEST_EQUAL(count_in_view(&stage, i), 2);
            TEST_EQUAL(necpnet_view_find_object(stage.views[i], MATCH), match_entity);
            TEST_EQUAL(necpnet_view_find_object(stage.views[i], INVENTORY), bags[i]);
            TEST_CHECK(necpnet_view_is_owner(stage.views[i], bags[i]));
            TEST_OK(necpnet_view_get(stage.views[i], match_entity, &seen_match, sizeof seen_match));
            TEST_EQUAL(seen_match.round, 3);
            TEST_EQUAL(seen_match.scores[2], -7);
            TEST_OK(necpnet_view_get(stage.views[i], bags[i], &seen_bag, sizeof seen_bag));
            TEST_EQUAL(seen_bag.item_count, 1);
            TEST_EQUAL(seen_bag.items[0], i + 1);
            TEST_EQUAL(seen_bag.gold, 50);
        }
        game->round = 4;
        TEST_OK(necpnet_world_mark(stage.world, match_entity));
        stage_run(&stage, 1000);
        match seen_match;
        TEST_OK(necpnet_view_get(stage.views[1], match_entity, &seen_match, sizeof seen_match));
        TEST_EQUAL(seen_match.round, 4);
        TEST_OK(necpnet_world_despawn(stage.world, match_entity));
        stage_run(&stage, 1000);
        for (int i = 0; i < 2; i++) TEST_CHECK(!has(&stage, i, MATCH) && has(&stage, i, INVENTORY));
        stage_end(&stage);
    }
}

TEST(test_objects_go_with_their_session_and_stay_over_a_reconnect)
{
    EACH_TRANSPORT(url)
    {
        struct stage stage;
        necpnet_entity bag, again;
        stage_begin(&stage, 0);
        necpnet_peer peer = stage_join(&stage, *url);
        TEST_OK(necpnet_world_open_object(stage.world, INVENTORY, peer, &bag));
        TEST_OK(necpnet_world_open_object(stage.world, INVENTORY, peer, &again));
        TEST_EQUAL(again, bag);
        stage_run(&stage, 300);
        TEST_CHECK(has(&stage, 0, INVENTORY));
        TEST_OK(necpnet_client_disconnect(stage.net.clients[0].client, 0, "", 0));
        stage_run(&stage, 300);
        TEST_CHECK(!has(&stage, 0, INVENTORY));
        TEST_CHECK(necpnet_world_get(stage.world, bag) == NULL);
        TEST_EQUAL(necpnet_world_find_object(stage.world, INVENTORY, peer), NECPNET_ENTITY_NONE);
        TEST_EQUAL(necpnet_world_open_object(stage.world, INVENTORY, peer, &again), NECPNET_ERR_NOT_FOUND);
        stage_end(&stage);
    }
}

TEST(test_objects_are_one_of_a_type)
{
    struct stage stage;
    necpnet_entity entity, other;
    stage_begin(&stage, 0);
    necpnet_peer peer = stage_join(&stage, NET_URL_UDP);
    TEST_OK(necpnet_world_spawn(stage.world, PAWN, NULL, &entity));
    TEST_EQUAL(necpnet_world_open_object(stage.world, PAWN, NECPNET_PEER_NONE, &other), NECPNET_ERR_INVALID_STATE);
    TEST_OK(necpnet_world_open_object(stage.world, MATCH, NECPNET_PEER_NONE, &entity));
    TEST_EQUAL(necpnet_world_spawn(stage.world, MATCH, NULL, &other), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_world_open_object(stage.world, MATCH, peer, &other), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_world_find_object(stage.world, MATCH, NECPNET_PEER_NONE), entity);
    TEST_EQUAL(necpnet_world_find_object(stage.world, MATCH, peer), NECPNET_ENTITY_NONE);
    TEST_OK(necpnet_world_open_object(stage.world, INVENTORY, peer, &other));
    TEST_EQUAL(necpnet_world_set_owner(stage.world, other, NECPNET_PEER_NONE), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_world_open_object(stage.world, INVENTORY, 4242, &other), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_open_object(stage.world, 99, NECPNET_PEER_NONE, &other), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_open_object(NULL, MATCH, NECPNET_PEER_NONE, &other), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_OK(necpnet_world_despawn(stage.world, entity));
    TEST_OK(necpnet_world_open_object(stage.world, MATCH, NECPNET_PEER_NONE, &other));
    TEST_NOT_EQUAL(other, entity);
    stage_end(&stage);
}

TEST(test_objects_of_the_world_are_saved)
{
    static uint8_t saved[4096];
    struct stage stage, back;
    size_t bytes = 0;
    necpnet_entity entity, bag;
    stage_begin(&stage, 0);
    stage_begin(&back, 0);
    necpnet_peer peer = stage_join(&stage, NET_URL_UDP);
    TEST_OK(necpnet_world_open_object(stage.world, MATCH, NECPNET_PEER_NONE, &entity));
    TEST_OK(necpnet_world_open_object(stage.world, INVENTORY, peer, &bag));
    ((match*)necpnet_world_get(stage.world, entity))->round = 77;
    stage_run(&stage, 100);
    TEST_OK(necpnet_world_save(stage.world, saved, sizeof saved, &bytes));
    TEST_OK(necpnet_world_load(back.world, saved, bytes));
    TEST_EQUAL(necpnet_world_find_object(back.world, MATCH, NECPNET_PEER_NONE), entity);
    TEST_EQUAL(((const match*)necpnet_world_get(back.world, entity))->round, 77);
    TEST_CHECK(necpnet_world_get(back.world, bag) == NULL);
    stage_join(&back, NET_URL_UDP);
    stage_run(&back, 500);
    TEST_CHECK(has(&back, 0, MATCH));
    stage_end(&back);
    stage_end(&stage);
}

/* ---- variables --------------------------------------------------------------------------------------------------------- */

static int64_t integer_of(const struct stage* stage, int view, necpnet_scope scope, const char* key)
{
    necpnet_value value;
    if (necpnet_view_get_variable(stage->views[view], scope, key, &value) != NECPNET_OK) return -1;
    return value.type == NECPNET_VALUE_INTEGER ? value.integer : -2;
}

static void set(const struct stage* stage, necpnet_peer peer, const char* key, int64_t value)
{
    TEST_OK(necpnet_world_set_variable(stage->world, peer, key, necpnet_value_of_integer(value)));
}

TEST(test_variables_of_the_world_reach_everyone_and_those_of_a_session_one)
{
    EACH_TRANSPORT(url)
    {
        struct stage stage;
        necpnet_value value;
        stage_begin(&stage, 100000);
        set(&stage, NECPNET_PEER_NONE, "round", 1);
        TEST_OK(necpnet_world_set_variable(stage.world, NECPNET_PEER_NONE, "map", necpnet_value_of_string("dunes")));
        necpnet_peer first = stage_join(&stage, *url);
        set(&stage, first, "team", 1);
        stage_run(&stage, 500);
        necpnet_peer late = stage_join(&stage, *url);
        set(&stage, late, "team", 2);
        set(&stage, NECPNET_PEER_NONE, "round", 2);
        stage_run(&stage, 2000);
        for (int i = 0; i < 2; i++) {
            TEST_EQUAL(integer_of(&stage, i, NECPNET_SCOPE_WORLD, "round"), 2);
            TEST_EQUAL(integer_of(&stage, i, NECPNET_SCOPE_SESSION, "team"), i + 1);
            TEST_EQUAL(integer_of(&stage, i, NECPNET_SCOPE_WORLD, "team"), -1);
            TEST_OK(necpnet_view_get_variable(stage.views[i], NECPNET_SCOPE_WORLD, "map", &value));
            TEST_EQUAL_STRING((const char*)value.data, "dunes");
        }
        TEST_OK(necpnet_world_get_variable(stage.world, late, "team", &value));
        TEST_EQUAL(value.integer, 2);
        TEST_EQUAL(necpnet_world_get_variable(stage.world, late, "round", &value), NECPNET_ERR_NOT_FOUND);
        TEST_EQUAL(necpnet_world_set_variable(stage.world, 4242, "x", value), NECPNET_ERR_NOT_FOUND);
        memset(&value, 0, sizeof value);
        TEST_OK(necpnet_world_set_variable(stage.world, NECPNET_PEER_NONE, "map", value));
        stage_run(&stage, 2000);
        for (int i = 0; i < 2; i++) {
            TEST_EQUAL(necpnet_view_get_variable(stage.views[i], NECPNET_SCOPE_WORLD, "map", &value),
                       NECPNET_ERR_NOT_FOUND);
        }
        TEST_OK(necpnet_client_disconnect(stage.net.clients[0].client, 0, "", 0));
        stage_run(&stage, 8000); /* every CLOSE may get lost: then it is silence that ends it */
        TEST_EQUAL(integer_of(&stage, 0, NECPNET_SCOPE_WORLD, "round"), -1);
        TEST_EQUAL(necpnet_world_get_variable(stage.world, first, "team", &value), NECPNET_ERR_NOT_FOUND);
        stage_end(&stage);
    }
}

/* Changes come in their order, the last value of each alone, through loss; polling ends. */
TEST(test_variables_change_in_order)
{
    EACH_TRANSPORT(url)
    {
        struct stage stage;
        necpnet_variable_change change;
        int64_t order = 0;
        int changes = 0;
        stage_begin(&stage, 100000);
        stage_join(&stage, *url);
        for (int i = 1; i <= 200; i++) {
            char key[16];
            snprintf(key, sizeof key, "k%d", i % 7);
            set(&stage, NECPNET_PEER_NONE, key, i);
            stage_run(&stage, 10);
            while (necpnet_view_poll_variable(stage.views[0], &change)) {
                TEST_GREATER(change.value.integer, order);
                order = change.value.integer;
                changes++;
            }
        }
        stage_run(&stage, 2000);
        while (necpnet_view_poll_variable(stage.views[0], &change)) {
            TEST_GREATER(change.value.integer, order);
            order = change.value.integer;
            changes++;
        }
        TEST_EQUAL(order, 200);
        TEST_GREATER(changes, 20);
        stage_end(&stage);
    }
}

/* Far more than CONTROL holds at once. */
TEST(test_variables_of_a_late_client_come_as_the_channel_takes_them)
{
    static char text[NECPNET_VALUE_BYTES_MAX + 1];
    EACH_TRANSPORT(url)
    {
        struct stage stage;
        char key[16];
        stage_begin(&stage, 20000);
        memset(text, 'x', sizeof text - 1);
        for (int i = 0; i < 500; i++) {
            snprintf(key, sizeof key, "k%d", i);
            TEST_OK(necpnet_world_set_variable(stage.world, NECPNET_PEER_NONE, key, necpnet_value_of_string(text)));
        }
        stage_join(&stage, *url);
        stage_run(&stage, 4000);
        for (int i = 0; i < 500; i++) {
            necpnet_value value;
            snprintf(key, sizeof key, "k%d", i);
            TEST_HINT("%s", key);
            TEST_OK(necpnet_view_get_variable(stage.views[0], NECPNET_SCOPE_WORLD, key, &value));
            TEST_EQUAL(value.bytes, NECPNET_VALUE_BYTES_MAX);
        }
        stage_end(&stage);
    }
}

struct heard {
    necpnet_view* view;
    int calls;
    char last[128];
};

static void on_change(void* user, const necpnet_variable_change* change)
{
    struct heard* heard = (struct heard*)user;
    heard->calls++;
    if (change->value.type == NECPNET_VALUE_NONE)
        snprintf(heard->last, sizeof heard->last, "%s gone", change->key);
    else
        snprintf(heard->last, sizeof heard->last, "%s %d", change->key, (int)change->value.integer);
}

static void stop_watching(void* user, const necpnet_variable_change* change)
{
    struct heard* heard = (struct heard*)user;
    heard->calls++;
    TEST_OK(necpnet_view_watch(heard->view, NECPNET_SCOPE_WORLD, change->key, NULL, NULL));
}

TEST(test_variables_are_watched)
{
    struct stage stage;
    struct heard one = {NULL, 0, ""}, all = {NULL, 0, ""}, once = {NULL, 0, ""};
    necpnet_value none;
    char key[16];
    memset(&none, 0, sizeof none);
    stage_begin(&stage, 0);
    stage_join(&stage, NET_URL_UDP);
    once.view = stage.views[0];
    set(&stage, NECPNET_PEER_NONE, "score/red", 1);
    set(&stage, NECPNET_PEER_NONE, "gone", 1);
    TEST_OK(necpnet_world_set_variable(stage.world, NECPNET_PEER_NONE, "gone", none));
    stage_run(&stage, 200);
    TEST_OK(necpnet_view_watch(stage.views[0], NECPNET_SCOPE_WORLD, "score/red", on_change, &one));
    TEST_OK(necpnet_view_watch(stage.views[0], NECPNET_SCOPE_WORLD, "*", on_change, &all));
    TEST_OK(necpnet_view_watch(stage.views[0], NECPNET_SCOPE_WORLD, "score/blue", stop_watching, &once));
    stage_run(&stage, 20);
    TEST_EQUAL_STRING(one.last, "score/red 1");
    TEST_EQUAL(all.calls, 1);
    set(&stage, NECPNET_PEER_NONE, "score/blue", 5);
    stage_run(&stage, 200);
    set(&stage, NECPNET_PEER_NONE, "score/blue", 6);
    stage_run(&stage, 200);
    TEST_EQUAL(one.calls, 1);
    TEST_EQUAL(once.calls, 1);
    TEST_EQUAL(all.calls, 3);
    TEST_EQUAL_STRING(all.last, "score/blue 6");
    TEST_OK(necpnet_world_set_variable(stage.world, NECPNET_PEER_NONE, "score/red", none));
    stage_run(&stage, 200);
    TEST_EQUAL_STRING(one.last, "score/red gone");
    TEST_OK(necpnet_view_watch(stage.views[0], NECPNET_SCOPE_WORLD, "score/red", NULL, NULL));
    TEST_EQUAL(necpnet_view_watch(stage.views[0], NECPNET_SCOPE_SESSION, "*", NULL, NULL), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_view_watch(stage.views[0], (necpnet_scope)7, "*", on_change, NULL),
               NECPNET_ERR_INVALID_ARGUMENT);
    stage_run(&stage, 20);
    necpnet_result result = NECPNET_OK;
    for (int i = 0; result == NECPNET_OK; i++) {
        snprintf(key, sizeof key, "w%d", i);
        TEST_AT_MOST(i, NECPNET_WATCHES_MAX);
        result = necpnet_view_watch(stage.views[0], NECPNET_SCOPE_SESSION, key, on_change, &one);
    }
    TEST_EQUAL(result, NECPNET_ERR_LIMIT_REACHED);
    stage_end(&stage);
}

/* A cut connection: the session goes on, what changed meanwhile comes, what was the same is no change. */
TEST(test_variables_after_a_reconnect_tell_what_changed)
{
    EACH_TRANSPORT(url)
    {
        struct stage stage;
        necpnet_variable_change change;
        necpnet_value none;
        memset(&none, 0, sizeof none);
        stage_begin(&stage, 0);
        necpnet_peer peer = stage_join(&stage, *url);
        set(&stage, NECPNET_PEER_NONE, "a", 1);
        set(&stage, NECPNET_PEER_NONE, "b", 1);
        set(&stage, peer, "c", 1);
        stage_run(&stage, 500);
        while (necpnet_view_poll_variable(stage.views[0], &change)) continue;
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[0].transport, true, true));
        stage_run(&stage, 7000);
        TEST_EQUAL(stage.net.clients[0].suspended, 1);
        set(&stage, NECPNET_PEER_NONE, "a", 2);
        TEST_OK(necpnet_world_set_variable(stage.world, NECPNET_PEER_NONE, "b", none));
        TEST_OK(necpnet_link_block(stage.net.link, stage.net.clients[0].transport, false, false));
        for (int i = 0; i < 100 && !stage.net.clients[0].resumed; i++) stage_run(&stage, 100);
        TEST_EQUAL(stage.net.clients[0].resumed, 1);
        stage_run(&stage, 1000);
        TEST_EQUAL(integer_of(&stage, 0, NECPNET_SCOPE_WORLD, "a"), 2);
        TEST_EQUAL(integer_of(&stage, 0, NECPNET_SCOPE_WORLD, "b"), -1);
        TEST_EQUAL(integer_of(&stage, 0, NECPNET_SCOPE_SESSION, "c"), 1);
        int changes = 0;
        while (necpnet_view_poll_variable(stage.views[0], &change)) changes++;
        TEST_EQUAL(changes, 2);
        stage_end(&stage);
    }
}

TEST_MAIN
