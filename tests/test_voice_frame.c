/* test_voice_frame - aim: VOICE frames cost what PROTOCOL.md says and survive the way there; nothing but Opus passes for
 * Opus. Method: round trips over all fields, real packets of libopus where it is built, cut and random bytes. */
#include "nn_voice_codec.h"
#include "nn_voice_frame.h"
#include "test.h"

static bool read_back(const uint8_t* data, size_t bytes, nn_voice_frame* out)
{
    nn_reader reader = nn_reader_of(data, bytes);
    uint8_t type = nn_read_u8(&reader);
    return nn_voice_is_frame(type) && nn_voice_read(type, &reader, out) && nn_reader_left(&reader) == 0;
}

TEST(test_voice_frame_costs_four_to_five_bytes_over_type_and_length)
{
    uint8_t bytes[1100];
    uint8_t payload[60];
    memset(payload, 1, sizeof payload);
    static const struct {
        uint32_t number;
        size_t bytes;
    } rows[] = {{0, 6}, {63, 6}, {64, 7}, {16383, 7}, {16384, 9}};
    for (size_t i = 0; i < NN_COUNT(rows); i++) {
        nn_voice_frame frame = {0, 0, 5, 9, 77, rows[i].number, payload, sizeof payload};
        nn_writer writer = nn_writer_of(bytes, sizeof bytes);
        nn_voice_write(&writer, &frame);
        TEST_EQUAL(nn_writer_bytes(&writer), rows[i].bytes + sizeof payload);
    }
}

TEST(test_voice_frame_reads_what_was_written_and_nothing_shorter)
{
    TEST_EACH_SEED (seed, 50) {
        struct test_random random = test_random_begin(seed);
        uint8_t payload[NECPNET_VOICE_PAYLOAD_BYTES_MAX], bytes[1100];
        test_random_bytes(&random, payload, sizeof payload);
        nn_voice_frame frame, again;
        frame.kind = (uint8_t)test_random_below(&random, 3);
        frame.codec = (uint8_t)test_random_below(&random, 3);
        frame.level = (uint8_t)test_random_below(&random, 16);
        frame.sequence = (uint8_t)test_random_below(&random, 256);
        frame.time = (uint16_t)test_random_below(&random, NN_VOICE_TIMES);
        frame.number = (uint32_t)test_random_below(&random, (uint64_t)NN_VOICE_NUMBER_MAX + 1);
        frame.payload = payload;
        frame.bytes = (size_t)test_random_below(&random, sizeof payload + 1);
        nn_writer writer = nn_writer_of(bytes, sizeof bytes);
        nn_voice_write(&writer, &frame);
        TEST_CHECK(!writer.failed);
        size_t length = nn_writer_bytes(&writer);
        TEST_CHECK(read_back(bytes, length, &again));
        TEST_EQUAL(again.kind, frame.kind);
        TEST_EQUAL(again.codec, frame.codec);
        TEST_EQUAL(again.level, frame.level);
        TEST_EQUAL(again.sequence, frame.sequence);
        TEST_EQUAL(again.time, frame.time);
        TEST_EQUAL(again.number, frame.number);
        TEST_EQUAL(again.bytes, frame.bytes);
        TEST_EQUAL_BYTES(again.payload, payload, frame.bytes);
        for (size_t cut = 1; cut < length; cut += 1 + cut / 8) TEST_CHECK(!read_back(bytes, cut, &again));
    }
}

TEST(test_voice_frame_refuses_kinds_and_codecs_that_are_not)
{
    uint8_t bytes[] = {0x3d, 0, 0, 0, 0, 0}, codec[] = {0x30, 0, 0, 0, 0, 0xc0};
    nn_voice_frame frame;
    TEST_CHECK(!nn_voice_is_frame(0x3d));
    TEST_CHECK(!nn_voice_is_frame(0x2f));
    TEST_CHECK(!read_back(bytes, sizeof bytes, &frame));
    TEST_CHECK(!read_back(codec, sizeof codec, &frame));
}

