/* nn_web_connection - what the parts of the web share: the web, one connection, how it ends, how bytes leave it.
 *
 * A connection in its states:
 *
 *     incoming            HEAD ----------------------------------> OPEN -> CLOSING -> ENDED
 *     outgoing RESOLVING -> CONNECTING -> SECURING -> UPGRADING -> OPEN -> CLOSING -> ENDED
 *     bytes      HEAD or CONNECTING ----------------------------------------> RAW -> ENDED
 *
 * Any state may go to ENDED. Then the stream is gone, and the last callback comes in the next update, which frees it.
 */
#ifndef NN_WEB_CONNECTION_H
#define NN_WEB_CONNECTION_H

#include "nn_deadlines.h"
#include "nn_deflate.h"
#include "nn_extension.h"
#include "nn_log.h"
#include "nn_random.h"
#include "nn_tls.h"
#include "nn_upgrade.h"
#include "nn_web.h"
#include "nn_websocket.h"

#define NN_WEB_ADDRESSES_MAX 8  /* of one host that are tried in turn */
#define NN_WEB_RANDOM_BYTES 512 /* taken from the system at once, for masks */
#define NN_WEB_SMALL_BYTES 1024 /* a frame up to this is put together on the stack and written at once */

typedef enum nn_web_state {
    NN_WEB_HEAD = 1,
    NN_WEB_RESOLVING = 2,
    NN_WEB_CONNECTING = 3,
    NN_WEB_SECURING = 4,
    NN_WEB_UPGRADING = 5,
    NN_WEB_OPEN = 6,
    NN_WEB_CLOSING = 7, /* a close frame was sent or received; waits for the other, or for the end of the stream */
    NN_WEB_RAW_BYTES = 8,
    NN_WEB_ENDED = 9
} nn_web_state;

/* What a connection needs only until it is open. */
typedef struct nn_web_setup {
    uint8_t* head; /* of a head that did not come in one piece */
    size_t head_bytes;
    size_t head_capacity;
    size_t scanned;
    /* outgoing */
    uint64_t request; /* to resolve */
    necpnet_address addresses[NN_WEB_ADDRESSES_MAX];
    int address_count;
    int address_next;
    bool raw;
    bool tls;
    char key[NN_UPGRADE_KEY_BYTES + 1];
    char* texts; /* host, Host header, path, subprotocols: each with its NUL */
    size_t text_bytes;
    const char* host;
    const char* host_header;
    const char* path;
    const char* subprotocols; /* NULL: none */
} nn_web_setup;

/* Input that came while paused. */
typedef struct nn_web_held {
    uint8_t* data;
    size_t bytes;
    size_t capacity;
} nn_web_held;

typedef struct nn_web_buffer {
    uint8_t* data;
    size_t capacity;
} nn_web_buffer;

/* What connections of a web share for permessage-deflate. */
typedef struct nn_web_deflate {
    nn_deflater* small;                                                /* each made when it is first needed */
    nn_deflater* large[NN_DEFLATE_BITS_MAX - NN_DEFLATE_BITS_MIN + 1]; /* by window bits */
    nn_inflater* inflater;
    nn_web_buffer out; /* the message that is sent now */
    nn_web_buffer in;  /* the message that is delivered now */
    necpnet_web_statistics totals;
} nn_web_deflate;

/* What most connections never have; taken with the first of these, kept to the end. */
typedef struct nn_web_extra {
    nn_web_held* held;
    char* subprotocol; /* NULL: none. A session's is not kept */
    char* close_text;  /* NULL: none */
    nn_extension_deflate compression;
    nn_deflater* deflater; /* with a context of its own: NULL until the first message */
    nn_inflater* inflater;
} nn_web_extra;

struct necpnet_web_connection {
    necpnet_web* web;
    necpnet_stream* stream; /* NULL: none yet, or gone */
    necpnet_web_connection* next;
    necpnet_web_connection* previous;
    void* user_data;
    nn_web_setup* setup;
    nn_tls* tls;
    nn_web_extra* extra; /* NULL: nothing of it */
    nn_deadline deadline;
    uint32_t unstarted_ms; /* a wait that was asked for outside of update; it starts at the next. 0: none */
    uint64_t heard_us;
    necpnet_address address;
    nn_websocket websocket;
    int16_t reason; /* necpnet_result, once ending */
    uint16_t close_code;
    uint8_t state;
    bool is_server : 1;
    bool is_session : 1;
    bool is_seen : 1; /* the application knows it: it gets a last callback */
    bool is_paused : 1;
    bool is_resumed : 1; /* held input waits for the update */
    bool close_sent : 1;
    bool close_received : 1;
};

