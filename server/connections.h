/* connections.h - who is connected, for the API: rows that the workers fill in on their own threads. What holds connections on a
 * worker registers itself as a source (worker_add_source): the sessions of necpnet.v1, and whatever else accepts WebSockets.
 */
#ifndef SERVER_CONNECTIONS_H
#define SERVER_CONNECTIONS_H

#include "rules.h"
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
    uint32_t topic_count;
    char topics[CONNECTION_TOPICS_MAX][CONNECTION_TOPIC_BYTES];
} connection_row;

/* What holds connections on a worker; called on its thread. */
typedef struct connection_source {
    char letter; /* of its ids */
    /* next - fills the row that comes behind the key after (which may have gone; 0: the first). Returns its key; 0: there is none. */
    uint64_t (*next)(void* user, uint64_t after, connection_row* row);
    /* find - the row of that very key. */
    bool (*find)(void* user, uint64_t key, connection_row* row);
    /* close - ends it, and with it its session. Returns whether it was there. */
    bool (*close)(void* user, uint64_t key);
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

/* rules_owner_connection - the rule_owner of connections. */
rule_object rules_owner_connection(const services* known, const identity* who, const char* object);

#endif
