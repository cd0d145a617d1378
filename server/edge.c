/* edge - plain HTTP on the public port. */
#include "edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "forward.h"
#include "log.h"
#include "proxies.h"
#include "tokens.h"

typedef enum edge_step {
    EDGE_TAKING,     /* the body comes in */
    EDGE_WAITING,    /* whole; waits for a place at civetweb */
    EDGE_CONNECTING, /* to civetweb */
    EDGE_ANSWERING,  /* handed over; the answer comes */
    EDGE_REFUSING,   /* to be answered by the edge: status, message */
    EDGE_CLOSING     /* answered; only closing is left */
} edge_step;

/* One request and its two connections. */
typedef struct edge_splice {
    edge_guest guest; /* its handlers are NULL: it is no guest */
    edge* owner;
    necpnet_web_connection* client;  /* NULL: gone */
    necpnet_web_connection* backend; /* NULL: not yet, or gone */
    struct edge_splice* next;
    edge_step step;
    int status;
    const char* message;
    uint64_t moved_us; /* when its step began, or bytes last moved */
    uint64_t taken_us; /* when the client last took something */
    text held;         /* of the answer, waiting for room; gone out of it are held_sent */
    size_t held_sent;
    text request; /* head, rewritten, then the body */
    text body;
    forward_body framing;
    size_t stray_bytes;
    bool is_head;
    bool wants_continue; /* "100 Continue" is still to be sent */
    bool answered;       /* bytes of an answer reached the client */
    bool client_paused;
    bool closed; /* both connections were told to close */
} edge_splice;

typedef struct edge_hosting {
    edge_upgrade decide;
    void* user;
} edge_hosting;

struct edge {
    const config* settings;
    proxies trusted;
    edge_hosting hosts[EDGE_HOSTS_MAX];
    int host_count;
    necpnet_web_handlers handlers;
    necpnet_web* web;
    necpnet_address rest;
    const char* secret;
    edge_splice* first; /* oldest first, so that those who wait are served in turn */
    edge_splice** end;
    uint32_t count;
    uint32_t backends;
    size_t held_bytes; /* of all splices */
    uint64_t now_us;
    uint64_t swept_us;
    bool dirty; /* some splice has work for edge_work */
    uint64_t forwarded;
    uint64_t refused;
};

static void edge_set_step(edge_splice* splice, edge_step step)
{
    splice->step = step;
    splice->moved_us = splice->owner->now_us;
    splice->owner->dirty = true;
}

static void edge_refuse(edge_splice* splice, int status, const char* message)
{
    if (splice->step == EDGE_REFUSING || splice->step == EDGE_CLOSING) return;
    splice->status = status;
    splice->message = message;
    edge_set_step(splice, EDGE_REFUSING);
}

static bool edge_append(edge* at, edge_splice* splice)
{
    splice->owner = at;
    text_begin_growing(&splice->request);
    text_begin_growing(&splice->body);
    if (splice->request.failed || splice->body.failed) {
        text_end(&splice->request);
        text_end(&splice->body);
        return false;
    }
    *at->end = splice;
    at->end = &splice->next;
    at->count++;
    return true;
}

static bool edge_has_held(const edge_splice* splice)
{
    return splice->held.bytes > splice->held_sent;
}

static void edge_drop_held(edge_splice* splice)
{
    splice->owner->held_bytes -= splice->held.bytes_max;
    text_end(&splice->held);
    splice->held_sent = 0;
}

/* Takes out those whose connections are both gone. */
static void edge_collect(edge* at)
{
    edge_splice** link = &at->first;
    while (*link) {
        edge_splice* splice = *link;
        if (splice->client || splice->backend) {
            link = &splice->next;
            continue;
        }
        *link = splice->next;
        at->count--;
        text_end(&splice->request);
        text_end(&splice->body);
        edge_drop_held(splice);
        free(splice);
    }
    at->end = link;
}

/* ------------------------------------------------------------------------------------------------- callbacks -- */

static const char* edge_header(const necpnet_web_request* request, const char* name)
{
    for (int i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
    }
    return "";
}

