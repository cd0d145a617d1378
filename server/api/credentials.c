/* credentials - POST /api/v1/tokens/rotate, /api/v1/tokens/revoke, /api/v1/service-tokens: JWTs of this server's own, and the end
 * of JWTs, of connect tokens, and of all that a user has.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../audit.h"
#include "../worker.h"
#include "api.h"
#include "moments.h"

#define CREDENTIALS_WAIT_MS 1000

/* 201 with the JWT. Returns whether it was made. */
static bool credentials_issue(const services* known, const rest_request* request, rest_answer* answer,
                              const identity* who)
{
    char* jwt = NULL;
    identity made;
    char moment[MOMENT_BYTES];
    uint32_t lifetime_s = (uint32_t)fields_number(&request->values, "lifetime_s", known->settings->jwt_lifetime_s);
    if (lifetime_s > (uint32_t)known->settings->jwt_lifetime_s) lifetime_s = (uint32_t)known->settings->jwt_lifetime_s;
    necpnet_result result = identity_issue(&known->identities, who, lifetime_s, &jwt, &made);
    if (result != NECPNET_OK) {
        bool unable = result == NECPNET_ERR_UNSUPPORTED;
        rest_refuse(answer, request, unable ? 501 : 500,
                    unable ? "this server signs no JWTs: neither jwt_secret nor jwt_secret_file is configured"
                           : necpnet_result_text(result),
                    NULL);
        return false;
    }
    answer->status = 201;
    text_put(&answer->body, "{\"token\":");
    text_json(&answer->body, jwt);
    text_format(&answer->body, ",\"token_type\":\"Bearer\",\"role\":\"%s\",\"expires_at\":\"%s\"}\n",
                identity_role_name(made.role), moment_of(made.expires_us, moment));
    memset(jwt, 0, strlen(jwt));
    free(jwt);
    return true;
}

void api_tokens_rotate(const services* known, const rest_request* request, rest_answer* answer)
{
    const identity* who = &request->who;
    if (who->expires_us == 0) {
        rest_refuse(answer, request, 401, "there is no JWT to rotate: show one", NULL);
        return;
    }
    if (!credentials_issue(known, request, answer, who)) return;
    revocation_news news = {.kind = REVOCATION_ROTATED, .key = who->token_key, .until_us = who->expires_us};
    desk_result result = revocations_add(known->revoked, known->events, &news);
    if (result != DESK_OK) { /* two JWTs would live on */
        rest_refuse_desk(answer, request, result);
        return;
    }
    audit_write(known, request, "token_rotated", "the old JWT is no longer taken", NULL);
}

void api_service_tokens(const services* known, const rest_request* request, rest_answer* answer)
{
    identity service = {.role = ROLE_SERVICE};
    snprintf(service.subject, sizeof(service.subject), "%s", fields_text(&request->values, "service"));
    snprintf(service.issuer, sizeof(service.issuer), "%s", known->settings->jwt_issuer);
    if (credentials_issue(known, request, answer, &service))
        audit_write(known, request, "service_token_made", fields_text(&request->values, "service"), NULL);
}

/* ------------------------------------------------------------------------------------------------- revocation -- */

typedef struct credentials_order {
    revocation_news news;
    necpnet_result result;
} credentials_order;

static void credentials_obey(worker* at, void* data)
{
    credentials_order* order = data;
    order->result = worker_revoke(at, &order->news);
}

/* Kept, told to other nodes, and done by all workers of this one before it is answered. */
static desk_result credentials_revoke(const services* known, revocation_news* news)
{
    desk_result result = revocations_add(known->revoked, known->events, news);
    for (int i = 0; result == DESK_OK && i < atomic_load(&known->worker_count); i++) {
        credentials_order order = {.news = *news};
        if (!worker_ask(known->workers[i], credentials_obey, &order, sizeof(order), NULL, CREDENTIALS_WAIT_MS))
            return DESK_TIMEOUT;
        if (order.result != NECPNET_OK) return DESK_DOWN;
    }
    return result;
}

