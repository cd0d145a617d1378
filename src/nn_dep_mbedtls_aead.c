/* nn_dep_mbedtls_aead - the one part that names mbedTLS' crypto: AEAD, SHA-256, X25519. Builds with 2.28 and 3.6.
 *
 * HMAC and PBKDF2 are made from SHA-256 here, because mbedTLS' own take memory on every call. */
#include "nn_aead.h"
#include "nn_crypto.h"

#if NECPNET_WITH_MBEDTLS

#include <mbedtls/version.h>

#include <mbedtls/bignum.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/ecp.h>
#include <mbedtls/gcm.h>
#include <mbedtls/sha256.h>

#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define CRYPTO_SHA256_STARTS mbedtls_sha256_starts_ret
#define CRYPTO_SHA256_UPDATE mbedtls_sha256_update_ret
#define CRYPTO_SHA256_FINISH mbedtls_sha256_finish_ret
#else
#define CRYPTO_SHA256_STARTS mbedtls_sha256_starts
#define CRYPTO_SHA256_UPDATE mbedtls_sha256_update
#define CRYPTO_SHA256_FINISH mbedtls_sha256_finish
#endif

#define CRYPTO_BLOCK_BYTES 64u /* of SHA-256 */

/* ---- AEAD ---- */

typedef struct crypto_chacha {
    nn_aead base;
    uint8_t key[NN_AEAD_KEY_BYTES];
} crypto_chacha;

typedef struct crypto_gcm {
    nn_aead base;
    mbedtls_gcm_context context;
} crypto_gcm;

static void crypto_chacha_seal(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                               uint8_t* data, size_t bytes, uint8_t* tag)
{
    bool is_sealed =
        nn_aead_mbedtls_chacha_seal(((const crypto_chacha*)aead)->key, nonce, header, header_bytes, data, bytes, tag);
    if (!is_sealed) nn_wipe(data, bytes); /* cannot be; nothing in clear may leave */
    NN_ASSERT(is_sealed);
}

static bool crypto_chacha_open(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                               uint8_t* data, size_t bytes, const uint8_t* tag)
{
    return nn_aead_mbedtls_chacha_open(((const crypto_chacha*)aead)->key, nonce, header, header_bytes, data, bytes,
                                       tag);
}

static void crypto_gcm_seal(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                            uint8_t* data, size_t bytes, uint8_t* tag)
{
    crypto_gcm* gcm = (crypto_gcm*)aead;
    int error = mbedtls_gcm_crypt_and_tag(&gcm->context, MBEDTLS_GCM_ENCRYPT, bytes, nonce, NN_AEAD_IV_BYTES, header,
                                          header_bytes, data, data, NN_AEAD_TAG_BYTES, tag);
    if (error) nn_wipe(data, bytes);
    NN_ASSERT(error == 0);
}

static bool crypto_gcm_open(nn_aead* aead, const uint8_t* nonce, const uint8_t* header, size_t header_bytes,
                            uint8_t* data, size_t bytes, const uint8_t* tag)
{
    crypto_gcm* gcm = (crypto_gcm*)aead;
    return mbedtls_gcm_auth_decrypt(&gcm->context, bytes, nonce, NN_AEAD_IV_BYTES, header, header_bytes, tag,
                                    NN_AEAD_TAG_BYTES, data, data) == 0;
}

static void crypto_gcm_release(nn_aead* aead)
{
    mbedtls_gcm_free(&((crypto_gcm*)aead)->context);
}

static necpnet_result crypto_chacha_create(nn_alloc* alloc, const uint8_t* key, nn_aead** out_aead)
{
    crypto_chacha* chacha = (crypto_chacha*)nn_alloc_take(alloc, sizeof *chacha);
    if (!chacha) return NECPNET_ERR_OUT_OF_MEMORY;
    memcpy(chacha->key, key, sizeof chacha->key);
    chacha->base.seal = crypto_chacha_seal;
    chacha->base.open = crypto_chacha_open;
    chacha->base.bytes = sizeof *chacha;
    *out_aead = &chacha->base;
    return NECPNET_OK;
}

