/* nn_view_show - what a view shows: between two states, a little beyond the last, or ahead of it by own inputs. */
#include "nn_view.h"

#include "nn_blend.h"
#include "nn_quantise.h"

#define SHOW_MOVING_GAPS 16      /* two states further apart tell no speed */
#define SHOW_NEAR_STEPS 2        /* a prediction this near was right: rounding on the way */
#define SHOW_FADE_SHARE 20       /* a correction makes what moves faster or slower by one part of so many, */
#define SHOW_FADE_US_MAX 1500000 /* but takes no longer than this */
#define SHOW_WAY_US 16667        /* what moves is judged by its way in so much time: */
#define SHOW_JUMP_WAYS 40        /* further off than so many, it did not come there by moving */

static const nn_type_plan* show_plan(const necpnet_view* view, const nn_view_slot* slot)
{
    return &view->schema->plans[slot->type];
}

/* ---- between states */

static uint32_t show_begin(const nn_view_entity* entity, unsigned from, unsigned to)
{
    uint32_t began = entity->ticks[entity->order[from]];
    uint32_t still = entity->still[entity->order[to]];
    return still > began ? still : began;
}

/* Beyond the newest state of an entity. Returns whether it was carried on. */
static bool show_beyond(const necpnet_view* view, const nn_view_slot* slot, double tick, void* state)
{
    const nn_view_entity* entity = slot->entity;
    const nn_type_plan* plan = show_plan(view, slot);
    unsigned last = entity->count - 1u;
    uint32_t newest = entity->ticks[entity->order[last]];
    const uint32_t* row = nn_view_row(view, slot, last);
    /* A later frame that left nothing out says that it no longer moves. */
    if (last == 0 || (view->complete_count > 0 && newest < view->complete_tick)) {
        nn_dequantise(plan, row, state);
        return false;
    }
    double span = (double)(newest - show_begin(entity, last - 1, last));
    double most = (double)view->config.extrapolation_max_ms * (double)view->playback.tick_hz / 1000.0;
    double ahead = tick - (double)newest;
    if (ahead > most) ahead = most;
    if (span > (double)nn_playback_gap(&view->playback) * SHOW_MOVING_GAPS || span < 1.0) {
        nn_dequantise(plan, row, state);
        return false;
    }
    nn_dequantise_between(plan, nn_view_row(view, slot, last - 1), row, 1.0 + ahead / span, state);
    return true;
}

/* The struct at a moment, without smoothing. Returns whether it lies beyond the newest state. */
static bool show_at(const necpnet_view* view, const nn_view_slot* slot, double tick, void* state)
{
    const nn_view_entity* entity = slot->entity;
    const nn_type_plan* plan = show_plan(view, slot);
    unsigned after = entity->count;
    while (after > 0 && (double)entity->ticks[entity->order[after - 1]] > tick) after--;
    if (after == 0) {
        nn_dequantise(plan, nn_view_row(view, slot, 0), state);
        return false;
    }
    if (after == entity->count) return show_beyond(view, slot, tick, state);
    double began = (double)show_begin(entity, after - 1, after);
    double until = (double)entity->ticks[entity->order[after]];
    double share = tick <= began ? 0.0 : (tick - began) / (until - began);
    nn_dequantise_between(plan, nn_view_row(view, slot, after - 1), nn_view_row(view, slot, after), share, state);
    return false;
}

/* ---- smoothing */

static double show_shift_scale(const necpnet_view* view, const nn_view_entity* entity)
{
    if (!entity->shift_us || view->playback.now_us >= entity->shift_us + entity->fade_us) return 0.0;
    if (view->playback.now_us <= entity->shift_us) return 1.0;
    return 1.0 - (double)(view->playback.now_us - entity->shift_us) / (double)entity->fade_us;
}

static void show_smooth(const necpnet_view* view, const nn_view_slot* slot, void* state)
{
    double scale = show_shift_scale(view, slot->entity);
    if (scale > 0.0) nn_blend_shift(show_plan(view, slot), state, slot->entity->shift, scale);
}

