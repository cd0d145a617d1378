/* nn_presence - who is here: the inside of necpnet.h section 12.
 *
 * A record a player; between two records an edge for friendship and for watching, stored at both ends with its place at the
 * other, so that a change finds all who see it, and a watcher all that changed, without looking anything up. An edge has no
 * history: a watcher that was told rests for the interval, and then gets what is marked.
 */
#ifndef NN_PRESENCE_H
#define NN_PRESENCE_H

#include "nn_alloc.h"

#define NN_PRESENCE_NOBODY UINT32_MAX
#define NN_PRESENCE_PLAYERS_MAX ((1u << 24) - 1) /* an edge has 24 bits for its other end */

/* Bits of an edge, at the end that it is read from. */
#define NN_PRESENCE_FRIEND 0x01u  /* at both ends */
#define NN_PRESENCE_WATCHES 0x02u /* this end watches the other */
#define NN_PRESENCE_WATCHED 0x04u /* the other watches this end */
#define NN_PRESENCE_PENDING 0x08u /* the other changed, this end was not told */
#define NN_PRESENCE_SEES (NN_PRESENCE_FRIEND | NN_PRESENCE_WATCHES)
#define NN_PRESENCE_SEEN (NN_PRESENCE_FRIEND | NN_PRESENCE_WATCHED)

typedef struct nn_presence_edge {
    uint32_t other; /* record << 8 | bits */
    uint32_t back;  /* its place among the other's edges */
} nn_presence_edge;

/* A list through records, oldest first; a record is in at most one of the lives and one of the turns. */
typedef struct nn_presence_list {
    uint32_t first;
    uint32_t last;
} nn_presence_list;

typedef struct nn_presence_link {
    uint32_t next;
    uint32_t before;
} nn_presence_link;

typedef enum nn_presence_life {
    NN_PRESENCE_FREE,  /* no player's; chained by life.next */
    NN_PRESENCE_HERE,  /* has connections */
    NN_PRESENCE_GRACE, /* lost; still shown as before. In lists.grace by lost_us */
    NN_PRESENCE_GONE   /* offline. In lists.gone: the first is forgotten when room is needed, unless somebody sees it */
} nn_presence_life;

typedef enum nn_presence_turn {
    NN_PRESENCE_SILENT, /* in no list; may be told at once */
    NN_PRESENCE_READY,  /* in lists.ready */
    NN_PRESENCE_RESTS   /* in lists.resting by told_us */
} nn_presence_turn;

typedef struct nn_presence_record {
    necpnet_player player;
    uint64_t seen_us; /* wall time: when last visible, as far as it is not now; 0: not known */
    uint64_t lost_us; /* GRACE: since when */
    uint64_t told_us; /* RESTS: since when */
    nn_presence_edge* edges;
    char* location; /* NULL: none */
    uint32_t edge_count;
    uint32_t edges_room;
    uint32_t zone;
    uint32_t connections;
    uint32_t hash_next;
    uint32_t watched; /* edges by which others watch it */
    nn_presence_link life_link;
    nn_presence_link turn_link;
    uint16_t friends;
    uint16_t watches;
    uint8_t status; /* as its player set it */
    uint8_t life;
    uint8_t turn;
    bool pending; /* some edge is */
} nn_presence_record;

struct necpnet_presence {
    nn_alloc alloc;
    necpnet_presence_config config;
    uint64_t now_us;
    uint64_t wall_offset_us; /* wall time less now, modulo 2^64 */
    nn_presence_record* records;
    uint32_t* heads; /* of the hash's chains; a power of two */
    uint32_t room;   /* of records, and of heads */
    uint32_t used;   /* records ever used */
    uint32_t free_first;
    nn_presence_list grace;
    nn_presence_list gone;
    nn_presence_list ready;
    nn_presence_list resting;
    necpnet_presence_info* items; /* of the update that poll gave */
    uint32_t items_max;
    necpnet_presence_statistics statistics;
};

NN_PRIVATE void nn_presence_init(necpnet_presence* presence);

/* nn_presence_find - the record of a player, or NOBODY. */
NN_PRIVATE uint32_t nn_presence_find(const necpnet_presence* presence, necpnet_player player);

/* nn_presence_reach - the record of a player, made if there is none.
 *
 * OK | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED */
NN_PRIVATE necpnet_result nn_presence_reach(necpnet_presence* presence, necpnet_player player, uint32_t* out_at);

/* nn_presence_drop - forget a record and all its edges. */
NN_PRIVATE void nn_presence_drop(necpnet_presence* presence, uint32_t at);

/* nn_presence_find_edge - its place among the edges of a, or NOBODY. */
NN_PRIVATE uint32_t nn_presence_find_edge(const necpnet_presence* presence, uint32_t a, uint32_t b);

/* nn_presence_join - set bits of the edge between a and b (FRIEND, or WATCHES as seen from a), made if there is none.
 *
 *   out_new  whether they were not set before.
 *
 * OK | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED */
NN_PRIVATE necpnet_result nn_presence_join(necpnet_presence* presence, uint32_t a, uint32_t b, uint32_t bits,
                                           bool* out_new);

/* nn_presence_part - clear bits of the edge at a place of a's; removed when none is left. Returns whether it was removed: then
 * the last edge of a stands at the place. */
NN_PRIVATE bool nn_presence_part(necpnet_presence* presence, uint32_t a, uint32_t place, uint32_t bits);

/* nn_presence_set_life - move a record between the lists of lives. */
NN_PRIVATE void nn_presence_set_life(necpnet_presence* presence, uint32_t at, nn_presence_life life);

/* nn_presence_is_visible - whether others see it as anything but offline. */
NN_PRIVATE bool nn_presence_is_visible(const nn_presence_record* record);

/* nn_presence_show - as others see it; location is a view. */
NN_PRIVATE void nn_presence_show(const necpnet_presence* presence, const nn_presence_record* record,
                                 necpnet_presence_info* out_info);

/* nn_presence_mark - what others see of it changed: those who see it are told in their turn. */
NN_PRIVATE void nn_presence_mark(necpnet_presence* presence, uint32_t at);

/* nn_presence_mark_for - mark the edge at a place of the watcher's. */
NN_PRIVATE void nn_presence_mark_for(necpnet_presence* presence, uint32_t watcher, uint32_t place);

/* nn_presence_end_grace - it is offline; its watch list, and friendships with others who are offline, are dropped. */
NN_PRIVATE void nn_presence_end_grace(necpnet_presence* presence, uint32_t at, uint64_t since_us);

/* nn_presence_take_turn - the next watcher with something to hear, resting from now on; NOBODY: none. */
NN_PRIVATE uint32_t nn_presence_take_turn(necpnet_presence* presence);

/* nn_presence_wake - those who have rested. */
NN_PRIVATE void nn_presence_wake(necpnet_presence* presence);

NN_INLINE uint32_t nn_presence_other(const nn_presence_edge* edge)
{
    return edge->other >> 8;
}

#endif
