/* delay - see delay.h. Both directions are queues in order of time; the endpoint's receive moves what is due. */
#include "delay.h"

#include <stdlib.h>
#include <string.h>

#define DELAY_HELD_BYTES_MAX (4u << 20) /* in both directions together; beyond it a stream ends as a slow reader's */

typedef struct delay_stream {
    struct delay_stream* next;
    wasm_delay* delay;
    void* context; /* of the endpoint */
    necpnet_stream* inner;
    bool gone; /* for the endpoint; freed when nothing of it is held */
    bool closed;
} delay_stream;

typedef struct delay_item {
    struct delay_item* next;
    delay_stream* stream;
    uint64_t due_us;
    bool is_close; /* of a stream that the other side ended; bytes holds the reason */
    necpnet_result reason;
    size_t bytes;
    uint8_t data[];
} delay_item;

typedef struct delay_queue {
    delay_item* first;
    delay_item* last;
} delay_queue;

struct wasm_delay {
    necpnet_transport transport;
    const necpnet_transport* inner;
    necpnet_sink sink;
    delay_stream* streams;
    delay_queue in;
    delay_queue out;
    size_t held_bytes;
    uint64_t now_us;
    uint32_t latency_us;
    uint32_t jitter_us;
    uint32_t random;
};

static uint64_t delay_due(wasm_delay* delay, const delay_queue* queue)
{
    uint64_t due_us = delay->now_us + delay->latency_us;
    delay->random = delay->random * 1664525u + 1013904223u; /* Numerical Recipes; only for the feel of jitter */
    due_us += (uint64_t)(delay->random >> 8) * delay->jitter_us >> 24;
    return queue->last && queue->last->due_us > due_us ? queue->last->due_us : due_us;
}

/* Whether a message must wait: a delay is set, or others wait before it. */
static bool delay_holds(const wasm_delay* delay, const delay_queue* queue)
{
    return queue->first || delay->latency_us > 0 || delay->jitter_us > 0;
}

static delay_item* delay_put(wasm_delay* delay, delay_queue* queue, delay_stream* stream, const uint8_t* data,
                             size_t bytes)
{
    delay_item* item = delay->held_bytes + bytes > DELAY_HELD_BYTES_MAX ? NULL : malloc(sizeof *item + bytes);
    if (!item) return NULL;
    memset(item, 0, sizeof *item);
    item->stream = stream;
    item->due_us = delay_due(delay, queue);
    item->bytes = bytes;
    if (bytes) memcpy(item->data, data, bytes);
    if (queue->last) {
        queue->last->next = item;
    } else {
        queue->first = item;
    }
    queue->last = item;
    delay->held_bytes += bytes;
    return item;
}

static delay_item* delay_take(wasm_delay* delay, delay_queue* queue)
{
    delay_item* item = queue->first;
    if (!item || item->due_us > delay->now_us) return NULL;
    queue->first = item->next;
    if (!queue->first) queue->last = NULL;
    delay->held_bytes -= item->bytes;
    return item;
}

/* Forget everything held of a stream. */
static void delay_forget(wasm_delay* delay, delay_queue* queue, const delay_stream* stream)
{
    delay_item** at = &queue->first;
    queue->last = NULL;
    while (*at) {
        delay_item* item = *at;
        if (item->stream == stream) {
            *at = item->next;
            delay->held_bytes -= item->bytes;
            free(item);
        } else {
            queue->last = item;
            at = &item->next;
        }
    }
}

static void delay_free_gone(wasm_delay* delay)
{
    delay_stream** at = &delay->streams;
    while (*at) {
        delay_stream* stream = *at;
        if (stream->gone) {
            delay_forget(delay, &delay->in, stream);
            delay_forget(delay, &delay->out, stream);
            *at = stream->next;
            free(stream);
        } else {
            at = &stream->next;
        }
    }
}

/* ---- the inner transport's calls -- */

static void delay_on_open(void* context)
{
    delay_stream* stream = context;
    if (!stream->gone) stream->delay->sink.on_open(stream->context);
}

static void delay_end(delay_stream* stream, necpnet_result reason)
{
    if (stream->gone) return;
    stream->gone = true;
    stream->delay->sink.on_close(stream->context, reason);
}

static void delay_on_data(void* context, uint8_t* data, size_t bytes)
{
    delay_stream* stream = context;
    wasm_delay* delay = stream->delay;
    if (stream->gone) return;
    if (!delay_holds(delay, &delay->in)) {
        delay->sink.on_data(stream->context, data, bytes);
    } else if (!delay_put(delay, &delay->in, stream, data, bytes)) { /* a gap must not go unseen */
        delay->inner->close_stream(delay->inner->user, stream->inner, true);
        stream->inner = NULL;
        stream->closed = true;
        delay_end(stream, NECPNET_ERR_SLOW_READER);
    }
}

static void delay_on_writable(void* context)
{
    delay_stream* stream = context;
    if (!stream->gone) stream->delay->sink.on_writable(stream->context);
}

static void delay_on_close(void* context, necpnet_result reason)
{
    delay_stream* stream = context;
    wasm_delay* delay = stream->delay;
    stream->closed = true;
    stream->inner = NULL;
    delay_item* item = stream->gone || !delay->in.first ? NULL : delay_put(delay, &delay->in, stream, NULL, 0);
    if (item) {
        item->is_close = true; /* what came before it comes before it */
        item->reason = reason;
    } else {
        delay_end(stream, reason);
    }
}

/* ---- the endpoint's calls -- */

static necpnet_result delay_attach(void* user, const necpnet_sink* sink)
{
    wasm_delay* delay = user;
    necpnet_sink ours = {delay, NULL, NULL, delay_on_open, delay_on_data, delay_on_writable, delay_on_close, NULL};
    delay->sink = *sink;
    return delay->inner->attach(delay->inner->user, &ours);
}

