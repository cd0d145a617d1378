/* bench/crafting - crafting sessions of necpnet-server, each followed by a client of its own, over WebSocket (JSON) and over UDP (packets):
 *
 *     crafting [--server PATH] [--sessions N] [--hz N] [--seconds S] [--rounds N]
 *
 * Without --sessions: 10,000 at 10 Hz, then 1,000 at 60 Hz. What is measured: memory of the server's process a session, with its
 * connection and follower; how long an update is under way, from being made to being in the client's hands (both stamp it with one
 * clock); bytes a session and second; how much of what was due came; the share of a core that the server takes. The server runs on the first
 * core, all clients in this process on the last: their work is part of what is under way. Of the rounds the best counts.
 *
 * Output: a table for people, then one JSON line a figure; theirs is the goal of the service's description, ratio above 1 where ours
 * is better.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../examples/crafting.h"

#define SESSIONS_MAX 16000
#define AT_ONCE 64 /* handshakes */
#define SAMPLES_MAX 8000000u
#define MAKERS 4        /* processes that begin sessions over REST */
#define TURN_US 500000u /* in which each client over UDP is served, also without a packet */
#define PATIENCE_US 120000000u
#define TOKEN_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

typedef struct figures {
    double memory_bytes; /* a session */
    double p50_ms, p99_ms;
    double bytes_per_s; /* a session */
    double share;       /* of what was due */
    double core;
} figures;

/* A client over UDP; its transport is a socket of its own. */
typedef struct client {
    necpnet_client* udp;
    necpnet_transport transport;
    necpnet_sink sink;
    int fd;
    int index;
    uint64_t resolves; /* a request whose answer is due; 0: none */
    uint32_t whole_us; /* when the newest whole update was made */
    necpnet_web_connection* web;
    bool follows;
} client;

static struct {
    int sessions, hz, seconds, rounds;
    int tcp_port, udp_port;
    pid_t server;
    client* clients;
    necpnet_web* web;
    int epoll;
    int following;
    bool measures, ends;
    uint64_t updates, bytes;
    uint32_t* samples;
    uint32_t sample_count;
} bench;

static void fail(const char* what)
{
    fprintf(stderr, "crafting: %s\n", what);
    if (bench.server > 0) kill(bench.server, SIGKILL);
    exit(1);
}

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "%s: ", necpnet_result_text(result));
    fail(what);
}

static void pin(bool last)
{
    cpu_set_t set;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    CPU_ZERO(&set);
    CPU_SET((unsigned)(last && cores > 1 ? cores - 1 : 0), &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* ---- the server ---- */

static void read_ready(const char* path)
{
    char line[512];
    FILE* file = fopen(path, "r");
    if (file && fgets(line, sizeof line, file)) {
        const char* tcp = strstr(line, "\"tcp_port\":");
        const char* udp = strstr(line, "\"udp_port\":");
        if (tcp && udp) {
            bench.tcp_port = atoi(tcp + 11);
            bench.udp_port = atoi(udp + 11);
        }
    }
    if (file) fclose(file);
}

static void start_server(const char* path)
{
    char ready[64];
    const char* const arguments[] = {path,
                                     "--mode",
                                     "development",
                                     "--token-keys",
                                     "1:" TOKEN_KEY,
                                     "--port",
                                     "0",
                                     "--udp-port",
                                     "0",
                                     "--game",
                                     "none",
                                     "--voice",
                                     "off",
                                     "--store",
                                     "memory:",
                                     "--log-level",
                                     "off",
                                     "--peers-max",
                                     "20000",
                                     "--peers-per-address-max",
                                     "20000",
                                     "--rpc-connections-max",
                                     "20000",
                                     "--rate-write",
                                     "0",
                                     "--ready-file",
                                     ready,
                                     NULL};
    snprintf(ready, sizeof ready, "/tmp/necpnet-crafting-%d", (int)getpid());
    bench.tcp_port = 0;
    bench.server = fork();
    if (bench.server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(false);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(127);
        execvp(path, (char* const*)(uintptr_t)arguments);
        _exit(127);
    }
    for (int i = 0; i < 500 && !bench.tcp_port; i++) {
        usleep(20000);
        read_ready(ready);
        if (waitpid(bench.server, NULL, WNOHANG) == bench.server) break;
    }
    unlink(ready);
    if (!bench.tcp_port) fail("necpnet-server did not start; --server PATH");
}

static void stop_server(void)
{
    kill(bench.server, SIGKILL);
    waitpid(bench.server, NULL, 0);
    bench.server = 0;
}

static double server_memory(void)
{
    char path[64], line[256];
    double kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)bench.server);
    FILE* file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "RssAnon:", 8) == 0) kilobytes = atof(line + 8);
    }
    if (file) fclose(file);
    return kilobytes * 1024;
}

