/* nn_user_ids - an engine's own 64-bit numbers of entities, found both ways: here from its number to the entity; the way back
 * is in the slot of each. */
#ifndef NN_USER_IDS_H
#define NN_USER_IDS_H

#include "nn_alloc.h"

typedef struct nn_user_id {
    uint64_t id;
    necpnet_entity entity; /* NECPNET_ENTITY_NONE: nothing here */
} nn_user_id;

typedef struct nn_user_ids {
    nn_alloc* alloc;
    nn_user_id* places; /* open addressing, at most two thirds full */
    uint32_t capacity;  /* 0, or a power of two */
    uint32_t count;
} nn_user_ids;

NN_PRIVATE void nn_user_ids_init(nn_user_ids* ids, nn_alloc* alloc);
NN_PRIVATE void nn_user_ids_reset(nn_user_ids* ids);

/* nn_user_ids_find - the entity of a number, or NECPNET_ENTITY_NONE. */
NN_PRIVATE necpnet_entity nn_user_ids_find(const nn_user_ids* ids, uint64_t id);

/* nn_user_ids_change - an entity has another number than before; 0 is none. *slot_id is what its slot says, before and after.
 *
 * Returns OK | ERR_ALREADY_EXISTS (of another entity) | ERR_OUT_OF_MEMORY; after an error all is as before.
 */
NN_PRIVATE necpnet_result nn_user_ids_change(nn_user_ids* ids, necpnet_entity entity, uint64_t* slot_id, uint64_t id);

#endif
