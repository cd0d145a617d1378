/* squares_server - an authoritative world in a few lines: a square a player, moved by numbered inputs.
 *
 *   build/dev/examples/squares_server, and build/dev/examples/squares_client in some other terminals
 */
#include "squares.h"

#include <stdio.h>

static void join(necpnet_world* world, necpnet_server* server, necpnet_peer peer)
{
    square start = {{SQUARES_SIZE / 2, SQUARES_SIZE / 2}, (uint8_t)(peer & 7)};
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    if (necpnet_world_spawn(world, 1, &start, &entity)) return;
    necpnet_world_set_owner(world, entity, peer);
    necpnet_server_set_peer_user_data(server, peer, (void*)(uintptr_t)entity);
}

int main(void)
{
    necpnet_schema* schema = NULL;
    necpnet_world* world = NULL;
    necpnet_server* server = NULL;
    necpnet_world_config world_config;
    necpnet_server_config config;
    uint32_t committed = 0;

    necpnet_result result = necpnet_schema_create(NULL, NULL, squares_types, 1, &schema);
    necpnet_world_config_default(&world_config);
    world_config.schema = schema;
    if (!result) result = necpnet_world_create(&world_config, &world);
    necpnet_server_config_default(&config);
    config.security = NECPNET_SECURITY_OPEN;
    config.tcp_port = 8080;
    config.world = world;
    if (!result) result = necpnet_server_create(&config, &server);
    if (result) {
        fprintf(stderr, "squares_server: %s\n", necpnet_result_text(result));
        return 1;
    }
    printf("squares at udp://localhost:7777 and ws://localhost:8080/ws\n");
    fflush(stdout);
    for (;;) {
        necpnet_event event;
        necpnet_server_update(server, necpnet_time_us());
        while (necpnet_server_poll(server, &event)) {
            necpnet_entity own = (necpnet_entity)(uintptr_t)necpnet_server_get_peer_user_data(server, event.peer);
            square* state = (square*)necpnet_world_get(world, own);
            if (event.type == NECPNET_EVENT_CONNECTED && !event.resumed) join(world, server, event.peer);
            if (event.type == NECPNET_EVENT_DISCONNECTED) necpnet_world_despawn(world, own);
            if (event.type == NECPNET_EVENT_INPUT && state) {
                square_step(state, event.data, event.bytes, NULL);
                necpnet_world_mark(world, own);
                necpnet_world_set_input(world, event.peer, event.tick);
            }
        }
        uint32_t tick = necpnet_server_tick(server);
        if (tick > committed) necpnet_world_commit(world, committed = tick);
        necpnet_server_wait(server, 5000);
    }
}
