/* nn_session_read - the session's frames: messages, fragments, credit, and RECEIVED, which says what arrived. */
#include "nn_frame.h"
#include "nn_sequence.h"
#include "nn_session.h"

#define SESSION_RECEIVED_BYTES_MIN 24 /* its head and one row */
#define SESSION_RECEIVED_ROW_BYTES 5  /* of a channel with no partial messages and no ranges */
#define SESSION_PARTIAL_BYTES_MAX 6   /* id and units */
#define SESSION_RANGE_BYTES_MAX 8     /* gap and length */

NN_PRIVATE bool nn_session_is_unreliable(const nn_session* session, uint8_t type, const nn_reader* reader)
{
    if (type != NN_FRAME_MESSAGE && type != NN_FRAME_MESSAGE_LAST && type != NN_FRAME_FRAGMENT) return false;
    int index = nn_reader_left(reader) ? nn_session_index(session, reader->at[0]) : -1;
    return index >= 0 && index < session->config->channel_count &&
           !nn_channel_is_reliable(session->config->channels[index].mode);
}

static necpnet_result session_refuse(const char** out_text, const char* text)
{
    *out_text = text;
    return NECPNET_ERR_PROTOCOL;
}

static necpnet_result session_read_message(nn_session* session, uint8_t type, nn_reader* reader, const char** out_text)
{
    nn_message_frame frame;
    memset(&frame, 0, sizeof frame);
    uint8_t byte = nn_read_u8(reader);
    int index = nn_session_index(session, byte);
    if (index < 0) return session_refuse(out_text, "a message on a channel that is not in the table");
    bool control = index == session->config->channel_count;
    bool unreliable = !control && session->config->channels[index].mode == NECPNET_UNRELIABLE;
    frame.flags = control ? 0 : byte & (NN_CHANNEL_COMPRESSED | NN_CHANNEL_NAMED);
    bool fragment = type == NN_FRAME_FRAGMENT;
    if (fragment || !unreliable) frame.id = nn_read_u16(reader);
    uint64_t total = fragment ? nn_read_varint(reader) : 0;
    uint64_t first = fragment ? nn_read_varint(reader) : 0;
    uint64_t bytes = type == NN_FRAME_MESSAGE_LAST ? nn_reader_left(reader) : nn_read_varint(reader);
    if (reader->failed || bytes > nn_reader_left(reader)) {
        return session_refuse(out_text, "a message is longer than its packet");
    }
    if (total > NECPNET_MESSAGE_BYTES_MAX + NN_CREDIT_EXTRA_BYTES || first > nn_fragment_units((size_t)total)) {
        return session_refuse(out_text, "a fragment of a message larger than any may be");
    }
    frame.data = nn_read_view(reader, (size_t)bytes);
    frame.bytes = (uint32_t)bytes;
    frame.total = (uint32_t)total;
    frame.first = (uint32_t)first;
    nn_channel_receive* receiver = nn_session_receiver(session, index);
    if (!receiver) return NECPNET_ERR_OUT_OF_MEMORY;
    if (control) {
        session->control_received_dirty = true;
    } else if (nn_channel_is_reliable(receiver->config->mode)) {
        session->received_dirty |= UINT64_C(1) << index;
    }
    nn_delivery_list* list = control ? &session->control : &session->delivered;
    return fragment ? nn_channel_receive_fragment(receiver, &frame, list, out_text)
                    : nn_channel_receive_message(receiver, &frame, list, out_text);
}

static necpnet_result session_read_credit(nn_session* session, nn_reader* reader, const char** out_text)
{
    int index = nn_session_index(session, nn_read_u8(reader));
    uint64_t limit = nn_read_varint(reader);
    if (reader->failed || index < 0) return session_refuse(out_text, "a CREDIT frame is malformed");
    if (index < session->config->channel_count && !nn_channel_has_credit(session->config->channels[index].mode)) {
        return session_refuse(out_text, "CREDIT for a channel that has none");
    }
    nn_channel_send* sender = session->senders ? session->senders[index] : NULL;
    if (sender && limit > sender->credit_limit) {
        sender->credit_limit = limit;
        nn_session_refresh(session, sender);
    }
    return NECPNET_OK;
}

