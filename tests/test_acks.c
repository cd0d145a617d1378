/* test_acks - replay window, ACK policy, and that ACK frames tell exactly what came.
 *
 * Method: ACK frames are read back by nn_recovery's own reader through a sender that has so many packets in flight, so
 * both ends of the format are tested together; a plain set is the model of the window.
 */
#include "test.h"

#include "nn_frame.h"
#include "nn_recovery.h"

static nn_alloc acks_alloc;
static nn_acks acks_back; /* the sender's own receiving side, unused */
static nn_congestion acks_congestion;
static nn_recovery acks_sender;
static uint32_t acks_told[8192];

static void acks_on_acked(void* user, const nn_contents* contents)
{
    (void)user;
    acks_told[contents->frames[0].value]++;
}

static void acks_on_lost(void* user, const nn_contents* contents)
{
    (void)user;
    (void)contents;
}

/* A sender with packets 0 .. count - 1 in flight; it leaves out no number. */
static void acks_sender_begin(uint32_t count)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&acks_alloc, &allocator);
    nn_acks_init(&acks_back, NN_ACKS_DELAY_US_DEFAULT);
    nn_congestion_init(&acks_congestion, NN_CONGESTION_UNLIMITED, 0);
    nn_recovery_init(&acks_sender, &acks_alloc, &acks_back, &acks_congestion, 1);
    acks_sender.skip_at = UINT64_MAX;
    acks_sender.packet_threshold = UINT8_MAX;
    memset(acks_told, 0, sizeof acks_told);
    for (uint32_t i = 0; i < count; i++) {
        nn_contents contents;
        nn_contents_init(&contents);
        nn_contents_add(&contents, NN_SENT_STATE, 0, 0, i);
        TEST_OK(nn_recovery_reserve(&acks_sender));
        nn_recovery_sent(&acks_sender, nn_recovery_next_number(&acks_sender), 100, true, &contents, 1000);
    }
}

static size_t acks_deliver(nn_acks* acks, size_t room, uint64_t now_us)
{
    uint8_t frame[512];
    nn_writer writer = nn_writer_of(frame, room);
    if (!nn_acks_write(acks, &writer, now_us)) return 0;
    nn_reader reader = nn_reader_of(frame, nn_writer_bytes(&writer));
    TEST_EQUAL(nn_read_u8(&reader), NN_FRAME_ACK);
    TEST_OK(nn_recovery_read_ack(&acks_sender, &reader, now_us, acks_on_acked, acks_on_lost, NULL));
    TEST_EQUAL(nn_reader_left(&reader), 0);
    return nn_writer_bytes(&writer);
}

TEST(test_acks_refuses_replays_and_what_is_too_old)
{
    nn_acks acks;
    nn_acks_init(&acks, 10000);
    TEST_CHECK(nn_acks_is_new(&acks, 5));
    TEST_CHECK(nn_acks_is_new(&acks, 5)); /* asking changes nothing */
    nn_acks_add(&acks, 5, true, false, 0);
    TEST_CHECK(!nn_acks_is_new(&acks, 5));
    TEST_CHECK(nn_acks_is_new(&acks, 4));
    TEST_CHECK(nn_acks_is_new(&acks, 0));
    nn_acks_add(&acks, 5 + NN_ACKS_WINDOW - 1, true, false, 0);
    TEST_CHECK(!nn_acks_is_new(&acks, 5));
    TEST_CHECK(!nn_acks_is_new(&acks, 4)); /* out of the window */
    TEST_CHECK(nn_acks_is_new(&acks, 6));
    nn_acks_add(&acks, 100000, true, false, 0);
    TEST_CHECK(!nn_acks_is_new(&acks, 100000 - NN_ACKS_WINDOW));
    TEST_CHECK(nn_acks_is_new(&acks, 100000 - NN_ACKS_WINDOW + 1));
}

