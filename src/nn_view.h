/* nn_view - the client's entities: what the connection feeds in, and what the parts of the view share. */
#ifndef NN_VIEW_H
#define NN_VIEW_H

#include "nn_alloc.h"
#include "nn_bytes.h"
#include "nn_playback.h"
#include "nn_codec.h"
#include "nn_record.h"
#include "nn_schema.h"
#include "nn_track.h"
#include "nn_user_ids.h"
#include "nn_variables.h"
#include "nn_world.h"

#define NN_VIEW_INPUTS 256       /* unacknowledged inputs */
#define NN_VIEW_INPUT_BYTES 255  /* of one */
#define NN_VIEW_SMOOTH_US 150000 /* how long a correction takes, at least */

/* One entity in view. Its states by rising tick are at places order[0 .. count - 1]. */
typedef struct nn_view_entity {
    uint32_t* rows;    /* capacity rows */
    void* predicted;   /* own and predicted: the struct with all inputs applied */
    void* told;        /* the struct as nn_changes told it last; NULL: not yet */
    double* shift;     /* blend_count: what is added to the picture, fading away since shift_us; NULL: never was */
    uint64_t shift_us; /* 0: nothing to add */
    uint32_t fade_us;  /* how long it takes to fade */
    uint32_t ticks[NN_VIEW_STATES];
    uint32_t still[NN_VIEW_STATES]; /* the state before was still true at this tick */
    uint8_t order[NN_VIEW_STATES];
    uint8_t count;
    uint8_t capacity;
    bool owner;
    bool fresh; /* predicted, and not yet compared with the server */
} nn_view_entity;

typedef struct nn_view_slot {
    nn_view_entity* entity; /* NULL: not in view */
    nn_track track;         /* what frames to come may refer to; outlives the entity for a while */
    uint32_t entered_tick;  /* of the first full state of this entity, or of the last in which its owner was told */
    uint32_t left_tick;
    uint32_t entered_number; /* of the frames of those ticks, which decide between two of one tick; 0: before all */
    uint32_t left_number;
    uint16_t generation;     /* of the entity that is or was here; 0: never one */
    uint16_t announced;      /* generation that the application knows; 0: none */
    uint8_t type;            /* index */
    uint16_t announced_type; /* its id */
    bool typed;              /* type is that of the last entity here */
    bool left;               /* left_tick counts */
    bool queued;             /* in the queue of events */
    bool stale;              /* not seen since nn_view_renew */
    bool recent;             /* in the list of what came of late */
    bool doubtful;           /* a check found it different from the server's */
    bool active;             /* in the list of what may have changed */
    uint64_t user_id;        /* of what was announced; 0: none */
    bool ended;              /* what was announced went with its connection: the same number may mean another entity */
} nn_view_slot;

/* Scratch of the codec. */
typedef struct nn_view_coding {
    nn_prediction prediction;
    nn_leads leads; /* of the frame at hand */
    nn_thin thin;
} nn_view_coding;

typedef struct nn_view_predictor {
    necpnet_view_step step;
    void* user;
} nn_view_predictor;

typedef struct nn_view_input {
    uint32_t tick;
    uint8_t bytes;
    uint8_t data[NN_VIEW_INPUT_BYTES];
} nn_view_input;

/* Where what the view has to say to the server goes; the client's connection, or a runner's. Its functions are NULL while there
 * is none. */
typedef struct nn_view_out {
    /* A write of an entity, in the place of an older one. OK | ERR_NOT_CONNECTED | ERR_WOULD_BLOCK | ERR_OUT_OF_MEMORY */
    necpnet_result (*write)(void* user, uint32_t entity, uint32_t number, const void* data, size_t bytes);
    necpnet_result (*tell)(void* user, const void* data, size_t bytes); /* a CONTROL message; the same results */
    void* user;
} nn_view_out;

