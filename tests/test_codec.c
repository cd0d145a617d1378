/* test_codec - states against what is predicted of them: random schemas, motion and timelines through both codecs and back;
 * what bits cost; hostile bits. Huffman codes and tables beside. */
#include "test.h"

#include "kit_state.h"
#include "nn_codec.h"
#include "nn_hash.h"
#include "nn_quantise.h"
#include "nn_row.h"

#define STATES 40 /* of an entity's past */

typedef struct scene {
    kit_schema kit;
    necpnet_schema* schema;
    nn_random random;
    nn_prediction prediction;
    nn_thin thin;
    nn_thin other_thin;
    uint32_t rows[STATES][NN_ROW_WORDS_MAX];
    uint32_t ticks[STATES];
    uint8_t bytes[65536];
} scene;

static scene the_scene;

static scene* begin(uint64_t seed, bool restricted)
{
    scene* s = &the_scene;
    memset(s, 0, sizeof *s);
    nn_random_seed(&s->random, seed);
    kit_schema_random(&s->kit, &s->random, restricted);
    necpnet_allocator allocator = test_allocator();
    TEST_OK(necpnet_schema_create(&allocator, NULL, s->kit.types, s->kit.type_count, &s->schema));
    return s;
}

static const nn_type_plan* any_plan(scene* s)
{
    return &s->schema->plans[nn_random_below(&s->random, (uint64_t)s->schema->type_count)];
}

/* Random motion: rows by rising tick, gaps of 1 mostly. hidden: fields that the client does not see are as of zeroes. */
static void play(scene* s, const nn_type_plan* plan, bool owner)
{
    static uint8_t state[4096];
    uint32_t tick = 1 + (uint32_t)nn_random_below(&s->random, 1000);
    kit_state_random(plan->type, &s->random, state);
    for (int i = 0; i < STATES; i++) {
        if (i > 0 && nn_random_below(&s->random, 4)) kit_state_move(plan->type, &s->random, state);
        nn_quantise(plan, state, s->rows[i]);
        for (unsigned j = 0; j < plan->field_count; j++) {
            const nn_field_plan* field = &plan->fields[j];
            if (nn_field_visible(field, owner)) continue;
            memcpy(s->rows[i] + field->word, plan->row_zeroes + field->word, field->words * sizeof(uint32_t));
        }
        s->ticks[i] = tick;
        tick += nn_random_below(&s->random, 5) ? 1 : 1 + (uint32_t)nn_random_below(&s->random, 20);
    }
}

/* Known states of before row `at`, some of them missing. */
static void know(scene* s, int at, nn_timeline* timeline)
{
    int lag = 1 + (int)nn_random_below(&s->random, 6);
    timeline->now = s->ticks[at];
    timeline->count = 0;
    for (int i = at - lag; i >= 0 && timeline->count < NN_TIMELINE_MAX; i--) {
        if (timeline->count && nn_random_below(&s->random, 4) == 0) continue;
        timeline->ticks[timeline->count] = s->ticks[i];
        timeline->rows[timeline->count++] = s->rows[i];
        if (nn_random_below(&s->random, 30) == 0) break;
    }
}

/* A frame of many records: each reads back bit for bit, and so do plain numbers between them. */
static void check_frame(scene* s, bool thin)
{
    enum { RECORDS = 12 };
    const nn_type_plan* plan = any_plan(s);
    bool owner = nn_random_below(&s->random, 2) != 0;
    nn_timeline timelines[RECORDS];
    int rows[RECORDS];
    bool skipped[RECORDS];
    bool may_skip[RECORDS];
    play(s, plan, owner);
    nn_encoder encoder = nn_encoder_of(s->schema->tables, thin ? &s->thin : NULL, s->bytes, sizeof s->bytes);
    for (int i = 0; i < RECORDS; i++) {
        rows[i] = 8 + (int)nn_random_below(&s->random, STATES - 8);
        may_skip[i] = nn_random_below(&s->random, 2) != 0;
        skipped[i] = may_skip[i] && nn_random_below(&s->random, 4) == 0;
        know(s, rows[i], &timelines[i]);
        nn_predict(plan, &timelines[i], owner, NULL, &s->prediction);
        if (skipped[i]) {
            nn_codec_write_skip(&encoder, plan, &s->prediction, owner);
        } else {
            nn_codec_write(&encoder, plan, &s->prediction, s->rows[rows[i]], owner, may_skip[i]);
        }
        nn_put_golomb(&encoder, (uint64_t)i * 1000, (unsigned)i);
    }
    TEST_CHECK(!encoder.bits.failed);
    nn_decoder decoder =
        nn_decoder_of(s->schema->tables, thin ? &s->other_thin : NULL, s->bytes, nn_encoder_end(&encoder));
    for (int i = 0; i < RECORDS; i++) {
        uint32_t got[NN_ROW_WORDS_MAX];
        TEST_HINT("record %d, thin %d", i, thin);
        nn_predict(plan, &timelines[i], owner, NULL, &s->prediction);
        nn_codec_result result = nn_codec_read(&decoder, plan, &s->prediction, got, owner, may_skip[i]);
        TEST_EQUAL(result, skipped[i] ? NN_CODEC_SKIP : NN_CODEC_ROW);
        if (!skipped[i]) TEST_EQUAL_BYTES(got, s->rows[rows[i]], plan->row_words * sizeof(uint32_t));
        TEST_EQUAL(nn_get_golomb(&decoder, (unsigned)i), (uint64_t)i * 1000);
    }
    TEST_CHECK(!decoder.bits.failed);
    TEST_CHECK(!nn_decoder_left(&decoder));
}

