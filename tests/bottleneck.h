/* bottleneck.h - one slow link that several flows share, in virtual time: real endpoints of necpnet beside each other and
 * beside a model of TCP Reno. Used by tests/api_congestion.c and bench/congestion.c.
 *
 * All flows go from clients (left) to one server (right): a queue with a rate, tail drop at queue_bytes, random loss, half
 * a round trip of delay; acknowledgements come back through a second such queue. Endpoints are woken at their own
 * deadlines and at arrivals, never in steps.
 *
 * No real TCP can run on a virtual clock, so its part is played by a model written from RFC 5681 and 6582 (Reno with
 * NewReno's partial acknowledgements, no SACK), RFC 6298 (least timeout 200 ms, as Linux has it) and delayed
 * acknowledgements (every second segment, 40 ms). It always has more to send.
 */
#ifndef BOTTLENECK_H
#define BOTTLENECK_H

#include "necpnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOTTLENECK_FLOWS_MAX 4
#define BOTTLENECK_RING 16384u /* packets of one direction on their way */
#define BOTTLENECK_PACKET_BYTES 1600u
#define BOTTLENECK_OVERHEAD 28u  /* IP and UDP */
#define BOTTLENECK_TICK_US 5000u /* an application looks after its queue at least so often */
#define BOTTLENECK_PORT 7777
#define BOTTLENECK_MESSAGE_BYTES_MAX 65536

#define RENO_SEGMENT 1448u /* of data; 1500 on the wire */
#define RENO_WIRE 1500u
#define RENO_ACK_WIRE 52u
#define RENO_WINDOW (1u << 14) /* segments that the receiver remembers */
#define RENO_RTO_MIN_US 200000u
#define RENO_DELAYED_US 40000u

typedef struct bottleneck_packet {
    uint64_t due_us;
    uint64_t number; /* Reno: segment, or next segment expected */
    uint64_t sent_at_us;
    uint8_t flow; /* whose it is */
    uint16_t bytes;
    uint8_t data[BOTTLENECK_PACKET_BYTES];
} bottleneck_packet;

typedef struct bottleneck_direction {
    uint64_t free_ns; /* when all that waits will have left */
    uint32_t first, count;
    bottleneck_packet* ring;
} bottleneck_direction;

typedef enum bottleneck_kind { BOTTLENECK_NONE = 0, BOTTLENECK_OURS = 1, BOTTLENECK_RENO = 2 } bottleneck_kind;

/* TCP Reno. Segments are counted, not bytes. */
typedef struct reno_flow {
    double window; /* segments */
    double threshold;
    uint64_t next;  /* segment to be sent first */
    uint64_t acked; /* all before it came */
    uint64_t recover;
    uint64_t highest; /* behind the last ever sent */
    uint64_t timeout_at_us;
    uint64_t timeout_us;
    uint64_t rtt_us, rtt_variance_us;
    uint64_t timed_segment, timed_at_us; /* one round trip at a time (Karn): none while timed_at_us is 0 */
    uint32_t duplicates;
    bool recovering;
    /* receiver */
    uint64_t expected;
    uint64_t ack_at_us; /* delayed; UINT64_MAX none */
    uint32_t unacked;
    uint8_t came[RENO_WINDOW];
} reno_flow;

struct bottleneck;

typedef struct bottleneck_host {
    struct bottleneck* world;
    necpnet_transport transport;
    necpnet_sink sink;
    int number; /* 0 the server, else 1 + flow */
    bool attached;
    uint64_t resolve_request;
    bool resolving;
    uint32_t ready_first, ready_count; /* arrived packets, in order */
    bottleneck_packet* ready;
} bottleneck_host;

typedef struct bottleneck_flow {
    bottleneck_kind kind;
    uint64_t begins_us, ends_us;
    uint32_t message_bytes;
    uint64_t offered_bytes_per_s; /* UINT64_MAX: always more to send */
    double offered_bytes;
    uint64_t offered_at_us;
    bottleneck_host host;
    necpnet_client* client;
    bool connected;
    necpnet_peer peer;
    reno_flow* reno;
    /* since bottleneck_measure */
    uint64_t arrived_bytes; /* through the bottleneck, headers included */
    uint64_t message_bytes_arrived;
    uint64_t packets;
    uint64_t dropped;
} bottleneck_flow;

#define BOTTLENECK_SAMPLES 65536

