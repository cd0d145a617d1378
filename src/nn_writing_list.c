/* nn_writing_list - all others, by their slots: which of those that wait, and their records. */
#include "nn_writing.h"

#include "nn_row.h"

#define LIST_FIRST UINT64_C(0xffffffffffff)
#define LIST_WEIGHT_ONE 256u

/* ---- choosing */

/* Heap sort: rising, in place, no order among equals to differ between C libraries. */
static void list_sift(uint64_t* keys, uint32_t at, uint32_t count)
{
    uint64_t key = keys[at];
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= count) break;
        if (child + 1 < count && keys[child + 1] > keys[child]) child++;
        if (keys[child] <= key) break;
        keys[at] = keys[child];
        at = child;
    }
    keys[at] = key;
}

static void list_sort(uint64_t* keys, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;) list_sift(keys, i, count);
    for (uint32_t end = count; end-- > 1;) {
        uint64_t largest = keys[0];
        keys[0] = keys[end];
        keys[end] = largest;
        list_sift(keys, 0, end);
    }
}

NN_PRIVATE uint32_t nn_writing_weight(const nn_follower* follower, uint16_t place)
{
    uint32_t away = nn_observer_distance(&follower->observer, place);
    return follower->world->slots[place].priority * LIST_WEIGHT_ONE / (1 + away);
}

NN_PRIVATE uint32_t nn_writing_choose(nn_follower* follower, size_t room_bytes)
{
    const necpnet_world* world = follower->world;
    uint32_t count = follower->pending_count;
    uint64_t* order = world->order;
    uint64_t fit = (uint64_t)room_bytes * 8 * 16 / (follower->record_bits ? follower->record_bits : 1) + 1;
    uint32_t chosen = fit < count ? (uint32_t)fit : count;
    for (uint32_t i = 0; i < count; i++) {
        const nn_follower_state* state = &follower->states[follower->pending[i]];
        uint16_t place = state->place;
        uint64_t waited = nn_follower_waited(follower, state);
        waited *= nn_writing_weight(follower, place);
        if (place == follower->start || nn_follower_owns(follower, &world->slots[place])) waited = LIST_FIRST;
        order[i] = (LIST_FIRST - waited) << 16 | place;
    }
    if (chosen < count) list_sort(order, count);
    for (uint32_t i = 0; i < chosen; i++) {
        uint16_t place = (uint16_t)order[i];
        uint64_t turned = (uint16_t)(place - follower->start);
        bool own = nn_follower_owns(follower, &world->slots[place]);
        order[i] = (own ? 0u : UINT64_C(1) << 32) | turned << 16 | place;
    }
    list_sort(order, chosen);
    return chosen;
}

/* ---- writing */

/* Nothing visible changed against the last state that has arrived: it is as good as the newest. */
static bool list_needs_nothing(const nn_follower* follower, nn_follower_state* state, const nn_follower_recent* recent,
                               const nn_world_slot* slot)
{
    if (nn_follower_has_newest(follower, state, slot)) return true;
    if (!(state->flags & NN_FOLLOWER_BASE) || (state->flags & NN_FOLLOWER_FULL)) return false;
    if (!nn_follower_surely(state, recent, UINT64_MAX)) return false;
    const nn_type_plan* plan = &follower->world->schema->plans[slot->type];
    uint32_t version = nn_world_version_at(slot, state->base_tick);
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
    if (!version || !nn_row_visible_equal(plan, nn_world_row(follower->world, slot, version),
                                          nn_world_row(follower->world, slot, slot->version), owner)) {
        return false;
    }
    state->base_tick = follower->world->tick;
    return true;
}

static bool list_was_sent(const nn_follower* follower, const nn_follower_state* state, const nn_world_slot* slot)
{
    return state->sent_version == (uint16_t)slot->version && state->sent_tick == (uint16_t)follower->world->tick;
}

static unsigned list_gap_order(const nn_follower* follower, uint32_t count)
{
    if (count < 2) return 8;
    uint32_t bits = nn_bits_for(follower->world->slot_count / count);
    return bits ? (bits - 1) & 15 : 0;
}

/* Writes one record, or leaves all as it was when there is no room. */
static bool list_write_record(const nn_follower* follower, nn_writing* writing, const nn_follower_state* state,
                              const nn_follower_recent* recent, nn_follower_kind* kind)
{
    uint16_t place = state->place;
    nn_encoder* encoder = &writing->encoder;
    size_t mark = nn_writing_begin_record(writing);
    nn_put_bits(encoder, 1, 1);
    nn_put_golomb(encoder, (uint16_t)(place - writing->former - 1), writing->gap_order);
    if (*kind == NN_FOLLOWER_UPDATE && !nn_follower_can_update(follower, state, recent, &writing->known)) {
        *kind = NN_FOLLOWER_WHOLE;
    }
    if (*kind == NN_FOLLOWER_UPDATE) {
        nn_put_bits(encoder, 0, 1);
        (void)nn_writing_put_update(follower, writing, state, recent, false);
    }
    if (*kind != NN_FOLLOWER_UPDATE) {
        nn_put_bits(encoder, *kind == NN_FOLLOWER_WHOLE ? 1 : 3, 2);
        if (*kind == NN_FOLLOWER_WHOLE) {
            nn_writing_put_whole(follower, writing, state);
        } else {
            nn_put_bits(encoder, state->generation, 16);
        }
    }
    if (!nn_writing_end_record(writing, mark, writing->bits_max)) return false;
    writing->former = place;
    return true;
}

NN_PRIVATE void nn_writing_list(nn_follower* follower, nn_writing* writing, uint32_t count)
{
    const necpnet_world* world = follower->world;
    follower->start = 0;
    writing->gap_order = list_gap_order(follower, count);
    bool begun = false;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t place = (uint16_t)world->order[i];
        const nn_world_slot* slot = &world->slots[place];
        nn_follower_state* state = nn_follower_state_of(follower, place);
        nn_follower_recent* recent = state->flags & NN_FOLLOWER_RECENT ? nn_follower_recent_of(follower, place) : NULL;
        nn_follower_kind kind = NN_FOLLOWER_LEAVE;
        if (!(state->flags & NN_FOLLOWER_LEAVING)) {
            if (!nn_writing_is_there(state, slot)) continue; /* gone with the next commit */
            nn_writing_check_owner(follower, state, slot);
            if (list_needs_nothing(follower, state, recent, slot)) {
                nn_follower_unpend(follower, state);
                continue;
            }
            if (recent && (recent->kind || recent->is_skipped)) continue; /* in this frame already, or not its turn */
            if (follower->again && list_was_sent(follower, state, slot)) continue;
            kind = NN_FOLLOWER_UPDATE;
        }
        if (!begun) {
            nn_put_bits(&writing->encoder, 1, 1);
            nn_put_bits(&writing->encoder, writing->gap_order, 4);
            begun = true;
        }
        if (list_write_record(follower, writing, state, recent, &kind)) {
            nn_writing_note_sent(follower, state, recent, kind);
            writing->records++;
            continue;
        }
        if (!follower->start) follower->start = place;
        if (nn_follower_owns(follower, slot)) writing->own_complete = false;
        if (writing->budget_limited) break;
    }
    nn_put_bits(&writing->encoder, 0, 1); /* no list, or its end */
}
