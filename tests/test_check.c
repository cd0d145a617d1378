/* test_check - hashes of what a view has, and the repair of what differs.
 *
 * Bits of a view's states are turned over, in what it shows and in what updates follow from; entities are taken out of it.
 * Both sides must count it, and in the end every row equals the world's. Undisturbed views under loss must never differ, and
 * an unchanged world must send nothing. net.h with the parts inside.
 */
#include "net.h"

#include "nn_check.h"
#include "nn_server.h"
#include "nn_track.h"
#include "nn_view.h"

typedef struct thing {
    float position[3];
    float turn[4];
    int32_t count;
    char name[12];
    uint8_t secret;
} thing;

static const necpnet_field thing_fields[] = {
    NECPNET_VEC3(thing, position, 1, -500, 500, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_QUAT(thing, turn, 2, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(thing, count, 3, -1000, 1000, NECPNET_FIELD_SIGNED),
    NECPNET_STRING(thing, name, 4, 0),
    NECPNET_INTEGER(thing, secret, 5, 0, 255, NECPNET_FIELD_OWNER_ONLY),
};
static const necpnet_entity_type thing_type = {"thing", 1, sizeof(thing), thing_fields, 5};

#define CLIENTS 2
#define THINGS 40

struct stage {
    struct net net;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* views[CLIENTS];
    necpnet_entity things[THINGS];
    uint32_t committed;
    bool moves;
};

static void stage_begin(struct stage* stage, uint32_t loss_ppm, uint32_t interval_ms)
{
    static const char* const urls[CLIENTS] = {NET_URL_UDP, NET_URL_WEB};
    memset(stage, 0, sizeof *stage);
    net_begin(&stage->net);
    stage->moves = true;
    TEST_OK(necpnet_schema_create(&stage->net.allocator, NULL, &thing_type, 1, &stage->schema));
    necpnet_world_config world;
    TEST_OK(necpnet_world_config_default(&world));
    world.allocator = stage->net.allocator;
    world.schema = stage->schema;
    world.check_interval_ms = interval_ms;
    TEST_OK(necpnet_world_create(&world, &stage->world));
    stage->net.server_config.world = stage->world;
    stage->net.link_config.latency_us = 30000;
    stage->net.link_config.jitter_us = 15000;
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
        TEST_EQUAL(stage->net.peer_count, i + 1);
    }
    for (int i = 0; i < THINGS; i++) {
        thing state = {{(float)i, 0, 0}, {0, 0, 0, 1}, i, "thing", 3};
        TEST_OK(necpnet_world_spawn(stage->world, 1, &state, &stage->things[i]));
    }
}

static void stage_end(struct stage* stage)
{
    net_end(&stage->net);
    for (int v = 0; v < CLIENTS; v++) necpnet_view_destroy(stage->views[v]);
    necpnet_world_destroy(stage->world);
    necpnet_schema_destroy(stage->schema);
}

/* Half of the things move, one in a while changes its owner. */
static void stage_run(struct stage* stage, uint32_t ms)
{
    for (uint32_t i = 0; i < ms; i++) {
        uint32_t tick = (uint32_t)(stage->net.now_us * 60 / 1000000);
        for (int t = 0; stage->moves && tick > stage->committed && t < THINGS / 2; t++) {
            thing* state = (thing*)necpnet_world_get(stage->world, stage->things[t]);
            state->position[0] = (float)((tick * (unsigned)(t + 1)) % 40000) / 100;
            state->position[1] = (float)((tick * tick) % 977) / 10;
            state->count = (int32_t)(tick % 300);
            TEST_OK(necpnet_world_mark(stage->world, stage->things[t]));
        }
        if (tick > stage->committed) TEST_OK(necpnet_world_commit(stage->world, stage->committed = tick));
        if (stage->moves && stage->net.now_us % 700000 == 0) {
            necpnet_peer owner = stage->net.peers[stage->net.now_us / 700000 % 2];
            TEST_OK(necpnet_world_set_owner(stage->world, stage->things[stage->net.now_us / 700000 % THINGS], owner));
        }
        net_step(&stage->net, NET_STEP_US);
    }
}

static bool stage_same(const struct stage* stage, int client, necpnet_entity entity)
{
    const nn_world_slot* slot = nn_world_find(stage->world, entity);
    const nn_view_slot* seen = nn_view_find(stage->views[client], entity);
    if (!seen) return false;
    const nn_type_plan* plan = &stage->schema->plans[slot->type];
    const uint32_t* row = nn_world_row(stage->world, slot, slot->version);
    const uint32_t* got = nn_view_row(stage->views[client], seen, seen->entity->count - 1u);
    bool owner = seen->entity->owner;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!nn_field_visible(field, owner)) continue;
        if (memcmp(row + field->word, got + field->word, field->words * sizeof(uint32_t)) != 0) return false;
    }
    return true;
}

static necpnet_view_statistics stage_view(const struct stage* stage, int client)
{
    necpnet_view_statistics statistics;
    TEST_OK(necpnet_view_get_statistics(stage->views[client], &statistics));
    return statistics;
}

static necpnet_world_statistics stage_world(const struct stage* stage)
{
    necpnet_world_statistics statistics;
    TEST_OK(necpnet_world_get_statistics(stage->world, &statistics));
    return statistics;
}

