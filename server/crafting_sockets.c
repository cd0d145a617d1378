/* crafting_sockets - GET /ws/crafting/{session_id} and /ws/queue/{player_id}: judged as any route by its row in the table, then
 * followers with a WebSocket of their own. Whatever such a client says asks for the whole once more.
 */
#include <stdio.h>
#include <string.h>

#include "crafting_feed_inside.h"
#include "gateway.h"
#include "log.h"
#include "routes.h"

#define SOCKET_SESSION_PATH "/ws/crafting/{session_id}"
#define SOCKET_QUEUE_PATH "/ws/queue/{player_id}"

static void sockets_on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data,
                               size_t bytes, void* user)
{
    feed_follower* one = necpnet_web_get_user_data(connection);
    (void)kind;
    (void)data;
    (void)bytes;
    (void)user;
    if (one) one->whole_us = 0; /* with its next turn, so that many askings cost no more than one */
}

static void sockets_on_close(necpnet_web_connection* connection, int code, const char* reason_text,
                             necpnet_result reason, void* user)
{
    crafting_feed* at = user;
    feed_follower* one = necpnet_web_get_user_data(connection);
    (void)code;
    (void)reason_text;
    (void)reason;
    if (!one) return;
    feed_follower** link = &at->clients[one->client_id % FEED_CLIENTS];
    while (*link != one) link = &(*link)->client_next;
    *link = one->client_next;
    at->sockets--;
    feed_remove(one);
}

void feed_begin_sockets(crafting_feed* at)
{
    at->handlers = (necpnet_web_handlers){.on_message = sockets_on_message, .on_close = sockets_on_close, .user = at};
}

void crafting_feed_revoke(crafting_feed* at, const revocation_news* news)
{
    for (int i = 0; i < FEED_CLIENTS; i++) {
        for (feed_follower* one = at->clients[i]; one; one = one->client_next) {
            if (one->closing || !revocations_means(news, one->client_id, one->token_key, one->issued_us)) continue;
            one->closing = true;
            at->queued = true;
            (void)necpnet_web_close(one->connection, GATEWAY_CLOSE_REVOKED, "the credentials were revoked");
        }
    }
}

static bool sockets_refuse(crafting_feed* at, necpnet_web_answer* answer, int status, const char* why)
{
    snprintf(at->refusal, sizeof(at->refusal), "%.300s%s", why, strchr(why, '\n') ? "" : "\n");
    answer->action = NECPNET_WEB_REFUSE;
    answer->status = status;
    answer->body = at->refusal;
    answer->headers = status == 401   ? "WWW-Authenticate: Bearer\r\n"
                      : status == 429 ? "Retry-After: 1\r\n"
                      : status == 503 ? "Retry-After: 2\r\n"
                                      : NULL;
    return true;
}

/* How many WebSockets one user has here. */
static uint32_t sockets_of(const crafting_feed* at, uint64_t client_id)
{
    uint32_t count = 0;
    for (const feed_follower* one = at->clients[client_id % FEED_CLIENTS]; one; one = one->client_next)
        count += one->client_id == client_id;
    return count;
}

/* Who asks, and whether he may. 0: yes; else a status, and at->refusal says why. */
static int sockets_judge(crafting_feed* at, const route* row, const necpnet_web_request* request,
                         const field_values* values, identity* who)
{
    char caller[IDENTITY_SUBJECT_BYTES_MAX + 4];
    int status = 0;
    const char* why = gateway_identify(at->known, request, necpnet_wall_time_us(), who, &status);
    if (!why && rules_judge_role(&row->rule, who) != RULE_ALLOWED) {
        why = "your role may not do this";
        status = 403;
    }
    snprintf(caller, sizeof(caller), "p:%s", who->subject);
    if (!why && limits_take(at->known->buckets, row->rule.limit, caller, necpnet_time_us()) > 0) {
        why = "too many requests; slow down";
        status = 429;
    }
    rule_verdict verdict =
        why ? RULE_ALLOWED : rules_judge_object(at->known, &row->rule, who, fields_text(values, row->rule.object));
    if (verdict != RULE_ALLOWED) {
        why = verdict == RULE_FORBIDDEN ? "this object is somebody else's" : "there is no such object";
        status = (int)verdict;
    }
    if (!why && who->role == ROLE_PLAYER && sockets_of(at, who->client_id) >= CRAFTING_SOCKETS_OF_PLAYER_MAX) {
        why = "you have too many of these WebSockets";
        status = 429;
    }
    if (!why) return 0;
    snprintf(at->refusal, sizeof(at->refusal), "%s", why);
    return status;
}

static feed_follower* sockets_follow(crafting_feed* at, const route* row, const field_values* values)
{
    if (strcmp(row->path, SOCKET_QUEUE_PATH) == 0) return feed_add(at, NULL, fields_text(values, "player_id"), 1);
    crafting_session* session = crafting_hold(at->all, fields_text(values, "session_id"));
    if (!session) return NULL;
    feed_follower* one = feed_add(at, session, NULL, (uint32_t)fields_number(values, "hz", CRAFTING_HZ_DEFAULT));
    if (!one) crafting_release(at->all, session);
    return one;
}

static bool sockets_decide(crafting_feed* at, const route* row, const field_values* values,
                           necpnet_web_connection* connection, const necpnet_web_request* request,
                           necpnet_web_answer* answer)
{
    identity who;
    char why[sizeof(at->refusal)];
    int status = sockets_judge(at, row, request, values, &who);
    if (status) {
        snprintf(why, sizeof(why), "%s", at->refusal);
        LOG(NECPNET_LOG_WARNING, "upgrade_refused", why, LOG_TEXT("route", row->path), LOG_NUMBER("status", status),
            LOG_END);
        return sockets_refuse(at, answer, status, why);
    }
    if (at->draining) return sockets_refuse(at, answer, 503, "the server is shutting down");
    if (at->sockets >= (uint32_t)at->known->settings->rpc_connections_max)
        return sockets_refuse(at, answer, 503, "too many connections");
    feed_follower* one = sockets_follow(at, row, values);
    if (!one) return sockets_refuse(at, answer, 404, "there is no such object");
    one->guest.handlers = &at->handlers;
    one->connection = connection;
    one->client_id = who.client_id;
    one->expires_us = who.expires_us;
    one->token_key = who.token_key;
    one->issued_us = who.issued_us;
    feed_follower** head = &at->clients[one->client_id % FEED_CLIENTS];
    one->client_next = *head;
    *head = one;
    at->sockets++;
    answer->action = NECPNET_WEB_ACCEPT;
    answer->user_data = one;
    answer->no_deflate = strcmp(fields_text(values, "compression"), "gzip") != 0;
    return true;
}

bool crafting_feed_on_upgrade(necpnet_web_connection* connection, const necpnet_web_request* request,
                              necpnet_web_answer* answer, void* user)
{
    crafting_feed* at = user;
    route_match match;
    field_values values;
    field_fault fault;
    routes_find("GET", request->path, &match);
    if (!match.found || !match.found->path) return false;
    if (strcmp(match.found->path, SOCKET_SESSION_PATH) != 0 && strcmp(match.found->path, SOCKET_QUEUE_PATH) != 0)
        return false;
    fields_begin(&values, match.found->fields);
    bool right = routes_take_path(&match, &values, &fault) &&
                 fields_take_query(&values, request->query, NULL, &fault) && fields_finish(&values, &fault);
    if (right) {
        (void)sockets_decide(at, match.found, &values, connection, request, answer);
    } else {
        (void)sockets_refuse(at, answer, 400, fault.message);
    }
    fields_end(&values);
    return true;
}
