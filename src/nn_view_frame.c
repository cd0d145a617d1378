/* nn_view_frame - what a frame of states says: who comes, who leaves, what changed, and what is kept of it for frames to come. */
#include "nn_view.h"

#include "nn_blend.h"
#include "nn_log.h"
#include "nn_row.h"

#define VIEW_STATES_FIRST 2
#define VIEW_STILL_GAPS 8 /* an entity is not taken to have crept along for more frames than this */

/* ---- states */

/* The last moment at which the state before this tick's was surely still true. */
static uint32_t view_still_tick(const necpnet_view* view, uint32_t tick)
{
    uint32_t reach = nn_playback_gap(&view->playback) * VIEW_STILL_GAPS;
    uint32_t still = tick > reach ? tick - reach : 0;
    uint32_t count = view->complete_count < NN_VIEW_STATES ? view->complete_count : NN_VIEW_STATES;
    for (uint32_t i = 0; i < count; i++) {
        if (view->complete[i] < tick && view->complete[i] > still) still = view->complete[i];
    }
    return still;
}

static bool view_reserve_state(necpnet_view* view, const nn_view_slot* slot)
{
    nn_view_entity* entity = slot->entity;
    if (entity->count < entity->capacity || entity->capacity >= NN_VIEW_STATES) return true;
    size_t row_bytes = nn_view_plan(view, slot)->row_words * sizeof(uint32_t);
    uint8_t capacity = entity->capacity ? (uint8_t)(entity->capacity * 2) : VIEW_STATES_FIRST;
    uint32_t* rows =
        (uint32_t*)nn_alloc_grow(&view->alloc, entity->rows, entity->capacity * row_bytes, capacity * row_bytes);
    if (!rows) return false;
    entity->rows = rows;
    entity->capacity = capacity;
    return true;
}

/* Puts the scratch row among the states of an entity. A full ring loses its oldest. */
static necpnet_result view_add_state(necpnet_view* view, nn_view_slot* slot, uint32_t tick)
{
    nn_view_entity* entity = slot->entity;
    const nn_type_plan* plan = nn_view_plan(view, slot);
    unsigned at = entity->count;
    nn_view_note_change(view, slot);
    while (at > 0 && entity->ticks[entity->order[at - 1]] > tick) at--;
    size_t row_bytes = plan->row_words * sizeof(uint32_t);
    if (at > 0 && entity->ticks[entity->order[at - 1]] == tick) {
        memcpy(nn_view_row(view, slot, at - 1), view->row, row_bytes);
        return NECPNET_OK;
    }
    if (!view_reserve_state(view, slot)) return NECPNET_ERR_OUT_OF_MEMORY;
    uint32_t still = view_still_tick(view, tick);
    double shown[NN_BLEND_VALUES_MAX];
    bool smooth = at > 0 && view->playback.tick > (double)nn_max_u64(still, entity->ticks[entity->order[at - 1]]) &&
                  nn_view_show_before(view, slot, shown); /* it was shown without knowing this */
    uint8_t place = entity->count;
    if (entity->count == NN_VIEW_STATES) {
        if (at == 0) return NECPNET_OK; /* older than all that are kept */
        place = entity->order[0];
        memmove(entity->order, entity->order + 1, --at);
    } else {
        memmove(entity->order + at + 1, entity->order + at, entity->count - at);
        entity->count++;
    }
    entity->order[at] = place;
    entity->ticks[place] = tick;
    entity->still[place] = still;
    memcpy(nn_view_row(view, slot, at), view->row, row_bytes);
    if (smooth) nn_view_show_after(view, slot, shown, true);
    view->statistics.updates++;
    return NECPNET_OK;
}

/* ---- tracks */

static void view_note_recent(necpnet_view* view, nn_view_slot* slot)
{
    uint16_t place = (uint16_t)(slot - view->slots);
    if (slot->recent) return;
    uint32_t at = view->recent_count++;
    for (; at > 0 && view->recent[at - 1] > place; at--) view->recent[at] = view->recent[at - 1];
    view->recent[at] = place;
    slot->recent = true;
}

/* Slots of which no frame to come can take anything for moving leave the list. */
static void view_forget_recent(necpnet_view* view)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < view->recent_count; i++) {
        uint16_t place = view->recent[i];
        nn_view_slot* slot = &view->slots[place];
        const nn_track* track = &slot->track;
        uint32_t newest = track->count ? track->states[track->count - 1].number : 0;
        if (track->count && view->newest_number - newest <= NN_FRAME_LATE_MAX + NN_KNOWN_FRAMES) {
            view->recent[kept++] = place;
            continue;
        }
        slot->recent = false;
        if (!slot->entity) nn_track_reset(&slot->track, &view->alloc);
    }
    view->recent_count = kept;
}