TEST(test_check_hash_tells_every_word_owner_and_generation_apart)
{
    struct stage stage;
    stage_begin(&stage, 0, 1000);
    const nn_type_plan* plan = &stage.schema->plans[0];
    uint32_t row[NN_ROW_WORDS_MAX];
    memcpy(row, plan->row_zeroes, plan->row_words * sizeof(uint32_t));
    uint16_t hash = nn_check_hash(plan, row, true, 7, 9);
    TEST_NOT_EQUAL(nn_check_hash(plan, row, true, 8, 9), hash);
    TEST_NOT_EQUAL(nn_check_hash(plan, row, true, 7, 10), hash);
    TEST_NOT_EQUAL(nn_check_hash(plan, row, false, 7, 9), hash);
    for (uint32_t w = 0; w < plan->row_words; w++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            row[w] ^= UINT32_C(1) << bit;
            TEST_HINT("word %u, bit %u", (unsigned)w, bit);
            TEST_NOT_EQUAL(nn_check_hash(plan, row, true, 7, 9), hash);
            row[w] ^= UINT32_C(1) << bit;
        }
    }
    stage_end(&stage);
}

TEST(test_check_finds_nothing_where_nothing_is_wrong)
{
    for (uint32_t loss_ppm = 0; loss_ppm <= 300000; loss_ppm += 150000) {
        struct stage stage;
        stage_begin(&stage, loss_ppm, 1000);
        stage_run(&stage, 30000);
        for (int v = 0; v < CLIENTS; v++) {
            TEST_HINT("loss %u ppm, client %d", (unsigned)loss_ppm, v);
            TEST_AT_LEAST(stage_view(&stage, v).checks, loss_ppm ? 100 : 800);
            TEST_EQUAL(stage_view(&stage, v).mismatches, 0);
        }
        TEST_EQUAL(stage_world(&stage).repairs, 0);
        stage_end(&stage);
    }
}

TEST(test_check_repairs_a_bit_turned_over_in_what_is_shown)
{
    for (int v = 0; v < CLIENTS; v++) {
        struct stage stage;
        necpnet_entity still;
        stage_begin(&stage, 50000, 2000);
        still = stage.things[THINGS - 1];
        stage_run(&stage, 5000);
        nn_view_slot* slot = nn_view_find(stage.views[v], still);
        nn_view_row(stage.views[v], slot, slot->entity->count - 1u)[0] ^= 4;
        TEST_CHECK(!stage_same(&stage, v, still));
        stage_run(&stage, 8000);
        TEST_HINT("client %d", v);
        TEST_AT_LEAST(stage_view(&stage, v).mismatches, 1);
        TEST_AT_LEAST(stage_view(&stage, v).repairs, 1);
        TEST_AT_LEAST(stage_world(&stage).repairs, 1);
        TEST_CHECK(stage_same(&stage, v, still));
        stage_end(&stage);
    }
}

TEST(test_check_repairs_what_updates_follow_from)
{
    for (int v = 0; v < CLIENTS; v++) {
        struct stage stage;
        stage_begin(&stage, 50000, 1000);
        stage_run(&stage, 3000);
        /* a quiet field of a moving thing: no update would ever name it again */
        const nn_field_plan* name = &stage.schema->plans[0].fields[3];
        nn_view_slot* slot = nn_view_find(stage.views[v], stage.things[5]);
        for (unsigned i = 0; i < slot->track.count; i++) {
            uint32_t* row = slot->track.rows + (size_t)slot->track.states[i].place * slot->track.row_words;
            row[name->word + 1] ^= 2;
        }
        stage_run(&stage, 6000);
        TEST_HINT("client %d", v);
        TEST_AT_LEAST(stage_view(&stage, v).mismatches, 1);
        TEST_AT_LEAST(stage_view(&stage, v).repairs, 1);
        stage.moves = false;
        stage_run(&stage, 2000);
        for (int t = 0; t < THINGS; t++) TEST_CHECK(stage_same(&stage, v, stage.things[t]));
        TEST_CHECK(!stage_view(&stage, 1 - v).mismatches);
        stage_end(&stage);
    }
}

TEST(test_check_costs_at_most_what_it_may_and_nothing_in_a_still_world)
{
    struct stage stage;
    stage_begin(&stage, 0, 1000);
    stage_run(&stage, 5000);
    uint64_t before = stage_world(&stage).check_bytes;
    stage_run(&stage, 10000);
    uint64_t bytes = stage_world(&stage).check_bytes - before;
    TEST_AT_MOST(bytes, CLIENTS * 10 * 32000 / 50);
    TEST_AT_LEAST(bytes, 1);
    stage.moves = false;
    stage_run(&stage, 3000);
    necpnet_world_statistics still = stage_world(&stage);
    stage_run(&stage, 20000);
    TEST_EQUAL(stage_world(&stage).bytes_sent, still.bytes_sent);
    stage_end(&stage);
}

TEST(test_check_refuses_frames_with_checks_that_do_not_decode)
{
    struct stage stage;
    stage_begin(&stage, 0, 0);
    stage_run(&stage, 1000);
    TEST_EQUAL(stage_view(&stage, 0).checks, 0); /* 0: never */
    static const uint8_t frames[][8] = {
        {2, 64, 1},                /* without any */
        {4, 64, 1, 0, 0},          /* none of them */
        {7, 64, 1, 0, 1, 1, 0, 1}, /* cut */
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        nn_reader reader = nn_reader_of(frames[i], sizeof frames[i]);
        TEST_EQUAL(nn_view_read(stage.views[0], &reader, stage.net.now_us), NECPNET_ERR_BAD_DATA);
    }
    stage_end(&stage);
}

TEST_MAIN
