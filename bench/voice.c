/* bench/voice - what speech costs: forwarding on a server, encoding and decoding on a client.
 *
 *   hub        a hub alone, no sockets: 10,000 members who all speak, in channels of 10: each packet judged, packed once, queued
 *              for nine, written into nine packets. Nanoseconds a copy.
 *   server     a real server on loopback, encrypted, in a process of its own; up to 2,000 clients in channels of 5, each a
 *              session with its own socket, speak 50 times a second with packets encoded already, or as often as the
 *              generator comes round. Packets in and copies out a second of the server's processor time, so that the
 *              generator's share of the machine does not count; what share arrived, which falls where one core of either is full.
 *              Copies that fall into one turn of the server leave in one datagram: an idle server is woken for each packet and
 *              sends each alone, a loaded one gathers.
 *   streams    how many such streams a core of the server carries, at 50 packets a second and 4 listeners. And what 10,000 streams
 *              with 9 listeners each cost: driven through the hub, and with the largest crowd's cost of a copy over sockets
 *   codec      Opus at 24 kbit/s, 20 ms, complexity 5: encode, decode, FEC, concealment; and all of push and pull
 *
 * The goal is 75,000 packets a second and core: it is the peer of the server's rows.
 *
 *     voice [--quick | --crowd N SECONDS]     --crowd: one crowd alone, for perf record -p
 *
 * Output: a table for people, then one JSON line a figure.
 */
#include "../necpnet.c"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GOAL 75000.0
#define MEMBERS 10000u
#define CHANNEL 10u

static uint64_t clock_ns(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void must(necpnet_result result, const char* what)
{
    if (result == NECPNET_OK) return;
    fprintf(stderr, "voice: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static void print_json(const char* name, const char* metric, const char* unit, double ours, double goal)
{
    printf("{\"bench\":\"voice\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.4g", name, metric, unit,
           ours);
    if (goal > 0) {
        printf(",\"peer\":\"goal\",\"theirs\":%.4g,\"ratio\":%.3f}\n", goal, ours / goal);
    } else {
        printf(",\"peer\":null,\"theirs\":null,\"ratio\":null}\n");
    }
}

/* ---- a hub alone -- */

static void nobody_wakes(void* user, necpnet_peer peer)
{
    (void)user;
    (void)peer;
}

static necpnet_result nobody_reads(void* user, necpnet_peer peer, const void* data, size_t bytes)
{
    (void)user;
    (void)peer;
    (void)data;
    (void)bytes;
    return NECPNET_OK;
}

static const nn_voice_port* hub_ports[MEMBERS];

/* Nanoseconds a copy, the best of some rounds. */
static double measure_hub(int rounds)
{
    necpnet_voice_hub_config config;
    necpnet_voice_hub* hub;
    uint8_t opus[60], frame_bytes[100], out[1200];
    memset(opus, 7, sizeof opus);
    opus[0] = 9 << 3;
    necpnet_voice_hub_config_default(&config);
    config.loudest = 16;
    must(necpnet_voice_hub_create(&config, &hub), "hub");
    nn_voice_server server = {nobody_wakes, nobody_reads, NULL};
    hub->server = server;
    necpnet_voice_group group = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        necpnet_peer peer = (necpnet_peer)1 << 32 | (i + 1);
        must(nn_voice_hub_attach(hub, peer, i, &hub_ports[i]), "attach");
        hub_ports[i]->open(hub_ports[i]->user, true);
        if (i % CHANNEL == 0) {
            must(necpnet_voice_hub_group_create(hub, NECPNET_VOICE_CHANNEL, 0, CHANNEL, &group), "group");
        }
        must(necpnet_voice_hub_join(hub, group, peer), "join");
    }
    double best = 1e18;
    uint64_t now_us = 1000000;
    for (int round = 0; round < rounds; round++) {
        uint64_t before = hub->counts.packets_forwarded, began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int n = 0; n < 5; n++, now_us += 20000) {
            for (uint32_t i = 0; i < MEMBERS; i++) {
                nn_voice_frame frame = {0,    0,          9, (uint8_t)n, (uint16_t)(n * 2), (i / CHANNEL + 1) << 2,
                                        opus, sizeof opus};
                nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
                nn_voice_write(&writer, &frame);
                nn_reader reader = nn_reader_of(frame_bytes + 1, nn_writer_bytes(&writer) - 1);
                hub_ports[i]->read(hub_ports[i]->user, frame_bytes[0], &reader, now_us);
            }
            for (uint32_t i = 0; i < MEMBERS; i++) {
                nn_writer writer = nn_writer_of(out, sizeof out);
                hub_ports[i]->write(hub_ports[i]->user, &writer, now_us);
            }
        }
        double copies = (double)(hub->counts.packets_forwarded - before);
        double spent = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - began);
        if (spent / copies < best) best = spent / copies;
    }
    printf("a hub alone, %u members all speaking in channels of %u: %.0f ns a copy, %.0f bytes a member\n", MEMBERS,
           CHANNEL, best, (double)hub->alloc.bytes / MEMBERS);
    necpnet_voice_hub_destroy(hub);
    return best;
}

