/* fuzz_frame.c - small frames, SETUP, ACK, INPUT, packets and query datagrams from a hostile peer.
 *
 * VOICE, reports and packets of Opus are read alone and by a hub and a voice, which must stay within their bounds.
 *
 * The first byte of an input chooses, the rest is the frame behind its type byte (or the datagram). What is accepted must
 * keep its promises: bounds, round trips (what reads is written again and reads the same), and the books of recovery.
 */
#include "nn_frame.h"
#include "nn_inputs.h"
#include "nn_packet.h"
#include "nn_query.h"
#include "nn_recovery.h"
#include "nn_setup.h"
#include "nn_voice_hub.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static void fuzz_check(bool condition, const char* what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_frame: %s\n", what);
    abort();
}

static void fuzz_small(uint8_t type, nn_reader reader)
{
    uint8_t frame[256];
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    nn_ping ping;
    nn_pong pong;
    nn_close close;
    nn_close again;
    uint64_t challenge;
    uint8_t flags;
    uint32_t tick;
    switch (type) {
    case NN_FRAME_PING:
        if (nn_frame_read_ping(&reader, &ping)) nn_frame_write_ping(&writer, &ping);
        break;
    case NN_FRAME_PONG:
        if (nn_frame_read_pong(&reader, &pong)) nn_frame_write_pong(&writer, &pong);
        break;
    case NN_FRAME_CLOSE:
        if (!nn_frame_read_close(&reader, &close)) return;
        fuzz_check(strlen(close.text) <= NECPNET_REASON_BYTES_MAX, "CLOSE text too long");
        nn_frame_write_close(&writer, &close);
        reader = nn_reader_of(frame + 1, nn_writer_bytes(&writer) - 1);
        fuzz_check(nn_frame_read_close(&reader, &again), "CLOSE does not read again");
        fuzz_check(again.reason == close.reason && again.code == close.code && again.has_retry == close.has_retry &&
                       again.retry_ms == close.retry_ms && !strcmp(again.text, close.text),
                   "CLOSE reads differently");
        break;
    case NN_FRAME_PATH_CHALLENGE: (void)nn_frame_read_path(&reader, &challenge); break;
    case NN_FRAME_SUSPEND: (void)nn_frame_read_suspend(&reader, &flags); break;
    default: (void)nn_frame_read_input_ack(&reader, &tick); break;
    }
    fuzz_check(!writer.failed, "a small frame does not fit");
}

static void fuzz_setup(nn_reader reader)
{
    static uint8_t frame[NN_SETUP_BODY_BYTES_MAX + 16];
    static nn_setup setup;
    static nn_setup again;
    char text[NN_SETUP_DIFFERENCE_BYTES_MAX];
    if (nn_setup_read(&reader, &setup) != NECPNET_OK) return;
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    nn_setup_write(&writer, &setup);
    fuzz_check(!writer.failed && nn_writer_bytes(&writer) == nn_setup_bytes(&setup), "SETUP has another length");
    reader = nn_reader_of(frame + 1, nn_writer_bytes(&writer) - 1);
    fuzz_check(nn_setup_read(&reader, &again) == NECPNET_OK, "SETUP does not read again");
    fuzz_check(nn_setup_compare_channels(&setup, &again, text, sizeof text), "SETUP's table reads differently");
    fuzz_check(again.credential_kind == setup.credential_kind && again.credential_bytes == setup.credential_bytes,
               "SETUP's credential reads differently");
}

static bool fuzz_deliver(void* user, uint32_t tick, const void* data, size_t bytes)
{
    uint64_t* before = (uint64_t*)user;
    fuzz_check(data && bytes >= 1 && bytes <= NN_INPUT_BYTES_MAX, "INPUT of the wrong size");
    fuzz_check((uint64_t)tick + 1 > *before, "INPUT out of order");
    *before = (uint64_t)tick + 1;
    return true;
}

