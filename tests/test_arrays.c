/* test_arrays - fields of several values: arrays, and lists whose length the struct says.
 *
 * Random schemas with arrays go through rows, codec, follower, saves and maps in the tests of those (kit_state). Here is what
 * is theirs alone: the macros, lengths, what a changed range costs, versions of another size, JSON, columns, refusals by
 * name, and bits that lie.
 */
#include "test.h"

#include "nn_codec.h"
#include "nn_json.h"
#include "nn_quantise.h"
#include "nn_row.h"
#include "nn_schema_map.h"
#include "nn_world.h"

typedef struct tank {
    bool hatches[3];
    int16_t ammunition[6];
    uint8_t gears[4];
    float heat[5];
    double path[4][2];
    float marks[3][3];
    float turrets[2][4];
    float barrels[2];
    necpnet_entity crew[4];
    int64_t counters[2];
    uint8_t log[20];
    uint8_t path_length;
    uint16_t crew_length;
    uint32_t log_length;
} tank;

static const necpnet_field tank_fields[] = {
    NECPNET_BOOL_ARRAY(tank, hatches, 1, 0),
    NECPNET_INTEGER_ARRAY(tank, ammunition, 2, -5, 999, NECPNET_FIELD_SIGNED),
    NECPNET_ENUM_ARRAY(tank, gears, 3, 6, NECPNET_FIELD_SLOW),
    NECPNET_FLOAT_ARRAY(tank, heat, 4, 0, 100, 0.1, 0),
    NECPNET_VEC2_LIST(tank, path, path_length, 5, -50, 50, 0.01, 0),
    NECPNET_VEC3_ARRAY(tank, marks, 6, -1, 1, 0.01, NECPNET_FIELD_OWNER_ONLY),
    NECPNET_QUAT_ARRAY(tank, turrets, 7, 0.001, 0),
    NECPNET_ANGLE_ARRAY(tank, barrels, 8, 0.01, 0),
    NECPNET_ENTITY_LIST(tank, crew, crew_length, 9, NECPNET_FIELD_REQUIRED),
    NECPNET_INTEGER_ARRAY(tank, counters, 10, -1099511627776.0, 1099511627776.0, NECPNET_FIELD_SIGNED),
    NECPNET_BYTES_LIST(tank, log, log_length, 11, 0),
};
#define TANK_TYPE \
    { \
        "tank", 1, sizeof(tank), tank_fields, (int)NN_COUNT(tank_fields) \
    }

static char last_line[512];

