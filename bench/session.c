/* bench/session - what a message costs in the channels: queue, write, read, poll, acknowledge; no network, no crypto.
 *
 * Compiles the whole library as part of itself, because sessions are not public; so it also measures what a game gets
 * that builds necpnet.c in one piece. Figures: nanoseconds of CPU for one message, both ends together, best of several
 * rounds; and memory of an idle session.
 */
#define NECPNET_WITH_PLATFORM 0
#include "../necpnet.c"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 7
#define PACKET_BYTES 1177

typedef struct bench_pair {
    nn_alloc alloc;
    nn_blocks blocks[2];
    nn_receive_memory memory[2];
    nn_session sessions[2];
    necpnet_channel_config channels[5];
} bench_pair;

static uint64_t bench_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void bench_open(bench_pair* pair)
{
    memset(pair, 0, sizeof *pair);
    nn_alloc_init(&pair->alloc, NULL);
    for (int i = 0; i < 5; i++) {
        pair->channels[i].mode = (necpnet_channel_mode)i;
        pair->channels[i].priority = NECPNET_PRIORITY_NORMAL;
        pair->channels[i].message_bytes_max = NECPNET_MESSAGE_BYTES_DEFAULT;
        pair->channels[i].queue_bytes_max = 1u << 20;
        pair->channels[i].queue_messages_max = 4096;
        pair->channels[i].window_bytes = 1u << 20;
    }
    for (int i = 0; i < 2; i++) {
        nn_session_config config;
        nn_blocks_init(&pair->blocks[i], &pair->alloc);
        pair->memory[i].max = 16u << 20;
        memset(&config, 0, sizeof config);
        config.alloc = &pair->alloc;
        config.blocks = &pair->blocks[i];
        config.channels = pair->channels;
        config.channel_count = 5;
        config.receive_memory = &pair->memory[i];
        nn_session_init(&pair->sessions[i], &config);
        nn_session_begin(&pair->sessions[i], false);
        for (int c = 0; c < 5; c++) (void)nn_session_set_peer_window(&pair->sessions[i], c, 1u << 20);
    }
}

static void bench_close(bench_pair* pair)
{
    for (int i = 0; i < 2; i++) {
        nn_session_reset(&pair->sessions[i]);
        nn_blocks_reset(&pair->blocks[i]);
    }
}

/* One flush: what was queued at 0 goes to 1 in packets; each is acknowledged at once. Returns messages polled. */
static unsigned bench_flush(bench_pair* pair, uint64_t now_us)
{
    static uint8_t packet[PACKET_BYTES];
    unsigned polled = 0;
    for (unsigned from = 0; from < 2; from++) {
        nn_session* sender = &pair->sessions[from];
        nn_session* receiver = &pair->sessions[1 - from];
        while (nn_session_has_output(sender, now_us)) {
            nn_contents contents;
            nn_session_event event;
            const char* text = NULL;
            contents.count = 0;
            nn_writer writer = nn_writer_of(packet, sizeof packet);
            size_t bytes = nn_session_write(sender, &writer, &contents, now_us);
            nn_reader reader = nn_reader_of(packet, bytes);
            while (nn_reader_left(&reader)) {
                uint8_t type = nn_read_u8(&reader);
                if (nn_session_read(receiver, type, &reader, now_us, &text)) abort();
            }
            nn_session_acked(sender, &contents, now_us);
            while (nn_session_poll(receiver, &event)) polled++;
        }
    }
    return polled;
}

static void bench_case(const char* name, int channel, size_t bytes, int batch)
{
    static uint8_t message[65536];
    static bench_pair pair;
    uint64_t best = UINT64_MAX;
    int flushes = (int)(20000000 / (bytes + 200)) / batch + 1;
    bench_open(&pair);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned polled = 0;
        uint64_t began = bench_now_ns();
        for (int i = 0; i < flushes; i++) {
            for (int j = 0; j < batch; j++) {
                if (nn_session_send(&pair.sessions[0], channel, message, bytes, NULL, 0)) abort();
            }
            polled += bench_flush(&pair, 0);
        }
        uint64_t each = (bench_now_ns() - began) / ((uint64_t)flushes * (uint64_t)batch);
        if (polled != (unsigned)(flushes * batch)) abort();
        if (each < best) best = each;
    }
    printf("%-10s %6zu bytes, %2d a flush: %6llu ns a message\n", name, bytes, batch, (unsigned long long)best);
    printf("{\"bench\":\"session\",\"case\":\"%s_%zu_x%d\",\"metric\":\"cpu\",\"unit\":\"ns\",\"ours\":%llu}\n", name,
           bytes, batch, (unsigned long long)best);
    bench_close(&pair);
}

int main(void)
{
    static const char* const names[5] = {"unreliable", "sequenced", "latest", "unordered", "ordered"};
    for (int channel = 0; channel < 5; channel++) {
        if (channel == NECPNET_RELIABLE_SEQUENCED) continue; /* a second message of a flush replaces the first */
        bench_case(names[channel], channel, 64, 1);
        bench_case(names[channel], channel, 64, 32);
    }
    bench_case("ordered", NECPNET_RELIABLE_ORDERED, 1024, 1);
    bench_case("ordered", NECPNET_RELIABLE_ORDERED, 65536, 1);
    printf("idle session: %zu bytes; a channel that has sent: %zu, that has received: %zu\n", sizeof(nn_session),
           sizeof(nn_channel_send) + 8 * sizeof(nn_send_entry), sizeof(nn_channel_receive));
    printf("{\"bench\":\"session\",\"case\":\"idle\",\"metric\":\"memory\",\"unit\":\"bytes\",\"ours\":%zu}\n",
           sizeof(nn_session));
    return 0;
}
