/* test_follower_sight - every client's view is exactly what it is to see, whatever the link does.
 *
 * A world with a grid, rooms, a filter and owners; clients over links that lose, delay and reorder. A plain model says of each
 * client and entity whether it must be seen (own; or in a room of the client, allowed, and within radius), and whether it may
 * (within radius + 1: what comes near stays until it is beyond). When all is healed, every view holds what it must, nothing
 * that it may not, exactly what its follower holds, and each row equals the world's. No clock: time is counted.
 */
#include "test.h"

#include "nn_follower.h"
#include "nn_frame.h"
#include "nn_view.h"

#define TICK_US 16667
#define CLIENTS 4
#define ROOMS 3
#define PACKETS 64
#define CELL 10
#define RADIUS 1
#define NO_VEIL 99

typedef struct thing {
    float position[3];
    int32_t value;
} thing;

typedef struct score {
    int32_t points;
} score;

static const necpnet_field thing_fields[] = {
    NECPNET_VEC3(thing, position, 1, -100, 100, 0.01, NECPNET_FIELD_POSITION),
    NECPNET_INTEGER(thing, value, 2, -1000, 1000, NECPNET_FIELD_SIGNED),
};
static const necpnet_field score_fields[] = {
    NECPNET_INTEGER(score, points, 1, 0, 1000, NECPNET_FIELD_SIGNED),
};
static const necpnet_entity_type sight_types[] = {
    {"thing", 1, sizeof(thing), thing_fields, 2},
    {"score", 2, sizeof(score), score_fields, 1},
};

typedef struct sight_packet {
    uint8_t data[1300];
    size_t bytes;
    uint32_t value;
    uint32_t arrives; /* step; UINT32_MAX: never */
    uint32_t settled;
    bool used, arrived, acked;
} sight_packet;

typedef struct sight_client {
    nn_follower* follower;
    necpnet_view* view;
    necpnet_peer peer;
    bool ordered;
    bool joined[ROOMS];
    necpnet_entity watched;
    sight_packet packets[PACKETS];
} sight_client;

typedef struct sight_sim {
    struct test_random random;
    necpnet_schema* schema;
    necpnet_world* world;
    sight_client clients[CLIENTS];
    uint64_t now_us;
    uint32_t step;
    uint32_t loss_percent;
    uint32_t delay;
    uint32_t veil; /* the filter hides an entity from a client when both and this say so */
    uint64_t bytes;
} sight_sim;

static sight_sim the_sight;

static uint32_t sight_below(sight_sim* s, uint32_t bound)
{
    return (uint32_t)test_random_below(&s->random, bound);
}

static bool sight_may(void* user, necpnet_peer peer, necpnet_entity entity)
{
    const sight_sim* s = (const sight_sim*)user;
    if (s->veil == NO_VEIL) return true;
    return ((uint32_t)peer * 7 + (entity & 0xffff) * 13 + s->veil) % 5 != 0;
}

static necpnet_result sight_create(sight_sim* s, double cell)
{
    necpnet_allocator allocator = test_allocator();
    necpnet_world_config config;
    necpnet_result result = necpnet_schema_create(&allocator, NULL, sight_types, 2, &s->schema);
    if (result) return result;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = allocator;
    config.schema = s->schema;
    config.send_hz = 60;
    config.client_bytes_per_s = 10000000;
    config.interest_cell = cell;
    config.interest_radius = RADIUS;
    config.interest_plane = NECPNET_PLANE_XZ;
    config.can_see = sight_may;
    config.can_see_user = s;
    return necpnet_world_create(&config, &s->world);
}

static void sight_join(sight_sim* s, sight_client* client, int index)
{
    necpnet_view_config config;
    TEST_OK(necpnet_view_config_default(&config));
    config.allocator = test_allocator();
    config.schema = s->schema;
    TEST_OK(necpnet_view_create(&config, &client->view));
    client->ordered = index % 2 == 0;
    client->peer = 100 + (necpnet_peer)index;
    client->joined[0] = true;
    TEST_OK(nn_world_follow(s->world, client->peer, client->ordered, &client->follower));
}

