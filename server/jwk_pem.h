/* jwk_pem.h - public keys as PEM, made of their numbers; checked by mbedTLS. */
#ifndef SERVER_JWK_PEM_H
#define SERVER_JWK_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* jwk_pem_rsa - modulus and exponent, big-endian, without leading zeroes. False: no valid key, or no mbedTLS in this build. */
bool jwk_pem_rsa(const uint8_t* n, size_t n_bytes, const uint8_t* e, size_t e_bytes, char* pem, size_t pem_bytes);

/* jwk_pem_p256 - a point, 32 bytes each. False: not on the curve, or no mbedTLS in this build. */
bool jwk_pem_p256(const uint8_t* x, const uint8_t* y, char* pem, size_t pem_bytes);

#endif
