/* nn_bits - bounded bit streams for state: least significant bit first, bytes in order.
 *
 * Sticky on failure like nn_bytes. Reading past the end gives zeroes and sets failed.
 */
#ifndef NN_BITS_H
#define NN_BITS_H

#include "nn_base.h"

typedef struct nn_bit_writer {
    uint8_t* begin;
    size_t bytes_max;
    size_t bit_count; /* written so far */
    bool failed;
} nn_bit_writer;

typedef struct nn_bit_reader {
    const uint8_t* begin;
    size_t bit_count; /* in all */
    size_t bit_at;
    bool failed;
} nn_bit_reader;

NN_PRIVATE nn_bit_writer nn_bit_writer_of(void* data, size_t bytes);
NN_PRIVATE nn_bit_reader nn_bit_reader_of(const void* data, size_t bytes);

/* nn_bits_write - the low bits of value; bits 0 .. 64. */
NN_PRIVATE void nn_bits_write(nn_bit_writer* writer, uint64_t value, unsigned bits);

/* nn_bits_read - bits 0 .. 64. */
NN_PRIVATE uint64_t nn_bits_read(nn_bit_reader* reader, unsigned bits);

/* nn_bits_rewind - forget what was written after a mark (a former bit_count); clears failed. */
NN_PRIVATE void nn_bits_rewind(nn_bit_writer* writer, size_t bit_count);

/* nn_bits_bytes - bytes used, the last one padded with zero bits. */
NN_INLINE size_t nn_bits_bytes(const nn_bit_writer* writer)
{
    return (writer->bit_count + 7) / 8;
}

/* nn_bits_for - how many bits hold 0 .. value_max. */
NN_PRIVATE unsigned nn_bits_for(uint64_t value_max);

#endif
