/* game.h - what necpnet-server asks of a game. The arena (arena.c) is one; an embedder writes another and gives it to
 * worker_create. One game lives on one worker: every function is called on the worker's thread, none may block.
 *
 * Order of calls: create, start, then join, leave, input, message and tick as they come, then stop, destroy.
 */
#ifndef SERVER_GAME_H
#define SERVER_GAME_H

#include "necpnet.h"

typedef struct game_config {
    necpnet_logger logger;
    uint64_t seed; /* of everything random in the game */
    uint32_t bots; /* things that move by themselves */
    uint32_t players_max;
    uint32_t state_hz;          /* states a second to each client */
    uint32_t state_bytes_per_s; /* budget of state a client */
} game_config;

/* Where a player speaks and hears. */
typedef struct game_place {
    necpnet_peer peer;
    uint32_t zone; /* players of different zones do not hear each other */
    float position[3];
} game_place;

typedef struct game_interface {
    const char* name; /* "arena" */
    uint32_t tick_hz; /* 1 .. 1,000 */

    /* create - the game and its necpnet_world.
     *   out_world  the world that clients follow; belongs to the game. NULL: none.
     * Returns  OK, or any refusal; the server then does not start. */
    necpnet_result (*create)(const game_config* config, void** out_game, necpnet_world** out_world);
    /* destroy - after the server is destroyed; game NULL does nothing. */
    void (*destroy)(void* game);
    /* start - the server is up; valid until stop. */
    void (*start)(void* game, necpnet_server* server);
    /* stop - the server is about to be destroyed. */
    void (*stop)(void* game);
    /* join - a session began. A refusal ends it: the peer is kicked with the result's text. */
    necpnet_result (*join)(void* game, necpnet_peer peer, const necpnet_peer_info* info);
    /* rejoin - the session's client is back after a loss; what it owned is still there. */
    void (*rejoin)(void* game, necpnet_peer peer, const necpnet_peer_info* info);
    /* away - the client is lost; the session waits for it. */
    void (*away)(void* game, necpnet_peer peer);
    /* leave - the session ended; the peer is gone already. */
    void (*leave)(void* game, necpnet_peer peer);
    /* input - the next numbered input of a peer; each comes once, in order. From outside: check it. */
    void (*input)(void* game, necpnet_peer peer, uint32_t tick, const void* data, size_t bytes);
    /* message - any message of a peer (EVENT_MESSAGE). From outside: check it. */
    void (*message)(void* game, const necpnet_event* event);
    /* tick - advance the world to this tick. The worker commits the world afterwards. */
    void (*tick)(void* game, uint32_t tick);
    /* describe - the game as one JSON object with a NUL, for GET /api/v1/game. A member "zones", a list of {"name", "area": [left, top,
     * right, bottom]}, names the parts of its world on the dashboard's map.
     * Returns  bytes without the NUL; 0 when it does not fit. */
    size_t (*describe)(const void* game, char* json, size_t json_bytes);
    /* places - where players are, in portions. NULL: nowhere.
     *   from  0 at first; moved on by each call.
     * Returns  how many were written; 0 after the last. */
    uint32_t (*places)(const void* game, uint32_t* from, game_place* out, uint32_t count);
} game_interface;

extern const game_interface arena_game;
extern const game_interface no_game; /* without a world; everybody may join */

#endif
