/* nn_record - recordings of what a view receives: records with times and a chained check. docs/recording.md has the format.
 */
#ifndef NN_RECORD_H
#define NN_RECORD_H

#include "nn_alloc.h"
#include "nn_bytes.h"
#include "nn_schema.h"

#define NN_RECORD_VERSION 1
#define NN_RECORD_HEAD_BYTES 5
#define NN_RECORD_BYTES_MAX 300000 /* of one record's content */

typedef enum nn_record_kind {
    NN_RECORD_SCHEMA = 1, /* nn_schema_describe */
    NN_RECORD_CLOCK = 2,  /* server minus local (8), ticks a second (varint) */
    NN_RECORD_STATE = 3,  /* a STATE frame from its length on */
    NN_RECORD_RENEW = 4,  /* 1: ordered */
    NN_RECORD_RESET = 5,
    NN_RECORD_END = 6 /* number of records before (varint) */
} nn_record_kind;

/* Zero: nothing is recorded. */
typedef struct nn_recording {
    necpnet_recorder to;
    nn_alloc* alloc;
    uint64_t at_us; /* of the last record */
    uint64_t count;
    uint32_t check; /* of the last record */
    bool on;
    bool failed; /* to would not take it */
    bool begun;  /* at_us counts */
} nn_recording;

/* nn_recording_begin - writes the head. OK | ERR_IO */
NN_PRIVATE necpnet_result nn_recording_begin(nn_recording* recording, nn_alloc* alloc, const necpnet_recorder* to);

/* nn_recording_end - writes the last record. OK | ERR_IO (now or before) */
NN_PRIVATE necpnet_result nn_recording_end(nn_recording* recording);

/* nn_recording_add - one record, at a time; 0: that of the one before. The first time is the beginning, an earlier one than the
 * last counts as that. Nothing when not on. */
NN_PRIVATE void nn_recording_add(nn_recording* recording, nn_record_kind kind, const void* data, size_t bytes,
                                 uint64_t now_us);

/* nn_recording_add_schema - the schema by which what follows is written. */
NN_PRIVATE void nn_recording_add_schema(nn_recording* recording, const necpnet_schema* schema, uint64_t now_us);

/* nn_record_check - of a record behind another. */
NN_PRIVATE uint32_t nn_record_check(uint32_t before, const void* record, size_t bytes);

/* nn_record_head - the first bytes of a recording. */
NN_PRIVATE const uint8_t* nn_record_head(void);

#endif
