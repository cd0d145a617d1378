/* test_utf8 - against a decoder written from RFC 3629 another way: by the value of the code point. */
#include "test.h"

#include "nn_utf8.h"

/* Length of the valid sequence at data, 0 if there is none within bytes. */
static size_t sequence_bytes(const uint8_t* data, size_t bytes)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = data[0] < 0x80 ? 1 : data[0] >> 5 == 6 ? 2 : data[0] >> 4 == 14 ? 3 : data[0] >> 3 == 30 ? 4 : 0;
    if (!length || length > bytes) return 0;
    uint32_t point = length == 1 ? data[0] : data[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (data[i] >> 6 != 2) return 0;
        point = point << 6 | (data[i] & 0x3f);
    }
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return 0;
    return length;
}

static bool is_valid(const uint8_t* data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        size_t length = sequence_bytes(data + at, bytes - at);
        if (!length) return false;
        at += length;
    }
    return true;
}

static void compare(const uint8_t* data, size_t bytes)
{
    if (nn_utf8_valid(data, bytes) != is_valid(data, bytes)) {
        TEST_FAIL("%02x %02x %02x %02x (%d bytes)", data[0], data[1], data[2], data[3], (int)bytes);
    }
}

TEST(test_utf8_agrees_on_all_sequences_of_three_bytes_and_their_fourth)
{
    static const uint8_t fourths[] = {0x00, 0x7f, 0x80, 0xbf, 0xc2, 0xf0, 0xff};
    for (uint32_t value = 0; value < 1u << 24; value++) {
        uint8_t data[4] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value, 0};
        compare(data, 3);
        if (data[0] < 0xf0) continue;
        for (size_t i = 0; i < NN_COUNT(fourths); i++) {
            data[3] = fourths[i];
            compare(data, 4);
        }
    }
}

TEST(test_utf8_agrees_at_every_place_among_letters)
{
    static const char* const parts[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8e\xae", "\xff", "\xed\xa0\x80", "\xc3"};
    for (size_t i = 0; i < NN_COUNT(parts); i++) {
        for (size_t place = 0; place < 20; place++) {
            uint8_t data[40];
            memset(data, 'a', sizeof data);
            memcpy(data + place, parts[i], strlen(parts[i]));
            for (size_t bytes = 4; bytes < sizeof data; bytes++) compare(data, bytes);
        }
    }
}

TEST(test_utf8_fails_at_the_first_impossible_byte_and_in_any_pieces)
{
    TEST_EACH_SEED (seed, 2000) {
        static const char* const parts[] = {
            "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8e\xae", "\xf4\x8f\xbf\xbf", "12345678"};
        struct test_random random = test_random_begin(seed);
        uint8_t data[64];
        size_t bytes = 0;
        while (bytes < 40) {
            const char* part = parts[test_random_below(&random, NN_COUNT(parts))];
            memcpy(data + bytes, part, strlen(part));
            bytes += strlen(part);
        }
        if (test_random_below(&random, 2)) data[test_random_below(&random, bytes)] = (uint8_t)test_random_next(&random);
        nn_utf8 utf8 = {0, 0, 0};
        bool good = true;
        for (size_t at = 0; good && at < bytes; at++) {
            good = nn_utf8_feed(&utf8, data + at, 1);
            bool could_be = false; /* some continuation makes it valid: as it is, or with a few bytes of two kinds */
            for (size_t more = 0; more < 4 && !could_be; more++) {
                uint8_t longer[70];
                memcpy(longer, data, at + 1);
                memset(longer + at + 1, 0x80, more);
                could_be = is_valid(longer, at + 1 + more);
                memset(longer + at + 1, 0xbf, more);
                could_be = could_be || is_valid(longer, at + 1 + more);
            }
            TEST_EQUAL(good, could_be);
        }
        TEST_EQUAL(good && nn_utf8_is_whole(&utf8), is_valid(data, bytes));
    }
}

TEST_MAIN
