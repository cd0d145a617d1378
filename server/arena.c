/* arena - a small authoritative world: players walk by their numbered inputs, wanderers walk about by themselves and take the
 * colour of whoever touches them last. The one with the most wanderers leads.
 *
 * The world of the library holds the states; a body here holds what only the server knows. All movement is integer arithmetic
 * in steps (arena_schema.h). A tick costs work for the bodies alone, by a grid of one unit a cell.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena_schema.h"
#include "game.h"
#include "log.h"
#include "text.h"

#define ARENA_INPUTS_MAX 32u   /* inputs that wait for their tick; with more the oldest are applied at once */
#define ARENA_INPUTS_A_TICK 3u /* of one player: how fast it catches up after a pause */
#define ARENA_INPUT_BUDGET_MAX \
    30u /* inputs a player may be behind; each tick allows one more: nobody is faster than time */
#define ARENA_CHAT_BUDGET_MAX 5u /* lines of chat at once; each second allows one more */
#define ARENA_WANDERER_STEPS 51  /* a tick: 3 units a second */
#define ARENA_CELLS (ARENA_WIDTH * ARENA_HEIGHT)
#define ARENA_NOBODY UINT32_MAX

typedef struct arena_wish {
    uint32_t tick;
    uint8_t bytes[ARENA_INPUT_BYTES];
} arena_wish;

/* A player on the server. Unused ones have peer NECPNET_PEER_NONE. */
typedef struct arena_body {
    necpnet_peer peer;
    necpnet_entity entity;
    arena_player* state;                 /* in the world; valid until the despawn */
    int32_t x, y;                        /* as in the state, in steps */
    uint32_t next;                       /* in its cell */
    arena_wish wishes[ARENA_INPUTS_MAX]; /* a ring */
    uint32_t wish_first;
    uint32_t wish_count;
    uint32_t input_budget;
    uint32_t chat_budget;
    bool moved;
} arena_body;

typedef struct arena_bot {
    necpnet_entity entity;
    arena_wanderer* state;
    int32_t x, y;
    uint32_t heading; /* in 16ths of a turn */
    uint32_t ticks;   /* until it turns */
} arena_bot;

typedef struct arena {
    necpnet_server* server;
    necpnet_schema* schema;
    necpnet_world* world;
    arena_body* bodies;
    uint32_t body_count; /* highest used + 1 */
    uint32_t bodies_max;
    uint32_t players;
    arena_bot* bots;
    uint32_t bot_count;
    uint32_t cells[ARENA_CELLS]; /* the first body in each */
    uint64_t random;
    uint64_t joined;
    uint64_t inputs;
    uint64_t inputs_refused;
    uint64_t messages_refused;
} arena;

/* The 16 headings of a wanderer: 51 steps in each direction, rounded. */
static const int8_t arena_headings[16][2] = {
    {51, 0},  {47, 20},   {36, 36},   {20, 47},   {0, 51},  {-20, 47}, {-36, 36}, {-47, 20},
    {-51, 0}, {-47, -20}, {-36, -36}, {-20, -47}, {0, -51}, {20, -47}, {36, -36}, {47, -20},
};

static const uint32_t arena_colours[16] = {
    0xff5c5c, 0x4cc9f0, 0xffd166, 0x06d6a0, 0xb388ff, 0xff8fab, 0x80ed99, 0xf4a261,
    0x5aa9e6, 0xe0aaff, 0xc0ca33, 0xff7043, 0x26c6da, 0xf06292, 0x9ccc65, 0xffa726,
};

/* xorshift64* (Vigna 2016); the game's own, seeded by its config. */
static uint32_t arena_random(arena* game, uint32_t below)
{
    game->random ^= game->random >> 12;
    game->random ^= game->random << 25;
    game->random ^= game->random >> 27;
    return (uint32_t)((game->random * UINT64_C(2685821657736338717)) >> 32) % below;
}

