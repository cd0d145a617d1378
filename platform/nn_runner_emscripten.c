/* nn_runner_emscripten - a browser's page has one thread for its sockets and its game: there is no runner. */
#include "nn_base.h"

#if defined(__EMSCRIPTEN__)

necpnet_result necpnet_runner_create(const necpnet_client_config* config, uint32_t ring_bytes,
                                     necpnet_runner** out_runner)
{
    (void)ring_bytes;
    return config && out_runner ? NECPNET_ERR_UNSUPPORTED : NECPNET_ERR_INVALID_ARGUMENT;
}

void necpnet_runner_destroy(necpnet_runner* runner)
{
    (void)runner;
}

necpnet_result necpnet_runner_connect(necpnet_runner* runner, const char* const* urls, int url_count)
{
    (void)runner;
    (void)urls;
    (void)url_count;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_runner_set_token(necpnet_runner* runner, const char* token, uint64_t wall_us)
{
    (void)runner;
    (void)token;
    (void)wall_us;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_runner_disconnect(necpnet_runner* runner, uint32_t code, const char* text, uint32_t linger_ms)
{
    (void)runner;
    (void)code;
    (void)text;
    (void)linger_ms;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_runner_send_with(necpnet_runner* runner, int channel, const void* data, size_t bytes,
                                        const necpnet_send_options* options)
{
    (void)runner;
    (void)channel;
    (void)data;
    (void)bytes;
    (void)options;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_runner_send_input(necpnet_runner* runner, uint32_t tick, const void* data, size_t bytes)
{
    (void)runner;
    (void)tick;
    (void)data;
    (void)bytes;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

bool necpnet_runner_poll(necpnet_runner* runner, necpnet_event* out_event)
{
    (void)runner;
    (void)out_event;
    return false;
}

necpnet_client_state necpnet_runner_get_state(const necpnet_runner* runner)
{
    (void)runner;
    return NECPNET_CLIENT_IDLE;
}

necpnet_result necpnet_runner_get_statistics(const necpnet_runner* runner, necpnet_statistics* out_statistics)
{
    (void)runner;
    (void)out_statistics;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

necpnet_result necpnet_runner_server_tick(const necpnet_runner* runner, uint64_t now_us, uint32_t* out_tick,
                                          uint32_t* out_input_tick)
{
    (void)runner;
    (void)now_us;
    (void)out_tick;
    (void)out_input_tick;
    return NECPNET_ERR_INVALID_ARGUMENT;
}

#endif
