/* kit_sim_wire - the transport between an endpoint and the simulated link.
 *
 * It passes everything on, and meanwhile: keeps some datagrams to send them again later (replay, theft), holds those of
 * a clogged client, and counts for each address what the server got from it and sent to it. An address is proven when
 * the server says ACCEPT to it, for then it has shown the server's own cookie; until then the server may not send it
 * more than it sent, and packets of a connection that seems to have moved there not more than three times that. The
 * attacker's address is never proven.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn_link.h"

#define SIM_ACCEPT 4 /* first byte of the handshake's ACCEPT */

typedef struct sim_account {
    necpnet_address address;
    const sim_process* server;
    bool proven;
    uint64_t received; /* bytes from it */
    uint64_t sent;
} sim_account;

static sim_wire* sim_wire_of(void* user)
{
    return (sim_wire*)user;
}

static nn_link_host* sim_host(const sim_process* process)
{
    return (nn_link_host*)process->wire.inner->user;
}

sim_process* sim_process_at(sim* world, const necpnet_address* address)
{
    uint32_t number = (uint32_t)address->bytes[0] | (uint32_t)address->bytes[1] << 8;
    for (int i = 0; i < world->process_count; i++) {
        sim_process* process = world->processes[i];
        if (process->host_number == number && address->family == NECPNET_ADDRESS_MEMORY) return process;
    }
    return NULL;
}

static struct sim_account* sim_account_of(sim* world, const necpnet_address* address)
{
    for (int i = world->account_count - 1; i >= 0; i--) {
        sim_account* account = &world->accounts[i];
        if (account->server == world->server && necpnet_address_equal(&account->address, address)) return account;
    }
    if (world->account_count == world->account_capacity) {
        world->account_capacity = world->account_capacity ? world->account_capacity * 2 : 64;
        world->accounts = (sim_account*)realloc(world->accounts, (size_t)world->account_capacity * sizeof(sim_account));
    }
    sim_account* account = &world->accounts[world->account_count++];
    memset(account, 0, sizeof *account);
    account->address = *address;
    account->server = world->server;
    return account;
}

/* ---- in -- */

static void sim_on_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    sim_wire* wire = sim_wire_of(user);
    sim* world = wire->process->world;
    wire->received++;
    if (wire->process->is_server) sim_account_of(world, from)->received += bytes;
    wire->sink.on_datagram(wire->sink.user, from, data, bytes, waited_us);
}

static void* sim_on_accept(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    sim_wire* wire = sim_wire_of(user);
    wire->received++;
    return wire->sink.on_accept(wire->sink.user, stream, from);
}

static void sim_on_resolved(void* user, uint64_t request, const necpnet_address* addresses, int count,
                            necpnet_result reason)
{
    sim_wire* wire = sim_wire_of(user);
    wire->received++;
    wire->sink.on_resolved(wire->sink.user, request, addresses, count, reason);
}

static necpnet_result sim_attach(void* user, const necpnet_sink* sink)
{
    sim_wire* wire = sim_wire_of(user);
    wire->sink = *sink;
    necpnet_sink own = *sink;
    own.user = wire;
    own.on_datagram = sim_on_datagram;
    own.on_accept = sim_on_accept;
    own.on_resolved = sim_on_resolved;
    return wire->inner->attach(wire->inner->user, &own);
}

static void sim_detach(void* user)
{
    sim_wire_of(user)->inner->detach(sim_wire_of(user)->inner->user);
}

static void sim_receive(void* user, uint64_t now_us)
{
    sim_wire* wire = sim_wire_of(user);
    if (sim_host(wire->process)->inbox.first) wire->received++;
    wire->inner->receive(wire->inner->user, now_us);
}

/* ---- out -- */

static void sim_capture(sim_process* from, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    sim* world = from->world;
    if (!sim_chance(world, 30000)) return;
    struct sim_captured* place = &world->captured[sim_random(world, SIM_CAPTURED_MAX)];
    free(place->data);
    place->data = (uint8_t*)malloc(bytes ? bytes : 1);
    memcpy(place->data, data, bytes);
    place->bytes = bytes;
    place->from = from;
    place->to = *to;
}

