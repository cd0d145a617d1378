/* test_row - rows as bits and back: random schemas and motion, exact bits for a few, hostile bits, hidden fields. */
#include "test.h"

#include "kit_state.h"
#include "nn_quantise.h"
#include "nn_row.h"

typedef struct bench {
    kit_schema kit;
    necpnet_schema* schema;
    nn_random random;
    uint16_t model[KIT_TYPES_MAX * KIT_FIELDS_MAX * 70];
    uint8_t bits[8192];
} bench;

static bench the_bench;

static bench* begin(uint64_t seed, bool restricted)
{
    bench* b = &the_bench;
    memset(b, 0, sizeof *b);
    nn_random_seed(&b->random, seed);
    kit_schema_random(&b->kit, &b->random, restricted);
    necpnet_allocator allocator = test_allocator();
    TEST_OK(necpnet_schema_create(&allocator, NULL, b->kit.types, b->kit.type_count, &b->schema));
    TEST_LESS(b->schema->model_words, NN_COUNT(b->model));
    return b;
}

static void expect_row(const nn_type_plan* plan, const uint32_t* got, const uint32_t* row, const uint32_t* hidden,
                       bool owner)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        const uint32_t* expected = nn_field_visible(field, owner) ? row : hidden;
        TEST_EQUAL_BYTES(got + field->word, expected + field->word, field->words * sizeof(uint32_t));
    }
}

TEST(test_row_whole_comes_back)
{
    TEST_EACH_SEED (seed, 300) {
        bench* b = begin(seed, true);
        for (int i = 0; i < b->schema->type_count; i++) {
            const nn_type_plan* plan = &b->schema->plans[i];
            uint8_t state[4096];
            uint32_t row[NN_ROW_WORDS_MAX];
            uint32_t got[NN_ROW_WORDS_MAX];
            bool owner = nn_random_below(&b->random, 2) != 0;
            kit_state_random(plan->type, &b->random, state);
            nn_quantise(plan, state, row);
            nn_bit_writer writer = nn_bit_writer_of(b->bits, sizeof b->bits);
            nn_row_write(plan, &writer, row, owner);
            TEST_CHECK(!writer.failed);
            nn_bit_reader reader = nn_bit_reader_of(b->bits, nn_bits_bytes(&writer));
            TEST_CHECK(nn_row_read(plan, &reader, got, owner));
            TEST_EQUAL(reader.bit_at, writer.bit_count);
            expect_row(plan, got, row, plan->row_zeroes, owner);
            TEST_AT_MOST(writer.bit_count, NN_STATE_BYTES_MAX * 8);
        }
        necpnet_schema_destroy(b->schema);
    }
}

/* Many deltas in one frame: both models learn alike; each may be skipped without its baseline. */
TEST(test_row_deltas_come_back_and_can_be_skipped)
{
    TEST_EACH_SEED (seed, 300) {
        bench* b = begin(seed, true);
        enum { RECORDS = 20 };
        static uint32_t bases[RECORDS][NN_ROW_WORDS_MAX];
        static uint32_t rows[RECORDS][NN_ROW_WORDS_MAX];
        int types[RECORDS];
        bool owners[RECORDS];
        nn_bit_writer writer = nn_bit_writer_of(b->bits, sizeof b->bits);
        nn_row_model_reset(b->schema, b->model);
        int count = 0;
        for (; count < RECORDS; count++) {
            types[count] = (int)nn_random_below(&b->random, (uint64_t)b->schema->type_count);
            owners[count] = nn_random_below(&b->random, 2) != 0;
            const nn_type_plan* plan = &b->schema->plans[types[count]];
            uint8_t state[4096];
            kit_state_random(plan->type, &b->random, state);
            nn_quantise(plan, state, bases[count]);
            kit_state_move(plan->type, &b->random, state);
            nn_quantise(plan, state, rows[count]);
            nn_row_write_delta(plan, b->model, &writer, bases[count], rows[count], owners[count]);
        }
        TEST_CHECK(!writer.failed);
        for (int skip = 0; skip < 2; skip++) {
            nn_bit_reader reader = nn_bit_reader_of(b->bits, nn_bits_bytes(&writer));
            nn_row_model_reset(b->schema, b->model);
            for (int i = 0; i < RECORDS; i++) {
                const nn_type_plan* plan = &b->schema->plans[types[i]];
                uint32_t got[NN_ROW_WORDS_MAX];
                memset(got, 0, sizeof got);
                bool skipped = skip && i % 3 != 0;
                TEST_CHECK(nn_row_read_delta(plan, b->model, &reader, skipped ? NULL : bases[i], got, owners[i]));
                if (!skipped) expect_row(plan, got, rows[i], bases[i], owners[i]);
            }
            TEST_EQUAL(reader.bit_at, writer.bit_count);
        }
        necpnet_schema_destroy(b->schema);
    }
}

