/* gateway_methods - the methods of JSON-RPC: one table of names, roles and schemas, and what each does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "log.h"

#define PLAYER_TEXT "{\"type\":\"string\",\"minLength\":1,\"maxLength\":255}"
#define POSITION_SCHEMA \
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"epoch\",\"offset\"],\"properties\":{" \
    "\"epoch\":{\"type\":\"integer\",\"minimum\":0},\"offset\":{\"type\":\"integer\",\"minimum\":0}}}"
#define TOPIC_SCHEMA "{\"type\":\"string\",\"minLength\":1,\"maxLength\":127}"
#define NOTHING_SCHEMA "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}"

static gateway_session* methods_session(const rpc_call* call)
{
    return call->user;
}

int gateway_code_of(necpnet_result result)
{
    return result == NECPNET_OK                     ? RPC_OK
           : result == NECPNET_ERR_PERMISSION       ? RPC_FORBIDDEN
           : result == NECPNET_ERR_LIMIT_REACHED    ? RPC_LIMIT_REACHED
           : result == NECPNET_ERR_NOT_FOUND        ? RPC_NOT_FOUND
           : result == NECPNET_ERR_ALREADY_EXISTS   ? RPC_CONFLICT
           : result == NECPNET_ERR_INVALID_ARGUMENT ? RPC_INVALID_PARAMS
                                                    : RPC_INTERNAL_ERROR;
}

void gateway_fail_result(rpc_call* call, necpnet_result result)
{
    rpc_fail(call, gateway_code_of(result), "%s", necpnet_result_text(result));
}

void gateway_judge(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    uint32_t retry_ms = 0;
    at->figures.calls++;
    if (!gateway_take_rate(session, call->method->cost, &retry_ms)) {
        at->figures.refused++;
        snprintf(call->data, sizeof(call->data), "{\"retry_after_ms\":%u}", retry_ms);
        rpc_fail(call, RPC_TOO_OFTEN, "too many calls; come again in %u ms", retry_ms);
    } else if (!session->greeted && strcmp(call->method->name, "session.hello") != 0 &&
               strcmp(call->method->name, "rpc.discover") != 0) {
        rpc_fail(call, RPC_UNAUTHENTICATED, "session.hello comes first");
    } else if (session->expires_us && gateway_wall_us(at) >= session->expires_us) {
        rpc_fail(call, RPC_UNAUTHENTICATED, "the JWT has expired");
    } else if (!(call->method->roles & session->role)) {
        rpc_fail(call, RPC_FORBIDDEN, "your role may not call %s", call->method->name);
    }
}

/* ------------------------------------------------------------------------------------------------- events, topics -- */

static void method_publish(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const char* type = rpc_text(call, "type", "");
    const events_kind* kind = events_find(at->catalogue, type, (uint32_t)rpc_number(call, "version", 0));
    topics_position position;
    char why[RPC_MESSAGE_BYTES_MAX];
    if (!kind) {
        const char* near = events_nearest(at->catalogue, type);
        rpc_fail(call, RPC_INVALID_PARAMS,
                 near ? "there is no event of that type and version; is %s meant?"
                      : "there is no event of that type and version%s",
                 near ? near : "");
        return;
    }
    int code = gateway_publish(at, session, rpc_text(call, "topic", ""), kind, rpc_json(call, "data"),
                               rpc_text(call, "key", ""), call, &position, why, sizeof(why));
    if (code == GATEWAY_LATER) return;
    if (code != RPC_OK) {
        rpc_fail(call, code, "%s", why);
        return;
    }
    text_format(call->result, "{\"epoch\":%llu,\"offset\":%llu}", (unsigned long long)position.epoch,
                (unsigned long long)position.offset);
}

static void method_event_types(rpc_call* call)
{
    const gateway* at = methods_session(call)->owner;
    text_put(call->result, "{\"types\":[");
    for (int i = 0; i < events_count(at->catalogue); i++) {
        char* schema = cJSON_PrintUnformatted(events_at(at->catalogue, i)->schema);
        if (i > 0) text_put(call->result, ",");
        text_put(call->result, schema ? schema : "{}");
        cJSON_free(schema);
    }
    text_put(call->result, "]}");
}

