/* fuzz_record - hostile recordings into a replay. The first byte of the input says how: bit 0: the checks are made right, so that
 * what lies behind them is reached: the rest is then kind, length (2 bytes), content, again and again, behind a right schema.
 * Otherwise the rest is the file as it is. */
#include "nn_record.h"
#include "nn_view.h"

#include <stdlib.h>

typedef struct thing {
    float position[3];
    int32_t count;
    char name[8];
} thing;

static const necpnet_field fields[] = {
    NECPNET_VEC3(thing, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(thing, count, 2, -5, 300, NECPNET_FIELD_SIGNED),
    NECPNET_STRING(thing, name, 3, 0),
};
static const necpnet_entity_type types[] = {{"thing", 1, sizeof(thing), fields, 3}};

typedef struct file {
    uint8_t* data;
    size_t bytes;
    size_t at;
} file;

static bool file_write(void* user, const void* data, size_t bytes)
{
    file* f = (file*)user;
    uint8_t* larger = (uint8_t*)realloc(f->data, f->bytes + bytes);
    if (!larger) abort();
    memcpy(larger + f->bytes, data, bytes);
    f->data = larger;
    f->bytes += bytes;
    return true;
}

static size_t file_read(void* user, void* data, size_t bytes)
{
    file* f = (file*)user;
    if (bytes > f->bytes - f->at) bytes = f->bytes - f->at;
    if (bytes) memcpy(data, f->data + f->at, bytes);
    f->at += bytes;
    return bytes;
}

static void forge(file* to, const uint8_t* data, size_t bytes)
{
    necpnet_schema* schema = NULL;
    nn_recording recording;
    nn_alloc alloc;
    necpnet_recorder recorder = {file_write, to};
    nn_alloc_init(&alloc, NULL);
    if (necpnet_schema_create(NULL, NULL, types, 1, &schema)) abort();
    if (nn_recording_begin(&recording, &alloc, &recorder)) abort();
    nn_recording_add_schema(&recording, schema, 0);
    uint64_t now_us = 1;
    while (bytes > 3) {
        size_t length = nn_load_u16(data + 1);
        if (length > bytes - 3) length = bytes - 3;
        nn_recording_add(&recording, (nn_record_kind)data[0], data + 3, length, now_us += 16667);
        data += 3 + length;
        bytes -= 3 + length;
    }
    (void)nn_recording_end(&recording);
    necpnet_schema_destroy(schema);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    file f = {NULL, 0, 0};
    necpnet_replay* replay = NULL;
    necpnet_replay_config config;
    if (bytes < 1) return 0;
    if (data[0] & 1) {
        forge(&f, data + 1, bytes - 1);
    } else {
        file_write(&f, data + 1, bytes - 1);
    }
    necpnet_replay_config_default(&config);
    config.read = file_read;
    config.user = &f;
    if (necpnet_replay_create(&config, &replay) == NECPNET_OK) {
        uint64_t time_us = 0;
        for (int i = 0; i < 100 && necpnet_replay_update(replay, time_us) == NECPNET_OK; i++) time_us += 50000;
        necpnet_result result = necpnet_replay_update(replay, UINT64_MAX);
        if (result == NECPNET_OK) abort(); /* it ends, or something is wrong */
        necpnet_replay_destroy(replay);
    }
    free(f.data);
    return 0;
}
