/* nn_server_send - messages to one peer, to all, to groups; kick and drain. */
#include "nn_server.h"

static nn_peer* server_live_peer(const necpnet_server* server, necpnet_peer peer)
{
    nn_peer* found = nn_server_find(server, peer);
    if (!found || found->has_ended) return NULL;
    bool is_live = nn_peer_is_suspended(found) || found->connection.state == NN_CONNECTION_OPEN ||
                   found->connection.state == NN_CONNECTION_LINGERING;
    return is_live ? found : NULL;
}

/* What is lost on the way to somebody who is away is lost here as well. */
static bool server_is_in_vain(const necpnet_server* server, const nn_peer* peer, int channel)
{
    return nn_peer_is_suspended(peer) && !nn_channel_is_reliable(server->endpoint.channels[channel].mode);
}

necpnet_result necpnet_server_send_with(necpnet_server* server, necpnet_peer peer, int channel, const void* data,
                                        size_t bytes, const necpnet_send_options* options)
{
    if (!server || !options) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_peer* found = server_live_peer(server, peer);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    necpnet_result result = nn_session_check(&server->endpoint.session_config, channel, data, bytes, options);
    if (result || server_is_in_vain(server, found, channel)) return result;
    result = nn_session_send(&found->session, channel, data, bytes, options, server->endpoint.now_us);
    if (result == NECPNET_OK) nn_server_mark_dirty(server, found);
    nn_server_count_kept(server, found);
    nn_server_bound_kept(server);
    return result;
}

necpnet_result necpnet_server_send(necpnet_server* server, necpnet_peer peer, int channel, const void* data,
                                   size_t bytes)
{
    static const necpnet_send_options none = {NULL, false, 0, false, 0};
    return necpnet_server_send_with(server, peer, channel, data, bytes, &none);
}

/* A message on its way to many. */
typedef struct server_cast {
    nn_payload* payload;
    int channel;
    const necpnet_send_options* options;
    size_t refused;
} server_cast;

static necpnet_result server_cast_begin(necpnet_server* server, int channel, const void* data, size_t bytes,
                                        const necpnet_send_options* options, server_cast* out)
{
    const nn_session_config* config = &server->endpoint.session_config;
    necpnet_result result = nn_session_check(config, channel, data, bytes, options);
    if (result) return result;
    out->payload = nn_payload_create(&server->endpoint.blocks, data, bytes, options ? options->name : NULL,
                                     config->channels[channel].compress);
    out->channel = channel;
    out->options = options;
    out->refused = 0;
    return out->payload ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

static void server_cast_to(necpnet_server* server, server_cast* cast, nn_peer* peer)
{
    if (server_is_in_vain(server, peer, cast->channel)) return;
    necpnet_result result =
        nn_session_send_payload(&peer->session, cast->channel, cast->payload, cast->options, server->endpoint.now_us);
    if (result == NECPNET_OK) {
        nn_server_mark_dirty(server, peer);
    } else {
        cast->refused++;
    }
    nn_server_count_kept(server, peer);
}

necpnet_result necpnet_server_broadcast(necpnet_server* server, necpnet_peer except, int channel, const void* data,
                                        size_t bytes, const necpnet_send_options* options, size_t* out_refused)
{
    server_cast cast;
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = server_cast_begin(server, channel, data, bytes, options, &cast);
    if (result) return result;
    for (uint32_t slot = 0; slot < server->slot_count; slot++) {
        nn_peer* peer = server->peers[slot];
        if (!peer || nn_peer_name(peer) == except || peer->has_ended) continue;
        if (peer->connection.state != NN_CONNECTION_OPEN && !nn_peer_is_suspended(peer)) continue;
        server_cast_to(server, &cast, peer);
    }
    nn_payload_release(cast.payload);
    nn_server_bound_kept(server);
    if (out_refused) *out_refused = cast.refused;
    return NECPNET_OK;
}

/* -- groups -- */

static nn_group* server_group(const necpnet_server* server, necpnet_group group)
{
    if (group == 0 || group > server->group_capacity || !server->groups[group - 1].is_used) return NULL;
    return &server->groups[group - 1];
}

necpnet_result necpnet_server_group_create(necpnet_server* server, necpnet_group* out_group)
{
    if (!server || !out_group) return NECPNET_ERR_INVALID_ARGUMENT;
    uint32_t index = 0;
    while (index < server->group_capacity && server->groups[index].is_used) index++;
    if (index == NN_GROUPS_MAX) return NECPNET_ERR_LIMIT_REACHED;
    if (index == server->group_capacity) {
        uint32_t capacity = server->group_capacity ? server->group_capacity * 2 : 16;
        if (capacity > NN_GROUPS_MAX) capacity = NN_GROUPS_MAX;
        nn_group* groups =
            (nn_group*)nn_alloc_grow(&server->endpoint.alloc, server->groups, server->group_capacity * sizeof(nn_group),
                                     capacity * sizeof(nn_group));
        if (!groups) return NECPNET_ERR_OUT_OF_MEMORY;
        server->groups = groups;
        server->group_capacity = capacity;
    }
    server->groups[index].is_used = true;
    *out_group = index + 1;
    return NECPNET_OK;
}

static void server_clear_group(necpnet_server* server, nn_group* group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        nn_peer* peer = nn_server_find(server, group->members[i]);
        if (peer) peer->group_count--;
    }
    nn_alloc_give(&server->endpoint.alloc, group->members, group->capacity * sizeof(necpnet_peer));
    memset(group, 0, sizeof *group);
}

