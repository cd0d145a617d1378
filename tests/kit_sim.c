/* kit_sim - the run of a simulated world: from the seed to settings, through virtual time, to the verdict. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_BEGIN_US 1000000u
#define SIM_HEAL_US 10000000u /* within which everybody must be well again .. */
#define SIM_HEAL_RATE \
    5000u /* .. and longer by the time that what is queued for one takes at so many bytes a second: the
                               congestion control may take frames of 30 a second for a queue, and keeps 8 kB/s then */
#define SIM_HEAL_OVERHEAD 40u                         /* bytes of a packet that are not the messages' */
#define SIM_STEPS_MAX 4000000u                        /* of the loop: more is a busy loop somewhere */
#define SIM_HASH_BASIS UINT64_C(14695981039346656037) /* FNV-1a */

uint64_t sim_counts[SIM_KIND_COUNT];

const char* sim_kind_name(sim_kind kind)
{
    static const char* const names[] = {
#define SIM_KIND_TEXT(name) #name,
        SIM_KINDS(SIM_KIND_TEXT)
#undef SIM_KIND_TEXT
    };
    return names[kind];
}

/* ---- chance: whole numbers alone, so that every machine draws the same -- */

/* splitmix64 */
uint64_t sim_random(sim* world, uint64_t below)
{
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return below ? z % below : 0;
}

bool sim_chance(sim* world, uint32_t ppm)
{
    return sim_random(world, 1000000) < ppm;
}

uint64_t sim_choose(sim* world, uint64_t low, uint64_t high)
{
    int steps = 0;
    while (steps < 62 && (low + 1) << steps <= high) steps++;
    uint64_t from = ((low + 1) << sim_random(world, (uint64_t)steps + 1)) - 1;
    uint64_t value = from + sim_random(world, from + 1);
    return value < low ? low : value > high ? high : value;
}

/* ---- telling -- */

void sim_count(sim* world, sim_kind kind)
{
    (void)world;
    sim_counts[kind]++;
}

static void sim_hash(sim* world, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        world->hash ^= value >> 8 * i & 0xFF;
        world->hash *= UINT64_C(1099511628211);
    }
}

void sim_note(sim* world, const sim_process* who, const char* what, uint64_t a, uint64_t b)
{
    world->events++;
    sim_hash(world, world->now_us);
    sim_hash(world, who ? who->host_number : 0xFFFF);
    for (const char* c = what; *c; c++) sim_hash(world, (uint64_t)(unsigned char)*c);
    sim_hash(world, a);
    sim_hash(world, b);
    if (!world->traced) return;
    printf("%3u.%06u  %-7s %-22s %llu %llu\n", (unsigned)(world->now_us / 1000000), (unsigned)(world->now_us % 1000000),
           who ? who->name : "world", what, (unsigned long long)a, (unsigned long long)b);
}

void sim_fail(sim* world, const char* format, ...)
{
    if (world->failed) return;
    world->failed = true;
    int used = snprintf(world->failure, sizeof world->failure, "at %u.%06u s%s: ", (unsigned)(world->now_us / 1000000),
                        (unsigned)(world->now_us % 1000000), world->healing ? " (healing)" : "");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->failure + used, sizeof world->failure - (size_t)used, format, arguments);
    va_end(arguments);
    if (world->traced) printf("FAILED %s\n", world->failure);
}

/* ---- the settings of a seed -- */

static void sim_settle_channels(sim* world)
{
    static const uint32_t sizes[] = {64, 1200, 8192, 30000, 65536};
    sim_settings* settings = &world->settings;
    settings->channel_count = 5 + (int)sim_random(world, SIM_CHANNELS_MAX - 5 + 1);
    for (int i = 0; i < settings->channel_count; i++) {
        necpnet_channel_config* row = &settings->channels[i];
        necpnet_channel_mode mode = (necpnet_channel_mode)(i < 5 ? (uint64_t)i : sim_random(world, 5));
        necpnet_channel_config_default(row, mode);
        bool exact = mode == NECPNET_RELIABLE_ORDERED || mode == NECPNET_RELIABLE_UNORDERED;
        row->message_bytes_max = sizes[sim_random(world, exact ? 5 : 4)];
        row->priority = (necpnet_priority)sim_random(world, 4);
        row->redundancy = sim_chance(world, 250000);
        row->compress = sim_chance(world, 500000);
        row->queue_messages_max = (uint32_t)sim_choose(world, 2, 4096);
        row->queue_bytes_max = (uint32_t)sim_choose(world, row->message_bytes_max, 1u << 20);
        /* a window goes once a round trip: what is queued must get through within the time of healing */
        uint32_t least = row->queue_bytes_max / 24;
        if (least < row->message_bytes_max) least = row->message_bytes_max;
        row->window_bytes = (uint32_t)sim_choose(world, least, 1u << 20);
    }
}

