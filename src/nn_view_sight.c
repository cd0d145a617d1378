/* nn_view_sight - what the application is told of who came and who left, and how it walks over those who are there. */
#include "nn_view.h"

/* ---- events and walking */

bool necpnet_view_poll(necpnet_view* view, necpnet_view_event* out_event)
{
    return view && out_event && (nn_view_poll_sight(view, out_event) || nn_view_poll_held(view, out_event));
}

NN_PRIVATE bool nn_view_poll_sight(necpnet_view* view, necpnet_view_event* out_event)
{
    memset(out_event, 0, sizeof *out_event);
    while (view->queue_count > 0) {
        uint16_t place = view->queue[view->queue_first];
        nn_view_slot* slot = &view->slots[place];
        uint16_t present = slot->entity ? slot->generation : 0;
        if (slot->announced && (slot->announced != present || slot->ended)) {
            out_event->type = NECPNET_VIEW_LEFT;
            out_event->entity = nn_entity_of(slot->announced, place);
            out_event->type_id = slot->announced_type;
            out_event->user_id = slot->user_id;
            (void)nn_user_ids_change(&view->user_ids, out_event->entity, &slot->user_id, 0);
            slot->announced = 0;
            slot->ended = false;
            return true; /* whoever came instead is told next */
        }
        view->queue_first = (view->queue_first + 1) & (view->slot_capacity - 1);
        view->queue_count--;
        slot->queued = false;
        if (present && slot->announced != present && nn_view_plan(view, slot)->own >= 0) {
            out_event->type = NECPNET_VIEW_ENTERED;
            out_event->entity = nn_entity_of(present, place);
            out_event->type_id = view->schema->types[slot->type].id;
            slot->announced = present;
            slot->announced_type = out_event->type_id;
            return true;
        }
    }
    return false;
}

/* The slot of an entity that the application knows of, whether it is still in view or not. */
static nn_view_slot* view_find_announced(const necpnet_view* view, necpnet_entity entity)
{
    uint32_t place = entity & 0xffff;
    if (!view || place >= view->slot_capacity) return NULL;
    nn_view_slot* slot = &view->slots[place];
    return slot->announced && slot->announced == entity >> 16 ? slot : NULL;
}

necpnet_result necpnet_view_set_user_id(necpnet_view* view, necpnet_entity entity, uint64_t user_id)
{
    if (!view) return NECPNET_ERR_INVALID_ARGUMENT;
    nn_view_slot* slot = view_find_announced(view, entity);
    return slot ? nn_user_ids_change(&view->user_ids, entity, &slot->user_id, user_id) : NECPNET_ERR_NOT_FOUND;
}

uint64_t necpnet_view_get_user_id(const necpnet_view* view, necpnet_entity entity)
{
    const nn_view_slot* slot = view_find_announced(view, entity);
    return slot ? slot->user_id : 0;
}

necpnet_entity necpnet_view_find_user_id(const necpnet_view* view, uint64_t user_id)
{
    return view ? nn_user_ids_find(&view->user_ids, user_id) : NECPNET_ENTITY_NONE;
}

necpnet_entity necpnet_view_next(const necpnet_view* view, necpnet_entity entity)
{
    if (!view) return NECPNET_ENTITY_NONE;
    for (uint32_t place = (entity & 0xffff) + 1; place < view->slot_capacity; place++) {
        const nn_view_slot* slot = &view->slots[place];
        if (slot->entity && nn_view_plan(view, slot)->own >= 0) return nn_entity_of(slot->generation, (uint16_t)place);
    }
    return NECPNET_ENTITY_NONE;
}

uint16_t necpnet_view_get_type(const necpnet_view* view, necpnet_entity entity)
{
    const nn_view_slot* slot = view ? nn_view_find(view, entity) : NULL;
    return slot ? view->schema->types[slot->type].id : 0;
}

bool necpnet_view_is_owner(const necpnet_view* view, necpnet_entity entity)
{
    const nn_view_slot* slot = view ? nn_view_find(view, entity) : NULL;
    return slot && slot->entity->owner;
}

necpnet_result necpnet_view_get_statistics(const necpnet_view* view, necpnet_view_statistics* out_statistics)
{
    if (!view || !out_statistics) return NECPNET_ERR_INVALID_ARGUMENT;
    const nn_playback* playback = &view->playback;
    *out_statistics = view->statistics;
    out_statistics->entities = view->entity_count;
    out_statistics->delay_us = nn_playback_delay_us(playback);
    out_statistics->tick = view->newest_tick;
    if (playback->begun && view->server_minus_local_us) {
        out_statistics->age_us = (int64_t)playback->now_us + view->server_minus_local_us -
                                 (int64_t)(playback->tick * 1e6 / (double)playback->tick_hz);
    }
    if (view->statistics.corrections) {
        out_statistics->correction_error = view->correction_sum / (double)view->statistics.corrections;
    }
    return NECPNET_OK;
}
