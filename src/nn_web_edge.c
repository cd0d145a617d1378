/* nn_web_edge - the web as a whole: config, create, the sink's calls, update. */
#include "nn_platform.h"
#include "nn_web_connection.h"

#define WEB_HOUR_MS 3600000u
#define WEB_HEAD_BYTES_MIN 256u
#define WEB_HEAD_BYTES_MAX (1u << 20)
#define WEB_MESSAGE_BYTES_MAX (1u << 30)

/* ---- config ----------------------------------------------------------------------------------------------------- */

NECPNET_API necpnet_result necpnet_web_config_default(necpnet_web_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->bind_address = "::";
    config->tcp_port = -1;
    config->connections_max = 16384;
    config->head_bytes_max = 8192;
    config->message_bytes_max = 1u << 20;
    config->queue_bytes_max = 1u << 20;
    config->head_timeout_ms = 5000;
    config->ping_ms = 30000;
    config->timeout_ms = 65000;
    config->close_timeout_ms = 2000;
    nn_web_deflate_default(&config->deflate);
    return NECPNET_OK;
}

static necpnet_result web_check_config(const necpnet_web_config* config)
{
    const struct {
        const char* name;
        uint32_t value, low, high;
    } ranges[] = {
        {"connections_max", config->connections_max, 1, 1u << 24},
        {"head_bytes_max", config->head_bytes_max, WEB_HEAD_BYTES_MIN, WEB_HEAD_BYTES_MAX},
        {"message_bytes_max", config->message_bytes_max, 1, WEB_MESSAGE_BYTES_MAX},
        {"queue_bytes_max", config->queue_bytes_max, 1024, UINT32_MAX},
        {"head_timeout_ms", config->head_timeout_ms, 1, WEB_HOUR_MS},
        {"ping_ms", config->ping_ms, 10, 24 * WEB_HOUR_MS},
        {"timeout_ms", config->timeout_ms, 10, 48 * WEB_HOUR_MS},
        {"close_timeout_ms", config->close_timeout_ms, 1, WEB_HOUR_MS},
    };
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    for (size_t i = 0; NECPNET_WITH_HTTP && i < NN_COUNT(ranges); i++) { /* without, a client alone has set them */
        if (ranges[i].value >= ranges[i].low && ranges[i].value <= ranges[i].high) continue;
        nn_log_write(&config->logger, NECPNET_LOG_ERROR, "web config: %s is %u, must be %u .. %u", ranges[i].name,
                     (unsigned)ranges[i].value, (unsigned)ranges[i].low, (unsigned)ranges[i].high);
        return NECPNET_ERR_BAD_CONFIG;
    }
    return NECPNET_WITH_HTTP ? nn_web_deflate_check(config) : NECPNET_OK;
}

#if NECPNET_WITH_PLATFORM
static bool web_fill_entropy(void* to, size_t bytes, void* user)
{
    (void)user;
    return nn_platform_fill_entropy(to, bytes);
}
#endif

/* ---- create and destroy ----------------------------------------------------------------------------------------- */

/* A head and the subprotocols that it offers, while it is read. */
static size_t web_scratch_bytes(const necpnet_web* web)
{
    return 2 * (size_t)web->config.head_bytes_max + 2;
}

static void web_free(necpnet_web* web)
{
    nn_alloc* alloc = web->alloc;
    if (NECPNET_WITH_HTTP) {
        nn_tls_context_destroy(web->tls_server);
        nn_tls_context_destroy(web->tls_client);
        nn_web_deflate_destroy(web);
    }
    nn_deadlines_reset(&web->deadlines);
    nn_alloc_give(alloc, web->scratch, web_scratch_bytes(web));
    nn_alloc_give(alloc, web->plaintext, NN_TLS_PLAINTEXT_BYTES_MAX);
    if (web->ca_file) nn_alloc_give(alloc, web->ca_file, strlen(web->ca_file) + 1);
    nn_wipe(web->entropy, sizeof web->entropy);
    nn_alloc_give(alloc, web, sizeof *web);
}

