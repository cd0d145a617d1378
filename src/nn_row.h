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

/* nn_row_bits_most - of a whole row, whatever it holds and whoever sees it. */
NN_PRIVATE uint32_t nn_row_bits_most(const nn_type_plan* plan);

/* nn_row_put_items, nn_row_get_items - bytes of STRING and BYTES, or values of an ARRAY: from begin to before end of those at
 * `items` (behind the length, if there is one). get returns false if they are none. */
NN_PRIVATE void nn_row_put_items(const nn_field_plan* field, nn_encoder* encoder, const uint32_t* items, uint32_t begin,
                                 uint32_t end);
NN_PRIVATE bool nn_row_get_items(const nn_field_plan* field, nn_decoder* decoder, uint32_t* items, uint32_t begin,
                                 uint32_t end);

/* nn_row_item_equal - whether an item is the same in both; nn_row_clear_items - those from begin to the last are zeroes. */
NN_PRIVATE bool nn_row_item_equal(const nn_field_plan* field, const uint32_t* a, const uint32_t* b, uint32_t index);
NN_PRIVATE void nn_row_clear_items(const nn_field_plan* field, uint32_t* items, uint32_t begin);

/* nn_row_visible_equal - whether a client sees two rows alike. */
NN_PRIVATE bool nn_row_visible_equal(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, bool owner);

#endif