/* ---- a real server -- */

#define CLIENTS_MAX 2000
#define TALK 5
#define JOIN_AT_ONCE 100

/* In memory that both processes have. */
typedef struct site {
    necpnet_server* server;
    necpnet_voice_hub* hub;
    necpnet_voice_group groups[CLIENTS_MAX / TALK];
    int clients;
    int joined;
    int port;
    atomic_bool ready, stop;
    _Atomic uint64_t cpu_ns, packets, copies, datagrams, at_ns;
} site;

static void site_publish(site* at)
{
    necpnet_voice_hub_statistics voice;
    necpnet_server_statistics all;
    necpnet_voice_hub_get_statistics(at->hub, &voice);
    necpnet_server_get_statistics(at->server, &all);
    atomic_store(&at->cpu_ns, clock_ns(CLOCK_PROCESS_CPUTIME_ID));
    atomic_store(&at->packets, voice.packets_received);
    atomic_store(&at->copies, voice.packets_forwarded);
    atomic_store(&at->datagrams, all.udp.packets_sent);
    atomic_store(&at->at_ns, clock_ns(CLOCK_MONOTONIC));
}

static void site_run(site* at)
{
    necpnet_server_config config;
    necpnet_voice_hub_config hub;
    necpnet_server_config_default(&config);
    necpnet_voice_hub_config_default(&hub);
    must(necpnet_voice_hub_create(&hub, &at->hub), "hub");
    config.bind_address = "127.0.0.1";
    config.udp_port = 0;
    config.security = NECPNET_SECURITY_OPEN;
    config.peers_per_address_max = CLIENTS_MAX;
    config.peers_max = CLIENTS_MAX;
    config.voice_hub = at->hub;
    must(necpnet_server_create(&config, &at->server), "server");
    must(necpnet_server_get_ports(at->server, &at->port, NULL), "port");
    for (int i = 0; i < at->clients / TALK; i++) {
        must(necpnet_voice_hub_group_create(at->hub, NECPNET_VOICE_CHANNEL, 0, TALK, &at->groups[i]), "group");
    }
    atomic_store(&at->ready, true);
    uint64_t published_us = 0;
    while (!atomic_load(&at->stop)) {
        necpnet_event event;
        necpnet_voice_hub_event spoken;
        uint64_t now_us = necpnet_time_us();
        necpnet_server_update(at->server, now_us);
        while (necpnet_server_poll(at->server, &event)) {
            if (event.type != NECPNET_EVENT_CONNECTED || event.resumed) continue;
            if (necpnet_voice_hub_join(at->hub, at->groups[at->joined / TALK], event.peer) == NECPNET_OK) at->joined++;
        }
        while (necpnet_voice_hub_poll(at->hub, &spoken)) continue;
        if (now_us >= published_us + 50000) {
            published_us = now_us;
            site_publish(at);
        }
        necpnet_server_wait(at->server, 20000);
    }
    necpnet_server_destroy(at->server);
    necpnet_voice_hub_destroy(at->hub);
}

typedef struct speaker {
    necpnet_client* client;
    necpnet_voice* voice;
    uint32_t received;
    uint16_t time;
    bool joined;
} speaker;

static void count_packet(const necpnet_voice_packet* packet, void* user)
{
    (void)packet;
    ((speaker*)user)->received++;
}

