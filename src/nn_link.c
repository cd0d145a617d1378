/* nn_link - the simulated network: hosts, their transports, datagrams, names. */
#include "nn_link.h"

necpnet_result necpnet_link_create(const necpnet_link_config* config, necpnet_link** out_link)
{
    if (!config || !out_link) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = nn_link_check_config(config);
    if (result != NECPNET_OK) return result;
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    necpnet_link* link = (necpnet_link*)nn_alloc_take(&alloc, sizeof *link);
    if (!link) return NECPNET_ERR_OUT_OF_MEMORY;
    link->alloc = alloc;
    link->config = *config;
    link->statistics.hash = NN_FNV1A64_BASIS;
    nn_random_seed(&link->random, config->seed);
    *out_link = link;
    return NECPNET_OK;
}

static void link_empty_inbox(nn_link_host* host)
{
    for (;;) {
        nn_link_packet* packet = nn_link_queue_take(&host->inbox);
        if (!packet) return;
        host->link->inbox_count--;
        nn_link_bounce(host->link, packet);
    }
}

void necpnet_link_destroy(necpnet_link* link)
{
    if (!link) return;
    for (uint32_t i = 0; i < link->host_count; i++) {
        nn_link_packet* packet;
        while ((packet = nn_link_queue_take(&link->hosts[i]->inbox)) != NULL) nn_link_packet_release(link, packet);
    }
    for (uint32_t i = 0; i < link->heap_count; i++) nn_link_packet_release(link, link->heap[i]);
    nn_link_free_streams(link);
    for (uint32_t i = 0; i < link->host_count; i++) nn_alloc_give(&link->alloc, link->hosts[i], sizeof *link->hosts[i]);
    nn_alloc_give(&link->alloc, link->hosts, link->host_capacity * sizeof *link->hosts);
    nn_alloc_give(&link->alloc, link->heap, link->heap_capacity * sizeof *link->heap);
    nn_alloc alloc = link->alloc;
    nn_alloc_give(&alloc, link, sizeof *link);
}

NN_PRIVATE necpnet_address nn_link_address(const nn_link_host* host)
{
    necpnet_address address;
    memset(&address, 0, sizeof address);
    address.family = NECPNET_ADDRESS_MEMORY;
    address.port = host->port;
    for (unsigned i = 0; i < 4; i++) address.bytes[i] = (uint8_t)(host->number >> 8 * i);
    return address;
}

NN_PRIVATE void nn_link_move(nn_link_host* host)
{
    host->port = (uint16_t)(host->port == UINT16_MAX ? 1 : host->port + 1);
}

/* Who has an address now; NULL: nobody any more. */
NN_PRIVATE nn_link_host* nn_link_find(necpnet_link* link, const necpnet_address* address)
{
    if (address->family != NECPNET_ADDRESS_MEMORY) return NULL;
    uint32_t number = (uint32_t)address->bytes[0] | (uint32_t)address->bytes[1] << 8 |
                      (uint32_t)address->bytes[2] << 16 | (uint32_t)address->bytes[3] << 24;
    if (number >= link->host_count) return NULL;
    nn_link_host* host = link->hosts[number];
    return host->removed || host->port != address->port ? NULL : host;
}

/* ---- datagrams -- */

/* One copy of a datagram on its way. */
static bool link_send_copy(nn_link_host* from, nn_link_host* to, const necpnet_link_config* config,
                           nn_link_direction* direction, uint64_t left_us, const uint8_t* data, size_t bytes)
{
    necpnet_link* link = from->link;
    if (!nn_link_reserve(link, 1)) return false;
    nn_link_packet* packet = nn_link_packet_new(link, NN_LINK_DATAGRAM, data, bytes);
    if (!packet) return false;
    if (bytes && nn_random_chance(&link->random, config->corrupt_ppm)) {
        uint64_t bit = nn_random_below(&link->random, (uint64_t)bytes * 8);
        packet->data[bit / 8] = (uint8_t)(packet->data[bit / 8] ^ 1u << bit % 8);
        link->statistics.datagrams_corrupted++;
    }
    packet->to = to;
    packet->from = nn_link_address(from);
    packet->number = to->port; /* the address that it was sent to */
    uint64_t due_us = left_us + nn_link_delay(link, config);
    if (nn_random_chance(&link->random, config->reorder_ppm)) {
        uint64_t unit_us = (uint64_t)config->latency_us + config->jitter_us + 1000;
        due_us += unit_us * (1 + nn_random_below(&link->random, 4));
    } else {
        direction->due_us = due_us = nn_max_u64(due_us, direction->due_us);
    }
    nn_link_send(link, packet, due_us);
    return true;
}

