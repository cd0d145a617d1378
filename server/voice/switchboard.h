/* switchboard.h - voice channels of the process: who may do what to which, what the store is told, which worker is to know, and
 * signals from one user to another. REST's threads and the workers' loops call it alike: it locks, decides, queues what is to be
 * written, and never waits under its lock. The machine itself is channels.h.
 *
 * Records: voice_channels, voice_participants and voice_invitations by channel, voice_quality_reports. At start they are read back.
 */
#ifndef SERVER_VOICE_SWITCHBOARD_H
#define SERVER_VOICE_SWITCHBOARD_H

#include "channels.h"
#include "identity.h"
#include "services.h"
#include "signals.h"

#define SWITCH_LIST_MAX 1000
#define SWITCH_INBOX_MAX 65536u /* tasks that wait for one worker; signals behind are not delivered */

typedef enum switch_result {
    SWITCH_OK = 0,
    SWITCH_CREATED,   /* done, and something new is there */
    SWITCH_INVALID,   /* fault says what */
    SWITCH_FORBIDDEN, /* why */
    SWITCH_MISSING,   /* why */
    SWITCH_CONFLICT,  /* why, and reason for machines */
    SWITCH_LIMIT,     /* why: one may have no more of these */
    SWITCH_ASK_GUILD, /* not done: call again with the caller's guilds */
    SWITCH_DOWN       /* the store, or memory */
} switch_result;

/* Who asks, and what he is answered. */
typedef struct switch_call {
    unsigned role;
    uint64_t client_id;
    const char* subject;
    const char* issuer;  /* of other users, "" : the caller's */
    bool is_developer;   /* development mode without a JWT: may act as anybody */
    bool has_guilds;     /* guilds were asked for */
    const cJSON* guilds; /* {"guilds":[{"id","rights"}]}, or NULL: none */
    int worker;          /* on whose loop; -1: a thread that may wait */
    const char* route;   /* for the audit */
    const char* from;    /* a shortened address, "" not known */
    const char* trace_id;
    text* out;          /* gets JSON */
    field_fault fault;  /* of SWITCH_INVALID */
    const char* reason; /* of SWITCH_CONFLICT: "full" .. */
    char why[192];
    store_ticket* ticket; /* what is being written */
    bool is_undoable;     /* what this call made is undone when the store does not take it: */
    char made_channel[CHANNELS_ID_BYTES_MAX + 1];
    char made_member[CHANNELS_UUID_BYTES];
} switch_call;

typedef struct switchboard switchboard;

/* switchboard_create - reads what the store has.
 *
 *   known  borrowed; its store, settings and names are there.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_IO (the store) */
necpnet_result switchboard_create(const services* known, switchboard** out_board);
void switchboard_destroy(switchboard* at);

/* switchboard_keep - once a second: users who went without a word leave, signals are written to the audit every five seconds, or now
 * when the process is ending. */
void switchboard_keep(switchboard* at, bool ending);

/* -- the workers -- */

typedef enum switch_task_kind {
    SWITCH_SYNC,   /* client_id's channels have changed */
    SWITCH_TELL,   /* text is for client_id's sessions */
    SWITCH_EVENT,  /* type and data are for the topic of channel */
    SWITCH_QUALITY /* client_id hears the others of channel number badly */
} switch_task_kind;

typedef struct switch_task {
    struct switch_task* next;
    switch_task_kind kind;
    uint64_t client_id;
    uint64_t number;
    char channel[CHANNELS_ID_BYTES_MAX + 1];
    const char* type; /* static */
    cJSON* data;      /* taken over by whoever takes the task */
    uint32_t loss_ppm;
    uint32_t jitter_ms;
    size_t bytes;
    char text[];
} switch_task;

/* switchboard_attach - a worker, whose loop take is called on with each task; switchboard_detach - it ends. */
void switchboard_attach(switchboard* at, uint32_t worker, necpnet_loop* loop,
                        void (*take)(switch_task* task, void* user), void* user);
void switchboard_detach(switchboard* at, uint32_t worker);

/* A connection of a user came to a worker, or went: with his last one he leaves all channels. */
void switchboard_connect(switchboard* at, uint64_t client_id, uint32_t worker);
void switchboard_disconnect(switchboard* at, uint64_t client_id, uint32_t worker);

