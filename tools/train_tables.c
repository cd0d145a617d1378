/* tools/train_tables - learn the state codec's tables from recorded and simulated motion, and print src/nn_tables_data.c.
 *
 *   cc -O2 -I. -o build/train_tables tools/train_tables.c -lm
 *   build/train_tables [--check] [--frames MOST] [FILE.bin:OBJECTS:QUATERNION_MAX ..] [--held FILE.bin:.. ..] > src/nn_tables_data.c
 *   build/train_tables --blob TABLES.bin [--frames MOST] [FILE.bin:OBJECTS:QUATERNION_MAX ..]
 *
 * A FILE holds little-endian int32, eight for each frame and object: largest, a, b, c (0 .. QUATERNION_MAX), x, y, z, flag.
 * Beside the files come scenes of characters, vehicles and shots that are simulated here, so that fields of other kinds
 * are learned, too. Each scene is written as a client would get it, with baselines 1 to 10 frames old, through the codec
 * itself, which counts its symbols (NN_CODER_COUNT). All scenes weigh the same. The first two thirds of each are learned;
 * the sizes that the tables give for the rest, for scenes of other seeds and for files behind --held, of which nothing is learned, go
 * to stderr. --check prints those of the
 * tables in use and learns nothing. --blob writes what necpnet_schema_set_tables takes, for a game's own.
 */
#define NECPNET_UNAMALGAMATED 1
#define NN_CODER_COUNT(what, index, symbol) train_count(what, index, symbol)
static void train_count(int what, unsigned index, unsigned symbol);

#include "../src/nn_alloc.c"
#include "../src/nn_bank.c"
#include "../src/nn_bits.c"
#include "../src/nn_bytes.c"
#include "../src/nn_codec.c"
#include "../src/nn_coder.c"
#include "../src/nn_course.c"
#include "../src/nn_hash.c"
#include "../src/nn_huffman.c"
#include "../src/nn_log.c"
#include "../src/nn_lead.c"
#include "../src/nn_predict.c"
#include "../src/nn_quaternion.c"
#include "../src/nn_row.c"
#include "../src/nn_schema.c"
#include "../src/nn_schema_check.c"
#include "../src/nn_series.c"
#include "../src/nn_tables.c"
#include "../src/nn_tables_data.c"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TRAIN_WARM (NN_TIMELINE_MAX + 10) /* frames before the first that counts: what the oldest baseline knows */
#define TRAIN_STILL 3 /* an entity that was the same in so many known states is written only when it changes */

/* Counted symbols: sizes, groups, thin contexts, events. */
static double train_counts[4][NN_CONTEXTS][64];
static double train_weight;
static unsigned train_frames = UINT32_MAX; /* of a scene at most, from its middle on */

static void train_count(int what, unsigned index, unsigned symbol)
{
    train_counts[what][index][symbol] += train_weight;
}

/* ---- scenes: rows of all objects and frames */

typedef struct train_scene {
    const char* name;
    necpnet_schema* schema;
    unsigned words;
    unsigned objects;
    unsigned frames;
    uint32_t* rows;
} train_scene;

static uint32_t* train_row(const train_scene* scene, unsigned frame, unsigned object)
{
    return scene->rows + ((size_t)frame * scene->objects + object) * scene->words;
}

static void train_open(train_scene* scene, const necpnet_entity_type* type, unsigned objects, unsigned frames)
{
    if (necpnet_schema_create(NULL, NULL, type, 1, &scene->schema)) abort();
    scene->words = scene->schema->plans[0].row_words;
    scene->objects = objects;
    scene->frames = frames;
    scene->rows = (uint32_t*)calloc((size_t)objects * frames * scene->words, sizeof(uint32_t));
    if (!scene->rows) abort();
}

typedef struct train_object {
    double position[3];
    double rotation[4];
    bool flag;
} train_object;

