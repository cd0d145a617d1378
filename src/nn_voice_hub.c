/* nn_voice_hub - who speaks to whom on a server: groups, members, wishes. Packets: nn_voice_hub_forward. */
#include "nn_voice_hub.h"

#include "nn_config.h"

#include <math.h>

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

static void hub_free_group(necpnet_voice_hub* hub, nn_voice_group* group)
{
    nn_alloc_give(&hub->alloc, group->rows, group->capacity * sizeof *group->rows);
    nn_alloc_give(&hub->alloc, group->cells, group->cells ? NN_VOICE_CELLS * sizeof *group->cells : 0);
    hub->groups[group->number - 1] = NULL;
    if (group->number - 1 < hub->group_free) hub->group_free = group->number - 1;
    hub->group_count--;
    nn_alloc_give(&hub->alloc, group, sizeof *group);
}

void necpnet_voice_hub_destroy(necpnet_voice_hub* hub)
{
    if (!hub) return;
    nn_alloc* alloc = &hub->alloc;
    for (uint32_t i = 0; i < hub->member_capacity; i++) {
        if (hub->members[i]) nn_voice_hub_detach(hub, hub->members[i]->peer);
    }
    for (uint32_t i = 0; i < hub->group_capacity; i++) {
        if (hub->groups[i]) hub_free_group(hub, hub->groups[i]);
    }
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
                                                      const nn_voice_member* member)
{
    if (hub->event_count == NN_VOICE_HUB_EVENTS_MAX) {
        hub->event_first = (hub->event_first + 1) % NN_VOICE_HUB_EVENTS_MAX;
        hub->event_count--;
    }
    uint32_t at = (hub->event_first + hub->event_count++) % NN_VOICE_HUB_EVENTS_MAX;
    necpnet_voice_hub_event* event = &hub->events[at];
    memset(event, 0, sizeof *event);
    event->type = type;
    event->peer = member->peer;
    event->user = member->user;
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
    return hub->members[slot]->peer == peer ? hub->members[slot] : NULL;
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
    member->hub = hub;
    member->peer = peer;
    member->user = user;
    nn_voice_port_of(member);
    hub->members[slot] = member;
    hub->member_count++;
    *out_port = &member->port;
    return NECPNET_OK;
}

/* -- the grid of a proximity group -- */

static int32_t hub_cell_at(float x, float radius)
{
    float cell = floorf(x / radius);
    return cell < -1e9f ? -1000000000 : cell > 1e9f ? 1000000000 : (int32_t)cell;
}

NN_PRIVATE uint32_t nn_voice_hub_cell(const nn_voice_member* member, float radius, int dx, int dy, int dz)
{
    uint32_t x = (uint32_t)(hub_cell_at(member->position[0], radius) + dx);
    uint32_t y = (uint32_t)(hub_cell_at(member->position[1], radius) + dy);
    uint32_t z = (uint32_t)(hub_cell_at(member->position[2], radius) + dz);
    uint32_t hash = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ z * 0xc2b2ae3du ^ member->zone * 0x27d4eb2fu;
    hash ^= hash >> 15;
    return hash & (NN_VOICE_CELLS - 1);
}

static void hub_unplace(nn_voice_row* row)
{
    if (!row->in_cell) return;
    if (row->next) row->next->previous = row->previous;
    if (row->previous) {
        row->previous->next = row->next;
    } else {
        row->group->cells[row->cell] = row->next;
    }
    row->in_cell = false;
}

NN_PRIVATE void nn_voice_hub_place(nn_voice_row* row)
{
    nn_voice_group* group = row->group;
    if (!group->cells || !row->member->has_position) return;
    uint32_t cell = nn_voice_hub_cell(row->member, group->radius, 0, 0, 0);
    if (row->in_cell && row->cell == cell) return;
    hub_unplace(row);
    row->cell = cell;
    row->previous = NULL;
    row->next = group->cells[cell];
    if (row->next) row->next->previous = row;
    group->cells[cell] = row;
    row->in_cell = true;
}

/* -- groups -- */

static nn_voice_group* hub_group(const necpnet_voice_hub* hub, uint32_t number)
{
    return number >= 1 && number <= hub->group_capacity ? hub->groups[number - 1] : NULL;
}

