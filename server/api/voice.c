/* voice - /api/v1/voice-channels and below it, /api/v1/voice-quality/{channel_id}/report, /api/v1/ice-servers, and the same
 * channels as /audio/streams. What may be done is the switchboard's to say; here its calls are made of requests, and its results
 * become answers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../audit.h"
#include "../guilds.h"
#include "../voice/switchboard.h"
#include "../voice/turn.h"
#include "api.h"

/* One request on its way through the switchboard. */
typedef struct voice_request {
    const services* known;
    const rest_request* request;
    rest_answer* answer;
    switch_call call;
    char from[64];
    cJSON* guilds;
} voice_request;

static void voice_begin(voice_request* to, const services* known, const rest_request* request, rest_answer* answer)
{
    memset(to, 0, sizeof(*to));
    to->known = known;
    to->request = request;
    to->answer = answer;
    bool is_developer = known->settings->mode == CONFIG_DEVELOPMENT && rest_header(request, "Authorization")[0] == 0;
    to->call = (switch_call){.role = request->who.role,
                             .client_id = request->who.client_id,
                             .subject = request->who.subject,
                             .issuer = request->who.issuer,
                             .is_developer = is_developer,
                             .worker = -1,
                             .route = request->route,
                             .from = audit_shorten(request->from, to->from, sizeof(to->from)),
                             .trace_id = request->trace_id,
                             .out = &answer->body};
}

/* Whether the call is to be made once more: it wanted the caller's guilds, and now has them. */
static bool voice_again(voice_request* at, switch_result* result)
{
    if (*result != SWITCH_ASK_GUILD || at->call.has_guilds) return false;
    guilds_result found = guilds_fetch(at->known, at->request->who.subject, &at->guilds);
    at->call.has_guilds = true;
    at->call.guilds = at->guilds;
    if (found == GUILDS_FOUND) return true;
    *result = SWITCH_ASK_GUILD;
    snprintf(at->call.why, sizeof(at->call.why), "%s",
             found == GUILDS_NONE ? "no guild service is configured (partner_guild_url)"
                                  : "the guild service does not answer; try again in a moment");
    return false;
}

static void voice_refuse(voice_request* at, switch_result result)
{
    char details[128];
    rest_answer* answer = at->answer;
    const rest_request* request = at->request;
    switch (result) {
    case SWITCH_INVALID: rest_refuse_field(answer, request, &at->call.fault); break;
    case SWITCH_FORBIDDEN:
        rest_refuse(answer, request, 403, at->call.why, NULL);
        audit_refusal(at->known, request, "forbidden", at->call.why);
        break;
    case SWITCH_MISSING: rest_refuse(answer, request, 404, at->call.why, NULL); break;
    case SWITCH_CONFLICT:
    case SWITCH_LIMIT:
        snprintf(details, sizeof(details), "{\"reason\":\"%s\"}", at->call.reason);
        rest_refuse(answer, request, 409, at->call.why, details);
        break;
    case SWITCH_ASK_GUILD:
        text_put(&answer->headers, "Retry-After: 1\r\n");
        rest_refuse(answer, request, 503, at->call.why, NULL);
        break;
    default: rest_refuse_desk(answer, request, DESK_DOWN); break;
    }
}

static void voice_finish(voice_request* at, switch_result result, int created)
{
    result = switchboard_settle(at->known->switchboard, &at->call, result);
    if (result > SWITCH_CREATED) {
        voice_refuse(at, result);
    } else {
        at->answer->status = result == SWITCH_CREATED ? created : 200;
        if (at->answer->body.bytes == 0) {
            at->answer->status = 204;
        } else {
            text_put(&at->answer->body, "\n");
        }
    }
    cJSON_Delete(at->guilds);
}

static const char* voice_text(const rest_request* request, const char* name)
{
    return fields_text(&request->values, name);
}

/* A choice or a bool as a number, -1 where it does not stand. */
static int voice_choice(const rest_request* request, const char* name)
{
    return (int)fields_number(&request->values, name, -1);
}

/* -------------------------------------------------------------------------------------------------- channels -- */

