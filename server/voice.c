/* voice - who speaks to whom on the reference server. */
#include "voice.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "tokens.h"

#define VOICE_PLACES_AT_ONCE 64
#define VOICE_SILENCE_MS 30000u /* of whom sends spam */
#define VOICE_CHAINS 4096
#define VOICE_WHISPERS_MAX 65536
#define VOICE_BUS_TOPIC "speech"
#define VOICE_ALL_KEY UINT64_MAX /* of the group of all; channels have their numbers */
#define VOICE_LATE_US 200000u    /* what the bus brings later is no use to anybody */
#define VOICE_LATE_TELL_US 10000000u

/* A channel that somebody of this worker is in. */
typedef struct voice_channel {
    struct voice_channel* next;
    uint64_t number;
    char id[CHANNELS_ID_BYTES_MAX + 1];
    necpnet_voice_group group;
    uint32_t count;
} voice_channel;

typedef struct voice_row {
    voice_channel* of;
    bool is_silenced;
    bool is_deafened;
} voice_row;

/* A player who is in channels. */
typedef struct voice_player {
    struct voice_player* next;
    necpnet_peer peer;
    voice_row rows[CHANNELS_OF_USER_MAX];
    uint32_t count;
} voice_player;

struct voice {
    necpnet_voice_hub* hub;
    necpnet_voice_group all;
    necpnet_voice_group near_group;
    uint64_t placed_us;
    voice_channel* channels[VOICE_CHAINS]; /* by number */
    voice_player* players[VOICE_CHAINS];
    voice_listener listener;
    void* user;
    bus* events; /* NULL: there is one worker */
    bus_subscription* others;
    uint64_t told_us; /* that other workers' speech was late */
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
    if (has_all && result == NECPNET_OK && at->events)
        result = necpnet_voice_hub_share(at->hub, at->all, VOICE_ALL_KEY);
    if (result != NECPNET_OK || !has_near) return result;
    return necpnet_voice_hub_group_create(at->hub, NECPNET_VOICE_PROXIMITY, (float)settings->voice_radius, most,
                                          &at->near_group);
}

/* -------------------------------------------------------------------------------------------- the other workers -- */

/* What another worker's players said, or lost. */
static void voice_hear_others(const char* topic, const void* data, size_t bytes, void* user)
{
    voice* at = user;
    uint64_t said_us;
    uint64_t now_us = necpnet_time_us();
    (void)topic;
    if (bytes < sizeof(said_us)) return;
    memcpy(&said_us, data, sizeof(said_us));
    if (now_us > said_us + VOICE_LATE_US) {
        if (now_us >= at->told_us + VOICE_LATE_TELL_US)
            LOG(NECPNET_LOG_WARNING, "voice_late", "speech of another worker came too late",
                LOG_NUMBER("ms", (now_us - said_us) / 1000), LOG_END);
        at->told_us = now_us;
        return;
    }
    necpnet_result result =
        necpnet_voice_hub_give_relay(at->hub, (const uint8_t*)data + sizeof(said_us), bytes - sizeof(said_us), now_us);
    if (result != NECPNET_OK) LOG(NECPNET_LOG_WARNING, "voice_relay", necpnet_result_text(result), LOG_END);
}

/* All that this turn's packets are for others, in one message. */
static void voice_tell_others(voice* at, uint64_t now_us)
{
    const void* data;
    size_t bytes;
    text out;
    if (!at->events || !necpnet_voice_hub_take_relay(at->hub, &data, &bytes)) return;
    text_begin_growing(&out);
    text_put_bytes(&out, &now_us, sizeof(now_us));
    text_put_bytes(&out, data, bytes);
    if (!out.failed) (void)bus_publish(at->events, VOICE_BUS_TOPIC, out.to, out.bytes);
    text_end(&out);
}

