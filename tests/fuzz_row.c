/* fuzz_row.c - schemas of any fields, and rows of them read from any bits.
 *
 * The input begins with a schema: the number of fields, then for each its kind, storage, count, flags and range. A schema
 * that is refused says why; of one that is taken, the rest of the input is read as structs (quantised, written, read:
 * equal), as the bits of a row and as those of a delta. A row that was read is written with the same length, and gives a
 * struct that quantises to it.
 */
#include "nn_bytes.h"
#include "nn_codec.h"
#include "nn_quantise.h"
#include "nn_row.h"

#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX 12

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static struct fuzz {
    necpnet_field fields[FIELDS_MAX];
    necpnet_entity_type type;
    necpnet_schema* schema;
    const char* line; /* of the refusal */
    nn_prediction prediction;
    nn_thin thin;
    uint8_t bits[16384];
    uint8_t state[NN_STRUCT_BYTES_MAX];
    uint32_t row[NN_ROW_WORDS_MAX];
    uint32_t base[NN_ROW_WORDS_MAX];
    uint32_t again[NN_ROW_WORDS_MAX];
} fuzz;

static void fuzz_check(bool condition, const char* what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_row: %s\n", what);
    abort();
}

static void on_log(necpnet_log_level level, const char* line, void* user)
{
    (void)level;
    (void)user;
    fuzz.line = line;
}

static double read_number(nn_reader* reader)
{
    /* Round numbers are what schemas have; every pattern of bits is what a caller may give. */
    uint8_t form = nn_read_u8(reader);
    uint64_t bits = nn_read_u64(reader);
    double value;
    switch (form % 4) {
    case 0: return (double)(int64_t)(bits & 0xffff) - 32768.0;
    case 1: return (double)(bits & 0xffff) / 1000.0;
    case 2: return (double)(int64_t)bits;
    default: memcpy(&value, &bits, sizeof value); return value;
    }
}

static void read_schema(nn_reader* reader)
{
    int count = nn_read_u8(reader) % FIELDS_MAX;
    uint32_t offset = 0;
    memset(&fuzz.fields, 0, sizeof fuzz.fields);
    for (int i = 0; i < count; i++) {
        necpnet_field* field = &fuzz.fields[i];
        uint8_t form = nn_read_u8(reader);
        field->name = "field";
        field->id = (uint16_t)(i + 1);
        field->kind = (uint8_t)((form & 15) % 12);
        field->storage_bytes = (uint8_t)(1u << ((form >> 4) & 3));
        field->count = form & 0x80 ? nn_read_u8(reader) : 1;
        uint8_t flags = nn_read_u8(reader);
        field->flags = flags & 0x80 ? (flags & 0x77u) | NECPNET_FIELD_ARRAY : flags & 0x7fu;
        if (form & 0x40) field->flags |= NECPNET_FIELD_BOUNDED;
        field->min = read_number(reader);
        field->max = read_number(reader);
        field->step = read_number(reader);
        offset = (offset + 7) & ~7u;
        field->offset = offset;
        offset += nn_field_bytes(field);
        if (!(field->flags & NECPNET_FIELD_BOUNDED)) continue;
        field->length_offset = offset;
        field->length_bytes = 1u << (flags & 3);
        offset += field->length_bytes;
    }
    fuzz.type.name = "type";
    fuzz.type.id = 1;
    fuzz.type.fields = fuzz.fields;
    fuzz.type.field_count = count;
    fuzz.type.struct_bytes = (offset + 7) & ~7u;
    necpnet_logger logger = {on_log, NULL, NECPNET_LOG_TRACE};
    fuzz.line = NULL;
    necpnet_result result = necpnet_schema_create(NULL, &logger, &fuzz.type, 1, &fuzz.schema);
    fuzz_check(result == NECPNET_OK || result == NECPNET_ERR_BAD_SCHEMA, "a schema ends otherwise");
    fuzz_check(result == NECPNET_OK || fuzz.line != NULL, "a schema is refused without a word");
}

/* Whether the struct's number tells all steps apart. */
static bool storage_holds_steps(const necpnet_field* field)
{
    double largest = field->max > -field->min ? field->max : -field->min;
    if (field->kind != NECPNET_FIELD_FLOAT && field->kind != NECPNET_FIELD_VEC2 && field->kind != NECPNET_FIELD_VEC3) {
        return true;
    }
    return field->step > 1e-30 &&
           largest / field->step < (field->storage_bytes == 4 ? 4194304.0 : 4294967296.0 * 262144.0);
}

/* Field by field; bits may name three components that belong to no unit quaternion. */
static void check_same_struct(const nn_type_plan* plan, const uint32_t* a, const uint32_t* b)
{
    for (unsigned i = 0; i < plan->field_count; i++) {
        const nn_field_plan* field = &plan->fields[i];
        if (field->field->kind == NECPNET_FIELD_QUAT || !storage_holds_steps(field->field)) continue;
        fuzz_check(!memcmp(a + field->word, b + field->word, field->words * sizeof(uint32_t)),
                   "a struct quantises differently");
    }
}

