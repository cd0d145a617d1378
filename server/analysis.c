/* analysis - samples of the board and of routes, kept in a history, and the answers made of them. */
#include "analysis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What is kept: a name, its kind, and where the board has it. */
#define ANALYSIS_SERIES(X) \
    X(UDP_BYTES_SENT, COUNTER, server.udp.bytes_sent) \
    X(UDP_BYTES_RECEIVED, COUNTER, server.udp.bytes_received) \
    X(UDP_PACKETS_SENT, COUNTER, server.udp.packets_sent) \
    X(UDP_PACKETS_RECEIVED, COUNTER, server.udp.packets_received) \
    X(UDP_PACKETS_LOST, COUNTER, server.udp.packets_lost) \
    X(WEB_BYTES_SENT, COUNTER, server.websocket.bytes_sent) \
    X(WEB_BYTES_RECEIVED, COUNTER, server.websocket.bytes_received) \
    X(WEB_PACKETS_SENT, COUNTER, server.websocket.packets_sent) \
    X(WEB_PACKETS_RECEIVED, COUNTER, server.websocket.packets_received) \
    X(MESSAGES_SENT, COUNTER, server.messages_sent) \
    X(MESSAGES_RECEIVED, COUNTER, server.messages_received) \
    X(SESSIONS_STARTED, COUNTER, server.sessions_total) \
    X(SESSIONS_RESUMED, COUNTER, server.sessions_resumed) \
    X(REST_REQUESTS, COUNTER, rest_forwarded) \
    X(REST_REFUSED, COUNTER, rest_refused) \
    X(TICKS, COUNTER, ticks.count) \
    X(TICKS_LATE, COUNTER, ticks.late) \
    X(TICK_US, COUNTER, ticks.sum_us) \
    X(PEERS, GAUGE, server.peers) \
    X(PEERS_UDP, GAUGE, server.peers_udp) \
    X(PEERS_WEB, GAUGE, server.peers_websocket) \
    X(PEERS_SUSPENDED, GAUGE, server.peers_suspended) \
    X(WEB_CONNECTIONS, GAUGE, server.web_connections) \
    X(MEMORY_BYTES, GAUGE, server.memory_bytes) \
    X(TICK_P99_US, GAUGE, ticks.p99_us) \
    X(ENTITIES, GAUGE, world.entities)

#define ANALYSIS_ID(name, kind, member) SERIES_##name,
enum { ANALYSIS_SERIES(ANALYSIS_ID) SERIES_DROPS };
#define ANALYSIS_KIND(name, kind, member) HISTORY_##kind,
static const history_kind analysis_kinds[] = {ANALYSIS_SERIES(ANALYSIS_KIND)};

/* Behind them: a counter for each reason of a drop, the latency buckets of both transports, four series a route. */
enum {
    SERIES_LATENCY = SERIES_DROPS + NECPNET_DROP_COUNT,
    SERIES_ROUTES = SERIES_LATENCY + 2 * BOARD_LATENCY_BUCKETS,
    SERIES_END = SERIES_ROUTES + 4 * (ANALYSIS_ROUTES_MAX + 1)
};
enum { ROUTE_COUNT = 0, ROUTE_FAILED = 1, ROUTE_US = 2, ROUTE_US_MAX = 3, ROUTE_SERIES = 4 };

_Static_assert((int)SERIES_END <= HISTORY_SERIES_MAX, "ANALYSIS_ROUTES_MAX is too large");

#define ANALYSIS_NAME_BYTES 64

/* What happened on a route since the last sample. */
typedef struct analysis_route {
    char type[12];
    char name[ANALYSIS_NAME_BYTES];
    int series; /* its first */
    uint64_t figures[ROUTE_SERIES];
} analysis_route;

struct analysis {
    pthread_mutex_t lock;
    history* kept;
    char region[ANALYSIS_NAME_BYTES];
    uint32_t minutes;
    bool has_totals;
    uint64_t sampled_s;
    uint64_t totals[SERIES_ROUTES]; /* counters as of the last sample */
    uint64_t values[HISTORY_SERIES_MAX];
    int route_count;
    analysis_route routes[ANALYSIS_ROUTES_MAX + 1]; /* the last: all others */
};

/* ------------------------------------------------------------------------------------------------------------ life -- */

