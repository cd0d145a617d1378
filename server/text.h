/* text.h - text put together piece by piece, in a buffer of the caller's or one that grows. */
#ifndef SERVER_TEXT_H
#define SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* After a piece that did not fit (or no memory) failed is set and nothing more is written; to stays NUL-terminated. */
typedef struct text {
    char* to;
    size_t bytes; /* written, without the NUL */
    size_t bytes_max;
    bool grows;
    bool failed;
} text;

#define TEXT_GROWN_BYTES_MAX ((size_t)8 << 20) /* a text that grows ends here: an answer is never larger */

/* text_begin - write into buffer (size at least 1). */
void text_begin(text* out, char* buffer, size_t buffer_bytes);

/* text_begin_growing - write into memory of its own; text_end releases it. */
void text_begin_growing(text* out);
void text_end(text* out);

void text_put(text* out, const char* piece);
void text_put_bytes(text* out, const void* piece, size_t bytes);

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void text_format(text* out, const char* format, ...);

/* text_json - the piece as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. NULL is null. */
void text_json(text* out, const char* piece);

/* text_is_utf8 - whether the bytes are well-formed UTF-8 (RFC 3629). */
bool text_is_utf8(const void* bytes, size_t count);

/* text_is_printable - and hold no control characters: fit for a name or a line of chat. */
bool text_is_printable(const void* bytes, size_t count);

/* text_nearest - of count names the one with the smallest edit distance to name, NULL when none is near. */
const char* text_nearest(const char* name, const char* const* names, size_t count);

/* text_equal_secret - compare in a time that depends on the length of b alone. */
bool text_equal_secret(const char* a, const char* b);

/* text_copy - a copy made by malloc; NULL for NULL or without memory. */
char* text_copy(const char* from);

#endif
