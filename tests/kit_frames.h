/* kit_frames - a WebSocket under test and a peer that the test plays, byte by byte, over kit_web's network: either side may
 * be the one under test. The peer's frames are written and read here, not by the code under test. Include behind
 * kit_web.h. */
#ifndef KIT_FRAMES_H
#define KIT_FRAMES_H

#include "kit_web.h"

#define FRAMES_LIMIT (64u << 20)

static struct {
    bool tests_server;
    necpnet_web_deflate deflate; /* of the side under test */
    const char* extensions;      /* what the peer offers, or chooses; NULL: none */
    struct site* tested;
    necpnet_web* peer_web;
    necpnet_web_connection* peer;
    uint8_t* heard; /* raw bytes from the side under test */
    size_t heard_bytes, heard_capacity;
    bool peer_gone;
    uint8_t* said; /* frames that wait for frames_run */
    size_t said_bytes, said_capacity;
    char summary[8192];
} frames;

TEST_UNUSED static void frames_append(uint8_t** to, size_t* bytes, size_t* capacity, const void* data, size_t more)
{
    while (*bytes + more > *capacity) {
        *capacity = *capacity ? *capacity * 2 : 4096;
        *to = (uint8_t*)realloc(*to, *capacity);
        TEST_CHECK(*to != NULL);
    }
    if (more) memcpy(*to + *bytes, data, more);
    *bytes += more;
}

TEST_UNUSED static void frames_on_raw(necpnet_web_connection* connection, const uint8_t* data, size_t bytes, void* user)
{
    (void)connection, (void)user;
    frames_append(&frames.heard, &frames.heard_bytes, &frames.heard_capacity, data, bytes);
}

TEST_UNUSED static void frames_on_peer_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                                               necpnet_web_answer* answer, void* user)
{
    (void)user;
    frames.peer = connection;
    frames_append(&frames.heard, &frames.heard_bytes, &frames.heard_capacity, request->raw, request->raw_bytes);
    answer->action = NECPNET_WEB_RAW;
}

TEST_UNUSED static void frames_on_peer_close(necpnet_web_connection* connection, int code, const char* text,
                                             necpnet_result reason, void* user)
{
    (void)connection, (void)code, (void)text, (void)reason, (void)user;
    frames.peer_gone = true;
    frames.peer = NULL;
}

TEST_UNUSED static void frames_turn(void)
{
    for (int i = 0; i < 8; i++) {
        TEST_OK(necpnet_web_update(frames.tested->web, world.now_us));
        TEST_OK(necpnet_web_update(frames.peer_web, world.now_us));
    }
}

TEST_UNUSED static void frames_say_text(const char* text)
{
    TEST_OK(necpnet_web_send_raw(frames.peer, text, strlen(text)));
}

/* The peer's half of the opening handshake. */
TEST_UNUSED static void frames_open(void)
{
    char text[1024];
    const char* extensions = frames.extensions;
    const char* header = extensions ? "Sec-WebSocket-Extensions: " : "";
    if (frames.tests_server) {
        necpnet_address address = {NECPNET_ADDRESS_IPV4, 0, 80, 0, {127, 0, 0, 1}};
        TEST_OK(necpnet_web_connect_raw(frames.peer_web, &address, NULL, &frames.peer));
        frames_turn();
        (void)snprintf(text, sizeof text, UPGRADE "%s%s%s\r\n", header, extensions ? extensions : "",
                       extensions ? "\r\n" : "");
        frames_say_text(text);
    } else {
        char accept[NN_UPGRADE_ACCEPT_BYTES + 1];
        necpnet_web_connection* connection = NULL;
        TEST_OK(necpnet_web_connect(frames.tested->web, "ws://server:81/", NULL, NULL, &connection));
        frames_turn();
        frames_append(&frames.heard, &frames.heard_bytes, &frames.heard_capacity, "", 1);
        const char* key = strstr((const char*)frames.heard, "Sec-WebSocket-Key: ");
        TEST_CHECK(key != NULL);
        nn_upgrade_accept(key + 19, accept);
        (void)snprintf(text, sizeof text,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                       accept, header, extensions ? extensions : "", extensions ? "\r\n" : "");
        frames_say_text(text);
    }
    frames_turn();
    TEST_EQUAL(frames.tested->opens, 1);
    frames.heard_bytes = 0;
}

/* An echo of ours, as server or client, with its peer, open. piece: what the network carries at once; 0: all. */
TEST_UNUSED static void frames_begin(bool tests_server, size_t piece)
{
    necpnet_web_config config;
    begin();
    frames.tests_server = tests_server;
    frames.tested = tests_server ? &world.server : &world.client;
    frames.tested->echoing = true;
    frames.peer_gone = false;
    frames.heard_bytes = frames.said_bytes = 0;
    config_of(&config, frames.tested, tests_server ? world.server_host : world.client_host);
    config.message_bytes_max = FRAMES_LIMIT;
    config.queue_bytes_max = 2 * FRAMES_LIMIT;
    if (frames.deflate.enabled) config.deflate = frames.deflate;
    TEST_OK(necpnet_web_create(&config, &frames.tested->web));
    config_of(&config, &world.server, tests_server ? world.client_host : world.server_host);
    config.queue_bytes_max = 2 * FRAMES_LIMIT;
    config.handlers.on_request = frames_on_peer_request;
    config.handlers.on_open = NULL;
    config.handlers.on_raw = frames_on_raw;
    config.handlers.on_close = frames_on_peer_close;
    TEST_OK(necpnet_web_create(&config, &frames.peer_web));
    frames_open();
    world.wire.piece = piece;
}