static bool train_read_file(train_scene* scene, const char* text)
{
    static char path[1000];
    unsigned objects;
    int most;
    if (sscanf(text, "%999[^:]:%u:%d", path, &objects, &most) != 3) return false;
    FILE* file = fopen(path, "rb");
    if (!file) return false;
    fseek(file, 0, SEEK_END);
    unsigned frames = (unsigned)((size_t)ftell(file) / (objects * 32));
    unsigned used = frames < train_frames ? frames : train_frames;
    fseek(file, (long)((frames - used) / 2 * objects * 32), SEEK_SET);
    frames = used;
    const necpnet_field fields[] = {
        NECPNET_VEC3(train_object, position, 1, -1e6, 1e6, 0.001, NECPNET_FIELD_INTERPOLATE),
        NECPNET_QUAT(train_object, rotation, 2, 2 * 0.7071067811865476 / most, NECPNET_FIELD_INTERPOLATE),
        NECPNET_BOOL(train_object, flag, 3, 0),
    };
    const necpnet_entity_type type = {"object", 1, sizeof(train_object), fields, 3};
    train_open(scene, &type, objects, frames);
    scene->name = text;
    for (unsigned i = 0; i < frames * objects; i++) {
        int32_t record[8];
        if (fread(record, sizeof record, 1, file) != 1) return false;
        uint32_t* row = scene->rows + (size_t)i * scene->words;
        for (int j = 0; j < 3; j++) row[j] = (uint32_t)(record[4 + j] + 1000000000);
        for (int j = 0; j < 4; j++) row[3 + j] = (uint32_t)record[j];
        row[7] = record[7] != 0;
    }
    fclose(file);
    return true;
}

/* Characters on a plane that walk, run, stop and turn; and shoot, are hurt and heal. */
typedef struct train_character {
    float position[2];
    float heading;
    float height;
    uint8_t health;
    uint16_t ammunition;
    uint8_t action;
    uint32_t score;
} train_character;

