/* nn_config - defaults and checks of configs. */
#include "nn_config.h"

NN_PRIVATE bool nn_config_range(const necpnet_logger* logger, const char* name, uint64_t value, uint64_t low,
                                uint64_t high)
{
    if (value >= low && value <= high) return true;
    nn_log_write(logger, NECPNET_LOG_ERROR, "config.%s is %llu; it must be %llu .. %llu", name,
                 (unsigned long long)value, (unsigned long long)low, (unsigned long long)high);
    return false;
}

NN_PRIVATE bool nn_config_allocator(const necpnet_logger* logger, const necpnet_allocator* allocator)
{
    if (!allocator->allocate == !allocator->release) return true;
    nn_log_write(logger, NECPNET_LOG_ERROR, "config.allocator has one function; it must be both or neither");
    return false;
}

necpnet_result necpnet_channel_config_default(necpnet_channel_config* config, necpnet_channel_mode mode)
{
    if (!config || (int)mode < NECPNET_UNRELIABLE || (int)mode > NECPNET_RELIABLE_ORDERED) {
        return NECPNET_ERR_INVALID_ARGUMENT;
    }
    memset(config, 0, sizeof *config);
    config->mode = mode;
    config->priority = NECPNET_PRIORITY_NORMAL;
    config->redundancy = false;
    config->compress = true;
    config->message_bytes_max = NECPNET_MESSAGE_BYTES_DEFAULT;
    config->queue_bytes_max = 1u << 20;
    config->queue_messages_max = 4096;
    config->window_bytes = 1u << 20;
    return NECPNET_OK;
}

#define CONFIG_CHANNEL(channel_mode) \
    { \
        channel_mode, NECPNET_PRIORITY_NORMAL, false, true, NECPNET_MESSAGE_BYTES_DEFAULT, 1u << 20, 4096, 1u << 20 \
    }

NN_PRIVATE const necpnet_channel_config* nn_config_default_channels(void)
{
    static const necpnet_channel_config channels[NECPNET_CHANNELS_DEFAULT] = {
        CONFIG_CHANNEL(NECPNET_RELIABLE_ORDERED), CONFIG_CHANNEL(NECPNET_UNRELIABLE),
        CONFIG_CHANNEL(NECPNET_UNRELIABLE_SEQUENCED), CONFIG_CHANNEL(NECPNET_RELIABLE_UNORDERED),
        CONFIG_CHANNEL(NECPNET_RELIABLE_SEQUENCED)};
    return channels;
}

static bool config_channel(const necpnet_logger* logger, const necpnet_channel_config* c, int index)
{
    if ((int)c->mode < NECPNET_UNRELIABLE || (int)c->mode > NECPNET_RELIABLE_ORDERED ||
        (int)c->priority < NECPNET_PRIORITY_CRITICAL || (int)c->priority > NECPNET_PRIORITY_LOW) {
        nn_log_write(logger, NECPNET_LOG_ERROR, "config.channels[%d]: mode or priority is not one of the enum", index);
        return false;
    }
    bool ok =
        nn_config_range(logger, "channels[].message_bytes_max", c->message_bytes_max, 1, NECPNET_MESSAGE_BYTES_MAX) &&
        nn_config_range(logger, "channels[].queue_bytes_max", c->queue_bytes_max, c->message_bytes_max, 64u << 20) &&
        nn_config_range(logger, "channels[].queue_messages_max", c->queue_messages_max, 1, 16384) &&
        nn_config_range(logger, "channels[].window_bytes", c->window_bytes, c->message_bytes_max, 64u << 20);
    if (!ok) nn_log_write(logger, NECPNET_LOG_ERROR, "the channel refused is %d", index);
    return ok;
}

NN_PRIVATE necpnet_result nn_config_channels(const necpnet_logger* logger, const necpnet_channel_config* channels,
                                             int count)
{
    if (!channels || count < 1 || count > NECPNET_CHANNELS_MAX) {
        nn_log_write(logger, NECPNET_LOG_ERROR, "config.channels: %d rows; it must be 1 .. %d", count,
                     NECPNET_CHANNELS_MAX);
        return NECPNET_ERR_BAD_CONFIG;
    }
    for (int i = 0; i < count; i++) {
        if (!config_channel(logger, &channels[i], i)) return NECPNET_ERR_BAD_CONFIG;
    }
    return NECPNET_OK;
}
