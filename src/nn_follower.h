/* nn_follower - one client that follows a world: what it is known to have, what it needs, and the STATE frames for it.
 *
 * Made by the connection when a session with a world is up, ended before the connection goes. All calls on the world's
 * thread. src/PROTOCOL.md "State" has the frame.
 */
#ifndef NN_FOLLOWER_H
#define NN_FOLLOWER_H

#include "nn_authority.h"
#include "nn_bytes.h"
#include "nn_track.h"
#include "nn_world.h"

#define NN_STATE_FRAME_BYTES_MIN 48 /* a budget below this writes nothing */
#define NN_FOLLOWER_RECORDS_MAX 256 /* frames neither acked nor lost; then nothing is written until one is */
#define NN_FOLLOWER_CHANGED_MAX 32

/* What a client has been told of variables. */
typedef struct nn_told {
    uint64_t number; /* of the last change told */
    bool renews;     /* whatever it knew, it is told anew */
} nn_told;

/* nn_world_follow - a new client of the world.
 *
 *   ordered  true: nothing is lost (WebSocket); what was written last is the baseline, acked and lost are not called.
 *            false: baselines move by nn_follower_acked.
 *
 * Returns OK | ERR_ALREADY_EXISTS (peer) | ERR_OUT_OF_MEMORY
 */
NN_PRIVATE necpnet_result nn_world_follow(necpnet_world* world, necpnet_peer peer, bool ordered,
                                          nn_follower** out_follower);

/* nn_world_frame_bytes - of a frame in which the whole state of any one entity of a schema fits; *out_type: whose is the largest. */
NN_PRIVATE uint32_t nn_world_frame_bytes(const necpnet_schema* schema, const char** out_type);

/* nn_world_unfollow - the client's connection is gone; entities that it owns stay its own until the application says
 * otherwise. The rooms it is in and where it looks from are kept for its next one. */
NN_PRIVATE void nn_world_unfollow(necpnet_world* world, nn_follower* follower);

/* nn_world_forget - the client will not return. After nn_world_unfollow. */
NN_PRIVATE void nn_world_forget(necpnet_world* world, necpnet_peer peer);

/* nn_follower_lacks_variables - whether there are changes that it was not told. */
NN_PRIVATE bool nn_follower_lacks_variables(const nn_follower* follower);

/* nn_follower_write_variables - a message about some of them; the writer has room for NN_VARIABLE_RECORD_BYTES_MAX + 1 at least.
 * When it is sent, told[*out_scope] becomes *out_told. False: nothing to tell. */
NN_PRIVATE bool nn_follower_write_variables(const nn_follower* follower, nn_writer* writer, int* out_scope,
                                            nn_told* out_told);

/* nn_follower_renew_variables - the client may know of others: another connection of its session. */
NN_PRIVATE void nn_follower_renew_variables(nn_follower* follower);

/* nn_follower_end_variables, nn_follower_end_objects - the session is over. */
NN_PRIVATE void nn_follower_end_variables(nn_follower* follower);
NN_PRIVATE void nn_follower_end_objects(nn_follower* follower);

/* nn_follower_deadline_us - when the next frame is due; NN_NEVER while there is nothing to say (a commit, an ack or a
 * loss may change that). */
NN_PRIVATE uint64_t nn_follower_deadline_us(const nn_follower* follower);

/* nn_follower_ready - whether a frame is due now. */
NN_PRIVATE bool nn_follower_ready(const nn_follower* follower, uint64_t now_us);

/* nn_follower_write - one whole STATE frame: type byte, length, body.
 *
 *   writer        room for budget_bytes at least, else the room is the budget.
 *   budget_bytes  the most that the frame may take; the world's client_bytes_per_s limits it further.
 *   out_value     names the frame in nn_follower_acked or nn_follower_lost, one of which must come exactly once
 *                 (unordered alone).
 *
 * Returns whether a frame was written; else the writer is as it was.
 */
NN_PRIVATE bool nn_follower_write(nn_follower* follower, nn_writer* writer, size_t budget_bytes, uint32_t* out_value,
                                  uint64_t now_us);

/* nn_follower_acked, nn_follower_lost - what became of the packet with that frame. A packet first taken for lost and
 * then acked after all must be reported once, as lost. */
NN_PRIVATE void nn_follower_acked(nn_follower* follower, uint32_t value);
NN_PRIVATE void nn_follower_lost(nn_follower* follower, uint32_t value);

