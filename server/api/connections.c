/* connections - GET /ws/connections, GET and DELETE /ws/connections/{connection_id}, GET /api/v1/admin/sessions,
 * POST /connections/{connection_id}/subscribe and /unsubscribe. A player sees and
 * closes his own, services and administrators those of all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../audit.h"
#include "../connections.h"
#include "api.h"
#include "moments.h"

static void connection_put_user(const services* known, text* out, const connection_row* row)
{
    char subject[IDENTITY_SUBJECT_BYTES_MAX + 1];
    bool found = players_find(known->names, row->client_id, subject, sizeof(subject));
    text_put(out, "\"user\":{\"id\":");
    text_json(out, found ? subject : NULL);
    text_format(out, ",\"client_id\":\"%016" PRIx64 "\",\"name\":", row->client_id);
    text_json(out, row->name[0] ? row->name : NULL);
    text_put(out, "}");
}

static void connection_put(const services* known, text* out, const connection_row* row)
{
    static const char* const statuses[] = {"active", "idle", "closing"};
    uint64_t now_us = necpnet_time_us();
    uint64_t wall_us = necpnet_wall_time_us();
    char moment[MOMENT_BYTES];
    text_format(out, "{\"id\":\"%s\",", row->id);
    connection_put_user(known, out, row);
    text_format(out, ",\"status\":\"%s\",\"protocol\":\"%s\",\"transport\":\"%s\",\"from\":", statuses[row->status],
                row->protocol, row->transport);
    text_json(out, row->from);
    text_format(out, ",\"connected_at\":\"%s\"", moment_of(wall_us - (now_us - row->connected_us), moment));
    text_format(out, ",\"last_seen\":\"%s\",\"topics\":[", moment_of(wall_us - (now_us - row->heard_us), moment));
    for (uint32_t i = 0; i < row->topic_count && i < CONNECTION_TOPICS_MAX; i++) {
        if (i > 0) text_put(out, ",");
        text_json(out, row->topics[i]);
    }
    text_format(out,
                "],\"topic_count\":%" PRIu32 ",\"metrics\":{\"packets_sent\":%" PRIu64 ",\"packets_received\":%" PRIu64
                ",\"bytes_sent\":%" PRIu64 ",\"bytes_received\":%" PRIu64 ",\"rtt_us\":%" PRIu32
                ",\"queue_bytes\":%" PRIu32 ",\"voice_packets_sent\":%" PRIu64 ",\"voice_packets_received\":%" PRIu64
                "}}",
                row->topic_count, row->packets_sent, row->packets_received, row->bytes_sent, row->bytes_received,
                row->rtt_us, row->queue_bytes, row->voice_packets_sent, row->voice_packets_received);
}

void api_connections(const services* known, const rest_request* request, rest_answer* answer)
{
    connection_list list;
    connection_filter filter = {.status = (connection_status)fields_number(&request->values, "status", CONNECTION_ANY),
                                .limit = (uint32_t)fields_number(&request->values, "limit", 100)};
    if (request->who.role == ROLE_PLAYER) filter.client_id = request->who.client_id;
    snprintf(filter.after, sizeof(filter.after), "%s", fields_text(&request->values, "cursor"));
    desk_result result = connections_list(known, &filter, &list);
    if (result != DESK_OK) {
        free(list.rows);
        rest_refuse_desk(answer, request, result);
        return;
    }
    text_put(&answer->body, "{\"connections\":[");
    for (uint32_t i = 0; i < list.count; i++) {
        if (i > 0) text_put(&answer->body, ",\n");
        connection_put(known, &answer->body, &list.rows[i]);
    }
    text_put(&answer->body, "],\"next_cursor\":");
    text_json(&answer->body, list.more && list.count > 0 ? list.rows[list.count - 1].id : NULL);
    text_put(&answer->body, "}\n");
    free(list.rows);
}

void api_connection(const services* known, const rest_request* request, rest_answer* answer)
{
    connection_row row;
    desk_result result = connections_find(known, fields_text(&request->values, "connection_id"), &row);
    if (result != DESK_OK) {
        rest_refuse_desk(answer, request, result);
        return;
    }
    connection_put(known, &answer->body, &row);
    text_put(&answer->body, "\n");
}

void api_connection_close(const services* known, const rest_request* request, rest_answer* answer)
{
    desk_result result = connections_close(known, fields_text(&request->values, "connection_id"));
    if (result != DESK_OK) {
        rest_refuse_desk(answer, request, result);
        return;
    }
    audit_write(known, request, "connection_closed", "by request", NULL);
    answer->status = 204;
}

static void connection_change_topics(const services* known, const rest_request* request, rest_answer* answer,
                                     bool subscribe)
{
    char why[160] = "";
    char topics[33 * CONNECTION_TOPIC_BYTES];
    size_t bytes = 0;
    int count = 0;
    const char* id = fields_text(&request->values, "connection_id");
    const cJSON* item;
    cJSON_ArrayForEach(item, fields_get(&request->values, "topics")->json)
    {
        bytes += (size_t)snprintf(topics + bytes, sizeof(topics) - bytes, "%s", item->valuestring) + 1;
        count++;
    }
    necpnet_result result = connections_change_topics(known, id, topics, count, subscribe, why, sizeof(why));
    if (result == NECPNET_OK) {
        api_connection(known, request, answer);
    } else if (result == NECPNET_ERR_NOT_FOUND) {
        rest_refuse_desk(answer, request, DESK_NOT_FOUND);
    } else if (result == NECPNET_ERR_REFUSED || result == NECPNET_ERR_LIMIT_REACHED) {
        rest_refuse(answer, request, 403, why[0] ? why : "the limit of topics is reached", NULL);
    } else {
        rest_refuse_desk(answer, request, DESK_DOWN);
    }
}

void api_connection_subscribe(const services* known, const rest_request* request, rest_answer* answer)
{
    connection_change_topics(known, request, answer, true);
}

void api_connection_unsubscribe(const services* known, const rest_request* request, rest_answer* answer)
{
    connection_change_topics(known, request, answer, false);
}
