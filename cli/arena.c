/* arena - watch and play: the world of necpnet-server as a terminal sees it. */
#include "cli.h"

#include "../server/arena_schema.h"

#include <stdio.h>
#include <string.h>

#ifndef _WIN32
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>
#endif

typedef struct arena_client {
    const cli_options* options;
    necpnet_schema* schema;
    necpnet_view* view;
    necpnet_client* client;
    uint32_t tick; /* of the last input sent */
    uint64_t tick_at_us;
    uint64_t turn_at_us;
    arena_input input;
    uint32_t random;
    bool by_hand;
} arena_client;

static bool arena_begin(arena_client* arena, const cli_options* options)
{
    necpnet_view_config view;
    necpnet_client_config config;
    memset(arena, 0, sizeof *arena);
    arena->options = options;
    arena->random = (uint32_t)necpnet_time_us() | 1u;
    necpnet_result result = necpnet_schema_create(NULL, NULL, arena_types, ARENA_TYPE_COUNT, &arena->schema);
    necpnet_view_config_default(&view);
    view.schema = arena->schema;
    if (result == NECPNET_OK) result = necpnet_view_create(&view, &arena->view);
    cli_client_config(options, arena->view, &config);
    if (result == NECPNET_OK) result = necpnet_client_create(&config, &arena->client);
    if (result) {
        cli_fail("%s", necpnet_result_text(result));
        return false;
    }
    necpnet_client_update(arena->client, necpnet_time_us());
    return cli_connect(options, arena->client);
}

static void arena_end(arena_client* arena)
{
    necpnet_event event;
    uint64_t until_us = necpnet_time_us() + 1000000;
    if (arena->client) necpnet_client_disconnect(arena->client, 0, "", 200);
    while (arena->client && necpnet_client_get_state(arena->client) != NECPNET_CLIENT_IDLE &&
           necpnet_time_us() < until_us) {
        necpnet_client_update(arena->client, necpnet_time_us());
        while (necpnet_client_poll(arena->client, &event)) continue;
        necpnet_client_wait(arena->client, 10000);
    }
    necpnet_client_destroy(arena->client);
    necpnet_view_destroy(arena->view);
    necpnet_schema_destroy(arena->schema);
}

/* Events of one turn; false when it is over. */
static bool arena_poll(arena_client* arena)
{
    necpnet_event event;
    while (necpnet_client_poll(arena->client, &event)) {
        bool is_chat = event.type == NECPNET_EVENT_MESSAGE && event.name && strcmp(event.name, ARENA_MESSAGE_CHAT) == 0;
        if (is_chat && !arena->options->json) {
            char text[512];
            printf("chat  %s\n", cli_plain((const char*)event.data, event.bytes, false, text, sizeof text));
        }
        if (event.type == NECPNET_EVENT_CONNECTED && !event.resumed) arena->tick = 0;
        if (!cli_answer(arena->options, arena->client, &event)) return false;
    }
    return true;
}

/* The moment that is shown, in ticks of the server; 0 while unknown. */
static double shown_tick(const arena_client* arena)
{
    uint32_t tick = 0, share_ppm = 0;
    if (necpnet_view_get_tick(arena->view, &tick, &share_ppm)) return 0;
    return (double)tick + share_ppm / 1e6;
}

/* For programs: the server's newest word about the own player, which is not shown because it is predicted. */
static void print_own_latest(const arena_client* arena, necpnet_entity entity)
{
    arena_player player;
    uint32_t tick = 0;
    if (necpnet_view_get_latest(arena->view, entity, &player, sizeof player, &tick)) return;
    printf("{\"event\":\"latest\",\"entity\":%u,\"tick\":%u,\"x\":%.4f,\"y\":%.4f}\n", (unsigned)entity, (unsigned)tick,
           (double)player.position[0], (double)player.position[1]);
}

static void print_entity(const arena_client* arena, const char* what, necpnet_entity entity, uint16_t type)
{
    bool json = arena->options->json;
    if (json) printf("{\"tick\":%.3f,", shown_tick(arena));
    const char* mine = necpnet_view_is_owner(arena->view, entity) ? json ? ",\"own\":true" : " (own)" : "";
    if (type == ARENA_PLAYER) {
        arena_player player;
        char name[2 * ARENA_NAME_BYTES + 2];
        if (necpnet_view_get(arena->view, entity, &player, sizeof player)) memset(&player, 0, sizeof player);
        printf(json ? "\"event\":\"%s\",\"entity\":%u,\"type\":\"player\",\"x\":%.4f,\"y\":%.4f,\"name\":\"%s\"%s}\n"
                    : "%-6s player %u at %.3f, %.3f \"%s\"%s\n",
               what, (unsigned)entity, (double)player.position[0], (double)player.position[1],
               cli_plain(player.name, sizeof player.name, json, name, sizeof name), mine);
    } else {
        union {
            arena_wanderer wanderer;
            arena_vehicle vehicle;
        } state;
        if (necpnet_view_get(arena->view, entity, &state, sizeof state)) memset(&state, 0, sizeof state);
        const float* at = type == ARENA_VEHICLE ? state.vehicle.position : state.wanderer.position;
        const char* name = type == ARENA_VEHICLE ? "vehicle" : "wanderer";
        if (json) {
            printf("\"event\":\"%s\",\"entity\":%u,\"type\":\"%s\",\"x\":%.4f,\"y\":%.4f%s}\n", what, (unsigned)entity,
                   name, (double)at[0], (double)at[1], mine);
        } else {
            printf("%-6s %s %u at %.3f, %.3f%s\n", what, name, (unsigned)entity, (double)at[0], (double)at[1], mine);
        }
    }
}

