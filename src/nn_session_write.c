/* nn_session_write - what goes into a packet: CONTROL first, then deficit round robin over priorities and sources.
 *
 * Deficit round robin: Shreedhar and Varghese, Efficient fair queueing using deficit round robin, 1995; a class may
 * overdraw by its last message, which it pays back in later rounds.
 */
#include "nn_frame.h"
#include "nn_session.h"

#define SESSION_QUANTUM_BYTES 64     /* a round's share for each unit of weight */
#define SESSION_DEBT_BYTES_MAX 16384 /* a message of a WebSocket full of one class */
#define SESSION_TURN_BYTES 512       /* of one channel, before its class goes on to the next */
#define SESSION_CREDIT_BYTES_MAX 10
#define SESSION_ROOM_MIN 4 /* fewer bytes hold no frame worth looking for */

static const int32_t session_weights[NN_SESSION_CLASSES] = {16, 8, 8, 4, 4, 2};
static const uint8_t session_class_of_priority[4] = {0, 2, 4, 5};
#define SESSION_CLASS_VOICE 1
#define SESSION_CLASS_STATE 3

/* One packet's view of who waits. */
typedef struct session_turns {
    uint64_t channels[NN_SESSION_CLASSES]; /* that may still write into this packet */
    bool source[NN_SOURCES];
    unsigned classes; /* bit a class that has one of these */
    unsigned stopped; /* bit a class that has more, but none that fits */
} session_turns;

static bool session_source_ready(const nn_session* session, nn_source_kind kind, uint64_t now_us)
{
    if (!session->source_user) return false;
    const nn_source* source = &session->config->sources[kind];
    return source->ready && source->ready(session->source_user, now_us);
}

/* Ordered: whether there is something to tell in time. RECEIVED frames alone are not, else two ends would never rest. */
static bool session_report_wanted(const nn_session* session)
{
    return session->ordered &&
           (session->received_dirty || session->control_received_dirty ||
            session->state_tick != session->state_tick_reported ||
            session->carrier_bytes_received - session->carrier_bytes_reported >= NN_RECEIVED_BYTES_MIN);
}

static bool session_report_due(const nn_session* session, uint64_t now_us)
{
    if (session->received_due) return true;
    if (!session_report_wanted(session)) return false;
    return session->carrier_bytes_received - session->carrier_bytes_reported >= NN_RECEIVED_BYTES ||
           (session->received_since_us != NN_NEVER && now_us >= session->received_since_us + NN_RECEIVED_DELAY_US);
}

static bool session_copies_due(const nn_session* session, uint64_t now_us)
{
    return session->copies && session->copies->count > 0 &&
           now_us >= session->copies->since_us + NN_REDUNDANCY_DELAY_US;
}

NN_PRIVATE bool nn_session_has_output(const nn_session* session, uint64_t now_us)
{
    return session->ready || session->control_ready || session->credit_due || session->control_credit_due ||
           session_report_due(session, now_us) || session_copies_due(session, now_us) ||
           session_source_ready(session, NN_SOURCE_VOICE, now_us) ||
           session_source_ready(session, NN_SOURCE_STATE, now_us);
}

NN_PRIVATE uint64_t nn_session_deadline_us(const nn_session* session)
{
    uint64_t deadline = NN_NEVER;
    if (session->copies && session->copies->count > 0) deadline = session->copies->since_us + NN_REDUNDANCY_DELAY_US;
    if (session->received_since_us != NN_NEVER && session_report_wanted(session)) {
        deadline = nn_min_u64(deadline, session->received_since_us + NN_RECEIVED_DELAY_US);
    }
    return deadline;
}

/* CREDIT for one channel; false when there is no room. */
static bool session_write_credit(nn_session* session, int index, nn_writer* writer, nn_contents* contents)
{
    nn_channel_receive* receiver = session->receivers ? session->receivers[index] : NULL;
    if (!receiver) return true;
    if (nn_contents_full(contents) || nn_writer_left(writer) < SESSION_CREDIT_BYTES_MAX) return false;
    uint64_t limit = nn_channel_receive_credit(receiver);
    nn_write_u8(writer, NN_FRAME_CREDIT);
    nn_write_u8(writer, receiver->byte);
    nn_write_varint(writer, limit);
    nn_contents_add(contents, NN_SENT_CREDIT, receiver->byte, 0, (uint32_t)limit);
    return true;
}

