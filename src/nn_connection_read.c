/* nn_connection_read - the way in: a packet or message, its frames, and what each does. */
#include "nn_connection.h"

#include "nn_log.h"

/* The peer broke a rule: tell it, and end. */
static necpnet_result connection_refuse(nn_connection* connection, const char* text)
{
    nn_close close = nn_close_of(NECPNET_ERR_PROTOCOL, 0, text);
    nn_log_write(connection->settings->logger, NECPNET_LOG_WARNING, "connection closed: %s", text);
    nn_connection_close(connection, &close, 0, connection->now_us);
    return NECPNET_ERR_PROTOCOL;
}

/* When what is read now came; of streams that is not known. */
static uint64_t connection_arrived_us(const nn_connection* connection)
{
    return connection->udp ? connection->udp->arrived_us : connection->now_us;
}

static void connection_read_pong(nn_connection* connection, const nn_pong* pong)
{
    uint64_t now_us = connection_arrived_us(connection);
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
    necpnet_result result = connection->settings->state_sink->read(connection->settings->state_sink->user, reader,
                                                                   connection_arrived_us(connection));
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
    nn_connection_finish(connection, &close, connection->state != NN_CONNECTION_CLOSING);
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
        connection->pong_since_us = connection_arrived_us(connection);
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
    case NN_FRAME_ACK: read = nn_connection_read_ack(connection, reader); break;
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

/* When what is read now came: never before the last packet that came or went. */
static void connection_note_arrival(nn_connection_udp* udp, uint32_t waited_us, uint64_t now_us)
{
    uint64_t arrived_us = now_us - nn_min_u64(now_us, nn_min_u64(waited_us, NN_CONNECTION_WAITED_US_MAX));
    udp->arrived_us = nn_min_u64(nn_max_u64(udp->arrived_us, arrived_us), now_us);
}

NN_PRIVATE necpnet_drop nn_connection_receive_packet(nn_connection* connection, const necpnet_address* from,
                                                     uint8_t* data, size_t bytes, uint32_t waited_us, uint64_t now_us)
{
    nn_packet packet;
    necpnet_drop why = NECPNET_DROP_MALFORMED;
    connection->now_us = now_us;
    if (!connection->udp || connection->state == NN_CONNECTION_CLOSED) {
        return NECPNET_DROP_UNKNOWN_CONNECTION;
    }
    connection_note_arrival(connection->udp, waited_us, now_us);
    if (!nn_packet_parse(data, bytes, connection->udp->acks.largest, &packet, &why)) return why;
    if (!nn_acks_is_new(&connection->udp->acks, packet.number)) {
        connection->udp->packets_duplicate++;
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
        nn_acks_add_later(&connection->udp->acks, packet.number, at_once, connection->udp->arrived_us);
    } else {
        nn_acks_add(&connection->udp->acks, packet.number, (wants & ~CONNECTION_WANTS_FATE) != 0, at_once,
                    connection->udp->arrived_us);
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
