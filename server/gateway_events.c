/* gateway_events - who may publish and subscribe where; an event on its way to everybody. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "guilds.h"
#include "log.h"
#include "schema.h"

/* Topics by their first word. What is not here, nobody may. */
typedef struct topic_rule {
    const char* first; /* the first word */
    bool has_more;     /* and further ones */
    unsigned subscribe;
    unsigned publish;
    bool own;     /* the second word is the player's own sub: others may not subscribe */
    bool in_zone; /* the second word is a zone's number: players publish where they are */
} topic_rule;

#define EVERYBODY (ROLE_PLAYER | ROLE_SERVICE | ROLE_ADMIN)
#define BACKEND (ROLE_SERVICE | ROLE_ADMIN)

/* clang-format off */
static const topic_rule topic_rules[] = {
    {"system",  false, EVERYBODY, BACKEND,   false, false},
    {"world",   false, EVERYBODY, BACKEND,   false, false},
    {"player",  true,  EVERYBODY, BACKEND,   true,  false},
    {"zone",    true,  EVERYBODY, EVERYBODY, false, true},
    {"chat",    true,  EVERYBODY, EVERYBODY, false, false},
    {"game",    true,  EVERYBODY, EVERYBODY, false, false},
    {"group",   true,  EVERYBODY, EVERYBODY, false, false},
    {"guild",   true,  EVERYBODY, EVERYBODY, false, false},
    {"voice",   true,  EVERYBODY, BACKEND,   false, false},
    {"admin",   true,  BACKEND,   BACKEND,   false, false},
};
/* clang-format on */

static const topic_rule* events_find_rule(const char* topic)
{
    size_t bytes = strcspn(topic, ".");
    for (size_t i = 0; i < sizeof(topic_rules) / sizeof(topic_rules[0]); i++) {
        const topic_rule* rule = &topic_rules[i];
        if (strlen(rule->first) == bytes && memcmp(rule->first, topic, bytes) == 0 &&
            rule->has_more == (topic[bytes] == '.')) {
            return rule;
        }
    }
    return NULL;
}

/* Whether a player stands in the zone that a topic names. */
static bool events_is_in_zone(const gateway* at, const gateway_session* session, const char* zone)
{
    necpnet_presence_info info;
    char* end = NULL;
    unsigned long number = strtoul(zone, &end, 10);
    if (*end || number == 0 || number > UINT32_MAX) return false;
    if (necpnet_presence_get(at->presence, session->client_id, session->client_id, &info) != NECPNET_OK) return false;
    return info.status != NECPNET_PRESENCE_OFFLINE && info.zone == number;
}

static bool events_is_member(const gateway* at, const gateway_session* session, const char* id)
{
    char* end = NULL;
    unsigned long number = strtoul(id, &end, 10);
    const groups_group* group = *end || number > UINT32_MAX ? NULL : groups_find(at->parties, (uint32_t)number);
    return group && groups_has(group, session->client_id);
}

