/* switchboard - refusals, who may, and what channels and members look like as JSON. */
#include "switchboard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guilds.h"
#include "moments.h"
#include "switchboard_inside.h"

/* --------------------------------------------------------------------------------------------------- refusals -- */

switch_result switch_forbid(switch_call* call, const char* why)
{
    snprintf(call->why, sizeof(call->why), "%s", why);
    return SWITCH_FORBIDDEN;
}

switch_result switch_miss(switch_call* call, const char* why)
{
    snprintf(call->why, sizeof(call->why), "%s", why);
    return SWITCH_MISSING;
}

switch_result switch_clash(switch_call* call, const char* reason, const char* why)
{
    snprintf(call->why, sizeof(call->why), "%s", why);
    call->reason = reason;
    return SWITCH_CONFLICT;
}

switch_result switch_limit(switch_call* call, const char* why)
{
    snprintf(call->why, sizeof(call->why), "%s", why);
    call->reason = "limit";
    return SWITCH_LIMIT;
}

switch_result switch_invalid(switch_call* call, const char* name, const char* reason, const char* why)
{
    call->fault = (field_fault){.place = "body", .reason = reason};
    snprintf(call->fault.field, sizeof(call->fault.field), "%s", name);
    snprintf(call->fault.message, sizeof(call->fault.message), "%s: %s", name, why);
    return SWITCH_INVALID;
}

/* -------------------------------------------------------------------------------------------------- who may -- */

bool switch_is_trusted(const switch_call* call)
{
    return call->role != ROLE_PLAYER;
}

uint64_t switch_client_id(const switchboard* at, const switch_call* call, const char* subject)
{
    const config* settings = at->known->settings;
    if (call && !call->is_developer && strcmp(subject, call->subject) == 0) return call->client_id;
    if (subject[0] == '#' && strlen(subject) == 17) return strtoull(subject + 1, NULL, 16); /* known by number alone */
    const char* issuer = settings->mode == CONFIG_DEVELOPMENT ? "necpnet development" : settings->jwt_issuer;
    if (issuer[0] == 0 && call && call->issuer) issuer = call->issuer;
    return necpnet_token_client_id(issuer, subject);
}

bool switch_belongs(const switchboard* at, const switch_call* call, const channel* of)
{
    return of->owner_id == call->client_id || channels_member(at->all, of, call->client_id) ||
           channels_invitation(of, call->client_id);
}

switch_result switch_find(switchboard* at, switch_call* call, const char* id, channel** out_channel)
{
    channel* of = channels_find(at->all, id);
    if (!of) return switch_miss(call, "there is no such channel");
    *out_channel = of;
    if (switch_is_trusted(call) || switch_belongs(at, call, of)) return SWITCH_OK;
    if (of->type == CHANNEL_GLOBAL || of->type == CHANNEL_PARTY) return SWITCH_OK;
    if (of->type == CHANNEL_PRIVATE) return switch_forbid(call, "this channel is for those who are invited");
    if (!call->has_guilds) return SWITCH_ASK_GUILD;
    if (guilds_grant(call->guilds, of->guild, NULL)) return SWITCH_OK;
    return switch_forbid(call, "this channel is for the members of its guild");
}

switch_result switch_may_manage(switchboard* at, switch_call* call, const channel* of)
{
    (void)at;
    if (switch_is_trusted(call) || of->owner_id == call->client_id) return SWITCH_OK;
    if (of->type != CHANNEL_GUILD) return switch_forbid(call, "this is for the channel's owner");
    if (!call->has_guilds) return SWITCH_ASK_GUILD;
    if (guilds_grant(call->guilds, of->guild, "voice_manage")) return SWITCH_OK;
    return switch_forbid(call, "this is for the channel's owner, or wants the guild's right voice_manage");
}

/* --------------------------------------------------------------------------------------------- what it looks like -- */

static void put_text(text* out, const char* name, const char* value)
{
    text_format(out, ",\"%s\":", name);
    text_json(out, value);
}

void switch_put_channel(const channel* of, text* out)
{
    char created[MOMENT_BYTES], updated[MOMENT_BYTES];
    text_format(out, "{\"id\":\"%s\"", of->id);
    put_text(out, "name", of->name);
    put_text(out, "type", channels_type_name(of->type));
    put_text(out, "guild_id", of->guild[0] ? of->guild : NULL);
    put_text(out, "owner_id", of->owner);
    text_format(out, ",\"max_users\":%" PRIu32 ",\"current_users\":%" PRIu32 ",\"is_active\":%s", of->max_users,
                of->count, of->is_active ? "true" : "false");
    text_format(out, ",\"created_at\":\"%s\",\"updated_at\":\"%s\"}", moment_of(of->created_us, created),
                moment_of(of->updated_us, updated));
}

void switch_put_stream(const channel* of, text* out)
{
    char created[MOMENT_BYTES];
    text_format(out, "{\"id\":\"%s\"", of->id);
    put_text(out, "name", of->name);
    text_format(out,
                ",\"type\":\"%s\",\"status\":\"%s\",\"codec\":\"opus\",\"sample_rate\":%" PRIu32
                ",\"channels\":%" PRIu32 ",\"bitrate\":%" PRIu32 ",\"frame_ms\":%" PRIu32,
                of->sound.is_game ? "game" : "voice", of->is_active ? "active" : "inactive", of->sound.sample_rate,
                of->sound.channels, of->sound.bitrate, of->sound.frame_ms);
    put_text(out, "access", channels_type_name(of->type));
    put_text(out, "owner_id", of->owner);
    text_format(out, ",\"max_participants\":%" PRIu32 ",\"participant_count\":%" PRIu32 ",\"created_at\":\"%s\"}",
                of->max_users, of->count, moment_of(of->created_us, created));
}

void switch_put_member(const channel_member* member, text* out)
{
    char joined[MOMENT_BYTES];
    text_format(out, "{\"id\":\"%s\",\"channel_id\":\"%s\"", member->id, member->of->id);
    put_text(out, "user_id", member->user->subject);
    text_format(out, ",\"role\":\"%s\",\"is_muted\":%s,\"is_deafened\":%s,\"joined_at\":\"%s\"}",
                channels_role_name(member->role), member->is_muted || !member->may_speak ? "true" : "false",
                member->is_deafened ? "true" : "false", moment_of(member->joined_us, joined));
}

void switch_put_members(const channel* of, text* out)
{
    text_put(out, "[");
    for (const channel_member* member = of->first; member; member = member->next) {
        if (member != of->first) text_put(out, ",");
        switch_put_member(member, out);
    }
    text_put(out, "]");
}
