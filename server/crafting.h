/* crafting.h - crafting sessions of a process: what each player makes, how far it is, what waits behind it. What decides about recipes
 * and materials is the crafting service (a caller with the role service); here its word is kept, told and foretold.
 *
 * A session's progress is not counted up: it follows from its course (work done at a moment, speed), which is all that is written
 * when something changes. So it costs nothing while it runs, goes on through a restart, and clients can foretell it.
 *
 * Any thread. Changes wait for the store before they are seen (crafting_begin, _change, _supply, _forget); the rest never waits.
 * Times are microseconds of crafting_now: the wall clock as it stood at the start, which then goes evenly.
 */
#ifndef SERVER_CRAFTING_H
#define SERVER_CRAFTING_H

#include "identity.h"
#include "store/store.h"

#define CRAFTING_COLLECTION "crafting"
#define CRAFTING_ID_BYTES 65
#define CRAFTING_RECIPE_BYTES 65
#define CRAFTING_MATERIAL_BYTES 33 /* of a name with its NUL: letters, digits and . _ : - */
#define CRAFTING_MATERIALS_MAX 32  /* of a session */
#define CRAFTING_AMOUNT_MAX 65535
#define CRAFTING_SPEED_MAX 10000          /* permille */
#define CRAFTING_DURATION_MS_MAX 86400000 /* of one piece */
#define CRAFTING_QUANTITY_MAX 100
#define CRAFTING_OF_PLAYER_MAX 64 /* sessions that have not ended */
#define CRAFTING_SLOTS_MAX 16     /* that run at once, of a player */
#define CRAFTING_UNKNOWN UINT64_MAX
#define CRAFTING_WHOLE_PPM 1000000u

typedef enum crafting_status {
    CRAFTING_QUEUED = 0,
    CRAFTING_ACTIVE = 1,
    CRAFTING_PAUSED = 2, /* keeps its place */
    CRAFTING_COMPLETED = 3,
    CRAFTING_CANCELLED = 4,
    CRAFTING_FAILED = 5
} crafting_status;

#define CRAFTING_STATUSES "queued|active|paused|completed|cancelled|failed"
#define CRAFTING_STATUS_COUNT 6

/* From what progress follows. */
typedef struct crafting_course {
    uint32_t version; /* 1, 2, ..: grows with each change */
    crafting_status status;
    uint32_t quantity;
    uint32_t speed;       /* permille of the usual */
    uint64_t work_us;     /* done at at_us, at the usual speed; of all pieces */
    uint64_t duration_us; /* of all pieces */
    uint64_t at_us;
} crafting_course;

typedef struct crafting_material {
    char name[CRAFTING_MATERIAL_BYTES];
    uint16_t required;
    uint16_t available;
} crafting_material;

/* A session as it is now. */
typedef struct crafting_view {
    char id[CRAFTING_ID_BYTES];
    char recipe[CRAFTING_RECIPE_BYTES];
    char player[IDENTITY_SUBJECT_BYTES_MAX + 1];
    crafting_course course;
    uint64_t order; /* grows from session to session: the place in lists */
    uint64_t created_us;
    uint64_t ended_us;       /* 0: not yet */
    uint32_t queue_position; /* 1: the next; 0: does not wait */
    uint32_t queue_length;   /* of its player */
    uint64_t starts_in_us;   /* 0: has begun; UNKNOWN: something before it stands still */
    uint64_t ends_in_us;
    uint32_t material_version;
    uint32_t material_count;
    crafting_material materials[CRAFTING_MATERIALS_MAX];
} crafting_view;

typedef enum crafting_result {
    CRAFTING_OK = 0,
    CRAFTING_NOT_FOUND,
    CRAFTING_EXISTS,      /* a session with this id */
    CRAFTING_LIMIT,       /* of this player, or of the process */
    CRAFTING_ENDED,       /* it has, and cannot be changed; or it waits and cannot be paused */
    CRAFTING_NO_MATERIAL, /* it does not use this one */
    CRAFTING_STORE_AWAY   /* nothing was changed, as far as is known */
} crafting_result;

/* What happened, for those who tell it. */
typedef enum crafting_happening {
    CRAFTING_HAS_QUEUED = 0,
    CRAFTING_HAS_STARTED = 1,
    CRAFTING_HAS_MOVED = 2, /* another speed, corrected, paused, resumed */
    CRAFTING_HAS_COMPLETED = 3,
    CRAFTING_HAS_ENDED = 4,     /* cancelled, failed */
    CRAFTING_HAS_MATERIALS = 5, /* other amounts are there; changed has a bit for each */
    CRAFTING_HAS_A_QUEUE = 6,   /* the player's queue is another; no session is named */
    CRAFTING_HAS_GONE = 7       /* is forgotten */
} crafting_happening;

typedef struct crafting_news {
    crafting_happening what;
    uint32_t changed;
    char id[CRAFTING_ID_BYTES];
    char player[IDENTITY_SUBJECT_BYTES_MAX + 1];
} crafting_news;

