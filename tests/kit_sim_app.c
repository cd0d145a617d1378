/* kit_sim_app - the applications of the simulated world: what they send, and what they do with what they hear. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_BURST_MAX 24

/* ---- sending -- */

/* One that sends: a client, or the server to one peer. */
typedef struct sim_sender {
    sim_process* process;
    sim_peer* peer; /* NULL: a client */
} sim_sender;

static sim_log* sim_sender_log(const sim_sender* sender, int channel)
{
    return sender->peer ? &sender->peer->down[channel] : &sender->process->up[channel];
}

static size_t sim_choose_bytes(sim* world, int channel, bool may_be_nameless)
{
    size_t max = world->settings.channels[channel].message_bytes_max;
    uint64_t kind = sim_random(world, 100);
    if (may_be_nameless && kind < 20) return (size_t)sim_random(world, 8);
    if (kind < 22) return max;
    return (size_t)sim_choose(world, 8, kind < 40 ? max : max < 400 ? max : 400);
}

static necpnet_result sim_send_once(const sim_sender* sender, int channel, size_t bytes, bool plain)
{
    sim* world = sender->process->world;
    necpnet_channel_mode mode = world->settings.channels[channel].mode;
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    uint32_t id = sim_message_new(world, bytes, &options.name);
    uint8_t state = 0;
    if (!plain && mode >= NECPNET_RELIABLE_SEQUENCED && sim_chance(world, 150000)) {
        options.wants_receipt = true;
        options.receipt = id;
        state = SIM_RECEIPT;
    }
    if (mode < NECPNET_RELIABLE_SEQUENCED && sim_chance(world, 150000)) {
        options.has_deadline = true;
        options.deadline_us = sim_local_us(sender->process) + sim_choose(world, 0, 100000);
        sim_count(world, SIM_DEADLINE_SENT);
    }
    necpnet_result result =
        sender->peer ? necpnet_server_send_with(sender->process->server, sender->peer->peer, channel, world->message,
                                                bytes, &options)
                     : necpnet_client_send_with(sender->process->client, channel, world->message, bytes, &options);
    if (result == NECPNET_OK) {
        sim_note(world, sender->process, sender->peer ? "sends to a peer" : "sends", id,
                 (uint64_t)channel << 32 | bytes);
        sim_log_add(world, sim_sender_log(sender, channel), id, state);
    }
    return result;
}

static void sim_send(const sim_sender* sender, int channel)
{
    sim* world = sender->process->world;
    sim_log* log = sim_sender_log(sender, channel);
    bool ordered = world->settings.channels[channel].mode == NECPNET_RELIABLE_ORDERED;
    /* a handler may hear of the old session still, while what it sends is the next one's already */
    bool in_session = sender->peer || necpnet_client_get_state(sender->process->client) == NECPNET_CLIENT_CONNECTED;
    size_t bytes = sim_choose_bytes(world, channel, ordered && log->greeted && in_session);
    necpnet_result result = sim_send_once(sender, channel, bytes, false);
    if (result == NECPNET_OK) {
        if (bytes >= 8) log->greeted = true;
    } else if (result == NECPNET_ERR_WOULD_BLOCK) {
        sim_count(world, SIM_BLOCKED);
        if (!sender->peer) sender->process->blocked[channel] = true;
    } else if (result != NECPNET_ERR_NOT_CONNECTED && result != NECPNET_ERR_NOT_FOUND &&
               !(result == NECPNET_ERR_OUT_OF_MEMORY && world->settings.failing_ppm)) {
        sim_fail(world, "%s sends %llu bytes on channel %d: %s", sender->process->name, (unsigned long long)bytes,
                 channel, necpnet_result_name(result));
    }
}

static void sim_send_burst(const sim_sender* sender)
{
    sim* world = sender->process->world;
    uint64_t count = sim_choose(world, 1, SIM_BURST_MAX);
    int channel = (int)sim_random(world, (uint64_t)world->settings.channel_count);
    for (uint64_t i = 0; i < count; i++) {
        sim_send(sender, channel);
        if (sim_chance(world, 300000)) channel = (int)sim_random(world, (uint64_t)world->settings.channel_count);
    }
}

/* ---- a client's application -- */

