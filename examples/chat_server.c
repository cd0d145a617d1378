/* chat_server - whoever says a line is heard by everyone. Browsers and native clients alike.
 *
 *   build/dev/examples/chat_server            UDP 7777 and WebSocket 8080, open to all on this network
 *   build/dev/examples/chat_client Ada
 */
#include "necpnet.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    necpnet_server_config config;
    necpnet_server* server = NULL;
    necpnet_server_config_default(&config);
    config.security = NECPNET_SECURITY_OPEN;
    config.tcp_port = 8080;
    necpnet_result result = necpnet_server_create(&config, &server);
    if (result) {
        fprintf(stderr, "chat_server: %s\n", necpnet_result_text(result));
        return 1;
    }
    printf("chat at udp://localhost:7777 and ws://localhost:8080/ws\n");
    for (;;) {
        necpnet_event event;
        necpnet_server_update(server, necpnet_time_us());
        while (necpnet_server_poll(server, &event)) {
            char line[64];
            switch (event.type) {
            case NECPNET_EVENT_MESSAGE:
                necpnet_server_broadcast(server, event.peer, 0, event.data, event.bytes, NULL, NULL);
                break;
            case NECPNET_EVENT_CONNECTED:
            case NECPNET_EVENT_DISCONNECTED:
                if (event.resumed) break; /* was never gone */
                snprintf(line, sizeof line, "* somebody %s", event.type == NECPNET_EVENT_CONNECTED ? "came" : "left");
                necpnet_server_broadcast(server, event.peer, 0, line, strlen(line), NULL, NULL);
                printf("%s\n", line);
                break;
            default: break;
            }
        }
        fflush(stdout);
        necpnet_server_wait(server, 1000000);
    }
}
