/* groups.h - players who belong together: create, join by invitation or freely, leave, lead. A machine without network, for one
 * thread; who hears of what is the caller's. Of several nodes one changes groups, and all others take what it made of them.
 */
#ifndef SERVER_GROUPS_H
#define SERVER_GROUPS_H

#include "necpnet.h"

#define GROUPS_MEMBERS_MAX 100 /* of one group */
#define GROUPS_OF_PLAYER_MAX 8
#define GROUPS_INVITED_MAX 32 /* at once, of one group */

typedef struct groups groups;

typedef struct groups_group {
    uint32_t id;      /* never used again */
    uint64_t version; /* groups_touch counts it */
    uint32_t size_max;
    bool open; /* anybody may join */
    necpnet_player leader;
    uint32_t count;
    uint32_t invited_count;
    necpnet_player members[GROUPS_MEMBERS_MAX]; /* in the order of joining */
    necpnet_player invited[GROUPS_INVITED_MAX];
    struct groups_group* next;
} groups_group;

/* groups_create - none yet.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY */
necpnet_result groups_create(uint32_t groups_max, groups** out_all);
void groups_destroy(groups* all);

/* groups_begin - a group of one, its leader.
 *
 *   size_max  2 .. GROUPS_MEMBERS_MAX.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
necpnet_result groups_begin(groups* all, necpnet_player leader, uint32_t size_max, bool open, groups_group** out_group);

/* groups_find - NULL: there is none. */
groups_group* groups_find(const groups* all, uint32_t id);
bool groups_has(const groups_group* group, necpnet_player player);

/* groups_invite - the leader's to do.
 *
 * Returns  OK | ERR_ALREADY_EXISTS (a member, or invited) | ERR_LIMIT_REACHED */
necpnet_result groups_invite(groups_group* group, necpnet_player player);

/* groups_join - one who is invited, or anybody where it is open; must: whoever it is.
 *
 * Returns  OK | ERR_ALREADY_EXISTS | ERR_PERMISSION (not invited) | ERR_LIMIT_REACHED (full, or in too many groups) */
necpnet_result groups_join(groups* all, groups_group* group, necpnet_player player, bool must);

/* groups_leave - the next oldest member leads when the leader leaves; an empty group ends.
 *
 *   out_ended  whether the group is gone.
 *
 * Returns  OK | ERR_NOT_FOUND */
necpnet_result groups_leave(groups* all, groups_group* group, necpnet_player player, bool* out_ended);

/* groups_lead - another member leads.
 *
 * Returns  OK | ERR_NOT_FOUND (no member) */
necpnet_result groups_lead(groups_group* group, necpnet_player player);

/* groups_of - a player's groups after one of them; NULL for the first, NULL after the last. */
groups_group* groups_of(const groups* all, necpnet_player player, const groups_group* after);

/* groups_next - walk; NULL for the first, NULL after the last. */
groups_group* groups_next(const groups* all, const groups_group* after);

/* groups_touch - it was changed here: what others have of it is older. */
void groups_touch(groups_group* group);

/* groups_take - a group as another node has it; without members: it has ended. Older than what is known: nothing changes.
 *
 *   state      count and invited_count within the limits; next is of no meaning.
 *   out_group  the group; NULL: there is none any more.
 *
 * Returns  OK | ERR_INVALID_ARGUMENT | ERR_ALREADY_EXISTS (not newer) | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
necpnet_result groups_take(groups* all, const groups_group* state, groups_group** out_group);

uint32_t groups_count(const groups* all);

#endif
