/* rest - civetweb, and the way from a request to its handler. */
#include "rest.h"

#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"

struct rest {
    api known;
    struct mg_context* civet;
    int port;
    char secret[REST_SECRET_BYTES];
};

enum {
    REST_GET = 1, /* and HEAD */
    REST_POST = 2
};

typedef struct rest_route {
    unsigned methods;
    const char* path;
    rest_handler handler;
} rest_route;

/* What the seeds name stands at the root and below /api/v1/network. Every other path is a file, or missing. */
static const rest_route rest_routes[] = {
    {REST_GET, "/health", api_health},    {REST_GET, "/api/v1/network/health", api_health},
    {REST_GET, "/metrics", api_metrics},  {REST_GET, "/api/v1/network/metrics", api_metrics},
    {REST_GET, "/api/v1/game", api_game}, {REST_POST, "/api/v1/connect-tokens", api_connect_tokens},
};

const char* rest_header(const rest_request* request, const char* name)
{
    const char* value = mg_get_header((const struct mg_connection*)request->connection, name);
    return value ? value : "";
}

void rest_refuse(rest_answer* answer, const rest_request* request, int status, const char* message, const char* details)
{
    answer->status = status;
    answer->type = "application/json; charset=utf-8";
    text_end(&answer->body);
    text_begin_growing(&answer->body);
    forward_error_json(&answer->body, status, message, details, request->trace_id);
}

bool rest_query(const rest_request* request, const char* name, char* value, size_t value_bytes)
{
    return mg_get_var(request->query, strlen(request->query), name, value, value_bytes) >= 0;
}

/* --------------------------------------------------------------------------------------------- one request -- */

/* W3C trace context, level 1: 00-<trace id>-<parent id>-<flags>. */
static void rest_set_trace(rest_request* request)
{
    static const char hex[] = "0123456789abcdef";
    const char* parent = rest_header(request, "traceparent");
    if (strlen(parent) == 55 && strncmp(parent, "00-", 3) == 0 && parent[35] == '-' && strspn(parent + 3, hex) == 32 &&
        strspn(parent + 3, "0") < 32) {
        snprintf(request->trace_id, sizeof(request->trace_id), "%.32s", parent + 3);
        return;
    }
    uint8_t bytes[16] = {0};
    (void)tokens_random(bytes, sizeof(bytes));
    for (int i = 0; i < 16; i++) {
        request->trace_id[2 * i] = hex[bytes[i] >> 4];
        request->trace_id[2 * i + 1] = hex[bytes[i] & 15];
    }
    request->trace_id[32] = 0;
}

/* Which pages may read the answer (Fetch, "CORS protocol"). An origin by name may send credentials, '*' never. */
static void rest_add_origin(const config* settings, const rest_request* request, rest_answer* answer)
{
    const char* origin = rest_header(request, "Origin");
    if (settings->cors_origins.count == 0) return;
    text_put(&answer->headers, "Vary: Origin\r\n");
    for (int i = 0; origin[0] && i < settings->cors_origins.count; i++) {
        const char* allowed = settings->cors_origins.items[i];
        if (strcmp(allowed, origin) == 0) {
            text_format(&answer->headers,
                        "Access-Control-Allow-Origin: %s\r\nAccess-Control-Allow-Credentials: true\r\n", origin);
            return;
        }
    }
    for (int i = 0; origin[0] && i < settings->cors_origins.count; i++) {
        if (strcmp(settings->cors_origins.items[i], "*") == 0)
            text_put(&answer->headers, "Access-Control-Allow-Origin: *\r\n");
    }
}

static void rest_answer_options(rest_answer* answer, const rest_request* request, unsigned methods)
{
    const char* allowed = methods == REST_POST ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
    answer->status = 204;
    text_format(&answer->headers, "Allow: %s\r\n", allowed);
    if (rest_header(request, "Access-Control-Request-Method")[0]) {
        text_format(&answer->headers,
                    "Access-Control-Allow-Methods: %s\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, "
                    "Traceparent\r\nAccess-Control-Max-Age: 600\r\n",
                    allowed);
    }
}

