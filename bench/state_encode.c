/* bench/state_encode - what it costs to encode one entity of eight fields: predict it, code it; or copy its cached record.
 *
 * Compiles the whole library as part of itself, because the codec is not public. Beside it, in the same rounds, what
 * engines do that know nothing of prediction: rows copied and compressed with LZ4, and rows XORed with the known state and
 * compressed, 100 entities a frame. Figures: nanoseconds of CPU and bits an entity, the best of several rounds. decode: the
 * same records read.
 *
 *   integers    eight integers, two of which change now and then
 *   quaternion  position, rotation, angle, height and four integers of a character that walks and turns, known state 3 old
 *   smooth      the same in free flight: all predictors are asked
 *   cached      a record of the cache put into a frame
 *   thin        the quaternion case with the thin codec
 */
#define NECPNET_WITH_PLATFORM 0
#include "../necpnet.c"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ENTITIES 100
#define TICKS 128
#define LEAD 3
#define ROUNDS 15

typedef struct encode_thing {
    double position[3];
    double rotation[4];
    float heading;
    float height;
    int32_t numbers[8];
} encode_thing;

static const necpnet_field integer_fields[] = {
    NECPNET_INTEGER(encode_thing, numbers[0], 1, 0, 1000, 0),   NECPNET_INTEGER(encode_thing, numbers[1], 2, 0, 100, 0),
    NECPNET_INTEGER(encode_thing, numbers[2], 3, 0, 100, 0),    NECPNET_INTEGER(encode_thing, numbers[3], 4, 0, 7, 0),
    NECPNET_INTEGER(encode_thing, numbers[4], 5, 0, 1000, 0),   NECPNET_INTEGER(encode_thing, numbers[5], 6, 0, 255, 0),
    NECPNET_INTEGER(encode_thing, numbers[6], 7, 0, 100000, 0), NECPNET_INTEGER(encode_thing, numbers[7], 8, 0, 1, 0),
};
static const necpnet_field moving_fields[] = {
    NECPNET_VEC3(encode_thing, position, 1, -500, 500, 0.002, 0),
    NECPNET_QUAT(encode_thing, rotation, 2, 0.002, 0),
    NECPNET_ANGLE(encode_thing, heading, 3, 0.01, 0),
    NECPNET_FLOAT(encode_thing, height, 4, 0, 10, 0.01, 0),
    NECPNET_INTEGER(encode_thing, numbers[0], 5, 0, 1000, 0),
    NECPNET_INTEGER(encode_thing, numbers[1], 6, 0, 100, 0),
    NECPNET_INTEGER(encode_thing, numbers[2], 7, 0, 100, 0),
    NECPNET_INTEGER(encode_thing, numbers[3], 8, 0, 7, 0),
};

typedef struct encode_case {
    const char* name;
    necpnet_schema* schema;
    const nn_type_plan* plan;
    uint32_t words;
    uint32_t* rows; /* TICKS of each entity */
    bool thin;
} encode_case;

static nn_prediction prediction;
static nn_thin thin_scratch;
static uint8_t frame[1 << 16];
static uint64_t entropy = 1;
static uint64_t sink;

static uint64_t encode_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static double encode_random(void)
{
    entropy = entropy * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(entropy >> 11) / 9007199254740992.0;
}

/* One entity's ticks; rough: its speed changes at every tick, as of a body among others. */
static void encode_move(encode_case* c, uint32_t entity, double rough)
{
    encode_thing thing;
    double speed[3];
    double spin = 0.3 + encode_random();
    double turn = encode_random() * 6;
    memset(&thing, 0, sizeof thing);
    thing.numbers[1] = 100;
    for (int i = 0; i < 3; i++) speed[i] = encode_random() * 6 - 3;
    for (uint32_t t = 0; t < TICKS; t++) {
        for (int i = 0; i < 3; i++) {
            speed[i] += (encode_random() - 0.5) * rough;
            thing.position[i] += speed[i] / 60;
        }
        turn += spin / 60;
        spin += (encode_random() - 0.5) * rough / 3;
        thing.rotation[0] = sin(turn / 2) * 0.6;
        thing.rotation[1] = sin(turn / 2) * 0.8;
        thing.rotation[2] = 0;
        thing.rotation[3] = cos(turn / 2);
        thing.heading = (float)(turn / 2);
        thing.height = (float)(5 + speed[0]);
        if (encode_random() < 0.3) thing.numbers[0]++;
        if (encode_random() < 0.1) thing.numbers[1]--;
        nn_quantise(c->plan, &thing, c->rows + ((size_t)entity * TICKS + t) * c->words);
    }
}