static bool analysis_make_series(analysis* at)
{
    at->kept = history_create(at->minutes);
    for (int i = 0; at->kept && i < SERIES_ROUTES; i++) {
        history_kind kind = i < SERIES_DROPS ? analysis_kinds[i] : HISTORY_COUNTER;
        if (history_series(at->kept, kind) != i) return false;
    }
    return at->kept != NULL;
}

analysis* analysis_create(const char* region, uint32_t minutes)
{
    analysis* at = calloc(1, sizeof(*at));
    if (!at) return NULL;
    at->minutes = minutes;
    snprintf(at->region, sizeof(at->region), "%s", region);
    pthread_mutex_init(&at->lock, NULL);
    if (analysis_make_series(at)) return at;
    analysis_destroy(at);
    return NULL;
}

void analysis_destroy(analysis* at)
{
    if (!at) return;
    history_destroy(at->kept);
    pthread_mutex_destroy(&at->lock);
    free(at);
}

uint32_t analysis_minutes(const analysis* at)
{
    return at->minutes;
}

/* ------------------------------------------------------------------------------------------------------- collecting -- */

/* The running totals and gauges of all series but the routes'. */
static void analysis_collect(const board_figures* figures, uint64_t* now)
{
#define ANALYSIS_TAKE(name, kind, member) now[SERIES_##name] = figures->member;
    ANALYSIS_SERIES(ANALYSIS_TAKE)
    for (int i = 0; i < NECPNET_DROP_COUNT; i++) now[SERIES_DROPS + i] = figures->server.drops[i];
    for (int i = 0; i < 2 * BOARD_LATENCY_BUCKETS; i++) {
        now[SERIES_LATENCY + i] = figures->latency[i / BOARD_LATENCY_BUCKETS][i % BOARD_LATENCY_BUCKETS];
    }
}

void analysis_sample(analysis* at, const board_figures* figures, uint64_t second)
{
    uint64_t now[SERIES_ROUTES];
    pthread_mutex_lock(&at->lock);
    if (second <= at->sampled_s) {
        pthread_mutex_unlock(&at->lock);
        return;
    }
    analysis_collect(figures, now);
    for (int i = 0; i < SERIES_ROUTES; i++) {
        bool is_gauge = i < SERIES_DROPS && analysis_kinds[i] == HISTORY_GAUGE;
        at->values[i] = is_gauge ? now[i] : now[i] < at->totals[i] ? now[i] : now[i] - at->totals[i];
    }
    memcpy(at->totals, now, sizeof(now));
    for (int i = 0; at->has_totals && i < at->route_count; i++) {
        analysis_route* route = &at->routes[i];
        memcpy(&at->values[route->series], route->figures, sizeof(route->figures));
        memset(route->figures, 0, sizeof(route->figures));
    }
    /* totals from before the first sample have no second */
    if (at->has_totals) (void)history_add(at->kept, second, at->values);
    at->has_totals = true;
    at->sampled_s = second;
    pthread_mutex_unlock(&at->lock);
}

/* Of a route by name, made if it is new; NULL: no memory. */
static analysis_route* analysis_find_route(analysis* at, const char* type, const char* name)
{
    for (int i = 0; i < at->route_count; i++) {
        analysis_route* route = &at->routes[i];
        if (strcmp(route->type, type) == 0 && strcmp(route->name, name) == 0) return route;
    }
    if (at->route_count > ANALYSIS_ROUTES_MAX) return &at->routes[ANALYSIS_ROUTES_MAX];
    bool is_last = at->route_count == ANALYSIS_ROUTES_MAX;
    int series = 0;
    for (int i = 0; i < ROUTE_SERIES; i++) {
        int made = history_series(at->kept, i == ROUTE_US_MAX ? HISTORY_GAUGE : HISTORY_COUNTER);
        if (made < 0) return NULL;
        if (i == 0) series = made;
    }
    analysis_route* route = &at->routes[at->route_count++];
    route->series = series;
    snprintf(route->type, sizeof(route->type), "%s", is_last ? "any" : type);
    snprintf(route->name, sizeof(route->name), "%s", is_last ? "other" : name);
    return route;
}

