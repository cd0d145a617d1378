/* nn_voice_seal - packets sealed from speaker to listener, in the manner of SFrame (RFC 9605). */
#include "nn_voice_seal.h"

#include "nn_bytes.h"

#define SEAL_SUITE NN_SUITE_CHACHA20_POLY1305
#define SEAL_SUITE_NAME 0xf001u /* of RFC 9605's derivation: a number for private use */
#define SEAL_ID_BYTES 8u

NN_PRIVATE void nn_voice_keys_init(nn_voice_keys* keys, nn_alloc* alloc)
{
    memset(keys, 0, sizeof *keys);
    keys->alloc = alloc;
}

NN_PRIVATE void nn_voice_keys_reset(nn_voice_keys* keys)
{
    nn_aead_destroy(keys->sealer);
    nn_wipe(keys, sizeof *keys);
}

static void seal_store_big(uint8_t* out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

/* RFC 9605 4.4.2. */
static necpnet_result seal_derive(nn_alloc* alloc, const uint8_t* base_key, uint64_t id, nn_aead** out_aead)
{
    static const char key_label[] = "SFrame 1.0 Secret key ";
    static const char salt_label[] = "SFrame 1.0 Secret salt ";
    uint8_t secret[NN_SHA256_BYTES], key[NN_AEAD_KEY_BYTES], salt[NN_AEAD_IV_BYTES], info[40];
    nn_span span = {base_key, NECPNET_VOICE_KEY_BYTES};
    size_t label = sizeof key_label - 1;
    necpnet_result result = nn_hkdf_extract("", 0, &span, 1, secret);
    if (result) return result;
    memcpy(info, key_label, label);
    seal_store_big(info + label, id, 8);
    seal_store_big(info + label + 8, SEAL_SUITE_NAME, 2);
    result = nn_hkdf_expand(secret, info, label + 10, key, sizeof key);
    label = sizeof salt_label - 1;
    memcpy(info, salt_label, label);
    seal_store_big(info + label, id, 8);
    seal_store_big(info + label + 8, SEAL_SUITE_NAME, 2);
    if (!result) result = nn_hkdf_expand(secret, info, label + 10, salt, sizeof salt);
    if (!result) result = nn_aead_create(alloc, SEAL_SUITE, key, salt, out_aead);
    nn_wipe(secret, sizeof secret);
    nn_wipe(key, sizeof key);
    return result;
}

static const uint8_t* seal_find(const nn_voice_keys* keys, uint32_t key_id)
{
    for (size_t i = 0; i < NN_VOICE_KEYS_MAX; i++) {
        if (keys->ids[i] == key_id) return keys->keys[i];
    }
    return NULL;
}

static void seal_forget(nn_voice_keys* keys, uint32_t key_id)
{
    for (size_t i = 0; i < NN_VOICE_KEYS_MAX; i++) {
        if (keys->ids[i] != key_id) continue;
        for (size_t k = i; k + 1 < NN_VOICE_KEYS_MAX; k++) {
            keys->ids[k] = keys->ids[k + 1];
            memcpy(keys->keys[k], keys->keys[k + 1], NECPNET_VOICE_KEY_BYTES);
        }
        keys->ids[NN_VOICE_KEYS_MAX - 1] = 0;
        nn_wipe(keys->keys[NN_VOICE_KEYS_MAX - 1], NECPNET_VOICE_KEY_BYTES);
        return;
    }
}

NN_PRIVATE necpnet_result nn_voice_keys_set(nn_voice_keys* keys, const necpnet_entropy* entropy, uint32_t key_id,
                                            const uint8_t* key)
{
    nn_aead* sealer = NULL;
    uint64_t id = 0;
    if (key) {
        if (!nn_entropy_fill(entropy, &id, sizeof id)) return NECPNET_ERR_NO_ENTROPY;
        id = (id >> 8) | (uint64_t)key_id << 56;
        necpnet_result result = seal_derive(keys->alloc, key, id, &sealer);
        if (result) return result;
    }
    nn_aead_destroy(keys->sealer);
    keys->sealer = sealer;
    keys->sealer_id = id;
    keys->counter = 0;
    seal_forget(keys, key_id);
    if (!key) return NECPNET_OK;
    for (size_t i = NN_VOICE_KEYS_MAX - 1; i > 0; i--) {
        keys->ids[i] = keys->ids[i - 1];
        memcpy(keys->keys[i], keys->keys[i - 1], NECPNET_VOICE_KEY_BYTES);
    }
    keys->ids[0] = key_id;
    memcpy(keys->keys[0], key, NECPNET_VOICE_KEY_BYTES);
    return NECPNET_OK;
}

NN_PRIVATE size_t nn_voice_seal(nn_voice_keys* keys, uint16_t associated, const uint8_t* data, size_t bytes,
                                uint8_t* out)
{
    uint8_t header[2 + 1 + SEAL_ID_BYTES + 4];
    if (keys->counter == UINT32_MAX) return 0;
    uint32_t counter = keys->counter++;
    size_t counter_bytes = counter < 0x100 ? 1 : counter < 0x10000 ? 2 : counter < 0x1000000 ? 3 : 4;
    /* X 1, K 7 (8 bytes), Y 1, C bytes - 1: RFC 9605 4.3 */
    header[0] = (uint8_t)(0x80u | 7u << 4 | 0x08u | (unsigned)(counter_bytes - 1));
    seal_store_big(header + 1, keys->sealer_id, SEAL_ID_BYTES);
    seal_store_big(header + 1 + SEAL_ID_BYTES, counter, counter_bytes);
    size_t head = 1 + SEAL_ID_BYTES + counter_bytes;
    nn_store_u16(header + head, associated);
    memcpy(out, header, head);
    nn_copy(out + head, data, bytes);
    nn_aead_seal(keys->sealer, counter, header, head + 2, out + head, bytes, out + head + bytes);
    return head + bytes + NN_AEAD_TAG_BYTES;
}

/* Whether a counter is new; RFC 9605 9.3. */
static bool opener_is_new(const nn_voice_opener* opener, uint32_t counter)
{
    if (!opener->has_newest || counter > opener->newest) return true;
    uint32_t back = opener->newest - counter;
    return back < 64 && !(opener->seen >> back & 1);
}

static void opener_note(nn_voice_opener* opener, uint32_t counter)
{
    if (!opener->has_newest) {
        opener->has_newest = true;
        opener->newest = counter;
        opener->seen = 1;
    } else if (counter > opener->newest) {
        uint32_t ahead = counter - opener->newest;
        opener->seen = ahead < 64 ? opener->seen << ahead | 1u : 1;
        opener->newest = counter;
    } else {
        opener->seen |= UINT64_C(1) << (opener->newest - counter);
    }
}

NN_PRIVATE void nn_voice_opener_reset(nn_voice_opener* opener)
{
    nn_aead_destroy(opener->aead);
    memset(opener, 0, sizeof *opener);
}

NN_PRIVATE bool nn_voice_open(nn_voice_keys* keys, nn_voice_opener* opener, uint16_t associated, uint8_t* data,
                              size_t bytes, const uint8_t** out_data, size_t* out_bytes, uint32_t* out_key_id,
                              bool* out_missing)
{
    uint8_t header[2 + 1 + SEAL_ID_BYTES + 4];
    *out_key_id = bytes > 1 ? data[1] : 0;
    *out_missing = false;
    if (bytes < 1 + SEAL_ID_BYTES + 1 + NN_AEAD_TAG_BYTES || (data[0] & 0xfcu) != 0xf8u) return false;
    size_t counter_bytes = (data[0] & 3u) + 1u;
    size_t head = 1 + SEAL_ID_BYTES + counter_bytes;
    if (bytes < head + NN_AEAD_TAG_BYTES) return false;
    uint64_t id = 0;
    uint32_t counter = 0;
    for (size_t i = 0; i < SEAL_ID_BYTES; i++) id = id << 8 | data[1 + i];
    for (size_t i = 0; i < counter_bytes; i++) counter = counter << 8 | data[1 + SEAL_ID_BYTES + i];
    const uint8_t* key = *out_key_id ? seal_find(keys, *out_key_id) : NULL;
    if (!key) {
        *out_missing = true;
        return false;
    }
    nn_aead* aead = opener->id == id ? opener->aead : NULL;
    if (!aead && seal_derive(keys->alloc, key, id, &aead)) return false;
    bool is_known = aead == opener->aead;
    memcpy(header, data, head);
    nn_store_u16(header + head, associated);
    size_t plain = bytes - head - NN_AEAD_TAG_BYTES;
    bool opened = (!is_known || opener_is_new(opener, counter)) &&
                  nn_aead_open(aead, counter, header, head + 2, data + head, plain, data + head + plain);
    if (!opened) {
        if (!is_known) nn_aead_destroy(aead);
        return false;
    }
    if (!is_known) { /* a key of its own proves itself before it takes the place of the last */
        nn_voice_opener_reset(opener);
        opener->aead = aead;
        opener->id = id;
    }
    opener_note(opener, counter);
    *out_data = data + head;
    *out_bytes = plain;
    return true;
}
