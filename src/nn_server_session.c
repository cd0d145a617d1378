/* nn_server_session - the life of a session beyond its connections: waiting, tickets, going on, take-over. */
#include "nn_server.h"

#include "nn_hash.h"

/* -- ending and waiting -- */

/* A loss that nobody decided. CLOSE in good order, a broken rule and a kick end the session. */
static bool session_may_wait(const necpnet_server* server, const nn_peer* peer)
{
    if (server->config.resume_window_ms == 0 || server->config.suspended_max == 0 || server->is_draining) return false;
    if (!peer->is_heard && peer->connection.packets_received == 0) return false; /* nobody has its ticket */
    return nn_connection_may_resume(&peer->connection);
}

static void session_unlink_suspended(necpnet_server* server, nn_peer* peer)
{
    nn_peer_wait* wait = peer->wait;
    if (!wait) return;
    if (wait->previous) {
        wait->previous->wait->next = wait->next;
    } else {
        server->first_suspended = wait->next;
    }
    if (wait->next) {
        wait->next->wait->previous = wait->previous;
    } else {
        server->last_suspended = wait->previous;
    }
    server->suspended_count--;
    server->kept_bytes -= wait->kept_bytes;
    nn_alloc_give(&server->endpoint.alloc, wait, sizeof *wait);
    peer->wait = NULL;
}

NN_PRIVATE void nn_server_end_peer(necpnet_server* server, nn_peer* peer, const nn_close* close)
{
    if (peer->has_ended) return;
    if (nn_peer_is_suspended(peer)) {
        session_unlink_suspended(server, peer);
    } else {
        server->connected_count--;
    }
    nn_server_drop_offer(server, peer);
    nn_connection_set_end(&peer->connection, close);
    peer->has_ended = true;
    peer->tell_suspended = peer->tell_resumed = peer->tell_moved = false;
    peer->tell_disconnected = true;
    peer->lost_count = (uint32_t)nn_min_u64(nn_session_unacked(&peer->session), UINT32_MAX);
    server->ended_count++;
    nn_server_leave_voice(server, peer);
    nn_session_discard(&peer->session);
    nn_connection_leave_web(&peer->connection);
    nn_server_leave_groups(server, peer);
    if (peer->connection.follower) {
        nn_world_unfollow(server->config.world, peer->connection.follower);
        peer->connection.follower = NULL;
    }
    if (server->config.world) {
        nn_world_end_peer(server->config.world, nn_peer_name(peer));
        nn_world_forget(server->config.world, nn_peer_name(peer));
    }
    nn_server_mark_ready(server, peer);
}

NN_PRIVATE bool nn_server_make_room(necpnet_server* server)
{
    nn_peer* oldest = server->first_suspended;
    if (!oldest) return false;
    nn_close close = nn_close_of(NECPNET_ERR_LIMIT_REACHED, 0, "given up before its time: too many sessions wait");
    nn_server_end_peer(server, oldest, &close);
    return true;
}

NN_PRIVATE void nn_server_count_kept(necpnet_server* server, nn_peer* peer)
{
    if (!nn_peer_is_suspended(peer)) return;
    server->kept_bytes -= peer->wait->kept_bytes;
    peer->wait->kept_bytes = nn_session_queued_bytes(&peer->session);
    server->kept_bytes += peer->wait->kept_bytes;
}

NN_PRIVATE void nn_server_bound_kept(necpnet_server* server)
{
    while (server->kept_bytes > server->config.suspended_bytes_max && nn_server_make_room(server)) {
    }
}

static void session_suspend(necpnet_server* server, nn_peer* peer, nn_peer_wait* wait)
{
    nn_server_count_traffic(&peer->connection, &server->totals);
    nn_connection_detach(&peer->connection);
    peer->is_heard = true;
    peer->ticket_shown = 0;
    wait->give_up_us = server->endpoint.now_us + (uint64_t)server->config.resume_window_ms * 1000;
    wait->previous = server->last_suspended;
    peer->wait = wait;
    if (wait->previous) {
        wait->previous->wait->next = peer;
    } else {
        server->first_suspended = peer;
    }
    server->last_suspended = peer;
    server->suspended_count++;
    server->connected_count--;
    peer->tell_suspended = true;
    nn_server_mark_ready(server, peer);
    nn_server_mark_dirty(server, peer); /* its deadline */
    if (server->suspended_count > server->config.suspended_max) nn_server_make_room(server);
    nn_server_count_kept(server, peer);
    nn_server_bound_kept(server);
}

NN_PRIVATE void nn_server_lose(necpnet_server* server, nn_peer* peer)
{
    if (peer->has_ended || nn_peer_is_suspended(peer)) return;
    nn_peer_wait* wait = NULL; /* without memory there is no waiting */
    if (session_may_wait(server, peer)) {
        wait = (nn_peer_wait*)nn_alloc_take(&server->endpoint.alloc, sizeof *wait);
    }
    if (wait) {
        session_suspend(server, peer, wait);
    } else {
        nn_close close = nn_connection_get_end(&peer->connection);
        nn_server_end_peer(server, peer, &close);
    }
}