static void arena_find_place(arena* game, int32_t radius, int32_t* x, int32_t* y)
{
    for (int tries = 0; tries < 1000; tries++) {
        *x = radius + (int32_t)arena_random(game, (uint32_t)(ARENA_WIDTH * ARENA_UNIT - 2 * radius));
        *y = radius + (int32_t)arena_random(game, (uint32_t)(ARENA_HEIGHT * ARENA_UNIT - 2 * radius));
        bool free_place = true;
        for (int i = 0; i < ARENA_WALL_COUNT; i++)
            free_place = free_place && !arena_hits(&arena_walls[i], *x, *y, radius);
        if (free_place) return;
    }
    *x = ARENA_WIDTH * ARENA_UNIT / 2; /* the middle is free */
    *y = 2 * ARENA_UNIT;
}

static arena_body* arena_find(arena* game, necpnet_peer peer)
{
    if (!game->server || peer == NECPNET_PEER_NONE) return NULL;
    arena_body* body = necpnet_server_get_peer_user_data(game->server, peer);
    return body && body->peer == peer ? body : NULL;
}

/* ------------------------------------------------------------------------------------------------------- life -- */

static void arena_destroy(void* at)
{
    arena* game = at;
    if (!game) return;
    necpnet_world_destroy(game->world);
    necpnet_schema_destroy(game->schema);
    free(game->bodies);
    free(game->bots);
    free(game);
}

static necpnet_result arena_spawn_bot(arena* game, arena_bot* bot)
{
    arena_wanderer state = {.colour = ARENA_COLOUR_FREE, .holder = NECPNET_ENTITY_NONE};
    arena_find_place(game, ARENA_WANDERER_RADIUS, &bot->x, &bot->y);
    bot->heading = arena_random(game, 16);
    bot->ticks = 30 + arena_random(game, 180);
    state.position[0] = arena_units(bot->x);
    state.position[1] = arena_units(bot->y);
    necpnet_result result = necpnet_world_spawn(game->world, ARENA_WANDERER, &state, &bot->entity);
    if (result == NECPNET_OK) bot->state = necpnet_world_get(game->world, bot->entity);
    return result;
}

static necpnet_result arena_fill(arena* game, const game_config* config)
{
    necpnet_world_config world;
    necpnet_result result = necpnet_schema_create(NULL, &config->logger, arena_types, ARENA_TYPE_COUNT, &game->schema);
    if (result != NECPNET_OK) return result;
    result = necpnet_world_config_default(&world);
    if (result != NECPNET_OK) return result;
    uint32_t entities_max = config->players_max + config->bots;
    world.logger = config->logger;
    world.schema = game->schema;
    world.entities_max = entities_max < 64 ? 64 : entities_max > 65535 ? 65535 : entities_max;
    world.send_hz = config->state_hz;
    world.client_bytes_per_s = config->state_bytes_per_s;
    result = necpnet_world_create(&world, &game->world);
    for (uint32_t i = 0; result == NECPNET_OK && i < config->bots; i++) {
        result = arena_spawn_bot(game, &game->bots[i]);
        if (result == NECPNET_OK) game->bot_count++;
    }
    return result;
}

static necpnet_result arena_create(const game_config* config, void** out_game, necpnet_world** out_world)
{
    arena* game = calloc(1, sizeof(*game));
    if (!game) return NECPNET_ERR_OUT_OF_MEMORY;
    game->bodies_max = config->players_max < 65000 ? config->players_max : 65000;
    game->random = config->seed | 1;
    game->bodies = calloc(game->bodies_max, sizeof(*game->bodies));
    game->bots = calloc(config->bots + 1, sizeof(*game->bots));
    necpnet_result result = game->bodies && game->bots ? arena_fill(game, config) : NECPNET_ERR_OUT_OF_MEMORY;
    if (result != NECPNET_OK) {
        arena_destroy(game);
        return result;
    }
    *out_game = game;
    *out_world = game->world;
    return NECPNET_OK;
}

static void arena_start(void* at, necpnet_server* server)
{
    ((arena*)at)->server = server;
}

static void arena_stop(void* at)
{
    ((arena*)at)->server = NULL;
}

/* ---------------------------------------------------------------------------------------------------- players -- */

/* The name in a token, or one made up. */
static void arena_set_name(arena* game, arena_player* state, const uint8_t* wanted, size_t bytes_max)
{
    size_t bytes = 0;
    while (bytes < bytes_max && bytes < ARENA_NAME_BYTES - 1 && wanted[bytes]) bytes++;
    while (bytes > 0 && bytes < bytes_max && (wanted[bytes] & 0xc0) == 0x80) bytes--; /* not within a character */
    memset(state->name, 0, sizeof(state->name));
    if (bytes > 0 && text_is_printable(wanted, bytes)) {
        memcpy(state->name, wanted, bytes);
    } else {
        snprintf(state->name, sizeof(state->name), "guest-%" PRIu64, game->joined % 10000);
    }
}

