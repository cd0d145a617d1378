/* cache - jobs, their copies, and the thread that hands them to a backend. */
#include "cache.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

struct cache {
    const cache_backend* backend;
    void* instance;
    desk* thread;
};

static const cache_backend* const cache_backends[] = {&cache_memory};

void cache_answer_end(cache_answer* answer)
{
    free(answer->value);
    *answer = (cache_answer){.result = answer->result};
}

static void cache_job_release(desk_job* job)
{
    cache_job* at = (cache_job*)job;
    free((void*)(uintptr_t)at->query.key);
    free((void*)(uintptr_t)at->query.value);
    cache_answer_end(&at->answer);
    free(at);
}

static void cache_job_finish(desk_job* job)
{
    cache_job* at = (cache_job*)job;
    at->answer.result = job->result;
    at->done(&at->answer, at->user);
}

static bool cache_query_is_right(const cache_query* query)
{
    bool writes = query->kind == CACHE_SET || query->kind == CACHE_ADD;
    bool lives = writes || query->kind == CACHE_COUNT;
    if (query->kind == CACHE_PING) return true;
    if (!query->key || !query->key[0] || strlen(query->key) > CACHE_KEY_BYTES_MAX) return false;
    if (writes && (query->bytes > CACHE_VALUE_BYTES_MAX || (query->bytes > 0 && !query->value))) return false;
    return !lives || (query->ttl_ms >= 1 && query->ttl_ms <= CACHE_TTL_MS_MAX);
}

static cache_job* cache_job_make(const cache_query* query, desk_result* out_result)
{
    *out_result = DESK_INVALID;
    if (!cache_query_is_right(query)) return NULL;
    *out_result = DESK_DOWN;
    cache_job* job = calloc(1, sizeof(*job));
    if (!job) return NULL;
    job->desk.release = cache_job_release;
    job->query = *query;
    job->query.key = text_copy(query->key);
    void* value = query->value ? malloc(query->bytes + 1) : NULL;
    if (value && query->bytes) memcpy(value, query->value, query->bytes);
    job->query.value = value;
    if ((!query->key || job->query.key) && (!query->value || value)) return job;
    cache_job_release(&job->desk);
    return NULL;
}

static void cache_work(desk_job* first, void* user)
{
    cache* at = user;
    uint64_t now_us = necpnet_time_us();
    for (desk_job* job = first; job; job = job->next) {
        cache_job* one = (cache_job*)job;
        one->now_us = now_us;
        one->answer.result = DESK_OK;
        at->backend->run(at->instance, one);
        job->result = one->answer.result;
    }
}

static void cache_idle(void* user)
{
    cache* at = user;
    at->backend->idle(at->instance, necpnet_time_us());
}

desk_result cache_ask(cache* at, const cache_query* query, cache_answer* out_answer)
{
    memset(out_answer, 0, sizeof(*out_answer));
    cache_job* job = cache_job_make(query, &out_answer->result);
    if (!job) return out_answer->result;
    desk_result result = desk_wait(at->thread, &job->desk, CACHE_TIMEOUT_MS);
    if (result == DESK_OK) {
        *out_answer = job->answer;
        job->answer.value = NULL;
    }
    out_answer->result = result;
    desk_release(at->thread, &job->desk);
    return result;
}

desk_result cache_post(cache* at, const cache_query* query, necpnet_loop* loop,
                       void (*done)(const cache_answer* answer, void* user), void* user)
{
    desk_result result;
    cache_job* job = cache_job_make(query, &result);
    if (!job) return result;
    job->desk.loop = loop;
    job->desk.finish = cache_job_finish;
    job->done = done;
    job->user = user;
    return desk_post(at->thread, &job->desk, CACHE_TIMEOUT_MS);
}

necpnet_result cache_open(const char* url, cache** out_cache)
{
    size_t scheme = strcspn(url, ":");
    const cache_backend* backend = NULL;
    for (size_t i = 0; i < sizeof(cache_backends) / sizeof(cache_backends[0]); i++) {
        const char* name = cache_backends[i]->name;
        if (strlen(name) == scheme && strncmp(name, url, scheme) == 0 && url[scheme] == ':')
            backend = cache_backends[i];
    }
    if (!backend) return NECPNET_ERR_UNSUPPORTED;
    cache* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->backend = backend;
    necpnet_result result = backend->open(url + scheme + 1, &at->instance);
    if (result == NECPNET_OK) {
        desk_config config = {.queue_max = CACHE_QUEUE_MAX, .work = cache_work, .idle = cache_idle, .user = at};
        result = desk_create(&config, &at->thread);
        if (result != NECPNET_OK) backend->close(at->instance);
    }
    if (result != NECPNET_OK) {
        free(at);
        return result;
    }
    *out_cache = at;
    return NECPNET_OK;
}

void cache_stop(cache* at)
{
    desk_stop(at->thread);
}

void cache_close(cache* at)
{
    if (!at) return;
    desk_destroy(at->thread);
    at->backend->close(at->instance);
    free(at);
}

const char* cache_name(const cache* at)
{
    return at->backend->name;
}

void cache_get_figures(cache* at, desk_figures* out_figures)
{
    desk_get_figures(at->thread, out_figures);
}
