/* metrics - GET /metrics: Prometheus text format 0.0.4. */
#include <inttypes.h>

#include "../voice/switchboard.h"
#include "api.h"

static void metrics_begin(text* out, const char* name, const char* type, const char* about)
{
    text_format(out, "# HELP necpnet_%s %s\n# TYPE necpnet_%s %s\n", name, about, name, type);
}

static void metrics_one(text* out, const char* name, const char* type, const char* about, uint64_t value)
{
    metrics_begin(out, name, type, about);
    text_format(out, "necpnet_%s %" PRIu64 "\n", name, value);
}

/* A counter of both transports. */
static void metrics_both(text* out, const char* name, const char* about, uint64_t udp, uint64_t websocket)
{
    metrics_begin(out, name, "counter", about);
    text_format(out, "necpnet_%s{transport=\"udp\"} %" PRIu64 "\n", name, udp);
    text_format(out, "necpnet_%s{transport=\"websocket\"} %" PRIu64 "\n", name, websocket);
}

static void metrics_put_server(text* out, const board_figures* figures)
{
    const necpnet_server_statistics* server = &figures->server;
    metrics_begin(out, "peers_connected", "gauge", "Clients connected now.");
    text_format(out, "necpnet_peers_connected{transport=\"udp\"} %" PRIu32 "\n", server->peers_udp);
    text_format(out, "necpnet_peers_connected{transport=\"websocket\"} %" PRIu32 "\n", server->peers_websocket);
    metrics_one(out, "sessions", "gauge", "Sessions now, also those that wait for their client.", server->peers);
    metrics_one(out, "web_connections", "gauge", "TCP connections of any kind.", server->web_connections);
    metrics_one(out, "sessions_started_total", "counter", "Sessions since the start.", server->sessions_total);
    metrics_both(out, "packets_sent_total", "Packets sent to clients.", server->udp.packets_sent,
                 server->websocket.packets_sent);
    metrics_both(out, "packets_received_total", "Packets received from clients.", server->udp.packets_received,
                 server->websocket.packets_received);
    metrics_one(out, "packets_lost_total", "counter", "Packets sent over UDP and declared lost.",
                server->udp.packets_lost);
    metrics_both(out, "sent_bytes_total", "Bytes sent to clients.", server->udp.bytes_sent,
                 server->websocket.bytes_sent);
    metrics_both(out, "received_bytes_total", "Bytes received from clients.", server->udp.bytes_received,
                 server->websocket.bytes_received);
    metrics_one(out, "messages_sent_total", "counter", "Messages taken from the game.", server->messages_sent);
    metrics_one(out, "messages_received_total", "counter", "Messages handed to the game.", server->messages_received);
    metrics_one(out, "deflate_saved_bytes_total", "counter", "Bytes that permessage-deflate did not send.",
                server->deflate_bytes_saved);
    metrics_one(out, "memory_bytes", "gauge", "Memory held by the library.", server->memory_bytes);
    metrics_begin(out, "dropped_total", "counter", "Datagrams and handshakes met by silence or refusal.");
    for (int i = 0; i < NECPNET_DROP_COUNT; i++) {
        text_format(out, "necpnet_dropped_total{reason=\"%s\"} %" PRIu64 "\n", necpnet_drop_name((necpnet_drop)i),
                    server->drops[i]);
    }
}

static void metrics_put_world(text* out, const board_figures* figures)
{
    metrics_one(out, "entities", "gauge", "Entities in the world.", figures->world.entities);
    metrics_one(out, "state_updates_sent_total", "counter", "Entity records sent.", figures->world.updates_sent);
    metrics_one(out, "state_full_sent_total", "counter", "Entity records sent without a baseline.",
                figures->world.full_sent);
    metrics_one(out, "state_sent_bytes_total", "counter", "Bytes of state sent.", figures->world.bytes_sent);
}

