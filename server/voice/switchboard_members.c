/* switchboard_members - into a channel and out of it; invitations, roles, mute and deafen; signals; reports of quality. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guilds.h"
#include "switchboard_inside.h"

/* Whom a call is about: the caller, or somebody else where he may. "" is the caller. */
static switch_result members_subject(switch_call* call, const char* user, const char** out_subject)
{
    *out_subject = user[0] ? user : call->subject;
    if (switch_is_trusted(call) || strcmp(*out_subject, call->subject) == 0) return SWITCH_OK;
    return switch_forbid(call, "user_id is not you: a player acts for himself");
}

static void members_touch(switchboard* at, uint64_t client_id)
{
    channel_user* user = channels_user(at->all, client_id);
    if (user) user->seen_us = necpnet_wall_time_us();
}

/* ------------------------------------------------------------------------------------------------------- join -- */

/* What somebody is who comes in. */
static channel_role members_role(const switch_call* call, const channel* of, uint64_t client_id, int wished)
{
    if (of->owner_id == client_id) return CHANNEL_OWNER;
    if (switch_is_trusted(call)) return wished == CHANNEL_MODERATOR ? CHANNEL_MODERATOR : CHANNEL_MEMBER;
    bool manages = of->type == CHANNEL_GUILD && guilds_grant(call->guilds, of->guild, "voice_manage");
    return manages ? CHANNEL_MODERATOR : CHANNEL_MEMBER;
}

static bool members_may_speak(const switch_call* call, const channel* of, channel_role role)
{
    if (of->type != CHANNEL_GUILD || switch_is_trusted(call) || role != CHANNEL_MEMBER) return true;
    return guilds_grant(call->guilds, of->guild, "voice");
}

/* Rights in a guild may have ended since; members of other channels are known by being members. */
static switch_result members_judge(switchboard* at, switch_call* call, const channel* of)
{
    if (of->type != CHANNEL_GUILD || switch_is_trusted(call) || of->owner_id == call->client_id) return SWITCH_OK;
    if (channels_member(at->all, of, call->client_id)) return SWITCH_OK;
    if (!call->has_guilds) return SWITCH_ASK_GUILD;
    if (guilds_grant(call->guilds, of->guild, NULL)) return SWITCH_OK;
    return switch_forbid(call, "this channel is for the members of its guild");
}

static void members_put_joined(const channel* of, const channel_member* member, text* out)
{
    text_put(out, "{\"channel\":");
    switch_put_channel(of, out);
    text_put(out, ",\"participant\":");
    switch_put_member(member, out);
    text_put(out, ",\"participants\":");
    switch_put_members(of, out);
    text_put(out, "}");
}

static switch_result members_refused(switchboard* at, switch_call* call, necpnet_result result)
{
    at->figures.refused++;
    switch (result) {
    case NECPNET_ERR_REFUSED: return switch_clash(call, "inactive", "the channel is not active");
    case NECPNET_ERR_WOULD_BLOCK: return switch_clash(call, "full", "the channel is full");
    case NECPNET_ERR_LIMIT_REACHED: return switch_clash(call, "limit", "you are in 8 channels already; leave one");
    default: return SWITCH_DOWN;
    }
}

static switch_result members_join(switchboard* at, switch_call* call, const char* id, const char* user, int role)
{
    channel* of = NULL;
    channel_member* member = NULL;
    const char* subject;
    char uuid[CHANNELS_UUID_BYTES];
    switch_result verdict = switch_find(at, call, id, &of);
    if (verdict == SWITCH_OK) verdict = members_subject(call, user, &subject);
    if (verdict == SWITCH_OK) verdict = members_judge(at, call, of);
    if (verdict != SWITCH_OK) return verdict;
    switch_make_id(uuid);
    channel_entrance entrance = {.id = uuid,
                                 .client_id = switch_client_id(at, call, subject),
                                 .subject = subject,
                                 .joined_us = necpnet_wall_time_us()};
    entrance.role = members_role(call, of, entrance.client_id, role);
    entrance.may_speak = members_may_speak(call, of, entrance.role);
    necpnet_result result = channels_join(at->all, of, &entrance, &member);
    if (result == NECPNET_ERR_ALREADY_EXISTS) {
        members_touch(at, entrance.client_id);
        members_put_joined(of, member, call->out);
        return SWITCH_OK;
    }
    if (result != NECPNET_OK) return members_refused(at, call, result);
    if (switch_write_member(at, call, member) != SWITCH_OK) {
        channels_leave(at->all, member);
        return SWITCH_DOWN;
    }
    call->is_undoable = true;
    memcpy(call->made_channel, of->id, sizeof(call->made_channel));
    memcpy(call->made_member, member->id, sizeof(call->made_member));
    at->figures.joined++;
    switch_sync(at, entrance.client_id);
    switch_announce_member(at, call, member, "voice.joined", NULL);
    switch_audit(at, call, "voice_joined", of->id, strcmp(subject, call->subject) == 0 ? NULL : subject);
    members_put_joined(of, member, call->out);
    return SWITCH_OK;
}

