/* test_recovery - loss detection, round trip, probes and hostile ACKs.
 *
 * Method: the numbers of RFC 9002's rules by hand; then two ends over a simulated path with loss and reordering, where
 * each contents must come back as the contract says, and everything sent must in the end be acknowledged.
 */
#include "test.h"

#include "nn_frame.h"
#include "nn_recovery.h"

#define RECOVERY_IDS 60000

static nn_alloc recovery_alloc;
static nn_acks recovery_acks;
static nn_congestion recovery_congestion;
static nn_recovery recovery_one;
static uint8_t recovery_acked_count[RECOVERY_IDS];
static uint8_t recovery_lost_count[RECOVERY_IDS];
static uint32_t recovery_order[RECOVERY_IDS];
static uint32_t recovery_acked_total;
static uint32_t recovery_lost_total;

static void recovery_on_acked(void* user, const nn_contents* contents)
{
    (void)user;
    recovery_acked_count[contents->frames[0].value]++;
    recovery_order[recovery_acked_total++] = contents->frames[0].value;
}

static void recovery_on_lost(void* user, const nn_contents* contents)
{
    (void)user;
    recovery_lost_count[contents->frames[0].value]++;
    recovery_lost_total++;
}

static void recovery_begin(uint64_t seed)
{
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&recovery_alloc, &allocator);
    nn_acks_init(&recovery_acks, NN_ACKS_DELAY_US_DEFAULT);
    nn_congestion_init(&recovery_congestion, NN_CONGESTION_UNLIMITED, 0);
    nn_recovery_init(&recovery_one, &recovery_alloc, &recovery_acks, &recovery_congestion, seed);
    memset(recovery_acked_count, 0, sizeof recovery_acked_count);
    memset(recovery_lost_count, 0, sizeof recovery_lost_count);
    recovery_acked_total = recovery_lost_total = 0;
}

static uint64_t recovery_send(uint32_t id, uint64_t now_us)
{
    nn_contents contents;
    nn_contents_init(&contents);
    nn_contents_add(&contents, NN_SENT_STATE, 0, 0, id);
    TEST_OK(nn_recovery_reserve(&recovery_one));
    uint64_t number = nn_recovery_next_number(&recovery_one);
    nn_recovery_sent(&recovery_one, number, 1000, true, &contents, now_us);
    return number;
}

static necpnet_result recovery_read(const uint8_t* frame, size_t bytes, uint64_t now_us)
{
    nn_reader reader = nn_reader_of(frame, bytes);
    return nn_recovery_read_ack(&recovery_one, &reader, now_us, recovery_on_acked, recovery_on_lost, NULL);
}

/* ACK of low .. high, at most 96 of them. */
static necpnet_result recovery_ack(uint64_t low, uint64_t high, uint64_t delay_us, uint64_t now_us)
{
    uint8_t frame[4];
    nn_store_u16(frame, (uint16_t)high);
    frame[2] = nn_acks_delay_encode(delay_us);
    frame[3] = (uint8_t)(high - low);
    return recovery_read(frame, sizeof frame, now_us);
}

static uint32_t recovery_on_deadline(uint64_t now_us)
{
    return nn_recovery_on_deadline(&recovery_one, now_us, recovery_on_lost, NULL);
}

TEST(test_recovery_state_of_an_idle_connection_is_small)
{
    TEST_AT_MOST(sizeof(nn_acks), 224);
    TEST_AT_MOST(sizeof(nn_congestion), 296);
    TEST_AT_MOST(sizeof(nn_recovery), 200);
    recovery_begin(1);
    TEST_EQUAL(nn_recovery_memory_bytes(&recovery_one), 0);
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), NN_NEVER);
}

