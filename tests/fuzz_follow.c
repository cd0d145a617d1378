/* fuzz_follow - a hostile server with a schema of its own: any description, then STATE frames by it, and what it says of authority,
 * into a view that has parents, leads, arrays and lists of all kinds, and writes.
 *
 * The input is records: kind (1), length (2), so many bytes. The first is the description of a schema (else the view's own is
 * taken); kind 0 is a STATE frame behind its type, 1 a message on CONTROL behind its kind, 2 a write of every entity in view,
 * 3 the same schema again. Seeds are the frames of tests/vectors/state.txt, which have what random bytes seldom make: timelines
 * that move, leads and who rides on them, both codecs.
 */
#include "kit_kinds.h"
#include "nn_follower.h"
#include "nn_schema_map.h"
#include "nn_view.h"

#include <stdlib.h>

static const necpnet_entity_type types[] = {{"mixed", 2, sizeof(mixed), mixed_fields, (int)NN_COUNT(mixed_fields)},
                                            {"body", 5, sizeof(body), body_fields, (int)NN_COUNT(body_fields)}};

static necpnet_result take_write(void* user, uint32_t entity, uint32_t number, const void* data, size_t bytes)
{
    (void)user;
    (void)data;
    if (!entity || !number || !bytes) abort();
    return number % 3 ? NECPNET_OK : NECPNET_ERR_OUT_OF_MEMORY;
}

static necpnet_result take_word(void* user, const void* data, size_t bytes)
{
    (void)user;
    (void)data;
    if (!bytes) abort();
    return NECPNET_OK;
}

/* Fields stay within their ranges, and texts end within their members, whatever came. */
static void look(necpnet_view* view, bool writes)
{
    union {
        mixed mixed;
        body body;
    } seen;
    for (necpnet_entity e = necpnet_view_next(view, 0); e; e = necpnet_view_next(view, e)) {
        memset(&seen, 0xee, sizeof seen);
        if (necpnet_view_get(view, e, &seen, sizeof seen)) abort();
        if (necpnet_view_get_type(view, e) == 2) {
            if (seen.mixed.slots_used > 6 || !memchr(seen.mixed.name, 0, sizeof seen.mixed.name)) abort();
        }
        if (!writes) continue;
        memset(&seen, e & 1 ? 0 : 0x41, sizeof seen);
        if (necpnet_view_get_type(view, e) == 2) {
            seen.mixed.armed = true;
            seen.mixed.slots_used = (uint8_t)(e & 3);
            memset(seen.mixed.name, 0, sizeof seen.mixed.name);
        } else {
            seen.body.flag = true;
        }
        (void)necpnet_view_write(view, e, &seen, sizeof seen, e & 7, NULL);
        (void)necpnet_view_request_authority(view, e);
    }
    necpnet_view_event event;
    while (necpnet_view_poll(view, &event)) {
    }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes)
{
    static const nn_view_out out = {take_write, take_word, NULL};
    char text[NECPNET_REASON_BYTES_MAX + 1];
    necpnet_schema* schema = NULL;
    necpnet_schema* theirs = NULL;
    necpnet_view* view = NULL;
    necpnet_view_config config;
    nn_reader reader = nn_reader_of(data, bytes);
    uint64_t now_us = 1000000;
    if (necpnet_schema_create(NULL, NULL, types, 2, &schema)) abort();
    necpnet_view_config_default(&config);
    config.schema = schema;
    config.entities_max = 60;
    if (necpnet_view_create(&config, &view)) abort();
    nn_view_set_out(view, &out);
    for (bool first = true; nn_reader_left(&reader) >= 3; first = false) {
        uint8_t kind = nn_read_u8(&reader);
        size_t length = nn_read_u16(&reader);
        if (length > nn_reader_left(&reader)) length = nn_reader_left(&reader);
        nn_reader record = nn_reader_of(nn_read_view(&reader, length), length);
        if (first && nn_schema_read(NULL, NULL, &record, &theirs)) theirs = NULL;
        if ((first || kind % 4 == 3) && theirs && nn_view_follow_schema(view, theirs, text)) break;
        if (first) continue;
        if (kind % 4 == 0) {
            (void)nn_view_read(view, &record, now_us);
        } else if (kind % 4 == 1) {
            (void)nn_view_take_control(view, record.at, nn_reader_left(&record));
        }
        now_us += 16667;
        if (necpnet_view_update(view, now_us)) abort();
        look(view, kind % 4 == 2);
    }
    necpnet_view_destroy(view);
    necpnet_schema_destroy(theirs);
    necpnet_schema_destroy(schema);
    return 0;
}
