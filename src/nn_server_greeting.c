/* nn_server_greeting - how a stranger becomes a peer: datagrams of the handshake, and SETUP on a WebSocket. */
#include "nn_server.h"

#include "nn_query.h"

#include <stdio.h>

NN_PRIVATE uint64_t nn_server_wall_us(const necpnet_server* server)
{
    return server->has_wall ? server->endpoint.now_us + server->wall_offset_us : 0;
}

NN_PRIVATE void nn_server_count_drop(necpnet_server* server, necpnet_drop drop, const necpnet_address* from)
{
    server->totals.drops[drop]++;
    if (server->endpoint.logger.level > NECPNET_LOG_DEBUG || !server->endpoint.logger.write) return;
    char text[NECPNET_ADDRESS_TEXT_BYTES_MAX] = "?";
    necpnet_address_format(from, text, sizeof text);
    nn_log_write(&server->endpoint.logger, NECPNET_LOG_DEBUG, "dropped what %s sent: %s", text,
                 necpnet_drop_name(drop));
}

/* Whether states can be coded so that the client can read them: by the schema's own tables, or by those that everyone has. */
static bool server_shares_tables(const nn_setup* own, const nn_setup* setup, char* text, size_t text_bytes)
{
    if (!setup->tables_hash || setup->tables_hash == own->tables_hash) return true;
    if (own->own_tables_hash && setup->own_tables_hash == own->own_tables_hash) return true;
    (void)snprintf(text, text_bytes, "the codec's tables differ: client %08x%08x, server %08x%08x",
                   (unsigned)(setup->tables_hash >> 32), (unsigned)setup->tables_hash,
                   (unsigned)(own->tables_hash >> 32), (unsigned)own->tables_hash);
    return false;
}

/* What SETUP says, held against this server. Fills text with the way out. */
NN_PRIVATE necpnet_result nn_server_judge(const necpnet_server* server, const nn_setup* setup, char* text,
                                          size_t text_bytes, necpnet_drop* out_drop)
{
    nn_setup own;
    const necpnet_schema* schema = server->config.world ? nn_world_get_schema(server->config.world) : NULL;
    uint64_t schema_hash = necpnet_schema_get_hash(schema);
    nn_endpoint_setup(&server->endpoint, schema, &own);
    NN_ASSERT(text_bytes >= NECPNET_REASON_BYTES_MAX + 1);
    *out_drop = NECPNET_DROP_MALFORMED;
    if (setup->role != NN_ROLE_CLIENT) {
        memcpy(text, "SETUP of a server", 18);
        return NECPNET_ERR_PROTOCOL;
    }
    *out_drop = NECPNET_DROP_CHANNELS;
    if (!nn_setup_compare_channels(setup, &own, text, NN_SETUP_DIFFERENCE_BYTES_MAX))
        return NECPNET_ERR_CHANNELS_DIFFER;
    *out_drop = NECPNET_DROP_SCHEMA;
    bool differs = setup->schema_hash && schema_hash && setup->schema_hash != schema_hash;
    if (differs && !nn_connection_schema_fits(schema)) {
        static const char differs_text[] =
            "the schemas have different hashes, and the server's is too large to be told";
        memcpy(text, differs_text, sizeof differs_text);
        return NECPNET_ERR_SCHEMA_DIFFERS;
    }
    if (setup->schema_hash && schema_hash && !server_shares_tables(&own, setup, text, text_bytes))
        return NECPNET_ERR_SCHEMA_DIFFERS;
    const char* type = "";
    uint32_t frame = 0;
    if (setup->schema_hash && schema_hash) frame = nn_world_frame_bytes(schema, &type);
    if (setup->datagram_bytes_max < NECPNET_DATAGRAM_BYTES_DEFAULT &&
        frame + NN_PACKET_OVERHEAD_BYTES_MAX > setup->datagram_bytes_max) {
        static const char small[] = "the client's datagram_bytes_max is too small for an entity of the server's world";
        memcpy(text, small, sizeof small);
        return NECPNET_ERR_UNSUPPORTED;
    }
    *out_drop = NECPNET_DROP_FULL;
    static const char draining[] = "the server is shutting down";
    memcpy(text, draining, sizeof draining);
    return server->is_draining ? NECPNET_ERR_DRAINING : NECPNET_OK;
}