static void edge_on_upgrade(edge* at, const necpnet_web_request* request, necpnet_web_answer* answer)
{
    at->refused++;
    answer->action = NECPNET_WEB_REFUSE;
    if (strcmp(request->path, at->settings->ws_path) != 0) {
        answer->status = 404;
        answer->body = "there is no WebSocket at this path\n";
    } else if (!forward_lists(request->subprotocols, "necpnet.v1")) {
        answer->status = 400;
        answer->body = "offer the subprotocol necpnet.v1 (Sec-WebSocket-Protocol)\n";
    } else {
        at->refused--;
        answer->action = NECPNET_WEB_SESSION;
    }
}

static void edge_judge(edge* at, necpnet_web_connection* connection, const necpnet_web_request* request, bool tls,
                       necpnet_web_answer* answer)
{
    if (request->is_upgrade) {
        for (int i = 0; i < at->host_count; i++) {
            if (!at->hosts[i].decide(connection, request, answer, at->hosts[i].user)) continue;
            if (answer->action == NECPNET_WEB_REFUSE) at->refused++;
            return;
        }
        edge_on_upgrade(at, request, answer);
        return;
    }
    edge_splice* splice = at->count < (uint32_t)at->settings->http_connections_max ? calloc(1, sizeof(*splice)) : NULL;
    if (!splice || !edge_append(at, splice)) {
        free(splice);
        at->refused++;
        answer->action = NECPNET_WEB_REFUSE;
        answer->status = 503;
        answer->headers = "Retry-After: 1\r\n";
        answer->body = "too many requests at once; try again in a moment\n";
        return;
    }
    splice->client = connection;
    answer->action = NECPNET_WEB_RAW;
    answer->user_data = splice;
    forward_plan plan = forward_judge(request, (uint64_t)at->settings->http_body_bytes_max);
    splice->is_head = plan.is_head;
    edge_set_step(splice, plan.framing == FORWARD_NO_BODY ? EDGE_WAITING : EDGE_TAKING);
    if (strcasecmp(edge_header(request, "Upgrade"), "websocket") == 0) {
        edge_refuse(splice, 400, "this WebSocket upgrade does not fit RFC 6455 4.2.1");
    } else if (plan.status) {
        edge_refuse(splice, plan.status, plan.message);
    } else {
        splice->wants_continue = plan.expects_continue;
        forward_write_head(&splice->request, request, at->secret, tls);
        forward_body_begin(&splice->framing, &plan, (uint64_t)at->settings->http_body_bytes_max);
        if (splice->request.bytes > FORWARD_HEAD_BYTES_MAX) edge_refuse(splice, 431, "the request's head is too large");
    }
}

/* Behind a trusted proxy the client's address is what that says: for this request, for its WebSocket, for the session over it. */
static void edge_on_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                            necpnet_web_answer* answer, void* user)
{
    edge* at = user;
    necpnet_web_request seen = *request;
    bool tls = at->settings->certificate_file[0] != 0;
    seen.from = proxies_find_client(&at->trusted, request, &tls);
    necpnet_web_set_address(connection, &seen.from);
    edge_judge(at, connection, &seen, tls, answer);
}

/* The handlers of a guest's connection, or NULL. */
static const necpnet_web_handlers* edge_handlers_of(const necpnet_web_connection* connection)
{
    const edge_guest* guest = necpnet_web_get_user_data(connection);
    return guest ? guest->handlers : NULL;
}

static void edge_on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data,
                            size_t bytes, void* user)
{
    (void)user;
    const necpnet_web_handlers* own = edge_handlers_of(connection);
    if (own && own->on_message) own->on_message(connection, kind, data, bytes, own->user);
}

