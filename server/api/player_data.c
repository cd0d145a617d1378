/* player_data - GET and DELETE /api/v1/players/{player_id}/data (GDPR 15, 17, 20): all that is stored about a player, and its end.
 *
 * Records name the players whom they are about (store.h), so that both find all. Erasing ends the player's sessions and the
 * credentials issued until now; what is kept is a hash that refuses them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../audit.h"
#include "../voice/switchboard.h"
#include "../gateway.h"
#include "../worker.h"
#include "api.h"

#define PLAYER_DATA_RECORDS_MAX 100000 /* of one export */
#define PLAYER_DATA_WAIT_MS 1000

static void player_data_put_record(text* out, const store_record* record, bool first)
{
    text_put(out, first ? "{\"collection\":" : ",\n{\"collection\":");
    text_json(out, record->collection);
    text_put(out, ",\"id\":");
    text_json(out, record->id);
    text_format(out, ",\"version\":%" PRIu64 ",\"expires_us\":%" PRIu64 ",\"body\":", record->version,
                record->expires_us);
    const char* body = record->body;
    if (record->body_bytes >= 2 && body[0] == '{') { /* JSON of our own making */
        text_put_bytes(out, body, record->body_bytes);
    } else {
        text_json(out, record->body_bytes ? body : "");
    }
    text_put(out, "}");
}

void api_player_data(const services* known, const rest_request* request, rest_answer* answer)
{
    const char* player = fields_text(&request->values, "player_id");
    char after[STORE_COLLECTION_BYTES_MAX + STORE_ID_BYTES_MAX + 2] = "";
    uint32_t count = 0;
    bool more = true;
    text_put(&answer->body, "{\"player_id\":");
    text_json(&answer->body, player);
    text_put(&answer->body, ",\"records\":[");
    while (more && !answer->body.failed && count < PLAYER_DATA_RECORDS_MAX) {
        store_answer found;
        store_query query = {
            .kind = STORE_NAMING, .subject = player, .after = after[0] ? after : NULL, .limit = STORE_LIST_MAX};
        desk_result result = store_ask(known->records, &query, &found);
        for (uint32_t i = 0; i < found.count; i++)
            player_data_put_record(&answer->body, &found.records[i], count++ == 0);
        more = found.count == STORE_LIST_MAX;
        if (more)
            snprintf(after, sizeof(after), "%s/%s", found.records[found.count - 1].collection,
                     found.records[found.count - 1].id);
        store_answer_end(&found);
        if (result == DESK_OK) continue;
        rest_refuse_desk(answer, request, result);
        return;
    }
    text_format(&answer->body, "],\"count\":%" PRIu32 ",\"complete\":%s}\n", count, more ? "false" : "true");
    audit_write(known, request, "player_exported", "all that is stored about a player", player);
}

typedef struct player_data_order {
    uint64_t client_id;
    necpnet_result result;
} player_data_order;

static void player_data_end_sessions(worker* at, void* data)
{
    player_data_order* order = data;
    gateway_forget_player(worker_gateway(at), order->client_id); /* first: what is told of its end names nobody */
    order->result = necpnet_server_revoke_client(worker_server(at), order->client_id);
}

void api_player_data_erase(const services* known, const rest_request* request, rest_answer* answer)
{
    store_answer gone;
    const char* player = fields_text(&request->values, "player_id");
    const char* issuer = known->settings->jwt_issuer[0] ? known->settings->jwt_issuer : request->who.issuer;
    player_data_order order = {.client_id = necpnet_token_client_id(issuer, player)};
    revocation_news news = {.kind = REVOCATION_USER, .key = order.client_id};
    desk_result result = revocations_add(known->revoked, NULL, &news);
    for (int i = 0; result == DESK_OK && i < atomic_load(&known->worker_count); i++) {
        if (!worker_ask(known->workers[i], player_data_end_sessions, &order, sizeof(order), NULL, PLAYER_DATA_WAIT_MS))
            result = DESK_TIMEOUT;
    }
    if (result == DESK_OK) revocations_say(known->revoked, known->events, &news);
    players_forget(known->names, order.client_id);
    crafting_forget(known->crafts, player); /* before the records go: what is still to be written is written then */
    switchboard_forget(known->switchboard, player, order.client_id);
    /* The record of the erasure names nobody; it comes first, so that a player who erases himself is not named by it. */
    rest_request nobody = *request;
    if (strcmp(request->who.subject, player) == 0) nobody.who.subject[0] = 0;
    if (result == DESK_OK) {
        if (nobody.who.subject[0] == 0) nobody.who.role = ROLE_ANYONE;
        audit_write(known, &nobody, "player_erased", "all that was stored about a player", NULL);
        store_query query = {.kind = STORE_ERASE, .subject = player};
        result = store_ask(known->records, &query, &gone);
    }
    if (result != DESK_OK) {
        rest_refuse_desk(answer, request, result);
        return;
    }
    text_format(&answer->body, "{\"records_erased\":%" PRIu32 "}\n", gone.count);
    store_answer_end(&gone);
}
