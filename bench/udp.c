/* bench/udp - small messages over UDP on this machine, beside ENet in the same run.
 *
 * What is measured: messages of 64 bytes (or --bytes) from a client to a server, reliable ordered and unreliable, one and 32 a flush:
 * messages a second, CPU a message (both ends), and the round trip of one message. Ours is encrypted, ENet is not.
 *
 * How: both ends live on one thread pinned to one core, and are served in turn after each flush, so nothing but the work
 * itself (and the kernel's) is counted. Ours and theirs run in turn, several short rounds each after a warm-up; the best
 * round of each counts. Everything sent reliably must arrive in order, else the program fails.
 *
 *     udp [--seconds N] [--case TEXT] [--bytes N]   seconds of each round, default 0.25; the cases whose names hold TEXT;
 *                                                   bytes of a message, 8 to 1024, default 64
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if BENCH_WITH_ENET
#include <enet/enet.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#define BENCH_MESSAGE_BYTES_MAX 1024

static size_t bench_bytes = 64; /* of a message */

static uint8_t bench_noise[BENCH_MESSAGE_BYTES_MAX]; /* nothing to compress: what is measured is the way of the bytes */

static void bench_make_noise(void)
{
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof bench_noise; i++) {
        noise = noise * 1664525u + 1013904223u;
        bench_noise[i] = (uint8_t)(noise >> 24);
    }
}
#define BENCH_ROUNDS 5
#define BENCH_TRIPS 3000
#define BENCH_DRAIN_US 2000000u

enum { BENCH_RELIABLE = 0, BENCH_UNRELIABLE = 1 };

/* One implementation under test. All functions run both ends on the calling thread. */
typedef struct bench_subject {
    const char* name;
    void (*open)(void);
    void (*close)(void);
    bool (*send)(int kind, const void* data); /* client to server; false: full */
    void (*flush)(void);                      /* put on the wire what send queued */
    void (*serve)(void);                      /* both ends receive, answer, acknowledge; arrivals go to bench_arrive */
    void (*echo)(bool on); /* the server sends back what it gets; arrivals are counted at the client */
} bench_subject;

static struct {
    uint64_t sent;
    uint64_t arrived;
    uint64_t next; /* sequence expected */
    bool in_order; /* required */
} bench_count;

