/* keyring - the keys that open JWTs. */
#include "keyring.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"
#include "log.h"
#include "jwk_pem.h"

struct keyring {
    pthread_mutex_t lock;
    const config* settings;
    struct timespec changed; /* of the JWKS file */
    int64_t bytes;
    bool has_secret; /* keys[0] */
    int count;
    keyring_key keys[KEYRING_KEYS_MAX];
};

static const char* const keyring_names[KEYRING_ALGORITHMS] = {"HS256", "RS256", "ES256"};

int keyring_base64url(const char* encoded, size_t encoded_bytes, uint8_t* to, size_t to_bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    size_t made = 0;
    if (encoded_bytes % 4 == 1) return -1;
    for (size_t i = 0; i < encoded_bytes; i++) {
        const char* at = encoded[i] ? strchr(digits, encoded[i]) : NULL;
        if (!at) return -1;
        bits = (bits << 6 | (uint32_t)(at - digits)) & 0xffffffu;
        if (i % 4 == 0) continue;
        if (made == to_bytes) return -1;
        to[made++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    /* Bits behind the last byte are zero: one text for one value. */
    if (encoded_bytes % 4 == 2 && (bits & 15)) return -1;
    if (encoded_bytes % 4 == 3 && (bits & 3)) return -1;
    return (int)made;
}

/* -------------------------------------------------------------------------------------------------------- JWKS -- */

static const char* keyring_text(const cJSON* key, const char* name)
{
    const cJSON* value = cJSON_GetObjectItemCaseSensitive(key, name);
    return cJSON_IsString(value) ? value->valuestring : "";
}

static int keyring_bytes(const cJSON* key, const char* name, uint8_t* to, size_t to_bytes)
{
    const char* encoded = keyring_text(key, name);
    return encoded[0] ? keyring_base64url(encoded, strlen(encoded), to, to_bytes) : -1;
}

/* One key of a set. NULL: taken, or not for us (skipped: algorithm stays KEYRING_ALGORITHMS); else what is wrong. */
static const char* keyring_parse_key(const cJSON* json, keyring_key* key)
{
    uint8_t first[1024];
    uint8_t second[1024];
    const char* type = keyring_text(json, "kty");
    const char* algorithm = keyring_text(json, "alg");
    const char* kid = keyring_text(json, "kid");
    const char* use = keyring_text(json, "use");
    memset(key, 0, sizeof(*key));
    key->algorithm = KEYRING_ALGORITHMS;
    if (!cJSON_IsObject(json)) return "a key is no object";
    if (use[0] && strcmp(use, "sig") != 0) return NULL;
    if (strlen(kid) > KEYRING_KID_BYTES_MAX) return "a kid is longer than 127 bytes";
    snprintf(key->kid, sizeof(key->kid), "%s", kid);
    bool made = false;
    if (strcmp(type, "oct") == 0 && (algorithm[0] == 0 || strcmp(algorithm, "HS256") == 0)) {
        int bytes = keyring_bytes(json, "k", key->bytes, sizeof(key->bytes));
        if (bytes < CONFIG_JWT_SECRET_BYTES_MIN) return "an oct key is not base64url of at least 32 bytes";
        key->byte_count = (size_t)bytes;
        key->algorithm = KEYRING_HS256;
        return NULL;
    }
    if (strcmp(type, "RSA") == 0 && (algorithm[0] == 0 || strcmp(algorithm, "RS256") == 0)) {
        int n = keyring_bytes(json, "n", first, sizeof(first));
        int e = keyring_bytes(json, "e", second, sizeof(second));
        if (n < KEYRING_RSA_BITS_MIN / 8 || e < 1) return "an RSA key lacks n of at least 2048 bits, or e";
        made = jwk_pem_rsa(first, (size_t)n, second, (size_t)e, (char*)key->bytes, sizeof(key->bytes));
        key->algorithm = KEYRING_RS256;
    } else if (strcmp(type, "EC") == 0 && strcmp(keyring_text(json, "crv"), "P-256") == 0 &&
               (algorithm[0] == 0 || strcmp(algorithm, "ES256") == 0)) {
        int x = keyring_bytes(json, "x", first, sizeof(first));
        int y = keyring_bytes(json, "y", second, sizeof(second));
        if (x != 32 || y != 32) return "a P-256 key lacks x or y of 32 bytes";
        made = jwk_pem_p256(first, second, (char*)key->bytes, sizeof(key->bytes));
        key->algorithm = KEYRING_ES256;
    } else {
        return NULL;
    }
    key->byte_count = strlen((const char*)key->bytes) + 1;
    return made ? NULL : "a key is no valid RSA key, or no point of its curve (or this build has no mbedTLS)";
}

int keyring_parse(const char* json, size_t bytes, keyring_key* keys, int keys_max, char* what, size_t what_bytes)
{
    int count = 0;
    const cJSON* item;
    cJSON* tree = json_parse(json, bytes, what, what_bytes);
    const cJSON* list = cJSON_GetObjectItemCaseSensitive(tree, "keys");
    if (tree && !cJSON_IsArray(list)) {
        snprintf(what, what_bytes, "a JWK set is wanted: {\"keys\": [..]}");
        count = -1;
    }
    if (!tree) count = -1;
    cJSON_ArrayForEach(item, list)
    {
        if (count < 0) break;
        const char* wrong = "more than 64 keys";
        if (count < keys_max) wrong = keyring_parse_key(item, &keys[count]);
        if (!wrong && keys[count].algorithm == KEYRING_ALGORITHMS) continue;
        for (int i = 0; !wrong && i < count; i++) {
            if (keys[i].algorithm == keys[count].algorithm && strcmp(keys[i].kid, keys[count].kid) == 0)
                wrong = "two keys have the same kid and algorithm";
        }
        if (wrong) snprintf(what, what_bytes, "%s", wrong);
        count = wrong ? -1 : count + 1;
    }
    cJSON_Delete(tree);
    return count;
}

/* -------------------------------------------------------------------------------------------------------- ring -- */

/* Replaces all keys but the secret by those of the file. */
static necpnet_result keyring_load(keyring* ring, char* what, size_t what_bytes)
{
    struct stat facts;
    size_t bytes = 0;
    const char* path = ring->settings->jwks_file;
    int first = ring->has_secret ? 1 : 0;
    char* file = stat(path, &facts) == 0 ? config_read_file(path, CONFIG_FILE_BYTES_MAX, &bytes) : NULL;
    if (!file) {
        snprintf(what, what_bytes, "%s cannot be read: %s", path, strerror(errno));
        return NECPNET_ERR_FILE;
    }
    keyring_key* keys = calloc(KEYRING_KEYS_MAX, sizeof(*keys));
    int count = keys ? keyring_parse(file, bytes, keys, KEYRING_KEYS_MAX - first, what, what_bytes) : -1;
    memset(file, 0, bytes);
    free(file);
    pthread_mutex_lock(&ring->lock);
    ring->changed = facts.st_mtim; /* a wrong file is not read again and again */
    ring->bytes = (int64_t)facts.st_size;
    if (count >= 0) {
        memcpy(&ring->keys[first], keys, (size_t)count * sizeof(*keys));
        ring->count = first + count;
    }
    pthread_mutex_unlock(&ring->lock);
    if (keys) memset(keys, 0, KEYRING_KEYS_MAX * sizeof(*keys));
    free(keys);
    return count >= 0 ? NECPNET_OK : NECPNET_ERR_BAD_DATA;
}

void keyring_refresh(keyring* ring)
{
    struct stat facts;
    char what[256];
    if (ring->settings->jwks_file[0] == 0 || stat(ring->settings->jwks_file, &facts) != 0) return;
    pthread_mutex_lock(&ring->lock);
    bool same = facts.st_mtim.tv_sec == ring->changed.tv_sec && facts.st_mtim.tv_nsec == ring->changed.tv_nsec &&
                (int64_t)facts.st_size == ring->bytes;
    pthread_mutex_unlock(&ring->lock);
    if (same) return;
    if (keyring_load(ring, what, sizeof(what)) == NECPNET_OK) {
        LOG(NECPNET_LOG_INFO, "jwks_read", "the JWKS file changed and was read again",
            LOG_NUMBER("keys", keyring_count(ring)), LOG_END);
    } else {
        LOG(NECPNET_LOG_ERROR, "jwks_wrong", what, LOG_END);
    }
}

static necpnet_result keyring_take_secret(keyring* ring, char* what, size_t what_bytes)
{
    const config* settings = ring->settings;
    keyring_key* key = &ring->keys[0];
    size_t bytes = strlen(settings->jwt_secret);
    const char* from = settings->jwt_secret;
    char* file = NULL;
    if (settings->jwt_secret_file[0]) {
        file = config_read_file(settings->jwt_secret_file, sizeof(key->bytes), &bytes);
        snprintf(what, what_bytes, "jwt_secret_file %s cannot be read: %s", settings->jwt_secret_file, strerror(errno));
        if (!file) return NECPNET_ERR_FILE;
        from = file;
    }
    bool right = bytes == 0 || (bytes >= CONFIG_JWT_SECRET_BYTES_MIN && bytes <= sizeof(key->bytes));
    if (right && bytes > 0) {
        key->algorithm = KEYRING_HS256;
        key->byte_count = bytes;
        memcpy(key->bytes, from, bytes);
        ring->has_secret = true;
        ring->count = 1;
    }
    if (file) {
        memset(file, 0, bytes);
        right = right && bytes > 0;
    }
    free(file);
    if (!right) snprintf(what, what_bytes, "jwt_secret_file holds less than 32 bytes (RFC 7518 3.2)");
    return right ? NECPNET_OK : NECPNET_ERR_BAD_DATA;
}

necpnet_result keyring_create(const config* settings, keyring** out_ring, char* what, size_t what_bytes)
{
    keyring* ring = calloc(1, sizeof(*ring));
    snprintf(what, what_bytes, "out of memory");
    if (!ring) return NECPNET_ERR_OUT_OF_MEMORY;
    pthread_mutex_init(&ring->lock, NULL);
    ring->settings = settings;
    necpnet_result result = keyring_take_secret(ring, what, what_bytes);
    if (result == NECPNET_OK && settings->jwks_file[0]) result = keyring_load(ring, what, what_bytes);
    if (result != NECPNET_OK) {
        keyring_destroy(ring);
        return result;
    }
    *out_ring = ring;
    return NECPNET_OK;
}

void keyring_destroy(keyring* ring)
{
    if (!ring) return;
    pthread_mutex_destroy(&ring->lock);
    memset(ring->keys, 0, sizeof(ring->keys));
    free(ring);
}

bool keyring_find(keyring* ring, const char* algorithm, const char* kid, keyring_key* out_key)
{
    const keyring_key* found = NULL;
    int fitting = 0;
    pthread_mutex_lock(&ring->lock);
    for (int i = 0; i < ring->count; i++) {
        const keyring_key* key = &ring->keys[i];
        if (strcmp(keyring_names[key->algorithm], algorithm) != 0) continue;
        bool secret = ring->has_secret && i == 0;
        /* A kid names one key; issuers that sign with the plain secret may give it any kid that no other key has. */
        if (kid[0] && !secret && strcmp(key->kid, kid) == 0) {
            found = key;
            fitting = 1;
            break;
        }
        if (kid[0] && !secret) continue;
        if (!found) found = key;
        fitting++;
        if (secret && !kid[0]) break;
    }
    bool one = found && fitting == 1;
    if (one) *out_key = *found;
    pthread_mutex_unlock(&ring->lock);
    return one;
}

bool keyring_secret(keyring* ring, keyring_key* out_key)
{
    pthread_mutex_lock(&ring->lock);
    bool there = ring->has_secret;
    if (there) *out_key = ring->keys[0];
    pthread_mutex_unlock(&ring->lock);
    return there;
}

int keyring_count(keyring* ring)
{
    pthread_mutex_lock(&ring->lock);
    int count = ring->count;
    pthread_mutex_unlock(&ring->lock);
    return count;
}