typedef struct bottleneck {
    uint64_t rate; /* bytes a second */
    uint32_t rtt_us;
    uint32_t queue_bytes;
    uint32_t loss_ppm;
    uint64_t random;
    uint64_t entropy;
    uint64_t now_us;
    necpnet_server* server;
    necpnet_server_config server_config;
    necpnet_client_config client_config;
    bottleneck_host server_host;
    bottleneck_direction there, back;
    bottleneck_flow flows[BOTTLENECK_FLOWS_MAX];
    int flow_count;
    uint8_t message[BOTTLENECK_MESSAGE_BYTES_MAX]; /* nothing to compress */
    /* the queue as seen since bottleneck_measure: its least in each slot is what stands */
    uint64_t slot_us, slot_at_us, slot_least_us;
    uint64_t queue_worst_us;
    uint32_t standing_count;
    uint32_t standing[BOTTLENECK_SAMPLES];
    void (*on_sample)(struct bottleneck* world); /* NULL, or once a slot */
    void* user;
} bottleneck;

static inline uint64_t bottleneck_random(bottleneck* world)
{
    uint64_t x = world->random; /* xorshift64* */
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    world->random = x;
    return x * UINT64_C(2685821657736338717) >> 16;
}

static inline void bottleneck_check(const char* what, necpnet_result result)
{
    if (result == NECPNET_OK) return;
    fprintf(stderr, "bottleneck: %s: %s\n", what, necpnet_result_name(result));
    exit(1);
}

/* Time that a byte now put into the queue would wait. */
static inline uint64_t bottleneck_queue_us(const bottleneck* world)
{
    uint64_t now_ns = world->now_us * 1000;
    return world->there.free_ns > now_ns ? (world->there.free_ns - now_ns) / 1000 : 0;
}

/* One packet into a direction's queue; where its bytes are to be written, or NULL: dropped. */
static inline bottleneck_packet* bottleneck_put(bottleneck* world, bottleneck_direction* direction, int flow,
                                                uint32_t wire_bytes)
{
    bottleneck_flow* owner = &world->flows[flow];
    uint64_t now_ns = world->now_us * 1000;
    uint64_t wait_ns = direction->free_ns > now_ns ? direction->free_ns - now_ns : 0;
    uint64_t waiting = wait_ns / 1000 * world->rate / 1000000;
    bool counts = direction == &world->there;
    if (counts) owner->packets++;
    if (waiting + wire_bytes > world->queue_bytes || direction->count == BOTTLENECK_RING) {
        if (counts) owner->dropped++;
        return NULL;
    }
    direction->free_ns = now_ns + wait_ns + (uint64_t)wire_bytes * UINT64_C(1000000000) / world->rate;
    if (bottleneck_random(world) % 1000000 < world->loss_ppm) return NULL;
    bottleneck_packet* packet = &direction->ring[(direction->first + direction->count++) % BOTTLENECK_RING];
    packet->due_us = (direction->free_ns + 999) / 1000 + world->rtt_us / 2;
    packet->sent_at_us = world->now_us;
    packet->flow = (uint8_t)flow;
    return packet;
}

/* ---- the endpoints' transport -- */

static inline necpnet_address bottleneck_address(int number)
{
    necpnet_address address;
    memset(&address, 0, sizeof address);
    address.family = NECPNET_ADDRESS_MEMORY;
    address.port = number ? (uint16_t)(10000 + number) : BOTTLENECK_PORT;
    address.bytes[0] = (uint8_t)number;
    return address;
}

static inline necpnet_result bottleneck_attach(void* user, const necpnet_sink* sink)
{
    bottleneck_host* host = (bottleneck_host*)user;
    host->sink = *sink;
    host->attached = true;
    return NECPNET_OK;
}

static inline void bottleneck_detach(void* user)
{
    ((bottleneck_host*)user)->attached = false;
}

static inline void bottleneck_receive(void* user, uint64_t now_us)
{
    bottleneck_host* host = (bottleneck_host*)user;
    (void)now_us;
    if (host->resolving) {
        necpnet_address server = bottleneck_address(0);
        host->resolving = false;
        host->sink.on_resolved(host->sink.user, host->resolve_request, &server, 1, NECPNET_OK);
    }
    while (host->ready_count) {
        bottleneck_packet* packet = &host->ready[host->ready_first];
        necpnet_address from = bottleneck_address(host->number ? 0 : packet->flow + 1);
        host->ready_first = (host->ready_first + 1) % BOTTLENECK_RING;
        host->ready_count--;
        host->sink.on_datagram(host->sink.user, &from, packet->data, packet->bytes, 0);
    }
}

