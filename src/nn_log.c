/* nn_log - lines for the application's logger. */
#include "nn_log.h"

#include <stdarg.h>
#include <stdio.h>

NN_PRIVATE void nn_log_write(const necpnet_logger* logger, necpnet_log_level level, const char* format, ...)
{
    if (!logger || !logger->write || level < logger->level) return;
    char line[NN_LOG_LINE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    logger->write(level, line, logger->user);
}
