/* bench/state_table - all figures of state sync on recorded motion in one run: ours and what is naive.
 *
 *   state_table FOLDER [SCENE]
 *
 * FOLDER holds the recordings, unpacked (NAME.bin, as bench/state_replay reads them); a scene that is not there is left out.
 * Ours: every frame through a server, a link and a client (bench/replay.h), with both codecs, all compared: a mismatch fails
 * the program. Beside it, computed from the same frames against the same known state, payload without any header:
 *
 *   raw          the struct (29 bytes) and a number of 2 bytes of every object that changed since the frame before
 *   XOR + LZ4    all quantised rows, XORed with the known ones, compressed
 *   delta bits   a bit an object, if it changed a bit a field; a position as three Exp-Golomb codes of what it moved by
 *
 * Published figures of others are of the same work on other recordings: Fiedler's and Giesen's of the cubes are payload against
 * a state six frames old; the others are on the wire.
 */
#include "replay.h"

#define TABLE_STRUCT_BYTES 31
#define TABLE_GOLOMB_ORDER 6

typedef struct table_scene {
    const char* name;
    uint32_t objects;
    uint32_t hz;
    uint32_t age;
    double units;
    int32_t quaternion_max;
    const char* published;
} table_scene;

static const table_scene scenes[] = {
    {"cubes901_s21_train", 901, 60, 6, 512, 511,
     "article 40.4-41.9, Fiedler's final codec 30.9-32.1, Giesen's 22.3-23.8 payload"},
    {"asteroids250_s2_train", 250, 30, 1, 100, 1414, "Reactor 10 payload, 15 on the wire; others 100-185"},
    {"st0t", 500, 20, 1, 1000, 511, "Fusion 26, Netick 27, FishNet 62, Mirror 267"},
    {"st1t", 500, 20, 1, 1000, 511, "Fusion 81, Netick 87, FishNet 103, Mirror 307"},
    {"st2t", 500, 20, 1, 1000, 511, "Netick 96, Fusion 125, FishNet 145, Mirror 459"},
};

typedef struct table_line {
    double raw; /* kB/s */
    double xored;
    double delta;
    double ours[2]; /* default, thin */
    double wire[2];
    double encode_ns[2];
} table_line;

static uint64_t mismatches;

/* ---- what is naive */

static bool table_differs(const int32_t* a, const int32_t* b)
{
    return memcmp(a, b, REPLAY_NUMBERS * sizeof *a) != 0;
}

static unsigned table_golomb_bits(int32_t way)
{
    uint64_t value = way < 0 ? (uint64_t) - (int64_t)way * 2 - 1 : (uint64_t)way * 2;
    return 2 * nn_bits_for((value >> TABLE_GOLOMB_ORDER) + 1) - 1 + TABLE_GOLOMB_ORDER;
}

static uint64_t table_delta_bits(const replay* r, const int32_t* from, const int32_t* to)
{
    uint64_t bits = 1;
    if (!table_differs(from, to)) return bits;
    bits += 3;
    if (memcmp(from, to, 4 * sizeof *to)) bits += 2 + 3 * nn_bits_for((uint64_t)r->options.quaternion_max);
    if (memcmp(from + 4, to + 4, 3 * sizeof *to)) {
        for (int i = 4; i < 7; i++) bits += table_golomb_bits(to[i] - from[i]);
    }
    return bits;
}

static size_t table_xored_bytes(const replay* r, uint32_t frame, int32_t* rows, uint8_t* packed, size_t room)
{
    size_t count = (size_t)r->options.objects * REPLAY_NUMBERS;
    const int32_t* from = replay_record(r, frame - r->options.age, 0);
    const int32_t* to = replay_record(r, frame, 0);
    for (size_t i = 0; i < count; i++) rows[i] = from[i] ^ to[i];
    size_t bytes = nn_compress(rows, count * sizeof *rows, packed, room);
    return bytes ? bytes : count * sizeof *rows;
}

