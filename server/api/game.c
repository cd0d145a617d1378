/* game - GET /api/v1/game: the game's own description of itself. */
#include "rest.h"

void api_game(const api* known, const rest_request* request, rest_answer* answer)
{
    (void)request;
    board_figures figures;
    board_read(known->figures, &figures);
    text_put(&answer->body, figures.game);
    text_put(&answer->body, "\n");
}
