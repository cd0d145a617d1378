/* analysis.h - what the node did over time: traffic, latency, connections, routes, and how much more it can take.
 *
 * The first worker gives a sample a second (analysis_sample, from the board); REST threads count their routes and ask. History is
 * kept compressed in memory (history.h) and ends with the process; Prometheus keeps more.
 */
#ifndef SERVER_ANALYSIS_H
#define SERVER_ANALYSIS_H

#include "board.h"
#include "history.h"
#include "text.h"

#define ANALYSIS_POINTS_MAX 1500 /* of one answer */
#define ANALYSIS_ROUTES_MAX 100  /* further ones are counted together as "other" */

typedef enum analysis_protocol { ANALYSIS_ANY = 0, ANALYSIS_UDP = 1, ANALYSIS_WEBSOCKET = 2 } analysis_protocol;

/* A span of time and its cut into points. Ends with the last whole point before now. */
typedef struct analysis_frame {
    const char* timeframe;   /* as asked: "1h" */
    const char* granularity; /* as asked: "minute" */
    uint32_t point_seconds;
    uint32_t points; /* 1 .. ANALYSIS_POINTS_MAX */
    uint64_t now_s;  /* seconds since 1970 */
} analysis_frame;

/* What a node can carry, for analysis_write_capacity. */
typedef struct analysis_limits {
    uint64_t players;
    uint64_t tick_us; /* length of a tick */
    uint64_t descriptors_used;
    uint64_t descriptors;
} analysis_limits;

typedef struct analysis analysis;

/* analysis_create - minutes of history; region names the node in every answer. NULL: no memory, or minutes out of range. */
analysis* analysis_create(const char* region, uint32_t minutes);
void analysis_destroy(analysis* at);

/* analysis_minutes - as given to create. */
uint32_t analysis_minutes(const analysis* at);

/* analysis_sample - the figures at a second (since 1970); counts since the sample before are what happened in it. A second that is
 * over is left out, so it may be called more often. */
void analysis_sample(analysis* at, const board_figures* figures, uint64_t second);

/* analysis_count_route - one request, message or call was served. type: "http", "websocket", "udp"; name: of a fixed set, never
 * a client's text (at most 63 bytes). Any thread. */
void analysis_count_route(analysis* at, const char* type, const char* name, uint64_t spent_us, bool failed);

/* analysis_measure - what the history holds and takes. Any thread. */
history_size analysis_measure(analysis* at);

/* The answers, JSON objects. Any thread; false: no memory. route_type NULL: all. */
bool analysis_write_traffic(analysis* at, text* out, const analysis_frame* frame, analysis_protocol protocol);
bool analysis_write_connections(analysis* at, text* out, const analysis_frame* frame, analysis_protocol protocol);
bool analysis_write_routes(analysis* at, text* out, const analysis_frame* frame, const char* route_type);
bool analysis_write_capacity(analysis* at, text* out, const analysis_frame* frame, const analysis_limits* limits);

#endif
