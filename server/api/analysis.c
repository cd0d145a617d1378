/* analysis - GET /network/analysis/traffic, /connections, /routes, /capacity: what the node did over time. */
#include <inttypes.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../analysis.h"
#include "api.h"

static void analysis_refuse(rest_answer* answer, const rest_request* request, const char* name, const char* message)
{
    field_fault fault = {.place = "query", .reason = "range"};
    snprintf(fault.field, sizeof(fault.field), "%s", name);
    snprintf(fault.message, sizeof(fault.message), "%s", message);
    rest_refuse_field(answer, request, &fault);
}

/* "90s", "15m", "24h", "7d"; 0: it is none. */
static uint64_t analysis_seconds(const char* timeframe)
{
    static const char units[] = "smhd";
    static const uint64_t seconds[] = {1, 60, 3600, 86400};
    size_t digits = strspn(timeframe, "0123456789");
    const char* unit = strchr(units, timeframe[digits]);
    if (digits == 0 || digits > 5 || timeframe[digits] == 0 || timeframe[digits + 1] != 0 || !unit) return 0;
    return strtoull(timeframe, NULL, 10) * seconds[unit - units];
}

static uint32_t analysis_granularity(const char* name)
{
    return strcmp(name, "second") == 0   ? 1
           : strcmp(name, "minute") == 0 ? 60
           : strcmp(name, "hour") == 0   ? 3600
                                         : 86400;
}

/* The coarsest unit that gives a plot something to draw. */
static const char* analysis_natural(uint64_t seconds)
{
    return seconds <= 300 ? "second" : seconds <= 86400 ? "minute" : "hour";
}

/* The frame that the query asks for; false: answered. */
static bool analysis_take_frame(const services* known, const rest_request* request, rest_answer* answer,
                                const char* timeframe_preset, analysis_frame* frame)
{
    char message[160];
    const char* timeframe = fields_text(&request->values, "timeframe");
    const char* granularity = fields_text(&request->values, "granularity");
    const char* region = fields_text(&request->values, "region");
    if (region[0] && strcmp(region, known->settings->region) != 0) {
        char details[160];
        snprintf(details, sizeof(details), "{\"region\":\"%s\"}", known->settings->region);
        rest_refuse(answer, request, 404, "this node is in another region; ask a node of that one", details);
        return false;
    }
    frame->timeframe = timeframe[0] ? timeframe : timeframe_preset;
    uint64_t seconds = analysis_seconds(frame->timeframe);
    uint64_t kept = (uint64_t)analysis_minutes(known->past) * 60;
    if (seconds == 0 || seconds > kept) {
        snprintf(message, sizeof(message),
                 "timeframe is a number and s, m, h or d, for example 15m; this node keeps %" PRIu64 " minutes",
                 kept / 60);
        analysis_refuse(answer, request, "timeframe", message);
        return false;
    }
    frame->granularity = granularity[0] ? granularity : analysis_natural(seconds);
    frame->point_seconds = analysis_granularity(frame->granularity);
    uint64_t points = (seconds + frame->point_seconds - 1) / frame->point_seconds;
    if (points > ANALYSIS_POINTS_MAX) {
        snprintf(message, sizeof(message), "that would be %" PRIu64 " points of at most %d; take a coarser granularity",
                 points, ANALYSIS_POINTS_MAX);
        analysis_refuse(answer, request, "granularity", message);
        return false;
    }
    frame->points = (uint32_t)points;
    frame->now_s = necpnet_wall_time_us() / 1000000u;
    return true;
}

static void analysis_end(rest_answer* answer, const rest_request* request, bool written)
{
    if (!written) rest_refuse(answer, request, 503, "the server is short of memory", NULL);
    if (written) text_put(&answer->body, "\n");
}

static analysis_protocol analysis_take_protocol(const rest_request* request)
{
    return (analysis_protocol)fields_number(&request->values, "protocol", ANALYSIS_ANY);
}

void api_analysis_traffic(const services* known, const rest_request* request, rest_answer* answer)
{
    analysis_frame frame;
    if (!analysis_take_frame(known, request, answer, "1h", &frame)) return;
    analysis_end(answer, request,
                 analysis_write_traffic(known->past, &answer->body, &frame, analysis_take_protocol(request)));
}

void api_analysis_connections(const services* known, const rest_request* request, rest_answer* answer)
{
    analysis_frame frame;
    if (!analysis_take_frame(known, request, answer, "1h", &frame)) return;
    analysis_end(answer, request,
                 analysis_write_connections(known->past, &answer->body, &frame, analysis_take_protocol(request)));
}

void api_analysis_routes(const services* known, const rest_request* request, rest_answer* answer)
{
    analysis_frame frame;
    const char* type = fields_text(&request->values, "route_type");
    if (!analysis_take_frame(known, request, answer, "1h", &frame)) return;
    bool any = type[0] == 0 || strcmp(type, "any") == 0;
    analysis_end(answer, request, analysis_write_routes(known->past, &answer->body, &frame, any ? NULL : type));
}

static uint64_t analysis_count_descriptors(void)
{
    uint64_t count = 0;
    DIR* folder = opendir("/proc/self/fd");
    if (!folder) return 0;
    while (readdir(folder)) count++;
    closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}

void api_analysis_capacity(const services* known, const rest_request* request, rest_answer* answer)
{
    analysis_frame frame;
    board_figures figures;
    struct rlimit descriptors = {0, 0};
    if (!analysis_take_frame(known, request, answer, "24h", &frame)) return;
    board_read(known->figures, &figures);
    (void)getrlimit(RLIMIT_NOFILE, &descriptors);
    const analysis_limits most = {.players = (uint64_t)(known->settings->peers_max * known->figures->count),
                                  .tick_us = figures.ticks.hz ? 1000000u / figures.ticks.hz : 0,
                                  .descriptors_used = analysis_count_descriptors(),
                                  .descriptors = (uint64_t)descriptors.rlim_cur};
    analysis_end(answer, request, analysis_write_capacity(known->past, &answer->body, &frame, &most));
}
