/* nn_connection_send - the way out: packets and messages made of the connection's own frames and the session's. */
#include "nn_connection.h"

#include "nn_text.h"

static uint8_t connection_patience(const nn_connection* connection)
{
    return (uint8_t)((connection->suspended ? NN_SUSPEND_SUSPENDED : 0u) |
                     (connection->loading ? NN_SUSPEND_LOADING : 0u));
}

/* A PING of the client's that is due soon goes along with what leaves anyway. */
static bool connection_ping_joins(const nn_connection* connection)
{
    if (connection->settings->is_server || connection->ping_pending) return connection->ping_pending;
    uint64_t soon_us = connection->now_us + nn_clock_sync_interval_us(connection->settings->clock) / 4;
    return nn_connection_ping_at_us(connection) <= soon_us &&
           nn_session_has_output(connection->session, connection->now_us);
}

/* PONG, PING, SUSPEND, inputs: whatever is pending and fits. Returns whether anything asks for an ACK. */
static bool connection_write_own(nn_connection* connection, nn_writer* writer, nn_contents* contents,
                                 bool eliciting_too)
{
    bool eliciting = false;
    uint64_t now_us = connection->now_us;
    if (connection->pong_pending && nn_writer_left(writer) >= NN_PONG_BYTES_MAX) {
        nn_pong pong = {connection->pong.id, connection->pong.sent_at_us, connection->pong_since_us,
                        now_us - connection->pong_since_us};
        nn_frame_write_pong(writer, &pong);
        connection->pong_pending = false;
    }
    bool is_udp = nn_connection_is_udp(connection);
    if (connection->input_receiver.ack_due && nn_writer_left(writer) >= NN_INPUT_ACK_BYTES_MAX &&
        !nn_contents_full(contents) && (is_udp || now_us >= connection->input_ack_at_us + NN_CONNECTION_INPUT_ACK_US)) {
        if (nn_input_receiver_write_ack(&connection->input_receiver, writer)) {
            nn_contents_add(contents, NN_SENT_INPUT_ACK, 0, 0, 0);
            connection->input_ack_at_us = now_us;
        }
    }
    if (!eliciting_too) return false;
    if (nn_writer_left(writer) >= NN_PING_BYTES_MAX && connection_ping_joins(connection)) {
        nn_ping ping = {++connection->ping_id, now_us};
        nn_frame_write_ping(writer, &ping);
        connection->ping_pending = false;
        connection->pinged_us = now_us;
        eliciting = true;
    }
    if (connection->suspend_pending && nn_writer_left(writer) >= NN_SUSPEND_BYTES && !nn_contents_full(contents)) {
        nn_frame_write_suspend(writer, connection_patience(connection));
        nn_contents_add(contents, (nn_sent_kind)NN_SENT_SUSPEND, 0, 0, 0);
        connection->suspend_pending = false;
        eliciting = true;
    }
    /* in every packet until the server has them; on an ordered transport once */
    bool wants_input = is_udp ? nn_connection_has_inputs(connection) : connection->input_pending;
    uint32_t written =
        wants_input && !nn_contents_full(contents) ? nn_inputs_write(connection->settings->inputs, writer, !is_udp) : 0;
    if (written) {
        nn_contents_add(contents, NN_SENT_INPUT, 0, 0, 0);
        connection->input_pending = !is_udp && nn_inputs_wait(connection->settings->inputs);
        eliciting = true;
    }
    uint32_t frame = 0;
    if (connection->settings->writes && !nn_contents_full(contents) &&
        nn_writes_write(connection->settings->writes, writer, !is_udp, &frame,
                        connection->settings->state_sink->written, connection->settings->state_sink->user, now_us)) {
        nn_contents_add(contents, NN_SENT_WRITE, 0, 0, frame);
        eliciting = true;
    }
    return eliciting;
}

static uint8_t connection_begin_phase(nn_connection* connection, uint64_t number)
{
    return nn_phases_before_send(&connection->udp->phases, number, connection->udp->recovery.largest_acked,
                                 connection->now_us);
}

