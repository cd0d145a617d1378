/* test_schema_map - two versions of a schema: the description on the wire and back, which differences are fatal and how they
 * are named, and rows of one version in the structs of the other. A reader of its own checks the wire form's first bytes. */
#include "test.h"

#include "nn_quantise.h"
#include "nn_schema_map.h"

/* The server's struct .. */
typedef struct newer {
    double weight;
    float position[2];
    char name[32];
    int64_t score;
    uint8_t keys[8];
    uint16_t team;
    float heat;
} newer;

/* .. and the client's, older: other places, storage and sizes, no heat and no weight; `lives` is gone at the server. */
typedef struct older {
    uint8_t lives;
    char name[8];
    uint8_t score;
    float position[2];
    uint8_t keys[3];
    uint8_t team;
} older;

typedef struct other {
    bool on;
} other;

static const necpnet_field newer_fields[] = {
    NECPNET_FLOAT(newer, weight, 9, 0, 10, 0.1, 0),
    NECPNET_VEC2(newer, position, 1, -50, 50, 0.25, NECPNET_FIELD_REQUIRED),
    NECPNET_STRING(newer, name, 2, NECPNET_FIELD_SLOW),
    NECPNET_INTEGER(newer, score, 3, -1000, 100000, NECPNET_FIELD_SIGNED),
    NECPNET_BYTES(newer, keys, 4, NECPNET_FIELD_OWNER_ONLY),
    NECPNET_ENUM(newer, team, 5, 400, 0),
    NECPNET_FLOAT(newer, heat, 7, 0, 1, 0.01, NECPNET_FIELD_NOT_OWNER),
};
static const necpnet_field older_fields[] = {
    NECPNET_VEC2(older, position, 1, -100, 100, 0.5, NECPNET_FIELD_INTERPOLATE),
    NECPNET_STRING(older, name, 2, 0),
    NECPNET_INTEGER(older, score, 3, 0, 255, 0),
    NECPNET_BYTES(older, keys, 4, 0),
    NECPNET_ENUM(older, team, 5, 3, 0),
    NECPNET_INTEGER(older, lives, 6, 0, 9, 0),
};
static const necpnet_field other_fields[] = {NECPNET_BOOL(other, on, 1, 0)};

static const necpnet_entity_type newer_types[] = {
    {"player", 4, sizeof(newer), newer_fields, (int)NN_COUNT(newer_fields)},
    {"door", 2, sizeof(other), other_fields, 1},
};
static const necpnet_entity_type older_types[] = {
    {"spieler", 4, sizeof(older), older_fields, (int)NN_COUNT(older_fields)},
};

static necpnet_allocator allocator;

static necpnet_schema* make(const necpnet_entity_type* types, int count)
{
    necpnet_schema* schema = NULL;
    allocator = test_allocator();
    TEST_OK(necpnet_schema_create(&allocator, NULL, types, count, &schema));
    return schema;
}

static size_t describe(const necpnet_schema* schema, uint8_t* to, size_t bytes)
{
    nn_writer writer = nn_writer_of(to, bytes);
    nn_schema_describe(schema, &writer);
    TEST_EQUAL(writer.failed, nn_schema_described_bytes(schema) > bytes);
    return writer.failed ? 0 : nn_writer_bytes(&writer);
}

static necpnet_result read_description(const void* data, size_t bytes, necpnet_schema** out)
{
    nn_reader reader = nn_reader_of(data, bytes);
    return nn_schema_read(&allocator, NULL, &reader, out);
}

/* ---- the description ------------------------------------------------------------------------------------------------ */

TEST(test_schema_description_goes_there_and_back)
{
    uint8_t wire[1024];
    necpnet_schema* schema = make(newer_types, 2);
    necpnet_schema* read = NULL;
    size_t bytes = describe(schema, wire, sizeof wire);
    TEST_EQUAL(bytes, nn_schema_described_bytes(schema));
    TEST_EQUAL_BYTES(wire,
                     "\x02\x02\x00\x02\x00\x01\x04"
                     "door\x01\x00\x00\x00\x00\x01\x02on",
                     20);
    TEST_OK(read_description(wire, bytes, &read));
    TEST_EQUAL(necpnet_schema_get_hash(read), necpnet_schema_get_hash(schema));
    TEST_EQUAL_STRING(read->types[1].fields[0].name, "position");
    TEST_EQUAL(read->types[1].fields[0].flags, NECPNET_FIELD_REQUIRED);
    necpnet_schema_destroy(read);
    for (size_t room = 0; room < bytes; room++) (void)describe(schema, wire, room);
    necpnet_schema_destroy(schema);
}

