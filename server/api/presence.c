/* presence - GET and PUT /api/v1/presence/{player_id}, GET /api/v1/presence/{player_id}/friends: what presence.get, presence.set and
 * presence.changed of JSON-RPC tell, for callers without a WebSocket. A player is looked at through the caller's eyes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../gateway.h"
#include "../worker.h"
#include "api.h"
#include "moments.h"

#define PRESENCE_WAIT_MS 1000
#define PRESENCE_FRIENDS_MAX 256

static const char* const presence_statuses[] = {"offline", "online", "away", "busy", "invisible", "in-game"};

typedef struct presence_question {
    uint64_t viewer;
    char player[IDENTITY_SUBJECT_BYTES_MAX + 1];
    bool changes, has_zone, has_location;
    bool changed;
    gateway_seen seen; /* the wish, then the answer */
} presence_question;

static void presence_ask(worker* at, void* data)
{
    presence_question* asked = data;
    gateway* hall = worker_gateway(at);
    if (asked->changes) {
        asked->changed = gateway_change_seen(hall, asked->player, &asked->seen, asked->has_zone, asked->has_location);
    }
    gateway_look_seen(hall, asked->viewer, asked->player, &asked->seen);
}

/* Of all workers the one that sees most of the player: here before gone, then seen last. */
static desk_result presence_find(const services* known, presence_question* asked, gateway_seen* out)
{
    bool changed = false;
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < atomic_load(&known->worker_count); i++) {
        presence_question one = *asked;
        if (!worker_ask(known->workers[i], presence_ask, &one, sizeof(one), NULL, PRESENCE_WAIT_MS))
            return DESK_TIMEOUT;
        changed = changed || one.changed;
        bool here = one.seen.status != NECPNET_PRESENCE_OFFLINE, was = out->status != NECPNET_PRESENCE_OFFLINE;
        if (i == 0 || (here && !was) || (here == was && one.seen.last_seen_us > out->last_seen_us)) *out = one.seen;
    }
    asked->changed = changed;
    return DESK_OK;
}

static void presence_put(text* out, const char* player_json, const gateway_seen* seen)
{
    char moment[MOMENT_BYTES];
    text_format(out, "{\"player_id\":%s,\"status\":\"%s\",\"zone\":%" PRIu32 ",\"location\":", player_json,
                presence_statuses[seen->status], seen->zone);
    text_json(out, seen->location);
    if (seen->last_seen_us) {
        text_format(out, ",\"last_seen\":\"%s\"}", moment_of(seen->last_seen_us, moment));
    } else {
        text_put(out, ",\"last_seen\":null}");
    }
}

static void presence_answer(rest_answer* answer, const char* player, const gateway_seen* seen)
{
    char name[IDENTITY_SUBJECT_BYTES_MAX * 6 + 3];
    text quoted;
    text_begin(&quoted, name, sizeof(name));
    text_json(&quoted, player);
    presence_put(&answer->body, name, seen);
    text_put(&answer->body, "\n");
}

static void presence_begin(const rest_request* request, presence_question* asked)
{
    memset(asked, 0, sizeof(*asked));
    asked->viewer = request->who.client_id;
    snprintf(asked->player, sizeof(asked->player), "%s", fields_text(&request->values, "player_id"));
}

void api_presence(const services* known, const rest_request* request, rest_answer* answer)
{
    presence_question asked;
    gateway_seen seen;
    presence_begin(request, &asked);
    desk_result result = presence_find(known, &asked, &seen);
    if (result == DESK_OK) {
        presence_answer(answer, asked.player, &seen);
    } else {
        rest_refuse_desk(answer, request, result);
    }
}

void api_presence_set(const services* known, const rest_request* request, rest_answer* answer)
{
    presence_question asked;
    gateway_seen seen;
    presence_begin(request, &asked);
    asked.changes = true;
    asked.has_zone = fields_get(&request->values, "zone")->present;
    asked.has_location = fields_get(&request->values, "location")->present;
    asked.seen.status = (necpnet_presence_status)(fields_number(&request->values, "status", 0) + 1);
    asked.seen.zone = (uint32_t)fields_number(&request->values, "zone", 0);
    snprintf(asked.seen.location, sizeof(asked.seen.location), "%s", fields_text(&request->values, "location"));
    desk_result result = presence_find(known, &asked, &seen);
    if (result != DESK_OK) {
        rest_refuse_desk(answer, request, result);
    } else if (!asked.changed) {
        rest_refuse(answer, request, 409, "the player is not here: a presence begins with a session", NULL);
    } else {
        presence_answer(answer, asked.player, &seen);
    }
}

typedef struct presence_list {
    char player[IDENTITY_SUBJECT_BYTES_MAX + 1];
    uint32_t count;
    gateway_seen* rows; /* made by the worker */
} presence_list;

static void presence_list_ask(worker* at, void* data)
{
    presence_list* list = data;
    list->rows = calloc(PRESENCE_FRIENDS_MAX, sizeof(*list->rows));
    if (list->rows) list->count = gateway_list_seen(worker_gateway(at), list->player, list->rows, PRESENCE_FRIENDS_MAX);
}

static void presence_list_drop(void* data)
{
    free(((presence_list*)data)->rows);
}

void api_presence_friends(const services* known, const rest_request* request, rest_answer* answer)
{
    desk_result result = DESK_OK;
    presence_list list = {.count = 0};
    snprintf(list.player, sizeof(list.player), "%s", fields_text(&request->values, "player_id"));
    for (int i = 0; result == DESK_OK && list.count == 0 && i < atomic_load(&known->worker_count); i++) {
        free(list.rows);
        list.rows = NULL;
        if (!worker_ask(known->workers[i], presence_list_ask, &list, sizeof(list), presence_list_drop,
                        PRESENCE_WAIT_MS)) {
            list.rows = NULL;
            result = DESK_TIMEOUT;
        }
    }
    if (result == DESK_OK) {
        text_put(&answer->body, "{\"players\":[");
        for (uint32_t i = 0; i < list.count; i++) {
            if (i > 0) text_put(&answer->body, ",");
            presence_put(&answer->body, list.rows[i].player[0] ? list.rows[i].player : "\"\"", &list.rows[i]);
        }
        text_put(&answer->body, "]}\n");
    } else {
        rest_refuse_desk(answer, request, result);
    }
    free(list.rows);
}