/* Seal what stands behind the header and hand it to the transport. */
static void connection_send_packet(nn_connection* connection, size_t header_bytes, size_t frames_bytes, uint64_t number,
                                   bool eliciting, const nn_contents* contents)
{
    uint8_t* packet = connection->settings->scratch;
    size_t bytes = nn_packet_seal(connection->udp->phases.send, packet, header_bytes, frames_bytes, number);
    const necpnet_transport* transport = connection->settings->transport;
    transport->send_datagram(transport->user, &connection->address, packet, bytes); /* a refusal is a lost packet */
    nn_path* path = connection->udp->path;
    if (path && nn_path_send(path, bytes)) {
        transport->send_datagram(transport->user, &path->address, packet, bytes);
        connection->bytes_sent += bytes;
    }
    nn_recovery_sent(&connection->udp->recovery, number, (uint32_t)bytes, eliciting, contents, connection->now_us);
    connection->udp->arrived_us = connection->now_us;
    connection->packets_sent++;
    connection->bytes_sent += bytes;
    nn_rate_add(&connection->send_rate, bytes, connection->now_us);
    if (eliciting) connection->sent_us = connection->now_us;
}

/* How large a packet may be. Where nothing answers it may be for its size: a probe of the base size will tell. */
static uint32_t connection_packet_bytes(const nn_connection* connection)
{
    bool is_doubtful = connection->udp->probes && connection->udp->recovery.probes >= NN_PACKET_SIZE_TIMEOUTS;
    return is_doubtful ? connection->udp->size.base : connection->udp->size.bytes;
}

/* Whether the ACK of a packet of unreliable messages is wanted soon: something hangs on the next one. */
static bool connection_hurries(const nn_connection* connection, size_t bytes)
{
    const nn_connection_udp* udp = connection->udp;
    uint64_t acked = udp->recovery.largest_acked;
    bool phase_is_confirmed = acked != NN_PACKET_NONE && acked >= udp->phases.send_first;
    return udp->probes > 0 || udp->path || !phase_is_confirmed || nn_recovery_hurries(&udp->recovery) ||
           nn_congestion_is_used(&udp->congestion, bytes);
}

/* A server that has only a PONG to send, as it has for most of its idle clients: nothing that recovery need keep. */
static bool connection_only_answers(const nn_connection* connection)
{
    return connection->settings->is_server && !connection->udp->probes && !connection->ping_pending &&
           !connection->suspend_pending && !nn_session_has_output(connection->session, connection->now_us);
}

/* One packet with acknowledgements and, if allowed, everything else. Returns whether one left. */
static bool connection_make_packet(nn_connection* connection, bool eliciting_too)
{
    if (connection->udp->recovery.capacity == 0 && connection_only_answers(connection)) eliciting_too = false;
    uint64_t number = nn_recovery_next_number(&connection->udp->recovery);
    uint8_t flags = connection_begin_phase(connection, number);
    if (nn_recovery_wants_ack(&connection->udp->recovery)) flags |= NN_PACKET_ACK_NOW;
    uint8_t* packet = connection->settings->scratch;
    size_t header_bytes =
        nn_packet_begin(packet, connection->udp->remote_id, number, connection->udp->recovery.largest_acked, flags);
    size_t room = connection_packet_bytes(connection) - header_bytes - NN_PACKET_TAG_BYTES;
    nn_writer writer = nn_writer_of(packet + header_bytes, room);
    nn_contents contents;
    nn_contents_init(&contents);
    bool eliciting = false;
    bool acked =
        nn_acks_wants(&connection->udp->acks) && nn_acks_write(&connection->udp->acks, &writer, connection->now_us);
    if (eliciting_too && nn_recovery_reserve(&connection->udp->recovery) != NECPNET_OK) eliciting_too = false;
    bool own = connection_write_own(connection, &writer, &contents, eliciting_too);
    eliciting = own;
    if (eliciting_too) {
        size_t written = nn_session_write(connection->session, &writer, &contents, connection->now_us);
        if (written > connection->session->silent_bytes) eliciting = true;
    }
    if (eliciting_too && connection->udp->probes && !eliciting && nn_writer_left(&writer) >= NN_PING_BYTES_MAX) {
        connection->ping_pending = true; /* a probe with nothing else to say */
        own = eliciting = connection_write_own(connection, &writer, &contents, true);
    }
    size_t frames_bytes = nn_writer_bytes(&writer);
    if (frames_bytes == 0) return false;
    bool later = eliciting && !own && contents.count == 0; /* neither ours nor remembered: unreliable messages alone */
    if (later && connection_hurries(connection, header_bytes + frames_bytes)) packet[0] |= NN_PACKET_ACK_NOW;
    later = later && !(packet[0] & NN_PACKET_ACK_NOW);
    connection_send_packet(connection, header_bytes, frames_bytes, number, eliciting, &contents);
    if (later) nn_recovery_sent_later(&connection->udp->recovery);
    if (acked) nn_acks_sent(&connection->udp->acks, number);
    if (connection->udp->probes && eliciting) connection->udp->probes--;
    return true;
}

