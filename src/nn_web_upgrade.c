/* nn_web_upgrade - the opening of a connection, both sides: heads that arrive, the answer to a request. */
#include "nn_bytes.h"
#include "nn_web_connection.h"

#define UPGRADE_ANSWER_BYTES 1024                                /* an answer up to this is made on the stack */
#define UPGRADE_STATIC_BYTES (352 + NN_EXTENSION_TEXT_BYTES_MAX) /* at most, of a head without the caller's texts */

/* ---- refusing --------------------------------------------------------------------------------------------------- */

static void upgrade_end_out_of_memory(necpnet_web_connection* connection)
{
    nn_web_connection_end(connection, NECPNET_ERR_OUT_OF_MEMORY, NN_WEBSOCKET_CODE_LOST, NULL, true);
}

NN_PRIVATE void nn_web_upgrade_refuse(necpnet_web_connection* connection, int status, const char* headers,
                                      const char* body, necpnet_result reason)
{
    nn_alloc* alloc = connection->web->alloc;
    char small[UPGRADE_ANSWER_BYTES];
    size_t bytes_max = UPGRADE_STATIC_BYTES + (headers ? strlen(headers) : 0) + (body ? strlen(body) : 0);
    char* answer = bytes_max <= sizeof small ? small : (char*)nn_alloc_take(alloc, bytes_max);
    if (!answer) {
        upgrade_end_out_of_memory(connection);
        return;
    }
    size_t bytes = nn_http_write_answer(answer, answer == small ? sizeof small : bytes_max, status, headers, body);
    bool may_write = !connection->tls || nn_tls_is_open(connection->tls);
    if (may_write) (void)nn_web_connection_write(connection, (const uint8_t*)answer, bytes);
    if (answer != small) nn_alloc_give(alloc, answer, bytes_max);
    nn_web_connection_end(connection, reason, NN_WEBSOCKET_CODE_LOST, NULL, !may_write);
}

/* 426 names what the port speaks (RFC 9110 15.5.22). */
#define UPGRADE_HEADER "Upgrade: websocket\r\n"
#define UPGRADE_VERSION_HEADER "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" /* RFC 6455 4.2.2 */

/* ---- accepting -------------------------------------------------------------------------------------------------- */

