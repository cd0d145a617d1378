/* nn_voice_hub - who speaks to whom on a server: members, events, facts. Packets: nn_voice_hub_forward. */
#include "nn_voice_hub.h"

#include "nn_config.h"

necpnet_result necpnet_voice_hub_config_default(necpnet_voice_hub_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->logger.level = NECPNET_LOG_OFF;
    config->groups_max = 16384;
    config->loudest = 6;
    config->packets_per_s_max = 120;
    config->bytes_per_s_max = 16000;
    config->sealed = true;
    config->talk_ms_max = 60000;
    return NECPNET_OK;
}

necpnet_result necpnet_voice_hub_create(const necpnet_voice_hub_config* config, necpnet_voice_hub** out_hub)
{
    if (!config || !out_hub) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!NECPNET_WITH_VOICE) return NECPNET_ERR_UNSUPPORTED;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    const necpnet_logger* log = &config->logger;
    bool ok = nn_config_allocator(log, &config->allocator) &&
              nn_config_range(log, "groups_max", config->groups_max, 1, 1000000) &&
              nn_config_range(log, "loudest", config->loudest, 1, NN_VOICE_LOUDEST_MAX) &&
              nn_config_range(log, "packets_per_s_max", config->packets_per_s_max, 10, 1000) &&
              nn_config_range(log, "bytes_per_s_max", config->bytes_per_s_max, 1000, 1000000) &&
              nn_config_range(log, "talk_ms_max", config->talk_ms_max, 5000, 3600000) &&
              nn_config_range(log, "spam_silence_ms", config->spam_silence_ms, 0, 3600000);
    if (!ok) return NECPNET_ERR_BAD_CONFIG;
    nn_alloc first;
    nn_alloc_init(&first, &config->allocator);
    necpnet_voice_hub* hub = (necpnet_voice_hub*)nn_alloc_take(&first, sizeof *hub);
    if (!hub) return NECPNET_ERR_OUT_OF_MEMORY;
    hub->config = *config;
    nn_alloc_init(&hub->alloc, &config->allocator);
    nn_blocks_init(&hub->blocks, &hub->alloc);
    hub->events = (necpnet_voice_hub_event*)nn_alloc_take(&hub->alloc, NN_VOICE_HUB_EVENTS_MAX * sizeof *hub->events);
    if (!hub->events) {
        necpnet_voice_hub_destroy(hub);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    *out_hub = hub;
    return NECPNET_OK;
}

void necpnet_voice_hub_destroy(necpnet_voice_hub* hub)
{
    if (!hub) return;
    nn_alloc* alloc = &hub->alloc;
    for (uint32_t i = 0; i < hub->member_capacity; i++) {
        if (hub->members[i]) nn_voice_hub_detach(hub, hub->members[i]->source.peer);
    }
    for (uint32_t i = 0; i < hub->group_capacity; i++) {
        if (hub->groups[i]) nn_voice_hub_free_group(hub, hub->groups[i]);
    }
    nn_voice_relay_reset(hub);
    nn_alloc_give(alloc, hub->members, hub->member_capacity * sizeof *hub->members);
    nn_alloc_give(alloc, hub->groups, hub->group_capacity * sizeof *hub->groups);
    nn_alloc_give(alloc, hub->streams, hub->stream_capacity * sizeof *hub->streams);
    nn_alloc_give(alloc, hub->events, NN_VOICE_HUB_EVENTS_MAX * sizeof *hub->events);
    nn_blocks_reset(&hub->blocks);
    nn_alloc last;
    nn_alloc_init(&last, &alloc->allocator);
    last.bytes = sizeof *hub;
    nn_alloc_give(&last, hub, sizeof *hub);
}

NN_PRIVATE void nn_voice_hub_set_time(necpnet_voice_hub* hub, uint64_t now_us)
{
    if (now_us > hub->now_us) hub->now_us = now_us;
}

NN_PRIVATE necpnet_voice_hub_event* nn_voice_hub_tell(necpnet_voice_hub* hub, necpnet_voice_hub_event_type type,
                                                      const nn_voice_source* source)
{
    if (hub->event_count == NN_VOICE_HUB_EVENTS_MAX) {
        hub->event_first = (hub->event_first + 1) % NN_VOICE_HUB_EVENTS_MAX;
        hub->event_count--;
    }
    uint32_t at = (hub->event_first + hub->event_count++) % NN_VOICE_HUB_EVENTS_MAX;
    necpnet_voice_hub_event* event = &hub->events[at];
    memset(event, 0, sizeof *event);
    event->type = type;
    event->peer = source->peer;
    event->user = source->user;
    return event;
}

bool necpnet_voice_hub_poll(necpnet_voice_hub* hub, necpnet_voice_hub_event* out_event)
{
    if (!hub || !out_event) return false;
    nn_voice_hub_scan(hub);
    if (hub->event_count == 0) return false;
    *out_event = hub->events[hub->event_first];
    hub->event_first = (hub->event_first + 1) % NN_VOICE_HUB_EVENTS_MAX;
    hub->event_count--;
    return true;
}