int cli_watch_command(const cli_options* options)
{
    arena_client arena;
    bool on = arena_begin(&arena, options);
    bool was_connected = false;
    uint64_t end_us = options->seconds ? necpnet_time_us() + (uint64_t)options->seconds * 1000000 : UINT64_MAX;
    uint64_t print_us = 0;
    while (on && !cli_interrupted && necpnet_time_us() < end_us) {
        necpnet_view_event event;
        uint64_t now_us = necpnet_time_us();
        necpnet_client_update(arena.client, now_us);
        necpnet_view_update(arena.view, now_us);
        on = arena_poll(&arena);
        if (necpnet_client_get_state(arena.client) == NECPNET_CLIENT_CONNECTED) was_connected = true;
        while (necpnet_view_poll(arena.view, &event)) {
            print_entity(&arena, event.type == NECPNET_VIEW_ENTERED ? "enter" : "leave", event.entity, event.type_id);
        }
        if (now_us >= print_us) { /* a line a second and player; for programs as often as states come */
            print_us = now_us + (options->json ? 50000 : 1000000);
            necpnet_entity entity = NECPNET_ENTITY_NONE;
            while ((entity = necpnet_view_next(arena.view, entity)) != NECPNET_ENTITY_NONE) {
                uint16_t type = necpnet_view_get_type(arena.view, entity);
                if (type == ARENA_PLAYER) print_entity(&arena, "at", entity, type);
            }
        }
        fflush(stdout);
        necpnet_client_wait(arena.client, 16000);
    }
    arena_end(&arena);
    return was_connected ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

/* -- play -- */

#ifndef _WIN32
static struct termios terminal_before;
#endif

static bool terminal_begin(void)
{
#ifndef _WIN32
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before)) return false;
    struct termios raw = terminal_before;
    raw.c_lflag &= (tcflag_t) ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
#else
    return false;
#endif
}

static void terminal_end(void)
{
#ifndef _WIN32
    tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
#endif
}

static bool terminal_steer(arena_input* input)
{
#ifndef _WIN32
    char keys[32];
    ssize_t got = read(STDIN_FILENO, keys, sizeof keys);
    for (ssize_t i = 0; i < got; i++) {
        char key = keys[i];
        if (key == 27 && i + 2 < got && keys[i + 1] == '[') {
            key = "wsda"[(keys[i + 2] - 'A') & 3];
            i += 2;
        }
        if (key == 'q') return false;
        if (key == ' ') input->move_x = input->move_y = 0;
        if (key == 'w' || key == 's') input->move_y = key == 'w' ? -127 : 127, input->move_x = 0;
        if (key == 'a' || key == 'd') input->move_x = key == 'a' ? -127 : 127, input->move_y = 0;
        if (key == 'r') input->buttons ^= ARENA_BUTTON_RUN;
        if (key == 'f') input->buttons ^= ARENA_BUTTON_FIRE;
        if (key == 'e') input->buttons ^= ARENA_BUTTON_RIDE;
    }
#else
    (void)input;
#endif
    return true;
}

/* Walk somewhere else now and then. */
static void wander(arena_client* arena, uint64_t now_us)
{
    if (now_us < arena->turn_at_us) return;
    arena->random = arena->random * 1664525u + 1013904223u;
    static const int8_t ways[8][2] = {{127, 0},  {90, 90},   {0, 127},  {-90, 90},
                                      {-127, 0}, {-90, -90}, {0, -127}, {90, -90}};
    unsigned way = arena->random >> 29;
    arena->input.move_x = ways[way][0];
    arena->input.move_y = ways[way][1];
    arena->input.aim = (uint8_t)(way * 32);
    arena->turn_at_us = now_us + 400000 + (arena->random >> 8 & 0xfffff);
}

/* An input for each tick that has come, sent and predicted. */
static void send_inputs(arena_client* arena, uint64_t now_us)
{
    uint32_t tick = 0, input_tick = 0;
    if (necpnet_client_server_tick(arena->client, now_us, &tick, &input_tick)) return;
    if (arena->tick == 0 || input_tick > arena->tick + ARENA_TICK_HZ) arena->tick = input_tick - 1;
    while (arena->tick < input_tick) {
        uint8_t bytes[ARENA_INPUT_BYTES];
        uint32_t view_tick = 0, share_ppm = 0;
        if (necpnet_view_get_tick(arena->view, &view_tick, &share_ppm) == NECPNET_OK) {
            arena_input_see(&arena->input, arena->tick + 1, view_tick, share_ppm);
        }
        arena_input_write(&arena->input, bytes);
        if (necpnet_client_send_input(arena->client, arena->tick + 1, bytes, sizeof bytes)) return;
        necpnet_view_predict(arena->view, ++arena->tick, bytes, sizeof bytes);
    }
}

