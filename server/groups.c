/* groups - players who belong together. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#define GROUPS_CHAINS 4096

struct groups {
    groups_group* chains[GROUPS_CHAINS]; /* by id */
    uint32_t count;
    uint32_t groups_max;
    uint32_t id_last;
};

necpnet_result groups_create(uint32_t groups_max, groups** out_all)
{
    groups* all = calloc(1, sizeof(*all));
    if (!all) return NECPNET_ERR_OUT_OF_MEMORY;
    all->groups_max = groups_max;
    *out_all = all;
    return NECPNET_OK;
}

void groups_destroy(groups* all)
{
    for (int i = 0; all && i < GROUPS_CHAINS; i++) {
        while (all->chains[i]) {
            groups_group* group = all->chains[i];
            all->chains[i] = group->next;
            free(group);
        }
    }
    free(all);
}

groups_group* groups_find(const groups* all, uint32_t id)
{
    groups_group* group = all->chains[id % GROUPS_CHAINS];
    while (group && group->id != id) group = group->next;
    return group;
}

static uint32_t groups_place(const necpnet_player* players, uint32_t count, necpnet_player player)
{
    uint32_t at = 0;
    while (at < count && players[at] != player) at++;
    return at;
}

bool groups_has(const groups_group* group, necpnet_player player)
{
    return groups_place(group->members, group->count, player) < group->count;
}

/* Keeps the order: the oldest member leads next. */
static void groups_take_out(necpnet_player* players, uint32_t* count, uint32_t at)
{
    (*count)--;
    memmove(&players[at], &players[at + 1], (*count - at) * sizeof(players[0]));
}

groups_group* groups_next(const groups* all, const groups_group* after)
{
    uint32_t chain = after ? after->id % GROUPS_CHAINS : 0;
    groups_group* group = after ? after->next : all->chains[0];
    while (!group && ++chain < GROUPS_CHAINS) group = all->chains[chain];
    return group;
}

groups_group* groups_of(const groups* all, necpnet_player player, const groups_group* after)
{
    groups_group* group = groups_next(all, after);
    while (group && !groups_has(group, player)) group = groups_next(all, group);
    return group;
}

static bool groups_is_in_many(const groups* all, necpnet_player player)
{
    uint32_t count = 0;
    for (groups_group* group = groups_of(all, player, NULL); group; group = groups_of(all, player, group)) count++;
    return count >= GROUPS_OF_PLAYER_MAX;
}

static void groups_remove(groups* all, groups_group* group)
{
    groups_group** link = &all->chains[group->id % GROUPS_CHAINS];
    while (*link != group) link = &(*link)->next;
    *link = group->next;
    free(group);
    all->count--;
}

static void groups_put_in(groups* all, groups_group* group)
{
    group->next = all->chains[group->id % GROUPS_CHAINS];
    all->chains[group->id % GROUPS_CHAINS] = group;
    all->count++;
}

necpnet_result groups_begin(groups* all, necpnet_player leader, uint32_t size_max, bool open, groups_group** out_group)
{
    if (leader == 0 || size_max < 2 || size_max > GROUPS_MEMBERS_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    if (all->count >= all->groups_max || groups_is_in_many(all, leader)) return NECPNET_ERR_LIMIT_REACHED;
    groups_group* group = calloc(1, sizeof(*group));
    if (!group) return NECPNET_ERR_OUT_OF_MEMORY;
    group->id = ++all->id_last;
    group->size_max = size_max;
    group->open = open;
    group->leader = leader;
    group->members[group->count++] = leader;
    groups_put_in(all, group);
    *out_group = group;
    return NECPNET_OK;
}

necpnet_result groups_invite(groups_group* group, necpnet_player player)
{
    if (groups_has(group, player) ||
        groups_place(group->invited, group->invited_count, player) < group->invited_count) {
        return NECPNET_ERR_ALREADY_EXISTS;
    }
    if (group->invited_count == GROUPS_INVITED_MAX) return NECPNET_ERR_LIMIT_REACHED;
    group->invited[group->invited_count++] = player;
    return NECPNET_OK;
}

necpnet_result groups_join(groups* all, groups_group* group, necpnet_player player, bool must)
{
    uint32_t at = groups_place(group->invited, group->invited_count, player);
    if (groups_has(group, player)) return NECPNET_ERR_ALREADY_EXISTS;
    if (at == group->invited_count && !group->open && !must) return NECPNET_ERR_PERMISSION;
    if (group->count == group->size_max || groups_is_in_many(all, player)) return NECPNET_ERR_LIMIT_REACHED;
    if (at < group->invited_count) groups_take_out(group->invited, &group->invited_count, at);
    group->members[group->count++] = player;
    return NECPNET_OK;
}

void groups_touch(groups_group* group)
{
    group->version++;
}

necpnet_result groups_take(groups* all, const groups_group* state, groups_group** out_group)
{
    groups_group* group = groups_find(all, state->id);
    *out_group = group;
    if (state->id == 0 || state->count > GROUPS_MEMBERS_MAX || state->invited_count > GROUPS_INVITED_MAX)
        return NECPNET_ERR_INVALID_ARGUMENT;
    if (all->id_last < state->id) all->id_last = state->id;
    if (group && group->version >= state->version) return NECPNET_ERR_ALREADY_EXISTS;
    if (state->count == 0) {
        if (group) groups_remove(all, group);
        *out_group = NULL;
        return NECPNET_OK;
    }
    if (!group) {
        if (all->count >= all->groups_max) return NECPNET_ERR_LIMIT_REACHED;
        group = calloc(1, sizeof(*group));
        if (!group) return NECPNET_ERR_OUT_OF_MEMORY;
        group->id = state->id;
        groups_put_in(all, group);
    }
    groups_group* next = group->next;
    *group = *state;
    group->next = next;
    *out_group = group;
    return NECPNET_OK;
}

necpnet_result groups_leave(groups* all, groups_group* group, necpnet_player player, bool* out_ended)
{
    uint32_t at = groups_place(group->members, group->count, player);
    if (at == group->count) return NECPNET_ERR_NOT_FOUND;
    groups_take_out(group->members, &group->count, at);
    *out_ended = group->count == 0;
    if (!*out_ended) {
        if (group->leader == player) group->leader = group->members[0];
        return NECPNET_OK;
    }
    groups_remove(all, group);
    return NECPNET_OK;
}

necpnet_result groups_lead(groups_group* group, necpnet_player player)
{
    if (!groups_has(group, player)) return NECPNET_ERR_NOT_FOUND;
    group->leader = player;
    return NECPNET_OK;
}

uint32_t groups_count(const groups* all)
{
    return all->count;
}