static void drive(speaker* one, uint64_t now_us)
{
    necpnet_event event;
    necpnet_voice_event spoken;
    necpnet_client_update(one->client, now_us);
    while (necpnet_client_poll(one->client, &event)) continue;
    while (necpnet_voice_poll(one->voice, &spoken))
        one->joined = one->joined || spoken.type == NECPNET_VOICE_EVENT_JOINED;
}

static void say(speaker* one, const uint8_t* opus, size_t bytes)
{
    necpnet_voice_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.time = one->time;
    packet.level = (uint8_t)(6 + one->time / 2 % 7); /* as speech is: no spam */
    packet.data = opus;
    packet.bytes = bytes;
    one->time = (uint16_t)(one->time + 2);
    (void)necpnet_voice_push_packet(one->voice, &packet, necpnet_time_us());
}

/* Until the last of so many is in a group; those before are kept alive. */
static void await_joined(speaker* speakers, int count)
{
    uint64_t patience_us = necpnet_time_us() + 30000000;
    for (int joined = 0; joined < count;) {
        joined = 0;
        for (int i = 0; i < count; i++) {
            if (i >= count - JOIN_AT_ONCE || !speakers[i].joined) drive(&speakers[i], necpnet_time_us());
            joined += speakers[i].joined ? 1 : 0;
        }
        if (necpnet_time_us() > patience_us) must(NECPNET_ERR_TIMEOUT, "clients");
    }
}

typedef struct load_result {
    double copies_per_s, datagrams_per_s; /* of the server's processor time */
    double cpu;                           /* share of a core */
    double packets_real, copies_real;     /* a second of the wall's */
    double packets_per_s;                 /* in, of the server's processor time */
    double arrived;                       /* share */
} load_result;

static load_result measure_server(int clients, double seconds)
{
    site* at = (site*)mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static speaker speakers[CLIENTS_MAX];
    uint8_t opus[60];
    load_result out;
    if (at == MAP_FAILED) must(NECPNET_ERR_OUT_OF_MEMORY, "shared memory");
    memset(speakers, 0, sizeof speakers);
    memset(opus, 7, sizeof opus);
    opus[0] = 9 << 3;
    at->clients = clients;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) must(NECPNET_ERR_IO, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        site_run(at);
        _exit(0);
    }
    while (!atomic_load(&at->ready)) usleep(1000);
    char url[64];
    const char* urls[] = {url};
    snprintf(url, sizeof url, "udp://127.0.0.1:%d", at->port);
    for (int i = 0; i < clients; i++) {
        necpnet_client_config config;
        necpnet_voice_config voice;
        necpnet_client_config_default(&config);
        necpnet_voice_config_default(&voice);
        voice.codec = NECPNET_VOICE_EXTERNAL;
        voice.on_packet = count_packet;
        voice.user = &speakers[i];
        must(necpnet_voice_create(&voice, &speakers[i].voice), "voice");
        config.security = NECPNET_SECURITY_OPEN;
        config.voice = speakers[i].voice;
        must(necpnet_client_create(&config, &speakers[i].client), "client");
        drive(&speakers[i], necpnet_time_us());
        must(necpnet_client_connect(speakers[i].client, urls, 1), "connect");
        if (i % JOIN_AT_ONCE == JOIN_AT_ONCE - 1 || i == clients - 1) await_joined(speakers, i + 1);
    }
    uint64_t begin_us = necpnet_time_us(), end_us = begin_us + (uint64_t)((seconds + 0.5) * 1e6), next_us = begin_us;
    uint64_t cpu = 0, packets = 0, copies = 0, datagrams = 0, wall = 0;
    uint64_t came = 0, sent = 0;
    bool began = false;
    while (next_us < end_us) { /* spread over the 20 ms, as talkers are */
        for (int i = 0; i < clients; i++) {
            while (necpnet_time_us() < next_us + (uint64_t)i * 20000u / (uint64_t)clients) continue;
            say(&speakers[i], opus, sizeof opus);
            drive(&speakers[i], necpnet_time_us());
            sent++;
        }
        next_us += 20000;
        if (necpnet_time_us() > next_us + 20000) next_us = necpnet_time_us(); /* the generator cannot do more */
        if (!began && next_us > begin_us + 500000) {
            began = true;
            cpu = atomic_load(&at->cpu_ns);
            packets = atomic_load(&at->packets);
            copies = atomic_load(&at->copies);
            datagrams = atomic_load(&at->datagrams);
            wall = atomic_load(&at->at_ns);
        }
    }
    double spent = (double)(atomic_load(&at->cpu_ns) - cpu) / 1e9,
           real = (double)(atomic_load(&at->at_ns) - wall) / 1e9;
    double made = (double)(atomic_load(&at->copies) - copies);
    double taken = (double)(atomic_load(&at->packets) - packets);
    out.copies_per_s = made / spent;
    out.packets_per_s = taken / spent;
    out.packets_real = taken / real;
    out.datagrams_per_s = (double)(atomic_load(&at->datagrams) - datagrams) / spent;
    out.cpu = spent / real;
    out.copies_real = made / real;
    for (int n = 0; n < 10; n++) {
        for (int i = 0; i < clients; i++) drive(&speakers[i], necpnet_time_us());
    }
    for (int i = 0; i < clients; i++) came += speakers[i].received;
    out.arrived = (double)came / ((double)sent * (TALK - 1));
    for (int i = 0; i < clients; i++) {
        necpnet_client_destroy(speakers[i].client);
        necpnet_voice_destroy(speakers[i].voice);
    }
    atomic_store(&at->stop, true);
    (void)waitpid(child, NULL, 0);
    (void)munmap(at, sizeof *at);
    return out;
}

