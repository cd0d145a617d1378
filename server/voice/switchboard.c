/* switchboard - connections of users, what is undone, figures, the life of it all. Channels: switchboard_channels.c. */
#include "switchboard.h"

#include <stdlib.h>
#include <string.h>

#include "switchboard_inside.h"

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
