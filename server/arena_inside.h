/* arena_inside - what the files of the arena share: the server's own notes about players, wanderers and the vehicle. */
#ifndef SERVER_ARENA_INSIDE_H
#define SERVER_ARENA_INSIDE_H

#include "arena_schema.h"
#include "game.h"

#define ARENA_INPUTS_MAX 32u   /* inputs that wait for their tick; with more the oldest are applied at once */
#define ARENA_INPUTS_A_TICK 3u /* of one player: how fast it catches up after a pause */
#define ARENA_INPUT_BUDGET_MAX \
    30u /* inputs a player may be behind; each tick allows one more: nobody is faster than time */
#define ARENA_CHAT_BUDGET_MAX 5u /* lines of chat at once; each second allows one more */
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
    uint32_t shot_tick; /* of the last one; 0 none */
    bool ride_held;     /* ARENA_BUTTON_RIDE is still down */
    bool moved;
} arena_body;

typedef struct arena_bot {
    necpnet_entity entity;
    arena_wanderer* state;
    int32_t x, y;
    uint32_t heading; /* in 16ths of a turn */
    uint32_t ticks;   /* until it turns */
    uint32_t next;    /* in its cell */
} arena_bot;

/* Drives round the map, from corner to corner. */
typedef struct arena_tram {
    necpnet_entity entity;
    arena_vehicle* state;
    int32_t x, y;
    int32_t dx, dy;  /* of this tick */
    uint32_t corner; /* where it is going */
} arena_tram;

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
    arena_tram tram;
    uint32_t cells[ARENA_CELLS];     /* the first body in each */
    uint32_t bot_cells[ARENA_CELLS]; /* the first wanderer */
    uint32_t tick;
    uint64_t random;
    uint64_t joined;
    uint64_t inputs;
    uint64_t inputs_refused;
    uint64_t messages_refused;
    uint64_t shots;
    uint64_t hits;
} arena;

/* Below a bound; the game's own numbers, seeded by its config. */
uint32_t arena_random(arena* game, uint32_t below);

/* A place where nobody stands in a wall. */
void arena_find_place(arena* game, int32_t radius, int32_t* x, int32_t* y);

/* The cell of the grid that a place lies in, and the cell beside it; ARENA_NOBODY beyond the edge. */
uint32_t arena_cell(int32_t x, int32_t y);
uint32_t arena_cell_beside(int32_t x, int32_t y, int column, int row);

/* How far (dx, dy) is; at least 1. */
int32_t arena_distance(int32_t dx, int32_t dy);

/* The body of an entity, or NULL. */
arena_body* arena_find_entity(arena* game, necpnet_entity entity);

/* arena_wander.c: what moves by itself. */
necpnet_result arena_spawn_bots(arena* game, uint32_t count);
necpnet_result arena_spawn_tram(arena* game);
void arena_walk_bots(arena* game);
void arena_drive_tram(arena* game);
void arena_release_bots(arena* game, necpnet_entity holder);
void arena_take_bot(arena* game, arena_bot* bot, const arena_body* by);

/* On to the tram, or off it; does nothing when it is not here. */
void arena_ride(arena* game, arena_body* body);

/* arena_shots.c: fire, if the last shot was long enough ago. */
void arena_shoot(arena* game, arena_body* body, const arena_input* input, uint32_t input_tick);

#endif
