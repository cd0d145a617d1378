/* test_writes - the newest write of each entity on its way: superseded, lost, acknowledged, limited, without memory. White box;
 * time is counted, frames are read back by hand. */
#include "test.h"

#include "nn_frame.h"
#include "nn_writes.h"

typedef struct heard {
    uint32_t count;
    uint32_t entity;
    uint32_t number;
} heard;

static void on_written(void* user, uint32_t entity, uint32_t number)
{
    heard* h = (heard*)user;
    h->count++;
    h->entity = entity;
    h->number = number;
}

typedef struct box {
    nn_alloc alloc;
    nn_writes writes;
    heard heard;
    uint8_t data[2048];
    size_t bytes;
    uint32_t frame;
    uint64_t now_us;
} box;

static void box_begin(box* b, uint32_t hz, uint32_t bytes_per_s)
{
    necpnet_allocator allocator = test_allocator();
    memset(b, 0, sizeof *b);
    nn_alloc_init(&b->alloc, &allocator);
    nn_writes_init(&b->writes, &b->alloc, hz, bytes_per_s);
    b->now_us = 1000000;
}

static bool box_write(box* b, size_t room, bool ordered)
{
    nn_writer writer = nn_writer_of(b->data, room);
    bool written = nn_writes_write(&b->writes, &writer, ordered, &b->frame, on_written, &b->heard, b->now_us);
    b->bytes = nn_writer_bytes(&writer);
    TEST_EQUAL(written, b->bytes > 0);
    return written;
}

/* How many writes the last frame holds; the entity and first byte of one of them. */
static uint32_t box_read(const box* b, uint32_t index, uint32_t* out_entity, uint8_t* out_byte)
{
    nn_reader reader = nn_reader_of(b->data, b->bytes);
    TEST_EQUAL(nn_read_u8(&reader), NN_FRAME_WRITE);
    uint64_t length = nn_read_varint(&reader);
    TEST_EQUAL(length, nn_reader_left(&reader));
    uint32_t count = 0;
    while (nn_reader_left(&reader)) {
        uint32_t entity = nn_read_u32(&reader);
        size_t bytes = (size_t)nn_read_varint(&reader);
        const uint8_t* data = nn_read_view(&reader, bytes);
        TEST_CHECK(!reader.failed);
        if (count == index) {
            *out_entity = entity;
            *out_byte = data[0];
        }
        count++;
    }
    return count;
}

TEST(test_writes_send_the_newest_and_again_when_lost)
{
    box b;
    uint32_t entity = 0;
    uint8_t byte = 0;
    box_begin(&b, 30, 16000);
    TEST_EQUAL(nn_writes_deadline_us(&b.writes), NN_NEVER);
    TEST_OK(nn_writes_push(&b.writes, 9, 1, "a", 1));
    TEST_OK(nn_writes_push(&b.writes, 9, 2, "b2", 2));
    TEST_CHECK(box_write(&b, 1200, false));
    uint32_t first = b.frame;
    TEST_EQUAL(box_read(&b, 0, &entity, &byte), 1);
    TEST_CHECK(entity == 9 && byte == 'b');
    TEST_EQUAL(nn_writes_deadline_us(&b.writes), NN_NEVER); /* under way */
    nn_writes_lost(&b.writes, first);
    b.now_us += 40000;
    TEST_CHECK(box_write(&b, 1200, false));
    uint32_t second = b.frame;
    TEST_NOT_EQUAL(second, first);
    nn_writes_lost(&b.writes, first); /* told twice: it is no longer in flight */
    TEST_EQUAL(b.writes.pending, 0);
    nn_writes_acked(&b.writes, second, on_written, &b.heard);
    TEST_CHECK(b.heard.count == 1 && b.heard.entity == 9 && b.heard.number == 2);
    TEST_EQUAL(b.writes.count, 0);
    nn_writes_reset(&b.writes);
}

TEST(test_writes_forget_the_loss_of_what_a_newer_one_holds)
{
    box b;
    box_begin(&b, 30, 16000);
    TEST_OK(nn_writes_push(&b.writes, 9, 1, "a", 1));
    TEST_CHECK(box_write(&b, 1200, false));
    uint32_t first = b.frame;
    TEST_OK(nn_writes_push(&b.writes, 9, 2, "b", 1));
    b.now_us += 40000;
    TEST_CHECK(box_write(&b, 1200, false));
    nn_writes_lost(&b.writes, first);
    TEST_EQUAL(b.writes.pending, 0);
    nn_writes_lost(&b.writes, b.frame);
    TEST_EQUAL(b.writes.pending, 1);
    TEST_OK(nn_writes_push(&b.writes, 9, 3, "c", 1));
    TEST_EQUAL(b.writes.pending, 1);
    nn_writes_reset(&b.writes);
}