static void draw(const arena_client* arena)
{
    static char rows[ARENA_HEIGHT][ARENA_WIDTH * 2 + 1];
    for (int y = 0; y < ARENA_HEIGHT; y++) {
        memset(rows[y], ' ', ARENA_WIDTH * 2);
        rows[y][ARENA_WIDTH * 2] = '\0';
    }
    for (int i = 0; i < ARENA_WALL_COUNT; i++) {
        const arena_wall* wall = &arena_walls[i];
        for (int y = wall->top; y < wall->bottom; y++)
            memset(rows[y] + wall->left * 2, '#', (size_t)(wall->right - wall->left) * 2);
    }
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    while ((entity = necpnet_view_next(arena->view, entity)) != NECPNET_ENTITY_NONE) {
        union {
            arena_player player;
            arena_wanderer wanderer;
            arena_vehicle vehicle;
        } state;
        uint16_t type = necpnet_view_get_type(arena->view, entity);
        bool is_player = type == ARENA_PLAYER;
        if (necpnet_view_get(arena->view, entity, &state, sizeof state)) continue;
        const float* at = is_player               ? state.player.position
                          : type == ARENA_VEHICLE ? state.vehicle.position
                                                  : state.wanderer.position;
        int x = (int)(at[0] * 2), y = (int)at[1];
        if (x < 0 || y < 0 || x >= ARENA_WIDTH * 2 || y >= ARENA_HEIGHT) continue;
        rows[y][x] = is_player               ? necpnet_view_is_owner(arena->view, entity) ? '@'
                                               : (unsigned char)state.player.name[0] > 32 ? state.player.name[0]
                                                                                          : 'P'
                     : type == ARENA_VEHICLE ? 'V'
                                             : '.';
    }
    necpnet_statistics s;
    necpnet_view_statistics v;
    necpnet_client_get_statistics(arena->client, &s);
    necpnet_view_get_statistics(arena->view, &v);
    printf("\033[H");
    for (int y = 0; y < ARENA_HEIGHT; y++) printf("%s\033[K\n", rows[y]);
    printf("rtt %.1f ms  down %u B/s  up %u B/s  delay %.0f ms  corrections %llu   wasd steer, r runs, f fires, e "
           "rides, q ends\033[K\n",
           s.rtt_us / 1000.0, (unsigned)s.receive_bytes_per_s, (unsigned)s.send_bytes_per_s, v.delay_us / 1000.0,
           (unsigned long long)v.corrections);
    fflush(stdout);
}

int cli_play_command(const cli_options* options)
{
    arena_client arena;
    bool on = arena_begin(&arena, options);
    bool was_connected = false;
    uint64_t end_us = options->seconds ? necpnet_time_us() + (uint64_t)options->seconds * 1000000 : UINT64_MAX;
    uint64_t draw_us = 0;
    if (on) arena.by_hand = terminal_begin();
    if (on) necpnet_view_set_prediction(arena.view, ARENA_PLAYER, arena_player_step, NULL);
    if (arena.by_hand) printf("\033[2J");
    while (on && !cli_interrupted && necpnet_time_us() < end_us) {
        uint64_t now_us = necpnet_time_us();
        necpnet_view_event event;
        necpnet_client_update(arena.client, now_us);
        necpnet_view_update(arena.view, now_us);
        on = arena_poll(&arena);
        while (necpnet_view_poll(arena.view, &event)) continue;
        if (necpnet_client_get_state(arena.client) == NECPNET_CLIENT_CONNECTED) was_connected = true;
        if (arena.by_hand) {
            on = on && terminal_steer(&arena.input);
        } else {
            wander(&arena, now_us);
        }
        send_inputs(&arena, now_us);
        if (now_us >= draw_us) {
            draw_us = now_us + (arena.by_hand ? 33000 : options->json ? 50000 : 1000000);
            necpnet_entity entity = NECPNET_ENTITY_NONE;
            if (arena.by_hand) draw(&arena);
            while (!arena.by_hand && (entity = necpnet_view_next(arena.view, entity)) != NECPNET_ENTITY_NONE) {
                bool own = necpnet_view_is_owner(arena.view, entity);
                bool is_player = necpnet_view_get_type(arena.view, entity) == ARENA_PLAYER;
                if (own || (is_player && options->json)) print_entity(&arena, "at", entity, ARENA_PLAYER);
                if (own && options->json) print_own_latest(&arena, entity);
            }
            fflush(stdout);
        }
        necpnet_client_wait(arena.client, 8000);
    }
    if (arena.by_hand) terminal_end();
    arena_end(&arena);
    return was_connected ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
