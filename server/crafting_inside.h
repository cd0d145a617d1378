/* crafting_inside.h - what the files of crafting share. */
#ifndef SERVER_CRAFTING_INSIDE_H
#define SERVER_CRAFTING_INSIDE_H

#include <pthread.h>

#include "crafting.h"

#define CRAFTING_HEADS 16384 /* chains of sessions and of players; power of two */
#define CRAFTING_STRIPES 64  /* locks of writers: those of one player take turns */
#define CRAFTING_NOT_DUE UINT32_MAX
#define CRAFTING_LISTENERS_MAX 80

struct crafting_player;

struct crafting_session {
    crafting_session* chain; /* of those with the same hash of their id */
    crafting_session* next;  /* of all, by order */
    crafting_session* before;
    crafting_session* later;        /* of its player, by order */
    struct crafting_player* player; /* NULL: gone */
    crafting_course course;
    crafting_material* materials;
    uint32_t material_count;
    uint32_t material_version;
    uint64_t order;
    uint64_t created_us;
    uint64_t ended_us;
    uint64_t due_us;  /* complete then; only while it has a place */
    uint32_t place;   /* in the heap of those that run; NOT_DUE: none */
    uint32_t holders; /* feeds */
    char* recipe;
    char id[]; /* its texts in one piece with it */
};

typedef struct crafting_player {
    struct crafting_player* chain;
    crafting_session* first; /* those that have not ended, and those that have, by order */
    uint64_t client_id;
    uint32_t open; /* not ended */
    uint32_t hash;
    char name[];
} crafting_player;

typedef struct crafting_listener {
    necpnet_loop* loop; /* NULL: free */
    uint64_t read;
    bool woken;
} crafting_listener;

struct crafting {
    crafting_config config;
    uint64_t offset_us;   /* from the clock to crafting_now */
    pthread_mutex_t lock; /* of all below; never held while something waits */
    pthread_mutex_t stripes[CRAFTING_STRIPES];
    crafting_session* sessions[CRAFTING_HEADS];
    crafting_player* players[CRAFTING_HEADS];
    crafting_session* first;
    crafting_session* last;
    crafting_session** due; /* a heap by due_us */
    uint32_t due_count, due_max;
    uint32_t count;
    uint64_t order;
    uint64_t swept_us;
    crafting_news news[CRAFTING_NEWS_MAX];
    uint64_t news_count; /* since the start */
    crafting_listener listeners[CRAFTING_LISTENERS_MAX];
    crafting_figures figures;
};

/* crafting_change.c */
uint64_t crafting_course_left_us(const crafting_course* course, uint64_t now_us); /* UNKNOWN: it stands still */
bool crafting_course_has_ended(const crafting_course* course);

/* crafting.c; all under the lock */
uint32_t crafting_hash(const char* name);
crafting_session* crafting_get(const crafting* at, const char* id);
crafting_player* crafting_get_player(const crafting* at, const char* name);
crafting_player* crafting_open_player(crafting* at, const char* name); /* made where it is not there; NULL: no memory */
void crafting_drop_player(crafting* at, crafting_player* player);      /* if it has no session */
void crafting_link(crafting* at, crafting_session* session, crafting_player* player);
void crafting_remove(crafting* at, crafting_session* session); /* and its player's lock held, too */
bool crafting_due_reserve(crafting* at);
void crafting_due_update(crafting* at, crafting_session* session); /* after its course has changed */
void crafting_tell(crafting* at, crafting_happening what, const char* id, const char* player, uint32_t changed);

/* crafting_view.c; under the lock */
void crafting_fill_view(const crafting* at, const crafting_session* session, crafting_view* out);

/* crafting_record.c: sessions as JSON, as the store has them. */
void crafting_put_record(text* out, const crafting_session* session, const char* player, const crafting_course* course,
                         const crafting_material* materials, uint64_t ended_us);
/* A session of such a text, in no list. player: free it. NULL: the text is no such record, or no memory. */
crafting_session* crafting_read_record(const char* id, const char* json, size_t bytes, char** out_player);
/* A session of these texts, in no list. NULL: no memory. */
crafting_session* crafting_make_session(const char* id, const char* recipe, const crafting_material* materials,
                                        uint32_t material_count);
void crafting_free_session(crafting_session* session);
bool crafting_status_find(const char* name, crafting_status* out_status);

#endif
