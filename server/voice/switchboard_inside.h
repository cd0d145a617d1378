/* switchboard_inside.h - what the switchboard's files share. Everything here is called under the lock, unless it says otherwise. */
#ifndef SERVER_VOICE_SWITCHBOARD_INSIDE_H
#define SERVER_VOICE_SWITCHBOARD_INSIDE_H

#include <pthread.h>

#include "switchboard.h"

#define SWITCH_CHANNELS "voice_channels"
#define SWITCH_PARTICIPANTS "voice_participants"
#define SWITCH_INVITATIONS "voice_invitations"
#define SWITCH_REPORTS "voice_quality_reports"
#define SWITCH_AUDIT_PAIRS 8192  /* conversations whose signals wait for the audit */
#define SWITCH_AUDIT_SIGNALS 12  /* of one record: an offer or an answer, and its candidates */
#define SWITCH_AUDIT_US 5000000u /* that they wait */
#define SWITCH_RECORD_BYTES 4096

/* Tasks of one worker; behind a lock of its own. */
typedef struct switch_inbox {
    pthread_mutex_t lock;
    necpnet_loop* loop; /* NULL: there is no such worker */
    void (*take)(switch_task* task, void* user);
    void* user;
    switch_task* first;
    switch_task** end;
    uint32_t count;
    bool posted;
} switch_inbox;

/* Signals from one user to another in a channel, for one record of the audit. */
typedef struct switch_pair {
    char channel[CHANNELS_ID_BYTES_MAX + 1];
    uint64_t from_id, to_id;
    char* from;
    char* to;
    uint32_t count; /* 0: free */
    struct {
        uint64_t at_us;
        uint32_t bytes;
        uint8_t type;
        bool was_delivered;
    } signals[SWITCH_AUDIT_SIGNALS];
} switch_pair;

struct switchboard {
    const services* known;
    pthread_mutex_t lock;
    channels* all;
    switch_figures figures;
    switch_inbox inboxes[CONFIG_WORKERS_MAX];
    switch_pair pairs[SWITCH_AUDIT_PAIRS];
    uint32_t pair_count;
    uint64_t flushed_us;
};

/* -- refusals -- */
switch_result switch_forbid(switch_call* call, const char* why);
switch_result switch_miss(switch_call* call, const char* why);
switch_result switch_clash(switch_call* call, const char* reason, const char* why);
switch_result switch_limit(switch_call* call, const char* why);
switch_result switch_invalid(switch_call* call, const char* field, const char* reason, const char* why);

/* -- who may -- */
bool switch_is_trusted(const switch_call* call);
/* The client id of a user by his subject. */
uint64_t switch_client_id(const switchboard* at, const switch_call* call, const char* subject);
/* Whether the caller may hear of a channel that is not for everybody. */
bool switch_belongs(const switchboard* at, const switch_call* call, const channel* of);
/* A channel by its id, that the caller may know of: sets *out_channel, or why not. */
switch_result switch_find(switchboard* at, switch_call* call, const char* id, channel** out_channel);
switch_result switch_may_manage(switchboard* at, switch_call* call, const channel* of);

/* -- what it looks like -- */
void switch_put_channel(const channel* of, text* out);
void switch_put_stream(const channel* of, text* out);
void switch_put_member(const channel_member* member, text* out);
void switch_put_members(const channel* of, text* out);

/* -- the store -- */
/* Adds the writes to what the call waits for; SWITCH_DOWN: the store takes no more. */
switch_result switch_write(switchboard* at, switch_call* call, const store_write* writes, uint32_t count);
switch_result switch_write_channel(switchboard* at, switch_call* call, const channel* of);
switch_result switch_write_member(switchboard* at, switch_call* call, const channel_member* member);
switch_result switch_write_invitation(switchboard* at, switch_call* call, const channel* of,
                                      const channel_invitation* invitation);
switch_result switch_write_report(switchboard* at, switch_call* call, const channel* of, const switch_report* report,
                                  int quality);
void switch_erase_member(switchboard* at, switch_call* call, const channel_member* member);
void switch_erase_invitation(switchboard* at, switch_call* call, const channel* of,
                             const channel_invitation* invitation);
void switch_erase_channel(switchboard* at, switch_call* call, const channel* of); /* with all that belongs to it */
necpnet_result switch_load(switchboard* at);
void switch_make_id(char id[CHANNELS_UUID_BYTES]);
const char* switch_quality_name(int quality);

/* -- the audit -- */
/* What somebody did; object: the user whom he did it to, or NULL. */
void switch_audit(switchboard* at, const switch_call* call, const char* event, const char* channel, const char* object);
void switch_audit_signal(switchboard* at, const switch_call* call, const signal_message* message, uint64_t to_id,
                         size_t bytes, bool was_delivered);
/* Writes some of what waits, from a place on; gives the place where to go on, SWITCH_AUDIT_PAIRS at the end. */
uint32_t switch_audit_flush(switchboard* at, uint32_t from);

/* -- the workers -- */
/* Takes the task over. */
bool switch_post(switchboard* at, uint32_t worker, switch_task* task);
/* Wakes those once more whose loops had no place for it. Without the lock. */
void switch_wake(switchboard* at);
switch_task* switch_make_task(switch_task_kind kind, const char* text_, size_t bytes);
/* All workers where the user is look at his channels again. */
void switch_sync(switchboard* at, uint64_t client_id);
/* An event for the topic of a channel. data is taken over. */
void switch_announce(switchboard* at, const switch_call* call, const char* channel, const char* type, cJSON* data);
/* The same with the user that it is about. */
void switch_announce_member(switchboard* at, const switch_call* call, const channel_member* member, const char* type,
                            const char* reason);
/* Out of the channel, the store, the hubs; the others hear of it. An owner who leaves keeps what he owns. */
void switch_take_out(switchboard* at, switch_call* call, channel_member* member, const char* reason);

#endif
