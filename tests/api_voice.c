/* api_voice - aim: players talk through a server, over UDP and WebSocket: heard by who may hear, by nobody else, in time;
 * what listeners lose changes the sender's settings within 100 ms. Method: whole endpoints on a simulated link; raw samples,
 * so that it runs without Opus, and the tone that arrives is measured. */
#include "net.h"

#include <math.h>

#define TALKERS 4

struct talk {
    struct net net;
    necpnet_voice_config voice_config;
    necpnet_voice_hub_config hub_config;
    necpnet_voice_hub* hub;
    necpnet_voice* voices[TALKERS];
    necpnet_voice_group channel;
    bool speaks[TALKERS];
    double heard[TALKERS]; /* energy since talk_listen */
    uint64_t next_us;
    uint64_t sample;
    uint64_t first_heard_us[TALKERS]; /* 0 not yet */
};

static void talk_begin(struct talk* talk)
{
    memset(talk, 0, sizeof *talk);
    net_begin(&talk->net);
    TEST_OK(necpnet_voice_config_default(&talk->voice_config));
    TEST_OK(necpnet_voice_hub_config_default(&talk->hub_config));
    talk->voice_config.allocator = talk->hub_config.allocator = talk->net.allocator;
    talk->voice_config.codec = NECPNET_VOICE_PCM;
    talk->voice_config.frame_ms = 10;
    talk->voice_config.activation = NECPNET_VOICE_ALWAYS;
    talk->hub_config.pcm = true;
    talk->hub_config.bytes_per_s_max = 200000;
    talk->net.link_config.latency_us = 10000;
}

/* The client's id is random without tokens; the server knows it. */
static uint64_t talk_user(struct talk* talk, int i)
{
    necpnet_peer_info info;
    TEST_OK(necpnet_server_get_peer(talk->net.server, talk->net.peers[i], &info));
    return info.identity.client_id;
}

static void talk_open(struct talk* talk, int talkers, const char* const* urls)
{
    TEST_OK(necpnet_voice_hub_create(&talk->hub_config, &talk->hub));
    talk->net.server_config.voice_hub = talk->hub;
    net_serve(&talk->net);
    TEST_OK(necpnet_voice_hub_group_create(talk->hub, NECPNET_VOICE_CHANNEL, 0, 100, &talk->channel));
    for (int i = 0; i < talkers; i++) {
        TEST_OK(necpnet_voice_create(&talk->voice_config, &talk->voices[i]));
        talk->net.client_config.voice = talk->voices[i];
        net_join(&talk->net, urls[i]);
        NET_RUN_UNTIL(&talk->net, 3000, talk->net.peer_count == i + 1);
        TEST_EQUAL(talk->net.peer_count, i + 1);
        TEST_OK(necpnet_voice_hub_join(talk->hub, talk->channel, talk->net.peers[i]));
    }
    talk->next_us = talk->net.now_us;
}

static void talk_end(struct talk* talk)
{
    net_end(&talk->net);
    for (int i = 0; i < TALKERS; i++) necpnet_voice_destroy(talk->voices[i]);
    necpnet_voice_hub_destroy(talk->hub);
}

static void talk_block(struct talk* talk)
{
    float in[480], silence[480] = {0}, out[960];
    for (int i = 0; i < 480; i++) in[i] = 0.5f * sinf((float)((talk->sample + (uint64_t)i) % 48000) * 0.05759587f);
    talk->sample += 480;
    for (int i = 0; i < talk->net.client_count; i++) {
        if (!talk->voices[i]) continue;
        TEST_OK(necpnet_voice_push(talk->voices[i], 0, talk->speaks[i] ? in : silence, 480, talk->net.now_us));
        TEST_OK(necpnet_voice_pull(talk->voices[i], out, 480, talk->net.now_us));
        double energy = 0;
        for (int k = 0; k < 960; k++) energy += (double)out[k] * (double)out[k];
        talk->heard[i] += energy;
        if (energy > 1 && !talk->first_heard_us[i]) talk->first_heard_us[i] = talk->net.now_us;
    }
}

/* So many ms of everyone's life; sound moves every 10 ms. */
static void talk_run(struct talk* talk, uint32_t ms)
{
    uint64_t until_us = talk->net.now_us + (uint64_t)ms * 1000;
    memset(talk->heard, 0, sizeof talk->heard);
    memset(talk->first_heard_us, 0, sizeof talk->first_heard_us);
    while (talk->net.now_us < until_us) {
        if (talk->net.now_us >= talk->next_us) {
            talk->next_us += 10000;
            talk_block(talk);
        }
        net_step(&talk->net, NET_STEP_US);
    }
}

