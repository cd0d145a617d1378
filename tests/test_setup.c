/* test_setup - the SETUP frame: full and least contents, growth, each limit, truncation, random damage. */
#include "test.h"

#include "nn_frame.h"
#include "nn_setup.h"

static uint8_t setup_data[NN_SETUP_BODY_BYTES_MAX + 16];
static nn_setup setup_one;
static nn_setup setup_two;

static void setup_sample(nn_setup* setup, int channels)
{
    necpnet_channel_config table[NECPNET_CHANNELS_MAX];
    memset(table, 0, sizeof table);
    for (int i = 0; i < channels; i++) {
        table[i].mode = (necpnet_channel_mode)(i % 5);
        table[i].message_bytes_max = i % 2 ? 65536 : 1000u + (unsigned)i;
        table[i].window_bytes = i % 3 ? 1u << 20 : 2u << 20;
    }
    nn_setup_init(setup, NN_ROLE_SERVER);
    nn_setup_set_channels(setup, table, channels);
    setup->features = NN_FEATURE_STATE | NN_FEATURE_LZ4;
    setup->session_id = UINT64_MAX;
    setup->schema_hash = UINT64_C(0xfeedface);
    setup->tick_hz = 60;
    setup->tick = UINT32_MAX;
    setup->time_us = UINT64_C(1) << 60;
    setup->datagram_bytes_max = 65507;
}

static size_t setup_write(const nn_setup* setup)
{
    nn_writer writer = nn_writer_of(setup_data, sizeof setup_data);
    nn_setup_write(&writer, setup);
    TEST_CHECK(!writer.failed);
    TEST_EQUAL(nn_writer_bytes(&writer), nn_setup_bytes(setup));
    TEST_EQUAL(setup_data[0], NN_FRAME_SETUP);
    return nn_writer_bytes(&writer);
}

static necpnet_result setup_read(size_t bytes, nn_setup* out)
{
    nn_reader reader = nn_reader_of(setup_data + 1, bytes - 1);
    return nn_setup_read(&reader, out);
}

TEST(test_setup_reads_as_written)
{
    for (int channels = 1; channels <= NECPNET_CHANNELS_MAX; channels += 21) {
        setup_sample(&setup_one, channels);
        TEST_OK(setup_read(setup_write(&setup_one), &setup_two));
        TEST_EQUAL(setup_two.role, NN_ROLE_SERVER);
        TEST_EQUAL(setup_two.features, setup_one.features);
        TEST_EQUAL(setup_two.session_id, setup_one.session_id);
        TEST_EQUAL(setup_two.schema_hash, setup_one.schema_hash);
        TEST_EQUAL(setup_two.tick_hz, 60);
        TEST_EQUAL(setup_two.tick, UINT32_MAX);
        TEST_EQUAL(setup_two.time_us, setup_one.time_us);
        TEST_EQUAL(setup_two.datagram_bytes_max, 65507);
        TEST_EQUAL(setup_two.channel_count, channels);
        for (int i = 0; i < channels; i++) {
            TEST_EQUAL(setup_two.channels[i].mode, setup_one.channels[i].mode);
            TEST_EQUAL(setup_two.channels[i].message_bytes_max, setup_one.channels[i].message_bytes_max);
            TEST_EQUAL(setup_two.channels[i].window_bytes, setup_one.channels[i].window_bytes);
        }
        TEST_EQUAL(setup_two.credential_kind, NN_CREDENTIAL_NONE);
        TEST_CHECK(nn_setup_compare_channels(&setup_one, &setup_two, NULL, 0));
    }
}

TEST(test_setup_with_the_largest_table_fits_a_first_datagram)
{
    setup_sample(&setup_one, NECPNET_CHANNELS_MAX);
    for (int i = 0; i < NECPNET_CHANNELS_MAX; i++) {
        setup_one.channels[i].mode = NECPNET_RELIABLE_ORDERED;
        setup_one.channels[i].message_bytes_max = NECPNET_MESSAGE_BYTES_MAX;
        setup_one.channels[i].window_bytes = 64u << 20;
    }
    TEST_AT_MOST(setup_write(&setup_one), 800); /* what AUTH has room for */
    TEST_OK(setup_read(nn_setup_bytes(&setup_one), &setup_two));
}

TEST(test_setup_carries_each_kind_of_credential)
{
    static uint8_t credential[NN_SETUP_TEXT_BYTES_MAX];
    static const struct {
        nn_credential_kind kind;
        size_t bytes;
    } cases[] = {{NN_CREDENTIAL_TOKEN, 212},
                 {NN_CREDENTIAL_TEXT, 1},
                 {NN_CREDENTIAL_TEXT, NN_SETUP_TEXT_BYTES_MAX},
                 {NN_CREDENTIAL_TICKET, NN_SETUP_TICKET_BYTES_MAX}};
    for (size_t i = 0; i < sizeof credential; i++) credential[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        setup_sample(&setup_one, 5);
        setup_one.role = NN_ROLE_CLIENT;
        setup_one.credential_kind = cases[i].kind;
        setup_one.credential = credential;
        setup_one.credential_bytes = cases[i].bytes;
        TEST_OK(setup_read(setup_write(&setup_one), &setup_two));
        TEST_EQUAL(setup_two.credential_kind, cases[i].kind);
        TEST_EQUAL(setup_two.credential_bytes, cases[i].bytes);
        TEST_EQUAL_BYTES(setup_two.credential, credential, cases[i].bytes);
    }
}

