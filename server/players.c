/* players - the names of players who were here lately. */
#include "players.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define PLAYERS_PROBES 8

typedef struct player_name {
    uint64_t client_id;
    uint64_t order; /* of noting; 0: free */
    char* subject;
} player_name;

struct players {
    pthread_mutex_t lock;
    uint64_t order;
    size_t count; /* of places: a power of two */
    player_name places[];
};

necpnet_result players_create(size_t players_max, player_names** out_names)
{
    size_t count = 1;
    while (count < players_max) count *= 2;
    player_names* names = calloc(1, sizeof(*names) + count * sizeof(names->places[0]));
    if (!names) return NECPNET_ERR_OUT_OF_MEMORY;
    names->count = count;
    pthread_mutex_init(&names->lock, NULL);
    *out_names = names;
    return NECPNET_OK;
}

void players_destroy(player_names* names)
{
    if (!names) return;
    for (size_t i = 0; i < names->count; i++) free(names->places[i].subject);
    pthread_mutex_destroy(&names->lock);
    free(names);
}

/* Client ids are hashes: their low bits are as good as any. The place of one, or the oldest that it may have. */
static player_name* players_place(player_names* names, uint64_t client_id)
{
    player_name* oldest = NULL;
    for (uint64_t i = 0; i < PLAYERS_PROBES; i++) {
        player_name* place = &names->places[(client_id + i) & (names->count - 1)];
        if (place->order && place->client_id == client_id) return place;
        if (!oldest || place->order < oldest->order) oldest = place;
    }
    return oldest;
}

void players_note(player_names* names, uint64_t client_id, const char* subject)
{
    char* copy = text_copy(subject);
    if (!copy) return;
    pthread_mutex_lock(&names->lock);
    player_name* place = players_place(names, client_id);
    free(place->subject);
    *place = (player_name){client_id, ++names->order, copy};
    pthread_mutex_unlock(&names->lock);
}

bool players_find(player_names* names, uint64_t client_id, char* subject, size_t subject_bytes)
{
    pthread_mutex_lock(&names->lock);
    const player_name* place = players_place(names, client_id);
    bool found = place->order && place->client_id == client_id;
    if (found) snprintf(subject, subject_bytes, "%s", place->subject);
    pthread_mutex_unlock(&names->lock);
    return found;
}

void players_forget(player_names* names, uint64_t client_id)
{
    pthread_mutex_lock(&names->lock);
    player_name* place = players_place(names, client_id);
    if (place->order && place->client_id == client_id) {
        memset(place->subject, 0, strlen(place->subject));
        free(place->subject);
        *place = (player_name){0, 0, NULL};
    }
    pthread_mutex_unlock(&names->lock);
}