NN_PRIVATE void nn_server_answer_setup(necpnet_server* server, const nn_peer* peer, nn_setup* out)
{
    const necpnet_schema* schema = server->config.world ? nn_world_get_schema(server->config.world) : NULL;
    nn_endpoint_setup(&server->endpoint, schema, out);
    out->tick_hz = server->config.tick_hz;
    out->tick = necpnet_server_tick(server);
    out->time_us = server->endpoint.now_us;
    out->session_id = nn_load_u64(peer->tag);
}

NN_PRIVATE necpnet_result nn_server_begin_peer(necpnet_server* server, nn_peer* peer, nn_connection_open* open)
{
    open->follow = nn_peer_name(peer);
    open->bandwidth_limit = server->config.bandwidth_limit;
    open->seed = nn_random_u64(&server->endpoint.random);
    necpnet_result result = nn_connection_begin(&peer->connection, open, server->endpoint.now_us);
    if (result) return result;
    peer->tell_connected = true;
    peer->was_encrypted = open->encrypted;
    server->totals.sessions_total++;
    server->connected_count++;
    nn_server_mark_ready(server, peer);
    nn_server_mark_dirty(server, peer);
    nn_server_take_over(server, peer);
    return NECPNET_OK;
}

/* The drop's name for a refusal after SETUP. */
static necpnet_drop server_drop_of(necpnet_result reason)
{
    switch (reason) {
    case NECPNET_ERR_TOKEN_EXPIRED: return NECPNET_DROP_TOKEN_EXPIRED;
    case NECPNET_ERR_TOKEN_FOREIGN: return NECPNET_DROP_TOKEN_SERVER;
    case NECPNET_ERR_TOKEN_SPENT: return NECPNET_DROP_TOKEN_SPENT;
    case NECPNET_ERR_TOKEN_REVOKED: return NECPNET_DROP_TOKEN_REVOKED;
    case NECPNET_ERR_SERVER_FULL: return NECPNET_DROP_FULL;
    case NECPNET_ERR_OUT_OF_MEMORY: return NECPNET_DROP_MEMORY;
    case NECPNET_ERR_REPLACED:
    case NECPNET_ERR_SESSION_LOST: return NECPNET_DROP_TICKET_SESSION;
    default: return NECPNET_DROP_CREDENTIAL;
    }
}

/* A proven client's SETUP, held against this server. */
static necpnet_result server_read_setup(const necpnet_server* server, const uint8_t* data, size_t bytes,
                                        nn_setup* setup, char* text, size_t text_bytes, necpnet_drop* out_drop)
{
    nn_reader reader = nn_reader_of(data, bytes);
    *out_drop = NECPNET_DROP_MALFORMED;
    if (nn_read_u8(&reader) != NN_FRAME_SETUP) return NECPNET_ERR_PROTOCOL;
    necpnet_result result = nn_setup_read(&reader, setup);
    if (result == NECPNET_ERR_VERSION_DIFFERS) *out_drop = NECPNET_DROP_VERSION;
    if (result == NECPNET_OK) result = nn_server_judge(server, setup, text, text_bytes, out_drop);
    if (result == NECPNET_OK) text[0] = '\0';
    return result;
}

