/* nn_presence - records, edges between them, and whose turn it is. */
#include "nn_presence.h"

#include "nn_bytes.h"
#include "nn_hash.h"

#define PRESENCE_ROOM_FIRST 64u
#define PRESENCE_EDGES_FIRST 4u

/* ---------------------------------------------------------------------------------------------------- lists -- */

static nn_presence_link* presence_link_of(necpnet_presence* presence, uint32_t at, bool is_turn)
{
    nn_presence_record* record = &presence->records[at];
    return is_turn ? &record->turn_link : &record->life_link;
}

static void presence_append(necpnet_presence* presence, nn_presence_list* list, uint32_t at, bool is_turn)
{
    nn_presence_link* link = presence_link_of(presence, at, is_turn);
    link->next = NN_PRESENCE_NOBODY;
    link->before = list->last;
    if (list->last == NN_PRESENCE_NOBODY) {
        list->first = at;
    } else {
        presence_link_of(presence, list->last, is_turn)->next = at;
    }
    list->last = at;
}

static void presence_unlink(necpnet_presence* presence, nn_presence_list* list, uint32_t at, bool is_turn)
{
    nn_presence_link link = *presence_link_of(presence, at, is_turn);
    if (link.before == NN_PRESENCE_NOBODY) {
        list->first = link.next;
    } else {
        presence_link_of(presence, link.before, is_turn)->next = link.next;
    }
    if (link.next == NN_PRESENCE_NOBODY) {
        list->last = link.before;
    } else {
        presence_link_of(presence, link.next, is_turn)->before = link.before;
    }
}

static nn_presence_list* presence_list_of_life(necpnet_presence* presence, unsigned life)
{
    if (life == NN_PRESENCE_GRACE) return &presence->grace;
    if (life == NN_PRESENCE_GONE) return &presence->gone;
    return NULL;
}

NN_PRIVATE void nn_presence_set_life(necpnet_presence* presence, uint32_t at, nn_presence_life life)
{
    nn_presence_record* record = &presence->records[at];
    nn_presence_list* from = presence_list_of_life(presence, record->life);
    nn_presence_list* to = presence_list_of_life(presence, life);
    necpnet_presence_statistics* statistics = &presence->statistics;
    if (from) presence_unlink(presence, from, at, false);
    if (to) presence_append(presence, to, at, false);
    statistics->here -= record->life == NN_PRESENCE_HERE;
    statistics->grace -= record->life == NN_PRESENCE_GRACE;
    record->life = (uint8_t)life;
    statistics->here += record->life == NN_PRESENCE_HERE;
    statistics->grace += record->life == NN_PRESENCE_GRACE;
}

static void presence_set_turn(necpnet_presence* presence, uint32_t at, nn_presence_turn turn)
{
    nn_presence_record* record = &presence->records[at];
    nn_presence_list* lists[3] = {NULL, &presence->ready, &presence->resting};
    if (lists[record->turn]) presence_unlink(presence, lists[record->turn], at, true);
    if (lists[turn]) presence_append(presence, lists[turn], at, true);
    record->turn = (uint8_t)turn;
}

/* ---------------------------------------------------------------------------------------------------- records -- */

NN_PRIVATE void nn_presence_init(necpnet_presence* presence)
{
    static const nn_presence_list none = {NN_PRESENCE_NOBODY, NN_PRESENCE_NOBODY};
    presence->grace = presence->gone = presence->ready = presence->resting = none;
    presence->free_first = NN_PRESENCE_NOBODY;
}

/* Keyed: players name whom they watch, and must not be able to choose ids that share a chain. */
static uint32_t* presence_chain(const necpnet_presence* presence, necpnet_player player)
{
    uint8_t key[NN_SIPHASH_KEY_BYTES] = {0};
    uint8_t id[8];
    nn_store_u64(key, presence->config.seed);
    nn_store_u64(id, player);
    return &presence->heads[(uint32_t)nn_siphash64(key, id, sizeof id) & (presence->room - 1)];
}

NN_PRIVATE uint32_t nn_presence_find(const necpnet_presence* presence, necpnet_player player)
{
    if (!presence->room) return NN_PRESENCE_NOBODY;
    uint32_t at = *presence_chain(presence, player);
    while (at != NN_PRESENCE_NOBODY && presence->records[at].player != player) at = presence->records[at].hash_next;
    return at;
}

static void presence_chain_up(necpnet_presence* presence, uint32_t at)
{
    uint32_t* head = presence_chain(presence, presence->records[at].player);
    presence->records[at].hash_next = *head;
    *head = at;
}