TEST(test_recovery_estimates_the_round_trip_as_rfc_9002_5_3)
{
    recovery_begin(1);
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1050000));
    TEST_EQUAL(recovery_one.rtt_us, 50000);
    TEST_EQUAL(recovery_one.rtt_variance_us, 25000);
    TEST_EQUAL(recovery_one.rtt_min_us, 50000);
    (void)recovery_send(1, 2000000);
    TEST_OK(recovery_ack(0, 1, 8192, 2066192)); /* 66,192 less the delay of 8,192 = 58,000 */
    TEST_EQUAL(recovery_one.rtt_latest_us, 66192);
    TEST_EQUAL(recovery_one.rtt_variance_us, (3 * 25000 + 8000) / 4);
    TEST_EQUAL(recovery_one.rtt_us, (7 * 50000 + 58000) / 8);
    (void)recovery_send(2, 3000000);
    TEST_OK(recovery_ack(0, 2, 8192, 3055000)); /* less the delay it would be under the least: not taken off */
    TEST_EQUAL(recovery_one.rtt_us, (7 * 51000 + 55000) / 8);
    (void)recovery_send(3, 4000000);
    TEST_OK(recovery_ack(0, 3, 40960, 4100000)); /* a peer that looks once a frame */
    TEST_EQUAL(recovery_one.rtt_us, (7 * 51500 + 100000 - 40960) / 8);
    uint32_t rtt_us = recovery_one.rtt_us;
    (void)recovery_send(4, 5000000);
    TEST_OK(recovery_ack(0, 4, 180224, 5250000)); /* a delay of more than 100 ms counts as 100 ms */
    TEST_EQUAL(recovery_one.rtt_us, (7 * (uint64_t)rtt_us + 150000) / 8);
    TEST_EQUAL(recovery_one.rtt_min_us, 50000);
    nn_recovery_reset(&recovery_one);
}

/* The timeout waits for a peer that answers once a frame of 50 ms, and forgets when it does so no more. */
TEST(test_recovery_waits_as_long_as_the_peer_takes)
{
    recovery_begin(1);
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1020000));
    TEST_EQUAL(nn_recovery_probe_us(&recovery_one), 20000 + 4 * 10000 + NN_ACKS_DELAY_US_DEFAULT);
    uint32_t number = 1;
    uint64_t now_us = 2000000;
    for (; number < 20; number++, now_us += 100000) {
        uint64_t sent = recovery_send(number, now_us); /* numbers are left out now and then */
        TEST_OK(recovery_ack(sent, sent, 49152, now_us + 20000 + 49152));
    }
    TEST_EQUAL(recovery_one.rtt_us, 20000);
    TEST_AT_LEAST(nn_recovery_probe_us(&recovery_one), 20000 + 49152);
    for (; number < 600; number++, now_us += 100000) {
        uint64_t sent = recovery_send(number, now_us);
        TEST_OK(recovery_ack(sent, sent, 0, now_us + 20000));
    }
    TEST_AT_MOST(nn_recovery_probe_us(&recovery_one), 20000 + 1000 + NN_ACKS_DELAY_US_DEFAULT + 100);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_does_not_sample_what_was_acknowledged_before)
{
    recovery_begin(1);
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1050000));
    TEST_OK(recovery_ack(0, 0, 0, 9000000));
    TEST_EQUAL(recovery_one.rtt_us, 50000);
    TEST_EQUAL(recovery_acked_count[0], 1);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_packet_threshold_is_3)
{
    recovery_begin(1);
    for (uint32_t i = 0; i < 4; i++) (void)recovery_send(i, 1000000);
    TEST_OK(recovery_ack(2, 2, 0, 1010000));
    TEST_EQUAL(recovery_lost_total, 0);
    TEST_OK(recovery_ack(3, 3, 0, 1010000));
    TEST_EQUAL(recovery_lost_count[0], 1);
    TEST_EQUAL(recovery_lost_count[1], 0);
    TEST_EQUAL(recovery_one.packets_lost, 1);
    TEST_EQUAL(recovery_one.flight, 1);
    TEST_EQUAL(recovery_congestion.flight_bytes, 1000);
    nn_recovery_reset(&recovery_one);
    TEST_EQUAL(recovery_congestion.flight_bytes, 0);
}

