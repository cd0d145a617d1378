/* test_voice_jitter - aim: packets that come late, twice, out of order, or never, from a clock that runs otherwise, become
 * a steady stream with the least delay that holds. Method: a codec that writes the number of a packet into each of its
 * samples; ways of known jitter and loss; the samples that come out are counted by what made them. */
#include "nn_voice_jitter.h"
#include "test.h"

#define MADE_UP (-1.0f)
#define RECOVERED 0.25f /* added to the number */

static size_t fake_bytes(unsigned channels)
{
    (void)channels;
    return 1;
}

static bool fake_begin(void* decoder, unsigned channels)
{
    (void)decoder;
    return channels == 1;
}

/* Two bytes of Opus's own, then the number. */
static bool fake_decode(void* decoder, const uint8_t* data, size_t bytes, bool fec, float* out, uint32_t units)
{
    (void)decoder;
    float value = MADE_UP;
    if (data) value = (float)(data[2] | data[3] << 8) + (fec ? RECOVERED - 1 : 0);
    if (data && bytes != 4) return false;
    for (uint32_t i = 0; i < units * 480; i++) out[i] = value;
    return true;
}

static const nn_voice_codec fake = {NN_VOICE_CODEC_OPUS, 6,          fake_bytes, NULL, NULL, NULL,
                                    fake_bytes,          fake_begin, fake_decode};

struct ear {
    struct necpnet_allocator allocator;
    nn_alloc alloc;
    nn_blocks blocks;
    nn_voice_jitter jitter;
    float pcm[960];
    uint64_t sound, silence; /* pieces pulled */
};

static void ear_begin(struct ear* ear)
{
    memset(ear, 0, sizeof *ear);
    ear->allocator = test_allocator();
    nn_alloc_init(&ear->alloc, &ear->allocator);
    nn_blocks_init(&ear->blocks, &ear->alloc);
    nn_voice_jitter_config config = {&ear->alloc, &ear->blocks, 10000, 240000};
    nn_voice_jitter_init(&ear->jitter, &config);
}

static void ear_end(struct ear* ear)
{
    nn_voice_jitter_reset(&ear->jitter);
    nn_blocks_reset(&ear->blocks);
}

/* Packet number n, of 20 ms from the 2 n-th unit on, with the one before in it. */
static void ear_add(struct ear* ear, uint32_t n, uint32_t pause_units, uint64_t now_us)
{
    uint8_t payload[4] = {9 << 3, 0x40, (uint8_t)n, (uint8_t)(n >> 8)};
    nn_voice_frame frame = {0, 0, 9, (uint8_t)n, (uint16_t)((n * 2 + pause_units) % NN_VOICE_TIMES), 1, payload, 4};
    TEST_OK(nn_voice_jitter_add(&ear->jitter, &fake, &frame, 2, now_us));
}

static void ear_pull(struct ear* ear, uint64_t now_us)
{
    if (nn_voice_jitter_pull(&ear->jitter, ear->pcm, now_us)) {
        ear->sound++;
    } else {
        ear->silence++;
    }
}

struct way {
    uint32_t jitter_us; /* uniform */
    uint32_t loss_percent;
    int32_t drift_ppm; /* of the sender's clock */
};

/* A talk of so many packets over a way; what comes out is counted. */
static void talk(struct ear* ear, const struct way* way, uint32_t packets, uint64_t seed)
{
    static uint64_t arrival[20000];
    struct test_random random = test_random_begin(seed);
    TEST_LESS(packets, 20000);
    for (uint32_t n = 0; n < packets; n++) {
        bool is_lost = n > 2 && test_random_below(&random, 100) < way->loss_percent;
        int64_t span_us = (int64_t)n * 20000;
        uint64_t sent_us = (uint64_t)(1000000 + span_us - span_us * way->drift_ppm / 1000000);
        arrival[n] = is_lost ? 0 : sent_us + 30000 + test_random_below(&random, way->jitter_us + 1);
    }
    uint64_t end_us = 1000000 + (uint64_t)packets * 20000;
    uint32_t first = 0;
    for (uint64_t now_us = 1000000; now_us < end_us; now_us += 1000) {
        while (first < packets && arrival[first] == 0) first++;
        for (uint32_t n = first; n < packets && n < first + 20; n++) {
            if (arrival[n] == 0 || arrival[n] > now_us) continue;
            ear_add(ear, n, 0, now_us);
            arrival[n] = 0;
        }
        if (now_us % 10000 == 0) ear_pull(ear, now_us);
    }
}

TEST(test_jitter_clean_way_is_played_whole_within_30_ms)
{
    struct ear ear;
    struct way way = {0, 0, 0};
    ear_begin(&ear);
    talk(&ear, &way, 500, 1);
    TEST_EQUAL(ear.jitter.counts.late, 0);
    TEST_EQUAL(ear.jitter.counts.lost, 0);
    TEST_EQUAL(ear.jitter.counts.concealed, 0);
    TEST_EQUAL(ear.jitter.target_us, 15000);
    TEST_AT_LEAST(ear.sound, 990); /* of 1,000: what was under way at the end */
    ear_end(&ear);
}

