/* nn_server - the server endpoint: life, update, events, peers' facts. */
#include "nn_server.h"

#include "nn_bits.h"
#include "nn_platform.h"
#include "nn_upgrade.h"
#include "nn_voice_hub.h"
#include "nn_world.h"

necpnet_result necpnet_server_config_default(necpnet_server_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->logger.level = NECPNET_LOG_OFF;
    config->bind_address = "::";
    config->udp_port = 7777;
    config->tcp_port = -1;
    config->path = "/ws";
    config->security = NECPNET_SECURITY_TOKEN;
    config->server_id = 1;
    config->token_restart_guard = true;
    config->token_session_ms = UINT32_MAX;
    config->channels = nn_config_default_channels();
    config->channel_count = NECPNET_CHANNELS_DEFAULT;
    config->peers_max = 1024;
    config->peers_per_address_max = 64;
    config->handshakes_max = 1024;
    config->web_connections_max = 1024;
    config->handshake_timeout_ms = 5000;
    config->tick_hz = 60;
    config->udp_ping_ms = 1000;
    config->udp_timeout_ms = 5000;
    config->key_interval_ms = NN_PHASE_MS_DEFAULT;
    config->websocket_ping_ms = 30000;
    config->websocket_timeout_ms = 65000;
    config->loading_timeout_ms = 120000;
    config->resume_window_ms = 30000;
    config->suspended_max = 1024;
    config->suspended_bytes_max = 64u << 20;
    config->ticket_lifetime_ms = 3600000;
    config->take_over = NECPNET_TAKE_OVER_REPLACE;
    config->bandwidth_limit = NN_RATE_UNLIMITED;
    config->datagram_bytes_max = NECPNET_DATAGRAM_BYTES_ETHERNET;
    config->receive_bytes_max = 64u << 20;
    config->queue_bytes_max = 1u << 20;
    nn_web_deflate_default(&config->deflate);
    config->query_name = "necpnet";
    config->query = true;
    return NECPNET_OK;
}

