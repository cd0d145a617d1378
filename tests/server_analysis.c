/* server_analysis - what a node did over time: invented figures go in second by second, answers are read back as JSON. */
#include "test.h"

#include <cjson/cJSON.h>

#include "analysis.h"
#include "history.h"
#include "json.h"

#define BEGAN UINT64_C(1800000000) /* a whole minute */

static board_figures figures;

static analysis* make(void)
{
    analysis* at = analysis_create("eu-test", 24 * 60);
    TEST_CHECK(at != NULL);
    memset(&figures, 0, sizeof(figures));
    return at;
}

/* A second in which so many bytes went over each transport, with so many players. */
static void live(analysis* at, uint64_t second, uint64_t udp, uint64_t web, uint32_t players)
{
    figures.server.udp.bytes_sent += udp;
    figures.server.websocket.bytes_sent += web;
    figures.server.peers = figures.server.peers_udp = players;
    figures.latency[0][4] += 3; /* 10 .. 20 ms */
    figures.latency[1][9] += 1; /* 100 .. 150 ms */
    analysis_sample(at, &figures, second);
}

static analysis_frame frame_of(const char* timeframe, const char* granularity, uint32_t seconds, uint32_t points,
                               uint64_t now_s)
{
    const analysis_frame frame = {timeframe, granularity, seconds, points, now_s};
    return frame;
}

static cJSON* take(text* out)
{
    char error[160] = "";
    cJSON* root = json_parse(out->to, out->bytes, error, sizeof(error));
    TEST_HINT("%s in %.200s", error, out->to);
    TEST_CHECK(root != NULL);
    text_end(out);
    return root;
}

static double number(const cJSON* object, const char* name)
{
    const cJSON* item = cJSON_GetObjectItemCaseSensitive(object, name);
    TEST_HINT("member %s", name);
    TEST_CHECK(cJSON_IsNumber(item));
    return item->valuedouble;
}

static const cJSON* member(const cJSON* object, const char* name)
{
    const cJSON* item = cJSON_GetObjectItemCaseSensitive(object, name);
    TEST_HINT("member %s", name);
    TEST_CHECK(item != NULL);
    return item;
}

static cJSON* ask_traffic(analysis* at, analysis_frame frame, analysis_protocol protocol)
{
    text out;
    text_begin_growing(&out);
    TEST_CHECK(analysis_write_traffic(at, &out, &frame, protocol));
    return take(&out);
}

TEST(test_analysis_tells_the_traffic_of_each_transport)
{
    analysis* at = make();
    for (uint64_t i = 0; i <= 600; i++) live(at, BEGAN + i, 100, 7, 5);
    uint64_t now = BEGAN + 600;
    analysis_frame frame = frame_of("10m", "minute", 60, 10, now - 1);
    cJSON* all = ask_traffic(at, frame, ANALYSIS_ANY);
    cJSON* udp = ask_traffic(at, frame, ANALYSIS_UDP);
    cJSON* web = ask_traffic(at, frame, ANALYSIS_WEBSOCKET);
    /* the first sample has no second before it */
    TEST_EQUAL((int)number(member(all, "total"), "bytes_sent"), 599 * 107);
    TEST_EQUAL((int)number(member(udp, "total"), "bytes_sent"), 599 * 100);
    TEST_EQUAL((int)number(member(web, "total"), "bytes_sent"), 599 * 7);
    TEST_EQUAL_STRING(member(all, "region")->valuestring, "eu-test");
    TEST_EQUAL_STRING(member(all, "from")->valuestring, "2027-01-15T08:00:00Z");
    TEST_EQUAL_STRING(member(all, "to")->valuestring, "2027-01-15T08:10:00Z");
    const cJSON* points = member(all, "points");
    TEST_EQUAL(cJSON_GetArraySize(points), 10);
    TEST_EQUAL((int)number(cJSON_GetArrayItem(points, 0), "seconds"), 59);
    TEST_EQUAL((int)number(cJSON_GetArrayItem(points, 3), "bytes_sent"), 60 * 107);
    const cJSON* latency = member(member(udp, "total"), "latency_ms");
    TEST_CHECK(number(latency, "p50") >= 10 && number(latency, "p99") <= 20);
    latency = member(member(all, "total"), "latency_ms");
    TEST_CHECK(number(latency, "p50") <= 20 && number(latency, "p90") >= 100);
    cJSON_Delete(all);
    cJSON_Delete(udp);
    cJSON_Delete(web);
    analysis_destroy(at);
}

