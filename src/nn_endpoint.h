/* nn_endpoint - what a client and a server have in common: memory, log, entropy, transport, web, time, handlers. */
#ifndef NN_ENDPOINT_H
#define NN_ENDPOINT_H

#include "nn_config.h"
#include "nn_connection.h"
#include "nn_dispatch.h"
#include "nn_random.h"

typedef struct nn_endpoint {
    nn_alloc alloc;
    necpnet_logger logger;
    necpnet_entropy entropy;
    const necpnet_transport* transport;
    const necpnet_transport* own_transport; /* NULL: the application's */
    bool attached;
    bool has_voice;   /* VOICE frames are understood */
    necpnet_web* web; /* NULL: the transport has no streams */
    necpnet_channel_config* channels;
    int channel_count;
    nn_blocks blocks;
    nn_receive_memory receive_memory;
    nn_connection_settings settings;
    nn_session_config session_config;
    nn_dispatch dispatch;
    nn_random random;
    uint64_t now_us;
    bool is_server;
} nn_endpoint;

/* nn_endpoint_init - copies what the configs share; checks nothing but the channels. On failure call reset. */
NN_PRIVATE necpnet_result nn_endpoint_init(nn_endpoint* endpoint, const necpnet_allocator* allocator,
                                           const necpnet_logger* logger, const necpnet_entropy* entropy,
                                           const necpnet_channel_config* channels, int channel_count,
                                           uint32_t datagram_bytes_max, bool is_server);

/* nn_endpoint_reset - detach, destroy the web and own sockets, give everything back. The allocator must be empty then. */
NN_PRIVATE void nn_endpoint_reset(nn_endpoint* endpoint);

/* nn_endpoint_attach - take the application's transport, or sockets of its own as config says, and put the sink in. */
NN_PRIVATE necpnet_result nn_endpoint_attach(nn_endpoint* endpoint, const necpnet_transport* transport,
                                             const necpnet_socket_config* config, const necpnet_web_config* web,
                                             const nn_web_session_hooks* hooks, const necpnet_sink* sink);

/* nn_endpoint_random - secret random bytes. */
NN_PRIVATE bool nn_endpoint_random(nn_endpoint* endpoint, void* to, size_t bytes);

/* nn_endpoint_begin - the clamped time, and receive all that has arrived. nn_endpoint_end - what is kept leaves. */
NN_PRIVATE void nn_endpoint_begin(nn_endpoint* endpoint, uint64_t now_us);
NN_PRIVATE void nn_endpoint_end(nn_endpoint* endpoint);

/* nn_endpoint_setup - this side's SETUP, without credential and session. schema: NULL without state. */
NN_PRIVATE void nn_endpoint_setup(const nn_endpoint* endpoint, const necpnet_schema* schema, nn_setup* out);

/* nn_endpoint_session_event - a session's event as the application sees it. */
NN_PRIVATE void nn_endpoint_session_event(const nn_session_event* from, necpnet_peer peer, necpnet_event* out);

/* nn_event_of - an event of a type with all else empty. */
NN_PRIVATE necpnet_event nn_event_of(necpnet_event_type type, necpnet_peer peer);

#endif