static necpnet_result server_check(const necpnet_server_config* c)
{
    const necpnet_logger* log = &c->logger;
    bool ok =
        nn_config_allocator(log, &c->allocator) && nn_config_range(log, "peers_max", c->peers_max, 1, 8000000) &&
        nn_config_range(log, "peers_per_address_max", c->peers_per_address_max, 1, UINT32_MAX) &&
        nn_config_range(log, "handshakes_max", c->handshakes_max, 1, 1u << 20) &&
        nn_config_range(log, "handshake_timeout_ms", c->handshake_timeout_ms, 100, 60000) &&
        nn_config_range(log, "token_session_ms", c->token_session_ms, 1000, UINT32_MAX) &&
        nn_config_range(log, "tick_hz", c->tick_hz, 1, 1000) &&
        nn_config_range(log, "udp_ping_ms", c->udp_ping_ms, 50, 60000) &&
        nn_config_range(log, "udp_timeout_ms", c->udp_timeout_ms, (uint64_t)c->udp_ping_ms * 2, 600000) &&
        nn_config_range(log, "key_interval_ms", c->key_interval_ms, 20, 3600000) &&
        nn_config_range(log, "websocket_ping_ms", c->websocket_ping_ms, 100, 600000) &&
        nn_config_range(log, "websocket_timeout_ms", c->websocket_timeout_ms, (uint64_t)c->websocket_ping_ms * 2,
                        1800000) &&
        nn_config_range(log, "loading_timeout_ms", c->loading_timeout_ms, 1000, 3600000) &&
        nn_config_range(log, "resume_window_ms", c->resume_window_ms, 0, 3600000) &&
        nn_config_range(log, "suspended_bytes_max", c->suspended_bytes_max, 65536, UINT32_MAX) &&
        nn_config_range(log, "ticket_lifetime_ms", c->ticket_lifetime_ms,
                        nn_max_u64((uint64_t)c->resume_window_ms * 2, 1000), 604800000) &&
        nn_config_range(log, "ticket_key_count", (uint64_t)(c->ticket_key_count < 0 ? 99 : c->ticket_key_count), 0,
                        NN_TICKET_KEYS_MAX) &&
        nn_config_range(log, "take_over", (uint64_t)c->take_over, 0, 2) &&
        nn_config_range(log, "bandwidth_limit", c->bandwidth_limit, 1000, UINT32_MAX) &&
        nn_config_range(log, "datagram_bytes_max", c->datagram_bytes_max, 64, NECPNET_DATAGRAM_BYTES_MAX) &&
        nn_config_range(log, "receive_bytes_max", c->receive_bytes_max, 65536, UINT32_MAX) &&
        nn_config_range(log, "queue_bytes_max", c->queue_bytes_max, 65536, 1u << 30) &&
        nn_config_range(log, "token_key_count", (uint64_t)(c->token_key_count < 0 ? 99 : c->token_key_count), 0, 16) &&
        nn_config_range(log, "udp_port", (uint64_t)((int64_t)c->udp_port + 1), 0, 65536) &&
        nn_config_range(log, "tcp_port", (uint64_t)((int64_t)c->tcp_port + 1), 0, 65536) &&
        nn_config_range(log, "security", (uint64_t)c->security, 0, 2);
    if (ok && (!c->path || c->path[0] != '/' || strlen(c->path) > NECPNET_URL_BYTES_MAX)) {
        nn_log_write(log, NECPNET_LOG_ERROR, "config.path must begin with '/'");
        ok = false;
    }
    if (ok && c->token_key_count > 0 && !c->token_keys) {
        nn_log_write(log, NECPNET_LOG_ERROR, "config.token_keys is NULL, but token_key_count is %d",
                     c->token_key_count);
        ok = false;
    }
    if (ok && c->ticket_key_count > 0 && !c->ticket_keys) {
        nn_log_write(log, NECPNET_LOG_ERROR, "config.ticket_keys is NULL, but ticket_key_count is %d",
                     c->ticket_key_count);
        ok = false;
    }
    if (ok && c->security == NECPNET_SECURITY_TOKEN && c->token_key_count == 0 && !c->authorize) {
        nn_log_write(log, NECPNET_LOG_WARNING,
                     "nobody can join: security is TOKEN, but there are no config.token_keys and "
                     "no config.authorize");
    }
    if (ok && c->workers && c->transport) {
        nn_log_write(log, NECPNET_LOG_ERROR, "config.workers serve with own sockets: config.transport must be NULL");
        ok = false;
    }
    if (ok && (!c->query_name || strlen(c->query_name) > 63)) {
        nn_log_write(log, NECPNET_LOG_ERROR, "config.query_name must be at most 63 bytes");
        ok = false;
    }
    return ok ? NECPNET_OK : NECPNET_ERR_BAD_CONFIG;
}

/* An entity is never cut: whatever it holds, it must fit into one packet, or its state would never arrive. */
static necpnet_result server_check_world(const necpnet_server_config* c)
{
    const char* type;
    if (!c->world) return NECPNET_OK;
    bool has_udp = c->transport ? (c->transport->flags & NECPNET_TRANSPORT_DATAGRAMS) != 0 : c->udp_port >= 0;
    uint32_t frame = nn_world_frame_bytes(nn_world_get_schema(c->world), &type);
    uint32_t datagram =
        c->datagram_bytes_max < NECPNET_DATAGRAM_BYTES_DEFAULT ? c->datagram_bytes_max : NECPNET_DATAGRAM_BYTES_DEFAULT;
    uint32_t room = NN_STATE_FRAME_BYTES_MAX;
    if (NECPNET_WITH_UDP && has_udp) room = datagram - NN_PACKET_OVERHEAD_BYTES_MAX;
    if (frame <= room) return NECPNET_OK;
    nn_log_write(
        &c->logger, NECPNET_LOG_ERROR,
        "config.world: an entity of type %s may take %u bytes, but a packet holds %u: give its texts and arrays a "
        "smaller count, or make it several types",
        type, (unsigned)frame, (unsigned)room);
    return NECPNET_ERR_BAD_CONFIG;
}

/* -- the sink -- */

