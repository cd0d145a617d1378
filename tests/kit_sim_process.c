/* kit_sim_process - processes of the simulated world: an endpoint with memory, clock and entropy of its own. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_MEMORY_CLIENT (24u << 20)
#define SIM_MEMORY_SERVER (96u << 20)
#define SIM_IDLE_RUNS_MAX 2000 /* in succession within SIM_IDLE_US, with nothing come of them */
#define SIM_IDLE_US 200000

/* ---- memory: counted, limited, and failing at times -- */

static void* sim_allocate(size_t bytes, void* user)
{
    sim_memory* memory = (sim_memory*)user;
    if (memory->fail_ppm && !memory->world->healing && sim_chance(memory->world, memory->fail_ppm)) {
        sim_count(memory->world, SIM_ALLOCATION_FAILED);
        sim_note(memory->world, memory->process, "allocation fails", 0, 0);
        return NULL;
    }
    if (memory->live + bytes > memory->limit) {
        sim_fail(memory->world, "%s holds more than %llu bytes of memory", memory->process->name,
                 (unsigned long long)memory->limit);
        return NULL;
    }
    size_t* block = (size_t*)malloc(16 + bytes);
    if (!block) return NULL;
    block[0] = bytes;
    memory->live += bytes;
    memory->blocks++;
    if (memory->live > memory->peak) memory->peak = memory->live;
    memset((uint8_t*)block + 16, 0xA5, bytes);
    return (uint8_t*)block + 16;
}

static void sim_release(void* pointer, size_t bytes, void* user)
{
    sim_memory* memory = (sim_memory*)user;
    if (!pointer) return;
    size_t* block = (size_t*)(void*)((uint8_t*)pointer - 16);
    if (block[0] != bytes)
        sim_fail(memory->world, "a block of %llu bytes is released as one of %llu", (unsigned long long)block[0],
                 (unsigned long long)bytes);
    memory->live -= block[0];
    memory->blocks--;
    memset(pointer, 0xDD, block[0]);
    block[0] = SIZE_MAX;
    free(block);
}

necpnet_allocator sim_allocator(sim_memory* memory)
{
    necpnet_allocator allocator;
    allocator.allocate = sim_allocate;
    allocator.release = sim_release;
    allocator.user = memory;
    return allocator;
}

/* ---- chance, clock, log -- */

static bool sim_fill(void* to, size_t bytes, void* user)
{
    uint64_t* state = (uint64_t*)user;
    uint8_t* p = (uint8_t*)to;
    for (size_t i = 0; i < bytes; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(*state >> 56);
    }
    return true;
}

static void sim_write_log(necpnet_log_level level, const char* line, void* user)
{
    const sim_process* process = (const sim_process*)user;
    (void)level;
    printf("%3u.%06u  %-7s log: %s\n", (unsigned)(process->world->now_us / 1000000),
           (unsigned)(process->world->now_us % 1000000), process->name, line);
}

uint64_t sim_local_us(const sim_process* process)
{
    uint64_t local_us = process->world->now_us + (uint64_t)process->clock_us;
    return local_us > process->latest_us ? local_us : process->latest_us;
}

bool sim_runs(const sim_process* process)
{
    return process && process->alive && process->world->now_us >= process->paused_until_us;
}

/* ---- starting and crashing -- */

static sim_process* sim_process_new(sim* world, int seat)
{
    if (world->process_count == SIM_PROCESSES_MAX) {
        sim_fail(world, "more than %d processes", SIM_PROCESSES_MAX);
        return NULL;
    }
    sim_process* process = (sim_process*)calloc(1, sizeof *process);
    world->processes[world->process_count++] = process;
    process->world = world;
    process->seat = seat;
    process->is_server = seat < 0;
    snprintf(process->name, sizeof process->name, seat < 0 ? "server" : "c%d", seat);
    process->memory.world = world;
    process->memory.process = process;
    process->memory.limit = process->is_server ? SIM_MEMORY_SERVER : SIM_MEMORY_CLIENT;
    process->memory.fail_ppm = world->settings.failing_ppm;
    process->entropy = sim_random(world, UINT64_MAX);
    process->clock_us = (int64_t)sim_choose(world, 0, UINT64_C(1) << 40);
    process->frame_us = sim_chance(world, 400000) ? 1000 + (uint32_t)sim_random(world, 32000) : 0;
    process->act_us = (uint32_t)sim_choose(world, 2000, 100000);
    process->act_at_us = world->now_us + sim_random(world, process->act_us * 2);
    process->frame_at_us = world->now_us;
    process->dispatches = sim_chance(world, 300000);
    process->again = true;
    process->connect_at_us = SIM_NEVER;
    process->tick_at_us = SIM_NEVER;
    process->drain_until_us = SIM_NEVER;
    process->suspended_until_us = SIM_NEVER;
    return process;
}