void api_voice_channels(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    switch_result result;
    int status = voice_choice(request, "status");
    const switch_filter filter = {.type = voice_choice(request, "type"),
                                  .status = status < 0 ? -1 : status == 0,
                                  .media = -1,
                                  .guild = voice_text(request, "guild_id"),
                                  .after = voice_text(request, "cursor"),
                                  .limit = (uint32_t)fields_number(&request->values, "limit", 100)};
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_list(known->switchboard, &at.call, &filter);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 200);
}

static channel_sound voice_sound(const rest_request* request, bool is_game)
{
    return (channel_sound){.is_game = is_game,
                           .sample_rate = (uint32_t)fields_number(&request->values, "sample_rate", 48000),
                           .channels = (uint32_t)fields_number(&request->values, "channels", is_game ? 2 : 1),
                           .bitrate = (uint32_t)fields_number(&request->values, "bitrate", is_game ? 64000 : 24000),
                           .frame_ms = 20};
}

static void voice_open(voice_request* at, const switch_wish* wish)
{
    switch_result result;
    do {
        result = switchboard_open(at->known->switchboard, &at->call, wish);
    } while (voice_again(at, &result));
    voice_finish(at, result, 201);
}

void api_voice_channel_create(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    const switch_wish wish = {.id = voice_text(request, "id"),
                              .name = voice_text(request, "name"),
                              .type = (channel_type)fields_number(&request->values, "type", CHANNEL_PARTY),
                              .guild = voice_text(request, "guild_id"),
                              .owner = voice_text(request, "owner_id"),
                              .max_users = (uint32_t)fields_number(&request->values, "max_users", 50),
                              .sound = {.sample_rate = 48000, .channels = 1, .bitrate = 24000, .frame_ms = 20}};
    voice_begin(&at, known, request, answer);
    voice_open(&at, &wish);
}

void api_voice_channel(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    switch_result result;
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_get(known->switchboard, &at.call, voice_text(request, "channel_id"), false);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 200);
}

void api_voice_channel_change(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    switch_result result;
    const char* name = voice_text(request, "name");
    const switch_change change = {.name = name[0] ? name : NULL,
                                  .max_users = fields_number(&request->values, "max_users", 0),
                                  .is_active = voice_choice(request, "is_active")};
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_change(known->switchboard, &at.call, voice_text(request, "channel_id"), &change);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 200);
}

static void voice_close(const services* known, const rest_request* request, rest_answer* answer, const char* id)
{
    voice_request at;
    switch_result result;
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_close(known->switchboard, &at.call, id);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 204);
}

void api_voice_channel_delete(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_close(known, request, answer, voice_text(request, "channel_id"));
}

/* --------------------------------------------------------------------------------------------------- members -- */

static void voice_join(const services* known, const rest_request* request, rest_answer* answer, const char* id,
                       int role)
{
    voice_request at;
    switch_result result;
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_join(known->switchboard, &at.call, id, voice_text(request, "user_id"), role);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 200);
}

void api_voice_channel_join(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_join(known, request, answer, voice_text(request, "channel_id"), -1);
}

void api_voice_channel_leave(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    voice_begin(&at, known, request, answer);
    voice_finish(&at,
                 switchboard_leave(known->switchboard, &at.call, voice_text(request, "channel_id"),
                                   voice_text(request, "user_id")),
                 204);
}

void api_voice_channel_invite(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    switch_result result;
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_invite(known->switchboard, &at.call, voice_text(request, "channel_id"),
                                    voice_text(request, "user_id"));
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 201);
}

static void voice_members(const services* known, const rest_request* request, rest_answer* answer, const char* id)
{
    voice_request at;
    switch_result result;
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_members(known->switchboard, &at.call, id);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 200);
}

void api_voice_participants(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_members(known, request, answer, voice_text(request, "channel_id"));
}

void api_voice_participant_change(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    switch_result result;
    const switch_member_change change = {.role = voice_choice(request, "role"),
                                         .is_muted = voice_choice(request, "is_muted"),
                                         .is_deafened = voice_choice(request, "is_deafened")};
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_set_member(known->switchboard, &at.call, voice_text(request, "channel_id"),
                                        voice_text(request, "user_id"), &change);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 200);
}

void api_voice_participant_expel(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    switch_result result;
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_expel(known->switchboard, &at.call, voice_text(request, "channel_id"),
                                   voice_text(request, "user_id"));
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 204);
}

