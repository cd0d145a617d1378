/* kit_tap.h - a tap on a client's line: what it sends and hears over any transport may be lost, doubled, damaged, or get
 * frames that an honest peer would not write, sealed with the right keys. For fuzzers and white-box tests.
 *
 *     tap tap;
 *     tap_begin(&tap, inner);           inner: a client host of a link
 *     config.transport = &tap.transport; necpnet_client_create(&config, &tap.client);
 *     tap.out.kind = HARM_APPEND; tap.out.data = frames; tap.out.bytes = n;      the next that it sends
 */
#ifndef KIT_TAP_H
#define KIT_TAP_H

#include "nn_client.h"
#include "nn_websocket.h"

#include <stdlib.h>

/* What happens to the next thing that a client sends, or is sent. */
typedef enum harm_kind {
    HARM_NONE,
    HARM_DROP,
    HARM_TWICE,
    HARM_FLIP,
    HARM_CUT,
    HARM_REPLACE, /* its frames, sealed again */
    HARM_APPEND,  /* frames behind its own */
    HARM_RAW,     /* bytes as they are, unsealed */
    HARM_KINDS
} harm_kind;

typedef struct harm {
    harm_kind kind;
    const uint8_t* data;
    size_t bytes;
} harm;

/* A client and the tap on its line. */
typedef struct tap {
    necpnet_transport transport; /* what the client sees */
    const necpnet_transport* inner;
    necpnet_sink sink; /* the client's */
    necpnet_client* client;
    harm out, in;
    necpnet_address server;                                                           /* as the link resolved it last */
    void (*watch)(struct tap* self, bool outward, const uint8_t* data, size_t bytes); /* NULL, or sees each datagram */
    void* user;
} tap;

static uint8_t harm_bytes[70000]; /* of the last that was harmed */

/* A datagram as harmed; false: it is lost. A packet is sealed again with the sender's key. */
static inline bool harm_datagram(const harm* harmed, nn_aead* aead, uint64_t largest, const uint8_t* data,
                                 size_t* bytes)
{
    nn_packet packet;
    necpnet_drop why;
    memcpy(harm_bytes, data, *bytes);
    switch (harmed->kind) {
    case HARM_DROP: return false;
    case HARM_FLIP:
        for (size_t i = 0; i + 1 < harmed->bytes; i += 2) {
            harm_bytes[(size_t)harmed->data[i] * 5 % *bytes] ^= harmed->data[i + 1];
        }
        return true;
    case HARM_CUT: *bytes = harmed->bytes ? harmed->data[0] % *bytes : *bytes / 2; return true;
    case HARM_RAW:
        *bytes = harmed->bytes;
        memcpy(harm_bytes, harmed->data, harmed->bytes);
        return true;
    case HARM_REPLACE:
    case HARM_APPEND: {
        if (!aead || !nn_packet_parse(harm_bytes, *bytes, largest, &packet, &why)) return true;
        size_t kept = harmed->kind == HARM_APPEND ? packet.frames_bytes : 0;
        memcpy(packet.frames + kept, harmed->data, harmed->bytes);
        if (kept + harmed->bytes == 0) return true;
        *bytes = nn_packet_seal(aead, harm_bytes, packet.header_bytes, kept + harmed->bytes, packet.number);
        return true;
    }
    default: return true;
    }
}

static inline harm harm_take(harm* armed)
{
    harm taken = *armed;
    armed->kind = HARM_NONE;
    return taken;
}

static inline necpnet_result tap_send_datagram(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    tap* self = (tap*)user;
    harm harmed = harm_take(&self->out);
    nn_connection* connection = &self->client->connection;
    if (self->watch) self->watch(self, true, data, bytes);
    bool live = connection->udp != NULL;
    uint64_t largest = live ? nn_recovery_next_number(&connection->udp->recovery) - 1 : NN_PACKET_NONE;
    if (!harm_datagram(&harmed, live ? connection->udp->phases.send : NULL, largest, data, &bytes)) return NECPNET_OK;
    if (harmed.kind == HARM_TWICE) (void)self->inner->send_datagram(self->inner->user, to, harm_bytes, bytes);
    return self->inner->send_datagram(self->inner->user, to, harm_bytes, bytes);
}

static inline void tap_on_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes,
                                   uint32_t waited_us)
{
    tap* self = (tap*)user;
    harm harmed = harm_take(&self->in);
    nn_connection* connection = &self->client->connection;
    if (self->watch) self->watch(self, false, data, bytes);
    bool live = connection->udp != NULL;
    size_t whole = bytes;
    if (!harm_datagram(&harmed, live ? connection->udp->phases.receive : NULL,
                       live ? connection->udp->acks.largest : NN_PACKET_NONE, data, &bytes)) {
        return;
    }
    uint8_t* exact = (uint8_t*)malloc(bytes + 1);
    if (!exact) abort();
    memcpy(exact, harm_bytes, bytes);
    self->sink.on_datagram(self->sink.user, from, exact, bytes, waited_us);
    free(exact);
    if (harmed.kind == HARM_TWICE) self->sink.on_datagram(self->sink.user, from, data, whole, waited_us);
}

