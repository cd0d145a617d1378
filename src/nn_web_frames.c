/* nn_web_frames - an open WebSocket: messages in and out, pings, the closing handshake. */
#include "nn_web_connection.h"

/* ---- out -------------------------------------------------------------------------------------------------------- */

static necpnet_result frames_lost(necpnet_web_connection* connection, necpnet_result reason)
{
    nn_web_connection_end(connection, reason, NN_WEBSOCKET_CODE_LOST, NULL, true);
    return reason;
}

/* A masked frame that does not fit the stack: in pieces. */
static necpnet_result frames_write_masked(necpnet_web_connection* connection, const uint8_t* data, size_t bytes,
                                          const uint8_t mask[4])
{
    uint8_t piece[NN_WEB_SMALL_BYTES]; /* its length is a multiple of 4, so the mask begins anew with each */
    while (bytes) {
        size_t part = nn_min_size(bytes, sizeof piece);
        memcpy(piece, data, part);
        nn_websocket_mask(piece, part, mask);
        necpnet_result result = nn_web_connection_write(connection, piece, part);
        if (result != NECPNET_OK) return result;
        data += part;
        bytes -= part;
    }
    return NECPNET_OK;
}

/* flags: 0 or NN_WEBSOCKET_COMPRESSED. */
static necpnet_result frames_write(necpnet_web_connection* connection, nn_websocket_opcode opcode, uint8_t flags,
                                   const uint8_t* data, size_t bytes)
{
    uint8_t frame[NN_WEBSOCKET_HEADER_BYTES_MAX + NN_WEB_SMALL_BYTES];
    uint8_t mask[4];
    const uint8_t* masked = NULL;
    if (!connection->is_server) {
        if (!nn_web_connection_random(connection->web, mask, sizeof mask)) return NECPNET_ERR_NO_ENTROPY;
        masked = mask;
    }
    size_t header = nn_websocket_write_header(frame, opcode, bytes, masked);
    frame[0] = (uint8_t)(frame[0] | flags);
    if (NN_LIKELY(bytes <= NN_WEB_SMALL_BYTES)) {
        nn_copy(frame + header, data, bytes);
        if (masked) nn_websocket_mask(frame + header, bytes, mask);
        return nn_web_connection_write(connection, frame, header + bytes);
    }
    necpnet_result result = nn_web_connection_write(connection, frame, header);
    if (result != NECPNET_OK) return result;
    result =
        masked ? frames_write_masked(connection, data, bytes, mask) : nn_web_connection_write(connection, data, bytes);
    return result == NECPNET_OK ? NECPNET_OK : frames_lost(connection, result); /* half a frame is out */
}

NN_PRIVATE necpnet_result nn_web_frames_send(necpnet_web_connection* connection, nn_websocket_opcode opcode,
                                             const uint8_t* data, size_t bytes)
{
    const necpnet_transport* transport = connection->web->transport;
    if (NN_UNLIKELY(!nn_web_connection_has_room(connection, bytes + NN_WEBSOCKET_HEADER_BYTES_MAX))) {
        if (connection->state == NN_WEB_ENDED) return NECPNET_ERR_INVALID_STATE;
        return frames_lost(connection, NECPNET_ERR_SLOW_READER);
    }
    if (NN_UNLIKELY(nn_web_has_messages(connection->web))) {
        return transport->send_stream(transport->user, connection->stream, data, bytes);
    }
    if (NN_UNLIKELY(connection->websocket.deflate) && opcode < NN_WEBSOCKET_CLOSE) {
        const uint8_t* small = NULL;
        size_t small_bytes = nn_web_deflate_message(connection, data, bytes, &small);
        if (small_bytes) {
            necpnet_result result = frames_write(connection, opcode, NN_WEBSOCKET_COMPRESSED, small, small_bytes);
            nn_web_deflate_sent(connection->web);
            return result;
        }
    }
    return frames_write(connection, opcode, 0, data, bytes);
}

