/* nn_voice_hub_groups - groups of a hub, their members, and where those are. */
#include "nn_voice_hub.h"

#include <math.h>

/* -- the grid of a proximity group -- */

static int32_t hub_cell_at(float x, float radius)
{
    float cell = floorf(x / radius);
    return cell < -1e9f ? -1000000000 : cell > 1e9f ? 1000000000 : (int32_t)cell;
}

NN_PRIVATE uint32_t nn_voice_hub_cell(const nn_voice_source* source, float radius, int dx, int dy, int dz)
{
    uint32_t x = (uint32_t)(hub_cell_at(source->position[0], radius) + dx);
    uint32_t y = (uint32_t)(hub_cell_at(source->position[1], radius) + dy);
    uint32_t z = (uint32_t)(hub_cell_at(source->position[2], radius) + dz);
    uint32_t hash = x * 0x9e3779b1u ^ y * 0x85ebca77u ^ z * 0xc2b2ae3du ^ source->zone * 0x27d4eb2fu;
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

static void hub_place(nn_voice_row* row)
{
    nn_voice_group* group = row->group;
    if (!group->cells || !row->member->source.has_position) return;
    uint32_t cell = nn_voice_hub_cell(&row->member->source, group->radius, 0, 0, 0);
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

NN_PRIVATE void nn_voice_hub_free_group(necpnet_voice_hub* hub, nn_voice_group* group)
{
    nn_voice_relay_unshare(hub, group);
    nn_alloc_give(&hub->alloc, group->rows, group->capacity * sizeof *group->rows);
    nn_alloc_give(&hub->alloc, group->cells, group->cells ? NN_VOICE_CELLS * sizeof *group->cells : 0);
    hub->groups[group->number - 1] = NULL;
    if (group->number - 1 < hub->group_free) hub->group_free = group->number - 1;
    hub->group_count--;
    nn_alloc_give(&hub->alloc, group, sizeof *group);
}

NN_PRIVATE nn_voice_group* nn_voice_hub_group(const necpnet_voice_hub* hub, uint32_t number)
{
    return number >= 1 && number <= hub->group_capacity ? hub->groups[number - 1] : NULL;
}

NN_PRIVATE necpnet_result nn_voice_hub_make_group(necpnet_voice_hub* hub, uint8_t kind, float radius,
                                                  uint32_t members_max, nn_voice_group** out)
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
    necpnet_result result = nn_voice_hub_make_group(hub, (uint8_t)kind, radius, members_max, &group);
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
    nn_write_u64(&writer, group->to ? group->to->source.user : 0);
    const nn_voice_server* server = &member->source.hub->server;
    if (!server->control) return false;
    return server->control(server->user, member->source.peer, message, nn_writer_bytes(&writer)) == NECPNET_OK;
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

NN_PRIVATE necpnet_result nn_voice_hub_enter(nn_voice_group* group, nn_voice_member* member, uint32_t rows_from,
                                             uint32_t rows_to)
{
    necpnet_voice_hub* hub = member->source.hub;
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
    hub_place(row);
    hub_tell_rows(member);
    return NECPNET_OK;
}

NN_PRIVATE void nn_voice_hub_exit(nn_voice_row* row, bool tells)
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
    nn_voice_group* found = nn_voice_hub_group(hub, group);
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    if (!found || !member || found->kind == NECPNET_VOICE_WHISPER) return NECPNET_ERR_NOT_FOUND;
    return nn_voice_hub_enter(found, member, 0, NECPNET_VOICE_GROUPS_OF_ONE_MAX);
}

necpnet_result necpnet_voice_hub_leave(necpnet_voice_hub* hub, necpnet_voice_group group, necpnet_peer peer)
{
    if (!hub) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_group* found = nn_voice_hub_group(hub, group);
    nn_voice_member* member = nn_voice_hub_find(hub, peer);
    nn_voice_row* row = found && member ? hub_row(member, found) : NULL;
    if (!row || found->kind == NECPNET_VOICE_WHISPER) return NECPNET_ERR_NOT_FOUND;
    nn_voice_hub_exit(row, true);
    return NECPNET_OK;
}

NN_PRIVATE void nn_voice_hub_end_group(necpnet_voice_hub* hub, nn_voice_group* group)
{
    while (group->count) nn_voice_hub_exit(group->rows[group->count - 1], true);
    if (group->to) group->to->whispered--;
    nn_voice_hub_free_group(hub, group);
}

necpnet_result necpnet_voice_hub_group_destroy(necpnet_voice_hub* hub, necpnet_voice_group group)
{
    if (!hub) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_voice_group* found = nn_voice_hub_group(hub, group);
    if (!found || found->kind == NECPNET_VOICE_WHISPER) return NECPNET_ERR_NOT_FOUND;
    nn_voice_hub_end_group(hub, found);
    return NECPNET_OK;
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
        nn_voice_group* found = nn_voice_hub_group(hub, group);
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
    nn_voice_group* found = nn_voice_hub_group(hub, group);
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
    nn_voice_group* found = member ? nn_voice_hub_group(hub, group) : NULL;
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
    member->source.zone = zone;
    memcpy(member->source.position, position, sizeof member->source.position);
    member->source.has_position = true;
    for (size_t i = 0; i < NECPNET_VOICE_GROUPS_OF_ONE_MAX; i++) {
        if (member->rows[i].group) hub_place(&member->rows[i]);
    }
    return NECPNET_OK;
}
