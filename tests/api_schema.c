/* api_schema - the files of schemas/ say on the wire what the C headers say. */
#include "test.h"

#include "server/arena_schema.h"

TEST(test_schema_file_of_the_arena_is_the_headers)
{
    static char text[65536];
    necpnet_schema* in_c = NULL;
    necpnet_schema* in_json = NULL;
    FILE* file = fopen("schemas/arena.json", "rb");
    TEST_CHECK(file != NULL);
    size_t bytes = fread(text, 1, sizeof text, file);
    fclose(file);
    TEST_OK(necpnet_schema_create(NULL, NULL, arena_types, ARENA_TYPE_COUNT, &in_c));
    necpnet_result result = necpnet_schema_from_json(NULL, NULL, text, bytes, &in_json);
    if (result == NECPNET_ERR_UNSUPPORTED) {
        necpnet_schema_destroy(in_c);
        TEST_SKIP("built without cJSON");
    }
    TEST_HINT("write what changed in server/arena_schema.h to schemas/arena.json, then tools/schema_docs.py");
    TEST_OK(result);
    TEST_EQUAL(necpnet_schema_get_hash(in_json), necpnet_schema_get_hash(in_c));
    const necpnet_entity_type* type;
    for (int i = 0; (type = necpnet_schema_get_type(in_c, i)) != NULL; i++) { /* and in memory */
        const necpnet_entity_type* other = necpnet_schema_get_type(in_json, i);
        TEST_EQUAL_STRING(other->name, type->name);
        TEST_EQUAL(other->struct_bytes, type->struct_bytes);
        for (int j = 0; j < type->field_count; j++) {
            TEST_EQUAL_STRING(other->fields[j].name, type->fields[j].name);
            TEST_EQUAL(other->fields[j].offset, type->fields[j].offset);
            TEST_EQUAL(other->fields[j].flags, type->fields[j].flags);
        }
    }
    necpnet_schema_destroy(in_c);
    necpnet_schema_destroy(in_json);
}

TEST_MAIN