static void sim_charge(sim_process* server, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    sim* world = server->world;
    sim_account* account = sim_account_of(world, to);
    bool is_attacker = world->attacker && sim_process_at(world, to) == world->attacker;
    account->sent += bytes;
    if (account->proven) return;
    uint64_t times = bytes && data[0] >= 0x80 ? 3 : 1; /* a path that is being challenged; before any connection */
    if (account->sent > account->received * times) {
        sim_fail(world, "the server sent %llu bytes to the unproven %s, which sent it %llu (first byte 0x%02x)",
                 (unsigned long long)account->sent, is_attacker ? "attacker" : "address",
                 (unsigned long long)account->received, bytes ? data[0] : 0);
    }
    if (!is_attacker && bytes && (data[0] == SIM_ACCEPT || data[0] >= 0x80)) account->proven = true;
}

static void sim_hold(sim_process* client, sim_process* from, const necpnet_address* to, const uint8_t* data,
                     size_t bytes)
{
    sim_held* held = (sim_held*)malloc(sizeof *held + bytes);
    held->next = NULL;
    held->from = from;
    held->to = *to;
    held->bytes = bytes;
    held->data = (uint8_t*)(held + 1);
    memcpy(held->data, data, bytes);
    if (client->held_last) {
        client->held_last->next = held;
    } else {
        client->held_first = held;
    }
    client->held_last = held;
}

static necpnet_result sim_send_datagram(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    sim_wire* wire = sim_wire_of(user);
    sim_process* from = wire->process;
    wire->sent++;
    sim_process* client = from->is_server ? sim_process_at(from->world, to) : from;
    if (from->is_server) sim_charge(from, to, data, bytes);
    sim_capture(from, to, data, bytes);
    if (client && client->clogged) {
        sim_hold(client, from, to, data, bytes);
        return NECPNET_OK;
    }
    return wire->inner->send_datagram(wire->inner->user, to, data, bytes);
}

static necpnet_result sim_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    sim_wire* wire = sim_wire_of(user);
    wire->sent++;
    return wire->inner->resolve(wire->inner->user, request, host, port);
}

static necpnet_result sim_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                      necpnet_stream** out_stream)
{
    sim_wire* wire = sim_wire_of(user);
    wire->sent++;
    return wire->inner->open_stream(wire->inner->user, to, url, context, out_stream);
}

static necpnet_result sim_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    sim_wire* wire = sim_wire_of(user);
    wire->sent++;
    return wire->inner->send_stream(wire->inner->user, stream, data, bytes);
}

static size_t sim_pending(void* user, necpnet_stream* stream)
{
    return sim_wire_of(user)->inner->pending(sim_wire_of(user)->inner->user, stream);
}

static void sim_pause_stream(void* user, necpnet_stream* stream, bool paused)
{
    sim_wire_of(user)->inner->pause(sim_wire_of(user)->inner->user, stream, paused);
}

static void sim_close_stream(void* user, necpnet_stream* stream, bool at_once)
{
    sim_wire* wire = sim_wire_of(user);
    wire->sent++;
    wire->inner->close_stream(wire->inner->user, stream, at_once);
}

static void sim_flush(void* user)
{
    sim_wire_of(user)->inner->flush(sim_wire_of(user)->inner->user);
}

static necpnet_result sim_rebind(void* user)
{
    return sim_wire_of(user)->inner->rebind(sim_wire_of(user)->inner->user);
}

static void sim_local_ports(void* user, int* out_udp, int* out_tcp)
{
    sim_wire_of(user)->inner->local_ports(sim_wire_of(user)->inner->user, out_udp, out_tcp);
}

void sim_wire_begin(sim_process* process)
{
    sim_wire* wire = &process->wire;
    necpnet_transport* transport = &wire->transport;
    wire->process = process;
    wire->inner = process->host;
    process->host_number = sim_host(process)->number;
    transport->user = wire;
    transport->flags = process->host->flags;
    transport->attach = sim_attach;
    transport->detach = sim_detach;
    transport->receive = sim_receive;
    transport->send_datagram = sim_send_datagram;
    transport->resolve = sim_resolve;
    transport->open_stream = sim_open_stream;
    transport->send_stream = sim_send_stream;
    transport->pending = sim_pending;
    transport->pause = sim_pause_stream;
    transport->close_stream = sim_close_stream;
    transport->flush = sim_flush;
    transport->wait = NULL;
    transport->rebind = process->host->rebind ? sim_rebind : NULL;
    transport->local_ports = sim_local_ports;
}

bool sim_wire_has_arrived(const sim_process* process)
{
    return sim_host(process)->inbox.first != NULL;
}

uint64_t sim_link_due_us(const sim* world)
{
    return world->link->heap_count ? world->link->heap[0]->due_us : SIM_NEVER;
}