static uint32_t count_joined(necpnet_voice* voice, necpnet_voice_kind kind, necpnet_voice_group* out_group)
{
    necpnet_voice_event event;
    uint32_t count = 0;
    while (necpnet_voice_poll(voice, &event)) {
        if (event.type != NECPNET_VOICE_EVENT_JOINED || event.kind != kind) continue;
        count++;
        if (out_group) *out_group = event.group;
    }
    return count;
}

/* A second of the tone: 100 blocks of 480 samples x 2 ears x 0.125. */
#define SECOND 12000.0

static void talk_over(const char* const* urls)
{
    struct talk talk;
    talk_begin(&talk);
    talk_open(&talk, 3, urls);
    talk_run(&talk, 300);
    TEST_EQUAL(count_joined(talk.voices[0], NECPNET_VOICE_CHANNEL, NULL), 1);
    talk.speaks[0] = true;
    uint64_t began_us = talk.net.now_us;
    talk_run(&talk, 1000);
    TEST_NEAR(talk.heard[0], 0, 1e-6);
    for (int i = 1; i < 3; i++) {
        TEST_AT_LEAST((int)(talk.heard[i] / SECOND * 100), 85);
        TEST_CHECK(talk.first_heard_us[i] != 0);
        TEST_AT_MOST(talk.first_heard_us[i] - began_us, 20000 + 50000 + 10000); /* the link's 20 ms are not ours */
    }
    talk_run(&talk, 1000);
    TEST_NEAR(talk.heard[1] / SECOND, 1, 0.02);
    necpnet_voice_statistics statistics;
    TEST_OK(necpnet_voice_get_statistics(talk.voices[1], &statistics));
    TEST_EQUAL(statistics.packets_lost, 0);
    TEST_EQUAL(statistics.packets_late, 0);
    TEST_EQUAL(statistics.packets_refused, 0);
    talk_end(&talk);
}

TEST(test_voice_is_heard_over_udp)
{
    static const char* const urls[] = {NET_URL_UDP, NET_URL_UDP, NET_URL_UDP};
    talk_over(urls);
}

TEST(test_voice_is_heard_over_websocket)
{
    static const char* const urls[] = {NET_URL_WEB, NET_URL_WEB, NET_URL_WEB};
    talk_over(urls);
}

TEST(test_voice_is_heard_between_udp_and_websocket)
{
    static const char* const urls[] = {NET_URL_UDP, NET_URL_WEB, NET_URL_UDP};
    talk_over(urls);
}

static const char* const four[] = {NET_URL_UDP, NET_URL_UDP, NET_URL_UDP, NET_URL_UDP};

TEST(test_voice_muted_deaf_and_strangers_get_no_packets)
{
    struct talk talk;
    necpnet_voice_member_info before[TALKERS], after[TALKERS];
    static const uint32_t expected[TALKERS] = {50, 50, 0, 0}; /* 0 and 1 hear 2; 1 does not want to hear 0 */
    talk_begin(&talk);
    talk_open(&talk, 4, four);
    TEST_OK(necpnet_voice_hub_leave(talk.hub, talk.channel, talk.net.peers[3]));
    TEST_OK(necpnet_voice_set_muted(talk.voices[1], true));
    talk_run(&talk, 300);
    TEST_OK(necpnet_voice_set_user_volume(talk.voices[1], talk_user(&talk, 0), 0));
    TEST_OK(necpnet_voice_set_deafened(talk.voices[2], true));
    talk.speaks[0] = talk.speaks[2] = true;
    talk_run(&talk, 200);
    for (int i = 0; i < 4; i++) TEST_OK(necpnet_voice_hub_get_member(talk.hub, talk.net.peers[i], &before[i]));
    talk_run(&talk, 500);
    for (int i = 0; i < 4; i++) {
        TEST_OK(necpnet_voice_hub_get_member(talk.hub, talk.net.peers[i], &after[i]));
        TEST_EQUAL(after[i].packets_received - before[i].packets_received, expected[i]);
    }
    talk_end(&talk);
}

