/* nn_aead - sealing of packets and messages: authenticated encryption with a header in clear, by suite. */
#ifndef NN_AEAD_H
#define NN_AEAD_H

#include "nn_alloc.h"

#define NN_AEAD_KEY_BYTES 32u
#define NN_AEAD_IV_BYTES 12u
#define NN_AEAD_TAG_BYTES 16u

/* On the wire. A SETUP offers a set of them as bits 1 << suite. */
typedef enum nn_suite {
    NN_SUITE_NONE = 0,              /* plaintext with a SipHash-128 tag: SECURITY_NONE, tests, simulations */
    NN_SUITE_CHACHA20_POLY1305 = 1, /* RFC 8439 */
    NN_SUITE_AES_256_GCM = 2        /* NIST SP 800-38D */
} nn_suite;

/* A key, in as few bytes as it can be kept: libsodium works its AES schedule out anew for each packet, in 17 ns of some 200,
 * instead of keeping 512 bytes for every key of every connection. The nonce of a number is iv xor the number, big-endian in the last 8
 * bytes (RFC 9001 5.3); a number must never be sealed twice. */
typedef struct nn_aead nn_aead;

struct nn_aead {
    void (*seal)(nn_aead* aead, const uint8_t nonce[NN_AEAD_IV_BYTES], const uint8_t* header, size_t header_bytes,
                 uint8_t* data, size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES]);
    bool (*open)(nn_aead* aead, const uint8_t nonce[NN_AEAD_IV_BYTES], const uint8_t* header, size_t header_bytes,
                 uint8_t* data, size_t bytes, const uint8_t tag[NN_AEAD_TAG_BYTES]);
    void (*release)(nn_aead* aead);
    nn_alloc* alloc;
    uint16_t bytes; /* of the whole block */
    uint16_t suite;
    uint8_t iv[NN_AEAD_IV_BYTES];
};

/* nn_aead_create - a key ready for use. key and iv are copied.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED (suite unknown, or needs NECPNET_WITH_MBEDTLS)
 */
NN_PRIVATE necpnet_result nn_aead_create(nn_alloc* alloc, uint32_t suite, const uint8_t key[NN_AEAD_KEY_BYTES],
                                         const uint8_t iv[NN_AEAD_IV_BYTES], nn_aead** out_aead);

/* nn_aead_destroy - wipe and give back. NULL does nothing. */
NN_PRIVATE void nn_aead_destroy(nn_aead* aead);

/* nn_aead_seal - encrypt data in place and write the tag over header and data. No memory is taken. */
NN_PRIVATE void nn_aead_seal(nn_aead* aead, uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                             size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES]);

/* nn_aead_open - authenticate, decrypt in place. On false data is spoilt. No memory is taken. */
NN_PRIVATE bool nn_aead_open(nn_aead* aead, uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                             size_t bytes, const uint8_t tag[NN_AEAD_TAG_BYTES]);

/* nn_aead_seal_once, nn_aead_open_once - with a key used for one message, nothing allocated. Suites NONE and
 * CHACHA20_POLY1305 alone; false (data untouched) where the suite is not built. */
NN_PRIVATE bool nn_aead_seal_once(uint32_t suite, const uint8_t key[NN_AEAD_KEY_BYTES],
                                  const uint8_t iv[NN_AEAD_IV_BYTES], uint64_t number, const uint8_t* header,
                                  size_t header_bytes, uint8_t* data, size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES]);
NN_PRIVATE bool nn_aead_open_once(uint32_t suite, const uint8_t key[NN_AEAD_KEY_BYTES],
                                  const uint8_t iv[NN_AEAD_IV_BYTES], uint64_t number, const uint8_t* header,
                                  size_t header_bytes, uint8_t* data, size_t bytes,
                                  const uint8_t tag[NN_AEAD_TAG_BYTES]);

/* nn_aead_suites - what this build can open, as bits 1 << suite, without NONE; and NN_SUITES_FAST_AES where AES-GCM is
 * faster here than ChaCha20. */
NN_PRIVATE uint32_t nn_aead_suites(void);
#define NN_SUITES_FAST_AES (1u << 31)

/* What the adapters of crypto libraries give; used by nn_aead.c alone. libsodium goes before mbedTLS: AES-GCM of 1180
 * bytes sealed and opened in 1.3 us against 9.2. Its AES needs a processor with AES-NI or ARMv8 crypto. */
#if NECPNET_WITH_SODIUM
NN_PRIVATE bool nn_aead_sodium_has_aes(void);
NN_PRIVATE necpnet_result nn_aead_sodium_create(nn_alloc* alloc, uint32_t suite, const uint8_t* key,
                                                nn_aead** out_aead);
NN_PRIVATE bool nn_aead_sodium_chacha_seal(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                           size_t header_bytes, uint8_t* data, size_t bytes, uint8_t* tag);
NN_PRIVATE bool nn_aead_sodium_chacha_open(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                           size_t header_bytes, uint8_t* data, size_t bytes, const uint8_t* tag);
#endif
#if NECPNET_WITH_MBEDTLS
NN_PRIVATE necpnet_result nn_aead_mbedtls_create(nn_alloc* alloc, uint32_t suite, const uint8_t* key,
                                                 nn_aead** out_aead);
NN_PRIVATE bool nn_aead_mbedtls_chacha_seal(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                            size_t header_bytes, uint8_t* data, size_t bytes, uint8_t* tag);
NN_PRIVATE bool nn_aead_mbedtls_chacha_open(const uint8_t* key, const uint8_t* nonce, const uint8_t* header,
                                            size_t header_bytes, uint8_t* data, size_t bytes, const uint8_t* tag);
#endif

#endif