/* An entity that this client writes, or may write. */
typedef struct nn_view_held {
    necpnet_entity entity;
    uint32_t number;     /* of its last write; 0: none */
    uint32_t acked;      /* of the newest that has arrived */
    uint32_t numbers[4]; /* of the newest write with each verdict that poll has not told yet */
    uint32_t base_tick;  /* shared: the state that the last write was based on */
    uint32_t end_tick;   /* with ends: when the server's states hold what was written */
    void* state;         /* what was written, shown instead of the server's; NULL: nothing */
    uint32_t* row;       /* the same as it was sent */
    uint32_t* changed;   /* of each field: the number of the write that changed it last; behind them, as many: of the
                            write that gave it back as the server has it */
    uint16_t lease;      /* the sequence of its authority */
    uint8_t mode;        /* 1: this client has authority */
    uint8_t type;        /* index, with state */
    uint8_t notices;     /* for poll */
    bool confirmed;      /* mode was said over this connection */
    bool showing;        /* state counts */
    bool ends;           /* showing ends at end_tick */
    bool unsent;         /* its newest write found no room on its way out */
} nn_view_held;
/* Who is told of changes of a variable, or of all whose keys begin alike. */
typedef struct nn_view_watch {
    necpnet_view_watcher watcher; /* NULL: it ends */
    void* user;
    uint64_t seen;  /* number of the change it was told last */
    uint64_t since; /* and when it began */
    uint8_t scope;
    uint8_t bytes;
    char key[NECPNET_NAME_BYTES_MAX];
} nn_view_watch;

typedef struct nn_change_list {
    necpnet_entity* entities;
    uint16_t* types;
    uint64_t* marks; /* user ids, or fields */
    uint32_t count;
    uint32_t capacity;
} nn_change_list;

typedef struct nn_changes {
    nn_change_list entered;
    nn_change_list left;
    nn_change_list changed;
    uint16_t* active; /* slots that may show something else than was told */
    uint32_t active_count;
    uint32_t active_capacity;
    uint8_t* scratch; /* a struct of any type */
    uint32_t scratch_bytes;
    bool scans; /* active is not all: look at all slots */
} nn_changes;

struct necpnet_view {
    nn_alloc alloc;
    necpnet_logger logger;
    necpnet_view_config config;
    const necpnet_schema* schema; /* rows are by it: the application's, or map */
    necpnet_schema* map;          /* of a server with another version; NULL: none */
    nn_view_slot* slots;          /* by slot */
    uint32_t slot_capacity;       /* 0, or a power of two */
    uint16_t* queue;              /* ring of slots with events, room for slot_capacity */
    uint32_t queue_first;
    uint32_t queue_count;
    uint32_t entity_count;
    uint32_t own_count; /* entities with a predicted struct */
    uint32_t* row;      /* scratch, one row of any type */
    uint32_t* other_row;
    uint8_t* structs;      /* scratch, two structs of any type */
    uint32_t struct_bytes; /* of the largest type */
    nn_view_coding* coding;
    uint16_t* recent; /* slots whose tracks have recent states, rising; room for slot_capacity */
    uint32_t recent_count;
    uint32_t newest_number; /* of a frame, once numbered */
    bool numbered;
    nn_view_predictor* predictors; /* by type index in the application's schema */
    nn_view_input* inputs;         /* ring; NULL until a type is predicted */
    uint32_t input_first;
    uint32_t input_count;
    uint32_t input_last; /* tick of the newest ever */
    uint32_t input_acked;
    bool has_acked;
    bool replay; /* the server said something new about own entities */
    bool any;    /* newest_tick counts */
    uint32_t newest_tick;
    uint32_t complete[NN_VIEW_STATES]; /* ticks of the last frames that held all that had changed; ring */
    uint32_t complete_count;
    uint32_t complete_tick; /* the newest of them */
    uint8_t renewing;       /* complete frames until what is stale leaves; 0: nothing is */
    nn_recording recording;
    nn_view_out out;
    nn_view_held* held; /* by rising entity */
    uint32_t held_count;
    uint32_t held_capacity;
    uint32_t write_number; /* of the last write of any entity */
    nn_playback playback;
    nn_variables variables[2]; /* by necpnet_scope */
    uint64_t variables_polled[2];
    nn_user_ids user_ids;
    nn_changes* changes; /* NULL: never asked for */
    nn_view_watch* watches;
    uint32_t watch_count;
    uint32_t watch_capacity;
    int64_t server_minus_local_us;
    const char* error;
    double correction_sum;
    necpnet_view_statistics statistics;
};

