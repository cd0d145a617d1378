/* nn_inputs - numbered inputs of a player: sent in every packet until the server has them, delivered once in order.
 *
 * An INPUT frame begins with the oldest unacknowledged input and leaves none out, so whoever gets a frame misses none.
 */
#ifndef NN_INPUTS_H
#define NN_INPUTS_H

#include "nn_alloc.h"
#include "nn_bytes.h"

#define NN_INPUT_BYTES_MAX 255u
#define NN_INPUT_EXTRA_BYTES 11u /* at most, of a frame with one input: type, tick, count, size */
#define NN_INPUTS_MAX 256u       /* config.inputs_max at most; the count on the wire is one byte (count - 1) */

typedef struct nn_input nn_input;

/* Client. */
typedef struct nn_inputs {
    nn_alloc* alloc;
    nn_input* ring; /* NULL until the first input */
    uint32_t count;
    uint32_t first; /* oldest in the ring */
    uint32_t sent;  /* so many, the oldest, were written since the carrier began or lost one */
    uint32_t capacity;
    uint32_t count_max;
    uint32_t tick; /* of the newest ever pushed */
    bool has_tick;
} nn_inputs;

/* Server: of one client. */
typedef struct nn_input_receiver {
    uint32_t tick; /* newest delivered */
    bool has_tick;
    bool ack_due; /* an INPUT frame came since the last INPUT_ACK */
    bool holds;   /* ordered carrier: one was not taken, so those behind it are not either, until the next carrier */
} nn_input_receiver;

/* Takes an input; false when there is no memory for it: it must come again. */
typedef bool (*nn_input_function)(void* user, uint32_t tick, const void* data, size_t bytes);

NN_PRIVATE void nn_inputs_init(nn_inputs* inputs, nn_alloc* alloc, uint32_t inputs_max);
NN_PRIVATE void nn_inputs_reset(nn_inputs* inputs);

/* nn_inputs_push - Returns  OK | ERR_INVALID_ARGUMENT (bytes, tick not larger) | ERR_WOULD_BLOCK (full)
 *                           | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_inputs_push(nn_inputs* inputs, uint32_t tick, const void* data, size_t bytes);

/* nn_inputs_write - an INPUT frame, type byte included, with as many as fit, oldest first, newest last.
 *
 * ordered  The carrier loses nothing: only those that were not written yet. Otherwise all that are not acknowledged.
 *
 * Returns  how many; 0 (nothing written) if there is none or none fits.
 */
NN_PRIVATE uint32_t nn_inputs_write(nn_inputs* inputs, nn_writer* writer, bool ordered);

/* nn_inputs_interrupt - what was written is lost, or its carrier gone: all are to be written again. */
NN_PRIVATE void nn_inputs_interrupt(nn_inputs* inputs);

/* nn_inputs_wait - whether any was not written yet. */
NN_INLINE bool nn_inputs_wait(const nn_inputs* inputs)
{
    return inputs->count > inputs->sent;
}

/* nn_inputs_acked - INPUT_ACK came: drop all up to tick.
 *
 * Returns  false: a tick that was never sent.
 */
NN_PRIVATE bool nn_inputs_acked(nn_inputs* inputs, uint32_t tick);

NN_PRIVATE void nn_input_receiver_init(nn_input_receiver* receiver);

/* nn_input_receiver_read - an INPUT frame behind its type byte: checked whole, then the new ones delivered.
 *
 * Returns  OK | ERR_PROTOCOL (nothing delivered) | ERR_OUT_OF_MEMORY (those from one on were not taken)
 */
NN_PRIVATE necpnet_result nn_input_receiver_read(nn_input_receiver* receiver, nn_reader* reader,
                                                 nn_input_function deliver, void* user);

/* nn_input_receiver_write_ack - INPUT_ACK if one is due and fits. Returns whether it was written. */
NN_PRIVATE bool nn_input_receiver_write_ack(nn_input_receiver* receiver, nn_writer* writer);

#endif
