/* nn_inputs - numbered inputs of a player. */
#include "nn_inputs.h"

#include "nn_frame.h"

#define INPUTS_FIRST 8u

struct nn_input {
    uint32_t tick;
    uint8_t bytes;
    uint8_t data[NN_INPUT_BYTES_MAX];
};

NN_PRIVATE void nn_inputs_init(nn_inputs* inputs, nn_alloc* alloc, uint32_t inputs_max)
{
    NN_ASSERT(inputs_max >= 1 && inputs_max <= NN_INPUTS_MAX);
    memset(inputs, 0, sizeof *inputs);
    inputs->alloc = alloc;
    inputs->count_max = inputs_max;
}

NN_PRIVATE void nn_inputs_reset(nn_inputs* inputs)
{
    if (inputs->ring) nn_alloc_give(inputs->alloc, inputs->ring, inputs->capacity * sizeof(nn_input));
    nn_inputs_init(inputs, inputs->alloc, inputs->count_max);
}

static nn_input* inputs_at(const nn_inputs* inputs, uint32_t index)
{
    return &inputs->ring[(inputs->first + index) % inputs->capacity];
}

static bool inputs_grow(nn_inputs* inputs)
{
    uint32_t capacity = inputs->capacity ? inputs->capacity * 2 : INPUTS_FIRST;
    if (capacity > inputs->count_max) capacity = inputs->count_max;
    nn_input* ring = (nn_input*)nn_alloc_take(inputs->alloc, capacity * sizeof(nn_input));
    if (!ring) return false;
    for (uint32_t i = 0; i < inputs->count; i++) ring[i] = *inputs_at(inputs, i);
    if (inputs->ring) nn_alloc_give(inputs->alloc, inputs->ring, inputs->capacity * sizeof(nn_input));
    inputs->ring = ring;
    inputs->capacity = capacity;
    inputs->first = 0;
    return true;
}

NN_PRIVATE necpnet_result nn_inputs_push(nn_inputs* inputs, uint32_t tick, const void* data, size_t bytes)
{
    if (!data || bytes < 1 || bytes > NN_INPUT_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (inputs->has_tick && tick <= inputs->tick) return NECPNET_ERR_INVALID_ARGUMENT;
    if (inputs->count == inputs->count_max) return NECPNET_ERR_WOULD_BLOCK;
    if (inputs->count == inputs->capacity && !inputs_grow(inputs)) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_input* input = inputs_at(inputs, inputs->count++);
    input->tick = tick;
    input->bytes = (uint8_t)bytes;
    nn_copy(input->data, data, bytes);
    inputs->tick = tick;
    inputs->has_tick = true;
    return NECPNET_OK;
}

NN_PRIVATE uint32_t nn_inputs_write(nn_inputs* inputs, nn_writer* writer, bool ordered)
{
    size_t room = nn_writer_left(writer);
    uint32_t from = ordered ? inputs->sent : 0;
    if (from == inputs->count || writer->failed) return 0;
    uint32_t tick = inputs_at(inputs, from)->tick;
    size_t used = 1 + nn_varint_bytes(tick) + 1; /* type, first tick, count */
    uint32_t count = 0;
    for (; count < inputs->count - from; count++) {
        const nn_input* input = inputs_at(inputs, from + count);
        size_t more = (count ? nn_varint_bytes(input->tick - tick - 1) : 0) + 1 + input->bytes;
        if (used + more > room) break;
        used += more;
        tick = input->tick;
    }
    if (count == 0) return 0;
    tick = inputs_at(inputs, from)->tick;
    nn_write_u8(writer, NN_FRAME_INPUT);
    nn_write_varint(writer, tick);
    nn_write_u8(writer, (uint8_t)(count - 1));
    for (uint32_t i = 0; i < count; i++) {
        const nn_input* input = inputs_at(inputs, from + i);
        if (i) nn_write_varint(writer, input->tick - tick - 1);
        nn_write_u8(writer, input->bytes);
        nn_write_bytes(writer, input->data, input->bytes);
        tick = input->tick;
    }
    NN_ASSERT(!writer->failed);
    if (inputs->sent < from + count) inputs->sent = from + count;
    return count;
}

NN_PRIVATE void nn_inputs_interrupt(nn_inputs* inputs)
{
    inputs->sent = 0;
}

NN_PRIVATE bool nn_inputs_acked(nn_inputs* inputs, uint32_t tick)
{
    if (!inputs->has_tick || tick > inputs->tick) return false;
    while (inputs->count && inputs_at(inputs, 0)->tick <= tick) {
        inputs->first = (inputs->first + 1) % inputs->capacity;
        inputs->count--;
        if (inputs->sent) inputs->sent--;
    }
    return true;
}

/* ---- server ---- */

NN_PRIVATE void nn_input_receiver_init(nn_input_receiver* receiver)
{
    memset(receiver, 0, sizeof *receiver);
}

/* Walk one frame; deliver NULL only checks it. false: malformed, or not taken. */
static bool inputs_walk(nn_input_receiver* receiver, nn_reader* reader, nn_input_function deliver, void* user)
{
    uint64_t tick = nn_read_varint(reader);
    uint32_t count = (uint32_t)nn_read_u8(reader) + 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i) tick += nn_read_varint(reader) + 1;
        size_t bytes = nn_read_u8(reader);
        const uint8_t* data = nn_read_view(reader, bytes);
        if (reader->failed || bytes < 1 || tick > UINT32_MAX) return false;
        if (!deliver || (receiver->has_tick && tick <= receiver->tick)) continue;
        if (!deliver(user, (uint32_t)tick, data, bytes)) return false;
        receiver->tick = (uint32_t)tick;
        receiver->has_tick = true;
    }
    return true;
}

NN_PRIVATE necpnet_result nn_input_receiver_read(nn_input_receiver* receiver, nn_reader* reader,
                                                 nn_input_function deliver, void* user)
{
    nn_reader again = *reader;
    if (!inputs_walk(receiver, reader, NULL, NULL)) return NECPNET_ERR_PROTOCOL;
    bool taken = !receiver->holds && inputs_walk(receiver, &again, deliver, user);
    receiver->ack_due = receiver->has_tick;
    return taken ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

NN_PRIVATE bool nn_input_receiver_write_ack(nn_input_receiver* receiver, nn_writer* writer)
{
    if (!receiver->ack_due || nn_writer_left(writer) < 1 + nn_varint_bytes(receiver->tick)) return false;
    nn_frame_write_input_ack(writer, receiver->tick);
    receiver->ack_due = false;
    return true;
}