TEST(test_writes_on_a_stream_have_arrived_when_written)
{
    box b;
    box_begin(&b, 30, 16000);
    TEST_OK(nn_writes_push(&b.writes, 9, 1, "a", 1));
    TEST_OK(nn_writes_push(&b.writes, 3, 2, "b", 1));
    TEST_CHECK(box_write(&b, 1200, true));
    TEST_EQUAL(b.heard.count, 2);
    TEST_CHECK(b.writes.count == 0 && b.writes.flight_count == 0);
    nn_writes_reset(&b.writes);
}

TEST(test_writes_keep_to_rate_and_budget_and_take_turns)
{
    box b;
    uint8_t data[200];
    uint32_t seen[10] = {0};
    uint64_t bytes = 0;
    memset(data, 'x', sizeof data);
    box_begin(&b, 20, 4000);
    for (uint32_t ms = 0; ms < 10000; ms++) {
        for (uint32_t i = 0; i < 10; i++) TEST_OK(nn_writes_push(&b.writes, i + 1, ms * 10 + i + 1, data, sizeof data));
        if (box_write(&b, 1200, false)) {
            uint32_t entity = 0;
            uint8_t byte;
            uint32_t count = box_read(&b, 0, &entity, &byte);
            for (uint32_t i = 0; i < count; i++) {
                box_read(&b, i, &entity, &byte);
                seen[entity - 1]++;
            }
            bytes += b.bytes;
            nn_writes_acked(&b.writes, b.frame, on_written, &b.heard);
        }
        b.now_us += 1000;
    }
    TEST_AT_MOST(bytes, 10 * 4000 + 1200);
    TEST_AT_LEAST(bytes, 10 * 4000 * 8 / 10);
    for (uint32_t i = 1; i < 10; i++) { /* each as often as any other, but for one */
        TEST_AT_MOST(seen[i], seen[0] + 1);
        TEST_AT_LEAST(seen[i] + 1, seen[0]);
    }
    nn_writes_reset(&b.writes);
}

TEST(test_writes_wait_for_a_packet_with_room)
{
    box b;
    uint8_t data[NN_WRITE_BYTES_MAX];
    memset(data, 'x', sizeof data);
    box_begin(&b, 30, 100000);
    TEST_OK(nn_writes_push(&b.writes, 1, 1, data, sizeof data));
    for (size_t room = 0; room < sizeof data; room += 7) TEST_CHECK(!box_write(&b, room, false));
    TEST_CHECK(box_write(&b, 1200, false));
    TEST_AT_LEAST(b.bytes, sizeof data);
    nn_writes_reset(&b.writes);
}

TEST(test_writes_stop_while_too_many_are_in_flight)
{
    box b;
    box_begin(&b, 120, 1u << 30);
    for (uint32_t i = 0; i < NN_WRITE_FLIGHTS_MAX + 10; i++) {
        TEST_OK(nn_writes_push(&b.writes, 1 + i % 5, i + 1, "z", 1));
        b.now_us += 10000;
        (void)box_write(&b, 1200, false);
    }
    TEST_EQUAL(b.writes.flight_count, NN_WRITE_FLIGHTS_MAX);
    TEST_EQUAL(nn_writes_deadline_us(&b.writes), NN_NEVER);
    TEST_AT_LEAST(b.writes.pending, 1);
    nn_writes_acked(&b.writes, 0, on_written, &b.heard);
    TEST_CHECK(box_write(&b, 1200, false));
    nn_writes_reset(&b.writes);
}

TEST(test_writes_survive_a_lack_of_memory)
{
    TEST_EACH_ALLOCATION_FAILS {
        box b;
        uint8_t data[64] = {1};
        box_begin(&b, 120, 100000);
        for (uint32_t i = 0; i < 40; i++) {
            (void)nn_writes_push(&b.writes, 1 + i % 9, i + 1, data, 1 + i);
            b.now_us += 10000;
            if (!box_write(&b, 1200, false)) continue;
            if (i % 3) {
                nn_writes_acked(&b.writes, b.frame, on_written, &b.heard);
            } else {
                nn_writes_lost(&b.writes, b.frame);
            }
        }
        nn_writes_reset(&b.writes);
    }
}

TEST_MAIN
