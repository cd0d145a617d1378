/* nn_session - the channels of one peer: their life, sending, polling, what became of packets. */
#include "nn_session.h"

static const necpnet_channel_config session_control_config = {
    NECPNET_RELIABLE_ORDERED,
    NECPNET_PRIORITY_CRITICAL,
    false,
    false,
    NN_CONTROL_MESSAGE_BYTES_MAX,
    4 * NN_CONTROL_MESSAGE_BYTES_MAX,
    NN_CHANNEL_UNACKED_MAX,
    2 * NN_CONTROL_MESSAGE_BYTES_MAX,
};

/* The table index of CONTROL, behind the application's channels. */
static int session_control(const nn_session* session)
{
    return session->config->channel_count;
}

static size_t session_table_bytes(const nn_session* session)
{
    return (size_t)(session->config->channel_count + 1) * sizeof(void*);
}

static const necpnet_channel_config* session_channel_config(const nn_session* session, int index)
{
    return index == session_control(session) ? &session_control_config : &session->config->channels[index];
}

NN_PRIVATE void nn_session_init(nn_session* session, const nn_session_config* config)
{
    NN_ASSERT(config->channel_count >= 1 && config->channel_count <= NECPNET_CHANNELS_MAX);
    memset(session, 0, sizeof *session);
    session->config = config;
    session->received_since_us = NN_NEVER;
}

static void session_clear_copies(nn_session* session)
{
    if (!session->copies) return;
    for (uint32_t i = 0; i < session->copies->count; i++) nn_payload_release(session->copies->copies[i].payload);
    session->copies->count = 0;
}

NN_PRIVATE void nn_session_discard(nn_session* session)
{
    nn_alloc* alloc = session->config->alloc;
    for (int i = 0; i <= session_control(session); i++) {
        if (session->senders) nn_channel_send_destroy(session->senders[i]);
        if (session->receivers) nn_channel_receive_destroy(session->receivers[i]);
    }
    nn_alloc_give(alloc, session->senders, session_table_bytes(session));
    nn_alloc_give(alloc, session->receivers, session_table_bytes(session));
    session->senders = NULL;
    session->receivers = NULL;
    session_clear_copies(session);
    if (session->copies) nn_blocks_give(session->config->blocks, session->copies, session->copies->capacity);
    session->copies = NULL;
    session->ready = session->writable = session->credit_due = session->received_dirty = 0;
    session->control_ready = session->control_credit_due = session->control_received_dirty = false;
    session->received_due = false;
    session->received_since_us = NN_NEVER;
    session->queue_bytes = 0;
    session->outstanding = 0;
}

NN_PRIVATE void nn_session_reset(nn_session* session)
{
    if (!session->config) return; /* never initialised */
    nn_blocks* blocks = session->config->blocks;
    nn_receive_memory* memory = session->config->receive_memory;
    nn_session_discard(session);
    nn_delivery_clear(blocks, memory, &session->delivered);
    nn_delivery_clear(blocks, memory, &session->control);
    nn_delivery_give(blocks, memory, session->polled);
    nn_delivery_give(blocks, memory, session->control_polled);
    session->polled = NULL;
    session->control_polled = NULL;
    nn_alloc_give(session->config->alloc, session->peer_windows,
                  (size_t)session->config->channel_count * sizeof *session->peer_windows);
    session->peer_windows = NULL;
}

NN_PRIVATE int nn_session_index(const nn_session* session, uint8_t byte)
{
    if (byte == NN_CONTROL_CHANNEL) return session_control(session);
    int index = byte & NN_CHANNEL_BITS;
    return index < session->config->channel_count ? index : -1;
}

/* ---- senders --------------------------------------------------------------------------------------------------- */