TEST(test_voice_report_round_trip_and_bounds)
{
    nn_voice_report rows[NN_VOICE_REPORT_ROWS_MAX], again[NN_VOICE_REPORT_ROWS_MAX];
    uint8_t bytes[NN_VOICE_REPORT_BYTES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < NN_VOICE_REPORT_ROWS_MAX; i++) {
        rows[i].number = i * 100000u;
        rows[i].loss = (uint8_t)(i * 8);
        rows[i].jitter_ms = (uint8_t)i;
    }
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_voice_write_reports(&writer, rows, NN_VOICE_REPORT_ROWS_MAX);
    TEST_CHECK(!writer.failed);
    nn_reader reader = nn_reader_of(bytes + 1, nn_writer_bytes(&writer) - 1);
    TEST_CHECK(nn_voice_read_reports(&reader, again, &count));
    TEST_EQUAL(count, NN_VOICE_REPORT_ROWS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        TEST_EQUAL(again[i].number, rows[i].number);
        TEST_EQUAL(again[i].loss, rows[i].loss);
        TEST_EQUAL(again[i].jitter_ms, rows[i].jitter_ms);
    }
    static const uint8_t none[] = {0}, many[] = {33}, cut[] = {2, 1, 2, 3, 4};
    const struct nn_span {
        const uint8_t* data;
        size_t bytes;
    } bad[] = {{none, 1}, {many, 1}, {cut, 5}};
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        reader = nn_reader_of(bad[i].data, bad[i].bytes);
        TEST_CHECK(!nn_voice_read_reports(&reader, again, &count));
    }
}

TEST(test_opus_packets_of_each_form_are_measured)
{
    nn_opus_facts facts;
    static const uint8_t one[] = {9 << 3, 0xff, 1}, two_equal[] = {9 << 3 | 1, 1, 2}, odd[] = {9 << 3 | 1, 1, 2, 3};
    static const uint8_t two[] = {1 << 3 | 2, 1, 9, 9}, two_short[] = {1 << 3 | 2, 9, 9};
    static const uint8_t three[] = {30 << 3 | 3, 3, 1, 2, 3}, none[] = {30 << 3 | 3, 0},
                         long_one[] = {3 << 3 | 3, 3, 1, 2, 3};
    static const uint8_t padded[] = {31 << 3 | 3, 0x41, 2, 7, 0, 0}, padded_short[] = {31 << 3 | 3, 0x41, 5, 7, 0, 0};
    static const uint8_t vbr[] = {31 << 3 | 3, 0x82, 1, 7, 8}, celt[] = {16 << 3, 1};
    TEST_CHECK(nn_opus_read(one, sizeof one, &facts));
    TEST_EQUAL(facts.samples, 960);
    TEST_CHECK(facts.has_fec && !facts.is_stereo);
    TEST_CHECK(nn_opus_read(two_equal, sizeof two_equal, &facts));
    TEST_EQUAL(facts.samples, 1920);
    TEST_CHECK(!nn_opus_read(odd, sizeof odd, &facts));
    TEST_CHECK(nn_opus_read(two, sizeof two, &facts));
    TEST_EQUAL(facts.frames, 2);
    TEST_CHECK(!nn_opus_read(two_short, sizeof two_short, &facts));
    TEST_CHECK(nn_opus_read(three, sizeof three, &facts));
    TEST_EQUAL(facts.samples, 3 * 480);
    TEST_CHECK(!nn_opus_read(none, sizeof none, &facts));
    TEST_CHECK(!nn_opus_read(long_one, sizeof long_one, &facts)); /* 180 ms */
    TEST_CHECK(nn_opus_read(padded, sizeof padded, &facts));
    TEST_CHECK(!nn_opus_read(padded_short, sizeof padded_short, &facts));
    TEST_CHECK(nn_opus_read(vbr, sizeof vbr, &facts));
    TEST_CHECK(nn_opus_read(celt, sizeof celt, &facts));
    TEST_EQUAL(facts.samples, 120);
    TEST_EQUAL(nn_voice_units(NN_VOICE_CODEC_OPUS, celt, sizeof celt), 0); /* 2.5 ms: no unit */
    TEST_EQUAL(nn_voice_units(NN_VOICE_CODEC_OPUS, one, sizeof one), 2);
    TEST_CHECK(!nn_opus_read(one, 0, &facts));
}

