/* nn_socket_stream - byte streams of the socket transport: accept, connect, corked writes, back-pressure, closing. */
#include "nn_platform.h"
#include "nn_socket.h"

#if !defined(__EMSCRIPTEN__)

static void stream_list_add(nn_stream_list* list, necpnet_stream* stream)
{
    stream->next = NULL;
    stream->previous = list->last;
    if (list->last) {
        list->last->next = stream;
    } else {
        list->first = stream;
    }
    list->last = stream;
}

static void stream_list_remove(nn_stream_list* list, necpnet_stream* stream)
{
    if (stream->previous) {
        stream->previous->next = stream->next;
    } else {
        list->first = stream->next;
    }
    if (stream->next) {
        stream->next->previous = stream->previous;
    } else {
        list->last = stream->previous;
    }
}

static bool stream_let_go(const necpnet_stream* stream)
{
    return stream->state == NN_STREAM_CLOSING || stream->state == NN_STREAM_DRAINING;
}

static void stream_mark_ready(necpnet_stream* stream, unsigned what)
{
    nn_socket* socket = stream->socket;
    stream->ready_what |= what & (NN_READABLE | NN_WRITABLE);
    if (stream->in_ready) return;
    stream->in_ready = true;
    stream->next_ready = NULL;
    if (socket->ready_last) {
        socket->ready_last->next_ready = stream;
    } else {
        socket->ready_first = stream;
    }
    socket->ready_last = stream;
    socket->ready_count++;
}

static void stream_ready(nn_watch* watch, unsigned what)
{
    stream_mark_ready((necpnet_stream*)(void*)watch, what);
}

static void stream_drop_queue(necpnet_stream* stream)
{
    nn_stream_queue* queue = stream->queue;
    if (queue) nn_alloc_give(&stream->socket->alloc, queue, sizeof *queue + queue->capacity);
    stream->queue = NULL;
}

/* Forget the descriptor and all bytes. The struct stays, for the state says what is left to do with it. */
static void stream_cut(necpnet_stream* stream)
{
    nn_socket_buffers* buffers = (nn_socket_buffers*)stream->socket->loop->buffers;
    if (buffers && buffers->cork_stream == stream) {
        buffers->cork_stream = NULL;
        buffers->cork_bytes = 0;
    }
    if (buffers) nn_socket_drop_kept(buffers, stream);
    if (stream->watch.descriptor == NN_NET_NONE) return;
    nn_loop_watch(stream->socket->loop, &stream->watch, 0);
    nn_net_close(stream->watch.descriptor);
    stream->watch.descriptor = NN_NET_NONE;
    stream_drop_queue(stream);
}

static void stream_kill(necpnet_stream* stream)
{
    nn_socket* socket = stream->socket;
    stream_cut(stream);
    stream_list_remove(stream_let_go(stream) ? &socket->closing : &socket->streams, stream);
    stream->state = NN_STREAM_DEAD;
    stream_mark_ready(stream, 0); /* there it is freed */
}

/* It broke. The endpoint is told in receive; one that the endpoint has let go just ends. */
static void stream_fail(necpnet_stream* stream, necpnet_result reason)
{
    if (stream_let_go(stream)) {
        stream_kill(stream);
        return;
    }
    stream_cut(stream);
    stream->state = NN_STREAM_FAILED;
    stream->reason = (int16_t)reason;
    stream_mark_ready(stream, 0);
}

/* Wish for what the state needs. */
static void stream_wish(necpnet_stream* stream)
{
    unsigned wishes = 0;
    if (stream->state == NN_STREAM_CONNECTING) {
        wishes = NN_WRITABLE;
    } else {
        if (stream->queue) wishes |= NN_WRITABLE;
        if (stream->state == NN_STREAM_DRAINING || (stream->state == NN_STREAM_OPEN && !stream->paused)) {
            wishes |= NN_READABLE;
        }
    }
    necpnet_result result = nn_loop_watch(stream->socket->loop, &stream->watch, wishes);
    if (result != NECPNET_OK) stream_fail(stream, result);
}

/* ---- writing -- */

static uint8_t* stream_queued(necpnet_stream* stream)
{
    return (uint8_t*)(stream->queue + 1) + stream->queue->at;
}

