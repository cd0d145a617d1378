/* nn_track - which states of an entity both sides have, on the reader's side: what came of it, by the number of the frame.
 *
 * A frame says which earlier frames its writer knows to have arrived. What those held of an entity is its timeline, from
 * which it is predicted. src/PROTOCOL.md "State".
 */
#ifndef NN_TRACK_H
#define NN_TRACK_H

#include "nn_alloc.h"
#include "nn_predict.h"

#define NN_KNOWN_FRAMES 63   /* a frame refers to so many frames before it */
#define NN_FRAME_LATE_MAX 64 /* a frame so many numbers behind the newest is dropped, its acknowledgement a loss */
#define NN_TRACK_STATES_MAX 128
#define NN_MOVING_STATES 3 /* an entity moves while so many newest known states are not all the same */

/* The frames that are known to have arrived, as of one frame. */
typedef struct nn_known {
    uint32_t number; /* of the frame that says so */
    uint64_t frames; /* bit i: frame number - 1 - i is known */
    uint32_t reach;  /* frames back for which the bits count; states of older frames are known if they are the newest */
} nn_known;

typedef enum nn_track_kind { NN_TRACK_UPDATE = 0, NN_TRACK_FULL = 1, NN_TRACK_LEAVE = 2 } nn_track_kind;

typedef struct nn_track_state {
    uint32_t number;
    uint32_t tick;
    uint16_t place; /* of its row */
    uint8_t kind;   /* nn_track_kind; nothing before FULL and LEAVE is of use after them */
    bool owner;
} nn_track_state;

/* Zero is a good beginning. */
typedef struct nn_track {
    nn_track_state* states; /* by rising number */
    uint32_t* rows;         /* capacity rows */
    uint16_t count;
    uint16_t capacity;
    uint16_t row_words;
    uint8_t type; /* index */
} nn_track;

NN_PRIVATE void nn_track_reset(nn_track* track, nn_alloc* alloc);

/* nn_track_add - the state that a frame brought. newest: the newest frame number so far, for what may be forgotten.
 * Returns OK | ERR_OUT_OF_MEMORY. */
NN_PRIVATE necpnet_result nn_track_add(nn_track* track, nn_alloc* alloc, uint8_t type, uint16_t row_words,
                                       uint32_t newest, const nn_track_state* state, const uint32_t* row);

/* nn_track_timeline - the known states, newest first; 0 when there are none. out_owner: of the newest. */
NN_PRIVATE uint32_t nn_track_timeline(const nn_track* track, const nn_known* known, uint32_t tick,
                                      nn_timeline* timeline, bool* out_owner);

/* nn_track_moves - whether the newest known states of the frames within reach are not all the same, and older than tick. */
NN_PRIVATE bool nn_track_moves(const nn_track* track, const nn_known* known, uint32_t tick, const nn_type_plan* plan);

NN_INLINE bool nn_known_has(const nn_known* known, uint32_t number)
{
    uint32_t back = known->number - 1 - number;
    return back < known->reach && (known->frames >> back & 1);
}

#endif
