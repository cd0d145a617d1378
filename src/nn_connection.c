/* nn_connection - one live connection around a session: opening, receiving, timers, closing. Sending: nn_connection_send. */
#include "nn_connection.h"

#include "nn_log.h"
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
    if (connection->udp) {
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

/* WebSocket: what is written and not reported received stands in buffers between; state that would wait there is better
 * encoded later. One frame at a time goes even so, or messages without end would leave state no turn. */
static bool connection_state_has_room(const nn_connection* connection)
{
    const nn_session* session = connection->session;
    return connection->transport != NECPNET_TRANSPORT_WEBSOCKET ||
           session->carrier_bytes_written - session->peer_bytes_received < NN_CONNECTION_UNHEARD_BYTES ||
           session->peer_bytes_received > connection->state_at_bytes;
}

/* The world as a writer that takes turns with the channels. */
static bool connection_state_ready(void* user, uint64_t now_us)
{
    const nn_connection* connection = (const nn_connection*)user;
    return connection->follower && !connection->schema_waits && connection_state_has_room(connection) &&
           nn_follower_ready(connection->follower, now_us);
}

static bool connection_state_write(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    nn_connection* connection = (nn_connection*)user;
    uint32_t value = 0;
    if (nn_contents_full(contents)) return false;
    if (!nn_follower_write(connection->follower, writer, nn_writer_left(writer), &value, now_us)) return false;
    nn_contents_add(contents, NN_SENT_STATE, 0, 0, value);
    connection->state_at_bytes = connection->session->carrier_bytes_written;
    return true;
}

/* WebSocket: what would wait in buffers between is too old when it arrives. */
static bool connection_voice_has_room(const nn_connection* connection)
{
    const nn_session* session = connection->session;
    return connection->transport != NECPNET_TRANSPORT_WEBSOCKET ||
           session->carrier_bytes_written - session->peer_bytes_received < NN_CONNECTION_UNHEARD_VOICE;
}

static bool connection_voice_ready(void* user, uint64_t now_us)
{
    const nn_connection* connection = (const nn_connection*)user;
    return connection->speaks && connection_voice_has_room(connection) &&
           connection->voice->ready(connection->voice->user, now_us);
}

static bool connection_voice_write(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    const nn_connection* connection = (const nn_connection*)user;
    (void)contents; /* nobody asks what became of it */
    return connection->voice->write(connection->voice->user, writer, now_us);
}

/* The largest datagram that both sides take. */
static uint32_t connection_datagram_bytes(const nn_connection* connection, const nn_connection_open* open)
{
    return (uint32_t)nn_min_u64(connection->settings->datagram_bytes_max, open->peer->datagram_bytes_max);
}

/* In the order of nn_source_kind. */
static const nn_source connection_sources[NN_SOURCES] = {{connection_voice_ready, connection_voice_write},
                                                         {connection_state_ready, connection_state_write}};

static necpnet_result connection_open_session(nn_connection* connection, const nn_connection_open* open)
{
    nn_session* session = connection->session;
    nn_session_set_sources(session, NULL, NULL);
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
        if (connection->speaks) nn_session_set_sources(session, connection_sources, connection);
        if (connection->speaks) connection->voice->open(connection->voice->user, true);
    }
    if (NECPNET_WITH_SERVER && connection->settings->world && (open->peer->features & NN_FEATURE_STATE)) {
        necpnet_result result =
            nn_world_follow(connection->settings->world, open->follow, ordered, &connection->follower);
        if (result) return result;
        nn_session_set_sources(session, connection_sources, connection);
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

/* What became of a packet. */
static void connection_acked(void* user, const nn_contents* contents)
{
    nn_connection* connection = (nn_connection*)user;
    for (unsigned i = 0; i < contents->count; i++) {
        if (contents->frames[i].kind == NN_SENT_STATE && connection->follower) {
            nn_follower_acked(connection->follower, contents->frames[i].value);
        }
        if (contents->frames[i].kind == NN_SENT_WRITE && connection->settings->writes) {
            nn_writes_acked(connection->settings->writes, contents->frames[i].value,
                            connection->settings->state_sink->written, connection->settings->state_sink->user);
        }
        if (contents->frames[i].kind == NN_SENT_SIZE_PROBE) {
            nn_packet_size_acked(&connection->udp->size, contents->frames[i].value, connection->now_us);
            nn_connection_set_size(connection);
        }
    }
    nn_session_acked(connection->session, contents, connection->now_us);
}

static void connection_lost(void* user, const nn_contents* contents)
{
    nn_connection* connection = (nn_connection*)user;
    for (unsigned i = 0; i < contents->count; i++) {
        switch (contents->frames[i].kind) {
        case NN_SENT_STATE:
            if (connection->follower) nn_follower_lost(connection->follower, contents->frames[i].value);
            break;
        case NN_SENT_WRITE:
            if (connection->settings->writes) nn_writes_lost(connection->settings->writes, contents->frames[i].value);
            break;
        case NN_SENT_INPUT:
            if (connection->settings->inputs) nn_inputs_interrupt(connection->settings->inputs);
            connection->input_pending = nn_connection_has_inputs(connection);
            break;
        case NN_SENT_INPUT_ACK: connection->input_receiver.ack_due = connection->input_receiver.has_tick; break;
        case NN_SENT_SIZE_PROBE:
            nn_packet_size_lost(&connection->udp->size, contents->frames[i].value, connection->now_us);
            break;
        case NN_SENT_SUSPEND: connection->suspend_pending = true; break;
        default: break;
        }
    }
    nn_session_lost(connection->session, contents, connection->now_us);
}

/* The recovery tells a probed packet as lost, too: the statistics count what it counts. */
static void connection_count_losses(nn_connection* connection, uint64_t acked_before, uint64_t lost_before)
{
    nn_connection_udp* udp = connection->udp;
    const nn_recovery* recovery = &udp->recovery;
    if (!udp->loss && recovery->packets_lost > lost_before) {
        udp->loss = (nn_loss*)nn_alloc_take(connection->settings->alloc, sizeof *udp->loss);
        acked_before = recovery->packets_acked > NN_LOSS_PACKETS ? recovery->packets_acked - NN_LOSS_PACKETS : 0;
    }
    if (!udp->loss) return; /* nothing was ever lost, or nobody can tell */
    for (uint64_t i = acked_before; i < recovery->packets_acked; i++) nn_loss_add(udp->loss, false);
    for (uint64_t i = lost_before; i < recovery->packets_lost; i++) nn_loss_add(udp->loss, true);
}

static bool connection_read_ack(nn_connection* connection, nn_reader* reader)
{
    if (!nn_connection_is_udp(connection)) return false;
    nn_recovery* recovery = &connection->udp->recovery;
    uint64_t acked = recovery->packets_acked, lost = recovery->packets_lost;
    necpnet_result result =
        nn_recovery_read_ack(recovery, reader, connection->now_us, connection_acked, connection_lost, connection);
    connection_count_losses(connection, acked, lost);
    nn_connection_watch_size(connection);
    return result == NECPNET_OK;
}

static void connection_doubted(void* user, const nn_contents* contents)
{
    nn_session_doubted(((nn_connection*)user)->session, contents);
}

static void connection_run_recovery(nn_connection* connection)
{
    nn_recovery* recovery = &connection->udp->recovery;
    uint64_t acked = recovery->packets_acked, lost = recovery->packets_lost;
    connection->udp->probes += nn_recovery_on_deadline(recovery, connection->now_us, connection_lost, connection);
    connection_count_losses(connection, acked, lost);
    nn_connection_watch_size(connection);
}

NN_PRIVATE void nn_connection_repeat_flight(nn_connection* connection)
{
    nn_recovery_repeat(&connection->udp->recovery, connection_lost, connection);
}

NN_PRIVATE void nn_connection_lose_flight(nn_connection* connection, uint64_t before_us)
{
    nn_recovery_lose_before(&connection->udp->recovery, before_us, connection_lost, connection);
}

static void connection_end(nn_connection* connection, const nn_close* close, bool by_peer)
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
    connection_end(connection, &close, false);
}

/* The peer broke a rule: tell it, and end. */
static necpnet_result connection_refuse(nn_connection* connection, const char* text)
{
    nn_close close = nn_close_of(NECPNET_ERR_PROTOCOL, 0, text);
    nn_log_write(connection->settings->logger, NECPNET_LOG_WARNING, "connection closed: %s", text);
    nn_connection_close(connection, &close, 0, connection->now_us);
    return NECPNET_ERR_PROTOCOL;
}

static void connection_read_pong(nn_connection* connection, const nn_pong* pong)
{
    uint64_t now_us = connection->now_us;
    if (pong->sent_at_us > now_us || pong->sent_at_us < connection->started_us) return;
    nn_connection_sleep* sleep = connection->settings->sleep;
    if (sleep && pong->sent_at_us >= sleep->woke_us) sleep->answer_until_us = NN_NEVER;
    uint64_t rtt_us = now_us - pong->sent_at_us;
    rtt_us = rtt_us > pong->hold_us ? rtt_us - pong->hold_us : 0;
    if (connection->transport == NECPNET_TRANSPORT_WEBSOCKET && rtt_us < UINT32_MAX) {
        uint32_t sample = rtt_us ? (uint32_t)rtt_us : 1;
        if (!connection->web_rtt_us) {
            connection->web_rtt_us = connection->web_rtt_min_us = sample;
            connection->web_rtt_variance_us = sample / 2;
        } else {
            uint32_t off =
                sample > connection->web_rtt_us ? sample - connection->web_rtt_us : connection->web_rtt_us - sample;
            connection->web_rtt_variance_us = (uint32_t)(((uint64_t)connection->web_rtt_variance_us * 3 + off) / 4);
            connection->web_rtt_us = (uint32_t)(((uint64_t)connection->web_rtt_us * 7 + sample) / 8);
            if (sample < connection->web_rtt_min_us) connection->web_rtt_min_us = sample;
        }
    }
    nn_jitter_add(&connection->jitter, pong->received_at_us + pong->hold_us, now_us);
    if (connection->settings->is_server) return;
    if (!nn_clock_sync_add(connection->settings->clock, pong->sent_at_us, pong->received_at_us, pong->hold_us, now_us))
        return;
    if (connection->settings->state_sink->clock) {
        connection->settings->state_sink->clock(connection->settings->state_sink->user,
                                                nn_clock_sync_offset_us(connection->settings->clock, now_us),
                                                connection->tick_hz);
    }
}

static necpnet_result connection_read_input(nn_connection* connection, nn_reader* reader)
{
    if (!connection->settings->is_server) return connection_refuse(connection, "INPUT from a server");
    necpnet_result result = nn_input_receiver_read(&connection->input_receiver, reader,
                                                   connection->settings->deliver_input, connection->deliver_user);
    if (result == NECPNET_ERR_OUT_OF_MEMORY) connection->input_receiver.holds = !nn_connection_is_udp(connection);
    return result == NECPNET_ERR_PROTOCOL ? connection_refuse(connection, "INPUT frame malformed") : result;
}

static necpnet_result connection_read_state(nn_connection* connection, nn_reader* reader)
{
    if (connection->settings->is_server || !connection->settings->state_sink->read) {
        return connection_refuse(connection, "STATE to a side that did not ask for it");
    }
    necpnet_result result =
        connection->settings->state_sink->read(connection->settings->state_sink->user, reader, connection->now_us);
    if (result == NECPNET_ERR_BAD_DATA) return connection_refuse(connection, "STATE frame does not decode");
    if (result == NECPNET_ERR_LIMIT_REACHED) {
        nn_close close = nn_close_of(result, 0, "more entities than the view's entities_max");
        nn_connection_close(connection, &close, 0, connection->now_us);
    }
    return result;
}

static necpnet_result connection_read_close(nn_connection* connection, nn_reader* reader)
{
    nn_close close;
    if (!nn_frame_read_close(reader, &close)) return connection_refuse(connection, "CLOSE frame malformed");
    if (connection->state == NN_CONNECTION_CLOSING) close = nn_connection_get_end(connection);
    connection->close_answer_pending = nn_connection_is_udp(connection);
    connection->is_final = true;
    connection_end(connection, &close, connection->state != NN_CONNECTION_CLOSING);
    return NECPNET_ERR_CLOSED;
}

/* One frame of the connection's own. OK, or why reading ends. */
static necpnet_result connection_read_own(nn_connection* connection, uint8_t type, nn_reader* reader)
{
    bool read = true;
    necpnet_result result;
    uint8_t flags;
    uint32_t tick;
    uint64_t challenge;
    nn_ping ping;
    nn_pong pong;
    switch (type) {
    case NN_FRAME_PING:
        read = nn_frame_read_ping(reader, &ping);
        if (!read) break;
        connection->pong = ping;
        connection->pong_since_us = connection->now_us;
        connection->pong_pending = true;
        break;
    case NN_FRAME_PONG:
        read = nn_frame_read_pong(reader, &pong);
        if (read) connection_read_pong(connection, &pong);
        break;
    case NN_FRAME_SUSPEND:
        read = nn_frame_read_suspend(reader, &flags);
        if (!read) break;
        connection->peer_suspended = (flags & NN_SUSPEND_SUSPENDED) != 0;
        connection->peer_loading = (flags & NN_SUSPEND_LOADING) != 0;
        break;
    case NN_FRAME_INPUT_ACK:
        read = nn_frame_read_input_ack(reader, &tick) && connection->settings->inputs &&
               nn_inputs_acked(connection->settings->inputs, tick);
        if (read)
            connection->input_pending = nn_inputs_wait(connection->settings->inputs); /* not all fit into one packet */
        break;
    case NN_FRAME_PATH_CHALLENGE:
        read = nn_frame_read_path(reader, &challenge) && nn_connection_is_udp(connection);
        if (read) nn_connection_read_challenge(connection, challenge);
        break;
    case NN_FRAME_PATH_RESPONSE:
        read = nn_frame_read_path(reader, &challenge) && nn_connection_is_udp(connection);
        if (read) nn_connection_read_response(connection, challenge);
        break;
    case NN_FRAME_ACK: read = connection_read_ack(connection, reader); break;
    case NN_FRAME_CLOSE: return connection_read_close(connection, reader);
    case NN_FRAME_INPUT: return connection_read_input(connection, reader);
    case NN_FRAME_WRITE:
        result = nn_connection_read_writes(connection, reader);
        return result == NECPNET_ERR_BAD_DATA ? connection_refuse(connection, "WRITE frame refused") : result;
    case NN_FRAME_STATE: connection->state_came = true; return connection_read_state(connection, reader);
    default:
        read = NECPNET_WITH_VOICE && connection->speaks && type >= NN_FRAME_VOICE && type <= NN_FRAME_VOICE_REPORT &&
               connection->voice->read(connection->voice->user, type, reader, connection->now_us);
        break;
    }
    if (read) return NECPNET_OK;
    char text[64];
    static const char hex[] = "0123456789abcdef";
    const char* name = nn_frame_name(type);
    size_t length = strlen(name) < 32 ? strlen(name) : 32;
    memcpy(text, "frame refused: 0x", 17);
    text[17] = hex[type >> 4];
    text[18] = hex[type & 15];
    text[19] = ' ';
    memcpy(text + 20, name, length);
    text[20 + length] = '\0';
    return connection_refuse(connection, text);
}

/* CONTROL messages that have become whole. */
static necpnet_result connection_read_control(nn_connection* connection)
{
    const uint8_t* data;
    size_t bytes;
    while (nn_session_poll_control(connection->session, &data, &bytes)) {
        if (bytes == 0) return connection_refuse(connection, "an empty CONTROL message");
        necpnet_result result = NECPNET_OK;
        if (nn_connection_take_schema(connection, data, bytes, &result)) {
            if (result == NECPNET_ERR_PROTOCOL && connection->state == NN_CONNECTION_OPEN) {
                return connection_refuse(connection, "a CONTROL message about the schema is malformed");
            }
            if (result) return result;
            continue;
        }
        if (nn_connection_take_variables(connection, data, bytes, &result)) {
            if (result == NECPNET_ERR_PROTOCOL && connection->state == NN_CONNECTION_OPEN) {
                return connection_refuse(connection, "a CONTROL message about variables is malformed");
            }
            if (result) return result;
            continue;
        }
        if (data[0] == NN_CONTROL_STATE) {
            if (nn_connection_take_state_control(connection, data + 1, bytes - 1)) continue;
            return connection_refuse(connection, "a CONTROL message about states is malformed");
        }
        if (!connection->settings->take_control) continue;
        if (!connection->settings->take_control(connection->deliver_user, data[0], data + 1, bytes - 1)) {
            return connection_refuse(connection, "a CONTROL message is malformed");
        }
    }
    return NECPNET_OK;
}

/* What the frames of a packet want, as bits. */
#define CONNECTION_WANTS_ACK 1u
#define CONNECTION_WANTS_LATER 2u /* an ACK, but it may wait .. */
#define CONNECTION_WANTS_FATE 4u  /* .. unless this is there, too: no ACK by itself, but the sender would repeat it */

static unsigned connection_frame_wants(const nn_connection* connection, uint8_t type, const nn_reader* reader)
{
    if (type == NN_FRAME_INPUT_ACK) return CONNECTION_WANTS_FATE;
    if (nn_session_is_unreliable(connection->session, type, reader)) return CONNECTION_WANTS_LATER;
    return nn_frame_is_ack_eliciting(type) ? CONNECTION_WANTS_ACK : 0;
}

/* All frames of a packet or message. */
static necpnet_result connection_read_frames(nn_connection* connection, const uint8_t* data, size_t bytes,
                                             unsigned* out_wants)
{
    nn_reader reader = nn_reader_of(data, bytes);
    bool acked = false;
    bool refused = false; /* for want of memory: that frame will come again, those behind it still count */
    while (nn_reader_left(&reader)) {
        uint8_t type = nn_read_u8(&reader);
        *out_wants |= connection_frame_wants(connection, type, &reader);
        necpnet_result result = NECPNET_OK;
        switch (type) {
        case NN_FRAME_PADDING: break;
        case NN_FRAME_MESSAGE:
        case NN_FRAME_MESSAGE_LAST:
        case NN_FRAME_FRAGMENT:
        case NN_FRAME_CREDIT:
        case NN_FRAME_RECEIVED: {
            const char* text = "";
            result = nn_session_read(connection->session, type, &reader, connection->now_us, &text);
            if (result == NECPNET_ERR_PROTOCOL) return connection_refuse(connection, text);
            if (result == NECPNET_ERR_OUT_OF_MEMORY) refused = true;
            result = NECPNET_OK;
            break;
        }
        case NN_FRAME_ACK:
            if (acked) return connection_refuse(connection, "two ACK frames in one packet");
            acked = true;
            result = connection_read_own(connection, type, &reader);
            break;
        default: result = connection_read_own(connection, type, &reader); break;
        }
        if (result) return result;
    }
    if (connection->session->control.last) {
        necpnet_result result = connection_read_control(connection);
        if (result) return result;
    }
    return refused ? NECPNET_ERR_OUT_OF_MEMORY : NECPNET_OK;
}

NN_PRIVATE necpnet_drop nn_connection_receive_packet(nn_connection* connection, const necpnet_address* from,
                                                     uint8_t* data, size_t bytes, uint64_t now_us)
{
    nn_packet packet;
    necpnet_drop why = NECPNET_DROP_MALFORMED;
    connection->now_us = now_us;
    if (!connection->udp || connection->state == NN_CONNECTION_CLOSED) {
        return NECPNET_DROP_UNKNOWN_CONNECTION;
    }
    if (!nn_packet_parse(data, bytes, connection->udp->acks.largest, &packet, &why)) return why;
    if (!nn_acks_is_new(&connection->udp->acks, packet.number)) {
        connection->packets_duplicate++;
        return NECPNET_DROP_REPLAY;
    }
    uint64_t next_number = nn_recovery_next_number(&connection->udp->recovery);
    uint64_t keep_us = nn_recovery_probe_us(&connection->udp->recovery) * 3; /* RFC 9001 6.5 */
    if (!nn_phases_open(&connection->udp->phases, data, &packet, next_number, keep_us, now_us, &why)) return why;
    connection->heard_us = now_us;
    connection->packets_received++;
    connection->bytes_received += bytes;
    nn_rate_add(&connection->receive_rate, bytes, now_us);
    if (connection->state == NN_CONNECTION_CLOSING) {
        /* RFC 9000 10.2.1: answer what still comes with CLOSE, within its number */
        nn_reader reader = nn_reader_of(packet.frames, packet.frames_bytes);
        if (nn_read_u8(&reader) == NN_FRAME_CLOSE) connection->state = NN_CONNECTION_CLOSED;
        return NECPNET_DROP_COUNT;
    }
    bool is_newest = connection->udp->acks.largest == NN_PACKET_NONE || packet.number > connection->udp->acks.largest;
    nn_connection_note_source(connection, from, bytes, is_newest);
    unsigned wants = 0;
    connection->state_came = false;
    necpnet_result result = connection_read_frames(connection, packet.frames, packet.frames_bytes, &wants);
    if (result == NECPNET_ERR_OUT_OF_MEMORY) { /* not acknowledged: what it carried will come again, in other packets */
        nn_acks_refuse(&connection->udp->acks, packet.number);
        return NECPNET_DROP_MEMORY;
    }
    bool at_once = (packet.flags & NN_PACKET_ACK_NOW) != 0;
    if (wants == CONNECTION_WANTS_LATER) {
        nn_acks_add_later(&connection->udp->acks, packet.number, at_once, now_us);
    } else {
        nn_acks_add(&connection->udp->acks, packet.number, (wants & ~CONNECTION_WANTS_FATE) != 0, at_once, now_us);
    }
    if (connection->state_came || bytes >= NN_ACKS_BULK_BYTES) {
        nn_acks_hurry(&connection->udp->acks, now_us + NN_ACKS_HURRY_US);
    }
    return NECPNET_DROP_COUNT;
}

NN_PRIVATE void nn_connection_receive_message(nn_connection* connection, const uint8_t* data, size_t bytes,
                                              uint64_t now_us)
{
    unsigned wants = 0;
    connection->now_us = now_us;
    if (connection->state != NN_CONNECTION_OPEN && connection->state != NN_CONNECTION_LINGERING) return;
    connection->heard_us = now_us;
    connection->packets_received++;
    connection->bytes_received += bytes;
    nn_rate_add(&connection->receive_rate, bytes, now_us);
    nn_session_count_received(connection->session, bytes, now_us);
    necpnet_result result = connection_read_frames(connection, data, bytes, &wants);
    if (result == NECPNET_ERR_OUT_OF_MEMORY) {
        nn_close close = nn_close_of(result, 0, "the receiver is out of memory");
        nn_connection_close(connection, &close, 0, now_us);
    }
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
        connection_end(connection, &close, false);
        return;
    }
    if (nn_connection_is_udp(connection) && now_us >= nn_recovery_deadline_us(&connection->udp->recovery)) {
        connection_run_recovery(connection);
    }
    if (nn_connection_is_udp(connection)) {
        nn_connection_update_path(connection);
        nn_recovery_doubt(&connection->udp->recovery, now_us, connection_doubted, connection);
        nn_recovery_rest(&connection->udp->recovery, now_us);
    }
    if (now_us >= nn_connection_ping_at_us(connection)) connection->ping_pending = true;
}

/* When what waits to be sent can be: now, at a time, or when something arrives. */
static uint64_t connection_output_at_us(const nn_connection* connection, uint64_t now_us)
{
    bool udp = nn_connection_is_udp(connection);
    bool has_output = nn_connection_has_own(connection) || nn_session_has_output(connection->session, now_us);
    uint64_t at_us = has_output ? now_us : nn_session_deadline_us(connection->session);
    if (connection->follower && connection_state_has_room(connection)) {
        at_us = nn_min_u64(at_us, nn_follower_deadline_us(connection->follower));
    }
    if (NECPNET_WITH_VOICE && connection->speaks && connection_voice_has_room(connection)) {
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