static char* upgrade_copy_text(nn_alloc* alloc, const char* text)
{
    size_t bytes = strlen(text) + 1;
    char* copy = (char*)nn_alloc_take(alloc, bytes);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

/* Keep what both agreed to; subprotocol NULL: nothing to keep. False without memory. */
static bool upgrade_agree(necpnet_web_connection* connection, const char* subprotocol,
                          const nn_extension_deflate* compression)
{
    if (!subprotocol && !compression->agreed) return true;
    nn_web_extra* extra = nn_web_connection_take_extra(connection);
    if (!extra) return false;
    extra->compression = *compression;
    if (subprotocol) extra->subprotocol = upgrade_copy_text(connection->web->alloc, subprotocol);
    return !subprotocol || extra->subprotocol;
}

static bool upgrade_write_accept(necpnet_web_connection* connection, const char* key, const char* subprotocol,
                                 const char* extensions, const char* headers)
{
    nn_alloc* alloc = connection->web->alloc;
    char small[UPGRADE_ANSWER_BYTES];
    size_t bytes_max = UPGRADE_STATIC_BYTES + (headers ? strlen(headers) : 0) + (subprotocol ? strlen(subprotocol) : 0);
    char* answer = bytes_max <= sizeof small ? small : (char*)nn_alloc_take(alloc, bytes_max);
    if (!answer) return false;
    size_t bytes = nn_upgrade_write_answer(answer, answer == small ? sizeof small : bytes_max, key, subprotocol,
                                           extensions, headers);
    necpnet_result result = nn_web_connection_write(connection, (const uint8_t*)answer, bytes);
    if (answer != small) nn_alloc_give(alloc, answer, bytes_max);
    return result == NECPNET_OK;
}

static void upgrade_accept(necpnet_web_connection* connection, const nn_http_head* head,
                           const necpnet_web_request* request, const char* key, const necpnet_web_answer* answer)
{
    necpnet_web* web = connection->web;
    bool is_session = answer->action == NECPNET_WEB_SESSION;
    const char* subprotocol = is_session ? NN_WEB_SESSION_SUBPROTOCOL : answer->subprotocol;
    if (is_session && !web->hooks.on_session_open) {
        nn_log_write(&web->config.logger, NECPNET_LOG_ERROR, "web: NECPNET_WEB_SESSION is for the web of a server");
        nn_web_upgrade_refuse(connection, 500, NULL, NULL, NECPNET_ERR_INVALID_STATE);
        return;
    }
    if (subprotocol && !nn_upgrade_is_offered(request->subprotocols, subprotocol, strlen(subprotocol))) {
        /* The server's choice must be among what was offered (RFC 6455 4.2.2). */
        nn_web_upgrade_refuse(connection, 400, NULL, "The client must offer the subprotocol of this path.\n",
                              NECPNET_ERR_PROTOCOL);
        return;
    }
    nn_extension_wish wish;
    nn_extension_deflate compression;
    char extensions[NN_EXTENSION_TEXT_BYTES_MAX];
    bool wishes = !answer->no_deflate && nn_web_deflate_wishes(web, is_session, &wish);
    (void)nn_extension_answer(head, wishes ? &wish : NULL, &compression, extensions); /* its form is good */
    if (!upgrade_agree(connection, is_session ? NULL : subprotocol, &compression) ||
        !upgrade_write_accept(connection, key, subprotocol, extensions, answer->headers)) {
        upgrade_end_out_of_memory(connection);
        return;
    }
    connection->is_session = is_session;
    nn_web_frames_open(connection);
}

/* What happens to a request that nobody decides about. */
static void upgrade_default_answer(const necpnet_web* web, const necpnet_web_request* request,
                                   necpnet_web_answer* answer)
{
    memset(answer, 0, sizeof *answer);
    answer->action = NECPNET_WEB_REFUSE;
    answer->status = request->is_upgrade ? 404 : 426;
    if (web->config.handlers.on_request || !request->is_upgrade) return;
    answer->action = NECPNET_WEB_ACCEPT;
    if (!web->hooks.on_session_open) return;
    size_t bytes = sizeof NN_WEB_SESSION_SUBPROTOCOL - 1;
    if (nn_upgrade_is_offered(request->subprotocols, NN_WEB_SESSION_SUBPROTOCOL, bytes)) {
        answer->action = NECPNET_WEB_SESSION;
    }
}

/* The worker that a query names; -1: none. */
static int upgrade_worker(const char* query)
{
    const size_t name_bytes = sizeof NN_WEB_WORKER_QUERY - 1;
    for (const char* at = query; at && *at; at = strchr(at, '&'), at = at ? at + 1 : NULL) {
        if (strncmp(at, NN_WEB_WORKER_QUERY, name_bytes) != 0) continue;
        int worker = 0;
        const char* digit = at + name_bytes;
        for (; *digit >= '0' && *digit <= '9' && worker < 256; digit++) worker = worker * 10 + (*digit - '0');
        bool ends = *digit == '\0' || *digit == '&';
        return ends && digit != at + name_bytes && worker < 256 ? worker : -1;
    }
    return -1;
}

/* Whether another worker has the session that is asked for, and now the stream. What TLS has made of it stays here. */
static bool upgrade_goes_elsewhere(necpnet_web_connection* connection, const necpnet_web_request* request)
{
    const nn_web_session_hooks* hooks = &connection->web->hooks;
    if (!hooks->on_session_elsewhere || connection->tls) return false;
    int worker = upgrade_worker(request->query);
    if (worker < 0) return false;
    return hooks->on_session_elsewhere(hooks->user, connection->stream, (uint32_t)worker, &connection->address,
                                       (const uint8_t*)request->raw, request->raw_bytes);
}

static void upgrade_act(necpnet_web_connection* connection, const nn_http_head* head,
                        const necpnet_web_request* request, const char* key, const necpnet_web_answer* answer)
{
    connection->user_data = answer->user_data;
    switch (answer->action) {
    case NECPNET_WEB_RAW:
        nn_web_connection_give_setup(connection);
        connection->state = NN_WEB_RAW_BYTES;
        connection->is_seen = true;
        nn_web_connection_set_deadline(connection, NN_NEVER);
        break;
    case NECPNET_WEB_ACCEPT:
    case NECPNET_WEB_SESSION:
        if (answer->action == NECPNET_WEB_ACCEPT) connection->is_seen = true; /* whatever comes of it */
        if (request->is_upgrade && answer->action == NECPNET_WEB_SESSION &&
            upgrade_goes_elsewhere(connection, request)) {
            nn_web_connection_end(connection, NECPNET_OK, NN_WEBSOCKET_CODE_LOST, NULL, true);
            break;
        }
        if (request->is_upgrade) {
            upgrade_accept(connection, head, request, key, answer);
            break;
        }
        nn_web_upgrade_refuse(connection, 426, UPGRADE_HEADER, NULL, NECPNET_ERR_UPGRADE_REFUSED);
        break;
    default: {
        int status = answer->status >= 200 && answer->status <= 599 ? answer->status : 500;
        const char* headers = answer->headers ? answer->headers : status == 426 ? UPGRADE_HEADER : NULL;
        nn_web_upgrade_refuse(connection, status, headers, answer->body, NECPNET_ERR_UPGRADE_REFUSED);
        break;
    }
    }
}

/* The lists in a request that ask for WebSocket must be lists. */
static bool upgrade_lists_are_valid(const necpnet_web* web, const nn_http_head* head, char* subprotocols)
{
    nn_extension_deflate nothing;
    char extensions[NN_EXTENSION_TEXT_BYTES_MAX];
    return nn_upgrade_join_subprotocols(head, subprotocols, web->config.head_bytes_max) &&
           nn_extension_answer(head, NULL, &nothing, extensions);
}

/* ---- a request's head ------------------------------------------------------------------------------------------- */

static void upgrade_request(necpnet_web_connection* connection, const uint8_t* raw, size_t bytes)
{
    necpnet_web* web = connection->web;
    char* text = web->scratch;
    char* subprotocols = web->scratch + bytes + 1;
    nn_http_head head;
    const char* key = NULL;
    memcpy(text, raw, bytes);
    text[bytes] = 0;
    int status = nn_http_parse_request(text, bytes, &head);
    int upgrade = status ? 1 : nn_upgrade_check_request(&head, &key);
    if (!status && upgrade > 1) status = upgrade;
    if (!status && !upgrade_lists_are_valid(web, &head, subprotocols) && upgrade == 0) status = 400;
    if (status) {
        nn_log_write(&web->config.logger, NECPNET_LOG_DEBUG, "web: a request was answered %d", status);
        nn_web_connection_drop_told(web, &connection->address, NECPNET_DROP_UPGRADE);
        nn_web_upgrade_refuse(connection, status, status == 426 ? UPGRADE_VERSION_HEADER : NULL, NULL,
                              NECPNET_ERR_PROTOCOL);
        return;
    }
    necpnet_web_request request = {head.method,  head.path,    head.query, head.headers, head.header_count,
                                   upgrade == 0, subprotocols, raw,        bytes,        connection->address};
    necpnet_web_answer answer;
    upgrade_default_answer(web, &request, &answer);
    if (web->config.handlers.on_request) {
        web->config.handlers.on_request(connection, &request, &answer, web->config.handlers.user);
        if (connection->state == NN_WEB_ENDED) return; /* closed inside */
    }
    upgrade_act(connection, &head, &request, key, &answer);
}

/* Keep the piece of a head that has come. */
static bool upgrade_keep(necpnet_web_connection* connection, const uint8_t* data, size_t bytes)
{
    if (!nn_web_connection_take_setup(connection)) return false;
    nn_web_setup* setup = connection->setup;
    if (bytes > setup->head_capacity - setup->head_bytes) {
        size_t capacity = nn_max_size(nn_max_size(setup->head_capacity * 2, 512), setup->head_bytes + bytes);
        void* grown = nn_alloc_grow(connection->web->alloc, setup->head, setup->head_capacity, capacity);
        if (!grown) return false;
        setup->head = (uint8_t*)grown;
        setup->head_capacity = capacity;
    }
    memcpy(setup->head + setup->head_bytes, data, bytes);
    setup->head_bytes += bytes;
    return true;
}

typedef struct upgrade_found {
    nn_http_scan scan;
    const uint8_t* head; /* WHOLE: with bytes; a view into the input or the setup */
    size_t bytes;
    size_t used; /* of the input */
    bool too_large;
    bool no_memory;
} upgrade_found;

/* Look for the end of a head in what has come before and now. */
static upgrade_found upgrade_scan(necpnet_web_connection* connection, const uint8_t* data, size_t bytes,
                                  bool is_response)
{
    upgrade_found found = {NN_HTTP_SCAN_MORE, data, 0, bytes, false, false};
    size_t most = connection->web->config.head_bytes_max;
    size_t before = connection->setup ? connection->setup->head_bytes : 0;
    size_t taken = nn_min_size(bytes, most - before);
    size_t scanned = connection->setup ? connection->setup->scanned : 0;
    if (!before) {
        found.scan = nn_http_scan_head(data, taken, is_response, &scanned, &found.bytes);
    }
    if (before || found.scan == NN_HTTP_SCAN_MORE) {
        if (!upgrade_keep(connection, data, taken)) {
            found.no_memory = true;
            return found;
        }
        nn_web_setup* setup = connection->setup;
        found.scan = nn_http_scan_head(setup->head, setup->head_bytes, is_response, &scanned, &found.bytes);
        found.head = setup->head;
        setup->scanned = scanned;
    }
    if (found.scan == NN_HTTP_SCAN_WHOLE) found.used = found.bytes - before;
    found.too_large = found.scan == NN_HTTP_SCAN_MORE && before + taken == most;
    return found;
}

NN_PRIVATE size_t nn_web_upgrade_input(necpnet_web_connection* connection, const uint8_t* data, size_t bytes)
{
    upgrade_found found = upgrade_scan(connection, data, bytes, false);
    if (found.no_memory) {
        upgrade_end_out_of_memory(connection);
    } else if (found.scan == NN_HTTP_SCAN_NOT_HTTP) {
        nn_web_connection_drop_told(connection->web, &connection->address, NECPNET_DROP_NOT_HTTP);
        nn_web_upgrade_refuse(connection, 400, NULL, "This port speaks HTTP/1.1 and WebSocket.\n",
                              NECPNET_ERR_NOT_HTTP);
    } else if (found.too_large) {
        nn_web_connection_drop_told(connection->web, &connection->address, NECPNET_DROP_UPGRADE);
        nn_web_upgrade_refuse(connection, 431, NULL, NULL, NECPNET_ERR_PROTOCOL);
    } else if (found.scan == NN_HTTP_SCAN_WHOLE) {
        upgrade_request(connection, found.head, found.bytes);
    }
    return found.used;
}

/* ---- an answer's head ------------------------------------------------------------------------------------------- */

static void upgrade_answer(necpnet_web_connection* connection, const uint8_t* raw, size_t bytes)
{
    necpnet_web* web = connection->web;
    nn_web_setup* setup = connection->setup;
    nn_http_head head;
    const char* subprotocol = "";
    memcpy(web->scratch, raw, bytes);
    web->scratch[bytes] = 0;
    if (nn_http_parse_response(web->scratch, bytes, &head)) {
        nn_web_connection_end(connection, NECPNET_ERR_NOT_HTTP, NN_WEBSOCKET_CODE_LOST, NULL, true);
        return;
    }
    necpnet_result result = nn_upgrade_check_answer(&head, setup->key, setup->subprotocols, &subprotocol);
    nn_extension_wish wish;
    nn_extension_deflate compression;
    bool wishes = nn_web_deflate_wishes(web, connection->is_session, &wish);
    if (result == NECPNET_OK && !nn_extension_check_answer(&head, wishes ? &wish : NULL, &compression)) {
        result = NECPNET_ERR_PROTOCOL;
    }
    if (result == NECPNET_OK && connection->is_session && strcmp(subprotocol, NN_WEB_SESSION_SUBPROTOCOL) != 0) {
        result = NECPNET_ERR_UPGRADE_REFUSED; /* a WebSocket server, but none of ours */
    }
    if (result == NECPNET_OK &&
        !upgrade_agree(connection, connection->is_session || !*subprotocol ? NULL : subprotocol, &compression)) {
        result = NECPNET_ERR_OUT_OF_MEMORY;
    }
    if (result != NECPNET_OK) {
        char text[64] = "";
        nn_writer writer = nn_writer_of(text, sizeof text - 1);
        if (head.status != 101) { /* "404 Not Found", in the server's words */
            char digits[4] = {(char)('0' + head.status / 100), (char)('0' + head.status / 10 % 10),
                              (char)('0' + head.status % 10), ' '};
            nn_write_bytes(&writer, digits, sizeof digits);
            nn_write_bytes(&writer, head.reason, nn_min_size(strlen(head.reason), nn_writer_left(&writer)));
        }
        nn_web_connection_end(connection, result, NN_WEBSOCKET_CODE_LOST, text, true);
        return;
    }
    nn_web_frames_open(connection);
}

NN_PRIVATE size_t nn_web_upgrade_answer_input(necpnet_web_connection* connection, const uint8_t* data, size_t bytes)
{
    upgrade_found found = upgrade_scan(connection, data, bytes, true);
    if (found.no_memory) {
        upgrade_end_out_of_memory(connection);
    } else if (found.scan == NN_HTTP_SCAN_NOT_HTTP || found.too_large) {
        nn_web_connection_end(connection, NECPNET_ERR_NOT_HTTP, NN_WEBSOCKET_CODE_LOST, NULL, true);
    } else if (found.scan == NN_HTTP_SCAN_WHOLE) {
        upgrade_answer(connection, found.head, found.bytes);
    }
    return found.used;
}

NN_PRIVATE void nn_web_upgrade_send_request(necpnet_web_connection* connection)
{
    nn_alloc* alloc = connection->web->alloc;
    nn_web_setup* setup = connection->setup;
    size_t bytes_max = setup->text_bytes + UPGRADE_STATIC_BYTES;
    char* request = (char*)nn_alloc_take(alloc, bytes_max);
    if (!request) {
        upgrade_end_out_of_memory(connection);
        return;
    }
    nn_extension_wish wish;
    char extensions[NN_EXTENSION_TEXT_BYTES_MAX] = "";
    if (nn_web_deflate_wishes(connection->web, connection->is_session, &wish)) {
        nn_extension_write_offer(&wish, extensions);
    }
    size_t bytes = nn_upgrade_write_request(request, bytes_max, setup->host_header, setup->path, setup->key,
                                            setup->subprotocols, extensions);
    necpnet_result result = nn_web_connection_write(connection, (const uint8_t*)request, bytes);
    nn_alloc_give(alloc, request, bytes_max);
    if (result != NECPNET_OK) {
        nn_web_connection_end(connection, result, NN_WEBSOCKET_CODE_LOST, NULL, true);
        return;
    }
    connection->state = NN_WEB_UPGRADING;
}