static necpnet_result hub_make_group(necpnet_voice_hub* hub, uint8_t kind, float radius, uint32_t members_max,
                                     nn_voice_group** out)
{
    if (hub->group_count >= hub->config.groups_max) return NECPNET_ERR_LIMIT_REACHED;
    while (hub->group_free < hub->group_capacity && hub->groups[hub->group_free]) hub->group_free++;
    if (hub->group_free == hub->group_capacity) {
        uint32_t capacity = hub->group_capacity ? hub->group_capacity * 2 : 16;
        nn_voice_group** groups = (nn_voice_group**)nn_alloc_grow(
            &hub->alloc, hub->groups, hub->group_capacity * sizeof *groups, capacity * sizeof *groups);
        if (!groups) return NECPNET_ERR_OUT_OF_MEMORY;
        hub->groups = groups;
        hub->group_capacity = capacity;
    }
    nn_voice_group* group = (nn_voice_group*)nn_alloc_take(&hub->alloc, sizeof *group);
    if (group && kind == NECPNET_VOICE_PROXIMITY) {
        group->cells = (nn_voice_row**)nn_alloc_take(&hub->alloc, NN_VOICE_CELLS * sizeof *group->cells);
    }
    if (!group || (kind == NECPNET_VOICE_PROXIMITY && !group->cells)) {
        nn_alloc_give(&hub->alloc, group, sizeof *group);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    group->number = hub->group_free + 1;
    group->kind = kind;
    group->radius = radius;
    group->members_max = members_max;
    hub->groups[hub->group_free] = group;
    hub->group_count++;
    *out = group;
    return NECPNET_OK;
}

necpnet_result necpnet_voice_hub_group_create(necpnet_voice_hub* hub, necpnet_voice_kind kind, float radius,
                                              uint32_t members_max, necpnet_voice_group* out_group)
{
    nn_voice_group* group;
    bool is_near = kind == NECPNET_VOICE_PROXIMITY;
    if (!hub || !out_group || (!is_near && kind != NECPNET_VOICE_CHANNEL) || members_max < 1 || members_max > 1000000 ||
        (is_near && !(radius > 0.0f && radius < 1e9f))) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    necpnet_result result = hub_make_group(hub, (uint8_t)kind, radius, members_max, &group);
    if (result == NECPNET_OK) *out_group = group->number;
    return result;
}

static nn_voice_row* hub_row(nn_voice_member* member, const nn_voice_group* group)
{
    for (size_t i = 0; i < NN_VOICE_ROWS_MAX; i++) {
        if (member->rows[i].group == group) return &member->rows[i];
    }
    return NULL;
}

/* VOICE_GROUP to a member: in, or out. */
static bool hub_tell_group(nn_voice_member* member, const nn_voice_group* group, uint8_t flags)
{
    uint8_t message[1 + 14];
    nn_writer writer = nn_writer_of(message, sizeof message);
    nn_write_u8(&writer, NN_CONTROL_VOICE_GROUP);
    nn_write_u32(&writer, group->number);
    nn_write_u8(&writer, group->kind);
    nn_write_u8(&writer, flags);
    nn_write_u64(&writer, group->to ? group->to->user : 0);
    const nn_voice_server* server = &member->hub->server;
    if (!server->control) return false;
    return server->control(server->user, member->peer, message, nn_writer_bytes(&writer)) == NECPNET_OK;
}

NN_PRIVATE void nn_voice_hub_settle(nn_voice_member* member)
{
    bool is_due = false;
    for (size_t i = 0; i < NN_VOICE_ROWS_MAX && member->rows_due; i++) {
        nn_voice_row* row = &member->rows[i];
        if (!row->group || row->is_told) continue;
        bool is_silenced = row->is_silenced || member->is_silenced;
        uint8_t flags = (uint8_t)(NN_VOICE_MEMBER | (is_silenced ? NN_VOICE_SILENCED : 0u));
        row->is_told = hub_tell_group(member, row->group, flags);
        is_due = is_due || !row->is_told;
    }
    member->rows_due = is_due;
}

static void hub_tell_rows(nn_voice_member* member)
{
    member->rows_due = true;
    if (!member->is_open) return; /* when it is */
    nn_voice_hub_settle(member);
}

static necpnet_result hub_enter(nn_voice_group* group, nn_voice_member* member, uint32_t rows_from, uint32_t rows_to)
{
    necpnet_voice_hub* hub = member->hub;
    uint32_t at = rows_from;
    if (hub_row(member, group)) return NECPNET_OK;
    while (at < rows_to && member->rows[at].group) at++;
    if (at == rows_to || group->count == group->members_max) return NECPNET_ERR_LIMIT_REACHED;
    if (group->count == group->capacity) {
        uint32_t capacity = group->capacity ? group->capacity * 2 : group->kind == NECPNET_VOICE_WHISPER ? 1 : 8;
        nn_voice_row** rows = (nn_voice_row**)nn_alloc_grow(&hub->alloc, group->rows, group->capacity * sizeof *rows,
                                                            capacity * sizeof *rows);
        if (!rows) return NECPNET_ERR_OUT_OF_MEMORY;
        group->rows = rows;
        group->capacity = capacity;
    }
    nn_voice_row* row = &member->rows[at];
    memset(row, 0, sizeof *row);
    row->member = member;
    row->group = group;
    row->place = group->count;
    group->rows[group->count++] = row;
    nn_voice_hub_place(row);
    hub_tell_rows(member);
    return NECPNET_OK;
}

static void hub_exit(nn_voice_row* row, bool tells)
{
    nn_voice_group* group = row->group;
    hub_unplace(row);
    group->count--;
    group->rows[row->place] = group->rows[group->count];
    group->rows[row->place]->place = row->place;
    if (tells && row->is_told) (void)hub_tell_group(row->member, group, 0);
    memset(row, 0, sizeof *row);
}

necpnet_result necpnet_voice_hub_join(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer)
{
    if (!hub) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_group* found = hub_group(hub, group);
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!found || !member || found->kind == NECPNET_VOICE_WHISPER) return NECPNET_ERR_NOT_FOUND;
    return hub_enter(found, member, 0, NECPNET_VOICE_GROUPS_OF_ONE_MAX);
}

