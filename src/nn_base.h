/* nn_base - what every part stands on: build switches, linkage, asserts, small arithmetic. */
#ifndef NN_BASE_H
#define NN_BASE_H

#include "necpnet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Build switches. Each is always 0 or 1; the build system sets them with -D. */
#ifndef NECPNET_WITH_PLATFORM
#define NECPNET_WITH_PLATFORM 1
#endif
#ifndef NECPNET_WITH_MBEDTLS
#define NECPNET_WITH_MBEDTLS 0
#endif
#ifndef NECPNET_WITH_LZ4
#define NECPNET_WITH_LZ4 0
#endif
#ifndef NECPNET_WITH_OPUS
#define NECPNET_WITH_OPUS 0
#endif
#ifndef NECPNET_WITH_SPEEXDSP
#define NECPNET_WITH_SPEEXDSP 0
#endif
#ifndef NECPNET_WITH_ZLIB
#define NECPNET_WITH_ZLIB 0
#endif
#ifndef NECPNET_WITH_CJSON
#define NECPNET_WITH_CJSON 0
#endif
#ifndef NECPNET_WITH_SODIUM
#define NECPNET_WITH_SODIUM 0
#endif
/* What a small build may leave out: nothing that begins it is ever reached then, and the compiler drops the rest.
 * UDP: datagrams, their handshake and loss recovery. HTTP: streams of bytes, so heads, WebSocket frames and TLS; without,
 * transports carry messages (NECPNET_TRANSPORT_MESSAGES, a browser's WebSockets). SERVER: the world's writer,
 * and compressing what is sent. RECORDING: writing and replaying states. VOICE: speech. What is asked of these two then is
 * ERR_UNSUPPORTED. */
#ifndef NECPNET_WITH_UDP
#define NECPNET_WITH_UDP 1
#endif
#ifndef NECPNET_WITH_HTTP
#define NECPNET_WITH_HTTP 1
#endif
#ifndef NECPNET_WITH_SERVER
#define NECPNET_WITH_SERVER 1
#endif
#ifndef NECPNET_WITH_RECORDING
#define NECPNET_WITH_RECORDING 1
#endif
#ifndef NECPNET_WITH_VOICE
#define NECPNET_WITH_VOICE 1
#endif
/* Tests and simulations only: an AEAD that authenticates with SipHash and does not encrypt. */
#ifndef NECPNET_WITH_NULL_AEAD
#define NECPNET_WITH_NULL_AEAD 0
#endif
#ifndef NECPNET_UNAMALGAMATED
#define NECPNET_UNAMALGAMATED 0
#endif

/* Private across parts: static in the amalgamation, external when the parts are built one by one. */
#if NECPNET_UNAMALGAMATED
#define NN_PRIVATE
#elif defined(__GNUC__) || defined(__clang__)
#define NN_PRIVATE static __attribute__((unused))
#else
#define NN_PRIVATE static
#endif

#if defined(__GNUC__) || defined(__clang__)
#define NN_INLINE static inline __attribute__((unused))
#define NN_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define NN_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define NN_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define NN_INLINE static inline
#define NN_LIKELY(condition) (condition)
#define NN_UNLIKELY(condition) (condition)
#define NN_PRINTF(format_index, first_index)
#endif

/* Asserts express our own invariants only, never what the wire or the caller says. */
#ifndef NN_ASSERT
#ifdef NDEBUG
#define NN_ASSERT(condition) ((void)0)
#else
#include <assert.h>
#define NN_ASSERT(condition) assert(condition)
#endif
#endif

#define NN_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NN_NEVER UINT64_MAX /* a deadline that does not come */

NN_INLINE uint64_t nn_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

NN_INLINE uint64_t nn_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

NN_INLINE size_t nn_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

NN_INLINE size_t nn_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* nn_lowest_bit - index of the lowest set bit; bits is not 0. nn_bit_count - how many are set. */
NN_INLINE unsigned nn_lowest_bit(uint64_t bits)
{
#if defined(__GNUC__) || defined(__clang__)
    return (unsigned)__builtin_ctzll(bits);
#else
    unsigned at = 0;
    while (!(bits >> at & 1)) at++;
    return at;
#endif
}

NN_INLINE unsigned nn_bit_count(uint64_t bits)
{
#if defined(__GNUC__) || defined(__clang__)
    return (unsigned)__builtin_popcountll(bits);
#else
    unsigned count = 0;
    for (; bits; bits &= bits - 1) count++;
    return count;
#endif
}

/* nn_copy - memcpy that allows (NULL, 0). */
NN_INLINE void nn_copy(void* to, const void* from, size_t bytes)
{
    if (bytes && from) memcpy(to, from, bytes);
}

/* nn_equal_constant_time - compare secrets without telling where they differ. */
NN_INLINE bool nn_equal_constant_time(const void* a, const void* b, size_t bytes)
{
    const uint8_t* x = (const uint8_t*)a;
    const uint8_t* y = (const uint8_t*)b;
    uint8_t difference = 0;
    for (size_t i = 0; i < bytes; i++) difference = (uint8_t)(difference | (x[i] ^ y[i]));
    return difference == 0;
}

/* nn_wipe - clear secrets so that the compiler may not leave it out. */
NN_INLINE void nn_wipe(void* memory, size_t bytes)
{
    volatile uint8_t* p = (volatile uint8_t*)memory;
    while (bytes--) *p++ = 0;
}

#endif
