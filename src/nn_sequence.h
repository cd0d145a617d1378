/* nn_sequence - numbers that wrap (RFC 1982) and packet numbers cut to their low bytes (RFC 9000 A.3). */
#ifndef NN_SEQUENCE_H
#define NN_SEQUENCE_H

#include "nn_base.h"

/* nn_sequence_newer - whether 16-bit id a comes after b, given they are less than 32,768 apart. */
NN_INLINE bool nn_sequence_newer(uint16_t a, uint16_t b)
{
    return a != b && (uint16_t)(a - b) < 0x8000;
}

/* nn_sequence_distance - how far a is ahead of b: -32768 .. 32767. */
NN_INLINE int32_t nn_sequence_distance(uint16_t a, uint16_t b)
{
    uint16_t ahead = (uint16_t)(a - b);
    return ahead < 0x8000 ? (int32_t)ahead : (int32_t)ahead - 0x10000;
}

/* nn_sequence_expand - the full number nearest to expected whose low bits are truncated.
 *
 *   bits   16 or 32.
 */
NN_INLINE uint64_t nn_sequence_expand(uint64_t expected, uint64_t truncated, unsigned bits)
{
    uint64_t window = UINT64_C(1) << bits;
    uint64_t half = window / 2;
    uint64_t candidate = (expected & ~(window - 1)) | (truncated & (window - 1));
    if (candidate + half <= expected && candidate <= UINT64_MAX - window) return candidate + window;
    if (candidate > expected + half && candidate >= window) return candidate - window;
    return candidate;
}

#endif
