/* players.h - the names of players who were here lately: sessions know a client id (a hash) alone, people a subject. In memory, of
 * fixed size; the newest push out the oldest. Any thread.
 */
#ifndef SERVER_PLAYERS_H
#define SERVER_PLAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "necpnet.h"

typedef struct players player_names;

/* players_create - for so many, or a few more.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY */
necpnet_result players_create(size_t players_max, player_names** out_names);
void players_destroy(player_names* names);

/* players_note - this client id is that subject; forgotten silently without memory. */
void players_note(player_names* names, uint64_t client_id, const char* subject);

/* players_find - the subject, copied. Returns whether it is known. */
bool players_find(player_names* names, uint64_t client_id, char* subject, size_t subject_bytes);

/* players_forget - a player who is erased. */
void players_forget(player_names* names, uint64_t client_id);

#endif
