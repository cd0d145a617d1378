/* nn_client_attempt - one attempt of a round: it begins over UDP or WebSocket, and its answer becomes the connection. */
#include "nn_client.h"

static uint32_t client_new_id(necpnet_client* client)
{
    for (;;) {
        uint32_t id = (uint32_t)nn_random_u64(&client->endpoint.random);
        const nn_connection_udp* udp = client->connection.udp;
        bool taken = id == 0 || (udp && id == udp->local_id);
        for (int i = 0; i < client->attempt_count; i++) taken = taken || client->attempts[i].local_id == id;
        if (!taken) return id;
    }
}

static size_t client_write_setup(const necpnet_client* client, const nn_setup* setup, uint8_t* to, size_t bytes_max)
{
    (void)client;
    nn_writer writer = nn_writer_of(to, bytes_max);
    nn_setup_write(&writer, setup);
    return writer.failed ? 0 : nn_writer_bytes(&writer);
}

static necpnet_result client_start_udp(necpnet_client* client, nn_attempt* attempt)
{
    uint8_t frame[NN_HANDSHAKE_SETUP_BYTES_MAX];
    nn_setup setup;
    nn_endpoint_setup(&client->endpoint, nn_client_schema(client), &setup);
    setup.session_id = client->session_id;
    nn_handshake_client_config config;
    memset(&config, 0, sizeof config);
    config.alloc = &client->endpoint.alloc;
    config.entropy = &client->endpoint.entropy;
    config.security = client->config.security;
    config.bundle = client->has_token ? &client->token : NULL;
    if (client->is_resuming) {
        config.ticket = client->ticket;
        config.ticket_bytes = sizeof client->ticket;
        config.ticket_secret = client->ticket_secret;
    }
    config.psk = client->psk;
    config.timeout_us = (uint64_t)client->config.connect_timeout_ms * 1000;
    if (client->has_token && client->token_wall_offset_us) {
        config.wall_us = client->endpoint.now_us + client->token_wall_offset_us;
    }
    config.setup = frame;
    config.setup_bytes = client_write_setup(client, &setup, frame, sizeof frame);
    attempt->local_id = client_new_id(client);
    config.client_connection_id = attempt->local_id;
    attempt->handshake = (nn_handshake_client*)nn_alloc_take(&client->endpoint.alloc, sizeof *attempt->handshake);
    if (!attempt->handshake) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = nn_handshake_client_init(attempt->handshake, &config, client->endpoint.now_us);
    if (result) {
        nn_alloc_give(&client->endpoint.alloc, attempt->handshake, sizeof *attempt->handshake);
        attempt->handshake = NULL;
    }
    return result;
}

/* Of several workers behind an address one has the session: the ticket says which, and so does the path, where there is room. */
static void client_write_path(const necpnet_client* client, const nn_url* url, char* out, size_t bytes_max)
{
    size_t bytes = strlen(url->path);
    memcpy(out, url->path, bytes + 1);
    size_t room = bytes < NECPNET_URL_BYTES_MAX ? NECPNET_URL_BYTES_MAX - bytes : 0;
    if (!client->is_resuming || room < sizeof NN_WEB_WORKER_QUERY + 4) return;
    char digits[4];
    unsigned worker = client->ticket[NN_TICKET_WORKER_AT];
    digits[0] = (char)('0' + worker / 100);
    digits[1] = (char)('0' + worker / 10 % 10);
    digits[2] = (char)('0' + worker % 10);
    digits[3] = '\0';
    nn_writer writer = nn_writer_of((uint8_t*)out + bytes, bytes_max - bytes);
    nn_write_u8(&writer, (uint8_t)(strchr(url->path, '?') ? '&' : '?'));
    nn_write_bytes(&writer, NN_WEB_WORKER_QUERY, sizeof NN_WEB_WORKER_QUERY - 1);
    nn_write_bytes(&writer, digits, sizeof digits);
    NN_ASSERT(!writer.failed);
}