static inline necpnet_result bottleneck_send_datagram(void* user, const necpnet_address* to, const uint8_t* data,
                                                      size_t bytes)
{
    bottleneck_host* host = (bottleneck_host*)user;
    bottleneck* world = host->world;
    if (bytes > BOTTLENECK_PACKET_BYTES) return NECPNET_OK; /* lost */
    int flow = host->number ? host->number - 1 : to->bytes[0] - 1;
    if (flow < 0 || flow >= world->flow_count) return NECPNET_OK;
    bottleneck_direction* direction = host->number ? &world->there : &world->back;
    bottleneck_packet* packet = bottleneck_put(world, direction, flow, (uint32_t)bytes + BOTTLENECK_OVERHEAD);
    if (!packet) return NECPNET_OK;
    packet->bytes = (uint16_t)bytes;
    memcpy(packet->data, data, bytes);
    return NECPNET_OK;
}

static inline necpnet_result bottleneck_resolve(void* user, uint64_t request, const char* name, uint16_t port)
{
    bottleneck_host* host = (bottleneck_host*)user;
    (void)name;
    (void)port;
    host->resolve_request = request;
    host->resolving = true;
    return NECPNET_OK;
}

static inline necpnet_result bottleneck_open_stream(void* user, const necpnet_address* to, const char* url,
                                                    void* context, necpnet_stream** out_stream)
{
    (void)user, (void)to, (void)url, (void)context, (void)out_stream;
    return NECPNET_ERR_UNSUPPORTED;
}

static inline necpnet_result bottleneck_send_stream(void* user, necpnet_stream* stream, const uint8_t* data,
                                                    size_t bytes)
{
    (void)user, (void)stream, (void)data, (void)bytes;
    return NECPNET_ERR_UNSUPPORTED;
}

static inline size_t bottleneck_pending(void* user, necpnet_stream* stream)
{
    (void)user, (void)stream;
    return 0;
}

static inline void bottleneck_pause(void* user, necpnet_stream* stream, bool paused)
{
    (void)user, (void)stream, (void)paused;
}

static inline void bottleneck_close_stream(void* user, necpnet_stream* stream, bool at_once)
{
    (void)user, (void)stream, (void)at_once;
}

static inline void bottleneck_flush(void* user)
{
    (void)user;
}

static inline void bottleneck_make_host(bottleneck* world, bottleneck_host* host, int number)
{
    memset(host, 0, sizeof *host);
    host->world = world;
    host->number = number;
    host->ready = (bottleneck_packet*)malloc(sizeof *host->ready * BOTTLENECK_RING);
    host->transport.user = host;
    host->transport.flags = NECPNET_TRANSPORT_DATAGRAMS;
    host->transport.attach = bottleneck_attach;
    host->transport.detach = bottleneck_detach;
    host->transport.receive = bottleneck_receive;
    host->transport.send_datagram = bottleneck_send_datagram;
    host->transport.resolve = bottleneck_resolve;
    host->transport.open_stream = bottleneck_open_stream;
    host->transport.send_stream = bottleneck_send_stream;
    host->transport.pending = bottleneck_pending;
    host->transport.pause = bottleneck_pause;
    host->transport.close_stream = bottleneck_close_stream;
    host->transport.flush = bottleneck_flush;
}

/* Not random: equal runs are equal. */
static inline bool bottleneck_fill(void* to, size_t bytes, void* user)
{
    uint64_t* state = (uint64_t*)user;
    uint8_t* p = (uint8_t*)to;
    for (size_t i = 0; i < bytes; i++) {
        *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        p[i] = (uint8_t)(*state >> 56);
    }
    return true;
}

/* ---- TCP Reno -- */

static inline void reno_begin(reno_flow* reno)
{
    memset(reno, 0, sizeof *reno);
    reno->window = 10; /* RFC 6928 */
    reno->threshold = 1e9;
    reno->timeout_us = 1000000;
    reno->timeout_at_us = reno->ack_at_us = UINT64_MAX;
}

