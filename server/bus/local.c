/* local - the bus inside one process: a queue a subscription, a message stored once for all of them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"

typedef struct local_message {
    int holders; /* under the bus' lock */
    size_t bytes;
    char* topic;
    uint8_t data[];
} local_message;

typedef struct local_entry {
    struct local_entry* next;
    local_message* message;
} local_entry;

typedef struct local_bus {
    pthread_mutex_t lock;
    bus_subscription* first;
    bus_figures figures;
} local_bus;

struct bus_subscription {
    bus_subscription* next;
    local_bus* owner;
    necpnet_loop* loop;
    bus_handler handler;
    void* user;
    local_entry* entries;
    local_entry** end;
    uint32_t count;
    size_t bytes;
    bool posted; /* local_on_loop will be called */
    bool dead;   /* unsubscribed while posted: local_on_loop frees it */
    char pattern[BUS_TOPIC_BYTES_MAX + 1];
};

/* Under the lock. */
static void local_let_go(local_message* message)
{
    if (--message->holders > 0) return;
    free(message->topic);
    free(message);
}

static void local_free_entries(local_entry* entries)
{
    while (entries) {
        local_entry* next = entries->next;
        local_let_go(entries->message);
        free(entries);
        entries = next;
    }
}

/* All that had come when it began; what comes meanwhile posts again. */
static void local_on_loop(void* user)
{
    bus_subscription* to = user;
    local_bus* at = to->owner;
    pthread_mutex_lock(&at->lock);
    local_entry* entries = to->entries;
    to->entries = NULL;
    to->end = &to->entries;
    to->count = 0;
    to->bytes = 0;
    while (entries && !to->dead) {
        local_message* message = entries->message;
        pthread_mutex_unlock(&at->lock);
        to->handler(message->topic, message->data, message->bytes, to->user);
        pthread_mutex_lock(&at->lock);
        local_entry* done = entries;
        entries = entries->next;
        at->figures.delivered++;
        local_let_go(message);
        free(done);
    }
    local_free_entries(entries);
    to->posted = false;
    bool dead = to->dead;
    if (dead) local_free_entries(to->entries);
    if (!dead && to->entries) to->posted = necpnet_loop_post(to->loop, local_on_loop, to) == NECPNET_OK;
    pthread_mutex_unlock(&at->lock);
    if (dead) free(to);
}

/* Under the lock. */
static void local_deliver(local_bus* at, bus_subscription* to, local_message* message)
{
    local_entry* entry = NULL;
    if (to->count < BUS_QUEUE_MAX && to->bytes + message->bytes <= BUS_QUEUE_BYTES_MAX) entry = malloc(sizeof(*entry));
    if (!entry) {
        at->figures.dropped++;
        return;
    }
    *entry = (local_entry){.message = message};
    message->holders++;
    *to->end = entry;
    to->end = &entry->next;
    to->count++;
    to->bytes += message->bytes;
    /* A loop without room for a post: the next message tries again. */
    if (!to->posted) to->posted = necpnet_loop_post(to->loop, local_on_loop, to) == NECPNET_OK;
}

static necpnet_result local_publish(void* backend, const char* topic, const void* data, size_t bytes)
{
    local_bus* at = backend;
    local_message* message = malloc(sizeof(*message) + bytes);
    size_t topic_bytes = strlen(topic) + 1;
    if (!message) return NECPNET_ERR_OUT_OF_MEMORY;
    *message = (local_message){.holders = 1, .bytes = bytes, .topic = malloc(topic_bytes)};
    if (!message->topic) {
        free(message);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    memcpy(message->topic, topic, topic_bytes);
    if (bytes) memcpy(message->data, data, bytes);
    pthread_mutex_lock(&at->lock);
    at->figures.published++;
    for (bus_subscription* to = at->first; to; to = to->next) {
        if (bus_matches(to->pattern, topic)) local_deliver(at, to, message);
    }
    local_let_go(message);
    pthread_mutex_unlock(&at->lock);
    return NECPNET_OK;
}

static necpnet_result local_subscribe(void* backend, const char* pattern, necpnet_loop* loop, bus_handler handler,
                                      void* user, bus_subscription** out_subscription)
{
    local_bus* at = backend;
    bus_subscription* made = calloc(1, sizeof(*made));
    if (!made) return NECPNET_ERR_OUT_OF_MEMORY;
    made->owner = at;
    made->loop = loop;
    made->handler = handler;
    made->user = user;
    made->end = &made->entries;
    memcpy(made->pattern, pattern, strlen(pattern) + 1);
    pthread_mutex_lock(&at->lock);
    made->next = at->first;
    at->first = made;
    at->figures.subscriptions++;
    pthread_mutex_unlock(&at->lock);
    *out_subscription = made;
    return NECPNET_OK;
}

static void local_unsubscribe(void* backend, bus_subscription* subscription)
{
    local_bus* at = backend;
    pthread_mutex_lock(&at->lock);
    for (bus_subscription** link = &at->first; *link; link = &(*link)->next) {
        if (*link != subscription) continue;
        *link = subscription->next;
        at->figures.subscriptions--;
        break;
    }
    subscription->dead = true;
    bool posted = subscription->posted;
    if (!posted) local_free_entries(subscription->entries);
    pthread_mutex_unlock(&at->lock);
    if (!posted) free(subscription);
}

static void local_get_figures(void* backend, bus_figures* out_figures)
{
    local_bus* at = backend;
    pthread_mutex_lock(&at->lock);
    *out_figures = at->figures;
    pthread_mutex_unlock(&at->lock);
}

static bool local_is_up(void* backend)
{
    (void)backend;
    return true;
}

static necpnet_result local_open(const char* url, void** out_backend)
{
    (void)url;
    local_bus* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    pthread_mutex_init(&at->lock, NULL);
    *out_backend = at;
    return NECPNET_OK;
}

static void local_close(void* backend)
{
    local_bus* at = backend;
    pthread_mutex_destroy(&at->lock);
    free(at);
}

const bus_backend bus_local = {.name = "local",
                               .open = local_open,
                               .close = local_close,
                               .publish = local_publish,
                               .subscribe = local_subscribe,
                               .unsubscribe = local_unsubscribe,
                               .get_figures = local_get_figures,
                               .is_up = local_is_up};
