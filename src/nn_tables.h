/* nn_tables - what the state codec knows before it sees anything: code lengths and probabilities, trained on recorded
 * motion and shipped as one versioned blob (tools/train_tables.c makes nn_tables_data.c). src/PROTOCOL.md "Tables".
 */
#ifndef NN_TABLES_H
#define NN_TABLES_H

#include "nn_alloc.h"
#include "nn_huffman.h"

#define NN_TABLES_VERSION 1

/* Sizes of residuals: 0 .. 7 each its own symbol, then two an octave up to 2^19, then an escape. */
#define NN_SIZE_SYMBOLS 41
#define NN_SIZE_ESCAPE 40
#define NN_SIZE_ESCAPE_FROM (UINT64_C(1) << 19)

/* Classes of residuals, by the size to expect: half octaves from 1/8 of a step on; then two special ones. */
#define NN_CLASSES 25
#define NN_CLASS_NEW 25   /* a field that was quiet */
#define NN_CLASS_OTHER 26 /* what is 2 or more in a group coded together, less 2 */
#define NN_CLASS_COUNT 27

/* Three components of small class are coded together: each 0, +1, -1 or other; not all 0. */
#define NN_GROUP_CLASSES 8
#define NN_GROUP_SYMBOLS 63

/* Events: bits that are mostly 0, coded up to four at a time. */
#define NN_EVENT_LEVELS 6
#define NN_EVENT_NONE 255 /* as a level: certain, not coded */
#define NN_EVENTS_MAX 4
#define NN_EVENT_TABLES 209
#define NN_EVENT_SYMBOLS 2560

/* Contexts of events, which have a level in the default codec and a probability of their own in the thin one. */
#define NN_CONTEXT_EXCEPTION 0
#define NN_CONTEXT_QUIET 8                      /* by kind of field */
#define NN_CONTEXT_WHOLE 20                     /* by kind of field: it changed of late */
#define NN_CONTEXT_TURN 32                      /* by 8 classes of margin */
#define NN_CONTEXT_CHANGED 40                   /* by 1 .. 3 components, then class; these alone may be certain */
#define NN_CONTEXT_EVENTS (40 + 3 * NN_CLASSES) /* how many there are */
#define NN_CONTEXT_SIGN NN_CONTEXT_EVENTS       /* 3 leans by 9 triples of classes */
#define NN_CONTEXT_SIZE (NN_CONTEXT_SIGN + 27)  /* by class, 64 nodes of a tree */
#define NN_CONTEXTS (NN_CONTEXT_SIZE + 27 * 64)

typedef struct nn_tables {
    uint8_t event_levels[NN_CONTEXT_EVENTS];
    uint16_t event_odds[NN_EVENT_LEVELS]; /* that an event of the level is 1, of 65,536 */
    uint16_t priors[NN_CONTEXTS];         /* thin codec: that the bit is 1, of 65,536 */
    uint64_t hash;                        /* of the blob */
    nn_huffman sizes[NN_CLASS_COUNT];
    nn_huffman groups[NN_GROUP_CLASSES];
    nn_huffman events[NN_EVENT_TABLES];
    uint8_t event_table[NN_EVENTS_MAX + 1][1296]; /* by number of events and their levels, falling, to base 6 */
    uint32_t codes[NN_CLASS_COUNT * NN_SIZE_SYMBOLS + NN_GROUP_CLASSES * NN_GROUP_SYMBOLS + NN_EVENT_SYMBOLS];
    uint8_t bits[NN_CLASS_COUNT * NN_SIZE_SYMBOLS + NN_GROUP_CLASSES * NN_GROUP_SYMBOLS + NN_EVENT_SYMBOLS];
    uint8_t sorted[NN_CLASS_COUNT * NN_SIZE_SYMBOLS + NN_GROUP_CLASSES * NN_GROUP_SYMBOLS + NN_EVENT_SYMBOLS];
} nn_tables;

/* nn_tables_load - tables of a blob. False if it is none, or of another version; tables are then undefined. */
NN_PRIVATE bool nn_tables_load(nn_tables* tables, const void* blob, size_t bytes);

/* nn_tables_blob - the blob that is built in. */
NN_PRIVATE const uint8_t* nn_tables_blob(size_t* out_bytes);

#endif
