/* test_voice_hub - aim: a server forwards speech to who may hear it and to nobody else, within limits, and knows spam from
 * talk. Method: a hub with members whose connections the test plays: frames given to their ports, what is queued read back;
 * hours of levels as speech has them, in simulated time. */
#include "kit_voice.h"
#include "nn_voice_hub.h"
#include "test.h"

#define PEOPLE 40

struct hall {
    struct necpnet_allocator allocator;
    necpnet_voice_hub_config config;
    necpnet_voice_hub* hub;
    const nn_voice_port* ports[PEOPLE];
    uint64_t now_us;
    uint32_t wakes, controls;
    uint8_t control[PEOPLE][64]; /* the last word to each */
    size_t control_bytes[PEOPLE];
    bool refuses; /* control */
};

static necpnet_peer peer_of(uint32_t i)
{
    return (necpnet_peer)7 << 32 | (i + 1);
}

static void hall_wake(void* user, necpnet_peer peer)
{
    (void)peer;
    ((struct hall*)user)->wakes++;
}

static necpnet_result hall_control(void* user, necpnet_peer peer, const void* data, size_t bytes)
{
    struct hall* hall = (struct hall*)user;
    uint32_t i = (uint32_t)peer - 1;
    if (hall->refuses) return NECPNET_ERR_WOULD_BLOCK;
    TEST_LESS(bytes, sizeof hall->control[0]);
    memcpy(hall->control[i], data, bytes);
    hall->control_bytes[i] = bytes;
    hall->controls++;
    return NECPNET_OK;
}

static bool hall_may_whisper(necpnet_peer from, necpnet_peer to, void* user)
{
    (void)from;
    (void)user;
    return to != peer_of(5);
}

static void hall_begin(struct hall* hall)
{
    memset(hall, 0, sizeof *hall);
    hall->allocator = test_allocator();
    hall->now_us = 1000000;
    TEST_OK(necpnet_voice_hub_config_default(&hall->config));
    hall->config.allocator = hall->allocator;
    hall->config.may_whisper = hall_may_whisper;
}

static void hall_open(struct hall* hall, uint32_t people)
{
    TEST_OK(necpnet_voice_hub_create(&hall->config, &hall->hub));
    nn_voice_server server = {hall_wake, hall_control, hall};
    hall->hub->server = server;
    nn_voice_hub_set_time(hall->hub, hall->now_us);
    for (uint32_t i = 0; i < people; i++) {
        TEST_OK(nn_voice_hub_attach(hall->hub, peer_of(i), 1000 + i, &hall->ports[i]));
        hall->ports[i]->open(hall->ports[i]->user, true);
    }
}

static void hall_end(struct hall* hall)
{
    necpnet_voice_hub_destroy(hall->hub);
}

static uint32_t hall_group(struct hall* hall, necpnet_voice_kind kind, float radius, uint32_t people)
{
    necpnet_voice_group group = 0;
    TEST_OK(necpnet_voice_hub_group_create(hall->hub, kind, radius, 1000, &group));
    for (uint32_t i = 0; i < people; i++) TEST_OK(necpnet_voice_hub_join(hall->hub, group, peer_of(i)));
    return group;
}