static arena_body* arena_take_body(arena* game)
{
    for (uint32_t i = 0; i < game->body_count; i++) {
        if (game->bodies[i].peer == NECPNET_PEER_NONE) return &game->bodies[i];
    }
    return game->body_count < game->bodies_max ? &game->bodies[game->body_count++] : NULL;
}

static necpnet_result arena_join(void* at, necpnet_peer peer, const necpnet_peer_info* info)
{
    arena* game = at;
    arena_player state;
    arena_body* body = arena_take_body(game);
    if (!body) return NECPNET_ERR_SERVER_FULL;
    memset(&state, 0, sizeof(state));
    *body = (arena_body){.input_budget = ARENA_INPUT_BUDGET_MAX, .chat_budget = ARENA_CHAT_BUDGET_MAX};
    game->joined++;
    arena_find_place(game, ARENA_PLAYER_RADIUS, &body->x, &body->y);
    arena_set_name(game, &state, info->identity.user_data, sizeof(info->identity.user_data));
    state.position[0] = arena_units(body->x);
    state.position[1] = arena_units(body->y);
    state.colour = arena_colours[game->joined % 16];
    state.platform = info->transport == NECPNET_TRANSPORT_UDP ? ARENA_PLATFORM_NATIVE : ARENA_PLATFORM_BROWSER;
    necpnet_result result = necpnet_world_spawn(game->world, ARENA_PLAYER, &state, &body->entity);
    if (result != NECPNET_OK) return result;
    body->peer = peer;
    body->state = necpnet_world_get(game->world, body->entity);
    (void)necpnet_world_set_owner(game->world, body->entity, peer);
    (void)necpnet_server_set_peer_user_data(game->server, peer, body);
    game->players++;
    LOG(NECPNET_LOG_INFO, "player_joined", "a player joined", LOG_TEXT("name", body->state->name),
        LOG_NUMBER("players", game->players), LOG_END);
    return NECPNET_OK;
}

static void arena_rejoin(void* at, necpnet_peer peer, const necpnet_peer_info* info)
{
    arena* game = at;
    arena_body* body = arena_find(game, peer);
    if (!body) return;
    body->state->platform = info->transport == NECPNET_TRANSPORT_UDP ? ARENA_PLATFORM_NATIVE : ARENA_PLATFORM_BROWSER;
    body->input_budget = ARENA_INPUT_BUDGET_MAX;
    (void)necpnet_world_mark(game->world, body->entity);
}

static void arena_away(void* at, necpnet_peer peer)
{
    (void)at; /* the body stands still: nobody moves it */
    (void)peer;
}

static void arena_release_bots(arena* game, necpnet_entity holder)
{
    for (uint32_t i = 0; i < game->bot_count; i++) {
        if (game->bots[i].state->holder != holder) continue;
        game->bots[i].state->holder = NECPNET_ENTITY_NONE;
        game->bots[i].state->colour = ARENA_COLOUR_FREE;
        (void)necpnet_world_mark(game->world, game->bots[i].entity);
    }
}

static void arena_leave(void* at, necpnet_peer peer)
{
    arena* game = at;
    for (uint32_t i = 0; i < game->body_count; i++) { /* the peer is gone, and its user data with it */
        arena_body* body = &game->bodies[i];
        if (body->peer != peer) continue;
        LOG(NECPNET_LOG_INFO, "player_left", "a player left", LOG_TEXT("name", body->state->name),
            LOG_NUMBER("players", game->players - 1), LOG_END);
        arena_release_bots(game, body->entity);
        (void)necpnet_world_despawn(game->world, body->entity);
        *body = (arena_body){.peer = NECPNET_PEER_NONE};
        game->players--;
        break;
    }
    while (game->body_count > 0 && game->bodies[game->body_count - 1].peer == NECPNET_PEER_NONE) game->body_count--;
}

