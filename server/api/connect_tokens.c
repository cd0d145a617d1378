/* connect_tokens - POST /api/v1/connect-tokens, POST /udp/sessions/{session_id}/connect: a connect token for whoever may have one.
 *
 * Body, optional: {"player": name, "transport": "udp" | "websocket" | "any", "subject": id}. transport may stand in the query,
 * too. subject (development alone; else it comes from the JWT) says which tokens are for one and the same player.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "arena_schema.h"
#include "log.h"

typedef struct connect_wish {
    const char* player;
    char subject[64]; /* development: whose token it is */
    tokens_transport transport;
    uint64_t client_id;
} connect_wish;

static void connect_refuse_field(const rest_request* request, rest_answer* answer, const char* name, const char* place,
                                 const char* message)
{
    field_fault fault = {.place = place, .reason = "range"};
    snprintf(fault.field, sizeof(fault.field), "%s", name);
    snprintf(fault.message, sizeof(fault.message), "%s: %s", name, message);
    rest_refuse_field(answer, request, &fault);
}

/* For whom the token is. In development callers say so themselves, in production the JWT does. */
static bool connect_identify(const services* known, const rest_request* request, rest_answer* answer,
                             const char* subject, connect_wish* wish)
{
    wish->player = fields_text(&request->values, "player");
    bool trusted = known->settings->mode == CONFIG_DEVELOPMENT && request->who.expires_us == 0;
    if (trusted) {
        uint64_t random[2] = {0, 0};
        snprintf(wish->subject, sizeof(wish->subject), "%s", subject);
        if (subject[0] == 0 && tokens_random(random, sizeof(random))) {
            snprintf(wish->subject, sizeof(wish->subject), "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
        }
        wish->client_id = necpnet_token_client_id(request->who.issuer, wish->subject);
        return true;
    }
    if (subject[0]) {
        connect_refuse_field(request, answer, "subject", "body", "the JWT says who you are; leave it out");
        return false;
    }
    if (wish->player[0] == 0 && strlen(request->who.name) < ARENA_NAME_BYTES) wish->player = request->who.name;
    wish->client_id = request->who.client_id;
    return true;
}

static void connect_put_grant(text* out, const tokens_grant* grant, const connect_wish* wish)
{
    char expires[32];
    struct tm parts;
    time_t seconds = (time_t)(grant->expires_us / 1000000u);
    gmtime_r(&seconds, &parts);
    strftime(expires, sizeof(expires), "%Y-%m-%dT%H:%M:%SZ", &parts);
    text_put(out, "{\"token\":");
    text_json(out, grant->token);
    text_format(out, ",\"expires_at\":\"%s\",\"player\":", expires);
    text_json(out, wish->player);
    text_put(out, ",\"urls\":[");
    for (int i = 0; i < grant->url_count; i++) {
        if (i > 0) text_put(out, ",");
        text_json(out, grant->urls[i]);
    }
    text_put(out, "]");
}

/* Makes the token. Returns whether grant and wish are filled; else it is answered. */
static bool connect_grant(const services* known, const rest_request* request, rest_answer* answer, connect_wish* wish,
                          tokens_grant* grant)
{
    board_figures figures;
    board_read(known->figures, &figures);
    if (figures.draining) {
        text_put(&answer->headers, "Retry-After: 2\r\n");
        rest_refuse(answer, request, 503, "the server is shutting down; ask again, perhaps elsewhere", NULL);
        return false;
    }
    tokens_wish order = {.host = request->host,
                         .tls = strcmp(rest_header(request, FORWARD_SCHEME_HEADER), "https") == 0,
                         .transport = wish->transport,
                         .client_id = wish->client_id,
                         .name = wish->player};
    necpnet_result result = tokens_make(known->office, &order, grant);
    if (result == NECPNET_ERR_NOT_FOUND) {
        connect_refuse_field(request, answer, "transport", "body", "this server has no address for that transport");
    } else if (result != NECPNET_OK) {
        LOG(NECPNET_LOG_ERROR, "token_failed", necpnet_result_text(result), LOG_TEXT("trace_id", request->trace_id),
            LOG_END);
        rest_refuse(answer, request, result == NECPNET_ERR_UNSUPPORTED ? 501 : 500, necpnet_result_text(result), NULL);
    }
    if (result == NECPNET_OK)
        players_note(known->names, wish->client_id, wish->subject[0] ? wish->subject : request->who.subject);
    return result == NECPNET_OK;
}

void api_connect_tokens(const services* known, const rest_request* request, rest_answer* answer)
{
    connect_wish wish = {.transport = (tokens_transport)fields_number(&request->values, "transport", TOKENS_ANY)};
    tokens_grant grant;
    if (!connect_identify(known, request, answer, fields_text(&request->values, "subject"), &wish)) return;
    if (!connect_grant(known, request, answer, &wish, &grant)) return;
    answer->status = 201;
    connect_put_grant(&answer->body, &grant, &wish);
    text_put(&answer->body, "}\n");
}

void api_udp_connect(const services* known, const rest_request* request, rest_answer* answer)
{
    connect_wish wish = {.transport = TOKENS_UDP};
    tokens_grant grant;
    if (!connect_identify(known, request, answer, "", &wish)) return;
    if (!connect_grant(known, request, answer, &wish, &grant)) return;
    answer->status = 201;
    connect_put_grant(&answer->body, &grant, &wish);
    text_put(&answer->body, ",\"session_id\":");
    text_json(&answer->body, fields_text(&request->values, "session_id"));
    text_format(&answer->body, ",\"packet_bytes_max\":%d}\n", NECPNET_DATAGRAM_BYTES_ETHERNET);
}