/* -- going on -- */

NN_PRIVATE necpnet_result nn_server_resume(necpnet_server* server, nn_peer* peer, nn_connection_open* open)
{
    bool was_suspended = nn_peer_is_suspended(peer);
    peer->is_heard = true;
    nn_server_count_traffic(&peer->connection, &server->totals);
    nn_connection_detach(&peer->connection);
    nn_server_move(server, peer, open->address);
    open->resumed = true;
    open->follow = nn_peer_name(peer);
    open->bandwidth_limit = server->config.bandwidth_limit;
    open->seed = nn_random_u64(&server->endpoint.random);
    necpnet_result result = nn_connection_begin(&peer->connection, open, server->endpoint.now_us);
    if (result) {
        nn_close close = nn_close_of(NECPNET_ERR_OUT_OF_MEMORY, 0, necpnet_result_text(result));
        nn_connection_set_end(&peer->connection, &close);
        peer->connection.web = NULL; /* the caller's still */
        if (was_suspended) {
            nn_connection_detach(&peer->connection);
        } else {
            nn_server_lose(server, peer);
        }
        return result;
    }
    if (was_suspended) {
        session_unlink_suspended(server, peer);
        server->connected_count++;
        peer->tell_resumed = true;
    } else {
        peer->tell_moved = true;
    }
    peer->was_encrypted = peer->was_encrypted || open->encrypted;
    server->totals.sessions_resumed++;
    nn_server_mark_ready(server, peer);
    nn_server_mark_dirty(server, peer);
    return NECPNET_OK;
}

NN_PRIVATE void nn_server_drop_offer(necpnet_server* server, nn_peer* peer)
{
    nn_offer* offer = peer->offer;
    if (!offer) return;
    nn_aead_destroy(offer->keys.send);
    nn_aead_destroy(offer->keys.receive);
    nn_wipe(offer, sizeof *offer);
    nn_alloc_give(&server->endpoint.alloc, offer, sizeof *offer);
    peer->offer = NULL;
}

