/* memory - a store that ends with the process: records in one sorted array. For development, tests and the minimal build. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define MEMORY_RECORDS_MAX 1000000u

/* A batch is undone from a list of what stood there before. */
typedef struct memory_undo {
    struct memory_undo* next;
    char* collection; /* of a record that was put where none was; else NULL and before is put back */
    char* id;
    store_record* before;
} memory_undo;

typedef struct memory_backend {
    store_record** records; /* by (collection, id) */
    size_t count;
    size_t room;
    memory_undo* undo;
} memory_backend;

static void memory_free(store_record* record)
{
    if (!record) return;
    free((void*)(uintptr_t)record->collection);
    free((void*)(uintptr_t)record->id);
    for (int i = 0; i < STORE_SUBJECTS_MAX; i++) free((void*)(uintptr_t)record->subjects[i]);
    free((void*)(uintptr_t)record->body);
    free(record);
}

static store_record* memory_copy(const store_record* from, uint64_t version)
{
    store_record* copy = calloc(1, sizeof(*copy));
    char* body = malloc(from->body_bytes + 1);
    bool whole = copy && body;
    if (!copy) {
        free(body);
        return NULL;
    }
    copy->body = body;
    copy->body_bytes = from->body_bytes;
    copy->expires_us = from->expires_us;
    copy->version = version;
    if (body && from->body_bytes) memcpy(body, from->body, from->body_bytes);
    copy->collection = text_copy(from->collection);
    copy->id = text_copy(from->id);
    whole = whole && copy->collection && copy->id;
    for (int i = 0; i < STORE_SUBJECTS_MAX && from->subjects[i]; i++) {
        copy->subjects[i] = text_copy(from->subjects[i]);
        whole = whole && copy->subjects[i];
    }
    if (whole) return copy;
    memory_free(copy);
    return NULL;
}

static int memory_compare(const store_record* record, const char* collection, const char* id)
{
    int order = strcmp(record->collection, collection);
    return order ? order : strcmp(record->id, id);
}

