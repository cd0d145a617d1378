/* nn_voice_hub_relay - groups shared with the hubs of other servers: what members say goes there as well, what listeners
 * there lose comes back.
 *
 * A batch is the hub's relay_id (8) and entries: a packet, judged already where it was said; a report, to the hub of its
 * stream alone; or that a speaker is gone. Who hears a packet is decided where the listener is. Nothing is answered or sent
 * again: a batch that is lost is sound that is lost, and who is never said to be gone is forgotten after NN_VOICE_FAR_US.
 */
#include "nn_voice_hub.h"

#define RELAY_PACKET 1u
#define RELAY_REPORT 2u
#define RELAY_GONE 3u
#define RELAY_HEAD_BYTES 8u
#define RELAY_PACKET_BYTES_MAX (1u + 8u + 8u + 8u + 1u + 16u + 6u + NECPNET_VOICE_PAYLOAD_BYTES_MAX)
#define RELAY_STREAM 0x03u /* of a packet's flags */
#define RELAY_PLACED 0x04u
#define RELAY_CAPACITY 4096u /* the first */

/* -- the tables -- */

static uint32_t relay_chain(uint64_t a, uint64_t b)
{
    uint64_t hash = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    return (uint32_t)(hash >> 32) & (NN_VOICE_CHAINS - 1);
}

static nn_voice_group* relay_group(const necpnet_voice_hub* hub, uint64_t key)
{
    nn_voice_group* group = hub->relay.shared ? hub->relay.shared[relay_chain(key, 0)] : NULL;
    while (group && group->key != key) group = group->next;
    return group;
}

static nn_voice_far* relay_find(const necpnet_voice_hub* hub, uint64_t origin, necpnet_peer peer)
{
    nn_voice_far* far = hub->relay.far ? hub->relay.far[relay_chain(origin, peer)] : NULL;
    while (far && (far->source.origin != origin || far->source.peer != peer)) far = far->next;
    return far;
}

/* Found or made. NULL: too many, no memory. */
static nn_voice_far* relay_reach(necpnet_voice_hub* hub, uint64_t origin, necpnet_peer peer, uint64_t user)
{
    nn_voice_relay* relay = &hub->relay;
    nn_voice_far* far = relay_find(hub, origin, peer);
    if (far) return far;
    if (!relay->far) {
        relay->far = (nn_voice_far**)nn_alloc_take(&hub->alloc, NN_VOICE_CHAINS * sizeof *relay->far);
        if (!relay->far) return NULL;
    }
    far = relay->far_count < NN_VOICE_FAR_MAX ? (nn_voice_far*)nn_alloc_take(&hub->alloc, sizeof *far) : NULL;
    if (!far) return NULL;
    uint32_t chain = relay_chain(origin, peer);
    far->source.hub = hub;
    far->source.origin = origin;
    far->source.peer = peer;
    far->source.user = user;
    far->next = relay->far[chain];
    relay->far[chain] = far;
    relay->far_count++;
    return far;
}

NN_PRIVATE bool nn_voice_relay_is_old(const nn_voice_source* source, uint64_t now_us)
{
    return source->origin && now_us - ((const nn_voice_far*)(const void*)source)->heard_us >= NN_VOICE_FAR_US;
}

NN_PRIVATE void nn_voice_relay_forget(nn_voice_source* source)
{
    nn_voice_relay* relay = &source->hub->relay;
    nn_alloc* alloc = &source->hub->alloc;
    nn_voice_far** link = &relay->far[relay_chain(source->origin, source->peer)];
    nn_voice_hub_end_streams(source);
    while (&(*link)->source != source) link = &(*link)->next;
    nn_voice_far* far = *link;
    *link = far->next;
    relay->far_count--;
    nn_alloc_give(alloc, far, sizeof *far);
}

NN_PRIVATE void nn_voice_relay_reset(necpnet_voice_hub* hub)
{
    nn_voice_relay* relay = &hub->relay;
    for (uint32_t i = 0; relay->far && i < NN_VOICE_CHAINS; i++) {
        while (relay->far[i]) nn_voice_relay_forget(&relay->far[i]->source);
    }
    nn_alloc_give(&hub->alloc, relay->far, relay->far ? NN_VOICE_CHAINS * sizeof *relay->far : 0);
    nn_alloc_give(&hub->alloc, relay->shared, relay->shared ? NN_VOICE_CHAINS * sizeof *relay->shared : 0);
    nn_alloc_give(&hub->alloc, relay->out, relay->capacity);
    nn_alloc_give(&hub->alloc, relay->taken, relay->taken_capacity);
    memset(relay, 0, sizeof *relay);
}

/* -- sharing -- */

NN_PRIVATE void nn_voice_relay_unshare(necpnet_voice_hub* hub, nn_voice_group* group)
{
    if (!group->key) return;
    nn_voice_group** link = &hub->relay.shared[relay_chain(group->key, 0)];
    while (*link != group) link = &(*link)->next;
    *link = group->next;
    group->next = NULL;
    group->key = 0;
}

