/* nn_session - the channels of one peer, over whatever connection carries them.
 *
 * A carrier is UDP (packets that may be lost: each written packet's contents are told back by nn_session_acked or
 * nn_session_lost) or ordered (WebSocket: the peer's RECEIVED frames say what arrived). The session outlives carriers.
 *
 * How the connection uses it
 *   sending    its own frames first, nn_session_write last: the session's last frame may have no length and so runs to
 *              the end of the packet. Nothing may be written behind it, padding included.
 *   receiving  frame types of the session go to nn_session_read. ERR_PROTOCOL ends the connection with the text;
 *              ERR_OUT_OF_MEMORY: the frame was read but not taken: go on with the packet's other frames, and do not
 *              acknowledge it; on an ordered carrier end the connection.
 *   losing     nn_session_lost also for a probe (RFC 9002 6.2.4), on the oldest packet in flight: it may be told twice.
 *   ordered    nn_session_count_written and nn_session_count_received with the bytes of each carrier message.
 */
#ifndef NN_SESSION_H
#define NN_SESSION_H

#include "nn_channel_receive.h"
#include "nn_channel_send.h"

#define NN_CONTROL_MESSAGE_BYTES_MAX 262144 /* a schema or channel table */
#define NN_RECEIVED_DELAY_US 100000         /* ordered carriers: RECEIVED at the latest so long after data .. */
#define NN_RECEIVED_BYTES 32768             /* .. or after so many bytes */
#define NN_RECEIVED_BYTES_MIN 1024          /* fewer, with nothing reliable among them, are not reported by time */

/* An external writer that takes turns with the channels. */
typedef struct nn_source {
    bool (*ready)(void* user, uint64_t now_us); /* NULL: there is none of this kind */
    /* Whole frames, each with its own length or end; leaves the writer unfailed; whether it wrote anything. */
    bool (*write)(void* user, nn_writer* writer, nn_contents* contents, uint64_t now_us);
} nn_source;

typedef enum nn_source_kind {
    NN_SOURCE_VOICE = 0, /* weight 8, between critical and high */
    NN_SOURCE_STATE = 1, /* weight 4, between high and normal */
    NN_SOURCES = 2
} nn_source_kind;

typedef struct nn_session_config {
    nn_alloc* alloc;
    nn_blocks* blocks;
    const necpnet_logger* logger;
    const necpnet_channel_config* channels; /* borrowed, outlives the session */
    int channel_count;                      /* 1 .. NECPNET_CHANNELS_MAX */
    bool is_server;
    nn_receive_memory* receive_memory;
    const nn_source* sources; /* NN_SOURCES of them, borrowed; NULL: none */
} nn_session_config;

typedef enum nn_session_event_type {
    NN_SESSION_EVENT_MESSAGE = 1, /* channel, data, bytes, name */
    NN_SESSION_EVENT_RECEIPT = 2, /* channel, receipt */
    NN_SESSION_EVENT_WRITABLE = 3 /* channel */
} nn_session_event_type;

typedef struct nn_session_event {
    nn_session_event_type type;
    int channel;
    const void* data; /* view until the next poll; never NULL for a message */
    size_t bytes;
    const char* name; /* view; NULL without */
    uint64_t receipt;
} nn_session_event;

#define NN_SESSION_CLASSES 6 /* critical, voice, high, state, normal, low */

typedef struct nn_session {
    const nn_session_config* config;
    nn_channel_send** senders;      /* NULL, or channel_count + 1 entries (the last: control), each NULL or live */
    nn_channel_receive** receivers; /* the same */
    nn_delivery_list delivered;     /* messages and receipts to be polled */
    nn_delivery_list control;       /* control messages to be polled */
    nn_delivery* polled;            /* what the last poll's views look at */
    nn_delivery* control_polled;
    uint64_t ready;          /* bit a channel that could write something now */
    uint64_t writable;       /* bit a channel whose WRITABLE waits to be polled */
    uint64_t credit_due;     /* bit a channel whose CREDIT should be written */
    uint64_t received_dirty; /* bit a channel to name in the next RECEIVED */
    bool control_ready : 1;
    bool control_credit_due : 1;
    bool control_received_dirty : 1;
    bool ordered : 1;        /* the present carrier */
    bool holds_reliable : 1; /* since the carrier changed, until the peer's RECEIVED */
    bool received_due : 1;   /* RECEIVED must be written (carrier changed, or lost) */
    bool peer_decompresses : 1;
    bool has_peer_windows : 1;                 /* they are known: reliable messages may leave */
    uint8_t next_channels[NN_SESSION_CLASSES]; /* of each class: where its round robin goes on */
    int32_t deficits[NN_SESSION_CLASSES];
    void* source_user;              /* of all of the config's; NULL: they have nothing to say here */
    uint32_t* peer_windows;         /* NULL: the peer's windows are as ours; else channel_count entries */
    nn_copies* copies;              /* redundancy; NULL until used */
    uint64_t carrier_bytes_written; /* ordered: since the carrier began */
    uint64_t carrier_bytes_received;
    uint64_t carrier_bytes_reported; /* received as of our last RECEIVED */
    uint64_t received_since_us;      /* when the first unreported bytes came; NN_NEVER */
    uint64_t peer_bytes_received;    /* as of the peer's last RECEIVED */
    uint32_t state_tick;             /* last state tick received, set by whoever follows it; told in RECEIVED */
    uint32_t state_tick_reported;
    uint32_t peer_state_tick; /* as of the peer's last RECEIVED */
    size_t queue_bytes;
    uint32_t silent_bytes; /* of the last nn_session_write: voice, which wants no ACK */
    uint32_t outstanding;  /* reliable messages queued or unacknowledged, control included */
} nn_session;

