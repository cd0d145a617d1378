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

/* ---- values: a field that is no text and no array, or one value of an array */

static void row_write_value(const nn_field_plan* plan, nn_encoder* encoder, const uint32_t* at)
{
    switch (plan->kind) {
    case NECPNET_FIELD_QUAT:
        nn_put_bits(encoder, at[0], 2);
        row_write_whole(plan, encoder, at + 1);
        break;
    case NECPNET_FIELD_ENTITY: nn_put_bits(encoder, at[0], 32); break;
    default: row_write_whole(plan, encoder, at); break;
    }
}

static bool row_read_value(const nn_field_plan* plan, nn_decoder* decoder, uint32_t* at)
{
    switch (plan->kind) {
    case NECPNET_FIELD_QUAT: at[0] = (uint32_t)nn_get_bits(decoder, 2); return row_read_whole(plan, decoder, at + 1);
    case NECPNET_FIELD_ENTITY: at[0] = (uint32_t)nn_get_bits(decoder, 32); return !decoder->bits.failed;
    default: return row_read_whole(plan, decoder, at);
    }
}

/* ---- items */

NN_PRIVATE void nn_row_put_items(const nn_field_plan* field, nn_encoder* encoder, const uint32_t* items, uint32_t begin,
                                 uint32_t end)
{
    const nn_field_plan* element = field->element;
    for (uint32_t i = begin; i < end; i++) {
        if (element) {
            row_write_value(element, encoder, items + i * element->words);
        } else {
            nn_put_bits(encoder, row_byte(items, i), 8);
        }
    }
}

NN_PRIVATE bool nn_row_get_items(const nn_field_plan* field, nn_decoder* decoder, uint32_t* items, uint32_t begin,
                                 uint32_t end)
{
    const nn_field_plan* element = field->element;
    for (uint32_t i = begin; i < end; i++) {
        if (element) {
            if (!row_read_value(element, decoder, items + i * element->words)) return false;
            continue;
        }
        unsigned byte = (unsigned)nn_get_bits(decoder, 8);
        if (byte == 0 && field->kind == NECPNET_FIELD_STRING) return false; /* two rows of one text */
        row_set_byte(items, i, byte);
    }
    return !decoder->bits.failed;
}

NN_PRIVATE bool nn_row_item_equal(const nn_field_plan* field, const uint32_t* a, const uint32_t* b, uint32_t index)
{
    const nn_field_plan* element = field->element;
    if (!element) return row_byte(a, index) == row_byte(b, index);
    uint32_t at = index * element->words;
    return !memcmp(a + at, b + at, element->words * sizeof(uint32_t));
}

NN_PRIVATE void nn_row_clear_items(const nn_field_plan* field, uint32_t* items, uint32_t begin)
{
    uint32_t from = field->element ? begin * field->element->words : (begin + 3) / 4;
    for (uint32_t i = begin; !field->element && i < 4 * from; i++) row_set_byte(items, i, 0);
    for (uint32_t i = from; i + field->has_length < field->words; i++) items[i] = 0;
}

/* ---- whole rows */

static void row_write_items(const nn_field_plan* plan, nn_encoder* encoder, const uint32_t* at)
{
    uint32_t count = plan->field->count;
    if (plan->has_length) {
        count = *at++;
        nn_put_bits(encoder, count, plan->bits);
    }
    nn_row_put_items(plan, encoder, at, 0, count);
}

static bool row_read_items(const nn_field_plan* plan, nn_decoder* decoder, uint32_t* at)
{
    uint32_t count = plan->field->count;
    if (plan->has_length) {
        count = (uint32_t)nn_get_bits(decoder, plan->bits);
        if (count > nn_field_length_max(plan->field)) return false;
        *at++ = count;
        nn_row_clear_items(plan, at, 0);
    }
    return nn_row_get_items(plan, decoder, at, 0, count);
}

NN_PRIVATE void nn_row_write(const nn_type_plan* plan, nn_encoder* encoder, const uint32_t* row, bool owner)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!nn_field_visible(field, owner)) continue;
        if (field->kind >= NECPNET_FIELD_STRING) {
            row_write_items(field, encoder, row + field->word);
        } else {
            row_write_value(field, encoder, row + field->word);
        }
    }
}

NN_PRIVATE bool nn_row_read(const nn_type_plan* plan, nn_decoder* decoder, uint32_t* row, bool owner)
{
    memcpy(row, plan->row_zeroes, plan->row_words * sizeof(uint32_t));
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        uint32_t* at = row + field->word;
        if (!nn_field_visible(field, owner)) continue;
        bool good = field->kind >= NECPNET_FIELD_STRING ? row_read_items(field, decoder, at)
                                                        : row_read_value(field, decoder, at);
        if (!good || decoder->bits.failed) return false;
    }
    return true;
}

static uint32_t row_value_bits(const nn_field_plan* field)
{
    if (field->kind == NECPNET_FIELD_ENTITY) return 32;
    return (field->kind == NECPNET_FIELD_QUAT ? 2u : 0u) + (uint32_t)field->components * field->bits;
}

NN_PRIVATE uint32_t nn_row_bits_most(const nn_type_plan* plan)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (field->kind < NECPNET_FIELD_STRING) {
            bits += row_value_bits(field);
            continue;
        }
        uint32_t items = field->has_length ? nn_field_length_max(field->field) : field->field->count;
        bits += (field->has_length ? field->bits : 0u) + items * (field->element ? row_value_bits(field->element) : 8u);
    }
    return bits;
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
