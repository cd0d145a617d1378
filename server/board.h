/* board.h - what the workers tell other threads: figures, put up as a whole every BOARD_PERIOD_US, read as a whole: of one
 * worker, or the sum of all. */
#ifndef SERVER_BOARD_H
#define SERVER_BOARD_H

#include <pthread.h>
#include <string.h>

#include "config.h"
#include "necpnet.h"

#define BOARD_PERIOD_US 100000u
#define BOARD_STALLED_US 3000000u /* figures older than this: the worker hangs */
#define BOARD_GAME_BYTES_MAX 2048
#define BOARD_TICK_BUCKETS 8

/* Upper bounds of the tick histogram, in microseconds; above the last one: +Inf. */
#define BOARD_TICK_BOUNDS \
    { \
        100, 250, 500, 1000, 2500, 5000, 10000, 16000 \
    }

/* Upper bounds of the round trips' histogram, in milliseconds; the last takes what is more. */
#define BOARD_LATENCY_BUCKETS 16
#define BOARD_LATENCY_BOUNDS_MS \
    { \
        1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 4000 \
    }

typedef struct board_ticks {
    uint32_t hz;
    uint64_t count;                       /* since the start */
    uint64_t late;                        /* ticks that began more than a tick too late */
    uint64_t skipped;                     /* ticks left out to catch up */
    uint64_t sum_us;                      /* of all */
    uint64_t buckets[BOARD_TICK_BUCKETS]; /* cumulative: how many took at most the bound */
    uint32_t last_us;
    uint32_t p50_us; /* of the last 512 */
    uint32_t p99_us;
    uint32_t max_us;
} board_ticks;

/* Followers of crafting sessions (crafting_feed.c). */
typedef struct board_crafting {
    uint32_t followers;
    uint64_t updates[3]; /* sent since the start: JSON on WebSockets of their own, JSON-RPC, packets */
    uint64_t bytes;      /* of them */
    uint64_t skipped;    /* turns of followers whose network took no more */
} board_crafting;

/* What the gateways do, as /metrics has it: value, name, labels, type, about. Rows of one name stand together. */
/* clang-format off */
#define BOARD_GATEWAY(X) \
    X(SESSIONS, "gateway_sessions", "", "gauge", "Sessions of JSON-RPC and binary clients, also those that wait for their client.") \
    X(SUSPENDED, "gateway_sessions_suspended", "", "gauge", "Of these, those that wait for their client.") \
    X(CONNECTIONS, "gateway_connections", "", "gauge", "WebSockets of JSON-RPC.") \
    X(BEGUN, "gateway_session_events_total", "{event=\"begun\"}", "counter", "What became of sessions.") \
    X(RESUMED, "gateway_session_events_total", "{event=\"resumed\"}", "counter", "") \
    X(REPLACED, "gateway_session_events_total", "{event=\"replaced\"}", "counter", "") \
    X(IDLE, "gateway_session_events_total", "{event=\"idle\"}", "counter", "") \
    X(EXPIRED, "gateway_session_events_total", "{event=\"expired\"}", "counter", "") \
    X(LOST, "gateway_session_events_total", "{event=\"lost\"}", "counter", "") \
    X(MOVES_TAKEN, "gateway_session_moves_total", "{result=\"taken\"}", "counter", "Sessions that came back to another node: taken from there, given to it, unknown to it, without an answer.") \
    X(MOVES_GIVEN, "gateway_session_moves_total", "{result=\"given\"}", "counter", "") \
    X(MOVES_UNKNOWN, "gateway_session_moves_total", "{result=\"unknown\"}", "counter", "") \
    X(MOVES_LATE, "gateway_session_moves_total", "{result=\"late\"}", "counter", "") \
    X(CALLS, "gateway_calls_total", "", "counter", "JSON-RPC calls.") \
    X(CALL_ERRORS, "gateway_call_errors_total", "", "counter", "Events of binary clients that were answered with an error.") \
    X(CALLS_LIMITED, "gateway_calls_limited_total", "", "counter", "Calls and events over rpc_rate.") \
    X(GROUPS, "gateway_groups", "", "gauge", "Groups of players.") \
    X(TOPICS, "topics", "", "gauge", "Topics, also those that a node follows.") \
    X(SUBSCRIPTIONS, "topic_subscriptions", "", "gauge", "Subscriptions of clients.") \
    X(PUBLISHED, "topic_published_total", "", "counter", "Messages put into topics, also of those that a node follows.") \
    X(DELIVERED, "topic_delivered_total", "", "counter", "Messages given to subscribers.") \
    X(RECOVERED, "topic_recovered_total", "", "counter", "Of them late, from the history.") \
    X(BEHIND, "topic_behind_total", "", "counter", "Times that a subscriber did not keep up.") \
    X(DROPPED, "topic_dropped_total", "", "counter", "Messages that the history no longer had for a subscriber, told as a gap.") \
    X(HISTORY_MESSAGES, "topic_history_messages", "", "gauge", "Messages in histories.") \
    X(HISTORY_BYTES, "topic_history_bytes", "", "gauge", "Bytes of histories.") \
    X(PRESENT, "presence_players", "{state=\"here\"}", "gauge", "Players whose presence is known.") \
    X(PRESENT_GRACE, "presence_players", "{state=\"grace\"}", "gauge", "") \
    X(PRESENCE_CHANGES, "presence_changes_total", "", "counter", "Changes of what others see of a player.") \
    X(PRESENCE_TOLD, "presence_told_total", "", "counter", "Changes told to watchers.") \
    X(NODES, "cluster_nodes", "", "gauge", "Workers and nodes that this one knows, itself among them.") \
    X(OWNED, "cluster_topics", "{role=\"owned\"}", "gauge", "Topics of several nodes, counted here or followed.") \
    X(FOLLOWED, "cluster_topics", "{role=\"followed\"}", "gauge", "") \
    X(HELD, "cluster_held", "", "gauge", "Requests that wait for a topic to be handed over.") \
    X(RELAY_SENT, "cluster_publishes_total", "{way=\"out\"}", "counter", "Publishes that another node did (out), or this one for another (in).") \
    X(RELAY_DONE, "cluster_publishes_total", "{way=\"in\"}", "counter", "") \
    X(UNANSWERED, "cluster_unanswered_total", "", "counter", "Publishes that another node refused, or did not answer.") \
    X(HANDED, "cluster_handed_total", "", "counter", "Topics given to another node.") \
    X(RENEWED, "cluster_renewed_total", "", "counter", "Topics counted anew because their node was lost.")
