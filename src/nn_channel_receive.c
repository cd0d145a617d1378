/* nn_channel_receive - the receiving half of a channel. */
#include "nn_channel_receive.h"

#include "nn_compress.h"
#include "nn_sequence.h"

#define CHANNEL_WINDOW_MIN 64 /* ids of the first ring or bit set */
#define CHANNEL_SEEN_IDS 64

typedef enum channel_verdict {
    CHANNEL_NEW,
    CHANNEL_OLD,    /* a duplicate, or overtaken */
    CHANNEL_BEYOND, /* breaks the rule of 16,384 */
    CHANNEL_NO_ROOM /* out of memory */
} channel_verdict;

NN_PRIVATE nn_channel_receive* nn_channel_receive_create(nn_blocks* blocks, nn_receive_memory* memory,
                                                         const necpnet_channel_config* config, uint8_t index,
                                                         uint8_t byte)
{
    nn_channel_receive* channel = (nn_channel_receive*)nn_alloc_take(blocks->alloc, sizeof *channel);
    if (!channel) return NULL;
    channel->config = config;
    channel->blocks = blocks;
    channel->memory = memory;
    channel->index = index;
    channel->byte = byte;
    if (nn_channel_has_credit(config->mode)) {
        channel->credit_announced = (uint64_t)config->window_bytes + NN_CREDIT_EXTRA_BYTES;
    }
    return channel;
}

static nn_reassembly* channel_find_assembly(const nn_channel_receive* channel, uint16_t id)
{
    nn_reassembly* assembly = channel->assemblies;
    while (assembly && assembly->id != id) assembly = assembly->next;
    return assembly;
}

/* Take an assembly off the list and release it; its body only if it still has one. */
static void channel_end_assembly(nn_channel_receive* channel, nn_reassembly* assembly)
{
    nn_reassembly** at = &channel->assemblies;
    while (*at != assembly) at = &(*at)->next;
    *at = assembly->next;
    channel->assembly_count--;
    nn_delivery_give(channel->blocks, channel->memory, assembly->body);
    nn_units_release(channel->blocks, assembly->have);
    nn_blocks_give(channel->blocks, assembly, assembly->capacity);
}

/* Forget an unreliable message half received. */
static void channel_drop_assembly(nn_channel_receive* channel, nn_reassembly* assembly)
{
    channel->messages_dropped++;
    channel_end_assembly(channel, assembly);
}

NN_PRIVATE void nn_channel_receive_destroy(nn_channel_receive* channel)
{
    if (!channel) return;
    while (channel->assemblies) channel_end_assembly(channel, channel->assemblies);
    if (channel->ring) {
        for (uint32_t i = 0; i < channel->capacity; i++) {
            nn_delivery_give(channel->blocks, channel->memory, channel->ring[i]);
        }
        channel->memory->held -= channel->capacity * sizeof *channel->ring;
        nn_alloc_give(channel->blocks->alloc, channel->ring, channel->capacity * sizeof *channel->ring);
    }
    nn_alloc_give(channel->blocks->alloc, channel->bits, channel->capacity / 8);
    nn_alloc_give(channel->blocks->alloc, channel, sizeof *channel);
}

/* ---- ids ------------------------------------------------------------------------------------------------------ */

static bool channel_bit(const nn_channel_receive* channel, uint16_t id)
{
    uint32_t at = id & (channel->capacity - 1);
    return channel->bits[at / 64] >> (at % 64) & 1;
}

static void channel_flip_bit(uint64_t* bits, uint32_t capacity, uint16_t id)
{
    uint32_t at = id & (capacity - 1);
    bits[at / 64] ^= UINT64_C(1) << (at % 64);
}

NN_PRIVATE bool nn_channel_receive_has(const nn_channel_receive* channel, uint16_t id)
{
    if ((uint16_t)(id - channel->next) >= channel->capacity) return false;
    if (channel->config->mode == NECPNET_RELIABLE_ORDERED) {
        return channel->ring && channel->ring[id & (channel->capacity - 1)] != NULL;
    }
    return channel->bits && channel_bit(channel, id);
}