/* ---- frames: src/PROTOCOL.md "State" */

#define VIEW_FRAME_COMPLETE 1u
#define VIEW_FRAME_INPUT 2u
#define VIEW_FRAME_QUIET 4u
#define VIEW_FRAME_THIN 8u
#define VIEW_FRAME_FROM 16u
#define VIEW_FRAME_TO 32u
#define VIEW_FRAME_CHECKS 64u
#define VIEW_FRAME_MORE 128u
#define VIEW_MORE_TABLES 1u
#define VIEW_MORE_TYPES 2u

typedef struct view_frame {
    nn_decoder decoder;
    nn_known known;
    uint32_t tick;
    uint32_t input;
    uint32_t quiet_age; /* 0: not told */
    uint16_t walk_from; /* slots of moving entities in it */
    uint16_t walk_to;   /* not 0: those before it */
    bool late;          /* it came after others that are so much newer that it is not taken */
    bool complete;
    bool has_input;
    bool has_checks;
    const uint8_t* thin_types; /* bits of those whose updates the thin codec is for; NULL: all */
    nn_reader checks;
} view_frame;

static necpnet_result view_refuse(necpnet_view* view, const char* text)
{
    view->error = text;
    nn_log_write(&view->logger, NECPNET_LOG_WARNING, "state frame: %s", text);
    return NECPNET_ERR_BAD_DATA;
}

/* Keeps what came of a slot for frames to come. row: NULL for a leave. */
static necpnet_result view_track(necpnet_view* view, const view_frame* frame, nn_view_slot* slot, uint8_t type,
                                 nn_track_kind kind, bool owner, const uint32_t* row)
{
    nn_track_state state;
    memset(&state, 0, sizeof state);
    state.number = frame->known.number;
    state.tick = frame->tick;
    state.kind = (uint8_t)kind;
    state.owner = owner;
    uint32_t newest = view->newest_number;
    if ((int32_t)(state.number - newest) > 0) newest = state.number;
    uint16_t words = view->schema->plans[type].row_words;
    necpnet_result result = nn_track_add(&slot->track, &view->alloc, type, words, newest, &state, row);
    if (result == NECPNET_OK) view_note_recent(view, slot);
    return result;
}

/* An update of a slot, which follows from its timeline. lead: what others may ride on, or NULL. */
static necpnet_result view_read_update(necpnet_view* view, view_frame* frame, nn_view_slot* slot, bool may_skip,
                                       nn_lead* lead)
{
    nn_timeline timeline;
    bool owner = false;
    if (!nn_track_timeline(&slot->track, &frame->known, frame->tick, &timeline, &owner)) {
        return view_refuse(view, "an update against no baseline");
    }
    if (timeline.ticks[0] >= frame->tick) return view_refuse(view, "a baseline of no tick");
    uint8_t type = slot->track.type;
    const nn_type_plan* plan = &view->schema->plans[type];
    nn_view_coding* coding = view->coding;
    nn_predict(plan, &timeline, owner, lead ? NULL : &coding->leads, &coding->prediction);
    frame->decoder.plain = frame->thin_types && !(frame->thin_types[type / 8] >> (type % 8) & 1);
    nn_codec_result read = nn_codec_read(&frame->decoder, plan, &view->coding->prediction, view->row, owner, may_skip);
    if (read == NN_CODEC_SKIP) return NECPNET_OK;
    if (read == NN_CODEC_BAD) return view_refuse(view, "an update does not decode");
    if (lead) nn_lead_set(lead, plan, &timeline, view->row);
    necpnet_result result = view_track(view, frame, slot, type, NN_TRACK_UPDATE, owner, view->row);
    /* It may be of before the entity left, or entered again. */
    bool shown = slot->entity && slot->type == type && frame->tick > slot->entered_tick;
    if (result || !shown) return result;
    return view_add_state(view, slot, frame->tick);
}

static necpnet_result view_enter(necpnet_view* view, uint16_t place, uint16_t generation, uint8_t type, uint32_t tick)
{
    nn_view_slot* slot = &view->slots[place];
    if (slot->entity && slot->generation == generation) return NECPNET_OK;
    nn_view_leave(view, slot);
    if (view->entity_count >= view->config.entities_max) {
        view->error = "more entities than the view's entities_max";
        return NECPNET_ERR_LIMIT_REACHED;
    }
    slot->entity = (nn_view_entity*)nn_alloc_take(&view->alloc, sizeof(nn_view_entity));
    if (!slot->entity) return NECPNET_ERR_OUT_OF_MEMORY;
    view->entity_count++;
    slot->generation = generation;
    slot->type = type;
    slot->typed = true;
    slot->left = false;
    slot->entered_tick = tick;
    nn_view_announce(view, slot);
    return NECPNET_OK;
}

