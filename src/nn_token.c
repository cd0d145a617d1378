/* nn_token - sealing, opening and the text bundle of connect tokens. */
#include "nn_token.h"

#include "nn_aead.h"
#include "nn_base64.h"
#include "nn_bytes.h"
#include "nn_crypto.h"
#include "nn_hash.h"
#include "nn_url.h"

#define TOKEN_VERSION 1u /* of the bundle; moves with NECPNET_PROTOCOL_VERSION */
#define TOKEN_BUNDLE_FIXED_BYTES (4u + 4u + 8u * 3u + NN_PSK_BYTES + NN_TOKEN_SEALED_BYTES + 1u + 8u)
#define TOKEN_BUNDLE_BYTES_MAX (TOKEN_BUNDLE_FIXED_BYTES + NECPNET_URLS_MAX * (NECPNET_URL_BYTES_MAX + 1u))

static const uint8_t token_magic[4] = {'N', 'N', 'C', 'T'};
static const char token_label[] = "necpnet 1 token";

/* A salt gives a key of its own, so that the nonce may be fixed. */
static necpnet_result token_key_of(const necpnet_token_key* key, const uint8_t* salt, uint8_t out[44])
{
    return nn_hkdf(salt, NN_TOKEN_SALT_BYTES, key->bytes, NECPNET_TOKEN_KEY_BYTES, token_label, sizeof token_label - 1,
                   out, 44);
}

