/* load - many clients in one process, each sending at a rate and getting every message back by the server's echo:
 * connect times, round trips, losses, CPU and memory. */
#include "cli.h"

#include "../server/arena_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef _WIN32
#include <sys/resource.h>
#endif

#define LOAD_BUCKETS 2048 /* of the histogram: 32 a doubling */

typedef struct load_client {
    necpnet_client* client;
    uint64_t next_us;
    uint64_t began_us;
    uint32_t next_number;
    uint32_t expect_number;
    bool is_connected;
    bool has_failed;
} load_client;

typedef struct load_run {
    const cli_options* options;
    load_client* clients;
    uint32_t connected;
    uint32_t failed;
    uint32_t disconnected;
    uint32_t suspended;
    uint64_t sent;
    uint64_t refused;
    uint64_t received;
    uint64_t wrong; /* echoes out of order or not ours */
    uint64_t round_trips[LOAD_BUCKETS];
    uint64_t connects[LOAD_BUCKETS];
    uint64_t worst_us;
} load_run;

/* Buckets grow by 1/32 of a doubling: an error of 3 %. */
static unsigned bucket_of(uint64_t us)
{
    unsigned log = 0;
    while (us >> log > 63) log++;
    unsigned index = log * 32 + (unsigned)(us >> log);
    return index < LOAD_BUCKETS ? index : LOAD_BUCKETS - 1;
}

static uint64_t bucket_us(unsigned index)
{
    unsigned log = index < 64 ? 0 : index / 32 - 1;
    return (uint64_t)(index - log * 32) << log;
}

static uint64_t percentile(const uint64_t* histogram, double share)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < LOAD_BUCKETS; i++) total += histogram[i];
    for (unsigned i = 0; i < LOAD_BUCKETS; i++) {
        seen += histogram[i];
        if (total && (double)seen >= share * (double)total) return bucket_us(i);
    }
    return 0;
}

static void take_echo(load_run* run, load_client* one, const necpnet_event* event, uint64_t now_us)
{
    uint64_t sent_us;
    uint32_t number;
    if (event->bytes < sizeof number + sizeof sent_us) return;
    memcpy(&number, event->data, sizeof number);
    memcpy(&sent_us, (const uint8_t*)event->data + sizeof number, sizeof sent_us);
    if (number != one->expect_number) run->wrong++;
    one->expect_number = number + 1;
    uint64_t took_us = now_us > sent_us ? now_us - sent_us : 0;
    if (took_us > run->worst_us) run->worst_us = took_us;
    run->round_trips[bucket_of(took_us)]++;
    run->received++;
}

static void poll_client(load_run* run, load_client* one, uint64_t now_us)
{
    necpnet_event event;
    char text[NECPNET_TOKEN_TEXT_BYTES_MAX];
    while (necpnet_client_poll(one->client, &event)) {
        switch (event.type) {
        case NECPNET_EVENT_TOKEN_NEEDED:
            if (!cli_token(run->options, run->options->transport, text) ||
                necpnet_client_set_token(one->client, text, necpnet_wall_time_us())) {
                one->has_failed = true;
                run->failed++;
            }
            break;
        case NECPNET_EVENT_SUSPENDED:
            run->suspended++;
            if (run->suspended <= 3) cli_fail("a client's connection is lost, its session waits: %s", event.text);
            break;
        case NECPNET_EVENT_CONNECTED:
            if (event.resumed) break;
            one->is_connected = true;
            one->expect_number = one->next_number;
            run->connected++;
            run->connects[bucket_of(now_us - one->began_us)]++;
            break;
        case NECPNET_EVENT_DISCONNECTED:
            one->is_connected = false;
            run->disconnected++;
            if (run->disconnected <= 3) cli_fail("a client was disconnected: %s", event.text);
            break;
        case NECPNET_EVENT_CONNECT_FAILED:
            one->has_failed = true;
            if (++run->failed <= 3) cli_fail("a client did not connect: %s", event.text);
            break;
        case NECPNET_EVENT_MESSAGE:
            if (event.name && strcmp(event.name, ARENA_MESSAGE_ECHO) == 0) take_echo(run, one, &event, now_us);
            break;
        default: break;
        }
    }
}

