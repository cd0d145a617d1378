/* nn_channel_send - the sending half of a channel: its queue, what is in flight, what is to be sent again. */
#ifndef NN_CHANNEL_SEND_H
#define NN_CHANNEL_SEND_H

#include "nn_bytes.h"
#include "nn_contents.h"
#include "nn_delivery.h"
#include "nn_fragments.h"
#include "nn_payload.h"

#define NN_CHANNEL_UNACKED_MAX 16384 /* messages of a channel: ids are 16 bits and compared within half of them */
#define NN_CREDIT_EXTRA_BYTES 64     /* a window holds that much more than it says: the name of one message */
#define NN_CONTROL_CHANNEL 255       /* internal, reliable ordered; as a channel byte: channel 63 with both flags */
#define NN_CHANNEL_BITS 0x3f

NN_INLINE bool nn_channel_is_reliable(necpnet_channel_mode mode)
{
    return mode >= NECPNET_RELIABLE_SEQUENCED;
}

NN_INLINE bool nn_channel_has_credit(necpnet_channel_mode mode)
{
    return mode >= NECPNET_RELIABLE_UNORDERED;
}

typedef enum nn_send_state {
    NN_SEND_QUEUED = 0,
    NN_SEND_IN_FLIGHT = 1,
    NN_SEND_LOST = 2, /* to be sent again */
    NN_SEND_GONE = 3  /* acknowledged or dropped; waits for those before it */
} nn_send_state;

typedef struct nn_send_entry {
    nn_payload* payload;
    nn_delivery* receipt; /* NULL, or taken beforehand so that an acknowledgement allocates nothing */
    uint64_t deadline_us; /* NN_NEVER without */
    uint8_t state;        /* nn_send_state */
    uint8_t in_flight;    /* packets that carry it; saturates */
} nn_send_entry;

/* A message written once whose channel is redundant. */
typedef struct nn_sent_copy {
    nn_payload* payload; /* a reference */
    uint16_t id;
    uint8_t channel; /* index */
} nn_sent_copy;

#define NN_COMPRESS_SKIP_MAX 15 /* messages in a row that are not tried, where compression does not help */

#define NN_REDUNDANCY_COPIES_MAX 32  /* of one packet; more are not copied */
#define NN_REDUNDANCY_DELAY_US 20000 /* a copy that found no packet to ride on gets one of its own */

typedef struct nn_copies {
    uint32_t capacity; /* of the block */
    uint32_t count;
    uint64_t since_us; /* when the first was written */
    nn_sent_copy copies[NN_REDUNDANCY_COPIES_MAX];
} nn_copies;

/* The packet that is being written. */
typedef struct nn_message_packet {
    nn_writer* writer;
    nn_contents* contents; /* NULL on an ordered carrier */
    nn_copies* copies;     /* NULL: no redundancy now */
    uint64_t now_us;
    size_t room; /* when the session began */
    bool ordered;
    bool others_wait; /* something else will follow: no MESSAGE_LAST */
    bool closed;      /* nothing may follow */
} nn_message_packet;

typedef struct nn_channel_send {
    const necpnet_channel_config* config;
    nn_blocks* blocks;
    nn_send_entry* ring; /* by position & (capacity - 1); a reliable message's position is its id */
    uint32_t capacity;   /* power of two; 0 at first */
    uint16_t first;      /* oldest kept */
    uint16_t fresh;      /* next never written */
    uint16_t next;       /* next to be queued */
    uint16_t wire_id;    /* next id of an unreliable message */
    uint16_t lost_scan;  /* none lost before */
    uint8_t index;       /* in the session's tables */
    uint8_t byte;        /* on the wire, without flags */
    bool holds;          /* reliable: waits for the peer's RECEIVED */
    bool waits;          /* the next message must be cut, and as many as may be are so already */
    uint8_t cut_count;   /* of cuts */
    bool blocked;        /* a message was refused: WRITABLE follows */
    bool cutting;        /* unreliable: the message at `fresh` is half written */
    uint8_t plain_left;  /* messages that are not tried to be compressed, because .. */
    uint8_t plain_next;  /* .. the last tries did not help; so many after the next that does not */
    uint32_t cut_unit;   /* its next unit */
    uint16_t cut_id;
    uint32_t refused_bytes;
    uint32_t lost_count;
    uint32_t queue_messages;
    uint32_t queue_bytes;
    uint32_t counted_messages; /* as the session last summed them */
    uint32_t counted_bytes;
    uint64_t credit_used;
    uint64_t credit_limit;
    nn_fragments* cuts; /* reliable: messages in fragments that the peer does not have whole, in the order begun */
    uint64_t messages_sent;
    uint64_t messages_dropped;
    uint64_t bytes_sent;
    uint64_t resends;
} nn_channel_send;

