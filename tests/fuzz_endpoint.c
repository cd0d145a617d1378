/* fuzz_endpoint.c - a whole server and its clients under a program of bytes: packets, frames, calls and time in any order.
 *
 * On the simulated link live one server with a world, two honest clients (0 over UDP, 1 over WebSocket), two hostile ones
 * (2 over UDP, 3 over WebSocket) and a stranger without a connection. An input is a program: an operation byte and its
 * arguments, again and again. Operations send, step the time, call the interface of everybody with good and bad arguments,
 * drop, double and damage what the UDP clients exchange, cut a line until sessions go on by their tickets, replay a client's RESUME as a stranger, and put frames of the program's own into the packets and messages
 * of the hostile ones, sealed with the right keys, in both directions.
 *
 * Whatever the program: nothing crashes or leaks; the server's memory stays within its limits; the stranger gets no more
 * bytes than it sent; an honest client's reliable messages arrive once and in order, all of them unless its connection
 * ended; and at the end, when the network is well again, both honest clients are connected and heard.
 */
#include "kit_tap.h"

#include <stdio.h>
#include <stdlib.h>

#define CLIENTS 4
#define HONEST 2
#define OPERATIONS_MAX 400
#define STEPS_MAX 4000
#define ENTITIES 8
#define KEY_INTERVAL_MS 1000
#define RESTLESS_MAX 64 /* updates at one moment */
#define MESSAGE_BYTES_MAX 20000
#define SERVER_BYTES_MAX (8u << 20)

/* What is noted of a client beside its tap. */
typedef struct player {
    uint32_t sent, heard; /* honest: numbers of messages on channel 0, and those that arrived */
    uint32_t input_tick;
    bool disconnected;
    necpnet_peer peer; /* honest: as the server knew it first */
} player;

typedef struct thing {
    float position[2];
    int16_t health;
    char name[8];
    uint8_t secret;
} thing;

static const necpnet_field thing_fields[] = {
    NECPNET_VEC2(thing, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(thing, health, 2, -5, 300, NECPNET_FIELD_SIGNED),
    NECPNET_STRING(thing, name, 3, 0),
    NECPNET_INTEGER(thing, secret, 4, 0, 255, NECPNET_FIELD_OWNER_ONLY),
};
static const necpnet_entity_type thing_types[] = {
    {"thing", 1, sizeof(thing), thing_fields, (int)NN_COUNT(thing_fields)}};

static struct fuzz {
    const uint8_t* at; /* the program */
    const uint8_t* end;
    uint64_t now_us;
    uint64_t entropy;
    size_t live_bytes;
    int steps;
    uint8_t resume[NN_HANDSHAKE_BYTES]; /* the last that a client sent */
    uint32_t resumes;
    necpnet_link* link;
    const necpnet_transport* server_transport;
    necpnet_server* server;
    necpnet_world* world;
    necpnet_schema* schema;
    necpnet_view* view; /* of the hostile UDP client: STATE frames are forged too */
    tap taps[CLIENTS];
    player players[CLIENTS];
    const necpnet_transport* stranger;
    uint64_t stranger_sent, stranger_heard;
    necpnet_stream* streams[4];
    necpnet_entity entities[ENTITIES];
    necpnet_group group;
    uint32_t tick;
    bool polls[CLIENTS + 1]; /* who polls; the last is the server */
} fuzz;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static void check(bool condition, const char* what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_endpoint: %s\n", what);
    abort();
}

static void* allocate(size_t bytes, void* user)
{
    (void)user;
    fuzz.live_bytes += bytes;
    return malloc(bytes ? bytes : 1);
}

static void release(void* memory, size_t bytes, void* user)
{
    (void)user;
    check(fuzz.live_bytes >= bytes, "more released than allocated");
    fuzz.live_bytes -= bytes;
    free(memory);
}

static bool fill(void* to, size_t bytes, void* user)
{
    (void)user;
    for (size_t i = 0; i < bytes; i++) {
        fuzz.entropy = fuzz.entropy * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t*)to)[i] = (uint8_t)(fuzz.entropy >> 56);
    }
    return true;
}

