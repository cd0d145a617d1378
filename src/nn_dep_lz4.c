/* nn_dep_lz4 - nn_compress by liblz4, or nothing. */
#include "nn_compress.h"

#if NECPNET_WITH_LZ4

#include <limits.h>
#include <lz4.h>

NN_PRIVATE size_t nn_compress(const void* data, size_t bytes, void* out, size_t out_bytes_max)
{
    if (!NECPNET_WITH_SERVER) return 0; /* a small build reads what is compressed, and sends as it is */
    if (bytes == 0 || bytes > LZ4_MAX_INPUT_SIZE || out_bytes_max == 0) return 0;
    int room = out_bytes_max > INT_MAX ? INT_MAX : (int)out_bytes_max;
    int written = LZ4_compress_default((const char*)data, (char*)out, (int)bytes, room);
    return written > 0 ? (size_t)written : 0;
}

NN_PRIVATE bool nn_decompress(const void* data, size_t bytes, void* out, size_t out_bytes)
{
    if (bytes == 0 || bytes > INT_MAX || out_bytes > LZ4_MAX_INPUT_SIZE) return false;
    int written = LZ4_decompress_safe((const char*)data, (char*)out, (int)bytes, (int)out_bytes);
    return written >= 0 && (size_t)written == out_bytes;
}

NN_PRIVATE bool nn_compress_is_built(void)
{
    return true;
}

#else

NN_PRIVATE size_t nn_compress(const void* data, size_t bytes, void* out, size_t out_bytes_max)
{
    (void)data;
    (void)bytes;
    (void)out;
    (void)out_bytes_max;
    return 0;
}

NN_PRIVATE bool nn_decompress(const void* data, size_t bytes, void* out, size_t out_bytes)
{
    (void)data;
    (void)bytes;
    (void)out;
    (void)out_bytes;
    return false;
}

NN_PRIVATE bool nn_compress_is_built(void)
{
    return false;
}

#endif
