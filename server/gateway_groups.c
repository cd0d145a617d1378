/* gateway_groups - groups of players, and the hook for a matchmaker: methods of JSON-RPC. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway_inside.h"

static gateway_session* groups_session(const rpc_call* call)
{
    return call->user;
}

static void groups_put(const gateway* at, text* out, const groups_group* group)
{
    text_format(out, "{\"group\":%u,\"size\":%u,\"open\":%s,\"leader\":", group->id, group->size_max,
                group->open ? "true" : "false");
    gateway_put_player(at, out, group->leader);
    text_put(out, ",\"members\":[");
    for (uint32_t i = 0; i < group->count; i++) {
        if (i > 0) text_put(out, ",");
        gateway_put_player(at, out, group->members[i]);
    }
    text_put(out, "]}");
}

static void groups_send(gateway* at, necpnet_player player, const text* told)
{
    for (gateway_session* session = gateway_first_of(at, player); session; session = session->chain) {
        if (session->client_id != player || !session->greeted || session->suspended || session->ended) continue;
        (void)gateway_send_text(session, told->to, told->bytes);
    }
}

/* All members here hear what happened, and the player whom it is about. */
void gateway_tell_group(gateway* at, const groups_group* group, const char* what, necpnet_player player)
{
    text out;
    text_begin_growing(&out);
    text_format(&out,
                "{\"jsonrpc\":\"2.0\",\"method\":\"group.changed\",\"params\":{\"what\":\"%s\",\"player\":", what);
    gateway_put_player(at, &out, player);
    text_put(&out, ",\"group\":");
    groups_put(at, &out, group);
    text_put(&out, "}}");
    if (!out.failed) {
        for (uint32_t i = 0; i < group->count; i++) groups_send(at, group->members[i], &out);
        if (!groups_has(group, player)) groups_send(at, player, &out);
    }
    text_end(&out);
}

/* A change was made here: everybody hears of it, on other nodes too. */
static void groups_tell(gateway* at, groups_group* group, const char* what, necpnet_player player)
{
    groups_touch(group);
    gateway_tell_group(at, group, what, player);
    gateway_say_group(at, group, what, player, 0);
}

/* The last member has left it. */
static void groups_tell_end(gateway* at, uint32_t id, uint64_t version, necpnet_player player)
{
    groups_group ended = {.id = id, .version = version + 1};
    gateway_say_group(at, &ended, "", player, 0);
}

static groups_group* groups_of_call(rpc_call* call, bool as_leader)
{
    gateway_session* session = groups_session(call);
    groups_group* group = groups_find(session->owner->parties, (uint32_t)rpc_number(call, "group", 0));
    bool trusted = session->role != ROLE_PLAYER;
    if (!group || (as_leader && !trusted && !groups_has(group, session->client_id))) {
        rpc_fail(call, RPC_NOT_FOUND, "there is no such group, or you are not in it");
        return NULL;
    }
    if (as_leader && !trusted && group->leader != session->client_id) {
        rpc_fail(call, RPC_FORBIDDEN, "this is for the group's leader");
        return NULL;
    }
    return group;
}

static bool groups_player_of_call(rpc_call* call, necpnet_player* out_player)
{
    gateway_session* session = groups_session(call);
    const char* name = rpc_text(call, "player", NULL);
    *out_player = session->client_id;
    if (!name) return true;
    if (!gateway_find_player(session->owner, session, name, out_player)) {
        rpc_fail(call, RPC_INVALID_PARAMS, "/player is no player");
        return false;
    }
    if (name[0] != '#') gateway_name_player(session->owner, *out_player, name);
    return true;
}

void method_group_create(rpc_call* call)
{
    gateway_session* session = groups_session(call);
    gateway* at = session->owner;
    groups_group* group = NULL;
    if (gateway_group_elsewhere(call)) return;
    necpnet_result result = groups_begin(at->parties, session->client_id, (uint32_t)rpc_number(call, "size", 8),
                                         rpc_bool(call, "open", false), &group);
    if (result == NECPNET_OK) {
        groups_touch(group);
        gateway_say_group(at, group, "", 0, 0);
        groups_put(at, call->result, group);
    } else {
        gateway_fail_result(call, result);
    }
}

