/* topics - publish and subscribe with history. */
#include "topics.h"

#include <stdlib.h>
#include <string.h>

#define TOPICS_SWEEP_AT_ONCE 64

/* Header of one block with both forms behind it. */
typedef struct topics_entry {
    uint64_t at_us;
    size_t text_bytes;
    size_t binary_bytes;
} topics_entry;

struct topics_subscription {
    topics_topic* topic;
    topics_subscriber* subscriber;
    uint64_t given; /* offset of the last message that it took */
    bool behind;
    bool renewed; /* not told yet */
    topics_subscription* next_of_topic;
    topics_subscription** link_of_topic;
    topics_subscription* next_of_subscriber;
    topics_subscription** link_of_subscriber;
};

struct topics_topic {
    topics_topic* hash_next;
    topics_topic* next; /* in the order of making */
    topics_topic* before;
    uint64_t hash;
    uint64_t epoch;
    uint64_t offset;        /* of the newest message */
    topics_entry** entries; /* ring: message o at (o & (room - 1)) */
    uint32_t room;          /* power of two, or 0 */
    uint32_t count;         /* in the history: offset - count + 1 .. offset */
    size_t bytes;           /* of the history */
    uint64_t used_us;       /* when something last happened */
    topics_subscription* first;
    uint32_t subscribers;
    char name[];
};

struct topics {
    topics_config config;
    topics_topic** heads;
    uint32_t heads_room; /* power of two */
    topics_topic* first;
    topics_topic* last;
    topics_topic* sweep_next;
    uint64_t random;
    topics_figures figures;
};

void topics_config_default(topics_config* config)
{
    *config = (topics_config){.topics_max = 65536,
                              .subscriptions_max = 256,
                              .history_messages = 1024,
                              .history_bytes = 1u << 20,
                              .history_total_bytes = UINT64_C(64) << 20,
                              .history_ms = 300000};
}

necpnet_result topics_create(const topics_config* config, topics** out_hub)
{
    topics* hub = calloc(1, sizeof(*hub));
    if (!hub) return NECPNET_ERR_OUT_OF_MEMORY;
    hub->config = *config;
    hub->random = config->seed;
    hub->heads_room = 64;
    hub->heads = calloc(hub->heads_room, sizeof(hub->heads[0]));
    if (!hub->heads) {
        free(hub);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    *out_hub = hub;
    return NECPNET_OK;
}

/* SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t topics_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static uint64_t topics_draw_epoch(topics* hub)
{
    hub->random = topics_mix(hub->random);
    return (hub->random >> 12) + 1; /* 52 bits: a JSON number keeps it, and it is never 0 */
}

static uint64_t topics_hash(const topics* hub, const char* name)
{
    uint64_t hash = hub->config.seed;
    for (; *name; name++) hash = topics_mix(hash ^ (uint8_t)*name);
    return hash;
}

bool topics_name_is_right(const char* name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:-";
    size_t bytes = 0;
    for (;;) {
        size_t word = strspn(name + bytes, letters);
        bytes += word;
        if (word == 0 || bytes > TOPICS_NAME_BYTES_MAX) return false;
        if (name[bytes] == 0) return true;
        if (name[bytes++] != '.') return false;
    }
}

topics_topic* topics_find(const topics* hub, const char* name)
{
    uint64_t hash = topics_hash(hub, name);
    topics_topic* topic = hub->heads[hash & (hub->heads_room - 1)];
    while (topic && (topic->hash != hash || strcmp(topic->name, name) != 0)) topic = topic->hash_next;
    return topic;
}

/* Twice as many chains; without memory the present ones grow longer. */
static void topics_widen(topics* hub)
{
    uint32_t room = hub->heads_room * 2;
    topics_topic** heads = calloc(room, sizeof(heads[0]));
    if (!heads) return;
    for (topics_topic* topic = hub->first; topic; topic = topic->next) {
        topics_topic** head = &heads[topic->hash & (room - 1)];
        topic->hash_next = *head;
        *head = topic;
    }
    free(hub->heads);
    hub->heads = heads;
    hub->heads_room = room;
}