/* Speech over necpnet.v1. */
static void metrics_put_hub(text* out, const necpnet_voice_hub_statistics* hub)
{
    const struct {
        const char* why;
        uint64_t value;
    } left_out[] = {{"limit", hub->packets_limited},     {"bad", hub->packets_bad},
                    {"stranger", hub->packets_stranger}, {"silenced", hub->packets_silenced},
                    {"unheard", hub->copies_unheard},    {"quiet", hub->copies_quiet},
                    {"stale", hub->copies_stale},        {"relay", hub->relay_dropped}};
    metrics_one(out, "voice_speaking", "gauge", "Streams of speech now.", hub->speaking);
    metrics_one(out, "voice_packets_received_total", "counter", "Packets of speech from clients.",
                hub->packets_received);
    metrics_one(out, "voice_packets_forwarded_total", "counter", "Copies of them to listeners.",
                hub->packets_forwarded);
    metrics_one(out, "voice_forwarded_bytes_total", "counter", "Bytes of speech in these copies.",
                hub->bytes_forwarded);
    metrics_one(out, "voice_relayed_packets_total", "counter", "Packets of speech for the players of other workers.",
                hub->relay_sent);
    metrics_one(out, "voice_relay_received_total", "counter",
                "Packets of speech from other workers, to groups with players here.", hub->relay_received);
    metrics_begin(out, "voice_left_out_total", "counter",
                  "Packets dropped (limit, bad, stranger, silenced; relay: for other workers), and copies not made or "
                  "dropped (unheard: out of "
                  "range, deaf or muted; quiet; stale).");
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        text_format(out, "necpnet_voice_left_out_total{why=\"%s\"} %" PRIu64 "\n", left_out[i].why, left_out[i].value);
    }
}

static void metrics_put_ticks(text* out, const board_ticks* ticks)
{
    static const uint32_t bounds_us[BOARD_TICK_BUCKETS] = BOARD_TICK_BOUNDS;
    metrics_begin(out, "tick_seconds", "histogram", "How long a tick of the game took.");
    for (int i = 0; i < BOARD_TICK_BUCKETS; i++) {
        text_format(out, "necpnet_tick_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", (double)bounds_us[i] / 1e6,
                    ticks->buckets[i]);
    }
    text_format(out, "necpnet_tick_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", ticks->count);
    text_format(out, "necpnet_tick_seconds_sum %.6f\nnecpnet_tick_seconds_count %" PRIu64 "\n",
                (double)ticks->sum_us / 1e6, ticks->count);
    metrics_one(out, "ticks_late_total", "counter", "Ticks that began more than a tick too late.", ticks->late);
    metrics_one(out, "ticks_skipped_total", "counter", "Ticks left out to catch up.", ticks->skipped);
}

static void metrics_put_desk(text* out, const char* name, const desk_figures* figures)
{
    text_format(out, "necpnet_backend_jobs_total{backend=\"%s\",result=\"done\"} %" PRIu64 "\n", name, figures->done);
    text_format(out, "necpnet_backend_jobs_total{backend=\"%s\",result=\"refused\"} %" PRIu64 "\n", name,
                figures->refused);
    text_format(out, "necpnet_backend_jobs_total{backend=\"%s\",result=\"timed_out\"} %" PRIu64 "\n", name,
                figures->timed_out);
    text_format(out, "necpnet_backend_jobs_total{backend=\"%s\",result=\"failed\"} %" PRIu64 "\n", name,
                figures->failed);
}

static void metrics_put_backends(const services* known, text* out)
{
    desk_figures stored;
    desk_figures cached;
    bus_figures messages;
    health_part parts[HEALTH_PARTS];
    store_get_figures(known->records, &stored);
    cache_get_figures(known->values, &cached);
    bus_get_figures(known->events, &messages);
    health_read(known->state, parts);
    metrics_begin(out, "component_up", "gauge", "1 while a part of the server answers.");
    for (int i = 0; i < HEALTH_PARTS; i++) {
        text_format(out, "necpnet_component_up{component=\"%s\"} %d\n", health_part_text((health_part_name)i),
                    parts[i].status != HEALTH_DOWN);
    }
    metrics_begin(out, "backend_jobs_total", "counter", "Jobs of store and cache.");
    metrics_put_desk(out, "store", &stored);
    metrics_put_desk(out, "cache", &cached);
    metrics_one(out, "bus_published_total", "counter", "Messages published on the bus.", messages.published);
    metrics_one(out, "bus_delivered_total", "counter", "Messages given to subscriptions.", messages.delivered);
    metrics_one(out, "bus_dropped_total", "counter", "Messages that a full subscription lost.", messages.dropped);
    metrics_one(out, "rate_limited_total", "counter", "Requests answered 429.", limits_refused(known->buckets));
}

