/* nn_voice_wire - what a voice and the server say to each other: frames out, reports, groups, names, wishes. */
#include "nn_voice.h"

/* -- names of streams -- */

static uint32_t wire_name_place(const necpnet_voice* voice, uint32_t number)
{
    uint32_t low = 0, high = voice->name_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (voice->names[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

NN_PRIVATE const nn_voice_name* nn_voice_find_name(const necpnet_voice* voice, uint32_t number)
{
    uint32_t place = wire_name_place(voice, number);
    return place < voice->name_count && voice->names[place].number == number ? &voice->names[place] : NULL;
}

/* One that finds no room stays unknown: it is heard, without a name. */
static void wire_set_name(necpnet_voice* voice, const nn_voice_name* name)
{
    uint32_t place = wire_name_place(voice, name->number);
    bool is_there = place < voice->name_count && voice->names[place].number == name->number;
    if (!is_there) {
        if (voice->name_count == NN_VOICE_NAMES_MAX) return;
        if (voice->name_count == voice->name_capacity) {
            uint32_t capacity = voice->name_capacity ? voice->name_capacity * 2 : 16;
            nn_voice_name* names = (nn_voice_name*)nn_alloc_grow(
                &voice->alloc, voice->names, voice->name_capacity * sizeof *names, capacity * sizeof *names);
            if (!names) return;
            voice->names = names;
            voice->name_capacity = capacity;
        }
        memmove(voice->names + place + 1, voice->names + place, (voice->name_count - place) * sizeof *voice->names);
        voice->name_count++;
    }
    voice->names[place] = *name;
}

static void wire_forget_name(necpnet_voice* voice, uint32_t number)
{
    uint32_t place = wire_name_place(voice, number);
    if (place == voice->name_count || voice->names[place].number != number) return;
    voice->name_count--;
    memmove(voice->names + place, voice->names + place + 1, (voice->name_count - place) * sizeof *voice->names);
    for (uint32_t i = 0; i < voice->config.speakers_max; i++) { /* the number may be somebody else's next */
        nn_voice_speaker* speaker = voice->speakers[i];
        if (speaker && speaker->is_used && speaker->number == number) nn_voice_forget_speaker(voice, speaker);
    }
}

/* -- groups -- */

static nn_voice_membership* wire_membership(necpnet_voice* voice, uint32_t group)
{
    for (size_t i = 0; i < NN_COUNT(voice->groups); i++) {
        if (voice->groups[i].group == group) return &voice->groups[i];
    }
    return NULL;
}

/* Streams that nobody chose a group for go to the first that is no whisper. */
static void wire_choose_groups(necpnet_voice* voice)
{
    uint32_t first = 0;
    for (size_t i = 0; i < NN_COUNT(voice->groups) && !first; i++) {
        if (voice->groups[i].kind != NECPNET_VOICE_WHISPER) first = voice->groups[i].group;
    }
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) {
        bool is_there = voice->send_groups[i] && wire_membership(voice, voice->send_groups[i]);
        if (voice->has_group[i] && (is_there || !voice->send_groups[i])) continue;
        voice->has_group[i] = false;
        if (!is_there) voice->send_groups[i] = first;
    }
}

static void wire_take_group(necpnet_voice* voice, uint32_t group, uint8_t kind, uint8_t flags, uint64_t user)
{
    nn_voice_membership* row = wire_membership(voice, group);
    bool was_in = row != NULL;
    necpnet_voice_event event;
    memset(&event, 0, sizeof event);
    event.group = group;
    event.kind = (necpnet_voice_kind)kind;
    event.user = user;
    event.is_silenced = (flags & NN_VOICE_SILENCED) != 0;
    if (!(flags & NN_VOICE_MEMBER)) {
        if (!was_in) return;
        memset(row, 0, sizeof *row);
        event.type = NECPNET_VOICE_EVENT_LEFT;
    } else {
        if (!was_in) row = wire_membership(voice, 0);
        if (!row) return;
        row->group = group;
        row->kind = kind;
        row->is_silenced = event.is_silenced;
        row->user = user;
        event.type = NECPNET_VOICE_EVENT_JOINED;
    }
    wire_choose_groups(voice);
    nn_voice_push_event(voice, &event);
}

necpnet_result necpnet_voice_set_group(necpnet_voice* voice, int stream, necpnet_voice_group group)
{
    if (!voice || stream < 0 || stream >= NECPNET_VOICE_STREAMS_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (group && !wire_membership(voice, group)) return NECPNET_ERR_NOT_FOUND;
    voice->send_groups[stream] = group;
    voice->has_group[stream] = true;
    return NECPNET_OK;
}

/* -- control -- */

NN_PRIVATE bool nn_voice_take_control(necpnet_voice* voice, uint8_t kind, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    uint32_t number = nn_read_u32(&reader);
    if (kind == NN_CONTROL_VOICE_STREAM) {
        nn_voice_name name;
        name.number = number;
        name.stream = nn_read_u8(&reader);
        name.user = nn_read_u64(&reader);
        if (reader.failed || number > NN_VOICE_NUMBER_MAX) return false;
        if (name.stream == 0xff) {
            wire_forget_name(voice, number);
            return true;
        }
        if (name.stream >= NECPNET_VOICE_STREAMS_MAX) return false;
        wire_set_name(voice, &name);
        return true;
    }
    uint8_t group_kind = nn_read_u8(&reader);
    uint8_t flags = nn_read_u8(&reader);
    uint64_t user = nn_read_u64(&reader);
    if (reader.failed || number == 0 || number > NN_VOICE_NUMBER_MAX / 4 || group_kind > NECPNET_VOICE_WHISPER) {
        return false;
    }
    wire_take_group(voice, number, group_kind, flags, user);
    return true;
}

NN_PRIVATE necpnet_result nn_voice_wish_for(necpnet_voice* voice, nn_voice_wish wish, uint64_t user)
{
    if (voice->wish_count == NN_VOICE_WISHES_MAX) return NECPNET_ERR_WOULD_BLOCK;
    uint8_t* to = voice->wishes[(voice->wish_first + voice->wish_count++) % NN_VOICE_WISHES_MAX];
    to[0] = NN_CONTROL_VOICE_WISH;
    to[1] = (uint8_t)wish;
    nn_store_u64(to + 2, user);
    return NECPNET_OK;
}

necpnet_result necpnet_voice_whisper(necpnet_voice* voice, uint64_t user_id, bool on)
{
    if (!voice || user_id == 0) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!voice->is_connected) return NECPNET_ERR_NOT_CONNECTED;
    return nn_voice_wish_for(voice, on ? NN_VOICE_WISH_WHISPER : NN_VOICE_WISH_END_WHISPER, user_id);
}

NN_PRIVATE const uint8_t* nn_voice_next_control(const necpnet_voice* voice)
{
    return voice->wish_count ? voice->wishes[voice->wish_first] : NULL;
}

NN_PRIVATE void nn_voice_drop_control(necpnet_voice* voice)
{
    voice->wish_first = (voice->wish_first + 1) % NN_VOICE_WISHES_MAX;
    voice->wish_count--;
}

/* -- the connection -- */

NN_PRIVATE void nn_voice_disconnected(necpnet_voice* voice)
{
    voice->is_connected = false;
    voice->wish_count = 0;
    voice->name_count = 0;
    for (size_t i = 0; i < NN_COUNT(voice->groups); i++) {
        necpnet_voice_event event;
        if (!voice->groups[i].group) continue;
        memset(&event, 0, sizeof event);
        event.type = NECPNET_VOICE_EVENT_LEFT;
        event.group = voice->groups[i].group;
        event.kind = (necpnet_voice_kind)voice->groups[i].kind;
        memset(&voice->groups[i], 0, sizeof voice->groups[i]);
        nn_voice_push_event(voice, &event);
    }
    wire_choose_groups(voice);
}

NN_PRIVATE void nn_voice_connected(necpnet_voice* voice, bool resumed, uint64_t now_us)
{
    if (now_us > voice->now_us) voice->now_us = now_us;
    voice->is_connected = true;
    if (resumed) return;
    if (voice->is_deafened) (void)nn_voice_wish_for(voice, NN_VOICE_WISH_DEAF, 0);
    for (uint32_t i = 0; i < voice->user_count; i++) {
        if (voice->users[i].volume <= 0.0f) (void)nn_voice_wish_for(voice, NN_VOICE_WISH_MUTE, voice->users[i].user);
    }
}

static bool wire_report_due(const necpnet_voice* voice, uint64_t now_us)
{
    return now_us >= voice->report_at_us;
}

NN_PRIVATE bool nn_voice_ready(const necpnet_voice* voice, uint64_t now_us)
{
    if (!voice->is_connected) return false;
    if (wire_report_due(voice, now_us)) return true;
    if (voice->is_loopback) return false;
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) {
        if (voice->sends[i] && voice->sends[i]->count && voice->send_groups[i]) return true;
    }
    return false;
}

NN_PRIVATE uint64_t nn_voice_deadline_us(const necpnet_voice* voice)
{
    return voice->is_connected ? voice->report_at_us : NN_NEVER;
}

static bool wire_write_reports(necpnet_voice* voice, nn_writer* writer)
{
    nn_voice_report reports[NN_VOICE_REPORT_ROWS_MAX];
    uint32_t count = 0;
    uint32_t room = (uint32_t)nn_min_size((nn_writer_left(writer) - 2) / 6, NN_VOICE_REPORT_ROWS_MAX);
    if (nn_writer_left(writer) < 2 + 6) return false;
    for (uint32_t i = 0; i < voice->config.speakers_max && count < room; i++) {
        nn_voice_speaker* speaker = voice->speakers[i];
        nn_voice_report* row = &reports[count];
        if (!speaker || !speaker->is_used || speaker->is_loopback) continue;
        if (!nn_voice_jitter_report(&speaker->jitter, &row->loss, &row->jitter_ms)) continue;
        row->number = speaker->number;
        count++;
    }
    voice->report_at_us = NN_NEVER;
    if (count) nn_voice_write_reports(writer, reports, count);
    return count > 0;
}

/* The oldest packet of a stream, sealed if there is a key. */
static bool wire_write_packet(necpnet_voice* voice, int stream, nn_writer* writer, uint64_t now_us)
{
    nn_voice_send* send = voice->sends[stream];
    nn_voice_waiting* waiting = send && voice->send_groups[stream] ? nn_voice_send_peek(send, now_us) : NULL;
    if (!waiting) return false;
    uint8_t sealed[NN_VOICE_ENCODED_BYTES_MAX + NN_VOICE_SEAL_BYTES_MAX];
    const nn_voice_membership* row = wire_membership(voice, voice->send_groups[stream]);
    bool seals = voice->keys.sealer && waiting->bytes;
    size_t most = waiting->bytes + (seals ? NN_VOICE_SEAL_BYTES_MAX : 0u) + NN_VOICE_HEADER_BYTES_MAX;
    if (nn_writer_left(writer) < most) return false;
    nn_voice_frame frame;
    frame.kind = row ? row->kind : (uint8_t)NECPNET_VOICE_CHANNEL;
    frame.codec = seals          ? (uint8_t)NN_VOICE_CODEC_SEALED
                  : voice->codec ? voice->codec->kind
                                 : (uint8_t)NN_VOICE_CODEC_OPUS;
    frame.level = waiting->level;
    frame.sequence = waiting->sequence;
    frame.time = waiting->time;
    frame.number = voice->send_groups[stream] << 2 | (uint32_t)stream;
    frame.payload = waiting->data;
    frame.bytes = waiting->bytes;
    if (seals) {
        frame.bytes = nn_voice_seal(&voice->keys, nn_voice_associated(&frame), waiting->data, waiting->bytes, sealed);
        frame.payload = sealed;
        if (frame.bytes == 0) { /* the key is used up: say nothing rather than in clear */
            nn_voice_send_take(send);
            return false;
        }
    }
    nn_voice_write(writer, &frame);
    nn_voice_send_take(send);
    return true;
}

NN_PRIVATE bool nn_voice_write_frames(necpnet_voice* voice, nn_writer* writer, uint64_t now_us)
{
    bool wrote = wire_report_due(voice, now_us) && wire_write_reports(voice, writer);
    if (voice->is_loopback) return wrote;
    for (uint32_t none = 0; none < NECPNET_VOICE_STREAMS_MAX;) { /* in turns */
        int stream = (int)voice->next_send;
        voice->next_send = (voice->next_send + 1) % NECPNET_VOICE_STREAMS_MAX;
        bool now = wire_write_packet(voice, stream, writer, now_us);
        wrote = wrote || now;
        none = now ? 0 : none + 1;
    }
    return wrote;
}
