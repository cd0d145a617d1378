/* nn_series - a field's past as points of an even grid, newest first, in
 * sixteenths of a step from the newest one. Integers alone; src/PROTOCOL.md
 * "Prediction".
 *
 * Points are loaded as far back as somebody asks. Where they are known states,
 * which is nearly always, that is a copy.
 */
#ifndef NN_SERIES_H
#define NN_SERIES_H

#include "nn_quaternion.h"
#include "nn_timeline.h"

#define NN_LEAD_MAX 12    /* whole steps that predictors are judged over */
#define NN_NEAR_POINTS 6  /* beyond the lead, that predictors of what is near look at */
#define NN_SERIES_BITS 20 /* points are that large at most */
#define NN_SERIES_PAD 8   /* zeroes behind the end */

/* The points: tick 0 of the timeline, and so on each `step` ticks earlier. */
typedef struct nn_grid {
    const nn_timeline* timeline;
    uint32_t step;
    uint32_t size;
    uint32_t lead_16;               /* sixteenths of a step from the newest state to now */
    uint32_t lead;                  /* whole steps, for judging */
    uint32_t run;                   /* so many points from the first on are states, one after the
                   other */
    bool even;                      /* every point is a state; then these count for nothing: */
    uint8_t at[NN_TIMELINE_MAX];    /* the state at or before each point */
    uint8_t share[NN_TIMELINE_MAX]; /* how far it is towards that one from the
                                     next newer one, in sixteenths */
} nn_grid;

typedef struct nn_series {
    int32_t x[3][NN_TIMELINE_MAX + NN_SERIES_PAD];
    int64_t base[3];  /* the newest, in sixteenths of a step */
    uint8_t scale[3]; /* x is times 2 to this */
    const nn_field_plan* field;
    const nn_grid* grid;
    unsigned count;    /* components */
    unsigned size;     /* points that there are */
    unsigned loaded;   /* of them */
    unsigned largest;  /* QUAT: the component that is left out */
    bool turned;       /* QUAT: a state has left out another one */
    int64_t before[4]; /* QUAT: the state before, then */
    int64_t angle;     /* ANGLE: the state before, and with its turns */
    int64_t followed;
} nn_series;

NN_PRIVATE void nn_grid_lay(nn_grid* grid, const nn_timeline* timeline);

NN_INLINE uint32_t nn_grid_tick(const nn_grid* grid, unsigned point)
{
    return grid->timeline->ticks[0] - point * grid->step;
}

/* nn_grid_state - the row of a point, or NULL if it is no state. */
NN_INLINE const uint32_t* nn_grid_state(const nn_grid* grid, unsigned point)
{
    if (point >= grid->size) return NULL;
    unsigned at = grid->even ? point : grid->at[point];
    return grid->timeline->ticks[at] == nn_grid_tick(grid, point) ? grid->timeline->rows[at] : NULL;
}

/* nn_series_begin - of a field that moves. */
NN_PRIVATE void nn_series_begin(nn_series* series, const nn_field_plan* field, const nn_grid* grid);

/* nn_grid_lead - whole steps that predictors are judged over. */
NN_INLINE unsigned nn_grid_lead(const nn_grid* grid)
{
    unsigned lead = (grid->size - 1) / 2;
    if (lead > grid->lead) lead = grid->lead;
    return lead < 1 ? 1 : lead;
}

/* nn_series_load - points up to `to` at least, as far as there are. The first
 * call finds out how coarse they are. */
NN_PRIVATE void nn_series_load(nn_series* series, unsigned to);

#endif
