/* nn_follower_authority - who may write an entity, on the server: authority and its sequence, and what clients are told. What they write
 * is in nn_follower_writes.c. */
#include "nn_authority.h"

#include "nn_follower.h"
#include "nn_quantise.h"
#include "nn_row.h"

#define AUTHORITY_TELLS_FIRST 4u
#define AUTHORITY_TELLS_MAX 4096u /* then writes that need an answer are not taken, and come again */
#define AUTHORITY_NOTICES_FIRST 8u
#define AUTHORITY_NOTICES_MAX 4096u

#define TELL_LEASE 1u
#define TELL_DENIED 2u
#define TELL_ANSWER 4u
#define TELL_ACCEPTED 8u

/* ---- events of the application's */

/* False: no room. */
static bool authority_notice(necpnet_world* world, necpnet_world_event_type type, necpnet_peer peer,
                             necpnet_entity entity, uint32_t sequence)
{
    uint32_t mask = world->notice_capacity - 1;
    for (uint32_t i = 0; i < world->notice_count; i++) {
        const nn_world_notice* at = &world->notices[(world->notice_first + i) & mask];
        if (at->type == type && at->peer == peer && at->entity == entity && at->sequence == sequence) return true;
    }
    if (world->notice_count == world->notice_capacity) {
        uint32_t capacity = world->notice_capacity ? world->notice_capacity * 2 : AUTHORITY_NOTICES_FIRST;
        if (capacity > AUTHORITY_NOTICES_MAX) return false;
        nn_world_notice* larger = (nn_world_notice*)nn_alloc_take(&world->alloc, capacity * sizeof(nn_world_notice));
        if (!larger) return false;
        for (uint32_t i = 0; i < world->notice_count; i++) {
            larger[i] = world->notices[(world->notice_first + i) & mask];
        }
        nn_alloc_give(&world->alloc, world->notices, world->notice_capacity * sizeof(nn_world_notice));
        world->notices = larger;
        world->notice_capacity = capacity;
        world->notice_first = 0;
    }
    nn_world_notice* notice =
        &world->notices[(world->notice_first + world->notice_count++) & (world->notice_capacity - 1)];
    notice->type = type;
    notice->peer = peer;
    notice->entity = entity;
    notice->sequence = sequence;
    return true;
}

bool necpnet_world_poll(necpnet_world* world, necpnet_world_event* out_event)
{
    if (!world || !out_event) return false;
    while (world->notice_count) {
        nn_world_notice notice = world->notices[world->notice_first];
        world->notice_first = (world->notice_first + 1) & (world->notice_capacity - 1);
        world->notice_count--;
        if (!nn_world_find(world, notice.entity)) continue; /* gone meanwhile */
        out_event->type = notice.type;
        out_event->peer = notice.peer;
        out_event->entity = notice.entity;
        out_event->sequence = notice.sequence;
        return true;
    }
    return false;
}

NN_PRIVATE void nn_world_end_authority(necpnet_world* world)
{
    nn_alloc_give(&world->alloc, world->notices, world->notice_capacity * sizeof(nn_world_notice));
}

/* ---- what a client is to be told */

static void authority_forget_told(nn_follower* follower)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < follower->tell_count; i++) {
        if (follower->tells[i].what) follower->tells[kept++] = follower->tells[i];
    }
    follower->tell_count = kept;
}

static nn_tell* authority_tell(nn_follower* follower, necpnet_entity entity)
{
    nn_alloc* alloc = &follower->world->alloc;
    for (uint32_t i = follower->tell_count; i-- > 0;) {
        if (follower->tells[i].entity == entity) return &follower->tells[i];
    }
    if (follower->tell_count == follower->tell_capacity) authority_forget_told(follower);
    if (follower->tell_count == follower->tell_capacity) {
        uint32_t capacity = follower->tell_capacity ? follower->tell_capacity * 2 : AUTHORITY_TELLS_FIRST;
        if (capacity > AUTHORITY_TELLS_MAX) return NULL;
        nn_tell* tells = (nn_tell*)nn_alloc_grow(alloc, follower->tells, follower->tell_capacity * sizeof(nn_tell),
                                                 capacity * sizeof(nn_tell));
        if (!tells) return NULL;
        follower->tells = tells;
        follower->tell_capacity = capacity;
    }
    nn_tell* tell = &follower->tells[follower->tell_count++];
    memset(tell, 0, sizeof *tell);
    tell->entity = entity;
    return tell;
}