/* 20 ms of Opus, SILK wide band. */
static const uint8_t opus[] = {9 << 3, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static bool say_with(struct hall* hall, uint32_t who, uint32_t number, uint8_t level, uint8_t codec,
                     const uint8_t* data, size_t data_bytes)
{
    static uint8_t sequence;
    uint8_t bytes[1100];
    nn_voice_frame frame = {0, codec, level, sequence++, 0, number, data, data_bytes};
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_voice_write(&writer, &frame);
    nn_reader reader = nn_reader_of(bytes + 1, nn_writer_bytes(&writer) - 1);
    return hall->ports[who]->read(hall->ports[who]->user, bytes[0], &reader, hall->now_us);
}

static void say(struct hall* hall, uint32_t who, uint32_t group, uint8_t level)
{
    TEST_CHECK(say_with(hall, who, group << 2, level, NN_VOICE_CODEC_OPUS, opus, sizeof opus));
}

/* How many VOICE frames wait for somebody; takes them. */
static uint32_t hear(struct hall* hall, uint32_t who, nn_voice_frame* out_last)
{
    return kit_voice_hear(hall->ports[who], hall->now_us, out_last, NULL);
}

static uint32_t count_events(struct hall* hall, necpnet_voice_hub_event_type type, necpnet_peer peer)
{
    necpnet_voice_hub_event event;
    uint32_t count = 0;
    nn_voice_hub_set_time(hall->hub, hall->now_us);
    while (necpnet_voice_hub_poll(hall->hub, &event)) {
        count += event.type == type && (!peer || event.peer == peer) ? 1u : 0u;
    }
    return count;
}

TEST(test_hub_channel_is_heard_by_its_members_and_nobody_else)
{
    struct hall hall;
    nn_voice_frame frame;
    hall_begin(&hall);
    hall_open(&hall, 4);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 3);
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 0, NULL), 0);
    TEST_EQUAL(hear(&hall, 1, &frame), 1);
    TEST_EQUAL(frame.level, 9);
    TEST_EQUAL(frame.kind, NECPNET_VOICE_CHANNEL);
    TEST_EQUAL_BYTES(frame.payload, opus, sizeof opus);
    TEST_EQUAL(hear(&hall, 2, NULL), 1);
    TEST_EQUAL(hear(&hall, 3, NULL), 0);
    TEST_EQUAL(hall.control[1][0], NN_CONTROL_VOICE_STREAM);
    TEST_EQUAL(nn_load_u32(hall.control[1] + 1), frame.number);
    TEST_EQUAL(nn_load_u64(hall.control[1] + 6), 1000);
    say(&hall, 3, group, 9); /* a stranger */
    TEST_EQUAL(hear(&hall, 1, NULL), 0);
    TEST_EQUAL(count_events(&hall, NECPNET_VOICE_HUB_STRANGER, peer_of(3)), 1);
    say(&hall, 3, group + 1, 9); /* a forged group */
    necpnet_voice_hub_statistics statistics;
    TEST_OK(necpnet_voice_hub_get_statistics(hall.hub, &statistics));
    TEST_EQUAL(statistics.packets_stranger, 2);
    TEST_EQUAL(statistics.packets_forwarded, 2);
    hall_end(&hall);
}

TEST(test_hub_mute_deafen_silence_and_leave_are_enforced)
{
    struct hall hall;
    uint8_t wish[9];
    hall_begin(&hall);
    hall_open(&hall, 3);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 3);
    nn_store_u64(wish + 1, 1000);
    wish[0] = NN_VOICE_WISH_MUTE;
    TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(1), wish, sizeof wish));
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 1, NULL), 0);
    TEST_EQUAL(hear(&hall, 2, NULL), 1);
    wish[0] = NN_VOICE_WISH_UNMUTE;
    TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(1), wish, sizeof wish));
    wish[0] = NN_VOICE_WISH_DEAF;
    TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(2), wish, sizeof wish));
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 1, NULL), 1);
    TEST_EQUAL(hear(&hall, 2, NULL), 0);
    wish[0] = NN_VOICE_WISH_HEAR;
    TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(2), wish, sizeof wish));
    TEST_CHECK(!nn_voice_hub_take_wish(hall.hub, peer_of(2), wish, 8));
    TEST_OK(necpnet_voice_hub_deafen(hall.hub, group, peer_of(2), true));
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 1, NULL), 1);
    TEST_EQUAL(hear(&hall, 2, NULL), 0);
    TEST_OK(necpnet_voice_hub_deafen(hall.hub, group, peer_of(2), false));
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 2, NULL), 1);
    TEST_EQUAL(hear(&hall, 1, NULL), 1);
    TEST_EQUAL(necpnet_voice_hub_deafen(hall.hub, group + 1, peer_of(2), true), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_voice_hub_deafen(hall.hub, 0, peer_of(2), true));
    TEST_OK(necpnet_voice_hub_silence(hall.hub, group, peer_of(1), true));
    TEST_EQUAL(hall.control[1][0], NN_CONTROL_VOICE_GROUP);
    TEST_EQUAL(hall.control[1][6], NN_VOICE_MEMBER | NN_VOICE_SILENCED);
    say(&hall, 1, group, 9);
    TEST_EQUAL(hear(&hall, 0, NULL), 0);
    TEST_OK(necpnet_voice_hub_silence(hall.hub, group, peer_of(1), false));
    say(&hall, 1, group, 9);
    TEST_EQUAL(hear(&hall, 0, NULL), 1);
    TEST_EQUAL(hear(&hall, 2, NULL), 0);
    TEST_OK(necpnet_voice_hub_leave(hall.hub, group, peer_of(0)));
    TEST_EQUAL(hall.control[0][6], 0);
    say(&hall, 1, group, 9);
    TEST_EQUAL(hear(&hall, 0, NULL), 0);
    TEST_EQUAL(necpnet_voice_hub_leave(hall.hub, group, peer_of(0)), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_voice_hub_silence(hall.hub, group, peer_of(0), true), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_voice_hub_group_destroy(hall.hub, group));
    say(&hall, 1, group, 9);
    TEST_EQUAL(hall.control[1][6], 0);
    hall_end(&hall);
}