TEST(test_codec_records_come_back_in_both_codecs)
{
    TEST_EACH_SEED (seed, 400) {
        scene* s = begin(seed, true);
        for (int i = 0; i < 4; i++) check_frame(s, i % 2 != 0);
        necpnet_schema_destroy(s->schema);
    }
}

/* ---- what it costs */

typedef struct body {
    float position[3];
    float rotation[4];
    bool flag;
} body;

static const necpnet_field body_fields[] = {
    NECPNET_VEC3(body, position, 1, -1000, 1000, 0.01, NECPNET_FIELD_INTERPOLATE),
    NECPNET_QUAT(body, rotation, 2, 0.001, NECPNET_FIELD_INTERPOLATE),
    NECPNET_BOOL(body, flag, 3, 0),
};

/* Bits of one record of a body that moves evenly, or by parabola, seen from lag ticks before. */
static size_t cost_of_motion(scene* s, bool thin, int lag, double bend, double off)
{
    const necpnet_entity_type type = {"body", 1, sizeof(body), body_fields, 3};
    necpnet_allocator allocator = test_allocator();
    nn_timeline timeline;
    memset(s, 0, sizeof *s);
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &s->schema));
    const nn_type_plan* plan = &s->schema->plans[0];
    for (int i = 0; i < STATES; i++) {
        body b = {{0, 0, 0}, {0, 0, 0, 1}, true};
        for (int j = 0; j < 3; j++) b.position[j] = (float)(0.05 * (j + 1) * i + bend * i * i + (i == 39 ? off : 0));
        nn_quantise(plan, &b, s->rows[i]);
    }
    timeline.now = STATES;
    timeline.count = NN_TIMELINE_MAX < STATES - lag ? NN_TIMELINE_MAX : (uint32_t)(STATES - lag);
    for (uint32_t i = 0; i < timeline.count; i++) {
        timeline.ticks[i] = (uint32_t)(STATES - lag) - i;
        timeline.rows[i] = s->rows[STATES - 1 - lag - (int)i];
    }
    nn_predict(plan, &timeline, false, NULL, &s->prediction);
    nn_encoder encoder = nn_encoder_of(s->schema->tables, thin ? &s->thin : NULL, s->bytes, sizeof s->bytes);
    nn_codec_write(&encoder, plan, &s->prediction, s->rows[STATES - 1], false, true);
    size_t bits = thin ? nn_encoder_end(&encoder) * 8 : encoder.bits.bit_count;
    necpnet_schema_destroy(s->schema);
    return bits;
}

TEST(test_codec_what_moves_as_predicted_costs_a_bit)
{
    for (int lag = 1; lag < 8; lag++) {
        TEST_HINT("lag %d", lag);
        TEST_AT_MOST(cost_of_motion(&the_scene, false, lag, 0, 0), 2);
        TEST_AT_MOST(cost_of_motion(&the_scene, false, lag, 0.01, 0), 2);
        TEST_AT_MOST(cost_of_motion(&the_scene, true, lag, 0, 0), 8); /* no less than a byte alone */
    }
}

