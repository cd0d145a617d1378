/* bench/state_replay - recorded motion through the public API: a server, a client and a link in memory.
 *
 *   state_replay FILE.bin --objects N --hz H --age K --codec default|thin [--parent-object I]
 *                [--position-units U --quaternion-max Q] [--loss P --seed S] [--transport udp|ws] [--fields]
 *
 * FILE holds little-endian int32, for each frame and object: largest, a, b, c (a unit quaternion's three smaller components,
 * 0 .. Q, default 511), x, y, z (in 1/U, default 512), and a flag. Each frame is committed as a tick and sent; the link's
 * round trip is such that the newest acknowledged state is K frames old (over WebSocket: the last one sent, whatever K).
 * After each tick every entity's newest state in the view is compared, number for number, with the record of its tick; without
 * loss that must be the tick just sent. P is in percent, or a share if below 1, each way; after the last frame the link heals,
 * and then all must be equal. --parent-object: all others name this one in a NECPNET_FIELD_PARENT; without it the library
 * finds out by itself what carries others.
 *
 * One line of JSON: kbps (frames of state alone), kB_per_s_wire (all datagrams to the client, with IP and UDP headers),
 * bits_per_update, encode_ns and decode_ns (CPU of commit and server update, of client update, for each update: with sealing,
 * packets and the link), mismatches (0, or the program fails). The first 2 K + 32 frames, which hold whole states, are compared
 * but not counted in the rest.
 * --fields: before it, a table of which field takes how many bits of an update. What is wrong with an argument (exit status 2) or
 * the file (1: not there, no whole frames, numbers out of range) is said on stderr.
 */
#include "replay.h"

/* One line of JSON. */
static void replay_print(const replay* r, const replay_result* result)
{
    const replay_options* o = &r->options;
    printf("{\"bench\":\"state_replay\",\"file\":\"%s\",\"codec\":\"%s\",\"transport\":\"%s\",\"age\":%u,\"loss\":%g,",
           o->path, o->codec, o->transport, (unsigned)o->age, o->loss);
    printf("\"kbps\":%.1f,\"kB_per_s_wire\":%.3f,\"bits_per_update\":%.2f,\"updates_per_s\":%.0f,",
           result->bytes * 8 / result->seconds / 1000, result->wire_bytes / result->seconds / 1000,
           result->bytes * 8 / result->updates, result->updates / result->seconds);
    printf("\"encode_ns\":%.0f,\"decode_ns\":%.0f,\"mismatches\":%llu}\n", result->encode_ns / result->updates,
           result->decode_ns / result->updates, (unsigned long long)r->mismatches);
}

/* Which field takes what; bits of an update, beside those of all. */
static void replay_print_fields(const replay_result* result)
{
    static const char* const names[REPLAY_FIELDS + 2] = {"position", "rotation",      "flag",
                                                         "parent",   "which changed", "between"};
    double all = 0;
    for (int i = 0; i < REPLAY_FIELDS + 2; i++) all += replay_spent[i];
    for (int i = 0; i < REPLAY_FIELDS + 2; i++) {
        printf("%-14s %8.3f bits an update %5.1f %%\n", names[i], replay_spent[i] / result->updates,
               all > 0 ? 100 * replay_spent[i] / all : 0);
    }
}

static const char usage[] =
    "usage: state_replay FILE.bin --objects 1..65535 --hz 1..120 --age 1..30 --codec default|thin [--parent-object I]\n"
    "                    [--position-units U] [--quaternion-max 15..14141] [--loss P] [--seed S] [--transport udp|ws]\n"
    "                    [--fields]\n";

/* One of the words, or NULL. */
static const char* replay_word(const char* text, const char* first, const char* second)
{
    if (!strcmp(text, first)) return first;
    return strcmp(text, second) ? NULL : second;
}

