/* nn_endpoint - what a client and a server have in common. */
#include "nn_endpoint.h"

#include "nn_platform.h"

static bool endpoint_platform_entropy(void* to, size_t bytes, void* user)
{
    (void)user;
#if NECPNET_WITH_PLATFORM
    return nn_platform_fill_entropy(to, bytes);
#else
    (void)to;
    (void)bytes;
    return false;
#endif
}

NN_PRIVATE necpnet_result nn_endpoint_init(nn_endpoint* endpoint, const necpnet_allocator* allocator,
                                           const necpnet_logger* logger, const necpnet_entropy* entropy,
                                           const necpnet_channel_config* channels, int channel_count,
                                           uint32_t datagram_bytes_max, bool is_server)
{
    memset(endpoint, 0, sizeof *endpoint);
    nn_alloc_init(&endpoint->alloc, allocator);
    nn_blocks_init(&endpoint->blocks, &endpoint->alloc);
    nn_dispatch_init(&endpoint->dispatch, &endpoint->alloc);
    endpoint->logger = *logger;
    endpoint->entropy = *entropy;
    if (!endpoint->entropy.fill) endpoint->entropy.fill = endpoint_platform_entropy;
    endpoint->is_server = is_server;
    necpnet_result result = nn_config_channels(logger, channels, channel_count);
    if (result) return result;
    endpoint->channels =
        (necpnet_channel_config*)nn_alloc_take(&endpoint->alloc, (size_t)channel_count * sizeof *endpoint->channels);
    if (!endpoint->channels) return NECPNET_ERR_OUT_OF_MEMORY;
    memcpy(endpoint->channels, channels, (size_t)channel_count * sizeof *channels);
    endpoint->channel_count = channel_count;
    nn_connection_settings_init(&endpoint->settings, &endpoint->alloc);
    endpoint->settings.datagram_bytes_max = datagram_bytes_max;
    endpoint->settings.scratch_bytes = nn_max_size(datagram_bytes_max, NN_WEB_SESSION_BYTES_MAX);
    endpoint->settings.scratch = (uint8_t*)nn_alloc_take(&endpoint->alloc, endpoint->settings.scratch_bytes);
    if (!endpoint->settings.scratch) return NECPNET_ERR_OUT_OF_MEMORY;
    endpoint->settings.logger = &endpoint->logger;
    endpoint->settings.is_server = is_server;
    endpoint->session_config.alloc = &endpoint->alloc;
    endpoint->session_config.blocks = &endpoint->blocks;
    endpoint->session_config.logger = &endpoint->logger;
    endpoint->session_config.channels = endpoint->channels;
    endpoint->session_config.channel_count = channel_count;
    endpoint->session_config.is_server = is_server;
    endpoint->session_config.receive_memory = &endpoint->receive_memory;
    endpoint->session_config.sources = nn_connection_sources();
    uint64_t seed;
    if (!nn_endpoint_random(endpoint, &seed, sizeof seed)) {
        nn_log_write(logger, NECPNET_LOG_ERROR,
                     "no entropy: set config.entropy, or build with NECPNET_WITH_PLATFORM=1");
        return NECPNET_ERR_NO_ENTROPY;
    }
    nn_random_seed(&endpoint->random, seed);
    return NECPNET_OK;
}

NN_PRIVATE void nn_endpoint_reset(nn_endpoint* endpoint)
{
    if (endpoint->web) nn_web_destroy(endpoint->web);
    if (endpoint->attached) {
        endpoint->transport->flush(endpoint->transport->user);
        endpoint->transport->detach(endpoint->transport->user);
    }
#if NECPNET_WITH_PLATFORM
    if (endpoint->own_transport) necpnet_socket_destroy(endpoint->own_transport);
#endif
    nn_dispatch_reset(&endpoint->dispatch);
    nn_blocks_reset(&endpoint->blocks);
    nn_alloc_give(&endpoint->alloc, endpoint->settings.scratch, endpoint->settings.scratch_bytes);
    nn_alloc_give(&endpoint->alloc, endpoint->channels, (size_t)endpoint->channel_count * sizeof *endpoint->channels);
    endpoint->web = NULL;
    endpoint->transport = endpoint->own_transport = NULL;
    endpoint->attached = false;
}

