/* desk.h - a thread that does jobs which may block (a file, a database, another machine), in batches, in order. Whoever brings
 * a job either waits for it, or is told on its own loop; the queue is bounded, and every job has a deadline.
 */
#ifndef SERVER_DESK_H
#define SERVER_DESK_H

#include <pthread.h>

#include "necpnet.h"

#define DESK_BATCH_MAX 256

typedef enum desk_result {
    DESK_OK = 0,
    DESK_NOT_FOUND,
    DESK_CONFLICT, /* a record is there already, or has another version */
    DESK_BUSY,     /* the queue is full: nothing was queued */
    DESK_TIMEOUT,  /* the deadline passed: a write may still have happened */
    DESK_DOWN,     /* the backend does not work, or is closed */
    DESK_INVALID   /* the job is wrong: a length, a name */
} desk_result;

/* One job; embedded as the first member of a job of the desk's owner, allocated by malloc. */
typedef struct desk_job {
    struct desk_job* next;
    uint64_t deadline_us;
    int holders; /* the desk, and a waiter: the last one releases */
    bool done;
    desk_result result;
    necpnet_loop* loop;                    /* finish is called here; NULL: nobody is told */
    void (*finish)(struct desk_job* job);  /* on the loop */
    void (*release)(struct desk_job* job); /* frees it */
} desk_job;

typedef struct desk_figures {
    uint32_t queued;
    uint64_t done;
    uint64_t refused; /* queue full */
    uint64_t timed_out;
    uint64_t failed; /* DOWN */
} desk_figures;

typedef struct desk desk;

typedef struct desk_config {
    uint32_t queue_max;
    /* On the desk's thread: does the jobs of a list (at most DESK_BATCH_MAX) and sets each result. */
    void (*work)(desk_job* first, void* user);
    /* On the desk's thread, about every second without work. NULL: nothing. */
    void (*idle)(void* user);
    void* user;
} desk_config;

/* desk_create - starts the thread.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_IO (no thread) */
necpnet_result desk_create(const desk_config* config, desk** out_desk);

/* desk_stop - what is queued is still done, then the thread ends; jobs that come later are refused with DESK_DOWN. Every loop that
 * jobs name takes one more step afterwards. */
void desk_stop(desk* at);

/* desk_destroy - stops it if it was not. NULL does nothing. */
void desk_destroy(desk* at);

/* desk_post - queue a job and do not wait. The desk releases it in the end, also when it refuses (finish is not called then).
 *
 * Returns  DESK_OK | DESK_BUSY | DESK_DOWN. Any thread, never waits. */
desk_result desk_post(desk* at, desk_job* job, uint32_t timeout_ms);

/* desk_wait - queue a job and wait for it. The caller holds it still: desk_release. Never on a loop's thread.
 *
 * Returns  the job's result | DESK_BUSY | DESK_TIMEOUT | DESK_DOWN */
desk_result desk_wait(desk* at, desk_job* job, uint32_t timeout_ms);

/* desk_begin, desk_await - the same in two steps: what is begun first is done first, and begin does not wait. After DESK_OK of begin
 * await is called. */
desk_result desk_begin(desk* at, desk_job* job, uint32_t timeout_ms);
desk_result desk_await(desk* at, desk_job* job);
void desk_release(desk* at, desk_job* job);

void desk_get_figures(desk* at, desk_figures* out_figures);

/* desk_result_name - "timeout". */
const char* desk_result_name(desk_result result);

#endif
