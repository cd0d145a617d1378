/* bench/state_replay - recorded motion through state sync: bits an update, kilobits a second, nanoseconds.
 *
 *   state_replay FILE.bin --objects N --hz H --age K [--position-units U] [--quaternion-max Q]
 *
 * FILE holds little-endian int32, for each frame and object: largest, a, b, c (a unit quaternion, its three smaller components
 * in 0 .. Q), x, y, z (in 1/U), and a flag. Each frame is committed as a tick and written for one follower; its acknowledgement
 * comes K frames later, so deltas are against states K frames old. The view reads each frame, and every row is compared with the
 * world's. Compiles the whole library as part of itself, because followers are not public.
 */
#define NECPNET_WITH_PLATFORM 0
#include "../necpnet.c"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REPLAY_NUMBERS 8 /* of one record */
#define REPLAY_AGE_MAX 200

typedef struct replay_object {
    double position[3];
    double rotation[4];
    bool flag;
} replay_object;

typedef struct replay {
    const char* path;
    uint32_t objects;
    uint32_t hz;
    uint32_t age;
    double position_unit;
    double quaternion_max;
    int32_t* records;
    uint32_t frames;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* view;
    nn_follower* follower;
    necpnet_entity* entities;
} replay;

static uint64_t replay_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void replay_need(necpnet_result result, const char* what)
{
    if (result == NECPNET_OK) return;
    fprintf(stderr, "state_replay: %s: %s\n", what, necpnet_result_text(result));
    exit(1);
}

static bool replay_load(replay* r)
{
    FILE* file = fopen(r->path, "rb");
    if (!file) return false;
    fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    fseek(file, 0, SEEK_SET);
    size_t frame_bytes = r->objects * REPLAY_NUMBERS * sizeof(int32_t);
    r->frames = (uint32_t)((size_t)bytes / frame_bytes);
    r->records = (int32_t*)malloc(frame_bytes * r->frames + 1);
    bool whole = r->records && fread(r->records, frame_bytes, r->frames, file) == r->frames;
    fclose(file);
    return whole && r->frames > 0;
}

static void replay_convert(const replay* r, const int32_t* record, replay_object* object)
{
    double left = 1.0;
    unsigned place = 1;
    for (unsigned i = 0; i < 4; i++) {
        if (i == (unsigned)record[0]) continue;
        double value = ((double)record[place++] / r->quaternion_max * 2 - 1) * 0.7071067811865476;
        object->rotation[i] = value;
        left -= value * value;
    }
    object->rotation[record[0] & 3] = quantise_root(left < 0.25 ? 0.25 : left);
    for (unsigned i = 0; i < 3; i++) object->position[i] = (double)record[4 + i] * r->position_unit;
    object->flag = record[7] != 0;
}

static void replay_open(replay* r)
{
    int32_t most = 1;
    for (size_t i = 0; i < (size_t)r->frames * r->objects; i++) {
        for (int j = 4; j < 7; j++) {
            int32_t value = abs(r->records[i * REPLAY_NUMBERS + (size_t)j]);
            if (value > most) most = value;
        }
    }
    double reach = (double)most * r->position_unit;
    double step = 2 * 0.7071067811865476 / r->quaternion_max;
    const necpnet_field fields[] = {
        NECPNET_VEC3(replay_object, position, 1, -reach, reach, r->position_unit, NECPNET_FIELD_INTERPOLATE),
        NECPNET_QUAT(replay_object, rotation, 2, step, NECPNET_FIELD_INTERPOLATE),
        NECPNET_BOOL(replay_object, flag, 3, 0),
    };
    const necpnet_entity_type type = {"object", 1, sizeof(replay_object), fields, 3};
    replay_need(necpnet_schema_create(NULL, NULL, &type, 1, &r->schema), "schema");
    necpnet_world_config world;
    necpnet_world_config_default(&world);
    world.schema = r->schema;
    world.send_hz = r->hz;
    world.client_bytes_per_s = UINT32_MAX;
    replay_need(necpnet_world_create(&world, &r->world), "world");
    necpnet_view_config view;
    necpnet_view_config_default(&view);
    view.schema = r->schema;
    replay_need(necpnet_view_create(&view, &r->view), "view");
    nn_view_set_clock(r->view, 0, r->hz);
    replay_need(nn_world_follow(r->world, 1, false, &r->follower), "follow");
    r->entities = (necpnet_entity*)calloc(r->objects, sizeof(necpnet_entity));
    for (uint32_t i = 0; i < r->objects; i++) {
        replay_object first;
        replay_convert(r, r->records + (size_t)i * REPLAY_NUMBERS, &first);
        replay_need(necpnet_world_spawn(r->world, 1, &first, &r->entities[i]), "spawn");
    }
}

static uint64_t replay_mismatches(const replay* r)
{
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < r->objects; i++) {
        const nn_world_slot* slot = &r->world->slots[r->entities[i] & 0xffff];
        const nn_view_slot* seen = nn_view_find(r->view, r->entities[i]);
        const uint32_t* row = nn_world_row(r->world, slot, slot->version);
        if (!seen || memcmp(nn_view_row(r->view, seen, seen->entity->count - 1u), row,
                            r->schema->plans[0].row_words * sizeof(uint32_t))) {
            wrong++;
        }
    }
    return wrong;
}