/* nn_follower_take_writes - a WRITE frame behind its type byte.
 *
 * OK | ERR_BAD_DATA (close the connection) | ERR_OUT_OF_MEMORY (those from one on were not taken; they may come again)
 */
NN_PRIVATE necpnet_result nn_follower_take_writes(nn_follower* follower, nn_reader* reader, uint64_t now_us);

/* nn_follower_take_control - a CONTROL message behind NN_CONTROL_STATE. False: malformed. */
NN_PRIVATE bool nn_follower_take_control(nn_follower* follower, const uint8_t* data, size_t bytes);

/* nn_follower_tell - what waits to be told, through send, until it has no room (false). */
typedef necpnet_result (*nn_tell_function)(void* user, const void* data, size_t bytes);
NN_PRIVATE bool nn_follower_tell(nn_follower* follower, nn_tell_function send, void* user);

/* nn_follower_has_tell - whether something can be told now. */
NN_PRIVATE bool nn_follower_has_tell(const nn_follower* follower);

/* nn_follower_make_checks - what goes with a frame; returns its bytes, 0 for none. */
NN_PRIVATE size_t nn_follower_make_checks(nn_follower* follower, uint8_t* to, size_t room, uint64_t now_us);

/* nn_follower_repair - the client does not have what it should of a slot: it gets all of it. */
NN_PRIVATE void nn_follower_repair(nn_follower* follower, uint16_t place);

/* nn_slot_has_authority - of its owner's alone; the server may always. */
NN_INLINE bool nn_slot_has_authority(const nn_world_slot* slot, necpnet_peer peer)
{
    return slot->authority == NECPNET_AUTHORITY_OWNER && slot->owner == peer && peer != NECPNET_PEER_NONE;
}

/* nn_follower_sees - whether the client may know of an entity. False without memory, too: then it is to rescan still. */
NN_PRIVATE bool nn_follower_sees(nn_follower* follower, const nn_world_slot* slot);

/* nn_follower_may_know - whether the client may have been shown an entity, and not have heard that it left. */
NN_PRIVATE bool nn_follower_may_know(const nn_follower* follower, const nn_world_slot* slot);

/* nn_follower_may_answer - whether there is room for an answer; nn_follower_answer - to a write, counted. False: no room.
 *
 *   fields  those that are not as they were written, by their place in the plan.
 */
NN_PRIVATE bool nn_follower_may_answer(nn_follower* follower, necpnet_entity entity);
NN_PRIVATE bool nn_follower_answer(nn_follower* follower, necpnet_entity entity, uint32_t number, nn_verdict verdict,
                                   uint64_t fields);

/* nn_follower_end_authority - with the connection. */
NN_PRIVATE void nn_follower_end_authority(nn_follower* follower);

/* ---- what nn_follower.c and nn_follower_write.c share */

typedef enum nn_follower_flag {
    NN_FOLLOWER_KNOWN = 1,   /* the client may have it, or a former entity of the slot */
    NN_FOLLOWER_BASE = 2,    /* base_tick names a state that it surely has */
    NN_FOLLOWER_OWNER = 4,   /* it is to be the client's own */
    NN_FOLLOWER_LEAVING = 8, /* it is gone, and the client may not know */
    NN_FOLLOWER_FULL = 16,   /* nothing but a full state will do until one written from then on has arrived */
    NN_FOLLOWER_SURE = 32,   /* the newest of the sendings that the masks no longer hold has arrived */
    NN_FOLLOWER_RECENT = 64, /* in the list of what was sent of late */
    NN_FOLLOWER_SEEN = 128   /* in view */
} nn_follower_flag;

/* One a client and entity that is in view, or that it may still have. */
typedef struct nn_follower_state {
    uint32_t base_tick;
    uint16_t sent_tick;    /* low bits */
    uint16_t sent_version; /* low bits */
    uint16_t place;        /* its slot */
    uint16_t generation;
    uint16_t pending; /* place in the pending list plus 1; 0: not in it */
    uint8_t flags;    /* nn_follower_flag */
} nn_follower_state;

typedef enum nn_follower_kind {
    NN_FOLLOWER_NOTHING = 0,
    NN_FOLLOWER_UPDATE = 1,
    NN_FOLLOWER_WHOLE = 2,
    NN_FOLLOWER_LEAVE = 3
} nn_follower_kind;

