/* kit_sim_faults - what goes wrong in the simulated world, and when; and how all of it heals. */
#include "sim.h"

#include <string.h>

/* ---- one client's network -- */

static void sim_block(sim_process* client, bool up, bool down)
{
    client->blocked_up = up;
    client->blocked_down = down;
    necpnet_link_block(client->world->link, client->host, up, down);
}

static void sim_partition(sim_process* client)
{
    sim* world = client->world;
    uint64_t kind = sim_random(world, 3);
    static const sim_kind kinds[] = {SIM_PARTITION_UP, SIM_PARTITION_DOWN, SIM_PARTITION_BOTH};
    sim_block(client, kind != 1, kind != 0);
    client->partition_until_us = world->now_us + sim_choose(world, 1000, 4000000);
    sim_count(world, kinds[kind]);
    sim_note(world, client, "is cut off", kind, client->partition_until_us);
}

/* Everything waits, then comes at once. */
static void sim_clog(sim_process* client)
{
    sim* world = client->world;
    client->clogged = true;
    client->clogged_until_us = world->now_us + sim_choose(world, 1000, 2000000);
    sim_block(client, true, true);
    sim_count(world, SIM_CLOGGED);
    sim_note(world, client, "is clogged", client->clogged_until_us, 0);
}

static void sim_unblock(sim_process* client)
{
    bool was_clogged = client->clogged;
    sim_block(client, false, false);
    if (was_clogged) sim_wire_release(client->world, client);
    client->partition_until_us = client->clogged_until_us = 0;
    sim_note(client->world, client, "is free again", was_clogged, 0);
}

static void sim_repair(sim* world)
{
    for (int i = 0; i < world->settings.clients; i++) {
        sim_process* client = world->clients[i];
        if (client->partition_until_us && client->partition_until_us <= world->now_us) sim_unblock(client);
        if (client->clogged_until_us && client->clogged_until_us <= world->now_us) sim_unblock(client);
    }
}

/* ---- processes -- */

static void sim_restart_client(sim_process* client)
{
    sim* world = client->world;
    int seat = client->seat;
    sim_count(world, SIM_CLIENT_CRASHED);
    sim_crash(client);
    sim_start_client(world, seat);
}

static void sim_restart_server(sim* world)
{
    sim_count(world, SIM_SERVER_CRASHED);
    sim_crash(world->server);
    sim_start_server(world);
}

static void sim_pause_process(sim_process* process)
{
    sim* world = process->world;
    process->paused_until_us = world->now_us + sim_choose(world, 1000, 3000000);
    if (process->frame_us) process->frame_at_us = process->paused_until_us;
    sim_count(world, SIM_PAUSED);
    sim_note(world, process, "pauses", process->paused_until_us, 0);
}

static void sim_jump_clock(sim_process* process)
{
    sim* world = process->world;
    bool forward = sim_chance(world, 600000);
    int64_t by_us = (int64_t)sim_choose(world, 1000, forward ? 4000000 : 500000);
    process->clock_us += forward ? by_us : -by_us;
    sim_count(world, forward ? SIM_CLOCK_FORWARD : SIM_CLOCK_BACK);
    sim_note(world, process, "clock jumps", (uint64_t)by_us, forward);
}

static void sim_jump_wall(sim* world)
{
    world->wall_us += sim_random(world, 7200000000u);
    world->wall_us -= 3600000000u;
    sim_count(world, SIM_WALL_JUMP);
    if (world->server->alive)
        necpnet_server_set_wall_time(world->server->server, world->wall_us, sim_local_us(world->server));
}

static void sim_drain(sim* world)
{
    sim_process* server = world->server;
    if (server->drain_until_us != SIM_NEVER) return;
    necpnet_server_drain(server->server, (uint32_t)sim_choose(world, 1, 1000));
    for (int i = 0; i < world->peer_count; i++) {
        if (world->peers[i]->server == server) world->peers[i]->ending = true;
    }
    server->drain_until_us = world->now_us + sim_choose(world, 1000, 2000000);
    sim_count(world, SIM_DRAINED);
    sim_note(world, server, "drains", server->drain_until_us, 0);
}

void sim_faults(sim* world)
{
    sim_process* client = world->clients[sim_random(world, (uint64_t)world->settings.clients)];
    sim_process* anybody = sim_chance(world, 300000) ? world->server : client;
    sim_repair(world);
    world->fault_at_us = world->now_us + sim_choose(world, 1, (uint64_t)world->settings.faults_ms * 2000);
    for (int i = 0; i < world->settings.clients; i++) { /* what is to end in time */
        const sim_process* other = world->clients[i];
        if (other->partition_until_us && other->partition_until_us < world->fault_at_us)
            world->fault_at_us = other->partition_until_us;
        if (other->clogged_until_us && other->clogged_until_us < world->fault_at_us)
            world->fault_at_us = other->clogged_until_us;
    }
    uint64_t kind = sim_random(world, 100);
    if (kind < 20) {
        if (!client->clogged && !client->partition_until_us) sim_partition(client);
    } else if (kind < 35) {
        if (!client->clogged && !client->partition_until_us) sim_clog(client);
    } else if (kind < 50) {
        necpnet_link_rebind(world->link, client->host);
        sim_count(world, SIM_REBOUND);
        sim_note(world, client, "has another address", 0, 0);
    } else if (kind < 65) {
        sim_pause_process(anybody);
    } else if (kind < 71) {
        sim_restart_client(client);
    } else if (kind < 74) {
        sim_restart_server(world);
    } else if (kind < 76) {
        sim_drain(world);
    } else if (kind < 90) {
        sim_jump_clock(anybody);
    } else if (kind < 95) {
        sim_jump_wall(world);
    }
}

/* ---- the end of all evil -- */

void sim_heal(sim* world)
{
    necpnet_link_config link;
    world->healing = true;
    sim_note(world, NULL, "heals", 0, 0);
    necpnet_link_config_default(&link);
    link.seed = world->settings.link.seed;
    link.allocator = world->settings.link.allocator;
    link.latency_us = world->settings.link.latency_us < 50000 ? world->settings.link.latency_us : 50000;
    necpnet_link_configure(world->link, NULL, &link);
    if (world->server->drain_until_us != SIM_NEVER) world->server->drain_until_us = world->now_us;
    world->server->paused_until_us = 0;
    for (int i = 0; i < world->settings.clients; i++) {
        sim_process* client = world->clients[i];
        client->paused_until_us = 0;
        sim_unblock(client);
        if (client->suspended_until_us != SIM_NEVER) necpnet_client_resume(client->client, sim_local_us(client));
        client->suspended_until_us = SIM_NEVER;
        necpnet_client_set_loading(client->client, false);
        necpnet_client_set_bandwidth_limit(client->client, UINT32_MAX);
    }
    for (int i = 0; i < world->peer_count; i++) {
        const sim_peer* peer = world->peers[i];
        if (peer->server != world->server || !peer->connected) continue;
        necpnet_server_set_loading(world->server->server, peer->peer, false);
        necpnet_server_set_bandwidth_limit(world->server->server, peer->peer, UINT32_MAX);
    }
}
