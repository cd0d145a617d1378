/* test_session - the channels of a pair of sessions keep what each mode promises.
 *
 * Two sessions talk through a simulated packet layer (kit_session). Every message carries its number and bytes that
 * follow from it, so that the receiver can tell which one it is and whether it is whole.
 */
#include "kit_session.h"
#include "nn_frame.h"
#include "test.h"

#define MESSAGES_MAX 70000

/* What one receiving side has seen of one channel. */
typedef struct watch {
    uint32_t sent;
    uint32_t received;
    uint32_t last; /* number of the last received + 1 */
    uint8_t* seen; /* by number */
} watch;

static watch watches[2][KIT_CHANNELS]; /* by receiving side */
static uint32_t receipts[2];
static uint32_t writables[2];

static uint8_t message_byte(uint32_t number, size_t at)
{
    return (uint8_t)((number * 31 + at * 7) ^ (at >> 8));
}

/* Compressible or not, by number. */
static void message_fill(uint8_t* to, uint32_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) to[i] = number % 3 == 0 ? (uint8_t)(number + i / 64) : message_byte(number, i);
    if (bytes >= 4) nn_store_u32(to, number);
}

static void watch_event(kit_world* world, int side, const nn_session_event* event)
{
    static uint8_t expected[NECPNET_MESSAGE_BYTES_MAX];
    (void)world;
    if (event->type == NN_SESSION_EVENT_RECEIPT) receipts[side]++;
    if (event->type == NN_SESSION_EVENT_WRITABLE) writables[side]++;
    if (event->type != NN_SESSION_EVENT_MESSAGE || event->channel == NN_CONTROL_CHANNEL) return;
    watch* seen = &watches[side][event->channel];
    uint32_t number = event->bytes >= 4 ? nn_load_u32((const uint8_t*)event->data) : seen->last;
    TEST_HINT("channel %d, message %u", event->channel, number);
    TEST_LESS(number, seen->sent);
    message_fill(expected, number, event->bytes);
    TEST_EQUAL_BYTES(event->data, expected, event->bytes);
    TEST_EQUAL(seen->seen[number], 0);
    seen->seen[number] = 1;
    switch ((necpnet_channel_mode)event->channel) {
    case NECPNET_UNRELIABLE:
    case NECPNET_RELIABLE_UNORDERED: break;
    case NECPNET_UNRELIABLE_SEQUENCED:
    case NECPNET_RELIABLE_SEQUENCED: TEST_AT_LEAST(number, seen->last); break;
    case NECPNET_RELIABLE_ORDERED: TEST_EQUAL(number, seen->last); break;
    }
    seen->last = number + 1;
    seen->received++;
}

/* Settle, and say what rule was broken if one was. */
static void settle(kit_world* world, int steps)
{
    bool settled = kit_world_settle(world, steps);
    TEST_EQUAL_STRING(world->broken, NULL);
    TEST_CHECK(settled);
}

static void watches_begin(kit_world* world)
{
    for (int side = 0; side < 2; side++) {
        receipts[side] = writables[side] = 0;
        for (int c = 0; c < KIT_CHANNELS; c++) {
            uint8_t* seen = watches[side][c].seen;
            if (!seen) seen = (uint8_t*)malloc(MESSAGES_MAX);
            memset(&watches[side][c], 0, sizeof watches[side][c]);
            memset(seen, 0, MESSAGES_MAX);
            watches[side][c].seen = seen;
        }
    }
    world->on_event = watch_event;
}

/* Queue the next message of a channel from a side. */
static necpnet_result send_next(kit_world* world, int side, int channel, size_t bytes,
                                const necpnet_send_options* options)
{
    static uint8_t message[NECPNET_MESSAGE_BYTES_MAX];
    watch* seen = &watches[!side][channel];
    message_fill(message, seen->sent, bytes);
    necpnet_result result = nn_session_send(&world->sessions[side], channel, message, bytes, options, world->now_us);
    if (result == NECPNET_OK) seen->sent++;
    return result;
}

static size_t some_size(kit_world* world, size_t most)
{
    switch (kit_world_random(world, 8)) {
    case 0: return 4;
    case 1: return nn_min_size(most, 1100 + (size_t)kit_world_random(world, 200));
    case 2: return 4 + (size_t)kit_world_random(world, most - 3);
    default: return 4 + (size_t)kit_world_random(world, 200);
    }
}

/* What must hold when all is settled: everything reliable came, and the newest of the sequenced. */
static void watches_end(void)
{
    for (int side = 0; side < 2; side++) {
        for (int c = NECPNET_RELIABLE_SEQUENCED; c < KIT_CHANNELS; c++) {
            watch* seen = &watches[side][c];
            TEST_HINT("channel %d to side %d", c, side);
            if (c == NECPNET_RELIABLE_SEQUENCED) {
                TEST_EQUAL(seen->last, seen->sent);
            } else {
                TEST_EQUAL(seen->received, seen->sent);
            }
        }
    }
    TEST_HINT("%s", "");
}