static void bench_fail(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench udp: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void bench_arrive(const void* data, size_t bytes)
{
    uint64_t sequence;
    if (bytes != bench_bytes) bench_fail("a message of %zu bytes arrived", bytes);
    memcpy(&sequence, data, sizeof sequence);
    if (bench_count.in_order && sequence != bench_count.next) {
        bench_fail("message %llu arrived instead of %llu", (unsigned long long)sequence,
                   (unsigned long long)bench_count.next);
    }
    bench_count.next = sequence + 1;
    bench_count.arrived++;
}

/* ---- ours ---- */

static struct {
    necpnet_server* server;
    necpnet_client* client;
    necpnet_peer peer;
    necpnet_security security;
    bool echo;
    bool connected;
} ours;

static void ours_check(const char* what, necpnet_result result)
{
    if (result) bench_fail("%s: %s: %s", what, necpnet_result_name(result), necpnet_result_text(result));
}

static int ours_channel(int kind)
{
    return kind == BENCH_RELIABLE ? NECPNET_CHANNEL_RELIABLE : NECPNET_CHANNEL_UNRELIABLE;
}

static void ours_serve(void)
{
    necpnet_event event;
    ours_check("server update", necpnet_server_update(ours.server, necpnet_time_us()));
    bool answered = false;
    while (necpnet_server_poll(ours.server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) ours.peer = event.peer;
        if (event.type != NECPNET_EVENT_MESSAGE) continue;
        if (!ours.echo) {
            bench_arrive(event.data, event.bytes);
            continue;
        }
        ours_check("echo", necpnet_server_send(ours.server, event.peer, event.channel, event.data, event.bytes));
        answered = true;
    }
    if (answered) ours_check("server flush", necpnet_server_flush(ours.server, necpnet_time_us()));
    ours_check("client update", necpnet_client_update(ours.client, necpnet_time_us()));
    while (necpnet_client_poll(ours.client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) ours.connected = true;
        if (event.type == NECPNET_EVENT_MESSAGE) bench_arrive(event.data, event.bytes);
        if (event.type == NECPNET_EVENT_DISCONNECTED || event.type == NECPNET_EVENT_CONNECT_FAILED) {
            bench_fail("the client lost its connection: %s %s", necpnet_result_name(event.reason), event.text);
        }
    }
}

static void ours_open(void)
{
    necpnet_server_config server;
    necpnet_client_config client;
    int port = 0;
    char url[64];
    const char* urls[1];
    necpnet_server_config_default(&server);
    server.bind_address = "127.0.0.1";
    server.udp_port = 0;
    server.security = ours.security;
    ours_check("server create", necpnet_server_create(&server, &ours.server));
    ours_check("ports", necpnet_server_get_ports(ours.server, &port, NULL));
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", port);
    urls[0] = url;
    necpnet_client_config_default(&client);
    client.security = ours.security;
    ours_check("client create", necpnet_client_create(&client, &ours.client));
    ours_check("connect", necpnet_client_connect(ours.client, urls, 1));
    ours.connected = ours.echo = false;
    uint64_t until = necpnet_time_us() + 5000000;
    while (!ours.connected || ours.peer == NECPNET_PEER_NONE) {
        ours_serve();
        if (necpnet_time_us() > until) bench_fail("no connection within 5 s");
    }
    necpnet_statistics statistics;
    ours_check("statistics", necpnet_client_get_statistics(ours.client, &statistics));
    if (statistics.encrypted != (ours.security != NECPNET_SECURITY_NONE)) bench_fail("the connection is not as asked");
}

static void ours_close(void)
{
    necpnet_client_destroy(ours.client);
    necpnet_server_destroy(ours.server);
    ours.peer = NECPNET_PEER_NONE;
}

static bool ours_send(int kind, const void* data)
{
    necpnet_result result = necpnet_client_send(ours.client, ours_channel(kind), data, bench_bytes);
    if (result == NECPNET_ERR_WOULD_BLOCK) return false;
    ours_check("send", result);
    return true;
}

static void ours_flush(void)
{
    ours_check("flush", necpnet_client_flush(ours.client, necpnet_time_us()));
}

static void ours_set_echo(bool on)
{
    ours.echo = on;
}

static void ours_open_sealed(void)
{
    ours.security = NECPNET_SECURITY_OPEN;
    ours_open();
}

static void ours_open_plain(void)
{
    ours.security = NECPNET_SECURITY_NONE;
    ours_open();
}

static const bench_subject bench_ours = {"necpnet",  ours_open_sealed, ours_close,   ours_send,
                                         ours_flush, ours_serve,       ours_set_echo};
static const bench_subject bench_ours_plain = {
    "necpnet in plaintext", ours_open_plain, ours_close, ours_send, ours_flush, ours_serve, ours_set_echo};

/* ---- ENet ---- */

#if BENCH_WITH_ENET
static struct {
    ENetHost* server;
    ENetHost* client;
    ENetPeer* peer;
    bool echo;
    bool connected;
} theirs;

static void theirs_serve_host(ENetHost* host, bool is_server)
{
    ENetEvent event;
    bool answered = false;
    while (enet_host_service(host, &event, 0) > 0) {
        if (event.type == ENET_EVENT_TYPE_CONNECT && !is_server) theirs.connected = true;
        if (event.type == ENET_EVENT_TYPE_DISCONNECT) bench_fail("ENet lost its connection");
        if (event.type != ENET_EVENT_TYPE_RECEIVE) continue;
        if (is_server && theirs.echo) {
            enet_peer_send(event.peer, event.channelID,
                           enet_packet_create(event.packet->data, event.packet->dataLength, event.packet->flags));
            answered = true;
        } else {
            bench_arrive(event.packet->data, event.packet->dataLength);
        }
        enet_packet_destroy(event.packet);
    }
    if (answered) enet_host_flush(host);
}

static void theirs_serve(void)
{
    theirs_serve_host(theirs.server, true);
    theirs_serve_host(theirs.client, false);
}

static void theirs_open(void)
{
    ENetAddress address;
    memset(&address, 0, sizeof address);
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = ENET_PORT_ANY;
    theirs.server = enet_host_create(&address, 64, 2, 0, 0);
    theirs.client = enet_host_create(NULL, 1, 2, 0, 0);
    if (!theirs.server || !theirs.client) bench_fail("ENet has no host");
    if (enet_socket_get_address(theirs.server->socket, &address)) bench_fail("ENet has no port");
    enet_address_set_host_ip(&address, "127.0.0.1");
    theirs.peer = enet_host_connect(theirs.client, &address, 2, 0);
    theirs.connected = theirs.echo = false;
    uint64_t until = necpnet_time_us() + 5000000;
    while (!theirs.connected) {
        theirs_serve();
        if (necpnet_time_us() > until) bench_fail("ENet: no connection within 5 s");
    }
}

static void theirs_close(void)
{
    enet_host_destroy(theirs.client);
    enet_host_destroy(theirs.server);
}

static bool theirs_send(int kind, const void* data)
{
    ENetPacket* packet = enet_packet_create(data, bench_bytes, kind == BENCH_RELIABLE ? ENET_PACKET_FLAG_RELIABLE : 0);
    return packet && enet_peer_send(theirs.peer, (enet_uint8)kind, packet) == 0;
}

static void theirs_flush(void)
{
    enet_host_flush(theirs.client);
}

static void theirs_set_echo(bool on)
{
    theirs.echo = on;
}

static const bench_subject bench_theirs = {"enet",       theirs_open,  theirs_close,   theirs_send,
                                           theirs_flush, theirs_serve, theirs_set_echo};
#endif

/* ---- measuring ---- */

typedef struct bench_figures {
    double rate;   /* messages a second */
    double cpu_us; /* a message, both ends */
    double p50_us;
    double p99_us;
} bench_figures;

static double bench_cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void bench_message(uint8_t* data)
{
    memcpy(data, bench_noise, bench_bytes);
    memcpy(data, &bench_count.sent, sizeof bench_count.sent);
}

static void bench_begin(bool in_order)
{
    memset(&bench_count, 0, sizeof bench_count);
    bench_count.in_order = in_order;
}

/* One round of one-way messages; better figures than those in best replace them. */
static void bench_stream(const bench_subject* subject, int kind, int batch, double seconds, bench_figures* best)
{
    uint8_t data[BENCH_MESSAGE_BYTES_MAX];
    bench_begin(kind == BENCH_RELIABLE);
    uint64_t began = necpnet_time_us();
    uint64_t until = began + (uint64_t)(seconds * 1e6);
    double cpu = bench_cpu_us();
    while (necpnet_time_us() < until) {
        for (int i = 0; i < batch; i++) {
            bench_message(data);
            if (!subject->send(kind, data)) break;
            bench_count.sent++;
        }
        subject->flush();
        subject->serve();
    }
    uint64_t drained = necpnet_time_us() + (kind == BENCH_RELIABLE ? BENCH_DRAIN_US : 20000);
    while (bench_count.arrived < bench_count.sent && necpnet_time_us() < drained) subject->serve();
    cpu = bench_cpu_us() - cpu;
    double elapsed = (double)(necpnet_time_us() - began);
    if (kind == BENCH_RELIABLE && bench_count.arrived != bench_count.sent) {
        bench_fail("%s: %llu of %llu reliable messages arrived", subject->name, (unsigned long long)bench_count.arrived,
                   (unsigned long long)bench_count.sent);
    }
    if (bench_count.arrived == 0) bench_fail("%s: nothing arrived", subject->name);
    double rate = (double)bench_count.arrived * 1e6 / elapsed;
    double cpu_us = cpu / (double)bench_count.arrived;
    if (rate > best->rate) best->rate = rate;
    if (best->cpu_us <= 0 || cpu_us < best->cpu_us) best->cpu_us = cpu_us;
}

static int bench_order(const void* a, const void* b)
{
    double x = *(const double*)a;
    double y = *(const double*)b;
    return (x > y) - (x < y);
}

/* One round of single messages there and back. */
static void bench_round_trips(const bench_subject* subject, int kind, bench_figures* best)
{
    static double trips[BENCH_TRIPS];
    uint8_t data[BENCH_MESSAGE_BYTES_MAX];
    int count = 0;
    bench_begin(kind == BENCH_RELIABLE);
    subject->echo(true);
    for (int i = 0; i < BENCH_TRIPS; i++) {
        struct timespec from, to;
        uint64_t arrived = bench_count.arrived;
        bench_message(data);
        clock_gettime(CLOCK_MONOTONIC, &from);
        if (!subject->send(kind, data)) bench_fail("%s: full with one message", subject->name);
        bench_count.sent++;
        subject->flush();
        uint64_t until = necpnet_time_us() + 100000;
        while (bench_count.arrived == arrived && (kind == BENCH_RELIABLE || necpnet_time_us() < until))
            subject->serve();
        clock_gettime(CLOCK_MONOTONIC, &to);
        if (bench_count.arrived == arrived) continue; /* an unreliable one was lost */
        trips[count++] = (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
    }
    subject->echo(false);
    if (count < BENCH_TRIPS / 2) bench_fail("%s: most messages were lost", subject->name);
    qsort(trips, (size_t)count, sizeof trips[0], bench_order);
    double p50 = trips[count / 2];
    double p99 = trips[count - 1 - count / 100];
    if (best->p50_us <= 0 || p50 < best->p50_us) best->p50_us = p50;
    if (best->p99_us <= 0 || p99 < best->p99_us) best->p99_us = p99;
}

/* ---- reporting ---- */

static char bench_lines[64][320];
static int bench_line_count;

static void bench_report(const char* name, const char* metric, const char* unit, double ours_value, double theirs_value,
                         bool more_is_better)
{
    double ratio = 0;
    if (ours_value > 0 && theirs_value > 0) {
        ratio = more_is_better ? ours_value / theirs_value : theirs_value / ours_value;
    }
    printf("%-32s %-18s %12.2f %12.2f %-6s %6.2f\n", name, metric, ours_value, theirs_value, unit, ratio);
    if (bench_line_count == 64) return;
    snprintf(bench_lines[bench_line_count++], sizeof bench_lines[0],
             "{\"bench\":\"udp\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f,\"peer\":\"%s\","
             "\"theirs\":%.3f,\"ratio\":%.3f}",
             name, metric, unit, ours_value, theirs_value > 0 ? "enet, plaintext" : "", theirs_value, ratio);
}

static const char* bench_wanted; /* part of the names of the cases that run; NULL: all */

/* All subjects in turn, round by round. figures[0] is ours, the last those of ENet. */
static void bench_case(const bench_subject* const* subjects, int subject_count, const char* name, int kind, int batch,
                       double seconds)
{
    if (bench_wanted && !strstr(name, bench_wanted)) return;
    bench_figures figures[3];
    memset(figures, 0, sizeof figures);
    for (int round = 0; round <= BENCH_ROUNDS; round++) {
        if (round == 1) memset(figures, 0, sizeof figures); /* round 0 was for warming up */
        for (int i = 0; i < subject_count; i++) {
            subjects[i]->open();
            if (batch) {
                bench_stream(subjects[i], kind, batch, round ? seconds : seconds / 4, &figures[i]);
            } else {
                bench_round_trips(subjects[i], kind, &figures[i]);
            }
            subjects[i]->close();
        }
    }
    bench_figures theirs_figures;
    memset(&theirs_figures, 0, sizeof theirs_figures);
    if (subject_count == 3) theirs_figures = figures[2];
    for (int i = 0; i < 2; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s%s", name, i ? ", plaintext" : "");
        if (batch) {
            bench_report(text, "messages", "1/s", figures[i].rate, theirs_figures.rate, true);
            bench_report(text, "CPU a message", "us", figures[i].cpu_us, theirs_figures.cpu_us, false);
        } else {
            bench_report(text, "round trip p50", "us", figures[i].p50_us, theirs_figures.p50_us, false);
            bench_report(text, "round trip p99", "us", figures[i].p99_us, theirs_figures.p99_us, false);
        }
    }
}

int main(int argc, char** argv)
{
    double seconds = 0.25;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && !strcmp(argv[i], "--seconds")) {
            seconds = atof(argv[i + 1]);
        } else if (i + 1 < argc && !strcmp(argv[i], "--bytes") && atoi(argv[i + 1]) >= 8 &&
                   atoi(argv[i + 1]) <= BENCH_MESSAGE_BYTES_MAX) {
            bench_bytes = (size_t)atoi(argv[i + 1]);
        } else if (i + 1 < argc && !strcmp(argv[i], "--case")) {
            bench_wanted = argv[i + 1];
        } else {
            fprintf(stderr, "usage: udp [--seconds N] [--case TEXT] [--bytes 8..1024]\n");
            return 2;
        }
    }
    bench_make_noise();
    if (seconds <= 0) {
        fprintf(stderr, "udp: --seconds takes a number above 0\n");
        return 2;
    }
#if defined(__linux__)
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)sched_getcpu(), &cpus);
    (void)sched_setaffinity(0, sizeof cpus, &cpus);
