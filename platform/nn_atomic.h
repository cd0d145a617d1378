/* nn_atomic - the few atomic operations that threads here need; in C11 and C++17 alike. */
#ifndef NN_ATOMIC_H
#define NN_ATOMIC_H

#include "nn_base.h"

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>

/* x86 and x64 order loads after loads and stores after stores; the interlocked calls are full barriers everywhere. */
NN_INLINE uint32_t nn_atomic_load(const uint32_t* at)
{
    return (uint32_t)_InterlockedOr((volatile long*)at, 0);
}

NN_INLINE void nn_atomic_store(uint32_t* at, uint32_t value)
{
    _InterlockedExchange((volatile long*)at, (long)value);
}

NN_INLINE uint32_t nn_atomic_exchange(uint32_t* at, uint32_t value)
{
    return (uint32_t)_InterlockedExchange((volatile long*)at, (long)value);
}

NN_INLINE void nn_atomic_add(uint32_t* at, uint32_t value)
{
    _InterlockedExchangeAdd((volatile long*)at, (long)value);
}

NN_INLINE bool nn_atomic_compare_exchange(uint32_t* at, uint32_t* expected, uint32_t value)
{
    uint32_t old = (uint32_t)_InterlockedCompareExchange((volatile long*)at, (long)value, (long)*expected);
    bool done = old == *expected;
    *expected = old;
    return done;
}

#else

/* nn_atomic_load acquires, nn_atomic_store releases; exchange and compare_exchange do both. */
NN_INLINE uint32_t nn_atomic_load(const uint32_t* at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

NN_INLINE void nn_atomic_store(uint32_t* at, uint32_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

NN_INLINE uint32_t nn_atomic_exchange(uint32_t* at, uint32_t value)
{
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);
}

NN_INLINE void nn_atomic_add(uint32_t* at, uint32_t value)
{
    __atomic_fetch_add(at, value, __ATOMIC_ACQ_REL);
}

NN_INLINE bool nn_atomic_compare_exchange(uint32_t* at, uint32_t* expected, uint32_t value)
{
    return __atomic_compare_exchange_n(at, expected, value, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#endif

NN_INLINE void nn_atomic_subtract(uint32_t* at, uint32_t value)
{
    nn_atomic_add(at, 0u - value);
}

#endif
