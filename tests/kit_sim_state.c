/* kit_sim_state - the server's world of entities, what the clients see of it, and their numbered inputs. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_ENTITIES_MAX 60
#define SIM_CHANGES_MAX 8 /* entities changed in a tick */
#define SIM_SLOTS (SIM_ENTITIES_MAX + 140 + 1024 + 1)
#define SIM_ROOMS 3

/* Who sees an entity: its owner, and who is in its room. */
struct sim_thing {
    uint8_t room;
};

/* Numbers that quantising keeps exactly, so that server and client can be compared byte for byte. */
typedef struct sim_body {
    float position[3];
    int32_t charge;
    uint8_t kind;
    bool is_open;
    char name[12];
    uint8_t secret; /* the owner's alone */
    uint8_t rumour; /* everybody else's */
    necpnet_entity friend_of;
} sim_body;

typedef struct sim_coin {
    uint16_t value;
    uint8_t bytes[10];
} sim_coin;

static const necpnet_field sim_body_fields[] = {
    NECPNET_VEC3(sim_body, position, 1, -1024, 1024, 0.25, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(sim_body, charge, 2, -100000, 100000, NECPNET_FIELD_SIGNED),
    NECPNET_ENUM(sim_body, kind, 3, 6, 0),
    NECPNET_BOOL(sim_body, is_open, 4, 0),
    NECPNET_STRING(sim_body, name, 5, NECPNET_FIELD_SLOW),
    NECPNET_INTEGER(sim_body, secret, 6, 0, 255, NECPNET_FIELD_OWNER_ONLY),
    NECPNET_INTEGER(sim_body, rumour, 7, 0, 255, NECPNET_FIELD_NOT_OWNER),
    NECPNET_ENTITY_REFERENCE(sim_body, friend_of, 8, 0),
};
static const necpnet_field sim_coin_fields[] = {
    NECPNET_INTEGER(sim_coin, value, 1, 0, 60000, 0),
    NECPNET_BYTES(sim_coin, bytes, 2, 0),
};

void sim_state_begin(sim* world)
{
    necpnet_allocator allocator = sim_allocator(&world->link_memory);
    if (!world->settings.has_state) return;
    const necpnet_entity_type types[] = {{"body", 1, sizeof(sim_body), sim_body_fields, 8},
                                         {"coin", 2, sizeof(sim_coin), sim_coin_fields, 2},
                                         sim_puppet_type};
    if (necpnet_schema_create(&allocator, NULL, types, world->settings.has_writes ? 3 : 2, &world->schema)) {
        sim_fail(world, "no schema");
    }
}

void sim_state_end(sim* world)
{
    necpnet_schema_destroy(world->schema);
}

necpnet_result sim_state_serve(sim_process* server, necpnet_server_config* config)
{
    sim* world = server->world;
    necpnet_world_config entities;
    if (!world->settings.has_state) return NECPNET_OK;
    necpnet_world_config_default(&entities);
    entities.allocator = sim_allocator(&server->memory);
    entities.schema = world->schema;
    entities.entities_max = SIM_ENTITIES_MAX + 140; /* a slot rests for 129 ticks */
    entities.send_hz = 5 + (uint32_t)sim_random(world, 26);
    entities.client_bytes_per_s = (uint32_t)sim_choose(world, 4000, 64000);
    if (world->settings.has_writes) {
        entities.validate = sim_writes_validate;
        entities.validate_user = server;
        server->strings = (struct sim_string*)calloc(SIM_PUPPET_SLOTS, sizeof(struct sim_string));
    }
    necpnet_result result = necpnet_world_create(&entities, &server->entities);
    config->world = server->entities;
    server->things = (struct sim_thing*)calloc(SIM_SLOTS, sizeof(struct sim_thing));
    server->tick_at_us = world->now_us;
    return result;
}

necpnet_result sim_state_follow(sim_process* client, necpnet_client_config* config)
{
    sim* world = client->world;
    necpnet_view_config view;
    if (!world->settings.has_state) return NECPNET_OK;
    necpnet_view_config_default(&view);
    view.allocator = sim_allocator(&client->memory);
    view.schema = world->schema;
    view.entities_max = 4096;
    necpnet_result result = necpnet_view_create(&view, &client->view);
    config->view = client->view;
    return result;
}

void sim_state_release(sim_process* process)
{
    necpnet_world_destroy(process->entities);
    necpnet_view_destroy(process->view);
    free(process->things);
    free(process->strings);
    process->entities = NULL;
    process->things = NULL;
    process->strings = NULL;
    process->view = NULL;
}

/* ---- the server moves its world -- */

static float sim_quarter(sim* world)
{
    return (float)((int)sim_random(world, 8193) - 4096) * 0.25f;
}

static void sim_body_change(sim* world, sim_body* body, bool all)
{
    if (all || sim_chance(world, 700000)) {
        for (int i = 0; i < 3; i++) {
            if (all) body->position[i] = sim_quarter(world);
            float moved = body->position[i] + (float)((int)sim_random(world, 9) - 4) * 0.25f;
            if (moved > -1024 && moved < 1024) body->position[i] = moved;
        }
    }
    if (all || sim_chance(world, 200000)) body->charge = (int32_t)sim_random(world, 200001) - 100000;
    if (all || sim_chance(world, 100000)) body->kind = (uint8_t)sim_random(world, 7);
    if (all || sim_chance(world, 100000)) body->is_open = !body->is_open;
    if (all || sim_chance(world, 50000)) {
        memset(body->name, 0, sizeof body->name);
        size_t bytes = (size_t)sim_random(world, sizeof body->name);
        for (size_t i = 0; i < bytes; i++) body->name[i] = (char)('a' + (char)sim_random(world, 26));
    }
    if (all || sim_chance(world, 100000)) body->secret = (uint8_t)sim_random(world, 256);
    if (all || sim_chance(world, 100000)) body->rumour = (uint8_t)sim_random(world, 256);
}

static necpnet_entity sim_any_entity(sim* world, necpnet_world* entities)
{
    necpnet_entity chosen = NECPNET_ENTITY_NONE, at = NECPNET_ENTITY_NONE;
    uint64_t seen = 0;
    while ((at = necpnet_world_next(entities, at)) != NECPNET_ENTITY_NONE) {
        if (sim_random(world, ++seen) == 0) chosen = at;
    }
    return chosen;
}

static void sim_state_spawn(sim* world, sim_process* server)
{
    necpnet_world_statistics statistics;
    necpnet_entity entity;
    necpnet_world_get_statistics(server->entities, &statistics);
    if (statistics.entities >= SIM_ENTITIES_MAX) return;
    necpnet_result result;
    if (sim_chance(world, 500000)) {
        sim_body body;
        memset(&body, 0, sizeof body);
        sim_body_change(world, &body, true);
        body.friend_of = sim_any_entity(world, server->entities);
        result = necpnet_world_spawn(server->entities, 1, &body, &entity);
    } else {
        sim_coin coin;
        memset(&coin, 0, sizeof coin);
        coin.value = (uint16_t)sim_random(world, 60001);
        result = necpnet_world_spawn(server->entities, 2, &coin, &entity);
    }
    if (result != NECPNET_OK) return;
    server->things[entity & 0xffff].room = 0;
    sim_note(world, server, "spawns", entity, 0);
}

static void sim_state_change(sim* world, sim_process* server, necpnet_entity entity)
{
    if (necpnet_world_get_type(server->entities, entity) == SIM_PUPPET) return; /* kit_sim_writes.c */
    if (necpnet_world_get_type(server->entities, entity) == 1) {
        sim_body_change(world, (sim_body*)necpnet_world_get(server->entities, entity), false);
    } else {
        sim_coin* coin = (sim_coin*)necpnet_world_get(server->entities, entity);
        coin->value = (uint16_t)sim_random(world, 60001);
        coin->bytes[sim_random(world, sizeof coin->bytes)] = (uint8_t)sim_random(world, 256);
    }
    necpnet_world_mark(server->entities, entity);
    sim_count(world, SIM_STATE_CHANGED);
}

static void sim_state_own(sim* world, sim_process* server, necpnet_entity entity)
{
    necpnet_peer owner = NECPNET_PEER_NONE;
    for (int i = 0; i < world->peer_count; i++) {
        const sim_peer* peer = world->peers[i];
        if (peer->server == server && peer->connected && sim_chance(world, 400000)) owner = peer->peer;
    }
    necpnet_world_set_owner(server->entities, entity, owner);
    sim_count(world, SIM_OWNER_CHANGED);
}

/* An entity changes its room, or a client comes to one or leaves it. */
static void sim_state_change_rooms(sim* world, sim_process* server, necpnet_entity entity)
{
    uint32_t room = (uint32_t)sim_random(world, SIM_ROOMS);
    if (entity && sim_chance(world, 100000)) {
        necpnet_world_set_room(server->entities, entity, room);
        server->things[entity & 0xffff].room = (uint8_t)room;
        sim_note(world, server, "puts into a room", entity, room);
    }
    for (int i = 0; i < world->peer_count; i++) {
        sim_peer* peer = world->peers[i];
        if (peer->server != server || !peer->connected || !sim_chance(world, 20000)) continue;
        if (peer->rooms >> room & 1) {
            if (necpnet_world_leave_room(server->entities, peer->peer, room)) continue;
            peer->rooms &= ~(1u << room);
        } else {
            if (necpnet_world_join_room(server->entities, peer->peer, room)) continue;
            peer->rooms |= 1u << room;
        }
        sim_note(world, server, "changes the rooms of a peer", peer->peer, peer->rooms);
    }
}

void sim_state_tick(sim_process* server)
{
    sim* world = server->world;
    uint64_t hz = world->settings.tick_hz;
    uint64_t now_us = server->latest_us;
    if (!server->entities || server->tick_at_us > world->now_us) return;
    uint32_t tick = (uint32_t)(now_us / 1000000 * hz + now_us % 1000000 * hz / 1000000);
    server->tick_at_us = world->now_us + 1000000 / hz;
    if (tick <= server->tick) return;
    sim_writes_tick(server);
    if (!world->healing) {
        uint64_t changes = sim_random(world, SIM_CHANGES_MAX);
        for (uint64_t i = 0; i < changes; i++) {
            necpnet_entity entity = sim_any_entity(world, server->entities);
            if (entity) sim_state_change(world, server, entity);
        }
        necpnet_entity entity = sim_any_entity(world, server->entities);
        if (sim_chance(world, 150000)) sim_state_spawn(world, server);
        if (entity && sim_chance(world, 50000)) sim_state_own(world, server, entity);
        if (world->settings.has_rooms) sim_state_change_rooms(world, server, entity);
        if (entity && sim_chance(world, 50000)) {
            sim_note(world, server, "despawns", entity, 0);
            necpnet_world_despawn(server->entities, entity);
            server->things[entity & 0xffff].room = 0;
        }
    }
    necpnet_result result = necpnet_world_commit(server->entities, tick);
    if (result == NECPNET_OK) server->tick = tick;
    if (result != NECPNET_OK && !(result == NECPNET_ERR_OUT_OF_MEMORY && world->settings.failing_ppm)) {
        sim_fail(world, "commit of tick %u says %s", tick, necpnet_result_name(result));
    }
}

void sim_state_look(sim_process* client)
{
    necpnet_view_event event;
    if (!client->view) return;
    necpnet_view_update(client->view, client->latest_us);
    while (necpnet_view_poll(client->view, &event)) {
        sim_writes_event(client, &event);
        if (event.type != NECPNET_VIEW_ENTERED && event.type != NECPNET_VIEW_LEFT) continue;
        sim_count(client->world, event.type == NECPNET_VIEW_ENTERED ? SIM_STATE_ENTERED : SIM_STATE_LEFT);
        sim_note(client->world, client, event.type == NECPNET_VIEW_ENTERED ? "sees" : "sees no more", event.entity,
                 event.type_id);
    }
}

/* ---- inputs: consecutive within a session -- */

static uint8_t sim_input_byte(uint32_t tick, size_t at)
{
    return (uint8_t)(tick * 31 + at * 7);
}

void sim_state_send_input(sim_process* client)
{
    sim* world = client->world;
    uint8_t data[255];
    if (world->now_us < client->input_at_us) return;
    client->input_at_us = world->now_us + 16000; /* as games do: the server keeps 256 that are not polled */
    uint32_t last = client->input_count ? client->inputs[client->input_count - 1] : 0;
    uint32_t tick = last + 1 + (uint32_t)sim_choose(world, 0, 50);
    size_t bytes = 1 + tick % 255;
    for (size_t i = 0; i < bytes; i++) data[i] = sim_input_byte(tick, i);
    necpnet_result result = necpnet_client_send_input(client->client, tick, data, bytes);
    if (result == NECPNET_ERR_NOT_CONNECTED || result == NECPNET_ERR_WOULD_BLOCK) return;
    if (result == NECPNET_ERR_MESSAGE_TOO_LARGE && bytes > 28) return; /* for a datagram of 64 bytes and more */
    if (result == NECPNET_ERR_OUT_OF_MEMORY && world->settings.failing_ppm) return;
    if (result != NECPNET_OK) sim_fail(world, "input %u of %s: %s", tick, client->name, necpnet_result_name(result));
    if (client->input_count == client->input_capacity) {
        client->input_capacity = client->input_capacity ? client->input_capacity * 2 : 64;
        client->inputs = (uint32_t*)realloc(client->inputs, client->input_capacity * sizeof(uint32_t));
    }
    client->inputs[client->input_count++] = tick;
    sim_note(world, client, "sends input", tick, bytes);
}

void sim_state_input(sim_process* server, sim_peer* peer, const necpnet_event* event)
{
    sim* world = server->world;
    const sim_process* client = peer->client;
    const uint8_t* data = (const uint8_t*)event->data;
    uint32_t at = peer->input_next;
    sim_note(world, server, "gets input", event->tick, event->bytes);
    sim_count(world, SIM_INPUT);
    if (at == UINT32_MAX) { /* the session's first */
        for (at = client->input_count; at > 0 && client->inputs[at - 1] != event->tick;) at--;
        at = at ? at - 1 : client->input_count;
    }
    if (at >= client->input_count || client->inputs[at] != event->tick) {
        sim_fail(world, "the server gets input %u of %s, but %u was due", event->tick, client->name,
                 at < client->input_count ? client->inputs[at] : 0);
        return;
    }
    bool intact = event->bytes == 1 + event->tick % 255;
    for (size_t i = 0; intact && i < event->bytes; i++) intact = data[i] == sim_input_byte(event->tick, i);
    if (!intact) sim_fail(world, "input %u of %s is another than was sent", event->tick, client->name);
    peer->input_next = at + 1;
    if (server->entities) necpnet_world_set_input(server->entities, event->peer, event->tick);
}

/* ---- after healing: everybody sees the server's world -- */

static bool sim_entity_equal(const sim_process* client, necpnet_world* entities, necpnet_entity entity, char* text,
                             size_t text_bytes)
{
    union {
        sim_body body;
        sim_coin coin;
    } seen;
    if (necpnet_world_get_type(entities, entity) == SIM_PUPPET)
        return sim_writes_equal(client, entities, entity, text, text_bytes);
    size_t bytes = necpnet_world_get_type(entities, entity) == 1 ? sizeof(sim_body) : sizeof(sim_coin);
    memset(&seen, 0, sizeof seen);
    if (necpnet_view_get_latest(client->view, entity, &seen, bytes, NULL)) {
        snprintf(text, text_bytes, "%s does not see entity %08x", client->name, entity);
        return false;
    }
    const void* have = necpnet_world_get(entities, entity);
    bool equal;
    if (bytes == sizeof(sim_coin)) {
        const sim_coin* coin = (const sim_coin*)have;
        equal = coin->value == seen.coin.value && !memcmp(coin->bytes, seen.coin.bytes, sizeof coin->bytes);
    } else {
        const sim_body* body = (const sim_body*)have;
        bool is_owner = necpnet_view_is_owner(client->view, entity);
        equal = !memcmp(body->position, seen.body.position, sizeof body->position) &&
                body->charge == seen.body.charge && body->kind == seen.body.kind &&
                body->is_open == seen.body.is_open && !strcmp(body->name, seen.body.name) &&
                body->friend_of == seen.body.friend_of && seen.body.secret == (is_owner ? body->secret : 0) &&
                seen.body.rumour == (is_owner ? 0 : body->rumour);
    }
    if (!equal) snprintf(text, text_bytes, "%s sees entity %08x otherwise than the server", client->name, entity);
    return equal;
}

bool sim_state_equal(sim_process* client, const sim_peer* peer, char* text, size_t text_bytes)
{
    sim* world = client->world;
    necpnet_world* entities = world->server->entities;
    if (!entities) return true;
    necpnet_entity at = NECPNET_ENTITY_NONE;
    uint32_t count = 0, seen = 0;
    while ((at = necpnet_world_next(entities, at)) != NECPNET_ENTITY_NONE) {
        const struct sim_thing* thing = &world->server->things[at & 0xffff];
        necpnet_authority authority;
        necpnet_peer owner = NECPNET_PEER_NONE;
        necpnet_world_get_authority(entities, at, &authority, &owner, NULL);
        if (owner != peer->peer && !(peer->rooms >> thing->room & 1)) continue; /* counted below if it is seen */
        count++;
        if (!sim_entity_equal(client, entities, at, text, text_bytes)) return false;
    }
    while ((at = necpnet_view_next(client->view, at)) != NECPNET_ENTITY_NONE) seen++;
    if (seen != count) snprintf(text, text_bytes, "%s sees %u entities of %u", client->name, seen, count);
    return seen == count;
}
