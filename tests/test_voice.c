/* test_voice - aim: one player's voice from microphone to another's loudspeaker: gate, packets, sealing, mix, settings that
 * follow reports. Method: two voices, frames handed over by the test in place of a network; raw samples as the codec
 * where the sound itself is looked at, so that it runs without Opus, too. */
#include "nn_voice.h"
#include "test.h"

#include <math.h>

struct pair {
    struct necpnet_allocator allocator;
    necpnet_voice_config config;
    necpnet_voice* speaker;
    necpnet_voice* listener;
    uint64_t now_us;
    float phase;
    uint32_t frames; /* VOICE frames carried */
    uint32_t frame_bytes;
    uint32_t drop_every; /* 0 none */
    bool spoil;          /* one bit of each payload */
    float peak_left, peak_right;
    double energy;
};

static void member(necpnet_voice* voice, uint32_t group, uint8_t kind, uint8_t flags)
{
    uint8_t bytes[14];
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_write_u32(&writer, group);
    nn_write_u8(&writer, kind);
    nn_write_u8(&writer, flags);
    nn_write_u64(&writer, 0);
    TEST_CHECK(nn_voice_take_control(voice, NN_CONTROL_VOICE_GROUP, bytes, sizeof bytes));
}

static void name_stream(necpnet_voice* voice, uint32_t number, uint8_t stream, uint64_t user)
{
    uint8_t bytes[13];
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_write_u32(&writer, number);
    nn_write_u8(&writer, stream);
    nn_write_u64(&writer, user);
    TEST_CHECK(nn_voice_take_control(voice, NN_CONTROL_VOICE_STREAM, bytes, sizeof bytes));
}

static void pair_begin(struct pair* pair)
{
    memset(pair, 0, sizeof *pair);
    pair->allocator = test_allocator();
    pair->now_us = 5000000;
    TEST_OK(necpnet_voice_config_default(&pair->config));
    pair->config.allocator = pair->allocator;
    pair->config.codec = NECPNET_VOICE_PCM;
    pair->config.frame_ms = 10;
    pair->config.activation = NECPNET_VOICE_ALWAYS;
}

static void pair_open(struct pair* pair)
{
    TEST_OK(necpnet_voice_create(&pair->config, &pair->speaker));
    TEST_OK(necpnet_voice_create(&pair->config, &pair->listener));
    nn_voice_connected(pair->speaker, false, pair->now_us);
    nn_voice_connected(pair->listener, false, pair->now_us);
    member(pair->speaker, 7, NECPNET_VOICE_CHANNEL, NN_VOICE_MEMBER);
    name_stream(pair->listener, 900, 0, 4711);
}

static void pair_end(struct pair* pair)
{
    necpnet_voice_destroy(pair->speaker);
    necpnet_voice_destroy(pair->listener);
}

/* What the server would do: the group's number becomes the stream's. */
static void carry(struct pair* pair, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    while (nn_reader_left(&reader)) {
        nn_voice_frame frame;
        uint8_t out[1100];
        uint8_t type = nn_read_u8(&reader);
        TEST_CHECK(nn_voice_read(type, &reader, &frame));
        TEST_EQUAL(frame.number >> 2, 7);
        pair->frames++;
        pair->frame_bytes += (uint32_t)frame.bytes;
        if (pair->drop_every && pair->frames % pair->drop_every == 0) continue;
        frame.number = 900 + (frame.number & 3);
        nn_writer writer = nn_writer_of(out, sizeof out);
        nn_voice_write(&writer, &frame);
        if (pair->spoil) out[nn_writer_bytes(&writer) - 1] ^= 4;
        nn_reader again = nn_reader_of(out + 1, nn_writer_bytes(&writer) - 1);
        TEST_CHECK(nn_voice_read_frame(pair->listener, out[0], &again, pair->now_us));
    }
}