/* Room for early messages up to `ahead` ids from next. */
static bool channel_widen(nn_channel_receive* channel, uint32_t ahead)
{
    uint32_t capacity = channel->capacity ? channel->capacity : CHANNEL_WINDOW_MIN;
    while (capacity <= ahead) capacity *= 2;
    if (channel->config->mode == NECPNET_RELIABLE_ORDERED) {
        size_t more = (capacity - channel->capacity) * sizeof(nn_delivery*);
        if (channel->memory->held + more > channel->memory->max) return false;
        nn_delivery** ring = (nn_delivery**)nn_alloc_take(channel->blocks->alloc, capacity * sizeof *ring);
        if (!ring) return false;
        for (uint32_t i = 0; i < channel->capacity; i++) {
            uint16_t id = (uint16_t)(channel->next + i);
            ring[id & (capacity - 1)] = channel->ring[id & (channel->capacity - 1)];
        }
        channel->memory->held += more;
        nn_alloc_give(channel->blocks->alloc, channel->ring, channel->capacity * sizeof *ring);
        channel->ring = ring;
    } else {
        uint64_t* bits = (uint64_t*)nn_alloc_take(channel->blocks->alloc, capacity / 8);
        if (!bits) return false;
        for (uint32_t i = 0; i < channel->capacity; i++) {
            uint16_t id = (uint16_t)(channel->next + i);
            if (channel_bit(channel, id)) channel_flip_bit(bits, capacity, id);
        }
        nn_alloc_give(channel->blocks->alloc, channel->bits, channel->capacity / 8);
        channel->bits = bits;
    }
    channel->capacity = capacity;
    return true;
}

/* Unreliable messages that have an id (fragments): whether this one came before. */
static bool channel_seen(const nn_channel_receive* channel, uint16_t id)
{
    if (!channel->any || nn_sequence_newer(id, channel->seen_newest)) return false;
    uint16_t back = (uint16_t)(channel->seen_newest - id);
    return back >= CHANNEL_SEEN_IDS || (channel->seen >> back & 1);
}

static void channel_see(nn_channel_receive* channel, uint16_t id)
{
    if (!channel->any || nn_sequence_newer(id, channel->seen_newest)) {
        uint16_t ahead = (uint16_t)(id - channel->seen_newest);
        channel->seen = channel->any && ahead < CHANNEL_SEEN_IDS ? channel->seen << ahead : 0;
        channel->seen_newest = id;
        channel->any = true;
    }
    channel->seen |= UINT64_C(1) << (uint16_t)(channel->seen_newest - id);
}

static channel_verdict channel_judge(nn_channel_receive* channel, uint16_t id)
{
    switch (channel->config->mode) {
    case NECPNET_UNRELIABLE: return channel_seen(channel, id) ? CHANNEL_OLD : CHANNEL_NEW;
    case NECPNET_UNRELIABLE_SEQUENCED:
    case NECPNET_RELIABLE_SEQUENCED:
        return channel->any && nn_sequence_distance(id, channel->next) < 0 ? CHANNEL_OLD : CHANNEL_NEW;
    case NECPNET_RELIABLE_UNORDERED:
    case NECPNET_RELIABLE_ORDERED: break;
    }
    uint16_t ahead = (uint16_t)(id - channel->next);
    if (NN_LIKELY(ahead == 0)) return CHANNEL_NEW;
    if (ahead >= 0x8000) return CHANNEL_OLD;
    if (ahead >= NN_CHANNEL_UNACKED_MAX) return CHANNEL_BEYOND;
    if (nn_channel_receive_has(channel, id)) return CHANNEL_OLD;
    if (ahead >= channel->capacity && !channel_widen(channel, ahead)) return CHANNEL_NO_ROOM;
    return CHANNEL_NEW;
}

