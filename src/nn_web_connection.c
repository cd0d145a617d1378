/* nn_web_connection - life and end of a connection, and its bytes. */
#include "nn_web_connection.h"

#include "nn_platform.h"

/* ---- life ------------------------------------------------------------------------------------------------------- */

NN_PRIVATE necpnet_result nn_web_connection_take(necpnet_web* web, nn_web_state state, necpnet_web_connection** out)
{
    if (web->count >= web->config.connections_max) return NECPNET_ERR_LIMIT_REACHED;
    if (nn_deadlines_reserve(&web->deadlines, web->count + 1) != NECPNET_OK) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_web_connection* connection = (necpnet_web_connection*)nn_alloc_take(web->alloc, sizeof *connection);
    if (!connection) return NECPNET_ERR_OUT_OF_MEMORY;
    connection->web = web;
    connection->state = (uint8_t)state;
    connection->close_code = NN_WEBSOCKET_CODE_LOST;
    connection->heard_us = web->now_us;
    if (NECPNET_WITH_HTTP) nn_websocket_init(&connection->websocket, web->alloc, false, 0);
    connection->next = web->live;
    if (web->live) web->live->previous = connection;
    web->live = connection;
    web->count++;
    *out = connection;
    return NECPNET_OK;
}

NN_PRIVATE bool nn_web_connection_take_setup(necpnet_web_connection* connection)
{
    if (!connection->setup) {
        connection->setup = (nn_web_setup*)nn_alloc_take(connection->web->alloc, sizeof *connection->setup);
    }
    return connection->setup != NULL;
}

NN_PRIVATE void nn_web_connection_give_setup(necpnet_web_connection* connection)
{
    nn_alloc* alloc = connection->web->alloc;
    nn_web_setup* setup = connection->setup;
    if (!setup) return;
    nn_alloc_give(alloc, setup->head, setup->head_capacity);
    nn_alloc_give(alloc, setup->texts, setup->text_bytes);
    nn_alloc_give(alloc, setup, sizeof *setup);
    connection->setup = NULL;
}

static void connection_give_text(nn_alloc* alloc, char* text)
{
    if (text) nn_alloc_give(alloc, text, strlen(text) + 1);
}

static void connection_give_held(necpnet_web_connection* connection)
{
    nn_web_held* held = nn_web_connection_held(connection);
    if (!held) return;
    nn_alloc_give(connection->web->alloc, held->data, held->capacity);
    nn_alloc_give(connection->web->alloc, held, sizeof *held);
    connection->extra->held = NULL;
}

NN_PRIVATE nn_web_extra* nn_web_connection_take_extra(necpnet_web_connection* connection)
{
    if (!connection->extra) {
        connection->extra = (nn_web_extra*)nn_alloc_take(connection->web->alloc, sizeof *connection->extra);
    }
    return connection->extra;
}

static void connection_give_extra(necpnet_web_connection* connection)
{
    nn_alloc* alloc = connection->web->alloc;
    nn_web_extra* extra = connection->extra;
    if (!extra) return;
    connection_give_held(connection);
    if (NECPNET_WITH_HTTP) nn_web_deflate_end_connection(connection);
    connection_give_text(alloc, extra->subprotocol);
    connection_give_text(alloc, extra->close_text);
    nn_alloc_give(alloc, extra, sizeof *extra);
    connection->extra = NULL;
}

NN_PRIVATE void nn_web_connection_set_close_text(necpnet_web_connection* connection, const char* text, size_t bytes)
{
    nn_web_extra* extra = memchr(text, 0, bytes) ? NULL : nn_web_connection_take_extra(connection);
    if (!extra || !bytes) return;
    connection_give_text(connection->web->alloc, extra->close_text);
    extra->close_text = (char*)nn_alloc_take(connection->web->alloc, bytes + 1);
    if (extra->close_text) memcpy(extra->close_text, text, bytes);
}

NN_PRIVATE void nn_web_connection_free(necpnet_web_connection* connection)
{
    necpnet_web* web = connection->web;
    nn_deadlines_set(&web->deadlines, &connection->deadline, NN_NEVER);
    if (connection->is_resumed) web->resumed_count--;
    nn_web_connection_give_setup(connection);
    if (NECPNET_WITH_HTTP) nn_tls_destroy(connection->tls);
    if (NECPNET_WITH_HTTP) nn_websocket_reset(&connection->websocket);
    connection_give_extra(connection);
    nn_alloc_give(web->alloc, connection, sizeof *connection);
    web->count--;
}

static void connection_unlink(necpnet_web_connection* connection)
{
    necpnet_web* web = connection->web;
    if (connection->next) connection->next->previous = connection->previous;
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        web->live = connection->next;
    }
    connection->next = NULL;
    connection->previous = NULL;
}