/* ---- the program's bytes -------------------------------------------------------------------------------------------- */

static uint8_t next_u8(void)
{
    return fuzz.at < fuzz.end ? *fuzz.at++ : 0;
}

static uint32_t next_u16(void)
{
    uint32_t low = next_u8();
    return low | (uint32_t)next_u8() << 8;
}

/* A length byte and so many bytes. */
static const uint8_t* next_data(size_t* out_bytes)
{
    uint8_t wanted = next_u8(); /* before what is left is looked at */
    size_t bytes = nn_min_size(wanted, (size_t)(fuzz.end - fuzz.at));
    const uint8_t* data = fuzz.at;
    fuzz.at += bytes;
    *out_bytes = bytes;
    return data;
}

/* ---- time and events ------------------------------------------------------------------------------------------------ */

static void server_event(const necpnet_event* event)
{
    check(event->text != NULL, "an event without text");
    for (int i = 0; i < HONEST; i++) {
        player* honest = &fuzz.players[i];
        if (event->type == NECPNET_EVENT_CONNECTED && !honest->peer) {
            necpnet_peer_info info;
            check(!necpnet_server_get_peer(fuzz.server, event->peer, &info), "CONNECTED of nobody");
            if ((info.transport == NECPNET_TRANSPORT_UDP) == (i == 0)) honest->peer = event->peer;
        }
        if (event->peer != honest->peer) continue;
        if (event->type == NECPNET_EVENT_DISCONNECTED) honest->disconnected = true;
        if (event->type == NECPNET_EVENT_MESSAGE && event->channel == 0) {
            uint32_t number = 0;
            check(event->bytes >= 4, "an honest message is cut");
            memcpy(&number, event->data, 4);
            check(number == honest->heard, "an honest client's messages are not once and in order");
            honest->heard++;
        }
    }
    if (event->type == NECPNET_EVENT_INPUT) {
        check(event->bytes >= 1 && event->bytes <= 255, "an input of the wrong size");
        (void)necpnet_world_set_input(fuzz.world, event->peer, event->tick);
    }
}

static void poll_all(void)
{
    necpnet_event event;
    while (fuzz.polls[CLIENTS] && necpnet_server_poll(fuzz.server, &event)) server_event(&event);
    for (int i = 0; i < CLIENTS; i++) {
        while (fuzz.polls[i] && necpnet_client_poll(fuzz.taps[i].client, &event)) {
            check(event.text != NULL, "an event without text");
            if (event.type == NECPNET_EVENT_DISCONNECTED) fuzz.players[i].disconnected = true;
        }
    }
    necpnet_view_event seen;
    while (necpnet_view_poll(fuzz.view, &seen)) continue;
}

/* A program that sleeps until the deadline does sleep: updates at one moment come to rest. */
static void check_rest(void)
{
    for (int i = 0; i < CLIENTS && fuzz.taps[i].client; i++) {
        necpnet_client* client = fuzz.taps[i].client;
        int updates = 0;
        while (necpnet_client_deadline_us(client) <= fuzz.now_us && fuzz.polls[i]) {
            check(updates++ < RESTLESS_MAX, "a client never rests");
            check(!necpnet_client_update(client, fuzz.now_us), "a client broke");
            poll_all();
        }
    }
    for (int updates = 0; necpnet_server_deadline_us(fuzz.server) <= fuzz.now_us && fuzz.polls[CLIENTS]; updates++) {
        check(updates < RESTLESS_MAX, "the server never rests");
        check(!necpnet_server_update(fuzz.server, fuzz.now_us), "the server broke");
        poll_all();
    }
}

