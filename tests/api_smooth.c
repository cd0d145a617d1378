/* api_smooth - what a player sees moves as it truly did: sampled at 60 pictures a second, behind a network whose delay varies by
 * 50 ms, no step of an interpolated entity is more than a tenth longer than its true one.
 *
 * Method: net.h; entities at constant speed on a line that turns back at its ends, on a circle, and now going, now resting,
 * so that a picture's true motion is at most speed / 60. The first five seconds, in which the view learns the network, do
 * not count. `--verbose` prints the longest steps.
 */
#include "net.h"

#include <math.h>

typedef struct thing {
    double position[2];
    float heading;
} thing;

static const necpnet_field thing_fields[] = {
    NECPNET_VEC2(thing, position, 1, -100, 100, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_ANGLE(thing, heading, 2, 0.0005, NECPNET_FIELD_INTERPOLATE),
};
static const necpnet_entity_type types[] = {{"thing", 1, sizeof(thing), thing_fields, 2}};

#define SPEED 6.0 /* units a second */
#define TURN 2.0  /* radians a second */
#define MOTIONS 4
#define TICK_HZ 60
#define FRAME_US 16667
#define MORE_AT_MOST 1.10

/* Where an entity truly is. */
static void motion(int which, double seconds, thing* out)
{
    double way = seconds * SPEED;
    memset(out, 0, sizeof *out);
    out->heading = (float)fmod(seconds * TURN, 6.283185307179586);
    switch (which) {
    case 0: { /* there and back again, 10 units each way */
        double at = fmod(way, 20.0);
        out->position[0] = at < 10.0 ? at : 20.0 - at;
        break;
    }
    case 1: /* a circle of 5 units */
        out->position[0] = 5.0 * cos(way / 5.0);
        out->position[1] = 5.0 * sin(way / 5.0);
        break;
    case 2: { /* a second of going, a second of rest */
        double whole = floor(seconds / 2.0);
        double part = seconds - 2.0 * whole;
        double gone = (whole + (part < 1.0 ? part : 1.0)) * SPEED;
        double at = fmod(gone, 20.0);
        out->position[1] = at < 10.0 ? at : 20.0 - at;
        break;
    }
    default: /* a tight circle of one unit, where chords are shorter than the way */
        out->position[0] = 20.0 + cos(way);
        out->position[1] = sin(way);
        break;
    }
}

struct picture {
    thing last[MOTIONS];
    bool has[MOTIONS];
    double longest; /* step, of the true one */
    double most_turned;
    uint32_t steps;
    uint32_t long_steps; /* by more than a tenth */
};

static void look(struct picture* picture, necpnet_view* view, const necpnet_entity* entities, bool counts)
{
    const double true_step = SPEED * FRAME_US / 1e6;
    const double true_turn = TURN * FRAME_US / 1e6;
    for (int i = 0; i < MOTIONS; i++) {
        thing now;
        if (necpnet_view_get(view, entities[i], &now, sizeof now) != NECPNET_OK) continue;
        if (picture->has[i] && counts) {
            const thing* last = &picture->last[i];
            double step = hypot(now.position[0] - last->position[0], now.position[1] - last->position[1]) / true_step;
            double turned = fabs(remainder((double)(now.heading - last->heading), 6.283185307179586)) / true_turn;
            if (step > picture->longest) picture->longest = step;
            if (turned > picture->most_turned) picture->most_turned = turned;
            picture->steps++;
            picture->long_steps += step > MORE_AT_MOST;
        }
        picture->last[i] = now;
        picture->has[i] = true;
    }
}

static struct picture play(const char* url, uint32_t send_hz, uint32_t loss_ppm, uint64_t seed)
{
    struct net net;
    necpnet_schema* schema = NULL;
    necpnet_world* world = NULL;
    necpnet_view* view = NULL;
    necpnet_world_config world_config;
    necpnet_view_config view_config;
    necpnet_entity entities[MOTIONS];
    struct picture picture;
    memset(&picture, 0, sizeof picture);
    net_begin(&net);
    net.link_config.seed = seed;
    net.link_config.latency_us = 30000;
    net.link_config.jitter_us = 50000;
    net.link_config.loss_ppm = loss_ppm;
    TEST_OK(necpnet_schema_create(&net.allocator, NULL, types, 1, &schema));
    TEST_OK(necpnet_world_config_default(&world_config));
    world_config.allocator = net.allocator;
    world_config.schema = schema;
    world_config.send_hz = send_hz;
    TEST_OK(necpnet_world_create(&world_config, &world));
    for (int i = 0; i < MOTIONS; i++) TEST_OK(necpnet_world_spawn(world, 1, NULL, &entities[i]));
    TEST_OK(necpnet_view_config_default(&view_config));
    view_config.allocator = net.allocator;
    view_config.schema = schema;
    TEST_OK(necpnet_view_create(&view_config, &view));
    net.server_config.world = world;
    net.server_config.tick_hz = TICK_HZ;
    net_serve(&net);
    net.client_config.view = view;
    net_join(&net, url);
    uint64_t began_us = net.now_us;
    uint64_t frame_at_us = net.now_us;
    uint32_t committed = 0;
    while (net.now_us < began_us + 30000000) {
        uint32_t tick = (uint32_t)(net.now_us * TICK_HZ / 1000000);
        if (tick > committed) {
            for (int i = 0; i < MOTIONS; i++) {
                motion(i, (double)tick / TICK_HZ, (thing*)necpnet_world_get(world, entities[i]));
                TEST_OK(necpnet_world_mark(world, entities[i]));
            }
            TEST_OK(necpnet_world_commit(world, tick));
            committed = tick;
        }
        net_step(&net, NET_STEP_US);
        if (net.now_us < frame_at_us) continue;
        frame_at_us += FRAME_US;
        TEST_OK(necpnet_view_update(view, net.now_us));
        look(&picture, view, entities, net.now_us > began_us + 5000000);
    }
    if (test_run_state.verbose) {
        necpnet_view_statistics statistics;
        TEST_OK(necpnet_view_get_statistics(view, &statistics));
        printf(
            "%-26s %2u Hz, loss %.0f %%: longest step %.3f of the true one, %u of %u longer than %.2f; delay %u ms\n",
            url, (unsigned)send_hz, loss_ppm / 1e4, picture.longest, (unsigned)picture.long_steps,
            (unsigned)picture.steps, MORE_AT_MOST, (unsigned)(statistics.delay_us / 1000));
    }
    net_end(&net);
    necpnet_view_destroy(view);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
    return picture;
}

TEST(test_no_step_is_a_tenth_longer_than_the_true_one)
{
    static const uint32_t rates[] = {10, 20, 60};
    TEST_EACH_SEED (seed, 3) {
        for (size_t i = 0; i < 6; i++) {
            struct picture picture = play(i < 3 ? NET_URL_UDP : NET_URL_WEB, rates[i % 3], 0, seed + 1);
            TEST_HINT("%d states a second over %s", (int)rates[i % 3], i < 3 ? "UDP" : "WebSocket");
            TEST_GREATER(picture.steps, 5000);
            TEST_CHECK(picture.longest <= MORE_AT_MOST);
            TEST_CHECK(picture.most_turned <= MORE_AT_MOST);
            TEST_CHECK(picture.longest > 0.95); /* it does move */
        }
    }
}

/* A frame that never comes is bridged by the delay once losses are usual; what was carried on wrongly is put right by small changes
 * of speed. */
TEST(test_steps_stay_true_under_loss)
{
    static const uint32_t losses_ppm[] = {20000, 50000, 100000};
    TEST_EACH_SEED (seed, 6) {
        for (size_t i = 0; i < 3; i++) {
            struct picture picture = play(NET_URL_UDP, 20, losses_ppm[i], seed + 1);
            TEST_HINT("%u of %u longer, the longest %.3f", (unsigned)picture.long_steps, (unsigned)picture.steps,
                      picture.longest);
            /* of ten in a hundred, five in a row may be missing: a quarter of a second of which nothing is known */
            uint32_t one_of = losses_ppm[i] > 50000 ? 50 : 1000;
            TEST_AT_MOST(picture.long_steps * one_of, picture.steps);
            TEST_CHECK(picture.longest <= 1.5);
        }
    }
}

TEST_MAIN
