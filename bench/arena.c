/* bench/arena - what the arena costs one player's line: 200 wanderers, a tram, and other players who never stand still.
 *
 *     arena [SECONDS]
 *
 * The game of necpnet-server runs on a real server over the simulated link, at the settings that necpnet-server has by default
 * (60 ticks and 20 states a second), in virtual time: 60 s, or SECONDS. Everyone sends an input each tick. What one client
 * receives and sends is counted with all headers: necpnet's, tag, UDP and IP (28 bytes a datagram). Goal: under 10 kB/s.
 *
 * Output: a table for people, then one JSON line a figure; the peer is the goal, ratio above 1 is better than it.
 */
#include "arena_schema.h"
#include "game.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAYERS_MAX 16
#define WANDERERS 200
#define UDP_IP_BYTES 28
#define TICK_US (1000000 / ARENA_TICK_HZ)
#define GOAL_KB_PER_S 10.0

static const char* const url = "udp://server:7777";

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "arena: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static uint64_t entropy_state = 7;

static bool fill(void* to, size_t bytes, void* user)
{
    uint8_t* p = to;
    (void)user;
    for (size_t i = 0; i < bytes; i++) {
        entropy_state = entropy_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(entropy_state >> 56);
    }
    return true;
}

typedef struct player {
    necpnet_client* client;
    necpnet_view* view;
    uint32_t last_input;
} player;

typedef struct run {
    necpnet_link* link;
    necpnet_server* server;
    necpnet_world* world;
    necpnet_schema* schema;
    void* game;
    player players[PLAYERS_MAX];
    int count;
    uint64_t now_us;
    uint32_t tick;
} run;

static void begin(run* r)
{
    necpnet_link_config link;
    necpnet_server_config server;
    const necpnet_transport* transport = NULL;
    game_config game = {
        .seed = 7, .bots = WANDERERS, .players_max = PLAYERS_MAX, .state_hz = 20, .state_bytes_per_s = 32000};
    memset(r, 0, sizeof *r);
    r->now_us = 1000000;
    log_begin(NECPNET_LOG_OFF, true, 2);
    check("link", necpnet_link_config_default(&link));
    link.latency_us = 40000;
    check("link", necpnet_link_create(&link, &r->link));
    check("link", necpnet_link_add_server(r->link, 7777, &transport));
    check("schema", necpnet_schema_create(NULL, NULL, arena_types, ARENA_TYPE_COUNT, &r->schema));
    check("game", arena_game.create(&game, &r->game, &r->world));
    check("server", necpnet_server_config_default(&server));
    server.transport = transport;
    server.security = NECPNET_SECURITY_NONE; /* tags are as long as with encryption */
    server.entropy.fill = fill;
    server.world = r->world;
    server.tick_hz = ARENA_TICK_HZ;
    server.peers_per_address_max = PLAYERS_MAX;
    check("server", necpnet_server_create(&server, &r->server));
    arena_game.start(r->game, r->server);
}

static void join(run* r)
{
    necpnet_client_config client;
    necpnet_view_config view;
    const necpnet_transport* transport = NULL;
    player* p = &r->players[r->count++];
    check("link", necpnet_link_add_client(r->link, &transport));
    check("view", necpnet_view_config_default(&view));
    view.schema = r->schema;
    check("view", necpnet_view_create(&view, &p->view));
    check("view", necpnet_view_set_prediction(p->view, ARENA_PLAYER, arena_player_step, NULL));
    check("client", necpnet_client_config_default(&client));
    client.transport = transport;
    client.security = NECPNET_SECURITY_NONE;
    client.entropy.fill = fill;
    client.view = p->view;
    check("client", necpnet_client_create(&client, &p->client));
    check("client", necpnet_client_connect(p->client, &url, 1));
}

static void serve(run* r)
{
    necpnet_event event;
    necpnet_peer_info info;
    uint32_t tick = (uint32_t)(r->now_us * ARENA_TICK_HZ / 1000000);
    if (tick != r->tick) {
        r->tick = tick;
        arena_game.tick(r->game, tick);
        check("commit", necpnet_world_commit(r->world, tick));
    }
    check("server", necpnet_server_update(r->server, r->now_us));
    while (necpnet_server_poll(r->server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) {
            check("peer", necpnet_server_get_peer(r->server, event.peer, &info));
            check("join", arena_game.join(r->game, event.peer, &info));
        } else if (event.type == NECPNET_EVENT_INPUT) {
            arena_game.input(r->game, event.peer, event.tick, event.data, event.bytes);
        } else if (event.type == NECPNET_EVENT_MESSAGE) {
            arena_game.message(r->game, &event);
        }
    }
}