static void send_due(load_run* run, load_client* one, uint64_t now_us)
{
    static uint8_t message[65536];
    necpnet_send_options options = {0};
    options.name = ARENA_MESSAGE_ECHO;
    if (now_us < one->next_us) return;
    memcpy(message, &one->next_number, sizeof one->next_number);
    memcpy(message + 4, &now_us, sizeof now_us);
    size_t bytes = run->options->bytes < 12 ? 12 : run->options->bytes;
    if (necpnet_client_send_with(one->client, run->options->channel, message, bytes, &options) == NECPNET_OK) {
        one->next_number++;
        run->sent++;
    } else {
        run->refused++;
    }
    one->next_us += 1000000 / run->options->rate;
    if (one->next_us + 1000000 < now_us) one->next_us = now_us; /* this process fell behind */
}

static double cpu_seconds(void)
{
#ifndef _WIN32
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
#else
    return 0;
#endif
}

/* One turn over all clients. */
static void turn(load_run* run, necpnet_loop* loop, uint32_t count, bool sending)
{
    necpnet_loop_step(loop, sending ? 500 : 1000);
    for (uint32_t i = 0; i < count; i++) {
        load_client* one = &run->clients[i];
        if (!one->client || one->has_failed) continue;
        uint64_t now_us = necpnet_time_us();
        if (sending && one->is_connected) send_due(run, one, now_us);
        necpnet_client_update(one->client, now_us);
        poll_client(run, one, now_us);
    }
}

static bool begin_clients(load_run* run, necpnet_loop* loop, const necpnet_transport** transports)
{
    const cli_options* options = run->options;
    necpnet_client_config config;
    uint64_t print_us = 0;
    cli_client_config(options, NULL, &config);
    config.reconnect = false;
    config.connect_timeout_ms = 20000;
    for (uint32_t i = 0; i < options->clients && !cli_interrupted; i++) {
        load_client* one = &run->clients[i];
        necpnet_socket_config socket;
        necpnet_socket_config_default(&socket);
        socket.loop = loop;
        socket.udp_port = 0;
        necpnet_result result = necpnet_socket_create(&socket, &transports[i]);
        config.transport = transports[i];
        if (result == NECPNET_OK) result = necpnet_client_create(&config, &one->client);
        if (result) {
            cli_fail("client %u: %s", (unsigned)i, necpnet_result_text(result));
            return false;
        }
        one->began_us = necpnet_time_us();
        necpnet_client_update(one->client, one->began_us);
        if (!cli_connect(options, one->client)) return false;
        /* some at a time: a token lives 45 s, and X25519 costs the server a millisecond */
        while (!cli_interrupted && i + 1 - run->connected - run->failed > 50) turn(run, loop, i + 1, false);
        if (!options->json && necpnet_time_us() >= print_us) {
            fprintf(stderr, "\rconnecting %u of %u ", (unsigned)run->connected, (unsigned)options->clients);
            print_us = necpnet_time_us() + 200000;
        }
    }
    uint64_t until_us = necpnet_time_us() + 20000000;
    while (!cli_interrupted && run->connected + run->failed < options->clients && necpnet_time_us() < until_us) {
        turn(run, loop, options->clients, false);
    }
    if (!options->json)
        fprintf(stderr, "\rconnected %u of %u   \n", (unsigned)run->connected, (unsigned)options->clients);
    return run->connected > 0;
}

