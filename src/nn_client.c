/* nn_client - the client endpoint: life, update, events. Connecting: nn_client_round. Messages and facts: nn_client_send. */
#include "nn_client.h"

#include "nn_view.h"
#include "nn_voice.h"

necpnet_result necpnet_client_config_default(necpnet_client_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->logger.level = NECPNET_LOG_OFF;
    config->security = NECPNET_SECURITY_TOKEN;
    config->channels = nn_config_default_channels();
    config->channel_count = NECPNET_CHANNELS_DEFAULT;
    config->connect_timeout_ms = 5000;
    config->connect_stagger_ms = 250;
    config->reconnect = true;
    config->reconnect_delay_min_ms = 250;
    config->reconnect_delay_max_ms = 10000;
    config->reconnect_attempts_max = UINT32_MAX;
    config->udp_ping_ms = 1000;
    config->udp_timeout_ms = 5000;
    config->key_interval_ms = NN_PHASE_MS_DEFAULT;
    config->websocket_ping_ms = 30000;
    config->websocket_timeout_ms = 65000;
    config->loading_timeout_ms = 120000;
    config->bandwidth_limit = NN_RATE_UNLIMITED;
    config->datagram_bytes_max = NECPNET_DATAGRAM_BYTES_ETHERNET;
    config->receive_bytes_max = 16u << 20;
    config->inputs_max = 64;
    config->offline_channels = UINT64_MAX;
    config->offline_bytes_max = 1u << 20;
    config->upgrade_min_ms = 5000;
    config->upgrade_max_ms = 300000;
    return NECPNET_OK;
}

static necpnet_result client_check(const necpnet_client_config* c)
{
    const necpnet_logger* log = &c->logger;
    bool ok =
        nn_config_allocator(log, &c->allocator) &&
        nn_config_range(log, "connect_timeout_ms", c->connect_timeout_ms, 100, 60000) &&
        nn_config_range(log, "connect_stagger_ms", c->connect_stagger_ms, 10, 5000) &&
        nn_config_range(log, "reconnect_delay_min_ms", c->reconnect_delay_min_ms, 10, 60000) &&
        nn_config_range(log, "reconnect_delay_max_ms", c->reconnect_delay_max_ms, c->reconnect_delay_min_ms, 600000) &&
        nn_config_range(log, "reconnect_attempts_max", c->reconnect_attempts_max, 1, UINT32_MAX) &&
        nn_config_range(log, "udp_ping_ms", c->udp_ping_ms, 50, 60000) &&
        nn_config_range(log, "udp_timeout_ms", c->udp_timeout_ms, (uint64_t)c->udp_ping_ms * 2, 600000) &&
        nn_config_range(log, "key_interval_ms", c->key_interval_ms, 20, 3600000) &&
        nn_config_range(log, "websocket_ping_ms", c->websocket_ping_ms, 100, 600000) &&
        nn_config_range(log, "websocket_timeout_ms", c->websocket_timeout_ms, (uint64_t)c->websocket_ping_ms * 2,
                        1800000) &&
        nn_config_range(log, "loading_timeout_ms", c->loading_timeout_ms, 1000, 3600000) &&
        nn_config_range(log, "bandwidth_limit", c->bandwidth_limit, 1000, UINT32_MAX) &&
        nn_config_range(log, "datagram_bytes_max", c->datagram_bytes_max, 64, NECPNET_DATAGRAM_BYTES_MAX) &&
        nn_config_range(log, "receive_bytes_max", c->receive_bytes_max, 65536, 1u << 30) &&
        nn_config_range(log, "inputs_max", c->inputs_max, 1, NN_INPUTS_MAX) &&
        nn_config_range(log, "offline_bytes_max", c->offline_bytes_max, 1024, 1u << 30) &&
        nn_config_range(log, "upgrade_min_ms", c->upgrade_min_ms, 100, 3600000) &&
        nn_config_range(log, "upgrade_max_ms", c->upgrade_max_ms, c->upgrade_min_ms, 86400000) &&
        nn_config_range(log, "security", (uint64_t)c->security, 0, 2);
    return ok ? NECPNET_OK : NECPNET_ERR_BAD_CONFIG;
}

/* -- the sink -- */