static void talk(kit_world* world, int rounds, size_t most, uint32_t break_ppm)
{
    for (int round = 0; round < rounds; round++) {
        for (int side = 0; side < 2; side++) {
            for (int c = 0; c < KIT_CHANNELS; c++) {
                size_t limit = c < NECPNET_RELIABLE_UNORDERED ? nn_min_size(most, 30000) : most;
                for (uint64_t n = kit_world_random(world, 4); n > 0; n--) {
                    necpnet_result result = send_next(world, side, c, some_size(world, limit), NULL);
                    TEST_CHECK(result == NECPNET_OK || result == NECPNET_ERR_WOULD_BLOCK);
                }
            }
        }
        kit_world_step(world);
        if (kit_world_random(world, 1000000) < break_ppm) kit_world_break(world, kit_world_random(world, 2) == 0);
    }
    settle(world, 40000);
    watches_end();
}

static void begin(kit_world* world, struct necpnet_allocator* allocator, uint64_t seed)
{
    *allocator = test_allocator();
    kit_world_init(world, allocator, seed);
    watches_begin(world);
}

TEST(test_session_delivers_without_loss)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, test_seed());
    kit_world_open(&world);
    talk(&world, 50, 20000, 0);
    for (int side = 0; side < 2; side++) {
        for (int c = 0; c < 2; c++) TEST_EQUAL(watches[side][c].received, watches[side][c].sent);
    }
    kit_world_reset(&world);
    TEST_EQUAL(world.memory[0].held, 0);
    TEST_EQUAL(world.memory[1].held, 0);
}

TEST(test_session_keeps_its_promises_under_loss_duplication_and_reordering)
{
    TEST_EACH_SEED (seed, 60) {
        struct necpnet_allocator allocator;
        kit_world world;
        begin(&world, &allocator, seed);
        world.loss_ppm = (uint32_t)kit_world_random(&world, 300000);
        world.duplicate_ppm = (uint32_t)kit_world_random(&world, 100000);
        world.jitter_us = (uint32_t)kit_world_random(&world, 60000);
        static const uint32_t sizes[] = {64, 200, 576, 1177, 1400, 9000, 65507};
        world.packet_bytes = sizes[kit_world_random(&world, NN_COUNT(sizes))];
        world.packet_bytes_min =
            kit_world_random(&world, 2) ? world.packet_bytes : (uint32_t)nn_min_u64(world.packet_bytes, 64);
        for (int c = 0; c < KIT_CHANNELS; c++) {
            world.channels[c].redundancy = kit_world_random(&world, 3) == 0;
            world.channels[c].priority = (necpnet_priority)kit_world_random(&world, 4);
        }
        kit_world_open(&world);
        talk(&world, 40, world.packet_bytes_min < 200 ? 3000 : 40000, 0);
        kit_world_reset(&world);
    }
}

TEST(test_session_keeps_its_promises_on_ordered_carriers)
{
    TEST_EACH_SEED (seed, 20) {
        struct necpnet_allocator allocator;
        kit_world world;
        begin(&world, &allocator, seed);
        world.ordered = true;
        world.jitter_us = 100000;
        world.packet_bytes = world.packet_bytes_min = 16384;
        kit_world_open(&world);
        talk(&world, 40, 60000, 0);
        kit_world_reset(&world);
    }
}

TEST(test_session_survives_changes_of_carrier)
{
    TEST_EACH_SEED (seed, 60) {
        struct necpnet_allocator allocator;
        kit_world world;
        begin(&world, &allocator, seed);
        world.ordered = kit_world_random(&world, 2) == 0;
        world.loss_ppm = (uint32_t)kit_world_random(&world, 200000);
        world.jitter_us = (uint32_t)kit_world_random(&world, 50000);
        static const uint32_t sizes[] = {1177, 1177, 300, 41};
        world.packet_bytes = world.packet_bytes_min = sizes[kit_world_random(&world, NN_COUNT(sizes))];
        world.channels[NECPNET_RELIABLE_ORDERED].redundancy = kit_world_random(&world, 2) == 0;
        kit_world_open(&world);
        talk(&world, 60, world.packet_bytes < 100 ? 1000 : 30000, 60000);
        kit_world_reset(&world);
    }
}

TEST(test_session_sends_only_what_is_missing_after_a_reconnect)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, test_seed());
    kit_world_open(&world);
    for (int i = 0; i < 200; i++) TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, 1000, NULL));
    for (int i = 0; i < 5; i++) kit_world_step(&world); /* all has arrived, no acknowledgement has come back */
    uint32_t received = watches[1][NECPNET_RELIABLE_ORDERED].received;
    TEST_AT_LEAST(received, 64);
    TEST_AT_MOST(received, 199);
    uint64_t before = world.packets;
    kit_world_break(&world, false);
    settle(&world, 1000);
    watches_end();
    TEST_AT_MOST(world.packets - before, 200 - received + 4);
    kit_world_reset(&world);
}

TEST(test_session_sends_a_megabyte)
{
    struct necpnet_allocator allocator;
    for (int ordered = 0; ordered < 2; ordered++) {
        kit_world world;
        begin(&world, &allocator, 3);
        world.ordered = ordered == 1;
        world.loss_ppm = 50000;
        world.channels[NECPNET_RELIABLE_ORDERED].message_bytes_max = NECPNET_MESSAGE_BYTES_MAX;
        world.channels[NECPNET_RELIABLE_ORDERED].queue_bytes_max = 4 * NECPNET_MESSAGE_BYTES_MAX;
        kit_world_open(&world);
        necpnet_send_options named;
        memset(&named, 0, sizeof named);
        named.name = "a.name.of.sixty.three.bytes.....................................";
        char name[NECPNET_NAME_BYTES_MAX + 1];
        memcpy(name, named.name, NECPNET_NAME_BYTES_MAX);
        name[NECPNET_NAME_BYTES_MAX] = 0;
        named.name = name;
        watches[1][NECPNET_RELIABLE_ORDERED].sent = 1; /* not compressible */
        watches[1][NECPNET_RELIABLE_ORDERED].last = 1;
        TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, NECPNET_MESSAGE_BYTES_MAX, &named));
        TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, NECPNET_MESSAGE_BYTES_MAX, NULL));
        settle(&world, 4000);
        TEST_EQUAL(watches[1][NECPNET_RELIABLE_ORDERED].received, 2);
        kit_world_reset(&world);
    }
}

