/* nn_row - rows as bits. Integers alone. */
#include "nn_row.h"

#define ROW_GOLOMB_BITS_MAX 60
#define ROW_MEAN_STEP 4 /* a mean moves a quarter of the way to each new size */

NN_PRIVATE void nn_golomb_write(nn_bit_writer* writer, uint64_t value, unsigned order)
{
    NN_ASSERT(order <= ROW_GOLOMB_BITS_MAX && value < UINT64_C(1) << ROW_GOLOMB_BITS_MAX);
    uint64_t shifted = value + (UINT64_C(1) << order);
    unsigned longer = nn_bits_for(shifted) - 1 - order;
    nn_bits_write(writer, 0, longer);
    nn_bits_write(writer, 1, 1);
    nn_bits_write(writer, shifted, order + longer); /* without its top bit: the writer takes the low ones */
}

NN_PRIVATE uint64_t nn_golomb_read(nn_bit_reader* reader, unsigned order)
{
    unsigned longer = 0;
    while (!nn_bits_read(reader, 1)) {
        longer++;
        if (reader->failed || order + longer > ROW_GOLOMB_BITS_MAX) {
            reader->failed = true;
            return 0;
        }
    }
    uint64_t low = nn_bits_read(reader, order + longer);
    return (low | UINT64_C(1) << (order + longer)) - (UINT64_C(1) << order);
}

NN_PRIVATE void nn_row_model_reset(const necpnet_schema* schema, uint16_t* model)
{
    for (int i = 0; i < schema->type_count; i++) {
        const nn_type_plan* plan = &schema->plans[i];
        for (unsigned j = 0; j < plan->field_count; j++) {
            const nn_field_plan* field = &plan->fields[j];
            uint16_t* mean = model + plan->model + field->word;
            for (unsigned k = 0; k < field->words; k++) mean[k] = (uint16_t)(field->bits * 16u / 3u);
        }
    }
}

/* The order of a component's code; then the mean takes in the size. */
static unsigned row_order(const uint16_t* mean)
{
    unsigned bits = (*mean + 8u) / 16u;
    return bits ? bits - 1 : 0;
}

static void row_learn(uint16_t* mean, uint64_t value)
{
    int size = (int)nn_bits_for(value) * 16;
    *mean = (uint16_t)((int)*mean + (size - (int)*mean) / ROW_MEAN_STEP);
}

static uint64_t row_load(const nn_field_plan* plan, const uint32_t* at)
{
    return plan->wide ? (uint64_t)at[0] | (uint64_t)at[1] << 32 : at[0];
}

static void row_store(const nn_field_plan* plan, uint32_t* at, uint64_t value)
{
    at[0] = (uint32_t)value;
    if (plan->wide) at[1] = (uint32_t)(value >> 32);
}

/* ---- residuals: the signed way from base to value, folded so that small ones are small numbers */

static uint64_t row_residual(const nn_field_plan* plan, uint64_t base, uint64_t value)
{
    int64_t way = (int64_t)(value - base);
    if (plan->field->kind == NECPNET_FIELD_ANGLE) {
        int64_t turn = (int64_t)plan->range + 1;
        if (way > turn / 2) way -= turn;
        if (way < -(turn / 2)) way += turn;
    }
    return way < 0 ? (uint64_t)(-way) * 2 - 1 : (uint64_t)way * 2;
}

/* False when it leads out of the range. */
static bool row_apply(const nn_field_plan* plan, uint64_t base, uint64_t residual, uint64_t* out_value)
{
    int64_t way = residual & 1 ? -(int64_t)(residual / 2) - 1 : (int64_t)(residual / 2);
    int64_t value = (int64_t)base + way;
    if (plan->field->kind == NECPNET_FIELD_ANGLE) {
        int64_t turn = (int64_t)plan->range + 1;
        if (value < 0) value += turn;
        if (value >= turn) value -= turn;
    }
    *out_value = (uint64_t)value;
    return value >= 0 && (uint64_t)value <= plan->range;
}

static void row_write_numbers(const nn_field_plan* plan, uint16_t* mean, nn_bit_writer* writer, const uint32_t* base,
                              const uint32_t* row)
{
    unsigned stride = plan->wide ? 2 : 1;
    for (unsigned i = 0; i < plan->components; i++, base += stride, row += stride, mean += stride) {
        uint64_t residual = row_residual(plan, row_load(plan, base), row_load(plan, row));
        if (plan->components == 1) residual--; /* changed, so not 0 */
        nn_golomb_write(writer, residual, row_order(mean));
        row_learn(mean, residual);
    }
}