static void client_on_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    necpnet_client* client = (necpnet_client*)user;
    uint32_t id;
    if (!NECPNET_WITH_UDP) return;
    if (!nn_packet_peek(data, bytes, &id)) {
        if (nn_client_query_datagram(client, from, data, bytes)) return;
        nn_client_round_datagram(client, from, data, bytes);
        return;
    }
    nn_connection* connection = &client->connection;
    if (!nn_connection_is_udp(connection) || id != connection->udp->local_id) return;
    if (!necpnet_address_equal(from, &connection->address)) return; /* servers do not move */
    nn_connection_receive_packet(connection, from, data, bytes, waited_us, client->endpoint.now_us);
}

static void* client_on_accept(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    (void)user;
    (void)stream;
    (void)from;
    return NULL;
}

static void client_on_resolved(void* user, uint64_t request, const necpnet_address* addresses, int count,
                               necpnet_result reason)
{
    necpnet_client* client = (necpnet_client*)user;
    if (request & NN_WEB_REQUEST_BIT) {
        if (client->endpoint.web) nn_web_on_resolved(client->endpoint.web, request, addresses, count, reason);
    } else if (NECPNET_WITH_UDP && (request & NN_CLIENT_QUERY_BIT)) {
        nn_client_query_resolved(client, request, addresses, count, reason);
    } else {
        nn_client_round_resolved(client, request, addresses, count, reason);
    }
}

static necpnet_result client_view_read(void* user, nn_reader* reader, uint64_t now_us)
{
    return nn_view_read((necpnet_view*)user, reader, now_us);
}

static void client_view_clock(void* user, int64_t server_minus_local_us, uint32_t tick_hz)
{
    nn_view_set_clock((necpnet_view*)user, server_minus_local_us, tick_hz);
}

static void client_view_reset(void* user)
{
    nn_view_reset((necpnet_view*)user);
}

static necpnet_result client_view_follow(void* user, const necpnet_schema* writer, char* text)
{
    return nn_view_follow_schema((necpnet_view*)user, writer, text);
}

static necpnet_result client_view_variables(void* user, const uint8_t* data, size_t bytes)
{
    return nn_view_read_variables((necpnet_view*)user, data, bytes);
}

static void client_view_renew(void* user, bool ordered)
{
    nn_view_renew((necpnet_view*)user, ordered);
}

static void client_voice_open(void* user, bool speaks)
{
    (void)user; /* nn_client_joined tells more */
    (void)speaks;
}

static bool client_voice_ready(void* user, uint64_t now_us)
{
    return nn_voice_ready((const necpnet_voice*)user, now_us);
}

static bool client_voice_write(void* user, nn_writer* writer, uint64_t now_us)
{
    return nn_voice_write_frames((necpnet_voice*)user, writer, now_us);
}

static bool client_voice_read(void* user, uint8_t type, nn_reader* reader, uint64_t now_us)
{
    return nn_voice_read_frame((necpnet_voice*)user, type, reader, now_us);
}

static uint64_t client_voice_deadline_us(void* user)
{
    return nn_voice_deadline_us((const necpnet_voice*)user);
}

static bool client_view_control(void* user, const uint8_t* data, size_t bytes)
{
    return nn_view_take_control((necpnet_view*)user, data, bytes);
}

static void client_view_written(void* user, uint32_t entity, uint32_t number)
{
    nn_view_written((necpnet_view*)user, entity, number);
}

static necpnet_result client_write(void* user, uint32_t entity, uint32_t number, const void* data, size_t bytes)
{
    return nn_connection_push_write(&((necpnet_client*)user)->connection, entity, number, data, bytes);
}

static necpnet_result client_tell(void* user, const void* data, size_t bytes)
{
    return nn_connection_tell_state(&((necpnet_client*)user)->connection, data, bytes);
}

NN_PRIVATE nn_view_out nn_client_view_out(necpnet_client* client)
{
    nn_view_out out = {client_write, client_tell, client};
    return out;
}

NN_PRIVATE void nn_client_set_state_sink(necpnet_client* client, const nn_state_sink* sink)
{
    client->state_sink = *sink;
}