void method_group_invite(rpc_call* call)
{
    gateway* at = groups_session(call)->owner;
    necpnet_player player;
    if (gateway_group_elsewhere(call)) return;
    groups_group* group = groups_of_call(call, true);
    if (!group || !groups_player_of_call(call, &player)) return;
    necpnet_result result = groups_invite(group, player);
    if (result != NECPNET_OK) {
        gateway_fail_result(call, result);
        return;
    }
    groups_tell(at, group, "invited", player);
    char data[64];
    snprintf(data, sizeof(data), "{\"group\":%u}", group->id);
    gateway_notify(at, player, "group.invited", data);
    groups_put(at, call->result, group);
}

void method_group_join(rpc_call* call)
{
    gateway_session* session = groups_session(call);
    gateway* at = session->owner;
    if (gateway_group_elsewhere(call)) return;
    groups_group* group = groups_of_call(call, false);
    if (!group) return;
    necpnet_result result = groups_join(at->parties, group, session->client_id, false);
    if (result == NECPNET_ERR_PERMISSION) {
        rpc_fail(call, RPC_FORBIDDEN, "you are not invited");
    } else if (result != NECPNET_OK) {
        gateway_fail_result(call, result);
    } else {
        groups_tell(at, group, "joined", session->client_id);
        groups_put(at, call->result, group);
    }
}

void gateway_forget_group_topic(gateway* at, uint32_t id, necpnet_player player)
{
    char name[32];
    snprintf(name, sizeof(name), "group.%u", id);
    const topics_topic* topic = topics_find(at->hub, name);
    for (gateway_session* session = gateway_first_of(at, player); session && topic; session = session->chain) {
        if (session->client_id == player && session->role == ROLE_PLAYER) {
            (void)topics_unsubscribe(at->hub, topic, &session->subscriber);
        }
    }
}

void method_group_leave(rpc_call* call)
{
    gateway_session* session = groups_session(call);
    gateway* at = session->owner;
    necpnet_player player;
    bool ended = false;
    if (gateway_group_elsewhere(call) || !groups_player_of_call(call, &player)) return;
    groups_group* group = groups_of_call(call, player != session->client_id);
    if (!group) return;
    uint32_t id = group->id;
    uint64_t version = group->version;
    necpnet_result result = groups_leave(at->parties, group, player, &ended);
    if (result != NECPNET_OK) {
        rpc_fail(call, RPC_NOT_FOUND, "the player is not in this group");
        return;
    }
    gateway_forget_group_topic(at, id, player);
    if (ended) {
        groups_tell_end(at, id, version, player);
    } else {
        groups_tell(at, group, "left", player);
    }
    text_put(call->result, "{}");
}

void method_group_lead(rpc_call* call)
{
    gateway* at = groups_session(call)->owner;
    necpnet_player player;
    if (gateway_group_elsewhere(call)) return;
    groups_group* group = groups_of_call(call, true);
    if (!group || !groups_player_of_call(call, &player)) return;
    if (groups_lead(group, player) != NECPNET_OK) {
        rpc_fail(call, RPC_NOT_FOUND, "the player is not in this group");
        return;
    }
    groups_tell(at, group, "leader", player);
    groups_put(at, call->result, group);
}

void method_group_list(rpc_call* call)
{
    gateway_session* session = groups_session(call);
    gateway* at = session->owner;
    bool first = true;
    text_put(call->result, "{\"groups\":[");
    for (groups_group* group = groups_of(at->parties, session->client_id, NULL); group;
         group = groups_of(at->parties, session->client_id, group)) {
        text_put(call->result, first ? "" : ",");
        groups_put(at, call->result, group);
        first = false;
    }
    text_put(call->result, "]}");
}

