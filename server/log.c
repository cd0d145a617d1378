/* log - one line an event. */
#include "log.h"

#include <time.h>
#include <unistd.h>

#include "text.h"

#define LOG_LINE_BYTES_MAX 4096 /* longer lines lose their last fields */

static const char* const log_level_names[] = {"trace", "debug", "info", "warning", "error"};

/* Written by log_begin alone, before any other thread exists. */
static struct {
    necpnet_log_level level;
    bool json;
    int descriptor;
} log_state = {NECPNET_LOG_INFO, true, 2};

void log_begin(necpnet_log_level level, bool json, int descriptor)
{
    log_state.level = level;
    log_state.json = json;
    log_state.descriptor = descriptor;
}

static void log_put_time(text* line)
{
    struct timespec now;
    struct tm parts;
    char digits[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(digits, sizeof(digits), "%Y-%m-%dT%H:%M:%S", &parts);
    text_format(line, "%s.%03dZ", digits, (int)(now.tv_nsec / 1000000));
}

static void log_put_json(text* line, const char* level, const char* event, const char* message, const log_field* fields)
{
    text_put(line, "{\"time\":\"");
    log_put_time(line);
    text_format(line, "\",\"level\":\"%s\",\"event\":", level);
    text_json(line, event);
    text_put(line, ",\"message\":");
    text_json(line, message);
    for (; fields->kind != LOG_FIELD_END; fields++) {
        size_t before = line->bytes;
        text_format(line, ",\"%s\":", fields->name);
        if (fields->kind == LOG_FIELD_TEXT) {
            text_json(line, fields->text);
        } else {
            text_format(line, "%" PRId64, fields->number);
        }
        if (line->failed) { /* the line stays whole JSON: what does not fit is left out */
            line->bytes = before;
            line->to[before] = 0;
            line->failed = false;
            break;
        }
    }
    text_put(line, "}");
}

static void log_put_plain(text* line, const char* level, const char* message, const log_field* fields)
{
    log_put_time(line);
    text_format(line, " %-7s %s", level, message);
    for (; fields->kind != LOG_FIELD_END; fields++) {
        if (fields->kind == LOG_FIELD_TEXT) {
            text_format(line, " %s=", fields->name);
            text_json(line, fields->text);
        } else {
            text_format(line, " %s=%" PRId64, fields->name, fields->number);
        }
    }
}

void log_write(necpnet_log_level level, const char* event, const char* message, const log_field* fields)
{
    if (level < log_state.level || level >= NECPNET_LOG_OFF) return;
    char buffer[LOG_LINE_BYTES_MAX + 2];
    text line;
    text_begin(&line, buffer, LOG_LINE_BYTES_MAX);
    if (log_state.json) {
        log_put_json(&line, log_level_names[level], event, message, fields);
    } else {
        log_put_plain(&line, log_level_names[level], message, fields);
    }
    buffer[line.bytes] = '\n';
    /* One write a line: lines of several threads do not mix. A log that cannot be written has nobody to tell. */
    ssize_t written = write(log_state.descriptor, buffer, line.bytes + 1);
    (void)written;
}

static void log_line_of_library(necpnet_log_level level, const char* line, void* user)
{
    (void)user;
    LOG(level, "necpnet", line, LOG_END);
}

necpnet_logger log_of_library(void)
{
    return (necpnet_logger){.write = log_line_of_library, .level = log_state.level};
}