/* ---- codec -- */

static float sound[48000];

/* A voice of a kind: pulses through two resonances, with syllables. */
static void make_sound(void)
{
    float a1 = 0, a2 = 0, b1 = 0, b2 = 0;
    for (int i = 0; i < 48000; i++) {
        float pulse = i % 400 == 0 ? 1.0f : 0.0f;
        float a = pulse + 1.96f * a1 - 0.97f * a2, b = pulse + 1.90f * b1 - 0.95f * b2;
        a2 = a1;
        a1 = a;
        b2 = b1;
        b1 = b;
        sound[i] = (a + b) * 0.02f * fabsf(sinf((float)i * 0.0004f));
    }
}

typedef struct codec_times {
    double encode, decode, fec, conceal, push, pull; /* ns for 20 ms */
} codec_times;

static void keep_least(double* least, uint64_t began, int count)
{
    double now = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - began) / count;
    if (*least == 0 || now < *least) *least = now;
}

static codec_times measure_codec(int rounds)
{
    const nn_voice_codec* codec = nn_voice_codec_opus();
    codec_times out;
    static uint8_t packets[50][400];
    size_t bytes[50];
    static float pcm[960];
    memset(&out, 0, sizeof out);
    void* encoder = calloc(1, codec->encoder_bytes(1));
    void* decoder = calloc(1, codec->decoder_bytes(1));
    codec->encoder_begin(encoder, 1, false);
    codec->decoder_begin(decoder, 1);
    nn_voice_settings settings = {24000, 2, 5, 10, false};
    codec->encoder_set(encoder, &settings);
    for (int round = 0; round < rounds; round++) {
        uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < 50; i++)
            bytes[i] = codec->encode(encoder, sound + i * 960, 2, packets[i], sizeof packets[i]);
        keep_least(&out.encode, began, 50);
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < 50; i++) codec->decode(decoder, packets[i], bytes[i], false, pcm, 2);
        keep_least(&out.decode, began, 50);
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < 50; i++) codec->decode(decoder, packets[i], bytes[i], true, pcm, 2);
        keep_least(&out.fec, began, 50);
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < 50; i++) codec->decode(decoder, NULL, 0, false, pcm, 2);
        keep_least(&out.conceal, began, 50);
    }
    necpnet_voice_config config;
    necpnet_voice* voice;
    necpnet_voice_config_default(&config);
    config.activation = NECPNET_VOICE_ALWAYS;
    must(necpnet_voice_create(&config, &voice), "voice");
    must(necpnet_voice_set_loopback(voice, true), "loopback");
    uint64_t now_us = 1000000;
    for (int round = 0; round < rounds; round++) {
        uint64_t push_ns = 0, pull_ns = 0;
        for (int i = 0; i < 50; i++, now_us += 20000) {
            static float stereo[960 * 2];
            uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
            necpnet_voice_push(voice, 0, sound + i * 960, 960, now_us);
            push_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
            began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
            necpnet_voice_pull(voice, stereo, 960, now_us);
            pull_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
        }
        if (out.push == 0 || (double)push_ns / 50 < out.push) out.push = (double)push_ns / 50;
        if (out.pull == 0 || (double)pull_ns / 50 < out.pull) out.pull = (double)pull_ns / 50;
    }
    necpnet_voice_destroy(voice);
    free(encoder);
    free(decoder);
    return out;
}

