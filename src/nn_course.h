/* nn_course - what moves evenly for long: a line through the means of three groups of points, and of a quaternion that turns
 * at a constant rate the wave through them. Integers alone; src/PROTOCOL.md "Prediction".
 *
 * It is fitted to points as far back as to be judged by the newest ones, and asked from there on.
 */
#ifndef NN_COURSE_H
#define NN_COURSE_H

#include "nn_bank.h"

typedef struct nn_course {
    int64_t middle;  /* 1/32 steps from the middle of its points to the newest one */
    int64_t mean[3]; /* of a component there, in 1/4,096 of a step */
    int64_t way[3];  /* what it moves in half a square of a group's length, times its length: see course_say */
    int64_t base[3]; /* that the wave is counted from, in sixteenths */
    int64_t turn;    /* square of what it turns while a group goes by, times 2^24; 0: it does not */
    unsigned bits;   /* of a group's length */
} nn_course;

/* nn_course_seek - of a series' points from `lead` on, loaded when it returns. False if there are too few, or it turns too fast. */
NN_PRIVATE bool nn_course_seek(nn_course* course, nn_series* series, unsigned lead);

/* nn_course_say - where it is then, in sixteenths of a step from the newest point. ahead_16: of a step, from the newest point. */
NN_PRIVATE void nn_course_say(const nn_course* course, const nn_series* series, int64_t ahead_16, int64_t values[3]);

/* nn_course_judge - errors by component, as of the bank. */
NN_PRIVATE void nn_course_judge(const nn_course* course, const nn_series* series, int64_t errors[3]);

#endif