TEST(test_voice_by_zone_and_distance)
{
    struct talk talk;
    necpnet_voice_group near_group = 0;
    static const float here[3] = {0, 0, 0}, there[3] = {9, 0, 0}, away[3] = {11, 0, 0};
    talk_begin(&talk);
    talk_open(&talk, 4, four);
    TEST_OK(necpnet_voice_hub_group_destroy(talk.hub, talk.channel));
    TEST_OK(necpnet_voice_hub_group_create(talk.hub, NECPNET_VOICE_PROXIMITY, 10, 100, &near_group));
    for (int i = 0; i < 4; i++) TEST_OK(necpnet_voice_hub_join(talk.hub, near_group, talk.net.peers[i]));
    TEST_OK(necpnet_voice_hub_set_position(talk.hub, talk.net.peers[0], 1, here));
    TEST_OK(necpnet_voice_hub_set_position(talk.hub, talk.net.peers[1], 1, there));
    TEST_OK(necpnet_voice_hub_set_position(talk.hub, talk.net.peers[2], 1, away));
    TEST_OK(necpnet_voice_hub_set_position(talk.hub, talk.net.peers[3], 2, here));
    talk_run(&talk, 300);
    talk.speaks[0] = true;
    talk_run(&talk, 500);
    TEST_CHECK(talk.heard[1] > 1000);
    TEST_NEAR(talk.heard[2], 0, 1e-6);
    TEST_NEAR(talk.heard[3], 0, 1e-6);
    talk_end(&talk);
}

static bool may_whisper(necpnet_peer from, necpnet_peer to, void* user)
{
    (void)from;
    (void)to;
    return *(const bool*)user;
}