TEST(test_codec_a_jump_is_written_whatever_it_costs)
{
    size_t near = cost_of_motion(&the_scene, false, 3, 0, 1);
    size_t far = cost_of_motion(&the_scene, false, 3, 0, 300);
    TEST_LESS(near, far);
    TEST_AT_MOST(far, 150);
}

TEST(test_codec_nothing_changed_costs_an_event)
{
    TEST_EACH_SEED (seed, 50) {
        scene* s = begin(seed, false);
        const nn_type_plan* plan = any_plan(s);
        nn_timeline timeline;
        play(s, plan, false);
        timeline.now = 100;
        timeline.count = 5;
        for (uint32_t i = 0; i < 5; i++) {
            timeline.ticks[i] = 90 - i;
            timeline.rows[i] = s->rows[0];
        }
        nn_predict(plan, &timeline, false, NULL, &s->prediction);
        TEST_EQUAL(s->prediction.moving, 0);
        nn_encoder encoder = nn_encoder_of(s->schema->tables, NULL, s->bytes, sizeof s->bytes);
        nn_codec_write(&encoder, plan, &s->prediction, s->rows[0], false, true);
        TEST_AT_MOST(encoder.bits.bit_count, 1);
        necpnet_schema_destroy(s->schema);
    }
}

/* ---- the same everywhere */

/* Frames of a fixed motion, as their hash: a change of it is a change of the protocol. */
static uint64_t hash_of_motion(scene* s, bool thin)
{
    const necpnet_entity_type type = {"body", 1, sizeof(body), body_fields, 3};
    necpnet_allocator allocator = test_allocator();
    uint64_t hash = NN_FNV1A64_BASIS;
    memset(s, 0, sizeof *s);
    TEST_OK(necpnet_schema_create(&allocator, NULL, &type, 1, &s->schema));
    const nn_type_plan* plan = &s->schema->plans[0];
    uint32_t noise = 1;
    for (uint32_t i = 0; i < STATES; i++) { /* a throw, a turn, some trembling */
        uint32_t* row = s->rows[i];
        noise = noise * 1664525u + 1013904223u;
        row[0] = 100000 + i * 7 + (noise >> 30);
        row[1] = 100000 + i * 40 - i * i;
        row[2] = 99990 + (i > 20 ? 0 : i);
        row[3] = i < 30 ? 3 : 0;
        row[4] = 707 + i * 9;
        row[5] = 700 + (noise >> 29);
        row[6] = i < 30 ? 690 + i * 20 : 1300 - i;
        row[7] = i / 16 & 1;
    }
    for (uint32_t at = 8; at < STATES; at++) {
        nn_timeline timeline;
        nn_encoder encoder = nn_encoder_of(s->schema->tables, thin ? &s->thin : NULL, s->bytes, sizeof s->bytes);
        for (uint32_t lag = 1; lag < 8; lag++) {
            timeline.now = 1000 + at;
            timeline.count = 0;
            for (uint32_t i = at - lag; timeline.count < NN_TIMELINE_MAX; i--) {
                if (i % 5 != 3 || lag < 4) { /* some are not known */
                    timeline.ticks[timeline.count] = 1000 + i;
                    timeline.rows[timeline.count++] = s->rows[i];
                }
                if (i == 0) break;
            }
            nn_predict(plan, &timeline, false, NULL, &s->prediction);
            nn_codec_write(&encoder, plan, &s->prediction, s->rows[at], false, lag % 2 != 0);
        }
        hash = nn_fnv1a64(hash, s->bytes, nn_encoder_end(&encoder));
    }
    necpnet_schema_destroy(s->schema);
    return hash;
}

TEST(test_codec_writes_the_same_bits_on_every_machine)
{
    TEST_EQUAL(hash_of_motion(&the_scene, false), UINT64_C(6591898796130091227));
    TEST_EQUAL(hash_of_motion(&the_scene, true), UINT64_C(9731504002176240214));
}

/* ---- hostile */

