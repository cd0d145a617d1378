/* nn_writes - what a client writes into entities, on its way to the server: the newest of each entity, sent again until it has
 * arrived or a newer one takes its place.
 *
 * A write is opaque here: nn_view_write makes it so that a newer one of an entity holds all of an older one that has not been
 * told as arrived. src/PROTOCOL.md "WRITE" has the frame.
 */
#ifndef NN_WRITES_H
#define NN_WRITES_H

#include "nn_alloc.h"
#include "nn_bytes.h"

#define NN_WRITE_BYTES_MAX 1040 /* of one: a whole state and what goes before it */
#define NN_WRITE_HEAD_BYTES 8   /* in the frame, before each: entity, length */
#define NN_WRITE_FRAME_BYTES_MIN 32
#define NN_WRITE_FLIGHTS_MAX 4096 /* sent and neither acked nor lost; then nothing is written until one is */

typedef struct nn_write {
    uint32_t entity;
    uint32_t number; /* of the newest; the view's */
    uint8_t* data;
    uint16_t bytes;
    uint16_t capacity;
    bool pending; /* to be sent, again or for the first time */
} nn_write;

typedef struct nn_write_flight {
    uint32_t frame;
    uint32_t entity;
    uint32_t number;
} nn_write_flight;

typedef struct nn_writes {
    nn_alloc* alloc;
    nn_write* list; /* by rising entity */
    uint32_t count;
    uint32_t capacity;
    uint32_t pending;
    uint32_t start; /* the entity to begin with */
    nn_write_flight* flights;
    uint32_t flight_count;
    uint32_t flight_capacity;
    uint32_t frame; /* of the next frame */
    uint32_t hz;
    uint32_t bytes_per_s;
    uint64_t next_us;
    uint64_t refilled_us;
    uint64_t allowance; /* bytes that may be sent now, times 1,000,000 */
} nn_writes;

/* Hears that a write of an entity has arrived. */
typedef void (*nn_written_function)(void* user, uint32_t entity, uint32_t number);

/* nn_writes_init - empty; limits: frames and bytes a second. */
NN_PRIVATE void nn_writes_init(nn_writes* writes, nn_alloc* alloc, uint32_t hz, uint32_t bytes_per_s);

/* nn_writes_reset - forget all of them; the limits stay. */
NN_PRIVATE void nn_writes_reset(nn_writes* writes);

/* nn_writes_push - the newest of an entity. OK | ERR_OUT_OF_MEMORY (the former one stays) */
NN_PRIVATE necpnet_result nn_writes_push(nn_writes* writes, uint32_t entity, uint32_t number, const void* data,
                                         size_t bytes);

/* nn_writes_deadline_us - when a frame is due; NN_NEVER while there is nothing. */
NN_PRIVATE uint64_t nn_writes_deadline_us(const nn_writes* writes);

/* nn_writes_write - one WRITE frame, type byte included.
 *
 *   ordered   it arrives for sure; else out_frame names it in nn_writes_acked or nn_writes_lost.
 *   written   called for each when ordered.
 *
 * Returns whether one was written; else the writer is as it was.
 */
NN_PRIVATE bool nn_writes_write(nn_writes* writes, nn_writer* writer, bool ordered, uint32_t* out_frame,
                                nn_written_function written, void* user, uint64_t now_us);

/* nn_writes_acked, nn_writes_lost - what became of the packet with that frame. */
NN_PRIVATE void nn_writes_acked(nn_writes* writes, uint32_t frame, nn_written_function written, void* user);
NN_PRIVATE void nn_writes_lost(nn_writes* writes, uint32_t frame);

#endif