/* -- members -- */

NN_PRIVATE nn_voice_member* nn_voice_hub_find(const necpnet_voice_hub* hub, necpnet_peer peer)
{
    uint32_t slot = (uint32_t)peer - 1;
    if (slot >= hub->member_capacity || !hub->members[slot]) return NULL;
    return hub->members[slot]->source.peer == peer ? hub->members[slot] : NULL;
}

NN_PRIVATE necpnet_result nn_voice_hub_attach(necpnet_voice_hub* hub, necpnet_peer peer, uint64_t user,
                                              const nn_voice_port** out_port)
{
    uint32_t slot = (uint32_t)peer - 1;
    if (slot >= hub->member_capacity) {
        uint32_t capacity = hub->member_capacity ? hub->member_capacity * 2 : 16;
        while (capacity <= slot) capacity *= 2;
        nn_voice_member** members = (nn_voice_member**)nn_alloc_grow(
            &hub->alloc, hub->members, hub->member_capacity * sizeof *members, capacity * sizeof *members);
        if (!members) return NECPNET_ERR_OUT_OF_MEMORY;
        hub->members = members;
        hub->member_capacity = capacity;
    }
    NN_ASSERT(!hub->members[slot]);
    nn_voice_member* member = (nn_voice_member*)nn_alloc_take(&hub->alloc, sizeof *member);
    if (!member) return NECPNET_ERR_OUT_OF_MEMORY;
    member->source.hub = hub;
    member->source.peer = peer;
    member->source.user = user;
    nn_voice_port_of(member);
    hub->members[slot] = member;
    hub->member_count++;
    *out_port = &member->port;
    return NECPNET_OK;
}

NN_PRIVATE void nn_voice_hub_detach(necpnet_voice_hub* hub, necpnet_peer peer)
{
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!member) return;
    for (size_t i = 0; i < NN_VOICE_ROWS_MAX; i++) {
        nn_voice_group* group = member->rows[i].group;
        if (!group) continue;
        if (group->kind == NECPNET_VOICE_WHISPER) {
            nn_voice_hub_end_whisper(hub, group, member);
        } else {
            nn_voice_hub_exit(&member->rows[i], false);
        }
    }
    for (uint32_t i = 0; i < hub->group_capacity && member->whispered; i++) {
        nn_voice_group* group = hub->groups[i];
        if (group && group->to == member) nn_voice_hub_end_whisper(hub, group, group->rows[0]->member);
    }
    nn_voice_relay_gone(member);
    nn_voice_hub_end_streams(&member->source);
    nn_voice_hub_drop_queue(member);
    nn_alloc_give(&hub->alloc, member->queue, member->queue ? NN_VOICE_QUEUE_MAX * sizeof *member->queue : 0);
    nn_alloc_give(&hub->alloc, member->told, member->told_words * sizeof *member->told);
    nn_alloc_give(&hub->alloc, member->muted, member->muted_capacity * sizeof *member->muted);
    hub->members[(uint32_t)peer - 1] = NULL;
    hub->member_count--;
    nn_alloc_give(&hub->alloc, member, sizeof *member);
}

/* -- facts -- */

necpnet_result necpnet_voice_hub_get_statistics(const necpnet_voice_hub* hub,
                                                necpnet_voice_hub_statistics* out_statistics)
{
    if (!hub || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    *out_statistics = hub->counts;
    out_statistics->members = hub->member_count;
    out_statistics->groups = hub->group_count;
    for (uint32_t i = 0; i < hub->stream_capacity; i++) {
        out_statistics->speaking += nn_voice_is_here(hub->streams[i].source) && hub->streams[i].is_speaking ? 1u : 0u;
    }
    out_statistics->memory_bytes = hub->alloc.bytes;
    return NECPNET_OK;
}

necpnet_result necpnet_voice_hub_get_member(const necpnet_voice_hub* hub, necpnet_peer peer,
                                            necpnet_voice_member_info* out_info)
{
    if (!hub || !out_info) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!member) return NECPNET_ERR_NOT_FOUND;
    memset(out_info, 0, sizeof *out_info);
    for (size_t i = 0; i < NN_VOICE_ROWS_MAX; i++) out_info->groups += member->rows[i].group ? 1u : 0u;
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) out_info->streams += member->source.streams[i] ? 1u : 0u;
    out_info->has_voice = member->is_open;
    out_info->is_silenced = member->is_silenced || hub->now_us < member->watch.silenced_until_us;
    out_info->is_deafened = member->is_deafened || member->wishes_deaf;
    out_info->packets_sent = member->packets_sent;
    out_info->packets_received = member->packets_received;
    out_info->bytes_received = member->bytes_received;
    out_info->spam_events = member->watch.events;
    return NECPNET_OK;
}