const char* gateway_judge_topic(const gateway* at, const gateway_session* session, const char* topic, gateway_deed deed)
{
    const topic_rule* rule = events_find_rule(topic);
    const char* second = strchr(topic, '.');
    if (!rule)
        return "topics are system, world, player.SUB, zone.NUMBER, group.NUMBER, guild.ID, voice.CHANNEL, chat.NAME, "
               "game.NAME and admin.NAME";
    unsigned roles = deed == GATEWAY_SUBSCRIBES ? rule->subscribe : rule->publish;
    if (!(roles & session->role)) return "your role may not do this to the topic";
    if (session->role != ROLE_PLAYER) return NULL;
    if (rule->own && strcmp(second + 1, session->subject) != 0) return "this is another player's topic";
    if (strcmp(rule->first, "group") == 0 && !events_is_member(at, session, second + 1)) {
        return "this is the topic of a group that you are not in";
    }
    if (strcmp(rule->first, "guild") == 0 &&
        !guilds_grant(session->guilds, second + 1, deed == GATEWAY_PUBLISHES ? "chat" : NULL)) {
        return "this is the topic of a guild that you are not in, or may not speak in";
    }
    if (strcmp(rule->first, "voice") == 0 && !gateway_voice_is_in(at, session, second + 1)) {
        return "this is the topic of a voice channel that you are not in";
    }
    if (rule->in_zone && deed == GATEWAY_PUBLISHES && !events_is_in_zone(at, session, second + 1)) {
        return "players publish in the zone where their presence is";
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------------------- delivering -- */

topics_taken gateway_deliver(topics_subscriber* subscriber, const topics_topic* topic, const topics_message* message,
                             void* user)
{
    gateway_session* session = (gateway_session*)(void*)((char*)subscriber - offsetof(gateway_session, subscriber));
    (void)topic;
    (void)user;
    if (!gateway_has_room(session)) return gateway_fall_behind(session);
    if (session->connection) {
        (void)gateway_send_text(session, message->text, message->text_bytes); /* a failure has cut it */
        return TOPICS_TAKEN;
    }
    necpnet_send_options options = {.name = GATEWAY_EVENT_NAME};
    const void* data = message->binary;
    size_t bytes = message->binary_bytes;
    if (bytes == 0) { /* not an event: as text */
        options.name = GATEWAY_RPC_NAME;
        data = message->text;
        bytes = message->text_bytes;
    }
    session->owner->queued = true;
    necpnet_result result = necpnet_server_send_with(session->owner->server, session->peer, NECPNET_CHANNEL_RELIABLE,
                                                     data, bytes, &options);
    if (result == NECPNET_ERR_WOULD_BLOCK || result == NECPNET_ERR_OUT_OF_MEMORY) return gateway_fall_behind(session);
    return TOPICS_TAKEN;
}

/* A notification about a topic: what follows its epoch is the rest. */
static topics_taken gateway_notify_topic(topics_subscriber* subscriber, const topics_topic* topic, const char* method,
                                         const char* rest)
{
    gateway_session* session = (gateway_session*)(void*)((char*)subscriber - offsetof(gateway_session, subscriber));
    char buffer[512];
    text out;
    if (!gateway_has_room(session)) return gateway_fall_behind(session);
    text_begin(&out, buffer, sizeof(buffer));
    text_format(&out, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"topic\":", method);
    text_json(&out, topics_name(topic));
    text_format(&out, ",\"epoch\":%" PRIu64 ",%s}}", topics_get_position(topic).epoch, rest);
    necpnet_result result = gateway_send_text(session, out.to, out.bytes);
    if (result == NECPNET_ERR_WOULD_BLOCK || result == NECPNET_ERR_OUT_OF_MEMORY) return gateway_fall_behind(session);
    return TOPICS_TAKEN;
}

topics_taken gateway_gap(topics_subscriber* subscriber, const topics_topic* topic, uint64_t from, uint64_t to,
                         void* user)
{
    char rest[64];
    (void)user;
    snprintf(rest, sizeof(rest), "\"from\":%" PRIu64 ",\"to\":%" PRIu64, from, to);
    return gateway_notify_topic(subscriber, topic, "topic.gap", rest);
}

topics_taken gateway_renew(topics_subscriber* subscriber, const topics_topic* topic, uint64_t offset, void* user)
{
    char rest[64];
    (void)user;
    snprintf(rest, sizeof(rest), "\"offset\":%" PRIu64, offset);
    return gateway_notify_topic(subscriber, topic, "topic.renewed", rest);
}

/* ---------------------------------------------------------------------------------------------------- publishing -- */

static uint64_t events_hash_key(const char* topic, const char* key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a: keys of one session, nobody else's */
    for (; *topic; topic++) hash = (hash ^ (uint8_t)*topic) * UINT64_C(0x100000001b3);
    hash = (hash ^ 0xffu) * UINT64_C(0x100000001b3);
    for (; *key; key++) hash = (hash ^ (uint8_t)*key) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

/* Whether a publish with this key was done already. */
static bool events_find_key(const gateway_session* session, uint64_t hash, topics_position* out_position)
{
    for (int i = 0; session->keys && i < GATEWAY_KEYS; i++) {
        if (session->keys[i].hash != hash) continue;
        *out_position = session->keys[i].position;
        return true;
    }
    return false;
}

void gateway_keep_key(gateway_session* session, uint64_t hash, topics_position position)
{
    if (!session->keys) session->keys = calloc(GATEWAY_KEYS, sizeof(session->keys[0]));
    if (!session->keys) return;
    session->keys[session->key_next++ % GATEWAY_KEYS] = (gateway_key){.hash = hash, .position = position};
}

static int events_fail(char* why, size_t why_bytes, int code, const char* reason)
{
    snprintf(why, why_bytes, "%s", reason);
    return code;
}

int gateway_place_event(gateway* at, topics_topic* topic, const events_event* event, char* why, size_t why_bytes)
{
    text json, binary;
    text_begin_growing(&json);
    text_begin_growing(&binary);
    text_put(&json, "{\"jsonrpc\":\"2.0\",\"method\":\"topic.message\",\"params\":{\"topic\":");
    text_json(&json, event->topic);
    text_format(&json, ",\"epoch\":%llu,\"offset\":%llu,\"event\":", (unsigned long long)event->epoch,
                (unsigned long long)event->offset);
    events_put_json(&json, event);
    text_put(&json, "}}");
    events_put_binary(&binary, event);
    necpnet_result result = NECPNET_ERR_OUT_OF_MEMORY;
    if (!json.failed && !binary.failed) {
        topics_message message = {
            .text = json.to, .text_bytes = json.bytes, .binary = binary.to, .binary_bytes = binary.bytes};
        result = topics_publish(at->hub, topic, &message, at->now_us);
    }
    text_end(&json);
    text_end(&binary);
    if (result == NECPNET_OK) return RPC_OK;
    return events_fail(why, why_bytes, RPC_INTERNAL_ERROR, "the server is short of memory");
}

/* On this node, which counts the topic. out_position may be NULL. */
static int events_publish_here(gateway* at, const events_event* event, topics_position* out_position, char* why,
                               size_t why_bytes)
{
    topics_topic* topic = NULL;
    necpnet_result result = topics_open(at->hub, event->topic, &topic);
    if (result != NECPNET_OK) {
        int code = result == NECPNET_ERR_LIMIT_REACHED      ? RPC_LIMIT_REACHED
                   : result == NECPNET_ERR_INVALID_ARGUMENT ? RPC_INVALID_PARAMS
                                                            : RPC_INTERNAL_ERROR;
        return events_fail(why, why_bytes, code, necpnet_result_text(result));
    }
    events_event placed = *event;
    topics_position position = topics_get_position(topic);
    placed.epoch = position.epoch;
    placed.offset = ++position.offset;
    int code = gateway_place_event(at, topic, &placed, why, why_bytes);
    if (code != RPC_OK) return code;
    if (out_position) *out_position = position;
    gateway_cluster_spread(at, topic);
    return RPC_OK;
}

/* To the node that counts the topic. */
static int events_publish_there(gateway* at, gateway_session* from, const events_event* event, uint64_t hash,
                                rpc_call* call, char* why, size_t why_bytes)
{
    gateway_waiting* waiting;
    rpc_later* later = call ? rpc_defer(call) : NULL;
    if (call && !later) return events_fail(why, why_bytes, RPC_INTERNAL_ERROR, "the server is short of memory");
    if (gateway_wait_publish(from, event->topic, hash, later, &waiting)) gateway_cluster_publish(at, event, waiting);
    return GATEWAY_LATER;
}

int gateway_publish(gateway* at, gateway_session* from, const char* topic, const events_kind* kind, const cJSON* data,
                    const char* key, rpc_call* call, topics_position* out_position, char* why, size_t why_bytes)
{
    char error[RPC_MESSAGE_BYTES_MAX];
    uint64_t hash = key[0] ? events_hash_key(topic, key) : 0;
    if (!topics_name_is_right(topic)) {
        return events_fail(why, why_bytes, RPC_INVALID_PARAMS,
                           "/topic must be words of letters, digits, _ - and : with dots between, at most 127 bytes");
    }
    const char* refusal = gateway_judge_topic(at, from, topic, GATEWAY_PUBLISHES);
    if (refusal) return events_fail(why, why_bytes, RPC_FORBIDDEN, refusal);
    if (!(kind->publish & from->role)) {
        return events_fail(why, why_bytes, RPC_FORBIDDEN, "your role may not publish events of this type");
    }
    if (!schema_validate(kind->schema, data, error, sizeof(error))) {
        snprintf(why, why_bytes, "data of %s, version %u: %.200s", kind->type, kind->version, error);
        return RPC_INVALID_PARAMS;
    }
    if (hash && events_find_key(from, hash, out_position)) return RPC_OK;
    events_event event = {
        .kind = kind, .topic = topic, .time_ms = gateway_wall_us(at) / 1000u, .from = from->subject, .data = data};
    if (!gateway_cluster_counts(at, topic)) return events_publish_there(at, from, &event, hash, call, why, why_bytes);
    int code = events_publish_here(at, &event, out_position, why, why_bytes);
    if (code == RPC_OK && hash) gateway_keep_key(from, hash, *out_position);
    return code;
}

void gateway_announce(gateway* at, const char* topic, const char* type, const char* from, cJSON* data)
{
    char why[RPC_MESSAGE_BYTES_MAX];
    events_event event = {.kind = events_find(at->catalogue, type, 0),
                          .topic = topic,
                          .time_ms = gateway_wall_us(at) / 1000u,
                          .from = from,
                          .data = data};
    if (!event.kind || !data || !schema_validate(event.kind->schema, data, why, sizeof(why))) {
        LOG(NECPNET_LOG_ERROR, "event_of_ours_is_wrong", type, LOG_END);
    } else if (gateway_cluster_counts(at, topic)) {
        (void)events_publish_here(at, &event, NULL, why, sizeof(why));
    } else {
        gateway_cluster_publish(at, &event, NULL);
    }
    cJSON_Delete(data);
}

void gateway_on_binary_event(gateway_session* session, const void* data, size_t bytes)
{
    gateway* at = session->owner;
    events_read read;
    topics_position position;
    char why[RPC_MESSAGE_BYTES_MAX];
    uint32_t retry_ms = 0;
    int code = RPC_OK;
    session->heard_us = at->now_us;
    if (!gateway_take_rate(session, 1, &retry_ms)) {
        at->figures.refused++;
        snprintf(why, sizeof(why), "too many calls; come again in %u ms", retry_ms);
        code = RPC_TOO_OFTEN;
    } else if (bytes > EVENTS_DATA_BYTES_MAX ||
               !events_read_binary(at->catalogue, data, bytes, &read, why, sizeof(why))) {
        if (bytes > EVENTS_DATA_BYTES_MAX) snprintf(why, sizeof(why), "an event has at most 32 KB");
        code = RPC_INVALID_PARAMS;
    } else {
        code =
            gateway_publish(at, session, read.topic, read.event.kind, read.data, "", NULL, &position, why, sizeof(why));
        cJSON_Delete(read.data);
    }
    if (code == RPC_OK || code == GATEWAY_LATER) return;
    char buffer[1024];
    text out;
    at->figures.call_errors++;
    text_begin(&out, buffer, sizeof(buffer));
    text_format(&out, "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":%d,\"message\":", code);
    text_json(&out, why);
    text_put(&out, "},\"id\":null}");
    if (!out.failed) (void)gateway_send_text(session, out.to, out.bytes);
}
