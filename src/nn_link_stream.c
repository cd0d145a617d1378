/* nn_link_stream - byte streams of the simulated network: ordered, whole, and as late as TCP over the same losses. */
#include "nn_link.h"

static nn_link_end* link_end(necpnet_stream* stream)
{
    return (nn_link_end*)(void*)stream;
}

static bool link_is_live(const nn_link_end* end)
{
    return end->state == NN_LINK_CONNECTING || end->state == NN_LINK_OPEN;
}

static void link_drop(necpnet_link* link, nn_link_queue* queue)
{
    for (;;) {
        nn_link_packet* packet = nn_link_queue_take(queue);
        if (!packet) return;
        if (packet->end) packet->end->unread_bytes -= packet->bytes;
        nn_link_packet_release(link, packet);
    }
}

static void link_drop_out(nn_link_end* end)
{
    for (;;) {
        nn_link_packet* packet = nn_link_queue_take(&end->out);
        if (!packet) break;
        end->host->link->promised--;
        nn_link_packet_release(end->host->link, packet);
    }
    end->out_bytes = 0;
    end->was_pending = false;
}

static void link_die(nn_link_end* end)
{
    end->state = NN_LINK_DEAD;
    link_drop_out(end);
    link_drop(end->host->link, &end->held);
    end->host->link->garbage = true;
}

/* Send one of an end's embedded packets; room was reserved when the stream was opened. */
static void link_send_embedded(nn_link_packet* packet, nn_link_kind kind, nn_link_end* end, uint64_t number,
                               uint64_t due_us)
{
    if (packet->travels) return;
    packet->kind = (uint8_t)kind;
    packet->embedded = true;
    packet->travels = true;
    packet->to = end->host;
    packet->end = end;
    packet->number = number;
    nn_link_send(end->host->link, packet, due_us);
}

/* When something of an end arrives at the other: in order behind all before it. */
static uint64_t link_due(nn_link_end* end, const necpnet_link_config* config, uint64_t left_us)
{
    end->due_us = nn_max_u64(end->due_us, left_us + nn_link_delay(end->host->link, config));
    return end->due_us;
}

/* ---- opening -- */

#define LINK_EMBEDDED_MAX 10 /* packets of both ends that may travel at once */

NN_PRIVATE necpnet_result nn_link_open_stream(void* user, const necpnet_address* to, const char* url, void* context,
                                              necpnet_stream** out_stream)
{
    nn_link_host* host = (nn_link_host*)user;
    necpnet_link* link = host->link;
    (void)url;
    if (to->family != NECPNET_ADDRESS_MEMORY) return NECPNET_ERR_NETWORK_UNREACHABLE;
    if (!nn_link_reserve(link, LINK_EMBEDDED_MAX)) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_link_pipe* pipe = (nn_link_pipe*)nn_alloc_take(&link->alloc, sizeof *pipe);
    if (!pipe) return NECPNET_ERR_OUT_OF_MEMORY;
    link->promised += LINK_EMBEDDED_MAX;
    pipe->to = *to;
    pipe->next = link->pipes;
    link->pipes = pipe;
    for (int i = 0; i < 2; i++) {
        pipe->ends[i].pipe = pipe;
        pipe->ends[i].peer = &pipe->ends[1 - i];
        pipe->ends[i].host = host; /* the other's is known when the question arrives */
    }
    pipe->ends[0].context = context;
    *out_stream = (necpnet_stream*)(void*)&pipe->ends[0];
    link_send_embedded(&pipe->ends[0].pump, NN_LINK_PUMP, &pipe->ends[0], 0, link->now_us);
    return NECPNET_OK;
}

/* The question, again and again until it gets through. */
static void link_ask(nn_link_end* end)
{
    nn_link_host* host = end->host;
    necpnet_link* link = host->link;
    nn_link_host* server = nn_link_find(link, &end->pipe->to);
    nn_link_direction* direction = NULL;
    const necpnet_link_config* config = nn_link_path(host, server ? server : host, &direction);
    if (end->connect_tries++ == NN_LINK_CONNECT_TRIES_MAX) {
        link_send_embedded(&end->close_here, NN_LINK_CLOSE, end, (uint64_t)(int64_t)NECPNET_ERR_TIMEOUT, link->now_us);
        return;
    }
    bool lost = host->up.blocked || host->down.blocked || nn_random_chance(&link->random, config->loss_ppm);
    if (lost) {
        uint64_t again_us = link->now_us + ((uint64_t)NN_LINK_CONNECT_RETRY_US << (end->connect_tries - 1));
        link_send_embedded(&end->pump, NN_LINK_PUMP, end, 0, again_us);
        return;
    }
    uint64_t due_us = link->now_us + nn_link_delay(link, config);
    if (!server || !server->server) { /* refused: there and back */
        due_us += nn_link_delay(link, config);
        link_send_embedded(&end->close_here, NN_LINK_CLOSE, end, (uint64_t)(int64_t)NECPNET_ERR_CONNECTION_REFUSED,
                           due_us);
        return;
    }
    end->peer->host = server;
    end->connect.from = nn_link_address(host);
    link_send_embedded(&end->connect, NN_LINK_CONNECT, end->peer, 0, due_us);
}

