/* bench/gateway - necpnet-server as a JSON-RPC gateway, beside one written with libwebsockets and cJSON (gateway_peer.h) and one with
 * Node's `ws` package (gateway_peer.mjs): each a process of its own on the first core, in turn, asked by this process on the last, over
 * loopback:
 *
 *     idle       N connections (10,000) that only said hello: memory of the server's process a connection, handshakes a second,
 *                mean time of a handshake (from connect to open, 64 at a time)
 *     deliver    1,000 of them follow a topic; one message each 10 ms: time from publishing to arrival, at all 1,000
 *     calls      all N call once a second (presence.get; the peers answer anything): time to the answer, and how many were answered
 *     sustain    100 connections publish distinct messages as fast as they are answered, 16 under way each, to a topic each that another
 *                connection follows, for a minute: the mean and the worst second, and what of it arrived. All N stay connected; ten times
 *                a second one more connects: time to open under that load
 *     publish    the same, to topics that nobody follows
 *     one        one connection publishes, 64 under way
 *
 * The client shares the machine with the server: times contain its own work. A peer that is not at hand is left out.
 *
 *     gateway [--server PATH] [--connections N] [--seconds S] [--sustain S] [--peers 0|1] [--short 1]
 *
 * --seconds (5) is how long each but sustain (60) goes on; --short 1 is 300 connections and a second of each: whether it works, not what
 * it costs.
 *
 * Output: a table for people, each figure that has a goal with it and ok or missed; then one JSON line a figure and peer; ratio above
 * 1 where ours is better.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdio.h>

#if defined(__linux__)

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway_peer.h"

#define CONNECTIONS_MAX 16000
#define FOLLOWERS 1000
#define HANDSHAKES_AT_ONCE 64
#define SAMPLES_MAX 4000000u
#define PUBLISHERS 100
#define VISIT_US 100000u /* one more connects under load */

typedef struct figures {
    bool is_there;
    double idle_bytes;
    double handshakes_per_s;
    double handshake_mean_ms;
    double deliver_p50_ms, deliver_p99_ms;
    double deliveries_per_s;
    double call_p50_ms, call_p99_ms;
    double answered; /* share of the calls */
    double sustain_per_s, sustain_worst_per_s;
    double arrived; /* share of what was published */
    double visit_p50_ms, visit_max_ms;
    double publish_per_s;
    double one_per_s;
} figures;

typedef struct client {
    necpnet_web_connection* connection;
    uint64_t began_us;
    uint64_t called_us;
    uint32_t under_way;
    bool is_visitor; /* opens, says hello, goes */
} client;

static struct {
    necpnet_web* web;
    client* clients;
    int connections;
    int seconds;
    int opened, answered, failed;
    double handshake_sum_us;
    uint64_t published_us; /* of the message on its way; 0: none */
    uint32_t arrived;
    uint32_t* samples;
    uint32_t sample_count;
    uint64_t published; /* the number of the next message: no two are the same */
    uint64_t delivered;
    const char* topics; /* what publishers publish to, before their number */
    bool is_calling, is_publishing;
    int sustain;
    int port;
    client* visitor; /* on its way */
    int visits;
} bench;

static void fail(const char* what)
{
    fprintf(stderr, "gateway: %s\n", what);
    exit(1);
}

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* ---- the servers ---- */

typedef struct process {
    pid_t pid;
    int port;
} process;

static process start(char* const* arguments, bool from_ready, const char* ready)
{
    process started = {0, 0};
    int pipes[2];
    char line[512];
    if (pipe(pipes)) fail("pipe");
    started.pid = fork();
    if (started.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* no server outlives the bench */
        pin(0);
        dup2(pipes[1], 1);
        close(pipes[0]);
        close(pipes[1]);
        if (!freopen("/dev/null", "w", stderr)) _exit(127);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    close(pipes[1]);
    for (int i = 0; i < 500 && !started.port; i++) {
        if (from_ready) {
            FILE* file = fopen(ready, "r");
            if (file && fgets(line, sizeof line, file)) {
                const char* at = strstr(line, "\"tcp_port\":");
                if (at) started.port = atoi(at + 11);
            }
            if (file) fclose(file);
            usleep(20000);
        } else {
            FILE* file = fdopen(pipes[0], "r");
            if (file && fgets(line, sizeof line, file)) started.port = atoi(line);
            if (file) fclose(file);
            return started;
        }
        if (waitpid(started.pid, NULL, WNOHANG) == started.pid) break;
    }
    close(pipes[0]);
    return started;
}

static void stop(const process* started)
{
    kill(started->pid, SIGKILL);
    waitpid(started->pid, NULL, 0);
}

static double memory_of(pid_t pid)
{
    char path[64], line[256];
    double kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE* file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "RssAnon:", 8) == 0) kilobytes = atof(line + 8);
    }
    if (file) fclose(file);
    return kilobytes * 1024;
}

