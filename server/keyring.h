/* keyring.h - the keys that open JWTs: jwt_secret (HS256), jwt_secret_file (its raw bytes), and a JWKS file (RFC 7517) with any
 * number of keys by kid. The file is read again when it changes: keys rotate without a restart.
 *
 * libjwt 1.10 knows no JWKS: keys are taken from the file by cJSON, put together as SubjectPublicKeyInfo, checked by mbedTLS
 * (a point that is not on its curve is refused) and handed to libjwt as PEM.
 */
#ifndef SERVER_KEYRING_H
#define SERVER_KEYRING_H

#include "config.h"

#define KEYRING_KEYS_MAX 64
#define KEYRING_KID_BYTES_MAX 127
#define KEYRING_KEY_BYTES_MAX 2048 /* raw, or PEM with its NUL */
#define KEYRING_RSA_BITS_MIN 2048  /* RFC 7518 3.3 */

typedef enum keyring_algorithm { KEYRING_HS256, KEYRING_RS256, KEYRING_ES256, KEYRING_ALGORITHMS } keyring_algorithm;

typedef struct keyring_key {
    keyring_algorithm algorithm;
    char kid[KEYRING_KID_BYTES_MAX + 1]; /* "": fits a JWT without kid */
    uint8_t bytes[KEYRING_KEY_BYTES_MAX];
    size_t byte_count;
} keyring_key;

typedef struct keyring keyring;

/* keyring_create - reads secret and files.
 *
 *   what  on failure the reason, for people; never key material.
 *
 * Returns  OK (also without any key) | ERR_FILE | ERR_BAD_DATA | ERR_OUT_OF_MEMORY */
necpnet_result keyring_create(const config* settings, keyring** out_ring, char* what, size_t what_bytes);
void keyring_destroy(keyring* ring);

/* keyring_refresh - looks whether the JWKS file changed, and takes it over if it is right; a wrong one is logged and the keys stay.
 * Reads a file: not on a loop's thread. */
void keyring_refresh(keyring* ring);

/* keyring_find - a copy of the key for an algorithm's name and a kid ("" if the JWT has none: the secret, or the only key of that
 * algorithm). Returns whether there is one. */
bool keyring_find(keyring* ring, const char* algorithm, const char* kid, keyring_key* out_key);

/* keyring_secret - the HS256 key that this server signs with. Returns whether there is one. */
bool keyring_secret(keyring* ring, keyring_key* out_key);

/* keyring_count - how many keys there are. */
int keyring_count(keyring* ring);

/* keyring_parse - the keys of a JWKS text.
 *
 * Returns  how many; -1: wrong, and what says why. */
int keyring_parse(const char* json, size_t bytes, keyring_key* keys, int keys_max, char* what, size_t what_bytes);

/* keyring_base64url - decodes without padding. Returns bytes, or -1. */
int keyring_base64url(const char* encoded, size_t encoded_bytes, uint8_t* to, size_t to_bytes);

#endif
