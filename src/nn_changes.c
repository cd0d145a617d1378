/* nn_changes - what a view shows that it did not show before, as lists: who entered, who left, which fields of whom changed.
 *
 * The struct of each entity is kept as it was told last. An entity is looked at while it can change: from a state or an own
 * input on until the picture is past its newest state and nothing fades any more. What rests costs nothing.
 */
#include "nn_view.h"

#define CHANGES_FIRST 64

/* ---- lists */

static void changes_give_list(nn_alloc* alloc, nn_change_list* list)
{
    nn_alloc_give(alloc, list->entities, list->capacity * sizeof(necpnet_entity));
    nn_alloc_give(alloc, list->types, list->capacity * sizeof(uint16_t));
    nn_alloc_give(alloc, list->marks, list->capacity * sizeof(uint64_t));
    memset(list, 0, sizeof *list);
}

/* What was in it is told already: it need not be kept. */
static bool changes_begin_list(nn_alloc* alloc, nn_change_list* list, uint32_t most)
{
    list->count = 0;
    if (most <= list->capacity) return true;
    nn_change_list larger;
    memset(&larger, 0, sizeof larger);
    larger.capacity = CHANGES_FIRST;
    while (larger.capacity < most) larger.capacity *= 2;
    larger.entities = (necpnet_entity*)nn_alloc_take(alloc, larger.capacity * sizeof(necpnet_entity));
    larger.types = (uint16_t*)nn_alloc_take(alloc, larger.capacity * sizeof(uint16_t));
    larger.marks = (uint64_t*)nn_alloc_take(alloc, larger.capacity * sizeof(uint64_t));
    if (!larger.entities || !larger.types || !larger.marks) {
        changes_give_list(alloc, &larger);
        return false;
    }
    changes_give_list(alloc, list);
    *list = larger;
    return true;
}

static void changes_add(nn_change_list* list, necpnet_entity entity, uint16_t type_id, uint64_t mark)
{
    NN_ASSERT(list->count < list->capacity);
    list->entities[list->count] = entity;
    list->types[list->count] = type_id;
    list->marks[list->count++] = mark;
}

/* ---- who may have changed */

NN_PRIVATE void nn_view_note_change(necpnet_view* view, nn_view_slot* slot)
{
    nn_changes* changes = view->changes;
    if (!changes || slot->active || changes->scans) return;
    if (changes->active_count == changes->active_capacity) {
        uint32_t capacity = changes->active_capacity ? changes->active_capacity * 2 : CHANGES_FIRST;
        uint16_t* grown = (uint16_t*)nn_alloc_grow(
            &view->alloc, changes->active, changes->active_capacity * sizeof(uint16_t), capacity * sizeof(uint16_t));
        if (!grown) {
            changes->scans = true;
            return;
        }
        changes->active = grown;
        changes->active_capacity = capacity;
    }
    slot->active = true;
    changes->active[changes->active_count++] = (uint16_t)(slot - view->slots);
}

/* All, because somebody may have been forgotten for want of memory. */
static void changes_scan(necpnet_view* view)
{
    nn_changes* changes = view->changes;
    if (!changes->scans) return;
    changes->scans = false;
    for (uint32_t i = 0; i < view->slot_capacity && !changes->scans; i++) {
        if (view->slots[i].entity) nn_view_note_change(view, &view->slots[i]);
    }
}

/* ---- what changed */

static bool changes_field_differs(const necpnet_field* field, const uint8_t* a, const uint8_t* b)
{
    return memcmp(a + field->offset, b + field->offset, nn_field_bytes(field)) != 0 ||
           (field->length_bytes &&
            memcmp(a + field->length_offset, b + field->length_offset, field->length_bytes) != 0);
}

/* The fields that are shown otherwise than they were told last; told then as shown now. */
static uint64_t changes_compare(necpnet_view* view, nn_view_slot* slot, necpnet_entity entity)
{
    const necpnet_entity_type* type = &view->config.schema->types[view->schema->plans[slot->type].own];
    uint64_t all = type->field_count == 64 ? UINT64_MAX : (UINT64_C(1) << type->field_count) - 1;
    uint8_t* now = view->changes->scratch;
    uint64_t fields = 0;
    if (necpnet_view_get(view, entity, now, view->changes->scratch_bytes) != NECPNET_OK) return 0;
    if (!slot->entity->told) {
        slot->entity->told = nn_alloc_take(&view->alloc, type->struct_bytes);
        if (!slot->entity->told) return all; /* without memory again and again */
        memcpy(slot->entity->told, now, type->struct_bytes);
        return all;
    }
    uint8_t* told = (uint8_t*)slot->entity->told;
    if (!memcmp(told, now, type->struct_bytes)) return 0;
    for (int i = 0; i < type->field_count; i++) {
        if (changes_field_differs(&type->fields[i], told, now)) fields |= UINT64_C(1) << i;
    }
    memcpy(told, now, type->struct_bytes);
    return fields;
}

