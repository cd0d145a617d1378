/* nn_quaternion - smallest three and back. */
#include "nn_quaternion.h"

#include <math.h>

/* The machine's root is a first guess; what it rounds to does not matter. */
NN_PRIVATE uint64_t nn_quaternion_root(uint64_t value)
{
    NN_ASSERT(value < UINT64_C(1) << 62);
    uint64_t root = (uint64_t)sqrt((double)value);
    while (root * root > value) root--;
    while ((root + 1) * (root + 1) <= value) root++;
    return root;
}

NN_PRIVATE int64_t nn_quaternion_square(const nn_field_plan* field)
{
    return (int64_t)(1.0 / (field->step * field->step) + 0.5) * 256;
}

NN_PRIVATE void nn_quaternion_unfold(const nn_field_plan* field, const uint32_t* words, int64_t q[4])
{
    int64_t middle = (int64_t)(field->range / 2);
    int64_t left = nn_quaternion_square(field);
    unsigned place = 1;
    for (unsigned i = 0; i < 4; i++) {
        if (i == words[0]) continue;
        q[i] = ((int64_t)words[place++] - middle) * 16;
        left -= q[i] * q[i];
    }
    q[words[0] & 3] = (int64_t)nn_quaternion_root(left > 0 ? (uint64_t)left : 0);
}

NN_PRIVATE void nn_quaternion_fold(const nn_field_plan* field, const int64_t q[4], unsigned largest, uint32_t* to)
{
    int64_t middle = (int64_t)(field->range / 2);
    unsigned place = 1;
    to[0] = largest;
    for (unsigned i = 0; i < 4; i++) {
        if (i == largest) continue;
        int64_t value = (q[largest] < 0 ? -q[i] : q[i]) + middle * 16 + 8;
        value = value < 0 ? 0 : value / 16;
        to[place++] = (uint32_t)nn_min_u64((uint64_t)value, field->range);
    }
}

NN_PRIVATE void nn_quaternion_turn(const nn_field_plan* field, const uint32_t* words, unsigned largest, uint32_t* to)
{
    int64_t q[4];
    nn_quaternion_unfold(field, words, q);
    nn_quaternion_fold(field, q, largest, to);
}
