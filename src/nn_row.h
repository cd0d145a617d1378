/* nn_row - rows as bits: whole, or what changed against a row that the reader is known to have.
 *
 * A whole row costs the width of its ranges. A delta costs a bit a field, and for each changed component an Exp-Golomb
 * code whose order follows the sizes that the same component of the same type had earlier in the frame; nothing is
 * carried from frame to frame. A delta can be skipped without its baseline. src/PROTOCOL.md "State".
 */
#ifndef NN_ROW_H
#define NN_ROW_H

#include "nn_bits.h"
#include "nn_schema.h"

/* A codec model is model_words numbers of a schema: the mean size in sixteenths of a bit, one a word of each type. */

/* nn_row_model_reset - at the start of each frame. */
NN_PRIVATE void nn_row_model_reset(const necpnet_schema* schema, uint16_t* model);

/* nn_row_write, nn_row_read - a whole row; fields that the client may not see are left out, and read as of a struct of
 * zeroes. read returns false if the bits hold no row of the type. */
NN_PRIVATE void nn_row_write(const nn_type_plan* plan, nn_bit_writer* writer, const uint32_t* row, bool owner);
NN_PRIVATE bool nn_row_read(const nn_type_plan* plan, nn_bit_reader* reader, uint32_t* row, bool owner);

/* nn_row_write_delta, nn_row_read_delta - row against base. read with base NULL skips (row is scratch). */
NN_PRIVATE void nn_row_write_delta(const nn_type_plan* plan, uint16_t* model, nn_bit_writer* writer,
                                   const uint32_t* base, const uint32_t* row, bool owner);
NN_PRIVATE bool nn_row_read_delta(const nn_type_plan* plan, uint16_t* model, nn_bit_reader* reader,
                                  const uint32_t* base, uint32_t* row, bool owner);

/* nn_row_visible_equal - whether a client sees two rows alike. */
NN_PRIVATE bool nn_row_visible_equal(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, bool owner);

/* nn_golomb_write, nn_golomb_read - Exp-Golomb code of an order: value + 2^order in binary, behind a 0 for each bit that
 * it is longer than order + 1. value below 2^60, order at most 60. */
NN_PRIVATE void nn_golomb_write(nn_bit_writer* writer, uint64_t value, unsigned order);
NN_PRIVATE uint64_t nn_golomb_read(nn_bit_reader* reader, unsigned order);

#endif
