/* bench/udp_scale - a thousand clients, 20 messages a second each, beside ENet with the same load in the same run.
 *
 * What is measured, of the server alone: its share of a core, the memory that a connection costs it (all that malloc gave,
 * before and after), and unreliable messages lost although the link loses nothing. Ours is encrypted, ENet is not.
 *
 * How: the server is a child process on the first core that is served every 10 ms; the clients live in this process on the
 * last core, each with a socket of its own, their messages spread evenly over the time. Ours and theirs run in turn; the
 * best of the rounds counts, and of the losses the worst.
 *
 *     udp_scale [--clients N] [--seconds N] [--rounds N]     default 1000, 2, 2
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if BENCH_WITH_ENET
#include <enet/enet.h>
#endif

#define MESSAGE_BYTES 64
#define RATE 20
#define TURN_US 10000u /* of the server, and of a client that does not send */
#define CLIENTS_MAX 4000
#define PATIENCE_US 60000000u

enum { RELIABLE = 0, UNRELIABLE = 1 };

/* What the server tells this process. */
static struct board {
    volatile int port;
    volatile uint32_t connected;
    volatile uint64_t received;
    volatile double memory_bytes;  /* now */
    volatile double memory_before; /* without connections */
} * board;

static int client_count = 1000;
static double seconds_a_round = 2;
static int rounds = 2;

static void fail(const char* what)
{
    fprintf(stderr, "udp_scale: %s\n", what);
    exit(1);
}

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "udp_scale: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

/* All that malloc has given out. */
static double held_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd);
}

static void sleep_until(uint64_t at_us)
{
    uint64_t now_us = necpnet_time_us();
    if (now_us < at_us) usleep((useconds_t)(at_us - now_us));
}

/* ---- ours ---------------------------------------------------------------------------------------------------------- */

static void ours_serve(void)
{
    necpnet_server_config config;
    necpnet_server* server = NULL;
    necpnet_event event;
    int port = 0;
    check("config", necpnet_server_config_default(&config));
    config.bind_address = "127.0.0.1";
    config.udp_port = 0;
    config.security = NECPNET_SECURITY_OPEN;
    config.peers_max = CLIENTS_MAX;
    config.peers_per_address_max = CLIENTS_MAX;
    check("server", necpnet_server_create(&config, &server));
    check("ports", necpnet_server_get_ports(server, &port, NULL));
    board->memory_before = held_bytes();
    board->port = port;
    for (uint64_t at_us = necpnet_time_us();; at_us += TURN_US) {
        check("update", necpnet_server_update(server, necpnet_time_us()));
        while (necpnet_server_poll(server, &event)) {
            if (event.type == NECPNET_EVENT_CONNECTED) board->connected++;
            if (event.type == NECPNET_EVENT_DISCONNECTED) board->connected--;
            if (event.type == NECPNET_EVENT_MESSAGE) board->received++;
        }
        board->memory_bytes = held_bytes();
        sleep_until(at_us + TURN_US);
    }
}

static struct {
    necpnet_loop* loop;
    const necpnet_transport* transports[CLIENTS_MAX];
    necpnet_client* clients[CLIENTS_MAX];
} ours;

static void ours_turn(int client)
{
    necpnet_event event;
    check("client update", necpnet_client_update(ours.clients[client], necpnet_time_us()));
    while (necpnet_client_poll(ours.clients[client], &event)) {
        if (event.type == NECPNET_EVENT_CONNECT_FAILED || event.type == NECPNET_EVENT_DISCONNECTED) {
            check("a client", event.reason);
        }
    }
}

static void ours_begin_turn(void)
{
    check("loop", necpnet_loop_step(ours.loop, 0));
}

static void ours_open(int client, int port)
{
    necpnet_socket_config socket;
    necpnet_client_config config;
    char url[64];
    const char* urls[1] = {url};
    if (!ours.loop) check("loop", necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &ours.loop));
    check("socket config", necpnet_socket_config_default(&socket));
    socket.loop = ours.loop;
    socket.bind_address = "127.0.0.1";
    socket.udp_port = 0;
    socket.one_peer = true;
    check("socket", necpnet_socket_create(&socket, &ours.transports[client]));
    check("client config", necpnet_client_config_default(&config));
    config.transport = ours.transports[client];
    config.security = NECPNET_SECURITY_OPEN;
    config.reconnect = false;
    config.connect_timeout_ms = 30000;
    check("client", necpnet_client_create(&config, &ours.clients[client]));
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", port);
    check("client update", necpnet_client_update(ours.clients[client], necpnet_time_us()));
    check("connect", necpnet_client_connect(ours.clients[client], urls, 1));
}

static bool ours_send(int client, int kind, const void* data)
{
    int channel = kind == RELIABLE ? NECPNET_CHANNEL_RELIABLE : NECPNET_CHANNEL_UNRELIABLE;
    bool sent = necpnet_client_send(ours.clients[client], channel, data, MESSAGE_BYTES) == NECPNET_OK;
    ours_turn(client);
    return sent;
}