/* An option and its value; what is wrong with them, or NULL. */
static const char* replay_set_option(replay_options* o, const char* name, const char* value)
{
    char* end;
    double number = strtod(value, &end);
    bool is_number = end != value && !*end;
    bool is_whole = is_number && number >= 0 && number <= 9007199254740992.0 && floor(number) == number;
    bool wants_word = !strcmp(name, "--codec") || !strcmp(name, "--transport");
    if (!strcmp(name, "--codec")) o->codec = replay_word(value, "default", "thin");
    if (!strcmp(name, "--transport")) o->transport = replay_word(value, "udp", "ws");
    if (!o->codec) return "is default or thin";
    if (!o->transport) return "is udp or ws";
    if (wants_word) return NULL;
    if (!strcmp(name, "--position-units")) {
        o->units = number;
        return is_number && number > 0 && number <= 1e9 ? NULL : "is how many of the file's units are one, 1e9 at most";
    }
    if (!strcmp(name, "--loss")) {
        o->loss = number < 1 ? number : number / 100;
        return is_number && number >= 0 && o->loss <= 0.9 ? NULL : "is a share below 1, or percent up to 90";
    }
    if (!strcmp(name, "--seed")) {
        o->seed = is_whole ? (uint64_t)number : 0;
        return is_whole ? NULL : "is a number from 0 to 2^53";
    }
    static const struct {
        const char* name;
        uint32_t least, most;
        const char* wrong;
    } numbers[] = {{"--objects", 1, 65535, "is a number from 1 to 65535"},
                   {"--hz", 1, 120, "is a number from 1 to 120"},
                   {"--age", 1, 30, "is a number from 1 to 30"},
                   {"--parent-object", 0, 65534, "is an object's number from 0 on"},
                   {"--quaternion-max", 15, 14141, "is a number from 15 to 14141"}};
    unsigned i = 0;
    while (i < 5 && strcmp(name, numbers[i].name)) i++;
    if (i == 5) return "is no option";
    if (!is_whole || number < numbers[i].least || number > numbers[i].most) return numbers[i].wrong;
    uint32_t* const places[] = {&o->objects, &o->hz, &o->age};
    if (i < 3) *places[i] = (uint32_t)number;
    if (i == 3) o->parent = (int64_t)number;
    if (i == 4) o->quaternion_max = (int32_t)number;
    return NULL;
}

/* False: what is wrong was said. */
static bool replay_read_arguments(replay_options* o, int argc, char** argv, bool* out_fields)
{
    for (int i = 1; i < argc; i++) {
        const char* name = argv[i];
        const char* wrong = NULL;
        if (!strcmp(name, "--fields")) {
            *out_fields = true;
        } else if (strncmp(name, "--", 2)) {
            if (o->path) wrong = "is a second file";
            o->path = name;
        } else if (i + 1 == argc) {
            wrong = "has no value, or is no option";
        } else {
            wrong = replay_set_option(o, name, argv[++i]);
        }
        if (!wrong) continue;
        fprintf(stderr, "state_replay: %s %s\n%s", name, wrong, usage);
        return false;
    }
    const char* missing = !o->path ? "no file" : !o->objects ? "no --objects" : NULL;
    if (!missing && o->parent >= (int64_t)o->objects) missing = "--parent-object is none of the objects";
    if (missing) fprintf(stderr, "state_replay: %s\n%s", missing, usage);
    return !missing;
}

int main(int argc, char** argv)
{
    static replay r;
    bool fields = false;
    replay_set_defaults(&r);
    if (!replay_read_arguments(&r.options, argc, argv, &fields)) return 2;
    const char* wrong = replay_load(&r);
    if (wrong) {
        fprintf(stderr, "state_replay: %s: %s\n", r.options.path, wrong);
        free(r.records);
        return 1;
    }
    replay_result result = replay_run(&r);
    if (fields) replay_print_fields(&result);
    replay_print(&r, &result);
    bool right = r.mismatches == 0;
    replay_close(&r);
    return right ? 0 : 1;
}
