/* kit_wire - a network for tests. */
#include "kit_wire.h"

#include <stdlib.h>
#include <string.h>

static kit_end* wire_add_end(kit_wire* wire, kit_host* host)
{
    kit_end* end = (kit_end*)calloc(1, sizeof *end);
    if (!end) abort();
    end->host = host;
    end->next = wire->ends;
    wire->ends = end;
    return end;
}

static void wire_append(kit_end* end, const void* data, size_t bytes)
{
    if (end->inbox_bytes + bytes > end->inbox_capacity) {
        end->inbox_capacity = (end->inbox_bytes + bytes) * 2;
        end->inbox = (uint8_t*)realloc(end->inbox, end->inbox_capacity);
        if (!end->inbox) abort();
    }
    if (bytes) memcpy(end->inbox + end->inbox_bytes, data, bytes);
    end->inbox_bytes += bytes;
}

static kit_host* wire_server(kit_wire* wire)
{
    for (kit_host* host = wire->hosts; host; host = host->next) {
        if (host->is_server && host->attached) return host;
    }
    return NULL;
}

/* Join an end to a new one at the server; false when it is refused. */
static bool wire_join(kit_wire* wire, kit_end* end)
{
    necpnet_address from = {NECPNET_ADDRESS_IPV4, 0, 40000, 0, {127, 0, 0, 1}};
    kit_host* server = wire_server(wire);
    if (!server) return false;
    kit_end* other = wire_add_end(wire, server);
    other->other = end;
    end->other = other;
    other->context = server->sink.on_accept(server->sink.user, (necpnet_stream*)(void*)other, &from);
    if (other->context) return true;
    wire->accepts_refused++;
    other->let_go = true;
    end->other = NULL;
    return false;
}

/* ---- the transport -------------------------------------------------------------------------------------------------- */

static necpnet_result wire_attach(void* user, const necpnet_sink* sink)
{
    kit_host* host = (kit_host*)user;
    host->sink = *sink;
    host->attached = true;
    return NECPNET_OK;
}

static void wire_let_go(kit_end* end, bool at_once)
{
    end->let_go = true;
    end->context = NULL;
    if (!end->other) return;
    end->other->other_ended = true;
    end->other->reset = at_once;
}

static void wire_detach(void* user)
{
    kit_host* host = (kit_host*)user;
    host->attached = false;
    for (kit_end* end = host->wire->ends; end; end = end->next) {
        if (end->host == host && !end->let_go) wire_let_go(end, true);
    }
}

static void wire_deliver_open(kit_end* end)
{
    kit_host* host = end->host;
    kit_wire* wire = host->wire;
    end->opening = false;
    if (wire->refuse_next > 0 || !wire_join(wire, end)) {
        if (wire->refuse_next > 0) wire->refuse_next--;
        end->let_go = true;
        host->sink.on_close(end->context, NECPNET_ERR_CONNECTION_REFUSED);
        return;
    }
    host->sink.on_open(end->context);
}

static void wire_deliver_data(kit_end* end)
{
    kit_wire* wire = end->host->wire;
    size_t bytes = wire->piece && wire->piece < end->inbox_bytes ? wire->piece : end->inbox_bytes;
    uint8_t* data = (uint8_t*)malloc(bytes); /* exact, so that a sanitizer sees a read beyond it */
    if (!data) abort();
    memcpy(data, end->inbox, bytes);
    memmove(end->inbox, end->inbox + bytes, end->inbox_bytes - bytes);
    end->inbox_bytes -= bytes;
    end->host->sink.on_data(end->context, data, bytes);
    free(data);
}

static void wire_deliver(kit_end* end)
{
    kit_host* host = end->host;
    while (!end->let_go && (end->opening || (end->inbox_bytes && !end->paused))) {
        if (end->opening) {
            wire_deliver_open(end);
        } else {
            wire_deliver_data(end);
        }
    }
    if (!end->let_go && end->other_ended && (!end->inbox_bytes || end->reset)) {
        end->let_go = true;
        host->sink.on_close(end->context, end->reset ? NECPNET_ERR_CONNECTION_RESET : NECPNET_ERR_CLOSED);
    }
    if (!end->let_go && end->was_full && (!end->other || !end->other->inbox_bytes)) {
        end->was_full = false;
        host->sink.on_writable(end->context);
    }
}