necpnet_result topics_open(topics* hub, const char* name, topics_topic** out_topic)
{
    if (!topics_name_is_right(name)) return NECPNET_ERR_INVALID_ARGUMENT;
    *out_topic = topics_find(hub, name);
    if (*out_topic) return NECPNET_OK;
    if (hub->figures.topics >= hub->config.topics_max) return NECPNET_ERR_LIMIT_REACHED;
    topics_topic* topic = calloc(1, sizeof(*topic) + strlen(name) + 1);
    if (!topic) return NECPNET_ERR_OUT_OF_MEMORY;
    memcpy(topic->name, name, strlen(name) + 1);
    topic->hash = topics_hash(hub, name);
    topic->epoch = topics_draw_epoch(hub);
    if (hub->figures.topics >= hub->heads_room) topics_widen(hub);
    topics_topic** head = &hub->heads[topic->hash & (hub->heads_room - 1)];
    topic->hash_next = *head;
    *head = topic;
    topic->before = hub->last;
    if (hub->last) {
        hub->last->next = topic;
    } else {
        hub->first = topic;
    }
    hub->last = topic;
    hub->figures.topics++;
    *out_topic = topic;
    return NECPNET_OK;
}

topics_topic* topics_next(const topics* hub, const topics_topic* topic)
{
    return topic ? topic->next : hub->first;
}

const char* topics_name(const topics_topic* topic)
{
    return topic->name;
}

topics_position topics_get_position(const topics_topic* topic)
{
    return (topics_position){.epoch = topic->epoch, .offset = topic->offset};
}

uint32_t topics_subscribers(const topics_topic* topic)
{
    return topic->subscribers;
}

/* ----------------------------------------------------------------------------------------------------- history -- */

static topics_entry** topics_entry_at(const topics_topic* topic, uint64_t offset)
{
    return &topic->entries[offset & (topic->room - 1)];
}

static size_t topics_entry_bytes(const topics_entry* entry)
{
    return sizeof(*entry) + entry->text_bytes + entry->binary_bytes + 1;
}

static void topics_drop_oldest(topics* hub, topics_topic* topic)
{
    topics_entry* entry = *topics_entry_at(topic, topic->offset - topic->count + 1);
    size_t bytes = topics_entry_bytes(entry);
    topic->count--;
    topic->bytes -= bytes;
    hub->figures.history_messages--;
    hub->figures.history_bytes -= bytes;
    free(entry);
}

/* Before a message of these bytes is put in. It may be too large to stay: then it is alone. */
static void topics_make_room(topics* hub, topics_topic* topic, size_t bytes, uint64_t now_us)
{
    uint64_t oldest_us = now_us - (uint64_t)hub->config.history_ms * 1000u;
    while (topic->count) {
        const topics_entry* oldest = *topics_entry_at(topic, topic->offset - topic->count + 1);
        bool too_old = now_us > (uint64_t)hub->config.history_ms * 1000u && oldest->at_us < oldest_us;
        if (!too_old && topic->count < hub->config.history_messages &&
            topic->bytes + bytes <= hub->config.history_bytes &&
            hub->figures.history_bytes + bytes <= hub->config.history_total_bytes) {
            return;
        }
        topics_drop_oldest(hub, topic);
    }
}

/* The ring has a place for one more. */
static bool topics_widen_history(topics_topic* topic)
{
    if (topic->count < topic->room) return true;
    uint32_t room = topic->room ? topic->room * 2 : 4;
    topics_entry** entries = malloc(room * sizeof(entries[0]));
    if (!entries) return false;
    for (uint32_t i = 0; i < topic->count; i++) {
        uint64_t offset = topic->offset - i;
        entries[offset & (room - 1)] = *topics_entry_at(topic, offset);
    }
    free(topic->entries);
    topic->entries = entries;
    topic->room = room;
    return true;
}

static topics_message topics_view(const topics_topic* topic, uint64_t offset)
{
    const topics_entry* entry = *topics_entry_at(topic, offset);
    const char* text = (const char*)(entry + 1);
    return (topics_message){.offset = offset,
                            .text = text,
                            .text_bytes = entry->text_bytes,
                            .binary = text + entry->text_bytes + 1,
                            .binary_bytes = entry->binary_bytes};
}

uint64_t topics_oldest(const topics_topic* topic)
{
    return topic->offset - topic->count + 1;
}

bool topics_read(const topics_topic* topic, uint64_t offset, topics_message* out_message)
{
    if (topic->count == 0 || offset < topics_oldest(topic) || offset > topic->offset) return false;
    *out_message = topics_view(topic, offset);
    return true;
}

void topics_touch(topics_topic* topic, uint64_t now_us)
{
    topic->used_us = now_us;
}

/* --------------------------------------------------------------------------------------------------- delivering -- */

static void topics_set_behind(topics* hub, topics_subscription* at, bool behind)
{
    if (at->behind == behind) return;
    at->behind = behind;
    if (behind) {
        at->subscriber->behind++;
        hub->figures.fell_behind++;
    } else {
        at->subscriber->behind--;
    }
}

