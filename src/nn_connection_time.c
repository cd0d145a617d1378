/* nn_connection_time - timers: when the peer is lost, when to ask it, when the connection has work. */
#include "nn_connection.h"

static uint64_t connection_timeout_us(const nn_connection* connection)
{
    const nn_connection_settings* settings = connection->settings;
    uint32_t ms = nn_connection_is_udp(connection) ? settings->udp_timeout_ms : settings->websocket_timeout_ms;
    bool patient =
        connection->loading || connection->suspended || connection->peer_loading || connection->peer_suspended;
    if (patient && settings->loading_timeout_ms > ms) ms = settings->loading_timeout_ms;
    return (uint64_t)ms * 1000;
}

static uint64_t connection_lost_at_us(const nn_connection* connection)
{
    const nn_connection_sleep* sleep = connection->settings->sleep;
    uint64_t at_us = connection->heard_us + connection_timeout_us(connection);
    return sleep ? nn_min_u64(at_us, sleep->answer_until_us) : at_us;
}

/* A thousand connections that began in one moment come apart: each asks up to a quarter early in its own measure, and the first
 * time after any part of the interval. */
static uint64_t connection_ping_interval_us(const nn_connection* connection, uint64_t interval_us)
{
    bool is_first = connection->ping_id == 0;
    return is_first ? interval_us * (connection->ping_early + 1u) / 256
                    : interval_us - interval_us * connection->ping_early / 1024;
}

/* When the next PING should leave. */
NN_PRIVATE uint64_t nn_connection_ping_at_us(const nn_connection* connection)
{
    const nn_connection_settings* settings = connection->settings;
    if (connection->suspended || connection->peer_suspended || connection->ping_pending) return NN_NEVER;
    bool udp = nn_connection_is_udp(connection);
    uint64_t idle_us = (uint64_t)(udp ? settings->udp_ping_ms : settings->websocket_ping_ms) * 1000;
    /* the client asks after idle time; the server only when that fails, so that both do not */
    uint64_t early_us = idle_us * connection->ping_early / 1024;
    uint64_t at_us = settings->is_server
                         ? nn_max_u64(connection->heard_us, connection->pinged_us) + (idle_us - early_us) * 2
                         : connection->sent_us + idle_us - early_us;
    if (!settings->is_server) {
        uint64_t interval_us =
            connection_ping_interval_us(connection, nn_clock_sync_interval_us(connection->settings->clock));
        bool wants_clock =
            udp || connection->settings->state_sink->read || connection->settings->clock->count < NN_CLOCK_SYNC_SAMPLES;
        if (wants_clock) at_us = nn_min_u64(at_us, connection->pinged_us + interval_us);
    }
    return at_us;
}

NN_PRIVATE void nn_connection_update(nn_connection* connection, uint64_t now_us)
{
    connection->now_us = now_us;
    if (connection->state == NN_CONNECTION_NONE || connection->state == NN_CONNECTION_CLOSED) return;
    if (connection->state == NN_CONNECTION_CLOSING) {
        if (now_us < connection->linger_until_us) return;
        connection->state = NN_CONNECTION_CLOSED;
        return;
    }
    if (now_us >= connection_lost_at_us(connection)) {
        nn_close close = nn_close_of(NECPNET_ERR_TIMEOUT, 0, necpnet_result_text(NECPNET_ERR_TIMEOUT));
        nn_connection_finish(connection, &close, false);
        return;
    }
    if (nn_connection_is_udp(connection)) {
        nn_connection_run_recovery(connection);
        nn_connection_update_path(connection);
        nn_connection_run_doubts(connection);
    }
    if (now_us >= nn_connection_ping_at_us(connection)) connection->ping_pending = true;
}

/* When what waits to be sent can be: now, at a time, or when something arrives. */
static uint64_t connection_output_at_us(const nn_connection* connection, uint64_t now_us)
{
    bool udp = nn_connection_is_udp(connection);
    bool has_output = nn_connection_has_own(connection) || nn_session_has_output(connection->session, now_us);
    uint64_t at_us = has_output ? now_us : nn_session_deadline_us(connection->session);
    if (NECPNET_WITH_SERVER && connection->follower && nn_connection_state_has_room(connection)) {
        at_us = nn_min_u64(at_us, nn_follower_deadline_us(connection->follower));
    }
    if (NECPNET_WITH_VOICE && connection->speaks && nn_connection_voice_has_room(connection)) {
        at_us = nn_min_u64(at_us, connection->voice->deadline_us(connection->voice->user));
    }
    if (connection->settings->writes) at_us = nn_min_u64(at_us, nn_writes_deadline_us(connection->settings->writes));
    if (connection->input_receiver.ack_due && !udp) {
        at_us = nn_min_u64(at_us, connection->input_ack_at_us + NN_CONNECTION_INPUT_ACK_US);
    }
    if (at_us > now_us) return at_us;
    if (connection->is_stalled) return now_us + NN_CONNECTION_STALL_US;
    if (udp) return nn_max_u64(now_us, nn_congestion_deadline_us(&connection->udp->congestion, now_us));
    bool is_blocked = connection->web && necpnet_web_pending(connection->web) > NN_CONNECTION_UNSENT_BYTES;
    if (is_blocked) return NN_NEVER; /* on_session_writable comes */
    return connection->limit ? nn_max_u64(now_us, nn_limit_deadline_us(connection->limit)) : now_us;
}

NN_PRIVATE uint64_t nn_connection_deadline_us(const nn_connection* connection, uint64_t now_us)
{
    if (connection->state == NN_CONNECTION_NONE || connection->state == NN_CONNECTION_CLOSED) return NN_NEVER;
    if (connection->state == NN_CONNECTION_CLOSING) {
        uint64_t repeat_us = connection->closes_left ? connection->sent_us + NN_CONNECTION_CLOSE_REPEAT_US : NN_NEVER;
        return nn_min_u64(connection->linger_until_us, repeat_us);
    }
    uint64_t at_us = nn_min_u64(connection_lost_at_us(connection), nn_connection_ping_at_us(connection));
    if (connection->state == NN_CONNECTION_LINGERING) at_us = nn_min_u64(at_us, connection->linger_until_us);
    if (nn_connection_is_udp(connection)) {
        at_us = nn_min_u64(at_us, nn_recovery_deadline_us(&connection->udp->recovery));
        at_us = nn_min_u64(at_us, nn_recovery_doubt_at_us(&connection->udp->recovery));
        at_us = nn_min_u64(at_us, nn_acks_deadline_us(&connection->udp->acks));
        at_us = nn_min_u64(at_us, nn_connection_path_deadline_us(connection));
    }
    return nn_min_u64(at_us, connection_output_at_us(connection, now_us));
}

NN_PRIVATE void nn_connection_wake(nn_connection* connection, uint64_t now_us)
{
    uint64_t asleep_us = now_us - connection->heard_us;
    bool is_udp = nn_connection_is_udp(connection);
    uint64_t rtt_us = is_udp ? nn_recovery_probe_us(&connection->udp->recovery) : connection->web_rtt_us;
    uint64_t wait_us = nn_max_u64(rtt_us * 3, is_udp ? NN_CONNECTION_WAKE_US : NN_CONNECTION_WAKE_US * 2);
    if (asleep_us >= (uint64_t)connection->settings->loading_timeout_ms * 1000) wait_us = 0;
    nn_connection_set_patience(connection, connection->loading, false);
    connection->settings->sleep->woke_us = connection->heard_us =
        now_us; /* the time asleep is no silence of the peer's */
    connection->settings->sleep->answer_until_us = now_us + wait_us;
    connection->ping_pending = true;
}