switch_result switchboard_join(switchboard* at, switch_call* call, const char* id, const char* user, int role)
{
    pthread_mutex_lock(&at->lock);
    switch_result result = members_join(at, call, id, user, role);
    pthread_mutex_unlock(&at->lock);
    return result;
}

/* ------------------------------------------------------------------------------------------------------ leave -- */

void switch_take_out(switchboard* at, switch_call* call, channel_member* member, const char* reason)
{
    uint64_t client_id = member->user->client_id;
    switch_announce_member(at, call, member, "voice.left", reason);
    switch_erase_member(at, call, member);
    if (!call) switch_audit(at, NULL, "voice_left", member->of->id, member->user->subject);
    channels_leave(at->all, member);
    at->figures.left++;
    switch_sync(at, client_id);
}

switch_result switchboard_leave(switchboard* at, switch_call* call, const char* id, const char* user)
{
    const char* subject;
    pthread_mutex_lock(&at->lock);
    channel* of = channels_find(at->all, id);
    switch_result result = of ? members_subject(call, user, &subject) : switch_miss(call, "there is no such channel");
    channel_member* member =
        result == SWITCH_OK ? channels_member(at->all, of, switch_client_id(at, call, subject)) : NULL;
    if (member) {
        switch_audit(at, call, "voice_left", of->id, strcmp(subject, call->subject) == 0 ? NULL : subject);
        switch_take_out(at, call, member, "left");
    }
    pthread_mutex_unlock(&at->lock);
    return result;
}

switch_result switchboard_members(switchboard* at, switch_call* call, const char* id)
{
    channel* of = NULL;
    pthread_mutex_lock(&at->lock);
    switch_result result = switch_find(at, call, id, &of);
    if (result == SWITCH_OK) {
        text_put(call->out, "{\"participants\":");
        switch_put_members(of, call->out);
        text_put(call->out, "}");
    }
    pthread_mutex_unlock(&at->lock);
    return result;
}

/* --------------------------------------------------------------------------------------------------- moderation -- */

/* Owner, moderators, and those who manage the channel. */
static switch_result members_may_moderate(switchboard* at, switch_call* call, const channel* of)
{
    const channel_member* self = channels_member(at->all, of, call->client_id);
    if (self && self->role != CHANNEL_MEMBER) return SWITCH_OK;
    switch_result result = switch_may_manage(at, call, of);
    return result == SWITCH_FORBIDDEN ? switch_forbid(call, "this is for the channel's owner and its moderators")
                                      : result;
}

/* The channel and the member that a call of a moderator names. */
static switch_result members_find(switchboard* at, switch_call* call, const char* id, const char* user,
                                  channel** out_channel, channel_member** out_member)
{
    switch_result result = switch_find(at, call, id, out_channel);
    if (result != SWITCH_OK) return result;
    *out_member = channels_member(at->all, *out_channel, switch_client_id(at, call, user));
    return *out_member ? SWITCH_OK : switch_miss(call, "this user is not in the channel");
}