TEST(test_session_ids_wrap)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 5);
    world.loss_ppm = 20000;
    world.jitter_us = 8000;
    kit_world_open(&world);
    for (int round = 0; round < 1100; round++) {
        for (int i = 0; i < 62; i++) {
            for (int c = 0; c < KIT_CHANNELS; c++) (void)send_next(&world, 0, c, 4 + (size_t)i % 5, NULL);
        }
        kit_world_step(&world);
    }
    settle(&world, 2000);
    TEST_GREATER(watches[1][NECPNET_RELIABLE_ORDERED].sent, 66000);
    TEST_GREATER(watches[1][NECPNET_UNRELIABLE_SEQUENCED].received, 40000);
    watches_end();
    kit_world_reset(&world);
}

TEST(test_session_delivers_empty_messages)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 6);
    world.channels[NECPNET_UNRELIABLE].redundancy = true;
    kit_world_open(&world);
    for (int i = 0; i < 10; i++) {
        for (int c = 0; c < KIT_CHANNELS; c++) {
            TEST_OK(nn_session_send(&world.sessions[0], c, NULL, 0, NULL, world.now_us));
            watches[1][c].sent++;
        }
        kit_world_step(&world);
    }
    settle(&world, 100);
    for (int c = 0; c < KIT_CHANNELS; c++) TEST_EQUAL(watches[1][c].received, 10);
    kit_world_reset(&world);
}

static int named_messages;

static void watch_names(kit_world* world, int side, const nn_session_event* event)
{
    (void)world;
    (void)side;
    if (event->type != NN_SESSION_EVENT_MESSAGE) return;
    TEST_EQUAL_STRING(event->name, "player.moved");
    TEST_CHECK(event->bytes == 0 || event->bytes == 1000);
    for (size_t i = 0; i < event->bytes; i++) TEST_EQUAL(((const char*)event->data)[i], 'x');
    named_messages++;
}

TEST(test_session_delivers_names)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 7);
    world.packet_bytes = world.packet_bytes_min = 300;
    world.on_event = watch_names;
    named_messages = 0;
    kit_world_open(&world);
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    options.name = "player.moved";
    char text[1000];
    memset(text, 'x', sizeof text);
    for (int c = 0; c < KIT_CHANNELS; c++) {
        TEST_OK(nn_session_send(&world.sessions[0], c, text, sizeof text, &options, world.now_us));
        settle(&world, 100);
        TEST_OK(nn_session_send(&world.sessions[0], c, NULL, 0, &options, world.now_us));
        settle(&world, 100);
    }
    TEST_EQUAL(named_messages, 2 * KIT_CHANNELS);
    kit_world_reset(&world);
}

TEST(test_session_compresses_only_for_peers_that_decompress)
{
    struct necpnet_allocator allocator;
    static const uint8_t zeroes[5000];
    uint64_t bytes[2];
    for (int decompresses = 0; decompresses < 2; decompresses++) {
        kit_world world;
        begin(&world, &allocator, 8);
        kit_world_open(&world);
        nn_session_set_peer_decompresses(&world.sessions[0], decompresses == 1);
        nn_payload* payload = nn_payload_create(&world.blocks[0], zeroes, sizeof zeroes, NULL, true);
        TEST_CHECK(payload);
        TEST_OK(nn_session_send_payload(&world.sessions[0], NECPNET_RELIABLE_ORDERED, payload, NULL, world.now_us));
        nn_payload_release(payload);
        world.on_event = NULL;
        settle(&world, 100);
        bytes[decompresses] = world.packet_bytes_sum;
        necpnet_channel_statistics statistics;
        TEST_OK(nn_session_get_channel_statistics(&world.sessions[1], NECPNET_RELIABLE_ORDERED, &statistics));
        TEST_EQUAL(statistics.bytes_received, 5000);
        kit_world_reset(&world);
    }
    TEST_GREATER(bytes[0], 5000);
    if (NECPNET_WITH_LZ4) TEST_LESS(bytes[1], 500);
}

TEST(test_session_says_when_a_queue_is_full_and_when_it_has_room)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 9);
    world.channels[NECPNET_RELIABLE_ORDERED].queue_messages_max = 10;
    world.channels[NECPNET_UNRELIABLE].queue_bytes_max = 100000;
    world.channels[NECPNET_UNRELIABLE].compress = false;
    kit_world_open(&world);
    for (int i = 0; i < 10; i++) TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, 100, NULL));
    TEST_EQUAL(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, 100, NULL), NECPNET_ERR_WOULD_BLOCK);
    TEST_OK(send_next(&world, 0, NECPNET_UNRELIABLE, 30000, NULL));
    TEST_OK(send_next(&world, 0, NECPNET_UNRELIABLE, 30000, NULL));
    TEST_OK(send_next(&world, 0, NECPNET_UNRELIABLE, 30000, NULL));
    TEST_EQUAL(send_next(&world, 0, NECPNET_UNRELIABLE, 30000, NULL), NECPNET_ERR_WOULD_BLOCK);
    TEST_EQUAL(writables[0], 0);
    settle(&world, 1000);
    kit_world_step(&world);
    TEST_EQUAL(writables[0], 2);
    TEST_EQUAL(nn_session_queued_bytes(&world.sessions[0]), 0);
    kit_world_reset(&world);
}

