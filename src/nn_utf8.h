/* nn_utf8 - is it UTF-8 (RFC 3629)? In pieces, failing at the first byte that cannot be right. */
#ifndef NN_UTF8_H
#define NN_UTF8_H

#include "nn_base.h"

/* Between two pieces: how many bytes the sequence still needs, and the range of the next. Zeroed at the start. */
typedef struct nn_utf8 {
    uint8_t left;
    uint8_t low;
    uint8_t high;
} nn_utf8;

/* nn_utf8_feed - false as soon as no continuation could make it valid. */
NN_PRIVATE bool nn_utf8_feed(nn_utf8* utf8, const uint8_t* data, size_t bytes);

/* nn_utf8_is_whole - no sequence is open. */
NN_INLINE bool nn_utf8_is_whole(const nn_utf8* utf8)
{
    return utf8->left == 0;
}

/* nn_utf8_valid - a text in one piece. */
NN_PRIVATE bool nn_utf8_valid(const uint8_t* data, size_t bytes);

#endif
