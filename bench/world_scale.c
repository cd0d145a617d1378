/* bench/world_scale - a world of many entities, many clients that each see a part of it, through the public API.
 *
 *   world_scale [--entities N] [--clients N] [--motion walk|scatter] [--ticks N] [--warm-up N] [--security none|open] [--scale]
 *
 * A server with a world at 20 ticks a second, real clients with views, links in memory with round trips of 20 to 200 ms. An
 * entity has a place, a heading, a state and its health; a tenth of them change in a tick: they walk for two seconds and rest
 * for eighteen (walk), or each tick others take a step (scatter). Each client owns an entity and looks from it; cells are such that
 * about 104 entities are in view, whatever the world's size. Then all rest, and what the idle world costs is measured.
 *
 * The world is given a clock (necpnet_world_config.time_ns), so that interest (in commit: quantising, history, who sees what)
 * and encoding (who lacks what, prediction, bits, acknowledgements) are known apart from packets, sealing and the link. A tick's
 * time is that of the thread's processor, so that other programs count little; its parts, for which that clock is too slow, are shares
 * of it by real time. --scale: a row of runs in which entities and clients double, for tools/plot_world_scale.py.
 *
 * A line of JSON for each figure; memory is what the world's allocator gave for following, for each client and entity in view.
 */
#include "necpnet.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SCALE_HZ 20
#define SCALE_TICK_US (1000000 / SCALE_HZ)
#define SCALE_STEPS 5 /* updates a tick */
#define SCALE_SPACING 10.0
#define SCALE_CELL 20.0 /* four entities a cell, 25 cells in view, and some that stay in view beyond */
#define SCALE_RADIUS 2
#define SCALE_SPELL 40 /* ticks that an entity walks */
#define SCALE_WALKING_OF 10
#define SCALE_IDLE_TICKS 100
#define SCALE_SETTLE_TICKS 100
#define SCALE_TIMEOUT_TICKS 600

typedef struct scale_body {
    float position[2];
    float heading;
    uint8_t state;
    uint16_t health;
} scale_body;

