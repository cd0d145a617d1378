/* nn_view_check - the server's hashes against what this view has. */
#include "nn_check.h"
#include "nn_view.h"

/* The newest state of a track that was true at a tick; -1: none. */
static int check_track(const nn_track* track, uint32_t tick)
{
    for (int i = (int)track->count - 1; i >= 0; i--) {
        if (track->states[i].tick > tick) continue;
        return track->states[i].kind == NN_TRACK_LEAVE ? -1 : i;
    }
    return -1;
}

/* Whether a slot holds what the server says that it held at a tick; true where that cannot be told. */
static bool check_holds(const necpnet_view* view, const nn_view_slot* slot, uint32_t tick, uint16_t hash, uint8_t salt)
{
    const nn_view_entity* entity = slot->entity;
    if (slot->left && slot->left_tick >= tick) return true; /* of before it left */
    if (!entity) return false;
    if (slot->entered_tick > tick || slot->stale) return true;
    const nn_type_plan* plan = &view->schema->plans[slot->type];
    bool owner = entity->owner;
    int tracked = slot->track.type == slot->type ? check_track(&slot->track, tick) : -1;
    if (tracked >= 0) {
        const nn_track_state* state = &slot->track.states[tracked];
        const uint32_t* row = slot->track.rows + (size_t)state->place * slot->track.row_words;
        owner = state->owner;
        if (nn_check_hash(plan, row, owner, slot->generation, salt) != hash) return false;
    }
    for (unsigned i = entity->count; i-- > 0;) {
        if (entity->ticks[entity->order[i]] > tick) continue;
        return nn_check_hash(plan, nn_view_row(view, slot, i), owner, slot->generation, salt) == hash;
    }
    return true; /* older than all that are kept */
}

NN_PRIVATE bool nn_view_skip_checks(nn_reader* reader)
{
    nn_read_u8(reader);
    unsigned count = nn_read_u8(reader);
    for (unsigned i = 0; i < count; i++) {
        nn_read_u16(reader);
        nn_read_varint(reader);
        nn_read_u16(reader);
    }
    return !reader->failed && count > 0;
}

NN_PRIVATE void nn_view_take_checks(necpnet_view* view, nn_reader* reader, uint32_t tick)
{
    uint8_t salt = nn_read_u8(reader);
    unsigned count = nn_read_u8(reader);
    for (unsigned i = 0; i < count; i++) {
        uint16_t place = nn_read_u16(reader);
        uint64_t age = nn_read_varint(reader);
        uint16_t hash = nn_read_u16(reader);
        if (age > tick || place == 0) continue;
        view->statistics.checks++;
        nn_view_slot* slot = place < view->slot_capacity ? &view->slots[place] : NULL;
        if (slot && check_holds(view, slot, tick - (uint32_t)age, hash, salt)) continue;
        view->statistics.mismatches++;
        if (slot) slot->doubtful = true;
        nn_view_ask_repair(view, place);
    }
}