/* Where it is, or would be. */
static size_t memory_find(const memory_backend* at, const char* collection, const char* id, bool* out_found)
{
    size_t low = 0;
    size_t high = at->count;
    *out_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memory_compare(at->records[middle], collection, id);
        if (order == 0) {
            *out_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool memory_lives(const store_record* record, uint64_t now_us)
{
    return record->expires_us == 0 || record->expires_us > now_us;
}

static bool memory_names(const store_record* record, const char* subject)
{
    for (int i = 0; i < STORE_SUBJECTS_MAX && record->subjects[i]; i++) {
        if (strcmp(record->subjects[i], subject) == 0) return true;
    }
    return false;
}

/* ----------------------------------------------------------------------------------------------------- changes -- */

static void memory_take_out(memory_backend* at, size_t index)
{
    memmove(&at->records[index], &at->records[index + 1], (at->count - index - 1) * sizeof(at->records[0]));
    at->count--;
}

static bool memory_put_in(memory_backend* at, size_t index, store_record* record)
{
    if (at->count == at->room) {
        size_t room = at->room ? at->room * 2 : 64;
        store_record** grown =
            at->count < MEMORY_RECORDS_MAX ? realloc(at->records, room * sizeof(at->records[0])) : NULL;
        if (!grown) return false;
        at->records = grown;
        at->room = room;
    }
    memmove(&at->records[index + 1], &at->records[index], (at->count - index) * sizeof(at->records[0]));
    at->records[index] = record;
    at->count++;
    return true;
}

/* before: taken over; NULL: nothing stood at (collection, id). */
static bool memory_remember(memory_backend* at, const char* collection, const char* id, store_record* before)
{
    memory_undo* undo = calloc(1, sizeof(*undo));
    if (undo && !before) {
        undo->collection = text_copy(collection);
        undo->id = text_copy(id);
    }
    if (!undo || (!before && (!undo->collection || !undo->id))) {
        if (undo) free(undo->collection);
        free(undo);
        return false;
    }
    undo->before = before;
    undo->next = at->undo;
    at->undo = undo;
    return true;
}

/* Undoes what came behind a mark. */
static void memory_undo_to(memory_backend* at, const memory_undo* mark)
{
    while (at->undo != mark) {
        memory_undo* undo = at->undo;
        const char* collection = undo->before ? undo->before->collection : undo->collection;
        const char* id = undo->before ? undo->before->id : undo->id;
        bool found;
        size_t index = memory_find(at, collection, id, &found);
        if (found) {
            memory_free(at->records[index]);
            memory_take_out(at, index);
        }
        if (undo->before) (void)memory_put_in(at, index, undo->before); /* there was room before */
        at->undo = undo->next;
        free(undo->collection);
        free(undo->id);
        free(undo);
    }
}

static bool memory_remove_at(memory_backend* at, size_t index)
{
    if (!memory_remember(at, NULL, NULL, at->records[index])) return false;
    memory_take_out(at, index);
    return true;
}

static desk_result memory_write(memory_backend* at, const store_write* write, uint64_t now_us, uint64_t* out_version)
{
    bool found;
    size_t index = memory_find(at, write->record.collection, write->record.id, &found);
    store_record* before = found ? at->records[index] : NULL;
    bool there = before && memory_lives(before, now_us);
    if (write->expected != STORE_ANY && write->expected != (there ? before->version : 0)) return DESK_CONFLICT;
    if (write->remove) {
        if (!there) return DESK_NOT_FOUND;
        return memory_remove_at(at, index) ? DESK_OK : DESK_DOWN;
    }
    store_record* record = memory_copy(&write->record, there ? before->version + 1 : 1);
    if (!record) return DESK_DOWN;
    if (!memory_remember(at, record->collection, record->id, before)) {
        memory_free(record);
        return DESK_DOWN;
    }
    *out_version = record->version;
    if (before) {
        at->records[index] = record;
    } else if (!memory_put_in(at, index, record)) {
        memory_free(record);
        return DESK_DOWN;
    }
    return DESK_OK;
}

/* --------------------------------------------------------------------------------------------------------- run -- */

static desk_result memory_list(memory_backend* at, store_job* job)
{
    const store_query* query = &job->query;
    bool found = false;
    bool back = query->newest_first;
    const char* from = query->after ? query->after : back ? "\xff" : "";
    size_t begin = memory_find(at, query->collection, from, &found);
    size_t index = back ? begin : begin + (found ? 1 : 0);
    while (job->answer.count < query->limit) {
        if (back ? index == 0 : index == at->count) break;
        const store_record* record = at->records[back ? --index : index++];
        if (strcmp(record->collection, query->collection) != 0) break;
        if (!memory_lives(record, job->now_us) || (query->subject && !memory_names(record, query->subject))) continue;
        if (!store_answer_add(job, record)) return DESK_DOWN;
    }
    return DESK_OK;
}

static desk_result memory_naming(memory_backend* at, store_job* job)
{
    char place[STORE_COLLECTION_BYTES_MAX + STORE_ID_BYTES_MAX + 2];
    for (size_t i = 0; i < at->count && job->answer.count < job->query.limit; i++) {
        const store_record* record = at->records[i];
        snprintf(place, sizeof(place), "%s/%s", record->collection, record->id);
        if (job->query.after && strcmp(place, job->query.after) <= 0) continue;
        if (!memory_names(record, job->query.subject) || !memory_lives(record, job->now_us)) continue;
        if (!store_answer_add(job, record)) return DESK_DOWN;
    }
    return DESK_OK;
}

static desk_result memory_sweep(memory_backend* at, store_job* job)
{
    for (size_t i = 0; i < at->count;) {
        bool goes = job->query.kind == STORE_ERASE ? memory_names(at->records[i], job->query.subject)
                                                   : !memory_lives(at->records[i], job->now_us);
        if (!goes) {
            i++;
            continue;
        }
        if (!memory_remove_at(at, i)) return DESK_DOWN;
        job->answer.count++;
    }
    return DESK_OK;
}

static desk_result memory_get(memory_backend* at, store_job* job)
{
    bool found;
    size_t index = memory_find(at, job->query.collection, job->query.id, &found);
    if (!found || !memory_lives(at->records[index], job->now_us)) return DESK_NOT_FOUND;
    return store_answer_add(job, at->records[index]) ? DESK_OK : DESK_DOWN;
}

static void memory_run(void* backend, store_job* job)
{
    memory_backend* at = backend;
    const memory_undo* mark = at->undo;
    desk_result result = DESK_OK;
    for (uint32_t i = 0; i < job->write_count && result == DESK_OK; i++) {
        result = memory_write(at, &job->writes[i], job->now_us, &job->answer.version);
    }
    if (!job->writes) {
        switch (job->query.kind) {
        case STORE_GET: result = memory_get(at, job); break;
        case STORE_LIST: result = memory_list(at, job); break;
        case STORE_NAMING: result = memory_naming(at, job); break;
        case STORE_ERASE:
        case STORE_EXPIRE: result = memory_sweep(at, job); break;
        default: break;
        }
    }
    if (result != DESK_OK) memory_undo_to(at, mark);
    job->answer.result = result;
}

static bool memory_begin(void* backend)
{
    (void)backend;
    return true;
}

static bool memory_commit(void* backend)
{
    memory_backend* at = backend;
    while (at->undo) {
        memory_undo* undo = at->undo;
        at->undo = undo->next;
        memory_free(undo->before);
        free(undo->collection);
        free(undo->id);
        free(undo);
    }
    return true;
}

static void memory_roll_back(void* backend)
{
    memory_undo_to(backend, NULL);
}

static bool memory_purge(void* backend)
{
    (void)backend;
    return true;
}

static bool memory_migrations(void* backend, text* out)
{
    (void)backend;
    text_put(out, "the store in memory has no migrations\n");
    return true;
}

static necpnet_result memory_open(const char* url, bool migrate, void** out_backend, char* what, size_t what_bytes)
{
    (void)url;
    (void)migrate;
    snprintf(what, what_bytes, "out of memory");
    *out_backend = calloc(1, sizeof(memory_backend));
    return *out_backend ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

static void memory_close(void* backend)
{
    memory_backend* at = backend;
    (void)memory_commit(at);
    for (size_t i = 0; i < at->count; i++) memory_free(at->records[i]);
    free(at->records);
    free(at);
}

const store_backend store_memory = {.name = "memory",
                                    .open = memory_open,
                                    .close = memory_close,
                                    .begin = memory_begin,
                                    .commit = memory_commit,
                                    .roll_back = memory_roll_back,
                                    .run = memory_run,
                                    .purge = memory_purge,
                                    .migrations = memory_migrations};