NN_PRIVATE const necpnet_schema* nn_client_schema(const necpnet_client* client)
{
    return client->config.view ? nn_view_get_schema(client->config.view) : NULL;
}

static necpnet_result client_begin(necpnet_client* client, const necpnet_client_config* config)
{
    necpnet_result result =
        nn_endpoint_init(&client->endpoint, &config->allocator, &config->logger, &config->entropy, config->channels,
                         config->channel_count, config->datagram_bytes_max, false);
    if (result) return result;
    nn_session_init(&client->sessions[0], &client->endpoint.session_config);
    nn_session_init(&client->sessions[1], &client->endpoint.session_config);
    nn_client_init_settings(client);
    nn_client_init_connection(client);
    nn_connection_settings* settings = &client->endpoint.settings;
    settings->udp_ping_ms = config->udp_ping_ms;
    settings->udp_timeout_ms = config->udp_timeout_ms;
    settings->key_interval_ms = config->key_interval_ms;
    settings->websocket_ping_ms = config->websocket_ping_ms;
    settings->websocket_timeout_ms = config->websocket_timeout_ms;
    settings->loading_timeout_ms = config->loading_timeout_ms;
    client->endpoint.receive_memory.max = config->receive_bytes_max;
    client->bandwidth_limit = config->bandwidth_limit;
    if (config->security == NECPNET_SECURITY_OPEN && nn_aead_suites()) {
        result = nn_key_of_passphrase(config->passphrase, client->psk);
        if (result) return result;
    }
    if (NECPNET_WITH_VOICE && config->voice) {
        nn_voice_port port = {client_voice_open, client_voice_ready,       client_voice_write,
                              client_voice_read, client_voice_deadline_us, config->voice};
        client->voice_port = port;
        client->endpoint.has_voice = true;
    }
    if (config->view) {
        nn_state_sink sink = {client_view_read,    client_view_clock,     client_view_reset,
                              client_view_follow,  client_view_variables, client_view_renew,
                              client_view_control, client_view_written,   config->view};
        nn_view_out out = nn_client_view_out(client);
        client->state_sink = sink;
        nn_view_set_out(config->view, &out);
    }
    necpnet_socket_config sockets;
    necpnet_web_config web;
    memset(&sockets, 0, sizeof sockets);
#if NECPNET_WITH_PLATFORM
    necpnet_socket_config_default(&sockets);
    sockets.allocator = config->allocator;
    sockets.logger = config->logger;
    sockets.udp_port = 0;
    sockets.one_peer = true;
    sockets.busy_poll_us = config->busy_poll_us;
#endif
    necpnet_web_config_default(&web);
    web.allocator = config->allocator;
    web.logger = config->logger;
    web.entropy = client->endpoint.entropy;
    web.tls = config->tls;
    web.ping_ms = config->websocket_ping_ms;
    web.timeout_ms = config->websocket_timeout_ms;
    web.deflate.enabled = config->websocket_deflate;
    web.deflate.sessions = config->websocket_deflate;
    nn_web_session_hooks hooks = {
        client, nn_client_session_open, nn_client_session_message, nn_client_session_close, NULL, NULL, NULL};
    necpnet_sink sink = {client,         client_on_datagram, client_on_accept, nn_web_on_open,
                         nn_web_on_data, nn_web_on_writable, nn_web_on_close,  client_on_resolved};
    return nn_endpoint_attach(&client->endpoint, config->transport, &sockets, &web, &hooks, &sink);
}

necpnet_result necpnet_client_create(const necpnet_client_config* config, necpnet_client** out_client)
{
    if (!config || !out_client) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    necpnet_result result = client_check(config);
    if (result) return result;
    nn_alloc first;
    nn_alloc_init(&first, &config->allocator);
    necpnet_client* client = (necpnet_client*)nn_alloc_take(&first, sizeof *client);
    if (!client) return NECPNET_ERR_OUT_OF_MEMORY;
    client->config = *config;
    client->config.passphrase = NULL; /* what was borrowed until now */
    client->config.channels = NULL;
    client->config.transport = NULL;
    memset(&client->config.tls, 0, sizeof client->config.tls);
    client->winner = -1;
    client->renewal_at_us = NN_NEVER;
    result = client_begin(client, config);
    if (result) {
        necpnet_client_destroy(client);
        return result;
    }
    *out_client = client;
    return NECPNET_OK;
}