static bool row_read_numbers(const nn_field_plan* plan, uint16_t* mean, nn_bit_reader* reader, const uint32_t* base,
                             uint32_t* row)
{
    unsigned stride = plan->wide ? 2 : 1;
    for (unsigned i = 0; i < plan->components; i++, row += stride, mean += stride) {
        uint64_t residual = nn_golomb_read(reader, row_order(mean));
        row_learn(mean, residual);
        if (plan->components == 1) residual++;
        if (!base) continue;
        uint64_t value;
        if (!row_apply(plan, row_load(plan, base), residual, &value)) return false;
        row_store(plan, row, value);
        base += stride;
    }
    return !reader->failed;
}

/* ---- quaternions: when the largest component is another, whole */

static void row_write_whole(const nn_field_plan* plan, nn_bit_writer* writer, const uint32_t* row)
{
    unsigned stride = plan->wide ? 2 : 1;
    for (unsigned i = 0; i < plan->components; i++) nn_bits_write(writer, row_load(plan, row + i * stride), plan->bits);
}

static bool row_read_whole(const nn_field_plan* plan, nn_bit_reader* reader, uint32_t* row)
{
    unsigned stride = plan->wide ? 2 : 1;
    bool good = true;
    for (unsigned i = 0; i < plan->components; i++) {
        uint64_t value = nn_bits_read(reader, plan->bits);
        if (value > plan->range) good = false;
        row_store(plan, row + i * stride, value);
    }
    return good && !reader->failed;
}

static void row_write_quaternion(const nn_field_plan* plan, uint16_t* mean, nn_bit_writer* writer, const uint32_t* base,
                                 const uint32_t* row)
{
    bool same = base[0] == row[0];
    nn_bits_write(writer, !same, 1);
    if (same) {
        row_write_numbers(plan, mean + 1, writer, base + 1, row + 1);
    } else {
        nn_bits_write(writer, row[0], 2);
        row_write_whole(plan, writer, row + 1);
    }
}

static bool row_read_quaternion(const nn_field_plan* plan, uint16_t* mean, nn_bit_reader* reader, const uint32_t* base,
                                uint32_t* row)
{
    if (nn_bits_read(reader, 1)) {
        row[0] = (uint32_t)nn_bits_read(reader, 2);
        return row_read_whole(plan, reader, row + 1);
    }
    if (base) row[0] = base[0];
    return row_read_numbers(plan, mean + 1, reader, base ? base + 1 : NULL, row + 1);
}

/* ---- strings whole, bytes by their changed range */

static unsigned row_byte(const uint32_t* words, uint32_t index)
{
    return (words[index >> 2] >> (8 * (index & 3))) & 0xff;
}

static void row_set_byte(uint32_t* words, uint32_t index, unsigned byte)
{
    unsigned shift = 8 * (index & 3);
    words[index >> 2] = (words[index >> 2] & ~(0xffu << shift)) | (uint32_t)byte << shift;
}

static void row_write_string(const nn_field_plan* plan, nn_bit_writer* writer, const uint32_t* row)
{
    nn_bits_write(writer, row[0], plan->bits);
    for (uint32_t i = 0; i < row[0]; i++) nn_bits_write(writer, row_byte(row + 1, i), 8);
}

static bool row_read_string(const nn_field_plan* plan, nn_bit_reader* reader, uint32_t* row)
{
    uint32_t length = (uint32_t)nn_bits_read(reader, plan->bits);
    if (length >= plan->field->count) return false;
    memset(row, 0, plan->words * sizeof(uint32_t));
    row[0] = length;
    for (uint32_t i = 0; i < length; i++) {
        unsigned byte = (unsigned)nn_bits_read(reader, 8);
        if (byte == 0) return false; /* a NUL inside would make two rows of one text */
        row_set_byte(row + 1, i, byte);
    }
    return !reader->failed;
}

static void row_write_bytes(const nn_field_plan* plan, nn_bit_writer* writer, const uint32_t* base, const uint32_t* row)
{
    uint32_t begin = 0;
    uint32_t end = plan->field->count;
    while (begin + 1 < end && row_byte(base, begin) == row_byte(row, begin)) begin++;
    while (end - 1 > begin && row_byte(base, end - 1) == row_byte(row, end - 1)) end--;
    nn_bits_write(writer, begin, plan->bits);
    nn_bits_write(writer, end - begin - 1, plan->bits);
    for (uint32_t i = begin; i < end; i++) nn_bits_write(writer, row_byte(row, i), 8);
}

