/* nn_interest - cells, who stands in them, who watches them. Numbers instead of pointers, so that the pools may move. */
#include "nn_interest.h"

#define INTEREST_FIRST 64
#define INTEREST_OBSERVERS_STEP 8
#define INTEREST_WATCHERS_STEP 2 /* a quarter more, and so many */

NN_PRIVATE void nn_interest_init(nn_interest* interest, nn_alloc* alloc, const nn_interest_events* events)
{
    memset(interest, 0, sizeof *interest);
    interest->alloc = alloc;
    interest->events = *events;
}

NN_PRIVATE void nn_interest_reset(nn_interest* interest)
{
    nn_alloc* to = interest->alloc;
    for (uint32_t number = 1; number < interest->cell_capacity; number++) {
        const nn_interest_cell* cell = &interest->cells[number];
        NN_ASSERT(cell->watcher_count == 0);
        nn_alloc_give(to, cell->watchers, cell->watcher_capacity * sizeof(uint32_t));
    }
    nn_alloc_give(to, interest->entities, interest->entity_capacity * sizeof(nn_interest_entity));
    nn_alloc_give(to, interest->cells, interest->cell_capacity * sizeof(nn_interest_cell));
    nn_alloc_give(to, interest->buckets, interest->cell_capacity * sizeof(uint32_t));
    nn_alloc_give(to, interest->observers, interest->observer_capacity * sizeof(nn_observer*));
    nn_interest_init(interest, to, &interest->events);
}

/* ---- room in the pools, so that nothing after it can fail */

static bool interest_reserve_entity(nn_interest* interest, uint16_t place)
{
    if (place < interest->entity_capacity) return true;
    uint32_t capacity = interest->entity_capacity ? interest->entity_capacity : INTEREST_FIRST;
    while (capacity <= place) capacity *= 2;
    nn_interest_entity* entities = (nn_interest_entity*)nn_alloc_grow(
        interest->alloc, interest->entities, interest->entity_capacity * sizeof(nn_interest_entity),
        capacity * sizeof(nn_interest_entity));
    if (!entities) return false;
    interest->entities = entities;
    interest->entity_capacity = capacity;
    return true;
}

