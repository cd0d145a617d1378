/* nn_follower_leads - which entities of a frame others may ride on: those that PARENT fields name, and those that
 * nn_carriers.c found. */
#include "nn_follower.h"

/* The client has the entity, and takes it for moving. */
static void leads_add(nn_follower* follower, nn_leads* leads, uint16_t place)
{
    const necpnet_world* world = follower->world;
    const nn_follower_recent* recent = nn_follower_recent_of(follower, place);
    if (leads->count == NN_LEADS_MAX || !recent || !recent->moves) return;
    if (!nn_lead_position(&world->schema->plans[world->slots[place].type]) || nn_leads_find(leads, place)) return;
    leads->leads[leads->count].place = place;
    leads->leads[leads->count].present = false;
    leads->count++;
}

NN_PRIVATE void nn_follower_choose_leads(nn_follower* follower, nn_leads* leads)
{
    necpnet_world* world = follower->world;
    leads->count = 0;
    nn_world_find_carriers(world);
    for (uint32_t i = 0; i < world->carrier_count; i++) leads_add(follower, leads, world->carriers[i]);
    for (uint32_t i = 0; world->has_parents && i < follower->recent_count; i++) {
        const nn_follower_recent* recent = &follower->recent[i];
        if (!recent->moves) continue;
        const nn_world_slot* slot = &world->slots[recent->place];
        const nn_type_plan* plan = &world->schema->plans[slot->type];
        if (!plan->parent || !slot->versions) continue;
        uint32_t parent = nn_world_row(world, slot, slot->version)[plan->parent - 1];
        const nn_world_slot* carrier = parent ? nn_world_find(world, parent) : NULL;
        if (carrier) leads_add(follower, leads, (uint16_t)parent);
    }
}