void sim_client_connect(sim_process* client)
{
    sim* world = client->world;
    client->connect_at_us = SIM_NEVER;
    necpnet_result result = necpnet_client_connect(client->client, client->urls, client->url_count);
    sim_note(world, client, "connects", (uint64_t)client->url_count, client->urls[0][0] == 'u');
    if (result == NECPNET_ERR_OUT_OF_MEMORY) {
        client->connect_at_us = world->now_us + 100000;
    } else if (result != NECPNET_OK && result != NECPNET_ERR_INVALID_STATE) {
        sim_fail(world, "connect of %s says %s", client->name, necpnet_result_name(result));
    }
}

static void sim_client_connected(sim_process* client, const necpnet_event* event)
{
    sim* world = client->world;
    necpnet_statistics statistics;
    client->connected = true;
    if (event->resumed) {
        sim_count(world, SIM_RESUMED);
        sim_note(world, client, "is connected again", event->count, 0);
        return;
    }
    client->has_session = true;
    client->counted_lost += event->count;
    client->session = NULL;
    for (int i = 0; i < SIM_CHANNELS_MAX; i++) {
        client->down[i].known = true;
        client->down[i].next = 0;
    }
    if (client->connections++) sim_count(world, SIM_RECONNECTED);
    if (event->count) sim_count(world, SIM_COUNTED_LOST);
    if (!necpnet_client_get_statistics(client->client, &statistics)) {
        sim_count(world, statistics.transport == NECPNET_TRANSPORT_UDP ? SIM_UDP_SESSION : SIM_WEBSOCKET_SESSION);
    }
    sim_note(world, client, "is connected", event->count, statistics.transport);
}

/* The session ended, and what it had not delivered with it: the next begins with what is sent from now on. Where none had
 * begun, what waited for it waits on. */
static void sim_client_disconnected(sim_process* client, const necpnet_event* event)
{
    sim* world = client->world;
    bool had_session = client->has_session;
    client->connected = client->has_session = false;
    client->loading = false;
    client->suspended_until_us = SIM_NEVER;
    client->input_first = client->input_count;
    for (int i = 0; i < SIM_CHANNELS_MAX; i++) {
        if (!had_session) break;
        client->blocked[i] = false;
        client->up[i].greeted = false;
        client->up[i].first_reliable = client->up[i].count;
    }
    if (!event->will_reconnect) client->connect_at_us = world->now_us + sim_choose(world, 1000, 1000000);
    sim_note(world, client, "is disconnected", (uint64_t)(int64_t)event->reason, event->will_reconnect);
}

/* Whose messages these are: the first that names itself says it. */
static void sim_client_find_session(sim_process* client, const necpnet_event* event)
{
    sim* world = client->world;
    uint32_t id = sim_message_id(world, event);
    for (int i = world->peer_count - 1; i >= 0 && id != UINT32_MAX; i--) {
        sim_peer* peer = world->peers[i];
        if (peer->client != client || sim_log_find(&peer->down[event->channel], id) == UINT32_MAX) continue;
        client->session = peer;
        return;
    }
    sim_fail(world, "%s gets a message of %llu bytes on channel %d that was not sent to it", client->name,
             (unsigned long long)event->bytes, event->channel);
}

static void sim_client_event(sim_process* client, const necpnet_event* event)
{
    sim* world = client->world;
    switch (event->type) {
    case NECPNET_EVENT_CONNECTED: sim_client_connected(client, event); break;
    case NECPNET_EVENT_DISCONNECTED: sim_client_disconnected(client, event); break;
    case NECPNET_EVENT_SUSPENDED:
        client->connected = false;
        sim_count(world, SIM_SESSION_SUSPENDED);
        sim_note(world, client, "is suspended", (uint64_t)(int64_t)event->reason, event->will_reconnect);
        break;
    case NECPNET_EVENT_MOVED:
        sim_count(world, SIM_MOVED);
        sim_note(world, client, "has moved", 0, 0);
        break;
    case NECPNET_EVENT_CONNECT_FAILED:
        sim_note(world, client, "cannot connect", (uint64_t)(int64_t)event->reason, event->will_reconnect);
        if (!event->will_reconnect) client->connect_at_us = world->now_us + sim_choose(world, 1000, 500000);
        break;
    case NECPNET_EVENT_MESSAGE:
        if (!client->session) sim_client_find_session(client, event);
        if (!client->session) break;
        sim_delivered(world, client, &client->session->down[event->channel], &client->down[event->channel], event);
        break;
    case NECPNET_EVENT_RECEIPT: sim_receipted(world, client, &client->up[event->channel], event); break;
    case NECPNET_EVENT_WRITABLE:
        sim_count(world, SIM_WRITABLE);
        client->blocked[event->channel] = false;
        break;
    case NECPNET_EVENT_QUERY_ANSWER: sim_count(world, SIM_QUERY_ANSWERED); break;
    default: break;
    }
}