/* What found no memory is not acknowledged, and a copy of it by the network is not taken either: some of it was. */
TEST(test_acks_of_refused_packets_take_no_copy)
{
    nn_acks acks;
    uint8_t frame[64];
    nn_acks_init(&acks, 10000);
    nn_acks_add(&acks, 0, true, false, 0);
    for (uint64_t number = 2; number <= 12; number += 2) {
        nn_acks_refuse(&acks, number);
        TEST_CHECK(!nn_acks_is_new(&acks, number));
    }
    for (uint64_t number = 2; number <= 12; number += 2) TEST_CHECK(!nn_acks_is_new(&acks, number));
    TEST_CHECK(nn_acks_is_new(&acks, 13));
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    TEST_CHECK(nn_acks_write(&acks, &writer, 0));
    TEST_EQUAL(nn_load_u16(frame + 1), 0); /* packet 0 alone */
    TEST_EQUAL(frame[4], 0);
}

TEST(test_acks_window_agrees_with_a_plain_set)
{
    TEST_EACH_SEED (seed, 20) {
        static bool seen[20000];
        struct test_random random = test_random_begin(seed);
        nn_acks acks;
        uint64_t largest = 0;
        memset(seen, 0, sizeof seen);
        nn_acks_init(&acks, 10000);
        for (int i = 0; i < 4000; i++) {
            uint64_t span = test_random_below(&random, 50) == 0 ? 1500 : 40;
            uint64_t jump = test_random_below(&random, span);
            uint64_t back = test_random_below(&random, 1300);
            uint64_t number = test_random_below(&random, 2) && largest > back ? largest - back : largest + jump;
            if (number >= NN_COUNT(seen)) break;
            bool is_new = !seen[number] && (largest < NN_ACKS_WINDOW || number > largest - NN_ACKS_WINDOW);
            TEST_HINT("number %llu, largest %llu", (unsigned long long)number, (unsigned long long)largest);
            TEST_EQUAL(nn_acks_is_new(&acks, number), is_new);
            if (!is_new) continue;
            nn_acks_add(&acks, number, true, false, 0);
            seen[number] = true;
            if (number > largest) largest = number;
        }
    }
}

TEST(test_acks_policy)
{
    nn_acks acks;
    nn_acks_init(&acks, 10000);
    uint8_t frame[64];
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    TEST_CHECK(!nn_acks_write(&acks, &writer, 0));
    TEST_EQUAL(nn_acks_deadline_us(&acks), NN_NEVER);
    nn_acks_add(&acks, 0, false, false, 100);
    TEST_EQUAL(nn_acks_deadline_us(&acks), NN_NEVER); /* nothing wants an ACK */
    TEST_CHECK(!nn_acks_wants(&acks));
    nn_acks_add(&acks, 1, true, false, 200);
    TEST_CHECK(nn_acks_wants(&acks));
    TEST_EQUAL(nn_acks_deadline_us(&acks), 10200);
    nn_acks_add(&acks, 2, true, false, 300);
    TEST_EQUAL(nn_acks_deadline_us(&acks), 300); /* the second: at once */
    TEST_CHECK(nn_acks_write(&acks, &writer, 400));
    TEST_CHECK(!nn_acks_wants(&acks));
    nn_acks_add(&acks, 4, true, false, 500);
    TEST_EQUAL(nn_acks_deadline_us(&acks), 500); /* a gap: at once */
    TEST_CHECK(nn_acks_write(&acks, &writer, 500));
    nn_acks_add(&acks, 3, true, false, 600);
    TEST_EQUAL(nn_acks_deadline_us(&acks), 600); /* out of order: at once */
    TEST_CHECK(nn_acks_write(&acks, &writer, 600));
    nn_acks_add(&acks, 5, true, false, 700);
    TEST_EQUAL(nn_acks_deadline_us(&acks), 10700);
    TEST_CHECK(nn_acks_write(&acks, &writer, 700));
    nn_acks_add(&acks, 6, false, true, 800);
    TEST_EQUAL(nn_acks_deadline_us(&acks), 800); /* asked for */
    TEST_CHECK(nn_acks_write(&acks, &writer, 800));
    for (uint64_t number = 7; number < 500; number++) { /* a running connection: every eighth */
        uint64_t now_us = 900 + number * 500;
        nn_acks_add(&acks, number, true, false, now_us);
        if (acks.eliciting == NN_ACKS_ELICITING_LATER || (number < 128 && acks.eliciting == NN_ACKS_ELICITING_FIRST)) {
            TEST_EQUAL(nn_acks_deadline_us(&acks), now_us);
            writer = nn_writer_of(frame, sizeof frame);
            TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
        } else {
            TEST_GREATER(nn_acks_deadline_us(&acks), now_us);
        }
    }
}

