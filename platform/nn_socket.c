/* nn_socket - the transport over real sockets: opening, receiving, waiting, destroying. */
#include "nn_socket.h"

#include "nn_packet.h"
#include "nn_platform.h"

#if !defined(__EMSCRIPTEN__)

#define SOCKET_BUFFER_BYTES_DEFAULT (4u << 20)

necpnet_result necpnet_socket_config_default(necpnet_socket_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->bind_address = "::";
    config->udp_port = -1;
    config->tcp_port = -1;
    config->socket_buffer_bytes = SOCKET_BUFFER_BYTES_DEFAULT;
    return NECPNET_OK;
}

NN_PRIVATE nn_socket_buffers* nn_socket_buffers_of(nn_socket* socket)
{
    necpnet_loop* loop = socket->loop;
    if (loop->buffers) return (nn_socket_buffers*)loop->buffers;
    bool one_client = socket->own_loop && !socket->has_room_for_many;
    uint32_t slots = one_client ? 1 : NN_SOCKET_READ_SLOTS;
    size_t read_bytes = (size_t)slots * NN_SOCKET_READ_SLOT;
    size_t datagram_bytes = one_client ? NN_SOCKET_READ_SLOT : NN_SOCKET_DATAGRAMS_BYTES;
    size_t cork_bytes = one_client ? NN_SOCKET_CORK_BYTES_SMALL : NN_SOCKET_CORK_BYTES;
    bool fans_out = !socket->own_loop || socket->listening.descriptor != NN_NET_NONE;
    size_t kept_bytes = fans_out ? NN_SOCKET_KEPT_BYTES : 0;
    size_t bytes = sizeof(nn_socket_buffers) + kept_bytes + read_bytes + datagram_bytes + cork_bytes;
    nn_socket_buffers* buffers = (nn_socket_buffers*)nn_alloc_take(&loop->alloc, bytes);
    if (!buffers) return NULL;
    buffers->bytes = bytes;
    buffers->kept = (uint8_t*)(buffers + 1); /* first: it needs the alignment */
    buffers->kept_bytes_max = buffers->kept_back = (uint32_t)kept_bytes;
    buffers->read = buffers->kept + kept_bytes;
    buffers->read_slots = slots;
    buffers->datagram_bytes = buffers->read + read_bytes;
    buffers->datagram_bytes_max = datagram_bytes;
    buffers->cork = buffers->datagram_bytes + datagram_bytes;
    buffers->cork_bytes_max = cork_bytes;
    loop->buffers = buffers;
    loop->buffers_bytes = bytes;
    return buffers;
}

/* ---- the transport's functions -- */

static necpnet_result socket_attach(void* user, const necpnet_sink* sink)
{
    nn_socket* socket = (nn_socket*)user;
    if (socket->attached) return NECPNET_ERR_INVALID_STATE;
    socket->sink = *sink;
    socket->attached = true;
    return NECPNET_OK;
}

static void socket_flush(void* user)
{
    nn_socket* socket = (nn_socket*)user;
    nn_socket_flush_datagrams(socket);
    nn_socket_buffers* buffers = (nn_socket_buffers*)socket->loop->buffers;
    if (buffers && buffers->cork_stream && buffers->cork_stream->socket == socket) nn_socket_flush_cork(buffers);
    if (buffers && buffers->kept_first) nn_socket_flush_kept(buffers);
}

static void socket_detach(void* user)
{
    nn_socket* socket = (nn_socket*)user;
    if (!socket->attached) return;
    socket_flush(socket);
    nn_socket_end_streams(socket);
    socket->attached = false;
    memset(&socket->sink, 0, sizeof socket->sink);
}

static void socket_tell_resolved(nn_socket* socket)
{
    nn_resolved resolved;
    while (socket->attached && socket->resolver && nn_resolver_take(socket->resolver, &resolved)) {
        socket->sink.on_resolved(socket->sink.user, resolved.request, resolved.addresses,
                                 resolved.reason == NECPNET_OK ? resolved.count : 0, resolved.reason);
    }
}