/* ---- delivering ----------------------------------------------------------------------------------------------- */

static void channel_deliver(nn_channel_receive* channel, nn_delivery* delivery, uint16_t id,
                            nn_delivery_list* delivered)
{
    switch (channel->config->mode) {
    case NECPNET_UNRELIABLE: break; /* its id, if any, was seen to */
    case NECPNET_UNRELIABLE_SEQUENCED:
    case NECPNET_RELIABLE_SEQUENCED:
        channel->any = true;
        channel->next = (uint16_t)(id + 1);
        while (channel->assemblies && nn_sequence_distance(channel->assemblies->id, channel->next) < 0) {
            channel_drop_assembly(channel, channel->assemblies);
        }
        break;
    case NECPNET_RELIABLE_UNORDERED:
        if (nn_sequence_distance((uint16_t)(id + 1), channel->end) > 0) channel->end = (uint16_t)(id + 1);
        if (id != channel->next) {
            channel_flip_bit(channel->bits, channel->capacity, id);
            break;
        }
        channel->next++;
        while (channel->next != channel->end && channel_bit(channel, channel->next)) {
            channel_flip_bit(channel->bits, channel->capacity, channel->next++);
        }
        break;
    case NECPNET_RELIABLE_ORDERED:
        if (nn_sequence_distance((uint16_t)(id + 1), channel->end) > 0) channel->end = (uint16_t)(id + 1);
        if (id != channel->next) {
            channel->ring[id & (channel->capacity - 1)] = delivery;
            return;
        }
        nn_delivery_append(delivered, delivery);
        channel->next++;
        while (channel->next != channel->end && channel->ring[channel->next & (channel->capacity - 1)]) {
            nn_delivery** slot = &channel->ring[channel->next++ & (channel->capacity - 1)];
            nn_delivery_append(delivered, *slot);
            *slot = NULL;
        }
        return;
    }
    nn_delivery_append(delivered, delivery);
}

/* Take the name off the front: bytes become the name, a NUL in place of what was its length, and the data. */
static bool channel_open_name(nn_delivery* delivery)
{
    uint8_t* body = nn_delivery_body(delivery);
    if (delivery->bytes == 0) return false;
    uint32_t name_bytes = body[0];
    if (name_bytes < 1 || name_bytes > NECPNET_NAME_BYTES_MAX || name_bytes + 1 > delivery->bytes) return false;
    memmove(body, body + 1, name_bytes);
    body[name_bytes] = 0;
    if (memchr(body, 0, name_bytes)) return false;
    delivery->name_offset = 0;
    delivery->data_offset = name_bytes + 1;
    delivery->bytes -= name_bytes + 1;
    return true;
}

static necpnet_result channel_refuse(const char** out_text, const char* text)
{
    *out_text = text;
    return NECPNET_ERR_PROTOCOL;
}

static necpnet_result channel_check_credit(const nn_channel_receive* channel, uint64_t cost, const char** out_text)
{
    if (!nn_channel_has_credit(channel->config->mode)) return NECPNET_OK;
    if (channel->credit_received + cost <= channel->credit_announced) return NECPNET_OK;
    return channel_refuse(out_text, "more was sent on a channel than its credit allows");
}

/* The decompressed form of a delivery. Out of memory: nothing was done. It may pass the memory's limit: what was begun
 * must be able to end, and credit bounds it. */