void necpnet_client_destroy(necpnet_client* client)
{
    if (!client) return;
    nn_alloc* alloc = &client->endpoint.alloc;
    if (client->endpoint.attached && client->connection.state == NN_CONNECTION_OPEN) {
        nn_close close = nn_close_of(NECPNET_ERR_CLOSED, 0, "");
        nn_connection_close(&client->connection, &close, 0, client->endpoint.now_us);
        nn_connection_flush(&client->connection, client->endpoint.now_us);
        nn_endpoint_end(&client->endpoint);
    }
    nn_client_end_attempts(client);
    if (NECPNET_WITH_VOICE && client->connection.voice) nn_voice_disconnected(client->config.voice);
    nn_connection_reset(&client->connection);
    if (client->config.view) {
        nn_view_out none = {NULL, NULL, NULL};
        nn_view_set_out(client->config.view, &none);
    }
    nn_session_reset(&client->sessions[0]);
    nn_session_reset(&client->sessions[1]);
    nn_alloc_give(alloc, client->urls, (size_t)client->url_capacity * sizeof(nn_url));
    nn_alloc_give(alloc, client->credential, client->credential_bytes);
    nn_client_forget_ticket(client);
    nn_wipe(&client->token, sizeof client->token);
    nn_wipe(client->psk, sizeof client->psk);
    nn_endpoint_reset(&client->endpoint);
    nn_alloc last;
    nn_alloc_init(&last, &alloc->allocator);
    last.bytes = sizeof *client;
    nn_alloc_give(&last, client, sizeof *client);
}

NN_PRIVATE nn_session* nn_client_session(necpnet_client* client)
{
    return &client->sessions[client->session];
}

necpnet_result necpnet_client_flush(necpnet_client* client, uint64_t now_us)
{
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    if (now_us > client->endpoint.now_us) client->endpoint.now_us = now_us;
    nn_connection_flush(&client->connection, client->endpoint.now_us);
    nn_endpoint_end(&client->endpoint);
    return NECPNET_OK;
}

/* Before the first update the time was unknown, and counted as 0. */
static void client_begin_time(necpnet_client* client, uint64_t now_us)
{
    if (client->endpoint.now_us) return;
    if (client->token_wall_offset_us > now_us) client->token_wall_offset_us -= now_us;
    for (int i = 0; i < NN_CLIENT_QUERIES_MAX; i++) client->queries[i].began_us = now_us;
}

necpnet_result necpnet_client_update(necpnet_client* client, uint64_t now_us)
{
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    client_begin_time(client, now_us);
    nn_endpoint_begin(&client->endpoint, now_us);
    now_us = client->endpoint.now_us;
    if (client->state == NECPNET_CLIENT_RECONNECTING && now_us >= client->retry_at_us) nn_client_ask_token(client);
    nn_client_run_round(client, now_us);
    nn_client_run_queries(client, now_us);
    nn_client_ask_renewal(client, now_us);
    nn_connection_update(&client->connection, now_us);
    nn_client_run_voice(client);
    nn_connection_flush(&client->connection, now_us);
    if (client->connection.state == NN_CONNECTION_CLOSED) nn_client_lose(client);
    nn_client_run_session(client, now_us);
    nn_endpoint_end(&client->endpoint);
    return NECPNET_OK;
}

uint64_t necpnet_client_deadline_us(const necpnet_client* client)
{
    if (!client) return NN_NEVER;
    uint64_t now_us = client->endpoint.now_us;
    if (client->connection.state == NN_CONNECTION_CLOSED) return now_us; /* its end is to be told */
    if (client->event_count) return now_us;
    if (NECPNET_WITH_VOICE && client->connection.speaks && nn_voice_next_control(client->config.voice)) return now_us;
    uint64_t at_us = nn_connection_deadline_us(&client->connection, now_us);
    at_us = nn_min_u64(at_us, nn_client_round_deadline_us(client));
    at_us = nn_min_u64(at_us, nn_client_query_deadline_us(client));
    at_us = nn_min_u64(at_us, nn_client_session_deadline_us(client));
    at_us = nn_min_u64(at_us, client->renewal_at_us);
    if (client->state == NECPNET_CLIENT_RECONNECTING) at_us = nn_min_u64(at_us, client->retry_at_us);
    if (client->endpoint.web) at_us = nn_min_u64(at_us, nn_web_deadline_us(client->endpoint.web));
    return at_us;
}