static void replay_run(replay* r)
{
    static uint8_t frame[NN_STATE_FRAME_BYTES_MAX];
    struct {
        uint32_t values[8];
        uint32_t count;
    } waiting[REPLAY_AGE_MAX + 1];
    memset(waiting, 0, sizeof waiting);
    uint64_t bytes = 0;
    uint64_t wrong = 0;
    uint64_t frames_sent = 0;
    uint64_t encode_ns = 0;
    uint64_t decode_ns = 0;
    uint64_t commit_ns = 0;
    uint64_t updates_before = 0;
    uint32_t warm = r->age + 1; /* whole states until the first acknowledgement: not counted */
    for (uint32_t tick = 1; tick <= r->frames; tick++) {
        const int32_t* records = r->records + (size_t)(tick - 1) * r->objects * REPLAY_NUMBERS;
        uint64_t now_us = (uint64_t)tick * 1000000 / r->hz + 1000000;
        for (uint32_t i = 0; i < r->objects; i++) {
            replay_convert(r, records + (size_t)i * REPLAY_NUMBERS,
                           (replay_object*)necpnet_world_get(r->world, r->entities[i]));
            necpnet_world_mark(r->world, r->entities[i]);
        }
        uint64_t began = replay_now_ns();
        replay_need(necpnet_world_commit(r->world, tick), "commit");
        commit_ns += replay_now_ns() - began;
        uint32_t at = tick % (r->age + 1);
        for (uint32_t i = 0; i < waiting[at].count; i++) nn_follower_acked(r->follower, waiting[at].values[i]);
        waiting[at].count = 0;
        uint32_t back = (tick + r->age) % (r->age + 1);
        if (r->age == 0) back = 0;
        if (tick == warm) updates_before = r->world->statistics.updates_sent;
        for (;;) {
            uint32_t value = 0;
            nn_writer writer = nn_writer_of(frame, sizeof frame);
            began = replay_now_ns();
            bool wrote = nn_follower_write(r->follower, &writer, sizeof frame, &value, now_us);
            uint64_t written = replay_now_ns();
            if (!wrote) break;
            nn_reader reader = nn_reader_of(frame + 1, nn_writer_bytes(&writer) - 1);
            replay_need(nn_view_read(r->view, &reader, now_us), nn_view_get_error(r->view));
            if (waiting[back].count < 8) waiting[back].values[waiting[back].count++] = value;
            if (tick < warm) continue;
            encode_ns += written - began;
            decode_ns += replay_now_ns() - written;
            bytes += nn_writer_bytes(&writer);
            frames_sent++;
        }
        wrong += replay_mismatches(r);
    }
    double seconds = (double)(r->frames - warm + 1) / (double)r->hz;
    double updates = (double)(r->world->statistics.updates_sent - updates_before);
    double packet_overhead = 23 + 28; /* necpnet's header and tag; IP and UDP: of frames that each take one packet */
    printf("{\"bench\":\"state_replay\",\"file\":\"%s\",\"age\":%u,\"kbps\":%.1f,\"kB_per_s_wire\":%.2f,\"bits_per_"
           "update\":%.1f,"
           "\"updates_per_s\":%.0f,\"encode_ns\":%.0f,\"decode_ns\":%.0f,\"commit_ns\":%.0f,\"full\":%llu,"
           "\"mismatches\":%llu}\n",
           r->path, (unsigned)r->age, (double)bytes * 8 / seconds / 1000,
           ((double)bytes + (double)frames_sent * packet_overhead) / seconds / 1000, (double)bytes * 8 / updates,
           updates / seconds, (double)encode_ns / updates, (double)decode_ns / updates,
           (double)commit_ns / r->frames / r->objects, (unsigned long long)r->world->statistics.full_sent,
           (unsigned long long)wrong);
    if (wrong) exit(1);
}

int main(int argc, char** argv)
{
    replay r;
    memset(&r, 0, sizeof r);
    r.hz = 60;
    r.age = 6;
    r.position_unit = 1.0 / 512;
    r.quaternion_max = 511;
    r.path = argc > 1 ? argv[1] : NULL;
    for (int i = 2; i + 1 < argc; i += 2) {
        double number = strtod(argv[i + 1], NULL);
        if (!strcmp(argv[i], "--objects"))
            r.objects = (uint32_t)number;
        else if (!strcmp(argv[i], "--hz"))
            r.hz = (uint32_t)number;
        else if (!strcmp(argv[i], "--age"))
            r.age = (uint32_t)number;
        else if (!strcmp(argv[i], "--position-units"))
            r.position_unit = 1.0 / number;
        else if (!strcmp(argv[i], "--quaternion-max"))
            r.quaternion_max = number;
        else
            r.path = NULL;
    }
    if (!r.path || r.objects == 0 || r.objects > 4096 || r.hz == 0 || r.hz > 120 || r.age == 0 || r.age > 25) {
        fprintf(stderr, "usage: state_replay FILE.bin --objects 1..4096 --hz 1..120 --age 1..25 [--position-units U] "
                        "[--quaternion-max Q]\n");
        return 2;
    }
    if (!replay_load(&r)) {
        fprintf(stderr, "state_replay: %s: cannot be read, or holds no frame of %u objects\n", r.path,
                (unsigned)r.objects);
        return 1;
    }
    replay_open(&r);
    replay_run(&r);
    nn_world_unfollow(r.world, r.follower);
    necpnet_view_destroy(r.view);
    necpnet_world_destroy(r.world);
    necpnet_schema_destroy(r.schema);
    free(r.entities);
    free(r.records);
    return 0;
}
