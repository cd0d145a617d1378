/* test_packet - packet header, sealing and opening under the plaintext suite (authenticated, so damage shows).
 *
 * Method: round trips at the wraps of 2^16 and 2^32, every single damaged bit, every truncation.
 */
#include "test.h"

#include "nn_aead.h"
#include "nn_packet.h"

static nn_alloc packet_alloc;
static nn_aead* packet_aead;

static void packet_begin_test(void)
{
    static const uint8_t key[NN_AEAD_KEY_BYTES] = {1, 2, 3};
    static const uint8_t iv[NN_AEAD_IV_BYTES] = {4, 5, 6};
    necpnet_allocator allocator = test_allocator();
    nn_alloc_init(&packet_alloc, &allocator);
    TEST_OK(nn_aead_create(&packet_alloc, NN_SUITE_NONE, key, iv, &packet_aead));
}

static size_t packet_make(uint8_t* data, uint64_t number, uint64_t largest_acked, uint8_t flags, size_t frames_bytes)
{
    size_t header_bytes = nn_packet_begin(data, 0xA1B2C3D4u, number, largest_acked, flags);
    for (size_t i = 0; i < frames_bytes; i++) data[header_bytes + i] = (uint8_t)i;
    return nn_packet_seal(packet_aead, data, header_bytes, frames_bytes, number);
}

TEST(test_packet_opens_as_sealed_around_the_wraps)
{
    static const uint64_t wraps[] = {0, UINT64_C(1) << 15, UINT64_C(1) << 16, UINT64_C(1) << 32, UINT64_C(1) << 48};
    uint8_t data[64];
    packet_begin_test();
    for (size_t i = 0; i < NN_COUNT(wraps); i++) {
        for (int step = -3; step <= 3; step++) {
            if ((int64_t)wraps[i] + step < 0) continue;
            uint64_t number = wraps[i] + (uint64_t)(int64_t)step;
            for (uint64_t behind = 1; behind <= 4; behind++) {
                uint64_t known = number < behind ? NN_PACKET_NONE : number - behind;
                nn_packet packet;
                necpnet_drop why;
                uint32_t connection = 0;
                size_t bytes = packet_make(data, number, known, NN_PACKET_PHASE, 10);
                TEST_EQUAL(bytes, 7 + 10 + 16);
                TEST_CHECK(nn_packet_peek(data, bytes, &connection));
                TEST_EQUAL(connection, 0xA1B2C3D4u);
                TEST_CHECK(nn_packet_open(packet_aead, data, bytes, known, &packet, &why));
                TEST_EQUAL(packet.number, number);
                TEST_EQUAL(packet.frames_bytes, 10);
                TEST_EQUAL(packet.frames[9], 9);
                TEST_EQUAL(packet.flags & NN_PACKET_PHASE, NN_PACKET_PHASE);
                TEST_EQUAL(packet.flags & NN_PACKET_ACK_NOW, 0);
            }
        }
    }
    nn_aead_destroy(packet_aead);
}

TEST(test_packet_takes_a_long_number_far_from_the_last_ack)
{
    uint8_t data[64];
    nn_packet packet;
    necpnet_drop why;
    packet_begin_test();
    TEST_EQUAL(nn_packet_begin(data, 1, 16384, 0, 0), 7);
    TEST_EQUAL(nn_packet_begin(data, 1, 16385, 0, 0), 9);
    TEST_EQUAL(nn_packet_begin(data, 1, 16383, NN_PACKET_NONE, 0), 7);
    TEST_EQUAL(nn_packet_begin(data, 1, 16384, NN_PACKET_NONE, 0), 9);
    /* A receiver that has seen nothing of the last 100,000 still reads the number. */
    uint64_t number = (UINT64_C(1) << 33) + 5;
    size_t bytes = packet_make(data, number, number - 100000, NN_PACKET_ACK_NOW, 1);
    TEST_EQUAL(bytes, 9 + 1 + 16);
    TEST_CHECK(nn_packet_open(packet_aead, data, bytes, number - 100000, &packet, &why));
    TEST_EQUAL(packet.number, number);
    TEST_CHECK(packet.flags & NN_PACKET_ACK_NOW);
    nn_aead_destroy(packet_aead);
}