void gateway_leave_all(gateway* at, necpnet_player player)
{
    groups_group* group;
    while ((group = groups_of(at->parties, player, NULL)) != NULL) {
        uint32_t id = group->id;
        uint64_t version = group->version;
        bool ended = false;
        (void)groups_leave(at->parties, group, player, &ended);
        if (ended) {
            groups_tell_end(at, id, version, player);
        } else {
            groups_tell(at, group, "left", player);
        }
    }
}

void gateway_leave_groups(gateway* at, const gateway_session* session)
{
    if (!session->greeted || !session->client_id || groups_count(at->parties) == 0) return;
    for (const gateway_session* other = gateway_first_of(at, session->client_id); other; other = other->chain) {
        if (other != session && other->client_id == session->client_id && other->greeted) return;
    }
    if (!groups_of(at->parties, session->client_id, NULL)) return;
    if (!gateway_cluster_keeps_player(at, session->client_id, 0)) gateway_group_gone(at, session->client_id);
}

/* -------------------------------------------------------------------------------------------------- matchmaking -- */

#define MATCH_TOPIC "admin.match"

static cJSON* match_data(const rpc_call* call, const char* player)
{
    cJSON* data = cJSON_CreateObject();
    const cJSON* said = rpc_json(call, "data");
    if (player) (void)cJSON_AddStringToObject(data, "player", player);
    (void)cJSON_AddStringToObject(data, "queue", rpc_text(call, "queue", ""));
    if (said) (void)cJSON_AddItemToObject(data, "data", cJSON_Duplicate(said, true));
    return data;
}

static void match_tell(rpc_call* call, const char* type)
{
    gateway_session* session = groups_session(call);
    gateway* at = session->owner;
    const topics_topic* topic = topics_find(at->hub, MATCH_TOPIC);
    if (!at->cluster && (!topic || topics_subscribers(topic) == 0)) {
        rpc_fail(call, RPC_UNAVAILABLE, "no matchmaker listens (a service that subscribed to " MATCH_TOPIC ")");
        return;
    }
    gateway_announce(at, MATCH_TOPIC, type, session->subject, match_data(call, session->subject));
    text_put(call->result, "{}");
}

void method_match_request(rpc_call* call)
{
    match_tell(call, "game.match_requested");
}

void method_match_cancel(rpc_call* call)
{
    match_tell(call, "game.match_cancelled");
}

/* Told to each player on its own topic. */
static void match_tell_player(rpc_call* call, const char* player, uint32_t group)
{
    char topic[TOPICS_NAME_BYTES_MAX + 1];
    int bytes = snprintf(topic, sizeof(topic), "player.%s", player);
    cJSON* data = match_data(call, NULL);
    (void)cJSON_AddNumberToObject(data, "group", group);
    if (bytes > 0 && (size_t)bytes < sizeof(topic) && topics_name_is_right(topic)) {
        gateway_announce(groups_session(call)->owner, topic, "game.match_found", "", data);
    } else {
        cJSON_Delete(data);
    }
}

void method_match_place(rpc_call* call)
{
    gateway_session* session = groups_session(call);
    gateway* at = session->owner;
    const cJSON* chosen = rpc_json(call, "players");
    const cJSON* player;
    groups_group* group = NULL;
    if (gateway_group_elsewhere(call)) return;
    cJSON_ArrayForEach(player, chosen)
    {
        uint64_t client_id;
        necpnet_result result = NECPNET_ERR_INVALID_ARGUMENT;
        if (gateway_find_player(at, session, player->valuestring, &client_id)) {
            gateway_name_player(at, client_id, player->valuestring);
            result = group ? groups_join(at->parties, group, client_id, true)
                           : groups_begin(at->parties, client_id, GROUPS_MEMBERS_MAX, false, &group);
        }
        if (result == NECPNET_OK || result == NECPNET_ERR_ALREADY_EXISTS) continue;
        gateway_fail_result(call, result);
        bool ended = false;
        while (group && !ended) (void)groups_leave(at->parties, group, group->members[0], &ended);
        return;
    }
    groups_touch(group);
    gateway_say_group(at, group, "", 0, 0);
    cJSON_ArrayForEach(player, chosen) match_tell_player(call, player->valuestring, group->id);
    groups_put(at, call->result, group);
}