static bool stream_queue_reserve(necpnet_stream* stream, size_t bytes)
{
    nn_stream_queue* queue = stream->queue;
    size_t needed = (queue ? queue->bytes : 0) + bytes;
    if (queue && queue->capacity - queue->at >= needed) return true;
    if (needed > NN_SOCKET_QUEUE_BYTES_MAX) return false;
    if (queue && queue->capacity >= needed && queue->at >= queue->capacity / 2) {
        memmove(queue + 1, stream_queued(stream), queue->bytes);
        queue->at = 0;
        return true;
    }
    size_t capacity = queue ? queue->capacity : 4096 - sizeof *queue;
    while (capacity < needed) capacity = capacity * 2 + sizeof *queue; /* a power of two with the head */
    nn_stream_queue* larger = (nn_stream_queue*)nn_alloc_take(&stream->socket->alloc, sizeof *queue + capacity);
    if (!larger) return false;
    larger->capacity = (uint32_t)capacity;
    if (queue) {
        larger->bytes = queue->bytes;
        memcpy(larger + 1, stream_queued(stream), queue->bytes);
        stream_drop_queue(stream);
    }
    stream->queue = larger;
    return true;
}

static void stream_queue_append(necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    nn_copy(stream_queued(stream) + stream->queue->bytes, data, bytes);
    stream->queue->bytes += (uint32_t)bytes;
}

NN_PRIVATE bool nn_socket_write(necpnet_stream* stream, const uint8_t* first, size_t first_bytes, const uint8_t* second,
                                size_t second_bytes)
{
    size_t sent = 0;
    if (stream->queue) { /* the system took not all of what came before */
        if (!stream_queue_reserve(stream, first_bytes + second_bytes)) {
            stream_fail(stream, NECPNET_ERR_OUT_OF_MEMORY);
            return false;
        }
        stream_queue_append(stream, first, first_bytes);
        if (second_bytes) stream_queue_append(stream, second, second_bytes);
        return true;
    }
    necpnet_result result = nn_net_write(stream->watch.descriptor, first, first_bytes, second, second_bytes, &sent);
    if (result != NECPNET_OK && result != NECPNET_ERR_WOULD_BLOCK) {
        stream_fail(stream, result);
        return false;
    }
    if (sent == first_bytes + second_bytes) return true;
    if (!stream_queue_reserve(stream, first_bytes + second_bytes - sent)) {
        stream_fail(stream, NECPNET_ERR_OUT_OF_MEMORY);
        return false;
    }
    size_t of_first = nn_min_size(sent, first_bytes);
    stream_queue_append(stream, first + of_first, first_bytes - of_first);
    size_t of_second = sent - of_first;
    if (second_bytes) stream_queue_append(stream, second + of_second, second_bytes - of_second);
    stream_wish(stream);
    return stream->state != NN_STREAM_FAILED;
}

NN_PRIVATE void nn_socket_flush_cork(nn_socket_buffers* buffers)
{
    necpnet_stream* stream = buffers->cork_stream;
    size_t bytes = buffers->cork_bytes;
    buffers->cork_stream = NULL;
    buffers->cork_bytes = 0;
    if (stream && bytes) nn_socket_write(stream, buffers->cork, bytes, NULL, 0);
}

NN_PRIVATE necpnet_result nn_socket_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    nn_socket* socket = (nn_socket*)user;
    if (stream->state > NN_STREAM_OPEN || bytes == 0) return NECPNET_OK; /* broken: on_close is on its way */
    nn_socket_buffers* buffers = nn_socket_buffers_of(socket);
    if (!buffers) return NECPNET_ERR_OUT_OF_MEMORY;
    if (stream->queue || stream->state == NN_STREAM_CONNECTING) {
        if (!stream_queue_reserve(stream, bytes)) return NECPNET_ERR_OUT_OF_MEMORY;
        stream_queue_append(stream, data, bytes);
        return NECPNET_OK;
    }
    if (buffers->cork_stream != stream && (stream->kept || stream != buffers->serving)) {
        if (nn_socket_keep(buffers, stream, data, bytes)) return NECPNET_OK;
        nn_socket_flush_kept_of(buffers, stream);
        if (stream->queue || stream->state > NN_STREAM_OPEN) return nn_socket_send_stream(user, stream, data, bytes);
    }
    if (buffers->cork_stream != stream) {
        nn_socket_flush_cork(buffers);
        buffers->cork_stream = stream;
    }
    if (buffers->cork_bytes_max - buffers->cork_bytes >= bytes) {
        memcpy(buffers->cork + buffers->cork_bytes, data, bytes);
        buffers->cork_bytes += bytes;
        return NECPNET_OK;
    }
    size_t corked = buffers->cork_bytes;
    buffers->cork_stream = NULL;
    buffers->cork_bytes = 0;
    bool written = corked ? nn_socket_write(stream, buffers->cork, corked, data, bytes)
                          : nn_socket_write(stream, data, bytes, NULL, 0);
    return written || stream->reason != NECPNET_ERR_OUT_OF_MEMORY ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

