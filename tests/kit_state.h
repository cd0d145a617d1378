/* kit_state - random schemas and random motion for the tests of state sync. */
#ifndef KIT_STATE_H
#define KIT_STATE_H

#include "nn_random.h"
#include "nn_schema.h"

#define KIT_TYPES_MAX 5
#define KIT_FIELDS_MAX 10

/* Storage of a random schema; kept until the schema is made. */
typedef struct kit_schema {
    necpnet_entity_type types[KIT_TYPES_MAX];
    necpnet_field fields[KIT_TYPES_MAX][KIT_FIELDS_MAX];
    int type_count;
} kit_schema;

/* kit_schema_random - valid types of all kinds of fields; with restricted: some for the owner, some for all others. */
void kit_schema_random(kit_schema* kit, nn_random* random, bool restricted);

/* kit_state_random - values within their ranges, all over them. */
void kit_state_random(const necpnet_entity_type* type, nn_random* random, void* state);

/* kit_state_move - change some fields: mostly a little, sometimes all over the range. */
void kit_state_move(const necpnet_entity_type* type, nn_random* random, void* state);

#endif
