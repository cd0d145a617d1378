/* bench/flood - what strangers cost a server that refuses them, and what its players feel of it.
 *
 * Cost: the server on a transport in memory is given one and the same kind of datagram again and again; figured is what it
 * takes beyond receiving it. Goals: a random or bad-cookie datagram under 1 us, a bad token under 10 us.
 * Players: a server on real sockets (a process on the first core) echoes 16 players, 60 messages a second each, from this
 * process on the last core, first in peace, then while another process, on the last core too, sends 20,000 datagrams a
 * second: random bytes, AUTH from a wrong address, AUTH with a token of another key, in turn. Goals: nobody is lost, the 99th
 * percentile of the round trips grows by less than 1 ms. The best round of each counts, for other
 * programs disturb both.
 *
 *     flood [--seconds N]     of each phase, default 1
 *
 * Output: a table for people, then one JSON line a figure; the peer is the goal, ratio above 1 is better than it.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDSHAKE_BYTES 1200
#define REPEATS 20000
#define COST_ROUNDS 5
#define PLAYERS 16
#define PLAYER_HZ 60
#define FLOOD_PER_S 20000
#define PEACE_AND_FLOOD_ROUNDS 5
#define TRIPS_MAX 65536

static const necpnet_token_key key = {1, {1, 2, 3, 4}};
static const necpnet_token_key other_key = {1, {9, 9, 9}}; /* the same id: it must be tried */

static void check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "flood: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static void make_token(const necpnet_token_key* with, uint64_t client_id, int port, char* text)
{
    necpnet_token_config config;
    char url[64];
    const char* urls[1] = {url};
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", port);
    check("token config", necpnet_token_config_default(&config));
    config.issued_us = necpnet_wall_time_us();
    config.server_id = 1;
    config.client_id = client_id;
    config.urls = urls;
    config.url_count = 1;
    check("token", necpnet_token_create(&config, with, text, NECPNET_TOKEN_TEXT_BYTES_MAX));
}

static void server_config(necpnet_server_config* config)
{
    check("config", necpnet_server_config_default(config));
    config->bind_address = "127.0.0.1";
    config->udp_port = 0;
    config->token_keys = &key;
    config->token_key_count = 1;
    config->token_restart_guard = false;
}

/* ---- a transport of one datagram ---- */

/* What the endpoint sends is kept, the newest alone; what it receives is given to it by hand. A client's may send on a real
 * socket instead. */
typedef struct wire {
    necpnet_transport transport;
    necpnet_sink sink;
    int descriptor; /* -1: in memory */
    uint8_t sent[2048];
    size_t sent_bytes;
    necpnet_address sent_to;
} wire;

static necpnet_result wire_attach(void* user, const necpnet_sink* sink)
{
    ((wire*)user)->sink = *sink;
    return NECPNET_OK;
}

static void wire_detach(void* user)
{
    (void)user;
}

static void wire_receive(void* user, uint64_t now_us)
{
    wire* at = (wire*)user;
    uint8_t data[2048];
    (void)now_us;
    if (at->descriptor < 0) return;
    ssize_t bytes = recv(at->descriptor, data, sizeof data, MSG_DONTWAIT);
    if (bytes > 0) at->sink.on_datagram(at->sink.user, &at->sent_to, data, (size_t)bytes, 0);
}

static necpnet_result wire_send(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    wire* at = (wire*)user;
    if (bytes > sizeof at->sent) return NECPNET_ERR_IO;
    memcpy(at->sent, data, bytes);
    at->sent_bytes = bytes;
    at->sent_to = *to;
    if (at->descriptor >= 0) (void)send(at->descriptor, data, bytes, 0);
    return NECPNET_OK;
}

static necpnet_result wire_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    wire* at = (wire*)user;
    necpnet_address address;
    necpnet_result result = necpnet_address_parse(host, &address);
    address.port = port;
    at->sink.on_resolved(at->sink.user, request, &address, result ? 0 : 1, result);
    return NECPNET_OK;
}

static void wire_flush(void* user)
{
    (void)user;
}

static void wire_begin(wire* at, int descriptor)
{
    memset(at, 0, sizeof *at);
    at->descriptor = descriptor;
    at->transport.user = at;
    at->transport.flags = NECPNET_TRANSPORT_DATAGRAMS;
    at->transport.attach = wire_attach;
    at->transport.detach = wire_detach;
    at->transport.receive = wire_receive;
    at->transport.send_datagram = wire_send;
    at->transport.resolve = wire_resolve;
    at->transport.flush = wire_flush;
}

