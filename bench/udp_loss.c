/* bench/udp_loss - how late reliable ordered messages come when datagrams get lost, beside ENet in the same run.
 *
 * What is measured: 64-byte messages, 60 a second, over 25 ms of delay and 5 % loss each way: one-way p50, p99 and the worst,
 * and UDP payload bytes of both directions for each byte of message. Ours (encrypted) plain and with redundancy on the
 * channel, ENet (not encrypted) as it comes. Then bytes over a 64-byte message with nothing lost.
 *
 * How: real sockets on 127.0.0.1 in real time, each pair of ends behind a proxy of this program that keeps every datagram
 * for 25 ms or drops it; many pairs at once, so that half a minute gives some ten thousand messages each. Every message must
 * arrive once and in order, else the program fails.
 *
 *     udp_loss [--seconds N]      default 30
 *
 * Output: a table for people, then one JSON line a figure; ratio above 1 where ours is better.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "necpnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#if BENCH_WITH_ENET
#include <enet/enet.h>
#endif

#define BENCH_PAIRS 8 /* of each subject */
#define BENCH_MESSAGE_BYTES 64
#define BENCH_HZ 60
#define BENCH_DELAY_US 25000
#define BENCH_LOSS_PPM 50000
#define BENCH_SAMPLES_MAX 400000
#define BENCH_QUEUE 1024

enum { BENCH_OURS = 0, BENCH_OURS_TWICE = 1, BENCH_ENET = 2, BENCH_SUBJECTS = 3 };

static const char* const bench_names[BENCH_SUBJECTS] = {"necpnet", "necpnet, redundancy", "enet"};

typedef struct bench_datagram {
    uint64_t due_us;
    bool to_server;
    uint16_t bytes;
    uint8_t data[1500];
} bench_datagram;

/* A client, a server, and the lossy path between them. */
typedef struct bench_pair {
    int subject;
    int front; /* where the client sends to */
    int back;  /* from where the server is spoken to */
    struct sockaddr_in client_address, server_address;
    bool client_known;
    uint32_t first, count;
    bench_datagram* queue;
    uint64_t wire_bytes;
    uint64_t next_us; /* message */
    uint64_t sent, arrived;
    bool connected;
    necpnet_server* server;
    necpnet_client* client;
#if BENCH_WITH_ENET
    ENetHost* enet_server;
    ENetHost* enet_client;
    ENetPeer* enet_peer;
#endif
} bench_pair;

typedef struct bench_figures {
    uint32_t* samples;
    uint32_t count;
    uint64_t wire_bytes, payload_bytes;
    double p50_ms, p99_ms, worst_ms, overhead;
} bench_figures;

static bench_pair bench_pairs[BENCH_PAIRS * BENCH_SUBJECTS];
static int bench_pair_count;
static bench_figures bench_figure[BENCH_SUBJECTS];
static uint64_t bench_random = 88172645463325252u;
static uint32_t bench_loss_ppm;

static void bench_fail(const char* what)
{
    fprintf(stderr, "bench udp_loss: %s\n", what);
    exit(1);
}

static void bench_check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "bench udp_loss: %s: %s: %s\n", what, necpnet_result_name(result), necpnet_result_text(result));
    exit(1);
}

static bool bench_loses(void)
{
    bench_random ^= bench_random << 13;
    bench_random ^= bench_random >> 7;
    bench_random ^= bench_random << 17;
    return bench_random % 1000000 < bench_loss_ppm;
}

static int bench_socket(uint16_t* out_port)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address) || fcntl(fd, F_SETFL, O_NONBLOCK) ||
        getsockname(fd, (struct sockaddr*)&address, &bytes)) {
        bench_fail("no socket for the proxy");
    }
    *out_port = ntohs(address.sin_port);
    return fd;
}

/* ---- the path -- */

static void bench_take_in(bench_pair* pair, int fd, bool to_server, uint64_t now_us)
{
    for (;;) {
        uint8_t data[1500];
        struct sockaddr_in from;
        socklen_t from_bytes = sizeof from;
        ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr*)&from, &from_bytes);
        if (got < 0) return;
        if (to_server) {
            pair->client_address = from;
            pair->client_known = true;
        }
        pair->wire_bytes += (uint64_t)got;
        if (bench_loses()) continue;
        if (pair->count == BENCH_QUEUE) bench_fail("the proxy's queue is full");
        bench_datagram* datagram = &pair->queue[(pair->first + pair->count++) % BENCH_QUEUE];
        datagram->due_us = now_us + BENCH_DELAY_US;
        datagram->to_server = to_server;
        datagram->bytes = (uint16_t)got;
        memcpy(datagram->data, data, (size_t)got);
    }
}