static void step(uint64_t us)
{
    fuzz.steps++;
    fuzz.now_us += us;
    check(!necpnet_link_advance(fuzz.link, fuzz.now_us), "time goes on");
    if (fuzz.stranger) fuzz.stranger->receive(fuzz.stranger->user, fuzz.now_us);
    check(!necpnet_server_update(fuzz.server, fuzz.now_us), "the server broke");
    for (int i = 0; i < CLIENTS && fuzz.taps[i].client; i++) {
        check(!necpnet_client_update(fuzz.taps[i].client, fuzz.now_us), "a client broke");
    }
    check(!necpnet_view_update(fuzz.view, fuzz.now_us), "the view broke");
    poll_all();
    check_rest();
    check(fuzz.stranger_heard <= fuzz.stranger_sent, "a stranger got more than it sent");
}

/* ---- the stranger --------------------------------------------------------------------------------------------------- */

static void stranger_on_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes,
                                 uint32_t waited_us)
{
    (void)user;
    (void)from;
    (void)data;
    (void)waited_us;
    fuzz.stranger_heard += bytes;
}

static void stranger_on_open(void* context)
{
    (void)context;
}

static void stranger_on_data(void* context, uint8_t* data, size_t bytes)
{
    (void)context;
    (void)data;
    (void)bytes;
}

static void stranger_on_close(void* context, necpnet_result reason)
{
    (void)reason;
    *(necpnet_stream**)context = NULL;
}

static void* stranger_on_accept(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    (void)user;
    (void)stream;
    (void)from;
    return NULL;
}

static void stranger_datagram(const uint8_t* data, size_t bytes, bool padded)
{
    uint8_t whole[1200] = {0};
    memcpy(whole, data, bytes);
    if (padded) bytes = sizeof whole;
    if (!fuzz.taps[0].server.family) return;
    (void)fuzz.stranger->send_datagram(fuzz.stranger->user, &fuzz.taps[0].server, whole, bytes);
    fuzz.stranger_sent += bytes;
}

static void stranger_stream(uint8_t which, const uint8_t* data, size_t bytes)
{
    necpnet_stream** stream = &fuzz.streams[which % NN_COUNT(fuzz.streams)];
    if (!fuzz.taps[0].server.family) return;
    if (!*stream) {
        (void)fuzz.stranger->open_stream(fuzz.stranger->user, &fuzz.taps[0].server, NULL, stream, stream);
    } else if (which & 0x80) {
        fuzz.stranger->close_stream(fuzz.stranger->user, *stream, (which & 0x40) != 0);
        *stream = NULL;
    } else if (bytes) {
        (void)fuzz.stranger->send_stream(fuzz.stranger->user, *stream, data, bytes);
    }
}

/* ---- beginning and end ---------------------------------------------------------------------------------------------- */

static void begin_world(const necpnet_allocator* allocator)
{
    necpnet_world_config world_config;
    necpnet_view_config view_config;
    check(!necpnet_schema_create(allocator, NULL, thing_types, 1, &fuzz.schema), "schema");
    check(!necpnet_world_config_default(&world_config), "world config");
    world_config.allocator = *allocator;
    world_config.schema = fuzz.schema;
    world_config.entities_max = ENTITIES;
    check(!necpnet_world_create(&world_config, &fuzz.world), "world");
    check(!necpnet_view_config_default(&view_config), "view config");
    view_config.allocator = *allocator;
    view_config.schema = fuzz.schema;
    view_config.entities_max = 2 * ENTITIES;
    check(!necpnet_view_create(&view_config, &fuzz.view), "view");
}

static void watch_resume(tap* self, bool outward, const uint8_t* data, size_t bytes)
{
    (void)self;
    if (!outward || bytes != sizeof fuzz.resume || data[0] != NN_HANDSHAKE_RESUME) return;
    memcpy(fuzz.resume, data, bytes);
    fuzz.resumes++;
}