necpnet_result necpnet_client_wait(necpnet_client* client, uint64_t timeout_us)
{
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    const necpnet_transport* transport = client->endpoint.transport;
    if (!transport->wait) return NECPNET_ERR_UNSUPPORTED;
    uint64_t at_us = necpnet_client_deadline_us(client);
    uint64_t until_us = at_us > client->endpoint.now_us ? at_us - client->endpoint.now_us : 0;
    return transport->wait(transport->user, nn_min_u64(timeout_us, until_us));
}

/* -- events -- */

NN_PRIVATE nn_client_event* nn_client_push(necpnet_client* client, necpnet_event_type type, const char* text)
{
    if (client->event_count == NN_CLIENT_EVENTS_MAX - 1) { /* the one polled last is a view still */
        nn_log_write(&client->endpoint.logger, NECPNET_LOG_WARNING, "the oldest event is dropped: nobody polls");
        client->event_first = (client->event_first + 1) % NN_CLIENT_EVENTS_MAX;
        client->event_count--;
    }
    nn_client_event* slot = &client->events[(client->event_first + client->event_count++) % NN_CLIENT_EVENTS_MAX];
    memset(slot, 0, sizeof *slot);
    slot->event = nn_event_of(type, NECPNET_PEER_NONE);
    size_t length = nn_min_size(strlen(text), sizeof slot->text - 1);
    nn_copy(slot->text, text, length);
    return slot;
}

static bool client_poll_session(nn_session* session, necpnet_event* out_event)
{
    nn_session_event event;
    if (!nn_session_poll(session, &event)) return false;
    nn_endpoint_session_event(&event, NECPNET_PEER_NONE, out_event);
    return true;
}

bool necpnet_client_poll(necpnet_client* client, necpnet_event* out_event)
{
    if (!client || !out_event) return false;
    nn_client_event* first = client->event_count ? &client->events[client->event_first] : NULL;
    /* what the last connection delivered comes before the news of its end */
    bool ended = first && first->event.type == NECPNET_EVENT_DISCONNECTED;
    if ((!first || ended) && client_poll_session(&client->sessions[client->session ^ 1], out_event)) return true;
    bool suspended = first && first->event.type == NECPNET_EVENT_SUSPENDED;
    if (suspended && client_poll_session(nn_client_session(client), out_event)) return true;
    if (first) {
        *out_event = first->event;
        out_event->text = first->text;
        out_event->server_name = first->name;
        client->event_first = (client->event_first + 1) % NN_CLIENT_EVENTS_MAX;
        client->event_count--;
        return true;
    }
    return client_poll_session(nn_client_session(client), out_event);
}

necpnet_result necpnet_client_on_channel(necpnet_client* client, int channel, necpnet_event_handler handler, void* user)
{
    nn_handler entry = {handler, user};
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    if (channel < 0 || channel >= client->endpoint.channel_count) return NECPNET_ERR_NO_SUCH_CHANNEL;
    return nn_dispatch_on_channel(&client->endpoint.dispatch, channel, entry);
}

necpnet_result necpnet_client_on_name(necpnet_client* client, const char* name, necpnet_event_handler handler,
                                      void* user)
{
    nn_handler entry = {handler, user};
    return client ? nn_dispatch_on_name(&client->endpoint.dispatch, name, entry) : NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_client_on_event(necpnet_client* client, necpnet_event_type type, necpnet_event_handler handler,
                                       void* user)
{
    nn_handler entry = {handler, user};
    return client ? nn_dispatch_on_event(&client->endpoint.dispatch, type, entry) : NECPNET_ERR_INVALID_ARGUMENT;
}

size_t necpnet_client_dispatch(necpnet_client* client)
{
    necpnet_event event;
    size_t handled = 0;
    while (necpnet_client_poll(client, &event))
        handled += nn_dispatch_call(&client->endpoint.dispatch, &event) ? (size_t)1 : 0;
    return handled;
}