struct necpnet_web {
    nn_alloc* alloc;
    const necpnet_transport* transport;
    struct nn_web_alone* alone; /* of necpnet_web_create; NULL inside an endpoint */
    necpnet_web_config config;
    nn_web_session_hooks hooks; /* functions NULL: no sessions */
    necpnet_web_connection* live;
    necpnet_web_connection* ended; /* in the order of their end: ended_last is the last */
    necpnet_web_connection* ended_last;
    uint32_t count;         /* live and ended */
    uint32_t resumed_count; /* with is_resumed */
    uint64_t now_us;
    bool inside;        /* between begin and the end of update: now_us is now */
    bool has_unstarted; /* waits to start at begin */
    uint64_t request_next;
    nn_deadlines deadlines;
    nn_random random;           /* no secrets: spreads pings */
    char* scratch;              /* a head while it is read: 2 * head_bytes_max + 2 */
    uint8_t* plaintext;         /* NN_TLS_PLAINTEXT_BYTES_MAX; NULL until TLS is used */
    nn_tls_context* tls_server; /* NULL: plain */
    nn_tls_context* tls_client; /* NULL until the first wss */
    char* ca_file;              /* NULL: the system's */
    nn_web_deflate* deflate;    /* NULL: not enabled */
    uint8_t entropy[NN_WEB_RANDOM_BYTES];
    size_t entropy_left;
};

NN_INLINE nn_web_held* nn_web_connection_held(const necpnet_web_connection* connection)
{
    return connection->extra ? connection->extra->held : NULL;
}

/* nn_web_has_messages - the transport has WebSockets of its own; so has every one in a build without HTTP. */
NN_INLINE bool nn_web_has_messages(const necpnet_web* web)
{
    return !NECPNET_WITH_HTTP || (web->transport->flags & NECPNET_TRANSPORT_MESSAGES) != 0;
}

/* ---- nn_web_connection: life -------------------------------------------------------------------------------------- */

/* nn_web_connection_take - a new connection in the list of the living; NULL without memory or over the limit. */
NN_PRIVATE necpnet_result nn_web_connection_take(necpnet_web* web, nn_web_state state, necpnet_web_connection** out);

/* nn_web_connection_take_setup - makes the setup if it is not there; false without memory. */
NN_PRIVATE bool nn_web_connection_take_setup(necpnet_web_connection* connection);
NN_PRIVATE void nn_web_connection_give_setup(necpnet_web_connection* connection);

/* nn_web_connection_take_extra - makes it if it is not there; NULL without memory. */
NN_PRIVATE nn_web_extra* nn_web_connection_take_extra(necpnet_web_connection* connection);

/* nn_web_connection_set_close_text - without memory it is lost. */
NN_PRIVATE void nn_web_connection_set_close_text(necpnet_web_connection* connection, const char* text, size_t bytes);

/* nn_web_connection_free - no callback; it must be in no list. */
NN_PRIVATE void nn_web_connection_free(necpnet_web_connection* connection);

/* nn_web_connection_drop - take back one that the application never got to know: unlink and free, at once. */
NN_PRIVATE void nn_web_connection_drop(necpnet_web_connection* connection);

/* nn_web_connection_end - ENDED: the stream closes (at_once, or after what is pending), the rest follows in the update.
 * text may be NULL. Keeps a reason, code and text that were already there from a close frame. */
NN_PRIVATE void nn_web_connection_end(necpnet_web_connection* connection, necpnet_result reason, int code,
                                      const char* text, bool at_once);

/* nn_web_connection_finish - last callback, and free. */
NN_PRIVATE void nn_web_connection_finish(necpnet_web_connection* connection);

/* nn_web_connection_write - bytes of the application's layer: through TLS if there is, to the transport. */
NN_PRIVATE necpnet_result nn_web_connection_write(necpnet_web_connection* connection, const uint8_t* data,
                                                  size_t bytes);

/* nn_web_connection_has_room - false: the reader is too slow even for what the network takes now. */
NN_PRIVATE bool nn_web_connection_has_room(necpnet_web_connection* connection, size_t bytes);

/* nn_web_connection_input - plaintext that arrived; data may be changed. Held while paused. */
NN_PRIVATE void nn_web_connection_input(necpnet_web_connection* connection, uint8_t* data, size_t bytes);

/* nn_web_connection_resume - what was held. */
NN_PRIVATE void nn_web_connection_resume(necpnet_web_connection* connection);

/* nn_web_connection_wake - the deadline came. */
NN_PRIVATE void nn_web_connection_wake(necpnet_web_connection* connection);

/* nn_web_connection_set_deadline - wake it in so many milliseconds; NN_NEVER: not at all. */
NN_PRIVATE void nn_web_connection_set_deadline(necpnet_web_connection* connection, uint64_t in_ms);

/* nn_web_connection_drop_told - count a refusal by name, where somebody does. */
NN_PRIVATE void nn_web_connection_drop_told(necpnet_web* web, const necpnet_address* from, necpnet_drop drop);

