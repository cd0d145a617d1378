/* test_follower - a world, its followers and their views over a link that loses, delays and reorders.
 *
 * Whatever the link does: when it has healed, every row in a view equals the world's bit for bit, in the fields that its
 * client may see; the others are as of a struct of zeroes. Random schemas, random motion, random spawns, despawns and
 * owners, many seeds. No clock: time is counted.
 */
#include "test.h"

#include "kit_state.h"
#include "nn_follower.h"
#include "nn_frame.h"
#include "nn_quantise.h"
#include "nn_row.h"
#include "nn_view.h"

#define TICK_US 16667
#define CLIENTS_MAX 3
#define PACKETS_MAX 400

typedef struct sim_packet {
    uint8_t data[2048];
    size_t bytes;
    uint32_t value;
    uint64_t arrives_us; /* UINT64_MAX: lost, or has arrived */
    uint64_t number;     /* in the order of sending */
    uint64_t settled_us; /* when the server learns of it */
    bool arrived;
    bool acked; /* what it then learns */
    bool used;
} sim_packet;

typedef struct sim_client {
    nn_follower* follower;
    necpnet_view* view;
    sim_packet packets[PACKETS_MAX];
    uint64_t sent;
    uint64_t last_us; /* ordered: nothing overtakes */
    bool ordered;
    necpnet_peer peer;
} sim_client;

typedef struct sim {
    nn_random random;
    kit_schema kit;
    necpnet_schema* schema;
    necpnet_world* world;
    sim_client clients[CLIENTS_MAX];
    int client_count;
    uint64_t now_us;
    uint32_t tick;
    uint32_t loss_ppm;
    uint64_t delay_us;
    uint64_t jitter_us;
    size_t budget;
} sim;

static sim the_sim;

static void sim_join(sim* s, sim_client* client, bool ordered)
{
    necpnet_view_config config;
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = test_allocator();
    config.schema = s->schema;
    TEST_OK(necpnet_view_create(&config, &client->view));
    client->ordered = ordered;
    client->peer = 1000 + (necpnet_peer)(client - s->clients);
    TEST_OK(nn_world_follow(s->world, client->peer, ordered, &client->follower));
}

static void sim_begin(sim* s, uint64_t seed, bool restricted)
{
    memset(s, 0, sizeof *s);
    nn_random_seed(&s->random, seed);
    kit_schema_random(&s->kit, &s->random, restricted);
    necpnet_allocator allocator = test_allocator();
    TEST_OK(necpnet_schema_create(&allocator, NULL, s->kit.types, s->kit.type_count, &s->schema));
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = allocator;
    config.schema = s->schema;
    config.send_hz = 60;
    config.client_bytes_per_s = 10000000;
    config.check_interval_ms = 1000;
    config.history_ticks = nn_random_below(&s->random, 2) ? 64 : 8;
    TEST_OK(necpnet_world_create(&config, &s->world));
    s->now_us = 1000000;
    s->tick = 1 + (uint32_t)nn_random_below(&s->random, 1000);
    s->loss_ppm = (uint32_t)nn_random_below(&s->random, 400000);
    s->delay_us = nn_random_below(&s->random, nn_random_below(&s->random, 3) ? 150000 : 450000);
    s->jitter_us = nn_random_below(&s->random, 100000);
    s->budget = 100 + (size_t)nn_random_below(&s->random, 1200);
    s->client_count = CLIENTS_MAX;
    for (int i = 0; i < s->client_count; i++) sim_join(s, &s->clients[i], i == 0);
}

static void sim_end(sim* s)
{
    for (int i = 0; i < s->client_count; i++) {
        nn_world_unfollow(s->world, s->clients[i].follower);
        necpnet_view_destroy(s->clients[i].view);
    }
    necpnet_world_destroy(s->world);
    necpnet_schema_destroy(s->schema);
}