/* Applies the oldest input that waits. */
static void arena_apply(arena* game, arena_body* body)
{
    const arena_wish* wish = &body->wishes[body->wish_first % ARENA_INPUTS_MAX];
    body->wish_first++;
    body->wish_count--;
    if (body->input_budget > 0) {
        body->input_budget--;
        game->inputs++;
        arena_player_step(body->state, wish->bytes, ARENA_INPUT_BYTES, NULL);
        body->x = arena_steps(body->state->position[0]);
        body->y = arena_steps(body->state->position[1]);
        body->moved = true;
    } else {
        game->inputs_refused++;
    }
    (void)necpnet_world_set_input(game->world, body->peer, wish->tick); /* refused ones are over, too */
}

/* An input waits for its tick, so that a player moves evenly however its packets arrive. One that is late, or whose tick is
 * out of all reason, is applied in the next tick. */
static void arena_input_of(void* at, necpnet_peer peer, uint32_t tick, const void* data, size_t bytes)
{
    arena* game = at;
    arena_body* body = arena_find(game, peer);
    arena_input input;
    if (!body) return;
    if (!arena_input_read(&input, data, bytes)) {
        game->inputs_refused++;
        return;
    }
    if (body->wish_count == ARENA_INPUTS_MAX) arena_apply(game, body);
    arena_wish* wish = &body->wishes[(body->wish_first + body->wish_count++) % ARENA_INPUTS_MAX];
    wish->tick = tick;
    memcpy(wish->bytes, data, ARENA_INPUT_BYTES);
}

static void arena_apply_due(arena* game, arena_body* body, uint32_t tick)
{
    for (uint32_t i = 0; i < ARENA_INPUTS_A_TICK && body->wish_count > 0; i++) {
        uint32_t ahead = body->wishes[body->wish_first % ARENA_INPUTS_MAX].tick - tick;
        bool waits = ahead > 0 && ahead <= ARENA_INPUTS_MAX;
        if (waits) return;
        arena_apply(game, body);
    }
}

/* --------------------------------------------------------------------------------------------------- messages -- */

static void arena_chat(arena* game, arena_body* body, const necpnet_event* event)
{
    char line[ARENA_NAME_BYTES + ARENA_CHAT_BYTES_MAX + 4];
    necpnet_send_options options = {.name = ARENA_MESSAGE_CHAT};
    if (event->bytes == 0 || event->bytes > ARENA_CHAT_BYTES_MAX || body->chat_budget == 0 ||
        !text_is_printable(event->data, event->bytes)) {
        game->messages_refused++;
        return;
    }
    body->chat_budget--;
    int bytes =
        snprintf(line, sizeof(line), "%s: %.*s", body->state->name, (int)event->bytes, (const char*)event->data);
    (void)necpnet_server_broadcast(game->server, NECPNET_PEER_NONE, NECPNET_CHANNEL_RELIABLE, line, (size_t)bytes,
                                   &options, NULL);
}

static void arena_profile(arena* game, arena_body* body, const necpnet_event* event)
{
    const uint8_t* bytes = event->data;
    if (event->bytes < 3 || event->bytes > 3 + ARENA_NAME_BYTES - 1 || body->chat_budget == 0 ||
        !text_is_printable(bytes + 3, event->bytes - 3)) {
        game->messages_refused++;
        return;
    }
    body->chat_budget--;
    body->state->colour = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
    if (event->bytes > 3) arena_set_name(game, body->state, bytes + 3, event->bytes - 3);
    (void)necpnet_world_mark(game->world, body->entity);
}

static void arena_message(void* at, const necpnet_event* event)
{
    arena* game = at;
    arena_body* body = arena_find(game, event->peer);
    if (!body || !event->name) {
        game->messages_refused++;
    } else if (strcmp(event->name, ARENA_MESSAGE_ECHO) == 0) {
        necpnet_send_options options = {.name = ARENA_MESSAGE_ECHO};
        necpnet_result result =
            necpnet_server_send_with(game->server, event->peer, event->channel, event->data, event->bytes, &options);
        if (result != NECPNET_OK) game->messages_refused++;
    } else if (strcmp(event->name, ARENA_MESSAGE_CHAT) == 0) {
        arena_chat(game, body, event);
    } else if (strcmp(event->name, ARENA_MESSAGE_PROFILE) == 0) {
        arena_profile(game, body, event);
    } else {
        game->messages_refused++;
    }
}