/* ACCEPT with this server's SETUP and a ticket. On failure nothing is held and there is nothing to send. */
static necpnet_result server_accept(necpnet_server* server, nn_peer* peer, nn_handshake_pending* pending,
                                    uint32_t local_id, uint8_t* reply, size_t* out_reply_bytes,
                                    nn_connection_keys* out_keys)
{
    uint8_t frame[NN_HANDSHAKE_SETUP_BYTES_MAX];
    nn_setup answer;
    nn_ticket ticket;
    nn_writer writer = nn_writer_of(frame, sizeof frame);
    peer->was_encrypted = peer->was_encrypted || server->config.security != NECPNET_SECURITY_NONE;
    nn_server_answer_setup(server, peer, &answer);
    nn_setup_write(&writer, &answer);
    bool has_ticket = nn_server_make_ticket(server, peer, &ticket);
    return nn_handshake_server_accept(server->handshake, pending, &server->endpoint.alloc, local_id, frame,
                                      nn_writer_bytes(&writer), has_ticket ? &ticket : NULL, reply, out_reply_bytes,
                                      out_keys);
}

static void server_reply(necpnet_server* server, const necpnet_address* to, const uint8_t* reply, size_t bytes)
{
    const necpnet_transport* transport = server->endpoint.transport;
    if (bytes) transport->send_datagram(transport->user, to, reply, bytes);
}

static void server_refuse_datagram(necpnet_server* server, const necpnet_address* from, nn_handshake_outcome* outcome,
                                   necpnet_result reason, const char* text, necpnet_drop drop)
{
    uint8_t* reply = server->endpoint.settings.scratch;
    size_t bytes = 0;
    nn_server_count_drop(server, drop, from);
    nn_handshake_server_refuse(server->handshake, &outcome->pending, reason,
                               text[0] ? text : necpnet_result_text(reason), reply, &bytes);
    server_reply(server, from, reply, bytes);
}

/* AUTH has proven the pre-shared key: judge its SETUP, make the peer or find its session, answer ACCEPT or REFUSE. */
static void server_admit_datagram(necpnet_server* server, const necpnet_address* from, nn_handshake_outcome* outcome)
{
    nn_setup setup;
    nn_peer* peer = NULL;
    char text[NECPNET_REASON_BYTES_MAX + 1] = "";
    necpnet_drop drop;
    necpnet_result result =
        server_read_setup(server, outcome->setup, outcome->setup_bytes, &setup, text, sizeof text, &drop);
    bool encrypted = server->config.security != NECPNET_SECURITY_NONE;
    nn_peer* known = NULL;
    if (result == NECPNET_OK) {
        if (server->config.security == NECPNET_SECURITY_TOKEN) {
            outcome->identity.expires_us = nn_server_token_expiry_us(server);
        }
        known = nn_server_find_session(server, &outcome->identity, setup.session_id, encrypted);
        peer = known;
        if (known) result = nn_peer_set_identity(known, &outcome->identity);
        if (!known) result = nn_server_admit(server, &outcome->identity, from, &peer);
        drop = server_drop_of(result);
    }
    if (result) {
        server_refuse_datagram(server, from, outcome, result, text, drop);
        return;
    }
    uint8_t* reply = server->endpoint.settings.scratch;
    size_t reply_bytes = 0;
    nn_connection_keys keys;
    nn_connection_open open;
    memset(&open, 0, sizeof open);
    open.address = from;
    open.encrypted = encrypted;
    open.peer = &setup;
    open.local_id = nn_server_new_connection_id(server, peer);
    open.remote_id = outcome->client_connection_id;
    result = server_accept(server, peer, &outcome->pending, open.local_id, reply, &reply_bytes, &keys);
    if (result == NECPNET_OK) {
        open.keys = &keys;
        result = known ? nn_server_resume(server, peer, &open) : nn_server_begin_peer(server, peer, &open);
    }
    if (result) {
        nn_server_count_drop(server, NECPNET_DROP_MEMORY, from);
        if (!known) nn_server_release(server, peer);
        return;
    }
    server_reply(server, from, reply, reply_bytes);
}

