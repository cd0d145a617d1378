/* arena_wander - what moves by itself: wanderers, who bump into each other and are taken by whoever touches them, and the tram,
 * which drives its round and carries riders. */
#include "arena_inside.h"

#define WANDER_BUMP_TICKS 20 /* a wanderer that bumped keeps its new heading at least so long */

/* The 16 headings of a wanderer: 51 steps a tick in each direction (3 units a second), rounded. */
static const int8_t wander_headings[16][2] = {
    {51, 0},  {47, 20},   {36, 36},   {20, 47},   {0, 51},  {-20, 47}, {-36, 36}, {-47, 20},
    {-51, 0}, {-47, -20}, {-36, -36}, {-20, -47}, {0, -51}, {20, -47}, {36, -36}, {47, -20},
};

/* The corners of the tram's round, in units; no wall is near. */
static const int32_t tram_corners[4][2] = {{3, 2}, {37, 2}, {37, 22}, {3, 22}};

/* ---- wanderers */

static necpnet_result wander_spawn(arena* game, arena_bot* bot)
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

necpnet_result arena_spawn_bots(arena* game, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        necpnet_result result = wander_spawn(game, &game->bots[i]);
        if (result != NECPNET_OK) return result;
        game->bot_count++;
    }
    return NECPNET_OK;
}

void arena_release_bots(arena* game, necpnet_entity holder)
{
    for (uint32_t i = 0; i < game->bot_count; i++) {
        if (game->bots[i].state->holder != holder) continue;
        game->bots[i].state->holder = NECPNET_ENTITY_NONE;
        game->bots[i].state->colour = ARENA_COLOUR_FREE;
        (void)necpnet_world_mark(game->world, game->bots[i].entity);
    }
}

static void wander_set_score(arena* game, necpnet_entity holder, int change)
{
    if (holder == NECPNET_ENTITY_NONE) return;
    arena_player* state = necpnet_world_get(game->world, holder);
    if (!state) return;
    state->score = (uint16_t)(state->score + change);
    (void)necpnet_world_mark(game->world, holder);
}

void arena_take_bot(arena* game, arena_bot* bot, const arena_body* by)
{
    if (bot->state->holder == by->entity) return;
    wander_set_score(game, bot->state->holder, -1);
    wander_set_score(game, by->entity, 1);
    bot->state->holder = by->entity;
    bot->state->colour = by->state->colour;
    (void)necpnet_world_mark(game->world, bot->entity);
}

/* The nearest body that a wanderer touches takes it. */
static void wander_touch(arena* game, arena_bot* bot)
{
    const int32_t reach = ARENA_PLAYER_RADIUS + ARENA_WANDERER_RADIUS;
    const arena_body* nearest = NULL;
    int32_t best = reach;
    for (int beside = 0; beside < 9; beside++) {
        uint32_t cell = arena_cell_beside(bot->x, bot->y, beside % 3 - 1, beside / 3 - 1);
        if (cell == ARENA_NOBODY) continue;
        for (uint32_t j = game->cells[cell]; j != ARENA_NOBODY; j = game->bodies[j].next) {
            int32_t dx = game->bodies[j].x - bot->x;
            int32_t dy = game->bodies[j].y - bot->y;
            if (dx <= -reach || dx >= reach || dy <= -reach || dy >= reach) continue;
            int32_t distance = arena_distance(dx, dy);
            if (distance >= best) continue;
            best = distance;
            nearest = &game->bodies[j];
        }
    }
    if (nearest) arena_take_bot(game, bot, nearest);
}

/* The heading nearest to a direction. */
static uint32_t wander_heading(int32_t dx, int32_t dy)
{
    uint32_t best = 0;
    int64_t most = INT64_MIN;
    for (uint32_t i = 0; i < 16; i++) {
        int64_t along = (int64_t)wander_headings[i][0] * dx + (int64_t)wander_headings[i][1] * dy;
        if (along <= most) continue;
        most = along;
        best = i;
    }
    return best;
}

/* How much two overlap; the way from a to b is written when they do. */
static int32_t wander_overlap(const arena_bot* a, const arena_bot* b, int32_t* dx, int32_t* dy, int32_t* distance)
{
    const int32_t apart = 2 * ARENA_WANDERER_RADIUS;
    *dx = b->x - a->x;
    *dy = b->y - a->y;
    if (*dx <= -apart || *dx >= apart || *dy <= -apart || *dy >= apart) return 0;
    *distance = arena_distance(*dx, *dy);
    if (*dx == 0 && *dy == 0) *dx = 1;
    return *distance < apart ? apart - *distance : 0;
}

/* Two that overlap make room, each by half, or one alone where a wall is behind the other, and walk away from each other. */
static void wander_bump(arena_bot* a, arena_bot* b)
{
    int32_t dx, dy, distance;
    int32_t overlap = wander_overlap(a, b, &dx, &dy, &distance);
    if (!overlap) return;
    a->heading = wander_heading(-dx, -dy);
    b->heading = wander_heading(dx, dy);
    int32_t give = (overlap + 1) / 2;
    arena_move(&a->x, &a->y, -dx * give / distance, -dy * give / distance, ARENA_WANDERER_RADIUS);
    arena_move(&b->x, &b->y, dx * give / distance, dy * give / distance, ARENA_WANDERER_RADIUS);
    for (int pass = 0; pass < 2; pass++) {
        arena_bot* mover = pass ? a : b;
        int32_t left = wander_overlap(pass ? b : a, mover, &dx, &dy, &distance);
        if (!left) break;
        arena_move(&mover->x, &mover->y, dx * left / distance, dy * left / distance, ARENA_WANDERER_RADIUS);
    }
    if (a->ticks < WANDER_BUMP_TICKS) a->ticks = WANDER_BUMP_TICKS;
    if (b->ticks < WANDER_BUMP_TICKS) b->ticks = WANDER_BUMP_TICKS;
}

