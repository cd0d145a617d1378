/* nn_aead - the choice of suite, the nonce, and the plaintext suite. */
#include "nn_aead.h"

#include "nn_bytes.h"
#include "nn_hash.h"

/* A key of the plaintext suite. */
typedef struct aead_plain {
    nn_aead base;
    uint8_t key[NN_SIPHASH_KEY_BYTES];
} aead_plain;

static void aead_nonce(const uint8_t* iv, uint64_t number, uint8_t nonce[NN_AEAD_IV_BYTES])
{
    memcpy(nonce, iv, NN_AEAD_IV_BYTES);
    for (size_t i = 0; i < 8; i++) {
        nonce[NN_AEAD_IV_BYTES - 1 - i] = (uint8_t)(nonce[NN_AEAD_IV_BYTES - 1 - i] ^ (uint8_t)(number >> (8 * i)));
    }
}

/* SipHash-2-4-128 of (hash of header, hash of data, nonce, both lengths), so that nothing need be copied together. */
static void aead_plain_tag(const uint8_t* key, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                           const uint8_t* data, size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES])
{
    uint8_t parts[16 + 16 + NN_AEAD_IV_BYTES + 8];
    nn_siphash128(key, header, header_bytes, parts);
    nn_siphash128(key, data, bytes, parts + 16);
    memcpy(parts + 32, nonce, NN_AEAD_IV_BYTES);
    nn_store_u32(parts + 44, (uint32_t)header_bytes);
    nn_store_u32(parts + 48, (uint32_t)bytes);
    nn_siphash128(key, parts, sizeof parts, tag);
}

static void aead_plain_seal(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                            uint8_t* data, size_t bytes, uint8_t* tag)
{
    aead_plain_tag(((const aead_plain*)aead)->key, nonce, header, header_bytes, data, bytes, tag);
}

static bool aead_plain_open(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                            uint8_t* data, size_t bytes, const uint8_t* tag)
{
    uint8_t right[NN_AEAD_TAG_BYTES];
    aead_plain_tag(((const aead_plain*)aead)->key, nonce, header, header_bytes, data, bytes, right);
    return nn_equal_constant_time(right, tag, sizeof right);
}

static necpnet_result aead_plain_create(nn_alloc* alloc, const uint8_t* key, nn_aead** out_aead)
{
    aead_plain* plain = (aead_plain*)nn_alloc_take(alloc, sizeof *plain);
    if (!plain) return NECPNET_ERR_OUT_OF_MEMORY;
    plain->base.seal = aead_plain_seal;
    plain->base.open = aead_plain_open;
    plain->base.bytes = sizeof *plain;
    memcpy(plain->key, key, sizeof plain->key);
    *out_aead = &plain->base;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_aead_create(nn_alloc* alloc, uint32_t suite, const uint8_t key[NN_AEAD_KEY_BYTES],
                                         const uint8_t iv[NN_AEAD_IV_BYTES], nn_aead** out_aead)
{
    nn_aead* aead = NULL;
    necpnet_result result = NECPNET_ERR_UNSUPPORTED;
    if (suite == NN_SUITE_NONE) result = aead_plain_create(alloc, key, &aead);
#if NECPNET_WITH_SODIUM
    if (suite != NN_SUITE_NONE) result = nn_aead_sodium_create(alloc, suite, key, &aead);
#endif
#if NECPNET_WITH_MBEDTLS
    if (result == NECPNET_ERR_UNSUPPORTED && (suite == NN_SUITE_CHACHA20_POLY1305 || suite == NN_SUITE_AES_256_GCM)) {
        result = nn_aead_mbedtls_create(alloc, suite, key, &aead);
    }
#endif
    if (result) return result;
    aead->alloc = alloc;
    aead->suite = (uint16_t)suite;
    memcpy(aead->iv, iv, NN_AEAD_IV_BYTES);
    *out_aead = aead;
    return NECPNET_OK;
}

NN_PRIVATE void nn_aead_destroy(nn_aead* aead)
{
    if (!aead) return;
    if (aead->release) aead->release(aead);
    nn_alloc* alloc = aead->alloc;
    size_t bytes = aead->bytes;
    nn_wipe(aead, bytes);
    nn_alloc_give(alloc, aead, bytes);
}

NN_PRIVATE void nn_aead_seal(nn_aead* aead, uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                             size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES])
{
    uint8_t nonce[NN_AEAD_IV_BYTES];
    aead_nonce(aead->iv, number, nonce);
    aead->seal(aead, nonce, header, header_bytes, data, bytes, tag);
}

