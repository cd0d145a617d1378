/* bench/connect - how many attempts to connect succeed, and how long they take, when datagrams get lost.
 *
 * What is measured: 10,000 clients on simulated links (100 ms round trip; 2, 5 and 20 % lost each way), each with one attempt of
 * the default timeout: the share that is connected, and the time from necpnet_client_connect to CONNECTED. Promised: 99.9 %
 * and p95 under 500 ms at 2 %.
 *
 * How: real endpoints on the library's simulated link, virtual time in steps of 1 ms, 100 clients at a time, each group with a
 * seed of its own. Security is NONE: the same messages without the cost of their cryptography. Loss begins with the first
 * datagram. The same figures in every run.
 *
 *     connect [--clients N]      default 10000
 *
 * Output: a table for people, then one JSON line a figure; theirs is what is promised.
 */
#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_GROUP 100
#define BENCH_CLIENTS_MAX 1000000u
#define BENCH_STEP_US 1000

typedef struct bench_client {
    necpnet_client* client;
    uint64_t began_us;
    bool done;
} bench_client;

static uint32_t* bench_times;
static uint32_t bench_connected, bench_failed;

static void bench_check(const char* what, necpnet_result result)
{
    if (!result) return;
    fprintf(stderr, "bench connect: %s: %s\n", what, necpnet_result_name(result));
    exit(1);
}

static bool bench_fill(void* to, size_t bytes, void* user)
{
    uint64_t* state = (uint64_t*)user;
    uint8_t* p = (uint8_t*)to;
    for (size_t i = 0; i < bytes; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(*state >> 56);
    }
    return true;
}

static void bench_poll(bench_client* one, uint64_t now_us)
{
    necpnet_event event;
    bench_check("client update", necpnet_client_update(one->client, now_us));
    while (necpnet_client_poll(one->client, &event)) {
        if (one->done) continue;
        if (event.type == NECPNET_EVENT_CONNECTED) {
            bench_times[bench_connected++] = (uint32_t)(now_us - one->began_us);
            one->done = true;
        }
        if (event.type == NECPNET_EVENT_CONNECT_FAILED) {
            bench_failed++;
            one->done = true;
        }
    }
}

static void bench_group(uint32_t loss_ppm, uint64_t seed)
{
    static bench_client clients[BENCH_GROUP];
    const char* url = "udp://server:7777";
    uint64_t entropy = seed, now_us = 1000000;
    necpnet_link_config link_config;
    necpnet_server_config server_config;
    necpnet_client_config client_config;
    necpnet_link* link;
    necpnet_server* server;
    const necpnet_transport* transport;
    necpnet_event event;
    bench_check("link config", necpnet_link_config_default(&link_config));
    bench_check("server config", necpnet_server_config_default(&server_config));
    bench_check("client config", necpnet_client_config_default(&client_config));
    link_config.latency_us = 50000;
    link_config.loss_ppm = loss_ppm;
    link_config.seed = seed;
    server_config.security = client_config.security = NECPNET_SECURITY_NONE;
    server_config.entropy.fill = client_config.entropy.fill = bench_fill;
    server_config.entropy.user = client_config.entropy.user = &entropy;
    server_config.peers_per_address_max = BENCH_GROUP;
    client_config.reconnect = false;
    bench_check("link", necpnet_link_create(&link_config, &link));
    bench_check("time", necpnet_link_advance(link, now_us));
    bench_check("host", necpnet_link_add_server(link, 7777, &transport));
    server_config.transport = transport;
    bench_check("server", necpnet_server_create(&server_config, &server));
    bench_check("wall time", necpnet_server_set_wall_time(server, UINT64_C(1700000000000000), now_us));
    for (int i = 0; i < BENCH_GROUP; i++) {
        bench_check("host", necpnet_link_add_client(link, &transport));
        client_config.transport = transport;
        bench_check("client", necpnet_client_create(&client_config, &clients[i].client));
        bench_check("client update", necpnet_client_update(clients[i].client, now_us));
        bench_check("connect", necpnet_client_connect(clients[i].client, &url, 1));
        clients[i].began_us = now_us;
        clients[i].done = false;
    }
    for (int waiting = BENCH_GROUP; waiting && now_us < 60000000; now_us += BENCH_STEP_US) {
        bench_check("advance", necpnet_link_advance(link, now_us));
        bench_check("server update", necpnet_server_update(server, now_us));
        while (necpnet_server_poll(server, &event)) {
        }
        waiting = 0;
        for (int i = 0; i < BENCH_GROUP; i++) {
            if (!clients[i].done) bench_poll(&clients[i], now_us);
            waiting += !clients[i].done;
        }
    }
    for (int i = 0; i < BENCH_GROUP; i++) {
        bench_failed += !clients[i].done;
        necpnet_client_destroy(clients[i].client);
    }
    necpnet_server_destroy(server);
    necpnet_link_destroy(link);
}

static int bench_compare(const void* a, const void* b)
{
    uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
    return (x > y) - (x < y);
}

static double bench_percentile(double share)
{
    return bench_connected ? bench_times[(uint32_t)((double)(bench_connected - 1) * share)] / 1e3 : 0;
}

int main(int argc, char** argv)
{
    static const uint32_t losses_ppm[] = {0, 20000, 50000, 200000};
    unsigned long clients = 10000;
    if (argc == 3 && !strcmp(argv[1], "--clients")) clients = strtoul(argv[2], NULL, 10);
    if ((argc != 1 && argc != 3) || clients < BENCH_GROUP || clients > BENCH_CLIENTS_MAX) {
        fprintf(stderr, "usage: connect [--clients 100 .. 1000000]\n");
        return 2;
    }
    clients -= clients % BENCH_GROUP;
    bench_times = (uint32_t*)malloc(sizeof *bench_times * clients);
    if (!bench_times) return 1;
    char lines[2][400];
    bool kept = true;
    printf("%lu connects, 100 ms round trip\n   lost   connected   p50 ms   p95 ms   p99 ms   worst ms\n", clients);
    for (size_t i = 0; i < sizeof losses_ppm / sizeof losses_ppm[0]; i++) {
        bench_connected = bench_failed = 0;
        for (unsigned long done = 0; done < clients; done += BENCH_GROUP) bench_group(losses_ppm[i], done + i + 1);
        qsort(bench_times, bench_connected, sizeof bench_times[0], bench_compare);
        double share = (double)bench_connected * 100 / (double)clients;
        double p95_ms = bench_percentile(0.95);
        printf("%5.0f %%   %7.2f %%   %6.0f   %6.0f   %6.0f   %8.0f\n", losses_ppm[i] / 1e4, share,
               bench_percentile(0.5), p95_ms, bench_percentile(0.99), bench_percentile(1));
        if (losses_ppm[i] != 20000) continue;
        const char* format = "{\"bench\":\"connect\",\"case\":\"100 ms, 2 %% lost\",\"metric\":\"%s\",\"unit\":\"%s\","
                             "\"ours\":%.2f,\"peer\":\"promised\",\"theirs\":%.1f,\"ratio\":%.3f}\n";
        snprintf(lines[0], sizeof lines[0], format, "connected", "%", share, 99.9, share / 99.9);
        snprintf(lines[1], sizeof lines[1], format, "p95", "ms", p95_ms, 500.0, 500 / (p95_ms > 0 ? p95_ms : 1));
        kept = share >= 99.9 && p95_ms < 500;
    }
    fputs(lines[0], stdout);
    fputs(lines[1], stdout);
    free(bench_times);
    return kept ? 0 : 1;
}