TEST_UNUSED static void frames_end(void)
{
    necpnet_web_destroy(frames.peer_web);
    free(frames.heard);
    free(frames.said);
    frames.heard = frames.said = NULL;
    frames.heard_bytes = frames.heard_capacity = frames.said_bytes = frames.said_capacity = 0;
    end();
}

/* ---- the peer's frames ---------------------------------------------------------------------------------------------- */

TEST_UNUSED static void frames_add_bytes(const void* data, size_t bytes)
{
    frames_append(&frames.said, &frames.said_bytes, &frames.said_capacity, data, bytes);
}

/* first: FIN, reserved bits and opcode. */
TEST_UNUSED static void frames_add(uint8_t first, const void* data, size_t bytes)
{
    static const uint8_t mask[4] = {0x9a, 0x01, 0xfe, 0x5c};
    uint8_t header[14] = {first, 0};
    size_t at = 2;
    int wide = bytes < 126 ? 0 : bytes < 65536 ? 2 : 8;
    header[1] = (uint8_t)((frames.tests_server ? 0x80 : 0) | (wide == 0 ? (int)bytes : wide == 2 ? 126 : 127));
    for (int i = wide; i > 0; i--) header[at++] = (uint8_t)((uint64_t)bytes >> (8 * (i - 1)));
    if (frames.tests_server) {
        memcpy(header + at, mask, 4);
        at += 4;
    }
    frames_add_bytes(header, at);
    size_t begin_at = frames.said_bytes;
    frames_add_bytes(data, bytes);
    for (size_t i = 0; frames.tests_server && i < bytes; i++) frames.said[begin_at + i] ^= mask[i % 4];
}

TEST_UNUSED static void frames_add_text(uint8_t first, const char* text)
{
    frames_add(first, text, strlen(text));
}

TEST_UNUSED static void frames_add_close(int code, const char* text)
{
    uint8_t payload[200];
    size_t bytes = strlen(text);
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    memcpy(payload + 2, text, bytes);
    frames_add(0x88, payload, 2 + bytes);
}

/* Say what was added. */
TEST_UNUSED static void frames_run(void)
{
    if (frames.said_bytes && frames.peer) {
        TEST_OK(necpnet_web_send_raw(frames.peer, frames.said, frames.said_bytes));
    }
    frames.said_bytes = 0;
    frames_turn();
}

/* ---- what the side under test answered -------------------------------------------------------------------------------- */

typedef struct frames_heard {
    uint8_t first;
    uint8_t* data;
    size_t bytes;
} frames_heard;

/* The next frame from *at on; false at the end. Unmasked where it is. */
TEST_UNUSED static bool frames_next(size_t* at, frames_heard* out)
{
    if (*at == frames.heard_bytes) return false;
    const uint8_t* header = frames.heard + *at;
    size_t used = 2;
    TEST_AT_LEAST(frames.heard_bytes - *at, 2);
    uint64_t bytes = header[1] & 127;
    int wide = bytes == 126 ? 2 : bytes == 127 ? 8 : 0;
    if (wide) bytes = 0;
    for (int i = 0; i < wide; i++) bytes = bytes << 8 | header[used++];
    TEST_EQUAL((header[1] & 0x80) != 0, !frames.tests_server);
    const uint8_t* mask = header + used;
    if (header[1] & 0x80) used += 4;
    TEST_AT_LEAST(frames.heard_bytes - *at, used + bytes);
    out->first = header[0];
    out->data = frames.heard + *at + used;
    out->bytes = (size_t)bytes;
    for (size_t i = 0; (header[1] & 0x80) && i < bytes; i++) out->data[i] ^= mask[i % 4];
    *at += used + (size_t)bytes;
    return true;
}

/* All answers in short: "text Hello; pong x; close 1000; end". Payloads in full up to 20 bytes, then by length. */
TEST_UNUSED static const char* frames_summary(void)
{
    size_t at = 0;
    size_t used = 0;
    frames_heard frame = {0, NULL, 0};
    frames.summary[0] = 0;
    while (frames_next(&at, &frame)) {
        static const char* const names[16] = {"more", "text", "binary", NULL,   NULL,  NULL,
                                              NULL,   NULL,   "close",  "ping", "pong"};
        const char* name = names[frame.first & 15];
        TEST_CHECK(name != NULL);
        TEST_EQUAL(frame.first & 0xf0, 0x80);
        char payload[40];
        if ((frame.first & 15) == 8) {
            (void)snprintf(payload, sizeof payload, "%d", frame.bytes ? frame.data[0] << 8 | frame.data[1] : 0);
        } else if (frame.bytes > 20) {
            (void)snprintf(payload, sizeof payload, "(%zu)", frame.bytes);
        } else {
            (void)snprintf(payload, sizeof payload, "%.*s", (int)frame.bytes, (const char*)frame.data);
        }
        used += (size_t)snprintf(frames.summary + used, sizeof frames.summary - used, "%s%s %s", used ? "; " : "", name,
                                 payload);
        TEST_LESS(used, sizeof frames.summary);
    }
    if (frames.peer_gone)
        (void)snprintf(frames.summary + used, sizeof frames.summary - used, "%send", used ? "; " : "");
    frames.heard_bytes = 0;
    return frames.summary;
}

#endif
