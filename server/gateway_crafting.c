/* gateway_crafting - crafting for JSON-RPC: looking, following, and events on the player's own topic (player.SUB). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crafting_json.h"
#include "gateway_inside.h"

#define CRAFTING_LISTED 100

static gateway_session* crafting_asker(const rpc_call* call)
{
    return call->user;
}

static crafting* crafting_all(const rpc_call* call)
{
    return crafting_asker(call)->owner->known->crafts;
}

/* The session that a call names, if it is the caller's to look at. */
static const char* crafting_named(rpc_call* call)
{
    const gateway_session* asker = crafting_asker(call);
    const char* id = rpc_text(call, "session", "");
    crafting_whose whose = crafting_owner(crafting_all(call), id, asker->subject, asker->client_id);
    if (whose == CRAFTING_MISSING) {
        rpc_fail(call, RPC_NOT_FOUND, "there is no such crafting session");
        return NULL;
    }
    if (whose == CRAFTING_OWN || asker->role != ROLE_PLAYER) return id;
    rpc_fail(call, RPC_FORBIDDEN, "this crafting session is somebody else's");
    return NULL;
}

/* The player that a call names: for players themselves alone. NULL with OK: all. */
static const char* crafting_player_of(rpc_call* call, bool all)
{
    const gateway_session* asker = crafting_asker(call);
    const char* player = rpc_text(call, "player", NULL);
    if (asker->role != ROLE_PLAYER) return player || all ? player : asker->subject;
    if (!player) player = asker->subject;
    uint64_t client_id = 0;
    if (strcmp(player, asker->subject) == 0) return player;
    /* a client of necpnet.v1 is known by its number; by its name it is the same */
    if (gateway_find_player(asker->owner, asker, player, &client_id) && client_id == asker->client_id) return player;
    rpc_fail(call, RPC_FORBIDDEN, "players see their own crafting");
    return NULL;
}

void method_crafting_list(rpc_call* call)
{
    crafting* all = crafting_all(call);
    const char* player = crafting_player_of(call, true);
    uint32_t limit = (uint32_t)rpc_number(call, "limit", CRAFTING_LISTED);
    uint64_t after = (uint64_t)rpc_number(call, "after", 0);
    bool more = true;
    if (call->code != RPC_OK) return;
    text_put(call->result, "{\"sessions\":[");
    for (uint32_t i = 0; i < limit && more; i++) {
        crafting_view view;
        if (crafting_list(all, player, -1, after, &view, 1, &more) == 0) break;
        after = view.order;
        if (i > 0) text_put(call->result, ",");
        crafting_put_session(call->result, &view, crafting_now(all));
    }
    text_put(call->result, "],\"after\":");
    if (more) {
        text_format(call->result, "%" PRIu64 "}", after);
    } else {
        text_put(call->result, "null}");
    }
}

void method_crafting_get(rpc_call* call)
{
    crafting_view view;
    crafting* all = crafting_all(call);
    const char* id = crafting_named(call);
    if (!id) return;
    if (crafting_find(all, id, &view)) {
        crafting_put_session(call->result, &view, crafting_now(all));
    } else {
        rpc_fail(call, RPC_NOT_FOUND, "there is no such crafting session");
    }
}

void method_crafting_queue(rpc_call* call)
{
    const char* player = crafting_player_of(call, false);
    if (player) crafting_put_queue(call->result, crafting_all(call), player);
}

/* ------------------------------------------------------------------------------------------------------ following -- */

static bool crafting_send_json(void* to, const char* json, size_t bytes)
{
    gateway_session* session = to;
    return gateway_has_room(session) && gateway_send_text(session, json, bytes) == NECPNET_OK;
}

static bool crafting_send_packet(void* to, const uint8_t* packet, size_t bytes, bool reliable)
{
    gateway_session* session = to;
    necpnet_send_options options = {.name = CRAFTING_PACKET_NAME};
    session->owner->queued = true;
    return necpnet_server_send_with(session->owner->server, session->peer,
                                    reliable ? NECPNET_CHANNEL_RELIABLE : NECPNET_CHANNEL_UNRELIABLE, packet, bytes,
                                    &options) == NECPNET_OK;
}

void method_crafting_follow(rpc_call* call)
{
    gateway_session* session = crafting_asker(call);
    uint32_t number = 0;
    uint32_t hz = (uint32_t)rpc_number(call, "hz", CRAFTING_HZ_DEFAULT);
    const char* id = crafting_named(call);
    bool packets = session->peer != NECPNET_PEER_NONE && rpc_bool(call, "packets", true);
    crafting_sink sink = {
        .send_json = crafting_send_json, .send_packet = packets ? crafting_send_packet : NULL, .to = session};
    crafting_view view;
    if (!id) return;
    necpnet_result result = crafting_feed_follow(session->owner->crafts, &sink, &session->crafts, id, hz, &number);
    if (result != NECPNET_OK) {
        gateway_fail_result(call, result);
        return;
    }
    text_format(call->result, "{\"follow\":%" PRIu32 ",\"hz\":%" PRIu32 ",\"packets\":%s,\"session\":", number, hz,
                packets ? "true" : "false");
    if (crafting_find(crafting_all(call), id, &view)) {
        crafting_put_session(call->result, &view, crafting_now(crafting_all(call)));
    } else {
        text_put(call->result, "null");
    }
    text_put(call->result, "}");
}