/* A client whose token is of another key: it gets as far as AUTH. */
static necpnet_client* stranger(wire* at, int port)
{
    necpnet_client_config config;
    necpnet_client* client = NULL;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    check("client config", necpnet_client_config_default(&config));
    config.transport = &at->transport;
    config.connect_timeout_ms = 60000;
    check("client", necpnet_client_create(&config, &client));
    make_token(&other_key, 1, port, text);
    check("client update", necpnet_client_update(client, necpnet_time_us()));
    check("set token", necpnet_client_set_token(client, text, necpnet_wall_time_us()));
    check("connect", necpnet_client_connect(client, NULL, 0));
    return client;
}

/* ---- cost ---- */

static double processor_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

/* Microseconds of one datagram; fails unless each was dropped for that reason. */
static double cost_of(necpnet_server* server, wire* to, const necpnet_address* from, const uint8_t* datagram,
                      size_t bytes, necpnet_drop reason)
{
    necpnet_server_statistics before, after;
    uint8_t copy[HANDSHAKE_BYTES];
    double best = 0;
    for (int round = 0; round < COST_ROUNDS; round++) {
        check("statistics", necpnet_server_get_statistics(server, &before));
        double began = processor_us();
        for (int i = 0; i < REPEATS; i++) {
            memcpy(copy, datagram, bytes);
            to->sink.on_datagram(to->sink.user, from, copy, bytes, 0);
        }
        double took = (processor_us() - began) / REPEATS;
        check("statistics", necpnet_server_get_statistics(server, &after));
        if (after.drops[reason] - before.drops[reason] != REPEATS) {
            fprintf(stderr, "flood: %llu of %d dropped for: %s\n",
                    (unsigned long long)(after.drops[reason] - before.drops[reason]), REPEATS,
                    necpnet_drop_name(reason));
            exit(1);
        }
        if (round == 0 || took < best) best = took;
    }
    return best;
}

static void measure_costs(double costs[4])
{
    wire server_wire, client_wire;
    necpnet_server_config config;
    necpnet_server* server = NULL;
    necpnet_address from, elsewhere;
    uint8_t noise[HANDSHAKE_BYTES];
    wire_begin(&server_wire, -1);
    wire_begin(&client_wire, -1);
    server_config(&config);
    config.transport = &server_wire.transport;
    check("server", necpnet_server_create(&config, &server));
    check("wall", necpnet_server_set_wall_time(server, necpnet_wall_time_us(), necpnet_time_us()));
    check("update", necpnet_server_update(server, necpnet_time_us()));
    check("address", necpnet_address_parse("10.0.0.1", &from));
    from.port = 1000;
    elsewhere = from;
    elsewhere.port = 1001;
    necpnet_client* client = stranger(&client_wire, 1);
    for (int i = 0; i < 100 && client_wire.sent_bytes != HANDSHAKE_BYTES; i++) {
        check("client update", necpnet_client_update(client, necpnet_time_us()));
    }
    uint8_t datagram[2048]; /* HELLO, answered by RETRY, answered by AUTH */
    memcpy(datagram, client_wire.sent, HANDSHAKE_BYTES);
    server_wire.sink.on_datagram(server_wire.sink.user, &from, datagram, HANDSHAKE_BYTES, 0);
    memcpy(datagram, server_wire.sent, server_wire.sent_bytes);
    client_wire.sink.on_datagram(client_wire.sink.user, &client_wire.sent_to, datagram, server_wire.sent_bytes, 0);
    check("client update", necpnet_client_update(client, necpnet_time_us()));
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
    noise[0] |= 0x80; /* looks like a packet */
    costs[0] = cost_of(server, &server_wire, &from, noise, 100, NECPNET_DROP_UNKNOWN_CONNECTION);
    noise[0] = 0x7f; /* like nothing */
    costs[1] = cost_of(server, &server_wire, &from, noise, 1200, NECPNET_DROP_MALFORMED);
    costs[2] = cost_of(server, &server_wire, &elsewhere, client_wire.sent, HANDSHAKE_BYTES, NECPNET_DROP_COOKIE);
    costs[3] = cost_of(server, &server_wire, &from, client_wire.sent, HANDSHAKE_BYTES, NECPNET_DROP_TOKEN_KEY);
    necpnet_client_destroy(client);
    necpnet_server_destroy(server);
}

/* ---- players ---- */

