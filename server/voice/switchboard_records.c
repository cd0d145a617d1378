/* switchboard_records - channels, members, invitations and reports as records of the store, and back at the next start. Records of
 * what belongs to a channel have ids that begin with its id and a '/', so that they lie together.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "log.h"
#include "moments.h"
#include "switchboard_inside.h"

#define RECORD_ID_BYTES (CHANNELS_ID_BYTES_MAX + CHANNELS_UUID_BYTES + 1)

/* RFC 9562, version 4. */
void switch_make_id(char id[CHANNELS_UUID_BYTES])
{
    uint8_t random[16] = {0};
    (void)tokens_random(random, sizeof(random));
    random[6] = (uint8_t)((random[6] & 15) | 0x40);
    random[8] = (uint8_t)((random[8] & 63) | 0x80);
    char* to = id;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
        snprintf(to, 3, "%02x", random[i]);
        to += 2;
    }
}

const char* switch_quality_name(int quality)
{
    static const char* const names[] = {"excellent", "good", "fair", "poor"};
    return names[quality];
}

/* ----------------------------------------------------------------------------------------------------- writing -- */

switch_result switch_write(switchboard* at, switch_call* call, const store_write* writes, uint32_t count)
{
    desk_result result;
    if (!call || call->worker >= 0) {
        result = store_post_all(at->known->records, writes, count, NULL, NULL, NULL);
    } else {
        store_ticket* ticket = NULL;
        result = store_begin(at->known->records, writes, count, &ticket);
        if (result == DESK_OK) {
            if (call->ticket) store_forget(at->known->records, call->ticket);
            call->ticket = ticket;
        }
    }
    if (result == DESK_OK) return SWITCH_OK;
    LOG(NECPNET_LOG_ERROR, "voice_not_stored", "the store did not take a record of a voice channel",
        LOG_TEXT("result", desk_result_name(result)), LOG_END);
    return SWITCH_DOWN;
}

static switch_result record_put(switchboard* at, switch_call* call, const char* collection, const char* id,
                                const char* subject, const char* other, text* body, uint64_t expires_us)
{
    switch_result result = SWITCH_DOWN;
    if (!body->failed) {
        store_write write = {.expected = STORE_ANY,
                             .record = {.collection = collection,
                                        .id = id,
                                        .subjects = {subject, other},
                                        .body = body->to,
                                        .body_bytes = body->bytes,
                                        .expires_us = expires_us}};
        if (other && strcmp(subject, other) == 0) write.record.subjects[1] = NULL;
        result = switch_write(at, call, &write, 1);
    }
    text_end(body);
    return result;
}

static void record_text(text* out, const char* name, const char* value)
{
    text_format(out, ",\"%s\":", name);
    text_json(out, value);
}

static void record_moment(text* out, const char* name, uint64_t wall_us)
{
    char moment[MOMENT_BYTES];
    text_format(out, ",\"%s\":\"%s\"", name, moment_of(wall_us, moment));
}

switch_result switch_write_channel(switchboard* at, switch_call* call, const channel* of)
{
    text body;
    text_begin_growing(&body);
    text_format(&body, "{\"id\":\"%s\"", of->id);
    record_text(&body, "name", of->name);
    record_text(&body, "type", channels_type_name(of->type));
    record_text(&body, "guild_id", of->guild[0] ? of->guild : NULL);
    record_text(&body, "owner_id", of->owner);
    text_format(&body, ",\"owner_client\":\"%016" PRIx64 "\",\"max_users\":%" PRIu32 ",\"is_active\":%s", of->owner_id,
                of->max_users, of->is_active ? "true" : "false");
    text_format(&body,
                ",\"media\":\"%s\",\"sample_rate\":%" PRIu32 ",\"channels\":%" PRIu32 ",\"bitrate\":%" PRIu32
                ",\"frame_ms\":%" PRIu32,
                of->sound.is_game ? "game" : "voice", of->sound.sample_rate, of->sound.channels, of->sound.bitrate,
                of->sound.frame_ms);
    record_moment(&body, "created_at", of->created_us);
    record_moment(&body, "updated_at", of->updated_us);
    text_format(&body, ",\"created_us\":%" PRIu64 ",\"updated_us\":%" PRIu64 "}", of->created_us, of->updated_us);
    return record_put(at, call, SWITCH_CHANNELS, of->id, of->owner, NULL, &body, 0);
}