static void server_on_datagram(void* user, const necpnet_address* from, uint8_t* data, size_t bytes, uint32_t waited_us)
{
    nn_server_datagram((necpnet_server*)user, from, data, bytes, waited_us);
}

static bool server_hand_stream(void* user, necpnet_stream* stream, uint32_t worker, const necpnet_address* from,
                               const uint8_t* data, size_t bytes)
{
    return nn_platform_workers_hand_stream(((necpnet_server*)user)->endpoint.transport, stream, worker, from, data,
                                           bytes);
}

static void* server_on_accept(void* user, necpnet_stream* stream, const necpnet_address* from)
{
    return nn_web_on_accept(((necpnet_server*)user)->endpoint.web, stream, from);
}

static void server_on_resolved(void* user, uint64_t request, const necpnet_address* addresses, int count,
                               necpnet_result reason)
{
    nn_web_on_resolved(((necpnet_server*)user)->endpoint.web, request, addresses, count, reason);
}

/* Requests: upgrades to necpnet.v1 at our path are sessions; the rest is the application's, or refused. */
static void server_on_request(necpnet_web_connection* connection, const necpnet_web_request* request,
                              necpnet_web_answer* answer, void* user)
{
    necpnet_server* server = (necpnet_server*)user;
    if (request->is_upgrade && strcmp(request->path, server->path) == 0 &&
        nn_upgrade_is_offered(request->subprotocols, NN_WEB_SESSION_SUBPROTOCOL,
                              sizeof NN_WEB_SESSION_SUBPROTOCOL - 1)) {
        answer->action = NECPNET_WEB_SESSION;
        return;
    }
    if (server->handlers.on_request) {
        server->handlers.on_request(connection, request, answer, server->handlers.user);
        return;
    }
    server->totals.drops[NECPNET_DROP_UPGRADE]++;
}

/* The application's other handlers, with its user. */
static void server_on_open(necpnet_web_connection* connection, void* user)
{
    const necpnet_web_handlers* handlers = &((necpnet_server*)user)->handlers;
    handlers->on_open(connection, handlers->user);
}

static void server_on_message(necpnet_web_connection* connection, necpnet_web_kind kind, const uint8_t* data,
                              size_t bytes, void* user)
{
    const necpnet_web_handlers* handlers = &((necpnet_server*)user)->handlers;
    handlers->on_message(connection, kind, data, bytes, handlers->user);
}

static void server_on_raw(necpnet_web_connection* connection, const uint8_t* data, size_t bytes, void* user)
{
    const necpnet_web_handlers* handlers = &((necpnet_server*)user)->handlers;
    handlers->on_raw(connection, data, bytes, handlers->user);
}

static void server_on_writable(necpnet_web_connection* connection, void* user)
{
    const necpnet_web_handlers* handlers = &((necpnet_server*)user)->handlers;
    handlers->on_writable(connection, handlers->user);
}

static void server_on_close(necpnet_web_connection* connection, int code, const char* text, necpnet_result reason,
                            void* user)
{
    const necpnet_web_handlers* handlers = &((necpnet_server*)user)->handlers;
    handlers->on_close(connection, code, text, reason, handlers->user);
}