/* The topic that a call names, if the session may do this to it. */
static bool methods_topic(rpc_call* call, gateway_deed deed, const char** out_name)
{
    gateway_session* session = methods_session(call);
    *out_name = rpc_text(call, "topic", "");
    if (!topics_name_is_right(*out_name)) {
        rpc_fail(call, RPC_INVALID_PARAMS,
                 "/topic must be words of letters, digits, _ - and : with dots between, at most 127 bytes");
        return false;
    }
    const char* why = gateway_judge_topic(session->owner, session, *out_name, deed);
    if (why) rpc_fail(call, RPC_FORBIDDEN, "%s", why);
    return !why;
}

static bool methods_since(const rpc_call* call, topics_position* out)
{
    const cJSON* since = rpc_json(call, "since");
    if (!since) return false;
    out->epoch = (uint64_t)cJSON_GetObjectItemCaseSensitive(since, "epoch")->valuedouble;
    out->offset = (uint64_t)cJSON_GetObjectItemCaseSensitive(since, "offset")->valuedouble;
    return true;
}

static void method_subscribe(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const char* name;
    topics_topic* topic;
    topics_position since;
    bool recovered = false;
    if (!methods_topic(call, GATEWAY_SUBSCRIBES, &name)) return;
    bool has_since = methods_since(call, &since);
    if (!gateway_cluster_has_topic(at, name)) { /* asked for; the answer comes with it */
        rpc_later* later = rpc_defer(call);
        gateway_waiting* waiting =
            later ? gateway_wait_subscribe(session, name, has_since ? &since : NULL, later) : NULL;
        if (waiting && gateway_cluster_subscribe(at, name, waiting)) gateway_on_answer(waiting, RELAY_DONE, since, at);
        return;
    }
    necpnet_result result = topics_open(at->hub, name, &topic);
    if (result == NECPNET_OK) {
        result =
            topics_subscribe(at->hub, topic, &session->subscriber, has_since ? &since : NULL, at->now_us, &recovered);
    }
    if (result != NECPNET_OK) {
        gateway_fail_result(call, result);
        return;
    }
    topics_position position = topics_get_position(topic);
    text_format(call->result, "{\"epoch\":%llu,\"offset\":%llu,\"recovered\":%s}", (unsigned long long)position.epoch,
                (unsigned long long)position.offset, recovered ? "true" : "false");
}

static void method_unsubscribe(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const topics_topic* topic = topics_find(at->hub, rpc_text(call, "topic", ""));
    if (topic && topics_unsubscribe(at->hub, topic, &session->subscriber)) {
        text_put(call->result, "{}");
    } else {
        rpc_fail(call, RPC_NOT_FOUND, "you are not subscribed to this topic");
    }
}

/* ------------------------------------------------------------------------------------------------------ presence -- */

static void method_presence_set(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    necpnet_presence_info info;
    const char* status = rpc_text(call, "status", NULL);
    const char* location = rpc_text(call, "location", NULL);
    necpnet_presence_status wanted = NECPNET_PRESENCE_ONLINE;
    if (status) (void)gateway_status_find(status, &wanted);
    if (!session->present) { /* begin as what is asked for: never a moment visible before invisible */
        if (necpnet_presence_connect(at->presence, session->client_id, wanted) != NECPNET_OK) {
            rpc_fail(call, RPC_LIMIT_REACHED, "too many players");
            return;
        }
        session->present = true;
        gateway_keep_seen(at, session);
        gateway_ask_friends(at, session);
    }
    necpnet_result result = necpnet_presence_get(at->presence, session->client_id, session->client_id, &info);
    if (result == NECPNET_OK && (location || rpc_json(call, "zone"))) {
        char kept[NECPNET_PRESENCE_LOCATION_BYTES_MAX + 1];
        snprintf(kept, sizeof(kept), "%s", info.location);
        result = necpnet_presence_set_place(at->presence, session->client_id,
                                            (uint32_t)rpc_number(call, "zone", (double)info.zone),
                                            location ? location : kept);
    }
    if (result == NECPNET_OK && status) result = necpnet_presence_set_status(at->presence, session->client_id, wanted);
    if (result == NECPNET_OK)
        result = necpnet_presence_get(at->presence, session->client_id, session->client_id, &info);
    if (result == NECPNET_OK) {
        gateway_put_presence(at, call->result, &info);
    } else {
        gateway_fail_result(call, result);
    }
}