static void sim_settle(sim* world)
{
    sim_settings* settings = &world->settings;
    necpnet_link_config* link = &settings->link;
    settings->clients = 1 + (int)sim_random(world, SIM_CLIENTS_MAX);
    settings->safety_ms = 2000 + (uint32_t)sim_random(world, 6000);
    necpnet_link_config_default(link);
    link->seed = sim_random(world, UINT64_MAX);
    link->latency_us = (uint32_t)sim_choose(world, 0, 150000);
    link->jitter_us = (uint32_t)sim_choose(world, 0, 50000);
    if (sim_chance(world, 750000)) link->loss_ppm = (uint32_t)sim_random(world, 300001);
    if (sim_chance(world, 500000)) link->duplicate_ppm = (uint32_t)sim_random(world, 200001);
    if (sim_chance(world, 500000)) link->reorder_ppm = (uint32_t)sim_random(world, 300001);
    if (sim_chance(world, 500000)) link->corrupt_ppm = (uint32_t)sim_random(world, 50001);
    if (sim_chance(world, 250000)) link->cut_ppm = (uint32_t)sim_random(world, 10001);
    if (sim_chance(world, 400000)) {
        link->bandwidth_bps = sim_choose(world, 64000, 20000000);
        uint64_t most = link->bandwidth_bps / 8 * 2; /* two seconds of buffer: what is in it survives the healing */
        link->queue_bytes = (uint32_t)sim_choose(world, 4096, most < 262144 ? most : 262144);
    }
    settings->tick_hz = 20 + (uint32_t)sim_random(world, 41);
    settings->has_state = sim_chance(world, 600000);
    settings->has_rooms = settings->has_state && world->seed % 2;
    settings->has_writes = settings->has_state && world->seed % 3 == 2;
    settings->faults_ms = (uint32_t)sim_choose(world, 150, 4000);
    settings->failing_ppm = sim_chance(world, 300000) ? (uint32_t)sim_choose(world, 100, 20000) : 0;
    settings->has_attacker = sim_chance(world, 700000);
    settings->resume_window_ms = sim_chance(world, 700000) ? (uint32_t)sim_choose(world, 200, 6000) : 0;
    settings->key_interval_ms = sim_chance(world, 500000) ? 1000 + (uint32_t)sim_random(world, 2000) : 600000;
    sim_settle_channels(world);
}

/* ---- time -- */

static uint64_t sim_next_us(const sim* world)
{
    uint64_t next_us = sim_link_due_us(world);
    for (int i = -1; i < world->settings.clients; i++) {
        const sim_process* process = i < 0 ? world->server : world->clients[i];
        uint64_t due_us = process ? sim_process_due_us(process) : SIM_NEVER;
        if (due_us < next_us) next_us = due_us;
    }
    if (!world->healing) {
        if (world->fault_at_us < next_us) next_us = world->fault_at_us;
        if (world->attack_at_us < next_us) next_us = world->attack_at_us;
        if (world->end_us < next_us) next_us = world->end_us;
    }
    return next_us < world->now_us ? world->now_us : next_us;
}

static void sim_step(sim* world, uint64_t until_us)
{
    uint64_t next_us = sim_next_us(world);
    world->now_us = next_us < until_us ? next_us : until_us;
    necpnet_link_advance(world->link, world->now_us);
    for (int i = -1; i < world->settings.clients && !world->failed; i++) {
        sim_process* process = i < 0 ? world->server : world->clients[i];
        if (process && sim_process_due_us(process) <= world->now_us) sim_process_run(process);
    }
    if (world->healing || world->failed) return;
    if (world->fault_at_us <= world->now_us) sim_faults(world);
    if (world->attack_at_us <= world->now_us) sim_attack(world);
}

static void sim_pass(sim* world, uint64_t until_us, bool (*is_over)(sim* world, char* text, size_t text_bytes))
{
    uint64_t looked_us = 0;
    for (uint64_t steps = 0; world->now_us < until_us && !world->failed; steps++) {
        sim_step(world, until_us);
        if (steps == SIM_STEPS_MAX)
            sim_fail(world, "%u steps of the loop: somebody is busy with nothing", SIM_STEPS_MAX);
        if (is_over && world->now_us >= looked_us + 20000) {
            char text[256];
            looked_us = world->now_us;
            if (is_over(world, text, sizeof text)) return;
        }
    }
}

