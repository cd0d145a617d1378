/* test_voice_relay - aim: groups shared by the hubs of several servers are heard by the members of all, each hub doing its
 * part: limits where somebody speaks, mute, deafness, distance and loudness where somebody listens. Method: three hubs with
 * members whose connections the test plays, batches carried between them by hand: in order, never, cut, changed. */
#include "kit_voice.h"
#include "nn_voice_hub.h"
#include "test.h"

#define HUBS 3
#define PEOPLE 4

struct place {
    necpnet_voice_hub* hub;
    const nn_voice_port* ports[PEOPLE];
    necpnet_voice_group channel, near_group;
    uint32_t named, forgotten; /* VOICE_STREAM to anybody */
    uint64_t last_user;
};

struct town {
    struct necpnet_allocator allocator;
    necpnet_voice_hub_config config;
    struct place places[HUBS];
    uint64_t now_us;
    uint8_t sequence;
};

#define CHANNEL_KEY 77
#define NEAR_KEY 78

static necpnet_peer peer_of(uint32_t i)
{
    return (necpnet_peer)3 << 32 | (i + 1);
}

static uint64_t user_of(uint32_t hub, uint32_t i)
{
    return 100 * (hub + 1) + i;
}

static void place_wake(void* user, necpnet_peer peer)
{
    (void)user;
    (void)peer;
}

static necpnet_result place_control(void* user, necpnet_peer peer, const void* data, size_t bytes)
{
    struct place* place = (struct place*)user;
    nn_reader reader = nn_reader_of((const uint8_t*)data, bytes);
    (void)peer;
    if (nn_read_u8(&reader) != NN_CONTROL_VOICE_STREAM) return NECPNET_OK;
    (void)nn_read_u32(&reader);
    if (nn_read_u8(&reader) == 0xff) {
        place->forgotten++;
    } else {
        place->named++;
        place->last_user = nn_read_u64(&reader);
    }
    return NECPNET_OK;
}

static void town_prepare(struct town* town)
{
    memset(town, 0, sizeof *town);
    town->allocator = test_allocator();
    town->now_us = 1000000;
    TEST_OK(necpnet_voice_hub_config_default(&town->config));
    town->config.allocator = town->allocator;
}

static necpnet_result town_open(struct town* town)
{
    necpnet_result result = NECPNET_OK;
    for (uint32_t at = 0; at < HUBS && !result; at++) {
        struct place* place = &town->places[at];
        town->config.relay_id = at + 1;
        result = necpnet_voice_hub_create(&town->config, &place->hub);
        if (result) break;
        nn_voice_server server = {place_wake, place_control, place};
        place->hub->server = server;
        nn_voice_hub_set_time(place->hub, town->now_us);
        result = necpnet_voice_hub_group_create(place->hub, NECPNET_VOICE_CHANNEL, 0, 100, &place->channel);
        if (!result)
            result = necpnet_voice_hub_group_create(place->hub, NECPNET_VOICE_PROXIMITY, 10, 100, &place->near_group);
        if (!result) result = necpnet_voice_hub_share(place->hub, place->channel, CHANNEL_KEY);
        if (!result) result = necpnet_voice_hub_share(place->hub, place->near_group, NEAR_KEY);
        for (uint32_t i = 0; i < PEOPLE && !result; i++) {
            result = nn_voice_hub_attach(place->hub, peer_of(i), user_of(at, i), &place->ports[i]);
            if (result) break;
            place->ports[i]->open(place->ports[i]->user, true);
            if (i < PEOPLE - 1) result = necpnet_voice_hub_join(place->hub, place->channel, peer_of(i));
            if (!result) result = necpnet_voice_hub_join(place->hub, place->near_group, peer_of(i));
        }
    }
    return result;
}

static void town_begin(struct town* town)
{
    town_prepare(town);
    TEST_OK(town_open(town));
}

static void town_end(struct town* town)
{
    for (uint32_t at = 0; at < HUBS; at++) necpnet_voice_hub_destroy(town->places[at].hub);
}

