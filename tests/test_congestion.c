/* test_congestion - window, pacer and limit; then a backlogged sender over a simulated bottleneck.
 *
 * Method: nn_recovery, nn_acks and nn_congestion as a connection has them, 1200-byte packets, virtual time in steps of
 * 100 us. The link serves a queue at a rate, drops what exceeds it, loses at random. Measured after 3 s: share of the
 * link's rate that is used, and the queue that stands (the least of each 100 ms).
 */
#include "test.h"

#include "nn_recovery.h"

#define LINK_PACKET 1200u
#define LINK_QUEUE_PACKETS 4096u
#define LINK_STEP_US 100u

typedef struct link_packet {
    uint64_t number;
    uint64_t at_us;
} link_packet;

typedef struct link_ack {
    uint64_t at_us;
    size_t bytes;
    uint8_t data[200];
} link_ack;

typedef struct link_sim {
    uint64_t rate; /* bytes a second */
    uint64_t base_us;
    uint64_t queue_us_max; /* tail drop */
    uint32_t loss_ppm;
    uint32_t noise_us; /* added to each packet's way, at random */
    uint64_t now_us;
    uint64_t free_at_us; /* when the bottleneck has served all it has */
    uint32_t there_first, there_count;
    uint32_t back_first, back_count;
    link_packet there[LINK_QUEUE_PACKETS];
    link_ack back[LINK_QUEUE_PACKETS];
    struct test_random random;
    nn_alloc alloc;
    nn_acks sender_acks;
    nn_acks receiver;
    nn_congestion congestion;
    nn_recovery recovery;
    uint64_t delivered_bytes;
    uint64_t dropped;
    uint64_t sent;
    uint32_t probes;
    uint64_t queue_least_us; /* of this 100 ms */
    uint64_t queue_slot;
    uint64_t queue_worst_us; /* worst of the leasts */
    uint64_t queue_sum_us;
    uint64_t queue_slots;
} link_sim;

static link_sim link;

static void link_ignore(void* user, const nn_contents* contents)
{
    (void)user;
    (void)contents;
}

static void link_begin(uint64_t rate, uint64_t base_us, uint64_t queue_us_max, uint32_t loss_ppm, uint64_t seed)
{
    necpnet_allocator allocator = test_allocator();
    memset(&link, 0, sizeof link);
    link.rate = rate;
    link.base_us = base_us;
    link.queue_us_max = queue_us_max;
    link.loss_ppm = loss_ppm;
    link.now_us = 1000000;
    link.random = test_random_begin(seed);
    nn_alloc_init(&link.alloc, &allocator);
    nn_acks_init(&link.sender_acks, NN_ACKS_DELAY_US_DEFAULT);
    nn_acks_init(&link.receiver, NN_ACKS_DELAY_US_DEFAULT);
    nn_congestion_init(&link.congestion, NN_CONGESTION_UNLIMITED, link.now_us);
    nn_recovery_init(&link.recovery, &link.alloc, &link.sender_acks, &link.congestion, seed);
    nn_recovery_seed_rtt(&link.recovery, base_us, link.now_us);
}

static uint64_t link_queue_us(void)
{
    return link.free_at_us > link.now_us ? link.free_at_us - link.now_us : 0;
}

static void link_send_one(void)
{
    TEST_OK(nn_recovery_reserve(&link.recovery));
    uint64_t number = nn_recovery_next_number(&link.recovery);
    nn_recovery_sent(&link.recovery, number, LINK_PACKET, true, NULL, link.now_us);
    link.sent++;
    if (link_queue_us() > link.queue_us_max || link.there_count == LINK_QUEUE_PACKETS) {
        link.dropped++;
        return;
    }
    uint64_t begin = nn_max_u64(link.free_at_us, link.now_us);
    link.free_at_us = begin + LINK_PACKET * UINT64_C(1000000) / link.rate;
    if (test_random_below(&link.random, 1000000) < link.loss_ppm) return;
    link_packet* packet = &link.there[(link.there_first + link.there_count++) % LINK_QUEUE_PACKETS];
    packet->number = number;
    packet->at_us = link.free_at_us + link.base_us / 2 + test_random_below(&link.random, link.noise_us + 1u);
}

