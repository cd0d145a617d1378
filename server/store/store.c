/* store - jobs, their copies, and the thread that hands them to a backend. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define STORE_EXPIRE_US 60000000u /* between looks for what has expired */

struct store {
    const store_backend* backend;
    void* instance;
    desk* thread;
    uint64_t expired_us; /* the store's thread alone */
};

static const store_backend* const store_backends[] = {
    &store_memory,
#if SERVER_WITH_SQLITE
    &store_sqlite,
#endif
};

/* ------------------------------------------------------------------------------------------------------- jobs -- */

static bool store_fits(const char* value, size_t bytes_max)
{
    return value && value[0] && strlen(value) <= bytes_max && text_is_utf8(value, strlen(value));
}

static bool store_is_collection(const char* name)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return store_fits(name, STORE_COLLECTION_BYTES_MAX) && strspn(name, word) == strlen(name);
}

static bool store_write_is_right(const store_write* write)
{
    const store_record* record = &write->record;
    if (!store_is_collection(record->collection) || !store_fits(record->id, STORE_ID_BYTES_MAX)) return false;
    if (write->remove) return true;
    if (record->body_bytes > STORE_BODY_BYTES_MAX || (record->body_bytes > 0 && !record->body)) return false;
    for (int i = 0; i < STORE_SUBJECTS_MAX && record->subjects[i]; i++) {
        if (!store_fits(record->subjects[i], STORE_SUBJECT_BYTES_MAX)) return false;
    }
    return true;
}

static bool store_query_is_right(const store_query* query)
{
    bool lists = query->kind == STORE_LIST || query->kind == STORE_NAMING;
    bool by_subject = query->kind == STORE_NAMING || query->kind == STORE_ERASE;
    if (query->kind == STORE_PUT || query->kind == STORE_REMOVE) return false;
    if ((query->kind == STORE_GET || query->kind == STORE_LIST) && !store_is_collection(query->collection))
        return false;
    if (query->kind == STORE_GET && !store_fits(query->id, STORE_ID_BYTES_MAX)) return false;
    if ((by_subject || query->subject) && !store_fits(query->subject, STORE_SUBJECT_BYTES_MAX)) return false;
    return !lists || (query->limit >= 1 && query->limit <= STORE_LIST_MAX);
}

static void store_record_end(store_record* record)
{
    free((void*)(uintptr_t)record->collection);
    free((void*)(uintptr_t)record->id);
    for (int i = 0; i < STORE_SUBJECTS_MAX; i++) free((void*)(uintptr_t)record->subjects[i]);
    free((void*)(uintptr_t)record->body);
}

/* A deep copy. Returns whether there was memory; to is to be ended in either case. */
static bool store_record_copy(store_record* to, const store_record* from)
{
    *to = (store_record){.body_bytes = from->body_bytes, .expires_us = from->expires_us, .version = from->version};
    char* body = malloc(from->body_bytes + 1);
    if (body) {
        if (from->body_bytes) memcpy(body, from->body, from->body_bytes);
        body[from->body_bytes] = 0;
    }
    to->body = body;
    to->collection = text_copy(from->collection);
    to->id = text_copy(from->id);
    bool whole = body && to->collection && to->id;
    for (int i = 0; i < STORE_SUBJECTS_MAX && from->subjects[i]; i++) {
        to->subjects[i] = text_copy(from->subjects[i]);
        whole = whole && to->subjects[i];
    }
    return whole;
}

void store_answer_end(store_answer* answer)
{
    for (uint32_t i = 0; i < answer->count && answer->records; i++) store_record_end(&answer->records[i]);
    free(answer->records);
    *answer = (store_answer){.result = answer->result};
}

static void store_job_release(desk_job* job)
{
    store_job* at = (store_job*)job;
    for (uint32_t i = 0; i < at->write_count; i++) store_record_end(&at->writes[i].record);
    free(at->writes);
    free((void*)(uintptr_t)at->query.collection);
    free((void*)(uintptr_t)at->query.id);
    free((void*)(uintptr_t)at->query.subject);
    free((void*)(uintptr_t)at->query.after);
    store_answer_end(&at->answer);
    free(at);
}

static void store_job_finish(desk_job* job)
{
    store_job* at = (store_job*)job;
    at->answer.result = job->result;
    at->done(&at->answer, at->user);
}

static bool store_copy_text(const char** to, const char* from)
{
    *to = text_copy(from);
    return !from || *to;
}

