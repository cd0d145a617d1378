/* nn_voice_hub_forward - a packet on its way: judged, numbered, queued for those who hear it. */
#include "nn_voice_hub.h"

#define FORWARD_OVERTAKE 24 /* level x 16: so much louder than the quietest takes its place */
#define FORWARD_SCAN_US 100000u

/* -- numbers of streams -- */

static void forward_forget_number(necpnet_voice_hub* hub, uint32_t number)
{
    uint8_t message[1 + 13];
    nn_writer writer = nn_writer_of(message, sizeof message);
    nn_write_u8(&writer, NN_CONTROL_VOICE_STREAM);
    nn_write_u32(&writer, number);
    nn_write_u8(&writer, 0xff);
    nn_write_u64(&writer, 0);
    uint64_t bit = UINT64_C(1) << (number & 63u);
    for (uint32_t i = 0; i < hub->member_capacity; i++) {
        nn_voice_member* member = hub->members[i];
        if (!member || number / 64 >= member->told_words || !(member->told[number / 64] & bit)) continue;
        member->told[number / 64] &= ~bit;
        (void)hub->server.control(hub->server.user, member->source.peer, message, sizeof message);
    }
}

NN_PRIVATE void nn_voice_hub_end_streams(nn_voice_source* source)
{
    necpnet_voice_hub* hub = source->hub;
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) {
        if (!source->streams[i]) continue;
        uint32_t number = source->streams[i] - 1;
        forward_forget_number(hub, number);
        memset(&hub->streams[number], 0, sizeof hub->streams[number]);
        if (number < hub->stream_free) hub->stream_free = number;
        source->streams[i] = 0;
    }
}

/* A stream's number, given when first used: the least that is free, so that most take one byte. False: none, no memory. */
static bool forward_number(nn_voice_source* source, uint32_t stream, uint32_t* out_number)
{
    necpnet_voice_hub* hub = source->hub;
    if (source->streams[stream]) {
        *out_number = source->streams[stream] - 1;
        return true;
    }
    while (hub->stream_free < hub->stream_capacity && hub->streams[hub->stream_free].source) hub->stream_free++;
    if (hub->stream_free == hub->stream_capacity) {
        uint32_t capacity = hub->stream_capacity ? hub->stream_capacity * 2 : 64;
        if (capacity > NN_VOICE_STREAM_NUMBERS_MAX) return false;
        nn_voice_stream* streams = (nn_voice_stream*)nn_alloc_grow(
            &hub->alloc, hub->streams, hub->stream_capacity * sizeof *streams, capacity * sizeof *streams);
        if (!streams) return false;
        hub->streams = streams;
        hub->stream_capacity = capacity;
    }
    *out_number = hub->stream_free;
    source->streams[stream] = *out_number + 1;
    hub->streams[*out_number].source = source;
    hub->streams[*out_number].stream = (uint8_t)stream;
    return true;
}

/* The listener learns whose number it is, before the first packet. False: not now. */
static bool forward_introduce(nn_voice_member* listener, uint32_t number)
{
    necpnet_voice_hub* hub = listener->source.hub;
    uint32_t word = number / 64;
    if (word >= listener->told_words) {
        uint32_t words = word + 1;
        uint64_t* told = (uint64_t*)nn_alloc_grow(&hub->alloc, listener->told, listener->told_words * sizeof *told,
                                                  words * sizeof *told);
        if (!told) return false;
        listener->told = told;
        listener->told_words = words;
    }
    uint64_t bit = UINT64_C(1) << (number & 63u);
    if (listener->told[word] & bit) return true;
    const nn_voice_stream* stream = &hub->streams[number];
    uint8_t message[1 + 13];
    nn_writer writer = nn_writer_of(message, sizeof message);
    nn_write_u8(&writer, NN_CONTROL_VOICE_STREAM);
    nn_write_u32(&writer, number);
    nn_write_u8(&writer, stream->stream);
    nn_write_u64(&writer, stream->source->user);
    if (hub->server.control(hub->server.user, listener->source.peer, message, sizeof message)) return false;
    listener->told[word] |= bit;
    return true;
}

/* -- what waits for a listener -- */

static void forward_release(necpnet_voice_hub* hub, nn_voice_parcel* parcel)
{
    if (--parcel->references == 0) nn_blocks_give(&hub->blocks, parcel, parcel->capacity);
}

