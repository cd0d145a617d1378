/* game - what a game adds to the browser client in C: its schema and how its players move. A build links one game_*.c;
 * game_none.c leaves both to JavaScript. */
#ifndef WASM_GAME_H
#define WASM_GAME_H

#include "necpnet.h"

typedef struct wasm_game {
    const char* name;
    const necpnet_entity_type* types;
    int type_count;
    uint16_t predicted_type; /* 0: none */
    necpnet_view_step step;  /* of that type; what the server does with an input */
} wasm_game;

/* wasm_game_get - the game of this build; NULL: none. */
const wasm_game* wasm_game_get(void);

#endif