TEST(test_acks_behind_a_gap_are_told_at_once_where_packets_are_sparse)
{
    nn_acks acks;
    nn_acks_init(&acks, 18000);
    uint8_t frame[64];
    uint64_t now_us = 1000;
    for (uint64_t number = 0; number < 210; number++, now_us += 16667) {
        if (number == 200) continue; /* lost */
        nn_acks_add(&acks, number, true, false, now_us);
        uint64_t want_us = number > 200 && number <= 203 ? now_us : now_us + 18000;
        bool second = number < 128 && acks.eliciting == NN_ACKS_ELICITING_FIRST;
        if (number >= 201 && number < 206) TEST_EQUAL(nn_acks_deadline_us(&acks), want_us);
        if (second || nn_acks_deadline_us(&acks) == now_us || number >= 199) {
            nn_writer writer = nn_writer_of(frame, sizeof frame);
            TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
        }
    }
    nn_acks_add(&acks, 210, true, false, now_us);
    nn_acks_hurry(&acks, now_us + 10000);
    TEST_EQUAL(nn_acks_deadline_us(&acks), now_us + 10000);
    nn_acks_hurry(&acks, now_us + 12000);
    TEST_EQUAL(nn_acks_deadline_us(&acks), now_us + 10000);
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
    nn_acks_hurry(&acks, now_us);
    TEST_EQUAL(nn_acks_deadline_us(&acks), NN_NEVER); /* nothing is due */
}

TEST(test_acks_of_sparse_unreliable_messages_wait_for_the_eighth_or_200_ms)
{
    nn_acks acks;
    nn_acks_init(&acks, 18000);
    uint8_t frame[64];
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    uint64_t now_us = 1000;
    nn_acks_add_later(&acks, 0, false, now_us); /* nothing was before it to be sparse behind */
    TEST_EQUAL(nn_acks_deadline_us(&acks), now_us + 18000);
    TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
    uint64_t number = 1;
    for (unsigned i = 1; i <= 8; i++) { /* from the beginning on, not from packet 128 */
        now_us += NN_ACKS_SPARSE_US;
        nn_acks_add_later(&acks, number++, false, now_us);
        TEST_EQUAL(nn_acks_deadline_us(&acks), i < 8 ? 1000 + NN_ACKS_SPARSE_US + NN_ACKS_LATER_US : now_us);
        TEST_CHECK(nn_acks_wants(&acks)); /* a packet that leaves takes it along */
    }
    writer = nn_writer_of(frame, sizeof frame);
    TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
    now_us += 50000;
    nn_acks_add_later(&acks, number++, false, now_us);
    TEST_EQUAL(nn_acks_deadline_us(&acks), now_us + NN_ACKS_LATER_US);
    now_us += NN_ACKS_SPARSE_US;
    nn_acks_add(&acks, number, true, false, now_us); /* the second, and one that somebody waits for */
    TEST_EQUAL(acks.eliciting, NN_ACKS_ELICITING_FIRST);
    TEST_EQUAL(nn_acks_deadline_us(&acks), now_us);
}