TEST(test_session_stalls_without_credit_and_resumes)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 10);
    for (int c = 0; c < KIT_CHANNELS; c++) {
        world.channels[c].message_bytes_max = 10000;
        world.channels[c].window_bytes = c == NECPNET_RELIABLE_ORDERED ? 10000 : 50000;
    }
    world.loss_ppm = 100000;
    world.paused = true;
    kit_world_open(&world);
    watches[1][NECPNET_RELIABLE_ORDERED].sent = watches[1][NECPNET_RELIABLE_ORDERED].last = 1;
    for (int i = 0; i < 40; i++) {
        TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_UNORDERED, 10000, NULL));
        TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, i % 2 ? 10000 : 20, NULL));
    }
    for (int i = 0; i < 500; i++) kit_world_step(&world);
    TEST_AT_MOST(world.memory[1].held, 80000); /* what was not polled stays within the windows */
    TEST_CHECK(!nn_session_flushed(&world.sessions[0]));
    TEST_CHECK(!nn_session_has_output(&world.sessions[0], world.now_us));
    world.paused = false;
    settle(&world, 10000);
    TEST_EQUAL(watches[1][NECPNET_RELIABLE_UNORDERED].received, 40);
    TEST_EQUAL(watches[1][NECPNET_RELIABLE_ORDERED].received, 40);
    kit_world_reset(&world);
}

TEST(test_session_gives_receipts_once)
{
    struct necpnet_allocator allocator;
    for (int ordered = 0; ordered < 2; ordered++) {
        kit_world world;
        begin(&world, &allocator, 11);
        world.loss_ppm = 200000;
        world.ordered = ordered == 1;
        kit_world_open(&world);
        necpnet_send_options options;
        memset(&options, 0, sizeof options);
        options.wants_receipt = true;
        for (int i = 0; i < 100; i++) {
            options.receipt = (uint64_t)i;
            TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, 50, &options));
            TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_UNORDERED, 3000, &options));
            kit_world_step(&world);
        }
        settle(&world, 2000);
        kit_world_step(&world);
        TEST_EQUAL(receipts[0], 200);
        kit_world_reset(&world);
    }
}

TEST(test_session_drops_what_is_past_its_deadline)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 12);
    kit_world_open(&world);
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    options.has_deadline = true;
    options.deadline_us = world.now_us;
    TEST_OK(send_next(&world, 0, NECPNET_UNRELIABLE, 50, &options));
    options.deadline_us = world.now_us + KIT_STEP_US;
    TEST_OK(send_next(&world, 0, NECPNET_UNRELIABLE, 50, &options));
    settle(&world, 100);
    TEST_EQUAL(watches[1][NECPNET_UNRELIABLE].received, 1);
    necpnet_channel_statistics statistics;
    TEST_OK(nn_session_get_channel_statistics(&world.sessions[0], NECPNET_UNRELIABLE, &statistics));
    TEST_EQUAL(statistics.messages_dropped, 1);
    TEST_EQUAL(statistics.messages_sent, 2);
    kit_world_reset(&world);
}

TEST(test_session_redundancy_saves_a_lost_packet)
{
    struct necpnet_allocator allocator;
    for (int channel = 0; channel < KIT_CHANNELS; channel++) {
        kit_world world;
        begin(&world, &allocator, 13);
        world.channels[channel].redundancy = true;
        kit_world_open(&world);
        TEST_OK(send_next(&world, 0, channel, 50, NULL));
        world.loss_ppm = 1000000;
        kit_world_step(&world);
        world.loss_ppm = 0;
        uint64_t deadline = nn_session_deadline_us(&world.sessions[0]);
        TEST_EQUAL(deadline, world.now_us + NN_REDUNDANCY_DELAY_US);
        for (int i = 0; i < 9; i++) kit_world_step(&world); /* 45 ms: before the loss is noticed */
        TEST_EQUAL(watches[1][channel].received, 1);
        settle(&world, 100);
        TEST_EQUAL(watches[1][channel].received, 1);
        kit_world_reset(&world);
    }
}

TEST(test_session_costs_no_more_than_promised)
{
    struct necpnet_allocator allocator;
    static const size_t promised[KIT_CHANNELS] = {2, 4, 4, 4, 4}; /* 26 and 31 with 23 of header and tag */
    uint8_t message[64];
    memset(message, 1, sizeof message);
    for (int c = 0; c < KIT_CHANNELS; c++) {
        kit_world world;
        begin(&world, &allocator, 14);
        kit_world_open(&world);
        world.on_event = NULL;
        TEST_OK(nn_session_send(&world.sessions[0], c, message, sizeof message, NULL, world.now_us));
        settle(&world, 100);
        TEST_EQUAL(world.packet_bytes_sum, 64 + promised[c]);
        TEST_EQUAL(world.packets, 1);
        kit_world_reset(&world);
    }
}

