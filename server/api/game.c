/* game - GET /api/v1/game: the game's own description of itself; with several workers a list of them. */
#include "api.h"

void api_game(const services* known, const rest_request* request, rest_answer* answer)
{
    (void)request;
    board_figures figures;
    int count = known->figures->count;
    if (count > 1) text_put(&answer->body, "{\"workers\":[");
    for (int i = 0; i < count; i++) {
        board_read_worker(known->figures, i, &figures);
        if (i > 0) text_put(&answer->body, ",");
        text_put(&answer->body, figures.game);
    }
    text_put(&answer->body, count > 1 ? "]}\n" : "\n");
}