necpnet_result necpnet_voice_hub_leave(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer)
{
    if (!hub) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_group* found = hub_group(hub, group);
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    nn_voice_row* row = found && member ? hub_row(member, found) : NULL;
    if (!row || found->kind == NECPNET_VOICE_WHISPER) return NECPNET_ERR_NOT_FOUND;
    hub_exit(row, true);
    return NECPNET_OK;
}

static void hub_end_group(necpnet_voice_hub* hub, nn_voice_group* group)
{
    while (group->count) hub_exit(group->rows[group->count - 1], true);
    if (group->to) group->to->whispered--;
    hub_free_group(hub, group);
}

necpnet_result necpnet_voice_hub_group_destroy(necpnet_voice_hub* hub, necpnet_voice_group group)
{
    if (!hub) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_group* found = hub_group(hub, group);
    if (!found || found->kind == NECPNET_VOICE_WHISPER) return NECPNET_ERR_NOT_FOUND;
    hub_end_group(hub, found);
    return NECPNET_OK;
}

static void hub_end_whisper(necpnet_voice_hub* hub, nn_voice_group* group, const nn_voice_member* from)
{
    necpnet_voice_hub_event* event = nn_voice_hub_tell(hub, NECPNET_VOICE_HUB_WHISPER_ENDED, from);
    event->other = group->to->peer;
    event->group = group->number;
    hub_end_group(hub, group);
}

NN_PRIVATE void nn_voice_hub_detach(necpnet_voice_hub* hub, necpnet_peer peer)
{
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!member) return;
    for (size_t i = 0; i < NN_VOICE_ROWS_MAX; i++) {
        nn_voice_group* group = member->rows[i].group;
        if (!group) continue;
        if (group->kind == NECPNET_VOICE_WHISPER) {
            hub_end_whisper(hub, group, member);
        } else {
            hub_exit(&member->rows[i], false);
        }
    }
    for (uint32_t i = 0; i < hub->group_capacity && member->whispered; i++) {
        nn_voice_group* group = hub->groups[i];
        if (group && group->to == member) hub_end_whisper(hub, group, group->rows[0]->member);
    }
    nn_voice_hub_end_streams(member);
    nn_voice_hub_drop_queue(member);
    nn_alloc_give(&hub->alloc, member->queue, member->queue ? NN_VOICE_QUEUE_MAX * sizeof *member->queue : 0);
    nn_alloc_give(&hub->alloc, member->told, member->told_words * sizeof *member->told);
    nn_alloc_give(&hub->alloc, member->muted, member->muted_capacity * sizeof *member->muted);
    hub->members[(uint32_t)peer - 1] = NULL;
    hub->member_count--;
    nn_alloc_give(&hub->alloc, member, sizeof *member);
}