static necpnet_result channel_decompress(nn_channel_receive* channel, nn_delivery** in_out, uint32_t charged,
                                         const char** out_text)
{
    nn_delivery* packed = *in_out;
    nn_reader reader = nn_reader_of(nn_delivery_body(packed), packed->bytes);
    uint64_t plain_bytes = nn_read_varint(&reader);
    if (reader.failed || plain_bytes < charged ||
        plain_bytes > (uint64_t)channel->config->message_bytes_max + NN_CREDIT_EXTRA_BYTES || plain_bytes == 0) {
        return channel_refuse(out_text, "a compressed message has no valid size");
    }
    necpnet_result result = channel_check_credit(channel, plain_bytes - charged, out_text);
    if (result) return result;
    nn_delivery* plain = nn_delivery_take(channel->blocks, channel->memory, (size_t)plain_bytes, UINT64_MAX);
    if (!plain) return NECPNET_ERR_OUT_OF_MEMORY;
    plain->bytes = (uint32_t)plain_bytes;
    plain->channel = packed->channel;
    plain->flags = packed->flags;
    bool whole = nn_decompress(reader.at, nn_reader_left(&reader), nn_delivery_body(plain), (size_t)plain_bytes);
    nn_delivery_give(channel->blocks, channel->memory, packed);
    *in_out = plain;
    return whole ? NECPNET_OK : channel_refuse(out_text, "a compressed message does not decompress to its size");
}

/* Decompress, take the name off, check the size; `charged` bytes of its credit were taken before. ERR_PROTOCOL gives the
 * delivery back; ERR_OUT_OF_MEMORY leaves it as it was. */
static necpnet_result channel_open(nn_channel_receive* channel, nn_delivery** in_out, uint32_t charged,
                                   const char** out_text)
{
    uint8_t flags = (*in_out)->flags;
    necpnet_result result = NECPNET_OK;
    if (flags & NN_CHANNEL_COMPRESSED) result = channel_decompress(channel, in_out, charged, out_text);
    if (result == NECPNET_ERR_OUT_OF_MEMORY) return result;
    (*in_out)->cost = (*in_out)->bytes;
    if (!result && (flags & NN_CHANNEL_NAMED) && !channel_open_name(*in_out)) {
        result = channel_refuse(out_text, "a named message has no valid name");
    }
    if (!result && (*in_out)->bytes > channel->config->message_bytes_max) {
        result = channel_refuse(out_text, "a message is larger than the channel's message_bytes_max");
    }
    if (result) {
        nn_delivery_give(channel->blocks, channel->memory, *in_out);
        *in_out = NULL;
    }
    return result;
}

/* What memory cannot hold: an unreliable message is dropped, a reliable one has not come. */
static necpnet_result channel_no_memory(nn_channel_receive* channel)
{
    if (nn_channel_is_reliable(channel->config->mode)) return NECPNET_ERR_OUT_OF_MEMORY;
    channel->messages_dropped++;
    return NECPNET_OK;
}

static necpnet_result channel_check_size(const nn_channel_receive* channel, uint64_t bytes, const char** out_text)
{
    if (bytes <= (uint64_t)channel->config->message_bytes_max + NN_CREDIT_EXTRA_BYTES) return NECPNET_OK;
    return channel_refuse(out_text, "a message is larger than the channel's message_bytes_max");
}

/* How much may be held when a message begins: what came early, and so waits for others, leaves half to those. */
static uint64_t channel_memory_limit(const nn_channel_receive* channel, uint16_t id)
{
    bool early = channel->config->mode == NECPNET_RELIABLE_ORDERED && id != channel->next;
    return early ? channel->memory->max / 2 : channel->memory->max;
}

