/* health - how each part of the process is. */
#include "health.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "services.h"

#define HEALTH_SLOW_US 500000u /* an answer that took longer is degraded */

static const char* const health_part_names[HEALTH_PARTS] = {"store", "cache", "bus", "websocket", "memory"};
static const char* const health_value_names[HEALTH_PARTS] = {"queued", "queued", "dropped", "connections",
                                                             "resident_bytes"};
static const char* const health_status_names[] = {"ok", "degraded", "down"};

void health_begin(health* at)
{
    memset(at, 0, sizeof(*at));
    pthread_mutex_init(&at->lock, NULL);
}

void health_end(health* at)
{
    pthread_mutex_destroy(&at->lock);
}

uint64_t health_resident_bytes(void)
{
    unsigned long long total = 0;
    unsigned long long resident = 0;
    FILE* file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static health_part health_judge(desk_result result, uint64_t began_us, uint64_t value)
{
    health_part part = {.latency_us = necpnet_time_us() - began_us, .value = value};
    part.status = result != DESK_OK ? HEALTH_DOWN : part.latency_us > HEALTH_SLOW_US ? HEALTH_DEGRADED : HEALTH_OK;
    return part;
}

static health_part health_look_at_store(const services* known)
{
    store_query query = {.kind = STORE_PING};
    store_answer answer;
    desk_figures figures;
    uint64_t began_us = necpnet_time_us();
    desk_result result = store_ask(known->records, &query, &answer);
    store_answer_end(&answer);
    store_get_figures(known->records, &figures);
    return health_judge(result, began_us, figures.queued);
}

static health_part health_look_at_cache(const services* known)
{
    cache_query query = {.kind = CACHE_PING};
    cache_answer answer;
    desk_figures figures;
    uint64_t began_us = necpnet_time_us();
    desk_result result = cache_ask(known->values, &query, &answer);
    cache_answer_end(&answer);
    cache_get_figures(known->values, &figures);
    return health_judge(result, began_us, figures.queued);
}

static health_part health_look_at_bus(const services* known)
{
    bus_figures figures;
    uint64_t began_us = necpnet_time_us();
    bool up = bus_is_up(known->events) && bus_publish(known->events, "necpnet.health", NULL, 0) == NECPNET_OK;
    bus_get_figures(known->events, &figures);
    return health_judge(up ? DESK_OK : DESK_DOWN, began_us, figures.dropped);
}

static health_part health_look_at_workers(const services* known)
{
    board_figures figures;
    board_read(known->figures, &figures);
    uint64_t now_us = necpnet_time_us();
    health_part part = {.value = figures.server.web_connections};
    part.latency_us = figures.at_us && now_us > figures.at_us ? now_us - figures.at_us : 0;
    part.status = part.latency_us > BOARD_STALLED_US       ? HEALTH_DOWN
                  : part.latency_us > BOARD_STALLED_US / 3 ? HEALTH_DEGRADED
                                                           : HEALTH_OK;
    return part;
}

static health_part health_look_at_memory(void)
{
    uint64_t began_us = necpnet_time_us();
    uint64_t resident = health_resident_bytes();
    return (health_part){.value = resident, .latency_us = necpnet_time_us() - began_us};
}

void health_look(health* at, const services* known)
{
    health_part parts[HEALTH_PARTS];
    parts[HEALTH_STORE] = health_look_at_store(known);
    parts[HEALTH_CACHE] = health_look_at_cache(known);
    parts[HEALTH_BUS] = health_look_at_bus(known);
    parts[HEALTH_WEBSOCKET] = health_look_at_workers(known);
    parts[HEALTH_MEMORY] = health_look_at_memory();
    pthread_mutex_lock(&at->lock);
    memcpy(at->parts, parts, sizeof(parts));
    pthread_mutex_unlock(&at->lock);
}

void health_read(health* at, health_part parts[HEALTH_PARTS])
{
    pthread_mutex_lock(&at->lock);
    memcpy(parts, at->parts, sizeof(at->parts));
    pthread_mutex_unlock(&at->lock);
}

const char* health_part_text(health_part_name part)
{
    return health_part_names[part];
}

const char* health_status_text(health_status status)
{
    return health_status_names[status];
}

health_status health_worst(const health_part parts[HEALTH_PARTS])
{
    health_status worst = HEALTH_OK;
    for (int i = 0; i < HEALTH_PARTS; i++) {
        if (parts[i].status > worst) worst = parts[i].status;
    }
    return worst;
}

health_part_name health_find(const char* name)
{
    int part = 0;
    while (part < HEALTH_PARTS && strcmp(health_part_names[part], name) != 0) part++;
    return (health_part_name)part;
}

void health_put_part(text* out, health_part_name part, const health_part* facts)
{
    text_format(out, "{\"status\":\"%s\",\"latency_us\":%" PRIu64 ",\"%s\":%" PRIu64 "}",
                health_status_names[facts->status], facts->latency_us, health_value_names[part], facts->value);
}

const char* health_overall(const services* known, const health_part parts[HEALTH_PARTS])
{
    board_figures figures;
    board_read(known->figures, &figures);
    if (figures.at_us == 0 || necpnet_time_us() > figures.at_us + BOARD_STALLED_US) return "stalled";
    if (figures.draining) return "draining";
    return health_worst(parts) == HEALTH_OK ? "ok" : "degraded";
}
