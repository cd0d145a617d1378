/* test_frame - the small frames: what is written reads back, and every shorter or wilder input is refused.
 *
 * Method: round trips at the edges of each field, every truncation of each frame, and random bytes.
 */
#include "test.h"

#include "nn_frame.h"

static uint8_t frame_bytes[256];

static nn_reader frame_body(const nn_writer* writer, uint8_t type)
{
    nn_reader reader = nn_reader_of(frame_bytes, nn_writer_bytes(writer));
    TEST_CHECK(!writer->failed);
    TEST_EQUAL(nn_read_u8(&reader), type);
    return reader;
}

TEST(test_frame_ping_reads_as_written)
{
    static const uint64_t edges[] = {0, 63, 64, 16383, 16384, NN_VARINT_MAX};
    for (size_t i = 0; i < NN_COUNT(edges); i++) {
        nn_ping ping = {edges[i], UINT64_MAX - edges[i]};
        nn_ping out;
        nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
        nn_frame_write_ping(&writer, &ping);
        TEST_AT_MOST(nn_writer_bytes(&writer), NN_PING_BYTES_MAX);
        nn_reader reader = frame_body(&writer, NN_FRAME_PING);
        TEST_CHECK(nn_frame_read_ping(&reader, &out));
        TEST_EQUAL(out.id, ping.id);
        TEST_EQUAL(out.sent_at_us, ping.sent_at_us);
        TEST_EQUAL(nn_reader_left(&reader), 0);
    }
}

TEST(test_frame_pong_reads_as_written)
{
    nn_pong pong = {NN_VARINT_MAX, 1, UINT64_MAX, NN_VARINT_MAX};
    nn_pong out;
    nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
    nn_frame_write_pong(&writer, &pong);
    TEST_EQUAL(nn_writer_bytes(&writer), NN_PONG_BYTES_MAX);
    nn_reader reader = frame_body(&writer, NN_FRAME_PONG);
    TEST_CHECK(nn_frame_read_pong(&reader, &out));
    TEST_EQUAL(out.id, pong.id);
    TEST_EQUAL(out.sent_at_us, pong.sent_at_us);
    TEST_EQUAL(out.received_at_us, pong.received_at_us);
    TEST_EQUAL(out.hold_us, pong.hold_us);
}

TEST(test_frame_close_reads_as_written)
{
    nn_close close;
    nn_close out;
    memset(&close, 0, sizeof close);
    close.reason = NECPNET_ERR_KICKED;
    close.code = UINT32_MAX;
    close.has_retry = true;
    close.retry_ms = 0;
    strcpy(close.text, "too many \"things\"");
    nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
    nn_frame_write_close(&writer, &close);
    nn_reader reader = frame_body(&writer, NN_FRAME_CLOSE);
    TEST_CHECK(nn_frame_read_close(&reader, &out));
    TEST_EQUAL(out.reason, NECPNET_ERR_KICKED);
    TEST_EQUAL(out.code, UINT32_MAX);
    TEST_CHECK(out.has_retry);
    TEST_EQUAL(out.retry_ms, 0);
    TEST_EQUAL_STRING(out.text, close.text);
}

TEST(test_frame_close_carries_every_result)
{
    static const necpnet_result results[] = {
#define FRAME_EACH(name, value, text) NECPNET_##name,
        NECPNET_RESULTS(FRAME_EACH)
#undef FRAME_EACH
    };
    for (size_t i = 0; i < NN_COUNT(results); i++) {
        nn_close close;
        nn_close out;
        memset(&close, 0, sizeof close);
        close.reason = results[i];
        nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
        nn_frame_write_close(&writer, &close);
        nn_reader reader = frame_body(&writer, NN_FRAME_CLOSE);
        TEST_CHECK(nn_frame_read_close(&reader, &out));
        TEST_EQUAL(out.reason, results[i]);
        TEST_CHECK(!out.has_retry);
    }
}

TEST(test_frame_close_of_a_later_version_reads_as_closed_and_safe_to_log)
{
    static const uint8_t body[] = {0x7F, 0xFF, 0x00, 0x00, 0x04, 'a', '\n', 0, 0x1B};
    nn_reader reader = nn_reader_of(body, sizeof body);
    nn_close out;
    TEST_CHECK(nn_frame_read_close(&reader, &out));
    TEST_EQUAL(out.reason, NECPNET_ERR_CLOSED);
    TEST_EQUAL_STRING(out.text, "a???");
}

TEST(test_frame_close_cuts_text_between_characters)
{
    nn_close close;
    nn_close out;
    memset(&close, 0, sizeof close);
    memset(close.text, 'x', NECPNET_REASON_BYTES_MAX);
    nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
    nn_frame_write_close(&writer, &close);
    TEST_AT_MOST(nn_writer_bytes(&writer), NN_CLOSE_BYTES_MAX);
    nn_reader reader = frame_body(&writer, NN_FRAME_CLOSE);
    TEST_CHECK(nn_frame_read_close(&reader, &out));
    TEST_EQUAL(strlen(out.text), NECPNET_REASON_BYTES_MAX);
}