static void record_id(char id[RECORD_ID_BYTES + 1], const channel* of, const char* within)
{
    snprintf(id, RECORD_ID_BYTES + 1, "%s/%s", of->id, within);
}

switch_result switch_write_member(switchboard* at, switch_call* call, const channel_member* member)
{
    char id[RECORD_ID_BYTES + 1];
    text body;
    text_begin_growing(&body);
    record_id(id, member->of, member->id);
    text_format(&body, "{\"id\":\"%s\",\"channel_id\":\"%s\"", member->id, member->of->id);
    record_text(&body, "user_id", member->user->subject);
    text_format(&body,
                ",\"client\":\"%016" PRIx64 "\",\"role\":\"%s\",\"is_muted\":%s,\"is_deafened\":%s,\"may_speak\":%s",
                member->user->client_id, channels_role_name(member->role), member->is_muted ? "true" : "false",
                member->is_deafened ? "true" : "false", member->may_speak ? "true" : "false");
    record_moment(&body, "joined_at", member->joined_us);
    text_format(&body, ",\"joined_us\":%" PRIu64 "}", member->joined_us);
    return record_put(at, call, SWITCH_PARTICIPANTS, id, member->user->subject, NULL, &body, 0);
}

switch_result switch_write_invitation(switchboard* at, switch_call* call, const channel* of,
                                      const channel_invitation* invitation)
{
    char id[RECORD_ID_BYTES + 1];
    text body;
    text_begin_growing(&body);
    record_id(id, of, invitation->id);
    text_format(&body, "{\"id\":\"%s\",\"channel_id\":\"%s\"", invitation->id, of->id);
    record_text(&body, "user_id", invitation->subject);
    record_text(&body, "invited_by", call ? call->subject : of->owner);
    text_format(&body, ",\"client\":\"%016" PRIx64 "\"}", invitation->client_id);
    return record_put(at, call, SWITCH_INVITATIONS, id, invitation->subject, call ? call->subject : NULL, &body, 0);
}

switch_result switch_write_report(switchboard* at, switch_call* call, const channel* of, const switch_report* report,
                                  int quality)
{
    char id[RECORD_ID_BYTES + 1], uuid[CHANNELS_UUID_BYTES];
    uint64_t now_us = necpnet_wall_time_us();
    uint64_t kept_us = (uint64_t)at->known->settings->voice_report_days * 86400u * 1000000u;
    text body;
    text_begin_growing(&body);
    switch_make_id(uuid);
    record_id(id, of, uuid);
    text_format(&body, "{\"id\":\"%s\",\"channel_id\":\"%s\"", uuid, of->id);
    record_text(&body, "user_id", report->user);
    text_format(&body,
                ",\"bitrate\":%" PRId64 ",\"packet_loss\":%.4f,\"jitter\":%.4f,\"latency\":%.4f,\"quality\":\"%s\"",
                report->bitrate, report->packet_loss, report->jitter, report->latency, switch_quality_name(quality));
    record_moment(&body, "reported_at", now_us);
    text_put(&body, "}");
    return record_put(at, call, SWITCH_REPORTS, id, report->user, NULL, &body, now_us + kept_us);
}

static void record_erase(switchboard* at, switch_call* call, const char* collection, const char* id)
{
    store_write write = {.remove = true, .expected = STORE_ANY, .record = {.collection = collection, .id = id}};
    (void)switch_write(at, call, &write, 1);
}

