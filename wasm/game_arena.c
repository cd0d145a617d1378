/* game_arena - the arena of necpnet-server, for its demo page: the very schema and step that the server compiles. */
#include "arena_schema.h"
#include "exports.h"
#include "game.h"

static const wasm_game arena = {"arena", arena_types, ARENA_TYPE_COUNT, ARENA_PLAYER, arena_player_step};

const wasm_game* wasm_game_get(void)
{
    return &arena;
}

/* What the page draws: numbers by name, then four for each wall. */
WASM_EXPORT int arena_number(int which)
{
    static const int numbers[] = {ARENA_TICK_HZ,        ARENA_WIDTH,           ARENA_HEIGHT,      ARENA_UNIT,
                                  ARENA_PLAYER_RADIUS,  ARENA_WANDERER_RADIUS, ARENA_INPUT_BYTES, ARENA_WALL_COUNT,
                                  ARENA_VEHICLE_RADIUS, ARENA_HEALTH_MAX};
    int count = (int)(sizeof(numbers) / sizeof(numbers[0]));
    if (which < 0 || which >= count + ARENA_WALL_COUNT * 4) return -1;
    if (which < count) return numbers[which];
    const arena_wall* wall = &arena_walls[(which - count) / 4];
    switch ((which - count) % 4) {
    case 0: return wall->left;
    case 1: return wall->top;
    case 2: return wall->right;
    default: return wall->bottom;
    }
}
