/* nn_crypto - what is built on SHA-256 alone (HKDF), the entropy source, and the refusals of a build without a crypto
 * library. */
#include "nn_crypto.h"

#include "nn_platform.h"

NN_PRIVATE bool nn_entropy_fill(const necpnet_entropy* entropy, void* to, size_t bytes)
{
    if (entropy && entropy->fill) return entropy->fill(to, bytes, entropy->user);
    return nn_platform_fill_entropy(to, bytes);
}

NN_PRIVATE necpnet_result nn_hkdf_extract(const void* salt, size_t salt_bytes, const nn_span* secrets,
                                          size_t secret_count, uint8_t out[NN_SHA256_BYTES])
{
    return nn_hmac_sha256(salt, salt_bytes, secrets, secret_count, out);
}

NN_PRIVATE necpnet_result nn_hkdf_expand(const uint8_t secret[NN_SHA256_BYTES], const void* info, size_t info_bytes,
                                         void* out, size_t out_bytes)
{
    NN_ASSERT(out_bytes <= NN_HKDF_EXPAND_BYTES_MAX);
    uint8_t block[NN_SHA256_BYTES];
    uint8_t number = 0;
    for (size_t at = 0; at < out_bytes;) {
        number++;
        const nn_span spans[3] = {{block, number > 1 ? sizeof block : 0}, {info, info_bytes}, {&number, 1}};
        necpnet_result result = nn_hmac_sha256(secret, NN_SHA256_BYTES, spans, 3, block);
        if (result) return result;
        size_t part = nn_min_size(sizeof block, out_bytes - at);
        memcpy((uint8_t*)out + at, block, part);
        at += part;
    }
    nn_wipe(block, sizeof block);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_hkdf(const void* salt, size_t salt_bytes, const void* secret, size_t secret_bytes,
                                  const void* info, size_t info_bytes, void* out, size_t out_bytes)
{
    uint8_t extracted[NN_SHA256_BYTES];
    const nn_span span = {secret, secret_bytes};
    necpnet_result result = nn_hkdf_extract(salt, salt_bytes, &span, 1, extracted);
    if (!result) result = nn_hkdf_expand(extracted, info, info_bytes, out, out_bytes);
    nn_wipe(extracted, sizeof extracted);
    return result;
}

NN_PRIVATE necpnet_result nn_x25519(const necpnet_entropy* entropy, const uint8_t scalar[NN_X25519_BYTES],
                                    const uint8_t point[NN_X25519_BYTES], uint8_t out[NN_X25519_BYTES])
{
#if NECPNET_WITH_SODIUM
    (void)entropy; /* constant time needs no blinding */
    return nn_x25519_sodium(scalar, point, out);
#elif NECPNET_WITH_MBEDTLS
    return nn_x25519_mbedtls(entropy, scalar, point, out);
#else
    (void)entropy;
    (void)scalar;
    (void)point;
    (void)out;
    return NECPNET_ERR_UNSUPPORTED;
#endif
}

NN_PRIVATE necpnet_result nn_x25519_keypair(const necpnet_entropy* entropy, uint8_t private_key[NN_X25519_BYTES],
                                            uint8_t public_key[NN_X25519_BYTES])
{
    static const uint8_t base_point[NN_X25519_BYTES] = {9};
    uint8_t made[NN_X25519_BYTES];
    if (!nn_entropy_fill(entropy, made, sizeof made)) return NECPNET_ERR_NO_ENTROPY;
    necpnet_result result = nn_x25519(entropy, made, base_point, public_key);
    if (!result) memcpy(private_key, made, sizeof made);
    nn_wipe(made, sizeof made);
    return result;
}

#if !NECPNET_WITH_MBEDTLS && !NECPNET_WITH_SODIUM

NN_PRIVATE necpnet_result nn_sha256(const nn_span* spans, size_t span_count, uint8_t out[NN_SHA256_BYTES])
{
    (void)spans;
    (void)span_count;
    (void)out;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE necpnet_result nn_hmac_sha256(const void* key, size_t key_bytes, const nn_span* spans, size_t span_count,
                                         uint8_t out[NN_SHA256_BYTES])
{
    (void)key;
    (void)key_bytes;
    (void)spans;
    (void)span_count;
    (void)out;
    return NECPNET_ERR_UNSUPPORTED;
}

NN_PRIVATE necpnet_result nn_pbkdf2(const void* password, size_t password_bytes, const void* salt, size_t salt_bytes,
                                    uint32_t rounds, void* out, size_t out_bytes)
{
    (void)password;
    (void)password_bytes;
    (void)salt;
    (void)salt_bytes;
    (void)rounds;
    (void)out;
    (void)out_bytes;
    return NECPNET_ERR_UNSUPPORTED;
}

#endif
