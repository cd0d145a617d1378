/* nn_client_round - one round of attempts to connect: resolve, try the addresses in turn, the first that answers wins. */
#include "nn_client.h"

#include "nn_hash.h"

/* How much a failure tells: what the server itself said goes before what the network said, before silence. */
static int client_rank(necpnet_result reason)
{
    switch (reason) {
    case NECPNET_OK: return -1;
    case NECPNET_ERR_NO_ANSWER: return 0;
    case NECPNET_ERR_UNSUPPORTED: return 1;
    case NECPNET_ERR_HOST_UNKNOWN:
    case NECPNET_ERR_NETWORK_UNREACHABLE: return 2;
    case NECPNET_ERR_CONNECTION_REFUSED:
    case NECPNET_ERR_CONNECTION_RESET: return 3;
    default: return 4;
    }
}

static void client_note(necpnet_client* client, necpnet_result reason, const char* text)
{
    if (client_rank(reason) <= client_rank(client->round_reason)) return;
    client->round_reason = reason;
    size_t length = nn_min_size(strlen(text), NECPNET_REASON_BYTES_MAX);
    nn_copy(client->round_text, text, length);
    client->round_text[length] = '\0';
}

static void client_end_attempt(necpnet_client* client, nn_attempt* attempt)
{
    if (NECPNET_WITH_UDP && attempt->handshake) {
        nn_handshake_client_reset(attempt->handshake);
        nn_alloc_give(&client->endpoint.alloc, attempt->handshake, sizeof *attempt->handshake);
        attempt->handshake = NULL;
    }
    if (attempt->web) {
        necpnet_web_set_user_data(attempt->web, NULL);
        nn_web_cut(attempt->web, NECPNET_ERR_CLOSED);
        attempt->web = NULL;
    }
}

static void client_fail(necpnet_client* client, nn_attempt* attempt, necpnet_result reason, const char* text)
{
    client_end_attempt(client, attempt);
    attempt->state = NN_ATTEMPT_FAILED;
    client_note(client, reason, text);
}

NN_PRIVATE void nn_client_end_attempts(necpnet_client* client)
{
    for (int i = 0; i < client->attempt_count; i++) {
        client_end_attempt(client, &client->attempts[i]);
        client->attempts[i].state = NN_ATTEMPT_FREE;
    }
    client->attempt_count = 0;
    client->winner = -1;
    client->resolving = 0;
}

/* -- beginning -- */

static void client_add_attempt(necpnet_client* client, int url, const necpnet_address* address)
{
    if (client->attempt_count == NN_ATTEMPTS_MAX) return;
    for (int i = 0; i < client->attempt_count; i++) {
        bool same = client->attempts[i].url == url && necpnet_address_equal(&client->attempts[i].address, address);
        if (same) return;
    }
    nn_attempt* attempt = &client->attempts[client->attempt_count];
    memset(attempt, 0, sizeof *attempt);
    attempt->state = NN_ATTEMPT_WAITING;
    attempt->url = url;
    if (address) attempt->address = *address;
    uint64_t stagger_us = (uint64_t)client->config.connect_stagger_ms * 1000;
    attempt->start_us = client->round_began_us + stagger_us * (uint64_t)client->attempt_count;
    client->attempt_count++;
}

/* The families in turn (RFC 8305 4), beginning with the resolver's first choice. */
NN_PRIVATE void nn_client_round_resolved(necpnet_client* client, uint64_t request, const necpnet_address* addresses,
                                         int count, necpnet_result reason)
{
    int url = (int)(request & 0xff);
    if (request >> 8 != client->round || !(client->resolving >> url & 1)) return;
    client->resolving &= ~(UINT64_C(1) << url);
    if (count == 0) {
        client_note(client, reason, client->urls[url].host);
        return;
    }
    uint8_t family = addresses[0].family;
    int same = 0, other = 0;
    for (int taken = 0; taken < count; taken++) {
        bool want_same = taken % 2 == 0;
        while (same < count && addresses[same].family != family) same++;
        while (other < count && addresses[other].family == family) other++;
        if (same == count) want_same = false;
        if (other == count) want_same = true;
        client_add_attempt(client, url, &addresses[want_same ? same++ : other++]);
    }
}