NN_PRIVATE void nn_client_start_attempt(necpnet_client* client, nn_attempt* attempt)
{
    const nn_url* url = &client->urls[attempt->url];
    attempt->state = NN_ATTEMPT_RUNNING;
    attempt->until_us = client->endpoint.now_us + (uint64_t)client->config.connect_timeout_ms * 1000;
    necpnet_result result;
    if (NECPNET_WITH_UDP && url->scheme == NN_URL_UDP) {
        result = client_start_udp(client, attempt);
    } else {
        char path[sizeof url->path + sizeof NN_WEB_WORKER_QUERY + 4];
        client_write_path(client, url, path, sizeof path);
        result = nn_web_connect_session(client->endpoint.web, &attempt->address, url->host, path,
                                        url->scheme == NN_URL_WSS, attempt, &attempt->web);
    }
    if (result) nn_client_fail_attempt(client, attempt, result, url->text);
}

/* This attempt has an answer: the others give way. */
static bool client_win(necpnet_client* client, nn_attempt* attempt)
{
    int index = (int)(attempt - client->attempts);
    if (client->winner >= 0) return client->winner == index;
    client->winner = index;
    client->resolving = 0;
    for (int i = 0; i < client->attempt_count; i++) {
        if (i == index) continue;
        nn_client_end_attempt(client, &client->attempts[i]);
        client->attempts[i].state = NN_ATTEMPT_FAILED;
    }
    return true;
}

/* -- the answer -- */

/* The session, that there is or a new one, gets this connection. */
static void client_carry(necpnet_client* client, nn_attempt* attempt, const nn_setup* setup, nn_connection_open* open,
                         bool resumed)
{
    if (!resumed) nn_client_begin_session(client);
    if (client->is_probing) {
        nn_client_retire(client);
        nn_connection_detach(&client->connection);
    }
    open->address = &attempt->address;
    open->peer = setup;
    open->resumed = resumed;
    open->bandwidth_limit = client->bandwidth_limit;
    open->seed = nn_random_u64(&client->endpoint.random);
    const nn_state_sink* sink = &client->state_sink;
    char text[NECPNET_REASON_BYTES_MAX + 1];
    bool same = setup->schema_hash && setup->schema_hash == necpnet_schema_get_hash(nn_client_schema(client));
    if (same && sink->follow) (void)sink->follow(sink->user, NULL, text); /* back from another version, perhaps */
    necpnet_result result = nn_connection_begin(&client->connection, open, client->endpoint.now_us);
    if (result) {
        client->connection.web = NULL; /* the attempt's still */
        nn_connection_detach(&client->connection);
        nn_client_fail_attempt(client, attempt, result, necpnet_result_text(result));
        if (!client->is_probing) return;
        client->connection.state = NN_CONNECTION_CLOSED; /* the session has no connection any more */
        nn_close close = nn_close_of(NECPNET_ERR_OUT_OF_MEMORY, 0, necpnet_result_text(result));
        nn_connection_set_end(&client->connection, &close);
        return;
    }
    attempt->web = NULL; /* the connection's now */
    if (NECPNET_WITH_UDP && attempt->handshake) {
        nn_client_take_ticket(client, attempt->handshake->ticket, attempt->handshake->ticket_bytes,
                              attempt->handshake->ticket_secret);
    }
    if (setup->credential_kind == NN_CREDENTIAL_TICKET && setup->credential_bytes > NN_SECRET_BYTES) {
        nn_client_take_ticket(client, setup->credential + NN_SECRET_BYTES, setup->credential_bytes - NN_SECRET_BYTES,
                              setup->credential);
    }
    nn_client_end_attempts(client);
    client->failures = 0;
    client->has_token = client->has_credential = false;
    if (client->state != NECPNET_CLIENT_SUSPENDED) client->state = NECPNET_CLIENT_CONNECTED;
    nn_client_joined(client, setup, open->encrypted, resumed);
}

static void client_connected(necpnet_client* client, nn_attempt* attempt, const uint8_t* data, size_t bytes,
                             nn_connection_open* open)
{
    nn_setup setup;
    nn_reader reader = nn_reader_of(data, bytes);
    uint64_t own_hash = necpnet_schema_get_hash(nn_client_schema(client));
    necpnet_result result =
        nn_read_u8(&reader) == NN_FRAME_SETUP ? nn_setup_read(&reader, &setup) : NECPNET_ERR_PROTOCOL;
    if (result == NECPNET_OK && setup.role != NN_ROLE_SERVER) result = NECPNET_ERR_PROTOCOL;
    if (result == NECPNET_OK && setup.channel_count != client->endpoint.channel_count)
        result = NECPNET_ERR_CHANNELS_DIFFER;
    bool differs = own_hash && setup.schema_hash && own_hash != setup.schema_hash;
    if (result == NECPNET_OK && differs && !client->state_sink.follow) {
        result = NECPNET_ERR_SCHEMA_DIFFERS;
    }
    bool resumed = client->session_id && result == NECPNET_OK && setup.session_id == client->session_id;
    if (result == NECPNET_OK && client->is_probing && !resumed) result = NECPNET_ERR_PROTOCOL;
    if (result) {
        nn_aead_destroy(open->keys ? open->keys->send : NULL);
        nn_aead_destroy(open->keys ? open->keys->receive : NULL);
        nn_client_fail_attempt(client, attempt, result, necpnet_result_text(result));
        return;
    }
    client_carry(client, attempt, &setup, open, resumed);
}

