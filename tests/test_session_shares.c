/* test_session_shares - aim: where all want more than there is, each class gets its share and nobody starves, and what is
 * critical leaves with the next packet. Method: packets of a session written one after the other, all queues full. */
#include "kit_session.h"

#include "nn_frame.h"
#include "test.h"

static void begin(kit_world* world, struct necpnet_allocator* allocator, uint64_t seed)
{
    *allocator = test_allocator();
    kit_world_init(world, allocator, seed);
}

/* A source that always has 300 bytes more. */
static bool source_always(void* user, uint64_t now_us)
{
    (void)user;
    (void)now_us;
    return true;
}

static bool source_write_much(uint64_t* bytes, nn_writer* writer, nn_contents* contents)
{
    size_t count = nn_min_size(nn_writer_left(writer), 300);
    if (count < 12 || nn_contents_full(contents)) return false;
    nn_contents_add(contents, NN_SENT_STATE, 0, 0, 77);
    for (size_t i = 0; i < count; i++) nn_write_u8(writer, NN_FRAME_PADDING);
    *bytes += count;
    return true;
}

static bool source_write_voice(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    (void)now_us;
    return source_write_much((uint64_t*)user + NN_SOURCE_VOICE, writer, contents);
}

static bool source_write_state(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    (void)now_us;
    return source_write_much((uint64_t*)user + NN_SOURCE_STATE, writer, contents);
}

TEST(test_session_shares_of_all_classes_are_16_8_8_4_4_2_and_nobody_starves)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 27);
    for (int c = 0; c < 4; c++) {
        static const necpnet_priority priorities[] = {NECPNET_PRIORITY_CRITICAL, NECPNET_PRIORITY_HIGH,
                                                      NECPNET_PRIORITY_NORMAL, NECPNET_PRIORITY_LOW};
        world.channels[c].mode = NECPNET_UNRELIABLE;
        world.channels[c].priority = priorities[c];
    }
    world.on_event = NULL;
    kit_world_open(&world);
    nn_session* session = &world.sessions[0];
    uint64_t from_sources[NN_SOURCES] = {0, 0}, sent[4] = {0, 0, 0, 0};
    static const nn_source sources[NN_SOURCES] = {{source_always, source_write_voice},
                                                  {source_always, source_write_state}};
    world.configs[0].sources = sources;
    nn_session_set_sources(session, from_sources);
    uint8_t message[100];
    memset(message, 3, sizeof message);
    uint64_t gap = 0, gap_most = 0;
    for (int packet_number = 0; packet_number < 5000; packet_number++) {
        for (int c = 0; c < 4; c++) {
            while (nn_session_send(session, c, message, sizeof message, NULL, 0) == NECPNET_OK) {
            }
        }
        uint8_t packet[1100];
        nn_contents contents;
        nn_contents_init(&contents);
        nn_writer writer = nn_writer_of(packet, sizeof packet);
        size_t waiting[4], low_before;
        for (int c = 0; c < 4; c++) waiting[c] = session->senders[c]->queue_messages;
        low_before = waiting[3];
        TEST_GREATER(nn_session_write(session, &writer, &contents, 0), 1000);
        for (int c = 0; c < 4; c++) sent[c] += (waiting[c] - session->senders[c]->queue_messages) * 104;
        gap = session->senders[3]->queue_messages < low_before ? 0 : gap + 1;
        if (gap > gap_most) gap_most = gap;
    }
    TEST_NEAR((double)sent[0] / (double)sent[3], 8, 0.8);
    TEST_NEAR((double)from_sources[NN_SOURCE_VOICE] / (double)sent[3], 4,
              1); /* a source takes one turn a packet, and ends of packets */
    TEST_NEAR((double)sent[1] / (double)sent[3], 4, 0.4);
    TEST_NEAR((double)from_sources[NN_SOURCE_STATE] / (double)sent[3], 2, 0.5);
    TEST_NEAR((double)sent[2] / (double)sent[3], 2, 0.2);
    TEST_AT_MOST(gap_most, 6); /* a round of all classes takes 2,688 bytes, three packets */
    kit_world_reset(&world);
}

TEST(test_session_critical_message_leaves_with_the_next_packet_whatever_waits)
{
    struct necpnet_allocator allocator;
    kit_world world;
    begin(&world, &allocator, 28);
    world.channels[0].mode = NECPNET_RELIABLE_ORDERED;
    world.channels[0].priority = NECPNET_PRIORITY_LOW;
    world.channels[1].mode = NECPNET_RELIABLE_ORDERED;
    world.channels[1].priority = NECPNET_PRIORITY_CRITICAL;
    world.on_event = NULL;
    kit_world_open(&world);
    nn_session* session = &world.sessions[0];
    static uint8_t bulk[30000];
    struct test_random random = test_random_begin(28);
    test_random_bytes(&random, bulk, sizeof bulk);
    for (int round = 0; round < 200; round++) {
        while (nn_session_send(session, 0, bulk, sizeof bulk, NULL, 0) == NECPNET_OK) {
        }
        for (int i = round % 5; i >= 0; i--) {
            if (i == 0) TEST_OK(nn_session_send(session, 1, "fire", 4, NULL, 0));
            uint8_t packet[1100];
            nn_contents contents;
            nn_contents_init(&contents);
            nn_writer writer = nn_writer_of(packet, sizeof packet);
            TEST_HINT("round %d, packet %d", round, i);
            TEST_GREATER(nn_session_write(session, &writer, &contents, 0), 0);
            bool critical = false;
            for (unsigned f = 0; f < contents.count; f++) critical = critical || contents.frames[f].channel == 1;
            TEST_EQUAL(critical, i == 0);
            nn_session_acked(session, &contents, 0);
        }
    }
    kit_world_reset(&world);
}

TEST_MAIN
