/* topics.h - publish and subscribe with history: a machine without network and clock, for one thread.
 *
 * A topic counts its messages from 1; an epoch says which counting it is. Each message is held once, in the history, and given to
 * subscribers as it lies there. A subscriber whose way out is full falls behind and goes on from the history when there is room;
 * one that comes back says what it has (epoch and offset) and gets what it lacks. What the history no longer holds is
 * told as a gap, never left out silently.
 */
#ifndef SERVER_TOPICS_H
#define SERVER_TOPICS_H

#include "necpnet.h"

#define TOPICS_NAME_BYTES_MAX 127

typedef struct topics topics;
typedef struct topics_topic topics_topic;
typedef struct topics_subscription topics_subscription;

/* One message in its two forms; either may be empty. A view for subscribers. */
typedef struct topics_message {
    uint64_t offset;
    const char* text; /* for JSON-RPC clients: the whole notification */
    size_t text_bytes;
    const void* binary; /* for binary clients: the whole payload */
    size_t binary_bytes;
} topics_message;

/* Embedded in whoever subscribes; zeroed at first. */
typedef struct topics_subscriber {
    topics_subscription* first;
    uint32_t count;
    uint32_t behind; /* how many of them are */
} topics_subscriber;

typedef enum topics_taken {
    TOPICS_TAKEN,
    TOPICS_FULL /* not now: topics_catch_up when there is room again */
} topics_taken;

typedef struct topics_config {
    uint32_t topics_max;          /* 65,536 */
    uint32_t subscriptions_max;   /* of one subscriber: 256 */
    uint32_t history_messages;    /* of one topic: 1,024 */
    uint32_t history_bytes;       /* of one topic: 1 MB */
    uint64_t history_total_bytes; /* of all: 64 MB; beyond it the topic that grows loses its own oldest */
    uint32_t history_ms;          /* a message's life there: 300,000 */
    uint64_t seed;                /* random: epochs, and the table of names */
    /* Hands a message over. Must not change subscriptions. */
    topics_taken (*deliver)(topics_subscriber* subscriber, const topics_topic* topic, const topics_message* message,
                            void* user);
    /* Messages from .. to (both included) are lost to a subscriber. FULL: asked again by topics_catch_up. */
    topics_taken (*gap)(topics_subscriber* subscriber, const topics_topic* topic, uint64_t from, uint64_t to,
                        void* user);
    /* The counting of a topic began anew (topics_restart): what comes next has an offset of its present epoch. NULL: nobody
     * is told. FULL: asked again. */
    topics_taken (*renew)(topics_subscriber* subscriber, const topics_topic* topic, uint64_t offset, void* user);
    /* A topic is about to be forgotten; NULL: nobody wants to know. */
    void (*end)(const topics_topic* topic, void* user);
    void* user;
} topics_config;

typedef struct topics_position {
    uint64_t epoch;  /* 0: none */
    uint64_t offset; /* of the newest message; 0 before the first */
} topics_position;

typedef struct topics_figures {
    uint32_t topics;
    uint32_t subscriptions;
    uint64_t published;
    uint64_t delivered;
    uint64_t recovered; /* delivered late, from the history */
    uint64_t fell_behind;
    uint64_t lost; /* messages told as a gap, one a subscriber */
    uint64_t history_messages;
    uint64_t history_bytes;
} topics_figures;

void topics_config_default(topics_config* config);

/* topics_create - no topic yet.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY */
necpnet_result topics_create(const topics_config* config, topics** out_hub);
void topics_destroy(topics* hub);

/* topics_name_is_right - 1 .. TOPICS_NAME_BYTES_MAX of letters, digits, _ - : and words with dots between them. */
bool topics_name_is_right(const char* name);

/* topics_open - a topic by its name, made if there is none.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (name) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
necpnet_result topics_open(topics* hub, const char* name, topics_topic** out_topic);

/* topics_find - NULL: there is none. */
topics_topic* topics_find(const topics* hub, const char* name);

/* topics_next - walk; NULL for the first, NULL after the last. In the order of making. */
topics_topic* topics_next(const topics* hub, const topics_topic* topic);

const char* topics_name(const topics_topic* topic);
topics_position topics_get_position(const topics_topic* topic);
uint32_t topics_subscribers(const topics_topic* topic);

/* topics_publish - the next message, offset topics_get_position().offset + 1, to all subscribers. Both forms are copied.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY (nothing was published) */
necpnet_result topics_publish(topics* hub, topics_topic* topic, const topics_message* message, uint64_t now_us);

/* topics_oldest - the offset of the oldest message of the history; one more than the newest where it is empty. */
uint64_t topics_oldest(const topics_topic* topic);

/* topics_read - a message of the history. False: it is not there. */
bool topics_read(const topics_topic* topic, uint64_t offset, topics_message* out_message);

/* topics_restart - another counting: the history is dropped, the next message is offset + 1 of this epoch (0: one drawn at random).
 * Whoever is subscribed is told by renew, and goes on from there. */
void topics_restart(topics* hub, topics_topic* topic, uint64_t epoch, uint64_t offset);

/* topics_skip - messages up to offset are not here: the history is dropped, subscribers are told of the gap. */
void topics_skip(topics* hub, topics_topic* topic, uint64_t offset);

/* topics_touch - somebody needs the topic: it is not forgotten for history_ms. */
void topics_touch(topics_topic* topic, uint64_t now_us);

/* topics_close - forgets a topic, with its subscriptions. */
void topics_close(topics* hub, topics_topic* topic);

/* topics_subscribe - from now on, or from what the subscriber has.
 *
 *   since          NULL: from now on. Else the position of what it has; what came after is delivered at once.
 *   out_recovered  since given: whether nothing is missing. False: another epoch, or the history is too short: it then
 *                  gets what is there, after a gap where the epoch is the same; it gets nothing old of another epoch.
 *
 * Returns  OK | ERR_ALREADY_EXISTS | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
necpnet_result topics_subscribe(topics* hub, topics_topic* topic, topics_subscriber* subscriber,
                                const topics_position* since, uint64_t now_us, bool* out_recovered);

/* topics_unsubscribe - whether there was a subscription. */
bool topics_unsubscribe(topics* hub, const topics_topic* topic, topics_subscriber* subscriber);
void topics_unsubscribe_all(topics* hub, topics_subscriber* subscriber);

/* topics_is_subscribed */
bool topics_is_subscribed(const topics_topic* topic, const topics_subscriber* subscriber);

/* topics_each - the subscriber's topics and what it was given last; return false to stop. */
void topics_each(const topics_subscriber* subscriber,
                 bool (*visit)(const topics_topic* topic, uint64_t offset, void* user), void* user);

/* topics_rewind - a subscriber begins anew from what its client says that it has: for one topic.
 *
 * Returns  as out_recovered of topics_subscribe. */
bool topics_rewind(topics* hub, topics_topic* topic, topics_subscriber* subscriber, const topics_position* since,
                   uint64_t now_us);

/* topics_catch_up - there is room again: whether nothing is behind now. */
bool topics_catch_up(topics* hub, topics_subscriber* subscriber);

/* topics_sweep - forget what is too old, and topics that nobody needs: some each time. */
void topics_sweep(topics* hub, uint64_t now_us);

void topics_get_figures(const topics* hub, topics_figures* out_figures);

#endif