static void client_begin_url(necpnet_client* client, int index)
{
    const nn_url* url = &client->urls[index];
    const necpnet_transport* transport = client->endpoint.transport;
    bool is_udp = url->scheme == NN_URL_UDP;
    uint32_t needs = is_udp ? NECPNET_TRANSPORT_DATAGRAMS : NECPNET_TRANSPORT_STREAMS;
    if (!(transport->flags & needs) || (is_udp && !NECPNET_WITH_UDP)) {
        client_note(client, NECPNET_ERR_UNSUPPORTED,
                    is_udp ? "no UDP on this platform: use ws:// or wss://"
                           : "no WebSocket on this transport: use udp://");
        return;
    }
    if (client->is_resuming && client->was_encrypted && url->scheme == NN_URL_WS) {
        client->is_skipped = true;
        return;
    }
    bool wants_token = client->config.security == NECPNET_SECURITY_TOKEN && !client->is_resuming;
    if (is_udp && wants_token && !client->has_token) {
        client_note(client, NECPNET_ERR_TOKEN_MISSING,
                    "UDP needs a connect token; a credential serves WebSocket alone");
        return;
    }
    if (transport->flags & NECPNET_TRANSPORT_MESSAGES) {
        necpnet_address none;
        memset(&none, 0, sizeof none);
        none.port = url->port;
        client_add_attempt(client, index, &none);
        return;
    }
    client->resolving |= UINT64_C(1) << index;
    uint64_t request = (uint64_t)client->round << 8 | (uint64_t)index;
    necpnet_result result = transport->resolve(transport->user, request, url->host, url->port);
    if (result == NECPNET_OK) return;
    client->resolving &= ~(UINT64_C(1) << index);
    client_note(client, result, url->host);
}

static void client_clear_round(necpnet_client* client)
{
    nn_client_end_attempts(client);
    client->round = (client->round + 1) & 0xffffff;
    client->round_began_us = client->endpoint.now_us;
    client->round_reason = NECPNET_OK;
    client->round_text[0] = '\0';
    client->round_has_retry = false;
    client->is_skipped = false;
}

NN_PRIVATE void nn_client_begin_round(necpnet_client* client)
{
    client_clear_round(client);
    client->is_resuming = client->is_suspended && client->has_ticket;
    client->state = NECPNET_CLIENT_CONNECTING;
    for (int i = 0; i < client->url_count; i++) client_begin_url(client, i);
}

NN_PRIVATE void nn_client_begin_probe(necpnet_client* client, bool udp)
{
    client_clear_round(client);
    client->is_resuming = client->is_probing = true;
    for (int i = 0; i < client->url_count; i++) {
        if ((client->urls[i].scheme == NN_URL_UDP) == udp) client_begin_url(client, i);
    }
}

NN_PRIVATE void nn_client_ask_token(necpnet_client* client)
{
    bool resumes = client->is_suspended && client->has_ticket;
    bool wants_token = client->config.security == NECPNET_SECURITY_TOKEN && !resumes;
    if (wants_token && !client->has_token && !client->has_credential) {
        client->state = NECPNET_CLIENT_WAITING_FOR_TOKEN;
        nn_client_push(client, NECPNET_EVENT_TOKEN_NEEDED, "");
        return;
    }
    nn_client_begin_round(client);
}

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

static void client_start(necpnet_client* client, nn_attempt* attempt)
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
    if (result) client_fail(client, attempt, result, url->text);
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
        client_end_attempt(client, &client->attempts[i]);
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
        client_fail(client, attempt, result, necpnet_result_text(result));
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
        client_fail(client, attempt, result, necpnet_result_text(result));
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
    client_fail(client, attempt, result, text);
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

/* A token and the proof that we have its key, where no handshake shows it. */
static void client_write_token(const nn_token_bundle* token, uint8_t* to)
{
    memcpy(to, token->sealed, NN_SETUP_TOKEN_BYTES);
    nn_siphash128(token->psk, token->sealed, NN_SETUP_TOKEN_BYTES, to + NN_SETUP_TOKEN_BYTES);
}

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
        client_write_token(&client->token, credential);
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
    if (result) client_fail(client, attempt, result, necpnet_result_text(result));
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
        client_fail(client, attempt, close.reason, close.text);
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
    client_fail(client, attempt, reason, text[0] ? text : necpnet_result_text(reason));
}

/* -- running -- */

