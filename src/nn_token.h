/* nn_token - connect tokens: the sealed part that servers open, and the bundle that a client is handed as text. */
#ifndef NN_TOKEN_H
#define NN_TOKEN_H

#include "nn_base.h"

#define NN_TOKEN_SEALED_BYTES 196u /* key id 4, salt 24, ciphertext 152, tag 16 */
#define NN_TOKEN_PLAIN_BYTES 152u
#define NN_TOKEN_SALT_BYTES 24u
#define NN_TOKEN_ID_BYTES 16u
#define NN_PSK_BYTES 32u
#define NN_TOKEN_LIFETIME_US_MAX UINT64_C(45000000)
#define NN_TOKEN_SKEW_US UINT64_C(60000000) /* a token issued later than this in the future is refused */

/* What the sealed part says. */
typedef struct nn_token {
    uint8_t id[NN_TOKEN_ID_BYTES];
    uint64_t client_id;
    uint64_t issued_us;
    uint64_t expires_us;
    uint64_t server_id;
    uint32_t suite_min; /* nn_suite: a lesser one is refused */
    uint32_t epoch;
    uint8_t psk[NN_PSK_BYTES];
    uint8_t user_data[NECPNET_USER_DATA_BYTES];
} nn_token;

/* nn_token_seal - OK | ERR_UNSUPPORTED | ERR_INTERNAL. */
NN_PRIVATE necpnet_result nn_token_seal(const nn_token* token, const necpnet_token_key* key,
                                        const uint8_t salt[NN_TOKEN_SALT_BYTES], uint8_t out[NN_TOKEN_SEALED_BYTES]);

/* nn_token_open - with the key of that id. OK | ERR_TOKEN_INVALID (no such key, changed, impossible times)
 *          | ERR_UNSUPPORTED */
NN_PRIVATE necpnet_result nn_token_open(const uint8_t sealed[NN_TOKEN_SEALED_BYTES], const necpnet_token_key* keys,
                                        size_t key_count, nn_token* out_token);

/* A bundle: what the client needs. */
typedef struct nn_token_bundle {
    necpnet_token_info info;
    uint8_t psk[NN_PSK_BYTES];
    uint8_t sealed[NN_TOKEN_SEALED_BYTES];
} nn_token_bundle;

/* nn_token_bundle_parse - OK | ERR_BAD_TOKEN_TEXT (not a bundle, cut, changed) | ERR_VERSION_DIFFERS */
NN_PRIVATE necpnet_result nn_token_bundle_parse(const char* text, nn_token_bundle* out_bundle);

/* nn_token_bundle_format - OK | ERR_BUFFER_TOO_SMALL */
NN_PRIVATE necpnet_result nn_token_bundle_format(const nn_token_bundle* bundle, char* text, size_t text_bytes);

#endif