/* 10 ms of a tone of that loudness said, carried and heard. */
static void pair_step(struct pair* pair, float loudness)
{
    float in[960], out[1920];
    size_t frames = pair->config.input_hz / 100, heard = pair->config.output_hz / 100;
    uint8_t packet[1200];
    for (size_t i = 0; i < frames; i++) {
        in[i] = loudness * sinf(pair->phase);
        pair->phase += 2 * 3.14159265f * 440 / (float)pair->config.input_hz;
    }
    TEST_OK(necpnet_voice_push(pair->speaker, 0, in, frames, pair->now_us));
    while (nn_voice_ready(pair->speaker, pair->now_us)) {
        nn_writer writer = nn_writer_of(packet, sizeof packet);
        if (!nn_voice_write_frames(pair->speaker, &writer, pair->now_us)) break;
        carry(pair, packet, nn_writer_bytes(&writer));
    }
    TEST_OK(necpnet_voice_pull(pair->listener, out, heard, pair->now_us));
    uint32_t channels = pair->config.output_channels;
    pair->peak_left = pair->peak_right = 0;
    for (size_t i = 0; i < heard; i++) {
        float left = fabsf(out[i * channels]), right = fabsf(out[i * channels + channels - 1]);
        if (left > pair->peak_left) pair->peak_left = left;
        if (right > pair->peak_right) pair->peak_right = right;
        pair->energy += (double)left * (double)left;
    }
    pair->now_us += 10000;
}

static void pair_run(struct pair* pair, uint32_t steps, float loudness)
{
    for (uint32_t i = 0; i < steps; i++) pair_step(pair, loudness);
}

static uint32_t count_events(necpnet_voice* voice, necpnet_voice_event_type type)
{
    necpnet_voice_event event;
    uint32_t count = 0;
    while (necpnet_voice_poll(voice, &event)) count += event.type == type ? 1u : 0u;
    return count;
}

TEST(test_voice_of_one_is_heard_by_the_other_as_loud_as_it_was)
{
    struct pair pair;
    necpnet_voice_event event;
    pair_begin(&pair);
    pair_open(&pair);
    pair_run(&pair, 50, 0.5f);
    TEST_NEAR(pair.peak_left, 0.5, 0.01);
    TEST_NEAR(pair.peak_right, 0.5, 0.01);
    bool speaking = false;
    while (necpnet_voice_poll(pair.listener, &event)) {
        if (event.type != NECPNET_VOICE_EVENT_SPEAKING) continue;
        speaking = true;
        TEST_EQUAL(event.user, 4711);
    }
    TEST_CHECK(speaking);
    TEST_OK(necpnet_voice_set_muted(pair.speaker, true));
    pair_run(&pair, 60, 0.5f);
    TEST_NEAR(pair.peak_left, 0, 1e-6);
    TEST_EQUAL(count_events(pair.listener, NECPNET_VOICE_EVENT_SILENT), 1);
    necpnet_voice_statistics statistics;
    TEST_OK(necpnet_voice_get_statistics(pair.listener, &statistics));
    TEST_EQUAL(statistics.packets_lost, 0);
    TEST_EQUAL(statistics.packets_refused, 0);
    TEST_EQUAL(statistics.units_concealed, 0);
    pair_end(&pair);
}

TEST(test_voice_volume_and_place_are_what_they_say)
{
    struct pair pair;
    static const float right[] = {1, 0, 0}, here[] = {0, 0, 0}, beside[] = {2, 0, 0}, away[] = {0, 0, 21},
                       gone[] = {0, 0, 50};
    pair_begin(&pair);
    pair_open(&pair);
    TEST_OK(necpnet_voice_set_user_volume(pair.listener, 4711, 0.5f));
    pair_run(&pair, 50, 0.5f);
    TEST_NEAR(pair.peak_left, 0.25, 0.01);
    TEST_OK(necpnet_voice_set_user_volume(pair.listener, 4711, 1));
    TEST_OK(necpnet_voice_set_listener(pair.listener, here, right));
    TEST_OK(necpnet_voice_set_user_position(pair.listener, 4711, away));
    pair_run(&pair, 20, 0.5f);
    TEST_NEAR(pair.peak_left, 0.5, 0.01); /* a channel has no places */
    member(pair.speaker, 7, NECPNET_VOICE_PROXIMITY, NN_VOICE_MEMBER);
    pair_run(&pair, 20, 0.5f);
    TEST_NEAR(pair.peak_left, 0.5 * 0.25, 0.01); /* half of the way is left */
    TEST_NEAR(pair.peak_right, 0.5 * 0.25, 0.01);
    TEST_OK(necpnet_voice_set_user_position(pair.listener, 4711, beside));
    pair_run(&pair, 20, 0.5f);
    TEST_NEAR(pair.peak_left, 0, 0.01);
    TEST_NEAR(pair.peak_right, 0.5 * 1.414, 0.02);
    TEST_OK(necpnet_voice_set_user_position(pair.listener, 4711, gone));
    pair_run(&pair, 20, 0.5f);
    TEST_NEAR(pair.peak_right, 0, 1e-6);
    TEST_EQUAL(necpnet_voice_set_user_volume(pair.listener, 1, 5), NECPNET_ERR_INVALID_ARGUMENT);
    pair_end(&pair);
}