static void sim_send(sim* s, sim_client* client)
{
    sim_packet* packet = client->packets;
    while (packet < client->packets + PACKETS_MAX && packet->used) packet++;
    if (packet == client->packets + PACKETS_MAX) return;
    size_t budget = s->budget < sizeof packet->data ? s->budget : sizeof packet->data;
    nn_writer writer = nn_writer_of(packet->data, sizeof packet->data);
    if (!nn_follower_write(client->follower, &writer, budget, &packet->value, s->now_us)) {
        TEST_EQUAL(nn_writer_bytes(&writer), 0);
        return;
    }
    packet->bytes = nn_writer_bytes(&writer);
    TEST_AT_MOST(packet->bytes, budget);
    packet->used = true;
    packet->number = client->sent++;
    packet->arrived = false;
    uint64_t way = s->delay_us + nn_random_below(&s->random, s->jitter_us + 1);
    /* Now and then one is stuck for longer than a view takes frames in: NN_STATE_WINDOW_TICKS are 2.1 s. */
    bool stuck = !client->ordered && s->loss_ppm && nn_random_below(&s->random, 100) == 0;
    if (stuck) way += nn_random_below(&s->random, 3000000);
    packet->arrives_us = s->now_us + way;
    if (client->ordered) {
        packet->arrives_us = client->last_us > packet->arrives_us ? client->last_us : packet->arrives_us;
        client->last_us = packet->arrives_us;
        packet->settled_us = packet->arrives_us;
        return;
    }
    bool lost = nn_random_chance(&s->random, s->loss_ppm);
    bool ack_lost = nn_random_chance(&s->random, s->loss_ppm / 2); /* it arrives, and the server takes it for lost */
    if (lost) packet->arrives_us = UINT64_MAX;
    packet->acked = !lost && !ack_lost;
    packet->settled_us = s->now_us + s->delay_us * 2 + s->jitter_us + (packet->acked ? 0 : 60000);
    if (stuck && packet->acked) packet->settled_us = packet->arrives_us + s->delay_us;
}

static void sim_receive(sim* s, sim_client* client)
{
    for (;;) { /* in the order of arrival */
        sim_packet* first = NULL;
        for (int i = 0; i < PACKETS_MAX; i++) {
            sim_packet* packet = &client->packets[i];
            if (!packet->used || packet->arrived || packet->arrives_us > s->now_us) continue;
            bool sooner = !first || packet->arrives_us < first->arrives_us ||
                          (packet->arrives_us == first->arrives_us && packet->number < first->number);
            if (sooner) first = packet;
        }
        if (!first) break;
        first->arrived = true;
        nn_reader reader = nn_reader_of(first->data, first->bytes);
        TEST_EQUAL(nn_read_u8(&reader), NN_FRAME_STATE);
        necpnet_result result = nn_view_read(client->view, &reader, s->now_us);
        TEST_HINT("nn_view_read says: %s", nn_view_get_error(client->view));
        TEST_OK(result);
        TEST_EQUAL(nn_reader_left(&reader), 0);
    }
    for (int i = 0; i < PACKETS_MAX; i++) {
        sim_packet* packet = &client->packets[i];
        if (!packet->used || packet->settled_us > s->now_us) continue;
        packet->used = false;
        if (client->ordered) continue;
        if (packet->acked) {
            nn_follower_acked(client->follower, packet->value);
        } else {
            nn_follower_lost(client->follower, packet->value);
        }
    }
}