/* Against all pairs by their distance: the grid leaves out none and adds none. */
TEST(test_hub_proximity_reaches_who_is_near_and_in_the_zone)
{
    TEST_EACH_SEED (seed, 20) {
        struct hall hall;
        struct test_random random = test_random_begin(seed);
        float at[PEOPLE][3];
        uint32_t zone[PEOPLE];
        hall_begin(&hall);
        hall.config.loudest = 16;
        hall_open(&hall, PEOPLE);
        uint32_t group = hall_group(&hall, NECPNET_VOICE_PROXIMITY, 10, PEOPLE);
        say(&hall, 0, group, 9); /* nowhere: heard by nobody */
        for (uint32_t i = 1; i < PEOPLE; i++) TEST_EQUAL(hear(&hall, i, NULL), 0);
        for (int round = 0; round < 5; round++) {
            for (uint32_t i = 0; i < PEOPLE; i++) {
                for (int k = 0; k < 3; k++) at[i][k] = (float)test_random_below(&random, 4000) / 100.0f - 20.0f;
                zone[i] = (uint32_t)test_random_below(&random, 2);
                TEST_OK(necpnet_voice_hub_set_position(hall.hub, peer_of(i), zone[i], at[i]));
            }
            for (uint32_t who = 0; who < PEOPLE; who++) {
                hall.now_us += 1000000; /* nobody else is loud */
                say(&hall, who, group, 9);
                for (uint32_t i = 0; i < PEOPLE; i++) {
                    float square = 0;
                    for (int k = 0; k < 3; k++) square += (at[i][k] - at[who][k]) * (at[i][k] - at[who][k]);
                    bool hears = i != who && zone[i] == zone[who] && square <= 100.0f;
                    TEST_EQUAL(hear(&hall, i, NULL), hears ? 1 : 0);
                }
            }
        }
        static const float nan_place[3] = {0.0f / 1.0f, 1e30f, 0};
        TEST_EQUAL(necpnet_voice_hub_set_position(hall.hub, peer_of(0), 0, nan_place), NECPNET_ERR_INVALID_ARGUMENT);
        hall_end(&hall);
    }
}

TEST(test_hub_forwards_the_loudest_few)
{
    struct hall hall;
    uint32_t heard[20] = {0};
    hall_begin(&hall);
    hall.config.loudest = 3;
    hall_open(&hall, 20);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 20);
    for (int n = 0; n < 100; n++) {
        for (uint32_t who = 1; who < 10; who++) say(&hall, who, group, (uint8_t)(who >= 7 ? 13 : 5));
        hall.now_us += 20000;
        uint8_t bytes[1200];
        nn_writer writer = nn_writer_of(bytes, sizeof bytes);
        hall.ports[0]->write(hall.ports[0]->user, &writer, hall.now_us);
        nn_reader reader = nn_reader_of(bytes, nn_writer_bytes(&writer));
        while (nn_reader_left(&reader)) {
            nn_voice_frame frame;
            uint8_t type = nn_read_u8(&reader);
            TEST_CHECK(nn_voice_read(type, &reader, &frame));
            heard[frame.number + 1]++; /* numbers are given in the order of speaking */
        }
        for (uint32_t i = 1; i < 20; i++) hear(&hall, i, NULL);
    }
    uint32_t loud = heard[7] + heard[8] + heard[9], all = 0;
    for (int i = 0; i < 20; i++) all += heard[i];
    TEST_AT_MOST(all, 310); /* and who was overtaken at the start */
    TEST_AT_LEAST(loud, 285);
    hall_end(&hall);
}