/* ---- the clients ---- */

static void say(client* at, const char* text)
{
    if (necpnet_web_send(at->connection, NECPNET_WEB_TEXT, text, strlen(text))) bench.failed++;
}

static void publish(client* at)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"event.publish\",\"params\":{\"topic\":\"game.%s%d\",\"type\":"
             "\"game.action\","
             "\"data\":{\"action\":\"move %llu\"}}}",
             bench.topics, (int)(at - bench.clients) % PUBLISHERS, (unsigned long long)bench.published++);
    at->under_way++;
    say(at, text);
}

static void on_open(necpnet_web_connection* connection, void* user)
{
    client* at = necpnet_web_get_user_data(connection);
    (void)user;
    if (at->is_visitor) {
        bench.samples[bench.sample_count++] = (uint32_t)(necpnet_time_us() - at->began_us);
    } else {
        bench.opened++;
        bench.handshake_sum_us += (double)(necpnet_time_us() - at->began_us);
    }
    say(at, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.hello\",\"params\":{}}");
}

static void take_sample(uint64_t since_us)
{
    if (bench.sample_count < SAMPLES_MAX)
        bench.samples[bench.sample_count++] = (uint32_t)(necpnet_time_us() - since_us);
}

static void on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data, size_t bytes,
                       void* user)
{
    client* at = necpnet_web_get_user_data(connection);
    (void)kind;
    (void)user;
    if (bytes > 40 && memcmp(data, "{\"jsonrpc\":\"2.0\",\"method\"", 25) == 0) {
        bench.arrived++;
        bench.delivered++;
        if (bench.published_us) take_sample(bench.published_us);
        return;
    }
    if (bytes > 30 && memcmp(data, "{\"jsonrpc\":\"2.0\",\"error\"", 24) == 0) fail((const char*)data);
    if (at->is_visitor) { /* it said hello: that was all */
        bench.visitor = NULL;
        (void)necpnet_web_close(connection, 1000, NULL);
        return;
    }
    bench.answered++;
    if (bench.is_calling && at->called_us) {
        take_sample(at->called_us);
        at->called_us = 0;
    }
    if (at->under_way) {
        at->under_way--;
        if (bench.is_publishing) publish(at);
    }
}

static void on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason, void* user)
{
    const client* at = necpnet_web_get_user_data(connection);
    (void)code;
    (void)text;
    (void)reason;
    (void)user;
    if (!at->is_visitor || bench.visitor == at) bench.failed++;
}

static void step(uint64_t wait_us)
{
    (void)necpnet_web_wait(bench.web, wait_us);
    (void)necpnet_web_update(bench.web, necpnet_time_us());
}

static void flush_clients(void)
{
    (void)necpnet_web_update(bench.web, necpnet_time_us());
}

static void connect_all(int port)
{
    char url[96];
    int begun = 0;
    uint64_t end_us = necpnet_time_us() + 60000000;
    while (bench.answered < bench.connections && necpnet_time_us() < end_us) {
        while (begun < bench.connections && begun - bench.answered < HANDSHAKES_AT_ONCE) {
            client* at = &bench.clients[begun];
            snprintf(url, sizeof url, "ws://127.0.0.1:%d/ws?player=b%d&role=service", port, begun);
            at->began_us = necpnet_time_us();
            if (necpnet_web_connect(bench.web, url, "jsonrpc2.necpnet", at, &at->connection)) fail("connect");
            begun++;
        }
        step(2000);
        if (bench.failed) fail("a connection failed; is `ulimit -n` above 2 x connections?");
    }
    if (bench.answered < bench.connections) fail("not all connections came up");
}

