/* Golden vectors of packets and frames: the bytes of this version must not change unnoticed.
 *
 * tests/vectors/frames.txt has lines of a name, the bytes in hex, and what they mean; tests/e2e/frame_vectors.test.py
 * works the meaning out again from the bytes with nothing but src/PROTOCOL.md. After a deliberate change of the protocol:
 * NECPNET_WRITE_VECTORS=1 test_frame_vectors. */
#include "nn_acks.h"
#include "nn_frame.h"
#include "nn_inputs.h"
#include "nn_packet.h"
#include "nn_query.h"
#include "nn_setup.h"
#include "nn_voice_frame.h"
#include "test.h"

#define VECTORS "tests/vectors/frames.txt"

static char made[32768];
static size_t made_length;
static uint8_t bytes[4096];

TEST_PRINTF(1) static void put(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(made + made_length, sizeof made - made_length, format, arguments);
    va_end(arguments);
    TEST_CHECK(length >= 0 && made_length + (size_t)length < sizeof made);
    made_length += (size_t)length;
}

static void put_hex(const uint8_t* data, size_t count)
{
    for (size_t i = 0; i < count; i++) put("%02x", data[i]);
}

static void put_line(const char* name, size_t count)
{
    put("%s ", name);
    put_hex(bytes, count);
    put(" ");
}

static nn_writer writer_of_bytes(void)
{
    return nn_writer_of(bytes, sizeof bytes);
}

static unsigned long long wide(uint64_t value)
{
    return (unsigned long long)value;
}

static void say_small(void)
{
    static const uint64_t ids[] = {0, 63, 64, 16383, 16384, (UINT64_C(1) << 30) - 1, UINT64_C(1) << 30, NN_VARINT_MAX};
    for (size_t i = 0; i < NN_COUNT(ids); i++) {
        nn_ping ping = {ids[i], UINT64_C(0x0102030405060708) + i};
        nn_writer writer = writer_of_bytes();
        nn_frame_write_ping(&writer, &ping);
        put_line("ping", nn_writer_bytes(&writer));
        put("id=%llu,sent_at=%llu\n", wide(ping.id), wide(ping.sent_at_us));
    }
    nn_pong pong = {77, 1000000, UINT64_C(99999999999), 1234};
    nn_writer writer = writer_of_bytes();
    nn_frame_write_pong(&writer, &pong);
    put_line("pong", nn_writer_bytes(&writer));
    put("id=77,sent_at=1000000,received_at=99999999999,hold=1234\n");
    writer = writer_of_bytes();
    nn_frame_write_path(&writer, NN_FRAME_PATH_CHALLENGE, UINT64_C(0x1122334455667788));
    put_line("path_challenge", nn_writer_bytes(&writer));
    put("data=8877665544332211\n");
    writer = writer_of_bytes();
    nn_frame_write_suspend(&writer, NN_SUSPEND_LOADING);
    put_line("suspend", nn_writer_bytes(&writer));
    put("suspended=0,loading=1\n");
    writer = writer_of_bytes();
    nn_frame_write_input_ack(&writer, UINT32_MAX);
    put_line("input_ack", nn_writer_bytes(&writer));
    put("tick=4294967295\n");
}

static void say_close(necpnet_result reason, uint32_t code, bool has_retry, uint32_t retry_ms, const char* text)
{
    nn_close close;
    memset(&close, 0, sizeof close);
    close.reason = reason;
    close.code = code;
    close.has_retry = has_retry;
    close.retry_ms = retry_ms;
    memcpy(close.text, text, strlen(text));
    nn_writer writer = writer_of_bytes();
    nn_frame_write_close(&writer, &close);
    put_line("close", nn_writer_bytes(&writer));
    put("reason=%d,code=%u,retry=%lld,text=%s\n", (int)reason, code, has_retry ? (long long)retry_ms : -1, text);
}

/* Numbers of `from`..`to` but those missing; the meaning lists ranges, newest first. */
static void say_ack(uint64_t from, uint64_t to, const uint64_t* missing, size_t missing_count, uint64_t delay_us)
{
    nn_acks acks;
    nn_acks_init(&acks, NN_ACKS_DELAY_US_DEFAULT);
    for (uint64_t number = from; number <= to; number++) {
        bool came = true;
        for (size_t i = 0; i < missing_count; i++) came = came && number != missing[i];
        if (came) nn_acks_add(&acks, number, true, false, 5000);
    }
    nn_writer writer = writer_of_bytes();
    TEST_CHECK(nn_acks_write(&acks, &writer, 5000 + delay_us));
    put_line("ack", nn_writer_bytes(&writer));
    put("sent=%llu,delay=%llu,ranges=", wide(to + 3), wide(nn_acks_delay_decode(nn_acks_delay_encode(delay_us))));
    uint64_t high = to;
    for (size_t i = missing_count; i-- > 0;) {
        if (missing[i] + 1 <= high) put("%llu-%llu;", wide(missing[i] + 1), wide(high));
        high = missing[i] - 1;
    }
    uint64_t length = high - from + 1;
    if (!missing_count && length > 96) length = 96 + (length - 96) / 32 * 32;
    put("%llu-%llu\n", wide(high - length + 1), wide(high));
}