/* -- what the application says of members -- */

necpnet_result necpnet_voice_hub_silence(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer,
                                         bool silenced)
{
    if (!hub) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!member) return NECPNET_ERR_NOT_FOUND;
    if (group == 0) {
        member->is_silenced = silenced;
        if (!silenced) member->watch.silenced_until_us = 0;
        for (size_t i = 0; i < NN_VOICE_ROWS_MAX; i++) member->rows[i].is_told = false;
    } else {
        nn_voice_group* found = hub_group(hub, group);
        nn_voice_row* row = found ? hub_row(member, found) : NULL;
        if (!row) return NECPNET_ERR_NOT_FOUND;
        row->is_silenced = silenced;
        row->is_told = false;
    }
    hub_tell_rows(member);
    return NECPNET_OK;
}

necpnet_result necpnet_voice_hub_deafen(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer,
                                        bool deafened)
{
    if (!hub) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!member) return NECPNET_ERR_NOT_FOUND;
    if (group == 0) {
        member->is_deafened = deafened;
        if (deafened) nn_voice_hub_drop_queue(member);
        return NECPNET_OK;
    }
    nn_voice_group* found = hub_group(hub, group);
    nn_voice_row* row = found ? hub_row(member, found) : NULL;
    if (!row) return NECPNET_ERR_NOT_FOUND;
    row->is_deafened = deafened;
    return NECPNET_OK;
}

necpnet_result necpnet_voice_hub_report(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer,
                                        uint32_t loss_ppm, uint32_t jitter_ms)
{
    if (!hub || loss_ppm > 1000000) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    nn_voice_group* found = member ? hub_group(hub, group) : NULL;
    if (!found || !hub_row(member, found)) return NECPNET_ERR_NOT_FOUND;
    uint32_t loss = (uint32_t)((uint64_t)loss_ppm * 255 / 1000000);
    nn_voice_hub_count_report(member, group, (uint8_t)loss, (uint8_t)nn_min_u64(jitter_ms, 255));
    return NECPNET_OK;
}

necpnet_result necpnet_voice_hub_set_position(necpnet_voice_hub* hub, necpnet_peer peer, uint32_t zone,
                                              const float* position)
{
    if (!hub || !position) return NECPNET_ERR_INVALID_ARGUMENT;
    for (int i = 0; i < 3; i++) {
        if (!(position[i] > -1e18f && position[i] < 1e18f)) return NECPNET_ERR_INVALID_ARGUMENT;
    }
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!member) return NECPNET_ERR_NOT_FOUND;
    member->zone = zone;
    memcpy(member->position, position, sizeof member->position);
    member->has_position = true;
    for (size_t i = 0; i < NECPNET_VOICE_GROUPS_OF_ONE_MAX; i++) {
        if (member->rows[i].group) nn_voice_hub_place(&member->rows[i]);
    }
    return NECPNET_OK;
}

/* -- wishes of clients -- */

