/* nn_replay - a recording fed into a view again. What is read may be cut, damaged or made by somebody who means harm: each
 * record's check, length and time are judged before it counts. */
#include "nn_log.h"
#include "nn_record.h"
#include "nn_schema_map.h"
#include "nn_view.h"

#include <stdio.h>

#define REPLAY_TIME_MAX (UINT64_C(1) << 53) /* 285 years */
#define REPLAY_TEXT_BYTES 160
#define REPLAY_BEGIN_US 1000000 /* the view's time at 0 of the recording */

struct necpnet_replay {
    nn_alloc alloc;
    necpnet_replay_config config;
    necpnet_schema* own_schema; /* as the recording describes it, where the application brought none */
    necpnet_view* view;
    uint8_t* content; /* of the record that comes next */
    size_t capacity;
    size_t bytes;
    uint8_t kind;  /* of it; 0: none is there */
    size_t behind; /* where in content its own bytes begin */
    uint64_t next_us;
    uint32_t check;
    bool over;
    necpnet_result result;
    char error[REPLAY_TEXT_BYTES];
    necpnet_replay_info info;
};

necpnet_result necpnet_replay_config_default(necpnet_replay_config* config)
{
    if (!config) return NECPNET_ERR_INVALID_ARGUMENT;
    memset(config, 0, sizeof *config);
    config->struct_bytes = sizeof *config;
    return NECPNET_OK;
}

static necpnet_result replay_refuse(necpnet_replay* replay, const char* why)
{
    (void)snprintf(replay->error, sizeof replay->error, "record %llu at byte %llu: %s",
                   (unsigned long long)replay->info.records + 1, (unsigned long long)replay->info.bytes, why);
    nn_log_write(&replay->config.logger, NECPNET_LOG_WARNING, "recording: %s", replay->error);
    replay->kind = 0;
    replay->result = NECPNET_ERR_BAD_DATA;
    return replay->result;
}

static size_t replay_read(necpnet_replay* replay, void* to, size_t bytes)
{
    size_t got = 0;
    while (got < bytes) {
        size_t more = replay->config.read(replay->config.user, (uint8_t*)to + got, bytes - got);
        if (more == 0 || more > bytes - got) break;
        got += more;
    }
    return got;
}

static bool replay_reserve(necpnet_replay* replay, size_t bytes)
{
    if (bytes <= replay->capacity) return true;
    size_t capacity = replay->capacity ? replay->capacity : 1024;
    while (capacity < bytes) capacity *= 2;
    uint8_t* content = (uint8_t*)nn_alloc_grow(&replay->alloc, replay->content, replay->capacity, capacity);
    if (!content) return false;
    replay->content = content;
    replay->capacity = capacity;
    return true;
}

/* The next record into content; its check and time are right then. */
static necpnet_result replay_fetch(necpnet_replay* replay)
{
    uint8_t head[9];
    uint8_t check[4];
    if (replay->result || replay->kind || replay->over) return replay->result;
    size_t got = replay_read(replay, head, 2);
    if (got == 0) return replay_refuse(replay, "the recording was cut: its end is missing");
    size_t length_bytes = got == 2 ? (size_t)1 << (head[1] >> 6) : 0;
    if (got < 2 || replay_read(replay, head + 2, length_bytes - 1) < length_bytes - 1) {
        return replay_refuse(replay, "cut within its length");
    }
    nn_reader reader = nn_reader_of(head + 1, length_bytes);
    uint64_t bytes = nn_read_varint(&reader);
    if (bytes < 1 || bytes > NN_RECORD_BYTES_MAX) return replay_refuse(replay, "of a length that none has");
    size_t prefix = 1 + length_bytes;
    if (!replay_reserve(replay, prefix + (size_t)bytes)) return NECPNET_ERR_OUT_OF_MEMORY;
    memcpy(replay->content, head, prefix);
    if (replay_read(replay, replay->content + prefix, (size_t)bytes) < bytes || replay_read(replay, check, 4) < 4) {
        return replay_refuse(replay, "the recording was cut within it");
    }
    uint32_t expected = nn_record_check(replay->check, replay->content, prefix + (size_t)bytes);
    if (expected != nn_load_u32(check)) return replay_refuse(replay, "damaged: its check does not fit");
    reader = nn_reader_of(replay->content + prefix, (size_t)bytes);
    uint64_t passed_us = nn_read_varint(&reader);
    if (reader.failed || passed_us > REPLAY_TIME_MAX || replay->next_us + passed_us > REPLAY_TIME_MAX) {
        return replay_refuse(replay, "of a time that cannot be");
    }
    if (head[0] < NN_RECORD_SCHEMA || head[0] > NN_RECORD_END) return replay_refuse(replay, "of an unknown kind");
    replay->check = expected;
    replay->next_us += passed_us;
    replay->kind = head[0];
    replay->behind = (size_t)(reader.at - replay->content);
    replay->bytes = prefix + (size_t)bytes;
    return NECPNET_OK;
}