TEST(test_frame_close_refuses_what_is_too_large)
{
    static const struct {
        const char* what;
        uint8_t bytes[24];
        size_t count;
    } cases[] = {
        {"text of 121", {0, 0, 0, 121}, 4},
        {"code over 32 bits", {0, 0xC0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 11},
        {"retry over a day", {0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0}, 11},
        {"text cut", {0, 0, 0, 3, 'a', 'b'}, 6},
    };
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        nn_reader reader = nn_reader_of(cases[i].bytes, cases[i].count);
        nn_close out;
        TEST_HINT("%s", cases[i].what);
        TEST_CHECK(!nn_frame_read_close(&reader, &out));
    }
}

TEST(test_frame_small_ones_read_as_written)
{
    uint64_t challenge = 0;
    uint8_t flags = 0;
    uint32_t tick = 0;
    nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
    nn_frame_write_path(&writer, NN_FRAME_PATH_RESPONSE, UINT64_C(0x0123456789abcdef));
    nn_reader reader = frame_body(&writer, NN_FRAME_PATH_RESPONSE);
    TEST_EQUAL(nn_writer_bytes(&writer), NN_PATH_BYTES);
    TEST_CHECK(nn_frame_read_path(&reader, &challenge));
    TEST_EQUAL(challenge, UINT64_C(0x0123456789abcdef));

    writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
    nn_frame_write_suspend(&writer, NN_SUSPEND_LOADING);
    reader = frame_body(&writer, NN_FRAME_SUSPEND);
    TEST_EQUAL(nn_writer_bytes(&writer), NN_SUSPEND_BYTES);
    TEST_CHECK(nn_frame_read_suspend(&reader, &flags));
    TEST_EQUAL(flags, NN_SUSPEND_LOADING);

    static const uint8_t later[] = {0xFF};
    reader = nn_reader_of(later, 1);
    TEST_CHECK(nn_frame_read_suspend(&reader, &flags));
    TEST_EQUAL(flags, NN_SUSPEND_SUSPENDED | NN_SUSPEND_LOADING);

    writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
    nn_frame_write_input_ack(&writer, UINT32_MAX);
    reader = frame_body(&writer, NN_FRAME_INPUT_ACK);
    TEST_AT_MOST(nn_writer_bytes(&writer), NN_INPUT_ACK_BYTES_MAX);
    TEST_CHECK(nn_frame_read_input_ack(&reader, &tick));
    TEST_EQUAL(tick, UINT32_MAX);

    static const uint8_t wide[] = {0xC0, 0, 0, 1, 0, 0, 0, 0};
    reader = nn_reader_of(wide, sizeof wide);
    TEST_CHECK(!nn_frame_read_input_ack(&reader, &tick));
}

TEST(test_frame_refuses_every_truncation)
{
    nn_ping ping = {NN_VARINT_MAX, 7};
    nn_pong pong = {NN_VARINT_MAX, 7, 8, NN_VARINT_MAX};
    uint64_t challenge;
    for (size_t cut = 0; cut < NN_PING_BYTES_MAX - 1; cut++) {
        nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
        nn_frame_write_ping(&writer, &ping);
        nn_reader reader = nn_reader_of(frame_bytes + 1, cut);
        TEST_CHECK(!nn_frame_read_ping(&reader, &ping));
        ping.id = NN_VARINT_MAX;
    }
    for (size_t cut = 0; cut < NN_PONG_BYTES_MAX - 1; cut++) {
        nn_writer writer = nn_writer_of(frame_bytes, sizeof frame_bytes);
        pong.id = pong.hold_us = NN_VARINT_MAX;
        nn_frame_write_pong(&writer, &pong);
        nn_reader reader = nn_reader_of(frame_bytes + 1, cut);
        TEST_CHECK(!nn_frame_read_pong(&reader, &pong));
    }
    for (size_t cut = 0; cut < 8; cut++) {
        nn_reader reader = nn_reader_of(frame_bytes, cut);
        TEST_CHECK(!nn_frame_read_path(&reader, &challenge));
    }
}

TEST(test_frame_writer_without_room_fails_whole)
{
    nn_close close;
    memset(&close, 0, sizeof close);
    strcpy(close.text, "reason");
    for (size_t room = 0; room < 11; room++) {
        nn_writer writer = nn_writer_of(frame_bytes, room);
        nn_frame_write_close(&writer, &close);
        TEST_EQUAL(writer.failed, room < 11);
    }
}

TEST(test_frame_names_and_kinds)
{
    TEST_EQUAL_STRING(nn_frame_name(NN_FRAME_MESSAGE_LAST), "MESSAGE_LAST");
    TEST_EQUAL_STRING(nn_frame_name(0xEE), "UNKNOWN");
    TEST_CHECK(nn_frame_is_ack_eliciting(NN_FRAME_PING));
    TEST_CHECK(nn_frame_is_ack_eliciting(NN_FRAME_SUSPEND));
    TEST_CHECK(nn_frame_is_ack_eliciting(NN_FRAME_STATE));
    TEST_CHECK(!nn_frame_is_ack_eliciting(NN_FRAME_PADDING));
    TEST_CHECK(!nn_frame_is_ack_eliciting(NN_FRAME_ACK));
    TEST_CHECK(!nn_frame_is_ack_eliciting(NN_FRAME_CLOSE));
}

TEST_MAIN