static void sight_begin_sim(sight_sim* s, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->random = test_random_begin(seed);
    TEST_OK(sight_create(s, CELL));
    s->now_us = 1000000;
    s->loss_percent = sight_below(s, 40);
    s->delay = sight_below(s, 12);
    for (int i = 0; i < CLIENTS; i++) sight_join(s, &s->clients[i], i);
}

static void sight_end_sim(sight_sim* s)
{
    for (int i = 0; i < CLIENTS; i++) {
        nn_world_unfollow(s->world, s->clients[i].follower);
        necpnet_view_destroy(s->clients[i].view);
    }
    necpnet_world_destroy(s->world);
    necpnet_schema_destroy(s->schema);
}

/* ---- the link */

static void sight_send(sight_sim* s, sight_client* client)
{
    sight_packet* packet = client->packets;
    while (packet < client->packets + PACKETS && packet->used) packet++;
    if (packet == client->packets + PACKETS) return;
    nn_writer writer = nn_writer_of(packet->data, sizeof packet->data);
    if (!nn_follower_write(client->follower, &writer, 200 + sight_below(s, 1000), &packet->value, s->now_us)) return;
    packet->bytes = nn_writer_bytes(&writer);
    s->bytes += packet->bytes;
    packet->used = true;
    packet->arrived = false;
    packet->arrives = s->step + s->delay + (client->ordered ? 0 : sight_below(s, 5));
    packet->settled = s->step + s->delay * 2 + 6;
    packet->acked = client->ordered || sight_below(s, 100) >= s->loss_percent;
    if (client->ordered) packet->settled = packet->arrives;
    if (!packet->acked && sight_below(s, 2)) packet->arrives = UINT32_MAX; /* else the acknowledgement was lost */
}

static void sight_receive(sight_sim* s, sight_client* client)
{
    for (uint32_t at = 0; at < PACKETS; at++) { /* ordered ones are alone in their step, by one delay for all */
        sight_packet* packet = &client->packets[at];
        if (!packet->used || packet->arrived || packet->arrives > s->step) continue;
        packet->arrived = true;
        nn_reader reader = nn_reader_of(packet->data, packet->bytes);
        TEST_EQUAL(nn_read_u8(&reader), NN_FRAME_STATE);
        necpnet_result result = nn_view_read(client->view, &reader, s->now_us);
        TEST_HINT("nn_view_read says: %s", nn_view_get_error(client->view));
        TEST_OK(result);
    }
    for (uint32_t at = 0; at < PACKETS; at++) {
        sight_packet* packet = &client->packets[at];
        if (!packet->used || packet->settled > s->step) continue;
        packet->used = false;
        if (client->ordered) continue;
        if (packet->acked)
            nn_follower_acked(client->follower, packet->value);
        else
            nn_follower_lost(client->follower, packet->value);
    }
}

/* ---- what happens in the world */

static necpnet_entity sight_pick(sight_sim* s)
{
    uint32_t most = s->world->slot_count ? sight_below(s, s->world->slot_count) : 0;
    return necpnet_world_next(s->world, most);
}

static void sight_change_client(sight_sim* s, sight_client* client)
{
    uint32_t room = sight_below(s, ROOMS);
    necpnet_entity entity = sight_pick(s);
    switch (sight_below(s, 6)) {
    case 0:
        TEST_OK(necpnet_world_join_room(s->world, client->peer, room));
        client->joined[room] = true;
        break;
    case 1:
        TEST_EQUAL(necpnet_world_leave_room(s->world, client->peer, room),
                   client->joined[room] ? NECPNET_OK : NECPNET_ERR_NOT_FOUND);
        client->joined[room] = false;
        break;
    case 2:
        if (entity && necpnet_world_get_type(s->world, entity) == 1) {
            TEST_OK(necpnet_world_set_observer(s->world, client->peer, entity));
        }
        break;
    case 3:
        TEST_OK(necpnet_world_set_observer_at(s->world, client->peer, (double)sight_below(s, 200) - 100,
                                              (double)sight_below(s, 200) - 100));
        break;
    case 4:
        s->veil = sight_below(s, 5);
        TEST_OK(necpnet_world_refilter(s->world, NECPNET_PEER_NONE, NECPNET_ENTITY_NONE));
        break;
    default: TEST_OK(necpnet_world_refilter(s->world, client->peer, entity)); break;
    }
}

