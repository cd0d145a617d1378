/* nn_writing_walk - moving entities: every one that the client takes for moving, by slot, without saying which; leads come first. */
#include "nn_writing.h"

NN_PRIVATE void nn_writing_count_moving(nn_follower* follower, nn_writing* writing)
{
    uint32_t pending = 0;
    writing->moving = 0;
    for (uint32_t i = 0; i < follower->recent_count; i++) {
        nn_follower_recent* recent = &follower->recent[i];
        recent->moves = nn_follower_moves(follower, recent, &writing->known);
        recent->is_skipped = false;
        if (!recent->moves) continue;
        writing->moving++;
        if (!follower->states[recent->state].pending) continue;
        pending++;
        if (nn_follower_owns(follower, &follower->world->slots[recent->place])) writing->own++;
    }
    writing->waiting = follower->pending_count - pending;
}

/* What became of a moving entity's place in a frame. */
typedef struct walk_moved {
    bool there;   /* it is to be seen */
    bool updated; /* else it was skipped */
} walk_moved;

/* One moving entity's bits. False if it found no room. What cannot be an update is skipped. */
static bool walk_put(nn_follower* follower, nn_writing* writing, nn_follower_recent* recent, walk_moved* moved)
{
    const necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[recent->place];
    nn_follower_state* state = &follower->states[recent->state];
    size_t bits_max = writing->records ? writing->walk_max : writing->bits_max;
    size_t mark = nn_writing_begin_record(writing);
    moved->there = nn_writing_is_there(state, slot) && !(state->flags & NN_FOLLOWER_LEAVING);
    if (moved->there) nn_writing_check_owner(follower, state, slot);
    moved->updated =
        moved->there && !recent->is_skipped && nn_writing_put_update(follower, writing, state, recent, true);
    if (!moved->updated) nn_writing_put_skip(follower, writing, state, recent);
    return nn_writing_end_record(writing, mark, bits_max);
}

/* It is in the frame. What was skipped follows among the others. */
static void walk_note(nn_follower* follower, nn_writing* writing, nn_follower_recent* recent, walk_moved moved)
{
    nn_follower_state* state = &follower->states[recent->state];
    if (moved.updated) {
        nn_writing_note_sent(follower, state, recent, NN_FOLLOWER_UPDATE);
        writing->records++;
    } else if (moved.there) {
        nn_follower_pend(follower, state);
    }
}

/* What a lead does, for those that come after it. */
static void walk_set_lead(const nn_follower* follower, const nn_writing* writing, const nn_follower_recent* recent,
                          nn_lead* lead)
{
    const necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[lead->place];
    const nn_follower_state* state = &follower->states[recent->state];
    nn_timeline timeline;
    if (!nn_follower_timeline(follower, state, recent, &writing->known, &timeline)) return;
    nn_lead_set(lead, &world->schema->plans[slot->type], &timeline, nn_world_row(world, slot, slot->version));
}

/* Leads first, with their names. False if they found no room. */
static bool walk_write_leads(nn_follower* follower, nn_writing* writing)
{
    nn_leads* leads = &follower->world->coding->leads;
    walk_moved moved[NN_LEADS_MAX];
    nn_put_bits(&writing->encoder, leads->count - 1, 3);
    for (unsigned i = 0; i < leads->count; i++) nn_put_bits(&writing->encoder, leads->leads[i].place, 16);
    for (unsigned i = 0; i < leads->count; i++) {
        nn_follower_recent* recent = nn_follower_recent_of(follower, leads->leads[i].place);
        recent->is_skipped = false;
        if (!walk_put(follower, writing, recent, &moved[i])) return false;
    }
    uint64_t hash = writing->known_hash;
    bool present = false;
    for (unsigned i = 0; i < leads->count; i++) {
        nn_lead* lead = &leads->leads[i];
        nn_follower_recent* recent = nn_follower_recent_of(follower, lead->place);
        if (moved[i].updated) walk_set_lead(follower, writing, recent, lead);
        const nn_follower_state* state = &follower->states[recent->state];
        hash = nn_records_key(follower, state, recent, &writing->known, hash, lead->present) + lead->place;
        present = present || lead->present;
        walk_note(follower, writing, recent, moved[i]);
    }
    if (present) writing->known_hash = hash;
    return true;
}

/* Those that others may ride on, or that there are none. */
static void walk_leads(nn_follower* follower, nn_writing* writing)
{
    nn_world_coding* coding = follower->world->coding;
    nn_encoder* encoder = &writing->encoder;
    size_t bit_count = encoder->bits.bit_count;
    if (encoder->thin) memcpy(&coding->thin_leads, encoder->thin, sizeof coding->thin_leads);
    nn_follower_choose_leads(follower, &coding->leads);
    if (coding->leads.count) {
        nn_put_bits(encoder, 1, 1);
        writing->leading = true;
        bool written = walk_write_leads(follower, writing);
        writing->leading = false;
        if (written) return;
        nn_bits_rewind(&encoder->bits, bit_count);
        if (encoder->thin) memcpy(encoder->thin, &coding->thin_leads, sizeof coding->thin_leads);
        coding->leads.count = 0;
    }
    nn_put_bits(encoder, 0, 1);
}

/* Whether an entity is left out this time. When not all find room in a frame, walking through them takes several; what
 * counts less then gets a turn not in every walk, but when it has waited as long as its weight is less than the largest. */
static bool walk_skips(nn_follower* follower, const nn_follower_recent* recent)
{
    const necpnet_world* world = follower->world;
    if (!follower->walk_ticks) return false;
    const nn_follower_state* state = &follower->states[recent->state];
    uint32_t weight = nn_writing_weight(follower, recent->place);
    if (weight > follower->weight_most) follower->weight_most = weight;
    if (nn_follower_owns(follower, &world->slots[recent->place])) return false;
    uint64_t waited = nn_follower_waited(follower, state);
    return waited * weight * 4 < (uint64_t)follower->walk_ticks * follower->weight_past * 3;
}

/* A walk begins at the first slot: what the last one took says whether there is room for all. */
static void walk_begin(nn_follower* follower)
{
    uint32_t tick = follower->world->tick;
    bool one_frame = follower->walk_tick == follower->walk_end_tick;
    follower->walk_ticks = one_frame ? 0 : tick - follower->walk_tick;
    follower->walk_tick = tick;
    follower->weight_past = follower->weight_most;
    follower->weight_most = 0;
}

NN_PRIVATE void nn_writing_walk(nn_follower* follower, nn_writing* writing)
{
    const necpnet_world* world = follower->world;
    writing->walk_from = follower->walk_from;
    writing->walk_to = 0;
    bool walk = writing->moving && (writing->walk_from || world->commit > follower->walk_commit);
    nn_put_bits(&writing->encoder, walk, 1);
    follower->walk_from = 0;
    world->coding->leads.count = 0;
    if (!walk) return;
    follower->walk_commit = world->commit;
    if (!writing->walk_from) walk_begin(follower);
    follower->walk_end_tick = world->tick;
    walk_leads(follower, writing);
    for (uint32_t i = 0; i < follower->recent_count; i++) {
        nn_follower_recent* recent = &follower->recent[i];
        if (recent->place < writing->walk_from || !recent->moves) continue;
        if (nn_leads_find(&world->coding->leads, recent->place)) continue;
        walk_moved moved;
        recent->is_skipped = walk_skips(follower, recent);
        if (!walk_put(follower, writing, recent, &moved)) {
            writing->walk_to = follower->walk_from = recent->place;
            break;
        }
        walk_note(follower, writing, recent, moved);
    }
}