TEST(test_opus_random_bytes_never_play_longer_than_120_ms)
{
    TEST_EACH_SEED (seed, 2000) {
        struct test_random random = test_random_begin(seed);
        uint8_t bytes[64];
        nn_opus_facts facts;
        size_t count = (size_t)test_random_below(&random, sizeof bytes + 1);
        test_random_bytes(&random, bytes, sizeof bytes);
        if (nn_opus_read(bytes, count, &facts)) TEST_AT_MOST(facts.samples, 5760);
    }
}

/* A tone that wavers, so that the encoder takes it for a voice. */
static void sing(float* pcm, size_t samples, size_t from)
{
    for (size_t i = 0; i < samples; i++) {
        size_t t = (from + i) % 480;
        float saw = (float)t / 480.0f - 0.5f;
        float syllable = (float)((from + i) % 12000) / 12000.0f;
        pcm[i] = saw * syllable * 0.6f;
    }
}

TEST(test_opus_packets_of_the_library_are_what_they_say)
{
    const nn_voice_codec* codec = nn_voice_codec_opus();
    if (!codec) TEST_SKIP("built without Opus");
    static uint64_t encoder[10000], decoder[10000];
    static float pcm[6 * 480], out[6 * 480];
    static const uint32_t lengths[] = {1, 2, 4, 6};
    TEST_AT_MOST(codec->encoder_bytes(1), sizeof encoder);
    TEST_AT_MOST(codec->decoder_bytes(1), sizeof decoder);
    for (size_t k = 0; k < NN_COUNT(lengths); k++) {
        bool has_fec = false;
        TEST_CHECK(codec->encoder_begin(encoder, 1, false));
        TEST_CHECK(codec->decoder_begin(decoder, 1));
        nn_voice_settings settings = {24000, lengths[k], 5, 20, true};
        codec->encoder_set(encoder, &settings);
        for (size_t n = 0; n < 40; n++) {
            uint8_t packet[1000];
            nn_opus_facts facts;
            sing(pcm, lengths[k] * 480, n * lengths[k] * 480);
            size_t bytes = codec->encode(encoder, pcm, lengths[k], packet, sizeof packet);
            TEST_GREATER(bytes, 0);
            TEST_CHECK(nn_opus_read(packet, bytes, &facts));
            TEST_EQUAL(facts.samples, lengths[k] * 480);
            TEST_EQUAL(nn_voice_units(NN_VOICE_CODEC_OPUS, packet, bytes), lengths[k]);
            has_fec = has_fec || facts.has_fec;
            TEST_CHECK(codec->decode(decoder, packet, bytes, false, out, lengths[k]));
            TEST_CHECK(codec->decode(decoder, NULL, 0, false, out, 1));
        }
        if (lengths[k] >= 2) TEST_CHECK(has_fec);
    }
}

TEST(test_pcm_codec_gives_back_what_it_took)
{
    const nn_voice_codec* codec = nn_voice_codec_pcm();
    uint64_t encoder[1], decoder[2];
    float pcm[480], out[480];
    uint8_t packet[960];
    sing(pcm, 480, 3000);
    TEST_CHECK(codec->encoder_begin(encoder, 1, false));
    TEST_CHECK(!codec->encoder_begin(encoder, 2, false));
    TEST_CHECK(codec->decoder_begin(decoder, 1));
    TEST_EQUAL(codec->encode(encoder, pcm, 1, packet, sizeof packet), 960);
    TEST_EQUAL(codec->encode(encoder, pcm, 2, packet, sizeof packet), 0);
    TEST_CHECK(codec->decode(decoder, packet, 960, false, out, 1));
    for (int i = 0; i < 480; i++) TEST_NEAR(out[i], pcm[i], 1.0 / 32000);
    TEST_CHECK(!codec->decode(decoder, packet, 958, false, out, 1));
    TEST_CHECK(codec->decode(decoder, NULL, 0, false, out, 1));
    TEST_NEAR(out[479], 0, 0.001);
}

TEST_MAIN
