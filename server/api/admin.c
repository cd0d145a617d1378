/* admin - what operators do: drain, read the configuration without its secrets, read the audit, end an epoch of connect tokens. */
#include <inttypes.h>
#include <string.h>

#include "../audit.h"
#include "../worker.h"
#include "api.h"
#include "moments.h"

#define ADMIN_WAIT_MS 1000

void api_admin_drain(const services* known, const rest_request* request, rest_answer* answer)
{
    int none = 0;
    bool first = atomic_compare_exchange_strong(known->signals, &none, 1); /* a second signal would end at once */
    if (first) audit_write(known, request, "drain", "asked for by an administrator", NULL);
    answer->status = 202;
    text_format(&answer->body, "{\"status\":\"draining\",\"drain_ms\":%" PRId64 "}\n", known->settings->drain_ms);
}

void api_admin_configuration(const services* known, const rest_request* request, rest_answer* answer)
{
    (void)request;
    text_put(&answer->body, "{\"configuration\":");
    config_put_json(known->settings, &answer->body);
    text_put(&answer->body, "}\n");
}

/* The time of a record stands in its id: microseconds since 1970, 20 digits. */
static uint64_t admin_audit_us(const char* id)
{
    uint64_t us = 0;
    for (int i = 0; i < 20 && id[i] >= '0' && id[i] <= '9'; i++) us = us * 10 + (uint64_t)(id[i] - '0');
    return us;
}

void api_admin_audit(const services* known, const rest_request* request, rest_answer* answer)
{
    store_answer found;
    char moment[MOMENT_BYTES];
    const char* player = fields_text(&request->values, "player_id");
    const char* cursor = fields_text(&request->values, "cursor");
    uint32_t limit = (uint32_t)fields_number(&request->values, "limit", 100);
    store_query query = {.kind = STORE_LIST,
                         .collection = AUDIT_COLLECTION,
                         .subject = player[0] ? player : NULL,
                         .after = cursor[0] ? cursor : NULL,
                         .newest_first = true,
                         .limit = limit};
    desk_result result = store_ask(known->records, &query, &found);
    if (result != DESK_OK) {
        store_answer_end(&found);
        rest_refuse_desk(answer, request, result);
        return;
    }
    text_put(&answer->body, "{\"events\":[");
    for (uint32_t i = 0; i < found.count; i++) {
        const store_record* record = &found.records[i];
        if (record->body_bytes < 2) continue;
        text_format(&answer->body, "%s{\"id\":\"%s\",\"at\":\"%s\",", i ? ",\n" : "", record->id,
                    moment_of(admin_audit_us(record->id), moment));
        text_put_bytes(&answer->body, (const char*)record->body + 1, record->body_bytes - 1);
    }
    text_put(&answer->body, "],\"next_cursor\":");
    text_json(&answer->body, found.count == limit ? found.records[found.count - 1].id : NULL);
    text_put(&answer->body, "}\n");
    store_answer_end(&found);
}

typedef struct admin_epoch {
    uint32_t epoch;
    necpnet_result result;
} admin_epoch;

static void admin_set_epoch(worker* at, void* data)
{
    admin_epoch* wish = data;
    wish->result = necpnet_server_set_token_epoch(worker_server(at), wish->epoch);
}

void api_admin_token_epoch(const services* known, const rest_request* request, rest_answer* answer)
{
    admin_epoch wish = {.epoch = (uint32_t)fields_number(&request->values, "epoch", 0)};
    for (int i = 0; i < atomic_load(&known->worker_count); i++) {
        if (!worker_ask(known->workers[i], admin_set_epoch, &wish, sizeof(wish), NULL, ADMIN_WAIT_MS)) {
            rest_refuse_desk(answer, request, DESK_TIMEOUT);
            return;
        }
        if (wish.result != NECPNET_OK) {
            field_fault fault = {.field = "epoch", .place = "body", .reason = "range"};
            snprintf(fault.message, sizeof(fault.message), "epoch: it is below the present one");
            rest_refuse_field(answer, request, &fault);
            return;
        }
    }
    atomic_store(&known->office->epoch, wish.epoch);
    audit_write(known, request, "token_epoch", "connect tokens of older epochs are no longer taken", NULL);
    text_format(&answer->body, "{\"epoch\":%" PRIu32 "}\n", wish.epoch);
}
