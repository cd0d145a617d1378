/* nn_row - whole rows as bits. Integers alone. */
#include "nn_row.h"

static uint64_t row_load(const nn_field_plan* plan, const uint32_t* at)
{
    return plan->wide ? (uint64_t)at[0] | (uint64_t)at[1] << 32 : at[0];
}

static void row_store(const nn_field_plan* plan, uint32_t* at, uint64_t value)
{
    at[0] = (uint32_t)value;
    if (plan->wide) at[1] = (uint32_t)(value >> 32);
}

static void row_write_whole(const nn_field_plan* plan, nn_encoder* encoder, const uint32_t* row)
{
    unsigned stride = plan->wide ? 2 : 1;
    for (unsigned i = 0; i < plan->components; i++) nn_put_bits(encoder, row_load(plan, row + i * stride), plan->bits);
}

static bool row_read_whole(const nn_field_plan* plan, nn_decoder* decoder, uint32_t* row)
{
    unsigned stride = plan->wide ? 2 : 1;
    bool good = true;
    for (unsigned i = 0; i < plan->components; i++) {
        uint64_t value = nn_get_bits(decoder, plan->bits);
        if (value > plan->range) good = false;
        row_store(plan, row + i * stride, value);
    }
    return good && !decoder->bits.failed;
}

static unsigned row_byte(const uint32_t* words, uint32_t index)
{
    return (words[index >> 2] >> (8 * (index & 3))) & 0xff;
}

static void row_set_byte(uint32_t* words, uint32_t index, unsigned byte)
{
    unsigned shift = 8 * (index & 3);
    words[index >> 2] = (words[index >> 2] & ~(0xffu << shift)) | (uint32_t)byte << shift;
}

static void row_write_string(const nn_field_plan* plan, nn_encoder* encoder, const uint32_t* row)
{
    nn_put_bits(encoder, row[0], plan->bits);
    for (uint32_t i = 0; i < row[0]; i++) nn_put_bits(encoder, row_byte(row + 1, i), 8);
}

static bool row_read_string(const nn_field_plan* plan, nn_decoder* decoder, uint32_t* row)
{
    uint32_t length = (uint32_t)nn_get_bits(decoder, plan->bits);
    if (length >= plan->field->count) return false;
    memset(row, 0, plan->words * sizeof(uint32_t));
    row[0] = length;
    for (uint32_t i = 0; i < length; i++) {
        unsigned byte = (unsigned)nn_get_bits(decoder, 8);
        if (byte == 0) return false; /* a NUL inside would make two rows of one text */
        row_set_byte(row + 1, i, byte);
    }
    return !decoder->bits.failed;
}

/* ---- whole rows */

NN_PRIVATE void nn_row_write(const nn_type_plan* plan, nn_encoder* encoder, const uint32_t* row, bool owner)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        const uint32_t* at = row + field->word;
        if (!nn_field_visible(field, owner)) continue;
        switch (field->field->kind) {
        case NECPNET_FIELD_QUAT:
            nn_put_bits(encoder, at[0], 2);
            row_write_whole(field, encoder, at + 1);
            break;
        case NECPNET_FIELD_ENTITY: nn_put_bits(encoder, at[0], 32); break;
        case NECPNET_FIELD_STRING: row_write_string(field, encoder, at); break;
        case NECPNET_FIELD_BYTES:
            for (uint32_t j = 0; j < field->field->count; j++) nn_put_bits(encoder, row_byte(at, j), 8);
            break;
        default: row_write_whole(field, encoder, at); break;
        }
    }
}

NN_PRIVATE bool nn_row_read(const nn_type_plan* plan, nn_decoder* decoder, uint32_t* row, bool owner)
{
    memcpy(row, plan->row_zeroes, plan->row_words * sizeof(uint32_t));
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        uint32_t* at = row + field->word;
        bool good = true;
        if (!nn_field_visible(field, owner)) continue;
        switch (field->field->kind) {
        case NECPNET_FIELD_QUAT:
            at[0] = (uint32_t)nn_get_bits(decoder, 2);
            good = row_read_whole(field, decoder, at + 1);
            break;
        case NECPNET_FIELD_ENTITY: at[0] = (uint32_t)nn_get_bits(decoder, 32); break;
        case NECPNET_FIELD_STRING: good = row_read_string(field, decoder, at); break;
        case NECPNET_FIELD_BYTES:
            for (uint32_t j = 0; j < field->field->count; j++) row_set_byte(at, j, (unsigned)nn_get_bits(decoder, 8));
            break;
        default: good = row_read_whole(field, decoder, at); break;
        }
        if (!good || decoder->bits.failed) return false;
    }
    return true;
}

static bool row_field_equal(const nn_field_plan* field, const uint32_t* a, const uint32_t* b)
{
    return !memcmp(a + field->word, b + field->word, field->words * sizeof(uint32_t));
}

NN_PRIVATE bool nn_row_visible_equal(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b, bool owner)
{
    if (!plan->restricted) return !memcmp(a, b, plan->row_words * sizeof(uint32_t));
    for (unsigned i = 0; i < plan->field_count; i++) {
        if (nn_field_visible(&plan->fields[i], owner) && !row_field_equal(&plan->fields[i], a, b)) return false;
    }
    return true;
}
