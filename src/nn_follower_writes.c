/* nn_follower_writes - what clients write into entities: who may, what was heard before, conflicts, validation. */
#include "nn_authority.h"

#include "nn_follower.h"
#include "nn_quantise.h"
#include "nn_row.h"

#define AUTHORITY_HEARD_FIRST 4u
#define AUTHORITY_AHEAD_US 250000u    /* that a client's clock may be ahead of what has passed here */
#define AUTHORITY_ELAPSED_US 1000000u /* between two writes, as far as validation is told */
#define AUTHORITY_STAMP_US 30000000u  /* beyond it a stamp of 16 bits says nothing */

typedef struct authority_write {
    necpnet_entity entity;
    nn_world_slot* slot;
    uint16_t lease;
    uint16_t stamp;
    uint32_t number;
    uint32_t base_tick;
    bool shared;
    bool whole;
    nn_reader fields;
    uint64_t mask;  /* fields of it */
    uint64_t wrong; /* fields that are not as they were written */
    uint64_t now_us;
} authority_write;

static nn_heard* authority_heard(nn_follower* follower, necpnet_entity entity)
{
    uint32_t low = 0, high = follower->heard_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (follower->heard[middle].entity < entity) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < follower->heard_count && follower->heard[low].entity == entity) return &follower->heard[low];
    if (follower->heard_count == follower->heard_capacity) {
        uint32_t kept = 0; /* what is gone makes room */
        for (uint32_t i = 0; i < follower->heard_count; i++) {
            if (nn_world_find(follower->world, follower->heard[i].entity)) follower->heard[kept++] = follower->heard[i];
        }
        bool dropped = kept < follower->heard_count;
        follower->heard_count = kept;
        if (dropped) return authority_heard(follower, entity);
        uint32_t capacity = follower->heard_capacity ? follower->heard_capacity * 2 : AUTHORITY_HEARD_FIRST;
        nn_heard* heard =
            (nn_heard*)nn_alloc_grow(&follower->world->alloc, follower->heard,
                                     follower->heard_capacity * sizeof(nn_heard), capacity * sizeof(nn_heard));
        if (!heard) return NULL;
        follower->heard = heard;
        follower->heard_capacity = capacity;
    }
    nn_heard* heard = &follower->heard[low];
    memmove(heard + 1, heard, (follower->heard_count - low) * sizeof(nn_heard));
    follower->heard_count++;
    memset(heard, 0, sizeof *heard);
    heard->entity = entity;
    return heard;
}

/* The time between the last write that was taken and this one, by the client's clock, which may not outrun ours. */
static uint32_t authority_elapsed(const nn_heard* heard, const authority_write* write, uint64_t* out_claimed_us)
{
    *out_claimed_us = 0;
    if (!heard->began_us) {
        uint64_t since = write->slot->written_us ? write->now_us - write->slot->written_us : AUTHORITY_ELAPSED_US;
        return (uint32_t)nn_min_u64(since, AUTHORITY_ELAPSED_US);
    }
    uint16_t stamps = (uint16_t)(write->stamp - heard->stamp);
    uint64_t elapsed_us = stamps < 0x8000 ? (uint64_t)stamps * 1000 : 0;
    if (write->now_us - heard->heard_us > AUTHORITY_STAMP_US) elapsed_us = AUTHORITY_STAMP_US;
    uint64_t most_us = write->now_us - heard->began_us + AUTHORITY_AHEAD_US;
    uint64_t left_us = most_us > heard->claimed_us ? most_us - heard->claimed_us : 0;
    elapsed_us = nn_min_u64(elapsed_us, left_us);
    *out_claimed_us = heard->claimed_us + elapsed_us;
    return (uint32_t)nn_min_u64(elapsed_us, AUTHORITY_ELAPSED_US);
}

static void authority_note_taken(nn_heard* heard, const authority_write* write, uint64_t claimed_us)
{
    if (!heard->began_us) heard->began_us = write->now_us;
    heard->heard_us = write->now_us;
    heard->claimed_us = claimed_us;
    heard->stamp = write->stamp;
}

/* The fields of a write over a row. False: they do not decode. */
static bool authority_decode(const necpnet_schema* schema, authority_write* write, uint32_t* row)
{
    const nn_type_plan* plan = &schema->plans[write->slot->type];
    nn_decoder decoder = nn_decoder_of(schema->tables, NULL, write->fields.at, nn_reader_left(&write->fields));
    write->mask = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (!nn_field_writable(&plan->fields[i])) continue;
        if (write->whole || nn_get_bits(&decoder, 1)) write->mask |= UINT64_C(1) << i;
    }
    for (unsigned i = 0; i < plan->field_count; i++) {
        nn_field_alone alone;
        if (!(write->mask >> i & 1)) continue;
        if (!nn_row_read(nn_field_of(&alone, plan, i), &decoder, row, true)) return false;
    }
    return !decoder.bits.failed && !nn_decoder_left(&decoder);
}

