/* crafting - /api/v1/crafting/..., POST /udp/sessions/{session_id}/progress and /materials. The crafting service (a service or an
 * administrator) begins sessions and says how they go on; their player reads, pauses, resumes, cancels.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../audit.h"
#include "../crafting_json.h"
#include "../crafting_packet.h"
#include "../rules.h"
#include "api.h"

#define CRAFTING_PAGE 100

rule_object rules_owner_crafting(const services* known, const identity* who, const char* object)
{
    switch (crafting_owner(known->crafts, object, who->subject, who->client_id)) {
    case CRAFTING_OWN: return RULE_OBJECT_OWN;
    case CRAFTING_FOREIGN: return RULE_OBJECT_FOREIGN;
    default: return RULE_OBJECT_MISSING;
    }
}

rule_object rules_owner_udp_session(const services* known, const identity* who, const char* object)
{
    rule_object whose = rules_owner_crafting(known, who, object);
    return whose == RULE_OBJECT_MISSING ? RULE_OBJECT_OWN : whose;
}

static void crafting_refuse_field(const rest_request* request, rest_answer* answer, const char* name,
                                  const char* reason, const char* message)
{
    field_fault fault = {.place = "body", .reason = reason};
    snprintf(fault.field, sizeof(fault.field), "%s", name);
    snprintf(fault.message, sizeof(fault.message), "%s: %s", name, message);
    rest_refuse_field(answer, request, &fault);
}

/* Whether it went well; else it is answered. */
static bool crafting_went(crafting_result result, const rest_request* request, rest_answer* answer)
{
    switch (result) {
    case CRAFTING_OK: return true;
    case CRAFTING_NOT_FOUND: rest_refuse_desk(answer, request, DESK_NOT_FOUND); break;
    case CRAFTING_EXISTS: rest_refuse(answer, request, 409, "there is a crafting session with this id", NULL); break;
    case CRAFTING_LIMIT:
        rest_refuse(answer, request, 409, "too many crafting sessions, of this player or in all", NULL);
        break;
    case CRAFTING_ENDED:
        rest_refuse(answer, request, 409, "the crafting session has ended, or waits and cannot be paused", NULL);
        break;
    case CRAFTING_NO_MATERIAL:
        crafting_refuse_field(request, answer, "available", "unknown",
                              "the crafting session does not use a material of these");
        break;
    case CRAFTING_STORE_AWAY: rest_refuse_desk(answer, request, DESK_DOWN); break;
    }
    return false;
}

static void crafting_answer(const services* known, rest_answer* answer, const crafting_view* view)
{
    crafting_put_session(&answer->body, view, crafting_now(known->crafts));
    text_put(&answer->body, "\n");
}

/* {"iron": 3, ..} of a body. Returns how many, -1: it is refused. */
static int crafting_read_amounts(const rest_request* request, rest_answer* answer, const char* name,
                                 crafting_material* out)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
    const cJSON* item;
    int count = 0;
    cJSON_ArrayForEach(item, fields_get(&request->values, name)->json)
    {
        size_t bytes = strlen(item->string);
        const char* reason = NULL;
        const char* message = "";
        if (bytes == 0 || bytes >= CRAFTING_MATERIAL_BYTES || strspn(item->string, letters) != bytes) {
            reason = "characters";
            message = "a material's name is 1 .. 32 letters, digits and . _ : -";
        } else if (!cJSON_IsNumber(item)) {
            reason = "type";
            message = "an amount is a whole number of 0 .. 65535";
        } else if (!(item->valuedouble >= 0 && item->valuedouble <= CRAFTING_AMOUNT_MAX) ||
                   item->valuedouble != (double)(uint16_t)item->valuedouble) {
            reason = "range";
            message = "an amount is a whole number of 0 .. 65535";
        } else if (count == CRAFTING_MATERIALS_MAX) {
            reason = "length";
            message = "at most 32 materials";
        }
        if (reason) {
            crafting_refuse_field(request, answer, name, reason, message);
            return -1;
        }
        out[count] = (crafting_material){.required = (uint16_t)item->valuedouble};
        memcpy(out[count].name, item->string, bytes + 1);
        out[count].available = out[count].required;
        count++;
    }
    return count;
}

/* ------------------------------------------------------------------------------------------------------- reading -- */

