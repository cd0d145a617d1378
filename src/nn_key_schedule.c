/* nn_key_schedule - HKDF, or SipHash for plaintext, under the labels of PROTOCOL.md. */
#include "nn_key_schedule.h"

#include "nn_hash.h"

#define KEY_LABEL_BYTES_MAX 32u
#define KEY_PASSPHRASE_ROUNDS 20000u /* about 25 ms: an endpoint derives once */

static const char key_prefix[] = "necpnet 1 ";
static const char key_passphrase_salt[] = "necpnet 1 open";

/* The plaintext suite's hash: a chain of SipHash, each span keyed by what came before. */
static void key_plain_chain(const uint8_t* start, const nn_span* spans, size_t span_count, uint8_t out[NN_SECRET_BYTES])
{
    uint8_t state[NN_SIPHASH_KEY_BYTES];
    memcpy(state, start, sizeof state);
    for (size_t i = 0; i < span_count; i++) {
        uint8_t next[NN_SIPHASH_KEY_BYTES];
        nn_siphash128(state, spans[i].data, spans[i].bytes, next);
        memcpy(state, next, sizeof state);
    }
    nn_siphash128(state, "\0", 1, out);
    nn_siphash128(state, "\1", 1, out + 16);
}

NN_PRIVATE necpnet_result nn_key_hash(uint32_t suite, const nn_span* spans, size_t span_count,
                                      uint8_t out[NN_SECRET_BYTES])
{
    if (suite != NN_SUITE_NONE) return nn_sha256(spans, span_count, out);
    static const uint8_t zeroes[NN_SIPHASH_KEY_BYTES] = {0};
    key_plain_chain(zeroes, spans, span_count, out);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_key_extract(uint32_t suite, const uint8_t salt[NN_SECRET_BYTES], const nn_span* secrets,
                                         size_t secret_count, uint8_t out[NN_SECRET_BYTES])
{
    if (suite != NN_SUITE_NONE) return nn_hkdf_extract(salt, NN_SECRET_BYTES, secrets, secret_count, out);
    NN_ASSERT(secret_count <= 2);
    nn_span spans[3] = {{salt + 16, 16}, {NULL, 0}, {NULL, 0}};
    for (size_t i = 0; i < secret_count && i < 2; i++) spans[1 + i] = secrets[i];
    key_plain_chain(salt, spans, 1 + secret_count, out);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_key_expand(uint32_t suite, const uint8_t secret[NN_SECRET_BYTES], const char* label,
                                        void* out, size_t out_bytes)
{
    uint8_t info[KEY_LABEL_BYTES_MAX];
    size_t label_bytes = strlen(label);
    size_t info_bytes = sizeof key_prefix - 1 + label_bytes;
    NN_ASSERT(info_bytes <= sizeof info);
    memcpy(info, key_prefix, sizeof key_prefix - 1);
    memcpy(info + sizeof key_prefix - 1, label, label_bytes);
    if (suite != NN_SUITE_NONE) return nn_hkdf_expand(secret, info, info_bytes, out, out_bytes);
    uint8_t number = 0;
    for (size_t at = 0; at < out_bytes; at += NN_SECRET_BYTES) {
        uint8_t block[NN_SECRET_BYTES];
        number++;
        const nn_span spans[3] = {{secret + 16, 16}, {info, info_bytes}, {&number, 1}};
        key_plain_chain(secret, spans, 3, block);
        memcpy((uint8_t*)out + at, block, nn_min_size(sizeof block, out_bytes - at));
    }
    return NECPNET_OK;
}

/* Messages of the handshake are sealed with ChaCha20-Poly1305 whatever suite the packets have. */
static uint32_t key_message_suite(uint32_t suite)
{
    return suite == NN_SUITE_NONE ? NN_SUITE_NONE : NN_SUITE_CHACHA20_POLY1305;
}

NN_PRIVATE necpnet_result nn_key_message_seal(uint32_t suite, const uint8_t secret[NN_SECRET_BYTES], const char* label,
                                              uint64_t number, const uint8_t* header, size_t header_bytes,
                                              uint8_t* data, size_t bytes, uint8_t tag[NN_AEAD_TAG_BYTES])
{
    uint8_t key[NN_AEAD_KEY_BYTES + NN_AEAD_IV_BYTES];
    necpnet_result result = nn_key_expand(suite, secret, label, key, sizeof key);
    if (!result && !nn_aead_seal_once(key_message_suite(suite), key, key + NN_AEAD_KEY_BYTES, number, header,
                                      header_bytes, data, bytes, tag)) {
        result = NECPNET_ERR_INTERNAL;
    }
    nn_wipe(key, sizeof key);
    return result;
}

NN_PRIVATE bool nn_key_message_open(uint32_t suite, const uint8_t secret[NN_SECRET_BYTES], const char* label,
                                    uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                                    size_t bytes, const uint8_t tag[NN_AEAD_TAG_BYTES])
{
    uint8_t key[NN_AEAD_KEY_BYTES + NN_AEAD_IV_BYTES];
    bool opened = !nn_key_expand(suite, secret, label, key, sizeof key) &&
                  nn_aead_open_once(key_message_suite(suite), key, key + NN_AEAD_KEY_BYTES, number, header,
                                    header_bytes, data, bytes, tag);
    nn_wipe(key, sizeof key);
    return opened;
}

NN_PRIVATE necpnet_result nn_key_packet(nn_alloc* alloc, uint32_t suite, const uint8_t traffic[NN_SECRET_BYTES],
                                        nn_aead** out_aead)
{
    uint8_t key[NN_AEAD_KEY_BYTES + NN_AEAD_IV_BYTES];
    necpnet_result result = nn_key_expand(suite, traffic, "packet", key, sizeof key);
    if (!result) result = nn_aead_create(alloc, suite, key, key + NN_AEAD_KEY_BYTES, out_aead);
    nn_wipe(key, sizeof key);
    return result;
}

NN_PRIVATE necpnet_result nn_key_connection(nn_alloc* alloc, uint32_t suite, const uint8_t master[NN_SECRET_BYTES],
                                            bool is_server, nn_connection_keys* out_keys)
{
    nn_connection_keys keys;
    memset(&keys, 0, sizeof keys);
    keys.suite = suite;
    necpnet_result result =
        nn_key_expand(suite, master, is_server ? "server" : "client", keys.send_secret, sizeof keys.send_secret);
    if (!result) {
        result = nn_key_expand(suite, master, is_server ? "client" : "server", keys.receive_secret,
                               sizeof keys.receive_secret);
    }
    if (!result) result = nn_key_packet(alloc, suite, keys.send_secret, &keys.send);
    if (!result) result = nn_key_packet(alloc, suite, keys.receive_secret, &keys.receive);
    if (result) {
        nn_aead_destroy(keys.send);
    } else {
        *out_keys = keys;
    }
    nn_wipe(&keys, sizeof keys);
    return result;
}

NN_PRIVATE necpnet_result nn_key_next_phase(uint32_t suite, uint8_t traffic[NN_SECRET_BYTES])
{
    uint8_t next[NN_SECRET_BYTES];
    necpnet_result result = nn_key_expand(suite, traffic, "phase", next, sizeof next);
    if (!result) memcpy(traffic, next, sizeof next);
    nn_wipe(next, sizeof next);
    return result;
}

NN_PRIVATE necpnet_result nn_key_of_passphrase(const char* passphrase, uint8_t out_psk[NN_PSK_BYTES])
{
    if (!passphrase || !passphrase[0]) {
        memset(out_psk, 0, NN_PSK_BYTES);
        return NECPNET_OK;
    }
    return nn_pbkdf2(passphrase, strlen(passphrase), key_passphrase_salt, sizeof key_passphrase_salt - 1,
                     KEY_PASSPHRASE_ROUNDS, out_psk, NN_PSK_BYTES);
}