/* Whether somebody else has changed it since the state that a shared write is based on. */
static bool authority_conflicts(necpnet_world* world, necpnet_peer peer, const authority_write* write)
{
    const nn_world_slot* slot = write->slot;
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    bool own = slot->writer == peer;
    if (!slot->versions || write->base_tick > world->tick) return true;
    if (write->base_tick < (own ? slot->foreign_tick : nn_world_version_tick(slot, slot->version))) return true;
    if (own && slot->written_commit == world->commit && !(slot->flags & NN_SLOT_TOUCHED)) return false;
    (void)nn_quantise(plan, slot->state, world->scratch_row); /* what the next commit will make of it */
    return memcmp(world->scratch_row, nn_world_row(world, slot, slot->version), plan->row_words * sizeof(uint32_t)) !=
           0;
}

/* Which fields of two structs differ, as a client would see them; row is scratch. */
static uint64_t authority_differing(necpnet_world* world, const nn_type_plan* plan, const void* a, const void* b,
                                    uint32_t* row)
{
    uint64_t fields = 0;
    (void)nn_quantise(plan, a, row);
    (void)nn_quantise(plan, b, world->scratch_row);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        bool same = !memcmp(row + field->word, world->scratch_row + field->word, field->words * sizeof(uint32_t));
        if (!same) fields |= UINT64_C(1) << i;
    }
    return fields;
}

/* Tries a write on a copy of the struct; the copy is taken if it may. The row is scratch afterwards. */
static nn_verdict authority_apply(nn_follower* follower, authority_write* write, uint32_t elapsed_us, uint32_t* row)
{
    uint64_t state[NN_STRUCT_BYTES_MAX / sizeof(uint64_t)];
    uint64_t meant[NN_STRUCT_BYTES_MAX / sizeof(uint64_t)];
    necpnet_world* world = follower->world;
    nn_world_slot* slot = write->slot;
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    bool owner = slot->owner == follower->peer;
    memcpy(state, slot->state, plan->type->struct_bytes);
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (!(write->mask >> i & 1) || !nn_field_visible(&plan->fields[i], owner)) continue;
        nn_dequantise_field(plan, i, row, state);
    }
    bool clamped = false;
    if (world->config.validate) {
        necpnet_write told;
        told.peer = follower->peer;
        told.entity = write->entity;
        told.type_id = plan->type->id;
        told.number = write->number;
        told.elapsed_us = elapsed_us;
        told.before = slot->state;
        memcpy(meant, state, plan->type->struct_bytes);
        if (!world->config.validate(world->config.validate_user, &told, state)) {
            write->wrong = authority_differing(world, plan, slot->state, meant, row);
            return NN_VERDICT_REFUSED;
        }
        clamped = memcmp(meant, state, plan->type->struct_bytes) != 0;
        write->wrong = clamped ? authority_differing(world, plan, meant, state, row) : 0;
    }
    memcpy(slot->state, state, plan->type->struct_bytes);
    nn_world_changed(world, slot);
    return clamped ? NN_VERDICT_CLAMPED : NN_VERDICT_ACCEPTED;
}

/* One that may be written. */
static necpnet_result authority_judge(nn_follower* follower, authority_write* write)
{
    uint32_t row[NN_ROW_WORDS_MAX];
    necpnet_world* world = follower->world;
    nn_world_slot* slot = write->slot;
    const nn_type_plan* plan = &world->schema->plans[slot->type];
    nn_heard* heard = authority_heard(follower, write->entity);
    if (!heard) return NECPNET_ERR_OUT_OF_MEMORY;
    if (write->number <= heard->number) {
        world->statistics.writes_superseded++;
        return NECPNET_OK;
    }
    memcpy(row, plan->row_zeroes, plan->row_words * sizeof(uint32_t));
    if (!authority_decode(world->schema, write, row)) return NECPNET_ERR_BAD_DATA;
    if (!nn_follower_may_answer(follower, write->entity)) return NECPNET_ERR_OUT_OF_MEMORY; /* room for an answer */
    heard->number = write->number;
    if (world->is_rewound) { /* what is written now would be lost */
        (void)nn_follower_answer(follower, write->entity, write->number, NN_VERDICT_REFUSED, write->mask);
        return NECPNET_OK;
    }
    if (write->shared && authority_conflicts(world, follower->peer, write)) {
        (void)nn_follower_answer(follower, write->entity, write->number, NN_VERDICT_CONFLICT, write->mask);
        return NECPNET_OK;
    }
    uint64_t claimed_us;
    uint32_t elapsed_us = authority_elapsed(heard, write, &claimed_us);
    nn_verdict verdict = authority_apply(follower, write, elapsed_us, row);
    if (verdict != NN_VERDICT_REFUSED) {
        authority_note_taken(heard, write, claimed_us);
        if (write->shared && slot->writer != follower->peer) {
            slot->foreign_tick = nn_world_version_tick(slot, slot->version);
            slot->writer = follower->peer;
        }
        slot->written_us = write->now_us;
        slot->written_commit = world->commit;
        world->statistics.writes_accepted++;
    }
    if (write->shared || verdict != NN_VERDICT_ACCEPTED)
        (void)nn_follower_answer(follower, write->entity, write->number, verdict, write->wrong);
    return NECPNET_OK;
}