static necpnet_result crypto_gcm_create(nn_alloc* alloc, const uint8_t* key, nn_aead** out_aead)
{
    crypto_gcm* gcm = (crypto_gcm*)nn_alloc_take(alloc, sizeof *gcm);
    if (!gcm) return NECPNET_ERR_OUT_OF_MEMORY;
    mbedtls_gcm_init(&gcm->context);
    if (mbedtls_gcm_setkey(&gcm->context, MBEDTLS_CIPHER_ID_AES, key, NN_AEAD_KEY_BYTES * 8)) {
        mbedtls_gcm_free(&gcm->context);
        nn_alloc_give(alloc, gcm, sizeof *gcm);
        return NECPNET_ERR_OUT_OF_MEMORY; /* it takes its key schedule from malloc */
    }
    gcm->base.seal = crypto_gcm_seal;
    gcm->base.open = crypto_gcm_open;
    gcm->base.release = crypto_gcm_release;
    gcm->base.bytes = sizeof *gcm;
    *out_aead = &gcm->base;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_aead_mbedtls_create(nn_alloc* alloc, uint32_t suite, const uint8_t* key,
                                                 nn_aead** out_aead)
{
    return suite == NN_SUITE_AES_256_GCM ? crypto_gcm_create(alloc, key, out_aead)
                                         : crypto_chacha_create(alloc, key, out_aead);
}

NN_PRIVATE bool nn_aead_mbedtls_chacha_seal(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                            size_t header_bytes, uint8_t* data, size_t bytes, uint8_t* tag)
{
    mbedtls_chachapoly_context context;
    mbedtls_chachapoly_init(&context);
    int error = mbedtls_chachapoly_setkey(&context, key);
    if (!error) {
        error = mbedtls_chachapoly_encrypt_and_tag(&context, bytes, nonce, header, header_bytes, data, data, tag);
    }
    mbedtls_chachapoly_free(&context);
    return error == 0;
}

NN_PRIVATE bool nn_aead_mbedtls_chacha_open(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                            size_t header_bytes, uint8_t* data, size_t bytes, const uint8_t* tag)
{
    mbedtls_chachapoly_context context;
    mbedtls_chachapoly_init(&context);
    int error = mbedtls_chachapoly_setkey(&context, key);
    if (!error) {
        error = mbedtls_chachapoly_auth_decrypt(&context, bytes, nonce, header, header_bytes, tag, data, data);
    }
    mbedtls_chachapoly_free(&context);
    return error == 0;
}

/* ---- SHA-256, HMAC, PBKDF2 ---- */

NN_PRIVATE necpnet_result nn_sha256(const nn_span* spans, size_t span_count, uint8_t out[NN_SHA256_BYTES])
{
    mbedtls_sha256_context context;
    mbedtls_sha256_init(&context);
    int error = CRYPTO_SHA256_STARTS(&context, 0);
    for (size_t i = 0; i < span_count && !error; i++) {
        if (spans[i].bytes) {
            error = CRYPTO_SHA256_UPDATE(&context, (const unsigned char*)spans[i].data, spans[i].bytes);
        }
    }
    if (!error) error = CRYPTO_SHA256_FINISH(&context, out);
    mbedtls_sha256_free(&context);
    return error ? NECPNET_ERR_INTERNAL : NECPNET_OK;
}

/* The states of a key's two hashes after their first block. */
typedef struct crypto_hmac {
    mbedtls_sha256_context inner;
    mbedtls_sha256_context outer;
    int error;
} crypto_hmac;

static void crypto_hmac_free(crypto_hmac* hmac)
{
    mbedtls_sha256_free(&hmac->inner);
    mbedtls_sha256_free(&hmac->outer);
}

static void crypto_hmac_init(crypto_hmac* hmac, const void* key, size_t key_bytes)
{
    uint8_t block[CRYPTO_BLOCK_BYTES] = {0};
    hmac->error = 0;
    if (key_bytes > sizeof block) {
        const nn_span span = {key, key_bytes};
        hmac->error = nn_sha256(&span, 1, block) != NECPNET_OK;
    } else {
        nn_copy(block, key, key_bytes);
    }
    mbedtls_sha256_init(&hmac->inner);
    mbedtls_sha256_init(&hmac->outer);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
    if (!hmac->error) hmac->error = CRYPTO_SHA256_STARTS(&hmac->inner, 0);
    if (!hmac->error) hmac->error = CRYPTO_SHA256_UPDATE(&hmac->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
    if (!hmac->error) hmac->error = CRYPTO_SHA256_STARTS(&hmac->outer, 0);
    if (!hmac->error) hmac->error = CRYPTO_SHA256_UPDATE(&hmac->outer, block, sizeof block);
    nn_wipe(block, sizeof block);
}

static void crypto_hmac_finish(crypto_hmac* hmac, const nn_span* spans, size_t span_count, uint8_t* out)
{
    mbedtls_sha256_context context;
    mbedtls_sha256_init(&context);
    mbedtls_sha256_clone(&context, &hmac->inner);
    for (size_t i = 0; i < span_count && !hmac->error; i++) {
        if (!spans[i].bytes) continue;
        hmac->error = CRYPTO_SHA256_UPDATE(&context, (const unsigned char*)spans[i].data, spans[i].bytes);
    }
    uint8_t inner[NN_SHA256_BYTES];
    if (!hmac->error) hmac->error = CRYPTO_SHA256_FINISH(&context, inner);
    mbedtls_sha256_clone(&context, &hmac->outer);
    if (!hmac->error) hmac->error = CRYPTO_SHA256_UPDATE(&context, inner, sizeof inner);
    if (!hmac->error) hmac->error = CRYPTO_SHA256_FINISH(&context, out);
    mbedtls_sha256_free(&context);
    nn_wipe(inner, sizeof inner);
}

NN_PRIVATE necpnet_result nn_hmac_sha256(const void* key, size_t key_bytes, const nn_span* spans, size_t span_count,
                                         uint8_t out[NN_SHA256_BYTES])
{
    crypto_hmac hmac;
    crypto_hmac_init(&hmac, key, key_bytes);
    crypto_hmac_finish(&hmac, spans, span_count, out);
    crypto_hmac_free(&hmac);
    return hmac.error ? NECPNET_ERR_INTERNAL : NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_pbkdf2(const void* password, size_t password_bytes, const void* salt, size_t salt_bytes,
                                    uint32_t rounds, void* out, size_t out_bytes)
{
    crypto_hmac hmac;
    crypto_hmac_init(&hmac, password, password_bytes);
    uint32_t number = 0;
    for (size_t at = 0; at < out_bytes && !hmac.error;) {
        number++;
        const uint8_t big_endian[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                       (uint8_t)number};
        uint8_t u[NN_SHA256_BYTES] = {0};
        uint8_t sum[NN_SHA256_BYTES];
        const nn_span first[2] = {{salt, salt_bytes}, {big_endian, sizeof big_endian}};
        crypto_hmac_finish(&hmac, first, 2, u);
        memcpy(sum, u, sizeof sum);
        for (uint32_t round = 1; round < rounds && !hmac.error; round++) {
            const nn_span again = {u, sizeof u};
            crypto_hmac_finish(&hmac, &again, 1, u);
            for (size_t i = 0; i < sizeof sum; i++) sum[i] ^= u[i];
        }
        size_t part = nn_min_size(sizeof sum, out_bytes - at);
        memcpy((uint8_t*)out + at, sum, part);
        at += part;
        nn_wipe(sum, sizeof sum);
    }
    crypto_hmac_free(&hmac);
    return hmac.error ? NECPNET_ERR_INTERNAL : NECPNET_OK;
}

/* ---- X25519 ---- */

/* mbedTLS blinds its point multiplication with this. */
static int crypto_random(void* user, unsigned char* to, size_t bytes)
{
    return nn_entropy_fill((const necpnet_entropy*)user, to, bytes) ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

NN_PRIVATE necpnet_result nn_x25519_mbedtls(const necpnet_entropy* entropy, const uint8_t scalar[NN_X25519_BYTES],
                                            const uint8_t point[NN_X25519_BYTES], uint8_t out[NN_X25519_BYTES])
{
    uint8_t clamped[NN_X25519_BYTES];
    memcpy(clamped, scalar, sizeof clamped);
    clamped[0] &= 0xf8;
    clamped[31] = (uint8_t)((clamped[31] & 0x7f) | 0x40);

    mbedtls_ecp_group group;
    mbedtls_ecp_point from;
    mbedtls_ecp_point to;
    mbedtls_mpi factor;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&from);
    mbedtls_ecp_point_init(&to);
    mbedtls_mpi_init(&factor);
    uint8_t result_bytes[NN_X25519_BYTES];
    size_t written = 0;
    necpnet_result result = NECPNET_ERR_INTERNAL;
    necpnet_entropy source;
    memset(&source, 0, sizeof source);
    if (entropy) source = *entropy;
    int error = mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_CURVE25519);
    if (!error) error = mbedtls_mpi_read_binary_le(&factor, clamped, sizeof clamped);
    if (!error) error = mbedtls_ecp_point_read_binary(&group, &from, point, NN_X25519_BYTES);
    if (!error) error = mbedtls_ecp_mul(&group, &to, &factor, &from, crypto_random, &source);
    if (!error) {
        error = mbedtls_ecp_point_write_binary(&group, &to, MBEDTLS_ECP_PF_UNCOMPRESSED, &written, result_bytes,
                                               sizeof result_bytes);
    }
    uint8_t sum = 0;
    for (size_t i = 0; i < sizeof result_bytes && !error; i++) sum = (uint8_t)(sum | result_bytes[i]);
    if (!error && written == sizeof result_bytes && sum) {
        memcpy(out, result_bytes, sizeof result_bytes);
        result = NECPNET_OK;
    } else if (!error || error == MBEDTLS_ERR_ECP_INVALID_KEY || error == MBEDTLS_ERR_MPI_NOT_ACCEPTABLE) {
        result = NECPNET_ERR_PROTOCOL; /* 3.x refuses a point of small order, 2.28 gives zero or finds no inverse */
    } else if (error == MBEDTLS_ERR_ECP_ALLOC_FAILED || error == MBEDTLS_ERR_MPI_ALLOC_FAILED) {
        result = NECPNET_ERR_OUT_OF_MEMORY;
    } else if (error == MBEDTLS_ERR_ECP_RANDOM_FAILED) {
        result = NECPNET_ERR_NO_ENTROPY;
    }
    mbedtls_mpi_free(&factor);
    mbedtls_ecp_point_free(&to);
    mbedtls_ecp_point_free(&from);
    mbedtls_ecp_group_free(&group);
    nn_wipe(clamped, sizeof clamped);
    nn_wipe(result_bytes, sizeof result_bytes);
    return result;
}

#endif