TEST(test_session_idle_is_small)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 15);
    kit_world_open(&world);
    TEST_AT_MOST(sizeof(nn_session) + 2 * (KIT_CHANNELS + 1) * sizeof(void*), 1024);
    TEST_AT_MOST(nn_session_memory_bytes(&world.sessions[0]), 1024);
    kit_world_reset(&world);
}

TEST(test_session_takes_no_memory_in_a_steady_state)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 16);
    kit_world_open(&world);
    uint64_t before = 0;
    for (int round = 0; round < 400; round++) {
        for (int c = 0; c < KIT_CHANNELS; c++) {
            TEST_OK(send_next(&world, 0, c, 64, NULL));
            TEST_OK(send_next(&world, 0, c, 600, NULL));
        }
        kit_world_step(&world);
        if (round == 100) before = test_allocation_count();
    }
    TEST_EQUAL(test_allocation_count(), before);
    kit_world_reset(&world);
}

/* ---- priorities -------------------------------------------------------------------------------------------------- */

TEST(test_session_shares_by_weight)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 17);
    world.packets_per_step = 4;
    world.channels[0].mode = world.channels[1].mode = world.channels[2].mode = world.channels[3].mode =
        NECPNET_UNRELIABLE;
    world.channels[0].priority = NECPNET_PRIORITY_CRITICAL;
    world.channels[1].priority = NECPNET_PRIORITY_HIGH;
    world.channels[2].priority = NECPNET_PRIORITY_NORMAL;
    world.channels[3].priority = NECPNET_PRIORITY_LOW;
    world.on_event = NULL;
    kit_world_open(&world);
    uint8_t message[100];
    memset(message, 2, sizeof message);
    for (int step = 0; step < 500; step++) {
        for (int c = 0; c < 4; c++) {
            while (nn_session_send(&world.sessions[0], c, message, sizeof message, NULL, world.now_us) == NECPNET_OK) {
            }
        }
        kit_world_step(&world);
    }
    double share[4];
    for (int c = 0; c < 4; c++) {
        necpnet_channel_statistics statistics;
        TEST_OK(nn_session_get_channel_statistics(&world.sessions[1], c, &statistics));
        share[c] = (double)statistics.messages_received;
    }
    TEST_NEAR(share[0] / share[1], 2.0, 0.1);
    TEST_NEAR(share[1] / share[2], 2.0, 0.1);
    TEST_NEAR(share[2] / share[3], 2.0, 0.1);
    kit_world_reset(&world);
}

static bool source_ready(void* user, uint64_t now_us)
{
    (void)now_us;
    return *(int*)user > 0;
}

static bool source_write(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    int* left = (int*)user;
    (void)now_us;
    if (nn_writer_left(writer) < 12) return false;
    nn_write_u8(writer, NN_FRAME_PADDING);
    nn_contents_add(contents, NN_SENT_STATE, 0, 0, 77);
    --*left;
    return true;
}

TEST(test_session_gives_sources_their_turn)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 18);
    world.channels[NECPNET_RELIABLE_ORDERED].priority = NECPNET_PRIORITY_HIGH; /* before the state */
    kit_world_open(&world);
    int left = 3;
    static const nn_source sources[NN_SOURCES] = {{NULL, NULL}, {source_ready, source_write}};
    world.configs[0].sources = sources;
    nn_session_set_sources(&world.sessions[0], &left);
    TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, 64, NULL));
    TEST_CHECK(nn_session_has_output(&world.sessions[0], 0));
    uint8_t packet[200];
    nn_contents contents;
    memset(&contents, 0, sizeof contents);
    nn_writer writer = nn_writer_of(packet, sizeof packet);
    /* With a source waiting the message must have its length. */
    TEST_EQUAL(nn_session_write(&world.sessions[0], &writer, &contents, 0), 1 + 1 + 1 + 2 + 2 + 64);
    TEST_EQUAL(contents.count, 2);
    TEST_EQUAL(left, 2);
    nn_contents_init(&contents);
    writer = nn_writer_of(packet, sizeof packet);
    TEST_EQUAL(nn_session_write(&world.sessions[0], &writer, &contents, 0), 1);
    TEST_EQUAL(contents.frames[0].kind, NN_SENT_STATE);
    nn_session_lost(&world.sessions[0], &contents, 0);
    nn_session_acked(&world.sessions[0], &contents, 0);
    kit_world_reset(&world);
}

TEST(test_session_stops_trying_to_compress_what_does_not_shrink)
{
    struct necpnet_allocator allocator;
    kit_world world;
    uint8_t noise[300], same[300];
    uint32_t tried = 0;
    if (!NECPNET_WITH_LZ4) return;
    begin(&world, &allocator, 20);
    world.on_event = NULL;
    kit_world_open(&world);
    nn_session* session = &world.sessions[0];
    memset(same, 7, sizeof same);
    for (int i = 0; i < 100; i++) { /* the first makes the channel */
        for (size_t k = 0; k < sizeof noise; k++) noise[k] = (uint8_t)kit_world_random(&world, 256);
        const nn_channel_send* sender = session->senders ? session->senders[NECPNET_RELIABLE_ORDERED] : NULL;
        tried += !sender || sender->plain_left == 0;
        TEST_OK(nn_session_send(session, NECPNET_RELIABLE_ORDERED, noise, sizeof noise, NULL, 0));
    }
    TEST_AT_MOST(tried, 11);
    size_t before = nn_session_queued_bytes(session);
    for (int i = 0; i < NN_COMPRESS_SKIP_MAX + 20; i++) {
        TEST_OK(nn_session_send(session, NECPNET_RELIABLE_ORDERED, same, sizeof same, NULL, 0));
    }
    TEST_AT_MOST(nn_session_queued_bytes(session) - before, NN_COMPRESS_SKIP_MAX * sizeof same + 20 * 40);
    kit_world_reset(&world);
}