static void say_acks(void)
{
    static const uint64_t one[] = {70000};
    static const uint64_t some[] = {65530, 65531, 65540, 65600};
    say_ack(0, 0, NULL, 0, 0);
    say_ack(10, 105, NULL, 0, 120);
    say_ack(10, 106, NULL, 0, 135);
    say_ack(65500, 65790, NULL, 0, 1000);
    say_ack(0, 1023, NULL, 0, 9999);
    say_ack(69999, 70001, one, 1, 248);
    say_ack(69900, 70127, one, 1, 256);
    say_ack(69900, 70128, one, 1, 4000);
    say_ack(65500, 65900, some, 4, 3000000);
}

static void say_inputs(void)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_inputs inputs;
    nn_alloc_init(&alloc, &allocator);
    nn_inputs_init(&inputs, &alloc, 8);
    TEST_OK(nn_inputs_push(&inputs, 1000, "\x01\x02", 2));
    TEST_OK(nn_inputs_push(&inputs, 1001, "\x03", 1));
    TEST_OK(nn_inputs_push(&inputs, 1200, "\x04\x05\x06", 3));
    nn_writer writer = writer_of_bytes();
    TEST_EQUAL(nn_inputs_write(&inputs, &writer, false), 3);
    put_line("input", nn_writer_bytes(&writer));
    put("1000:0102;1001:03;1200:040506\n");
    nn_inputs_reset(&inputs);
}

static void say_voice(uint8_t kind, uint8_t codec, uint32_t number, size_t payload_bytes)
{
    static uint8_t payload[NECPNET_VOICE_PAYLOAD_BYTES_MAX];
    for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(i * 7 + 1);
    nn_voice_frame frame = {kind, codec, 11, 250, 1000, number, payload, payload_bytes};
    nn_writer writer = writer_of_bytes();
    nn_voice_write(&writer, &frame);
    put_line("voice", nn_writer_bytes(&writer));
    put("kind=%d,codec=%d,level=11,sequence=250,time=1000,number=%u,payload=", kind, codec, number);
    put_hex(payload, payload_bytes);
    put("\n");
}

static void say_voices(void)
{
    say_voice(NECPNET_VOICE_CHANNEL, NN_VOICE_CODEC_OPUS, 63, 3);
    say_voice(NECPNET_VOICE_PROXIMITY, NN_VOICE_CODEC_PCM, 64, 256);
    say_voice(NECPNET_VOICE_WHISPER, NN_VOICE_CODEC_SEALED, 16384, 0);
    say_voice(NECPNET_VOICE_WHISPER, NN_VOICE_CODEC_OPUS, NN_VOICE_NUMBER_MAX, NECPNET_VOICE_PAYLOAD_BYTES_MAX);
    nn_voice_report reports[2] = {{3, 0, 0}, {70000, 255, 40}};
    nn_writer writer = writer_of_bytes();
    nn_voice_write_reports(&writer, reports, 2);
    put_line("voice_report", nn_writer_bytes(&writer));
    put("3:0:0;70000:255:40\n");
}

static void say_setup(nn_setup_role role, nn_credential_kind kind, size_t credential_bytes)
{
    static nn_setup setup;
    static uint8_t credential[256];
    necpnet_channel_config table[5];
    memset(table, 0, sizeof table);
    for (int i = 0; i < 5; i++) {
        table[i].mode = (necpnet_channel_mode)i;
        table[i].message_bytes_max = i == 2 ? 300 : NECPNET_MESSAGE_BYTES_DEFAULT;
        table[i].window_bytes = i == 3 ? 2u << 20 : 1u << 20;
    }
    for (size_t i = 0; i < sizeof credential; i++) credential[i] = (uint8_t)('a' + i % 26);
    nn_setup_init(&setup, role);
    nn_setup_set_channels(&setup, table, 5);
    setup.features = NN_FEATURE_STATE | NN_FEATURE_INPUT;
    setup.session_id = UINT64_C(0x0807060504030201);
    setup.schema_hash = UINT64_C(0x1817161514131211);
    if (role == NN_ROLE_SERVER) {
        setup.tick_hz = 60;
        setup.tick = 123456;
        setup.time_us = UINT64_C(2057600000);
    }
    if (kind == NN_CREDENTIAL_NONE || role == NN_ROLE_SERVER) { /* others leave it out */
        setup.tables_hash = UINT64_C(0x2827262524232221);
        setup.own_tables_hash = role == NN_ROLE_SERVER ? UINT64_C(0x3837363534333231) : 0;
    }
    setup.credential_kind = kind;
    setup.credential = credential;
    setup.credential_bytes = credential_bytes;
    nn_writer writer = writer_of_bytes();
    nn_setup_write(&writer, &setup);
    TEST_CHECK(!writer.failed);
    put_line("setup", nn_writer_bytes(&writer));
    put("version=1,role=%d,features=6,datagram=1200,session=%llu,schema=%llu,hz=%u,tick=%u,time=%llu,", (int)role,
        wide(setup.session_id), wide(setup.schema_hash), setup.tick_hz, setup.tick, wide(setup.time_us));
    put("channels=0/65536/0;1/65536/0;2/300/0;3/65536/2097152;4/65536/1048576,hash=%llu,",
        wide(nn_setup_channels_hash(&setup)));
    put("credential=%d:", (int)kind);
    put_hex(credential, credential_bytes);
    put(",tables=%llu/%llu\n", wide(setup.tables_hash), wide(setup.own_tables_hash));
}