static necpnet_result link_send_datagram(void* user, const necpnet_address* to, const uint8_t* data, size_t bytes)
{
    nn_link_host* host = (nn_link_host*)user;
    necpnet_link* link = host->link;
    if (bytes > NECPNET_DATAGRAM_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (to->family != NECPNET_ADDRESS_MEMORY) return NECPNET_ERR_NETWORK_UNREACHABLE;
    if (host->removed) return NECPNET_OK;
    link->statistics.datagrams_sent++;
    link->statistics.bytes_sent += bytes;
    nn_link_host* target = nn_link_find(link, to);
    nn_link_direction* direction = NULL;
    const necpnet_link_config* config = target ? nn_link_path(host, target, &direction) : NULL;
    bool lost = !target || direction->blocked || bytes > config->datagram_bytes_max ||
                link->datagram_bytes + bytes > NN_LINK_BYTES_MAX || nn_random_chance(&link->random, config->loss_ppm);
    if (!lost) {
        size_t occupied = bytes + config->overhead_bytes;
        lost = config->bandwidth_bps != UINT64_MAX &&
               nn_link_backlog(link, config, direction) + occupied > config->queue_bytes;
        uint64_t left_us = lost ? 0 : nn_link_occupy(link, config, direction, occupied);
        bool twice = !lost && nn_random_chance(&link->random, config->duplicate_ppm);
        if (twice) link->statistics.datagrams_duplicated++;
        for (int copies = lost ? 0 : twice ? 2 : 1; copies > 0; copies--) {
            if (!link_send_copy(host, target, config, direction, left_us, data, bytes))
                return NECPNET_ERR_OUT_OF_MEMORY;
        }
    }
    if (lost) link->statistics.datagrams_lost++;
    return NECPNET_OK;
}

/* ---- the transport's other functions -- */

static necpnet_result link_attach(void* user, const necpnet_sink* sink)
{
    nn_link_host* host = (nn_link_host*)user;
    if (host->attached || host->removed) return NECPNET_ERR_INVALID_STATE;
    host->sink = *sink;
    host->attached = true;
    return NECPNET_OK;
}

static void link_detach(void* user)
{
    nn_link_host* host = (nn_link_host*)user;
    if (!host->attached) return;
    host->attached = false;
    memset(&host->sink, 0, sizeof host->sink);
    for (nn_link_pipe* pipe = host->link->pipes; pipe; pipe = pipe->next) {
        for (int i = 0; i < 2; i++) {
            if (pipe->ends[i].host == host) nn_link_close_stream(host, (necpnet_stream*)(void*)&pipe->ends[i], false);
        }
    }
    link_empty_inbox(host);
}

static void link_hash(necpnet_link* link, const nn_link_host* host, const nn_link_packet* packet)
{
    const uint64_t facts[4] = {link->now_us, host->number, packet->kind, packet->bytes};
    uint8_t bytes[32];
    for (unsigned i = 0; i < 32; i++) bytes[i] = (uint8_t)(facts[i / 8] >> 8 * (i % 8));
    link->statistics.hash = nn_fnv1a64(link->statistics.hash, bytes, sizeof bytes);
    link->statistics.hash = nn_fnv1a64(link->statistics.hash, packet->data, packet->bytes);
}

static void link_deliver_resolved(nn_link_host* host, const nn_link_packet* packet)
{
    host->resolves--;
    uint16_t port = packet->from.port;
    nn_link_host* best = NULL; /* the newest that lives, else the newest that did: names outlive processes */
    for (uint32_t i = 0; i < host->link->host_count; i++) {
        nn_link_host* server = host->link->hosts[i];
        if (!server->server || server->port != port) continue;
        if (!best || !server->removed || best->removed) best = server;
    }
    necpnet_address address;
    memset(&address, 0, sizeof address);
    if (best) address = nn_link_address(best);
    host->sink.on_resolved(host->sink.user, packet->number, &address, best ? 1 : 0,
                           best ? NECPNET_OK : NECPNET_ERR_HOST_UNKNOWN);
}

static void link_deliver(nn_link_host* host, nn_link_packet* packet)
{
    necpnet_link* link = host->link;
    if (packet->kind == NN_LINK_DATAGRAM) {
        bool there = packet->number == host->port; /* else it was sent to the address before */
        if (there) {
            link_hash(link, host, packet);
            link->statistics.datagrams_delivered++;
            uint64_t waited_us = link->now_us - nn_min_u64(packet->due_us, link->now_us);
            host->sink.on_datagram(host->sink.user, &packet->from, packet->data, packet->bytes,
                                   (uint32_t)nn_min_u64(waited_us, UINT32_MAX));
        } else {
            link->statistics.datagrams_lost++;
        }
        nn_link_packet_release(link, packet);
    } else if (packet->kind == NN_LINK_RESOLVED) {
        link_deliver_resolved(host, packet);
        nn_link_packet_release(link, packet);
    } else {
        if (packet->kind == NN_LINK_SEGMENT && !packet->end->paused) link_hash(link, host, packet);
        nn_link_deliver_stream(host, packet);
    }
}

static void link_receive(void* user, uint64_t now_us)
{
    nn_link_host* host = (nn_link_host*)user;
    (void)now_us; /* the link's own time is what counts */
    nn_link_arrive(host->link);
    while (host->attached && !host->removed) {
        nn_link_packet* packet = nn_link_queue_take(&host->inbox);
        if (!packet) return;
        host->link->inbox_count--;
        link_deliver(host, packet);
    }
}

static necpnet_result link_resolve(void* user, uint64_t request, const char* name, uint16_t port)
{
    nn_link_host* host = (nn_link_host*)user;
    if (!name || !name[0]) return NECPNET_ERR_INVALID_ARGUMENT;
    if (host->removed) return NECPNET_OK;
    if (host->resolves == NN_LINK_RESOLVES_MAX) return NECPNET_ERR_LIMIT_REACHED;
    nn_link_packet* packet =
        nn_link_reserve(host->link, 1) ? nn_link_packet_new(host->link, NN_LINK_RESOLVED, NULL, 0) : NULL;
    if (!packet) return NECPNET_ERR_OUT_OF_MEMORY;
    packet->to = host;
    packet->number = request;
    packet->from.port = port;
    host->resolves++;
    nn_link_send(host->link, packet, host->link->now_us);
    return NECPNET_OK;
}

static void link_flush(void* user)
{
    (void)user; /* everything is on its way at once */
}

static void link_local_ports(void* user, int* out_udp, int* out_tcp)
{
    const nn_link_host* host = (const nn_link_host*)user;
    *out_udp = host->port;
    *out_tcp = host->server ? host->port : -1;
}

static necpnet_result link_rebind(void* user)
{
    nn_link_host* host = (nn_link_host*)user;
    if (host->server) return NECPNET_ERR_UNSUPPORTED;
    nn_link_move(host);
    return NECPNET_OK;
}

/* ---- hosts -- */

static void link_fill_transport(nn_link_host* host)
{
    necpnet_transport* transport = &host->transport;
    transport->user = host;
    transport->flags = NECPNET_TRANSPORT_DATAGRAMS | NECPNET_TRANSPORT_STREAMS;
    transport->attach = link_attach;
    transport->detach = link_detach;
    transport->receive = link_receive;
    transport->send_datagram = link_send_datagram;
    transport->resolve = link_resolve;
    transport->open_stream = nn_link_open_stream;
    transport->send_stream = nn_link_send_stream;
    transport->pending = nn_link_pending;
    transport->pause = nn_link_pause;
    transport->close_stream = nn_link_close_stream;
    transport->flush = link_flush;
    transport->wait = NULL; /* time is virtual */
    transport->local_ports = link_local_ports;
    transport->rebind = link_rebind;
}

static necpnet_result link_add(necpnet_link* link, bool server, uint16_t port, const necpnet_transport** out_transport)
{
    if (link->host_count == NN_LINK_HOSTS_MAX) return NECPNET_ERR_OUT_OF_MEMORY;
    if (link->host_count == link->host_capacity) {
        uint32_t capacity = link->host_capacity ? link->host_capacity * 2 : 8;
        nn_link_host** hosts = (nn_link_host**)nn_alloc_grow(
            &link->alloc, link->hosts, link->host_capacity * sizeof *hosts, capacity * sizeof *hosts);
        if (!hosts) return NECPNET_ERR_OUT_OF_MEMORY;
        link->hosts = hosts;
        link->host_capacity = capacity;
    }
    nn_link_host* host = (nn_link_host*)nn_alloc_take(&link->alloc, sizeof *host);
    if (!host) return NECPNET_ERR_OUT_OF_MEMORY;
    host->link = link;
    host->number = link->host_count;
    host->port = port;
    host->server = server;
    host->config = link->config;
    link_fill_transport(host);
    link->hosts[link->host_count++] = host;
    *out_transport = &host->transport;
    return NECPNET_OK;
}

necpnet_result necpnet_link_add_server(necpnet_link* link, uint16_t port, const necpnet_transport** out_transport)
{
    if (!link || !out_transport || port == 0) return NECPNET_ERR_INVALID_ARGUMENT;
    for (uint32_t i = 0; i < link->host_count; i++) {
        const nn_link_host* host = link->hosts[i];
        if (host->server && !host->removed && host->port == port) return NECPNET_ERR_ALREADY_EXISTS;
    }
    return link_add(link, true, port, out_transport);
}

necpnet_result necpnet_link_add_client(necpnet_link* link, const necpnet_transport** out_transport)
{
    if (!link || !out_transport) return NECPNET_ERR_INVALID_ARGUMENT;
    return link_add(link, false, 1, out_transport);
}

necpnet_result necpnet_link_remove(necpnet_link* link, const necpnet_transport* transport)
{
    if (!link || !transport) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_link_host* host = nn_link_host_of(link, transport);
    if (!host) return NECPNET_ERR_NOT_FOUND;
    nn_link_reset_streams(host);
    host->removed = true;
    link_empty_inbox(host);
    return NECPNET_OK;
}