void api_crafting_sessions(const services* known, const rest_request* request, rest_answer* answer)
{
    uint32_t limit = (uint32_t)fields_number(&request->values, "limit", CRAFTING_PAGE);
    const char* player = fields_text(&request->values, "player_id");
    bool more = false;
    if (request->who.role == ROLE_PLAYER) {
        if (player[0] && strcmp(player, request->who.subject) != 0) {
            rest_refuse(answer, request, 403, "this player is somebody else", NULL);
            return;
        }
        player = request->who.subject;
    }
    crafting_view* views = malloc(limit * sizeof(*views));
    if (!views) {
        rest_refuse_desk(answer, request, DESK_DOWN);
        return;
    }
    uint32_t count =
        crafting_list(known->crafts, player[0] ? player : NULL, (int)fields_number(&request->values, "status", -1),
                      (uint64_t)fields_number(&request->values, "cursor", 0), views, limit, &more);
    text_put(&answer->body, "{\"sessions\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) text_put(&answer->body, ",\n");
        crafting_put_session(&answer->body, &views[i], crafting_now(known->crafts));
    }
    text_put(&answer->body, "],\"next_cursor\":");
    if (more) {
        text_format(&answer->body, "\"%" PRIu64 "\"}\n", views[count - 1].order);
    } else {
        text_put(&answer->body, "null}\n");
    }
    free(views);
}

void api_crafting_session(const services* known, const rest_request* request, rest_answer* answer)
{
    crafting_view view;
    if (crafting_find(known->crafts, fields_text(&request->values, "session_id"), &view)) {
        crafting_answer(known, answer, &view);
    } else {
        rest_refuse_desk(answer, request, DESK_NOT_FOUND);
    }
}

void api_crafting_queue(const services* known, const rest_request* request, rest_answer* answer)
{
    crafting_put_queue(&answer->body, known->crafts, fields_text(&request->values, "player_id"));
    text_put(&answer->body, "\n");
}

/* ------------------------------------------------------------------------------------------------------- changes -- */

void api_crafting_begin(const services* known, const rest_request* request, rest_answer* answer)
{
    crafting_material materials[CRAFTING_MATERIALS_MAX];
    crafting_view view;
    const field_values* values = &request->values;
    int count = crafting_read_amounts(request, answer, "materials", materials);
    if (count < 0) return;
    for (int i = 0; i < count; i++) materials[i].available = 0;
    crafting_wish wish = {.id = fields_text(values, "session_id"),
                          .player = fields_text(values, "player_id"),
                          .recipe = fields_text(values, "recipe"),
                          .quantity = (uint32_t)fields_number(values, "quantity", 1),
                          .duration_ms = (uint32_t)fields_number(values, "duration_ms", 0),
                          .speed = (uint32_t)fields_number(values, "speed_permille", 1000),
                          .materials = materials,
                          .material_count = (uint32_t)count};
    if (!crafting_went(crafting_begin(known->crafts, &wish, &view), request, answer)) return;
    answer->status = 201;
    text_format(&answer->headers, "Location: /api/v1/crafting/sessions/%s\r\n", view.id);
    crafting_answer(known, answer, &view);
}

static void crafting_set_status(const services* known, const rest_request* request, rest_answer* answer,
                                crafting_status status)
{
    crafting_view view;
    crafting_change change = {.has_status = true, .status = status};
    const char* id = fields_text(&request->values, "session_id");
    if (!crafting_went(crafting_apply(known->crafts, id, &change, &view), request, answer)) return;
    if (status == CRAFTING_CANCELLED)
        audit_write(known, request, "crafting_cancelled", "by request",
                    strcmp(view.player, request->who.subject) == 0 ? NULL : view.player);
    crafting_answer(known, answer, &view);
}

void api_crafting_pause(const services* known, const rest_request* request, rest_answer* answer)
{
    crafting_set_status(known, request, answer, CRAFTING_PAUSED);
}

void api_crafting_resume(const services* known, const rest_request* request, rest_answer* answer)
{
    crafting_set_status(known, request, answer, CRAFTING_ACTIVE);
}

void api_crafting_cancel(const services* known, const rest_request* request, rest_answer* answer)
{
    crafting_set_status(known, request, answer, CRAFTING_CANCELLED);
}

/* ------------------------------------------------------------------------------------------------------- packets -- */

static void crafting_put_packet(text* out, const uint8_t* packet, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    text_put(out, ",\"packet\":\"");
    for (size_t i = 0; i < bytes; i += 3) {
        size_t have = bytes - i < 3 ? bytes - i : 3;
        uint32_t bits = (uint32_t)packet[i] << 16;
        if (have > 1) bits |= (uint32_t)packet[i + 1] << 8;
        if (have > 2) bits |= packet[i + 2];
        char four[5] = {digits[bits >> 18], digits[bits >> 12 & 63], have > 1 ? digits[bits >> 6 & 63] : '=',
                        have > 2 ? digits[bits & 63] : '=', 0};
        text_put(out, four);
    }
    text_put(out, "\"");
}