static void report(const load_run* run, double seconds, double cpu_s)
{
    uint64_t lost = run->sent - run->received;
    double messages = (double)(run->sent + run->received);
    long peak_kb = 0;
#ifndef _WIN32
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    peak_kb = usage.ru_maxrss;
#endif
    const char* form = run->options->json
                           ? "{\"clients\":%u,\"failed\":%u,\"disconnected\":%u,\"sent\":%llu,\"received\":%llu,"
                             "\"lost\":%llu,\"out_of_order\":%llu,"
                             "\"refused\":%llu,\"connect_p50_us\":%llu,\"connect_p99_us\":%llu,\"rtt_p50_us\":%llu,"
                             "\"rtt_p90_us\":%llu,"
                             "\"rtt_p99_us\":%llu,\"rtt_max_us\":%llu,\"messages_per_s\":%.0f,\"cpu_share\":%.3f,\"cpu_"
                             "us_per_message\":%.2f,"
                             "\"memory_kb\":%ld}\n"
                           : "clients        %u connected, %u failed, %u disconnected\n"
                             "messages       %llu sent, %llu back, %llu lost, %llu out of order, %llu refused\n"
                             "connect        p50 %llu us, p99 %llu us\n"
                             "round trip     p50 %llu us, p90 %llu us, p99 %llu us, worst %llu us\n"
                             "rate           %.0f messages a second both ways\n"
                             "this process   %.3f of a core, %.2f us a message, %ld kB at its peak\n";
    printf(form, (unsigned)run->connected, (unsigned)run->failed, (unsigned)run->disconnected,
           (unsigned long long)run->sent, (unsigned long long)run->received, (unsigned long long)lost,
           (unsigned long long)run->wrong, (unsigned long long)run->refused,
           (unsigned long long)percentile(run->connects, 0.5), (unsigned long long)percentile(run->connects, 0.99),
           (unsigned long long)percentile(run->round_trips, 0.5), (unsigned long long)percentile(run->round_trips, 0.9),
           (unsigned long long)percentile(run->round_trips, 0.99), (unsigned long long)run->worst_us,
           messages / seconds, cpu_s / seconds, messages > 0 ? cpu_s * 1e6 / messages : 0, peak_kb);
}

int cli_load_command(const cli_options* options)
{
    load_run run;
    necpnet_loop* loop = NULL;
    uint32_t seconds = options->seconds ? options->seconds : 10;
    memset(&run, 0, sizeof run);
    run.options = options;
    run.clients = (load_client*)calloc(options->clients, sizeof *run.clients);
    const necpnet_transport** transports = (const necpnet_transport**)calloc(options->clients, sizeof *transports);
    necpnet_result result = necpnet_loop_create(NULL, NECPNET_LOOP_BEST, &loop);
    if (result) cli_fail("%s", necpnet_result_text(result));
    bool ok = run.clients && transports && result == NECPNET_OK && begin_clients(&run, loop, transports);
    if (ok) {
        double cpu_before = cpu_seconds();
        uint64_t began_us = necpnet_time_us();
        uint64_t end_us = began_us + (uint64_t)seconds * 1000000;
        for (uint32_t i = 0; i < options->clients; i++) { /* spread over one interval */
            run.clients[i].next_us = began_us + (uint64_t)i * (1000000 / options->rate) / options->clients;
        }
        while (!cli_interrupted && necpnet_time_us() < end_us) turn(&run, loop, options->clients, true);
        double took_s = (double)(necpnet_time_us() - began_us) / 1e6;
        double cpu_s = cpu_seconds() - cpu_before;
        uint64_t until_us = necpnet_time_us() + 5000000; /* what is still on its way */
        while (run.received < run.sent && necpnet_time_us() < until_us) turn(&run, loop, options->clients, false);
        report(&run, took_s, cpu_s);
        ok = run.failed == 0 && run.disconnected == 0;
    }
    for (uint32_t i = 0; i < options->clients; i++) {
        if (run.clients) necpnet_client_destroy(run.clients[i].client);
        if (transports && transports[i]) necpnet_socket_destroy(transports[i]);
    }
    necpnet_loop_destroy(loop);
    free(run.clients);
    free((void*)transports);
    return ok ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