/* ---- figures ---- */

static int compare(const void* a, const void* b)
{
    uint32_t left = *(const uint32_t*)a, right = *(const uint32_t*)b;
    return (left > right) - (left < right);
}

static double percentile_ms(double share)
{
    if (bench.sample_count == 0) return 0;
    return bench.samples[(uint32_t)((bench.sample_count - 1) * share)] / 1000.0;
}

static void measure_deliveries(figures* out)
{
    int followers = bench.connections - 1 < FOLLOWERS ? bench.connections - 1 : FOLLOWERS;
    int expected = bench.answered + followers;
    for (int i = 1; i <= followers; i++) {
        say(&bench.clients[i],
            "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"topic.subscribe\",\"params\":{\"topic\":\"game.fan\"}}");
    }
    while (bench.answered < expected) step(2000);
    bench.sample_count = 0;
    uint64_t began_us = necpnet_time_us(), end_us = began_us + (uint64_t)bench.seconds * 1000000;
    uint32_t all = 0;
    while (necpnet_time_us() < end_us) {
        uint64_t next_us = necpnet_time_us() + 10000;
        bench.arrived = 0;
        bench.published_us = necpnet_time_us();
        say(&bench.clients[0],
            "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"event.publish\",\"params\":{\"topic\":\"game.fan\",\"type\":"
            "\"game.action\",\"data\":{\"action\":\"a message of the usual size, some hundred bytes of it\"}}}");
        flush_clients();
        while (bench.arrived < (uint32_t)followers) step(2000);
        all += bench.arrived;
        while (necpnet_time_us() < next_us) step(next_us - necpnet_time_us());
    }
    bench.published_us = 0;
    out->deliveries_per_s = all * 1e6 / (double)(necpnet_time_us() - began_us);
    qsort(bench.samples, bench.sample_count, sizeof *bench.samples, compare);
    out->deliver_p50_ms = percentile_ms(0.5);
    out->deliver_p99_ms = percentile_ms(0.99);
}

static void measure_calls(figures* out)
{
    int before = bench.answered;
    bench.sample_count = 0;
    bench.is_calling = true;
    for (int second = 0; second < bench.seconds; second++) {
        uint64_t began_us = necpnet_time_us();
        for (int slice = 0; slice < 100; slice++) { /* spread over the second */
            int from = bench.connections * slice / 100, to = bench.connections * (slice + 1) / 100;
            for (int i = from; i < to; i++) {
                bench.clients[i].called_us = necpnet_time_us();
                say(&bench.clients[i],
                    "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"presence.get\",\"params\":{\"players\":[\"b1\"]}}");
            }
            flush_clients();
            uint64_t next_us = began_us + (uint64_t)(slice + 1) * 10000;
            while (necpnet_time_us() < next_us) step(next_us - necpnet_time_us());
        }
    }
    for (uint64_t rest_us = necpnet_time_us() + 1000000;
         bench.answered - before < bench.connections * bench.seconds && necpnet_time_us() < rest_us;) {
        step(2000);
    }
    bench.is_calling = false;
    out->answered = (double)(bench.answered - before) / ((double)bench.connections * bench.seconds);
    qsort(bench.samples, bench.sample_count, sizeof *bench.samples, compare);
    out->call_p50_ms = percentile_ms(0.5);
    out->call_p99_ms = percentile_ms(0.99);
}

/* One more connects, says hello and goes, while the others publish. */
static void visit(void)
{
    char url[96];
    client* at = &bench.clients[bench.connections + bench.visits % (CONNECTIONS_MAX - bench.connections)];
    if (bench.visitor) return; /* the last one is not through yet */
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/ws?player=v%d&role=service", bench.port, bench.visits++);
    bench.visitor = at;
    at->is_visitor = true;
    at->began_us = necpnet_time_us();
    if (necpnet_web_connect(bench.web, url, "jsonrpc2.necpnet", at, &at->connection)) fail("connect under load");
}

static void begin_publishing(const char* topics, int publishers, int under_way)
{
    bench.topics = topics;
    bench.is_publishing = true;
    for (int i = 0; i < publishers && i < bench.connections; i++) {
        for (int k = 0; k < under_way; k++) publish(&bench.clients[i]);
    }
    for (uint64_t warm_us = necpnet_time_us() + 500000; necpnet_time_us() < warm_us;) step(2000);
}

