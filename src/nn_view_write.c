/* nn_view_write - what this client writes into entities: its authority, the state that it shows meanwhile, the server's
 * answers. */
#include "nn_authority.h"
#include "nn_blend.h"
#include "nn_quantise.h"
#include "nn_row.h"
#include "nn_view.h"
#include "nn_writes.h"

#define HELD_FIRST 4u

/* Notices: what poll has to tell of an entity. */
#define HELD_DENIED 1u
#define HELD_LOST 2u
#define HELD_GIVEN 4u
#define HELD_VERDICT 8u /* shifted by nn_verdict */

static const nn_type_plan* held_plan(const necpnet_view* view, const nn_view_held* held)
{
    return &view->schema->plans[held->type];
}

/* ---- the list, by rising entity */

static uint32_t held_place(const necpnet_view* view, necpnet_entity entity)
{
    uint32_t low = 0, high = view->held_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (view->held[middle].entity < entity) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

NN_PRIVATE nn_view_held* nn_view_find_held(const necpnet_view* view, necpnet_entity entity)
{
    if (!view->held_count) return NULL;
    uint32_t place = held_place(view, entity);
    return place < view->held_count && view->held[place].entity == entity ? &view->held[place] : NULL;
}

static nn_view_held* held_add(necpnet_view* view, necpnet_entity entity)
{
    nn_view_held* held = nn_view_find_held(view, entity);
    if (held) return held;
    if (view->held_count == view->held_capacity) {
        uint32_t capacity = view->held_capacity ? view->held_capacity * 2 : HELD_FIRST;
        nn_view_held* list = (nn_view_held*)nn_alloc_grow(
            &view->alloc, view->held, view->held_capacity * sizeof(nn_view_held), capacity * sizeof(nn_view_held));
        if (!list) return NULL;
        view->held = list;
        view->held_capacity = capacity;
    }
    uint32_t place = held_place(view, entity);
    memmove(&view->held[place + 1], &view->held[place], (view->held_count - place) * sizeof(nn_view_held));
    view->held_count++;
    held = &view->held[place];
    memset(held, 0, sizeof *held);
    held->entity = entity;
    return held;
}

static void held_release_state(necpnet_view* view, nn_view_held* held)
{
    if (!held->state) return;
    const nn_type_plan* plan = held_plan(view, held);
    nn_alloc_give(&view->alloc, held->state, plan->type->struct_bytes);
    nn_alloc_give(&view->alloc, held->row, plan->row_words * sizeof(uint32_t));
    nn_alloc_give(&view->alloc, held->changed, 2 * plan->field_count * sizeof(uint32_t));
    held->state = NULL;
    held->row = NULL;
    held->changed = NULL;
    held->showing = false;
}

static bool held_take_state(necpnet_view* view, nn_view_held* held, uint8_t type)
{
    if (held->state) return true;
    held->type = type;
    const nn_type_plan* plan = held_plan(view, held);
    held->state = nn_alloc_take(&view->alloc, plan->type->struct_bytes);
    held->row = (uint32_t*)nn_alloc_take(&view->alloc, plan->row_words * sizeof(uint32_t));
    held->changed = (uint32_t*)nn_alloc_take(&view->alloc, 2 * plan->field_count * sizeof(uint32_t));
    if (held->state && held->row && held->changed) return true;
    nn_alloc_give(&view->alloc, held->state, plan->type->struct_bytes);
    nn_alloc_give(&view->alloc, held->row, plan->row_words * sizeof(uint32_t));
    nn_alloc_give(&view->alloc, held->changed, 2 * plan->field_count * sizeof(uint32_t));
    held->state = NULL;
    held->row = NULL;
    held->changed = NULL;
    return false;
}

static void held_remove(necpnet_view* view, nn_view_held* held)
{
    held_release_state(view, held);
    uint32_t place = (uint32_t)(held - view->held);
    memmove(held, held + 1, (--view->held_count - place) * sizeof(nn_view_held));
}

NN_PRIVATE void nn_view_drop_held(necpnet_view* view, necpnet_entity entity)
{
    nn_view_held* held = nn_view_find_held(view, entity);
    if (held) held_remove(view, held);
}

NN_PRIVATE void nn_view_reset_held(necpnet_view* view)
{
    while (view->held_count) held_remove(view, &view->held[view->held_count - 1]);
    nn_alloc_give(&view->alloc, view->held, view->held_capacity * sizeof(nn_view_held));
    view->held = NULL;
    view->held_capacity = 0;
}

/* ---- showing */

/* From now on the server's states are shown again; the picture fades over. */
static void held_end_showing(necpnet_view* view, nn_view_held* held)
{
    double values[NN_BLEND_VALUES_MAX];
    nn_view_slot* slot = nn_view_find(view, held->entity);
    if (held->showing && slot && view->playback.begun) {
        nn_blend_read(held_plan(view, held), held->state, values);
        held->showing = false;
        nn_view_show_after(view, slot, values, false);
    }
    held_release_state(view, held);
}

NN_PRIVATE bool nn_view_show_held(necpnet_view* view, const nn_view_slot* slot, necpnet_entity entity, void* state)
{
    nn_view_held* held = nn_view_find_held(view, entity);
    if (!held || !held->showing) return false;
    if (held->ends && view->playback.begun && view->playback.tick >= (double)held->end_tick) {
        held_end_showing(view, held);
        return false;
    }
    const nn_type_plan* plan = held_plan(view, held);
    memcpy(state, held->state, plan->type->struct_bytes);
    for (unsigned i = 0; i < plan->field_count; i++) { /* what the server alone writes is shown as it is there */
        if (nn_field_writable(&plan->fields[i])) continue;
        nn_dequantise_field(plan, i, nn_view_row(view, slot, slot->entity->count - 1u), state);
    }
    return true;
}

/* ---- writing */

NN_PRIVATE void nn_view_set_out(necpnet_view* view, const nn_view_out* out)
{
    view->out = *out;
}

static bool held_writes(const nn_field_plan* field)
{
    return nn_field_writable(field) && !field->hidden;
}

static bool held_encode(const necpnet_view* view, const nn_view_held* held, uint32_t base_tick, uint8_t* data,
                        size_t* out_bytes)
{
    const nn_type_plan* plan = held_plan(view, held);
    unsigned writable = 0, sent = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (!held_writes(&plan->fields[i])) continue;
        writable++;
        if (held->changed[i] > held->acked) sent++;
    }
    if (!sent) return false;
    unsigned all =
        0; /* on the wire a mask is over what the server lets clients write, whether or not it is known here */
    for (unsigned i = 0; i < plan->field_count; i++) all += nn_field_writable(&plan->fields[i]);
    bool whole = sent == writable && writable == all;
    nn_writer writer = nn_writer_of(data, NN_WRITE_BYTES_MAX);
    nn_write_u16(&writer, held->lease);
    nn_write_varint(&writer, held->number);
    nn_write_u16(&writer, (uint16_t)(view->playback.now_us / 1000));
    nn_write_u8(&writer, (uint8_t)((base_tick ? NN_WRITE_SHARED : 0) | (whole ? NN_WRITE_WHOLE : 0)));
    if (base_tick) nn_write_varint(&writer, base_tick);
    nn_encoder encoder = nn_encoder_of(view->schema->tables, NULL, writer.at, nn_writer_left(&writer));
    for (unsigned i = 0; i < plan->field_count && !whole; i++) {
        if (!nn_field_writable(&plan->fields[i])) continue;
        nn_put_bits(&encoder, held_writes(&plan->fields[i]) && held->changed[i] > held->acked, 1);
    }
    for (unsigned i = 0; i < plan->field_count; i++) {
        nn_field_alone alone;
        if (!held_writes(&plan->fields[i]) || held->changed[i] <= held->acked) continue;
        nn_row_write(nn_field_of(&alone, plan, i), &encoder, held->row, true);
    }
    *out_bytes = nn_writer_bytes(&writer) + nn_encoder_end(&encoder);
    NN_ASSERT(!writer.failed && !encoder.bits.failed);
    return true;
}