/* Between the processes. */
static struct board {
    volatile int port;
    volatile uint64_t refused;
    volatile bool floods;
    volatile uint64_t flooded;
} * board;

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

static int last_core(void)
{
    return (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
}

static void serve(void)
{
    necpnet_server_config config;
    necpnet_server* server = NULL;
    necpnet_event event;
    int port = 0;
    pin(0);
    server_config(&config);
    check("server", necpnet_server_create(&config, &server));
    check("wall", necpnet_server_set_wall_time(server, necpnet_wall_time_us(), necpnet_time_us()));
    check("ports", necpnet_server_get_ports(server, &port, NULL));
    board->port = port;
    for (uint64_t told_us = 0;;) {
        uint64_t now_us = necpnet_time_us();
        check("update", necpnet_server_update(server, now_us));
        while (necpnet_server_poll(server, &event)) {
            if (event.type != NECPNET_EVENT_MESSAGE) continue;
            (void)necpnet_server_send(server, event.peer, event.channel, event.data, event.bytes);
        }
        check("flush", necpnet_server_flush(server, necpnet_time_us()));
        if (now_us > told_us + 50000) {
            necpnet_server_statistics statistics;
            uint64_t refused = 0;
            told_us = now_us;
            check("statistics", necpnet_server_get_statistics(server, &statistics));
            for (int i = 0; i < NECPNET_DROP_COUNT; i++) refused += statistics.drops[i];
            board->refused = refused;
        }
        check("wait", necpnet_server_wait(server, 10000));
    }
}

/* A socket whose cookie is known, one whose is not, and what is sent from them. */
static void flood(void)
{
    struct sockaddr_in to;
    wire at;
    uint8_t noise[HANDSHAKE_BYTES];
    pin(last_core());
    (void)!nice(10); /* the players' own process is not what is measured */
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)board->port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int right = socket(AF_INET, SOCK_DGRAM, 0), wrong = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(right, (struct sockaddr*)&to, sizeof to) || connect(wrong, (struct sockaddr*)&to, sizeof to)) exit(1);
    wire_begin(&at, right);
    uint32_t random = 1;
    for (uint64_t sent = 0;;) {
        while (!board->floods) usleep(1000);
        necpnet_client* client = stranger(&at, board->port); /* a new cookie for each phase: it lives 10 s */
        for (int i = 0; i < 20; i++) {
            check("client update", necpnet_client_update(client, necpnet_time_us()));
            usleep(2000);
        }
        uint64_t began_us = necpnet_time_us(), done = 0;
        while (board->floods) {
            uint64_t due = (necpnet_time_us() - began_us) * FLOOD_PER_S / 1000000;
            for (; done < due; done++, sent++) {
                if (done % 3 == 0) {
                    for (size_t i = 0; i < 100; i++) {
                        noise[i] = (uint8_t)((random = random * 1664525u + 1013904223u) >> 24);
                    }
                    (void)send(wrong, noise, 100, MSG_DONTWAIT);
                } else {
                    (void)send(done % 3 == 1 ? wrong : right, at.sent, HANDSHAKE_BYTES, MSG_DONTWAIT);
                }
            }
            board->flooded = sent;
            usleep(200);
        }
        necpnet_client_destroy(client);
    }
}

static struct {
    necpnet_client* clients[PLAYERS];
    uint64_t next_us[PLAYERS];
    int lost;
} players;

