/* nn_habits - what was found out about how a field moves, for as long as it counts.
 *
 * Which of the predictors for smooth motion do best is asked of a field's past only up to a tick that stays the same for a
 * while (src/PROTOCOL.md "Prediction"): all frames until then, to all clients that have the same of that past, come to the
 * same. So it is kept, under a hash of what it follows from. Whether it was kept makes no difference but of time.
 */
#ifndef NN_HABITS_H
#define NN_HABITS_H

#include "nn_alloc.h"

#define NN_HABIT_NONE 255 /* as a predictor */

typedef struct nn_habit {
    uint64_t key;   /* 0: of nothing */
    int32_t rate;   /* of a turn: see nn_spin */
    uint16_t stamp; /* low bits of the tick when it was asked for last */
    uint8_t first;  /* the best predictors, or NN_HABIT_NONE */
    uint8_t second;
} nn_habit;

/* Zero is a good beginning. */
typedef struct nn_habits {
    nn_habit* entries;
    unsigned bits;
    uint32_t kept;    /* so far, since it was last asked whether there is room enough */
    uint32_t crowded; /* of them those that took the place of another that was in use */
    uint32_t subject; /* of what is asked now: an entity's number */
} nn_habits;

NN_PRIVATE void nn_habits_reset(nn_habits* habits, nn_alloc* alloc);

/* nn_habits_prepare - room, before what may keep some; without memory there is less. */
NN_PRIVATE void nn_habits_prepare(nn_habits* habits, nn_alloc* alloc);

/* nn_habits_find - what is kept under a key, or NULL. stamp: now. */
NN_PRIVATE const nn_habit* nn_habits_find(nn_habits* habits, uint64_t key, uint16_t stamp);

NN_PRIVATE void nn_habits_keep(nn_habits* habits, const nn_habit* habit);

NN_INLINE uint64_t nn_habit_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

#endif
