/* nn_hash - keyed and unkeyed hashes that base needs without a crypto library. */
#ifndef NN_HASH_H
#define NN_HASH_H

#include "nn_base.h"

#define NN_SIPHASH_KEY_BYTES 16

/* nn_siphash64, nn_siphash128 - SipHash-2-4 (Aumasson and Bernstein 2012), keyed. */
NN_PRIVATE uint64_t nn_siphash64(const uint8_t key[NN_SIPHASH_KEY_BYTES], const void* data, size_t bytes);
NN_PRIVATE void nn_siphash128(const uint8_t key[NN_SIPHASH_KEY_BYTES], const void* data, size_t bytes, uint8_t out[16]);

/* nn_fnv1a64 - FNV-1a, for schema and channel table hashes: both sides must agree, nobody attacks. */
NN_PRIVATE uint64_t nn_fnv1a64(uint64_t hash, const void* data, size_t bytes);
#define NN_FNV1A64_BASIS UINT64_C(0xcbf29ce484222325)

/* nn_sha1 - RFC 3174, for Sec-WebSocket-Accept alone (RFC 6455 4.2.2). */
NN_PRIVATE void nn_sha1(const void* data, size_t bytes, uint8_t out[20]);

#endif
