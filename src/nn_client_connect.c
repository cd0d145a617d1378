/* nn_client_connect - what the application says of connecting: where to, who it is, and no more. */
#include "nn_client.h"

#include "nn_hash.h"

/* A token and the proof that we have its key, where no handshake shows it. */
NN_PRIVATE void nn_client_write_token(const nn_token_bundle* token, uint8_t* to)
{
    memcpy(to, token->sealed, NN_SETUP_TOKEN_BYTES);
    nn_siphash128(token->psk, token->sealed, NN_SETUP_TOKEN_BYTES, to + NN_SETUP_TOKEN_BYTES);
}

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
        nn_client_write_token(&bundle, credential);
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
