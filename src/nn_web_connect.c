/* nn_web_connect - outgoing connections: resolve, try each address, secure, ask for the upgrade. */
#include "nn_base64.h"
#include "nn_url.h"
#include "nn_web_connection.h"

#include <stdio.h>

/* The host as URLs and the Host header write it: a numeric IPv6 address in brackets, the port unless it is usual. */
static void connect_write_host(char* to, size_t bytes_max, const char* host, uint16_t port, bool tls)
{
    bool brackets = strchr(host, ':') != NULL;
    bool usual = port == (tls ? 443 : 80);
    char digits[8] = "";
    if (!usual) (void)snprintf(digits, sizeof digits, ":%u", (unsigned)port);
    (void)snprintf(to, bytes_max, "%s%s%s%s", brackets ? "[" : "", host, brackets ? "]" : "", digits);
}

/* Copy the texts of a connection into one block. */
static bool connect_take_texts(necpnet_web_connection* connection, const char* host, const char* host_header,
                               const char* path, const char* subprotocols)
{
    nn_web_setup* setup = connection->setup;
    const char* texts[4] = {host, host_header, path, subprotocols ? subprotocols : ""};
    const char* copies[4];
    size_t bytes = 0;
    for (size_t i = 0; i < NN_COUNT(texts); i++) bytes += strlen(texts[i]) + 1;
    setup->texts = (char*)nn_alloc_take(connection->web->alloc, bytes);
    if (!setup->texts) return false;
    setup->text_bytes = bytes;
    char* at = setup->texts;
    for (size_t i = 0; i < NN_COUNT(texts); i++) {
        size_t text_bytes = strlen(texts[i]) + 1;
        memcpy(at, texts[i], text_bytes);
        copies[i] = at;
        at += text_bytes;
    }
    setup->host = copies[0];
    setup->host_header = copies[1];
    setup->path = copies[2];
    setup->subprotocols = subprotocols ? copies[3] : NULL;
    return true;
}