static inline void reno_send_segment(bottleneck* world, int flow, uint64_t segment)
{
    reno_flow* reno = world->flows[flow].reno;
    bottleneck_packet* packet = bottleneck_put(world, &world->there, flow, RENO_WIRE);
    if (packet) {
        packet->number = segment;
        packet->bytes = 0;
    }
    if (segment < reno->highest) { /* Karn: what was sent twice times nothing */
        if (reno->timed_segment == segment) reno->timed_at_us = 0;
    } else {
        reno->highest = segment + 1;
        if (!reno->timed_at_us) {
            reno->timed_segment = segment;
            reno->timed_at_us = world->now_us;
        }
    }
    if (reno->timeout_at_us == UINT64_MAX) reno->timeout_at_us = world->now_us + reno->timeout_us;
}

static inline void reno_send(bottleneck* world, int flow)
{
    reno_flow* reno = world->flows[flow].reno;
    while ((double)(reno->next - reno->acked) + 1 <= reno->window && reno->next - reno->acked < RENO_WINDOW / 2) {
        reno_send_segment(world, flow, reno->next++);
    }
}

static inline void reno_sample(reno_flow* reno, uint64_t rtt_us)
{
    if (!reno->rtt_us) {
        reno->rtt_us = rtt_us;
        reno->rtt_variance_us = rtt_us / 2;
    } else {
        uint64_t off = rtt_us > reno->rtt_us ? rtt_us - reno->rtt_us : reno->rtt_us - rtt_us;
        reno->rtt_variance_us = (reno->rtt_variance_us * 3 + off) / 4;
        reno->rtt_us = (reno->rtt_us * 7 + rtt_us) / 8;
    }
    reno->timeout_us = reno->rtt_us + 4 * reno->rtt_variance_us;
    if (reno->timeout_us < RENO_RTO_MIN_US) reno->timeout_us = RENO_RTO_MIN_US;
}

static inline double reno_half(const reno_flow* reno)
{
    double half = (double)(reno->next - reno->acked) / 2;
    return half < 2 ? 2 : half;
}

static inline void reno_new_ack(bottleneck* world, int flow, uint64_t expected)
{
    reno_flow* reno = world->flows[flow].reno;
    double came = (double)(expected - reno->acked);
    if (reno->timed_at_us && expected > reno->timed_segment) {
        reno_sample(reno, world->now_us - reno->timed_at_us);
        reno->timed_at_us = 0;
    }
    reno->acked = expected;
    if (reno->next < expected) reno->next = expected;
    reno->duplicates = 0;
    reno->timeout_at_us = reno->acked == reno->next ? UINT64_MAX : world->now_us + reno->timeout_us;
    if (reno->recovering && expected < reno->recover) { /* RFC 6582 3.2: a partial acknowledgement */
        reno->window = reno->window - came + 1 > 1 ? reno->window - came + 1 : 1;
        reno_send_segment(world, flow, expected);
        return;
    }
    if (reno->recovering) {
        reno->recovering = false;
        reno->window = reno->threshold;
    } else if (reno->window < reno->threshold) {
        reno->window += came < 2 ? came : 2; /* RFC 3465 */
    } else {
        reno->window += came / reno->window;
    }
}

static inline void reno_on_ack(bottleneck* world, int flow, uint64_t expected)
{
    reno_flow* reno = world->flows[flow].reno;
    if (expected > reno->acked) {
        reno_new_ack(world, flow, expected);
    } else if (expected == reno->acked && reno->next > reno->acked) {
        reno->duplicates++;
        if (reno->recovering) {
            reno->window += 1;
        } else if (reno->duplicates == 3 && expected >= reno->recover) { /* RFC 5681 3.2, RFC 6582 3.2 */
            reno->threshold = reno_half(reno);
            reno->recover = reno->next;
            reno->recovering = true;
            reno->window = reno->threshold + 3;
            reno_send_segment(world, flow, expected);
        }
    }
    reno_send(world, flow);
}

static inline void reno_on_timeout(bottleneck* world, int flow)
{
    reno_flow* reno = world->flows[flow].reno;
    reno->threshold = reno_half(reno);
    reno->window = 1;
    reno->recover = reno->highest;
    reno->recovering = false;
    reno->duplicates = 0;
    reno->next = reno->acked;
    reno->timed_at_us = 0;
    reno->timeout_us = reno->timeout_us * 2 > 60000000 ? 60000000 : reno->timeout_us * 2;
    reno->timeout_at_us = UINT64_MAX;
    reno_send(world, flow);
}