static void wander_walk(arena* game, arena_bot* bot)
{
    const int8_t* heading = wander_headings[bot->heading];
    bool stopped = arena_move(&bot->x, &bot->y, heading[0], heading[1], ARENA_WANDERER_RADIUS);
    if (!stopped && --bot->ticks > 0) return;
    uint32_t turn = stopped ? 5 + arena_random(game, 7) : arena_random(game, 5) + 14;
    bot->heading = (bot->heading + turn) % 16;
    bot->ticks = 30 + arena_random(game, 180);
}

static void wander_bump_all(arena* game)
{
    for (uint32_t i = 0; i < ARENA_CELLS; i++) game->bot_cells[i] = ARENA_NOBODY;
    for (uint32_t i = 0; i < game->bot_count; i++) {
        uint32_t cell = arena_cell(game->bots[i].x, game->bots[i].y);
        game->bots[i].next = game->bot_cells[cell];
        game->bot_cells[cell] = i;
    }
    for (uint32_t i = 0; i < game->bot_count; i++) {
        for (int beside = 0; beside < 9; beside++) {
            uint32_t cell = arena_cell_beside(game->bots[i].x, game->bots[i].y, beside % 3 - 1, beside / 3 - 1);
            if (cell == ARENA_NOBODY) continue;
            for (uint32_t j = game->bot_cells[cell]; j != ARENA_NOBODY; j = game->bots[j].next) {
                if (j > i) wander_bump(&game->bots[i], &game->bots[j]);
            }
        }
    }
}

void arena_walk_bots(arena* game)
{
    for (uint32_t i = 0; i < game->bot_count; i++) wander_walk(game, &game->bots[i]);
    wander_bump_all(game);
    for (uint32_t i = 0; i < game->bot_count; i++) {
        arena_bot* bot = &game->bots[i];
        wander_touch(game, bot);
        bot->state->position[0] = arena_units(bot->x);
        bot->state->position[1] = arena_units(bot->y);
        (void)necpnet_world_mark(game->world, bot->entity);
    }
}

/* ---- the tram */

necpnet_result arena_spawn_tram(arena* game)
{
    arena_tram* tram = &game->tram;
    tram->x = tram_corners[0][0] * ARENA_UNIT;
    tram->y = tram_corners[0][1] * ARENA_UNIT;
    tram->corner = 1;
    arena_vehicle state = {.position = {arena_units(tram->x), arena_units(tram->y)}};
    necpnet_result result = necpnet_world_spawn(game->world, ARENA_VEHICLE, &state, &tram->entity);
    if (result == NECPNET_OK) tram->state = necpnet_world_get(game->world, tram->entity);
    return result;
}

void arena_drive_tram(arena* game)
{
    arena_tram* tram = &game->tram;
    const int32_t* corner = tram_corners[tram->corner];
    tram->dx = arena_clamp(corner[0] * ARENA_UNIT - tram->x, -ARENA_VEHICLE_STEPS, ARENA_VEHICLE_STEPS);
    tram->dy = arena_clamp(corner[1] * ARENA_UNIT - tram->y, -ARENA_VEHICLE_STEPS, ARENA_VEHICLE_STEPS);
    tram->x += tram->dx;
    tram->y += tram->dy;
    if (tram->x == corner[0] * ARENA_UNIT && tram->y == corner[1] * ARENA_UNIT) tram->corner = (tram->corner + 1) % 4;
    uint32_t quarter = tram->dx > 0 ? 0 : tram->dy > 0 ? 1 : tram->dx < 0 ? 2 : 3;
    tram->state->position[0] = arena_units(tram->x);
    tram->state->position[1] = arena_units(tram->y);
    tram->state->heading = (float)(quarter * 64 * ARENA_AIM_STEP);
    (void)necpnet_world_mark(game->world, tram->entity);
    for (uint32_t i = 0; i < game->body_count; i++) {
        arena_body* body = &game->bodies[i];
        if (body->peer == NECPNET_PEER_NONE || body->state->ride != tram->entity) continue;
        body->x += tram->dx;
        body->y += tram->dy;
        body->state->position[0] = arena_units(body->x);
        body->state->position[1] = arena_units(body->y);
        body->moved = true;
    }
}

void arena_ride(arena* game, arena_body* body)
{
    const arena_tram* tram = &game->tram;
    int32_t dx = body->x - tram->x;
    int32_t dy = body->y - tram->y;
    if (body->state->ride != NECPNET_ENTITY_NONE) {
        body->state->ride = NECPNET_ENTITY_NONE;
    } else if (dx >= -ARENA_VEHICLE_RADIUS && dx <= ARENA_VEHICLE_RADIUS && dy >= -ARENA_VEHICLE_RADIUS &&
               dy <= ARENA_VEHICLE_RADIUS) {
        body->state->ride = tram->entity;
    }
    body->moved = true;
}