static void link_deliver_connect(nn_link_host* host, nn_link_end* end, const necpnet_address* from)
{
    necpnet_link* link = host->link;
    nn_link_direction* direction = NULL;
    const necpnet_link_config* config = nn_link_path(host, end->peer->host, &direction);
    if (end->state != NN_LINK_CONNECTING || !link_is_live(end->peer)) { /* it has gone meanwhile */
        link_die(end);
        return;
    }
    end->state = NN_LINK_OPEN;
    void* context = host->sink.on_accept(host->sink.user, (necpnet_stream*)(void*)end, from);
    if (end->state != NN_LINK_OPEN) return; /* closed inside */
    if (!context) {
        uint64_t due_us = link_due(end, config, link->now_us);
        link_send_embedded(&end->close_there, NN_LINK_CLOSE, end->peer, (uint64_t)(int64_t)NECPNET_ERR_CLOSED, due_us);
        link_die(end);
        return;
    }
    end->context = context;
    link_send_embedded(&end->connect, NN_LINK_ACCEPTED, end->peer, 0, link_due(end, config, link->now_us));
    nn_link_pump(link, end);
}

/* ---- sending -- */

/* One segment on its way; a loss delays it and, by order, all behind it. */
static void link_send_segment(nn_link_end* end, const necpnet_link_config* config, nn_link_direction* direction,
                              nn_link_packet* packet)
{
    necpnet_link* link = end->host->link;
    uint64_t left_us = nn_link_occupy(link, config, direction, packet->bytes);
    uint64_t again_us = NN_LINK_RETRANSMIT_US + 2 * ((uint64_t)config->latency_us + config->jitter_us);
    for (int i = 0; i < NN_LINK_RETRANSMITS_MAX && nn_random_chance(&link->random, config->loss_ppm); i++) {
        left_us += again_us << i;
    }
    packet->to = end->peer->host;
    packet->end = end->peer;
    end->peer->unread_bytes += packet->bytes;
    nn_link_send(link, packet, link_due(end, config, left_us));
}

/* Send what the window and the bandwidth take. Room on the way was reserved by nn_link_send_stream. */
NN_PRIVATE void nn_link_pump(necpnet_link* link, nn_link_end* end)
{
    if (end->state == NN_LINK_CONNECTING) {
        if (end == &end->pipe->ends[0] && !end->connect.travels && !end->close_here.travels && !end->pump.travels &&
            end->peer->state == NN_LINK_CONNECTING) {
            link_ask(end);
        }
        return;
    }
    if (end->state == NN_LINK_DEAD) return;
    nn_link_direction* direction = NULL;
    const necpnet_link_config* config = nn_link_path(end->host, end->peer->host, &direction);
    while (end->out.first) {
        if (direction->blocked || end->peer->unread_bytes >= NN_LINK_WINDOW_BYTES) return;
        uint64_t backlog = nn_link_backlog(link, config, direction);
        if (backlog >= config->queue_bytes) {
            uint64_t room_us = NN_LINK_SEGMENT_BYTES * UINT64_C(8000000) / config->bandwidth_bps + 1;
            link_send_embedded(&end->pump, NN_LINK_PUMP, end, 0, link->now_us + room_us);
            return;
        }
        nn_link_packet* packet = nn_link_queue_take(&end->out);
        end->out_bytes -= packet->bytes;
        link->promised--;
        link_send_segment(end, config, direction, packet);
    }
    if (end->state == NN_LINK_CLOSING) {
        uint64_t due_us = link_due(end, config, link->now_us);
        link_send_embedded(&end->close_there, NN_LINK_CLOSE, end->peer, (uint64_t)(int64_t)NECPNET_ERR_CLOSED, due_us);
        link_die(end);
    } else if (end->was_pending) {
        end->was_pending = false;
        link_send_embedded(&end->writable, NN_LINK_WRITABLE, end, 0, link->now_us);
    }
}

NN_PRIVATE void nn_link_pump_all(necpnet_link* link)
{
    for (nn_link_pipe* pipe = link->pipes; pipe; pipe = pipe->next) {
        nn_link_pump(link, &pipe->ends[0]);
        nn_link_pump(link, &pipe->ends[1]);
    }
}