NN_PRIVATE necpnet_result nn_token_seal(const nn_token* token, const necpnet_token_key* key,
                                        const uint8_t salt[NN_TOKEN_SALT_BYTES], uint8_t out[NN_TOKEN_SEALED_BYTES])
{
    uint8_t derived[44];
    necpnet_result result = token_key_of(key, salt, derived);
    if (result) return result;
    nn_writer writer = nn_writer_of(out, NN_TOKEN_SEALED_BYTES);
    nn_write_u32(&writer, key->id);
    nn_write_bytes(&writer, salt, NN_TOKEN_SALT_BYTES);
    size_t header_bytes = nn_writer_bytes(&writer);
    nn_write_bytes(&writer, token->id, NN_TOKEN_ID_BYTES);
    nn_write_u64(&writer, token->client_id);
    nn_write_u64(&writer, token->issued_us);
    nn_write_u64(&writer, token->expires_us);
    nn_write_u64(&writer, token->server_id);
    nn_write_u32(&writer, token->suite_min);
    nn_write_u32(&writer, token->epoch);
    nn_write_bytes(&writer, token->psk, NN_PSK_BYTES);
    nn_write_bytes(&writer, token->user_data, NECPNET_USER_DATA_BYTES);
    NN_ASSERT(!writer.failed && nn_writer_bytes(&writer) == header_bytes + NN_TOKEN_PLAIN_BYTES);
    bool sealed =
        nn_aead_seal_once(NN_SUITE_CHACHA20_POLY1305, derived, derived + 32, 0, out, header_bytes, out + header_bytes,
                          NN_TOKEN_PLAIN_BYTES, out + header_bytes + NN_TOKEN_PLAIN_BYTES);
    nn_wipe(derived, sizeof derived);
    if (!sealed) {
        nn_wipe(out, NN_TOKEN_SEALED_BYTES);
        return NECPNET_ERR_INTERNAL;
    }
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_token_open(const uint8_t sealed[NN_TOKEN_SEALED_BYTES], const necpnet_token_key* keys,
                                        size_t key_count, nn_token* out_token)
{
    const necpnet_token_key* key = NULL;
    uint32_t key_id = nn_load_u32(sealed);
    for (size_t i = 0; i < key_count && !key; i++) {
        if (keys[i].id == key_id) key = &keys[i];
    }
    if (!key) return NECPNET_ERR_TOKEN_INVALID;
    uint8_t derived[44];
    necpnet_result result = token_key_of(key, sealed + 4, derived);
    if (result) return result;
    const size_t header_bytes = 4 + NN_TOKEN_SALT_BYTES;
    uint8_t plain[NN_TOKEN_PLAIN_BYTES];
    memcpy(plain, sealed + header_bytes, sizeof plain);
    bool opened = nn_aead_open_once(NN_SUITE_CHACHA20_POLY1305, derived, derived + 32, 0, sealed, header_bytes, plain,
                                    sizeof plain, sealed + header_bytes + sizeof plain);
    nn_wipe(derived, sizeof derived);
    if (!opened) return NECPNET_ERR_TOKEN_INVALID;
    nn_token token;
    nn_reader reader = nn_reader_of(plain, sizeof plain);
    nn_read_copy(&reader, token.id, sizeof token.id);
    token.client_id = nn_read_u64(&reader);
    token.issued_us = nn_read_u64(&reader);
    token.expires_us = nn_read_u64(&reader);
    token.server_id = nn_read_u64(&reader);
    token.suite_min = nn_read_u32(&reader);
    token.epoch = nn_read_u32(&reader);
    nn_read_copy(&reader, token.psk, sizeof token.psk);
    nn_read_copy(&reader, token.user_data, sizeof token.user_data);
    nn_wipe(plain, sizeof plain);
    bool possible =
        token.expires_us > token.issued_us && token.expires_us - token.issued_us <= NN_TOKEN_LIFETIME_US_MAX;
    if (possible) *out_token = token;
    nn_wipe(&token, sizeof token);
    return possible ? NECPNET_OK : NECPNET_ERR_TOKEN_INVALID;
}

/* Finds a bundle that was cut or mistyped; secures nothing. */
static uint64_t token_checksum(const uint8_t* data, size_t bytes)
{
    static const uint8_t no_key[NN_SIPHASH_KEY_BYTES] = {0};
    return nn_siphash64(no_key, data, bytes);
}

NN_PRIVATE necpnet_result nn_token_bundle_format(const nn_token_bundle* bundle, char* text, size_t text_bytes)
{
    uint8_t data[TOKEN_BUNDLE_BYTES_MAX];
    nn_writer writer = nn_writer_of(data, sizeof data);
    nn_write_bytes(&writer, token_magic, sizeof token_magic);
    nn_write_u32(&writer, bundle->info.version);
    nn_write_u64(&writer, bundle->info.server_id);
    nn_write_u64(&writer, bundle->info.issued_us);
    nn_write_u64(&writer, bundle->info.expires_us);
    nn_write_bytes(&writer, bundle->psk, sizeof bundle->psk);
    nn_write_bytes(&writer, bundle->sealed, sizeof bundle->sealed);
    nn_write_u8(&writer, (uint8_t)bundle->info.url_count);
    for (int i = 0; i < bundle->info.url_count; i++) {
        size_t url_bytes = strlen(bundle->info.urls[i]);
        nn_write_u8(&writer, (uint8_t)url_bytes);
        nn_write_bytes(&writer, bundle->info.urls[i], url_bytes);
    }
    nn_write_u64(&writer, token_checksum(data, nn_writer_bytes(&writer)));
    NN_ASSERT(!writer.failed);
    size_t length = nn_base64_encode(data, nn_writer_bytes(&writer), true, text, text_bytes);
    nn_wipe(data, sizeof data);
    return length ? NECPNET_OK : NECPNET_ERR_BUFFER_TOO_SMALL;
}

/* The addresses: printable, none empty. */
static bool token_read_urls(nn_reader* reader, necpnet_token_info* info)
{
    unsigned count = nn_read_u8(reader);
    if (count > NECPNET_URLS_MAX) return false;
    info->url_count = (int)count;
    for (unsigned i = 0; i < count; i++) {
        size_t url_bytes = nn_read_u8(reader);
        const uint8_t* url = nn_read_view(reader, url_bytes);
        if (!url || url_bytes == 0) return false;
        for (size_t k = 0; k < url_bytes; k++) {
            if (url[k] <= ' ' || url[k] >= 0x7f) return false;
        }
        memcpy(info->urls[i], url, url_bytes);
        info->urls[i][url_bytes] = '\0';
    }
    return true;
}

NN_PRIVATE necpnet_result nn_token_bundle_parse(const char* text, nn_token_bundle* out_bundle)
{
    uint8_t data[TOKEN_BUNDLE_BYTES_MAX];
    size_t bytes = 0;
    size_t text_bytes = strlen(text);
    if (text_bytes > NN_BASE64_TEXT_BYTES(sizeof data)) return NECPNET_ERR_BAD_TOKEN_TEXT;
    if (!nn_base64_decode(text, text_bytes, true, data, sizeof data, &bytes)) return NECPNET_ERR_BAD_TOKEN_TEXT;
    nn_reader reader = nn_reader_of(data, bytes);
    const uint8_t* magic = nn_read_view(&reader, sizeof token_magic);
    uint32_t version = nn_read_u32(&reader);
    necpnet_result result = NECPNET_ERR_BAD_TOKEN_TEXT;
    if (!reader.failed && memcmp(magic, token_magic, sizeof token_magic) == 0) {
        if (version != TOKEN_VERSION) {
            result = NECPNET_ERR_VERSION_DIFFERS;
        } else if (bytes >= TOKEN_BUNDLE_FIXED_BYTES &&
                   nn_load_u64(data + bytes - 8) == token_checksum(data, bytes - 8)) {
            memset(out_bundle, 0, sizeof *out_bundle);
            out_bundle->info.version = version;
            out_bundle->info.server_id = nn_read_u64(&reader);
            out_bundle->info.issued_us = nn_read_u64(&reader);
            out_bundle->info.expires_us = nn_read_u64(&reader);
            nn_read_copy(&reader, out_bundle->psk, sizeof out_bundle->psk);
            nn_read_copy(&reader, out_bundle->sealed, sizeof out_bundle->sealed);
            if (token_read_urls(&reader, &out_bundle->info) && nn_reader_left(&reader) == 8) result = NECPNET_OK;
            if (result) nn_wipe(out_bundle, sizeof *out_bundle);
        }
    }
    nn_wipe(data, sizeof data);
    return result;
}

/* ---- section 6 of necpnet.h ---- */

necpnet_result necpnet_token_config_default(necpnet_token_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->server_id = 1;
    config->lifetime_ms = (uint32_t)(NN_TOKEN_LIFETIME_US_MAX / 1000);
    return NECPNET_OK;
}

static necpnet_result token_check_config(const necpnet_token_config* config)
{
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    uint64_t lifetime_us = (uint64_t)config->lifetime_ms * 1000;
    if (config->lifetime_ms < 1000 || lifetime_us > NN_TOKEN_LIFETIME_US_MAX) return NECPNET_ERR_BAD_CONFIG;
    if (config->issued_us == 0 || config->issued_us > UINT64_MAX - lifetime_us) return NECPNET_ERR_BAD_CONFIG;
    if (config->url_count < 0 || config->url_count > NECPNET_URLS_MAX) return NECPNET_ERR_BAD_CONFIG;
    if (config->url_count > 0 && !config->urls) return NECPNET_ERR_BAD_CONFIG;
    for (int i = 0; i < config->url_count; i++) {
        nn_url url;
        if (!config->urls[i] || nn_url_parse(config->urls[i], &url)) return NECPNET_ERR_BAD_URL;
    }
    return NECPNET_OK;
}

necpnet_result necpnet_token_create(const necpnet_token_config* config, const necpnet_token_key* key, char* text,
                                    size_t text_bytes)
{
    if (!config || !key || !text) return NECPNET_ERR_INVALID_ARGUMENT;
    necpnet_result result = token_check_config(config);
    if (result) return result;
    uint8_t salt[NN_TOKEN_SALT_BYTES];
    nn_token token;
    memset(&token, 0, sizeof token);
    if (!nn_entropy_fill(&config->entropy, salt, sizeof salt) ||
        !nn_entropy_fill(&config->entropy, token.id, sizeof token.id) ||
        !nn_entropy_fill(&config->entropy, token.psk, sizeof token.psk)) {
        return NECPNET_ERR_NO_ENTROPY;
    }
    token.client_id = config->client_id;
    token.issued_us = config->issued_us;
    token.expires_us = config->issued_us + (uint64_t)config->lifetime_ms * 1000;
    token.server_id = config->server_id;
    token.suite_min = NN_SUITE_CHACHA20_POLY1305;
    token.epoch = config->epoch;
    memcpy(token.user_data, config->user_data, sizeof token.user_data);

    nn_token_bundle bundle;
    memset(&bundle, 0, sizeof bundle);
    bundle.info.version = TOKEN_VERSION;
    bundle.info.server_id = token.server_id;
    bundle.info.issued_us = token.issued_us;
    bundle.info.expires_us = token.expires_us;
    bundle.info.url_count = config->url_count;
    for (int i = 0; i < config->url_count; i++) {
        size_t url_bytes = nn_min_size(strlen(config->urls[i]), NECPNET_URL_BYTES_MAX);
        memcpy(bundle.info.urls[i], config->urls[i], url_bytes);
    }
    memcpy(bundle.psk, token.psk, sizeof bundle.psk);
    result = nn_token_seal(&token, key, salt, bundle.sealed);
    if (!result) result = nn_token_bundle_format(&bundle, text, text_bytes);
    nn_wipe(&token, sizeof token);
    nn_wipe(&bundle, sizeof bundle);
    return result;
}

necpnet_result necpnet_token_read(const char* text, necpnet_token_info* out_info)
{
    if (!text || !out_info) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_token_bundle bundle;
    necpnet_result result = nn_token_bundle_parse(text, &bundle);
    if (result) return result;
    *out_info = bundle.info;
    nn_wipe(&bundle, sizeof bundle);
    return NECPNET_OK;
}

necpnet_result necpnet_token_get_id(const char* text, const necpnet_token_key* key, uint8_t* out_id)
{
    if (!text || !key || !out_id) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_token token;
    nn_token_bundle bundle;
    memset(&token, 0, sizeof token);
    necpnet_result result = nn_token_bundle_parse(text, &bundle);
    if (result) return result;
    result = nn_token_open(bundle.sealed, key, 1, &token);
    if (!result) {
        memcpy(out_id, token.id, NECPNET_TOKEN_ID_BYTES);
        nn_wipe(&token, sizeof token);
    }
    nn_wipe(&bundle, sizeof bundle);
    return result;
}

uint64_t necpnet_token_client_id(const char* issuer, const char* subject)
{
    if (!issuer || !subject) return 0;
    uint8_t hash[NN_SHA256_BYTES];
    const nn_span spans[2] = {{issuer, strlen(issuer) + 1}, {subject, strlen(subject)}};
    if (nn_sha256(spans, 2, hash)) return 0;
    return nn_load_u64(hash);
}