/* ------------------------------------------------------------------------------------------ signals, reports -- */

void api_voice_channel_signal(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    const field_values* values = &request->values;
    const char* id = fields_text(values, "channel_id");
    const field_value* said = &values->values[1]; /* the row of the body, which the path's hides */
    signal_message message = {.type = (signal_type)fields_number(values, "type", 0),
                              .session_id = fields_text(values, "session_id"),
                              .from = fields_text(values, "from_user_id"),
                              .to = fields_text(values, "to_user_id"),
                              .channel = id};
    voice_begin(&at, known, request, answer);
    switch_result result = SWITCH_INVALID;
    if (said->present && strcmp(said->text, id) != 0) {
        at.call.fault = (field_fault){.field = "channel_id", .place = "body", .reason = "range"};
        snprintf(at.call.fault.message, sizeof(at.call.fault.message), "channel_id: it is not that of the path");
    } else if (signals_take(&message, fields_get(values, "offer")->json, fields_get(values, "answer")->json,
                            fields_get(values, "candidate")->json, &at.call.fault)) {
        result = switchboard_signal(known->switchboard, &at.call, &message);
    }
    voice_finish(&at, result, 200);
}

void api_voice_quality_report(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    const field_values* values = &request->values;
    const switch_report report = {.user = fields_text(values, "user_id"),
                                  .bitrate = fields_number(values, "bitrate", 0),
                                  .packet_loss = fields_real(values, "packet_loss", 0),
                                  .jitter = fields_real(values, "jitter", 0),
                                  .latency = fields_real(values, "latency", 0),
                                  .quality = voice_choice(request, "quality")};
    voice_begin(&at, known, request, answer);
    voice_finish(&at, switchboard_report(known->switchboard, &at.call, voice_text(request, "channel_id"), &report),
                 201);
}

void api_ice_servers(const services* known, const rest_request* request, rest_answer* answer)
{
    necpnet_result result = turn_put(known->settings, request->who.client_id, necpnet_wall_time_us(), &answer->body);
    if (result == NECPNET_OK) {
        text_put(&answer->body, "\n");
    } else {
        rest_refuse(answer, request, 501, "this build makes no credentials for TURN: it has no mbedTLS", NULL);
    }
}

/* ----------------------------------------------------------------------------------------------- audio streams -- */

void api_audio_streams(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    int status = voice_choice(request, "status");
    const switch_filter filter = {.type = -1,
                                  .status = status < 0 ? -1 : status == 0,
                                  .media = voice_choice(request, "type"),
                                  .guild = "",
                                  .after = voice_text(request, "cursor"),
                                  .limit = (uint32_t)fields_number(&request->values, "limit", 100),
                                  .as_stream = true};
    voice_begin(&at, known, request, answer);
    voice_finish(&at, switchboard_list(known->switchboard, &at.call, &filter), 200);
}

void api_audio_stream_create(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    const field_values* values = &request->values;
    const switch_wish wish = {.id = "",
                              .name = fields_text(values, "name"),
                              .type = (channel_type)fields_number(values, "access", CHANNEL_PARTY),
                              .guild = fields_text(values, "guild_id"),
                              .owner = "",
                              .max_users = (uint32_t)fields_number(values, "max_participants", 50),
                              .sound = voice_sound(request, fields_number(values, "type", 0) == 1),
                              .as_stream = true};
    voice_begin(&at, known, request, answer);
    voice_open(&at, &wish);
}

void api_audio_stream(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_request at;
    switch_result result;
    voice_begin(&at, known, request, answer);
    do {
        result = switchboard_get(known->switchboard, &at.call, voice_text(request, "stream_id"), true);
    } while (voice_again(&at, &result));
    voice_finish(&at, result, 200);
}

void api_audio_stream_close(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_close(known, request, answer, voice_text(request, "stream_id"));
}

void api_audio_participants(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_members(known, request, answer, voice_text(request, "stream_id"));
}

void api_audio_participant_add(const services* known, const rest_request* request, rest_answer* answer)
{
    voice_join(known, request, answer, voice_text(request, "stream_id"), voice_choice(request, "role"));
}
