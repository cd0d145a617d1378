/* squares_client - walks in circles, predicts its own square, sees the others move smoothly.
 *
 *   squares_client [URL]        udp://localhost:7777 (default) or ws://localhost:8080/ws
 */
#include "squares.h"

#include <stdio.h>
#include <string.h>

static void draw(necpnet_view* view)
{
    char rows[SQUARES_SIZE + 1][SQUARES_SIZE + 2];
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    for (int y = 0; y <= SQUARES_SIZE; y++) {
        memset(rows[y], '.', SQUARES_SIZE + 1);
        rows[y][SQUARES_SIZE + 1] = '\0';
    }
    while ((entity = necpnet_view_next(view, entity)) != NECPNET_ENTITY_NONE) {
        square state;
        if (necpnet_view_get(view, entity, &state, sizeof state)) continue;
        rows[(int)state.position[1]][(int)state.position[0]] = necpnet_view_is_owner(view, entity) ? '@' : '#';
    }
    printf("\033[H\033[J");
    for (int y = 0; y <= SQUARES_SIZE; y++) printf("%s\n", rows[y]);
    fflush(stdout);
}

int main(int argc, char** argv)
{
    const char* url = argc > 1 ? argv[1] : "udp://localhost:7777";
    necpnet_schema* schema = NULL;
    necpnet_view* view = NULL;
    necpnet_client* client = NULL;
    necpnet_view_config view_config;
    necpnet_client_config config;
    uint32_t sent = 0;
    uint64_t drawn_us = 0;

    necpnet_result result = necpnet_schema_create(NULL, NULL, squares_types, 1, &schema);
    necpnet_view_config_default(&view_config);
    view_config.schema = schema;
    if (!result) result = necpnet_view_create(&view_config, &view);
    necpnet_client_config_default(&config);
    config.security = NECPNET_SECURITY_OPEN;
    config.view = view;
    if (!result) result = necpnet_client_create(&config, &client);
    if (!result) result = necpnet_client_connect(client, &url, 1);
    if (result) {
        fprintf(stderr, "squares_client: %s\n", necpnet_result_text(result));
        return 1;
    }
    necpnet_view_set_prediction(view, 1, square_step, NULL);
    for (;;) {
        uint64_t now_us = necpnet_time_us();
        uint32_t tick, input_tick;
        necpnet_event event;
        necpnet_view_event entered;
        necpnet_client_update(client, now_us);
        necpnet_view_update(view, now_us);
        while (necpnet_client_poll(client, &event)) {
            if (event.type == NECPNET_EVENT_CONNECTED && !event.resumed) sent = 0;
            if (event.text[0]) fprintf(stderr, "%s\n", event.text);
        }
        while (necpnet_view_poll(view, &entered)) continue;
        if (!necpnet_client_server_tick(client, now_us, &tick, &input_tick)) {
            if (sent == 0 || input_tick > sent + 60) sent = input_tick - 1;
            for (; sent < input_tick; sent++) {
                uint8_t way = (uint8_t)(sent / 40 & 3);
                if (necpnet_client_send_input(client, sent + 1, &way, 1)) break;
                necpnet_view_predict(view, sent + 1, &way, 1);
            }
        }
        if (now_us > drawn_us + 50000) draw(view), drawn_us = now_us;
        necpnet_client_wait(client, 8000);
    }
}
