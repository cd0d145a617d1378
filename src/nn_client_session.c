/* nn_client_session - the life of a client's session beyond its connections: waiting, tickets, moving. */
#include "nn_client.h"

#include "nn_voice.h"

NN_PRIVATE void nn_client_forget_ticket(necpnet_client* client)
{
    nn_wipe(client->ticket, sizeof client->ticket);
    nn_wipe(client->ticket_secret, sizeof client->ticket_secret);
    client->has_ticket = false;
}

NN_PRIVATE void nn_client_take_ticket(necpnet_client* client, const uint8_t* ticket, size_t bytes,
                                      const uint8_t* secret)
{
    if (bytes != NN_TICKET_BYTES) return; /* of another kind of server: it is of no use here */
    uint32_t number = nn_ticket_number(ticket, bytes);
    if (client->has_ticket && (int32_t)(number - nn_ticket_number(client->ticket, NN_TICKET_BYTES)) <= 0) return;
    memcpy(client->ticket, ticket, NN_TICKET_BYTES);
    memcpy(client->ticket_secret, secret, NN_SECRET_BYTES);
    client->has_ticket = true;
    client->ticket_doubts = 0;
}

static bool client_take_control(void* user, uint8_t kind, const uint8_t* data, size_t bytes)
{
    necpnet_client* client = (necpnet_client*)user;
    if (kind == NN_CONTROL_RENEW || kind == NN_CONTROL_RENEWED)
        return nn_client_take_renewal(client, kind, data, bytes);
    if (NECPNET_WITH_VOICE && (kind == NN_CONTROL_VOICE_STREAM || kind == NN_CONTROL_VOICE_GROUP)) {
        return !client->config.voice || nn_voice_take_control(client->config.voice, kind, data, bytes);
    }
    if (kind != NN_CONTROL_TICKET) return true; /* of a later version */
    if (bytes < NN_SECRET_BYTES) return false;
    nn_client_take_ticket(client, data + NN_SECRET_BYTES, bytes - NN_SECRET_BYTES, data);
    return true;
}

NN_PRIVATE void nn_client_init_settings(necpnet_client* client)
{
    nn_connection_settings* settings = &client->endpoint.settings;
    settings->state_sink = &client->state_sink;
    settings->clock = &client->clock;
    settings->inputs = &client->inputs;
    settings->writes = client->config.view ? &client->writes : NULL;
    settings->sleep = &client->sleep;
    client->sleep.answer_until_us = NN_NEVER;
    settings->take_control = client_take_control;
}

NN_PRIVATE void nn_client_init_connection(necpnet_client* client)
{
    nn_connection_init(&client->connection, &client->endpoint.settings, nn_client_session(client));
    nn_inputs_init(&client->inputs, &client->endpoint.alloc, client->config.inputs_max);
    nn_clock_sync_init(&client->clock);
    if (client->config.view) {
        const necpnet_view_config* limits = nn_view_get_config(client->config.view);
        nn_writes_init(&client->writes, &client->endpoint.alloc, limits->write_hz, limits->write_bytes_per_s);
    }
    client->connection.deliver_user = client;
    if (NECPNET_WITH_VOICE && client->config.voice) client->connection.voice = &client->voice_port;
}

NN_PRIVATE void nn_client_run_voice(necpnet_client* client)
{
    necpnet_voice* voice = client->config.voice;
    const uint8_t* wish;
    if (!NECPNET_WITH_VOICE || !voice || !client->connection.speaks) return;
    while ((wish = nn_voice_next_control(voice)) != NULL) {
        if (nn_session_send_control(nn_client_session(client), wish, NN_VOICE_WISH_BYTES) != NECPNET_OK) return;
        nn_voice_drop_control(voice);
    }
}