NN_PRIVATE bool nn_aead_open(nn_aead* aead, uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                             size_t bytes, const uint8_t tag[NN_AEAD_TAG_BYTES])
{
    uint8_t nonce[NN_AEAD_IV_BYTES];
    aead_nonce(aead->iv, number, nonce);
    return aead->open(aead, nonce, header, header_bytes, data, bytes, tag);
}

NN_PRIVATE bool nn_aead_seal_once(uint32_t suite, const uint8_t key[NN_AEAD_KEY_BYTES],
                                  const uint8_t iv[NN_AEAD_IV_BYTES], uint64_t number, const uint8_t* header,
                                  size_t header_bytes, uint8_t* data, size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES])
{
    uint8_t nonce[NN_AEAD_IV_BYTES];
    aead_nonce(iv, number, nonce);
    if (suite == NN_SUITE_NONE) {
        aead_plain_tag(key, nonce, header, header_bytes, data, bytes, tag);
        return true;
    }
#if NECPNET_WITH_SODIUM
    if (suite == NN_SUITE_CHACHA20_POLY1305) {
        return nn_aead_sodium_chacha_seal(key, nonce, header, header_bytes, data, bytes, tag);
    }
#elif NECPNET_WITH_MBEDTLS
    if (suite == NN_SUITE_CHACHA20_POLY1305) {
        return nn_aead_mbedtls_chacha_seal(key, nonce, header, header_bytes, data, bytes, tag);
    }
#endif
    return false;
}

NN_PRIVATE bool nn_aead_open_once(uint32_t suite, const uint8_t key[NN_AEAD_KEY_BYTES],
                                  const uint8_t iv[NN_AEAD_IV_BYTES], uint64_t number, const uint8_t* header,
                                  size_t header_bytes, uint8_t* data, size_t bytes,
                                  const uint8_t tag[NN_AEAD_TAG_BYTES])
{
    uint8_t nonce[NN_AEAD_IV_BYTES];
    aead_nonce(iv, number, nonce);
    if (suite == NN_SUITE_NONE) {
        uint8_t right[NN_AEAD_TAG_BYTES];
        aead_plain_tag(key, nonce, header, header_bytes, data, bytes, right);
        return nn_equal_constant_time(right, tag, sizeof right);
    }
#if NECPNET_WITH_SODIUM
    if (suite == NN_SUITE_CHACHA20_POLY1305) {
        return nn_aead_sodium_chacha_open(key, nonce, header, header_bytes, data, bytes, tag);
    }
#elif NECPNET_WITH_MBEDTLS
    if (suite == NN_SUITE_CHACHA20_POLY1305) {
        return nn_aead_mbedtls_chacha_open(key, nonce, header, header_bytes, data, bytes, tag);
    }
#endif
    return false;
}

NN_PRIVATE uint32_t nn_aead_suites(void)
{
    uint32_t suites = 0;
#if NECPNET_WITH_MBEDTLS
    suites |= 1u << NN_SUITE_CHACHA20_POLY1305 | 1u << NN_SUITE_AES_256_GCM;
#endif
#if NECPNET_WITH_SODIUM
    suites |= 1u << NN_SUITE_CHACHA20_POLY1305;
    if (nn_aead_sodium_has_aes()) suites |= 1u << NN_SUITE_AES_256_GCM | NN_SUITES_FAST_AES;
#endif
    return suites;
}
