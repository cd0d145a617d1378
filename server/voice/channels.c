/* channels - voice channels and who is in which. */
#include "channels.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define CHANNELS_CHAINS 8192

/* ------------------------------------------------------------------------------------------------------ users -- */

static channel_user** channels_head(const channels* all, uint64_t client_id)
{
    return &all->users[(client_id ^ client_id >> 32) % CHANNELS_CHAINS];
}

channel_user* channels_user(const channels* all, uint64_t client_id)
{
    channel_user* user = *channels_head(all, client_id);
    while (user && user->client_id != client_id) user = user->next;
    return user;
}

/* Found or made; subject NULL: not known. */
static channel_user* channels_take_user(channels* all, uint64_t client_id, const char* subject)
{
    channel_user* user = channels_user(all, client_id);
    if (!user) {
        user = calloc(1, sizeof(*user));
        if (!user) return NULL;
        user->client_id = client_id;
        user->next = *channels_head(all, client_id);
        *channels_head(all, client_id) = user;
    }
    if (!user->subject && subject) user->subject = text_copy(subject);
    return user;
}

/* Nobody remembers who is nowhere. */
static void channels_give_up(channels* all, channel_user* user)
{
    if (user->member_count || user->sessions || user->owned) return;
    channel_user** link = channels_head(all, user->client_id);
    while (*link != user) link = &(*link)->next;
    *link = user->next;
    free(user->subject);
    free(user->by_worker);
    free(user);
}

necpnet_result channels_connect(channels* all, uint64_t client_id, uint32_t worker)
{
    channel_user* user = worker < all->workers_max ? channels_take_user(all, client_id, NULL) : NULL;
    if (!user) return NECPNET_ERR_OUT_OF_MEMORY;
    if (!user->by_worker) user->by_worker = calloc(all->workers_max, sizeof(user->by_worker[0]));
    if (!user->by_worker || user->by_worker[worker] == UINT16_MAX) {
        channels_give_up(all, user);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    user->by_worker[worker]++;
    user->workers |= UINT64_C(1) << worker;
    user->sessions++;
    return NECPNET_OK;
}

bool channels_disconnect(channels* all, uint64_t client_id, uint32_t worker)
{
    channel_user* user = worker < all->workers_max ? channels_user(all, client_id) : NULL;
    if (!user || !user->by_worker || user->by_worker[worker] == 0) return false;
    user->sessions--;
    if (--user->by_worker[worker] == 0) user->workers &= ~(UINT64_C(1) << worker);
    bool last = user->sessions == 0;
    channels_give_up(all, user);
    return last;
}

void channels_each_user(channels* all, void (*visit)(channels* all, channel_user* user, void* context), void* context)
{
    for (int i = 0; i < CHANNELS_CHAINS; i++) {
        for (channel_user *user = all->users[i], *next; user; user = next) {
            next = user->next;
            visit(all, user, context);
        }
    }
}

/* --------------------------------------------------------------------------------------------------- channels -- */

bool channels_id_is_right(const char* id)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t bytes = strlen(id);
    return bytes > 0 && bytes <= CHANNELS_ID_BYTES_MAX && strspn(id, word) == bytes;
}

const char* channels_type_name(channel_type type)
{
    static const char* const names[] = {"guild", "party", "global", "private"};
    return names[type];
}

const char* channels_role_name(channel_role role)
{
    static const char* const names[] = {"member", "moderator", "owner"};
    return names[role];
}