/* The session is over: the next begins empty but for what was never sent; what was received can still be polled. */
static void client_change_session(necpnet_client* client)
{
    nn_session* old = nn_client_session(client);
    if (NECPNET_WITH_VOICE && client->config.voice) nn_voice_disconnected(client->config.voice);
    nn_connection_reset(&client->connection);
    client->session ^= 1;
    nn_session_reset(nn_client_session(client));
    nn_session_init(nn_client_session(client), &client->endpoint.session_config);
    client->lost_count += nn_session_unacked(old); /* before what is moved leaves it */
    client->lost_count -= nn_session_move_unsent(old, nn_client_session(client));
    nn_session_discard(old);
    nn_client_init_connection(client);
    nn_client_forget_ticket(client);
    client->session_id = 0;
    client->is_suspended = false;
    client->was_encrypted = false;
    client->wants_renewal = false;
    client->renewal_at_us = NN_NEVER;
}

NN_PRIVATE nn_client_event* nn_client_end_session(necpnet_client* client, const nn_close* close)
{
    client_change_session(client);
    nn_client_event* event = nn_client_push(client, NECPNET_EVENT_DISCONNECTED, close->text);
    event->event.reason = close->reason;
    event->event.code = close->code;
    return event;
}

NN_PRIVATE void nn_client_begin_session(necpnet_client* client)
{
    if (!client->is_suspended) return;
    nn_close close = nn_close_of(NECPNET_ERR_SESSION_LOST, 0, necpnet_result_text(NECPNET_ERR_SESSION_LOST));
    nn_client_end_session(client, &close)->event.will_reconnect = true; /* it has */
}

static bool client_comes_back(necpnet_result reason)
{
    switch (reason) {
    case NECPNET_ERR_CLOSED:
    case NECPNET_ERR_KICKED:
    case NECPNET_ERR_TOKEN_REVOKED:
    case NECPNET_ERR_SCHEMA_DIFFERS:
    case NECPNET_ERR_REPLACED: return false;
    default: return true;
    }
}

/* The session waits for another connection. False: there will be none. */
static bool client_wait(necpnet_client* client, const nn_close* close)
{
    uint32_t delay_ms = 0;
    if (!nn_client_retry(client, close->reason, close->has_retry, close->retry_ms, &delay_ms)) return false;
    nn_connection_detach(&client->connection);
    client->is_suspended = true;
    nn_client_event* event = nn_client_push(client, NECPNET_EVENT_SUSPENDED, close->text);
    event->event.reason = close->reason;
    event->event.will_reconnect = true;
    event->event.retry_in_ms = delay_ms;
    return true;
}

NN_PRIVATE void nn_client_lose(necpnet_client* client)
{
    nn_close close = nn_connection_get_end(&client->connection);
    bool stop = client->stop_requested;
    bool may_resume = !stop && client->has_ticket && nn_connection_may_resume(&client->connection);
    if (client->is_probing) nn_client_end_attempts(client);
    client->is_probing = false;
    client->stop_requested = false;
    if (may_resume && client_wait(client, &close)) return;
    if (stop) close.reason = NECPNET_ERR_CLOSED;
    /* a WebSocket that ended without CLOSE was cut, whatever it says */
    bool is_left = client->connection.is_final || !may_resume;
    nn_client_event* event = nn_client_end_session(client, &close);
    uint32_t delay_ms = 0;
    bool back = !stop && is_left && client_comes_back(close.reason);
    if (back) back = nn_client_retry(client, close.reason, close.has_retry, close.retry_ms, &delay_ms);
    event->event.will_reconnect = back;
    event->event.retry_in_ms = delay_ms;
    if (!back) client->state = NECPNET_CLIENT_IDLE;
}

