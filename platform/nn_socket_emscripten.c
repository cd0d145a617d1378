/* nn_socket_emscripten - in a browser (page or worker): the transport over the browser's WebSocket, and what there cannot be.
 *
 * The browser does TLS, the upgrade and the framing; a stream carries whole binary messages (NECPNET_TRANSPORT_MESSAGES).
 * Its events come between our calls: JavaScript keeps them in a queue a stream, which receive empties into the sink. No
 * state is global: the streams of a transport hang on the module's object `necpnetStreams` under numbers of their own.
 *
 * What a program may set on its Module: WebSocket (another class than the browser's, for tests) and necpnetWake (a
 * function that is called when something has arrived, to call update soon).
 */
#include "nn_alloc.h"
#include "nn_bytes.h"
#include "nn_log.h"

#if defined(__EMSCRIPTEN__)

#include <emscripten.h>

#define BROWSER_MESSAGE_BYTES_MAX 65536  /* a larger message ends the stream: those of necpnet.v1 have 16 KB at most */
#define BROWSER_QUEUE_BYTES_MAX 16777216 /* arrived and not yet received, e.g. in a page that sleeps: ends the stream */

/* What nn_browser_open answers besides a stream's number. */
#define BROWSER_ABSENT 0     /* no WebSocket here */
#define BROWSER_FORBIDDEN -1 /* ws:// from a page that came by https:// */
#define BROWSER_BAD_URL -2

/* Bits of nn_browser_state. */
#define BROWSER_OPENED 1
#define BROWSER_CLOSED 2

/* EM_JS makes a function without prototype for the text of each. */
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wstrict-prototypes"
#pragma clang diagnostic ignored "-Wmissing-prototypes"
#endif

/* clang-format off */
EM_JS(int, nn_browser_open, (const char* url_text, int message_bytes_max, int queue_bytes_max), {
    var Socket = Module["WebSocket"] || globalThis["WebSocket"];
    if (!Socket) return 0;
    var url = UTF8ToString(url_text);
    var socket;
    try {
        socket = new Socket(url, ["necpnet.v1"]);
    } catch (error) {
        return error && error["name"] === "SecurityError" ? -1 : -2;
    }
    var streams = Module["necpnetStreams"] || (Module["necpnetStreams"] = {next: 1, live: {}});
    var stream = {socket: socket, queue: [], bytes: 0, state: 0, code: 0, text: ""};
    var number = streams.next++;
    var wake = function() {
        if (Module["necpnetWake"]) Module["necpnetWake"]();
    };
    var end = function(code, text) {
        if (stream.state & 2) return;
        stream.state |= 2;
        stream.code = code;
        stream.text = text;
        try {
            socket.close(code === 1009 || code === 1003 ? 3000 + (code - 1000) : 1000);
        } catch (error) {
        }
        wake();
    };
    socket.binaryType = "arraybuffer";
    socket.onopen = function() {
        if (stream.state & 2) return;
        if (socket.protocol !== "necpnet.v1") return end(4000, "");
        stream.state |= 1;
        wake();
    };
    socket.onmessage = function(event) {
        if (stream.state & 2) return;
        if (typeof event.data === "string") return end(1003, "");
        if (event.data.byteLength > message_bytes_max) return end(1009, "");
        if (stream.bytes + event.data.byteLength > queue_bytes_max) return end(4001, "");
        stream.queue.push(new Uint8Array(event.data));
        stream.bytes += event.data.byteLength;
        wake();
    };
    socket.onclose = function(event) {
        if (stream.state & 2) return;
        stream.state |= 2;
        stream.code = event.code || 1006;
        stream.text = event.reason || "";
        wake();
    };
    socket.onerror = function() {}; /* close follows, with all that a page may know */
    streams.live[number] = stream;
    return number;
})

EM_JS(int, nn_browser_state, (int number), {
    return Module["necpnetStreams"].live[number].state;
})

/* The size of the next message, -1 if there is none. */
EM_JS(int, nn_browser_next, (int number), {
    var queue = Module["necpnetStreams"].live[number].queue;
    return queue.length ? queue[0].byteLength : -1;
})

EM_JS(void, nn_browser_take, (int number, uint8_t* to), {
    var stream = Module["necpnetStreams"].live[number];
    var message = stream.queue.shift();
    stream.bytes -= message.byteLength;
    HEAPU8.set(message, to);
})

EM_JS(int, nn_browser_close_code, (int number), {
    return Module["necpnetStreams"].live[number].code;
})

EM_JS(int, nn_browser_is_offline, (void), {
    var browser = globalThis["navigator"];
    return browser && browser["onLine"] === false ? 1 : 0;
})

EM_JS(int, nn_browser_send, (int number, const uint8_t* data, int bytes), {
    try {
        Module["necpnetStreams"].live[number].socket.send(HEAPU8.slice(data, data + bytes));
        return 1;
    } catch (error) {
        return 0;
    }
})

