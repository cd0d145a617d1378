/* store.h - records that outlive the process: audit, revocations, friends, crafting sessions, analyses. A record is a text of
 * bytes under (collection, id), names the players whom it is about, has a version, and may expire.
 *
 * Backends (store_backend) do one batch of jobs at a time on the store's thread: memory, SQLite; PostgreSQL is to follow.
 * Every one of them passes tests/server_store.c. REST handlers wait for answers, loops are told (store_post_*).
 */
#ifndef SERVER_STORE_H
#define SERVER_STORE_H

#include "desk.h"
#include "text.h"

#define STORE_COLLECTION_BYTES_MAX 32 /* letters, digits, '_' */
#define STORE_ID_BYTES_MAX 255        /* UTF-8; compared and ordered byte by byte */
#define STORE_SUBJECTS_MAX 4
#define STORE_SUBJECT_BYTES_MAX 255
#define STORE_BODY_BYTES_MAX ((size_t)1 << 20)
#define STORE_LIST_MAX 1000   /* records of one answer */
#define STORE_WRITES_MAX 64   /* of one job: all are done, or none */
#define STORE_QUEUE_MAX 4096  /* jobs that wait */
#define STORE_TIMEOUT_MS 2000 /* what callers without an own opinion use */

typedef enum store_kind {
    STORE_PUT,    /* writes the record; expected: what must be there */
    STORE_REMOVE, /* of (collection, id); expected as with PUT */
    STORE_GET,
    STORE_LIST,   /* of a collection, in the order of ids */
    STORE_NAMING, /* of all collections, those that name a subject, in the order of (collection, id) */
    STORE_ERASE,  /* removes all that name a subject, so that its bytes are gone from the files, too */
    STORE_EXPIRE, /* removes what has expired */
    STORE_PING
} store_kind;

#define STORE_ANY UINT64_MAX /* expected: whatever is there */
#define STORE_ABSENT 0u      /* expected: nothing; else the version */

/* Texts are NUL-terminated. In a write they are borrowed until return and copied; in an answer they belong to it. */
typedef struct store_record {
    const char* collection;
    const char* id;
    const char* subjects[STORE_SUBJECTS_MAX]; /* the first owns it; then NULL */
    const void* body;
    size_t body_bytes;
    uint64_t expires_us; /* wall time; 0: never */
    uint64_t version;    /* of a read: 1, 2, .. */
} store_record;

typedef struct store_write {
    bool remove; /* else put */
    uint64_t expected;
    store_record record;
} store_write;

typedef struct store_query {
    store_kind kind;        /* GET, LIST, NAMING, ERASE, EXPIRE, PING */
    const char* collection; /* GET, LIST */
    const char* id;         /* GET */
    const char* subject;    /* NAMING, ERASE; LIST: only those that name it, NULL: all */
    const char* after;      /* LIST: ids behind this one (before it with newest_first); NULL: from the beginning.
                               NAMING: "collection/id" */
    bool newest_first;      /* LIST: in the reverse order */
    uint32_t limit;         /* LIST, NAMING: 1 .. STORE_LIST_MAX */
} store_query;

typedef struct store_answer {
    desk_result result;
    uint32_t count;        /* of records; ERASE, EXPIRE: how many went */
    uint64_t version;      /* of the last record that was written */
    store_record* records; /* in one block of memory with their texts */
} store_answer;

/* A job as a backend sees it. */
typedef struct store_job {
    desk_job desk;
    store_write* writes; /* several, or NULL and a query */
    uint32_t write_count;
    store_query query;
    uint64_t now_us; /* wall time of the batch */
    store_answer answer;
    void (*done)(const store_answer* answer, void* user);
    void* user;
} store_job;

/* What store_back_up and store_restore copied. */
typedef struct store_copied {
    uint64_t records;
    uint64_t digest;
    int schema_version;
} store_copied;

