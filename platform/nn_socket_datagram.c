/* nn_socket_datagram - datagrams of the socket transport, in batches. */
#include "nn_socket.h"

#if !defined(__EMSCRIPTEN__)

NN_PRIVATE void nn_socket_udp_ready(nn_watch* watch, unsigned what)
{
    nn_socket* socket = (nn_socket*)(void*)((char*)watch - offsetof(nn_socket, udp));
    if (what & NN_READABLE) socket->udp_ready = true;
    if (what & NN_WRITABLE) nn_loop_watch(socket->loop, watch, NN_READABLE); /* flush tries again */
}

/* What the network said about datagrams sent earlier. */
static void socket_read_errors(nn_socket* socket)
{
    nn_socket_refusal refusal;
    for (int i = 0; i < NN_SOCKET_ERRORS_A_TURN; i++) {
        if (!nn_net_read_error(socket->udp.descriptor, &refusal.address, &refusal.reason)) return;
        if (refusal.reason == NECPNET_OK) continue;
        nn_socket_refusal* place = &socket->refusals[socket->refusal_next++ % NN_SOCKET_REFUSALS_MAX];
        if (place->reason == NECPNET_OK) socket->refusal_count++;
        *place = refusal;
    }
}

/* Why an address cannot be reached, told once; OK when nothing is known. */
static necpnet_result socket_take_refusal(nn_socket* socket, const necpnet_address* to)
{
    necpnet_result reason = NECPNET_OK;
    for (size_t i = 0; i < NN_SOCKET_REFUSALS_MAX; i++) {
        nn_socket_refusal* refusal = &socket->refusals[i];
        if (refusal->reason == NECPNET_OK || !necpnet_address_equal(&refusal->address, to)) continue;
        reason = refusal->reason;
        refusal->reason = NECPNET_OK;
        socket->refusal_count--;
    }
    return reason;
}

static void socket_deliver(nn_socket* socket, const nn_net_datagram* datagram)
{
    uint32_t segment = datagram->segment ? datagram->segment : datagram->bytes;
    uint32_t at = 0;
    do {
        uint32_t bytes = datagram->bytes - at < segment ? datagram->bytes - at : segment;
        uint8_t* data = datagram->data + at;
        socket->statistics.datagrams_received++;
        if (!socket->workers || !nn_workers_divert(socket->workers, socket->worker, &datagram->address, data, bytes)) {
            socket->sink.on_datagram(socket->sink.user, &datagram->address, data, bytes, datagram->waited_us);
        }
        at += segment;
    } while (at < datagram->bytes && socket->attached);
}

NN_PRIVATE void nn_socket_receive_handed_over(nn_socket* socket)
{
    uint32_t bytes;
    uint8_t* at = nn_workers_take(socket->workers, socket->worker, &bytes);
    uint8_t* end = at + bytes;
    while (at != end && socket->attached) {
        nn_handed_over record;
        memcpy(&record, at, sizeof record);
        uint8_t* data = at + sizeof record;
        at += nn_handed_over_bytes(record.bytes);
        if (record.descriptor == NN_NET_NONE) {
            socket->sink.on_datagram(socket->sink.user, &record.from, data, record.bytes, 0);
        } else {
            nn_socket_adopt(socket, record.descriptor, &record.from, data, record.bytes);
        }
    }
    nn_workers_close_streams(at, (uint32_t)(end - at));
}

/* As many slots as are filled, and twice as many after a call that filled them all: a slot that stays empty costs. */
static void socket_choose_slots(nn_socket* socket, int count, int slots_max)
{
    int slots = socket->read_slots;
    if (count >= slots) {
        if (slots == slots_max || ++socket->full_calls < socket->full_calls_wanted) return;
        socket->read_slots = slots * 2 < slots_max ? slots * 2 : slots_max;
        socket->full_calls = 0;
        socket->full_calls_wanted = 1;
    } else if (count <= slots / 2 && slots > 1) {
        socket->read_slots = slots / 2;
        socket->full_calls = 0;
        socket->full_calls_wanted = NN_SOCKET_FULL_CALLS;
    }
}