/* The picture jumps from shown to state, both values of nn_blend_read: begin to fade. Returns the largest difference. */
static double show_begin_shift(necpnet_view* view, const nn_view_slot* slot, const double* shown, const double* now)
{
    nn_view_entity* entity = slot->entity;
    const nn_type_plan* plan = show_plan(view, slot);
    if (!plan->blend_count) return 0.0;
    if (!entity->shift) entity->shift = (double*)nn_alloc_take(&view->alloc, plan->blend_count * sizeof(double));
    if (!entity->shift) return 0.0; /* without memory the picture jumps */
    double largest = nn_blend_difference(plan, shown, now, entity->shift);
    entity->shift_us = largest > 0.0 ? view->playback.now_us : 0;
    entity->fade_us = NN_VIEW_SMOOTH_US;
    return largest;
}

NN_PRIVATE bool nn_view_show_before(necpnet_view* view, const nn_view_slot* slot, double* values)
{
    if (!view->playback.begun || slot->entity->count == 0 || slot->entity->predicted) return false;
    show_at(view, slot, view->playback.tick, view->structs);
    show_smooth(view, slot, view->structs);
    nn_blend_read(show_plan(view, slot), view->structs, values);
    return true;
}

/* What is on its way is put right over so long a time that nobody sees it: by small changes of its speed. */
static void show_stretch_fade(necpnet_view* view, const nn_view_slot* slot, const double* now)
{
    double before[NN_BLEND_VALUES_MAX];
    nn_view_entity* entity = slot->entity;
    const nn_type_plan* plan = show_plan(view, slot);
    double ticks = (double)SHOW_WAY_US * (double)view->playback.tick_hz / 1e6;
    show_at(view, slot, view->playback.tick - ticks, view->structs);
    memset(before, 0, sizeof before); /* gcc cannot know that reading sets all that is looked at */
    nn_blend_read(plan, view->structs, before);
    (void)nn_blend_difference(plan, now, before, before);
    double times = nn_blend_times(plan, entity->shift, before);
    if (times > SHOW_JUMP_WAYS) return; /* it was put elsewhere */
    double fade_us = times * SHOW_WAY_US * SHOW_FADE_SHARE;
    if (fade_us > SHOW_FADE_US_MAX) fade_us = SHOW_FADE_US_MAX;
    if (fade_us > (double)entity->fade_us) entity->fade_us = (uint32_t)fade_us;
}

NN_PRIVATE void nn_view_show_after(necpnet_view* view, const nn_view_slot* slot, const double* values, bool moved)
{
    double now[NN_BLEND_VALUES_MAX];
    show_at(view, slot, view->playback.tick, view->structs);
    nn_blend_read(show_plan(view, slot), view->structs, now);
    if (show_begin_shift(view, slot, values, now) > 0.0 && moved) show_stretch_fade(view, slot, now);
}

NN_PRIVATE void nn_view_show_shift(necpnet_view* view, const nn_view_slot* slot, const double* shown, const double* now)
{
    show_begin_shift(view, slot, shown, now);
}

/* ---- prediction */

NN_PRIVATE necpnet_result nn_view_set_predicted(necpnet_view* view, const nn_view_slot* slot)
{
    nn_view_entity* entity = slot->entity;
    const nn_type_plan* plan = show_plan(view, slot);
    int own = plan->own;
    bool wanted = entity->owner && own >= 0 && view->predictors[own].step;
    if (wanted == (entity->predicted != NULL)) return NECPNET_OK;
    if (!wanted) {
        nn_alloc_give(&view->alloc, entity->predicted, plan->type->struct_bytes);
        entity->predicted = NULL;
        view->own_count--;
        return NECPNET_OK;
    }
    entity->predicted = nn_alloc_take(&view->alloc, plan->type->struct_bytes);
    if (!entity->predicted) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_dequantise(plan, nn_view_row(view, slot, entity->count - 1u), entity->predicted);
    entity->fresh = true;
    view->own_count++;
    view->replay = true;
    return NECPNET_OK;
}