static void sim_play(sim* s)
{
    nn_random* random = &s->random;
    if (nn_random_below(random, 6) == 0) {
        const necpnet_entity_type* type =
            necpnet_schema_get_type(s->schema, (int)nn_random_below(random, (uint64_t)s->kit.type_count));
        uint8_t state[4096];
        necpnet_entity entity;
        kit_state_random(type, random, state);
        TEST_OK(necpnet_world_spawn(s->world, type->id, state, &entity));
        if (nn_random_below(random, 2))
            TEST_OK(necpnet_world_set_owner(s->world, entity, 1000 + nn_random_below(random, 3)));
    }
    bool calm = nn_random_below(random, 3) == 0;
    for (necpnet_entity entity = necpnet_world_next(s->world, 0); entity;
         entity = necpnet_world_next(s->world, entity)) {
        uint64_t what = nn_random_below(random, 100);
        if (what == 0)
            TEST_OK(necpnet_world_despawn(s->world, entity));
        else if (what == 1)
            TEST_OK(necpnet_world_set_owner(s->world, entity, 1000 + nn_random_below(random, 4)));
        else if (what < 40 && !calm) {
            const necpnet_entity_type* type =
                necpnet_schema_find_type(s->schema, necpnet_world_get_type(s->world, entity));
            kit_state_move(type, random, necpnet_world_get(s->world, entity));
            TEST_OK(necpnet_world_mark(s->world, entity));
        }
    }
}

static void sim_step(sim* s, bool play)
{
    s->now_us += TICK_US;
    if (play) sim_play(s);
    TEST_OK(necpnet_world_commit(s->world, ++s->tick));
    /* An application may remove entities between the commit and the sending. */
    if (play && nn_random_below(&s->random, 20) == 0) {
        necpnet_entity entity = necpnet_world_next(s->world, 0);
        if (entity) TEST_OK(necpnet_world_despawn(s->world, entity));
    }
    for (int i = 0; i < s->client_count; i++) {
        sim_receive(s, &s->clients[i]);
        sim_send(s, &s->clients[i]);
    }
}

static void sim_compare(sim* s, sim_client* client)
{
    uint32_t count = 0;
    for (necpnet_entity entity = necpnet_world_next(s->world, 0); entity;
         entity = necpnet_world_next(s->world, entity)) {
        const nn_world_slot* slot = &s->world->slots[entity & 0xffff];
        const nn_view_slot* seen = nn_view_find(client->view, entity);
        const nn_type_plan* plan = &s->schema->plans[slot->type];
        TEST_HINT("client %d, entity %08x", (int)(client - s->clients), (unsigned)entity);
        TEST_CHECK(seen != NULL);
        TEST_EQUAL(seen->type, slot->type);
        bool owner = slot->owner == client->peer;
        TEST_EQUAL(seen->entity->owner, owner);
        const uint32_t* row = nn_world_row(s->world, slot, slot->version);
        const uint32_t* got = nn_view_row(client->view, seen, seen->entity->count - 1u);
        for (unsigned i = 0; i < plan->field_count; i++) {
            const nn_field_plan* field = &plan->fields[i];
            const uint32_t* expected = nn_field_visible(field, owner) ? row : plan->row_zeroes;
            TEST_EQUAL_BYTES(got + field->word, expected + field->word, field->words * sizeof(uint32_t));
        }
        count++;
    }
    TEST_EQUAL(client->view->entity_count, count);
}

static void sim_heal(sim* s)
{
    s->loss_ppm = 0;
    s->budget = 2000;
    for (int i = 0; i < 300; i++) sim_step(s, false);
    for (int i = 0; i < s->client_count; i++) {
        sim_compare(s, &s->clients[i]);
        TEST_EQUAL(s->clients[i].view->statistics.mismatches, 0);              /* no check found what is not there */
        TEST_EQUAL(nn_follower_deadline_us(s->clients[i].follower), NN_NEVER); /* an idle world is silent */
    }
}

TEST(test_follower_view_equals_world_after_healing)
{
    TEST_EACH_SEED (seed, 60) {
        sim* s = &the_sim;
        sim_begin(s, seed, false);
        for (int i = 0; i < 250; i++) sim_step(s, true);
        sim_heal(s);
        sim_end(s);
    }
}

TEST(test_follower_shows_owner_fields_to_the_owner_alone)
{
    TEST_EACH_SEED (seed, 40) {
        sim* s = &the_sim;
        sim_begin(s, seed, true);
        for (int i = 0; i < 250; i++) sim_step(s, true);
        sim_heal(s);
        sim_end(s);
    }
}

