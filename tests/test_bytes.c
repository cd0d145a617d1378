/* Bounded bytes: every integer and varint round, at its limits; failure is sticky and nothing is touched beyond. */
#include "nn_bytes.h"
#include "test.h"

TEST(test_bytes_come_back_as_written)
{
    uint8_t data[64];
    nn_writer writer = nn_writer_of(data, sizeof data);
    nn_write_u8(&writer, 0xfe);
    nn_write_u16(&writer, 0xfedc);
    nn_write_u32(&writer, 0xfedcba98);
    nn_write_u64(&writer, UINT64_C(0xfedcba9876543210));
    nn_write_bytes(&writer, "abc", 3);
    nn_write_bytes(&writer, NULL, 0);
    nn_write_zeroes(&writer, 2);
    TEST_CHECK(!writer.failed);
    TEST_EQUAL(nn_writer_bytes(&writer), 20);
    TEST_EQUAL(nn_writer_left(&writer), 44);
    static const uint8_t expected[20] = {0xfe, 0xdc, 0xfe, 0x98, 0xba, 0xdc, 0xfe, 0x10, 0x32, 0x54,
                                         0x76, 0x98, 0xba, 0xdc, 0xfe, 'a',  'b',  'c',  0,    0};
    TEST_EQUAL_BYTES(data, expected, sizeof expected);
    nn_reader reader = nn_reader_of(data, 20);
    char text[3];
    TEST_EQUAL(nn_read_u8(&reader), 0xfe);
    TEST_EQUAL(nn_read_u16(&reader), 0xfedc);
    TEST_EQUAL(nn_read_u32(&reader), 0xfedcba98);
    TEST_EQUAL(nn_read_u64(&reader), UINT64_C(0xfedcba9876543210));
    nn_read_copy(&reader, text, 3);
    TEST_EQUAL_BYTES(text, "abc", 3);
    TEST_EQUAL_POINTER(nn_read_view(&reader, 2), data + 18);
    TEST_EQUAL(nn_reader_left(&reader), 0);
    TEST_CHECK(!reader.failed);
}

TEST(test_varint_gives_the_examples_of_rfc_9000)
{
    static const uint8_t eight[] = {0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c};
    static const uint8_t four[] = {0x9d, 0x7f, 0x3e, 0x7d};
    static const uint8_t two[] = {0x7b, 0xbd};
    static const uint8_t one_in_two[] = {0x40, 0x25};
    nn_reader reader = nn_reader_of(eight, sizeof eight);
    TEST_EQUAL(nn_read_varint(&reader), UINT64_C(151288809941952652));
    reader = nn_reader_of(four, sizeof four);
    TEST_EQUAL(nn_read_varint(&reader), 494878333);
    reader = nn_reader_of(two, sizeof two);
    TEST_EQUAL(nn_read_varint(&reader), 15293);
    reader = nn_reader_of(one_in_two, sizeof one_in_two);
    TEST_EQUAL(nn_read_varint(&reader), 37);
    TEST_CHECK(!reader.failed);
}

TEST(test_varint_round_at_every_power_of_two)
{
    for (unsigned bits = 0; bits <= 62; bits++) {
        for (int around = -1; around <= 1; around++) {
            uint64_t value = (UINT64_C(1) << bits) + (uint64_t)(int64_t)around;
            if (value > NN_VARINT_MAX) continue;
            uint8_t data[9] = {0};
            nn_writer writer = nn_writer_of(data, 8);
            nn_write_varint(&writer, value);
            TEST_CHECK(!writer.failed);
            TEST_EQUAL(nn_writer_bytes(&writer), nn_varint_bytes(value));
            nn_reader reader = nn_reader_of(data, nn_writer_bytes(&writer));
            TEST_EQUAL(nn_read_varint(&reader), value);
            TEST_EQUAL(nn_reader_left(&reader), 0);
            for (size_t cut = 0; cut < nn_writer_bytes(&writer); cut++) {
                reader = nn_reader_of(data, cut);
                TEST_EQUAL(nn_read_varint(&reader), 0);
                TEST_CHECK(reader.failed);
            }
        }
    }
    uint8_t data[8];
    nn_writer writer = nn_writer_of(data, sizeof data);
    nn_write_varint(&writer, NN_VARINT_MAX + 1);
    TEST_CHECK(writer.failed);
    TEST_EQUAL(nn_writer_bytes(&writer), 0);
}

TEST(test_bytes_fail_at_the_end_and_stay_failed)
{
    uint8_t data[6];
    memset(data, 0x77, sizeof data);
    nn_writer writer = nn_writer_of(data, 5);
    nn_write_u32(&writer, 1);
    nn_write_u16(&writer, 2);
    TEST_CHECK(writer.failed);
    nn_write_u8(&writer, 3); /* would fit */
    TEST_EQUAL(nn_writer_bytes(&writer), 4);
    TEST_EQUAL(data[4], 0x77);
    TEST_EQUAL(data[5], 0x77);
    nn_reader reader = nn_reader_of(data, 5);
    uint64_t copy = UINT64_MAX;
    TEST_EQUAL(nn_read_u32(&reader), 1);
    TEST_EQUAL(nn_read_u16(&reader), 0);
    TEST_CHECK(reader.failed);
    TEST_EQUAL(nn_read_u8(&reader), 0);
    TEST_CHECK(nn_read_view(&reader, 0) == NULL);
    nn_read_copy(&reader, &copy, sizeof copy);
    TEST_EQUAL(copy, 0);
    reader = nn_reader_of(data, 5);
    TEST_CHECK(nn_read_view(&reader, SIZE_MAX) == NULL);
    reader = nn_reader_of(NULL, 0);
    TEST_EQUAL(nn_read_u8(&reader), 0);
    TEST_CHECK(reader.failed);
}

TEST(test_compare_in_constant_time_sees_every_bit)
{
    uint8_t a[33], b[33];
    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof a);
    TEST_CHECK(nn_equal_constant_time(a, b, sizeof a));
    TEST_CHECK(nn_equal_constant_time(a, b, 0));
    for (size_t bit = 0; bit < sizeof a * 8; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        TEST_CHECK(!nn_equal_constant_time(a, b, sizeof a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    nn_wipe(a, 32);
    TEST_EQUAL(a[31], 0);
    TEST_EQUAL(a[32], 0x5a);
}

TEST_MAIN
