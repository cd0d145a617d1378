/* bench/signal - signalling of WebRTC through necpnet-server, a process of its own, over WebSockets on loopback:
 *
 *     connect    5,000 users connect and say hello, 64 at a time; the server's memory before and after
 *     join       each joins one of 500 channels of ten: from the call to its answer, 16 at a time
 *     signal     10,000 messages a second, spread evenly, for --seconds: an offer of 2.6 KB, an answer, and ten candidates in turn,
 *                each from one user to another of its channel; from sending to arrival. Late ones count as late: the pace does
 *                not wait for answers
 *     most       as many as get through: 2,000 users send the next when the one before has arrived; and the server's processor time
 *                for one of them, which a loaded machine does not change
 *     memory     of the server's process, a user who is in a channel and has signalled
 *
 * The client shares the machine with the server: times contain its own work. The goals are those of the signalling service.
 *
 *     signal [--server PATH] [--users N] [--seconds S] [--rate N]
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better than the goal.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define USERS_MAX 16000
#define CHANNEL 10
#define AT_ONCE 64
#define JOINS_AT_ONCE 16
#define SENDERS 2000
#define SAMPLES_MAX 4000000u

typedef struct user {
    necpnet_web_connection* connection;
    uint64_t began_us;
    uint32_t turn;
} user;

typedef struct row {
    const char* name;
    const char* unit;
    double ours, goal;
    bool more_is_better;
} row;

static struct {
    necpnet_web* web;
    pid_t server;
    user* users;
    int count;
    int seconds;
    int rate;
    int answered;
    uint64_t sent, arrived, late;
    bool is_joining, is_chasing, is_over;
    double connect_sum_us;
    uint32_t* samples;
    uint32_t sample_count;
    char sdp[4096];
    row rows[16];
    int row_count;
} bench;

static void fail(const char* what)
{
    fprintf(stderr, "signal: %s\n", what);
    if (bench.server) kill(bench.server, SIGKILL);
    exit(1);
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

/* Processor time that a process has used. */
static double processor_us_of(pid_t pid)
{
    char path[64], line[1024];
    unsigned long user_ticks = 0, system_ticks = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE* file = fopen(path, "r");
    const char* at = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file) fclose(file);
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user_ticks, &system_ticks) != 2)
        return 0;
    return (double)(user_ticks + system_ticks) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the server ---- */

static pid_t start(char* const* arguments, const char* ready, int* out_port)
{
    char line[512];
    *out_port = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)) _exit(127);
        execv(arguments[0], arguments);
        _exit(127);
    }
    bench.server = pid;
    for (int i = 0; i < 500 && !*out_port; i++) {
        FILE* file = fopen(ready, "r");
        if (file && fgets(line, sizeof line, file)) {
            const char* at = strstr(line, "\"tcp_port\":");
            if (at) *out_port = atoi(at + 11);
        }
        if (file) fclose(file);
        if (waitpid(pid, NULL, WNOHANG) == pid) fail("necpnet-server ended; --server PATH");
        usleep(20000);
    }
    if (!*out_port) fail("necpnet-server did not start");
    return pid;
}

/* One request of a developer; the answer is 2xx. */
static void post(int port, const char* path, const char* body)
{
    char text[1024];
    struct sockaddr_in to;
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = socket(AF_INET, SOCK_STREAM, 0);
    if (one < 0 || connect(one, (const struct sockaddr*)&to, sizeof to)) fail("connect");
    int bytes = snprintf(text, sizeof text,
                         "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                         "%zu\r\n\r\n%s",
                         path, strlen(body), body);
    if (write(one, text, (size_t)bytes) != bytes) fail("write");
    ssize_t got = read(one, text, sizeof text - 1);
    text[got > 0 ? got : 0] = 0;
    close(one);
    if (strncmp(text, "HTTP/1.1 2", 10) != 0) fail(text);
}

/* ---- the users ---- */

static void say(user* at, const char* text)
{
    if (necpnet_web_send(at->connection, NECPNET_WEB_TEXT, text, strlen(text))) fail("send");
}

static void on_open(necpnet_web_connection* connection, void* context)
{
    user* at = necpnet_web_get_user_data(connection);
    (void)context;
    say(at, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.hello\",\"params\":{}}");
}

