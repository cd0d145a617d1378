/* crafting_record - a crafting session as the store has it: JSON, so that a player's export is readable. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crafting_inside.h"
#include "json.h"

static const char* const crafting_status_names[CRAFTING_STATUS_COUNT] = {"queued",    "active",    "paused",
                                                                         "completed", "cancelled", "failed"};

const char* crafting_status_name(crafting_status status)
{
    return crafting_status_names[status];
}

bool crafting_status_find(const char* name, crafting_status* out_status)
{
    for (int i = 0; i < CRAFTING_STATUS_COUNT; i++) {
        if (strcmp(crafting_status_names[i], name) != 0) continue;
        *out_status = (crafting_status)i;
        return true;
    }
    return false;
}

crafting_session* crafting_make_session(const char* id, const char* recipe, const crafting_material* materials,
                                        uint32_t material_count)
{
    size_t id_bytes = strlen(id) + 1, recipe_bytes = strlen(recipe) + 1;
    crafting_session* session = calloc(1, sizeof(*session) + id_bytes + recipe_bytes);
    if (!session) return NULL;
    memcpy(session->id, id, id_bytes);
    session->recipe = session->id + id_bytes;
    memcpy(session->recipe, recipe, recipe_bytes);
    session->place = CRAFTING_NOT_DUE;
    session->material_version = 1;
    session->material_count = material_count;
    if (material_count == 0) return session;
    session->materials = malloc(material_count * sizeof(*materials));
    if (!session->materials) {
        free(session);
        return NULL;
    }
    memcpy(session->materials, materials, material_count * sizeof(*materials));
    return session;
}

void crafting_free_session(crafting_session* session)
{
    if (session) free(session->materials);
    free(session);
}

void crafting_put_record(text* out, const crafting_session* session, const char* player, const crafting_course* course,
                         const crafting_material* materials, uint64_t ended_us)
{
    text_put(out, "{\"player\":");
    text_json(out, player);
    text_put(out, ",\"recipe\":");
    text_json(out, session->recipe);
    text_format(out,
                ",\"status\":\"%s\",\"quantity\":%" PRIu32 ",\"speed\":%" PRIu32 ",\"version\":%" PRIu32
                ",\"work_us\":%" PRIu64 ",\"duration_us\":%" PRIu64 ",\"at_us\":%" PRIu64 ",\"order\":%" PRIu64
                ",\"created_us\":%" PRIu64 ",\"ended_us\":%" PRIu64 ",\"materials\":[",
                crafting_status_name(course->status), course->quantity, course->speed, course->version, course->work_us,
                course->duration_us, course->at_us, session->order, session->created_us, ended_us);
    for (uint32_t i = 0; i < session->material_count; i++) {
        text_format(out, "%s{\"name\":\"%s\",\"required\":%u,\"available\":%u}", i ? "," : "", materials[i].name,
                    materials[i].required, materials[i].available);
    }
    text_put(out, "]}");
}

/* ------------------------------------------------------------------------------------------------------ reading -- */

static bool record_number(const cJSON* json, const char* key, uint64_t high, uint64_t* out)
{
    const cJSON* item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= (double)high)) return false;
    *out = (uint64_t)item->valuedouble;
    return true;
}

static const char* record_text(const cJSON* json, const char* key, size_t bytes_max)
{
    const cJSON* item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsString(item) && item->valuestring[0] && strlen(item->valuestring) < bytes_max ? item->valuestring
                                                                                                 : NULL;
}

static bool record_materials(const cJSON* json, crafting_material* out, uint32_t* out_count)
{
    const cJSON* item;
    uint32_t count = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "materials"))
    {
        uint64_t required, available;
        const char* name = record_text(item, "name", CRAFTING_MATERIAL_BYTES);
        if (!name || count == CRAFTING_MATERIALS_MAX) return false;
        if (!record_number(item, "required", CRAFTING_AMOUNT_MAX, &required)) return false;
        if (!record_number(item, "available", CRAFTING_AMOUNT_MAX, &available)) return false;
        memcpy(out[count].name, name, strlen(name) + 1);
        out[count].required = (uint16_t)required;
        out[count++].available = (uint16_t)available;
    }
    *out_count = count;
    return true;
}

static bool record_fill(const cJSON* json, crafting_session* session)
{
    const uint64_t far = UINT64_C(1) << 53;
    uint64_t version, quantity, speed;
    const char* status = record_text(json, "status", 16);
    crafting_course* course = &session->course;
    if (!status || !crafting_status_find(status, &course->status)) return false;
    if (!record_number(json, "version", UINT32_MAX, &version) ||
        !record_number(json, "quantity", CRAFTING_QUANTITY_MAX, &quantity) ||
        !record_number(json, "speed", CRAFTING_SPEED_MAX, &speed))
        return false;
    course->version = (uint32_t)version;
    course->quantity = (uint32_t)quantity;
    course->speed = (uint32_t)speed;
    return quantity > 0 && record_number(json, "work_us", far, &course->work_us) &&
           record_number(json, "duration_us", far, &course->duration_us) && course->duration_us > 0 &&
           course->work_us <= course->duration_us && record_number(json, "at_us", far, &course->at_us) &&
           record_number(json, "order", far, &session->order) &&
           record_number(json, "created_us", far, &session->created_us) &&
           record_number(json, "ended_us", far, &session->ended_us);
}

crafting_session* crafting_read_record(const char* id, const char* json, size_t bytes, char** out_player)
{
    char error[128];
    crafting_material materials[CRAFTING_MATERIALS_MAX];
    uint32_t count = 0;
    crafting_session* session = NULL;
    cJSON* tree = json_parse(json, bytes, error, sizeof(error));
    const char* player = record_text(tree, "player", IDENTITY_SUBJECT_BYTES_MAX + 1);
    const char* recipe = record_text(tree, "recipe", CRAFTING_RECIPE_BYTES);
    *out_player = player ? text_copy(player) : NULL;
    if (*out_player && recipe && strlen(id) < CRAFTING_ID_BYTES && record_materials(tree, materials, &count))
        session = crafting_make_session(id, recipe, materials, count);
    if (session && !record_fill(tree, session)) {
        crafting_free_session(session);
        session = NULL;
    }
    if (!session) {
        free(*out_player);
        *out_player = NULL;
    }
    cJSON_Delete(tree);
    return session;
}
