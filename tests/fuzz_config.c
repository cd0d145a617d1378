/* fuzz_config.c - configs whose fields hold any numbers: every create ends in OK or a named refusal, and what was created
 * runs a little and goes without a trace.
 *
 * The first byte of an input chooses the instance; then come pairs of a place in the config (2 bytes, in fields of 4 bytes)
 * and 4 bytes for it. Pointers, functions and what an enum may not hold in C stay as they were.
 */
#include "nn_base.h"

#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static size_t live_bytes;

static void check(bool condition, const char* what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_config: %s\n", what);
    abort();
}

static void* allocate(size_t bytes, void* user)
{
    (void)user;
    if (live_bytes + bytes > BYTES_MAX) return NULL;
    live_bytes += bytes;
    return malloc(bytes ? bytes : 1);
}

static void release(void* memory, size_t bytes, void* user)
{
    (void)user;
    live_bytes -= bytes;
    free(memory);
}

static bool fill(void* to, size_t bytes, void* user)
{
    (void)user;
    memset(to, 7, bytes);
    return true;
}

typedef struct input {
    const uint8_t* at;
    const uint8_t* end;
} input;

static uint32_t next_u32(input* in)
{
    uint32_t value = 0;
    for (int i = 0; i < 4 && in->at < in->end; i++) value |= (uint32_t)*in->at++ << (8 * i);
    return value;
}

/* The fields of a config that are numbers of 4 bytes. */
#define FIELD(type, member) offsetof(type, member)
static void change(input* in, void* config, const size_t* fields, size_t count)
{
    while (in->end - in->at >= 5) {
        size_t offset = fields[*in->at++ % count];
        uint32_t value = next_u32(in);
        memcpy((uint8_t*)config + offset, &value, sizeof value);
    }
}
#define CHANGE(in, config, fields) change(in, config, fields, NN_COUNT(fields))

static necpnet_allocator allocator = {allocate, release, NULL};

static void fuzz_link(input* in)
{
    static const size_t fields[] = {
        FIELD(necpnet_link_config, latency_us),
        FIELD(necpnet_link_config, jitter_us),
        FIELD(necpnet_link_config, loss_ppm),
        FIELD(necpnet_link_config, duplicate_ppm),
        FIELD(necpnet_link_config, reorder_ppm),
        FIELD(necpnet_link_config, corrupt_ppm),
        FIELD(necpnet_link_config, cut_ppm),
        FIELD(necpnet_link_config, bandwidth_bps),
        FIELD(necpnet_link_config, queue_bytes),
        FIELD(necpnet_link_config, overhead_bytes),
        FIELD(necpnet_link_config, datagram_bytes_max),
        FIELD(necpnet_link_config, seed),
    };
    necpnet_link_config config;
    necpnet_link* link = NULL;
    const necpnet_transport* server;
    const necpnet_transport* client;
    necpnet_link_config_default(&config);
    config.allocator = allocator;
    CHANGE(in, &config, fields);
    necpnet_result result = necpnet_link_create(&config, &link);
    check(result == NECPNET_OK || result == NECPNET_ERR_BAD_CONFIG || result == NECPNET_ERR_OUT_OF_MEMORY, "link");
    if (result) return;
    if (!necpnet_link_add_server(link, 1, &server) && !necpnet_link_add_client(link, &client)) {
        static const necpnet_sink none;
        static const uint8_t data[1500];
        necpnet_address to;
        memset(&to, 0, sizeof to);
        to.family = NECPNET_ADDRESS_MEMORY;
        to.port = 1;
        if (!client->attach(client->user, &none)) {
            for (int i = 0; i < 20; i++) (void)client->send_datagram(client->user, &to, data, sizeof data);
        }
    }
    (void)necpnet_link_advance(link, 1000);
    (void)necpnet_link_deadline_us(link);
    necpnet_link_destroy(link);
}

#define BOTH(type) \
    FIELD(type, udp_ping_ms), FIELD(type, udp_timeout_ms), FIELD(type, websocket_ping_ms), \
        FIELD(type, websocket_timeout_ms), FIELD(type, loading_timeout_ms), FIELD(type, bandwidth_limit), \
        FIELD(type, datagram_bytes_max), FIELD(type, receive_bytes_max), FIELD(type, key_interval_ms), \
        FIELD(type, channel_count)

static void fuzz_client(input* in, const necpnet_transport* transport, const necpnet_channel_config* channels)
{
    static const size_t fields[] = {BOTH(necpnet_client_config),
                                    FIELD(necpnet_client_config, connect_timeout_ms),
                                    FIELD(necpnet_client_config, connect_stagger_ms),
                                    FIELD(necpnet_client_config, reconnect_delay_min_ms),
                                    FIELD(necpnet_client_config, reconnect_delay_max_ms),
                                    FIELD(necpnet_client_config, reconnect_attempts_max),
                                    FIELD(necpnet_client_config, inputs_max)};
    static const char* const urls[2] = {"udp://server:1", "ws://server:1/"};
    necpnet_client_config config;
    necpnet_client* client = NULL;
    necpnet_client_config_default(&config);
    config.allocator = allocator;
    config.entropy.fill = fill;
    config.transport = transport;
    config.security = NECPNET_SECURITY_NONE;
    config.channels = channels;
    CHANGE(in, &config, fields);
    if (config.channel_count > 5) return; /* the table has no more */
    necpnet_result result = necpnet_client_create(&config, &client);
    check(result == NECPNET_OK || result == NECPNET_ERR_BAD_CONFIG || result == NECPNET_ERR_OUT_OF_MEMORY, "client");
    if (result) return;
    (void)necpnet_client_connect(client, urls, 2);
    for (uint64_t now_us = 1000; now_us < 20000000; now_us = now_us * 2) (void)necpnet_client_update(client, now_us);
    necpnet_client_destroy(client);
}

