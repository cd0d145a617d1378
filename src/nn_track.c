/* nn_track - states by frame number. */
#include "nn_track.h"

#include "nn_row.h"

#define TRACK_STATES_FIRST 2

NN_PRIVATE void nn_track_reset(nn_track* track, nn_alloc* alloc)
{
    nn_alloc_give(alloc, track->states, track->capacity * sizeof(nn_track_state));
    nn_alloc_give(alloc, track->rows, (size_t)track->capacity * track->row_words * sizeof(uint32_t));
    memset(track, 0, sizeof *track);
}

/* Forgets what no frame to come can refer to: beyond reach of the latest one that is still taken, all but the newest. */
static void track_forget(nn_track* track, uint32_t newest)
{
    unsigned out = 0;
    while (out + 1u < track->count && newest - track->states[out + 1].number > NN_FRAME_LATE_MAX + NN_KNOWN_FRAMES) {
        out++;
    }
    if (!out && track->count == NN_TRACK_STATES_MAX) out = 1;
    for (unsigned i = 0; i < out; i++) { /* their rows' places go to the end, to be used again */
        nn_track_state gone = track->states[0];
        memmove(track->states, track->states + 1, (track->count - 1u) * sizeof(nn_track_state));
        track->states[--track->count] = gone;
    }
}

static bool track_grow(nn_track* track, nn_alloc* alloc)
{
    uint16_t capacity = track->capacity ? (uint16_t)(track->capacity * 2) : TRACK_STATES_FIRST;
    size_t row_bytes = track->row_words * sizeof(uint32_t);
    nn_track_state* states = (nn_track_state*)nn_alloc_take(alloc, capacity * sizeof(nn_track_state));
    uint32_t* rows = (uint32_t*)nn_alloc_take(alloc, capacity * row_bytes);
    if (!states || !rows) {
        nn_alloc_give(alloc, states, capacity * sizeof(nn_track_state));
        nn_alloc_give(alloc, rows, capacity * row_bytes);
        return false;
    }
    nn_copy(states, track->states, track->count * sizeof(nn_track_state));
    nn_copy(rows, track->rows, track->capacity * row_bytes);
    for (uint16_t i = track->capacity; i < capacity; i++) states[i].place = i;
    nn_alloc_give(alloc, track->states, track->capacity * sizeof(nn_track_state));
    nn_alloc_give(alloc, track->rows, track->capacity * row_bytes);
    track->states = states;
    track->rows = rows;
    track->capacity = capacity;
    return true;
}

NN_PRIVATE necpnet_result nn_track_add(nn_track* track, nn_alloc* alloc, uint8_t type, uint16_t row_words,
                                       uint32_t newest, const nn_track_state* state, const uint32_t* row)
{
    if (track->type != type || track->row_words != row_words) nn_track_reset(track, alloc);
    track->type = type;
    track->row_words = row_words;
    track_forget(track, newest);
    if (track->count == track->capacity && !track_grow(track, alloc)) return NECPNET_ERR_OUT_OF_MEMORY;
    unsigned at = track->count;
    uint16_t place = track->states[at].place;
    while (at > 0 && (int32_t)(track->states[at - 1].number - state->number) > 0) {
        track->states[at] = track->states[at - 1];
        at--;
    }
    track->states[at] = *state;
    track->states[at].place = place;
    track->count++;
    if (row) memcpy(track->rows + (size_t)place * row_words, row, row_words * sizeof(uint32_t));
    return NECPNET_OK;
}

static const uint32_t* track_row(const nn_track* track, unsigned index)
{
    return track->rows + (size_t)track->states[index].place * track->row_words;
}

NN_PRIVATE uint32_t nn_track_timeline(const nn_track* track, const nn_known* known, uint32_t tick,
                                      nn_timeline* timeline, bool* out_owner)
{
    timeline->now = tick;
    timeline->count = 0;
    for (unsigned i = track->count; i-- > 0 && timeline->count < NN_TIMELINE_MAX;) {
        const nn_track_state* state = &track->states[i];
        uint32_t back = known->number - 1 - state->number;
        if (back >= UINT32_MAX / 2) continue; /* of a newer frame, or this one */
        bool old = back >= known->reach;
        if (old && timeline->count) break;
        if (!old && !(known->frames >> back & 1)) continue;
        if (state->kind == NN_TRACK_LEAVE) break;
        if (!timeline->count) *out_owner = state->owner;
        if (timeline->count && state->tick >= timeline->ticks[timeline->count - 1]) continue;
        timeline->ticks[timeline->count] = state->tick;
        timeline->rows[timeline->count++] = track_row(track, i);
        if (old || state->kind == NN_TRACK_FULL) break;
    }
    return timeline->count;
}

NN_PRIVATE bool nn_track_moves(const nn_track* track, const nn_known* known, uint32_t tick, const nn_type_plan* plan)
{
    const uint32_t* newest = NULL;
    unsigned seen = 0;
    for (unsigned i = track->count; i-- > 0 && seen < NN_MOVING_STATES;) {
        const nn_track_state* state = &track->states[i];
        if (!nn_known_has(known, state->number)) continue;
        if (state->kind == NN_TRACK_LEAVE || state->tick >= tick) return false;
        if (newest && memcmp(newest, track_row(track, i), plan->row_words * sizeof(uint32_t))) return true;
        if (!newest) newest = track_row(track, i);
        seen++;
        if (state->kind == NN_TRACK_FULL) return false;
    }
    return false;
}