NN_PRIVATE bool nn_client_retry(necpnet_client* client, necpnet_result reason, bool has_retry, uint32_t retry_ms,
                                uint32_t* out_delay_ms)
{
    const necpnet_client_config* config = &client->config;
    bool hopeless = reason == NECPNET_ERR_VERSION_DIFFERS || reason == NECPNET_ERR_CHANNELS_DIFFER ||
                    reason == NECPNET_ERR_SCHEMA_DIFFERS || reason == NECPNET_ERR_CERTIFICATE ||
                    reason == NECPNET_ERR_UNSUPPORTED;
    if (!config->reconnect || hopeless || client->failures >= config->reconnect_attempts_max) return false;
    uint64_t ceiling_ms = config->reconnect_delay_min_ms;
    for (uint32_t i = 0; i < client->failures && ceiling_ms < config->reconnect_delay_max_ms; i++) ceiling_ms *= 2;
    ceiling_ms = nn_min_u64(ceiling_ms, config->reconnect_delay_max_ms);
    uint64_t delay_ms = has_retry ? retry_ms : nn_random_below(&client->endpoint.random, ceiling_ms + 1);
    client->failures++;
    client->retry_at_us = client->endpoint.now_us + delay_ms * 1000;
    client->state = NECPNET_CLIENT_RECONNECTING;
    *out_delay_ms = (uint32_t)delay_ms;
    return true;
}

/* A round with the ticket has failed. Whether the session, or the ticket, is done with and the next round begins at once. */
static bool client_end_resume(necpnet_client* client, necpnet_result reason)
{
    nn_close close = nn_close_of(NECPNET_ERR_SESSION_LOST, 0, client->round_text);
    switch (reason) {
    case NECPNET_ERR_REPLACED:
        close.reason = reason;
        nn_client_end_attempts(client);
        nn_client_end_session(client, &close);
        client->state = NECPNET_CLIENT_IDLE;
        return true;
    case NECPNET_ERR_SESSION_LOST: break;
    case NECPNET_ERR_TOKEN_SPENT:
    case NECPNET_ERR_TOKEN_EXPIRED:
    case NECPNET_ERR_TOKEN_INVALID:
        /* the ticket is no good; who is known by a token may still be recognised */
        nn_client_forget_ticket(client);
        if (client->config.security == NECPNET_SECURITY_TOKEN) {
            nn_client_end_attempts(client);
            nn_client_ask_token(client);
            return true;
        }
        break;
    default:
        if (!client->is_skipped) return false;
        break; /* nobody answers where it may go on, but there are other ways to the server */
    }
    nn_client_end_attempts(client);
    nn_client_end_session(client, &close)->event.will_reconnect = true;
    nn_client_ask_token(client);
    return true;
}

static void client_end_round(necpnet_client* client)
{
    necpnet_result reason = client->round_reason ? client->round_reason : NECPNET_ERR_NO_ANSWER;
    if (client->is_probing) {
        nn_client_end_attempts(client);
        nn_client_probed(client);
        return;
    }
    if (client->is_resuming && client_end_resume(client, reason)) return;
    if (reason == NECPNET_ERR_NO_ANSWER && client->has_token && client->token_wall_offset_us &&
        client->endpoint.now_us + client->token_wall_offset_us >= client->token.info.expires_us) {
        reason = NECPNET_ERR_TOKEN_EXPIRED;
    }
    bool said = client->round_reason == reason && client->round_text[0];
    nn_client_event* event =
        nn_client_push(client, NECPNET_EVENT_CONNECT_FAILED, said ? client->round_text : necpnet_result_text(reason));
    client->has_token = client->has_credential = false;
    nn_client_end_attempts(client);
    uint32_t delay_ms = 0;
    bool back = nn_client_retry(client, reason, client->round_has_retry, client->round_retry_ms, &delay_ms);
    event->event.reason = reason;
    event->event.will_reconnect = back;
    event->event.retry_in_ms = delay_ms;
    if (back) return;
    client->state = NECPNET_CLIENT_IDLE;
    nn_close close = nn_close_of(reason, 0, event->text);
    if (client->is_suspended) nn_client_end_session(client, &close);
}

static void client_run_udp(necpnet_client* client, nn_attempt* attempt, uint64_t now_us)
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
    if (result && result != NECPNET_ERR_WOULD_BLOCK) client_fail(client, attempt, result, necpnet_result_text(result));
}

