/* health - GET /health: whether the server works, and how it feels; POST /health/batch: parts by their names. 200 while it takes
 * players, else 503.
 *
 * An answer of /health is padded with blanks to one length, so that a checker which compares lengths sees no difference.
 */
#include <inttypes.h>
#include <string.h>

#include "../health.h"
#include "api.h"

#define HEALTH_ANSWER_BYTES 1536

static void health_put_tick(text* out, const board_figures* figures)
{
    const board_ticks* ticks = &figures->ticks;
    text_format(out,
                "\"tick\":{\"number\":%" PRIu32 ",\"hz\":%" PRIu32 ",\"last_us\":%" PRIu32 ",\"p50_us\":%" PRIu32
                ",\"p99_us\":%" PRIu32 ",\"max_us\":%" PRIu32 ",\"late\":%" PRIu64 ",\"skipped\":%" PRIu64 "}",
                figures->server.tick, ticks->hz, ticks->last_us, ticks->p50_us, ticks->p99_us, ticks->max_us,
                ticks->late, ticks->skipped);
}

void api_health(const services* known, const rest_request* request, rest_answer* answer)
{
    (void)request;
    board_figures figures;
    health_part parts[HEALTH_PARTS];
    text* out = &answer->body;
    board_read(known->figures, &figures);
    health_read(known->state, parts);
    const char* status = health_overall(known, parts);
    answer->status = strcmp(status, "stalled") == 0 || strcmp(status, "draining") == 0 ? 503 : 200;
    text_format(
        out, "{\"status\":\"%s\",\"version\":\"" NECPNET_VERSION_TEXT "\",\"mode\":\"%s\",\"server_id\":%" PRId64 ",",
        status, known->settings->mode == CONFIG_DEVELOPMENT ? "development" : "production", known->settings->server_id);
    text_format(out, "\"uptime_s\":%.3f,\"websockets\":%" PRIu32 ",",
                (double)(necpnet_time_us() - figures.began_us) / 1e6, figures.server.peers_websocket);
    text_format(
        out,
        "\"peers\":{\"sessions\":%" PRIu32 ",\"connected\":%" PRIu32 ",\"udp\":%" PRIu32 ",\"websocket\":%" PRIu32 "},",
        figures.server.peers, figures.server.peers_connected, figures.server.peers_udp, figures.server.peers_websocket);
    text_format(out,
                "\"memory\":{\"library_bytes\":%" PRIu64 ",\"library_peak_bytes\":%" PRIu64
                ",\"resident_bytes\":%" PRIu64 "},\"components\":{",
                figures.server.memory_bytes, figures.server.memory_peak_bytes, parts[HEALTH_MEMORY].value);
    for (int i = 0; i < HEALTH_PARTS; i++) {
        text_format(out, "%s\"%s\":", i ? "," : "", health_part_text((health_part_name)i));
        health_put_part(out, (health_part_name)i, &parts[i]);
    }
    text_put(out, "},");
    health_put_tick(out, &figures);
    text_put(out, "}");
    while (out->bytes < HEALTH_ANSWER_BYTES - 1 && !out->failed) text_put(out, " ");
    text_put(out, "\n");
}

void api_health_batch(const services* known, const rest_request* request, rest_answer* answer)
{
    health_part parts[HEALTH_PARTS];
    const cJSON* item;
    bool first = true;
    health_status worst = HEALTH_OK;
    health_read(known->state, parts);
    text_put(&answer->body, "{\"results\":[");
    cJSON_ArrayForEach(item, fields_get(&request->values, "services")->json)
    {
        health_part_name part = health_find(item->valuestring);
        text_put(&answer->body, first ? "{\"service\":" : ",{\"service\":");
        text_json(&answer->body, item->valuestring);
        first = false;
        if (part == HEALTH_PARTS) {
            text_put(&answer->body, ",\"status\":\"unknown\",\"latency_us\":0}");
            continue;
        }
        if (parts[part].status > worst) worst = parts[part].status;
        text_format(&answer->body, ",\"status\":\"%s\",\"latency_us\":%" PRIu64 "}",
                    health_status_text(parts[part].status), parts[part].latency_us);
    }
    text_format(&answer->body, "],\"status\":\"%s\"}\n", health_status_text(worst));
}