/* A job with copies of all that the caller named; NULL: no memory. */
static store_job* store_job_make(const store_query* query, const store_write* writes, uint32_t count)
{
    store_job* job = calloc(1, sizeof(*job));
    if (!job) return NULL;
    job->desk.release = store_job_release;
    bool whole = true;
    if (query) {
        job->query = *query;
        job->query.collection = job->query.id = job->query.subject = job->query.after = NULL;
        whole =
            store_copy_text(&job->query.collection, query->collection) && store_copy_text(&job->query.id, query->id);
        whole = whole && store_copy_text(&job->query.subject, query->subject);
        whole = whole && store_copy_text(&job->query.after, query->after);
    } else {
        job->writes = calloc(count, sizeof(*job->writes));
        for (uint32_t i = 0; job->writes && whole && i < count; i++) {
            job->writes[i] = writes[i];
            job->write_count = i + 1;
            whole = store_record_copy(&job->writes[i].record, &writes[i].record);
        }
        whole = whole && job->writes;
    }
    if (whole) return job;
    store_job_release(&job->desk);
    return NULL;
}

bool store_answer_add(store_job* job, const store_record* record)
{
    store_answer* answer = &job->answer;
    if ((answer->count & (answer->count - 1)) == 0) { /* 0, 1, 2, 4, ..: full */
        uint32_t room = answer->count ? answer->count * 2 : 1;
        store_record* grown = realloc(answer->records, room * sizeof(*grown));
        if (!grown) return false;
        answer->records = grown;
    }
    if (!store_record_copy(&answer->records[answer->count], record)) {
        store_record_end(&answer->records[answer->count]);
        return false;
    }
    answer->count++;
    return true;
}

/* ------------------------------------------------------------------------------------------------- the thread -- */

/* One transaction for all jobs of a batch: many writes cost one sync. */
static void store_work(desk_job* first, void* user)
{
    store* at = user;
    uint64_t now_us = necpnet_wall_time_us();
    bool erased = false;
    bool begun = at->backend->begin(at->instance);
    for (desk_job* job = first; job; job = job->next) {
        store_job* one = (store_job*)job;
        one->now_us = now_us;
        one->answer.result = DESK_DOWN;
        if (begun) at->backend->run(at->instance, one);
        job->result = one->answer.result;
        erased = erased || (!one->writes && one->query.kind == STORE_ERASE);
    }
    bool kept = begun && at->backend->commit(at->instance);
    if (begun && !kept) at->backend->roll_back(at->instance);
    if (kept && erased) kept = at->backend->purge(at->instance);
    if (kept) return;
    LOG(NECPNET_LOG_ERROR, "store_failed", "the store did not take a batch", LOG_TEXT("backend", at->backend->name),
        LOG_END);
    for (desk_job* job = first; job; job = job->next) {
        store_answer_end(&((store_job*)job)->answer);
        job->result = DESK_DOWN;
    }
}

static void store_idle(void* user)
{
    store* at = user;
    store_query query = {.kind = STORE_EXPIRE};
    uint64_t now_us = necpnet_time_us();
    if (now_us < at->expired_us + STORE_EXPIRE_US) return;
    at->expired_us = now_us;
    store_job* job = store_job_make(&query, NULL, 0);
    if (!job) return;
    store_work(&job->desk, at);
    store_job_release(&job->desk);
}

/* ------------------------------------------------------------------------------------------------------- calls -- */

static store_job* store_prepare(const store_query* query, const store_write* writes, uint32_t count,
                                desk_result* out_result)
{
    bool right = query ? store_query_is_right(query) : count >= 1 && count <= STORE_WRITES_MAX;
    for (uint32_t i = 0; !query && right && i < count; i++) right = store_write_is_right(&writes[i]);
    *out_result = DESK_INVALID;
    if (!right) return NULL;
    *out_result = DESK_DOWN;
    return store_job_make(query, writes, count);
}

static desk_result store_call(store* at, store_job* job, store_answer* out_answer)
{
    desk_result result = desk_wait(at->thread, &job->desk, STORE_TIMEOUT_MS);
    if (result == DESK_OK) {
        *out_answer = job->answer;
        job->answer = (store_answer){DESK_OK, 0, 0, NULL};
    }
    out_answer->result = result;
    desk_release(at->thread, &job->desk);
    return result;
}

desk_result store_ask(store* at, const store_query* query, store_answer* out_answer)
{
    memset(out_answer, 0, sizeof(*out_answer));
    store_job* job = store_prepare(query, NULL, 0, &out_answer->result);
    return job ? store_call(at, job, out_answer) : out_answer->result;
}

desk_result store_write_all(store* at, const store_write* writes, uint32_t count, uint64_t* out_version)
{
    store_answer answer = {0};
    store_job* job = store_prepare(NULL, writes, count, &answer.result);
    desk_result result = job ? store_call(at, job, &answer) : answer.result;
    if (result == DESK_OK && out_version) *out_version = answer.version;
    store_answer_end(&answer);
    return result;
}

