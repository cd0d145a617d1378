/* nn_view - the slots of a view, and what it follows. What frames say is in nn_view_frame.c, how it is shown in nn_view_show.c. */
#include "nn_view.h"

#include "nn_log.h"
#include "nn_schema_map.h"

#define VIEW_SLOTS_FIRST 64

necpnet_result necpnet_view_config_default(necpnet_view_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    config->entities_max = 4096;
    config->delay_min_ms = 50;
    config->delay_max_ms = 500;
    config->extrapolation_max_ms = 100;
    config->write_hz = 30;
    config->write_bytes_per_s = 16000;
    return NECPNET_OK;
}

static bool view_check_config(const necpnet_view_config* config)
{
    const char* wrong = NULL;
    if (!config->schema)
        wrong = "schema must be set";
    else if (config->entities_max < 1 || config->entities_max > NN_WORLD_SLOTS_MAX)
        wrong = "entities_max: 1 .. 65,535";
    else if (config->delay_max_ms > 10000)
        wrong = "delay_max_ms: at most 10,000";
    else if (config->delay_min_ms > config->delay_max_ms)
        wrong = "delay_min_ms: at most delay_max_ms";
    else if (config->extrapolation_max_ms > 10000)
        wrong = "extrapolation_max_ms: at most 10,000";
    else if (config->write_hz < 1 || config->write_hz > 120)
        wrong = "write_hz: 1 .. 120";
    else if (config->write_bytes_per_s < 1000)
        wrong = "write_bytes_per_s: 1,000 or more";
    if (wrong) nn_log_write(&config->logger, NECPNET_LOG_ERROR, "view config: %s", wrong);
    return !wrong;
}

static uint32_t view_row_words_max(const necpnet_schema* schema)
{
    uint32_t most = 0;
    for (int i = 0; i < schema->type_count; i++) {
        if (schema->plans[i].row_words > most) most = schema->plans[i].row_words;
    }
    return most;
}

static uint32_t view_struct_bytes_max(const necpnet_schema* schema)
{
    uint32_t most = 0;
    for (int i = 0; i < schema->type_count; i++) {
        if (schema->types[i].struct_bytes > most) most = schema->types[i].struct_bytes;
    }
    return (most + 15) / 16 * 16;
}