NN_PRIVATE void nn_web_frames_close(necpnet_web_connection* connection, int code, const char* text)
{
    uint8_t payload[NN_WEBSOCKET_CONTROL_BYTES_MAX];
    size_t bytes = 0;
    if (connection->close_sent || !connection->stream) return;
    connection->close_sent = true;
    if (nn_web_has_messages(connection->web)) return; /* closing the stream says it */
    if (code != NN_WEBSOCKET_CODE_NONE) {
        size_t text_bytes = text ? nn_min_size(strlen(text), NN_WEBSOCKET_CLOSE_TEXT_BYTES_MAX) : 0;
        payload[0] = (uint8_t)(code >> 8);
        payload[1] = (uint8_t)code;
        nn_copy(payload + 2, text, text_bytes);
        bytes = 2 + text_bytes;
    }
    (void)frames_write(connection, NN_WEBSOCKET_CLOSE, 0, payload,
                       bytes); /* if it fails, the peer sees the stream end */
}

/* ---- in --------------------------------------------------------------------------------------------------------- */

static void frames_deliver(necpnet_web_connection* connection, const nn_websocket_item* item)
{
    necpnet_web* web = connection->web;
    if (NN_UNLIKELY(connection->is_session)) {
        if (item->opcode == NN_WEBSOCKET_BINARY) {
            web->hooks.on_session_message(web->hooks.user, connection, item->data, item->bytes);
        } else {
            const char* text = "necpnet.v1 has no text messages";
            nn_web_frames_close(connection, 1003, text); /* RFC 6455 7.4.1: a kind of data it cannot accept */
            nn_web_connection_end(connection, NECPNET_ERR_PROTOCOL, 1003, text, false);
        }
    } else if (web->config.handlers.on_message) {
        necpnet_web_kind kind = item->opcode == NN_WEBSOCKET_TEXT ? NECPNET_WEB_TEXT : NECPNET_WEB_BINARY;
        web->config.handlers.on_message(connection, kind, item->data, item->bytes, web->config.handlers.user);
    }
}

/* The peer's close frame. A server ends the stream; a client waits for that (RFC 6455 7.1.1). */
static void frames_closed(necpnet_web_connection* connection, const nn_websocket_item* item)
{
    nn_web_connection_set_close_text(connection, (const char*)item->data, item->bytes); /* one with a NUL is dropped */
    connection->reason = (int16_t)(connection->close_sent ? NECPNET_OK : NECPNET_ERR_CLOSED);
    connection->close_code = (uint16_t)item->code;
    nn_web_frames_close(connection, item->code, NULL);
    connection->close_received = true;
    if (connection->is_server) {
        nn_web_connection_end(connection, (necpnet_result)connection->reason, item->code, NULL, false);
    } else if (connection->state != NN_WEB_ENDED) {
        connection->state = NN_WEB_CLOSING;
        nn_web_connection_set_deadline(connection, connection->web->config.close_timeout_ms);
    }
}

static necpnet_result frames_problem_result(int code)
{
    switch (code) {
    case NN_WEBSOCKET_CODE_BAD_DATA: return NECPNET_ERR_BAD_DATA;
    case NN_WEBSOCKET_CODE_TOO_LARGE: return NECPNET_ERR_MESSAGE_TOO_LARGE;
    case NN_WEBSOCKET_CODE_INTERNAL: return NECPNET_ERR_OUT_OF_MEMORY;
    default: return NECPNET_ERR_PROTOCOL;
    }
}

/* Close with a code and say why. */
static void frames_fail(necpnet_web_connection* connection, int code, const char* problem)
{
    nn_log_write(&connection->web->config.logger, NECPNET_LOG_DEBUG, "web: closed with %d: %s", code, problem);
    nn_web_frames_close(connection, code, problem);
    nn_web_connection_end(connection, frames_problem_result(code), code, problem, false);
}

static void frames_deliver_compressed(necpnet_web_connection* connection, nn_websocket_item* item)
{
    necpnet_web* web = connection->web;
    nn_web_buffer buffer;
    int code = nn_web_deflate_open_message(connection, &buffer, item);
    if (NN_LIKELY(!code)) {
        frames_deliver(connection, item);
    } else {
        frames_fail(connection, code, item->problem);
    }
    nn_web_deflate_close_message(web, &buffer);
}