TEST(test_follower_view_equals_world_through_slot_reuse)
{
    TEST_EACH_SEED (seed, 5) {
        sim* s = &the_sim;
        sim_begin(s, seed, false);
        for (int i = 0; i < 1500; i++) {
            sim_step(s, true);
            if (i % 100 == 99) {
                for (necpnet_entity e = necpnet_world_next(s->world, 0); e; e = necpnet_world_next(s->world, e)) {
                    if (nn_random_below(&s->random, 2)) TEST_OK(necpnet_world_despawn(s->world, e));
                }
            }
        }
        sim_heal(s);
        uint32_t generation_most = 0;
        for (uint32_t i = 1; i <= s->world->slot_count; i++) {
            if (s->world->slots[i].generation > generation_most) generation_most = s->world->slots[i].generation;
        }
        TEST_AT_LEAST(generation_most, 3);
        sim_end(s);
    }
}

/* What a follower keeps the low 16 bits of is as new again then. */
TEST(test_follower_ticks_may_leap_by_65536)
{
    TEST_EACH_SEED (seed, 30) {
        sim* s = &the_sim;
        sim_begin(s, seed, false);
        for (int i = 0; i < 300; i++) {
            if (nn_random_below(&s->random, 40) == 0) s->tick += 65536 - 80 + (uint32_t)nn_random_below(&s->random, 90);
            sim_step(s, nn_random_below(&s->random, 4) != 0);
        }
        sim_heal(s);
        sim_end(s);
    }
}

TEST(test_follower_late_client_is_whole_soon)
{
    sim* s = &the_sim;
    sim_begin(s, 7, false);
    s->loss_ppm = 0;
    s->budget = 1200;
    for (int i = 0; i < 300; i++) sim_step(s, true);
    sim_client* client = &s->clients[1];
    nn_world_unfollow(s->world, client->follower);
    necpnet_view_destroy(client->view);
    memset(client, 0, sizeof *client);
    sim_join(s, client, false);
    s->delay_us = 50000;
    s->jitter_us = 0;
    for (int i = 0; i < 60; i++) sim_step(s, false);
    sim_compare(s, client);
    sim_end(s);
}

/* The world goes empty while the client is away: it hears of that, whatever gets lost, and then nothing more. */
TEST(test_follower_view_that_comes_back_to_an_empty_world_forgets_what_it_saw)
{
    sim* s = &the_sim;
    sim_begin(s, 11, false);
    s->loss_ppm = 0;
    s->budget = 1200;
    for (int i = 0; i < 300; i++) sim_step(s, true);
    for (int i = 0; i < s->client_count; i++) {
        sim_client* client = &s->clients[i];
        TEST_GREATER(client->view->entity_count, 0);
        nn_world_unfollow(s->world, client->follower);
        memset(client->packets, 0, sizeof client->packets);
        nn_view_renew(client->view, client->ordered);
    }
    necpnet_entity entity;
    while ((entity = necpnet_world_next(s->world, 0)) != 0) TEST_OK(necpnet_world_despawn(s->world, entity));
    for (int i = 0; i < s->client_count; i++) {
        TEST_OK(nn_world_follow(s->world, s->clients[i].peer, i == 0, &s->clients[i].follower));
    }
    s->loss_ppm = 300000;
    for (int i = 0; i < 300; i++) sim_step(s, false);
    for (int i = 0; i < s->client_count; i++) {
        TEST_EQUAL(s->clients[i].view->entity_count, 0);
        TEST_EQUAL(nn_follower_deadline_us(s->clients[i].follower), NN_NEVER);
    }
    sim_end(s);
}

/* ---- budget */

typedef struct brick {
    float position[3];
    char label[200];
} brick;

