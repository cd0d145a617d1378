/* nn_channel_receive - the receiving half of a channel: what came, what is whole, what may be delivered. */
#ifndef NN_CHANNEL_RECEIVE_H
#define NN_CHANNEL_RECEIVE_H

#include "nn_bytes.h"
#include "nn_channel_send.h"
#include "nn_delivery.h"
#include "nn_fragments.h"

#define NN_RECEIVED_PARTIAL_MAX 16 /* messages half received in a row of RECEIVED; of others all is sent again */
#define NN_RECEIVED_RANGES_MAX 32  /* of one channel in a RECEIVED frame; what is beyond is sent again and dropped */

/* A message that arrives in fragments. Its memory grows with what has arrived. */
typedef struct nn_reassembly {
    struct nn_reassembly* next;
    nn_delivery* body;
    nn_units* have;
    uint32_t total;
    uint32_t room; /* bytes that body holds */
    uint16_t id;
    uint8_t flags;
    uint32_t capacity; /* of this block */
} nn_reassembly;

#define NN_REASSEMBLIES_UNRELIABLE_MAX 4 /* packets that overtake each other mix so many messages at most */

typedef struct nn_channel_receive {
    const necpnet_channel_config* config;
    nn_blocks* blocks;
    nn_receive_memory* memory;
    nn_delivery** ring; /* ordered: early messages by id; NULL until one came */
    uint64_t* bits;     /* unordered: early ids; NULL until one came */
    uint32_t capacity;  /* of ring or bits, in ids; power of two */
    uint16_t next;      /* ordered, unordered: the first not received; sequenced: newest + 1 */
    uint16_t end;       /* ordered, unordered: behind the last received */
    bool any;           /* sequenced: something came */
    uint8_t index;
    uint8_t byte;         /* on the wire, without flags */
    uint16_t seen_newest; /* unreliable messages with an id: */
    uint64_t seen;        /* bit n: newest - n came */
    uint64_t credit_received;
    uint64_t credit_consumed;
    uint64_t credit_announced;
    nn_reassembly* assemblies; /* in the order begun */
    uint8_t assembly_count;
    uint64_t messages_received; /* polled */
    uint64_t messages_dropped;
    uint64_t bytes_received;
} nn_channel_receive;

/* A message or fragment as it stands in the frame. */
typedef struct nn_message_frame {
    const uint8_t* data;
    uint32_t bytes;
    uint32_t total; /* fragment: of the message */
    uint32_t first; /* fragment: unit */
    uint16_t id;
    uint8_t flags;
} nn_message_frame;

/* nn_channel_receive_create - NULL when out of memory. */
NN_PRIVATE nn_channel_receive* nn_channel_receive_create(nn_blocks* blocks, nn_receive_memory* memory,
                                                         const necpnet_channel_config* config, uint8_t index,
                                                         uint8_t byte);
NN_PRIVATE void nn_channel_receive_destroy(nn_channel_receive* channel);

/* nn_channel_receive_message, nn_channel_receive_fragment - what may be delivered goes to the end of the list.
 *
 * Returns  OK (also for what is dropped) | ERR_PROTOCOL (text written) | ERR_OUT_OF_MEMORY (as if it had not come)
 */
NN_PRIVATE necpnet_result nn_channel_receive_message(nn_channel_receive* channel, const nn_message_frame* frame,
                                                     nn_delivery_list* delivered, const char** out_text);
NN_PRIVATE necpnet_result nn_channel_receive_fragment(nn_channel_receive* channel, const nn_message_frame* frame,
                                                      nn_delivery_list* delivered, const char** out_text);

/* nn_channel_receive_consumed - the application took a message. Whether CREDIT should be sent. */
NN_PRIVATE bool nn_channel_receive_consumed(nn_channel_receive* channel, const nn_delivery* delivery);

/* nn_channel_receive_credit - the limit to announce now. */
NN_PRIVATE uint64_t nn_channel_receive_credit(nn_channel_receive* channel);

/* nn_channel_receive_has - ordered, unordered: whether a message at or behind `next` came. */
NN_PRIVATE bool nn_channel_receive_has(const nn_channel_receive* channel, uint16_t id);

/* nn_reassembly_prefix - how many units from its start are there. */
NN_PRIVATE uint32_t nn_reassembly_prefix(const nn_reassembly* assembly);

/* nn_channel_receive_interrupt - the carrier is gone: forget what will not be completed. */
NN_PRIVATE void nn_channel_receive_interrupt(nn_channel_receive* channel);

#endif