static void crafting_put_header(text* out, const char* kind, const crafting_view* view, uint64_t time_us, size_t bytes)
{
    text_format(
        out, "{\"header\":{\"kind\":\"%s\",\"sequence\":0,\"time_us\":%" PRIu64 ",\"bytes\":%zu,\"session_id\":", kind,
        time_us, bytes);
    text_json(out, view->id);
    text_put(out, "}");
}

/* Whether a player wants to write what is the service's. */
static bool crafting_is_players_write(const rest_request* request, rest_answer* answer)
{
    bool writes = false;
    for (const field* row = request->values.fields; row && row->name; row++)
        writes = writes || (row->place == FIELD_IN_BODY && fields_get(&request->values, row->name)->present);
    if (request->who.role != ROLE_PLAYER || !writes) return false;
    rest_refuse(answer, request, 403, "the crafting service says how a session goes on; players read it", NULL);
    return true;
}

/* UdpProgressUpdate: what was said is applied, and where the session is now answered, also as the packet that a follower gets. */
void api_udp_progress(const services* known, const rest_request* request, rest_answer* answer)
{
    static const crafting_status statuses[] = {CRAFTING_ACTIVE, CRAFTING_PAUSED, CRAFTING_COMPLETED, CRAFTING_CANCELLED,
                                               CRAFTING_FAILED};
    const field_values* values = &request->values;
    const char* id = fields_text(values, "session_id");
    crafting_view view;
    crafting_base base;
    uint8_t packet[CRAFTING_PACKET_BYTES_MAX];
    crafting_packet_header header = {.kind = CRAFTING_PROGRESS_WHOLE};
    if (crafting_is_players_write(request, answer)) return;
    crafting_change change = {.has_progress = fields_get(values, "progress_ppm")->present,
                              .has_speed = fields_get(values, "speed_permille")->present,
                              .has_status = fields_get(values, "status")->present,
                              .progress_ppm = (uint32_t)fields_number(values, "progress_ppm", 0),
                              .speed = (uint32_t)fields_number(values, "speed_permille", 0)};
    change.status = statuses[fields_number(values, "status", 0)];
    bool writes = change.has_progress || change.has_speed || change.has_status;
    crafting_result result = writes ? crafting_apply(known->crafts, id, &change, &view)
                             : crafting_find(known->crafts, id, &view) ? CRAFTING_OK
                                                                       : CRAFTING_NOT_FOUND;
    if (!crafting_went(result, request, answer)) return;
    uint64_t now_us = crafting_now(known->crafts), time_us = necpnet_time_us();
    size_t bytes = crafting_pack_whole(packet, &header, &view.course, now_us, time_us, &base);
    crafting_put_header(&answer->body, "progress", &view, time_us, bytes);
    text_put(&answer->body, ",\"progress\":");
    crafting_put_progress(&answer->body, &view.course, now_us, false);
    crafting_put_packet(&answer->body, packet, bytes);
    text_put(&answer->body, "}\n");
}

/* UdpMaterialUpdate, likewise. */
void api_udp_materials(const services* known, const rest_request* request, rest_answer* answer)
{
    crafting_material materials[CRAFTING_MATERIALS_MAX];
    const char* id = fields_text(&request->values, "session_id");
    crafting_view view;
    uint8_t packet[CRAFTING_PACKET_BYTES_MAX];
    crafting_packet_header header = {.kind = CRAFTING_MATERIALS_WHOLE};
    if (crafting_is_players_write(request, answer)) return;
    int count = crafting_read_amounts(request, answer, "available", materials);
    if (count < 0) return;
    crafting_result result = count > 0 ? crafting_supply(known->crafts, id, materials, (uint32_t)count, NULL, &view)
                             : crafting_find(known->crafts, id, &view) ? CRAFTING_OK
                                                                       : CRAFTING_NOT_FOUND;
    if (!crafting_went(result, request, answer)) return;
    size_t bytes = crafting_pack_materials(packet, &header, view.materials, view.material_count, 0);
    crafting_put_header(&answer->body, "materials", &view, necpnet_time_us(), bytes);
    text_put(&answer->body, ",\"materials\":");
    crafting_put_materials(&answer->body, view.materials, view.material_count, UINT32_MAX);
    crafting_put_packet(&answer->body, packet, bytes);
    text_put(&answer->body, "}\n");
}
