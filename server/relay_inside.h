/* relay_inside.h - what the relay's files share. */
#ifndef SERVER_RELAY_INSIDE_H
#define SERVER_RELAY_INSIDE_H

#include "relay.h"
#include "relay_wire.h"
#include "routing.h"

#define RELAY_CHAINS 4096
#define RELAY_HOPS_MAX 4
#define RELAY_ASK_US 1000000u    /* between FOLLOWs of a topic that is waited for */
#define RELAY_KEEP_US 10000000u  /* and of one that is followed: what was lost on the way comes then */
#define RELAY_IDLE_US 10000000u  /* a followed topic without subscribers is let go */
#define RELAY_SWEEP_US 100000u   /* between looks at deadlines */
#define RELAY_SWEEP_RECORDS 256u /* records looked at each time */
#define RELAY_FOLLOWS_AT_ONCE 1000u
#define RELAY_HAND_BYTES (512u << 10) /* at once; about 1,000 small topics */

typedef struct relay_wait {
    struct relay_wait* next;
    void* ticket;
    uint64_t at_us;
} relay_wait;

/* A request that waits for a hand-over. */
typedef struct relay_held {
    struct relay_held* next;
    uint64_t number;
    size_t bytes;
    uint8_t data[];
} relay_held;

/* A publish of this node that another one was asked for. */
typedef struct relay_request {
    struct relay_request* next;
    uint64_t number;
    uint64_t owner;
    uint64_t at_us;
    void* ticket;
    size_t bytes; /* of the message */
    uint8_t message[];
} relay_request;

typedef struct relay_record {
    struct relay_record* chain;
    struct relay_record* next;
    struct relay_record* before;
    topics_topic* topic; /* NULL: not here yet */
    bool owned;          /* counted here */
    bool fresh;          /* handed over by the table that is being made: nothing is done before it is settled */
    bool synced;         /* followed, and nothing that is known is missing */
    uint64_t* followers; /* origins */
    uint32_t follower_count;
    uint32_t follower_room;
    relay_wait* waits;
    relay_wait** waits_end;
    relay_held* held;
    relay_held** held_end;
    uint64_t asked_us; /* FOLLOW was sent */
    uint64_t used_us;  /* it had a subscriber here */
    char name[];
} relay_record;

typedef struct relay_place {
    uint64_t origin;
    uint64_t seen; /* the last table of which it said SEEN, */
    uint64_t settled;
    bool leaves;
    char name[RELAY_NAME_BYTES];
} relay_place;

struct relay {
    relay_config config;
    routing* table;
    relay_place* nodes; /* of this table, self first */
    uint32_t node_count;
    uint32_t* owners;       /* of those in the table: which of the nodes */
    relay_place* strangers; /* said something before they were in the table; a ring */
    uint32_t stranger_next;
    uint64_t view; /* of the set of nodes: the same on all that know the same */
    uint64_t view_us;
    uint64_t began_us;
    uint64_t now_us;
    uint64_t swept_us;
    bool handed; /* SETTLED was said of this view */
    bool settled;
    bool leaving;
    uint64_t gone_in_order; /* the node whose good bye is being heard */
    relay_record* chains[RELAY_CHAINS];
    relay_record* first;
    relay_record* cursor;
    relay_request* requests;
    relay_request** requests_end;
    uint32_t request_count;
    uint64_t number;
    uint32_t topics; /* of records */
    relay_figures figures;
};

#define RELAY_STRANGERS 64u

/* relay_records.c: what is known of topics, what is said to others, answers */
uint64_t relay_hash(const char* name);
relay_record* relay_find(const relay* at, const char* name);
relay_record* relay_reach(relay* at, const char* name);
void relay_set_owned(relay* at, relay_record* record, bool owned);
void relay_drop(relay* at, relay_record* record);
bool relay_open(relay* at, relay_record* record);
void relay_send(relay* at, uint64_t to, const relay_message* message);
relay_message relay_about(const relay* at, relay_kind kind, const char* name);
void relay_say_all(relay* at, relay_kind kind);
size_t relay_send_history(relay* at, uint64_t to, relay_kind kind, const relay_record* record,
                          const topics_position* since);
uint64_t relay_owner_of(const relay* at, const char* name);
bool relay_is_mine(const relay* at, const char* name);
void relay_follow(relay* at, relay_record* record);
void relay_answer_waits(relay* at, relay_record* record, relay_result result);
void relay_finish(relay* at, uint64_t number, relay_result result, topics_position position);
void relay_tell_taken(relay* at, const relay_message* request, relay_result result, topics_position position);

/* relay_owner.c: topics that are counted here, and those that are followed */
bool relay_own(relay* at, relay_record* record);
void relay_remove_follower(relay_record* record, uint64_t origin);
void relay_hold(relay* at, relay_record* record, const relay_message* request);
void relay_obey(relay* at, const relay_message* request);
void relay_release_held(relay* at, relay_record* record);
void relay_take_items(relay* at, relay_record* record, const relay_message* message);
void relay_hear_whole(relay* at, const relay_message* message);
void relay_hear_message(relay* at, const relay_message* message);

/* relay_nodes.c: tables, and topics that change their owner */
size_t relay_hand(relay* at, relay_record* record, uint64_t owner);
void relay_hear_hand(relay* at, const relay_message* message);
relay_place* relay_place_of(relay* at, uint64_t origin);
void relay_advance(relay* at);
void relay_send_publish(relay* at, uint64_t owner, const relay_message* message);

#endif
