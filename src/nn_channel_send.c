/* nn_channel_send - the sending half of a channel. */
#include "nn_channel_send.h"

#include "nn_frame.h"
#include "nn_sequence.h"

#define CHANNEL_RING_ENTRIES_MIN 4
#define CHANNEL_FRAGMENT_BYTES_MIN 128 /* less room than this at the end of a packet is left empty */

static nn_send_entry* channel_entry(const nn_channel_send* channel, uint16_t position)
{
    return &channel->ring[position & (channel->capacity - 1)];
}

NN_PRIVATE nn_channel_send* nn_channel_send_create(nn_blocks* blocks, const necpnet_channel_config* config,
                                                   uint8_t index, uint8_t byte)
{
    nn_channel_send* channel = (nn_channel_send*)nn_alloc_take(blocks->alloc, sizeof *channel);
    if (!channel) return NULL;
    channel->config = config;
    channel->blocks = blocks;
    channel->index = index;
    channel->byte = byte;
    return channel;
}

static nn_fragments* channel_find_cut(const nn_channel_send* channel, uint16_t id)
{
    nn_fragments* cut = channel->cuts;
    while (cut && cut->id != id) cut = cut->next;
    return cut;
}

/* The first message with fragments to send, or NULL. */
static nn_fragments* channel_cut_to_send(const nn_channel_send* channel)
{
    nn_fragments* cut = channel->cuts;
    while (cut && cut->unsent->count == 0) cut = cut->next;
    return cut;
}

static void channel_end_cut(nn_channel_send* channel, uint16_t id)
{
    nn_fragments** at = &channel->cuts;
    while (*at && (*at)->id != id) at = &(*at)->next;
    if (!*at) return;
    nn_fragments* cut = *at;
    *at = cut->next;
    nn_fragments_end(cut, channel->blocks);
    channel->cut_count--;
}

/* Forget an entry; a receipt goes to the list, or is dropped without one. */
static void channel_retire(nn_channel_send* channel, uint16_t position, nn_delivery_list* receipts)
{
    nn_send_entry* entry = channel_entry(channel, position);
    if (entry->state == NN_SEND_GONE) return;
    if (entry->state == NN_SEND_LOST) channel->lost_count--;
    if (NN_UNLIKELY(channel->cuts)) channel_end_cut(channel, position);
    channel->queue_messages--;
    channel->queue_bytes -= entry->payload->bytes;
    nn_payload_release(entry->payload);
    entry->payload = NULL;
    entry->state = NN_SEND_GONE;
    if (entry->receipt) {
        if (receipts) {
            nn_delivery_append(receipts, entry->receipt);
        } else {
            nn_delivery_give(channel->blocks, NULL, entry->receipt);
        }
        entry->receipt = NULL;
    }
    channel->waits = false;
    while (channel->first != channel->fresh && channel_entry(channel, channel->first)->state == NN_SEND_GONE) {
        channel->first++;
    }
}

NN_PRIVATE void nn_channel_send_destroy(nn_channel_send* channel)
{
    if (!channel) return;
    channel->fresh = channel->next;
    for (uint16_t at = channel->first; at != channel->next; at++) channel_retire(channel, at, NULL);
    NN_ASSERT(!channel->cuts);
    nn_alloc_give(channel->blocks->alloc, channel->ring, channel->capacity * sizeof *channel->ring);
    nn_alloc_give(channel->blocks->alloc, channel, sizeof *channel);
}

static bool channel_grow(nn_channel_send* channel)
{
    uint32_t capacity = channel->capacity ? channel->capacity * 2 : CHANNEL_RING_ENTRIES_MIN;
    nn_send_entry* ring = (nn_send_entry*)nn_alloc_take(channel->blocks->alloc, capacity * sizeof *ring);
    if (!ring) return false;
    for (uint16_t at = channel->first; at != channel->next; at++) {
        ring[at & (capacity - 1)] = *channel_entry(channel, at);
    }
    nn_alloc_give(channel->blocks->alloc, channel->ring, channel->capacity * sizeof *ring);
    channel->ring = ring;
    channel->capacity = capacity;
    return true;
}

static bool channel_full(const nn_channel_send* channel, uint32_t bytes)
{
    if ((uint16_t)(channel->next - channel->first) >= NN_CHANNEL_UNACKED_MAX) return true;
    if (channel->config->mode == NECPNET_RELIABLE_SEQUENCED || channel->queue_messages == 0) return false;
    return channel->queue_messages >= channel->config->queue_messages_max ||
           (uint64_t)channel->queue_bytes + bytes > channel->config->queue_bytes_max;
}