/* A connection with its setup, key and texts; nothing is sent. */
static necpnet_result connect_prepare(necpnet_web* web, const char* host, uint16_t port, const char* path, bool tls,
                                      const char* subprotocols, necpnet_web_connection** out_connection)
{
    char host_header[NN_URL_HOST_BYTES_MAX + 16];
    uint8_t nonce[NN_UPGRADE_NONCE_BYTES];
    necpnet_web_connection* connection = NULL;
    if (tls) {
        necpnet_result result = nn_web_tls_load_client(web);
        if (result != NECPNET_OK) return result;
    }
    if (!nn_web_connection_random(web, nonce, sizeof nonce)) return NECPNET_ERR_NO_ENTROPY;
    necpnet_result result = nn_web_connection_take(web, NN_WEB_RESOLVING, &connection);
    if (result != NECPNET_OK) return result;
    connect_write_host(host_header, sizeof host_header, host, port, tls);
    if (!nn_web_connection_take_setup(connection) ||
        !connect_take_texts(connection, host, host_header, path, subprotocols)) {
        nn_web_connection_drop(connection);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    connection->setup->tls = tls;
    (void)nn_base64_encode(nonce, sizeof nonce, false, connection->setup->key, sizeof connection->setup->key);
    connection->is_seen = true;
    *out_connection = connection;
    return NECPNET_OK;
}

/* Open a stream to an address; the first try of a connection reports by its result, later ones by ending it. */
static necpnet_result connect_open_stream(necpnet_web_connection* connection, const necpnet_address* address,
                                          const char* url)
{
    const necpnet_transport* transport = connection->web->transport;
    necpnet_stream* stream = NULL;
    necpnet_result result = transport->open_stream(transport->user, address, url, connection, &stream);
    if (result != NECPNET_OK) return result;
    connection->stream = stream;
    if (address) connection->address = *address;
    connection->state = NN_WEB_CONNECTING;
    nn_web_connection_set_deadline(connection, connection->web->config.head_timeout_ms);
    return NECPNET_OK;
}

NN_PRIVATE void nn_web_connect_next(necpnet_web_connection* connection, necpnet_result reason)
{
    const necpnet_transport* transport = connection->web->transport;
    nn_web_setup* setup = connection->setup;
    if (connection->stream) {
        transport->close_stream(transport->user, connection->stream, true);
        connection->stream = NULL;
    }
    while (setup->address_next < setup->address_count) {
        const necpnet_address* address = &setup->addresses[setup->address_next++];
        necpnet_result result = connect_open_stream(connection, address, NULL);
        if (result == NECPNET_OK) return;
        reason = result;
    }
    nn_web_connection_end(connection, reason, NN_WEBSOCKET_CODE_LOST, NULL, true);
}

NN_PRIVATE void nn_web_connect_is_up(necpnet_web_connection* connection)
{
    necpnet_web* web = connection->web;
    nn_web_setup* setup = connection->setup;
    nn_web_connection_set_deadline(connection, web->config.head_timeout_ms);
    if (nn_web_has_messages(web)) {
        nn_web_frames_open(connection);
    } else if (setup->raw) {
        nn_web_connection_give_setup(connection);
        connection->state = NN_WEB_RAW_BYTES;
        nn_web_connection_set_deadline(connection, NN_NEVER);
        if (web->config.handlers.on_open) web->config.handlers.on_open(connection, web->config.handlers.user);
    } else if (setup->tls) {
        connection->state = NN_WEB_SECURING;
        necpnet_result result = nn_web_tls_begin(connection, setup->host);
        if (result != NECPNET_OK) nn_web_connection_end(connection, result, NN_WEBSOCKET_CODE_LOST, NULL, true);
    } else {
        nn_web_upgrade_send_request(connection);
    }
}

NN_PRIVATE void nn_web_on_resolved(necpnet_web* web, uint64_t request, const necpnet_address* addresses, int count,
                                   necpnet_result reason)
{
    necpnet_web_connection* connection = web->live;
    while (connection && !(connection->state == NN_WEB_RESOLVING && connection->setup->request == request)) {
        connection = connection->next;
    }
    if (!connection) return; /* closed meanwhile */
    nn_web_setup* setup = connection->setup;
    for (int i = 0; i < count && setup->address_count < NN_WEB_ADDRESSES_MAX; i++) {
        setup->addresses[setup->address_count++] = addresses[i];
    }
    nn_web_connect_next(connection, count > 0 ? NECPNET_ERR_NETWORK_UNREACHABLE : reason);
}

/* ---- the ways to connect ---------------------------------------------------------------------------------------- */

/* Header values and the target: visible ASCII alone. */
static bool connect_is_plain(const char* text, size_t bytes_max, const char* also)
{
    size_t bytes = 0;
    for (; text[bytes]; bytes++) {
        uint8_t c = (uint8_t)text[bytes];
        if (bytes == bytes_max || ((c <= 0x20 || c >= 0x7f) && !strchr(also, c))) return false;
    }
    return bytes > 0;
}

NN_PRIVATE necpnet_result nn_web_connect_session(necpnet_web* web, const necpnet_address* address, const char* host,
                                                 const char* path, bool tls, void* context,
                                                 necpnet_web_connection** out_connection)
{
    char url[NECPNET_URL_BYTES_MAX + 16];
    necpnet_web_connection* connection = NULL;
    if (!address || !host || !path || *path != '/' || !web->hooks.on_session_open ||
        !connect_is_plain(host, NN_URL_HOST_BYTES_MAX, "") || !connect_is_plain(path, NECPNET_URL_BYTES_MAX, "")) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    bool messages = nn_web_has_messages(web);
    necpnet_result result;
    if (messages) {
        result = nn_web_connection_take(web, NN_WEB_RESOLVING, &connection);
        if (result != NECPNET_OK) return result;
        char host_port[NN_URL_HOST_BYTES_MAX + 16];
        connect_write_host(host_port, sizeof host_port, host, address->port, tls);
        int bytes = snprintf(url, sizeof url, "%s://%s%s", tls ? "wss" : "ws", host_port, path);
        if (!nn_web_connection_take_setup(connection)) {
            result = NECPNET_ERR_OUT_OF_MEMORY;
        } else if (bytes < 0 || (size_t)bytes >= sizeof url) {
            result = NECPNET_ERR_INVALID_ARGUMENT;
        } else {
            connection->is_seen = true;
            connection->is_session = true;
            connection->user_data = context;
            result = connect_open_stream(connection, NULL, url);
        }
    } else {
        result = connect_prepare(web, host, address->port, path, tls, NN_WEB_SESSION_SUBPROTOCOL, &connection);
        if (result != NECPNET_OK) return result;
        connection->is_session = true;
        connection->user_data = context;
        result = connect_open_stream(connection, address, NULL);
    }
    if (result != NECPNET_OK) {
        nn_web_connection_drop(connection);
        return result;
    }
    *out_connection = connection;
    return NECPNET_OK;
}

NECPNET_API necpnet_result necpnet_web_connect(necpnet_web* web, const char* url, const char* subprotocol,
                                               void* user_data, necpnet_web_connection** out_connection)
{
    nn_url parsed;
    necpnet_web_connection* connection = NULL;
    if (!web || !url || !out_connection) return NECPNET_ERR_INVALID_ARGUMENT;
    if (subprotocol && !connect_is_plain(subprotocol, web->config.head_bytes_max / 2, " ")) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (nn_web_has_messages(web)) return NECPNET_ERR_UNSUPPORTED;
    necpnet_result result = nn_url_parse(url, &parsed);
    if (result != NECPNET_OK) return result;
    if (parsed.scheme == NN_URL_UDP) return NECPNET_ERR_BAD_URL;
    result = connect_prepare(web, parsed.host, parsed.port, parsed.path, parsed.scheme == NN_URL_WSS, subprotocol,
                             &connection);
    if (result != NECPNET_OK) return result;
    connection->user_data = user_data;
    connection->setup->request = NN_WEB_REQUEST_BIT | ++web->request_next;
    nn_web_connection_set_deadline(connection, web->config.head_timeout_ms);
    result = web->transport->resolve(web->transport->user, connection->setup->request, parsed.host, parsed.port);
    if (result != NECPNET_OK) {
        nn_web_connection_drop(connection);
        return result;
    }
    *out_connection = connection;
    return NECPNET_OK;
}

NECPNET_API necpnet_result necpnet_web_connect_raw(necpnet_web* web, const necpnet_address* address, void* user_data,
                                                   necpnet_web_connection** out_connection)
{
    necpnet_web_connection* connection = NULL;
    if (!web || !address || !out_connection) return NECPNET_ERR_INVALID_ARGUMENT;
    if (nn_web_has_messages(web)) return NECPNET_ERR_UNSUPPORTED;
    necpnet_result result = nn_web_connection_take(web, NN_WEB_RESOLVING, &connection);
    if (result != NECPNET_OK) return result;
    if (nn_web_connection_take_setup(connection)) {
        connection->setup->raw = true;
        connection->user_data = user_data;
        connection->is_seen = true;
        result = connect_open_stream(connection, address, NULL);
    } else {
        result = NECPNET_ERR_OUT_OF_MEMORY;
    }
    if (result != NECPNET_OK) {
        nn_web_connection_drop(connection);
        return result;
    }
    *out_connection = connection;
    return NECPNET_OK;
}