NN_PRIVATE size_t nn_socket_pending(void* user, necpnet_stream* stream)
{
    const nn_socket_buffers* buffers = (const nn_socket_buffers*)((nn_socket*)user)->loop->buffers;
    size_t queued = stream->queue ? stream->queue->bytes : 0;
    if (!buffers) return queued;
    size_t corked = buffers->cork_stream == stream ? buffers->cork_bytes : 0;
    return queued + corked + nn_socket_kept_bytes_of(buffers, stream);
}

static void stream_begin_draining(necpnet_stream* stream)
{
    stream->state = NN_STREAM_DRAINING;
    stream_drop_queue(stream);
    nn_net_shut(stream->watch.descriptor);
    stream_wish(stream);
}

static void stream_writable(necpnet_stream* stream)
{
    size_t sent = 0;
    necpnet_result result =
        nn_net_write(stream->watch.descriptor, stream_queued(stream), stream->queue->bytes, NULL, 0, &sent);
    if (result == NECPNET_ERR_WOULD_BLOCK) return;
    if (result != NECPNET_OK) {
        stream_fail(stream, result);
        return;
    }
    stream->queue->at += (uint32_t)sent;
    stream->queue->bytes -= (uint32_t)sent;
    if (stream->queue->bytes) return;
    if (stream->state == NN_STREAM_CLOSING) {
        stream_begin_draining(stream);
        return;
    }
    stream_drop_queue(stream);
    stream_wish(stream);
    if (stream->state == NN_STREAM_OPEN) stream->socket->sink.on_writable(stream->as.context);
}

/* ---- opening -- */

static necpnet_stream* stream_new(nn_socket* socket, int descriptor, nn_stream_state state)
{
    necpnet_stream* stream = (necpnet_stream*)nn_alloc_take(&socket->alloc, sizeof *stream);
    if (!stream) return NULL;
    stream->watch.ready = stream_ready;
    stream->watch.descriptor = descriptor;
    stream->socket = socket;
    stream->state = (uint8_t)state;
    stream_list_add(&socket->streams, stream);
    return stream;
}