static void forward_drop_first(nn_voice_member* member)
{
    forward_release(member->source.hub, member->queue[member->first]);
    member->first = (member->first + 1) & (NN_VOICE_QUEUE_MAX - 1);
    member->count--;
}

NN_PRIVATE void nn_voice_hub_drop_queue(nn_voice_member* member)
{
    while (member->count) forward_drop_first(member);
}

static void forward_queue(nn_voice_member* listener, nn_voice_parcel* parcel)
{
    necpnet_voice_hub* hub = listener->source.hub;
    if (!listener->queue) {
        listener->queue = (nn_voice_parcel**)nn_alloc_take(&hub->alloc, NN_VOICE_QUEUE_MAX * sizeof *listener->queue);
        if (!listener->queue) return;
    }
    if (listener->count == NN_VOICE_QUEUE_MAX) {
        forward_drop_first(listener);
        hub->counts.copies_stale++;
    }
    listener->queue[(listener->first + listener->count) & (NN_VOICE_QUEUE_MAX - 1)] = parcel;
    listener->count++;
    parcel->references++;
    listener->packets_received++;
    listener->bytes_received += parcel->bytes;
    hub->counts.packets_forwarded++;
    hub->counts.bytes_forwarded += parcel->bytes;
    if (hub->server.wake) hub->server.wake(hub->server.user, listener->source.peer);
}

/* -- who hears it -- */

/* Whether a stream is, or gets, among the loudest that a listener hears. */
static bool forward_is_loud(nn_voice_member* listener, uint32_t number, uint16_t level, uint64_t now_us)
{
    uint32_t most = listener->source.hub->config.loudest;
    nn_voice_loud* place = NULL;
    nn_voice_loud* quietest = NULL;
    for (uint32_t i = 0; i < most; i++) {
        nn_voice_loud* loud = &listener->loud[i];
        if (loud->number == number + 1) {
            loud->level = level;
            loud->until_us = now_us + NN_VOICE_SLOT_US;
            return true;
        }
        if (loud->number == 0 || now_us >= loud->until_us) {
            if (!place) place = loud;
        } else if (!quietest || loud->level < quietest->level) {
            quietest = loud;
        }
    }
    if (!place && quietest && level > quietest->level + FORWARD_OVERTAKE) place = quietest;
    if (!place) return false;
    place->number = number + 1;
    place->level = level;
    place->until_us = now_us + NN_VOICE_SLOT_US;
    return true;
}

static bool forward_is_near(const nn_voice_source* a, const nn_voice_source* b, float radius)
{
    float square = 0;
    for (int i = 0; i < 3; i++) square += (a->position[i] - b->position[i]) * (a->position[i] - b->position[i]);
    return a->zone == b->zone && square <= radius * radius;
}

/* One packet for one listener, if he is to have it. is_deaf: to this group. */
static void forward_to(nn_voice_member* listener, const nn_voice_source* sender, uint32_t number,
                       nn_voice_parcel* parcel, bool is_deaf, bool is_whisper)
{
    necpnet_voice_hub* hub = sender->hub;
    if (&listener->source == sender || !listener->is_open) return;
    if (is_deaf || listener->is_deafened || listener->wishes_deaf || nn_voice_hub_is_muted(listener, sender->user)) {
        hub->counts.copies_unheard++;
        return;
    }
    if (!is_whisper && !forward_is_loud(listener, number, hub->streams[number].level, hub->now_us)) {
        hub->counts.copies_quiet++;
        return;
    }
    if (forward_introduce(listener, number)) forward_queue(listener, parcel);
}

static void forward_near(nn_voice_group* group, const nn_voice_source* sender, uint32_t number, nn_voice_parcel* parcel)
{
    uint32_t seen[27];
    uint32_t heard = 0;
    size_t count = 0;
    if (!sender->has_position) return;
    for (int i = 0; i < 27; i++) {
        uint32_t cell = nn_voice_hub_cell(sender, group->radius, i % 3 - 1, i / 3 % 3 - 1, i / 9 - 1);
        bool is_seen = false; /* two cells may fall into one bucket */
        for (size_t k = 0; k < count && !is_seen; k++) is_seen = seen[k] == cell;
        if (is_seen) continue;
        seen[count++] = cell;
        for (nn_voice_row* row = group->cells[cell]; row; row = row->next) {
            if (!forward_is_near(&row->member->source, sender, group->radius)) continue;
            heard++;
            forward_to(row->member, sender, number, parcel, row->is_deafened, false);
        }
    }
    sender->hub->counts.copies_unheard += group->count > heard ? group->count - heard : 0;
}

