/* nn_connection_path - where a UDP peer is: proof of a new address, the change to it, our own change of address; and how large
 * the packets on the way may be. */
#include "nn_connection.h"

#include "nn_hash.h"
#include "nn_log.h"

/* A packet with nothing but PATH_CHALLENGE or PATH_RESPONSE. */
#define CONNECTION_PATH_PACKET_BYTES (NN_PACKET_OVERHEAD_BYTES_MAX + NN_PATH_BYTES)

static void connection_end_path(nn_connection* connection)
{
    nn_alloc_give(connection->settings->alloc, connection->udp->path, sizeof *connection->udp->path);
    connection->udp->path = NULL;
}

static void connection_end_response(nn_connection* connection)
{
    nn_alloc_give(connection->settings->alloc, connection->udp->response, sizeof *connection->udp->response);
    connection->udp->response = NULL;
}

NN_PRIVATE void nn_connection_end_paths(nn_connection* connection)
{
    connection_end_path(connection);
    connection_end_response(connection);
}

/* Not to be guessed by the peer, who could claim another's address and answer for it otherwise. */
static uint64_t connection_new_challenge(nn_connection* connection)
{
    uint8_t key[NN_SIPHASH_KEY_BYTES];
    uint8_t text[8];
    nn_store_u64(key, connection->udp->path_seed);
    nn_store_u64(key + 8, ~connection->udp->path_seed);
    nn_store_u64(text, ++connection->udp->path_count);
    return nn_siphash64(key, text, sizeof text);
}

NN_PRIVATE void nn_connection_note_source(nn_connection* connection, const necpnet_address* from, size_t bytes,
                                          bool is_newest)
{
    connection->udp->from = from;
    if (necpnet_address_equal(from, &connection->address)) return;
    nn_path* path = connection->udp->path;
    bool is_known = path && necpnet_address_equal(from, &path->address);
    /* servers stay where they are (RFC 9000 9); an overtaken packet from where the peer was says nothing */
    if (!is_known && (!is_newest || !connection->settings->is_server)) return;
    if (!is_known) {
        bool was_open = path != NULL;
        if (!was_open) path = (nn_path*)nn_alloc_take(connection->settings->alloc, sizeof *path);
        if (!path) return; /* its next packet will do */
        connection->udp->path = path;
        nn_path_begin(path, from, connection_new_challenge(connection), connection->now_us);
        /* what is in flight may have gone to nobody: say it again, to both */
        if (!was_open) nn_connection_repeat_flight(connection);
    }
    nn_path_received(path, bytes);
}

/* One small packet to an address, outside of the congestion window. Returns its bytes. */
static size_t connection_send_path(nn_connection* connection, const necpnet_address* to, nn_frame_type type,
                                   uint64_t value)
{
    nn_recovery* recovery = &connection->udp->recovery;
    uint8_t* packet = connection->settings->scratch;
    uint64_t number = nn_recovery_next_number(recovery);
    uint8_t flags =
        nn_phases_before_send(&connection->udp->phases, number, recovery->largest_acked, connection->now_us);
    size_t header_bytes = nn_packet_begin(packet, connection->udp->remote_id, number, recovery->largest_acked, flags);
    nn_writer writer = nn_writer_of(packet + header_bytes, NN_PATH_BYTES);
    nn_frame_write_path(&writer, type, value);
    size_t bytes = nn_packet_seal(connection->udp->phases.send, packet, header_bytes, NN_PATH_BYTES, number);
    const necpnet_transport* transport = connection->settings->transport;
    transport->send_datagram(transport->user, to, packet, bytes);
    nn_recovery_sent(recovery, number, (uint32_t)bytes, false, NULL, connection->now_us); /* repeated by nn_path */
    connection->packets_sent++;
    connection->bytes_sent += bytes;
    nn_rate_add(&connection->send_rate, bytes, connection->now_us);
    return bytes;
}

NN_PRIVATE void nn_connection_flush_path(nn_connection* connection)
{
    nn_path* path = connection->udp->path;
    nn_connection_response* response = connection->udp->response;
    uint64_t now_us = connection->now_us;
    if (response) {
        bool is_unproven = path && necpnet_address_equal(&response->to, &path->address);
        if (!is_unproven || nn_path_send(path, CONNECTION_PATH_PACKET_BYTES)) {
            connection_send_path(connection, &response->to, NN_FRAME_PATH_RESPONSE, response->value);
        }
        connection_end_response(connection);
    }
    if (path && nn_path_wants_challenge(path, CONNECTION_PATH_PACKET_BYTES, now_us)) {
        size_t bytes = connection_send_path(connection, &path->address, NN_FRAME_PATH_CHALLENGE, path->challenge);
        nn_path_challenged(path, bytes, nn_recovery_probe_us(&connection->udp->recovery), now_us);
    }
}

