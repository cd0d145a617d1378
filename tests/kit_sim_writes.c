/* kit_sim_writes - entities that clients write: by authority, which moves from one to another, or all of them at once.
 *
 * Each write counts the entity's number up and moves it, now and then too far, or to a number that the rules refuse. The server's
 * validation is the judge: what it lets through keeps the rules, at every tick. While one client has the authority its numbers
 * do not fall, unless one was refused (a place that is clamped takes no number back), and of a shared entity never at all, for a write against an old state is a conflict. After healing server and clients
 * agree, and nobody shows what was refused. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_PUPPETS_MAX 8
#define SIM_REFUSED 17 /* numbers that this divides */
#define SIM_REACH 100.0f
#define SIM_STRIDE 4.0f

typedef struct sim_puppet {
    int32_t number;
    float position[2];
    uint8_t mark; /* the server's alone */
    bool is_shared;
    char word[8];
    uint8_t pearls_used;
    uint16_t pearls[5];
} sim_puppet;

static const necpnet_field sim_puppet_fields[] = {
    NECPNET_INTEGER(sim_puppet, number, 1, 0, 1000000000, NECPNET_FIELD_SIGNED),
    NECPNET_VEC2(sim_puppet, position, 2, -1024, 1024, 0.25, 0),
    NECPNET_INTEGER(sim_puppet, mark, 3, 0, 255, NECPNET_FIELD_SERVER),
    NECPNET_BOOL(sim_puppet, is_shared, 4, NECPNET_FIELD_SERVER),
    NECPNET_STRING(sim_puppet, word, 5, 0),
    NECPNET_INTEGER_LIST(sim_puppet, pearls, pearls_used, 6, 0, 60000, 0),
};
const necpnet_entity_type sim_puppet_type = {"puppet", SIM_PUPPET, sizeof(sim_puppet), sim_puppet_fields, 6};

/* ---- the server */

static bool sim_puppet_is_right(const sim_puppet* puppet)
{
    return puppet->number % SIM_REFUSED && puppet->position[0] >= -SIM_REACH && puppet->position[0] <= SIM_REACH &&
           puppet->position[1] >= -SIM_REACH && puppet->position[1] <= SIM_REACH;
}

static struct sim_string* sim_string_of(sim_process* server, necpnet_entity entity)
{
    struct sim_string* string = &server->strings[(entity & 0xffff) % SIM_PUPPET_SLOTS];
    if (string->entity != entity) memset(string, 0, sizeof *string);
    string->entity = entity;
    return string;
}

bool sim_writes_validate(void* user, const necpnet_write* write, void* state)
{
    sim_process* server = (sim_process*)user;
    sim* world = server->world;
    const sim_puppet* before = (const sim_puppet*)write->before;
    sim_puppet* after = (sim_puppet*)state;
    struct sim_string* string = sim_string_of(server, write->entity);
    necpnet_authority authority;
    necpnet_peer owner;
    uint32_t sequence;
    if (write->type_id != SIM_PUPPET ||
        necpnet_world_get_authority(server->entities, write->entity, &authority, &owner, &sequence)) {
        sim_fail(world, "a write of what is no puppet");
        return false;
    }
    if (authority == NECPNET_AUTHORITY_OWNER && owner != write->peer) sim_fail(world, "a stranger writes");
    if (after->mark != before->mark || after->is_shared != before->is_shared)
        sim_fail(world, "a client writes the server's fields");
    bool is_shared = authority == NECPNET_AUTHORITY_SHARED;
    bool same = string->writer == write->peer && string->sequence == sequence;
    if (!same) string->corrected = false;
    if ((is_shared || (same && !string->corrected)) && after->number < string->number)
        sim_fail(world, "a write goes back from %d to %d", string->number, after->number);
    string->writer = write->peer;
    string->sequence = sequence;
    if (after->number % SIM_REFUSED == 0) {
        string->corrected = true;
        return false;
    }
    for (int i = 0; i < 2; i++) { /* clamped */
        if (after->position[i] > before->position[i] + SIM_STRIDE)
            after->position[i] = before->position[i] + SIM_STRIDE;
        if (after->position[i] < before->position[i] - SIM_STRIDE)
            after->position[i] = before->position[i] - SIM_STRIDE;
        if (after->position[i] > SIM_REACH) after->position[i] = SIM_REACH;
        if (after->position[i] < -SIM_REACH) after->position[i] = -SIM_REACH;
    }
    string->number = after->number;
    sim_count(world, SIM_WRITE_TAKEN);
    sim_note(world, server, "takes a write", write->entity, (uint64_t)after->number);
    return true;
}

static necpnet_peer sim_any_owner(sim* world, const sim_process* server)
{
    necpnet_peer chosen = NECPNET_PEER_NONE;
    uint64_t seen = 0;
    for (int i = 0; i < world->peer_count; i++) {
        const sim_peer* peer = world->peers[i];
        if (peer->server == server && peer->connected && sim_random(world, ++seen) == 0) chosen = peer->peer;
    }
    return chosen;
}