NN_PRIVATE void nn_client_run_round(necpnet_client* client, uint64_t now_us)
{
    if (client->state != NECPNET_CLIENT_CONNECTING && !client->is_probing) return;
    bool running = false;
    for (int i = 0; i < client->attempt_count; i++) {
        nn_attempt* attempt = &client->attempts[i];
        bool due = now_us >= attempt->start_us || !running;
        if (attempt->state == NN_ATTEMPT_WAITING && client->winner < 0 && due) client_start(client, attempt);
        if (attempt->state == NN_ATTEMPT_RUNNING && !attempt->handshake && now_us >= attempt->until_us) {
            client_fail(client, attempt, NECPNET_ERR_NO_ANSWER, necpnet_result_text(NECPNET_ERR_NO_ANSWER));
        }
        if (NECPNET_WITH_UDP && attempt->state == NN_ATTEMPT_RUNNING && attempt->handshake) {
            client_run_udp(client, attempt, now_us);
        }
        if (attempt->state == NN_ATTEMPT_RUNNING) running = true;
    }
    bool waiting = false;
    for (int i = 0; i < client->attempt_count; i++)
        waiting = waiting || client->attempts[i].state == NN_ATTEMPT_WAITING;
    bool won_and_lost = client->winner >= 0 && !running;
    if (won_and_lost || (!running && !waiting && client->resolving == 0)) client_end_round(client);
}

NN_PRIVATE uint64_t nn_client_round_deadline_us(const necpnet_client* client)
{
    if (client->state != NECPNET_CLIENT_CONNECTING && !client->is_probing) return NN_NEVER;
    uint64_t at_us = NN_NEVER;
    bool running = false, waiting = false;
    for (int i = 0; i < client->attempt_count; i++) {
        const nn_attempt* attempt = &client->attempts[i];
        if (attempt->state == NN_ATTEMPT_WAITING && client->winner < 0) {
            waiting = true;
            at_us = nn_min_u64(at_us, attempt->start_us);
        }
        if (attempt->state != NN_ATTEMPT_RUNNING) continue;
        running = true;
        at_us = nn_min_u64(at_us, attempt->until_us);
        if (NECPNET_WITH_UDP && attempt->handshake)
            at_us = nn_min_u64(at_us, nn_handshake_client_deadline_us(attempt->handshake));
    }
    /* nothing is under way: the next address, or the end of the round, is due */
    bool is_due = !running && (waiting || client->winner >= 0 || client->resolving == 0);
    return is_due ? client->endpoint.now_us : at_us;
}

/* -- the application's part -- */

static necpnet_result client_take_urls(necpnet_client* client, const char* const* urls, int url_count)
{
    nn_url* parsed = (nn_url*)nn_alloc_take(&client->endpoint.alloc, (size_t)url_count * sizeof(nn_url));
    if (!parsed) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = NECPNET_OK;
    int usable = 0;
    uint32_t flags = client->endpoint.transport->flags;
    for (int i = 0; i < url_count && result == NECPNET_OK; i++) {
        result = nn_url_parse(urls[i], &parsed[i]);
        if (result) {
            nn_log_write(&client->endpoint.logger, NECPNET_LOG_ERROR, "address %d is not usable: %s", i,
                         urls[i] ? urls[i] : "NULL");
            break;
        }
        bool can_tls = NECPNET_WITH_MBEDTLS || (flags & NECPNET_TRANSPORT_MESSAGES);
        bool can_udp = (flags & NECPNET_TRANSPORT_DATAGRAMS) != 0;
        bool can = parsed[i].scheme == NN_URL_UDP ? can_udp : parsed[i].scheme == NN_URL_WSS ? can_tls : true;
        if (can) usable++;
    }
    if (result == NECPNET_OK && usable == 0) result = NECPNET_ERR_UNSUPPORTED;
    if (result) {
        nn_alloc_give(&client->endpoint.alloc, parsed, (size_t)url_count * sizeof(nn_url));
        return result;
    }
    nn_alloc_give(&client->endpoint.alloc, client->urls, (size_t)client->url_capacity * sizeof(nn_url));
    client->urls = parsed;
    client->url_count = client->url_capacity = url_count;
    return NECPNET_OK;
}

necpnet_result necpnet_client_connect(necpnet_client* client, const char* const* urls, int url_count)
{
    if (!client || url_count < 0 || url_count > NECPNET_URLS_MAX || (url_count && !urls))
        return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->state != NECPNET_CLIENT_IDLE) return NECPNET_ERR_INVALID_STATE;
    client->urls_from_token = url_count == 0;
    if (url_count == 0 && client->config.security != NECPNET_SECURITY_TOKEN) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = NECPNET_OK;
    if (url_count) {
        result = client_take_urls(client, urls, url_count);
    } else if (client->has_token) {
        const char* texts[NECPNET_URLS_MAX];
        for (int i = 0; i < client->token.info.url_count; i++) texts[i] = client->token.info.urls[i];
        result = client->token.info.url_count ? client_take_urls(client, texts, client->token.info.url_count)
                                              : NECPNET_ERR_BAD_URL;
    }
    if (result) return result;
    client->failures = 0;
    nn_client_ask_token(client);
    return NECPNET_OK;
}