static void delay_detach(void* user)
{
    wasm_delay* delay = user;
    delay->inner->detach(delay->inner->user);
    for (delay_stream* stream = delay->streams; stream; stream = stream->next) stream->gone = true;
    delay_free_gone(delay);
}

static void delay_release_out(wasm_delay* delay)
{
    for (delay_item* item = delay_take(delay, &delay->out); item; item = delay_take(delay, &delay->out)) {
        delay_stream* stream = item->stream;
        if (!stream->gone && !stream->closed) {
            (void)delay->inner->send_stream(delay->inner->user, stream->inner, item->data, item->bytes);
        }
        free(item);
    }
}

static void delay_receive(void* user, uint64_t now_us)
{
    wasm_delay* delay = user;
    if (now_us > delay->now_us) delay->now_us = now_us;
    delay->inner->receive(delay->inner->user, now_us);
    for (delay_item* item = delay_take(delay, &delay->in); item; item = delay_take(delay, &delay->in)) {
        delay_stream* stream = item->stream;
        if (item->is_close) {
            delay_end(stream, item->reason);
        } else if (!stream->gone) {
            delay->sink.on_data(stream->context, item->data, item->bytes);
        }
        free(item);
    }
    delay_release_out(delay);
    delay_free_gone(delay);
}

static necpnet_result delay_send_datagram(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    wasm_delay* delay = user;
    return delay->inner->send_datagram(delay->inner->user, to, data, bytes);
}

static necpnet_result delay_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    wasm_delay* delay = user;
    return delay->inner->resolve(delay->inner->user, request, host, port);
}

static necpnet_result delay_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                        necpnet_stream** out_stream)
{
    wasm_delay* delay = user;
    delay_stream* stream = calloc(1, sizeof *stream);
    if (!stream) return NECPNET_ERR_OUT_OF_MEMORY;
    stream->delay = delay;
    stream->context = context;
    necpnet_result result = delay->inner->open_stream(delay->inner->user, to, url, stream, &stream->inner);
    if (result != NECPNET_OK) {
        free(stream);
        return result;
    }
    stream->next = delay->streams;
    delay->streams = stream;
    *out_stream = (necpnet_stream*)(void*)stream;
    return NECPNET_OK;
}

static necpnet_result delay_send_stream(void* user, necpnet_stream* name, const uint8_t* data, size_t bytes)
{
    wasm_delay* delay = user;
    delay_stream* stream = (delay_stream*)(void*)name;
    if (stream->gone || stream->closed) return NECPNET_ERR_INVALID_STATE;
    if (delay_holds(delay, &delay->out)) {
        return delay_put(delay, &delay->out, stream, data, bytes) ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
    }
    return delay->inner->send_stream(delay->inner->user, stream->inner, data, bytes);
}

static size_t delay_pending(void* user, necpnet_stream* name)
{
    wasm_delay* delay = user;
    const delay_stream* stream = (const delay_stream*)(const void*)name;
    return stream->closed || !stream->inner ? 0 : delay->inner->pending(delay->inner->user, stream->inner);
}

static void delay_pause(void* user, necpnet_stream* name, bool paused)
{
    wasm_delay* delay = user;
    const delay_stream* stream = (const delay_stream*)(const void*)name;
    if (!stream->closed) delay->inner->pause(delay->inner->user, stream->inner, paused);
}

static void delay_close_stream(void* user, necpnet_stream* name, bool at_once)
{
    wasm_delay* delay = user;
    delay_stream* stream = (delay_stream*)(void*)name;
    if (stream->gone) return;
    stream->gone = true;
    for (delay_item* item = at_once ? NULL : delay->out.first; item; item = item->next) { /* the last words go now */
        if (item->stream != stream || stream->closed) continue;
        (void)delay->inner->send_stream(delay->inner->user, stream->inner, item->data, item->bytes);
    }
    if (!stream->closed) delay->inner->close_stream(delay->inner->user, stream->inner, at_once);
    stream->closed = true;
}

static void delay_flush(void* user)
{
    wasm_delay* delay = user;
    delay_release_out(delay);
    delay->inner->flush(delay->inner->user);
}

wasm_delay* wasm_delay_create(const necpnet_transport* inner)
{
    wasm_delay* delay = calloc(1, sizeof *delay);
    if (!delay) return NULL;
    delay->inner = inner;
    delay->random = 1;
    necpnet_transport transport = {
        delay,
        inner->flags,
        delay_attach,
        delay_detach,
        delay_receive,
        delay_send_datagram,
        delay_resolve,
        delay_open_stream,
        delay_send_stream,
        delay_pending,
        delay_pause,
        delay_close_stream,
        delay_flush,
        NULL,
        NULL,
        NULL,
    };
    delay->transport = transport;
    return delay;
}

void wasm_delay_destroy(wasm_delay* delay)
{
    free(delay); /* detach has freed the streams */
}

const necpnet_transport* wasm_delay_transport(wasm_delay* delay)
{
    return &delay->transport;
}

void wasm_delay_set(wasm_delay* delay, uint32_t latency_us, uint32_t jitter_us)
{
    delay->latency_us = latency_us;
    delay->jitter_us = jitter_us;
}

uint64_t wasm_delay_deadline_us(const wasm_delay* delay)
{
    uint64_t in_us = delay->in.first ? delay->in.first->due_us : UINT64_MAX;
    uint64_t out_us = delay->out.first ? delay->out.first->due_us : UINT64_MAX;
    return in_us < out_us ? in_us : out_us;
}
