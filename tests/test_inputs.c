/* test_inputs - numbered inputs over a lossy, reordering, duplicating path: each once, in order, none missing. */
#include "test.h"

#include "nn_frame.h"
#include "nn_inputs.h"

static nn_alloc inputs_alloc;
static uint8_t inputs_frame[1200];
static uint32_t inputs_ticks[4096];
static size_t inputs_count;

static uint32_t inputs_refused; /* this tick finds no memory */

static bool inputs_deliver(void* user, uint32_t tick, const void* data, size_t bytes)
{
    (void)user;
    TEST_LESS(inputs_count, NN_COUNT(inputs_ticks));
    TEST_AT_LEAST(bytes, 1);
    TEST_EQUAL(((const uint8_t*)data)[0], (uint8_t)tick);
    if (inputs_refused && tick == inputs_refused) return false;
    inputs_ticks[inputs_count++] = tick;
    return true;
}

static void inputs_begin(nn_inputs* inputs, uint32_t inputs_max)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&inputs_alloc, &allocator);
    nn_inputs_init(inputs, &inputs_alloc, inputs_max);
    inputs_count = 0;
}

static necpnet_result inputs_push(nn_inputs* inputs, uint32_t tick, size_t bytes)
{
    uint8_t data[256];
    memset(data, (int)(tick & 0xFF), sizeof data);
    return nn_inputs_push(inputs, tick, data, bytes);
}

static necpnet_result inputs_read(nn_input_receiver* receiver, const uint8_t* frame, size_t bytes)
{
    nn_reader reader = nn_reader_of(frame, bytes);
    TEST_EQUAL(nn_read_u8(&reader), NN_FRAME_INPUT);
    return nn_input_receiver_read(receiver, &reader, inputs_deliver, NULL);
}

TEST(test_inputs_arrive_once_and_in_order_on_a_bad_path)
{
    TEST_EACH_SEED (seed, 30) {
        static uint8_t late[8][1200];
        size_t late_bytes[8] = {0};
        struct test_random random = test_random_begin(seed);
        nn_inputs inputs;
        nn_input_receiver receiver;
        uint32_t pushed[1000];
        size_t pushed_count = 0;
        uint32_t tick = (uint32_t)test_random_below(&random, 1000);
        inputs_begin(&inputs, 64);
        nn_input_receiver_init(&receiver);
        for (int step = 0; step < 3000; step++) {
            if (step < 1000) {
                tick += 1 + (uint32_t)(test_random_below(&random, 10) == 0 ? test_random_below(&random, 100) : 0);
                if (inputs_push(&inputs, tick, 1 + (size_t)test_random_below(&random, 40)) == NECPNET_OK) {
                    pushed[pushed_count++] = tick;
                }
            }
            nn_writer writer = nn_writer_of(inputs_frame, 100 + (size_t)test_random_below(&random, 400));
            if (nn_inputs_write(&inputs, &writer, false)) {
                size_t place = (size_t)test_random_below(&random, 8);
                if (test_random_below(&random, 100) < 70) {
                    TEST_OK(inputs_read(&receiver, inputs_frame, nn_writer_bytes(&writer)));
                } else if (test_random_below(&random, 2)) { /* late, or twice */
                    nn_copy(late[place], inputs_frame, nn_writer_bytes(&writer));
                    late_bytes[place] = nn_writer_bytes(&writer);
                }
                place = (size_t)test_random_below(&random, 8);
                if (late_bytes[place]) TEST_OK(inputs_read(&receiver, late[place], late_bytes[place]));
            }
            writer = nn_writer_of(inputs_frame, 20);
            if (nn_input_receiver_write_ack(&receiver, &writer) && test_random_below(&random, 100) < 70) {
                uint32_t acked = 0;
                nn_reader reader = nn_reader_of(inputs_frame + 1, nn_writer_bytes(&writer) - 1);
                TEST_CHECK(nn_frame_read_input_ack(&reader, &acked));
                TEST_CHECK(nn_inputs_acked(&inputs, acked));
            }
        }
        TEST_EQUAL(inputs.count, 0);
        TEST_EQUAL(inputs_count, pushed_count);
        for (size_t i = 0; i < pushed_count; i++) TEST_EQUAL(inputs_ticks[i], pushed[i]);
        nn_inputs_reset(&inputs);
    }
}