static uint32_t hub_muted_place(const nn_voice_member* member, uint64_t user)
{
    uint32_t low = 0, high = member->muted_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (member->muted[middle] < user) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

NN_PRIVATE bool nn_voice_hub_is_muted(const nn_voice_member* member, uint64_t user)
{
    if (member->muted_count == 0) return false;
    uint32_t place = hub_muted_place(member, user);
    return place < member->muted_count && member->muted[place] == user;
}

/* Beyond the limit, or without memory, the client itself plays nothing of the user. */
static void hub_mute(nn_voice_member* member, uint64_t user, bool muted)
{
    uint32_t place = hub_muted_place(member, user);
    bool is_muted = place < member->muted_count && member->muted[place] == user;
    if (is_muted == muted) return;
    if (!muted) {
        uint64_t* at = member->muted + place;
        member->muted_count--;
        memmove(at, at + 1, (member->muted_count - place) * sizeof *at);
        return;
    }
    if (member->muted_count == NN_VOICE_MUTED_MAX) return;
    if (member->muted_count == member->muted_capacity) {
        uint32_t capacity = member->muted_capacity ? member->muted_capacity * 2 : 4;
        uint64_t* users = (uint64_t*)nn_alloc_grow(&member->hub->alloc, member->muted,
                                                   member->muted_capacity * sizeof *users, capacity * sizeof *users);
        if (!users) return;
        member->muted = users;
        member->muted_capacity = capacity;
    }
    uint64_t* at = member->muted + place;
    memmove(at + 1, at, (member->muted_count - place) * sizeof *at);
    *at = user;
    member->muted_count++;
}

static nn_voice_group* hub_whisper(const nn_voice_member* from, const nn_voice_member* to)
{
    for (size_t i = NECPNET_VOICE_GROUPS_OF_ONE_MAX; i < NN_VOICE_ROWS_MAX; i++) {
        if (from->rows[i].group && from->rows[i].group->to == to) return from->rows[i].group;
    }
    return NULL;
}

static void hub_set_whisper(nn_voice_member* member, uint64_t user, bool on)
{
    necpnet_voice_hub* hub = member->hub;
    nn_voice_member* to = NULL;
    for (uint32_t i = 0; i < hub->member_capacity && !to; i++) {
        nn_voice_member* at = hub->members[i];
        if (at && at != member && at->user == user) to = at;
    }
    if (!to) return;
    nn_voice_group* group = hub_whisper(member, to);
    if ((group != NULL) == on) return;
    if (!on) {
        hub_end_whisper(hub, group, member);
        return;
    }
    bool may = hub->config.may_whisper && hub->config.may_whisper(member->peer, to->peer, hub->config.user);
    if (!may || hub_make_group(hub, NECPNET_VOICE_WHISPER, 0, 1, &group)) return;
    group->to = to;
    to->whispered++;
    if (hub_enter(group, member, NECPNET_VOICE_GROUPS_OF_ONE_MAX, NN_VOICE_ROWS_MAX)) {
        hub_end_group(hub, group);
        return;
    }
    necpnet_voice_hub_event* event = nn_voice_hub_tell(hub, NECPNET_VOICE_HUB_WHISPERS, member);
    event->other = to->peer;
    event->group = group->number;
}

NN_PRIVATE bool nn_voice_hub_take_wish(necpnet_voice_hub* hub, necpnet_peer peer, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    uint8_t wish = nn_read_u8(&reader);
    uint64_t user = nn_read_u64(&reader);
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (reader.failed) return false;
    if (!member) return true;
    switch (wish) {
    case NN_VOICE_WISH_DEAF:
    case NN_VOICE_WISH_HEAR: member->wishes_deaf = wish == NN_VOICE_WISH_DEAF; break;
    case NN_VOICE_WISH_MUTE:
    case NN_VOICE_WISH_UNMUTE: hub_mute(member, user, wish == NN_VOICE_WISH_MUTE); break;
    case NN_VOICE_WISH_WHISPER:
    case NN_VOICE_WISH_END_WHISPER: /* these look for somebody among all */
        if (hub->now_us - member->wish_us >= 1000000) {
            member->wish_us = hub->now_us;
            member->wishes = 0;
        }
        if (++member->wishes <= NN_VOICE_WISHES_PER_S) hub_set_whisper(member, user, wish == NN_VOICE_WISH_WHISPER);
        break;
    default: break; /* of a later version */
    }
    return true;
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
        out_statistics->speaking += hub->streams[i].member && hub->streams[i].is_speaking ? 1u : 0u;
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
    for (int i = 0; i < NECPNET_VOICE_STREAMS_MAX; i++) out_info->streams += member->streams[i] ? 1u : 0u;
    out_info->has_voice = member->is_open;
    out_info->is_silenced = member->is_silenced || hub->now_us < member->watch.silenced_until_us;
    out_info->is_deafened = member->is_deafened || member->wishes_deaf;
    out_info->packets_sent = member->packets_sent;
    out_info->packets_received = member->packets_received;
    out_info->bytes_received = member->bytes_received;
    out_info->spam_events = member->watch.events;
    return NECPNET_OK;
}