static necpnet_result server_attach(necpnet_server* server, const necpnet_server_config* config)
{
    necpnet_socket_config sockets;
    necpnet_web_config web;
    memset(&sockets, 0, sizeof sockets);
#if NECPNET_WITH_PLATFORM
    necpnet_socket_config_default(&sockets);
    sockets.allocator = server->endpoint.alloc.allocator;
    sockets.logger = config->logger;
    sockets.loop = config->loop;
    sockets.bind_address = config->bind_address;
    sockets.udp_port = config->udp_port;
    sockets.tcp_port = config->tcp_port;
    sockets.busy_poll_us = config->busy_poll_us;
    sockets.workers = config->workers;
#endif
    necpnet_web_config_default(&web);
    web.allocator = server->endpoint.alloc.allocator;
    web.logger = config->logger;
    web.entropy = server->endpoint.entropy;
    web.tls = config->tls;
    web.tcp_port = config->tcp_port;
    web.ping_ms = config->websocket_ping_ms;
    web.timeout_ms = config->websocket_timeout_ms;
    web.queue_bytes_max = config->queue_bytes_max;
    web.deflate = config->deflate;
    web.head_timeout_ms = config->handshake_timeout_ms;
    web.connections_max = (uint32_t)nn_min_u64(
        (uint64_t)config->peers_max + config->handshakes_max + config->web_connections_max, 1u << 24);
    web.handlers.on_request = server_on_request;
    if (server->handlers.on_open) web.handlers.on_open = server_on_open;
    if (server->handlers.on_message) web.handlers.on_message = server_on_message;
    if (server->handlers.on_raw) web.handlers.on_raw = server_on_raw;
    if (server->handlers.on_writable) web.handlers.on_writable = server_on_writable;
    if (server->handlers.on_close) web.handlers.on_close = server_on_close;
    web.handlers.user = server;
    nn_web_session_hooks hooks = {server,
                                  nn_server_session_open,
                                  nn_server_session_message,
                                  nn_server_session_close,
                                  nn_server_session_writable,
                                  nn_server_web_drop,
                                  config->workers ? server_hand_stream : NULL};
    necpnet_sink sink = {server,         server_on_datagram, server_on_accept, nn_web_on_open,
                         nn_web_on_data, nn_web_on_writable, nn_web_on_close,  server_on_resolved};
    necpnet_result result = nn_endpoint_attach(&server->endpoint, config->transport, &sockets, &web, &hooks, &sink);
    if (!result && config->workers) server->worker = nn_platform_worker_of(server->endpoint.transport);
    return result;
}

/* The configured keys, or one of our own. */
static bool server_take_ticket_keys(necpnet_server* server, const necpnet_server_config* config)
{
    nn_ticket_keys* keys = &server->ticket_keys;
    keys->suite = config->security == NECPNET_SECURITY_NONE ? NN_SUITE_NONE : NN_SUITE_CHACHA20_POLY1305;
    keys->count = config->ticket_key_count;
    if (keys->count) {
        memcpy(keys->keys, config->ticket_keys, (size_t)keys->count * sizeof keys->keys[0]);
        return true;
    }
    keys->count = 1;
    return nn_endpoint_random(&server->endpoint, &keys->keys[0], sizeof keys->keys[0]);
}

static void server_voice_wake(void* user, necpnet_peer name)
{
    necpnet_server* server = (necpnet_server*)user;
    nn_peer* peer = nn_server_find(server, name);
    if (peer) nn_server_mark_dirty(server, peer);
}

static necpnet_result server_voice_control(void* user, necpnet_peer name, const void* data, size_t bytes)
{
    necpnet_server* server = (necpnet_server*)user;
    nn_peer* peer = nn_server_find(server, name);
    if (!peer || peer->has_ended) return NECPNET_ERR_NOT_FOUND;
    necpnet_result result = nn_session_send_control(&peer->session, data, bytes);
    if (result == NECPNET_OK) nn_server_mark_dirty(server, peer);
    return result;
}