TEST(test_packet_reads_a_short_number_anywhere_in_reach)
{
    /* Sent within 16,384 of the largest acked; the receiver is anywhere between that and the number. */
    uint8_t data[64];
    nn_packet packet;
    necpnet_drop why;
    packet_begin_test();
    for (uint64_t acked = 60000; acked < 140000; acked += 7919) {
        for (uint64_t ahead = 1; ahead <= 16384; ahead += 1171) {
            for (uint64_t seen = acked; seen <= acked + 16384; seen += 2311) {
                size_t bytes = packet_make(data, acked + ahead, acked, 0, 1);
                TEST_EQUAL(bytes, 24);
                TEST_CHECK(nn_packet_parse(data, bytes, seen, &packet, &why));
                TEST_EQUAL(packet.number, acked + ahead);
            }
        }
    }
    nn_aead_destroy(packet_aead);
}

TEST(test_packet_with_any_bit_damaged_is_refused)
{
    uint8_t data[64];
    packet_begin_test();
    for (size_t bit = 0; bit < 30 * 8; bit++) {
        nn_packet packet;
        necpnet_drop why = NECPNET_DROP_COUNT;
        size_t bytes = packet_make(data, 77, 70, 0, 7);
        TEST_EQUAL(bytes, 30);
        data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        TEST_CHECK(!nn_packet_open(packet_aead, data, bytes, 76, &packet, &why));
        TEST_CHECK(why == NECPNET_DROP_AUTHENTICATION || why == NECPNET_DROP_MALFORMED);
    }
    nn_aead_destroy(packet_aead);
}

TEST(test_packet_too_short_or_reserved_is_refused_by_name)
{
    uint8_t data[64];
    nn_packet packet;
    necpnet_drop why = NECPNET_DROP_COUNT;
    uint32_t connection;
    packet_begin_test();
    size_t bytes = packet_make(data, 5, NN_PACKET_NONE, 0, 1);
    for (size_t cut = 0; cut < NN_PACKET_BYTES_MIN; cut++) {
        TEST_CHECK(!nn_packet_open(packet_aead, data, cut, 4, &packet, &why));
        TEST_EQUAL(why, NECPNET_DROP_TOO_SHORT);
        TEST_CHECK(!nn_packet_peek(data, cut, &connection));
    }
    data[0] |= NN_PACKET_LONG; /* two bytes longer a header: no room for a frame now */
    TEST_CHECK(!nn_packet_open(packet_aead, data, bytes, 4, &packet, &why));
    TEST_EQUAL(why, NECPNET_DROP_TOO_SHORT);
    data[0] = NN_PACKET_FORM | 0x40;
    TEST_CHECK(!nn_packet_open(packet_aead, data, bytes, 4, &packet, &why));
    TEST_EQUAL(why, NECPNET_DROP_MALFORMED);
    data[0] = 0x05; /* a handshake datagram */
    TEST_CHECK(!nn_packet_peek(data, bytes, &connection));
    nn_aead_destroy(packet_aead);
}

TEST(test_packet_number_beyond_the_last_is_refused)
{
    uint8_t data[64];
    nn_packet packet;
    necpnet_drop why = NECPNET_DROP_COUNT;
    memset(data, 0, sizeof data);
    data[0] = NN_PACKET_FORM | NN_PACKET_LONG;
    nn_store_u32(data + 5, 5);
    TEST_CHECK(!nn_packet_parse(data, 40, NN_PACKET_NUMBER_MAX, &packet, &why));
    TEST_EQUAL(why, NECPNET_DROP_MALFORMED);
    nn_store_u32(data + 5, UINT32_MAX);
    TEST_CHECK(nn_packet_parse(data, 40, NN_PACKET_NUMBER_MAX - 2, &packet, &why));
    TEST_EQUAL(packet.number, NN_PACKET_NUMBER_MAX);
}

TEST_MAIN