/* ------------------------------------------------------------------------------------------------------- tick -- */

static uint32_t arena_cell(int32_t x, int32_t y)
{
    int32_t column = arena_clamp(x / ARENA_UNIT, 0, ARENA_WIDTH - 1);
    int32_t row = arena_clamp(y / ARENA_UNIT, 0, ARENA_HEIGHT - 1);
    return (uint32_t)(row * ARENA_WIDTH + column);
}

static void arena_sort_bodies(arena* game)
{
    for (uint32_t i = 0; i < ARENA_CELLS; i++) game->cells[i] = ARENA_NOBODY;
    for (uint32_t i = 0; i < game->body_count; i++) {
        arena_body* body = &game->bodies[i];
        if (body->peer == NECPNET_PEER_NONE) continue;
        uint32_t cell = arena_cell(body->x, body->y);
        body->next = game->cells[cell];
        game->cells[cell] = i;
    }
}

/* How far (dx, dy) is; the middle of two bodies at one place counts as one step apart. */
static int32_t arena_distance(int32_t dx, int32_t dy)
{
    int32_t root = arena_root(dx * dx + dy * dy);
    return root > 0 ? root : 1;
}

static void arena_push(arena_body* body, int32_t dx, int32_t dy)
{
    arena_move(&body->x, &body->y, dx, dy, ARENA_PLAYER_RADIUS);
    body->moved = true;
}

/* Each gives way by half of the overlap. */
static void arena_part(arena_body* a, arena_body* b)
{
    const int32_t apart = 2 * ARENA_PLAYER_RADIUS;
    int32_t dx = b->x - a->x;
    int32_t dy = b->y - a->y;
    if (dx <= -apart || dx >= apart || dy <= -apart || dy >= apart) return;
    int32_t distance = arena_distance(dx, dy);
    if (distance >= apart) return;
    if (dx == 0 && dy == 0) dx = 1;
    int32_t give = (apart - distance + 1) / 2;
    arena_push(a, -dx * give / distance, -dy * give / distance);
    arena_push(b, dx * give / distance, dy * give / distance);
}

static void arena_part_all(arena* game)
{
    for (uint32_t i = 0; i < game->body_count; i++) {
        arena_body* body = &game->bodies[i];
        if (body->peer == NECPNET_PEER_NONE) continue;
        for (int row = -1; row <= 1; row++) {
            for (int column = -1; column <= 1; column++) {
                int32_t x = body->x + column * ARENA_UNIT;
                int32_t y = body->y + row * ARENA_UNIT;
                if (x < 0 || y < 0 || x >= ARENA_WIDTH * ARENA_UNIT || y >= ARENA_HEIGHT * ARENA_UNIT) continue;
                for (uint32_t j = game->cells[arena_cell(x, y)]; j != ARENA_NOBODY; j = game->bodies[j].next) {
                    if (j > i) arena_part(body, &game->bodies[j]);
                }
            }
        }
    }
}

static void arena_set_score(arena* game, necpnet_entity holder, int change)
{
    if (holder == NECPNET_ENTITY_NONE) return;
    arena_player* state = necpnet_world_get(game->world, holder);
    if (!state) return;
    state->score = (uint16_t)(state->score + change);
    (void)necpnet_world_mark(game->world, holder);
}

/* The nearest body that a wanderer touches takes it. */
static void arena_touch(arena* game, arena_bot* bot)
{
    const int32_t reach = ARENA_PLAYER_RADIUS + ARENA_WANDERER_RADIUS;
    const arena_body* nearest = NULL;
    int32_t best = reach;
    for (int row = -1; row <= 1; row++) {
        for (int column = -1; column <= 1; column++) {
            int32_t x = bot->x + column * ARENA_UNIT;
            int32_t y = bot->y + row * ARENA_UNIT;
            if (x < 0 || y < 0 || x >= ARENA_WIDTH * ARENA_UNIT || y >= ARENA_HEIGHT * ARENA_UNIT) continue;
            for (uint32_t j = game->cells[arena_cell(x, y)]; j != ARENA_NOBODY; j = game->bodies[j].next) {
                int32_t dx = game->bodies[j].x - bot->x;
                int32_t dy = game->bodies[j].y - bot->y;
                if (dx <= -reach || dx >= reach || dy <= -reach || dy >= reach) continue;
                int32_t distance = arena_distance(dx, dy);
                if (distance >= best) continue;
                best = distance;
                nearest = &game->bodies[j];
            }
        }
    }
    if (!nearest || bot->state->holder == nearest->entity) return;
    arena_set_score(game, bot->state->holder, -1);
    arena_set_score(game, nearest->entity, 1);
    bot->state->holder = nearest->entity;
    bot->state->colour = nearest->state->colour;
}

