/* switchboard_tasks - what the workers are to know, and the audit. A worker's tasks wait in a list of its own, and its loop is woken
 * once for all of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "moments.h"
#include "switchboard_inside.h"

switch_task* switch_make_task(switch_task_kind kind, const char* text_, size_t bytes)
{
    switch_task* task = calloc(1, sizeof(*task) + bytes + 1);
    if (!task) return NULL;
    task->kind = kind;
    task->bytes = bytes;
    if (bytes) memcpy(task->text, text_, bytes);
    return task;
}

static void tasks_free(switch_task* task)
{
    cJSON_Delete(task->data);
    free(task);
}

/* On the worker's loop. */
static void tasks_take(void* user)
{
    switch_inbox* inbox = user;
    pthread_mutex_lock(&inbox->lock);
    switch_task* task = inbox->first;
    inbox->first = NULL;
    inbox->end = &inbox->first;
    inbox->count = 0;
    inbox->posted = false;
    bool is_there = inbox->loop != NULL;
    pthread_mutex_unlock(&inbox->lock);
    while (task) {
        switch_task* next = task->next;
        if (is_there) inbox->take(task, inbox->user);
        tasks_free(task);
        task = next;
    }
}

bool switch_post(switchboard* at, uint32_t worker, switch_task* task)
{
    bool right = false;
    switch_inbox* inbox = &at->inboxes[worker];
    if (!task) return false;
    pthread_mutex_lock(&inbox->lock);
    if (inbox->loop && (inbox->count < SWITCH_INBOX_MAX || task->kind == SWITCH_SYNC)) {
        right = true;
        task->next = NULL;
        *inbox->end = task;
        inbox->end = &task->next;
        inbox->count++;
        if (!inbox->posted) inbox->posted = necpnet_loop_post(inbox->loop, tasks_take, inbox) == NECPNET_OK;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (!right) tasks_free(task);
    return right;
}

void switch_wake(switchboard* at)
{
    for (uint32_t worker = 0; worker < CONFIG_WORKERS_MAX; worker++) {
        switch_inbox* inbox = &at->inboxes[worker];
        pthread_mutex_lock(&inbox->lock);
        if (inbox->loop && inbox->first && !inbox->posted)
            inbox->posted = necpnet_loop_post(inbox->loop, tasks_take, inbox) == NECPNET_OK;
        pthread_mutex_unlock(&inbox->lock);
    }
}

void switchboard_attach(switchboard* at, uint32_t worker, necpnet_loop* loop,
                        void (*take)(switch_task* task, void* user), void* user)
{
    switch_inbox* inbox = &at->inboxes[worker];
    pthread_mutex_lock(&inbox->lock);
    inbox->loop = loop;
    inbox->take = take;
    inbox->user = user;
    pthread_mutex_unlock(&inbox->lock);
}

void switchboard_detach(switchboard* at, uint32_t worker)
{
    switch_inbox* inbox = &at->inboxes[worker];
    pthread_mutex_lock(&inbox->lock);
    inbox->loop = NULL;
    pthread_mutex_unlock(&inbox->lock);
    tasks_take(inbox); /* drops what is left */
}

void switch_sync(switchboard* at, uint64_t client_id)
{
    const channel_user* user = channels_user(at->all, client_id);
    for (uint32_t worker = 0; user && worker < CONFIG_WORKERS_MAX; worker++) {
        if (!(user->workers >> worker & 1u)) continue;
        switch_task* task = switch_make_task(SWITCH_SYNC, NULL, 0);
        if (task) task->client_id = client_id;
        (void)switch_post(at, worker, task);
    }
}

void switch_announce(switchboard* at, const switch_call* call, const char* id, const char* type, cJSON* data)
{
    switch_task* task = data ? switch_make_task(SWITCH_EVENT, NULL, 0) : NULL;
    if (!task) {
        cJSON_Delete(data);
        return;
    }
    snprintf(task->channel, sizeof(task->channel), "%s", id);
    task->type = type;
    task->data = data;
    (void)switch_post(at, call && call->worker >= 0 ? (uint32_t)call->worker : 0, task);
}

void switch_announce_member(switchboard* at, const switch_call* call, const channel_member* member, const char* type,
                            const char* reason)
{
    cJSON* data = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(data, "channel_id", member->of->id);
    (void)cJSON_AddStringToObject(data, "user_id", member->user->subject);
    if (reason) {
        (void)cJSON_AddStringToObject(data, "reason", reason);
    } else {
        (void)cJSON_AddStringToObject(data, "role", channels_role_name(member->role));
        (void)cJSON_AddBoolToObject(data, "is_muted", member->is_muted || !member->may_speak);
        (void)cJSON_AddBoolToObject(data, "is_deafened", member->is_deafened);
    }
    switch_announce(at, call, member->of->id, type, data);
}

/* ------------------------------------------------------------------------------------------------------- audit -- */

void switch_audit(switchboard* at, const switch_call* call, const char* event, const char* id, const char* object)
{
    char detail[CHANNELS_ID_BYTES_MAX + 16];
    snprintf(detail, sizeof(detail), "channel %s", id);
    const audit_entry entry = {.event = event,
                               .detail = detail,
                               .actor = call ? call->subject : NULL,
                               .role = call ? call->role : ROLE_ANYONE,
                               .object = object,
                               .route = call ? call->route : "(server)",
                               .from = call ? call->from : "",
                               .trace_id = call ? call->trace_id : ""};
    audit_put_all(at->known, &entry, 1);
}

/* Conversations on their way into the audit, as many at once as one job of the store takes. */
typedef struct audit_batch {
    audit_entry entries[AUDIT_AT_ONCE_MAX];
    text details[AUDIT_AT_ONCE_MAX];
    switch_pair* pairs[AUDIT_AT_ONCE_MAX];
    uint32_t count;
} audit_batch;

static void audit_describe(const switch_pair* pair, text* detail)
{
    char moment[MOMENT_BYTES];
    text_begin_growing(detail);
    text_format(detail, "channel %s:", pair->channel);
    for (uint32_t i = 0; i < pair->count; i++) {
        text_format(detail, "%s %s %s %" PRIu32 " bytes%s", i ? "," : "",
                    moment_of(pair->signals[i].at_us, moment) + 11,
                    signals_type_name((signal_type)pair->signals[i].type), pair->signals[i].bytes,
                    pair->signals[i].was_delivered ? "" : " not delivered");
    }
}

static void audit_end_batch(switchboard* at, audit_batch* batch)
{
    if (batch->count) audit_put_all(at->known, batch->entries, batch->count);
    for (uint32_t i = 0; i < batch->count; i++) {
        switch_pair* pair = batch->pairs[i];
        text_end(&batch->details[i]);
        free(pair->from);
        free(pair->to);
        memset(pair, 0, sizeof(*pair));
        at->pair_count--;
    }
    batch->count = 0;
}

static void audit_add_pair(audit_batch* batch, switch_pair* pair)
{
    text* detail = &batch->details[batch->count];
    audit_describe(pair, detail);
    batch->pairs[batch->count] = pair;
    batch->entries[batch->count++] = (audit_entry){.event = "voice_signals",
                                                   .detail = detail->failed ? "" : detail->to,
                                                   .actor = pair->from,
                                                   .role = ROLE_PLAYER,
                                                   .object = pair->to,
                                                   .route = "voice.signal",
                                                   .from = "",
                                                   .trace_id = ""};
}

static void audit_write_pair(switchboard* at, switch_pair* pair)
{
    audit_batch batch = {.count = 0};
    audit_add_pair(&batch, pair);
    audit_end_batch(at, &batch);
}

uint32_t switch_audit_flush(switchboard* at, uint32_t from)
{
    audit_batch batch = {.count = 0};
    uint32_t i = from;
    for (; at->pair_count > 0 && i < SWITCH_AUDIT_PAIRS && batch.count < AUDIT_AT_ONCE_MAX; i++) {
        if (at->pairs[i].count) audit_add_pair(&batch, &at->pairs[i]);
    }
    audit_end_batch(at, &batch);
    return at->pair_count > 0 ? i : SWITCH_AUDIT_PAIRS;
}

void switch_audit_signal(switchboard* at, const switch_call* call, const signal_message* message, uint64_t to_id,
                         size_t bytes, bool was_delivered)
{
    uint64_t hash = (call->client_id ^ (to_id << 1 | to_id >> 63)) * UINT64_C(0x9e3779b97f4a7c15);
    switch_pair* pair = &at->pairs[(hash >> 32) % SWITCH_AUDIT_PAIRS];
    bool same = pair->count && pair->from_id == call->client_id && pair->to_id == to_id &&
                strcmp(pair->channel, message->channel) == 0;
    if (pair->count && (!same || pair->count == SWITCH_AUDIT_SIGNALS)) {
        audit_write_pair(at, pair);
        same = false;
    }
    if (!same) {
        pair->from = text_copy(message->from);
        pair->to = text_copy(message->to);
        if (!pair->from || !pair->to) {
            free(pair->from);
            free(pair->to);
            memset(pair, 0, sizeof(*pair));
            return;
        }
        snprintf(pair->channel, sizeof(pair->channel), "%s", message->channel);
        pair->from_id = call->client_id;
        pair->to_id = to_id;
        at->pair_count++;
    }
    pair->signals[pair->count].at_us = necpnet_wall_time_us();
    pair->signals[pair->count].bytes = (uint32_t)bytes;
    pair->signals[pair->count].type = (uint8_t)message->type;
    pair->signals[pair->count].was_delivered = was_delivered;
    pair->count++;
}