static uint32_t interest_bucket(const nn_interest* interest, uint32_t room, int32_t x, int32_t y)
{
    uint64_t key = ((uint64_t)(uint32_t)x << 32 | (uint32_t)y) ^ (uint64_t)room * UINT64_C(0xd6e8feb86659fd93);
    key = (key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(key >> 32) & (interest->cell_capacity - 1);
}

static void interest_link_bucket(nn_interest* interest, uint32_t number)
{
    nn_interest_cell* cell = &interest->cells[number];
    uint32_t* bucket = &interest->buckets[interest_bucket(interest, cell->room, cell->x, cell->y)];
    cell->next = *bucket;
    *bucket = number;
}

/* Cell 0 is none, so one of the capacity stays unused. */
static bool interest_reserve_cells(nn_interest* interest, uint32_t count)
{
    uint32_t former = interest->cell_capacity;
    if (interest->cell_count + count + 1 <= former) return true;
    uint32_t capacity = former ? former : INTEREST_FIRST;
    while (capacity < interest->cell_count + count + 1) capacity *= 2;
    uint32_t* buckets = (uint32_t*)nn_alloc_take(interest->alloc, capacity * sizeof(uint32_t));
    if (!buckets) return false;
    nn_interest_cell* cells = (nn_interest_cell*)nn_alloc_grow(
        interest->alloc, interest->cells, former * sizeof(nn_interest_cell), capacity * sizeof(nn_interest_cell));
    if (!cells) {
        nn_alloc_give(interest->alloc, buckets, capacity * sizeof(uint32_t));
        return false;
    }
    nn_alloc_give(interest->alloc, interest->buckets, former * sizeof(uint32_t));
    interest->cells = cells;
    interest->buckets = buckets;
    interest->cell_capacity = capacity;
    for (uint32_t number = 1; number < former; number++) {
        if (cells[number].first_entity || cells[number].watcher_capacity) interest_link_bucket(interest, number);
    }
    for (uint32_t number = capacity - 1; number >= (former ? former : 1); number--) {
        cells[number].next = interest->cell_free;
        interest->cell_free = number;
    }
    return true;
}

/* ---- cells */

static uint32_t interest_find_cell(const nn_interest* interest, uint32_t room, int32_t x, int32_t y)
{
    if (!interest->cell_count) return 0;
    uint32_t number = interest->buckets[interest_bucket(interest, room, x, y)];
    while (number) {
        const nn_interest_cell* cell = &interest->cells[number];
        if (cell->x == x && cell->y == y && cell->room == room) break;
        number = cell->next;
    }
    return number;
}

/* Room for one cell is reserved; whoever asks puts something into it at once. */
static uint32_t interest_need_cell(nn_interest* interest, uint32_t room, int32_t x, int32_t y)
{
    uint32_t number = interest_find_cell(interest, room, x, y);
    if (number) return number;
    number = interest->cell_free;
    nn_interest_cell* cell = &interest->cells[number];
    interest->cell_free = cell->next;
    interest->cell_count++;
    cell->room = room;
    cell->x = x;
    cell->y = y;
    interest_link_bucket(interest, number);
    return number;
}

static void interest_release_cell(nn_interest* interest, uint32_t number)
{
    nn_interest_cell* cell = &interest->cells[number];
    if (cell->first_entity || cell->watcher_count) return;
    nn_alloc_give(interest->alloc, cell->watchers, cell->watcher_capacity * sizeof(uint32_t));
    cell->watchers = NULL;
    cell->watcher_capacity = 0;
    uint32_t* at = &interest->buckets[interest_bucket(interest, cell->room, cell->x, cell->y)];
    while (*at != number) at = &interest->cells[*at].next;
    *at = cell->next;
    cell->next = interest->cell_free;
    interest->cell_free = number;
    interest->cell_count--;
}

/* ---- watches */

static uint32_t observer_side(const nn_observer* observer)
{
    return observer->radius * 2 + 3;
}

static uint32_t observer_window(const nn_observer* observer)
{
    return 1 + observer_side(observer) * observer_side(observer);
}

static uint32_t observer_modulo(const nn_observer* observer, int32_t coordinate)
{
    int32_t side = (int32_t)observer_side(observer);
    int32_t rest = coordinate % side;
    return (uint32_t)(rest < 0 ? rest + side : rest);
}

/* Where in a room's window a cell's watch stands, if there is one. */
static uint32_t* observer_place(const nn_observer* observer, uint32_t room_index, int32_t x, int32_t y)
{
    uint32_t* window = observer->windows + (size_t)room_index * observer_window(observer);
    if (x == NN_INTEREST_NOWHERE) return window;
    return window + 1 + observer_modulo(observer, y) * observer_side(observer) + observer_modulo(observer, x);
}

static uint32_t observer_find_room(const nn_observer* observer, uint32_t room)
{
    uint32_t index = 0;
    while (index < observer->room_count && observer->rooms[index] != room) index++;
    return index;
}

static bool observer_watches(const nn_observer* observer, uint32_t cell_number)
{
    if (!cell_number) return false;
    const nn_interest* interest = observer->interest;
    const nn_interest_cell* cell = &interest->cells[cell_number];
    uint32_t index = observer_find_room(observer, cell->room);
    if (index == observer->room_count) return false;
    return *observer_place(observer, index, cell->x, cell->y) == cell_number;
}

/* How many cells away from the observer's own. */
static int32_t observer_distance(const nn_observer* observer, const nn_interest_cell* cell)
{
    int64_t x = (int64_t)cell->x - observer->x;
    int64_t y = (int64_t)cell->y - observer->y;
    x = x < 0 ? -x : x;
    y = y < 0 ? -y : y;
    int64_t most = x > y ? x : y;
    return most > INT32_MAX ? INT32_MAX : (int32_t)most;
}

/* Close enough to come into view; what is nowhere always is. */
static bool observer_reaches(const nn_observer* observer, uint32_t cell_number)
{
    const nn_interest_cell* cell = &observer->interest->cells[cell_number];
    return cell->x == NN_INTEREST_NOWHERE || observer_distance(observer, cell) <= (int32_t)observer->radius;
}

static void observer_tell_enter(const nn_observer* observer, uint32_t cell_number)
{
    const nn_interest* interest = observer->interest;
    if (!observer_reaches(observer, cell_number)) return;
    for (uint32_t at = interest->cells[cell_number].first_entity; at; at = interest->entities[at].next) {
        interest->events.enter(observer->user, (uint16_t)at);
    }
}

/* Room for one watcher more. The cell is there for its sake, so it stays with the room even while nobody stands in it. */
static bool interest_reserve_watcher(nn_interest* interest, nn_interest_cell* cell)
{
    if (cell->watcher_count < cell->watcher_capacity) return true;
    uint32_t capacity = cell->watcher_capacity + cell->watcher_capacity / 4 + INTEREST_WATCHERS_STEP;
    uint32_t* watchers = (uint32_t*)nn_alloc_take(interest->alloc, capacity * sizeof(uint32_t));
    if (!watchers) return false;
    nn_copy(watchers, cell->watchers, cell->watcher_count * sizeof(uint32_t));
    nn_alloc_give(interest->alloc, cell->watchers, cell->watcher_capacity * sizeof(uint32_t));
    cell->watchers = watchers;
    cell->watcher_capacity = capacity;
    return true;
}

static void observer_unwatch(nn_observer* observer, uint32_t* place, bool tell)
{
    nn_interest* interest = observer->interest;
    uint32_t number = *place;
    nn_interest_cell* cell = &interest->cells[number];
    uint32_t at = 0;
    *place = 0;
    while (cell->watchers[at] != observer->number) at++;
    cell->watchers[at] = cell->watchers[--cell->watcher_count];
    for (uint32_t entity = cell->first_entity; entity && tell; entity = interest->entities[entity].next) {
        interest->events.leave(observer->user, (uint16_t)entity);
    }
    interest_release_cell(interest, number);
}

/* ---- entities */

static void interest_enter_cell(nn_interest* interest, uint16_t place, uint32_t number)
{
    nn_interest_entity* entity = &interest->entities[place];
    nn_interest_cell* cell = &interest->cells[number];
    entity->cell = number;
    entity->former = 0;
    entity->next = (uint16_t)cell->first_entity;
    if (entity->next) interest->entities[entity->next].former = place;
    cell->first_entity = place;
}

static void interest_leave_cell(nn_interest* interest, uint16_t place)
{
    nn_interest_entity* entity = &interest->entities[place];
    uint32_t number = entity->cell;
    if (entity->former)
        interest->entities[entity->former].next = entity->next;
    else
        interest->cells[number].first_entity = entity->next;
    if (entity->next) interest->entities[entity->next].former = entity->former;
    entity->cell = 0;
    interest_release_cell(interest, number);
}

NN_PRIVATE necpnet_result nn_interest_put(nn_interest* interest, uint16_t place, uint32_t room, int32_t x, int32_t y)
{
    if (!interest_reserve_entity(interest, place)) return NECPNET_ERR_OUT_OF_MEMORY;
    uint32_t before = interest->entities[place].cell;
    if (before) {
        const nn_interest_cell* cell = &interest->cells[before];
        if (cell->x == x && cell->y == y && cell->room == room) return NECPNET_OK;
    }
    if (!interest_reserve_cells(interest, 1)) return NECPNET_ERR_OUT_OF_MEMORY;
    uint32_t now = interest_need_cell(interest, room, x, y);
    if (before) {
        const nn_interest_cell* left = &interest->cells[before];
        for (uint32_t i = 0; i < left->watcher_count; i++) {
            const nn_observer* observer = interest->observers[left->watchers[i]];
            if (!observer_watches(observer, now)) interest->events.leave(observer->user, place);
        }
    }
    const nn_interest_cell* entered = &interest->cells[now];
    for (uint32_t i = 0; i < entered->watcher_count; i++) {
        const nn_observer* observer = interest->observers[entered->watchers[i]];
        if (!observer_reaches(observer, now)) continue;
        if (observer_watches(observer, before) && observer_reaches(observer, before)) continue;
        interest->events.enter(observer->user, place);
    }
    if (before) interest_leave_cell(interest, place);
    interest_enter_cell(interest, place, now);
    return NECPNET_OK;
}

NN_PRIVATE void nn_interest_take(nn_interest* interest, uint16_t place)
{
    if (place >= interest->entity_capacity || !interest->entities[place].cell) return;
    const nn_interest_cell* cell = &interest->cells[interest->entities[place].cell];
    for (uint32_t i = 0; i < cell->watcher_count; i++)
        interest->events.leave(interest->observers[cell->watchers[i]]->user, place);
    interest_leave_cell(interest, place);
}

NN_PRIVATE void nn_interest_changed(nn_interest* interest, uint16_t place)
{
    if (place >= interest->entity_capacity || !interest->entities[place].cell) return;
    const nn_interest_cell* cell = &interest->cells[interest->entities[place].cell];
    for (uint32_t i = 0; i < cell->watcher_count; i++)
        interest->events.changed(interest->observers[cell->watchers[i]]->user, place);
}

/* ---- observers */

/* A number, by which cells know it. */
static bool observer_enrol(nn_observer* observer)
{
    nn_interest* interest = observer->interest;
    uint32_t former = interest->observer_capacity;
    uint32_t number = interest->observer_free ? interest->observer_free : 1;
    if (observer->number) return true;
    while (number < former && interest->observers[number]) number++;
    if (number >= former) {
        uint32_t capacity = former + former / 4 + INTEREST_OBSERVERS_STEP;
        nn_observer** observers = (nn_observer**)nn_alloc_grow(
            interest->alloc, interest->observers, former * sizeof(nn_observer*), capacity * sizeof(nn_observer*));
        if (!observers) return false;
        interest->observers = observers;
        interest->observer_capacity = capacity;
    }
    interest->observers[number] = observer;
    interest->observer_free = number + 1;
    observer->number = number;
    return true;
}

static void observer_strike(nn_observer* observer)
{
    nn_interest* interest = observer->interest;
    if (!observer->number) return;
    interest->observers[observer->number] = NULL;
    if (observer->number < interest->observer_free) interest->observer_free = observer->number;
}

NN_PRIVATE void nn_observer_init(nn_observer* observer, nn_interest* interest, void* user, uint32_t radius)
{
    NN_ASSERT(radius <= NN_INTEREST_RADIUS_MAX);
    memset(observer, 0, sizeof *observer);
    observer->interest = interest;
    observer->user = user;
    observer->radius = radius;
    observer->x = NN_INTEREST_NOWHERE;
    observer->y = NN_INTEREST_NOWHERE;
}

NN_PRIVATE nn_sight nn_observer_sight(const nn_observer* observer, uint16_t place)
{
    const nn_interest* interest = observer->interest;
    uint32_t cell = place < interest->entity_capacity ? interest->entities[place].cell : 0;
    if (!observer_watches(observer, cell)) return NN_SIGHT_NONE;
    return observer_reaches(observer, cell) ? NN_SIGHT_FULL : NN_SIGHT_MARGIN;
}

NN_PRIVATE uint32_t nn_observer_distance(const nn_observer* observer, uint16_t place)
{
    const nn_interest* interest = observer->interest;
    uint32_t number = place < interest->entity_capacity ? interest->entities[place].cell : 0;
    const nn_interest_cell* cell = &interest->cells[number];
    if (!number || cell->x == NN_INTEREST_NOWHERE || observer->x == NN_INTEREST_NOWHERE) return 0;
    return (uint32_t)observer_distance(observer, cell);
}

static void observer_unwatch_room(nn_observer* observer, uint32_t index, bool tell)
{
    uint32_t window = observer_window(observer);
    for (uint32_t i = 0; i < window; i++) {
        uint32_t* place = &observer->windows[(size_t)index * window + i];
        if (*place) observer_unwatch(observer, place, tell);
    }
}

NN_PRIVATE void nn_observer_reset(nn_observer* observer)
{
    for (uint32_t index = 0; index < observer->room_count; index++) observer_unwatch_room(observer, index, false);
    nn_alloc* to = observer->interest->alloc;
    nn_alloc_give(to, observer->rooms, observer->room_capacity * sizeof(uint32_t));
    nn_alloc_give(to, observer->windows,
                  (size_t)observer->room_capacity * observer_window(observer) * sizeof(uint32_t));
    observer_strike(observer);
    nn_observer_init(observer, observer->interest, observer->user, observer->radius);
}

/* ---- windows: nowhere, and the cells within radius + 1, up to the edge of the number range: those beyond do not exist */

/* index: of the room among the observer's, or their number for one that it is to join. */
typedef bool observer_visit(nn_observer* observer, uint32_t index, uint32_t room, int32_t x, int32_t y);

/* False when a visit says so; then the rest is left out. */
static bool observer_each(nn_observer* observer, uint32_t index, uint32_t room, int32_t x, int32_t y,
                          observer_visit* visit)
{
    if (!visit(observer, index, room, NN_INTEREST_NOWHERE, NN_INTEREST_NOWHERE)) return false;
    if (x == NN_INTEREST_NOWHERE) return true;
    int64_t radius = (int64_t)observer->radius + 1;
    for (int64_t to_y = y - radius; to_y <= y + radius; to_y++) {
        for (int64_t to_x = x - radius; to_x <= x + radius; to_x++) {
            if (to_x <= INT32_MIN || to_x > INT32_MAX || to_y <= INT32_MIN || to_y > INT32_MAX) continue;
            if (!visit(observer, index, room, (int32_t)to_x, (int32_t)to_y)) return false;
        }
    }
    return true;
}

/* A cell with a place for this observer, unless it has one. */
static bool observer_reserve_cell(nn_observer* observer, uint32_t index, uint32_t room, int32_t x, int32_t y)
{
    nn_interest* interest = observer->interest;
    if (!interest_reserve_cells(interest, 1)) return false;
    uint32_t number = interest_need_cell(interest, room, x, y);
    if (index < observer->room_count && *observer_place(observer, index, x, y) == number) return true;
    if (interest_reserve_watcher(interest, &interest->cells[number])) return true;
    interest_release_cell(interest, number);
    return false;
}

static bool observer_release_cell(nn_observer* observer, uint32_t index, uint32_t room, int32_t x, int32_t y)
{
    (void)index;
    uint32_t number = interest_find_cell(observer->interest, room, x, y);
    if (number) interest_release_cell(observer->interest, number);
    return true;
}

/* All that is needed to stand at (x, y) in a room; nothing is left behind when memory ends half-way. */
static bool observer_reserve(nn_observer* observer, uint32_t index, uint32_t room, int32_t x, int32_t y)
{
    if (observer_each(observer, index, room, x, y, observer_reserve_cell)) return true;
    (void)observer_each(observer, index, room, x, y, observer_release_cell);
    return false;
}

/* The cell has a place for it. */
static bool observer_watch(nn_observer* observer, uint32_t index, uint32_t room, int32_t x, int32_t y)
{
    nn_interest* interest = observer->interest;
    uint32_t* place = observer_place(observer, index, x, y);
    if (*place) return true; /* places are unique within the window: it is this cell's */
    uint32_t number = interest_find_cell(interest, room, x, y);
    nn_interest_cell* cell = &interest->cells[number];
    NN_ASSERT(number && cell->watcher_count < cell->watcher_capacity);
    cell->watchers[cell->watcher_count++] = observer->number;
    *place = number;
    observer_tell_enter(observer, number);
    return true;
}

/* After a move: cells beyond reach are let go, and what others hold may have come near. */
static void observer_leave_far(nn_observer* observer, uint32_t index)
{
    uint32_t window = observer_window(observer);
    for (uint32_t i = 1; i < window; i++) {
        uint32_t* place = &observer->windows[(size_t)index * window + i];
        if (!*place) continue;
        uint32_t cell_number = *place;
        const nn_interest_cell* cell = &observer->interest->cells[cell_number];
        bool far_off = observer->x == NN_INTEREST_NOWHERE;
        if (far_off || observer_distance(observer, cell) > (int32_t)observer->radius + 1) {
            observer_unwatch(observer, place, true);
        } else {
            observer_tell_enter(observer, cell_number);
        }
    }
}

NN_PRIVATE necpnet_result nn_observer_move(nn_observer* observer, int32_t x, int32_t y)
{
    if (observer->x == x && observer->y == y) return NECPNET_OK;
    for (uint32_t index = 0; index < observer->room_count; index++) {
        if (observer_reserve(observer, index, observer->rooms[index], x, y)) continue;
        while (index-- > 0) {
            (void)observer_each(observer, index, observer->rooms[index], x, y, observer_release_cell);
        }
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    observer->x = x;
    observer->y = y;
    for (uint32_t index = 0; index < observer->room_count; index++) {
        observer_leave_far(observer, index);
        (void)observer_each(observer, index, observer->rooms[index], x, y, observer_watch);
    }
    return NECPNET_OK;
}

/* Room for one room more; windows are laid side by side, so they grow together. */
static bool observer_reserve_room(nn_observer* observer)
{
    if (observer->room_count < observer->room_capacity) return true;
    uint32_t former = observer->room_capacity;
    uint32_t capacity = former ? former * 2 : 1;
    nn_alloc* alloc = observer->interest->alloc;
    size_t window_bytes = observer_window(observer) * sizeof(uint32_t);
    uint32_t* rooms = (uint32_t*)nn_alloc_take(alloc, capacity * sizeof(uint32_t));
    if (!rooms) return false;
    uint32_t* windows =
        (uint32_t*)nn_alloc_grow(alloc, observer->windows, former * window_bytes, capacity * window_bytes);
    if (!windows) {
        nn_alloc_give(alloc, rooms, capacity * sizeof(uint32_t));
        return false;
    }
    nn_copy(rooms, observer->rooms, observer->room_count * sizeof(uint32_t));
    nn_alloc_give(alloc, observer->rooms, former * sizeof(uint32_t));
    observer->rooms = rooms;
    observer->windows = windows;
    observer->room_capacity = capacity;
    return true;
}

NN_PRIVATE necpnet_result nn_observer_join(nn_observer* observer, uint32_t room)
{
    if (observer_find_room(observer, room) < observer->room_count) return NECPNET_OK;
    if (observer->room_count >= NN_INTEREST_ROOMS_MAX) return NECPNET_ERR_LIMIT_REACHED;
    if (!observer_enrol(observer) || !observer_reserve_room(observer) ||
        !observer_reserve(observer, observer->room_count, room, observer->x, observer->y)) {
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    uint32_t index = observer->room_count++;
    observer->rooms[index] = room;
    (void)observer_each(observer, index, room, observer->x, observer->y, observer_watch);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_observer_part(nn_observer* observer, uint32_t room)
{
    uint32_t index = observer_find_room(observer, room);
    if (index == observer->room_count) return NECPNET_ERR_NOT_FOUND;
    observer_unwatch_room(observer, index, true);
    uint32_t last = --observer->room_count;
    uint32_t window = observer_window(observer);
    if (index != last) {
        observer->rooms[index] = observer->rooms[last];
        memcpy(observer->windows + (size_t)index * window, observer->windows + (size_t)last * window,
               window * sizeof(uint32_t));
        memset(observer->windows + (size_t)last * window, 0, window * sizeof(uint32_t));
    }
    return NECPNET_OK;
}