static void begin_client(int index, const necpnet_client_config* config)
{
    static const char* const urls[2] = {"udp://server:7777", "ws://server:7777/ws"};
    tap* self = &fuzz.taps[index];
    const necpnet_transport* inner;
    necpnet_client_config own = *config;
    check(!necpnet_link_add_client(fuzz.link, &inner), "host");
    tap_begin(self, inner);
    self->watch = watch_resume;
    own.transport = &self->transport;
    own.view = index == HONEST ? fuzz.view : NULL;
    check(!necpnet_client_create(&own, &self->client), "client");
    check(!necpnet_client_update(self->client, fuzz.now_us), "update");
    check(!necpnet_client_connect(self->client, &urls[index % 2], 1), "connect");
}

static void begin(void)
{
    necpnet_allocator allocator = {allocate, release, NULL};
    necpnet_link_config link_config;
    necpnet_server_config server_config;
    necpnet_client_config client_config;
    necpnet_channel_config channels[5];
    for (int i = 0; i < 5; i++) {
        static const necpnet_channel_mode modes[] = {NECPNET_RELIABLE_ORDERED, NECPNET_UNRELIABLE,
                                                     NECPNET_UNRELIABLE_SEQUENCED, NECPNET_RELIABLE_UNORDERED,
                                                     NECPNET_RELIABLE_SEQUENCED};
        check(!necpnet_channel_config_default(&channels[i], modes[i]), "channel");
        channels[i].message_bytes_max = MESSAGE_BYTES_MAX;
        channels[i].queue_bytes_max = 100000;
        channels[i].queue_messages_max = 100;
        channels[i].window_bytes = 50000;
        channels[i].redundancy = i % 2 == 0;
    }
    check(!necpnet_link_config_default(&link_config), "link config");
    link_config.allocator = allocator;
    link_config.latency_us = 5000;
    check(!necpnet_link_create(&link_config, &fuzz.link), "link");
    check(!necpnet_link_advance(fuzz.link, fuzz.now_us), "advance");
    begin_world(&allocator);
    check(!necpnet_server_config_default(&server_config), "server config");
    check(!necpnet_client_config_default(&client_config), "client config");
    server_config.allocator = client_config.allocator = allocator;
    server_config.entropy.fill = client_config.entropy.fill = fill;
    server_config.security = client_config.security = NECPNET_SECURITY_NONE;
    server_config.channels = client_config.channels = channels;
    server_config.channel_count = client_config.channel_count = 5;
    server_config.receive_bytes_max = client_config.receive_bytes_max = 1 << 19;
    server_config.world = fuzz.world;
    server_config.handshakes_max = 3;
    server_config.peers_max = 6;
    server_config.key_interval_ms = client_config.key_interval_ms = KEY_INTERVAL_MS;
#if NECPNET_WITH_ZLIB
    server_config.deflate.enabled = server_config.deflate.sessions = client_config.websocket_deflate = true;
    server_config.deflate.receive_context = server_config.deflate.send_context = true;
#endif
    client_config.reconnect_delay_min_ms = 10;
    client_config.reconnect_delay_max_ms = 200;
    check(!necpnet_link_add_server(fuzz.link, 7777, &fuzz.server_transport), "server host");
    server_config.transport = fuzz.server_transport;
    check(!necpnet_server_create(&server_config, &fuzz.server), "server");
    for (int i = 0; i < HONEST; i++) begin_client(i, &client_config);
    for (int i = 0; i < 40; i++) step(5000);
    check(fuzz.players[0].peer && fuzz.players[1].peer, "the honest clients are not connected");
    tap_streaming = &fuzz.taps[3];
    for (int i = HONEST; i < CLIENTS; i++) begin_client(i, &client_config);
    check(!necpnet_link_add_client(fuzz.link, &fuzz.stranger), "stranger");
    necpnet_sink sink = {NULL,
                         stranger_on_datagram,
                         stranger_on_accept,
                         stranger_on_open,
                         stranger_on_data,
                         stranger_on_open,
                         stranger_on_close,
                         NULL};
    check(!fuzz.stranger->attach(fuzz.stranger->user, &sink), "attach");
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++) necpnet_client_destroy(fuzz.taps[i].client);
    necpnet_server_destroy(fuzz.server);
    fuzz.stranger->detach(fuzz.stranger->user);
    necpnet_link_destroy(fuzz.link);
    necpnet_view_destroy(fuzz.view);
    necpnet_world_destroy(fuzz.world);
    necpnet_schema_destroy(fuzz.schema);
    check(fuzz.live_bytes == 0, "memory is left");
}