NN_PRIVATE bool nn_connection_has_own(const nn_connection* connection)
{
    return connection->pong_pending || connection->ping_pending || connection->suspend_pending ||
           connection->input_pending ||
           (connection->settings->writes && connection->now_us >= nn_writes_deadline_us(connection->settings->writes));
}

/* A packet of padding, to learn whether the path takes its size. Nobody waits for it. */
static void connection_probe_size(nn_connection* connection)
{
    nn_recovery* recovery = &connection->udp->recovery;
    uint32_t bytes = nn_packet_size_wants(&connection->udp->size, connection->now_us);
    if (!bytes || connection->udp->path ||
        nn_congestion_budget(&connection->udp->congestion, connection->now_us) == 0) {
        return;
    }
    if (nn_recovery_reserve(recovery) != NECPNET_OK) return;
    uint8_t* packet = connection->settings->scratch;
    uint64_t number = nn_recovery_next_number(recovery);
    uint8_t flags = (uint8_t)(connection_begin_phase(connection, number) | NN_PACKET_ACK_NOW);
    size_t header_bytes = nn_packet_begin(packet, connection->udp->remote_id, number, recovery->largest_acked, flags);
    size_t frames_bytes = bytes - header_bytes - NN_PACKET_TAG_BYTES;
    memset(packet + header_bytes, NN_FRAME_PADDING, frames_bytes);
    nn_contents contents;
    nn_contents_init(&contents);
    nn_contents_add(&contents, NN_SENT_SIZE_PROBE, 0, 0, bytes);
    connection_send_packet(connection, header_bytes, frames_bytes, number, true, &contents);
    nn_packet_size_sent(&connection->udp->size, bytes);
}

static void connection_flush_packets(nn_connection* connection)
{
    uint64_t now_us = connection->now_us;
    connection_probe_size(connection);
    for (int i = 0; i < NN_CONNECTION_BURST_PACKETS_MAX; i++) {
        bool output = connection->udp->probes > 0 || nn_connection_has_own(connection) ||
                      nn_session_has_output(connection->session, now_us);
        bool ack_due = now_us >= nn_acks_deadline_us(&connection->udp->acks);
        if (!output && !ack_due) return;
        bool allowed =
            output && (connection->udp->probes > 0 ||
                       nn_congestion_budget(&connection->udp->congestion, now_us) >= connection->udp->size.bytes);
        if (!allowed && !ack_due && !connection->pong_pending) return;
        if (!connection_make_packet(connection, allowed)) {
            connection->is_stalled = true;
            return;
        }
    }
}

/* Whether the network takes more. What the transport keeps till its flush has not been offered to it yet. */
static bool connection_web_has_room(const nn_connection* connection)
{
    if (necpnet_web_pending(connection->web) <= NN_CONNECTION_UNSENT_BYTES) return true;
    const necpnet_transport* transport = connection->settings->transport;
    transport->flush(transport->user);
    return necpnet_web_pending(connection->web) <= NN_CONNECTION_UNSENT_BYTES;
}