TEST(test_recovery_time_threshold_is_nine_eighths)
{
    recovery_begin(1);
    for (uint32_t i = 0; i < 2; i++) (void)recovery_send(i, 1000000);
    TEST_OK(recovery_ack(1, 1, 0, 1080000));
    TEST_EQUAL(recovery_lost_total, 0);
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), 1090000);
    TEST_EQUAL(recovery_on_deadline(1089999), 0);
    TEST_EQUAL(recovery_lost_total, 0);
    TEST_EQUAL(recovery_on_deadline(1090000), 0);
    TEST_EQUAL(recovery_lost_count[0], 1);
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), NN_NEVER);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_probes_with_back_off_and_gives_contents_again_once)
{
    recovery_begin(1);
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1040000)); /* 40 ms, variance 20 ms */
    uint64_t once = 40000 + 4 * 20000 + NN_ACKS_DELAY_US_DEFAULT;
    TEST_EQUAL(nn_recovery_probe_us(&recovery_one), once);
    for (uint32_t i = 1; i < 4; i++) (void)recovery_send(i, 2000000);
    uint64_t now = 2000000;
    for (uint32_t probe = 0; probe < 6; probe++) {
        uint64_t wait = once << probe;
        now += wait < NN_RECOVERY_PROBE_US_MAX ? wait : NN_RECOVERY_PROBE_US_MAX;
        TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), now);
        TEST_EQUAL(recovery_on_deadline(now - 1), 0);
        TEST_EQUAL(recovery_on_deadline(now), 2);
    }
    for (uint32_t i = 1; i < 4; i++) TEST_EQUAL(recovery_lost_count[i], 1);
    TEST_EQUAL(recovery_one.packets_lost, 0); /* sent again, not yet given up */
    TEST_EQUAL(recovery_one.flight, 3);
    TEST_OK(recovery_ack(3, 3, 0, now));
    TEST_EQUAL(recovery_one.probes, 0);
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), 2000000 + (now - 2000000) * 9 / 8);
    TEST_EQUAL(recovery_on_deadline(2000000 + (now - 2000000) * 9 / 8), 0);
    TEST_EQUAL(recovery_one.packets_lost, 2); /* given up, but their contents are on the way already */
    TEST_EQUAL(recovery_lost_total, 3);
    TEST_EQUAL(recovery_acked_count[3], 1);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_waits_longer_where_only_packets_whose_ack_may_wait_are_in_flight)
{
    recovery_begin(1);
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1040000)); /* 40 ms, variance 20 ms */
    uint64_t once = 40000 + 4 * 20000 + NN_ACKS_DELAY_US_DEFAULT;
    (void)recovery_send(1, 2000000);
    nn_recovery_sent_later(&recovery_one);
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), 2000000 + once + NN_ACKS_LATER_US);
    (void)recovery_send(2, 2010000);
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), 2010000 + once);
    TEST_OK(recovery_ack(2, 2, 0, 2040000)); /* 2 has come: 1 is late by itself, and no timeout waits for it */
    TEST_EQUAL(recovery_one.flight, 1);
    TEST_EQUAL(recovery_one.flight_soon, 0);
    TEST_OK(recovery_ack(0, 2, 0, 2041000));
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), NN_NEVER);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_takes_the_whole_delay_of_an_ack_that_was_let_wait)
{
    recovery_begin(1);
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1050000));
    uint64_t delay_us = nn_acks_delay_decode(nn_acks_delay_encode(NN_ACKS_LATER_US));
    (void)recovery_send(1, 2000000);
    nn_recovery_sent_later(&recovery_one);
    TEST_OK(recovery_ack(0, 1, delay_us, 2050000 + delay_us));
    TEST_EQUAL(recovery_one.rtt_us, 50000);
    (void)recovery_send(2, 3000000); /* of another it is cut to 100 ms */
    TEST_OK(recovery_ack(0, 2, delay_us, 3050000 + delay_us));
    TEST_EQUAL(recovery_one.rtt_us, (7 * 50000 + 50000 + delay_us - 100000) / 8);
    uint32_t rtt_us = recovery_one.rtt_us;
    (void)recovery_send(3, 4000000);
    nn_recovery_sent_later(&recovery_one);
    TEST_OK(recovery_ack(0, 3, 2000000, 4050000 + 2000000)); /* nor does a liar gain more than the 200 ms */
    TEST_GREATER(recovery_one.rtt_us, rtt_us + 200000);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_hurries_until_the_round_trip_is_known_and_after_a_loss)
{
    recovery_begin(1);
    TEST_CHECK(nn_recovery_hurries(&recovery_one));
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1050000));
    TEST_CHECK(!nn_recovery_hurries(&recovery_one));
    for (uint32_t i = 1; i < 5; i++) (void)recovery_send(i, 2000000);
    TEST_OK(recovery_ack(4, 4, 0, 2050000));
    TEST_EQUAL(recovery_one.packets_lost, 1);
    for (uint32_t i = 0; i < NN_RECOVERY_HURRY_PACKETS; i++) {
        TEST_CHECK(nn_recovery_hurries(&recovery_one));
        (void)recovery_send(5 + i, 2050000);
    }
    TEST_CHECK(!nn_recovery_hurries(&recovery_one));
    TEST_GREATER(recovery_on_deadline(nn_recovery_deadline_us(&recovery_one)) + recovery_one.packets_lost, 1);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_late_acknowledgement_of_a_lost_packet_is_told_and_raises_the_threshold)
{
    recovery_begin(1);
    for (uint32_t i = 0; i < 8; i++) (void)recovery_send(i, 1000000);
    TEST_OK(recovery_ack(7, 7, 0, 1010000));
    TEST_EQUAL(recovery_one.packets_lost, 5);
    TEST_OK(recovery_ack(0, 7, 0, 1011000));
    TEST_EQUAL(recovery_one.packets_spurious, 5);
    for (uint32_t i = 0; i < 8; i++) TEST_EQUAL(recovery_acked_count[i], 1);
    TEST_EQUAL(recovery_one.packet_threshold, 8);
    TEST_EQUAL(recovery_congestion.flight_bytes, 0);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_refuses_acknowledgement_of_what_was_never_sent)
{
    recovery_begin(1);
    TEST_EQUAL(recovery_ack(0, 0, 0, 5), NECPNET_ERR_PROTOCOL);
    for (uint32_t i = 0; i < 3; i++) (void)recovery_send(i, 1000000);
    TEST_EQUAL(recovery_ack(0, 3, 0, 1010000), NECPNET_ERR_PROTOCOL);
    TEST_EQUAL(recovery_ack(2, 0xFFFF, 0, 1010000), NECPNET_ERR_PROTOCOL);
    TEST_EQUAL(recovery_acked_total, 0);
    TEST_OK(recovery_ack(0, 2, 0, 1010000));
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_catches_an_optimistic_receiver)
{
    TEST_EACH_SEED (seed, 20) {
        recovery_begin(seed);
        uint32_t id = 0;
        bool caught = false;
        uint64_t now = 1000000;
        while (id < 6000 && !caught) {
            uint64_t number = 0;
            for (uint32_t i = 0; i < 20; i++) number = recovery_send(id++, now);
            now += 20000; /* claims the last 90, come or not */
            caught = recovery_ack(number > 90 ? number - 90 : 0, number, 0, now) == NECPNET_ERR_PROTOCOL;
        }
        TEST_CHECK(caught);
        TEST_AT_MOST(id, 1400);
        nn_recovery_reset(&recovery_one);
    }
}

