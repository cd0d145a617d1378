/* nn_config - defaults and checks of what client and server configs share. A refusal is logged with the field's name. */
#ifndef NN_CONFIG_H
#define NN_CONFIG_H

#include "nn_log.h"

#define NN_RATE_UNLIMITED UINT32_MAX /* bandwidth_limit's default */

/* nn_config_range - whether value is in low .. high; else logs "config.name is value; it must be low .. high". */
NN_PRIVATE bool nn_config_range(const necpnet_logger* logger, const char* name, uint64_t value, uint64_t low,
                                uint64_t high);

/* nn_config_allocator - both functions or neither; else logs it. */
NN_PRIVATE bool nn_config_allocator(const necpnet_logger* logger, const necpnet_allocator* allocator);

/* nn_config_channels - check a channel table. OK | ERR_BAD_CONFIG */
NN_PRIVATE necpnet_result nn_config_channels(const necpnet_logger* logger, const necpnet_channel_config* channels,
                                             int count);

/* nn_config_default_channels - one of each mode, NECPNET_CHANNEL_*; static storage. */
NN_PRIVATE const necpnet_channel_config* nn_config_default_channels(void);

#endif