TEST(test_hub_garbage_is_refused_and_heard_by_nobody)
{
    struct hall hall;
    static const uint8_t long_one[] = {3 << 3 | 3, 3, 1, 2, 3}, empty_one[] = {9 << 3 | 3, 0},
                         odd[] = {9 << 3 | 1, 1, 2, 3};
    static const uint8_t short_one[] = {16 << 3, 1}; /* 2.5 ms */
    uint8_t pcm[960] = {0};
    hall_begin(&hall);
    hall_open(&hall, 2);
    uint32_t number = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 2) << 2;
    TEST_CHECK(say_with(&hall, 0, number, 9, NN_VOICE_CODEC_OPUS, long_one, sizeof long_one));
    TEST_CHECK(say_with(&hall, 0, number, 9, NN_VOICE_CODEC_OPUS, empty_one, sizeof empty_one));
    TEST_CHECK(say_with(&hall, 0, number, 9, NN_VOICE_CODEC_OPUS, odd, sizeof odd));
    TEST_CHECK(say_with(&hall, 0, number, 9, NN_VOICE_CODEC_OPUS, short_one, sizeof short_one));
    TEST_CHECK(say_with(&hall, 0, number, 9, NN_VOICE_CODEC_PCM, pcm, sizeof pcm));
    TEST_CHECK(say_with(&hall, 0, number, 9, NN_VOICE_CODEC_SEALED, pcm, 16));
    TEST_EQUAL(hear(&hall, 1, NULL), 0);
    TEST_EQUAL(count_events(&hall, NECPNET_VOICE_HUB_BAD_PACKET, peer_of(0)), 1);
    TEST_CHECK(say_with(&hall, 0, number, 9, NN_VOICE_CODEC_SEALED, pcm, 60));
    TEST_EQUAL(hear(&hall, 1, NULL), 1);
    static const uint8_t cut[] = {0x30, 9, 0};
    nn_reader reader = nn_reader_of(cut + 1, sizeof cut - 1);
    TEST_CHECK(!hall.ports[0]->read(hall.ports[0]->user, cut[0], &reader, hall.now_us));
    necpnet_voice_hub_statistics statistics;
    TEST_OK(necpnet_voice_hub_get_statistics(hall.hub, &statistics));
    TEST_EQUAL(statistics.packets_bad, 6);
    hall_end(&hall);
}

TEST(test_hub_whispers_where_it_is_allowed)
{
    struct hall hall;
    uint8_t wish[9] = {NN_VOICE_WISH_WHISPER};
    nn_voice_frame frame;
    hall_begin(&hall);
    hall_open(&hall, 6);
    nn_store_u64(wish + 1, 1002);
    TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(0), wish, sizeof wish));
    TEST_EQUAL(hall.control[0][0], NN_CONTROL_VOICE_GROUP);
    TEST_EQUAL(hall.control[0][5], NECPNET_VOICE_WHISPER);
    TEST_EQUAL(nn_load_u64(hall.control[0] + 7), 1002);
    uint32_t group = nn_load_u32(hall.control[0] + 1);
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 2, &frame), 1);
    TEST_EQUAL(frame.kind, NECPNET_VOICE_WHISPER);
    TEST_EQUAL(hear(&hall, 1, NULL), 0);
    say(&hall, 2, group, 9); /* it goes one way */
    TEST_EQUAL(hear(&hall, 0, NULL), 0);
    TEST_EQUAL(necpnet_voice_hub_join(hall.hub, group, peer_of(1)), NECPNET_ERR_NOT_FOUND);
    nn_store_u64(wish + 1, 1005); /* he may not be whispered to */
    TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(0), wish, sizeof wish));
    TEST_EQUAL(nn_load_u64(hall.control[0] + 7), 1002);
    nn_voice_hub_detach(hall.hub, peer_of(2)); /* who was whispered to leaves */
    TEST_EQUAL(hall.control[0][6], 0);
    say(&hall, 0, group, 9);
    TEST_EQUAL(count_events(&hall, NECPNET_VOICE_HUB_WHISPER_ENDED, peer_of(0)), 1);
    for (uint32_t i = 0; i < 1000; i++) { /* a thousand wishes a second */
        nn_store_u64(wish + 1, 1001 + i % 4);
        wish[0] = i & 1 ? NN_VOICE_WISH_END_WHISPER : NN_VOICE_WISH_WHISPER;
        TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(0), wish, sizeof wish));
    }
    TEST_AT_MOST(count_events(&hall, NECPNET_VOICE_HUB_WHISPERS, 0), NN_VOICE_WISHES_PER_S);
    hall_end(&hall);
}