/* RESUME has proven the ticket's secret: find its session and offer it a connection, which the first packet begins. */
static void server_resume_datagram(necpnet_server* server, const necpnet_address* from, nn_handshake_outcome* outcome)
{
    nn_peer* peer = NULL;
    nn_offer offer;
    char text[NECPNET_REASON_BYTES_MAX + 1] = "";
    necpnet_drop drop;
    memset(&offer, 0, sizeof offer);
    necpnet_result result =
        server_read_setup(server, outcome->setup, outcome->setup_bytes, &offer.setup, text, sizeof text, &drop);
    if (result == NECPNET_OK) {
        result = nn_server_take(server, &outcome->ticket, server->config.security != NECPNET_SECURITY_NONE, &peer);
        drop = result == NECPNET_ERR_TOKEN_SPENT ? NECPNET_DROP_TICKET_SPENT : server_drop_of(result);
    }
    if (result) {
        server_refuse_datagram(server, from, outcome, result, text, drop);
        return;
    }
    uint8_t* reply = server->endpoint.settings.scratch;
    size_t reply_bytes = 0;
    offer.address = *from;
    offer.ticket_number = outcome->ticket.number;
    offer.local_id = nn_server_new_connection_id(server, peer);
    offer.remote_id = outcome->client_connection_id;
    result = server_accept(server, peer, &outcome->pending, offer.local_id, reply, &reply_bytes, &offer.keys);
    if (result == NECPNET_OK) result = nn_server_offer(server, peer, &offer);
    if (result) nn_server_count_drop(server, NECPNET_DROP_MEMORY, from);
    if (result == NECPNET_OK) server_reply(server, from, reply, reply_bytes);
    nn_wipe(&offer, sizeof offer);
}

static void server_answer_query(necpnet_server* server, const necpnet_address* from, const uint8_t* data, size_t bytes)
{
    nn_answer answer;
    necpnet_drop why = NECPNET_DROP_MALFORMED;
    uint8_t reply[NN_ANSWER_BYTES_MAX];
    memset(&answer, 0, sizeof answer);
    if (!server->config.query || !nn_query_read(data, bytes, &answer.nonce, &why)) {
        nn_server_count_drop(server, why, from);
        return;
    }
    answer.players = server->connected_count;
    answer.players_max = server->config.peers_max;
    memcpy(answer.name, server->query_name, sizeof answer.name);
    const necpnet_transport* transport = server->endpoint.transport;
    transport->send_datagram(transport->user, from, reply, nn_answer_write(reply, sizeof reply, &answer));
}

/* A packet of a peer, which may prove that the peer has another address now. */
static necpnet_drop server_receive_packet(necpnet_server* server, nn_peer* peer, const necpnet_address* from,
                                          uint8_t* data, size_t bytes, uint32_t waited_us)
{
    necpnet_address before = peer->connection.address;
    necpnet_drop drop =
        nn_connection_receive_packet(&peer->connection, from, data, bytes, waited_us, server->endpoint.now_us);
    if (!necpnet_address_equal(&before, &peer->connection.address)) nn_server_peer_moved(server, peer, &before);
    return drop;
}

NN_PRIVATE void nn_server_datagram(necpnet_server* server, const necpnet_address* from, uint8_t* data, size_t bytes,
                                   uint32_t waited_us)
{
    uint32_t id;
    uint64_t now_us = server->endpoint.now_us;
    if (nn_packet_peek(data, bytes, &id)) {
        nn_peer* peer = nn_server_find_connection(server, id);
        necpnet_drop drop = NECPNET_DROP_UNKNOWN_CONNECTION;
        bool is_offer = peer && peer->offer && peer->offer->local_id == id;
        if (is_offer && !nn_server_take_offer(server, peer, from, data, bytes)) {
            drop = NECPNET_DROP_AUTHENTICATION;
            peer = NULL;
        }
        if (peer) {
            drop = server_receive_packet(server, peer, from, data, bytes, waited_us);
            nn_server_mark_dirty(server, peer);
            if (nn_session_has_event(&peer->session)) nn_server_mark_ready(server, peer);
        }
        if (drop != NECPNET_DROP_COUNT) nn_server_count_drop(server, drop, from);
        return;
    }
    if (bytes && data[0] == NN_DATAGRAM_QUERY) {
        server_answer_query(server, from, data, bytes);
        return;
    }
    nn_handshake_outcome outcome;
    uint8_t* reply = server->endpoint.settings.scratch;
    nn_handshake_server_read(server->handshake, from, data, bytes, now_us, nn_server_wall_us(server), reply, &outcome);
    switch (outcome.kind) {
    case NN_HANDSHAKE_DROP: nn_server_count_drop(server, outcome.drop, from); break;
    case NN_HANDSHAKE_REPLY: {
        const necpnet_transport* transport = server->endpoint.transport;
        transport->send_datagram(transport->user, from, reply, outcome.reply_bytes);
        break;
    }
    case NN_HANDSHAKE_ADMIT:
        if (outcome.pending.is_resume) {
            server_resume_datagram(server, from, &outcome);
        } else {
            server_admit_datagram(server, from, &outcome);
        }
        break;
    }
}

