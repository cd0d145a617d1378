/* log.h - one line an event on standard error: JSON, or plain text for people. Any thread; never a secret. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <inttypes.h>

#include "necpnet.h"

typedef enum log_kind { LOG_FIELD_END = 0, LOG_FIELD_TEXT = 1, LOG_FIELD_NUMBER = 2 } log_kind;

typedef struct log_field {
    log_kind kind;
    const char* name;
    const char* text;
    int64_t number;
} log_field;

#define LOG_TEXT(name, value) ((log_field){LOG_FIELD_TEXT, (name), (value), 0})
#define LOG_NUMBER(name, value) ((log_field){LOG_FIELD_NUMBER, (name), NULL, (int64_t)(value)})
#define LOG_END ((log_field){LOG_FIELD_END, NULL, NULL, 0})

/* LOG - LOG(NECPNET_LOG_INFO, "listening", "ports are open", LOG_NUMBER("port", port), LOG_END);
 * event is for machines and never changes, message for people. */
#define LOG(level, event, message, ...) log_write((level), (event), (message), (const log_field[]){__VA_ARGS__})

/* log_begin - once, before threads start. descriptor gets the lines (2: standard error). */
void log_begin(necpnet_log_level level, bool json, int descriptor);

void log_write(necpnet_log_level level, const char* event, const char* message, const log_field* fields);

/* log_of_library - for the configs of necpnet: its lines become the event "necpnet". */
necpnet_logger log_of_library(void);

#endif