TEST(test_recovery_refuses_malformed_ranges)
{
    static const struct {
        const char* what;
        uint8_t bytes[16];
        size_t count;
    } cases[] = {
        {"cut", {99, 0, 0}, 3},
        {"run below 0", {99, 0, 0, 100}, 4},
        {"no further range though announced", {99, 0, 0, 0x80, 0}, 5},
        {"32 further ranges", {99, 0, 0, 0x80, 32, 0, 0, 0, 0, 0, 0, 0}, 12},
        {"second range cut", {99, 0, 0, 0x80, 1, 5}, 6},
        {"second range below 0", {99, 0, 0, 0x80 | 90, 1, 3, 9}, 7},
        {"gap below 0", {99, 0, 0, 0x80 | 90, 1, 60, 0}, 7},
        {"gap of 2^62", {99, 0, 0, 0x80, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0}, 14},
        {"run of 2^62", {99, 0, 0, 0x80, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 14},
        {"first run of 2^62", {99, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0}, 15},
    };
    recovery_begin(1);
    recovery_one.skip_at = UINT64_MAX;
    for (uint32_t i = 0; i < 100; i++) (void)recovery_send(i, 1000000);
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        TEST_HINT("%s", cases[i].what);
        TEST_EQUAL(recovery_read(cases[i].bytes, cases[i].count, 1010000), NECPNET_ERR_PROTOCOL);
        TEST_EQUAL(recovery_acked_total, 0);
    }
    /* ranges that span more than the window, from a sender with enough packets */
    for (uint32_t i = 100; i < 2100; i++) (void)recovery_send(i, 1000000);
    uint8_t wide[] = {0x33, 0x08, 0, 0x80, 1, 0x43, 0xF0, 0x43, 0xF0}; /* largest 2099, gap 1009, run 1009 */
    TEST_EQUAL(recovery_read(wide, sizeof wide, 1010000), NECPNET_ERR_PROTOCOL);
    wide[5] = wide[7] = 0x41; /* 497 each: inside */
    TEST_OK(recovery_read(wide, sizeof wide, 1010000));
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_survives_random_acknowledgements)
{
    TEST_EACH_SEED (seed, 100) {
        struct test_random random = test_random_begin(seed);
        recovery_begin(seed);
        uint64_t now = 1000000;
        for (uint32_t i = 0; i < 300; i++) (void)recovery_send(i, now);
        for (int i = 0; i < 50; i++) {
            uint8_t frame[40];
            test_random_bytes(&random, frame, sizeof frame);
            nn_store_u16(frame, (uint16_t)test_random_below(&random, 310));
            now += 1000;
            (void)recovery_read(frame, (size_t)test_random_below(&random, 41), now);
        }
        uint32_t in_flight = 0;
        for (uint32_t i = 0; i < 300; i++) {
            TEST_AT_MOST(recovery_acked_count[i], 1);
            TEST_AT_MOST(recovery_lost_count[i], 1);
            in_flight += !recovery_acked_count[i] && !recovery_lost_count[i];
        }
        TEST_EQUAL(recovery_one.flight, in_flight);
        TEST_EQUAL(recovery_congestion.flight_bytes, in_flight * 1000u);
        nn_recovery_reset(&recovery_one);
    }
}