/* The network is well: everything honest arrives. */
static void heal(void)
{
    for (int i = 0; i <= CLIENTS; i++) fuzz.polls[i] = true;
    for (int i = 0; i < CLIENTS; i++) fuzz.taps[i].out.kind = fuzz.taps[i].in.kind = HARM_NONE;
    bool whole = false;
    for (int i = 0; i < 2000 && !whole; i++) {
        step(10000);
        whole = true;
        for (int j = 0; j < HONEST; j++) {
            const player* honest = &fuzz.players[j];
            whole = whole && necpnet_client_get_state(fuzz.taps[j].client) == NECPNET_CLIENT_CONNECTED;
            whole = whole && (honest->disconnected || honest->heard == honest->sent);
        }
    }
    check(whole, "an honest client is not connected and heard again");
    necpnet_server_statistics statistics;
    check(!necpnet_server_get_statistics(fuzz.server, &statistics), "statistics");
    check(statistics.memory_peak_bytes <= SERVER_BYTES_MAX, "the server's memory");
}

/* ---- operations ----------------------------------------------------------------------------------------------------- */

static const uint8_t pattern[MESSAGE_BYTES_MAX + 1000];

static void client_send(int index)
{
    tap* self = &fuzz.taps[index];
    necpnet_send_options options = {0};
    uint32_t how = next_u16();
    size_t bytes = next_u16() % (MESSAGE_BYTES_MAX + 500);
    int channel = (int)(how & 7);
    if (index < HONEST && channel == 0) {
        uint8_t message[64] = {0};
        memcpy(message, &fuzz.players[index].sent, 4);
        bytes = 4 + bytes % 60;
        if (necpnet_client_send(self->client, 0, message, bytes) == NECPNET_OK) fuzz.players[index].sent++;
        return;
    }
    options.name = how & 8 ? "name" : NULL;
    options.has_deadline = (how & 16) != 0;
    options.deadline_us = fuzz.now_us + (how >> 8) * 500;
    options.wants_receipt = (how & 32) != 0;
    necpnet_result result = necpnet_client_send_with(self->client, channel, pattern, bytes, &options);
    check(result != NECPNET_ERR_INTERNAL, "a send broke");
    if (channel > 4) check(result != NECPNET_OK, "a channel that is not there took a message");
}

