/* nn_world - the server's entities, quantised once a tick into a history of rows that all followers share. */
#ifndef NN_WORLD_H
#define NN_WORLD_H

#include "nn_alloc.h"
#include "nn_codec.h"
#include "nn_interest.h"
#include "nn_schema.h"
#include "nn_user_ids.h"
#include "nn_variables.h"

/* A slot is used again only when no client can still take in a frame of its former entity: a view drops frames that are
 * this many ticks older than its newest one. On the wire (src/PROTOCOL.md). */
#define NN_STATE_WINDOW_TICKS 128
/* Complete frames until nothing that was sent can still be on its way: one may overtake another, or be lost. */
#define NN_STATE_GREETING_FRAMES 3
#define NN_STATE_FRAME_BYTES_MAX 16000 /* of one frame; fits one WebSocket message */
#define NN_VIEW_STATES 32              /* received states that a view keeps an entity; deltas refer to no older one */
#define NN_WORLD_SLOTS_MAX 65535
#define NN_CARRIERS_MAX 2       /* found in a commit, beside those that PARENT fields name */
#define NN_WORLD_NAP_SLOTS 1024 /* beyond entities_max, for slots that wait for their next use */

typedef struct nn_follower nn_follower;             /* nn_follower.h */
typedef struct nn_world_recorder nn_world_recorder; /* nn_world_record.c */

typedef enum nn_slot_flag {
    NN_SLOT_ALIVE = 1,     /* has an entity */
    NN_SLOT_COMMITTED = 2, /* that clients may know */
    NN_SLOT_DIRTY = 4,     /* in the dirty list */
    NN_SLOT_TOUCHED = 8    /* the application marked it since the last commit */
} nn_slot_flag;

/* Who sees it, whatever rooms, grid and filter say. */
typedef enum nn_slot_scope {
    NN_SCOPE_NORMAL = 0,
    NN_SCOPE_WORLD = 1,  /* the object of a type: all */
    NN_SCOPE_SESSION = 2 /* its owner alone */
} nn_slot_scope;

typedef struct nn_world_slot {
    /* what each record of each client asks, close together */
    uint32_t* history; /* capacity ticks, then capacity rows; version v is at v modulo capacity */
    necpnet_peer owner_committed;
    uint32_t version;       /* of its newest row; never 0 when committed; goes on when the slot is used again */
    uint32_t record_first;  /* nn_record_cache: number of its newest record, of record_commit */
    uint32_t record_commit; /* low bits */
    uint16_t versions;      /* rows in the history */
    uint16_t capacity;      /* power of two */
    uint16_t generation;
    uint8_t type;  /* index; kept after despawn */
    uint8_t flags; /* nn_slot_flag */
    uint8_t priority;
    uint8_t scope;      /* nn_slot_scope */
    uint16_t interval;  /* least ticks between two versions */
    uint32_t room;      /* and what a commit asks */
    uint32_t watchers;  /* followers that look from it */
    necpnet_peer owner; /* as the application says */
    void* state;        /* the application's struct */
    uint64_t user_id;   /* 0: none */
    uint32_t freed_tick;
    uint16_t next_free;
    /* nn_authority */
    uint16_t lease;        /* sequence of authority; goes on when the slot is used again */
    uint32_t foreign_tick; /* of the newest version before the writer's own */
    uint8_t authority;     /* necpnet_authority */
    necpnet_peer writer;   /* shared: whose write the newest version is, or will be; NECPNET_PEER_NONE: the server's */
    uint64_t written_us;   /* when a client's write was taken last; 0: never */
    uint64_t written_commit; /* commits there were by then */
} nn_world_slot;

/* What necpnet_world_poll has to tell. */
typedef struct nn_world_notice {
    necpnet_world_event_type type;
    necpnet_peer peer;
    necpnet_entity entity;
    uint32_t sequence;
} nn_world_notice;

/* When an entity's row changed of late: what all who follow it ask with every frame, close together. */
typedef struct nn_world_motion {
    uint32_t changed_tick;
    uint32_t
        run_tick; /* it changed in each tick from this one to changed_tick; UINT32_MAX: its type does not count as moving */
} nn_world_motion;

/* Records of updates that other followers may use: those of one commit, for each slot a chain, told apart by a hash of what
 * they follow from. One behind the other in words, the head first, then its bits; its number is where it begins. */
#define NN_CACHE_WORDS_MAX (UINT32_C(3) << 16)
#define NN_CACHE_RECORD_WORDS 4 /* of bits, at most */

typedef struct nn_cached_record {
    uint64_t key;
    uint32_t next; /* of its slot: number, 0 ends */
    uint32_t bits;
} nn_cached_record;

