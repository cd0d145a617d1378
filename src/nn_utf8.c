/* nn_utf8 - is it UTF-8? */
#include "nn_utf8.h"

#define UTF8_HIGH_BITS UINT64_C(0x8080808080808080)

/* Skip bytes below 0x80, eight at a time. */
static size_t utf8_skip_ascii(const uint8_t* data, size_t at, size_t bytes)
{
    while (bytes - at >= 8) {
        uint64_t eight;
        memcpy(&eight, data + at, 8);
        if (eight & UTF8_HIGH_BITS) break;
        at += 8;
    }
    while (at < bytes && data[at] < 0x80) at++;
    return at;
}

/* Begin a sequence by its first byte: RFC 3629 4, which excludes overlong forms, surrogates and what lies beyond
 * U+10FFFF by the range of the second byte. */
static bool utf8_begin(nn_utf8* utf8, uint8_t first)
{
    utf8->low = 0x80;
    utf8->high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
        utf8->left = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
        utf8->left = 2;
        if (first == 0xe0) utf8->low = 0xa0;
        if (first == 0xed) utf8->high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
        utf8->left = 3;
        if (first == 0xf0) utf8->low = 0x90;
        if (first == 0xf4) utf8->high = 0x8f;
    } else {
        return false;
    }
    return true;
}

NN_PRIVATE bool nn_utf8_feed(nn_utf8* utf8, const uint8_t* data, size_t bytes)
{
    size_t at = 0;
    for (;;) {
        while (utf8->left && at < bytes) {
            if (data[at] < utf8->low || data[at] > utf8->high) return false;
            utf8->low = 0x80;
            utf8->high = 0xbf;
            utf8->left--;
            at++;
        }
        if (at == bytes) return true;
        at = utf8_skip_ascii(data, at, bytes);
        if (at == bytes) return true;
        if (!utf8_begin(utf8, data[at])) return false;
        at++;
    }
}

NN_PRIVATE bool nn_utf8_valid(const uint8_t* data, size_t bytes)
{
    nn_utf8 utf8 = {0, 0, 0};
    return nn_utf8_feed(&utf8, data, bytes) && nn_utf8_is_whole(&utf8);
}