static void forward_all(nn_voice_group* group, const nn_voice_source* sender, uint32_t number, nn_voice_parcel* parcel)
{
    switch (group->kind) {
    case NECPNET_VOICE_PROXIMITY: forward_near(group, sender, number, parcel); break;
    case NECPNET_VOICE_WHISPER: forward_to(group->to, sender, number, parcel, false, true); break;
    default:
        for (uint32_t i = 0; i < group->count; i++) {
            const nn_voice_row* row = group->rows[i];
            forward_to(row->member, sender, number, parcel, row->is_deafened, false);
        }
        break;
    }
}

/* -- who speaks -- */

static void forward_note(necpnet_voice_hub* hub, uint32_t number, const nn_voice_frame* frame, uint32_t group)
{
    nn_voice_stream* stream = &hub->streams[number];
    int32_t level = (int32_t)stream->level + ((int32_t)frame->level * 16 - (int32_t)stream->level) / 4;
    stream->level = (uint16_t)(level < 0 ? 0 : level);
    bool began = !stream->is_speaking && frame->bytes > 0;
    bool ended = stream->is_speaking && frame->bytes == 0;
    stream->heard_us = hub->now_us;
    stream->group = group;
    if (!began && !ended) return;
    stream->is_speaking = began;
    if (!nn_voice_is_here(stream->source)) return; /* his own hub tells it */
    necpnet_voice_hub_event* event =
        nn_voice_hub_tell(hub, began ? NECPNET_VOICE_HUB_SPEAKING : NECPNET_VOICE_HUB_SILENT, stream->source);
    event->stream = stream->stream;
    event->group = group;
}

NN_PRIVATE void nn_voice_hub_scan(necpnet_voice_hub* hub)
{
    if (hub->now_us - hub->scanned_us < FORWARD_SCAN_US) return;
    hub->scanned_us = hub->now_us;
    for (uint32_t i = 0; i < hub->stream_capacity; i++) {
        nn_voice_stream* stream = &hub->streams[i];
        if (!stream->source) continue;
        if (nn_voice_relay_is_old(stream->source, hub->now_us)) {
            nn_voice_relay_forget(stream->source);
            continue;
        }
        if (!stream->is_speaking || hub->now_us - stream->heard_us < NN_VOICE_QUIET_US) continue;
        stream->is_speaking = false;
        if (!nn_voice_is_here(stream->source)) continue;
        necpnet_voice_hub_event* event = nn_voice_hub_tell(hub, NECPNET_VOICE_HUB_SILENT, stream->source);
        event->stream = stream->stream;
        event->group = stream->group;
    }
}

/* -- a packet -- */

static bool forward_is_right(const necpnet_voice_hub* hub, const nn_voice_frame* frame)
{
    if (frame->bytes == 0) return true;
    switch (frame->codec) {
    case NN_VOICE_CODEC_PCM: return hub->config.pcm && nn_voice_units(frame->codec, frame->payload, frame->bytes) > 0;
    case NN_VOICE_CODEC_SEALED: return hub->config.sealed && frame->bytes > NN_AEAD_TAG_BYTES;
    default: return nn_voice_units(frame->codec, frame->payload, frame->bytes) > 0;
    }
}

static nn_voice_row* forward_row(nn_voice_member* member, uint32_t group)
{
    for (size_t i = 0; i < NN_VOICE_ROWS_MAX; i++) {
        nn_voice_row* row = &member->rows[i];
        if (row->group && row->group->number == group) return row;
    }
    return NULL;
}

/* The frame as every listener gets it. NULL without memory. */
static nn_voice_parcel* forward_pack(necpnet_voice_hub* hub, const nn_voice_frame* frame)
{
    uint32_t capacity;
    size_t room = NN_VOICE_HEADER_BYTES_MAX + frame->bytes;
    nn_voice_parcel* parcel = (nn_voice_parcel*)nn_blocks_take(&hub->blocks, sizeof *parcel + room, &capacity);
    if (!parcel) return NULL;
    nn_writer writer = nn_writer_of(parcel + 1, room);
    nn_voice_write(&writer, frame);
    parcel->references = 1;
    parcel->capacity = capacity;
    parcel->at_us = hub->now_us;
    parcel->bytes = (uint32_t)nn_writer_bytes(&writer);
    return parcel;
}