static void bench_carry(bench_pair* pair, uint64_t now_us)
{
    bench_take_in(pair, pair->front, true, now_us);
    bench_take_in(pair, pair->back, false, now_us);
    while (pair->count && pair->queue[pair->first].due_us <= now_us) {
        const bench_datagram* datagram = &pair->queue[pair->first];
        pair->first = (pair->first + 1) % BENCH_QUEUE;
        pair->count--;
        const struct sockaddr_in* to = datagram->to_server ? &pair->server_address : &pair->client_address;
        if (!datagram->to_server && !pair->client_known) continue;
        if (sendto(datagram->to_server ? pair->back : pair->front, datagram->data, datagram->bytes, 0,
                   (const struct sockaddr*)to, sizeof *to) < 0 &&
            errno != EAGAIN && errno != ECONNREFUSED) {
            bench_fail("the proxy cannot send");
        }
    }
}

/* ---- the ends -- */

static void bench_arrive(bench_pair* pair, const void* data, size_t bytes)
{
    uint64_t head[2];
    if (bytes != BENCH_MESSAGE_BYTES) bench_fail("a message of another size arrived");
    memcpy(head, data, sizeof head);
    if (head[0] != pair->arrived) bench_fail("a message is missing or out of order");
    pair->arrived++;
    bench_figures* figures = &bench_figure[pair->subject];
    if (figures->count == BENCH_SAMPLES_MAX) return;
    uint64_t late_us = necpnet_time_us() - head[1];
    figures->samples[figures->count++] = (uint32_t)(late_us < UINT32_MAX ? late_us : UINT32_MAX);
}

static void bench_open_ours(bench_pair* pair, uint16_t front_port, uint16_t* out_server_port)
{
    necpnet_server_config server;
    necpnet_client_config client;
    bench_check("server config", necpnet_server_config_default(&server));
    bench_check("client config", necpnet_client_config_default(&client));
    necpnet_channel_config channel = server.channels[NECPNET_CHANNEL_RELIABLE];
    channel.redundancy = pair->subject == BENCH_OURS_TWICE;
    server.channels = client.channels = &channel;
    server.channel_count = client.channel_count = 1;
    server.bind_address = "127.0.0.1";
    server.udp_port = 0;
    server.security = client.security = NECPNET_SECURITY_OPEN;
    bench_check("server", necpnet_server_create(&server, &pair->server));
    int port = 0;
    bench_check("ports", necpnet_server_get_ports(pair->server, &port, NULL));
    *out_server_port = (uint16_t)port;
    bench_check("client", necpnet_client_create(&client, &pair->client));
    char url[64];
    const char* urls[1] = {url};
    snprintf(url, sizeof url, "udp://127.0.0.1:%u", (unsigned)front_port);
    bench_check("connect", necpnet_client_connect(pair->client, urls, 1));
}

static void bench_serve_ours(bench_pair* pair)
{
    necpnet_event event;
    bench_check("server update", necpnet_server_update(pair->server, necpnet_time_us()));
    while (necpnet_server_poll(pair->server, &event)) {
        if (event.type == NECPNET_EVENT_MESSAGE) bench_arrive(pair, event.data, event.bytes);
    }
    bench_check("client update", necpnet_client_update(pair->client, necpnet_time_us()));
    while (necpnet_client_poll(pair->client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) pair->connected = true;
        if (event.type == NECPNET_EVENT_DISCONNECTED) bench_fail("a connection was lost");
    }
}

#if BENCH_WITH_ENET
static void bench_open_enet(bench_pair* pair, uint16_t front_port, uint16_t* out_server_port)
{
    ENetAddress address;
    memset(&address, 0, sizeof address);
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = ENET_PORT_ANY;
    pair->enet_server = enet_host_create(&address, 4, 1, 0, 0);
    pair->enet_client = enet_host_create(NULL, 1, 1, 0, 0);
    if (!pair->enet_server || !pair->enet_client) bench_fail("ENet has no host");
    if (enet_socket_get_address(pair->enet_server->socket, &address)) bench_fail("ENet has no port");
    *out_server_port = address.port;
    enet_address_set_host_ip(&address, "127.0.0.1");
    address.port = front_port;
    pair->enet_peer = enet_host_connect(pair->enet_client, &address, 1, 0);
    if (!pair->enet_peer) bench_fail("ENet has no peer");
}