/* ---- the second phase -- */

static bool sim_client_is_well(sim* world, sim_process* client, char* text, size_t text_bytes)
{
    if (!client->connected || !client->session || !client->session->connected) {
        snprintf(text, text_bytes, "%s is %s", client->name,
                 client->connected ? "connected, but has heard nothing of its session" : "not connected");
        return false;
    }
    sim_peer* peer = client->session;
    for (int i = 0; i < world->settings.channel_count; i++) {
        uint32_t missing = 0;
        if (!sim_log_is_whole(world, i, &client->up[i], client->up[i].first_reliable, &missing)) {
            snprintf(text, text_bytes, "message %u of %s to the server on channel %d has not arrived", missing,
                     client->name, i);
            return false;
        }
        if (!sim_log_is_whole(world, i, &peer->down[i], 0, &missing)) {
            snprintf(text, text_bytes, "message %u of the server to %s on channel %d has not arrived", missing,
                     client->name, i);
            return false;
        }
        if (client->blocked[i]) {
            snprintf(text, text_bytes, "%s was told WOULD_BLOCK on channel %d and has no EVENT_WRITABLE", client->name,
                     i);
            return false;
        }
    }
    if (peer->input_next != client->input_count && client->input_first < client->input_count) {
        snprintf(text, text_bytes, "inputs of %s from %u on have not arrived", client->name,
                 (unsigned)peer->input_next);
        return false;
    }
    necpnet_statistics statistics;
    if (!necpnet_client_get_statistics(client->client, &statistics) && statistics.key_phase) {
        sim_count(world, SIM_KEYS_CHANGED);
    }
    return sim_state_equal(client, peer, text, text_bytes);
}

/* What did not arrive was lost with a session that ended, and told with the next. */
static bool sim_is_counted(const sim* world, const sim_process* client, char* text, size_t text_bytes)
{
    uint64_t missing = 0;
    for (int i = 0; i < world->settings.channel_count; i++) {
        if (world->settings.channels[i].mode < NECPNET_RELIABLE_UNORDERED) continue;
        missing += client->up[i].count - client->up[i].delivered;
    }
    uint64_t unplaced = client->unplaced;
    for (int i = 0; i < world->settings.channel_count && client->session; i++) {
        unplaced += client->session->up[i].early_count;
    }
    bool is_counted = missing <= client->counted_lost + unplaced;
    if (!is_counted) {
        snprintf(text, text_bytes, "%s sent %llu reliable messages that did not arrive, and was told of %llu",
                 client->name, (unsigned long long)missing, (unsigned long long)(client->counted_lost + unplaced));
    }
    return is_counted;
}

static bool sim_is_well(sim* world, char* text, size_t text_bytes)
{
    for (int i = 0; i < world->settings.clients; i++) {
        if (!sim_client_is_well(world, world->clients[i], text, text_bytes)) return false;
        if (!sim_is_counted(world, world->clients[i], text, text_bytes)) return false;
    }
    int connected = 0;
    for (int i = 0; i < world->peer_count; i++) {
        const sim_peer* peer = world->peers[i];
        connected += peer->server == world->server && peer->connected && !peer->suspended;
    }
    if (connected != world->settings.clients) {
        snprintf(text, text_bytes, "the server has %d sessions for %d clients", connected, world->settings.clients);
        return false;
    }
    return true;
}

static uint64_t sim_undelivered_bytes(const sim* world, const sim_log* log, uint32_t from)
{
    uint64_t bytes = 0;
    for (uint32_t i = from; i < log->count; i++) {
        if (!(log->states[i] & SIM_DELIVERED)) bytes += world->sizes[log->ids[i]];
    }
    return bytes;
}

/* What of the rate is left for messages where packets are small: their own bytes and the frames' go off. */
static uint64_t sim_heal_rate(const sim* world, const sim_process* client)
{
    uint32_t datagram =
        client->datagram_bytes < world->server->datagram_bytes ? client->datagram_bytes : world->server->datagram_bytes;
    return (uint64_t)SIM_HEAL_RATE * (datagram - SIM_HEAL_OVERHEAD) / datagram;
}