static void show_forget_inputs(necpnet_view* view)
{
    while (view->has_acked && view->input_count > 0 && view->inputs[view->input_first].tick <= view->input_acked) {
        view->input_first = (view->input_first + 1) % NN_VIEW_INPUTS;
        view->input_count--;
    }
}

/* The fields that a prediction answers for: what moves, and what the replayed inputs changed of the server's word. What they
 * left alone (a score) is news, and no mistake. */
static uint64_t show_predicted_fields(const nn_type_plan* plan, const uint8_t* said, const uint8_t* replayed)
{
    uint64_t fields = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (field->hidden) continue;
        bool moves = (field->field->flags & NECPNET_FIELD_INTERPOLATE) != 0;
        size_t offset = field->field->offset;
        if (moves || memcmp(said + offset, replayed + offset, nn_field_bytes(field->field))) fields |= UINT64_C(1) << i;
    }
    return fields;
}

/* Rewind to the server's state, apply what it has not seen yet, and compare with what was predicted before. */
static void show_replay_entity(necpnet_view* view, nn_view_slot* slot)
{
    nn_view_note_change(view, slot);
    nn_view_entity* entity = slot->entity;
    const nn_type_plan* plan = show_plan(view, slot);
    nn_view_predictor predictor = view->predictors[plan->own];
    uint8_t* before = view->structs;
    uint8_t* said = view->structs + view->struct_bytes;
    double shown[NN_BLEND_VALUES_MAX];
    double now[NN_BLEND_VALUES_MAX];
    memcpy(before, entity->predicted, plan->type->struct_bytes);
    nn_dequantise(plan, nn_view_row(view, slot, entity->count - 1u), entity->predicted);
    memcpy(said, entity->predicted, plan->type->struct_bytes);
    for (uint32_t i = 0; i < view->input_count; i++) {
        const nn_view_input* input = &view->inputs[(view->input_first + i) % NN_VIEW_INPUTS];
        predictor.step(entity->predicted, input->data, input->bytes, predictor.user);
    }
    if (entity->fresh) {
        entity->fresh = false;
        return;
    }
    nn_quantise(plan, before, view->row);
    nn_quantise(plan, entity->predicted, view->other_row);
    uint64_t fields = show_predicted_fields(plan, said, (const uint8_t*)entity->predicted);
    bool right = nn_row_near(plan, view->row, view->other_row, fields, SHOW_NEAR_STEPS);
    nn_blend_read(plan, entity->predicted, now);
    if (!right) {
        double difference[NN_BLEND_VALUES_MAX];
        nn_blend_read(plan, before, shown);
        view->statistics.corrections++;
        view->correction_sum += nn_blend_difference(plan, shown, now, difference);
    }
    show_smooth(view, slot, before);
    nn_blend_read(plan, before, shown);
    show_begin_shift(view, slot, shown, now);
}

static void show_replay(necpnet_view* view)
{
    if (!view->replay) return;
    view->replay = false;
    show_forget_inputs(view);
    if (!view->own_count) return;
    for (uint32_t i = 1; i < view->slot_capacity; i++) {
        nn_view_slot* slot = &view->slots[i];
        if (slot->entity && slot->entity->predicted) show_replay_entity(view, slot);
    }
}

necpnet_result necpnet_view_set_prediction(necpnet_view* view, uint16_t type_id, necpnet_view_step step, void* user)
{
    if (!view) return NECPNET_ERR_INVALID_ARGUMENT;
    int type = nn_schema_index(view->config.schema, type_id);
    if (type < 0) return NECPNET_ERR_NOT_FOUND;
    if (step && !view->inputs) {
        view->inputs = (nn_view_input*)nn_alloc_take(&view->alloc, NN_VIEW_INPUTS * sizeof(nn_view_input));
        if (!view->inputs) return NECPNET_ERR_OUT_OF_MEMORY;
    }
    view->predictors[type].step = step;
    view->predictors[type].user = user;
    for (uint32_t i = 1; i < view->slot_capacity; i++) {
        if (!view->slots[i].entity || show_plan(view, &view->slots[i])->own != type) continue;
        nn_view_note_change(view, &view->slots[i]);
        necpnet_result result = nn_view_set_predicted(view, &view->slots[i]);
        if (result) return result;
    }
    return NECPNET_OK;
}