TEST(test_setup_skips_what_a_later_version_adds)
{
    static uint8_t grown[256];
    setup_sample(&setup_one, 1);
    size_t bytes = setup_write(&setup_one);
    nn_reader old = nn_reader_of(setup_data + 1, bytes - 1);
    uint64_t body_bytes = nn_read_varint(&old);
    TEST_EQUAL(body_bytes, nn_reader_left(&old));
    nn_writer writer = nn_writer_of(grown, sizeof grown);
    nn_write_varint(&writer, body_bytes + 5);
    nn_write_bytes(&writer, old.at, (size_t)body_bytes);
    nn_write_bytes(&writer, "later!", 6);
    TEST_CHECK(!writer.failed);
    nn_reader reader = nn_reader_of(grown, nn_writer_bytes(&writer));
    TEST_OK(nn_setup_read(&reader, &setup_two));
    TEST_EQUAL(setup_two.tick_hz, 60);
    TEST_EQUAL(nn_reader_left(&reader), 1); /* the next frame begins there */
}

TEST(test_setup_of_another_version_says_so)
{
    setup_sample(&setup_one, 3);
    setup_one.version = 2;
    TEST_EQUAL(setup_read(setup_write(&setup_one), &setup_two), NECPNET_ERR_VERSION_DIFFERS);
    TEST_EQUAL(setup_two.version, 2);
    TEST_EQUAL(setup_two.role, NN_ROLE_SERVER);
}

TEST(test_setup_refuses_values_out_of_range)
{
    for (int fault = 0; fault < 8; fault++) {
        TEST_HINT("fault %d", fault);
        setup_sample(&setup_one, 5);
        switch (fault) {
        case 0: setup_one.channels[4].message_bytes_max = 0; break;
        case 1: setup_one.channels[4].message_bytes_max = NECPNET_MESSAGE_BYTES_MAX + 1; break;
        case 2: setup_one.channels[4].window_bytes = 10; break;
        case 3: setup_one.channels[4].window_bytes = (64u << 20) + 1; break;
        case 4: setup_one.channels[2].mode = 5; break;
        case 5: setup_one.tick_hz = 1001; break;
        case 6: setup_one.tick_hz = 0; break;
        default: setup_one.datagram_bytes_max = 63; break;
        }
        TEST_EQUAL(setup_read(setup_write(&setup_one), &setup_two), NECPNET_ERR_PROTOCOL);
    }
}

TEST(test_setup_refuses_a_hash_that_is_not_of_its_table)
{
    setup_sample(&setup_one, 1);
    setup_one.channels[0].message_bytes_max = 1000;
    size_t bytes = setup_write(&setup_one);
    setup_data[bytes - 2] ^= 1; /* low byte of message_bytes_max: still in range */
    TEST_EQUAL(setup_read(bytes, &setup_two), NECPNET_ERR_PROTOCOL);
}

TEST(test_setup_refuses_every_truncation)
{
    static uint8_t credential[212];
    setup_sample(&setup_one, 7);
    setup_one.credential_kind = NN_CREDENTIAL_TOKEN;
    setup_one.credential = credential;
    setup_one.credential_bytes = sizeof credential;
    size_t bytes = setup_write(&setup_one);
    for (size_t cut = 1; cut < bytes; cut++) TEST_EQUAL(setup_read(cut, &setup_two), NECPNET_ERR_PROTOCOL);
    /* and a body that claims less than it has */
    for (size_t claim = 0; claim < 60; claim++) {
        setup_write(&setup_one);
        setup_data[1] = 0x40;
        setup_data[2] = (uint8_t)claim;
        TEST_EQUAL(setup_read(bytes, &setup_two), NECPNET_ERR_PROTOCOL);
    }
}

TEST(test_setup_survives_random_bytes)
{
    TEST_EACH_SEED (seed, 300) {
        struct test_random random = test_random_begin(seed);
        size_t bytes = 2 + (size_t)test_random_below(&random, 300);
        test_random_bytes(&random, setup_data, bytes);
        setup_data[1] = (uint8_t)test_random_below(&random, 64);
        if (setup_read(bytes, &setup_two) == NECPNET_OK) {
            TEST_AT_LEAST(setup_two.channel_count, 1);
            TEST_AT_MOST(setup_two.channel_count, NECPNET_CHANNELS_MAX);
        }
    }
}

TEST(test_setup_names_the_first_difference)
{
    char text[NN_SETUP_DIFFERENCE_BYTES_MAX];
    setup_sample(&setup_one, 3);
    setup_sample(&setup_two, 3);
    TEST_CHECK(nn_setup_compare_channels(&setup_one, &setup_two, text, sizeof text));
    TEST_EQUAL_STRING(text, "");
    setup_two.channels[1].window_bytes = 5; /* each side's own choice */
    TEST_CHECK(nn_setup_compare_channels(&setup_one, &setup_two, text, sizeof text));
    setup_one.channels[2].mode = NECPNET_RELIABLE_ORDERED;
    setup_two.channels[2].mode = NECPNET_UNRELIABLE;
    TEST_CHECK(!nn_setup_compare_channels(&setup_one, &setup_two, text, sizeof text));
    TEST_EQUAL_STRING(text, "channel 2: client reliable ordered, server unreliable");
    setup_two.channels[1].message_bytes_max = 77;
    TEST_CHECK(!nn_setup_compare_channels(&setup_one, &setup_two, text, sizeof text));
    TEST_EQUAL_STRING(text, "channel 1: message_bytes_max: client 65536, server 77");
    setup_sample(&setup_two, 4);
    setup_sample(&setup_one, 3);
    TEST_CHECK(!nn_setup_compare_channels(&setup_one, &setup_two, text, sizeof text));
    TEST_EQUAL_STRING(text, "number of channels: client 3, server 4");
    TEST_NOT_EQUAL(nn_setup_channels_hash(&setup_one), nn_setup_channels_hash(&setup_two));
}

TEST_MAIN
