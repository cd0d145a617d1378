/* health - GET /health: whether the server works, and how it feels. 200 while it takes players, else 503. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "api.h"

/* Resident memory of the process; 0 where the system does not tell. */
static uint64_t health_resident_bytes(void)
{
    unsigned long long total = 0;
    unsigned long long resident = 0;
    FILE* file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void api_health(const services* known, const rest_request* request, rest_answer* answer)
{
    (void)request;
    board_figures figures;
    board_read(known->figures, &figures);
    uint64_t now_us = necpnet_time_us();
    bool stalled = figures.at_us == 0 || now_us > figures.at_us + BOARD_STALLED_US;
    const char* status = stalled ? "stalled" : figures.draining ? "draining" : "ok";
    const board_ticks* ticks = &figures.ticks;
    text* out = &answer->body;
    answer->status = stalled || figures.draining ? 503 : 200;
    text_format(
        out, "{\"status\":\"%s\",\"version\":\"" NECPNET_VERSION_TEXT "\",\"mode\":\"%s\",\"server_id\":%" PRId64 ",",
        status, known->settings->mode == CONFIG_DEVELOPMENT ? "development" : "production", known->settings->server_id);
    text_format(out, "\"uptime_s\":%.3f,\"websockets\":%" PRIu32 ",", (double)(now_us - figures.began_us) / 1e6,
                figures.server.peers_websocket);
    text_format(
        out,
        "\"peers\":{\"sessions\":%" PRIu32 ",\"connected\":%" PRIu32 ",\"udp\":%" PRIu32 ",\"websocket\":%" PRIu32 "},",
        figures.server.peers, figures.server.peers_connected, figures.server.peers_udp, figures.server.peers_websocket);
    text_format(out,
                "\"memory\":{\"library_bytes\":%" PRIu64 ",\"library_peak_bytes\":%" PRIu64
                ",\"resident_bytes\":%" PRIu64 "},",
                figures.server.memory_bytes, figures.server.memory_peak_bytes, health_resident_bytes());
    text_format(out,
                "\"tick\":{\"number\":%" PRIu32 ",\"hz\":%" PRIu32 ",\"last_us\":%" PRIu32 ",\"p50_us\":%" PRIu32
                ",\"p99_us\":%" PRIu32 ",\"max_us\":%" PRIu32 ",\"late\":%" PRIu64 ",\"skipped\":%" PRIu64 "}}\n",
                figures.server.tick, ticks->hz, ticks->last_us, ticks->p50_us, ticks->p99_us, ticks->max_us,
                ticks->late, ticks->skipped);
}