TEST(test_voice_whisper_is_for_one)
{
    struct talk talk;
    bool may = true;
    necpnet_voice_group group = 0;
    talk_begin(&talk);
    talk.hub_config.may_whisper = may_whisper;
    talk.hub_config.user = &may;
    talk_open(&talk, 3, four);
    talk_run(&talk, 300);
    TEST_EQUAL(necpnet_voice_whisper(talk.voices[0], 0, true), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_OK(necpnet_voice_whisper(talk.voices[0], talk_user(&talk, 2), true));
    talk_run(&talk, 200);
    TEST_EQUAL(count_joined(talk.voices[0], NECPNET_VOICE_WHISPER, &group), 1);
    TEST_OK(necpnet_voice_set_group(talk.voices[0], 0, group));
    talk.speaks[0] = true;
    talk_run(&talk, 500);
    TEST_NEAR(talk.heard[1], 0, 1e-6);
    TEST_CHECK(talk.heard[2] > 1000);
    TEST_OK(necpnet_voice_whisper(talk.voices[0], talk_user(&talk, 2), false));
    talk_run(&talk, 500); /* back in the channel */
    talk_run(&talk, 500);
    TEST_CHECK(talk.heard[1] > 1000);
    talk_end(&talk);
}

TEST(test_voice_settings_follow_a_loss_within_100_ms_of_its_report)
{
    struct talk talk;
    necpnet_voice_statistics statistics;
    talk_begin(&talk);
    talk_open(&talk, 2, four);
    talk.speaks[0] = true;
    talk_run(&talk, 1000);
    TEST_OK(necpnet_voice_get_statistics(talk.voices[0], &statistics));
    TEST_EQUAL(statistics.fec_percent, 0);
    TEST_EQUAL(statistics.loss_ppm, 0);
    necpnet_link_config bad = talk.net.link_config;
    bad.loss_ppm = 200000;
    TEST_OK(necpnet_link_configure(talk.net.link, NULL, &bad));
    uint64_t reported_us = 0, changed_us = 0;
    uint64_t began_us = talk.net.now_us;
    while (talk.net.now_us < began_us + 2000000 && !changed_us) {
        necpnet_voice_hub_event event;
        talk_run(&talk, 1);
        while (necpnet_voice_hub_poll(talk.hub, &event)) { /* told as it is sent on to the speaker */
            if (event.type == NECPNET_VOICE_HUB_QUALITY && event.loss_ppm > 0 && !reported_us)
                reported_us = talk.net.now_us;
        }
        TEST_OK(necpnet_voice_get_statistics(talk.voices[0], &statistics));
        if (statistics.fec_percent > 0 && !changed_us) changed_us = talk.net.now_us;
    }
    TEST_CHECK(reported_us && changed_us);
    TEST_AT_MOST(changed_us - reported_us, 100000);
    TEST_AT_MOST(changed_us - began_us, 600000); /* the loss had to happen, and the first report may be lost, too */
    TEST_AT_MOST(statistics.bitrate_bps, 24000);
    talk_end(&talk);
}

TEST(test_voice_settings_follow_what_the_application_reports_within_100_ms)
{
    struct talk talk;
    necpnet_voice_statistics statistics, before;
    talk_begin(&talk);
    talk_open(&talk, 2, four);
    talk.speaks[0] = true;
    talk_run(&talk, 1000);
    TEST_OK(necpnet_voice_get_statistics(talk.voices[0], &before));
    TEST_EQUAL(before.fec_percent, 0);
    TEST_EQUAL(necpnet_voice_hub_report(NULL, talk.channel, talk.net.peers[1], 0, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_voice_hub_report(talk.hub, talk.channel, talk.net.peers[1], 1000001, 0),
               NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_voice_hub_report(talk.hub, talk.channel + 1, talk.net.peers[1], 0, 0), NECPNET_ERR_NOT_FOUND);
    TEST_OK(necpnet_voice_hub_report(talk.hub, talk.channel, talk.net.peers[0], 500000, 40)); /* his own: of nobody */
    talk_run(&talk, 100);
    TEST_OK(necpnet_voice_get_statistics(talk.voices[0], &statistics));
    TEST_EQUAL(statistics.fec_percent, 0);
    uint64_t reported_us = talk.net.now_us;
    TEST_OK(necpnet_voice_hub_report(talk.hub, talk.channel, talk.net.peers[1], 200000, 40));
    while (statistics.fec_percent == 0 && talk.net.now_us < reported_us + 1000000) {
        talk_run(&talk, 1);
        TEST_OK(necpnet_voice_get_statistics(talk.voices[0], &statistics));
    }
    TEST_CHECK(statistics.fec_percent > 0);
    TEST_CHECK(statistics.bitrate_bps < before.bitrate_bps);
    TEST_AT_MOST(talk.net.now_us - reported_us, 100000);
    talk_end(&talk);
}

TEST(test_voice_goes_on_after_the_connection_was_lost)
{
    struct talk talk;
    talk_begin(&talk);
    talk.net.client_config.udp_timeout_ms = talk.net.server_config.udp_timeout_ms = 2000;
    talk_open(&talk, 2, four);
    talk.speaks[0] = true;
    talk_run(&talk, 500);
    TEST_CHECK(talk.heard[1] > 1000);
    necpnet_link_config cut = talk.net.link_config;
    cut.loss_ppm = 1000000;
    TEST_OK(necpnet_link_configure(talk.net.link, NULL, &cut));
    talk_run(&talk, 4000);
    TEST_OK(necpnet_link_configure(talk.net.link, NULL, &talk.net.link_config));
    talk_run(&talk, 3000);
    TEST_AT_LEAST(talk.net.clients[0].resumed, 1);
    talk_run(&talk, 1000);
    TEST_NEAR(talk.heard[1] / SECOND, 1, 0.05);
    necpnet_voice_hub_statistics statistics;
    TEST_OK(necpnet_voice_hub_get_statistics(talk.hub, &statistics));
    TEST_EQUAL(statistics.members, 2);
    TEST_EQUAL(statistics.packets_stranger, 0);
    talk_end(&talk);
}

TEST(test_voice_needs_no_acknowledgements)
{
    struct talk talk;
    necpnet_statistics before, after;
    talk_begin(&talk);
    talk_open(&talk, 2, four);
    talk_run(&talk, 500);
    TEST_OK(necpnet_client_get_statistics(talk.net.clients[1].client, &before));
    talk_run(&talk, 2000);
    TEST_OK(necpnet_client_get_statistics(talk.net.clients[1].client, &after));
    /* it speaks itself: 200 packets; the 200 that come bring no ACKs of their own but pings and the 64th */
    TEST_AT_MOST(after.packets_sent - before.packets_sent, 200 + 25);
    talk_end(&talk);
}

TEST(test_voice_and_a_server_without_it_do_not_disturb_each_other)
{
    struct talk talk;
    talk_begin(&talk);
    net_serve(&talk.net);
    TEST_OK(necpnet_voice_create(&talk.voice_config, &talk.voices[0]));
    talk.net.client_config.voice = talk.voices[0];
    net_join(&talk.net, NET_URL_UDP);
    talk.speaks[0] = true;
    talk_run(&talk, 1000);
    TEST_EQUAL(talk.net.clients[0].connected, 1);
    TEST_EQUAL(talk.net.clients[0].disconnected, 0);
    talk_end(&talk);
}

TEST_MAIN
