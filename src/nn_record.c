/* nn_record - writing recordings. */
#include "nn_record.h"

#include "nn_hash.h"
#include "nn_schema_map.h"

#define RECORD_PREFIX_BYTES_MAX (4 + 1 + 8 + 8) /* check of the one before, kind, length, time */

static const uint8_t record_head[NN_RECORD_HEAD_BYTES] = {'N', 'N', 'R', 'C', NN_RECORD_VERSION};
static const uint8_t record_key[NN_SIPHASH_KEY_BYTES] = {0};

NN_PRIVATE const uint8_t* nn_record_head(void)
{
    return record_head;
}

NN_PRIVATE uint32_t nn_record_check(uint32_t before, const void* record, size_t bytes)
{
    uint8_t key[NN_SIPHASH_KEY_BYTES];
    memcpy(key, record_key, sizeof key);
    nn_store_u32(key, before);
    return (uint32_t)nn_siphash64(key, record, bytes);
}

static bool recording_put(nn_recording* recording, const void* data, size_t bytes)
{
    if (recording->failed) return false;
    recording->failed = !recording->to.write(recording->to.user, data, bytes);
    return !recording->failed;
}

NN_PRIVATE necpnet_result nn_recording_begin(nn_recording* recording, nn_alloc* alloc, const necpnet_recorder* to)
{
    if (!NECPNET_WITH_RECORDING) return NECPNET_ERR_UNSUPPORTED;
    memset(recording, 0, sizeof *recording);
    recording->to = *to;
    recording->alloc = alloc;
    if (!recording_put(recording, record_head, sizeof record_head)) return NECPNET_ERR_IO;
    recording->check = nn_record_check(0, record_head, sizeof record_head);
    recording->on = true;
    return NECPNET_OK;
}

NN_PRIVATE void nn_recording_add(nn_recording* recording, nn_record_kind kind, const void* data, size_t bytes,
                                 uint64_t now_us)
{
    if (!NECPNET_WITH_RECORDING || !recording->on || recording->failed) return;
    uint64_t before_us = recording->begun ? recording->at_us : now_us;
    if (!now_us) now_us = before_us; /* at the time of the one before */
    uint64_t passed_us = now_us > before_us ? now_us - before_us : 0;
    if (bytes > NN_RECORD_BYTES_MAX - 8) {
        recording->failed = true;
        return;
    }
    size_t content = nn_varint_bytes(passed_us) + bytes;
    size_t room = 1 + nn_varint_bytes(content) + content + 4;
    uint8_t* record = (uint8_t*)nn_alloc_take(recording->alloc, room);
    if (!record) {
        recording->failed = true; /* with a gap it could not be replayed */
        return;
    }
    nn_writer writer = nn_writer_of(record, room);
    nn_write_u8(&writer, (uint8_t)kind);
    nn_write_varint(&writer, content);
    nn_write_varint(&writer, passed_us);
    nn_write_bytes(&writer, data, bytes);
    recording->check = nn_record_check(recording->check, record, nn_writer_bytes(&writer));
    nn_write_u32(&writer, recording->check);
    NN_ASSERT(!writer.failed && nn_writer_left(&writer) == 0);
    (void)recording_put(recording, record, room);
    nn_alloc_give(recording->alloc, record, room);
    recording->at_us = before_us + passed_us;
    recording->begun = before_us > 0;
    recording->count++;
}

NN_PRIVATE void nn_recording_add_schema(nn_recording* recording, const necpnet_schema* schema, uint64_t now_us)
{
    if (!NECPNET_WITH_RECORDING || !recording->on || recording->failed) return;
    size_t bytes = nn_schema_described_bytes(schema);
    uint8_t* data = (uint8_t*)nn_alloc_take(recording->alloc, bytes);
    if (!data) {
        recording->failed = true;
        return;
    }
    nn_writer writer = nn_writer_of(data, bytes);
    nn_schema_describe(schema, &writer);
    nn_recording_add(recording, NN_RECORD_SCHEMA, data, bytes, now_us);
    nn_alloc_give(recording->alloc, data, bytes);
}

NN_PRIVATE necpnet_result nn_recording_end(nn_recording* recording)
{
    uint8_t count[8];
    nn_writer writer = nn_writer_of(count, sizeof count);
    if (!NECPNET_WITH_RECORDING || !recording->on) return NECPNET_ERR_INVALID_STATE;
    nn_write_varint(&writer, recording->count);
    nn_recording_add(recording, NN_RECORD_END, count, nn_writer_bytes(&writer), recording->at_us);
    recording->on = false;
    return recording->failed ? NECPNET_ERR_IO : NECPNET_OK;
}