static void fuzz_struct(const nn_type_plan* plan, nn_reader* reader, bool owner)
{
    size_t bytes = reader->failed ? 0 : nn_min_size(nn_reader_left(reader), sizeof fuzz.state);
    memset(fuzz.state, 0, sizeof fuzz.state);
    if (bytes) memcpy(fuzz.state, nn_read_view(reader, bytes), bytes);
    /* A bool that is neither 0 nor 1 is no bool in C. */
    for (int i = 0; i < fuzz.type.field_count; i++) {
        const necpnet_field* field = &fuzz.fields[i];
        for (uint32_t k = 0; field->kind == NECPNET_FIELD_BOOL && k < field->count; k++) {
            fuzz.state[field->offset + k] &= 1;
        }
    }
    (void)nn_quantise(plan, fuzz.state, fuzz.row);
    nn_encoder encoder = nn_encoder_of(fuzz.schema->tables, NULL, fuzz.bits, sizeof fuzz.bits);
    nn_row_write(plan, &encoder, fuzz.row, owner);
    fuzz_check(!encoder.bits.failed && encoder.bits.bit_count <= NN_STATE_BYTES_MAX * 8, "a row is too large");
    nn_decoder bits = nn_decoder_of(fuzz.schema->tables, NULL, fuzz.bits, nn_encoder_end(&encoder));
    fuzz_check(nn_row_read(plan, &bits, fuzz.again, owner), "a row does not come back");
    fuzz_check(nn_row_visible_equal(plan, fuzz.row, fuzz.again, owner), "a row comes back differently");
    nn_dequantise(plan, fuzz.row, fuzz.state);
    (void)nn_quantise(plan, fuzz.state, fuzz.again);
    check_same_struct(plan, fuzz.row, fuzz.again);
}

/* A delta of any bits: what reads is in range, and comes back when it is written. */
static void fuzz_delta(const nn_type_plan* plan, const uint8_t* data, size_t size, bool owner, bool thin)
{
    nn_thin* state = thin ? &fuzz.thin : NULL;
    nn_timeline timeline;
    memset(&timeline, 0, sizeof timeline);
    timeline.now = 10;
    timeline.count = (uint32_t)(size % 3) + 1;
    for (uint32_t i = 0; i < timeline.count; i++) { /* between what was read and zeroes */
        timeline.ticks[i] = 9 - 2 * i;
        timeline.rows[i] = i == 1 ? plan->row_zeroes : fuzz.base;
    }
    nn_predict(plan, &timeline, owner, NULL, &fuzz.prediction);
    nn_decoder bits = nn_decoder_of(fuzz.schema->tables, state, data, size);
    bool may_skip = size % 2 != 0;
    if (nn_codec_read(&bits, plan, &fuzz.prediction, fuzz.row, owner, may_skip) != NN_CODEC_ROW) return;
    nn_encoder encoder = nn_encoder_of(fuzz.schema->tables, state, fuzz.bits, sizeof fuzz.bits);
    nn_codec_write(&encoder, plan, &fuzz.prediction, fuzz.row, owner, may_skip);
    fuzz_check(!encoder.bits.failed, "a delta does not fit");
    bits = nn_decoder_of(fuzz.schema->tables, state, fuzz.bits, nn_encoder_end(&encoder));
    fuzz_check(nn_codec_read(&bits, plan, &fuzz.prediction, fuzz.again, owner, may_skip) == NN_CODEC_ROW,
               "a delta does not come back");
    fuzz_check(nn_row_visible_equal(plan, fuzz.row, fuzz.again, owner), "a delta comes back differently");
    nn_dequantise(plan, fuzz.row, fuzz.state);
}

static void fuzz_bits(const nn_type_plan* plan, const uint8_t* data, size_t size, bool owner)
{
    nn_decoder bits = nn_decoder_of(fuzz.schema->tables, NULL, data, size);
    if (!nn_row_read(plan, &bits, fuzz.base, owner)) return;
    nn_encoder encoder = nn_encoder_of(fuzz.schema->tables, NULL, fuzz.bits, sizeof fuzz.bits);
    nn_row_write(plan, &encoder, fuzz.base, owner);
    fuzz_check(!encoder.bits.failed && encoder.bits.bit_count == bits.bits.bit_at,
               "a row that was read has another length");
    nn_dequantise(plan, fuzz.base, fuzz.state);
    (void)nn_quantise(plan, fuzz.state, fuzz.again);
    check_same_struct(plan, fuzz.base, fuzz.again);
    size_t used = (bits.bits.bit_at + 7) / 8;
    fuzz_delta(plan, data + used, size - used, owner, false);
    fuzz_delta(plan, data + used, size - used, owner, true);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    nn_reader reader = nn_reader_of(data, size);
    read_schema(&reader);
    if (!fuzz.schema) return 0;
    const nn_type_plan* plan = &fuzz.schema->plans[0];
    bool owner = nn_read_u8(&reader) & 1;
    size_t left = reader.failed ? 0 : nn_reader_left(&reader);
    fuzz_bits(plan, data + size - left, left, owner);
    fuzz_struct(plan, &reader, owner);
    necpnet_schema_destroy(fuzz.schema);
    fuzz.schema = NULL;
    return 0;
}