NN_PRIVATE bool nn_follower_answer(nn_follower* follower, necpnet_entity entity, uint32_t number, nn_verdict verdict,
                                   uint64_t fields)
{
    necpnet_world_statistics* statistics = &follower->world->statistics;
    nn_tell* tell = authority_tell(follower, entity);
    if (!tell) return false;
    if (verdict == NN_VERDICT_ACCEPTED) {
        tell->what |= TELL_ACCEPTED;
        tell->accepted = number;
        tell->accepted_commit = follower->world->commit;
        return true;
    }
    tell->fields = fields | (tell->what & TELL_ANSWER ? tell->fields : 0);
    tell->what |= TELL_ANSWER;
    tell->verdict = (uint8_t)verdict;
    tell->number = number;
    follower->world->told++;
    if (verdict == NN_VERDICT_CLAMPED) statistics->writes_clamped++;
    if (verdict == NN_VERDICT_REFUSED) statistics->writes_refused++;
    if (verdict == NN_VERDICT_CONFLICT) statistics->writes_conflicting++;
    return true;
}

NN_PRIVATE bool nn_follower_may_answer(nn_follower* follower, necpnet_entity entity)
{
    return authority_tell(follower, entity) != NULL;
}

/* Without memory all is listed anew. */
static void authority_tell_lease(necpnet_world* world, necpnet_peer peer, necpnet_entity entity)
{
    nn_follower* follower = peer != NECPNET_PEER_NONE ? nn_follower_find(world, peer) : NULL;
    if (!follower || follower->parked) return; /* it is told when it comes back */
    nn_tell* tell = authority_tell(follower, entity);
    if (tell) {
        tell->what |= TELL_LEASE;
    } else {
        follower->list_place = 1;
    }
    world->told++;
}

/* The present state of an entity, as it is before the next commit; fields: NULL, or those that are taken back. */
static void authority_write_state(necpnet_world* world, const nn_world_slot* slot, const uint64_t* fields,
                                  nn_writer* writer, bool owner)
{
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    nn_encoder encoder = nn_encoder_of(world->schema->tables, NULL, writer->at, nn_writer_left(writer));
    for (unsigned i = 0; fields && i < plan->field_count; i++) {
        if (nn_field_writable(&plan->fields[i])) nn_put_bits(&encoder, (uint32_t)(*fields >> i & 1), 1);
    }
    (void)nn_quantise(plan, slot->state, world->scratch_row);
    nn_row_write(plan, &encoder, world->scratch_row, owner);
    writer->at += nn_encoder_end(&encoder);
    NN_ASSERT(!encoder.bits.failed);
}

static void authority_write_lease(necpnet_world* world, necpnet_peer peer, necpnet_entity entity, nn_writer* writer)
{
    const nn_world_slot* slot = nn_world_find(world, entity);
    bool has = slot && nn_slot_has_authority(slot, peer);
    nn_write_u8(writer, NN_STATE_LEASE);
    nn_write_u32(writer, entity);
    nn_write_u16(writer, world->slots[entity & 0xffff].lease);
    nn_write_u8(writer, has);
    if (has) authority_write_state(world, slot, NULL, writer, true);
}