static necpnet_result server_begin(necpnet_server* server, const necpnet_server_config* config)
{
    necpnet_result result = nn_endpoint_init(&server->endpoint, &config->allocator, &config->logger, &config->entropy,
                                             config->channels, config->channel_count, config->datagram_bytes_max, true);
    if (result) return result;
    if (NECPNET_WITH_VOICE && config->voice_hub) {
        nn_voice_server calls = {server_voice_wake, server_voice_control, server};
        config->voice_hub->server = calls;
        server->endpoint.has_voice = true;
    }
    nn_connection_settings* settings = &server->endpoint.settings;
    nn_server_init_settings(server);
    settings->udp_ping_ms = config->udp_ping_ms;
    settings->udp_timeout_ms = config->udp_timeout_ms;
    settings->key_interval_ms = config->key_interval_ms;
    settings->websocket_ping_ms = config->websocket_ping_ms;
    settings->websocket_timeout_ms = config->websocket_timeout_ms;
    settings->loading_timeout_ms = config->loading_timeout_ms;
    server->endpoint.receive_memory.max = config->receive_bytes_max;
    nn_deadlines_init(&server->deadlines, &server->endpoint.alloc);
    server->slot_bits = nn_bits_for(config->peers_max + NN_SPARE_SLOTS - 1);
    memcpy(server->path, config->path, strlen(config->path) + 1);
    memcpy(server->query_name, config->query_name, strlen(config->query_name) + 1);
    if (config->web) server->handlers = *config->web;
    if (!nn_endpoint_random(&server->endpoint, server->bucket_key, sizeof server->bucket_key) ||
        !server_take_ticket_keys(server, config)) {
        return NECPNET_ERR_NO_ENTROPY;
    }
    nn_handshake_server_config handshake;
    uint8_t psk[NN_PSK_BYTES] = {0};
    memset(&handshake, 0, sizeof handshake);
    handshake.entropy = &server->endpoint.entropy;
    handshake.security = config->security;
    if (config->security == NECPNET_SECURITY_OPEN) {
        result = nn_key_of_passphrase(config->passphrase, psk);
        if (result) return result;
        handshake.psk = psk;
    }
    handshake.token_keys = config->token_keys;
    handshake.token_key_count = (size_t)config->token_key_count;
    handshake.server_id = config->server_id;
    handshake.token_epoch = config->token_epoch;
    handshake.token_restart_guard = config->token_restart_guard;
    if (config->workers) {
        nn_spending together = {nn_platform_workers_has_spent, nn_platform_workers_reserve, nn_platform_workers_spend,
                                config->workers};
        handshake.spending = together;
    }
    handshake.ticket_keys = config->resume_window_ms ? &server->ticket_keys : NULL;
    result = nn_handshake_server_create(&server->endpoint.alloc, &handshake, 0, &server->handshake);
    nn_wipe(psk, sizeof psk);
    return result ? result : server_attach(server, config);
}

/* What was borrowed until create returns must not be read again. */
static void server_forget_borrowed(necpnet_server_config* config)
{
    memset(&config->tls, 0, sizeof config->tls);
    config->transport = NULL;
    config->bind_address = config->path = config->passphrase = config->query_name = NULL;
    config->web = NULL;
    config->token_keys = config->ticket_keys = NULL;
    config->channels = NULL;
}

necpnet_result necpnet_server_create(const necpnet_server_config* config, necpnet_server** out_server)
{
    if (!config || !out_server) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    necpnet_result result = server_check(config);
    if (result == NECPNET_OK) result = server_check_world(config);
    if (result) return result;
    nn_alloc first;
    nn_alloc_init(&first, &config->allocator);
    necpnet_server* server = (necpnet_server*)nn_alloc_take(&first, sizeof *server);
    if (!server) return NECPNET_ERR_OUT_OF_MEMORY;
    server->config = *config;
    server->is_tls = config->tls.certificate_file != NULL;
    server_forget_borrowed(&server->config);
    result = server_begin(server, config);
    if (result) {
        necpnet_server_destroy(server);
        return result;
    }
    *out_server = server;
    return NECPNET_OK;
}

/* Peers that are connected get one CLOSE on the way out. */
static void server_say_goodbye(necpnet_server* server)
{
    nn_close close = nn_close_of(NECPNET_ERR_DRAINING, 0, "the server has stopped");
    close.has_retry = true;
    for (uint32_t slot = 0; slot < server->slot_count; slot++) {
        nn_peer* peer = server->peers[slot];
        if (!peer) continue;
        nn_connection_close(&peer->connection, &close, 0, server->endpoint.now_us);
        nn_connection_flush(&peer->connection, server->endpoint.now_us);
    }
}

