/* test_lead - what carries others, and what turns: predictions of riders along with their lead, and of constant turns; which
 * entities are taken for leads; frames that name leads wrongly.
 *
 * Bodies are moved in floating point and quantised as a server does; predictions are then compared with what came. End to
 * end, a world with a PARENT field must take fewer bytes than the same without, and arrive alike.
 */
#include "test.h"

#include "nn_follower.h"
#include "nn_predict.h"
#include "nn_quantise.h"
#include "nn_view.h"

#include <math.h>

#define TICKS 60
#define RIDERS 12

typedef struct body {
    double position[3];
    double rotation[4];
    necpnet_entity parent;
} body;

static const necpnet_field free_fields[] = {
    NECPNET_VEC3(body, position, 1, -1000, 1000, 0.002, 0),
    NECPNET_QUAT(body, rotation, 2, 0.001, 0),
};
static const necpnet_field riding_fields[] = {
    NECPNET_VEC3(body, position, 1, -1000, 1000, 0.002, 0),
    NECPNET_QUAT(body, rotation, 2, 0.001, 0),
    NECPNET_ENTITY_REFERENCE(body, parent, 3, NECPNET_FIELD_PARENT),
};

/* A rotation about an axis that leans, by an angle that speeds up and slows down. */
static void turned(double time, double rough, double q[4])
{
    double angle = time + rough * sin(time * 7);
    q[0] = 0.48 * sin(angle / 2);
    q[1] = 0.6 * sin(angle / 2);
    q[2] = 0.64 * sin(angle / 2);
    q[3] = cos(angle / 2);
}

static void rotate(const double q[4], const double v[3], double out[3])
{
    double t[3];
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3;
        int k = (i + 2) % 3;
        t[i] = 2 * (q[j] * v[k] - q[k] * v[j]);
    }
    for (int i = 0; i < 3; i++) {
        int j = (i + 1) % 3;
        int k = (i + 2) % 3;
        out[i] = v[i] + q[3] * t[i] + (q[j] * t[k] - q[k] * t[j]);
    }
}

/* The carrier's path, which nobody can predict well, and where a rider on it is. */
static void carry(double time, int rider, body* out)
{
    double q[4];
    double arm[3] = {rider ? 2.0 + rider * 0.3 : 0, rider * 0.5, rider ? 1.0 : 0};
    turned(time, 0.2, q);
    rotate(q, arm, out->position);
    out->position[0] += 10 * time + 0.5 * sin(time * 9);
    out->position[1] += 0.5 * cos(time * 11);
    memcpy(out->rotation, q, sizeof q);
}

static necpnet_schema* make_schema(const necpnet_field* fields, int count)
{
    const necpnet_entity_type type = {"body", 1, sizeof(body), fields, count};
    necpnet_allocator allocator = test_allocator();
    necpnet_schema* schema = NULL;
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &schema));
    return schema;
}

static void know(uint32_t rows[TICKS][16], uint32_t now, uint32_t age, nn_timeline* timeline)
{
    timeline->now = now;
    timeline->count = 0;
    for (uint32_t tick = now - age; timeline->count < NN_TIMELINE_MAX && tick > 0; tick--) {
        timeline->ticks[timeline->count] = tick;
        timeline->rows[timeline->count++] = rows[tick];
    }
}

static uint32_t off_by(const uint32_t* a, const uint32_t* b, unsigned first, unsigned count)
{
    uint32_t most = 0;
    for (unsigned i = first; i < first + count; i++) {
        uint32_t off = a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
        if (off > most) most = off;
    }
    return most;
}