static void client_handshake_done(necpnet_client* client, nn_attempt* attempt)
{
    nn_handshake_client* handshake = attempt->handshake;
    nn_connection_open open;
    memset(&open, 0, sizeof open);
    open.local_id = attempt->local_id;
    open.remote_id = handshake->server_connection_id;
    open.rtt_us = handshake->rtt_us;
    nn_connection_keys keys = handshake->keys;
    nn_wipe(&handshake->keys, sizeof handshake->keys);
    open.keys = &keys;
    open.encrypted = client->config.security != NECPNET_SECURITY_NONE;
    uint8_t setup[NN_HANDSHAKE_SETUP_BYTES_MAX];
    size_t setup_bytes = handshake->setup_ok_bytes;
    memcpy(setup, handshake->setup_ok, setup_bytes);
    client_connected(client, attempt, setup, setup_bytes, &open);
    nn_wipe(&keys, sizeof keys);
}

static void client_handshake_failed(necpnet_client* client, nn_attempt* attempt)
{
    char text[NECPNET_REASON_BYTES_MAX + 1];
    memcpy(text, attempt->handshake->text, sizeof text);
    necpnet_result result = attempt->handshake->result;
    if (result == NECPNET_ERR_NO_ANSWER) { /* attempts may be too short to be sure of it */
        client->ticket_doubts += attempt->handshake->doubts;
        if (client->ticket_doubts >= NN_HANDSHAKE_DOUBTS_MAX) result = NECPNET_ERR_TOKEN_INVALID;
    }
    nn_client_fail_attempt(client, attempt, result, text);
}

NN_PRIVATE void nn_client_run_attempt(necpnet_client* client, nn_attempt* attempt, uint64_t now_us)
{
    uint8_t* datagram = client->endpoint.settings.scratch;
    size_t bytes = 0;
    if (nn_handshake_client_write(attempt->handshake, now_us, datagram, &bytes) == NN_HANDSHAKE_FAILED) {
        client_handshake_failed(client, attempt);
        return;
    }
    if (bytes == 0) return;
    const necpnet_transport* transport = client->endpoint.transport;
    necpnet_result result = transport->send_datagram(transport->user, &attempt->address, datagram, bytes);
    if (result && result != NECPNET_ERR_WOULD_BLOCK)
        nn_client_fail_attempt(client, attempt, result, necpnet_result_text(result));
}

NN_PRIVATE void nn_client_round_datagram(necpnet_client* client, const necpnet_address* from, uint8_t* data,
                                         size_t bytes)
{
    if (client->state != NECPNET_CLIENT_CONNECTING && !client->is_probing) return;
    for (int i = 0; i < client->attempt_count; i++) {
        nn_attempt* attempt = &client->attempts[i];
        if (!attempt->handshake || !necpnet_address_equal(&attempt->address, from)) continue;
        uint8_t phase = attempt->handshake->phase;
        nn_handshake_state state = nn_handshake_client_read(attempt->handshake, data, bytes, client->endpoint.now_us);
        if (state == NN_HANDSHAKE_WAITING && attempt->handshake->phase == phase)
            continue; /* not for this attempt, or no answer */
        if (!client_win(client, attempt)) return;
        if (state == NN_HANDSHAKE_DONE) {
            client_handshake_done(client, attempt);
        } else if (state == NN_HANDSHAKE_FAILED) {
            client_handshake_failed(client, attempt);
        }
        return;
    }
}

/* -- WebSocket -- */