NN_PRIVATE necpnet_result nn_channel_send_queue(nn_channel_send* channel, nn_payload* payload,
                                                const necpnet_send_options* options)
{
    if (channel_full(channel, payload->bytes)) {
        channel->blocked = true;
        channel->refused_bytes = payload->bytes;
        return NECPNET_ERR_WOULD_BLOCK;
    }
    return nn_channel_send_take_over(channel, payload, options);
}

NN_PRIVATE necpnet_result nn_channel_send_take_over(nn_channel_send* channel, nn_payload* payload,
                                                    const necpnet_send_options* options)
{
    if ((uint16_t)(channel->next - channel->first) == channel->capacity && !channel_grow(channel)) {
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    nn_delivery* receipt = NULL;
    if (options && options->wants_receipt) {
        receipt = nn_delivery_take(channel->blocks, NULL, 0, 0);
        if (!receipt) return NECPNET_ERR_OUT_OF_MEMORY;
        receipt->is_receipt = true;
        receipt->channel = channel->index;
        receipt->receipt = options->receipt;
    }
    if (channel->config->mode == NECPNET_RELIABLE_SEQUENCED && channel->fresh != channel->next) {
        /* Never written, so the newer one takes its place and its id: ids advance no faster than packets do. */
        channel->next--;
        channel_retire(channel, channel->next, NULL);
        channel->messages_dropped++;
    }
    nn_send_entry* entry = channel_entry(channel, channel->next++);
    entry->payload = nn_payload_acquire(payload);
    entry->receipt = receipt;
    entry->deadline_us = options && options->has_deadline ? options->deadline_us : NN_NEVER;
    entry->state = NN_SEND_QUEUED;
    entry->in_flight = 0;
    channel->queue_messages++;
    channel->queue_bytes += payload->bytes;
    channel->messages_sent++;
    channel->bytes_sent += payload->plain_bytes;
    return NECPNET_OK;
}

static bool channel_has_credit(const nn_channel_send* channel, uint16_t position)
{
    if (!nn_channel_has_credit(channel->config->mode)) return true;
    return channel->credit_used + channel_entry(channel, position)->payload->cost <= channel->credit_limit;
}

/* A reliable sequenced channel does not resend what a queued newer message replaces. */
static bool channel_has_lost(const nn_channel_send* channel)
{
    return channel->lost_count > 0 &&
           (channel->config->mode != NECPNET_RELIABLE_SEQUENCED || channel->fresh == channel->next);
}

/* Whether the next new message may be begun; there is one. */
static bool channel_may_begin(const nn_channel_send* channel)
{
    if (channel->config->mode == NECPNET_RELIABLE_SEQUENCED && channel->cuts) return false;
    return channel_has_credit(channel, channel->fresh);
}

NN_PRIVATE bool nn_channel_send_ready(const nn_channel_send* channel)
{
    if (!nn_channel_is_reliable(channel->config->mode)) return channel->fresh != channel->next;
    if (channel->holds) return false;
    if (NN_UNLIKELY(channel->cuts) && channel_cut_to_send(channel)) return true;
    if (channel->waits) return false;
    if (channel_has_lost(channel)) return true;
    return channel->fresh != channel->next && channel_may_begin(channel);
}

/* Whether a reliable message can be recorded, beside its neighbour or in a new place. */
static bool channel_can_record(const nn_channel_send* channel, const nn_contents* contents, uint16_t id)
{
    if (!contents || contents->count < NN_CONTENTS_FRAMES_MAX) return true;
    const nn_sent_frame* last = &contents->frames[NN_CONTENTS_FRAMES_MAX - 1];
    return last->kind == NN_SENT_MESSAGES && last->channel == channel->byte && (uint16_t)(last->id + last->value) == id;
}

static void channel_record(const nn_channel_send* channel, nn_contents* contents, uint16_t id)
{
    if (!contents) return;
    if (contents->count > 0) {
        nn_sent_frame* last = &contents->frames[contents->count - 1];
        if (last->kind == NN_SENT_MESSAGES && last->channel == channel->byte &&
            (uint16_t)(last->id + last->value) == id) {
            last->value++;
            return;
        }
    }
    nn_contents_add(contents, NN_SENT_MESSAGES, channel->byte, id, 1);
}

/* The caller has seen that it fits. */
static void channel_put_message(const nn_channel_send* channel, nn_message_packet* packet, const nn_payload* payload,
                                bool has_id, uint16_t id, bool last)
{
    nn_writer* writer = packet->writer;
    uint8_t* at = writer->at;
    *at++ = last ? NN_FRAME_MESSAGE_LAST : NN_FRAME_MESSAGE;
    *at++ = (uint8_t)(channel->byte | payload->flags);
    if (has_id) {
        nn_store_u16(at, id);
        at += 2;
    }
    writer->at = at;
    if (!last) nn_write_varint(writer, payload->bytes);
    nn_write_bytes(writer, nn_payload_data(payload), payload->bytes);
    NN_ASSERT(!writer->failed);
    if (last) packet->closed = true;
}

/* One fragment from unit `first`, at most `most` units. Returns units written; 0 when there is no room worth using. */
static uint32_t channel_put_fragment(const nn_channel_send* channel, nn_message_packet* packet,
                                     const nn_payload* payload, uint16_t id, uint32_t first, uint32_t most)
{
    nn_writer* writer = packet->writer;
    size_t left = nn_writer_left(writer);
    size_t at = (size_t)first * NN_FRAGMENT_UNIT_BYTES;
    size_t rest = payload->bytes - at;
    size_t header =
        4 + nn_varint_bytes(payload->bytes) + nn_varint_bytes(first) + nn_varint_bytes(nn_min_size(left, rest));
    if (left < header) return 0;
    size_t room = left - header;
    uint32_t units = room >= rest ? nn_fragment_units(rest) : (uint32_t)(room / NN_FRAGMENT_UNIT_BYTES);
    if (room < rest && room < CHANNEL_FRAGMENT_BYTES_MIN && left < packet->room) return 0;
    if (units > most) units = most;
    if (units > NN_FRAGMENT_UNITS_AT_ONCE_MAX) units = NN_FRAGMENT_UNITS_AT_ONCE_MAX;
    if (units == 0 && rest > 0) return 0;
    size_t bytes = nn_min_size((size_t)units * NN_FRAGMENT_UNIT_BYTES, rest);
    nn_write_u8(writer, NN_FRAME_FRAGMENT);
    nn_write_u8(writer, (uint8_t)(channel->byte | payload->flags));
    nn_write_u16(writer, id);
    nn_write_varint(writer, payload->bytes);
    nn_write_varint(writer, first);
    nn_write_varint(writer, bytes);
    nn_write_bytes(writer, nn_payload_data(payload) + at, bytes);
    NN_ASSERT(!writer->failed);
    return units;
}

static void channel_add_copy(const nn_channel_send* channel, nn_message_packet* packet, nn_payload* payload,
                             uint16_t id)
{
    nn_copies* copies = packet->copies;
    if (!copies || !channel->config->redundancy || copies->count == NN_REDUNDANCY_COPIES_MAX) return;
    if (copies->count == 0) copies->since_us = packet->now_us;
    nn_sent_copy* copy = &copies->copies[copies->count++];
    copy->payload = nn_payload_acquire(payload);
    copy->id = id;
    copy->channel = channel->index;
    if (packet->contents && nn_channel_is_reliable(channel->config->mode)) packet->contents->is_copied = true;
}

static void channel_drop_fresh(nn_channel_send* channel)
{
    channel->cutting = false;
    channel->messages_dropped++;
    channel_retire(channel, channel->fresh, NULL);
    channel->fresh++;
    while (channel->first != channel->fresh && channel_entry(channel, channel->first)->state == NN_SEND_GONE) {
        channel->first++;
    }
}

/* What holds for a reliable message from its first byte on the wire. */
static void channel_begun(nn_channel_send* channel, uint16_t position)
{
    nn_send_entry* entry = channel_entry(channel, position);
    if (entry->state == NN_SEND_LOST) {
        channel->lost_count--;
        channel->resends++;
    }
    if (entry->state == NN_SEND_QUEUED) {
        channel->fresh++;
        if (nn_channel_has_credit(channel->config->mode)) channel->credit_used += entry->payload->cost;
        if (channel->config->mode == NECPNET_RELIABLE_SEQUENCED) {
            while (channel->first != position) {
                if (channel_entry(channel, channel->first)->state == NN_SEND_LOST) channel->messages_dropped++;
                channel_retire(channel, channel->first, NULL);
            }
        }
    }
    entry->state = NN_SEND_IN_FLIGHT;
}

/* The message does not fit into any packet of this size. False: not now. */
static bool channel_begin_cut(nn_channel_send* channel, uint16_t position)
{
    nn_send_entry* entry = channel_entry(channel, position);
    if (!nn_channel_is_reliable(channel->config->mode)) {
        channel->cutting = true;
        channel->cut_unit = 0;
        channel->cut_id = channel->wire_id++;
        return true;
    }
    /* One place is kept for the oldest message: when the peer has it, and says so, others become known to have come. */
    if (channel->cut_count + (position != channel->first) >= NN_FRAGMENTED_AT_ONCE_MAX) {
        channel->waits = true;
        return false;
    }
    nn_fragments* cut = nn_fragments_begin(channel->blocks, position, entry->payload->bytes);
    if (!cut) return false;
    nn_fragments** at = &channel->cuts;
    while (*at) at = &(*at)->next;
    *at = cut;
    channel->cut_count++;
    channel_begun(channel, position);
    entry->in_flight = 0;
    return true;
}

/* The next fragment of the unreliable message at `fresh`. */
static bool channel_write_cut(nn_channel_send* channel, nn_message_packet* packet)
{
    nn_send_entry* entry = channel_entry(channel, channel->fresh);
    uint32_t units = nn_fragment_units(entry->payload->bytes);
    uint32_t written = channel_put_fragment(channel, packet, entry->payload, channel->cut_id, channel->cut_unit,
                                            units - channel->cut_unit);
    if (written == 0) return false;
    channel->cut_unit += written;
    if (channel->cut_unit == units) {
        channel->cutting = false;
        channel_retire(channel, channel->fresh, NULL);
        channel->fresh++;
        channel->first = channel->fresh;
    }
    return true;
}

/* The next fragment of a reliable message. */
static bool channel_write_fragment(nn_channel_send* channel, nn_message_packet* packet, nn_fragments* cut)
{
    uint32_t first, count;
    if (nn_contents_full(packet->contents)) return false;
    if (!nn_units_run(cut->unsent, 0, NN_FRAGMENT_UNITS_AT_ONCE_MAX, &first, &count)) return false;
    nn_send_entry* entry = channel_entry(channel, cut->id);
    uint32_t units = channel_put_fragment(channel, packet, entry->payload, cut->id, first, count);
    if (units == 0) return false;
    nn_units_remove(cut->unsent, first, units);
    nn_contents_add(packet->contents, NN_SENT_FRAGMENT, channel->byte, cut->id, nn_fragment_value(first, units));
    return true;
}

static bool channel_write_unreliable(nn_channel_send* channel, nn_message_packet* packet)
{
    nn_send_entry* entry = channel_entry(channel, channel->fresh);
    nn_payload* payload = entry->payload;
    size_t left = nn_writer_left(packet->writer);
    bool sequenced = channel->config->mode == NECPNET_UNRELIABLE_SEQUENCED;
    size_t header = sequenced ? 4 : 2;
    uint16_t id = channel->wire_id;
    if (channel->config->redundancy && packet->copies && !sequenced) {
        /* A plain unreliable MESSAGE has no id by which the copy could be told; a fragment has. */
        size_t bytes = 4 + nn_varint_bytes(payload->bytes) * 2 + 1 + payload->bytes;
        if (bytes > left) return bytes > packet->room && channel_begin_cut(channel, channel->fresh);
        channel_put_fragment(channel, packet, payload, id, 0, nn_fragment_units(payload->bytes));
        channel->wire_id++;
    } else {
        bool fits = header + nn_varint_bytes(payload->bytes) + payload->bytes <= left;
        if (!fits && header + payload->bytes > left) {
            return header + payload->bytes > packet->room && channel_begin_cut(channel, channel->fresh);
        }
        bool last = !fits || (!packet->others_wait && (uint16_t)(channel->next - channel->fresh) == 1);
        channel_put_message(channel, packet, payload, sequenced, id, last);
        if (sequenced) channel->wire_id++;
    }
    channel_add_copy(channel, packet, payload, id);
    channel_retire(channel, channel->fresh, NULL);
    channel->fresh++;
    channel->first = channel->fresh;
    return true;
}

static bool channel_write_reliable(nn_channel_send* channel, nn_message_packet* packet, uint16_t position)
{
    nn_send_entry* entry = channel_entry(channel, position);
    nn_payload* payload = entry->payload;
    size_t left = nn_writer_left(packet->writer);
    bool fits = 4 + nn_varint_bytes(payload->bytes) + payload->bytes <= left;
    bool is_new = entry->state == NN_SEND_QUEUED;
    if (!fits && (size_t)4 + payload->bytes > left) {
        return (size_t)4 + payload->bytes > packet->room && channel_begin_cut(channel, position);
    }
    if (!channel_can_record(channel, packet->contents, position)) return false;
    bool more = is_new ? (uint16_t)(channel->next - position) > 1 || channel->lost_count > 0
                       : channel->lost_count > 1 || channel->fresh != channel->next;
    channel_put_message(channel, packet, payload, true, position, !fits || (!packet->others_wait && !more));
    channel_record(channel, packet->contents, position);
    channel_begun(channel, position);
    if (entry->in_flight < UINT8_MAX) entry->in_flight++;
    if (is_new) channel_add_copy(channel, packet, payload, position);
    return true;
}

static uint16_t channel_find_lost(nn_channel_send* channel)
{
    if (!nn_channel_send_in_range(channel, channel->lost_scan)) channel->lost_scan = channel->first;
    while (channel_entry(channel, channel->lost_scan)->state != NN_SEND_LOST) {
        channel->lost_scan++;
        NN_ASSERT(channel->lost_scan != channel->fresh); /* none lost stands before it: nn_channel_send_lost */
    }
    return channel->lost_scan;
}

NN_PRIVATE size_t nn_channel_send_write(nn_channel_send* channel, nn_message_packet* packet, size_t turn)
{
    size_t begin = nn_writer_bytes(packet->writer);
    bool reliable = nn_channel_is_reliable(channel->config->mode);
    while (!packet->closed && nn_writer_bytes(packet->writer) - begin < turn) {
        if (reliable && channel->holds) break;
        nn_fragments* cut = channel_cut_to_send(channel);
        if (NN_UNLIKELY(cut)) {
            if (!channel_write_fragment(channel, packet, cut)) break;
            continue;
        }
        if (channel->waits) break;
        if (channel_has_lost(channel)) {
            if (!channel_write_reliable(channel, packet, channel_find_lost(channel))) break;
            continue;
        }
        if (channel->fresh == channel->next) break;
        if (channel_entry(channel, channel->fresh)->deadline_us < packet->now_us) {
            channel_drop_fresh(channel);
            continue;
        }
        if (!reliable) {
            if (channel->cutting ? !channel_write_cut(channel, packet) : !channel_write_unreliable(channel, packet)) {
                break;
            }
            continue;
        }
        if (!channel_may_begin(channel)) break;
        if (!channel_write_reliable(channel, packet, channel->fresh)) break;
    }
    return nn_writer_bytes(packet->writer) - begin;
}

NN_PRIVATE void nn_channel_send_copy(nn_channel_send* channel, nn_message_packet* packet, const nn_sent_copy* copy)
{
    necpnet_channel_mode mode = channel->config->mode;
    const nn_payload* payload = copy->payload;
    if (packet->closed || 5 + 2 * nn_varint_bytes(payload->bytes) + payload->bytes > nn_writer_left(packet->writer)) {
        return;
    }
    if (nn_channel_is_reliable(mode)) {
        if (channel->holds || !nn_channel_send_in_range(channel, copy->id)) return;
        nn_send_entry* entry = channel_entry(channel, copy->id);
        if (entry->payload != payload || (entry->state != NN_SEND_IN_FLIGHT && entry->state != NN_SEND_LOST)) return;
        if (channel_find_cut(channel, copy->id)) return;
        if (!channel_can_record(channel, packet->contents, copy->id)) return;
        channel_put_message(channel, packet, payload, true, copy->id, false);
        channel_record(channel, packet->contents, copy->id);
        if (entry->state == NN_SEND_LOST) channel->lost_count--;
        entry->state = NN_SEND_IN_FLIGHT;
        if (entry->in_flight < UINT8_MAX) entry->in_flight++;
    } else if (mode == NECPNET_UNRELIABLE_SEQUENCED) {
        channel_put_message(channel, packet, payload, true, copy->id, false);
    } else {
        channel_put_fragment(channel, packet, payload, copy->id, 0, nn_fragment_units(payload->bytes));
    }
    channel->resends++;
}

NN_PRIVATE void nn_channel_send_acked(nn_channel_send* channel, uint16_t id, uint32_t count, nn_delivery_list* receipts)
{
    for (; count > 0; count--, id++) {
        if (nn_channel_send_in_range(channel, id)) channel_retire(channel, id, receipts);
    }
}

/* A message in flight is to be sent again. */
static void channel_lose(nn_channel_send* channel, uint16_t id)
{
    nn_send_entry* entry = channel_entry(channel, id);
    if (entry->state != NN_SEND_IN_FLIGHT) return;
    if (NN_UNLIKELY(channel->cuts) && channel_find_cut(channel, id)) return;
    entry->state = NN_SEND_LOST;
    channel->waits = false;
    /* the one it stood at may have arrived after all, while others behind it are still lost */
    if (!nn_channel_send_in_range(channel, channel->lost_scan)) channel->lost_scan = channel->first;
    if (channel->lost_count++ == 0 ||
        (uint16_t)(id - channel->first) < (uint16_t)(channel->lost_scan - channel->first)) {
        channel->lost_scan = id;
    }
}

NN_PRIVATE void nn_channel_send_lost(nn_channel_send* channel, uint16_t id, uint32_t count)
{
    for (; count > 0; count--, id++) {
        if (!nn_channel_send_in_range(channel, id)) continue;
        nn_send_entry* entry = channel_entry(channel, id);
        if (entry->in_flight > 0) entry->in_flight--;
        if (entry->in_flight == 0) channel_lose(channel, id);
    }
}

NN_PRIVATE void nn_channel_send_doubted(nn_channel_send* channel, uint16_t id, uint32_t count)
{
    if (!channel->config->redundancy) return;
    for (; count > 0; count--, id++) {
        if (nn_channel_send_in_range(channel, id)) channel_lose(channel, id);
    }
}

NN_PRIVATE void nn_channel_send_fragment_acked(nn_channel_send* channel, uint16_t id, uint32_t value,
                                               nn_delivery_list* receipts)
{
    nn_fragments* cut = channel_find_cut(channel, id);
    if (cut && nn_fragments_acked(cut, value & 0x1ffff, value >> 17)) channel_retire(channel, id, receipts);
}

NN_PRIVATE void nn_channel_send_fragment_lost(nn_channel_send* channel, uint16_t id, uint32_t value)
{
    nn_fragments* cut = channel_find_cut(channel, id);
    if (!cut) return;
    nn_fragments_lost(cut, value & 0x1ffff, value >> 17);
    channel->resends++;
}

NN_PRIVATE void nn_channel_send_interrupt(nn_channel_send* channel)
{
    if (!nn_channel_is_reliable(channel->config->mode)) {
        if (channel->cutting) channel_drop_fresh(channel);
        return;
    }
    for (uint16_t at = channel->first; at != channel->fresh; at++) {
        nn_send_entry* entry = channel_entry(channel, at);
        entry->in_flight = 0;
        if (entry->state != NN_SEND_IN_FLIGHT) continue;
        nn_fragments* cut = channel_find_cut(channel, at);
        if (cut) {
            nn_fragments_lost(cut, 0, cut->unsent->units);
            continue;
        }
        entry->state = NN_SEND_LOST;
        channel->lost_count++;
    }
    channel->lost_scan = channel->first;
    channel->holds = true;
    channel->waits = false;
}

NN_PRIVATE bool nn_channel_send_covers(const nn_channel_send* channel, uint16_t id)
{
    return nn_sequence_distance(id, channel->fresh) <= 0;
}

NN_PRIVATE void nn_channel_send_has_units(nn_channel_send* channel, uint16_t id, uint32_t units,
                                          nn_delivery_list* receipts)
{
    nn_fragments* cut = channel_find_cut(channel, id);
    /* Acknowledgements may have told of the rest before. */
    if (cut && nn_fragments_acked(cut, 0, units)) channel_retire(channel, id, receipts);
}

NN_PRIVATE nn_send_entry* nn_channel_send_unsent(const nn_channel_send* channel)
{
    return channel->fresh == channel->next || channel->cutting ? NULL : channel_entry(channel, channel->fresh);
}

NN_PRIVATE void nn_channel_send_forget_unsent(nn_channel_send* channel)
{
    channel_drop_fresh(channel);
}

NN_PRIVATE bool nn_channel_send_has_room(const nn_channel_send* channel)
{
    if (channel->queue_messages == 0) return true;
    const necpnet_channel_config* config = channel->config;
    return channel->queue_messages <= config->queue_messages_max / 4 * 3 &&
           (uint64_t)channel->queue_bytes + channel->refused_bytes <= config->queue_bytes_max &&
           (uint16_t)(channel->next - channel->first) <= NN_CHANNEL_UNACKED_MAX / 4 * 3;
}