static const necpnet_field brick_fields[] = {
    NECPNET_VEC3(brick, position, 1, -500, 500, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_STRING(brick, label, 2, 0),
};

/* 300 bricks that all move each tick at a budget for a few of them: bytes a second stay below it, no brick waits for long, a
 * large label gets its turn, and an own brick goes with every frame. */
TEST(test_follower_budget_is_hard_and_nobody_starves)
{
    static uint32_t newest[300];
    necpnet_entity_type type = {"brick", 1, sizeof(brick), brick_fields, 2};
    necpnet_allocator allocator = test_allocator();
    necpnet_schema* schema = NULL;
    necpnet_world* world = NULL;
    necpnet_view* view = NULL;
    nn_follower* follower = NULL;
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &schema));
    necpnet_world_config world_config;
    TEST_OK(necpnet_world_config_default(&world_config));
    world_config.allocator = allocator;
    world_config.schema = schema;
    world_config.client_bytes_per_s = 8000;
    TEST_OK(necpnet_world_create(&world_config, &world));
    necpnet_view_config view_config;
    TEST_OK(necpnet_view_config_default(&view_config));
    view_config.allocator = allocator;
    view_config.schema = schema;
    TEST_OK(necpnet_view_create(&view_config, &view));
    TEST_OK(nn_world_follow(world, 5, true, &follower));
    necpnet_entity entities[300];
    nn_random random;
    nn_random_seed(&random, 1);
    for (int i = 0; i < 300; i++) TEST_OK(necpnet_world_spawn(world, 1, NULL, &entities[i]));
    TEST_OK(necpnet_world_set_owner(world, entities[200], 5));
    uint64_t sent = 0;
    uint32_t longest = 0;
    uint32_t seconds = 30;
    for (uint32_t tick = 1; tick <= seconds * 60; tick++) {
        uint64_t now_us = 1000000 + (uint64_t)tick * 1000000 / 60;
        for (int i = 0; i < 300; i++) {
            brick* b = (brick*)necpnet_world_get(world, entities[i]);
            for (int j = 0; j < 3; j++) b->position[j] += (float)nn_random_below(&random, 101) / 1000.0f - 0.05f;
            if (i == 17 && tick == 1000) memset(b->label, 'x', 199);
            TEST_OK(necpnet_world_mark(world, entities[i]));
        }
        TEST_OK(necpnet_world_commit(world, tick));
        for (;;) { /* as often as it wants: a datagram each */
            uint8_t frame[600];
            uint32_t value;
            nn_writer writer = nn_writer_of(frame, sizeof frame);
            if (!nn_follower_write(follower, &writer, sizeof frame, &value, now_us)) break;
            sent += nn_writer_bytes(&writer);
            nn_reader reader = nn_reader_of(frame + 1, nn_writer_bytes(&writer) - 1);
            TEST_OK(nn_view_read(view, &reader, now_us));
            uint32_t own = 0;
            brick shown;
            if (!necpnet_view_get_latest(view, entities[200], &shown, sizeof shown, &own)) TEST_EQUAL(own, tick);
        }
        TEST_AT_MOST(sent, 1200 + (uint64_t)8000 * tick / 60 + 100);
        for (int i = 0; i < 300; i++) {
            brick shown;
            uint32_t at = 0;
            if (!necpnet_view_get_latest(view, entities[i], &shown, sizeof shown, &at)) newest[i] = at;
            if (tick - newest[i] > longest) longest = tick - newest[i];
        }
    }
    TEST_AT_LEAST(sent, (uint64_t)8000 * seconds * 8 / 10); /* and it is used */
    TEST_AT_MOST(longest, 240);
    brick shown;
    TEST_OK(necpnet_view_get_latest(view, entities[17], &shown, sizeof shown, NULL));
    TEST_EQUAL(strlen(shown.label), 199);
    nn_world_unfollow(world, follower);
    necpnet_view_destroy(view);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
}