/* What waits at each hub, to the others. Returns the bytes of all. */
static size_t town_carry(struct town* town)
{
    size_t sum = 0;
    for (uint32_t at = 0; at < HUBS; at++) {
        const void* data;
        size_t bytes;
        if (!necpnet_voice_hub_take_relay(town->places[at].hub, &data, &bytes)) continue;
        sum += bytes;
        for (uint32_t to = 0; to < HUBS; to++) /* to itself as well, as a bus does */
            TEST_OK(necpnet_voice_hub_give_relay(town->places[to].hub, data, bytes, town->now_us));
    }
    return sum;
}

static const uint8_t opus[] = {9 << 3, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static bool say(struct town* town, uint32_t at, uint32_t who, uint32_t group, uint8_t level)
{
    uint8_t bytes[64];
    nn_voice_frame frame = {0, NN_VOICE_CODEC_OPUS, level, town->sequence++, 5, group << 2, opus, sizeof opus};
    const nn_voice_port* port = town->places[at].ports[who];
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_voice_write(&writer, &frame);
    nn_reader reader = nn_reader_of(bytes + 1, nn_writer_bytes(&writer) - 1);
    return port->read(port->user, bytes[0], &reader, town->now_us);
}

/* How many packets wait for somebody; takes them. out: the last; reports: rows of VOICE_REPORT. */
static uint32_t hear_with(struct town* town, uint32_t at, uint32_t who, nn_voice_frame* out, uint32_t* reports)
{
    return kit_voice_hear(town->places[at].ports[who], town->now_us, out, reports);
}

static uint32_t hear(struct town* town, uint32_t at, uint32_t who)
{
    return hear_with(town, at, who, NULL, NULL);
}

static necpnet_voice_hub_statistics counts_of(struct town* town, uint32_t at)
{
    necpnet_voice_hub_statistics counts;
    TEST_OK(necpnet_voice_hub_get_statistics(town->places[at].hub, &counts));
    return counts;
}

TEST(test_relay_a_shared_channel_is_heard_at_every_hub_by_its_members_alone)
{
    struct town town;
    nn_voice_frame frame;
    town_begin(&town);
    TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9));
    TEST_AT_LEAST(town_carry(&town), 1);
    TEST_EQUAL(town_carry(&town), 0); /* nothing goes round */
    TEST_EQUAL(hear(&town, 0, 0), 0);
    TEST_EQUAL(hear(&town, 0, 1), 1);
    for (uint32_t at = 1; at < HUBS; at++) {
        for (uint32_t i = 0; i < PEOPLE - 1; i++) {
            TEST_EQUAL(hear_with(&town, at, i, &frame, NULL), 1);
            TEST_EQUAL(frame.level, 9);
            TEST_EQUAL(frame.time, 5);
            TEST_EQUAL(frame.kind, NECPNET_VOICE_CHANNEL);
            TEST_EQUAL_BYTES(frame.payload, opus, sizeof opus);
        }
        TEST_EQUAL(hear(&town, at, PEOPLE - 1), 0); /* not in it */
        TEST_EQUAL(town.places[at].named, PEOPLE - 1);
        TEST_EQUAL(town.places[at].last_user, user_of(0, 0));
        TEST_EQUAL(counts_of(&town, at).relay_received, 1);
        TEST_EQUAL(counts_of(&town, at).speaking, 0); /* counted where he is */
    }
    TEST_EQUAL(counts_of(&town, 0).relay_sent, 1);
    TEST_EQUAL(counts_of(&town, 0).speaking, 1);
    necpnet_voice_hub_event event;
    TEST_CHECK(necpnet_voice_hub_poll(town.places[0].hub, &event) && event.type == NECPNET_VOICE_HUB_SPEAKING);
    TEST_CHECK(!necpnet_voice_hub_poll(town.places[1].hub, &event));
    town_end(&town);
}