/* What became of the last 64 frames, for an entity that was in one of them. In the masks bit i is frame frame_next - 1 - i. */
typedef struct nn_follower_recent {
    uint64_t sent;   /* frames with a state of it */
    uint64_t full;   /* frames with a whole state of it, or (not in sent) that it left */
    uint64_t acked;  /* of both, those that arrived */
    uint16_t place;  /* its slot */
    uint16_t state;  /* number in states */
    uint8_t kind;    /* nn_follower_kind: what the frame that is being written has of it */
    bool moves;      /* the client takes it for moving, as of that frame */
    bool is_skipped; /* in that frame others go first */
    uint8_t fresh;   /* of the newest frames, those that count for NN_FOLLOWER_FULL; 64: all in the masks */
} nn_follower_recent;

typedef struct nn_follower_frame {
    uint32_t first; /* number of its first entry */
    uint32_t count;
    uint32_t tick;
    bool open;
    bool complete;
} nn_follower_frame;

/* What is to be told of an entity by CONTROL. */
typedef struct nn_tell {
    necpnet_entity entity;
    uint8_t what;    /* see nn_follower_authority.c */
    uint8_t verdict; /* of the answer that is no acceptance */
    uint32_t number; /* of the write that it answers */
    uint32_t accepted;
    uint64_t accepted_commit; /* commits there were: it is told after the next */
    uint64_t fields;          /* that the answer takes back, by their place in the plan */
} nn_tell;

/* What was heard of a client's writes of an entity over this connection. */
typedef struct nn_heard {
    necpnet_entity entity;
    uint32_t number;     /* of the newest */
    uint64_t began_us;   /* when the first was taken */
    uint64_t heard_us;   /* when the last was taken */
    uint64_t claimed_us; /* between those two by the client's clock */
    uint16_t stamp;      /* of the last taken */
} nn_heard;

struct nn_follower {
    necpnet_world* world;
    nn_follower* next; /* in its bucket */
    necpnet_peer peer;
    bool ordered;
    bool thin;       /* the thin codec for all types */
    bool own_tables; /* the schema's own, which the client has, too */
    bool parked;     /* without a connection: only the observer counts */
    bool rescan;     /* for want of memory it does not hold all that it sees */
    bool records;    /* of a recording: it sees everything, and nothing limits it */
    nn_observer observer;
    necpnet_entity watched;    /* what it looks from; NECPNET_ENTITY_NONE: from a fixed place, or nowhere */
    nn_follower_state* states; /* in no order */
    uint32_t state_count;
    uint32_t state_capacity;
    uint16_t* index; /* hash of slots: place in states plus 1 */
    uint32_t index_size;
    uint16_t* pending; /* numbers of states with something to send; room for state_capacity */
    uint32_t pending_count;
    nn_follower_recent* recent; /* what was sent of late, by rising slot */
    uint32_t recent_count;
    uint32_t recent_capacity;
    uint32_t recent_hint;  /* where the last one was found: searches come by rising slot */
    uint32_t changed_tick; /* of the first in changed */
    uint16_t changed_count;
    uint16_t changed[NN_FOLLOWER_CHANGED_MAX]; /* slots that changed since it was last asked what it has to send */
    uint32_t moving_count;                     /* of them those that were moving, as of the last frame */
    uint16_t* entries; /* ring by number, a power of two: the slots in frames that are neither acked nor lost */
    uint32_t entry_capacity;
    uint32_t entry_next;
    nn_follower_frame* frames; /* ring by value, a power of two; none when ordered */
    uint32_t frame_capacity;
    uint32_t frame_first;   /* the oldest value that is open */
    uint32_t frame_next;    /* value of the next one: its number */
    uint64_t known;         /* bit i: frame frame_next - 1 - i has arrived */
    uint16_t ticks[64];     /* of the last frames, by number, low bits: those that are known are never older than 127 */
    uint32_t even_frames;   /* the last so many were a tick apart */
    uint64_t sent_commit;   /* of the last frame */
    uint64_t walk_commit;   /* of the last frame with moving entities */
    uint16_t walk_from;     /* the slot to go on with among those; 0: from the beginning */
    uint32_t walk_tick;     /* when it began at the beginning */
    uint32_t walk_end_tick; /* of the last frame of the walk */
    uint32_t walk_ticks;    /* that it took the last time; 0: all found room at once */
    uint32_t weight_most;   /* of what it sees; so far, while it walks */
    uint32_t weight_past;   /* as of the last walk */
    uint32_t sent_tick;
    uint32_t quiet_most;   /* quiet_tick is at most this: what became pending since was true until then */
    uint32_t quiet_tick;   /* the client had all until then, without a frame; counts when after sent_tick */
    uint32_t input_now;    /* inputs processed as of the commit input_commit + 1 */
    uint32_t input_before; /* and as of earlier ones */
    uint64_t input_commit;
    bool has_input;
    bool has_input_before;
    uint32_t input_sent;
    uint64_t next_us;
    uint64_t refilled_us;
    uint64_t allowance;   /* bytes that may be sent now, times 1,000,000 */
    uint32_t record_bits; /* mean size of a record, in sixteenths of a bit */
    uint16_t start;       /* the slot to begin with: the first that found no room */
    uint8_t trailing;
    uint8_t
        greeting; /* complete frames that a client from before must get until it drops what it was not told of again */
    bool again;   /* the last frame left something behind that the budget allows: another one at once */
    /* nn_authority */
    nn_tell* tells; /* in the order in which they came */
    uint32_t tell_count;
    uint32_t tell_capacity;
    uint32_t list_place; /* the slot to go on with listing what it has authority over; 0: told */
    nn_heard* heard;     /* by rising entity */
    uint32_t heard_count;
    uint32_t heard_capacity;
    /* nn_follower_check */
    uint64_t check_us;           /* when the next frame may have some */
    uint32_t check_at;           /* the place in states that was checked last */
    nn_told told[2];             /* of the world's variables, and of the session's */
    nn_variables* own_variables; /* of the session; NULL: never any */
    necpnet_entity* objects;     /* of the session; some may be gone */
    uint32_t object_count;
    bool tells_later; /* CONTROL has no room for variables now */
};