/* Nothing but one UDP socket: asking it costs what asking the loop would, and says more. */
static bool socket_is_udp_alone(const nn_socket* socket)
{
    return socket->own_loop && socket->udp.descriptor != NN_NET_NONE && socket->listening.descriptor == NN_NET_NONE &&
           !socket->streams.first && !socket->closing.first && !socket->ready_first &&
           socket->udp.wishes == NN_READABLE;
}

/* Whether the application spins. One that calls once a frame must find in a turn all that has come, and wants to know when:
 * that costs a little for each datagram, so that those who wait for them do without. */
static bool socket_count_turn(nn_socket* socket, uint64_t now_us)
{
    uint64_t passed_us = now_us - socket->received_us;
    bool soon = passed_us < NN_SOCKET_SPIN_US;
    if (socket->frames < NN_SOCKET_FRAME_TURNS) {
        bool is_frame = !socket->waited && passed_us >= NN_SOCKET_FRAME_US && socket->own_loop;
        socket->frames = is_frame ? socket->frames + 1 : 0;
        bool has_udp = socket->udp.descriptor != NN_NET_NONE;
        if (socket->frames == NN_SOCKET_FRAME_TURNS && has_udp) nn_net_stamp(socket->udp.descriptor);
    }
    socket->received_us = now_us;
    socket->spins = soon ? socket->spins + (socket->spins < NN_SOCKET_SPIN_TURNS) : 0;
    return socket->spins == NN_SOCKET_SPIN_TURNS;
}

/* now_us is the application's; lingering is counted by the system's clock, for the loop waits by it. */
static void socket_receive(void* user, uint64_t now_us)
{
    nn_socket* socket = (nn_socket*)user;
    if (!socket->attached) return;
    nn_socket_buffers* buffers = nn_socket_buffers_of(socket);
    if (!buffers || buffers->reading) return; /* inside another transport's receive: the next call has it */
    /* a borrowed loop is stepped by its owner: a thousand endpoints on it cost one system call a turn, not a thousand */
    if (!socket->waited && socket_is_udp_alone(socket)) {
        socket->udp_ready = true;
    } else if (!socket->waited && socket->own_loop) {
        necpnet_loop_step(socket->loop, 0);
    }
    bool spins = socket_count_turn(socket, now_us);
    socket->waited = false;
    buffers->reading = true;
    if (socket->udp_ready) nn_socket_receive_datagrams(socket, spins);
    if (socket->workers) nn_socket_receive_handed_over(socket);
    if (socket->listening_ready) nn_socket_accept(socket);
    if (socket->ready_first) nn_socket_serve_streams(socket);
    socket_tell_resolved(socket);
    if (socket->closing.first) nn_socket_expire_streams(socket, necpnet_time_us());
    buffers->reading = false;
}

static necpnet_result socket_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    nn_socket* socket = (nn_socket*)user;
    if (!socket->resolver) socket->resolver = nn_resolver_create(socket->loop);
    if (!socket->resolver) return NECPNET_ERR_OUT_OF_MEMORY;
    return nn_resolver_ask(socket->resolver, request, host, port);
}

/* Ask without sleeping for busy_poll_us, then sleep for the rest. */
static necpnet_result socket_spin(nn_socket* socket, uint64_t timeout_us)
{
    uint64_t began_us = necpnet_time_us();
    uint64_t spent_us = 0;
    do {
        necpnet_result result = necpnet_loop_step(socket->loop, 0);
        if (result != NECPNET_OK || socket->loop->ready_count) return result;
        spent_us = necpnet_time_us() - began_us;
        if (spent_us >= timeout_us) return NECPNET_OK;
    } while (spent_us < socket->busy_poll_us);
    return necpnet_loop_step(socket->loop, timeout_us - spent_us);
}

static necpnet_result socket_wait(void* user, uint64_t timeout_us)
{
    nn_socket* socket = (nn_socket*)user;
    if (socket->udp_ready || socket->listening_ready || socket->ready_first) return NECPNET_OK;
    if (socket->closing.first) {
        uint64_t now_us = necpnet_time_us();
        uint64_t until_us = socket->closing.first->as.until_us;
        timeout_us = nn_min_u64(timeout_us, until_us > now_us ? until_us - now_us : 0);
    }
    socket->waited = true;
    if (socket->busy_poll_us && timeout_us) return socket_spin(socket, timeout_us);
    return necpnet_loop_step(socket->loop, timeout_us);
}

