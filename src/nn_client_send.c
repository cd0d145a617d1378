/* nn_client_send - what the application says to a connected client, and asks of it. */
#include "nn_client.h"

/* How much of offline_bytes_max messages of a priority may fill. */
static uint64_t client_offline_bytes(const necpnet_client* client, necpnet_priority priority)
{
    uint64_t most = client->config.offline_bytes_max;
    switch (priority) {
    case NECPNET_PRIORITY_LOW: return most / 2;
    case NECPNET_PRIORITY_NORMAL: return most / 4 * 3;
    case NECPNET_PRIORITY_HIGH: return most / 8 * 7;
    default: return most;
    }
}

/* Without a connection: OK when the message may be queued. out_drops: it is neither queued nor refused. */
static necpnet_result client_check_offline(necpnet_client* client, int channel, size_t bytes, bool* out_drops)
{
    const necpnet_channel_config* config = &client->endpoint.channels[channel];
    nn_session* session = nn_client_session(client);
    if (client->state == NECPNET_CLIENT_IDLE || client->state == NECPNET_CLIENT_CLOSING) {
        return NECPNET_ERR_NOT_CONNECTED;
    }
    if (!nn_channel_is_reliable(config->mode) || !(client->config.offline_channels >> channel & 1)) {
        *out_drops = client->config.offline_drops;
        if (*out_drops) nn_session_drop(session, channel);
        return *out_drops ? NECPNET_OK : NECPNET_ERR_NOT_CONNECTED;
    }
    if (nn_session_queued_bytes(session) + bytes <= client_offline_bytes(client, config->priority)) return NECPNET_OK;
    nn_session_refuse(session, channel, bytes);
    client->is_throttled = true;
    return NECPNET_ERR_WOULD_BLOCK;
}

necpnet_result necpnet_client_send_with(necpnet_client* client, int channel, const void* data, size_t bytes,
                                        const necpnet_send_options* options)
{
    if (!client || !options) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_session* session = nn_client_session(client);
    if (client->connection.state != NN_CONNECTION_OPEN) {
        bool drops = false;
        necpnet_result result = nn_session_check(&client->endpoint.session_config, channel, data, bytes, options);
        if (result == NECPNET_OK) result = client_check_offline(client, channel, bytes, &drops);
        if (result || drops) return result;
    }
    return nn_session_send(session, channel, data, bytes, options, client->endpoint.now_us);
}

necpnet_result necpnet_client_send(necpnet_client* client, int channel, const void* data, size_t bytes)
{
    static const necpnet_send_options none = {NULL, false, 0, false, 0};
    return necpnet_client_send_with(client, channel, data, bytes, &none);
}

size_t necpnet_client_budget(const necpnet_client* client)
{
    return client ? nn_connection_budget(&client->connection, client->endpoint.now_us) : 0;
}

necpnet_client_state necpnet_client_get_state(const necpnet_client* client)
{
    return client ? client->state : NECPNET_CLIENT_IDLE;
}

necpnet_result necpnet_client_get_address(const necpnet_client* client, necpnet_address* out_address)
{
    if (!client || !out_address) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->connection.state == NN_CONNECTION_NONE) return NECPNET_ERR_NOT_CONNECTED;
    *out_address = client->connection.address;
    return NECPNET_OK;
}

necpnet_result necpnet_client_get_statistics(const necpnet_client* client, necpnet_statistics* out_statistics)
{
    if (!client || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_connection_statistics(&client->connection, client->endpoint.now_us, out_statistics);
    return NECPNET_OK;
}

necpnet_result necpnet_client_get_channel_statistics(const necpnet_client* client, int channel,
                                                     necpnet_channel_statistics* out_statistics)
{
    if (!client || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    return nn_session_get_channel_statistics(&client->sessions[client->session], channel, out_statistics);
}

necpnet_result necpnet_client_server_time_us(const necpnet_client* client, uint64_t now_us, uint64_t* out_time_us)
{
    if (!client || !out_time_us) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->connection.state == NN_CONNECTION_NONE || !nn_clock_sync_is_ready(&client->clock)) {
        return NECPNET_ERR_NOT_CONNECTED;
    }
    *out_time_us = nn_clock_sync_server_us(&client->clock, now_us);
    return NECPNET_OK;
}

static uint32_t client_tick_at(uint64_t time_us, uint64_t hz)
{
    return (uint32_t)(time_us / 1000000 * hz + time_us % 1000000 * hz / 1000000);
}

necpnet_result necpnet_client_server_tick(const necpnet_client* client, uint64_t now_us, uint32_t* out_tick,
                                          uint32_t* out_input_tick)
{
    uint64_t server_us;
    if (!out_tick) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = necpnet_client_server_time_us(client, now_us, &server_us);
    if (result) return result;
    necpnet_statistics statistics;
    nn_connection_statistics(&client->connection, now_us, &statistics);
    uint64_t lead_us = statistics.rtt_us / 2 + (uint64_t)statistics.jitter_us * 2;
    *out_tick = client_tick_at(server_us, client->connection.tick_hz);
    if (out_input_tick) *out_input_tick = client_tick_at(server_us + lead_us, client->connection.tick_hz) + 1;
    return NECPNET_OK;
}

necpnet_result necpnet_client_send_input(necpnet_client* client, uint32_t tick, const void* data, size_t bytes)
{
    if (!client || !data || bytes == 0 || bytes > NN_INPUT_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->connection.state != NN_CONNECTION_OPEN) return NECPNET_ERR_NOT_CONNECTED;
    return nn_connection_push_input(&client->connection, tick, data, bytes);
}

necpnet_result necpnet_client_set_bandwidth_limit(necpnet_client* client, uint32_t bytes_per_s)
{
    if (!client || bytes_per_s < 1000) return NECPNET_ERR_INVALID_ARGUMENT;
    client->bandwidth_limit = bytes_per_s;
    return nn_connection_set_limit(&client->connection, bytes_per_s);
}

necpnet_result necpnet_client_set_loading(necpnet_client* client, bool loading)
{
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->connection.state != NN_CONNECTION_OPEN) return NECPNET_ERR_NOT_CONNECTED;
    nn_connection_set_patience(&client->connection, loading, client->connection.suspended);
    return NECPNET_OK;
}