static void arena_walk(arena* game, arena_bot* bot)
{
    const int8_t* heading = arena_headings[bot->heading];
    bool stopped = arena_move(&bot->x, &bot->y, heading[0], heading[1], ARENA_WANDERER_RADIUS);
    if (stopped || --bot->ticks == 0) {
        uint32_t turn = stopped ? 5 + arena_random(game, 7) : arena_random(game, 5) + 14;
        bot->heading = (bot->heading + turn) % 16;
        bot->ticks = 30 + arena_random(game, 180);
    }
    bot->state->position[0] = arena_units(bot->x);
    bot->state->position[1] = arena_units(bot->y);
    arena_touch(game, bot);
    (void)necpnet_world_mark(game->world, bot->entity);
}

static void arena_tick(void* at, uint32_t tick)
{
    arena* game = at;
    for (uint32_t i = 0; i < game->body_count; i++) {
        if (game->bodies[i].peer != NECPNET_PEER_NONE) arena_apply_due(game, &game->bodies[i], tick);
    }
    arena_sort_bodies(game);
    arena_part_all(game);
    for (uint32_t i = 0; i < game->body_count; i++) {
        arena_body* body = &game->bodies[i];
        if (body->peer == NECPNET_PEER_NONE) continue;
        if (body->input_budget < ARENA_INPUT_BUDGET_MAX) body->input_budget++;
        if (tick % ARENA_TICK_HZ == 0 && body->chat_budget < ARENA_CHAT_BUDGET_MAX) body->chat_budget++;
        if (!body->moved) continue;
        body->moved = false;
        body->state->position[0] = arena_units(body->x);
        body->state->position[1] = arena_units(body->y);
        (void)necpnet_world_mark(game->world, body->entity);
    }
    for (uint32_t i = 0; i < game->bot_count; i++) arena_walk(game, &game->bots[i]);
}

static size_t arena_describe(const void* at, char* json, size_t json_bytes)
{
    const arena* game = at;
    const arena_body* leader = NULL;
    text out;
    for (uint32_t i = 0; i < game->body_count; i++) {
        const arena_body* body = &game->bodies[i];
        if (body->peer == NECPNET_PEER_NONE || body->state->score == 0) continue;
        if (!leader || body->state->score > leader->state->score) leader = body;
    }
    text_begin(&out, json, json_bytes);
    text_format(&out,
                "{\"game\":\"arena\",\"width\":%d,\"height\":%d,\"tick_hz\":%d,\"players\":%" PRIu32
                ",\"wanderers\":%" PRIu32,
                ARENA_WIDTH, ARENA_HEIGHT, ARENA_TICK_HZ, game->players, game->bot_count);
    text_format(&out,
                ",\"joined\":%" PRIu64 ",\"inputs\":%" PRIu64 ",\"inputs_refused\":%" PRIu64
                ",\"messages_refused\":%" PRIu64,
                game->joined, game->inputs, game->inputs_refused, game->messages_refused);
    text_put(&out, ",\"leader\":");
    if (leader) {
        text_put(&out, "{\"name\":");
        text_json(&out, leader->state->name);
        text_format(&out, ",\"score\":%d}", leader->state->score);
    } else {
        text_put(&out, "null");
    }
    text_put(&out, "}");
    return out.failed ? 0 : out.bytes;
}

const game_interface arena_game = {
    .name = "arena",
    .tick_hz = ARENA_TICK_HZ,
    .create = arena_create,
    .destroy = arena_destroy,
    .start = arena_start,
    .stop = arena_stop,
    .join = arena_join,
    .rejoin = arena_rejoin,
    .away = arena_away,
    .leave = arena_leave,
    .input = arena_input_of,
    .message = arena_message,
    .tick = arena_tick,
    .describe = arena_describe,
};