static necpnet_result web_fill(necpnet_web* web)
{
    web->scratch = (char*)nn_alloc_take(web->alloc, web_scratch_bytes(web));
    if (!web->scratch) return NECPNET_ERR_OUT_OF_MEMORY;
    if (NECPNET_WITH_HTTP && web->config.deflate.enabled) {
        web->deflate = (nn_web_deflate*)nn_alloc_take(web->alloc, sizeof *web->deflate);
        if (!web->deflate) return NECPNET_ERR_OUT_OF_MEMORY;
    }
    const char* ca_file = web->config.tls.ca_file;
    if (ca_file) {
        web->ca_file = (char*)nn_alloc_take(web->alloc, strlen(ca_file) + 1);
        if (!web->ca_file) return NECPNET_ERR_OUT_OF_MEMORY;
        memcpy(web->ca_file, ca_file, strlen(ca_file) + 1);
    }
    bool has_certificate = NECPNET_WITH_HTTP && web->config.tls.certificate_file;
    necpnet_result result = has_certificate ? nn_web_tls_load_server(web) : NECPNET_OK;
    web->config.tls.certificate_file = NULL; /* borrowed until now */
    web->config.tls.key_file = NULL;
    web->config.tls.ca_file = NULL;
    web->config.bind_address = NULL;
    return result;
}

NN_PRIVATE necpnet_result nn_web_create(const necpnet_web_config* config, nn_alloc* alloc,
                                        const necpnet_transport* transport, const nn_web_session_hooks* hooks,
                                        necpnet_web** out_web)
{
    necpnet_result result = web_check_config(config);
    if (result != NECPNET_OK) return result;
    necpnet_web* web = (necpnet_web*)nn_alloc_take(alloc, sizeof *web);
    if (!web) return NECPNET_ERR_OUT_OF_MEMORY;
    web->alloc = alloc;
    web->transport = transport;
    web->config = *config;
    if (hooks) web->hooks = *hooks;
#if NECPNET_WITH_PLATFORM
    if (!web->config.entropy.fill) web->config.entropy.fill = web_fill_entropy;
#endif
    nn_deadlines_init(&web->deadlines, alloc);
    nn_random_seed(&web->random, 1);
    result = web_fill(web);
    if (result != NECPNET_OK) {
        web_free(web);
        return result;
    }
    *out_web = web;
    return NECPNET_OK;
}

/* The last callbacks of those that have ended till now. */
static void web_finish_ended(necpnet_web* web)
{
    necpnet_web_connection* connection = web->ended;
    web->ended = NULL;
    web->ended_last = NULL;
    while (connection) {
        necpnet_web_connection* next = connection->next;
        nn_web_connection_finish(connection);
        connection = next;
    }
}

NN_PRIVATE void nn_web_destroy(necpnet_web* web)
{
    if (!web) return;
    web->config.connections_max = 0; /* callbacks may not connect again */
    while (web->live || web->ended) {
        if (web->live) {
            nn_web_connection_end(web->live, NECPNET_ERR_CONNECTION_RESET, NN_WEBSOCKET_CODE_LOST, NULL, true);
        } else {
            web_finish_ended(web);
        }
    }
    web_free(web);
}

/* ---- the sink's calls ------------------------------------------------------------------------------------------- */

NN_PRIVATE void* nn_web_on_accept(necpnet_web* web, necpnet_stream* stream, const necpnet_address* from)
{
    necpnet_web_connection* connection = NULL;
    necpnet_result result = nn_web_connection_take(web, NN_WEB_HEAD, &connection);
    if (result != NECPNET_OK) {
        nn_log_write(&web->config.logger, NECPNET_LOG_WARNING, "web: a connection was turned away: %s",
                     necpnet_result_text(result));
        bool is_full = result == NECPNET_ERR_LIMIT_REACHED;
        nn_web_connection_drop_told(web, from, is_full ? NECPNET_DROP_FULL : NECPNET_DROP_MEMORY);
        return NULL;
    }
    connection->stream = stream;
    connection->address = *from;
    connection->is_server = true;
    if (web->tls_server && nn_web_tls_begin(connection, NULL) != NECPNET_OK) {
        nn_web_connection_drop(connection);
        return NULL;
    }
    nn_web_connection_set_deadline(connection, web->config.head_timeout_ms);
    return connection;
}

NN_PRIVATE void nn_web_on_open(void* context)
{
    necpnet_web_connection* connection = (necpnet_web_connection*)context;
    if (connection->state == NN_WEB_CONNECTING) nn_web_connect_is_up(connection);
}

