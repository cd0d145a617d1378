/* necpnet - real-time multiplayer networking in two files: necpnet.h and necpnet.c.
 *
 * This header is the manual. What it holds, in order:
 *
 *    1  basics              version, results, memory, logging, addresses
 *    2  channels            how messages travel
 *    3  events, statistics  what an endpoint reports
 *    4  client
 *    5  server
 *    6  connect tokens      who may connect, made by a backend
 *    7  state sync          schema, world (server), view (client)
 *    8  transport           how an endpoint reaches a network; the simulated link
 *    9  web                 HTTP upgrade and WebSocket for servers and clients of any kind
 *   10  platform            clock, loop, sockets, runner
 *   11  pool                several connections, shared by address
 *   12  presence            who is here, and who hears of it
 *   13  voice               speech between players
 *
 * How to build
 *
 *    cc -std=c11 -c necpnet.c                                  WebSocket and plaintext UDP, nothing but a C library
 *    cc -std=c11 -DNECPNET_WITH_MBEDTLS=1 -c necpnet.c         with encryption (link mbedtls mbedx509 mbedcrypto)
 *    cc -std=c11 -DNECPNET_WITH_SODIUM=1 -c necpnet.c          the same, UDP alone, several times faster (link sodium)
 *    NECPNET_WITH_MBEDTLS SODIUM LZ4 ZLIB CJSON OPUS SPEEXDSP  each 0 (default) or 1
 *    NECPNET_WITH_PLATFORM UDP HTTP SERVER VOICE               each 1 (default) or 0
 *
 * How it is driven
 *
 *    Every instance lives on the thread that owns it. The application calls update() with a monotonic time, then polls
 *    events. Nothing blocks but the functions named wait and run. Callbacks fire only inside update (or dispatch).
 *
 *    for (;;) {
 *        necpnet_client_update(client, necpnet_time_us());
 *        while (necpnet_client_poll(client, &event)) { ... }
 *        draw();
 *    }
 *
 * How a block below is read
 *
 *    Thread     owner: the thread that owns the instance.  any: any thread at any time.
 *    Callback   safe: may be called from a callback of the same instance.  no: may not.
 *    Allocates  whether it may take memory from the instance's allocator.
 *    borrowed until return | copied | taken | a view until X: who owns a pointer.
 *
 * Units are in the names: _us microseconds, _ms milliseconds, _bytes, _hz, _ppm millionths.
 */
#ifndef NECPNET_H
#define NECPNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------------- 1 basics -- */

#define NECPNET_VERSION_MAJOR 0
#define NECPNET_VERSION_MINOR 1
#define NECPNET_VERSION_PATCH 0
#define NECPNET_VERSION_TEXT "0.1.0"
#define NECPNET_PROTOCOL_VERSION 1 /* on the wire; src/PROTOCOL.md */

/* Where every exported function is declared; a shared library's build sets it. */
#ifndef NECPNET_API
#define NECPNET_API
#endif

/* Limits of the protocol and of this build. What breaks when one is changed stands beside it. */
#define NECPNET_CHANNELS_MAX 64                /* 6 bits on the wire */
#define NECPNET_MESSAGE_BYTES_MAX (1u << 20)   /* any channel's message_bytes_max may be at most this */
#define NECPNET_MESSAGE_BYTES_DEFAULT 65536u   /* a channel's message_bytes_max unless it says otherwise */
#define NECPNET_NAME_BYTES_MAX 63              /* name of a named message, without NUL; 6 bits on the wire */
#define NECPNET_REASON_BYTES_MAX 120           /* text of a close reason, without NUL */
#define NECPNET_URLS_MAX 16                    /* addresses of one connect or one token */
#define NECPNET_URL_BYTES_MAX 255              /* one address as text, without NUL */
#define NECPNET_TOKEN_KEY_BYTES 32             /* a key that seals connect tokens */
#define NECPNET_TOKEN_TEXT_BYTES_MAX 2048      /* a token bundle as text, with NUL */
#define NECPNET_TOKEN_ID_BYTES 16              /* what names a connect token, in order to revoke it */
#define NECPNET_USER_DATA_BYTES 64             /* application bytes inside a connect token */
#define NECPNET_JSON_DEPTH_MAX 32              /* arrays and objects within each other in a text of JSON */
#define NECPNET_JSON_BYTES_MAX (4u << 20)      /* of a text of JSON */
#define NECPNET_DATAGRAM_BYTES_MAX 65507       /* largest UDP payload over IPv4 */
#define NECPNET_DATAGRAM_BYTES_DEFAULT 1200    /* to begin with: fits every IPv6 path (RFC 9000 14) */
#define NECPNET_DATAGRAM_BYTES_ETHERNET 1472   /* default of datagram_bytes_max: Ethernet's 1,500 less IPv4 and UDP */
#define NECPNET_ADDRESS_TEXT_BYTES_MAX 64      /* "[address%scope]:port" with NUL */

/* Results. 0 is success; -1.. the caller's mistake; -100.. the peer or the wire; -200.. the environment; -500.. fatal,
 * only destroy remains. Outputs are trailing pointers, written only on success. */
#define NECPNET_RESULTS(X) \
    X(OK, 0, "ok") \
    X(ERR_INVALID_ARGUMENT, -1, "an argument is out of its documented range; nothing was changed") \
    X(ERR_INVALID_STATE, -2, "the call does not fit the instance's present state; see the function's block") \
    X(ERR_NOT_CONNECTED, -3, "not connected; wait for EVENT_CONNECTED") \
    X(ERR_WOULD_BLOCK, -4, "the queue is full; nothing was queued; retry after the next update") \
    X(ERR_NO_SUCH_CHANNEL, -5, "the channel is not in the configured channel table") \
    X(ERR_MESSAGE_TOO_LARGE, -6, "the message is larger than the channel's message_bytes_max") \
    X(ERR_NOT_FOUND, -7, "no such peer, entity, group or name (it may have gone)") \
    X(ERR_BUFFER_TOO_SMALL, -8, "the caller's buffer is too small") \
    X(ERR_BAD_CONFIG, -9, "a configuration field is out of range; the log names it") \
    X(ERR_BAD_STRUCT_BYTES, -10, "the config was not filled by its _config_default function, or by another version") \
    X(ERR_LIMIT_REACHED, -11, "a configured limit is reached; raise it or release something") \
    X(ERR_UNSUPPORTED, -12, "this build or this platform lacks the feature; see NECPNET_WITH_*") \
    X(ERR_BAD_URL, -13, "the address is not of the form udp://host:port, ws://host:port/path or wss://host:port/path") \
    X(ERR_BAD_SCHEMA, -14, "the schema is refused; the log names the type and field") \
    X(ERR_ALREADY_EXISTS, -15, "it exists already") \
    X(ERR_OUT_OF_RANGE, -16, "a value is outside its field's range") \
    X(ERR_BAD_TOKEN_TEXT, -17, "the text is not a connect token bundle; it may be cut or from another version") \
    X(ERR_NO_ANSWER, -100, "no answer: server down, port wrong or blocked, token refused in silence (key, server id, " \
                           "clock) or another protocol version") \
    X(ERR_REFUSED, -101, "the server refused; the text says why") \
    X(ERR_VERSION_DIFFERS, -102, "the peer speaks another protocol version") \
    X(ERR_TOKEN_EXPIRED, -103, "the connect token has expired; fetch a new one, and check both clocks") \
    X(ERR_TOKEN_INVALID, -104, "the connect token or credential is not valid for this server") \
    X(ERR_TOKEN_FOREIGN, -105, "the connect token is for another server") \
    X(ERR_TOKEN_SPENT, -106, "the connect token was used before; each connects once") \
    X(ERR_TOKEN_MISSING, -107, "the server wants a connect token or credential") \
    X(ERR_SERVER_FULL, -108, "the server is full") \
    X(ERR_PROTOCOL, -109, "the peer broke the protocol; the text names how") \
    X(ERR_CHANNELS_DIFFER, -110, "client and server have different channel tables; the text names the first difference") \
    X(ERR_SCHEMA_DIFFERS, -111, "client and server have incompatible schemas; the text names the first difference") \
    X(ERR_TIMEOUT, -112, "nothing was heard from the peer for the configured time") \
    X(ERR_CLOSED, -113, "closed by the peer in good order") \
    X(ERR_KICKED, -114, "the server ended the session; code and text are the application's") \
    X(ERR_DRAINING, -115, "the server is shutting down; connect again, perhaps elsewhere") \
    X(ERR_RATE_LIMITED, -116, "too many requests; slow down") \
    X(ERR_REPLACED, -117, "the same user connected again elsewhere") \
    X(ERR_SLOW_READER, -118, "the peer did not read fast enough and its queue was full") \
    X(ERR_UPGRADE_REFUSED, -119, "the HTTP server answered, but did not upgrade to WebSocket; check port and path") \
    X(ERR_NOT_HTTP, -120, "the other side does not speak HTTP; check port and scheme") \
    X(ERR_TLS, -121, "the TLS handshake failed; the log has the cause") \
    X(ERR_CERTIFICATE, -122, "the server's certificate is not trusted or not for this host name") \
    X(ERR_BAD_DATA, -123, "received data does not decode") \
    X(ERR_SESSION_LOST, -124, "the server no longer has the session") \
    X(ERR_TOKEN_REVOKED, -125, "the connect token, or all of this user, was revoked; a new one is needed") \
    X(ERR_OUT_OF_MEMORY, -200, "the allocator gave no memory") \
    X(ERR_HOST_UNKNOWN, -201, "the host name does not resolve") \
    X(ERR_CONNECTION_REFUSED, -202, "nobody listens at that address and port") \
    X(ERR_NETWORK_UNREACHABLE, -203, "no route to that address") \
    X(ERR_ADDRESS_IN_USE, -204, "the port is in use by another program") \
    X(ERR_PERMISSION, -205, "the operating system does not permit it") \
    X(ERR_IO, -206, "the operating system reported an error; the log has it") \
    X(ERR_NO_ENTROPY, -207, "no source of random bytes") \
    X(ERR_DESCRIPTORS, -208, "no more file descriptors") \
    X(ERR_FILE, -209, "a file cannot be read; the log names it") \
    X(ERR_BAD_CERTIFICATE_FILE, -210, "the certificate or key file does not parse, or they do not fit each other") \
    X(ERR_CONNECTION_RESET, -211, "the connection was reset by the peer or the network") \
    X(ERR_INTERNAL, -500, "an invariant of the library broke; destroy the instance and report it")

typedef enum necpnet_result {
#define NECPNET_RESULT_ENUM(name, value, text) NECPNET_##name = value,
    NECPNET_RESULTS(NECPNET_RESULT_ENUM)
#undef NECPNET_RESULT_ENUM
} necpnet_result;

/* necpnet_result_name - "ERR_TIMEOUT" for NECPNET_ERR_TIMEOUT.
 *
 * Returns  static text; "ERR_UNKNOWN" for a number that is no result.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API const char* necpnet_result_name(necpnet_result result);

/* necpnet_result_text - one sentence for people, with the way out.
 *
 * Returns  static text.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API const char* necpnet_result_text(necpnet_result result);

/* necpnet_version - version and switches of the compiled library, e.g. "0.1.0 mbedtls lz4 platform".
 *
 * Returns  static text.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API const char* necpnet_version(void);

/* Memory. Both functions or neither (all zero: malloc and free). allocate returns memory aligned as malloc's, or NULL;
 * release gets the size that was asked for. Called on the owner's thread (a runner: on its I/O thread as well). */
typedef struct necpnet_allocator {
    void* (*allocate)(size_t bytes, void* user);
    void (*release)(void* memory, size_t bytes, void* user);
    void* user;
} necpnet_allocator;

typedef enum necpnet_log_level {
    NECPNET_LOG_TRACE = 0,
    NECPNET_LOG_DEBUG = 1,
    NECPNET_LOG_INFO = 2,
    NECPNET_LOG_WARNING = 3,
    NECPNET_LOG_ERROR = 4,
    NECPNET_LOG_OFF = 5
} necpnet_log_level;

/* Logging. write gets one line without a line break, a view until it returns; NULL is silent. */
typedef struct necpnet_logger {
    void (*write)(necpnet_log_level level, const char* line, void* user);
    void* user;
    necpnet_log_level level; /* lines below are not made */
} necpnet_logger;

/* Random bytes for keys. fill returns false when it cannot; NULL uses the platform's source (ERR_NO_ENTROPY without). A
 * simulation gives a seeded one. */
typedef struct necpnet_entropy {
    bool (*fill)(void* to, size_t bytes, void* user);
    void* user;
} necpnet_entropy;

typedef enum necpnet_address_family {
    NECPNET_ADDRESS_NONE = 0,
    NECPNET_ADDRESS_IPV4 = 4,
    NECPNET_ADDRESS_IPV6 = 6,
    NECPNET_ADDRESS_MEMORY = 7 /* on a simulated link */
} necpnet_address_family;

typedef struct necpnet_address {
    uint8_t family;    /* necpnet_address_family */
    uint8_t reserved;  /* 0 */
    uint16_t port;     /* host order */
    uint32_t scope;    /* IPv6 scope id, else 0 */
    uint8_t bytes[16]; /* network order; IPv4 uses 4; the rest is 0 */
} necpnet_address;

/* necpnet_address_parse - "1.2.3.4:5", "[::1]:5", "1.2.3.4" (port 0). Numeric alone; host names need a resolver.
 *
 *   text         borrowed until return.
 *   out_address  written on OK.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_address_parse(const char* text, necpnet_address* out_address);

/* necpnet_address_format - the text that parse reads.
 *
 *   text        at least NECPNET_ADDRESS_TEXT_BYTES_MAX bytes always suffice.
 *   text_bytes  size of text.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BUFFER_TOO_SMALL
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_address_format(const necpnet_address* address, char* text, size_t text_bytes);

/* necpnet_address_equal - same family, address, port and scope.
 *
 * Returns  whether they are equal.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_address_equal(const necpnet_address* a, const necpnet_address* b);

/* One live session on a server, by value; never reused within 2^32 sessions of a slot. 0 is nobody. */
typedef uint64_t necpnet_peer;
#define NECPNET_PEER_NONE ((necpnet_peer)0)

/* -------------------------------------------------------------------------------------------------- 2 channels -- */

typedef enum necpnet_channel_mode {
    NECPNET_UNRELIABLE = 0,           /* may be lost, never duplicated, any order */
    NECPNET_UNRELIABLE_SEQUENCED = 1, /* and never older than what was delivered */
    NECPNET_RELIABLE_SEQUENCED = 2,   /* the newest surely arrives, older ones may be skipped */
    NECPNET_RELIABLE_UNORDERED = 3,   /* exactly once, any order */
    NECPNET_RELIABLE_ORDERED = 4      /* exactly once, in order */
} necpnet_channel_mode;

/* Deficit round robin with weights 16, 8, 4, 2. */
typedef enum necpnet_priority {
    NECPNET_PRIORITY_CRITICAL = 0,
    NECPNET_PRIORITY_HIGH = 1,
    NECPNET_PRIORITY_NORMAL = 2,
    NECPNET_PRIORITY_LOW = 3
} necpnet_priority;

/* One row of the channel table. Client and server must have the same mode and message_bytes_max for each channel, else
 * the connection fails with ERR_CHANNELS_DIFFER naming the first difference; the rest is each side's own choice. */
typedef struct necpnet_channel_config {
    necpnet_channel_mode mode;  /* default RELIABLE_ORDERED */
    necpnet_priority priority;  /* default NORMAL */
    bool redundancy;            /* send each packet's messages once more in the next packet; default false */
    bool compress;              /* LZ4 above 128 bytes where it helps; default true; ignored without LZ4 */
    uint32_t message_bytes_max; /* 1 .. NECPNET_MESSAGE_BYTES_MAX, default 65536; modes that are not reliable ordered or
                                   unordered: at most 32 fragments of about 1,150 bytes arrive */
    uint32_t queue_bytes_max;   /* waiting to be sent or acknowledged; message_bytes_max .. 64 MB, default 1 MB */
    uint32_t queue_messages_max; /* 1 .. 16384, default 4096 */
    uint32_t window_bytes;      /* credit given to the sender, reliable ordered and unordered: message_bytes_max .. 64 MB,
                                   default 1 MB */
} necpnet_channel_config;

/* necpnet_channel_config_default - fill all fields for a mode.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_channel_config_default(necpnet_channel_config* config, necpnet_channel_mode mode);

/* The channel table of the default configs: one of each mode. */
#define NECPNET_CHANNEL_RELIABLE 0   /* RELIABLE_ORDERED */
#define NECPNET_CHANNEL_UNRELIABLE 1 /* UNRELIABLE */
#define NECPNET_CHANNEL_SEQUENCED 2  /* UNRELIABLE_SEQUENCED */
#define NECPNET_CHANNEL_UNORDERED 3  /* RELIABLE_UNORDERED */
#define NECPNET_CHANNEL_LATEST 4     /* RELIABLE_SEQUENCED */
#define NECPNET_CHANNELS_DEFAULT 5

/* How one message is sent, beyond its channel. Zeroed means nothing special. */
typedef struct necpnet_send_options {
    const char* name;     /* NULL, or 1 .. NECPNET_NAME_BYTES_MAX bytes of UTF-8: a named message (scripts); copied */
    bool has_deadline;    /* drop the message if it has not been sent by then (unreliable modes and RELIABLE_SEQUENCED) */
    uint64_t deadline_us; /* in the time of update; read only if has_deadline */
    bool wants_receipt;   /* reliable modes: EVENT_RECEIPT when the peer's necpnet has it */
    uint64_t receipt;     /* returned in that event; any value */
} necpnet_send_options;

/* ---------------------------------------------------------------------------------------- 3 events, statistics -- */

typedef enum necpnet_event_type {
    NECPNET_EVENT_NONE = 0,
    NECPNET_EVENT_CONNECTED = 1,      /* a session has begun, or (resumed) goes on after SUSPENDED.  resumed, count */
    NECPNET_EVENT_DISCONNECTED = 2,   /* the session is over.  reason, code, text, count, will_reconnect, retry_in_ms */
    NECPNET_EVENT_CONNECT_FAILED = 3, /* client: an attempt failed.  reason, text, will_reconnect, retry_in_ms */
    NECPNET_EVENT_TOKEN_NEEDED = 4,   /* client: call set_token or set_credential. reason OK: the attempt waits for it. Else the
                                         session goes on and wants a new one: ERR_TOKEN_EXPIRED: it ends after retry_in_ms
                                         without; another: the one just given was refused for that reason */
    NECPNET_EVENT_MESSAGE = 5,        /* peer, channel, data, bytes, name */
    NECPNET_EVENT_RECEIPT = 6,        /* peer, channel, receipt: the peer has the message */
    NECPNET_EVENT_WRITABLE = 7,       /* peer, channel: a queue that was full has room again */
    NECPNET_EVENT_QUERY_ANSWER = 8,   /* client: server_name, players, players_max, rtt_us; text is the url */
    NECPNET_EVENT_QUERY_FAILED = 9,   /* client: reason; text is the url */
    NECPNET_EVENT_INPUT = 10,         /* server: peer, tick, data, bytes: the next numbered input of a client */
    NECPNET_EVENT_SUSPENDED = 11,     /* the connection is lost, the session waits for another.  reason, text,
                                         will_reconnect, retry_in_ms */
    NECPNET_EVENT_MOVED = 12          /* the session goes on over another connection (UDP, WebSocket), nobody was away */
} necpnet_event_type;

/* The life of a session, on either side:
 *
 *    CONNECTED (resumed false)  -> [ SUSPENDED -> CONNECTED (resumed true) ] ..  -> DISCONNECTED
 *
 * A session outlives its connection by the server's resume_window_ms. SUSPENDED says that the connection is lost; the peer,
 * its groups and user data stay, what is sent on reliable channels waits, and arrives exactly once, in order, once the
 * client is back, over whatever transport. DISCONNECTED comes when the window has passed, or at once when one side left in
 * good order, was kicked or replaced, or broke the protocol. MOVED says that a session changed its connection while it had
 * one: from WebSocket to UDP, or a client came back before its loss was noticed. State sync begins anew with each connection;
 * numbered inputs go on. */

/* One event. Pointers are views until the next poll or update of the instance. */
typedef struct necpnet_event {
    necpnet_event_type type;
    int channel;
    necpnet_peer peer; /* server: whose; client: 0 */
    const void* data;
    size_t bytes;
    const char* name;      /* of a named message, else NULL */
    necpnet_result reason; /* ERR_KICKED: code and text are the application's */
    uint32_t code;
    const char* text; /* never NULL */
    uint64_t receipt;
    uint64_t count; /* reliable messages of ours that may not have arrived.  client: of the session before a CONNECTED that
                       is not resumed.  server: of the session that a DISCONNECTED ends */
    uint32_t tick;
    uint32_t retry_in_ms;
    bool will_reconnect;
    bool resumed; /* CONNECTED: the same session as before SUSPENDED; reliable channels go on, nothing lost or doubled */
    const char* server_name;
    uint32_t players;
    uint32_t players_max;
    uint32_t rtt_us;
} necpnet_event;

/* Called by dispatch for one event. */
typedef void (*necpnet_event_handler)(const necpnet_event* event, void* user);

typedef enum necpnet_transport_kind {
    NECPNET_TRANSPORT_NONE = 0,
    NECPNET_TRANSPORT_UDP = 1,
    NECPNET_TRANSPORT_WEBSOCKET = 2 /* ws and wss */
} necpnet_transport_kind;

/* Of one connection since it was made. */
typedef struct necpnet_statistics {
    necpnet_transport_kind transport;
    bool encrypted;
    uint32_t rtt_us;          /* smoothed round trip (RFC 9002 5.3); on WebSocket from PING */
    uint32_t rtt_min_us;
    uint32_t rtt_variance_us;
    uint32_t jitter_us;       /* mean deviation of arrival spacing (RFC 3550 6.4.1) */
    uint32_t loss_ppm;        /* of packets sent, smoothed over about the last 256 */
    int64_t clock_offset_us;  /* client: server time minus local time */
    uint32_t clock_error_us;  /* client: its bound, half the best round trip */
    uint64_t packets_sent;
    uint64_t packets_received;
    uint64_t packets_lost;    /* sent and declared lost */
    uint64_t packets_duplicate;
    uint64_t bytes_sent;      /* UDP payload, or bytes of WebSocket messages */
    uint64_t bytes_received;
    uint32_t send_bytes_per_s;    /* smoothed over about a second */
    uint32_t receive_bytes_per_s;
    uint32_t congestion_bytes; /* congestion window */
    uint32_t flight_bytes;     /* sent and not acknowledged */
    uint32_t budget_bytes;     /* what may be sent now: see necpnet_client_budget */
    uint32_t datagram_bytes;   /* UDP: largest packet at present; grows by probing, see config.datagram_bytes_max */
    uint32_t key_phase;        /* UDP: how often the keys were changed */
    uint32_t migrations;       /* UDP: how often the peer (client: this side, by necpnet_client_migrate) changed its address */
    uint32_t queue_bytes;      /* of all channels */
    uint64_t memory_bytes;     /* held for this connection, as far as it is its own */
} necpnet_statistics;

typedef struct necpnet_channel_statistics {
    uint64_t messages_sent; /* taken from the application */
    uint64_t messages_received; /* handed to the application */
    uint64_t messages_dropped; /* past their deadline, overtaken, or over a limit, on this side */
    uint64_t bytes_sent;    /* message bytes before compression */
    uint64_t bytes_received;
    uint64_t resends; /* frames sent again */
    uint32_t queue_messages; /* waiting or unacknowledged */
    uint32_t queue_bytes;
} necpnet_channel_statistics;

