/* nn_writing - a STATE frame on its way: what the parts share that choose and write its records. src/PROTOCOL.md "State".
 *
 * nn_follower_write.c makes the frame; nn_writing_walk.c goes through what moves, nn_writing_list.c through what else waits;
 * nn_writing_put.c writes one record.
 */
#ifndef NN_WRITING_H
#define NN_WRITING_H

#include "nn_check.h"
#include "nn_follower.h"

#define NN_WRITING_LIST_BITS 8 /* to begin and end the list of other records, at most */

typedef struct nn_writing {
    nn_encoder encoder;
    nn_known known;
    uint64_t known_hash; /* nn_records_known, and what the leads do */
    size_t bits_max;     /* of all records */
    size_t walk_max;     /* of the moving ones */
    uint32_t moving;     /* how many the client takes for moving */
    uint32_t waiting;    /* others that are pending */
    uint32_t own;        /* moving and pending ones of the client's own, which go with every frame */
    uint32_t records;
    unsigned gap_order;
    uint16_t former;     /* slot of the record before */
    bool budget_limited; /* by the budget, not by the packet */
    bool leading;        /* it is leads that are being written */
    bool own_complete;   /* the own entities all found room */
    bool complete;       /* all that had changed is in it, or was sent before */
    uint16_t walk_from;  /* slots of the moving ones in this frame; 0: from the first on */
    uint16_t walk_to;    /* 0: to the last */
    size_t check_bytes;
    uint8_t checks[NN_CHECKS_BYTES_MAX];
} nn_writing;

/* nn_writing_begin_record - where one begins, for nn_writing_end_record, which takes it back if it found no room (false). */
NN_PRIVATE size_t nn_writing_begin_record(nn_writing* writing);
NN_PRIVATE bool nn_writing_end_record(nn_writing* writing, size_t mark, size_t bits_max);

/* nn_writing_put_update - of an entity, as it was sent to another client in this commit, or anew. recent: NULL when there is none;
 * special: it stands in the place of one that the client expects. False if the client lacks what it would follow from; then
 * nothing was written. */
NN_PRIVATE bool nn_writing_put_update(const nn_follower* follower, nn_writing* writing, const nn_follower_state* state,
                                      const nn_follower_recent* recent, bool special);

/* nn_writing_put_whole - all that the client may see. */
NN_PRIVATE void nn_writing_put_whole(const nn_follower* follower, nn_writing* writing, const nn_follower_state* state);

/* nn_writing_put_skip - nothing, in the place of an update that the client expects. */
NN_PRIVATE void nn_writing_put_skip(const nn_follower* follower, nn_writing* writing, const nn_follower_state* state,
                                    const nn_follower_recent* recent);

/* nn_writing_is_there - whether the slot still has the entity that the client is to see. */
NN_PRIVATE bool nn_writing_is_there(const nn_follower_state* state, const nn_world_slot* slot);

/* nn_writing_check_owner - the owner may have changed since it was sent: then what the client has shows other fields. */
NN_PRIVATE void nn_writing_check_owner(nn_follower* follower, nn_follower_state* state, const nn_world_slot* slot);

/* nn_writing_note_sent - it is in the frame. */
NN_PRIVATE void nn_writing_note_sent(nn_follower* follower, nn_follower_state* state, nn_follower_recent* recent,
                                     nn_follower_kind kind);

/* nn_writing_count_moving - finds out what moves. */
NN_PRIVATE void nn_writing_count_moving(nn_follower* follower, nn_writing* writing);

/* nn_writing_walk - records of what moves, as many as find room. */
NN_PRIVATE void nn_writing_walk(nn_follower* follower, nn_writing* writing);

/* nn_writing_weight - how much an entity's waiting counts: its priority, and less by how many cells it is away. */
NN_PRIVATE uint32_t nn_writing_weight(const nn_follower* follower, uint16_t place);

/* nn_writing_choose - slots for this frame into the world's order[]: own entities first, then by slot from start on. Returns how
 * many; fewer than are pending if the room is short, those that waited longest. */
NN_PRIVATE uint32_t nn_writing_choose(nn_follower* follower, size_t room_bytes);

/* nn_writing_list - records of the first count of them. What finds no room begins the next frame. When it is the budget that is
 * short, all others wait with it, so that even a large state gets its turn. */
NN_PRIVATE void nn_writing_list(nn_follower* follower, nn_writing* writing, uint32_t count);

#endif