NN_PRIVATE void nn_web_on_data(void* context, uint8_t* data, size_t bytes)
{
    necpnet_web_connection* connection = (necpnet_web_connection*)context;
    necpnet_web* web = connection->web;
    connection->heard_us = web->now_us;
    if (NECPNET_WITH_HTTP && NN_UNLIKELY(connection->tls != NULL)) {
        nn_web_tls_input(connection, data, bytes);
    } else if (NN_UNLIKELY(nn_web_has_messages(web))) {
        if (connection->state == NN_WEB_OPEN) web->hooks.on_session_message(web->hooks.user, connection, data, bytes);
    } else {
        nn_web_connection_input(connection, data, bytes);
    }
}

NN_PRIVATE void nn_web_on_writable(void* context)
{
    necpnet_web_connection* connection = (necpnet_web_connection*)context;
    const necpnet_web_handlers* handlers = &connection->web->config.handlers;
    const nn_web_session_hooks* hooks = &connection->web->hooks;
    bool is_open = connection->state == NN_WEB_OPEN || connection->state == NN_WEB_RAW_BYTES;
    if (!is_open) return;
    if (connection->is_session) {
        if (hooks->on_session_writable) hooks->on_session_writable(hooks->user, connection);
    } else if (handlers->on_writable) {
        handlers->on_writable(connection, handlers->user);
    }
}

/* What the end of a stream means in each state. */
static necpnet_result web_lost_reason(const necpnet_web_connection* connection, necpnet_result reason)
{
    if (reason != NECPNET_ERR_CLOSED && reason != NECPNET_OK) return reason;
    switch (connection->state) {
    case NN_WEB_SECURING: return NECPNET_ERR_TLS;
    case NN_WEB_UPGRADING: return NECPNET_ERR_NOT_HTTP;
    case NN_WEB_RAW_BYTES: return NECPNET_ERR_CLOSED;
    default: return NECPNET_ERR_CONNECTION_RESET; /* without a close frame it is no good order */
    }
}

NN_PRIVATE void nn_web_on_close(void* context, necpnet_result reason)
{
    necpnet_web_connection* connection = (necpnet_web_connection*)context;
    connection->stream = NULL;
    if (connection->state == NN_WEB_CONNECTING) {
        nn_web_connect_next(connection, reason);
        return;
    }
    bool in_order = connection->state == NN_WEB_RAW_BYTES && (reason == NECPNET_ERR_CLOSED || reason == NECPNET_OK);
    nn_web_connection_end(connection, web_lost_reason(connection, reason),
                          in_order ? NN_WEBSOCKET_CODE_NONE : NN_WEBSOCKET_CODE_LOST, NULL, true);
}

/* ---- update ----------------------------------------------------------------------------------------------------- */

NN_PRIVATE void nn_web_begin(necpnet_web* web, uint64_t now_us)
{
    web->now_us = now_us;
    web->inside = true;
    if (web->has_unstarted) nn_web_connection_start_waits(web);
}

static void web_resume(necpnet_web* web)
{
    for (necpnet_web_connection* at = web->live; at && web->resumed_count;) {
        if (!at->is_resumed) {
            at = at->next;
            continue;
        }
        at->is_resumed = false;
        web->resumed_count--;
        nn_web_connection_resume(at);
        at = web->live; /* a callback may have ended any */
    }
}

NN_PRIVATE void nn_web_update(necpnet_web* web, uint64_t now_us)
{
    nn_web_begin(web, now_us);
    if (NECPNET_WITH_HTTP && web->resumed_count) web_resume(web);
    nn_deadline* due;
    while ((due = nn_deadlines_take(&web->deadlines, now_us)) != NULL) {
        size_t offset = offsetof(necpnet_web_connection, deadline);
        nn_web_connection_wake((necpnet_web_connection*)(void*)((uint8_t*)(void*)due - offset));
    }
    if (web->ended) web_finish_ended(web);
    web->inside = false;
}

NN_PRIVATE uint64_t nn_web_deadline_us(const necpnet_web* web)
{
    if (web->ended || web->resumed_count) return 0;
    return nn_deadlines_next(&web->deadlines);
}

NN_PRIVATE uint32_t nn_web_connection_count(const necpnet_web* web)
{
    return web->count;
}

NN_PRIVATE void nn_web_cut(necpnet_web_connection* connection, necpnet_result reason)
{
    nn_web_connection_end(connection, reason, NN_WEBSOCKET_CODE_LOST, NULL, true);
}