/* nn_session_init - nothing allocated yet; the config is borrowed until reset. nn_session_reset - release everything, also of a zeroed
 * struct; init before use again. */
NN_PRIVATE void nn_session_init(nn_session* session, const nn_session_config* config);
NN_PRIVATE void nn_session_reset(nn_session* session);

/* nn_session_begin - the first carrier. nn_session_carrier_changed - a later one: reliable channels wait for the peer's
 * RECEIVED, then only what is missing is sent. */
NN_PRIVATE void nn_session_begin(nn_session* session, bool ordered);
NN_PRIVATE void nn_session_carrier_changed(nn_session* session, bool ordered);

/* nn_session_set_peer_window - what the peer's SETUP gives for a channel: no reliable (un)ordered message leaves before.
 * Returns OK | ERR_OUT_OF_MEMORY | ERR_PROTOCOL (smaller than message_bytes_max). */
NN_PRIVATE necpnet_result nn_session_set_peer_window(nn_session* session, int channel, uint32_t bytes);

/* nn_session_set_peer_decompresses - whether the peer's features have LZ4; false after init. */
NN_PRIVATE void nn_session_set_peer_decompresses(nn_session* session, bool decompresses);

/* nn_session_set_sources - let the config's sources take turns for this user; NULL: not. */
NN_PRIVATE void nn_session_set_sources(nn_session* session, void* user);

/* nn_session_send - results as necpnet_client_send_with without ERR_NOT_CONNECTED; options may be NULL. */
NN_PRIVATE necpnet_result nn_session_send(nn_session* session, int channel, const void* data, size_t bytes,
                                          const necpnet_send_options* options, uint64_t now_us);

/* nn_session_check - whether a message of that size and these options may be sent on a channel at all: the part of
 * nn_session_send's results that is the same for every session of a broadcast. */
NN_PRIVATE necpnet_result nn_session_check(const nn_session_config* config, int channel, const void* data, size_t bytes,
                                           const necpnet_send_options* options);

/* nn_session_send_payload - queue a payload made after nn_session_check; acquires a reference. */
NN_PRIVATE necpnet_result nn_session_send_payload(nn_session* session, int channel, nn_payload* payload,
                                                  const necpnet_send_options* options, uint64_t now_us);

/* nn_session_send_control - OK | ERR_MESSAGE_TOO_LARGE | ERR_WOULD_BLOCK | ERR_OUT_OF_MEMORY. */
NN_PRIVATE necpnet_result nn_session_send_control(nn_session* session, const void* data, size_t bytes);

/* nn_session_poll_control - the next control message; a view until the next call. */
NN_PRIVATE bool nn_session_poll_control(nn_session* session, const uint8_t** out_data, size_t* out_bytes);

/* nn_session_has_output - whether nn_session_write would write something into a packet of ordinary size. */
NN_PRIVATE bool nn_session_has_output(const nn_session* session, uint64_t now_us);

/* nn_session_deadline_us - when has_output becomes true by itself; NN_NEVER. */
NN_PRIVATE uint64_t nn_session_deadline_us(const nn_session* session);

/* nn_session_write - as many frames as fit; the last of the packet.
 *
 *   contents  NULL on an ordered carrier.
 *
 * Returns  bytes written.
 */
NN_PRIVATE size_t nn_session_write(nn_session* session, nn_writer* writer, nn_contents* contents, uint64_t now_us);

