/* nn_schema - checked types, and the plan of each: where a field stands in a row of integers and how wide it is.
 *
 * A row is an array of uint32_t words that holds one state exactly as it travels: every number counts steps from its
 * minimum. Rows are equal on both sides bit for bit; floats exist in nn_quantise alone.
 */
#ifndef NN_SCHEMA_H
#define NN_SCHEMA_H

#include "nn_alloc.h"
#include "nn_tables.h"

#define NN_STRUCT_BYTES_MAX NECPNET_STRUCT_BYTES_MAX
#define NN_STATE_BYTES_MAX NECPNET_STATE_BYTES_MAX
#define NN_ROW_WORDS_MAX NECPNET_STATE_WORDS_MAX
#define NN_FIELD_RANGE_MAX 0xfffffffeu /* steps of a float: fits a word with a residual's sign in 64 bits */

/* One field in a row. BOOL, INTEGER, ENUM, FLOAT, ANGLE: one component; VEC2, VEC3: two, three; QUAT: which component
 * is the largest, then the other three; ENTITY: the number; STRING: its length, then bytes, four a word, zeroes behind;
 * BYTES: four a word, BOUNDED behind their length; ARRAY: its values, BOUNDED behind their number, zeroes behind. */
typedef struct nn_field_plan {
    const necpnet_field* field;
    const struct nn_field_plan* element; /* ARRAY: the plan of one value, its word 0; else NULL */
    uint16_t word;                       /* first in the row */
    uint16_t words;
    uint8_t kind;       /* necpnet_field_kind by which it is coded: of an ARRAY, BYTES */
    uint8_t components; /* numbers coded alike; 0 for ENTITY, STRING, BYTES, ARRAY */
    uint8_t bits;       /* of one component, of a length, or of a place in BYTES or an ARRAY */
    bool has_length;    /* the first word says how many bytes or values follow */
    bool wide;          /* a component takes two words, low one first */
    bool hidden;        /* of a map: the struct has no such field */
    uint8_t rate;       /* index in the type's rates plus 1; 0: with every tick */
    uint8_t room;       /* STRING, BYTES, ARRAY: what the struct has; differs from the field's count in a map */
    uint64_t range;     /* a component is 0 .. range; QUAT: even, its middle is 0 */
    int64_t base;       /* INTEGER, ENUM: the value of 0 */
    double step;        /* the quantum in use (ANGLE: a whole number of them makes a turn) */
} nn_field_plan;

typedef struct nn_type_plan {
    const necpnet_entity_type* type;
    const nn_field_plan* fields;
    uint16_t field_count;
    uint16_t row_words;
    uint16_t blend_count; /* floating components that are interpolated: see nn_blend */
    bool restricted;      /* has OWNER_ONLY or NOT_OWNER fields */
    uint8_t rate_count;
    uint64_t visible[2];               /* bits of its fields that a client sees; of what it owns */
    uint16_t parent;                   /* word of the PARENT field plus 1; 0: none */
    uint16_t rates[NECPNET_RATES_MAX]; /* of its fields: Hz; 0: SLOW */
    int16_t own;                       /* index of the type in the reader's schema; of a map: -1 if it has none */
    const uint32_t* row_zeroes;        /* the row of a struct of zeroes */
} nn_type_plan;

struct necpnet_schema {
    nn_alloc alloc;
    size_t block_bytes;         /* this struct and all below are one block */
    necpnet_entity_type* types; /* by rising id; the index is the type's number on the wire */
    nn_type_plan* plans;
    int type_count;
    unsigned type_bits; /* of a type's number */
    uint64_t hash;
    nn_tables* tables;     /* of the codec: those that everyone has */
    nn_tables* own_tables; /* of necpnet_schema_set_tables; NULL: none */
};

#define NN_FIELD_RATE_MAX 1000u

/* nn_field_rate - in Hz; 0: as its class says. */
NN_INLINE uint32_t nn_field_rate(const necpnet_field* field)
{
    return field->flags >> 16;
}