/* A frame must not tell that an input was processed while the own state with its effect stays behind. */
TEST(test_follower_input_waits_for_the_own_state)
{
    necpnet_entity_type type = {"brick", 1, sizeof(brick), brick_fields, 2};
    necpnet_allocator allocator = test_allocator();
    necpnet_schema* schema = NULL;
    necpnet_world* world = NULL;
    necpnet_view* view = NULL;
    nn_follower* follower = NULL;
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &schema));
    necpnet_world_config world_config;
    TEST_OK(necpnet_world_config_default(&world_config));
    world_config.allocator = allocator;
    world_config.schema = schema;
    world_config.send_hz = 60;
    TEST_OK(necpnet_world_create(&world_config, &world));
    necpnet_view_config view_config;
    TEST_OK(necpnet_view_config_default(&view_config));
    view_config.allocator = allocator;
    view_config.schema = schema;
    TEST_OK(necpnet_view_create(&view_config, &view));
    TEST_OK(nn_world_follow(world, 5, true, &follower));
    necpnet_entity entity;
    TEST_OK(necpnet_world_spawn(world, 1, NULL, &entity));
    TEST_OK(necpnet_world_set_owner(world, entity, 5));
    for (uint32_t tick = 1; tick <= 30; tick++) {
        uint8_t frame[1200];
        uint32_t value;
        brick* b = (brick*)necpnet_world_get(world, entity);
        b->position[0] = (float)tick;
        memset(b->label, (int)('a' + tick % 20), tick < 10 || tick > 20 ? 5 : 199);
        TEST_OK(necpnet_world_mark(world, entity));
        if (tick > 5) TEST_OK(necpnet_world_set_input(world, 5, tick + 100));
        TEST_OK(necpnet_world_commit(world, tick));
        nn_writer writer = nn_writer_of(frame, tick >= 10 && tick <= 20 ? 100 : sizeof frame);
        if (!nn_follower_write(follower, &writer, sizeof frame, &value, 1000000 + (uint64_t)tick * 16667)) continue;
        nn_reader reader = nn_reader_of(frame + 1, nn_writer_bytes(&writer) - 1);
        TEST_OK(nn_view_read(view, &reader, 1000000 + (uint64_t)tick * 16667));
        uint32_t at = 0;
        brick shown;
        TEST_OK(necpnet_view_get_latest(view, entity, &shown, sizeof shown, &at));
        TEST_HINT("tick %u, input %u, own state of %u", (unsigned)tick, (unsigned)view->input_acked, (unsigned)at);
        TEST_EQUAL(view->has_acked, tick > 5);
        if (tick > 5) TEST_EQUAL(view->input_acked, at + 100);
    }
    TEST_EQUAL(view->input_acked, 130);
    nn_world_unfollow(world, follower);
    necpnet_view_destroy(view);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
}

/* ---- acknowledgements that come too late to mean anything */

typedef struct late_scene {
    necpnet_schema* schema;
    necpnet_world* world;
    nn_follower* follower;
    necpnet_entity still;
    necpnet_entity moving;
    uint32_t tick;
} late_scene;

static void late_begin(late_scene* s)
{
    necpnet_entity_type type = {"brick", 1, sizeof(brick), brick_fields, 2};
    necpnet_allocator allocator = test_allocator();
    memset(s, 0, sizeof *s);
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &s->schema));
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = allocator;
    config.schema = s->schema;
    config.send_hz = 60;
    config.history_ticks = 256;
    TEST_OK(necpnet_world_create(&config, &s->world));
    TEST_OK(nn_world_follow(s->world, 5, false, &s->follower));
    TEST_OK(necpnet_world_spawn(s->world, 1, NULL, &s->still));
    TEST_OK(necpnet_world_spawn(s->world, 1, NULL, &s->moving));
}

