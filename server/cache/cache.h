/* cache.h - what may be lost, kept for a while: sessions to be resumed elsewhere, presence, counters that
 * several nodes share. A value of bytes under a key, which always expires.
 *
 * Backends do one job at a time on the cache's thread: memory; Redis is to follow. Every one passes tests/server_cache.c.
 */
#ifndef SERVER_CACHE_H
#define SERVER_CACHE_H

#include "desk.h"

#define CACHE_KEY_BYTES_MAX 255
#define CACHE_VALUE_BYTES_MAX ((size_t)256 << 10)
#define CACHE_TTL_MS_MAX 604800000u /* a week */
#define CACHE_QUEUE_MAX 16384
#define CACHE_TIMEOUT_MS 500

typedef enum cache_kind {
    CACHE_GET,
    CACHE_SET,
    CACHE_ADD,    /* as SET, but CONFLICT where there is a value */
    CACHE_REMOVE, /* NOT_FOUND where there is none */
    CACHE_COUNT,  /* adds amount to a whole number, which begins at 0 with the ttl; the sum is the answer */
    CACHE_PING
} cache_kind;

typedef struct cache_query {
    cache_kind kind;
    const char* key;
    const void* value; /* SET, ADD */
    size_t bytes;
    uint32_t ttl_ms; /* SET, ADD, COUNT: 1 .. CACHE_TTL_MS_MAX */
    int64_t amount;  /* COUNT */
} cache_query;

typedef struct cache_answer {
    desk_result result;
    void* value; /* GET; with a NUL behind it */
    size_t bytes;
    int64_t sum; /* COUNT */
} cache_answer;

/* A job as a backend sees it; the value of a GET is allocated by malloc. */
typedef struct cache_job {
    desk_job desk;
    cache_query query;
    uint64_t now_us; /* monotonic */
    cache_answer answer;
    void (*done)(const cache_answer* answer, void* user);
    void* user;
} cache_job;

typedef struct cache_backend {
    const char* name;
    necpnet_result (*open)(const char* url, void** out_backend);
    void (*close)(void* backend);
    void (*run)(void* backend, cache_job* job); /* sets answer */
    void (*idle)(void* backend, uint64_t now_us);
} cache_backend;

extern const cache_backend cache_memory;

typedef struct cache cache;

/* cache_open - by url: "memory:".
 *
 * Returns  OK | ERR_UNSUPPORTED (no such backend in this build) | as the backend's open and desk_create */
necpnet_result cache_open(const char* url, cache** out_cache);

/* cache_stop, cache_close - as store_stop, store_close. */
void cache_stop(cache* at);
void cache_close(cache* at);

/* cache_ask - waits for the answer; cache_answer_end it whatever the result. Never on a loop's thread. */
desk_result cache_ask(cache* at, const cache_query* query, cache_answer* out_answer);
void cache_answer_end(cache_answer* answer);

/* cache_post - done is called on the loop, unless DESK_BUSY, DESK_DOWN or DESK_INVALID is returned. NULL: nobody is told. */
desk_result cache_post(cache* at, const cache_query* query, necpnet_loop* loop,
                       void (*done)(const cache_answer* answer, void* user), void* user);

const char* cache_name(const cache* at);
void cache_get_figures(cache* at, desk_figures* out_figures);

#endif