necpnet_result necpnet_server_group_destroy(necpnet_server* server, necpnet_group group)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_group* found = server_group(server, group);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    server_clear_group(server, found);
    return NECPNET_OK;
}

/* The place of a member, or where it belongs. */
static uint32_t server_group_place(const nn_group* group, necpnet_peer peer)
{
    uint32_t low = 0, high = group->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (group->members[middle] < peer) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

necpnet_result necpnet_server_group_add(necpnet_server* server, necpnet_group group, necpnet_peer peer)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_group* found = server_group(server, group);
    nn_peer* member = server_live_peer(server, peer);
    if (!found || !member) return NECPNET_ERR_NOT_FOUND;
    uint32_t place = server_group_place(found, peer);
    if (place < found->count && found->members[place] == peer) return NECPNET_OK;
    if (found->count == found->capacity) {
        uint32_t capacity = found->capacity ? found->capacity * 2 : 8;
        necpnet_peer* members =
            (necpnet_peer*)nn_alloc_grow(&server->endpoint.alloc, found->members,
                                         found->capacity * sizeof(necpnet_peer), capacity * sizeof(necpnet_peer));
        if (!members) return NECPNET_ERR_OUT_OF_MEMORY;
        found->members = members;
        found->capacity = capacity;
    }
    memmove(found->members + place + 1, found->members + place, (found->count - place) * sizeof(necpnet_peer));
    found->members[place] = peer;
    found->count++;
    member->group_count++;
    return NECPNET_OK;
}

static bool server_group_drop(nn_group* group, necpnet_peer peer)
{
    uint32_t place = server_group_place(group, peer);
    if (place == group->count || group->members[place] != peer) return false;
    group->count--;
    memmove(group->members + place, group->members + place + 1, (group->count - place) * sizeof(necpnet_peer));
    return true;
}

necpnet_result necpnet_server_group_remove(necpnet_server* server, necpnet_group group, necpnet_peer peer)
{
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_group* found = server_group(server, group);
    nn_peer* member = nn_server_find(server, peer);
    if (!found || !member || !server_group_drop(found, peer)) return NECPNET_ERR_NOT_FOUND;
    member->group_count--;
    return NECPNET_OK;
}

necpnet_result necpnet_server_group_send(necpnet_server* server, necpnet_group group, necpnet_peer except, int channel,
                                         const void* data, size_t bytes, const necpnet_send_options* options,
                                         size_t* out_refused)
{
    server_cast cast;
    if (!server) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_group* found = server_group(server, group);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    necpnet_result result = server_cast_begin(server, channel, data, bytes, options, &cast);
    if (result) return result;
    for (uint32_t i = 0; i < found->count; i++) {
        nn_peer* peer = found->members[i] == except ? NULL : server_live_peer(server, found->members[i]);
        if (peer) server_cast_to(server, &cast, peer);
    }
    nn_payload_release(cast.payload);
    nn_server_bound_kept(server);
    if (out_refused) *out_refused = cast.refused;
    return NECPNET_OK;
}

NN_PRIVATE void nn_server_leave_groups(necpnet_server* server, nn_peer* peer)
{
    necpnet_peer name = nn_peer_name(peer);
    for (uint32_t i = 0; i < server->group_capacity && peer->group_count; i++) {
        if (server->groups[i].is_used && server_group_drop(&server->groups[i], name)) peer->group_count--;
    }
}

NN_PRIVATE void nn_server_reset_groups(necpnet_server* server)
{
    for (uint32_t i = 0; i < server->group_capacity; i++) server_clear_group(server, &server->groups[i]);
    nn_alloc_give(&server->endpoint.alloc, server->groups, server->group_capacity * sizeof(nn_group));
    server->groups = NULL;
    server->group_capacity = 0;
}

/* -- ending -- */

necpnet_result necpnet_server_kick(necpnet_server* server, necpnet_peer peer, uint32_t code, const char* text,
                                   uint32_t linger_ms)
{
    if (!server || (text && strlen(text) > NECPNET_REASON_BYTES_MAX)) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_peer* found = server_live_peer(server, peer);
    if (!found) return NECPNET_ERR_NOT_FOUND;
    nn_close close = nn_close_of(NECPNET_ERR_KICKED, code, text);
    if (nn_peer_is_suspended(found)) {
        nn_server_end_peer(server, found, &close);
        return NECPNET_OK;
    }
    nn_connection_close(&found->connection, &close, linger_ms, server->endpoint.now_us);
    nn_server_mark_dirty(server, found);
    return NECPNET_OK;
}

necpnet_result necpnet_server_drain(necpnet_server* server, uint32_t retry_ms)
{
    if (!server || retry_ms > NN_CLOSE_RETRY_MS_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    server->is_draining = true;
    server->drain_retry_ms = retry_ms;
    for (uint32_t slot = 0; slot < server->slot_count; slot++) {
        nn_peer* peer = server->peers[slot];
        if (!peer) continue;
        nn_close close = nn_close_of(NECPNET_ERR_DRAINING, 0, "the server is shutting down");
        close.has_retry = true;
        close.retry_ms = (uint32_t)nn_random_below(&server->endpoint.random, (uint64_t)retry_ms + 1);
        if (nn_peer_is_suspended(peer)) {
            nn_server_end_peer(server, peer, &close);
            continue;
        }
        nn_connection_close(&peer->connection, &close, 1000, server->endpoint.now_us);
        nn_server_mark_dirty(server, peer);
    }
    return NECPNET_OK;
}
