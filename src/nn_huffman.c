/* nn_huffman - canonical Huffman codes. */
#include "nn_huffman.h"

NN_PRIVATE bool nn_huffman_build(nn_huffman* huffman)
{
    uint32_t code = 0;
    unsigned place = 0;
    memset(huffman->count, 0, sizeof huffman->count);
    for (unsigned i = 0; i < huffman->symbol_count; i++) {
        if (huffman->bits[i] < 1 || huffman->bits[i] > NN_HUFFMAN_BITS_MAX) return false;
        huffman->count[huffman->bits[i]]++;
    }
    for (unsigned length = 1; length <= NN_HUFFMAN_BITS_MAX; length++) {
        code <<= 1;
        huffman->first[length] = (uint16_t)code;
        for (unsigned i = 0; i < huffman->symbol_count; i++) {
            if (huffman->bits[i] != length) continue;
            uint32_t reversed = 0;
            for (unsigned j = 0; j < length; j++) reversed |= (code >> j & 1u) << (length - 1 - j);
            huffman->codes[i] = reversed | (uint32_t)length << 16;
            huffman->sorted[place++] = (uint8_t)i;
            code++;
        }
        if (code > 1u << length) return false;
    }
    return code == 1u << NN_HUFFMAN_BITS_MAX;
}

/* The lightest node that has no parent yet; among equals the first. */
static unsigned huffman_lightest(const uint64_t* weights, const uint8_t* parents, unsigned count)
{
    unsigned lightest = count;
    for (unsigned i = 0; i < count; i++) {
        if (!parents[i] && (lightest == count || weights[i] < weights[lightest])) lightest = i;
    }
    return lightest;
}

/* The plain algorithm; returns the longest length. */
static unsigned huffman_grow(const uint64_t* weights, unsigned count, uint8_t* bits)
{
    uint64_t sums[2 * NN_HUFFMAN_SYMBOLS_MAX];
    uint8_t parents[2 * NN_HUFFMAN_SYMBOLS_MAX]; /* 0: none; never the parent of anything is node 0 */
    unsigned nodes = count;
    unsigned longest = 0;
    memset(parents, 0, sizeof parents);
    memcpy(sums, weights, count * sizeof *weights);
    for (; nodes < 2 * count - 1; nodes++) {
        unsigned a = huffman_lightest(sums, parents, nodes);
        parents[a] = (uint8_t)nodes;
        unsigned b = huffman_lightest(sums, parents, nodes);
        parents[b] = (uint8_t)nodes;
        sums[nodes] = sums[a] + sums[b];
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned length = 0;
        for (unsigned at = i; at != nodes - 1; at = parents[at]) length++;
        bits[i] = (uint8_t)length;
        if (length > longest) longest = length;
    }
    return longest;
}

NN_PRIVATE void nn_huffman_lengths(const uint64_t* weights, unsigned count, uint8_t* bits)
{
    uint64_t flatter[NN_HUFFMAN_SYMBOLS_MAX];
    NN_ASSERT(count >= 2 && count <= NN_HUFFMAN_SYMBOLS_MAX);
    for (unsigned i = 0; i < count; i++) flatter[i] = weights[i] ? weights[i] : 1;
    while (huffman_grow(flatter, count, bits) > NN_HUFFMAN_BITS_MAX) { /* too deep: flatten and try again */
        for (unsigned i = 0; i < count; i++) flatter[i] = flatter[i] / 2 + 1;
    }
}

NN_PRIVATE unsigned nn_huffman_read(const nn_huffman* huffman, nn_bit_reader* reader)
{
    uint32_t code = 0;
    unsigned passed = 0;
    unsigned most = (unsigned)nn_min_size(NN_HUFFMAN_BITS_MAX, reader->bit_count - reader->bit_at);
    uint64_t ahead = nn_bits_peek(reader, most);
    for (unsigned length = 1; length <= most; length++) {
        code = code << 1 | (uint32_t)(ahead & 1);
        ahead >>= 1;
        if (code - huffman->first[length] < huffman->count[length]) {
            reader->bit_at += length;
            return huffman->sorted[passed + code - huffman->first[length]];
        }
        passed += huffman->count[length];
    }
    reader->failed = true; /* a complete code has no such bits */
    return 0;
}