NN_PRIVATE void nn_connection_update_path(nn_connection* connection)
{
    if (connection->udp->path && connection->now_us >= connection->udp->path->until_us) connection_end_path(connection);
}

NN_PRIVATE uint64_t nn_connection_path_deadline_us(const nn_connection* connection)
{
    const nn_path* path = connection->udp->path;
    if (connection->udp->response) return connection->now_us;
    uint64_t at_us = path ? nn_path_deadline_us(path, CONNECTION_PATH_PACKET_BYTES) : NN_NEVER;
    /* one that is due already waits for the window or the path: something else will wake us */
    uint64_t probe_us = connection->udp->size.next_us > connection->now_us ? connection->udp->size.next_us : NN_NEVER;
    return nn_min_u64(at_us, probe_us);
}

NN_PRIVATE void nn_connection_set_size(nn_connection* connection)
{
    bool can_grow = connection->udp->size.bytes_max > connection->udp->size.base;
    connection->udp->recovery.large_bytes = can_grow ? (uint16_t)connection->udp->size.base : UINT16_MAX;
    nn_congestion_set_datagram(&connection->udp->congestion, connection->udp->size.bytes);
}

/* After losses: whether packets beyond the base have stopped coming through. */
NN_PRIVATE void nn_connection_watch_size(nn_connection* connection)
{
    nn_recovery* recovery = &connection->udp->recovery;
    if (recovery->large_lost < NN_PACKET_SIZE_LOSSES || connection->udp->size.bytes <= connection->udp->size.base)
        return;
    recovery->large_lost = 0;
    nn_packet_size_black_hole(&connection->udp->size, connection->now_us);
    nn_connection_set_size(connection);
}

/* Another way with another round trip and bandwidth: what was learnt of the former is void (RFC 9000 9.4). */
static void connection_forget_way(nn_connection* connection, uint32_t rtt_us)
{
    uint32_t limit = connection->udp->congestion.limit.bytes_per_s;
    nn_connection_lose_flight(connection, NN_NEVER);
    nn_congestion_init(&connection->udp->congestion, limit, connection->now_us);
    nn_packet_size_begin(&connection->udp->size, connection->now_us);
    nn_connection_set_size(connection);
    nn_recovery_forget_rtt(&connection->udp->recovery);
    if (rtt_us) nn_recovery_seed_rtt(&connection->udp->recovery, rtt_us, connection->now_us);
}

static void connection_change_path(nn_connection* connection)
{
    nn_path path = *connection->udp->path;
    uint64_t now_us = connection->now_us;
    connection_end_path(connection);
    if (nn_path_same_host(&path.address, &connection->address)) {
        nn_connection_lose_flight(connection, path.is_behind ? NN_NEVER : path.began_us);
    } else {
        uint64_t rtt_us = path.challenges == 1 ? now_us - path.challenged_us : 0;
        connection_forget_way(connection, (uint32_t)nn_min_u64(rtt_us, UINT32_MAX));
    }
    connection->address = path.address;
    connection->udp->migrations++;
}

NN_PRIVATE void nn_connection_read_challenge(nn_connection* connection, uint64_t challenge)
{
    nn_connection_response* response = connection->udp->response;
    if (!response) response = (nn_connection_response*)nn_alloc_take(connection->settings->alloc, sizeof *response);
    if (!response) return; /* the challenge comes again */
    response->value = challenge;
    response->to = *connection->udp->from;
    connection->udp->response = response;
}

NN_PRIVATE void nn_connection_read_response(nn_connection* connection, uint64_t response)
{
    const nn_connection_udp* udp = connection->udp;
    if (udp->path && nn_path_is_answer(udp->path, udp->from, response)) connection_change_path(connection);
}

NN_PRIVATE void nn_connection_moved(nn_connection* connection, uint64_t now_us)
{
    if (!nn_connection_is_udp(connection)) return;
    if (connection->state != NN_CONNECTION_OPEN && connection->state != NN_CONNECTION_LINGERING) return;
    connection->now_us = now_us;
    connection_forget_way(connection, 0);
    connection->udp->migrations++;
    connection->ping_pending = true; /* from where we are now */
}