static void link_arrivals(void)
{
    while (link.there_count && link.there[link.there_first].at_us <= link.now_us) {
        nn_acks_add(&link.receiver, link.there[link.there_first].number, true, false, link.now_us);
        nn_acks_hurry(&link.receiver, link.now_us + NN_ACKS_HURRY_US);
        link.there_first = (link.there_first + 1) % LINK_QUEUE_PACKETS;
        link.there_count--;
        link.delivered_bytes += LINK_PACKET;
    }
    if (nn_acks_deadline_us(&link.receiver) <= link.now_us) {
        link_ack* ack = &link.back[(link.back_first + link.back_count) % LINK_QUEUE_PACKETS];
        nn_writer writer = nn_writer_of(ack->data, sizeof ack->data);
        TEST_CHECK(nn_acks_write(&link.receiver, &writer, link.now_us));
        ack->bytes = nn_writer_bytes(&writer);
        ack->at_us = link.now_us + link.base_us / 2;
        if (test_random_below(&link.random, 1000000) >= link.loss_ppm) link.back_count++;
    }
    while (link.back_count && link.back[link.back_first].at_us <= link.now_us) {
        link_ack* ack = &link.back[link.back_first];
        nn_reader reader = nn_reader_of(ack->data + 1, ack->bytes - 1);
        TEST_OK(nn_recovery_read_ack(&link.recovery, &reader, link.now_us, link_ignore, link_ignore, NULL));
        link.back_first = (link.back_first + 1) % LINK_QUEUE_PACKETS;
        link.back_count--;
    }
}

static void link_measure(void)
{
    uint64_t slot = link.now_us / 100000;
    if (slot != link.queue_slot) {
        if (link.queue_slot && link.queue_least_us > link.queue_worst_us) link.queue_worst_us = link.queue_least_us;
        link.queue_sum_us += link.queue_slot ? link.queue_least_us : 0;
        link.queue_slots += link.queue_slot != 0;
        link.queue_slot = slot;
        link.queue_least_us = UINT64_MAX;
    }
    link.queue_least_us = nn_min_u64(link.queue_least_us, link_queue_us());
}

/* Run a sender that always has more (or, with app_rate, so many bytes a second). */
static void link_run(uint64_t us, uint64_t app_rate)
{
    uint64_t end = link.now_us + us;
    double app_bytes = 0;
    link.delivered_bytes = 0;
    link.queue_slot = link.queue_worst_us = link.queue_sum_us = link.queue_slots = 0;
    link.sent = link.dropped = 0;
    for (; link.now_us < end; link.now_us += LINK_STEP_US) {
        link_arrivals();
        if (nn_recovery_deadline_us(&link.recovery) <= link.now_us) {
            link.probes = nn_recovery_on_deadline(&link.recovery, link.now_us, link_ignore, NULL);
        }
        app_bytes += (double)app_rate * LINK_STEP_US / 1e6;
        while (link.probes || nn_congestion_budget(&link.congestion, link.now_us)) {
            if (app_rate && app_bytes < LINK_PACKET) break;
            app_bytes -= LINK_PACKET;
            if (link.probes) link.probes--;
            link_send_one();
        }
        link_measure();
    }
}

/* Thousandths of the link's rate. */
static uint64_t link_used(uint64_t us)
{
    return link.delivered_bytes * 1000 / (us / 1000) * 1000 / link.rate;
}

static void link_report(const char* name, uint64_t us)
{
    if (!test_run_state.verbose) return;
    printf("%-26s used %5.1f %%, standing queue mean %5.1f ms worst %5.1f ms, dropped %.2f %%, window %llu\n", name,
           (double)link_used(us) / 10,
           (double)link.queue_sum_us / 1000.0 / (double)(link.queue_slots + !link.queue_slots),
           (double)link.queue_worst_us / 1000.0, (double)link.dropped * 100.0 / (double)(link.sent + !link.sent),
           (unsigned long long)link.congestion.window_bytes);
}