NN_PRIVATE necpnet_result nn_endpoint_attach(nn_endpoint* endpoint, const necpnet_transport* transport,
                                             const necpnet_socket_config* config, const necpnet_web_config* web,
                                             const nn_web_session_hooks* hooks, const necpnet_sink* sink)
{
    endpoint->transport = transport;
    if (!transport) {
#if NECPNET_WITH_PLATFORM
        necpnet_result opened = necpnet_socket_create(config, &endpoint->own_transport);
        if (opened) return opened;
        endpoint->transport = endpoint->own_transport;
#else
        (void)config;
        nn_log_write(&endpoint->logger, NECPNET_LOG_ERROR,
                     "no transport: set config.transport, or build with "
                     "NECPNET_WITH_PLATFORM=1");
        return NECPNET_ERR_UNSUPPORTED;
#endif
    }
    endpoint->settings.transport = endpoint->transport;
    if (endpoint->transport->flags & NECPNET_TRANSPORT_STREAMS) {
        necpnet_result made = nn_web_create(web, &endpoint->alloc, endpoint->transport, hooks, &endpoint->web);
        if (made) return made;
    }
    necpnet_result result = endpoint->transport->attach(endpoint->transport->user, sink);
    endpoint->attached = result == NECPNET_OK;
    return result;
}

NN_PRIVATE bool nn_endpoint_random(nn_endpoint* endpoint, void* to, size_t bytes)
{
    return endpoint->entropy.fill(to, bytes, endpoint->entropy.user);
}

NN_PRIVATE void nn_endpoint_begin(nn_endpoint* endpoint, uint64_t now_us)
{
    if (now_us > endpoint->now_us) endpoint->now_us = now_us;
    if (endpoint->web) nn_web_begin(endpoint->web, endpoint->now_us);
    endpoint->transport->receive(endpoint->transport->user, endpoint->now_us);
    if (endpoint->web) nn_web_update(endpoint->web, endpoint->now_us);
}

NN_PRIVATE void nn_endpoint_end(nn_endpoint* endpoint)
{
    endpoint->transport->flush(endpoint->transport->user);
}

NN_PRIVATE void nn_endpoint_setup(const nn_endpoint* endpoint, const necpnet_schema* schema, nn_setup* out)
{
    nn_setup_init(out, endpoint->is_server ? NN_ROLE_SERVER : NN_ROLE_CLIENT);
    nn_setup_set_channels(out, endpoint->channels, endpoint->channel_count);
    out->features = NN_FEATURE_INPUT;
#if NECPNET_WITH_LZ4
    out->features |= NN_FEATURE_LZ4;
#endif
    if (schema) out->features |= NN_FEATURE_STATE;
    if (NECPNET_WITH_VOICE && endpoint->has_voice) out->features |= NN_FEATURE_VOICE;
    out->schema_hash = necpnet_schema_get_hash(schema);
    if (schema) out->tables_hash = schema->tables->hash;
    if (schema && schema->own_tables) out->own_tables_hash = schema->own_tables->hash;
    out->datagram_bytes_max = endpoint->settings.datagram_bytes_max;
}

NN_PRIVATE necpnet_event nn_event_of(necpnet_event_type type, necpnet_peer peer)
{
    necpnet_event event;
    memset(&event, 0, sizeof event);
    event.type = type;
    event.peer = peer;
    event.text = "";
    return event;
}

NN_PRIVATE void nn_endpoint_session_event(const nn_session_event* from, necpnet_peer peer, necpnet_event* out)
{
    static const necpnet_event_type types[] = {NECPNET_EVENT_NONE, NECPNET_EVENT_MESSAGE, NECPNET_EVENT_RECEIPT,
                                               NECPNET_EVENT_WRITABLE};
    *out = nn_event_of(types[from->type], peer);
    out->channel = from->channel;
    out->data = from->data;
    out->bytes = from->bytes;
    out->name = from->name;
    out->receipt = from->receipt;
}