/* After anything happened to a sender: sums, whether it is ready, whether a refused message would fit again. */
NN_PRIVATE void nn_session_refresh(nn_session* session, nn_channel_send* sender)
{
    session->queue_bytes += sender->queue_bytes;
    session->queue_bytes -= sender->counted_bytes;
    sender->counted_bytes = sender->queue_bytes;
    if (nn_channel_is_reliable(sender->config->mode)) {
        session->outstanding += sender->queue_messages;
        session->outstanding -= sender->counted_messages;
        sender->counted_messages = sender->queue_messages;
    }
    bool ready = nn_channel_send_ready(sender);
    if (sender->index == session_control(session)) {
        session->control_ready = ready;
        return;
    }
    uint64_t bit = UINT64_C(1) << sender->index;
    session->ready = ready ? session->ready | bit : session->ready & ~bit;
    if (NN_UNLIKELY(sender->blocked) && nn_channel_send_has_room(sender)) {
        sender->blocked = false;
        session->writable |= bit;
    }
}

static uint32_t session_peer_window(const nn_session* session, int index)
{
    return session->peer_windows ? session->peer_windows[index] : session->config->channels[index].window_bytes;
}

static nn_channel_send* session_sender(nn_session* session, int index)
{
    nn_alloc* alloc = session->config->alloc;
    if (!session->senders) {
        session->senders = (nn_channel_send**)nn_alloc_take(alloc, session_table_bytes(session));
        if (!session->senders) return NULL;
    }
    if (session->senders[index]) return session->senders[index];
    bool control = index == session_control(session);
    const necpnet_channel_config* config = session_channel_config(session, index);
    nn_channel_send* sender = nn_channel_send_create(session->config->blocks, config, (uint8_t)index,
                                                     control ? NN_CONTROL_CHANNEL : (uint8_t)index);
    if (!sender) return NULL;
    sender->holds = session->holds_reliable && nn_channel_is_reliable(config->mode);
    if (control) {
        sender->credit_limit = (uint64_t)config->window_bytes + NN_CREDIT_EXTRA_BYTES;
    } else if (session->has_peer_windows && session_peer_window(session, index)) {
        sender->credit_limit = (uint64_t)session_peer_window(session, index) + NN_CREDIT_EXTRA_BYTES;
    }
    session->senders[index] = sender;
    return sender;
}

NN_PRIVATE nn_channel_receive* nn_session_receiver(nn_session* session, int index)
{
    nn_alloc* alloc = session->config->alloc;
    if (!session->receivers) {
        session->receivers = (nn_channel_receive**)nn_alloc_take(alloc, session_table_bytes(session));
        if (!session->receivers) return NULL;
    }
    if (!session->receivers[index]) {
        session->receivers[index] = nn_channel_receive_create(
            session->config->blocks, session->config->receive_memory, session_channel_config(session, index),
            (uint8_t)index, index == session_control(session) ? NN_CONTROL_CHANNEL : (uint8_t)index);
    }
    return session->receivers[index];
}

NN_PRIVATE necpnet_result nn_session_set_peer_window(nn_session* session, int channel, uint32_t bytes)
{
    NN_ASSERT(channel >= 0 && channel < session->config->channel_count);
    const necpnet_channel_config* config = &session->config->channels[channel];
    if (!nn_channel_has_credit(config->mode)) return NECPNET_OK;
    if (bytes < config->message_bytes_max) return NECPNET_ERR_PROTOCOL;
    if (!session->peer_windows && bytes != config->window_bytes) {
        size_t count = (size_t)session->config->channel_count;
        session->peer_windows = (uint32_t*)nn_alloc_take(session->config->alloc, count * sizeof *session->peer_windows);
        if (!session->peer_windows) return NECPNET_ERR_OUT_OF_MEMORY;
        for (size_t i = 0; i < count; i++) session->peer_windows[i] = session->config->channels[i].window_bytes;
    }
    if (session->peer_windows) session->peer_windows[channel] = bytes;
    session->has_peer_windows = true;
    nn_channel_send* sender = session->senders ? session->senders[channel] : NULL;
    if (sender) {
        sender->credit_limit = nn_max_u64(sender->credit_limit, (uint64_t)bytes + NN_CREDIT_EXTRA_BYTES);
        nn_session_refresh(session, sender);
    }
    return NECPNET_OK;
}

NN_PRIVATE void nn_session_set_peer_decompresses(nn_session* session, bool decompresses)
{
    session->peer_decompresses = decompresses;
}

NN_PRIVATE void nn_session_set_sources(nn_session* session, void* user)
{
    session->source_user = user;
}