typedef enum necpnet_security {
    NECPNET_SECURITY_TOKEN = 0, /* connect tokens (or JWT through authorize); the default */
    NECPNET_SECURITY_OPEN = 1,  /* encrypted, but anyone (who knows the passphrase) may join: a LAN, a demo, a first try */
    NECPNET_SECURITY_NONE = 2   /* plaintext: tests alone */
} necpnet_security;

typedef struct necpnet_transport necpnet_transport; /* section 8 */
typedef struct necpnet_workers necpnet_workers;
typedef struct necpnet_loop necpnet_loop;           /* section 10 */
typedef struct necpnet_schema necpnet_schema;       /* section 7 */
typedef struct necpnet_world necpnet_world;         /* section 7 */
typedef struct necpnet_view necpnet_view;           /* section 7 */
typedef struct necpnet_voice necpnet_voice;         /* section 13 */
typedef struct necpnet_voice_hub necpnet_voice_hub; /* section 13 */

/* What TLS needs. Paths are read once at create; copied. */
typedef struct necpnet_tls_config {
    const char* certificate_file; /* PEM chain; server; NULL: no TLS */
    const char* key_file;         /* PEM; server */
    const char* ca_file;          /* client: trusted roots as PEM; NULL: the system's (/etc/ssl/certs and the like) */
    bool insecure;                /* client: do not verify; tests alone; default false */
} necpnet_tls_config;

/* ---------------------------------------------------------------------------------------------------- 4 client -- */

typedef struct necpnet_client necpnet_client;

typedef struct necpnet_client_config {
    size_t struct_bytes;         /* stamped by necpnet_client_config_default */
    necpnet_allocator allocator; /* default zeroed: malloc */
    necpnet_logger logger;       /* default silent */
    necpnet_entropy entropy;     /* default zeroed: the platform's */
    const necpnet_transport* transport; /* NULL (default): own sockets; else borrowed until destroy */
    necpnet_security security;   /* default TOKEN */
    const char* passphrase;      /* OPEN alone: NULL (default), or what the server has; copied */
    const necpnet_channel_config* channels; /* copied; default one of each mode, NECPNET_CHANNEL_* */
    int channel_count;           /* 1 .. NECPNET_CHANNELS_MAX */
    necpnet_tls_config tls;      /* for wss:// */
    necpnet_view* view;          /* NULL (default), or the view that follows the server's world; borrowed */
    necpnet_voice* voice;        /* NULL (default), or what speaks and hears over this client; borrowed; of one client */
    uint32_t connect_timeout_ms; /* of one address; 100 .. 60,000, default 5,000 */
    uint32_t connect_stagger_ms; /* before the next address is tried beside the first (RFC 8305); 10 .. 5,000, default 250 */
    bool reconnect;              /* by itself after a loss; default true */
    uint32_t reconnect_delay_min_ms; /* 10 .. 60,000, default 250; doubles each time, with full jitter */
    uint32_t reconnect_delay_max_ms; /* delay_min .. 600,000, default 10,000 */
    uint32_t reconnect_attempts_max; /* 1 .. UINT32_MAX (default: for ever) */
    uint32_t udp_ping_ms;        /* idle time before a PING; 50 .. 60,000, default 1,000 */
    uint32_t udp_timeout_ms;     /* silence that means dead; 2 x ping .. 600,000, default 5,000 */
    uint32_t key_interval_ms;    /* the keys of a UDP connection are changed this often, or after 2^23 packets; either side
                                    may begin; 20 .. 3,600,000, default 600,000 */
    uint32_t websocket_ping_ms;  /* default 30,000; 100 .. 600,000 */
    uint32_t websocket_timeout_ms; /* default 65,000; 2 x ping .. 1,800,000 */
    bool websocket_deflate;      /* offer permessage-deflate; a browser decides by itself; default false */
    uint32_t loading_timeout_ms; /* timeout while set_loading; default 120,000 */
    uint32_t bandwidth_limit;    /* bytes a second sent, headers included; 1,000 .. UINT32_MAX (default: none) */
    uint32_t datagram_bytes_max; /* 64 .. NECPNET_DATAGRAM_BYTES_MAX, default 1472. Packets begin with 1200 bytes (or this, if
                                    less) and grow up to this as far as the path takes it, which probes find out (RFC 8899) */
    uint32_t receive_bytes_max;  /* messages received and not yet polled; 64 KB .. 1 GB, default 16 MB */
    uint32_t inputs_max;         /* unacknowledged numbered inputs kept; 1 .. 256, default 64 */
    uint32_t busy_poll_us;       /* of own sockets: wait asks them so long before it sleeps; default 0 */
    uint64_t offline_channels;   /* bit a channel: reliable ones among them take messages while there is no connection;
                                    default all */
    uint32_t offline_bytes_max;  /* queued while there is no connection, all channels together; LOW may fill a half,
                                    NORMAL three quarters, HIGH seven eighths of it; 1,024 .. 1 GB, default 1 MB */
    bool offline_drops;          /* messages that are not taken without a connection are dropped and counted, send says
                                    OK; default false: ERR_NOT_CONNECTED */
    uint32_t upgrade_min_ms;     /* on WebSocket with a udp:// address: time before UDP is tried again, doubling ..;
                                    100 .. 3,600,000, default 5,000 */
    uint32_t upgrade_max_ms;     /* .. up to this; upgrade_min_ms .. 86,400,000, default 300,000 */
} necpnet_client_config;

/* necpnet_client_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_config_default(necpnet_client_config* config);

/* necpnet_client_create - an idle client.
 *
 *   config      copied; what it points to as its fields say.
 *   out_client  written on OK; give to necpnet_client_destroy.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED
 *          (security needs NECPNET_WITH_MBEDTLS or _SODIUM) | ERR_NO_ENTROPY | ERR_IO | ERR_DESCRIPTORS
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_create(const necpnet_client_config* config, necpnet_client** out_client);

/* necpnet_client_destroy - release everything; a live connection is closed without waiting for its answer.
 *
 *   client  NULL does nothing.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_client_destroy(necpnet_client* client);

/* necpnet_client_connect - begin to connect; the first address that answers wins.
 *
 * Host names resolve to all their addresses, IPv6 and IPv4 in turn, each tried connect_stagger_ms after the one before.
 * With SECURITY_TOKEN the urls may be NULL and 0: then those inside the token are used.
 *
 *   urls       "udp://host:port", "ws://host:port/path", "wss://host:port/path"; copied.
 *   url_count  0 .. NECPNET_URLS_MAX.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_URL | ERR_INVALID_STATE (connected or connecting; disconnect first)
 *          | ERR_UNSUPPORTED (wss without mbedTLS, udp in a browser) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_connect(necpnet_client* client, const char* const* urls, int url_count);

/* necpnet_client_set_token - answer EVENT_TOKEN_NEEDED with a connect token bundle, as a backend or `necpnet token` made
 * it. While connected and asked, it renews the session in-band.
 *
 *   token    text; copied.
 *   wall_us  microseconds since 1970, to tell an expired token before it is sent; necpnet_wall_time_us().
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_TOKEN_TEXT | ERR_VERSION_DIFFERS | ERR_TOKEN_EXPIRED
 *          | ERR_OUT_OF_MEMORY, ERR_WOULD_BLOCK (a renewal that cannot be queued)
 * Thread   owner.      Callback  safe.      Allocates  for a renewal.
 */
NECPNET_API necpnet_result necpnet_client_set_token(necpnet_client* client, const char* token, uint64_t wall_us);

/* necpnet_client_set_credential - answer EVENT_TOKEN_NEEDED for ws:// and wss:// with a JWT, which the server's
 * authorize callback judges. While connected and asked, over any transport, it renews the session in-band.
 *
 *   credential  text of at most 8,191 bytes; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_set_credential(necpnet_client* client, const char* credential);

/* necpnet_client_disconnect - end the session in good order: what is queued on reliable channels is sent first, for at
 * most linger_ms, then CLOSE. EVENT_DISCONNECTED with ERR_CLOSED follows. Stops reconnecting.
 *
 *   code  the application's own, told to the server.
 *   text  at most NECPNET_REASON_BYTES_MAX bytes; NULL is empty; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED (idle already)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_disconnect(necpnet_client* client, uint32_t code, const char* text,
                                                     uint32_t linger_ms);

/* necpnet_client_update - receive, run every machine whose time has come, send.
 *
 *   now_us  monotonic; never less than before (a smaller value counts as the last one).
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | a band -500 result (only destroy remains)
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_update(necpnet_client* client, uint64_t now_us);

/* necpnet_client_deadline_us - when update must be called next even if nothing arrives; UINT64_MAX: never. At once while news
 * of the connection (not messages) waits to be polled, as after necpnet_client_disconnect.
 *
 * Returns  time in the terms of update.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_client_deadline_us(const necpnet_client* client);

/* necpnet_client_wait - block until something arrives, the next deadline, or timeout_us.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_UNSUPPORTED (the transport cannot wait)
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_wait(necpnet_client* client, uint64_t timeout_us);

/* necpnet_client_poll - take the next event.
 *
 *   out_event  written when there is one; its pointers are views until the next poll or update.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_client_poll(necpnet_client* client, necpnet_event* out_event);

/* necpnet_client_on_channel - let dispatch give messages of a channel to a handler; NULL removes it.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NO_SUCH_CHANNEL
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_on_channel(necpnet_client* client, int channel, necpnet_event_handler handler,
                                                     void* user);

/* necpnet_client_on_name - let dispatch give messages of a name to a handler; NULL removes it. Goes before channels.
 *
 *   name  1 .. NECPNET_NAME_BYTES_MAX bytes; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED (4,096 names)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_on_name(necpnet_client* client, const char* name, necpnet_event_handler handler,
                                                  void* user);

/* necpnet_client_on_event - let dispatch give events of a type to a handler; NULL removes it. For MESSAGE: those that no
 * name and no channel handler takes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_on_event(necpnet_client* client, necpnet_event_type type,
                                                   necpnet_event_handler handler, void* user);

/* necpnet_client_dispatch - poll until empty, calling the handlers. Events without a handler are dropped.
 *
 * Returns  how many events were handled.
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API size_t necpnet_client_dispatch(necpnet_client* client);

/* necpnet_client_send - queue one message for the server.
 *
 * Nothing reaches the network until necpnet_client_update() or necpnet_client_flush(). Reliable channels take messages
 * while reconnecting, too; they leave once a session is up.
 *
 *   channel  0 .. config.channel_count - 1.
 *   data     borrowed until return; may be NULL only if bytes is 0.
 *   bytes    0 .. the channel's message_bytes_max.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NO_SUCH_CHANNEL | ERR_MESSAGE_TOO_LARGE | ERR_NOT_CONNECTED
 *          | ERR_WOULD_BLOCK (queue full; nothing queued, EVENT_WRITABLE follows) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 * See      tests/api_connection.c
 */
NECPNET_API necpnet_result necpnet_client_send(necpnet_client* client, int channel, const void* data, size_t bytes);

/* necpnet_client_send_with - the same with a name, a deadline or a receipt.
 *
 *   options  borrowed until return; not NULL.
 *
 * Returns  as necpnet_client_send.
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_send_with(necpnet_client* client, int channel, const void* data, size_t bytes,
                                                    const necpnet_send_options* options);

/* necpnet_client_flush - send now what update would send, without receiving.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_flush(necpnet_client* client, uint64_t now_us);

/* necpnet_client_budget - bytes that may be queued now and leave at once: the congestion and bandwidth limits less what
 * is queued and in flight. Encode optional data (state, voice) only within it.
 *
 * Returns  bytes; 0 when not connected.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API size_t necpnet_client_budget(const necpnet_client* client);

typedef enum necpnet_client_state {
    NECPNET_CLIENT_IDLE = 0,
    NECPNET_CLIENT_WAITING_FOR_TOKEN = 1,
    NECPNET_CLIENT_CONNECTING = 2,
    NECPNET_CLIENT_CONNECTED = 3,
    NECPNET_CLIENT_RECONNECTING = 4, /* waiting for the next attempt */
    NECPNET_CLIENT_CLOSING = 5,
    NECPNET_CLIENT_SUSPENDED = 6
} necpnet_client_state;

/* necpnet_client_get_state - where the client stands.
 *
 * Returns  the state; IDLE for NULL.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_client_state necpnet_client_get_state(const necpnet_client* client);

/* necpnet_client_get_address - the server's address in use.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_get_address(const necpnet_client* client, necpnet_address* out_address);

/* necpnet_client_get_statistics - figures of the present connection; zeroes when there is none.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_get_statistics(const necpnet_client* client,
                                                         necpnet_statistics* out_statistics);

/* necpnet_client_get_channel_statistics - figures of one channel.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NO_SUCH_CHANNEL
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_get_channel_statistics(const necpnet_client* client, int channel,
                                                                 necpnet_channel_statistics* out_statistics);

/* necpnet_client_server_time_us - the server's time now, as its update was told it.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED (no clock sample yet)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_server_time_us(const necpnet_client* client, uint64_t now_us,
                                                         uint64_t* out_time_us);

/* necpnet_client_server_tick - the server's tick now, and the tick at which an input sent now arrives (the client's lead
 * covers the way there and the jitter).
 *
 *   out_input_tick  may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED (no clock sample yet)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_server_tick(const necpnet_client* client, uint64_t now_us, uint32_t* out_tick,
                                                      uint32_t* out_input_tick);

/* necpnet_client_send_input - one numbered input of the player. Sent in every packet until the server has it; the server
 * gets each once, in order, as EVENT_INPUT.
 *
 *   tick   larger than that of the input before.
 *   data   copied.
 *   bytes  1 .. 255, and at least 36 fewer than both sides' datagram_bytes_max: over WebSocket too, for the session may move.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED | ERR_WOULD_BLOCK (inputs_max unacknowledged)
 *          | ERR_MESSAGE_TOO_LARGE (for a datagram) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_send_input(necpnet_client* client, uint32_t tick, const void* data,
                                                     size_t bytes);

/* necpnet_client_set_bandwidth_limit - as config.bandwidth_limit, while running.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (below 1,000)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_set_bandwidth_limit(necpnet_client* client, uint32_t bytes_per_s);

/* necpnet_client_set_loading - while true both sides allow loading_timeout_ms of silence (a level loads).
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_set_loading(necpnet_client* client, bool loading);

/* necpnet_client_suspend - the program goes to the background: the server is told, timers stop.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_suspend(necpnet_client* client, uint64_t now_us);

/* necpnet_client_resume - back in the foreground: go on if the server still has the connection; else (at once if it slept for
 * loading_timeout_ms, else if nothing is heard for half a second or three round trips, over WebSocket a second) the client
 * reconnects and goes on with the session, if the server still has that.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_INVALID_STATE (not suspended)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_resume(necpnet_client* client, uint64_t now_us);

/* necpnet_client_migrate - go on from another local address: the UDP socket is opened anew, and the server is told at once.
 * For when the system reports another network (Wi-Fi to mobile), or the present way went dead. Not needed when a NAT
 * changes its mapping: the server notices by itself.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED | ERR_UNSUPPORTED (not over UDP, or the transport cannot) | band -200
 *          (no socket: the present one stays)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_client_migrate(necpnet_client* client);

/* necpnet_client_query - ask a UDP server for its name, players and ping without connecting. EVENT_QUERY_ANSWER or
 * EVENT_QUERY_FAILED follows.
 *
 *   url  "udp://host:port"; copied. At most 16 under way.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_URL | ERR_LIMIT_REACHED | ERR_UNSUPPORTED | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_client_query(necpnet_client* client, const char* url);

/* necpnet_client_set_user_data, necpnet_client_get_user_data - one pointer of the application's.
 *
 * Returns  what was set; NULL at first.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API void necpnet_client_set_user_data(necpnet_client* client, void* user_data);
NECPNET_API void* necpnet_client_get_user_data(const necpnet_client* client);

/* ---------------------------------------------------------------------------------------------------- 5 server -- */

typedef struct necpnet_server necpnet_server;

/* A key that opens connect tokens. Backends and servers share it; several allow rotation. */
typedef struct necpnet_token_key {
    uint32_t id;
    uint8_t bytes[NECPNET_TOKEN_KEY_BYTES];
} necpnet_token_key;

/* Who a peer is, as its connect token says or authorize decides. */
typedef struct necpnet_identity {
    uint64_t client_id;                          /* first 8 bytes of SHA-256(issuer, 0, subject); OPEN: random */
    uint64_t expires_us;                         /* wall time; 0: does not expire. The session ends then with ERR_TOKEN_EXPIRED;
                                                    60 s before, the client is asked for a new credential */
    uint8_t user_data[NECPNET_USER_DATA_BYTES];  /* from the token, zeroes if none */
    uint8_t token_id[NECPNET_TOKEN_ID_BYTES];    /* of the connect token, zeroes without */
} necpnet_identity;

/* Judges a text credential (JWT) of a WebSocket client. Called inside update.
 *
 *   out_identity  filled on OK.
 *
 * Returns  OK, or any refusal (ERR_TOKEN_INVALID, ERR_TOKEN_EXPIRED, ..): the client is told.
 */
typedef necpnet_result (*necpnet_authorize)(const char* credential, const necpnet_address* from,
                                            necpnet_identity* out_identity, void* user);

/* permessage-deflate (RFC 7692): messages are compressed where that makes them smaller. A kept window ("context") makes
 * small messages that resemble each other far smaller, and costs memory for each connection; without, all connections
 * of a web share one compressor and one window. The peer may ask for less than is set here, never for more. */
typedef struct necpnet_web_deflate {
    bool enabled;             /* offer and accept it; ERR_UNSUPPORTED where zlib is not built in; default false */
    bool sessions;            /* also for necpnet.v1, whose small quantised messages gain little; default false */
    bool send_context;        /* keep the window between messages sent: 2^(send_bits + 3) bytes a connection, when it
                                 first sends one; default false */
    bool receive_context;     /* let the peer keep its window: 2^receive_bits + 8,192 bytes a connection, when it first
                                 receives one; default false */
    uint8_t send_bits;        /* 9 .. 15: base-2 logarithm of a window kept to send; default 12 */
    uint8_t receive_bits;     /* 9 .. 15: of one that the peer may keep; a client that cannot limit its own keeps none,
                                 unless this is 15; default 12 */
    uint8_t level;            /* 1 (fast) .. 9 (small); default 3 */
    uint32_t bytes_min;       /* of a message; smaller ones are sent as they are; default 128 */
} necpnet_web_deflate;

/* What becomes of a client id's earlier session when it joins again with another (not by a resume ticket). A client id of 0 is
 * nobody in particular and left alone. */
typedef enum necpnet_take_over {
    NECPNET_TAKE_OVER_REPLACE = 0, /* the earlier one ends with ERR_REPLACED */
    NECPNET_TAKE_OVER_REFUSE = 1,  /* the new one is refused with ERR_REFUSED, unless the earlier one is suspended: that ends */
    NECPNET_TAKE_OVER_ALLOW = 2    /* both play */
} necpnet_take_over;

typedef struct necpnet_web_handlers necpnet_web_handlers; /* section 9 */

typedef struct necpnet_server_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    necpnet_entropy entropy;
    const necpnet_transport* transport; /* NULL (default): own sockets as below; else borrowed until destroy */
    necpnet_loop* loop;         /* for own sockets: NULL (default): a loop of its own, stepped by update; else borrowed:
                                   call necpnet_loop_step (or a wait) before update */
    const char* bind_address;   /* numeric; default "::" (every IPv6 and IPv4 address); copied */
    int udp_port;               /* -1: no UDP; 0: any free port; default 7777 */
    int tcp_port;               /* -1 (default): no WebSocket; 0: any free port */
    const char* path;           /* of the WebSocket upgrade to necpnet.v1; default "/ws"; copied */
    necpnet_tls_config tls;     /* with a certificate the TCP port speaks TLS alone */
    const necpnet_web_handlers* web; /* NULL (default): other requests are answered 426; else section 9; copied */
    necpnet_security security;  /* default TOKEN */
    const char* passphrase;     /* OPEN alone; copied */
    const necpnet_token_key* token_keys; /* TOKEN: copied */
    int token_key_count;        /* 0 .. 16 */
    uint64_t server_id;         /* names this process in tokens; default 1 */
    uint32_t token_epoch;       /* tokens of an older epoch are refused (revocation); default 0 */
    bool token_restart_guard;   /* refuse tokens issued before this server was made, whose spending it cannot know;
                                   default true */
    uint32_t token_session_ms;  /* a session that a connect token began expires so long after, unless renewed; 1,000 ..
                                   UINT32_MAX (default: does not expire) */
    necpnet_authorize authorize; /* NULL (default): text credentials are refused */
    void* authorize_user;
    const necpnet_channel_config* channels;
    int channel_count;
    necpnet_world* world;       /* NULL (default), or the world that clients follow; borrowed */
    necpnet_voice_hub* voice_hub; /* NULL (default), or what forwards speech between peers; borrowed; of one server */
    uint32_t peers_max;         /* 1 .. 8,000,000 (24 bits of the connection id, 1 to tell a slot's connections apart),
                                   default 1,024 */
    uint32_t peers_per_address_max; /* default 64 */
    uint32_t handshakes_max;    /* WebSocket connections that have not finished SETUP; default 1,024 */
    uint32_t web_connections_max; /* TCP connections that web answers itself, beside those of peers; default 1,024 */
    uint32_t handshake_timeout_ms; /* from TCP accept to SETUP; default 5,000 */
    uint32_t tick_hz;           /* 1 .. 1,000, default 60: ticks are now_us * tick_hz / 1,000,000 */
    uint32_t udp_ping_ms;       /* as in necpnet_client_config */
    uint32_t udp_timeout_ms;
    uint32_t key_interval_ms;
    uint32_t websocket_ping_ms;
    uint32_t websocket_timeout_ms;
    uint32_t loading_timeout_ms;
    uint32_t resume_window_ms;  /* how long a session outlives its connection; 0 (it does not, and there are no tickets) ..
                                   3,600,000, default 30,000 */
    uint32_t suspended_max;     /* sessions without connection, within peers_max; one more ends the longest suspended;
                                   default 1,024; 0: none */
    uint32_t suspended_bytes_max; /* queued for all of them; beyond it the longest suspended ends; 64 KB .. 4 GB, default
                                   64 MB */
    const necpnet_token_key* ticket_keys; /* seal resume tickets; the first seals, all open (rotation); servers that
                                   are to tell each other's lost sessions by name share them; copied */
    int ticket_key_count;       /* 0 .. 16; 0 (default): a random key of this server's own */
    uint32_t ticket_lifetime_ms; /* a new one is issued at half of it; at least 2 x resume_window_ms; 1,000 ..
                                   604,800,000, default 3,600,000 */
    necpnet_take_over take_over; /* another session of a client id that is here; default REPLACE */
    uint32_t bandwidth_limit;   /* bytes a second and peer */
    uint32_t datagram_bytes_max;
    uint32_t receive_bytes_max; /* of all peers together, received and not yet polled; default 64 MB */
    uint32_t queue_bytes_max;   /* of one WebSocket peer, written and not taken by the network: then it is cut with
                                   ERR_SLOW_READER; default 1 MB */
    necpnet_web_deflate deflate; /* of WebSockets; default off */
    const char* query_name;     /* told to necpnet_client_query; default "necpnet"; at most 63 bytes; copied */
    bool query;                 /* answer queries; default true */
    uint32_t busy_poll_us;      /* of own sockets: wait asks them so long before it sleeps: a core for lower latency;
                                   default 0 */
    necpnet_workers* workers;   /* NULL (default), or whom this server shares its ports with (section 10); borrowed */
} necpnet_server_config;