static necpnet_result replay_schema(necpnet_replay* replay, nn_reader* reader)
{
    char text[NECPNET_REASON_BYTES_MAX + 1] = "";
    necpnet_schema* writer = NULL;
    necpnet_result result = nn_schema_read(&replay->alloc.allocator, &replay->config.logger, reader, &writer);
    if (result == NECPNET_ERR_OUT_OF_MEMORY) return result;
    if (result) return replay_refuse(replay, "its schema does not decode");
    if (!replay->view) { /* the first */
        necpnet_view_config config;
        const necpnet_schema* schema = replay->config.schema;
        if (!schema) schema = replay->own_schema = writer;
        (void)necpnet_view_config_default(&config);
        config.allocator = replay->alloc.allocator;
        config.logger = replay->config.logger;
        config.schema = schema;
        config.entities_max = NN_WORLD_SLOTS_MAX;
        result = necpnet_view_create(&config, &replay->view);
        if (result) {
            if (!replay->own_schema) necpnet_schema_destroy(writer);
            return result;
        }
    }
    result = nn_view_follow_schema(replay->view, writer, text);
    if (writer != replay->own_schema) necpnet_schema_destroy(writer);
    if (result != NECPNET_ERR_SCHEMA_DIFFERS) return result;
    (void)replay_refuse(replay, text);
    return replay->result = result;
}

static necpnet_result replay_obey(necpnet_replay* replay, nn_reader* reader)
{
    uint64_t offset_us;
    uint64_t number;
    necpnet_result result;
    if (replay->kind == NN_RECORD_SCHEMA) return replay_schema(replay, reader);
    if (!replay->view) return replay_refuse(replay, "the first is not a schema");
    switch ((nn_record_kind)replay->kind) {
    case NN_RECORD_CLOCK:
        offset_us = nn_read_u64(reader);
        number = nn_read_varint(reader);
        if (reader->failed || number > 1000) return replay_refuse(replay, "a clock that does not decode");
        (void)offset_us; /* of the one who recorded it; here the recording's own time counts */
        nn_view_set_clock(replay->view, 0, (uint32_t)number);
        if (number) replay->info.tick_hz = (uint32_t)number;
        break;
    case NN_RECORD_STATE:
        result = nn_view_read(replay->view, reader, REPLAY_BEGIN_US + replay->next_us);
        if (result == NECPNET_ERR_OUT_OF_MEMORY) return result;
        if (result) return replay_refuse(replay, nn_view_get_error(replay->view));
        replay->info.frames++;
        break;
    case NN_RECORD_RENEW: nn_view_renew(replay->view, nn_read_u8(reader) != 0); break;
    case NN_RECORD_RESET: nn_view_reset(replay->view); break;
    case NN_RECORD_END:
    default:
        number = nn_read_varint(reader);
        if (!reader->failed && number != replay->info.records) {
            return replay_refuse(replay, "the end counts other records than there were");
        }
        replay->over = true;
        replay->info.is_whole = true;
        break;
    }
    if (reader->failed || nn_reader_left(reader)) return replay_refuse(replay, "of another length than its kind has");
    return NECPNET_OK;
}

