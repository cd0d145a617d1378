/* nn_dispatch - handlers by event type, by channel and by message name: a table over poll. */
#ifndef NN_DISPATCH_H
#define NN_DISPATCH_H

#include "nn_alloc.h"

#define NN_DISPATCH_EVENTS 16      /* event types, with room */
#define NN_DISPATCH_NAMES_MAX 4096 /* names one instance listens to */

typedef struct nn_handler {
    necpnet_event_handler function; /* NULL: none */
    void* user;
} nn_handler;

typedef struct nn_named_handler {
    nn_handler handler;
    char name[NECPNET_NAME_BYTES_MAX + 1];
} nn_named_handler;

typedef struct nn_dispatch {
    nn_alloc* alloc;
    nn_handler events[NN_DISPATCH_EVENTS];
    nn_handler channels[NECPNET_CHANNELS_MAX];
    nn_named_handler* names;
    size_t name_count; /* used, sorted by name */
    size_t name_capacity;
} nn_dispatch;

NN_PRIVATE void nn_dispatch_init(nn_dispatch* dispatch, nn_alloc* alloc);
NN_PRIVATE void nn_dispatch_reset(nn_dispatch* dispatch);

/* nn_dispatch_on_* - set or (NULL function) remove. OK | ERR_INVALID_ARGUMENT | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED */
NN_PRIVATE necpnet_result nn_dispatch_on_event(nn_dispatch* dispatch, necpnet_event_type type, nn_handler handler);
NN_PRIVATE necpnet_result nn_dispatch_on_channel(nn_dispatch* dispatch, int channel, nn_handler handler);
NN_PRIVATE necpnet_result nn_dispatch_on_name(nn_dispatch* dispatch, const char* name, nn_handler handler);

/* nn_dispatch_call - give one event to the handler that wants it: name, then channel, then type. */
NN_PRIVATE bool nn_dispatch_call(const nn_dispatch* dispatch, const necpnet_event* event);

#endif