static const necpnet_field scale_fields[] = {
    NECPNET_VEC2(scale_body, position, 1, -4000, 4000, 0.01, NECPNET_FIELD_POSITION | NECPNET_FIELD_INTERPOLATE),
    NECPNET_ANGLE(scale_body, heading, 2, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_ENUM(scale_body, state, 3, 3, 0),
    NECPNET_INTEGER(scale_body, health, 4, 0, 1000, 0),
};
static const necpnet_entity_type scale_type = {"body", 1, sizeof(scale_body), scale_fields, 4};

typedef struct scale_options {
    uint32_t entities;
    uint32_t clients;
    uint32_t ticks;
    uint32_t warm_up;
    bool scatter;
    bool sealed;
} scale_options;

typedef struct scale_client {
    const necpnet_transport* transport;
    necpnet_client* client;
    necpnet_view* view;
    bool connected;
} scale_client;

typedef struct scale {
    scale_options options;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_server* server;
    necpnet_link* link;
    const necpnet_transport* server_transport;
    scale_client* clients;
    necpnet_entity* entities;
    double (*homes)[2];
    uint32_t side;
    uint32_t joined;
    uint64_t now_us;
    uint32_t tick;
    uint64_t random;
    size_t world_bytes; /* that the world's allocator has given */
} scale;

/* Of the thread's processor. */
typedef struct scale_tick {
    uint64_t interest_ns;
    uint64_t encode_ns;
    uint64_t total_ns;
} scale_tick;

typedef struct scale_figures {
    double p50[3]; /* interest and encoding; sealing, sending and the rest; all; in ms */
    double p99[3];
    double interest_p50;
    double encode_p50;
    double hit_rate;
    double in_view;
    double bytes_in_view; /* for each client and entity in view */
    double updates;       /* records a tick */
    double kB_per_s;      /* frames of state to a client */
    double idle_us;       /* a tick */
    double idle_bytes;    /* a tick */
    double idle_calls;    /* of the world's clock, beyond the two of a commit: frames tried */
} scale_figures;

static uint64_t scale_clock_calls;

static uint64_t scale_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t scale_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The world's clock. */
static uint64_t scale_time_ns(void* user)
{
    (void)user;
    scale_clock_calls++;
    return scale_now_ns();
}

static void scale_need(necpnet_result result, const char* what)
{
    if (result == NECPNET_OK) return;
    fprintf(stderr, "world_scale: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static uint32_t scale_below(scale* s, uint32_t bound)
{
    s->random = s->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((s->random >> 33) % bound);
}

/* Not random: equal runs are equal. */
static bool scale_fill(void* to, size_t bytes, void* user)
{
    scale* s = (scale*)user;
    for (size_t i = 0; i < bytes; i++) ((uint8_t*)to)[i] = (uint8_t)scale_below(s, 256);
    return true;
}

static void* scale_allocate(size_t bytes, void* user)
{
    ((scale*)user)->world_bytes += bytes;
    return malloc(bytes);
}

static void scale_release(void* memory, size_t bytes, void* user)
{
    ((scale*)user)->world_bytes -= bytes;
    free(memory);
}

/* ---- the world */

static double scale_random_share(scale* s)
{
    return (double)scale_below(s, 1u << 24) / (double)(1u << 24);
}

/* Those that clients look from stand away from the edge, so that all see as much. */
static void scale_place(scale* s, uint32_t index, const uint32_t* cells)
{
    double middle = (double)s->side / 2;
    for (int axis = 0; axis < 2; axis++) {
        uint32_t cell = axis ? cells[index] / s->side : cells[index] % s->side;
        s->homes[index][axis] = ((double)cell - middle + 0.25 + scale_random_share(s) / 2) * SCALE_SPACING;
    }
}

static bool scale_is_inner(const scale* s, uint32_t cell)
{
    uint32_t edge = (uint32_t)(SCALE_CELL * (SCALE_RADIUS + 2) / SCALE_SPACING);
    uint32_t x = cell % s->side, y = cell / s->side;
    return x >= edge && y >= edge && x + edge < s->side && y + edge < s->side;
}

/* A cell for each entity, no order; clients' first. */
static uint32_t* scale_shuffle(scale* s)
{
    uint32_t count = s->side * s->side;
    uint32_t* cells = (uint32_t*)malloc(count * sizeof(uint32_t));
    if (!cells) exit(1);
    for (uint32_t i = 0; i < count; i++) cells[i] = i;
    for (uint32_t i = count; i-- > 1;) {
        uint32_t other = scale_below(s, i + 1);
        uint32_t cell = cells[i];
        cells[i] = cells[other];
        cells[other] = cell;
    }
    for (uint32_t i = 0, from = 0; i < s->options.clients && i < s->options.entities; i++) {
        if (from < i) from = i;
        while (from < count && !scale_is_inner(s, cells[from])) from++;
        if (from == count) break;
        uint32_t cell = cells[i];
        cells[i] = cells[from];
        cells[from] = cell;
    }
    return cells;
}

static void scale_open_world(scale* s)
{
    necpnet_world_config config;
    scale_need(necpnet_schema_create(NULL, NULL, &scale_type, 1, &s->schema), "schema");
    necpnet_world_config_default(&config);
    config.allocator.allocate = scale_allocate;
    config.allocator.release = scale_release;
    config.allocator.user = s;
    config.schema = s->schema;
    config.entities_max = s->options.entities;
    config.send_hz = SCALE_HZ;
    config.interest_cell = SCALE_CELL;
    config.interest_radius = SCALE_RADIUS;
    config.time_ns = scale_time_ns;
    scale_need(necpnet_world_create(&config, &s->world), "world");
    s->side = (uint32_t)ceil(sqrt((double)s->options.entities));
    s->entities = (necpnet_entity*)calloc(s->options.entities, sizeof(necpnet_entity));
    s->homes = (double(*)[2])calloc(s->options.entities, sizeof *s->homes);
    uint32_t* cells = scale_shuffle(s);
    if (!s->entities || !s->homes) exit(1);
    for (uint32_t i = 0; i < s->options.entities; i++) {
        scale_body body;
        memset(&body, 0, sizeof body);
        scale_place(s, i, cells);
        body.position[0] = (float)s->homes[i][0];
        body.position[1] = (float)s->homes[i][1];
        body.health = (uint16_t)scale_below(s, 1001);
        scale_need(necpnet_world_spawn(s->world, 1, &body, &s->entities[i]), "spawn");
    }
    free(cells);
}

/* Two units a second or so, turning a little; back home when it is far. */
static void scale_step_body(scale* s, uint32_t index)
{
    scale_body* body = (scale_body*)necpnet_world_get(s->world, s->entities[index]);
    double dx = s->homes[index][0] - (double)body->position[0];
    double dy = s->homes[index][1] - (double)body->position[1];
    double heading = (double)body->heading + (scale_random_share(s) - 0.5) * 0.1;
    if (dx * dx + dy * dy > 9) heading = atan2(dy, dx);
    body->heading = (float)heading;
    body->position[0] += (float)(0.1 * cos(heading));
    body->position[1] += (float)(0.1 * sin(heading));
    if (scale_below(s, 40) == 0) body->health = (uint16_t)scale_below(s, 1001);
    scale_need(necpnet_world_mark(s->world, s->entities[index]), "mark");
}

static void scale_move(scale* s)
{
    uint32_t walkers = s->options.entities / SCALE_WALKING_OF;
    if (s->options.scatter) {
        for (uint32_t i = 0; i < walkers; i++) scale_step_body(s, scale_below(s, s->options.entities));
        return;
    }
    uint32_t period = SCALE_SPELL * SCALE_WALKING_OF;
    for (uint32_t i = 0; i < s->options.entities; i++) {
        uint32_t phase = (s->tick + i * 7919u) % period;
        scale_body* body = (scale_body*)necpnet_world_get(s->world, s->entities[i]);
        if (phase == 0) {
            body->heading = (float)(scale_random_share(s) * 6.2);
            body->state = 1;
        }
        if (phase < SCALE_SPELL) scale_step_body(s, i);
        if (phase == SCALE_SPELL - 1) body->state = 0;
    }
}

/* ---- server and clients */

static void scale_open_server(scale* s)
{
    necpnet_link_config link;
    necpnet_link_config_default(&link);
    scale_need(necpnet_link_create(&link, &s->link), "link");
    necpnet_link_advance(s->link, s->now_us);
    scale_need(necpnet_link_add_server(s->link, 7777, &s->server_transport), "link");
    necpnet_server_config config;
    necpnet_server_config_default(&config);
    config.transport = s->server_transport;
    config.world = s->world;
    config.tick_hz = SCALE_HZ;
    config.security = s->options.sealed ? NECPNET_SECURITY_OPEN : NECPNET_SECURITY_NONE;
    config.entropy.fill = scale_fill;
    config.entropy.user = s;
    config.peers_max = s->options.clients + 1;
    config.peers_per_address_max = config.peers_max;
    scale_need(necpnet_server_create(&config, &s->server), "server");
    scale_need(necpnet_server_set_wall_time(s->server, UINT64_C(1700000000000000), s->now_us), "server");
}

static void scale_open_client(scale* s, uint32_t index)
{
    const char* url = "udp://server:7777";
    scale_client* client = &s->clients[index];
    necpnet_view_config view;
    necpnet_link_config link;
    necpnet_client_config config;
    necpnet_view_config_default(&view);
    view.schema = s->schema;
    scale_need(necpnet_view_create(&view, &client->view), "view");
    scale_need(necpnet_link_add_client(s->link, &client->transport), "link");
    necpnet_link_config_default(&link);
    link.latency_us = 10000 + scale_below(s, 90001);
    scale_need(necpnet_link_configure(s->link, client->transport, &link), "link");
    necpnet_client_config_default(&config);
    config.transport = client->transport;
    config.view = client->view;
    config.security = s->options.sealed ? NECPNET_SECURITY_OPEN : NECPNET_SECURITY_NONE;
    config.entropy.fill = scale_fill;
    config.entropy.user = s;
    scale_need(necpnet_client_create(&config, &client->client), "client");
    necpnet_client_update(client->client, s->now_us);
    scale_need(necpnet_client_connect(client->client, &url, 1), "connect");
}

static void scale_poll_server(scale* s)
{
    necpnet_event event;
    while (necpnet_server_poll(s->server, &event)) {
        if (event.type != NECPNET_EVENT_CONNECTED) continue;
        necpnet_entity own = s->entities[s->joined++ % s->options.entities];
        scale_need(necpnet_world_set_owner(s->world, own, event.peer), "owner");
        scale_need(necpnet_world_set_observer(s->world, event.peer, own), "observer");
    }
}

static void scale_update_clients(scale* s)
{
    for (uint32_t i = 0; i < s->options.clients; i++) {
        scale_client* client = &s->clients[i];
        necpnet_event event;
        necpnet_view_event seen;
        if (!client->client) continue;
        necpnet_client_update(client->client, s->now_us);
        while (necpnet_client_poll(client->client, &event)) {
            if (event.type == NECPNET_EVENT_CONNECTED) client->connected = true;
            if (event.type == NECPNET_EVENT_DISCONNECTED) scale_need(event.reason, "a client's connection");
        }
        while (necpnet_view_poll(client->view, &seen)) continue;
    }
}

/* One tick: what the server spends on it. */
static scale_tick scale_run_tick(scale* s, bool move)
{
    necpnet_world_statistics before, after;
    scale_tick cost;
    s->tick++;
    if (move) scale_move(s);
    necpnet_world_get_statistics(s->world, &before);
    uint64_t began = scale_now_ns();
    uint64_t began_cpu = scale_cpu_ns();
    scale_need(necpnet_world_commit(s->world, s->tick), "commit");
    cost.total_ns = scale_cpu_ns() - began_cpu;
    uint64_t real_ns = scale_now_ns() - began;
    for (int step = 0; step < SCALE_STEPS; step++) {
        necpnet_link_advance(s->link, s->now_us);
        began = scale_now_ns();
        began_cpu = scale_cpu_ns();
        scale_need(necpnet_server_update(s->server, s->now_us), "server update");
        cost.total_ns += scale_cpu_ns() - began_cpu;
        real_ns += scale_now_ns() - began;
        scale_poll_server(s);
        scale_update_clients(s);
        s->now_us += SCALE_TICK_US / SCALE_STEPS;
    }
    necpnet_world_get_statistics(s->world, &after);
    double share = (double)cost.total_ns / (double)real_ns;
    cost.interest_ns = (uint64_t)((double)(after.interest_ns - before.interest_ns) * share);
    cost.encode_ns = (uint64_t)((double)(after.encode_ns - before.encode_ns) * share);
    return cost;
}

/* ---- figures */

static int scale_compare(const void* a, const void* b)
{
    const double x = *(const double*)a, y = *(const double*)b;
    return x < y ? -1 : x > y;
}

static double scale_percentile(double* values, uint32_t count, double share)
{
    qsort(values, count, sizeof *values, scale_compare);
    return values[(uint32_t)(share * (count - 1) + 0.5)];
}

static double scale_part(const scale_tick* tick, int part)
{
    double state = (double)(tick->interest_ns + tick->encode_ns) / 1e6;
    double total = (double)tick->total_ns / 1e6;
    switch (part) {
    case 0: return state;
    case 1: return total > state ? total - state : 0;
    case 2: return total;
    case 3: return (double)tick->interest_ns / 1e6;
    default: return (double)tick->encode_ns / 1e6;
    }
}

static void scale_sort_out(const scale_tick* ticks, uint32_t count, scale_figures* figures)
{
    double* values = (double*)malloc(count * sizeof(double));
    if (!values) exit(1);
    for (int part = 0; part < 5; part++) {
        for (uint32_t i = 0; i < count; i++) values[i] = scale_part(&ticks[i], part);
        double p50 = scale_percentile(values, count, 0.5);
        double p99 = scale_percentile(values, count, 0.99);
        if (part < 3) figures->p50[part] = p50;
        if (part < 3) figures->p99[part] = p99;
        if (part == 3) figures->interest_p50 = p50;
        if (part == 4) figures->encode_p50 = p50;
    }
    free(values);
}

static double scale_in_view(const scale* s)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->options.clients; i++) {
        necpnet_view_statistics statistics;
        necpnet_view_get_statistics(s->clients[i].view, &statistics);
        sum += (double)statistics.entities;
    }
    return sum / (double)s->options.clients;
}

/* In an idle world. */
static void scale_measure_idle(scale* s, scale_figures* figures)
{
    necpnet_world_statistics before, after;
    double* values = (double*)malloc(SCALE_IDLE_TICKS * sizeof(double));
    if (!values) exit(1);
    for (int i = 0; i < SCALE_SETTLE_TICKS; i++) scale_run_tick(s, false);
    necpnet_world_get_statistics(s->world, &before);
    uint64_t calls = scale_clock_calls;
    for (int i = 0; i < SCALE_IDLE_TICKS; i++) {
        scale_tick tick = scale_run_tick(s, false);
        values[i] = (double)(tick.interest_ns + tick.encode_ns) / 1e3;
    }
    necpnet_world_get_statistics(s->world, &after);
    figures->idle_us = scale_percentile(values, SCALE_IDLE_TICKS, 0.5);
    figures->idle_bytes = (double)(after.bytes_sent - before.bytes_sent) / SCALE_IDLE_TICKS;
    figures->idle_calls = (double)(scale_clock_calls - calls) / SCALE_IDLE_TICKS - 2;
    free(values);
}

static void scale_measure(scale* s, size_t bytes_before, scale_figures* figures)
{
    necpnet_world_statistics before, after;
    scale_tick* ticks = (scale_tick*)calloc(s->options.ticks, sizeof(scale_tick));
    if (!ticks) exit(1);
    for (uint32_t i = 0; i < s->options.warm_up; i++) scale_run_tick(s, true);
    necpnet_world_get_statistics(s->world, &before);
    for (uint32_t i = 0; i < s->options.ticks; i++) ticks[i] = scale_run_tick(s, true);
    necpnet_world_get_statistics(s->world, &after);
    scale_sort_out(ticks, s->options.ticks, figures);
    free(ticks);
    double hits = (double)(after.records_shared - before.records_shared);
    double made = (double)(after.records_made - before.records_made);
    figures->hit_rate = hits / (hits + made > 0 ? hits + made : 1);
    figures->in_view = scale_in_view(s);
    figures->bytes_in_view =
        ((double)s->world_bytes - (double)bytes_before) / (figures->in_view * (double)s->options.clients);
    figures->updates = (double)(after.updates_sent - before.updates_sent) / s->options.ticks;
    figures->kB_per_s =
        (double)(after.bytes_sent - before.bytes_sent) / s->options.ticks * SCALE_HZ / s->options.clients / 1000;
    scale_measure_idle(s, figures);
}

/* History that the world would have without clients is not counted: it is there before they come. */
static scale_figures scale_run(const scale_options* options)
{
    static scale s;
    scale_figures figures;
    memset(&s, 0, sizeof s);
    memset(&figures, 0, sizeof figures);
    s.options = *options;
    s.now_us = 1000000;
    s.random = 1;
    s.clients = (scale_client*)calloc(options->clients, sizeof(scale_client));
    if (!s.clients) exit(1);
    scale_open_world(&s);
    scale_open_server(&s);
    for (int i = 0; i < SCALE_SPELL * SCALE_WALKING_OF; i++) scale_run_tick(&s, true);
    size_t bytes_before = s.world_bytes;
    uint32_t patience = SCALE_TIMEOUT_TICKS;
    for (uint32_t i = 0; i < options->clients; i++) {
        scale_open_client(&s, i);
        if (i % 50 == 49) scale_run_tick(&s, true);
    }
    while (s.joined < options->clients && patience--) scale_run_tick(&s, true);
    if (s.joined < options->clients) scale_need(NECPNET_ERR_TIMEOUT, "clients");
    scale_measure(&s, bytes_before, &figures);
    for (uint32_t i = 0; i < options->clients; i++) {
        necpnet_client_destroy(s.clients[i].client);
        necpnet_view_destroy(s.clients[i].view);
    }
    necpnet_server_destroy(s.server);
    necpnet_link_destroy(s.link);
    necpnet_world_destroy(s.world);
    necpnet_schema_destroy(s.schema);
    free(s.clients);
    free(s.entities);
    free(s.homes);
    return figures;
}

static void scale_print_one(const scale_options* options, const char* metric, const char* unit, double ours,
                            double goal)
{
    printf("{\"bench\":\"world_scale\",\"case\":\"%u entities, %u clients, %s, %s\",\"metric\":\"%s\",\"unit\":\"%s\",",
           options->entities, options->clients, options->scatter ? "scatter" : "walk",
           options->sealed ? "sealed" : "plain", metric, unit);
    if (goal > 0) {
        printf("\"ours\":%.4g,\"peer\":\"goal\",\"theirs\":%.4g,\"ratio\":%.3f}\n", ours, goal, goal / ours);
    } else {
        printf("\"ours\":%.4g,\"peer\":null,\"theirs\":null,\"ratio\":null}\n", ours);
    }
}

static void scale_print(const scale_options* options, const scale_figures* figures)
{
    static const char* const parts[] = {"interest and encoding", "packets, sealing, link", "whole tick"};
    bool full = options->entities == 10000 && options->clients == 1000;
    char metric[64];
    printf("%6u %6u %7s %8.1f %9.2f %8.2f %8.2f %8.2f %8.2f %8.2f %6.1f%% %7.1f %8.0f %7.2f %7.1f %6.1f\n",
           options->entities, options->clients, options->scatter ? "scatter" : "walk", figures->in_view,
           figures->interest_p50, figures->encode_p50, figures->p50[0], figures->p99[0], figures->p50[1],
           figures->p50[2], figures->hit_rate * 100, figures->bytes_in_view, figures->updates, figures->kB_per_s,
           figures->idle_us, figures->idle_bytes);
    for (int part = 0; part < 3; part++) {
        snprintf(metric, sizeof metric, "%s p50", parts[part]);
        scale_print_one(options, metric, "ms a tick", figures->p50[part], part == 0 && full ? 10 : 0);
        snprintf(metric, sizeof metric, "%s p99", parts[part]);
        scale_print_one(options, metric, "ms a tick", figures->p99[part], 0);
    }
    scale_print_one(options, "interest p50", "ms a tick", figures->interest_p50, 0);
    scale_print_one(options, "encoding p50", "ms a tick", figures->encode_p50, 0);
    scale_print_one(options, "records shared", "%", figures->hit_rate * 100, 0);
    scale_print_one(options, "entities in view", "a client", figures->in_view, 0);
    scale_print_one(options, "memory", "bytes a client and entity in view", figures->bytes_in_view, 64);
    scale_print_one(options, "records", "a tick", figures->updates, 0);
    scale_print_one(options, "state", "kB/s a client", figures->kB_per_s, 0);
    scale_print_one(options, "idle: interest and encoding", "us a tick", figures->idle_us, 0);
    scale_print_one(options, "idle: state", "bytes a tick", figures->idle_bytes, 0);
    scale_print_one(options, "idle: frames tried", "a tick", figures->idle_calls, 0);
    fflush(stdout);
}

static void scale_head(void)
{
    printf("%s: ms of processor a tick of 50 ms\n%6s %6s %7s %8s %9s %8s %8s %8s %8s %8s %7s %7s %8s %7s %7s %6s\n",
           necpnet_version(), "things", "peers", "motion", "in view", "interest", "encode", "both", "p99", "rest",
           "all", "shared", "B/view", "records", "kB/s", "idle us", "idle B");
}

static void scale_usage(void)
{
    fprintf(stderr,
            "usage: world_scale [--entities N] [--clients N] [--motion walk|scatter] [--ticks N] [--warm-up N]\n"
            "                   [--security none|open] [--scale]\n");
    exit(2);
}

static uint32_t scale_number(const char* text, uint32_t least, uint32_t most)
{
    char* end;
    unsigned long value = strtoul(text, &end, 10);
    if (!*text || *end || value < least || value > most) scale_usage();
    return (uint32_t)value;
}

int main(int argc, char** argv)
{
    scale_options options = {10000, 1000, 100, 100, false, true};
    bool row = false;
    for (int i = 1; i < argc; i++) {
        const char* name = argv[i];
        if (!strcmp(name, "--scale")) {
            row = true;
            continue;
        }
        const char* value = i + 1 < argc ? argv[++i] : "";
        if (!strcmp(name, "--entities"))
            options.entities = scale_number(value, 100, 65535);
        else if (!strcmp(name, "--clients"))
            options.clients = scale_number(value, 1, 10000);
        else if (!strcmp(name, "--ticks"))
            options.ticks = scale_number(value, 2, 100000);
        else if (!strcmp(name, "--warm-up"))
            options.warm_up = scale_number(value, 0, 100000);
        else if (!strcmp(name, "--motion") && (!strcmp(value, "walk") || !strcmp(value, "scatter")))
            options.scatter = *value == 's';
        else if (!strcmp(name, "--security") && (!strcmp(value, "none") || !strcmp(value, "open")))
            options.sealed = *value == 'o';
        else
            scale_usage();
    }
    scale_head();
    for (uint32_t part = row ? 1 : 4; part <= (row ? 8u : 4u); part *= 2) {
        scale_options step = options;
        if (row) step.entities = 2500 * part;
        if (row) step.clients = 250 * part;
        scale_figures figures = scale_run(&step);
        scale_print(&step, &figures);
    }
    return 0;
}
