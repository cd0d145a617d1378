/* nn_dep_sodium - the one part that names libsodium: faster AEAD and X25519 of the same wire, where it is built in. */
#include "nn_aead.h"
#include "nn_crypto.h"

#if NECPNET_WITH_SODIUM

#include <sodium.h>

typedef struct sodium_key {
    nn_aead base;
    uint8_t key[NN_AEAD_KEY_BYTES];
} sodium_key;

static void sodium_aes_seal(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                            uint8_t* data, size_t bytes, uint8_t* tag)
{
    (void)crypto_aead_aes256gcm_encrypt_detached(data, tag, NULL, data, bytes, header, header_bytes, NULL, nonce,
                                                 ((const sodium_key*)aead)->key);
}

static bool sodium_aes_open(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                            uint8_t* data, size_t bytes, const uint8_t* tag)
{
    return crypto_aead_aes256gcm_decrypt_detached(data, NULL, data, bytes, tag, header, header_bytes, nonce,
                                                  ((const sodium_key*)aead)->key) == 0;
}

static void sodium_chacha_seal(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                               uint8_t* data, size_t bytes, uint8_t* tag)
{
    (void)crypto_aead_chacha20poly1305_ietf_encrypt_detached(data, tag, NULL, data, bytes, header, header_bytes, NULL,
                                                             nonce, ((const sodium_key*)aead)->key);
}

static bool sodium_chacha_open(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                               uint8_t* data, size_t bytes, const uint8_t* tag)
{
    return crypto_aead_chacha20poly1305_ietf_decrypt_detached(data, NULL, data, bytes, tag, header, header_bytes, nonce,
                                                              ((const sodium_key*)aead)->key) == 0;
}

NN_PRIVATE bool nn_aead_sodium_has_aes(void)
{
    return sodium_init() >= 0 && crypto_aead_aes256gcm_is_available();
}

NN_PRIVATE necpnet_result nn_aead_sodium_create(nn_alloc* alloc, uint32_t suite, const uint8_t* key, nn_aead** out_aead)
{
    bool is_aes = suite == NN_SUITE_AES_256_GCM;
    if (!is_aes && suite != NN_SUITE_CHACHA20_POLY1305) return NECPNET_ERR_UNSUPPORTED;
    if (sodium_init() < 0 || (is_aes && !crypto_aead_aes256gcm_is_available())) return NECPNET_ERR_UNSUPPORTED;
    sodium_key* kept = (sodium_key*)nn_alloc_take(alloc, sizeof *kept);
    if (!kept) return NECPNET_ERR_OUT_OF_MEMORY;
    memcpy(kept->key, key, sizeof kept->key);
    kept->base.seal = is_aes ? sodium_aes_seal : sodium_chacha_seal;
    kept->base.open = is_aes ? sodium_aes_open : sodium_chacha_open;
    kept->base.bytes = sizeof *kept;
    *out_aead = &kept->base;
    return NECPNET_OK;
}

NN_PRIVATE bool nn_aead_sodium_chacha_seal(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                           size_t header_bytes, uint8_t* data, size_t bytes, uint8_t* tag)
{
    return sodium_init() >= 0 && crypto_aead_chacha20poly1305_ietf_encrypt_detached(
                                     data, tag, NULL, data, bytes, header, header_bytes, NULL, nonce, key) == 0;
}

NN_PRIVATE bool nn_aead_sodium_chacha_open(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                           size_t header_bytes, uint8_t* data, size_t bytes, const uint8_t* tag)
{
    return sodium_init() >= 0 && crypto_aead_chacha20poly1305_ietf_decrypt_detached(
                                     data, NULL, data, bytes, tag, header, header_bytes, nonce, key) == 0;
}

NN_PRIVATE necpnet_result nn_x25519_sodium(const uint8_t scalar[NN_X25519_BYTES], const uint8_t point[NN_X25519_BYTES],
                                           uint8_t out[NN_X25519_BYTES])
{
    uint8_t result[NN_X25519_BYTES];
    if (sodium_init() < 0) return NECPNET_ERR_INTERNAL;
    if (crypto_scalarmult_curve25519(result, scalar, point)) return NECPNET_ERR_PROTOCOL; /* small order */
    memcpy(out, result, sizeof result);
    nn_wipe(result, sizeof result);
    return NECPNET_OK;
}

#if !NECPNET_WITH_MBEDTLS

NN_PRIVATE necpnet_result nn_sha256(const nn_span* spans, size_t span_count, uint8_t out[NN_SHA256_BYTES])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < span_count; i++) {
        if (spans[i].bytes) crypto_hash_sha256_update(&state, (const uint8_t*)spans[i].data, spans[i].bytes);
    }
    crypto_hash_sha256_final(&state, out);
    return NECPNET_OK;
}

static void sodium_hmac(const crypto_auth_hmacsha256_state* keyed, const nn_span* spans, size_t span_count,
                        uint8_t* out)
{
    crypto_auth_hmacsha256_state state = *keyed;
    for (size_t i = 0; i < span_count; i++) {
        if (spans[i].bytes) crypto_auth_hmacsha256_update(&state, (const uint8_t*)spans[i].data, spans[i].bytes);
    }
    crypto_auth_hmacsha256_final(&state, out);
    nn_wipe(&state, sizeof state);
}

static const uint8_t* sodium_hmac_key(const void* key)
{
    static const uint8_t none[1] = {0};
    return key ? (const uint8_t*)key : none;
}

NN_PRIVATE necpnet_result nn_hmac_sha256(const void* key, size_t key_bytes, const nn_span* spans, size_t span_count,
                                         uint8_t out[NN_SHA256_BYTES])
{
    crypto_auth_hmacsha256_state keyed;
    crypto_auth_hmacsha256_init(&keyed, sodium_hmac_key(key), key_bytes);
    sodium_hmac(&keyed, spans, span_count, out);
    nn_wipe(&keyed, sizeof keyed);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_pbkdf2(const void* password, size_t password_bytes, const void* salt, size_t salt_bytes,
                                    uint32_t rounds, void* out, size_t out_bytes)
{
    crypto_auth_hmacsha256_state keyed;
    crypto_auth_hmacsha256_init(&keyed, sodium_hmac_key(password), password_bytes);
    uint32_t number = 0;
    for (size_t at = 0; at < out_bytes; at += NN_SHA256_BYTES) {
        number++;
        const uint8_t big_endian[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                       (uint8_t)number};
        uint8_t u[NN_SHA256_BYTES];
        uint8_t sum[NN_SHA256_BYTES];
        const nn_span first[2] = {{salt, salt_bytes}, {big_endian, sizeof big_endian}};
        sodium_hmac(&keyed, first, 2, u);
        memcpy(sum, u, sizeof sum);
        for (uint32_t round = 1; round < rounds; round++) {
            const nn_span again = {u, sizeof u};
            sodium_hmac(&keyed, &again, 1, u);
            for (size_t i = 0; i < sizeof sum; i++) sum[i] ^= u[i];
        }
        memcpy((uint8_t*)out + at, sum, nn_min_size(sizeof sum, out_bytes - at));
        nn_wipe(sum, sizeof sum);
    }
    nn_wipe(&keyed, sizeof keyed);
    return NECPNET_OK;
}

#endif

#endif