void sim_wire_release(sim* world, sim_process* client)
{
    client->clogged = false;
    while (client->held_first) {
        sim_held* held = client->held_first;
        client->held_first = held->next;
        if (held->from->alive && client->alive) {
            held->from->wire.inner->send_datagram(held->from->wire.inner->user, &held->to, held->data, held->bytes);
        }
        free(held);
    }
    client->held_last = NULL;
    (void)world;
}

void sim_wire_drop(sim_process* client)
{
    client->clogged = false;
    while (client->held_first) {
        sim_held* held = client->held_first;
        client->held_first = held->next;
        free(held);
    }
    client->held_last = NULL;
}

/* ---- the attacker: garbage, and what it overheard, whole or changed, from its own address or again from where it came */

static void sim_attacker_begin(sim* world)
{
    sim_process* attacker = (sim_process*)calloc(1, sizeof *attacker);
    attacker->world = world;
    attacker->seat = SIM_CLIENTS_MAX;
    snprintf(attacker->name, sizeof attacker->name, "evil");
    world->processes[world->process_count++] = attacker;
    world->attacker = attacker;
    if (necpnet_link_add_client(world->link, &attacker->host)) sim_fail(world, "no host for the attacker");
    attacker->wire.process = attacker;
    attacker->wire.inner = attacker->host;
    attacker->host_number = sim_host(attacker)->number;
}

static void sim_attack_with_garbage(sim* world, const necpnet_address* victim)
{
    static const uint8_t firsts[] = {1, 3, 5, 2, 4, 6, 0x10, 0x11, 0x80, 0x81, 0x82, 0x86};
    uint8_t data[1300];
    size_t bytes = sim_chance(world, 400000) ? 1200 : (size_t)sim_choose(world, 0, sizeof data);
    for (size_t i = 0; i < bytes; i++) data[i] = (uint8_t)sim_random(world, 256);
    if (bytes > 1) data[0] = firsts[sim_random(world, sizeof firsts)];
    if (bytes > 1 && sim_chance(world, 700000)) data[1] = 1; /* version */
    if (bytes > 2 && sim_chance(world, 700000)) data[2] = 2; /* plaintext */
    if (bytes > 44 && sim_chance(world, 500000)) memset(data + 44, 0, bytes - 44);
    sim_count(world, SIM_GARBAGE);
    sim_note(world, world->attacker, "garbage", bytes, bytes ? data[0] : 0);
    world->attacker->host->send_datagram(world->attacker->host->user, victim, data, bytes);
}

static void sim_attack_with_captured(sim* world)
{
    const struct sim_captured* captured = &world->captured[sim_random(world, SIM_CAPTURED_MAX)];
    if (!captured->data) return;
    size_t bytes = captured->bytes;
    memcpy(world->message, captured->data, bytes);
    if (captured->from->alive && sim_chance(world, 500000)) { /* the very same again, by way of the network */
        sim_count(world, SIM_REPLAYED);
        sim_note(world, captured->from, "replayed", bytes, bytes ? captured->data[0] : 0);
        captured->from->wire.inner->send_datagram(captured->from->wire.inner->user, &captured->to, world->message,
                                                  bytes);
        return;
    }
    if (sim_chance(world, 300000)) bytes = (size_t)sim_random(world, bytes + 1);
    if (bytes && sim_chance(world, 300000))
        world->message[sim_random(world, bytes)] ^= (uint8_t)(1u << sim_random(world, 8));
    sim_count(world, SIM_STOLEN);
    sim_note(world, world->attacker, "stolen", bytes, bytes ? world->message[0] : 0);
    world->attacker->host->send_datagram(world->attacker->host->user, &captured->to, world->message, bytes);
}

void sim_attack(sim* world)
{
    if (!world->attacker) sim_attacker_begin(world);
    world->attack_at_us = world->now_us + sim_choose(world, 1000, 200000);
    if (sim_chance(world, 500000)) {
        sim_attack_with_captured(world);
        return;
    }
    sim_process* victim = sim_chance(world, 700000)
                              ? world->server
                              : world->clients[sim_random(world, (uint64_t)world->settings.clients)];
    if (!victim || !victim->alive) return;
    necpnet_address address = nn_link_address(sim_host(victim));
    sim_attack_with_garbage(world, &address);
}

void sim_wire_end(sim* world)
{
    for (int i = 0; i < SIM_CAPTURED_MAX; i++) free(world->captured[i].data);
    free(world->accounts);
    if (world->attacker) necpnet_link_remove(world->link, world->attacker->host);
}