static void table_be_naive(const replay* r, table_line* line)
{
    size_t room = (size_t)r->options.objects * REPLAY_NUMBERS * sizeof(int32_t);
    int32_t* rows = (int32_t*)malloc(room);
    uint8_t* packed = (uint8_t*)malloc(room * 2);
    double raw = 0;
    double xored = 0;
    double delta = 0;
    uint32_t first = 2 * r->options.age + 32;
    if (!rows || !packed) exit(1);
    for (uint32_t frame = first; frame < r->frames; frame++) {
        for (uint32_t i = 0; i < r->options.objects; i++) {
            const int32_t* now = replay_record(r, frame, i);
            if (table_differs(replay_record(r, frame - 1, i), now)) raw += TABLE_STRUCT_BYTES;
            delta += (double)table_delta_bits(r, replay_record(r, frame - r->options.age, i), now) / 8;
        }
        xored += (double)table_xored_bytes(r, frame, rows, packed, room * 2);
    }
    double seconds = (double)(r->frames - first) / r->options.hz;
    line->raw = raw / seconds / 1000;
    line->xored = xored / seconds / 1000;
    line->delta = delta / seconds / 1000;
    free(rows);
    free(packed);
}

/* ---- ours */

/* False if there is no recording of it. */
static bool table_measure(const char* folder, const table_scene* scene, bool thin, table_line* line)
{
    static replay r;
    char path[1024];
    replay_set_defaults(&r);
    snprintf(path, sizeof path, "%.900s/%s.bin", folder, scene->name);
    r.options.path = path;
    r.options.codec = thin ? "thin" : "default";
    r.options.objects = scene->objects;
    r.options.hz = scene->hz;
    r.options.age = scene->age;
    r.options.units = scene->units;
    r.options.quaternion_max = scene->quaternion_max;
    if (replay_load(&r)) return false;
    if (!thin) table_be_naive(&r, line);
    replay_result result = replay_run(&r);
    line->ours[thin] = result.bytes / result.seconds / 1000;
    line->wire[thin] = result.wire_bytes / result.seconds / 1000;
    line->encode_ns[thin] = result.encode_ns / result.updates;
    mismatches += r.mismatches;
    replay_close(&r);
    return true;
}

static void table_print(const table_scene* scene, const table_line* line)
{
    const char* const peers[] = {"raw", nn_compress_is_built() ? "XOR+LZ4" : "XOR", "delta bits"};
    const double theirs[] = {line->raw, line->xored, line->delta};
    for (int thin = 0; thin < 2; thin++) {
        for (int i = 0; i < 3; i++) {
            printf(
                "{\"bench\":\"state_table\",\"case\":\"%s %s\",\"metric\":\"payload\",\"unit\":\"kB/s\",\"ours\":%.2f,"
                "\"peer\":\"%s\",\"theirs\":%.2f,\"ratio\":%.1f}\n",
                scene->name, thin ? "thin" : "default", line->ours[thin], peers[i], theirs[i],
                theirs[i] / line->ours[thin]);
        }
    }
}

int main(int argc, char** argv)
{
    enum { SCENES = sizeof scenes / sizeof scenes[0] };
    static table_line lines[SCENES];
    bool there[SCENES];
    if (argc < 2) {
        fprintf(stderr, "usage: state_table FOLDER [SCENE]\n");
        return 2;
    }
    printf("%-22s %9s %9s %9s | %8s %8s | %8s %8s | %s\n", "kB/s", "raw", "XOR+LZ4", "delta", "default", "thin",
           "on wire", "thin", "published by others");
    for (int i = 0; i < SCENES; i++) {
        there[i] = argc < 3 || !strcmp(argv[2], scenes[i].name);
        for (int thin = 0; thin < 2 && there[i]; thin++)
            there[i] = table_measure(argv[1], &scenes[i], thin != 0, &lines[i]);
        if (!there[i]) continue;
        const table_line* line = &lines[i];
        printf("%-22s %9.1f %9.1f %9.1f | %8.2f %8.2f | %8.2f %8.2f | %s\n", scenes[i].name, line->raw, line->xored,
               line->delta, line->ours[0], line->ours[1], line->wire[0], line->wire[1], scenes[i].published);
        fflush(stdout);
    }
    int found = 0;
    for (int i = 0; i < SCENES; i++) {
        if (there[i]) table_print(&scenes[i], &lines[i]);
        found += there[i];
    }
    if (!found) {
        fprintf(
            stderr,
            "state_table: %s has no %s\n  fix: the folder of the recordings, unpacked (zstd -d): %s.bin and others\n",
            argv[1], argc < 3 ? "recording that it knows" : argv[2], scenes[0].name);
        return 2;
    }
    if (mismatches) fprintf(stderr, "state_table: %llu mismatches\n", (unsigned long long)mismatches);
    return mismatches != 0;
}
