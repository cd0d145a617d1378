/* nn_handshake_cache - what a server remembers of handshakes: the ids of spent tokens, and the ACCEPTs of late. */
#ifndef NN_HANDSHAKE_CACHE_H
#define NN_HANDSHAKE_CACHE_H

#include "nn_alloc.h"

#define NN_SPENT_ID_BYTES 16u
#define NN_SPENT_KEEP_US UINT64_C(60000000) /* ids outlive their tokens by this, lest the wall clock step back */

/* Token ids, each until it expires: a hash table with linear probing that is rebuilt when it fills up. */
typedef struct nn_spent_entry {
    uint8_t id[NN_SPENT_ID_BYTES];
    uint64_t expires_us; /* 0: empty */
} nn_spent_entry;

typedef struct nn_spent {
    nn_alloc* alloc;
    nn_spent_entry* entries;
    size_t capacity; /* power of two, or 0 */
    size_t count;
    size_t count_max;
} nn_spent;

NN_PRIVATE void nn_spent_init(nn_spent* spent, nn_alloc* alloc, size_t count_max);
NN_PRIVATE void nn_spent_reset(nn_spent* spent);
NN_PRIVATE bool nn_spent_has(const nn_spent* spent, const uint8_t id[NN_SPENT_ID_BYTES]);

/* nn_spent_reserve - room for one more. OK | ERR_LIMIT_REACHED (count_max unexpired ids) | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_spent_reserve(nn_spent* spent, uint64_t wall_us);

/* nn_spent_spend - all at once: OK | ERR_TOKEN_SPENT | as nn_spent_reserve. */
NN_PRIVATE necpnet_result nn_spent_spend(nn_spent* spent, const uint8_t id[NN_SPENT_ID_BYTES], uint64_t expires_us,
                                         uint64_t wall_us);

/* Who remembers what is spent: this server alone, or all workers of a process together. */
typedef struct nn_spending {
    bool (*has)(void* user, const uint8_t* id);
    necpnet_result (*reserve)(void* user, uint64_t wall_us); /* as nn_spent_reserve */
    necpnet_result (*spend)(void* user, const uint8_t* id, uint64_t expires_us, uint64_t wall_us);
    void* user;
} nn_spending;

/* nn_spent_add - after nn_spent_reserve; must not be there yet. expires_us > 0. */
NN_PRIVATE void nn_spent_add(nn_spent* spent, const uint8_t id[NN_SPENT_ID_BYTES], uint64_t expires_us);

#define NN_ACCEPT_KEY_BYTES 36u /* client connection id 4, nonce 32 */

typedef struct nn_accept_entry {
    uint8_t key[NN_ACCEPT_KEY_BYTES];
    uint32_t next; /* in its chain: number, or UINT32_MAX */
    uint64_t made_us;
    uint8_t* data;
    size_t bytes;
} nn_accept_entry;

/* ACCEPTs by (client connection id, nonce): a ring in the order of making, with chains from a hash. */
typedef struct nn_accepts {
    nn_alloc* alloc;
    nn_accept_entry* entries;
    uint32_t* heads;
    uint32_t capacity; /* power of two, or 0 */
    uint32_t first;    /* the oldest */
    uint32_t count;
    uint32_t capacity_max;
    uint64_t life_us;
    uint8_t hash_key[16];
} nn_accepts;

/* nn_accepts_init - capacity_max is a power of two of at least 64. */
NN_PRIVATE void nn_accepts_init(nn_accepts* accepts, nn_alloc* alloc, uint32_t capacity_max, uint64_t life_us,
                                const uint8_t hash_key[16]);
NN_PRIVATE void nn_accepts_reset(nn_accepts* accepts);

/* nn_accepts_expire - forget those that are older than life_us. */
NN_PRIVATE void nn_accepts_expire(nn_accepts* accepts, uint64_t now_us);

/* nn_accepts_find - a view until the next put; NULL if there is none of that key younger than life_us. */
NN_PRIVATE const uint8_t* nn_accepts_find(nn_accepts* accepts, const uint8_t key[NN_ACCEPT_KEY_BYTES], uint64_t now_us,
                                          size_t* out_bytes);

/* nn_accepts_take_back - forget what the last put remembered. */
NN_PRIVATE void nn_accepts_take_back(nn_accepts* accepts);

/* nn_accepts_put - remember a copy; what is too old, and if need be the oldest, goes. OK | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_accepts_put(nn_accepts* accepts, const uint8_t key[NN_ACCEPT_KEY_BYTES],
                                         const uint8_t* data, size_t bytes, uint64_t now_us);

#endif