necpnet_result necpnet_view_create(const necpnet_view_config* config, necpnet_view** out_view)
{
    if (!config || !out_view) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (!view_check_config(config)) return NECPNET_ERR_BAD_CONFIG;
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    necpnet_view* view = (necpnet_view*)nn_alloc_take(&alloc, sizeof *view);
    if (!view) return NECPNET_ERR_OUT_OF_MEMORY;
    view->alloc = alloc;
    view->logger = config->logger;
    view->config = *config;
    view->schema = config->schema;
    view->error = "";
    view->struct_bytes = view_struct_bytes_max(view->schema);
    nn_view_begin_variables(view);
    nn_user_ids_init(&view->user_ids, &view->alloc);
    nn_playback_init(&view->playback, config->delay_min_ms, config->delay_max_ms);
    size_t row_bytes = view_row_words_max(view->schema) * sizeof(uint32_t);
    nn_alloc* from = &view->alloc;
    view->row = (uint32_t*)nn_alloc_take(from, row_bytes);
    view->other_row = (uint32_t*)nn_alloc_take(from, row_bytes);
    view->structs = (uint8_t*)nn_alloc_take(from, 2u * view->struct_bytes);
    view->coding = (nn_view_coding*)nn_alloc_take(from, sizeof(nn_view_coding));
    view->predictors =
        (nn_view_predictor*)nn_alloc_take(from, (size_t)view->config.schema->type_count * sizeof(nn_view_predictor));
    if (!view->row || !view->other_row || !view->structs || !view->coding || !view->predictors) {
        necpnet_view_destroy(view);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    *out_view = view;
    return NECPNET_OK;
}

/* ---- entities */

NN_PRIVATE uint32_t* nn_view_row(const necpnet_view* view, const nn_view_slot* slot, unsigned index)
{
    return slot->entity->rows + (size_t)slot->entity->order[index] * nn_view_plan(view, slot)->row_words;
}

NN_PRIVATE void nn_view_release_entity(necpnet_view* view, nn_view_slot* slot)
{
    const nn_type_plan* plan = nn_view_plan(view, slot);
    nn_view_entity* entity = slot->entity;
    if (!entity) return;
    if (entity->predicted) view->own_count--;
    nn_alloc_give(&view->alloc, entity->rows, (size_t)entity->capacity * plan->row_words * sizeof(uint32_t));
    nn_alloc_give(&view->alloc, entity->predicted, plan->type->struct_bytes);
    nn_alloc_give(&view->alloc, entity->told, plan->type->struct_bytes);
    nn_alloc_give(&view->alloc, entity->shift, plan->blend_count * sizeof(double));
    nn_alloc_give(&view->alloc, entity, sizeof *entity);
    slot->entity = NULL;
    view->entity_count--;
}

void necpnet_view_destroy(necpnet_view* view)
{
    if (!view) return;
    if (view->recording.on) (void)nn_recording_end(&view->recording);
    nn_view_reset_held(view);
    for (uint32_t i = 0; i < view->slot_capacity; i++) {
        nn_view_release_entity(view, &view->slots[i]);
        nn_track_reset(&view->slots[i].track, &view->alloc);
    }
    nn_view_end_variables(view);
    nn_view_end_changes(view);
    nn_user_ids_reset(&view->user_ids);
    size_t row_bytes = view_row_words_max(view->schema) * sizeof(uint32_t);
    nn_alloc* to = &view->alloc;
    nn_alloc_give(to, view->slots, view->slot_capacity * sizeof(nn_view_slot));
    nn_alloc_give(to, view->queue, view->slot_capacity * sizeof(uint16_t));
    nn_alloc_give(to, view->recent, view->slot_capacity * sizeof(uint16_t));
    nn_alloc_give(to, view->row, row_bytes);
    nn_alloc_give(to, view->other_row, row_bytes);
    nn_alloc_give(to, view->structs, 2u * view->struct_bytes);
    nn_alloc_give(to, view->coding, sizeof(nn_view_coding));
    nn_alloc_give(to, view->predictors, (size_t)view->config.schema->type_count * sizeof(nn_view_predictor));
    necpnet_schema_destroy(view->map);
    nn_alloc_give(to, view->inputs, NN_VIEW_INPUTS * sizeof(nn_view_input));
    nn_alloc alloc = view->alloc;
    nn_alloc_give(&alloc, view, sizeof *view);
}

NN_PRIVATE bool nn_view_reserve_slot(necpnet_view* view, uint16_t place)
{
    if (place < view->slot_capacity) return true;
    uint32_t capacity = view->slot_capacity ? view->slot_capacity : VIEW_SLOTS_FIRST;
    while (capacity <= place) capacity *= 2;
    uint16_t* queue = (uint16_t*)nn_alloc_take(&view->alloc, capacity * sizeof(uint16_t));
    uint16_t* recent = (uint16_t*)nn_alloc_take(&view->alloc, capacity * sizeof(uint16_t));
    nn_view_slot* slots = queue && recent ? (nn_view_slot*)nn_alloc_grow(&view->alloc, view->slots,
                                                                         view->slot_capacity * sizeof(nn_view_slot),
                                                                         capacity * sizeof(nn_view_slot))
                                          : NULL;
    if (!slots) {
        nn_alloc_give(&view->alloc, queue, capacity * sizeof(uint16_t));
        nn_alloc_give(&view->alloc, recent, capacity * sizeof(uint16_t));
        return false;
    }
    nn_copy(recent, view->recent, view->recent_count * sizeof(uint16_t));
    nn_alloc_give(&view->alloc, view->recent, view->slot_capacity * sizeof(uint16_t));
    view->recent = recent;
    for (uint32_t i = 0; i < view->queue_count; i++) {
        queue[i] = view->queue[(view->queue_first + i) & (view->slot_capacity - 1)];
    }
    nn_alloc_give(&view->alloc, view->queue, view->slot_capacity * sizeof(uint16_t));
    view->queue = queue;
    view->queue_first = 0;
    view->slots = slots;
    view->slot_capacity = capacity;
    return true;
}

/* The application will be told how this slot differs from what it knows. */
NN_PRIVATE void nn_view_announce(necpnet_view* view, nn_view_slot* slot)
{
    if (slot->queued) return;
    slot->queued = true;
    uint16_t place = (uint16_t)(slot - view->slots);
    view->queue[(view->queue_first + view->queue_count++) & (view->slot_capacity - 1)] = place;
}

NN_PRIVATE void nn_view_leave(necpnet_view* view, nn_view_slot* slot)
{
    if (!slot->entity) return;
    nn_view_drop_held(view, nn_entity_of(slot->generation, (uint16_t)(slot - view->slots)));
    nn_view_release_entity(view, slot);
    nn_view_announce(view, slot);
}

NN_PRIVATE nn_view_slot* nn_view_find(const necpnet_view* view, necpnet_entity entity)
{
    uint32_t place = entity & 0xffff;
    if (place >= view->slot_capacity) return NULL;
    nn_view_slot* slot = &view->slots[place];
    return slot->entity && slot->generation == entity >> 16 ? slot : NULL;
}

/* Frames are numbered anew on another connection. */
static void view_forget_tracks(necpnet_view* view)
{
    for (uint32_t i = 0; i < view->slot_capacity; i++) {
        view->slots[i].recent = false;
        view->slots[i].entered_number = 0;
        view->slots[i].left_number = 0;
        nn_track_reset(&view->slots[i].track, &view->alloc);
    }
    view->recent_count = 0;
    view->numbered = false;
    view->newest_number = 0;
}

NN_PRIVATE void nn_view_reset(necpnet_view* view)
{
    nn_recording_add(&view->recording, NN_RECORD_RESET, NULL, 0, 0);
    nn_view_reset_held(view);
    for (uint32_t i = 0; i < view->slot_capacity; i++) {
        nn_view_slot* slot = &view->slots[i];
        nn_view_leave(view, slot);
        slot->ended = slot->announced != 0;
        slot->stale = false;
        slot->generation = 0;
        slot->typed = false;
        slot->left = false;
    }
    view_forget_tracks(view);
    nn_view_forget_variables(view);
    nn_playback_reset(&view->playback);
    view->complete_count = 0;
    view->renewing = 0;
    view->any = false;
    view->newest_tick = 0;
    view->input_count = 0;
    view->input_last = 0;
    view->has_acked = false;
    view->replay = false;
}

NN_PRIVATE void nn_view_renew(necpnet_view* view, bool ordered)
{
    uint8_t how = ordered;
    nn_recording_add(&view->recording, NN_RECORD_RENEW, &how, 1, 0);
    for (uint32_t i = 0; i < view->slot_capacity; i++) view->slots[i].stale = view->slots[i].entity != NULL;
    view->renewing = ordered ? 1 : NN_STATE_GREETING_FRAMES;
    view->complete_count = 0;
    view_forget_tracks(view);
    nn_view_renew_held(view);
}

NN_PRIVATE void nn_view_note_renewed(necpnet_view* view)
{
    if (view->renewing == 0 || --view->renewing > 0) return;
    for (uint32_t i = 0; i < view->slot_capacity; i++) {
        if (view->slots[i].stale) nn_view_leave(view, &view->slots[i]);
        view->slots[i].stale = false;
    }
}

/* The scratch memory that a schema needs. */
typedef struct view_scratch {
    uint32_t* row;
    uint32_t* other_row;
    uint8_t* structs;
} view_scratch;

static bool view_take_scratch(nn_alloc* alloc, const necpnet_schema* schema, view_scratch* out)
{
    size_t row_bytes = view_row_words_max(schema) * sizeof(uint32_t);
    out->row = (uint32_t*)nn_alloc_take(alloc, row_bytes);
    out->other_row = (uint32_t*)nn_alloc_take(alloc, row_bytes);
    out->structs = (uint8_t*)nn_alloc_take(alloc, 2u * view_struct_bytes_max(schema));
    return out->row && out->other_row && out->structs;
}

static void view_give_scratch(nn_alloc* alloc, const necpnet_schema* schema, const view_scratch* scratch)
{
    size_t row_bytes = view_row_words_max(schema) * sizeof(uint32_t);
    nn_alloc_give(alloc, scratch->row, row_bytes);
    nn_alloc_give(alloc, scratch->other_row, row_bytes);
    nn_alloc_give(alloc, scratch->structs, 2u * view_struct_bytes_max(schema));
}

/* Read by another schema from now on; map is taken. */
static necpnet_result view_change_schema(necpnet_view* view, const necpnet_schema* schema, necpnet_schema* map)
{
    view_scratch before = {view->row, view->other_row, view->structs};
    view_scratch after;
    if (!view_take_scratch(&view->alloc, schema, &after)) {
        view_give_scratch(&view->alloc, schema, &after);
        necpnet_schema_destroy(map);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    nn_view_reset(view); /* what is known is by the schema that goes */
    view_give_scratch(&view->alloc, view->schema, &before);
    view->row = after.row;
    view->other_row = after.other_row;
    view->structs = after.structs;
    view->struct_bytes = view_struct_bytes_max(schema);
    view->schema = schema;
    necpnet_schema_destroy(view->map);
    view->map = map;
    nn_recording_add_schema(&view->recording, schema, 0);
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_view_follow_schema(necpnet_view* view, const necpnet_schema* writer, char* text)
{
    char difference[NN_SCHEMA_DIFFERENCE_BYTES_MAX];
    const necpnet_schema* own = view->config.schema;
    uint64_t hash = writer ? writer->hash : own->hash;
    text[0] = 0;
    if (hash == view->schema->hash) return NECPNET_OK;
    if (hash == own->hash) return view_change_schema(view, own, NULL);
    if (nn_schema_differs(own, writer, difference)) {
        memcpy(text, difference, NECPNET_REASON_BYTES_MAX);
        text[NECPNET_REASON_BYTES_MAX] = 0;
        return NECPNET_ERR_SCHEMA_DIFFERS;
    }
    necpnet_schema* map = NULL;
    necpnet_result result = nn_schema_map(&view->alloc.allocator, own, writer, &map);
    return result ? result : view_change_schema(view, map, map);
}

NN_PRIVATE const char* nn_view_get_error(const necpnet_view* view)
{
    return view->error;
}

NN_PRIVATE const necpnet_view_config* nn_view_get_config(const necpnet_view* view)
{
    return &view->config;
}

NN_PRIVATE const necpnet_schema* nn_view_get_schema(const necpnet_view* view)
{
    return view->config.schema;
}

NN_PRIVATE void nn_view_set_clock(necpnet_view* view, int64_t server_minus_local_us, uint32_t tick_hz)
{
    view->server_minus_local_us = server_minus_local_us;
    if (tick_hz) view->playback.tick_hz = tick_hz;
    nn_view_record_clock(view);
}