/* clang-format on */

#define BOARD_GATEWAY_NAME(value, name, labels, type, about) BOARD_GATEWAY_##value,
typedef enum board_gateway_value { BOARD_GATEWAY(BOARD_GATEWAY_NAME) BOARD_GATEWAY_VALUES } board_gateway_value;

typedef struct board_figures {
    uint64_t at_us; /* when they were put up; 0: never */
    uint64_t began_us;
    bool draining;
    necpnet_server_statistics server;
    necpnet_world_statistics world;
    necpnet_voice_hub_statistics voice;
    board_ticks ticks;
    uint64_t latency[2][BOARD_LATENCY_BUCKETS]; /* UDP, WebSocket: round trips of clients, sampled; since the start */
    uint32_t rest_active;                       /* REST requests on their way through the edge */
    uint64_t rest_forwarded;                    /* since the start */
    uint64_t rest_refused;                      /* answered by the edge itself */
    board_crafting crafting;
    uint64_t gateway[BOARD_GATEWAY_VALUES];
    uint32_t rpc_connections;        /* WebSockets of JSON-RPC */
    char game[BOARD_GAME_BYTES_MAX]; /* one JSON object */
} board_figures;

typedef struct board {
    pthread_mutex_t lock;
    int count; /* workers */
    board_figures figures[CONFIG_WORKERS_MAX];
} board;

static inline void board_begin(board* shared, int workers)
{
    memset(shared, 0, sizeof(*shared));
    shared->count = workers;
    for (int i = 0; i < workers; i++) memcpy(shared->figures[i].game, "{}", 3);
    pthread_mutex_init(&shared->lock, NULL);
}

static inline void board_end(board* shared)
{
    pthread_mutex_destroy(&shared->lock);
}

static inline void board_put_up(board* shared, int worker, const board_figures* figures)
{
    pthread_mutex_lock(&shared->lock);
    shared->figures[worker] = *figures;
    pthread_mutex_unlock(&shared->lock);
}

static inline void board_read_worker(board* shared, int worker, board_figures* out_figures)
{
    pthread_mutex_lock(&shared->lock);
    *out_figures = shared->figures[worker];
    pthread_mutex_unlock(&shared->lock);
}

/* board_read - all workers as one: counts are sums, times of a tick the worst, at_us that of the one that is most behind,
 * the game that of the first. */
void board_read(board* shared, board_figures* out_figures);

#endif