TEST(test_voice_push_to_talk_goes_on_for_the_hangover)
{
    struct pair pair;
    pair_begin(&pair);
    pair.config.activation = NECPNET_VOICE_PUSH_TO_TALK;
    pair.config.hangover_ms = 200;
    pair_open(&pair);
    pair_run(&pair, 50, 0.5f);
    TEST_EQUAL(pair.frames, 0);
    TEST_OK(necpnet_voice_set_talking(pair.speaker, true));
    pair_run(&pair, 50, 0.5f);
    TEST_EQUAL(pair.frames, 50);
    TEST_OK(necpnet_voice_set_talking(pair.speaker, false));
    pair_run(&pair, 100, 0.5f);
    TEST_EQUAL(pair.frames, 50 + 20 + 1); /* and the word that it is over */
    TEST_EQUAL(count_events(pair.speaker, NECPNET_VOICE_EVENT_QUIET), 1);
    pair_end(&pair);
}

TEST(test_voice_activity_opens_for_speech_and_closes_for_the_room)
{
    struct pair pair;
    pair_begin(&pair);
    pair.config.activation = NECPNET_VOICE_ACTIVITY;
    pair.config.hangover_ms = 300;
    pair_open(&pair);
    pair_run(&pair, 300, 0.0005f); /* a quiet room */
    TEST_EQUAL(pair.frames, 0);
    pair_run(&pair, 100, 0.2f);
    TEST_EQUAL(pair.frames, 100);
    pair_run(&pair, 200, 0.0005f);
    TEST_EQUAL(pair.frames, 100 + 30 + 1);
    pair_end(&pair);
}

TEST(test_voice_loopback_is_heard_here_and_nowhere_else)
{
    struct pair pair;
    float in[480], out[960], peak = 0;
    pair_begin(&pair);
    pair_open(&pair);
    TEST_OK(necpnet_voice_set_loopback(pair.speaker, true));
    for (int i = 0; i < 480; i++) in[i] = 0.3f;
    for (int n = 0; n < 20; n++) {
        TEST_OK(necpnet_voice_push(pair.speaker, 0, in, 480, pair.now_us));
        TEST_CHECK(!nn_voice_ready(pair.speaker, pair.now_us));
        TEST_OK(necpnet_voice_pull(pair.speaker, out, 480, pair.now_us));
        pair.now_us += 10000;
        peak = out[100];
    }
    TEST_NEAR(peak, 0.3, 0.01);
    pair_end(&pair);
}

TEST(test_voice_limiter_holds_many_loud_ones_together)
{
    float sum[960], gain = 1, pcm[480];
    nn_voice_gain at = {1, 1};
    for (int i = 0; i < 480; i++) pcm[i] = i % 2 ? 0.9f : -0.9f;
    memset(sum, 0, sizeof sum);
    for (int k = 0; k < 5; k++) nn_voice_mix_add(sum, pcm, 1, &at, at);
    nn_voice_limit(sum, &gain);
    for (int i = 0; i < 960; i++) TEST_CHECK(sum[i] <= 1.0f && sum[i] >= -1.0f);
    TEST_CHECK(gain < 0.3f);
}