static void credentials_answer(const services* known, const rest_request* request, rest_answer* answer,
                               desk_result result, const char* what, const char* object)
{
    if (result != DESK_OK) {
        rest_refuse_desk(answer, request, result);
        return;
    }
    audit_write(known, request, "revoked", what, object);
    answer->status = 204;
}

/* Whose credentials somebody may end: his own, an administrator those of all. */
static bool credentials_may(const services* known, const rest_request* request, rest_answer* answer, uint64_t client_id)
{
    if (request->who.role == ROLE_ADMIN || request->who.client_id == client_id) return true;
    rest_refuse(answer, request, 403, "these are somebody else's credentials", NULL);
    audit_refusal(known, request, "forbidden", "revocation");
    return false;
}

static void credentials_revoke_jwt(const services* known, const rest_request* request, rest_answer* answer,
                                   const char* jwt)
{
    identity whose;
    const char* why;
    necpnet_result result = identity_verify(&known->identities, jwt, necpnet_wall_time_us(), &whose, &why);
    if (result == NECPNET_ERR_TOKEN_EXPIRED || result == NECPNET_ERR_TOKEN_REVOKED) { /* nobody takes it anyway */
        answer->status = 204;
        return;
    }
    if (result != NECPNET_OK) {
        field_fault fault = {.field = "token", .place = "body", .reason = "range"};
        snprintf(fault.message, sizeof(fault.message), "token: %s", why);
        rest_refuse_field(answer, request, &fault);
        return;
    }
    if (!credentials_may(known, request, answer, whose.client_id)) return;
    revocation_news news = {.kind = REVOCATION_JWT, .key = whose.token_key, .until_us = whose.expires_us};
    credentials_answer(known, request, answer, credentials_revoke(known, &news), "a JWT", whose.subject);
}

static void credentials_revoke_connect_token(const services* known, const rest_request* request, rest_answer* answer,
                                             const char* token)
{
    revocation_news news = {.kind = REVOCATION_CONNECT};
    necpnet_result result = NECPNET_ERR_TOKEN_INVALID;
    for (int i = 0; i < known->office->key_count && result != NECPNET_OK; i++) {
        result = necpnet_token_get_id(token, &known->office->keys[i], news.token_id);
    }
    if (result == NECPNET_OK) { /* who holds it may end it: it is a bearer's */
        credentials_answer(known, request, answer, credentials_revoke(known, &news), "a connect token", NULL);
        return;
    }
    field_fault fault = {.field = "connect_token", .place = "body", .reason = "range"};
    snprintf(fault.message, sizeof(fault.message), "connect_token: it is none of this server");
    rest_refuse_field(answer, request, &fault);
}

/* All of a user: JWTs and connect tokens issued until now, and sessions. */
static void credentials_revoke_user(const services* known, const rest_request* request, rest_answer* answer,
                                    const char* player)
{
    const char* issuer = known->settings->jwt_issuer[0] ? known->settings->jwt_issuer : request->who.issuer;
    revocation_news news = {.kind = REVOCATION_USER, .key = necpnet_token_client_id(issuer, player)};
    if (!credentials_may(known, request, answer, news.key)) return;
    credentials_answer(known, request, answer, credentials_revoke(known, &news), "all of a user", player);
}

void api_tokens_revoke(const services* known, const rest_request* request, rest_answer* answer)
{
    const char* jwt = fields_text(&request->values, "token");
    const char* connect_token = fields_text(&request->values, "connect_token");
    const char* player = fields_text(&request->values, "player_id");
    int count = (jwt[0] != 0) + (connect_token[0] != 0) + (player[0] != 0);
    if (count != 1) {
        field_fault fault = {.field = "", .place = "body", .reason = count ? "duplicate" : "missing"};
        snprintf(fault.message, sizeof(fault.message), "exactly one of token, connect_token and player_id is wanted");
        rest_refuse_field(answer, request, &fault);
    } else if (jwt[0]) {
        credentials_revoke_jwt(known, request, answer, jwt);
    } else if (connect_token[0]) {
        credentials_revoke_connect_token(known, request, answer, connect_token);
    } else {
        credentials_revoke_user(known, request, answer, player);
    }
}