static void keep_line(necpnet_log_level level, const char* line, void* user)
{
    (void)level, (void)user;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static const necpnet_logger logger = {keep_line, NULL, NECPNET_LOG_TRACE};

static necpnet_result make(const necpnet_entity_type* type, necpnet_schema** out)
{
    necpnet_allocator allocator = test_allocator();
    last_line[0] = 0;
    *out = NULL;
    return necpnet_schema_create(&allocator, &logger, type, 1, out);
}

static necpnet_schema* make_tank(void)
{
    necpnet_entity_type type = TANK_TYPE;
    necpnet_schema* schema;
    TEST_HINT("%s", last_line);
    TEST_OK(make(&type, &schema));
    return schema;
}

static tank some_tank(void)
{
    tank t;
    memset(&t, 0, sizeof t);
    t.hatches[1] = true;
    t.ammunition[0] = -5, t.ammunition[5] = 999;
    t.gears[3] = 6;
    t.heat[2] = 36.6f;
    t.path[0][0] = -50, t.path[0][1] = 12.34, t.path[1][0] = 0.01, t.path[2][1] = 7;
    t.path_length = 3;
    t.marks[2][2] = -0.5f;
    t.turrets[0][3] = 1, t.turrets[1][0] = -1;
    t.barrels[1] = 3;
    t.crew[0] = 0x10001, t.crew[1] = 0xffffffff;
    t.crew_length = 2;
    t.counters[0] = -1099511627776, t.counters[1] = 1099511627776;
    memcpy(t.log, "a\0b", 3);
    t.log_length = 3;
    return t;
}

/* What a row keeps of a tank: behind the lengths nothing. */
static void expect_tank(const tank* got, const tank* want)
{
    TEST_EQUAL_BYTES(got->hatches, want->hatches, sizeof want->hatches);
    TEST_EQUAL_BYTES(got->ammunition, want->ammunition, sizeof want->ammunition);
    TEST_EQUAL_BYTES(got->gears, want->gears, sizeof want->gears);
    for (int i = 0; i < 5; i++) TEST_NEAR((double)got->heat[i], (double)want->heat[i], 0.0501);
    TEST_EQUAL(got->path_length, want->path_length);
    for (int i = 0; i < 8; i++) {
        double expected = i / 2 < want->path_length ? want->path[i / 2][i % 2] : 0;
        TEST_NEAR(got->path[i / 2][i % 2], expected, 0.00501);
    }
    TEST_NEAR((double)got->marks[2][2], (double)want->marks[2][2], 0.00501);
    for (int i = 0; i < 4; i++) TEST_NEAR((double)got->turrets[0][i], (double)want->turrets[0][i], 0.002);
    TEST_NEAR((double)got->barrels[1], (double)want->barrels[1], 0.00501);
    TEST_EQUAL(got->crew_length, want->crew_length);
    for (int i = 0; i < 4; i++) TEST_EQUAL(got->crew[i], i < want->crew_length ? want->crew[i] : 0);
    TEST_EQUAL_BYTES(got->counters, want->counters, sizeof want->counters);
    TEST_EQUAL(got->log_length, want->log_length);
    TEST_EQUAL_BYTES(got->log, want->log, want->log_length);
}

/* ---- ordinary ------------------------------------------------------------------------------------------------------- */

TEST(test_arrays_of_every_kind_come_back)
{
    necpnet_schema* schema = make_tank();
    uint32_t row[NN_ROW_WORDS_MAX];
    tank in = some_tank();
    tank out;
    TEST_EQUAL(nn_quantise(&schema->plans[0], &in, row), 0);
    nn_dequantise(&schema->plans[0], row, &out);
    expect_tank(&out, &in);
    necpnet_schema_destroy(schema);
}

TEST(test_arrays_clamp_and_count_each_value_and_length)
{
    necpnet_schema* schema = make_tank();
    uint32_t row[NN_ROW_WORDS_MAX];
    tank in = some_tank();
    tank out;
    in.ammunition[1] = 1000;
    in.ammunition[2] = -6;
    in.heat[0] = 101;
    in.path[3][0] = 1e9; /* behind the length: nobody looks */
    TEST_EQUAL(nn_quantise(&schema->plans[0], &in, row), 3);
    in.crew_length = 5;
    in.log_length = 4000000000u;
    TEST_EQUAL(nn_quantise(&schema->plans[0], &in, row), 5);
    nn_dequantise(&schema->plans[0], row, &out);
    TEST_EQUAL(out.ammunition[1], 999);
    TEST_EQUAL(out.ammunition[2], -5);
    TEST_EQUAL(out.crew_length, 4);
    TEST_EQUAL(out.log_length, 20);
    necpnet_schema_destroy(schema);
}

/* A struct of the past through whole row or delta; returns the bits of the record. */
static size_t through(const necpnet_schema* schema, const tank* from, const tank* to)
{
    static nn_prediction prediction;
    uint32_t known[NN_ROW_WORDS_MAX];
    uint32_t row[NN_ROW_WORDS_MAX];
    uint32_t got[NN_ROW_WORDS_MAX];
    uint8_t bytes[NN_STATE_BYTES_MAX * 4];
    const nn_type_plan* plan = &schema->plans[0];
    nn_timeline timeline;
    tank out;
    memset(&timeline, 0, sizeof timeline);
    nn_quantise(plan, from, known);
    nn_quantise(plan, to, row);
    timeline.now = 10;
    timeline.count = 1;
    timeline.ticks[0] = 9;
    timeline.rows[0] = known;
    nn_predict(plan, &timeline, true, NULL, &prediction);
    nn_encoder encoder = nn_encoder_of(schema->tables, NULL, bytes, sizeof bytes);
    nn_codec_write(&encoder, plan, &prediction, row, true, false);
    size_t bits = encoder.bits.bit_count;
    nn_decoder decoder = nn_decoder_of(schema->tables, NULL, bytes, nn_encoder_end(&encoder));
    TEST_EQUAL(nn_codec_read(&decoder, plan, &prediction, got, true, false), NN_CODEC_ROW);
    TEST_EQUAL_BYTES(got, row, plan->row_words * sizeof(uint32_t));
    nn_dequantise(plan, got, &out);
    expect_tank(&out, to);
    return bits;
}

TEST(test_arrays_send_the_range_that_changed)
{
    necpnet_schema* schema = make_tank();
    tank before = some_tank();
    tank after = before;
    size_t nothing = through(schema, &before, &after);
    after.ammunition[3] = 40;
    size_t one = through(schema, &before, &after);
    after.ammunition[4] = 41;
    size_t two = through(schema, &before, &after);
    TEST_AT_MOST(one, nothing + 24); /* 10 bits of value, 3 each of where and how many, the events */
    TEST_EQUAL(two, one + 10);
    after = before;
    after.path_length = 2;
    TEST_AT_MOST(through(schema, &before, &after), nothing + 20);
    after.path_length = 4;
    after.path[3][0] = 5;
    TEST_AT_MOST(through(schema, &before, &after), nothing + 20 + 2 * 14);
    after = before;
    after.crew_length = 0;
    TEST_AT_MOST(through(schema, &before, &after), nothing + 20);
    through(schema, &after, &before);
    after.log_length = 20;
    through(schema, &before, &after);
    through(schema, &after, &before);
    necpnet_schema_destroy(schema);
}

/* ---- versions ------------------------------------------------------------------------------------------------------- */

typedef struct small_tank {
    int32_t ammunition[2];
    uint8_t crew_length;
    necpnet_entity crew[1];
    float heat[9];
    uint8_t log[255];
    uint8_t log_length;
} small_tank;

static const necpnet_field small_fields[] = {
    NECPNET_INTEGER_ARRAY(small_tank, ammunition, 2, 0, 10, NECPNET_FIELD_SIGNED),
    NECPNET_FLOAT_LIST(small_tank, heat, crew_length, 4, 0, 100, 0.1, 0),
    NECPNET_BYTES_LIST(small_tank, log, log_length, 11, 0),
};

TEST(test_arrays_of_another_size_are_cut_or_filled_up)
{
    necpnet_entity_type type = {"tank", 1, sizeof(small_tank), small_fields, (int)NN_COUNT(small_fields)};
    necpnet_schema* writer = make_tank();
    necpnet_schema* reader;
    necpnet_schema* map = NULL;
    uint32_t row[NN_ROW_WORDS_MAX];
    necpnet_allocator allocator = test_allocator();
    TEST_OK(make(&type, &reader));
    TEST_OK(nn_schema_map(&allocator, reader, writer, &map));
    tank in = some_tank();
    small_tank out;
    in.ammunition[1] = 300;
    nn_quantise(&writer->plans[0], &in, row);
    nn_dequantise(&map->plans[0], row, &out);
    TEST_EQUAL(out.ammunition[0], -5);
    TEST_EQUAL(out.ammunition[1], 300);
    TEST_EQUAL(out.log_length, 3);
    TEST_EQUAL_BYTES(out.log, "a\0b", 4);
    TEST_EQUAL(out.crew_length, 0); /* an array there, a list here: another kind of field */
    TEST_NEAR((double)out.heat[2], 0, 0);
    TEST_EQUAL(nn_quantise(&map->plans[0], &out, row), 0); /* prediction does that */
    necpnet_schema_destroy(map);
    necpnet_schema_destroy(reader);
    necpnet_schema_destroy(writer);
}

TEST(test_arrays_required_are_told_from_lists)
{
    necpnet_field field = tank_fields[8]; /* crew */
    necpnet_entity_type type = {"tank", 1, sizeof(tank), &field, 1};
    char text[256];
    necpnet_schema* lists;
    necpnet_schema* arrays;
    TEST_OK(make(&type, &lists));
    field.flags &= ~NECPNET_FIELD_BOUNDED;
    field.length_offset = field.length_bytes = 0;
    TEST_OK(make(&type, &arrays));
    TEST_NOT_EQUAL(necpnet_schema_get_hash(lists), necpnet_schema_get_hash(arrays));
    TEST_EQUAL(necpnet_schema_compare(lists, arrays, text, sizeof text), NECPNET_ERR_SCHEMA_DIFFERS);
    TEST_EQUAL_STRING(text,
                      "type tank (1), field crew (9): required, and of kind entity list at the reader, entity array at "
                      "the writer");
    necpnet_schema_destroy(lists);
    necpnet_schema_destroy(arrays);
}

static necpnet_schema* described_and_read(const necpnet_schema* schema)
{
    static uint8_t wire[4096];
    nn_writer writer = nn_writer_of(wire, sizeof wire);
    necpnet_schema* read = NULL;
    necpnet_allocator allocator = test_allocator();
    nn_schema_describe(schema, &writer);
    TEST_EQUAL(nn_writer_bytes(&writer), nn_schema_described_bytes(schema));
    nn_reader reader = nn_reader_of(wire, nn_writer_bytes(&writer));
    TEST_OK(nn_schema_read(&allocator, &logger, &reader, &read));
    return read;
}

TEST(test_arrays_are_described_and_written_as_json)
{
    static char text[8192];
    size_t bytes;
    necpnet_schema* schema = make_tank();
    necpnet_schema* read = described_and_read(schema);
    necpnet_allocator allocator = test_allocator();
    TEST_EQUAL(necpnet_schema_get_hash(read), necpnet_schema_get_hash(schema));
    TEST_EQUAL(read->plans[0].row_words, schema->plans[0].row_words);
    necpnet_schema_destroy(read);
    TEST_OK(necpnet_schema_to_json(schema, text, sizeof text, &bytes));
    TEST_CHECK(strstr(text, "\"count\": 4, \"double\": true, \"bounded\": true") != NULL);
    if (nn_json_is_built()) {
        TEST_OK(necpnet_schema_from_json(&allocator, &logger, text, bytes, &read));
        TEST_EQUAL(necpnet_schema_get_hash(read), necpnet_schema_get_hash(schema));
        TEST_EQUAL(read->types[0].struct_bytes, sizeof(tank));
        for (int i = 0; i < read->types[0].field_count; i++) {
            const necpnet_field* a = &read->types[0].fields[i];
            const necpnet_field* b = &schema->types[0].fields[i];
            TEST_EQUAL(a->offset, b->offset);
            TEST_EQUAL(a->length_offset, b->length_offset);
            TEST_EQUAL(a->length_bytes, b->length_bytes);
            TEST_EQUAL(a->flags, b->flags);
            TEST_EQUAL(a->count, b->count);
        }
        necpnet_schema_destroy(read);
    }
    necpnet_schema_destroy(schema);
}

/* ---- hostile -------------------------------------------------------------------------------------------------------- */

static void refuse(necpnet_field field, const char* text)
{
    necpnet_entity_type type = {"thing", 9, 512, &field, 1};
    necpnet_schema* schema;
    TEST_HINT("log says: %s", last_line);
    TEST_EQUAL(make(&type, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "type thing (9), field ") != NULL);
    TEST_CHECK(strstr(last_line, text) != NULL);
}

TEST(test_arrays_that_cannot_be_are_refused_by_name)
{
    necpnet_field f = tank_fields[3];
    f.count = 0;
    refuse(f, "count of an ARRAY");
    f.count = 256;
    refuse(f, "count of an ARRAY");
    f = tank_fields[3];
    f.flags |= NECPNET_FIELD_INTERPOLATE;
    refuse(f, "cannot be interpolated");
    f = tank_fields[4];
    f.flags |= NECPNET_FIELD_POSITION;
    refuse(f, "nor be the POSITION");
    f = tank_fields[3];
    f.flags |= NECPNET_FIELD_BOUNDED;
    refuse(f, "length member must be an unsigned integer of 1, 2 or 4");
    f.length_bytes = 4;
    f.length_offset = 509;
    refuse(f, "length member lies beyond");
    f.length_offset = f.offset + 4;
    refuse(f, "length member lies within it");
    f = tank_fields[3];
    f.length_bytes = 1;
    refuse(f, "is not BOUNDED");
    f = tank_fields[10];
    f.flags |= NECPNET_FIELD_ARRAY;
    refuse(f, "cannot be the values of an ARRAY");
    f = tank_fields[10];
    f.kind = NECPNET_FIELD_STRING;
    refuse(f, "only an ARRAY or BYTES");
    f = tank_fields[3];
    f.offset = 500;
    refuse(f, "beyond the end of the struct");
    f = tank_fields[3];
    f.flags &= ~NECPNET_FIELD_ARRAY;
    refuse(f, "count must be 1, or the field an ARRAY");
}

TEST(test_arrays_may_not_share_a_length_nor_grow_beyond_the_limits)
{
    necpnet_field two[2] = {tank_fields[4], tank_fields[8]};
    necpnet_entity_type type = {"tank", 1, sizeof(tank), two, 2};
    necpnet_schema* schema;
    two[1].length_offset = two[0].length_offset;
    two[1].length_bytes = 1;
    TEST_EQUAL(make(&type, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "field crew (9): it overlaps") != NULL);

    necpnet_field flags[6];
    for (uint32_t i = 0; i < 6; i++) {
        flags[i] = tank_fields[0];
        flags[i].id = (uint16_t)(i + 1);
        flags[i].offset = i * 255;
        flags[i].count = 255;
    }
    necpnet_entity_type wide = {"wide", 1, 4096, flags, 6};
    TEST_EQUAL(make(&wide, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "1,200 words") != NULL);
    wide.field_count = 4;
    TEST_OK(make(&wide, &schema));
    necpnet_schema_destroy(schema);
}

/* A record of one list, bit by bit: what lies is refused, the same bits with the truth are taken. */
TEST(test_arrays_refuse_deltas_that_lie)
{
    static nn_prediction prediction;
    static const struct {
        unsigned length, begin, count, value;
        bool good;
    } records[] = {{4, 1, 2, 40, true},  {8, 0, 0, 0, true},   {9, 0, 0, 0, false},  {15, 0, 0, 0, false},
                   {2, 3, 0, 0, false},  {2, 2, 1, 40, false}, {4, 1, 4, 40, false}, {4, 1, 2, 101, false},
                   {4, 1, 2, 100, true}, {0, 0, 0, 0, true},   {3, 15, 0, 0, false}};
    necpnet_field field = {
        "heat", 1, NECPNET_FIELD_INTEGER, 1, 0, 8, NECPNET_FIELD_ARRAY | NECPNET_FIELD_BOUNDED, 0, 100, 1, 8, 1};
    necpnet_entity_type type = {"oven", 1, 9, &field, 1};
    uint32_t known[9] = {3, 1, 2, 3, 0, 0, 0, 0, 0};
    uint32_t got[9];
    necpnet_schema* schema;
    nn_timeline timeline;
    TEST_OK(make(&type, &schema));
    memset(&timeline, 0, sizeof timeline);
    timeline.now = 10;
    timeline.count = 1;
    timeline.ticks[0] = 9;
    timeline.rows[0] = known;
    nn_predict(&schema->plans[0], &timeline, false, NULL, &prediction);
    for (size_t i = 0; i < NN_COUNT(records); i++) {
        uint8_t bytes[64];
        nn_encoder encoder = nn_encoder_of(schema->tables, NULL, bytes, sizeof bytes);
        nn_event_list events;
        memset(&events, 0, sizeof events);
        nn_event_add(&events, NN_CONTEXT_QUIET + NECPNET_FIELD_BYTES, 1);
        nn_put_events(&encoder, &events);
        nn_put_bits(&encoder, records[i].length, 4);
        nn_put_bits(&encoder, records[i].begin, 4);
        nn_put_bits(&encoder, records[i].count, records[i].begin > 8 ? 0 : nn_bits_for(8 - records[i].begin));
        for (unsigned k = 0; k < records[i].count; k++) nn_put_bits(&encoder, records[i].value, 7);
        nn_decoder decoder = nn_decoder_of(schema->tables, NULL, bytes, nn_encoder_end(&encoder));
        TEST_HINT("record %d", (int)i);
        nn_codec_result result = nn_codec_read(&decoder, &schema->plans[0], &prediction, got, false, false);
        TEST_EQUAL(result, records[i].good ? NN_CODEC_ROW : NN_CODEC_BAD);
        for (unsigned k = records[i].length; records[i].good && k < 8; k++) TEST_EQUAL(got[1 + k], 0);
    }
    necpnet_schema_destroy(schema);
}

/* ---- the world ------------------------------------------------------------------------------------------------------ */

TEST(test_arrays_as_columns_and_in_a_save)
{
    static uint8_t saved[8192];
    necpnet_schema* schema = make_tank();
    necpnet_world_config config;
    necpnet_world* worlds[2];
    necpnet_entity entity = 0;
    TEST_OK(necpnet_world_config_default(&config));
    config.allocator = test_allocator();
    config.logger = logger;
    config.schema = schema;
    for (int i = 0; i < 2; i++) TEST_OK(necpnet_world_create(&config, &worlds[i]));
    TEST_OK(necpnet_world_spawn(worlds[0], 1, NULL, &entity));
    tank in = some_tank();
    necpnet_column columns[3] = {
        {5, in.path, 0}, {NECPNET_COLUMN_LENGTH | 5, &in.path_length, 0}, {2, in.ammunition, 0}};
    int changed = 0;
    TEST_OK(necpnet_world_update_many(worlds[0], 1, &entity, 1, columns, 3, &changed));
    TEST_EQUAL(changed, 1);
    const tank* there = (const tank*)necpnet_world_get(worlds[0], entity);
    TEST_EQUAL(there->path_length, 3);
    TEST_EQUAL_BYTES(there->path, in.path, sizeof in.path);
    TEST_EQUAL_BYTES(there->ammunition, in.ammunition, sizeof in.ammunition);
    columns[1].field_id = NECPNET_COLUMN_LENGTH | 2;
    TEST_EQUAL(necpnet_world_update_many(worlds[0], 1, &entity, 1, columns, 3, NULL), NECPNET_ERR_NOT_FOUND);
    TEST_CHECK(strstr(last_line, "has no list 2") != NULL);
    memcpy(necpnet_world_get(worlds[0], entity), &in, sizeof in);
    TEST_OK(necpnet_world_mark(worlds[0], entity));
    TEST_OK(necpnet_world_commit(worlds[0], 1));
    size_t bytes = 0;
    TEST_OK(necpnet_world_save(worlds[0], saved, sizeof saved, &bytes));
    TEST_OK(necpnet_world_load(worlds[1], saved, bytes));
    expect_tank((const tank*)necpnet_world_get(worlds[1], entity), &in);
    for (int i = 0; i < 2; i++) necpnet_world_destroy(worlds[i]);
    necpnet_schema_destroy(schema);
}

TEST_MAIN
