/* nn_text - short text on the wire: length within a limit, and copies that are safe to log. */
#ifndef NN_TEXT_H
#define NN_TEXT_H

#include "nn_base.h"

/* nn_text_bytes - length up to a NUL or bytes_max; a cut never splits a UTF-8 character. NULL is empty. */
NN_INLINE size_t nn_text_bytes(const char* text, size_t bytes_max)
{
    size_t bytes = 0;
    if (!text) return 0;
    while (bytes < bytes_max && text[bytes]) bytes++;
    if (bytes == bytes_max && text[bytes]) {
        while (bytes > 0 && ((uint8_t)text[bytes] & 0xC0) == 0x80) bytes--;
    }
    return bytes;
}

/* nn_text_printable - copy with a NUL (to holds bytes + 1); control characters become '?'. */
NN_INLINE void nn_text_printable(char* to, const uint8_t* from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) to[i] = from[i] < 0x20 || from[i] == 0x7F ? '?' : (char)from[i];
    to[bytes] = 0;
}

#endif