static void sight_spawn(sight_sim* s)
{
    thing thing_state = {{0, 0, 0}, 1};
    score score_state = {5};
    necpnet_entity entity;
    for (int i = 0; i < 3; i++) thing_state.position[i] = (float)sight_below(s, 20000) / 100.0f - 100.0f;
    bool placed = sight_below(s, 5) != 0;
    const void* state = placed ? (const void*)&thing_state : (const void*)&score_state;
    TEST_OK(necpnet_world_spawn(s->world, placed ? 1 : 2, state, &entity));
    if (sight_below(s, 3) == 0) TEST_OK(necpnet_world_set_room(s->world, entity, sight_below(s, ROOMS)));
    TEST_OK(necpnet_world_set_priority(s->world, entity, 1 + sight_below(s, 255)));
    TEST_OK(necpnet_world_set_interval(s->world, entity, 1 + sight_below(s, 6)));
}

static void sight_play(sight_sim* s)
{
    if (sight_below(s, 4) == 0 && s->world->entity_count < 120) sight_spawn(s);
    for (necpnet_entity at = necpnet_world_next(s->world, 0); at; at = necpnet_world_next(s->world, at)) {
        uint32_t what = sight_below(s, 200);
        if (what == 0) TEST_OK(necpnet_world_despawn(s->world, at));
        if (what == 1) TEST_OK(necpnet_world_set_owner(s->world, at, 99 + sight_below(s, CLIENTS + 1)));
        if (what == 2) TEST_OK(necpnet_world_set_room(s->world, at, sight_below(s, ROOMS)));
        if (what < 3 || what > 60) continue;
        if (necpnet_world_get_type(s->world, at) == 2) {
            ((score*)necpnet_world_get(s->world, at))->points = (int32_t)sight_below(s, 1000);
        } else {
            thing* moved = (thing*)necpnet_world_get(s->world, at);
            for (int i = 0; i < 3; i++) moved->position[i] += (float)sight_below(s, 401) / 100.0f - 2.0f;
        }
        TEST_OK(necpnet_world_mark(s->world, at));
    }
    if (sight_below(s, 3) == 0) sight_change_client(s, &s->clients[sight_below(s, CLIENTS)]);
}

static void sight_step(sight_sim* s, bool play)
{
    s->now_us += TICK_US;
    s->step++;
    if (play) sight_play(s);
    TEST_OK(necpnet_world_commit(s->world, s->step));
    for (int i = 0; i < CLIENTS; i++) {
        sight_receive(s, &s->clients[i]);
        sight_send(s, &s->clients[i]);
        if (!play || sight_below(s, 10)) continue; /* between a commit and the next, more than once */
        sight_change_client(s, &s->clients[i]);
        s->now_us += 100;
        sight_send(s, &s->clients[i]);
        sight_change_client(s, &s->clients[i]);
    }
}

/* ---- the model */

static int64_t sight_cell_along(const uint32_t* row, unsigned axis)
{
    int64_t hundredths = (int64_t)row[axis] - 10000; /* steps of 0.01 from -100 on */
    return hundredths >= 0 ? hundredths / (CELL * 100) : -((-hundredths + CELL * 100 - 1) / (CELL * 100));
}