static void end_publishing(void)
{
    bench.is_publishing = false;
    for (uint64_t rest_us = necpnet_time_us() + 300000; necpnet_time_us() < rest_us;) step(2000);
}

static double measure_publish(int publishers, int under_way)
{
    begin_publishing("t", publishers, under_way);
    int before = bench.answered;
    uint64_t began_us = necpnet_time_us(), end_us = began_us + (uint64_t)bench.seconds * 1000000;
    while (necpnet_time_us() < end_us) step(2000);
    double rate = (bench.answered - before) * 1e6 / (double)(necpnet_time_us() - began_us);
    end_publishing();
    return rate;
}

static void measure_sustain(figures* out)
{
    int followed = bench.answered + PUBLISHERS;
    for (int i = 0; i < PUBLISHERS; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"topic.subscribe\",\"params\":{\"topic\":\"game.f%d\"}}",
                 i);
        say(&bench.clients[PUBLISHERS + i], text);
    }
    while (bench.answered < followed) step(2000);
    bench.sample_count = 0;
    uint64_t first = bench.published, delivered = bench.delivered;
    begin_publishing("f", PUBLISHERS, 16);
    int before = bench.answered;
    uint64_t began_us = necpnet_time_us(), visit_us = began_us;
    out->sustain_worst_per_s = 1e12;
    for (int second = 0; second < bench.sustain; second++) {
        int from = bench.answered;
        uint64_t from_us = necpnet_time_us(), end_us = began_us + (uint64_t)(second + 1) * 1000000;
        while (necpnet_time_us() < end_us) {
            step(2000);
            if (necpnet_time_us() < visit_us) continue;
            visit_us += VISIT_US;
            visit();
        }
        double rate = (bench.answered - from) * 1e6 / (double)(necpnet_time_us() - from_us);
        if (rate < out->sustain_worst_per_s) out->sustain_worst_per_s = rate;
    }
    out->sustain_per_s = (bench.answered - before) * 1e6 / (double)(necpnet_time_us() - began_us);
    end_publishing();
    for (uint64_t rest_us = necpnet_time_us() + 2000000; bench.visitor && necpnet_time_us() < rest_us;) step(2000);
    if (bench.failed || bench.visitor) fail("a connection failed under load");
    out->arrived = (double)(bench.delivered - delivered) / (double)(bench.published - first);
    qsort(bench.samples, bench.sample_count, sizeof *bench.samples, compare);
    out->visit_p50_ms = percentile_ms(0.5);
    out->visit_max_ms = percentile_ms(1);
}

static figures measure(const process* server)
{
    figures out;
    necpnet_web_config config;
    memset(&out, 0, sizeof out);
    out.is_there = true;
    bench.port = server->port;
    bench.delivered = bench.published = 0;
    bench.visitor = NULL;
    bench.visits = 0;
    bench.opened = bench.answered = bench.failed = 0;
    bench.handshake_sum_us = 0;
    memset(bench.clients, 0, CONNECTIONS_MAX * sizeof *bench.clients);
    if (necpnet_web_config_default(&config)) fail("config");
    config.handlers.on_open = on_open;
    config.handlers.on_message = on_message;
    config.handlers.on_close = on_close;
    config.connections_max = CONNECTIONS_MAX;
    if (necpnet_web_create(&config, &bench.web)) fail("web");
    double before = memory_of(server->pid);
    uint64_t began_us = necpnet_time_us();
    connect_all(server->port);
    out.handshakes_per_s = bench.connections * 1e6 / (double)(necpnet_time_us() - began_us);
    out.handshake_mean_ms = bench.handshake_sum_us / bench.connections / 1000;
    for (uint64_t rest_us = necpnet_time_us() + 500000; necpnet_time_us() < rest_us;) step(10000);
    out.idle_bytes = (memory_of(server->pid) - before) / bench.connections;
    measure_deliveries(&out);
    measure_calls(&out);
    measure_sustain(&out);
    out.publish_per_s = measure_publish(PUBLISHERS, 16);
    out.one_per_s = measure_publish(1, 64);
    necpnet_web_destroy(bench.web);
    return out;
}

