/* crafting_json - crafting sessions as JSON. */
#include "crafting_json.h"

#include <inttypes.h>
#include <stdlib.h>

static void json_put_span(text* out, const char* key, uint64_t us)
{
    if (us == CRAFTING_UNKNOWN) {
        text_format(out, ",\"%s\":null", key);
    } else {
        text_format(out, ",\"%s\":%" PRIu64, key, us / 1000u);
    }
}

static uint64_t json_remaining_us(const crafting_course* course, uint64_t now_us)
{
    if (course->status >= CRAFTING_COMPLETED) return 0;
    if (course->status == CRAFTING_PAUSED || course->speed == 0) return CRAFTING_UNKNOWN;
    return (course->duration_us - crafting_work_at(course, now_us)) * 1000u / course->speed;
}

void crafting_put_progress(text* out, const crafting_course* course, uint64_t now_us, bool part)
{
    uint64_t work_us = crafting_work_at(course, now_us);
    text_format(out, "{\"progress_ppm\":%" PRIu32, crafting_progress_ppm(course, now_us));
    json_put_span(out, "remaining_ms", json_remaining_us(course, now_us));
    if (!part) {
        text_format(out,
                    ",\"status\":\"%s\",\"version\":%" PRIu32 ",\"quantity\":%" PRIu32 ",\"quantity_done\":%" PRIu64
                    ",\"speed_permille\":%" PRIu32 ",\"work_ms\":%" PRIu64 ",\"duration_ms\":%" PRIu64,
                    crafting_status_name(course->status), course->version, course->quantity,
                    work_us * course->quantity / course->duration_us, course->speed, work_us / 1000u,
                    course->duration_us / 1000u);
    }
    text_put(out, "}");
}

void crafting_put_materials(text* out, const crafting_material* materials, uint32_t count, uint32_t changed)
{
    bool first = true;
    text_put(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        if (!(changed >> i & 1)) continue;
        text_format(out, "%s{\"material\":\"%s\",\"required\":%u,\"available\":%u,\"enough\":%s}", first ? "" : ",",
                    materials[i].name, materials[i].required, materials[i].available,
                    materials[i].available >= materials[i].required ? "true" : "false");
        first = false;
    }
    text_put(out, "]");
}

void crafting_put_session(text* out, const crafting_view* view, uint64_t now_us)
{
    text_put(out, "{\"session_id\":");
    text_json(out, view->id);
    text_put(out, ",\"player_id\":");
    text_json(out, view->player);
    text_put(out, ",\"recipe\":");
    text_json(out, view->recipe);
    text_format(out, ",\"timestamp_us\":%" PRIu64 ",\"created_us\":%" PRIu64 ",\"ended_us\":", now_us,
                view->created_us);
    if (view->ended_us) {
        text_format(out, "%" PRIu64, view->ended_us);
    } else {
        text_put(out, "null");
    }
    text_put(out, ",\"progress\":");
    crafting_put_progress(out, &view->course, now_us, false);
    text_put(out, ",\"materials\":");
    crafting_put_materials(out, view->materials, view->material_count, UINT32_MAX);
    text_format(out, ",\"queue\":{\"position\":%" PRIu32 ",\"length\":%" PRIu32, view->queue_position,
                view->queue_length);
    json_put_span(out, "estimated_start_ms", view->starts_in_us);
    json_put_span(out, "estimated_end_ms", view->ends_in_us);
    text_put(out, "}}");
}

void crafting_put_queue(text* out, crafting* at, const char* player)
{
    bool more = false;
    uint32_t running = 0, waiting = 0;
    uint64_t now_us = crafting_now(at), after = 0;
    crafting_view* views = malloc(CRAFTING_OF_PLAYER_MAX * sizeof(*views));
    if (!views) out->failed = true;
    text_put(out, "{\"player_id\":");
    text_json(out, player);
    text_put(out, ",\"entries\":[");
    do {
        uint32_t count = views ? crafting_list(at, player, -1, after, views, CRAFTING_OF_PLAYER_MAX, &more) : 0;
        for (uint32_t i = 0; i < count; i++) {
            const crafting_view* view = &views[i];
            after = view->order;
            if (view->course.status >= CRAFTING_COMPLETED) continue;
            text_put(out, running + waiting ? ",{\"session_id\":" : "{\"session_id\":");
            text_json(out, view->id);
            text_put(out, ",\"recipe\":");
            text_json(out, view->recipe);
            text_format(out, ",\"status\":\"%s\",\"position\":%" PRIu32, crafting_status_name(view->course.status),
                        view->queue_position);
            json_put_span(out, "estimated_start_ms", view->starts_in_us);
            json_put_span(out, "estimated_end_ms", view->ends_in_us);
            text_put(out, "}");
            waiting += view->course.status == CRAFTING_QUEUED;
            running += view->course.status != CRAFTING_QUEUED;
        }
        more = more && count > 0;
    } while (more);
    text_format(out, "],\"running\":%" PRIu32 ",\"length\":%" PRIu32 ",\"timestamp_us\":%" PRIu64 "}", running, waiting,
                now_us);
    free(views);
}

void crafting_put_message_head(text* out, const char* type, const char* key, const char* id, uint64_t sequence,
                               uint64_t now_us, bool full)
{
    text_format(out, "{\"type\":\"%s\",\"%s\":", type, key);
    text_json(out, id);
    text_format(out, ",\"sequence\":%" PRIu64 ",\"timestamp_us\":%" PRIu64 ",\"full\":%s", sequence, now_us,
                full ? "true" : "false");
}
