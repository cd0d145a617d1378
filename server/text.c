/* text - text put together piece by piece. */
#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_begin(text* out, char* buffer, size_t buffer_bytes)
{
    *out = (text){.to = buffer, .bytes_max = buffer_bytes};
    buffer[0] = 0;
}

void text_begin_growing(text* out)
{
    *out = (text){.to = malloc(1024), .bytes_max = 1024, .grows = true};
    if (out->to) {
        out->to[0] = 0;
    } else {
        out->failed = true;
        out->bytes_max = 0;
    }
}

void text_end(text* out)
{
    if (out->grows) free(out->to);
    *out = (text){0};
}

/* Room for so many more bytes and a NUL. */
static bool text_reserve(text* out, size_t bytes)
{
    if (out->failed) return false;
    if (bytes < out->bytes_max - out->bytes) return true;
    size_t want = out->bytes_max;
    while (want <= TEXT_GROWN_BYTES_MAX && want - out->bytes <= bytes) want *= 2;
    char* grown = out->grows && want <= TEXT_GROWN_BYTES_MAX ? realloc(out->to, want) : NULL;
    if (!grown) {
        out->failed = true;
        return false;
    }
    out->to = grown;
    out->bytes_max = want;
    return true;
}

void text_put_bytes(text* out, const void* piece, size_t bytes)
{
    if (bytes == 0 || !text_reserve(out, bytes)) return;
    memcpy(out->to + out->bytes, piece, bytes);
    out->bytes += bytes;
    out->to[out->bytes] = 0;
}

void text_put(text* out, const char* piece)
{
    text_put_bytes(out, piece, strlen(piece));
}

void text_format(text* out, const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int bytes = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (bytes >= 0 && text_reserve(out, (size_t)bytes)) {
        vsnprintf(out->to + out->bytes, (size_t)bytes + 1, format, again);
        out->bytes += (size_t)bytes;
    }
    va_end(again);
}

/* The length of the UTF-8 character at the front, 0 if there is none. */
static size_t text_character(const uint8_t* at, size_t left)
{
    if (at[0] < 0x80) return 1;
    size_t bytes = at[0] >= 0xc2 && at[0] < 0xe0   ? 2
                   : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                   : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                                   : 0;
    if (bytes == 0 || bytes > left) return 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    if (at[0] == 0xe0 && at[1] < 0xa0) return 0;                                      /* too long a form */
    if (at[0] == 0xed && at[1] > 0x9f) return 0;                                      /* surrogates */
    if ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f)) return 0; /* beyond U+10FFFF */
    return bytes;
}

bool text_is_utf8(const void* bytes, size_t count)
{
    const uint8_t* at = bytes;
    while (count > 0) {
        size_t step = text_character(at, count);
        if (step == 0) return false;
        at += step;
        count -= step;
    }
    return true;
}

bool text_is_printable(const void* bytes, size_t count)
{
    const uint8_t* at = bytes;
    for (size_t i = 0; i < count; i++) {
        if (at[i] < 0x20 || at[i] == 0x7f) return false;
        if (at[i] == 0xc2 && i + 1 < count && at[i + 1] < 0xa0) return false; /* U+0080 .. U+009F */
    }
    return text_is_utf8(bytes, count);
}

void text_json(text* out, const char* piece)
{
    if (!piece) {
        text_put(out, "null");
        return;
    }
    text_put(out, "\"");
    size_t left = strlen(piece);
    for (const uint8_t* at = (const uint8_t*)piece; left > 0;) {
        size_t step = text_character(at, left);
        if (step == 0) {
            text_put(out, "\\ufffd");
            step = 1;
        } else if (at[0] == '"' || at[0] == '\\') {
            text_format(out, "\\%c", at[0]);
        } else if (at[0] == '\n') {
            text_put(out, "\\n");
        } else if (at[0] < 0x20 || at[0] == 0x7f) {
            text_format(out, "\\u%04x", at[0]);
        } else {
            text_put_bytes(out, at, step);
        }
        at += step;
        left -= step;
    }
    text_put(out, "\"");
}

#define TEXT_NAME_BYTES_MAX 40 /* longer names are near to nothing */

/* Levenshtein's distance. */
static size_t text_distance(const char* a, const char* b)
{
    size_t a_bytes = strlen(a);
    size_t b_bytes = strlen(b);
    size_t row[TEXT_NAME_BYTES_MAX + 1];
    if (a_bytes > TEXT_NAME_BYTES_MAX || b_bytes > TEXT_NAME_BYTES_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= b_bytes; j++) row[j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_bytes];
}

const char* text_nearest(const char* name, const char* const* names, size_t count)
{
    const char* nearest = NULL;
    size_t limit = strlen(name) / 2;
    size_t best = limit < 5 ? limit + 1 : 6;
    for (size_t i = 0; i < count; i++) {
        size_t distance = text_distance(name, names[i]);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

bool text_equal_secret(const char* a, const char* b)
{
    size_t a_bytes = strlen(a);
    size_t b_bytes = strlen(b);
    unsigned different = a_bytes != b_bytes;
    for (size_t i = 0; i < b_bytes; i++)
        different |= (unsigned)((unsigned char)b[i] ^ (unsigned char)(i < a_bytes ? a[i] : 0));
    return different == 0;
}

char* text_copy(const char* from)
{
    size_t bytes = from ? strlen(from) + 1 : 0;
    char* copy = bytes ? malloc(bytes) : NULL;
    if (copy) memcpy(copy, from, bytes);
    return copy;
}