NN_PRIVATE void nn_web_connection_drop(necpnet_web_connection* connection)
{
    connection_unlink(connection);
    nn_web_connection_free(connection);
}

NN_PRIVATE void nn_web_connection_end(necpnet_web_connection* connection, necpnet_result reason, int code,
                                      const char* text, bool at_once)
{
    necpnet_web* web = connection->web;
    if (connection->state == NN_WEB_ENDED) return;
    if (!connection->close_received) {
        connection->reason = (int16_t)reason;
        connection->close_code = (uint16_t)code;
        bool has_text = connection->extra && connection->extra->close_text;
        if (text && *text && !has_text) nn_web_connection_set_close_text(connection, text, strlen(text));
    }
    connection->state = NN_WEB_ENDED;
    nn_deadlines_set(&web->deadlines, &connection->deadline, NN_NEVER);
    if (connection->stream) {
        if (NECPNET_WITH_HTTP && connection->tls && !at_once) nn_tls_close(connection->tls);
        necpnet_stream* stream = connection->stream;
        connection->stream = NULL;
        web->transport->close_stream(web->transport->user, stream, at_once);
    }
    connection_unlink(connection);
    if (web->ended_last) {
        web->ended_last->next = connection;
    } else {
        web->ended = connection;
    }
    web->ended_last = connection;
}

