/* nn_delivery - what waits to be polled: received messages and receipts, on lists. */
#ifndef NN_DELIVERY_H
#define NN_DELIVERY_H

#include "nn_blocks.h"

/* What was received and not yet polled, and reassembly: one for all sessions of an endpoint. */
typedef struct nn_receive_memory {
    uint64_t held;
    uint64_t max;
} nn_receive_memory;

/* The message's bytes follow in the same block. */
typedef struct nn_delivery {
    struct nn_delivery* next;
    uint64_t receipt;
    uint32_t capacity;
    uint32_t bytes;       /* of the message, without name */
    uint32_t data_offset; /* from the end of this struct */
    uint32_t name_offset; /* the same; NN_DELIVERY_NO_NAME without */
    uint32_t cost;        /* what it took from the credit */
    uint8_t channel;
    uint8_t flags; /* NN_CHANNEL_NAMED | NN_CHANNEL_COMPRESSED, until opened */
    bool is_receipt;
    bool charged; /* to the receive memory */
} nn_delivery;

#define NN_DELIVERY_NO_NAME UINT32_MAX

typedef struct nn_delivery_list {
    nn_delivery* last; /* its next is the first; NULL: empty */
} nn_delivery_list;

NN_INLINE uint8_t* nn_delivery_body(nn_delivery* delivery)
{
    return (uint8_t*)(delivery + 1);
}

NN_INLINE void nn_delivery_append(nn_delivery_list* list, nn_delivery* delivery)
{
    delivery->next = list->last ? list->last->next : delivery;
    if (list->last) list->last->next = delivery;
    list->last = delivery;
}

NN_INLINE nn_delivery* nn_delivery_pop(nn_delivery_list* list)
{
    if (!list->last) return NULL;
    nn_delivery* first = list->last->next;
    if (first == list->last) {
        list->last = NULL;
    } else {
        list->last->next = first->next;
    }
    return first;
}

/* nn_delivery_take - a delivery with room for a body; charged when memory is given (NULL: a receipt). NULL when out of
 * memory, or when more than `limit` would then be held. */
NN_PRIVATE nn_delivery* nn_delivery_take(nn_blocks* blocks, nn_receive_memory* memory, size_t bytes, uint64_t limit);

/* nn_delivery_give - NULL does nothing. */
NN_PRIVATE void nn_delivery_give(nn_blocks* blocks, nn_receive_memory* memory, nn_delivery* delivery);

/* nn_delivery_clear - give all of a list. */
NN_PRIVATE void nn_delivery_clear(nn_blocks* blocks, nn_receive_memory* memory, nn_delivery_list* list);

#endif