static necpnet_result presence_grow(necpnet_presence* presence)
{
    uint32_t room = presence->room ? presence->room * 2 : PRESENCE_ROOM_FIRST;
    uint32_t* heads = (uint32_t*)nn_alloc_take(&presence->alloc, room * sizeof *heads);
    if (!heads) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_presence_record* records = (nn_presence_record*)nn_alloc_grow(
        &presence->alloc, presence->records, presence->room * sizeof *records, room * sizeof *records);
    if (!records) {
        nn_alloc_give(&presence->alloc, heads, room * sizeof *heads);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    nn_alloc_give(&presence->alloc, presence->heads, presence->room * sizeof *heads);
    presence->records = records;
    presence->heads = heads;
    presence->room = room;
    for (uint32_t i = 0; i < room; i++) heads[i] = NN_PRESENCE_NOBODY;
    for (uint32_t i = 0; i < presence->used; i++) {
        if (records[i].life != NN_PRESENCE_FREE) presence_chain_up(presence, i);
    }
    return NECPNET_OK;
}

/* The oldest of those who are offline and whom nobody sees. Seen ones that it passes go to the end: each is looked at once
 * in a while, not each time. */
static uint32_t presence_find_forgettable(necpnet_presence* presence)
{
    for (int tries = 0; tries < 16 && presence->gone.first != NN_PRESENCE_NOBODY; tries++) {
        uint32_t at = presence->gone.first;
        if (presence->records[at].edge_count == 0) return at;
        nn_presence_set_life(presence, at, NN_PRESENCE_GONE);
    }
    return NN_PRESENCE_NOBODY;
}

NN_PRIVATE necpnet_result nn_presence_reach(necpnet_presence* presence, necpnet_player player, uint32_t* out_at)
{
    uint32_t at = nn_presence_find(presence, player);
    if (at != NN_PRESENCE_NOBODY) {
        *out_at = at;
        return NECPNET_OK;
    }
    if (presence->free_first == NN_PRESENCE_NOBODY && presence->used == presence->config.players_max) {
        at = presence_find_forgettable(presence);
        if (at == NN_PRESENCE_NOBODY) return NECPNET_ERR_LIMIT_REACHED;
        nn_presence_drop(presence, at);
    }
    if (presence->free_first != NN_PRESENCE_NOBODY) {
        at = presence->free_first;
        presence->free_first = presence->records[at].life_link.next;
    } else {
        if (presence->used == presence->room) {
            necpnet_result result = presence_grow(presence);
            if (result != NECPNET_OK) return result;
        }
        at = presence->used++;
    }
    nn_presence_record* record = &presence->records[at];
    memset(record, 0, sizeof *record);
    record->player = player;
    presence_chain_up(presence, at);
    nn_presence_set_life(presence, at, NN_PRESENCE_GONE);
    presence->statistics.players++;
    *out_at = at;
    return NECPNET_OK;
}

NN_PRIVATE void nn_presence_drop(necpnet_presence* presence, uint32_t at)
{
    nn_presence_record* record = &presence->records[at];
    uint32_t* chain = presence_chain(presence, record->player);
    while (record->edge_count) (void)nn_presence_part(presence, at, record->edge_count - 1, 0xff);
    nn_alloc_give(&presence->alloc, record->edges, record->edges_room * sizeof *record->edges);
    if (record->location) nn_alloc_give(&presence->alloc, record->location, strlen(record->location) + 1);
    presence_set_turn(presence, at, NN_PRESENCE_SILENT);
    nn_presence_set_life(presence, at, NN_PRESENCE_FREE);
    while (*chain != at) chain = &presence->records[*chain].hash_next;
    *chain = record->hash_next;
    memset(record, 0, sizeof *record);
    record->life_link.next = presence->free_first;
    presence->free_first = at;
    presence->statistics.players--;
}

/* ------------------------------------------------------------------------------------------------------ edges -- */

NN_PRIVATE uint32_t nn_presence_find_edge(const necpnet_presence* presence, uint32_t a, uint32_t b)
{
    const nn_presence_record* left = &presence->records[a];
    const nn_presence_record* right = &presence->records[b];
    if (left->edge_count <= right->edge_count) {
        for (uint32_t i = 0; i < left->edge_count; i++) {
            if (nn_presence_other(&left->edges[i]) == b) return i;
        }
    } else {
        for (uint32_t i = 0; i < right->edge_count; i++) {
            if (nn_presence_other(&right->edges[i]) == a) return right->edges[i].back;
        }
    }
    return NN_PRESENCE_NOBODY;
}

/* Room for one more: an eighth more each time, because what is unused counts for every player. */
static necpnet_result presence_reserve_edge(necpnet_presence* presence, nn_presence_record* record)
{
    const necpnet_presence_config* config = &presence->config;
    uint32_t edges_max = config->friends_max + config->watches_max + config->watchers_max;
    if (record->edge_count < record->edges_room) return NECPNET_OK;
    NN_ASSERT(record->edge_count < edges_max); /* each kind has its own limit */
    uint32_t room = record->edges_room + record->edges_room / 8 + PRESENCE_EDGES_FIRST;
    if (room > edges_max) room = edges_max;
    nn_presence_edge* edges = (nn_presence_edge*)nn_alloc_grow(
        &presence->alloc, record->edges, record->edges_room * sizeof *edges, room * sizeof *edges);
    if (!edges) return NECPNET_ERR_OUT_OF_MEMORY;
    record->edges = edges;
    record->edges_room = room;
    return NECPNET_OK;
}

static necpnet_result presence_make_edge(necpnet_presence* presence, uint32_t a, uint32_t b, uint32_t* out_place)
{
    nn_presence_record* left = &presence->records[a];
    nn_presence_record* right = &presence->records[b];
    necpnet_result result = presence_reserve_edge(presence, left);
    if (result == NECPNET_OK) result = presence_reserve_edge(presence, right);
    if (result != NECPNET_OK) return result;
    left->edges[left->edge_count].other = b << 8;
    left->edges[left->edge_count].back = right->edge_count;
    right->edges[right->edge_count].other = a << 8;
    right->edges[right->edge_count].back = left->edge_count;
    right->edge_count++;
    *out_place = left->edge_count++;
    presence->statistics.edges++;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_presence_join(necpnet_presence* presence, uint32_t a, uint32_t b, uint32_t bits,
                                           bool* out_new)
{
    nn_presence_record* left = &presence->records[a];
    nn_presence_record* right = &presence->records[b];
    uint32_t place = nn_presence_find_edge(presence, a, b);
    *out_new = place == NN_PRESENCE_NOBODY || !(left->edges[place].other & bits);
    if (!*out_new) return NECPNET_OK;
    if (bits == NN_PRESENCE_FRIEND) {
        if (left->friends >= presence->config.friends_max || right->friends >= presence->config.friends_max) {
            return NECPNET_ERR_LIMIT_REACHED;
        }
    } else if (left->watches >= presence->config.watches_max || right->watched >= presence->config.watchers_max) {
        return NECPNET_ERR_LIMIT_REACHED;
    }
    if (place == NN_PRESENCE_NOBODY) {
        necpnet_result result = presence_make_edge(presence, a, b, &place);
        if (result != NECPNET_OK) return result;
    }
    nn_presence_edge* edge = &left->edges[place];
    nn_presence_edge* back = &right->edges[edge->back];
    edge->other |= bits;
    back->other |= bits == NN_PRESENCE_FRIEND ? NN_PRESENCE_FRIEND : NN_PRESENCE_WATCHED;
    if (bits == NN_PRESENCE_FRIEND) {
        left->friends++;
        right->friends++;
    } else {
        left->watches++;
        right->watched++;
    }
    return NECPNET_OK;
}

/* Takes out the edge at a place; the last one fills it, and its other end learns that. */
static void presence_cut(necpnet_presence* presence, uint32_t a, uint32_t place)
{
    nn_presence_record* record = &presence->records[a];
    uint32_t last = --record->edge_count;
    if (place == last) return;
    nn_presence_edge moved = record->edges[last];
    record->edges[place] = moved;
    presence->records[nn_presence_other(&moved)].edges[moved.back].back = place;
}

NN_PRIVATE bool nn_presence_part(necpnet_presence* presence, uint32_t a, uint32_t place, uint32_t bits)
{
    nn_presence_record* left = &presence->records[a];
    nn_presence_edge* edge = &left->edges[place];
    uint32_t b = nn_presence_other(edge);
    nn_presence_record* right = &presence->records[b];
    nn_presence_edge* back = &right->edges[edge->back];
    bits &= edge->other;
    if (bits & NN_PRESENCE_FRIEND) {
        left->friends--;
        right->friends--;
        back->other &= ~NN_PRESENCE_FRIEND;
    }
    if (bits & NN_PRESENCE_WATCHES) {
        left->watches--;
        right->watched--;
        back->other &= ~NN_PRESENCE_WATCHED;
    }
    if (bits & NN_PRESENCE_WATCHED) {
        right->watches--;
        left->watched--;
        back->other &= ~NN_PRESENCE_WATCHES;
    }
    edge->other &= ~bits;
    if (!(edge->other & NN_PRESENCE_SEES)) edge->other &= ~NN_PRESENCE_PENDING;
    if (!(back->other & NN_PRESENCE_SEES)) back->other &= ~NN_PRESENCE_PENDING;
    if (edge->other & (NN_PRESENCE_SEES | NN_PRESENCE_SEEN)) return false;
    uint32_t back_place = edge->back;
    presence_cut(presence, a, place);
    presence_cut(presence, b, back_place);
    presence->statistics.edges--;
    return true;
}

/* ------------------------------------------------------------------------------------------------ what is seen -- */

NN_PRIVATE bool nn_presence_is_visible(const nn_presence_record* record)
{
    return (record->life == NN_PRESENCE_HERE || record->life == NN_PRESENCE_GRACE) &&
           record->status != NECPNET_PRESENCE_INVISIBLE;
}

NN_PRIVATE void nn_presence_show(const necpnet_presence* presence, const nn_presence_record* record,
                                 necpnet_presence_info* out_info)
{
    bool visible = nn_presence_is_visible(record);
    out_info->player = record->player;
    out_info->status = visible ? (necpnet_presence_status)record->status : NECPNET_PRESENCE_OFFLINE;
    out_info->zone = visible ? record->zone : 0;
    out_info->location = visible && record->location ? record->location : "";
    out_info->last_seen_us = visible ? presence->now_us + presence->wall_offset_us : record->seen_us;
}

NN_PRIVATE void nn_presence_mark_for(necpnet_presence* presence, uint32_t watcher, uint32_t place)
{
    nn_presence_record* record = &presence->records[watcher];
    if (record->edges[place].other & NN_PRESENCE_PENDING) {
        presence->statistics.coalesced++;
        return;
    }
    record->edges[place].other |= NN_PRESENCE_PENDING;
    record->pending = true;
    if (record->life == NN_PRESENCE_HERE && record->turn == NN_PRESENCE_SILENT) {
        presence_set_turn(presence, watcher, NN_PRESENCE_READY);
    }
}

NN_PRIVATE void nn_presence_mark(necpnet_presence* presence, uint32_t at)
{
    const nn_presence_record* record = &presence->records[at];
    presence->statistics.changes++;
    for (uint32_t i = 0; i < record->edge_count; i++) {
        const nn_presence_edge* edge = &record->edges[i];
        if (!(edge->other & NN_PRESENCE_SEEN)) continue;
        uint32_t watcher = nn_presence_other(edge);
        /* who is offline hears of it when it is back */
        if (presence->records[watcher].life == NN_PRESENCE_GONE) continue;
        nn_presence_mark_for(presence, watcher, edge->back);
    }
}

NN_PRIVATE void nn_presence_end_grace(necpnet_presence* presence, uint32_t at, uint64_t since_us)
{
    nn_presence_record* record = &presence->records[at];
    bool was_visible = nn_presence_is_visible(record);
    if (was_visible) record->seen_us = since_us + presence->wall_offset_us;
    nn_presence_set_life(presence, at, NN_PRESENCE_GONE);
    presence_set_turn(presence, at, NN_PRESENCE_SILENT);
    record->status = NECPNET_PRESENCE_OFFLINE;
    record->connections = 0;
    record->zone = 0;
    record->pending = false;
    if (record->location) nn_alloc_give(&presence->alloc, record->location, strlen(record->location) + 1);
    record->location = NULL;
    if (was_visible) nn_presence_mark(presence, at);
    for (uint32_t i = record->edge_count; i-- > 0;) {
        nn_presence_edge* edge = &record->edges[i];
        bool both_gone = presence->records[nn_presence_other(edge)].life == NN_PRESENCE_GONE;
        edge->other &= ~NN_PRESENCE_PENDING;
        (void)nn_presence_part(presence, at, i, NN_PRESENCE_WATCHES | (both_gone ? NN_PRESENCE_FRIEND : 0u));
    }
    if (record->edge_count == 0) {
        nn_alloc_give(&presence->alloc, record->edges, record->edges_room * sizeof *record->edges);
        record->edges = NULL;
        record->edges_room = 0;
    }
}

/* ------------------------------------------------------------------------------------------------------- turns -- */

NN_PRIVATE uint32_t nn_presence_take_turn(necpnet_presence* presence)
{
    uint32_t at = presence->ready.first;
    if (at == NN_PRESENCE_NOBODY) return at;
    presence->records[at].told_us = presence->now_us;
    presence_set_turn(presence, at, NN_PRESENCE_RESTS);
    return at;
}

NN_PRIVATE void nn_presence_wake(necpnet_presence* presence)
{
    uint64_t interval_us = (uint64_t)presence->config.interval_ms * 1000u;
    for (;;) {
        uint32_t at = presence->resting.first;
        if (at == NN_PRESENCE_NOBODY || presence->records[at].told_us + interval_us > presence->now_us) return;
        bool ready = presence->records[at].pending && presence->records[at].life == NN_PRESENCE_HERE;
        presence_set_turn(presence, at, ready ? NN_PRESENCE_READY : NN_PRESENCE_SILENT);
    }
}