/* Both ends hear that the stream broke. */
static void link_reset(nn_link_pipe* pipe, uint64_t delay_us)
{
    for (int i = 0; i < 2; i++) {
        nn_link_end* end = &pipe->ends[i];
        link_drop_out(end);
        if (link_is_live(end) && (i == 0 || end->state == NN_LINK_OPEN)) {
            link_send_embedded(&end->close_here, NN_LINK_CLOSE, end, (uint64_t)(int64_t)NECPNET_ERR_CONNECTION_RESET,
                               end->host->link->now_us + delay_us);
        } else {
            link_die(end);
        }
    }
}

NN_PRIVATE necpnet_result nn_link_send_stream(void* user, necpnet_stream* stream, const uint8_t* data, size_t bytes)
{
    nn_link_host* host = (nn_link_host*)user;
    necpnet_link* link = host->link;
    nn_link_end* end = link_end(stream);
    if (!link_is_live(end) || end->close_here.travels || bytes == 0) return NECPNET_OK; /* on_close is on its way */
    if (end->out_bytes + bytes > NN_LINK_STREAM_BYTES_MAX) return NECPNET_ERR_OUT_OF_MEMORY;
    uint32_t count = (uint32_t)((bytes + NN_LINK_SEGMENT_BYTES - 1) / NN_LINK_SEGMENT_BYTES);
    nn_link_queue segments = {NULL, NULL};
    bool taken = nn_link_reserve(link, count);
    for (size_t at = 0; taken && at < bytes;) {
        size_t part = nn_min_size(bytes - at, NN_LINK_SEGMENT_BYTES);
        nn_link_packet* packet = nn_link_packet_new(link, NN_LINK_SEGMENT, data + at, part);
        taken = packet != NULL;
        if (packet) nn_link_queue_add(&segments, packet);
        at += part;
    }
    if (!taken) {
        link_drop(link, &segments);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    link->statistics.bytes_sent += bytes;
    while (segments.first) nn_link_queue_add(&end->out, nn_link_queue_take(&segments));
    end->out_bytes += bytes;
    link->promised += count;
    nn_link_direction* direction = NULL;
    const necpnet_link_config* config = nn_link_path(host, end->peer->host, &direction);
    if (end->state == NN_LINK_OPEN && nn_random_chance(&link->random, config->cut_ppm)) {
        link_reset(end->pipe, config->latency_us);
        return NECPNET_OK;
    }
    nn_link_pump(link, end);
    if (end->out_bytes) end->was_pending = true;
    return NECPNET_OK;
}

NN_PRIVATE size_t nn_link_pending(void* user, necpnet_stream* stream)
{
    (void)user;
    return link_end(stream)->out_bytes;
}

/* ---- receiving -- */

/* The other side has accepted a stream that nobody wants any more. */
static void link_tell_gone(nn_link_end* end)
{
    nn_link_direction* direction = NULL;
    const necpnet_link_config* config = nn_link_path(end->host, end->peer->host, &direction);
    uint64_t due_us = link_due(end, config, end->host->link->now_us);
    uint64_t reason = (uint64_t)(int64_t)NECPNET_ERR_CONNECTION_RESET;
    link_send_embedded(&end->close_there, NN_LINK_CLOSE, end->peer, reason, due_us);
}

/* The stream is over for this end; the last that it hears. */
static void link_deliver_close(nn_link_host* host, nn_link_end* end, necpnet_result reason)
{
    bool live = link_is_live(end);
    void* context = end->context;
    link_die(end);
    if (live) host->sink.on_close(context, reason);
}

NN_PRIVATE void nn_link_deliver_stream(nn_link_host* host, nn_link_packet* packet)
{
    necpnet_link* link = host->link;
    nn_link_end* end = packet->end;
    bool behind_held = end->held.first && (packet->kind == NN_LINK_SEGMENT || packet == &end->peer->close_there);
    if (link_is_live(end) && (behind_held || (end->paused && packet->kind == NN_LINK_SEGMENT))) {
        nn_link_queue_add(&end->held, packet);
        return;
    }
    if (packet->kind == NN_LINK_CONNECT) {
        link_deliver_connect(host, end, &packet->from);
    } else if (packet->kind == NN_LINK_ACCEPTED) {
        if (end->state == NN_LINK_CONNECTING && !end->close_here.travels) {
            end->state = NN_LINK_OPEN;
            host->sink.on_open(end->context);
            nn_link_pump(link, end);
        } else {
            link_tell_gone(end);
        }
    } else if (packet->kind == NN_LINK_SEGMENT) {
        end->unread_bytes -= packet->bytes;
        if (end->state == NN_LINK_OPEN) host->sink.on_data(end->context, packet->data, packet->bytes);
        nn_link_pump(link, end->peer);
    } else if (packet->kind == NN_LINK_CLOSE) {
        link_deliver_close(host, end, (necpnet_result)(int64_t)packet->number);
    } else if (packet->kind == NN_LINK_WRITABLE) {
        nn_link_packet_release(link, packet); /* first: another may be called for inside */
        if (end->state == NN_LINK_OPEN && end->out_bytes == 0) host->sink.on_writable(end->context);
        return;
    }
    nn_link_packet_release(link, packet);
}

NN_PRIVATE void nn_link_bounce(necpnet_link* link, nn_link_packet* packet)
{
    nn_link_end* end = packet->end;
    if (packet->kind == NN_LINK_DATAGRAM) {
        link->statistics.datagrams_lost++;
    } else if (packet->kind == NN_LINK_RESOLVED) {
        packet->to->resolves--;
    } else if (packet->kind == NN_LINK_CONNECT) {
        uint64_t due_us = link->now_us + packet->to->config.latency_us;
        link_die(end);
        link_send_embedded(&end->peer->close_here, NN_LINK_CLOSE, end->peer,
                           (uint64_t)(int64_t)NECPNET_ERR_CONNECTION_REFUSED, due_us);
    } else if (packet->kind == NN_LINK_ACCEPTED) {
        link_tell_gone(end);
    } else if (packet->kind == NN_LINK_SEGMENT) {
        end->unread_bytes -= packet->bytes;
        nn_link_pump(link, end->peer);
    } else if (packet->kind == NN_LINK_CLOSE) {
        link_die(end);
    }
    nn_link_packet_release(link, packet);
}

NN_PRIVATE void nn_link_pause(void* user, necpnet_stream* stream, bool paused)
{
    nn_link_host* host = (nn_link_host*)user;
    nn_link_end* end = link_end(stream);
    end->paused = paused;
    if (paused || !end->held.first) return;
    end->held.last->next = host->inbox.first; /* before all that came later */
    if (!host->inbox.first) host->inbox.last = end->held.last;
    for (const nn_link_packet* packet = end->held.first; packet != host->inbox.first; packet = packet->next) {
        host->link->inbox_count++;
    }
    host->inbox.first = end->held.first;
    end->held.first = end->held.last = NULL;
}

/* ---- closing -- */

NN_PRIVATE void nn_link_close_stream(void* user, necpnet_stream* stream, bool at_once)
{
    nn_link_host* host = (nn_link_host*)user;
    necpnet_link* link = host->link;
    nn_link_end* end = link_end(stream);
    if (!link_is_live(end)) return;
    if (end->state == NN_LINK_CONNECTING || end->close_here.travels) { /* nothing to tell, or the other knows */
        link_die(end);
        return;
    }
    nn_link_direction* direction = NULL;
    const necpnet_link_config* config = nn_link_path(host, end->peer->host, &direction);
    link_drop(link, &end->held);
    if (at_once) {
        uint64_t due_us = link_due(end, config, link->now_us);
        uint64_t reason = (uint64_t)(int64_t)NECPNET_ERR_CONNECTION_RESET;
        link_send_embedded(&end->close_there, NN_LINK_CLOSE, end->peer, reason, due_us);
        link_die(end);
        return;
    }
    end->state = NN_LINK_CLOSING;
    nn_link_pump(link, end);
}

NN_PRIVATE void nn_link_reset_streams(nn_link_host* host)
{
    for (nn_link_pipe* pipe = host->link->pipes; pipe; pipe = pipe->next) {
        bool reached = pipe->ends[1].state != NN_LINK_CONNECTING;
        if (pipe->ends[0].host != host && (!reached || pipe->ends[1].host != host)) continue;
        link_reset(pipe, host->config.latency_us);
    }
}

NN_PRIVATE void nn_link_sweep(necpnet_link* link)
{
    link->garbage = false;
    for (nn_link_pipe** at = &link->pipes; *at;) {
        nn_link_pipe* pipe = *at;
        nn_link_end* asking = &pipe->ends[0];
        nn_link_end* asked = &pipe->ends[1];
        bool unasked = asking->state == NN_LINK_DEAD && asked->state == NN_LINK_CONNECTING;
        if (pipe->packets || asking->state != NN_LINK_DEAD || (asked->state != NN_LINK_DEAD && !unasked)) {
            at = &pipe->next;
            continue;
        }
        *at = pipe->next;
        link->promised -= LINK_EMBEDDED_MAX;
        nn_alloc_give(&link->alloc, pipe, sizeof *pipe);
    }
}

NN_PRIVATE void nn_link_free_streams(necpnet_link* link)
{
    while (link->pipes) {
        nn_link_pipe* pipe = link->pipes;
        link->pipes = pipe->next;
        link_die(&pipe->ends[0]);
        link_die(&pipe->ends[1]);
        nn_alloc_give(&link->alloc, pipe, sizeof *pipe);
    }
}