/* nn_view_read - one STATE frame, after its type byte (length first); moves the reader beyond the frame.
 *
 * Returns OK | ERR_BAD_DATA (nn_view_get_error names it; close the connection)
 *         | ERR_LIMIT_REACHED (more entities than entities_max) | ERR_OUT_OF_MEMORY
 */
NN_PRIVATE necpnet_result nn_view_read(necpnet_view* view, nn_reader* reader, uint64_t now_us);

/* nn_view_read_variables - a CONTROL message about variables, behind its kind.
 *
 * Returns OK | ERR_PROTOCOL (it is none) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY
 */
NN_PRIVATE necpnet_result nn_view_read_variables(necpnet_view* view, const uint8_t* data, size_t bytes);

/* nn_view_begin_variables, nn_view_end_variables - with the view; nn_view_forget_variables - with a session. */
NN_PRIVATE void nn_view_begin_variables(necpnet_view* view);
NN_PRIVATE void nn_view_end_variables(necpnet_view* view);
NN_PRIVATE void nn_view_forget_variables(necpnet_view* view);

/* nn_view_note_change - a slot with an entity may show something else from now on. */
NN_PRIVATE void nn_view_note_change(necpnet_view* view, nn_view_slot* slot);

/* nn_view_end_changes - with the view. */
NN_PRIVATE void nn_view_end_changes(necpnet_view* view);

/* nn_view_poll_sight - the next ENTERED or LEFT. */
NN_PRIVATE bool nn_view_poll_sight(necpnet_view* view, necpnet_view_event* out_event);

/* nn_view_tell_watchers - of what they have not seen. */
NN_PRIVATE void nn_view_tell_watchers(necpnet_view* view);

/* nn_view_get_error - what was wrong with the last frame that nn_view_read refused; static text. */
NN_PRIVATE const char* nn_view_get_error(const necpnet_view* view);

/* nn_view_renew - another connection to the same server's world, which it sends anew: what is in view stays and goes on; what
 * the server does not name again has left meanwhile, and leaves when all has come.
 *
 *   ordered  the connection loses nothing.
 */

NN_PRIVATE void nn_view_renew(necpnet_view* view, bool ordered);

/* nn_view_reset - the connection is gone: all entities leave, no state or input is remembered. */
NN_PRIVATE void nn_view_reset(necpnet_view* view);

/* nn_view_set_clock - the server's clock, each time it is estimated anew.
 *
 *   server_minus_local_us  0 until known.
 *   tick_hz                of the server, from SETUP; needed before the first frame (default 60).
 */
NN_PRIVATE void nn_view_set_clock(necpnet_view* view, int64_t server_minus_local_us, uint32_t tick_hz);

/* nn_view_show_before, nn_view_show_after - around a change of an entity's states: what it shows now stays, and fades
 * into what it shows after, as slowly as it moves if moved (it was carried on wrongly). values: blend_count numbers, kept between the two. */
NN_PRIVATE bool nn_view_show_before(necpnet_view* view, const nn_view_slot* slot, double* values);
NN_PRIVATE void nn_view_show_after(necpnet_view* view, const nn_view_slot* slot, const double* values, bool moved);

/* nn_view_set_predicted - give an own entity of a predicted type its struct, or take it away. */
NN_PRIVATE necpnet_result nn_view_set_predicted(necpnet_view* view, const nn_view_slot* slot);

/* nn_view_show_shift - what is shown jumps from shown to now, both values of nn_blend_read: it fades over. */
NN_PRIVATE void nn_view_show_shift(necpnet_view* view, const nn_view_slot* slot, const double* shown,
                                   const double* now);

/* ---- nn_view_write */

/* nn_view_set_out - NULL functions: nobody listens. */
NN_PRIVATE void nn_view_set_out(necpnet_view* view, const nn_view_out* out);