EM_JS(double, nn_browser_pending, (int number), {
    return Module["necpnetStreams"].live[number].socket.bufferedAmount || 0;
})

/* Forget a stream; the browser sends what it holds, then closes. */
EM_JS(void, nn_browser_close, (int number), {
    var streams = Module["necpnetStreams"];
    var stream = streams.live[number];
    delete streams.live[number];
    stream.state |= 2;
    stream.queue.length = 0;
    try {
        stream.socket.close(1000);
    } catch (error) {
    }
})
/* clang-format on */

#if defined(__clang__)
#pragma clang diagnostic pop
#endif

struct necpnet_stream {
    struct necpnet_stream* next; /* in browser->streams */
    void* context;
    int number;
    int16_t refused; /* open failed in this way; told in the next receive */
    bool opened;     /* the sink knows */
    bool paused;
    bool was_pending;
    bool gone; /* freed when receive is done with the list */
};

typedef struct browser {
    necpnet_transport transport; /* first */
    nn_alloc alloc;
    necpnet_logger logger;
    bool attached;
    bool receiving;
    necpnet_sink sink;
    necpnet_stream* streams;
    uint8_t message[BROWSER_MESSAGE_BYTES_MAX];
} browser;

static necpnet_result browser_attach(void* user, const necpnet_sink* sink)
{
    browser* self = (browser*)user;
    if (self->attached) return NECPNET_ERR_INVALID_STATE;
    self->sink = *sink;
    self->attached = true;
    return NECPNET_OK;
}

static void browser_let_go(necpnet_stream* stream)
{
    if (stream->gone) return;
    stream->gone = true;
    if (stream->number > 0) nn_browser_close(stream->number);
}

static void browser_free_gone(browser* self)
{
    necpnet_stream** at = &self->streams;
    while (*at) {
        necpnet_stream* stream = *at;
        if (stream->gone) {
            *at = stream->next;
            nn_alloc_give(&self->alloc, stream, sizeof *stream);
        } else {
            at = &stream->next;
        }
    }
}

static void browser_detach(void* user)
{
    browser* self = (browser*)user;
    for (necpnet_stream* stream = self->streams; stream; stream = stream->next) browser_let_go(stream);
    if (!self->receiving) browser_free_gone(self);
    self->attached = false;
}

/* What a page may know of the reason. 1006 hides it before the upgrade (WHATWG WebSockets, "fail the connection"). */
static necpnet_result browser_reason(const necpnet_stream* stream)
{
    int code = nn_browser_close_code(stream->number);
    if (code == 4000) return NECPNET_ERR_UPGRADE_REFUSED;
    if (code == 4001) return NECPNET_ERR_SLOW_READER;
    if (!stream->opened && code == 1006) {
        return nn_browser_is_offline() ? NECPNET_ERR_NETWORK_UNREACHABLE : NECPNET_ERR_CONNECTION_REFUSED;
    }
    switch (code) { /* RFC 6455 7.4.1 */
    case 1000:
    case 1001: return NECPNET_ERR_CLOSED;
    case 1002:
    case 1003:
    case 1007:
    case 1009:
    case 1010: return NECPNET_ERR_PROTOCOL;
    case 1008: return NECPNET_ERR_REFUSED;
    case 1015: return NECPNET_ERR_TLS;
    default: return NECPNET_ERR_CONNECTION_RESET;
    }
}

static void browser_end(browser* self, necpnet_stream* stream, necpnet_result reason)
{
    void* context = stream->context;
    browser_let_go(stream);
    self->sink.on_close(context, reason);
}

/* Everything of one stream. The sink may close it, or open others, inside each call. */
static void browser_serve(browser* self, necpnet_stream* stream)
{
    if (stream->refused) {
        browser_end(self, stream, (necpnet_result)stream->refused);
        return;
    }
    int state = nn_browser_state(stream->number);
    if ((state & BROWSER_OPENED) && !stream->opened) {
        stream->opened = true;
        self->sink.on_open(stream->context);
    }
    while (!stream->gone && !stream->paused) {
        int bytes = nn_browser_next(stream->number);
        if (bytes < 0) break;
        nn_browser_take(stream->number, self->message);
        self->sink.on_data(stream->context, self->message, (size_t)bytes);
    }
    if (stream->gone) return;
    if (stream->was_pending && nn_browser_pending(stream->number) < 1) {
        stream->was_pending = false;
        self->sink.on_writable(stream->context);
    }
    if (stream->gone || stream->paused || !(nn_browser_state(stream->number) & BROWSER_CLOSED)) return;
    browser_end(self, stream, browser_reason(stream));
}