static double train_random(uint64_t* seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

static void train_simulate(train_scene* scene, const char* name, uint64_t seed, double step, double hz)
{
    const necpnet_field fields[] = {
        NECPNET_VEC2(train_character, position, 1, -500, 500, step, NECPNET_FIELD_INTERPOLATE),
        NECPNET_ANGLE(train_character, heading, 2, 0.01, NECPNET_FIELD_INTERPOLATE),
        NECPNET_FLOAT(train_character, height, 3, -10, 100, step, NECPNET_FIELD_INTERPOLATE),
        NECPNET_INTEGER(train_character, health, 4, 0, 100, 0),
        NECPNET_INTEGER(train_character, ammunition, 5, 0, 999, 0),
        NECPNET_ENUM(train_character, action, 6, 7, 0),
        NECPNET_INTEGER(train_character, score, 7, 0, 1000000, 0),
    };
    const necpnet_entity_type type = {"character", 1, sizeof(train_character), fields, 7};
    train_open(scene, &type, 100, (unsigned)(60 * hz));
    scene->name = name;
    for (unsigned i = 0; i < scene->objects; i++) {
        double x = 500, y = 500, heading = 3, turning = 0, speed = 0, wanted = 0, height = 10, lift = 0;
        double health = 100, ammunition = 30, score = 0;
        unsigned action = 0;
        for (unsigned t = 0; t < scene->frames; t++) {
            double tick = 1 / hz;
            if (train_random(&seed) < tick / 2) wanted = train_random(&seed) < 0.3 ? 0 : 2 + 5 * train_random(&seed);
            if (train_random(&seed) < tick) turning = train_random(&seed) < 0.5 ? 0 : 4 * train_random(&seed) - 2;
            if (train_random(&seed) < tick / 4 && height <= 10) lift = 5;
            speed += (wanted - speed) * fmin(1, 8 * tick);
            if (speed < 0.01) turning = 0;
            heading += turning * tick;
            x = fmin(fmax(x + cos(heading) * speed * tick, 0), 1000);
            y = fmin(fmax(y + sin(heading) * speed * tick, 0), 1000);
            height += lift * tick;
            lift -= 9.81 * tick;
            if (height < 10) height = 10, lift = 0;
            if (train_random(&seed) < tick / 3) health = fmax(0, health - floor(30 * train_random(&seed)));
            if (train_random(&seed) < tick) health = fmin(100, health + 1);
            if (train_random(&seed) < tick) action = (unsigned)(8 * train_random(&seed));
            if (action == 3 && train_random(&seed) < 8 * tick) ammunition = ammunition > 0 ? ammunition - 1 : 30;
            if (train_random(&seed) < tick / 10) score += floor(100 * train_random(&seed));
            uint32_t* row = train_row(scene, t, i);
            row[0] = (uint32_t)(x / step);
            row[1] = (uint32_t)(y / step);
            row[2] = (uint32_t)fmod(heading * 100 + 62800, 628);
            row[3] = (uint32_t)(height / step);
            row[4] = (uint32_t)health;
            row[5] = (uint32_t)ammunition;
            row[6] = action;
            row[7] = (uint32_t)score;
        }
    }
}

/* ---- writing a scene as a client would get it */

static bool train_equal(const train_scene* scene, unsigned a, unsigned b, unsigned object)
{
    return !memcmp(train_row(scene, a, object), train_row(scene, b, object), scene->words * sizeof(uint32_t));
}

static bool train_moves(const train_scene* scene, unsigned newest, unsigned object)
{
    for (unsigned i = 1; i < TRAIN_STILL; i++) {
        if (!train_equal(scene, newest, newest - i, object)) return true;
    }
    return false;
}

static void train_know(const train_scene* scene, unsigned frame, unsigned age, unsigned object, bool moving,
                       nn_timeline* timeline)
{
    timeline->now = frame;
    timeline->count = moving ? NN_TIMELINE_MAX : 1;
    for (unsigned i = 0; i < timeline->count; i++) {
        timeline->ticks[i] = frame - age - i;
        timeline->rows[i] = train_row(scene, frame - age - i, object);
    }
}

/* The first object of a scene is what others may ride on, while it moves. */
static void train_lead(const train_scene* scene, unsigned frame, unsigned age, nn_leads* leads)
{
    nn_timeline timeline;
    leads->count = 0;
    if (!train_moves(scene, frame - age, 0)) return;
    train_know(scene, frame, age, 0, true, &timeline);
    leads->count = 1;
    leads->leads[0].place = 1;
    nn_lead_set(&leads->leads[0], &scene->schema->plans[0], &timeline, train_row(scene, frame, 0));
}

/* Frames from first to last, each predicted from those age and more frames before. Returns bits; updates are counted. */
static double train_write(const train_scene* scene, const nn_tables* tables, bool thin, unsigned age, unsigned first,
                          unsigned last, double* updates)
{
    static nn_thin state;
    static uint8_t bytes[1 << 20];
    static nn_prediction prediction;
    static nn_leads leads;
    const nn_type_plan* plan = &scene->schema->plans[0];
    double bits = 0;
    for (unsigned frame = first; frame < last; frame++) {
        nn_encoder encoder = nn_encoder_of(tables, thin ? &state : NULL, bytes, sizeof bytes);
        train_lead(scene, frame, age, &leads);
        for (unsigned object = 0; object < scene->objects; object++) {
            bool moving = train_moves(scene, frame - age, object);
            if (!moving && train_equal(scene, frame, frame - age, object)) continue;
            nn_timeline timeline;
            train_know(scene, frame, age, object, moving, &timeline);
            nn_predict(plan, &timeline, false, object ? &leads : NULL, &prediction);
            nn_codec_write(&encoder, plan, &prediction, train_row(scene, frame, object), false, moving);
            (*updates)++;
        }
        bits += (double)nn_encoder_end(&encoder) * 8;
    }
    return bits;
}

static void train_scene_write(const train_scene* scene, const nn_tables* tables)
{
    static const unsigned ages[] = {1, 2, 3, 6, 10};
    for (unsigned i = 0; i < 5; i++) {
        double updates = 0;
        unsigned stride = scene->frames * 2 / 3;
        train_weight = 0;
        (void)train_write(scene, tables, false, ages[i], TRAIN_WARM, TRAIN_WARM + 30, &updates);
        train_weight = 1.0 / (updates + 1);
        (void)train_write(scene, tables, false, ages[i], TRAIN_WARM, stride, &updates);
        (void)train_write(scene, tables, true, ages[i], TRAIN_WARM, stride, &updates);
    }
}

static void train_report(const train_scene* scene, const nn_tables* tables)
{
    static const unsigned ages[] = {1, 3, 6};
    unsigned first = scene->frames * 2 / 3;
    fprintf(stderr, "%-34.34s", scene->name);
    for (unsigned i = 0; i < 3; i++) {
        double updates[2] = {1e-9, 1e-9};
        train_weight = 0;
        double plain = train_write(scene, tables, false, ages[i], first, scene->frames, &updates[0]);
        double thin = train_write(scene, tables, true, ages[i], first, scene->frames, &updates[1]);
        fprintf(stderr, "  age %u: %6.2f thin %6.2f (%.1f)", ages[i], plain / updates[0], thin / updates[1],
                updates[0] / (scene->frames - first));
    }
    fprintf(stderr, " bits an update (updates a frame)\n");
}

/* ---- the blob */

static uint8_t train_blob[1 << 16];
static nn_writer train_blob_writer;

static void train_put_code(const double* counts, unsigned symbols)
{
    uint64_t weights[NN_HUFFMAN_SYMBOLS_MAX];
    uint8_t bits[NN_HUFFMAN_SYMBOLS_MAX + 1];
    double sum = 0;
    for (unsigned i = 0; i < symbols; i++) sum += counts[i];
    memset(bits, 0, sizeof bits);
    for (unsigned i = 0; i < symbols; i++) weights[i] = (uint64_t)(counts[i] / (sum + 1e-12) * 1e8) + 2000;
    nn_huffman_lengths(weights, symbols, bits);
    for (unsigned i = 0; i < symbols; i += 2) nn_write_u8(&train_blob_writer, (uint8_t)(bits[i] | bits[i + 1] << 4));
}

/* A class that was seen little leans on its neighbours; unseen sizes get what a falling curve would give them. */
static void train_smooth_sizes(void)
{
    static double smooth[NN_CLASS_COUNT][NN_SIZE_SYMBOLS];
    for (unsigned c = 0; c < NN_CLASS_COUNT; c++) {
        for (unsigned s = 0; s < NN_SIZE_SYMBOLS; s++) {
            double sum = train_counts[0][c][s];
            for (int d = -1; d <= 1 && c < NN_CLASSES; d += 2) {
                int other = (int)c + d;
                if (other < 0 || other >= NN_CLASSES) continue;
                /* an octave is two symbols, and half of that lies between two classes */
                int shifted = s < 8 ? (int)s : (int)s + d;
                if (shifted >= 0 && shifted < NN_SIZE_SYMBOLS) sum += 0.01 * train_counts[0][other][shifted];
            }
            smooth[c][s] = sum;
        }
        double total = 0;
        for (unsigned s = 0; s < NN_SIZE_SYMBOLS; s++) total += smooth[c][s];
        for (unsigned s = 0; s < NN_SIZE_SYMBOLS; s++) {
            double flat = s == NN_SIZE_ESCAPE ? 1e-5 : 2e-4;
            smooth[c][s] += (total + 1e-9) * flat;
        }
    }
    for (unsigned c = 0; c < NN_CLASS_COUNT; c++) memcpy(train_counts[0][c], smooth[c], sizeof smooth[c]);
}

static uint8_t train_level(unsigned context, const double* odds)
{
    double zeroes = train_counts[3][context][0] + 1e-6;
    double ones = train_counts[3][context][1] + 1e-6;
    double best = 1e300;
    unsigned level = 0;
    if (context >= NN_CONTEXT_CHANGED && ones > 0.93 * (ones + zeroes)) return NN_EVENT_NONE;
    for (unsigned i = 0; i < NN_EVENT_LEVELS; i++) {
        double cost = -ones * log(odds[i]) - zeroes * log(1 - odds[i]);
        if (cost >= best) continue;
        best = cost;
        level = i;
    }
    return (uint8_t)level;
}

/* Twice: with the first tables the codec may leave out events, or not, as it then will. */
static size_t train_make_blob(void)
{
    static const double odds[NN_EVENT_LEVELS] = {0.004, 0.025, 0.09, 0.24, 0.45, 0.7};
    train_blob_writer = nn_writer_of(train_blob, sizeof train_blob);
    nn_write_u32(&train_blob_writer, TABLES_MAGIC);
    nn_write_u8(&train_blob_writer, NN_TABLES_VERSION);
    for (unsigned i = 0; i < NN_EVENT_LEVELS; i++) nn_write_u16(&train_blob_writer, (uint16_t)(odds[i] * 65536));
    for (unsigned i = 0; i < NN_CONTEXT_EVENTS; i++) nn_write_u8(&train_blob_writer, train_level(i, odds));
    train_smooth_sizes();
    for (unsigned i = 0; i < NN_CLASS_COUNT; i++) train_put_code(train_counts[0][i], NN_SIZE_SYMBOLS);
    for (unsigned i = 0; i < NN_GROUP_CLASSES; i++) {
        double counts[NN_GROUP_SYMBOLS];
        double sum = 1e-9;
        for (unsigned s = 0; s < NN_GROUP_SYMBOLS; s++) sum += train_counts[1][i][s];
        for (unsigned s = 0; s < NN_GROUP_SYMBOLS; s++) counts[s] = train_counts[1][i][s] + sum * 1e-3;
        train_put_code(counts, NN_GROUP_SYMBOLS);
    }
    /* the trees of sizes from their own smoothed counts, the rest as the contexts were seen */
    for (unsigned c = 0; c < NN_CLASS_COUNT; c++) {
        for (unsigned node = 1; node < 64; node++) {
            double* at = train_counts[2][NN_CONTEXT_SIZE + c * 64 + node];
            at[0] = at[1] = 1e-9;
            unsigned depth = nn_bits_for(node) - 1;
            for (unsigned s = 0; s < NN_SIZE_SYMBOLS; s++) {
                if (((s | 64) >> (6 - depth)) == node) at[(s | 64) >> (5 - depth) & 1] += train_counts[0][c][s];
            }
        }
    }
    for (unsigned i = 0; i < NN_CONTEXTS; i++) {
        const double* at = i < NN_CONTEXT_EVENTS ? train_counts[3][i] : train_counts[2][i];
        double share = (at[1] + 1e-4) / (at[0] + at[1] + 2e-4);
        nn_write_u16(&train_blob_writer, (uint16_t)fmin(fmax(share * 65536, 64), 65472));
    }
    return nn_writer_bytes(&train_blob_writer);
}

static void train_print(size_t bytes)
{
    printf("/* nn_tables_data - the codec's tables, version %d. Made by tools/train_tables.c; do not edit. */\n",
           NN_TABLES_VERSION);
    printf("#include \"nn_tables.h\"\n\n/* clang-format off */\nstatic const uint8_t tables_data[] = {\n");
    for (size_t i = 0; i < bytes; i++) {
        printf("%s%u,%s", i % 24 ? "" : "    ", (unsigned)train_blob[i], i % 24 == 23 || i + 1 == bytes ? "\n" : "");
    }
    printf("};\n/* clang-format on */\n\nNN_PRIVATE const uint8_t* nn_tables_blob(size_t* out_bytes)\n{\n"
           "    *out_bytes = sizeof tables_data;\n    return tables_data;\n}\n");
}

static int train_save(const char* path, size_t bytes)
{
    FILE* file = fopen(path, "wb");
    bool written = file && fwrite(train_blob, 1, bytes, file) == bytes;
    if (file && fclose(file)) written = false;
    if (!written) fprintf(stderr, "train_tables: %s: cannot be written\n", path);
    return written ? 0 : 1;
}

int main(int argc, char** argv)
{
    const char* blob_path = NULL;
    static nn_tables tables;
    static train_scene scenes[32];
    unsigned learned = 0;
    int held = argc; /* where --held is */
    bool check = false;
    size_t bytes;
    const uint8_t* built_in = nn_tables_blob(&bytes);
    if (!nn_tables_load(&tables, built_in, bytes)) return 1;
    for (int i = 1; i < argc && learned < 20; i++) {
        if (!strcmp(argv[i], "--check")) {
            check = true;
        } else if (!strcmp(argv[i], "--blob") && i + 1 < argc) {
            blob_path = argv[++i];
        } else if (!strcmp(argv[i], "--frames") && i + 1 < argc) {
            train_frames = (unsigned)atoi(argv[++i]);
        } else if (!strcmp(argv[i], "--held")) {
            held = i;
            break;
        } else if (!train_read_file(&scenes[learned++], argv[i])) {
            fprintf(stderr, "train_tables: %s: cannot be read; FILE.bin:OBJECTS:QUATERNION_MAX\n", argv[i]);
            return 1;
        }
    }
    train_simulate(&scenes[learned++], "characters, 0.01, 60 Hz", 1, 0.01, 60);
    train_simulate(&scenes[learned++], "characters, 0.001, 20 Hz", 2, 0.001, 20);
    train_simulate(&scenes[learned++], "characters, 0.02, 30 Hz", 3, 0.02, 30);
    unsigned all = learned;
    train_simulate(&scenes[all++], "not learned: 0.01, 60 Hz", 11, 0.01, 60);
    train_simulate(&scenes[all++], "not learned: 0.005, 30 Hz", 12, 0.005, 30);
    for (int i = held + 1; i < argc && all < 30; i++) {
        if (train_read_file(&scenes[all++], argv[i])) continue;
        fprintf(stderr, "train_tables: %s: cannot be read; FILE.bin:OBJECTS:QUATERNION_MAX\n", argv[i]);
        return 1;
    }
    for (unsigned round = 0; round < 2 && !check; round++) {
        memset(train_counts, 0, sizeof train_counts);
        for (unsigned i = 0; i < learned; i++) train_scene_write(&scenes[i], &tables);
        bytes = train_make_blob();
        if (!nn_tables_load(&tables, train_blob, bytes)) return 1;
    }
    for (unsigned i = 0; i < all; i++) train_report(&scenes[i], &tables);
    if (blob_path && !check) return train_save(blob_path, bytes);
    if (!check) train_print(bytes);
    return 0;
}