TEST(test_recovery_is_full_at_its_limit_and_takes_no_more_memory)
{
    recovery_begin(1);
    for (uint32_t i = 0; i < NN_RECOVERY_FLIGHT_MAX; i++) (void)recovery_send(i, 1000000);
    TEST_EQUAL(nn_recovery_reserve(&recovery_one), NECPNET_ERR_WOULD_BLOCK);
    size_t memory = nn_recovery_memory_bytes(&recovery_one);
    TEST_OK(recovery_ack(recovery_one.next_number - 3, recovery_one.next_number - 1, 0, 1010000));
    TEST_OK(nn_recovery_reserve(&recovery_one));
    uint64_t allocations = test_allocation_count();
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t number = recovery_send(i, 1010000 + i);
        if (i % 10 == 9) (void)recovery_ack(number - 5, number, 0, 1010000 + i);
    }
    TEST_EQUAL(nn_recovery_memory_bytes(&recovery_one), memory);
    TEST_EQUAL(test_allocation_count(), allocations);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_lose_all_gives_everything_back)
{
    recovery_begin(1);
    for (uint32_t i = 0; i < 50; i++) (void)recovery_send(i, 1000000);
    TEST_OK(recovery_ack(10, 19, 0, 1000500));
    nn_recovery_lose_all(&recovery_one, recovery_on_lost, NULL);
    for (uint32_t i = 0; i < 50; i++) TEST_EQUAL(recovery_acked_count[i] + recovery_lost_count[i], 1);
    TEST_EQUAL(recovery_congestion.flight_bytes, 0);
    TEST_EQUAL(nn_recovery_deadline_us(&recovery_one), NN_NEVER);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_asks_for_an_ack_every_64_packets)
{
    recovery_begin(1);
    uint32_t since = 0;
    uint32_t asked = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        since++;
        if (nn_recovery_wants_ack(&recovery_one)) {
            since = 0;
            asked++;
        }
        TEST_LESS(since, NN_RECOVERY_ACK_REQUEST_PACKETS);
        nn_recovery_sent(&recovery_one, nn_recovery_next_number(&recovery_one), 40, false, NULL, 1000);
    }
    TEST_EQUAL(asked, 1000 / 64);
    TEST_EQUAL(nn_recovery_memory_bytes(&recovery_one), 0); /* packets that elicit nothing are not kept */
}

TEST(test_recovery_survives_each_failing_allocation)
{
    TEST_EACH_ALLOCATION_FAILS {
        recovery_begin(1);
        necpnet_result result = NECPNET_OK;
        for (uint32_t i = 0; i < 100 && result == NECPNET_OK; i++) {
            result = nn_recovery_reserve(&recovery_one);
            if (result == NECPNET_OK) (void)recovery_send(i, 1000);
        }
        TEST_EQUAL(result, test_allocation_failed() ? NECPNET_ERR_OUT_OF_MEMORY : NECPNET_OK);
        nn_recovery_reset(&recovery_one);
    }
}

/* ---- both ends ---- */