static void metrics_put_crafting(const services* known, text* out, const board_crafting* feeds)
{
    static const char* const ways[] = {"websocket", "jsonrpc", "packet"};
    crafting_figures figures;
    crafting_get_figures(known->crafts, &figures);
    metrics_begin(out, "crafting_sessions", "gauge", "Crafting sessions by status.");
    for (int i = 0; i < CRAFTING_STATUS_COUNT; i++) {
        text_format(out, "necpnet_crafting_sessions{status=\"%s\"} %" PRIu32 "\n",
                    crafting_status_name((crafting_status)i), figures.sessions[i]);
    }
    metrics_one(out, "crafting_followers", "gauge", "Who follows crafting sessions and queues now.", feeds->followers);
    metrics_one(out, "crafting_begun_total", "counter", "Crafting sessions begun.", figures.begun);
    metrics_one(out, "crafting_completed_total", "counter", "Crafting sessions completed.", figures.completed);
    metrics_one(out, "crafting_changes_total", "counter", "Changes of crafting sessions.", figures.changes);
    metrics_one(out, "crafting_refused_total", "counter", "Crafting sessions over a limit.", figures.refused);
    metrics_one(out, "crafting_unwritten_total", "counter",
                "Completions that the store did not take; a restart finds them again.", figures.unwritten);
    metrics_begin(out, "crafting_updates_total", "counter", "Updates sent to followers.");
    for (int i = 0; i < 3; i++) {
        text_format(out, "necpnet_crafting_updates_total{way=\"%s\"} %" PRIu64 "\n", ways[i], feeds->updates[i]);
    }
    metrics_one(out, "crafting_sent_bytes_total", "counter", "Bytes of these updates.", feeds->bytes);
    metrics_one(out, "crafting_skipped_total", "counter", "Updates left out for followers that take no more.",
                feeds->skipped);
}

static void metrics_put_gateway(text* out, const uint64_t values[BOARD_GATEWAY_VALUES])
{
    static const struct {
        const char* name;
        const char* labels;
        const char* type;
        const char* about;
    } rows[] = {
#define METRICS_ROW(value, name, labels, type, about) {name, labels, type, about},
        BOARD_GATEWAY(METRICS_ROW)
#undef METRICS_ROW
    };
    for (int i = 0; i < BOARD_GATEWAY_VALUES; i++) {
        if (rows[i].about[0]) metrics_begin(out, rows[i].name, rows[i].type, rows[i].about);
        text_format(out, "necpnet_%s%s %" PRIu64 "\n", rows[i].name, rows[i].labels, values[i]);
    }
}

/* Services behind this one. */
static void metrics_put_partners(const services* known, text* out)
{
    static const char* const results[] = {"answered", "failed", "refused"};
    partner_figures figures[PARTNER_COUNT];
    for (int i = 0; i < PARTNER_COUNT; i++) partners_get_figures(known->partners, (partner)i, &figures[i]);
    metrics_begin(out, "partner_calls_total", "counter",
                  "Calls of partner services: answered, failed (no answer, or 5xx), or refused here (breaker, queue).");
    for (int i = 0; i < PARTNER_COUNT; i++) {
        const uint64_t values[] = {figures[i].answered, figures[i].failed, figures[i].refused};
        for (int j = 0; j < 3; j++) {
            text_format(out, "necpnet_partner_calls_total{partner=\"%s\",result=\"%s\"} %" PRIu64 "\n",
                        partners_name((partner)i), results[j], values[j]);
        }
    }
    metrics_begin(out, "partner_configured", "gauge", "1 where a partner service is configured.");
    for (int i = 0; i < PARTNER_COUNT; i++) {
        text_format(out, "necpnet_partner_configured{partner=\"%s\"} %d\n", partners_name((partner)i),
                    partners_has(known->partners, (partner)i));
    }
    metrics_begin(out, "partner_breaker_open", "gauge",
                  "1 while a partner service is left alone, because it did not answer.");
    for (int i = 0; i < PARTNER_COUNT; i++) {
        text_format(out, "necpnet_partner_breaker_open{partner=\"%s\"} %d\n", partners_name((partner)i),
                    figures[i].open);
    }
}

