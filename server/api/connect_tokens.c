/* connect_tokens - POST /api/v1/connect-tokens: a connect token for whoever may have one.
 *
 * Body, optional: {"player": name, "transport": "udp" | "websocket" | "any", "subject": id}. transport may stand in the query,
 * too. subject (development alone; else it comes from the JWT) says which tokens are for one and the same player.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "arena_schema.h"
#include "identity.h"
#include "json.h"
#include "log.h"
#include "rest.h"

typedef struct connect_wish {
    char player[ARENA_NAME_BYTES];
    char subject[64];
    char transport[16];
} connect_wish;

/* Whether a field of the body is a text that fits; it is copied. */
static bool connect_take_text(const cJSON* field, char* to, size_t bytes)
{
    if (!cJSON_IsString(field) || strlen(field->valuestring) >= bytes) return false;
    if (!text_is_printable(field->valuestring, strlen(field->valuestring))) return false;
    snprintf(to, bytes, "%s", field->valuestring);
    return true;
}

static bool connect_refuse_field(const rest_request* request, rest_answer* answer, const char* field,
                                 const char* message)
{
    char buffer[256];
    text details;
    text_begin(&details, buffer, sizeof(buffer));
    text_put(&details, "{\"field\":");
    text_json(&details, field);
    text_put(&details, "}");
    rest_refuse(answer, request, 400, message, details.failed ? NULL : buffer);
    return false;
}

static bool connect_read_field(const rest_request* request, rest_answer* answer, const cJSON* field, connect_wish* wish)
{
    if (strcmp(field->string, "player") == 0) {
        if (connect_take_text(field, wish->player, sizeof(wish->player))) return true;
        return connect_refuse_field(request, answer, "player",
                                    "player is a text of at most 24 bytes without control characters");
    }
    if (strcmp(field->string, "transport") == 0) {
        if (connect_take_text(field, wish->transport, sizeof(wish->transport))) return true;
        return connect_refuse_field(request, answer, "transport", "transport is \"udp\", \"websocket\" or \"any\"");
    }
    if (strcmp(field->string, "subject") == 0) {
        if (connect_take_text(field, wish->subject, sizeof(wish->subject))) return true;
        return connect_refuse_field(request, answer, "subject",
                                    "subject is a text of at most 63 bytes without control characters");
    }
    return connect_refuse_field(request, answer, field->string,
                                "unknown field; player, transport and subject are known");
}

static bool connect_read_body(const rest_request* request, rest_answer* answer, connect_wish* wish)
{
    char error[160];
    if (request->body_bytes == 0) return true;
    if (strncasecmp(rest_header(request, "Content-Type"), "application/json", 16) != 0) {
        rest_refuse(answer, request, 415, "the body is wanted as application/json", NULL);
        return false;
    }
    cJSON* json = json_parse(request->body, request->body_bytes, error, sizeof(error));
    if (!json) {
        rest_refuse(answer, request, 400, error, NULL);
        return false;
    }
    bool right = cJSON_IsObject(json);
    const cJSON* field;
    if (!right) rest_refuse(answer, request, 400, "the body is wanted as one JSON object", NULL);
    cJSON_ArrayForEach(field, json)
    {
        if (!right) break;
        right = connect_read_field(request, answer, field, wish);
    }
    cJSON_Delete(json);
    return right;
}

static bool connect_read_transport(const rest_request* request, rest_answer* answer, const connect_wish* wish,
                                   tokens_transport* out)
{
    static const char* const names[] = {"any", "udp", "websocket"};
    char asked[16] = "";
    if (strstr(request->query, "transport") && !rest_query(request, "transport", asked, sizeof(asked))) {
        return connect_refuse_field(request, answer, "transport", "transport is \"udp\", \"websocket\" or \"any\"");
    }
    if (asked[0] == 0) snprintf(asked, sizeof(asked), "%s", wish->transport[0] ? wish->transport : "any");
    for (int i = 0; i < 3; i++) {
        if (strcmp(asked, names[i]) != 0) continue;
        *out = (tokens_transport)i;
        return true;
    }
    return connect_refuse_field(request, answer, "transport", "transport is \"udp\", \"websocket\" or \"any\"");
}

