/* relay.h - topics over several nodes: a machine without network and clock, for one thread; one on each node, over its topics.
 *
 * The table of slots (routing.h) says to which node a topic belongs. That node counts its messages: epoch, offset and history are
 * its own, and every node gives its clients the same. Publishes of other nodes go there; a node with subscribers follows the topic,
 * and keeps what it hears as the owner numbered it.
 *
 * When nodes come or go each makes the table anew and says SEEN. A topic that belongs elsewhere from now on is handed over, with
 * counting and history, once all have said so: then nothing sent by the old table is under way. SETTLED follows; until it came from
 * all, the new owner holds what concerns topics that it does not have yet. A node that is silent delays this by
 * RELAY_SETTLE_US at most. Where an owner is lost with its history, the next one counts anew: subscribers are told
 * (topics_config.renew), and who comes back with an old position learns that it cannot recover.
 */
#ifndef SERVER_RELAY_H
#define SERVER_RELAY_H

#include "topics.h"

#define RELAY_NODES_MAX 1024
#define RELAY_NAME_BYTES 128       /* of a node, with its NUL */
#define RELAY_BEGIN_US 300000u     /* after the start: time to hear of the others */
#define RELAY_SEEN_US 1000000u     /* waited at most for every SEEN, */
#define RELAY_SETTLE_US 2000000u   /* and for every SETTLED */
#define RELAY_DEADLINE_US 5000000u /* for an answer from a topic's node */
#define RELAY_REQUESTS_MAX 65536u  /* of this node, unanswered */
#define RELAY_HELD_MAX 65536u      /* requests for topics that are still to be handed over */

typedef struct relay relay;

typedef struct relay_node {
    uint64_t origin; /* random, never 0: of one life of the node */
    const char* name;
    bool leaves; /* it is about to go: topics belong to the others, if there are any */
} relay_node;

typedef enum relay_result {
    RELAY_DONE = 0,
    RELAY_REFUSED = 1, /* the owner has no room for it */
    RELAY_LATE = 2,    /* no answer in RELAY_DEADLINE_US: whether it was done is not known */
    RELAY_LOST = 3     /* the owner is gone: as LATE */
} relay_result;

typedef struct relay_config {
    topics* hub; /* borrowed; its end calls relay_forget */
    relay_node self;
    /* Bytes to another node's relay_hear: in their order, or lost. */
    void (*send)(uint64_t to, const void* data, size_t bytes, void* user);
    /* A message of another node: topics_publish of it, which is to get this position. */
    necpnet_result (*publish)(topics_topic* topic, const void* message, size_t bytes, topics_position position,
                              void* user);
    /* What became of a request with this ticket; called once for each. position: of a publish that is DONE. */
    void (*answer)(void* ticket, relay_result result, topics_position position, void* user);
    /* A node says good bye: it is to be left out of relay_set_nodes. */
    void (*left)(uint64_t origin, void* user);
    void* user;
} relay_config;

typedef struct relay_figures {
    uint32_t nodes;
    uint32_t owned;    /* topics that this node counts */
    uint32_t followed; /* topics of others that it follows */
    uint32_t held;     /* requests that wait for a hand-over */
    uint64_t sent;     /* publishes that went to another node */
    uint64_t done;     /* publishes done for another node */
    uint64_t unanswered;
    uint64_t handed;  /* topics given to another node */
    uint64_t renewed; /* topics whose counting began anew, because their node was lost */
} relay_figures;

/* relay_create - alone, until relay_set_nodes.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY */
necpnet_result relay_create(const relay_config* config, uint64_t now_us, relay** out_relay);

/* relay_destroy - requests without an answer get none. NULL does nothing. */
void relay_destroy(relay* at);

/* relay_set_nodes - who is there, in any order; self among them.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (two have one name; nothing has changed) | ERR_OUT_OF_MEMORY */
necpnet_result relay_set_nodes(relay* at, const relay_node* nodes, uint32_t count, uint64_t now_us);

/* relay_leave - this node ends in good order: topics that are still here go to the others. Only relay_destroy follows. One that has said before
 * that it leaves (relay_node.leaves) has none any more: they went with nothing waiting for them. */
void relay_leave(relay* at);

/* relay_publish - where a message is to be published.
 *
 *   message  as config.publish will get it on the node that counts.
 *
 * Returns  true: here, now; then call relay_spread. False: it went to its node; config.answer tells the rest if ticket is not
 *          NULL, perhaps before this returns */
bool relay_publish(relay* at, const char* topic, const void* message, size_t bytes, void* ticket, uint64_t now_us);

/* relay_counts - whether a publish is for here: relay_publish would return true, but the topic need not exist yet. */
bool relay_counts(relay* at, const char* topic);

/* relay_has - whether relay_subscribe would return true. */
bool relay_has(relay* at, const char* topic);

/* relay_spread - the newest message of a topic of this node was published: to the nodes that follow. */
void relay_spread(relay* at, const topics_topic* topic);

/* relay_subscribe - whether the topic is here and as new as it can be: then topics_subscribe. False: it is asked for, and
 * config.answer tells when it is here. */
bool relay_subscribe(relay* at, const char* topic, void* ticket, uint64_t now_us);

/* relay_hear - what another node's relay sent. */
void relay_hear(relay* at, uint64_t from, const void* data, size_t bytes, uint64_t now_us);

/* relay_work - time passes. */
void relay_work(relay* at, uint64_t now_us);

/* relay_forget - for the end of topics_config: the topic is about to go. at may be NULL. */
void relay_forget(relay* at, const topics_topic* topic);

/* relay_owner - the name of the node that a key belongs to. */
const char* relay_owner(const relay* at, const char* key);

uint64_t relay_owner_origin(const relay* at, const char* key);

/* relay_is_settled - whether every topic has one owner, and nothing waits. */
bool relay_is_settled(const relay* at);

void relay_get_figures(const relay* at, relay_figures* out_figures);

#endif