/* With the names of the signalling service. */
static void metrics_put_voice(const services* known, const board_figures* figures, text* out)
{
    static const char* const qualities[] = {"excellent", "good", "fair", "poor"};
    switch_figures voice;
    switchboard_get_figures(known->switchboard, &voice);
    const struct {
        const char* name;
        uint64_t value;
    } operations[] = {{"create", voice.opened},       {"update", voice.changed}, {"delete", voice.closed},
                      {"join", voice.joined},         {"leave", voice.left},     {"invite", voice.invited},
                      {"join_refused", voice.refused}};
    text_put(out, "# HELP webrtc_active_connections WebSocket connections now.\n"
                  "# TYPE webrtc_active_connections gauge\n");
    text_format(out, "webrtc_active_connections %" PRIu32 "\n",
                figures->server.peers_websocket + figures->rpc_connections);
    text_put(out, "# HELP webrtc_signaling_messages_total Signals from user to user.\n"
                  "# TYPE webrtc_signaling_messages_total counter\n");
    for (int i = 0; i < SIGNAL_TYPES; i++) {
        text_format(out, "webrtc_signaling_messages_total{type=\"%s\"} %" PRIu64 "\n",
                    signals_type_name((signal_type)i), voice.signals[i]);
    }
    text_format(out, "webrtc_signaling_messages_total{type=\"refused\"} %" PRIu64 "\n", voice.signals_refused);
    text_put(out, "# HELP webrtc_channel_operations_total What was done to voice channels.\n"
                  "# TYPE webrtc_channel_operations_total counter\n");
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        text_format(out, "webrtc_channel_operations_total{operation=\"%s\"} %" PRIu64 "\n", operations[i].name,
                    operations[i].value);
    }
    text_put(out, "# HELP webrtc_voice_quality_reports_total Reports of voice quality.\n"
                  "# TYPE webrtc_voice_quality_reports_total counter\n");
    for (int i = 0; i < 4; i++) {
        text_format(out, "webrtc_voice_quality_reports_total{quality=\"%s\"} %" PRIu64 "\n", qualities[i],
                    voice.reports[i]);
    }
    text_put(out, "# HELP webrtc_signals_undelivered_total Signals to a user who has no connection.\n"
                  "# TYPE webrtc_signals_undelivered_total counter\n");
    text_format(out, "webrtc_signals_undelivered_total %" PRIu64 "\n", voice.signals_undelivered);
    text_put(out, "# HELP webrtc_voice_channels Voice channels now.\n# TYPE webrtc_voice_channels gauge\n");
    text_format(out, "webrtc_voice_channels %" PRIu32 "\n", voice.channels);
    text_put(out, "# HELP webrtc_voice_participants Users in voice channels now.\n"
                  "# TYPE webrtc_voice_participants gauge\n");
    text_format(out, "webrtc_voice_participants %" PRIu32 "\n", voice.participants);
}

void api_metrics(const services* known, const rest_request* request, rest_answer* answer)
{
    board_figures figures;
    text* out = &answer->body;
    if (!known->settings->metrics_enabled) {
        rest_refuse(answer, request, 404, "metrics are switched off; see metrics_enabled", NULL);
        return;
    }
    board_read(known->figures, &figures);
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_begin(out, "build_info", "gauge", "Version of the server.");
    text_put(out, "necpnet_build_info{version=\"" NECPNET_VERSION_TEXT "\"} 1\n");
    metrics_begin(out, "uptime_seconds", "gauge", "Time since the start.");
    text_format(out, "necpnet_uptime_seconds %.3f\n", (double)(necpnet_time_us() - figures.began_us) / 1e6);
    metrics_one(out, "draining", "gauge", "1 while the server drains.", figures.draining);
    metrics_put_server(out, &figures);
    metrics_put_world(out, &figures);
    metrics_put_hub(out, &figures.voice);
    metrics_put_ticks(out, &figures.ticks);
    metrics_one(out, "rest_requests_active", "gauge", "REST requests under way.", figures.rest_active);
    metrics_one(out, "rest_requests_total", "counter", "REST requests forwarded to their handlers.",
                figures.rest_forwarded);
    metrics_one(out, "rest_refused_total", "counter", "REST requests that the edge answered itself.",
                figures.rest_refused);
    metrics_put_gateway(out, figures.gateway);
    metrics_put_partners(known, out);
    metrics_put_crafting(known, out, &figures.crafting);
    metrics_put_backends(known, out);
    metrics_put_voice(known, &figures, out);
}
