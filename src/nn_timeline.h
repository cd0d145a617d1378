/* nn_timeline - the states of an entity that both sides surely have, from which the next one is predicted. */
#ifndef NN_TIMELINE_H
#define NN_TIMELINE_H

#include "nn_base.h"

#define NN_TIMELINE_MAX 36 /* states of a timeline, and points of its grid */

/* Known states, newest first. */
typedef struct nn_timeline {
    uint32_t now; /* the tick to predict */
    uint32_t count;
    uint32_t ticks[NN_TIMELINE_MAX];
    const uint32_t* rows[NN_TIMELINE_MAX];
} nn_timeline;

#endif
