/* nn_loop_emscripten - a browser has one event loop, its own: there is none of ours. All that wants one is refused. */
#include "nn_base.h"

#if defined(__EMSCRIPTEN__)

necpnet_result necpnet_loop_create(const necpnet_allocator* allocator, necpnet_loop_backend backend,
                                   necpnet_loop** out_loop)
{
    (void)allocator;
    (void)backend;
    return out_loop ? NECPNET_ERR_UNSUPPORTED : NECPNET_ERR_INVALID_ARGUMENT;
}

void necpnet_loop_destroy(necpnet_loop* loop)
{
    (void)loop;
}

necpnet_result necpnet_loop_step(necpnet_loop* loop, uint64_t timeout_us)
{
    (void)loop;
    (void)timeout_us;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_loop_post(necpnet_loop* loop, necpnet_loop_function function, void* user)
{
    (void)loop;
    (void)function;
    (void)user;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_loop_watch(necpnet_loop* loop, int descriptor, bool readable, bool writable,
                                  necpnet_loop_descriptor_function function, void* user)
{
    (void)loop;
    (void)descriptor;
    (void)readable;
    (void)writable;
    (void)function;
    (void)user;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_loop_after(necpnet_loop* loop, uint64_t delay_us, necpnet_loop_function function, void* user,
                                  necpnet_loop_timer* out_timer)
{
    (void)loop;
    (void)delay_us;
    (void)function;
    (void)user;
    (void)out_timer;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_loop_cancel(necpnet_loop* loop, necpnet_loop_timer timer)
{
    (void)loop;
    (void)timer;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

#endif
