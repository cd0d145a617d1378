/* voice - who speaks to whom on the reference server. */
#include "voice.h"

#include <stdlib.h>

#include "log.h"

#define VOICE_PLACES_AT_ONCE 64
#define VOICE_SILENCE_MS 30000u /* of whom sends spam */

struct voice {
    necpnet_voice_hub* hub;
    necpnet_voice_group all;
    necpnet_voice_group near_group;
    uint64_t placed_us;
};

/* Players of one worker all know each other. */
static bool voice_may_whisper(necpnet_peer from, necpnet_peer to, void* user)
{
    (void)from;
    (void)to;
    (void)user;
    return true;
}

static necpnet_result voice_make_groups(voice* at, const config* settings)
{
    necpnet_result result = NECPNET_OK;
    uint32_t most = settings->peers_max < 1000000 ? (uint32_t)settings->peers_max : 1000000;
    bool has_all = settings->voice == CONFIG_VOICE_ALL || settings->voice == CONFIG_VOICE_BOTH;
    bool has_near = settings->voice == CONFIG_VOICE_NEAR || settings->voice == CONFIG_VOICE_BOTH;
    if (has_all) result = necpnet_voice_hub_group_create(at->hub, NECPNET_VOICE_CHANNEL, 0, most, &at->all);
    if (result != NECPNET_OK || !has_near) return result;
    return necpnet_voice_hub_group_create(at->hub, NECPNET_VOICE_PROXIMITY, (float)settings->voice_radius, most,
                                          &at->near_group);
}

necpnet_result voice_create(const config* settings, voice** out_voice)
{
    necpnet_voice_hub_config hub;
    *out_voice = NULL;
    if (settings->voice == CONFIG_VOICE_OFF) return NECPNET_OK;
    necpnet_result result = necpnet_voice_hub_config_default(&hub);
    if (result != NECPNET_OK) return result;
    voice* at = calloc(1, sizeof(*at));
    if (!at) return NECPNET_ERR_OUT_OF_MEMORY;
    hub.logger = log_of_library();
    hub.loudest = (uint32_t)settings->voice_loudest;
    hub.spam_silence_ms = VOICE_SILENCE_MS;
    hub.may_whisper = voice_may_whisper;
    result = necpnet_voice_hub_create(&hub, &at->hub);
    if (result == NECPNET_OK) result = voice_make_groups(at, settings);
    if (result != NECPNET_OK) {
        voice_destroy(at);
        return result;
    }
    *out_voice = at;
    return NECPNET_OK;
}

void voice_destroy(voice* at)
{
    if (!at) return;
    necpnet_voice_hub_destroy(at->hub);
    free(at);
}

necpnet_voice_hub* voice_hub(voice* at)
{
    return at ? at->hub : NULL;
}

void voice_join(voice* at, necpnet_peer peer)
{
    if (!at) return;
    /* the first one is where a client speaks unless it chooses */
    if (at->all) (void)necpnet_voice_hub_join(at->hub, at->all, peer);
    if (at->near_group) (void)necpnet_voice_hub_join(at->hub, at->near_group, peer);
}

static void voice_place(voice* at, const game_interface* game, const void* world)
{
    game_place places[VOICE_PLACES_AT_ONCE];
    uint32_t from = 0, count;
    if (!at->near_group || !game->places) return;
    while ((count = game->places(world, &from, places, VOICE_PLACES_AT_ONCE)) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            (void)necpnet_voice_hub_set_position(at->hub, places[i].peer, places[i].zone, places[i].position);
        }
    }
}

static void voice_log(const necpnet_voice_hub_event* event)
{
    static const char* const what[] = {"sends more than the limits", "is loud without speaking", "begins over and over",
                                       "talks without a pause",      "sends what is no Opus",    "speaks to strangers"};
    if (event->type < NECPNET_VOICE_HUB_FLOOD || event->type > NECPNET_VOICE_HUB_STRANGER) return;
    LOG(NECPNET_LOG_WARNING, "voice_spam", what[event->type - NECPNET_VOICE_HUB_FLOOD], LOG_NUMBER("peer", event->peer),
        LOG_NUMBER("group", event->group), LOG_END);
}

void voice_work(voice* at, const game_interface* game, const void* world, uint64_t now_us)
{
    necpnet_voice_hub_event event;
    if (!at) return;
    if (now_us >= at->placed_us + VOICE_PLACES_US) {
        at->placed_us = now_us;
        voice_place(at, game, world);
    }
    while (necpnet_voice_hub_poll(at->hub, &event)) voice_log(&event);
}
