/* nn_server_credentials - how long a peer may stay: expiry, renewal in-band, revocation. */
#include "nn_server.h"

#include "nn_log.h"

/* ---- renewal -- */

static uint64_t server_expires_at_us(const necpnet_server* server, const nn_peer* peer)
{
    if (!nn_peer_expires_us(peer) || !server->has_wall) return NN_NEVER;
    uint64_t wall_us = nn_peer_expires_us(peer);
    return wall_us > server->wall_offset_us ? wall_us - server->wall_offset_us : 0;
}

NN_PRIVATE uint64_t nn_server_token_expiry_us(const necpnet_server* server)
{
    if (server->config.token_session_ms == UINT32_MAX) return 0;
    return nn_server_wall_us(server) + (uint64_t)server->config.token_session_ms * 1000;
}

NN_PRIVATE uint64_t nn_peer_credential_deadline_us(const necpnet_server* server, const nn_peer* peer)
{
    uint64_t at_us = server_expires_at_us(server, peer);
    if (at_us == NN_NEVER || (peer->proof && peer->proof->renewal_asked_us == nn_peer_expires_us(peer))) return at_us;
    return at_us > NN_RENEWAL_US ? at_us - NN_RENEWAL_US : 0;
}

NN_PRIVATE void nn_peer_update_credential(necpnet_server* server, nn_peer* peer)
{
    uint64_t now_us = server->endpoint.now_us;
    if (peer->connection.state != NN_CONNECTION_OPEN || now_us < nn_peer_credential_deadline_us(server, peer)) return;
    uint64_t at_us = server_expires_at_us(server, peer);
    if (now_us >= at_us) {
        nn_close close = nn_close_of(NECPNET_ERR_TOKEN_EXPIRED, 0, "the credential has expired and was not renewed");
        nn_connection_close(&peer->connection, &close, 0, now_us);
        return;
    }
    nn_peer_proof* proof = nn_peer_take_proof(peer);
    if (!proof) return; /* again with the peer's next turn */
    uint8_t message[5];
    message[0] = NN_CONTROL_RENEW;
    nn_store_u32(message + 1, (uint32_t)nn_min_u64((at_us - now_us) / 1000, UINT32_MAX));
    /* a queue that is full now is asked again with the peer's next turn */
    if (nn_session_send_control(&peer->session, message, sizeof message)) return;
    proof->renewal_asked_us = nn_peer_expires_us(peer);
}

/* Who a credential of kind NN_CREDENTIAL_* names. */
static necpnet_result server_judge_credential(necpnet_server* server, const nn_peer* peer, const uint8_t* data,
                                              size_t bytes, necpnet_identity* out)
{
    memset(out, 0, sizeof *out);
    if (bytes == 1 + NN_SETUP_TOKEN_BYTES + NN_SETUP_PROOF_BYTES && data[0] == NN_CREDENTIAL_TOKEN) {
        necpnet_result result = nn_handshake_server_check_token(
            server->handshake, data + 1, data + 1 + NN_SETUP_TOKEN_BYTES, nn_server_wall_us(server), out);
        out->expires_us = nn_server_token_expiry_us(server);
        return result;
    }
    char text[NN_SETUP_TEXT_BYTES_MAX + 1];
    if (data[0] != NN_CREDENTIAL_TEXT || bytes < 2 || bytes - 1 > NN_SETUP_TEXT_BYTES_MAX ||
        memchr(data + 1, 0, bytes - 1) || !server->config.authorize) {
        return NECPNET_ERR_TOKEN_INVALID;
    }
    memcpy(text, data + 1, bytes - 1);
    text[bytes - 1] = '\0';
    necpnet_result result =
        server->config.authorize(text, &peer->connection.address, out, server->config.authorize_user);
    nn_wipe(text, sizeof text);
    return (int)result > 0 ? NECPNET_ERR_TOKEN_INVALID : result;
}