TEST(test_lead_carries_riders_along)
{
    static uint32_t lead_rows[TICKS][16];
    static uint32_t rows[TICKS][16];
    static nn_prediction prediction;
    static nn_leads leads;
    necpnet_schema* schema = make_schema(free_fields, 2);
    const nn_type_plan* plan = &schema->plans[0];
    uint64_t with = 0;
    uint64_t without = 0;
    for (uint32_t tick = 1; tick < TICKS; tick++) {
        body b;
        carry(tick / 30.0, 0, &b);
        nn_quantise(plan, &b, lead_rows[tick]);
        carry(tick / 30.0, 5, &b);
        nn_quantise(plan, &b, rows[tick]);
    }
    for (uint32_t now = 40; now < TICKS; now++) {
        nn_timeline timeline;
        leads.count = 1;
        leads.leads[0].place = 1;
        know(lead_rows, now, 6, &timeline);
        nn_lead_set(&leads.leads[0], plan, &timeline, lead_rows[now]);
        know(rows, now, 6, &timeline);
        nn_predict(plan, &timeline, false, &leads, &prediction);
        TEST_HINT("tick %u", now);
        TEST_AT_MOST(off_by(prediction.row, rows[now], 0, 3),
                     20); /* 4 cm; the arm is 4 m, a step of rotation 4 mm there */
        if (prediction.row[3] == rows[now][3]) TEST_AT_MOST(off_by(prediction.row, rows[now], 4, 3), 4);
        with += off_by(prediction.row, rows[now], 0, 3);
        nn_predict(plan, &timeline, false, NULL, &prediction);
        without += off_by(prediction.row, rows[now], 0, 3);
    }
    TEST_LESS(with * 10, without);
    necpnet_schema_destroy(schema);
}

/* Half a turn a second and more, at 30 states a second: mostly to the step. */
TEST(test_lead_constant_turns_are_predicted_to_the_step)
{
    static uint32_t rows[TICKS][16];
    static nn_prediction prediction;
    necpnet_schema* schema = make_schema(free_fields, 2);
    const nn_type_plan* plan = &schema->plans[0];
    for (int speed = 1; speed <= 4; speed++) {
        unsigned exact = 0;
        for (uint32_t tick = 1; tick < TICKS; tick++) {
            body b;
            memset(&b, 0, sizeof b);
            turned(0.5 + speed * 0.7 * tick / 30.0, 0, b.rotation);
            nn_quantise(plan, &b, rows[tick]);
        }
        for (uint32_t now = 35; now < TICKS; now++) {
            nn_timeline timeline;
            know(rows, now, 1, &timeline);
            nn_predict(plan, &timeline, false, NULL, &prediction);
            TEST_HINT("speed %d, tick %u", speed, now);
            if (prediction.row[3] == rows[now][3]) {
                TEST_AT_MOST(off_by(prediction.row, rows[now], 4, 3), 2);
                exact += off_by(prediction.row, rows[now], 4, 3) == 0;
            }
        }
        TEST_HINT("speed %d: %u of %u", speed, exact, TICKS - 35);
        TEST_AT_LEAST(exact, (TICKS - 35) / 2);
    }
    necpnet_schema_destroy(schema);
}

/* ---- end to end */

typedef struct voyage {
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* view;
    nn_follower* follower;
    necpnet_entity entities[RIDERS];
    uint64_t sent;
    uint8_t frame[8192];
    size_t frame_bytes;
} voyage;

static void voyage_begin(voyage* v, const necpnet_field* fields, int count)
{
    necpnet_world_config world;
    necpnet_view_config view;
    memset(v, 0, sizeof *v);
    v->schema = make_schema(fields, count);
    TEST_OK(necpnet_world_config_default(&world));
    world.allocator = test_allocator();
    world.schema = v->schema;
    world.client_bytes_per_s = UINT32_MAX;
    world.send_hz = 120;
    TEST_OK(necpnet_world_create(&world, &v->world));
    TEST_OK(necpnet_view_config_default(&view));
    view.allocator = test_allocator();
    view.schema = v->schema;
    TEST_OK(necpnet_view_create(&view, &v->view));
    TEST_OK(nn_world_follow(v->world, 1, true, &v->follower));
    for (int i = 0; i < RIDERS; i++) {
        body b;
        memset(&b, 0, sizeof b);
        carry(0, i, &b);
        b.parent = i ? v->entities[0] : NECPNET_ENTITY_NONE;
        TEST_OK(necpnet_world_spawn(v->world, 1, &b, &v->entities[i]));
    }
}

/* solo: nobody rides; all go their own ways. */
static void voyage_step(voyage* v, uint32_t tick, bool solo)
{
    for (int i = 0; i < RIDERS; i++) {
        body* b = (body*)necpnet_world_get(v->world, v->entities[i]);
        carry(tick / 30.0 + (solo ? i * 3.7 : 0), i, b);
        TEST_OK(necpnet_world_mark(v->world, v->entities[i]));
    }
    TEST_OK(necpnet_world_commit(v->world, tick));
    uint32_t value;
    uint64_t now_us = 1000000 + (uint64_t)tick * 33333;
    nn_writer writer = nn_writer_of(v->frame, sizeof v->frame);
    TEST_CHECK(nn_follower_write(v->follower, &writer, sizeof v->frame, &value, now_us));
    v->frame_bytes = nn_writer_bytes(&writer);
    v->sent += v->frame_bytes;
}