static void encode_open(encode_case* c, const char* name, const necpnet_field* fields, double rough, bool thin)
{
    const necpnet_entity_type type = {"thing", 1, sizeof(encode_thing), fields, 8};
    memset(c, 0, sizeof *c);
    c->name = name;
    c->thin = thin;
    if (necpnet_schema_create(NULL, NULL, &type, 1, &c->schema)) abort();
    c->plan = &c->schema->plans[0];
    c->words = c->plan->row_words;
    c->rows = (uint32_t*)calloc((size_t)ENTITIES * TICKS * c->words, sizeof(uint32_t));
    if (!c->rows) abort();
    for (uint32_t i = 0; i < ENTITIES; i++) encode_move(c, i, rough);
}

static void encode_close(encode_case* c)
{
    free(c->rows);
    necpnet_schema_destroy(c->schema);
}

static uint32_t* encode_row(const encode_case* c, uint32_t entity, uint32_t tick)
{
    return c->rows + ((size_t)entity * TICKS + tick) * c->words;
}

static void encode_know(const encode_case* c, uint32_t entity, uint32_t tick, nn_timeline* timeline)
{
    timeline->now = tick;
    timeline->count = NN_TIMELINE_MAX;
    for (uint32_t i = 0; i < NN_TIMELINE_MAX; i++) {
        timeline->ticks[i] = tick - LEAD - i;
        timeline->rows[i] = encode_row(c, entity, tick - LEAD - i);
    }
}

static size_t encode_frame(const encode_case* c, uint32_t tick)
{
    nn_timeline timeline;
    nn_encoder encoder = nn_encoder_of(c->schema->tables, c->thin ? &thin_scratch : NULL, frame, sizeof frame);
    for (uint32_t i = 0; i < ENTITIES; i++) {
        encode_know(c, i, tick, &timeline);
        nn_predict(c->plan, &timeline, false, NULL, &prediction);
        nn_codec_write(&encoder, c->plan, &prediction, encode_row(c, i, tick), false, true);
    }
    return nn_encoder_end(&encoder);
}

static void decode_frame(const encode_case* c, uint32_t tick, size_t bytes)
{
    nn_timeline timeline;
    uint32_t row[64];
    nn_decoder decoder = nn_decoder_of(c->schema->tables, c->thin ? &thin_scratch : NULL, frame, bytes);
    for (uint32_t i = 0; i < ENTITIES; i++) {
        encode_know(c, i, tick, &timeline);
        nn_predict(c->plan, &timeline, false, NULL, &prediction);
        if (nn_codec_read(&decoder, c->plan, &prediction, row, false, true) != NN_CODEC_ROW) abort();
        if (memcmp(row, encode_row(c, i, tick), c->words * sizeof(uint32_t))) abort();
    }
}

/* The same frame as an engine sends it that compresses: rows, or what they differ by from the known ones. */
static size_t encode_naive(const encode_case* c, uint32_t tick, bool against)
{
    static uint32_t rows[ENTITIES * 64];
    for (uint32_t i = 0; i < ENTITIES; i++) {
        const uint32_t* row = encode_row(c, i, tick);
        const uint32_t* known = encode_row(c, i, tick - LEAD);
        uint32_t* to = rows + (size_t)i * c->words;
        for (uint32_t j = 0; j < c->words; j++) to[j] = against ? row[j] ^ known[j] : row[j];
    }
    size_t bytes = (size_t)ENTITIES * c->words * sizeof(uint32_t);
    size_t packed = nn_compress(rows, bytes, frame, sizeof frame);
    return packed ? packed : bytes;
}