static void socket_local_ports(void* user, int* out_udp, int* out_tcp)
{
    nn_socket* socket = (nn_socket*)user;
    *out_udp = socket->udp.descriptor == NN_NET_NONE ? -1 : nn_net_local_port(socket->udp.descriptor);
    *out_tcp = socket->listening.descriptor == NN_NET_NONE ? -1 : nn_net_local_port(socket->listening.descriptor);
}

/* ---- opening -- */

static necpnet_result socket_bind(nn_socket* socket, nn_net_kind kind, const necpnet_socket_config* config,
                                  const necpnet_address* address, nn_watch* watch)
{
    int descriptor = NN_NET_NONE;
    necpnet_result result = nn_net_open(kind, address->family == NECPNET_ADDRESS_IPV6, &descriptor);
    if (result != NECPNET_OK) return result;
    result = nn_net_bind(descriptor, kind, address, config->reuse_port);
    if (result == NECPNET_OK && kind == NN_NET_TCP) {
        nn_net_tune_tcp(descriptor, NN_SOCKET_UNSENT_BYTES_MAX);
        result = nn_net_listen(descriptor);
    }
    if (result != NECPNET_OK) {
        nn_net_close(descriptor);
        return result;
    }
    if (kind == NN_NET_UDP) {
        nn_net_tune_udp(descriptor, config->socket_buffer_bytes, config->busy_poll_us);
        socket->udp_address = *address;
        socket->udp_buffer_bytes = config->socket_buffer_bytes;
        socket->udp_ipv6 = address->family == NECPNET_ADDRESS_IPV6;
        socket->joins = true;
        socket->watches_errors = config->udp_port == 0 && config->tcp_port < 0;
        if (socket->watches_errors) nn_net_watch_errors(descriptor, socket->udp_ipv6);
    }
    watch->descriptor = descriptor;
    return nn_loop_watch(socket->loop, watch, NN_READABLE);
}

/* Bind one port; where "::" was asked for and there is no IPv6, to IPv4. */
static necpnet_result socket_open(nn_socket* socket, nn_net_kind kind, const necpnet_socket_config* config,
                                  const necpnet_address* address, int port, nn_watch* watch)
{
    necpnet_address at = *address;
    at.port = (uint16_t)port;
    necpnet_result result = socket_bind(socket, kind, config, &at, watch);
    if ((result == NECPNET_ERR_UNSUPPORTED || result == NECPNET_ERR_NETWORK_UNREACHABLE) && !config->reuse_port &&
        strcmp(config->bind_address, "::") == 0) {
        at.family = NECPNET_ADDRESS_IPV4;
        result = socket_bind(socket, kind, config, &at, watch);
    }
    if (result == NECPNET_OK) return NECPNET_OK;
    char text[NECPNET_ADDRESS_TEXT_BYTES_MAX];
    if (necpnet_address_format(&at, text, sizeof text) != NECPNET_OK) text[0] = 0;
    nn_log_write(&socket->logger, NECPNET_LOG_ERROR, "%s: cannot open %s: %s", kind == NN_NET_UDP ? "udp" : "tcp", text,
                 necpnet_result_text(result));
    if (result == NECPNET_ERR_UNSUPPORTED) return config->reuse_port ? NECPNET_ERR_BAD_CONFIG : NECPNET_ERR_IO;
    return result == NECPNET_ERR_NETWORK_UNREACHABLE ? NECPNET_ERR_BAD_CONFIG
                                                     : result; /* not an address of this host */
}

static necpnet_result socket_open_ports(nn_socket* socket, const necpnet_socket_config* config,
                                        const necpnet_address* address)
{
    necpnet_result result = NECPNET_OK;
    if (config->tcp_port >= 0) {
        result = socket_open(socket, NN_NET_TCP, config, address, config->tcp_port, &socket->listening);
        if (result == NECPNET_OK) result = nn_net_open(NN_NET_UDP, false, &socket->spare_descriptor);
    }
    if (result == NECPNET_OK && config->udp_port >= 0) {
        result = socket_open(socket, NN_NET_UDP, config, address, config->udp_port, &socket->udp);
    }
    return result;
}

