/* nn_writing_put - one record: an update, a whole state, or nothing where the client expects an update; and what is noted of it. */
#include "nn_writing.h"

#include "nn_row.h"

NN_PRIVATE size_t nn_writing_begin_record(nn_writing* writing)
{
    nn_encoder_mark(&writing->encoder);
    return writing->encoder.bits.bit_count;
}

NN_PRIVATE bool nn_writing_end_record(nn_writing* writing, size_t mark, size_t bits_max)
{
    nn_encoder* encoder = &writing->encoder;
    if (!encoder->bits.failed && nn_encoder_bits(encoder) + NN_WRITING_LIST_BITS <= bits_max) return true;
    nn_encoder_rewind(encoder, mark);
    return false;
}

static bool writing_is_thin(const nn_follower* follower, uint8_t type)
{
    return follower->thin || (follower->world->thin_types[type / 32] >> (type % 32) & 1);
}

/* ---- records */

static void writing_predict(necpnet_world* world, const nn_writing* writing, const nn_follower_state* state,
                            const nn_timeline* timeline, bool owner)
{
    nn_world_coding* coding = world->coding;
    const nn_world_slot* slot = &world->slots[state->place];
    nn_predict(&world->schema->plans[slot->type], timeline, owner, writing->leading ? NULL : &coding->leads,
               &coding->prediction);
}

NN_PRIVATE bool nn_writing_put_update(const nn_follower* follower, nn_writing* writing, const nn_follower_state* state,
                                      const nn_follower_recent* recent, bool special)
{
    necpnet_world* world = follower->world;
    nn_world_slot* slot = &world->slots[state->place];
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
    nn_encoder* encoder = &writing->encoder;
    bool shares = world->follower_count > 1 && !encoder->thin;
    nn_timeline timeline;
    uint64_t key = 0;
    if (!nn_follower_can_update(follower, state, recent, &writing->known)) return false;
    if (shares) {
        key = nn_records_key(follower, state, recent, &writing->known, writing->known_hash, special);
        const nn_cached_record* record = nn_records_find(world, slot, key);
        if (record) {
            world->statistics.records_shared++;
            nn_records_put(encoder, record);
            return true;
        }
    }
    if (!nn_follower_timeline(follower, state, recent, &writing->known, &timeline)) return false;
    size_t from = encoder->bits.bit_count;
    writing_predict(world, writing, state, &timeline, owner);
    encoder->plain = !writing_is_thin(follower, slot->type);
    nn_codec_write(encoder, plan, &world->coding->prediction, nn_world_row(world, slot, slot->version), owner, special);
    world->statistics.records_made++;
    if (shares) nn_records_keep(world, slot, key, encoder, from);
    return true;
}

NN_PRIVATE void nn_writing_put_whole(const nn_follower* follower, nn_writing* writing, const nn_follower_state* state)
{
    const necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[state->place];
    bool owner = (state->flags & NN_FOLLOWER_OWNER) != 0;
    nn_put_bits(&writing->encoder, state->generation, 16);
    nn_put_bits(&writing->encoder, slot->type, world->schema->type_bits);
    nn_put_bits(&writing->encoder, owner, 1);
    nn_row_write(&world->schema->plans[slot->type], &writing->encoder, nn_world_row(world, slot, slot->version), owner);
}

NN_PRIVATE void nn_writing_put_skip(const nn_follower* follower, nn_writing* writing, const nn_follower_state* state,
                                    const nn_follower_recent* recent)
{
    const necpnet_world* world = follower->world;
    const nn_type_plan* plan = &world->schema->plans[world->slots[state->place].type];
    nn_follower_state expected = *state;
    nn_timeline timeline;
    expected.flags &= (uint8_t)~NN_FOLLOWER_FULL; /* the client expects what it knows */
    uint32_t count = nn_follower_timeline(follower, &expected, recent, &writing->known, &timeline);
    NN_ASSERT(count); /* it moves */
    if (!count) return;
    writing_predict(follower->world, writing, state, &timeline, false);
    writing->encoder.plain = !writing_is_thin(follower, world->slots[state->place].type);
    nn_codec_write_skip(&writing->encoder, plan, &world->coding->prediction, false);
}

/* ---- book-keeping */

NN_PRIVATE void nn_writing_note_sent(nn_follower* follower, nn_follower_state* state, nn_follower_recent* recent,
                                     nn_follower_kind kind)
{
    necpnet_world* world = follower->world;
    const nn_world_slot* slot = &world->slots[state->place];
    if (!recent) recent = nn_follower_note(follower, state);
    recent->kind = (uint8_t)kind;
    state->sent_tick = (uint16_t)world->tick;
    world->statistics.updates_sent++;
    if (kind == NN_FOLLOWER_WHOLE) world->statistics.full_sent++;
    follower->entries[follower->entry_next++ & (follower->entry_capacity - 1)] = state->place;
    if (kind == NN_FOLLOWER_LEAVE) {
        nn_follower_unpend(follower, state);
        return;
    }
    state->flags |= NN_FOLLOWER_KNOWN;
    state->sent_version = (uint16_t)slot->version;
    /* Own entities go with every frame until acked, so that a frame's input tick never runs ahead of them. */
    if (follower->ordered || !(state->flags & NN_FOLLOWER_OWNER)) nn_follower_unpend(follower, state);
}

NN_PRIVATE void nn_writing_check_owner(nn_follower* follower, nn_follower_state* state, const nn_world_slot* slot)
{
    bool owner = nn_follower_owns(follower, slot);
    if (owner == ((state->flags & NN_FOLLOWER_OWNER) != 0)) return;
    state->flags &= (uint8_t)~NN_FOLLOWER_OWNER;
    if (owner) state->flags |= NN_FOLLOWER_OWNER;
    nn_follower_need_full(follower, state);
}

NN_PRIVATE bool nn_writing_is_there(const nn_follower_state* state, const nn_world_slot* slot)
{
    return (slot->flags & NN_SLOT_ALIVE) && (slot->flags & NN_SLOT_COMMITTED) && slot->generation == state->generation;
}