static necpnet_result held_send(necpnet_view* view, nn_view_held* held)
{
    uint8_t data[NN_WRITE_BYTES_MAX];
    size_t bytes;
    held->unsent = false;
    if (!held_encode(view, held, held->mode ? 0 : held->base_tick, data, &bytes)) return NECPNET_OK;
    necpnet_result result = view->out.write(view->out.user, held->entity, held->number, data, bytes);
    held->unsent = result != NECPNET_OK; /* poll tries again */
    return result;
}

/* All of it once more: what the server has is not known, or another than it was. */
static void held_send_whole(necpnet_view* view, nn_view_held* held)
{
    const nn_type_plan* plan = held_plan(view, held);
    held->number = ++view->write_number;
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (held->mode || held->changed[i]) held->changed[i] = held->number;
    }
    if (view->out.write) (void)held_send(view, held);
}

necpnet_result necpnet_view_write(necpnet_view* view, necpnet_entity entity, const void* state, size_t struct_bytes,
                                  uint32_t base_tick, uint32_t* out_number)
{
    if (!view || !state) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_view_slot* slot = nn_view_find(view, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    const nn_type_plan* plan = &view->schema->plans[slot->type];
    if (struct_bytes < plan->type->struct_bytes) return NECPNET_ERR_BUFFER_TOO_SMALL;
    if (!view->out.write) return NECPNET_ERR_NOT_CONNECTED;
    nn_view_held* held = held_add(view, entity);
    if (!held || !held_take_state(view, held, slot->type)) return NECPNET_ERR_OUT_OF_MEMORY;
    unsigned last = slot->entity->count - 1u;
    bool first = !held->showing;
    if (first) memcpy(held->row, nn_view_row(view, slot, last), plan->row_words * sizeof(uint32_t));
    if (first) memset(held->changed, 0, 2 * plan->field_count * sizeof(uint32_t));
    view->statistics.values_clamped += nn_quantise(plan, state, view->row);
    uint32_t number = view->write_number + 1;
    bool changes = false;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        bool same = !memcmp(held->row + field->word, view->row + field->word, field->words * sizeof(uint32_t));
        bool visible = nn_field_visible(field, held->mode || slot->entity->owner);
        if (!held_writes(field) || !visible || (same && !(first && held->mode))) continue;
        held->changed[i] = number;
        changes = true;
    }
    memcpy(held->state, state, plan->type->struct_bytes);
    nn_view_note_change(view, slot);
    if (changes) {
        memcpy(held->row, view->row, plan->row_words * sizeof(uint32_t));
        held->number = view->write_number = number;
        held->showing = true;
        held->ends = false;
        held->base_tick = base_tick ? base_tick : slot->entity->ticks[slot->entity->order[last]];
        if (first) held->acked = 0;
        view->statistics.writes++;
    }
    if (out_number) *out_number = held->number;
    return changes ? held_send(view, held) : NECPNET_OK;
}