/* ---- what it prints ---- */

typedef enum goal_kind { GOAL_NONE, GOAL_AT_MOST, GOAL_AT_LEAST } goal_kind;

enum { OURS, LIBWEBSOCKETS, WS, SERVERS };

static const char* const server_names[SERVERS] = {"necpnet-server", "libwebsockets", "ws"};

typedef struct row {
    const char* name;
    const char* unit;
    size_t at; /* in figures */
    bool more_is_better;
    goal_kind goal;
    double bound;
} row;

#define AT(field) offsetof(figures, field)

static const row rows[] = {
    {"memory a connection", "bytes", AT(idle_bytes), false, GOAL_AT_MOST, 2048},
    {"handshakes", "1/s", AT(handshakes_per_s), true, GOAL_NONE, 0},
    {"handshake mean", "ms", AT(handshake_mean_ms), false, GOAL_AT_MOST, 5},
    {"delivery to 1000 p50", "ms", AT(deliver_p50_ms), false, GOAL_NONE, 0},
    {"delivery to 1000 p99", "ms", AT(deliver_p99_ms), false, GOAL_AT_MOST, 10},
    {"deliveries", "1/s", AT(deliveries_per_s), true, GOAL_NONE, 0},
    {"all active: answered", "share", AT(answered), true, GOAL_AT_LEAST, 1},
    {"all active: call p50", "ms", AT(call_p50_ms), false, GOAL_NONE, 0},
    {"all active: call p99", "ms", AT(call_p99_ms), false, GOAL_NONE, 0},
    {"sustained publishing", "1/s", AT(sustain_per_s), true, GOAL_AT_LEAST, 100000},
    {"its worst second", "1/s", AT(sustain_worst_per_s), true, GOAL_AT_LEAST, 100000},
    {"arrived at its follower", "share", AT(arrived), true, GOAL_AT_LEAST, 1},
    {"connecting meanwhile p50", "ms", AT(visit_p50_ms), false, GOAL_NONE, 0},
    {"connecting meanwhile worst", "ms", AT(visit_max_ms), false, GOAL_AT_MOST, 50},
    {"publishing, no follower", "1/s", AT(publish_per_s), true, GOAL_NONE, 0},
    {"publishing, one connection", "1/s", AT(one_per_s), true, GOAL_AT_LEAST, 1000},
};

static double value_of(const figures* of, const row* which)
{
    double value = 0;
    if (of->is_there) memcpy(&value, (const char*)of + which->at, sizeof value);
    return value;
}

static void print_line(const row* which, double ours, const char* peer, double theirs)
{
    printf("{\"bench\":\"gateway\",\"case\":\"%d connections\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f",
           bench.connections, which->name, which->unit, ours);
    if (peer && theirs > 0 && ours > 0) {
        printf(",\"peer\":\"%s\",\"theirs\":%.3f,\"ratio\":%.2f", peer, theirs,
               which->more_is_better ? ours / theirs : theirs / ours);
    }
    printf("}\n");
}

static void print_all(const figures* of)
{
    char title[64];
    size_t count = sizeof rows / sizeof rows[0];
    snprintf(title, sizeof title, "%d connections, sustained %d s", bench.connections, bench.sustain);
    printf("%-34s", title);
    for (int i = 0; i < SERVERS; i++) printf(" %14s", server_names[i]);
    printf("  %s\n", "goal");
    for (size_t i = 0; i < count; i++) {
        double ours = value_of(&of[OURS], &rows[i]);
        bool is_met = rows[i].goal == GOAL_AT_MOST ? ours <= rows[i].bound : ours >= rows[i].bound;
        printf("%-28s %-5s", rows[i].name, rows[i].unit);
        for (int k = 0; k < SERVERS; k++) {
            if (of[k].is_there) {
                printf(" %14.3f", value_of(&of[k], &rows[i]));
            } else {
                printf(" %14s", "-");
            }
        }
        if (rows[i].goal) {
            printf("  %s %.0f: %s", rows[i].goal == GOAL_AT_MOST ? "<=" : ">=", rows[i].bound,
                   is_met ? "ok" : "missed");
        }
        printf("\n");
    }
    for (size_t i = 0; i < count; i++) {
        double ours = value_of(&of[OURS], &rows[i]);
        bool is_compared = false;
        for (int k = LIBWEBSOCKETS; k < SERVERS; k++) {
            if (value_of(&of[k], &rows[i]) <= 0) continue;
            print_line(&rows[i], ours, server_names[k], value_of(&of[k], &rows[i]));
            is_compared = true;
        }
        if (rows[i].goal || !is_compared) print_line(&rows[i], ours, rows[i].goal ? "goal" : NULL, rows[i].bound);
    }
}