static double server_processor_us(void)
{
    clockid_t clock;
    struct timespec at;
    if (clock_getcpuclockid(bench.server, &clock) != 0 || clock_gettime(clock, &at) != 0) return 0;
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

/* ---- sessions, over REST ---- */

static bool post_session(int index)
{
    char body[256], request[512], answer[64] = "";
    struct sockaddr_in to;
    int bytes = snprintf(body, sizeof body,
                         "{\"player_id\":\"p%d\",\"session_id\":\"s%d\",\"recipe\":\"sword\",\"duration_ms\":3600000,"
                         "\"materials\":{\"iron\":5,\"wood\":2,\"coal\":9}}",
                         index, index);
    int whole = snprintf(request, sizeof request,
                         "POST /api/v1/crafting/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         "application/json\r\nContent-Length: %d\r\n\r\n%s",
                         bytes, body);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)bench.tcp_port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool right =
        fd >= 0 && connect(fd, (struct sockaddr*)&to, sizeof to) == 0 && write(fd, request, (size_t)whole) == whole;
    if (right) right = read(fd, answer, sizeof answer - 1) > 12 && memcmp(answer + 9, "201", 3) == 0;
    if (fd >= 0) close(fd);
    return right;
}

static void make_sessions(void)
{
    pid_t makers[MAKERS];
    for (int i = 0; i < MAKERS; i++) {
        makers[i] = fork();
        if (makers[i] != 0) continue;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int k = i; k < bench.sessions; k += MAKERS) {
            if (!post_session(k)) _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < MAKERS; i++) {
        int status = 1;
        waitpid(makers[i], &status, 0);
        if (status != 0) fail("a session was not begun");
    }
}

/* ---- what came ---- */

static void take_sample(uint64_t us, size_t bytes)
{
    if (!bench.measures) return;
    bench.updates++;
    bench.bytes += bytes;
    if (bench.sample_count < SAMPLES_MAX)
        bench.samples[bench.sample_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int compare(const void* a, const void* b)
{
    uint32_t left = *(const uint32_t*)a, right = *(const uint32_t*)b;
    return (left > right) - (left < right);
}

/* ---- over WebSocket ---- */

static void web_on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data, size_t bytes,
                           void* user)
{
    client* at = (client*)necpnet_web_get_user_data(connection);
    char text[256];
    (void)kind;
    (void)user;
    snprintf(text, sizeof text, "%.*s", (int)(bytes < 255 ? bytes : 255), (const char*)data);
    const char* stamp = strstr(text, "\"timestamp_us\":");
    if (!at->follows) bench.following++;
    at->follows = true;
    if (!stamp || strncmp(text, "{\"type\":\"progress\"", 18) != 0) return;
    uint64_t made_us = strtoull(stamp + 15, NULL, 10), now_us = necpnet_wall_time_us();
    take_sample(now_us > made_us ? now_us - made_us : 0, bytes + (bytes < 126 ? 2 : 4));
}

static void web_on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason,
                         void* user)
{
    (void)connection;
    (void)code;
    (void)user;
    if (bench.ends) return;
    fprintf(stderr, "closed: %s, %s\n", text ? text : "", necpnet_result_text(reason));
    fail("a WebSocket was closed; is `ulimit -n` above the sessions?");
}

static void web_open(client* at)
{
    char url[128];
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/ws/crafting/s%d?player=p%d&hz=%d", bench.tcp_port, at->index,
             at->index, bench.hz);
    check("connect", necpnet_web_connect(bench.web, url, NULL, at, &at->web));
}

static void web_begin(void)
{
    necpnet_web_config config;
    check("config", necpnet_web_config_default(&config));
    config.handlers.on_message = web_on_message;
    config.handlers.on_close = web_on_close;
    config.connections_max = SESSIONS_MAX;
    check("web", necpnet_web_create(&config, &bench.web));
}

static void web_step(uint64_t wait_us)
{
    (void)necpnet_web_wait(bench.web, wait_us);
    (void)necpnet_web_update(bench.web, necpnet_time_us());
}

static void web_end(void)
{
    necpnet_web_destroy(bench.web);
    bench.web = NULL;
}

/* ---- over UDP ---- */

static necpnet_result socket_attach(void* user, const necpnet_sink* sink)
{
    ((client*)user)->sink = *sink;
    return NECPNET_OK;
}

static void socket_detach(void* user)
{
    (void)user;
}

