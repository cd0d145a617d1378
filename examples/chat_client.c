/* chat_client - lines typed are said, lines heard are printed. The client reconnects by itself.
 *
 *   chat_client NAME [URL]        URL: udp://localhost:7777 (default) or ws://localhost:8080/ws
 */
#include "necpnet.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One whole line from the keyboard, if there is one. False at the end of input. */
static bool read_line(char* line, size_t* used, size_t bytes_max, char** out_end)
{
    ssize_t got = read(STDIN_FILENO, line + *used, bytes_max - *used);
    if (got > 0) *used += (size_t)got;
    *out_end = memchr(line, '\n', *used);
    return got != 0 || *out_end;
}

int main(int argc, char** argv)
{
    const char* url = argc > 2 ? argv[2] : "udp://localhost:7777";
    necpnet_client_config config;
    necpnet_client* client = NULL;
    static char typed[1024], said[1200];
    size_t used = 0;
    bool on = true;
    if (argc < 2) {
        fprintf(stderr, "usage: chat_client NAME [URL]\n");
        return 2;
    }
    necpnet_client_config_default(&config);
    config.security = NECPNET_SECURITY_OPEN;
    necpnet_result result = necpnet_client_create(&config, &client);
    if (!result) result = necpnet_client_connect(client, &url, 1);
    if (result) {
        fprintf(stderr, "chat_client: %s\n", necpnet_result_text(result));
        return 1;
    }
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    while (on || necpnet_client_get_state(client) != NECPNET_CLIENT_IDLE) {
        necpnet_event event;
        char* end = NULL;
        necpnet_client_update(client, necpnet_time_us());
        while (necpnet_client_poll(client, &event)) {
            if (event.type == NECPNET_EVENT_MESSAGE) printf("%.*s\n", (int)event.bytes, (const char*)event.data);
            if (event.type == NECPNET_EVENT_CONNECTED) printf(event.resumed ? "* back\n" : "* connected\n");
            if (event.type == NECPNET_EVENT_SUSPENDED) printf("* connection lost, coming back: %s\n", event.text);
            if (event.type == NECPNET_EVENT_DISCONNECTED) printf("* disconnected: %s\n", event.text);
            if (event.type == NECPNET_EVENT_CONNECT_FAILED) printf("* not connected: %s\n", event.text);
        }
        fflush(stdout);
        if (on && !read_line(typed, &used, sizeof typed, &end)) {
            on = false;
            necpnet_client_disconnect(client, 0, "", 1000);
        }
        while (on && end) {
            snprintf(said, sizeof said, "%s: %.*s", argv[1], (int)(end - typed), typed);
            necpnet_client_send(client, 0, said, strlen(said));
            used -= (size_t)(end + 1 - typed);
            memmove(typed, end + 1, used);
            end = memchr(typed, '\n', used);
        }
        if (used == sizeof typed) used = 0;
        necpnet_client_wait(client, 20000);
    }
    necpnet_client_destroy(client);
    return 0;
}