typedef struct nn_record_cache {
    uint64_t* words; /* from 1 on */
    uint32_t count;  /* the number that comes next; 0: none yet */
    uint32_t capacity;
    uint32_t most; /* words of a commit of late */
    uint64_t commit;
} nn_record_cache;

/* How a type's positions become cells, in 2^-30 of a cell. */
#define NN_GRID_ONE (INT64_C(1) << 30)

typedef struct nn_world_grid {
    int64_t origin; /* of a position of 0 steps */
    int64_t cells_per_step;
    uint16_t x; /* words of the row */
    uint16_t y;
    bool is_placed;
} nn_world_grid;

typedef struct nn_world_coding {
    nn_prediction prediction;
    nn_leads leads; /* of the frame at hand */
    nn_thin thin;
    nn_thin_undo undo;  /* a record that may find no room */
    nn_thin thin_leads; /* the leads, which may find none either */
    uint8_t record[NN_STATE_BYTES_MAX * 4];
} nn_world_coding;

struct necpnet_world {
    nn_alloc alloc;
    necpnet_logger logger;
    necpnet_world_config config;
    const necpnet_schema* schema;
    nn_world_slot* slots;     /* 1 .. slot_count; place 0 unused */
    nn_world_motion* motions; /* by slot, room for slot_capacity */
    uint16_t* dirty;          /* room for slot_capacity */
    uint32_t slot_capacity;
    uint32_t slot_count; /* highest slot ever used */
    uint32_t dirty_count;
    uint32_t entity_count;
    uint32_t tick;         /* of the last commit */
    uint32_t history_from; /* from this tick on, every slot's history is whole */
    uint64_t commit;       /* commits so far */
    uint16_t free_first;   /* slots to use again, the longest free first */
    uint16_t free_last;
    uint32_t* scratch_row;                              /* one row of any type */
    uint8_t* frame;                                     /* where followers write records, NN_STATE_FRAME_BYTES_MAX */
    uint32_t thin_types[NECPNET_ENTITY_TYPES_MAX / 32]; /* bits of those that the thin codec is for */
    uint32_t thin_type_count;
    nn_world_coding* coding; /* scratch of the codec */
    nn_record_cache cache;   /* empty while one follower alone would use it */
    nn_interest interest;
    nn_world_grid* grids;               /* by type */
    uint16_t carriers[NN_CARRIERS_MAX]; /* slots that others seem to move with, as of carrier_commit */
    uint32_t carrier_count;
    uint64_t carrier_commit;
    bool has_parents;   /* some type has a PARENT field */
    bool watched_moved; /* what a follower looks from was committed */
    uint64_t* order;    /* scratch of followers for choosing */
    uint32_t order_capacity;
    nn_follower** buckets; /* by peer */
    uint32_t bucket_count; /* power of two */
    uint32_t follower_count;
    uint32_t commit_gap; /* ticks between the last two commits */
    /* nn_authority */
    nn_world_notice* notices; /* ring */
    uint32_t notice_capacity; /* power of two */
    uint32_t notice_first;
    uint32_t notice_count;
    uint64_t told;               /* what followers were given to tell */
    nn_world_recorder* recorder; /* NULL: none */
    bool has_authority;          /* some entity was a client's to write, at some time */
    nn_user_ids user_ids;
    nn_variables variables;  /* for all */
    necpnet_entity* objects; /* of the world; some may be gone */
    uint32_t object_count;
    uint8_t type_scopes[NECPNET_ENTITY_TYPES_MAX]; /* nn_slot_scope that objects of a type have */
    /* nn_rewind */
    bool has_refused; /* strict: the commit at hand met a value out of range */
    bool is_rewound;
    necpnet_entity* rewound; /* whose present structs are kept, one behind the other */
    uint32_t rewound_count;
    uint32_t rewound_capacity;
    uint8_t* present;
    size_t present_bytes;
    necpnet_world_statistics statistics;
};

/* nn_world_time_ns - by the application's clock, for its statistics; 0 without one. */
NN_INLINE uint64_t nn_world_time_ns(const necpnet_world* world)
{
    return world->config.time_ns ? world->config.time_ns(world->config.time_user) : 0;
}

NN_INLINE necpnet_entity nn_entity_of(uint16_t generation, uint16_t slot)
{
    return (necpnet_entity)generation << 16 | slot;
}

/* nn_world_begin_sight, nn_world_end_sight - with the world. Begin: OK | ERR_BAD_CONFIG */
NN_PRIVATE necpnet_result nn_world_begin_sight(necpnet_world* world);
NN_PRIVATE void nn_world_end_sight(necpnet_world* world);

/* nn_world_show - a slot was committed; changed: its row or owner. False without memory to place it: show it again. */
NN_PRIVATE bool nn_world_show(necpnet_world* world, uint16_t place, bool changed, necpnet_peer former_owner);

/* nn_world_hide - a slot's entity is gone, and no longer COMMITTED. */
NN_PRIVATE void nn_world_hide(necpnet_world* world, uint16_t place);