/* As much as it takes of what it lacks. */
static void topics_serve(topics* hub, topics_subscription* at)
{
    const topics_topic* topic = at->topic;
    if (at->renewed && hub->config.renew &&
        hub->config.renew(at->subscriber, topic, at->given, hub->config.user) == TOPICS_FULL) {
        topics_set_behind(hub, at, true);
        return;
    }
    at->renewed = false;
    while (at->given < topic->offset) {
        uint64_t oldest = topic->offset - topic->count + 1;
        if (at->given + 1 < oldest) {
            if (hub->config.gap(at->subscriber, topic, at->given + 1, oldest - 1, hub->config.user) == TOPICS_FULL) {
                topics_set_behind(hub, at, true);
                return;
            }
            hub->figures.lost += oldest - 1 - at->given;
            at->given = oldest - 1;
            continue;
        }
        topics_message message = topics_view(topic, at->given + 1);
        if (hub->config.deliver(at->subscriber, topic, &message, hub->config.user) == TOPICS_FULL) {
            topics_set_behind(hub, at, true);
            return;
        }
        at->given++;
        hub->figures.delivered++;
        hub->figures.recovered += at->given < topic->offset || at->behind;
    }
    topics_set_behind(hub, at, false);
}

necpnet_result topics_publish(topics* hub, topics_topic* topic, const topics_message* message, uint64_t now_us)
{
    size_t bytes = sizeof(topics_entry) + message->text_bytes + message->binary_bytes + 1;
    topics_entry* entry = malloc(bytes);
    if (!entry) return NECPNET_ERR_OUT_OF_MEMORY;
    topics_make_room(hub, topic, bytes, now_us);
    if (!topics_widen_history(topic)) {
        free(entry);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    *entry = (topics_entry){.at_us = now_us, .text_bytes = message->text_bytes, .binary_bytes = message->binary_bytes};
    char* text = (char*)(entry + 1);
    if (message->text_bytes) memcpy(text, message->text, message->text_bytes);
    text[message->text_bytes] = 0;
    if (message->binary_bytes) memcpy(text + message->text_bytes + 1, message->binary, message->binary_bytes);
    topic->offset++;
    topic->count++;
    topic->bytes += bytes;
    topic->used_us = now_us;
    *topics_entry_at(topic, topic->offset) = entry;
    hub->figures.published++;
    hub->figures.history_messages++;
    hub->figures.history_bytes += bytes;
    for (topics_subscription* at = topic->first; at; at = at->next_of_topic) {
        if (!at->behind) topics_serve(hub, at);
    }
    return NECPNET_OK;
}

void topics_restart(topics* hub, topics_topic* topic, uint64_t epoch, uint64_t offset)
{
    while (topic->count) topics_drop_oldest(hub, topic);
    topic->epoch = epoch ? epoch : topics_draw_epoch(hub);
    topic->offset = offset;
    for (topics_subscription* at = topic->first; at; at = at->next_of_topic) {
        at->given = offset;
        at->renewed = true;
        if (!at->behind) topics_serve(hub, at);
    }
}

void topics_skip(topics* hub, topics_topic* topic, uint64_t offset)
{
    while (topic->count) topics_drop_oldest(hub, topic);
    topic->offset = offset;
    for (topics_subscription* at = topic->first; at; at = at->next_of_topic) {
        if (!at->behind) topics_serve(hub, at);
    }
}

bool topics_catch_up(topics* hub, topics_subscriber* subscriber)
{
    for (topics_subscription* at = subscriber->first; at && subscriber->behind; at = at->next_of_subscriber) {
        if (!at->behind) continue;
        topics_serve(hub, at);
        if (at->behind) return false;
    }
    return subscriber->behind == 0;
}

/* ------------------------------------------------------------------------------------------------- subscriptions -- */

static topics_subscription* topics_find_subscription(const topics_topic* topic, const topics_subscriber* subscriber)
{
    topics_subscription* at = subscriber->first;
    while (at && at->topic != topic) at = at->next_of_subscriber;
    return at;
}

bool topics_is_subscribed(const topics_topic* topic, const topics_subscriber* subscriber)
{
    return topics_find_subscription(topic, subscriber) != NULL;
}

/* Where a subscription begins. Returns whether nothing is missing. */
static bool topics_begin_at(topics_subscription* at, const topics_position* since)
{
    const topics_topic* topic = at->topic;
    at->given = topic->offset;
    at->renewed = false;
    if (!since) return true;
    if (since->epoch != topic->epoch || since->offset > topic->offset) return false;
    at->given = since->offset;
    return since->offset >= topic->offset - topic->count;
}

necpnet_result topics_subscribe(topics* hub, topics_topic* topic, topics_subscriber* subscriber,
                                const topics_position* since, uint64_t now_us, bool* out_recovered)
{
    if (topics_find_subscription(topic, subscriber)) return NECPNET_ERR_ALREADY_EXISTS;
    if (subscriber->count >= hub->config.subscriptions_max) return NECPNET_ERR_LIMIT_REACHED;
    topics_subscription* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->topic = topic;
    at->subscriber = subscriber;
    at->next_of_topic = topic->first;
    at->link_of_topic = &topic->first;
    if (topic->first) topic->first->link_of_topic = &at->next_of_topic;
    topic->first = at;
    at->next_of_subscriber = subscriber->first;
    at->link_of_subscriber = &subscriber->first;
    if (subscriber->first) subscriber->first->link_of_subscriber = &at->next_of_subscriber;
    subscriber->first = at;
    subscriber->count++;
    topic->subscribers++;
    topic->used_us = now_us;
    hub->figures.subscriptions++;
    *out_recovered = topics_begin_at(at, since);
    topics_serve(hub, at);
    return NECPNET_OK;
}

bool topics_rewind(topics* hub, topics_topic* topic, topics_subscriber* subscriber, const topics_position* since,
                   uint64_t now_us)
{
    topics_subscription* at = topics_find_subscription(topic, subscriber);
    if (!at) return false;
    topic->used_us = now_us;
    bool recovered = topics_begin_at(at, since);
    topics_serve(hub, at);
    return recovered;
}

static void topics_end_subscription(topics* hub, topics_subscription* at)
{
    topics_set_behind(hub, at, false);
    *at->link_of_topic = at->next_of_topic;
    if (at->next_of_topic) at->next_of_topic->link_of_topic = at->link_of_topic;
    *at->link_of_subscriber = at->next_of_subscriber;
    if (at->next_of_subscriber) at->next_of_subscriber->link_of_subscriber = at->link_of_subscriber;
    at->topic->subscribers--;
    at->subscriber->count--;
    hub->figures.subscriptions--;
    free(at);
}

bool topics_unsubscribe(topics* hub, const topics_topic* topic, topics_subscriber* subscriber)
{
    topics_subscription* at = topics_find_subscription(topic, subscriber);
    if (at) topics_end_subscription(hub, at);
    return at != NULL;
}

void topics_unsubscribe_all(topics* hub, topics_subscriber* subscriber)
{
    while (subscriber->first) topics_end_subscription(hub, subscriber->first);
}

void topics_each(const topics_subscriber* subscriber,
                 bool (*visit)(const topics_topic* topic, uint64_t offset, void* user), void* user)
{
    for (const topics_subscription* at = subscriber->first; at; at = at->next_of_subscriber) {
        if (!visit(at->topic, at->given, user)) return;
    }
}

/* -------------------------------------------------------------------------------------------------------- ending -- */

static void topics_end_topic(topics* hub, topics_topic* topic)
{
    if (hub->config.end) hub->config.end(topic, hub->config.user);
    topics_topic** link = &hub->heads[topic->hash & (hub->heads_room - 1)];
    while (*link != topic) link = &(*link)->hash_next;
    *link = topic->hash_next;
    if (topic->before) {
        topic->before->next = topic->next;
    } else {
        hub->first = topic->next;
    }
    if (topic->next) {
        topic->next->before = topic->before;
    } else {
        hub->last = topic->before;
    }
    if (hub->sweep_next == topic) hub->sweep_next = topic->next;
    while (topic->count) topics_drop_oldest(hub, topic);
    while (topic->first) topics_end_subscription(hub, topic->first);
    free(topic->entries);
    free(topic);
    hub->figures.topics--;
}

void topics_close(topics* hub, topics_topic* topic)
{
    topics_end_topic(hub, topic);
}

void topics_sweep(topics* hub, uint64_t now_us)
{
    uint64_t life_us = (uint64_t)hub->config.history_ms * 1000u;
    if (!hub->sweep_next) hub->sweep_next = hub->first;
    for (int i = 0; i < TOPICS_SWEEP_AT_ONCE && hub->sweep_next; i++) {
        topics_topic* topic = hub->sweep_next;
        hub->sweep_next = topic->next;
        while (topic->count && now_us > life_us) {
            const topics_entry* oldest = *topics_entry_at(topic, topic->offset - topic->count + 1);
            if (oldest->at_us >= now_us - life_us) break;
            topics_drop_oldest(hub, topic);
        }
        if (!topic->first && topic->count == 0 && now_us > life_us && topic->used_us < now_us - life_us) {
            topics_end_topic(hub, topic);
        }
    }
}

void topics_destroy(topics* hub)
{
    if (!hub) return;
    while (hub->first) topics_end_topic(hub, hub->first);
    free(hub->heads);
    free(hub);
}

void topics_get_figures(const topics* hub, topics_figures* out_figures)
{
    *out_figures = hub->figures;
}
