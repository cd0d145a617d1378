/* nn_web - the web edge: HTTP upgrade and WebSocket over the streams of a transport. The inside of necpnet.h section 9,
 * and what an endpoint needs to have a web of its own on the transport that it also uses for datagrams.
 *
 * The endpoint attaches one sink to the transport and passes the calls on:
 *
 *     on_accept    nn_web_on_accept(web, stream, from)     the context of every stream of the web is the web's own
 *     on_open      nn_web_on_open(context)
 *     on_data      nn_web_on_data(context, data, bytes)
 *     on_writable  nn_web_on_writable(context)
 *     on_close     nn_web_on_close(context, reason)
 *     on_resolved  if (request & NN_WEB_REQUEST_BIT) nn_web_on_resolved(web, request, ...)
 *
 * and in its update: nn_web_begin(web, now_us), transport->receive, nn_web_update(web, now_us), transport->flush.
 * Connections end in nn_web_update alone: a connection pointer stays valid until its last hook or handler (on_close)
 * returned, so that any callback may close, or be cut on, any connection.
 */
#ifndef NN_WEB_H
#define NN_WEB_H

#include "nn_alloc.h"

#define NN_WEB_REQUEST_BIT (UINT64_C(1) << 63) /* in the request ids that the web gives to transport->resolve */
#define NN_WEB_SESSION_SUBPROTOCOL "necpnet.v1"
#define NN_WEB_SESSION_BYTES_MAX 16384 /* one message of a session */

/* For connections that speak necpnet.v1. On a server those that on_request answered with NECPNET_WEB_SESSION, or, without
 * an on_request handler, all that offer the subprotocol; on a client those of nn_web_connect_session. */
typedef struct nn_web_session_hooks {
    void* user;
    void (*on_session_open)(void* user, necpnet_web_connection* connection);
    /* data may be changed in place until return */
    void (*on_session_message)(void* user, necpnet_web_connection* connection, uint8_t* data, size_t bytes);
    /* the last call for a connection; also for an outgoing one that never opened. text is never NULL. */
    void (*on_session_close)(void* user, necpnet_web_connection* connection, necpnet_result reason, const char* text);
    /* pending bytes fell to 0 after having been more; NULL: not told */
    void (*on_session_writable)(void* user, necpnet_web_connection* connection);
    /* something on the way to a session met refusal, and was not the application's; NULL: not told */
    void (*on_drop)(void* user, const necpnet_address* from, necpnet_drop drop);
    /* a request for a session names the worker that has it: whether its stream was handed over, with these bytes that came
     * over it; NULL: there is no other */
    bool (*on_session_elsewhere)(void* user, necpnet_stream* stream, uint32_t worker, const necpnet_address* from,
                                 const uint8_t* data, size_t bytes);
} nn_web_session_hooks;

#define NN_WEB_WORKER_QUERY "worker=" /* in the query of a session's URL: decimal, below 256 */

/* nn_web_create - a web on somebody's transport; does not attach.
 *
 *   config     transport, loop, bind_address and tcp_port are not read.
 *   transport  borrowed until destroy.
 *   hooks      NULL: no sessions; else copied.
 *
 * OK | ERR_BAD_STRUCT_BYTES | ERR_BAD_CONFIG | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED | ERR_FILE
 *    | ERR_BAD_CERTIFICATE_FILE | ERR_NO_ENTROPY */
NN_PRIVATE necpnet_result nn_web_create(const necpnet_web_config* config, nn_alloc* alloc,
                                        const necpnet_transport* transport, const nn_web_session_hooks* hooks,
                                        necpnet_web** out_web);

/* nn_web_deflate_default - what necpnet_web_config_default sets. */
NN_PRIVATE void nn_web_deflate_default(necpnet_web_deflate* deflate);

/* nn_web_destroy - cut every connection; hooks and on_close are called for each. Before the transport is detached. */
NN_PRIVATE void nn_web_destroy(necpnet_web* web);

NN_PRIVATE void* nn_web_on_accept(necpnet_web* web, necpnet_stream* stream, const necpnet_address* from);
NN_PRIVATE void nn_web_on_open(void* context);
NN_PRIVATE void nn_web_on_data(void* context, uint8_t* data, size_t bytes);
NN_PRIVATE void nn_web_on_writable(void* context);
NN_PRIVATE void nn_web_on_close(void* context, necpnet_result reason);
NN_PRIVATE void nn_web_on_resolved(necpnet_web* web, uint64_t request, const necpnet_address* addresses, int count,
                                   necpnet_result reason);

/* nn_web_begin - the time, before transport->receive. */
NN_PRIVATE void nn_web_begin(necpnet_web* web, uint64_t now_us);

/* nn_web_update - pings, timeouts, resumed connections, and the last callbacks of those that ended. */
NN_PRIVATE void nn_web_update(necpnet_web* web, uint64_t now_us);

/* nn_web_deadline_us - when update has work; 0: at once; NN_NEVER: when data comes. */
NN_PRIVATE uint64_t nn_web_deadline_us(const necpnet_web* web);

/* nn_web_connect_session - an outgoing necpnet.v1 connection.
 *
 *   address  resolved already; on a transport with NECPNET_TRANSPORT_MESSAGES only its port is read.
 *   host     for the Host header, SNI and the certificate's name; copied.
 *   path     with query; begins with '/'; copied.
 *   tls      wss.
 *   context  user data of the connection.
 *
 * OK | ERR_INVALID_ARGUMENT | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED | ERR_NO_ENTROPY | ERR_FILE
 *    | what open_stream returns */
NN_PRIVATE necpnet_result nn_web_connect_session(necpnet_web* web, const necpnet_address* address, const char* host,
                                                 const char* path, bool tls, void* context,
                                                 necpnet_web_connection** out_connection);

/* nn_web_send_session - one binary message, 1 .. NN_WEB_SESSION_BYTES_MAX bytes. As necpnet_web_send. */
NN_PRIVATE necpnet_result nn_web_send_session(necpnet_web_connection* connection, const uint8_t* data, size_t bytes);

/* nn_web_cut - end a connection without a close handshake; its last hook gets this reason, in the next update. */
NN_PRIVATE void nn_web_cut(necpnet_web_connection* connection, necpnet_result reason);

/* nn_web_connection_count - those not ended. */
NN_PRIVATE uint32_t nn_web_connection_count(const necpnet_web* web);

#endif
