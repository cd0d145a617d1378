/* switchboard - channels: made, listed, changed, closed. */
#include "switchboard.h"

#include <stdlib.h>
#include <string.h>

#include "guilds.h"
#include "switchboard_inside.h"

static void switch_put(const channel* of, bool as_stream, text* out)
{
    if (as_stream) {
        switch_put_stream(of, out);
    } else {
        switch_put_channel(of, out);
    }
}

static switch_result switch_open_refused(switch_call* call, necpnet_result result)
{
    switch (result) {
    case NECPNET_ERR_INVALID_ARGUMENT:
        return switch_invalid(call, "id", "characters", "letters, digits, _ and - are allowed, at most 64");
    case NECPNET_ERR_ALREADY_EXISTS: return switch_clash(call, "exists", "there is a channel of this id already");
    case NECPNET_ERR_LIMIT_REACHED:
        return switch_limit(call, "you own 32 channels already, or the server has as many as it takes");
    default: return SWITCH_DOWN;
    }
}

/* Whether a player may make such a channel. */
static switch_result switch_judge_wish(switch_call* call, const switch_wish* wish)
{
    if ((wish->type == CHANNEL_GUILD) != (wish->guild[0] != 0))
        return switch_invalid(call, "guild_id", wish->guild[0] ? "unknown" : "missing",
                              "a channel of type guild has one, and no other");
    if (switch_is_trusted(call)) return SWITCH_OK;
    if (wish->id[0]) return switch_forbid(call, "an id of one's own is for services and admins; leave it out");
    if (wish->owner[0] && strcmp(wish->owner, call->subject) != 0)
        return switch_forbid(call, "another owner is for services and admins to name");
    if (wish->type == CHANNEL_GLOBAL) return switch_forbid(call, "global channels are made by services and admins");
    if (wish->type != CHANNEL_GUILD) return SWITCH_OK;
    if (!call->has_guilds) return SWITCH_ASK_GUILD;
    if (guilds_grant(call->guilds, wish->guild, "voice_manage")) return SWITCH_OK;
    return switch_forbid(call, "this wants the guild's right voice_manage");
}

static switch_result switch_open(switchboard* at, switch_call* call, const switch_wish* wish)
{
    char id[CHANNELS_UUID_BYTES];
    channel* of = NULL;
    uint64_t now_us = necpnet_wall_time_us();
    const char* owner = wish->owner[0] ? wish->owner : call->subject;
    switch_result verdict = switch_judge_wish(call, wish);
    if (verdict != SWITCH_OK) return verdict;
    switch_make_id(id);
    channel_wish made = {.id = wish->id[0] ? wish->id : id,
                         .name = wish->name,
                         .type = wish->type,
                         .guild = wish->guild,
                         .owner = owner,
                         .owner_id = switch_client_id(at, call, owner),
                         .sound = wish->sound,
                         .max_users = wish->max_users,
                         .is_active = true,
                         .is_unlimited = switch_is_trusted(call),
                         .created_us = now_us,
                         .updated_us = now_us};
    necpnet_result result = channels_open(at->all, &made, &of);
    if (result != NECPNET_OK) return switch_open_refused(call, result);
    if (switch_write_channel(at, call, of) != SWITCH_OK) {
        channels_close(at->all, of);
        return SWITCH_DOWN;
    }
    call->is_undoable = true;
    memcpy(call->made_channel, of->id, sizeof(call->made_channel));
    at->figures.opened++;
    switch_audit(at, call, "voice_channel_created", of->id, NULL);
    switch_put(of, wish->as_stream, call->out);
    return SWITCH_CREATED;
}

switch_result switchboard_open(switchboard* at, switch_call* call, const switch_wish* wish)
{
    pthread_mutex_lock(&at->lock);
    switch_result result = switch_open(at, call, wish);
    pthread_mutex_unlock(&at->lock);
    return result;
}

/* What a player finds in a list: a party is known to those alone who were told of it. */
static bool switch_lists(const switchboard* at, const switch_call* call, const channel* of, const switch_filter* filter)
{
    if (filter->type >= 0 && filter->type != (int)of->type) return false;
    if (filter->status >= 0 && (filter->status == 1) != of->is_active) return false;
    if (filter->media >= 0 && (filter->media == 1) != of->sound.is_game) return false;
    if (filter->guild[0] && strcmp(filter->guild, of->guild) != 0) return false;
    if (switch_is_trusted(call) || of->type == CHANNEL_GLOBAL || switch_belongs(at, call, of)) return true;
    return of->type == CHANNEL_GUILD && guilds_grant(call->guilds, of->guild, NULL);
}