void necpnet_server_destroy(necpnet_server* server)
{
    if (!server) return;
    nn_alloc* alloc = &server->endpoint.alloc;
    if (server->endpoint.attached) {
        server_say_goodbye(server);
        nn_endpoint_end(&server->endpoint);
    }
    if (server->polled_input) {
        nn_blocks_give(&server->endpoint.blocks, server->polled_input, server->polled_input->capacity);
    }
    server->first_dirty = server->first_ready = server->last_ready = NULL;
    for (uint32_t slot = 0; slot < server->slot_count; slot++) {
        if (server->peers[slot]) nn_server_release(server, server->peers[slot]);
    }
    while (server->first_greeting) {
        nn_greeting* greeting = server->first_greeting;
        server->first_greeting = greeting->next;
        necpnet_web_set_user_data(greeting->web, NULL);
        nn_alloc_give(alloc, greeting, sizeof *greeting);
    }
    nn_server_reset_groups(server);
    nn_handshake_server_destroy(server->handshake);
    nn_deadlines_reset(&server->deadlines);
    nn_alloc_give(alloc, server->peers, server->slot_capacity * sizeof(nn_peer*));
    nn_alloc_give(alloc, server->generations, server->slot_capacity * sizeof(uint32_t));
    nn_alloc_give(alloc, server->carriers, server->slot_capacity * sizeof(uint32_t));
    nn_alloc_give(alloc, server->free_slots, server->slot_capacity * sizeof(uint32_t));
    nn_wipe(&server->ticket_keys, sizeof server->ticket_keys);
    nn_endpoint_reset(&server->endpoint);
    nn_alloc last;
    nn_alloc_init(&last, &alloc->allocator);
    last.bytes = sizeof *server;
    nn_alloc_give(&last, server, sizeof *server);
}

necpnet_result necpnet_server_set_wall_time(necpnet_server* server, uint64_t wall_us, uint64_t now_us)
{
    if (!server || wall_us < now_us) return NECPNET_ERR_INVALID_ARGUMENT;
    server->wall_offset_us = wall_us - now_us;
    server->has_wall = true;
    nn_handshake_server_set_start(server->handshake, wall_us);
    return NECPNET_OK;
}

/* -- update -- */

/* A commit may give followers something to say that had nothing: their deadlines are looked at again. */
static void server_follow_world(necpnet_server* server)
{
    const necpnet_world* world = server->config.world;
    if (!world || (world->commit == server->world_commit && world->told == server->world_told)) return;
    server->world_commit = world->commit;
    server->world_told = world->told;
    for (uint32_t slot = 0; slot < server->slot_count; slot++) {
        nn_peer* peer = server->peers[slot];
        if (!peer || !peer->connection.follower) continue;
        uint64_t at_us = nn_follower_deadline_us(peer->connection.follower);
        if (at_us < nn_deadlines_at_us(&server->deadlines, &peer->deadline))
            nn_deadlines_set(&server->deadlines, &peer->deadline, at_us);
    }
}

static void server_run_peers(necpnet_server* server, uint64_t now_us)
{
    nn_deadline* due;
    while ((due = nn_deadlines_take(&server->deadlines, now_us)) != NULL) {
        nn_peer* peer = (nn_peer*)(void*)((uint8_t*)due - offsetof(nn_peer, deadline));
        nn_server_mark_dirty(server, peer);
    }
    while (server->first_dirty) {
        nn_peer* peer = server->first_dirty;
        server->first_dirty = peer->next_dirty;
        peer->is_dirty = false;
        nn_connection_update(&peer->connection, now_us);
        nn_peer_update_credential(server, peer);
        nn_connection_flush(&peer->connection, now_us);
        if (peer->connection.state == NN_CONNECTION_CLOSED) nn_server_lose(server, peer);
        nn_server_run_session(server, peer, now_us);
        if (nn_session_has_event(&peer->session)) nn_server_mark_ready(server, peer);
        uint64_t at_us = NN_NEVER;
        if (!peer->has_ended) {
            at_us = nn_min_u64(nn_connection_deadline_us(&peer->connection, now_us), nn_peer_session_deadline_us(peer));
            if (peer->connection.state == NN_CONNECTION_OPEN) {
                at_us = nn_min_u64(at_us, nn_peer_credential_deadline_us(server, peer));
            }
        }
        nn_deadlines_set(&server->deadlines, &peer->deadline, at_us);
    }
}

