/* voice.h - who speaks to whom on the reference server: every player is in the groups that the configuration names. One to
 * a worker, on its thread. Channels that players make and leave will stand beside these two.
 */
#ifndef SERVER_VOICE_H
#define SERVER_VOICE_H

#include "config.h"
#include "game.h"

#define VOICE_PLACES_US 100000u /* between looks at where players are */

typedef struct voice voice;

/* voice_create - a hub and its groups.
 *
 *   out_voice  NULL when the configuration says off.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_UNSUPPORTED */
necpnet_result voice_create(const config* settings, voice** out_voice);

/* voice_destroy - after the server. NULL does nothing, here and below. */
void voice_destroy(voice* at);

/* voice_hub - for necpnet_server_config; NULL: none. */
necpnet_voice_hub* voice_hub(voice* at);

/* voice_join - a session began. */
void voice_join(voice* at, necpnet_peer peer);

/* voice_work - places of players into the hub, its events into the log. */
void voice_work(voice* at, const game_interface* game, const void* world, uint64_t now_us);

#endif