TEST(test_acks_of_unreliable_messages_wait_for_nothing_that_hurries)
{
    static const char* const cases[] = {"dense", "behind a gap", "asked for", "another packet"};
    for (unsigned i = 0; i < 4; i++) {
        TEST_HINT("%s", cases[i]);
        nn_acks acks;
        nn_acks_init(&acks, 18000);
        uint8_t frame[64];
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        for (uint64_t number = 0; number < 200; number++) {
            nn_acks_add(&acks, number, true, false, 1000 * number);
        }
        uint64_t now_us = 1000000;
        TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
        nn_acks_add_later(&acks, 200, false, now_us);
        TEST_EQUAL(nn_acks_deadline_us(&acks), now_us + NN_ACKS_LATER_US);
        now_us += i == 0 ? NN_ACKS_SPARSE_US - 1 : 50000;
        if (i < 3) {
            nn_acks_add_later(&acks, i == 1 ? 202 : 201, i == 2, now_us);
        } else {
            nn_acks_add(&acks, 201, true, false, now_us);
        }
        TEST_EQUAL(nn_acks_deadline_us(&acks), i == 0 || i == 3 ? now_us + 18000 : now_us);
        if (i != 1) continue;
        writer = nn_writer_of(frame, sizeof frame);
        TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
        for (uint64_t number = 203; number < 206; number++) { /* two more, should that ACK get lost */
            now_us += 50000;
            nn_acks_add_later(&acks, number, false, now_us);
            TEST_EQUAL(nn_acks_deadline_us(&acks), number < 205 ? now_us : now_us + NN_ACKS_LATER_US);
            writer = nn_writer_of(frame, sizeof frame);
            TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
        }
    }
}

TEST(test_acks_of_a_side_that_sends_nothing_else_stay_short)
{
    nn_acks acks;
    nn_acks_init(&acks, 18000);
    uint8_t frame[512];
    size_t bytes_most = 0;
    uint64_t now_us = 1000;
    for (uint64_t number = 0; number < 2000; number++, now_us += 16667) {
        if (number % 10 == 3) continue; /* lost */
        nn_acks_add(&acks, number, true, false, now_us);
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
        if (nn_writer_bytes(&writer) > bytes_most) bytes_most = nn_writer_bytes(&writer);
    }
    TEST_AT_MOST(bytes_most, 14); /* gaps of the last half second, not of 1,024 packets */
    TEST_CHECK(nn_acks_is_new(&acks, 1943));
    nn_acks_add(&acks, 1943, true, false, now_us); /* after all: told again, and in several frames */
    for (int i = 0; i < 5; i++) {
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
        TEST_GREATER(nn_writer_bytes(&writer), 14);
    }
}

TEST(test_acks_in_a_flood_leave_once_a_millisecond_or_every_32_packets)
{
    nn_acks acks;
    uint8_t frame[64];
    uint64_t now_us = 1000000;
    nn_acks_init(&acks, NN_ACKS_DELAY_US_DEFAULT);
    for (uint64_t number = 0; number < 1000; number++) {
        uint64_t left_us = acks.reported_at_us;
        bool fast = number < 500; /* 10 us a packet; then 60 */
        now_us += fast ? 10 : 60;
        nn_acks_add(&acks, number, true, false, now_us);
        if (nn_acks_deadline_us(&acks) > now_us) {
            TEST_CHECK(acks.eliciting < NN_ACKS_ELICITING_MAX);
            bool many = number >= NN_ACKS_LATER_FROM && acks.eliciting >= NN_ACKS_ELICITING_LATER;
            if (many) TEST_EQUAL(nn_acks_deadline_us(&acks), left_us + NN_ACKS_INTERVAL_US);
            continue;
        }
        if (number >= NN_ACKS_LATER_FROM + NN_ACKS_ELICITING_MAX) {
            TEST_CHECK(acks.eliciting == NN_ACKS_ELICITING_MAX || now_us >= left_us + NN_ACKS_INTERVAL_US);
        }
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        TEST_CHECK(nn_acks_write(&acks, &writer, now_us));
    }
    nn_acks_add(&acks, 1001, true, false, now_us); /* a gap is told at once, flood or not */
    TEST_EQUAL(nn_acks_deadline_us(&acks), now_us);
}