/* A whole message that is new. */
static necpnet_result channel_take(nn_channel_receive* channel, const nn_message_frame* frame,
                                   nn_delivery_list* delivered, const char** out_text)
{
    /* Sent whole, lost, begun in fragments for a smaller packet, and now the whole one comes late. */
    nn_reassembly* replaced = NULL;
    if (NN_UNLIKELY(channel->assemblies) && channel->config->mode != NECPNET_UNRELIABLE) {
        replaced = channel_find_assembly(channel, frame->id);
    }
    uint32_t charged = replaced ? replaced->total : 0;
    if (replaced && charged != frame->bytes) {
        return channel_refuse(out_text, "a message contradicts its own fragments");
    }
    necpnet_result result = replaced ? NECPNET_OK : channel_check_credit(channel, frame->bytes, out_text);
    if (result) return result;
    nn_delivery* delivery =
        nn_delivery_take(channel->blocks, channel->memory, frame->bytes, channel_memory_limit(channel, frame->id));
    if (!delivery) return channel_no_memory(channel);
    nn_copy(nn_delivery_body(delivery), frame->data, frame->bytes);
    delivery->bytes = frame->bytes;
    delivery->channel = channel->index;
    delivery->flags = frame->flags;
    result = channel_open(channel, &delivery, charged, out_text);
    if (NN_UNLIKELY(result)) {
        if (result == NECPNET_ERR_PROTOCOL) return result;
        nn_delivery_give(channel->blocks, channel->memory, delivery);
        return channel_no_memory(channel);
    }
    if (NN_UNLIKELY(replaced)) channel_end_assembly(channel, replaced);
    if (nn_channel_has_credit(channel->config->mode)) channel->credit_received += delivery->cost - charged;
    channel_deliver(channel, delivery, frame->id, delivered);
    return NECPNET_OK;
}

static necpnet_result channel_beyond(const char** out_text)
{
    return channel_refuse(out_text, "a message is more than 16,384 ahead of the first one missing");
}

NN_PRIVATE necpnet_result nn_channel_receive_message(nn_channel_receive* channel, const nn_message_frame* frame,
                                                     nn_delivery_list* delivered, const char** out_text)
{
    necpnet_result result = channel_check_size(channel, frame->bytes, out_text);
    if (result) return result;
    if (channel->config->mode != NECPNET_UNRELIABLE) {
        switch (channel_judge(channel, frame->id)) {
        case CHANNEL_OLD: return NECPNET_OK;
        case CHANNEL_BEYOND: return channel_beyond(out_text);
        case CHANNEL_NO_ROOM: return NECPNET_ERR_OUT_OF_MEMORY;
        case CHANNEL_NEW: break;
        }
    }
    return channel_take(channel, frame, delivered, out_text);
}

/* ---- fragments ------------------------------------------------------------------------------------------------ */

static necpnet_result channel_check_fragment(const nn_channel_receive* channel, const nn_message_frame* frame,
                                             const char** out_text)
{
    uint64_t from = (uint64_t)frame->first * NN_FRAGMENT_UNIT_BYTES;
    uint64_t to = from + frame->bytes;
    necpnet_result result = channel_check_size(channel, frame->total, out_text);
    if (result) return result;
    if (!nn_channel_has_credit(channel->config->mode) && frame->total > NN_FRAGMENTED_BYTES_UNRELIABLE_MAX) {
        return channel_refuse(out_text, "a fragmented message is larger than its channel's mode allows");
    }
    bool whole_units = frame->bytes % NN_FRAGMENT_UNIT_BYTES == 0 || to == frame->total;
    if (to > frame->total || !whole_units || (frame->bytes == 0 && frame->total > 0)) {
        return channel_refuse(out_text, "a fragment does not lie within its message");
    }
    return NECPNET_OK;
}

/* Memory for bytes up to `to`. */
static bool channel_grow_body(nn_channel_receive* channel, nn_reassembly* assembly, uint32_t to)
{
    if (to <= assembly->room) return true;
    uint32_t room = (uint32_t)nn_min_u64(nn_max_u64(to, (uint64_t)assembly->room * 2), assembly->total);
    /* What was begun must be able to end: no limit but the message's size, which credit allowed. */
    nn_delivery* larger = nn_delivery_take(channel->blocks, channel->memory, room, UINT64_MAX);
    if (!larger) return false;
    nn_copy(nn_delivery_body(larger), nn_delivery_body(assembly->body), assembly->room);
    nn_delivery_give(channel->blocks, channel->memory, assembly->body);
    assembly->body = larger;
    assembly->room = room;
    return true;
}

