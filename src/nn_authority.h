/* nn_authority - who may write an entity: what the server's and the client's side of it share. src/PROTOCOL.md "Authority".
 */
#ifndef NN_AUTHORITY_H
#define NN_AUTHORITY_H

#include "nn_bytes.h"
#include "nn_schema.h"

#define NN_CONTROL_STATE 16 /* first byte of a CONTROL message; the second: */

typedef enum nn_state_control {
    NN_STATE_LEASE = 1,  /* from a server: entity (4), sequence (2), 0 or 1 (1); with 1 the entity's state */
    NN_STATE_LIST = 2,   /* from a server: 1 (1): all that this client has authority over follows; 0: that was all */
    NN_STATE_DENIED = 3, /* from a server: entity (4) */
    NN_STATE_ANSWER =
        4, /* from a server: entity (4), number (varint), verdict (1), tick (varint); unless accepted the state */
    NN_STATE_REQUEST = 8, /* from a client: entity (4) */
    NN_STATE_RELEASE = 9, /* from a client: entity (4), sequence (2) */
    NN_STATE_REPAIR = 10  /* from a client: slot (2) */
} nn_state_control;

/* Longest of them, with both bytes before. */
#define NN_STATE_CONTROL_BYTES_MAX (2 + 4 + 8 + 1 + 8 + NN_STATE_BYTES_MAX + 8)

typedef enum nn_verdict {
    NN_VERDICT_ACCEPTED = 0,
    NN_VERDICT_CLAMPED = 1,
    NN_VERDICT_REFUSED = 2,
    NN_VERDICT_CONFLICT = 3
} nn_verdict;

#define NN_VERDICTS 4
#define NN_ANSWER_OWNER 128u /* with the verdict: the state is as its owner sees it */

/* Flags of a write. */
#define NN_WRITE_SHARED 1u /* the tick that it is based on follows */
#define NN_WRITE_WHOLE 2u  /* all fields that the client may write are here, and no mask */

/* One field of a type as a plan of its own, so that nn_row_write and nn_row_read work on a field. */
typedef struct nn_field_alone {
    nn_type_plan plan;
} nn_field_alone;

NN_INLINE const nn_type_plan* nn_field_of(nn_field_alone* alone, const nn_type_plan* plan, unsigned index)
{
    alone->plan = *plan;
    alone->plan.fields = &plan->fields[index];
    alone->plan.field_count = 1;
    alone->plan.row_words = 0; /* nothing else of the row is touched */
    return &alone->plan;
}

/* nn_field_writable - whether a client that may write an entity may write this field. */
NN_INLINE bool nn_field_writable(const nn_field_plan* field)
{
    return !(field->field->flags & (NECPNET_FIELD_NOT_OWNER | NECPNET_FIELD_SERVER));
}

#endif