/* ---- RECEIVED --------------------------------------------------------------------------------------------------- */

/* The ranges behind the first message missing; at most as many as fit. Returns their number. */
static unsigned session_write_ranges(const nn_channel_receive* receiver, nn_writer* writer)
{
    unsigned ranges = 0;
    uint16_t at = receiver->next;
    while (at != receiver->end && ranges < NN_RECEIVED_RANGES_MAX &&
           nn_writer_left(writer) >= SESSION_RANGE_BYTES_MAX) {
        uint16_t gap_from = at;
        while (at != receiver->end && !nn_channel_receive_has(receiver, at)) at++;
        uint16_t from = at;
        while (at != receiver->end && nn_channel_receive_has(receiver, at)) at++;
        if (at == from) break;
        nn_write_varint(writer, (uint16_t)(from - gap_from));
        nn_write_varint(writer, (uint16_t)(at - from));
        ranges++;
    }
    return ranges;
}

static void session_write_row(const nn_channel_receive* receiver, nn_writer* writer)
{
    nn_write_u8(writer, receiver->byte);
    nn_write_u16(writer, receiver->next);
    uint8_t* counts = writer->at; /* partial messages, ranges */
    nn_write_u16(writer, 0);
    for (const nn_reassembly* at = receiver->assemblies; at && counts[0] < NN_RECEIVED_PARTIAL_MAX; at = at->next) {
        uint32_t units = nn_reassembly_prefix(at);
        if (units == 0) continue;
        if (nn_writer_left(writer) < SESSION_PARTIAL_BYTES_MAX) break;
        nn_write_u16(writer, at->id);
        nn_write_varint(writer, units);
        counts[0]++;
    }
    if (nn_channel_has_credit(receiver->config->mode)) counts[1] = (uint8_t)session_write_ranges(receiver, writer);
}

NN_PRIVATE bool nn_session_write_received(nn_session* session, nn_writer* writer)
{
    if (nn_writer_left(writer) < SESSION_RECEIVED_BYTES_MIN) return false;
    nn_write_u8(writer, NN_FRAME_RECEIVED);
    nn_write_varint(writer, session->carrier_bytes_received);
    nn_write_varint(writer, session->state_tick);
    uint8_t* count = writer->at;
    bool all = true;
    nn_write_u8(writer, 0);
    for (int i = 0; i <= session->config->channel_count && session->receivers; i++) {
        bool control = i == session->config->channel_count;
        uint64_t bit = control ? 0 : UINT64_C(1) << i;
        nn_channel_receive* receiver = session->receivers[i];
        bool dirty = control ? session->control_received_dirty : (session->received_dirty & bit) != 0;
        if (!dirty || !receiver || !nn_channel_is_reliable(receiver->config->mode)) continue;
        if (receiver->config->mode == NECPNET_RELIABLE_SEQUENCED && !receiver->any) continue;
        if (nn_writer_left(writer) < SESSION_RECEIVED_ROW_BYTES) {
            all = false;
            break;
        }
        session_write_row(receiver, writer);
        ++*count;
        if (control) session->control_received_dirty = false;
        session->received_dirty &= ~bit;
    }
    if (all) session->received_dirty = 0; /* bits of channels that received nothing */
    if (all) session->control_received_dirty = false;
    session->received_due = !all;
    session->state_tick_reported = session->state_tick;
    session->carrier_bytes_reported = session->carrier_bytes_received;
    session->received_since_us = NN_NEVER;
    NN_ASSERT(!writer->failed);
    return true;
}

NN_PRIVATE void nn_session_count_received(nn_session* session, size_t bytes, uint64_t now_us)
{
    session->carrier_bytes_received += bytes;
    if (session->received_since_us == NN_NEVER) session->received_since_us = now_us;
}