necpnet_result necpnet_client_set_token(necpnet_client* client, const char* token, uint64_t wall_us)
{
    nn_token_bundle bundle;
    if (!client || !token) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = nn_token_bundle_parse(token, &bundle);
    if (result) return result;
    if (wall_us >= bundle.info.expires_us) return NECPNET_ERR_TOKEN_EXPIRED;
    if (client->state == NECPNET_CLIENT_WAITING_FOR_TOKEN && client->urls_from_token) {
        const char* texts[NECPNET_URLS_MAX];
        for (int i = 0; i < bundle.info.url_count; i++) texts[i] = bundle.info.urls[i];
        result = bundle.info.url_count ? client_take_urls(client, texts, bundle.info.url_count) : NECPNET_ERR_BAD_URL;
        if (result) return result;
    }
    if (client->state == NECPNET_CLIENT_CONNECTED && client->wants_renewal) {
        uint8_t credential[NN_SETUP_TOKEN_BYTES + NN_SETUP_PROOF_BYTES];
        client_write_token(&bundle, credential);
        nn_wipe(&bundle, sizeof bundle);
        return nn_client_renew(client, NN_CREDENTIAL_TOKEN, credential, sizeof credential);
    }
    client->token = bundle;
    client->has_token = true;
    client->token_wall_offset_us = wall_us > client->endpoint.now_us ? wall_us - client->endpoint.now_us : 0;
    nn_wipe(&bundle, sizeof bundle);
    if (client->state == NECPNET_CLIENT_WAITING_FOR_TOKEN) nn_client_begin_round(client);
    return NECPNET_OK;
}

necpnet_result necpnet_client_set_credential(necpnet_client* client, const char* credential)
{
    size_t length = credential ? strlen(credential) : 0;
    if (!client || length == 0 || length > NN_CREDENTIAL_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->state == NECPNET_CLIENT_CONNECTED && client->wants_renewal) {
        return nn_client_renew(client, NN_CREDENTIAL_TEXT, credential, length);
    }
    char* copy = (char*)nn_alloc_take(&client->endpoint.alloc, length + 1);
    if (!copy) return NECPNET_ERR_OUT_OF_MEMORY;
    memcpy(copy, credential, length + 1);
    nn_alloc_give(&client->endpoint.alloc, client->credential, client->credential_bytes);
    client->credential = copy;
    client->credential_bytes = length + 1;
    client->has_credential = true;
    if (client->state == NECPNET_CLIENT_WAITING_FOR_TOKEN) nn_client_begin_round(client);
    return NECPNET_OK;
}

necpnet_result necpnet_client_disconnect(necpnet_client* client, uint32_t code, const char* text, uint32_t linger_ms)
{
    if (!client || (text && strlen(text) > NECPNET_REASON_BYTES_MAX)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->state == NECPNET_CLIENT_IDLE) return NECPNET_ERR_NOT_CONNECTED;
    if (client->is_probing) nn_client_end_attempts(client);
    client->is_probing = false;
    if (client->connection.state != NN_CONNECTION_NONE) {
        nn_close close = nn_close_of(NECPNET_ERR_CLOSED, code, text);
        client->stop_requested = true;
        client->state = NECPNET_CLIENT_CLOSING;
        nn_connection_close(&client->connection, &close, linger_ms, client->endpoint.now_us);
        return NECPNET_OK;
    }
    if (client->state == NECPNET_CLIENT_CONNECTING)
        client->has_token = client->has_credential = false; /* maybe spent */
    nn_client_end_attempts(client);
    client->state = NECPNET_CLIENT_IDLE;
    if (client->is_suspended) { /* the server finds out when its window has passed */
        nn_close close = nn_close_of(NECPNET_ERR_CLOSED, 0, "");
        nn_client_end_session(client, &close);
        return NECPNET_OK;
    }
    nn_client_event* event = nn_client_push(client, NECPNET_EVENT_DISCONNECTED, "");
    event->event.reason = NECPNET_ERR_CLOSED;
    return NECPNET_OK;
}
