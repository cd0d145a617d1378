/* gateway_voice - voice channels and signals of WebRTC for clients of JSON-RPC, over WebSocket and necpnet alike; and what the
 * switchboard wants of this worker. Nothing here waits: what the store is told it takes later.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "log.h"
#include "voice.h"

/* -------------------------------------------------------------------------------------------- the switchboard's -- */

/* A topic of a channel that its subscriber is not in. */
typedef struct voice_stray {
    const switch_place* places;
    uint32_t count;
    const topics_topic* found;
} voice_stray;

static bool voice_is_stray(const topics_topic* topic, uint64_t offset, void* user)
{
    voice_stray* stray = user;
    const char* name = topics_name(topic);
    (void)offset;
    if (strncmp(name, "voice.", 6) != 0) return true;
    for (uint32_t i = 0; i < stray->count; i++) {
        if (strcmp(stray->places[i].channel, name + 6) == 0) return true;
    }
    stray->found = topic;
    return false;
}

static void voice_sync_user(gateway* at, uint64_t client_id)
{
    switch_place places[CHANNELS_OF_USER_MAX];
    uint32_t count = switchboard_places(at->known->switchboard, client_id, places);
    for (gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain) {
        if (session->client_id != client_id) continue;
        if (session->peer != NECPNET_PEER_NONE) voice_sync(at->speech, session->peer, places, count);
        voice_stray stray = {.places = places, .count = count};
        while (session->role == ROLE_PLAYER) {
            stray.found = NULL;
            topics_each(&session->subscriber, voice_is_stray, &stray);
            if (!stray.found) break;
            (void)topics_unsubscribe(at->hub, stray.found, &session->subscriber);
        }
    }
}

static void voice_tell(gateway* at, const switch_task* task)
{
    for (gateway_session* session = gateway_first_of(at, task->client_id); session; session = session->chain) {
        if (session->client_id != task->client_id || !session->greeted || session->suspended || session->ended)
            continue;
        (void)gateway_send_text(session, task->text, task->bytes);
    }
}

static void voice_take(switch_task* task, void* user)
{
    gateway* at = user;
    char topic[TOPICS_NAME_BYTES_MAX + 1];
    switch (task->kind) {
    case SWITCH_SYNC: voice_sync_user(at, task->client_id); break;
    case SWITCH_TELL: voice_tell(at, task); break;
    case SWITCH_EVENT:
        snprintf(topic, sizeof(topic), "voice.%s", task->channel);
        gateway_announce(at, topic, task->type, "", task->data);
        task->data = NULL;
        break;
    case SWITCH_QUALITY:
        for (gateway_session* session = gateway_first_of(at, task->client_id); session; session = session->chain) {
            if (session->client_id == task->client_id && session->peer != NECPNET_PEER_NONE)
                voice_report(at->speech, session->peer, task->number, task->loss_ppm, task->jitter_ms);
        }
        break;
    }
}

/* Of a player who speaks over necpnet.v1; who hears him that way knows it from his own client. */
static void voice_on_speaking(const char* id, uint64_t client_id, bool speaks, void* user)
{
    gateway* at = user;
    char name[TOPICS_NAME_BYTES_MAX + 1];
    char subject[CHANNELS_USER_BYTES_MAX + 1];
    snprintf(name, sizeof(name), "voice.%s", id);
    const topics_topic* topic = topics_find(at->hub, name);
    if (!at->cluster && (!topic || topics_subscribers(topic) == 0)) return;
    if (!players_find(at->known->names, client_id, subject, sizeof(subject)))
        snprintf(subject, sizeof(subject), "#%016" PRIx64, client_id);
    cJSON* data = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(data, "channel_id", id);
    (void)cJSON_AddStringToObject(data, "user_id", subject);
    (void)cJSON_AddBoolToObject(data, "speaking", speaks);
    gateway_announce(at, name, "voice.speaking", "", data);
}