TEST(test_hub_limits_hold_and_a_flood_is_told_in_a_second)
{
    struct hall hall;
    hall_begin(&hall);
    hall_open(&hall, 3);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 3);
    uint32_t heard = 0, normal = 0;
    for (int ms = 0; ms < 1000; ms++) { /* two thousand packets a second beside an ordinary fifty */
        say(&hall, 0, group, 9);
        say(&hall, 0, group, 9);
        if (ms % 20 == 0) say(&hall, 1, group, 9);
        nn_voice_frame frame;
        uint32_t now = hear(&hall, 2, &frame);
        heard += now;
        hear(&hall, 0, NULL);
        hear(&hall, 1, NULL);
        hall.now_us += 1000;
    }
    TEST_AT_MOST(heard, 120 + 60 + 50 + 2);
    necpnet_voice_member_info info;
    TEST_OK(necpnet_voice_hub_get_member(hall.hub, peer_of(1), &info));
    normal = (uint32_t)info.packets_sent;
    TEST_EQUAL(normal, 50);
    necpnet_voice_hub_event event;
    uint32_t floods = 0;
    while (necpnet_voice_hub_poll(hall.hub, &event)) {
        if (event.type != NECPNET_VOICE_HUB_FLOOD) continue;
        TEST_EQUAL(event.peer, peer_of(0));
        floods++;
    }
    TEST_EQUAL(floods, 1);
    hall_end(&hall);
}

/* Levels of speech: syllables of 100 to 300 ms that rise and fall by 8 to 20 dB, words, breath every 1.5 to 6 s, now and then a
 * thought; as the gate sends it, 300 ms beyond the last sound. Harder than a reader of a book: a shouter's loudness. */
struct speech {
    struct test_random random;
    uint32_t left;     /* packets of the present phrase, or pause */
    uint32_t syllable; /* packets left of it */
    uint32_t syllable_of;
    int base, depth;
    bool is_pause;
};

static int speech_level(struct speech* speech)
{
    if (speech->left == 0) {
        speech->is_pause = !speech->is_pause;
        bool is_long = test_random_below(&speech->random, 8) == 0;
        uint64_t pause =
            is_long ? 50 + test_random_below(&speech->random, 400) : 10 + test_random_below(&speech->random, 40);
        speech->left = (uint32_t)(speech->is_pause ? pause : 75 + test_random_below(&speech->random, 225));
        speech->base = 8 + (int)test_random_below(&speech->random, 6);
    }
    speech->left--;
    if (speech->is_pause) return -1;
    if (speech->syllable == 0) {
        speech->syllable = speech->syllable_of = 5 + (uint32_t)test_random_below(&speech->random, 10);
        speech->depth = 2 + (int)test_random_below(&speech->random, 4);
    }
    speech->syllable--;
    int from_middle = (int)(speech->syllable_of / 2) - (int)speech->syllable;
    if (from_middle < 0) from_middle = -from_middle;
    int level = speech->base + 1 - speech->depth * from_middle * 2 / (int)speech->syllable_of;
    return level < 1 ? 1 : level > 15 ? 15 : level;
}

