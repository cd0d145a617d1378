/* nn_base64 - RFC 4648: standard with padding for WebSocket keys, URL-safe without for tokens. */
#ifndef NN_BASE64_H
#define NN_BASE64_H

#include "nn_base.h"

/* Bytes of text for a number of bytes, without the closing NUL. */
#define NN_BASE64_TEXT_BYTES(bytes) (((bytes) + 2) / 3 * 4)

/* nn_base64_encode - text with a closing NUL; text_bytes_max counts the NUL. Returns its length, 0 if it does not fit
 * (or bytes is 0). */
NN_PRIVATE size_t nn_base64_encode(const void* data, size_t bytes, bool url, char* text, size_t text_bytes_max);

/* nn_base64_decode - strict: no white space, right padding (url: none), zero spare bits. False if not valid or too
 * long. */
NN_PRIVATE bool nn_base64_decode(const char* text, size_t text_bytes, bool url, void* data, size_t bytes_max,
                                 size_t* out_bytes);

#endif