TEST(test_session_control_goes_first_and_whole)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 19);
    world.loss_ppm = 100000;
    world.on_event = NULL;
    kit_world_open(&world);
    static uint8_t table[100000];
    memset(table, 9, sizeof table);
    for (int i = 0; i < 3; i++) TEST_OK(nn_session_send_control(&world.sessions[0], table, sizeof table));
    TEST_EQUAL(nn_session_send_control(&world.sessions[0], table, NN_CONTROL_MESSAGE_BYTES_MAX + 1),
               NECPNET_ERR_MESSAGE_TOO_LARGE);
    TEST_OK(nn_session_send(&world.sessions[0], NECPNET_RELIABLE_ORDERED, table, 50, NULL, world.now_us));
    settle(&world, 2000);
    necpnet_channel_statistics statistics;
    TEST_OK(nn_session_get_channel_statistics(&world.sessions[1], NECPNET_RELIABLE_ORDERED, &statistics));
    TEST_EQUAL(statistics.messages_received, 1);
    TEST_EQUAL(world.sessions[1].receivers[KIT_CHANNELS]->messages_received, 3);
    TEST_EQUAL(world.sessions[1].receivers[KIT_CHANNELS]->bytes_received, 300000);
    kit_world_reset(&world);
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

TEST(test_session_refuses_bad_arguments)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 20);
    kit_world_open(&world);
    nn_session* session = &world.sessions[0];
    uint8_t data[8] = {0};
    necpnet_send_options options;
    memset(&options, 0, sizeof options);
    TEST_EQUAL(nn_session_send(session, -1, data, 8, NULL, 0), NECPNET_ERR_NO_SUCH_CHANNEL);
    TEST_EQUAL(nn_session_send(session, KIT_CHANNELS, data, 8, NULL, 0), NECPNET_ERR_NO_SUCH_CHANNEL);
    TEST_EQUAL(nn_session_send(session, 0, NULL, 8, NULL, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(nn_session_send(session, 4, data, 65537, NULL, 0), NECPNET_ERR_MESSAGE_TOO_LARGE);
    TEST_EQUAL(nn_session_send(session, 1, data, 40000, NULL, 0), NECPNET_ERR_MESSAGE_TOO_LARGE);
    options.name = "";
    TEST_EQUAL(nn_session_send(session, 0, data, 8, &options, 0), NECPNET_ERR_INVALID_ARGUMENT);
    options.name = "................................................................";
    TEST_EQUAL(nn_session_send(session, 0, data, 8, &options, 0), NECPNET_ERR_INVALID_ARGUMENT);
    options.name = NULL;
    options.wants_receipt = true;
    TEST_EQUAL(nn_session_send(session, 0, data, 8, &options, 0), NECPNET_ERR_INVALID_ARGUMENT);
    options.wants_receipt = false;
    options.has_deadline = true;
    TEST_EQUAL(nn_session_send(session, 4, data, 8, &options, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(nn_session_set_peer_window(session, 4, 100), NECPNET_ERR_PROTOCOL);
    TEST_CHECK(!nn_session_has_output(session, 0));
    kit_world_reset(&world);
}

/* ---- hostile ----------------------------------------------------------------------------------------------------- */

static necpnet_result read_bytes(kit_world* world, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    necpnet_result result = NECPNET_OK;
    while (!result && nn_reader_left(&reader) > 0) {
        const char* text = NULL;
        uint8_t type = nn_read_u8(&reader);
        result = nn_session_read(&world->sessions[1], type, &reader, world->now_us, &text);
        if (result == NECPNET_ERR_PROTOCOL) TEST_CHECK(text != NULL);
    }
    return result;
}

#define REFUSED(...) \
    do { \
        static const uint8_t frame[] = {__VA_ARGS__}; \
        kit_world_open(&world); \
        TEST_EQUAL(read_bytes(&world, frame, sizeof frame), NECPNET_ERR_PROTOCOL); \
        for (int i = 0; i < 2; i++) nn_session_reset(&world.sessions[i]); \
    } while (0)

TEST(test_session_refuses_hostile_frames)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 21);
    REFUSED(NN_FRAME_MESSAGE);                                              /* no channel */
    REFUSED(NN_FRAME_MESSAGE, 5, 0);                                        /* not in the table */
    REFUSED(NN_FRAME_MESSAGE, 4, 0, 0, 5, 1, 2);                            /* longer than its packet */
    REFUSED(NN_FRAME_MESSAGE, 4, 0);                                        /* half an id */
    REFUSED(NN_FRAME_MESSAGE, 4, 0x00, 0x40, 0);                            /* 16,384 ahead */
    REFUSED(NN_FRAME_MESSAGE, 3, 0xff, 0x7f, 0);                            /* 32,767 ahead */
    REFUSED(NN_FRAME_MESSAGE, 0x80, 0);                                     /* named without a name */
    REFUSED(NN_FRAME_MESSAGE, 0x80, 2, 0, 1);                               /* an empty name */
    REFUSED(NN_FRAME_MESSAGE, 0x80, 2, 2, 'a');                             /* a name longer than the message */
    REFUSED(NN_FRAME_MESSAGE, 0x80, 3, 2, 'a', 0);                          /* NUL in a name */
    REFUSED(NN_FRAME_MESSAGE, 0x40, 1, 0);                                  /* compressed from nothing */
    REFUSED(NN_FRAME_MESSAGE, 0x40, 6, 0x80, 0x10, 0x00, 0x00, 0x01, 0x02); /* a bomb */
    REFUSED(NN_FRAME_MESSAGE, 0x40, 4, 10, 0x20, 1, 2);                     /* does not decompress */
    REFUSED(NN_FRAME_FRAGMENT, 4, 0, 0, 0x80, 0x20, 0, 0, 0, 1, 1);         /* total of 2 MB */
    REFUSED(NN_FRAME_FRAGMENT, 4, 0, 0, 0x80, 0x02, 0, 0, 0, 1, 1);         /* beyond message_bytes_max */
    REFUSED(NN_FRAME_FRAGMENT, 1, 0, 0, 0x80, 0x00, 0xa0, 0, 0, 1, 1);      /* 40,960 on a sequenced channel */
    REFUSED(NN_FRAME_FRAGMENT, 4, 0, 0, 20, 3, 1, 1);                       /* begins behind its message */
    REFUSED(NN_FRAME_FRAGMENT, 4, 0, 0, 20, 1, 5, 1, 1, 1, 1, 1);           /* ends behind its message */
    REFUSED(NN_FRAME_FRAGMENT, 4, 0, 0, 40, 0, 5, 1, 1, 1, 1, 1);           /* not whole units */
    REFUSED(NN_FRAME_FRAGMENT, 4, 0, 0, 40, 0, 0);                          /* nothing */
    REFUSED(NN_FRAME_FRAGMENT, 4, 0, 0, 40, 2, 8, 1, 1, 1, 1, 1, 1, 1, 1,   /* two totals of one message */
            NN_FRAME_FRAGMENT, 4, 0, 0, 41, 2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    REFUSED(NN_FRAME_CREDIT, 0, 5); /* unreliable */
    REFUSED(NN_FRAME_CREDIT, 9, 5);
    REFUSED(NN_FRAME_CREDIT, 4);
    REFUSED(NN_FRAME_RECEIVED, 0, 0, 1, 4, 1, 0, 0, 0); /* claims what was not sent */
    REFUSED(NN_FRAME_RECEIVED, 0, 0, 1, 4, 0, 0, 0, 1, 0, 1);
    REFUSED(NN_FRAME_RECEIVED, 0, 0, 1, 4, 0, 0, 17, 0);
    REFUSED(NN_FRAME_RECEIVED, 0, 0, 1);
    REFUSED(0x0b); /* not a frame of a session */
    nn_blocks_reset(&world.blocks[0]);
    nn_blocks_reset(&world.blocks[1]);
    TEST_EQUAL(world.memory[1].held, 0);
}

TEST(test_session_refuses_too_many_messages_in_fragments)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 26);
    kit_world_open(&world);
    uint8_t frame[] = {NN_FRAME_FRAGMENT, 4, 0, 0, 40, 2, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    for (int i = 0; i < NN_FRAGMENTED_AT_ONCE_MAX; i++) {
        frame[2] = (uint8_t)i;
        TEST_OK(read_bytes(&world, frame, sizeof frame));
    }
    frame[2] = NN_FRAGMENTED_AT_ONCE_MAX;
    TEST_EQUAL(read_bytes(&world, frame, sizeof frame), NECPNET_ERR_PROTOCOL);
    frame[1] = NECPNET_UNRELIABLE; /* the oldest are forgotten */
    for (int i = 0; i < 100; i++) {
        frame[2] = (uint8_t)i;
        TEST_OK(read_bytes(&world, frame, sizeof frame));
    }
    TEST_EQUAL(world.sessions[1].receivers[NECPNET_UNRELIABLE]->assembly_count, NN_REASSEMBLIES_UNRELIABLE_MAX);
    kit_world_reset(&world);
    TEST_EQUAL(world.memory[1].held, 0);
}

TEST(test_session_refuses_more_than_its_credit)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 22);
    world.channels[NECPNET_RELIABLE_UNORDERED].window_bytes = 65536;
    kit_world_open(&world);
    uint8_t frame[4 + 1000] = {NN_FRAME_MESSAGE_LAST, NECPNET_RELIABLE_UNORDERED, 0, 0};
    necpnet_result result = NECPNET_OK;
    int sent = 0;
    for (; sent < 100 && !result; sent++) {
        frame[2] = (uint8_t)sent;
        result = read_bytes(&world, frame, sizeof frame);
    }
    TEST_EQUAL(result, NECPNET_ERR_PROTOCOL);
    TEST_EQUAL(sent, 66); /* 65 x 1000 <= 65,536 + 64 */
    kit_world_reset(&world);
}

