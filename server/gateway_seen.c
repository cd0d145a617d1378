/* gateway_seen - presence beyond the loop: when players were last seen, in the store; and for other threads, that ask by worker_ask. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway_inside.h"
#include "json.h"
#include "log.h"

#define SEEN_COLLECTION "presence"
#define SEEN_DAY_US UINT64_C(86400000000)

/* What the store knows players by: the subject of their JWTs. */
static bool seen_subject(gateway* at, const gateway_session* session, char* subject, size_t bytes)
{
    if (session->subject[0] != '#') {
        snprintf(subject, bytes, "%s", session->subject);
        return true;
    }
    return players_find(at->known->names, session->client_id, subject, bytes);
}

void gateway_keep_seen(gateway* at, const gateway_session* session)
{
    char subject[STORE_SUBJECT_BYTES_MAX + 1], buffer[2048];
    text body;
    uint64_t now_us = gateway_wall_us(at);
    /* what is remembered anyway is bounded by players_remembered; in a store that goes with us a row of each would stay */
    if (!store_lasts(at->known->records)) return;
    if (session->erased || !seen_subject(at, session, subject, sizeof(subject))) return;
    text_begin(&body, buffer, sizeof(buffer));
    text_put(&body, "{\"player\":");
    text_json(&body, subject);
    text_format(&body, ",\"last_seen_us\":%" PRIu64 "}", now_us);
    store_write write = {.expected = STORE_ANY,
                         .record = {.collection = SEEN_COLLECTION,
                                    .id = subject,
                                    .subjects = {subject},
                                    .body = buffer,
                                    .body_bytes = body.bytes,
                                    .expires_us = now_us + (uint64_t)at->settings->audit_days * SEEN_DAY_US}};
    /* Where many leave at once and the store's queue is full, some are seen last when they came. */
    if (!body.failed) (void)store_post_all(at->known->records, &write, 1, NULL, NULL, NULL);
}

static void seen_take(gateway* at, const store_record* record)
{
    char error[128];
    uint64_t client_id = 0;
    cJSON* tree = json_parse(record->body, record->body_bytes, error, sizeof(error));
    const cJSON* seen = cJSON_GetObjectItemCaseSensitive(tree, "last_seen_us");
    if (cJSON_IsNumber(seen) && seen->valuedouble > 0 && gateway_find_player(at, NULL, record->id, &client_id)) {
        (void)necpnet_presence_remember(at->presence, client_id, (uint64_t)seen->valuedouble);
        gateway_name_player(at, client_id, record->id);
    }
    cJSON_Delete(tree);
}

necpnet_result gateway_load_seen(gateway* at)
{
    char after[STORE_ID_BYTES_MAX + 1] = "";
    uint32_t page = STORE_LIST_MAX, count = 0;
    desk_result result = DESK_OK;
    while (result == DESK_OK && page == STORE_LIST_MAX && count < GATEWAY_NAMES_MAX) {
        store_answer answer;
        store_query query = {.kind = STORE_LIST,
                             .collection = SEEN_COLLECTION,
                             .after = after[0] ? after : NULL,
                             .limit = STORE_LIST_MAX};
        result = store_ask(at->known->records, &query, &answer);
        page = answer.count;
        count += page;
        for (uint32_t i = 0; i < page; i++) seen_take(at, &answer.records[i]);
        if (page > 0) snprintf(after, sizeof(after), "%s", answer.records[page - 1].id);
        store_answer_end(&answer);
    }
    if (result != DESK_OK) LOG(NECPNET_LOG_ERROR, "presence_not_loaded", desk_result_name(result), LOG_END);
    return result == DESK_OK ? NECPNET_OK : NECPNET_ERR_IO;
}

/* ------------------------------------------------------------------------------------------------ for other threads -- */

static void seen_copy(const gateway* at, const necpnet_presence_info* from, gateway_seen* to)
{
    char name[IDENTITY_SUBJECT_BYTES_MAX + 32];
    text out;
    memset(to, 0, sizeof(*to));
    text_begin(&out, name, sizeof(name));
    gateway_put_player(at, &out, from->player);
    if (!out.failed) snprintf(to->player, sizeof(to->player), "%s", name); /* JSON, with its quotes */
    to->status = from->status;
    to->zone = from->zone;
    to->last_seen_us = from->last_seen_us;
    snprintf(to->location, sizeof(to->location), "%s", from->location);
}

void gateway_look_seen(gateway* at, uint64_t viewer, const char* player, gateway_seen* out)
{
    necpnet_presence_info info;
    uint64_t client_id = 0;
    memset(out, 0, sizeof(*out));
    if (!gateway_find_player(at, NULL, player, &client_id)) return;
    if (necpnet_presence_get(at->presence, viewer, client_id, &info) == NECPNET_OK) seen_copy(at, &info, out);
}

uint32_t gateway_list_seen(gateway* at, const char* player, gateway_seen* out, uint32_t count_max)
{
    uint64_t client_id = 0;
    size_t count = 0;
    if (!gateway_find_player(at, NULL, player, &client_id)) return 0;
    necpnet_presence_info* infos = calloc(count_max, sizeof(*infos));
    if (!infos) return 0;
    if (necpnet_presence_get_seen(at->presence, client_id, infos, count_max, &count) != NECPNET_OK) count = 0;
    for (size_t i = 0; i < count; i++) seen_copy(at, &infos[i], &out[i]);
    free(infos);
    return (uint32_t)count;
}

bool gateway_change_seen(gateway* at, const char* player, const gateway_seen* wish, bool has_zone, bool has_location)
{
    necpnet_presence_info info;
    uint64_t client_id = 0;
    bool here = false;
    if (!gateway_find_player(at, NULL, player, &client_id)) return false;
    for (const gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain)
        here = here || (session->client_id == client_id && session->present);
    if (!here || necpnet_presence_get(at->presence, client_id, client_id, &info) != NECPNET_OK) return false;
    char kept[NECPNET_PRESENCE_LOCATION_BYTES_MAX + 1];
    snprintf(kept, sizeof(kept), "%s", info.location);
    if (has_zone || has_location) {
        (void)necpnet_presence_set_place(at->presence, client_id, has_zone ? wish->zone : info.zone,
                                         has_location ? wish->location : kept);
    }
    (void)necpnet_presence_set_status(at->presence, client_id, wish->status);
    return true;
}

void gateway_forget_player(gateway* at, uint64_t client_id)
{
    for (gateway_session* session = gateway_first_of(at, client_id); session; session = session->chain) {
        if (session->client_id != client_id) continue;
        session->erased = true;
        if (!session->connection || session->ended) continue;
        session->ended = true;
        (void)necpnet_web_close(session->connection, GATEWAY_CLOSE_KICKED, "ended by an operator");
    }
    (void)necpnet_presence_forget(at->presence, client_id); /* one who is here: when the session ends */
}
