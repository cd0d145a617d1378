/* nn_schema_map - schemas of two versions: one described on the wire, and read by the structs of another.
 *
 * Rows are the writer's, and so is what they take on the wire. A map is the writer's schema whose fields lie where the
 * reader's structs have them; fields and types that the reader does not have are hidden: read, and put nowhere.
 */
#ifndef NN_SCHEMA_MAP_H
#define NN_SCHEMA_MAP_H

#include "nn_bytes.h"
#include "nn_schema.h"

#define NN_SCHEMA_DIFFERENCE_BYTES_MAX 256 /* of a text, with its NUL */

/* nn_schema_describe - the wire form; src/PROTOCOL.md "State". The writer may overflow: then it does not fit. */
NN_PRIVATE void nn_schema_describe(const necpnet_schema* schema, nn_writer* writer);

/* nn_schema_described_bytes - how long that is. */
NN_PRIVATE size_t nn_schema_described_bytes(const necpnet_schema* schema);

/* nn_schema_read - a schema out of its wire form, with structs laid out as C does.
 *
 * OK | ERR_PROTOCOL (no such form) | ERR_BAD_SCHEMA (logged) | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_schema_read(const necpnet_allocator* allocator, const necpnet_logger* logger,
                                         nn_reader* reader, necpnet_schema** out_schema);

/* nn_schema_differs - whether a reader cannot follow a writer: a required field is missing or of another kind. text gets
 * the first difference, "" if there is none. */
NN_PRIVATE bool nn_schema_differs(const necpnet_schema* reader, const necpnet_schema* writer,
                                  char text[NN_SCHEMA_DIFFERENCE_BYTES_MAX]);

/* nn_schema_map - for schemas that do not differ so. reader and writer may go before the map.
 *
 * OK | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_schema_map(const necpnet_allocator* allocator, const necpnet_schema* reader,
                                        const necpnet_schema* writer, necpnet_schema** out_map);

#endif