static void sim_handle_client(const necpnet_event* event, void* user)
{
    sim_process* client = (sim_process*)user;
    sim_sender sender = {client, NULL};
    sim_count(client->world, SIM_HANDLER);
    sim_client_event(client, event);
    if (client->world->healing) return;
    if (sim_chance(client->world, 30000)) sim_send_burst(&sender);
    if (sim_chance(client->world, 500)) necpnet_client_disconnect(client->client, 3, "from a handler", 100);
}

void sim_client_poll(sim_process* client)
{
    necpnet_event event;
    if (client->dispatches) {
        necpnet_client_dispatch(client->client);
    } else {
        while (!client->world->failed && necpnet_client_poll(client->client, &event)) sim_client_event(client, &event);
    }
}

static void sim_client_rest(sim_process* client, bool resume)
{
    sim* world = client->world;
    if (resume) {
        client->suspended_until_us = SIM_NEVER;
        sim_note(world, client, "resumes", 0, 0);
        necpnet_client_resume(client->client, sim_local_us(client));
    } else if (!necpnet_client_suspend(client->client, sim_local_us(client))) {
        client->suspended_until_us = world->now_us + sim_choose(world, 1000, 3000000);
        sim_count(world, SIM_SUSPENDED);
        sim_note(world, client, "suspends", 0, 0);
    }
}

static void sim_client_do_rare(sim_process* client)
{
    sim* world = client->world;
    switch (sim_random(world, 7)) {
    case 0:
        if (!necpnet_client_disconnect(client->client, 7, "bye", (uint32_t)sim_choose(world, 0, 1000))) {
            sim_count(world, SIM_DISCONNECTED_IN_ORDER);
            sim_note(world, client, "disconnects", 0, 0);
        }
        break;
    case 1: sim_client_rest(client, false); break;
    case 2:
        client->loading = !client->loading;
        if (!necpnet_client_set_loading(client->client, client->loading)) sim_count(world, SIM_LOADING);
        break;
    case 3: necpnet_client_query(client->client, "udp://server:7777"); break;
    case 4:
        necpnet_client_set_bandwidth_limit(client->client, (uint32_t)sim_choose(world, 20000, UINT32_MAX));
        sim_count(world, SIM_LIMITED);
        break;
    case 5:
        if (!necpnet_client_migrate(client->client)) sim_count(world, SIM_MIGRATED);
        break;
    default: necpnet_client_flush(client->client, sim_local_us(client)); break;
    }
}

void sim_client_act(sim_process* client)
{
    sim* world = client->world;
    sim_sender sender = {client, NULL};
    client->act_at_us = world->now_us + 1 + sim_random(world, (uint64_t)client->act_us * 2);
    if (client->suspended_until_us != SIM_NEVER) {
        if (client->suspended_until_us <= world->now_us) sim_client_rest(client, true);
        return;
    }
    uint64_t kind = sim_random(world, 1000);
    if (kind < 700) sim_send_burst(&sender);
    if (kind >= 600 && kind < 950) sim_state_send_input(client);
    sim_writes_act(client);
    if (kind >= 990) sim_client_do_rare(client);
}

/* ---- the server's application -- */

/* sim_peer_of - the world's record of a session, made when it is first heard of. */
sim_peer* sim_peer_of(sim_process* server, necpnet_peer peer)
{
    sim* world = server->world;
    necpnet_peer_info info;
    for (int i = world->peer_count - 1; i >= 0; i--) {
        if (world->peers[i]->peer == peer && world->peers[i]->server == server) return world->peers[i];
    }
    if (world->peer_count == SIM_PEERS_MAX || necpnet_server_get_peer(server->server, peer, &info)) {
        sim_fail(world, "no place for a session, or no such session");
        return NULL;
    }
    sim_peer* made = (sim_peer*)calloc(1, sizeof *made);
    world->peers[world->peer_count++] = made;
    made->peer = peer;
    made->server = server;
    made->client = sim_process_at(world, &info.address);
    made->connected = true;
    made->input_next = UINT32_MAX;
    made->rooms = 1;
    if (!made->client || made->client->is_server || made->client == world->attacker) {
        sim_fail(world, "a session for somebody who is no client");
    }
    return made;
}

