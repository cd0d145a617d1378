/* arena_schema.h - what server and clients of the arena must agree on: the entity types, the map, the input and the
 * movement step. Nothing else of the arena is shared. Include it after necpnet.h is reachable; it has no .c file.
 *
 * The world is ARENA_WIDTH x ARENA_HEIGHT units, x to the right, y downwards, origin in the upper left corner. All
 * movement is integer arithmetic in 1/ARENA_UNIT of a unit, which is also the quantum of positions on the wire: a
 * client that predicts computes the server's bits.
 *
 * A client in a few lines:
 *
 *     necpnet_schema_create(NULL, NULL, arena_types, ARENA_TYPE_COUNT, &schema);
 *     view_config.schema = schema; ...
 *     necpnet_view_set_prediction(view, ARENA_PLAYER, arena_player_step, NULL);
 *     each tick (ARENA_TICK_HZ):
 *         arena_input input = {.move_x = 127, .aim = 0};
 *         arena_input_write(&input, bytes);
 *         necpnet_client_send_input(client, tick, bytes, ARENA_INPUT_BYTES);
 *         necpnet_view_predict(view, tick, bytes, ARENA_INPUT_BYTES);
 */
#ifndef ARENA_SCHEMA_H
#define ARENA_SCHEMA_H

#include "necpnet.h"

#define ARENA_TICK_HZ 60
#define ARENA_WIDTH 40
#define ARENA_HEIGHT 24
#define ARENA_UNIT 1024             /* steps in one unit; a power of two, so that positions are exact as float */
#define ARENA_PLAYER_RADIUS 460     /* in steps */
#define ARENA_WANDERER_RADIUS 310   /* in steps */
#define ARENA_WALK_STEPS 136        /* a tick: 7.97 units a second */
#define ARENA_RUN_STEPS 218         /* a tick while ARENA_BUTTON_RUN is held: 12.8 units a second */
#define ARENA_NAME_BYTES 25         /* with NUL */
#define ARENA_VEHICLE_RADIUS 1200   /* in steps: half the side of its square */
#define ARENA_VEHICLE_STEPS 68      /* a tick: 4 units a second */
#define ARENA_HEALTH_MAX 4          /* hits that a player stands */
#define ARENA_SHOT_UNITS 16         /* how far a shot reaches */
#define ARENA_SHOT_TICKS 15         /* between two shots of a player */
#define ARENA_COLOUR_FREE 0x8a93a6u /* of a wanderer that nobody has touched */

/* ----------------------------------------------------------------------------------------------- entity types -- */

typedef enum arena_type {
    ARENA_PLAYER = 1,
    ARENA_WANDERER = 2, /* walks about by itself; takes the colour of the player who touches or hits it */
    ARENA_VEHICLE = 3   /* drives its round; carries the players who are on it */
} arena_type;

typedef enum arena_platform {
    ARENA_PLATFORM_UNKNOWN = 0,
    ARENA_PLATFORM_NATIVE = 1, /* connected over UDP */
    ARENA_PLATFORM_BROWSER = 2 /* connected over WebSocket */
} arena_platform;

typedef struct arena_player {
    float position[2]; /* the centre, in units */
    float aim;         /* radians, 0 to the right, clockwise on the screen */
    uint32_t colour;   /* 0xRRGGBB */
    uint16_t score;    /* wanderers of its colour now */
    uint16_t wins;     /* players it has sent elsewhere by ARENA_HEALTH_MAX hits */
    uint8_t health;    /* 1 .. ARENA_HEALTH_MAX */
    uint8_t platform;  /* arena_platform */
    bool running;
    necpnet_entity ride;         /* the vehicle that carries it, or NECPNET_ENTITY_NONE */
    char name[ARENA_NAME_BYTES]; /* UTF-8 */
    uint8_t voice[8];            /* its client id, little-endian: whose voice it is (section 13 of necpnet.h) */
} arena_player;