/* -- WebSocket -- */

static void server_unlink_greeting(necpnet_server* server, nn_greeting* greeting)
{
    if (greeting->previous) {
        greeting->previous->next = greeting->next;
    } else {
        server->first_greeting = greeting->next;
    }
    if (greeting->next) {
        greeting->next->previous = greeting->previous;
    } else {
        server->last_greeting = greeting->previous;
    }
    server->greeting_count--;
    nn_alloc_give(&server->endpoint.alloc, greeting, sizeof *greeting);
}

/* Say CLOSE by name, then close the WebSocket. */
static void server_refuse_web(necpnet_server* server, necpnet_web_connection* connection, necpnet_result reason,
                              const char* text, necpnet_drop drop)
{
    uint8_t message[NN_CLOSE_BYTES_MAX];
    necpnet_address from = necpnet_web_get_address(connection);
    nn_close close = nn_close_of(reason, 0, text);
    if (reason == NECPNET_ERR_DRAINING) {
        close.has_retry = true;
        close.retry_ms = server->drain_retry_ms;
    }
    nn_writer writer = nn_writer_of(message, sizeof message);
    nn_frame_write_close(&writer, &close);
    nn_web_send_session(connection, message, nn_writer_bytes(&writer));
    necpnet_web_set_user_data(connection, NULL);
    necpnet_web_close(connection, 1008, necpnet_result_name(reason));
    nn_server_count_drop(server, drop, &from);
}

NN_PRIVATE void nn_server_session_open(void* user, necpnet_web_connection* connection)
{
    necpnet_server* server = (necpnet_server*)user;
    necpnet_web_set_user_data(connection, NULL);
    if (server->greeting_count >= server->config.handshakes_max) {
        server_refuse_web(server, connection, NECPNET_ERR_SERVER_FULL, "too many handshakes at once; try again",
                          NECPNET_DROP_FULL);
        return;
    }
    nn_greeting* greeting = (nn_greeting*)nn_alloc_take(&server->endpoint.alloc, sizeof *greeting);
    if (!greeting) {
        server_refuse_web(server, connection, NECPNET_ERR_OUT_OF_MEMORY, "out of memory", NECPNET_DROP_MEMORY);
        return;
    }
    greeting->kind = NN_CARRIER_GREETING;
    greeting->web = connection;
    greeting->until_us = server->endpoint.now_us + (uint64_t)server->config.handshake_timeout_ms * 1000;
    greeting->previous = server->last_greeting;
    if (server->last_greeting) {
        server->last_greeting->next = greeting;
    } else {
        server->first_greeting = greeting;
    }
    server->last_greeting = greeting;
    server->greeting_count++;
    necpnet_web_set_user_data(connection, greeting);
}