static void ours_close(void)
{
    for (int i = 0; i < client_count; i++) {
        necpnet_client_destroy(ours.clients[i]);
        necpnet_socket_destroy(ours.transports[i]);
    }
    necpnet_loop_destroy(ours.loop);
    memset(&ours, 0, sizeof ours);
}

/* ---- ENet ---------------------------------------------------------------------------------------------------------- */

#if BENCH_WITH_ENET

static void theirs_serve(void)
{
    ENetAddress address;
    ENetEvent event;
    memset(&address, 0, sizeof address);
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = ENET_PORT_ANY;
    board->memory_before = held_bytes(); /* it makes all its peers at once */
    ENetHost* host = enet_host_create(&address, (size_t)client_count, 2, 0, 0);
    if (!host || enet_socket_get_address(host->socket, &address)) fail("ENet has no host");
    board->port = address.port;
    for (uint64_t at_us = necpnet_time_us();; at_us += TURN_US) {
        while (enet_host_service(host, &event, 0) > 0) {
            if (event.type == ENET_EVENT_TYPE_CONNECT) board->connected++;
            if (event.type == ENET_EVENT_TYPE_DISCONNECT) board->connected--;
            if (event.type != ENET_EVENT_TYPE_RECEIVE) continue;
            board->received++;
            enet_packet_destroy(event.packet);
        }
        board->memory_bytes = held_bytes();
        sleep_until(at_us + TURN_US);
    }
}

static struct {
    ENetHost* hosts[CLIENTS_MAX];
    ENetPeer* peers[CLIENTS_MAX];
} theirs;

static void theirs_begin_turn(void) {}

static void theirs_turn(int client)
{
    ENetEvent event;
    while (enet_host_service(theirs.hosts[client], &event, 0) > 0) {
        if (event.type == ENET_EVENT_TYPE_DISCONNECT) fail("ENet lost a connection");
    }
}

static void theirs_open(int client, int port)
{
    ENetAddress address;
    memset(&address, 0, sizeof address);
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = (enet_uint16)port;
    theirs.hosts[client] = enet_host_create(NULL, 1, 2, 0, 0);
    if (!theirs.hosts[client]) fail("ENet has no client");
    theirs.peers[client] = enet_host_connect(theirs.hosts[client], &address, 2, 0);
    theirs_turn(client);
}

static bool theirs_send(int client, int kind, const void* data)
{
    ENetPacket* packet = enet_packet_create(data, MESSAGE_BYTES, kind == RELIABLE ? ENET_PACKET_FLAG_RELIABLE : 0);
    bool sent = packet && enet_peer_send(theirs.peers[client], (enet_uint8)kind, packet) == 0;
    theirs_turn(client);
    return sent;
}

static void theirs_close(void)
{
    for (int i = 0; i < client_count; i++) enet_host_destroy(theirs.hosts[i]);
}

#endif

/* ---- measuring ----------------------------------------------------------------------------------------------------- */

struct subject {
    const char* name;
    void (*serve)(void);
    void (*open)(int client, int port);
    void (*begin_turn)(void);
    void (*turn)(int client);
    bool (*send)(int client, int kind, const void* data);
    void (*close)(void);
};

struct figures {
    double core;   /* share */
    double memory; /* bytes a connection */
    double lost;   /* share of what was sent */
    double rate;   /* messages a second that the server got */
    bool measured;
};

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static double processor_us(pid_t child)
{
    clockid_t clock;
    struct timespec at;
    if (clock_getcpuclockid(child, &clock) != 0 || clock_gettime(clock, &at) != 0) return 0;
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

/* Connect all, a few at a time, so that no handshake is crowded out. */
static void connect_all(const struct subject* subject)
{
    uint64_t until_us = necpnet_time_us() + PATIENCE_US;
    int opened = 0;
    while (board->connected < (uint32_t)client_count) {
        if (necpnet_time_us() > until_us) fail("not all clients connect");
        if (opened < client_count && opened < (int)board->connected + 20) subject->open(opened++, board->port);
        subject->begin_turn();
        for (int i = 0; i < opened; i++) subject->turn(i);
    }
}

/* The clients in turn, each RATE times a second; those that do not send are served every TURN_US. Returns how many were
 * sent. */
static uint64_t send_for(const struct subject* subject, int kind, double seconds)
{
    uint8_t data[MESSAGE_BYTES] = {0};
    uint64_t began_us = necpnet_time_us();
    uint64_t total = (uint64_t)(seconds * RATE * client_count);
    uint64_t sent = 0, turned = 0;
    for (uint64_t done = 0; done < total;) {
        uint64_t elapsed_us = necpnet_time_us() - began_us;
        uint64_t due = elapsed_us * RATE * (uint64_t)client_count / 1000000u;
        if (due > total) due = total;
        subject->begin_turn();
        for (; done < due; done++) sent += subject->send((int)(done % (uint64_t)client_count), kind, data);
        uint64_t turns = elapsed_us * (uint64_t)client_count / TURN_US;
        if (turns > turned + (uint64_t)client_count) turned = turns - (uint64_t)client_count;
        for (; turned < turns; turned++) subject->turn((int)(turned % (uint64_t)client_count));
        sleep_until(necpnet_time_us() + 500);
    }
    return sent;
}

static void run_round(const struct subject* subject, int kind, struct figures* best)
{
    memset(board, 0, sizeof *board);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) fail("no process");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(0);
        subject->serve();
        exit(0);
    }
    while (!board->port) usleep(1000);
    connect_all(subject);
    (void)send_for(subject, kind, 0.5);
    sleep_until(necpnet_time_us() + 50000);
    uint64_t received = board->received;
    double cpu_us = processor_us(child);
    uint64_t began_us = necpnet_time_us();
    uint64_t sent = send_for(subject, kind, seconds_a_round);
    double elapsed_us = (double)(necpnet_time_us() - began_us);
    double core = (processor_us(child) - cpu_us) / elapsed_us;
    for (int i = 0; i < 30; i++) { /* what is on its way, and resent */
        subject->begin_turn();
        for (int j = 0; j < client_count; j++) subject->turn(j);
        usleep(5000);
    }
    double arrived = (double)(board->received - received);
    double lost = 1 - arrived / (double)sent;
    double memory = (board->memory_bytes - board->memory_before) / client_count;
    if (!best->measured || core < best->core) best->core = core;
    if (!best->measured || memory < best->memory) best->memory = memory;
    if (lost > best->lost) best->lost = lost;
    if (arrived / elapsed_us * 1e6 > best->rate) best->rate = arrived / elapsed_us * 1e6;
    best->measured = true;
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    subject->close();
}

