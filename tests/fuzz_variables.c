/* fuzz_variables.c - messages about variables from any bytes: what a view takes in can be asked for, polled and written, and
 * what is written reads back. The first byte of each message says how long it is. */
#include "nn_view.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static void fuzz_check(bool condition, const char* what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_variables: %s\n", what);
    abort();
}

static uint64_t heard;

static void on_change(void* user, const necpnet_variable_change* change)
{
    (void)user;
    heard += strlen(change->key);
}

/* A change is what get says, and survives the wire. */
static void check_change(const necpnet_view* view, const necpnet_variable_change* change)
{
    necpnet_value value;
    uint8_t bytes[NN_VARIABLE_RECORD_BYTES_MAX];
    necpnet_result result = necpnet_view_get_variable(view, change->scope, change->key, &value);
    fuzz_check((result == NECPNET_OK) == (change->value.type != NECPNET_VALUE_NONE), "get and poll differ");
    nn_variable* variable = nn_variables_find(&view->variables[change->scope], change->key, strlen(change->key));
    nn_writer writer = nn_writer_of(bytes, sizeof bytes);
    nn_variable_write(variable, &writer);
    fuzz_check(!writer.failed, "a record is too large");
    nn_reader reader = nn_reader_of(bytes, nn_writer_bytes(&writer));
    const char* key;
    size_t key_bytes;
    fuzz_check(nn_variable_read(&reader, &key, &key_bytes, &value) && nn_reader_left(&reader) == 0,
               "a record does not come back");
    fuzz_check(value.type == change->value.type && value.bytes == change->value.bytes, "a record comes back otherwise");
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const uint8_t storage_bytes = 1;
    necpnet_field field = {"on", 1, NECPNET_FIELD_INTEGER, storage_bytes, 0, 1, 0, 0, 1, 1, 0, 0};
    necpnet_entity_type type = {"thing", 1, 1, &field, 1};
    necpnet_schema* schema = NULL;
    necpnet_view* view = NULL;
    necpnet_view_config config;
    (void)necpnet_view_config_default(&config);
    fuzz_check(necpnet_schema_create(NULL, NULL, &type, 1, &schema) == NECPNET_OK, "no schema");
    config.schema = schema;
    fuzz_check(necpnet_view_create(&config, &view) == NECPNET_OK, "no view");
    (void)necpnet_view_watch(view, NECPNET_SCOPE_WORLD, "a*", on_change, NULL);
    nn_reader reader = nn_reader_of(data, size);
    while (nn_reader_left(&reader)) {
        size_t bytes = nn_min_size(nn_read_u8(&reader), nn_reader_left(&reader));
        (void)nn_view_read_variables(view, nn_read_view(&reader, bytes), bytes);
        necpnet_variable_change change;
        (void)necpnet_view_update(view, 1000);
        while (necpnet_view_poll_variable(view, &change)) check_change(view, &change);
    }
    nn_view_reset(view);
    necpnet_view_destroy(view);
    necpnet_schema_destroy(schema);
    return 0;
}
