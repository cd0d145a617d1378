/* nn_server_peers - slots, ids, the lists of peers with something to send and something to poll. */
#include "nn_server.h"

#include "nn_hash.h"
#include "nn_voice_hub.h"

NN_PRIVATE necpnet_peer nn_peer_name(const nn_peer* peer)
{
    return (necpnet_peer)peer->generation << 32 | (peer->slot + 1);
}

NN_PRIVATE nn_peer* nn_server_find(const necpnet_server* server, necpnet_peer peer)
{
    uint32_t slot = (uint32_t)peer - 1;
    if (slot >= server->slot_count || !server->peers[slot]) return NULL;
    nn_peer* found = server->peers[slot];
    return found->generation == (uint32_t)(peer >> 32) ? found : NULL;
}

/* 8 bits worker, 24 bits slot and what tells its connections apart. */
NN_PRIVATE uint32_t nn_server_new_connection_id(necpnet_server* server, const nn_peer* peer)
{
    return server->worker << 24 | ((++server->carriers[peer->slot] << server->slot_bits | peer->slot) & 0xffffffu);
}

NN_PRIVATE nn_peer* nn_server_find_connection(const necpnet_server* server, uint32_t connection_id)
{
    uint32_t slot = connection_id & ((1u << server->slot_bits) - 1u);
    if (slot >= server->slot_count || !server->peers[slot]) return NULL;
    nn_peer* peer = server->peers[slot];
    bool is_udp = peer->connection.transport == NECPNET_TRANSPORT_UDP;
    if (is_udp && peer->connection.udp->local_id == connection_id) return peer;
    return peer->offer && peer->offer->local_id == connection_id ? peer : NULL;
}

static nn_peer** server_bucket(necpnet_server* server, const necpnet_address* address)
{
    uint64_t hash = nn_siphash64(server->bucket_key, address->bytes, sizeof address->bytes);
    return &server->buckets[hash & (NN_PEER_ADDRESS_BUCKETS - 1)];
}

static bool server_is_crowded(necpnet_server* server, const necpnet_address* address)
{
    uint32_t count = 0;
    for (const nn_peer* peer = *server_bucket(server, address); peer; peer = peer->next_in_bucket) {
        if (memcmp(peer->connection.address.bytes, address->bytes, sizeof address->bytes) != 0) continue;
        if (peer->has_ended) continue;
        if (++count >= server->config.peers_per_address_max) return true;
    }
    return false;
}

/* By the address of its connection. */
static void server_enter_bucket(necpnet_server* server, nn_peer* peer)
{
    nn_peer** bucket = server_bucket(server, &peer->connection.address);
    peer->previous_in_bucket = NULL;
    peer->next_in_bucket = *bucket;
    if (*bucket) (*bucket)->previous_in_bucket = peer;
    *bucket = peer;
}

static void server_leave_bucket(necpnet_server* server, nn_peer* peer, const necpnet_address* address)
{
    if (peer->next_in_bucket) peer->next_in_bucket->previous_in_bucket = peer->previous_in_bucket;
    if (peer->previous_in_bucket) {
        peer->previous_in_bucket->next_in_bucket = peer->next_in_bucket;
    } else {
        *server_bucket(server, address) = peer->next_in_bucket;
    }
}

NN_PRIVATE void nn_server_peer_moved(necpnet_server* server, nn_peer* peer, const necpnet_address* before)
{
    server_leave_bucket(server, peer, before);
    server_enter_bucket(server, peer);
    if (server->endpoint.logger.level > NECPNET_LOG_INFO || !server->endpoint.logger.write) return;
    char from[NECPNET_ADDRESS_TEXT_BYTES_MAX] = "?", to[NECPNET_ADDRESS_TEXT_BYTES_MAX] = "?";
    necpnet_address_format(before, from, sizeof from);
    necpnet_address_format(&peer->connection.address, to, sizeof to);
    nn_log_write(&server->endpoint.logger, NECPNET_LOG_INFO, "a peer moved from %s to %s", from, to);
}

