/* desk - a thread that does jobs which may block. */
#include "desk.h"

#include <stdlib.h>
#include <time.h>

#define DESK_IDLE_MS 1000
#define DESK_REPOST_MS 1 /* a loop had no place for a post */

struct desk {
    desk_config config;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work_came;
    pthread_cond_t job_done;
    desk_job* first;
    desk_job** end;
    desk_job* unposted; /* done, and their loops had no place; the desk's thread alone */
    bool ending;
    desk_figures figures;
};

const char* desk_result_name(desk_result result)
{
    static const char* const names[] = {"ok", "not_found", "conflict", "busy", "timeout", "down", "invalid"};
    return (size_t)result < sizeof(names) / sizeof(names[0]) ? names[result] : "unknown";
}

static struct timespec desk_moment(uint64_t at_us)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    uint64_t now_us = (uint64_t)moment.tv_sec * 1000000u + (uint64_t)moment.tv_nsec / 1000u;
    uint64_t then_us = at_us > now_us ? at_us : now_us;
    moment.tv_sec = (time_t)(then_us / 1000000u);
    moment.tv_nsec = (long)(then_us % 1000000u) * 1000;
    return moment;
}

static uint64_t desk_now_us(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (uint64_t)moment.tv_sec * 1000000u + (uint64_t)moment.tv_nsec / 1000u;
}

/* Under the lock. Returns whether the caller frees it. */
static bool desk_let_go(desk_job* job)
{
    return --job->holders == 0;
}

void desk_release(desk* at, desk_job* job)
{
    pthread_mutex_lock(&at->lock);
    bool last = desk_let_go(job);
    pthread_mutex_unlock(&at->lock);
    if (last) job->release(job);
}

/* ----------------------------------------------------------------------------------------------- the thread -- */

static void desk_on_loop(void* user)
{
    desk_job* job = user;
    job->finish(job);
    job->release(job);
}

/* Tells those whose loops had no place before. */
static void desk_post_again(desk* at)
{
    desk_job** link = &at->unposted;
    while (*link) {
        desk_job* job = *link;
        desk_job* next = job->next;
        if (necpnet_loop_post(job->loop, desk_on_loop, job) == NECPNET_ERR_WOULD_BLOCK) {
            link = &job->next;
        } else {
            *link = next;
        }
    }
}

static void desk_finish(desk* at, desk_job* job)
{
    pthread_mutex_lock(&at->lock);
    job->done = true;
    at->figures.done++;
    if (job->result == DESK_DOWN) at->figures.failed++;
    if (job->result == DESK_TIMEOUT) at->figures.timed_out++;
    bool told = job->loop != NULL;
    bool last = !told && desk_let_go(job);
    pthread_cond_broadcast(&at->job_done);
    pthread_mutex_unlock(&at->lock);
    if (last) job->release(job);
    if (!told) return;
    job->next = NULL;
    desk_job** end = &at->unposted;
    while (*end) end = &(*end)->next;
    *end = job;
    desk_post_again(at);
}

/* Jobs whose time is over are not begun. Takes a list, gives back those to do. */
static desk_job* desk_sift(desk* at, desk_job* list)
{
    uint64_t now_us = desk_now_us();
    desk_job* kept = NULL;
    desk_job** end = &kept;
    while (list) {
        desk_job* job = list;
        list = job->next;
        job->next = NULL;
        if (job->deadline_us > now_us) {
            *end = job;
            end = &job->next;
        } else {
            job->result = DESK_TIMEOUT;
            desk_finish(at, job);
        }
    }
    return kept;
}

/* Waits for work under the lock, takes a batch out. NULL: none came. */
static desk_job* desk_take(desk* at)
{
    desk_job* batch = at->first;
    if (!batch && !at->ending) {
        uint64_t wait_ms = at->unposted ? DESK_REPOST_MS : DESK_IDLE_MS;
        struct timespec until = desk_moment(desk_now_us() + wait_ms * 1000u);
        (void)pthread_cond_timedwait(&at->work_came, &at->lock, &until);
        batch = at->first;
    }
    desk_job** link = &at->first;
    for (int i = 0; i < DESK_BATCH_MAX && *link; i++) {
        link = &(*link)->next;
        at->figures.queued--;
    }
    at->first = *link;
    if (!at->first) at->end = &at->first;
    if (batch) *link = NULL;
    return batch;
}

