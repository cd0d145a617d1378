/* schema.h - what schema.c and proto.c share. */
#ifndef CLI_SCHEMA_H
#define CLI_SCHEMA_H

#include "necpnet.h"

const char* schema_kind_name(unsigned kind);

/* The flags of fields by index, in the words of JSON; NULL behind the last. */
const char* schema_flag_name(unsigned index, uint32_t* out_flag);

#define SCHEMA_FORM_BYTES 32

/* schema_form_name - "vec2", of an array "vec2[8]", of a list "vec2[<=8]". */
const char* schema_form_name(const necpnet_field* field, char text[SCHEMA_FORM_BYTES]);

/* proto_to_json - a proto3 file as a schema in JSON; NULL: said why. To be freed. */
char* proto_to_json(const char* path, const char* text);

/* proto_of - a schema as a proto3 file; NULL without memory. To be freed. */
char* proto_of(const necpnet_schema* schema);

int cli_schema_command(int argc, char** argv);

#endif
