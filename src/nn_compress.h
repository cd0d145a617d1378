/* nn_compress - blocks of bytes made smaller (LZ4 block format; nn_dep_lz4.c). */
#ifndef NN_COMPRESS_H
#define NN_COMPRESS_H

#include "nn_base.h"

/* nn_compress - out_bytes_max is the limit that makes it worth while: give less than bytes.
 *
 * Returns  bytes written; 0 when it does not fit, or is not built: send as it is.
 */
NN_PRIVATE size_t nn_compress(const void* data, size_t bytes, void* out, size_t out_bytes_max);

/* nn_decompress - the data come from the wire: never writes beyond out_bytes, never reads beyond bytes.
 *
 * Returns  whether they decode to exactly out_bytes; false when it is not built.
 */
NN_PRIVATE bool nn_decompress(const void* data, size_t bytes, void* out, size_t out_bytes);

/* nn_compress_is_built - a feature bit of SETUP. */
NN_PRIVATE bool nn_compress_is_built(void);

#endif
