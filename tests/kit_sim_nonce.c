/* kit_sim_nonce - every sealing is seen: no key seals two texts under one number.
 *
 * The linker puts these functions in the place of nn_aead_seal and nn_aead_seal_once (--wrap), for the simulation alone. A
 * key is known by its iv, which is derived beside it from the same secret; so two runs of one key have one iv.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include "nn_aead.h"

typedef struct sim_nonce {
    uint8_t iv[NN_AEAD_IV_BYTES];
    uint64_t number; /* packets: the last; messages: their number */
    uint64_t text;   /* messages: a hash of what was sealed */
    bool once;
} sim_nonce;

typedef struct sim_nonces {
    sim* world;
    sim_nonce* rows;
    uint32_t count;
    uint32_t capacity; /* a power of two; open addressing */
} sim_nonces;

static sim_nonces sim_nonces_now;

void __real_nn_aead_seal(nn_aead* aead, uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                         size_t bytes, uint8_t* tag);
bool __real_nn_aead_seal_once(uint32_t suite, const uint8_t* key, const uint8_t* iv, uint64_t number,
                              const uint8_t* header, size_t header_bytes, uint8_t* data, size_t bytes, uint8_t* tag);
void __wrap_nn_aead_seal(nn_aead* aead, uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                         size_t bytes, uint8_t* tag);
bool __wrap_nn_aead_seal_once(uint32_t suite, const uint8_t* key, const uint8_t* iv, uint64_t number,
                              const uint8_t* header, size_t header_bytes, uint8_t* data, size_t bytes, uint8_t* tag);

static uint64_t sim_nonce_hash(uint64_t hash, const uint8_t* data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ data[i]) * UINT64_C(1099511628211);
    return hash;
}

/* The row of an iv (and, for messages, a number); fresh ones have count changed. */
static sim_nonce* sim_nonce_row(const uint8_t* iv, uint64_t number, bool once, bool* out_fresh)
{
    sim_nonces* nonces = &sim_nonces_now;
    if (nonces->count * 2 >= nonces->capacity) {
        sim_nonce* old = nonces->rows;
        uint32_t old_capacity = nonces->capacity;
        nonces->capacity = old_capacity ? old_capacity * 2 : 256;
        nonces->rows = (sim_nonce*)calloc(nonces->capacity, sizeof(sim_nonce));
        nonces->count = 0;
        for (uint32_t i = 0; i < old_capacity; i++) {
            bool fresh;
            if (old[i].text) *sim_nonce_row(old[i].iv, old[i].number, old[i].once, &fresh) = old[i];
        }
        free(old);
    }
    uint64_t hash = sim_nonce_hash(once ? number + 1 : 0, iv, NN_AEAD_IV_BYTES);
    uint32_t at = (uint32_t)(hash ^ hash >> 32) & (nonces->capacity - 1);
    for (;; at = (at + 1) & (nonces->capacity - 1)) {
        sim_nonce* row = &nonces->rows[at];
        *out_fresh = row->text == 0;
        if (*out_fresh) {
            nonces->count++;
            memcpy(row->iv, iv, NN_AEAD_IV_BYTES);
            row->once = once;
            return row;
        }
        bool same = row->once == once && (!once || row->number == number);
        if (same && !memcmp(row->iv, iv, NN_AEAD_IV_BYTES)) return row;
    }
}

void __wrap_nn_aead_seal(nn_aead* aead, uint64_t number, const uint8_t* header, size_t header_bytes, uint8_t* data,
                         size_t bytes, uint8_t* tag)
{
    if (sim_nonces_now.world) {
        bool fresh;
        sim_nonce* row = sim_nonce_row(aead->iv, 0, false, &fresh);
        if (!fresh && number <= row->number) {
            sim_fail(sim_nonces_now.world, "a key seals packet number %llu after %llu", (unsigned long long)number,
                     (unsigned long long)row->number);
        }
        row->number = number;
        row->text = 1;
    }
    __real_nn_aead_seal(aead, number, header, header_bytes, data, bytes, tag);
}

bool __wrap_nn_aead_seal_once(uint32_t suite, const uint8_t* key, const uint8_t* iv, uint64_t number,
                              const uint8_t* header, size_t header_bytes, uint8_t* data, size_t bytes, uint8_t* tag)
{
    if (sim_nonces_now.world) {
        bool fresh;
        uint64_t text = sim_nonce_hash(sim_nonce_hash(header_bytes, header, header_bytes), data, bytes) | 1;
        sim_nonce* row = sim_nonce_row(iv, number, true, &fresh);
        if (!fresh && row->text != text) {
            sim_fail(sim_nonces_now.world, "a key of the handshake seals two texts under number %llu",
                     (unsigned long long)number);
        }
        row->number = number;
        row->text = text;
    }
    return __real_nn_aead_seal_once(suite, key, iv, number, header, header_bytes, data, bytes, tag);
}

void sim_nonces_begin(sim* world)
{
    memset(&sim_nonces_now, 0, sizeof sim_nonces_now);
    sim_nonces_now.world = world;
}

void sim_nonces_end(sim* world)
{
    (void)world;
    free(sim_nonces_now.rows);
    memset(&sim_nonces_now, 0, sizeof sim_nonces_now);
}