/* Whether time alone may change it. */
static bool changes_are_to_come(const necpnet_view* view, const nn_view_entity* entity, necpnet_entity number)
{
    const nn_view_held* held = nn_view_find_held(view, number);
    if (held && held->showing) return true;
    const nn_playback* playback = &view->playback;
    double beyond = (double)view->config.extrapolation_max_ms * (double)playback->tick_hz / 1000.0 + 1.0;
    double newest = (double)entity->ticks[entity->order[entity->count - 1u]];
    if (entity->shift_us && playback->now_us < entity->shift_us + entity->fade_us) return true;
    return !entity->predicted && (!playback->begun || playback->tick < newest + beyond);
}

static void changes_look(necpnet_view* view)
{
    nn_changes* changes = view->changes;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < changes->active_count; i++) {
        uint16_t place = changes->active[i];
        nn_view_slot* slot = &view->slots[place];
        bool there = slot->entity && view->schema->plans[slot->type].own >= 0;
        if (there) {
            necpnet_entity entity = nn_entity_of(slot->generation, place);
            uint64_t fields = changes_compare(view, slot, entity);
            if (fields) changes_add(&changes->changed, entity, view->schema->types[slot->type].id, fields);
        }
        if (there &&
            (changes_are_to_come(view, slot->entity, nn_entity_of(slot->generation, place)) || !slot->entity->told)) {
            changes->active[kept++] = place;
        } else {
            slot->active = false;
        }
    }
    changes->active_count = kept;
}

/* ---- the application's side */

static necpnet_result changes_begin(necpnet_view* view)
{
    nn_changes* changes = (nn_changes*)nn_alloc_take(&view->alloc, sizeof *changes);
    if (!changes) return NECPNET_ERR_OUT_OF_MEMORY;
    for (int i = 0; i < view->config.schema->type_count; i++) {
        uint32_t bytes = view->config.schema->types[i].struct_bytes;
        if (bytes > changes->scratch_bytes) changes->scratch_bytes = bytes;
    }
    changes->scratch = (uint8_t*)nn_alloc_take(&view->alloc, changes->scratch_bytes);
    if (!changes->scratch) {
        nn_alloc_give(&view->alloc, changes, sizeof *changes);
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    changes->scans = true;
    view->changes = changes;
    return NECPNET_OK;
}

NN_PRIVATE void nn_view_end_changes(necpnet_view* view)
{
    nn_changes* changes = view->changes;
    if (!changes) return;
    changes_give_list(&view->alloc, &changes->entered);
    changes_give_list(&view->alloc, &changes->left);
    changes_give_list(&view->alloc, &changes->changed);
    nn_alloc_give(&view->alloc, changes->active, changes->active_capacity * sizeof(uint16_t));
    nn_alloc_give(&view->alloc, changes->scratch, changes->scratch_bytes);
    nn_alloc_give(&view->alloc, changes, sizeof *changes);
    view->changes = NULL;
}

static necpnet_changes changes_told(const nn_changes* changes)
{
    necpnet_changes out;
    out.entered = changes->entered.entities;
    out.entered_types = changes->entered.types;
    out.entered_count = changes->entered.count;
    out.left = changes->left.entities;
    out.left_types = changes->left.types;
    out.left_user_ids = changes->left.marks;
    out.left_count = changes->left.count;
    out.changed = changes->changed.entities;
    out.changed_types = changes->changed.types;
    out.changed_fields = changes->changed.marks;
    out.changed_count = changes->changed.count;
    return out;
}

necpnet_result necpnet_view_take_changes(necpnet_view* view, necpnet_changes* out_changes)
{
    if (!view || !out_changes) return NECPNET_ERR_INVALID_ARGUMENT;
    if (!view->changes && changes_begin(view) != NECPNET_OK) return NECPNET_ERR_OUT_OF_MEMORY;
    nn_changes* changes = view->changes;
    changes_scan(view);
    if (!changes_begin_list(&view->alloc, &changes->entered, view->queue_count) ||
        !changes_begin_list(&view->alloc, &changes->left, view->queue_count) ||
        !changes_begin_list(&view->alloc, &changes->changed, changes->active_count)) {
        return NECPNET_ERR_OUT_OF_MEMORY;
    }
    necpnet_view_event event;
    while (nn_view_poll_sight(view, &event)) {
        bool entered = event.type == NECPNET_VIEW_ENTERED;
        changes_add(entered ? &changes->entered : &changes->left, event.entity, event.type_id, event.user_id);
    }
    changes_look(view);
    *out_changes = changes_told(changes);
    return NECPNET_OK;
}