/* Who the client is, by what its SETUP carries. */
static necpnet_result server_identify(necpnet_server* server, const nn_setup* setup, const necpnet_address* from,
                                      necpnet_identity* out)
{
    memset(out, 0, sizeof *out);
    switch (setup->credential_kind) {
    case NN_CREDENTIAL_TOKEN: {
        necpnet_result result =
            nn_handshake_server_check_token(server->handshake, setup->credential,
                                            setup->credential + NN_SETUP_TOKEN_BYTES, nn_server_wall_us(server), out);
        out->expires_us = nn_server_token_expiry_us(server);
        return result;
    }
    case NN_CREDENTIAL_TEXT: {
        if (!server->config.authorize) return NECPNET_ERR_TOKEN_INVALID;
        char text[NN_SETUP_TEXT_BYTES_MAX + 1];
        memcpy(text, setup->credential, setup->credential_bytes);
        text[setup->credential_bytes] = '\0';
        if (strlen(text) != setup->credential_bytes) return NECPNET_ERR_TOKEN_INVALID;
        necpnet_result result = server->config.authorize(text, from, out, server->config.authorize_user);
        return (int)result > 0 ? NECPNET_ERR_TOKEN_INVALID : result; /* no result at all */
    }
    case NN_CREDENTIAL_TICKET:
    case NN_CREDENTIAL_NONE: break;
    }
    if (server->config.security == NECPNET_SECURITY_TOKEN) return NECPNET_ERR_TOKEN_MISSING;
    out->client_id = nn_random_u64(&server->endpoint.random);
    return NECPNET_OK;
}

/* Who has come over a WebSocket: a session that is here (out_known), by ticket or by its client's name for it, or a new
 * peer. */
static necpnet_result server_receive(necpnet_server* server, const nn_setup* setup, const necpnet_address* from,
                                     nn_peer** out_peer, bool* out_known, uint32_t* out_number)
{
    necpnet_identity identity;
    *out_number = 0;
    *out_known = true;
    if (setup->credential_kind == NN_CREDENTIAL_TICKET) {
        return nn_server_take_stream(server, setup, out_peer, out_number);
    }
    necpnet_result result = server_identify(server, setup, from, &identity);
    if (result) return result;
    *out_peer = nn_server_find_session(server, &identity, setup->session_id, server->is_tls);
    *out_known = *out_peer != NULL;
    return *out_known ? nn_peer_set_identity(*out_peer, &identity) : nn_server_admit(server, &identity, from, out_peer);
}

/* The first message of a WebSocket: SETUP and nothing else. */
static void server_greet(necpnet_server* server, nn_greeting* greeting, const uint8_t* data, size_t bytes)
{
    necpnet_web_connection* connection = greeting->web;
    necpnet_address from = necpnet_web_get_address(connection);
    nn_setup setup;
    nn_peer* peer = NULL;
    bool is_known = false;
    uint32_t ticket_number = 0;
    char text[NECPNET_REASON_BYTES_MAX + 1] = "";
    necpnet_drop drop;
    necpnet_result result = server_read_setup(server, data, bytes, &setup, text, sizeof text, &drop);
    if (result == NECPNET_OK) {
        result = server_receive(server, &setup, &from, &peer, &is_known, &ticket_number);
        bool is_ticket = setup.credential_kind == NN_CREDENTIAL_TICKET;
        drop = is_ticket && result == NECPNET_ERR_TOKEN_SPENT     ? NECPNET_DROP_TICKET_SPENT
               : is_ticket && result == NECPNET_ERR_TOKEN_EXPIRED ? NECPNET_DROP_TICKET_EXPIRED
               : is_ticket && result == NECPNET_ERR_TOKEN_INVALID ? NECPNET_DROP_PROOF
                                                                  : server_drop_of(result);
    }
    server_unlink_greeting(server, greeting);
    if (result) {
        server_refuse_web(server, connection, result, text[0] ? text : necpnet_result_text(result), drop);
        return;
    }
    nn_setup answer;
    nn_connection_open open;
    memset(&open, 0, sizeof open);
    open.address = &from;
    open.encrypted = server->is_tls;
    open.peer = &setup;
    open.web = connection;
    uint8_t* frame = server->endpoint.settings.scratch;
    nn_writer writer = nn_writer_of(frame, NN_WEB_SESSION_BYTES_MAX);
    uint8_t ticket[NN_TICKET_SHOWN_BYTES];
    nn_server_answer_setup(server, peer, &answer);
    peer->was_encrypted = peer->was_encrypted || server->is_tls;
    if (nn_server_write_ticket(server, peer, ticket)) {
        answer.credential_kind = NN_CREDENTIAL_TICKET;
        answer.credential = ticket;
        answer.credential_bytes = sizeof ticket;
    }
    nn_setup_write(&writer, &answer);
    nn_wipe(ticket, sizeof ticket);
    necpnet_web_set_user_data(connection, peer);
    result = nn_web_send_session(connection, frame, nn_writer_bytes(&writer));
    if (result == NECPNET_OK && is_known) result = nn_server_resume(server, peer, &open);
    if (result == NECPNET_OK && !is_known) result = nn_server_begin_peer(server, peer, &open);
    if (result == NECPNET_OK) {
        nn_server_drop_offer(server, peer); /* the client has chosen this one */
        peer->ticket_shown = ticket_number;
        return;
    }
    if (!is_known) {
        peer->connection.web = NULL;
        nn_server_release(server, peer);
    }
    server_refuse_web(server, connection, result, necpnet_result_text(result), server_drop_of(result));
}