TEST(test_voice_rates_of_8_to_96_kHz_come_through)
{
    if (!nn_resample_is_built()) TEST_SKIP("built without speexdsp");
    static const uint32_t rates[] = {8000, 16000, 44100, 96000};
    for (size_t i = 0; i < NN_COUNT(rates); i++) {
        struct pair pair;
        pair_begin(&pair);
        pair.config.input_hz = rates[i];
        pair.config.output_hz = rates[NN_COUNT(rates) - 1 - i];
        pair.config.output_channels = 1 + (uint32_t)(i & 1);
        pair_open(&pair);
        pair_run(&pair, 50, 0.5f);
        TEST_NEAR(pair.peak_left, 0.5, 0.06);
        pair_end(&pair);
    }
}

TEST(test_voice_sealed_is_opened_by_the_key_alone)
{
    struct pair pair;
    uint8_t key[NECPNET_VOICE_KEY_BYTES], other[NECPNET_VOICE_KEY_BYTES];
    memset(key, 3, sizeof key);
    memset(other, 4, sizeof other);
    pair_begin(&pair);
    pair_open(&pair);
    necpnet_result result = necpnet_voice_set_key(pair.speaker, 1, key);
    if (result == NECPNET_ERR_UNSUPPORTED) {
        pair_end(&pair);
        TEST_SKIP("built without a crypto library");
    }
    TEST_OK(result);
    pair_run(&pair, 50, 0.5f);
    TEST_NEAR(pair.peak_left, 0, 1e-6);
    TEST_EQUAL(count_events(pair.listener, NECPNET_VOICE_EVENT_KEY_MISSING), 1);
    TEST_OK(necpnet_voice_set_key(pair.listener, 1, other)); /* the wrong one */
    pair_run(&pair, 50, 0.5f);
    TEST_NEAR(pair.peak_left, 0, 1e-6);
    TEST_OK(necpnet_voice_set_key(pair.listener, 1, key));
    pair_run(&pair, 50, 0.5f);
    TEST_NEAR(pair.peak_left, 0.5, 0.01);
    pair.spoil = true;
    pair_run(&pair, 50, 0.5f);
    TEST_NEAR(pair.peak_left, 0, 0.01);
    pair.spoil = false;
    memset(key, 9, sizeof key);
    TEST_OK(necpnet_voice_set_key(pair.listener, 2, key)); /* the next one, the listener first */
    pair_run(&pair, 30, 0.5f);
    TEST_NEAR(pair.peak_left, 0.5, 0.01);
    TEST_OK(necpnet_voice_set_key(pair.speaker, 2, key));
    pair_run(&pair, 50, 0.5f);
    TEST_NEAR(pair.peak_left, 0.5, 0.01);
    TEST_EQUAL(necpnet_voice_set_key(pair.speaker, 0, key), NECPNET_ERR_INVALID_ARGUMENT);
    pair_end(&pair);
}

TEST(test_voice_sealed_packet_is_opened_once)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_voice_keys speaker, listener;
    nn_voice_opener opener;
    uint8_t key[NECPNET_VOICE_KEY_BYTES] = {5}, sealed[200], copy[200];
    const uint8_t* plain;
    size_t bytes;
    uint32_t key_id;
    bool missing;
    nn_alloc_init(&alloc, &allocator);
    nn_voice_keys_init(&speaker, &alloc);
    nn_voice_keys_init(&listener, &alloc);
    memset(&opener, 0, sizeof opener);
    necpnet_result result = nn_voice_keys_set(&speaker, NULL, 9, key);
    if (result == NECPNET_ERR_UNSUPPORTED) TEST_SKIP("built without a crypto library");
    TEST_OK(result);
    TEST_OK(nn_voice_keys_set(&listener, NULL, 9, key));
    size_t sealed_bytes = nn_voice_seal(&speaker, 0x1234, (const uint8_t*)"hello", 5, sealed);
    TEST_EQUAL(sealed_bytes, 5 + 1 + 8 + 1 + 16);
    memcpy(copy, sealed, sealed_bytes);
    TEST_CHECK(!nn_voice_open(&listener, &opener, 0x1235, copy, sealed_bytes, &plain, &bytes, &key_id, &missing));
    TEST_CHECK(!missing);
    memcpy(copy, sealed, sealed_bytes);
    TEST_CHECK(nn_voice_open(&listener, &opener, 0x1234, copy, sealed_bytes, &plain, &bytes, &key_id, &missing));
    TEST_EQUAL(bytes, 5);
    TEST_EQUAL_BYTES(plain, "hello", 5);
    TEST_EQUAL(key_id, 9);
    memcpy(copy, sealed, sealed_bytes);
    TEST_CHECK(!nn_voice_open(&listener, &opener, 0x1234, copy, sealed_bytes, &plain, &bytes, &key_id, &missing));
    for (size_t cut = 0; cut < sealed_bytes; cut++) {
        memcpy(copy, sealed, cut);
        TEST_CHECK(!nn_voice_open(&listener, &opener, 0x1234, copy, cut, &plain, &bytes, &key_id, &missing));
    }
    nn_voice_opener_reset(&opener);
    nn_voice_keys_reset(&speaker);
    nn_voice_keys_reset(&listener);
}