NN_PRIVATE necpnet_result nn_session_check(const nn_session_config* config, int channel, const void* data, size_t bytes,
                                           const necpnet_send_options* options)
{
    if (channel < 0 || channel >= config->channel_count) return NECPNET_ERR_NO_SUCH_CHANNEL;
    if (!data && bytes) return NECPNET_ERR_INVALID_ARGUMENT;
    const necpnet_channel_config* row = &config->channels[channel];
    size_t name_bytes = 0;
    if (options) {
        if (options->name) {
            name_bytes = strlen(options->name);
            if (name_bytes < 1 || name_bytes > NECPNET_NAME_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
        }
        if (options->wants_receipt && !nn_channel_is_reliable(row->mode)) return NECPNET_ERR_INVALID_ARGUMENT;
        if (options->has_deadline && nn_channel_has_credit(row->mode)) return NECPNET_ERR_INVALID_ARGUMENT;
    }
    if (bytes > row->message_bytes_max) return NECPNET_ERR_MESSAGE_TOO_LARGE;
    if (!nn_channel_has_credit(row->mode) && bytes + name_bytes + 1 > NN_FRAGMENTED_BYTES_UNRELIABLE_MAX) {
        return NECPNET_ERR_MESSAGE_TOO_LARGE;
    }
    return NECPNET_OK;
}

/* The form of a payload that may go to this peer on this channel; NULL when out of memory. */
static nn_payload* session_payload_for_peer(const nn_session* session, int channel, nn_payload* payload)
{
    /* Both flags on channel 63 would read as CONTROL. */
    bool clashes = channel == NN_CHANNEL_BITS && payload->flags == (NN_CHANNEL_COMPRESSED | NN_CHANNEL_NAMED);
    return session->peer_decompresses && !clashes ? payload : nn_payload_plain(payload);
}

static necpnet_result session_queue_payload(nn_session* session, int channel, nn_payload* payload,
                                            const necpnet_send_options* options, bool takes_over)
{
    nn_channel_send* sender = session_sender(session, channel);
    if (!sender) return NECPNET_ERR_OUT_OF_MEMORY;
    if (NN_UNLIKELY(payload->flags & NN_CHANNEL_COMPRESSED)) {
        payload = session_payload_for_peer(session, channel, payload);
        if (!payload) return NECPNET_ERR_OUT_OF_MEMORY;
    }
    if (sender->config->redundancy && !session->copies) {
        uint32_t capacity;
        session->copies = (nn_copies*)nn_blocks_take(session->config->blocks, sizeof *session->copies, &capacity);
        if (!session->copies) return NECPNET_ERR_OUT_OF_MEMORY;
        session->copies->capacity = capacity;
        session->copies->count = 0;
    }
    necpnet_result result = takes_over ? nn_channel_send_take_over(sender, payload, options)
                                       : nn_channel_send_queue(sender, payload, options);
    nn_session_refresh(session, sender);
    return result;
}

NN_PRIVATE necpnet_result nn_session_send_payload(nn_session* session, int channel, nn_payload* payload,
                                                  const necpnet_send_options* options, uint64_t now_us)
{
    (void)now_us;
    return session_queue_payload(session, channel, payload, options, false);
}

/* A try that does not help costs as much as the rest of sending: after it, ever more messages are not tried. */
static void session_learn_compression(nn_channel_send* sender, const nn_payload* payload, bool was_skipped)
{
    if (was_skipped) {
        sender->plain_left--;
    } else if (payload->flags & NN_CHANNEL_COMPRESSED) {
        sender->plain_next = 0;
    } else {
        sender->plain_left = sender->plain_next =
            (uint8_t)nn_min_u64(sender->plain_next * 2u + 1u, NN_COMPRESS_SKIP_MAX);
    }
}

NN_PRIVATE necpnet_result nn_session_send(nn_session* session, int channel, const void* data, size_t bytes,
                                          const necpnet_send_options* options, uint64_t now_us)
{
    necpnet_result result = nn_session_check(session->config, channel, data, bytes, options);
    if (result) return result;
    bool compress = session->config->channels[channel].compress && session->peer_decompresses;
    nn_channel_send* sender = session->senders ? session->senders[channel] : NULL;
    bool skips = sender && sender->plain_left > 0;
    nn_payload* payload =
        nn_payload_create(session->config->blocks, data, bytes, options ? options->name : NULL, compress && !skips);
    if (!payload) return NECPNET_ERR_OUT_OF_MEMORY;
    if (sender && compress && bytes > NN_COMPRESS_BYTES_MIN) session_learn_compression(sender, payload, skips);
    result = nn_session_send_payload(session, channel, payload, options, now_us);
    nn_payload_release(payload);
    return result;
}

NN_PRIVATE necpnet_result nn_session_send_control(nn_session* session, const void* data, size_t bytes)
{
    if (bytes > NN_CONTROL_MESSAGE_BYTES_MAX) return NECPNET_ERR_MESSAGE_TOO_LARGE;
    nn_channel_send* sender = session_sender(session, session_control(session));
    if (!sender) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_payload* payload = nn_payload_create(session->config->blocks, data, bytes, NULL, false);
    if (!payload) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_result result = nn_channel_send_queue(sender, payload, NULL);
    nn_payload_release(payload);
    nn_session_refresh(session, sender);
    return result;
}

NN_PRIVATE size_t nn_session_control_bytes(const nn_session* session)
{
    const nn_channel_send* sender = session->senders ? session->senders[session_control(session)] : NULL;
    return sender ? sender->queue_bytes : 0;
}

NN_PRIVATE uint64_t nn_session_unacked(const nn_session* session)
{
    uint64_t count = 0;
    for (int i = 0; session->senders && i < session->config->channel_count; i++) {
        const nn_channel_send* sender = session->senders[i];
        if (!sender || !nn_channel_is_reliable(sender->config->mode)) continue;
        bool ordered = sender->config->mode == NECPNET_RELIABLE_ORDERED;
        count += ordered ? (uint16_t)(sender->next - sender->first) : sender->queue_messages;
    }
    return count;
}

NN_PRIVATE uint64_t nn_session_move_unsent(nn_session* from, nn_session* to)
{
    uint64_t moved = 0;
    for (int i = 0; from->senders && i < session_control(from); i++) {
        nn_channel_send* sender = from->senders[i];
        if (!sender || !nn_channel_is_reliable(sender->config->mode)) continue;
        nn_send_entry* entry;
        while ((entry = nn_channel_send_unsent(sender)) != NULL) {
            necpnet_send_options options;
            memset(&options, 0, sizeof options);
            options.has_deadline = entry->deadline_us != NN_NEVER;
            options.deadline_us = entry->deadline_us;
            options.wants_receipt = entry->receipt != NULL;
            options.receipt = entry->receipt ? entry->receipt->receipt : 0;
            if (session_queue_payload(to, i, entry->payload, &options, true)) break;
            nn_channel_send_forget_unsent(sender);
            nn_session_refresh(from, sender);
            moved++;
        }
    }
    return moved;
}

NN_PRIVATE void nn_session_refuse(nn_session* session, int channel, size_t bytes)
{
    nn_channel_send* sender = session_sender(session, channel);
    if (!sender) return;
    sender->blocked = true;
    sender->refused_bytes = (uint32_t)bytes;
}

NN_PRIVATE void nn_session_allow(nn_session* session)
{
    for (int i = 0; session->senders && i < session_control(session); i++) {
        if (session->senders[i]) nn_session_refresh(session, session->senders[i]);
    }
}

NN_PRIVATE void nn_session_drop(nn_session* session, int channel)
{
    nn_channel_send* sender = session_sender(session, channel);
    if (sender) sender->messages_dropped++;
}

/* ---- what became of packets ------------------------------------------------------------------------------------- */

static nn_channel_send* session_sender_of(const nn_session* session, const nn_sent_frame* frame)
{
    int index = nn_session_index(session, frame->channel);
    return index < 0 || !session->senders ? NULL : session->senders[index];
}

NN_PRIVATE void nn_session_acked(nn_session* session, const nn_contents* contents, uint64_t now_us)
{
    (void)now_us;
    for (unsigned i = 0; i < contents->count; i++) {
        const nn_sent_frame* frame = &contents->frames[i];
        if (frame->kind != NN_SENT_MESSAGES && frame->kind != NN_SENT_FRAGMENT) continue;
        nn_channel_send* sender = session_sender_of(session, frame);
        if (!sender) continue;
        if (frame->kind == NN_SENT_MESSAGES) {
            nn_channel_send_acked(sender, frame->id, frame->value, &session->delivered);
        } else {
            nn_channel_send_fragment_acked(sender, frame->id, frame->value, &session->delivered);
        }
        nn_session_refresh(session, sender);
    }
}

NN_PRIVATE void nn_session_set_credit_due(nn_session* session, int index)
{
    if (index == session_control(session)) {
        session->control_credit_due = true;
    } else {
        session->credit_due |= UINT64_C(1) << index;
    }
}

static void session_credit_lost(nn_session* session, const nn_sent_frame* frame)
{
    int index = nn_session_index(session, frame->channel);
    const nn_channel_receive* receiver = index < 0 || !session->receivers ? NULL : session->receivers[index];
    if (receiver && (uint32_t)receiver->credit_announced == frame->value) nn_session_set_credit_due(session, index);
}

static void session_received_again(nn_session* session)
{
    session->received_due = true;
    session->received_dirty = UINT64_MAX;
    session->control_received_dirty = true;
}

NN_PRIVATE void nn_session_lost(nn_session* session, const nn_contents* contents, uint64_t now_us)
{
    (void)now_us;
    for (unsigned i = 0; i < contents->count; i++) {
        const nn_sent_frame* frame = &contents->frames[i];
        if (frame->kind == NN_SENT_CREDIT) {
            session_credit_lost(session, frame);
            continue;
        }
        if (frame->kind == NN_SENT_RECEIVED) {
            session_received_again(session);
            continue;
        }
        if (frame->kind != NN_SENT_MESSAGES && frame->kind != NN_SENT_FRAGMENT) continue;
        nn_channel_send* sender = session_sender_of(session, frame);
        if (!sender) continue;
        if (frame->kind == NN_SENT_MESSAGES) {
            nn_channel_send_lost(sender, frame->id, frame->value);
        } else {
            nn_channel_send_fragment_lost(sender, frame->id, frame->value);
        }
        nn_session_refresh(session, sender);
    }
}

NN_PRIVATE void nn_session_doubted(nn_session* session, const nn_contents* contents)
{
    for (unsigned i = 0; i < contents->count; i++) {
        const nn_sent_frame* frame = &contents->frames[i];
        nn_channel_send* sender = frame->kind == NN_SENT_MESSAGES ? session_sender_of(session, frame) : NULL;
        if (!sender) continue;
        nn_channel_send_doubted(sender, frame->id, frame->value);
        nn_session_refresh(session, sender);
    }
}

NN_PRIVATE void nn_session_begin(nn_session* session, bool ordered)
{
    session->ordered = ordered;
    session->carrier_bytes_written = 0;
    session->carrier_bytes_received = 0;
    session->carrier_bytes_reported = 0;
    session->received_since_us = NN_NEVER;
    session->peer_bytes_received = 0;
}

NN_PRIVATE void nn_session_carrier_changed(nn_session* session, bool ordered)
{
    nn_session_begin(session, ordered);
    session_clear_copies(session);
    session->holds_reliable = true;
    for (int i = 0; i <= session_control(session); i++) {
        nn_channel_send* sender = session->senders ? session->senders[i] : NULL;
        nn_channel_receive* receiver = session->receivers ? session->receivers[i] : NULL;
        if (sender) {
            nn_channel_send_interrupt(sender);
            nn_session_refresh(session, sender);
        }
        if (receiver) {
            nn_channel_receive_interrupt(receiver);
            if (nn_channel_has_credit(receiver->config->mode)) nn_session_set_credit_due(session, i);
        }
    }
    session_received_again(session);
}

/* ---- polling ---------------------------------------------------------------------------------------------------- */

static void session_consumed(nn_session* session, int index, const nn_delivery* delivery)
{
    nn_channel_receive* receiver = session->receivers ? session->receivers[index] : NULL;
    if (receiver && nn_channel_receive_consumed(receiver, delivery)) nn_session_set_credit_due(session, index);
}

NN_PRIVATE bool nn_session_poll_control(nn_session* session, const uint8_t** out_data, size_t* out_bytes)
{
    nn_delivery_give(session->config->blocks, session->config->receive_memory, session->control_polled);
    session->control_polled = nn_delivery_pop(&session->control);
    if (!session->control_polled) return false;
    session_consumed(session, session_control(session), session->control_polled);
    *out_data = nn_delivery_body(session->control_polled) + session->control_polled->data_offset;
    *out_bytes = session->control_polled->bytes;
    return true;
}

NN_PRIVATE bool nn_session_poll(nn_session* session, nn_session_event* out_event)
{
    if (session->polled) {
        nn_delivery_give(session->config->blocks, session->config->receive_memory, session->polled);
        session->polled = NULL;
    }
    nn_delivery* delivery = nn_delivery_pop(&session->delivered);
    memset(out_event, 0, sizeof *out_event);
    if (delivery) {
        out_event->channel = delivery->channel;
        session->polled = delivery;
        if (delivery->is_receipt) {
            out_event->type = NN_SESSION_EVENT_RECEIPT;
            out_event->receipt = delivery->receipt;
            return true;
        }
        out_event->type = NN_SESSION_EVENT_MESSAGE;
        out_event->data = nn_delivery_body(delivery) + delivery->data_offset;
        out_event->bytes = delivery->bytes;
        if (delivery->name_offset != NN_DELIVERY_NO_NAME) {
            out_event->name = (const char*)nn_delivery_body(delivery) + delivery->name_offset;
        }
        session_consumed(session, delivery->channel, delivery);
        return true;
    }
    if (!session->writable) return false;
    out_event->type = NN_SESSION_EVENT_WRITABLE;
    out_event->channel = (int)nn_lowest_bit(session->writable);
    session->writable &= session->writable - 1;
    return true;
}

NN_PRIVATE necpnet_result nn_session_get_channel_statistics(const nn_session* session, int channel,
                                                            necpnet_channel_statistics* out_statistics)
{
    if (channel < 0 || channel >= session->config->channel_count) return NECPNET_ERR_NO_SUCH_CHANNEL;
    const nn_channel_send* sender = session->senders ? session->senders[channel] : NULL;
    const nn_channel_receive* receiver = session->receivers ? session->receivers[channel] : NULL;
    memset(out_statistics, 0, sizeof *out_statistics);
    if (sender) {
        out_statistics->messages_sent = sender->messages_sent;
        out_statistics->messages_dropped = sender->messages_dropped;
        out_statistics->bytes_sent = sender->bytes_sent;
        out_statistics->resends = sender->resends;
        out_statistics->queue_messages = sender->queue_messages;
        out_statistics->queue_bytes = sender->queue_bytes;
    }
    if (receiver) {
        out_statistics->messages_received = receiver->messages_received;
        out_statistics->messages_dropped += receiver->messages_dropped;
        out_statistics->bytes_received = receiver->bytes_received;
    }
    return NECPNET_OK;
}

NN_PRIVATE size_t nn_session_memory_bytes(const nn_session* session)
{
    size_t bytes = sizeof *session + session->queue_bytes;
    if (session->copies) bytes += session->copies->capacity;
    if (session->peer_windows) bytes += (size_t)session->config->channel_count * sizeof *session->peer_windows;
    if (session->senders) bytes += session_table_bytes(session);
    if (session->receivers) bytes += session_table_bytes(session);
    for (int i = 0; i <= session_control(session); i++) {
        const nn_channel_send* sender = session->senders ? session->senders[i] : NULL;
        const nn_channel_receive* receiver = session->receivers ? session->receivers[i] : NULL;
        if (sender) bytes += sizeof *sender + sender->capacity * sizeof *sender->ring;
        if (!receiver) continue;
        bytes += sizeof *receiver;
        for (const nn_reassembly* at = receiver->assemblies; at; at = at->next) bytes += at->room;
        if (receiver->ring) bytes += receiver->capacity * sizeof *receiver->ring;
        if (receiver->bits) bytes += receiver->capacity / 8;
    }
    const nn_delivery* last = session->delivered.last;
    for (const nn_delivery* at = last; at; at = at->next == last ? NULL : at->next) bytes += at->capacity;
    return bytes;
}