static void method_presence_get(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const cJSON* player;
    bool first = true;
    text_put(call->result, "{\"players\":[");
    cJSON_ArrayForEach(player, rpc_json(call, "players"))
    {
        necpnet_presence_info info;
        uint64_t client_id;
        if (!gateway_find_player(at, session, player->valuestring, &client_id)) continue;
        if (necpnet_presence_get(at->presence, session->client_id, client_id, &info) != NECPNET_OK) continue;
        if (!first) text_put(call->result, ",");
        first = false;
        gateway_put_presence(at, call->result, &info);
    }
    text_put(call->result, "]}");
}

static void method_presence_watch(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const cJSON* player;
    bool watch = rpc_bool(call, "watch", true);
    int count = 0;
    if (!session->present) {
        if (necpnet_presence_connect(at->presence, session->client_id, NECPNET_PRESENCE_INVISIBLE) != NECPNET_OK) {
            rpc_fail(call, RPC_LIMIT_REACHED, "too many players");
            return;
        }
        session->present = true;
        gateway_keep_seen(at, session);
    }
    cJSON_ArrayForEach(player, rpc_json(call, "players"))
    {
        uint64_t client_id;
        if (!gateway_find_player(at, session, player->valuestring, &client_id) || client_id == session->client_id)
            continue;
        if (watch && player->valuestring[0] != '#') gateway_name_player(at, client_id, player->valuestring);
        necpnet_result result = watch ? necpnet_presence_watch(at->presence, session->client_id, client_id)
                                      : necpnet_presence_unwatch(at->presence, session->client_id, client_id);
        if (result == NECPNET_ERR_NOT_FOUND && !watch) continue;
        if (result != NECPNET_OK) {
            gateway_fail_result(call, result);
            return;
        }
        count++;
    }
    text_format(call->result, "{\"%s\":%d}", watch ? "watched" : "unwatched", count);
}

static void method_presence_friends(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const cJSON* friend;
    uint64_t player;
    bool add = rpc_bool(call, "friends", true);
    int count = 0;
    if (!gateway_find_player(at, session, rpc_text(call, "player", ""), &player)) player = 0;
    cJSON_ArrayForEach(friend, rpc_json(call, "players"))
    {
        uint64_t other;
        if (!gateway_find_player(at, session, friend->valuestring, &other)) continue;
        gateway_name_player(at, other, friend->valuestring);
        necpnet_result result = add ? necpnet_presence_add_friend(at->presence, player, other)
                                    : necpnet_presence_remove_friend(at->presence, player, other);
        if (result == NECPNET_ERR_NOT_FOUND && !add) continue;
        if (result != NECPNET_OK) {
            gateway_fail_result(call, result);
            return;
        }
        count++;
    }
    text_format(call->result, "{\"changed\":%d}", count);
}

/* --------------------------------------------------------------------------------------------------------- state -- */

static void method_state_subscribe(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    topics_topic* topic;
    bool recovered;
    if (session->role == ROLE_PLAYER && at->settings->mode != CONFIG_DEVELOPMENT) {
        rpc_fail(call, RPC_FORBIDDEN, "the whole world is for services and admins; players follow it over necpnet.v1");
        return;
    }
    necpnet_result result = topics_open(at->hub, GATEWAY_STATE_TOPIC, &topic);
    if (result != NECPNET_OK) {
        gateway_fail_result(call, result);
        return;
    }
    if (!gateway_state_begin(at, topic)) {
        rpc_fail(call, RPC_NOT_FOUND, "this server has no world");
        return;
    }
    (void)topics_unsubscribe(at->hub, topic, &session->subscriber); /* again: from the whole */
    result = topics_subscribe(at->hub, topic, &session->subscriber, NULL, at->now_us, &recovered);
    if (result != NECPNET_OK) {
        gateway_fail_result(call, result);
        return;
    }
    topics_position position = topics_get_position(topic);
    text_format(call->result, "{\"epoch\":%llu,\"offset\":%llu,\"state\":", (unsigned long long)position.epoch,
                (unsigned long long)position.offset);
    (void)gateway_state_put_all(at, call->result);
    text_put(call->result, "}");
}

static void method_state_unsubscribe(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const topics_topic* topic = topics_find(at->hub, GATEWAY_STATE_TOPIC);
    if (topic && topics_unsubscribe(at->hub, topic, &session->subscriber)) {
        text_put(call->result, "{}");
    } else {
        rpc_fail(call, RPC_NOT_FOUND, "you do not follow the world");
    }
}

