/* nn_server_facts - what a server tells about its peers and itself, and what is set per peer. */
#include "nn_server.h"

size_t necpnet_server_budget(const necpnet_server* server, necpnet_peer peer)
{
    const nn_peer* found = server ? nn_server_find(server, peer) : NULL;
    return found ? nn_connection_budget(&found->connection, server->endpoint.now_us) : 0;
}

necpnet_result necpnet_server_get_peer(const necpnet_server* server, necpnet_peer peer, necpnet_peer_info* out_info)
{
    if (!server || !out_info) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_peer* found = nn_server_find(server, peer);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    memset(out_info, 0, sizeof *out_info);
    out_info->peer = peer;
    out_info->address = found->connection.address;
    out_info->transport = (necpnet_transport_kind)found->connection.transport;
    out_info->identity = nn_peer_get_identity(found);
    out_info->connected = !found->has_ended && !nn_peer_is_suspended(found);
    out_info->suspended = nn_peer_is_suspended(found);
    out_info->connected_us = found->connected_us;
    out_info->heard_us = found->connection.heard_us;
    out_info->input_tick = found->connection.input_receiver.tick;
    return NECPNET_OK;
}

necpnet_peer necpnet_server_next_peer(const necpnet_server* server, necpnet_peer peer)
{
    if (!server) return NECPNET_PEER_NONE;
    for (uint32_t slot = (uint32_t)peer; slot < server->slot_count; slot++) {
        const nn_peer* found = server->peers[slot];
        if (found && !found->has_ended) return nn_peer_name(found);
    }
    return NECPNET_PEER_NONE;
}

necpnet_result necpnet_server_get_peer_statistics(const necpnet_server* server, necpnet_peer peer,
                                                  necpnet_statistics* out_statistics)
{
    if (!server || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_peer* found = nn_server_find(server, peer);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    nn_connection_statistics(&found->connection, server->endpoint.now_us, out_statistics);
    return NECPNET_OK;
}

necpnet_result necpnet_server_get_channel_statistics(const necpnet_server* server, necpnet_peer peer, int channel,
                                                     necpnet_channel_statistics* out_statistics)
{
    if (!server || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_peer* found = nn_server_find(server, peer);
    return found ? nn_session_get_channel_statistics(&found->session, channel, out_statistics) : NECPNET_ERR_NOT_FOUND;
}

NN_PRIVATE void nn_server_count_traffic(const nn_connection* connection, necpnet_server_statistics* sums)
{
    bool is_udp = nn_connection_is_udp(connection);
    necpnet_traffic* traffic = is_udp ? &sums->udp : &sums->websocket;
    traffic->packets_sent += connection->packets_sent;
    traffic->packets_received += connection->packets_received;
    traffic->bytes_sent += connection->bytes_sent;
    traffic->bytes_received += connection->bytes_received;
    if (connection->udp) traffic->packets_lost += connection->udp->recovery.packets_lost;
}

NN_PRIVATE void nn_server_count_peer(const necpnet_server* server, const nn_peer* peer, necpnet_server_statistics* sums)
{
    nn_server_count_traffic(&peer->connection, sums);
    for (int i = 0; i < server->endpoint.channel_count; i++) {
        necpnet_channel_statistics channel;
        if (nn_session_get_channel_statistics(&peer->session, i, &channel)) continue;
        sums->messages_sent += channel.messages_sent;
        sums->messages_received += channel.messages_received;
    }
}

necpnet_result necpnet_server_get_statistics(const necpnet_server* server, necpnet_server_statistics* out_statistics)
{
    if (!server || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_server_statistics out = server->totals;
    for (uint32_t slot = 0; slot < server->slot_count; slot++) {
        const nn_peer* peer = server->peers[slot];
        if (!peer) continue;
        nn_server_count_peer(server, peer, &out);
        if (peer->has_ended || nn_peer_is_suspended(peer)) continue;
        if (peer->connection.transport == NECPNET_TRANSPORT_UDP) {
            out.peers_udp++;
        } else {
            out.peers_websocket++;
        }
    }
    out.peers = server->peer_count;
    out.peers_connected = server->connected_count;
    out.peers_suspended = server->suspended_count;
    out.web_connections = server->endpoint.web ? nn_web_connection_count(server->endpoint.web) : 0;
    necpnet_web_statistics web;
    if (necpnet_web_get_statistics(server->endpoint.web, &web) == NECPNET_OK) {
        out.deflate_bytes_saved = web.deflated_bytes - web.deflated_wire_bytes;
    }
    out.memory_bytes = server->endpoint.alloc.bytes + sizeof *server;
    out.memory_peak_bytes = server->endpoint.alloc.bytes_peak + sizeof *server;
    out.tick = necpnet_server_tick(server);
    *out_statistics = out;
    return NECPNET_OK;
}

necpnet_result necpnet_server_set_loading(necpnet_server* server, necpnet_peer peer, bool loading)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_peer* found = nn_server_find(server, peer);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    nn_connection_set_patience(&found->connection, loading, found->connection.suspended);
    nn_server_mark_dirty(server, found);
    return NECPNET_OK;
}

necpnet_result necpnet_server_set_bandwidth_limit(necpnet_server* server, necpnet_peer peer, uint32_t bytes_per_s)
{
    if (!server || bytes_per_s < 1000) return NECPNET_ERR_INVALID_ARGUMENT;
    if (peer == NECPNET_PEER_NONE) {
        server->config.bandwidth_limit = bytes_per_s;
        return NECPNET_OK;
    }
    nn_peer* found = nn_server_find(server, peer);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    necpnet_result result = nn_connection_set_limit(&found->connection, bytes_per_s);
    if (result) return result;
    nn_server_mark_dirty(server, found);
    return NECPNET_OK;
}

necpnet_result necpnet_server_set_peer_user_data(necpnet_server* server, necpnet_peer peer, void* user_data)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_peer* found = nn_server_find(server, peer);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    found->user_data = user_data;
    return NECPNET_OK;
}

void* necpnet_server_get_peer_user_data(const necpnet_server* server, necpnet_peer peer)
{
    const nn_peer* found = server ? nn_server_find(server, peer) : NULL;
    return found ? found->user_data : NULL;
}