static bool row_read_bytes(const nn_field_plan* plan, nn_bit_reader* reader, const uint32_t* base, uint32_t* row)
{
    uint32_t begin = (uint32_t)nn_bits_read(reader, plan->bits);
    uint32_t end = begin + (uint32_t)nn_bits_read(reader, plan->bits) + 1;
    if (end > plan->field->count) return false;
    if (base) memcpy(row, base, plan->words * sizeof(uint32_t));
    for (uint32_t i = begin; i < end; i++) row_set_byte(row, i, (unsigned)nn_bits_read(reader, 8));
    return !reader->failed;
}

/* ---- whole rows */

NN_PRIVATE void nn_row_write(const nn_type_plan* plan, nn_bit_writer* writer, const uint32_t* row, bool owner)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        const uint32_t* at = row + field->word;
        if (!nn_field_visible(field, owner)) continue;
        switch (field->field->kind) {
        case NECPNET_FIELD_QUAT:
            nn_bits_write(writer, at[0], 2);
            row_write_whole(field, writer, at + 1);
            break;
        case NECPNET_FIELD_ENTITY: nn_bits_write(writer, at[0], 32); break;
        case NECPNET_FIELD_STRING: row_write_string(field, writer, at); break;
        case NECPNET_FIELD_BYTES:
            for (uint32_t j = 0; j < field->field->count; j++) nn_bits_write(writer, row_byte(at, j), 8);
            break;
        default: row_write_whole(field, writer, at); break;
        }
    }
}

NN_PRIVATE bool nn_row_read(const nn_type_plan* plan, nn_bit_reader* reader, uint32_t* row, bool owner)
{
    memcpy(row, plan->row_zeroes, plan->row_words * sizeof(uint32_t));
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        uint32_t* at = row + field->word;
        bool good = true;
        if (!nn_field_visible(field, owner)) continue;
        switch (field->field->kind) {
        case NECPNET_FIELD_QUAT:
            at[0] = (uint32_t)nn_bits_read(reader, 2);
            good = row_read_whole(field, reader, at + 1);
            break;
        case NECPNET_FIELD_ENTITY: at[0] = (uint32_t)nn_bits_read(reader, 32); break;
        case NECPNET_FIELD_STRING: good = row_read_string(field, reader, at); break;
        case NECPNET_FIELD_BYTES:
            for (uint32_t j = 0; j < field->field->count; j++) row_set_byte(at, j, (unsigned)nn_bits_read(reader, 8));
            break;
        default: good = row_read_whole(field, reader, at); break;
        }
        if (!good || reader->failed) return false;
    }
    return true;
}

/* ---- deltas */

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

NN_PRIVATE void nn_row_write_delta(const nn_type_plan* plan, uint16_t* model, nn_bit_writer* writer,
                                   const uint32_t* base, const uint32_t* row, bool owner)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!nn_field_visible(field, owner)) continue;
        bool changed = !row_field_equal(field, base, row);
        nn_bits_write(writer, changed, 1);
        if (!changed || field->field->kind == NECPNET_FIELD_BOOL) continue;
        const uint32_t* from = base + field->word;
        const uint32_t* at = row + field->word;
        uint16_t* mean = model + plan->model + field->word;
        switch (field->field->kind) {
        case NECPNET_FIELD_QUAT: row_write_quaternion(field, mean, writer, from, at); break;
        case NECPNET_FIELD_ENTITY: nn_bits_write(writer, at[0], 32); break;
        case NECPNET_FIELD_STRING: row_write_string(field, writer, at); break;
        case NECPNET_FIELD_BYTES: row_write_bytes(field, writer, from, at); break;
        default: row_write_numbers(field, mean, writer, from, at); break;
        }
    }
}

NN_PRIVATE bool nn_row_read_delta(const nn_type_plan* plan, uint16_t* model, nn_bit_reader* reader,
                                  const uint32_t* base, uint32_t* row, bool owner)
{
    if (base) memcpy(row, base, plan->row_words * sizeof(uint32_t));
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (!nn_field_visible(field, owner) || !nn_bits_read(reader, 1)) continue;
        const uint32_t* from = base ? base + field->word : NULL;
        uint32_t* at = row + field->word;
        uint16_t* mean = model + plan->model + field->word;
        bool good = true;
        switch (field->field->kind) {
        case NECPNET_FIELD_BOOL: at[0] ^= 1; break;
        case NECPNET_FIELD_QUAT: good = row_read_quaternion(field, mean, reader, from, at); break;
        case NECPNET_FIELD_ENTITY: at[0] = (uint32_t)nn_bits_read(reader, 32); break;
        case NECPNET_FIELD_STRING: good = row_read_string(field, reader, at); break;
        case NECPNET_FIELD_BYTES: good = row_read_bytes(field, reader, from, at); break;
        default: good = row_read_numbers(field, mean, reader, from, at); break;
        }
        if (!good) return false;
    }
    return !reader->failed;
}