static void measure_peer(figures* out, const char* name, char* const* command)
{
    process started = start(command, false, NULL);
    if (started.port) {
        *out = measure(&started);
    } else {
        fprintf(stderr, "gateway: no peer %s\n", name);
    }
    stop(&started);
}

static void read_arguments(int count, char** words, char* path, size_t path_bytes, bool* peers)
{
    snprintf(path, path_bytes, "%s", words[0]);
    char* slash = strrchr(path, '/');
    snprintf(slash ? slash : path, (size_t)(path + path_bytes - (slash ? slash : path)), "/../bin/necpnet-server");
    bench.connections = 10000;
    bench.seconds = 5;
    bench.sustain = 60;
    *peers = true;
    if (count % 2 == 0) fail("each option has a value; see the head of bench/gateway.c");
    for (int i = 1; i + 1 < count; i += 2) {
        int number = atoi(words[i + 1]);
        if (strcmp(words[i], "--server") == 0) {
            snprintf(path, path_bytes, "%s", words[i + 1]);
        } else if (strcmp(words[i], "--connections") == 0) {
            bench.connections = number;
        } else if (strcmp(words[i], "--seconds") == 0) {
            bench.seconds = number;
        } else if (strcmp(words[i], "--sustain") == 0) {
            bench.sustain = number;
        } else if (strcmp(words[i], "--peers") == 0) {
            *peers = number != 0;
        } else if (strcmp(words[i], "--short") == 0) {
            bench.connections = 300;
            bench.seconds = bench.sustain = 1;
        } else {
            fail("an unknown option; see the head of bench/gateway.c");
        }
    }
    if (bench.connections < 2 * PUBLISHERS || bench.connections > CONNECTIONS_MAX - 100)
        fail("--connections 200 .. 15900");
    if (bench.seconds < 1 || bench.sustain < 1) fail("--seconds and --sustain: 1 ..");
}

int main(int argument_count, char** arguments)
{
    char path[4096], ready[64];
    bool peers;
    figures of[SERVERS];
    if (argument_count == 2 && strcmp(arguments[1], "--serve") == 0) return peer_serve();
    read_arguments(argument_count, arguments, path, sizeof path, &peers);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    bench.clients = (client*)calloc(CONNECTIONS_MAX, sizeof *bench.clients);
    bench.samples = (uint32_t*)malloc(SAMPLES_MAX * sizeof *bench.samples);
    if (!bench.clients || !bench.samples) fail("memory");
    pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
    snprintf(ready, sizeof ready, "/tmp/necpnet-gateway-%d", (int)getpid());
    char* const server[] = {path,    "--port",       "0",       "--udp-port",
                            "-1",    "--bots",       "0",       "--log-level",
                            "off",   "--ready-file", ready,     "--rpc-connections-max",
                            "20000", "--rpc-rate",   "1000000", NULL};
    memset(of, 0, sizeof of);
    process started = start(server, true, ready);
    if (!started.port) fail("necpnet-server did not start; --server PATH");
    of[OURS] = measure(&started);
    stop(&started);
    unlink(ready);
    if (peers) {
        char* const websockets[] = {arguments[0], "--serve", NULL};
        char* const node[] = {"node", "bench/gateway_peer.mjs", NULL};
        measure_peer(&of[LIBWEBSOCKETS], "libwebsockets: it or cJSON was not there when this was built", websockets);
        measure_peer(&of[WS], "ws: node with it is wanted (tests/e2e/node_modules), and the root of the repository",
                     node);
    }
    print_all(of);
    free(bench.clients);
    free(bench.samples);
    return 0;
}

#else

int main(void)
{
    printf("gateway: measured on Linux alone\n");
    return 0;
}

#endif