static void session_write_credits(nn_session* session, nn_writer* writer, nn_contents* contents)
{
    if (session->control_credit_due) {
        session->control_credit_due = !session_write_credit(session, session->config->channel_count, writer, contents);
    }
    while (session->credit_due) {
        unsigned i = nn_lowest_bit(session->credit_due);
        if (!session_write_credit(session, (int)i, writer, contents)) return;
        session->credit_due &= session->credit_due - 1;
    }
}

static bool session_others_wait(const nn_session* session, const session_turns* turns, uint64_t except)
{
    return (session->ready & ~except) || turns->source[NN_SOURCE_VOICE] || turns->source[NN_SOURCE_STATE];
}

/* Copies of what the packet before carried; each has this one chance. */
static void session_write_copies(nn_session* session, nn_message_packet* packet)
{
    nn_copies* copies = session->copies;
    uint32_t count = copies->count;
    for (uint32_t i = 0; i < count; i++) {
        nn_channel_send* sender = session->senders[copies->copies[i].channel];
        nn_channel_send_copy(sender, packet, &copies->copies[i]);
        nn_session_refresh(session, sender);
        nn_payload_release(copies->copies[i].payload);
    }
    copies->count = 0;
}

/* One turn of a class: its source, or its next channel. Returns bytes written. */
static size_t session_take_turn(nn_session* session, session_turns* turns, unsigned class_at, int32_t allowance,
                                nn_message_packet* packet)
{
    nn_writer* writer = packet->writer;
    if (class_at == SESSION_CLASS_VOICE || class_at == SESSION_CLASS_STATE) {
        nn_source_kind kind = class_at == SESSION_CLASS_VOICE ? NN_SOURCE_VOICE : NN_SOURCE_STATE;
        size_t before = nn_writer_bytes(writer);
        turns->source[kind] = false;
        turns->classes &= ~(1u << class_at);
        (void)session->config->sources[kind].write(session->source_user, writer, packet->contents, packet->now_us);
        NN_ASSERT(!writer->failed);
        size_t written = nn_writer_bytes(writer) - before;
        if (class_at == SESSION_CLASS_VOICE) session->silent_bytes += (uint32_t)written;
        return written;
    }
    uint64_t waiting = turns->channels[class_at];
    uint64_t later = waiting & (UINT64_MAX << session->next_channels[class_at]);
    unsigned at = nn_lowest_bit(later ? later : waiting);
    uint64_t bit = UINT64_C(1) << at;
    nn_channel_send* sender = session->senders[at];
    size_t turn = allowance < SESSION_TURN_BYTES ? (size_t)allowance : SESSION_TURN_BYTES;
    packet->others_wait = session_others_wait(session, turns, bit);
    size_t written = nn_channel_send_write(sender, packet, turn);
    nn_session_refresh(session, sender);
    if (written < turn || !(session->ready & bit)) {
        turns->channels[class_at] &= ~bit; /* no more, or nothing that fits */
        if (session->ready & bit) turns->stopped |= 1u << class_at;
        if (!turns->channels[class_at]) turns->classes &= ~(1u << class_at);
    }
    session->next_channels[class_at] = (uint8_t)((at + 1) % NECPNET_CHANNELS_MAX);
    return written;
}

/* A round: every class gets its share; one that has nothing to send keeps no more than one. */
static void session_begin_round(nn_session* session, unsigned waiting)
{
    for (unsigned i = 0; i < NN_SESSION_CLASSES; i++) {
        int32_t* deficit = &session->deficits[i];
        int32_t share = session_weights[i] * SESSION_QUANTUM_BYTES;
        *deficit += share;
        if (!(waiting >> i & 1) && *deficit > share) *deficit = share;
    }
}

/* Whether a class has some of its share left, but nothing that fits into this packet. */
static bool session_share_is_left(const nn_session* session, const session_turns* turns)
{
    for (unsigned i = 0; i < NN_SESSION_CLASSES; i++) {
        if ((turns->stopped >> i & 1) && session->deficits[i] > 0) return true;
    }
    return false;
}

/* The first class that has something left of its share goes on; when none has, a round begins. So what is urgent leaves
 * with the next packet, and yet gets no more than its share where all want more than there is. */