TEST(test_voice_settings_follow_a_report_with_the_next_packet)
{
    struct pair pair;
    necpnet_voice_statistics before, after;
    pair_begin(&pair);
    if (nn_voice_codec_opus()) {
        pair.config.codec = NECPNET_VOICE_OPUS;
        pair.config.frame_ms = 60;
    }
    pair_open(&pair);
    pair_run(&pair, 12, 0.5f);
    TEST_OK(necpnet_voice_get_statistics(pair.speaker, &before));
    TEST_EQUAL(before.bitrate_bps, 24000);
    TEST_EQUAL(before.fec_percent, 0);
    static const uint8_t report[] = {1, 0, 64, 30}; /* stream 0, a quarter lost, 30 ms */
    nn_reader reader = nn_reader_of(report, sizeof report);
    TEST_CHECK(nn_voice_read_frame(pair.speaker, NN_VOICE_FRAME_LAST, &reader, pair.now_us));
    TEST_OK(necpnet_voice_get_statistics(pair.speaker, &after));
    TEST_EQUAL(after.bitrate_bps, 21000); /* an eighth less */
    TEST_EQUAL(after.fec_percent, 26);
    TEST_EQUAL(after.jitter_ms, 30);
    TEST_AT_MOST(after.frame_ms, 20);
    for (int i = 0; i < 60; i++) { /* better times */
        static const uint8_t good[] = {1, 0, 0, 1};
        reader = nn_reader_of(good, sizeof good);
        TEST_CHECK(nn_voice_read_frame(pair.speaker, NN_VOICE_FRAME_LAST, &reader, pair.now_us));
    }
    TEST_OK(necpnet_voice_get_statistics(pair.speaker, &after));
    TEST_EQUAL(after.bitrate_bps, 24000);
    TEST_EQUAL(after.fec_percent, 0);
    pair_end(&pair);
}

TEST(test_voice_listener_reports_losses_soon)
{
    struct pair pair;
    pair_begin(&pair);
    pair_open(&pair);
    pair.drop_every = 10;
    pair_run(&pair, 30, 0.5f);
    TEST_AT_MOST(nn_voice_deadline_us(pair.listener), pair.now_us + NN_VOICE_REPORT_SOON_US);
    TEST_CHECK(nn_voice_ready(pair.listener, pair.now_us + NN_VOICE_REPORT_SOON_US));
    uint8_t bytes[200];
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    TEST_CHECK(nn_voice_write_frames(pair.listener, &writer, pair.now_us + NN_VOICE_REPORT_SOON_US));
    TEST_EQUAL(bytes[0], NN_VOICE_FRAME_LAST);
    TEST_EQUAL(bytes[1], 1);
    nn_reader reader = nn_reader_of(bytes + 1, nn_writer_bytes(&writer) - 1);
    nn_voice_report rows[NN_VOICE_REPORT_ROWS_MAX];
    uint32_t count;
    TEST_CHECK(nn_voice_read_reports(&reader, rows, &count));
    TEST_EQUAL(rows[0].number, 900);
    TEST_NEAR(rows[0].loss, 18, 6); /* two of the first 29 */
    pair_end(&pair);
}