TEST(test_hub_an_hour_of_ordinary_speech_is_no_spam)
{
    TEST_EACH_SEED (seed, 4) {
        struct hall hall;
        struct speech speech[10];
        hall_begin(&hall);
        hall_open(&hall, 10);
        uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 10);
        memset(speech, 0, sizeof speech);
        for (uint32_t i = 0; i < 10; i++) speech[i].random = test_random_begin(seed * 100 + i);
        uint32_t hangover[10] = {0}, spam = 0;
        for (uint32_t n = 0; n < 3600 * 50; n++) {
            for (uint32_t i = 0; i < 10; i++) {
                int level = speech_level(&speech[i]);
                if (level >= 0) {
                    say(&hall, i, group, (uint8_t)level);
                    hangover[i] = 15;
                } else if (hangover[i]) {
                    say(&hall, i, group, 1);
                    if (--hangover[i] == 0) TEST_CHECK(say_with(&hall, i, group << 2, 0, 0, NULL, 0));
                }
            }
            hall.now_us += 20000;
            if (n % 50) continue;
            necpnet_voice_hub_event event;
            nn_voice_hub_set_time(hall.hub, hall.now_us);
            while (necpnet_voice_hub_poll(hall.hub, &event)) {
                bool is_spam = event.type >= NECPNET_VOICE_HUB_FLOOD && event.type <= NECPNET_VOICE_HUB_STRANGER;
                TEST_HINT("event %d at %u s", (int)event.type, n / 50);
                spam += is_spam ? 1u : 0u;
            }
            for (uint32_t i = 0; i < 10; i++) hear(&hall, i, NULL);
        }
        TEST_EQUAL(spam, 0);
        hall_end(&hall);
    }
}

/* A spammer's ways: levels of a horn, of music turned up, of a key pressed and let go. Each is told within 5 s. */
TEST(test_hub_spam_is_told_within_5_seconds)
{
    for (int kind = 0; kind < 4; kind++) {
        static const necpnet_voice_hub_event_type types[] = {NECPNET_VOICE_HUB_NOISE, NECPNET_VOICE_HUB_NOISE,
                                                             NECPNET_VOICE_HUB_KEYING, NECPNET_VOICE_HUB_FLOOD};
        struct hall hall;
        struct test_random random = test_random_begin(9);
        hall_begin(&hall);
        hall.config.spam_silence_ms = 30000;
        hall_open(&hall, 2);
        uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 2);
        uint32_t told_at_ms = 0;
        for (uint32_t ms = 0; ms < 8000; ms += 20) {
            uint8_t level = kind == 0 ? 14 : (uint8_t)(13 + test_random_below(&random, 2));
            bool is_key = kind != 2 || ms % 180 < 40;
            if (is_key) say(&hall, 0, group, kind == 2 ? 10 : level);
            if (kind == 2 && ms % 180 == 40) TEST_CHECK(say_with(&hall, 0, group << 2, 0, 0, NULL, 0));
            for (int k = 0; k < 10 && kind == 3; k++) say(&hall, 0, group, 9);
            hall.now_us += 20000;
            hear(&hall, 1, NULL);
            if (!told_at_ms && count_events(&hall, types[kind], peer_of(0))) told_at_ms = ms + 20;
        }
        TEST_HINT("kind %d", kind);
        TEST_CHECK(told_at_ms > 0);
        TEST_AT_MOST(told_at_ms, 5000);
        say(&hall, 0, group, 9);
        TEST_EQUAL(hear(&hall, 1, NULL), 0); /* silenced for it */
        necpnet_voice_member_info info;
        TEST_OK(necpnet_voice_hub_get_member(hall.hub, peer_of(0), &info));
        TEST_CHECK(info.is_silenced);
        TEST_OK(necpnet_voice_hub_silence(hall.hub, 0, peer_of(0), false)); /* forgiven */
        hall.now_us += 1000000;
        say(&hall, 0, group, 9);
        TEST_EQUAL(hear(&hall, 1, NULL), 1);
        hall_end(&hall);
    }
}

TEST(test_hub_talk_without_end_is_told)
{
    struct hall hall;
    struct speech speech;
    hall_begin(&hall);
    hall.config.talk_ms_max = 20000;
    hall_open(&hall, 2);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 2);
    memset(&speech, 0, sizeof speech);
    speech.random = test_random_begin(3);
    for (uint32_t n = 0; n < 21 * 50; n++) {
        int level = speech_level(&speech);
        say(&hall, 0, group, (uint8_t)(level < 4 ? 4 : level));
        hall.now_us += 20000;
        hear(&hall, 1, NULL);
    }
    TEST_EQUAL(count_events(&hall, NECPNET_VOICE_HUB_CONTINUOUS, peer_of(0)), 1);
    hall_end(&hall);
}

