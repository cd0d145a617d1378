/* nn_course - three sums, and what follows from them. */
#include "nn_course.h"

#define COURSE_ONE (INT64_C(1) << 24)
#define COURSE_FINE 8                     /* bits of a mean behind a sixteenth of a step */
#define COURSE_TWELFTH 43691              /* of 2^19 */
#define COURSE_SQUARE_BITS 28             /* of a quaternion's length, at most */
#define COURSE_CHORD_MAX (COURSE_ONE / 4) /* square, of a group's length */
#define COURSE_ANGLE_MAX COURSE_ONE       /* square, from the middle on */

/* Sums of three groups of points. */
typedef struct course_sums {
    int64_t all;
    int64_t middle; /* of the second */
    int64_t way;    /* first less third */
} course_sums;

static course_sums course_add(const int32_t* x, unsigned length)
{
    int32_t sums[3] = {0, 0, 0};
    for (unsigned i = 0; i < length; i++) {
        sums[0] += x[i];
        sums[1] += x[i + length];
        sums[2] += x[i + 2 * length];
    }
    course_sums of = {sums[0] + sums[1] + sums[2], sums[1], sums[0] - sums[2]};
    return of;
}

/* The square of the angle that it turns by while a group goes by: from the chord between the means of the first and the last
 * group, the fourth component's share of it from the length being 1. Below 0: it cannot be told. */
static int64_t course_angle(const nn_course* course, const nn_series* series, const course_sums sums[3])
{
    int64_t square = nn_quaternion_square(series->field);
    unsigned bits = nn_bits_for((uint64_t)square);
    unsigned shift = bits > COURSE_SQUARE_BITS ? (bits - COURSE_SQUARE_BITS + 1) / 2 : 0;
    int64_t length_square = (square >> 2 * shift) << 2 * course->bits; /* as large as the square of a group's sum */
    int64_t fourth = length_square;
    int64_t chord = 0;
    int64_t along = 0;
    for (unsigned c = 0; c < 3; c++) {
        int64_t at = (sums[c].middle + course->base[c] * (1 << course->bits)) >> shift;
        int64_t way = sums[c].way >> shift;
        fourth -= at * at;
        chord += way * way;
        along += at * way;
    }
    if (fourth < length_square / 16 || chord >= length_square) return -1;
    if (along < 0) along = -along;
    fourth -= (chord + (along * ((along << 16) / fourth) >> 16)) / 48; /* means lie within the sphere */
    if (fourth < length_square / 16) return -1;
    chord += along * ((along << 16) / fourth) >> 16;
    int64_t z = (chord << 22) / length_square; /* a quarter of it, times 2^24 */
    if (z >= COURSE_CHORD_MAX) return -1;
    int64_t zz = z * z >> 24;
    return z + 5 * zz / 12 + 49 * (zz * z >> 24) / 180 + 16 * (zz * zz >> 24) / 75;
}

/* sin(a) / a of the square of an angle. */
static int64_t course_sine(int64_t square)
{
    int64_t again = square * square >> 24;
    return COURSE_ONE - square / 6 + again / 120 - (again * square >> 24) / 5040;
}

static int64_t course_cosine(int64_t square)
{
    int64_t again = square * square >> 24;
    return COURSE_ONE - square / 2 + again / 24 - (again * square >> 24) / 720;
}

NN_PRIVATE bool nn_course_seek(nn_course* course, nn_series* series, unsigned lead)
{
    course_sums sums[3];
    bool turns = series->field->kind == NECPNET_FIELD_QUAT;
    if (lead + 12 > series->size) return false;
    course->bits = lead + 24 > series->size ? 2 : 3;
    unsigned length = 1u << course->bits;
    nn_series_load(series, lead + 3 * length);
    course->middle = 16 * (int64_t)(2 * lead + 3 * length - 1);
    course->turn = 0;
    for (unsigned c = 0; c < series->count; c++) {
        sums[c] = course_add(series->x[c] + lead, length);
        course->mean[c] = sums[c].all * COURSE_TWELFTH >> (17 + course->bits - COURSE_FINE);
        course->way[c] = sums[c].way;
        course->base[c] = series->base[c] - (int64_t)(series->field->range / 2) * 16;
    }
    if (!turns) return true;
    int64_t angle = course_angle(course, series, sums);
    int64_t furthest = course->middle + 2 * (int64_t)nn_min_u64(series->grid->lead_16, 16 * NN_LEAD_MAX);
    if (angle < 0 || angle * furthest * furthest >> (10 + 2 * course->bits) > COURSE_ANGLE_MAX) return false;
    course->turn = angle;
    if (!angle) return true;
    int64_t flat = course_sine(9 * angle / 4);
    int64_t steep = course_sine(angle) * course_sine(angle / 4) >> 24;
    for (unsigned c = 0; c < 3; c++) {
        course->mean[c] = (course->mean[c] + course->base[c] * (1 << COURSE_FINE)) * COURSE_ONE / flat;
        course->way[c] = course->way[c] * COURSE_ONE / steep;
    }
    return true;
}

NN_PRIVATE void nn_course_say(const nn_course* course, const nn_series* series, int64_t ahead_16, int64_t values[3])
{
    int64_t time = course->middle + 2 * ahead_16; /* in 1/32 steps */
    unsigned shift = 2 * course->bits - 2;
    if (!course->turn) {
        for (unsigned c = 0; c < series->count; c++) {
            values[c] = (course->mean[c] + (course->way[c] * time >> shift)) >> COURSE_FINE;
        }
    } else {
        int64_t square = course->turn * time * time >> (10 + 2 * course->bits);
        int64_t cosine = course_cosine(square);
        int64_t sine = course_sine(square) * time;
        for (unsigned c = 0; c < 3; c++) {
            int64_t fine = (course->mean[c] * cosine >> 24) + (course->way[c] * sine >> (24 + shift));
            values[c] = (fine >> COURSE_FINE) - course->base[c];
        }
    }
    for (unsigned c = 0; c < series->count; c++) values[c] *= INT64_C(1) << series->scale[c];
}

NN_PRIVATE void nn_course_judge(const nn_course* course, const nn_series* series, int64_t errors[3])
{
    int64_t newest[3];
    int64_t before[3];
    nn_course_say(course, series, 0, newest);
    nn_course_say(course, series, -16, before);
    for (unsigned c = 0; c < series->count; c++) {
        int64_t second = (int64_t)series->x[c][1] * (INT64_C(1) << series->scale[c]);
        errors[c] = nn_bank_weigh(newest[c], second - before[c]);
    }
}
