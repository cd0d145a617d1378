/* nn_quaternion - unit quaternions of rows as four integers, and back. Integers alone; src/PROTOCOL.md "Prediction".
 *
 * A row has the smallest three in steps; here all four are in sixteenths of a step, the one left out found by the root.
 */
#ifndef NN_QUATERNION_H
#define NN_QUATERNION_H

#include "nn_schema.h"

/* nn_quaternion_root - the integer root of a number, cut. */
NN_PRIVATE uint64_t nn_quaternion_root(uint64_t value);

/* nn_quaternion_square - the square of a unit quaternion's length, in sixteenths of a step of a field. */
NN_PRIVATE int64_t nn_quaternion_square(const nn_field_plan* field);

/* nn_quaternion_unfold - the four of a field's words. */
NN_PRIVATE void nn_quaternion_unfold(const nn_field_plan* field, const uint32_t* words, int64_t q[4]);

/* nn_quaternion_fold - words (four) that leave out `largest`, its sign such that it is positive. */
NN_PRIVATE void nn_quaternion_fold(const nn_field_plan* field, const int64_t q[4], unsigned largest, uint32_t* to);

/* nn_quaternion_turn - words with another component left out. */
NN_PRIVATE void nn_quaternion_turn(const nn_field_plan* field, const uint32_t* words, unsigned largest, uint32_t* to);

#endif