static uint32_t external_count, external_bytes;

static void external_packet(const necpnet_voice_packet* packet, void* user)
{
    (void)user;
    external_count++;
    external_bytes += (uint32_t)packet->bytes;
    TEST_EQUAL(packet->user, 4711);
    TEST_EQUAL(packet->time, 1000);
}

TEST(test_voice_external_hands_packets_through)
{
    struct pair pair;
    uint8_t opus[] = {9 << 3, 1, 2, 3}, bytes[200];
    necpnet_voice_packet packet;
    external_count = external_bytes = 0;
    pair_begin(&pair);
    pair.config.codec = NECPNET_VOICE_EXTERNAL;
    pair.config.on_packet = external_packet;
    pair_open(&pair);
    memset(&packet, 0, sizeof packet);
    packet.time = 1000;
    packet.data = opus;
    packet.bytes = sizeof opus;
    pair.now_us += 1000000; /* nothing else tells the time */
    TEST_OK(necpnet_voice_push_packet(pair.speaker, &packet, pair.now_us));
    opus[0] = 9 << 3 | 3;
    opus[1] = 0;
    TEST_EQUAL(necpnet_voice_push_packet(pair.speaker, &packet, pair.now_us), NECPNET_ERR_INVALID_ARGUMENT);
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    TEST_CHECK(nn_voice_write_frames(pair.speaker, &writer, pair.now_us));
    carry(&pair, bytes, nn_writer_bytes(&writer));
    TEST_EQUAL(external_count, 1);
    TEST_EQUAL(external_bytes, 4);
    uint64_t later_us = pair.now_us + NN_VOICE_REPORT_US;
    TEST_CHECK(nn_voice_ready(pair.listener, later_us));
    writer = nn_writer_of(bytes, sizeof bytes);
    TEST_CHECK(nn_voice_write_frames(pair.listener, &writer, later_us));
    TEST_EQUAL(bytes[0], NN_VOICE_FRAME_LAST);
    float pcm[2];
    TEST_EQUAL(necpnet_voice_push(pair.speaker, 0, pcm, 2, pair.now_us), NECPNET_ERR_UNSUPPORTED);
    TEST_EQUAL(necpnet_voice_pull(pair.listener, pcm, 1, pair.now_us), NECPNET_ERR_UNSUPPORTED);
    pair_end(&pair);
}

TEST(test_voice_groups_are_chosen_left_and_silenced)
{
    struct pair pair;
    pair_begin(&pair);
    pair_open(&pair);
    pair_run(&pair, 10, 0.5f);
    TEST_EQUAL(pair.frames, 10);
    TEST_EQUAL(necpnet_voice_set_group(pair.speaker, 0, 8), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_voice_set_group(pair.speaker, 0, 0));
    pair_run(&pair, 10, 0.5f);
    TEST_EQUAL(pair.frames, 10);
    TEST_OK(necpnet_voice_set_group(pair.speaker, 0, 7));
    pair_run(&pair, 10, 0.5f);
    TEST_AT_LEAST(pair.frames, 20);
    uint32_t before = pair.frames;
    member(pair.speaker, 7, NECPNET_VOICE_CHANNEL, NN_VOICE_MEMBER | NN_VOICE_SILENCED);
    pair_run(&pair, 10, 0.5f);
    TEST_AT_MOST(pair.frames, before + 1);
    member(pair.speaker, 7, NECPNET_VOICE_CHANNEL, 0);
    TEST_EQUAL(count_events(pair.speaker, NECPNET_VOICE_EVENT_LEFT), 1);
    static const uint8_t cut[] = {1, 0, 0, 0, 0};
    TEST_CHECK(!nn_voice_take_control(pair.speaker, NN_CONTROL_VOICE_GROUP, cut, sizeof cut));
    TEST_CHECK(!nn_voice_take_control(pair.speaker, NN_CONTROL_VOICE_STREAM, cut, sizeof cut));
    pair_end(&pair);
}

