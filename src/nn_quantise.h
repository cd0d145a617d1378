/* nn_quantise - structs to rows of integers and back: the only part of state sync that touches floats.
 *
 * What both sides must agree on is the row. Dequantised floats may differ in the last bit between compilers.
 */
#ifndef NN_QUANTISE_H
#define NN_QUANTISE_H

#include "nn_schema.h"

/* nn_quantise - the row of a struct. Values out of range (and those that are no number) are clamped.
 *
 * Returns how many values were clamped; floats by more than half a step.
 */
NN_PRIVATE uint32_t nn_quantise(const nn_type_plan* plan, const void* state, uint32_t* row);

/* nn_quantise_find_clamped - the first field that nn_quantise would clamp, or NULL; row is scratch. */
NN_PRIVATE const necpnet_field* nn_quantise_find_clamped(const nn_type_plan* plan, const void* state, uint32_t* row);

/* nn_dequantise - the struct of a row; bytes of the struct that belong to no field become 0. */
NN_PRIVATE void nn_dequantise(const nn_type_plan* plan, const uint32_t* row, void* state);

/* nn_dequantise_field - one field of a struct, by its place in the plan; the rest of it is left alone. */
NN_PRIVATE void nn_dequantise_field(const nn_type_plan* plan, unsigned index, const uint32_t* row, void* state);

/* nn_dequantise_between - the struct at a share between two rows: 0 gives a, 1 gives b, more goes on beyond b. INTERPOLATE
 * fields are blended and kept in range, others are a's before 1 and b's from 1. */
NN_PRIVATE void nn_dequantise_between(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, double share,
                                      void* state);

/* nn_row_near - whether two rows differ by at most some steps in INTERPOLATE fields and not at all in others. fields: bit of
 * each that counts. */
NN_PRIVATE bool nn_row_near(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, uint64_t fields,
                            uint64_t steps);

/* nn_load_number, nn_store_number - a float or a double of a struct, which need not be aligned. */
NN_PRIVATE double nn_load_number(const uint8_t* at, unsigned bytes);
NN_PRIVATE void nn_store_number(uint8_t* at, unsigned bytes, double value);

/* nn_root - the square root, without the mathematics library. */
NN_PRIVATE double nn_root(double x);

#endif