NN_PRIVATE void nn_view_written(necpnet_view* view, necpnet_entity entity, uint32_t number)
{
    nn_view_held* held = nn_view_find_held(view, entity);
    if (held && number > held->acked && number <= held->number) held->acked = number;
}

/* ---- asking */

static necpnet_result held_tell(necpnet_view* view, nn_state_control what, necpnet_entity entity, uint16_t sequence)
{
    uint8_t data[8];
    nn_writer writer = nn_writer_of(data, sizeof data);
    if (!view->out.tell) return NECPNET_ERR_NOT_CONNECTED;
    nn_write_u8(&writer, NN_CONTROL_STATE);
    nn_write_u8(&writer, (uint8_t)what);
    if (what == NN_STATE_REPAIR) {
        nn_write_u16(&writer, (uint16_t)entity);
    } else {
        nn_write_u32(&writer, entity);
    }
    if (what == NN_STATE_RELEASE) nn_write_u16(&writer, sequence);
    return view->out.tell(view->out.user, data, nn_writer_bytes(&writer));
}

necpnet_result necpnet_view_request_authority(necpnet_view* view, necpnet_entity entity)
{
    if (!view) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_view_held* held = nn_view_find_held(view, entity);
    if (!nn_view_find(view, entity)) return NECPNET_ERR_NOT_FOUND;
    if (held && held->mode) return NECPNET_ERR_ALREADY_EXISTS;
    return held_tell(view, NN_STATE_REQUEST, entity, 0);
}

