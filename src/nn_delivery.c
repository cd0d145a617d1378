/* nn_delivery - what waits to be polled. */
#include "nn_delivery.h"

NN_PRIVATE nn_delivery* nn_delivery_take(nn_blocks* blocks, nn_receive_memory* memory, size_t bytes, uint64_t limit)
{
    uint32_t capacity;
    if (memory && NN_UNLIKELY(memory->held + sizeof(nn_delivery) + bytes > limit)) return NULL;
    nn_delivery* delivery = (nn_delivery*)nn_blocks_take(blocks, sizeof *delivery + bytes, &capacity);
    if (!delivery) return NULL;
    memset(delivery, 0, sizeof *delivery);
    delivery->capacity = capacity;
    delivery->name_offset = NN_DELIVERY_NO_NAME;
    delivery->charged = memory != NULL;
    if (memory) memory->held += capacity;
    return delivery;
}

NN_PRIVATE void nn_delivery_give(nn_blocks* blocks, nn_receive_memory* memory, nn_delivery* delivery)
{
    if (!delivery) return;
    if (delivery->charged) {
        NN_ASSERT(memory->held >= delivery->capacity);
        memory->held -= delivery->capacity;
    }
    nn_blocks_give(blocks, delivery, delivery->capacity);
}

NN_PRIVATE void nn_delivery_clear(nn_blocks* blocks, nn_receive_memory* memory, nn_delivery_list* list)
{
    nn_delivery* delivery;
    while ((delivery = nn_delivery_pop(list)) != NULL) nn_delivery_give(blocks, memory, delivery);
}