static void report(struct hall* hall, uint32_t who, uint32_t number, uint8_t loss)
{
    uint8_t bytes[20];
    nn_voice_report row = {number, loss, 20};
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_voice_write_reports(&writer, &row, 1);
    nn_reader reader = nn_reader_of(bytes + 1, nn_writer_bytes(&writer) - 1);
    TEST_CHECK(hall->ports[who]->read(hall->ports[who]->user, bytes[0], &reader, hall->now_us));
}

static bool told(struct hall* hall, uint32_t who, nn_voice_report* out)
{
    uint8_t bytes[200];
    uint32_t count = 0;
    const nn_voice_port* port = hall->ports[who];
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_voice_report rows[NN_VOICE_REPORT_ROWS_MAX];
    if (!port->ready(port->user, hall->now_us) || !port->write(port->user, &writer, hall->now_us)) return false;
    if (bytes[0] != NN_VOICE_FRAME_LAST) return false;
    nn_reader reader = nn_reader_of(bytes + 1, nn_writer_bytes(&writer) - 1);
    TEST_CHECK(nn_voice_read_reports(&reader, rows, &count));
    *out = rows[0];
    return true;
}

TEST(test_hub_reports_reach_the_sender_at_once_and_one_liar_among_many_does_not_count)
{
    struct hall hall;
    nn_voice_frame frame;
    nn_voice_report got;
    hall_begin(&hall);
    hall_open(&hall, 40);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 2);
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 1, &frame), 1);
    report(&hall, 5, frame.number, 255); /* who does not hear him cannot report */
    TEST_CHECK(!told(&hall, 0, &got));
    report(&hall, 1, frame.number, 30);
    TEST_CHECK(told(&hall, 0, &got));
    TEST_EQUAL(got.number, 0);
    TEST_EQUAL(got.loss, 25);
    TEST_EQUAL(got.jitter_ms, 20);
    for (uint32_t i = 2; i < 40; i++) TEST_OK(necpnet_voice_hub_join(hall.hub, group, peer_of(i)));
    hall.now_us += 2000000;
    say(&hall, 0, group, 9);
    for (uint32_t i = 1; i < 40; i++) hear(&hall, i, NULL);
    for (uint32_t i = 2; i < 40; i++) report(&hall, i, frame.number, 0);
    for (int n = 0; n < 100; n++) report(&hall, 1, frame.number, 255);
    hall.now_us += 50000;
    TEST_CHECK(told(&hall, 0, &got));
    TEST_EQUAL(got.loss, 0);
    hall_end(&hall);
}

TEST(test_hub_what_waits_grows_old_and_is_bounded)
{
    struct hall hall;
    hall_begin(&hall);
    hall_open(&hall, 2);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 2);
    for (int n = 0; n < 50; n++) say(&hall, 0, group, 9); /* a burst, within the bucket */
    hall.now_us += 100000;
    TEST_EQUAL(hear(&hall, 1, NULL), NN_VOICE_QUEUE_MAX);
    say(&hall, 0, group, 9);
    hall.now_us += NN_VOICE_QUEUE_US;
    TEST_EQUAL(hear(&hall, 1, NULL), 0);
    say(&hall, 0, group, 9);
    hall.ports[1]->open(hall.ports[1]->user, false); /* the connection is lost */
    hall.ports[1]->open(hall.ports[1]->user, true);
    TEST_EQUAL(hear(&hall, 1, NULL), 0);
    hall_end(&hall);
}