/* nn_view_take_control - a CONTROL message behind NN_CONTROL_STATE. False: malformed. */
NN_PRIVATE bool nn_view_take_control(necpnet_view* view, const uint8_t* data, size_t bytes);

/* nn_view_written - a write has arrived. */
NN_PRIVATE void nn_view_written(necpnet_view* view, necpnet_entity entity, uint32_t number);

/* nn_view_ask_repair - the state of a slot is not the server's: send it whole. */
NN_PRIVATE void nn_view_ask_repair(necpnet_view* view, uint16_t place);

/* nn_view_skip_checks - beyond those of a frame; false: malformed. nn_view_take_checks - compare; tick: of the frame. */
NN_PRIVATE bool nn_view_skip_checks(nn_reader* reader);
NN_PRIVATE void nn_view_take_checks(necpnet_view* view, nn_reader* reader, uint32_t tick);

/* nn_view_record_clock - after nn_view_set_clock. */
NN_PRIVATE void nn_view_record_clock(necpnet_view* view);

/* nn_view_find_held - or NULL. */
NN_PRIVATE nn_view_held* nn_view_find_held(const necpnet_view* view, necpnet_entity entity);

/* nn_view_show_held - the struct that was written, if that is to be shown. */
NN_PRIVATE bool nn_view_show_held(necpnet_view* view, const nn_view_slot* slot, necpnet_entity entity, void* state);

/* nn_view_drop_held - the entity is gone; nn_view_reset_held - the connection, and all with it; nn_view_renew_held - as
 * nn_view_renew. */
NN_PRIVATE void nn_view_drop_held(necpnet_view* view, necpnet_entity entity);
NN_PRIVATE void nn_view_reset_held(necpnet_view* view);
NN_PRIVATE void nn_view_renew_held(necpnet_view* view);

/* nn_view_poll_held - the next event of authority and writes. */
NN_PRIVATE bool nn_view_poll_held(necpnet_view* view, necpnet_view_event* out_event);

/* nn_view_find - the slot of an entity in view, or NULL. */
NN_PRIVATE nn_view_slot* nn_view_find(const necpnet_view* view, necpnet_entity entity);

/* nn_view_plan - of the entity in a slot. */
NN_INLINE const nn_type_plan* nn_view_plan(const necpnet_view* view, const nn_view_slot* slot)
{
    return &view->schema->plans[slot->type];
}

/* nn_view_reserve_slot - room for a slot of that number. False: no memory. */
NN_PRIVATE bool nn_view_reserve_slot(necpnet_view* view, uint16_t place);

/* nn_view_announce - the application will be told how a slot differs from what it knows. */
NN_PRIVATE void nn_view_announce(necpnet_view* view, nn_view_slot* slot);

/* nn_view_leave - the entity is gone, and announced; nn_view_release_entity - without a word. */
NN_PRIVATE void nn_view_leave(necpnet_view* view, nn_view_slot* slot);
NN_PRIVATE void nn_view_release_entity(necpnet_view* view, nn_view_slot* slot);

/* nn_view_note_renewed - a complete frame after nn_view_renew: what was not told of again by the last of them is gone. */
NN_PRIVATE void nn_view_note_renewed(necpnet_view* view);

/* nn_view_row - the row of the index-th oldest state of an entity. */
NN_PRIVATE uint32_t* nn_view_row(const necpnet_view* view, const nn_view_slot* slot, unsigned index);

/* nn_view_follow_schema - before the first state of a connection: what the server writes by (a change is a reset); NULL: the application's schema.
 *
 * OK | ERR_SCHEMA_DIFFERS (text, NECPNET_REASON_BYTES_MAX + 1 bytes, says what) | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_view_follow_schema(necpnet_view* view, const necpnet_schema* writer, char* text);

/* nn_view_get_config - the application's. */
NN_PRIVATE const necpnet_view_config* nn_view_get_config(const necpnet_view* view);

/* nn_view_get_schema - the application's, for the schema hash in SETUP. */
NN_PRIVATE const necpnet_schema* nn_view_get_schema(const necpnet_view* view);

#endif