typedef struct crafting crafting;
typedef struct crafting_session crafting_session;

typedef struct crafting_config {
    store* records; /* NULL: nothing is kept */
    uint32_t slots; /* sessions of a player that run at once: 1 .. CRAFTING_SLOTS_MAX; the others wait */
    uint32_t sessions_max;
    const char* issuer;             /* of the JWTs that name players; borrowed until destroy */
    uint64_t keep_us;               /* how long a session that has ended can be looked at */
    uint64_t (*now_us)(void* user); /* NULL: the clock */
    void* user;
} crafting_config;

/* crafting_create - with all sessions that the store has.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY | ERR_IO (the store does not answer) */
necpnet_result crafting_create(const crafting_config* wish, crafting** out_crafting);
void crafting_destroy(crafting* at);

uint64_t crafting_now(const crafting* at);

/* ---- changes; wait for the store ---- */

typedef struct crafting_wish {
    const char* id; /* "": one is made up */
    const char* player;
    const char* recipe;
    uint32_t quantity;
    uint32_t duration_ms; /* of a piece */
    uint32_t speed;
    const crafting_material* materials; /* available is what is there already */
    uint32_t material_count;
} crafting_wish;

crafting_result crafting_begin(crafting* at, const crafting_wish* wish, crafting_view* out_view);

typedef struct crafting_change {
    bool has_progress, has_speed, has_status;
    uint32_t progress_ppm;
    uint32_t speed;
    crafting_status status; /* ACTIVE, PAUSED, COMPLETED, CANCELLED, FAILED */
} crafting_change;

crafting_result crafting_apply(crafting* at, const char* id, const crafting_change* change, crafting_view* out_view);

/* crafting_supply - how much of materials is there now; those not named stay.
 *
 *   supplied  required is not looked at.
 *   out_name  on NO_MATERIAL the one that the session does not use; may be NULL. */
crafting_result crafting_supply(crafting* at, const char* id, const crafting_material* supplied, uint32_t count,
                                const char** out_name, crafting_view* out_view);

/* crafting_forget - all of a player, at once; the store's records are its owner's to erase. */
void crafting_forget(crafting* at, const char* player);

/* ---- looking ---- */

bool crafting_find(crafting* at, const char* id, crafting_view* out_view);

/* crafting_list - in the order of their beginning, behind the order after.
 *
 *   player  NULL: of all.  status: -1: any.
 *
 * Returns  how many views were written; more says whether there are others. */
uint32_t crafting_list(crafting* at, const char* player, int status, uint64_t after, crafting_view* views,
                       uint32_t views_max, bool* out_more);

typedef enum crafting_whose { CRAFTING_MISSING, CRAFTING_OWN, CRAFTING_FOREIGN } crafting_whose;

/* crafting_owner - whose a session is, as seen by a player: by the name, or by the client id of necpnet. */
crafting_whose crafting_owner(crafting* at, const char* id, const char* player, uint64_t client_id);

/* crafting_work_at, crafting_progress_ppm - of a course at a moment. */
uint64_t crafting_work_at(const crafting_course* course, uint64_t now_us);
uint32_t crafting_progress_ppm(const crafting_course* course, uint64_t now_us);

const char* crafting_status_name(crafting_status status);

/* ---- time ---- */

/* crafting_turn - what is due: sessions that are complete, and those behind them. Of one worker, each turn.
 *
 * Returns  when the next is, of crafting_now; UNKNOWN: nothing runs. */
uint64_t crafting_turn(crafting* at);

/* ---- for feeds (crafting_feed.c) ---- */

/* crafting_hold - a session that stays valid until crafting_release, also when it is gone. NULL: there is none. */
crafting_session* crafting_hold(crafting* at, const char* id);
void crafting_release(crafting* at, crafting_session* session);
/* crafting_look - its course now. False: it has gone. */
bool crafting_look(crafting* at, const crafting_session* session, crafting_course* out_course,
                   uint32_t* out_material_version);
void crafting_view_of(crafting* at, const crafting_session* session, crafting_view* out_view);
const char* crafting_session_id(const crafting_session* session);

#define CRAFTING_NEWS_MAX 1024 /* kept for readers */

/* crafting_listen - a reader of news; its loop is woken when there are some. Returns its number, -1: too many. */
int crafting_listen(crafting* at, necpnet_loop* loop);
void crafting_stop_listening(crafting* at, int listener);
/* crafting_read_news - the next for a listener; lost: so many were overwritten before. */
bool crafting_read_news(crafting* at, int listener, crafting_news* out_news, uint64_t* out_lost);

typedef struct crafting_figures {
    uint32_t sessions[CRAFTING_STATUS_COUNT];
    uint64_t begun;
    uint64_t completed;
    uint64_t changes;
    uint64_t refused;   /* limits */
    uint64_t unwritten; /* completions that the store did not take; a restart finds them again */
} crafting_figures;

void crafting_get_figures(crafting* at, crafting_figures* out_figures);

#endif
