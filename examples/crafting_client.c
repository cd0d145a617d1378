/* crafting_client - follows a crafting session and draws its progress, smooth whatever the network does. Comes back by itself.
 *
 *   crafting_client SESSION TOKEN            TOKEN: a connect token
 *   crafting_client SESSION URL JWT          URL: ws://localhost:8080/ws
 */
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crafting.h"

static crafting_track tracks[CRAFTING_TRACKS];
static int follow = -1; /* which of them is ours */

static void ask_to_follow(necpnet_client* client, const char* session)
{
    char text[256];
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    options.name = "necpnet.rpc";
    int bytes = snprintf(text, sizeof text,
                         "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"crafting.follow\",\"params\":{\"session\":\"%s\","
                         "\"hz\":60}}",
                         session);
    if (bytes < 0 || (size_t)bytes >= sizeof text) return;
    memset(tracks, 0, sizeof tracks);
    necpnet_result result = necpnet_client_send_with(client, NECPNET_CHANNEL_RELIABLE, text, (size_t)bytes, &options);
    if (result) fprintf(stderr, "crafting_client: %s\n", necpnet_result_text(result));
}

static void take_message(const necpnet_event* event)
{
    char text[512];
    if (event->name && strcmp(event->name, CRAFTING_MESSAGE) == 0) {
        int changed = crafting_take(tracks, event->data, event->bytes);
        if (changed >= 0 && follow < 0) follow = changed;
    } else if (event->name && strcmp(event->name, "necpnet.rpc") == 0) {
        snprintf(text, sizeof text, "%.*s", (int)(event->bytes < 400 ? event->bytes : 400), (const char*)event->data);
        const char* at = strstr(text, "\"follow\":");
        if (at) follow = atoi(at + 9) & (CRAFTING_TRACKS - 1);
        if (strstr(text, "\"error\"")) printf("* refused: %s\n", text);
    }
}

static void draw(const necpnet_client* client)
{
    static const char* const names[] = {"queued", "active", "paused", "completed", "cancelled", "failed"};
    char bar[41];
    uint64_t server_us;
    if (follow < 0 || !tracks[follow].known) return;
    if (necpnet_client_server_time_us(client, necpnet_time_us(), &server_us)) return;
    double progress = crafting_show(&tracks[follow], server_us);
    for (int i = 0; i < 40; i++) bar[i] = i < progress * 40 ? '#' : '.';
    bar[40] = 0;
    printf("[%s] %6.2f %%  %s\n", bar, progress * 100, names[tracks[follow].status]);
}

int main(int argc, char** argv)
{
    necpnet_client_config config;
    necpnet_client* client = NULL;
    uint64_t drawn_us = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: crafting_client SESSION TOKEN | SESSION URL JWT\n");
        return 2;
    }
    const char* url = argv[2];
    necpnet_client_config_default(&config);
    necpnet_result result = necpnet_client_create(&config, &client);
    if (!result) result = necpnet_client_connect(client, argc > 3 ? &url : NULL, argc > 3 ? 1 : 0);
    if (result) {
        fprintf(stderr, "crafting_client: %s\n", necpnet_result_text(result));
        return 1;
    }
    while (necpnet_client_get_state(client) != NECPNET_CLIENT_IDLE) {
        necpnet_event event;
        uint64_t now_us = necpnet_time_us();
        necpnet_client_update(client, now_us);
        while (necpnet_client_poll(client, &event)) {
            if (event.type == NECPNET_EVENT_CONNECTED) printf(event.resumed ? "* back\n" : "* connected\n");
            if (event.type == NECPNET_EVENT_CONNECTED && !event.resumed) ask_to_follow(client, argv[1]);
            if (event.type == NECPNET_EVENT_TOKEN_NEEDED && argc > 3) necpnet_client_set_credential(client, argv[3]);
            if (event.type == NECPNET_EVENT_TOKEN_NEEDED && argc == 3) {
                necpnet_client_set_token(client, url, necpnet_wall_time_us());
            }
            if (event.type == NECPNET_EVENT_MESSAGE) take_message(&event);
            if (event.type == NECPNET_EVENT_SUSPENDED) printf("* connection lost, coming back: %s\n", event.text);
            if (event.type == NECPNET_EVENT_DISCONNECTED) printf("* disconnected: %s\n", event.text);
            if (event.type == NECPNET_EVENT_CONNECT_FAILED) printf("* not connected: %s\n", event.text);
        }
        if (now_us >= drawn_us + 100000) {
            drawn_us = now_us;
            draw(client);
            fflush(stdout);
        }
        necpnet_client_wait(client, 20000);
    }
    necpnet_client_destroy(client);
    return 0;
}