static void authority_write_answer(nn_follower* follower, const nn_tell* tell, bool accepted, nn_writer* writer)
{
    necpnet_world* world = follower->world;
    const nn_world_slot* slot = nn_world_find(world, tell->entity);
    bool owner = !accepted && slot && slot->owner == follower->peer;
    nn_write_u8(writer, NN_STATE_ANSWER);
    nn_write_u32(writer, tell->entity);
    nn_write_varint(writer, accepted ? tell->accepted : tell->number);
    uint8_t verdict = accepted ? (uint8_t)NN_VERDICT_ACCEPTED : tell->verdict;
    nn_write_u8(writer, (uint8_t)(verdict | (owner ? NN_ANSWER_OWNER : 0u)));
    nn_write_varint(writer, world->tick);
    if (!accepted && slot) authority_write_state(world, slot, &tell->fields, writer, owner);
}

static bool authority_has_flags(const nn_follower* follower, const nn_world_slot* slot, uint8_t flags)
{
    const nn_follower_state* state = nn_follower_state_of(follower, (uint16_t)(slot - follower->world->slots));
    return state && (state->flags & flags) == flags && state->generation == slot->generation;
}

NN_PRIVATE bool nn_follower_may_know(const nn_follower* follower, const nn_world_slot* slot)
{
    return authority_has_flags(follower, slot, NN_FOLLOWER_KNOWN);
}

static bool authority_in_view(const nn_follower* follower, const nn_world_slot* slot)
{
    return slot->owner == follower->peer || authority_has_flags(follower, slot, NN_FOLLOWER_SEEN);
}

/* What of a tell can be said now. An answer holds a state, and waits while the client may not see it: it may be back before
 * the client has heard that it went. */
static uint8_t authority_due(const nn_follower* follower, const nn_tell* tell)
{
    const necpnet_world* world = follower->world;
    uint8_t due = tell->what;
    if ((due & TELL_ACCEPTED) && tell->accepted_commit == world->commit) due &= (uint8_t)~TELL_ACCEPTED;
    if (due & TELL_ANSWER) {
        const nn_world_slot* slot = nn_world_find(world, tell->entity);
        bool waits = slot && !authority_in_view(follower, slot) && nn_follower_may_know(follower, slot);
        if (waits) due &= (uint8_t)~TELL_ANSWER;
    }
    return due;
}

NN_PRIVATE bool nn_follower_has_tell(const nn_follower* follower)
{
    if (follower->list_place && follower->world->has_authority) return true;
    for (uint32_t i = 0; i < follower->tell_count; i++) {
        if (authority_due(follower, &follower->tells[i])) return true;
    }
    return false;
}

/* One message of what is due; returns what it was. */
static uint8_t authority_write_one(nn_follower* follower, const nn_tell* tell, uint8_t due, nn_writer* writer)
{
    nn_write_u8(writer, NN_CONTROL_STATE);
    if (due & TELL_ANSWER) { /* before a lease that may come behind the write */
        const nn_world_slot* slot = nn_world_find(follower->world, tell->entity);
        if (slot && authority_in_view(follower, slot)) authority_write_answer(follower, tell, false, writer);
        return TELL_ANSWER;
    }
    if (due & TELL_ACCEPTED) {
        authority_write_answer(follower, tell, true, writer);
        return TELL_ACCEPTED;
    }
    if (due & TELL_LEASE) {
        authority_write_lease(follower->world, follower->peer, tell->entity, writer);
        return TELL_LEASE;
    }
    nn_write_u8(writer, NN_STATE_DENIED);
    nn_write_u32(writer, tell->entity);
    return TELL_DENIED;
}