static void bench_serve_enet(bench_pair* pair)
{
    ENetEvent event;
    ENetHost* hosts[2] = {pair->enet_server, pair->enet_client};
    for (int i = 0; i < 2; i++) {
        while (enet_host_service(hosts[i], &event, 0) > 0) {
            if (event.type == ENET_EVENT_TYPE_CONNECT && i == 1) pair->connected = true;
            if (event.type == ENET_EVENT_TYPE_DISCONNECT) bench_fail("ENet lost its connection");
            if (event.type != ENET_EVENT_TYPE_RECEIVE) continue;
            bench_arrive(pair, event.packet->data, event.packet->dataLength);
            enet_packet_destroy(event.packet);
        }
    }
}
#endif

static void bench_send(bench_pair* pair)
{
    uint8_t data[BENCH_MESSAGE_BYTES];
    uint64_t head[2] = {pair->sent++, necpnet_time_us()};
    for (size_t i = 0; i < sizeof data; i++) {
        (void)bench_loses();
        data[i] = (uint8_t)bench_random; /* nothing to compress */
    }
    memcpy(data, head, sizeof head);
    if (pair->subject != BENCH_ENET) {
        bench_check("send", necpnet_client_send(pair->client, 0, data, sizeof data));
        bench_check("flush", necpnet_client_flush(pair->client, necpnet_time_us()));
    }
#if BENCH_WITH_ENET
    if (pair->subject == BENCH_ENET) {
        if (enet_peer_send(pair->enet_peer, 0, enet_packet_create(data, sizeof data, ENET_PACKET_FLAG_RELIABLE))) {
            bench_fail("ENet refuses a message");
        }
        enet_host_flush(pair->enet_client);
    }
#endif
}

static void bench_serve(bench_pair* pair)
{
    if (pair->subject != BENCH_ENET) bench_serve_ours(pair);
#if BENCH_WITH_ENET
    if (pair->subject == BENCH_ENET) bench_serve_enet(pair);
#endif
}

static void bench_open(int subject)
{
    bench_pair* pair = &bench_pairs[bench_pair_count++];
    uint16_t front_port, back_port, server_port = 0;
    memset(pair, 0, sizeof *pair);
    pair->subject = subject;
    pair->queue = (bench_datagram*)malloc(sizeof *pair->queue * BENCH_QUEUE);
    pair->front = bench_socket(&front_port);
    pair->back = bench_socket(&back_port);
    if (subject != BENCH_ENET) bench_open_ours(pair, front_port, &server_port);
#if BENCH_WITH_ENET
    if (subject == BENCH_ENET) bench_open_enet(pair, front_port, &server_port);
#endif
    pair->server_address.sin_family = AF_INET;
    pair->server_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pair->server_address.sin_port = htons(server_port);
}

static void bench_close(bench_pair* pair)
{
    necpnet_client_destroy(pair->client);
    necpnet_server_destroy(pair->server);
#if BENCH_WITH_ENET
    if (pair->enet_client) enet_host_destroy(pair->enet_client);
    if (pair->enet_server) enet_host_destroy(pair->enet_server);
#endif
    close(pair->front);
    close(pair->back);
    free(pair->queue);
}

static int bench_compare(const void* a, const void* b)
{
    uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
    return (x > y) - (x < y);
}

static void bench_sum_up(void)
{
    for (int i = 0; i < bench_pair_count; i++) {
        bench_figure[bench_pairs[i].subject].wire_bytes += bench_pairs[i].wire_bytes;
        bench_figure[bench_pairs[i].subject].payload_bytes += bench_pairs[i].sent * BENCH_MESSAGE_BYTES;
    }
    for (int i = 0; i < BENCH_SUBJECTS; i++) {
        bench_figures* figures = &bench_figure[i];
        if (!figures->count) continue;
        qsort(figures->samples, figures->count, sizeof figures->samples[0], bench_compare);
        figures->p50_ms = figures->samples[figures->count / 2] / 1e3;
        figures->p99_ms = figures->samples[figures->count - 1 - figures->count / 100] / 1e3;
        figures->worst_ms = figures->samples[figures->count - 1] / 1e3;
        figures->overhead = (double)figures->wire_bytes / (double)figures->payload_bytes;
    }
}