/* nn_web_connection_start_waits - those that were asked for outside of update, when the time was not known. */
NN_PRIVATE void nn_web_connection_start_waits(necpnet_web* web);

/* nn_web_connection_random - unpredictable bytes; false without a source. */
NN_PRIVATE bool nn_web_connection_random(necpnet_web* web, void* to, size_t bytes);

/* ---- nn_web_upgrade: the opening, both sides ----------------------------------------------------------------------- */

/* nn_web_upgrade_input, nn_web_upgrade_answer_input - a head or a piece of it; return how many bytes were used. */
NN_PRIVATE size_t nn_web_upgrade_input(necpnet_web_connection* connection, const uint8_t* data, size_t bytes);
NN_PRIVATE size_t nn_web_upgrade_answer_input(necpnet_web_connection* connection, const uint8_t* data, size_t bytes);

/* nn_web_upgrade_refuse - answer a status and close. */
NN_PRIVATE void nn_web_upgrade_refuse(necpnet_web_connection* connection, int status, const char* headers,
                                      const char* body, necpnet_result reason);

/* nn_web_upgrade_send_request - the client's head. */
NN_PRIVATE void nn_web_upgrade_send_request(necpnet_web_connection* connection);

/* ---- nn_web_frames: an open WebSocket ------------------------------------------------------------------------------ */

/* nn_web_frames_open - OPEN: tell the application. */
NN_PRIVATE void nn_web_frames_open(necpnet_web_connection* connection);

/* nn_web_frames_input - frames; returns how many bytes were used (fewer when paused or ended). */
NN_PRIVATE size_t nn_web_frames_input(necpnet_web_connection* connection, uint8_t* data, size_t bytes);

NN_PRIVATE necpnet_result nn_web_frames_send(necpnet_web_connection* connection, nn_websocket_opcode opcode,
                                             const uint8_t* data, size_t bytes);

/* nn_web_frames_close - send a close frame; code NN_WEBSOCKET_CODE_NONE: an empty one. */
NN_PRIVATE void nn_web_frames_close(necpnet_web_connection* connection, int code, const char* text);

/* nn_web_frames_wake - the deadline of an open or closing one. */
NN_PRIVATE void nn_web_frames_wake(necpnet_web_connection* connection);

/* ---- nn_web_deflate: compressed messages --------------------------------------------------------------------------- */

NN_PRIVATE necpnet_result nn_web_deflate_check(const necpnet_web_config* config);
NN_PRIVATE void nn_web_deflate_destroy(necpnet_web* web);
NN_PRIVATE void nn_web_deflate_end_connection(necpnet_web_connection* connection);

/* nn_web_deflate_wishes - what to negotiate; false: nothing. */
NN_PRIVATE bool nn_web_deflate_wishes(const necpnet_web* web, bool is_session, nn_extension_wish* out_wish);

/* nn_web_deflate_message - a message to send, compressed: a view until nn_web_deflate_sent. 0: it goes out as it is. */
NN_PRIVATE size_t nn_web_deflate_message(necpnet_web_connection* connection, const uint8_t* data, size_t bytes,
                                         const uint8_t** out);
NN_PRIVATE void nn_web_deflate_sent(necpnet_web* web);

/* nn_web_deflate_open_message - decompress a message that came; item then views it until nn_web_deflate_close_message,
 * which must follow in either case. Returns 0, or the code to close with, and item->problem says why. */
NN_PRIVATE int nn_web_deflate_open_message(necpnet_web_connection* connection, nn_web_buffer* buffer,
                                           nn_websocket_item* item);
NN_PRIVATE void nn_web_deflate_close_message(necpnet_web* web, nn_web_buffer* buffer);

/* ---- nn_web_connect: outgoing -------------------------------------------------------------------------------------- */

/* nn_web_connect_next - open a stream to the next address; ends the connection when none is left. */
NN_PRIVATE void nn_web_connect_next(necpnet_web_connection* connection, necpnet_result reason);

/* nn_web_connect_is_up - the stream is open. */
NN_PRIVATE void nn_web_connect_is_up(necpnet_web_connection* connection);

/* ---- nn_web_tls ---------------------------------------------------------------------------------------------------- */

NN_PRIVATE necpnet_result nn_web_tls_load_server(necpnet_web* web);
NN_PRIVATE necpnet_result nn_web_tls_load_client(necpnet_web* web);

/* nn_web_tls_begin - put TLS on a stream; host NULL: server. */
NN_PRIVATE necpnet_result nn_web_tls_begin(necpnet_web_connection* connection, const char* host);

/* nn_web_tls_input - ciphertext; plaintext goes to nn_web_connection_input. */
NN_PRIVATE void nn_web_tls_input(necpnet_web_connection* connection, const uint8_t* data, size_t bytes);

#endif