necpnet_result necpnet_voice_hub_share(necpnet_voice_hub* hub, necpnet_voice_group group, uint64_t key)
{
    if (!hub || !hub->config.relay_id) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_group* found = nn_voice_hub_group(hub, group);
    if (!found || found->kind == NECPNET_VOICE_WHISPER) return NECPNET_ERR_NOT_FOUND;
    if (found->key == key) return NECPNET_OK;
    if (key && relay_group(hub, key)) return NECPNET_ERR_ALREADY_EXISTS;
    nn_voice_relay* relay = &hub->relay;
    if (!relay->shared) {
        relay->shared = (nn_voice_group**)nn_alloc_take(&hub->alloc, NN_VOICE_CHAINS * sizeof *relay->shared);
        if (!relay->shared) return NECPNET_ERR_OUT_OF_MEMORY;
    }
    nn_voice_relay_unshare(hub, found);
    if (!key) return NECPNET_OK;
    nn_voice_group** chain = &relay->shared[relay_chain(key, 0)];
    found->key = key;
    found->next = *chain;
    *chain = found;
    return NECPNET_OK;
}

/* -- out -- */

/* Room for one more entry, behind the batch's head. False: it is dropped. */
static bool relay_open(necpnet_voice_hub* hub, uint32_t bytes, nn_writer* out_writer)
{
    nn_voice_relay* relay = &hub->relay;
    uint32_t begin = relay->bytes ? relay->bytes : RELAY_HEAD_BYTES;
    uint32_t capacity = relay->capacity ? relay->capacity : RELAY_CAPACITY;
    while (capacity < begin + bytes) capacity *= 2;
    bool ok = begin + bytes <= NN_VOICE_RELAY_BYTES_MAX;
    if (ok && capacity > relay->capacity) {
        uint8_t* out = (uint8_t*)nn_alloc_grow(&hub->alloc, relay->out, relay->capacity, capacity);
        ok = out != NULL;
        if (out) {
            relay->out = out;
            relay->capacity = capacity;
        }
    }
    if (!ok) {
        hub->counts.relay_dropped++;
        return false;
    }
    if (!relay->bytes) {
        nn_writer head = nn_writer_of(relay->out, RELAY_HEAD_BYTES);
        nn_write_u64(&head, hub->config.relay_id);
    }
    relay->bytes = begin;
    *out_writer = nn_writer_of(relay->out + begin, bytes);
    return true;
}

static void relay_close(necpnet_voice_hub* hub, const nn_writer* writer)
{
    hub->relay.bytes += (uint32_t)nn_writer_bytes(writer);
}

NN_PRIVATE void nn_voice_relay_packet(const nn_voice_source* source, const nn_voice_group* group, uint32_t stream,
                                      const nn_voice_frame* frame)
{
    nn_writer writer;
    bool is_placed = group->kind == NECPNET_VOICE_PROXIMITY;
    if (is_placed && !source->has_position) return;
    if (!relay_open(source->hub, RELAY_PACKET_BYTES_MAX, &writer)) return;
    nn_write_u8(&writer, RELAY_PACKET);
    nn_write_u64(&writer, group->key);
    nn_write_u64(&writer, source->peer);
    nn_write_u64(&writer, source->user);
    nn_write_u8(&writer, (uint8_t)(stream | (is_placed ? RELAY_PLACED : 0u)));
    if (is_placed) {
        nn_write_u32(&writer, source->zone);
        for (int i = 0; i < 3; i++) {
            uint32_t bits;
            memcpy(&bits, &source->position[i], sizeof bits);
            nn_write_u32(&writer, bits);
        }
    }
    nn_write_u8(&writer, frame->sequence);
    nn_write_u16(&writer, nn_voice_associated(frame));
    nn_write_u16(&writer, (uint16_t)frame->bytes);
    nn_write_bytes(&writer, frame->payload, frame->bytes);
    relay_close(source->hub, &writer);
    source->hub->counts.relay_sent++;
}

NN_PRIVATE void nn_voice_relay_report(const nn_voice_stream* stream, uint8_t loss, uint8_t jitter_ms)
{
    nn_writer writer;
    const nn_voice_source* source = stream->source;
    if (!relay_open(source->hub, 1 + 8 + 8 + 3, &writer)) return;
    nn_write_u8(&writer, RELAY_REPORT);
    nn_write_u64(&writer, source->origin);
    nn_write_u64(&writer, source->peer);
    nn_write_u8(&writer, stream->stream);
    nn_write_u8(&writer, loss);
    nn_write_u8(&writer, jitter_ms);
    relay_close(source->hub, &writer);
}

NN_PRIVATE void nn_voice_relay_gone(const nn_voice_member* member)
{
    nn_writer writer;
    const nn_voice_source* source = &member->source;
    bool has_spoken = false;
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) has_spoken = has_spoken || source->streams[i];
    if (!source->hub->config.relay_id || !has_spoken || !relay_open(source->hub, 1 + 8, &writer)) return;
    nn_write_u8(&writer, RELAY_GONE);
    nn_write_u64(&writer, source->peer);
    relay_close(source->hub, &writer);
}