/* All pairs at once for so long; then until all has arrived. */
static void bench_run(uint32_t loss_ppm, double seconds)
{
    bench_pair_count = 0;
    bench_loss_ppm = 0; /* connecting is another bench */
    for (int i = 0; i < BENCH_SUBJECTS; i++) {
        bench_figure[i].count = 0;
        bench_figure[i].wire_bytes = bench_figure[i].payload_bytes = 0;
        for (int j = 0; j < BENCH_PAIRS && (i != BENCH_ENET || BENCH_WITH_ENET); j++) bench_open(i);
    }
    uint64_t began_us = necpnet_time_us(), begin_us = 0, end_us = UINT64_MAX;
    for (;;) {
        uint64_t now_us = necpnet_time_us();
        int waiting = 0, connected = 0;
        for (int i = 0; i < bench_pair_count; i++) {
            bench_pair* pair = &bench_pairs[i];
            bench_carry(pair, now_us);
            bench_serve(pair);
            connected += pair->connected;
            if (begin_us && now_us >= pair->next_us && now_us < end_us) {
                bench_send(pair);
                pair->next_us += 1000000 / BENCH_HZ;
            }
            waiting += pair->arrived < pair->sent;
        }
        if (!begin_us && connected == bench_pair_count) {
            begin_us = now_us + 500000; /* clocks and pings of the start are over */
            end_us = begin_us + (uint64_t)(seconds * 1e6);
            for (int i = 0; i < bench_pair_count; i++) bench_pairs[i].next_us = begin_us + (uint64_t)i * 997;
        }
        if (begin_us && now_us >= begin_us && !bench_loss_ppm && loss_ppm) bench_loss_ppm = loss_ppm;
        if (begin_us && now_us < begin_us) {
            for (int i = 0; i < bench_pair_count; i++) bench_pairs[i].wire_bytes = 0;
        }
        if (now_us >= end_us && !waiting) break;
        if (!begin_us && now_us > began_us + 10000000) bench_fail("no connection within 10 s");
        if (end_us != UINT64_MAX && now_us > end_us + 20000000) bench_fail("messages never arrived");
        struct timespec pause = {0, 100000};
        nanosleep(&pause, NULL);
    }
    bench_sum_up();
    for (int i = 0; i < bench_pair_count; i++) bench_close(&bench_pairs[i]);
}

static void bench_json(const char* name, const char* metric, const char* unit, double ours, double theirs)
{
    printf("{\"bench\":\"udp_loss\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.2f,\"peer\":\"enet\","
           "\"theirs\":%.2f,\"ratio\":%.2f}\n",
           name, metric, unit, ours, theirs, ours > 0 ? theirs / ours : 0);
}

int main(int argc, char** argv)
{
    double seconds = 30;
    if (argc == 3 && !strcmp(argv[1], "--seconds")) seconds = strtod(argv[2], NULL);
    if ((argc != 1 && argc != 3) || seconds < 1 || seconds > 600) {
        fprintf(stderr, "usage: udp_loss [--seconds 1 .. 600]\n");
        return 2;
    }
#if BENCH_WITH_ENET
    if (enet_initialize()) bench_fail("ENet does not start");
#endif
    for (int i = 0; i < BENCH_SUBJECTS; i++) {
        bench_figure[i].samples = (uint32_t*)malloc(sizeof(uint32_t) * BENCH_SAMPLES_MAX);
    }
    bench_figures lossy[BENCH_SUBJECTS];
    printf("64-byte reliable ordered messages, 60 a second, 25 ms each way\n");
    for (int round = 0; round < 2; round++) {
        bench_run(round ? 0 : BENCH_LOSS_PPM, round ? 5 : seconds);
        printf("%s lost each way        p50 ms   p99 ms  worst ms  UDP bytes a byte\n", round ? "0 %" : "5 %");
        for (int i = 0; i < BENCH_SUBJECTS; i++) {
            const bench_figures* figures = &bench_figure[i];
            if (!figures->count) continue;
            printf("  %-22s %7.1f  %7.1f  %8.1f  %16.2f  (%u messages)\n", bench_names[i], figures->p50_ms,
                   figures->p99_ms, figures->worst_ms, figures->overhead, figures->count);
            if (!round) lossy[i] = *figures;
        }
    }
    const bench_figures* enet = &lossy[BENCH_ENET];
    for (int i = 0; i < BENCH_ENET && BENCH_WITH_ENET; i++) {
        bench_json(bench_names[i], "one-way p50", "ms", lossy[i].p50_ms, enet->p50_ms);
        bench_json(bench_names[i], "one-way p99", "ms", lossy[i].p99_ms, enet->p99_ms);
        bench_json(bench_names[i], "one-way worst", "ms", lossy[i].worst_ms, enet->worst_ms);
        bench_json(bench_names[i], "UDP payload bytes a message byte", "ratio", lossy[i].overhead, enet->overhead);
    }
    for (int i = 0; i < BENCH_SUBJECTS; i++) free(bench_figure[i].samples);
    return 0;
}