/* necpnet_server_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_config_default(necpnet_server_config* config);

/* necpnet_server_create - open the ports and begin to listen.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED
 *          | ERR_NO_ENTROPY | ERR_ADDRESS_IN_USE | ERR_PERMISSION | ERR_IO | ERR_DESCRIPTORS | ERR_FILE
 *          | ERR_BAD_CERTIFICATE_FILE
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_create(const necpnet_server_config* config, necpnet_server** out_server);

/* necpnet_server_destroy - release everything; live peers get a CLOSE without waiting.
 *
 *   server  NULL does nothing.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_server_destroy(necpnet_server* server);

/* necpnet_server_set_wall_time - tell the wall time, for what expires (tokens, tickets, credentials) and revocation. Once before
 * tokens are used, then whenever the clock was set. Where it is never told, tickets do not expire by time: each is good once, and
 * as long as its session lives, which ends resume_window_ms after its connection.
 *
 *   wall_us  microseconds since 1970; necpnet_wall_time_us().
 *   now_us   in the time of update.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_set_wall_time(necpnet_server* server, uint64_t wall_us, uint64_t now_us);

/* necpnet_server_update - receive, run every machine whose time has come, send.
 *
 *   now_us  monotonic; never less than before (a smaller value counts as the last one).
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | a band -500 result
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_update(necpnet_server* server, uint64_t now_us);

/* necpnet_server_flush - send now what update would send, without receiving: after answers to what poll gave.
 *
 * Returns  as necpnet_server_update.
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_flush(necpnet_server* server, uint64_t now_us);

/* necpnet_server_deadline_us - when update must be called next even if nothing arrives; UINT64_MAX: never.
 *
 * Returns  time in the terms of update.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_server_deadline_us(const necpnet_server* server);

/* necpnet_server_wait - block until something arrives, the next deadline, or timeout_us.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_UNSUPPORTED (the transport cannot wait)
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_wait(necpnet_server* server, uint64_t timeout_us);

/* necpnet_server_get_ports - the ports in use, for udp_port or tcp_port 0; -1 where there is none.
 *
 *   out_udp, out_tcp  may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_UNSUPPORTED (not own sockets)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_get_ports(const necpnet_server* server, int* out_udp, int* out_tcp);

/* necpnet_server_poll - take the next event.
 *
 *   out_event  written when there is one; its pointers are views until the next poll or update.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_server_poll(necpnet_server* server, necpnet_event* out_event);

/* necpnet_server_on_channel, necpnet_server_on_name, necpnet_server_on_event, necpnet_server_dispatch - as the client's.
 *
 * Returns  as the client's.
 * Thread   owner.      Callback  safe (dispatch: no).      Allocates  on_name: yes.
 */
NECPNET_API necpnet_result necpnet_server_on_channel(necpnet_server* server, int channel, necpnet_event_handler handler,
                                                     void* user);
NECPNET_API necpnet_result necpnet_server_on_name(necpnet_server* server, const char* name, necpnet_event_handler handler,
                                                  void* user);
NECPNET_API necpnet_result necpnet_server_on_event(necpnet_server* server, necpnet_event_type type,
                                                   necpnet_event_handler handler, void* user);
NECPNET_API size_t necpnet_server_dispatch(necpnet_server* server);

/* necpnet_server_send - queue one message for a peer.
 *
 * For a suspended peer messages on reliable channels wait until it is back; those on unreliable ones are dropped, and the
 * result is OK, as if they had been lost on the way.
 *
 *   channel  0 .. config.channel_count - 1.
 *   data     borrowed until return; may be NULL only if bytes is 0.
 *   bytes    0 .. the channel's message_bytes_max.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_NO_SUCH_CHANNEL | ERR_MESSAGE_TOO_LARGE
 *          | ERR_WOULD_BLOCK (queue full; nothing queued, EVENT_WRITABLE follows) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_send(necpnet_server* server, necpnet_peer peer, int channel, const void* data,
                                               size_t bytes);

/* necpnet_server_send_with - the same with a name, a deadline or a receipt.
 *
 *   options  borrowed until return; not NULL.
 *
 * Returns  as necpnet_server_send.
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_send_with(necpnet_server* server, necpnet_peer peer, int channel,
                                                    const void* data, size_t bytes, const necpnet_send_options* options);

/* necpnet_server_broadcast - queue one message for every peer but one, suspended ones as in send; stored once.
 *
 *   except          NECPNET_PEER_NONE: for all.
 *   options         NULL, or as in send_with (receipts arrive once a peer).
 *   out_refused     may be NULL: how many peers' queues were full.
 *
 * Returns  OK (also when some were full) | ERR_INVALID_ARGUMENT | ERR_NO_SUCH_CHANNEL | ERR_MESSAGE_TOO_LARGE
 *          | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_broadcast(necpnet_server* server, necpnet_peer except, int channel,
                                                    const void* data, size_t bytes, const necpnet_send_options* options,
                                                    size_t* out_refused);

/* Groups: sets of peers that get one message. A peer leaves all its groups when its session ends. */
typedef uint32_t necpnet_group;

/* necpnet_server_group_create - an empty group.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED (65,535 groups)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_group_create(necpnet_server* server, necpnet_group* out_group);

/* necpnet_server_group_destroy - forget a group.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_group_destroy(necpnet_server* server, necpnet_group group);

/* necpnet_server_group_add, necpnet_server_group_remove - membership; adding a member again is OK.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  add: yes.
 */
NECPNET_API necpnet_result necpnet_server_group_add(necpnet_server* server, necpnet_group group, necpnet_peer peer);
NECPNET_API necpnet_result necpnet_server_group_remove(necpnet_server* server, necpnet_group group, necpnet_peer peer);

/* necpnet_server_group_send - as broadcast, to the members.
 *
 * Returns  as necpnet_server_broadcast | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_group_send(necpnet_server* server, necpnet_group group, necpnet_peer except,
                                                     int channel, const void* data, size_t bytes,
                                                     const necpnet_send_options* options, size_t* out_refused);

/* necpnet_server_kick - end a peer's session: what is queued on reliable channels is sent first, for at most linger_ms.
 * The client gets ERR_KICKED with code and text and does not reconnect by itself. EVENT_DISCONNECTED follows here.
 *
 *   text  at most NECPNET_REASON_BYTES_MAX bytes; NULL is empty; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_kick(necpnet_server* server, necpnet_peer peer, uint32_t code,
                                               const char* text, uint32_t linger_ms);

/* necpnet_server_revoke_client - refuse every connect token of a client that was issued until now, and end its sessions with
 * ERR_TOKEN_REVOKED. Tokens issued later are taken. Forgotten when the last such token has expired. Text credentials are
 * authorize's to refuse. With several servers or workers: tell each.
 *
 *   client_id  of its identity; necpnet_token_client_id. 0, nobody's, is refused.
 *
 * Returns  OK (also when memory is short: then every token issued until now is refused) | ERR_INVALID_ARGUMENT
 *          | ERR_INVALID_STATE (necpnet_server_set_wall_time first)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_revoke_client(necpnet_server* server, uint64_t client_id);

/* necpnet_server_revoke_token - the same for one connect token, and the session that it began.
 *
 *   token_id  NECPNET_TOKEN_ID_BYTES: of an identity, or by necpnet_token_get_id; not all zeroes.
 *
 * Returns  as necpnet_server_revoke_client.
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_server_revoke_token(necpnet_server* server, const uint8_t* token_id);

/* necpnet_server_set_token_epoch - refuse all connect tokens of an older epoch from now on, and resume tickets made before.
 * Sessions go on, and get a new ticket with the next update; one without a connection just then needs a token to return.
 *
 *   epoch  at least the present one.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_set_token_epoch(necpnet_server* server, uint32_t epoch);

/* necpnet_server_drain - refuse new sessions with ERR_DRAINING, and end those there are with the same reason, once what is
 * queued for them is sent or a second has passed. Their clients come back after retry_ms, spread at random over it.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_drain(necpnet_server* server, uint32_t retry_ms);

/* necpnet_server_budget - as necpnet_client_budget, of one peer.
 *
 * Returns  bytes; 0 for a peer that is not connected.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API size_t necpnet_server_budget(const necpnet_server* server, necpnet_peer peer);

/* What is known of a peer. */
typedef struct necpnet_peer_info {
    necpnet_peer peer;
    necpnet_address address;
    necpnet_transport_kind transport;
    necpnet_identity identity;
    bool connected;          /* false: suspended, or it has ended and EVENT_DISCONNECTED waits to be polled */
    bool suspended;          /* the connection is lost, the session waits for another */
    uint64_t connected_us;   /* when the session began, in the time of update */
    uint64_t heard_us;       /* when something last arrived */
    uint32_t input_tick;     /* of the newest input received */
} necpnet_peer_info;

/* necpnet_server_get_peer - facts about one peer.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_get_peer(const necpnet_server* server, necpnet_peer peer,
                                                   necpnet_peer_info* out_info);

/* necpnet_server_next_peer - walk over all sessions in the order of their slots.
 *
 *   peer  NECPNET_PEER_NONE for the first; else the one before (it may have gone).
 *
 * Returns  the next, or NECPNET_PEER_NONE.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_peer necpnet_server_next_peer(const necpnet_server* server, necpnet_peer peer);

/* necpnet_server_get_peer_statistics - figures of one peer's present connection.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_get_peer_statistics(const necpnet_server* server, necpnet_peer peer,
                                                              necpnet_statistics* out_statistics);

/* necpnet_server_get_channel_statistics - figures of one peer's channel.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_NO_SUCH_CHANNEL
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_get_channel_statistics(const necpnet_server* server, necpnet_peer peer,
                                                                 int channel, necpnet_channel_statistics* out_statistics);

/* Why datagrams or handshakes met silence or refusal, counted by name. */
#define NECPNET_DROPS(X) \
    X(TOO_SHORT, "datagram shorter than any packet") \
    X(UNKNOWN_CONNECTION, "no connection with that id") \
    X(AUTHENTICATION, "packet does not authenticate") \
    X(REPLAY, "packet number seen before or too old") \
    X(MALFORMED, "handshake message of the wrong form") \
    X(NOT_PADDED, "first datagram shorter than 1200 bytes") \
    X(VERSION, "unknown protocol version") \
    X(COOKIE, "cookie wrong or too old") \
    X(TOKEN_KEY, "token sealed under an unknown key, or changed") \
    X(TOKEN_EXPIRED, "token expired") \
    X(TOKEN_SERVER, "token for another server") \
    X(TOKEN_EPOCH, "token of a revoked epoch") \
    X(TOKEN_REVOKED, "token revoked, itself or all of its client") \
    X(TOKEN_SPENT, "token used before") \
    X(TOKEN_STALE, "token issued before this server started") \
    X(TICKET_KEY, "resume ticket sealed under an unknown key, or changed") \
    X(TICKET_EXPIRED, "resume ticket expired, or of a revoked epoch") \
    X(TICKET_SPENT, "resume ticket used before") \
    X(TICKET_SESSION, "resume ticket of a session that is not here, or not over this transport") \
    X(PROOF, "proof of the pre-shared key wrong") \
    X(MODE, "open or plaintext handshake to a server that wants tokens, or the reverse") \
    X(FULL, "peers_max, peers_per_address_max or handshakes_max reached") \
    X(BUSY, "handshake budget of this moment used up") \
    X(NOT_HTTP, "bytes on the TCP port that are not HTTP") \
    X(UPGRADE, "WebSocket upgrade refused") \
    X(HANDSHAKE_TIMEOUT, "TCP connection without SETUP in time") \
    X(CREDENTIAL, "credential refused by authorize") \
    X(CHANNELS, "another channel table") \
    X(SCHEMA, "an incompatible schema") \
    X(SEND, "datagram that the operating system did not take") \
    X(MEMORY, "no memory for what arrived")

typedef enum necpnet_drop {
#define NECPNET_DROP_ENUM(name, text) NECPNET_DROP_##name,
    NECPNET_DROPS(NECPNET_DROP_ENUM)
#undef NECPNET_DROP_ENUM
    NECPNET_DROP_COUNT
} necpnet_drop;

/* necpnet_drop_name - "TOO_SHORT" and so on.
 *
 * Returns  static text; "" for a number out of range.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API const char* necpnet_drop_name(necpnet_drop drop);

/* What went over one kind of transport. */
typedef struct necpnet_traffic {
    uint64_t packets_sent; /* datagrams, or WebSocket messages */
    uint64_t packets_received;
    uint64_t packets_lost; /* sent and declared lost */
    uint64_t bytes_sent;   /* as necpnet_statistics has it */
    uint64_t bytes_received;
} necpnet_traffic;

typedef struct necpnet_server_statistics {
    uint32_t peers;             /* sessions */
    uint32_t peers_connected;
    uint32_t peers_suspended;
    uint32_t peers_udp;         /* of the connected */
    uint32_t peers_websocket;
    uint32_t web_connections;   /* TCP connections of any kind */
    uint64_t sessions_total;
    uint64_t sessions_resumed;  /* times that one went on over another connection */
    necpnet_traffic udp;
    necpnet_traffic websocket;
    uint64_t messages_sent;
    uint64_t messages_received;
    uint64_t deflate_bytes_saved; /* by permessage-deflate, of what was sent */
    uint64_t memory_bytes;      /* taken from the allocator now */
    uint64_t memory_peak_bytes;
    uint32_t tick;
    uint64_t drops[NECPNET_DROP_COUNT];
} necpnet_server_statistics;

/* necpnet_server_get_statistics - figures of the whole server since it was made.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_get_statistics(const necpnet_server* server,
                                                         necpnet_server_statistics* out_statistics);

/* necpnet_server_tick - the tick now.
 *
 * Returns  the tick; 0 for NULL.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint32_t necpnet_server_tick(const necpnet_server* server);

/* necpnet_server_set_loading - allow a peer loading_timeout_ms of silence.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_set_loading(necpnet_server* server, necpnet_peer peer, bool loading);

/* necpnet_server_set_bandwidth_limit - of one peer; NECPNET_PEER_NONE: of those to come.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (below 1,000) | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_set_bandwidth_limit(necpnet_server* server, necpnet_peer peer,
                                                              uint32_t bytes_per_s);

/* necpnet_server_set_peer_user_data, necpnet_server_get_peer_user_data - one pointer of the application's a peer.
 *
 * Returns  set: OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND.  get: what was set, NULL at first or for no peer.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_server_set_peer_user_data(necpnet_server* server, necpnet_peer peer, void* user_data);
NECPNET_API void* necpnet_server_get_peer_user_data(const necpnet_server* server, necpnet_peer peer);

/* -------------------------------------------------------------------------------------------- 6 connect tokens -- */

/* A backend makes a connect token for a player whom it knows, and hands the text to the client over HTTPS. The client
 * gives it to necpnet_client_set_token. It lives at most 45 s and connects once. */
typedef struct necpnet_token_config {
    size_t struct_bytes;
    uint64_t client_id;        /* default 0 */
    uint64_t server_id;        /* default 1 */
    uint64_t issued_us;        /* wall time; must be set */
    uint32_t lifetime_ms;      /* 1,000 .. 45,000, default 45,000 */
    uint32_t epoch;            /* default 0 */
    const char* const* urls;   /* where to connect, in the order of preference; 0 .. NECPNET_URLS_MAX */
    int url_count;
    uint8_t user_data[NECPNET_USER_DATA_BYTES]; /* default zeroes; sealed, the client cannot read or change it */
    necpnet_entropy entropy;   /* default the platform's */
} necpnet_token_config;

/* necpnet_token_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_token_config_default(necpnet_token_config* config);

/* necpnet_token_create - seal a connect token.
 *
 *   text        gets the bundle: URL-safe characters and a NUL.
 *   text_bytes  NECPNET_TOKEN_TEXT_BYTES_MAX always suffices for up to 4 urls.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_BAD_URL | ERR_BUFFER_TOO_SMALL
 *          | ERR_NO_ENTROPY | ERR_UNSUPPORTED (needs NECPNET_WITH_MBEDTLS or _SODIUM)
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_token_create(const necpnet_token_config* config, const necpnet_token_key* key,
                                                char* text, size_t text_bytes);

/* What a token bundle says in clear. */
typedef struct necpnet_token_info {
    uint32_t version;
    uint64_t server_id;
    uint64_t issued_us;
    uint64_t expires_us;
    int url_count;
    char urls[NECPNET_URLS_MAX][NECPNET_URL_BYTES_MAX + 1];
} necpnet_token_info;

/* necpnet_token_read - the clear part of a bundle.
 *
 *   text  borrowed until return.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_TOKEN_TEXT | ERR_VERSION_DIFFERS
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_token_read(const char* text, necpnet_token_info* out_info);

/* necpnet_token_get_id - the id of a connect token, for those who have its key: what necpnet_server_revoke_token wants.
 *
 *   key     that sealed it.
 *   out_id  NECPNET_TOKEN_ID_BYTES.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_TOKEN_TEXT | ERR_VERSION_DIFFERS | ERR_TOKEN_INVALID (another key)
 *          | ERR_UNSUPPORTED
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_token_get_id(const char* text, const necpnet_token_key* key, uint8_t* out_id);

/* necpnet_token_client_id - the first 8 bytes (little-endian) of SHA-256(issuer, 0, subject).
 *
 * Returns  the id; 0 when built without mbedTLS or for NULL.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_token_client_id(const char* issuer, const char* subject);

/* ------------------------------------------------------------------------------------------------ 7 state sync -- */

/* The server's world is entities of schema types. The application writes plain structs; the library quantises them once
 * a tick and sends each client what changed, against what that client is known to have. */

typedef enum necpnet_field_kind {
    NECPNET_FIELD_BOOL = 0,    /* storage: bool */
    NECPNET_FIELD_INTEGER = 1, /* storage: an integer of storage_bytes 1, 2, 4, 8; min .. max */
    NECPNET_FIELD_ENUM = 2,    /* as integer, 0 .. max */
    NECPNET_FIELD_FLOAT = 3,   /* storage: float or double; min .. max in steps */
    NECPNET_FIELD_VEC2 = 4,    /* storage: float[2] or double[2] */
    NECPNET_FIELD_VEC3 = 5,    /* storage: float[3] or double[3] */
    NECPNET_FIELD_QUAT = 6,    /* storage: float[4] (x, y, z, w), unit; smallest three, max bits a component in step */
    NECPNET_FIELD_ANGLE = 7,   /* storage: float, radians, any value; wraps; step */
    NECPNET_FIELD_ENTITY = 8,  /* storage: necpnet_entity */
    NECPNET_FIELD_STRING = 9,  /* storage: char[count], NUL-terminated UTF-8 */
    NECPNET_FIELD_BYTES = 10   /* storage: uint8_t[count]; all of them, or as many as a length says */
} necpnet_field_kind;

#define NECPNET_FIELD_SIGNED 1u       /* integer storage is signed */
#define NECPNET_FIELD_OWNER_ONLY 2u   /* sent to the entity's owner alone */
#define NECPNET_FIELD_NOT_OWNER 4u    /* sent to everyone but the owner */
#define NECPNET_FIELD_INTERPOLATE 8u  /* the view blends it between two states (numbers, vectors, quaternions, angles) */
#define NECPNET_FIELD_REQUIRED 16u    /* a reader without it, or of another kind, cannot follow: ERR_SCHEMA_DIFFERS */
#define NECPNET_FIELD_SLOW 32u        /* the 10 Hz class: see necpnet_world_config.slow_ticks */
#define NECPNET_FIELD_POSITION 64u    /* VEC2, VEC3, one a type: where the entity stands; see necpnet_world_config.interest_cell */
#define NECPNET_FIELD_PARENT 4096u    /* ENTITY, one a type: what carries it (a vehicle, a platform): both move as one, for fewer bits */
#define NECPNET_FIELD_ARRAY 128u      /* count values of the kind, one behind the other; not of STRING and BYTES */
#define NECPNET_FIELD_BOUNDED 256u    /* ARRAY and BYTES: only the first of them count, as many as the length member says */
#define NECPNET_FIELD_SERVER 512u     /* the server alone writes it, also where a client has authority over the entity */
/* at most so many states a second of the field, 1 .. 1,000 Hz; fields of one rate in an entity change together. Not with SLOW.
 * At most NECPNET_RATES_MAX rates a type, SLOW among them. */
#define NECPNET_FIELD_RATE(hz) ((uint32_t)(hz) << 16)
#define NECPNET_RATES_MAX 8

/* One field of a struct. Made by the macros below. */
typedef struct necpnet_field {
    const char* name; /* 1 .. 63 bytes */
    uint16_t id;      /* 1 .. 65,535, unique in its type, never reused for something else */
    uint8_t kind;     /* necpnet_field_kind */
    uint8_t storage_bytes; /* of one number: 1, 2, 4 or 8 */
    uint32_t offset;  /* in the struct */
    uint32_t count;   /* STRING and BYTES: their size; ARRAY: how many values; at most NECPNET_FIELD_COUNT_MAX; else 1 */
    uint32_t flags;
    double min;
    double max;
    double step; /* FLOAT, VEC2, VEC3, ANGLE: quantum; QUAT: quantum of a component, 0.0001 .. 0.1 */
    uint32_t length_offset; /* BOUNDED: of the length member in the struct; else 0 */
    uint32_t length_bytes;  /* BOUNDED: its size, an unsigned integer of 1, 2 or 4; else 0 */
} necpnet_field;

typedef struct necpnet_entity_type {
    const char* name;
    uint16_t id; /* 1 .. 65,535, unique in its schema */
    uint32_t struct_bytes; /* 1 .. NECPNET_STRUCT_BYTES_MAX */
    const necpnet_field* fields;
    int field_count; /* 1 .. NECPNET_FIELDS_MAX */
} necpnet_entity_type;

#define NECPNET_ENTITY_TYPES_MAX 256
#define NECPNET_FIELDS_MAX 64
#define NECPNET_FIELD_COUNT_MAX 255   /* bytes of a text, with its NUL, or of raw bytes; values of an array */
#define NECPNET_STRUCT_BYTES_MAX 4096 /* of an entity type */
#define NECPNET_STATE_BYTES_MAX 1000  /* of a whole state as it travels: it must fit one packet of any path */
#define NECPNET_STATE_WORDS_MAX 1200  /* of a state in memory: one for each number (two beyond a range of 2^32), one more for a
                                         quaternion or a length, one for four bytes of text */

#define NECPNET_MEMBER_BYTES(type, member) sizeof(((type*)0)->member)
#define NECPNET_FIELD_OF(type, member, id, kind, number_bytes, count, flags, min, max, step) \
    {#member, (id), (kind), (uint8_t)(number_bytes), (uint32_t)offsetof(type, member), (uint32_t)(count), (flags), \
     (double)(min), (double)(max), (double)(step), 0, 0}