/* Runs about, aims about, and shoots now and then. */
static void act(run* r, int which)
{
    player* p = &r->players[which];
    necpnet_event event;
    necpnet_view_event change;
    uint32_t tick, input_tick, view_tick, share_ppm;
    check("client", necpnet_client_update(p->client, r->now_us));
    while (necpnet_client_poll(p->client, &event)) continue;
    check("view", necpnet_view_update(p->view, r->now_us));
    while (necpnet_view_poll(p->view, &change)) continue;
    if (necpnet_client_server_tick(p->client, r->now_us, &tick, &input_tick) != NECPNET_OK) return;
    if (input_tick <= p->last_input) return;
    p->last_input = input_tick;
    uint32_t phase = input_tick / 50 + (uint32_t)which * 7;
    arena_input input = {.move_x = (int8_t)((int)(phase * 73 % 255) - 127),
                         .move_y = (int8_t)((int)(phase * 151 % 255) - 127),
                         .buttons = (uint8_t)(phase % 3 == 0),
                         .aim = (uint8_t)(input_tick * 2)};
    uint8_t bytes[ARENA_INPUT_BYTES];
    if (necpnet_view_get_tick(p->view, &view_tick, &share_ppm) == NECPNET_OK) {
        arena_input_see(&input, input_tick, view_tick, share_ppm);
    }
    arena_input_write(&input, bytes);
    (void)necpnet_client_send_input(p->client, input_tick, bytes, sizeof bytes);
    (void)necpnet_view_predict(p->view, input_tick, bytes, sizeof bytes);
}

static void advance(run* r, double seconds)
{
    uint64_t until_us = r->now_us + (uint64_t)(seconds * 1e6);
    while (r->now_us < until_us) {
        r->now_us += TICK_US / 2;
        check("link", necpnet_link_advance(r->link, r->now_us));
        serve(r);
        for (int i = 0; i < r->count; i++) act(r, i);
    }
}

static void end(run* r)
{
    for (int i = 0; i < r->count; i++) {
        necpnet_client_destroy(r->players[i].client);
        necpnet_view_destroy(r->players[i].view);
    }
    arena_game.stop(r->game);
    necpnet_server_destroy(r->server);
    arena_game.destroy(r->game);
    necpnet_schema_destroy(r->schema);
    necpnet_link_destroy(r->link);
}

typedef struct figures {
    double down, up; /* kB/s on the wire */
    double bits;     /* an update */
    double entities; /* in view */
    double updates_per_s;
} figures;

static figures measure(int players, double seconds)
{
    run r;
    necpnet_statistics before, after;
    necpnet_view_statistics seen_before, seen;
    begin(&r);
    for (int i = 0; i < players; i++) join(&r);
    advance(&r, 5); /* all have come, clocks are known */
    check("statistics", necpnet_client_get_statistics(r.players[0].client, &before));
    check("statistics", necpnet_view_get_statistics(r.players[0].view, &seen_before));
    advance(&r, seconds);
    check("statistics", necpnet_client_get_statistics(r.players[0].client, &after));
    check("statistics", necpnet_view_get_statistics(r.players[0].view, &seen));
    figures f;
    uint64_t packets_down = after.packets_received - before.packets_received;
    uint64_t packets_up = after.packets_sent - before.packets_sent;
    f.down =
        ((double)(after.bytes_received - before.bytes_received) + (double)packets_down * UDP_IP_BYTES) / seconds / 1000;
    f.up = ((double)(after.bytes_sent - before.bytes_sent) + (double)packets_up * UDP_IP_BYTES) / seconds / 1000;
    f.updates_per_s = (double)(seen.updates - seen_before.updates) / seconds;
    f.bits = (double)(seen.bytes - seen_before.bytes) * 8 / (double)(seen.updates - seen_before.updates);
    f.entities = seen.entities;
    end(&r);
    return f;
}

static void print_line(int players, const char* metric, double ours, double goal)
{
    printf("{\"bench\":\"arena\",\"case\":\"%d players\",\"metric\":\"%s\",\"unit\":\"kB/s\",\"ours\":%.2f,"
           "\"peer\":\"goal\",\"theirs\":%.1f,\"ratio\":%.2f}\n",
           players, metric, ours, goal, goal / ours);
}

int main(int argc, char** argv)
{
    static const int counts[] = {1, 4, 16};
    figures all[3];
    double seconds = argc > 1 ? atof(argv[1]) : 60;
    if (!(seconds >= 1 && seconds <= 3600)) {
        fprintf(stderr, "usage: arena [SECONDS]   (1 .. 3,600)\n");
        return 2;
    }
    printf("One player's line, %d wanderers, %.0f s, UDP and IP headers counted:\n\n", WANDERERS, seconds);
    printf("players  in view  updates/s  bits an update  down kB/s  up kB/s\n");
    for (int i = 0; i < 3; i++) {
        all[i] = measure(counts[i], seconds);
        printf("%7d  %7.0f  %9.0f  %14.1f  %9.2f  %7.2f\n", counts[i], all[i].entities, all[i].updates_per_s,
               all[i].bits, all[i].down, all[i].up);
    }
    printf("\n");
    for (int i = 0; i < 3; i++) {
        print_line(counts[i], "received by one client", all[i].down, GOAL_KB_PER_S);
        print_line(counts[i], "sent by one client", all[i].up, GOAL_KB_PER_S);
    }
    return 0;
}