/* A backend. Every function is called on the store's thread, but open and close, which are called before and after it. */
typedef struct store_backend {
    const char* name; /* "sqlite" */
    bool lasts;       /* what is in it outlives the process */

    /* open - url: what the configuration says. migrate: whether to bring the database up to date, else only look.
     * out_what: on failure the reason. Returns OK | ERR_IO | ERR_INVALID_STATE (the database is newer than this program, or
     * older and not to be migrated) | ERR_OUT_OF_MEMORY */
    necpnet_result (*open)(const char* url, bool migrate, void** out_backend, char* what, size_t what_bytes);
    void (*close)(void* backend);
    /* begin, commit, roll back what run does in between; commit makes it durable. False: it could not. */
    bool (*begin)(void* backend);
    bool (*commit)(void* backend);
    void (*roll_back)(void* backend);
    /* run - one job, inside begin and commit. All writes of it or none. Sets answer (records by store_answer_add). */
    void (*run)(void* backend, store_job* job);
    /* purge - after a commit with an ERASE in it: the bytes are to leave files and logs. */
    bool (*purge)(void* backend);
    /* migrations - one line each: its number, name, and when it was applied. */
    bool (*migrations)(void* backend, text* out);
    /* Copies of all that is in a store, made and brought back without an open backend; NULL: it has none. See store_back_up. */
    necpnet_result (*back_up)(const char* url, const char* file, store_copied* out_copied, char* what,
                              size_t what_bytes);
    necpnet_result (*restore)(const char* url, const char* file, store_copied* out_copied, char* what,
                              size_t what_bytes);
} store_backend;

extern const store_backend store_memory;
extern const store_backend store_sqlite;

typedef struct store store;

/* store_open - by url: "memory:", "sqlite:PATH".
 *
 *   what  on failure the reason, for people.
 *
 * Returns  OK | ERR_UNSUPPORTED (no such backend in this build) | as the backend's open and desk_create */
necpnet_result store_open(const char* url, bool migrate, store** out_store, char* what, size_t what_bytes);

/* store_stop - what is queued is still written; later calls find it DOWN. See desk_stop.
 * store_close - stops it if it was not. NULL does nothing. */
void store_stop(store* at);
void store_close(store* at);

/* Waiting calls, for threads that may wait. The answer is to be released by store_answer_end whatever the result. */
desk_result store_ask(store* at, const store_query* query, store_answer* out_answer);
desk_result store_write_all(store* at, const store_write* writes, uint32_t count, uint64_t* out_version);
void store_answer_end(store_answer* answer);

/* store_begin - writes whose outcome is awaited later: for callers who hold a lock while they decide what to write, and want the store
 * to do it in that order. Never waits. After DESK_OK store_await ends the ticket; else there is none. */
typedef struct store_job store_ticket;
desk_result store_begin(store* at, const store_write* writes, uint32_t count, store_ticket** out_ticket);
desk_result store_await(store* at, store_ticket* ticket);
void store_forget(store* at, store_ticket* ticket); /* the outcome is of no interest */

/* The same for loops: done is called on the loop, in its next steps, unless DESK_BUSY, DESK_DOWN or DESK_INVALID is returned.
 * loop NULL with done NULL: nobody wants to know. */
desk_result store_post(store* at, const store_query* query, necpnet_loop* loop,
                       void (*done)(const store_answer* answer, void* user), void* user);
desk_result store_post_all(store* at, const store_write* writes, uint32_t count, necpnet_loop* loop,
                           void (*done)(const store_answer* answer, void* user), void* user);

const char* store_name(const store* at);
bool store_lasts(const store* at);
void store_get_figures(store* at, desk_figures* out_figures);

/* store_migrations - the backend's migrations as text, for `necpnet-server migrate status`. Before other threads use it. */
bool store_migrations(store* at, text* out);

/* store_back_up - what is in the store at one moment becomes a new file, while a server may go on writing to it. Complete or not there.
 * store_restore - a back-up that proves whole becomes a new store; nothing is ever written over.
 *
 *   what  on failure the reason, for people.
 *
 * Returns  OK | ERR_UNSUPPORTED (a store that keeps nothing) | ERR_INVALID_STATE (something is there already; a schema newer than
 *          this program) | ERR_FILE (not there) | ERR_IO (damaged; a disk) */
necpnet_result store_back_up(const char* url, const char* file, store_copied* out_copied, char* what,
                             size_t what_bytes);
necpnet_result store_restore(const char* url, const char* file, store_copied* out_copied, char* what,
                             size_t what_bytes);

/* For backends: adds a copy of a record to the job's answer. Returns whether there was memory. */
bool store_answer_add(store_job* job, const store_record* record);

#endif