/* All that the client has authority over, slot by slot. */
static bool authority_list(nn_follower* follower, nn_tell_function send, void* user)
{
    uint8_t data[NN_STATE_CONTROL_BYTES_MAX];
    uint8_t mark[3] = {NN_CONTROL_STATE, NN_STATE_LIST, 1};
    necpnet_world* world = follower->world;
    if (follower->list_place == 1 && send(user, mark, sizeof mark)) return false;
    for (uint32_t place = follower->list_place; place <= world->slot_count; place++) {
        const nn_world_slot* slot = &world->slots[place];
        follower->list_place = place;
        if (!(slot->flags & NN_SLOT_ALIVE) || !nn_slot_has_authority(slot, follower->peer)) continue;
        nn_writer writer = nn_writer_of(data, sizeof data);
        nn_write_u8(&writer, NN_CONTROL_STATE);
        authority_write_lease(world, follower->peer, nn_entity_of(slot->generation, (uint16_t)place), &writer);
        if (send(user, data, nn_writer_bytes(&writer))) return false; /* the mark may be said twice, that is all */
    }
    mark[2] = 0;
    if (send(user, mark, sizeof mark)) return false;
    follower->list_place = 0;
    return true;
}

NN_PRIVATE bool nn_follower_tell(nn_follower* follower, nn_tell_function send, void* user)
{
    bool lists = follower->list_place && follower->world->has_authority;
    if (lists && !authority_list(follower, send, user)) return false;
    uint32_t kept = 0;
    bool room = true;
    for (uint32_t i = 0; i < follower->tell_count; i++) {
        nn_tell* tell = &follower->tells[i];
        uint8_t due;
        while (room && (due = authority_due(follower, tell)) != 0) {
            uint8_t data[NN_STATE_CONTROL_BYTES_MAX];
            nn_writer writer = nn_writer_of(data, sizeof data);
            uint8_t what = authority_write_one(follower, tell, due, &writer);
            NN_ASSERT(!writer.failed);
            if (nn_writer_bytes(&writer) > 1) room = send(user, data, nn_writer_bytes(&writer)) == NECPNET_OK;
            if (room) tell->what &= (uint8_t)~what;
        }
        if (tell->what) follower->tells[kept++] = *tell;
    }
    follower->tell_count = kept;
    return room;
}

NN_PRIVATE void nn_follower_end_authority(nn_follower* follower)
{
    nn_alloc* to = &follower->world->alloc;
    nn_alloc_give(to, follower->tells, follower->tell_capacity * sizeof(nn_tell));
    nn_alloc_give(to, follower->heard, follower->heard_capacity * sizeof(nn_heard));
    follower->tells = NULL;
    follower->heard = NULL;
    follower->tell_count = follower->tell_capacity = 0;
    follower->heard_count = follower->heard_capacity = 0;
}

/* ---- authority */

NN_PRIVATE void nn_world_change_authority(necpnet_world* world, nn_world_slot* slot, necpnet_peer owner,
                                          uint8_t authority)
{
    necpnet_entity entity = nn_entity_of(slot->generation, (uint16_t)(slot - world->slots));
    necpnet_peer former = nn_slot_has_authority(slot, slot->owner) ? slot->owner : NECPNET_PEER_NONE;
    slot->owner = owner;
    slot->authority = authority;
    necpnet_peer holder = nn_slot_has_authority(slot, owner) ? owner : NECPNET_PEER_NONE;
    if (former == NECPNET_PEER_NONE && holder == NECPNET_PEER_NONE) return;
    slot->lease++;
    slot->written_us = 0;
    authority_tell_lease(world, former, entity);
    if (holder != former) authority_tell_lease(world, holder, entity);
}

necpnet_result necpnet_world_set_authority(necpnet_world* world, necpnet_entity entity, necpnet_authority authority)
{
    if (!world || (int)authority < NECPNET_AUTHORITY_SERVER || authority > NECPNET_AUTHORITY_SHARED) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    if (slot->authority == authority) return NECPNET_OK;
    world->has_authority = true;
    nn_world_change_authority(world, slot, slot->owner, (uint8_t)authority);
    return NECPNET_OK;
}

