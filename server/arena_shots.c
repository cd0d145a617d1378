/* arena_shots - a shot hits what the player saw: the others are looked up where they were shown on its screen, by the tick and
 * share that came with its input. With ARENA_BUTTON_NOW they are taken where the server has them now, which is how it feels
 * without lag compensation. */
#include <math.h>

#include "arena_inside.h"

#define SHOT_REWIND_TICKS 60u /* a second: nobody reaches further back, whatever it says it saw */

typedef struct shot {
    double x, y;             /* from, in steps */
    double along_x, along_y; /* of length 1 */
    double length;           /* to what stops it, in steps */
    uint32_t tick;           /* that the player saw */
    uint32_t share_ppm;
    bool now;
} shot;

/* Where the ray enters a wall, or length (Kay and Kajiya 1986, slabs). */
static double shot_to_wall(const shot* ray, const arena_wall* wall)
{
    const double from[2] = {ray->x, ray->y};
    const double along[2] = {ray->along_x, ray->along_y};
    const double low[2] = {wall->left * (double)ARENA_UNIT, wall->top * (double)ARENA_UNIT};
    const double high[2] = {wall->right * (double)ARENA_UNIT, wall->bottom * (double)ARENA_UNIT};
    double enter = 0, leave = ray->length;
    for (int axis = 0; axis < 2; axis++) {
        if (fabs(along[axis]) < 1e-9) {
            if (from[axis] < low[axis] || from[axis] > high[axis]) return ray->length;
            continue;
        }
        double a = (low[axis] - from[axis]) / along[axis];
        double b = (high[axis] - from[axis]) / along[axis];
        enter = fmax(enter, fmin(a, b));
        leave = fmin(leave, fmax(a, b));
    }
    return enter < leave ? enter : ray->length;
}

/* Where the ray comes nearest to a circle that it hits, or a negative number. */
static double shot_to_circle(const shot* ray, double x, double y, double radius)
{
    double dx = x - ray->x;
    double dy = y - ray->y;
    double along = dx * ray->along_x + dy * ray->along_y;
    double aside = dx * ray->along_y - dy * ray->along_x;
    if (along < 0 || fabs(aside) > radius) return -1;
    double enter = along - sqrt(radius * radius - aside * aside);
    return enter > 0 ? enter : 0;
}

/* The position that a shot is tried against; false: it was not there. */
static bool shot_place(const arena* game, const shot* ray, necpnet_entity entity, int32_t now_x, int32_t now_y,
                       double* x, double* y)
{
    union {
        arena_player player;
        arena_wanderer wanderer;
    } past;
    *x = now_x;
    *y = now_y;
    if (ray->now) return true;
    if (necpnet_world_get_at(game->world, entity, ray->tick, ray->share_ppm, &past, sizeof(past)) != NECPNET_OK) {
        return false;
    }
    bool is_player = necpnet_world_get_type(game->world, entity) == ARENA_PLAYER;
    const float* position = is_player ? past.player.position : past.wanderer.position;
    *x = (double)position[0] * ARENA_UNIT;
    *y = (double)position[1] * ARENA_UNIT;
    return true;
}

static arena_body* shot_find_player(arena* game, shot* ray, const arena_body* by)
{
    arena_body* hit = NULL;
    for (uint32_t i = 0; i < game->body_count; i++) {
        arena_body* body = &game->bodies[i];
        double x, y;
        if (body->peer == NECPNET_PEER_NONE || body == by) continue;
        if (!shot_place(game, ray, body->entity, body->x, body->y, &x, &y)) continue;
        double at = shot_to_circle(ray, x, y, ARENA_PLAYER_RADIUS);
        if (at < 0 || at >= ray->length) continue;
        ray->length = at;
        hit = body;
    }
    return hit;
}