/* Where it is, or would be. */
static uint32_t channels_place(const channels* all, const char* id, bool* out_found)
{
    uint32_t low = 0, high = all->count;
    *out_found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(all->items[middle]->id, id);
        if (order == 0) {
            *out_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

channel* channels_find(const channels* all, const char* id)
{
    bool found;
    uint32_t at = channels_place(all, id, &found);
    return found ? all->items[at] : NULL;
}

channel* channels_after(const channels* all, const char* id)
{
    bool found;
    uint32_t at = channels_place(all, id, &found) + (found ? 1 : 0);
    return at < all->count ? all->items[at] : NULL;
}

static bool channels_wish_is_right(const channel_wish* wish)
{
    const channel_sound* sound = &wish->sound;
    if (!channels_id_is_right(wish->id) || wish->name[0] == 0 || strlen(wish->name) > CHANNELS_NAME_BYTES_MAX)
        return false;
    if (wish->max_users < 1 || wish->max_users > CHANNELS_MEMBERS_MAX || wish->type > CHANNEL_PRIVATE) return false;
    if (sound->sample_rate < 8000 || sound->sample_rate > 96000) return false;
    return (sound->channels == 1 || sound->channels == 2) && sound->bitrate >= 6000 && sound->bitrate <= 510000;
}

static void channels_free(channel* at)
{
    free(at->name);
    free(at->guild);
    free(at->owner);
    free(at);
}

static channel* channels_make(const channel_wish* wish)
{
    channel* at = calloc(1, sizeof(*at));
    if (!at) return NULL;
    memcpy(at->id, wish->id, strlen(wish->id) + 1);
    at->name = text_copy(wish->name);
    at->guild = text_copy(wish->guild);
    at->owner = text_copy(wish->owner);
    at->owner_id = wish->owner_id;
    at->type = wish->type;
    at->sound = wish->sound;
    at->max_users = wish->max_users;
    at->is_active = wish->is_active;
    at->created_us = wish->created_us;
    at->updated_us = wish->updated_us;
    if (at->name && at->guild && at->owner) return at;
    channels_free(at);
    return NULL;
}

static bool channels_grow(channels* all)
{
    if (all->count < all->room) return true;
    uint32_t room = all->room ? all->room * 2 : 64;
    channel** items = realloc(all->items, room * sizeof(items[0]));
    if (!items) return false;
    all->items = items;
    all->room = room;
    return true;
}

necpnet_result channels_open(channels* all, const channel_wish* wish, channel** out_channel)
{
    bool found;
    if (!channels_wish_is_right(wish)) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t place = channels_place(all, wish->id, &found);
    if (found) return NECPNET_ERR_ALREADY_EXISTS;
    if (all->count >= all->channels_max) return NECPNET_ERR_LIMIT_REACHED;
    channel_user* owner = channels_take_user(all, wish->owner_id, wish->owner);
    if (owner && owner->owned >= CHANNELS_OWNED_MAX && !wish->is_unlimited) return NECPNET_ERR_LIMIT_REACHED;
    channel* at = owner && channels_grow(all) ? channels_make(wish) : NULL;
    if (!at) {
        if (owner) channels_give_up(all, owner);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    owner->owned++;
    at->number = ++all->number_last;
    memmove(&all->items[place + 1], &all->items[place], (all->count - place) * sizeof(all->items[0]));
    all->items[place] = at;
    all->count++;
    *out_channel = at;
    return NECPNET_OK;
}

void channels_close(channels* all, channel* at)
{
    bool found;
    while (at->first) channels_leave(all, at->first);
    while (at->invited) channels_uninvite(at, at->invited);
    uint32_t place = channels_place(all, at->id, &found);
    all->count--;
    memmove(&all->items[place], &all->items[place + 1], (all->count - place) * sizeof(all->items[0]));
    channel_user* owner = channels_user(all, at->owner_id);
    if (owner) {
        owner->owned--;
        channels_give_up(all, owner);
    }
    channels_free(at);
}

necpnet_result channels_give(channels* all, channel* at, uint64_t client_id, const char* subject)
{
    char* name = text_copy(subject);
    channel_user* user = name ? channels_take_user(all, client_id, subject) : NULL;
    if (!user) {
        free(name);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    if (user->owned >= CHANNELS_OWNED_MAX) {
        free(name);
        return NECPNET_ERR_LIMIT_REACHED;
    }
    channel_user* before = channels_user(all, at->owner_id);
    channel_member* was = channels_member(all, at, at->owner_id);
    channel_member* is = channels_member(all, at, client_id);
    user->owned++;
    if (was) was->role = CHANNEL_MEMBER;
    if (is) is->role = CHANNEL_OWNER;
    if (is) is->may_speak = true;
    free(at->owner);
    at->owner = name;
    at->owner_id = client_id;
    if (before) {
        before->owned--;
        channels_give_up(all, before);
    }
    return NECPNET_OK;
}

necpnet_result channels_rename(channel* at, const char* name)
{
    char* copy = text_copy(name);
    if (!copy) return NECPNET_ERR_OUT_OF_MEMORY;
    free(at->name);
    at->name = copy;
    return NECPNET_OK;
}

/* ---------------------------------------------------------------------------------------------------- members -- */

channel_member* channels_member(const channels* all, const channel* at, uint64_t client_id)
{
    const channel_user* user = channels_user(all, client_id);
    for (uint32_t i = 0; user && i < user->member_count; i++) {
        if (user->members[i]->of == at) return user->members[i];
    }
    return NULL;
}

channel_member* channels_member_named(const channel* at, const char* subject)
{
    channel_member* member = at->first;
    while (member && strcmp(member->user->subject, subject) != 0) member = member->next;
    return member;
}

necpnet_result channels_join(channels* all, channel* at, const channel_entrance* entrance, channel_member** out_member)
{
    channel_member* member = channels_member(all, at, entrance->client_id);
    if (member) {
        *out_member = member;
        return NECPNET_ERR_ALREADY_EXISTS;
    }
    if (!at->is_active) return NECPNET_ERR_REFUSED;
    if (at->count >= at->max_users) return NECPNET_ERR_WOULD_BLOCK;
    channel_user* user = channels_take_user(all, entrance->client_id, entrance->subject);
    if (user && user->member_count == CHANNELS_OF_USER_MAX) return NECPNET_ERR_LIMIT_REACHED;
    member = user && user->subject ? calloc(1, sizeof(*member)) : NULL;
    if (!member) {
        if (user) channels_give_up(all, user);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    memcpy(member->id, entrance->id, sizeof(member->id));
    member->of = at;
    member->user = user;
    member->role = entrance->role;
    member->may_speak = entrance->may_speak;
    member->joined_us = entrance->joined_us;
    member->quality = -1;
    member->before = at->last;
    if (at->last) at->last->next = member;
    if (!at->first) at->first = member;
    at->last = member;
    at->count++;
    all->participants++;
    user->members[user->member_count++] = member;
    user->seen_us = entrance->joined_us;
    *out_member = member;
    return NECPNET_OK;
}

void channels_leave(channels* all, channel_member* member)
{
    channel* at = member->of;
    channel_user* user = member->user;
    uint32_t place = 0;
    while (user->members[place] != member) place++;
    user->member_count--;
    memmove(&user->members[place], &user->members[place + 1],
            (user->member_count - place) * sizeof(user->members[0])); /* the order of joining */
    if (member->before) {
        member->before->next = member->next;
    } else {
        at->first = member->next;
    }
    if (member->next) {
        member->next->before = member->before;
    } else {
        at->last = member->before;
    }
    at->count--;
    all->participants--;
    free(member);
    channels_give_up(all, user);
}

/* ------------------------------------------------------------------------------------------------ invitations -- */

channel_invitation* channels_invitation(const channel* at, uint64_t client_id)
{
    channel_invitation* invitation = at->invited;
    while (invitation && invitation->client_id != client_id) invitation = invitation->next;
    return invitation;
}

necpnet_result channels_invite(channel* at, const char* id, uint64_t client_id, const char* subject)
{
    if (channels_invitation(at, client_id)) return NECPNET_ERR_ALREADY_EXISTS;
    if (at->invited_count >= CHANNELS_INVITED_MAX) return NECPNET_ERR_LIMIT_REACHED;
    channel_invitation* invitation = calloc(1, sizeof(*invitation));
    if (invitation) invitation->subject = text_copy(subject);
    if (!invitation || !invitation->subject) {
        free(invitation);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    memcpy(invitation->id, id, sizeof(invitation->id));
    invitation->client_id = client_id;
    invitation->next = at->invited;
    at->invited = invitation;
    at->invited_count++;
    return NECPNET_OK;
}

void channels_uninvite(channel* at, channel_invitation* invitation)
{
    channel_invitation** link = &at->invited;
    while (*link != invitation) link = &(*link)->next;
    *link = invitation->next;
    at->invited_count--;
    free(invitation->subject);
    free(invitation);
}

/* ------------------------------------------------------------------------------------------------------- life -- */

necpnet_result channels_create(uint32_t channels_max, uint32_t workers_max, channels** out_all)
{
    if (workers_max < 1 || workers_max > 64) return NECPNET_ERR_INVALID_ARGUMENT;
    channels* all = calloc(1, sizeof(*all));
    if (all) all->users = calloc(CHANNELS_CHAINS, sizeof(all->users[0]));
    if (!all || !all->users) {
        free(all);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    all->channels_max = channels_max;
    all->workers_max = workers_max;
    *out_all = all;
    return NECPNET_OK;
}

void channels_destroy(channels* all)
{
    if (!all) return;
    while (all->count) channels_close(all, all->items[all->count - 1]);
    for (int i = 0; i < CHANNELS_CHAINS; i++) {
        while (all->users[i]) {
            channel_user* user = all->users[i];
            user->sessions = user->owned = 0;
            channels_give_up(all, user);
        }
    }
    free(all->users);
    free(all->items);
    free(all);
}