#define NECPNET_BOOL(type, member, id, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_BOOL, 1, 1, flags, 0, 1, 1)
#define NECPNET_INTEGER(type, member, id, min, max, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_INTEGER, NECPNET_MEMBER_BYTES(type, member), 1, flags, min, max, 1)
#define NECPNET_ENUM(type, member, id, max, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_ENUM, NECPNET_MEMBER_BYTES(type, member), 1, flags, 0, max, 1)
#define NECPNET_FLOAT(type, member, id, min, max, step, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_FLOAT, NECPNET_MEMBER_BYTES(type, member), 1, flags, min, max, step)
#define NECPNET_VEC2(type, member, id, min, max, step, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_VEC2, NECPNET_MEMBER_BYTES(type, member) / 2, 1, flags, min, max, step)
#define NECPNET_VEC3(type, member, id, min, max, step, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_VEC3, NECPNET_MEMBER_BYTES(type, member) / 3, 1, flags, min, max, step)
#define NECPNET_QUAT(type, member, id, step, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_QUAT, NECPNET_MEMBER_BYTES(type, member) / 4, 1, flags, -1, 1, step)
#define NECPNET_ANGLE(type, member, id, step, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_ANGLE, NECPNET_MEMBER_BYTES(type, member), 1, flags, 0, 0, step)
#define NECPNET_ENTITY_REFERENCE(type, member, id, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_ENTITY, 4, 1, flags, 0, 0, 1)
#define NECPNET_STRING(type, member, id, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_STRING, 1, NECPNET_MEMBER_BYTES(type, member), flags, 0, 0, 1)
#define NECPNET_BYTES(type, member, id, flags) \
    NECPNET_FIELD_OF(type, member, id, NECPNET_FIELD_BYTES, 1, NECPNET_MEMBER_BYTES(type, member), flags, 0, 0, 1)

/* Arrays: members like float speeds[8], float places[8][2]. All values count; in a _LIST the first ones, as many as the
 * struct's unsigned member `length` says. Only the range of values that changed is sent. */
#define NECPNET_ELEMENTS(type, member) (NECPNET_MEMBER_BYTES(type, member) / NECPNET_MEMBER_BYTES(type, member[0]))
#define NECPNET_ARRAY_OF(type, member, id, kind, numbers, flags, min, max, step) \
    NECPNET_FIELD_OF(type, member, id, kind, NECPNET_MEMBER_BYTES(type, member[0]) / (numbers), \
                     NECPNET_ELEMENTS(type, member), (flags) | NECPNET_FIELD_ARRAY, min, max, step)
#define NECPNET_LIST_OF(type, member, length, id, kind, numbers, flags, min, max, step) \
    {#member, (id), (kind), (uint8_t)(NECPNET_MEMBER_BYTES(type, member[0]) / (numbers)), \
     (uint32_t)offsetof(type, member), (uint32_t)NECPNET_ELEMENTS(type, member), \
     (flags) | ((kind) == NECPNET_FIELD_BYTES ? 0u : NECPNET_FIELD_ARRAY) | NECPNET_FIELD_BOUNDED, (double)(min), \
     (double)(max), (double)(step), (uint32_t)offsetof(type, length), (uint32_t)NECPNET_MEMBER_BYTES(type, length)}
#define NECPNET_BOOL_ARRAY(type, member, id, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_BOOL, 1, flags, 0, 1, 1)
#define NECPNET_INTEGER_ARRAY(type, member, id, min, max, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_INTEGER, 1, flags, min, max, 1)
#define NECPNET_ENUM_ARRAY(type, member, id, max, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_ENUM, 1, flags, 0, max, 1)
#define NECPNET_FLOAT_ARRAY(type, member, id, min, max, step, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_FLOAT, 1, flags, min, max, step)
#define NECPNET_VEC2_ARRAY(type, member, id, min, max, step, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_VEC2, 2, flags, min, max, step)
#define NECPNET_VEC3_ARRAY(type, member, id, min, max, step, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_VEC3, 3, flags, min, max, step)
#define NECPNET_QUAT_ARRAY(type, member, id, step, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_QUAT, 4, flags, -1, 1, step)
#define NECPNET_ANGLE_ARRAY(type, member, id, step, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_ANGLE, 1, flags, 0, 0, step)
#define NECPNET_ENTITY_ARRAY(type, member, id, flags) \
    NECPNET_ARRAY_OF(type, member, id, NECPNET_FIELD_ENTITY, 1, flags, 0, 0, 1)
#define NECPNET_BOOL_LIST(type, member, length, id, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_BOOL, 1, flags, 0, 1, 1)
#define NECPNET_INTEGER_LIST(type, member, length, id, min, max, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_INTEGER, 1, flags, min, max, 1)
#define NECPNET_ENUM_LIST(type, member, length, id, max, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_ENUM, 1, flags, 0, max, 1)
#define NECPNET_FLOAT_LIST(type, member, length, id, min, max, step, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_FLOAT, 1, flags, min, max, step)
#define NECPNET_VEC2_LIST(type, member, length, id, min, max, step, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_VEC2, 2, flags, min, max, step)
#define NECPNET_VEC3_LIST(type, member, length, id, min, max, step, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_VEC3, 3, flags, min, max, step)
#define NECPNET_QUAT_LIST(type, member, length, id, step, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_QUAT, 4, flags, -1, 1, step)
#define NECPNET_ANGLE_LIST(type, member, length, id, step, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_ANGLE, 1, flags, 0, 0, step)
#define NECPNET_ENTITY_LIST(type, member, length, id, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_ENTITY, 1, flags, 0, 0, 1)
#define NECPNET_BYTES_LIST(type, member, length, id, flags) \
    NECPNET_LIST_OF(type, member, length, id, NECPNET_FIELD_BYTES, 1, flags, 0, 0, 1)

/* necpnet_schema_create - check the types and fix their wire form. Immutable; may be shared by many instances.
 *
 *   allocator, logger  NULL: malloc, silent. The logger gets the type and field of a refusal.
 *   types              copied, names too.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_SCHEMA | ERR_OUT_OF_MEMORY
 * Thread   any.        Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_schema_create(const necpnet_allocator* allocator, const necpnet_logger* logger,
                                                 const necpnet_entity_type* types, int type_count,
                                                 necpnet_schema** out_schema);

/* necpnet_schema_destroy - after every world and view that uses it.
 *
 * Thread   any.        Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_schema_destroy(necpnet_schema* schema);

/* necpnet_schema_set_tables - codec tables learned from this game's own motion, beside those that are built in. A server uses them
 * for clients that have the same (SETUP tells their hash), the built-in ones for all others. tools/train_tables.c makes them.
 *
 *   schema  no world or view uses it yet.
 *   blob    "Tables" in src/PROTOCOL.md; NULL: those built in alone; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_DATA (no tables, or of another version) | ERR_OUT_OF_MEMORY
 * Thread   any.        Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_schema_set_tables(necpnet_schema* schema, const void* blob, size_t bytes);

/* necpnet_schema_get_tables_hash - of its own tables, without any of those built in.
 *
 * Returns  the hash; 0 for NULL.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_schema_get_tables_hash(const necpnet_schema* schema);

/* necpnet_schema_get_hash - equal for equal wire forms, on every machine.
 *
 * Returns  the hash; 0 for NULL.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_schema_get_hash(const necpnet_schema* schema);

/* necpnet_schema_get_type - the schema's copy of a type, by index 0, 1, .. or by id.
 *
 * Returns  a view until the schema is destroyed; NULL if there is none.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API const necpnet_entity_type* necpnet_schema_get_type(const necpnet_schema* schema, int index);
NECPNET_API const necpnet_entity_type* necpnet_schema_find_type(const necpnet_schema* schema, uint16_t id);

/* necpnet_json_check - whether a text is one JSON value (RFC 8259) and nothing behind it: for bodies and messages from outside,
 * before a lenient reader builds the tree. At most NECPNET_JSON_DEPTH_MAX arrays and objects within each other; no NUL in a
 * string, raw or escaped; no lone surrogates; UTF-8. Names that stand twice in an object are not looked for.
 *
 *   text   need not end in NUL; borrowed until return; may be NULL only if bytes is 0.
 *   bytes  0 .. NECPNET_JSON_BYTES_MAX.
 *   error  gets "line 3, column 7: a colon is missing"; may be NULL only if error_bytes is 0. Written only on ERR_BAD_DATA.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_DATA
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_json_check(const char* text, size_t bytes, char* error, size_t error_bytes);

/* necpnet_schema_from_json - a schema described in JSON; its hash is that of the same description in C.
 *
 *     {"types": [{"name": "player", "id": 1, "fields": [
 *         {"name": "position", "id": 1, "kind": "vec2", "min": -100, "max": 100, "step": 0.01, "interpolate": true},
 *         {"name": "team", "id": 2, "kind": "enum", "values": ["red", "blue"], "required": true},
 *         {"name": "nick", "id": 3, "kind": "string", "count": 24, "slow": true},
 *         {"name": "ammunition", "id": 4, "kind": "integer", "min": 0, "max": 999, "count": 6},
 *         {"name": "marks", "id": 5, "kind": "vec2", "min": -100, "max": 100, "step": 1, "count": 8, "bounded": true}]}]}
 *
 * kind: bool, integer, enum, float, vec2, vec3, quat, angle, entity, string, bytes. Flags: ownerOnly, notOwner,
 * interpolate, required, slow, position; "rate" is NECPNET_FIELD_RATE. An enum has max or values. "count" makes an array of a number, "bounded" a list
 * of an array or of bytes. Structs are laid out in the order of the file, as C does it: the smallest integer that holds
 * the range, float unless "double": true, the length of a list behind it in a uint8_t; "storage" ("uint8" .. "int64"),
 * "offset", "lengthOffset", "lengthBytes" and, of a type, "structBytes" say otherwise. "about" may stand anywhere;
 * "events" beside "types" is not read. Any other name is refused.
 *
 *   allocator, logger  NULL: malloc, silent. The logger gets what is refused and where.
 *   text               need not end in NUL; borrowed until return.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_SCHEMA | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED (needs NECPNET_WITH_CJSON)
 * Thread   any.        Callback  safe.      Allocates  yes (cJSON: by malloc, and gives it back).
 */
NECPNET_API necpnet_result necpnet_schema_from_json(const necpnet_allocator* allocator, const necpnet_logger* logger,
                                                    const char* text, size_t bytes, necpnet_schema** out_schema);

/* necpnet_schema_to_json - what necpnet_schema_from_json reads, a field a line, types and fields by rising id.
 *
 *   text       gets it with a NUL; NULL with 0: only measured.
 *   out_bytes  without the NUL; written also with ERR_BUFFER_TOO_SMALL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BUFFER_TOO_SMALL
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_schema_to_json(const necpnet_schema* schema, char* text, size_t text_bytes,
                                                  size_t* out_bytes);

/* necpnet_schema_compare - whether a reader of one version can follow a writer of another.
 *
 * Fields are known by their ids. A field that only one has is skipped, or reads 0; the same where the kinds differ; ranges
 * and steps are the writer's. It cannot where a NECPNET_FIELD_REQUIRED field of either, in a type that both have or the
 * reader alone, is missing at the other or has another kind.
 *
 *   text  gets the first such difference with type, field and kinds, "" if there is none; 256 bytes hold all of it; NULL
 *         with 0: not told.
 *
 * Returns  OK | ERR_SCHEMA_DIFFERS | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_schema_compare(const necpnet_schema* reader, const necpnet_schema* writer,
                                                  char* text, size_t text_bytes);

/* One entity of a world, by value: the same number on the server and all clients. 0 is none. Low 16 bits slot, high 16
 * bits generation. */
typedef uint32_t necpnet_entity;
#define NECPNET_ENTITY_NONE 0u

typedef enum necpnet_codec {
    NECPNET_CODEC_DEFAULT = 0, /* Huffman codes; records are shared by clients that have seen the same */
    NECPNET_CODEC_THIN = 1     /* arithmetic coding: fewer bytes for several times the work */
} necpnet_codec;

typedef enum necpnet_plane {
    NECPNET_PLANE_XY = 0,
    NECPNET_PLANE_XZ = 1,
    NECPNET_PLANE_YZ = 2
} necpnet_plane;

/* Who may write an entity. */
typedef enum necpnet_authority {
    NECPNET_AUTHORITY_SERVER = 0, /* the server alone; the default */
    NECPNET_AUTHORITY_OWNER = 1,  /* the client that owns it (necpnet_world_set_owner), besides the server */
    NECPNET_AUTHORITY_SHARED = 2  /* every client that sees it, each write against the state that it was made from: where somebody
                                     else was faster it is answered with NECPNET_VIEW_CONFLICT and the current state */
} necpnet_authority;

/* A client's write, as necpnet_world_config.validate gets it. */
typedef struct necpnet_write {
    necpnet_peer peer;
    necpnet_entity entity;
    uint16_t type_id;
    uint32_t number;     /* the client's writes are numbered */
    uint32_t elapsed_us; /* since this client's last write that was taken, by its clock; in sum never more than what passed here
                            plus 250 ms, and at most 1 s */
    const void* before;  /* the struct as it is */
} necpnet_write;

typedef struct necpnet_world_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    const necpnet_schema* schema; /* must be set; borrowed until destroy */
    uint32_t entities_max;        /* 1 .. 65,535, default 4,096 */
    uint32_t send_hz;             /* states a second to each client; 1 .. 120, default 20 */
    uint32_t client_bytes_per_s;  /* budget of state a client; 1,000 .. UINT32_MAX, default 32,000 */
    uint32_t history_ticks;       /* states kept for deltas and rewind; 8 .. 256, default 64 */
    uint32_t slow_ticks;          /* least ticks between two states of a NECPNET_FIELD_SLOW field; 1 .. 1,000, default 6:
                                     10 Hz at 60 ticks a second */
    uint32_t tick_hz;             /* ticks a second, for NECPNET_FIELD_RATE; 1 .. 1,000, default 60 */
    bool strict;                  /* a value out of its field's range is an error of commit; else it is clamped and
                                     counted; default false */
    necpnet_codec codec;          /* of states to all clients that come; default NECPNET_CODEC_DEFAULT. One client:
                                     necpnet_world_set_codec, one type: necpnet_world_set_type_codec */
    double interest_cell; /* side of a cell, in units of NECPNET_FIELD_POSITION; 0, the default: no grid, all see their rooms */
    uint32_t interest_radius; /* cells around its own that a client sees; 0 .. 15, default 2. An entity leaves its view
                                 only beyond radius + 1 */
    necpnet_plane interest_plane; /* which two numbers of a VEC3; default NECPNET_PLANE_XY */
    bool (*can_see)(void* user, necpnet_peer peer, necpnet_entity entity); /* optional: whether a client may see an entity
                                 that comes into its view and is not its own. Must not call the world */
    void* can_see_user;
    uint64_t (*time_ns)(void* user); /* optional: a clock, for interest_ns and encode_ns of the statistics alone; NULL, the
                                 default: they stay 0 */
    void* time_user;
    bool (*validate)(void* user, const necpnet_write* write, void* state); /* optional: whether a client's write may be; state is
                                 the struct as it would be. Change it to clamp: the client then gets that. False: refused. Called
                                 inside necpnet_server_update, must not call the world; values are within their fields' ranges */
    void* validate_user;
    uint32_t check_interval_ms; /* in which the state that each client has of each entity is checked by a hash, and sent whole
                                 where it differs; 0: never; 1,000 .. 3,600,000, default 10,000. Takes at most a fiftieth of
                                 client_bytes_per_s, and longer where that is too little; nothing while nothing changes */
} necpnet_world_config;

/* necpnet_world_config_default - fill all fields but schema and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_config_default(necpnet_world_config* config);

/* necpnet_world_create - an empty world, for one server's config.world.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 * Thread   becomes the owner (the server's thread).   Callback  no.   Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_create(const necpnet_world_config* config, necpnet_world** out_world);

/* necpnet_world_destroy - after the server.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_world_destroy(necpnet_world* world);

/* necpnet_world_spawn - a new entity.
 *
 *   type_id  of the schema.
 *   state    the struct; NULL: zeroes; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (type) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY
 *          | ERR_INVALID_STATE (rewound, or the type is one of objects)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_spawn(necpnet_world* world, uint16_t type_id, const void* state,
                                               necpnet_entity* out_entity);

/* All that an engine says of an entity when it comes into being: each can be changed later by a function of its own. */
typedef struct necpnet_entity_descriptor {
    size_t struct_bytes;
    uint16_t type_id;        /* must be set */
    const void* state;       /* the struct; NULL (default): zeroes; copied */
    necpnet_peer owner;      /* whose it is: inputs, owner-only fields; default NECPNET_PEER_NONE */
    necpnet_authority authority; /* who may write it; default NECPNET_AUTHORITY_SERVER */
    uint32_t room;           /* default 0 */
    uint32_t priority;       /* 1 .. 255, default 16: necpnet_world_set_priority */
    uint32_t interval_ticks; /* the rate: least ticks between two of its states, 1 .. 1,000; default 1. 3 of 60 make 20 Hz */
    uint64_t user_id;        /* the engine's own number of it; default 0: none */
} necpnet_entity_descriptor;

/* necpnet_entity_descriptor_default - fill all fields but type_id and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_entity_descriptor_default(necpnet_entity_descriptor* descriptor);

/* necpnet_world_spawn_with - a new entity, all said of it at once.
 *
 * Returns  as necpnet_world_spawn, and ERR_BAD_STRUCT_BYTES | ERR_ALREADY_EXISTS (user_id); after an error there is none
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_spawn_with(necpnet_world* world, const necpnet_entity_descriptor* descriptor,
                                                    necpnet_entity* out_entity);

/* necpnet_world_set_user_id - the engine's own number of an entity, known here alone; it goes with the entity.
 *
 *   user_id  0: none.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_ALREADY_EXISTS (another has it) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_set_user_id(necpnet_world* world, necpnet_entity entity, uint64_t user_id);

/* necpnet_world_get_user_id, necpnet_world_find_user_id - both ways.
 *
 * Returns  the number, 0 for none; the entity, NECPNET_ENTITY_NONE for none.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_world_get_user_id(const necpnet_world* world, necpnet_entity entity);
NECPNET_API necpnet_entity necpnet_world_find_user_id(const necpnet_world* world, uint64_t user_id);

/* necpnet_world_despawn - remove an entity, here and on every client.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_INVALID_STATE (rewound)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_despawn(necpnet_world* world, necpnet_entity entity);

/* necpnet_world_get - the entity's struct, to be read and written; after writing call necpnet_world_mark.
 *
 * Returns  a view until the entity is despawned; NULL if there is none.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API void* necpnet_world_get(necpnet_world* world, necpnet_entity entity);

/* necpnet_world_mark - the struct was written: quantise and send it with the next commit.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_mark(necpnet_world* world, necpnet_entity entity);

/* necpnet_world_set_owner - whose the entity is (input, owner-only fields); NECPNET_PEER_NONE: the server's.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_INVALID_STATE (a session's object)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_set_owner(necpnet_world* world, necpnet_entity entity, necpnet_peer owner);

/* necpnet_world_set_authority - who may write the entity. With NECPNET_AUTHORITY_OWNER its owner has authority from now on, and
 * necpnet_world_set_owner gives it to another or takes it back (NECPNET_PEER_NONE). Each change has a sequence; what a former
 * owner wrote before it knew is refused. When a client's session ends, its authority is the server's again.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_set_authority(necpnet_world* world, necpnet_entity entity,
                                                       necpnet_authority authority);

/* necpnet_world_get_authority - who may write the entity.
 *
 *   out_owner     its owner; may be NULL.
 *   out_sequence  of the present authority; may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_get_authority(const necpnet_world* world, necpnet_entity entity,
                                                       necpnet_authority* out_authority, necpnet_peer* out_owner,
                                                       uint32_t* out_sequence);

/* necpnet_world_correct - the server wrote the struct of an entity over which a client has authority (it was teleported, hit):
 * the client gets this state in place of its own, and what it wrote before it knew is refused. Marks the entity.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_correct(necpnet_world* world, necpnet_entity entity);

/* necpnet_world_deny - answer NECPNET_WORLD_AUTHORITY_REQUESTED with no; yes is necpnet_world_set_owner.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (the entity, or the peer follows no state) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_deny(necpnet_world* world, necpnet_peer peer, necpnet_entity entity);

typedef enum necpnet_world_event_type {
    NECPNET_WORLD_AUTHORITY_REQUESTED = 1, /* a client wants authority over an entity that it sees */
    NECPNET_WORLD_AUTHORITY_RELEASED = 2   /* a client gave it back, or its session ended: the server has it, the owner is
                                              NECPNET_PEER_NONE */
} necpnet_world_event_type;

typedef struct necpnet_world_event {
    necpnet_world_event_type type;
    necpnet_peer peer;
    necpnet_entity entity;
    uint32_t sequence; /* of the entity's authority then */
} necpnet_world_event;

/* necpnet_world_poll - the next event of authority. A request that finds 4,096 waiting is denied.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_world_poll(necpnet_world* world, necpnet_world_event* out_event);

/* Objects: entities of which there is one for a whole world (the state of a match) or one for each session (an inventory).
 * They are of the same schema as others and are read, written, marked and despawned like them; but a world's object is in
 * view of every client, a session's of that client alone and its own, whatever rooms, grid and filter say. A type is one of
 * objects or of other entities, of worlds or of sessions: clients find an object by its type. */

/* necpnet_world_open_object - the world's object of a type, or a session's; made, a struct of zeroes, when it is not there.
 *
 *   peer  NECPNET_PEER_NONE: the world's; else that session's, which goes when the session ends.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (type, or the peer follows no state) | ERR_LIMIT_REACHED
 *          | ERR_INVALID_STATE (rewound, or the type is used otherwise) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_open_object(necpnet_world* world, uint16_t type_id, necpnet_peer peer,
                                                     necpnet_entity* out_entity);

/* necpnet_world_find_object - the same where it is there.
 *
 * Returns  the entity, or NECPNET_ENTITY_NONE.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_entity necpnet_world_find_object(const necpnet_world* world, uint16_t type_id, necpnet_peer peer);

/* Variables: typed values by key, beside entities; of a world, for all its clients, or of one session. Changes alone travel,
 * reliable and in the order in which they were made; of a variable that changed twice before it was told, only the last
 * value. Who comes later is told all. A world tells with its next commit. */
#define NECPNET_VARIABLES_MAX 4096   /* of a world, and of each session; lately removed ones may count */
#define NECPNET_VALUE_BYTES_MAX 1024 /* of a text without its NUL, or of bytes */
#define NECPNET_WATCHES_MAX 64       /* of a view */

typedef enum necpnet_value_type {
    NECPNET_VALUE_NONE = 0, /* there is no such variable */
    NECPNET_VALUE_BOOL = 1,
    NECPNET_VALUE_INTEGER = 2,
    NECPNET_VALUE_NUMBER = 3,
    NECPNET_VALUE_STRING = 4,
    NECPNET_VALUE_BYTES = 5
} necpnet_value_type;

typedef struct necpnet_value {
    necpnet_value_type type;
    bool boolean;     /* BOOL; each member counts for its type alone */
    int64_t integer;  /* INTEGER */
    double number;    /* NUMBER */
    const void* data; /* STRING (UTF-8; given back with a NUL behind it), BYTES; may be NULL only if bytes is 0 */
    size_t bytes;
} necpnet_value;

/* necpnet_value_of_bool, .. - a value of each type; of a text until its NUL. Texts and bytes are borrowed.
 *
 * Returns  the value; type NONE for a NULL text, or NULL with bytes.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_value necpnet_value_of_bool(bool value);
NECPNET_API necpnet_value necpnet_value_of_integer(int64_t value);
NECPNET_API necpnet_value necpnet_value_of_number(double value);
NECPNET_API necpnet_value necpnet_value_of_string(const char* text);
NECPNET_API necpnet_value necpnet_value_of_bytes(const void* data, size_t bytes);

/* necpnet_world_set_variable - set a variable; of type NONE: remove it.
 *
 *   peer   NECPNET_PEER_NONE: of the world; else of that session, with which it goes.
 *   key    1 .. NECPNET_NAME_BYTES_MAX bytes of UTF-8.
 *   value  copied.
 *
 * Returns  OK (also where it was the same) | ERR_INVALID_ARGUMENT (also what is no UTF-8) | ERR_MESSAGE_TOO_LARGE
 *          | ERR_NOT_FOUND (the peer follows no state; nothing to remove) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_set_variable(necpnet_world* world, necpnet_peer peer, const char* key,
                                                      necpnet_value value);

/* necpnet_world_get_variable - what was set.
 *
 *   out_value  its data is a view until the variable changes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_get_variable(const necpnet_world* world, necpnet_peer peer, const char* key,
                                                      necpnet_value* out_value);

/* Who sees what: a client sees an entity that is in one of its rooms and, in a world with a grid, near it. Entities of a type
 * without NECPNET_FIELD_POSITION are seen in their whole room, and everyone sees its own. All begin in room 0, clients when
 * they connect (NECPNET_EVENT_CONNECTED); a client that looks from nowhere sees no entity that has a position. */