static void sim_rows(sim* world, necpnet_channel_config* rows)
{
    memcpy(rows, world->settings.channels, sizeof world->settings.channels);
    for (int i = 0; i < world->settings.channel_count; i++) { /* what each side may choose for itself */
        if (sim_chance(world, 200000)) rows[i].redundancy = !rows[i].redundancy;
        if (sim_chance(world, 200000)) rows[i].window_bytes = 1u << 20;
        if (sim_chance(world, 200000)) rows[i].priority = (necpnet_priority)sim_random(world, 4);
    }
}

static uint32_t sim_datagram_bytes(sim* world)
{
    uint32_t least = world->settings.has_state ? 256 : 64; /* the whole state of an entity must fit */
    return sim_chance(world, 300000) ? (uint32_t)sim_choose(world, least, 65507) : NECPNET_DATAGRAM_BYTES_DEFAULT;
}

sim_process* sim_start_server(sim* world)
{
    necpnet_server_config config;
    necpnet_channel_config rows[SIM_CHANNELS_MAX];
    sim_process* server = sim_process_new(world, -1);
    if (!server) return NULL;
    world->server = server;
    if (necpnet_link_add_server(world->link, SIM_PORT, &server->host)) sim_fail(world, "no host for the server");
    sim_wire_begin(server);
    necpnet_server_config_default(&config);
    sim_rows(world, rows);
    config.allocator = sim_allocator(&server->memory);
    config.entropy.fill = sim_fill;
    config.entropy.user = &server->entropy;
    if (world->traced) {
        config.logger.write = sim_write_log;
        config.logger.user = server;
        config.logger.level = NECPNET_LOG_DEBUG;
    }
    config.transport = &server->wire.transport;
    config.security = NECPNET_SECURITY_NONE;
    config.channels = rows;
    config.channel_count = world->settings.channel_count;
    config.tick_hz = world->settings.tick_hz;
    config.udp_timeout_ms = 2500;
    config.websocket_ping_ms = 800;
    config.websocket_timeout_ms = 3000;
    config.loading_timeout_ms = 4000;
    config.resume_window_ms = world->settings.resume_window_ms;
    config.ticket_lifetime_ms = 1000 + world->settings.resume_window_ms * 2;
    config.key_interval_ms = world->settings.key_interval_ms;
    config.handshake_timeout_ms = 3000;
    config.datagram_bytes_max = server->datagram_bytes = sim_datagram_bytes(world);
    server->memory.fail_ppm = 0; /* a process that cannot even begin says nothing */
    necpnet_result result = sim_state_serve(server, &config);
    if (!result) result = necpnet_server_create(&config, &server->server);
    if (result) sim_fail(world, "the server cannot be made: %s", necpnet_result_name(result));
    server->memory.fail_ppm = world->settings.failing_ppm;
    server->alive = true;
    if (!result) sim_set_handlers(server);
    necpnet_server_set_wall_time(server->server, world->wall_us, sim_local_us(server));
    sim_note(world, server, "starts", server->host_number, config.datagram_bytes_max);
    return server;
}

static void sim_choose_urls(sim* world, sim_process* client)
{
    static const char* const udp = "udp://server:7777";
    static const char* const web = "ws://server:7777/ws";
    uint64_t kind = sim_random(world, 10);
    client->url_count = kind < 8 ? 1 : 2;
    client->urls[0] = kind < 5 || kind == 8 ? udp : web;
    client->urls[1] = client->urls[0] == udp ? web : udp;
}

sim_process* sim_start_client(sim* world, int seat)
{
    necpnet_client_config config;
    necpnet_channel_config rows[SIM_CHANNELS_MAX];
    sim_process* client = sim_process_new(world, seat);
    if (!client) return NULL;
    world->clients[seat] = client;
    if (necpnet_link_add_client(world->link, &client->host)) sim_fail(world, "no host for %s", client->name);
    sim_wire_begin(client);
    necpnet_client_config_default(&config);
    sim_rows(world, rows);
    config.allocator = sim_allocator(&client->memory);
    config.entropy.fill = sim_fill;
    config.entropy.user = &client->entropy;
    if (world->traced) {
        config.logger.write = sim_write_log;
        config.logger.user = client;
        config.logger.level = NECPNET_LOG_DEBUG;
    }
    config.transport = &client->wire.transport;
    config.security = NECPNET_SECURITY_NONE;
    config.channels = rows;
    config.channel_count = world->settings.channel_count;
    config.udp_timeout_ms = 2500;
    config.websocket_ping_ms = 800;
    config.websocket_timeout_ms = 3000;
    config.loading_timeout_ms = 4000;
    config.key_interval_ms = world->settings.key_interval_ms;
    config.upgrade_min_ms = 500;
    config.connect_timeout_ms = 2000;
    config.reconnect_delay_min_ms = 50;
    config.reconnect_delay_max_ms = 1000;
    config.datagram_bytes_max = client->datagram_bytes = sim_datagram_bytes(world);
    if (sim_chance(world, 200000)) config.bandwidth_limit = (uint32_t)sim_choose(world, 20000, 1000000);
    client->memory.fail_ppm = 0;
    necpnet_result result = sim_state_follow(client, &config);
    if (!result) result = necpnet_client_create(&config, &client->client);
    if (result) sim_fail(world, "%s cannot be made: %s", client->name, necpnet_result_name(result));
    client->memory.fail_ppm = world->settings.failing_ppm;
    client->alive = true;
    sim_choose_urls(world, client);
    if (!result) sim_set_handlers(client);
    client->wants_connection = true;
    client->connect_at_us = world->now_us;
    sim_note(world, client, "starts", client->host_number, config.datagram_bytes_max);
    return client;
}