void gateway_voice_begin(gateway* at)
{
    switchboard_attach(at->known->switchboard, (uint32_t)at->index, at->loop, voice_take, at);
    voice_listen(at->speech, voice_on_speaking, at);
}

void gateway_voice_end(gateway* at)
{
    switchboard_detach(at->known->switchboard, (uint32_t)at->index);
    voice_listen(at->speech, NULL, NULL);
}

void gateway_voice_say_session(gateway* at, gateway_session* session, bool here)
{
    if (session->switched == here) return;
    session->switched = here;
    if (here) {
        switchboard_connect(at->known->switchboard, session->client_id, (uint32_t)at->index);
    } else {
        switchboard_disconnect(at->known->switchboard, session->client_id, (uint32_t)at->index);
    }
}

bool gateway_voice_is_in(const gateway* at, const gateway_session* session, const char* id)
{
    return switchboard_is_in(at->known->switchboard, session->client_id, id);
}

/* ------------------------------------------------------------------------------------------------------ methods -- */

static gateway_session* voice_session(const rpc_call* call)
{
    return call->user;
}

/* A call of the switchboard for a call of a client. subject: room for the caller's name. */
static switch_call voice_call(const rpc_call* call, char subject[CHANNELS_USER_BYTES_MAX + 1])
{
    const gateway_session* session = voice_session(call);
    const gateway* at = session->owner;
    snprintf(subject, CHANNELS_USER_BYTES_MAX + 1, "%s", session->subject);
    if (session->peer != NECPNET_PEER_NONE) /* known by its number, unless it showed who it is before */
        (void)players_find(at->known->names, session->client_id, subject, CHANNELS_USER_BYTES_MAX + 1);
    return (switch_call){.role = session->role,
                         .client_id = session->client_id,
                         .subject = subject,
                         .has_guilds = true,
                         .guilds = session->guilds,
                         .worker = at->index,
                         .route = call->method->name,
                         .from = "",
                         .trace_id = "",
                         .out = call->result};
}

static bool voice_finish(rpc_call* call, switch_call* done, switch_result result)
{
    gateway* at = voice_session(call)->owner;
    result = switchboard_settle(at->known->switchboard, done, result);
    switch (result) {
    case SWITCH_OK:
    case SWITCH_CREATED: return true;
    case SWITCH_INVALID:
        fields_say(&done->fault, call->data, sizeof(call->data));
        rpc_fail(call, RPC_INVALID_PARAMS, "%s", done->fault.message);
        break;
    case SWITCH_FORBIDDEN: rpc_fail(call, RPC_FORBIDDEN, "%s", done->why); break;
    case SWITCH_MISSING: rpc_fail(call, RPC_NOT_FOUND, "%s", done->why); break;
    case SWITCH_CONFLICT:
        snprintf(call->data, sizeof(call->data), "{\"reason\":\"%s\"}", done->reason);
        rpc_fail(call, RPC_CONFLICT, "%s", done->why);
        break;
    case SWITCH_LIMIT: rpc_fail(call, RPC_LIMIT_REACHED, "%s", done->why); break;
    default: rpc_fail(call, RPC_UNAVAILABLE, "the store does not answer; try again in a moment"); break;
    }
    return false;
}

void method_voice_join(rpc_call* call)
{
    char subject[CHANNELS_USER_BYTES_MAX + 1];
    const gateway_session* session = voice_session(call);
    gateway* at = session->owner;
    const char* id = rpc_text(call, "channel_id", "");
    switch_call done = voice_call(call, subject);
    switch_result result = switchboard_join(at->known->switchboard, &done, id, rpc_text(call, "user_id", ""), -1);
    if (!voice_finish(call, &done, result) || session->peer == NECPNET_PEER_NONE) return;
    switch_place places[CHANNELS_OF_USER_MAX];
    uint32_t count = switchboard_places(at->known->switchboard, session->client_id, places);
    voice_sync(at->speech, session->peer, places, count); /* now, so that the group is known */
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(places[i].channel, id) != 0 || call->result->bytes == 0) continue;
        call->result->to[--call->result->bytes] = 0; /* the closing brace */
        text_format(call->result, ",\"group\":%" PRIu32 "}", voice_group(at->speech, session->peer, places[i].number));
    }
}