/* What the last poll showed is no longer looked at. */
static void server_end_views(necpnet_server* server)
{
    if (server->polled_input) {
        nn_blocks_give(&server->endpoint.blocks, server->polled_input, server->polled_input->capacity);
        server->polled_input = NULL;
    }
    nn_peer* peer = server->polled;
    server->polled = NULL;
    bool is_done = peer && peer->has_ended && !peer->tell_disconnected;
    if (is_done) nn_server_release(server, peer);
}

necpnet_result necpnet_server_update(necpnet_server* server, uint64_t now_us)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    server_end_views(server);
    if (NECPNET_WITH_VOICE && server->config.voice_hub) nn_voice_hub_set_time(server->config.voice_hub, now_us);
    nn_endpoint_begin(&server->endpoint, now_us);
    nn_server_end_greetings(server, server->endpoint.now_us);
    nn_handshake_server_expire(server->handshake, server->endpoint.now_us);
    server_follow_world(server);
    server_run_peers(server, server->endpoint.now_us);
    nn_endpoint_end(&server->endpoint);
    return NECPNET_OK;
}

necpnet_result necpnet_server_flush(necpnet_server* server, uint64_t now_us)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    if (now_us > server->endpoint.now_us) server->endpoint.now_us = now_us;
    server_run_peers(server, server->endpoint.now_us);
    nn_endpoint_end(&server->endpoint);
    return NECPNET_OK;
}

uint64_t necpnet_server_deadline_us(const necpnet_server* server)
{
    if (!server) return NN_NEVER;
    if (server->first_dirty) return server->endpoint.now_us;
    uint64_t at_us = nn_deadlines_next(&server->deadlines);
    if (server->first_greeting) at_us = nn_min_u64(at_us, server->first_greeting->until_us);
    if (server->endpoint.web) at_us = nn_min_u64(at_us, nn_web_deadline_us(server->endpoint.web));
    return at_us;
}

necpnet_result necpnet_server_wait(necpnet_server* server, uint64_t timeout_us)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    const necpnet_transport* transport = server->endpoint.transport;
    if (!transport->wait) return NECPNET_ERR_UNSUPPORTED;
    uint64_t at_us = necpnet_server_deadline_us(server);
    uint64_t until_us = at_us > server->endpoint.now_us ? at_us - server->endpoint.now_us : 0;
    return transport->wait(transport->user, nn_min_u64(timeout_us, until_us));
}

necpnet_result necpnet_server_get_ports(const necpnet_server* server, int* out_udp, int* out_tcp)
{
    int udp = -1, tcp = -1;
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    const necpnet_transport* transport = server->endpoint.transport;
    if (!transport->local_ports) return NECPNET_ERR_UNSUPPORTED;
    transport->local_ports(transport->user, &udp, &tcp);
    if (out_udp) *out_udp = udp;
    if (out_tcp) *out_tcp = tcp;
    return NECPNET_OK;
}

/* -- events -- */

static bool server_poll_input(necpnet_server* server, nn_peer* peer, necpnet_event* out_event)
{
    nn_peer_input* input = nn_peer_pop_input(peer);
    if (!input) return false;
    server->polled_input = input;
    *out_event = nn_event_of(NECPNET_EVENT_INPUT, nn_peer_name(peer));
    out_event->tick = input->tick;
    out_event->data = input + 1;
    out_event->bytes = input->bytes;
    return true;
}

/* Why it ended; the text stays when the connection ends otherwise before the next poll. */
static void server_show_end(necpnet_server* server, const nn_peer* peer, necpnet_event* out_event)
{
    nn_close close = nn_connection_get_end(&peer->connection);
    memcpy(server->polled_text, close.text, sizeof close.text);
    out_event->reason = close.reason;
    out_event->code = close.code;
    out_event->text = server->polled_text;
}