/* A client's UDP socket anew, on another port; what waits to be sent leaves by the old one. */
static necpnet_result socket_rebind(void* user)
{
    nn_socket* socket = (nn_socket*)user;
    if (socket->udp.descriptor == NN_NET_NONE || !socket->watches_errors) return NECPNET_ERR_UNSUPPORTED;
    necpnet_socket_config config;
    necpnet_socket_config_default(&config);
    config.udp_port = 0;
    config.socket_buffer_bytes = socket->udp_buffer_bytes;
    config.busy_poll_us = socket->busy_poll_us;
    necpnet_address address = socket->udp_address;
    address.port = 0;
    nn_socket_flush_datagrams(socket);
    int old = socket->udp.descriptor;
    nn_loop_watch(socket->loop, &socket->udp, 0);
    socket->udp.descriptor = NN_NET_NONE;
    necpnet_result result = socket_bind(socket, NN_NET_UDP, &config, &address, &socket->udp);
    if (result == NECPNET_OK) {
        nn_net_close(old);
        socket->frames = 0;
        return NECPNET_OK;
    }
    nn_net_close(socket->udp.descriptor);
    socket->udp.descriptor = old;
    nn_loop_watch(socket->loop, &socket->udp, NN_READABLE);
    return result;
}

/* The first of them finds out whether the port is free: sockets that share it would share it with strangers, too. */
static necpnet_result socket_try_ports(nn_socket* socket, const necpnet_socket_config* config,
                                       const necpnet_address* address)
{
    necpnet_socket_config alone = *config;
    alone.reuse_port = false;
    necpnet_result result = socket_open_ports(socket, &alone, address);
    nn_watch* watches[2] = {&socket->udp, &socket->listening};
    for (int i = 0; i < 2; i++) {
        nn_loop_watch(socket->loop, watches[i], 0);
        nn_net_close(watches[i]->descriptor);
        watches[i]->descriptor = NN_NET_NONE;
    }
    nn_net_close(socket->spare_descriptor);
    socket->spare_descriptor = NN_NET_NONE;
    return result;
}

static necpnet_result socket_open_among_workers(nn_socket* socket, const necpnet_socket_config* config,
                                                const necpnet_address* address)
{
    necpnet_workers* workers = config->workers;
    necpnet_socket_config shared = *config;
    if (!NN_NET_SHARES_PORTS) return NECPNET_ERR_UNSUPPORTED;
    shared.reuse_port = true;
    nn_workers_lock(workers);
    bool is_first = workers->count == 0;
    necpnet_result result = nn_workers_join(workers, socket->loop, &socket->worker);
    if (result == NECPNET_OK) socket->workers = workers;
    if (result == NECPNET_OK && is_first) result = socket_try_ports(socket, config, address);
    if (shared.udp_port == 0 && workers->udp_port > 0) shared.udp_port = workers->udp_port;
    if (shared.tcp_port == 0 && workers->tcp_port > 0) shared.tcp_port = workers->tcp_port;
    if (result == NECPNET_OK) result = socket_open_ports(socket, &shared, address);
    if (result == NECPNET_OK && is_first) socket_local_ports(socket, &workers->udp_port, &workers->tcp_port);
    if (result == NECPNET_OK && workers->steers && socket->udp.descriptor != NN_NET_NONE) {
        nn_net_steer(socket->udp.descriptor, NN_PACKET_FORM, 4); /* the last byte of the connection id */
    }
    nn_workers_unlock(workers);
    return result;
}