/* Moves one brick, writes a frame. Returns its value. */
static uint32_t late_step(late_scene* s)
{
    uint8_t frame[1200];
    uint32_t value = 0;
    ((brick*)necpnet_world_get(s->world, s->moving))->position[0] += 0.01f;
    TEST_OK(necpnet_world_mark(s->world, s->moving));
    TEST_OK(necpnet_world_commit(s->world, ++s->tick));
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    TEST_CHECK(nn_follower_write(s->follower, &writer, sizeof frame, &value, 1000000 + (uint64_t)s->tick * 16667));
    return value;
}

static uint64_t late_full(const late_scene* s)
{
    return s->world->statistics.full_sent;
}

static void late_end(late_scene* s)
{
    nn_world_unfollow(s->world, s->follower);
    necpnet_world_destroy(s->world);
    necpnet_schema_destroy(s->schema);
}

TEST(test_follower_takes_a_very_late_ack_for_a_loss)
{
    for (uint32_t wait = 60; wait <= 140; wait += 80) {
        late_scene s;
        late_begin(&s);
        uint32_t first = late_step(&s);
        nn_follower_acked(s.follower, late_step(&s)); /* the moving one has a baseline, the still one waits */
        for (uint32_t i = 0; i < wait; i++) nn_follower_acked(s.follower, late_step(&s));
        uint64_t full = late_full(&s);
        nn_follower_acked(s.follower, first);
        nn_follower_acked(s.follower, late_step(&s));
        TEST_EQUAL(late_full(&s) - full, wait >= NN_FRAME_LATE_MAX ? 1 : 0);
        late_end(&s);
    }
}

/* The view drops a frame that many numbers behind the newest, so its acknowledgement then says nothing. */
TEST(test_follower_uses_no_baseline_that_the_view_may_have_dropped)
{
    for (uint32_t more = NN_KNOWN_FRAMES - 1; more <= NN_FRAME_LATE_MAX; more += 2) {
        late_scene s;
        late_begin(&s);
        nn_follower_acked(s.follower, late_step(&s)); /* both */
        uint32_t update = late_step(&s);              /* against the first */
        for (uint32_t i = 0; i < more; i++) late_step(&s);
        nn_follower_acked(s.follower, update);
        uint64_t full = late_full(&s);
        late_step(&s);
        TEST_EQUAL(late_full(&s) - full, more == NN_FRAME_LATE_MAX ? 1 : 0);
        late_end(&s);
    }
}

TEST(test_follower_slow_fields_change_at_their_rate)
{
    necpnet_field fields[2] = {brick_fields[0], brick_fields[1]};
    fields[1].flags = NECPNET_FIELD_SLOW;
    necpnet_entity_type type = {"brick", 1, sizeof(brick), fields, 2};
    necpnet_allocator allocator = test_allocator();
    necpnet_schema* schema = NULL;
    necpnet_world* world = NULL;
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &schema));
    necpnet_world_config config;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = allocator;
    config.schema = schema;
    config.slow_ticks = 10;
    TEST_OK(necpnet_world_create(&config, &world));
    necpnet_entity entity;
    TEST_OK(necpnet_world_spawn(world, 1, NULL, &entity));
    const nn_world_slot* slot = &world->slots[entity & 0xffff];
    const nn_field_plan* label = &schema->plans[0].fields[1];
    uint32_t changes = 0;
    uint32_t length = 0;
    for (uint32_t tick = 1; tick <= 200; tick++) {
        brick* b = (brick*)necpnet_world_get(world, entity);
        if (tick <= 100) {
            b->position[0] += 1;
            b->label[tick] = 0;
            b->label[tick - 1] = 'a';
            TEST_OK(necpnet_world_mark(world, entity));
        }
        TEST_OK(necpnet_world_commit(world, tick));
        const uint32_t* row = nn_world_row(world, slot, slot->version);
        if (row[label->word] != length) changes++;
        length = row[label->word];
    }
    TEST_AT_MOST(changes, 12);
    TEST_AT_LEAST(changes, 10);
    TEST_EQUAL(length, 100); /* what was held back comes without another mark */
    TEST_EQUAL(world->dirty_count, 0);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
}

TEST_MAIN
