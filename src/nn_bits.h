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
    size_t bit_count;  /* written so far */
    size_t bytes_fast; /* what begins in a byte before it can be written eight bytes at once; 0 when failed */
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

/* Eight bytes, the lowest first; a compiler makes one move of it where that is how numbers lie in memory. */
NN_INLINE void nn_bits_store(uint8_t* to, uint64_t word)
{
    to[0] = (uint8_t)word;
    to[1] = (uint8_t)(word >> 8);
    to[2] = (uint8_t)(word >> 16);
    to[3] = (uint8_t)(word >> 24);
    to[4] = (uint8_t)(word >> 32);
    to[5] = (uint8_t)(word >> 40);
    to[6] = (uint8_t)(word >> 48);
    to[7] = (uint8_t)(word >> 56);
}

/* nn_bits_write - the low bits of value; bits 0 .. 64. nn_bits_write_slowly - the same near the end, or of many bits. */
NN_PRIVATE void nn_bits_write_slowly(nn_bit_writer* writer, uint64_t value, unsigned bits);

NN_INLINE void nn_bits_write(nn_bit_writer* writer, uint64_t value, unsigned bits)
{
#if !defined(__OPTIMIZE_SIZE__) /* a browser loads every copy */
    size_t first = writer->bit_count >> 3;
    if (NN_LIKELY(bits <= 56 && first < writer->bytes_fast)) {
        unsigned used = (unsigned)(writer->bit_count & 7);
        uint64_t kept = writer->begin[first] & ((1u << used) - 1u);
        uint64_t word = kept | (value & ((UINT64_C(1) << bits) - 1))
                                   << used; /* what is behind counts for nothing yet */
        nn_bits_store(writer->begin + first, word);
        writer->bit_count += bits;
        return;
    }
#endif
    nn_bits_write_slowly(writer, value, bits);
}

/* nn_bits_read - bits 0 .. 64. */
NN_PRIVATE uint64_t nn_bits_read(nn_bit_reader* reader, unsigned bits);

/* nn_bits_peek - the same without taking them; as many as are left, at most. Nothing of a reader that failed. */
NN_PRIVATE uint64_t nn_bits_peek(const nn_bit_reader* reader, unsigned bits);

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