static void fuzz_settled(void* user, const nn_contents* contents)
{
    uint8_t* fate = (uint8_t*)user + contents->frames[0].value;
    fuzz_check(++*fate <= 2, "contents settled too often");
}

/* A sender with 400 packets in flight reads ACK frames, each led by its length, with time passing between. */
static void fuzz_acks(const uint8_t* data, size_t size)
{
    uint8_t fates[400] = {0};
    nn_alloc alloc;
    nn_acks acks;
    nn_congestion congestion;
    nn_recovery recovery;
    uint64_t now_us = 1000000;
    nn_alloc_init(&alloc, NULL);
    nn_acks_init(&acks, NN_ACKS_DELAY_US_DEFAULT);
    nn_congestion_init(&congestion, NN_CONGESTION_UNLIMITED, now_us);
    nn_recovery_init(&recovery, &alloc, &acks, &congestion, 1);
    for (uint32_t i = 0; i < 400; i++) {
        nn_contents contents;
        nn_contents_init(&contents);
        nn_contents_add(&contents, NN_SENT_STATE, 0, 0, i);
        if (nn_recovery_reserve(&recovery) != NECPNET_OK) break;
        nn_recovery_sent(&recovery, nn_recovery_next_number(&recovery), 100, true, &contents, now_us);
    }
    while (size) {
        size_t bytes = nn_min_size(data[0], size - 1);
        nn_reader reader = nn_reader_of(data + 1, bytes);
        now_us += 700;
        if (nn_recovery_read_ack(&recovery, &reader, now_us, fuzz_settled, fuzz_settled, fates) != NECPNET_OK) break;
        if (nn_recovery_deadline_us(&recovery) <= now_us) {
            (void)nn_recovery_on_deadline(&recovery, now_us, fuzz_settled, fates);
        }
        fuzz_check(congestion.flight_bytes == (uint64_t)recovery.flight * 100, "books of flight differ");
        data += 1 + bytes;
        size -= 1 + bytes;
    }
    nn_recovery_reset(&recovery);
    fuzz_check(congestion.flight_bytes == 0 && alloc.bytes == 0, "something is left");
}

static void fuzz_wake(void* user, necpnet_peer peer)
{
    (void)user;
    (void)peer;
}

static necpnet_result fuzz_control(void* user, necpnet_peer peer, const void* data, size_t bytes)
{
    (void)peer;
    const uint8_t* message = (const uint8_t*)data; /* what a hub says a voice understands */
    if (*(necpnet_voice**)user) {
        fuzz_check(nn_voice_take_control(*(necpnet_voice**)user, message[0], message + 1, bytes - 1),
                   "a hub's word refused");
    }
    return NECPNET_OK;
}

/* Frames one behind the other, from a client of a hub; what it forwards goes to a voice. A frame is any bytes: what reads is
 * written again and reads the same. */