static arena_bot* shot_find_bot(arena* game, shot* ray)
{
    arena_bot* hit = NULL;
    for (uint32_t i = 0; i < game->bot_count; i++) {
        arena_bot* bot = &game->bots[i];
        double x, y;
        if (!shot_place(game, ray, bot->entity, bot->x, bot->y, &x, &y)) continue;
        double at = shot_to_circle(ray, x, y, ARENA_WANDERER_RADIUS);
        if (at < 0 || at >= ray->length) continue;
        ray->length = at;
        hit = bot;
    }
    return hit;
}

/* One hit less to stand; after the last it begins again elsewhere. */
static void shot_hurt(arena* game, arena_body* body, arena_body* by)
{
    if (--body->state->health == 0) {
        body->state->health = ARENA_HEALTH_MAX;
        body->state->ride = NECPNET_ENTITY_NONE;
        arena_find_place(game, ARENA_PLAYER_RADIUS, &body->x, &body->y);
        body->moved = true;
        by->state->wins++;
        (void)necpnet_world_mark(game->world, by->entity);
    }
    (void)necpnet_world_mark(game->world, body->entity);
}

static void shot_write(uint8_t* to, uint32_t value)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (8 * i));
}

/* So that everyone draws it. */
static void shot_tell(arena* game, const shot* ray, necpnet_entity by, necpnet_entity hit)
{
    uint8_t bytes[ARENA_SHOT_BYTES];
    necpnet_send_options options = {.name = ARENA_MESSAGE_SHOT};
    shot_write(bytes, by);
    shot_write(bytes + 4, (uint32_t)(int32_t)ray->x);
    shot_write(bytes + 8, (uint32_t)(int32_t)ray->y);
    shot_write(bytes + 12, (uint32_t)(int32_t)(ray->x + ray->along_x * ray->length));
    shot_write(bytes + 16, (uint32_t)(int32_t)(ray->y + ray->along_y * ray->length));
    shot_write(bytes + 20, hit);
    (void)necpnet_server_broadcast(game->server, NECPNET_PEER_NONE, NECPNET_CHANNEL_UNRELIABLE, bytes, sizeof(bytes),
                                   &options, NULL);
}

void arena_shoot(arena* game, arena_body* body, const arena_input* input, uint32_t input_tick)
{
    if (body->shot_tick && game->tick - body->shot_tick < ARENA_SHOT_TICKS) return;
    body->shot_tick = game->tick;
    game->shots++;
    shot ray = {.x = body->x, .y = body->y, .length = ARENA_SHOT_UNITS * (double)ARENA_UNIT};
    ray.along_x = cos((double)input->aim * ARENA_AIM_STEP);
    ray.along_y = sin((double)input->aim * ARENA_AIM_STEP);
    ray.now = (input->buttons & ARENA_BUTTON_NOW) != 0;
    uint32_t newest = game->tick - 1; /* committed last */
    uint32_t oldest = newest > SHOT_REWIND_TICKS ? newest - SHOT_REWIND_TICKS : 0;
    ray.tick = input_tick > input->view_age ? input_tick - input->view_age : 0;
    ray.share_ppm = (uint32_t)input->view_share * 3906u;
    if (ray.tick < oldest || ray.tick >= newest) {
        ray.tick = ray.tick < oldest ? oldest : newest;
        ray.share_ppm = 0;
    }
    for (int i = 0; i < ARENA_WALL_COUNT; i++) ray.length = fmin(ray.length, shot_to_wall(&ray, &arena_walls[i]));
    arena_body* player = shot_find_player(game, &ray, body);
    arena_bot* bot = shot_find_bot(game, &ray); /* nearer than the player, or none */
    necpnet_entity hit = bot ? bot->entity : player ? player->entity : NECPNET_ENTITY_NONE;
    if (hit != NECPNET_ENTITY_NONE) game->hits++;
    if (bot)
        arena_take_bot(game, bot, body);
    else if (player)
        shot_hurt(game, player, body);
    shot_tell(game, &ray, body->entity, hit);
}