desk_result store_begin(store* at, const store_write* writes, uint32_t count, store_ticket** out_ticket)
{
    desk_result result;
    store_job* job = store_prepare(NULL, writes, count, &result);
    if (!job) return result;
    result = desk_begin(at->thread, &job->desk, STORE_TIMEOUT_MS);
    if (result == DESK_OK) {
        *out_ticket = job;
    } else {
        desk_release(at->thread, &job->desk);
    }
    return result;
}

desk_result store_await(store* at, store_ticket* ticket)
{
    desk_result result = desk_await(at->thread, &ticket->desk);
    desk_release(at->thread, &ticket->desk);
    return result;
}

void store_forget(store* at, store_ticket* ticket)
{
    desk_release(at->thread, &ticket->desk);
}

static desk_result store_post_job(store* at, store_job* job, necpnet_loop* loop,
                                  void (*done)(const store_answer* answer, void* user), void* user)
{
    job->desk.loop = loop;
    job->desk.finish = store_job_finish;
    job->done = done;
    job->user = user;
    return desk_post(at->thread, &job->desk, STORE_TIMEOUT_MS);
}

desk_result store_post(store* at, const store_query* query, necpnet_loop* loop,
                       void (*done)(const store_answer* answer, void* user), void* user)
{
    desk_result result;
    store_job* job = store_prepare(query, NULL, 0, &result);
    return job ? store_post_job(at, job, loop, done, user) : result;
}

desk_result store_post_all(store* at, const store_write* writes, uint32_t count, necpnet_loop* loop,
                           void (*done)(const store_answer* answer, void* user), void* user)
{
    desk_result result;
    store_job* job = store_prepare(NULL, writes, count, &result);
    return job ? store_post_job(at, job, loop, done, user) : result;
}

/* -------------------------------------------------------------------------------------------------------- life -- */

/* The backend of a url, and what stands behind its scheme; NULL: this build has none. */
static const store_backend* store_find(const char* url, const char** out_rest, char* what, size_t what_bytes)
{
    size_t scheme = strcspn(url, ":");
    for (size_t i = 0; i < sizeof(store_backends) / sizeof(store_backends[0]) && url[scheme] == ':'; i++) {
        const char* name = store_backends[i]->name;
        *out_rest = url + scheme + 1;
        if (strlen(name) == scheme && strncmp(name, url, scheme) == 0) return store_backends[i];
    }
    snprintf(what, what_bytes, "this build has no store of that kind");
    return NULL;
}

necpnet_result store_open(const char* url, bool migrate, store** out_store, char* what, size_t what_bytes)
{
    const char* rest = NULL;
    const store_backend* backend = store_find(url, &rest, what, what_bytes);
    if (!backend) return NECPNET_ERR_UNSUPPORTED;
    store* at = calloc(1, sizeof(*at));
    snprintf(what, what_bytes, "out of memory");
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->backend = backend;
    necpnet_result result = backend->open(rest, migrate, &at->instance, what, what_bytes);
    if (result == NECPNET_OK) {
        desk_config config = {.queue_max = STORE_QUEUE_MAX, .work = store_work, .idle = store_idle, .user = at};
        result = desk_create(&config, &at->thread);
        if (result != NECPNET_OK) backend->close(at->instance);
    }
    if (result != NECPNET_OK) {
        free(at);
        return result;
    }
    *out_store = at;
    return NECPNET_OK;
}

necpnet_result store_back_up(const char* url, const char* file, store_copied* out_copied, char* what, size_t what_bytes)
{
    const char* rest = NULL;
    const store_backend* backend = store_find(url, &rest, what, what_bytes);
    if (backend && backend->back_up) return backend->back_up(rest, file, out_copied, what, what_bytes);
    if (backend) snprintf(what, what_bytes, "a %s store keeps nothing that could be backed up", backend->name);
    return NECPNET_ERR_UNSUPPORTED;
}

necpnet_result store_restore(const char* url, const char* file, store_copied* out_copied, char* what, size_t what_bytes)
{
    const char* rest = NULL;
    const store_backend* backend = store_find(url, &rest, what, what_bytes);
    if (backend && backend->restore) return backend->restore(rest, file, out_copied, what, what_bytes);
    if (backend)
        snprintf(what, what_bytes, "a %s store keeps nothing, so nothing can be restored to it", backend->name);
    return NECPNET_ERR_UNSUPPORTED;
}

void store_stop(store* at)
{
    desk_stop(at->thread);
}

void store_close(store* at)
{
    if (!at) return;
    desk_destroy(at->thread);
    at->backend->close(at->instance);
    free(at);
}

bool store_lasts(const store* at)
{
    return at->backend->lasts;
}

const char* store_name(const store* at)
{
    return at->backend->name;
}

void store_get_figures(store* at, desk_figures* out_figures)
{
    desk_get_figures(at->thread, out_figures);
}

bool store_migrations(store* at, text* out)
{
    return at->backend->migrations(at->instance, out);
}