NN_PRIVATE void nn_voice_hub_pass(nn_voice_source* source, nn_voice_group* group, uint32_t stream,
                                  nn_voice_frame* frame)
{
    necpnet_voice_hub* hub = source->hub;
    uint32_t number;
    if (!forward_number(source, stream, &number)) return;
    frame->number = number;
    frame->kind = group->kind;
    hub->streams[number].kind = frame->kind;
    forward_note(hub, number, frame, group->number);
    nn_voice_parcel* parcel = forward_pack(hub, frame);
    if (!parcel) return;
    forward_all(group, source, number, parcel);
    forward_release(hub, parcel);
}

static void forward_frame(nn_voice_member* member, nn_voice_frame* frame)
{
    necpnet_voice_hub* hub = member->source.hub;
    uint32_t stream = frame->number & 3u, group = frame->number >> 2;
    uint64_t now_us = hub->now_us;
    hub->counts.packets_received++;
    member->packets_sent++;
    if (!nn_voice_watch_allows(member, frame->bytes, now_us)) {
        hub->counts.packets_limited++;
        return;
    }
    nn_voice_row* row = forward_row(member, group);
    if (!row) {
        hub->counts.packets_stranger++;
        nn_voice_watch_refused(member, NECPNET_VOICE_HUB_STRANGER, group, now_us);
        return;
    }
    if (!forward_is_right(hub, frame)) {
        hub->counts.packets_bad++;
        nn_voice_watch_refused(member, NECPNET_VOICE_HUB_BAD_PACKET, group, now_us);
        return;
    }
    if (stream == 0) nn_voice_watch_packet(member, frame->level, frame->bytes, now_us);
    if (member->is_silenced || row->is_silenced || now_us < member->watch.silenced_until_us) {
        hub->counts.packets_silenced++;
        return;
    }
    if (row->group->key) nn_voice_relay_packet(&member->source, row->group, stream, frame);
    nn_voice_hub_pass(&member->source, row->group, stream, frame);
}

/* -- the connection -- */

static void forward_port_open(void* user, bool speaks)
{
    nn_voice_member* member = (nn_voice_member*)user;
    member->is_open = speaks;
    if (!speaks) nn_voice_hub_drop_queue(member);
    if (speaks) nn_voice_hub_settle(member);
}

static bool forward_port_ready(void* user, uint64_t now_us)
{
    const nn_voice_member* member = (const nn_voice_member*)user;
    return member->count > 0 || nn_voice_hub_report_due(member, now_us, NULL);
}

static bool forward_port_write(void* user, nn_writer* writer, uint64_t now_us)
{
    nn_voice_member* member = (nn_voice_member*)user;
    bool wrote = nn_voice_hub_report_due(member, now_us, NULL) && nn_voice_hub_write_reports(member, writer, now_us);
    while (member->count) {
        nn_voice_parcel* parcel = member->queue[member->first];
        if (now_us >= parcel->at_us + NN_VOICE_QUEUE_US) {
            member->source.hub->counts.copies_stale++;
            forward_drop_first(member);
            continue;
        }
        if (nn_writer_left(writer) < parcel->bytes) break;
        nn_write_bytes(writer, parcel + 1, parcel->bytes);
        forward_drop_first(member);
        wrote = true;
    }
    return wrote;
}

static bool forward_port_read(void* user, uint8_t type, nn_reader* reader, uint64_t now_us)
{
    nn_voice_member* member = (nn_voice_member*)user;
    nn_voice_frame frame;
    nn_voice_hub_set_time(member->source.hub, now_us);
    if (member->rows_due) nn_voice_hub_settle(member);
    if (type == NN_VOICE_FRAME_LAST) return nn_voice_hub_read_reports(member, reader);
    if (!nn_voice_read(type, reader, &frame)) return false;
    forward_frame(member, &frame);
    return true;
}

static uint64_t forward_port_deadline_us(void* user)
{
    uint64_t at_us = NN_NEVER;
    (void)nn_voice_hub_report_due((const nn_voice_member*)user, 0, &at_us);
    return at_us;
}

NN_PRIVATE void nn_voice_port_of(nn_voice_member* member)
{
    member->port.open = forward_port_open;
    member->port.ready = forward_port_ready;
    member->port.write = forward_port_write;
    member->port.read = forward_port_read;
    member->port.deadline_us = forward_port_deadline_us;
    member->port.user = member;
}
