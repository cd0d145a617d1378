/* bench/analysis - what keeping and asking costs: a day of samples, one a second, of every series that the server keeps.
 *
 *     analysis
 *
 * The figures move as a busy server's do: traffic that rises and falls with the hour and scatters by a fifth, players who come and
 * go, latencies in a few buckets, routes by their popularity. Goals (issue and seed): a point under 1 ms, an answer over 24 h under
 * 50 ms, an aggregate over 1 h under 10 ms, 70 % less than 8 bytes a value, everything that a diagnosis asks under 1 s.
 *
 * Output: a table for people, then one JSON line a figure; the peer is the goal, ratio above 1 is better than it.
 */
#include "analysis.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_SECONDS 86400u
#define BEGAN UINT64_C(1800000000)
#define ROUTES 40

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static board_figures figures;

/* A number about mean, give or take a tenth. */
static uint64_t around(double mean)
{
    return (uint64_t)(mean * (0.9 + 0.2 * random_below(1000) / 1000.0));
}

static void live(uint32_t second)
{
    double busy = 1.2 - cos((double)second / DAY_SECONDS * 6.283185307);
    uint32_t players = (uint32_t)(400 * busy) + random_below(5);
    necpnet_server_statistics* server = &figures.server;
    necpnet_traffic* each[2] = {&server->udp, &server->websocket};
    for (int i = 0; i < 2; i++) {
        each[i]->bytes_sent += around(players * (i ? 1500.0 : 4500.0));
        each[i]->bytes_received += around(players * (i ? 400.0 : 1200.0));
        each[i]->packets_sent += around(players * 15.0);
        each[i]->packets_received += around(players * 15.0);
        for (int b = 2; b < 10; b++) figures.latency[i][b] += random_below(64 >> (b / 2));
    }
    server->udp.packets_lost += random_below(40);
    server->messages_sent += around(players * 20.0);
    server->messages_received += around(players * 20.0);
    server->sessions_total += random_below(3);
    server->sessions_resumed += random_below(20) == 0;
    server->drops[random_below(NECPNET_DROP_COUNT)] += random_below(10) == 0;
    figures.rest_forwarded += random_below(30);
    figures.ticks.count += 60;
    figures.ticks.sum_us += around(60 * 900.0);
    figures.ticks.p99_us = (uint32_t)around(1500);
    server->peers = players + 5;
    server->peers_udp = players * 3 / 4;
    server->peers_websocket = players / 4;
    server->web_connections = players / 4 + random_below(10);
    server->memory_bytes = 18000000 + players * 5000u;
    figures.world.entities = 10000 + players;
}

static void use_routes(analysis* at)
{
    static char names[ROUTES][32];
    uint32_t route = random_below(1 + random_below(ROUTES));
    snprintf(names[route], sizeof(names[route]), "GET /route/%u", route);
    for (uint32_t i = random_below(20); i; i--) {
        analysis_count_route(at, "http", names[route], 200 + random_below(900), random_below(100) == 0);
    }
}

typedef bool (*question)(analysis* at, text* out, const analysis_frame* frame);

static bool ask_traffic(analysis* at, text* out, const analysis_frame* frame)
{
    return analysis_write_traffic(at, out, frame, ANALYSIS_ANY);
}

static bool ask_connections(analysis* at, text* out, const analysis_frame* frame)
{
    return analysis_write_connections(at, out, frame, ANALYSIS_ANY);
}

static bool ask_routes(analysis* at, text* out, const analysis_frame* frame)
{
    return analysis_write_routes(at, out, frame, NULL);
}

static bool ask_capacity(analysis* at, text* out, const analysis_frame* frame)
{
    const analysis_limits limits = {2000, 16667, 900, 20000};
    return analysis_write_capacity(at, out, frame, &limits);
}

/* The best of seven, in milliseconds. */
static double time_question(analysis* at, question ask, uint32_t point_seconds, uint32_t points, size_t* out_bytes)
{
    double best = 1e9;
    for (int round = 0; round < 7; round++) {
        const analysis_frame frame = {"", "", point_seconds, points, BEGAN + DAY_SECONDS - 1};
        text out;
        text_begin_growing(&out);
        uint64_t before_us = necpnet_time_us();
        bool answered = ask(at, &out, &frame);
        double spent = (double)(necpnet_time_us() - before_us) / 1e3;
        if (!answered || out.failed || out.bytes < 20) {
            fprintf(stderr, "analysis: no answer\n");
            exit(1);
        }
        if (spent < best) best = spent;
        *out_bytes = out.bytes;
        text_end(&out);
    }
    return best;
}