static sim_peer* sim_any_peer(sim_process* server)
{
    sim* world = server->world;
    sim_peer* chosen = NULL;
    uint64_t seen = 0;
    for (int i = 0; i < world->peer_count; i++) {
        sim_peer* peer = world->peers[i];
        if (peer->server == server && peer->connected && sim_random(world, ++seen) == 0) chosen = peer;
    }
    return chosen;
}

static void sim_server_kick(sim_process* server, sim_peer* peer, bool from_handler)
{
    sim* world = server->world;
    if (necpnet_server_kick(server->server, peer->peer, 5, "out", (uint32_t)sim_choose(world, 0, 500))) return;
    peer->ending = true;
    sim_count(world, from_handler ? SIM_KICKED_FROM_HANDLER : SIM_KICKED);
    sim_note(world, server, "kicks", peer->client->host_number, 0);
}

/* What the server sent and the client did not get is counted by the event. */
static void sim_check_ended(sim_process* server, sim_peer* peer, const necpnet_event* event)
{
    sim* world = server->world;
    uint64_t missing = 0;
    peer->connected = peer->suspended = false;
    for (int i = 0; i < world->settings.channel_count; i++) {
        const sim_log* log = &peer->down[i];
        if (peer->up[i].early_count) peer->client->unplaced += peer->up[i].early_count;
        if (world->settings.channels[i].mode < NECPNET_RELIABLE_UNORDERED) continue;
        for (uint32_t at = 0; at < log->count; at++) missing += !(log->states[at] & (SIM_DELIVERED | SIM_OPTIONAL));
    }
    if (event->count) sim_count(world, SIM_SERVER_COUNTED_LOST);
    if (missing > event->count && peer->client->alive) {
        sim_fail(world, "a session with %s ends with %llu reliable messages that never arrived, and tells of %llu",
                 peer->client->name, (unsigned long long)missing, (unsigned long long)event->count);
    }
}

static void sim_server_event(sim_process* server, const necpnet_event* event)
{
    sim* world = server->world;
    sim_peer* peer = sim_peer_of(server, event->peer);
    if (!peer) return;
    switch (event->type) {
    case NECPNET_EVENT_CONNECTED: {
        sim_sender sender = {server, peer};
        peer->suspended = false;
        if (event->resumed) {
            sim_note(world, server, "has again the session with", peer->client->host_number, event->peer);
            break;
        }
        peer->announced = true;
        sim_note(world, server, "has a session with", peer->client->host_number, event->peer);
        server->memory.fail_ppm = 0; /* the client knows its session by these */
        for (int i = 0; i < world->settings.channel_count; i++) sim_send(&sender, i);
        server->memory.fail_ppm = world->settings.failing_ppm;
        break;
    }
    case NECPNET_EVENT_DISCONNECTED:
        sim_check_ended(server, peer, event);
        sim_note(world, server, "lost the session with", peer->client->host_number, (uint64_t)(int64_t)event->reason);
        break;
    case NECPNET_EVENT_SUSPENDED:
        peer->suspended = true;
        sim_note(world, server, "waits for", peer->client->host_number, (uint64_t)(int64_t)event->reason);
        break;
    case NECPNET_EVENT_MESSAGE:
        sim_delivered(world, server, &peer->client->up[event->channel], &peer->up[event->channel], event);
        break;
    case NECPNET_EVENT_RECEIPT: sim_receipted(world, server, &peer->down[event->channel], event); break;
    case NECPNET_EVENT_WRITABLE: sim_count(world, SIM_WRITABLE); break;
    case NECPNET_EVENT_INPUT: sim_state_input(server, peer, event); break;
    default: break;
    }
}

static void sim_handle_server(const necpnet_event* event, void* user)
{
    sim_process* server = (sim_process*)user;
    sim* world = server->world;
    sim_count(world, SIM_HANDLER);
    sim_server_event(server, event);
    sim_peer* peer = sim_peer_of(server, event->peer);
    if (world->healing || !peer || event->type != NECPNET_EVENT_MESSAGE) return;
    sim_sender sender = {server, peer};
    if (sim_chance(world, 30000)) sim_send_burst(&sender);
    if (sim_chance(world, 1000)) sim_server_kick(server, peer, true);
}

void sim_server_poll(sim_process* server)
{
    necpnet_event event;
    if (server->dispatches) {
        necpnet_server_dispatch(server->server);
    } else {
        while (!server->world->failed && necpnet_server_poll(server->server, &event)) sim_server_event(server, &event);
    }
}