TEST(test_hub_numbers_are_used_again_and_listeners_know)
{
    struct hall hall;
    nn_voice_frame frame;
    hall_begin(&hall);
    hall_open(&hall, 3);
    uint32_t group = hall_group(&hall, NECPNET_VOICE_CHANNEL, 0, 3);
    say(&hall, 0, group, 9);
    TEST_EQUAL(hear(&hall, 1, &frame), 1);
    TEST_EQUAL(frame.number, 0);
    nn_voice_hub_detach(hall.hub, peer_of(0));
    TEST_EQUAL(hall.control[1][0], NN_CONTROL_VOICE_STREAM);
    TEST_EQUAL(hall.control[1][5], 0xff);
    hall.refuses = true; /* no room for the word: the packet waits for it */
    say(&hall, 2, group, 9);
    TEST_EQUAL(hear(&hall, 1, NULL), 0);
    hall.refuses = false;
    say(&hall, 2, group, 9);
    TEST_EQUAL(hear(&hall, 1, &frame), 1);
    TEST_EQUAL(frame.number, 0);
    TEST_EQUAL(nn_load_u64(hall.control[1] + 6), 1002);
    TEST_EQUAL(necpnet_voice_hub_join(hall.hub, group, peer_of(0)), NECPNET_ERR_NOT_FOUND);
    hall_end(&hall);
}

TEST(test_hub_limits_of_groups)
{
    struct hall hall;
    necpnet_voice_group groups[20];
    hall_begin(&hall);
    hall.config.groups_max = 18;
    hall_open(&hall, 2);
    for (int i = 0; i < 18; i++) {
        TEST_OK(necpnet_voice_hub_group_create(hall.hub, NECPNET_VOICE_CHANNEL, 0, 1, &groups[i]));
    }
    TEST_EQUAL(necpnet_voice_hub_group_create(hall.hub, NECPNET_VOICE_CHANNEL, 0, 1, &groups[18]),
               NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(necpnet_voice_hub_group_create(hall.hub, NECPNET_VOICE_WHISPER, 0, 1, &groups[18]),
               NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_voice_hub_group_create(hall.hub, NECPNET_VOICE_PROXIMITY, 0, 1, &groups[18]),
               NECPNET_ERR_INVALID_ARGUMENT);
    for (uint32_t i = 0; i < NECPNET_VOICE_GROUPS_OF_ONE_MAX; i++) {
        TEST_OK(necpnet_voice_hub_join(hall.hub, groups[i], peer_of(0)));
        TEST_OK(necpnet_voice_hub_join(hall.hub, groups[i], peer_of(0)));
    }
    TEST_EQUAL(necpnet_voice_hub_join(hall.hub, groups[17], peer_of(0)), NECPNET_ERR_LIMIT_REACHED);
    TEST_EQUAL(necpnet_voice_hub_join(hall.hub, groups[0], peer_of(1)), NECPNET_ERR_LIMIT_REACHED);
    TEST_OK(necpnet_voice_hub_leave(hall.hub, groups[0], peer_of(0)));
    TEST_OK(necpnet_voice_hub_join(hall.hub, groups[0], peer_of(1)));
    hall_end(&hall);
}

TEST(test_hub_survives_refused_memory)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct hall hall;
        necpnet_voice_group group = 0;
        uint8_t wish[9] = {NN_VOICE_WISH_MUTE};
        hall_begin(&hall);
        if (necpnet_voice_hub_create(&hall.config, &hall.hub) == NECPNET_OK) {
            nn_voice_server server = {hall_wake, hall_control, &hall};
            hall.hub->server = server;
            bool both = true;
            for (uint32_t i = 0; i < 2; i++) {
                both = nn_voice_hub_attach(hall.hub, peer_of(i), i + 1, &hall.ports[i]) == NECPNET_OK && both;
                if (hall.ports[i]) hall.ports[i]->open(hall.ports[i]->user, true);
            }
            if (both && !necpnet_voice_hub_group_create(hall.hub, NECPNET_VOICE_PROXIMITY, 5, 9, &group)) {
                static const float at[3] = {1, 2, 3};
                for (uint32_t i = 0; i < 2; i++) {
                    (void)necpnet_voice_hub_join(hall.hub, group, peer_of(i));
                    TEST_OK(necpnet_voice_hub_set_position(hall.hub, peer_of(i), 0, at));
                }
                say(&hall, 0, group, 9);
                hear(&hall, 1, NULL);
                TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(0), wish, sizeof wish));
                wish[0] = NN_VOICE_WISH_WHISPER;
                wish[1] = 2;
                TEST_CHECK(nn_voice_hub_take_wish(hall.hub, peer_of(0), wish, sizeof wish));
            }
        }
        necpnet_voice_hub_destroy(hall.hub);
    }
}

TEST_MAIN