TEST(test_session_holds_no_more_than_its_memory)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 23);
    world.memory[1].max = 5000;
    kit_world_open(&world);
    uint8_t frame[4 + 1000] = {NN_FRAME_MESSAGE_LAST, NECPNET_UNRELIABLE};
    for (int i = 0; i < 100; i++) TEST_OK(read_bytes(&world, frame, sizeof frame));
    TEST_AT_MOST(world.memory[1].held, 6000);
    frame[1] = NECPNET_RELIABLE_ORDERED;
    TEST_EQUAL(read_bytes(&world, frame, sizeof frame), NECPNET_ERR_OUT_OF_MEMORY);
    nn_session_event event;
    int polled = 0;
    while (nn_session_poll(&world.sessions[1], &event)) polled++;
    TEST_AT_LEAST(polled, 3);
    TEST_OK(read_bytes(&world, frame, sizeof frame));
    TEST_CHECK(nn_session_poll(&world.sessions[1], &event));
    TEST_EQUAL(event.channel, NECPNET_RELIABLE_ORDERED);
    kit_world_reset(&world);
}

TEST(test_session_survives_random_frames)
{
    TEST_EACH_SEED (seed, 3000) {
        struct necpnet_allocator allocator;
        kit_world world;
        begin(&world, &allocator, seed);
        kit_world_open(&world);
        for (int i = 0; i < 20; i++) TEST_OK(send_next(&world, 1, i % KIT_CHANNELS, 300, NULL));
        uint8_t packet[256];
        nn_contents contents;
        memset(&contents, 0, sizeof contents);
        nn_writer writer = nn_writer_of(packet, sizeof packet);
        nn_session_write(&world.sessions[1], &writer, &contents, world.now_us);
        struct test_random random = test_random_begin(seed);
        for (int i = 0; i < 20; i++) {
            static const uint8_t types[] = {NN_FRAME_RECEIVED, NN_FRAME_MESSAGE, NN_FRAME_MESSAGE_LAST,
                                            NN_FRAME_FRAGMENT, NN_FRAME_CREDIT};
            test_random_bytes(&random, packet, sizeof packet);
            packet[0] = types[test_random_below(&random, NN_COUNT(types))];
            if (test_random_below(&random, 2)) packet[1] &= 0xc7;
            if (test_random_below(&random, 2)) packet[3] = 0;
            (void)read_bytes(&world, packet, 1 + (size_t)test_random_below(&random, sizeof packet));
        }
        world.on_event = NULL;
        nn_session_event event;
        while (nn_session_poll(&world.sessions[1], &event)) {
        }
        kit_world_reset(&world);
    }
}