static void take_sample(uint64_t since_us)
{
    uint64_t spent_us = necpnet_time_us() - since_us;
    if (bench.sample_count < SAMPLES_MAX) bench.samples[bench.sample_count++] = (uint32_t)spent_us;
    if (spent_us > 25000) bench.late++;
}

/* The next message of a user, to one beside it in its channel. Its session tells when it was due. */
static void signal_one(int index, uint64_t due_us)
{
    static char text[8192];
    static const char* const types[] = {"offer", "answer", "candidate"};
    user* at = &bench.users[index];
    uint32_t turn = at->turn++ % 12;
    int type = turn == 0 ? 0 : turn == 1 ? 1 : 2;
    int to = index / CHANNEL * CHANNEL + (index % CHANNEL + 1 + (int)(at->turn / 12) % (CHANNEL - 1)) % CHANNEL;
    int bytes = snprintf(text, sizeof text,
                         "{\"jsonrpc\":\"2.0\",\"method\":\"voice.signal\",\"params\":{\"type\":\"%s\",\"session_id\":"
                         "\"t%llu\",\"from_user_id\":\"u%d\",\"to_user_id\":\"u%d\",\"channel_id\":\"c%d\",\"%s\":",
                         types[type], (unsigned long long)due_us, index, to, index / CHANNEL, types[type]);
    if (type == 2) {
        bytes += snprintf(text + bytes, sizeof text - (size_t)bytes,
                          "{\"candidate\":\"candidate:1467250027 1 udp 2122260223 192.168.0.196 46243 typ host "
                          "generation 0 ufrag 4ZcD network-id 1\",\"sdpMid\":\"0\",\"sdpMLineIndex\":0}}}");
    } else {
        bytes += snprintf(text + bytes, sizeof text - (size_t)bytes, "{\"type\":\"%s\",\"sdp\":\"%s\"}}}", types[type],
                          bench.sdp);
    }
    if (necpnet_web_send(at->connection, NECPNET_WEB_TEXT, text, (size_t)bytes)) fail("send");
    bench.sent++;
}

static void join(user* at)
{
    char text[160];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"voice.join\",\"params\":{\"channel_id\":\"c%d\"}}",
             (int)(at - bench.users) / CHANNEL);
    say(at, text);
}

static void on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data, size_t bytes,
                       void* context)
{
    user* at = necpnet_web_get_user_data(connection);
    const char* text = (const char*)data;
    (void)kind;
    (void)context;
    if (bytes > 40 && memcmp(text, "{\"jsonrpc\":\"2.0\",\"method\":\"voice.signal\"", 40) == 0) {
        const char* session = memmem(text, bytes, "\"session_id\":\"t", 15);
        if (!session) fail("a signal without its session");
        bench.arrived++;
        take_sample(strtoull(session + 15, NULL, 10));
        if (bench.is_chasing) signal_one((int)(at - bench.users), necpnet_time_us());
        return;
    }
    if (bench.is_joining &&
        memmem(text, bytes, "-32006", 6)) { /* the store is behind; what it costs is part of the join */
        join(at);
        return;
    }
    if (memmem(text, bytes, "\"error\"", 7)) fail(text);
    bench.answered++;
    if (bench.is_joining) {
        take_sample(at->began_us);
    } else {
        bench.connect_sum_us += (double)(necpnet_time_us() - at->began_us);
    }
}

static void on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason,
                     void* context)
{
    (void)connection;
    (void)code;
    (void)context;
    (void)reason;
    if (bench.is_over) return;
    fail(text && text[0] ? text : "a connection ended; is `ulimit -n` above 2 x users?");
}

static void step(uint64_t wait_us)
{
    (void)necpnet_web_wait(bench.web, wait_us);
    (void)necpnet_web_update(bench.web, necpnet_time_us());
}

static void run_until_answered(int wanted)
{
    uint64_t end_us = necpnet_time_us() + 60000000;
    while (bench.answered < wanted) {
        step(2000);
        if (necpnet_time_us() > end_us) fail("answers do not come");
    }
}