static void say_datagrams(void)
{
    nn_answer answer;
    memset(&answer, 0, sizeof answer);
    answer.nonce = UINT64_C(0x0102030405060708);
    answer.players = 3;
    answer.players_max = 64;
    memcpy(answer.name, "arena", 5);
    put_line("query", nn_query_write(bytes, sizeof bytes, answer.nonce));
    put("nonce=%llu\n", wide(answer.nonce));
    put_line("answer", nn_answer_write(bytes, sizeof bytes, &answer));
    put("nonce=%llu,players=3,players_max=64,name=arena\n", wide(answer.nonce));
    static const struct {
        uint64_t number;
        uint64_t acked;
        uint8_t flags;
    } headers[] = {{0, NN_PACKET_NONE, 0},
                   {16383, NN_PACKET_NONE, NN_PACKET_ACK_NOW},
                   {16384, NN_PACKET_NONE, NN_PACKET_PHASE},
                   {81920, 65536, 0},
                   {81921, 65536, NN_PACKET_PHASE | NN_PACKET_ACK_NOW},
                   {(UINT64_C(1) << 32) + 2, (UINT64_C(1) << 32) - 3, 0}};
    for (size_t i = 0; i < NN_COUNT(headers); i++) {
        size_t count = nn_packet_begin(bytes, 0x0A0B0C0D, headers[i].number, headers[i].acked, headers[i].flags);
        put_line("header", count);
        uint64_t received = headers[i].acked == NN_PACKET_NONE ? 0 : headers[i].acked + 1;
        put("expected=%llu,connection=168496141,number=%llu,phase=%d,ack_now=%d\n", wide(received),
            wide(headers[i].number), (headers[i].flags & NN_PACKET_PHASE) != 0,
            (headers[i].flags & NN_PACKET_ACK_NOW) != 0);
    }
}

TEST(test_frame_bytes_are_those_of_the_vectors)
{
    made_length = 0;
    say_small();
    say_close(NECPNET_OK, 0, false, 0, "");
    say_close(NECPNET_ERR_KICKED, 70000, true, 0, "bye");
    say_close(NECPNET_ERR_DRAINING, 5, true, NN_CLOSE_RETRY_MS_MAX, "down-for-a-day");
    say_acks();
    say_inputs();
    say_voices();
    say_setup(NN_ROLE_CLIENT, NN_CREDENTIAL_NONE, 0);
    say_setup(NN_ROLE_CLIENT, NN_CREDENTIAL_TOKEN, NN_SETUP_TOKEN_BYTES + NN_SETUP_PROOF_BYTES);
    say_setup(NN_ROLE_CLIENT, NN_CREDENTIAL_TEXT, 100);
    say_setup(NN_ROLE_SERVER, NN_CREDENTIAL_TICKET, 20);
    say_datagrams();
    if (getenv("NECPNET_WRITE_VECTORS")) {
        FILE* file = fopen(VECTORS, "wb");
        TEST_CHECK(file != NULL);
        TEST_EQUAL(fwrite(made, 1, made_length, file), made_length);
        TEST_EQUAL(fclose(file), 0);
    }
    static char stored[sizeof made];
    FILE* file = fopen(VECTORS, "rb");
    TEST_CHECK(file != NULL);
    size_t length = fread(stored, 1, sizeof stored, file);
    fclose(file);
    TEST_HINT("a change of the wire breaks every peer that is out there; if it is meant, move the version");
    TEST_EQUAL(length, made_length);
    TEST_EQUAL_BYTES(made, stored, length);
}

TEST_MAIN