static void sight_compare_one(sight_sim* s, sight_client* client, necpnet_entity entity)
{
    const nn_world_slot* slot = &s->world->slots[entity & 0xffff];
    const uint32_t* row = nn_world_row(s->world, slot, slot->version);
    const nn_observer* observer = &client->follower->observer;
    const nn_view_slot* seen = nn_view_find(client->view, entity);
    bool near_by = true;
    bool close_by = true;
    if (slot->type == 0) {
        int64_t x = sight_cell_along(row, 0) - observer->x;
        int64_t z = sight_cell_along(row, 2) - observer->y;
        int64_t far_off = (x < 0 ? -x : x) > (z < 0 ? -z : z) ? (x < 0 ? -x : x) : (z < 0 ? -z : z);
        near_by = far_off <= RADIUS && observer->x != NN_INTEREST_NOWHERE;
        close_by = far_off <= RADIUS + 1 && observer->x != NN_INTEREST_NOWHERE;
    }
    bool allowed = client->joined[slot->room] && sight_may(s, client->peer, entity);
    bool own = slot->owner == client->peer;
    TEST_HINT("client %d, entity %08x", (int)(client - s->clients), (unsigned)entity);
    if (own || (allowed && near_by)) TEST_CHECK(seen != NULL);
    if (!own && !(allowed && close_by)) TEST_CHECK(seen == NULL);
    const nn_follower_state* state = nn_follower_state_of(client->follower, (uint16_t)entity);
    TEST_EQUAL(seen != NULL, state && (state->flags & NN_FOLLOWER_SEEN));
    if (!seen) return;
    TEST_EQUAL(seen->entity->owner, own);
    TEST_EQUAL_BYTES(nn_view_row(client->view, seen, seen->entity->count - 1u), row,
                     s->schema->plans[slot->type].row_words * sizeof(uint32_t));
}

static void sight_heal(sight_sim* s)
{
    s->loss_percent = 0;
    for (int i = 0; i < 200; i++) sight_step(s, false);
    for (int i = 0; i < CLIENTS; i++) {
        sight_client* client = &s->clients[i];
        for (necpnet_entity at = necpnet_world_next(s->world, 0); at; at = necpnet_world_next(s->world, at)) {
            sight_compare_one(s, client, at);
        }
        /* nothing is kept of what is not in view, and the view has nothing else */
        TEST_EQUAL(client->follower->state_count, client->view->entity_count);
        TEST_EQUAL(nn_follower_deadline_us(client->follower), NN_NEVER);
    }
    s->bytes = 0;
    for (int i = 0; i < 20; i++) sight_step(s, false);
    TEST_EQUAL(s->bytes, 0); /* an idle world costs nothing */
}

TEST(test_sight_view_equals_what_is_to_be_seen)
{
    TEST_EACH_SEED (seed, 40) {
        sight_sim* s = &the_sight;
        sight_begin_sim(s, seed);
        for (int round = 0; round < 3; round++) {
            uint32_t loss = sight_below(s, 40);
            s->loss_percent = loss;
            for (int i = 0; i < 150; i++) sight_step(s, true);
            sight_heal(s);
        }
        sight_end_sim(s);
    }
}

TEST(test_sight_rooms_and_place_outlive_a_connection)
{
    sight_sim* s = &the_sight;
    sight_begin_sim(s, 1);
    sight_client* client = &s->clients[1];
    for (int i = 0; i < 100; i++) sight_step(s, true);
    TEST_OK(necpnet_world_join_room(s->world, client->peer, 2));
    TEST_OK(necpnet_world_set_observer_at(s->world, client->peer, 5, -5));
    client->joined[2] = true;
    nn_world_unfollow(s->world, client->follower);
    TEST_EQUAL(necpnet_world_set_input(s->world, client->peer, 1), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_world_join_room(s->world, client->peer, 1)); /* while it is away */
    client->joined[1] = true;
    necpnet_view_destroy(client->view);
    memset(client->packets, 0, sizeof client->packets);
    bool joined[ROOMS];
    memcpy(joined, client->joined, sizeof joined);
    sight_join(s, client, 1);
    memcpy(client->joined, joined, sizeof joined);
    sight_heal(s);
    TEST_EQUAL(client->follower->observer.x, 0);
    TEST_EQUAL(client->follower->observer.y, -1);
    nn_world_unfollow(s->world, client->follower);
    nn_world_forget(s->world, client->peer);
    TEST_EQUAL(necpnet_world_join_room(s->world, client->peer, 1), NECPNET_ERR_NOT_FOUND);
    TEST_OK(nn_world_follow(s->world, client->peer, false, &client->follower));
    sight_end_sim(s);
}

