/* nn_dispatch - handlers by event type, by channel and by message name. */
#include "nn_dispatch.h"

NN_PRIVATE void nn_dispatch_init(nn_dispatch* dispatch, nn_alloc* alloc)
{
    memset(dispatch, 0, sizeof *dispatch);
    dispatch->alloc = alloc;
}

NN_PRIVATE void nn_dispatch_reset(nn_dispatch* dispatch)
{
    nn_alloc_give(dispatch->alloc, dispatch->names, dispatch->name_capacity * sizeof(nn_named_handler));
    nn_dispatch_init(dispatch, dispatch->alloc);
}

NN_PRIVATE necpnet_result nn_dispatch_on_event(nn_dispatch* dispatch, necpnet_event_type type, nn_handler handler)
{
    if ((int)type <= 0 || (int)type >= NN_DISPATCH_EVENTS) return NECPNET_ERR_INVALID_ARGUMENT;
    dispatch->events[type] = handler;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_dispatch_on_channel(nn_dispatch* dispatch, int channel, nn_handler handler)
{
    if (channel < 0 || channel >= NECPNET_CHANNELS_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    dispatch->channels[channel] = handler;
    return NECPNET_OK;
}

/* The place of a name, or where it belongs. */
static size_t dispatch_place(const nn_dispatch* dispatch, const char* name, bool* out_found)
{
    size_t low = 0, high = dispatch->name_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(dispatch->names[middle].name, name);
        if (order == 0) {
            *out_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *out_found = false;
    return low;
}

static necpnet_result dispatch_make_room(nn_dispatch* dispatch)
{
    if (dispatch->name_count < dispatch->name_capacity) return NECPNET_OK;
    if (dispatch->name_count == NN_DISPATCH_NAMES_MAX) return NECPNET_ERR_LIMIT_REACHED;
    size_t capacity = dispatch->name_capacity ? dispatch->name_capacity * 2 : 8;
    nn_named_handler* names = (nn_named_handler*)nn_alloc_grow(dispatch->alloc, dispatch->names,
                                                               dispatch->name_capacity * sizeof(nn_named_handler),
                                                               capacity * sizeof(nn_named_handler));
    if (!names) return NECPNET_ERR_OUT_OF_MEMORY;
    dispatch->names = names;
    dispatch->name_capacity = capacity;
    return NECPNET_OK;
}

NN_PRIVATE necpnet_result nn_dispatch_on_name(nn_dispatch* dispatch, const char* name, nn_handler handler)
{
    size_t length = name ? strlen(name) : 0;
    if (length == 0 || length > NECPNET_NAME_BYTES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    bool found;
    size_t place = dispatch_place(dispatch, name, &found);
    if (found && handler.function) {
        dispatch->names[place].handler = handler;
    } else if (found) {
        dispatch->name_count--;
        memmove(dispatch->names + place, dispatch->names + place + 1,
                (dispatch->name_count - place) * sizeof(nn_named_handler));
    } else if (handler.function) {
        necpnet_result result = dispatch_make_room(dispatch);
        if (result) return result;
        memmove(dispatch->names + place + 1, dispatch->names + place,
                (dispatch->name_count - place) * sizeof(nn_named_handler));
        dispatch->name_count++;
        dispatch->names[place].handler = handler;
        memcpy(dispatch->names[place].name, name, length + 1);
    }
    return NECPNET_OK;
}

NN_PRIVATE bool nn_dispatch_call(const nn_dispatch* dispatch, const necpnet_event* event)
{
    nn_handler handler = {NULL, NULL};
    if (event->type == NECPNET_EVENT_MESSAGE) {
        bool found = false;
        size_t place = event->name ? dispatch_place(dispatch, event->name, &found) : 0;
        if (found) {
            handler = dispatch->names[place].handler;
        } else if (event->channel >= 0 && event->channel < NECPNET_CHANNELS_MAX) {
            handler = dispatch->channels[event->channel];
        }
    }
    if (!handler.function && (int)event->type < NN_DISPATCH_EVENTS) handler = dispatch->events[event->type];
    if (!handler.function) return false;
    handler.function(event, handler.user);
    return true;
}