NN_PRIVATE void nn_client_session_open(void* user, necpnet_web_connection* connection)
{
    necpnet_client* client = (necpnet_client*)user;
    nn_attempt* attempt = (nn_attempt*)necpnet_web_get_user_data(connection);
    if (!attempt) return;
    if (!client_win(client, attempt)) return;
    nn_setup setup;
    uint8_t credential[NN_TICKET_BYTES + NN_TICKET_PROOF_BYTES]; /* longer than a token with its proof */
    nn_endpoint_setup(&client->endpoint, nn_client_schema(client), &setup);
    setup.session_id = client->session_id;
    if (client->is_resuming) {
        memcpy(credential, client->ticket, NN_TICKET_BYTES);
        nn_ticket_proof(client->ticket_secret, client->ticket, credential + NN_TICKET_BYTES);
        setup.credential_kind = NN_CREDENTIAL_TICKET;
        setup.credential = credential;
        setup.credential_bytes = NN_TICKET_BYTES + NN_TICKET_PROOF_BYTES;
    } else if (client->has_token) {
        nn_client_write_token(&client->token, credential);
        setup.credential_kind = NN_CREDENTIAL_TOKEN;
        setup.credential = credential;
        setup.credential_bytes = NN_SETUP_TOKEN_BYTES + NN_SETUP_PROOF_BYTES;
    } else if (client->has_credential) {
        setup.credential_kind = NN_CREDENTIAL_TEXT;
        setup.credential = (const uint8_t*)client->credential;
        setup.credential_bytes = strlen(client->credential);
    }
    uint8_t* message = client->endpoint.settings.scratch;
    size_t bytes = client_write_setup(client, &setup, message, NN_WEB_SESSION_BYTES_MAX);
    necpnet_result result = nn_web_send_session(connection, message, bytes);
    if (result) nn_client_fail_attempt(client, attempt, result, necpnet_result_text(result));
    attempt->said_setup = true;
}

static void client_greeted(necpnet_client* client, nn_attempt* attempt, const uint8_t* data, size_t bytes)
{
    nn_close close;
    nn_reader reader = nn_reader_of(data, bytes);
    if (bytes && data[0] == NN_FRAME_CLOSE) {
        nn_read_u8(&reader);
        if (!nn_frame_read_close(&reader, &close))
            close = nn_close_of(NECPNET_ERR_PROTOCOL, 0, "CLOSE frame malformed");
        client->round_has_retry = close.has_retry;
        client->round_retry_ms = close.retry_ms;
        nn_client_fail_attempt(client, attempt, close.reason, close.text);
        return;
    }
    nn_connection_open open;
    memset(&open, 0, sizeof open);
    open.web = attempt->web;
    open.encrypted = client->urls[attempt->url].scheme == NN_URL_WSS;
    /* SETUP may share its message with the first frames */
    nn_setup setup;
    nn_read_u8(&reader);
    bool whole = bytes && data[0] == NN_FRAME_SETUP && nn_setup_read(&reader, &setup) == NECPNET_OK;
    necpnet_web_connection* web = attempt->web;
    client_connected(client, attempt, data, bytes, &open);
    if (!whole || client->connection.web != web) return;
    necpnet_web_set_user_data(web, &client->connection);
    if (nn_reader_left(&reader)) {
        nn_connection_receive_message(&client->connection, reader.at, nn_reader_left(&reader), client->endpoint.now_us);
    }
}

NN_PRIVATE void nn_client_session_message(void* user, necpnet_web_connection* connection, uint8_t* data, size_t bytes)
{
    necpnet_client* client = (necpnet_client*)user;
    void* carrier = necpnet_web_get_user_data(connection);
    if (!carrier) return;
    if (carrier == &client->connection) {
        nn_connection_receive_message(&client->connection, data, bytes, client->endpoint.now_us);
    } else {
        client_greeted(client, (nn_attempt*)carrier, data, bytes);
    }
}

NN_PRIVATE void nn_client_session_close(void* user, necpnet_web_connection* connection, necpnet_result reason,
                                        const char* text)
{
    necpnet_client* client = (necpnet_client*)user;
    void* carrier = necpnet_web_get_user_data(connection);
    if (connection == client->retired) client->retired = NULL;
    if (!carrier) return;
    necpnet_web_set_user_data(connection, NULL);
    if (carrier == &client->connection) {
        nn_connection_lost(&client->connection, reason, text);
        return;
    }
    nn_attempt* attempt = (nn_attempt*)carrier;
    attempt->web = NULL;
    nn_client_fail_attempt(client, attempt, reason, text[0] ? text : necpnet_result_text(reason));
}