NN_PRIVATE void nn_socket_receive_datagrams(nn_socket* socket, bool spins)
{
    nn_socket_buffers* buffers = nn_socket_buffers_of(socket);
    if (!buffers) return;
    nn_net_datagram batch[NN_SOCKET_READ_SLOTS];
    memset(batch, 0, sizeof batch);
    int slots_max = (int)buffers->read_slots;
    int errors = 0;
    socket->udp_ready = false;
    uint64_t end = socket->statistics.datagrams_received + NN_SOCKET_DATAGRAMS_A_TURN;
    while (socket->attached && socket->statistics.datagrams_received < end) {
        int slots = socket->read_slots;
        for (int i = 0; i < slots; i++) {
            batch[i].data = buffers->read + (size_t)i * NN_SOCKET_READ_SLOT;
            batch[i].bytes_max = NN_NET_RECEIVE_BYTES_MAX;
        }
        int count = nn_net_receive(socket->udp.descriptor, batch, slots);
        if (count < 0) {
            if (socket->watches_errors) socket_read_errors(socket);
            if (++errors == NN_SOCKET_ERRORS_A_TURN) return;
            continue;
        }
        for (int i = 0; i < count && socket->attached; i++) {
            if (batch[i].cut || batch[i].address.family == NECPNET_ADDRESS_NONE) continue;
            socket_deliver(socket, &batch[i]);
        }
        socket_choose_slots(socket, count, slots_max);
        if (count < slots || (spins && slots < NN_SOCKET_READ_SLOTS)) return;
    }
    socket->udp_ready = true; /* more may wait; others first */
}

static void socket_drop_kept(nn_socket_buffers* buffers)
{
    nn_socket* owner = buffers->datagrams_owner;
    if (owner) owner->statistics.datagrams_dropped += (uint64_t)(buffers->datagrams_count - buffers->datagrams_first);
    buffers->datagrams_owner = NULL;
    buffers->datagrams_first = 0;
    buffers->datagrams_count = 0;
    buffers->datagram_bytes_used = 0;
}

/* What the system does not take stays until the next try. */
static void socket_send_kept(nn_socket_buffers* buffers)
{
    nn_socket* owner = buffers->datagrams_owner;
    while (owner && buffers->datagrams_first < buffers->datagrams_count) {
        int count = buffers->datagrams_count - buffers->datagrams_first;
        int refused = 0;
        necpnet_result reason = NECPNET_OK;
        bool joined = owner->joins;
        int done = nn_net_send(owner->udp.descriptor, owner->udp_ipv6, buffers->datagrams + buffers->datagrams_first,
                               count, &owner->joins, &refused, &reason);
        owner->statistics.datagrams_sent += (uint64_t)(done - refused);
        owner->statistics.datagrams_dropped += (uint64_t)refused;
        if (refused) {
            nn_log_write(&owner->logger, NECPNET_LOG_DEBUG, "udp: %d datagrams refused by the system: %s", refused,
                         necpnet_result_text(reason));
        }
        buffers->datagrams_first += done;
        if (done < count && joined == owner->joins) {
            nn_loop_watch(owner->loop, &owner->udp, NN_READABLE | NN_WRITABLE);
            return;
        }
    }
    socket_drop_kept(buffers); /* all are out: nothing is dropped */
}

NN_PRIVATE void nn_socket_flush_datagrams(nn_socket* socket)
{
    nn_socket_buffers* buffers = (nn_socket_buffers*)socket->loop->buffers;
    if (buffers && buffers->datagrams_owner == socket) socket_send_kept(buffers);
}

NN_PRIVATE necpnet_result nn_socket_send_datagram(void* user, const necpnet_address* to, const uint8_t* data,
                                                  size_t bytes)
{
    nn_socket* socket = (nn_socket*)user;
    if (socket->udp.descriptor == NN_NET_NONE) return NECPNET_ERR_UNSUPPORTED;
    if (bytes > NECPNET_DATAGRAM_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (to->family != NECPNET_ADDRESS_IPV4 && (to->family != NECPNET_ADDRESS_IPV6 || !socket->udp_ipv6)) {
        return NECPNET_ERR_NETWORK_UNREACHABLE;
    }
    if (socket->refusal_count) {
        necpnet_result reason = socket_take_refusal(socket, to);
        if (reason != NECPNET_OK) return reason;
    }
    nn_socket_buffers* buffers = nn_socket_buffers_of(socket);
    if (!buffers) return NECPNET_ERR_OUT_OF_MEMORY;
    if (buffers->datagrams_owner != socket && buffers->datagrams_owner) {
        socket_send_kept(buffers);
        socket_drop_kept(buffers);
    }
    bool full = buffers->datagrams_count == NN_NET_BATCH_MAX ||
                buffers->datagram_bytes_max - buffers->datagram_bytes_used < bytes;
    if (full) {
        socket_send_kept(buffers);
        if (buffers->datagrams_count) { /* the system is full as well */
            socket->statistics.datagrams_dropped++;
            return NECPNET_ERR_WOULD_BLOCK;
        }
    }
    buffers->datagrams_owner = socket;
    nn_net_datagram* datagram = &buffers->datagrams[buffers->datagrams_count++];
    datagram->address = *to;
    datagram->data = buffers->datagram_bytes + buffers->datagram_bytes_used;
    datagram->bytes = (uint32_t)bytes;
    nn_copy(datagram->data, data, bytes);
    buffers->datagram_bytes_used += bytes;
    return NECPNET_OK;
}

#endif
