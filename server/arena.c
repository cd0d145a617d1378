/* arena - a small authoritative world: players walk by their numbered inputs, ride and shoot; wanderers walk about by themselves
 * (arena_wander.c) and take the colour of whoever touches or hits them last. The one with the most wanderers leads.
 *
 * The world of the library holds the states; a body here holds what only the server knows. All movement is integer arithmetic
 * in steps (arena_schema.h). A tick costs work for the bodies alone, by a grid of one unit a cell.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena_inside.h"
#include "log.h"
#include "text.h"

static const uint32_t arena_colours[16] = {
    0xff5c5c, 0x4cc9f0, 0xffd166, 0x06d6a0, 0xb388ff, 0xff8fab, 0x80ed99, 0xf4a261,
    0x5aa9e6, 0xe0aaff, 0xc0ca33, 0xff7043, 0x26c6da, 0xf06292, 0x9ccc65, 0xffa726,
};

/* xorshift64* (Vigna 2016). */
uint32_t arena_random(arena* game, uint32_t below)
{
    game->random ^= game->random >> 12;
    game->random ^= game->random << 25;
    game->random ^= game->random >> 27;
    return (uint32_t)((game->random * UINT64_C(2685821657736338717)) >> 32) % below;
}

void arena_find_place(arena* game, int32_t radius, int32_t* x, int32_t* y)
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

static necpnet_result arena_fill(arena* game, const game_config* config)
{
    necpnet_world_config world;
    necpnet_result result = necpnet_schema_create(NULL, &config->logger, arena_types, ARENA_TYPE_COUNT, &game->schema);
    if (result != NECPNET_OK) return result;
    result = necpnet_world_config_default(&world);
    if (result != NECPNET_OK) return result;
    uint32_t entities_max = config->players_max + config->bots + 1;
    world.logger = config->logger;
    world.schema = game->schema;
    world.entities_max = entities_max < 64 ? 64 : entities_max > 65535 ? 65535 : entities_max;
    world.send_hz = config->state_hz;
    world.client_bytes_per_s = config->state_bytes_per_s;
    result = necpnet_world_create(&world, &game->world);
    if (result == NECPNET_OK) result = arena_spawn_bots(game, config->bots);
    if (result == NECPNET_OK) result = arena_spawn_tram(game);
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

arena_body* arena_find_entity(arena* game, necpnet_entity entity)
{
    for (uint32_t i = 0; i < game->body_count; i++) {
        if (game->bodies[i].peer != NECPNET_PEER_NONE && game->bodies[i].entity == entity) return &game->bodies[i];
    }
    return NULL;
}

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
    state.health = ARENA_HEALTH_MAX;
    for (int i = 0; i < 8; i++) state.voice[i] = (uint8_t)(info->identity.client_id >> 8 * i);
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
    arena_input input;
    if (body->input_budget > 0 && arena_input_read(&input, wish->bytes, ARENA_INPUT_BYTES)) {
        body->input_budget--;
        game->inputs++;
        arena_player_step(body->state, wish->bytes, ARENA_INPUT_BYTES, NULL);
        body->x = arena_steps(body->state->position[0]);
        body->y = arena_steps(body->state->position[1]);
        body->moved = true;
        bool ride = (input.buttons & ARENA_BUTTON_RIDE) != 0;
        if (ride && !body->ride_held) arena_ride(game, body);
        body->ride_held = ride;
        if (input.buttons & ARENA_BUTTON_FIRE) arena_shoot(game, body, &input, wish->tick);
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

uint32_t arena_cell(int32_t x, int32_t y)
{
    int32_t column = arena_clamp(x / ARENA_UNIT, 0, ARENA_WIDTH - 1);
    int32_t row = arena_clamp(y / ARENA_UNIT, 0, ARENA_HEIGHT - 1);
    return (uint32_t)(row * ARENA_WIDTH + column);
}

uint32_t arena_cell_beside(int32_t x, int32_t y, int column, int row)
{
    x += column * ARENA_UNIT;
    y += row * ARENA_UNIT;
    if (x < 0 || y < 0 || x >= ARENA_WIDTH * ARENA_UNIT || y >= ARENA_HEIGHT * ARENA_UNIT) return ARENA_NOBODY;
    return arena_cell(x, y);
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
int32_t arena_distance(int32_t dx, int32_t dy)
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
    if (a->state->ride != NECPNET_ENTITY_NONE || b->state->ride != NECPNET_ENTITY_NONE) return; /* above the others */
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
                uint32_t cell = arena_cell_beside(body->x, body->y, column, row);
                if (cell == ARENA_NOBODY) continue;
                for (uint32_t j = game->cells[cell]; j != ARENA_NOBODY; j = game->bodies[j].next) {
                    if (j > i) arena_part(body, &game->bodies[j]);
                }
            }
        }
    }
}

static void arena_tick(void* at, uint32_t tick)
{
    arena* game = at;
    game->tick = tick;
    arena_drive_tram(game);
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
    arena_walk_bots(game);
}

static uint32_t arena_places(const void* at, uint32_t* from, game_place* out, uint32_t count)
{
    const arena* game = at;
    uint32_t written = 0;
    for (; *from < game->body_count && written < count; (*from)++) {
        const arena_body* body = &game->bodies[*from];
        if (body->peer == NECPNET_PEER_NONE) continue;
        out[written++] = (game_place){body->peer, 0, {body->state->position[0], body->state->position[1], 0}};
    }
    return written;
}

/* Names for its quarters: what an operator's map calls them. */
static void arena_describe_zones(text* out)
{
    static const char* const names[] = {"north-west", "north-east", "south-west", "south-east"};
    for (int i = 0; i < 4; i++) {
        int left = i % 2 * (ARENA_WIDTH / 2), top = i / 2 * (ARENA_HEIGHT / 2);
        text_format(out, "%s{\"name\":\"%s\",\"area\":[%d,%d,%d,%d]}", i ? "," : ",\"zones\":[", names[i], left, top,
                    left + ARENA_WIDTH / 2, top + ARENA_HEIGHT / 2);
    }
    text_put(out, "]");
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
                ",\"messages_refused\":%" PRIu64 ",\"shots\":%" PRIu64 ",\"hits\":%" PRIu64,
                game->joined, game->inputs, game->inputs_refused, game->messages_refused, game->shots, game->hits);
    arena_describe_zones(&out);
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
    .places = arena_places,
};