void method_crafting_unfollow(rpc_call* call)
{
    gateway_session* session = crafting_asker(call);
    necpnet_result result =
        crafting_feed_unfollow(session->owner->crafts, &session->crafts, rpc_text(call, "session", ""));
    if (result == NECPNET_OK) {
        text_put(call->result, "{}");
    } else {
        rpc_fail(call, RPC_NOT_FOUND, "you do not follow this crafting session");
    }
}

void gateway_move_crafts(gateway_session* from, gateway_session* to)
{
    crafting_sink sink = {.send_json = crafting_send_json, .to = to};
    crafting_feed_move(to->owner->crafts, &from->crafts, &to->crafts, &sink);
}

void gateway_follow_craft(gateway_session* session, const char* id, uint32_t hz)
{
    crafting_sink sink = {.send_json = crafting_send_json, .to = session};
    crafting* all = session->owner->known->crafts;
    uint32_t number;
    crafting_whose whose = crafting_owner(all, id, session->subject, session->client_id);
    if (whose == CRAFTING_MISSING || (whose != CRAFTING_OWN && session->role == ROLE_PLAYER)) return;
    (void)crafting_feed_follow(session->owner->crafts, &sink, &session->crafts, id, hz, &number);
}

/* --------------------------------------------------------------------------------------------------------- events -- */

static void crafting_say(gateway* at, const char* player, const char* type, cJSON* data)
{
    char topic[TOPICS_NAME_BYTES_MAX + 1];
    int bytes = snprintf(topic, sizeof(topic), "player.%s", player);
    if (bytes > 0 && (size_t)bytes < sizeof(topic) && topics_name_is_right(topic)) {
        gateway_announce(at, topic, type, "", data);
    } else {
        cJSON_Delete(data);
    }
}

static void crafting_say_materials(gateway* at, const crafting_view* view, uint32_t changed)
{
    for (uint32_t i = 0; i < view->material_count; i++) {
        const crafting_material* material = &view->materials[i];
        if (!(changed >> i & 1)) continue;
        cJSON* data = cJSON_CreateObject();
        (void)cJSON_AddStringToObject(data, "session", view->id);
        (void)cJSON_AddStringToObject(data, "material", material->name);
        (void)cJSON_AddNumberToObject(data, "required", material->required);
        (void)cJSON_AddNumberToObject(data, "available", material->available);
        (void)cJSON_AddBoolToObject(data, "enough", material->available >= material->required);
        crafting_say(at, view->player, "game.crafting_material", data);
    }
}

static void crafting_say_queue(gateway* at, const char* player)
{
    bool more = true;
    uint64_t after = 0;
    crafting_view view;
    cJSON* data = cJSON_CreateObject();
    cJSON* entries = cJSON_AddArrayToObject(data, "waiting");
    while (more && crafting_list(at->known->crafts, player, CRAFTING_QUEUED, after, &view, 1, &more) == 1) {
        cJSON* entry = cJSON_CreateObject();
        after = view.order;
        (void)cJSON_AddStringToObject(entry, "session", view.id);
        (void)cJSON_AddNumberToObject(entry, "position", view.queue_position);
        if (view.starts_in_us != CRAFTING_UNKNOWN)
            (void)cJSON_AddNumberToObject(entry, "start_ms", (double)(view.starts_in_us / 1000u));
        (void)cJSON_AddItemToArray(entries, entry);
    }
    crafting_say(at, player, "game.crafting_queue", data);
}

void gateway_announce_crafting(void* user, const crafting_news* news)
{
    gateway* at = user;
    crafting_view view;
    uint64_t client_id = 0;
    if (news->what == CRAFTING_HAS_A_QUEUE) {
        crafting_say_queue(at, news->player);
        return;
    }
    if (news->what == CRAFTING_HAS_GONE || !crafting_find(at->known->crafts, news->id, &view)) return;
    if (news->what == CRAFTING_HAS_MATERIALS) {
        crafting_say_materials(at, &view, news->changed);
        return;
    }
    cJSON* data = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(data, "session", view.id);
    (void)cJSON_AddStringToObject(data, "recipe", view.recipe);
    (void)cJSON_AddStringToObject(data, "status", crafting_status_name(view.course.status));
    (void)cJSON_AddNumberToObject(data, "quantity", view.course.quantity);
    char* said = news->what == CRAFTING_HAS_COMPLETED ? cJSON_PrintUnformatted(data) : NULL;
    crafting_say(at, view.player, "game.crafting_changed", data);
    if (said && gateway_find_player(at, NULL, view.player, &client_id)) {
        gateway_name_player(at, client_id, view.player);
        gateway_notify(at, client_id, "crafting.completed", said);
    }
    cJSON_free(said);
}