static void browser_receive(void* user, uint64_t now_us)
{
    browser* self = (browser*)user;
    (void)now_us;
    if (!self->attached || self->receiving) return;
    self->receiving = true;
    for (necpnet_stream* stream = self->streams; stream; stream = stream->next) {
        if (!stream->gone) browser_serve(self, stream);
    }
    self->receiving = false;
    browser_free_gone(self);
}

static necpnet_result browser_send_datagram(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    (void)user;
    (void)to;
    (void)data;
    (void)bytes;
    return NECPNET_ERR_UNSUPPORTED;
}

static necpnet_result browser_resolve(void* user, uint64_t request, const char* host, uint16_t port)
{
    (void)user;
    (void)request;
    (void)host;
    (void)port;
    return NECPNET_ERR_UNSUPPORTED; /* the browser resolves inside open_stream */
}

static necpnet_result browser_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                          necpnet_stream** out_stream)
{
    browser* self = (browser*)user;
    (void)to;
    if (!url) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_stream* stream = (necpnet_stream*)nn_alloc_take(&self->alloc, sizeof *stream);
    if (!stream) return NECPNET_ERR_OUT_OF_MEMORY;
    stream->context = context;
    stream->number = nn_browser_open(url, BROWSER_MESSAGE_BYTES_MAX, BROWSER_QUEUE_BYTES_MAX);
    if (stream->number == BROWSER_FORBIDDEN) {
        nn_log_write(&self->logger, NECPNET_LOG_ERROR, "a page that came by https:// may not open %s: use wss://", url);
        stream->refused = NECPNET_ERR_PERMISSION;
    } else if (stream->number == BROWSER_BAD_URL) {
        stream->refused = NECPNET_ERR_BAD_URL;
    } else if (stream->number == BROWSER_ABSENT) {
        stream->refused = NECPNET_ERR_UNSUPPORTED;
    }
    stream->next = self->streams;
    self->streams = stream;
    *out_stream = stream;
    return NECPNET_OK;
}

static necpnet_result browser_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    (void)user;
    if (stream->gone || stream->number <= 0) return NECPNET_ERR_INVALID_STATE;
    if (!nn_browser_send(stream->number, data, (int)bytes)) return NECPNET_ERR_INVALID_STATE; /* before on_open */
    stream->was_pending = true;
    return NECPNET_OK;
}

static size_t browser_pending(void* user, necpnet_stream* stream)
{
    (void)user;
    return stream->gone || stream->number <= 0 ? 0 : (size_t)nn_browser_pending(stream->number);
}

static void browser_pause(void* user, necpnet_stream* stream, bool paused)
{
    (void)user;
    stream->paused = paused;
}

static void browser_close_stream(void* user, necpnet_stream* stream, bool at_once)
{
    browser* self = (browser*)user;
    (void)at_once; /* a page cannot reset a connection */
    browser_let_go(stream);
    if (!self->receiving) browser_free_gone(self);
}

static void browser_flush(void* user)
{
    (void)user; /* send gave all to the browser */
}

necpnet_result necpnet_socket_config_default(necpnet_socket_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->logger.level = NECPNET_LOG_OFF;
    config->bind_address = "::";
    config->udp_port = -1;
    config->tcp_port = -1;
    config->socket_buffer_bytes = 4u << 20;
    return NECPNET_OK;
}

necpnet_result necpnet_socket_create(const necpnet_socket_config* config, const necpnet_transport** out_transport)
{
    nn_alloc alloc;
    if (!config || !out_transport) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (config->tcp_port >= 0 || config->udp_port > 0 || config->loop) {
        nn_log_write(&config->logger, NECPNET_LOG_ERROR, "a browser cannot listen; tcp_port and udp_port must be -1");
        return NECPNET_ERR_BAD_CONFIG;
    }
    nn_alloc_init(&alloc, &config->allocator);
    browser* self = (browser*)nn_alloc_take(&alloc, sizeof *self);
    if (!self) return NECPNET_ERR_OUT_OF_MEMORY;
    self->alloc = alloc;
    self->logger = config->logger;
    necpnet_transport* transport = &self->transport;
    transport->user = self;
    transport->flags = NECPNET_TRANSPORT_STREAMS | NECPNET_TRANSPORT_MESSAGES;
    transport->attach = browser_attach;
    transport->detach = browser_detach;
    transport->receive = browser_receive;
    transport->send_datagram = browser_send_datagram;
    transport->resolve = browser_resolve;
    transport->open_stream = browser_open_stream;
    transport->send_stream = browser_send_stream;
    transport->pending = browser_pending;
    transport->pause = browser_pause;
    transport->close_stream = browser_close_stream;
    transport->flush = browser_flush;
    *out_transport = transport;
    return NECPNET_OK;
}

void necpnet_socket_destroy(const necpnet_transport* transport)
{
    if (!transport) return;
    browser* self = (browser*)transport->user;
    browser_detach(self);
    nn_alloc alloc = self->alloc;
    nn_alloc_give(&alloc, self, sizeof *self);
}

#endif