void sim_set_handlers(sim_process* process)
{
    for (int type = NECPNET_EVENT_CONNECTED; type <= NECPNET_EVENT_MOVED && process->dispatches; type++) {
        if (process->is_server) {
            necpnet_server_on_event(process->server, (necpnet_event_type)type, sim_handle_server, process);
        } else {
            necpnet_client_on_event(process->client, (necpnet_event_type)type, sim_handle_client, process);
        }
    }
}

/* What is sent to many has one number in the logs of all; so a client with two sessions could not tell whose it gets. */
static bool sim_everybody_once(sim_process* server)
{
    sim* world = server->world;
    necpnet_peer at = NECPNET_PEER_NONE;
    bool seen[SIM_CLIENTS_MAX] = {false};
    while ((at = necpnet_server_next_peer(server->server, at)) != NECPNET_PEER_NONE) {
        const sim_peer* peer = sim_peer_of(server, at);
        if (!peer || world->failed || seen[peer->client->seat]) return false;
        seen[peer->client->seat] = true;
    }
    return true;
}

static void sim_server_cast(sim_process* server, necpnet_group group)
{
    sim* world = server->world;
    int channel = (int)sim_random(world, (uint64_t)world->settings.channel_count);
    size_t refused = 0;
    necpnet_send_options options;
    if (!sim_everybody_once(server)) return;
    size_t bytes = sim_choose_bytes(world, channel, false);
    memset(&options, 0, sizeof options);
    uint32_t id = sim_message_new(world, bytes, &options.name);
    const sim_peer* spared = sim_chance(world, 300000) ? sim_any_peer(server) : NULL;
    necpnet_peer except = spared ? spared->peer : NECPNET_PEER_NONE;
    necpnet_result result =
        group ? necpnet_server_group_send(server->server, group, except, channel, world->message, bytes, &options,
                                          &refused)
              : necpnet_server_broadcast(server->server, except, channel, world->message, bytes, &options, &refused);
    if (result != NECPNET_OK) return;
    sim_count(world, group ? SIM_GROUP_SENT : SIM_BROADCAST);
    sim_note(world, server, group ? "sends to a group" : "broadcasts", id, (uint64_t)channel << 32 | bytes);
    for (int i = 0; i < world->peer_count; i++) {
        sim_peer* peer = world->peers[i];
        if (peer->server != server || !peer->connected || peer->peer == except) continue;
        bool is_sure = !group && !refused && !peer->ending && !peer->suspended;
        sim_log_add(world, &peer->down[channel], id, is_sure ? 0 : SIM_OPTIONAL);
    }
    if (id == world->next_id) world->next_id++;
}

static void sim_server_do_rare(sim_process* server)
{
    sim* world = server->world;
    sim_peer* peer = sim_any_peer(server);
    uint64_t at = sim_random(world, 2);
    switch (sim_random(world, 6)) {
    case 0:
        if (peer) sim_server_kick(server, peer, false);
        break;
    case 1:
        if (peer) necpnet_server_set_loading(server->server, peer->peer, sim_chance(world, 500000));
        break;
    case 2:
        if (peer) {
            necpnet_server_set_bandwidth_limit(server->server, peer->peer,
                                               (uint32_t)sim_choose(world, 20000, UINT32_MAX));
            sim_count(world, SIM_LIMITED);
        }
        break;
    case 3:
        if (server->groups[at]) necpnet_server_group_destroy(server->server, server->groups[at]);
        server->groups[at] = 0;
        break;
    default:
        if (peer && server->groups[at]) necpnet_server_group_remove(server->server, server->groups[at], peer->peer);
        break;
    }
}

void sim_server_act(sim_process* server)
{
    sim* world = server->world;
    sim_peer* peer = sim_any_peer(server);
    sim_sender sender = {server, peer};
    uint64_t at = sim_random(world, 2);
    uint64_t kind = sim_random(world, 1000);
    server->act_at_us =
        world->now_us + 1 + sim_random(world, (uint64_t)server->act_us * 2 / (uint64_t)world->settings.clients);
    if (kind < 700 && peer) sim_send_burst(&sender);
    if (kind >= 700 && kind < 800) sim_server_cast(server, 0);
    if (kind >= 800 && kind < 900 && server->groups[at]) sim_server_cast(server, server->groups[at]);
    if (kind >= 900 && kind < 990) {
        if (!server->groups[at] && necpnet_server_group_create(server->server, &server->groups[at]))
            server->groups[at] = 0;
        if (peer && server->groups[at]) necpnet_server_group_add(server->server, server->groups[at], peer->peer);
    }
    if (kind >= 990) sim_server_do_rare(server);
}
