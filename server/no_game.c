/* no_game - for servers whose sessions want messages and services alone: no world, everybody may join. */
#include <stdio.h>

#include "game.h"

static necpnet_result no_game_create(const game_config* config, void** out_game, necpnet_world** out_world)
{
    (void)config;
    *out_game = (void*)(uintptr_t)&no_game; /* there is nothing to it but that it is there */
    *out_world = NULL;
    return NECPNET_OK;
}

static void no_game_end(void* game)
{
    (void)game;
}

static void no_game_start(void* game, necpnet_server* server)
{
    (void)game;
    (void)server;
}

static necpnet_result no_game_join(void* game, necpnet_peer peer, const necpnet_peer_info* info)
{
    (void)game;
    (void)peer;
    (void)info;
    return NECPNET_OK;
}

static void no_game_rejoin(void* game, necpnet_peer peer, const necpnet_peer_info* info)
{
    (void)game;
    (void)peer;
    (void)info;
}

static void no_game_leave(void* game, necpnet_peer peer)
{
    (void)game;
    (void)peer;
}

static void no_game_input(void* game, necpnet_peer peer, uint32_t tick, const void* data, size_t bytes)
{
    (void)game;
    (void)peer;
    (void)tick;
    (void)data;
    (void)bytes;
}

static void no_game_message(void* game, const necpnet_event* event)
{
    (void)game;
    (void)event;
}

static void no_game_tick(void* game, uint32_t tick)
{
    (void)game;
    (void)tick;
}

static size_t no_game_describe(const void* game, char* json, size_t json_bytes)
{
    (void)game;
    int bytes = snprintf(json, json_bytes, "{\"name\":\"none\"}");
    return bytes > 0 && (size_t)bytes < json_bytes ? (size_t)bytes : 0;
}

const game_interface no_game = {.name = "none",
                                .tick_hz = 60,
                                .create = no_game_create,
                                .destroy = no_game_end,
                                .start = no_game_start,
                                .stop = no_game_end,
                                .join = no_game_join,
                                .rejoin = no_game_rejoin,
                                .away = no_game_leave,
                                .leave = no_game_leave,
                                .input = no_game_input,
                                .message = no_game_message,
                                .tick = no_game_tick,
                                .describe = no_game_describe,
                                .places = NULL};