/* A piece of a stream as harmed; frames go into a WebSocket message of their own. */
static inline const uint8_t* harm_stream(const harm* harmed, bool masked, const uint8_t* data, size_t* bytes)
{
    static const uint8_t no_mask[4] = {0, 0, 0, 0};
    size_t at = 0;
    switch (harmed->kind) {
    case HARM_FLIP:
    case HARM_CUT:
    case HARM_RAW: return harm_datagram(harmed, NULL, NN_PACKET_NONE, data, bytes) ? harm_bytes : data;
    case HARM_APPEND:
    case HARM_TWICE:
        if (*bytes > sizeof harm_bytes - 300) return data;
        memcpy(harm_bytes, data, *bytes);
        at = *bytes;
        break;
    case HARM_REPLACE: break;
    default: return data;
    }
    at += nn_websocket_write_header(harm_bytes + at, NN_WEBSOCKET_BINARY, harmed->bytes, masked ? no_mask : NULL);
    memcpy(harm_bytes + at, harmed->data, harmed->bytes);
    *bytes = at + harmed->bytes;
    return harm_bytes;
}

static inline necpnet_result tap_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    tap* self = (tap*)user;
    harm harmed = harm_take(&self->out);
    data = harm_stream(&harmed, true, data, &bytes);
    return bytes ? self->inner->send_stream(self->inner->user, stream, data, bytes) : NECPNET_OK;
}

static tap* tap_streaming; /* the only client whose streams are harmed; set before it is created */

static inline void tap_on_data(void* context, uint8_t* data, size_t bytes)
{
    harm harmed = harm_take(&tap_streaming->in);
    if (bytes > sizeof harm_bytes) harmed.kind = HARM_NONE;
    const uint8_t* given = harm_stream(&harmed, false, data, &bytes);
    uint8_t* exact = (uint8_t*)malloc(bytes + 1);
    if (!exact) abort();
    memcpy(exact, given, bytes);
    if (bytes) tap_streaming->sink.on_data(context, exact, bytes);
    free(exact);
}

static inline void tap_on_resolved(void* user, uint64_t request, const necpnet_address* addresses, int count,
                                   necpnet_result reason)
{
    tap* self = (tap*)user;
    if (count) self->server = addresses[0];
    self->sink.on_resolved(self->sink.user, request, addresses, count, reason);
}

static inline necpnet_result tap_attach(void* user, const necpnet_sink* sink)
{
    tap* self = (tap*)user;
    necpnet_sink ours = *sink;
    self->sink = *sink;
    ours.user = self;
    ours.on_datagram = tap_on_datagram;
    ours.on_resolved = tap_on_resolved;
    if (self == tap_streaming) ours.on_data = tap_on_data;
    return self->inner->attach(self->inner->user, &ours);
}

#define TAP_INNER(user) (((tap*)(user))->inner)
static inline void tap_detach(void* user)
{
    TAP_INNER(user)->detach(TAP_INNER(user)->user);
}
static inline void tap_receive(void* user, uint64_t now_us)
{
    TAP_INNER(user)->receive(TAP_INNER(user)->user, now_us);
}
static inline necpnet_result tap_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    return TAP_INNER(user)->resolve(TAP_INNER(user)->user, request, host, port);
}
static inline necpnet_result tap_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                             necpnet_stream** out_stream)
{
    return TAP_INNER(user)->open_stream(TAP_INNER(user)->user, to, url, context, out_stream);
}
static inline size_t tap_pending(void* user, necpnet_stream* stream)
{
    return TAP_INNER(user)->pending(TAP_INNER(user)->user, stream);
}
static inline void tap_pause(void* user, necpnet_stream* stream, bool paused)
{
    TAP_INNER(user)->pause(TAP_INNER(user)->user, stream, paused);
}
static inline void tap_close_stream(void* user, necpnet_stream* stream, bool at_once)
{
    TAP_INNER(user)->close_stream(TAP_INNER(user)->user, stream, at_once);
}
static inline void tap_flush(void* user)
{
    TAP_INNER(user)->flush(TAP_INNER(user)->user);
}

static inline void tap_begin(tap* self, const necpnet_transport* inner)
{
    memset(self, 0, sizeof *self);
    self->inner = inner;
    self->transport.user = self;
    self->transport.flags = inner->flags;
    self->transport.attach = tap_attach;
    self->transport.detach = tap_detach;
    self->transport.receive = tap_receive;
    self->transport.send_datagram = tap_send_datagram;
    self->transport.resolve = tap_resolve;
    self->transport.open_stream = tap_open_stream;
    self->transport.send_stream = tap_send_stream;
    self->transport.pending = tap_pending;
    self->transport.pause = tap_pause;
    self->transport.close_stream = tap_close_stream;
    self->transport.flush = tap_flush;
}

#endif