TEST(test_analysis_goes_on_over_gaps_restarts_of_counters_and_a_clock_set_back)
{
    analysis* at = make();
    for (uint64_t i = 0; i <= 10; i++) live(at, BEGAN + i, 100, 0, 1);
    live(at, BEGAN + 10, 100, 0, 1); /* twice in a second, */
    live(at, BEGAN + 3, 100, 0, 1);  /* and a clock that was set back: both come with the next sample */
    live(at, BEGAN + 40, 100, 0, 1);
    figures.server.udp.bytes_sent = 0; /* a worker that began anew */
    live(at, BEGAN + 41, 70, 0, 1);
    cJSON* all = ask_traffic(at, frame_of("1m", "second", 1, 60, BEGAN + 59), ANALYSIS_ANY);
    const cJSON* points = member(all, "points");
    TEST_EQUAL(cJSON_GetArraySize(points), 60);
    TEST_EQUAL((int)number(cJSON_GetArrayItem(points, 10), "bytes_sent"), 100);
    TEST_EQUAL((int)number(cJSON_GetArrayItem(points, 20), "seconds"), 0);
    TEST_CHECK(cJSON_IsNull(member(cJSON_GetArrayItem(points, 20), "latency_ms")));
    TEST_EQUAL((int)number(cJSON_GetArrayItem(points, 40), "bytes_sent"), 300);
    TEST_EQUAL((int)number(cJSON_GetArrayItem(points, 41), "bytes_sent"), 70);
    cJSON_Delete(all);
    analysis_destroy(at);
}

TEST(test_analysis_tells_connections_and_why_some_were_refused)
{
    analysis* at = make();
    for (uint64_t i = 0; i < 120; i++) {
        if (i == 100) figures.server.drops[2] += 4;
        if (i % 10 == 0) figures.server.sessions_total++;
        live(at, BEGAN + i, 0, 0, (uint32_t)i);
    }
    text out;
    analysis_frame frame = frame_of("2m", "minute", 60, 2, BEGAN + 119);
    text_begin_growing(&out);
    TEST_CHECK(analysis_write_connections(at, &out, &frame, ANALYSIS_UDP));
    cJSON* root = take(&out);
    const cJSON* total = member(root, "total");
    TEST_EQUAL((int)number(total, "sessions_started"), 11);
    TEST_EQUAL((int)number(member(total, "udp"), "max"), 119);
    TEST_EQUAL((int)number(member(total, "udp"), "min"), 1);
    TEST_EQUAL((int)number(member(total, "udp"), "mean"), 60);
    TEST_CHECK(cJSON_GetObjectItemCaseSensitive(total, "websocket") == NULL);
    TEST_EQUAL((int)number(member(root, "refused"), necpnet_drop_name((necpnet_drop)2)), 4);
    TEST_EQUAL(cJSON_GetArraySize(member(root, "refused")), 1);
    cJSON_Delete(root);
    analysis_destroy(at);
}

static cJSON* ask_routes(analysis* at, analysis_frame frame, const char* type)
{
    text out;
    text_begin_growing(&out);
    TEST_CHECK(analysis_write_routes(at, &out, &frame, type));
    return take(&out);
}