TEST(test_inputs_push_refuses_what_breaks_the_order_and_what_does_not_fit)
{
    nn_inputs inputs;
    inputs_begin(&inputs, 3);
    TEST_OK(inputs_push(&inputs, 10, 255));
    TEST_EQUAL(inputs_push(&inputs, 10, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(inputs_push(&inputs, 9, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(inputs_push(&inputs, 11, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(inputs_push(&inputs, 11, 256), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_OK(inputs_push(&inputs, 11, 1));
    TEST_OK(inputs_push(&inputs, UINT32_MAX, 1));
    TEST_EQUAL(inputs_push(&inputs, UINT32_MAX, 1), NECPNET_ERR_INVALID_ARGUMENT);
    nn_inputs_reset(&inputs);
    for (uint32_t i = 0; i < 3; i++) TEST_OK(inputs_push(&inputs, i, 1));
    TEST_EQUAL(inputs_push(&inputs, 3, 1), NECPNET_ERR_WOULD_BLOCK);
    TEST_CHECK(!nn_inputs_acked(&inputs, 3)); /* never sent */
    TEST_CHECK(nn_inputs_acked(&inputs, 0));
    TEST_OK(inputs_push(&inputs, 3, 1));
    nn_inputs_reset(&inputs);
}

TEST(test_inputs_write_the_oldest_that_fit)
{
    nn_inputs inputs;
    nn_input_receiver receiver;
    inputs_begin(&inputs, 256);
    nn_input_receiver_init(&receiver);
    for (uint32_t i = 0; i < 256; i++) TEST_OK(inputs_push(&inputs, i * 3, 2));
    for (size_t room = 0; room < 40; room++) {
        nn_writer writer = nn_writer_of(inputs_frame, room);
        uint32_t count = nn_inputs_write(&inputs, &writer, false);
        TEST_EQUAL(count, room < 6 ? 0 : 1 + (room - 6) / 4);
        TEST_AT_MOST(nn_writer_bytes(&writer), room);
    }
    nn_writer writer = nn_writer_of(inputs_frame, sizeof inputs_frame);
    TEST_EQUAL(nn_inputs_write(&inputs, &writer, false), 256);
    TEST_OK(inputs_read(&receiver, inputs_frame, nn_writer_bytes(&writer)));
    TEST_EQUAL(inputs_count, 256);
    TEST_EQUAL(receiver.tick, 765);
    nn_inputs_reset(&inputs);
}

TEST(test_inputs_frames_malformed_deliver_nothing)
{
    static const struct {
        const char* what;
        uint8_t bytes[24];
        size_t count;
    } cases[] = {
        {"empty", {0}, 0},
        {"second input cut", {5, 1, 1, 5, 0, 3, 6}, 7},
        {"input without bytes", {5, 0, 0}, 3},
        {"second input without bytes", {5, 1, 1, 5, 0, 0}, 6},
        {"tick over 32 bits", {0xC0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0}, 11},
        {"tick wraps",
         {0x80 | 0x3F, 0xFF, 0xFF, 0xFF, 1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 9},
         17},
    };
    nn_inputs inputs;
    inputs_begin(&inputs, 4);
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        nn_input_receiver receiver;
        nn_input_receiver_init(&receiver);
        nn_reader reader = nn_reader_of(cases[i].bytes, cases[i].count);
        TEST_HINT("%s", cases[i].what);
        TEST_EQUAL(nn_input_receiver_read(&receiver, &reader, inputs_deliver, NULL), NECPNET_ERR_PROTOCOL);
        TEST_EQUAL(inputs_count, 0);
        TEST_CHECK(!receiver.ack_due);
    }
}

TEST(test_inputs_that_find_no_memory_come_again)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_inputs inputs;
    nn_input_receiver receiver;
    uint8_t frame[64];
    nn_alloc_init(&alloc, &allocator);
    nn_inputs_init(&inputs, &alloc, 8);
    nn_input_receiver_init(&receiver);
    inputs_count = 0;
    for (uint8_t tick = 1; tick <= 3; tick++) TEST_OK(nn_inputs_push(&inputs, tick, &tick, 1));
    for (int round = 0; round < 2; round++) {
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        TEST_EQUAL(nn_inputs_write(&inputs, &writer, false), 3);
        nn_reader reader = nn_reader_of(frame + 1, nn_writer_bytes(&writer) - 1);
        inputs_refused = round ? 0 : 2;
        necpnet_result result = nn_input_receiver_read(&receiver, &reader, inputs_deliver, NULL);
        TEST_EQUAL(result, round ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY);
        TEST_EQUAL(inputs_count, round ? 3 : 1);
        TEST_EQUAL(receiver.tick, round ? 3 : 1);
    }
    nn_inputs_reset(&inputs);
}

TEST(test_inputs_survive_each_failing_allocation)
{
    necpnet_allocator allocator = test_allocator();
    TEST_EACH_ALLOCATION_FAILS {
        nn_inputs inputs;
        nn_alloc_init(&inputs_alloc, &allocator);
        nn_inputs_init(&inputs, &inputs_alloc, 64);
        uint32_t refused = 0;
        for (uint32_t i = 0; i < 40; i++) {
            necpnet_result result = inputs_push(&inputs, i, 4);
            TEST_CHECK(result == NECPNET_OK || result == NECPNET_ERR_OUT_OF_MEMORY);
            refused += result != NECPNET_OK;
        }
        TEST_EQUAL(inputs.count, 40 - refused);
        TEST_EQUAL(refused > 0, test_allocation_failed());
        nn_inputs_reset(&inputs);
    }
}

TEST_MAIN