static void edge_from_client(edge_splice* splice, const uint8_t* data, size_t bytes)
{
    if (splice->step != EDGE_TAKING) { /* pipelined requests, or a body that goes on after a refusal */
        splice->stray_bytes += bytes;
        if (splice->stray_bytes > EDGE_STRAY_BYTES_MAX && !splice->client_paused) {
            splice->client_paused = necpnet_web_pause(splice->client, true) == NECPNET_OK;
        }
        return;
    }
    splice->wants_continue = false;
    switch (forward_body_take(&splice->framing, data, bytes, &splice->body)) {
    case FORWARD_MORE: break;
    case FORWARD_WHOLE: edge_set_step(splice, EDGE_WAITING); break;
    case FORWARD_MALFORMED: edge_refuse(splice, 400, "the chunked body is malformed"); break;
    case FORWARD_TOO_LARGE: edge_refuse(splice, 413, "the body is larger than this server takes"); break;
    }
    if (splice->body.failed) edge_refuse(splice, 503, "the server is short of memory");
}

/* Ends the answers of those who read least, until the rest fits. */
static void edge_make_room(edge* at)
{
    while (at->held_bytes > EDGE_HELD_BYTES_MAX) {
        edge_splice* slowest = NULL;
        for (edge_splice* splice = at->first; splice; splice = splice->next) {
            if (edge_has_held(splice) && (!slowest || splice->taken_us < slowest->taken_us)) slowest = splice;
        }
        if (!slowest) return;
        edge_drop_held(slowest);
        edge_set_step(slowest, EDGE_CLOSING);
    }
}

/* Keeps bytes of an answer until the client has taken what it was given. */
static void edge_hold(edge_splice* splice, const uint8_t* data, size_t bytes)
{
    size_t before = splice->held.bytes_max;
    if (!splice->held.to) text_begin_growing(&splice->held);
    text_put_bytes(&splice->held, data, bytes);
    splice->owner->held_bytes += splice->held.bytes_max - before;
    if (splice->held.failed) {
        edge_drop_held(splice);
        edge_set_step(splice, EDGE_CLOSING);
    }
    edge_make_room(splice->owner);
}

static void edge_from_backend(edge_splice* splice, const uint8_t* data, size_t bytes)
{
    if (!splice->client || splice->step != EDGE_ANSWERING) return;
    splice->moved_us = splice->owner->now_us;
    if (!splice->answered) splice->taken_us = splice->moved_us;
    splice->answered = true;
    if (edge_has_held(splice) || necpnet_web_pending(splice->client) + bytes > EDGE_PENDING_BYTES_MAX) {
        edge_hold(splice, data, bytes);
    } else if (necpnet_web_send_raw(splice->client, data, bytes) != NECPNET_OK) {
        edge_set_step(splice, EDGE_CLOSING);
    }
}

static void edge_on_raw(necpnet_web_connection* connection, const uint8_t* data, size_t bytes, void* user)
{
    (void)user;
    edge_splice* splice = necpnet_web_get_user_data(connection);
    if (!splice) return;
    if (connection == splice->client) {
        edge_from_client(splice, data, bytes);
    } else {
        edge_from_backend(splice, data, bytes);
    }
}

static void edge_on_open(necpnet_web_connection* connection, void* user)
{
    const necpnet_web_handlers* own = edge_handlers_of(connection);
    if (own) {
        if (own->on_open) own->on_open(connection, own->user);
        return;
    }
    (void)user;
    edge_splice* splice = necpnet_web_get_user_data(connection);
    if (!splice || connection != splice->backend || splice->step != EDGE_CONNECTING) return;
    necpnet_result result = necpnet_web_send_raw(connection, splice->request.to, splice->request.bytes);
    if (result == NECPNET_OK && splice->body.bytes > 0) {
        result = necpnet_web_send_raw(connection, splice->body.to, splice->body.bytes);
    }
    if (result != NECPNET_OK) {
        edge_refuse(splice, 502, "the REST server did not take the request");
        return;
    }
    edge_set_step(splice, EDGE_ANSWERING);
    text_end(&splice->request); /* handed over */
    text_end(&splice->body);
}

static void edge_on_writable(necpnet_web_connection* connection, void* user)
{
    const necpnet_web_handlers* own = edge_handlers_of(connection);
    if (own) {
        if (own->on_writable) own->on_writable(connection, own->user);
        return;
    }
    (void)user;
    edge_splice* splice = necpnet_web_get_user_data(connection);
    if (!splice || connection != splice->client) return;
    splice->moved_us = splice->taken_us = splice->owner->now_us;
    splice->owner->dirty = true;
}