/* Whatever the bits say: what is taken lies within its range, and nothing is written behind the row. */
TEST(test_codec_random_bits_give_valid_rows_or_none)
{
    TEST_EACH_SEED (seed, 400) {
        scene* s = begin(seed, true);
        struct test_random random = test_random_begin(seed);
        uint32_t row[NN_ROW_WORDS_MAX + 1];
        uint32_t taken = 0;
        for (int i = 0; i < 20; i++) {
            const nn_type_plan* plan = any_plan(s);
            nn_timeline timeline;
            bool thin = i % 2 != 0;
            play(s, plan, false);
            know(s, 20, &timeline);
            size_t bytes = (size_t)test_random_below(&random, 300);
            test_random_bytes(&random, s->bytes, bytes);
            nn_predict(plan, &timeline, false, NULL, &s->prediction);
            nn_decoder decoder = nn_decoder_of(s->schema->tables, thin ? &s->thin : NULL, s->bytes, bytes);
            row[plan->row_words] = 0xdecade;
            nn_codec_result result = nn_codec_read(&decoder, plan, &s->prediction, row, false, false);
            TEST_EQUAL(row[plan->row_words], 0xdecade);
            if (result != NN_CODEC_ROW) continue;
            taken++;
            nn_encoder encoder = nn_encoder_of(s->schema->tables, NULL, s->bytes, sizeof s->bytes);
            nn_row_write(plan, &encoder, row, false); /* a row that is valid comes back whole */
            decoder = nn_decoder_of(s->schema->tables, NULL, s->bytes, nn_encoder_end(&encoder));
            uint32_t got[NN_ROW_WORDS_MAX];
            TEST_CHECK(nn_row_read(plan, &decoder, got, false));
            TEST_CHECK(nn_row_visible_equal(plan, row, got, false));
        }
        TEST_CHECK(taken > 0 || seed > 0);
        necpnet_schema_destroy(s->schema);
    }
}

/* ---- codes and tables */

TEST(test_huffman_lengths_are_the_best_and_codes_come_back)
{
    static const uint64_t weights[5] = {40, 30, 15, 10, 5};
    static const uint8_t expected[5] = {1, 2, 3, 4, 4};
    uint8_t bits[64];
    nn_huffman_lengths(weights, 5, bits);
    TEST_EQUAL_BYTES(bits, expected, 5);
    TEST_EACH_SEED (seed, 200) {
        struct test_random random = test_random_begin(seed);
        uint64_t any[64];
        uint32_t codes[64];
        uint8_t sorted[64];
        uint8_t buffer[128];
        unsigned count = 2 + (unsigned)test_random_below(&random, 63);
        for (unsigned i = 0; i < count; i++) any[i] = UINT64_C(1) << test_random_below(&random, 40);
        nn_huffman_lengths(any, count, bits);
        nn_huffman huffman;
        memset(&huffman, 0, sizeof huffman);
        huffman.codes = codes;
        huffman.bits = bits;
        huffman.sorted = sorted;
        huffman.symbol_count = (uint8_t)count;
        TEST_CHECK(nn_huffman_build(&huffman));
        nn_bit_writer writer = nn_bit_writer_of(buffer, sizeof buffer);
        for (unsigned i = 0; i < count; i++) nn_huffman_write(&huffman, &writer, i);
        TEST_CHECK(!writer.failed);
        nn_bit_reader reader = nn_bit_reader_of(buffer, sizeof buffer);
        for (unsigned i = 0; i < count; i++) TEST_EQUAL(nn_huffman_read(&huffman, &reader), i);
        TEST_EQUAL(reader.bit_at, writer.bit_count);
        bits[0]++; /* no longer complete */
        TEST_CHECK(!nn_huffman_build(&huffman));
    }
}

TEST(test_tables_refuse_what_is_no_blob)
{
    static nn_tables tables;
    static uint8_t copy[16384];
    size_t bytes;
    const uint8_t* blob = nn_tables_blob(&bytes);
    TEST_LESS(bytes, sizeof copy);
    TEST_CHECK(nn_tables_load(&tables, blob, bytes));
    memcpy(copy, blob, bytes);
    for (size_t cut = 0; cut < bytes; cut += 97) TEST_CHECK(!nn_tables_load(&tables, copy, cut));
    TEST_CHECK(!nn_tables_load(&tables, copy, bytes + 1));
    copy[4]++; /* version */
    TEST_CHECK(!nn_tables_load(&tables, copy, bytes));
    copy[4]--;
    copy[5 + 2 * NN_EVENT_LEVELS + NN_CONTEXT_EVENTS] ^= 1; /* a length */
    TEST_CHECK(!nn_tables_load(&tables, copy, bytes));
    copy[5 + 2 * NN_EVENT_LEVELS + NN_CONTEXT_EVENTS] ^= 1;
    TEST_CHECK(nn_tables_load(&tables, copy, bytes));
}

TEST_MAIN