switch_result switchboard_list(switchboard* at, switch_call* call, const switch_filter* filter)
{
    uint32_t count = 0;
    const channel* last = NULL;
    bool more = false;
    bool wants_guilds = filter->guild[0] || filter->type == CHANNEL_GUILD;
    if (wants_guilds && !switch_is_trusted(call) && !call->has_guilds) return SWITCH_ASK_GUILD;
    text_format(call->out, "{\"%s\":[", filter->as_stream ? "streams" : "channels");
    pthread_mutex_lock(&at->lock);
    for (channel* of = channels_after(at->all, filter->after); of && !more; of = channels_after(at->all, of->id)) {
        if (!switch_lists(at, call, of, filter)) continue;
        more = count == filter->limit;
        if (more) break;
        if (count++ > 0) text_put(call->out, ",\n");
        switch_put(of, filter->as_stream, call->out);
        last = of;
    }
    text_put(call->out, "],\"next_cursor\":");
    text_json(call->out, more && last ? last->id : NULL);
    pthread_mutex_unlock(&at->lock);
    text_put(call->out, "}");
    return SWITCH_OK;
}

switch_result switchboard_see(switchboard* at, switch_call* call, const char* id)
{
    channel* of = NULL;
    pthread_mutex_lock(&at->lock);
    switch_result result = switch_find(at, call, id, &of);
    pthread_mutex_unlock(&at->lock);
    return result;
}

switch_result switchboard_get(switchboard* at, switch_call* call, const char* id, bool as_stream)
{
    channel* of = NULL;
    pthread_mutex_lock(&at->lock);
    switch_result result = switch_find(at, call, id, &of);
    if (result == SWITCH_OK) switch_put(of, as_stream, call->out);
    pthread_mutex_unlock(&at->lock);
    return result;
}

static switch_result switch_change_it(switchboard* at, switch_call* call, channel* of, const switch_change* change)
{
    if (change->max_users && (uint64_t)change->max_users < of->count)
        return switch_clash(call, "occupied", "more users than that are in the channel");
    if (change->name && channels_rename(of, change->name) != NECPNET_OK) return SWITCH_DOWN;
    if (change->max_users) of->max_users = (uint32_t)change->max_users;
    if (change->is_active == 0) {
        while (of->first) switch_take_out(at, call, of->first, "inactive");
    }
    if (change->is_active >= 0) of->is_active = change->is_active == 1;
    of->updated_us = necpnet_wall_time_us();
    if (switch_write_channel(at, call, of) != SWITCH_OK) return SWITCH_DOWN;
    at->figures.changed++;
    switch_audit(at, call, "voice_channel_changed", of->id, NULL);
    cJSON* data = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(data, "channel_id", of->id);
    (void)cJSON_AddStringToObject(data, "what", "changed");
    switch_announce(at, call, of->id, "voice.channel", data);
    switch_put_channel(of, call->out);
    return SWITCH_OK;
}

switch_result switchboard_change(switchboard* at, switch_call* call, const char* id, const switch_change* change)
{
    channel* of = NULL;
    pthread_mutex_lock(&at->lock);
    switch_result result = switch_find(at, call, id, &of);
    if (result == SWITCH_OK) result = switch_may_manage(at, call, of);
    if (result == SWITCH_OK) result = switch_change_it(at, call, of, change);
    pthread_mutex_unlock(&at->lock);
    return result;
}

static void switch_close(switchboard* at, switch_call* call, channel* of)
{
    char id[CHANNELS_ID_BYTES_MAX + 1];
    uint64_t* gone = of->count ? malloc(of->count * sizeof(gone[0])) : NULL;
    uint32_t count = 0;
    memcpy(id, of->id, sizeof(id));
    for (const channel_member* member = of->first; gone && member; member = member->next)
        gone[count++] = member->user->client_id;
    cJSON* data = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(data, "channel_id", id);
    (void)cJSON_AddStringToObject(data, "what", "closed");
    switch_announce(at, call, id, "voice.channel", data);
    switch_erase_channel(at, call, of);
    channels_close(at->all, of);
    for (uint32_t i = 0; i < count; i++) switch_sync(at, gone[i]);
    free(gone);
    at->figures.closed++;
    switch_audit(at, call, "voice_channel_deleted", id, NULL);
}

switch_result switchboard_close(switchboard* at, switch_call* call, const char* id)
{
    channel* of = NULL;
    pthread_mutex_lock(&at->lock);
    switch_result result = switch_find(at, call, id, &of);
    if (result == SWITCH_OK) result = switch_may_manage(at, call, of);
    if (result == SWITCH_OK) switch_close(at, call, of);
    pthread_mutex_unlock(&at->lock);
    return result;
}