/* necpnet_world_set_room - the room that an entity is in, as of the next commit.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_set_room(necpnet_world* world, necpnet_entity entity, uint32_t room);

/* necpnet_world_join_room, necpnet_world_leave_room - a client sees what is in a room, or no longer. It may be in up to 255
 * rooms, and stays in them while its session lasts.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (the peer follows no state; leave: it is not in the room)
 *          | ERR_LIMIT_REACHED (rooms) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_join_room(necpnet_world* world, necpnet_peer peer, uint32_t room);
NECPNET_API necpnet_result necpnet_world_leave_room(necpnet_world* world, necpnet_peer peer, uint32_t room);

/* necpnet_world_set_observer - the entity from which a client looks; NECPNET_ENTITY_NONE: from nowhere. When the entity goes,
 * the client looks from where it was last.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (peer, entity) | ERR_INVALID_STATE (no grid, or a type without
 *          position) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_set_observer(necpnet_world* world, necpnet_peer peer, necpnet_entity entity);

/* necpnet_world_set_observer_at - the fixed place from which a client looks.
 *
 *   x, y  in the plane of interest_plane.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (also no number, or too far) | ERR_NOT_FOUND (peer) | ERR_INVALID_STATE (no grid)
 *          | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_set_observer_at(necpnet_world* world, necpnet_peer peer, double x, double y);

/* necpnet_world_refilter - ask can_see again about what is in view, because its answers changed.
 *
 *   peer    NECPNET_PEER_NONE: all.
 *   entity  NECPNET_ENTITY_NONE: all, which costs a walk over the world for each such peer.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_refilter(necpnet_world* world, necpnet_peer peer, necpnet_entity entity);

/* necpnet_world_set_priority - who goes first when a client's budget is short: those with the largest product of weight and
 * ticks of waiting. An entity's weight for a client is priority / (1 + how many cells of the grid it is away). Nothing
 * starves: docs/state-sync.md has the bound.
 *
 *   priority  1 .. 255; 16 at first.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_set_priority(necpnet_world* world, necpnet_entity entity, uint32_t priority);

/* necpnet_world_set_interval - the least ticks between two states of an entity: 6 make 10 Hz of 60 ticks a second.
 *
 *   ticks  1 .. 1,000; 1 at first.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_set_interval(necpnet_world* world, necpnet_entity entity, uint32_t ticks);

/* necpnet_world_set_codec - of all states to one client, from its next frame on, while it is connected; a client that comes has
 * world_config.codec.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (the peer follows no state)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_set_codec(necpnet_world* world, necpnet_peer peer, necpnet_codec codec);

/* necpnet_world_set_type_codec - of the states of one type to all clients: thin for this type alone; a client whose codec is thin has
 * all types so. Frames to all clients are then written by the arithmetic coder, and share no records.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (no such type)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_set_type_codec(necpnet_world* world, uint16_t type_id, necpnet_codec codec);

/* necpnet_world_next - walk over all entities in the order of their slots.
 *
 * Returns  the next after entity (NECPNET_ENTITY_NONE: the first), or NECPNET_ENTITY_NONE.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_entity necpnet_world_next(const necpnet_world* world, necpnet_entity entity);

/* necpnet_world_get_type - the type id of an entity; 0 if there is none.
 *
 * Returns  the id.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint16_t necpnet_world_get_type(const necpnet_world* world, necpnet_entity entity);

/* necpnet_world_get_schema - the schema of its config: what the fields of an entity's struct are.
 *
 * Returns  borrowed from whoever made the world; NULL for NULL.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API const necpnet_schema* necpnet_world_get_schema(const necpnet_world* world);

/* necpnet_world_set_input - the next commit holds the effect of a client's inputs up to this tick. Its view then replays
 * only later ones. Call it where the inputs of NECPNET_EVENT_INPUT are applied.
 *
 *   tick  of the newest input applied; an older one than before changes nothing.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (the peer follows no state)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_set_input(necpnet_world* world, necpnet_peer peer, uint32_t tick);

/* necpnet_world_commit - quantise what was marked, as the state of this tick. Once a tick, before necpnet_server_update.
 *
 *   tick  larger than the one before.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_INVALID_STATE (rewound) | ERR_OUT_OF_MEMORY
 *          | ERR_OUT_OF_RANGE (config.strict: all else is committed; the logger gets entity, type and field; the entity's
 *          former state stays, of a new one the clamped state is taken)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_commit(necpnet_world* world, uint32_t tick);

/* necpnet_world_get_at - the entity's struct as it was at a moment of the past.
 *
 * For lag compensation: the client sends what necpnet_view_get_tick told it along with its shot, and the server looks
 * where things were for that client. Blended between two commits as a view blends; members that are no field are 0.
 *
 *   tick       0 .. ; from the client, so it may be anything: the world remembers config.history_ticks. Beyond the last
 *              commit the newest state is given.
 *   share_ppm  on the way to the next tick, 0 .. 999,999.
 *   state      at least the type's struct_bytes; written on OK.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (gone, or not there yet at that time) | ERR_BUFFER_TOO_SMALL
 *          | ERR_OUT_OF_RANGE (too long ago)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_get_at(const necpnet_world* world, necpnet_entity entity, uint32_t tick,
                                                uint32_t share_ppm, void* state, size_t struct_bytes);

/* necpnet_world_rewind - put a set of entities back to a moment of the past, so that the game's own collision code can
 * query it; necpnet_world_restore ends it.
 *
 * Until then necpnet_world_get gives the structs of that moment (their fields; other members keep their values), what is
 * written to them is lost, and spawn, despawn, commit and another rewind are refused.
 *
 *   tick, share_ppm  as in necpnet_world_get_at.
 *   entities         count of them, borrowed until return; those that did not exist at that time stay as they are.
 *   out_count        how many were put back; may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_INVALID_STATE (rewound already) | ERR_OUT_OF_RANGE (too long ago)
 *          | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes, and keeps it for the next time.
 */
NECPNET_API necpnet_result necpnet_world_rewind(necpnet_world* world, uint32_t tick, uint32_t share_ppm,
                                                const necpnet_entity* entities, int count, int* out_count);

/* necpnet_world_restore - back to the present.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_INVALID_STATE (not rewound)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_restore(necpnet_world* world);

/* necpnet_world_save - all entities, objects and variables of the world as bytes, as of the last commit: what clients know of them, so
 * each field to its quantum; members that are no field, owners, and what is of sessions are not kept.
 *
 *   data       where to; NULL only if bytes is 0, to ask for the size.
 *   bytes      room there.
 *   out_bytes  written also on ERR_BUFFER_TOO_SMALL: the room that is needed.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BUFFER_TOO_SMALL
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_save(const necpnet_world* world, void* data, size_t bytes, size_t* out_bytes);

/* necpnet_world_load - spawn what necpnet_world_save wrote, into a world that never had an entity. Entities keep their numbers, so
 * references between them hold; variables are set over those that there are. The schema may be another version, under the same
 * rules as between clients and servers: fields that are new are 0, entities of types that are no more are left out and counted
 * in the log.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_INVALID_STATE (the world had entities) | ERR_SCHEMA_DIFFERS (the log says where)
 *          | ERR_BAD_DATA (cut, damaged or of a later version; the log says which) | ERR_LIMIT_REACHED (entities_max)
 *          | ERR_OUT_OF_MEMORY; after an error the world is empty, and its slots may be used up: create another one.
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_load(necpnet_world* world, const void* data, size_t bytes);

/* Where a recording goes. docs/recording.md has its format. */
typedef struct necpnet_recorder {
    bool (*write)(void* user, const void* data, size_t bytes); /* the next bytes; false: they could not be kept, and it ends */
    void* user;
} necpnet_recorder;

/* necpnet_world_record - record all entities from now on, as one sees them who owns none, whatever their room or place; written
 * inside necpnet_world_commit. necpnet_replay_create reads it.
 *
 *   recorder     copied; NULL: the recording ends.
 *   tick_hz      ticks a second of the world; 1 .. 1,000.
 *   every_ticks  1 .. 1,000: at most one frame in so many ticks.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_ALREADY_EXISTS (it records) | ERR_OUT_OF_MEMORY | ERR_IO (the recorder did not take
 *          it; at the end: at some time) | ERR_INVALID_STATE (the end of none)
 *          | ERR_UNSUPPORTED (NECPNET_WITH_RECORDING is 0)
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_world_record(necpnet_world* world, const necpnet_recorder* recorder,
                                                uint32_t tick_hz, uint32_t every_ticks);

/* Columns: for engines that keep each component in an array of its own. */
#define NECPNET_COLUMN_LENGTH 0x10000u /* with a field_id: the length member of that list */

typedef struct necpnet_column {
    uint32_t field_id;   /* of a field of the type; an array's column holds all of it for each entity */
    const void* data;    /* the component of the first entity; as wide as the struct's member */
    size_t stride_bytes; /* from one entity's to the next one's; 0: the same for all */
} necpnet_column;

typedef struct necpnet_column_out {
    uint32_t field_id;
    void* data;
    size_t stride_bytes;
} necpnet_column_out;

/* necpnet_world_update_many - write columns into the structs of many entities and mark those that it changed.
 *
 *   type_id       of all of them.
 *   entities      count of them, borrowed until return.
 *   columns       column_count of them, 1 .. NECPNET_FIELDS_MAX; row i belongs to entity i.
 *   out_changed   how many entities were changed; may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (type, field or an entity; the log names it; nothing was changed)
 *          | ERR_INVALID_STATE (rewound)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_update_many(necpnet_world* world, uint16_t type_id,
                                                     const necpnet_entity* entities, int count,
                                                     const necpnet_column* columns, int column_count,
                                                     int* out_changed);

typedef struct necpnet_world_statistics {
    uint32_t entities;
    uint64_t updates_sent; /* entity records */
    uint64_t bytes_sent;   /* of state frames */
    uint64_t full_sent;    /* of them, records without a baseline */
    uint64_t values_clamped; /* out of their field's range */
    uint64_t records_made;   /* updates predicted and coded */
    uint64_t records_shared; /* updates copied from another client that follows from the same */
    uint64_t interest_ns;    /* in commit: quantising, history, who sees what; with config.time_ns */
    uint64_t encode_ns;      /* what a client lacks, its frames, what became of them; with config.time_ns */
    uint64_t writes_accepted;    /* of clients, those that were clamped, too */
    uint64_t writes_clamped;     /* changed by validate */
    uint64_t writes_refused;     /* by validate, or for want of authority; answered */
    uint64_t writes_conflicting; /* against a state that somebody else had changed; answered */
    uint64_t writes_late;        /* under a former authority, or to what is gone or out of view */
    uint64_t writes_superseded;  /* that came after a newer one, which holds all of them */
    uint64_t checks_sent;        /* hashes of entities */
    uint64_t check_bytes;        /* of bytes_sent, what they took */
    uint64_t repairs;            /* states sent whole because a client found its own to differ */
} necpnet_world_statistics;

/* necpnet_world_get_statistics - figures since create.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_world_get_statistics(const necpnet_world* world,
                                                        necpnet_world_statistics* out_statistics);

/* The view: what a client sees of the world. Interpolated in time, so that it moves smoothly at any frame rate. */
typedef struct necpnet_view_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    const necpnet_schema* schema;  /* must be set; borrowed until destroy */
    uint32_t entities_max;         /* default 4,096 */
    uint32_t delay_min_ms;         /* interpolation delay, adapted to the jitter; default 50 */
    uint32_t delay_max_ms;         /* default 500 */
    uint32_t extrapolation_max_ms; /* how far beyond the newest state; default 100 */
    uint32_t write_hz;             /* frames of writes a second at most; 1 .. 120, default 30 */
    uint32_t write_bytes_per_s;    /* budget of writes; 1,000 .. UINT32_MAX, default 16,000. What finds no room waits, and is
                                      sent as it is then */
} necpnet_view_config;

typedef enum necpnet_view_event_type {
    NECPNET_VIEW_ENTERED = 1, /* the entity came into view (or was spawned) */
    NECPNET_VIEW_LEFT = 2,    /* it left, or was despawned, or the connection ended */
    NECPNET_VIEW_AUTHORITY_GIVEN = 3,  /* this client has authority over the entity.  sequence */
    NECPNET_VIEW_AUTHORITY_LOST = 4,   /* no longer; the server's states are shown again.  sequence */
    NECPNET_VIEW_AUTHORITY_DENIED = 5, /* the server said no to a request */
    NECPNET_VIEW_WRITTEN = 6,  /* a shared entity: the write was taken.  number */
    NECPNET_VIEW_CLAMPED = 7,  /* the server changed what was written, or what is shown; necpnet_view_get gives it.  number */
    NECPNET_VIEW_REFUSED = 8,  /* the write was refused; necpnet_view_get gives the current state.  number */
    NECPNET_VIEW_CONFLICT = 9  /* a shared entity: somebody else was faster; necpnet_view_get_latest gives the current state
                                  with the next frame.  number */
} necpnet_view_event_type;

typedef struct necpnet_view_event {
    necpnet_view_event_type type;
    necpnet_entity entity;
    uint16_t type_id;
    uint32_t number;   /* of the write; an answer stands for all earlier ones of the entity */
    uint32_t sequence; /* of the authority */
    uint64_t user_id; /* LEFT: what necpnet_view_set_user_id said; no longer known */
} necpnet_view_event;

/* necpnet_view_config_default - fill all fields but schema and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_config_default(necpnet_view_config* config);

/* necpnet_view_create - an empty view, for one client's (or runner's) config.view.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_create(const necpnet_view_config* config, necpnet_view** out_view);

/* necpnet_view_destroy - after the client.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_view_destroy(necpnet_view* view);

/* necpnet_view_update - move the view's time on; once a frame.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_update(necpnet_view* view, uint64_t now_us);

/* necpnet_view_poll - the next entity that entered or left, or what became of authority and writes.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_view_poll(necpnet_view* view, necpnet_view_event* out_event);

/* What a view shows otherwise than it did when it was asked last. Lists of structs of arrays, each as long as its count; views
 * until the next call with this view. */
typedef struct necpnet_changes {
    const necpnet_entity* entered;
    const uint16_t* entered_types; /* ids */
    uint32_t entered_count;
    const necpnet_entity* left;
    const uint16_t* left_types;
    const uint64_t* left_user_ids; /* 0: none */
    uint32_t left_count;
    const necpnet_entity* changed; /* those that entered, too, with all fields */
    const uint16_t* changed_types;
    const uint64_t* changed_fields; /* bit i: the field of place i in the schema's type, which has them by rising id */
    uint32_t changed_count;
} necpnet_changes;

/* necpnet_view_take_changes - in the place of necpnet_view_poll and of looking at every entity: once a frame, after
 * necpnet_view_update. A field has changed when necpnet_view_get gives another value than at the call before. The cost goes
 * with what moves, not with what is in view. From the first call on each entity's struct is kept once more.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY (nothing was taken: call again)
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_take_changes(necpnet_view* view, necpnet_changes* out_changes);

/* necpnet_view_set_user_id - the engine's own number of an entity that was told as entered; it goes when LEFT is told.
 *
 *   user_id  0: none.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_ALREADY_EXISTS (another has it) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_set_user_id(necpnet_view* view, necpnet_entity entity, uint64_t user_id);

/* necpnet_view_get_user_id, necpnet_view_find_user_id - both ways.
 *
 * Returns  the number, 0 for none; the entity, NECPNET_ENTITY_NONE for none.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_view_get_user_id(const necpnet_view* view, necpnet_entity entity);
NECPNET_API necpnet_entity necpnet_view_find_user_id(const necpnet_view* view, uint64_t user_id);

/* necpnet_view_next - walk over all entities in view.
 *
 * Returns  the next after entity (NECPNET_ENTITY_NONE: the first), or NECPNET_ENTITY_NONE.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_entity necpnet_view_next(const necpnet_view* view, necpnet_entity entity);

/* necpnet_view_get_type - the type id of an entity; 0 if it is not in view.
 *
 * Returns  the id.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint16_t necpnet_view_get_type(const necpnet_view* view, necpnet_entity entity);

/* necpnet_view_get - the entity's struct, interpolated at the view's time.
 *
 *   state        gets the struct; struct_bytes of it.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_BUFFER_TOO_SMALL
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_get(necpnet_view* view, necpnet_entity entity, void* state, size_t struct_bytes);

/* necpnet_view_read_many - necpnet_view_get for many entities of one type, into columns.
 *
 *   columns    row i is written for entity i; left as it was where the entity is not in view or of another type.
 *   out_count  how many rows were written; may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (type or field; the log names it)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_read_many(necpnet_view* view, uint16_t type_id, const necpnet_entity* entities,
                                                  int count, const necpnet_column_out* columns, int column_count,
                                                  int* out_count);

/* necpnet_view_find_object - the world's or this session's object of a type.
 *
 * Returns  the entity, or NECPNET_ENTITY_NONE while it is not in view.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_entity necpnet_view_find_object(const necpnet_view* view, uint16_t type_id);

typedef enum necpnet_scope {
    NECPNET_SCOPE_WORLD = 0,  /* for all clients */
    NECPNET_SCOPE_SESSION = 1 /* for this one */
} necpnet_scope;

typedef struct necpnet_variable_change {
    necpnet_scope scope;
    const char* key;
    necpnet_value value; /* NONE: it was removed */
} necpnet_variable_change;

/* necpnet_view_get_variable - a variable as the server set it.
 *
 *   out_value  its data is a view until the next necpnet_client_update (of a runner: poll).
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_get_variable(const necpnet_view* view, necpnet_scope scope, const char* key,
                                                     necpnet_value* out_value);

/* necpnet_view_poll_variable - the next variable that changed since it was polled last, in the order of changes; those of
 * the world first. When a session ends all its variables are removed.
 *
 *   out_change  key and data are views until the next necpnet_client_update (of a runner: poll).
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_view_poll_variable(necpnet_view* view, necpnet_variable_change* out_change);

typedef void (*necpnet_view_watcher)(void* user, const necpnet_variable_change* change);

/* necpnet_view_watch - be called, inside necpnet_view_update, when a variable changes, and first for what is there.
 *
 *   key      of the variable; with * at its end: of all whose keys begin so.
 *   watcher  in the place of one for the same scope and key; NULL: no longer. It may call the view.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (NULL, and there is none) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_watch(necpnet_view* view, necpnet_scope scope, const char* key,
                                              necpnet_view_watcher watcher, void* user);

/* necpnet_view_get_latest - the newest state received, not interpolated, and its tick.
 *
 *   out_tick  may be NULL.
 *
 * Returns  as necpnet_view_get.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_get_latest(const necpnet_view* view, necpnet_entity entity, void* state,
                                                   size_t struct_bytes, uint32_t* out_tick);

/* necpnet_view_get_tick - the moment of the server that is shown now: what a shot refers to.
 *
 *   out_tick       whole ticks.
 *   out_share_ppm  millionths of a tick beyond it; may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_CONNECTED (no state yet)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_get_tick(const necpnet_view* view, uint32_t* out_tick, uint32_t* out_share_ppm);

/* necpnet_view_is_owner - whether the entity is this client's own.
 *
 * Returns  whether it is.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_view_is_owner(const necpnet_view* view, necpnet_entity entity);

/* necpnet_view_write - what this client makes of an entity that it has authority over, or that is shared. Shown at once, and
 * sent with the next packets: again until it has arrived, or with a newer write in its place. Nothing is sent of what did not
 * change. Call it as often as once a frame.
 *
 *   state       the struct; struct_bytes of it. Fields that are not this client's to write (NECPNET_FIELD_SERVER and
 *               NECPNET_FIELD_NOT_OWNER, for others than the owner NECPNET_FIELD_OWNER_ONLY) are ignored.
 *   base_tick   a shared entity: the tick of the state that this was made from, as necpnet_view_get_latest gives it;
 *               0: the newest there is. Else ignored.
 *   out_number  of the write, for its answer; may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (not in view) | ERR_BUFFER_TOO_SMALL | ERR_OUT_OF_MEMORY
 *          | ERR_NOT_CONNECTED | ERR_WOULD_BLOCK (a runner's queue is full); once it is shown it is sent later, by
 *          necpnet_view_poll or with the next write or connection
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_write(necpnet_view* view, necpnet_entity entity, const void* state,
                                              size_t struct_bytes, uint32_t base_tick, uint32_t* out_number);

/* necpnet_view_request_authority - ask for authority over an entity. NECPNET_VIEW_AUTHORITY_GIVEN or _DENIED follows, as the
 * server decides.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (not in view) | ERR_ALREADY_EXISTS (this client has it)
 *          | ERR_NOT_CONNECTED | ERR_WOULD_BLOCK | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_request_authority(necpnet_view* view, necpnet_entity entity);

/* necpnet_view_release_authority - give it back to the server. NECPNET_VIEW_AUTHORITY_LOST follows.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (no authority) | ERR_NOT_CONNECTED | ERR_WOULD_BLOCK
 *          | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_release_authority(necpnet_view* view, necpnet_entity entity);

/* necpnet_view_has_authority - whether this client has authority over an entity.
 *
 *   out_sequence  of it; may be NULL.
 *
 * Returns  whether it has.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_view_has_authority(const necpnet_view* view, necpnet_entity entity, uint32_t* out_sequence);

/* necpnet_view_record - record what the view receives, from before its first state on, over any reconnect.
 *
 *   recorder  copied; called inside the client's update (a runner's poll). NULL: the recording ends.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_ALREADY_EXISTS (it records) | ERR_INVALID_STATE (states have come already; the end of
 *          none) | ERR_IO (the recorder did not take it, or there was no memory; at the end: at some time)
 *          | ERR_UNSUPPORTED (NECPNET_WITH_RECORDING is 0)
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_record(necpnet_view* view, const necpnet_recorder* recorder);

/* A recording, replayed into a view of its own. */
typedef struct necpnet_replay necpnet_replay;

typedef struct necpnet_replay_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    size_t (*read)(void* user, void* data, size_t bytes); /* must be set: the next bytes, at most so many; 0: the end */
    void* user;
    const necpnet_schema* schema; /* of the application's structs, borrowed until destroy; NULL, the default: the recording's,
                                     laid out as C does */
} necpnet_replay_config;

typedef struct necpnet_replay_info {
    uint64_t records; /* that took effect */
    uint64_t frames;  /* of them, frames of states */
    uint64_t bytes;   /* read so far */
    uint64_t time_us; /* of the last record */
    uint32_t tick_hz;
    bool is_whole;     /* the end was reached, and all was right */
    const char* error; /* what is wrong, with record and byte; "" */
} necpnet_replay_info;