TEST(test_relay_the_listeners_hub_enforces_mute_deafness_distance_and_the_loudest)
{
    struct town town;
    const float here[3] = {0, 0, 0}, close_by[3] = {5, 0, 0}, far_off[3] = {50, 0, 0};
    uint8_t wish[9] = {NN_VOICE_WISH_MUTE, (uint8_t)user_of(0, 0), 0, 0, 0, 0, 0, 0, 0};
    town_begin(&town);
    necpnet_voice_hub* other = town.places[1].hub;
    TEST_CHECK(nn_voice_hub_take_wish(other, peer_of(0), wish, sizeof wish));
    TEST_OK(necpnet_voice_hub_deafen(other, town.places[1].channel, peer_of(1), true));
    TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9));
    town_carry(&town);
    TEST_EQUAL(hear(&town, 1, 0), 0);
    TEST_EQUAL(hear(&town, 1, 1), 0);
    TEST_EQUAL(hear(&town, 1, 2), 1);
    TEST_EQUAL(counts_of(&town, 1).copies_unheard, 2);

    TEST_OK(necpnet_voice_hub_set_position(town.places[0].hub, peer_of(1), 4, here));
    TEST_OK(necpnet_voice_hub_set_position(other, peer_of(0), 4, close_by));
    TEST_OK(necpnet_voice_hub_set_position(other, peer_of(2), 4, far_off));
    TEST_OK(necpnet_voice_hub_set_position(other, peer_of(3), 5, here));
    TEST_CHECK(say(&town, 0, 1, town.places[0].near_group, 9));
    town_carry(&town);
    TEST_EQUAL(hear(&town, 1, 0), 1);
    TEST_EQUAL(hear(&town, 1, 1), 0); /* nobody knows where he is */
    TEST_EQUAL(hear(&town, 1, 2), 0);
    TEST_EQUAL(hear(&town, 1, 3), 0);
    town_end(&town);

    town_prepare(&town);
    town.config.loudest = 1;
    TEST_OK(town_open(&town));
    TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 12));
    TEST_CHECK(say(&town, 2, 0, town.places[2].channel, 4));
    town_carry(&town);
    TEST_EQUAL(hear(&town, 1, 0), 1);
    TEST_EQUAL(counts_of(&town, 1).copies_quiet, PEOPLE - 1);
    town_end(&town);
}

TEST(test_relay_the_senders_hub_enforces_limits_silence_and_membership)
{
    struct town town;
    town_begin(&town);
    TEST_CHECK(say(&town, 0, 3, town.places[0].channel, 9)); /* not in it */
    TEST_OK(necpnet_voice_hub_silence(town.places[0].hub, town.places[0].channel, peer_of(1), true));
    TEST_CHECK(say(&town, 0, 1, town.places[0].channel, 9));
    TEST_EQUAL(town_carry(&town), 0);
    for (int i = 0; i < 1000; i++) TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9));
    town_carry(&town);
    TEST_EQUAL(counts_of(&town, 0).relay_sent, town.config.packets_per_s_max / 2);
    TEST_EQUAL(counts_of(&town, 1).relay_received, town.config.packets_per_s_max / 2);
    TEST_OK(necpnet_voice_hub_share(town.places[0].hub, town.places[0].channel, 0)); /* and no longer */
    town.now_us += 1000000;
    TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9));
    TEST_EQUAL(town_carry(&town), 0);
    town_end(&town);
}