static void socket_free(nn_socket* socket)
{
    if (socket->workers) nn_workers_leave(socket->workers, socket->worker);
    nn_resolver_destroy(socket->resolver);
    if (socket->loop) {
        nn_socket_buffers* buffers = (nn_socket_buffers*)socket->loop->buffers;
        nn_socket_free_streams(socket);
        if (buffers && buffers->datagrams_owner == socket) {
            nn_socket_flush_datagrams(socket);
            buffers->datagrams_owner = NULL;
            buffers->datagrams_first = 0;
            buffers->datagrams_count = 0;
            buffers->datagram_bytes_used = 0;
        }
        nn_loop_watch(socket->loop, &socket->udp, 0);
        nn_loop_watch(socket->loop, &socket->listening, 0);
    }
    nn_net_close(socket->udp.descriptor);
    nn_net_close(socket->listening.descriptor);
    nn_net_close(socket->spare_descriptor);
    if (socket->own_loop) necpnet_loop_destroy(socket->loop);
    nn_alloc alloc = socket->alloc;
    nn_alloc_give(&alloc, socket, sizeof *socket);
}

static void socket_fill_transport(nn_socket* socket)
{
    necpnet_transport* transport = &socket->transport;
    transport->user = socket;
    transport->flags = NECPNET_TRANSPORT_STREAMS;
    if (socket->udp.descriptor != NN_NET_NONE) transport->flags |= NECPNET_TRANSPORT_DATAGRAMS;
    transport->attach = socket_attach;
    transport->detach = socket_detach;
    transport->receive = socket_receive;
    transport->send_datagram = nn_socket_send_datagram;
    transport->resolve = socket_resolve;
    transport->open_stream = nn_socket_open_stream;
    transport->send_stream = nn_socket_send_stream;
    transport->pending = nn_socket_pending;
    transport->pause = nn_socket_pause;
    transport->close_stream = nn_socket_close_stream;
    transport->flush = socket_flush;
    transport->wait = socket_wait;
    transport->local_ports = socket_local_ports;
    transport->rebind = socket_rebind;
}

necpnet_result necpnet_socket_create(const necpnet_socket_config* config, const necpnet_transport** out_transport)
{
    if (!config || !out_transport) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    necpnet_address address;
    bool ports_fit =
        config->udp_port >= -1 && config->udp_port <= 65535 && config->tcp_port >= -1 && config->tcp_port <= 65535;
    if (!ports_fit || !config->bind_address || necpnet_address_parse(config->bind_address, &address) != NECPNET_OK) {
        nn_log_write(&config->logger, NECPNET_LOG_ERROR, "socket: %s",
                     ports_fit ? "bind_address is not a numeric address" : "a port is not -1 .. 65535");
        return NECPNET_ERR_BAD_CONFIG;
    }
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    nn_socket* socket = (nn_socket*)nn_alloc_take(&alloc, sizeof *socket);
    if (!socket) return NECPNET_ERR_OUT_OF_MEMORY;
    socket->alloc = alloc;
    socket->logger = config->logger;
    socket->loop = config->loop;
    socket->own_loop = !config->loop;
    socket->has_room_for_many = !config->one_peer;
    socket->busy_poll_us = config->busy_poll_us;
    socket->read_slots = 1;
    socket->udp.descriptor = socket->listening.descriptor = socket->spare_descriptor = NN_NET_NONE;
    socket->udp.ready = nn_socket_udp_ready;
    socket->listening.ready = nn_socket_listening_ready;
    necpnet_result result = NECPNET_OK;
    if (socket->own_loop) result = necpnet_loop_create(&config->allocator, NECPNET_LOOP_BEST, &socket->loop);
    if (result == NECPNET_OK) {
        result = config->workers ? socket_open_among_workers(socket, config, &address)
                                 : socket_open_ports(socket, config, &address);
    }
    if (result == NECPNET_OK && !nn_socket_buffers_of(socket)) result = NECPNET_ERR_OUT_OF_MEMORY;
    if (result != NECPNET_OK) {
        socket_free(socket);
        return result;
    }
    socket_fill_transport(socket);
    *out_transport = &socket->transport;
    return NECPNET_OK;
}

NN_PRIVATE uint32_t nn_platform_worker_of(const necpnet_transport* transport)
{
    return ((const nn_socket*)transport->user)->worker;
}

void necpnet_socket_destroy(const necpnet_transport* transport)
{
    if (!transport) return;
    nn_socket* socket = (nn_socket*)transport->user;
    socket_detach(socket);
    socket_free(socket);
}

#endif
