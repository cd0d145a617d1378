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
 * --fields, as the last argument: before it, a table of which field takes how many bits of an update.
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

int main(int argc, char** argv)
{
    static replay r;
    replay_options* o = &r.options;
    bool fields = false;
    replay_set_defaults(&r);
    o->path = argc > 1 ? argv[1] : NULL;
    if (argc > 2 && !strcmp(argv[argc - 1], "--fields")) {
        fields = true;
        argc--;
    }
    for (int i = 2; i + 1 < argc; i += 2) {
        double number = strtod(argv[i + 1], NULL);
        if (!strcmp(argv[i], "--objects"))
            o->objects = (uint32_t)number;
        else if (!strcmp(argv[i], "--hz"))
            o->hz = (uint32_t)number;
        else if (!strcmp(argv[i], "--age"))
            o->age = (uint32_t)number;
        else if (!strcmp(argv[i], "--codec"))
            o->codec = argv[i + 1];
        else if (!strcmp(argv[i], "--transport"))
            o->transport = argv[i + 1];
        else if (!strcmp(argv[i], "--parent-object"))
            o->parent = (int64_t)number;
        else if (!strcmp(argv[i], "--position-units"))
            o->units = number;
        else if (!strcmp(argv[i], "--quaternion-max"))
            o->quaternion_max = (int32_t)number;
        else if (!strcmp(argv[i], "--loss"))
            o->loss = number < 1 ? number : number / 100;
        else if (!strcmp(argv[i], "--seed"))
            o->seed = (uint64_t)number;
        else
            o->path = NULL;
    }
    bool codec = !strcmp(o->codec, "default") || !strcmp(o->codec, "thin");
    bool transport = !strcmp(o->transport, "udp") || !strcmp(o->transport, "ws");
    if (!o->path || argc % 2 || o->objects < 1 || o->objects > 4096 || o->hz < 1 || o->hz > 120 || o->age < 1 ||
        o->age > 30 || !codec || !transport || !(o->units > 0) || o->quaternion_max < 15 || o->quaternion_max > 14141 ||
        o->loss < 0 || o->loss > 0.9 || o->parent >= (int64_t)o->objects) {
        fprintf(stderr, "usage: state_replay FILE.bin --objects 1..4096 --hz 1..120 --age 1..30 --codec default|thin "
                        "[--parent-object I] [--position-units U] [--quaternion-max Q] [--loss P] [--seed S] "
                        "[--transport udp|ws] [--fields]\n");
        return 2;
    }
    if (!replay_load(&r)) {
        fprintf(stderr, "state_replay: %s: cannot be read, or holds no frames of %u objects with quaternions 0 .. %d\n",
                o->path, (unsigned)o->objects, (int)o->quaternion_max);
        return 1;
    }
    replay_result result = replay_run(&r);
    if (fields) replay_print_fields(&result);
    replay_print(&r, &result);
    replay_close(&r);
    return r.mismatches != 0;
}