static void connect_all(int port)
{
    char url[96];
    for (int begun = 0; begun < bench.count;) {
        while (begun < bench.count && begun - bench.answered < AT_ONCE) {
            user* at = &bench.users[begun];
            snprintf(url, sizeof url, "ws://127.0.0.1:%d/ws?player=u%d", port, begun++);
            at->began_us = necpnet_time_us();
            if (necpnet_web_connect(bench.web, url, "jsonrpc2.necpnet", at, &at->connection)) fail("connect");
        }
        step(2000);
    }
    run_until_answered(bench.count);
}

static void join_all(void)
{
    bench.is_joining = true;
    bench.answered = 0;
    for (int begun = 0; begun < bench.count;) {
        while (begun < bench.count && begun - bench.answered < JOINS_AT_ONCE) {
            user* at = &bench.users[begun++];
            at->began_us = necpnet_time_us();
            join(at);
        }
        step(2000);
    }
    run_until_answered(bench.count);
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
    qsort(bench.samples, bench.sample_count, sizeof *bench.samples, compare);
    return bench.samples[(uint32_t)((bench.sample_count - 1) * share)] / 1000.0;
}

static void begin_samples(void)
{
    bench.sample_count = 0;
    bench.sent = bench.arrived = bench.late = 0;
}

/* So many a second, whether the earlier ones have arrived or not. Returns how many arrived a second. */
static double signal_paced(void)
{
    uint64_t began_us = necpnet_time_us(), total = (uint64_t)bench.rate * (uint64_t)bench.seconds;
    begin_samples();
    while (bench.sent < total) {
        uint64_t now_us = necpnet_time_us();
        uint64_t due = (now_us - began_us) * (uint64_t)bench.rate / 1000000;
        while (bench.sent < due && bench.sent < total) {
            uint64_t due_us = began_us + bench.sent * 1000000 / (uint64_t)bench.rate;
            signal_one((int)(bench.sent * 7919 % (uint64_t)bench.count), due_us);
        }
        (void)necpnet_web_update(bench.web, necpnet_time_us());
        step(200);
    }
    uint64_t end_us = necpnet_time_us() + 5000000;
    while (bench.arrived < total && necpnet_time_us() < end_us) step(1000);
    if (bench.arrived < total) fail("signals were lost");
    return (double)bench.arrived * 1e6 / (double)(necpnet_time_us() - began_us);
}

static double signal_most(void)
{
    begin_samples();
    bench.is_chasing = true;
    for (int i = 0; i < SENDERS && i < bench.count; i++) signal_one(i, necpnet_time_us());
    uint64_t began_us = necpnet_time_us(), end_us = began_us + (uint64_t)bench.seconds * 1000000;
    while (necpnet_time_us() < end_us) step(2000);
    bench.is_chasing = false;
    return (double)bench.arrived * 1e6 / (double)(necpnet_time_us() - began_us);
}

static void make_sdp(void)
{
    static const char head[] =
        "v=0\\r\\no=- 4611731400430051336 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\na=group:BUNDLE "
        "0\\r\\nm=audio 9 UDP/TLS/RTP/SAVPF 111\\r\\nc=IN IP4 0.0.0.0\\r\\na=ice-ufrag:4ZcD\\r\\n"
        "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlAl\\r\\na=setup:actpass\\r\\na=mid:0\\r\\n";
    size_t bytes = sizeof head - 1;
    memcpy(bench.sdp, head, sizeof head);
    for (int i = 0; bytes < 2500; i++) {
        bytes += (size_t)snprintf(bench.sdp + bytes, sizeof bench.sdp - bytes,
                                  "a=extmap:%d urn:ietf:params:rtp-hdrext:ssrc-audio-level\\r\\n", i % 14 + 1);
    }
}

static void print_one(const char* name, const char* unit, double ours, double goal, bool more_is_better)
{
    printf("{\"bench\":\"signal\",\"case\":\"%d users\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f", bench.count,
           name, unit, ours);
    if (goal > 0) {
        printf(",\"peer\":\"goal\",\"theirs\":%.3f,\"ratio\":%.2f}\n", goal,
               more_is_better ? ours / goal : goal / ours);
    } else {
        printf(",\"peer\":null,\"theirs\":null,\"ratio\":null}\n");
    }
}

static void add_row(const char* name, const char* unit, double ours, double goal, bool more_is_better)
{
    bench.rows[bench.row_count++] = (row){name, unit, ours, goal, more_is_better};
}

