/* test_channel_send - aim: what is lost is sent again oldest first, whichever late acknowledgements come between. Method: the
 * sending half of one reliable channel by itself, packets of one message each; then random losses and acknowledgements against
 * a plain list of what is lost. */
#include "test.h"

#include "nn_channel_send.h"
#include "nn_frame.h"

#define MESSAGES 64

static nn_alloc alloc;
static nn_blocks blocks;
static necpnet_channel_config config;
static nn_channel_send* channel;

static void channel_begin(uint32_t messages)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&alloc, &allocator);
    nn_blocks_init(&blocks, &alloc);
    memset(&config, 0, sizeof config);
    config.mode = NECPNET_RELIABLE_UNORDERED;
    config.message_bytes_max = 1000;
    config.queue_messages_max = 1000;
    config.queue_bytes_max = 1 << 20;
    config.window_bytes = 1 << 20;
    channel = nn_channel_send_create(&blocks, &config, 0, 0);
    TEST_CHECK(channel != NULL);
    channel->credit_limit = 1 << 20;
    for (uint32_t i = 0; i < messages; i++) {
        nn_payload* payload = nn_payload_create(&blocks, "message", 7, NULL, false);
        TEST_CHECK(payload != NULL);
        TEST_OK(nn_channel_send_queue(channel, payload, NULL));
        nn_payload_release(payload);
    }
}

static void channel_end(void)
{
    nn_channel_send_destroy(channel);
    nn_blocks_reset(&blocks);
}

/* A packet with room for one message: its id; -1: nothing to send. */
static int channel_next(void)
{
    uint8_t packet[12];
    nn_writer writer = nn_writer_of(packet, sizeof packet);
    nn_contents contents;
    nn_message_packet message;
    nn_contents_init(&contents);
    memset(&message, 0, sizeof message);
    message.writer = &writer;
    message.contents = &contents;
    message.room = sizeof packet;
    if (!nn_channel_send_write(channel, &message, SIZE_MAX)) return -1;
    TEST_EQUAL(contents.count, 1);
    TEST_EQUAL(contents.frames[0].value, 1);
    return contents.frames[0].id;
}

static void channel_ack(uint16_t first, uint32_t count)
{
    nn_channel_send_acked(channel, first, count, NULL);
}

TEST(test_channel_sends_again_the_oldest_first_after_the_one_before_it_arrived_late)
{
    channel_begin(12);
    for (int i = 0; i < 12; i++) TEST_EQUAL(channel_next(), i);
    channel_ack(0, 5);
    nn_channel_send_lost(channel, 5, 1);
    nn_channel_send_lost(channel, 7, 1);
    channel_ack(6, 1);
    channel_ack(5, 1); /* late: the search for what is lost stood there */
    TEST_EQUAL(channel->first, 7);
    nn_channel_send_lost(channel, 9, 1);
    TEST_EQUAL(channel->lost_count, 2);
    TEST_EQUAL(channel_next(), 7);
    TEST_EQUAL(channel_next(), 9);
    TEST_EQUAL(channel_next(), -1);
    channel_end();
}

TEST(test_channel_sends_again_what_is_lost_oldest_first_whatever_comes_between)
{
    TEST_EACH_SEED (seed, 200) {
        struct test_random random = test_random_begin(seed);
        bool lost[MESSAGES] = {false}, gone[MESSAGES] = {false};
        channel_begin(MESSAGES);
        for (int i = 0; i < MESSAGES; i++) TEST_EQUAL(channel_next(), i);
        for (int step = 0; step < 600; step++) {
            uint16_t id = (uint16_t)(test_random_next(&random) % MESSAGES);
            switch (test_random_next(&random) % 3) {
            case 0:
                if (!gone[id]) lost[id] = true;
                nn_channel_send_lost(channel, id, 1);
                break;
            case 1:
                gone[id] = true;
                lost[id] = false;
                channel_ack(id, 1);
                break;
            default: {
                int oldest = 0;
                while (oldest < MESSAGES && !lost[oldest]) oldest++;
                TEST_EQUAL(channel_next(), oldest < MESSAGES ? oldest : -1);
                if (oldest < MESSAGES) lost[oldest] = false;
                break;
            }
            }
        }
        channel_end();
    }
}

TEST_MAIN