static void method_registry_find(rpc_call* call)
{
    gateway_session* session = methods_session(call);
    gateway* at = session->owner;
    const cJSON* player;
    bool first = true;
    text_put(call->result, "{\"players\":[");
    cJSON_ArrayForEach(player, rpc_json(call, "players"))
    {
        uint64_t client_id;
        if (!gateway_find_player(at, session, player->valuestring, &client_id)) continue;
        text_put(call->result, first ? "{\"player\":" : ",{\"player\":");
        text_json(call->result, player->valuestring);
        text_put(call->result, ",\"nodes\":[");
        gateway_cluster_put_where(at, call->result, client_id);
        text_put(call->result, "]}");
        first = false;
    }
    text_put(call->result, "]}");
}

static void method_registry_nodes(rpc_call* call)
{
    gateway_cluster_put_nodes(methods_session(call)->owner, call->result, rpc_text(call, "key", ""));
}

static void method_discover(rpc_call* call)
{
    rpc_discover(methods_session(call)->owner->methods, call->result);
}

/* ------------------------------------------------------------------------------------------------------ the table -- */

#define EVERYBODY (ROLE_PLAYER | ROLE_SERVICE | ROLE_ADMIN)
#define BACKEND (ROLE_SERVICE | ROLE_ADMIN)
#define OBJECT_SCHEMA "{\"type\":\"object\"}"
#define PLAYERS_SCHEMA "{\"type\":\"array\",\"minItems\":1,\"maxItems\":256,\"items\":" PLAYER_TEXT "}"
#define STATUS_SCHEMA "{\"type\":\"string\",\"enum\":[\"online\",\"away\",\"busy\",\"invisible\",\"in-game\"]}"
#define CRAFT_SCHEMA "{\"type\":\"string\",\"minLength\":1,\"maxLength\":64}"
#define CHANNEL_SCHEMA "{\"type\":\"string\",\"minLength\":1,\"maxLength\":64}"
#define GROUP_SCHEMA "{\"type\":\"integer\",\"minimum\":1,\"maximum\":4294967295}"
#define PARAMS(required, properties) \
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[" required "],\"properties\":{" properties "}}"