static void measure(pid_t pid, int port)
{
    char body[160];
    necpnet_web_config config;
    double before = memory_of(pid);
    if (necpnet_web_config_default(&config)) fail("config");
    config.handlers.on_open = on_open;
    config.handlers.on_message = on_message;
    config.handlers.on_close = on_close;
    config.connections_max = USERS_MAX;
    if (necpnet_web_create(&config, &bench.web)) fail("web");
    for (int i = 0; i * CHANNEL < bench.count; i++) {
        snprintf(body, sizeof body, "{\"name\":\"Party %d\",\"type\":\"global\",\"id\":\"c%d\"}", i, i);
        post(port, "/api/v1/voice-channels", body);
    }
    connect_all(port);
    add_row("connect and hello, mean", "ms", bench.connect_sum_us / bench.count / 1000, 100, false);
    begin_samples();
    join_all();
    add_row("join p50", "ms", percentile_ms(0.5), 0, false);
    add_row("join p99", "ms", percentile_ms(0.99), 100, false);
    add_row("signals, paced", "1/s", signal_paced(), bench.rate, true);
    add_row("signal p50, paced", "ms", percentile_ms(0.5), 0, false);
    add_row("signal p99, paced", "ms", percentile_ms(0.99), 25, false);
    add_row("memory a user", "KB", (memory_of(pid) - before) / bench.count / 1000, 50, false);
    double used_us = processor_us_of(pid);
    add_row("signals, most", "1/s", signal_most(), 10000, true);
    used_us = (processor_us_of(pid) - used_us) / (double)bench.arrived;
    add_row("signal p99, most", "ms", percentile_ms(0.99), 0, false);
    add_row("processor time a signal", "us", used_us, 100, false); /* 100: a core has no more for 10,000 a second */
    printf("%-26s %-4s %12s %12s\n", "", "", "ours", "goal");
    for (int i = 0; i < bench.row_count; i++)
        printf("%-26s %-4s %12.3f %12.3f\n", bench.rows[i].name, bench.rows[i].unit, bench.rows[i].ours,
               bench.rows[i].goal);
    for (int i = 0; i < bench.row_count; i++)
        print_one(bench.rows[i].name, bench.rows[i].unit, bench.rows[i].ours, bench.rows[i].goal,
                  bench.rows[i].more_is_better);
    bench.is_over = true;
    necpnet_web_destroy(bench.web);
}

int main(int argument_count, char** arguments)
{
    char path[4096], ready[64];
    int port;
    snprintf(path, sizeof path, "%s", arguments[0]);
    char* slash = strrchr(path, '/');
    snprintf(slash ? slash : path, (size_t)(path + sizeof path - (slash ? slash : path)), "/../bin/necpnet-server");
    bench.count = 5000;
    bench.seconds = 5;
    bench.rate = 10000;
    for (int i = 1; i + 1 < argument_count; i += 2) {
        if (strcmp(arguments[i], "--server") == 0) snprintf(path, sizeof path, "%s", arguments[i + 1]);
        if (strcmp(arguments[i], "--users") == 0) bench.count = atoi(arguments[i + 1]) / CHANNEL * CHANNEL;
        if (strcmp(arguments[i], "--seconds") == 0) bench.seconds = atoi(arguments[i + 1]);
        if (strcmp(arguments[i], "--rate") == 0) bench.rate = atoi(arguments[i + 1]);
    }
    if (bench.count < CHANNEL || bench.count > USERS_MAX) fail("--users 10 .. 16000");
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    make_sdp();
    bench.users = calloc(USERS_MAX, sizeof *bench.users);
    bench.samples = malloc(SAMPLES_MAX * sizeof *bench.samples);
    if (!bench.users || !bench.samples) fail("memory");
    snprintf(ready, sizeof ready, "/tmp/necpnet-signal-%d", (int)getpid());
    char* const server[] = {
        path,    "--port",     "0",        "--udp-port",   "-1",  "--bots",  "0",       "--log-level",
        "off",   "--voice",    "channels", "--ready-file", ready, "--store", "memory:", "--rpc-connections-max",
        "20000", "--rpc-rate", "1000000",  "--rate-write", "0",   NULL};
    pid_t pid = start(server, ready, &port);
    measure(pid, port);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    unlink(ready);
    free(bench.users);
    free(bench.samples);
    return 0;
}