NN_PRIVATE bool nn_peer_read_credential(necpnet_server* server, nn_peer* peer, const uint8_t* data, size_t bytes)
{
    if (bytes < 2) return false;
    necpnet_identity identity;
    necpnet_result result = NECPNET_ERR_RATE_LIMITED;
    uint64_t now_us = server->endpoint.now_us;
    nn_peer_proof* proof = nn_peer_take_proof(peer);
    if (!proof) {
        result = NECPNET_ERR_OUT_OF_MEMORY;
    } else if (!proof->judged_us || now_us >= proof->judged_us + NN_RENEWAL_INTERVAL_US) {
        proof->judged_us = nn_max_u64(now_us, 1);
        result = server_judge_credential(server, peer, data, bytes, &identity);
        /* a session stays its user's */
        if (!result && identity.client_id != peer->client_id) result = NECPNET_ERR_TOKEN_INVALID;
        if (!result) result = nn_peer_set_identity(peer, &identity);
    }
    uint8_t answer[5];
    answer[0] = NN_CONTROL_RENEWED;
    nn_store_u32(answer + 1, (uint32_t)(-(int)result));
    nn_session_send_control(&peer->session, answer, sizeof answer); /* unsent: the client asks itself or expires */
    nn_server_mark_dirty(server, peer);
    return true;
}

/* ---- revocation -- */

/* Sessions that the revocation means end now, whatever is queued for them. */
static void server_end_revoked(necpnet_server* server, bool by_client, uint64_t client_id, const uint8_t* token_id)
{
    static const uint8_t none[NECPNET_TOKEN_ID_BYTES] = {0};
    nn_close close = nn_close_of(NECPNET_ERR_TOKEN_REVOKED, 0, necpnet_result_text(NECPNET_ERR_TOKEN_REVOKED));
    for (uint32_t slot = 0; slot < server->slot_count; slot++) {
        nn_peer* peer = server->peers[slot];
        if (!peer || peer->has_ended) continue;
        const uint8_t* its_token = peer->proof ? peer->proof->token_id : none;
        bool is_meant =
            by_client ? peer->client_id == client_id : memcmp(its_token, token_id, NECPNET_TOKEN_ID_BYTES) == 0;
        if (!is_meant) continue;
        if (nn_peer_is_suspended(peer)) {
            nn_server_end_peer(server, peer, &close);
            continue;
        }
        nn_connection_close(&peer->connection, &close, 0, server->endpoint.now_us);
        nn_server_mark_dirty(server, peer);
    }
}

necpnet_result necpnet_server_revoke_client(necpnet_server* server, uint64_t client_id)
{
    if (!server || client_id == 0) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!server->has_wall) return NECPNET_ERR_INVALID_STATE;
    nn_handshake_server_revoke_client(server->handshake, client_id, nn_server_wall_us(server));
    server_end_revoked(server, true, client_id, NULL);
    return NECPNET_OK;
}

necpnet_result necpnet_server_revoke_token(necpnet_server* server, const uint8_t* token_id)
{
    static const uint8_t none[NECPNET_TOKEN_ID_BYTES] = {0};
    if (!server || !token_id || memcmp(token_id, none, sizeof none) == 0) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!server->has_wall) return NECPNET_ERR_INVALID_STATE;
    nn_handshake_server_revoke_token(server->handshake, token_id, nn_server_wall_us(server));
    server_end_revoked(server, false, 0, token_id);
    return NECPNET_OK;
}

necpnet_result necpnet_server_set_token_epoch(necpnet_server* server, uint32_t epoch)
{
    if (!server || epoch < server->config.token_epoch) return NECPNET_ERR_INVALID_ARGUMENT;
    server->config.token_epoch = epoch;
    nn_handshake_server_set_epoch(server->handshake, epoch);
    for (uint32_t i = 0; i < server->slot_count; i++) { /* the tickets that they have are of the epoch before */
        nn_peer* peer = server->peers[i];
        if (!peer || peer->ticket_due_us == NN_NEVER) continue;
        peer->ticket_due_us = server->endpoint.now_us;
        nn_server_mark_dirty(server, peer);
    }
    return NECPNET_OK;
}
