/* nn_carriers - which entities others move with, though no PARENT field says so.
 *
 * What is fixed to one body turns alike. Of the entities that a commit changed, those with the same rotation since some
 * ticks ago are counted; where several agree, the first by slot is taken for what carries the others. It costs a few bits
 * a frame if that is wrong: who rides is found out by prediction, on both sides (nn_lead.h).
 */
#include "nn_world.h"

#define CARRIERS_LOOKED_AT 256 /* entities a commit, at most */
#define CARRIERS_GROUPS 8
#define CARRIERS_TICKS 6    /* rotations are since so many commits ago */
#define CARRIERS_ALIKE 1500 /* in 2^-18 of a quaternion's component */
#define CARRIERS_SHARE 4    /* and such a share of the turn */
#define CARRIERS_TURN 3000  /* what turns less is not looked at */
#define CARRIERS_LEAST 3    /* entities that agree */

typedef struct carriers_group {
    int64_t rotation[4];
    uint32_t count;
    uint16_t place; /* of the first */
} carriers_group;

/* How an entity turned. False if it did not, or nobody knows. */
static bool carriers_rotation(const necpnet_world* world, const nn_world_slot* slot, int64_t rotation[4])
{
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    uint32_t span = CARRIERS_TICKS * world->commit_gap;
    if (plan->restricted || slot->versions < 2 || world->tick <= span || !nn_lead_rotation(plan)) return false;
    uint32_t version = nn_world_version_at(slot, world->tick - span);
    if (!version || version == slot->version) return false;
    nn_timeline timeline;
    nn_lead lead;
    timeline.now = world->tick;
    timeline.count = 1;
    timeline.ticks[0] = world->tick - span;
    timeline.rows[0] = nn_world_row(world, slot, version);
    nn_lead_set(&lead, plan, &timeline, nn_world_row(world, slot, slot->version));
    if (!nn_lead_get_rotation(&lead, world->tick - span, world->tick, rotation)) return false;
    for (unsigned i = 0; i < 3; i++) {
        if (rotation[i] > CARRIERS_TURN || rotation[i] < -CARRIERS_TURN) return true;
    }
    return false;
}

static bool carriers_alike(const carriers_group* group, const int64_t rotation[4])
{
    int64_t turn = 0;
    for (unsigned i = 0; i < 3; i++) {
        int64_t size = group->rotation[i] < 0 ? -group->rotation[i] : group->rotation[i];
        turn = size > turn ? size : turn;
    }
    for (unsigned i = 0; i < 3; i++) {
        int64_t off = group->rotation[i] - rotation[i];
        off = off < 0 ? -off : off;
        if (off > CARRIERS_ALIKE + turn / CARRIERS_SHARE) return false;
    }
    return true;
}

/* Into the group that it is like, else one of its own; if there are too many, all lose one. */
static void carriers_count(carriers_group groups[CARRIERS_GROUPS], uint16_t place, const int64_t rotation[4])
{
    carriers_group* empty = NULL;
    for (unsigned i = 0; i < CARRIERS_GROUPS; i++) {
        if (groups[i].count && carriers_alike(&groups[i], rotation)) {
            groups[i].count++;
            return;
        }
        if (!groups[i].count && !empty) empty = &groups[i];
    }
    if (empty) {
        memcpy(empty->rotation, rotation, sizeof empty->rotation);
        empty->count = 1;
        empty->place = place;
        return;
    }
    for (unsigned i = 0; i < CARRIERS_GROUPS; i++) groups[i].count--;
}

NN_PRIVATE void nn_world_find_carriers(necpnet_world* world)
{
    carriers_group groups[CARRIERS_GROUPS];
    unsigned looked_at = 0;
    if (world->carrier_commit == world->commit) return;
    world->carrier_commit = world->commit;
    world->carrier_count = 0;
    memset(groups, 0, sizeof groups);
    for (uint32_t place = 1; place <= world->slot_count && looked_at < CARRIERS_LOOKED_AT; place++) {
        const nn_world_slot* slot = &world->slots[place];
        int64_t rotation[4];
        if (!(slot->flags & NN_SLOT_ALIVE) || !slot->versions) continue;
        if (nn_world_version_tick(slot, slot->version) != world->tick) continue;
        looked_at++;
        if (carriers_rotation(world, slot, rotation)) carriers_count(groups, (uint16_t)place, rotation);
    }
    while (world->carrier_count < NN_CARRIERS_MAX) {
        carriers_group* largest = &groups[0];
        for (unsigned i = 1; i < CARRIERS_GROUPS; i++) {
            if (groups[i].count > largest->count) largest = &groups[i];
        }
        if (largest->count < CARRIERS_LEAST) break;
        world->carriers[world->carrier_count++] = largest->place;
        largest->count = 0;
    }
}