TEST(test_relay_reports_of_listeners_reach_the_sender_and_nobody_else)
{
    struct town town;
    uint8_t bytes[64];
    nn_voice_frame frame;
    uint32_t reports[HUBS] = {0};
    town_begin(&town);
    for (uint32_t at = 0; at < HUBS; at++) TEST_CHECK(say(&town, at, 0, town.places[at].channel, 9));
    town_carry(&town);
    TEST_EQUAL(hear(&town, 1, 0), 2);
    TEST_EQUAL(hear_with(&town, 1, 1, &frame, NULL), 3);
    /* the names were given in the order of the batches: 0's stream came first */
    uint32_t number = town.places[1].hub->relay.far_count == 2 ? 1 : 99;
    TEST_EQUAL(town.places[1].hub->streams[number].source->user, user_of(0, 0));
    nn_voice_report row = {number, 60, 7};
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_voice_write_reports(&writer, &row, 1);
    nn_reader reader = nn_reader_of(bytes + 1, nn_writer_bytes(&writer) - 1);
    const nn_voice_port* port = town.places[1].ports[1];
    TEST_CHECK(port->read(port->user, bytes[0], &reader, town.now_us));
    town_carry(&town);
    town.now_us += NN_VOICE_TELL_US;
    for (uint32_t at = 0; at < HUBS; at++) (void)hear_with(&town, at, 0, NULL, &reports[at]);
    TEST_EQUAL(reports[0], 1);
    TEST_EQUAL(reports[1], 0);
    TEST_EQUAL(reports[2], 0);
    TEST_EQUAL(town.places[0].hub->streams[0].told_loss, 51); /* 20 % */
    TEST_EQUAL(town.places[0].hub->streams[0].told_jitter_ms, 7);
    /* measured by other means, of all who speak */
    TEST_OK(necpnet_voice_hub_report(town.places[1].hub, town.places[1].channel, peer_of(2), 500000, 9));
    town_carry(&town);
    town.now_us += NN_VOICE_TELL_US;
    for (uint32_t at = 0; at < HUBS; at++) (void)hear_with(&town, at, 0, NULL, &reports[at]);
    TEST_EQUAL(reports[0], 2);
    TEST_EQUAL(reports[1], 1);
    TEST_EQUAL(reports[2], 1);
    town_end(&town);
}

TEST(test_relay_who_leaves_moves_or_dies_is_forgotten_and_gives_back_his_number)
{
    struct town town;
    necpnet_voice_hub_event event;
    town_begin(&town);
    TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9));
    town_carry(&town);
    TEST_EQUAL(town.places[1].hub->relay.far_count, 1);
    nn_voice_hub_detach(town.places[0].hub, peer_of(0)); /* his session is over */
    town_carry(&town);
    TEST_EQUAL(town.places[1].hub->relay.far_count, 0);
    TEST_EQUAL(town.places[1].forgotten, PEOPLE - 1);
    TEST_EQUAL(town.places[1].hub->streams[0].source == NULL, true);

    nn_voice_hub_detach(town.places[2].hub, peer_of(2)); /* the same user comes back at another hub */
    TEST_OK(nn_voice_hub_attach(town.places[2].hub, peer_of(2), user_of(0, 0), &town.places[2].ports[2]));
    town.places[2].ports[2]->open(town.places[2].ports[2]->user, true);
    TEST_OK(necpnet_voice_hub_join(town.places[2].hub, town.places[2].channel, peer_of(2)));
    TEST_CHECK(say(&town, 2, 2, town.places[2].channel, 9));
    town_carry(&town);
    (void)hear(&town, 1, 0);
    TEST_EQUAL(town.places[1].last_user, user_of(0, 0));
    TEST_EQUAL(town.places[1].hub->relay.far_count, 1);

    necpnet_voice_hub_destroy(town.places[2].hub); /* dies without a word */
    town.places[2].hub = NULL;
    town.config.relay_id = 3;
    TEST_OK(necpnet_voice_hub_create(&town.config, &town.places[2].hub));
    town.now_us += NN_VOICE_FAR_US - 1;
    nn_voice_hub_set_time(town.places[1].hub, town.now_us);
    (void)necpnet_voice_hub_poll(town.places[1].hub, &event);
    TEST_EQUAL(town.places[1].hub->relay.far_count, 1);
    town.now_us += 100000;
    nn_voice_hub_set_time(town.places[1].hub, town.now_us);
    (void)necpnet_voice_hub_poll(town.places[1].hub, &event);
    TEST_EQUAL(town.places[1].hub->relay.far_count, 0);
    TEST_EQUAL(town.places[1].hub->streams[0].source == NULL, true);
    /* those who stay go on */
    TEST_CHECK(say(&town, 0, 1, town.places[0].channel, 9));
    town_carry(&town);
    TEST_EQUAL(hear(&town, 1, 1), 1);
    town_end(&town);
}