static void sim_puppet_spawn(sim* world, sim_process* server)
{
    sim_puppet puppet;
    necpnet_entity entity;
    memset(&puppet, 0, sizeof puppet);
    puppet.number = 1;
    puppet.is_shared = sim_chance(world, 500000);
    if (necpnet_world_spawn(server->entities, SIM_PUPPET, &puppet, &entity)) return;
    necpnet_authority authority = puppet.is_shared ? NECPNET_AUTHORITY_SHARED : NECPNET_AUTHORITY_OWNER;
    if (necpnet_world_set_authority(server->entities, entity, authority)) {
        necpnet_world_despawn(server->entities, entity);
        return;
    }
    sim_string_of(server, entity)->number = 1;
    if (!puppet.is_shared) necpnet_world_set_owner(server->entities, entity, sim_any_owner(world, server));
    sim_note(world, server, "spawns a puppet", entity, puppet.is_shared);
}

/* The server's own hand: it moves a puppet, and the client's newest word counts no more. */
static void sim_puppet_pull(sim* world, sim_process* server, necpnet_entity entity)
{
    sim_puppet* puppet = (sim_puppet*)necpnet_world_get(server->entities, entity);
    puppet->mark++;
    for (int i = 0; i < 2; i++) puppet->position[i] = (float)((int)sim_random(world, 401) - 200) * 0.25f;
    necpnet_world_correct(server->entities, entity);
    sim_note(world, server, "pulls a puppet", entity, puppet->mark);
}

static void sim_puppet_check(sim* world, sim_process* server, necpnet_entity entity)
{
    const sim_puppet* puppet = (const sim_puppet*)necpnet_world_get(server->entities, entity);
    if (!sim_puppet_is_right(puppet))
        sim_fail(world, "puppet %08x has number %d at %g %g", entity, puppet->number, (double)puppet->position[0],
                 (double)puppet->position[1]);
    if (puppet->is_shared && puppet->number < sim_string_of(server, entity)->number)
        sim_fail(world, "puppet %08x has number %d, and had %d", entity, puppet->number,
                 sim_string_of(server, entity)->number);
}

void sim_writes_tick(sim_process* server)
{
    sim* world = server->world;
    necpnet_world_event event;
    necpnet_entity at = NECPNET_ENTITY_NONE;
    uint32_t count = 0;
    if (!world->settings.has_writes) return;
    while (necpnet_world_poll(server->entities, &event)) {
        sim_note(world, server, event.type == NECPNET_WORLD_AUTHORITY_REQUESTED ? "is asked for" : "gets back",
                 event.entity, event.peer);
        if (event.type != NECPNET_WORLD_AUTHORITY_REQUESTED) continue;
        if (sim_chance(world, 700000)) {
            necpnet_world_set_owner(server->entities, event.entity, event.peer);
        } else {
            necpnet_world_deny(server->entities, event.peer, event.entity);
        }
    }
    while ((at = necpnet_world_next(server->entities, at)) != NECPNET_ENTITY_NONE) {
        if (necpnet_world_get_type(server->entities, at) != SIM_PUPPET) continue;
        count++;
        sim_puppet_check(world, server, at);
        if (world->healing) continue;
        if (sim_chance(world, 10000)) sim_puppet_pull(world, server, at);
        if (sim_chance(world, 10000)) necpnet_world_set_owner(server->entities, at, sim_any_owner(world, server));
    }
    if (!world->healing && count < SIM_PUPPETS_MAX && sim_chance(world, 200000)) sim_puppet_spawn(world, server);
}

/* ---- a client */

static void sim_puppet_write(sim* world, sim_process* client, necpnet_entity entity)
{
    sim_puppet puppet;
    uint32_t base = 0;
    uint32_t number = 0;
    if (necpnet_view_get_latest(client->view, entity, &puppet, sizeof puppet, &base)) return;
    if (!puppet.is_shared && necpnet_view_get(client->view, entity, &puppet, sizeof puppet)) return;
    if (!puppet.is_shared && !necpnet_view_has_authority(client->view, entity, NULL)) return;
    /* from one state of a shared one always the same number follows, else its own writes might seem to go back */
    puppet.number += puppet.is_shared ? 1 : 1 + (int32_t)sim_random(world, 3);
    bool passes = puppet.is_shared || sim_chance(world, 500000);
    if (puppet.number % SIM_REFUSED == 0 && passes) puppet.number++;
    puppet.mark = 77; /* is not its to write */
    for (int i = 0; i < 2; i++) puppet.position[i] += (float)((int)sim_random(world, 49) - 24) * 0.25f;
    if (sim_chance(world, 200000)) snprintf(puppet.word, sizeof puppet.word, "%u", (unsigned)sim_random(world, 1000));
    if (sim_chance(world, 200000)) puppet.pearls_used = (uint8_t)sim_random(world, 6);
    for (int i = puppet.pearls_used; i < 5; i++) puppet.pearls[i] = 0;
    if (puppet.pearls_used) puppet.pearls[sim_random(world, puppet.pearls_used)] = (uint16_t)sim_random(world, 60001);
    necpnet_result result = necpnet_view_write(client->view, entity, &puppet, sizeof puppet, base, &number);
    sim_note(world, client, "writes", entity, (uint64_t)number << 32 | (uint32_t)puppet.number);
    bool excused = result == NECPNET_ERR_OUT_OF_MEMORY && world->settings.failing_ppm;
    if (result != NECPNET_OK && result != NECPNET_ERR_NOT_CONNECTED && result != NECPNET_ERR_NOT_FOUND && !excused)
        sim_fail(world, "%s writes entity %08x: %s", client->name, entity, necpnet_result_name(result));
}

