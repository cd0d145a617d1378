/* nn_link_packet - packets of the simulated network: on their way in order of time, in the bandwidth's queue, arriving. */
#include "nn_link.h"

NN_PRIVATE nn_link_packet* nn_link_packet_new(necpnet_link* link, nn_link_kind kind, const uint8_t* data, size_t bytes)
{
    nn_link_packet* packet = (nn_link_packet*)nn_alloc_take(&link->alloc, sizeof *packet + bytes);
    if (!packet) return NULL;
    packet->kind = (uint8_t)kind;
    packet->bytes = (uint32_t)bytes;
    packet->data = (uint8_t*)(packet + 1);
    nn_copy(packet->data, data, bytes);
    if (kind == NN_LINK_DATAGRAM) link->datagram_bytes += bytes;
    return packet;
}

NN_PRIVATE void nn_link_packet_release(necpnet_link* link, nn_link_packet* packet)
{
    if (packet->end) {
        packet->end->pipe->packets--;
        link->garbage = true;
    }
    if (packet->embedded) {
        packet->travels = false;
        return;
    }
    if (packet->kind == NN_LINK_DATAGRAM) link->datagram_bytes -= packet->bytes;
    nn_alloc_give(&link->alloc, packet, sizeof *packet + packet->bytes);
}

NN_PRIVATE void nn_link_queue_add(nn_link_queue* queue, nn_link_packet* packet)
{
    packet->next = NULL;
    if (queue->last) {
        queue->last->next = packet;
    } else {
        queue->first = packet;
    }
    queue->last = packet;
}

NN_PRIVATE nn_link_packet* nn_link_queue_take(nn_link_queue* queue)
{
    nn_link_packet* packet = queue->first;
    if (!packet) return NULL;
    queue->first = packet->next;
    if (!queue->first) queue->last = NULL;
    return packet;
}

/* ---- on their way -- */

static bool link_before(const nn_link_packet* a, const nn_link_packet* b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

NN_PRIVATE bool nn_link_reserve(necpnet_link* link, uint32_t more)
{
    more += link->promised;
    if (link->heap_capacity - link->heap_count >= more) return true;
    uint32_t capacity = link->heap_capacity ? link->heap_capacity : 64;
    while (capacity - link->heap_count < more) capacity *= 2;
    nn_link_packet** heap = (nn_link_packet**)nn_alloc_grow(
        &link->alloc, link->heap, link->heap_capacity * sizeof *heap, capacity * sizeof *heap);
    if (!heap) return false;
    link->heap = heap;
    link->heap_capacity = capacity;
    return true;
}

NN_PRIVATE void nn_link_send(necpnet_link* link, nn_link_packet* packet, uint64_t due_us)
{
    NN_ASSERT(link->heap_count < link->heap_capacity);
    packet->due_us = due_us;
    packet->order = link->order++;
    if (packet->end) packet->end->pipe->packets++;
    uint32_t at = link->heap_count++;
    while (at > 0 && link_before(packet, link->heap[(at - 1) / 2])) {
        link->heap[at] = link->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    link->heap[at] = packet;
}

static nn_link_packet* link_take_due(necpnet_link* link)
{
    if (link->heap_count == 0 || link->heap[0]->due_us > link->now_us) return NULL;
    nn_link_packet* packet = link->heap[0];
    nn_link_packet* last = link->heap[--link->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= link->heap_count) break;
        if (child + 1 < link->heap_count && link_before(link->heap[child + 1], link->heap[child])) child++;
        if (!link_before(link->heap[child], last)) break;
        link->heap[at] = link->heap[child];
        at = child;
    }
    if (link->heap_count) link->heap[at] = last;
    return packet;
}

NN_PRIVATE void nn_link_arrive(necpnet_link* link)
{
    if (link->garbage) nn_link_sweep(link);
    for (;;) {
        nn_link_packet* packet = link_take_due(link);
        if (!packet) return;
        if (packet->kind == NN_LINK_PUMP) {
            nn_link_end* end = packet->end;
            nn_link_packet_release(link, packet);
            nn_link_pump(link, end);
            continue;
        }
        if (packet->to->removed || !packet->to->attached) {
            nn_link_bounce(link, packet);
            continue;
        }
        nn_link_queue_add(&packet->to->inbox, packet);
        link->inbox_count++;
    }
}

/* ---- the path -- */

NN_PRIVATE const necpnet_link_config* nn_link_path(nn_link_host* from, nn_link_host* to, nn_link_direction** out)
{
    nn_link_host* client = from->server && !to->server ? to : from;
    *out = client == from ? &client->up : &client->down;
    return &client->config;
}

NN_PRIVATE uint64_t nn_link_backlog(const necpnet_link* link, const necpnet_link_config* config,
                                    const nn_link_direction* direction)
{
    uint64_t now_ns = link->now_us * 1000;
    if (config->bandwidth_bps == UINT64_MAX || direction->free_ns <= now_ns) return 0;
    uint64_t wait_us = (direction->free_ns - now_ns) / 1000;
    uint64_t seconds = wait_us / 1000000;
    return seconds * (config->bandwidth_bps / 8) + wait_us % 1000000 * (config->bandwidth_bps / 8) / 1000000;
}

NN_PRIVATE uint64_t nn_link_occupy(necpnet_link* link, const necpnet_link_config* config, nn_link_direction* direction,
                                   size_t bytes)
{
    if (config->bandwidth_bps == UINT64_MAX) return link->now_us;
    uint64_t bits = (uint64_t)bytes * 8; /* below 2^20: no overflow below */
    direction->free_ns =
        nn_max_u64(direction->free_ns, link->now_us * 1000) + bits * UINT64_C(1000000000) / config->bandwidth_bps;
    return (direction->free_ns + 999) / 1000;
}

NN_PRIVATE uint64_t nn_link_delay(necpnet_link* link, const necpnet_link_config* config)
{
    return config->latency_us + nn_random_below(&link->random, (uint64_t)config->jitter_us + 1);
}
