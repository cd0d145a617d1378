/* rate_limits - token buckets in a table of fixed size. */
#include "rate_limits.h"

#include <pthread.h>
#include <stdlib.h>

#include "tokens.h"

#define LIMITS_AUDIT_RATE 10

typedef struct limit_bucket {
    uint64_t key; /* 0: free */
    uint64_t at_us;
    int64_t milli; /* thousandths of a request that are left */
} limit_bucket;

struct limits {
    pthread_mutex_t lock;
    uint64_t seed;
    uint64_t refused;
    int64_t rates[LIMIT_CLASSES]; /* requests a second */
    limit_bucket buckets[LIMITS_BUCKETS];
};

static const char* const limit_names[LIMIT_CLASSES] = {"none", "health", "read", "write", "token", "admin", "audit"};

const char* limits_class_name(limit_class class_)
{
    return limit_names[class_];
}

necpnet_result limits_create(const config* settings, limits** out_limits)
{
    limits* table = calloc(1, sizeof(*table));
    if (!table) return NECPNET_ERR_OUT_OF_MEMORY;
    if (!tokens_random(&table->seed, sizeof(table->seed))) {
        free(table);
        return NECPNET_ERR_NO_ENTROPY;
    }
    table->rates[LIMIT_HEALTH] = settings->rate_health;
    table->rates[LIMIT_READ] = settings->rate_read;
    table->rates[LIMIT_WRITE] = settings->rate_write;
    table->rates[LIMIT_TOKEN] = settings->rate_token;
    table->rates[LIMIT_ADMIN] = settings->rate_admin;
    table->rates[LIMIT_AUDIT] = LIMITS_AUDIT_RATE;
    pthread_mutex_init(&table->lock, NULL);
    *out_limits = table;
    return NECPNET_OK;
}

void limits_destroy(limits* table)
{
    if (!table) return;
    pthread_mutex_destroy(&table->lock);
    free(table);
}

/* FNV-1a, then mixed (splitmix64), begun with a secret so that nobody aims at another's bucket. Never 0. */
static uint64_t limit_key(const limits* table, limit_class class_, const char* caller)
{
    uint64_t hash = (table->seed ^ 14695981039346656037u) + (uint64_t)class_;
    for (; *caller; caller++) hash = (hash ^ (unsigned char)*caller) * 1099511628211u;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    hash ^= hash >> 31;
    return hash ? hash : 1;
}

static limit_bucket* limit_find(limits* table, uint64_t key, int64_t full, uint64_t now_us)
{
    limit_bucket* oldest = NULL;
    for (uint64_t i = 0; i < LIMITS_PROBES; i++) {
        limit_bucket* bucket = &table->buckets[(key + i) & (LIMITS_BUCKETS - 1)];
        if (bucket->key == key) return bucket;
        if (!oldest || bucket->at_us < oldest->at_us) oldest = bucket;
    }
    *oldest = (limit_bucket){.key = key, .at_us = now_us, .milli = full};
    return oldest;
}

uint32_t limits_take(limits* table, limit_class class_, const char* caller, uint64_t now_us)
{
    int64_t rate = table->rates[class_]; /* thousandths of a request a millisecond */
    if (class_ == LIMIT_NONE || rate == 0) return 0;
    int64_t full = rate * 1000 * LIMITS_BURST_S;
    uint64_t key = limit_key(table, class_, caller);
    uint32_t wait_s = 0;
    pthread_mutex_lock(&table->lock);
    limit_bucket* bucket = limit_find(table, key, full, now_us);
    uint64_t passed_ms = now_us > bucket->at_us ? (now_us - bucket->at_us) / 1000u : 0;
    if (passed_ms >= LIMITS_BURST_S * 1000u) {
        bucket->milli = full;
        bucket->at_us = now_us;
    } else {
        bucket->milli += (int64_t)passed_ms * rate;
        bucket->at_us += passed_ms * 1000u;
        if (bucket->milli > full) bucket->milli = full;
    }
    if (bucket->milli >= 1000) {
        bucket->milli -= 1000;
    } else {
        if (class_ != LIMIT_AUDIT) table->refused++;
        wait_s = (uint32_t)((1000 - bucket->milli) / (rate * 1000)) + 1;
    }
    pthread_mutex_unlock(&table->lock);
    return wait_s;
}

uint64_t limits_refused(limits* table)
{
    pthread_mutex_lock(&table->lock);
    uint64_t refused = table->refused;
    pthread_mutex_unlock(&table->lock);
    return refused;
}