void sim_writes_act(sim_process* client)
{
    sim* world = client->world;
    necpnet_entity at = NECPNET_ENTITY_NONE;
    if (!world->settings.has_writes || !client->view) return;
    while ((at = necpnet_view_next(client->view, at)) != NECPNET_ENTITY_NONE) {
        if (necpnet_view_get_type(client->view, at) != SIM_PUPPET) continue;
        if (sim_chance(world, 300000)) sim_puppet_write(world, client, at);
        if (sim_chance(world, 20000)) necpnet_view_request_authority(client->view, at);
        if (sim_chance(world, 10000)) necpnet_view_release_authority(client->view, at);
    }
}

void sim_writes_event(sim_process* client, const necpnet_view_event* event)
{
    static const struct {
        necpnet_view_event_type type;
        sim_kind kind;
        const char* text;
    } kinds[] = {{NECPNET_VIEW_AUTHORITY_GIVEN, SIM_AUTHORITY_GIVEN, "has authority over"},
                 {NECPNET_VIEW_AUTHORITY_LOST, SIM_AUTHORITY_LOST, "has lost authority over"},
                 {NECPNET_VIEW_AUTHORITY_DENIED, SIM_AUTHORITY_DENIED, "is denied"},
                 {NECPNET_VIEW_WRITTEN, SIM_WRITTEN, "has written"},
                 {NECPNET_VIEW_CLAMPED, SIM_CLAMPED, "is clamped at"},
                 {NECPNET_VIEW_REFUSED, SIM_REFUSED_WRITE, "is refused"},
                 {NECPNET_VIEW_CONFLICT, SIM_CONFLICT, "was late for"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type != event->type) continue;
        sim_count(client->world, kinds[i].kind);
        sim_note(client->world, client, kinds[i].text, event->entity, event->number);
    }
}

/* ---- after healing */

static bool sim_puppet_equal(const sim_puppet* a, const sim_puppet* b)
{
    return a->number == b->number && !memcmp(a->position, b->position, sizeof a->position) && a->mark == b->mark &&
           a->is_shared == b->is_shared && !strcmp(a->word, b->word) && a->pearls_used == b->pearls_used &&
           !memcmp(a->pearls, b->pearls, a->pearls_used * sizeof a->pearls[0]);
}

bool sim_writes_equal(const sim_process* client, necpnet_world* entities, necpnet_entity entity, char* text,
                      size_t text_bytes)
{
    sim_puppet seen[2];
    const sim_puppet* have = (const sim_puppet*)necpnet_world_get(entities, entity);
    memset(seen, 0, sizeof seen);
    if (necpnet_view_get_latest(client->view, entity, &seen[0], sizeof seen[0], NULL) ||
        necpnet_view_get(client->view, entity, &seen[1], sizeof seen[1])) {
        snprintf(text, text_bytes, "%s does not see puppet %08x", client->name, entity);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (sim_puppet_equal(&seen[i], have)) continue;
        snprintf(text, text_bytes, "%s %s puppet %08x with number %d at %g %g, the server %d at %g %g", client->name,
                 i ? "shows" : "has", entity, seen[i].number, (double)seen[i].position[0], (double)seen[i].position[1],
                 have->number, (double)have->position[0], (double)have->position[1]);
        return false;
    }
    necpnet_authority authority;
    necpnet_peer owner;
    uint32_t sequence;
    uint32_t own_sequence = 0;
    necpnet_world_get_authority(entities, entity, &authority, &owner, &sequence);
    bool has = necpnet_view_has_authority(client->view, entity, &own_sequence);
    bool should = authority == NECPNET_AUTHORITY_OWNER && necpnet_view_is_owner(client->view, entity);
    if (has == should && (!has || own_sequence == sequence)) return true;
    snprintf(text, text_bytes, "%s %s authority over puppet %08x (%u), by the server %s (%u)", client->name,
             has ? "has" : "has no", entity, own_sequence, should ? "it has" : "it has not", sequence);
    return false;
}
