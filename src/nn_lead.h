/* nn_lead - entities that carry others: a state is predicted as if it were fixed to one whose state now is known already.
 *
 * A frame names its leads; their states come first in it, and what they did since a known state moves the others along:
 * the way of a lead, and if both have a quaternion and a 3-vector, its rotation. Whether an entity is taken for a rider is
 * found out from its past, as with all predictors. Integers alone; src/PROTOCOL.md "Leads".
 */
#ifndef NN_LEAD_H
#define NN_LEAD_H

#include "nn_quaternion.h"
#include "nn_timeline.h"

#define NN_LEADS_MAX 8        /* of a frame */
#define NN_LEADS_ENTITY_MAX 2 /* that one entity is tried with */
#define NN_LEAD_TURNS 4       /* kept, of those asked for of late */

/* What a lead did between two ticks. */
typedef struct nn_lead_turn {
    uint32_t from;
    uint32_t to;
    bool good;
    bool turns;
    int64_t begin[3]; /* its position, in sixteenths of its steps */
    int64_t end[3];
    int64_t rotation[4]; /* x, y, z, w, times 2^18 */
} nn_lead_turn;

typedef struct nn_lead {
    uint16_t place; /* its slot */
    bool present;   /* its state now is known */
    uint32_t count; /* states, the first is that of now */
    uint32_t ticks[NN_TIMELINE_MAX + 1];
    uint32_t words[NN_TIMELINE_MAX + 1][7]; /* position, then quaternion */
    const nn_field_plan* position;
    const nn_field_plan* rotation; /* NULL: none */
    nn_lead_turn turns[NN_LEAD_TURNS];
    unsigned turn_count;
} nn_lead;

typedef struct nn_leads {
    unsigned count;
    nn_lead leads[NN_LEADS_MAX];
} nn_leads;

/* nn_lead_position, nn_lead_rotation - the fields that riding is about, or NULL: the first VEC3, else the first VEC2; the
 * first QUAT, beside a VEC3. */
NN_PRIVATE const nn_field_plan* nn_lead_position(const nn_type_plan* plan);
NN_PRIVATE const nn_field_plan* nn_lead_rotation(const nn_type_plan* plan);

/* nn_lead_set - the state of a lead now, beside its timeline. Nothing is kept of the rows. */
NN_PRIVATE void nn_lead_set(nn_lead* lead, const nn_type_plan* plan, const nn_timeline* timeline, const uint32_t* row);

/* nn_lead_get_rotation - from one tick to another: x, y, z, w, times 2^18. False if it is not known. */
NN_PRIVATE bool nn_lead_get_rotation(nn_lead* lead, uint32_t from, uint32_t to, int64_t rotation[4]);

/* nn_leads_find - the one at a slot, or NULL. */
NN_PRIVATE nn_lead* nn_leads_find(nn_leads* leads, uint16_t place);

/* nn_leads_of - leads that a state of an entity may follow, at most NN_LEADS_ENTITY_MAX: that which an entity field of row
 * names, else the first ones. Returns how many. */
NN_PRIVATE unsigned nn_leads_of(nn_leads* leads, const nn_type_plan* plan, const uint32_t* row,
                                nn_lead* out[NN_LEADS_ENTITY_MAX]);

/* nn_lead_carry - a position (in sixteenths of a step of field) along with the lead, or a rotation. False if it does not
 * have both states, or goes too far. */
NN_PRIVATE bool nn_lead_carry(nn_lead* lead, const nn_field_plan* field, uint32_t from, uint32_t to,
                              const int64_t position[3], int64_t out[3]);
NN_PRIVATE bool nn_lead_turn_with(nn_lead* lead, uint32_t from, uint32_t to, const int64_t rotation[4], int64_t out[4]);

#endif
