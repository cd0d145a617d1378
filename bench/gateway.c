/* bench/gateway - necpnet-server as a JSON-RPC gateway, beside one written with Node's `ws` package (gateway_peer.mjs), each a process
 * of its own, in turn, from the same client process over loopback:
 *
 *     idle       N connections (10,000) that only said hello: memory of the server's process a connection, handshakes a second,
 *                mean time of a handshake (from connect to open, 64 at a time)
 *     deliver    1,000 of them follow a topic; one message each 10 ms: time from publishing to arrival, at all 1,000
 *     calls      all N call once a second (presence.get; the peer answers anything): time to the answer
 *     publish    100 connections publish as fast as they are answered, 16 under way each, to 100 topics that nobody follows
 *     one        one connection publishes, 64 under way
 *
 * The client shares the machine with the server: times contain its own work. Where node or `ws` is missing ours stand alone.
 *
 *     gateway [--server PATH] [--connections N] [--seconds S]
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16000
#define FOLLOWERS 1000
#define HANDSHAKES_AT_ONCE 64
#define SAMPLES_MAX 4000000u

typedef struct figures {
    double idle_bytes;
    double handshakes_per_s;
    double handshake_mean_ms;
    double deliver_p50_ms, deliver_p99_ms;
    double deliveries_per_s;
    double call_p50_ms, call_p99_ms;
    double publish_per_s;
    double one_per_s;
} figures;

typedef struct client {
    necpnet_web_connection* connection;
    uint64_t began_us;
    uint64_t called_us;
    uint32_t under_way;
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
    uint64_t answers;
    bool is_calling, is_publishing;
} bench;

static void fail(const char* what)
{
    fprintf(stderr, "gateway: %s\n", what);
    exit(1);
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
            break;
        }
        if (waitpid(started.pid, NULL, WNOHANG) == started.pid) break;
    }
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
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"event.publish\",\"params\":{\"topic\":\"game.t%d\",\"type\":"
             "\"game.action\","
             "\"data\":{\"action\":\"move %llu\"}}}",
             (int)(at - bench.clients) % 100, (unsigned long long)bench.answers);
    at->under_way++;
    say(at, text);
}

static void on_open(necpnet_web_connection* connection, void* user)
{
    client* at = necpnet_web_get_user_data(connection);
    (void)user;
    bench.opened++;
    bench.handshake_sum_us += (double)(necpnet_time_us() - at->began_us);
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
    bench.answers++;
    if (bytes > 40 && memcmp(data, "{\"jsonrpc\":\"2.0\",\"method\"", 25) == 0) {
        bench.arrived++;
        if (bench.published_us) take_sample(bench.published_us);
        return;
    }
    if (bytes > 30 && memcmp(data, "{\"jsonrpc\":\"2.0\",\"error\"", 24) == 0) fail((const char*)data);
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
    (void)connection;
    (void)code;
    (void)text;
    (void)reason;
    (void)user;
    bench.failed++;
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
    bench.is_calling = false;
    qsort(bench.samples, bench.sample_count, sizeof *bench.samples, compare);
    out->call_p50_ms = percentile_ms(0.5);
    out->call_p99_ms = percentile_ms(0.99);
}

static double measure_publish(int publishers, int under_way)
{
    bench.is_publishing = true;
    for (int i = 0; i < publishers && i < bench.connections; i++) {
        for (int k = 0; k < under_way; k++) publish(&bench.clients[i]);
    }
    uint64_t warm_us = necpnet_time_us() + 500000;
    while (necpnet_time_us() < warm_us) step(2000);
    int before = bench.answered;
    uint64_t began_us = necpnet_time_us(), end_us = began_us + (uint64_t)bench.seconds * 1000000;
    while (necpnet_time_us() < end_us) step(2000);
    double rate = (bench.answered - before) * 1e6 / (double)(necpnet_time_us() - began_us);
    bench.is_publishing = false;
    for (uint64_t rest_us = necpnet_time_us() + 300000; necpnet_time_us() < rest_us;) step(2000);
    return rate;
}

static figures measure(const process* server)
{
    figures out;
    necpnet_web_config config;
    memset(&out, 0, sizeof out);
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
    out.publish_per_s = measure_publish(100, 16);
    out.one_per_s = measure_publish(1, 64);
    necpnet_web_destroy(bench.web);
    return out;
}

static void print_line(const char* name, const char* unit, double ours, double theirs, bool more_is_better)
{
    printf("{\"bench\":\"gateway\",\"case\":\"%d connections\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f",
           bench.connections, name, unit, ours);
    if (theirs > 0 && ours > 0) {
        printf(",\"peer\":\"ws\",\"theirs\":%.3f,\"ratio\":%.2f", theirs,
               more_is_better ? ours / theirs : theirs / ours);
    }
    printf("}\n");
}

static void print_all(const figures* ours, const figures* theirs)
{
    const struct {
        const char* name;
        const char* unit;
        double ours, theirs;
        bool more_is_better;
    } rows[] = {
        {"memory a connection", "bytes", ours->idle_bytes, theirs->idle_bytes, false},
        {"handshakes", "1/s", ours->handshakes_per_s, theirs->handshakes_per_s, true},
        {"handshake mean", "ms", ours->handshake_mean_ms, theirs->handshake_mean_ms, false},
        {"delivery to 1000 p50", "ms", ours->deliver_p50_ms, theirs->deliver_p50_ms, false},
        {"delivery to 1000 p99", "ms", ours->deliver_p99_ms, theirs->deliver_p99_ms, false},
        {"deliveries", "1/s", ours->deliveries_per_s, theirs->deliveries_per_s, true},
        {"call p50, all active", "ms", ours->call_p50_ms, theirs->call_p50_ms, false},
        {"call p99, all active", "ms", ours->call_p99_ms, theirs->call_p99_ms, false},
        {"publish, 100 connections", "1/s", ours->publish_per_s, theirs->publish_per_s, true},
        {"publish, one connection", "1/s", ours->one_per_s, theirs->one_per_s, true},
    };
    printf("%-26s %-6s %14s %14s\n", "", "", "necpnet-server", "ws");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf("%-26s %-6s %14.3f %14.3f\n", rows[i].name, rows[i].unit, rows[i].ours, rows[i].theirs);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_line(rows[i].name, rows[i].unit, rows[i].ours, rows[i].theirs, rows[i].more_is_better);
    }
}

int main(int argument_count, char** arguments)
{
    char path[4096], ready[64];
    figures ours, theirs;
    snprintf(path, sizeof path, "%s", arguments[0]);
    char* slash = strrchr(path, '/');
    snprintf(slash ? slash : path, (size_t)(path + sizeof path - (slash ? slash : path)), "/../bin/necpnet-server");
    bench.connections = 10000;
    bench.seconds = 5;
    for (int i = 1; i + 1 < argument_count; i += 2) {
        if (strcmp(arguments[i], "--server") == 0) snprintf(path, sizeof path, "%s", arguments[i + 1]);
        if (strcmp(arguments[i], "--connections") == 0) bench.connections = atoi(arguments[i + 1]);
        if (strcmp(arguments[i], "--seconds") == 0) bench.seconds = atoi(arguments[i + 1]);
    }
    if (bench.connections < 2 || bench.connections > CONNECTIONS_MAX) fail("--connections 2 .. 16000");
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    bench.clients = calloc(CONNECTIONS_MAX, sizeof *bench.clients);
    bench.samples = malloc(SAMPLES_MAX * sizeof *bench.samples);
    if (!bench.clients || !bench.samples) fail("memory");
    snprintf(ready, sizeof ready, "/tmp/necpnet-gateway-%d", (int)getpid());
    char* const server[] = {path,    "--port",       "0",       "--udp-port",
                            "-1",    "--bots",       "0",       "--log-level",
                            "off",   "--ready-file", ready,     "--rpc-connections-max",
                            "20000", "--rpc-rate",   "1000000", NULL};
    process started = start(server, true, ready);
    if (!started.port) fail("necpnet-server did not start; --server PATH");
    ours = measure(&started);
    stop(&started);
    unlink(ready);
    memset(&theirs, 0, sizeof theirs);
    char* const peer[] = {"node", "bench/gateway_peer.mjs", NULL};
    started = start(peer, false, NULL);
    if (started.port) {
        theirs = measure(&started);
    } else {
        fprintf(stderr, "gateway: no peer: node with ws is wanted (NODE_PATH or tests/e2e/node_modules), and the root "
                        "of the repository\n");
    }
    stop(&started);
    print_all(&ours, &theirs);
    free(bench.clients);
    free(bench.samples);
    return 0;
}