TEST(test_voice_more_speakers_than_places_are_refused_until_one_is_silent)
{
    struct pair pair;
    pair_begin(&pair);
    pair.config.speakers_max = 2;
    pair_open(&pair);
    static const uint8_t payload[960] = {0};
    for (uint32_t number = 1; number <= 3; number++) {
        uint8_t out[1100];
        nn_voice_frame frame = {0, NN_VOICE_CODEC_PCM, 9, 0, 0, number, payload, sizeof payload};
        nn_writer writer = nn_writer_of(out, sizeof out);
        nn_voice_write(&writer, &frame);
        nn_reader reader = nn_reader_of(out + 1, nn_writer_bytes(&writer) - 1);
        TEST_CHECK(nn_voice_read_frame(pair.listener, out[0], &reader, pair.now_us + (number == 3 ? 100000 : 0)));
    }
    necpnet_voice_statistics statistics;
    TEST_OK(necpnet_voice_get_statistics(pair.listener, &statistics));
    TEST_EQUAL(statistics.packets_received, 2);
    TEST_EQUAL(statistics.packets_refused, 1);
    pair_end(&pair);
}

TEST(test_voice_config_is_checked)
{
    necpnet_voice_config config;
    necpnet_voice* voice = NULL;
    TEST_OK(necpnet_voice_config_default(&config));
    config.codec = NECPNET_VOICE_PCM;
    config.frame_ms = 30;
    TEST_EQUAL(necpnet_voice_create(&config, &voice), NECPNET_ERR_BAD_CONFIG);
    config.frame_ms = 20;
    config.input_hz = 7999;
    TEST_EQUAL(necpnet_voice_create(&config, &voice), NECPNET_ERR_BAD_CONFIG);
    config.input_hz = 96001;
    TEST_EQUAL(necpnet_voice_create(&config, &voice), NECPNET_ERR_BAD_CONFIG);
    config.input_hz = 48000;
    config.far_distance = config.near_distance;
    TEST_EQUAL(necpnet_voice_create(&config, &voice), NECPNET_ERR_BAD_CONFIG);
    config.struct_bytes--;
    TEST_EQUAL(necpnet_voice_create(&config, &voice), NECPNET_ERR_BAD_STRUCT_BYTES);
    TEST_CHECK(voice == NULL);
}

TEST(test_voice_without_opus_says_so)
{
    if (nn_voice_codec_opus()) TEST_SKIP("built with Opus");
    necpnet_voice_config config;
    necpnet_voice* voice = NULL;
    TEST_OK(necpnet_voice_config_default(&config));
    TEST_EQUAL(necpnet_voice_create(&config, &voice), NECPNET_ERR_UNSUPPORTED);
}

TEST(test_voice_survives_refused_memory)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct pair pair;
        float in[480] = {0}, out[960];
        uint8_t packet[1200];
        pair_begin(&pair);
        if (necpnet_voice_create(&pair.config, &pair.speaker) == NECPNET_OK) {
            nn_voice_connected(pair.speaker, false, 1000);
            member(pair.speaker, 7, NECPNET_VOICE_CHANNEL, NN_VOICE_MEMBER);
            name_stream(pair.speaker, 28, 0, 1);
            (void)necpnet_voice_set_user_volume(pair.speaker, 1, 1);
            for (uint64_t t = 1; t < 6; t++) {
                (void)necpnet_voice_push(pair.speaker, 0, in, 480, t * 10000);
                nn_writer writer = nn_writer_of(packet, sizeof packet);
                if (nn_voice_write_frames(pair.speaker, &writer, t * 10000)) {
                    nn_reader reader = nn_reader_of(packet + 1, nn_writer_bytes(&writer) - 1);
                    (void)nn_voice_read_frame(pair.speaker, packet[0], &reader, t * 10000);
                }
                TEST_OK(necpnet_voice_pull(pair.speaker, out, 480, t * 10000));
            }
        }
        necpnet_voice_destroy(pair.speaker);
    }
}

TEST_MAIN
