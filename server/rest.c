/* rest - civetweb, and the way from a request to its handler. */
#include "rest.h"

#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "audit.h"
#include "log.h"
#include "routes.h"

struct rest {
    const services* known;
    struct mg_context* civet;
    int port;
    char secret[REST_SECRET_BYTES];
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

void rest_refuse_field(rest_answer* answer, const rest_request* request, const field_fault* fault)
{
    char details[256];
    fields_say(fault, details, sizeof(details));
    rest_refuse(answer, request, 400, fault->message, details);
}

void rest_refuse_desk(rest_answer* answer, const rest_request* request, desk_result result)
{
    if (result == DESK_NOT_FOUND) {
        rest_refuse(answer, request, 404, "there is no such object", NULL);
    } else if (result == DESK_CONFLICT) {
        rest_refuse(answer, request, 409, "somebody else changed it meanwhile; read it again", NULL);
    } else {
        text_put(&answer->headers, "Retry-After: 1\r\n");
        rest_refuse(answer, request, 503, "the store does not answer; try again in a moment", NULL);
    }
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

static void rest_answer_options(rest_answer* answer, const rest_request* request, const char* methods)
{
    answer->status = 204;
    text_format(&answer->headers, "Allow: %s\r\n", methods);
    if (rest_header(request, "Access-Control-Request-Method")[0]) {
        text_format(&answer->headers,
                    "Access-Control-Allow-Methods: %s\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, "
                    "Traceparent\r\nAccess-Control-Expose-Headers: Retry-After, X-Trace-Id\r\n"
                    "Access-Control-Max-Age: 600\r\n",
                    methods);
    }
}

/* -------------------------------------------------------------------------------------------------- judging -- */

bool rest_is_local(const char* host)
{
    static const char* const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t bytes = strlen(names[i]);
        if (strncasecmp(host, names[i], bytes) == 0 && (host[bytes] == 0 || host[bytes] == ':')) return true;
    }
    return false;
}

/* Headers that are looked at: each at most once, and UTF-8. */
static bool rest_check_headers(const rest_request* request, rest_answer* answer, const struct mg_request_info* info)
{
    static const char* const names[] = {"Authorization", "Content-Type", "Origin", "If-None-Match", "Traceparent"};
    field_fault fault = {.place = "header", .reason = "duplicate"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int count = 0;
        bool whole = true;
        for (int j = 0; j < info->num_headers; j++) {
            const char* value = info->http_headers[j].value;
            if (strcasecmp(info->http_headers[j].name, names[i]) != 0) continue;
            count++;
            whole = whole && text_is_utf8(value, strlen(value));
        }
        if (count <= 1 && whole) continue;
        if (count <= 1) fault.reason = "encoding";
        snprintf(fault.field, sizeof(fault.field), "%s", names[i]);
        snprintf(fault.message, sizeof(fault.message), "%s: %s", names[i],
                 count > 1 ? "it stands there more than once" : "it is not UTF-8");
        rest_refuse_field(answer, request, &fault);
        return false;
    }
    return true;
}

static bool rest_refuse_often(const services* known, const rest_request* request, rest_answer* answer,
                              limit_class class_, uint32_t wait_s)
{
    char details[64];
    text_format(&answer->headers, "Retry-After: %u\r\n", wait_s);
    snprintf(details, sizeof(details), "{\"limit\":\"%s\",\"retry_after_s\":%u}", limits_class_name(class_), wait_s);
    rest_refuse(answer, request, 429, "too many requests; slow down", details);
    audit_refusal(known, request, "rate_limited", limits_class_name(class_));
    return false;
}

/* One request more of this caller; false: answered with 429. */
static bool rest_take(const services* known, const rest_request* request, rest_answer* answer, limit_class class_,
                      const char* kind, const char* name)
{
    char caller[IDENTITY_SUBJECT_BYTES_MAX + 4];
    snprintf(caller, sizeof(caller), "%s:%s", kind, name);
    uint32_t wait_s = limits_take(known->buckets, class_, caller, necpnet_time_us());
    return wait_s == 0 || rest_refuse_often(known, request, answer, class_, wait_s);
}

/* In development mode whoever is on this machine is its developer; a page of another origin is a player. */
static bool rest_identify_developer(const services* known, rest_request* request, rest_answer* answer)
{
    const config* settings = known->settings;
    const char* origin = strstr(rest_header(request, "Origin"), "://");
    bool local = rest_is_local(request->host);
    if (!local && settings->public_urls.count == 0) {
        rest_refuse(answer, request, 403,
                    "development mode trusts this machine alone: ask as localhost, or set public_urls", NULL);
        return false;
    }
    request->who.role = local && (!origin || strcmp(origin + 3, request->host) == 0) ? ROLE_ADMIN : ROLE_PLAYER;
    snprintf(request->who.subject, sizeof(request->who.subject), "developer");
    snprintf(request->who.issuer, sizeof(request->who.issuer), "necpnet development");
    request->who.client_id = necpnet_token_client_id(request->who.issuer, request->who.subject);
    return true;
}

static bool rest_identify(const services* known, rest_request* request, rest_answer* answer)
{
    const char* authorization = rest_header(request, "Authorization");
    const char* why = "Authorization: Bearer with a JWT is wanted";
    necpnet_result result = NECPNET_ERR_TOKEN_MISSING;
    if (known->settings->mode == CONFIG_DEVELOPMENT && authorization[0] == 0)
        return rest_identify_developer(known, request, answer);
    if (strncasecmp(authorization, "Bearer ", 7) == 0 || keyring_count(known->keys) == 0) {
        const char* jwt = authorization[0] ? authorization + 7 : "";
        result = identity_verify(&known->identities, jwt, necpnet_wall_time_us(), &request->who, &why);
    }
    if (result == NECPNET_OK) return true;
    if (result == NECPNET_ERR_UNSUPPORTED) {
        rest_refuse(answer, request, 501, why, NULL);
        return false;
    }
    if (authorization[0] && !rest_take(known, request, answer, LIMIT_TOKEN, "f", request->from)) return false;
    text_format(&answer->headers, "WWW-Authenticate: Bearer%s\r\n", authorization[0] ? " error=\"invalid_token\"" : "");
    rest_refuse(answer, request, 401, why, NULL);
    if (authorization[0]) audit_refusal(known, request, "credential_refused", why);
    return false;
}

static bool rest_read_fields(const route_match* match, rest_request* request, rest_answer* answer)
{
    field_fault fault;
    bool takes_body = false;
    for (const field* row = match->found->fields; row && row->name; row++) takes_body |= row->place == FIELD_IN_BODY;
    bool right = routes_take_path(match, &request->values, &fault) &&
                 (!match->found->path || fields_take_query(&request->values, request->query, NULL, &fault));
    if (right && request->body_bytes > 0 && match->found->path) {
        if (takes_body && strncasecmp(rest_header(request, "Content-Type"), "application/json", 16) != 0) {
            rest_refuse(answer, request, 415, "the body is wanted as application/json", NULL);
            return false;
        }
        right = fields_take_body(&request->values, request->body, request->body_bytes, &fault);
    }
    right = right && fields_finish(&request->values, &fault);
    if (!right) rest_refuse_field(answer, request, &fault);
    return right;
}

static bool rest_judge_object(const services* known, const route* row, rest_request* request, rest_answer* answer)
{
    const char* object = row->rule.owner ? fields_text(&request->values, row->rule.object) : "";
    switch (rules_judge_object(known, &row->rule, &request->who, object)) {
    case RULE_ALLOWED: return true;
    case RULE_MISSING: rest_refuse_desk(answer, request, DESK_NOT_FOUND); return false;
    case RULE_UNAVAILABLE: rest_refuse_desk(answer, request, DESK_DOWN); return false;
    default:
        rest_refuse(answer, request, 403, "this object is somebody else's", NULL);
        audit_refusal(known, request, "forbidden", "object");
        return false;
    }
}

/* Whether the rule of a route lets the request in; else it is answered. */
static bool rest_judge(const services* known, const route_match* match, rest_request* request, rest_answer* answer)
{
    const route* row = match->found;
    if (!rest_take(known, request, answer, row->rule.limit, "a", request->from)) return false;
    if (!(row->rule.roles & ROLE_ANYONE)) {
        if (!rest_identify(known, request, answer)) return false;
        if (rules_judge_role(&row->rule, &request->who) != RULE_ALLOWED) {
            rest_refuse(answer, request, 403, "your role may not do this", NULL);
            audit_refusal(known, request, "forbidden", "role");
            return false;
        }
        if (!rest_take(known, request, answer, row->rule.limit, "p", request->who.subject)) return false;
    }
    return rest_read_fields(match, request, answer) && rest_judge_object(known, row, request, answer);
}

static void rest_route_request(const services* known, rest_request* request, rest_answer* answer)
{
    route_match match;
    routes_find(request->method, request->path, &match);
    request->route = match.found && match.found->path ? match.found->path : "(file)";
    fields_begin(&request->values, match.found ? match.found->fields : NULL);
    rest_add_origin(known->settings, request, answer);
    if (strcmp(request->method, "OPTIONS") == 0) {
        rest_answer_options(answer, request, match.methods);
    } else if (!match.found) {
        text_format(&answer->headers, "Allow: %s\r\n", match.methods);
        rest_refuse(answer, request, 405, "this resource does not have that method; see the Allow header", NULL);
    } else if (match.found->flags & ROUTE_UPGRADE) {
        text_put(&answer->headers, "Upgrade: websocket\r\n");
        rest_refuse(answer, request, 426, "this is a WebSocket: upgrade the connection (RFC 6455)", NULL);
    } else if (rest_judge(known, &match, request, answer)) {
        match.found->handler(known, request, answer);
    }
    fields_end(&request->values);
    if (answer->body.failed || answer->headers.failed) {
        rest_refuse(answer, request, 500, "the answer could not be made; the server is short of memory", NULL);
    }
}

static void rest_send(const services* known, struct mg_connection* connection, const rest_request* request,
                      const rest_answer* answer)
{
    char buffer[2048];
    text head;
    bool bare = answer->status == 204 || answer->status == 304;
    text_begin(&head, buffer, sizeof(buffer));
    text_format(&head, "HTTP/1.1 %d %s\r\n", answer->status, forward_status_name(answer->status));
    if (!bare) text_format(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n", answer->type, answer->body.bytes);
    text_format(&head, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Trace-Id: %s\r\n",
                request->trace_id);
    if (!strstr(answer->headers.to, "Cache-Control:")) text_put(&head, "Cache-Control: no-store\r\n");
    if (!strstr(answer->headers.to, "Content-Security-Policy:"))
        text_put(&head, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n");
    if (known->settings->certificate_file[0]) text_put(&head, "Strict-Transport-Security: max-age=31536000\r\n");
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

static void rest_count(const services* known, const rest_request* request, const rest_answer* answer, uint64_t spent_us)
{
    char name[64];
    const char* method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
    bool known_route = request->route[0] == '/'; /* then the method is one of the table, too */
    snprintf(name, sizeof(name), "%s%s%s", known_route ? method : "", known_route ? " " : "", request->route);
    analysis_count_route(known->past, "http", name, spent_us, answer->status >= 500);
}

static int rest_serve(rest* server, struct mg_connection* connection, const struct mg_request_info* info)
{
    char host[256];
    char from[64];
    char shortened[64];
    uint64_t began_us = necpnet_time_us();
    rest_request request = {.method = info->request_method,
                            .path = info->local_uri_raw ? info->local_uri_raw : "",
                            .query = info->query_string ? info->query_string : "",
                            .route = "(none)",
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
    } else if (body_bytes > (size_t)server->known->settings->http_body_bytes_max) {
        rest_refuse(&answer, &request, 413, "the body is larger than this server takes", NULL);
    } else if (!(body = rest_read_body(connection, body_bytes))) {
        rest_refuse(&answer, &request, 400, "the body did not come whole", NULL);
    } else if (rest_check_headers(&request, &answer, info)) {
        request.body = body;
        request.body_bytes = body_bytes;
        rest_route_request(server->known, &request, &answer);
    }
    if (!answer.headers.failed) rest_send(server->known, connection, &request, &answer);
    rest_count(server->known, &request, &answer, necpnet_time_us() - began_us);
    LOG(NECPNET_LOG_DEBUG, "request", "answered", LOG_TEXT("method", request.method), LOG_TEXT("route", request.route),
        LOG_NUMBER("status", answer.status), LOG_TEXT("from", audit_shorten(from, shortened, sizeof(shortened))),
        LOG_TEXT("trace_id", request.trace_id), LOG_END);
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

necpnet_result rest_start(const services* known, rest** out_rest)
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
    server->known = known;
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