void analysis_count_route(analysis* at, const char* type, const char* name, uint64_t spent_us, bool failed)
{
    pthread_mutex_lock(&at->lock);
    analysis_route* route = analysis_find_route(at, type, name);
    if (route) {
        route->figures[ROUTE_COUNT]++;
        route->figures[ROUTE_FAILED] += failed;
        route->figures[ROUTE_US] += spent_us;
        if (spent_us > route->figures[ROUTE_US_MAX]) route->figures[ROUTE_US_MAX] = spent_us;
    }
    pthread_mutex_unlock(&at->lock);
}

history_size analysis_measure(analysis* at)
{
    pthread_mutex_lock(&at->lock);
    history_size size = history_measure(at->kept);
    pthread_mutex_unlock(&at->lock);
    return size;
}

/* ---------------------------------------------------------------------------------------------------------- reading -- */

/* Spans of the series first_series .. first_series + series_count - 1. */
typedef struct analysis_table {
    history_span* spans;
    int first_series;
    int series_count;
    size_t points;
    uint64_t begins_s;
    uint32_t point_seconds;
} analysis_table;

static bool analysis_read(analysis* at, const analysis_frame* frame, int first_series, int series_count,
                          analysis_table* table)
{
    int series[HISTORY_SERIES_MAX];
    uint64_t end_s = (frame->now_s / frame->point_seconds + 1) * frame->point_seconds;
    table->points = frame->points;
    table->point_seconds = frame->point_seconds;
    table->begins_s = end_s - (uint64_t)frame->points * frame->point_seconds;
    table->first_series = first_series;
    table->series_count = series_count;
    table->spans = malloc((size_t)series_count * table->points * sizeof(history_span));
    if (!table->spans) return false;
    for (int i = 0; i < series_count; i++) series[i] = first_series + i;
    pthread_mutex_lock(&at->lock);
    bool read = history_read(at->kept, series, series_count, table->begins_s, table->point_seconds, table->spans,
                             table->points);
    pthread_mutex_unlock(&at->lock);
    if (!read) free(table->spans);
    return read;
}

static const history_span* analysis_at(const analysis_table* table, int series, size_t point)
{
    return &table->spans[(size_t)(series - table->first_series) * table->points + point];
}

/* Of points first .. first + count - 1. */
static uint64_t analysis_sum(const analysis_table* table, int series, size_t first, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = first; i < first + count; i++) sum += analysis_at(table, series, i)->sum;
    return sum;
}

static history_span analysis_gauge(const analysis_table* table, int series, size_t first, size_t count)
{
    history_span whole = {0, 0, 0, 0};
    for (size_t i = first; i < first + count; i++) {
        const history_span* span = analysis_at(table, series, i);
        if (!span->samples) continue;
        if (!whole.samples || span->min < whole.min) whole.min = span->min;
        if (span->max > whole.max) whole.max = span->max;
        whole.sum += span->sum;
        whole.samples += span->samples;
    }
    return whole;
}

/* ---------------------------------------------------------------------------------------------------------- writing -- */

static void analysis_put_time(text* out, const char* name, uint64_t second)
{
    struct tm parts;
    char buffer[32];
    time_t at = (time_t)second;
    (void)gmtime_r(&at, &parts);
    (void)strftime(buffer, sizeof(buffer), "%Y-%m-%dT%H:%M:%SZ", &parts);
    text_format(out, "\"%s\":\"%s\"", name, buffer);
}

static const char* analysis_protocol_name(analysis_protocol protocol)
{
    return protocol == ANALYSIS_UDP ? "udp" : protocol == ANALYSIS_WEBSOCKET ? "websocket" : "any";
}

/* {"region":..,"timeframe":..,"granularity":..,"from":..,"to":.. and a comma. */
static void analysis_begin_answer(const analysis* at, text* out, const analysis_frame* frame,
                                  const analysis_table* table)
{
    text_put(out, "{\"region\":");
    text_json(out, at->region);
    text_put(out, ",\"timeframe\":");
    text_json(out, frame->timeframe);
    text_put(out, ",\"granularity\":");
    text_json(out, frame->granularity);
    text_put(out, ",");
    analysis_put_time(out, "from", table->begins_s);
    text_put(out, ",");
    analysis_put_time(out, "to", table->begins_s + table->points * table->point_seconds);
    text_put(out, ",");
}