TEST(test_acks_frame_takes_5_bytes_when_nothing_is_missing)
{
    nn_acks acks;
    acks_sender_begin(3000);
    nn_acks_init(&acks, 10000);
    for (uint32_t i = 0; i < 3000; i++) {
        nn_acks_add(&acks, i, true, false, 2000 + i);
        if (i % 50 == 0) TEST_EQUAL(acks_deliver(&acks, 512, 2000 + i), NN_ACKS_BYTES_FULL);
    }
    TEST_EQUAL(acks_deliver(&acks, NN_ACKS_BYTES_FULL, 6000), NN_ACKS_BYTES_FULL);
    for (uint32_t i = 0; i < 3000; i++) TEST_EQUAL(acks_told[i], 1);
    nn_recovery_reset(&acks_sender);
}

TEST(test_acks_frame_rounds_a_long_run_down_never_up)
{
    for (uint32_t length = 1; length <= 1024; length++) {
        nn_acks acks;
        acks_sender_begin(1100);
        nn_acks_init(&acks, 10000);
        for (uint32_t i = 0; i < length; i++) nn_acks_add(&acks, i + 50, true, false, 2000);
        TEST_EQUAL(acks_deliver(&acks, 512, 2000), NN_ACKS_BYTES_FULL);
        uint32_t told = 0;
        for (uint32_t i = 0; i < 1100; i++) {
            told += acks_told[i];
            TEST_CHECK(acks_told[i] == 0 || (i >= 50 && i < 50 + length));
        }
        TEST_AT_LEAST(told + 31, length);
        if (length <= 96 || length == 1024) TEST_EQUAL(told, length);
        nn_recovery_reset(&acks_sender);
    }
}

TEST(test_acks_frame_tells_any_pattern_exactly)
{
    TEST_EACH_SEED (seed, 60) {
        static bool came[1024];
        struct test_random random = test_random_begin(seed);
        nn_acks acks;
        acks_sender_begin(1024);
        nn_acks_init(&acks, 10000);
        uint64_t loss = 1 + test_random_below(&random, 30);
        size_t lost = 0;
        for (uint32_t i = 0; i < 1024; i++) {
            came[i] = i == 0 || i == 1023 || test_random_below(&random, 1000) >= loss || lost >= 30;
            lost += !came[i];
            if (came[i]) nn_acks_add(&acks, i, true, false, 2000);
        }
        TEST_CHECK(lost > 0);
        size_t bytes = acks_deliver(&acks, 512, 2000);
        TEST_AT_MOST(bytes, 5 + 2 + 1 + 3 * lost);
        for (uint32_t i = 0; i < 1024; i++) TEST_EQUAL(acks_told[i], came[i]);
        nn_recovery_reset(&acks_sender);
    }
}

TEST(test_acks_frame_in_little_room_tells_the_newest)
{
    for (size_t room = 0; room < 40; room++) {
        nn_acks acks;
        acks_sender_begin(200);
        nn_acks_init(&acks, 10000);
        for (uint32_t i = 0; i < 200; i++) {
            if (i % 3) nn_acks_add(&acks, i, true, false, 2000);
        }
        size_t bytes = acks_deliver(&acks, room, 2000);
        TEST_AT_MOST(bytes, room);
        TEST_EQUAL(bytes > 0, room >= 5);
        TEST_EQUAL(acks_told[199], room >= 5);
        uint32_t told = 0;
        for (uint32_t i = 0; i < 200; i++) {
            told += acks_told[i];
            if (i % 3 == 0) TEST_EQUAL(acks_told[i], 0);
        }
        if (room >= 8) TEST_AT_LEAST(told, 1 + 2 * ((room - 6) / 2)); /* two bytes a further range */
        if (room >= 5) TEST_AT_MOST(told, NN_ACKS_RANGES_MAX * 2);
        nn_recovery_reset(&acks_sender);
    }
}

