/* voice.h - who speaks to whom on the reference server over necpnet's own transports: every player is in the groups that the
 * configuration names, and in those of the voice channels that the switchboard puts him into. One to a worker, on its thread.
 *
 * What is said to all, or in a channel, is heard by the players of other workers as well: once a turn what was said goes
 * over the bus in one message, judged by the speaker's worker, and the listener's decides who hears it. Near players are those of one
 * worker, for each has a world of its own; whispers are within one, too.
 */
#ifndef SERVER_VOICE_H
#define SERVER_VOICE_H

#include "bus/bus.h"
#include "config.h"
#include "game.h"
#include "voice/switchboard.h"

#define VOICE_PLACES_US 100000u /* between looks at where players are */

typedef struct voice voice;

/* voice_create - a hub and its groups.
 *
 *   loop       of the worker.
 *   others     what it hears the other workers over.
 *   out_voice  NULL when the configuration says off.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED | ERR_NO_ENTROPY */
necpnet_result voice_create(const config* settings, bus* others, necpnet_loop* loop, voice** out_voice);

/* voice_destroy - after the server, before the loop's last step. NULL does nothing, here and below. */
void voice_destroy(voice* at);

/* voice_hub - for necpnet_server_config; NULL: none. */
necpnet_voice_hub* voice_hub(voice* at);

/* voice_join - a session began. */
void voice_join(voice* at, necpnet_peer peer);

/* voice_sync - a player is in these channels and no others. voice_gone - his session is over. */
void voice_sync(voice* at, necpnet_peer peer, const switch_place* places, uint32_t count);
void voice_gone(voice* at, necpnet_peer peer);

/* voice_group - the group of a channel that the player is in, by its number; 0: he is not. */
necpnet_voice_group voice_group(const voice* at, necpnet_peer peer, uint64_t number);

/* voice_report - a player hears the others of a channel with so much loss. */
void voice_report(voice* at, necpnet_peer peer, uint64_t number, uint32_t loss_ppm, uint32_t jitter_ms);

/* voice_listen - who is told that a member of a channel begins to speak, or stops. One alone. */
typedef void (*voice_listener)(const char* channel, uint64_t client_id, bool speaks, void* user);
void voice_listen(voice* at, voice_listener listener, void* user);

/* voice_work - places of players into the hub, its events into the log, what was said to the other workers. */
void voice_work(voice* at, const game_interface* game, const void* world, uint64_t now_us);

#endif