NN_PRIVATE void nn_server_session_message(void* user, necpnet_web_connection* connection, uint8_t* data, size_t bytes)
{
    necpnet_server* server = (necpnet_server*)user;
    nn_carrier_kind* carrier = (nn_carrier_kind*)necpnet_web_get_user_data(connection);
    if (!carrier) return;
    if (*carrier == NN_CARRIER_GREETING) {
        server_greet(server, (nn_greeting*)(void*)carrier, data, bytes);
        return;
    }
    nn_peer* peer = (nn_peer*)(void*)carrier;
    if (peer->ticket_shown) { /* the client has our SETUP: its ticket will not be needed again */
        nn_server_spend(peer, peer->ticket_shown);
        peer->ticket_shown = 0;
    }
    nn_connection_receive_message(&peer->connection, data, bytes, server->endpoint.now_us);
    nn_server_mark_dirty(server, peer);
    if (nn_session_has_event(&peer->session)) nn_server_mark_ready(server, peer);
}

NN_PRIVATE void nn_server_session_close(void* user, necpnet_web_connection* connection, necpnet_result reason,
                                        const char* text)
{
    necpnet_server* server = (necpnet_server*)user;
    nn_carrier_kind* carrier = (nn_carrier_kind*)necpnet_web_get_user_data(connection);
    if (!carrier) return;
    necpnet_web_set_user_data(connection, NULL);
    if (*carrier == NN_CARRIER_GREETING) {
        server_unlink_greeting(server, (nn_greeting*)(void*)carrier);
        return;
    }
    nn_peer* peer = (nn_peer*)(void*)carrier;
    if (peer->connection.web != connection) return; /* a former one */
    nn_connection_lost(&peer->connection, reason, text);
    nn_server_mark_dirty(server, peer);
}

NN_PRIVATE void nn_server_session_writable(void* user, necpnet_web_connection* connection)
{
    nn_carrier_kind* carrier = (nn_carrier_kind*)necpnet_web_get_user_data(connection);
    if (carrier && *carrier == NN_CARRIER_PEER) nn_server_mark_dirty((necpnet_server*)user, (nn_peer*)(void*)carrier);
}

NN_PRIVATE void nn_server_web_drop(void* user, const necpnet_address* from, necpnet_drop drop)
{
    nn_server_count_drop((necpnet_server*)user, drop, from);
}

NN_PRIVATE void nn_server_end_greetings(necpnet_server* server, uint64_t now_us)
{
    while (server->first_greeting && server->first_greeting->until_us <= now_us) {
        nn_greeting* greeting = server->first_greeting;
        necpnet_web_connection* connection = greeting->web;
        server_unlink_greeting(server, greeting);
        server_refuse_web(server, connection, NECPNET_ERR_TIMEOUT, "no SETUP in time", NECPNET_DROP_HANDSHAKE_TIMEOUT);
    }
}