NN_PRIVATE size_t nn_web_frames_input(necpnet_web_connection* connection, uint8_t* data, size_t bytes)
{
    uint8_t* at = data;
    uint8_t* end = data + bytes;
    nn_websocket_item item;
    while (!connection->is_paused && connection->state != NN_WEB_ENDED) {
        switch (nn_websocket_next(&connection->websocket, &at, end, &item)) {
        case NN_WEBSOCKET_MORE: return bytes;
        case NN_WEBSOCKET_MESSAGE:
            if (NN_UNLIKELY(connection->state != NN_WEB_OPEN)) break; /* closing: of no interest any more */
            if (NN_UNLIKELY(item.compressed)) {
                frames_deliver_compressed(connection, &item);
            } else {
                frames_deliver(connection, &item);
            }
            break;
        case NN_WEBSOCKET_CONTROL:
            if (item.opcode == NN_WEBSOCKET_PING && connection->state == NN_WEB_OPEN) {
                (void)nn_web_frames_send(connection, NN_WEBSOCKET_PONG, item.data, item.bytes);
            }
            break;
        case NN_WEBSOCKET_CLOSED: frames_closed(connection, &item); break;
        case NN_WEBSOCKET_FAILED: frames_fail(connection, item.code, item.problem); break;
        }
    }
    return (size_t)(at - data);
}

/* ---- opening and time ------------------------------------------------------------------------------------------- */

/* Pings of many connections are spread over the last eighth of the interval, never in step. */
static uint64_t frames_ping_ms(necpnet_web* web)
{
    uint64_t ping_ms = web->config.ping_ms;
    return ping_ms - nn_random_below(&web->random, ping_ms / 8 + 1);
}

NN_PRIVATE void nn_web_frames_open(necpnet_web_connection* connection)
{
    necpnet_web* web = connection->web;
    uint32_t bytes_max = connection->is_session ? NN_WEB_SESSION_BYTES_MAX : web->config.message_bytes_max;
    nn_web_connection_give_setup(connection);
    if (NECPNET_WITH_HTTP) {
        nn_websocket_init(&connection->websocket, web->alloc, connection->is_server, bytes_max);
        connection->websocket.deflate = connection->extra && connection->extra->compression.agreed;
    }
    connection->state = NN_WEB_OPEN;
    connection->is_seen = true;
    connection->heard_us = web->now_us;
    bool pings = !nn_web_has_messages(web);
    nn_web_connection_set_deadline(connection, pings ? frames_ping_ms(web) : NN_NEVER);
    if (connection->is_session) {
        web->hooks.on_session_open(web->hooks.user, connection);
    } else if (web->config.handlers.on_open) {
        web->config.handlers.on_open(connection, web->config.handlers.user);
    }
}

NN_PRIVATE void nn_web_frames_wake(necpnet_web_connection* connection)
{
    necpnet_web* web = connection->web;
    if (!NECPNET_WITH_HTTP ||
        connection->state == NN_WEB_CLOSING) { /* pings are the transport's where it has messages */
        nn_web_connection_end(connection, NECPNET_ERR_TIMEOUT, NN_WEBSOCKET_CODE_LOST, NULL, true);
        return;
    }
    if (connection->is_paused) connection->heard_us = web->now_us; /* it is us who do not listen */
    uint64_t timeout_us = (uint64_t)web->config.timeout_ms * 1000;
    uint64_t silence_us = web->now_us - connection->heard_us;
    bool cuts = !connection->is_session; /* a session has timeouts of its own, which know of loading and suspending */
    if (cuts && silence_us >= timeout_us) {
        nn_web_connection_end(connection, NECPNET_ERR_TIMEOUT, NN_WEBSOCKET_CODE_LOST, NULL, true);
        return;
    }
    uint64_t ping_us = frames_ping_ms(web) * 1000;
    uint64_t next_us = connection->heard_us + ping_us;
    if (silence_us >= ping_us - ping_us / 8) {
        (void)nn_web_frames_send(connection, NN_WEBSOCKET_PING, NULL, 0);
        if (connection->state == NN_WEB_ENDED) return;
        next_us = web->now_us + (uint64_t)web->config.ping_ms * 1000;
        if (cuts) next_us = nn_min_u64(connection->heard_us + timeout_us, next_us);
    }
    nn_deadlines_set(&web->deadlines, &connection->deadline, nn_max_u64(next_us, web->now_us + 1000));
}