static void* desk_run(void* user)
{
    desk* at = user;
    bool more = true;
    while (more) {
        pthread_mutex_lock(&at->lock);
        desk_job* batch = desk_take(at);
        more = batch || !at->ending;
        pthread_mutex_unlock(&at->lock);
        if (!batch && at->unposted == NULL && at->config.idle && more) at->config.idle(at->config.user);
        batch = desk_sift(at, batch);
        if (batch) at->config.work(batch, at->config.user);
        while (batch) {
            desk_job* job = batch;
            batch = job->next;
            desk_finish(at, job);
        }
        desk_post_again(at);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------ others -- */

/* holders: 1, or 2 when somebody waits. */
static desk_result desk_queue(desk* at, desk_job* job, uint32_t timeout_ms, int holders)
{
    job->next = NULL;
    job->done = false;
    job->holders = holders;
    job->deadline_us = desk_now_us() + (uint64_t)timeout_ms * 1000u;
    pthread_mutex_lock(&at->lock);
    desk_result result = at->ending ? DESK_DOWN : at->figures.queued >= at->config.queue_max ? DESK_BUSY : DESK_OK;
    if (result == DESK_OK) {
        *at->end = job;
        at->end = &job->next;
        at->figures.queued++;
        pthread_cond_signal(&at->work_came);
    } else {
        at->figures.refused++;
        job->holders--;
    }
    pthread_mutex_unlock(&at->lock);
    return result;
}

desk_result desk_post(desk* at, desk_job* job, uint32_t timeout_ms)
{
    desk_result result = desk_queue(at, job, timeout_ms, 1);
    if (result != DESK_OK) job->release(job);
    return result;
}

desk_result desk_begin(desk* at, desk_job* job, uint32_t timeout_ms)
{
    job->loop = NULL;
    return desk_queue(at, job, timeout_ms, 2);
}

desk_result desk_await(desk* at, desk_job* job)
{
    struct timespec until = desk_moment(job->deadline_us);
    pthread_mutex_lock(&at->lock);
    int waited = 0;
    while (!job->done && waited == 0) waited = pthread_cond_timedwait(&at->job_done, &at->lock, &until);
    desk_result result = job->done ? job->result : DESK_TIMEOUT;
    pthread_mutex_unlock(&at->lock);
    return result;
}

desk_result desk_wait(desk* at, desk_job* job, uint32_t timeout_ms)
{
    desk_result result = desk_begin(at, job, timeout_ms);
    return result == DESK_OK ? desk_await(at, job) : result;
}

void desk_get_figures(desk* at, desk_figures* out_figures)
{
    pthread_mutex_lock(&at->lock);
    *out_figures = at->figures;
    pthread_mutex_unlock(&at->lock);
}

necpnet_result desk_create(const desk_config* config, desk** out_desk)
{
    pthread_condattr_t clock;
    desk* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->config = *config;
    at->end = &at->first;
    pthread_mutex_init(&at->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&at->work_came, &clock);
    pthread_cond_init(&at->job_done, &clock);
    pthread_condattr_destroy(&clock);
    if (pthread_create(&at->thread, NULL, desk_run, at) != 0) {
        free(at);
        return NECPNET_ERR_IO;
    }
    *out_desk = at;
    return NECPNET_OK;
}

void desk_stop(desk* at)
{
    pthread_mutex_lock(&at->lock);
    bool running = !at->ending;
    at->ending = true;
    pthread_cond_signal(&at->work_came);
    pthread_mutex_unlock(&at->lock);
    if (!running) return;
    pthread_join(at->thread, NULL);
    while (at->unposted) { /* a loop that has no place and takes no more steps */
        desk_job* job = at->unposted;
        at->unposted = job->next;
        job->release(job);
    }
}

void desk_destroy(desk* at)
{
    if (!at) return;
    desk_stop(at);
    pthread_cond_destroy(&at->work_came);
    pthread_cond_destroy(&at->job_done);
    pthread_mutex_destroy(&at->lock);
    free(at);
}