/* In development anyone on this machine gets a token. A page of another site that let its name point here (DNS rebinding)
 * says that name in Host, and gets none. */
static bool connect_is_local(const char* host)
{
    static const char* const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t bytes = strlen(names[i]);
        if (strncasecmp(host, names[i], bytes) == 0 && (host[bytes] == 0 || host[bytes] == ':')) return true;
    }
    return false;
}

/* Who asks. */
static bool connect_identify(const api* known, const rest_request* request, rest_answer* answer, connect_wish* wish,
                             uint64_t* out_client_id)
{
    if (known->settings->mode == CONFIG_DEVELOPMENT) {
        uint64_t random[2] = {0, 0};
        if (!connect_is_local(request->host) && known->settings->public_urls.count == 0) {
            rest_refuse(answer, request, 403,
                        "development mode gives tokens to this machine alone: ask as localhost, or set public_urls",
                        NULL);
            return false;
        }
        if (wish->subject[0] == 0 && tokens_random(random, sizeof(random))) {
            snprintf(wish->subject, sizeof(wish->subject), "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
        }
        *out_client_id = necpnet_token_client_id("necpnet development", wish->subject);
        return true;
    }
    identity who;
    const char* why = "Authorization: Bearer with a JWT is wanted";
    const char* authorization = rest_header(request, "Authorization");
    necpnet_result result = NECPNET_ERR_TOKEN_MISSING;
    if (known->settings->jwt_secret[0] == 0) {
        rest_refuse(answer, request, 501, "this server makes no tokens: no jwt_secret is configured", NULL);
        return false;
    }
    if (strncasecmp(authorization, "Bearer ", 7) == 0) {
        result = identity_verify(known->settings, authorization + 7, necpnet_wall_time_us(), &who, &why);
    }
    if (result == NECPNET_ERR_UNSUPPORTED) {
        rest_refuse(answer, request, 501, why, NULL);
        return false;
    }
    if (result != NECPNET_OK) {
        text_format(&answer->headers, "WWW-Authenticate: Bearer%s\r\n",
                    authorization[0] ? " error=\"invalid_token\"" : "");
        rest_refuse(answer, request, 401, why, NULL);
        LOG(NECPNET_LOG_WARNING, "jwt_refused", why, LOG_TEXT("from", request->from),
            LOG_TEXT("trace_id", request->trace_id), LOG_END);
        return false;
    }
    if (wish->subject[0])
        return connect_refuse_field(request, answer, "subject", "the JWT says who you are; leave subject out");
    if (wish->player[0] == 0 && strlen(who.name) < sizeof(wish->player)) {
        snprintf(wish->player, sizeof(wish->player), "%.24s", who.name);
    }
    *out_client_id = necpnet_token_client_id(who.issuer, who.subject);
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
    text_put(out, "]}\n");
}

void api_connect_tokens(const api* known, const rest_request* request, rest_answer* answer)
{
    connect_wish wish = {{0}, {0}, {0}};
    tokens_wish order = {.host = request->host};
    tokens_grant grant;
    board_figures figures;
    if (!connect_read_body(request, answer, &wish)) return;
    if (!connect_read_transport(request, answer, &wish, &order.transport)) return;
    if (!connect_identify(known, request, answer, &wish, &order.client_id)) return;
    board_read(known->figures, &figures);
    if (figures.draining) {
        text_put(&answer->headers, "Retry-After: 2\r\n");
        rest_refuse(answer, request, 503, "the server is shutting down; ask again, perhaps elsewhere", NULL);
        return;
    }
    order.name = wish.player;
    necpnet_result result = tokens_make(known->office, &order, &grant);
    if (result == NECPNET_ERR_NOT_FOUND) {
        connect_refuse_field(request, answer, "transport", "this server has no address for that transport");
    } else if (result != NECPNET_OK) {
        LOG(NECPNET_LOG_ERROR, "token_failed", necpnet_result_text(result), LOG_TEXT("trace_id", request->trace_id),
            LOG_END);
        rest_refuse(answer, request, result == NECPNET_ERR_UNSUPPORTED ? 501 : 500, necpnet_result_text(result), NULL);
    } else {
        answer->status = 201;
        connect_put_grant(&answer->body, &grant, &wish);
    }
}