TEST(test_relay_takes_nothing_that_it_does_not_understand)
{
    struct town town;
    uint8_t batch[512], changed[512];
    const void* data;
    size_t bytes;
    town_begin(&town);
    const float here[3] = {0, 0, 0};
    TEST_OK(necpnet_voice_hub_set_position(town.places[0].hub, peer_of(0), 0, here));
    TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9));
    TEST_CHECK(say(&town, 0, 0, town.places[0].near_group, 9));
    TEST_CHECK(necpnet_voice_hub_take_relay(town.places[0].hub, &data, &bytes));
    TEST_LESS(bytes, sizeof batch);
    memcpy(batch, data, bytes);
    size_t first = 8 + 1 + 8 + 8 + 8 + 1 + 5 + sizeof opus;
    for (size_t cut = 0; cut < bytes; cut++) {
        necpnet_result result = necpnet_voice_hub_give_relay(town.places[1].hub, batch, cut, town.now_us);
        TEST_EQUAL(result, cut == 8 || cut == first ? NECPNET_OK : NECPNET_ERR_BAD_DATA);
    }
    for (size_t at = 0; at < bytes; at++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(changed, batch, bytes);
            changed[at] ^= (uint8_t)(1 << bit);
            (void)necpnet_voice_hub_give_relay(town.places[2].hub, changed, bytes, town.now_us);
        }
    }
    TEST_EQUAL(necpnet_voice_hub_give_relay(NULL, batch, bytes, 0), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_voice_hub_share(NULL, 1, 1), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(necpnet_voice_hub_share(town.places[0].hub, 999, 1), NECPNET_ERR_NOT_FOUND);
    TEST_EQUAL(necpnet_voice_hub_share(town.places[0].hub, town.places[0].channel, NEAR_KEY),
               NECPNET_ERR_ALREADY_EXISTS);
    TEST_CHECK(!necpnet_voice_hub_take_relay(NULL, &data, &bytes));
    town_end(&town);
}

TEST(test_relay_what_nobody_takes_is_bounded_and_counted)
{
    struct town town;
    const void* data;
    size_t bytes;
    town_prepare(&town);
    town.config.packets_per_s_max = 1000;
    town.config.bytes_per_s_max = 1000000;
    TEST_OK(town_open(&town));
    for (int i = 0; i < 40000; i++) {
        town.now_us += 1000;
        TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9));
        (void)hear(&town, 0, 1);
        (void)hear(&town, 0, 2);
    }
    TEST_AT_LEAST(counts_of(&town, 0).relay_dropped, 1000);
    TEST_EQUAL(counts_of(&town, 0).relay_sent + counts_of(&town, 0).relay_dropped, 40000);
    TEST_CHECK(necpnet_voice_hub_take_relay(town.places[0].hub, &data, &bytes));
    TEST_AT_LEAST(NN_VOICE_RELAY_BYTES_MAX, bytes);
    TEST_OK(necpnet_voice_hub_give_relay(town.places[1].hub, data, bytes, town.now_us));
    TEST_CHECK(say(&town, 0, 0, town.places[0].channel, 9)); /* and goes on */
    TEST_CHECK(necpnet_voice_hub_take_relay(town.places[0].hub, &data, &bytes));
    town_end(&town);
}

TEST(test_relay_survives_each_failing_allocation)
{
    TEST_EACH_ALLOCATION_FAILS {
        struct town town;
        town_prepare(&town);
        necpnet_result result = town_open(&town);
        if (!result) {
            (void)say(&town, 0, 0, town.places[0].channel, 9);
            town_carry(&town);
            for (uint32_t at = 0; at < HUBS; at++) (void)hear(&town, at, 1);
            nn_voice_hub_detach(town.places[0].hub, peer_of(0));
            town_carry(&town);
        }
        town_end(&town);
    }
}

TEST_MAIN