TEST(test_jitter_target_follows_the_way_and_little_comes_late)
{
    TEST_EACH_SEED (seed, 10) {
        struct ear ear;
        struct way way = {40000, 0, 0};
        ear_begin(&ear);
        talk(&ear, &way, 1500, seed);
        TEST_AT_LEAST(ear.jitter.target_us, 45000);
        TEST_AT_MOST(ear.jitter.target_us, 60000);
        TEST_AT_MOST(ear.jitter.counts.lost, 1); /* the last ones are under way */
        TEST_AT_MOST(ear.jitter.counts.late, 15);
        TEST_AT_MOST(ear.jitter.counts.concealed, 60); /* units of 3,000 */
        ear_end(&ear);
    }
}

TEST(test_jitter_lost_packets_come_from_the_next_one)
{
    TEST_EACH_SEED (seed, 10) {
        struct ear ear;
        struct way way = {0, 5, 0};
        ear_begin(&ear);
        talk(&ear, &way, 1500, seed);
        uint64_t lost = ear.jitter.counts.lost * 2; /* units */
        TEST_AT_LEAST(lost, 60);
        TEST_AT_LEAST(ear.jitter.counts.recovered * 100, lost * 75);
        TEST_AT_MOST(ear.jitter.counts.concealed * 100, lost * 30);
        ear_end(&ear);
    }
}

TEST(test_jitter_drifting_clocks_are_followed_both_ways)
{
    static const int32_t drifts[] = {-300, 300};
    for (int i = 0; i < 2; i++) {
        struct ear ear;
        struct way way = {5000, 0, drifts[i]};
        ear_begin(&ear);
        talk(&ear, &way, 15000, 3); /* 5 minutes: 90 ms apart at the end */
        uint64_t moved = drifts[i] < 0 ? ear.jitter.counts.lengthened : ear.jitter.counts.shortened;
        TEST_AT_LEAST(moved, 48 * 60); /* of 90 ms */
        TEST_AT_MOST(ear.jitter.counts.concealed, 30);
        TEST_AT_MOST(ear.jitter.counts.late, 10);
        ear_end(&ear);
    }
}

TEST(test_jitter_order_and_copies_do_not_matter)
{
    struct ear ear;
    float last = 0;
    ear_begin(&ear);
    for (uint32_t n = 0; n < 100; n += 2) {
        uint64_t now_us = 1000000 + (uint64_t)n * 20000;
        ear_add(&ear, n + 1, 0, now_us + 20000);
        ear_add(&ear, n, 0, now_us + 20000);
        ear_add(&ear, n, 0, now_us + 20000);
        for (int k = 0; k < 4; k++) {
            ear_pull(&ear, now_us + 20000 + (uint64_t)k * 10000);
            if (ear.sound) TEST_CHECK(ear.pcm[0] >= last || ear.pcm[0] < 0);
            if (ear.sound && ear.pcm[0] > 0) last = ear.pcm[0];
        }
    }
    TEST_EQUAL(ear.jitter.counts.duplicate, 50);
    TEST_EQUAL(ear.jitter.counts.lost, 0);
    TEST_CHECK(last > 90);
    ear_end(&ear);
}

TEST(test_jitter_a_pause_is_no_loss)
{
    struct ear ear;
    ear_begin(&ear);
    uint64_t now_us = 1000000;
    uint32_t pause = 0;
    for (uint32_t n = 0; n < 200; n++) {
        if (n % 50 == 49) { /* nothing is said for 700 ms, and that is told */
            nn_voice_frame end = {0, 0, 0, (uint8_t)n, (uint16_t)((n * 2 + pause) % NN_VOICE_TIMES), 1, NULL, 0};
            TEST_OK(nn_voice_jitter_add(&ear.jitter, ear.jitter.codec, &end, 0, now_us));
            for (int k = 0; k < 70; k++) ear_pull(&ear, now_us += 10000);
            pause += 68;
            continue;
        }
        ear_add(&ear, n, pause, now_us);
        ear_pull(&ear, now_us += 10000);
        ear_pull(&ear, now_us += 10000);
    }
    TEST_EQUAL(ear.jitter.counts.lost, 0);
    TEST_EQUAL(ear.jitter.counts.concealed, 0);
    TEST_EQUAL(ear.jitter.counts.late, 0);
    TEST_AT_LEAST(ear.jitter.counts.decoded, 2 * 190);
    TEST_GREATER(ear.silence, 4 * 55);
    ear_end(&ear);
}