NN_INLINE nn_follower_frame* nn_follower_frame_of(const nn_follower* follower, uint32_t value)
{
    return &follower->frames[value & (follower->frame_capacity - 1)];
}

/* nn_follower_tick - of a frame that is known. */
NN_INLINE uint32_t nn_follower_tick(const nn_follower* follower, uint32_t number)
{
    uint32_t now = follower->world->tick;
    return now - (uint16_t)(now - follower->ticks[number & 63]);
}

/* nn_follower_waited - ticks since it was sent, their low bits. */
NN_INLINE uint32_t nn_follower_waited(const nn_follower* follower, const nn_follower_state* state)
{
    return (uint16_t)(follower->world->tick - state->sent_tick);
}

NN_INLINE bool nn_follower_owns(const nn_follower* follower, const nn_world_slot* slot)
{
    return follower->peer != NECPNET_PEER_NONE && slot->owner_committed == follower->peer;
}

NN_INLINE bool nn_follower_has_newest(const nn_follower* follower, const nn_follower_state* state,
                                      const nn_world_slot* slot)
{
    return (state->flags & NN_FOLLOWER_BASE) && !(state->flags & NN_FOLLOWER_FULL) &&
           state->base_tick >= follower->world->motions[state->place].changed_tick &&
           nn_follower_owns(follower, slot) == ((state->flags & NN_FOLLOWER_OWNER) != 0);
}

/* nn_follower_state_of - what is known of a slot, or NULL. Holds until the next nn_follower_add or nn_follower_forget. */
NN_PRIVATE nn_follower_state* nn_follower_state_of(const nn_follower* follower, uint16_t place);

/* nn_follower_recent_of - what was sent of a slot of late, or NULL. Holds until the next nn_follower_note or
 * nn_follower_forget. */
NN_PRIVATE nn_follower_recent* nn_follower_recent_of(nn_follower* follower, uint16_t place);

/* nn_follower_reserve - room for count slots more in recent; gives back what is far too much. False without memory. */
NN_PRIVATE bool nn_follower_reserve(nn_follower* follower, uint32_t count);

/* nn_follower_note - the same as nn_follower_recent_of, of a slot that was not sent of late; its room is reserved. */
NN_PRIVATE nn_follower_recent* nn_follower_note(nn_follower* follower, nn_follower_state* state);

/* nn_follower_step - a frame was written: masks move on, and what is in none of them is recent no more. */
NN_PRIVATE void nn_follower_step(nn_follower* follower);

/* nn_follower_need_full - what the client has of it, or is on its way, is not enough to go on from. */
NN_PRIVATE void nn_follower_need_full(nn_follower* follower, nn_follower_state* state);

/* nn_follower_add - the same, of a slot that there may be nothing of yet; NULL without memory. */
NN_PRIVATE nn_follower_state* nn_follower_add(nn_follower* follower, uint16_t place);

/* nn_follower_shrink - give back memory of which most is not in use. */
NN_PRIVATE void nn_follower_shrink(nn_follower* follower);

/* nn_follower_clear - away with all states. */
NN_PRIVATE void nn_follower_clear(nn_follower* follower);

