/* nn_crypto - hashes, key derivation and key agreement that a crypto library gives (nn_dep_mbedtls_aead.c,
 * nn_dep_sodium.c).
 *
 * Every function returns ERR_UNSUPPORTED in a build without one, and ERR_INTERNAL when the library refuses.
 */
#ifndef NN_CRYPTO_H
#define NN_CRYPTO_H

#include "nn_base.h"

#define NN_SHA256_BYTES 32u
#define NN_X25519_BYTES 32u
#define NN_HKDF_EXPAND_BYTES_MAX (255u * NN_SHA256_BYTES)

/* One stretch of bytes of a hash's input. */
typedef struct nn_span {
    const void* data;
    size_t bytes;
} nn_span;

/* nn_sha256 - FIPS 180-4, over the spans in order. */
NN_PRIVATE necpnet_result nn_sha256(const nn_span* spans, size_t span_count, uint8_t out[NN_SHA256_BYTES]);

/* nn_hmac_sha256 - RFC 2104, over the spans in order. */
NN_PRIVATE necpnet_result nn_hmac_sha256(const void* key, size_t key_bytes, const nn_span* spans, size_t span_count,
                                         uint8_t out[NN_SHA256_BYTES]);

/* nn_hkdf_extract, nn_hkdf_expand, nn_hkdf - RFC 5869 with SHA-256; nn_hkdf is both. */
NN_PRIVATE necpnet_result nn_hkdf_extract(const void* salt, size_t salt_bytes, const nn_span* secrets,
                                          size_t secret_count, uint8_t out[NN_SHA256_BYTES]);
NN_PRIVATE necpnet_result nn_hkdf_expand(const uint8_t secret[NN_SHA256_BYTES], const void* info, size_t info_bytes,
                                         void* out, size_t out_bytes);
NN_PRIVATE necpnet_result nn_hkdf(const void* salt, size_t salt_bytes, const void* secret, size_t secret_bytes,
                                  const void* info, size_t info_bytes, void* out, size_t out_bytes);

/* nn_x25519_keypair - RFC 7748. ERR_NO_ENTROPY when the source fails. */
NN_PRIVATE necpnet_result nn_x25519_keypair(const necpnet_entropy* entropy, uint8_t private_key[NN_X25519_BYTES],
                                            uint8_t public_key[NN_X25519_BYTES]);

/* nn_x25519 - the function itself: any scalar (clamped here) and any u coordinate. ERR_PROTOCOL for a point of small
 * order, whose result is zero whatever the scalar. entropy blinds the computation; the result does not depend on it. */
NN_PRIVATE necpnet_result nn_x25519(const necpnet_entropy* entropy, const uint8_t scalar[NN_X25519_BYTES],
                                    const uint8_t point[NN_X25519_BYTES], uint8_t out[NN_X25519_BYTES]);

/* The same by each library; used by nn_crypto.c alone. */
#if NECPNET_WITH_SODIUM
NN_PRIVATE necpnet_result nn_x25519_sodium(const uint8_t scalar[NN_X25519_BYTES], const uint8_t point[NN_X25519_BYTES],
                                           uint8_t out[NN_X25519_BYTES]);
#endif
#if NECPNET_WITH_MBEDTLS
NN_PRIVATE necpnet_result nn_x25519_mbedtls(const necpnet_entropy* entropy, const uint8_t scalar[NN_X25519_BYTES],
                                            const uint8_t point[NN_X25519_BYTES], uint8_t out[NN_X25519_BYTES]);
#endif

/* nn_pbkdf2 - RFC 8018 with HMAC-SHA256. */
NN_PRIVATE necpnet_result nn_pbkdf2(const void* password, size_t password_bytes, const void* salt, size_t salt_bytes,
                                    uint32_t rounds, void* out, size_t out_bytes);

/* nn_entropy_fill - from the instance's source; NULL or without a function: the platform's. False when there is none. */
NN_PRIVATE bool nn_entropy_fill(const necpnet_entropy* entropy, void* to, size_t bytes);

#endif
