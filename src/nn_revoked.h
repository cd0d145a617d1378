/* nn_revoked - connect tokens that are refused before their time: one by its id, or all of a client issued until now.
 *
 * A revocation is kept until every token that it can mean has expired, and is forgotten then. When there are too many, all
 * tokens issued so far are refused instead: clients fetch a new one, and nothing revoked comes in.
 */
#ifndef NN_REVOKED_H
#define NN_REVOKED_H

#include "nn_alloc.h"

#define NN_REVOKED_MAX 4096u
#define NN_REVOKED_ID_BYTES 16u
/* The longest life of a token, and how far in the future one may have been issued. */
#define NN_REVOKED_KEEP_US (UINT64_C(45000000) + UINT64_C(60000000))

typedef struct nn_revocation {
    uint8_t id[NN_REVOKED_ID_BYTES]; /* of a token; of a client its id, then zeroes */
    bool is_client;
    uint64_t at_us; /* wall time */
} nn_revocation;

typedef struct nn_revoked {
    nn_alloc* alloc;
    nn_revocation* entries; /* ascending by kind and id */
    uint32_t count;
    uint32_t capacity;
    uint32_t count_max;
    uint64_t floor_us; /* tokens issued before are refused */
} nn_revoked;

NN_PRIVATE void nn_revoked_init(nn_revoked* revoked, nn_alloc* alloc, uint32_t count_max);
NN_PRIVATE void nn_revoked_reset(nn_revoked* revoked);

/* nn_revoked_add_token, nn_revoked_add_client - from now on, until it means nothing any more. Without room or memory the
 * floor rises to wall_us: it always takes effect. */
NN_PRIVATE void nn_revoked_add_token(nn_revoked* revoked, const uint8_t id[NN_REVOKED_ID_BYTES], uint64_t wall_us);
NN_PRIVATE void nn_revoked_add_client(nn_revoked* revoked, uint64_t client_id, uint64_t wall_us);

/* nn_revoked_has - whether a token with these facts is refused. */
NN_PRIVATE bool nn_revoked_has(const nn_revoked* revoked, const uint8_t id[NN_REVOKED_ID_BYTES], uint64_t client_id,
                               uint64_t issued_us);

#endif