/* nn_session_read - one frame of type RECEIVED, MESSAGE, MESSAGE_LAST, FRAGMENT or CREDIT, behind its type byte.
 *
 *   out_text  static, what rule was broken; written unless OK.
 *
 * Returns  OK | ERR_PROTOCOL | ERR_OUT_OF_MEMORY
 */
NN_PRIVATE necpnet_result nn_session_read(nn_session* session, uint8_t type, nn_reader* reader, uint64_t now_us,
                                          const char** out_text);

/* nn_session_is_unreliable - whether a frame of type MESSAGE, MESSAGE_LAST or FRAGMENT, behind its type byte, is of an unreliable
 * channel. Reads nothing. */
NN_PRIVATE bool nn_session_is_unreliable(const nn_session* session, uint8_t type, const nn_reader* reader);

/* nn_session_acked, nn_session_lost - what became of a packet; frames of other kinds are skipped. */
NN_PRIVATE void nn_session_acked(nn_session* session, const nn_contents* contents, uint64_t now_us);
NN_PRIVATE void nn_session_lost(nn_session* session, const nn_contents* contents, uint64_t now_us);

/* nn_session_doubted - neither a packet nor the next, which repeats its messages, seem to have come (nn_recovery_doubt). */
NN_PRIVATE void nn_session_doubted(nn_session* session, const nn_contents* contents);

/* nn_session_write_received - RECEIVED now (ordered carriers; nn_session_write does it when due). False: no room. */
NN_PRIVATE bool nn_session_write_received(nn_session* session, nn_writer* writer);

NN_INLINE void nn_session_count_written(nn_session* session, size_t bytes)
{
    session->carrier_bytes_written += bytes;
}

NN_PRIVATE void nn_session_count_received(nn_session* session, size_t bytes, uint64_t now_us);

/* nn_session_poll - the next event; its views hold until the next poll. */
NN_PRIVATE bool nn_session_poll(nn_session* session, nn_session_event* out_event);

NN_INLINE bool nn_session_has_event(const nn_session* session)
{
    return session->delivered.last || session->writable;
}

/* nn_session_control_bytes - queued on CONTROL, in flight or not. */
NN_PRIVATE size_t nn_session_control_bytes(const nn_session* session);

NN_INLINE size_t nn_session_queued_bytes(const nn_session* session)
{
    return session->queue_bytes;
}

/* nn_session_get_channel_statistics - OK | ERR_NO_SUCH_CHANNEL. */
NN_PRIVATE necpnet_result nn_session_get_channel_statistics(const nn_session* session, int channel,
                                                            necpnet_channel_statistics* out_statistics);

/* nn_session_unacked - reliable messages of the application that the peer's may never get when the session ends now: all that
 * are not acknowledged, and on ordered channels all behind them, for the peer holds those back. */
NN_PRIVATE uint64_t nn_session_unacked(const nn_session* session);

/* nn_session_move_unsent - what no packet of one session carried yet is queued in another, in order; the first is about to be
 * discarded. What finds no memory stays. Returns how many. */
NN_PRIVATE uint64_t nn_session_move_unsent(nn_session* from, nn_session* to);

/* nn_session_refuse - a message was refused for a limit beyond the channel's: WRITABLE follows when nn_session_allow is
 * called. nn_session_drop - it was dropped on purpose: count it. */
NN_PRIVATE void nn_session_refuse(nn_session* session, int channel, size_t bytes);
NN_PRIVATE void nn_session_allow(nn_session* session);
NN_PRIVATE void nn_session_drop(nn_session* session, int channel);

/* nn_session_discard - on the final close: drop what is queued and half received; what was delivered can be polled. */
NN_PRIVATE void nn_session_discard(nn_session* session);

/* nn_session_flushed - nothing reliable is outstanding. */
NN_INLINE bool nn_session_flushed(const nn_session* session)
{
    return session->outstanding == 0;
}

/* Between the files of the session: the table index of a channel byte (-1: none), the receiver made on demand (NULL: out
 * of memory), the sums and bits that follow from a sender, and CREDIT to be written. */
NN_PRIVATE int nn_session_index(const nn_session* session, uint8_t byte);
NN_PRIVATE nn_channel_receive* nn_session_receiver(nn_session* session, int index);
NN_PRIVATE void nn_session_refresh(nn_session* session, nn_channel_send* sender);
NN_PRIVATE void nn_session_set_credit_due(nn_session* session, int index);

/* nn_session_memory_bytes - held for this session: its state, its queues, what waits to be polled. */
NN_PRIVATE size_t nn_session_memory_bytes(const nn_session* session);

#endif