/* One that the client sees no more. Should it be back before the client has heard that it went, the client must hear that this
 * write did not count, and it must not count when it comes once more. */
static necpnet_result authority_refuse_unseen(nn_follower* follower, const authority_write* write)
{
    nn_heard* heard = authority_heard(follower, write->entity);
    if (!heard) return NECPNET_ERR_OUT_OF_MEMORY;
    if (write->number <= heard->number) return NECPNET_OK;
    if (!nn_follower_answer(follower, write->entity, write->number, NN_VERDICT_REFUSED, UINT64_MAX))
        return NECPNET_ERR_OUT_OF_MEMORY;
    heard->number = write->number;
    return NECPNET_OK;
}

static necpnet_result authority_take(nn_follower* follower, necpnet_entity entity, nn_reader* data, uint64_t now_us)
{
    authority_write write;
    necpnet_world* world = follower->world;
    memset(&write, 0, sizeof write);
    write.entity = entity;
    write.now_us = now_us;
    write.lease = nn_read_u16(data);
    uint64_t number = nn_read_varint(data);
    write.stamp = nn_read_u16(data);
    uint8_t flags = nn_read_u8(data);
    uint64_t base_tick = flags & NN_WRITE_SHARED ? nn_read_varint(data) : 0;
    write.number = (uint32_t)number;
    write.base_tick = (uint32_t)base_tick;
    write.shared = (flags & NN_WRITE_SHARED) != 0;
    write.whole = (flags & NN_WRITE_WHOLE) != 0;
    write.fields = *data;
    if (data->failed || number < 1 || number > UINT32_MAX || base_tick > UINT32_MAX ||
        (flags & ~(NN_WRITE_SHARED | NN_WRITE_WHOLE))) {
        return NECPNET_ERR_BAD_DATA;
    }
    write.slot = nn_world_find(world, entity);
    if (!write.slot || !nn_follower_sees(follower, write.slot)) { /* gone: it will hear of that, if it does not know */
        if (write.slot && follower->rescan) return NECPNET_ERR_OUT_OF_MEMORY;
        world->statistics.writes_late++;
        if (!write.slot || !write.shared || !nn_follower_may_know(follower, write.slot)) return NECPNET_OK;
        return authority_refuse_unseen(follower, &write);
    }
    if (write.shared ? write.slot->authority == NECPNET_AUTHORITY_SHARED
                     : nn_slot_has_authority(write.slot, follower->peer) && write.lease == write.slot->lease) {
        return authority_judge(follower, &write);
    }
    if (!write.shared) { /* of a former owner, who is told by its lease */
        world->statistics.writes_late++;
        return NECPNET_OK;
    }
    bool told = nn_follower_answer(follower, entity, write.number, NN_VERDICT_REFUSED, UINT64_MAX);
    return told ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

NN_PRIVATE necpnet_result nn_follower_take_writes(nn_follower* follower, nn_reader* reader, uint64_t now_us)
{
    uint64_t bytes = nn_read_varint(reader);
    if (reader->failed || bytes > nn_reader_left(reader)) return NECPNET_ERR_BAD_DATA;
    nn_reader list = nn_reader_of(nn_read_view(reader, (size_t)bytes), (size_t)bytes);
    while (nn_reader_left(&list)) {
        necpnet_entity entity = nn_read_u32(&list);
        uint64_t length = nn_read_varint(&list);
        if (list.failed || length > nn_reader_left(&list)) return NECPNET_ERR_BAD_DATA;
        nn_reader data = nn_reader_of(nn_read_view(&list, (size_t)length), (size_t)length);
        necpnet_result result = authority_take(follower, entity, &data, now_us);
        if (result) return result;
    }
    return NECPNET_OK;
}
