/* crypto_check - the cryptography of this build against vectors from standard input, for tests/e2e/crypto_vectors.test.py.
 *
 * A line is a vector, its bytes in hex ("-": none):
 *
 *   aead SUITE KEY IV HEADER TEXT SEALED TAG RIGHT
 *   hmac KEY TEXT TAG RIGHT              a shorter TAG is the beginning of the whole
 *   hkdf SECRET SALT INFO OUT RIGHT
 *   x25519 SCALAR POINT SHARED RIGHT     RIGHT 0: the result is zero, which is refused
 *
 * Each goes through the functions that the protocol calls and through those of each crypto library of the build. A line
 * of failures names library and vector; the closing line is `N passed, N failed`.
 */
#include "nn_aead.h"
#include "nn_bytes.h"
#include "nn_crypto.h"

#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX 4096

typedef struct bytes {
    uint8_t* data; /* exact, so that a sanitizer sees the first byte beyond it */
    size_t count;
} bytes;

static nn_alloc alloc;
static int passed, failed;
static const char* vector;

static void judge(bool right, const char* library)
{
    if (right) {
        passed++;
        return;
    }
    failed++;
    printf("wrong by %s: %s\n", library, vector);
}

static bytes read_hex(void)
{
    const char* text = strtok(NULL, " \n");
    bytes out = {NULL, 0};
    size_t length = text && text[0] != '-' ? strlen(text) : 0;
    out.data = (uint8_t*)malloc(length / 2 + 1);
    if (!out.data) abort();
    for (; out.count < length / 2; out.count++) {
        unsigned value = 0;
        if (sscanf(text + 2 * out.count, "%2x", &value) != 1) abort();
        out.data[out.count] = (uint8_t)value;
    }
    return out;
}

static bool read_bool(void)
{
    const char* text = strtok(NULL, " \n");
    return text && text[0] == '1';
}

/* ---- sealing */

typedef necpnet_result (*create_function)(nn_alloc* alloc, uint32_t suite, const uint8_t* key, nn_aead** out_aead);

typedef struct aead_vector {
    uint32_t suite;
    bytes key, iv, header, text, sealed, tag;
    bool right;
} aead_vector;

/* Both ways; aead NULL: by the functions for one message. */
static bool aead_holds(const aead_vector* v, nn_aead* aead)
{
    bool holds = true;
    uint8_t tag[NN_AEAD_TAG_BYTES];
    uint8_t* data = (uint8_t*)malloc(v->sealed.count + 1);
    if (!data) abort();
    memcpy(data, v->sealed.data, v->sealed.count);
    bool opened = aead ? nn_aead_open(aead, 0, v->header.data, v->header.count, data, v->sealed.count, v->tag.data)
                       : nn_aead_open_once(v->suite, v->key.data, v->iv.data, 0, v->header.data, v->header.count, data,
                                           v->sealed.count, v->tag.data);
    holds = opened == v->right;
    if (v->right) {
        holds = holds && !memcmp(data, v->text.data, v->text.count);
        memcpy(data, v->text.data, v->text.count);
        if (aead) {
            nn_aead_seal(aead, 0, v->header.data, v->header.count, data, v->text.count, tag);
        } else if (!nn_aead_seal_once(v->suite, v->key.data, v->iv.data, 0, v->header.data, v->header.count, data,
                                      v->text.count, tag)) {
            holds = false;
        }
        holds = holds && !memcmp(data, v->sealed.data, v->sealed.count) && !memcmp(tag, v->tag.data, sizeof tag);
    }
    free(data);
    return holds;
}

static void aead_by(const aead_vector* v, create_function create, const char* library)
{
    nn_aead* aead = NULL;
    necpnet_result result = create ? create(&alloc, v->suite, v->key.data, &aead)
                                   : nn_aead_create(&alloc, v->suite, v->key.data, v->iv.data, &aead);
    if (create && result == NECPNET_ERR_UNSUPPORTED) return; /* no AES in this processor */
    if (result != NECPNET_OK) {
        judge(false, library);
        return;
    }
    aead->alloc = &alloc; /* what nn_aead_create adds to a library's own */
    aead->suite = (uint16_t)v->suite;
    memcpy(aead->iv, v->iv.data, sizeof aead->iv);
    judge(aead_holds(v, aead), library);
    nn_aead_destroy(aead);
}

