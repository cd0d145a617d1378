/* nn_connection - one live connection around a session: its life, from opening to the end. In: nn_connection_read. Out: nn_connection_send. */
#include "nn_connection.h"

#include "nn_text.h"

NN_PRIVATE nn_close nn_close_of(necpnet_result reason, uint32_t code, const char* text)
{
    nn_close close;
    memset(&close, 0, sizeof close);
    close.reason = reason;
    close.code = code;
    size_t length = text ? strlen(text) : 0;
    if (length > NECPNET_REASON_BYTES_MAX) length = NECPNET_REASON_BYTES_MAX;
    nn_copy(close.text, text, length);
    return close;
}

NN_PRIVATE void nn_connection_settings_init(nn_connection_settings* settings, nn_alloc* alloc)
{
    static const nn_state_sink no_sink = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};
    memset(settings, 0, sizeof *settings);
    settings->alloc = alloc;
    settings->state_sink = &no_sink;
}

static void connection_forget_text(nn_connection* connection)
{
    const char* text = connection->end.text;
    if (text && text != necpnet_result_text(connection->end.reason)) {
        nn_alloc_give(connection->settings->alloc, (void*)(uintptr_t)text, strlen(text) + 1);
    }
    connection->end.text = NULL;
}

NN_PRIVATE void nn_connection_set_end(nn_connection* connection, const nn_close* close)
{
    connection_forget_text(connection);
    connection->end.reason = close->reason;
    connection->end.code = close->code;
    connection->end.has_retry = close->has_retry;
    connection->end.retry_ms = close->retry_ms;
    const char* own = necpnet_result_text(close->reason);
    size_t bytes = nn_text_bytes(close->text, NECPNET_REASON_BYTES_MAX);
    if (!bytes) return;
    if (!strcmp(close->text, own)) {
        connection->end.text = own;
        return;
    }
    char* text = (char*)nn_alloc_take(connection->settings->alloc, bytes + 1);
    if (text) memcpy(text, close->text, bytes);
    connection->end.text = text;
}

NN_PRIVATE nn_close nn_connection_get_end(const nn_connection* connection)
{
    nn_close close = nn_close_of(connection->end.reason, connection->end.code, connection->end.text);
    close.has_retry = connection->end.has_retry;
    close.retry_ms = connection->end.retry_ms;
    return close;
}

NN_PRIVATE void nn_connection_init(nn_connection* connection, const nn_connection_settings* settings,
                                   nn_session* session)
{
    memset(connection, 0, sizeof *connection);
    connection->settings = settings;
    connection->session = session;
    nn_input_receiver_init(&connection->input_receiver);
}

/* What belongs to the present carrier. */
static void connection_release(nn_connection* connection)
{
    if (NECPNET_WITH_VOICE && connection->speaks) connection->voice->open(connection->voice->user, false);
    connection->speaks = false;
    if (NECPNET_WITH_SERVER && connection->follower)
        nn_world_unfollow(connection->settings->world, connection->follower);
    nn_connection_leave_web(connection);
    nn_alloc_give(connection->settings->alloc, connection->limit, sizeof *connection->limit);
    connection->limit = NULL;
    if (NECPNET_WITH_UDP && connection->udp) {
        nn_alloc_give(connection->settings->alloc, connection->udp->loss, sizeof *connection->udp->loss);
        nn_recovery_reset(&connection->udp->recovery);
        nn_phases_reset(&connection->udp->phases);
        nn_connection_end_paths(connection);
        nn_alloc_give(connection->settings->alloc, connection->udp, sizeof *connection->udp);
        connection->udp = NULL;
    }
    connection->follower = NULL;
    connection->transport = NECPNET_TRANSPORT_NONE;
}

NN_PRIVATE void nn_connection_reset(nn_connection* connection)
{
    if (!connection->settings) return; /* never initialised */
    connection_release(connection);
    if (connection->has_begun && connection->settings->state_sink->reset) {
        connection->settings->state_sink->reset(connection->settings->state_sink->user);
    }
    connection_forget_text(connection);
    if (connection->settings->inputs) nn_inputs_reset(connection->settings->inputs);
    if (connection->settings->writes) nn_writes_reset(connection->settings->writes);
    connection->state = NN_CONNECTION_NONE;
}

NN_PRIVATE void nn_connection_detach(nn_connection* connection)
{
    nn_connection kept = *connection;
    connection_release(connection);
    memset(connection, 0, sizeof *connection);
    connection->settings = kept.settings;
    connection->session = kept.session;
    connection->voice = kept.voice;
    connection->address = kept.address;
    connection->loading = kept.loading;
    connection->suspended = kept.suspended;
    connection->tick_hz = kept.tick_hz;
    connection->now_us = kept.now_us;
    connection->end = kept.end;
    connection->has_begun = kept.has_begun;
    connection->heard_us = kept.heard_us;
    if (connection->settings->writes) nn_writes_reset(connection->settings->writes); /* the view writes all anew */
    if (connection->settings->inputs) nn_inputs_interrupt(connection->settings->inputs);
    connection->input_receiver = kept.input_receiver;
    connection->input_receiver.holds = false;
    connection->deliver_user = kept.deliver_user;
}

