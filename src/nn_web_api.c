/* nn_web_api - necpnet.h section 9: one connection, and a web that stands alone. */
#include "nn_web_connection.h"

/* A web of necpnet_web_create: its memory's account, and the transport that it made. */
typedef struct nn_web_alone {
    nn_alloc alloc;
    const necpnet_transport* sockets; /* NULL: the application's transport */
} nn_web_alone;

/* ---- one connection --------------------------------------------------------------------------------------------- */

NECPNET_API necpnet_result necpnet_web_send(necpnet_web_connection* connection, necpnet_web_kind kind, const void* data,
                                            size_t bytes)
{
    if (!connection || (!data && bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (kind != NECPNET_WEB_TEXT && kind != NECPNET_WEB_BINARY) return NECPNET_ERR_INVALID_ARGUMENT;
    if (connection->state != NN_WEB_OPEN || connection->is_session) return NECPNET_ERR_INVALID_STATE;
    if (bytes > connection->web->config.queue_bytes_max - NN_WEBSOCKET_HEADER_BYTES_MAX) {
        return NECPNET_ERR_MESSAGE_TOO_LARGE;
    }
    return nn_web_frames_send(connection, kind == NECPNET_WEB_TEXT ? NN_WEBSOCKET_TEXT : NN_WEBSOCKET_BINARY,
                              (const uint8_t*)data, bytes);
}

NN_PRIVATE necpnet_result nn_web_send_session(necpnet_web_connection* connection, const uint8_t* data, size_t bytes)
{
    if (!bytes || bytes > NN_WEB_SESSION_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (connection->state != NN_WEB_OPEN || !connection->is_session) return NECPNET_ERR_INVALID_STATE;
    return nn_web_frames_send(connection, NN_WEBSOCKET_BINARY, data, bytes);
}

NECPNET_API necpnet_result necpnet_web_send_raw(necpnet_web_connection* connection, const void* data, size_t bytes)
{
    if (!connection || (!data && bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (connection->state != NN_WEB_RAW_BYTES) return NECPNET_ERR_INVALID_STATE;
    if (!bytes) return NECPNET_OK;
    if (bytes > connection->web->config.queue_bytes_max) return NECPNET_ERR_MESSAGE_TOO_LARGE;
    if (!nn_web_connection_has_room(connection, bytes)) {
        nn_web_cut(connection, NECPNET_ERR_SLOW_READER);
        return NECPNET_ERR_SLOW_READER;
    }
    return nn_web_connection_write(connection, (const uint8_t*)data, bytes);
}

/* What an application may say (RFC 6455 7.4). */
static bool web_close_code_is_allowed(int code)
{
    return code == 1000 || code == 1001 || (code >= 1008 && code <= 1011) || (code >= 3000 && code <= 4999);
}

NECPNET_API necpnet_result necpnet_web_close(necpnet_web_connection* connection, int code, const char* text)
{
    size_t bytes = text ? strlen(text) : 0;
    if (!connection || !web_close_code_is_allowed(code) || bytes > NN_WEBSOCKET_CLOSE_TEXT_BYTES_MAX) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (text && !nn_utf8_valid((const uint8_t*)text, bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_web* web = connection->web;
    if (connection->state == NN_WEB_OPEN && !nn_web_has_messages(web)) {
        nn_web_frames_close(connection, code, text);
        if (connection->state == NN_WEB_OPEN) {
            connection->state = NN_WEB_CLOSING;
            nn_web_connection_set_deadline(connection, web->config.close_timeout_ms);
        }
    } else if (connection->state != NN_WEB_CLOSING) {
        bool is_up = connection->state == NN_WEB_OPEN || connection->state == NN_WEB_RAW_BYTES;
        nn_web_connection_end(connection, NECPNET_OK, NN_WEBSOCKET_CODE_NONE, NULL, !is_up);
    }
    return NECPNET_OK;
}

NECPNET_API necpnet_result necpnet_web_pause(necpnet_web_connection* connection, bool paused)
{
    if (!connection) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_web* web = connection->web;
    if (connection->is_paused == paused) return NECPNET_OK;
    connection->is_paused = paused;
    if (connection->stream) web->transport->pause(web->transport->user, connection->stream, paused);
    if (!paused && nn_web_connection_held(connection) && !connection->is_resumed && connection->state != NN_WEB_ENDED) {
        connection->is_resumed = true;
        web->resumed_count++;
    }
    return NECPNET_OK;
}

NECPNET_API size_t necpnet_web_pending(const necpnet_web_connection* connection)
{
    if (!connection || !connection->stream) return 0;
    const necpnet_transport* transport = connection->web->transport;
    return transport->pending(transport->user, connection->stream);
}

NECPNET_API void necpnet_web_set_user_data(necpnet_web_connection* connection, void* user_data)
{
    if (connection) connection->user_data = user_data;
}

NECPNET_API void* necpnet_web_get_user_data(const necpnet_web_connection* connection)
{
    return connection ? connection->user_data : NULL;
}

NECPNET_API void necpnet_web_set_address(necpnet_web_connection* connection, const necpnet_address* address)
{
    if (connection && address) connection->address = *address;
}

NECPNET_API necpnet_address necpnet_web_get_address(const necpnet_web_connection* connection)
{
    necpnet_address none;
    memset(&none, 0, sizeof none);
    return connection ? connection->address : none;
}

NECPNET_API const char* necpnet_web_get_subprotocol(const necpnet_web_connection* connection)
{
    if (!connection) return "";
    bool is_open = connection->state >= NN_WEB_OPEN;
    if (connection->is_session) return is_open ? NN_WEB_SESSION_SUBPROTOCOL : "";
    return connection->extra && connection->extra->subprotocol ? connection->extra->subprotocol : "";
}

/* ---- a web that stands alone ------------------------------------------------------------------------------------ */

static void web_alone_on_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes,
                                  uint32_t waited_us)
{
    (void)user, (void)from, (void)data, (void)bytes, (void)waited_us;
}

static void* web_alone_on_accept(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    return nn_web_on_accept((necpnet_web*)user, stream, from);
}

static void web_alone_on_resolved(void* user, uint64_t request, const necpnet_address* addresses, int count,
                                  necpnet_result reason)
{
    nn_web_on_resolved((necpnet_web*)user, request, addresses, count, reason);
}

static void web_alone_give(nn_web_alone* alone)
{
#if NECPNET_WITH_PLATFORM
    if (alone->sockets) necpnet_socket_destroy(alone->sockets);
#endif
    nn_alloc alloc = alone->alloc; /* the block is on its own account */
    nn_alloc_give(&alloc, alone, sizeof *alone);
}

/* The transport to use: the application's, or sockets of our own. */
static necpnet_result web_alone_open(nn_web_alone* alone, const necpnet_web_config* config,
                                     const necpnet_transport** out_transport)
{
    if (config->transport) {
        *out_transport = config->transport;
        return NECPNET_OK;
    }
#if NECPNET_WITH_PLATFORM
    necpnet_socket_config sockets;
    (void)necpnet_socket_config_default(&sockets);
    sockets.allocator = config->allocator;
    sockets.logger = config->logger;
    sockets.loop = config->loop;
    sockets.bind_address = config->bind_address;
    sockets.tcp_port = config->tcp_port;
    sockets.one_peer = config->tcp_port < 0;
    necpnet_result result = necpnet_socket_create(&sockets, &alone->sockets);
    *out_transport = alone->sockets;
    return result;
#else
    (void)alone;
    return NECPNET_ERR_UNSUPPORTED;
#endif
}

static necpnet_result web_alone_begin(nn_web_alone* alone, const necpnet_web_config* config, necpnet_web** out_web)
{
    const necpnet_transport* transport = NULL;
    necpnet_web* web = NULL;
    necpnet_result result = web_alone_open(alone, config, &transport);
    if (result != NECPNET_OK) return result;
    result = nn_web_create(config, &alone->alloc, transport, NULL, &web);
    if (result != NECPNET_OK) return result;
    necpnet_sink sink = {web,
                         web_alone_on_datagram,
                         web_alone_on_accept,
                         nn_web_on_open,
                         nn_web_on_data,
                         nn_web_on_writable,
                         nn_web_on_close,
                         web_alone_on_resolved};
    result = transport->attach(transport->user, &sink);
    if (result != NECPNET_OK) {
        nn_web_destroy(web);
        return result;
    }
    web->alone = alone;
    *out_web = web;
    return NECPNET_OK;
}

NECPNET_API necpnet_result necpnet_web_create(const necpnet_web_config* config, necpnet_web** out_web)
{
    nn_alloc alloc;
    if (!config || !out_web) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (!config->allocator.allocate != !config->allocator.release) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_alloc_init(&alloc, &config->allocator);
    nn_web_alone* alone = (nn_web_alone*)nn_alloc_take(&alloc, sizeof *alone);
    if (!alone) return NECPNET_ERR_OUT_OF_MEMORY;
    alone->alloc = alloc;
    necpnet_result result = web_alone_begin(alone, config, out_web);
    if (result != NECPNET_OK) web_alone_give(alone);
    return result;
}

NECPNET_API void necpnet_web_destroy(necpnet_web* web)
{
    if (!web || !web->alone) return;
    nn_web_alone* alone = web->alone;
    const necpnet_transport* transport = web->transport;
    nn_web_destroy(web);
    transport->detach(transport->user);
    web_alone_give(alone);
}

NECPNET_API necpnet_result necpnet_web_update(necpnet_web* web, uint64_t now_us)
{
    if (!web || !web->alone) return NECPNET_ERR_INVALID_ARGUMENT;
    const necpnet_transport* transport = web->transport;
    nn_web_begin(web, now_us);
    transport->receive(transport->user, now_us);
    nn_web_update(web, now_us);
    transport->flush(transport->user);
    return NECPNET_OK;
}

NECPNET_API uint64_t necpnet_web_deadline_us(const necpnet_web* web)
{
    return web ? nn_web_deadline_us(web) : UINT64_MAX;
}

NECPNET_API necpnet_result necpnet_web_wait(necpnet_web* web, uint64_t timeout_us)
{
    if (!web || !web->alone) return NECPNET_ERR_INVALID_ARGUMENT;
    const necpnet_transport* transport = web->transport;
    if (!transport->wait) return NECPNET_ERR_UNSUPPORTED;
    uint64_t deadline_us = nn_web_deadline_us(web);
    uint64_t until_us = deadline_us > web->now_us ? deadline_us - web->now_us : 0; /* now is the last update's */
    transport->flush(transport->user);
    return transport->wait(transport->user, nn_min_u64(timeout_us, until_us));
}

NECPNET_API int necpnet_web_get_port(const necpnet_web* web)
{
    int udp = -1;
    int tcp = -1;
    if (web && web->transport->local_ports) web->transport->local_ports(web->transport->user, &udp, &tcp);
    return tcp;
}