static inline void reno_send_ack(bottleneck* world, int flow)
{
    reno_flow* reno = world->flows[flow].reno;
    bottleneck_packet* packet = bottleneck_put(world, &world->back, flow, RENO_ACK_WIRE);
    if (packet) {
        packet->number = reno->expected;
        packet->bytes = 0;
    }
    reno->unacked = 0;
    reno->ack_at_us = UINT64_MAX;
}

static inline void reno_on_segment(bottleneck* world, int flow, uint64_t segment)
{
    reno_flow* reno = world->flows[flow].reno;
    bool in_order = segment == reno->expected;
    bool filled = false;
    if (segment >= reno->expected && segment < reno->expected + RENO_WINDOW) reno->came[segment % RENO_WINDOW] = 1;
    while (reno->came[reno->expected % RENO_WINDOW]) {
        reno->came[reno->expected % RENO_WINDOW] = 0;
        filled = filled || reno->expected != segment;
        reno->expected++;
    }
    reno->unacked++;
    if (!in_order || filled || reno->unacked >= 2) {
        reno_send_ack(world, flow);
    } else if (reno->ack_at_us == UINT64_MAX) {
        reno->ack_at_us = world->now_us + RENO_DELAYED_US;
    }
}

/* ---- the world -- */

/* bottleneck_begin - set rate, rtt_us, queue_bytes, loss_ppm behind it; then bottleneck_add for each flow. */
static inline void bottleneck_begin(bottleneck* world, uint64_t rate_bps, uint32_t rtt_us, uint32_t queue_bytes,
                                    uint32_t loss_ppm, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->rate = rate_bps / 8;
    world->rtt_us = rtt_us;
    world->queue_bytes = queue_bytes;
    world->loss_ppm = loss_ppm;
    world->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world->entropy = seed;
    world->now_us = 1000000;
    world->there.ring = (bottleneck_packet*)malloc(sizeof(bottleneck_packet) * BOTTLENECK_RING);
    world->back.ring = (bottleneck_packet*)malloc(sizeof(bottleneck_packet) * BOTTLENECK_RING);
    bottleneck_check("server config", necpnet_server_config_default(&world->server_config));
    bottleneck_check("client config", necpnet_client_config_default(&world->client_config));
    world->server_config.security = world->client_config.security = NECPNET_SECURITY_NONE;
    world->server_config.entropy.fill = world->client_config.entropy.fill = bottleneck_fill;
    world->server_config.entropy.user = world->client_config.entropy.user = &world->entropy;
    bottleneck_make_host(world, &world->server_host, 0);
    bottleneck_fill(world->message, sizeof world->message, &world->entropy);
}

/* bottleneck_add - a flow that begins so long after now; a Reno flow, or a client that sends reliable messages. */
static inline bottleneck_flow* bottleneck_add(bottleneck* world, bottleneck_kind kind, uint64_t after_us)
{
    bottleneck_flow* flow = &world->flows[world->flow_count++];
    flow->kind = kind;
    flow->begins_us = world->now_us + after_us;
    flow->ends_us = UINT64_MAX;
    flow->message_bytes = 1000;
    flow->offered_bytes_per_s = UINT64_MAX;
    if (kind == BOTTLENECK_RENO) {
        flow->reno = (reno_flow*)malloc(sizeof *flow->reno);
        reno_begin(flow->reno);
    } else {
        bottleneck_make_host(world, &flow->host, world->flow_count);
    }
    return flow;
}

static inline void bottleneck_begin_flow(bottleneck* world, bottleneck_flow* flow, int number)
{
    const char* url = "udp://server:7777";
    if (flow->kind == BOTTLENECK_RENO) {
        reno_send(world, number);
        return;
    }
    if (!world->server) {
        world->server_config.transport = &world->server_host.transport;
        bottleneck_check("server", necpnet_server_create(&world->server_config, &world->server));
        bottleneck_check("time",
                         necpnet_server_set_wall_time(world->server, UINT64_C(1700000000000000), world->now_us));
        bottleneck_check("server update", necpnet_server_update(world->server, world->now_us));
    }
    world->client_config.transport = &flow->host.transport;
    bottleneck_check("client", necpnet_client_create(&world->client_config, &flow->client));
    bottleneck_check("client update", necpnet_client_update(flow->client, world->now_us));
    bottleneck_check("connect", necpnet_client_connect(flow->client, &url, 1));
}