static void wire_receive(void* user, uint64_t now_us)
{
    kit_host* host = (kit_host*)user;
    necpnet_address addresses[8];
    (void)now_us;
    int count = host->asked_count;
    host->asked_count = 0;
    memset(addresses, 0, sizeof addresses);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < host->wire->resolve_count; j++) {
            addresses[j].family = NECPNET_ADDRESS_IPV4;
            addresses[j].bytes[3] = (uint8_t)(j + 1);
            addresses[j].port = host->asked[i].port;
        }
        host->sink.on_resolved(host->sink.user, host->asked[i].request, addresses, host->wire->resolve_count,
                               NECPNET_ERR_HOST_UNKNOWN);
    }
    if (host->wire->stalled) return;
    for (kit_end* end = host->wire->ends; end; end = end->next) {
        if (end->host == host) wire_deliver(end);
    }
}

static necpnet_result wire_send_datagram(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    (void)user, (void)to, (void)data, (void)bytes;
    return NECPNET_ERR_UNSUPPORTED;
}

static necpnet_result wire_resolve(void* user, uint64_t request, const char* name, uint16_t port)
{
    kit_host* host = (kit_host*)user;
    if (host->asked_count == 8) return NECPNET_ERR_WOULD_BLOCK;
    host->asked[host->asked_count].request = request;
    host->asked[host->asked_count].port = port;
    strncpy(host->asked[host->asked_count].host, name, 63);
    host->asked_count++;
    return NECPNET_OK;
}

static necpnet_result wire_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                       necpnet_stream** out_stream)
{
    kit_host* host = (kit_host*)user;
    (void)to;
    if (url) strncpy(host->wire->url, url, sizeof host->wire->url - 1);
    kit_end* end = wire_add_end(host->wire, host);
    end->context = context;
    end->opening = true;
    *out_stream = (necpnet_stream*)(void*)end;
    return NECPNET_OK;
}

static necpnet_result wire_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    kit_end* end = (kit_end*)(void*)stream;
    kit_wire* wire = ((kit_host*)user)->wire;
    wire->sends++;
    if (wire->sends_until_fail == 0) return NECPNET_ERR_OUT_OF_MEMORY;
    if (wire->sends_until_fail > 0) wire->sends_until_fail--;
    if (end->other) wire_append(end->other, data, bytes);
    if (bytes) end->was_full = true;
    return NECPNET_OK;
}

static size_t wire_pending(void* user, necpnet_stream* stream)
{
    kit_end* end = (kit_end*)(void*)stream;
    (void)user;
    return end->other && end->other->host ? end->other->inbox_bytes : 0;
}

static void wire_pause(void* user, necpnet_stream* stream, bool paused)
{
    ((kit_host*)user)->pause_calls++;
    ((kit_end*)(void*)stream)->paused = paused;
}

static void wire_close_stream(void* user, necpnet_stream* stream, bool at_once)
{
    (void)user;
    wire_let_go((kit_end*)(void*)stream, at_once);
}

static void wire_flush(void* user)
{
    (void)user;
}

static void wire_local_ports(void* user, int* out_udp, int* out_tcp)
{
    (void)user;
    *out_udp = -1;
    *out_tcp = 4711;
}

/* ---- what tests call ------------------------------------------------------------------------------------------------ */

void kit_wire_begin(kit_wire* wire)
{
    memset(wire, 0, sizeof *wire);
    wire->resolve_count = 1;
    wire->sends_until_fail = -1;
}

void kit_wire_end(kit_wire* wire)
{
    while (wire->ends) {
        kit_end* end = wire->ends;
        wire->ends = end->next;
        free(end->inbox);
        free(end);
    }
    while (wire->hosts) {
        kit_host* host = wire->hosts;
        wire->hosts = host->next;
        free(host);
    }
}

kit_host* kit_wire_add(kit_wire* wire, bool is_server, uint32_t flags)
{
    kit_host* host = (kit_host*)calloc(1, sizeof *host);
    if (!host) abort();
    necpnet_transport transport = {host,
                                   flags,
                                   wire_attach,
                                   wire_detach,
                                   wire_receive,
                                   wire_send_datagram,
                                   wire_resolve,
                                   wire_open_stream,
                                   wire_send_stream,
                                   wire_pending,
                                   wire_pause,
                                   wire_close_stream,
                                   wire_flush,
                                   NULL,
                                   wire_local_ports,
                                   NULL};
    host->wire = wire;
    host->transport = transport;
    host->is_server = is_server;
    host->next = wire->hosts;
    wire->hosts = host;
    return host;
}

kit_end* kit_wire_connect(kit_wire* wire)
{
    kit_end* end = wire_add_end(wire, NULL);
    return wire_join(wire, end) ? end : NULL;
}

void kit_wire_say(kit_end* end, const void* data, size_t bytes)
{
    if (end->other) wire_append(end->other, data, bytes);
}

void kit_wire_say_text(kit_end* end, const char* text)
{
    kit_wire_say(end, text, strlen(text));
}

void kit_wire_hang_up(kit_end* end, bool reset)
{
    wire_let_go(end, reset);
}