static void session_write_turns(nn_session* session, session_turns* turns, nn_message_packet* packet)
{
    while (turns->classes && !packet->closed && nn_writer_left(packet->writer) >= SESSION_ROOM_MIN) {
        unsigned at = 0;
        while (at < NN_SESSION_CLASSES && (!(turns->classes >> at & 1) || session->deficits[at] <= 0)) at++;
        if (at == NN_SESSION_CLASSES && !session_share_is_left(session, turns)) {
            session_begin_round(session, turns->classes | turns->stopped);
            continue;
        }
        if (at == NN_SESSION_CLASSES) at = nn_lowest_bit(turns->classes); /* into the room that is left, on account */
        int32_t* deficit = &session->deficits[at];
        int32_t allowance = *deficit > 0 ? *deficit : SESSION_QUANTUM_BYTES;
        *deficit -= (int32_t)session_take_turn(session, turns, at, allowance, packet);
        if (*deficit < -SESSION_DEBT_BYTES_MAX) *deficit = -SESSION_DEBT_BYTES_MAX;
    }
}

static session_turns session_list_turns(const nn_session* session, uint64_t now_us)
{
    session_turns turns;
    memset(&turns, 0, sizeof turns);
    for (uint64_t ready = session->ready; ready; ready &= ready - 1) {
        unsigned i = nn_lowest_bit(ready);
        unsigned class_at = session_class_of_priority[session->config->channels[i].priority];
        turns.channels[class_at] |= UINT64_C(1) << i;
        turns.classes |= 1u << class_at;
    }
    turns.source[NN_SOURCE_VOICE] = session_source_ready(session, NN_SOURCE_VOICE, now_us);
    turns.source[NN_SOURCE_STATE] = session_source_ready(session, NN_SOURCE_STATE, now_us);
    if (turns.source[NN_SOURCE_VOICE]) turns.classes |= 1u << SESSION_CLASS_VOICE;
    if (turns.source[NN_SOURCE_STATE]) turns.classes |= 1u << SESSION_CLASS_STATE;
    return turns;
}

/* The usual packet: one channel has something, and nobody else. Its class owes nobody a turn. */
static void session_write_alone(nn_session* session, nn_message_packet* packet)
{
    nn_channel_send* sender = session->senders[nn_lowest_bit(session->ready)];
    packet->others_wait = false;
    (void)nn_channel_send_write(sender, packet, SIZE_MAX);
    nn_session_refresh(session, sender);
}

NN_PRIVATE size_t nn_session_write(nn_session* session, nn_writer* writer, nn_contents* contents, uint64_t now_us)
{
    size_t begin = nn_writer_bytes(writer);
    nn_message_packet packet;
    NN_ASSERT(session->ordered == (contents == NULL));
    session->silent_bytes = 0;
    memset(&packet, 0, sizeof packet);
    packet.writer = writer;
    packet.contents = contents;
    packet.copies = session->ordered ? NULL : session->copies;
    packet.now_us = now_us;
    if (session_report_due(session, now_us) && !nn_contents_full(contents)) {
        if (nn_session_write_received(session, writer)) nn_contents_add(contents, NN_SENT_RECEIVED, 0, 0, 0);
    }
    if (session->credit_due || session->control_credit_due) session_write_credits(session, writer, contents);
    packet.room = nn_writer_left(writer);
    bool copies = packet.copies && packet.copies->count > 0;
    bool sources = session->source_user != NULL;
    if (!copies && !sources && !session->control_ready && (session->ready & (session->ready - 1)) == 0) {
        if (session->ready) session_write_alone(session, &packet);
        NN_ASSERT(!writer->failed);
        return nn_writer_bytes(writer) - begin;
    }
    session_turns turns = session_list_turns(session, now_us);
    if (session->control_ready) {
        nn_channel_send* control = session->senders[session->config->channel_count];
        packet.others_wait = copies || session_others_wait(session, &turns, 0);
        nn_channel_send_write(control, &packet, SIZE_MAX);
        nn_session_refresh(session, control);
    }
    if (copies && !packet.closed) {
        session_write_copies(session, &packet);
        turns = session_list_turns(session, now_us);
    }
    if (turns.classes && !packet.closed) session_write_turns(session, &turns, &packet);
    NN_ASSERT(!writer->failed);
    return nn_writer_bytes(writer) - begin;
}