static char lines[4096];

static void report(const char* name, const char* unit, double ours, double goal, bool is_more_better)
{
    double ratio = is_more_better ? ours / goal : goal / ours;
    size_t at = strlen(lines);
    printf("%-52s %10.4g %-8s goal %-8g ratio %.2f\n", name, ours, unit, goal, ratio);
    snprintf(
        lines + at, sizeof(lines) - at,
        "{\"bench\":\"analysis\",\"case\":\"%s\",\"metric\":\"cost\",\"unit\":\"%s\",\"ours\":%.4g,\"peer\":\"goal\","
        "\"theirs\":%g,\"ratio\":%.3f}\n",
        name, unit, ours, goal, ratio);
}

static void report_question(analysis* at, const char* name, question ask, uint32_t point_seconds, uint32_t points,
                            double goal)
{
    char title[128];
    size_t bytes = 0;
    double ms = time_question(at, ask, point_seconds, points, &bytes);
    snprintf(title, sizeof(title), "%s (%zu bytes)", name, bytes);
    report(title, "ms", ms, goal, false);
}

typedef struct collecting {
    uint64_t sum_ns; /* of processor time */
    uint64_t worst_ns;
} collecting;

static analysis* make_day(bool with_routes, collecting* cost)
{
    analysis* at = analysis_create("bench", 24 * 60);
    if (!at) {
        fprintf(stderr, "analysis: no memory\n");
        exit(1);
    }
    memset(cost, 0, sizeof(*cost));
    memset(&figures, 0, sizeof(figures));
    for (uint32_t second = 0; second < DAY_SECONDS; second++) {
        live(second);
        if (with_routes) use_routes(at);
        uint64_t before_ns = cpu_ns();
        analysis_sample(at, &figures, BEGAN + second);
        uint64_t spent_ns = cpu_ns() - before_ns;
        cost->sum_ns += spent_ns;
        if (spent_ns > cost->worst_ns) cost->worst_ns = spent_ns;
    }
    return at;
}

static double saved_percent(analysis* at)
{
    history_size size = analysis_measure(at);
    return 100 - 100 * (double)size.stored_bytes / (double)size.raw_bytes;
}

int main(int count, char** words)
{
    if (count > 1) {
        (void)words;
        fprintf(stderr, "usage: analysis\n");
        return 2;
    }
    collecting plain;
    collecting cost;
    analysis* bare = make_day(false, &plain);
    analysis* at = make_day(true, &cost);
    history_size size = analysis_measure(at);
    printf("a day, a sample a second: %llu values, %.1f MB as numbers of 8 bytes, %.1f MB here\n",
           (unsigned long long)(size.raw_bytes / 8), (double)size.raw_bytes / 1e6, (double)size.stored_bytes / 1e6);
    report("collect a point, mean", "ms", (double)cost.sum_ns / 1e6 / DAY_SECONDS, 1, false);
    report("collect a point, worst (a minute is closed)", "ms", (double)cost.worst_ns / 1e6, 1, false);
    report_question(at, "traffic, 24 h by the minute", ask_traffic, 60, 1440, 50);
    report_question(at, "connections, 24 h by the minute", ask_connections, 60, 1440, 50);
    report_question(at, "routes, 24 h", ask_routes, 86400, 1, 50);
    report_question(at, "traffic, 1 h as one aggregate", ask_traffic, 3600, 1, 10);
    report_question(at, "traffic, 1 h by the minute", ask_traffic, 60, 60, 10);
    report_question(at, "traffic, 20 min by the second", ask_traffic, 1, 1200, 50);
    report_question(at, "capacity, 24 h by the minute", ask_capacity, 60, 1440, 1000);
    report("compression, whole memory", "percent", saved_percent(at), 70, true);
    report("compression, whole memory, without routes", "percent", saved_percent(bare), 70, true);
    analysis_destroy(bare);
    fputs(lines, stdout);
    analysis_destroy(at);
    return 0;
}