static void rest_route_request(const api* known, const rest_request* request, rest_answer* answer)
{
    unsigned method = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0 ? REST_GET
                      : strcmp(request->method, "POST") == 0                                      ? REST_POST
                                                                                                  : 0;
    const rest_route files = {REST_GET, NULL, api_files};
    const rest_route* route = &files;
    for (size_t i = 0; i < sizeof(rest_routes) / sizeof(rest_routes[0]); i++) {
        if (strcmp(rest_routes[i].path, request->path) == 0) route = &rest_routes[i];
    }
    rest_add_origin(known->settings, request, answer);
    if (strcmp(request->method, "OPTIONS") == 0) {
        rest_answer_options(answer, request, route->methods);
    } else if (route->methods & method) {
        route->handler(known, request, answer);
    } else {
        text_format(&answer->headers, "Allow: %s\r\n",
                    route->methods == REST_POST ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
        rest_refuse(answer, request, 405, "this resource does not have that method; see the Allow header", NULL);
    }
    if (answer->body.failed || answer->headers.failed) {
        rest_refuse(answer, request, 500, "the answer could not be made; the server is short of memory", NULL);
    }
}

static void rest_send(struct mg_connection* connection, const rest_request* request, const rest_answer* answer)
{
    char buffer[2048];
    text head;
    bool bare = answer->status == 204 || answer->status == 304;
    text_begin(&head, buffer, sizeof(buffer));
    text_format(&head, "HTTP/1.1 %d %s\r\n", answer->status, forward_status_name(answer->status));
    if (!bare) text_format(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n", answer->type, answer->body.bytes);
    text_format(&head, "X-Content-Type-Options: nosniff\r\nX-Trace-Id: %s\r\n", request->trace_id);
    if (!strstr(answer->headers.to, "Cache-Control:")) text_put(&head, "Cache-Control: no-store\r\n");
    text_format(&head, "%sConnection: close\r\n\r\n", answer->headers.to);
    if (head.failed) return; /* cannot be: every header has a limit far below */
    if (mg_write(connection, buffer, head.bytes) <= 0 || bare || strcmp(request->method, "HEAD") == 0) return;
    if (answer->body.bytes > 0) (void)mg_write(connection, answer->body.to, answer->body.bytes);
}

/* The body, whose length the edge has checked against the limit; NULL when it does not come. */
static char* rest_read_body(struct mg_connection* connection, size_t bytes)
{
    char* body = malloc(bytes + 1);
    size_t have = 0;
    while (body && have < bytes) {
        int got = mg_read(connection, body + have, bytes - have);
        if (got <= 0) {
            free(body);
            return NULL;
        }
        have += (size_t)got;
    }
    if (body) body[bytes] = 0;
    return body;
}

static int rest_serve(rest* server, struct mg_connection* connection, const struct mg_request_info* info)
{
    char host[256];
    char from[64];
    rest_request request = {.method = info->request_method,
                            .path = info->local_uri_raw ? info->local_uri_raw : "",
                            .query = info->query_string ? info->query_string : "",
                            .connection = connection};
    rest_answer answer = {.status = 200, .type = "application/json; charset=utf-8"};
    text_begin_growing(&answer.body);
    text_begin_growing(&answer.headers);
    rest_set_trace(&request);
    snprintf(host, sizeof(host), "%s", rest_header(&request, "Host"));
    snprintf(from, sizeof(from), "%s", rest_header(&request, FORWARD_ADDRESS_HEADER));
    request.host = host;
    request.from = from;
    size_t body_bytes = info->content_length > 0 ? (size_t)info->content_length : 0;
    char* body = NULL;
    if (!text_equal_secret(rest_header(&request, FORWARD_SECRET_HEADER), server->secret)) {
        rest_refuse(&answer, &request, 403, "this port is the server's own; use the public one", NULL);
    } else if (body_bytes > (size_t)server->known.settings->http_body_bytes_max) {
        rest_refuse(&answer, &request, 413, "the body is larger than this server takes", NULL);
    } else if (!(body = rest_read_body(connection, body_bytes))) {
        rest_refuse(&answer, &request, 400, "the body did not come whole", NULL);
    } else {
        request.body = body;
        request.body_bytes = body_bytes;
        rest_route_request(&server->known, &request, &answer);
    }
    if (!answer.headers.failed) rest_send(connection, &request, &answer);
    LOG(NECPNET_LOG_DEBUG, "request", "answered", LOG_TEXT("method", request.method), LOG_TEXT("path", request.path),
        LOG_NUMBER("status", answer.status), LOG_TEXT("from", from), LOG_TEXT("trace_id", request.trace_id), LOG_END);
    int status = answer.status;
    free(body);
    text_end(&answer.body);
    text_end(&answer.headers);
    return status;
}

/* ------------------------------------------------------------------------------------------------- civetweb -- */

static int rest_on_request(struct mg_connection* connection)
{
    const struct mg_request_info* info = mg_get_request_info(connection);
    return rest_serve(info->user_data, connection, info);
}

/* What civetweb itself refuses looks like our errors, too. */
static int rest_on_error(struct mg_connection* connection, int status, const char* message)
{
    char buffer[2048];
    text out;
    text_begin(&out, buffer, sizeof(buffer));
    forward_write_error(&out, status, message ? message : forward_status_name(status), "", "", true);
    (void)mg_write(connection, buffer, out.bytes);
    return 0;
}

static int rest_on_log(const struct mg_connection* connection, const char* message)
{
    (void)connection;
    LOG(NECPNET_LOG_WARNING, "civetweb", message, LOG_END);
    return 1;
}

static bool rest_make_secret(rest* server)
{
    uint8_t bytes[(REST_SECRET_BYTES - 1) / 2];
    if (!tokens_random(bytes, sizeof(bytes))) return false;
    for (size_t i = 0; i < sizeof(bytes); i++) snprintf(server->secret + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

necpnet_result rest_start(const api* known, rest** out_rest)
{
    char threads[16];
    char timeout[16];
    const char* options[] = {"listening_ports",
                             "127.0.0.1:0",
                             "num_threads",
                             threads,
                             "request_timeout_ms",
                             timeout,
                             "enable_keep_alive",
                             "no",
                             "max_request_size",
                             "32768",
                             "connection_queue",
                             "64",
                             "decode_url",
                             "no",
                             "tcp_nodelay",
                             "1",
                             NULL};
    /* Without a log_access callback civetweb does not make up lines that nobody reads (by localtime, which races). */
    const struct mg_callbacks callbacks = {
        .begin_request = rest_on_request, .http_error = rest_on_error, .log_message = rest_on_log};
    struct mg_server_port ports[1];
    rest* server = calloc(1, sizeof(*server));
    if (!server) return NECPNET_ERR_OUT_OF_MEMORY;
    server->known = *known;
    snprintf(threads, sizeof(threads), "%d", (int)known->settings->http_threads);
    snprintf(timeout, sizeof(timeout), "%d", (int)known->settings->http_timeout_ms);
    if (!rest_make_secret(server)) {
        free(server);
        return NECPNET_ERR_NO_ENTROPY;
    }
    /* Asked for one feature that every build has, so that 0 means failure; TLS stays off (see server/README.md). */
    if (!(mg_init_library(MG_FEATURES_FILES) & MG_FEATURES_FILES)) {
        free(server);
        return NECPNET_ERR_IO;
    }
    server->civet = mg_start(&callbacks, server, options);
    if (!server->civet || mg_get_server_ports(server->civet, 1, ports) != 1) {
        rest_stop(server);
        return NECPNET_ERR_IO;
    }
    server->port = ports[0].port;
    *out_rest = server;
    return NECPNET_OK;
}

void rest_stop(rest* server)
{
    if (!server) return;
    if (server->civet) mg_stop(server->civet);
    mg_exit_library();
    memset(server->secret, 0, sizeof(server->secret));
    free(server);
}

int rest_port(const rest* server)
{
    return server->port;
}

const char* rest_secret(const rest* server)
{
    return server->secret;
}