/* How long it may take until all is well. */
static uint64_t sim_heal_us(const sim* world)
{
    uint64_t most_us = 0;
    for (int seat = 0; seat < world->settings.clients; seat++) {
        const sim_process* client = world->clients[seat];
        uint64_t up = 0, down = 0;
        for (int i = 0; i < world->settings.channel_count; i++) {
            if (world->settings.channels[i].mode < NECPNET_RELIABLE_UNORDERED) continue;
            up += sim_undelivered_bytes(world, &client->up[i], client->up[i].first_reliable);
            if (client->session) down += sim_undelivered_bytes(world, &client->session->down[i], 0);
        }
        uint64_t us = (up > down ? up : down) * 1000000 / sim_heal_rate(world, client);
        most_us = us > most_us ? us : most_us;
    }
    return SIM_HEAL_US + most_us;
}

/* ---- a run -- */

static void sim_begin(sim* world, uint64_t seed, bool traced)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->random = seed * UINT64_C(0xd1342543de82ef95) + 1;
    world->traced = traced;
    world->hash = SIM_HASH_BASIS;
    world->now_us = SIM_BEGIN_US;
    world->wall_us = UINT64_C(1700000000000000);
    sim_settle(world);
    world->end_us = world->now_us + (uint64_t)world->settings.safety_ms * 1000;
    world->message = (uint8_t*)malloc(1u << 20);
    world->link_memory.world = world;
    world->link_memory.limit = SIZE_MAX;
    world->settings.link.allocator = sim_allocator(&world->link_memory);
    if (necpnet_link_create(&world->settings.link, &world->link)) sim_fail(world, "no link");
    necpnet_link_advance(world->link, world->now_us);
    sim_nonces_begin(world);
    sim_state_begin(world);
    world->fault_at_us = world->now_us + sim_choose(world, 1, (uint64_t)world->settings.faults_ms * 2000);
    world->attack_at_us = SIM_NEVER;
    sim_start_server(world);
    for (int i = 0; i < world->settings.clients; i++) sim_start_client(world, i);
    if (world->settings.has_attacker) sim_attack(world);
}

static void sim_end(sim* world)
{
    necpnet_link_statistics statistics;
    for (int i = 0; i < world->settings.clients; i++) sim_crash(world->clients[i]);
    if (world->server) sim_crash(world->server);
    if (!necpnet_link_get_statistics(world->link, &statistics)) {
        if (statistics.datagrams_lost) sim_count(world, SIM_LOST);
        if (statistics.datagrams_duplicated) sim_count(world, SIM_DUPLICATED);
        if (statistics.datagrams_corrupted) sim_count(world, SIM_CORRUPTED);
        if (world->settings.link.reorder_ppm) sim_count(world, SIM_REORDERED);
        if (world->settings.link.cut_ppm) sim_count(world, SIM_CUT);
        if (world->settings.link.bandwidth_bps != UINT64_MAX) sim_count(world, SIM_BANDWIDTH);
        sim_hash(world, statistics.hash);
    }
    sim_wire_end(world);
    necpnet_link_destroy(world->link);
    sim_state_end(world);
    sim_nonces_end(world);
    if (world->link_memory.blocks)
        sim_fail(world, "the link left %llu blocks", (unsigned long long)world->link_memory.blocks);
    for (int i = 0; i < world->process_count; i++) {
        sim_process* process = world->processes[i];
        for (int c = 0; c < SIM_CHANNELS_MAX; c++) sim_log_free(&process->up[c]);
        free(process->inputs);
        free(process);
    }
    for (int i = 0; i < world->peer_count; i++) {
        for (int c = 0; c < SIM_CHANNELS_MAX; c++) sim_log_free(&world->peers[i]->down[c]);
        free(world->peers[i]);
    }
    free(world->sizes);
    free(world->message);
}

bool sim_run(sim* world, uint64_t seed, bool traced)
{
    sim_begin(world, seed, traced);
    sim_pass(world, world->end_us, NULL);
    if (!world->failed) {
        char text[256] = "";
        sim_heal(world);
        uint64_t heal_us = sim_heal_us(world);
        uint64_t limit_us = world->now_us + heal_us;
        sim_pass(world, limit_us, sim_is_well);
        if (!world->failed && !sim_is_well(world, text, sizeof text)) {
            sim_fail(world, "not well %u s after the network healed: %s", (unsigned)(heal_us / 1000000), text);
        }
        sim_note(world, NULL, "well", 0, 0);
    }
    sim_end(world);
    return !world->failed;
}
