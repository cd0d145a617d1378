/* test_schema - what a schema refuses and how it says so; hashes; rows of structs and back. */
#include "test.h"

#include "kit_state.h"
#include "nn_blend.h"
#include "nn_quantise.h"

#include <math.h>

typedef struct player {
    float position[2];
    float angle;
    char name[24];
    uint32_t colour;
    int16_t health;
    bool alive;
    uint8_t team;
    float spin[4];
    double height;
    uint64_t score;
    necpnet_entity target;
    uint8_t keys[6];
} player;

static const necpnet_field player_fields[] = {
    NECPNET_VEC2(player, position, 1, -100, 100, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_ANGLE(player, angle, 2, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_STRING(player, name, 3, 0),
    NECPNET_INTEGER(player, colour, 4, 0, 0xffffff, 0),
    NECPNET_INTEGER(player, health, 5, -20, 100, NECPNET_FIELD_SIGNED),
    NECPNET_BOOL(player, alive, 6, 0),
    NECPNET_ENUM(player, team, 7, 3, 0),
    NECPNET_QUAT(player, spin, 8, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_FLOAT(player, height, 9, -1, 1, 0.001, 0),
    NECPNET_INTEGER(player, score, 10, 0, 9e15, 0),
    NECPNET_ENTITY_REFERENCE(player, target, 11, 0),
    NECPNET_BYTES(player, keys, 12, 0),
};
#define PLAYER_FIELDS ((int)NN_COUNT(player_fields))

static char last_line[512];

static void keep_line(necpnet_log_level level, const char* line, void* user)
{
    (void)level;
    (void)user;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static necpnet_result make(const necpnet_entity_type* types, int count, necpnet_schema** out_schema)
{
    necpnet_allocator allocator = test_allocator();
    necpnet_logger logger = {keep_line, NULL, NECPNET_LOG_TRACE};
    last_line[0] = 0;
    return necpnet_schema_create(&allocator, &logger, types, count, out_schema);
}

static necpnet_schema* make_player(void)
{
    necpnet_entity_type type = {"player", 7, sizeof(player), player_fields, PLAYER_FIELDS};
    necpnet_schema* schema = NULL;
    TEST_OK(make(&type, 1, &schema));
    return schema;
}

/* A struct of one float field with changes is refused with that text. */
static void refuse_field(necpnet_field field, const char* text)
{
    necpnet_entity_type type = {"thing", 9, 64, &field, 1};
    necpnet_schema* schema = NULL;
    TEST_HINT("log says: %s", last_line);
    TEST_EQUAL(make(&type, 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(schema == NULL);
    TEST_CHECK(strstr(last_line, "type thing (9)") != NULL);
    TEST_CHECK(strstr(last_line, text) != NULL);
}

static necpnet_field good_field(void)
{
    necpnet_field field = {"weight", 3, NECPNET_FIELD_FLOAT, 4, 0, 1, 0, 0, 10, 0.5, 0, 0};
    return field;
}

TEST(test_schema_holds_so_many_rates_and_refuses_the_next)
{
    necpnet_field fields[NECPNET_RATES_MAX + 2];
    necpnet_entity_type type = {"thing", 9, 64, fields, 0};
    necpnet_schema* schema = NULL;
    for (int i = 0; i < NECPNET_RATES_MAX + 2; i++) {
        fields[i] = good_field();
        fields[i].id = (uint16_t)(i + 1);
        fields[i].offset = (uint32_t)(i * 4);
        fields[i].flags = i < 2 ? NECPNET_FIELD_SLOW : NECPNET_FIELD_RATE(i); /* the first two share theirs */
    }
    type.field_count = NECPNET_RATES_MAX + 1;
    TEST_OK(make(&type, 1, &schema));
    TEST_EQUAL(schema->plans[0].rate_count, NECPNET_RATES_MAX);
    TEST_EQUAL(schema->plans[0].fields[1].rate, schema->plans[0].fields[0].rate);
    necpnet_schema_destroy(schema);
    type.field_count = NECPNET_RATES_MAX + 2;
    TEST_EQUAL(make(&type, 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "at most 8 rates") != NULL);
}

TEST(test_schema_refusals_name_type_and_field)
{
    double nothing = 0.0;
    necpnet_field f = good_field();
    f.name = NULL;
    refuse_field(f, "name must have");
    f = good_field();
    f.id = 0;
    refuse_field(f, "field weight (0): the id");
    f = good_field();
    f.kind = 99;
    refuse_field(f, "field weight (3): unknown kind");
    f = good_field();
    f.flags = 1u << 15;
    refuse_field(f, "unknown flag");
    f = good_field();
    f.flags = NECPNET_FIELD_RATE(1001);
    refuse_field(f, "the rate must be 1 .. 1,000 Hz");
    f = good_field();
    f.flags = NECPNET_FIELD_RATE(5) | NECPNET_FIELD_SLOW;
    refuse_field(f, "SLOW and a rate together");
    f = good_field();
    f.flags = NECPNET_FIELD_OWNER_ONLY | NECPNET_FIELD_NOT_OWNER;
    refuse_field(f, "nobody would get it");
    f = good_field();
    f.max = f.min;
    refuse_field(f, "max must be greater than min");
    f = good_field();
    f.max = nothing / nothing;
    refuse_field(f, "finite");
    f = good_field();
    f.max = 1 / nothing;
    refuse_field(f, "finite");
    f = good_field();
    f.step = 0;
    refuse_field(f, "step must be greater");
    f = good_field();
    f.step = 100;
    refuse_field(f, "larger than the range");
    f = good_field();
    f.step = 1e-12;
    refuse_field(f, "larger step");
    f = good_field();
    f.storage_bytes = 2;
    refuse_field(f, "storage_bytes");
    f = good_field();
    f.offset = 61;
    refuse_field(f, "beyond the end");
    f = good_field();
    f.offset = UINT32_MAX;
    refuse_field(f, "beyond the end");
    f = good_field();
    f.count = 2;
    refuse_field(f, "count must be 1");
    f = good_field();
    f.kind = NECPNET_FIELD_INTEGER;
    f.max = 2.5;
    refuse_field(f, "whole numbers");
    f.max = 10;
    f.min = -1;
    refuse_field(f, "NECPNET_FIELD_SIGNED");
    f.storage_bytes = 1;
    f.min = 0;
    f.max = 256;
    refuse_field(f, "exceeds the storage");
    f.flags = NECPNET_FIELD_SIGNED;
    f.max = 128;
    refuse_field(f, "exceeds the storage");
    f.storage_bytes = 8;
    f.max = 1e17;
    refuse_field(f, "2^53");
    f = good_field();
    f.kind = NECPNET_FIELD_STRING;
    f.storage_bytes = 1;
    f.flags = NECPNET_FIELD_INTERPOLATE;
    refuse_field(f, "interpolated");
    f.flags = 0;
    f.count = 1;
    refuse_field(f, "2 .. 255");
    f.count = 256;
    refuse_field(f, "2 .. 255");
    f = good_field();
    f.kind = NECPNET_FIELD_QUAT;
    f.step = 0.2;
    refuse_field(f, "0.0001 .. 0.1");
    f.kind = NECPNET_FIELD_ANGLE;
    f.step = 2;
    refuse_field(f, "0.000001 .. 1");
    f.kind = NECPNET_FIELD_FLOAT; /* a float cannot hold what a double may ask for */
    f.max = 1e39;
    f.step = 1e38;
    refuse_field(f, "exceeds the storage");
}

TEST(test_schema_refuses_doubled_ids_overlaps_and_bad_types)
{
    necpnet_field fields[2] = {good_field(), good_field()};
    necpnet_entity_type types[2] = {{"a", 1, 64, fields, 2}, {"b", 1, 64, fields, 1}};
    necpnet_schema* schema = NULL;
    fields[1].offset = 8;
    TEST_EQUAL(make(types, 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "same id"));
    fields[1].id = 4;
    fields[1].offset = 3;
    TEST_EQUAL(make(types, 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "overlaps"));
    fields[1].offset = 4;
    TEST_EQUAL(make(types, 2, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "type b (1): another type"));
    types[1].id = 0;
    TEST_EQUAL(make(types, 2, &schema), NECPNET_ERR_BAD_SCHEMA);
    types[0].struct_bytes = 5000;
    TEST_EQUAL(make(types, 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    types[0].struct_bytes = 64;
    types[0].field_count = 65;
    TEST_EQUAL(make(types, 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_EQUAL(make(types, 0, &schema), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(make(types, 257, &schema), NECPNET_ERR_INVALID_ARGUMENT);
    TEST_EQUAL(make(NULL, 1, &schema), NECPNET_ERR_INVALID_ARGUMENT);
}

TEST(test_schema_refuses_a_state_larger_than_a_packet)
{
    static necpnet_field fields[5];
    for (int i = 0; i < 5; i++) {
        necpnet_field field = {"text", (uint16_t)(i + 1), NECPNET_FIELD_BYTES, 1, (uint32_t)i * 255, 255, 0, 0, 0, 1, 0,
                               0};
        fields[i] = field;
    }
    necpnet_entity_type type = {"book", 1, 1300, fields, 5};
    necpnet_schema* schema = NULL;
    TEST_EQUAL(make(&type, 1, &schema), NECPNET_ERR_BAD_SCHEMA);
    TEST_CHECK(strstr(last_line, "1,000 bytes"));
    type.field_count = 3;
    TEST_OK(make(&type, 1, &schema));
    necpnet_schema_destroy(schema);
}

TEST(test_schema_hash_is_of_the_wire_form_alone)
{
    necpnet_field fields[2] = {good_field(), good_field()};
    fields[1].id = 4;
    fields[1].offset = 8;
    necpnet_entity_type type = {"a", 1, 64, fields, 2};
    necpnet_schema* schema = NULL;
    TEST_OK(make(&type, 1, &schema));
    uint64_t hash = necpnet_schema_get_hash(schema);
    necpnet_schema_destroy(schema);

    necpnet_field other[2] = {fields[1],
                              fields[0]}; /* another order, other names, places, storage, flags of one side */
    other[0].name = "load";
    other[0].storage_bytes = 8;
    other[0].offset = 40;
    other[1].flags = NECPNET_FIELD_INTERPOLATE | NECPNET_FIELD_SLOW;
    necpnet_entity_type same = {"b", 1, 48, other, 2};
    TEST_OK(make(&same, 1, &schema));
    TEST_EQUAL(necpnet_schema_get_hash(schema), hash);
    TEST_EQUAL(necpnet_schema_get_type(schema, 0)->fields[0].id, 3);
    necpnet_schema_destroy(schema);

    for (int i = 0; i < 6; i++) {
        necpnet_field changed[2] = {fields[0], fields[1]};
        if (i == 0) changed[0].id = 5;
        if (i == 1) changed[0].max = 11;
        if (i == 2) changed[0].step = 0.25;
        if (i == 3) changed[0].flags = NECPNET_FIELD_OWNER_ONLY;
        if (i == 4) changed[0].min = 0.5, changed[0].max = 10.5;
        necpnet_entity_type differs = {"a", (uint16_t)(i == 5 ? 2 : 1), 64, changed, 2};
        TEST_OK(make(&differs, 1, &schema));
        TEST_NOT_EQUAL(necpnet_schema_get_hash(schema), hash);
        necpnet_schema_destroy(schema);
    }
    TEST_EQUAL(necpnet_schema_get_hash(NULL), 0);
}

TEST(test_schema_finds_its_types)
{
    necpnet_field field = good_field();
    necpnet_entity_type types[4] = {
        {"d", 40, 8, &field, 1}, {"a", 1, 8, &field, 1}, {"c", 30, 8, &field, 1}, {"b", 2, 8, &field, 1}};
    necpnet_schema* schema = NULL;
    TEST_OK(make(types, 4, &schema));
    TEST_EQUAL_STRING(necpnet_schema_get_type(schema, 0)->name, "a");
    TEST_EQUAL_STRING(necpnet_schema_get_type(schema, 3)->name, "d");
    TEST_CHECK(necpnet_schema_get_type(schema, 4) == NULL);
    TEST_CHECK(necpnet_schema_get_type(schema, -1) == NULL);
    TEST_EQUAL_STRING(necpnet_schema_find_type(schema, 30)->name, "c");
    TEST_CHECK(necpnet_schema_find_type(schema, 31) == NULL);
    necpnet_schema_destroy(schema);
    necpnet_schema_destroy(NULL);
}

TEST(test_schema_create_survives_failing_allocations)
{
    TEST_EACH_ALLOCATION_FAILS {
        necpnet_entity_type type = {"player", 7, sizeof(player), player_fields, PLAYER_FIELDS};
        necpnet_schema* schema = NULL;
        necpnet_result result = make(&type, 1, &schema);
        TEST_CHECK(result == NECPNET_OK || (result == NECPNET_ERR_OUT_OF_MEMORY && !schema));
        if (test_allocation_failed()) TEST_EQUAL(result, NECPNET_ERR_OUT_OF_MEMORY);
        necpnet_schema_destroy(schema);
    }
}

/* ---- quantising */

static player good_player(void)
{
    player p;
    memset(&p, 0, sizeof p);
    p.position[0] = 12.345f;
    p.position[1] = -99.999f;
    p.angle = 2.0f;
    strcpy(p.name, "Ada");
    p.colour = 0xabcdef;
    p.health = -7;
    p.alive = true;
    p.team = 3;
    p.spin[0] = 0.5f;
    p.spin[1] = -0.5f;
    p.spin[2] = 0.5f;
    p.spin[3] = 0.5f;
    p.height = 0.25;
    p.score = UINT64_C(8999999999999999);
    p.target = 0xfedcba98u;
    memcpy(p.keys, "\1\2\0\4\5\6", 6);
    return p;
}

TEST(test_quantise_gives_back_what_it_took_within_half_a_step)
{
    necpnet_schema* schema = make_player();
    player p = good_player();
    player q;
    uint32_t row[64];
    uint32_t again[64];
    TEST_LESS(schema->plans[0].row_words, 64);
    TEST_EQUAL(nn_quantise(&schema->plans[0], &p, row), 0);
    memset(&q, 0xee, sizeof q);
    nn_dequantise(&schema->plans[0], row, &q);
    TEST_NEAR((double)q.position[0], 12.345, 0.00501);
    TEST_NEAR((double)q.position[1], -99.999, 0.00501);
    TEST_NEAR((double)q.angle, 2.0, 0.00501);
    TEST_EQUAL_STRING(q.name, "Ada");
    TEST_EQUAL(q.colour, 0xabcdef);
    TEST_EQUAL(q.health, -7);
    TEST_EQUAL(q.alive, true);
    TEST_EQUAL(q.team, 3);
    double sign = (double)q.spin[0] < 0 ? -1 : 1;
    TEST_NEAR((double)q.spin[0] * sign, 0.5, 0.001);
    TEST_NEAR((double)q.spin[1] * sign, -0.5, 0.001);
    TEST_NEAR((double)q.spin[3] * sign, 0.5, 0.001);
    TEST_NEAR(q.height, 0.25, 0.000501);
    TEST_EQUAL(q.score, UINT64_C(8999999999999999));
    TEST_EQUAL(q.target, 0xfedcba98u);
    TEST_EQUAL_BYTES(q.keys, "\1\2\0\4\5\6", 6);
    TEST_EQUAL(nn_quantise(&schema->plans[0], &q, again), 0);
    TEST_EQUAL_BYTES(again, row, schema->plans[0].row_words * sizeof(uint32_t));
    necpnet_schema_destroy(schema);
}

TEST(test_quantise_row_of_zeroes_is_that_of_a_zero_struct)
{
    TEST_EACH_SEED (seed, 200) {
        nn_random random;
        kit_schema kit;
        necpnet_schema* schema = NULL;
        nn_random_seed(&random, seed);
        kit_schema_random(&kit, &random, true);
        TEST_OK(make(kit.types, kit.type_count, &schema));
        for (int i = 0; i < schema->type_count; i++) {
            const nn_type_plan* plan = &schema->plans[i];
            static const uint8_t zeroes[4096];
            uint32_t row[NN_ROW_WORDS_MAX];
            nn_quantise(plan, zeroes, row);
            TEST_EQUAL_BYTES(row, plan->row_zeroes, plan->row_words * sizeof(uint32_t));
        }
        necpnet_schema_destroy(schema);
    }
}

TEST(test_quantise_is_stable_for_all_kinds)
{
    TEST_EACH_SEED (seed, 300) {
        nn_random random;
        kit_schema kit;
        necpnet_schema* schema = NULL;
        nn_random_seed(&random, seed);
        kit_schema_random(&kit, &random, false);
        TEST_OK(make(kit.types, kit.type_count, &schema));
        for (int i = 0; i < schema->type_count; i++) {
            const nn_type_plan* plan = &schema->plans[i];
            uint8_t state[4096];
            uint32_t row[NN_ROW_WORDS_MAX];
            uint32_t again[NN_ROW_WORDS_MAX];
            kit_state_random(plan->type, &random, state);
            TEST_EQUAL(nn_quantise(plan, state, row), 0);
            for (int j = 0; j < plan->field_count; j++) TEST_GREATER(plan->fields[j].words, 0);
            nn_dequantise(plan, row, state);
            nn_quantise(plan, state, again);
            TEST_HINT("type %d of seed %d", i, (int)seed);
            for (int j = 0; j < plan->field_count; j++) {
                const nn_field_plan* field = &plan->fields[j];
                /* A quaternion whose two largest are equal may turn over; floats of 24 bits hold fewer than 2^24 steps. */
                if (field->field->kind == NECPNET_FIELD_QUAT) continue;
                if (field->range > 1u << 22 && field->field->storage_bytes == 4) continue;
                TEST_EQUAL_BYTES(again + field->word, row + field->word, field->words * sizeof(uint32_t));
            }
        }
        necpnet_schema_destroy(schema);
    }
}

TEST(test_quantise_clamps_and_counts)
{
    necpnet_schema* schema = make_player();
    double nothing = 0.0;
    uint32_t row[64];
    player p = good_player();
    p.position[0] = 1e30f;
    p.position[1] = (float)(nothing / nothing);
    p.angle = (float)(1 / nothing);
    p.health = 101;
    p.colour = 0x1000000;
    p.team = 4;
    p.height = -1.5;
    p.score = UINT64_MAX;
    memset(p.name, 'x', sizeof p.name);
    memset(p.spin, 0, sizeof p.spin);
    TEST_EQUAL(nn_quantise(&schema->plans[0], &p, row), 10);
    player q;
    nn_dequantise(&schema->plans[0], row, &q);
    TEST_NEAR((double)q.position[0], 100, 1e-4);
    TEST_NEAR((double)q.position[1], -100, 1e-4);
    TEST_EQUAL(q.health, 100);
    TEST_EQUAL(q.colour, 0xffffff);
    TEST_EQUAL(q.team, 3);
    TEST_NEAR(q.height, -1, 1e-9);
    TEST_EQUAL(q.score, UINT64_C(9000000000000000));
    TEST_EQUAL(strlen(q.name), sizeof q.name - 1);
    TEST_NEAR((double)q.spin[3], 1, 1e-6);
    necpnet_schema_destroy(schema);
}

TEST(test_quantise_angle_wraps)
{
    necpnet_schema* schema = make_player();
    for (int i = -400; i <= 400; i++) {
        player p = good_player();
        uint32_t row[64];
        double angle = i * 0.1;
        p.angle = (float)angle;
        TEST_EQUAL(nn_quantise(&schema->plans[0], &p, row), 0);
        nn_dequantise(&schema->plans[0], row, &p);
        double turns = (angle - (double)p.angle) / 6.283185307179586;
        double whole = (double)(int)(turns + (turns < 0 ? -0.5 : 0.5));
        TEST_NEAR(turns, whole, 0.001);
        TEST_AT_MOST((int)((double)p.angle * 1000), 3142);
        TEST_AT_LEAST((int)((double)p.angle * 1000), -3142);
    }
    necpnet_schema_destroy(schema);
}

TEST(test_quantise_quaternions_turn_alike)
{
    necpnet_schema* schema = make_player();
    TEST_EACH_SEED (seed, 500) {
        nn_random random;
        nn_random_seed(&random, seed);
        player p = good_player();
        player q;
        uint32_t row[64];
        double squares = 0;
        for (int i = 0; i < 4; i++) {
            p.spin[i] = (float)nn_random_below(&random, 2001) / 1000.0f - 1.0f;
            squares += (double)p.spin[i] * (double)p.spin[i];
        }
        if (squares < 0.01) continue;
        TEST_EQUAL(nn_quantise(&schema->plans[0], &p, row), 0);
        nn_dequantise(&schema->plans[0], row, &q);
        double dot = 0;
        double unit = 0;
        for (int i = 0; i < 4; i++) {
            dot += (double)p.spin[i] * (double)q.spin[i];
            unit += (double)q.spin[i] * (double)q.spin[i];
        }
        TEST_NEAR(unit, 1, 1e-5);
        TEST_NEAR(dot * dot / squares, 1, 1e-5);
    }
    necpnet_schema_destroy(schema);
}

TEST(test_blend_puts_a_picture_where_it_was_and_lets_it_fade)
{
    necpnet_schema* schema = make_player();
    const nn_type_plan* plan = &schema->plans[0];
    double shown[NN_BLEND_VALUES_MAX], now[NN_BLEND_VALUES_MAX], shift[NN_BLEND_VALUES_MAX];
    player before = good_player();
    player after = good_player();
    before.angle = 3.1f;
    after.angle = -3.1f;
    after.position[0] += 4;
    after.position[1] += 3;
    for (int i = 0; i < 4; i++)
        after.spin[i] = i == 0 ? -0.8f : i == 1 ? 0.6f : 0; /* about the same as before, negated */
    TEST_EQUAL(plan->blend_count, 2 + 1 + 4);
    nn_blend_read(plan, &before, shown);
    nn_blend_read(plan, &after, now);
    TEST_NEAR(nn_blend_difference(plan, shown, now, shift), 4, 1e-5);
    player begins = after;
    player halfway = after;
    nn_blend_shift(plan, &begins, shift, 1);
    nn_blend_shift(plan, &halfway, shift, 0.5);
    for (int i = 0; i < 2; i++) TEST_NEAR((double)begins.position[i], (double)before.position[i], 1e-5);
    TEST_NEAR((double)begins.angle, (double)before.angle, 1e-5);
    TEST_NEAR(fabs((double)halfway.angle), 3.14159, 1e-4);
    double dot = 0, half_dot = 0, half_unit = 0;
    for (int i = 0; i < 4; i++) {
        dot += (double)begins.spin[i] * (double)before.spin[i];
        half_dot += (double)halfway.spin[i] * (double)after.spin[i];
        half_unit += (double)halfway.spin[i] * (double)halfway.spin[i];
    }
    TEST_NEAR(fabs(dot), 1, 1e-5); /* the same turn, with either sign */
    TEST_NEAR(half_unit, 1, 1e-5);
    TEST_CHECK(half_dot > 0.9 && half_dot < 0.999);
    TEST_EQUAL_STRING(begins.name, after.name); /* the rest is left alone */
    nn_blend_shift(plan, &after, shift, 0);
    TEST_NEAR((double)after.angle, -3.1, 1e-5);
    TEST_NEAR(nn_blend_times(plan, shift, shift), 1, 1e-9);
    memset(now, 0, sizeof now);
    TEST_NEAR(nn_blend_times(plan, shift, now), 0, 1e-9);
    necpnet_schema_destroy(schema);
}

TEST(test_quantise_between_blends_the_short_way)
{
    necpnet_schema* schema = make_player();
    const nn_type_plan* plan = &schema->plans[0];
    uint32_t a[64];
    uint32_t b[64];
    player p = good_player();
    player q;
    p.position[0] = 10;
    p.angle = 3.1f;
    p.health = 10;
    nn_quantise(plan, &p, a);
    p.position[0] = 20;
    p.angle = -3.1f;
    p.health = 20;
    strcpy(p.name, "Bob");
    for (int i = 0; i < 4; i++) p.spin[i] = -p.spin[i];
    nn_quantise(plan, &p, b);
    nn_dequantise_between(plan, a, b, 0.25, &q);
    TEST_NEAR((double)q.position[0], 12.5, 0.01);
    TEST_NEAR((double)q.angle, 3.1208, 0.01);
    TEST_EQUAL(q.health, 10); /* not interpolated: the former until the share is 1 */
    TEST_EQUAL_STRING(q.name, "Ada");
    nn_dequantise_between(plan, a, b, 0.75, &q);
    TEST_NEAR((double)q.angle, -3.1208, 0.01);
    nn_dequantise_between(plan, a, b, 1.0, &q);
    TEST_EQUAL(q.health, 20);
    TEST_EQUAL_STRING(q.name, "Bob");
    nn_dequantise_between(plan, a, b, 1.5, &q);
    TEST_NEAR((double)q.position[0], 25, 0.02);
    nn_dequantise_between(plan, a, b, 100, &q);
    TEST_NEAR((double)q.position[0], 100, 0.01); /* stays in range */
    double squares = 0;
    for (int i = 0; i < 4; i++) squares += (double)q.spin[i] * (double)q.spin[i];
    TEST_NEAR(squares, 1, 1e-4);
    necpnet_schema_destroy(schema);
}

TEST_MAIN