/* The value below which that share of the samples lies, in milliseconds, by straight lines within the buckets. */
static double analysis_percentile_ms(const uint64_t* buckets, uint64_t total, double share)
{
    static const double bounds_ms[BOARD_LATENCY_BUCKETS] = BOARD_LATENCY_BOUNDS_MS;
    double wanted = share * (double)total;
    double below = 0;
    for (int i = 0; i < BOARD_LATENCY_BUCKETS; i++) {
        double in = (double)buckets[i];
        double low = i ? bounds_ms[i - 1] : 0;
        if (in > 0 && below + in >= wanted) return low + (bounds_ms[i] - low) * (wanted - below) / in;
        below += in;
    }
    return bounds_ms[BOARD_LATENCY_BUCKETS - 1];
}

/* "latency_ms":{..} or null where nothing was measured. */
static void analysis_put_latency(text* out, const analysis_table* table, analysis_protocol protocol, size_t first,
                                 size_t count)
{
    uint64_t buckets[BOARD_LATENCY_BUCKETS] = {0};
    uint64_t total = 0;
    for (int i = 0; i < 2 * BOARD_LATENCY_BUCKETS; i++) {
        analysis_protocol of = i < BOARD_LATENCY_BUCKETS ? ANALYSIS_UDP : ANALYSIS_WEBSOCKET;
        if (protocol != ANALYSIS_ANY && protocol != of) continue;
        uint64_t in = analysis_sum(table, SERIES_LATENCY + i, first, count);
        buckets[i % BOARD_LATENCY_BUCKETS] += in;
        total += in;
    }
    if (!total) {
        text_put(out, "\"latency_ms\":null");
        return;
    }
    text_format(out, "\"latency_ms\":{\"p50\":%.3g,\"p90\":%.3g,\"p99\":%.3g,\"samples\":%" PRIu64 "}",
                analysis_percentile_ms(buckets, total, 0.5), analysis_percentile_ms(buckets, total, 0.9),
                analysis_percentile_ms(buckets, total, 0.99), total);
}

