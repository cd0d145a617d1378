/* Bit streams: any widths in any order come back; the layout is fixed; nothing is read or written beyond the end. */
#include "nn_bits.h"
#include "test.h"

TEST(test_bits_lie_least_significant_first)
{
    uint8_t data[3] = {0xff, 0xff, 0xff};
    nn_bit_writer writer = nn_bit_writer_of(data, 3);
    nn_bits_write(&writer, 1, 1);
    nn_bits_write(&writer, 0, 2);
    nn_bits_write(&writer, 0x1f5, 9); /* 1 1111 0101 */
    TEST_EQUAL(nn_bits_bytes(&writer), 2);
    TEST_EQUAL(data[0], 0xa9);
    TEST_EQUAL(data[1], 0x0f);
    TEST_EQUAL(data[2], 0xff);
}

TEST(test_bits_come_back_in_every_width)
{
    TEST_EACH_SEED (seed, 200) {
        struct test_random random = test_random_begin(seed);
        uint8_t data[256];
        unsigned widths[400];
        uint64_t values[400];
        test_random_bytes(&random, data, sizeof data); /* what was there before must not shine through */
        nn_bit_writer writer = nn_bit_writer_of(data, sizeof data);
        int count = 0;
        while (count < 400) {
            unsigned bits = (unsigned)test_random_below(&random, 65);
            uint64_t value = test_random_next(&random);
            size_t before = writer.bit_count;
            nn_bits_write(&writer, value, bits);
            if (writer.failed) {
                TEST_EQUAL(writer.bit_count, before);
                break;
            }
            widths[count] = bits;
            values[count++] = bits == 64 ? value : value & ((UINT64_C(1) << bits) - 1);
        }
        nn_bit_reader reader = nn_bit_reader_of(data, nn_bits_bytes(&writer));
        for (int i = 0; i < count; i++) TEST_EQUAL(nn_bits_read(&reader, widths[i]), values[i]);
        TEST_CHECK(!reader.failed);
        TEST_LESS(reader.bit_count - reader.bit_at, 8);
        TEST_EQUAL(nn_bits_read(&reader, (unsigned)(reader.bit_count - reader.bit_at)), 0); /* padding */
    }
}

TEST(test_bits_fail_at_the_end_and_rewind)
{
    uint8_t data[2] = {0, 0x77};
    nn_bit_writer writer = nn_bit_writer_of(data, 1);
    nn_bits_write(&writer, 5, 3);
    size_t mark = writer.bit_count;
    nn_bits_write(&writer, 63, 6);
    TEST_CHECK(writer.failed);
    nn_bits_write(&writer, 1, 1);
    TEST_EQUAL(writer.bit_count, 3);
    TEST_EQUAL(data[1], 0x77);
    nn_bits_rewind(&writer, mark);
    nn_bits_write(&writer, 31, 5);
    TEST_CHECK(!writer.failed);
    TEST_EQUAL(data[0], 0xfd);
    nn_bits_rewind(&writer, 1);
    nn_bits_write(&writer, 0, 7);
    TEST_EQUAL(data[0], 0x01);
    nn_bit_reader reader = nn_bit_reader_of(data, 1);
    TEST_EQUAL(nn_bits_read(&reader, 9), 0);
    TEST_CHECK(reader.failed);
    TEST_EQUAL(nn_bits_read(&reader, 1), 0);
    reader = nn_bit_reader_of(data, 0);
    TEST_EQUAL(nn_bits_read(&reader, 0), 0);
    TEST_CHECK(!reader.failed);
}

TEST(test_bits_for_holds_the_value_and_no_more)
{
    TEST_EQUAL(nn_bits_for(0), 0);
    TEST_EQUAL(nn_bits_for(1), 1);
    TEST_EQUAL(nn_bits_for(2), 2);
    TEST_EQUAL(nn_bits_for(255), 8);
    TEST_EQUAL(nn_bits_for(256), 9);
    TEST_EQUAL(nn_bits_for(UINT64_MAX), 64);
}

TEST_MAIN
