/* game_none - no game: JavaScript describes the schema and steps its own entities. */
#include "game.h"

const wasm_game* wasm_game_get(void)
{
    return NULL;
}