necpnet_result voice_create(const config* settings, bus* others, necpnet_loop* loop, voice** out_voice)
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
    hub.groups_max = (uint32_t)settings->voice_channels_max + VOICE_WHISPERS_MAX;
    if (hub.groups_max > 1000000) hub.groups_max = 1000000;
    if (settings->workers > 1) {
        at->events = others;
        while (result == NECPNET_OK && hub.relay_id == 0) {
            if (!tokens_random(&hub.relay_id, sizeof(hub.relay_id))) result = NECPNET_ERR_NO_ENTROPY;
        }
    }
    if (result == NECPNET_OK) result = necpnet_voice_hub_create(&hub, &at->hub);
    if (result == NECPNET_OK && at->events)
        result = bus_subscribe(others, VOICE_BUS_TOPIC, loop, voice_hear_others, at, &at->others);
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
    if (at->hub) voice_tell_others(at, necpnet_time_us()); /* that they are gone */
    if (at->events) bus_unsubscribe(at->events, at->others);
    necpnet_voice_hub_destroy(at->hub);
    for (int i = 0; i < VOICE_CHAINS; i++) {
        while (at->channels[i]) {
            voice_channel* of = at->channels[i];
            at->channels[i] = of->next;
            free(of);
        }
        while (at->players[i]) {
            voice_player* player = at->players[i];
            at->players[i] = player->next;
            free(player);
        }
    }
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

/* --------------------------------------------------------------------------------------------------- channels -- */

/* Found or made. */
static voice_channel* voice_channel_of(voice* at, const switch_place* place)
{
    voice_channel** head = &at->channels[place->number % VOICE_CHAINS];
    voice_channel* of = *head;
    while (of && of->number != place->number) of = of->next;
    if (of) return of;
    of = calloc(1, sizeof(*of));
    if (!of) return NULL;
    of->number = place->number;
    memcpy(of->id, place->channel, sizeof(of->id));
    if (necpnet_voice_hub_group_create(at->hub, NECPNET_VOICE_CHANNEL, 0, CHANNELS_MEMBERS_MAX, &of->group) !=
        NECPNET_OK) {
        free(of);
        return NULL;
    }
    if (at->events && necpnet_voice_hub_share(at->hub, of->group, of->number) != NECPNET_OK)
        LOG(NECPNET_LOG_WARNING, "voice_not_shared", of->id, LOG_END);
    of->next = *head;
    *head = of;
    return of;
}

static void voice_let_go(voice* at, voice_channel* of)
{
    voice_channel** link = &at->channels[of->number % VOICE_CHAINS];
    if (of->count > 0) return;
    while (*link != of) link = &(*link)->next;
    *link = of->next;
    (void)necpnet_voice_hub_group_destroy(at->hub, of->group);
    free(of);
}

static voice_player** voice_head(voice* at, necpnet_peer peer)
{
    return &at->players[(peer ^ peer >> 32) % VOICE_CHAINS];
}

static voice_player* voice_player_of(voice* at, necpnet_peer peer)
{
    voice_player* player = *voice_head(at, peer);
    while (player && player->peer != peer) player = player->next;
    return player;
}

static void voice_end_row(voice* at, voice_player* player, uint32_t index)
{
    voice_channel* of = player->rows[index].of;
    player->count--;
    memmove(&player->rows[index], &player->rows[index + 1], (player->count - index) * sizeof(player->rows[0]));
    of->count--;
    voice_let_go(at, of);
}

static void voice_settle_row(voice* at, voice_player* player, voice_row* row, const switch_place* place)
{
    if (row->is_silenced != place->is_silenced)
        (void)necpnet_voice_hub_silence(at->hub, row->of->group, player->peer, place->is_silenced);
    if (row->is_deafened != place->is_deafened)
        (void)necpnet_voice_hub_deafen(at->hub, row->of->group, player->peer, place->is_deafened);
    row->is_silenced = place->is_silenced;
    row->is_deafened = place->is_deafened;
}