TEST(test_session_treats_refused_packets_as_lost)
{
    TEST_EACH_SEED (seed, 10) {
        struct necpnet_allocator allocator;
        kit_world world;
        begin(&world, &allocator, seed);
        world.memory[1].max = 40000; /* small enough that reliable messages are refused while others wait */
        world.channels[NECPNET_RELIABLE_ORDERED].window_bytes = 1u << 20;
        kit_world_open(&world);
        for (int i = 0; i < 200; i++) (void)send_next(&world, 0, NECPNET_RELIABLE_ORDERED, 600, NULL);
        for (int i = 0; i < 50; i++) (void)send_next(&world, 0, NECPNET_RELIABLE_UNORDERED, 5000, NULL);
        world.paused = true;
        for (int i = 0; i < 60; i++) kit_world_step(&world);
        TEST_CHECK(!nn_session_flushed(&world.sessions[0]));
        world.paused = false;
        settle(&world, 4000);
        watches_end();
        kit_world_reset(&world);
    }
}

TEST(test_session_survives_each_failing_allocation)
{
    struct necpnet_allocator allocator = test_allocator();
    TEST_EACH_ALLOCATION_FAILS {
        kit_world world;
        kit_world_init(&world, &allocator, 24);
        watches_begin(&world);
        world.channels[NECPNET_RELIABLE_ORDERED].redundancy = true;
        kit_world_open(&world);
        necpnet_send_options options;
        memset(&options, 0, sizeof options);
        for (int i = 0; i < 12; i++) {
            for (int c = 0; c < KIT_CHANNELS; c++) {
                options.wants_receipt = c >= NECPNET_RELIABLE_UNORDERED;
                necpnet_result result = send_next(&world, 0, c, i == 5 ? 4000 : 300, &options);
                TEST_CHECK(result == NECPNET_OK || result == NECPNET_ERR_OUT_OF_MEMORY);
            }
            (void)nn_session_send_control(&world.sessions[0], "control", 7);
            if (i == 8) kit_world_break(&world, true);
            kit_world_step(&world);
        }
        for (int i = 0; i < 100; i++) kit_world_step(&world);
        TEST_EQUAL_STRING(world.broken, NULL);
        kit_world_reset(&world);
    }
}

TEST(test_session_discard_keeps_what_was_delivered)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 25);
    world.paused = true;
    kit_world_open(&world);
    for (int i = 0; i < 5; i++) TEST_OK(send_next(&world, 0, NECPNET_RELIABLE_ORDERED, 100, NULL));
    for (int i = 0; i < 20; i++) kit_world_step(&world);
    nn_session_discard(&world.sessions[1]);
    nn_session_discard(&world.sessions[0]);
    TEST_CHECK(nn_session_flushed(&world.sessions[0]));
    nn_session_event event;
    int polled = 0;
    while (nn_session_poll(&world.sessions[1], &event)) polled++;
    TEST_EQUAL(polled, 5);
    kit_world_reset(&world);
}

TEST_MAIN