/* A client that sees 50 of 2,000 entities holds memory for those 50. */
TEST(test_sight_memory_goes_with_what_is_in_view)
{
    sight_sim* s = &the_sight;
    memset(s, 0, sizeof *s);
    s->veil = NO_VEIL;
    TEST_OK(sight_create(s, CELL));
    for (uint32_t i = 0; i < 2000; i++) {
        score state = {(int32_t)(i % 1000)};
        necpnet_entity entity;
        TEST_OK(necpnet_world_spawn(s->world, 2, &state, &entity));
        TEST_OK(necpnet_world_set_room(s->world, entity, i % 40));
    }
    TEST_OK(necpnet_world_commit(s->world, 1));
    sight_client* client = &s->clients[1];
    sight_join(s, client, 1);
    TEST_CHECK(nn_follower_rescan(client->follower));
    uint32_t count = client->follower->state_count;
    TEST_EQUAL(count, 50);
    size_t bytes = client->follower->state_capacity * (sizeof(nn_follower_state) + sizeof(uint16_t)) +
                   client->follower->index_size * sizeof(uint16_t);
    TEST_AT_MOST(bytes, 48 * count);                                        /* with the slack of a small array */
    TEST_EQUAL(sizeof(nn_follower_state) + sizeof(nn_follower_recent), 48); /* also if all is in motion */
    nn_world_unfollow(s->world, client->follower);
    necpnet_view_destroy(client->view);
    necpnet_world_destroy(s->world);
    necpnet_schema_destroy(s->schema);
}

/* The budget holds a tenth of what changes. All have their turn: between two turns of one, another of the same priority has
 * at most two; and one of sixteen times the priority at most eighteen. */
TEST(test_sight_nobody_starves)
{
    enum { COUNT = 200, STEPS = 2000 };
    static uint32_t turns[COUNT + 1];
    static uint32_t turns_at_last[COUNT + 1][COUNT + 1];
    sight_sim* s = &the_sight;
    memset(s, 0, sizeof *s);
    memset(turns, 0, sizeof turns);
    memset(turns_at_last, 0, sizeof turns_at_last);
    s->veil = NO_VEIL;
    TEST_OK(sight_create(s, 0));
    for (uint32_t i = 1; i <= COUNT; i++) {
        score state = {0};
        necpnet_entity entity;
        TEST_OK(necpnet_world_spawn(s->world, 2, &state, &entity));
        if (i % 10 == 0) TEST_OK(necpnet_world_set_priority(s->world, entity, 255));
    }
    nn_follower* follower = NULL;
    TEST_OK(nn_world_follow(s->world, 200, false, &follower));
    s->now_us = 1000000;
    for (uint32_t step = 1; step <= STEPS; step++) {
        for (necpnet_entity at = necpnet_world_next(s->world, 0); at; at = necpnet_world_next(s->world, at)) {
            ((score*)necpnet_world_get(s->world, at))->points = (int32_t)((step * 37 + at * 11) % 1000);
            TEST_OK(necpnet_world_mark(s->world, at));
        }
        TEST_OK(necpnet_world_commit(s->world, step));
        s->now_us += TICK_US;
        uint8_t data[80];
        uint32_t value;
        nn_writer writer = nn_writer_of(data, sizeof data);
        if (!nn_follower_write(follower, &writer, sizeof data, &value, s->now_us)) continue;
        TEST_AT_MOST(nn_writer_bytes(&writer), sizeof data);
        nn_follower_lost(follower, value); /* so that each turn is a whole state */
        for (uint16_t place = 1; place <= COUNT; place++) {
            const nn_follower_state* state = nn_follower_state_of(follower, place);
            if (!state || state->sent_tick != step || !(state->flags & NN_FOLLOWER_KNOWN)) continue;
            for (uint16_t other = 1; other <= COUNT; other++) {
                uint32_t most = place % 10 == 0 || other % 10 != 0 ? 3 : 255 / 16 + 3;
                if (turns[place]) TEST_AT_MOST(turns[other] - turns_at_last[place][other], most);
                turns_at_last[place][other] = turns[other];
            }
            turns[place]++;
        }
    }
    for (uint16_t place = 1; place <= COUNT; place++) TEST_AT_LEAST(turns[place], 3);
    TEST_AT_LEAST(turns[10], turns[11] * 4);
    nn_world_unfollow(s->world, follower);
    necpnet_world_destroy(s->world);
    necpnet_schema_destroy(s->schema);
}