static void fuzz_server(input* in, const necpnet_transport* transport, const necpnet_channel_config* channels)
{
    static const size_t fields[] = {BOTH(necpnet_server_config),
                                    FIELD(necpnet_server_config, peers_max),
                                    FIELD(necpnet_server_config, peers_per_address_max),
                                    FIELD(necpnet_server_config, handshakes_max),
                                    FIELD(necpnet_server_config, handshake_timeout_ms),
                                    FIELD(necpnet_server_config, tick_hz),
                                    FIELD(necpnet_server_config, queue_bytes_max),
                                    FIELD(necpnet_server_config, resume_window_ms)};
    necpnet_server_config config;
    necpnet_server* server = NULL;
    necpnet_server_config_default(&config);
    config.allocator = allocator;
    config.entropy.fill = fill;
    config.transport = transport;
    config.security = NECPNET_SECURITY_NONE;
    config.channels = channels;
    CHANGE(in, &config, fields);
    if (config.channel_count > 5) return;
    necpnet_result result = necpnet_server_create(&config, &server);
    check(result == NECPNET_OK || result == NECPNET_ERR_BAD_CONFIG || result == NECPNET_ERR_OUT_OF_MEMORY, "server");
    if (result) return;
    for (uint64_t now_us = 1000; now_us < 20000000; now_us = now_us * 2) (void)necpnet_server_update(server, now_us);
    necpnet_server_destroy(server);
}

static void fuzz_endpoints(input* in, bool is_server)
{
    static const size_t fields[] = {
        FIELD(necpnet_channel_config, message_bytes_max), FIELD(necpnet_channel_config, queue_bytes_max),
        FIELD(necpnet_channel_config, queue_messages_max), FIELD(necpnet_channel_config, window_bytes)};
    necpnet_channel_config channels[5];
    necpnet_link_config link_config;
    necpnet_link* link = NULL;
    const necpnet_transport* transport;
    for (int i = 0; i < 5; i++)
        check(!necpnet_channel_config_default(&channels[i], (necpnet_channel_mode)i), "channel");
    size_t some = (size_t)(in->end - in->at) / 10 * 5;
    input first = {in->at, in->at + some};
    CHANGE(&first, &channels[2], fields);
    in->at += some;
    necpnet_link_config_default(&link_config);
    check(!necpnet_link_create(&link_config, &link), "a link");
    if (is_server) {
        check(!necpnet_link_add_server(link, 1, &transport), "a host");
        fuzz_server(in, transport, channels);
    } else {
        check(!necpnet_link_add_client(link, &transport), "a host");
        fuzz_client(in, transport, channels);
    }
    necpnet_link_destroy(link);
}

typedef struct thing {
    int32_t value;
} thing;

static void fuzz_world(input* in, bool is_view)
{
    static const necpnet_field fields[] = {NECPNET_INTEGER(thing, value, 1, 0, 100, 0)};
    static const necpnet_entity_type type = {"thing", 1, sizeof(thing), fields, 1};
    static const size_t world_fields[] = {
        FIELD(necpnet_world_config, entities_max),       FIELD(necpnet_world_config, send_hz),
        FIELD(necpnet_world_config, client_bytes_per_s), FIELD(necpnet_world_config, history_ticks),
        FIELD(necpnet_world_config, slow_ticks),         FIELD(necpnet_world_config, tick_hz)};
    static const size_t view_fields[] = {
        FIELD(necpnet_view_config, entities_max), FIELD(necpnet_view_config, delay_min_ms),
        FIELD(necpnet_view_config, delay_max_ms), FIELD(necpnet_view_config, extrapolation_max_ms)};
    necpnet_schema* schema = NULL;
    necpnet_world_config world_config;
    necpnet_view_config view_config;
    necpnet_world* world = NULL;
    necpnet_view* view = NULL;
    necpnet_entity entity;
    check(!necpnet_schema_create(NULL, NULL, &type, 1, &schema), "schema");
    necpnet_world_config_default(&world_config);
    necpnet_view_config_default(&view_config);
    world_config.allocator = view_config.allocator = allocator;
    world_config.schema = view_config.schema = schema;
    if (is_view) {
        CHANGE(in, &view_config, view_fields);
        if (!necpnet_view_create(&view_config, &view)) check(!necpnet_view_update(view, 1000), "view");
    } else {
        CHANGE(in, &world_config, world_fields);
        if (!necpnet_world_create(&world_config, &world)) {
            for (uint32_t i = 0; i < 20; i++) {
                (void)necpnet_world_spawn(world, 1, NULL, &entity);
                (void)necpnet_world_commit(world, i + 1);
            }
        }
    }
    necpnet_view_destroy(view);
    necpnet_world_destroy(world);
    necpnet_schema_destroy(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    input in = {data, data + size};
    if (size < 1) return 0;
    switch (*in.at++ % 5) {
    case 0: fuzz_link(&in); break;
    case 1: fuzz_endpoints(&in, false); break;
    case 2: fuzz_endpoints(&in, true); break;
    case 3: fuzz_world(&in, false); break;
    default: fuzz_world(&in, true); break;
    }
    check(live_bytes == 0, "memory is left");
    return 0;
}