/* A new assembly for the frame's message. */
static necpnet_result channel_begin_assembly(nn_channel_receive* channel, const nn_message_frame* frame,
                                             nn_reassembly** out_assembly, const char** out_text)
{
    uint32_t capacity;
    necpnet_result result = channel_check_credit(channel, frame->total, out_text);
    if (result) return result;
    nn_reassembly* assembly = (nn_reassembly*)nn_blocks_take(channel->blocks, sizeof *assembly, &capacity);
    if (!assembly) return NECPNET_ERR_OUT_OF_MEMORY;
    memset(assembly, 0, sizeof *assembly);
    assembly->capacity = capacity;
    assembly->room = frame->first * NN_FRAGMENT_UNIT_BYTES + frame->bytes;
    assembly->total = frame->total;
    assembly->id = frame->id;
    assembly->flags = frame->flags;
    assembly->have = nn_units_create(channel->blocks, nn_fragment_units(frame->total));
    assembly->body =
        nn_delivery_take(channel->blocks, channel->memory, assembly->room, channel_memory_limit(channel, frame->id));
    nn_reassembly** at = &channel->assemblies;
    while (*at) at = &(*at)->next;
    *at = assembly;
    channel->assembly_count++;
    if (!assembly->have || !assembly->body) {
        channel_end_assembly(channel, assembly);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    if (nn_channel_has_credit(channel->config->mode)) channel->credit_received += frame->total;
    *out_assembly = assembly;
    return NECPNET_OK;
}

/* All units are there, the frame's last. Out of memory: as if the frame had not come. */
static necpnet_result channel_finish_assembly(nn_channel_receive* channel, nn_reassembly* assembly,
                                              const nn_message_frame* frame, nn_delivery_list* delivered,
                                              const char** out_text)
{
    uint32_t total = assembly->total;
    assembly->body->bytes = total;
    assembly->body->channel = channel->index;
    assembly->body->flags = assembly->flags;
    necpnet_result result = channel_open(channel, &assembly->body, total, out_text);
    if (result == NECPNET_ERR_OUT_OF_MEMORY) {
        nn_units_remove(assembly->have, frame->first, nn_fragment_units(frame->bytes));
        return channel_no_memory(channel);
    }
    nn_delivery* delivery = assembly->body;
    assembly->body = NULL;
    channel_end_assembly(channel, assembly);
    if (result) return result;
    if (channel->config->mode == NECPNET_UNRELIABLE) channel_see(channel, frame->id);
    if (nn_channel_has_credit(channel->config->mode)) channel->credit_received += delivery->cost - total;
    channel_deliver(channel, delivery, frame->id, delivered);
    return NECPNET_OK;
}

/* Room on the list for one more unreliable message. False: the frame is too old to be worth it. */
static bool channel_make_place(nn_channel_receive* channel, uint16_t id)
{
    unsigned most = channel->config->mode == NECPNET_UNRELIABLE ? NN_REASSEMBLIES_UNRELIABLE_MAX : 1;
    while (channel->assembly_count >= most) {
        nn_reassembly* oldest = channel->assemblies;
        for (nn_reassembly* at = oldest; at; at = at->next) {
            if (nn_sequence_newer(oldest->id, at->id)) oldest = at;
        }
        if (!nn_sequence_newer(id, oldest->id)) return false;
        channel_drop_assembly(channel, oldest);
    }
    return true;
}

/* The assembly of the frame's message; NULL on OK when the frame is to be dropped. */
static necpnet_result channel_enter_assembly(nn_channel_receive* channel, const nn_message_frame* frame,
                                             nn_reassembly** out_assembly, const char** out_text)
{
    nn_reassembly* assembly = channel_find_assembly(channel, frame->id);
    *out_assembly = assembly;
    if (assembly) {
        if (assembly->total == frame->total && assembly->flags == frame->flags) return NECPNET_OK;
        return channel_refuse(out_text, "fragments of one message contradict each other");
    }
    if (!nn_channel_has_credit(channel->config->mode)) {
        if (!channel_make_place(channel, frame->id)) return NECPNET_OK;
    } else if (channel->assembly_count == NN_FRAGMENTED_AT_ONCE_MAX) {
        return channel_refuse(out_text, "too many messages of a channel are fragmented at a time");
    }
    necpnet_result result = channel_begin_assembly(channel, frame, out_assembly, out_text);
    return result == NECPNET_ERR_OUT_OF_MEMORY ? channel_no_memory(channel) : result;
}

NN_PRIVATE necpnet_result nn_channel_receive_fragment(nn_channel_receive* channel, const nn_message_frame* frame,
                                                      nn_delivery_list* delivered, const char** out_text)
{
    nn_reassembly* assembly;
    necpnet_result result = channel_check_fragment(channel, frame, out_text);
    if (result) return result;
    switch (channel_judge(channel, frame->id)) {
    case CHANNEL_OLD: return NECPNET_OK;
    case CHANNEL_BEYOND: return channel_beyond(out_text);
    case CHANNEL_NO_ROOM: return NECPNET_ERR_OUT_OF_MEMORY;
    case CHANNEL_NEW: break;
    }
    if (frame->bytes == frame->total) {
        result = channel_take(channel, frame, delivered, out_text);
        if (result == NECPNET_OK && channel->config->mode == NECPNET_UNRELIABLE) channel_see(channel, frame->id);
        return result;
    }
    result = channel_enter_assembly(channel, frame, &assembly, out_text);
    if (result || !assembly) return result;
    uint32_t from = frame->first * NN_FRAGMENT_UNIT_BYTES;
    if (!channel_grow_body(channel, assembly, from + frame->bytes)) {
        if (nn_channel_is_reliable(channel->config->mode)) return NECPNET_ERR_OUT_OF_MEMORY;
        channel_drop_assembly(channel, assembly);
        return NECPNET_OK;
    }
    memcpy(nn_delivery_body(assembly->body) + from, frame->data, frame->bytes);
    nn_units_add(assembly->have, frame->first, nn_fragment_units(frame->bytes));
    if (assembly->have->count < assembly->have->units) return NECPNET_OK;
    return channel_finish_assembly(channel, assembly, frame, delivered, out_text);
}

/* ---- credit, carriers ------------------------------------------------------------------------------------------ */

NN_PRIVATE bool nn_channel_receive_consumed(nn_channel_receive* channel, const nn_delivery* delivery)
{
    const necpnet_channel_config* config = channel->config;
    channel->messages_received++;
    channel->bytes_received += delivery->bytes;
    if (!nn_channel_has_credit(config->mode)) return false;
    channel->credit_consumed += delivery->cost;
    /* Often enough that a message of the largest size always finds credit, seldom enough to cost nothing. */
    uint64_t lag = channel->credit_consumed + config->window_bytes + NN_CREDIT_EXTRA_BYTES - channel->credit_announced;
    uint64_t spare =
        config->window_bytes > config->message_bytes_max ? config->window_bytes - config->message_bytes_max : 0;
    return lag > 0 && lag >= nn_min_u64(config->window_bytes / 4, spare);
}

NN_PRIVATE uint64_t nn_channel_receive_credit(nn_channel_receive* channel)
{
    channel->credit_announced = channel->credit_consumed + channel->config->window_bytes + NN_CREDIT_EXTRA_BYTES;
    return channel->credit_announced;
}

NN_PRIVATE uint32_t nn_reassembly_prefix(const nn_reassembly* assembly)
{
    uint32_t first, count;
    if (!nn_units_run(assembly->have, 0, assembly->have->units, &first, &count) || first != 0) return 0;
    return count;
}

NN_PRIVATE void nn_channel_receive_interrupt(nn_channel_receive* channel)
{
    if (nn_channel_is_reliable(channel->config->mode)) return;
    while (channel->assemblies) channel_drop_assembly(channel, channel->assemblies);
}