NN_PRIVATE void nn_client_joined(necpnet_client* client, const nn_setup* setup, bool encrypted, bool resumed)
{
    bool moved = client->is_probing;
    client->session_id = setup->session_id;
    client->was_encrypted = client->was_encrypted || encrypted;
    client->is_suspended = client->is_probing = false;
    client->probe_delay_us = (uint64_t)client->config.upgrade_min_ms * 1000;
    client->probe_at_us =
        nn_connection_is_udp(&client->connection) ? 0 : client->endpoint.now_us + client->probe_delay_us;
    if (client->is_throttled) nn_session_allow(nn_client_session(client));
    client->is_throttled = false;
    nn_client_event* event = nn_client_push(client, moved ? NECPNET_EVENT_MOVED : NECPNET_EVENT_CONNECTED, "");
    event->event.resumed = resumed && !moved;
    if (NECPNET_WITH_VOICE && client->config.voice) {
        nn_voice_connected(client->config.voice, resumed || moved, client->endpoint.now_us);
    }
    if (resumed) return;
    event->event.count = client->lost_count;
    client->lost_count = 0;
}

/* -- moving -- */

NN_PRIVATE void nn_client_retire(necpnet_client* client)
{
    nn_connection* connection = &client->connection;
    if (!connection->web) return;
    if (client->retired) necpnet_web_close(client->retired, 1000, "");
    necpnet_web_set_user_data(connection->web, NULL);
    client->retired = connection->web;
    client->retired_until_us = client->endpoint.now_us + NN_RETIRED_US;
    connection->web = NULL;
}

NN_PRIVATE void nn_client_probed(necpnet_client* client)
{
    client->is_probing = false;
    if (nn_connection_is_udp(&client->connection)) { /* the silence soon ends one way or another */
        client->probe_at_us = client->endpoint.now_us + (uint64_t)client->config.reconnect_delay_min_ms * 1000;
        return;
    }
    client->probe_at_us = client->endpoint.now_us + client->probe_delay_us;
    client->probe_delay_us = nn_min_u64(client->probe_delay_us * 2, (uint64_t)client->config.upgrade_max_ms * 1000);
}

static bool client_has_url(const necpnet_client* client, bool udp)
{
    uint32_t needs = udp ? NECPNET_TRANSPORT_DATAGRAMS : NECPNET_TRANSPORT_STREAMS;
    if (!(client->endpoint.transport->flags & needs) || (udp && !NECPNET_WITH_UDP)) return false;
    for (int i = 0; i < client->url_count; i++) {
        nn_url_scheme scheme = client->urls[i].scheme;
        if (udp ? scheme == NN_URL_UDP : scheme == NN_URL_WSS || (scheme == NN_URL_WS && !client->was_encrypted)) {
            return true;
        }
    }
    return false;
}

/* When another transport is to be looked for: UDP from WebSocket now and then, WebSocket from UDP that has fallen silent. */
static uint64_t client_probe_at_us(const necpnet_client* client)
{
    const nn_connection* connection = &client->connection;
    bool is_up = client->state == NECPNET_CLIENT_CONNECTED && connection->state == NN_CONNECTION_OPEN;
    if (!is_up || client->is_probing || !client->has_ticket) return NN_NEVER;
    bool on_udp = nn_connection_is_udp(connection);
    if (!client_has_url(client, !on_udp)) return NN_NEVER;
    if (!on_udp) return client->probe_at_us;
    if (connection->loading || connection->peer_loading) return NN_NEVER;
    return nn_max_u64(client->probe_at_us, connection->heard_us + (uint64_t)client->config.udp_timeout_ms * 500);
}

NN_PRIVATE void nn_client_run_session(necpnet_client* client, uint64_t now_us)
{
    if (client->retired && (client->connection.packets_received || now_us >= client->retired_until_us)) {
        necpnet_web_close(client->retired, 1000, "");
        client->retired = NULL;
    }
    if (now_us >= client_probe_at_us(client)) {
        nn_client_begin_probe(client, !nn_connection_is_udp(&client->connection));
    }
}

NN_PRIVATE uint64_t nn_client_session_deadline_us(const necpnet_client* client)
{
    uint64_t at_us = client_probe_at_us(client);
    return client->retired ? nn_min_u64(at_us, client->retired_until_us) : at_us;
}