/* nn_schema_make - a schema of types that are known to be right. OK | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_schema_make(const necpnet_allocator* allocator, const necpnet_entity_type* types,
                                         int type_count, necpnet_schema** out_schema);

/* nn_field_bytes - what a field takes in its struct, without its length member; nn_field_value_bytes - one value of an array. */
NN_PRIVATE uint32_t nn_field_bytes(const necpnet_field* field);
NN_PRIVATE uint32_t nn_field_value_bytes(const necpnet_field* field);

/* nn_field_end - where the struct ends that has nothing behind a field and its length member. */
NN_PRIVATE uint32_t nn_field_end(const necpnet_field* field);

/* nn_field_form - the flags that make another kind of thing of a field. */
NN_INLINE uint32_t nn_field_form(const necpnet_field* field)
{
    return field->flags & (NECPNET_FIELD_ARRAY | NECPNET_FIELD_BOUNDED);
}

/* nn_field_length_max - of a field that has a length. */
NN_INLINE uint32_t nn_field_length_max(const necpnet_field* field)
{
    return field->kind == NECPNET_FIELD_STRING ? field->count - 1 : field->count;
}

/* nn_schema_kind_name - "vec2"; "" for a number that is none. */
NN_PRIVATE const char* nn_schema_kind_name(unsigned kind);

/* nn_schema_integer_bytes - the smallest storage for a range: 1, 2, 4 or 8; signed where min is negative. */
NN_PRIVATE uint8_t nn_schema_integer_bytes(double min, double max);

/* nn_schema_align - the next place of a number of so many bytes (1, 2, 4, 8), as C puts it. */
NN_INLINE uint32_t nn_schema_align(uint32_t at, uint32_t bytes)
{
    return (at + bytes - 1) / bytes * bytes;
}

/* nn_schema_index - a type's number by its id, or -1. */
NN_PRIVATE int nn_schema_index(const necpnet_schema* schema, uint16_t type_id);

/* nn_field_is_float - its values are floats or doubles. */
NN_INLINE bool nn_field_is_float(const necpnet_field* field)
{
    return field->kind == NECPNET_FIELD_FLOAT || field->kind == NECPNET_FIELD_VEC2 ||
           field->kind == NECPNET_FIELD_VEC3 || field->kind == NECPNET_FIELD_QUAT || field->kind == NECPNET_FIELD_ANGLE;
}

/* nn_field_is_text - a text or bytes. */
NN_INLINE bool nn_field_is_text(const necpnet_field* field)
{
    return field->kind == NECPNET_FIELD_STRING || field->kind == NECPNET_FIELD_BYTES;
}

/* nn_schema_measure - of a whole state, as nn_row_write makes it, and of its row. */
NN_PRIVATE void nn_schema_measure(const necpnet_entity_type* type, uint32_t* out_bits, uint32_t* out_words);

/* nn_schema_check_type - whether the type at index can work beside those before it; the log says why not. */
NN_PRIVATE bool nn_schema_check_type(const necpnet_logger* logger, const necpnet_entity_type* types, int index);

/* nn_blend_components - how many numbers of a field are interpolated as they are shown; 0 for one that changes at once. */
NN_INLINE unsigned nn_blend_components(const necpnet_field* field)
{
    if (!(field->flags & NECPNET_FIELD_INTERPOLATE)) return 0;
    switch (field->kind) {
    case NECPNET_FIELD_FLOAT:
    case NECPNET_FIELD_ANGLE: return 1;
    case NECPNET_FIELD_VEC2: return 2;
    case NECPNET_FIELD_VEC3: return 3;
    case NECPNET_FIELD_QUAT: return 4;
    default: return 0;
    }
}

/* nn_field_visible - whether a client sees a field of an entity that it owns or not. */
NN_INLINE bool nn_field_visible(const nn_field_plan* plan, bool owner)
{
    return !(plan->field->flags & (owner ? NECPNET_FIELD_NOT_OWNER : NECPNET_FIELD_OWNER_ONLY));
}

#endif