necpnet_result necpnet_view_release_authority(necpnet_view* view, necpnet_entity entity)
{
    if (!view) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_view_held* held = nn_view_find_held(view, entity);
    if (!held || !held->mode) return NECPNET_ERR_NOT_FOUND;
    return held_tell(view, NN_STATE_RELEASE, entity, held->lease);
}

bool necpnet_view_has_authority(const necpnet_view* view, necpnet_entity entity, uint32_t* out_sequence)
{
    const nn_view_held* held = view ? nn_view_find_held(view, entity) : NULL;
    if (!held || !held->mode) return false;
    if (out_sequence) *out_sequence = held->lease;
    return true;
}

NN_PRIVATE void nn_view_ask_repair(necpnet_view* view, uint16_t place)
{
    (void)held_tell(view, NN_STATE_REPAIR, place, 0); /* unsent: the next check finds it again */
}

/* ---- what the server says */

static void held_lose(necpnet_view* view, nn_view_held* held)
{
    held_end_showing(view, held);
    held->mode = 0;
    held->notices = (uint8_t)((held->notices & ~HELD_GIVEN) | HELD_LOST);
}

/* The row behind a message into the scratch row, and before it, unless out_fields is NULL, which fields are taken back.
 * False: none. */
static bool held_read_row(necpnet_view* view, const nn_view_slot* slot, nn_reader* reader, bool owner,
                          uint64_t* out_fields)
{
    const nn_type_plan* plan = &view->schema->plans[slot->type];
    uint64_t fields = 0;
    nn_decoder decoder = nn_decoder_of(view->schema->tables, NULL, reader->at, nn_reader_left(reader));
    for (unsigned i = 0; out_fields && i < plan->field_count; i++) {
        if (nn_field_writable(&plan->fields[i])) fields |= (uint64_t)nn_get_bits(&decoder, 1) << i;
    }
    if (out_fields) *out_fields = fields;
    return nn_row_read(plan, &decoder, view->row, owner) && !nn_decoder_left(&decoder);
}

/* The server's state takes the place of what was written, but for the fields that are kept. */
static void held_correct(necpnet_view* view, nn_view_held* held, const nn_view_slot* slot, uint64_t kept)
{
    double shown[NN_BLEND_VALUES_MAX];
    double now[NN_BLEND_VALUES_MAX];
    const nn_type_plan* plan = held_plan(view, held);
    if (!held->showing) return;
    nn_blend_read(plan, held->state, shown);
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (kept >> i & 1) continue;
        memcpy(held->row + field->word, view->row + field->word, field->words * sizeof(uint32_t));
        nn_dequantise_field(plan, i, view->row, held->state);
    }
    nn_blend_read(plan, held->state, now);
    nn_view_show_shift(view, slot, shown, now);
}

/* What was written after a write that the server changed or refused stays, but for fields that it took back: what is on its way
 * of those was made from what is no more, and they are sent once more as the server has them. */