void sim_crash(sim_process* process)
{
    sim* world = process->world;
    if (!process->alive) return;
    process->alive = false;
    sim_note(world, process, "is gone", 0, 0);
    if (!process->is_server) sim_wire_drop(process);
    if (necpnet_link_remove(world->link, process->host)) sim_fail(world, "%s has no host", process->name);
    necpnet_client_destroy(process->client);
    necpnet_server_destroy(process->server);
    sim_state_release(process);
    process->client = NULL;
    process->server = NULL;
    for (int i = 0; i < world->peer_count; i++) {
        sim_peer* peer = world->peers[i];
        if (peer->server != process || !peer->connected) continue;
        peer->connected = false;
        for (int j = 0; j < world->settings.channel_count; j++) { /* nobody will say where these belong */
            peer->client->unplaced += peer->up[j].early_count;
            peer->up[j].early_count = 0;
        }
    }
    if (process->memory.blocks) {
        sim_fail(world, "%s leaves %llu blocks of %llu bytes", process->name,
                 (unsigned long long)process->memory.blocks, (unsigned long long)process->memory.live);
    }
}

/* ---- running -- */

uint64_t sim_process_due_us(const sim_process* process)
{
    const sim* world = process->world;
    if (!process->alive) return SIM_NEVER;
    if (world->now_us < process->paused_until_us) return process->paused_until_us;
    if (process->frame_us) return process->frame_at_us;
    if (process->again || sim_wire_has_arrived(process)) return world->now_us;
    uint64_t local_us =
        process->is_server ? necpnet_server_deadline_us(process->server) : necpnet_client_deadline_us(process->client);
    uint64_t now_us = sim_local_us(process);
    uint64_t due_us = local_us == SIM_NEVER ? SIM_NEVER
                      : local_us <= now_us  ? world->now_us
                                            : world->now_us + (local_us - now_us);
    /* a clock that was set back stands still until it has caught up */
    uint64_t own_us = world->now_us + (uint64_t)process->clock_us;
    if (due_us != SIM_NEVER && due_us > world->now_us && own_us < now_us) due_us += now_us - own_us;
    if (!world->healing && process->act_at_us < due_us) due_us = process->act_at_us;
    if (process->connect_at_us < due_us) due_us = process->connect_at_us;
    if (process->tick_at_us < due_us) due_us = process->tick_at_us;
    if (process->drain_until_us < due_us) due_us = process->drain_until_us;
    return due_us;
}

/* Running again and again without anything coming of it is a deadline that is not meant. */
static void sim_check_idle(sim_process* process, uint64_t traffic, uint64_t events)
{
    sim* world = process->world;
    if (process->frame_us || traffic != process->wire.sent + process->wire.received || events != world->events) {
        process->idle_runs = 0;
        return;
    }
    if (process->idle_runs++ == 0) process->idle_since_us = world->now_us;
    if (world->now_us > process->idle_since_us + SIM_IDLE_US) process->idle_runs = 0;
    if (process->idle_runs > SIM_IDLE_RUNS_MAX) {
        sim_fail(world, "%s ran %d times in %u us with nothing to do: its deadline is not meant", process->name,
                 SIM_IDLE_RUNS_MAX, (unsigned)(world->now_us - process->idle_since_us));
    }
}

void sim_process_run(sim_process* process)
{
    sim* world = process->world;
    uint64_t traffic = process->wire.sent + process->wire.received;
    uint64_t events = world->events;
    process->again = false;
    if (process->frame_us) process->frame_at_us = world->now_us + process->frame_us;
    process->latest_us = sim_local_us(process);
    necpnet_result result;
    if (process->is_server) {
        sim_state_tick(process);
        result = necpnet_server_update(process->server, process->latest_us);
        sim_server_poll(process);
        if (!world->healing && process->act_at_us <= world->now_us) sim_server_act(process);
        if (process->drain_until_us <= world->now_us) {
            sim_crash(process);
            sim_start_server(world);
            return;
        }
    } else {
        if (process->connect_at_us <= world->now_us) sim_client_connect(process);
        result = necpnet_client_update(process->client, process->latest_us);
        sim_client_poll(process);
        sim_state_look(process);
        if (!world->healing && process->act_at_us <= world->now_us) sim_client_act(process);
    }
    if (result) sim_fail(world, "update of %s says %s", process->name, necpnet_result_name(result));
    sim_check_idle(process, traffic, events);
}
