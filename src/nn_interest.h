/* nn_interest - who sees what: entities and observers over the cells of a grid, in rooms.
 *
 * An entity stands in one cell of one room, or nowhere in it (no position: seen by the whole room). An observer is in
 * rooms, and in each watches what is nowhere and the cells up to radius + 1 around its own. An entity comes into view
 * within radius cells and leaves beyond radius + 1, so that nobody flickers at an edge. What changes is told to those who
 * watch the cell: the cost is changes times their watchers, never entities times observers.
 *
 * Who is told keeps the set of what is in view: enter may come for what is in it, leave and changed for what is not, and
 * then mean nothing.
 */
#ifndef NN_INTEREST_H
#define NN_INTEREST_H

#include "nn_alloc.h"

#define NN_INTEREST_RADIUS_MAX 15
#define NN_INTEREST_NOWHERE INT32_MIN /* as x and y */
#define NN_INTEREST_ROOMS_MAX 255     /* of one observer */

/* Who is told; must not call nn_interest or nn_observer. user is the observer's. */
typedef struct nn_interest_events {
    void (*enter)(void* user, uint16_t place);
    void (*leave)(void* user, uint16_t place);
    void (*changed)(void* user, uint16_t place);
} nn_interest_events;

typedef struct nn_observer nn_observer;

typedef struct nn_interest_cell {
    int32_t x, y;
    uint32_t room;
    uint32_t next;         /* in its bucket or among the free ones; 0 ends */
    uint32_t first_entity; /* place; 0 none */
    uint32_t watcher_count;
    uint32_t watcher_capacity;
    uint32_t* watchers; /* numbers of observers, in no order */
} nn_interest_cell;

typedef struct nn_interest_entity {
    uint32_t cell; /* 0: in none */
    uint16_t next; /* in its cell */
    uint16_t former;
} nn_interest_entity;

typedef struct nn_interest {
    nn_alloc* alloc;
    nn_interest_events events;
    nn_interest_entity* entities; /* by place */
    uint32_t entity_capacity;
    nn_interest_cell* cells; /* 1 .. cell_capacity - 1 */
    uint32_t cell_capacity;
    uint32_t cell_count; /* in use */
    uint32_t cell_free;
    uint32_t* buckets;       /* as many as cells, by key */
    nn_observer** observers; /* by number, 1 .. observer_capacity - 1; NULL: the number is free */
    uint32_t observer_capacity;
    uint32_t observer_free; /* no number below is free */
} nn_interest;

/* One who sees; in the caller's storage, at one address while in use. */
struct nn_observer {
    nn_interest* interest;
    void* user;
    uint32_t number; /* 0 while it was never in a room */
    uint32_t* rooms;
    uint32_t*
        windows; /* a room: numbers of the cells that it watches: nowhere, then side * side, (x, y) at x, y modulo side */
    uint32_t room_count;
    uint32_t room_capacity;
    int32_t x, y; /* the cell in the middle; NN_INTEREST_NOWHERE before the first move */
    uint32_t radius;
};

NN_PRIVATE void nn_interest_init(nn_interest* interest, nn_alloc* alloc, const nn_interest_events* events);

/* nn_interest_reset - after all observers. */
NN_PRIVATE void nn_interest_reset(nn_interest* interest);

/* nn_interest_put - an entity is new or has moved; tells enter and leave, never changed. OK | ERR_OUT_OF_MEMORY (it stands
 * where it stood). place: 1 .. 65,535. */
NN_PRIVATE necpnet_result nn_interest_put(nn_interest* interest, uint16_t place, uint32_t room, int32_t x, int32_t y);

/* nn_interest_take - an entity is gone; tells leave. */
NN_PRIVATE void nn_interest_take(nn_interest* interest, uint16_t place);

/* nn_interest_changed - tells it to all who watch the entity's cell. */
NN_PRIVATE void nn_interest_changed(nn_interest* interest, uint16_t place);

typedef enum nn_sight {
    NN_SIGHT_NONE = 0,
    NN_SIGHT_MARGIN = 1, /* beyond radius, within radius + 1: what was in view stays so */
    NN_SIGHT_FULL = 2
} nn_sight;

/* nn_observer_sight - how an entity stands to an observer. */
NN_PRIVATE nn_sight nn_observer_sight(const nn_observer* observer, uint16_t place);

/* nn_observer_distance - how many cells away from its own an entity stands that it watches; 0 for what is nowhere. */
NN_PRIVATE uint32_t nn_observer_distance(const nn_observer* observer, uint16_t place);

/* nn_observer_init - in no room. radius: 0 .. NN_INTEREST_RADIUS_MAX cells. */
NN_PRIVATE void nn_observer_init(nn_observer* observer, nn_interest* interest, void* user, uint32_t radius);

/* nn_observer_reset - sees nothing any more; leave is not told. */
NN_PRIVATE void nn_observer_reset(nn_observer* observer);

/* nn_observer_move - the observer stands in cell (x, y) of all its rooms, or nowhere and sees but what is nowhere, too.
 * OK | ERR_OUT_OF_MEMORY (nothing changed) */
NN_PRIVATE necpnet_result nn_observer_move(nn_observer* observer, int32_t x, int32_t y);

/* nn_observer_join, nn_observer_part - into a room, out of it; a room twice is once.
 * OK | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED (rooms); part: OK | ERR_NOT_FOUND */
NN_PRIVATE necpnet_result nn_observer_join(nn_observer* observer, uint32_t room);
NN_PRIVATE necpnet_result nn_observer_part(nn_observer* observer, uint32_t room);

#endif