/* One of a user's channels, as a worker's hub is to have it. */
typedef struct switch_place {
    uint64_t number;
    char channel[CHANNELS_ID_BYTES_MAX + 1];
    uint32_t max_users;
    uint32_t bitrate;
    bool is_silenced;
    bool is_deafened;
} switch_place;

/* switchboard_places - the channels that a user is in; at most CHANNELS_OF_USER_MAX. */
uint32_t switchboard_places(switchboard* at, uint64_t client_id, switch_place* places);

/* switchboard_is_in - whether a user is in a channel. */
bool switchboard_is_in(switchboard* at, uint64_t client_id, const char* channel);

/* -- what callers want: each answers call->out in JSON -- */

typedef struct switch_wish {
    const char* id; /* "": made up; others are for services and admins */
    const char* name;
    channel_type type;
    const char* guild;
    const char* owner; /* "": the caller; others for services and admins */
    uint32_t max_users;
    channel_sound sound;
    bool as_stream;
} switch_wish;

typedef struct switch_filter {
    int type;   /* channel_type, -1: any */
    int status; /* 1 active, 0 inactive, -1 any */
    int media;  /* 1 game, 0 voice, -1 any */
    const char* guild;
    const char* after;
    uint32_t limit;
    bool as_stream;
} switch_filter;

typedef struct switch_change {
    const char* name;  /* NULL: as it is */
    int64_t max_users; /* 0: as it is */
    int is_active;     /* -1: as it is */
} switch_change;

typedef struct switch_member_change {
    int role;        /* channel_role, -1: as it is */
    int is_muted;    /* -1 */
    int is_deafened; /* -1 */
} switch_member_change;

typedef struct switch_report {
    const char* user;
    int64_t bitrate;
    double packet_loss; /* 0 .. 1 */
    double jitter;      /* seconds */
    double latency;     /* seconds */
    int quality;        /* 0 excellent .. 3 poor; -1: to be judged */
} switch_report;

#define SWITCH_QUALITIES "excellent|good|fair|poor"

switch_result switchboard_open(switchboard* at, switch_call* call, const switch_wish* wish);
switch_result switchboard_list(switchboard* at, switch_call* call, const switch_filter* filter);
/* Whether the caller may know of a channel; nothing is answered. */
switch_result switchboard_see(switchboard* at, switch_call* call, const char* id);
switch_result switchboard_get(switchboard* at, switch_call* call, const char* id, bool as_stream);
switch_result switchboard_change(switchboard* at, switch_call* call, const char* id, const switch_change* change);
switch_result switchboard_close(switchboard* at, switch_call* call, const char* id);
switch_result switchboard_members(switchboard* at, switch_call* call, const char* id);
/* user "": the caller himself. role -1: as it comes. */
switch_result switchboard_join(switchboard* at, switch_call* call, const char* id, const char* user, int role);
switch_result switchboard_leave(switchboard* at, switch_call* call, const char* id, const char* user);
switch_result switchboard_invite(switchboard* at, switch_call* call, const char* id, const char* user);
switch_result switchboard_set_member(switchboard* at, switch_call* call, const char* id, const char* user,
                                     const switch_member_change* change);
switch_result switchboard_expel(switchboard* at, switch_call* call, const char* id, const char* user);
switch_result switchboard_signal(switchboard* at, switch_call* call, const signal_message* message);
switch_result switchboard_report(switchboard* at, switch_call* call, const char* id, const switch_report* report);

/* switchboard_settle - after any of them: waits for the store where the call may, and undoes what it did not take. Gives the
 * result, or SWITCH_DOWN. */
switch_result switchboard_settle(switchboard* at, switch_call* call, switch_result result);

/* switchboard_forget - a user who is erased leaves; what he owns goes to a member, or ends. */
void switchboard_forget(switchboard* at, const char* subject, uint64_t client_id);

/* Figures since the start, and of now. */
typedef struct switch_figures {
    uint32_t channels;
    uint32_t participants;
    uint32_t sessions; /* connections that it knows */
    uint64_t signals[SIGNAL_TYPES];
    uint64_t signals_refused;
    uint64_t signals_undelivered; /* to somebody without a connection */
    uint64_t opened, changed, closed, joined, left, invited;
    uint64_t refused; /* joins */
    uint64_t reports[4];
} switch_figures;
void switchboard_get_figures(switchboard* at, switch_figures* out_figures);

#endif