static void edge_on_close(necpnet_web_connection* connection, int code, const char* reason_text, necpnet_result reason,
                          void* user)
{
    const necpnet_web_handlers* own = edge_handlers_of(connection);
    if (own) {
        if (own->on_close) own->on_close(connection, code, reason_text, reason, own->user);
        return;
    }
    (void)user;
    edge_splice* splice = necpnet_web_get_user_data(connection);
    if (!splice) return;
    splice->owner->dirty = true;
    if (connection == splice->client) {
        splice->client = NULL;
        edge_set_step(splice, EDGE_CLOSING);
    } else if (connection == splice->backend) {
        splice->backend = NULL;
        splice->owner->backends--;
        if (splice->answered) {
            if (!edge_has_held(splice)) edge_set_step(splice, EDGE_CLOSING);
        } else {
            edge_refuse(splice, splice->step == EDGE_CONNECTING ? 503 : 502,
                        splice->step == EDGE_CONNECTING ? "the REST server is away" : "the REST server gave no answer");
        }
    }
}

/* ------------------------------------------------------------------------------------------------------ work -- */

static void edge_send_refusal(edge_splice* splice)
{
    static const char hex[] = "0123456789abcdef";
    char buffer[2048];
    char trace_id[33] = "";
    uint8_t random[16];
    text out;
    edge* at = splice->owner;
    if (tokens_random(random, sizeof(random))) {
        for (int i = 0; i < 32; i++) trace_id[i] = hex[i % 2 ? random[i / 2] & 15 : random[i / 2] >> 4];
    }
    at->refused++;
    text_begin(&out, buffer, sizeof(buffer));
    forward_write_error(&out, splice->status, splice->message, splice->status == 503 ? "Retry-After: 1\r\n" : "",
                        trace_id, !splice->is_head);
    if (splice->client) (void)necpnet_web_send_raw(splice->client, buffer, out.bytes);
    LOG(splice->status >= 500 ? NECPNET_LOG_WARNING : NECPNET_LOG_INFO, "request_refused", splice->message,
        LOG_NUMBER("status", splice->status), LOG_TEXT("trace_id", trace_id), LOG_END);
    edge_set_step(splice, EDGE_CLOSING);
}

static void edge_connect(edge* at, edge_splice* splice)
{
    forward_end_head(&splice->request, splice->body.bytes);
    if (splice->request.failed || splice->body.failed) {
        edge_refuse(splice, 503, "the server is short of memory");
        return;
    }
    edge_set_step(splice, EDGE_CONNECTING);
    necpnet_result result = necpnet_web_connect_raw(at->web, &at->rest, splice, &splice->backend);
    if (result != NECPNET_OK) {
        splice->backend = NULL;
        edge_refuse(splice, 503, "the REST server is away");
        return;
    }
    at->backends++;
    at->forwarded++;
}

/* Whether the client takes more of a held answer. */
static bool edge_has_room(const edge_splice* splice)
{
    return edge_has_held(splice) && splice->client && necpnet_web_pending(splice->client) < EDGE_PENDING_BYTES_MAX;
}

/* More of a held answer to a client that has taken what it had. Returns whether bytes were queued. */
static bool edge_give(edge_splice* splice)
{
    if (!edge_has_room(splice)) return false;
    size_t left = splice->held.bytes - splice->held_sent;
    size_t room = EDGE_PENDING_BYTES_MAX - necpnet_web_pending(splice->client);
    size_t bytes = left < room ? left : room;
    if (necpnet_web_send_raw(splice->client, splice->held.to + splice->held_sent, bytes) != NECPNET_OK) {
        edge_set_step(splice, EDGE_CLOSING);
        return false;
    }
    splice->held_sent += bytes;
    if (bytes < left) return true;
    edge_drop_held(splice);
    if (!splice->backend) edge_set_step(splice, EDGE_CLOSING);
    return true;
}