TEST(test_sight_refuses_what_cannot_be)
{
    sight_sim* s = &the_sight;
    memset(s, 0, sizeof *s);
    TEST_EQUAL(sight_create(s, 0.001), NECPNET_ERR_BAD_CONFIG); /* less than a step */
    necpnet_schema_destroy(s->schema);
    TEST_EQUAL(sight_create(s, -1), NECPNET_ERR_BAD_CONFIG);
    necpnet_schema_destroy(s->schema);
    TEST_OK(sight_create(s, 0));
    necpnet_entity entity;
    TEST_OK(necpnet_world_spawn(s->world, 1, NULL, &entity));
    TEST_EQUAL(necpnet_world_join_room(s->world, 5, 1), NECPNET_ERR_NOT_FOUND);
    nn_follower* follower = NULL;
    TEST_OK(nn_world_follow(s->world, 5, false, &follower));
    TEST_EQUAL(necpnet_world_set_observer_at(s->world, 5, 1, 1), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_world_set_observer(s->world, 5, entity), NECPNET_ERR_INVALID_STATE);
    TEST_EQUAL(necpnet_world_set_observer(s->world, 5, entity + 1), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_leave_room(s->world, 5, 7), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_world_set_priority(s->world, entity, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_set_interval(s->world, entity, 1001), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_world_refilter(s->world, 6, NECPNET_ENTITY_NONE), NECPNET_ERR_NOT_FOUND);
    nn_world_unfollow(s->world, follower);
    necpnet_world_destroy(s->world);
    necpnet_schema_destroy(s->schema);
}

/* Without memory nothing is lost but time: a follower that could not hold what came into view looks again. */
TEST(test_sight_survives_want_of_memory)
{
    TEST_EACH_ALLOCATION_FAILS {
        sight_sim* s = &the_sight;
        memset(s, 0, sizeof *s);
        nn_follower* follower = NULL;
        bool made = sight_create(s, CELL) == NECPNET_OK && nn_world_follow(s->world, 5, false, &follower) == NECPNET_OK;
        for (uint32_t i = 0; made && i < 30; i++) {
            thing state = {{(float)i, 0, (float)i}, 0};
            necpnet_entity entity;
            if (necpnet_world_spawn(s->world, 1, &state, &entity)) continue;
            (void)necpnet_world_set_observer_at(s->world, 5, (double)i, (double)i);
            TEST_OK(necpnet_world_commit(s->world, i + 1));
            uint8_t data[1200];
            uint32_t value;
            nn_writer writer = nn_writer_of(data, sizeof data);
            s->now_us += 100000;
            if (nn_follower_write(follower, &writer, sizeof data, &value, s->now_us))
                nn_follower_acked(follower, value);
        }
        nn_world_unfollow(s->world, follower);
        necpnet_world_destroy(s->world);
        necpnet_schema_destroy(s->schema);
    }
}

TEST_MAIN