typedef struct arena_wanderer {
    float position[2];
    uint32_t colour;       /* of the player who touched it last, else ARENA_COLOUR_FREE */
    necpnet_entity holder; /* that player; NECPNET_ENTITY_NONE: nobody */
} arena_wanderer;

typedef struct arena_vehicle {
    float position[2]; /* the centre */
    float heading;     /* radians, as aim */
} arena_vehicle;

#define ARENA_POSITION_STEP (1.0 / ARENA_UNIT)
#define ARENA_AIM_STEP 0.02454369260617026 /* 2 pi / 256 */

static const necpnet_field arena_player_fields[] = {
    NECPNET_VEC2(arena_player, position, 1, 0, ARENA_WIDTH, ARENA_POSITION_STEP,
                 NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_REQUIRED),
    NECPNET_ANGLE(arena_player, aim, 2, ARENA_AIM_STEP, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(arena_player, colour, 3, 0, 0xffffff, 0),
    NECPNET_INTEGER(arena_player, score, 4, 0, 65535, NECPNET_FIELD_SLOW),
    NECPNET_ENUM(arena_player, platform, 5, ARENA_PLATFORM_BROWSER, 0),
    NECPNET_BOOL(arena_player, running, 6, 0),
    NECPNET_STRING(arena_player, name, 7, 0),
    NECPNET_INTEGER(arena_player, wins, 8, 0, 65535, NECPNET_FIELD_SLOW),
    NECPNET_INTEGER(arena_player, health, 9, 0, ARENA_HEALTH_MAX, 0),
    NECPNET_ENTITY_REFERENCE(arena_player, ride, 10, NECPNET_FIELD_PARENT),
    NECPNET_BYTES(arena_player, voice, 11, 0),
};

static const necpnet_field arena_wanderer_fields[] = {
    NECPNET_VEC2(arena_wanderer, position, 1, 0, ARENA_WIDTH, ARENA_POSITION_STEP,
                 NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_REQUIRED),
    NECPNET_INTEGER(arena_wanderer, colour, 2, 0, 0xffffff, 0),
    NECPNET_ENTITY_REFERENCE(arena_wanderer, holder, 3, 0),
};

static const necpnet_field arena_vehicle_fields[] = {
    NECPNET_VEC2(arena_vehicle, position, 1, 0, ARENA_WIDTH, ARENA_POSITION_STEP,
                 NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_REQUIRED),
    NECPNET_ANGLE(arena_vehicle, heading, 2, ARENA_AIM_STEP, NECPNET_FIELD_INTERPOLATE),
};

#define ARENA_TYPE_COUNT 3
static const necpnet_entity_type arena_types[ARENA_TYPE_COUNT] = {
    {"player", ARENA_PLAYER, sizeof(arena_player), arena_player_fields,
     (int)(sizeof(arena_player_fields) / sizeof(arena_player_fields[0]))},
    {"wanderer", ARENA_WANDERER, sizeof(arena_wanderer), arena_wanderer_fields,
     (int)(sizeof(arena_wanderer_fields) / sizeof(arena_wanderer_fields[0]))},
    {"vehicle", ARENA_VEHICLE, sizeof(arena_vehicle), arena_vehicle_fields,
     (int)(sizeof(arena_vehicle_fields) / sizeof(arena_vehicle_fields[0]))},
};

/* --------------------------------------------------------------------------------------------------- messages -- */

/* Named messages (necpnet_send_options.name), on channel NECPNET_CHANNEL_RELIABLE unless said otherwise. */
#define ARENA_MESSAGE_ECHO \
    "echo" /* any bytes, any channel: the server returns them under the same name, same channel */
#define ARENA_MESSAGE_CHAT "chat" /* UTF-8 text of 1 .. ARENA_CHAT_BYTES_MAX: everyone gets "name: text" as "chat" */
#define ARENA_MESSAGE_PROFILE \
    "profile" /* 3 bytes red, green, blue and 0 .. 24 bytes of name (none: keeps it): new looks */
#define ARENA_CHAT_BYTES_MAX 200
#define ARENA_MESSAGE_SHOT \
    "shot" /* from the server, on NECPNET_CHANNEL_UNRELIABLE, ARENA_SHOT_BYTES: little-endian 4 bytes each: who shot, from \
              x, y, to x, y in steps, who was hit (0: nobody) */
#define ARENA_SHOT_BYTES 24

/* The sealed user data of a connect token for the arena is the player's name: UTF-8, NUL-padded, at most
 * ARENA_NAME_BYTES - 1 bytes are used. All zeroes: the server makes a name up. */

/* ------------------------------------------------------------------------------------------------------ input -- */

#define ARENA_INPUT_BYTES 6
#define ARENA_BUTTON_RUN 1u
#define ARENA_BUTTON_FIRE 2u
#define ARENA_BUTTON_RIDE 4u /* on to a vehicle that is here, or off it; once for each time it is pressed */
#define ARENA_BUTTON_NOW 8u  /* shots hit what the server has now, not what this player saw: no lag compensation */

/* One tick of a player's will. Bytes on the wire in this order. */
typedef struct arena_input {
    int8_t move_x;      /* -127 .. 127; 127 is full speed to the right; diagonals are brought to full speed */
    int8_t move_y;      /* 127 is down */
    uint8_t aim;        /* in 256ths of a turn; see arena_player.aim */
    uint8_t buttons;    /* ARENA_BUTTON_* */
    uint8_t view_age;   /* how many ticks before the input's own tick lies what the player saw */
    uint8_t view_share; /* 256ths of a tick nearer than that */
} arena_input;

static inline void arena_input_write(const arena_input* input, uint8_t bytes[ARENA_INPUT_BYTES])
{
    bytes[0] = (uint8_t)input->move_x;
    bytes[1] = (uint8_t)input->move_y;
    bytes[2] = input->aim;
    bytes[3] = input->buttons;
    bytes[4] = input->view_age;
    bytes[5] = input->view_share;
}

/* What the player sees, as the age and share of an input for tick. view_tick and share_ppm are necpnet_view_get_tick's. */
static inline void arena_input_see(arena_input* input, uint32_t tick, uint32_t view_tick, uint32_t share_ppm)
{
    uint32_t age = tick > view_tick ? tick - view_tick : 0;
    input->view_age = (uint8_t)(age < 255 ? age : 255);
    input->view_share = (uint8_t)(share_ppm / 3907);
}

/* Returns whether the bytes are an input: a wrong size or -128 is none. */
static inline bool arena_input_read(arena_input* input, const void* data, size_t size)
{
    const uint8_t* bytes = (const uint8_t*)data;
    if (size != ARENA_INPUT_BYTES || bytes[0] == 0x80 || bytes[1] == 0x80) return false;
    input->move_x = (int8_t)(bytes[0] < 128 ? bytes[0] : bytes[0] - 256);
    input->move_y = (int8_t)(bytes[1] < 128 ? bytes[1] : bytes[1] - 256);
    input->aim = bytes[2];
    input->buttons = bytes[3];
    input->view_age = bytes[4];
    input->view_share = bytes[5];
    return true;
}

/* -------------------------------------------------------------------------------------------------------- map -- */

/* A wall: a rectangle in whole units, right and bottom exclusive. No wall is thinner than a unit, so that nobody runs
 * through it in a tick. */
typedef struct arena_wall {
    int16_t left, top, right, bottom;
} arena_wall;

#define ARENA_WALL_COUNT 12
static const arena_wall arena_walls[ARENA_WALL_COUNT] = {
    {6, 5, 12, 6},    {6, 6, 7, 10},    {28, 5, 34, 6}, {33, 6, 34, 10},  {6, 18, 12, 19},  {6, 14, 7, 18},
    {28, 18, 34, 19}, {33, 14, 34, 18}, {18, 4, 19, 9}, {21, 15, 22, 20}, {15, 12, 18, 13}, {22, 11, 25, 12},
};

/* --------------------------------------------------------------------------------------------------- movement -- */

/* Whether a body of that radius at (x, y), in steps, is inside a wall. */
static inline bool arena_hits(const arena_wall* wall, int32_t x, int32_t y, int32_t radius)
{
    return x + radius > wall->left * ARENA_UNIT && x - radius < wall->right * ARENA_UNIT &&
           y + radius > wall->top * ARENA_UNIT && y - radius < wall->bottom * ARENA_UNIT;
}

static inline int32_t arena_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Move a body by (dx, dy) steps, each less than a unit; it slides along walls. Bodies are squares to walls. Returns
 * whether it was stopped. */
static inline bool arena_move(int32_t* x, int32_t* y, int32_t dx, int32_t dy, int32_t radius)
{
    int32_t to_x = arena_clamp(*x + dx, radius, ARENA_WIDTH * ARENA_UNIT - radius);
    for (int i = 0; i < ARENA_WALL_COUNT; i++) {
        if (!arena_hits(&arena_walls[i], to_x, *y, radius)) continue;
        to_x = dx > 0 ? arena_walls[i].left * ARENA_UNIT - radius : arena_walls[i].right * ARENA_UNIT + radius;
    }
    int32_t to_y = arena_clamp(*y + dy, radius, ARENA_HEIGHT * ARENA_UNIT - radius);
    for (int i = 0; i < ARENA_WALL_COUNT; i++) {
        if (!arena_hits(&arena_walls[i], to_x, to_y, radius)) continue;
        to_y = dy > 0 ? arena_walls[i].top * ARENA_UNIT - radius : arena_walls[i].bottom * ARENA_UNIT + radius;
    }
    bool stopped = to_x != *x + dx || to_y != *y + dy;
    *x = to_x;
    *y = to_y;
    return stopped;
}

/* Units to steps and back; exact for what movement makes and the wire carries. */
static inline int32_t arena_steps(float units)
{
    return (int32_t)(units * (float)ARENA_UNIT + 0.5f);
}

static inline float arena_units(int32_t steps)
{
    return (float)steps / (float)ARENA_UNIT;
}

/* The whole part of a square root. */
static inline int32_t arena_root(int32_t square)
{
    int32_t root = 0;
    for (int32_t bit = 1 << 14; bit > 0; bit >>= 1) {
        if ((root + bit) * (root + bit) <= square) root += bit;
    }
    return root;
}

/* Advance a player by one input. The server does this and then parts bodies that overlap and carries riders; a client that
 * predicts does this alone. Bytes that are no input leave the player where it is. A necpnet_view_step; user is not used. */
static inline void arena_player_step(void* state, const void* data, size_t bytes, void* user)
{
    arena_player* player = (arena_player*)state;
    arena_input input;
    (void)user;
    if (!arena_input_read(&input, data, bytes)) return;
    int32_t length = arena_root((int32_t)input.move_x * input.move_x + (int32_t)input.move_y * input.move_y);
    int32_t full = length > 127 ? length : 127;
    player->running = (input.buttons & ARENA_BUTTON_RUN) != 0;
    int32_t speed = player->running ? ARENA_RUN_STEPS : ARENA_WALK_STEPS;
    int32_t x = arena_steps(player->position[0]);
    int32_t y = arena_steps(player->position[1]);
    if (player->ride != NECPNET_ENTITY_NONE) speed = 0; /* it is carried */
    arena_move(&x, &y, input.move_x * speed / full, input.move_y * speed / full, ARENA_PLAYER_RADIUS);
    player->position[0] = arena_units(x);
    player->position[1] = arena_units(y);
    player->aim = (float)((double)input.aim * ARENA_AIM_STEP);
}

#endif
