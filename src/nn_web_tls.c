/* nn_web_tls - TLS under the web's connections: contexts from files, handshakes, plaintext. */
#include "nn_platform.h"
#include "nn_web_connection.h"

static bool web_tls_take_plaintext(necpnet_web* web)
{
    if (!web->plaintext) web->plaintext = (uint8_t*)nn_alloc_take(web->alloc, NN_TLS_PLAINTEXT_BYTES_MAX);
    return web->plaintext != NULL;
}

#if NECPNET_WITH_PLATFORM

static necpnet_result web_tls_read_file(necpnet_web* web, const char* path, uint8_t** out, size_t* out_bytes)
{
    necpnet_result result = nn_platform_read_file(web->alloc, path, out, out_bytes);
    if (result != NECPNET_OK) {
        nn_log_write(&web->config.logger, NECPNET_LOG_ERROR, "web: %s: %s", path, necpnet_result_text(result));
    }
    return result;
}

static void web_tls_give_file(necpnet_web* web, uint8_t* file, size_t bytes)
{
    if (!file) return;
    nn_wipe(file, bytes);
    nn_alloc_give(web->alloc, file, bytes + 1);
}

NN_PRIVATE necpnet_result nn_web_tls_load_server(necpnet_web* web)
{
    const necpnet_tls_config* tls = &web->config.tls;
    uint8_t* certificate = NULL;
    uint8_t* key = NULL;
    size_t certificate_bytes = 0;
    size_t key_bytes = 0;
    if (!tls->key_file) return NECPNET_ERR_BAD_CONFIG;
    if (!web_tls_take_plaintext(web)) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = web_tls_read_file(web, tls->certificate_file, &certificate, &certificate_bytes);
    if (result == NECPNET_OK) result = web_tls_read_file(web, tls->key_file, &key, &key_bytes);
    if (result == NECPNET_OK) {
        result = nn_tls_context_create_server(web->alloc, &web->config.logger, &web->config.entropy, certificate,
                                              certificate_bytes, key, key_bytes, &web->tls_server);
    }
    web_tls_give_file(web, certificate, certificate_bytes);
    web_tls_give_file(web, key, key_bytes);
    return result;
}

/* The configured roots, or the first file of the system's that can be read. */
static necpnet_result web_tls_read_roots(necpnet_web* web, uint8_t** out, size_t* out_bytes)
{
    if (web->ca_file) return web_tls_read_file(web, web->ca_file, out, out_bytes);
    for (const char* const* path = nn_platform_system_roots(); *path; path++) {
        necpnet_result result = nn_platform_read_file(web->alloc, *path, out, out_bytes);
        if (result != NECPNET_ERR_FILE) return result;
    }
    nn_log_write(&web->config.logger, NECPNET_LOG_ERROR,
                 "web: no file of trusted roots found on this system; set tls.ca_file");
    return NECPNET_ERR_FILE;
}

NN_PRIVATE necpnet_result nn_web_tls_load_client(necpnet_web* web)
{
    uint8_t* roots = NULL;
    size_t roots_bytes = 0;
    if (web->tls_client) return NECPNET_OK;
    if (!web_tls_take_plaintext(web)) return NECPNET_ERR_OUT_OF_MEMORY;
    bool insecure = web->config.tls.insecure;
    necpnet_result result = insecure ? NECPNET_OK : web_tls_read_roots(web, &roots, &roots_bytes);
    if (result == NECPNET_OK) {
        result = nn_tls_context_create_client(web->alloc, &web->config.logger, &web->config.entropy, roots, roots_bytes,
                                              insecure, &web->tls_client);
    }
    web_tls_give_file(web, roots, roots_bytes);
    return result;
}

#else

/* Without a platform there are no files. */

NN_PRIVATE necpnet_result nn_web_tls_load_server(necpnet_web* web)
{
    (void)web;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE necpnet_result nn_web_tls_load_client(necpnet_web* web)
{
    if (web->tls_client) return NECPNET_OK;
    if (!web->config.tls.insecure) return NECPNET_ERR_UNSUPPORTED;
    if (!web_tls_take_plaintext(web)) return NECPNET_ERR_OUT_OF_MEMORY;
    return nn_tls_context_create_client(web->alloc, &web->config.logger, &web->config.entropy, NULL, 0, true,
                                        &web->tls_client);
}

#endif

static necpnet_result web_tls_send(void* user, const uint8_t* data, size_t bytes)
{
    necpnet_web_connection* connection = (necpnet_web_connection*)user;
    const necpnet_transport* transport = connection->web->transport;
    if (!connection->stream) return NECPNET_ERR_INVALID_STATE;
    return transport->send_stream(transport->user, connection->stream, data, bytes);
}

NN_PRIVATE necpnet_result nn_web_tls_begin(necpnet_web_connection* connection, const char* host)
{
    nn_tls_context* context = host ? connection->web->tls_client : connection->web->tls_server;
    necpnet_result result = nn_tls_create(context, host, web_tls_send, connection, &connection->tls);
    if (result == NECPNET_OK && host) nn_web_tls_input(connection, NULL, 0); /* a client speaks first */
    return result;
}

/* The peer ended TLS in good order, or it failed. */
static void web_tls_ended(necpnet_web_connection* connection, necpnet_result reason)
{
    bool is_open = connection->state == NN_WEB_OPEN || connection->state == NN_WEB_CLOSING;
    if (reason == NECPNET_ERR_CLOSED && connection->state == NN_WEB_SECURING) reason = NECPNET_ERR_TLS;
    if (reason == NECPNET_ERR_CLOSED && connection->state == NN_WEB_UPGRADING) reason = NECPNET_ERR_NOT_HTTP;
    if (reason == NECPNET_ERR_CLOSED && is_open) reason = NECPNET_ERR_CONNECTION_RESET; /* without a close frame */
    /* An alert may be waiting to be sent: it tells the peer why. */
    nn_web_connection_end(connection, reason, NN_WEBSOCKET_CODE_LOST, NULL, false);
}

NN_PRIVATE void nn_web_tls_input(necpnet_web_connection* connection, const uint8_t* data, size_t bytes)
{
    necpnet_web* web = connection->web;
    nn_tls_feed(connection->tls, data, bytes);
    while (connection->state != NN_WEB_ENDED) {
        size_t got = 0;
        necpnet_result result = nn_tls_read(connection->tls, web->plaintext, NN_TLS_PLAINTEXT_BYTES_MAX, &got);
        if (result != NECPNET_OK) {
            web_tls_ended(connection, result);
            return;
        }
        if (connection->state == NN_WEB_SECURING && nn_tls_is_open(connection->tls)) {
            nn_web_upgrade_send_request(connection);
            if (connection->state == NN_WEB_ENDED) return;
        }
        if (!got) return;
        nn_web_connection_input(connection, web->plaintext, got);
    }
}