void method_voice_leave(rpc_call* call)
{
    char subject[CHANNELS_USER_BYTES_MAX + 1];
    gateway* at = voice_session(call)->owner;
    switch_call done = voice_call(call, subject);
    switch_result result = switchboard_leave(at->known->switchboard, &done, rpc_text(call, "channel_id", ""),
                                             rpc_text(call, "user_id", ""));
    if (voice_finish(call, &done, result)) text_put(call->result, "{}");
}

void method_voice_signal(rpc_call* call)
{
    char subject[CHANNELS_USER_BYTES_MAX + 1];
    const gateway_session* session = voice_session(call);
    gateway* at = session->owner;
    const char* from = rpc_text(call, "from_user_id", "");
    uint64_t from_id = 0;
    switch_call done = voice_call(call, subject);
    signal_message message = {.session_id = rpc_text(call, "session_id", ""),
                              .from = from,
                              .to = rpc_text(call, "to_user_id", ""),
                              .channel = rpc_text(call, "channel_id", "")};
    while (strcmp(rpc_text(call, "type", ""), signals_type_name(message.type)) != 0) message.type++;
    /* a client of necpnet.v1 is known by a hash of its name: one that gives the same is its own */
    if (session->peer != NECPNET_PEER_NONE && gateway_find_player(at, session, from, &from_id) &&
        from_id == session->client_id)
        snprintf(subject, sizeof(subject), "%s", from);
    switch_result result = signals_take(&message, rpc_json(call, "offer"), rpc_json(call, "answer"),
                                        rpc_json(call, "candidate"), &done.fault)
                               ? switchboard_signal(at->known->switchboard, &done, &message)
                               : SWITCH_INVALID;
    (void)voice_finish(call, &done, result);
}

void method_voice_report(rpc_call* call)
{
    static const char* const names[] = {"excellent", "good", "fair", "poor"};
    char subject[CHANNELS_USER_BYTES_MAX + 1];
    gateway* at = voice_session(call)->owner;
    switch_call done = voice_call(call, subject);
    switch_report report = {.user = "",
                            .bitrate = (int64_t)rpc_number(call, "bitrate", 0),
                            .packet_loss = rpc_number(call, "packet_loss", 0),
                            .jitter = rpc_number(call, "jitter", 0),
                            .latency = rpc_number(call, "latency", 0),
                            .quality = -1};
    for (int i = 0; i < 4; i++) {
        if (strcmp(rpc_text(call, "quality", ""), names[i]) == 0) report.quality = i;
    }
    switch_result result = switchboard_report(at->known->switchboard, &done, rpc_text(call, "channel_id", ""), &report);
    (void)voice_finish(call, &done, result);
}

void method_voice_channels(rpc_call* call)
{
    const gateway_session* session = voice_session(call);
    const gateway* at = session->owner;
    switch_place places[CHANNELS_OF_USER_MAX];
    uint32_t count = switchboard_places(at->known->switchboard, session->client_id, places);
    text_put(call->result, "{\"channels\":[");
    for (uint32_t i = 0; i < count; i++) {
        text_format(call->result, "%s{\"channel_id\":\"%s\",\"is_muted\":%s,\"is_deafened\":%s", i ? "," : "",
                    places[i].channel, places[i].is_silenced ? "true" : "false",
                    places[i].is_deafened ? "true" : "false");
        necpnet_voice_group group =
            session->peer == NECPNET_PEER_NONE ? 0 : voice_group(at->speech, session->peer, places[i].number);
        if (group) text_format(call->result, ",\"group\":%" PRIu32, group);
        text_put(call->result, "}");
    }
    text_put(call->result, "]}");
}
