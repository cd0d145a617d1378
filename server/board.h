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
