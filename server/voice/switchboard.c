/* switchboard - channels: made, listed, changed, closed; who may; connections of users. */
#include "switchboard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool switch_has_right(const switch_call* call, const char* guild, const char* right)
{
    const cJSON* one;
    const cJSON* named;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(call->guilds, "guilds"))
    {
        const cJSON* id = cJSON_GetObjectItemCaseSensitive(one, "id");
        if (!cJSON_IsString(id) || strcmp(id->valuestring, guild) != 0) continue;
        if (!right) return true;
        cJSON_ArrayForEach(named, cJSON_GetObjectItemCaseSensitive(one, "rights"))
        {
            if (cJSON_IsString(named) && strcmp(named->valuestring, right) == 0) return true;
        }
    }
    return false;
}

static bool switch_belongs(const switchboard* at, const switch_call* call, const channel* of)
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
    if (switch_has_right(call, of->guild, NULL)) return SWITCH_OK;
    return switch_forbid(call, "this channel is for the members of its guild");
}

switch_result switch_may_manage(switchboard* at, switch_call* call, const channel* of)
{
    (void)at;
    if (switch_is_trusted(call) || of->owner_id == call->client_id) return SWITCH_OK;
    if (of->type != CHANNEL_GUILD) return switch_forbid(call, "this is for the channel's owner");
    if (!call->has_guilds) return SWITCH_ASK_GUILD;
    if (switch_has_right(call, of->guild, "voice_manage")) return SWITCH_OK;
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

static void switch_put(const channel* of, bool as_stream, text* out)
{
    if (as_stream) {
        switch_put_stream(of, out);
    } else {
        switch_put_channel(of, out);
    }
}

/* --------------------------------------------------------------------------------------------------- channels -- */

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
    if (switch_has_right(call, wish->guild, "voice_manage")) return SWITCH_OK;
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
    return of->type == CHANNEL_GUILD && switch_has_right(call, of->guild, NULL);
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

/* ------------------------------------------------------------------------------------------------ connections -- */

void switchboard_connect(switchboard* at, uint64_t client_id, uint32_t worker)
{
    pthread_mutex_lock(&at->lock);
    bool right = client_id && channels_connect(at->all, client_id, worker) == NECPNET_OK;
    const channel_user* user = right ? channels_user(at->all, client_id) : NULL;
    if (right) at->figures.sessions++;
    if (user && user->member_count) switch_sync(at, client_id);
    pthread_mutex_unlock(&at->lock);
}

void switchboard_disconnect(switchboard* at, uint64_t client_id, uint32_t worker)
{
    pthread_mutex_lock(&at->lock);
    const channel_user* user = client_id ? channels_user(at->all, client_id) : NULL;
    bool knew = user && user->sessions > 0 && user->by_worker && user->by_worker[worker] > 0;
    if (knew) at->figures.sessions--;
    if (knew && channels_disconnect(at->all, client_id, worker)) {
        while ((user = channels_user(at->all, client_id)) != NULL && user->member_count)
            switch_take_out(at, NULL, user->members[0], "disconnected");
    }
    pthread_mutex_unlock(&at->lock);
}

uint32_t switchboard_places(switchboard* at, uint64_t client_id, switch_place* places)
{
    uint32_t count = 0;
    pthread_mutex_lock(&at->lock);
    const channel_user* user = channels_user(at->all, client_id);
    for (; user && count < user->member_count; count++) {
        const channel_member* member = user->members[count];
        switch_place* place = &places[count];
        place->number = member->of->number;
        memcpy(place->channel, member->of->id, sizeof(place->channel));
        place->max_users = member->of->max_users;
        place->bitrate = member->of->sound.bitrate;
        place->is_silenced = member->is_muted || !member->may_speak;
        place->is_deafened = member->is_deafened;
    }
    pthread_mutex_unlock(&at->lock);
    return count;
}

bool switchboard_is_in(switchboard* at, uint64_t client_id, const char* channel_id)
{
    pthread_mutex_lock(&at->lock);
    const channel* of = channels_find(at->all, channel_id);
    bool is_in = of && channels_member(at->all, of, client_id);
    pthread_mutex_unlock(&at->lock);
    return is_in;
}

/* ------------------------------------------------------------------------------------------------------- time -- */

typedef struct switch_sweep {
    switchboard* at;
    uint64_t before_us;
} switch_sweep;

static void switch_sweep_user(channels* all, channel_user* user, void* context)
{
    const switch_sweep* sweep = context;
    uint64_t client_id = user->client_id;
    (void)all;
    if (user->sessions || user->member_count == 0 || user->seen_us >= sweep->before_us) return;
    while (user && user->member_count) { /* he is forgotten with his last channel */
        switch_take_out(sweep->at, NULL, user->members[0], "idle");
        user = channels_user(sweep->at->all, client_id);
    }
}

void switchboard_keep(switchboard* at, bool ending)
{
    uint64_t idle_us = (uint64_t)at->known->settings->voice_idle_s * 1000000u;
    switch_sweep sweep = {.at = at, .before_us = necpnet_wall_time_us() - idle_us};
    pthread_mutex_lock(&at->lock);
    channels_each_user(at->all, switch_sweep_user, &sweep);
    bool due = ending || necpnet_time_us() >= at->flushed_us + SWITCH_AUDIT_US;
    if (due) at->flushed_us = necpnet_time_us();
    pthread_mutex_unlock(&at->lock);
    switch_wake(at);
    for (uint32_t place = 0; due && place < SWITCH_AUDIT_PAIRS;) { /* piece by piece: nobody waits long for the lock */
        pthread_mutex_lock(&at->lock);
        place = switch_audit_flush(at, place);
        pthread_mutex_unlock(&at->lock);
    }
}

/* ------------------------------------------------------------------------------------------------------- life -- */

static void switch_undo(switchboard* at, switch_call* call)
{
    pthread_mutex_lock(&at->lock);
    channel* of = channels_find(at->all, call->made_channel);
    if (of && call->made_member[0] == 0) {
        switch_erase_channel(at, NULL, of);
        channels_close(at->all, of);
    } else if (of) {
        channel_member* member = of->first;
        while (member && strcmp(member->id, call->made_member) != 0) member = member->next;
        if (member) switch_take_out(at, NULL, member, "not stored");
    }
    pthread_mutex_unlock(&at->lock);
}

switch_result switchboard_settle(switchboard* at, switch_call* call, switch_result result)
{
    if (!call->ticket) return result;
    desk_result stored = store_await(at->known->records, call->ticket);
    call->ticket = NULL;
    /* NOT_FOUND: what was to be removed had never been stored */
    if (result > SWITCH_CREATED || stored == DESK_OK || stored == DESK_NOT_FOUND) return result;
    if (call->is_undoable) switch_undo(at, call);
    return SWITCH_DOWN;
}

void switchboard_get_figures(switchboard* at, switch_figures* out_figures)
{
    pthread_mutex_lock(&at->lock);
    *out_figures = at->figures;
    out_figures->channels = at->all->count;
    out_figures->participants = at->all->participants;
    pthread_mutex_unlock(&at->lock);
}

necpnet_result switchboard_create(const services* known, switchboard** out_board)
{
    switchboard* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->known = known;
    pthread_mutex_init(&at->lock, NULL);
    for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
        pthread_mutex_init(&at->inboxes[i].lock, NULL);
        at->inboxes[i].end = &at->inboxes[i].first;
    }
    necpnet_result result =
        channels_create((uint32_t)known->settings->voice_channels_max, CONFIG_WORKERS_MAX, &at->all);
    if (result == NECPNET_OK) result = switch_load(at);
    if (result != NECPNET_OK) {
        switchboard_destroy(at);
        return result;
    }
    *out_board = at;
    return NECPNET_OK;
}

void switchboard_destroy(switchboard* at)
{
    if (!at) return;
    for (uint32_t i = 0; i < CONFIG_WORKERS_MAX; i++) {
        switchboard_detach(at, i);
        pthread_mutex_destroy(&at->inboxes[i].lock);
    }
    for (uint32_t i = 0; i < SWITCH_AUDIT_PAIRS; i++) {
        free(at->pairs[i].from);
        free(at->pairs[i].to);
    }
    channels_destroy(at->all);
    pthread_mutex_destroy(&at->lock);
    free(at);
}