/* There is but one server. */
static necpnet_address server_address(void)
{
    necpnet_address address;
    memset(&address, 0, sizeof address);
    address.family = NECPNET_ADDRESS_IPV4;
    address.port = (uint16_t)bench.udp_port;
    address.bytes[0] = 127;
    address.bytes[3] = 1;
    return address;
}

static necpnet_result socket_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    (void)host;
    (void)port;
    ((client*)user)->resolves = request;
    return NECPNET_OK;
}

static void socket_receive(void* user, uint64_t now_us)
{
    client* at = (client*)user;
    uint8_t data[2048];
    necpnet_address from = server_address();
    ssize_t got;
    (void)now_us;
    if (at->resolves) {
        uint64_t request = at->resolves;
        at->resolves = 0;
        at->sink.on_resolved(at->sink.user, request, &from, 1, NECPNET_OK);
    }
    /* One is enough: whoever has more is readable again. */
    if ((got = recv(at->fd, data, sizeof data, MSG_DONTWAIT)) <= 0) return;
    if (bench.measures) bench.bytes += (uint64_t)got + 28;
    at->sink.on_datagram(at->sink.user, &from, data, (size_t)got, 0);
}

static necpnet_result socket_send(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    client* at = (client*)user;
    (void)to;
    return send(at->fd, data, bytes, MSG_DONTWAIT) < 0 ? NECPNET_ERR_WOULD_BLOCK : NECPNET_OK;
}

static void socket_flush(void* user)
{
    (void)user;
}

static void udp_open(client* at)
{
    char player[32], text[NECPNET_TOKEN_TEXT_BYTES_MAX], url[64];
    const char* urls[1] = {url};
    struct sockaddr_in to;
    struct epoll_event watch;
    necpnet_token_key key;
    necpnet_token_config token;
    necpnet_client_config config;
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)bench.udp_port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (at->fd < 0 || connect(at->fd, (struct sockaddr*)&to, sizeof to))
        fail("a UDP socket; is `ulimit -n` above the sessions?");
    memset(&watch, 0, sizeof watch);
    watch.events = EPOLLIN;
    watch.data.ptr = at;
    if (epoll_ctl(bench.epoll, EPOLL_CTL_ADD, at->fd, &watch)) fail("epoll");
    at->transport.user = at;
    at->transport.flags = NECPNET_TRANSPORT_DATAGRAMS;
    at->transport.attach = socket_attach;
    at->transport.detach = socket_detach;
    at->transport.resolve = socket_resolve;
    at->transport.receive = socket_receive;
    at->transport.send_datagram = socket_send;
    at->transport.flush = socket_flush;
    check("config", necpnet_client_config_default(&config));
    config.transport = &at->transport;
    config.reconnect = false;
    check("client", necpnet_client_create(&config, &at->udp));
    check("token", necpnet_token_config_default(&token));
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", bench.udp_port);
    snprintf(player, sizeof player, "p%d", at->index);
    token.client_id = necpnet_token_client_id("necpnet development", player);
    token.issued_us = necpnet_wall_time_us();
    token.urls = urls;
    token.url_count = 1;
    memset(&key, 0, sizeof key);
    key.id = 1;
    for (int i = 0; i < NECPNET_TOKEN_KEY_BYTES; i++) key.bytes[i] = (uint8_t)i;
    check("token", necpnet_token_create(&token, &key, text, sizeof text));
    check("update", necpnet_client_update(at->udp, necpnet_time_us()));
    check("token", necpnet_client_set_token(at->udp, text, necpnet_wall_time_us()));
    check("connect", necpnet_client_connect(at->udp, NULL, 0));
    check("update", necpnet_client_update(at->udp, necpnet_time_us())); /* the address is there by now */
    check("update", necpnet_client_update(at->udp, necpnet_time_us()));
}

static void udp_follow(client* at)
{
    char text[160];
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    options.name = "necpnet.rpc";
    int bytes = snprintf(
        text, sizeof text,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"crafting.follow\",\"params\":{\"session\":\"s%d\",\"hz\":%d}}",
        at->index, bench.hz);
    check("follow", necpnet_client_send_with(at->udp, NECPNET_CHANNEL_RELIABLE, text, (size_t)bytes, &options));
}