TEST(test_schema_description_that_is_cut_or_flipped_is_refused)
{
    uint8_t wire[1024];
    uint8_t bad[1024];
    necpnet_schema* schema = make(newer_types, 2);
    necpnet_schema* read = NULL;
    size_t bytes = describe(schema, wire, sizeof wire);
    struct test_random random = test_random_begin(2);
    for (size_t cut = 0; cut < bytes; cut++) TEST_EQUAL(read_description(wire, cut, &read), NECPNET_ERR_PROTOCOL);
    memcpy(bad, wire, bytes);
    TEST_EQUAL(read_description(bad, bytes + 1, &read), NECPNET_ERR_PROTOCOL);
    for (int i = 0; i < 4000; i++) {
        memcpy(bad, wire, bytes);
        bad[test_random_below(&random, bytes)] = (uint8_t)test_random_next(&random);
        if (read_description(bad, bytes, &read) == NECPNET_OK) necpnet_schema_destroy(read);
    }
    necpnet_schema_destroy(schema);
}

/* ---- differences ---------------------------------------------------------------------------------------------------- */

static void expect_difference(const necpnet_entity_type* reads, const necpnet_entity_type* writes, const char* expected)
{
    char text[NN_SCHEMA_DIFFERENCE_BYTES_MAX];
    necpnet_schema* reader = make(reads, 1);
    necpnet_schema* writer = make(writes, 1);
    necpnet_result result = necpnet_schema_compare(reader, writer, text, sizeof text);
    TEST_EQUAL_STRING(text, expected);
    TEST_EQUAL(result, *expected ? NECPNET_ERR_SCHEMA_DIFFERS : NECPNET_OK);
    char small[10];
    TEST_EQUAL(necpnet_schema_compare(reader, writer, small, sizeof small), result);
    TEST_EQUAL(strlen(small), strlen(expected) < 9 ? strlen(expected) : 9);
    necpnet_schema_destroy(writer);
    necpnet_schema_destroy(reader);
}

TEST(test_schema_differs_only_in_what_is_required)
{
    typedef struct two {
        uint32_t a, b;
        float c[3];
    } two;
    const necpnet_field a = NECPNET_INTEGER(two, a, 1, 0, 9, 0);
    const necpnet_field a_required = NECPNET_INTEGER(two, a, 1, 0, 500, NECPNET_FIELD_REQUIRED);
    const necpnet_field b = NECPNET_INTEGER(two, b, 2, 0, 9, 0);
    const necpnet_field b_required = NECPNET_INTEGER(two, b, 2, 0, 9, NECPNET_FIELD_REQUIRED);
    const necpnet_field b_enum = NECPNET_ENUM(two, b, 2, 9, 0);
    const necpnet_field c = NECPNET_VEC3(two, c, 2, 0, 1, 0.1, 0);
    const necpnet_field ab[] = {a, b}, arb[] = {a_required, b}, abr[] = {a, b_required}, abe[] = {a, b_enum},
                        ac[] = {a, c};
    const necpnet_entity_type one = {"t", 1, sizeof(two), &a, 1}, both = {"t", 1, sizeof(two), ab, 2},
                              first = {"t", 1, sizeof(two), arb, 2}, second = {"t", 1, sizeof(two), abr, 2},
                              enumerated = {"u", 1, sizeof(two), abe, 2}, vector = {"u", 1, sizeof(two), ac, 2},
                              elsewhere = {"t", 9, sizeof(two), ab, 2};
    expect_difference(&both, &one, "");
    expect_difference(&one, &both, "");
    expect_difference(&both, &vector, "");
    expect_difference(&both, &elsewhere, "");
    expect_difference(&both, &first, ""); /* another range is none */
    expect_difference(&one, &second, "type t (1), field b (2): required, and the reader does not have it");
    expect_difference(&second, &one, "type t (1), field b (2): required, and the writer does not have it");
    expect_difference(&second, &elsewhere, "type t (1), field b (2): required, and the writer does not have it");
    expect_difference(&elsewhere, &second, "");
    expect_difference(&second, &enumerated,
                      "type t (1), field b (2): required, and of kind integer at the reader, enum at the writer");
    expect_difference(&vector, &second,
                      "type u (1), field c (2): required, and of kind vec3 at the reader, integer at the writer");
}

/* ---- the map -------------------------------------------------------------------------------------------------------- */