/* necpnet_replay_config_default - fill all fields but read and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_replay_config_default(necpnet_replay_config* config);

/* necpnet_replay_create - read the beginning of a recording.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_DATA (the log says what is wrong) | ERR_SCHEMA_DIFFERS
 *          | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED (NECPNET_WITH_RECORDING is 0)
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_replay_create(const necpnet_replay_config* config, necpnet_replay** out_replay);

/* necpnet_replay_destroy - with its view.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_replay_destroy(necpnet_replay* replay);

/* necpnet_replay_update - move on to a time of the recording, in which its first frame is at 0; not backwards.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_CLOSED (the end) | ERR_BAD_DATA (cut or damaged: necpnet_replay_get_info says where;
 *          what came before is shown) | ERR_SCHEMA_DIFFERS | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_replay_update(necpnet_replay* replay, uint64_t time_us);

/* necpnet_replay_next_us - the time of the next record; UINT64_MAX when there is none, or it is damaged.
 *
 * Returns  the time.
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API uint64_t necpnet_replay_next_us(necpnet_replay* replay);

/* necpnet_replay_get_view, necpnet_replay_get_schema - what it is shown in, to be read and polled; its schema, which tells where
 * each field of a struct is. Both are the replay's.
 *
 * Returns  it; NULL for NULL.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_view* necpnet_replay_get_view(const necpnet_replay* replay);
NECPNET_API const necpnet_schema* necpnet_replay_get_schema(const necpnet_replay* replay);

/* necpnet_replay_get_info - how far it is, and what is wrong.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_replay_get_info(const necpnet_replay* replay, necpnet_replay_info* out_info);

/* Prediction of own entities: the view replays unacknowledged inputs over the newest state of the server.
 *
 *   step  advance a struct by one input; must do what the server does with it. Called inside necpnet_view_update and
 *         necpnet_view_predict.
 */
typedef void (*necpnet_view_step)(void* state, const void* input, size_t bytes, void* user);

/* necpnet_view_set_prediction - predict entities of a type that this client owns; NULL: stop.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (type) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_view_set_prediction(necpnet_view* view, uint16_t type_id, necpnet_view_step step,
                                                       void* user);

/* necpnet_view_predict - apply an input at once to the own entities; call it beside necpnet_client_send_input with the
 * same tick. get then gives the predicted struct.
 *
 *   bytes  1 .. 255.
 *
 * Returns  OK (also where nothing is predicted) | ERR_INVALID_ARGUMENT (or tick not larger than the one before)
 *          | ERR_WOULD_BLOCK (256 unacknowledged)
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_predict(necpnet_view* view, uint32_t tick, const void* input, size_t bytes);

typedef struct necpnet_view_statistics {
    uint32_t entities;
    uint32_t delay_us;       /* present interpolation delay */
    uint32_t tick;           /* of the newest state */
    uint64_t states;         /* state frames received */
    uint64_t updates;        /* entity records */
    uint64_t bytes;          /* of state frames */
    uint64_t late;           /* frames and records that came too late to be used */
    int64_t age_us;          /* how far the picture lies behind the server's clock; 0 while that is unknown */
    uint64_t extrapolated;   /* gets beyond the newest state */
    uint64_t corrections;    /* predictions that differed from the server */
    double correction_error; /* mean size of them, in the fields' units */
    uint64_t writes;             /* that changed something */
    uint64_t values_clamped;     /* of them, values out of their field's range */
    uint64_t writes_clamped;     /* answers of the server's: changed by it */
    uint64_t writes_refused;
    uint64_t writes_conflicting;
    uint64_t checks;             /* hashes of the server's compared */
    uint64_t mismatches;         /* of them, those that differed: the server was asked to send the entity whole */
    uint64_t repairs;            /* and did */
} necpnet_view_statistics;

/* necpnet_view_get_statistics - figures since create.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_view_get_statistics(const necpnet_view* view,
                                                       necpnet_view_statistics* out_statistics);

/* ------------------------------------------------------------------------------------------------- 8 transport -- */

/* A transport moves bytes for one endpoint. The library brings sockets (section 10), a simulated link (below) and, in a
 * browser, WebSocket; an engine may bring its own. All calls happen on the endpoint's thread, inside its functions. */

typedef struct necpnet_stream necpnet_stream; /* the transport's name for one byte stream */

/* The endpoint's side: what a transport calls, inside necpnet_transport.receive alone. context is what the endpoint gave
 * for that stream. */
typedef struct necpnet_sink {
    void* user;
    /* data may be changed in place until return; waited_us: how long before receive it came, 0 where that is not known */
    void (*on_datagram)(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us);
    /* a stream came in; returns its context, or NULL to refuse it (the transport closes it) */
    void* (*on_accept)(void* user, necpnet_stream* stream, const necpnet_address* from);
    void (*on_open)(void* context);                                /* an outgoing stream is up */
    void (*on_data)(void* context, uint8_t* data, size_t bytes);   /* data may be changed in place until return */
    void (*on_writable)(void* context);                            /* pending bytes fell to 0 after having been more */
    void (*on_close)(void* context, necpnet_result reason);        /* the last call for that stream; it is gone */
    /* answer to resolve; count 0: reason says why */
    void (*on_resolved)(void* user, uint64_t request, const necpnet_address* addresses, int count, necpnet_result reason);
} necpnet_sink;

#define NECPNET_TRANSPORT_DATAGRAMS 1u /* send_datagram works */
#define NECPNET_TRANSPORT_STREAMS 2u   /* open_stream or on_accept work */
#define NECPNET_TRANSPORT_MESSAGES 4u  /* streams carry whole WebSocket messages: the transport does TLS, upgrade and framing
                                          (a browser); open_stream then gets the url */

struct necpnet_transport {
    void* user;
    uint32_t flags; /* NECPNET_TRANSPORT_* */
    /* attach - begin; sink is copied. One endpoint a transport. */
    necpnet_result (*attach)(void* user, const necpnet_sink* sink);
    /* detach - the endpoint goes; no sink call afterwards. Streams are closed. */
    void (*detach)(void* user);
    /* receive - call the sink for all that has arrived. */
    void (*receive)(void* user, uint64_t now_us);
    /* send_datagram - may be kept until flush. OK | ERR_WOULD_BLOCK (dropped, counted) | band -200. */
    necpnet_result (*send_datagram)(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes);
    /* resolve - a host name or numeric address to addresses; answers through on_resolved, in a later receive. */
    necpnet_result (*resolve)(void* user, uint64_t request, const char* host, uint16_t port);
    /* open_stream - begin an outgoing stream; on_open or on_close follows. url is NULL but for TRANSPORT_MESSAGES. */
    necpnet_result (*open_stream)(void* user, const necpnet_address* to, const char* url, void* context,
                                  necpnet_stream** out_stream);
    /* send_stream - takes all bytes (copied) or none (ERR_OUT_OF_MEMORY). Leaves at flush. */
    necpnet_result (*send_stream)(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes);
    /* pending - bytes taken and not yet accepted by the operating system (of it: beyond 16 KB unsent). */
    size_t (*pending)(void* user, necpnet_stream* stream);
    /* pause - stop or resume on_data (back-pressure on the sender). */
    void (*pause)(void* user, necpnet_stream* stream, bool paused);
    /* close_stream - after pending bytes are out, or at once. No sink call afterwards. */
    void (*close_stream)(void* user, necpnet_stream* stream, bool at_once);
    /* flush - send all that was kept. */
    void (*flush)(void* user);
    /* wait - block until receive has work or timeout_us; NULL: cannot wait. */
    necpnet_result (*wait)(void* user, uint64_t timeout_us);
    /* local_ports - NULL: none. */
    void (*local_ports)(void* user, int* out_udp, int* out_tcp);
    /* rebind - another local port for datagrams, bound anew (another interface may have come up); streams stay. NULL:
     * cannot. */
    necpnet_result (*rebind)(void* user);
};

/* A simulated network in memory: servers and clients, datagrams and streams, a virtual clock, one seed. The same
 * seed and the same calls give the same history. */
typedef struct necpnet_link necpnet_link;

typedef struct necpnet_link_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    uint64_t seed;           /* default 1 */
    uint32_t latency_us;     /* one way; default 0 */
    uint32_t jitter_us;      /* added, 0 .. jitter, at random; overtakes nothing; default 0 */
    uint32_t loss_ppm;       /* 0 .. 1,000,000; a stream suffers it as delay of one retransmission timeout; default 0 */
    uint32_t duplicate_ppm;  /* datagrams; default 0 */
    uint32_t reorder_ppm;    /* datagrams delayed by a further 1 .. 4 x (latency + jitter + 1 ms); default 0 */
    uint32_t corrupt_ppm;    /* datagrams with one bit flipped; default 0 */
    uint32_t cut_ppm;        /* streams reset, per send; default 0 */
    uint64_t bandwidth_bps;  /* bits a second and direction of a client; default UINT64_MAX: no limit */
    uint32_t queue_bytes;    /* waiting for the bandwidth; more is dropped (streams: back-pressure); default 64 KB */
    uint32_t datagram_bytes_max; /* path MTU: larger datagrams are dropped; default 65,507 */
    uint32_t overhead_bytes; /* counted per datagram against the bandwidth (IP and UDP); default 28 */
} necpnet_link_config;

/* necpnet_link_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_link_config_default(necpnet_link_config* config);

/* necpnet_link_create - a network without hosts.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 * Thread   becomes the owner of the link and all its endpoints.   Callback  no.   Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_link_create(const necpnet_link_config* config, necpnet_link** out_link);

/* necpnet_link_destroy - after all its endpoints are destroyed.
 *
 *   link  NULL does nothing.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_link_destroy(necpnet_link* link);

/* necpnet_link_add_server, necpnet_link_add_client - a host and its transport, for one endpoint's config.transport. Any
 * host name resolves to the newest server of that port ("udp://server:1", "ws://server:1/ws").
 *
 *   port           server: 1 .. 65,535, for datagrams and streams.
 *   out_transport  valid until the link is destroyed or the host removed.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_ALREADY_EXISTS (port) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_link_add_server(necpnet_link* link, uint16_t port,
                                                   const necpnet_transport** out_transport);
NECPNET_API necpnet_result necpnet_link_add_client(necpnet_link* link, const necpnet_transport** out_transport);

/* necpnet_link_remove - take a host away (its process died): its streams reset, datagrams to it vanish.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_link_remove(necpnet_link* link, const necpnet_transport* transport);

/* necpnet_link_configure - change latency, loss and the like while running; seed and allocator stay.
 *
 *   transport  NULL: for all hosts; else for one client.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_NOT_FOUND
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_link_configure(necpnet_link* link, const necpnet_transport* transport,
                                                  const necpnet_link_config* config);

/* necpnet_link_block - cut or heal the directions between a client and everyone (a partition).
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_link_block(necpnet_link* link, const necpnet_transport* client, bool up, bool down);

/* necpnet_link_rebind - give a client another address, as a NAT or a change of network does.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_link_rebind(necpnet_link* link, const necpnet_transport* client);

/* necpnet_link_advance - set the virtual time; what is due is received by the endpoints' next updates.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (backwards)
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_link_advance(necpnet_link* link, uint64_t now_us);

/* necpnet_link_deadline_us - when the next packet on its way arrives; UINT64_MAX: none.
 *
 * Returns  virtual time.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_link_deadline_us(const necpnet_link* link);

typedef struct necpnet_link_statistics {
    uint64_t datagrams_sent;
    uint64_t datagrams_delivered;
    uint64_t datagrams_lost;
    uint64_t datagrams_duplicated;
    uint64_t datagrams_corrupted;
    uint64_t bytes_sent; /* of datagrams and streams, without overhead_bytes */
    uint64_t hash;       /* of everything delivered, in order: equal histories have equal hashes */
} necpnet_link_statistics;

/* necpnet_link_get_statistics - figures since create.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_link_get_statistics(const necpnet_link* link,
                                                       necpnet_link_statistics* out_statistics);

/* ------------------------------------------------------------------------------------------------------- 9 web -- */

/* HTTP upgrade and WebSocket on one TCP port, for any application: an echo server, JSON-RPC, a proxy for plain HTTP. A
 * necpnet_server has one inside (necpnet_server_get_web); it can also stand alone. */

typedef struct necpnet_web necpnet_web;
typedef struct necpnet_web_connection necpnet_web_connection;

typedef enum necpnet_web_kind {
    NECPNET_WEB_TEXT = 1,  /* a WebSocket message of valid UTF-8 */
    NECPNET_WEB_BINARY = 2 /* a WebSocket message */
} necpnet_web_kind;

typedef struct necpnet_web_header {
    const char* name;  /* as sent; compare without case */
    const char* value; /* without white space around it */
} necpnet_web_header;

#define NECPNET_WEB_HEADERS_MAX 64

/* The head of an HTTP/1.1 request; all texts are NUL-terminated views until the callback returns. */
typedef struct necpnet_web_request {
    const char* method;
    const char* path;  /* without the query */
    const char* query; /* "" if none */
    const necpnet_web_header* headers;
    int header_count;
    bool is_upgrade;           /* a WebSocket upgrade that fits RFC 6455 4.2.1 */
    const char* subprotocols;  /* Sec-WebSocket-Protocol as sent, "" if none */
    const uint8_t* raw;        /* the head as it came, including its empty line */
    size_t raw_bytes;
    necpnet_address from;
} necpnet_web_request;

/* What to do with a request; on_request fills it. */
typedef enum necpnet_web_action {
    NECPNET_WEB_REFUSE = 0,  /* answer status and body, close.  default: 426 for requests, 404 for upgrades */
    NECPNET_WEB_ACCEPT = 1,  /* upgrade; subprotocol may be set */
    NECPNET_WEB_RAW = 2,     /* hand the bytes over as they come (on_raw, after the head): a proxy */
    NECPNET_WEB_SESSION = 3  /* upgrade to necpnet.v1 as a peer of the necpnet_server that owns this web */
} necpnet_web_action;

typedef struct necpnet_web_answer {
    necpnet_web_action action;
    int status;                  /* REFUSE */
    const char* body;            /* REFUSE: text/plain; NULL: the status' name; borrowed until on_request returns */
    const char* headers;         /* NULL or "Name: value\r\n" lines; borrowed until on_request returns */
    const char* subprotocol;     /* ACCEPT: NULL or one that was offered; borrowed until on_request returns */
    void* user_data;             /* of the connection */
    bool no_deflate;             /* ACCEPT, SESSION: agree on no compression, whatever is offered */
} necpnet_web_answer;

struct necpnet_web_handlers {
    /* NULL: every upgrade is accepted without subprotocol, other requests get 426. */
    void (*on_request)(necpnet_web_connection* connection, const necpnet_web_request* request,
                       necpnet_web_answer* answer, void* user);
    void (*on_open)(necpnet_web_connection* connection, void* user); /* upgraded; may send */
    void (*on_message)(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data, size_t bytes,
                       void* user);
    void (*on_raw)(necpnet_web_connection* connection, const uint8_t* data, size_t bytes, void* user);
    void (*on_writable)(necpnet_web_connection* connection, void* user); /* all pending bytes are out */
    /* The last call for a connection that on_request answered with ACCEPT or RAW, and for every outgoing one. code:
     * RFC 6455 7.4.1 (1005: none, 1006: lost); reason: why, in our terms, OK if this side closed. */
    void (*on_close)(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason, void* user);
    void* user;
};

typedef struct necpnet_web_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    necpnet_entropy entropy;          /* for masks and keys of outgoing connections */
    const necpnet_transport* transport; /* NULL (default): own sockets */
    necpnet_loop* loop;               /* NULL (default): a loop of its own, stepped by update; else borrowed, stepped by
                                         its owner */
    const char* bind_address;         /* default "::" */
    int tcp_port;                     /* -1 (default): outgoing connections alone; 0: any free port */
    necpnet_tls_config tls;
    necpnet_web_handlers handlers;
    uint32_t connections_max;         /* default 16,384 */
    uint32_t head_bytes_max;          /* default 8,192; more is answered 431 */
    uint32_t message_bytes_max;       /* of one message received; default 1 MB; more closes with 1009 */
    uint32_t queue_bytes_max;         /* written and not taken by the network; default 1 MB; more cuts the connection */
    uint32_t head_timeout_ms;         /* from accept to a whole head; default 5,000 */
    uint32_t ping_ms;                 /* idle time before a WebSocket ping; default 30,000 */
    uint32_t timeout_ms;              /* silence that means dead; default 65,000 */
    uint32_t close_timeout_ms;        /* for the peer's close frame; default 2,000 */
    necpnet_web_deflate deflate;      /* compression of messages; default off */
} necpnet_web_config;

/* necpnet_web_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_web_config_default(necpnet_web_config* config);

/* necpnet_web_create - listen (tcp_port >= 0), or be ready for necpnet_web_connect.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED
 *          | ERR_ADDRESS_IN_USE | ERR_PERMISSION | ERR_IO | ERR_DESCRIPTORS | ERR_FILE | ERR_BAD_CERTIFICATE_FILE
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_web_create(const necpnet_web_config* config, necpnet_web** out_web);

/* necpnet_web_destroy - every connection is cut; on_close is called for each.
 *
 *   web  NULL does nothing; not one of necpnet_server_get_web.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_web_destroy(necpnet_web* web);

/* necpnet_web_update, necpnet_web_deadline_us, necpnet_web_wait, necpnet_web_get_port - as necpnet_server's.
 *
 * Returns  as necpnet_server's; get_port: the TCP port, -1 if none.
 * Thread   owner.      Callback  no (deadline_us and get_port: safe).     Allocates  update: yes.
 */
NECPNET_API necpnet_result necpnet_web_update(necpnet_web* web, uint64_t now_us);
NECPNET_API uint64_t necpnet_web_deadline_us(const necpnet_web* web);
NECPNET_API necpnet_result necpnet_web_wait(necpnet_web* web, uint64_t timeout_us);
NECPNET_API int necpnet_web_get_port(const necpnet_web* web);

typedef struct necpnet_web_statistics {
    uint32_t connections;         /* of any kind, now */
    uint64_t deflated_messages;   /* sent compressed */
    uint64_t deflated_bytes;      /* of those: as given to send */
    uint64_t deflated_wire_bytes; /* of those: as sent; deflated_bytes minus these were saved */
    uint64_t inflated_messages;   /* received compressed */
    uint64_t inflated_bytes;      /* of those: as delivered */
    uint64_t inflated_wire_bytes; /* of those: as received */
    uint64_t inflate_failures;    /* messages that were no DEFLATE, or larger than message_bytes_max when read */
} necpnet_web_statistics;

/* necpnet_web_get_statistics - figures of a web since it was made.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_web_get_statistics(const necpnet_web* web, necpnet_web_statistics* out_statistics);

/* necpnet_server_get_web - the web inside a server, for the functions below.
 *
 * Returns  a view until the server is destroyed; NULL without a TCP port.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_web* necpnet_server_get_web(necpnet_server* server);

/* necpnet_web_connect - an outgoing WebSocket; on_open or on_close follows.
 *
 *   url           "ws://host:port/path?query" or "wss://..".
 *   subprotocol   NULL, or what to offer (several: "a, b").
 *   user_data     of the connection.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_URL | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED
 *          | ERR_NO_ENTROPY | ERR_FILE, ERR_BAD_CERTIFICATE_FILE (wss: the trusted roots)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_web_connect(necpnet_web* web, const char* url, const char* subprotocol,
                                               void* user_data, necpnet_web_connection** out_connection);

/* necpnet_web_connect_raw - an outgoing TCP stream (to a backend that a proxy serves); on_open, on_raw, on_close.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_web_connect_raw(necpnet_web* web, const necpnet_address* address, void* user_data,
                                                   necpnet_web_connection** out_connection);

/* necpnet_web_send - queue one WebSocket message; leaves at the end of the update (or callback's update).
 *
 *   data  borrowed until return. TEXT must be valid UTF-8 (not checked).
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_INVALID_STATE (not open) | ERR_OUT_OF_MEMORY
 *          | ERR_MESSAGE_TOO_LARGE (does not fit queue_bytes_max at all)
 *          | ERR_SLOW_READER (queue_bytes_max: nothing queued, the connection is cut)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_web_send(necpnet_web_connection* connection, necpnet_web_kind kind, const void* data,
                                            size_t bytes);

/* necpnet_web_send_raw - queue bytes on a raw connection.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_INVALID_STATE | ERR_OUT_OF_MEMORY | ERR_SLOW_READER
 *          | ERR_MESSAGE_TOO_LARGE (more than queue_bytes_max)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_web_send_raw(necpnet_web_connection* connection, const void* data, size_t bytes);

/* necpnet_web_close - close handshake (WebSocket), or after pending bytes (raw). on_close follows.
 *
 *   code  RFC 6455 7.4: 1000, 1001, 1008 .. 1011, 3000 .. 4999.
 *   text  at most 123 bytes of UTF-8; NULL is empty.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_web_close(necpnet_web_connection* connection, int code, const char* text);

/* necpnet_web_pause - stop or resume reading from a connection.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_web_pause(necpnet_web_connection* connection, bool paused);

/* necpnet_web_pending - bytes written and not taken by the network.
 *
 * Returns  bytes.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API size_t necpnet_web_pending(const necpnet_web_connection* connection);

/* necpnet_web_set_address - who is behind a proxy: from now on the address of the connection, and of the session over it.
 *
 * For on_request, where headers of a proxy that you trust tell it: limits of an address (peers_per_address_max) then count the
 * client, not the proxy.
 *
 *   connection  NULL does nothing.
 *   address     borrowed until return; NULL does nothing.
 *
 * Thread   owner.      Callback  safe.      Allocates  no.
 * See      necpnet_web_get_address; tests/test_web.c
 */
NECPNET_API void necpnet_web_set_address(necpnet_web_connection* connection, const necpnet_address* address);

/* necpnet_web_set_user_data, necpnet_web_get_user_data, necpnet_web_get_address, necpnet_web_get_subprotocol - of one
 * connection.
 *
 * Returns  what was set; the peer's address (or what necpnet_web_set_address said); the agreed subprotocol, "" if none.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API void necpnet_web_set_user_data(necpnet_web_connection* connection, void* user_data);
NECPNET_API void* necpnet_web_get_user_data(const necpnet_web_connection* connection);
NECPNET_API necpnet_address necpnet_web_get_address(const necpnet_web_connection* connection);
NECPNET_API const char* necpnet_web_get_subprotocol(const necpnet_web_connection* connection);

/* ------------------------------------------------------------------------------------------------- 10 platform -- */

/* With NECPNET_WITH_PLATFORM alone. In a browser (Emscripten) sockets are the browser's WebSockets, so that a client works
 * as elsewhere over ws:// and wss://; loop, listening, udp:// and wait are refused with ERR_UNSUPPORTED. */

/* necpnet_time_us - the monotonic clock that update wants.
 *
 * Returns  microseconds since an arbitrary moment; never 0.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_time_us(void);

/* necpnet_wall_time_us - the wall clock, for tokens alone.
 *
 * Returns  microseconds since 1970.
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_wall_time_us(void);

/* necpnet_loop: descriptors, timers and posts on one thread. Servers and webs may share one. */

typedef void (*necpnet_loop_function)(void* user);
typedef void (*necpnet_loop_descriptor_function)(int descriptor, bool readable, bool writable, void* user);
typedef uint64_t necpnet_loop_timer;

typedef enum necpnet_loop_backend {
    NECPNET_LOOP_BEST = 0, /* epoll on Linux, else poll */
    NECPNET_LOOP_POLL = 1
} necpnet_loop_backend;