NN_PRIVATE necpnet_result nn_socket_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                                necpnet_stream** out_stream)
{
    nn_socket* socket = (nn_socket*)user;
    (void)url;
    if (to->family != NECPNET_ADDRESS_IPV4 && to->family != NECPNET_ADDRESS_IPV6) return NECPNET_ERR_INVALID_ARGUMENT;
    int descriptor = NN_NET_NONE;
    necpnet_result reason = nn_net_open(NN_NET_TCP, to->family == NECPNET_ADDRESS_IPV6, &descriptor);
    if (reason == NECPNET_ERR_UNSUPPORTED) reason = NECPNET_ERR_NETWORK_UNREACHABLE;
    if (reason == NECPNET_OK) nn_net_tune_tcp(descriptor, NN_SOCKET_UNSENT_BYTES_MAX);
    if (reason == NECPNET_OK) reason = nn_net_connect(descriptor, to);
    necpnet_stream* stream = stream_new(socket, descriptor, NN_STREAM_CONNECTING);
    if (!stream) {
        nn_net_close(descriptor);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    stream->as.context = context;
    if (reason == NECPNET_OK) {
        stream_wish(stream);
    } else {
        stream_fail(stream, reason);
    }
    *out_stream = stream;
    return NECPNET_OK;
}

static void stream_connected(necpnet_stream* stream)
{
    necpnet_result result = nn_net_connected(stream->watch.descriptor);
    if (result != NECPNET_OK) {
        stream_fail(stream, result);
        return;
    }
    stream->state = NN_STREAM_OPEN;
    stream_wish(stream);
    if (stream->state == NN_STREAM_OPEN) stream->socket->sink.on_open(stream->as.context);
}

NN_PRIVATE void nn_socket_listening_ready(nn_watch* watch, unsigned what)
{
    nn_socket* socket = (nn_socket*)(void*)((char*)watch - offsetof(nn_socket, listening));
    (void)what;
    socket->listening_ready = true;
}

/* No descriptor is left: give up the spare one, take the connection with it and close it, so that the listener does not
 * stay readable for ever and the peer hears at once. */
static void socket_refuse_one(nn_socket* socket)
{
    socket->statistics.streams_refused++;
    if (!socket->descriptors_said) {
        socket->descriptors_said = true;
        nn_log_write(&socket->logger, NECPNET_LOG_ERROR,
                     "tcp: connections are refused: %s; raise the limit (ulimit -n)",
                     necpnet_result_text(NECPNET_ERR_DESCRIPTORS));
    }
    if (socket->spare_descriptor == NN_NET_NONE) return;
    nn_net_close(socket->spare_descriptor);
    socket->spare_descriptor = NN_NET_NONE;
    necpnet_address from;
    int descriptor = NN_NET_NONE;
    if (nn_net_accept(socket->listening.descriptor, &from, &descriptor) == NECPNET_OK) nn_net_close(descriptor);
    if (nn_net_open(NN_NET_UDP, false, &descriptor) == NECPNET_OK) socket->spare_descriptor = descriptor;
}

/* A stream of somebody who connected; NULL: nobody wants it, and it is closed. */
static necpnet_stream* socket_welcome(nn_socket* socket, int descriptor, const necpnet_address* from)
{
    necpnet_stream* stream = stream_new(socket, descriptor, NN_STREAM_OPEN);
    if (!stream) {
        nn_net_close(descriptor);
        return NULL;
    }
    void* context = socket->sink.on_accept(socket->sink.user, stream, from);
    if (stream->state != NN_STREAM_OPEN) return NULL; /* the sink has closed it, or detached */
    stream->as.context = context;
    if (context) {
        stream_wish(stream);
        return stream;
    }
    stream_kill(stream);
    return NULL;
}

NN_PRIVATE void nn_socket_adopt(nn_socket* socket, int descriptor, const necpnet_address* from, uint8_t* data,
                                size_t bytes)
{
    necpnet_stream* stream = socket_welcome(socket, descriptor, from);
    if (stream && stream->state == NN_STREAM_OPEN) socket->sink.on_data(stream->as.context, data, bytes);
}

NN_PRIVATE bool nn_platform_workers_hand_stream(const necpnet_transport* transport, necpnet_stream* stream,
                                                uint32_t worker, const necpnet_address* from, const uint8_t* data,
                                                size_t bytes)
{
    nn_socket* socket = (nn_socket*)transport->user;
    int descriptor = stream->watch.descriptor;
    if (!socket->workers || worker == socket->worker || stream->state != NN_STREAM_OPEN || stream->queue) return false;
    nn_loop_watch(socket->loop, &stream->watch, 0); /* before another thread has it */
    if (!nn_workers_hand(socket->workers, worker, from, descriptor, data, bytes)) {
        stream_wish(stream);
        return false;
    }
    stream->watch.descriptor = NN_NET_NONE;
    stream_drop_queue(stream);
    return true;
}

NN_PRIVATE void nn_socket_accept(nn_socket* socket)
{
    socket->listening_ready = false;
    for (int i = 0; i < NN_SOCKET_ACCEPTS_A_TURN && socket->attached; i++) {
        necpnet_address from;
        int descriptor = NN_NET_NONE;
        necpnet_result result = nn_net_accept(socket->listening.descriptor, &from, &descriptor);
        if (result == NECPNET_ERR_WOULD_BLOCK) return;
        if (result == NECPNET_ERR_CONNECTION_RESET) continue;
        if (result == NECPNET_ERR_DESCRIPTORS) {
            socket_refuse_one(socket);
            continue;
        }
        if (result != NECPNET_OK) return; /* memory, most likely: it stays readable, the next turn tries again */
        if (socket->spare_descriptor == NN_NET_NONE) {
            int spare = NN_NET_NONE;
            if (nn_net_open(NN_NET_UDP, false, &spare) == NECPNET_OK) socket->spare_descriptor = spare;
        }
        socket->descriptors_said = socket->descriptors_said && socket->spare_descriptor == NN_NET_NONE;
        if (!NN_NET_ACCEPTED_IS_TUNED) nn_net_tune_tcp(descriptor, NN_SOCKET_UNSENT_BYTES_MAX);
        (void)socket_welcome(socket, descriptor, &from);
    }
}

/* ---- serving -- */

static void stream_readable(necpnet_stream* stream, nn_socket_buffers* buffers, size_t bytes_max)
{
    size_t bytes = 0;
    necpnet_result result = nn_net_read(stream->watch.descriptor, buffers->read, bytes_max, &bytes);
    if (result == NECPNET_ERR_WOULD_BLOCK) return;
    if (stream->state == NN_STREAM_DRAINING) {
        if (result != NECPNET_OK) stream_kill(stream);
        return;
    }
    if (result == NECPNET_OK) {
        buffers->serving = stream;
        stream->socket->sink.on_data(stream->as.context, buffers->read, bytes);
        buffers->serving = NULL;
        return;
    }
    if (result != NECPNET_ERR_CLOSED) {
        stream_fail(stream, result);
        return;
    }
    /* The peer has said all; what is still to be sent goes out if it can. */
    nn_socket* socket = stream->socket;
    void* context = stream->as.context;
    nn_socket_close_stream(socket, stream, false);
    socket->sink.on_close(context, NECPNET_ERR_CLOSED);
}

static void stream_tell_failed(necpnet_stream* stream)
{
    nn_socket* socket = stream->socket;
    void* context = stream->as.context;
    necpnet_result reason = (necpnet_result)stream->reason;
    stream_kill(stream);
    socket->sink.on_close(context, reason);
}

static void stream_serve(necpnet_stream* stream, unsigned what, nn_socket_buffers* buffers, size_t bytes_max)
{
    if (stream->state == NN_STREAM_CONNECTING) {
        if (what & NN_WRITABLE) stream_connected(stream);
        what = 0;
    }
    if ((what & NN_WRITABLE) && stream->queue) stream_writable(stream);
    bool reads = stream->state == NN_STREAM_DRAINING || (stream->state == NN_STREAM_OPEN && !stream->paused);
    if ((what & NN_READABLE) && reads) stream_readable(stream, buffers, bytes_max);
}

NN_PRIVATE void nn_socket_serve_streams(nn_socket* socket)
{
    nn_socket_buffers* buffers = nn_socket_buffers_of(socket);
    if (!buffers) return;
    size_t bytes_max = (size_t)buffers->read_slots * NN_SOCKET_READ_SLOT;
    if (socket->ready_count > NN_SOCKET_MANY_READY) bytes_max = nn_min_size(bytes_max, NN_SOCKET_READ_BYTES_SHARED);
    for (uint32_t left = socket->ready_count; left > 0 && socket->ready_first; left--) {
        necpnet_stream* stream = socket->ready_first;
        socket->ready_first = stream->next_ready;
        if (!socket->ready_first) socket->ready_last = NULL;
        socket->ready_count--;
        stream->in_ready = false;
        unsigned what = stream->ready_what;
        stream->ready_what = 0;
        if (stream->state == NN_STREAM_DEAD) {
            nn_alloc_give(&socket->alloc, stream, sizeof *stream);
        } else if (stream->state == NN_STREAM_FAILED) {
            stream_tell_failed(stream);
        } else {
            stream_serve(stream, what, buffers, bytes_max);
        }
    }
}

NN_PRIVATE void nn_socket_pause(void* user, necpnet_stream* stream, bool paused)
{
    (void)user;
    if (stream->state > NN_STREAM_OPEN || stream->paused == paused) return;
    stream->paused = paused;
    if (stream->state == NN_STREAM_OPEN) stream_wish(stream);
}

/* ---- closing -- */

NN_PRIVATE void nn_socket_close_stream(void* user, necpnet_stream* stream, bool at_once)
{
    nn_socket* socket = (nn_socket*)user;
    if (stream->state == NN_STREAM_DEAD || stream_let_go(stream)) return;
    nn_socket_buffers* buffers = (nn_socket_buffers*)socket->loop->buffers;
    if (!at_once && buffers && buffers->cork_stream == stream) nn_socket_flush_cork(buffers);
    if (!at_once && buffers) nn_socket_flush_kept_of(buffers, stream);
    if (at_once || stream->state != NN_STREAM_OPEN) {
        stream_kill(stream);
        return;
    }
    stream_list_remove(&socket->streams, stream);
    stream_list_add(&socket->closing, stream);
    stream->as.until_us = necpnet_time_us() + NN_SOCKET_LINGER_US;
    if (stream->queue) {
        stream->state = NN_STREAM_CLOSING;
        stream_wish(stream);
    } else {
        stream_begin_draining(stream);
    }
}

NN_PRIVATE void nn_socket_expire_streams(nn_socket* socket, uint64_t now_us)
{
    while (socket->closing.first && socket->closing.first->as.until_us <= now_us) stream_kill(socket->closing.first);
}

NN_PRIVATE void nn_socket_end_streams(nn_socket* socket)
{
    while (socket->streams.first) nn_socket_close_stream(socket, socket->streams.first, false);
}

NN_PRIVATE void nn_socket_free_streams(nn_socket* socket)
{
    while (socket->streams.first) stream_kill(socket->streams.first);
    while (socket->closing.first) stream_kill(socket->closing.first);
    while (socket->ready_first) {
        necpnet_stream* stream = socket->ready_first;
        socket->ready_first = stream->next_ready;
        nn_alloc_give(&socket->alloc, stream, sizeof *stream);
    }
    socket->ready_last = NULL;
    socket->ready_count = 0;
}

#endif