TEST(test_analysis_ranks_routes)
{
    analysis* at = make();
    analysis_count_route(at, "websocket", "session.hello", 10, false); /* before the first sample */
    live(at, BEGAN, 0, 0, 0);
    cJSON* none = ask_routes(at, frame_of("1m", "minute", 60, 1, BEGAN + 1), NULL);
    TEST_EQUAL(cJSON_GetArraySize(member(none, "routes")), 0);
    cJSON_Delete(none);
    for (uint64_t i = 1; i <= 50; i++) {
        analysis_count_route(at, "http", "GET /health", 1000, false);
        analysis_count_route(at, "http", "GET /health", 3000, i == 7);
        analysis_count_route(at, "websocket", "session.hello", 10, false);
        live(at, BEGAN + i, 0, 0, 0);
    }
    cJSON* all = ask_routes(at, frame_of("1m", "minute", 60, 1, BEGAN + 51), NULL);
    const cJSON* routes = member(all, "routes");
    TEST_EQUAL(cJSON_GetArraySize(routes), 2);
    const cJSON* first = cJSON_GetArrayItem(routes, 0);
    TEST_EQUAL_STRING(member(first, "name")->valuestring, "GET /health");
    TEST_EQUAL((int)number(first, "count"), 100);
    TEST_EQUAL((int)number(first, "failed"), 1);
    TEST_EQUAL((int)number(first, "mean_ms"), 2);
    TEST_EQUAL((int)number(first, "max_ms"), 3);
    cJSON_Delete(all);
    cJSON* web = ask_routes(at, frame_of("1m", "minute", 60, 1, BEGAN + 51), "websocket");
    TEST_EQUAL(cJSON_GetArraySize(member(web, "routes")), 1);
    TEST_EQUAL((int)number(cJSON_GetArrayItem(member(web, "routes"), 0), "count"), 51);
    cJSON_Delete(web);
    analysis_destroy(at);
}

TEST(test_analysis_counts_what_is_beyond_its_table_as_other)
{
    analysis* at = make();
    char name[64];
    live(at, BEGAN, 0, 0, 0);
    for (int i = 0; i < ANALYSIS_ROUTES_MAX + 20; i++) {
        snprintf(name, sizeof(name), "route %d", i);
        analysis_count_route(at, "http", name, 5, false);
        if (i == 50) live(at, BEGAN + 1, 0, 0, 0);
    }
    analysis_count_route(at, "http", "route 3", 5, false);
    live(at, BEGAN + 2, 0, 0, 0);
    cJSON* all = ask_routes(at, frame_of("1m", "minute", 60, 1, BEGAN + 2), NULL);
    const cJSON* routes = member(all, "routes");
    TEST_EQUAL(cJSON_GetArraySize(routes), ANALYSIS_ROUTES_MAX + 1);
    TEST_EQUAL_STRING(member(cJSON_GetArrayItem(routes, 0), "name")->valuestring, "other");
    TEST_EQUAL((int)number(cJSON_GetArrayItem(routes, 0), "count"), 20);
    TEST_EQUAL_STRING(member(cJSON_GetArrayItem(routes, 1), "name")->valuestring, "route 3");
    TEST_EQUAL((int)number(cJSON_GetArrayItem(routes, 1), "count"), 2);
    cJSON_Delete(all);
    analysis_destroy(at);
}

TEST(test_analysis_says_what_is_left_and_for_how_long)
{
    analysis* at = make();
    for (uint64_t i = 0; i < 3600; i++)
        live(at, BEGAN + i, 0, 0, 100 + (uint32_t)(i / 36)); /* a hundred more an hour */
    const analysis_limits limits = {1000, 16667, 900, 1000};
    text out;
    analysis_frame frame = frame_of("1h", "minute", 60, 60, BEGAN + 3599);
    text_begin_growing(&out);
    TEST_CHECK(analysis_write_capacity(at, &out, &frame, &limits));
    cJSON* root = take(&out);
    TEST_EQUAL_STRING(member(root, "tightest")->valuestring, "descriptors");
    TEST_EQUAL((int)number(root, "players_max_seen"), 199);
    TEST_EQUAL((int)number(root, "players_headroom"), 22); /* 199 / 0.9 - 199 */
    TEST_CHECK(number(root, "players_trend_per_hour") > 98 && number(root, "players_trend_per_hour") < 102);
    TEST_CHECK(number(root, "hours_until_full") > 0.21 && number(root, "hours_until_full") < 0.23);
    cJSON_Delete(root);
    analysis_destroy(at);
}

TEST_MAIN