/* nn_follower_set_tables - the client said which tables it has. */
NN_PRIVATE void nn_follower_set_tables(nn_follower* follower, uint64_t own_hash);

/* nn_follower_find - the one of a peer, or NULL. */
NN_PRIVATE nn_follower* nn_follower_find(const necpnet_world* world, necpnet_peer peer);

/* nn_follower_look - begin to see, as everyone does: room 0, from nowhere. OK | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_follower_look(nn_follower* follower);

/* nn_follower_rescan - compare all that it holds with all that it is to see. False without memory. */
NN_PRIVATE bool nn_follower_rescan(nn_follower* follower);

/* nn_follower_known - what the frame that comes next, of room bytes, can refer to. */
NN_PRIVATE nn_known nn_follower_known(const nn_follower* follower, size_t room);

/* nn_follower_timeline - the states of a slot that the client has, as it will find them (nn_track_timeline); 0 when it must
 * get a whole one. recent: NULL when there is none. */
NN_PRIVATE uint32_t nn_follower_timeline(const nn_follower* follower, const nn_follower_state* state,
                                         const nn_follower_recent* recent, const nn_known* known,
                                         nn_timeline* timeline);

/* nn_follower_can_update - whether there is a timeline. */
NN_PRIVATE bool nn_follower_can_update(const nn_follower* follower, const nn_follower_state* state,
                                       const nn_follower_recent* recent, const nn_known* known);

/* nn_follower_moves - as nn_track_moves. */
NN_PRIVATE bool nn_follower_moves(const nn_follower* follower, const nn_follower_recent* recent, const nn_known* known);

/* nn_follower_surely - whether the newest that was sent of an entity, a state, has arrived. recent: as above. */
NN_PRIVATE bool nn_follower_surely(const nn_follower_state* state, const nn_follower_recent* recent, uint64_t frames);

/* nn_follower_choose_leads - of those that the client takes for moving, as of the frame that is being written. */
NN_PRIVATE void nn_follower_choose_leads(nn_follower* follower, nn_leads* leads);

/* nn_follower_arrived - a state of a slot, or its leave, in a frame of a tick has arrived. */
NN_PRIVATE void nn_follower_arrived(nn_follower* follower, uint16_t place, uint32_t number, uint32_t tick);

/* nn_follower_input - the input whose effect the last commit holds; false before the first. */
NN_PRIVATE bool nn_follower_input(const nn_follower* follower, uint32_t* out_tick);

/* nn_follower_pend, nn_follower_unpend - an entity has something to send, or no longer. */
NN_PRIVATE void nn_follower_pend(nn_follower* follower, nn_follower_state* state);
NN_PRIVATE void nn_follower_unpend(nn_follower* follower, nn_follower_state* state);

/* nn_follower_take_changes - what changed becomes pending, where it is in view. */
NN_PRIVATE void nn_follower_take_changes(nn_follower* follower);

/* nn_follower_forget - the client has nothing of this slot, and needs nothing. */
NN_PRIVATE void nn_follower_forget(nn_follower* follower, uint16_t place);

/* nn_follower_sync - before a frame. False without memory: try again later. */
NN_PRIVATE bool nn_follower_sync(nn_follower* follower);

/* nn_records_known - a hash of the ticks of the known frames. */
NN_PRIVATE uint64_t nn_records_known(const nn_follower* follower, const nn_known* known);

/* nn_records_key - of an update: a hash of all that it follows from but its slot. */
NN_PRIVATE uint64_t nn_records_key(const nn_follower* follower, const nn_follower_state* state,
                                   const nn_follower_recent* recent, const nn_known* known, uint64_t known_hash,
                                   bool special);

/* nn_records_find - the same update as another client had it in this commit, or NULL. */
NN_PRIVATE const nn_cached_record* nn_records_find(const necpnet_world* world, const nn_world_slot* slot, uint64_t key);

/* nn_records_put - write it. */
NN_PRIVATE void nn_records_put(nn_encoder* encoder, const nn_cached_record* record);

/* nn_records_keep - what was written from a bit on, for others. */
NN_PRIVATE void nn_records_keep(necpnet_world* world, nn_world_slot* slot, uint64_t key, const nn_encoder* encoder,
                                size_t from);

/* nn_follower_schedule - the next frame one interval later; keeps its phase, late frames are not made up for. */
NN_PRIVATE void nn_follower_schedule(nn_follower* follower, uint64_t now_us);

/* nn_follower_refill - budget for the time gone by. */
NN_PRIVATE void nn_follower_refill(nn_follower* follower, uint64_t now_us);

#endif
