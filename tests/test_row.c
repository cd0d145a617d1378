/* test_row - whole rows as bits and back: random schemas, hostile bits, hidden fields. */
#include "test.h"

#include "kit_state.h"
#include "nn_quantise.h"
#include "nn_row.h"

typedef struct bench {
    kit_schema kit;
    necpnet_schema* schema;
    nn_random random;
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
            nn_encoder writer = nn_encoder_of(b->schema->tables, NULL, b->bits, sizeof b->bits);
            nn_row_write(plan, &writer, row, owner);
            TEST_CHECK(!writer.bits.failed);
            nn_decoder reader = nn_decoder_of(b->schema->tables, NULL, b->bits, nn_encoder_end(&writer));
            TEST_CHECK(nn_row_read(plan, &reader, got, owner));
            TEST_EQUAL(reader.bits.bit_at, writer.bits.bit_count);
            expect_row(plan, got, row, plan->row_zeroes, owner);
            TEST_AT_MOST(writer.bits.bit_count, NN_STATE_BYTES_MAX * 8);
        }
        necpnet_schema_destroy(b->schema);
    }
}

/* Whatever the bits say: what is taken in lies within its range. */
TEST(test_row_random_bits_give_valid_rows_or_none)
{
    TEST_EACH_SEED (seed, 400) {
        bench* b = begin(seed, true);
        struct test_random random = test_random_begin(seed);
        uint32_t row[NN_ROW_WORDS_MAX];
        for (int i = 0; i < 20; i++) {
            const nn_type_plan* plan = &b->schema->plans[test_random_below(&random, (uint64_t)b->schema->type_count)];
            size_t bytes = (size_t)test_random_below(&random, 300);
            test_random_bytes(&random, b->bits, sizeof b->bits);
            nn_decoder reader = nn_decoder_of(b->schema->tables, NULL, b->bits, bytes);
            if (!nn_row_read(plan, &reader, row, false)) continue;
            for (unsigned j = 0; j < plan->field_count; j++) {
                const nn_field_plan* field = &plan->fields[j];
                const uint32_t* at = row + field->word + (field->kind == NECPNET_FIELD_QUAT ? 1 : 0);
                for (unsigned k = 0; k < field->components; k++) {
                    uint64_t value = field->wide ? (uint64_t)at[2 * k] | (uint64_t)at[2 * k + 1] << 32 : at[k];
                    TEST_AT_MOST(value, field->range);
                }
                if (field->kind == NECPNET_FIELD_QUAT) TEST_AT_MOST(row[field->word], 3);
                if (field->has_length) TEST_AT_MOST(row[field->word], nn_field_length_max(field->field));
            }
            uint8_t state[4096];
            nn_dequantise(plan, row, state); /* and it is a struct */
        }
        necpnet_schema_destroy(b->schema);
    }
}

TEST_MAIN