#endif
    const bench_subject* subjects[3] = {&bench_ours, &bench_ours_plain, NULL};
    int subject_count = 2;
#if BENCH_WITH_ENET
    if (enet_initialize()) bench_fail("ENet does not start");
    subjects[subject_count++] = &bench_theirs;
#else
    printf("ENet is not installed (libenet-dev): ours alone\n");
#endif
    printf("%s, messages of %zu bytes, both ends on one core; ratio above 1: ours is better\n", necpnet_version(),
           bench_bytes);
    printf("%-32s %-18s %12s %12s %-6s %6s\n", "case", "", "ours", "ENet", "", "ratio");
    bench_case(subjects, subject_count, "reliable, 1 a flush", BENCH_RELIABLE, 1, seconds);
    bench_case(subjects, subject_count, "reliable, 32 a flush", BENCH_RELIABLE, 32, seconds);
    bench_case(subjects, subject_count, "unreliable, 1 a flush", BENCH_UNRELIABLE, 1, seconds);
    bench_case(subjects, subject_count, "unreliable, 32 a flush", BENCH_UNRELIABLE, 32, seconds);
    bench_case(subjects, subject_count, "reliable echo", BENCH_RELIABLE, 0, seconds);
    bench_case(subjects, subject_count, "unreliable echo", BENCH_UNRELIABLE, 0, seconds);
    for (int i = 0; i < bench_line_count; i++) puts(bench_lines[i]);
#if BENCH_WITH_ENET
    enet_deinitialize();
#endif
    return 0;
}