static void analysis_put_traffic(text* out, const analysis_table* table, analysis_protocol protocol, size_t first,
                                 size_t count)
{
    static const struct {
        const char* name;
        int udp;
        int web; /* -1: there is none */
    } rows[] = {{"bytes_sent", SERIES_UDP_BYTES_SENT, SERIES_WEB_BYTES_SENT},
                {"bytes_received", SERIES_UDP_BYTES_RECEIVED, SERIES_WEB_BYTES_RECEIVED},
                {"packets_sent", SERIES_UDP_PACKETS_SENT, SERIES_WEB_PACKETS_SENT},
                {"packets_received", SERIES_UDP_PACKETS_RECEIVED, SERIES_WEB_PACKETS_RECEIVED},
                {"packets_lost", SERIES_UDP_PACKETS_LOST, -1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t sum = 0;
        if (protocol != ANALYSIS_WEBSOCKET) sum += analysis_sum(table, rows[i].udp, first, count);
        if (protocol != ANALYSIS_UDP && rows[i].web >= 0) sum += analysis_sum(table, rows[i].web, first, count);
        text_format(out, "\"%s\":%" PRIu64 ",", rows[i].name, sum);
    }
    if (protocol == ANALYSIS_ANY) { /* a session's messages may go over both */
        text_format(out, "\"messages_sent\":%" PRIu64 ",\"messages_received\":%" PRIu64 ",",
                    analysis_sum(table, SERIES_MESSAGES_SENT, first, count),
                    analysis_sum(table, SERIES_MESSAGES_RECEIVED, first, count));
    }
    analysis_put_latency(out, table, protocol, first, count);
}

/* "at":..,"seconds":.. and a comma: of how many seconds there are samples. */
static void analysis_begin_point(text* out, const analysis_table* table, size_t point)
{
    text_put(out, point ? ",{" : "{");
    analysis_put_time(out, "at", table->begins_s + point * table->point_seconds);
    text_format(out, ",\"seconds\":%" PRIu32 ",", analysis_at(table, table->first_series, point)->samples);
}

bool analysis_write_traffic(analysis* at, text* out, const analysis_frame* frame, analysis_protocol protocol)
{
    analysis_table table;
    if (!analysis_read(at, frame, 0, SERIES_ROUTES, &table)) return false;
    analysis_begin_answer(at, out, frame, &table);
    text_format(out, "\"protocol\":\"%s\",\"total\":{", analysis_protocol_name(protocol));
    analysis_put_traffic(out, &table, protocol, 0, table.points);
    text_put(out, "},\"points\":[");
    for (size_t i = 0; i < table.points; i++) {
        analysis_begin_point(out, &table, i);
        analysis_put_traffic(out, &table, protocol, i, 1);
        text_put(out, "}");
    }
    text_put(out, "]}");
    free(table.spans);
    return true;
}

static void analysis_put_gauge(text* out, const char* name, const analysis_table* table, int series, size_t first,
                               size_t count)
{
    history_span span = analysis_gauge(table, series, first, count);
    double mean = span.samples ? (double)span.sum / span.samples : 0;
    text_format(out, "\"%s\":{\"mean\":%.1f,\"min\":%" PRIu64 ",\"max\":%" PRIu64 "},", name, mean, span.min, span.max);
}

static void analysis_put_connections(text* out, const analysis_table* table, analysis_protocol protocol, size_t first,
                                     size_t count)
{
    if (protocol != ANALYSIS_WEBSOCKET) analysis_put_gauge(out, "udp", table, SERIES_PEERS_UDP, first, count);
    if (protocol != ANALYSIS_UDP) analysis_put_gauge(out, "websocket", table, SERIES_PEERS_WEB, first, count);
    analysis_put_gauge(out, "suspended", table, SERIES_PEERS_SUSPENDED, first, count);
    text_format(out, "\"sessions_started\":%" PRIu64 ",\"sessions_resumed\":%" PRIu64 ",",
                analysis_sum(table, SERIES_SESSIONS_STARTED, first, count),
                analysis_sum(table, SERIES_SESSIONS_RESUMED, first, count));
    analysis_put_latency(out, table, protocol, first, count);
}

bool analysis_write_connections(analysis* at, text* out, const analysis_frame* frame, analysis_protocol protocol)
{
    analysis_table table;
    bool has_refused = false;
    if (!analysis_read(at, frame, 0, SERIES_ROUTES, &table)) return false;
    analysis_begin_answer(at, out, frame, &table);
    text_format(out, "\"protocol\":\"%s\",\"total\":{", analysis_protocol_name(protocol));
    analysis_put_connections(out, &table, protocol, 0, table.points);
    text_put(out, "},\"refused\":{");
    for (int i = 0; i < NECPNET_DROP_COUNT; i++) {
        uint64_t count = analysis_sum(&table, SERIES_DROPS + i, 0, table.points);
        if (!count) continue;
        text_format(out, "%s\"%s\":%" PRIu64, has_refused ? "," : "", necpnet_drop_name((necpnet_drop)i), count);
        has_refused = true;
    }
    text_put(out, "},\"points\":[");
    for (size_t i = 0; i < table.points; i++) {
        analysis_begin_point(out, &table, i);
        analysis_put_connections(out, &table, protocol, i, 1);
        text_put(out, "}");
    }
    text_put(out, "]}");
    free(table.spans);
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- routes -- */

static int analysis_compare_counts(const void* a, const void* b)
{
    const uint64_t* left = (const uint64_t*)a;
    const uint64_t* right = (const uint64_t*)b;
    return (left[0] < right[0]) - (left[0] > right[0]);
}

/* A route's count and its number, the most used first; how many are of that type and were used. */
static size_t analysis_rank_routes(const analysis* at, const analysis_table* table, int known, const char* route_type,
                                   uint64_t (*ranks)[2])
{
    size_t count = 0;
    for (int i = 0; i < known; i++) {
        if (route_type && strcmp(at->routes[i].type, route_type) != 0) continue;
        uint64_t used = analysis_sum(table, at->routes[i].series + ROUTE_COUNT, 0, table->points);
        if (!used) continue;
        ranks[count][0] = used;
        ranks[count++][1] = (uint64_t)i;
    }
    qsort(ranks, count, sizeof(ranks[0]), analysis_compare_counts);
    return count;
}

static void analysis_put_route(const analysis* at, text* out, const analysis_table* table, int route, uint64_t count)
{
    int series = at->routes[route].series;
    text_put(out, "{\"type\":");
    text_json(out, at->routes[route].type);
    text_put(out, ",\"name\":");
    text_json(out, at->routes[route].name);
    text_format(out, ",\"count\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"mean_ms\":%.3f,\"max_ms\":%.3f}", count,
                analysis_sum(table, series + ROUTE_FAILED, 0, table->points),
                (double)analysis_sum(table, series + ROUTE_US, 0, table->points) / 1e3 / (double)count,
                (double)analysis_gauge(table, series + ROUTE_US_MAX, 0, table->points).max / 1e3);
}

bool analysis_write_routes(analysis* at, text* out, const analysis_frame* frame, const char* route_type)
{
    uint64_t ranks[ANALYSIS_ROUTES_MAX + 1][2];
    analysis_table table;
    pthread_mutex_lock(&at->lock);
    int known = at->route_count; /* names and places never change once they are there */
    pthread_mutex_unlock(&at->lock);
    int end = known ? at->routes[known - 1].series + ROUTE_SERIES : SERIES_ROUTES;
    if (!analysis_read(at, frame, SERIES_ROUTES - 1, end - SERIES_ROUTES + 1, &table)) return false;
    size_t used = analysis_rank_routes(at, &table, known, route_type, ranks);
    analysis_begin_answer(at, out, frame, &table);
    text_put(out, "\"route_type\":");
    text_json(out, route_type ? route_type : "any");
    text_put(out, ",\"routes\":[");
    for (size_t i = 0; i < used; i++) {
        if (i) text_put(out, ",");
        analysis_put_route(at, out, &table, (int)ranks[i][1], ranks[i][0]);
    }
    text_put(out, "]}");
    free(table.spans);
    return true;
}

/* --------------------------------------------------------------------------------------------------------- capacity -- */

typedef struct analysis_resource {
    const char* name;
    double used; /* at the busiest of the frame */
    double limit;
} analysis_resource;

static double analysis_share(const analysis_resource* resource)
{
    return resource->limit > 0 ? resource->used / resource->limit : 0;
}

/* Players more or fewer an hour, by least squares over the points that have samples. */
static double analysis_trend_per_hour(const analysis_table* table)
{
    double n = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
    for (size_t i = 0; i < table->points; i++) {
        const history_span* span = analysis_at(table, SERIES_PEERS, i);
        if (!span->samples) continue;
        double x = (double)i * table->point_seconds / 3600.0;
        double y = (double)span->sum / span->samples;
        n++, sum_x += x, sum_y += y, sum_xx += x * x, sum_xy += x * y;
    }
    double spread = n * sum_xx - sum_x * sum_x;
    return n >= 2 && spread > 0 ? (n * sum_xy - sum_x * sum_y) / spread : 0;
}

bool analysis_write_capacity(analysis* at, text* out, const analysis_frame* frame, const analysis_limits* limits)
{
    analysis_table table;
    if (!analysis_read(at, frame, 0, SERIES_ROUTES, &table)) return false;
    history_span players = analysis_gauge(&table, SERIES_PEERS, 0, table.points);
    const analysis_resource resources[] = {
        {"players", (double)players.max, (double)limits->players},
        {"tick_us", (double)analysis_gauge(&table, SERIES_TICK_P99_US, 0, table.points).max, (double)limits->tick_us},
        {"descriptors", (double)limits->descriptors_used, (double)limits->descriptors}};
    const int count = (int)(sizeof(resources) / sizeof(resources[0]));
    int tightest = 0;
    analysis_begin_answer(at, out, frame, &table);
    text_put(out, "\"resources\":[");
    for (int i = 0; i < count; i++) {
        const analysis_resource* one = &resources[i];
        double share = analysis_share(one);
        if (share > analysis_share(&resources[tightest])) tightest = i;
        text_format(out, "%s{\"name\":\"%s\",\"used\":%.0f,\"limit\":%.0f,\"share\":%.4f}", i ? "," : "", one->name,
                    one->used, one->limit, share);
    }
    /* what the tightest resource leaves, if it grows with the players */
    double share = analysis_share(&resources[tightest]);
    double most = share > 0 ? (double)players.max / share : (double)limits->players;
    if (most > (double)limits->players) most = (double)limits->players;
    double headroom = most > (double)players.max ? most - (double)players.max : 0;
    double trend = analysis_trend_per_hour(&table);
    text_format(out, "],\"tightest\":\"%s\",\"players_max_seen\":%" PRIu64 ",\"players_headroom\":%.0f,",
                resources[tightest].name, players.max, headroom);
    text_format(out, "\"players_trend_per_hour\":%.2f,\"hours_until_full\":", trend);
    if (trend > 0) {
        text_format(out, "%.2f}", headroom / trend);
    } else {
        text_put(out, "null}");
    }
    free(table.spans);
    return true;
}