necpnet_result necpnet_client_suspend(necpnet_client* client, uint64_t now_us)
{
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->connection.state != NN_CONNECTION_OPEN) return NECPNET_ERR_NOT_CONNECTED;
    nn_connection_set_patience(&client->connection, client->connection.loading, true);
    client->state = NECPNET_CLIENT_SUSPENDED;
    return necpnet_client_flush(client, now_us);
}

necpnet_result necpnet_client_resume(necpnet_client* client, uint64_t now_us)
{
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->state != NECPNET_CLIENT_SUSPENDED) return NECPNET_ERR_INVALID_STATE;
    client->state = NECPNET_CLIENT_CONNECTED;
    nn_connection_wake(&client->connection, now_us);
    return necpnet_client_flush(client, now_us);
}

void necpnet_client_set_user_data(necpnet_client* client, void* user_data)
{
    if (client) client->user_data = user_data;
}

void* necpnet_client_get_user_data(const necpnet_client* client)
{
    return client ? client->user_data : NULL;
}

necpnet_result necpnet_client_migrate(necpnet_client* client)
{
    if (!client) return NECPNET_ERR_INVALID_ARGUMENT;
    if (client->connection.state != NN_CONNECTION_OPEN) return NECPNET_ERR_NOT_CONNECTED;
    const necpnet_transport* transport = client->endpoint.transport;
    if (client->connection.transport != NECPNET_TRANSPORT_UDP || !transport->rebind) return NECPNET_ERR_UNSUPPORTED;
    necpnet_result result = transport->rebind(transport->user);
    if (result == NECPNET_OK) nn_connection_moved(&client->connection, client->endpoint.now_us);
    return result;
}

/* -- renewal -- */

NN_PRIVATE necpnet_result nn_client_renew(necpnet_client* client, uint8_t kind, const void* data, size_t bytes)
{
    uint8_t message[2 + NN_CREDENTIAL_BYTES_MAX];
    NN_ASSERT(bytes <= NN_CREDENTIAL_BYTES_MAX);
    message[0] = NN_CONTROL_CREDENTIAL;
    message[1] = kind;
    memcpy(message + 2, data, bytes);
    necpnet_result result = nn_session_send_control(nn_client_session(client), message, 2 + bytes);
    nn_wipe(message, sizeof message);
    if (result == NECPNET_OK) client->wants_renewal = false;
    return result;
}

NN_PRIVATE bool nn_client_take_renewal(necpnet_client* client, uint8_t kind, const uint8_t* data, size_t bytes)
{
    if (bytes != 4) return false;
    uint32_t value = nn_load_u32(data);
    if (kind == NN_CONTROL_RENEWED && value == 0) return true;
    if (kind == NN_CONTROL_RENEWED) {
        client->renewal_reason = nn_frame_result_of(value);
        client->renewal_at_us = client->endpoint.now_us + NN_CLIENT_RENEWAL_US;
        return true;
    }
    client->wants_renewal = true;
    nn_client_event* event = nn_client_push(client, NECPNET_EVENT_TOKEN_NEEDED, "");
    event->event.reason = NECPNET_ERR_TOKEN_EXPIRED;
    event->event.retry_in_ms = value;
    return true;
}

NN_PRIVATE void nn_client_ask_renewal(necpnet_client* client, uint64_t now_us)
{
    if (now_us < client->renewal_at_us) return;
    client->renewal_at_us = NN_NEVER;
    if (client->state != NECPNET_CLIENT_CONNECTED) return;
    client->wants_renewal = true;
    nn_client_push(client, NECPNET_EVENT_TOKEN_NEEDED, "")->event.reason = client->renewal_reason;
}