/* nn_channel_send_create - NULL when out of memory. index: in the session's tables; byte: on the wire. */
NN_PRIVATE nn_channel_send* nn_channel_send_create(nn_blocks* blocks, const necpnet_channel_config* config,
                                                   uint8_t index, uint8_t byte);
NN_PRIVATE void nn_channel_send_destroy(nn_channel_send* channel);

/* nn_channel_send_queue - OK (reference acquired) | ERR_WOULD_BLOCK | ERR_OUT_OF_MEMORY. options may be NULL. */
NN_PRIVATE necpnet_result nn_channel_send_queue(nn_channel_send* channel, nn_payload* payload,
                                                const necpnet_send_options* options);

/* nn_channel_send_take_over - the same beyond the queue's limits, for what another queue within such limits held: it may take
 * more here, uncompressed. */
NN_PRIVATE necpnet_result nn_channel_send_take_over(nn_channel_send* channel, nn_payload* payload,
                                                    const necpnet_send_options* options);

/* nn_channel_send_ready - whether something could be written now. */
NN_PRIVATE bool nn_channel_send_ready(const nn_channel_send* channel);

/* nn_channel_send_write - messages and fragments into a packet, about `turn` bytes at most (one message more).
 * Returns bytes written; less than turn when the channel has no more or it does not fit. */
NN_PRIVATE size_t nn_channel_send_write(nn_channel_send* channel, nn_message_packet* packet, size_t turn);

/* nn_channel_send_copy - write a copy if it fits and still makes sense; the copy's reference stays the caller's. */
NN_PRIVATE void nn_channel_send_copy(nn_channel_send* channel, nn_message_packet* packet, const nn_sent_copy* copy);

/* nn_channel_send_acked, nn_channel_send_lost - `count` messages from `id` on. Stale ids are ignored. */
NN_PRIVATE void nn_channel_send_acked(nn_channel_send* channel, uint16_t id, uint32_t count,
                                      nn_delivery_list* receipts);
NN_PRIVATE void nn_channel_send_lost(nn_channel_send* channel, uint16_t id, uint32_t count);
/* nn_channel_send_doubted - of a redundant channel: send them again, though the packets that carry them may yet be
 * acknowledged or told lost. */
NN_PRIVATE void nn_channel_send_doubted(nn_channel_send* channel, uint16_t id, uint32_t count);
NN_PRIVATE void nn_channel_send_fragment_acked(nn_channel_send* channel, uint16_t id, uint32_t value,
                                               nn_delivery_list* receipts);
NN_PRIVATE void nn_channel_send_fragment_lost(nn_channel_send* channel, uint16_t id, uint32_t value);

/* nn_channel_send_interrupt - the carrier is gone: all that is in flight is to be sent again, once released. */
NN_PRIVATE void nn_channel_send_interrupt(nn_channel_send* channel);

/* nn_channel_send_covers - whether the peer may claim to have all before `id`: it was sent. */
NN_PRIVATE bool nn_channel_send_covers(const nn_channel_send* channel, uint16_t id);

/* nn_channel_send_has_units - the peer has the first units of a message; it need not be sent from the start. */
NN_PRIVATE void nn_channel_send_has_units(nn_channel_send* channel, uint16_t id, uint32_t units,
                                          nn_delivery_list* receipts);

/* nn_channel_send_unsent - the oldest message that no packet carried yet, with its options; NULL. nn_channel_send_forget_unsent -
 * drop it (its receipt was taken). */
NN_PRIVATE nn_send_entry* nn_channel_send_unsent(const nn_channel_send* channel);
NN_PRIVATE void nn_channel_send_forget_unsent(nn_channel_send* channel);

/* nn_channel_send_has_room - whether a refused message would fit again, with some to spare. */
NN_PRIVATE bool nn_channel_send_has_room(const nn_channel_send* channel);

NN_INLINE bool nn_channel_send_in_range(const nn_channel_send* channel, uint16_t id)
{
    return (uint16_t)(id - channel->first) < (uint16_t)(channel->fresh - channel->first);
}

#endif