NN_PRIVATE necpnet_result nn_server_offer(necpnet_server* server, nn_peer* peer, nn_offer* offer)
{
    nn_server_drop_offer(server, peer);
    nn_offer* kept = (nn_offer*)nn_alloc_take(&server->endpoint.alloc, sizeof *kept);
    if (!kept) {
        nn_aead_destroy(offer->keys.send);
        nn_aead_destroy(offer->keys.receive);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    *kept = *offer;
    kept->until_us = server->endpoint.now_us + (uint64_t)server->config.handshake_timeout_ms * 1000;
    peer->offer = kept;
    nn_server_mark_dirty(server, peer);
    return NECPNET_OK;
}

NN_PRIVATE bool nn_server_take_offer(necpnet_server* server, nn_peer* peer, const necpnet_address* from,
                                     const uint8_t* data, size_t bytes)
{
    nn_offer* offer = peer->offer;
    nn_packet packet;
    necpnet_drop why;
    uint8_t* copy = server->endpoint.settings.scratch; /* the packet itself is opened by its connection */
    if (bytes > server->endpoint.settings.scratch_bytes) return false;
    memcpy(copy, data, bytes);
    if (!nn_packet_parse(copy, bytes, UINT64_MAX, &packet, &why)) return false;
    if (!nn_packet_open(offer->keys.receive, copy, bytes, UINT64_MAX, &packet, &why)) return false;
    nn_connection_open open;
    memset(&open, 0, sizeof open);
    open.address = from;
    open.encrypted = server->config.security != NECPNET_SECURITY_NONE;
    open.peer = &offer->setup;
    open.local_id = offer->local_id;
    open.remote_id = offer->remote_id;
    open.keys = &offer->keys;
    nn_server_spend(peer, offer->ticket_number);
    necpnet_result result = nn_server_resume(server, peer, &open);
    nn_server_drop_offer(server, peer);
    return result == NECPNET_OK;
}

/* -- tickets -- */

NN_PRIVATE bool nn_server_make_ticket(necpnet_server* server, nn_peer* peer, nn_ticket* out_ticket)
{
    if (server->config.resume_window_ms == 0) return false;
    uint64_t life_us = (uint64_t)server->config.ticket_lifetime_ms * 1000;
    uint64_t wall_us = nn_server_wall_us(server);
    memset(out_ticket, 0, sizeof *out_ticket);
    out_ticket->number = ++peer->ticket_issued;
    out_ticket->session = nn_peer_name(peer);
    memcpy(out_ticket->session_tag, peer->tag, sizeof peer->tag);
    out_ticket->client_id = peer->client_id;
    out_ticket->server_id = server->config.server_id;
    out_ticket->issued_us = wall_us;
    out_ticket->expires_us = wall_us ? wall_us + life_us : 0;
    out_ticket->identity_expires_us = nn_peer_expires_us(peer);
    out_ticket->epoch = server->config.token_epoch;
    out_ticket->flags = peer->was_encrypted ? NN_TICKET_ENCRYPTED : 0;
    if (peer->proof) memcpy(out_ticket->user_data, peer->proof->user_data, sizeof out_ticket->user_data);
    peer->ticket_due_us = server->endpoint.now_us + life_us / 2;
    return true;
}

NN_PRIVATE bool nn_server_write_ticket(necpnet_server* server, nn_peer* peer, uint8_t out[NN_TICKET_SHOWN_BYTES])
{
    nn_ticket ticket;
    uint8_t salt[NN_TICKET_SALT_BYTES];
    if (!nn_server_make_ticket(server, peer, &ticket)) return false;
    bool made = nn_endpoint_random(&server->endpoint, ticket.secret, sizeof ticket.secret) &&
                nn_endpoint_random(&server->endpoint, salt, sizeof salt) &&
                nn_ticket_seal(&server->ticket_keys, &ticket, salt, out + NN_SECRET_BYTES) == NECPNET_OK;
    memcpy(out, ticket.secret, NN_SECRET_BYTES);
    nn_wipe(&ticket, sizeof ticket);
    return made;
}

/* A ticket on CONTROL, in place of one that grows old. */
static void session_send_ticket(necpnet_server* server, nn_peer* peer)
{
    uint8_t message[1 + NN_TICKET_SHOWN_BYTES];
    message[0] = NN_CONTROL_TICKET;
    bool sent = nn_server_write_ticket(server, peer, message + 1) &&
                nn_session_send_control(&peer->session, message, sizeof message) == NECPNET_OK;
    if (!sent) peer->ticket_due_us = server->endpoint.now_us + NN_TICKET_RETRY_US;
    nn_wipe(message, sizeof message);
}

NN_PRIVATE void nn_server_spend(nn_peer* peer, uint32_t number)
{
    if (number >= peer->ticket_floor) peer->ticket_floor = number + 1;
}

/* The same client is here by another session: that is why this one is gone. */
static necpnet_result session_lost(const necpnet_server* server, const nn_ticket* ticket)
{
    bool replaces = server->config.take_over == NECPNET_TAKE_OVER_REPLACE && ticket->client_id;
    const nn_peer* other = replaces ? *nn_server_client_bucket((necpnet_server*)server, ticket->client_id) : NULL;
    for (; other; other = other->next_client) {
        if (other->client_id == ticket->client_id && !other->has_ended) return NECPNET_ERR_REPLACED;
    }
    return NECPNET_ERR_SESSION_LOST;
}

NN_PRIVATE necpnet_result nn_server_take(necpnet_server* server, const nn_ticket* ticket, bool encrypted,
                                         nn_peer** out_peer)
{
    if ((ticket->flags & NN_TICKET_ENCRYPTED) && !encrypted) return NECPNET_ERR_SESSION_LOST;
    nn_peer* peer = ticket->server_id == server->config.server_id ? nn_server_find(server, ticket->session) : NULL;
    bool is_here = peer && !peer->has_ended && nn_equal_constant_time(peer->tag, ticket->session_tag, sizeof peer->tag);
    if (!is_here) return session_lost(server, ticket);
    bool is_lost = peer->connection.state == NN_CONNECTION_CLOSED && nn_connection_may_resume(&peer->connection);
    bool goes_on = nn_peer_is_suspended(peer) || peer->connection.state == NN_CONNECTION_OPEN || is_lost;
    if (!goes_on) return NECPNET_ERR_SESSION_LOST;
    if (ticket->number < peer->ticket_floor || ticket->number > peer->ticket_issued) return NECPNET_ERR_TOKEN_SPENT;
    uint64_t wall_us = nn_server_wall_us(server);
    if (nn_peer_expires_us(peer) && wall_us >= nn_peer_expires_us(peer)) return NECPNET_ERR_TOKEN_EXPIRED;
    *out_peer = peer;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_server_take_stream(necpnet_server* server, const nn_setup* setup, nn_peer** out_peer,
                                                uint32_t* out_number)
{
    nn_ticket ticket;
    uint8_t proof[NN_TICKET_PROOF_BYTES];
    if (setup->credential_bytes != NN_TICKET_BYTES + NN_TICKET_PROOF_BYTES) return NECPNET_ERR_TOKEN_INVALID;
    /* a server that was restarted may have other keys: the client's way out is the same */
    if (!nn_ticket_open(&server->ticket_keys, setup->credential, NN_TICKET_BYTES, &ticket)) {
        return NECPNET_ERR_SESSION_LOST;
    }
    nn_ticket_proof(ticket.secret, setup->credential, proof);
    nn_wipe(ticket.secret, sizeof ticket.secret);
    uint64_t wall_us = nn_server_wall_us(server);
    necpnet_result result = NECPNET_OK;
    if (!nn_equal_constant_time(proof, setup->credential + NN_TICKET_BYTES, sizeof proof)) {
        result = NECPNET_ERR_TOKEN_INVALID;
    } else if ((ticket.expires_us && wall_us >= ticket.expires_us) || ticket.epoch < server->config.token_epoch) {
        result = NECPNET_ERR_TOKEN_EXPIRED;
    }
    if (!result) result = nn_server_take(server, &ticket, server->is_tls, out_peer);
    *out_number = ticket.number;
    return result;
}

/* -- the same client -- */

NN_PRIVATE nn_peer** nn_server_client_bucket(necpnet_server* server, uint64_t client_id)
{
    uint64_t hash = nn_siphash64(server->bucket_key, &client_id, sizeof client_id);
    return &server->clients[hash & (NN_PEER_CLIENT_BUCKETS - 1)];
}

NN_PRIVATE nn_peer* nn_server_find_session(const necpnet_server* server, const necpnet_identity* identity,
                                           uint64_t session_id, bool encrypted)
{
    if (session_id == 0 || identity->client_id == 0) return NULL;
    nn_peer* peer = *nn_server_client_bucket((necpnet_server*)server, identity->client_id);
    for (; peer; peer = peer->next_client) {
        if (peer->client_id != identity->client_id || peer->has_ended) continue;
        if (nn_load_u64(peer->tag) != session_id || (peer->was_encrypted && !encrypted)) continue;
        if (nn_peer_is_suspended(peer) || peer->connection.state == NN_CONNECTION_OPEN) return peer;
    }
    return NULL;
}

/* Whether a peer stands in the way of, or is replaced by, another of its client. */
static bool session_is_rival(const nn_peer* peer, uint64_t client_id)
{
    return peer->client_id == client_id && !peer->has_ended &&
           (nn_peer_is_suspended(peer) || peer->connection.state == NN_CONNECTION_OPEN);
}

NN_PRIVATE necpnet_result nn_server_may_join(const necpnet_server* server, const necpnet_identity* identity)
{
    if (server->config.take_over != NECPNET_TAKE_OVER_REFUSE || identity->client_id == 0) return NECPNET_OK;
    const nn_peer* peer = *nn_server_client_bucket((necpnet_server*)server, identity->client_id);
    for (; peer; peer = peer->next_client) {
        if (session_is_rival(peer, identity->client_id) && !nn_peer_is_suspended(peer)) return NECPNET_ERR_REFUSED;
    }
    return NECPNET_OK;
}

NN_PRIVATE void nn_server_take_over(necpnet_server* server, const nn_peer* peer)
{
    uint64_t client_id = peer->client_id;
    if (server->config.take_over == NECPNET_TAKE_OVER_ALLOW || client_id == 0) return;
    nn_close close = nn_close_of(NECPNET_ERR_REPLACED, 0, necpnet_result_text(NECPNET_ERR_REPLACED));
    for (nn_peer* at = *nn_server_client_bucket(server, client_id); at; at = at->next_client) {
        if (at == peer || !session_is_rival(at, client_id)) continue;
        if (nn_peer_is_suspended(at)) {
            nn_server_end_peer(server, at, &close);
        } else {
            nn_connection_close(&at->connection, &close, 0, server->endpoint.now_us);
            nn_server_mark_dirty(server, at);
        }
    }
}

/* -- timers -- */

NN_PRIVATE void nn_server_run_session(necpnet_server* server, nn_peer* peer, uint64_t now_us)
{
    if (peer->has_ended) return;
    if (peer->offer && now_us >= peer->offer->until_us) nn_server_drop_offer(server, peer);
    if (nn_peer_is_suspended(peer)) {
        if (now_us >= peer->wait->give_up_us) {
            nn_close close = nn_connection_get_end(&peer->connection);
            nn_server_end_peer(server, peer, &close);
        }
        return;
    }
    if (now_us >= peer->ticket_due_us && peer->connection.state == NN_CONNECTION_OPEN)
        session_send_ticket(server, peer);
}

NN_PRIVATE uint64_t nn_peer_session_deadline_us(const nn_peer* peer)
{
    bool is_open = peer->connection.state == NN_CONNECTION_OPEN; /* one that closes gets no ticket any more */
    uint64_t at_us = nn_peer_is_suspended(peer) ? peer->wait->give_up_us : is_open ? peer->ticket_due_us : NN_NEVER;
    return peer->offer ? nn_min_u64(at_us, peer->offer->until_us) : at_us;
}