/* nn_world_look - after a commit: those who look from entities move with them. */
NN_PRIVATE void nn_world_look(necpnet_world* world);

/* nn_world_get_schema - for the schema hash in SETUP. */
NN_PRIVATE const necpnet_schema* nn_world_get_schema(const necpnet_world* world);

/* nn_world_recording_follower - who sees everything, for a recording; NULL: none. nn_world_record_commit - after a commit.
 * nn_world_end_record - with the world. */
NN_PRIVATE nn_follower* nn_world_recording_follower(const necpnet_world* world);
NN_PRIVATE void nn_world_record_commit(necpnet_world* world);
NN_PRIVATE void nn_world_end_record(necpnet_world* world);

/* nn_world_changed - a live entity's struct was written. */
NN_PRIVATE void nn_world_changed(necpnet_world* world, nn_world_slot* slot);

/* nn_world_change_authority - another owner or authority than before, or (corrected) the same anew: those who have and had it
 * are told, and what was written under the former sequence is refused. */
NN_PRIVATE void nn_world_change_authority(necpnet_world* world, nn_world_slot* slot, necpnet_peer owner,
                                          uint8_t authority);

/* nn_world_end_peer - its session is over: what it had authority over is the server's. Before nn_world_forget. */
NN_PRIVATE void nn_world_end_peer(necpnet_world* world, necpnet_peer peer);

/* nn_world_end_authority - with the world. */
NN_PRIVATE void nn_world_end_authority(necpnet_world* world);

/* ---- a slot's history: rows, one behind the other, and before them the ticks of what has a rate of its own */

NN_INLINE const nn_type_plan* nn_world_plan(const necpnet_world* world, const nn_world_slot* slot)
{
    return &world->schema->plans[slot->type];
}

NN_INLINE size_t nn_world_history_bytes(const nn_type_plan* plan, uint32_t capacity)
{
    return (size_t)capacity * (1u + plan->row_words) * sizeof(uint32_t);
}

NN_INLINE uint32_t* nn_world_row_place(const nn_type_plan* plan, const nn_world_slot* slot, uint32_t version)
{
    uint32_t place = version & (slot->capacity - 1u);
    return slot->history + slot->capacity + (size_t)place * plan->row_words;
}

/* Behind the struct: when the fields of each rate changed last. */
NN_INLINE size_t nn_world_rates_at(const nn_type_plan* plan)
{
    return (plan->type->struct_bytes + sizeof(uint32_t) - 1) / sizeof(uint32_t) * sizeof(uint32_t);
}

NN_INLINE uint32_t* nn_world_rate_ticks(const nn_type_plan* plan, const nn_world_slot* slot)
{
    return (uint32_t*)(void*)((uint8_t*)slot->state + nn_world_rates_at(plan));
}

NN_INLINE uint16_t nn_world_place_of(const necpnet_world* world, const nn_world_slot* slot)
{
    return (uint16_t)(slot - world->slots);
}

/* nn_world_find - the slot of a live entity, or NULL. */
NN_PRIVATE nn_world_slot* nn_world_find(const necpnet_world* world, necpnet_entity entity);

/* nn_world_mark - it is looked at with the next commit. */
NN_PRIVATE void nn_world_mark(necpnet_world* world, nn_world_slot* slot);

/* nn_world_spawn - necpnet_world_spawn for a type's number, of objects too. */
NN_PRIVATE necpnet_result nn_world_spawn(necpnet_world* world, int type, const void* state, necpnet_entity* out_entity);

/* nn_world_adopt_object - a live entity is the world's object of its type. OK | ERR_BAD_DATA (there is one) | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_world_adopt_object(necpnet_world* world, necpnet_entity entity);

/* nn_world_spawn_at - an entity under a given number, beyond all slots used so far; those between stay free.
 * OK | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
NN_PRIVATE necpnet_result nn_world_spawn_at(necpnet_world* world, necpnet_entity entity, int type, const void* state);

/* nn_world_version_tick - when a version that the history has was committed. */
NN_INLINE uint32_t nn_world_version_tick(const nn_world_slot* slot, uint32_t version)
{
    return slot->history[version & (slot->capacity - 1u)];
}

/* nn_world_version_at - the version that was true at a tick; 0 if the history no longer has it. */
NN_PRIVATE uint32_t nn_world_version_at(const nn_world_slot* slot, uint32_t tick);

/* nn_world_find_carriers - into carriers, once a commit. */
NN_PRIVATE void nn_world_find_carriers(necpnet_world* world);

/* nn_world_row - a version's row, or NULL if the history no longer has it. */
NN_PRIVATE const uint32_t* nn_world_row(const necpnet_world* world, const nn_world_slot* slot, uint32_t version);

#endif