static void check_aead(void)
{
    aead_vector v;
    v.suite = (uint32_t)atoi(strtok(NULL, " "));
    v.key = read_hex();
    v.iv = read_hex();
    v.header = read_hex();
    v.text = read_hex();
    v.sealed = read_hex();
    v.tag = read_hex();
    v.right = read_bool();
    if (v.key.count != NN_AEAD_KEY_BYTES || v.iv.count != NN_AEAD_IV_BYTES || v.tag.count != NN_AEAD_TAG_BYTES) abort();
    aead_by(&v, NULL, "nn_aead");
    if (v.suite == NN_SUITE_CHACHA20_POLY1305) judge(aead_holds(&v, NULL), "nn_aead_open_once");
#if NECPNET_WITH_MBEDTLS
    aead_by(&v, nn_aead_mbedtls_create, "mbedTLS");
#endif
#if NECPNET_WITH_SODIUM
    if (v.suite != NN_SUITE_AES_256_GCM || nn_aead_sodium_has_aes()) aead_by(&v, nn_aead_sodium_create, "libsodium");
#endif
    free(v.key.data);
    free(v.iv.data);
    free(v.header.data);
    free(v.text.data);
    free(v.sealed.data);
    free(v.tag.data);
}

/* ---- hashes, keys */

static void check_hmac(void)
{
    bytes key = read_hex();
    bytes text = read_hex();
    bytes tag = read_hex();
    bool right = read_bool();
    uint8_t out[NN_SHA256_BYTES];
    const nn_span halves[2] = {{text.data, text.count / 2}, {text.data + text.count / 2, text.count - text.count / 2}};
    bool same = nn_hmac_sha256(key.data, key.count, halves, 2, out) == NECPNET_OK && tag.count <= sizeof out &&
                !memcmp(out, tag.data, tag.count);
    judge(same == right, "nn_hmac_sha256");
    free(key.data);
    free(text.data);
    free(tag.data);
}

static void check_hkdf(void)
{
    bytes secret = read_hex();
    bytes salt = read_hex();
    bytes info = read_hex();
    bytes expected = read_hex();
    bool right = read_bool();
    static uint8_t out[NN_HKDF_EXPAND_BYTES_MAX];
    bool same = expected.count <= sizeof out &&
                nn_hkdf(salt.data, salt.count, secret.data, secret.count, info.data, info.count, out, expected.count) ==
                    NECPNET_OK &&
                !memcmp(out, expected.data, expected.count);
    judge(same == right, "nn_hkdf");
    free(secret.data);
    free(salt.data);
    free(info.data);
    free(expected.data);
}

static void x25519_by(necpnet_result result, const uint8_t* out, const bytes* shared, bool right, const char* library)
{
    if (right) {
        judge(result == NECPNET_OK && !memcmp(out, shared->data, NN_X25519_BYTES), library);
    } else {
        judge(result == NECPNET_ERR_PROTOCOL, library);
    }
}

static void check_x25519(void)
{
    bytes scalar = read_hex();
    bytes point = read_hex();
    bytes shared = read_hex();
    bool right = read_bool();
    uint8_t out[NN_X25519_BYTES];
    if (scalar.count != sizeof out || point.count != sizeof out || shared.count != sizeof out) abort();
    x25519_by(nn_x25519(NULL, scalar.data, point.data, out), out, &shared, right, "nn_x25519");
#if NECPNET_WITH_MBEDTLS
    x25519_by(nn_x25519_mbedtls(NULL, scalar.data, point.data, out), out, &shared, right, "mbedTLS");
#endif
#if NECPNET_WITH_SODIUM
    x25519_by(nn_x25519_sodium(scalar.data, point.data, out), out, &shared, right, "libsodium");
#endif
    free(scalar.data);
    free(point.data);
    free(shared.data);
}

int main(void)
{
    static char line[4 * BYTES_MAX * 2];
    static char copy[sizeof line];
    nn_alloc_init(&alloc, NULL);
    if (!nn_aead_suites()) printf("crypto_check: this build has no crypto library\n");
    while (nn_aead_suites() && fgets(line, sizeof line, stdin)) {
        memcpy(copy, line, sizeof line);
        vector = copy;
        const char* kind = strtok(line, " \n");
        if (!kind) continue;
        if (!strcmp(kind, "aead")) check_aead();
        if (!strcmp(kind, "hmac")) check_hmac();
        if (!strcmp(kind, "hkdf")) check_hkdf();
        if (!strcmp(kind, "x25519")) check_x25519();
    }
    if (alloc.bytes != 0) failed++;
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
