/* memory - the cache in this process: a hash table that grows, with chains. */
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "tokens.h"

#define MEMORY_BYTES_MAX ((size_t)256 << 20) /* of keys and values; beyond it what comes is refused */
#define MEMORY_SWEEP 4096                    /* buckets a second that are looked at for what has expired */

typedef struct memory_entry {
    struct memory_entry* next;
    uint64_t hash;
    uint64_t expires_us;
    size_t bytes;
    int64_t number;
    bool counts; /* number, else value */
    char* key;
    uint8_t* value;
} memory_entry;

typedef struct memory_cache {
    memory_entry** buckets;
    size_t bucket_count; /* power of two */
    size_t entry_count;
    size_t bytes;
    size_t swept;
    uint64_t seed;
} memory_cache;

static uint64_t memory_hash(const memory_cache* at, const char* key)
{
    uint64_t hash = at->seed ^ 14695981039346656037u; /* FNV-1a, begun with a secret */
    for (; *key; key++) hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash ^ hash >> 32;
}

static void memory_drop(memory_cache* at, memory_entry** link)
{
    memory_entry* entry = *link;
    *link = entry->next;
    at->entry_count--;
    at->bytes -= strlen(entry->key) + entry->bytes + sizeof(*entry);
    free(entry->key);
    free(entry->value);
    free(entry);
}

/* The link to the living entry of a key, or NULL; one that has expired is dropped. */
static memory_entry** memory_find(memory_cache* at, const char* key, uint64_t now_us)
{
    uint64_t hash = memory_hash(at, key);
    for (memory_entry** link = &at->buckets[hash & (at->bucket_count - 1)]; *link; link = &(*link)->next) {
        if ((*link)->hash != hash || strcmp((*link)->key, key) != 0) continue;
        if ((*link)->expires_us > now_us) return link;
        memory_drop(at, link);
        return NULL;
    }
    return NULL;
}

static void memory_grow(memory_cache* at)
{
    size_t count = at->bucket_count * 2;
    memory_entry** buckets = calloc(count, sizeof(*buckets));
    if (!buckets) return;
    for (size_t i = 0; i < at->bucket_count; i++) {
        while (at->buckets[i]) {
            memory_entry* entry = at->buckets[i];
            at->buckets[i] = entry->next;
            entry->next = buckets[entry->hash & (count - 1)];
            buckets[entry->hash & (count - 1)] = entry;
        }
    }
    free(at->buckets);
    at->buckets = buckets;
    at->bucket_count = count;
}

static memory_entry* memory_insert(memory_cache* at, const cache_query* query, uint64_t now_us)
{
    size_t cost = strlen(query->key) + query->bytes + sizeof(memory_entry);
    memory_entry* entry = at->bytes + cost <= MEMORY_BYTES_MAX ? calloc(1, sizeof(*entry)) : NULL;
    if (!entry) return NULL;
    entry->key = malloc(strlen(query->key) + 1);
    entry->value = malloc(query->bytes + 1);
    if (!entry->key || !entry->value) {
        free(entry->key);
        free(entry->value);
        free(entry);
        return NULL;
    }
    memcpy(entry->key, query->key, strlen(query->key) + 1);
    if (query->bytes) memcpy(entry->value, query->value, query->bytes);
    entry->bytes = query->bytes;
    entry->hash = memory_hash(at, query->key);
    entry->expires_us = now_us + (uint64_t)query->ttl_ms * 1000u;
    if (at->entry_count >= at->bucket_count) memory_grow(at);
    memory_entry** bucket = &at->buckets[entry->hash & (at->bucket_count - 1)];
    entry->next = *bucket;
    *bucket = entry;
    at->entry_count++;
    at->bytes += cost;
    return entry;
}

static void memory_get(memory_entry* entry, cache_answer* answer)
{
    answer->result = DESK_NOT_FOUND;
    if (!entry || entry->counts) return;
    answer->value = calloc(1, entry->bytes + 1);
    answer->result = answer->value ? DESK_OK : DESK_DOWN;
    if (!answer->value) return;
    memcpy(answer->value, entry->value, entry->bytes);
    answer->bytes = entry->bytes;
}

static void memory_count(memory_cache* at, memory_entry* entry, const cache_query* query, uint64_t now_us,
                         cache_answer* answer)
{
    cache_query fresh = {.kind = CACHE_COUNT, .key = query->key, .ttl_ms = query->ttl_ms};
    if (!entry) {
        entry = memory_insert(at, &fresh, now_us);
        if (entry) entry->counts = true;
    }
    answer->result = !entry ? DESK_DOWN : entry->counts ? DESK_OK : DESK_CONFLICT;
    if (answer->result != DESK_OK) return;
    bool fits =
        query->amount >= 0 ? entry->number <= INT64_MAX - query->amount : entry->number >= INT64_MIN - query->amount;
    if (fits) entry->number += query->amount;
    answer->sum = entry->number;
}

static void memory_run(void* backend, cache_job* job)
{
    memory_cache* at = backend;
    const cache_query* query = &job->query;
    cache_answer* answer = &job->answer;
    if (query->kind == CACHE_PING) return;
    memory_entry** link = memory_find(at, query->key, job->now_us);
    switch (query->kind) {
    case CACHE_GET: memory_get(link ? *link : NULL, answer); break;
    case CACHE_COUNT: memory_count(at, link ? *link : NULL, query, job->now_us, answer); break;
    case CACHE_REMOVE:
        answer->result = link ? DESK_OK : DESK_NOT_FOUND;
        if (link) memory_drop(at, link);
        break;
    case CACHE_ADD:
    case CACHE_SET:
        answer->result = DESK_CONFLICT;
        if (link && query->kind == CACHE_ADD) break;
        if (link) memory_drop(at, link);
        answer->result = memory_insert(at, query, job->now_us) ? DESK_OK : DESK_DOWN;
        break;
    default: answer->result = DESK_INVALID; break;
    }
}

static void memory_idle(void* backend, uint64_t now_us)
{
    memory_cache* at = backend;
    for (size_t i = 0; i < MEMORY_SWEEP && i < at->bucket_count; i++) {
        memory_entry** link = &at->buckets[at->swept++ & (at->bucket_count - 1)];
        while (*link) {
            if ((*link)->expires_us > now_us) {
                link = &(*link)->next;
            } else {
                memory_drop(at, link);
            }
        }
    }
}

static necpnet_result memory_open(const char* url, void** out_backend)
{
    (void)url;
    memory_cache* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->bucket_count = 256;
    at->buckets = calloc(at->bucket_count, sizeof(*at->buckets));
    if (!at->buckets || !tokens_random(&at->seed, sizeof(at->seed))) {
        free(at->buckets);
        free(at);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    *out_backend = at;
    return NECPNET_OK;
}

static void memory_close(void* backend)
{
    memory_cache* at = backend;
    for (size_t i = 0; i < at->bucket_count; i++) {
        while (at->buckets[i]) memory_drop(at, &at->buckets[i]);
    }
    free(at->buckets);
    free(at);
}

const cache_backend cache_memory = {
    .name = "memory", .open = memory_open, .close = memory_close, .run = memory_run, .idle = memory_idle};