/* One splice's next step. Returns whether bytes were queued. */
static bool edge_advance(edge* at, edge_splice* splice)
{
    bool queued = false;
    if (splice->wants_continue && splice->step == EDGE_TAKING && splice->client) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        queued = necpnet_web_send_raw(splice->client, go_on, sizeof(go_on) - 1) == NECPNET_OK;
        splice->wants_continue = false;
    }
    if (splice->step == EDGE_WAITING && at->backends < EDGE_BACKENDS_MAX) {
        edge_connect(at, splice);
        queued = true;
    }
    if (splice->step == EDGE_ANSWERING && edge_give(splice)) queued = true;
    if (splice->step == EDGE_REFUSING) {
        edge_send_refusal(splice);
        queued = true;
    }
    if (splice->step == EDGE_CLOSING && !splice->closed) {
        splice->closed = true;
        if (splice->client) (void)necpnet_web_close(splice->client, 1000, NULL);
        if (splice->backend) (void)necpnet_web_close(splice->backend, 1000, NULL);
        queued = true;
    }
    return queued;
}

static void edge_sweep(edge* at)
{
    uint64_t limit_us = (uint64_t)at->settings->http_timeout_ms * 1000u;
    for (edge_splice* splice = at->first; splice; splice = splice->next) {
        if (at->now_us < splice->moved_us + limit_us) continue;
        if (splice->step == EDGE_TAKING) {
            edge_refuse(splice, 408, "the request's body did not come in time");
        } else if (splice->answered) { /* a client that neither reads nor goes away */
            edge_set_step(splice, EDGE_CLOSING);
        } else {
            edge_refuse(splice, 504, "the REST server did not answer in time");
        }
    }
}

void edge_host(edge* at, edge_upgrade decide, void* user)
{
    if (at->host_count < EDGE_HOSTS_MAX) at->hosts[at->host_count++] = (edge_hosting){decide, user};
}

bool edge_work(edge* at, uint64_t now_us)
{
    bool queued = false;
    bool more = false;
    at->now_us = now_us;
    if (now_us >= at->swept_us + EDGE_SWEEP_US) {
        at->swept_us = now_us;
        edge_sweep(at);
    }
    if (!at->dirty) return false;
    at->dirty = false;
    edge_collect(at);
    for (edge_splice* splice = at->first; splice; splice = splice->next) {
        if (edge_advance(at, splice)) queued = true;
        if (splice->step == EDGE_ANSWERING && edge_has_room(splice)) more = true;
    }
    at->dirty = more; /* what was given may be out at once: nobody would call */
    return queued;
}

/* ------------------------------------------------------------------------------------------------------ life -- */

necpnet_result edge_create(const config* settings, edge** out_edge)
{
    edge* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    at->settings = settings;
    proxies_begin(&at->trusted, settings);
    at->secret = "";
    at->end = &at->first;
    at->handlers = (necpnet_web_handlers){.on_request = edge_on_request,
                                          .on_open = edge_on_open,
                                          .on_message = edge_on_message,
                                          .on_raw = edge_on_raw,
                                          .on_writable = edge_on_writable,
                                          .on_close = edge_on_close,
                                          .user = at};
    *out_edge = at;
    return NECPNET_OK;
}

void edge_destroy(edge* at)
{
    if (!at) return;
    for (edge_splice* splice = at->first; splice; splice = splice->next) {
        splice->client = NULL; /* the server is gone, and every connection with it */
        splice->backend = NULL;
    }
    edge_collect(at);
    free(at);
}

const necpnet_web_handlers* edge_handlers(edge* at)
{
    return &at->handlers;
}

void edge_attach(edge* at, necpnet_web* web, int rest_port, const char* secret)
{
    at->web = web;
    at->secret = secret;
    at->rest = (necpnet_address){.family = NECPNET_ADDRESS_IPV4, .port = (uint16_t)rest_port, .bytes = {127, 0, 0, 1}};
}

void edge_get_figures(const edge* at, edge_figures* out_figures)
{
    *out_figures = (edge_figures){.active = at->count, .forwarded = at->forwarded, .refused = at->refused};
}
