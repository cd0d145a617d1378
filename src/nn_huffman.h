/* nn_huffman - canonical Huffman codes from code lengths, and lengths from weights.
 *
 * Codes are given out by rising length, then by rising symbol, as in RFC 1951 3.2.2, and written from their top bit down.
 */
#ifndef NN_HUFFMAN_H
#define NN_HUFFMAN_H

#include "nn_bits.h"

#define NN_HUFFMAN_BITS_MAX 15
#define NN_HUFFMAN_SYMBOLS_MAX 64

/* One code. Storage of the arrays is the owner's: symbol_count entries each. */
typedef struct nn_huffman {
    uint32_t* codes; /* of each symbol, its bits in the order of writing, the first one lowest; above 16, how many */
    uint8_t* bits;   /* of each symbol */
    uint8_t* sorted; /* symbols in the order of their codes */
    uint16_t first[NN_HUFFMAN_BITS_MAX + 2]; /* by length: the first code, and how many there are */
    uint16_t count[NN_HUFFMAN_BITS_MAX + 2];
    uint8_t symbol_count;
} nn_huffman;

/* nn_huffman_build - codes for the lengths in huffman->bits, 1 .. NN_HUFFMAN_BITS_MAX each. False unless they fill the
 * code exactly (Kraft's sum is 1). */
NN_PRIVATE bool nn_huffman_build(nn_huffman* huffman);

/* nn_huffman_lengths - lengths from weights, none longer than NN_HUFFMAN_BITS_MAX; a weight of 0 counts as 1. The same on
 * every machine. count: 2 .. NN_HUFFMAN_SYMBOLS_MAX; weights below 2^48. */
NN_PRIVATE void nn_huffman_lengths(const uint64_t* weights, unsigned count, uint8_t* bits);

NN_INLINE void nn_huffman_write(const nn_huffman* huffman, nn_bit_writer* writer, unsigned symbol)
{
    uint32_t code = huffman->codes[symbol];
    nn_bits_write(writer, code, code >> 16);
}

/* nn_huffman_read - the next symbol; 0 with the reader failed when the bits end. */
NN_PRIVATE unsigned nn_huffman_read(const nn_huffman* huffman, nn_bit_reader* reader);

#endif