/* necpnet_loop_create - an empty loop.
 *
 *   allocator  NULL: malloc; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY | ERR_DESCRIPTORS | ERR_UNSUPPORTED
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_loop_create(const necpnet_allocator* allocator, necpnet_loop_backend backend,
                                               necpnet_loop** out_loop);

/* necpnet_loop_destroy - after everything that uses it.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_loop_destroy(necpnet_loop* loop);

/* necpnet_loop_step - wait for work at most timeout_us, then do it: descriptors, posts, timers.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_IO
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API necpnet_result necpnet_loop_step(necpnet_loop* loop, uint64_t timeout_us);

/* necpnet_loop_post - let the loop's thread call a function in its next step; wakes it.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_WOULD_BLOCK (4,096 posts waiting)
 * Thread   any: the one function of the library that is.   Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_loop_post(necpnet_loop* loop, necpnet_loop_function function, void* user);

/* necpnet_loop_watch - call function when a descriptor of the application's is readable or writable (level); again with
 * other wishes changes them; both false removes it.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY | ERR_IO
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_loop_watch(necpnet_loop* loop, int descriptor, bool readable, bool writable,
                                              necpnet_loop_descriptor_function function, void* user);

/* necpnet_loop_after - call function once after delay_us.
 *
 *   out_timer  may be NULL.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_loop_after(necpnet_loop* loop, uint64_t delay_us, necpnet_loop_function function,
                                              void* user, necpnet_loop_timer* out_timer);

/* necpnet_loop_cancel - forget a timer.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (it has fired)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_loop_cancel(necpnet_loop* loop, necpnet_loop_timer timer);

/* Several servers of one process on one port, each with a loop and a thread of its own (the application's): give all the
 * same necpnet_workers and the same ports in their configs. The system spreads clients over them; a client stays with
 * its server when its address changes, for its connection id names it. A connect token is spent once for all of them.
 * Peers of different servers meet through the application alone (necpnet_loop_post). */
typedef struct necpnet_workers_config {
    size_t struct_bytes;
    necpnet_allocator allocator; /* called on the threads of all servers */
    uint32_t count_max;          /* servers at once; 1 .. 256, default 16 */
    bool steer;                  /* Linux: the kernel looks for the server in the connection id; default true */
} necpnet_workers_config;

/* necpnet_workers_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_workers_config_default(necpnet_workers_config* config);

/* necpnet_workers_create - before the servers. A server that joins when count_max have fails with ERR_LIMIT_REACHED,
 * where the system cannot share a port with ERR_UNSUPPORTED.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 *          | ERR_UNSUPPORTED (a browser)
 * Thread   any.        Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_workers_create(const necpnet_workers_config* config, necpnet_workers** out_workers);

/* necpnet_workers_destroy - after the servers.
 *
 *   workers  NULL does nothing.
 *
 * Thread   any.        Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_workers_destroy(necpnet_workers* workers);

typedef struct necpnet_workers_statistics {
    uint32_t count;        /* servers now */
    uint32_t handed_over;  /* datagrams and streams that came to the wrong server; wraps */
    uint64_t dropped;      /* of them: for want of room, or their server had gone */
    uint32_t tokens_spent;
} necpnet_workers_statistics;

/* necpnet_workers_get_statistics - what they did together.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_workers_get_statistics(necpnet_workers* workers,
                                                          necpnet_workers_statistics* out_statistics);

/* The transport over real sockets, for those who drive an endpoint with a loop of their own choice. Endpoints without
 * config.transport make one themselves. */
typedef struct necpnet_socket_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    necpnet_loop* loop;        /* NULL (default): its own, stepped by update; else borrowed: call necpnet_loop_step (or a
                                  wait) before the updates of those who share it */
    const char* bind_address;  /* default "::"; falls back to IPv4 where there is no IPv6 */
    int udp_port;              /* -1 (default): none; 0: any free port (clients) */
    int tcp_port;              /* -1 (default): no listening; outgoing streams always work */
    bool reuse_port;           /* SO_REUSEPORT: several workers on one port; default false */
    uint32_t socket_buffer_bytes; /* asked of the system for UDP; default 4 MB (servers), as much as it gives */
    uint32_t busy_poll_us;     /* wait asks the sockets for so long before it sleeps: lower latency for a core; Linux: the
                                  network card as well (SO_BUSY_POLL); default 0 */
    bool one_peer;             /* a client's: small buffers; default false */
    necpnet_workers* workers;  /* NULL (default); else reuse_port is implied, and port 0 is the port of the first */
} necpnet_socket_config;

/* necpnet_socket_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_socket_config_default(necpnet_socket_config* config);

/* necpnet_socket_create - open the sockets.
 *
 *   out_transport  valid until necpnet_socket_destroy.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY | ERR_ADDRESS_IN_USE
 *          | ERR_PERMISSION | ERR_IO | ERR_DESCRIPTORS
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_socket_create(const necpnet_socket_config* config,
                                                 const necpnet_transport** out_transport);

/* necpnet_socket_destroy - close the sockets, after the endpoint is destroyed.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_socket_destroy(const necpnet_transport* transport);

/* necpnet_runner: a client on an I/O thread of its own. The game's thread talks to it over lock-free rings; the calls
 * mirror the client's. The view of state, too, is fed through the ring and lives on the game's thread. */
typedef struct necpnet_runner necpnet_runner;

/* necpnet_runner_create - start the thread with a client.
 *
 *   config       as for necpnet_client_create; config.view is fed by necpnet_runner_poll on the game's thread. allocator
 *                and logger are called on both threads. A transport of your own is called on the I/O thread, and must wait.
 *   ring_bytes   of each ring: 64 KB .. 64 MB; rounded up to a power of two.
 *
 * Returns  as necpnet_client_create | ERR_UNSUPPORTED (the transport cannot wait; config.voice) | ERR_LIMIT_REACHED (no thread)
 * Thread   becomes the owner (game's thread).   Callback  no.   Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_runner_create(const necpnet_client_config* config, uint32_t ring_bytes,
                                                 necpnet_runner** out_runner);

/* necpnet_runner_destroy - stop and join the thread.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_runner_destroy(necpnet_runner* runner);

/* necpnet_runner_connect, _set_token, _disconnect, _send_with, _send_input, _poll, _get_state, _get_statistics,
 * _server_tick - as the client's functions of these names. What the client refuses only later is reported as
 * EVENT_CONNECT_FAILED (connect, set_token), or dropped and logged (a message that is not reliable, an input). A reliable
 * message waits for room in its channel, and what was sent after it waits behind; a disconnect goes before it.
 *
 *   options  of send_with: NULL: none.
 *
 * Returns  as the client's | ERR_WOULD_BLOCK (ring full; retry later)
 * Thread   owner.      Callback  safe.      Allocates  for messages larger than a quarter of the ring.
 */
NECPNET_API necpnet_result necpnet_runner_connect(necpnet_runner* runner, const char* const* urls, int url_count);
NECPNET_API necpnet_result necpnet_runner_set_token(necpnet_runner* runner, const char* token, uint64_t wall_us);
NECPNET_API necpnet_result necpnet_runner_disconnect(necpnet_runner* runner, uint32_t code, const char* text,
                                                     uint32_t linger_ms);
NECPNET_API necpnet_result necpnet_runner_send_with(necpnet_runner* runner, int channel, const void* data, size_t bytes,
                                                    const necpnet_send_options* options);
NECPNET_API necpnet_result necpnet_runner_send_input(necpnet_runner* runner, uint32_t tick, const void* data,
                                                     size_t bytes);
NECPNET_API bool necpnet_runner_poll(necpnet_runner* runner, necpnet_event* out_event);
NECPNET_API necpnet_client_state necpnet_runner_get_state(const necpnet_runner* runner);
NECPNET_API necpnet_result necpnet_runner_get_statistics(const necpnet_runner* runner,
                                                         necpnet_statistics* out_statistics);
NECPNET_API necpnet_result necpnet_runner_server_tick(const necpnet_runner* runner, uint64_t now_us, uint32_t* out_tick,
                                                      uint32_t* out_input_tick);

/* ----------------------------------------------------------------------------------------------------- 11 pool -- */

/* Connections to several endpoints of one game (game, crafting, voice), each by a name. Names with the same set of
 * addresses share one connection. */
typedef struct necpnet_pool necpnet_pool;

typedef enum necpnet_health {
    NECPNET_HEALTH_DOWN = 0,       /* no connection */
    NECPNET_HEALTH_CONNECTING = 1, /* for the first time, or again */
    NECPNET_HEALTH_DEGRADED = 2,   /* connected; loss over 5 %, or round trip over 3 x its best and over 100 ms */
    NECPNET_HEALTH_GOOD = 3
} necpnet_health;

typedef struct necpnet_pool_health {
    necpnet_health health;
    necpnet_client_state state;
    uint32_t rtt_us;
    uint32_t loss_ppm;
    uint32_t users;          /* names that share the connection */
    uint32_t reconnects;     /* since it was opened */
    necpnet_result reason;   /* of the last loss; OK if none */
} necpnet_pool_health;

/* necpnet_pool_create - an empty pool.
 *
 *   config  the config of each client; its transport must be NULL; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_pool_create(const necpnet_client_config* config, necpnet_pool** out_pool);

/* necpnet_pool_destroy - close all connections.
 *
 *   pool  NULL does nothing.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_pool_destroy(necpnet_pool* pool);

/* necpnet_pool_open - a named connection; shared if another name has the same set of addresses.
 *
 *   name  1 .. NECPNET_NAME_BYTES_MAX bytes; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_ALREADY_EXISTS | ERR_LIMIT_REACHED (64 names) | as necpnet_client_create and
 *          necpnet_client_connect
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_pool_open(necpnet_pool* pool, const char* name, const char* const* urls,
                                             int url_count);

/* necpnet_pool_close - give a name back; the connection is closed with its last name.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_pool_close(necpnet_pool* pool, const char* name);

/* necpnet_pool_get - the client behind a name, for send, set_token and statistics. Do not update or poll it.
 *
 * Returns  a view until the name is closed; NULL if there is none.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_client* necpnet_pool_get(necpnet_pool* pool, const char* name);

/* necpnet_pool_update, necpnet_pool_deadline_us - as the client's, for all.
 *
 * Returns  as the client's.
 * Thread   owner.      Callback  update: no.    Allocates  update: yes.
 */
NECPNET_API necpnet_result necpnet_pool_update(necpnet_pool* pool, uint64_t now_us);
NECPNET_API uint64_t necpnet_pool_deadline_us(const necpnet_pool* pool);

/* necpnet_pool_poll - the next event of any connection.
 *
 *   out_client  whose.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_pool_poll(necpnet_pool* pool, necpnet_client** out_client, necpnet_event* out_event);

/* necpnet_pool_get_health - how the connection behind a name is.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_pool_get_health(const necpnet_pool* pool, const char* name,
                                                   necpnet_pool_health* out_health);

/* ------------------------------------------------------------------------------------------------- 12 presence -- */

/* Who is here, for a server of any size: status, zone and location, last seen; friends and watch lists hear of changes. A
 * machine without network, clock or database: the application says who connects and which friends a player has (from its
 * own store), and sends what poll gives to whom it is for (necpnet_presence_write; a client reads it by
 * necpnet_presence_read).
 *
 *    connect(presence, player, ONLINE)        when EVENT_CONNECTED, not resumed
 *    add_friend(presence, player, friend)     for each friend
 *    disconnect(presence, player, true)       when EVENT_SUSPENDED or EVENT_DISCONNECTED by a loss
 *    update(presence, now_us)                 with the server's update, then
 *    while (poll(presence, &change)) send what changed to change.watcher
 *
 * A change reaches a watcher at once, if it was told nothing for interval_ms, else at the end of that time together with all
 * others: at most one message a watcher and interval, however much happens (who was offline begins anew). Invisible is shown to others exactly as offline,
 * from when it begins: same last seen, no zone, no location, and nothing is told of what the player does. */

typedef struct necpnet_presence necpnet_presence;

/* A player: the client_id of its identity. 0 is nobody. */
typedef uint64_t necpnet_player;

#define NECPNET_PRESENCE_LOCATION_BYTES_MAX 63 /* without NUL; a byte on the wire */
#define NECPNET_PRESENCE_NAME "necpnet.presence" /* of the named messages that carry necpnet_presence_write's bytes */

typedef enum necpnet_presence_status {
    NECPNET_PRESENCE_OFFLINE = 0,
    NECPNET_PRESENCE_ONLINE = 1,
    NECPNET_PRESENCE_AWAY = 2,
    NECPNET_PRESENCE_BUSY = 3,
    NECPNET_PRESENCE_INVISIBLE = 4, /* only the player sees it; others see OFFLINE */
    NECPNET_PRESENCE_IN_GAME = 5
} necpnet_presence_status;

/* What somebody sees of a player. */
typedef struct necpnet_presence_info {
    necpnet_player player;
    necpnet_presence_status status;
    uint32_t zone;          /* the application's number; 0: none */
    uint64_t last_seen_us;  /* wall time; of one who is here the present; 0: not known */
    const char* location;   /* never NULL, "" if none; a view until the next call that changes the presence */
} necpnet_presence_info;

typedef struct necpnet_presence_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    uint32_t players_max;  /* known at once: here, seen by somebody, or offline and remembered; of the last the one that is
                              longest offline is forgotten for a new one; 1 .. 16,777,215, default 65,536 */
    uint32_t friends_max;  /* of a player; 0 .. 65,535, default 256 */
    uint32_t watches_max;  /* whom a player watches beside friends; 0 .. 65,535, default 256 */
    uint32_t watchers_max; /* who watch a player beside friends; 0 .. 16,777,215, default 16,384 */
    uint32_t interval_ms;  /* between two messages to a watcher; 1 .. 60,000, default 1,000 */
    uint32_t grace_ms;     /* how long a lost player is shown as before; 0 .. 3,600,000, default 30,000 */
    uint64_t seed;         /* of the table of players: a random number, so that nobody can choose ids that collide;
                              default 0 */
} necpnet_presence_config;

/* necpnet_presence_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_config_default(necpnet_presence_config* config);

/* necpnet_presence_create - nobody is here yet.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_presence_create(const necpnet_presence_config* config,
                                                   necpnet_presence** out_presence);

/* necpnet_presence_destroy - release everything.
 *
 *   presence  NULL does nothing.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_presence_destroy(necpnet_presence* presence);

/* necpnet_presence_set_wall_time - tell the wall time, in which last_seen_us is. Before the first connect, then whenever the
 * clock was set.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_set_wall_time(necpnet_presence* presence, uint64_t wall_us, uint64_t now_us);

/* necpnet_presence_update - the time; whose grace is over goes offline.
 *
 *   now_us  monotonic; a smaller value than before counts as the last one.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_update(necpnet_presence* presence, uint64_t now_us);

/* necpnet_presence_deadline_us - when update has work even if nothing changes (or a little before); UINT64_MAX: never.
 *
 * Returns  time in the terms of update.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API uint64_t necpnet_presence_deadline_us(const necpnet_presence* presence);

/* necpnet_presence_connect - a player has one connection more. The first one makes it visible, or ends its grace, in which its
 * status, zone, location, friends and watch list were kept; what it sees and changed meanwhile follows by poll (all that are
 * not offline, if it was offline itself).
 *
 *   status  of one who was offline (ONLINE, AWAY, BUSY, INVISIBLE, IN_GAME); else ignored.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED (players_max)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_presence_connect(necpnet_presence* presence, necpnet_player player,
                                                    necpnet_presence_status status);

/* necpnet_presence_disconnect - a player has one connection less. After the last one it is offline, and its watch list and
 * friendships with others who are offline are dropped: they are told anew with the next connect.
 *
 *   lost  true: it may come back: offline after grace_ms, last seen now. false: it has left: offline at once; also for a
 *         player whose grace runs.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (no connection)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_disconnect(necpnet_presence* presence, necpnet_player player, bool lost);

/* necpnet_presence_forget - a player who is offline, as if never seen: erasure of personal data.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_INVALID_STATE (not offline: disconnect first)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_forget(necpnet_presence* presence, necpnet_player player);

/* necpnet_presence_remember - when a player was last seen, from a store; an earlier time than the known one is ignored.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_presence_remember(necpnet_presence* presence, necpnet_player player,
                                                     uint64_t last_seen_us);

/* necpnet_presence_set_status, necpnet_presence_set_place - of a player who is here or in grace.
 *
 *   status    anything but OFFLINE.
 *   location  at most NECPNET_PRESENCE_LOCATION_BYTES_MAX bytes of UTF-8; NULL is empty; copied.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_OUT_OF_MEMORY (set_place)
 * Thread   owner.      Callback  safe.      Allocates  set_place: yes.
 */
NECPNET_API necpnet_result necpnet_presence_set_status(necpnet_presence* presence, necpnet_player player,
                                                       necpnet_presence_status status);
NECPNET_API necpnet_result necpnet_presence_set_place(necpnet_presence* presence, necpnet_player player, uint32_t zone,
                                                      const char* location);

/* necpnet_presence_add_friend - two players see each other, as long as one of them is here or in grace; again is OK.
 *
 *   player  here or in grace.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED (friends_max of either,
 *          players_max)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_presence_add_friend(necpnet_presence* presence, necpnet_player player,
                                                       necpnet_player other);

/* necpnet_presence_remove_friend - neither sees the other any more, unless it watches.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (no friends)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_remove_friend(necpnet_presence* presence, necpnet_player player,
                                                          necpnet_player other);

/* necpnet_presence_watch - one sees the other. Whether it may is the application's to decide. Again is OK.
 *
 *   watcher  here or in grace.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED (watches_max, watchers_max,
 *          players_max)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_presence_watch(necpnet_presence* presence, necpnet_player watcher,
                                                  necpnet_player player);

/* necpnet_presence_unwatch - it does no longer, unless they are friends.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (not watched)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_unwatch(necpnet_presence* presence, necpnet_player watcher,
                                                    necpnet_player player);

/* necpnet_presence_refresh - tell a watcher of all whom it sees, offline or not: for a further device of a player, or after an
 * update could not be sent.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_refresh(necpnet_presence* presence, necpnet_player player);

/* necpnet_presence_get - a player as a viewer sees it.
 *
 *   viewer    the player itself: as it is; anybody else, or 0: as others see it. Whether it may look is the application's to
 *             decide.
 *   out_info  of an unknown player: OFFLINE, last seen 0.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_get(const necpnet_presence* presence, necpnet_player viewer,
                                                necpnet_player player, necpnet_presence_info* out_info);

/* necpnet_presence_get_seen - all whom a player sees: friends, and those it watches.
 *
 *   infos_max  friends_max + watches_max always suffices.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND | ERR_BUFFER_TOO_SMALL
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_get_seen(const necpnet_presence* presence, necpnet_player player,
                                                     necpnet_presence_info* infos, size_t infos_max, size_t* out_count);

/* necpnet_presence_next - walk over all players whom others can see: of a zone, for a list.
 *
 *   player  0 for the first; else the one before (it may be offline by now, but not forgotten).
 *
 * Returns  the next; 0 after the last.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_player necpnet_presence_next(const necpnet_presence* presence, necpnet_player player);

/* What one watcher is to be told. */
typedef struct necpnet_presence_change {
    necpnet_player watcher;
    const necpnet_presence_info* items; /* a view until the next call that changes the presence */
    size_t count;                       /* 1 .. friends_max + watches_max */
} necpnet_presence_change;

/* necpnet_presence_poll - the next watcher that has something to hear, and all of it. It is not told again for interval_ms.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_presence_poll(necpnet_presence* presence, necpnet_presence_change* out_change);

typedef struct necpnet_presence_statistics {
    uint32_t players;      /* known */
    uint32_t here;         /* of them: with connections, invisible ones too */
    uint32_t grace;        /* of them: lost, and still shown */
    uint64_t edges;        /* pairs who see each other, or one the other */
    uint64_t changes;      /* of what others see of a player */
    uint64_t told;         /* items given by poll */
    uint64_t updates;      /* how often poll gave some */
    uint64_t coalesced;    /* changes that replaced one not yet told */
    uint64_t memory_bytes; /* held now */
} necpnet_presence_statistics;

/* necpnet_presence_get_statistics - figures since create.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_get_statistics(const necpnet_presence* presence,
                                                           necpnet_presence_statistics* out_statistics);

/* necpnet_presence_write - what poll or get_seen gave as bytes for a message, 9 to 87 an item (src/PROTOCOL.md). Last seen to
 * the second.
 *
 *   bytes      of data; 4 + 87 x count always suffice.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BUFFER_TOO_SMALL
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_write(const necpnet_presence_info* items, size_t count, void* data,
                                                  size_t bytes, size_t* out_bytes);

/* necpnet_presence_read - such a message. Locations are views into data.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_DATA | ERR_BUFFER_TOO_SMALL (more than items_max)
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_presence_read(const void* data, size_t bytes, necpnet_presence_info* items,
                                                 size_t items_max, size_t* out_count);

/* ---------------------------------------------------------------------------------------------------- 13 voice -- */

/* Speech between players: PCM in, Opus over the wire, PCM out. On a client a necpnet_voice encodes what the microphone
 * gives, and decodes, mixes and places what comes; given to the client's config it sends and receives over that client's
 * connection, UDP or WebSocket. On a server a necpnet_voice_hub, given to the server's config, forwards packets without
 * decoding them to who may and can hear. No device is touched: the application moves PCM. docs/voice.md
 *
 *    necpnet_voice_create(&voice_config, &voice);
 *    client_config.voice = voice;
 *    for each 10 ms block of the sound card:
 *        necpnet_voice_push(voice, 0, microphone, 480, now_us);
 *        necpnet_voice_pull(voice, speaker, 480, now_us);
 */
typedef uint32_t necpnet_voice_group;

#define NECPNET_VOICE_STREAMS_MAX 4            /* of one sender; 2 bits on the wire. 0 is the microphone, mono */
#define NECPNET_VOICE_PAYLOAD_BYTES_MAX 1023   /* of one packet; 10 bits on the wire */
#define NECPNET_VOICE_UNIT_SAMPLES 480         /* 10 ms at 48 kHz: what time is counted in on the wire */
#define NECPNET_VOICE_PACKET_UNITS_MAX 6       /* 60 ms of one packet */
#define NECPNET_VOICE_LEVEL_MAX 15             /* loudness, in steps of 4 dB below full scale; 0: -60 dB and less */
#define NECPNET_VOICE_KEY_BYTES 32             /* of end-to-end encryption */
#define NECPNET_VOICE_GROUPS_OF_ONE_MAX 16     /* groups that one peer is in at a time; others are refused */
#define NECPNET_VOICE_WHISPERS_MAX 8           /* open whispers of one peer */
#define NECPNET_VOICE_USERS_MAX 1024           /* of whom volume, mute or place is kept on a client */

typedef enum necpnet_voice_kind {
    NECPNET_VOICE_CHANNEL = 0,   /* all members hear each other, wherever they are */
    NECPNET_VOICE_PROXIMITY = 1, /* members in the same zone and within the radius hear each other */
    NECPNET_VOICE_WHISPER = 2    /* one to one; made by necpnet_voice_whisper */
} necpnet_voice_kind;

typedef enum necpnet_voice_codec {
    NECPNET_VOICE_OPUS = 0,    /* ERR_UNSUPPORTED without NECPNET_WITH_OPUS */
    NECPNET_VOICE_PCM = 1,     /* 16 bits, mono, 10 ms a packet, 97 kB a second: a LAN, tests */
    NECPNET_VOICE_EXTERNAL = 2 /* the application encodes and decodes (a browser's WebCodecs): on_packet and push_packet */
} necpnet_voice_codec;

typedef enum necpnet_voice_activation {
    NECPNET_VOICE_ACTIVITY = 0, /* sends while somebody speaks */
    NECPNET_VOICE_PUSH_TO_TALK = 1, /* sends while necpnet_voice_set_talking says so */
    NECPNET_VOICE_ALWAYS = 2
} necpnet_voice_activation;