TEST(test_schema_map_puts_rows_of_one_version_into_structs_of_another)
{
    necpnet_schema* reader = make(older_types, 1);
    necpnet_schema* writer = make(newer_types, 2);
    necpnet_schema* map = NULL;
    TEST_OK(nn_schema_map(&allocator, reader, writer, &map));
    const nn_type_plan* from = &writer->plans[1];
    const nn_type_plan* to = &map->plans[1];
    TEST_EQUAL(map->hash, writer->hash);
    TEST_EQUAL(map->plans[0].own, -1); /* a door */
    TEST_EQUAL(to->own, 0);
    TEST_EQUAL(to->row_words, from->row_words);
    TEST_EQUAL(to->type->struct_bytes, sizeof(older));
    for (unsigned i = 0; i < from->field_count; i++) {
        TEST_EQUAL(to->fields[i].range, from->fields[i].range);
        TEST_EQUAL(to->fields[i].bits, from->fields[i].bits);
        TEST_EQUAL(to->fields[i].word, from->fields[i].word);
        for (int owner = 0; owner < 2; owner++) {
            TEST_EQUAL(nn_field_visible(&to->fields[i], owner != 0), nn_field_visible(&from->fields[i], owner != 0));
        }
    }
    newer state;
    older read;
    uint32_t row[64];
    memset(&state, 0, sizeof state);
    state.weight = 5;
    state.position[0] = 12.25f;
    state.position[1] = -49.75f;
    state.score = 70000;
    state.team = 300;
    state.heat = 1;
    memcpy(state.keys, "12345678", 8);
    memcpy(state.name, "abcdef\xc3\xa4gh", 11); /* seven bytes would cut the a umlaut */
    TEST_EQUAL(nn_quantise(from, &state, row), 0);
    memset(&read, 0x55, sizeof read);
    nn_dequantise(to, row, &read);
    TEST_NEAR(read.position[0], 12.25, 1e-6);
    TEST_NEAR(read.position[1], -49.75, 1e-6);
    TEST_EQUAL(read.lives, 0);
    TEST_EQUAL(read.score, 255); /* the most that it holds */
    TEST_EQUAL(read.team, 255);
    TEST_EQUAL_STRING(read.name, "abcdef");
    TEST_EQUAL_BYTES(read.keys, "123", 3);
    state.score = -3;
    memset(state.name, 0, sizeof state.name);
    memcpy(state.name, "1234567", 7); /* just fits */
    TEST_EQUAL(nn_quantise(from, &state, row), 0);
    nn_dequantise(to, row, &read);
    TEST_EQUAL(read.score, 0);
    TEST_EQUAL_STRING(read.name, "1234567");
    uint32_t again[64];
    TEST_AT_MOST(nn_quantise(to, &read, again),
                 2); /* a prediction on it: what is hidden is left out of the comparison */
    necpnet_schema_destroy(map);
    necpnet_schema_destroy(writer);
    necpnet_schema_destroy(reader);
}

TEST(test_schema_map_blends_by_the_readers_flags)
{
    necpnet_schema* reader = make(older_types, 1);
    necpnet_schema* writer = make(newer_types, 2);
    necpnet_schema* map = NULL;
    TEST_OK(nn_schema_map(&allocator, reader, writer, &map));
    necpnet_schema_destroy(writer); /* the map stands alone */
    necpnet_schema_destroy(reader);
    const nn_type_plan* plan = &map->plans[1];
    uint32_t a[64] = {0}, b[64] = {0};
    older read;
    TEST_EQUAL(plan->blend_count, 2);
    b[plan->fields[0].word] = 400; /* position is the first by id: -50 + 400 * 0.25 */
    nn_dequantise_between(plan, a, b, 0.5, &read);
    TEST_NEAR(read.position[0], 0, 1e-6);
    TEST_NEAR(read.position[1], -50, 1e-6);
    necpnet_schema_destroy(map);
}

TEST(test_schema_map_reports_every_failed_allocation)
{
    uint8_t wire[1024];
    necpnet_schema* writer = make(newer_types, 2);
    size_t bytes = describe(writer, wire, sizeof wire);
    necpnet_schema_destroy(writer);
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_schema* reader = NULL;
        necpnet_schema* read = NULL;
        necpnet_schema* map = NULL;
        allocator = test_allocator();
        necpnet_result result = necpnet_schema_create(&allocator, NULL, older_types, 1, &reader);
        if (!result) result = read_description(wire, bytes, &read);
        if (!result) result = nn_schema_map(&allocator, reader, read, &map);
        TEST_EQUAL(result, test_allocation_failed() ? NECPNET_ERR_OUT_OF_MEMORY : NECPNET_OK);
        necpnet_schema_destroy(map);
        necpnet_schema_destroy(read);
        necpnet_schema_destroy(reader);
    }
}

TEST_MAIN