NN_PRIVATE bool nn_connection_may_resume(const nn_connection* connection)
{
    switch (connection->end.reason) {
    case NECPNET_ERR_OUT_OF_MEMORY: return true; /* said by CLOSE, but nobody means to leave */
    case NECPNET_ERR_TIMEOUT:
    case NECPNET_ERR_CONNECTION_RESET:
    case NECPNET_ERR_SLOW_READER:
    case NECPNET_ERR_NETWORK_UNREACHABLE:
    case NECPNET_ERR_IO:
    case NECPNET_ERR_CLOSED: return !connection->is_final; /* the last: a WebSocket that ended without CLOSE */
    default: return false;
    }
}

/* The largest datagram that both sides take. */
static uint32_t connection_datagram_bytes(const nn_connection* connection, const nn_connection_open* open)
{
    return (uint32_t)nn_min_u64(connection->settings->datagram_bytes_max, open->peer->datagram_bytes_max);
}

static necpnet_result connection_open_session(nn_connection* connection, const nn_connection_open* open)
{
    nn_session* session = connection->session;
    nn_session_set_sources(session, NULL);
    uint32_t least = NN_PACKET_OVERHEAD_BYTES_MAX + NN_INPUT_EXTRA_BYTES;
    connection->input_bytes_max =
        (uint8_t)nn_min_u64(connection_datagram_bytes(connection, open) - least, NN_INPUT_BYTES_MAX);
    bool ordered = connection->transport == NECPNET_TRANSPORT_WEBSOCKET;
    if (open->resumed) {
        nn_session_carrier_changed(session, ordered);
        connection->suspend_pending = connection->loading || connection->suspended;
        connection->input_pending = nn_connection_has_inputs(connection);
        connection->input_receiver.ack_due = connection->input_receiver.has_tick;
        if (connection->settings->state_sink->renew)
            connection->settings->state_sink->renew(connection->settings->state_sink->user, ordered);
    } else {
        nn_session_begin(session, ordered);
    }
    nn_session_set_peer_decompresses(session, (open->peer->features & NN_FEATURE_LZ4) != 0);
    for (int i = 0; i < session->config->channel_count; i++) {
        necpnet_channel_mode mode = session->config->channels[i].mode;
        if (mode != NECPNET_RELIABLE_ORDERED && mode != NECPNET_RELIABLE_UNORDERED) continue;
        necpnet_result result = nn_session_set_peer_window(session, i, open->peer->channels[i].window_bytes);
        if (result) return result;
    }
    if (NECPNET_WITH_VOICE && connection->voice) {
        connection->speaks = (open->peer->features & NN_FEATURE_VOICE) != 0;
        if (connection->speaks) nn_session_set_sources(session, connection);
        if (connection->speaks) connection->voice->open(connection->voice->user, true);
    }
    if (NECPNET_WITH_SERVER && connection->settings->world && (open->peer->features & NN_FEATURE_STATE)) {
        necpnet_result result =
            nn_world_follow(connection->settings->world, open->follow, ordered, &connection->follower);
        if (result) return result;
        nn_session_set_sources(session, connection);
        nn_follower_set_tables(connection->follower, open->peer->own_tables_hash);
        if (open->resumed) nn_follower_renew_variables(connection->follower);
        const necpnet_schema* schema = nn_world_get_schema(connection->settings->world);
        connection->schema_waits = false;
        if (open->peer->schema_hash != schema->hash) return nn_connection_tell_schema(connection, schema);
    }
    return NECPNET_OK;
}

