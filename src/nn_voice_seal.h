/* nn_voice_seal - packets sealed from speaker to listener, in the manner of SFrame (RFC 9605).
 *
 * A sealed payload is SFrame's header, the ciphertext, the tag. The header: a configuration byte, the key id (8 bytes: the
 * application's in the first, the speaker's random number in the others, so that no two speakers ever share a key and
 * counter), the counter (1 .. 4 bytes). From the shared key and key id come key and salt as in RFC 9605 4.4.2, with
 * HKDF-SHA-256 and ChaCha20-Poly1305, which is no suite of the registry. Authenticated with it: the header, and
 * the two bytes of the VOICE frame that no server changes.
 */
#ifndef NN_VOICE_SEAL_H
#define NN_VOICE_SEAL_H

#include "nn_aead.h"
#include "nn_crypto.h"

#define NN_VOICE_SEAL_BYTES_MAX (1u + 8u + 4u + NN_AEAD_TAG_BYTES)
#define NN_VOICE_KEYS_MAX 4u

/* The keys that a player knows, and what he seals with. */
typedef struct nn_voice_keys {
    nn_alloc* alloc;
    uint32_t ids[NN_VOICE_KEYS_MAX]; /* 0 none; the newest first */
    uint8_t keys[NN_VOICE_KEYS_MAX][NECPNET_VOICE_KEY_BYTES];
    nn_aead* sealer; /* NULL: in clear */
    uint64_t sealer_id;
    uint32_t counter;
} nn_voice_keys;

/* What one listener keeps of one speaker: the key at work, and which counters came. */
typedef struct nn_voice_opener {
    nn_aead* aead;
    uint64_t id;
    uint64_t seen; /* bit n: counter newest - n */
    uint32_t newest;
    bool has_newest;
} nn_voice_opener;

NN_PRIVATE void nn_voice_keys_init(nn_voice_keys* keys, nn_alloc* alloc);
NN_PRIVATE void nn_voice_keys_reset(nn_voice_keys* keys);

/* nn_voice_keys_set - results as necpnet_voice_set_key. */
NN_PRIVATE necpnet_result nn_voice_keys_set(nn_voice_keys* keys, const necpnet_entropy* entropy, uint32_t key_id,
                                            const uint8_t* key);

/* nn_voice_seal - payload in out; its bytes, 0 when the counter is used up: a new key is needed.
 *
 *   out  bytes + NN_VOICE_SEAL_BYTES_MAX.
 */
NN_PRIVATE size_t nn_voice_seal(nn_voice_keys* keys, uint16_t associated, const uint8_t* data, size_t bytes,
                                uint8_t* out);

/* nn_voice_open - in place; *out_data is behind the header. False: no key, changed, or seen before.
 *
 *   out_key_id  the application's, also on failure.
 *   out_missing whether there is no such key.
 */
NN_PRIVATE bool nn_voice_open(nn_voice_keys* keys, nn_voice_opener* opener, uint16_t associated, uint8_t* data,
                              size_t bytes, const uint8_t** out_data, size_t* out_bytes, uint32_t* out_key_id,
                              bool* out_missing);
NN_PRIVATE void nn_voice_opener_reset(nn_voice_opener* opener);

#endif
