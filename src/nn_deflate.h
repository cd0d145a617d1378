/* nn_deflate - messages made smaller by DEFLATE, in the form of RFC 7692 7.2 (nn_dep_zlib.c).
 *
 * A message is compressed alone, or against the window of those before it ("context"): the writer and the reader agree
 * about which. Memory comes from the owner's allocator.
 */
#ifndef NN_DEFLATE_H
#define NN_DEFLATE_H

#include "nn_alloc.h"

#define NN_DEFLATE_BITS_MIN 9 /* of a window that is written; one of 8 bits can be read, not written */
#define NN_DEFLATE_BITS_MAX 15

typedef struct nn_deflater nn_deflater;
typedef struct nn_inflater nn_inflater;

/* nn_deflate_is_built - false: the create functions give NULL. */
NN_PRIVATE bool nn_deflate_is_built(void);

/* nn_deflater_create - takes 2^(window_bits + 2) + 2^(memory_level + 9) + 6,000 bytes.
 *
 *   level         1 (fast) .. 9 (small).
 *   window_bits   NN_DEFLATE_BITS_MIN .. NN_DEFLATE_BITS_MAX.
 *   memory_level  1 .. 9.
 *
 * NULL without memory. */
NN_PRIVATE nn_deflater* nn_deflater_create(nn_alloc* alloc, int level, int window_bits, int memory_level);
NN_PRIVATE void nn_deflater_destroy(nn_deflater* deflater);

/* nn_deflater_write - one message, without the 00 00 ff ff that ends it.
 *
 *   bytes         1 .. UINT32_MAX.
 *   keep_context  the next message may refer to this one; else it may not.
 *
 * Returns its length; 0: it does not fit out_bytes, and the context is gone, so that it may go out as it is. */
NN_PRIVATE size_t nn_deflater_write(nn_deflater* deflater, const uint8_t* data, size_t bytes, bool keep_context,
                                    uint8_t* out, size_t out_bytes);

/* nn_inflater_create - takes 7,200 bytes, and 2^window_bits more when it is used. NULL without memory.
 *
 *   window_bits  8 .. NN_DEFLATE_BITS_MAX: what the writer keeps to.
 */
NN_PRIVATE nn_inflater* nn_inflater_create(nn_alloc* alloc, int window_bits);
NN_PRIVATE void nn_inflater_destroy(nn_inflater* inflater);

typedef enum nn_inflate_kind {
    NN_INFLATE_WHOLE = 0, /* the message is read */
    NN_INFLATE_FULL = 1,  /* out is full; read on with more room: there may be nothing left */
    NN_INFLATE_BAD = 2,   /* no DEFLATE, or it ends inside of a block */
    NN_INFLATE_MEMORY = 3 /* no memory */
} nn_inflate_kind;

/* nn_inflater_begin - a message, without the 00 00 ff ff; data is borrowed until the last read of it.
 *
 *   keep_context  it may refer to those before it; else not.
 */
NN_PRIVATE void nn_inflater_begin(nn_inflater* inflater, const uint8_t* data, size_t bytes, bool keep_context);

/* nn_inflater_read - the next bytes of the message; out_bytes is at least 1. After BAD or MEMORY the context is lost. */
NN_PRIVATE nn_inflate_kind nn_inflater_read(nn_inflater* inflater, uint8_t* out, size_t out_bytes, size_t* out_written);

#endif