static switch_result members_invite(switchboard* at, switch_call* call, const char* id, const char* user)
{
    channel* of = NULL;
    char uuid[CHANNELS_UUID_BYTES];
    switch_result result = switch_find(at, call, id, &of);
    if (result == SWITCH_OK) result = members_may_moderate(at, call, of);
    if (result != SWITCH_OK) return result;
    uint64_t client_id = switch_client_id(at, call, user);
    switch_make_id(uuid);
    necpnet_result made = channels_invite(of, uuid, client_id, user);
    if (made == NECPNET_ERR_LIMIT_REACHED) return switch_limit(call, "256 users are invited to this channel already");
    if (made != NECPNET_OK && made != NECPNET_ERR_ALREADY_EXISTS) return SWITCH_DOWN;
    channel_invitation* invitation = channels_invitation(of, client_id);
    if (made == NECPNET_OK) {
        if (switch_write_invitation(at, call, of, invitation) != SWITCH_OK) {
            channels_uninvite(of, invitation);
            return SWITCH_DOWN;
        }
        at->figures.invited++;
        switch_audit(at, call, "voice_invited", of->id, user);
    }
    text_format(call->out, "{\"id\":\"%s\",\"channel_id\":\"%s\",\"user_id\":", invitation->id, of->id);
    text_json(call->out, user);
    text_put(call->out, "}");
    channel_user* there = channels_user(at->all, client_id);
    text told;
    text_begin_growing(&told);
    text_format(
        &told, "{\"jsonrpc\":\"2.0\",\"method\":\"voice.invited\",\"params\":{\"channel_id\":\"%s\",\"name\":", of->id);
    text_json(&told, of->name);
    text_put(&told, ",\"from_user_id\":");
    text_json(&told, call->subject);
    text_put(&told, "}}");
    for (uint32_t worker = 0; there && !told.failed && worker < CONFIG_WORKERS_MAX; worker++) {
        if (!(there->workers >> worker & 1u)) continue;
        switch_task* task = switch_make_task(SWITCH_TELL, told.to, told.bytes);
        if (task) task->client_id = client_id;
        (void)switch_post(at, worker, task);
    }
    text_end(&told);
    return made == NECPNET_OK ? SWITCH_CREATED : SWITCH_OK;
}

switch_result switchboard_invite(switchboard* at, switch_call* call, const char* id, const char* user)
{
    pthread_mutex_lock(&at->lock);
    switch_result result = members_invite(at, call, id, user);
    pthread_mutex_unlock(&at->lock);
    return result;
}

static switch_result members_expel(switchboard* at, switch_call* call, const char* id, const char* user)
{
    channel* of = NULL;
    channel_member* member = NULL;
    switch_result result = members_find(at, call, id, user, &of, &member);
    if (result != SWITCH_OK) return result;
    if (member->user->client_id != call->client_id) result = members_may_moderate(at, call, of);
    if (result != SWITCH_OK) return result;
    if (member->role == CHANNEL_OWNER && !switch_is_trusted(call) && member->user->client_id != call->client_id)
        return switch_forbid(call, "the owner is nobody's to send away");
    channel_invitation* invitation = channels_invitation(of, member->user->client_id);
    if (invitation && member->user->client_id != call->client_id) { /* nor does he come back by himself */
        switch_erase_invitation(at, NULL, of, invitation);
        channels_uninvite(of, invitation);
    }
    switch_audit(at, call, "voice_expelled", of->id, user);
    switch_take_out(at, call, member, "expelled");
    return SWITCH_OK;
}

switch_result switchboard_expel(switchboard* at, switch_call* call, const char* id, const char* user)
{
    pthread_mutex_lock(&at->lock);
    switch_result result = members_expel(at, call, id, user);
    pthread_mutex_unlock(&at->lock);
    return result;
}

/* Who changes himself does not undo what a moderator did. */
static switch_result members_set_own(switch_call* call, channel_member* member, const switch_member_change* change)
{
    if (change->role >= 0 && change->role != (int)member->role && member->role != CHANNEL_OWNER &&
        change->role != CHANNEL_MEMBER)
        return switch_forbid(call, "a role is given by the channel's owner");
    if (change->is_muted == 0 && !member->may_speak) return switch_forbid(call, "you were muted by a moderator");
    if (change->is_muted >= 0) member->is_muted = change->is_muted == 1;
    if (change->is_deafened >= 0) member->is_deafened = change->is_deafened == 1;
    return SWITCH_OK;
}

static switch_result members_set_other(switchboard* at, switch_call* call, channel* of, channel_member* member,
                                       const switch_member_change* change)
{
    switch_result result = members_may_moderate(at, call, of);
    if (result != SWITCH_OK) return result;
    if (member->role == CHANNEL_OWNER && !switch_is_trusted(call))
        return switch_forbid(call, "the owner is nobody's to change");
    if (change->is_muted >= 0) {
        member->may_speak = change->is_muted == 0;
        member->is_muted = change->is_muted == 1;
    }
    if (change->is_deafened >= 0) member->is_deafened = change->is_deafened == 1;
    return SWITCH_OK;
}