static void fuzz_voice(const uint8_t* data, size_t size)
{
    necpnet_voice_hub_config hub_config;
    necpnet_voice_config config;
    necpnet_voice_hub* hub = NULL;
    necpnet_voice* voice = NULL;
    necpnet_voice_group group;
    const nn_voice_port* ports[2];
    uint8_t out[1200];
    float pcm[480 * 2];
    nn_opus_facts facts;
    if (nn_opus_read(data, size, &facts)) fuzz_check(facts.samples <= 5760, "Opus plays too long");
    necpnet_voice_hub_config_default(&hub_config);
    necpnet_voice_config_default(&config);
    config.codec = NECPNET_VOICE_PCM;
    hub_config.pcm = true;
    if (necpnet_voice_hub_create(&hub_config, &hub) || necpnet_voice_create(&config, &voice)) abort();
    nn_voice_server server = {fuzz_wake, fuzz_control, &voice};
    hub->server = server;
    for (uint32_t i = 0; i < 2; i++) {
        if (nn_voice_hub_attach(hub, i + 1, i + 7, &ports[i])) abort();
        ports[i]->open(ports[i]->user, true);
    }
    if (necpnet_voice_hub_group_create(hub, NECPNET_VOICE_CHANNEL, 0, 2, &group)) abort();
    for (uint32_t i = 0; i < 2; i++) (void)necpnet_voice_hub_join(hub, group, i + 1);
    nn_voice_connected(voice, false, 1000000);
    nn_reader reader = nn_reader_of(data, size);
    for (uint64_t now_us = 1000000; nn_reader_left(&reader) > 1; now_us += 7000) {
        uint8_t type = nn_read_u8(&reader);
        if (type == NN_CONTROL_VOICE_WISH) {
            size_t take = nn_min_size(nn_reader_left(&reader), 9);
            (void)nn_voice_hub_take_wish(hub, 1, nn_read_view(&reader, take), take);
            continue;
        }
        type = (uint8_t)(NN_VOICE_FRAME_FIRST | (type & 15u));
        if (!nn_voice_is_frame(type) || !ports[0]->read(ports[0]->user, type, &reader, now_us)) break;
        nn_writer writer = nn_writer_of(out, sizeof out);
        (void)ports[1]->write(ports[1]->user, &writer, now_us);
        nn_reader forwarded = nn_reader_of(out, nn_writer_bytes(&writer));
        while (nn_reader_left(&forwarded)) {
            uint8_t again = nn_read_u8(&forwarded);
            fuzz_check(nn_voice_read_frame(voice, again, &forwarded, now_us), "what a hub forwards does not read");
        }
        fuzz_check(necpnet_voice_pull(voice, pcm, 480, now_us) == NECPNET_OK, "pull");
    }
    necpnet_voice_destroy(voice);
    voice = NULL;
    necpnet_voice_hub_destroy(hub);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size < 1) return 0;
    uint8_t kind = data[0];
    data++;
    size--;
    switch (kind) {
    case NN_FRAME_ACK: fuzz_acks(data, size); break;
    case NN_FRAME_VOICE: fuzz_voice(data, size); break;
    case NN_FRAME_SETUP: fuzz_setup(nn_reader_of(data, size)); break;
    case NN_FRAME_INPUT: {
        nn_input_receiver receiver;
        nn_reader reader = nn_reader_of(data, size);
        uint64_t before = 0;
        nn_input_receiver_init(&receiver);
        (void)nn_input_receiver_read(&receiver, &reader, fuzz_deliver, &before);
        break;
    }
    case NN_DATAGRAM_QUERY: {
        uint64_t nonce;
        nn_answer answer;
        necpnet_drop why;
        (void)nn_query_read(data, size, &nonce, &why);
        if (nn_answer_read(data, size, &answer)) {
            fuzz_check(strlen(answer.name) <= NN_QUERY_NAME_BYTES_MAX, "ANSWER name too long");
        }
        break;
    }
    case NN_PACKET_FORM: {
        uint8_t copy[64];
        nn_packet packet;
        necpnet_drop why = NECPNET_DROP_COUNT;
        uint64_t largest = 0;
        if (size < 8) break;
        memcpy(&largest, data, 8);
        if (largest > NN_PACKET_NUMBER_MAX) largest = NN_PACKET_NONE;
        size_t bytes = nn_min_size(size - 8, sizeof copy);
        nn_copy(copy, data + 8, bytes);
        if (nn_packet_parse(copy, bytes, largest, &packet, &why)) {
            fuzz_check(packet.number <= NN_PACKET_NUMBER_MAX && packet.frames_bytes >= 1, "packet out of bounds");
            fuzz_check(packet.frames + packet.frames_bytes + NN_PACKET_TAG_BYTES == copy + bytes, "packet has a gap");
        } else {
            fuzz_check(why < NECPNET_DROP_COUNT, "packet dropped without a reason");
        }
        break;
    }
    default: fuzz_small(kind, nn_reader_of(data, size)); break;
    }
    return 0;
}