static inline void bottleneck_offer(bottleneck* world, bottleneck_flow* flow)
{
    if (!flow->connected || world->now_us >= flow->ends_us) return;
    if (flow->offered_bytes_per_s != UINT64_MAX) {
        flow->offered_bytes += (double)flow->offered_bytes_per_s * (double)(world->now_us - flow->offered_at_us) / 1e6;
        flow->offered_at_us = world->now_us;
        if (flow->offered_bytes > 4.0 * flow->message_bytes) flow->offered_bytes = 4.0 * flow->message_bytes;
    }
    while (flow->offered_bytes_per_s == UINT64_MAX || flow->offered_bytes >= flow->message_bytes) {
        if (necpnet_client_send(flow->client, NECPNET_CHANNEL_RELIABLE, world->message, flow->message_bytes)) return;
        if (flow->offered_bytes_per_s != UINT64_MAX) flow->offered_bytes -= flow->message_bytes;
    }
}

static inline void bottleneck_serve_client(bottleneck* world, bottleneck_flow* flow)
{
    necpnet_event event;
    bottleneck_check("client update", necpnet_client_update(flow->client, world->now_us));
    while (necpnet_client_poll(flow->client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) {
            flow->connected = true;
            flow->offered_at_us = world->now_us;
        }
        if (event.type == NECPNET_EVENT_DISCONNECTED) flow->connected = false;
    }
    bottleneck_offer(world, flow);
    bottleneck_check("client flush", necpnet_client_flush(flow->client, world->now_us));
}

static inline void bottleneck_serve_server(bottleneck* world)
{
    necpnet_event event;
    bottleneck_check("server update", necpnet_server_update(world->server, world->now_us));
    while (necpnet_server_poll(world->server, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) { /* clients come one after the other: the newest without a peer */
            for (int i = 0; i < world->flow_count; i++) {
                bottleneck_flow* flow = &world->flows[i];
                if (flow->client && !flow->peer) {
                    flow->peer = event.peer;
                    break;
                }
            }
        }
        if (event.type != NECPNET_EVENT_MESSAGE) continue;
        for (int i = 0; i < world->flow_count; i++) {
            if (world->flows[i].peer == event.peer) world->flows[i].message_bytes_arrived += event.bytes;
        }
    }
}

static inline void bottleneck_hand_over(bottleneck* world, bottleneck_host* host, const bottleneck_packet* packet)
{
    (void)world;
    if (!host->attached || host->ready_count == BOTTLENECK_RING) return;
    host->ready[(host->ready_first + host->ready_count++) % BOTTLENECK_RING] = *packet;
}

static inline void bottleneck_arrivals(bottleneck* world)
{
    bottleneck_direction* there = &world->there;
    while (there->count && there->ring[there->first].due_us <= world->now_us) {
        bottleneck_packet* packet = &there->ring[there->first];
        bottleneck_flow* flow = &world->flows[packet->flow];
        there->first = (there->first + 1) % BOTTLENECK_RING;
        there->count--;
        if (flow->reno) {
            flow->arrived_bytes += RENO_WIRE;
            reno_on_segment(world, packet->flow, packet->number);
        } else {
            flow->arrived_bytes += packet->bytes + BOTTLENECK_OVERHEAD;
            bottleneck_hand_over(world, &world->server_host, packet);
        }
    }
    bottleneck_direction* back = &world->back;
    while (back->count && back->ring[back->first].due_us <= world->now_us) {
        bottleneck_packet* packet = &back->ring[back->first];
        bottleneck_flow* flow = &world->flows[packet->flow];
        back->first = (back->first + 1) % BOTTLENECK_RING;
        back->count--;
        if (flow->reno) {
            if (world->now_us < flow->ends_us) reno_on_ack(world, packet->flow, packet->number);
        } else {
            bottleneck_hand_over(world, &flow->host, packet);
        }
    }
}

static inline void bottleneck_sample(bottleneck* world)
{
    uint64_t queue_us = bottleneck_queue_us(world);
    if (queue_us > world->queue_worst_us) world->queue_worst_us = queue_us;
    if (world->now_us >= world->slot_at_us + world->slot_us) {
        if (world->slot_least_us != UINT64_MAX && world->standing_count < BOTTLENECK_SAMPLES) {
            world->standing[world->standing_count++] = (uint32_t)world->slot_least_us;
        }
        world->slot_at_us = world->now_us;
        world->slot_least_us = UINT64_MAX;
        if (world->on_sample) world->on_sample(world);
    }
    if (queue_us < world->slot_least_us) world->slot_least_us = queue_us;
}