TEST(test_congestion_alone_keeps_the_standing_queue_under_20_ms_and_fills_the_link)
{
    static const struct {
        const char* name;
        uint64_t rate;
        uint64_t base_us;
        uint64_t used_least;
    } cases[] = {
        {"1 Mbit/s, 20 ms", 125000, 20000, 900},     {"10 Mbit/s, 40 ms", 1250000, 40000, 900},
        {"10 Mbit/s, 200 ms", 1250000, 200000, 850}, {"50 Mbit/s, 5 ms", 6250000, 5000, 900},
        {"50 Mbit/s, 80 ms", 6250000, 80000, 850},   {"100 Mbit/s, 1 ms", 12500000, 1000, 900},
    };
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        link_begin(cases[i].rate, cases[i].base_us, 1000000, 0, i + 1);
        link_run(4000000, 0);
        link_run(12000000, 0);
        link_report(cases[i].name, 12000000);
        TEST_HINT("%s", cases[i].name);
        TEST_LESS(link.queue_worst_us, 20000);
        TEST_GREATER(link_used(12000000), cases[i].used_least);
        nn_recovery_reset(&link.recovery);
    }
}

TEST(test_congestion_is_not_throttled_by_5_percent_loss)
{
    link_begin(1250000, 40000, 1000000, 50000, 3);
    link_run(4000000, 0);
    link_run(8000000, 0);
    link_report("10 Mbit/s, 5 % loss", 8000000);
    TEST_LESS(link.queue_worst_us, 20000);
    TEST_GREATER(link_used(8000000), 800);
    nn_recovery_reset(&link.recovery);
}

TEST(test_congestion_yields_where_the_buffer_is_short)
{
    link_begin(1250000, 40000, 3000, 0, 4); /* 3 ms of queue: the target is never reached */
    link_run(4000000, 0);
    link_run(8000000, 0);
    link_report("10 Mbit/s, 3 ms of buffer", 8000000);
    TEST_LESS(link.dropped * 10, link.sent);
    TEST_GREATER(link_used(8000000), 750);
    nn_recovery_reset(&link.recovery);
}

TEST(test_congestion_adapts_when_the_path_grows_longer)
{
    link_begin(1250000, 20000, 1000000, 0, 5);
    link_run(4000000, 0);
    link.base_us = 120000;
    link_run(6000000, 0);
    link_run(6000000, 0);
    link_report("20 ms, then 120 ms", 6000000);
    TEST_GREATER(link_used(6000000), 580);
    TEST_LESS(link.queue_worst_us, 30000);
    nn_recovery_reset(&link.recovery);
}

TEST(test_congestion_survives_jitter_of_a_radio_link)
{
    link_begin(2500000, 20000, 1000000, 10000, 6);
    link.noise_us = 0;
    link_run(3000000, 0);
    link.noise_us = 4000; /* delays, in order as the link is a queue */
    link_run(6000000, 0);
    link_report("20 Mbit/s, 4 ms of noise", 6000000);
    TEST_GREATER(link_used(6000000), 700);
    TEST_LESS(link.queue_worst_us, 20000);
    nn_recovery_reset(&link.recovery);
}

TEST(test_congestion_does_not_limit_an_application_that_sends_little)
{
    link_begin(1250000, 40000, 1000000, 0, 7);
    link_run(10000000, 60000);
    TEST_GREATER(link.delivered_bytes, 588000);
    TEST_EQUAL(link.congestion.window_bytes, NN_CONGESTION_WINDOW_BYTES_FIRST);
    nn_recovery_reset(&link.recovery);
}

TEST(test_congestion_window_grows_to_megabytes_where_nothing_holds_it)
{
    link_begin(UINT64_C(2000000000), 200, 1000000, 0, 8);
    for (int i = 0; i < 2000; i++) {
        link.now_us += 100;
        link_arrivals();
        if (nn_recovery_deadline_us(&link.recovery) <= link.now_us) {
            (void)nn_recovery_on_deadline(&link.recovery, link.now_us, link_ignore, NULL);
        }
        uint64_t batch = 0;
        while (nn_congestion_budget(&link.congestion, link.now_us) && batch++ < 3000) {
            if (nn_recovery_reserve(&link.recovery) != NECPNET_OK) break;
            link_send_one();
        }
    }
    TEST_GREATER(link.congestion.window_bytes, 2u << 20);
    TEST_CHECK(link.congestion.slow_start);
    nn_recovery_reset(&link.recovery);
}

TEST(test_congestion_limit_caps_the_rate_exactly)
{
    static const uint32_t limits[] = {1000, 20000, 333333, 5000000};
    for (size_t i = 0; i < NN_COUNT(limits); i++) {
        link_begin(12500000, 10000, 1000000, 0, 9);
        nn_limit_set(&link.congestion.limit, limits[i]);
        link_run(2000000, 0);
        link_run(10000000, 0);
        double rate = (double)link.sent * LINK_PACKET / 10.0;
        TEST_HINT("limit %u", limits[i]);
        TEST_NEAR(rate, (double)limits[i], limits[i] * 0.03 + 300);
        nn_recovery_reset(&link.recovery);
    }
}

