/* fuzz_state - STATE frames from a hostile server into a view, with every kind of field and prediction on.
 *
 * The input is a sequence of frames: a length byte, then so many bytes, given to nn_view_read behind a right length.
 */
#include "nn_follower.h"
#include "nn_view.h"

#include <stdlib.h>

typedef struct thing {
    float position[3];
    float spin[4];
    float angle;
    double weight;
    char name[12];
    uint8_t keys[9];
    int64_t score;
    int16_t small;
    bool alive;
    necpnet_entity target;
    float secret;
} thing;

static const necpnet_field fields[] = {
    NECPNET_VEC3(thing, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_QUAT(thing, spin, 2, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_ANGLE(thing, angle, 3, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_FLOAT(thing, weight, 4, 0, 10, 0.1, 0),
    NECPNET_STRING(thing, name, 5, 0),
    NECPNET_BYTES(thing, keys, 6, 0),
    NECPNET_INTEGER(thing, score, 7, -9e15, 9e15, NECPNET_FIELD_SIGNED | NECPNET_FIELD_INTERPOLATE),
    NECPNET_INTEGER(thing, small, 8, -5, 300, NECPNET_FIELD_SIGNED),
    NECPNET_BOOL(thing, alive, 9, 0),
    NECPNET_ENTITY_REFERENCE(thing, target, 10, 0),
    NECPNET_FLOAT(thing, secret, 11, 0, 1, 0.01, NECPNET_FIELD_OWNER_ONLY),
};
static const necpnet_field few[] = {NECPNET_BOOL(thing, alive, 1, 0)};
static const necpnet_entity_type types[] = {
    {"thing", 1, sizeof(thing), fields, (int)NN_COUNT(fields)},
    {"few", 2, sizeof(thing), few, 1},
};

static void step(void* state, const void* input, size_t bytes, void* user)
{
    (void)input;
    (void)bytes;
    (void)user;
    ((thing*)state)->position[0] += 1;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    necpnet_schema* schema = NULL;
    necpnet_view* view = NULL;
    necpnet_view_config config;
    if (necpnet_schema_create(NULL, NULL, types, 2, &schema)) abort();
    necpnet_view_config_default(&config);
    config.schema = schema;
    config.entities_max = 50;
    if (necpnet_view_create(&config, &view)) abort();
    if (necpnet_view_set_prediction(view, 1, step, NULL)) abort();
    uint64_t now_us = 1000000;
    uint32_t tick = 0;
    while (bytes > 1) {
        size_t length = data[0] < bytes - 1 ? data[0] : bytes - 1;
        uint8_t frame[260];
        nn_writer writer = nn_writer_of(frame, sizeof frame);
        nn_write_varint(&writer, length);
        nn_write_bytes(&writer, data + 1, length);
        nn_reader reader = nn_reader_of(frame, nn_writer_bytes(&writer));
        necpnet_result result = nn_view_read(view, &reader, now_us);
        if (result == NECPNET_OK && nn_reader_left(&reader)) abort(); /* it takes exactly its length */
        now_us += 16667;
        if (necpnet_view_predict(view, ++tick, "x", 1) == NECPNET_ERR_INVALID_ARGUMENT) abort();
        if (necpnet_view_update(view, now_us)) abort();
        thing shown;
        for (necpnet_entity e = necpnet_view_next(view, 0); e; e = necpnet_view_next(view, e)) {
            if (necpnet_view_get(view, e, &shown, sizeof shown)) abort();
        }
        necpnet_view_event event;
        while (necpnet_view_poll(view, &event)) {
        }
        data += 1 + length;
        bytes -= 1 + length;
    }
    necpnet_view_destroy(view);
    necpnet_schema_destroy(schema);
    return 0;
}