static void held_take_back(necpnet_view* view, nn_view_held* held, const nn_view_slot* slot, uint32_t write,
                           uint64_t fields)
{
    const nn_type_plan* plan = held_plan(view, held);
    uint32_t* corrected = held->changed + plan->field_count;
    uint64_t kept = 0;
    bool again = false;
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (!held_writes(&plan->fields[i]) || held->changed[i] <= write) continue;
        if (corrected[i] > write || !(fields >> i & 1)) {
            kept |= UINT64_C(1) << i;
            continue;
        }
        corrected[i] = held->changed[i] = view->write_number + 1;
        again = true;
    }
    held_correct(view, held, slot, kept);
    if (!again) return;
    held->number = ++view->write_number;
    if (view->out.write) (void)held_send(view, held);
}

static bool held_read_lease(necpnet_view* view, nn_reader* reader)
{
    necpnet_entity entity = nn_read_u32(reader);
    uint16_t lease = nn_read_u16(reader);
    uint8_t mode = nn_read_u8(reader);
    if (reader->failed || mode > 1 || (entity & 0xffff) == 0) return false;
    nn_view_held* held = nn_view_find_held(view, entity);
    if (!mode) {
        if (!held) return !nn_reader_left(reader);
        held->lease = lease;
        if (held->mode) held_lose(view, held);
        return !nn_reader_left(reader);
    }
    bool had = held && held->mode;
    held = held_add(view, entity);
    if (!held) return true; /* writes go without authority then, and are refused by name */
    bool same = had && held->lease == lease;
    const nn_view_slot* slot = nn_view_find(view, entity);
    bool has_row = nn_reader_left(reader) > 0 && slot && slot->entity;
    if (has_row && !held_read_row(view, slot, reader, true, NULL)) return false;
    held->mode = 1;
    held->lease = lease;
    held->confirmed = true;
    held->ends = false;
    held->base_tick = 0;
    if (!had) held->notices = (uint8_t)((held->notices & ~HELD_DENIED) | HELD_GIVEN);
    if (!held->showing) return true;
    if (had && !same && has_row) { /* the server changed it: what was written before counts no more */
        held_correct(view, held, slot, 0);
        held->notices |= HELD_VERDICT << NN_VERDICT_CLAMPED;
        held->numbers[NN_VERDICT_CLAMPED] = held->number;
        view->statistics.writes_clamped++;
    }
    held->acked = 0;
    held_send_whole(view, held);
    return true;
}

static bool held_read_list(necpnet_view* view, nn_reader* reader)
{
    bool begins = nn_read_u8(reader) != 0;
    for (uint32_t i = 0; i < view->held_count; i++) {
        nn_view_held* held = &view->held[i];
        if (begins) {
            held->confirmed = false;
        } else if (held->mode && !held->confirmed) {
            held_lose(view, held);
        }
    }
    return !reader->failed && !nn_reader_left(reader);
}

static void held_count_verdict(necpnet_view* view, nn_verdict verdict)
{
    necpnet_view_statistics* statistics = &view->statistics;
    if (verdict == NN_VERDICT_CLAMPED) statistics->writes_clamped++;
    if (verdict == NN_VERDICT_REFUSED) statistics->writes_refused++;
    if (verdict == NN_VERDICT_CONFLICT) statistics->writes_conflicting++;
}

static bool held_read_answer(necpnet_view* view, nn_reader* reader)
{
    necpnet_entity entity = nn_read_u32(reader);
    uint64_t number = nn_read_varint(reader);
    uint8_t byte = nn_read_u8(reader);
    uint8_t verdict = byte & (NN_ANSWER_OWNER - 1u);
    uint64_t tick = nn_read_varint(reader);
    if (reader->failed || verdict >= NN_VERDICTS || number > UINT32_MAX || tick > UINT32_MAX) return false;
    held_count_verdict(view, (nn_verdict)verdict);
    nn_view_held* held = nn_view_find_held(view, entity);
    const nn_view_slot* slot = nn_view_find(view, entity);
    if (!held || !slot || number > held->number) return true; /* it left meanwhile */
    uint64_t fields = 0;
    if (verdict != NN_VERDICT_ACCEPTED && !held_read_row(view, slot, reader, byte != verdict, &fields)) return false;
    held->notices |= (uint8_t)(HELD_VERDICT << verdict);
    held->numbers[verdict] = (uint32_t)number;
    if (!held->showing) return true;
    if (held->mode) {
        if (verdict == NN_VERDICT_ACCEPTED) return true;
        held_take_back(view, held, slot, (uint32_t)number, fields);
        return true;
    }
    if (number < held->number) return true;
    if (verdict == NN_VERDICT_ACCEPTED) {
        held->ends = true;
        held->end_tick = (uint32_t)tick;
        return true;
    }
    held_end_showing(view, held);
    return true;
}