static necpnet_result connection_begin_udp(nn_connection* connection, const nn_connection_open* open, uint64_t now_us)
{
    nn_alloc* alloc = connection->settings->alloc;
    nn_connection_udp* udp = (nn_connection_udp*)nn_alloc_take(alloc, sizeof *udp);
    if (!udp) {
        nn_aead_destroy(open->keys->send);
        nn_aead_destroy(open->keys->receive);
        nn_wipe(open->keys, sizeof *open->keys);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    connection->udp = udp;
    connection->transport = NECPNET_TRANSPORT_UDP;
    udp->local_id = open->local_id;
    udp->remote_id = open->remote_id;
    nn_phases_init(&udp->phases, open->keys, (uint64_t)connection->settings->key_interval_ms * 1000, now_us);
    nn_acks_init(&udp->acks, NN_ACKS_DELAY_US_DEFAULT);
    udp->arrived_us = now_us;
    nn_recovery_init(&udp->recovery, alloc, &udp->acks, &udp->congestion, open->seed);
    udp->path_seed = open->seed;
    nn_packet_size_init(&udp->size, connection_datagram_bytes(connection, open), now_us);
    nn_congestion_init(&udp->congestion, open->bandwidth_limit, now_us);
    nn_connection_set_size(connection);
    if (open->rtt_us) nn_recovery_seed_rtt(&udp->recovery, open->rtt_us, now_us);
    return NECPNET_OK;
}

static necpnet_result connection_limit_web(nn_connection* connection, uint32_t bytes_per_s, uint64_t now_us)
{
    if (!connection->limit && bytes_per_s == NN_CONGESTION_UNLIMITED) return NECPNET_OK;
    if (!connection->limit) {
        connection->limit = (nn_limit*)nn_alloc_take(connection->settings->alloc, sizeof *connection->limit);
        if (!connection->limit) return NECPNET_ERR_OUT_OF_MEMORY;
        nn_limit_init(connection->limit, bytes_per_s, now_us);
    }
    nn_limit_set(connection->limit, bytes_per_s);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_connection_begin(nn_connection* connection, const nn_connection_open* open,
                                              uint64_t now_us)
{
    NN_ASSERT(connection->state == NN_CONNECTION_NONE);
    connection->state = NN_CONNECTION_OPEN;
    connection->has_begun = true;
    connection->address = *open->address;
    connection->encrypted = open->encrypted;
    connection->tick_hz = open->peer->tick_hz;
    connection->started_us = connection->heard_us = connection->sent_us = connection->pinged_us = now_us;
    connection->ping_early = (uint8_t)(open->seed >> 24);
    if (connection->settings->sleep) connection->settings->sleep->answer_until_us = NN_NEVER;
    if (open->web || !NECPNET_WITH_UDP) {
        connection->transport = NECPNET_TRANSPORT_WEBSOCKET;
        connection->web = open->web;
        necpnet_result result = connection_limit_web(connection, open->bandwidth_limit, now_us);
        if (result) return result;
    } else {
        necpnet_result result = connection_begin_udp(connection, open, now_us);
        if (result) return result;
    }
    if (connection->settings->state_sink->clock) {
        bool has_clock = open->resumed && nn_clock_sync_is_ready(connection->settings->clock);
        int64_t offset_us = has_clock ? nn_clock_sync_offset_us(connection->settings->clock, now_us) : 0;
        connection->settings->state_sink->clock(connection->settings->state_sink->user, offset_us, connection->tick_hz);
    }
    return connection_open_session(connection, open);
}

NN_PRIVATE void nn_connection_finish(nn_connection* connection, const nn_close* close, bool by_peer)
{
    nn_connection_set_end(connection, close);
    connection->closed_by_peer = by_peer;
    connection->state = NN_CONNECTION_CLOSED;
}

NN_PRIVATE void nn_connection_leave_web(nn_connection* connection)
{
    if (!connection->web) return;
    necpnet_web_set_user_data(connection->web, NULL);
    necpnet_web_close(connection->web, 1000, ""); /* nothing if it is closing or gone */
    connection->web = NULL;
}

NN_PRIVATE void nn_connection_lost(nn_connection* connection, necpnet_result reason, const char* text)
{
    connection->web = NULL;
    if (connection->state == NN_CONNECTION_CLOSED || connection->state == NN_CONNECTION_NONE) return;
    /* a server that closed in good order had said CLOSE before */
    bool is_said = connection->state == NN_CONNECTION_CLOSING;
    nn_close close = is_said ? nn_connection_get_end(connection) : nn_close_of(reason, 0, text);
    nn_connection_finish(connection, &close, false);
}

NN_PRIVATE void nn_connection_close(nn_connection* connection, const nn_close* close, uint32_t linger_ms,
                                    uint64_t now_us)
{
    if (connection->state != NN_CONNECTION_OPEN && connection->state != NN_CONNECTION_LINGERING) return;
    nn_connection_set_end(connection, close);
    connection->is_final = true;
    connection->linger_until_us = now_us + (uint64_t)linger_ms * 1000;
    connection->state = NN_CONNECTION_LINGERING;
}

NN_PRIVATE necpnet_result nn_connection_push_input(nn_connection* connection, uint32_t tick, const void* data,
                                                   size_t bytes)
{
    if (bytes > connection->input_bytes_max) return NECPNET_ERR_MESSAGE_TOO_LARGE;
    necpnet_result result = nn_inputs_push(connection->settings->inputs, tick, data, bytes);
    if (result == NECPNET_OK) connection->input_pending = true;
    return result;
}

NN_PRIVATE necpnet_result nn_connection_set_limit(nn_connection* connection, uint32_t bytes_per_s)
{
    if (nn_connection_is_udp(connection)) {
        nn_limit_set(&connection->udp->congestion.limit, bytes_per_s);
        return NECPNET_OK;
    }
    if (connection->transport != NECPNET_TRANSPORT_WEBSOCKET) return NECPNET_OK;
    return connection_limit_web(connection, bytes_per_s, connection->now_us);
}

NN_PRIVATE void nn_connection_set_patience(nn_connection* connection, bool loading, bool suspended)
{
    connection->loading = loading;
    connection->suspended = suspended;
    connection->suspend_pending = true;
}