bool necpnet_voice_hub_take_relay(necpnet_voice_hub* hub, const void** out_data, size_t* out_bytes)
{
    if (!hub || !out_data || !out_bytes || !hub->relay.bytes) return false;
    nn_voice_relay* relay = &hub->relay;
    uint8_t* out = relay->out;
    uint32_t capacity = relay->capacity;
    *out_data = out;
    *out_bytes = relay->bytes;
    relay->out = relay->taken;
    relay->capacity = relay->taken_capacity;
    relay->taken = out;
    relay->taken_capacity = capacity;
    relay->bytes = 0;
    return true;
}

/* -- in -- */

static bool relay_read_place(nn_reader* reader, nn_voice_source* out)
{
    out->has_position = true;
    out->zone = nn_read_u32(reader);
    for (int i = 0; i < 3; i++) {
        uint32_t bits = nn_read_u32(reader);
        memcpy(&out->position[i], &bits, sizeof bits);
        if (!(out->position[i] > -1e18f && out->position[i] < 1e18f)) return false;
    }
    return true;
}

static bool relay_read_packet(necpnet_voice_hub* hub, uint64_t origin, nn_reader* reader)
{
    nn_voice_frame frame;
    nn_voice_source place;
    memset(&frame, 0, sizeof frame);
    memset(&place, 0, sizeof place);
    uint64_t key = nn_read_u64(reader), peer = nn_read_u64(reader), user = nn_read_u64(reader);
    uint8_t flags = nn_read_u8(reader);
    if (flags & RELAY_PLACED && !relay_read_place(reader, &place)) return false;
    frame.sequence = nn_read_u8(reader);
    uint16_t associated = nn_read_u16(reader);
    frame.time = associated & (NN_VOICE_TIMES - 1);
    frame.level = associated >> 10 & 15u;
    frame.codec = (uint8_t)(associated >> 14);
    frame.bytes = nn_read_u16(reader);
    if (frame.bytes > NECPNET_VOICE_PAYLOAD_BYTES_MAX || frame.codec > NN_VOICE_CODEC_SEALED) return false;
    frame.payload = nn_read_view(reader, frame.bytes);
    if (reader->failed) return false;
    nn_voice_group* group = relay_group(hub, key);
    if (!group || group->count == 0) return true; /* nobody here is in it */
    nn_voice_far* far = relay_reach(hub, origin, peer, user);
    if (!far) return true;
    far->heard_us = hub->now_us;
    far->source.has_position = place.has_position;
    far->source.zone = place.zone;
    memcpy(far->source.position, place.position, sizeof place.position);
    hub->counts.relay_received++;
    nn_voice_hub_pass(&far->source, group, flags & RELAY_STREAM, &frame);
    return true;
}

static bool relay_read_report(necpnet_voice_hub* hub, nn_reader* reader)
{
    uint64_t to = nn_read_u64(reader), peer = nn_read_u64(reader);
    uint8_t stream = nn_read_u8(reader), loss = nn_read_u8(reader), jitter_ms = nn_read_u8(reader);
    if (reader->failed || stream >= NECPNET_VOICE_STREAMS_MAX) return false;
    const nn_voice_member* member = to == hub->config.relay_id ? nn_voice_hub_find(hub, peer) : NULL;
    if (!member || !member->source.streams[stream]) return true;
    nn_voice_hub_take_report(&hub->streams[member->source.streams[stream] - 1], loss, jitter_ms);
    return true;
}

static bool relay_read_gone(necpnet_voice_hub* hub, uint64_t origin, nn_reader* reader)
{
    uint64_t peer = nn_read_u64(reader);
    if (reader->failed) return false;
    nn_voice_far* far = relay_find(hub, origin, peer);
    if (far) nn_voice_relay_forget(&far->source);
    return true;
}

necpnet_result necpnet_voice_hub_give_relay(necpnet_voice_hub* hub, const void* data, size_t bytes, uint64_t now_us)
{
    if (!hub || !hub->config.relay_id || (!data && bytes)) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_reader reader = nn_reader_of((const uint8_t*)data, bytes);
    uint64_t origin = nn_read_u64(&reader);
    bool ok = !reader.failed && origin != 0;
    if (ok && origin == hub->config.relay_id) return NECPNET_OK; /* its own, come round */
    nn_voice_hub_set_time(hub, now_us);
    while (ok && nn_reader_left(&reader)) {
        switch (nn_read_u8(&reader)) {
        case RELAY_PACKET: ok = relay_read_packet(hub, origin, &reader); break;
        case RELAY_REPORT: ok = relay_read_report(hub, &reader); break;
        case RELAY_GONE: ok = relay_read_gone(hub, origin, &reader); break;
        default: ok = false; break;
        }
    }
    return ok ? NECPNET_OK : NECPNET_ERR_BAD_DATA;
}