void switch_erase_member(switchboard* at, switch_call* call, const channel_member* member)
{
    char id[RECORD_ID_BYTES + 1];
    record_id(id, member->of, member->id);
    record_erase(at, call, SWITCH_PARTICIPANTS, id);
}

void switch_erase_invitation(switchboard* at, switch_call* call, const channel* of,
                             const channel_invitation* invitation)
{
    char id[RECORD_ID_BYTES + 1];
    record_id(id, of, invitation->id);
    record_erase(at, call, SWITCH_INVITATIONS, id);
}

/* Writes gathered to jobs of as many as fit. */
typedef struct record_batch {
    switchboard* at;
    store_write writes[STORE_WRITES_MAX];
    char ids[STORE_WRITES_MAX][RECORD_ID_BYTES + 1];
    uint32_t count;
} record_batch;

static void record_batch_end(record_batch* batch)
{
    if (batch->count) (void)switch_write(batch->at, NULL, batch->writes, batch->count);
    batch->count = 0;
}

static void record_batch_erase(record_batch* batch, const char* collection, const channel* of, const char* within)
{
    if (batch->count == STORE_WRITES_MAX) record_batch_end(batch);
    char* id = batch->ids[batch->count];
    record_id(id, of, within);
    batch->writes[batch->count++] =
        (store_write){.remove = true, .expected = STORE_ANY, .record = {.collection = collection, .id = id}};
}

void switch_erase_channel(switchboard* at, switch_call* call, const channel* of)
{
    record_batch* batch = malloc(sizeof(*batch));
    if (batch) {
        batch->at = at;
        batch->count = 0;
        for (const channel_member* member = of->first; member; member = member->next)
            record_batch_erase(batch, SWITCH_PARTICIPANTS, of, member->id);
        for (const channel_invitation* one = of->invited; one; one = one->next)
            record_batch_erase(batch, SWITCH_INVITATIONS, of, one->id);
        record_batch_end(batch);
        free(batch);
    } /* what is left finds no channel at the next start, and goes then */
    record_erase(at, call, SWITCH_CHANNELS, of->id);
}

/* ----------------------------------------------------------------------------------------------------- reading -- */