static int order(const void* a, const void* b)
{
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static int players_turn(double* trips, int count)
{
    necpnet_event event;
    for (int i = 0; i < PLAYERS; i++) {
        uint64_t now_us = necpnet_time_us();
        check("client update", necpnet_client_update(players.clients[i], now_us));
        while (necpnet_client_poll(players.clients[i], &event)) {
            uint64_t sent_us;
            if (event.type == NECPNET_EVENT_DISCONNECTED || event.type == NECPNET_EVENT_CONNECT_FAILED) players.lost++;
            if (event.type != NECPNET_EVENT_MESSAGE || event.bytes != sizeof sent_us) continue;
            memcpy(&sent_us, event.data, sizeof sent_us);
            if (count < TRIPS_MAX) trips[count++] = (double)(necpnet_time_us() - sent_us) / 1000;
        }
        if (now_us < players.next_us[i]) continue;
        players.next_us[i] += 1000000 / PLAYER_HZ;
        if (necpnet_client_send(players.clients[i], NECPNET_CHANNEL_UNRELIABLE, &now_us, sizeof now_us) == NECPNET_OK) {
            check("flush", necpnet_client_flush(players.clients[i], now_us));
        }
    }
    usleep(50);
    return count;
}

static void players_join(void)
{
    uint64_t until_us = necpnet_time_us() + 20000000;
    for (int i = 0; i < PLAYERS; i++) {
        necpnet_client_config config;
        char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
        check("client config", necpnet_client_config_default(&config));
        config.reconnect = false;
        check("client", necpnet_client_create(&config, &players.clients[i]));
        make_token(&key, (uint64_t)i + 1, board->port, text);
        check("client update", necpnet_client_update(players.clients[i], necpnet_time_us()));
        check("set token", necpnet_client_set_token(players.clients[i], text, necpnet_wall_time_us()));
        check("connect", necpnet_client_connect(players.clients[i], NULL, 0));
        while (necpnet_client_get_state(players.clients[i]) != NECPNET_CLIENT_CONNECTED) {
            if (necpnet_time_us() > until_us) check("join", NECPNET_ERR_TIMEOUT);
            check("client update", necpnet_client_update(players.clients[i], necpnet_time_us()));
        }
        players.next_us[i] = necpnet_time_us() + (uint64_t)i * 1000000 / PLAYER_HZ / PLAYERS;
    }
}

/* The 99th percentile of the round trips of one phase, in milliseconds. */
static double phase_p99_ms(bool floods, double seconds)
{
    static double trips[TRIPS_MAX];
    int count = 0;
    board->floods = floods;
    uint64_t began_us = necpnet_time_us();
    while (necpnet_time_us() < began_us + 200000) (void)players_turn(trips, 0);
    began_us = necpnet_time_us();
    while (necpnet_time_us() < began_us + (uint64_t)(seconds * 1e6)) count = players_turn(trips, count);
    board->floods = false;
    if (count == 0) check("no message came back", NECPNET_ERR_TIMEOUT);
    qsort(trips, (size_t)count, sizeof trips[0], order);
    return trips[count - 1 - count / 100];
}

static pid_t start(void (*run)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child != 0) return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    run();
    exit(0);
}

static void report(const char* name, const char* metric, const char* unit, double mine, double goal)
{
    printf("%-34s %10.3f %10.3f %s\n", name, mine, goal, unit);
    printf("{\"bench\":\"flood\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.3f,\"peer\":\"goal\","
           "\"theirs\":%.3f,"
           "\"ratio\":%.3f}\n",
           name, metric, unit, mine, goal, mine > 0 ? goal / mine : 0);
}

int main(int argc, char** argv)
{
    double seconds = argc == 3 && !strcmp(argv[1], "--seconds") ? atof(argv[2]) : 1;
    double costs[4], peace = 0, flooded = 0;
    if (seconds <= 0 || (argc != 1 && argc != 3)) {
        fprintf(stderr, "usage: flood [--seconds N]\n");
        return 2;
    }
    measure_costs(costs);
    board = (struct board*)mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) return 1;
    pid_t server = start(serve);
    while (!board->port) usleep(1000);
    pid_t generator = start(flood);
    pin(last_core());
    players_join();
    for (int round = 0; round < PEACE_AND_FLOOD_ROUNDS; round++) {
        double quiet = phase_p99_ms(false, seconds), loud = phase_p99_ms(true, seconds);
        if (round == 0 || quiet < peace) peace = quiet;
        if (round == 0 || loud < flooded) flooded = loud;
    }
    (void)kill(generator, SIGKILL);
    (void)kill(server, SIGKILL);
    (void)waitpid(generator, NULL, 0);
    (void)waitpid(server, NULL, 0);
    printf("%s; %llu datagrams of the flood, %llu refused; %d of %d players lost; p99 in peace %.3f ms\n",
           necpnet_version(), (unsigned long long)board->flooded, (unsigned long long)board->refused, players.lost,
           PLAYERS, peace);
    printf("%-34s %10s %10s\n", "case", "ours", "goal");
    report("packet of no connection", "processor time", "us", costs[0], 1);
    report("random bytes", "processor time", "us", costs[1], 1);
    report("bad cookie", "processor time", "us", costs[2], 1);
    report("bad token", "processor time", "us", costs[3], 10);
    report("players under 20,000 a second", "p99 more than in peace", "ms", flooded > peace ? flooded - peace : 0, 1);
    if (players.lost) fprintf(stderr, "flood: %d players were lost\n", players.lost);
    return players.lost ? 1 : 0;
}

#else

int main(void)
{
    puts("flood: this bench pins processes to cores and needs Linux");
    return 0;
}

#endif