TEST(test_row_unchanged_costs_a_bit_a_field)
{
    TEST_EACH_SEED (seed, 50) {
        bench* b = begin(seed, false);
        const nn_type_plan* plan = &b->schema->plans[0];
        uint8_t state[4096];
        uint32_t row[NN_ROW_WORDS_MAX];
        kit_state_random(plan->type, &b->random, state);
        nn_quantise(plan, state, row);
        nn_bit_writer writer = nn_bit_writer_of(b->bits, sizeof b->bits);
        nn_row_model_reset(b->schema, b->model);
        nn_row_write_delta(plan, b->model, &writer, row, row, false);
        TEST_EQUAL(writer.bit_count, plan->field_count);
        TEST_CHECK(nn_row_visible_equal(plan, row, row, true));
        necpnet_schema_destroy(b->schema);
    }
}

TEST(test_row_golomb_is_what_the_specification_says)
{
    static const struct {
        uint64_t value;
        unsigned order;
        unsigned bits;
        uint64_t code; /* lowest bit first */
    } cases[] = {
        {0, 0, 1, 1}, /* 1 */
        {1, 0, 3, 2}, /* 0 1 0 */
        {2, 0, 3, 6}, /* 0 1 1 */
        {3, 0, 5, 4}, /* 00 1 00 */
        {5, 2, 5, 6}, /* s = 9, n = 4: 0 1, then 1 0 0 */
        {0, 4, 5, 1}, /* 1 0000 */
    };
    for (size_t i = 0; i < NN_COUNT(cases); i++) {
        uint8_t bytes[8];
        nn_bit_writer writer = nn_bit_writer_of(bytes, sizeof bytes);
        nn_golomb_write(&writer, cases[i].value, cases[i].order);
        TEST_HINT("case %d", (int)i);
        TEST_EQUAL(writer.bit_count, cases[i].bits);
        nn_bit_reader reader = nn_bit_reader_of(bytes, nn_bits_bytes(&writer));
        TEST_EQUAL(nn_bits_read(&reader, cases[i].bits), cases[i].code);
        reader = nn_bit_reader_of(bytes, nn_bits_bytes(&writer));
        TEST_EQUAL(nn_golomb_read(&reader, cases[i].order), cases[i].value);
    }
    nn_random random;
    nn_random_seed(&random, 3);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[32];
        uint64_t value = nn_random_u64(&random) >> (5 + nn_random_below(&random, 59));
        unsigned order = (unsigned)nn_random_below(&random, 20);
        nn_bit_writer writer = nn_bit_writer_of(bytes, sizeof bytes);
        nn_golomb_write(&writer, value, order);
        TEST_CHECK(!writer.failed);
        nn_bit_reader reader = nn_bit_reader_of(bytes, sizeof bytes);
        TEST_EQUAL(nn_golomb_read(&reader, order), value);
        TEST_EQUAL(reader.bit_at, writer.bit_count);
    }
    uint8_t zeroes[64] = {0};
    nn_bit_reader reader = nn_bit_reader_of(zeroes, sizeof zeroes);
    nn_golomb_read(&reader, 0);
    TEST_CHECK(reader.failed); /* a code without an end */
}

/* Whatever the bits say: what is taken in lies within its range. */
TEST(test_row_random_bits_give_valid_rows_or_none)
{
    TEST_EACH_SEED (seed, 400) {
        bench* b = begin(seed, true);
        struct test_random random = test_random_begin(seed);
        uint32_t base[NN_ROW_WORDS_MAX];
        uint32_t row[NN_ROW_WORDS_MAX];
        for (int i = 0; i < 20; i++) {
            const nn_type_plan* plan = &b->schema->plans[test_random_below(&random, (uint64_t)b->schema->type_count)];
            memcpy(base, plan->row_zeroes, plan->row_words * sizeof(uint32_t));
            size_t bytes = (size_t)test_random_below(&random, 300);
            test_random_bytes(&random, b->bits, sizeof b->bits);
            nn_bit_reader reader = nn_bit_reader_of(b->bits, bytes);
            nn_row_model_reset(b->schema, b->model);
            bool whole = test_random_below(&random, 2) != 0;
            bool good = whole ? nn_row_read(plan, &reader, row, false)
                              : nn_row_read_delta(plan, b->model, &reader, base, row, false);
            if (!good) continue;
            for (unsigned j = 0; j < plan->field_count; j++) {
                const nn_field_plan* field = &plan->fields[j];
                const uint32_t* at = row + field->word + (field->field->kind == NECPNET_FIELD_QUAT ? 1 : 0);
                for (unsigned k = 0; k < field->components; k++) {
                    uint64_t value = field->wide ? (uint64_t)at[2 * k] | (uint64_t)at[2 * k + 1] << 32 : at[k];
                    TEST_AT_MOST(value, field->range);
                }
                if (field->field->kind == NECPNET_FIELD_QUAT) TEST_AT_MOST(row[field->word], 3);
                if (field->field->kind == NECPNET_FIELD_STRING) TEST_LESS(row[field->word], field->field->count);
            }
            uint8_t state[4096];
            nn_dequantise(plan, row, state); /* and it is a struct */
        }
        necpnet_schema_destroy(b->schema);
    }
}

TEST_MAIN