/* what: 0 ours, 1 decode, 2 raw with LZ4, 3 XOR with LZ4. Returns nanoseconds an entity. */
static double encode_time(const encode_case* c, int what, double* bits)
{
    const uint32_t first = NN_TIMELINE_MAX + LEAD;
    double most = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t sum = 0;
        uint64_t spent = 0;
        for (uint32_t tick = first; tick < TICKS; tick++) {
            size_t bytes = what == 1 ? encode_frame(c, tick) : 0;
            uint64_t began = encode_now_ns();
            if (what == 0) bytes = encode_frame(c, tick);
            if (what == 1) decode_frame(c, tick, bytes);
            if (what >= 2) bytes = encode_naive(c, tick, what == 3);
            spent += encode_now_ns() - began;
            sum += bytes;
        }
        double updates = (double)(TICKS - first) * ENTITIES;
        *bits = (double)sum * 8 / updates;
        if ((double)spent / updates < most) most = (double)spent / updates;
    }
    return most;
}

/* A record of the size of the others, copied to changing places in a frame. */
static double encode_cached(unsigned bits)
{
    struct {
        nn_cached_record head;
        uint64_t data[NN_CACHE_RECORD_WORDS];
    } record;
    double most = 1e9;
    memset(&record, 0, sizeof record);
    record.head.bits = bits;
    for (size_t i = 0; i < NN_COUNT(record.data); i++) record.data[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = encode_now_ns();
        for (int i = 0; i < 100; i++) {
            nn_encoder encoder = nn_encoder_of(NULL, NULL, frame, sizeof frame);
            for (int j = 0; j < ENTITIES; j++) nn_records_put(&encoder, &record.head);
            sink += nn_encoder_end(&encoder);
        }
        double spent = (double)(encode_now_ns() - began) / (100.0 * ENTITIES);
        if (spent < most) most = spent;
    }
    return most;
}

static void encode_print(const char* name, const char* metric, double ours, const char* peer, double theirs)
{
    printf(
        "{\"bench\":\"state_encode\",\"case\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\",\"ours\":%.1f,\"peer\":\"%s\","
        "\"theirs\":%.1f,\"ratio\":%.2f}\n",
        name, metric, strstr(metric, "bits") ? "bits" : "ns", ours, peer, theirs, ours / theirs);
}

int main(void)
{
    encode_case cases[4];
    encode_open(&cases[0], "integers", integer_fields, 0, false);
    encode_open(&cases[1], "quaternion", moving_fields, 0.5, false);
    encode_open(&cases[2], "smooth", moving_fields, 0, false);
    encode_open(&cases[3], "thin", moving_fields, 0.5, true);
    double times[4][4];
    double bits[4][4];
    printf("%-12s %10s %10s %14s %14s\n", "", "encode", "decode", "raw + LZ4", "XOR + LZ4");
    for (int i = 0; i < 4; i++) {
        for (int what = 0; what < 4; what++) times[i][what] = encode_time(&cases[i], what, &bits[i][what]);
        printf("%-12s %7.0f ns %7.0f ns %11.0f ns %11.0f ns an entity\n", cases[i].name, times[i][0], times[i][1],
               times[i][2], times[i][3]);
        printf("%-12s %7.1f    %10s %14.1f %14.1f bits an entity\n", "", bits[i][0], "", bits[i][2], bits[i][3]);
    }
    unsigned record_bits = (unsigned)bits[1][0];
    double cached = encode_cached(record_bits);
    printf("%-12s %7.1f ns for %u bits\n", "cached", cached, record_bits);
    for (int i = 0; i < 4; i++) {
        const char* name = cases[i].name;
        encode_print(name, "encode_ns", times[i][0], nn_compress_is_built() ? "XOR+LZ4" : "XOR", times[i][3]);
        encode_print(name, "encode_ns", times[i][0], nn_compress_is_built() ? "raw+LZ4" : "raw", times[i][2]);
        encode_print(name, "bits", bits[i][0], nn_compress_is_built() ? "XOR+LZ4" : "XOR", bits[i][3]);
        encode_print(name, "bits", bits[i][0], nn_compress_is_built() ? "raw+LZ4" : "raw", bits[i][2]);
        encode_print(name, "decode_ns", times[i][1], "our encode", times[i][0]);
    }
    encode_print("cached", "encode_ns", cached, "our encode", times[1][0]);
    for (int i = 0; i < 4; i++) encode_close(&cases[i]);
    return sink == 0;
}
