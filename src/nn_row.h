/* nn_row - rows as bits, whole: the first state of an entity that a reader gets. src/PROTOCOL.md "State".
 */
#ifndef NN_ROW_H
#define NN_ROW_H

#include "nn_coder.h"
#include "nn_schema.h"

/* nn_row_write, nn_row_read - a whole row; fields that the client may not see are left out, and read as of a struct of
 * zeroes. read returns false if the bits hold no row of the type. */
NN_PRIVATE void nn_row_write(const nn_type_plan* plan, nn_encoder* encoder, const uint32_t* row, bool owner);
NN_PRIVATE bool nn_row_read(const nn_type_plan* plan, nn_decoder* decoder, uint32_t* row, bool owner);

/* nn_row_visible_equal - whether a client sees two rows alike. */
NN_PRIVATE bool nn_row_visible_equal(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, bool owner);

#endif
