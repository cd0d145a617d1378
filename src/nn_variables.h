/* nn_variables - typed values by key, in the order of their last change: what a world tells its clients beside entities.
 *
 * A change gives a variable the next number and puts it behind all others; whoever keeps the number that it has come to
 * finds what it lacks behind that. What is removed stays as a mark, so that its removal can be told, until the place is
 * needed: then whoever has not come so far must begin anew (forgotten). On the wire: src/PROTOCOL.md "Variables".
 */
#ifndef NN_VARIABLES_H
#define NN_VARIABLES_H

#include "nn_alloc.h"
#include "nn_bytes.h"

#define NN_VARIABLE_RECORD_BYTES_MAX (1 + NECPNET_NAME_BYTES_MAX + 1 + 2 + NECPNET_VALUE_BYTES_MAX)

/* First byte of a message about variables; src/PROTOCOL.md "Variables". */
#define NN_VARIABLES_SESSION 1u /* of the session; else of the world */
#define NN_VARIABLES_BEGIN 2u   /* from here on all is told: what is not has gone */
#define NN_VARIABLES_END 4u     /* until here */
#define NN_VARIABLES_FLAGS 7u

typedef struct nn_variable {
    struct nn_variable* next; /* in its bucket */
    struct nn_variable* older;
    struct nn_variable* newer;
    uint64_t number; /* of its last change; the first is 1 */
    uint64_t bits;   /* BOOL, INTEGER, NUMBER: the value */
    uint32_t bytes;  /* STRING, BYTES: of the data behind the key, a NUL behind it */
    uint8_t type;    /* necpnet_value_type; NONE: removed */
    uint8_t key_bytes;
    bool stale; /* of a reader: not told anew yet */
} nn_variable;

typedef struct nn_variables {
    nn_alloc* alloc;
    nn_variable** buckets;
    nn_variable* oldest;
    nn_variable* newest;
    uint64_t number;       /* of the newest change */
    uint64_t forgotten;    /* the removal of this number is no longer known */
    uint32_t bucket_count; /* 0, or a power of two */
    uint32_t count;        /* those that were removed included */
} nn_variables;

NN_PRIVATE void nn_variables_init(nn_variables* variables, nn_alloc* alloc);
NN_PRIVATE void nn_variables_reset(nn_variables* variables);

/* nn_variables_check - whether a key and a value can be: OK | ERR_INVALID_ARGUMENT | ERR_MESSAGE_TOO_LARGE (value). */
NN_PRIVATE necpnet_result nn_variables_check(const char* key, size_t key_bytes, const necpnet_value* value);

/* nn_variables_set - a value that was checked; type NONE removes. The same value again is no change.
 *
 * Returns OK | ERR_NOT_FOUND (nothing to remove) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY; after an error all is as before.
 */
NN_PRIVATE necpnet_result nn_variables_set(nn_variables* variables, const char* key, size_t key_bytes,
                                           const necpnet_value* value);

/* nn_variables_find - by key, removed ones too; NULL: never heard of. */
NN_PRIVATE nn_variable* nn_variables_find(const nn_variables* variables, const char* key, size_t key_bytes);

/* nn_variables_after - the oldest change behind a number, or NULL. The cost is the number of changes behind it. */
NN_PRIVATE nn_variable* nn_variables_after(const nn_variables* variables, uint64_t number);

NN_INLINE const char* nn_variable_key(const nn_variable* variable)
{
    return (const char*)(variable + 1);
}

/* nn_variable_value - a view of it. */
NN_PRIVATE necpnet_value nn_variable_value(const nn_variable* variable);

/* nn_variable_write - one record; the writer may overflow. */
NN_PRIVATE void nn_variable_write(const nn_variable* variable, nn_writer* writer);

/* nn_variable_read - one record as views of the reader's bytes, checked. False: it is none. */
NN_PRIVATE bool nn_variable_read(nn_reader* reader, const char** out_key, size_t* out_key_bytes,
                                 necpnet_value* out_value);

#endif
