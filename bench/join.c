/* bench/join - how long a player waits on loopback: from connect to the first state of the world, beside ENet's time from
 * connect to the first message that its server sends on connecting.
 *
 * Both ends are served in turn on one core without sleeping; the world holds 100 entities and commits at 60 Hz, tokens are
 * checked, keys agreed upon. ENet does neither. Goal: under 10 ms (the 99th percentile of 60 joins).
 *
 *     join
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if BENCH_WITH_ENET
#include <enet/enet.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#define JOINS 60
#define ENTITIES 100
#define PATIENCE_US 5000000u

typedef struct thing {
    float position[2];
    uint16_t health;
} thing;

static const necpnet_field thing_fields[] = {
    NECPNET_VEC2(thing, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(thing, health, 2, 0, 1000, 0),
};
static const necpnet_entity_type types[] = {{"thing", 1, sizeof(thing), thing_fields, 2}};
static const necpnet_token_key key = {1, {1, 2, 3, 4}};

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "join: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

/* ---- ours ---- */

static struct {
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_server* server;
    necpnet_entity first;
    uint32_t tick;
    int udp_port, tcp_port;
} ours;

static void ours_begin(void)
{
    necpnet_world_config world;
    necpnet_server_config server;
    necpnet_entity other;
    check("schema", necpnet_schema_create(NULL, NULL, types, 1, &ours.schema));
    check("world config", necpnet_world_config_default(&world));
    world.schema = ours.schema;
    check("world", necpnet_world_create(&world, &ours.world));
    check("spawn", necpnet_world_spawn(ours.world, 1, NULL, &ours.first));
    for (int i = 1; i < ENTITIES; i++) check("spawn", necpnet_world_spawn(ours.world, 1, NULL, &other));
    check("config", necpnet_server_config_default(&server));
    server.bind_address = "127.0.0.1";
    server.udp_port = 0;
    server.tcp_port = 0;
    server.token_keys = &key;
    server.token_key_count = 1;
    server.world = ours.world;
    check("server", necpnet_server_create(&server, &ours.server));
    check("ports", necpnet_server_get_ports(ours.server, &ours.udp_port, &ours.tcp_port));
    check("wall", necpnet_server_set_wall_time(ours.server, necpnet_wall_time_us() - 1000000, necpnet_time_us()));
}

static void ours_serve(void)
{
    necpnet_event event;
    uint32_t tick = (uint32_t)(necpnet_time_us() * 60 / 1000000);
    if (tick != ours.tick) check("commit", necpnet_world_commit(ours.world, tick));
    ours.tick = tick;
    check("update", necpnet_server_update(ours.server, necpnet_time_us()));
    while (necpnet_server_poll(ours.server, &event)) continue;
}

static double ours_join(bool web)
{
    necpnet_view_config view_config;
    necpnet_client_config config;
    necpnet_token_config token;
    necpnet_view* view = NULL;
    necpnet_client* client = NULL;
    necpnet_event event;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    char url[64];
    const char* urls[1] = {url};
    thing seen;
    snprintf(url, sizeof url, web ? "ws://127.0.0.1:%d/ws" : "udp://127.0.0.1:%d", web ? ours.tcp_port : ours.udp_port);
    check("token config", necpnet_token_config_default(&token));
    token.issued_us = necpnet_wall_time_us();
    token.server_id = 1;
    token.client_id = 1;
    token.urls = urls;
    token.url_count = 1;
    check("token", necpnet_token_create(&token, &key, text, sizeof text));
    check("view config", necpnet_view_config_default(&view_config));
    view_config.schema = ours.schema;
    check("view", necpnet_view_create(&view_config, &view));
    check("client config", necpnet_client_config_default(&config));
    config.view = view;
    check("client", necpnet_client_create(&config, &client));
    for (int i = 0; i < 10; i++) ours_serve(); /* the former one leaves */
    uint64_t began_us = necpnet_time_us();
    check("client update", necpnet_client_update(client, began_us));
    check("set token", necpnet_client_set_token(client, text, necpnet_wall_time_us()));
    check("connect", necpnet_client_connect(client, NULL, 0));
    while (necpnet_view_get_latest(view, ours.first, &seen, sizeof seen, NULL) != NECPNET_OK) {
        if (necpnet_time_us() > began_us + PATIENCE_US) check("no state within 5 s", NECPNET_ERR_TIMEOUT);
        check("client update", necpnet_client_update(client, necpnet_time_us()));
        while (necpnet_client_poll(client, &event)) {
            if (event.type == NECPNET_EVENT_CONNECT_FAILED) check("connect", event.reason);
        }
        ours_serve();
    }
    double took_us = (double)(necpnet_time_us() - began_us);
    necpnet_client_destroy(client);
    necpnet_view_destroy(view);
    return took_us;
}

