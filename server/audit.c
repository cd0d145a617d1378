/* audit - what happened that concerns safety. */
#include "audit.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

#define AUDIT_ID_BYTES 48

const char* audit_shorten(const char* address, char* to, size_t to_bytes)
{
    necpnet_address parsed;
    snprintf(to, to_bytes, "unknown");
    if (necpnet_address_parse(address, &parsed) != NECPNET_OK) return to;
    identity_put_address(&parsed, to, to_bytes);
    return to;
}

/* A record of an entry; body is to be ended. */
static store_write audit_make(const services* known, const audit_entry* entry, char id[AUDIT_ID_BYTES], text* body)
{
    static atomic_uint sequence;
    uint64_t now_us = necpnet_wall_time_us();
    snprintf(id, AUDIT_ID_BYTES, "%020" PRIu64 "-%08x", now_us, atomic_fetch_add(&sequence, 1u));
    text_begin_growing(body);
    text_put(body, "{\"event\":");
    text_json(body, entry->event);
    text_put(body, ",\"detail\":");
    text_json(body, entry->detail);
    text_put(body, ",\"actor\":");
    text_json(body, entry->actor);
    text_format(body, ",\"role\":\"%s\",\"object\":", identity_role_name(entry->role));
    text_json(body, entry->object);
    text_put(body, ",\"route\":");
    text_json(body, entry->route);
    text_format(body, ",\"from\":\"%s\",\"trace_id\":\"%s\"}", entry->from, entry->trace_id);
    store_write write = {
        .expected = STORE_ANY,
        .record = {.collection = AUDIT_COLLECTION,
                   .id = id,
                   .subjects = {entry->actor ? entry->actor : entry->object, entry->actor ? entry->object : NULL},
                   .body = body->to,
                   .body_bytes = body->bytes,
                   .expires_us = now_us + (uint64_t)known->settings->audit_days * 86400u * 1000000u}};
    if (write.record.subjects[0] && write.record.subjects[1] &&
        strcmp(write.record.subjects[0], write.record.subjects[1]) == 0)
        write.record.subjects[1] = NULL;
    return write;
}

void audit_put_all(const services* known, const audit_entry* entries, uint32_t count)
{
    store_write writes[AUDIT_AT_ONCE_MAX] = {0};
    char ids[AUDIT_AT_ONCE_MAX][AUDIT_ID_BYTES];
    text bodies[AUDIT_AT_ONCE_MAX];
    bool whole = true;
    for (uint32_t i = 0; i < count; i++) {
        writes[i] = audit_make(known, &entries[i], ids[i], &bodies[i]);
        whole = whole && !bodies[i].failed;
    }
    desk_result result = whole ? store_post_all(known->records, writes, count, NULL, NULL, NULL) : DESK_DOWN;
    for (uint32_t i = 0; i < count; i++) text_end(&bodies[i]);
    if (result != DESK_OK)
        LOG(NECPNET_LOG_ERROR, "audit_lost", "the store did not take audit records",
            LOG_TEXT("result", desk_result_name(result)), LOG_NUMBER("count", count), LOG_END);
}

void audit_write(const services* known, const rest_request* request, const char* event, const char* detail,
                 const char* object)
{
    char from[64];
    audit_shorten(request->from, from, sizeof(from));
    LOG(NECPNET_LOG_WARNING, event, detail, LOG_TEXT("route", request->route),
        LOG_TEXT("role", identity_role_name(request->who.role)), LOG_TEXT("from", from),
        LOG_TEXT("trace_id", request->trace_id), LOG_END);
    const audit_entry entry = {.event = event,
                               .detail = detail,
                               .actor = request->who.role == ROLE_ANYONE ? NULL : request->who.subject,
                               .role = request->who.role,
                               .object = object,
                               .route = request->route,
                               .from = from,
                               .trace_id = request->trace_id};
    audit_put_all(known, &entry, 1);
}

void audit_refusal(const services* known, const rest_request* request, const char* event, const char* detail)
{
    char caller[72];
    snprintf(caller, sizeof(caller), "a:%s", request->from);
    if (limits_take(known->buckets, LIMIT_AUDIT, caller, necpnet_time_us()) > 0) return;
    audit_write(known, request, event, detail, NULL);
}