static void voice_begin_row(voice* at, voice_player* player, const switch_place* place)
{
    for (uint32_t i = 0; i < player->count; i++) {
        if (player->rows[i].of->number != place->number) continue;
        voice_settle_row(at, player, &player->rows[i], place);
        return;
    }
    voice_channel* of = player->count < CHANNELS_OF_USER_MAX ? voice_channel_of(at, place) : NULL;
    if (!of) return;
    necpnet_result result = necpnet_voice_hub_join(at->hub, of->group, player->peer);
    if (result != NECPNET_OK) {
        LOG(NECPNET_LOG_WARNING, "voice_not_joined", necpnet_result_text(result), LOG_END);
        voice_let_go(at, of);
        return;
    }
    voice_row* row = &player->rows[player->count++];
    *row = (voice_row){.of = of};
    of->count++;
    voice_settle_row(at, player, row, place);
}

void voice_sync(voice* at, necpnet_peer peer, const switch_place* places, uint32_t count)
{
    if (!at) return;
    voice_player* player = voice_player_of(at, peer);
    for (uint32_t i = player ? player->count : 0; i-- > 0;) {
        const voice_channel* of = player->rows[i].of;
        uint32_t k = 0;
        while (k < count && places[k].number != of->number) k++;
        if (k < count) continue;
        (void)necpnet_voice_hub_leave(at->hub, of->group, peer);
        voice_end_row(at, player, i);
    }
    if (!player && count > 0) {
        player = calloc(1, sizeof(*player));
        if (!player) return;
        player->peer = peer;
        player->next = *voice_head(at, peer);
        *voice_head(at, peer) = player;
    }
    for (uint32_t i = 0; i < count; i++) voice_begin_row(at, player, &places[i]);
    if (player && player->count == 0) voice_gone(at, peer);
}

void voice_gone(voice* at, necpnet_peer peer)
{
    voice_player* player = at ? voice_player_of(at, peer) : NULL;
    if (!player) return;
    while (player->count > 0) voice_end_row(at, player, player->count - 1);
    voice_player** link = voice_head(at, peer);
    while (*link != player) link = &(*link)->next;
    *link = player->next;
    free(player);
}

necpnet_voice_group voice_group(const voice* at, necpnet_peer peer, uint64_t number)
{
    const voice_player* player = at ? at->players[(peer ^ peer >> 32) % VOICE_CHAINS] : NULL;
    while (player && player->peer != peer) player = player->next;
    for (uint32_t i = 0; player && i < player->count; i++) {
        if (player->rows[i].of->number == number) return player->rows[i].of->group;
    }
    return 0;
}

void voice_report(voice* at, necpnet_peer peer, uint64_t number, uint32_t loss_ppm, uint32_t jitter_ms)
{
    necpnet_voice_group group = voice_group(at, peer, number);
    if (group) (void)necpnet_voice_hub_report(at->hub, group, peer, loss_ppm, jitter_ms);
}

void voice_listen(voice* at, voice_listener listener, void* user)
{
    if (!at) return;
    at->listener = listener;
    at->user = user;
}

/* Who speaks, to those of his channel. */
static void voice_tell(voice* at, const necpnet_voice_hub_event* event)
{
    const voice_player* player = voice_player_of(at, event->peer);
    for (uint32_t i = 0; player && i < player->count; i++) {
        const voice_channel* of = player->rows[i].of;
        if (of->group == event->group)
            at->listener(of->id, event->user, event->type == NECPNET_VOICE_HUB_SPEAKING, at->user);
    }
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
    while (necpnet_voice_hub_poll(at->hub, &event)) {
        voice_log(&event);
        bool speaks = event.type == NECPNET_VOICE_HUB_SPEAKING || event.type == NECPNET_VOICE_HUB_SILENT;
        if (speaks && event.stream == 0 && at->listener) voice_tell(at, &event);
    }
    voice_tell_others(at, now_us);
}