/* News of the session itself that come before its messages. */
static bool server_poll_life(necpnet_server* server, nn_peer* peer, necpnet_event* out_event)
{
    if (peer->tell_connected) {
        peer->tell_connected = false;
        *out_event = nn_event_of(NECPNET_EVENT_CONNECTED, nn_peer_name(peer));
        return true;
    }
    if (peer->tell_resumed) {
        *out_event = nn_event_of(NECPNET_EVENT_CONNECTED, nn_peer_name(peer));
        out_event->resumed = true;
        if (peer->tell_suspended) { /* both at once: in their order */
            out_event->resumed = false;
            out_event->type = NECPNET_EVENT_SUSPENDED;
            server_show_end(server, peer, out_event);
            out_event->code = 0;
            peer->tell_suspended = false;
            return true;
        }
        peer->tell_resumed = false;
        return true;
    }
    if (peer->tell_moved && !peer->tell_suspended) {
        peer->tell_moved = false;
        *out_event = nn_event_of(NECPNET_EVENT_MOVED, nn_peer_name(peer));
        return true;
    }
    return false;
}

static bool server_poll_peer(necpnet_server* server, nn_peer* peer, necpnet_event* out_event)
{
    nn_session_event event;
    if (server_poll_life(server, peer, out_event)) return true;
    if (server_poll_input(server, peer, out_event)) return true;
    if (nn_session_poll(&peer->session, &event)) {
        nn_endpoint_session_event(&event, nn_peer_name(peer), out_event);
        /* a poll may owe the sender credit */
        if (nn_session_has_output(&peer->session, server->endpoint.now_us)) nn_server_mark_dirty(server, peer);
        return true;
    }
    if (!peer->tell_disconnected && !peer->tell_suspended) return false;
    bool is_over = peer->tell_disconnected;
    peer->tell_disconnected = peer->tell_suspended = false;
    *out_event = nn_event_of(is_over ? NECPNET_EVENT_DISCONNECTED : NECPNET_EVENT_SUSPENDED, nn_peer_name(peer));
    server_show_end(server, peer, out_event);
    out_event->count = is_over ? peer->lost_count : 0;
    return true;
}

bool necpnet_server_poll(necpnet_server* server, necpnet_event* out_event)
{
    if (!server || !out_event) return false;
    server_end_views(server);
    while (server->first_ready) {
        nn_peer* peer = server->first_ready;
        server->first_ready = peer->next_ready;
        if (!server->first_ready) server->last_ready = NULL;
        peer->is_ready = false;
        if (!server_poll_peer(server, peer, out_event)) continue;
        server->polled = peer;
        bool is_done = peer->has_ended && !peer->tell_disconnected;
        if (!is_done) nn_server_mark_ready(server, peer); /* behind the others */
        return true;
    }
    return false;
}

necpnet_result necpnet_server_on_channel(necpnet_server* server, int channel, necpnet_event_handler handler, void* user)
{
    nn_handler entry = {handler, user};
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    if (channel < 0 || channel >= server->endpoint.channel_count) return NECPNET_ERR_NO_SUCH_CHANNEL;
    return nn_dispatch_on_channel(&server->endpoint.dispatch, channel, entry);
}

necpnet_result necpnet_server_on_name(necpnet_server* server, const char* name, necpnet_event_handler handler,
                                      void* user)
{
    nn_handler entry = {handler, user};
    return server ? nn_dispatch_on_name(&server->endpoint.dispatch, name, entry) : NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_server_on_event(necpnet_server* server, necpnet_event_type type, necpnet_event_handler handler,
                                       void* user)
{
    nn_handler entry = {handler, user};
    return server ? nn_dispatch_on_event(&server->endpoint.dispatch, type, entry) : NECPNET_ERR_INVALID_ARGUMENT;
}

size_t necpnet_server_dispatch(necpnet_server* server)
{
    necpnet_event event;
    size_t handled = 0;
    while (necpnet_server_poll(server, &event))
        handled += nn_dispatch_call(&server->endpoint.dispatch, &event) ? (size_t)1 : 0;
    return handled;
}

uint32_t necpnet_server_tick(const necpnet_server* server)
{
    if (!server) return 0;
    uint64_t now_us = server->endpoint.now_us;
    uint64_t hz = server->config.tick_hz;
    return (uint32_t)(now_us / 1000000 * hz + now_us % 1000000 * hz / 1000000);
}

necpnet_web* necpnet_server_get_web(necpnet_server* server)
{
    return server ? server->endpoint.web : NULL;
}