TEST(test_jitter_a_burst_after_silence_of_the_network_is_not_thrown_away)
{
    struct ear ear;
    ear_begin(&ear);
    uint64_t now_us = 1000000;
    for (uint32_t n = 0; n < 100; n++) {
        ear_add(&ear, n, 0, now_us);
        ear_pull(&ear, now_us += 10000);
        ear_pull(&ear, now_us += 10000);
    }
    for (int k = 0; k < 12; k++) ear_pull(&ear, now_us += 10000); /* 120 ms of nothing */
    for (uint32_t n = 100; n < 106; n++) ear_add(&ear, n, 0, now_us);
    for (uint32_t n = 106; n < 200; n++) {
        ear_add(&ear, n, 0, now_us);
        ear_pull(&ear, now_us += 10000);
        ear_pull(&ear, now_us += 10000);
    }
    TEST_EQUAL(ear.jitter.counts.late, 0);
    TEST_EQUAL(ear.jitter.counts.lost, 0);
    TEST_AT_MOST(ear.jitter.counts.concealed, NN_VOICE_STALL_UNITS + 2);
    TEST_GREATER(ear.jitter.counts.shortened, 0);
    ear_end(&ear);
}

TEST(test_jitter_reports_loss_and_jitter_once)
{
    struct ear ear;
    struct way way = {0, 20, 0};
    uint8_t loss, jitter_ms;
    ear_begin(&ear);
    TEST_CHECK(!nn_voice_jitter_report(&ear.jitter, &loss, &jitter_ms));
    talk(&ear, &way, 1000, 5);
    TEST_CHECK(nn_voice_jitter_report(&ear.jitter, &loss, &jitter_ms));
    TEST_NEAR(loss, 51, 12);
    TEST_EQUAL(jitter_ms, 0);
    TEST_CHECK(!nn_voice_jitter_report(&ear.jitter, &loss, &jitter_ms));
    ear_end(&ear);
}

TEST(test_jitter_survives_random_packets_and_no_memory)
{
    TEST_EACH_SEED (seed, 100) {
        struct ear ear;
        struct test_random random = test_random_begin(seed);
        ear_begin(&ear);
        uint64_t now_us = 1000000;
        for (int i = 0; i < 2000; i++) {
            uint8_t payload[4] = {9 << 3, 0x40, 1, 0};
            nn_voice_frame frame;
            memset(&frame, 0, sizeof frame);
            frame.sequence = (uint8_t)test_random_below(&random, 256);
            frame.time = (uint16_t)test_random_below(&random, NN_VOICE_TIMES);
            frame.payload = payload;
            frame.bytes = test_random_below(&random, 8) ? 4 : 0;
            uint32_t units = frame.bytes ? 1 + (uint32_t)test_random_below(&random, 6) : 0;
            (void)nn_voice_jitter_add(&ear.jitter, frame.bytes ? &fake : ear.jitter.codec, &frame, units, now_us);
            if (test_random_below(&random, 3) == 0) ear_pull(&ear, now_us);
            now_us += test_random_below(&random, 100) ? test_random_below(&random, 30000) : 4000000;
            TEST_AT_MOST(ear.jitter.fifo_frames, NN_VOICE_FIFO_FRAMES);
        }
        ear_end(&ear);
    }
    TEST_EACH_ALLOCATION_FAILS {
        struct ear ear;
        ear_begin(&ear);
        for (uint32_t n = 0; n < 10; n++) {
            uint8_t payload[4] = {9 << 3, 0x40, (uint8_t)n, 0};
            nn_voice_frame frame = {0, 0, 9, (uint8_t)n, (uint16_t)(n * 2), 1, payload, 4};
            (void)nn_voice_jitter_add(&ear.jitter, &fake, &frame, 2, 1000000 + (uint64_t)n * 20000);
            ear_pull(&ear, 1000000 + (uint64_t)n * 20000);
        }
        ear_end(&ear);
    }
}

TEST(test_stretch_removes_and_adds_whole_periods_of_a_tone)
{
    float pcm[960 + 480], before[960];
    for (int longer = 0; longer < 2; longer++) {
        for (int i = 0; i < 960; i++) { /* 200 Hz, a triangle */
            int t = i % 240;
            before[i] = pcm[i] = t < 120 ? (float)t / 60.0f - 1.0f : 3.0f - (float)t / 60.0f;
        }
        size_t frames = nn_voice_stretch(pcm, 960, 1, longer != 0, false);
        TEST_CHECK(frames == (longer ? 1200u : 720u) || frames == (longer ? 1440u : 480u)); /* one or two periods */
        for (size_t i = 0; i < frames && i < 960; i++) TEST_NEAR(pcm[i], before[i % 240], 0.05);
    }
}

TEST(test_stretch_leaves_noise_unless_forced)
{
    struct test_random random = test_random_begin(4);
    float pcm[960 + 480];
    for (int i = 0; i < 960; i++) pcm[i] = (float)test_random_below(&random, 2000) / 1000.0f - 1.0f;
    TEST_EQUAL(nn_voice_stretch(pcm, 960, 1, false, false), 960);
    TEST_LESS(nn_voice_stretch(pcm, 960, 1, false, true), 960);
}

TEST_MAIN