static necpnet_result session_read_ranges(nn_session* session, nn_channel_send* sender, uint16_t next, unsigned ranges,
                                          nn_reader* reader, const char** out_text)
{
    uint64_t ahead = 0;
    while (ranges-- > 0) {
        uint64_t gap = nn_read_varint(reader);
        uint64_t length = nn_read_varint(reader);
        if (reader->failed || gap > NN_CHANNEL_UNACKED_MAX || length > NN_CHANNEL_UNACKED_MAX) {
            return session_refuse(out_text, "a RECEIVED frame is malformed");
        }
        uint16_t from = (uint16_t)(next + ahead + gap);
        ahead += gap + length;
        if (ahead > NN_CHANNEL_UNACKED_MAX || !nn_channel_send_covers(sender, (uint16_t)(next + ahead))) {
            return session_refuse(out_text, "RECEIVED claims messages that were not sent");
        }
        nn_channel_send_acked(sender, from, (uint32_t)length, &session->delivered);
    }
    return NECPNET_OK;
}

static necpnet_result session_read_row(nn_session* session, nn_reader* reader, const char** out_text)
{
    int index = nn_session_index(session, nn_read_u8(reader));
    uint16_t next = nn_read_u16(reader);
    unsigned partial = nn_read_u8(reader);
    unsigned ranges = nn_read_u8(reader);
    if (reader->failed || index < 0 || partial > NN_RECEIVED_PARTIAL_MAX || ranges > NN_RECEIVED_RANGES_MAX) {
        return session_refuse(out_text, "a RECEIVED frame is malformed");
    }
    nn_channel_send* sender = session->senders ? session->senders[index] : NULL;
    if (!sender || !nn_channel_is_reliable(sender->config->mode) || !nn_channel_send_covers(sender, next)) {
        if (!sender && next == 0 && partial == 0 && ranges == 0) return NECPNET_OK;
        return session_refuse(out_text, "RECEIVED claims messages that were not sent");
    }
    uint16_t count = (uint16_t)(next - sender->first);
    if (count < 0x8000) nn_channel_send_acked(sender, sender->first, count, &session->delivered);
    while (partial-- > 0) {
        uint16_t id = nn_read_u16(reader);
        uint64_t units = nn_read_varint(reader);
        if (reader->failed || units > UINT32_MAX) return session_refuse(out_text, "a RECEIVED frame is malformed");
        nn_channel_send_has_units(sender, id, (uint32_t)units, &session->delivered);
    }
    necpnet_result result = session_read_ranges(session, sender, next, ranges, reader, out_text);
    nn_session_refresh(session, sender);
    return result;
}

static necpnet_result session_read_received(nn_session* session, nn_reader* reader, const char** out_text)
{
    uint64_t bytes = nn_read_varint(reader);
    uint64_t tick = nn_read_varint(reader);
    unsigned rows = nn_read_u8(reader);
    if (reader->failed || tick > UINT32_MAX || (session->ordered && bytes > session->carrier_bytes_written)) {
        return session_refuse(out_text, "a RECEIVED frame is malformed");
    }
    session->peer_bytes_received = nn_max_u64(bytes, session->peer_bytes_received);
    session->peer_state_tick = (uint32_t)tick;
    while (rows-- > 0) {
        necpnet_result result = session_read_row(session, reader, out_text);
        if (result) return result;
    }
    if (!session->holds_reliable) return NECPNET_OK;
    session->holds_reliable = false;
    for (int i = 0; i <= session->config->channel_count && session->senders; i++) {
        if (!session->senders[i]) continue;
        session->senders[i]->holds = false;
        nn_session_refresh(session, session->senders[i]);
    }
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_session_read(nn_session* session, uint8_t type, nn_reader* reader, uint64_t now_us,
                                          const char** out_text)
{
    (void)now_us;
    switch (type) {
    case NN_FRAME_MESSAGE:
    case NN_FRAME_MESSAGE_LAST:
    case NN_FRAME_FRAGMENT: return session_read_message(session, type, reader, out_text);
    case NN_FRAME_CREDIT: return session_read_credit(session, reader, out_text);
    case NN_FRAME_RECEIVED: return session_read_received(session, reader, out_text);
    default: return session_refuse(out_text, "not a frame of a session");
    }
}
