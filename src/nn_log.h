/* nn_log - lines for the application's logger. */
#ifndef NN_LOG_H
#define NN_LOG_H

#include "nn_base.h"

#define NN_LOG_LINE_BYTES_MAX 512 /* longer lines are cut */

/* nn_log_write - format one line; silent without a logger or below its level. No secrets, no payloads. */
NN_PRIVATE void nn_log_write(const necpnet_logger* logger, necpnet_log_level level, const char* format, ...)
    NN_PRINTF(3, 4);

#endif