static switch_result members_set_role(switchboard* at, switch_call* call, channel* of, channel_member* member, int role)
{
    if (role == (int)member->role) return SWITCH_OK;
    bool steps_down =
        member->user->client_id == call->client_id && role == CHANNEL_MEMBER && member->role == CHANNEL_MODERATOR;
    switch_result result = steps_down ? SWITCH_OK : switch_may_manage(at, call, of);
    if (result != SWITCH_OK) return result;
    if (member->role == CHANNEL_OWNER)
        return switch_clash(call, "owner", "the owner stays one until another member is made owner");
    if (role != CHANNEL_OWNER) {
        member->role = (channel_role)role;
        return SWITCH_OK;
    }
    channel_member* before = channels_member(at->all, of, of->owner_id);
    necpnet_result given = channels_give(at->all, of, member->user->client_id, member->user->subject);
    if (given == NECPNET_ERR_LIMIT_REACHED) return switch_limit(call, "this user owns 32 channels already");
    if (given != NECPNET_OK) return SWITCH_DOWN;
    if (before) (void)switch_write_member(at, call, before);
    return switch_write_channel(at, call, of);
}

static switch_result members_set(switchboard* at, switch_call* call, const char* id, const char* user,
                                 const switch_member_change* change)
{
    channel* of = NULL;
    channel_member* member = NULL;
    switch_result result = members_find(at, call, id, user, &of, &member);
    if (result != SWITCH_OK) return result;
    if (change->role >= 0) result = members_set_role(at, call, of, member, change->role);
    if (result != SWITCH_OK) return result;
    bool is_self = member->user->client_id == call->client_id && !switch_is_trusted(call);
    if (is_self) {
        result = members_set_own(call, member, change);
    } else if (change->is_muted >= 0 || change->is_deafened >= 0 || change->role < 0) {
        result = members_set_other(at, call, of, member, change);
    }
    if (result == SWITCH_OK) result = switch_write_member(at, call, member);
    if (result != SWITCH_OK) return result;
    switch_sync(at, member->user->client_id);
    switch_announce_member(at, call, member, "voice.participant", NULL);
    switch_audit(at, call, "voice_participant_changed", of->id, user);
    switch_put_member(member, call->out);
    return SWITCH_OK;
}

switch_result switchboard_set_member(switchboard* at, switch_call* call, const char* id, const char* user,
                                     const switch_member_change* change)
{
    pthread_mutex_lock(&at->lock);
    switch_result result = members_set(at, call, id, user, change);
    pthread_mutex_unlock(&at->lock);
    return result;
}

/* ----------------------------------------------------------------------------------------------------- forget -- */

/* To the member who is there longest, moderators first; else it ends. */
static void members_pass_on(switchboard* at, channel* of, uint64_t client_id)
{
    const channel_member* heir = NULL;
    for (const channel_member* member = of->first; member; member = member->next) {
        if (member->user->client_id == client_id) continue;
        if (!heir || (member->role == CHANNEL_MODERATOR && heir->role != CHANNEL_MODERATOR)) heir = member;
    }
    if (heir && channels_give(at->all, of, heir->user->client_id, heir->user->subject) == NECPNET_OK) {
        (void)switch_write_channel(at, NULL, of);
        return;
    }
    while (of->first) switch_take_out(at, NULL, of->first, "closed");
    switch_erase_channel(at, NULL, of);
    channels_close(at->all, of);
}

void switchboard_forget(switchboard* at, const char* subject, uint64_t client_id)
{
    char id[CHANNELS_ID_BYTES_MAX + 1] = "";
    channel* of;
    const channel_user* user;
    pthread_mutex_lock(&at->lock);
    while ((user = channels_user(at->all, client_id)) != NULL && user->member_count)
        switch_take_out(at, NULL, user->members[0], "erased");
    while ((of = channels_after(at->all, id)) != NULL) {
        memcpy(id, of->id, sizeof(id));
        channel_invitation* invitation = channels_invitation(of, client_id);
        if (invitation) {
            switch_erase_invitation(at, NULL, of, invitation);
            channels_uninvite(of, invitation);
        }
        if (of->owner_id == client_id && strcmp(of->owner, subject) == 0) members_pass_on(at, of, client_id);
    }
    for (uint32_t place = 0; place < SWITCH_AUDIT_PAIRS;)
        place = switch_audit_flush(at, place); /* what names him is written now, and erased with the rest */
    pthread_mutex_unlock(&at->lock);
}
