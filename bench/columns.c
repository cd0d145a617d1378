/* bench/columns - an engine's components and 10,000 entities: in one call against one by one.
 *
 *     columns
 *
 * Into the world: position, velocity and health of each entity out of three arrays, by necpnet_world_update_many and, beside it,
 * by necpnet_world_get, three copies and necpnet_world_mark; once where all move, once where one in a hundred does, with the
 * commit that follows, for columns find out what changed and the other way marks all. Out of the view: by
 * necpnet_view_read_many and by necpnet_view_get; and what changed, by necpnet_view_take_changes against looking at all.
 * Client and server over a link in memory.
 *
 * Output: a table for people, then one JSON line a figure; the peer is one by one, ratio above 1 is better than it.
 */
#include "necpnet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT 10000
#define ROUNDS 30
#define TICK_HZ 60

typedef struct body {
    float position[3];
    float velocity[3];
    uint16_t health;
} body;

static const necpnet_field body_fields[] = {
    NECPNET_VEC3(body, position, 1, -1000, 1000, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_VEC3(body, velocity, 2, -100, 100, 0.1, 0),
    NECPNET_INTEGER(body, health, 3, 0, 1000, 0),
};
static const necpnet_entity_type types[] = {{"body", 1, sizeof(body), body_fields, 3}};

static float positions[COUNT][3];
static float velocities[COUNT][3];
static uint16_t healths[COUNT];
static necpnet_entity entities[COUNT];

static necpnet_schema* schema;
static necpnet_world* world;
static necpnet_view* view;
static necpnet_link* link_of_all;
static necpnet_server* server;
static necpnet_client* client;
static uint64_t now_us = 1000000;
static uint32_t tick = 60;

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "columns: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static bool fill(void* to, size_t bytes, void* user)
{
    static uint64_t state = 7;
    uint8_t* p = to;
    (void)user;
    for (size_t i = 0; i < bytes; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(state >> 56);
    }
    return true;
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void begin(void)
{
    static const char* const url = "udp://server:7777";
    necpnet_link_config link;
    necpnet_server_config server_config;
    necpnet_client_config client_config;
    necpnet_world_config world_config;
    necpnet_view_config view_config;
    const necpnet_transport* transports[2];
    check("schema", necpnet_schema_create(NULL, NULL, types, 1, &schema));
    check("world", necpnet_world_config_default(&world_config));
    world_config.schema = schema;
    world_config.entities_max = COUNT;
    world_config.client_bytes_per_s = 200000000;
    check("world", necpnet_world_create(&world_config, &world));
    check("view", necpnet_view_config_default(&view_config));
    view_config.schema = schema;
    view_config.entities_max = COUNT;
    check("view", necpnet_view_create(&view_config, &view));
    check("link", necpnet_link_config_default(&link));
    check("link", necpnet_link_create(&link, &link_of_all));
    check("link", necpnet_link_add_server(link_of_all, 7777, &transports[0]));
    check("link", necpnet_link_add_client(link_of_all, &transports[1]));
    check("server", necpnet_server_config_default(&server_config));
    server_config.transport = transports[0];
    server_config.security = NECPNET_SECURITY_NONE;
    server_config.entropy.fill = fill;
    server_config.world = world;
    check("server", necpnet_server_create(&server_config, &server));
    check("client", necpnet_client_config_default(&client_config));
    client_config.transport = transports[1];
    client_config.security = NECPNET_SECURITY_NONE;
    client_config.entropy.fill = fill;
    client_config.view = view;
    check("client", necpnet_client_create(&client_config, &client));
    check("client", necpnet_client_connect(client, &url, 1));
    for (int i = 0; i < COUNT; i++) check("spawn", necpnet_world_spawn(world, 1, NULL, &entities[i]));
}

static void run(uint32_t ticks)
{
    necpnet_event event;
    for (uint32_t i = 0; i < ticks; i++) {
        tick++;
        now_us += 1000000 / TICK_HZ;
        check("commit", necpnet_world_commit(world, tick));
        check("link", necpnet_link_advance(link_of_all, now_us));
        check("server", necpnet_server_update(server, now_us));
        while (necpnet_server_poll(server, &event)) continue;
        check("client", necpnet_client_update(client, now_us));
        while (necpnet_client_poll(client, &event)) continue;
        check("view", necpnet_view_update(view, now_us));
    }
}

/* What the engine's systems do: one in `every` moves. */
static void move(int every)
{
    static int round;
    round++;
    for (int i = round % every; i < COUNT; i += every) {
        positions[i][0] = (float)((i * 37 + round * 11) % 1900 - 950);
        positions[i][1] = (float)((i * 53 + round * 7) % 1900 - 950);
        velocities[i][2] = (float)((round + i) % 90);
        healths[i] = (uint16_t)((round + i) % 1000);
    }
}

static void update_in_columns(void)
{
    const necpnet_column columns[3] = {
        {1, positions, sizeof positions[0]}, {2, velocities, sizeof velocities[0]}, {3, healths, sizeof healths[0]}};
    check("update", necpnet_world_update_many(world, 1, entities, COUNT, columns, 3, NULL));
}

static void update_one_by_one(void)
{
    for (int i = 0; i < COUNT; i++) {
        body* at = necpnet_world_get(world, entities[i]);
        memcpy(at->position, positions[i], sizeof at->position);
        memcpy(at->velocity, velocities[i], sizeof at->velocity);
        at->health = healths[i];
        check("mark", necpnet_world_mark(world, entities[i]));
    }
}

static float seen_positions[COUNT][3];
static uint16_t seen_healths[COUNT];

static void read_in_columns(void)
{
    const necpnet_column_out columns[2] = {{1, seen_positions, sizeof seen_positions[0]},
                                           {3, seen_healths, sizeof seen_healths[0]}};
    check("read", necpnet_view_read_many(view, 1, entities, COUNT, columns, 2, NULL));
}

static void read_one_by_one(void)
{
    for (int i = 0; i < COUNT; i++) {
        body seen;
        if (necpnet_view_get(view, entities[i], &seen, sizeof seen) != NECPNET_OK) continue;
        memcpy(seen_positions[i], seen.position, sizeof seen.position);
        seen_healths[i] = seen.health;
    }
}

static uint32_t changed_count;

static void take_changes(void)
{
    necpnet_changes changes;
    check("changes", necpnet_view_take_changes(view, &changes));
    changed_count = changes.changed_count;
}

typedef struct pair {
    const char* name;
    void (*ours)(void);
    void (*theirs)(void);
    int every;
    bool commits; /* the commit that follows counts */
    bool reads;   /* out of the view */
} pair;

static double once(const pair* p, void (*what)(void))
{
    move(p->every);
    if (p->reads) {
        update_in_columns();
        run(1);
    }
    uint64_t from = cpu_ns();
    what();
    if (p->commits) check("commit", necpnet_world_commit(world, ++tick));
    double spent = (double)(cpu_ns() - from) / COUNT;
    now_us += 1000000 / TICK_HZ;
    run(1);
    return spent;
}

/* In turn, the best of each. */
static void measure(const pair* p, double* ours, double* theirs)
{
    *ours = *theirs = 1e30;
    for (int i = 0; i < ROUNDS; i++) {
        *theirs = fmin(*theirs, once(p, p->theirs));
        *ours = fmin(*ours, once(p, p->ours));
    }
}

int main(void)
{
    static const pair pairs[] = {
        {"into the world, all move", update_in_columns, update_one_by_one, 1, false, false},
        {"the same and commit, 1 in 100", update_in_columns, update_one_by_one, 100, true, false},
        {"out of the view", read_in_columns, read_one_by_one, 1, false, true},
        {"what changed, 1 in 100 moves", take_changes, read_one_by_one, 100, false, true},
    };
    enum { PAIRS = sizeof pairs / sizeof pairs[0] };
    double ours[PAIRS], theirs[PAIRS];
    begin();
    move(1);
    update_in_columns();
    run(200);
    necpnet_view_statistics statistics;
    check("statistics", necpnet_view_get_statistics(view, &statistics));
    printf("%d entities, %u in view; nanoseconds an entity, processor time\n\n", COUNT, (unsigned)statistics.entities);
    printf("%-32s %10s %12s %7s\n", "", "in columns", "one by one", "ratio");
    for (int i = 0; i < PAIRS; i++) {
        if (i == PAIRS - 1) run(120);
        if (i == PAIRS - 1) take_changes();
        measure(&pairs[i], &ours[i], &theirs[i]);
        printf("%-32s %10.1f %12.1f %7.2f\n", pairs[i].name, ours[i], theirs[i], theirs[i] / ours[i]);
    }
    printf("\n");
    for (int i = 0; i < PAIRS; i++) {
        printf("{\"bench\":\"columns\",\"case\":\"%s\",\"metric\":\"an entity\",\"unit\":\"ns\",\"ours\":%.1f,"
               "\"peer\":\"one by one\",\"theirs\":%.1f,\"ratio\":%.2f}\n",
               pairs[i].name, ours[i], theirs[i], theirs[i] / ours[i]);
    }
    necpnet_client_destroy(client);
    necpnet_server_destroy(server);
    necpnet_view_destroy(view);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
    necpnet_link_destroy(link_of_all);
    return 0;
}