/* ---- reporting ----------------------------------------------------------------------------------------------------- */

static char lines[16][256];
static int line_count;

static void report(const char* name, const char* metric, const char* unit, double mine, double other,
                   bool more_is_better)
{
    double ratio = 0;
    if (mine > 0 && other > 0) ratio = more_is_better ? mine / other : other / mine;
    printf("%-12s %-26s %12.2f %12.2f %-6s %6.2f\n", name, metric, mine, other, unit, ratio);
    snprintf(lines[line_count++ % 16], sizeof lines[0],
             "{\"bench\":\"udp_scale\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f,\"peer\":\"%s\","
             "\"theirs\":%.3f,\"ratio\":%.3f}",
             name, metric, unit, mine, BENCH_WITH_ENET ? "enet, plaintext" : "", other, ratio);
}

int main(int argc, char** argv)
{
    for (int i = 1; i < argc; i += 2) {
        bool value = i + 1 < argc;
        if (value && !strcmp(argv[i], "--clients")) {
            client_count = atoi(argv[i + 1]);
        } else if (value && !strcmp(argv[i], "--seconds")) {
            seconds_a_round = atof(argv[i + 1]);
        } else if (value && !strcmp(argv[i], "--rounds")) {
            rounds = atoi(argv[i + 1]);
        } else {
            fprintf(stderr, "usage: udp_scale [--clients N] [--seconds N] [--rounds N]\n");
            return 2;
        }
    }
    if (client_count < 1 || client_count > CLIENTS_MAX || seconds_a_round <= 0 || rounds < 1) {
        fprintf(stderr, "udp_scale: 1 .. %d clients, some seconds, some rounds\n", CLIENTS_MAX);
        return 2;
    }
    static const struct subject mine = {"necpnet", ours_serve, ours_open, ours_begin_turn,
                                        ours_turn, ours_send,  ours_close};
    const struct subject* subjects[2] = {&mine, NULL};
    int subject_count = 1;
#if BENCH_WITH_ENET
    static const struct subject other = {"enet",      theirs_serve, theirs_open, theirs_begin_turn,
                                         theirs_turn, theirs_send,  theirs_close};
    if (enet_initialize()) fail("ENet does not start");
    subjects[subject_count++] = &other;
#endif
    struct rlimit limit = {8192, 8192};
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    board = (struct board*)mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) fail("no shared memory");
    pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
    printf("%s: %d clients, %d messages of %d bytes a second each, the server every %u ms\n", necpnet_version(),
           client_count, RATE, MESSAGE_BYTES, TURN_US / 1000);
    printf("%-12s %-26s %12s %12s %-6s %6s\n", "case", "", "ours", subject_count == 2 ? "ENet" : "-", "", "ratio");
    for (int kind = 0; kind < 2; kind++) {
        struct figures figures[2];
        memset(figures, 0, sizeof figures);
        for (int round = 0; round < rounds; round++) {
            for (int i = 0; i < subject_count; i++) run_round(subjects[i], kind, &figures[i]);
        }
        const char* name = kind == RELIABLE ? "reliable" : "unreliable";
        report(name, "messages", "1/s", figures[0].rate, figures[1].rate, true);
        report(name, "of a core", "%", figures[0].core * 100, figures[1].core * 100, false);
        report(name, "memory a connection", "bytes", figures[0].memory, figures[1].memory, false);
        report(name, "lost", "%", figures[0].lost * 100, figures[1].lost * 100, false);
    }
    for (int i = 0; i < line_count; i++) puts(lines[i]);
    return 0;
}

#else

int main(void)
{
    puts("udp_scale: this bench pins processes to cores and needs Linux");
    return 0;
}

#endif