static void client_call(int index)
{
    tap* self = &fuzz.taps[index];
    necpnet_client* client = self->client;
    static const char* const urls[] = {"udp://server:7777", "ws://server:7777/ws", "udp://server:1", "nonsense"};
    union {
        necpnet_statistics all;
        necpnet_channel_statistics channel;
        uint64_t time_us;
        uint32_t tick;
    } out;
    uint8_t argument = next_u8();
    uint8_t call = (uint8_t)(next_u8() % 17);
    if (index < HONEST && call < 6) return; /* they stay as they are */
    switch (call) {
    case 0: (void)necpnet_client_disconnect(client, argument, "bye", argument * 8u); break;
    case 1: (void)necpnet_client_connect(client, &urls[argument % NN_COUNT(urls)], 1); break;
    case 2: (void)necpnet_client_suspend(client, fuzz.now_us); break;
    case 3: (void)necpnet_client_resume(client, fuzz.now_us); break;
    case 4: (void)necpnet_client_set_bandwidth_limit(client, argument * 100u); break;
    case 5: fuzz.polls[index] = argument & 1; break;
    case 6: (void)necpnet_client_set_loading(client, argument & 1); break;
    case 7: (void)necpnet_client_flush(client, fuzz.now_us); break;
    case 8: (void)necpnet_client_get_statistics(client, &out.all); break;
    case 9: (void)necpnet_client_get_channel_statistics(client, argument % 8, &out.channel); break;
    case 10: (void)necpnet_client_server_time_us(client, fuzz.now_us, &out.time_us); break;
    case 11: (void)necpnet_client_server_tick(client, fuzz.now_us, &out.tick, NULL); break;
    case 12: (void)necpnet_client_query(client, urls[argument % NN_COUNT(urls)]); break;
    case 16: (void)necpnet_client_migrate(client); break;
    case 13: (void)necpnet_link_rebind(fuzz.link, self->inner); break; /* a stream goes on, a path is proven anew */
    default:
        fuzz.players[index].input_tick += argument % 4;
        (void)necpnet_client_send_input(client, fuzz.players[index].input_tick, pattern, argument);
        break;
    }
}

/* The n-th peer that is none of the honest ones. */
static necpnet_peer hostile_peer(uint8_t n)
{
    necpnet_peer found = NECPNET_PEER_NONE;
    for (necpnet_peer peer = 0; (peer = necpnet_server_next_peer(fuzz.server, peer)) != 0;) {
        if (peer == fuzz.players[0].peer || peer == fuzz.players[1].peer) continue;
        found = peer;
        if (n-- == 0) break;
    }
    return found;
}

static void server_call(void)
{
    uint8_t argument = next_u8();
    uint8_t call = (uint8_t)(next_u8() % 12);
    necpnet_peer peer = hostile_peer(argument & 1);
    union {
        necpnet_statistics all;
        necpnet_channel_statistics channel;
        necpnet_peer_info info;
    } out;
    size_t bytes = (size_t)argument * 80;
    switch (call) {
    case 0: (void)necpnet_server_send(fuzz.server, peer, argument % 8, pattern, bytes); break;
    case 1: (void)necpnet_server_broadcast(fuzz.server, peer, argument % 8, pattern, bytes, NULL, NULL); break;
    case 2: (void)necpnet_server_kick(fuzz.server, peer, argument, "kicked", argument * 4u); break;
    case 3: (void)necpnet_server_set_loading(fuzz.server, peer, argument & 2); break;
    case 4: (void)necpnet_server_set_bandwidth_limit(fuzz.server, peer, argument * 50u); break;
    case 5: (void)necpnet_server_get_peer(fuzz.server, peer, &out.info); break;
    case 6: (void)necpnet_server_get_peer_statistics(fuzz.server, peer, &out.all); break;
    case 7: (void)necpnet_server_get_channel_statistics(fuzz.server, peer, argument % 8, &out.channel); break;
    case 8: (void)necpnet_server_group_create(fuzz.server, &fuzz.group); break;
    case 9: (void)necpnet_server_group_add(fuzz.server, fuzz.group, peer); break;
    case 10:
        (void)necpnet_server_group_send(fuzz.server, fuzz.group, 0, argument % 8, pattern, bytes, NULL, NULL);
        if (argument & 64) (void)necpnet_server_group_destroy(fuzz.server, fuzz.group);
        break;
    default: fuzz.polls[CLIENTS] = argument & 1; break;
    }
}