static void udp_turn(client* at)
{
    necpnet_event event;
    check("update", necpnet_client_update(at->udp, necpnet_time_us()));
    while (necpnet_client_poll(at->udp, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) udp_follow(at);
        if (event.type == NECPNET_EVENT_CONNECT_FAILED || event.type == NECPNET_EVENT_DISCONNECTED) {
            check("a client", event.reason);
        }
        if (event.type != NECPNET_EVENT_MESSAGE || !event.name || strcmp(event.name, CRAFTING_MESSAGE) != 0) continue;
        if (!at->follows) bench.following++;
        at->follows = true;
        /* the stamp alone is wanted here: crafting_take's tracks for 10,000 clients would be much memory to walk */
        crafting_reader reader = {(const uint8_t*)event.data, event.bytes * 8, 0, false};
        uint64_t kind = crafting_bits(&reader, 2);
        (void)crafting_bits(&reader, 22);
        if (kind == 0) {
            (void)crafting_bits(&reader, 24);
            at->whole_us = (uint32_t)crafting_bits(&reader, 32);
            take_sample((uint32_t)necpnet_time_us() - at->whole_us, 0);
        }
        if (kind == 1) {
            (void)crafting_bits(&reader, 8);
            uint32_t made_us = at->whole_us + (uint32_t)crafting_bits(&reader, 23);
            take_sample((uint32_t)necpnet_time_us() - made_us, 0);
        }
    }
}

static int udp_opened;
static int udp_next;
static uint64_t udp_turned_us;

static void udp_begin(void)
{
    bench.epoll = epoll_create1(0);
    udp_opened = udp_next = 0;
    udp_turned_us = necpnet_time_us();
}

static void udp_step(uint64_t wait_us)
{
    struct epoll_event events[256];
    int count = epoll_wait(bench.epoll, events, 256, (int)(wait_us / 1000u));
    for (int i = 0; i < count; i++) udp_turn((client*)events[i].data.ptr);
    uint64_t now_us = necpnet_time_us();
    uint64_t turns = (now_us - udp_turned_us) * (uint64_t)udp_opened / TURN_US;
    if (turns == 0) return;
    udp_turned_us = now_us;
    if (turns > (uint64_t)udp_opened) turns = (uint64_t)udp_opened;
    for (; turns > 0; turns--) {
        if (udp_next >= udp_opened) udp_next = 0;
        udp_turn(&bench.clients[udp_next++]);
    }
}

static void udp_end(void)
{
    for (int i = 0; i < bench.sessions; i++) {
        necpnet_client_destroy(bench.clients[i].udp);
        close(bench.clients[i].fd);
    }
    close(bench.epoll);
}

/* ---- measuring ---- */

typedef struct way {
    const char* name;
    void (*begin)(void);
    void (*open)(client* at);
    void (*step)(uint64_t wait_us);
    void (*end)(void);
    double goal_p99_ms;
} way;

static const way ways[2] = {{"websocket", web_begin, web_open, web_step, web_end, 5},
                            {"udp", udp_begin, udp_open, udp_step, udp_end, 1}};

static void connect_all(const way* over)
{
    int begun = 0;
    uint64_t end_us = necpnet_time_us() + PATIENCE_US;
    while (bench.following < bench.sessions) {
        while (begun < bench.sessions && begun - bench.following < AT_ONCE) {
            bench.clients[begun].index = begun;
            over->open(&bench.clients[begun++]);
            udp_opened = begun;
        }
        over->step(1000);
        if (necpnet_time_us() > end_us) fail("not all clients follow their sessions");
    }
}

static void step_for(const way* over, uint64_t us)
{
    for (uint64_t end_us = necpnet_time_us() + us; necpnet_time_us() < end_us;) over->step(1000);
}

static double percentile_ms(double share)
{
    return bench.sample_count ? bench.samples[(uint32_t)((bench.sample_count - 1) * share)] / 1000.0 : 0;
}

static void measure_round(const way* over, figures* out)
{
    bench.sample_count = 0;
    bench.updates = bench.bytes = 0;
    bench.measures = true;
    double before_us = server_processor_us();
    uint64_t began_us = necpnet_time_us();
    step_for(over, (uint64_t)bench.seconds * 1000000u);
    double passed_us = (double)(necpnet_time_us() - began_us);
    bench.measures = false;
    qsort(bench.samples, bench.sample_count, sizeof *bench.samples, compare);
    out->core = (server_processor_us() - before_us) / passed_us;
    out->p50_ms = percentile_ms(0.5);
    out->p99_ms = percentile_ms(0.99);
    out->bytes_per_s = (double)bench.bytes * 1e6 / passed_us / bench.sessions;
    out->share = (double)bench.updates * 1e6 / passed_us / ((double)bench.sessions * bench.hz);
}