static necpnet_result server_grow_slots(necpnet_server* server)
{
    uint32_t capacity = server->slot_capacity ? server->slot_capacity * 2 : 16;
    uint32_t most = server->config.peers_max + NN_SPARE_SLOTS;
    if (capacity > most) capacity = most;
    uint32_t old = server->slot_capacity;
    nn_alloc* alloc = &server->endpoint.alloc;
    nn_peer** peers = (nn_peer**)nn_alloc_take(alloc, capacity * sizeof(nn_peer*));
    uint32_t* generations = (uint32_t*)nn_alloc_take(alloc, capacity * sizeof(uint32_t));
    uint32_t* carriers = (uint32_t*)nn_alloc_take(alloc, capacity * sizeof(uint32_t));
    uint32_t* free_slots = (uint32_t*)nn_alloc_take(alloc, capacity * sizeof(uint32_t));
    if (!peers || !generations || !carriers || !free_slots || nn_deadlines_reserve(&server->deadlines, capacity)) {
        nn_alloc_give(alloc, peers, capacity * sizeof(nn_peer*));
        nn_alloc_give(alloc, generations, capacity * sizeof(uint32_t));
        nn_alloc_give(alloc, carriers, capacity * sizeof(uint32_t));
        nn_alloc_give(alloc, free_slots, capacity * sizeof(uint32_t));
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    nn_copy(peers, server->peers, old * sizeof(nn_peer*));
    nn_copy(generations, server->generations, old * sizeof(uint32_t));
    nn_copy(carriers, server->carriers, old * sizeof(uint32_t));
    nn_copy(free_slots, server->free_slots, server->free_count * sizeof(uint32_t));
    nn_alloc_give(alloc, server->peers, old * sizeof(nn_peer*));
    nn_alloc_give(alloc, server->generations, old * sizeof(uint32_t));
    nn_alloc_give(alloc, server->carriers, old * sizeof(uint32_t));
    nn_alloc_give(alloc, server->free_slots, old * sizeof(uint32_t));
    server->peers = peers;
    server->generations = generations;
    server->carriers = carriers;
    server->free_slots = free_slots;
    server->slot_capacity = capacity;
    return NECPNET_OK;
}

NN_PRIVATE nn_peer_proof* nn_peer_take_proof(nn_peer* peer)
{
    nn_alloc* alloc = &peer->server->endpoint.alloc;
    if (!peer->proof) peer->proof = (nn_peer_proof*)nn_alloc_take(alloc, sizeof *peer->proof);
    return peer->proof;
}

NN_PRIVATE necpnet_result nn_peer_set_identity(nn_peer* peer, const necpnet_identity* identity)
{
    static const nn_peer_proof none = {{0}, {0}, 0, 0, 0};
    bool has_proof = identity->expires_us || memcmp(identity->user_data, none.user_data, sizeof none.user_data) != 0 ||
                     memcmp(identity->token_id, none.token_id, sizeof none.token_id) != 0;
    if (has_proof && !nn_peer_take_proof(peer)) return NECPNET_ERR_OUT_OF_MEMORY;
    if (peer->proof) {
        memcpy(peer->proof->user_data, identity->user_data, sizeof peer->proof->user_data);
        memcpy(peer->proof->token_id, identity->token_id, sizeof peer->proof->token_id);
        peer->proof->expires_us = identity->expires_us;
    }
    peer->client_id = identity->client_id;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_identity nn_peer_get_identity(const nn_peer* peer)
{
    necpnet_identity identity;
    memset(&identity, 0, sizeof identity);
    identity.client_id = peer->client_id;
    identity.expires_us = nn_peer_expires_us(peer);
    if (peer->proof) {
        memcpy(identity.user_data, peer->proof->user_data, sizeof identity.user_data);
        memcpy(identity.token_id, peer->proof->token_id, sizeof identity.token_id);
    }
    return identity;
}

static bool peer_deliver_input(void* user, uint32_t tick, const void* data, size_t bytes)
{
    nn_peer* peer = (nn_peer*)user;
    necpnet_server* server = peer->server;
    uint32_t capacity = 0;
    nn_peer_input* input;
    if (peer->input_count == NN_PEER_INPUTS_MAX) {
        nn_log_write(&server->endpoint.logger, NECPNET_LOG_WARNING, "input of tick %u dropped: %u wait to be polled",
                     (unsigned)tick, (unsigned)peer->input_count);
        return true;
    }
    input = (nn_peer_input*)nn_blocks_take(&server->endpoint.blocks, sizeof *input + bytes, &capacity);
    if (!input) return false;
    input->tick = tick;
    input->bytes = (uint32_t)bytes;
    input->capacity = capacity;
    nn_copy(input + 1, data, bytes);
    input->next = peer->last_input ? peer->last_input->next : input;
    if (peer->last_input) peer->last_input->next = input;
    peer->last_input = input;
    peer->input_count++;
    nn_server_mark_ready(server, peer);
    return true;
}

NN_PRIVATE nn_peer_input* nn_peer_pop_input(nn_peer* peer)
{
    if (!peer->last_input) return NULL;
    nn_peer_input* first = peer->last_input->next;
    if (first == peer->last_input) {
        peer->last_input = NULL;
    } else {
        peer->last_input->next = first->next;
    }
    peer->input_count--;
    return first;
}

NN_PRIVATE void nn_server_move(necpnet_server* server, nn_peer* peer, const necpnet_address* address)
{
    necpnet_address before = peer->connection.address;
    peer->connection.address = *address;
    server_leave_bucket(server, peer, &before);
    server_enter_bucket(server, peer);
}

/* Somebody suspended at the same address gives way. */
static bool server_make_room_at(necpnet_server* server, const necpnet_address* address)
{
    for (nn_peer* peer = server->first_suspended; peer; peer = peer->wait->next) {
        if (memcmp(peer->connection.address.bytes, address->bytes, sizeof address->bytes) != 0) continue;
        nn_close close = nn_close_of(NECPNET_ERR_LIMIT_REACHED, 0, "given up before its time: peers_per_address_max");
        nn_server_end_peer(server, peer, &close);
        return true;
    }
    return false;
}

static bool server_is_full(necpnet_server* server, const necpnet_address* address)
{
    uint32_t most = server->config.peers_max;
    if (server->peer_count - server->ended_count >= most && !nn_server_make_room(server)) return true;
    if (server->peer_count >= most + NN_SPARE_SLOTS) return true;
    return server_is_crowded(server, address) && !server_make_room_at(server, address);
}

static nn_peer* server_take_peer(necpnet_server* server)
{
    if (server->free_count == 0 && server->slot_count == server->slot_capacity && server_grow_slots(server))
        return NULL;
    return (nn_peer*)nn_alloc_take(&server->endpoint.alloc, sizeof(nn_peer));
}

static void server_give_peer(necpnet_server* server, nn_peer* peer)
{
    nn_alloc_give(&server->endpoint.alloc, peer->wait, sizeof *peer->wait);
    nn_alloc_give(&server->endpoint.alloc, peer->proof, sizeof *peer->proof);
    nn_alloc_give(&server->endpoint.alloc, peer, sizeof *peer);
}

NN_PRIVATE void nn_server_leave_voice(necpnet_server* server, nn_peer* peer)
{
    if (!NECPNET_WITH_VOICE || !server->config.voice_hub) return;
    nn_voice_hub_detach(server->config.voice_hub, nn_peer_name(peer));
    peer->connection.voice = NULL;
    peer->connection.speaks = false;
}

static bool peer_take_control(void* user, uint8_t kind, const uint8_t* data, size_t bytes)
{
    nn_peer* peer = (nn_peer*)user;
    if (NECPNET_WITH_VOICE && kind == NN_CONTROL_VOICE_WISH && peer->server->config.voice_hub) {
        return nn_voice_hub_take_wish(peer->server->config.voice_hub, nn_peer_name(peer), data, bytes);
    }
    if (kind == NN_CONTROL_CREDENTIAL) return nn_peer_read_credential(peer->server, peer, data, bytes);
    return true; /* of a later version */
}

NN_PRIVATE void nn_server_init_settings(necpnet_server* server)
{
    nn_connection_settings* settings = &server->endpoint.settings;
    settings->world = server->config.world;
    settings->deliver_input = peer_deliver_input;
    settings->take_control = peer_take_control;
}

NN_PRIVATE necpnet_result nn_server_admit(necpnet_server* server, const necpnet_identity* identity,
                                          const necpnet_address* address, nn_peer** out_peer)
{
    necpnet_result result = nn_server_may_join(server, identity);
    if (result) return result;
    if (server_is_full(server, address)) return NECPNET_ERR_SERVER_FULL;
    nn_peer* peer = server_take_peer(server);
    /* what a suspended session held is free again, whether or not its end was polled */
    if (!peer && nn_server_make_room(server)) peer = server_take_peer(server);
    if (!peer) return NECPNET_ERR_OUT_OF_MEMORY;
    peer->server = server;
    result = nn_peer_set_identity(peer, identity);
    if (!result && !nn_endpoint_random(&server->endpoint, peer->tag, sizeof peer->tag)) result = NECPNET_ERR_NO_ENTROPY;
    if (result) {
        server_give_peer(server, peer);
        return result;
    }
    peer->tag[0] |= 1; /* 0 is no session */
    peer->slot = server->free_count ? server->free_slots[--server->free_count] : server->slot_count++;
    peer->generation = ++server->generations[peer->slot];
    peer->kind = NN_CARRIER_PEER;
    peer->connected_us = server->endpoint.now_us;
    peer->ticket_issued = server->worker << 24; /* its first byte tells workers whose it is */
    peer->ticket_floor = peer->ticket_issued + 1;
    peer->ticket_due_us = NN_NEVER;
    nn_session_init(&peer->session, &server->endpoint.session_config);
    nn_connection_init(&peer->connection, &server->endpoint.settings, &peer->session);
    peer->connection.address = *address;
    peer->connection.deliver_user = peer;
    if (NECPNET_WITH_VOICE && server->config.voice_hub) {
        const nn_voice_port* port = NULL; /* without memory: a peer without voice */
        (void)nn_voice_hub_attach(server->config.voice_hub, nn_peer_name(peer), identity->client_id, &port);
        peer->connection.voice = port;
    }
    server_enter_bucket(server, peer);
    nn_peer** client = nn_server_client_bucket(server, identity->client_id);
    peer->next_client = *client;
    *client = peer;
    server->peers[peer->slot] = peer;
    server->peer_count++;
    *out_peer = peer;
    return NECPNET_OK;
}

static void server_unlink(nn_peer** first, nn_peer* peer, size_t next_offset)
{
    nn_peer** at = first;
    while (*at && *at != peer) at = (nn_peer**)(void*)((uint8_t*)*at + next_offset);
    if (*at) *at = *(nn_peer**)(void*)((uint8_t*)peer + next_offset);
}

NN_PRIVATE void nn_server_release(necpnet_server* server, nn_peer* peer)
{
    nn_server_count_peer(server, peer, &server->totals);
    nn_deadlines_set(&server->deadlines, &peer->deadline, NN_NEVER);
    server_leave_bucket(server, peer, &peer->connection.address);
    server_unlink(nn_server_client_bucket(server, peer->client_id), peer, offsetof(nn_peer, next_client));
    nn_server_drop_offer(server, peer);
    if (peer->has_ended) server->ended_count--;
    if (peer->is_dirty) server_unlink(&server->first_dirty, peer, offsetof(nn_peer, next_dirty));
    if (peer->is_ready) {
        server_unlink(&server->first_ready, peer, offsetof(nn_peer, next_ready));
        server->last_ready = server->first_ready;
        while (server->last_ready && server->last_ready->next_ready)
            server->last_ready = server->last_ready->next_ready;
    }
    if (server->polled == peer) server->polled = NULL;
    nn_peer_input* input;
    while ((input = nn_peer_pop_input(peer)) != NULL) {
        nn_blocks_give(&server->endpoint.blocks, input, input->capacity);
    }
    nn_server_leave_groups(server, peer);
    nn_server_leave_voice(server, peer);
    nn_connection_reset(&peer->connection);
    nn_session_reset(&peer->session);
    server->peers[peer->slot] = NULL;
    server->free_slots[server->free_count++] = peer->slot;
    server->peer_count--;
    server_give_peer(server, peer);
}

NN_PRIVATE void nn_server_mark_dirty(necpnet_server* server, nn_peer* peer)
{
    if (peer->is_dirty) return;
    peer->is_dirty = true;
    peer->next_dirty = server->first_dirty;
    server->first_dirty = peer;
}

NN_PRIVATE void nn_server_mark_ready(necpnet_server* server, nn_peer* peer)
{
    if (peer->is_ready) return;
    peer->is_ready = true;
    peer->next_ready = NULL;
    if (server->last_ready) {
        server->last_ready->next_ready = peer;
    } else {
        server->first_ready = peer;
    }
    server->last_ready = peer;
}