static double ours_join_udp(void)
{
    return ours_join(false);
}

static double ours_join_web(void)
{
    return ours_join(true);
}

static void ours_end(void)
{
    necpnet_server_destroy(ours.server);
    necpnet_world_destroy(ours.world);
    necpnet_schema_destroy(ours.schema);
}

/* ---- ENet ---- */

#if BENCH_WITH_ENET
static double theirs_join(void)
{
    ENetAddress address;
    ENetEvent event;
    memset(&address, 0, sizeof address);
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = ENET_PORT_ANY;
    ENetHost* server = enet_host_create(&address, 8, 2, 0, 0);
    ENetHost* client = enet_host_create(NULL, 1, 2, 0, 0);
    if (!server || !client || enet_socket_get_address(server->socket, &address)) exit(1);
    enet_address_set_host_ip(&address, "127.0.0.1");
    uint64_t began_us = necpnet_time_us();
    enet_host_connect(client, &address, 2, 0);
    for (bool first = false; !first;) {
        if (necpnet_time_us() > began_us + PATIENCE_US) check("ENet: nothing within 5 s", NECPNET_ERR_TIMEOUT);
        while (enet_host_service(client, &event, 0) > 0) {
            if (event.type != ENET_EVENT_TYPE_RECEIVE) continue;
            enet_packet_destroy(event.packet);
            first = true;
        }
        while (enet_host_service(server, &event, 0) > 0) {
            static const uint8_t state[1000];
            if (event.type != ENET_EVENT_TYPE_CONNECT) continue;
            enet_peer_send(event.peer, 0, enet_packet_create(state, sizeof state, ENET_PACKET_FLAG_RELIABLE));
            enet_host_flush(server);
        }
    }
    double took_us = (double)(necpnet_time_us() - began_us);
    enet_host_destroy(client);
    enet_host_destroy(server);
    return took_us;
}
#endif

/* ---- measuring ---- */

static int order(const void* a, const void* b)
{
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static void measure(double (*join)(void), double* out_p50, double* out_p99)
{
    double took[JOINS];
    (void)join(); /* warm-up */
    for (int i = 0; i < JOINS; i++) took[i] = join();
    qsort(took, JOINS, sizeof took[0], order);
    *out_p50 = took[JOINS / 2] / 1000;
    *out_p99 = took[JOINS - 1 - JOINS / 100] / 1000;
}

int main(void)
{
    double figures[3][2] = {{0, 0}, {0, 0}, {0, 0}};
    static const char* const names[2] = {"udp", "websocket"};
    static const char* const metrics[2] = {"p50", "p99"};
#if defined(__linux__)
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)sched_getcpu(), &cpus);
    (void)sched_setaffinity(0, sizeof cpus, &cpus);
#endif
    ours_begin();
    measure(ours_join_udp, &figures[0][0], &figures[0][1]);
    measure(ours_join_web, &figures[1][0], &figures[1][1]);
    ours_end();
#if BENCH_WITH_ENET
    if (enet_initialize()) return 1;
    measure(theirs_join, &figures[2][0], &figures[2][1]);
#endif
    printf("%s: connect to first state, ms (goal: under 10)\n%-10s %8s %8s\n", necpnet_version(), "", "p50", "p99");
    for (int i = 0; i < 2; i++) printf("%-10s %8.2f %8.2f\n", names[i], figures[i][0], figures[i][1]);
    if (BENCH_WITH_ENET) printf("%-10s %8.2f %8.2f  unencrypted, no state\n", "enet", figures[2][0], figures[2][1]);
    for (int i = 0; i < 4; i++) {
        double mine = figures[i / 2][i % 2], other = figures[2][i % 2];
        printf("{\"bench\":\"join\",\"case\":\"%s\",\"metric\":\"connect to first state "
               "%s\",\"unit\":\"ms\",\"ours\":%.3f,"
               "\"peer\":\"%s\",\"theirs\":%.3f,\"ratio\":%.3f}\n",
               names[i / 2], metrics[i % 2], mine, BENCH_WITH_ENET ? "enet, plaintext" : "", other,
               mine > 0 && other > 0 ? other / mine : 0);
    }
    return 0;
}