static figures measure(const way* over, const char* server)
{
    figures best, round;
    memset(&best, 0, sizeof best);
    memset(bench.clients, 0, SESSIONS_MAX * sizeof *bench.clients);
    bench.following = 0;
    start_server(server);
    double before = server_memory();
    make_sessions();
    over->begin();
    connect_all(over);
    step_for(over, 2000000);
    double memory = (server_memory() - before) / bench.sessions;
    for (int i = 0; i < bench.rounds; i++) {
        measure_round(over, &round);
        if (i == 0 || round.p99_ms < best.p99_ms) best = round;
    }
    best.memory_bytes = memory;
    bench.ends = true;
    over->end();
    bench.ends = false;
    stop_server();
    return best;
}

static void print_line(const way* over, const char* metric, const char* unit, double ours, double goal)
{
    printf("{\"bench\":\"crafting\",\"case\":\"%d sessions at %d Hz over "
           "%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f",
           bench.sessions, bench.hz, over->name, metric, unit, ours);
    if (goal > 0 && ours > 0) printf(",\"peer\":\"goal\",\"theirs\":%.3f,\"ratio\":%.2f", goal, goal / ours);
    printf("}\n");
}

static void run(int sessions, int hz, const char* server)
{
    figures got[2];
    bench.sessions = sessions;
    bench.hz = hz;
    for (int i = 0; i < 2; i++) got[i] = measure(&ways[i], server);
    printf("%d sessions at %d Hz  %16s %12s\n", sessions, hz, "websocket", "udp");
    printf("  memory a session    B  %15.0f %12.0f\n", got[0].memory_bytes, got[1].memory_bytes);
    printf("  under way, p50      ms %15.3f %12.3f\n", got[0].p50_ms, got[1].p50_ms);
    printf("  under way, p99      ms %15.3f %12.3f\n", got[0].p99_ms, got[1].p99_ms);
    printf("  bytes a session     /s %15.0f %12.0f\n", got[0].bytes_per_s, got[1].bytes_per_s);
    printf("  came, of what was due  %15.3f %12.3f\n", got[0].share, got[1].share);
    printf("  of a core, server      %15.3f %12.3f\n", got[0].core, got[1].core);
    for (int i = 0; i < 2; i++) {
        print_line(&ways[i], "memory a session", "bytes", got[i].memory_bytes, 10240);
        print_line(&ways[i], "delivery p50", "ms", got[i].p50_ms, 0);
        print_line(&ways[i], "delivery p99", "ms", got[i].p99_ms, ways[i].goal_p99_ms);
        print_line(&ways[i], "bytes a session", "1/s", got[i].bytes_per_s, 51200);
        print_line(&ways[i], "came of what was due", "share", got[i].share, 0);
        print_line(&ways[i], "server", "cores", got[i].core, 0);
    }
    fflush(stdout);
}

int main(int argument_count, char** arguments)
{
    char path[4096];
    int sessions = 0, hz = 10;
    snprintf(path, sizeof path, "%s", arguments[0]);
    char* slash = strrchr(path, '/');
    snprintf(slash ? slash : path, (size_t)(path + sizeof path - (slash ? slash : path)), "/../bin/necpnet-server");
    bench.seconds = 4;
    bench.rounds = 3;
    for (int i = 1; i + 1 < argument_count; i += 2) {
        if (strcmp(arguments[i], "--server") == 0) snprintf(path, sizeof path, "%s", arguments[i + 1]);
        if (strcmp(arguments[i], "--sessions") == 0) sessions = atoi(arguments[i + 1]);
        if (strcmp(arguments[i], "--hz") == 0) hz = atoi(arguments[i + 1]);
        if (strcmp(arguments[i], "--seconds") == 0) bench.seconds = atoi(arguments[i + 1]);
        if (strcmp(arguments[i], "--rounds") == 0) bench.rounds = atoi(arguments[i + 1]);
    }
    if (sessions < 0 || sessions > SESSIONS_MAX || hz < 1 || hz > 60 || bench.seconds < 1 || bench.rounds < 1) {
        fail("--sessions 1 .. 16000, --hz 1 .. 60, --seconds and --rounds 1 ..");
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    bench.clients = (client*)calloc(SESSIONS_MAX, sizeof *bench.clients);
    bench.samples = (uint32_t*)malloc(SAMPLES_MAX * sizeof *bench.samples);
    if (!bench.clients || !bench.samples) fail("memory");
    pin(true);
    if (sessions) {
        run(sessions, hz, path);
    } else {
        run(10000, 10, path);
        run(1000, 60, path);
    }
    free(bench.clients);
    free(bench.samples);
    return 0;
}

#else

int main(void)
{
    printf("crafting: measured on Linux alone\n");
    return 0;
}

#endif