/* Whether a frame was written before another one. */
static bool view_is_before(const view_frame* frame, uint32_t tick, uint32_t number)
{
    if (frame->tick != tick) return frame->tick < tick;
    return (int32_t)(frame->known.number - number) < 0;
}

/* Whether a full state is from before what this slot shows now. */
static bool view_is_late(const nn_view_slot* slot, uint16_t generation, const view_frame* frame)
{
    if (slot->left && view_is_before(frame, slot->left_tick, slot->left_number)) return true;
    return slot->entity && slot->generation != generation && frame->tick <= slot->entered_tick;
}

static necpnet_result view_read_full(necpnet_view* view, view_frame* frame, uint16_t place)
{
    nn_decoder* decoder = &frame->decoder;
    uint16_t generation = (uint16_t)nn_get_bits(decoder, 16);
    int type = (int)nn_get_bits(decoder, view->schema->type_bits);
    bool owner = nn_get_bits(decoder, 1) != 0;
    if (decoder->bits.failed || generation == 0) return view_refuse(view, "a state without an entity");
    if (type >= view->schema->type_count) return view_refuse(view, "a state of no type");
    if (!nn_row_read(&view->schema->plans[type], decoder, view->row, owner)) {
        return view_refuse(view, "a state does not decode");
    }
    if (!nn_view_reserve_slot(view, place)) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_view_slot* slot = &view->slots[place];
    if (slot->entity && slot->generation == generation && slot->type != type) {
        return view_refuse(view, "an entity of two types");
    }
    necpnet_result result = view_track(view, frame, slot, (uint8_t)type, NN_TRACK_FULL, owner, view->row);
    if (result || view_is_late(slot, generation, frame)) return result;
    slot->stale = false;
    if (slot->doubtful) view->statistics.repairs++;
    slot->doubtful = false;
    result = view_enter(view, place, generation, (uint8_t)type, frame->tick);
    if (result) return result;
    if (frame->tick >= slot->entered_tick) {
        slot->entered_tick = frame->tick;
        slot->entered_number = frame->known.number;
        slot->entity->owner = owner;
    }
    result = view_add_state(view, slot, frame->tick);
    if (slot->entity->count == 0) nn_view_leave(view, slot); /* no memory for its first state */
    return result ? result : nn_view_set_predicted(view, slot);
}

static necpnet_result view_read_leave(necpnet_view* view, view_frame* frame, uint16_t place)
{
    uint16_t generation = (uint16_t)nn_get_bits(&frame->decoder, 16);
    if (frame->decoder.bits.failed || generation == 0) return view_refuse(view, "a leave without an entity");
    if (!nn_view_reserve_slot(view, place)) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_view_slot* slot = &view->slots[place];
    necpnet_result result = view_track(view, frame, slot, slot->track.type, NN_TRACK_LEAVE, false, NULL);
    if (result) return result;
    /* Of a former entity, long gone, or of one that came back. */
    if (slot->entity && view_is_before(frame, slot->entered_tick, slot->entered_number)) return NECPNET_OK;
    if (slot->left && view_is_before(frame, slot->left_tick, slot->left_number)) return NECPNET_OK;
    nn_view_leave(view, slot);
    slot->generation = generation; /* it may have overtaken the state that enters it */
    slot->left = true;
    slot->left_tick = frame->tick;
    slot->left_number = frame->known.number;
    return NECPNET_OK;
}

static bool view_moves(const necpnet_view* view, const view_frame* frame, const nn_view_slot* slot)
{
    const nn_type_plan* plan = &view->schema->plans[slot->track.type];
    return slot->recent && !plan->restricted && nn_track_moves(&slot->track, &frame->known, frame->tick, plan);
}

/* Those that others may ride on come first, by name. */
static necpnet_result view_read_leads(necpnet_view* view, view_frame* frame)
{
    nn_leads* leads = &view->coding->leads;
    if (!nn_get_bits(&frame->decoder, 1)) return NECPNET_OK;
    unsigned count = (unsigned)nn_get_bits(&frame->decoder, 3) + 1;
    for (unsigned i = 0; i < count; i++) {
        nn_lead* lead = &leads->leads[i];
        lead->place = (uint16_t)nn_get_bits(&frame->decoder, 16);
        lead->present = false;
        if (lead->place >= view->slot_capacity || nn_leads_find(leads, lead->place) ||
            !view_moves(view, frame, &view->slots[lead->place])) {
            return view_refuse(view, "a lead that does not move");
        }
        leads->count = i + 1;
    }
    for (unsigned i = 0; i < count; i++) {
        nn_lead* lead = &leads->leads[i];
        necpnet_result result = view_read_update(view, frame, &view->slots[lead->place], true, lead);
        if (result) return result;
    }
    return NECPNET_OK;
}