static void world_call(void)
{
    uint8_t argument = next_u8();
    necpnet_entity* entity = &fuzz.entities[argument % ENTITIES];
    thing* state = (thing*)necpnet_world_get(fuzz.world, *entity);
    switch (argument >> 5) {
    case 0:
        if (state || necpnet_world_spawn(fuzz.world, 1, NULL, entity)) break;
        (void)necpnet_world_set_authority(fuzz.world, *entity, (necpnet_authority)((argument + 1) % 3));
        break;
    case 1: (void)necpnet_world_despawn(fuzz.world, *entity); break;
    case 2: (void)necpnet_world_set_owner(fuzz.world, *entity, hostile_peer(0)); break;
    default:
        if (!state) break;
        state->position[argument & 1] += 0.5f;
        state->health = (int16_t)(argument * 2);
        state->name[0] = (char)('a' + argument % 26);
        (void)necpnet_world_mark(fuzz.world, *entity);
        break;
    }
    (void)necpnet_world_commit(fuzz.world, ++fuzz.tick);
}

static void arm(void)
{
    uint8_t which = next_u8();
    harm harmed;
    int index = which & 3;
    harmed.kind = (harm_kind)((which >> 3) % HARM_KINDS);
    harmed.data = next_data(&harmed.bytes);
    if (index == 1 || (index == 0 && harmed.kind > HARM_FLIP)) return; /* honest: the network's faults alone */
    if (index == 3 && harmed.kind == HARM_DROP) return;                /* a stream loses nothing */
    *(which & 4 ? &fuzz.taps[index].in : &fuzz.taps[index].out) = harmed;
}

/* The line of a client is dead for longer than anybody waits: what follows is RESUME, over UDP or as a ticket in SETUP. */
static void cut(int index)
{
    const necpnet_transport* line = fuzz.taps[index].inner;
    (void)necpnet_link_block(fuzz.link, line, true, true);
    for (int i = 0; i < 90; i++) step(100000);
    (void)necpnet_link_block(fuzz.link, line, false, false);
    for (int i = 0; i < 10; i++) step(50000);
}

/* The last RESUME that any client sent, damaged, from the stranger. */
static void stolen_resume(const uint8_t* data, size_t bytes)
{
    uint8_t whole[NN_HANDSHAKE_BYTES];
    if (!fuzz.resumes) return;
    memcpy(whole, fuzz.resume, sizeof whole);
    for (size_t i = 0; i + 2 < bytes; i += 3)
        whole[((size_t)data[i] | (size_t)data[i + 1] << 8) % sizeof whole] ^= data[i + 2];
    stranger_datagram(whole, sizeof whole, false);
}

static void operate(void)
{
    size_t bytes;
    uint8_t operation = next_u8();
    switch (operation & 15) {
    case 0:
    case 1: step((uint64_t)(operation >> 4) * 1000 + 100); break;
    case 2:
        for (int i = 0; i < (operation >> 4) + 1; i++) step(20000);
        break;
    case 3:
    case 4: client_send(operation >> 4 & 3); break;
    case 5: client_call(operation >> 4 & 3); break;
    case 6: server_call(); break;
    case 7: world_call(); break;
    case 8: {
        const uint8_t* data = next_data(&bytes);
        stranger_datagram(data, bytes, operation & 16);
        break;
    }
    case 9: {
        uint8_t which = next_u8();
        const uint8_t* data = next_data(&bytes);
        stranger_stream(which, data, bytes);
        break;
    }
    case 10: {
        uint32_t tick = next_u8();
        (void)necpnet_view_predict(fuzz.view, tick, pattern, 4);
        break;
    }
    case 11: cut(operation >> 4 & 3); break;
    case 12: {
        const uint8_t* data = next_data(&bytes);
        stolen_resume(data, bytes);
        break;
    }
    default:
        arm();
        step(1000);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    memset(&fuzz, 0, sizeof fuzz);
    tap_streaming = NULL;
    fuzz.now_us = 1000000;
    fuzz.at = data;
    fuzz.end = data + size;
    for (int i = 0; i <= CLIENTS; i++) fuzz.polls[i] = true;
    begin();
    for (int i = 0; i < OPERATIONS_MAX && fuzz.at < fuzz.end && fuzz.steps < STEPS_MAX; i++) operate();
    heal();
    end();
    return 0;
}
