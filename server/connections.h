/* connections.h - who is connected, for the API: rows that the workers fill in on their own threads. What holds connections on a
 * worker registers itself as a source (worker_add_source): the sessions of necpnet.v1, and whatever else accepts WebSockets.
 */
#ifndef SERVER_CONNECTIONS_H
#define SERVER_CONNECTIONS_H

#include "services.h"

#define CONNECTION_ID_BYTES 40
#define CONNECTIONS_LIST_MAX 1000
#define CONNECTION_TOPICS_MAX 16 /* of one row; topic_count says how many there are */
#define CONNECTION_TOPIC_BYTES 128
#define CONNECTIONS_WAIT_MS 1000 /* for a worker */

typedef enum connection_status {
    CONNECTION_ANY = -1,
    CONNECTION_ACTIVE = 0,
    CONNECTION_IDLE = 1,   /* nothing heard for CONNECTION_IDLE_US */
    CONNECTION_CLOSING = 2 /* its session waits for another connection, or ends */
} connection_status;

#define CONNECTION_IDLE_US 10000000u

/* One connection. Its id begins with the worker's index, a dot, and the source's letter. */
typedef struct connection_row {
    char id[CONNECTION_ID_BYTES]; /* "0.p000000000000002a" */
    uint64_t client_id;
    char name[64];         /* as the player calls himself */
    const char* protocol;  /* "necpnet.v1"; static */
    const char* transport; /* "udp" or "websocket"; static */
    uint64_t connected_us; /* monotonic */
    uint64_t heard_us;
    connection_status status;
    char from[64]; /* shortened */
    uint64_t packets_sent;
    uint64_t packets_received;
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint32_t rtt_us;
    uint32_t queue_bytes;
    uint64_t voice_packets_sent; /* to it */
    uint64_t voice_packets_received;
    uint32_t topic_count;
    char topics[CONNECTION_TOPICS_MAX][CONNECTION_TOPIC_BYTES];
} connection_row;

/* Takes a row (its id is filled in afterwards). Returns whether more are wanted. */
typedef bool (*connection_visit)(uint64_t key, connection_row* row, void* user);

/* What holds connections on a worker; called on its thread. */
typedef struct connection_source {
    char letter; /* of its ids */
    /* each - visits rows in an order of its own, those behind the key after (which may have gone; 0: all). Keys are never 0. */
    void (*each)(void* user, uint64_t after, connection_visit visit, void* visitor);
    /* find - the row of that very key. */
    bool (*find)(void* user, uint64_t key, connection_row* row);
    /* close - ends it, and with it its session. Returns whether it was there. */
    bool (*close)(void* user, uint64_t key);
    /* change_topic - subscribes it, or ends its subscription, with its own rights.
     * Returns OK | ERR_NOT_FOUND (no such connection) | ERR_REFUSED (why says why not) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
    necpnet_result (*change_topic)(void* user, uint64_t key, const char* topic, bool subscribe, const char** why);
    void* user;
} connection_source;

#define CONNECTION_SOURCES_MAX 4

/* What to list. */
typedef struct connection_filter {
    connection_status status;
    uint64_t client_id;              /* 0: of anybody */
    char after[CONNECTION_ID_BYTES]; /* "": from the beginning */
    uint32_t limit;
} connection_filter;

typedef struct connection_list {
    uint32_t count;
    bool more;
    connection_row* rows; /* free it */
} connection_list;

/* connections_list - of all workers, in the order of ids. Waits for them: not on a loop's thread.
 *
 * Returns  DESK_OK | DESK_TIMEOUT (a worker hangs) | DESK_DOWN */
desk_result connections_list(const services* known, const connection_filter* filter, connection_list* out_list);

/* connections_find, connections_close - one, by its id.
 *
 * Returns  DESK_OK | DESK_NOT_FOUND | DESK_TIMEOUT | DESK_DOWN */
desk_result connections_find(const services* known, const char* id, connection_row* out_row);
desk_result connections_close(const services* known, const char* id);

/* connections_change_topics - all of the topics, or up to the first that is refused.
 *
 *   topics  names, each with its NUL, one behind the other.
 *   why     at least 160 bytes: on ERR_REFUSED the reason.
 *
 * Returns  OK | ERR_NOT_FOUND | ERR_REFUSED | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY | ERR_TIMEOUT (a worker hangs) */
necpnet_result connections_change_topics(const services* known, const char* id, const char* topics, int count,
                                         bool subscribe, char* why, size_t why_bytes);

#endif