/* clang-format off */
const rpc_method gateway_methods[] = {
    {"session.hello", "Begin a session, or go on with one that was lost.", EVERYBODY, 1,
     PARAMS("",
            "\"client\":{\"type\":\"string\",\"maxLength\":64,\"description\":\"Name and version of the program.\"},"
            "\"resume\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"session\",\"ticket\"],\"properties\":{"
              "\"session\":{\"type\":\"string\",\"maxLength\":64},\"ticket\":{\"type\":\"string\",\"maxLength\":64}},"
              "\"description\":\"As an earlier hello answered.\"},"
            "\"positions\":{\"type\":\"object\",\"additionalProperties\":" POSITION_SCHEMA ","
              "\"description\":\"With resume: the newest message that was received, by topic; what came after it is sent again.\"}"),
     OBJECT_SCHEMA, method_hello},
    {"session.close", "End the session; it cannot be resumed.", EVERYBODY, 1, NOTHING_SCHEMA, OBJECT_SCHEMA, method_close},
    {"session.list", "Sessions of this worker and their figures.", BACKEND, 5,
     PARAMS("", "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}"), OBJECT_SCHEMA, method_sessions},
    {"session.end", "End somebody's session.", ROLE_ADMIN, 1,
     PARAMS("\"session\"", "\"session\":{\"type\":\"string\",\"maxLength\":64}"), OBJECT_SCHEMA, method_end},
    {"event.publish", "Publish an event to a topic.", EVERYBODY, 1,
     PARAMS("\"topic\",\"type\",\"data\"",
            "\"topic\":" TOPIC_SCHEMA ",\"type\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":63},"
            "\"data\":{\"type\":\"object\"},"
            "\"version\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535,\"description\":\"The newest, if left out.\"},"
            "\"key\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64,\"description\":\"Makes a repeated call publish once: of the last 16 of a session.\"}"),
     POSITION_SCHEMA, method_publish},
    {"event.types", "The schemas of all events.", EVERYBODY, 10, NOTHING_SCHEMA, OBJECT_SCHEMA, method_event_types},
    {"topic.subscribe", "Get a topic's messages as topic.message, from now on or from a position.", EVERYBODY, 1,
     PARAMS("\"topic\"", "\"topic\":" TOPIC_SCHEMA ",\"since\":" POSITION_SCHEMA), OBJECT_SCHEMA, method_subscribe},
    {"topic.unsubscribe", "No longer get them.", EVERYBODY, 1, PARAMS("\"topic\"", "\"topic\":" TOPIC_SCHEMA),
     OBJECT_SCHEMA, method_unsubscribe},
    {"presence.set", "Be seen, with a status, a zone and a location.", EVERYBODY, 1,
     PARAMS("", "\"status\":" STATUS_SCHEMA ",\"zone\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295},"
                "\"location\":{\"type\":\"string\",\"maxLength\":63}"),
     OBJECT_SCHEMA, method_presence_set},
    {"presence.get", "How players are seen.", EVERYBODY, 1, PARAMS("\"players\"", "\"players\":" PLAYERS_SCHEMA),
     OBJECT_SCHEMA, method_presence_get},
    {"presence.watch", "Hear of players' changes as presence.changed, or no longer.", EVERYBODY, 2,
     PARAMS("\"players\"", "\"players\":" PLAYERS_SCHEMA ",\"watch\":{\"type\":\"boolean\"}"), OBJECT_SCHEMA,
     method_presence_watch},
    {"presence.friends", "Tell whose friends players are, or no longer.", BACKEND, 2,
     PARAMS("\"player\",\"players\"", "\"player\":" PLAYER_TEXT ",\"players\":" PLAYERS_SCHEMA ",\"friends\":{\"type\":\"boolean\"}"),
     OBJECT_SCHEMA, method_presence_friends},
    {"state.subscribe", "The world's entities, then what changes of them as state.changed.", EVERYBODY, 50, NOTHING_SCHEMA,
     OBJECT_SCHEMA, method_state_subscribe},
    {"state.unsubscribe", "No longer get it.", EVERYBODY, 1, NOTHING_SCHEMA, OBJECT_SCHEMA, method_state_unsubscribe},
    {"registry.find", "On which nodes players are.", BACKEND, 2, PARAMS("\"players\"", "\"players\":" PLAYERS_SCHEMA),
     OBJECT_SCHEMA, method_registry_find},
    {"registry.nodes", "The nodes that are alive, and which of them a key belongs to.", BACKEND, 1,
     PARAMS("", "\"key\":{\"type\":\"string\",\"maxLength\":255}"), OBJECT_SCHEMA, method_registry_nodes},
    {"group.create", "Begin a group, and lead it.", EVERYBODY, 2,
     PARAMS("", "\"size\":{\"type\":\"integer\",\"minimum\":2,\"maximum\":100},\"open\":{\"type\":\"boolean\"}"),
     OBJECT_SCHEMA, method_group_create},
    {"group.invite", "Let a player join: for its leader.", EVERYBODY, 2,
     PARAMS("\"group\",\"player\"", "\"group\":" GROUP_SCHEMA ",\"player\":" PLAYER_TEXT), OBJECT_SCHEMA, method_group_invite},
    {"group.join", "Join a group that is open or to which you are invited.", EVERYBODY, 2,
     PARAMS("\"group\"", "\"group\":" GROUP_SCHEMA), OBJECT_SCHEMA, method_group_join},
    {"group.leave", "Leave; or, for its leader, send a player away.", EVERYBODY, 2,
     PARAMS("\"group\"", "\"group\":" GROUP_SCHEMA ",\"player\":" PLAYER_TEXT), OBJECT_SCHEMA, method_group_leave},
    {"group.leader", "Give the lead to another member.", EVERYBODY, 2,
     PARAMS("\"group\",\"player\"", "\"group\":" GROUP_SCHEMA ",\"player\":" PLAYER_TEXT), OBJECT_SCHEMA, method_group_lead},
    {"group.list", "Your groups.", EVERYBODY, 2, NOTHING_SCHEMA, OBJECT_SCHEMA, method_group_list},
    {"match.request", "Ask for a match: a matchmaker that subscribed to admin.match hears of it.", EVERYBODY, 2,
     PARAMS("\"queue\"", "\"queue\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64},\"data\":{\"type\":\"object\"}"),
     OBJECT_SCHEMA, method_match_request},
    {"match.cancel", "No longer want one.", EVERYBODY, 2,
     PARAMS("\"queue\"", "\"queue\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64}"), OBJECT_SCHEMA, method_match_cancel},
    {"match.place", "A matchmaker's answer: a group of these players, told to each of them.", BACKEND, 5,
     PARAMS("\"players\"", "\"players\":" PLAYERS_SCHEMA ",\"queue\":{\"type\":\"string\",\"maxLength\":64},\"data\":{\"type\":\"object\"}"),
     OBJECT_SCHEMA, method_match_place},
    {"crafting.list", "Your crafting sessions; a service or admin names the player, or sees all.", EVERYBODY, 5,
     PARAMS("", "\"player\":" PLAYER_TEXT ",\"after\":{\"type\":\"integer\",\"minimum\":0},"
                "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100}"), OBJECT_SCHEMA, method_crafting_list},
    {"crafting.get", "One crafting session.", EVERYBODY, 1, PARAMS("\"session\"", "\"session\":" CRAFT_SCHEMA), OBJECT_SCHEMA,
     method_crafting_get},
    {"crafting.queue", "What a player makes, what waits, and for how long.", EVERYBODY, 2, PARAMS("", "\"player\":" PLAYER_TEXT),
     OBJECT_SCHEMA, method_crafting_queue},
    {"crafting.follow", "A crafting session's progress and materials: as crafting.changed, over necpnet.v1 as packets.", EVERYBODY, 2,
     PARAMS("\"session\"", "\"session\":" CRAFT_SCHEMA ",\"hz\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":60},"
            "\"packets\":{\"type\":\"boolean\",\"description\":\"Over necpnet.v1: false for JSON.\"}"),
     OBJECT_SCHEMA, method_crafting_follow},
    {"crafting.unfollow", "No longer get it.", EVERYBODY, 1, PARAMS("\"session\"", "\"session\":" CRAFT_SCHEMA), OBJECT_SCHEMA,
     method_crafting_unfollow},
    {"voice.join", "Be in a voice channel: the answer is that of POST /api/v1/voice-channels/{channel_id}/join, and over necpnet.v1 the group to speak to.", EVERYBODY, 50,
     PARAMS("\"channel_id\"", "\"channel_id\":" CHANNEL_SCHEMA ",\"user_id\":" PLAYER_TEXT), OBJECT_SCHEMA, method_voice_join},
    {"voice.leave", "No longer be in it.", EVERYBODY, 50,
     PARAMS("\"channel_id\"", "\"channel_id\":" CHANNEL_SCHEMA ",\"user_id\":" PLAYER_TEXT), OBJECT_SCHEMA, method_voice_leave},
    {"voice.channels", "The channels that you are in; over necpnet.v1 with the group of each.", EVERYBODY, 2, NOTHING_SCHEMA,
     OBJECT_SCHEMA, method_voice_channels},
    {"voice.signal", "An offer, an answer or a candidate for another user of a channel, who gets the same as a notification voice.signal.", EVERYBODY, 1,
     PARAMS("\"type\",\"from_user_id\",\"to_user_id\",\"channel_id\"",
            "\"type\":{\"type\":\"string\",\"enum\":[\"offer\",\"answer\",\"candidate\"]},"
            "\"session_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":128,\"description\":\"One for all messages of a connection; made up if left out.\"},"
            "\"from_user_id\":" PLAYER_TEXT ",\"to_user_id\":" PLAYER_TEXT ",\"channel_id\":" CHANNEL_SCHEMA ","
            "\"offer\":{\"type\":\"object\"},\"answer\":{\"type\":\"object\"},\"candidate\":{\"type\":\"object\"}"),
     OBJECT_SCHEMA, method_voice_signal},
    {"voice.report", "How you hear the others of a channel.", EVERYBODY, 1,
     PARAMS("\"channel_id\",\"bitrate\",\"packet_loss\",\"jitter\",\"latency\"",
            "\"channel_id\":" CHANNEL_SCHEMA ",\"bitrate\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10000000},"
            "\"packet_loss\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"description\":\"0 .. 1\"},"
            "\"jitter\":{\"type\":\"number\",\"minimum\":0,\"maximum\":9,\"description\":\"Seconds.\"},"
            "\"latency\":{\"type\":\"number\",\"minimum\":0,\"maximum\":9,\"description\":\"Seconds.\"},"
            "\"quality\":{\"type\":\"string\",\"enum\":[\"excellent\",\"good\",\"fair\",\"poor\"]}"),
     OBJECT_SCHEMA, method_voice_report},
    {"rpc.discover", "This table, as OpenRPC.", EVERYBODY, 10, NOTHING_SCHEMA, OBJECT_SCHEMA, method_discover},
    {NULL, NULL, 0, 0, NULL, NULL, NULL},
};
/* clang-format on */
