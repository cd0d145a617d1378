/* jwk_pem - SubjectPublicKeyInfo (RFC 5280 4.1, RFC 8017 A.1, RFC 5480 2) written by hand, since no call that mbedTLS 2.28 and 3.6
 * have alike makes a key of its numbers; mbedTLS then reads it, which checks it, and writes the PEM.
 */
#include "jwk_pem.h"

#include <string.h>

#if NECPNET_WITH_MBEDTLS
#include <mbedtls/pk.h>

#define JWK_DER_BYTES_MAX 1400

/* Bytes written from the end of the buffer towards its beginning, so that lengths are known when they are needed. */
typedef struct jwk_der {
    uint8_t buffer[JWK_DER_BYTES_MAX];
    size_t at;
    bool failed;
} jwk_der;

static void jwk_put(jwk_der* der, const void* bytes, size_t count)
{
    if (der->failed || count > der->at) {
        der->failed = true;
        return;
    }
    der->at -= count;
    memcpy(der->buffer + der->at, bytes, count);
}

/* Tag and length before what was written since end. */
static void jwk_wrap(jwk_der* der, uint8_t tag, size_t end)
{
    size_t length = end - der->at;
    uint8_t head[4] = {tag, (uint8_t)length};
    size_t bytes = 2;
    if (length > 255) {
        head[1] = 0x82;
        head[2] = (uint8_t)(length >> 8);
        head[3] = (uint8_t)length;
        bytes = 4;
    } else if (length > 127) {
        head[1] = 0x81;
        head[2] = (uint8_t)length;
        bytes = 3;
    }
    jwk_put(der, head, bytes);
}

static void jwk_integer(jwk_der* der, const uint8_t* number, size_t bytes)
{
    static const uint8_t zero = 0;
    size_t end = der->at;
    while (bytes > 1 && number[0] == 0) {
        number++;
        bytes--;
    }
    jwk_put(der, number, bytes);
    if (number[0] & 0x80) jwk_put(der, &zero, 1);
    jwk_wrap(der, 0x02, end);
}

/* The algorithm before, a sequence around, and through mbedTLS. */
static bool jwk_finish(jwk_der* der, const uint8_t* algorithm, size_t algorithm_bytes, char* pem, size_t pem_bytes)
{
    static const uint8_t zero = 0; /* no unused bits */
    jwk_put(der, &zero, 1);
    jwk_wrap(der, 0x03, JWK_DER_BYTES_MAX);
    jwk_put(der, algorithm, algorithm_bytes);
    jwk_wrap(der, 0x30, JWK_DER_BYTES_MAX);
    if (der->failed) return false;
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    bool right = mbedtls_pk_parse_public_key(&key, der->buffer + der->at, JWK_DER_BYTES_MAX - der->at) == 0 &&
                 mbedtls_pk_write_pubkey_pem(&key, (unsigned char*)pem, pem_bytes) == 0;
    mbedtls_pk_free(&key);
    return right;
}

bool jwk_pem_rsa(const uint8_t* n, size_t n_bytes, const uint8_t* e, size_t e_bytes, char* pem, size_t pem_bytes)
{
    static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00}; /* rsaEncryption, NULL */
    jwk_der der = {.at = JWK_DER_BYTES_MAX};
    jwk_integer(&der, e, e_bytes);
    jwk_integer(&der, n, n_bytes);
    jwk_wrap(&der, 0x30, JWK_DER_BYTES_MAX);
    return jwk_finish(&der, algorithm, sizeof(algorithm), pem, pem_bytes);
}

bool jwk_pem_p256(const uint8_t* x, const uint8_t* y, char* pem, size_t pem_bytes)
{
    static const uint8_t algorithm[] = {
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}; /* ecPublicKey, prime256v1 */
    static const uint8_t uncompressed = 4;
    jwk_der der = {.at = JWK_DER_BYTES_MAX};
    jwk_put(&der, y, 32);
    jwk_put(&der, x, 32);
    jwk_put(&der, &uncompressed, 1);
    return jwk_finish(&der, algorithm, sizeof(algorithm), pem, pem_bytes);
}

#else

bool jwk_pem_rsa(const uint8_t* n, size_t n_bytes, const uint8_t* e, size_t e_bytes, char* pem, size_t pem_bytes)
{
    (void)n;
    (void)n_bytes;
    (void)e;
    (void)e_bytes;
    if (pem_bytes > 0) pem[0] = 0;
    return false;
}

bool jwk_pem_p256(const uint8_t* x, const uint8_t* y, char* pem, size_t pem_bytes)
{
    (void)x;
    (void)y;
    if (pem_bytes > 0) pem[0] = 0;
    return false;
}

#endif