necpnet_result necpnet_world_get_authority(const necpnet_world* world, necpnet_entity entity,
                                           necpnet_authority* out_authority, necpnet_peer* out_owner,
                                           uint32_t* out_sequence)
{
    if (!world || !out_authority) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    *out_authority = (necpnet_authority)slot->authority;
    if (out_owner) *out_owner = slot->owner;
    if (out_sequence) *out_sequence = slot->lease;
    return NECPNET_OK;
}

necpnet_result necpnet_world_correct(necpnet_world* world, necpnet_entity entity)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    nn_world_change_authority(world, slot, slot->owner, slot->authority);
    return necpnet_world_mark(world, entity);
}

necpnet_result necpnet_world_deny(necpnet_world* world, necpnet_peer peer, necpnet_entity entity)
{
    if (!world) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_follower* follower = peer != NECPNET_PEER_NONE ? nn_follower_find(world, peer) : NULL;
    if (!follower || follower->parked || !nn_world_find(world, entity)) return NECPNET_ERR_NOT_FOUND;
    nn_tell* tell = authority_tell(follower, entity);
    if (!tell) return NECPNET_ERR_OUT_OF_MEMORY;
    tell->what |= TELL_DENIED;
    world->told++;
    return NECPNET_OK;
}

NN_PRIVATE void nn_world_end_peer(necpnet_world* world, necpnet_peer peer)
{
    for (uint32_t place = 1; place <= world->slot_count; place++) {
        nn_world_slot* slot = &world->slots[place];
        if (!(slot->flags & NN_SLOT_ALIVE) || !nn_slot_has_authority(slot, peer)) continue;
        nn_world_change_authority(world, slot, NECPNET_PEER_NONE, slot->authority);
        nn_world_changed(world, slot);
        (void)authority_notice(world, NECPNET_WORLD_AUTHORITY_RELEASED, peer,
                               nn_entity_of(slot->generation, (uint16_t)place), slot->lease);
    }
}

NN_PRIVATE bool nn_follower_sees(nn_follower* follower, const nn_world_slot* slot)
{
    /* what comes with the first packet of a connection is heard before the first frame */
    if (follower->rescan) (void)nn_follower_rescan(follower);
    return authority_in_view(follower, slot);
}

static void authority_release(nn_follower* follower, necpnet_entity entity, uint16_t lease)
{
    necpnet_world* world = follower->world;
    nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot || !nn_slot_has_authority(slot, follower->peer) || slot->lease != lease)
        return; /* it was taken meanwhile */
    nn_world_change_authority(world, slot, NECPNET_PEER_NONE, slot->authority);
    nn_world_changed(world, slot);
    (void)authority_notice(world, NECPNET_WORLD_AUTHORITY_RELEASED, follower->peer, entity, slot->lease);
}

NN_PRIVATE bool nn_follower_take_control(nn_follower* follower, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    necpnet_world* world = follower->world;
    uint8_t what = nn_read_u8(&reader);
    if (what == NN_STATE_REPAIR) {
        uint16_t place = nn_read_u16(&reader);
        if (reader.failed || nn_reader_left(&reader)) return false;
        nn_follower_repair(follower, place);
        return true;
    }
    if (what != NN_STATE_REQUEST && what != NN_STATE_RELEASE) return !reader.failed; /* of a later version */
    necpnet_entity entity = nn_read_u32(&reader);
    uint16_t lease = what == NN_STATE_RELEASE ? nn_read_u16(&reader) : 0;
    if (reader.failed || nn_reader_left(&reader)) return false;
    if (what == NN_STATE_RELEASE) {
        authority_release(follower, entity, lease);
        return true;
    }
    const nn_world_slot* slot = nn_world_find(world, entity);
    if (!slot || !nn_follower_sees(follower, slot) || nn_slot_has_authority(slot, follower->peer)) return true;
    bool told = authority_notice(world, NECPNET_WORLD_AUTHORITY_REQUESTED, follower->peer, entity, slot->lease);
    if (!told) (void)necpnet_world_deny(world, follower->peer, entity);
    return true;
}