NN_PRIVATE bool nn_view_take_control(necpnet_view* view, const uint8_t* data, size_t bytes)
{
    nn_reader reader = nn_reader_of(data, bytes);
    nn_view_held* held;
    switch (nn_read_u8(&reader)) {
    case NN_STATE_LEASE: return held_read_lease(view, &reader);
    case NN_STATE_LIST: return held_read_list(view, &reader);
    case NN_STATE_ANSWER: return held_read_answer(view, &reader);
    case NN_STATE_DENIED:
        held = held_add(view, nn_read_u32(&reader));
        if (held && !held->mode) held->notices |= HELD_DENIED;
        return !reader.failed && !nn_reader_left(&reader);
    default: return !reader.failed; /* of a later version */
    }
}

NN_PRIVATE void nn_view_renew_held(necpnet_view* view)
{
    for (uint32_t i = 0; i < view->held_count; i++) {
        nn_view_held* held = &view->held[i];
        held->acked = 0;
        if (held->showing && !held->mode) held_send_whole(view, held);
    }
}

/* ---- telling the application */

static bool held_next_notice(nn_view_held* held, necpnet_view_event* out_event)
{
    static const necpnet_view_event_type verdicts[NN_VERDICTS] = {NECPNET_VIEW_WRITTEN, NECPNET_VIEW_CLAMPED,
                                                                  NECPNET_VIEW_REFUSED, NECPNET_VIEW_CONFLICT};
    static const struct {
        uint8_t notice;
        necpnet_view_event_type type;
    } others[] = {{HELD_LOST, NECPNET_VIEW_AUTHORITY_LOST},
                  {HELD_GIVEN, NECPNET_VIEW_AUTHORITY_GIVEN},
                  {HELD_DENIED, NECPNET_VIEW_AUTHORITY_DENIED}};
    out_event->sequence = held->lease;
    for (unsigned i = 0; i < NN_VERDICTS; i++) {
        uint8_t bit = (uint8_t)(HELD_VERDICT << i);
        if (!(held->notices & bit)) continue;
        held->notices &= (uint8_t)~bit;
        out_event->type = verdicts[i];
        out_event->number = held->numbers[i];
        return true;
    }
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (!(held->notices & others[i].notice)) continue;
        held->notices &= (uint8_t)~others[i].notice;
        out_event->type = others[i].type;
        return true;
    }
    return false;
}

NN_PRIVATE bool nn_view_poll_held(necpnet_view* view, necpnet_view_event* out_event)
{
    for (uint32_t i = 0; i < view->held_count;) {
        nn_view_held* held = &view->held[i];
        const nn_view_slot* slot = nn_view_find(view, held->entity);
        if (held->unsent && held->showing && view->out.write) (void)held_send(view, held);
        bool known = slot && slot->announced == held->entity >> 16;
        if (held->notices && (known || (held->notices & HELD_LOST))) {
            out_event->entity = held->entity;
            out_event->type_id = known ? slot->announced_type : 0;
            if (held_next_notice(held, out_event)) return true;
        }
        if (!held->mode && !held->state && !held->notices) {
            held_remove(view, held);
        } else {
            i++;
        }
    }
    return false;
}