necpnet_result necpnet_view_predict(necpnet_view* view, uint32_t tick, const void* input, size_t bytes)
{
    if (!view || !input || bytes < 1 || bytes > NN_VIEW_INPUT_BYTES) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!view->inputs) return NECPNET_OK; /* nothing is predicted */
    if (view->input_last && tick <= view->input_last) return NECPNET_ERR_INVALID_ARGUMENT;
    show_replay(view);
    if (view->input_count >= NN_VIEW_INPUTS) return NECPNET_ERR_WOULD_BLOCK;
    nn_view_input* place = &view->inputs[(view->input_first + view->input_count++) % NN_VIEW_INPUTS];
    place->tick = tick;
    place->bytes = (uint8_t)bytes;
    memcpy(place->data, input, bytes);
    view->input_last = tick;
    for (uint32_t i = 1; view->own_count && i < view->slot_capacity; i++) {
        nn_view_slot* slot = &view->slots[i];
        if (!slot->entity || !slot->entity->predicted) continue;
        nn_view_note_change(view, slot);
        nn_view_predictor predictor = view->predictors[show_plan(view, slot)->own];
        predictor.step(slot->entity->predicted, place->data, bytes, predictor.user);
    }
    return NECPNET_OK;
}

/* ---- the application's side */

necpnet_result necpnet_view_update(necpnet_view* view, uint64_t now_us)
{
    if (!view) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_playback_update(&view->playback, now_us);
    show_replay(view);
    nn_view_tell_watchers(view);
    return NECPNET_OK;
}

static necpnet_result show_check(const necpnet_view* view, necpnet_entity entity, const void* state,
                                 size_t struct_bytes, const nn_view_slot** out_slot)
{
    if (!view || !state) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_view_slot* slot = nn_view_find(view, entity);
    if (!slot) return NECPNET_ERR_NOT_FOUND;
    if (struct_bytes < show_plan(view, slot)->type->struct_bytes) return NECPNET_ERR_BUFFER_TOO_SMALL;
    *out_slot = slot;
    return NECPNET_OK;
}

necpnet_result necpnet_view_get(necpnet_view* view, necpnet_entity entity, void* state, size_t struct_bytes)
{
    const nn_view_slot* slot = NULL;
    necpnet_result result = show_check(view, entity, state, struct_bytes, &slot);
    if (result) return result;
    if (nn_view_show_held(view, slot, entity, state)) {
        /* as it was written here */
    } else if (slot->entity->predicted) {
        memcpy(state, slot->entity->predicted, show_plan(view, slot)->type->struct_bytes);
    } else if (!view->playback.begun) {
        nn_dequantise(show_plan(view, slot), nn_view_row(view, slot, slot->entity->count - 1u), state);
    } else {
        if (show_at(view, slot, view->playback.tick, state)) view->statistics.extrapolated++;
    }
    show_smooth(view, slot, state);
    return NECPNET_OK;
}

necpnet_result necpnet_view_get_latest(const necpnet_view* view, necpnet_entity entity, void* state,
                                       size_t struct_bytes, uint32_t* out_tick)
{
    const nn_view_slot* slot = NULL;
    necpnet_result result = show_check(view, entity, state, struct_bytes, &slot);
    if (result) return result;
    unsigned last = slot->entity->count - 1u;
    nn_dequantise(show_plan(view, slot), nn_view_row(view, slot, last), state);
    if (out_tick) *out_tick = slot->entity->ticks[slot->entity->order[last]];
    return NECPNET_OK;
}

necpnet_result necpnet_view_get_tick(const necpnet_view* view, uint32_t* out_tick, uint32_t* out_share_ppm)
{
    if (!view || !out_tick) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!view->playback.begun || view->playback.tick < 0) return NECPNET_ERR_NOT_CONNECTED;
    uint32_t whole = (uint32_t)view->playback.tick;
    *out_tick = whole;
    if (out_share_ppm) *out_share_ppm = (uint32_t)((view->playback.tick - (double)whole) * 1e6);
    return NECPNET_OK;
}