static const char* record_read(const cJSON* json, const char* name)
{
    const cJSON* item = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double record_number(const cJSON* json, const char* name)
{
    const cJSON* item = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 9e15 ? item->valuedouble : 0;
}

static bool record_bool(const cJSON* json, const char* name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static uint64_t record_client(const cJSON* json, const char* name)
{
    return strtoull(record_read(json, name), NULL, 16);
}

static bool record_load_channel(switchboard* at, const cJSON* json, const char* id)
{
    channel* made = NULL;
    channel_wish wish = {.id = id,
                         .name = record_read(json, "name"),
                         .guild = record_read(json, "guild_id"),
                         .owner = record_read(json, "owner_id"),
                         .owner_id = record_client(json, "owner_client"),
                         .max_users = (uint32_t)record_number(json, "max_users"),
                         .is_active = record_bool(json, "is_active"),
                         .is_unlimited = true,
                         .created_us = (uint64_t)record_number(json, "created_us"),
                         .updated_us = (uint64_t)record_number(json, "updated_us")};
    for (int type = 0; type <= CHANNEL_PRIVATE; type++) {
        if (strcmp(record_read(json, "type"), channels_type_name((channel_type)type)) == 0)
            wish.type = (channel_type)type;
    }
    wish.sound = (channel_sound){.is_game = strcmp(record_read(json, "media"), "game") == 0,
                                 .sample_rate = (uint32_t)record_number(json, "sample_rate"),
                                 .channels = (uint32_t)record_number(json, "channels"),
                                 .bitrate = (uint32_t)record_number(json, "bitrate"),
                                 .frame_ms = (uint32_t)record_number(json, "frame_ms")};
    return channels_open(at->all, &wish, &made) == NECPNET_OK;
}

static bool record_load_member(switchboard* at, channel* of, const cJSON* json)
{
    channel_member* member = NULL;
    channel_entrance entrance = {.id = record_read(json, "id"),
                                 .client_id = record_client(json, "client"),
                                 .subject = record_read(json, "user_id"),
                                 .may_speak = record_bool(json, "may_speak"),
                                 .joined_us = (uint64_t)record_number(json, "joined_us")};
    if (strlen(entrance.id) + 1 != CHANNELS_UUID_BYTES) return false;
    for (int role = 0; role <= CHANNEL_OWNER; role++) {
        if (strcmp(record_read(json, "role"), channels_role_name((channel_role)role)) == 0)
            entrance.role = (channel_role)role;
    }
    bool was_active = of->is_active;
    of->is_active = true;
    necpnet_result result = channels_join(at->all, of, &entrance, &member);
    of->is_active = was_active;
    if (result != NECPNET_OK) return false;
    member->is_muted = record_bool(json, "is_muted");
    member->is_deafened = record_bool(json, "is_deafened");
    member->user->seen_us = necpnet_wall_time_us(); /* he has as long as anybody to show himself */
    return true;
}

static bool record_load_invitation(channel* of, const cJSON* json)
{
    const char* id = record_read(json, "id");
    if (strlen(id) + 1 != CHANNELS_UUID_BYTES) return false;
    return channels_invite(of, id, record_client(json, "client"), record_read(json, "user_id")) == NECPNET_OK;
}

static bool record_load(switchboard* at, const store_record* record)
{
    char id[CHANNELS_ID_BYTES_MAX + 1] = "";
    cJSON* json = json_parse(record->body, record->body_bytes, NULL, 0);
    size_t bytes = strcspn(record->id, "/");
    bool right = json && bytes <= CHANNELS_ID_BYTES_MAX;
    if (right) memcpy(id, record->id, bytes);
    channel* of = right ? channels_find(at->all, id) : NULL;
    if (right && strcmp(record->collection, SWITCH_CHANNELS) == 0) {
        right = record_load_channel(at, json, id);
    } else if (right && strcmp(record->collection, SWITCH_PARTICIPANTS) == 0) {
        right = of && record_load_member(at, of, json);
    } else if (right) {
        right = of && record_load_invitation(of, json);
    }
    cJSON_Delete(json);
    return right;
}

static necpnet_result record_load_all(switchboard* at, const char* collection)
{
    char after[STORE_ID_BYTES_MAX + 1] = "";
    uint32_t count = STORE_LIST_MAX;
    while (count == STORE_LIST_MAX) {
        store_answer found;
        store_query query = {
            .kind = STORE_LIST, .collection = collection, .after = after[0] ? after : NULL, .limit = STORE_LIST_MAX};
        desk_result result = store_ask(at->known->records, &query, &found);
        count = result == DESK_OK ? found.count : 0;
        for (uint32_t i = 0; i < count; i++) {
            snprintf(after, sizeof(after), "%s", found.records[i].id);
            if (record_load(at, &found.records[i])) continue;
            LOG(NECPNET_LOG_WARNING, "voice_record_dropped", "it belongs to no channel, or is not what it should be",
                LOG_TEXT("collection", collection), LOG_END);
            record_erase(at, NULL, collection, found.records[i].id);
        }
        store_answer_end(&found);
        if (result != DESK_OK) return NECPNET_ERR_IO;
    }
    return NECPNET_OK;
}

necpnet_result switch_load(switchboard* at)
{
    necpnet_result result = record_load_all(at, SWITCH_CHANNELS);
    if (result == NECPNET_OK) result = record_load_all(at, SWITCH_PARTICIPANTS);
    return result == NECPNET_OK ? record_load_all(at, SWITCH_INVITATIONS) : result;
}