static void connection_flush_messages(nn_connection* connection)
{
    uint8_t* message = connection->settings->scratch;
    uint64_t now_us = connection->now_us;
    for (int i = 0; connection->web && i < NN_CONNECTION_BURST_MESSAGES_MAX; i++) {
        bool output = nn_session_has_output(connection->session, now_us);
        bool own = nn_connection_has_own(connection) || connection->input_receiver.ack_due;
        if ((!output && !own) || !connection_web_has_room(connection)) return;
        size_t room = connection->limit ? nn_limit_room(connection->limit, now_us) : SIZE_MAX;
        if (room == 0) return;
        nn_writer writer = nn_writer_of(message, nn_min_size(room, NN_WEB_SESSION_BYTES_MAX));
        connection_write_own(connection, &writer, NULL, true);
        if (output) nn_session_write(connection->session, &writer, NULL, now_us);
        size_t bytes = nn_writer_bytes(&writer);
        if (bytes == 0) {
            connection->is_stalled = output;
            return;
        }
        nn_session_count_written(connection->session, bytes);
        if (connection->limit) nn_limit_sent(connection->limit, (uint32_t)bytes, now_us);
        connection->packets_sent++;
        connection->bytes_sent += bytes;
        connection->sent_us = now_us;
        nn_rate_add(&connection->send_rate, bytes, now_us);
        necpnet_result result = nn_web_send_session(connection->web, message, bytes);
        if (result == NECPNET_ERR_INVALID_STATE) result = NECPNET_ERR_CONNECTION_RESET; /* it is closing already */
        if (result) {
            nn_connection_leave_web(connection);
            nn_connection_lost(connection, result, necpnet_result_text(result));
            return;
        }
    }
}

static void connection_send_close(nn_connection* connection)
{
    uint8_t* packet = connection->settings->scratch;
    nn_close close = nn_connection_get_end(connection);
    if (!NECPNET_WITH_UDP || connection->transport == NECPNET_TRANSPORT_WEBSOCKET) {
        nn_writer writer = nn_writer_of(packet, NN_CLOSE_BYTES_MAX);
        nn_frame_write_close(&writer, &close);
        nn_web_send_session(connection->web, packet, nn_writer_bytes(&writer));
        necpnet_web_close(connection->web, 1000, "");
        connection->state = NN_CONNECTION_CLOSED;
        return;
    }
    uint64_t number = nn_recovery_next_number(&connection->udp->recovery);
    uint8_t flags = connection_begin_phase(connection, number);
    size_t header_bytes =
        nn_packet_begin(packet, connection->udp->remote_id, number, connection->udp->recovery.largest_acked, flags);
    size_t room = connection->udp->size.bytes - header_bytes - NN_PACKET_TAG_BYTES;
    nn_writer writer = nn_writer_of(packet + header_bytes, room);
    size_t fixed = NN_CLOSE_BYTES_MAX - NECPNET_REASON_BYTES_MAX;
    if (room < NN_CLOSE_BYTES_MAX) close.text[nn_text_bytes(close.text, room > fixed ? room - fixed : 0)] = '\0';
    nn_frame_write_close(&writer, &close);
    connection_send_packet(connection, header_bytes, nn_writer_bytes(&writer), number, false, NULL);
    connection->sent_us = connection->now_us;
    if (connection->closes_left) connection->closes_left--;
}

/* How long a closed side stays to answer with CLOSE: three probe timeouts (RFC 9000 10.2), which on a path that was just
 * clogged would be a quarter of a minute. */
static void connection_begin_closing(nn_connection* connection)
{
    connection->state = NN_CONNECTION_CLOSING;
    connection->closes_left = NN_CONNECTION_CLOSES_MAX;
    if (nn_connection_is_udp(connection)) {
        uint64_t wait_us = nn_recovery_probe_us(&connection->udp->recovery) * 3;
        connection->linger_until_us = connection->now_us + nn_min_u64(wait_us, NN_CONNECTION_CLOSING_US_MAX);
    }
    connection_send_close(connection);
}

NN_PRIVATE void nn_connection_flush(nn_connection* connection, uint64_t now_us)
{
    connection->now_us = now_us;
    connection->is_stalled = false;
    if (connection->close_answer_pending) { /* RFC 9000 10.2.2: one packet, so that the peer need not wait */
        connection->close_answer_pending = false;
        connection_send_close(connection);
        return;
    }
    if (connection->state == NN_CONNECTION_CLOSING) {
        if (connection->closes_left && now_us >= connection->sent_us + NN_CONNECTION_CLOSE_REPEAT_US) {
            connection_send_close(connection);
        }
        return;
    }
    if (connection->state != NN_CONNECTION_OPEN && connection->state != NN_CONNECTION_LINGERING) return;
    bool told = nn_connection_tell_follower(connection);
    bool is_flushed = nn_session_flushed(connection->session);
    if (NECPNET_WITH_SERVER && connection->follower && connection->state == NN_CONNECTION_OPEN) {
        nn_connection_tell_variables(connection);
    }
    if (connection->state == NN_CONNECTION_OPEN || (!is_flushed && now_us < connection->linger_until_us)) {
        if (nn_connection_is_udp(connection)) {
            nn_connection_flush_path(connection);
            connection_flush_packets(connection);
        } else {
            connection_flush_messages(connection);
        }
    }
    if (!told) connection->is_stalled = true;
    if (connection->state != NN_CONNECTION_LINGERING) return;
    if (nn_session_flushed(connection->session) || now_us >= connection->linger_until_us)
        connection_begin_closing(connection);
}