static void voyage_read(voyage* v, uint32_t tick)
{
    nn_reader reader = nn_reader_of(v->frame + 1, v->frame_bytes - 1);
    TEST_OK(nn_view_read(v->view, &reader, 1000000 + (uint64_t)tick * 33333));
    for (int i = 0; i < RIDERS; i++) {
        body shown;
        body* b = (body*)necpnet_world_get(v->world, v->entities[i]);
        TEST_OK(necpnet_view_get_latest(v->view, v->entities[i], &shown, sizeof shown, NULL));
        for (int j = 0; j < 3; j++) TEST_CHECK(fabs(shown.position[j] - b->position[j]) <= 0.0011);
    }
}

static void voyage_end(voyage* v)
{
    nn_world_unfollow(v->world, v->follower);
    necpnet_view_destroy(v->view);
    necpnet_world_destroy(v->world);
    necpnet_schema_destroy(v->schema);
}

static uint64_t voyage_bytes(const necpnet_field* fields, int count, bool solo)
{
    static voyage v;
    uint64_t warm = 0;
    voyage_begin(&v, fields, count);
    for (uint32_t tick = 1; tick < 120; tick++) {
        voyage_step(&v, tick, solo);
        voyage_read(&v, tick);
        if (tick == 40) warm = v.sent;
    }
    uint64_t bytes = v.sent - warm;
    voyage_end(&v);
    return bytes;
}

TEST(test_lead_riders_take_fewer_bytes)
{
    uint64_t named = voyage_bytes(riding_fields, 3, false);
    uint64_t found = voyage_bytes(free_fields, 2, false);
    uint64_t solo = voyage_bytes(free_fields, 2, true);
    TEST_HINT("named %llu, found %llu, alone %llu bytes", (unsigned long long)named, (unsigned long long)found,
              (unsigned long long)solo);
    TEST_LESS(named * 3, solo * 2);
    TEST_LESS(found * 3, solo * 2);
}

/* Whatever bit of a frame with leads is wrong, it is refused by name or read as something else; nothing is written outside
 * (the sanitizers and the allocator look on). */
TEST(test_lead_wrong_frames_are_refused_by_name)
{
    static voyage v;
    unsigned refused = 0;
    voyage_begin(&v, riding_fields, 3);
    for (uint32_t tick = 1; tick < 30; tick++) {
        voyage_step(&v, tick, false);
        voyage_read(&v, tick);
    }
    voyage_step(&v, 30, false);
    for (size_t bit = 16; bit < 16 + 8 * 24; bit++) {
        v.frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        nn_reader reader = nn_reader_of(v.frame + 1, v.frame_bytes - 1);
        if (nn_view_read(v.view, &reader, 2000000) == NECPNET_ERR_BAD_DATA) {
            TEST_CHECK(nn_view_get_error(v.view)[0] != 0);
            refused++;
        }
        v.frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    TEST_AT_LEAST(refused, 10);
    voyage_end(&v);
}

TEST(test_lead_parent_must_be_one_reference)
{
    static const necpnet_field wrong[] = {NECPNET_VEC3(body, position, 1, -10, 10, 0.1, NECPNET_FIELD_PARENT)};
    static const necpnet_field twice[] = {
        NECPNET_ENTITY_REFERENCE(body, parent, 1, NECPNET_FIELD_PARENT),
        NECPNET_FIELD_OF(body, position, 2, NECPNET_FIELD_ENTITY, 4, 1, NECPNET_FIELD_PARENT, 0, 0, 1),
    };
    const necpnet_entity_type types[2] = {{"body", 1, sizeof(body), wrong, 1}, {"body", 1, sizeof(body), twice, 2}};
    for (int i = 0; i < 2; i++) {
        necpnet_allocator allocator = test_allocator();
        necpnet_schema* schema = NULL;
        TEST_EQUAL(necpnet_schema_create(&allocator, NULL, &types[i], 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    }
}

TEST_MAIN