/* One encoded packet, for NECPNET_VOICE_EXTERNAL. */
typedef struct necpnet_voice_packet {
    uint64_t user;         /* received: the sender's client id; 0 not known yet */
    uint32_t number;       /* received: of the stream, as the server counts them */
    necpnet_voice_kind kind;
    int stream;            /* 0 .. NECPNET_VOICE_STREAMS_MAX - 1, of the sender */
    uint8_t sequence;      /* counts packets */
    uint16_t time;         /* of its first sample, in units of 10 ms, modulo 1,024 */
    uint8_t level;         /* 0 .. NECPNET_VOICE_LEVEL_MAX */
    const uint8_t* data;   /* Opus; NULL with 0 bytes: silence follows */
    size_t bytes;
} necpnet_voice_packet;

typedef struct necpnet_voice_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    necpnet_entropy entropy;     /* for end-to-end keys alone; default the platform's */
    necpnet_voice_codec codec;   /* default OPUS */
    uint32_t input_hz;           /* of what push is given; 8,000 .. 96,000, default 48,000. Another rate needs
                                    NECPNET_WITH_SPEEXDSP, else ERR_UNSUPPORTED */
    uint32_t output_hz;          /* of what pull gives; the same */
    uint32_t output_channels;    /* 1 or 2 (default), interleaved */
    uint32_t frame_ms;           /* of a packet: 10, 20 (default), 40 or 60 */
    uint32_t bitrate_bps;        /* at most; 6,000 .. 128,000, default 24,000; a stereo stream has twice as much */
    uint32_t bitrate_min_bps;    /* adapting goes no lower; 6,000 .. bitrate_bps, default 10,000 */
    uint32_t complexity;         /* of Opus, 0 .. 10, default 5 */
    bool adapt;                  /* bitrate, FEC, complexity and frame length follow the listeners' reports; default true */
    bool fec;                    /* packets carry the one before once more, coarsely, where listeners report loss; default
                                    true; with adapt false: always, for loss_percent */
    uint32_t loss_percent;       /* to be expected before the first report, or always with adapt false; 0 .. 30, default 0 */
    bool dtx;                    /* Opus sends next to nothing while nobody speaks; default true */
    necpnet_voice_activation activation; /* default ACTIVITY */
    uint32_t activity_db;        /* louder than the room by so much is speech; 3 .. 40, default 9 */
    uint32_t hangover_ms;        /* goes on so long after the last speech, or after the key was let go; 0 .. 2,000,
                                    default 300 */
    uint32_t delay_min_ms;       /* of the jitter buffer's target; 0 .. 500, default 10 */
    uint32_t delay_max_ms;       /* delay_min_ms .. 500, default 240 */
    uint32_t speakers_max;       /* streams heard at a time, about 45 KB each; 1 .. 64, default 8 */
    float near_distance;         /* proximity: full volume up to here; default 2 */
    float far_distance;          /* and silence from here on; default 40 */
    void (*on_packet)(const necpnet_voice_packet* packet, void* user); /* EXTERNAL: what arrived, as it arrived, fit for a
                                    decoder behind a jitter buffer; inside the client's update; default NULL */
    void (*on_pcm)(uint64_t user_id, int stream, const float* pcm, size_t frames, uint32_t channels, void* user);
                                 /* each stream's 10 ms at 48 kHz before it is mixed, for an engine that places sounds
                                    itself; inside pull; default NULL */
    void* user;                  /* of both */
} necpnet_voice_config;

/* necpnet_voice_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_config_default(necpnet_voice_config* config);

/* necpnet_voice_create - the voice of one player. Give it to necpnet_client_config.voice.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 *          | ERR_UNSUPPORTED (NECPNET_WITH_VOICE, _OPUS or _SPEEXDSP is 0; the log says which)
 * Thread   becomes the owner.   Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_create(const necpnet_voice_config* config, necpnet_voice** out_voice);

/* necpnet_voice_destroy - after its client.
 *
 *   voice  NULL does nothing.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_voice_destroy(necpnet_voice* voice);

/* necpnet_voice_push - sound from the microphone, or of the game (streams 1 .. 3).
 *
 *   stream   0: the microphone, mono, subject to activation; 1 .. 3: open them with necpnet_voice_open_stream.
 *   pcm      -1 .. 1, interleaved; borrowed until return.
 *   frames   samples of each channel; any number up to a second.
 *   now_us   in the time of the client's update.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (no such stream) | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED (EXTERNAL)
 * Thread   owner.      Callback  safe.      Allocates  the first time.
 */
NECPNET_API necpnet_result necpnet_voice_push(necpnet_voice* voice, int stream, const float* pcm, size_t frames,
                                              uint64_t now_us);

/* necpnet_voice_push_packet - the same, encoded already. NECPNET_VOICE_EXTERNAL alone.
 *
 *   packet  of its fields stream, time, level, data and bytes are read; the sequence is counted here.
 *   now_us  in the time of the client's update: what is not sent within 200 ms is dropped.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (also bytes that are no Opus packet of 10 .. 60 ms) | ERR_UNSUPPORTED
 *          | ERR_WOULD_BLOCK (16 packets wait) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  the first time.
 */
NECPNET_API necpnet_result necpnet_voice_push_packet(necpnet_voice* voice, const necpnet_voice_packet* packet,
                                                     uint64_t now_us);

/* necpnet_voice_pull - the next samples for the loudspeaker: all who speak, mixed. Silence where nobody does.
 *
 *   pcm      gets frames x output_channels samples, -1 .. 1.
 *   frames   1 .. a second.
 *   now_us   when they are taken: the clock of the sound card's callback.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_UNSUPPORTED (EXTERNAL)
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_pull(necpnet_voice* voice, float* pcm, size_t frames, uint64_t now_us);

/* necpnet_voice_open_stream - a stream of game audio: music, a radio, a cutscene. Not subject to activation.
 *
 *   stream    1 .. NECPNET_VOICE_STREAMS_MAX - 1.
 *   channels  1 or 2.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_ALREADY_EXISTS | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED (PCM, EXTERNAL)
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_open_stream(necpnet_voice* voice, int stream, uint32_t channels);

/* necpnet_voice_close_stream - those who hear it notice by its silence; what was not sent yet is dropped.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_close_stream(necpnet_voice* voice, int stream);

/* necpnet_voice_set_group - to whom a stream goes; at first to the first group that the server put this player into.
 *
 *   group  of VOICE_EVENT_JOINED; 0: to nobody.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (not in it)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_set_group(necpnet_voice* voice, int stream, necpnet_voice_group group);

/* necpnet_voice_whisper - ask the server for a way to one player alone; VOICE_EVENT_JOINED of kind WHISPER and with that
 * user follows if the server allows it: give its group to necpnet_voice_set_group.
 *
 *   on  false: give it up.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (user 0) | ERR_NOT_CONNECTED | ERR_WOULD_BLOCK | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_whisper(necpnet_voice* voice, uint64_t user_id, bool on);

/* necpnet_voice_set_talking - PUSH_TO_TALK: the key is down, or up.  necpnet_voice_set_muted - this player sends nothing of
 * the microphone.  necpnet_voice_set_deafened - nor hears anything; the server is told, and sends nothing.
 * necpnet_voice_set_loopback - hear oneself through encoder, jitter buffer and decoder, with no network: the test of a
 * microphone; others hear nothing meanwhile.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | set_talking: ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  set_talking: the first time.
 */
NECPNET_API necpnet_result necpnet_voice_set_talking(necpnet_voice* voice, bool talking);
NECPNET_API necpnet_result necpnet_voice_set_muted(necpnet_voice* voice, bool muted);
NECPNET_API necpnet_result necpnet_voice_set_deafened(necpnet_voice* voice, bool deafened);
NECPNET_API necpnet_result necpnet_voice_set_loopback(necpnet_voice* voice, bool loopback);

/* necpnet_voice_set_user_volume - of one speaker; kept while he is silent or away.
 *
 *   volume  0 .. 4, 1 at first. 0 mutes: the server is told, and sends nothing of him.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_LIMIT_REACHED (NECPNET_VOICE_USERS_MAX) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_set_user_volume(necpnet_voice* voice, uint64_t user_id, float volume);

/* necpnet_voice_set_listener - where the ears are, for groups of kind PROXIMITY.  necpnet_voice_set_user_position - where a
 * speaker is; without, he is heard at full volume in the middle.
 *
 *   position  3 numbers, in the unit of near_distance; borrowed until return.
 *   right     3 numbers, the direction of the right ear, of length 1.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | set_user_position: as set_user_volume
 * Thread   owner.      Callback  safe.      Allocates  set_user_position: yes.
 */
NECPNET_API necpnet_result necpnet_voice_set_listener(necpnet_voice* voice, const float* position, const float* right);
NECPNET_API necpnet_result necpnet_voice_set_user_position(necpnet_voice* voice, uint64_t user_id,
                                                           const float* position);

/* necpnet_voice_set_key - end-to-end encryption in the manner of SFrame (RFC 9605): from now on packets are sealed under
 * this key, and those of others with the same key id are opened. The server has no key and reads the header alone. Keys
 * reach the players by another way; a new one when somebody leaves. The last 4 key ids are kept for receiving.
 *
 *   key_id  1 .. 255.
 *   key     NECPNET_VOICE_KEY_BYTES; copied. NULL: stop sealing, and forget this key id.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NO_ENTROPY | ERR_UNSUPPORTED (needs NECPNET_WITH_MBEDTLS or _SODIUM)
 *          | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_set_key(necpnet_voice* voice, uint32_t key_id, const uint8_t* key);

typedef enum necpnet_voice_event_type {
    NECPNET_VOICE_EVENT_NONE = 0,
    NECPNET_VOICE_EVENT_JOINED = 1,      /* the server put this player into a group.  group, kind, user, is_silenced */
    NECPNET_VOICE_EVENT_LEFT = 2,        /* and took him out.  group */
    NECPNET_VOICE_EVENT_SPEAKING = 3,    /* somebody began to speak.  user, stream, kind */
    NECPNET_VOICE_EVENT_SILENT = 4,      /* and stopped.  user, stream */
    NECPNET_VOICE_EVENT_KEY_MISSING = 5, /* sealed packets came that no key opens; once for each stream.  user, key_id */
    NECPNET_VOICE_EVENT_TALKING = 6,     /* this player's own stream began to be sent.  stream */
    NECPNET_VOICE_EVENT_QUIET = 7        /* and stopped.  stream */
} necpnet_voice_event_type;

typedef struct necpnet_voice_event {
    necpnet_voice_event_type type;
    uint64_t user;
    int stream;
    necpnet_voice_group group;
    necpnet_voice_kind kind;
    uint32_t key_id;
    bool is_silenced; /* the server forwards nothing of this player to this group */
} necpnet_voice_event;

/* necpnet_voice_poll - take the next event. The oldest of more than 64 are dropped.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_voice_poll(necpnet_voice* voice, necpnet_voice_event* out_event);

/* Since create, all streams together; a unit is 10 ms of sound. */
typedef struct necpnet_voice_statistics {
    uint64_t packets_sent;
    uint64_t bytes_sent;         /* payloads */
    uint64_t packets_dropped;    /* encoded, and not sent in time: older than 200 ms, or 16 waited */
    uint64_t packets_received;
    uint64_t packets_late;       /* came after their time */
    uint64_t packets_lost;       /* never came, as the numbers of others tell */
    uint64_t packets_duplicate;
    uint64_t packets_refused;    /* no Opus, no room for another speaker, no key */
    uint64_t units_decoded;
    uint64_t units_recovered;    /* by FEC from the packet behind */
    uint64_t units_concealed;    /* made up by the decoder */
    uint64_t units_comfort;      /* the decoder's noise while the sender sends none (DTX) */
    uint64_t samples_shortened;  /* taken out to make the delay smaller */
    uint64_t samples_lengthened; /* put in to make it larger */
    uint32_t delay_ms;           /* of the speaker with the largest: target of his jitter buffer */
    uint32_t speakers;           /* heard now */
    uint32_t bitrate_bps;        /* of the microphone's stream, as adapted */
    uint32_t frame_ms;
    uint32_t fec_percent;        /* loss that its FEC is made for; 0: none */
    uint32_t complexity;
    uint32_t loss_ppm;           /* as listeners report */
    uint32_t jitter_ms;
    uint32_t level;              /* of the microphone, 0 .. NECPNET_VOICE_LEVEL_MAX */
} necpnet_voice_statistics;

/* necpnet_voice_get_statistics - figures of the whole voice.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_get_statistics(const necpnet_voice* voice,
                                                        necpnet_voice_statistics* out_statistics);

/* -- voice on a server -- */

/* Forwards packets of speech to who may and can hear them, without decoding: members of a group, of whom those in the same
 * zone and within the radius where the group is of kind PROXIMITY, the loudest few for each listener. One hub belongs to
 * one server (necpnet_server_config.voice_hub); each session of the server may join its groups. With several workers each
 * has a hub of its own: groups that these share (necpnet_voice_hub_share) are heard by the members of all of them, when
 * the application carries what necpnet_voice_hub_take_relay gives from each to the others. */
typedef struct necpnet_voice_hub_config {
    size_t struct_bytes;
    necpnet_allocator allocator;
    necpnet_logger logger;
    uint32_t groups_max;         /* whispers included; 1 .. 1,000,000, default 16,384 */
    uint32_t loudest;            /* streams forwarded to one listener at a time, whispers not counted; 1 .. 16, default 6 */
    uint32_t packets_per_s_max;  /* of one sender, all his streams; 10 .. 1,000, default 120; more are dropped */
    uint32_t bytes_per_s_max;    /* of their payloads; 1,000 .. 1,000,000, default 16,000 */
    bool pcm;                    /* forward raw samples, too (bytes_per_s_max must allow 97,000); default false */
    bool sealed;                 /* forward what is sealed end to end, of which the header alone can be checked; default true */
    uint32_t talk_ms_max;        /* talk without a pause of 0.4 s for so long is told: VOICE_HUB_CONTINUOUS; 5,000 ..
                                    3,600,000, default 60,000 */
    uint32_t spam_silence_ms;    /* a sender of spam is not forwarded for so long; 0 (default: he is told of, no more) ..
                                    3,600,000 */
    bool (*may_whisper)(necpnet_peer from, necpnet_peer to, void* user); /* NULL (default): nobody may; both are
                                    sessions of this hub: there are no whispers to another */
    void* user;
    uint64_t relay_id;           /* this hub's number among those that share groups, another for each; 0 (default): it
                                    shares none */
} necpnet_voice_hub_config;

/* necpnet_voice_hub_config_default - fill all fields and stamp struct_bytes.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   any.        Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_hub_config_default(necpnet_voice_hub_config* config);

/* necpnet_voice_hub_create - a hub without groups.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY
 *          | ERR_UNSUPPORTED (NECPNET_WITH_VOICE is 0)
 * Thread   becomes the owner: that of its server.   Callback  no.   Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_hub_create(const necpnet_voice_hub_config* config,
                                                    necpnet_voice_hub** out_hub);

/* necpnet_voice_hub_destroy - after its server.
 *
 *   hub  NULL does nothing.
 *
 * Thread   owner.      Callback  no.        Allocates  no.
 */
NECPNET_API void necpnet_voice_hub_destroy(necpnet_voice_hub* hub);

/* necpnet_voice_hub_group_create - a group without members.
 *
 *   kind         CHANNEL or PROXIMITY.
 *   radius       PROXIMITY: how far a voice is heard; more than 0. Else ignored.
 *   members_max  1 .. 1,000,000.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_LIMIT_REACHED (groups_max) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_hub_group_create(necpnet_voice_hub* hub, necpnet_voice_kind kind, float radius,
                                                          uint32_t members_max, necpnet_voice_group* out_group);

/* necpnet_voice_hub_group_destroy - its members are told.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_hub_group_destroy(necpnet_voice_hub* hub, necpnet_voice_group group);

/* necpnet_voice_hub_join, necpnet_voice_hub_leave - membership of a session of the hub's server, from EVENT_CONNECTED on;
 * it ends with the session. The player is told. Joining again is OK.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (the group, the peer; leave: not in it)
 *          | ERR_LIMIT_REACHED (members_max, NECPNET_VOICE_GROUPS_OF_ONE_MAX) | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_hub_join(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer);
NECPNET_API necpnet_result necpnet_voice_hub_leave(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer);

/* necpnet_voice_hub_silence - nothing of this member is forwarded to a group, or anywhere (group 0). He is told.
 * necpnet_voice_hub_deafen - nothing of a group is forwarded to him, or of any (group 0).
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_hub_silence(necpnet_voice_hub* hub, necpnet_voice_group group,
                                                     necpnet_peer peer, bool silenced);
NECPNET_API necpnet_result necpnet_voice_hub_deafen(necpnet_voice_hub* hub, necpnet_voice_group group,
                                                    necpnet_peer peer, bool deafened);

/* necpnet_voice_hub_report - what a member loses of those who speak to a group, measured by other means than his client's own
 * reports, and counted as one of these: the speakers adapt within 100 ms.
 *
 *   loss_ppm   0 .. 1,000,000.
 *   jitter_ms  more than 255 counts as 255.
 *
 * Returns  OK (also where nobody speaks, or too soon after his last) | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND (not in it)
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_hub_report(necpnet_voice_hub* hub, necpnet_voice_group group,
                                                    necpnet_peer peer, uint32_t loss_ppm, uint32_t jitter_ms);

/* necpnet_voice_hub_set_position - where a player speaks and hears, for groups of kind PROXIMITY; before the first call he
 * neither hears nor is heard there.
 *
 *   zone      players of different zones do not hear each other.
 *   position  3 numbers; borrowed until return.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (also what is no number) | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_hub_set_position(necpnet_voice_hub* hub, necpnet_peer peer, uint32_t zone,
                                                          const float* position);

/* necpnet_voice_hub_share - a group is one with those of the same key at other hubs. A sender's limits, silence and the check
 * of his packets are his own hub's; who is deaf, has muted him, is too far away or hears louder ones is decided by the
 * listener's. Positions and zones of a PROXIMITY group must mean the same at all of them.
 *
 *   key  of the application; 0: no longer shared.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (relay_id is 0) | ERR_NOT_FOUND | ERR_ALREADY_EXISTS (another group has the key)
 *          | ERR_OUT_OF_MEMORY
 * Thread   owner.      Callback  safe.      Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_hub_share(necpnet_voice_hub* hub, necpnet_voice_group group, uint64_t key);

/* necpnet_voice_hub_take_relay - what was said to shared groups since the last time, and reports on what others said: to be
 * given to all other hubs after each update. What waits is bounded by 1 MB; more is dropped and counted.
 *
 *   out_data  a view until the next call.
 *
 * Returns  whether there was something.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_voice_hub_take_relay(necpnet_voice_hub* hub, const void** out_data, size_t* out_bytes);

/* necpnet_voice_hub_give_relay - what another hub's take_relay gave. It may be lost on its way, then sound is; one that comes
 * back to its own hub is ignored. Speakers at another hub of whom nothing comes for 30 s are forgotten.
 *
 *   data    borrowed until return.
 *   now_us  in the time of the server's update.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT (also with relay_id 0) | ERR_BAD_DATA (what stood before the fault counts)
 * Thread   owner.      Callback  no.        Allocates  yes.
 */
NECPNET_API necpnet_result necpnet_voice_hub_give_relay(necpnet_voice_hub* hub, const void* data, size_t bytes,
                                                        uint64_t now_us);

typedef enum necpnet_voice_hub_event_type {
    NECPNET_VOICE_HUB_NONE = 0,
    NECPNET_VOICE_HUB_SPEAKING = 1,    /* peer, stream, group: began to be forwarded */
    NECPNET_VOICE_HUB_SILENT = 2,      /* peer, stream, group: has stopped */
    NECPNET_VOICE_HUB_FLOOD = 3,       /* peer: sends more than the limits, for a second */
    NECPNET_VOICE_HUB_NOISE = 4,       /* peer: loud, with none of the ups and downs of speech, for 3 s */
    NECPNET_VOICE_HUB_KEYING = 5,      /* peer: begins anew over and over: 8 times more than 3 a second */
    NECPNET_VOICE_HUB_CONTINUOUS = 6,  /* peer: talk_ms_max without a pause */
    NECPNET_VOICE_HUB_BAD_PACKET = 7,  /* peer, group: what is no Opus, or not allowed here; at most one a second and peer */
    NECPNET_VOICE_HUB_STRANGER = 8,    /* peer, group: speaks to a group that he is not in; likewise */
    NECPNET_VOICE_HUB_QUALITY = 9,     /* peer, stream, loss_ppm, jitter_ms: what his listeners report has changed */
    NECPNET_VOICE_HUB_WHISPERS = 10,   /* peer, other, group: may whisper to the other now */
    NECPNET_VOICE_HUB_WHISPER_ENDED = 11 /* peer, other, group */
} necpnet_voice_hub_event_type;

typedef struct necpnet_voice_hub_event {
    necpnet_voice_hub_event_type type;
    necpnet_peer peer;
    necpnet_peer other;
    uint64_t user; /* client id of peer */
    necpnet_voice_group group;
    int stream;
    uint32_t loss_ppm;
    uint32_t jitter_ms;
} necpnet_voice_hub_event;

/* necpnet_voice_hub_poll - take the next event. The oldest of more than 1,024 are dropped.
 *
 * Returns  whether there was one.
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API bool necpnet_voice_hub_poll(necpnet_voice_hub* hub, necpnet_voice_hub_event* out_event);

typedef struct necpnet_voice_hub_statistics {
    uint32_t members;          /* sessions */
    uint32_t groups;           /* whispers included */
    uint32_t speaking;         /* streams */
    uint64_t packets_received;
    uint64_t packets_forwarded; /* copies to listeners */
    uint64_t bytes_forwarded;   /* of payloads */
    uint64_t packets_limited;   /* dropped: over a sender's limits */
    uint64_t packets_bad;       /* dropped: not what they should be */
    uint64_t packets_stranger;  /* dropped: to a group that the sender is not in */
    uint64_t packets_silenced;  /* dropped: of a silenced sender */
    uint64_t copies_unheard;    /* not made: out of range, deaf, muted */
    uint64_t copies_quiet;      /* not made: the listener hears `loudest` others */
    uint64_t copies_stale;      /* dropped: the listener's connection did not take them in 200 ms, or 32 waited */
    uint64_t relay_sent;        /* packets of members, for other hubs */
    uint64_t relay_received;    /* packets from other hubs, to groups that have members here */
    uint64_t relay_dropped;     /* for other hubs, and not taken in time */
    uint64_t memory_bytes;
} necpnet_voice_hub_statistics;

/* necpnet_voice_hub_get_statistics - figures of the whole hub since it was made.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_hub_get_statistics(const necpnet_voice_hub* hub,
                                                            necpnet_voice_hub_statistics* out_statistics);

typedef struct necpnet_voice_member_info {
    uint32_t groups;        /* that he is in */
    uint32_t streams;       /* that he ever sent */
    bool has_voice;         /* his client understands voice, and is connected */
    bool is_silenced;       /* everywhere, by necpnet_voice_hub_silence or for spam */
    bool is_deafened;       /* by the application, or his own wish */
    uint64_t packets_sent;     /* that came from him */
    uint64_t packets_received; /* that were queued for him */
    uint64_t bytes_received;
    uint32_t spam_events;
} necpnet_voice_member_info;

/* necpnet_voice_hub_get_member - facts of one member.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_NOT_FOUND
 * Thread   owner.      Callback  safe.      Allocates  no.
 */
NECPNET_API necpnet_result necpnet_voice_hub_get_member(const necpnet_voice_hub* hub, necpnet_peer peer,
                                                        necpnet_voice_member_info* out_info);

#ifdef __cplusplus
}
#endif

#endif
