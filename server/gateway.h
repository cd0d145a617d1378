/* gateway.h - sessions, topics, presence and JSON-RPC of one worker: who is connected over whatever, what they subscribed to, and
 * how an event of one reaches the others. JSON-RPC clients (WebSocket, subprotocol jsonrpc2.necpnet) and binary clients
 * (necpnet.v1) share all of it: a binary client says the same JSON-RPC in messages named GATEWAY_RPC_NAME, and gets and
 * publishes events as messages named GATEWAY_EVENT_NAME (events.h). Everything on the worker's thread; nothing blocks.
 */
#ifndef SERVER_GATEWAY_H
#define SERVER_GATEWAY_H

#include "connections.h"
#include "crafting_feed.h"
#include "edge.h"
#include "events.h"
#include "moves.h"
#include "relay.h"
#include "services.h"
#include "topics.h"

#define GATEWAY_SUBPROTOCOL "jsonrpc2.necpnet"
#define GATEWAY_RPC_NAME "necpnet.rpc"
#define GATEWAY_EVENT_NAME "necpnet.event"

#define GATEWAY_MESSAGE_BYTES_MAX (64u << 10) /* of a client's text; more closes with 1009 */
#define GATEWAY_PENDING_BYTES_MAX \
    (768u << 10)                    /* not taken by a client's network: it falls behind; at 1 MB it would be cut */
#define GATEWAY_SESSION_ID_BYTES 33 /* 32 hexadecimal digits and NUL */

/* Close codes of our own (RFC 6455 7.4.2). */
enum {
    GATEWAY_CLOSE_REPLACED = 4001, /* the same user connected again */
    GATEWAY_CLOSE_EXPIRED = 4002,  /* the JWT has expired */
    GATEWAY_CLOSE_IDLE = 4003,     /* nothing was said for session_idle_s */
    GATEWAY_CLOSE_NO_HELLO = 4004, /* session.hello did not come */
    GATEWAY_CLOSE_KICKED = 4005,   /* ended by an operator */
    GATEWAY_CLOSE_REVOKED = 4006   /* the JWT, or all of the user's, was revoked */
};

typedef struct gateway gateway;

/* gateway_identify - who the client of a WebSocket is.
 *
 * Returns  NULL; else why not, with a status for the answer. */
const char* gateway_identify(const services* known, const necpnet_web_request* request, uint64_t wall_us, identity* out,
                             int* out_status);

typedef struct gateway_config {
    const services* known; /* borrowed */
    necpnet_world* world;  /* NULL: state.subscribe finds nothing */
    uint32_t state_hz;
    necpnet_loop* loop;   /* for what the bus says */
    int index;            /* of the worker: part of the node's name */
    struct voice* speech; /* what players of this worker hear of each other; NULL: off */
} gateway_config;

/* gateway_create - before the server.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY | ERR_INTERNAL (the log has it) */
necpnet_result gateway_create(const gateway_config* wish, gateway** out_gateway);

/* gateway_attach - the server is up. */
void gateway_attach(gateway* at, necpnet_server* server);

/* gateway_set_crafts - the feed whose sessions crafting.follow follows; before clients come. */
void gateway_set_crafts(gateway* at, crafting_feed* feed);

/* gateway_announce_crafting - the announce of crafting_feed_create: events on the player's topic. user is a gateway. */
void gateway_announce_crafting(void* user, const crafting_news* news);

/* gateway_destroy - after the server. NULL does nothing. */
void gateway_destroy(gateway* at);

/* gateway_on_upgrade - the edge_upgrade of the edge: takes WebSockets that want JSON-RPC. */
bool gateway_on_upgrade(necpnet_web_connection* connection, const necpnet_web_request* request,
                        necpnet_web_answer* answer, void* user);

/* gateway_on_event - what poll gave, before the game sees it. Returns whether it was for the gateway alone. */
bool gateway_on_event(gateway* at, const necpnet_event* event);

/* gateway_work - time passes: presence, deadlines, state. After each update.
 *
 * Returns  whether it queued something: then another update sends it. */
bool gateway_work(gateway* at, uint64_t now_us);

/* gateway_drain - tells JSON-RPC clients to come back after retry_ms, and closes them; hands topics to the nodes that stay. Sessions wait
 * for clients that come back there. */
void gateway_drain(gateway* at, uint32_t retry_ms);

/* gateway_waits - a draining gateway has sessions that other nodes may claim. */
bool gateway_waits(const gateway* at);

typedef struct gateway_figures {
    uint32_t connections; /* JSON-RPC over WebSocket, now */
    uint32_t sessions;    /* with those of binary clients and suspended ones */
    uint32_t suspended;   /* of them */
    uint64_t sessions_total;
    uint64_t resumed;
    uint64_t replaced;
    uint64_t idle;
    uint64_t expired;
    uint64_t lost;       /* suspended and not resumed */
    uint64_t session_ms; /* of all that ended, together */
    uint64_t calls;
    uint64_t call_errors;
    uint64_t refused; /* calls over a limit */
    uint32_t groups;
    relay_figures relay; /* zeroes where this worker is the only node, */
    moves_figures moves; /* as these */
    topics_figures topics;
    necpnet_presence_statistics presence;
} gateway_figures;

/* A player as somebody sees it, for other threads (worker_ask). */
typedef struct gateway_seen {
    char player[IDENTITY_SUBJECT_BYTES_MAX + 32]; /* of a list: the name as JSON; "" if it does not fit */
    necpnet_presence_status status;
    uint32_t zone;
    uint64_t last_seen_us; /* wall time; 0: not known */
    char location[NECPNET_PRESENCE_LOCATION_BYTES_MAX + 1];
} gateway_seen;

/* gateway_look_seen, gateway_list_seen - one player; those that a player sees (friends, and whom it watches). On the worker's thread. */
void gateway_look_seen(gateway* at, uint64_t viewer, const char* player, gateway_seen* out);
uint32_t gateway_list_seen(gateway* at, const char* player, gateway_seen* out, uint32_t count_max);

/* gateway_change_seen - status, and zone and location where they are said. False: the player has no session here. */
bool gateway_change_seen(gateway* at, const char* player, const gateway_seen* wish, bool has_zone, bool has_location);

/* gateway_forget_player - ends its sessions over WebSocket, and nothing of it is written any more: erasure. */
void gateway_forget_player(gateway* at, uint64_t client_id);

/* gateway_revoke - ends what a revoked JWT, or a revoked user, began. */
void gateway_revoke(gateway* at, const revocation_news* news);

/* gateway_source - its connections for the API, to be given to worker_add_source. */
connection_source gateway_source(gateway* at);

/* gateway_fill_topics, gateway_change_topic - the topics of a client of necpnet.v1; as connection_source has it. */
void gateway_fill_topics(gateway* at, necpnet_peer peer, connection_row* row);
necpnet_result gateway_change_topic(gateway* at, necpnet_peer peer, const char* topic, bool subscribe,
                                    const char** why);

void gateway_get_figures(const gateway* at, gateway_figures* out_figures);

#endif