#define CROWDS 4

static void print_crowd(int clients, const load_result* load)
{
    printf("%7d  %9.0f  %8.0f  %14.2f  %5.1f %%  %14.0f  %13.0f  %16.0f\n", clients, load->packets_real,
           load->copies_real, load->cpu, load->arrived * 100, load->packets_per_s, load->copies_per_s,
           load->datagrams_per_s);
    fflush(stdout);
}

int main(int argc, char** argv)
{
    bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    static const int crowds[CROWDS] = {20, 400, 1000, 2000};
    load_result loads[CROWDS];
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    const char* heads =
        "clients  packets/s  copies/s  share of a core  arrived  packets a core  copies a core  datagrams a core";
    if (argc > 3 && strcmp(argv[1], "--crowd") == 0) {
        int clients = atoi(argv[2]);
        if (clients < TALK || clients > CLIENTS_MAX) must(NECPNET_ERR_INVALID_ARGUMENT, "--crowd");
        loads[0] = measure_server(clients / TALK * TALK, atof(argv[3]));
        puts(heads);
        print_crowd(clients, &loads[0]);
        return 0;
    }
    double hub_ns = measure_hub(quick ? 2 : 6);
    int count = quick ? 2 : CROWDS;
    puts(heads);
    for (int i = 0; i < count; i++) {
        memset(&loads[i], 0, sizeof loads[i]);
        for (int round = 0; round < (quick || crowds[i] > 1000 ? 1 : 3); round++) {
            load_result now = measure_server(crowds[i], quick ? 1 : 3);
            if (now.copies_per_s > loads[i].copies_per_s) loads[i] = now;
        }
        print_crowd(crowds[i], &loads[i]);
    }
    printf("streams of 50 packets a second with 4 listeners each that a core carries: %.0f\n",
           loads[count - 1].copies_per_s / 200);
    /* a round of the hub is 20 ms of 10,000 streams; with sockets a copy costs what the largest crowd's cost */
    double hub_share = hub_ns * MEMBERS * 50 * (CHANNEL - 1) / 1e9;
    double cores = MEMBERS * 50.0 * (CHANNEL - 1) / loads[count - 1].copies_per_s;
    printf("10,000 streams of 50 packets a second with 9 listeners each: %.2f of a core in the hub, driven; %.1f cores "
           "with sealing and sockets, by the largest crowd's cost of a copy\n",
           hub_share, cores);
    codec_times times;
    memset(&times, 0, sizeof times);
    if (nn_voice_codec_opus()) {
        make_sound();
        times = measure_codec(quick ? 5 : 30);
        printf("20 ms of speech: encode %.0f us, decode %.0f, FEC %.0f, conceal %.0f; push %.0f, pull %.0f\n",
               times.encode / 1e3, times.decode / 1e3, times.fec / 1e3, times.conceal / 1e3, times.push / 1e3,
               times.pull / 1e3);
    }
    print_json("hub alone", "a copy", "ns", hub_ns, 0);
    print_json("10,000 streams, 9 listeners", "hub alone", "cores", hub_share, 0);
    print_json("10,000 streams, 9 listeners", "with sealing and sockets", "cores", cores, 0);
    for (int i = 0; i < count; i++) {
        char name[40];
        snprintf(name, sizeof name, "%d clients", crowds[i]);
        print_json(name, "copies forwarded", "a second of a core", loads[i].copies_per_s, GOAL);
        print_json(name, "packets taken", "a second of a core", loads[i].packets_per_s, 0);
        print_json(name, "datagrams sent", "a second of a core", loads[i].datagrams_per_s, 0);
    }
    if (times.encode > 0) {
        print_json("20 ms", "encode", "ns", times.encode, 0);
        print_json("20 ms", "decode", "ns", times.decode, 0);
        print_json("20 ms", "FEC", "ns", times.fec, 0);
        print_json("20 ms", "conceal", "ns", times.conceal, 0);
        print_json("20 ms", "push", "ns", times.push, 0);
        print_json("20 ms", "pull", "ns", times.pull, 0);
    }
    return 0;
}