NN_PRIVATE size_t nn_connection_budget(const nn_connection* connection, uint64_t now_us)
{
    if (connection->state != NN_CONNECTION_OPEN) return 0;
    size_t queued = nn_session_queued_bytes(connection->session);
    size_t room;
    if (nn_connection_is_udp(connection)) {
        room = nn_congestion_budget(&connection->udp->congestion, now_us);
    } else {
        size_t pending = connection->web ? necpnet_web_pending(connection->web) : 0;
        room = pending < NN_CONNECTION_UNSENT_BYTES ? NN_CONNECTION_UNSENT_BYTES - pending : 0;
        if (connection->limit) room = nn_min_size(room, nn_limit_room(connection->limit, now_us));
    }
    return room > queued ? room - queued : 0;
}

static void connection_fill_udp(const nn_connection* connection, necpnet_statistics* out)
{
    const nn_recovery* recovery = &connection->udp->recovery;
    out->rtt_us = recovery->rtt_us;
    out->rtt_min_us = recovery->rtt_min_us;
    out->rtt_variance_us = recovery->rtt_variance_us;
    out->loss_ppm = connection->udp->loss ? nn_loss_ppm(connection->udp->loss) : 0;
    out->packets_lost = recovery->packets_lost;
    out->congestion_bytes = (uint32_t)nn_min_u64(connection->udp->congestion.window_bytes, UINT32_MAX);
    out->flight_bytes = (uint32_t)nn_min_u64(connection->udp->congestion.flight_bytes, UINT32_MAX);
    out->datagram_bytes = connection->udp->size.bytes;
    out->key_phase = connection->udp->phases.count;
    out->migrations = connection->udp->migrations;
    out->packets_duplicate = connection->udp->packets_duplicate;
    out->memory_bytes += sizeof *connection->udp + nn_recovery_memory_bytes(recovery);
}

NN_PRIVATE void nn_connection_statistics(const nn_connection* connection, uint64_t now_us, necpnet_statistics* out)
{
    memset(out, 0, sizeof *out);
    out->transport = (necpnet_transport_kind)connection->transport;
    out->encrypted = connection->encrypted;
    out->jitter_us = nn_jitter_us(&connection->jitter);
    out->clock_offset_us =
        connection->settings->clock ? nn_clock_sync_offset_us(connection->settings->clock, now_us) : 0;
    out->clock_error_us =
        connection->settings->clock ? nn_clock_sync_error_us(connection->settings->clock, now_us) : UINT32_MAX;
    out->packets_sent = connection->packets_sent;
    out->packets_received = connection->packets_received;
    out->bytes_sent = connection->bytes_sent;
    out->bytes_received = connection->bytes_received;
    out->send_bytes_per_s = nn_rate_per_s(&connection->send_rate, connection->started_us, now_us);
    out->receive_bytes_per_s = nn_rate_per_s(&connection->receive_rate, connection->started_us, now_us);
    out->budget_bytes = (uint32_t)nn_min_size(nn_connection_budget(connection, now_us), UINT32_MAX);
    out->queue_bytes = (uint32_t)nn_min_size(nn_session_queued_bytes(connection->session), UINT32_MAX);
    out->memory_bytes = sizeof *connection + nn_session_memory_bytes(connection->session);
    if (nn_connection_is_udp(connection)) {
        connection_fill_udp(connection, out);
    } else {
        out->rtt_us = connection->web_rtt_us;
        out->rtt_min_us = connection->web_rtt_min_us;
        out->rtt_variance_us = connection->web_rtt_variance_us;
        out->flight_bytes =
            connection->web ? (uint32_t)nn_min_size(necpnet_web_pending(connection->web), UINT32_MAX) : 0;
    }
}