/* What is moving, leads first, then the others in the order of slots. */
static necpnet_result view_read_moving(necpnet_view* view, view_frame* frame)
{
    view->coding->leads.count = 0;
    if (!nn_get_bits(&frame->decoder, 1)) return NECPNET_OK;
    necpnet_result led = view_read_leads(view, frame);
    if (led) return led;
    for (uint32_t i = 0; i < view->recent_count; i++) {
        uint16_t place = view->recent[i];
        if (place < frame->walk_from || (frame->walk_to && place >= frame->walk_to)) continue;
        if (!view_moves(view, frame, &view->slots[place]) || nn_leads_find(&view->coding->leads, place)) continue;
        necpnet_result result = view_read_update(view, frame, &view->slots[place], true, NULL);
        if (result) return result;
    }
    return NECPNET_OK;
}

static necpnet_result view_read_others(necpnet_view* view, view_frame* frame)
{
    nn_decoder* decoder = &frame->decoder;
    uint16_t place = 0;
    if (!nn_get_bits(decoder, 1)) return NECPNET_OK;
    unsigned gap_order = (unsigned)nn_get_bits(decoder, 4);
    while (nn_get_bits(decoder, 1)) {
        uint64_t gap = nn_get_golomb(decoder, gap_order);
        if (gap > UINT16_MAX) return view_refuse(view, "a slot out of range");
        place = (uint16_t)(place + gap + 1);
        if (decoder->bits.failed || place == 0) return view_refuse(view, "a slot out of range");
        necpnet_result result;
        if (!nn_get_bits(decoder, 1)) {
            if (place >= view->slot_capacity) return view_refuse(view, "an update of an unknown entity");
            result = view_read_update(view, frame, &view->slots[place], false, NULL);
        } else if (!nn_get_bits(decoder, 1)) {
            result = view_read_full(view, frame, place);
        } else {
            result = view_read_leave(view, frame, place);
        }
        if (result) return result;
    }
    return NECPNET_OK;
}

static necpnet_result view_read_records(necpnet_view* view, view_frame* frame)
{
    necpnet_result result = view_read_moving(view, frame);
    if (result == NECPNET_OK) result = view_read_others(view, frame);
    if (result) return result;
    if (frame->decoder.bits.failed) return view_refuse(view, "the list of records has no end");
    if (nn_decoder_left(&frame->decoder)) return view_refuse(view, "bytes behind the last record");
    return NECPNET_OK;
}

/* The frame's number, and which frames before it are known to have come. */
static bool view_read_known(necpnet_view* view, view_frame* frame)
{
    nn_decoder* decoder = &frame->decoder;
    uint32_t number = (uint32_t)nn_get_bits(decoder, 12);
    if (view->numbered) {
        uint32_t ahead = (number - view->newest_number) & 0xfff;
        number = view->newest_number + ahead - (ahead >= 2048 ? 4096 : 0);
        frame->late = view->newest_number - number < 4096 && view->newest_number - number >= NN_FRAME_LATE_MAX;
    }
    frame->known.number = number;
    if (!nn_get_bits(decoder, 1)) return !decoder->bits.failed;
    uint64_t newest = nn_get_golomb(decoder, 2);
    uint32_t reach = (uint32_t)nn_get_bits(decoder, 6);
    uint64_t missing = nn_get_golomb(decoder, 0);
    if (decoder->bits.failed || newest >= reach || missing >= reach - newest) return false;
    frame->known.reach = reach;
    frame->known.frames = ((UINT64_C(1) << reach) - 1) & ~((UINT64_C(1) << newest) - 1);
    for (uint64_t at = newest; missing > 0; missing--) {
        at += nn_get_golomb(decoder, 3) + 1;
        if (decoder->bits.failed || at + 1 >= reach) return false;
        frame->known.frames &= ~(UINT64_C(1) << at);
    }
    return !decoder->bits.failed;
}