typedef struct recovery_wire {
    uint64_t at_us;
    uint64_t number;
    uint32_t id;
    uint8_t ack_bytes;
    uint8_t ack[200];
    bool live;
} recovery_wire;

#define RECOVERY_WIRE_MAX 4096

static recovery_wire recovery_there[RECOVERY_WIRE_MAX];
static recovery_wire recovery_back[RECOVERY_WIRE_MAX];
static bool recovery_arrived[RECOVERY_IDS];

static recovery_wire* recovery_put(recovery_wire* wires, uint64_t at_us)
{
    for (size_t i = 0; i < RECOVERY_WIRE_MAX; i++) {
        if (wires[i].live) continue;
        wires[i].live = true;
        wires[i].at_us = at_us;
        return &wires[i];
    }
    TEST_FAIL("the simulated wire is full");
    return NULL;
}

TEST(test_recovery_delivers_all_over_5_percent_loss_and_reordering)
{
    TEST_EACH_SEED (seed, 6) {
        enum { MESSAGES = 6000 };
        static uint32_t again[RECOVERY_IDS];
        static uint8_t lost_before[RECOVERY_IDS];
        struct test_random random = test_random_begin(seed);
        nn_acks receiver;
        nn_acks_init(&receiver, NN_ACKS_DELAY_US_DEFAULT);
        recovery_begin(seed);
        nn_limit_set(&recovery_congestion.limit, 2000000);
        memset(recovery_there, 0, sizeof recovery_there);
        memset(recovery_back, 0, sizeof recovery_back);
        memset(recovery_arrived, 0, sizeof recovery_arrived);
        memset(lost_before, 0, sizeof lost_before);
        uint32_t next = 0;
        size_t again_count = 0;
        uint32_t delivered = 0;
        uint64_t sent = 0;
        uint32_t probes = 0;
        uint64_t ack_bytes = 0;
        uint64_t acks = 0;
        uint64_t now = 1000000;
        for (; delivered < MESSAGES && now < 120000000; now += 250) {
            for (size_t i = 0; i < RECOVERY_WIRE_MAX; i++) { /* arrivals */
                recovery_wire* wire = &recovery_there[i];
                if (wire->live && wire->at_us <= now) {
                    wire->live = false;
                    TEST_CHECK(nn_acks_is_new(&receiver, wire->number));
                    nn_acks_add(&receiver, wire->number, true, false, now);
                    if (!recovery_arrived[wire->id]) delivered++;
                    recovery_arrived[wire->id] = true;
                }
                wire = &recovery_back[i];
                if (wire->live && wire->at_us <= now) {
                    wire->live = false;
                    TEST_OK(recovery_read(wire->ack, wire->ack_bytes, now));
                }
            }
            if (nn_acks_deadline_us(&receiver) <= now && sent) {
                recovery_wire scratch;
                nn_writer writer = nn_writer_of(scratch.ack, sizeof scratch.ack);
                TEST_CHECK(nn_acks_write(&receiver, &writer, now));
                ack_bytes += nn_writer_bytes(&writer);
                acks++;
                if (test_random_below(&random, 100) >= 5) {
                    recovery_wire* wire = recovery_put(recovery_back, now + 20000 + test_random_below(&random, 2000));
                    wire->ack_bytes = (uint8_t)(nn_writer_bytes(&writer) - 1);
                    memcpy(wire->ack, scratch.ack + 1, wire->ack_bytes);
                }
            }
            if (nn_recovery_deadline_us(&recovery_one) <= now) probes += recovery_on_deadline(now);
            for (uint32_t id = 0; id < next; id++) { /* what was lost since goes again */
                if (recovery_lost_count[id] == lost_before[id]) continue;
                lost_before[id] = recovery_lost_count[id];
                if (!recovery_acked_count[id]) again[again_count++] = id;
            }
            while ((next < MESSAGES || again_count) && (probes || nn_congestion_budget(&recovery_congestion, now))) {
                uint32_t id = again_count ? again[--again_count] : next++;
                uint64_t number = recovery_send(id, now);
                sent++;
                if (probes) probes--;
                if (test_random_below(&random, 100) < 5) continue;
                uint64_t late = test_random_below(&random, 20) ? 0 : test_random_below(&random, 3000);
                recovery_wire* wire = recovery_put(recovery_there, now + 20000 + late);
                wire->number = number;
                wire->id = id;
            }
            if (probes && next == MESSAGES) probes = 0;
        }
        TEST_EQUAL(delivered, MESSAGES);
        TEST_AT_MOST(sent, MESSAGES * 13 / 10);
        TEST_LESS(recovery_one.packets_spurious * 20, recovery_one.packets_lost + 100);
        TEST_GREATER(recovery_one.packets_lost, MESSAGES / 40);
        TEST_AT_MOST(ack_bytes / acks, 80);
        TEST_LESS(now, 5000000); /* 6 MB at 2 MB a second: loss has not throttled a 40 ms path */
        nn_recovery_reset(&recovery_one);
    }
}