TEST(test_acks_largest_wraps_at_16_bits)
{
    acks_sender_begin(0);
    static const uint64_t wraps[] = {65536, UINT64_C(1) << 32, UINT64_C(1) << 61};
    for (size_t w = 0; w < NN_COUNT(wraps); w++) {
        nn_acks acks;
        nn_acks_init(&acks, 10000);
        acks_sender.next_number = wraps[w] - 4;
        memset(acks_told, 0, sizeof acks_told);
        for (uint32_t i = 0; i < 8; i++) {
            nn_contents contents;
            nn_contents_init(&contents);
            nn_contents_add(&contents, NN_SENT_STATE, 0, 0, i);
            TEST_OK(nn_recovery_reserve(&acks_sender));
            nn_recovery_sent(&acks_sender, wraps[w] - 4 + i, 100, true, &contents, 1000);
        }
        for (uint32_t i = 0; i < 8; i++) {
            nn_acks_add(&acks, wraps[w] - 4 + i, true, false, 2000);
            (void)acks_deliver(&acks, 512, 2000);
        }
        for (uint32_t i = 0; i < 8; i++) TEST_EQUAL(acks_told[i], 1);
    }
    nn_recovery_reset(&acks_sender);
}

TEST(test_acks_shrink_once_they_are_acknowledged)
{
    nn_acks acks;
    acks_sender_begin(600);
    nn_acks_init(&acks, 10000);
    for (uint32_t i = 0; i < 100; i++) {
        if (i % 4) nn_acks_add(&acks, i, true, false, 2000);
    }
    TEST_GREATER(acks_deliver(&acks, 512, 2000), 40);
    nn_acks_sent(&acks, 7); /* our packet 7 carried it */
    nn_acks_add(&acks, 100, true, false, 2000);
    TEST_GREATER(acks_deliver(&acks, 512, 2000), 40); /* not yet */
    nn_acks_sent(&acks, 8);
    nn_acks_peer_has(&acks, 8, 9);
    nn_acks_peer_done(&acks, 9);
    TEST_GREATER(acks_deliver(&acks, 512, 2000), 40); /* 7 is the one that is watched */
    nn_acks_peer_has(&acks, 6, 9);
    nn_acks_peer_done(&acks, 9);
    TEST_EQUAL(acks_deliver(&acks, 512, 2000), NN_ACKS_BYTES_FULL);
    /* A packet from below comes after all: it is told. */
    nn_acks_add(&acks, 48, true, false, 2000);
    (void)acks_deliver(&acks, 512, 2000);
    TEST_EQUAL(acks_told[48], 1);
    TEST_EQUAL(acks_told[44], 0);
    nn_recovery_reset(&acks_sender);
}

TEST(test_acks_watch_moves_on_when_the_watched_packet_is_lost)
{
    nn_acks acks;
    nn_acks_init(&acks, 10000);
    uint8_t frame[64];
    for (uint64_t i = 0; i < 20; i++) {
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        nn_acks_add(&acks, i * 2, true, false, 0);
        TEST_CHECK(nn_acks_write(&acks, &writer, 0));
        nn_acks_sent(&acks, i);
        if (i == 0) continue; /* the first is lost */
        nn_acks_peer_has(&acks, i, i);
        nn_acks_peer_done(&acks, i);
        if (i >= 5) TEST_AT_MOST(nn_writer_bytes(&writer), 5 + 4); /* one gap at most */
    }
}

TEST(test_acks_delay_code_rounds_down_by_a_sixteenth_at_most)
{
    uint64_t before = 0;
    for (unsigned code = 0; code < 256; code++) {
        uint64_t delay = nn_acks_delay_decode((uint8_t)code);
        TEST_CHECK(code == 0 || delay > before);
        TEST_EQUAL(nn_acks_delay_encode(delay), code);
        before = delay;
    }
    for (uint64_t delay = 0; delay < 4000000; delay += 1 + delay / 100) {
        uint64_t back = nn_acks_delay_decode(nn_acks_delay_encode(delay));
        TEST_AT_MOST(back, delay);
        TEST_AT_LEAST(back + 8 + delay / 16, delay);
    }
    TEST_EQUAL(nn_acks_delay_encode(UINT64_MAX), 255);
}

TEST_MAIN