static inline uint64_t bottleneck_next_us(const bottleneck* world)
{
    uint64_t next = world->now_us + BOTTLENECK_TICK_US;
#define BOTTLENECK_EARLIER(at) \
    do { \
        uint64_t earlier = (at); \
        if (earlier < next) next = earlier; \
    } while (0)
    if (world->there.count) BOTTLENECK_EARLIER(world->there.ring[world->there.first].due_us);
    if (world->back.count) BOTTLENECK_EARLIER(world->back.ring[world->back.first].due_us);
    if (world->there.free_ns > world->now_us * 1000) BOTTLENECK_EARLIER(world->there.free_ns / 1000);
    if (world->server) BOTTLENECK_EARLIER(necpnet_server_deadline_us(world->server));
    for (int i = 0; i < world->flow_count; i++) {
        const bottleneck_flow* flow = &world->flows[i];
        if (flow->client) BOTTLENECK_EARLIER(necpnet_client_deadline_us(flow->client));
        if (flow->reno) BOTTLENECK_EARLIER(flow->reno->timeout_at_us);
        if (flow->reno) BOTTLENECK_EARLIER(flow->reno->ack_at_us);
        if (flow->begins_us > world->now_us) BOTTLENECK_EARLIER(flow->begins_us);
    }
#undef BOTTLENECK_EARLIER
    return next > world->now_us ? next : world->now_us + 20;
}

static inline void bottleneck_run(bottleneck* world, uint64_t us)
{
    uint64_t until_us = world->now_us + us;
    while (world->now_us < until_us) {
        bottleneck_arrivals(world);
        for (int i = 0; i < world->flow_count; i++) {
            bottleneck_flow* flow = &world->flows[i];
            if (world->now_us < flow->begins_us) continue;
            bool begun = flow->client || (flow->reno && flow->reno->highest);
            if (!begun) bottleneck_begin_flow(world, flow, i);
            if (flow->client) bottleneck_serve_client(world, flow);
            if (!flow->reno) continue;
            if (world->now_us >= flow->reno->ack_at_us) reno_send_ack(world, i);
            if (world->now_us >= flow->reno->timeout_at_us && world->now_us < flow->ends_us) reno_on_timeout(world, i);
            if (world->now_us >= flow->ends_us) flow->reno->timeout_at_us = UINT64_MAX;
        }
        if (world->server) bottleneck_serve_server(world);
        if (world->slot_us) bottleneck_sample(world);
        world->now_us = bottleneck_next_us(world);
    }
}

/* bottleneck_measure - count from now on. What stands in the queue is its least of each slot: one round trip, at least
 * 100 ms and two packets' time on the link. */
static inline void bottleneck_measure(bottleneck* world)
{
    for (int i = 0; i < world->flow_count; i++) {
        bottleneck_flow* flow = &world->flows[i];
        flow->arrived_bytes = flow->message_bytes_arrived = flow->packets = flow->dropped = 0;
    }
    uint64_t packets_us = 2 * UINT64_C(1500000000) / world->rate;
    world->slot_us = world->rtt_us > 100000 ? world->rtt_us : 100000;
    if (packets_us > world->slot_us) world->slot_us = packets_us;
    world->slot_at_us = world->now_us;
    world->slot_least_us = UINT64_MAX;
    world->queue_worst_us = 0;
    world->standing_count = 0;
}

static inline int bottleneck_compare(const void* a, const void* b)
{
    uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
    return (x > y) - (x < y);
}

/* bottleneck_standing_us - the standing queue that so many per cent of the slots kept to. */
static inline uint32_t bottleneck_standing_us(bottleneck* world, uint32_t percent)
{
    if (!world->standing_count) return 0;
    qsort(world->standing, world->standing_count, sizeof world->standing[0], bottleneck_compare);
    return world->standing[(uint64_t)(world->standing_count - 1) * percent / 100];
}

static inline void bottleneck_end(bottleneck* world)
{
    for (int i = 0; i < world->flow_count; i++) {
        necpnet_client_destroy(world->flows[i].client);
        free(world->flows[i].reno);
        free(world->flows[i].host.ready);
    }
    necpnet_server_destroy(world->server);
    free(world->server_host.ready);
    free(world->there.ring);
    free(world->back.ring);
}

#endif