static necpnet_result view_read_head(necpnet_view* view, nn_reader* reader, view_frame* frame)
{
    uint64_t bytes = nn_read_varint(reader);
    if (reader->failed || bytes > nn_reader_left(reader)) return view_refuse(view, "the length exceeds the packet");
    const uint8_t* body = nn_read_view(reader, (size_t)bytes);
    nn_reader head = nn_reader_of(body, (size_t)bytes);
    uint8_t flags = nn_read_u8(&head);
    uint8_t more = flags & VIEW_FRAME_MORE ? nn_read_u8(&head) : 0;
    if (more & ~(VIEW_MORE_TABLES | VIEW_MORE_TYPES)) return view_refuse(view, "an unknown flag");
    if (more & VIEW_MORE_TYPES) frame->thin_types = nn_read_view(&head, ((size_t)view->schema->type_count + 7) / 8);
    uint64_t tick = nn_read_varint(&head);
    uint64_t input = flags & VIEW_FRAME_INPUT ? nn_read_varint(&head) : 0;
    uint64_t quiet_age = flags & VIEW_FRAME_QUIET ? nn_read_varint(&head) : 0;
    if (flags & VIEW_FRAME_FROM) frame->walk_from = nn_read_u16(&head);
    if (flags & VIEW_FRAME_TO) frame->walk_to = nn_read_u16(&head);
    frame->has_checks = (flags & VIEW_FRAME_CHECKS) != 0;
    frame->checks = head;
    if (frame->has_checks && !nn_view_skip_checks(&head)) return view_refuse(view, "the checks do not decode");
    if (head.failed || tick > UINT32_MAX || input > UINT32_MAX || quiet_age > tick)
        return view_refuse(view, "the head does not decode");
    const nn_tables* tables = more & VIEW_MORE_TABLES ? view->config.schema->own_tables : view->schema->tables;
    if (!tables) return view_refuse(view, "it is coded by tables that the view's schema does not have");
    frame->tick = (uint32_t)tick;
    frame->input = (uint32_t)input;
    frame->quiet_age = (uint32_t)quiet_age;
    frame->complete = (flags & VIEW_FRAME_COMPLETE) != 0;
    frame->has_input = (flags & VIEW_FRAME_INPUT) != 0;
    nn_thin* thin = flags & VIEW_FRAME_THIN ? &view->coding->thin : NULL;
    frame->decoder = nn_decoder_of(tables, thin, head.at, nn_reader_left(&head));
    if (!view_read_known(view, frame)) return view_refuse(view, "the head does not decode");
    view->statistics.states++;
    view->statistics.bytes += 1 + nn_varint_bytes(bytes) + bytes;
    return NECPNET_OK;
}

static void view_note_complete(necpnet_view* view, uint32_t tick)
{
    if (view->complete_count == 0 || tick > view->complete_tick) view->complete_tick = tick;
    view->complete[view->complete_count++ % NN_VIEW_STATES] = tick;
}

static necpnet_result view_read(necpnet_view* view, nn_reader* reader, uint64_t now_us)
{
    view_frame frame;
    memset(&frame, 0, sizeof frame);
    necpnet_result result = view_read_head(view, reader, &frame);
    if (result) return result;
    if (view->any && view->newest_tick >= NN_STATE_WINDOW_TICKS &&
        frame.tick <= view->newest_tick - NN_STATE_WINDOW_TICKS) {
        frame.late = true;
    }
    if (frame.late) {
        view->statistics.late++;
        return NECPNET_OK;
    }
    bool newest = !view->any || frame.tick > view->newest_tick;
    bool ahead = !view->numbered || (int32_t)(frame.known.number - view->newest_number) > 0;
    view_forget_recent(view);
    if (newest) nn_playback_arrived(&view->playback, frame.tick, now_us);
    if (frame.quiet_age) view_note_complete(view, frame.tick - frame.quiet_age);
    result = view_read_records(view, &frame);
    if (result) return result;
    if (ahead) view->newest_number = frame.known.number;
    view->numbered = true;
    if (frame.has_checks) nn_view_take_checks(view, &frame.checks, frame.tick);
    if (newest) {
        view->any = true;
        view->newest_tick = frame.tick;
    }
    if (frame.complete) {
        view_note_complete(view, frame.tick);
        nn_view_note_renewed(view);
    }
    if (frame.tick >= view->newest_tick) {
        view->replay = true;
        if (frame.has_input && (!view->has_acked || frame.input > view->input_acked)) {
            view->has_acked = true;
            view->input_acked = frame.input;
        }
    }
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_view_read(necpnet_view* view, nn_reader* reader, uint64_t now_us)
{
    const uint8_t* begin = reader->at;
    necpnet_result result = view_read(view, reader, now_us);
    if (result == NECPNET_OK) {
        nn_recording_add(&view->recording, NN_RECORD_STATE, begin, (size_t)(reader->at - begin), now_us);
    }
    return result;
}