static const nn_contents* recovery_doubted_contents[4];
static uint32_t recovery_doubted_count;

static void recovery_on_doubted(void* user, const nn_contents* contents)
{
    (void)user;
    if (recovery_doubted_count < NN_COUNT(recovery_doubted_contents)) {
        recovery_doubted_contents[recovery_doubted_count] = contents;
    }
    recovery_doubted_count++;
}

static void recovery_send_copied(uint16_t id, uint64_t now_us)
{
    nn_contents contents;
    nn_contents_init(&contents);
    nn_contents_add(&contents, NN_SENT_MESSAGES, 0, id, 1);
    contents.is_copied = true;
    TEST_OK(nn_recovery_reserve(&recovery_one));
    nn_recovery_sent(&recovery_one, nn_recovery_next_number(&recovery_one), 100, true, &contents, now_us);
}

TEST(test_recovery_doubts_what_was_copied_once_when_no_ack_came_in_time)
{
    recovery_begin(1);
    recovery_doubted_count = 0;
    (void)recovery_send(0, 1000000);
    TEST_OK(recovery_ack(0, 0, 0, 1050000));
    TEST_EQUAL(nn_recovery_doubt_at_us(&recovery_one), NN_NEVER);
    recovery_send_copied(1, 2000000);
    recovery_send_copied(2, 2016000);
    uint64_t at_us = nn_recovery_doubt_at_us(&recovery_one);
    TEST_AT_LEAST(at_us, 2000000 + 50000 + NN_ACKS_DELAY_US_DEFAULT);
    TEST_LESS(at_us, 2000000 + nn_recovery_probe_us(&recovery_one));
    nn_recovery_doubt(&recovery_one, at_us - 1, recovery_on_doubted, NULL);
    TEST_EQUAL(recovery_doubted_count, 0);
    nn_recovery_doubt(&recovery_one, at_us, recovery_on_doubted, NULL);
    TEST_EQUAL(recovery_doubted_count, 1);
    TEST_EQUAL(recovery_doubted_contents[0]->frames[0].id, 1);
    TEST_EQUAL(recovery_one.flight, 2); /* and stays so: nothing is lost yet */
    TEST_EQUAL(recovery_one.packets_lost, 0);
    TEST_EQUAL(nn_recovery_doubt_at_us(&recovery_one), at_us + 16000);
    TEST_OK(recovery_ack(2, 2, 0, 2083000)); /* the second came: what was before it is lost or not by the usual rules */
    TEST_EQUAL(nn_recovery_doubt_at_us(&recovery_one), NN_NEVER);
    nn_recovery_doubt(&recovery_one, 9000000, recovery_on_doubted, NULL);
    TEST_EQUAL(recovery_doubted_count, 1);
    nn_recovery_reset(&recovery_one);
}

TEST(test_recovery_rests_when_nothing_is_in_flight_for_long)
{
    recovery_begin(1);
    (void)recovery_send(0, 1000000);
    nn_recovery_rest(&recovery_one, 90000000);
    TEST_GREATER(nn_recovery_memory_bytes(&recovery_one), 0); /* in flight */
    TEST_OK(recovery_ack(0, 0, 0, 1050000));
    nn_recovery_rest(&recovery_one, 1000000 + NN_RECOVERY_REST_US - 1);
    TEST_GREATER(nn_recovery_memory_bytes(&recovery_one), 0);
    nn_recovery_rest(&recovery_one, 1000000 + NN_RECOVERY_REST_US);
    TEST_EQUAL(nn_recovery_memory_bytes(&recovery_one), 0);
    (void)recovery_send(0, 5000000);
    TEST_OK(recovery_ack(1, 1, 0, 5050000));
    TEST_EQUAL(recovery_one.packets_acked, 2);
    nn_recovery_reset(&recovery_one);
}

TEST_MAIN