NN_PRIVATE void nn_web_connection_finish(necpnet_web_connection* connection)
{
    necpnet_web* web = connection->web;
    const char* text = connection->extra && connection->extra->close_text ? connection->extra->close_text : "";
    necpnet_result reason = (necpnet_result)connection->reason;
    if (connection->is_seen && connection->is_session) {
        web->hooks.on_session_close(web->hooks.user, connection, reason, text);
    } else if (connection->is_seen && web->config.handlers.on_close) {
        web->config.handlers.on_close(connection, connection->close_code, text, reason, web->config.handlers.user);
    }
    nn_web_connection_free(connection);
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

NN_PRIVATE necpnet_result nn_web_connection_write(necpnet_web_connection* connection, const uint8_t* data, size_t bytes)
{
    const necpnet_transport* transport = connection->web->transport;
    if (NN_UNLIKELY(!connection->stream)) return NECPNET_ERR_INVALID_STATE;
    if (NECPNET_WITH_HTTP && NN_UNLIKELY(connection->tls != NULL)) return nn_tls_write(connection->tls, data, bytes);
    return transport->send_stream(transport->user, connection->stream, data, bytes);
}

NN_PRIVATE bool nn_web_connection_has_room(necpnet_web_connection* connection, size_t bytes)
{
    const necpnet_transport* transport = connection->web->transport;
    size_t most = connection->web->config.queue_bytes_max;
    if (bytes > most) return false;
    if (NN_LIKELY(transport->pending(transport->user, connection->stream) <= most - bytes)) return true;
    transport->flush(transport->user); /* what is only corked here is not the reader's fault */
    return connection->stream && transport->pending(transport->user, connection->stream) <= most - bytes;
}

/* ---- input ------------------------------------------------------------------------------------------------------ */

static bool connection_hold(necpnet_web_connection* connection, const uint8_t* data, size_t bytes)
{
    nn_alloc* alloc = connection->web->alloc;
    nn_web_extra* extra = nn_web_connection_take_extra(connection);
    if (!extra) return false;
    if (!extra->held) extra->held = (nn_web_held*)nn_alloc_take(alloc, sizeof *extra->held);
    nn_web_held* held = extra->held;
    if (!held) return false;
    if (bytes > held->capacity - held->bytes) {
        size_t capacity = nn_max_size(held->capacity * 2, held->bytes + bytes);
        void* grown = nn_alloc_grow(alloc, held->data, held->capacity, capacity);
        if (!grown) return false;
        held->data = (uint8_t*)grown;
        held->capacity = capacity;
    }
    nn_copy(held->data + held->bytes, data, bytes);
    held->bytes += bytes;
    return true;
}

/* Give bytes to whatever the connection is at, as long as it takes them. Returns how many it took. */
static size_t connection_process(necpnet_web_connection* connection, uint8_t* data, size_t bytes)
{
    const necpnet_web_handlers* handlers = &connection->web->config.handlers;
    size_t used = 0;
    while (used < bytes && !connection->is_paused) {
        uint8_t* at = data + used;
        size_t left = bytes - used;
        switch (connection->state) {
        case NN_WEB_OPEN:
        case NN_WEB_CLOSING: used += nn_web_frames_input(connection, at, left); break;
        case NN_WEB_HEAD: used += nn_web_upgrade_input(connection, at, left); break;
        case NN_WEB_UPGRADING: used += nn_web_upgrade_answer_input(connection, at, left); break;
        case NN_WEB_RAW_BYTES:
            if (handlers->on_raw) handlers->on_raw(connection, at, left, handlers->user);
            used = bytes;
            break;
        default: return bytes; /* ended: the rest is of no interest */
        }
    }
    return used;
}

NN_PRIVATE void nn_web_connection_input(necpnet_web_connection* connection, uint8_t* data, size_t bytes)
{
    size_t used = 0;
    if (NN_LIKELY(!connection->is_paused && !nn_web_connection_held(connection)))
        used = connection_process(connection, data, bytes);
    if (NN_UNLIKELY(used < bytes) && connection->state != NN_WEB_ENDED &&
        !connection_hold(connection, data + used, bytes - used)) {
        nn_web_connection_end(connection, NECPNET_ERR_OUT_OF_MEMORY, NN_WEBSOCKET_CODE_LOST, NULL, true);
    }
}

NN_PRIVATE void nn_web_connection_resume(necpnet_web_connection* connection)
{
    nn_web_held* held = nn_web_connection_held(connection);
    if (!NECPNET_WITH_HTTP || !held) return;
    size_t used = connection_process(connection, held->data, held->bytes);
    if (used == held->bytes || connection->state == NN_WEB_ENDED) {
        connection_give_held(connection);
    } else if (used) {
        memmove(held->data, held->data + used, held->bytes - used);
        held->bytes -= used;
    }
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

NN_PRIVATE void nn_web_connection_set_deadline(necpnet_web_connection* connection, uint64_t in_ms)
{
    necpnet_web* web = connection->web;
    uint64_t at_us = in_ms == NN_NEVER ? NN_NEVER : web->now_us + in_ms * 1000;
    connection->unstarted_ms = 0;
    if (!web->inside && in_ms != NN_NEVER) {
        connection->unstarted_ms = (uint32_t)in_ms;
        web->has_unstarted = true;
        at_us = web->now_us; /* so that the next update comes soon */
    }
    nn_deadlines_set(&web->deadlines, &connection->deadline, at_us);
}

NN_PRIVATE void nn_web_connection_start_waits(necpnet_web* web)
{
    web->has_unstarted = false;
    for (necpnet_web_connection* at = web->live; at; at = at->next) {
        if (!at->unstarted_ms) continue;
        at->heard_us = web->now_us;
        nn_web_connection_set_deadline(at, at->unstarted_ms);
    }
}

NN_PRIVATE void nn_web_connection_wake(necpnet_web_connection* connection)
{
    switch (connection->state) {
    case NN_WEB_HEAD:
        if (!NECPNET_WITH_HTTP) break; /* nobody is accepted */
        nn_web_connection_drop_told(connection->web, &connection->address, NECPNET_DROP_HANDSHAKE_TIMEOUT);
        if (connection->setup && connection->setup->head_bytes) {
            nn_web_upgrade_refuse(connection, 408, NULL, NULL, NECPNET_ERR_TIMEOUT);
        } else { /* nothing was said: no answer */
            nn_web_connection_end(connection, NECPNET_ERR_TIMEOUT, NN_WEBSOCKET_CODE_LOST, NULL, true);
        }
        break;
    case NN_WEB_CONNECTING: nn_web_connect_next(connection, NECPNET_ERR_TIMEOUT); break;
    case NN_WEB_OPEN:
    case NN_WEB_CLOSING: nn_web_frames_wake(connection); break;
    default: nn_web_connection_end(connection, NECPNET_ERR_TIMEOUT, NN_WEBSOCKET_CODE_LOST, NULL, true); break;
    }
}

NN_PRIVATE void nn_web_connection_drop_told(necpnet_web* web, const necpnet_address* from, necpnet_drop drop)
{
    if (web->hooks.on_drop) web->hooks.on_drop(web->hooks.user, from, drop);
}

NN_PRIVATE bool nn_web_connection_random(necpnet_web* web, void* to, size_t bytes)
{
    NN_ASSERT(bytes <= sizeof web->entropy);
    if (web->entropy_left < bytes) {
        const necpnet_entropy* entropy = &web->config.entropy;
        if (!entropy->fill || !entropy->fill(web->entropy, sizeof web->entropy, entropy->user)) return false;
        web->entropy_left = sizeof web->entropy;
    }
    web->entropy_left -= bytes;
    memcpy(to, web->entropy + web->entropy_left, bytes);
    nn_wipe(web->entropy + web->entropy_left, bytes);
    return true;
}