/* The record that was fetched takes effect. */
static necpnet_result replay_take(necpnet_replay* replay)
{
    nn_reader reader = nn_reader_of(replay->content + replay->behind, replay->bytes - replay->behind);
    necpnet_result result = replay_obey(replay, &reader);
    if (result) {
        if (!replay->result) replay->result = result;
        return result;
    }
    replay->info.records++;
    replay->info.bytes += replay->bytes + 4;
    replay->info.time_us = replay->next_us;
    replay->kind = 0;
    return NECPNET_OK;
}

static necpnet_result replay_begin(necpnet_replay* replay)
{
    uint8_t head[NN_RECORD_HEAD_BYTES];
    size_t got = replay_read(replay, head, sizeof head);
    if (got < sizeof head || memcmp(head, nn_record_head(), 4) != 0) {
        return replay_refuse(replay, "this is no recording of necpnet's");
    }
    if (head[4] != NN_RECORD_VERSION) {
        char text[80];
        (void)snprintf(text, sizeof text, "of version %u; this reads version %u", (unsigned)head[4],
                       (unsigned)NN_RECORD_VERSION);
        return replay_refuse(replay, text);
    }
    replay->info.bytes = sizeof head;
    replay->info.tick_hz = 60;
    replay->check = nn_record_check(0, head, sizeof head);
    necpnet_result result = replay_fetch(replay);
    if (result == NECPNET_OK) result = replay_take(replay);
    return result;
}

necpnet_result necpnet_replay_create(const necpnet_replay_config* config, necpnet_replay** out_replay)
{
    if (!config || !out_replay || !config->read) return NECPNET_ERR_INVALID_ARGUMENT;
    if (config->struct_bytes != sizeof *config) return NECPNET_ERR_BAD_STRUCT_BYTES;
    if (!NECPNET_WITH_RECORDING) return NECPNET_ERR_UNSUPPORTED;
    nn_alloc alloc;
    nn_alloc_init(&alloc, &config->allocator);
    necpnet_replay* replay = (necpnet_replay*)nn_alloc_take(&alloc, sizeof *replay);
    if (!replay) return NECPNET_ERR_OUT_OF_MEMORY;
    replay->alloc = alloc;
    replay->config = *config;
    necpnet_result result = replay_begin(replay);
    if (result) {
        necpnet_replay_destroy(replay);
        return result;
    }
    *out_replay = replay;
    return NECPNET_OK;
}

void necpnet_replay_destroy(necpnet_replay* replay)
{
    if (!replay) return;
    necpnet_view_destroy(replay->view);
    necpnet_schema_destroy(replay->own_schema);
    nn_alloc_give(&replay->alloc, replay->content, replay->capacity);
    nn_alloc alloc = replay->alloc;
    nn_alloc_give(&alloc, replay, sizeof *replay);
}

necpnet_result necpnet_replay_update(necpnet_replay* replay, uint64_t time_us)
{
    if (!replay) return NECPNET_ERR_INVALID_ARGUMENT;
    while (!replay->result && !replay->over) {
        necpnet_result result = replay_fetch(replay);
        if (result == NECPNET_OK && replay->next_us > time_us) break;
        if (result == NECPNET_OK) result = replay_take(replay);
        if (result == NECPNET_ERR_OUT_OF_MEMORY) return replay->result = result;
    }
    if (time_us > replay->next_us && (replay->over || replay->result)) time_us = replay->next_us;
    (void)necpnet_view_update(replay->view, REPLAY_BEGIN_US + time_us);
    if (replay->result) return replay->result;
    return replay->over ? NECPNET_ERR_CLOSED : NECPNET_OK;
}

uint64_t necpnet_replay_next_us(necpnet_replay* replay)
{
    if (!replay || replay->over || replay_fetch(replay)) return UINT64_MAX;
    return replay->next_us;
}

necpnet_view* necpnet_replay_get_view(const necpnet_replay* replay)
{
    return replay ? replay->view : NULL;
}

const necpnet_schema* necpnet_replay_get_schema(const necpnet_replay* replay)
{
    return replay ? nn_view_get_schema(replay->view) : NULL;
}

necpnet_result necpnet_replay_get_info(const necpnet_replay* replay, necpnet_replay_info* out_info)
{
    if (!replay || !out_info) return NECPNET_ERR_INVALID_ARGUMENT;
    *out_info = replay->info;
    out_info->error = replay->error;
    return NECPNET_OK;
}