TEST(test_congestion_never_goes_below_its_least_bandwidth)
{
    link_begin(12500000, 100000, 1000000, 400000, 10); /* 40 % loss */
    link_run(10000000, 0);
    link_run(10000000, 0);
    link_report("40 % loss", 10000000);
    TEST_GREATER(link.sent * LINK_PACKET / 10, NN_CONGESTION_BANDWIDTH_MIN * 9 / 10);
    nn_recovery_reset(&link.recovery);
}

TEST(test_congestion_pacer_gives_a_game_s_frame_at_once_and_saves_up_no_burst)
{
    nn_congestion congestion;
    nn_congestion_init(&congestion, NN_CONGESTION_UNLIMITED, 1000000);
    congestion.window_bytes = 1u << 20;
    congestion.rtt_us = 100000; /* 20 MB a second in slow start */
    TEST_AT_LEAST(nn_congestion_budget(&congestion, 1000000), 12000);
    nn_congestion_on_sent(&congestion, 12000, true, 1000000);
    TEST_AT_LEAST(nn_congestion_budget(&congestion, 1016000), 300000);
    TEST_AT_MOST(nn_congestion_budget(&congestion, 1016000), 340000);
    TEST_AT_MOST(nn_congestion_budget(&congestion, 1040000), 2400); /* not used: it has run off */
    TEST_AT_LEAST(nn_congestion_budget(&congestion, 1056000), 300000);
    TEST_AT_MOST(nn_congestion_budget(&congestion, 1080000), 2400);
    for (uint64_t now = 1080000; now < 1120000; now += 50) TEST_AT_MOST(nn_congestion_budget(&congestion, now), 3600);
}

TEST(test_congestion_acknowledgements_do_not_hold_up_data)
{
    nn_congestion congestion;
    nn_congestion_init(&congestion, NN_CONGESTION_UNLIMITED, 1000000);
    for (uint64_t i = 0; i < 10000; i++) nn_congestion_on_sent(&congestion, 33, false, 1000000 + i);
    TEST_AT_LEAST(nn_congestion_budget(&congestion, 1010000), 1200);
    nn_limit_set(&congestion.limit, 20000); /* a limit counts them, but owes a quarter of a second at most */
    for (uint64_t i = 0; i < 10000; i++) nn_congestion_on_sent(&congestion, 33, false, 1010000 + i);
    TEST_EQUAL(nn_congestion_budget(&congestion, 1200000), 0);
    TEST_AT_LEAST(nn_congestion_budget(&congestion, 1300000), 1200);
}

TEST(test_congestion_deadline_says_when_the_budget_returns)
{
    nn_congestion congestion;
    nn_congestion_init(&congestion, 10000, 1000000);
    uint64_t now = 1000000;
    while (nn_congestion_budget(&congestion, now)) nn_congestion_on_sent(&congestion, 1200, false, now);
    for (int i = 0; i < 50; i++) {
        uint64_t deadline = nn_congestion_deadline_us(&congestion, now);
        TEST_GREATER(deadline, now);
        TEST_LESS(deadline, now + 200000);
        TEST_EQUAL(nn_congestion_budget(&congestion, deadline - 101), 0);
        TEST_AT_LEAST(nn_congestion_budget(&congestion, deadline), 1200);
        now = deadline;
        nn_congestion_on_sent(&congestion, 1200, false, now);
    }
    TEST_NEAR((double)(now - 1000000), 50 * 120000.0, 200000);
    nn_congestion_init(&congestion, NN_CONGESTION_UNLIMITED, 0);
    nn_congestion_on_sent(&congestion, NN_CONGESTION_WINDOW_BYTES_FIRST, true, 0);
    TEST_EQUAL(nn_congestion_budget(&congestion, 60000000), 0);
    TEST_EQUAL(nn_congestion_deadline_us(&congestion, 60000000), NN_NEVER); /* only an ACK helps */
    nn_congestion_on_acked(&congestion, 1200, 60000000);
    TEST_AT_LEAST(nn_congestion_budget(&congestion, 60000000), 1200);
}

TEST_MAIN
