/* replay - recorded motion through the public API: a server, a client and a link in memory. What bench/state_replay.c and
 * bench/state_table.c share.
 *
 * Compiles the library as part of itself, so that it can look on while fields are coded (replay_spent); all else goes through
 * necpnet.h.
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLAY_FIELDS 4                    /* of an object */
#define REPLAY_EVENTS REPLAY_FIELDS        /* which of them changed, and other bits of a record */
#define REPLAY_BETWEEN (REPLAY_FIELDS + 1) /* what is between the records of a frame */

static double replay_spent[REPLAY_FIELDS + 2]; /* bits that went into each */

/* Told of by the codec: all bits since the last call went into this. */
#define NN_CODEC_SPENT(encoder, what) replay_spend(encoder, what)
struct nn_encoder;
static void replay_spend(const struct nn_encoder* encoder, int what);

#define NECPNET_WITH_PLATFORM 0
#include "../necpnet.c"

/* Of the arithmetic coder also what has not come out as bits yet. */
static double replay_bits(const nn_encoder* encoder)
{
    if (!encoder->thin) return (double)encoder->bits.bit_count;
    double range = (double)encoder->thin->high - (double)encoder->thin->low + 1;
    return (double)encoder->thin->at * 8 - log2(range / 4294967296.0);
}

static void replay_spend(const struct nn_encoder* encoder, int what)
{
    static double before;
    double bits = replay_bits(encoder);
    int place = what == NN_CODEC_BETWEEN ? REPLAY_BETWEEN : what == NN_CODEC_EVENTS ? REPLAY_EVENTS : what;
    if (bits < before) before = 0; /* another frame */
    if (place < REPLAY_FIELDS + 2) replay_spent[place] += bits - before;
    before = bits;
}

#define REPLAY_NUMBERS 8 /* of one record */
#define REPLAY_HALF_ROOT 0.7071067811865476
#define REPLAY_STEP_US 1000
#define REPLAY_PLACE_MAX (1 << 30)
#define REPLAY_FRAMES_MIN(age) (2u * (age) + 34u) /* what is not counted, and a little that is */
#define REPLAY_TIMEOUT_US 20000000
#define REPLAY_UDP_IP_BYTES 28
#ifdef NECPNET_BENCH_PLAIN
#define REPLAY_SECURITY NECPNET_SECURITY_NONE
#else
#define REPLAY_SECURITY NECPNET_SECURITY_OPEN /* packets are encrypted */
#endif

typedef struct replay_object {
    double position[3];
    double rotation[4];
    necpnet_entity parent;
    bool flag;
} replay_object;

typedef struct replay_options {
    const char* path;
    const char* codec;
    const char* transport;
    uint32_t objects;
    uint32_t hz;
    uint32_t age;
    int64_t parent; /* -1: none */
    double units;
    int32_t quaternion_max;
    double loss;
    uint64_t seed;
} replay_options;

typedef struct replay {
    replay_options options;
    int32_t* records;
    uint32_t frames;
    necpnet_schema* schema;
    necpnet_world* world;
    necpnet_view* view;
    necpnet_link* link;
    necpnet_server* server;
    necpnet_client* client;
    necpnet_link_config link_config;
    const necpnet_transport* server_transport;
    const necpnet_transport* client_transport;
    necpnet_entity* entities;
    uint64_t now_us;
    uint64_t started_us; /* of tick 0 */
    uint64_t entropy;
    uint64_t mismatches;
    uint64_t encode_ns;
    uint64_t decode_ns;
    bool connected;
    bool failed;
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

static void replay_log(necpnet_log_level level, const char* text, void* user)
{
    (void)user;
    (void)level;
    fprintf(stderr, "state_replay: %s\n", text);
}

/* ---- records */

static int32_t* replay_record(const replay* r, uint32_t frame, uint32_t object)
{
    return r->records + ((size_t)frame * r->options.objects + object) * REPLAY_NUMBERS;
}

static int32_t replay_middle(const replay* r)
{
    return (r->options.quaternion_max + 1) / 2;
}

static double replay_step(const replay* r)
{
    return 2 * REPLAY_HALF_ROOT / (double)r->options.quaternion_max;
}

/* The four components in steps, the largest found by the root. */
static void replay_unfold(const replay* r, const int32_t* record, double q[4])
{
    double left = 1 / (replay_step(r) * replay_step(r));
    unsigned place = 1;
    for (unsigned i = 0; i < 4; i++) {
        if (i == (unsigned)record[0]) continue;
        q[i] = (double)(record[place++] - replay_middle(r));
        left -= q[i] * q[i];
    }
    q[record[0] & 3] = sqrt(left > 0 ? left : 0);
}

/* Numbers of a quaternion as the library will take them: after rounding, another component may be the largest. */
static bool replay_settle(const replay* r, int32_t* record)
{
    double q[4];
    unsigned largest = 0;
    unsigned place = 1;
    replay_unfold(r, record, q);
    for (unsigned i = 1; i < 4; i++) {
        if (fabs(q[i]) > fabs(q[largest])) largest = i;
    }
    if (largest == (unsigned)record[0]) return false;
    double scale = q[largest] < 0 ? -1 : 1;
    double most = fabs(q[largest]) - 1;
    for (unsigned i = 0; i < 4; i++) {
        if (i == largest) continue;
        double value = q[i] * scale;
        if (i == (unsigned)record[0])
            value = value < 0 ? -most : most; /* as large as the largest: a step less, for good */
        record[place++] = (int32_t)lround(value) + replay_middle(r);
    }
    record[0] = (int32_t)largest;
    return true;
}

/* What is wrong with a record, or NULL; it is settled. */
static const char* replay_check(const replay* r, int32_t* record)
{
    if (record[0] < 0 || record[0] > 3) return "a record's largest component is none of 0 .. 3";
    for (int j = 1; j < 4; j++) {
        if (record[j] < 0 || record[j] > r->options.quaternion_max) return "a quaternion's component is out of range";
    }
    for (int j = 4; j < 7; j++) {
        if (record[j] < -REPLAY_PLACE_MAX || record[j] > REPLAY_PLACE_MAX) return "a position is beyond 2^30 units";
    }
    for (int tries = 0; tries < 4 && replay_settle(r, record); tries++) {
    }
    return NULL;
}

/* What is wrong with the file, or NULL. */
static const char* replay_load(replay* r)
{
    FILE* file = fopen(r->options.path, "rb");
    if (!file) return "cannot be opened";
    size_t frame_bytes = r->options.objects * REPLAY_NUMBERS * sizeof(int32_t);
    long bytes = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    const char* wrong = NULL;
    if (bytes <= 0)
        wrong = "is empty, or no file";
    else if ((size_t)bytes % frame_bytes)
        wrong = "holds no whole frames of so many objects (32 bytes each): cut off, or another number of objects";
    if (!wrong && (size_t)bytes / frame_bytes < REPLAY_FRAMES_MIN(r->options.age))
        wrong = "holds too few frames: 2 x age + 34 are needed";
    if (!wrong) {
        r->frames = (uint32_t)((size_t)bytes / frame_bytes);
        r->records = (int32_t*)malloc((size_t)bytes);
        rewind(file);
        if (!r->records || fread(r->records, frame_bytes, r->frames, file) != r->frames) wrong = "cannot be read";
    }
    fclose(file);
    for (size_t i = 0; !wrong && i < (size_t)r->frames * r->options.objects; i++) {
        wrong = replay_check(r, r->records + i * REPLAY_NUMBERS);
    }
    return wrong;
}

static void replay_convert(const replay* r, const int32_t* record, replay_object* object)
{
    double q[4];
    replay_unfold(r, record, q);
    for (unsigned i = 0; i < 4; i++) object->rotation[i] = q[i] * replay_step(r);
    for (unsigned i = 0; i < 3; i++) object->position[i] = (double)record[4 + i] / r->options.units;
    object->flag = record[7] != 0;
}

/* Whether what was received is the record. */
static bool replay_equal(const replay* r, const int32_t* record, const replay_object* object)
{
    unsigned place = 1;
    for (unsigned i = 0; i < 3; i++) {
        if (lround(object->position[i] * r->options.units) != record[4 + i]) return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (i == (unsigned)record[0]) {
            if (!(object->rotation[i] > 0)) return false;
            continue;
        }
        if (lround(object->rotation[i] / replay_step(r)) + replay_middle(r) != record[place++]) return false;
    }
    return object->flag == (record[7] != 0);
}

/* ---- the endpoints */

/* With --parent-object all others name it as their parent. */
static void replay_spawn(replay* r, uint32_t object)
{
    replay_object first;
    int64_t parent = r->options.parent;
    if (r->entities[object]) return;
    if (parent >= 0 && object != (uint32_t)parent) replay_spawn(r, (uint32_t)parent);
    memset(&first, 0, sizeof first);
    replay_convert(r, replay_record(r, 0, object), &first);
    if (parent >= 0 && object != (uint32_t)parent) first.parent = r->entities[parent];
    replay_need(necpnet_world_spawn(r->world, 1, &first, &r->entities[object]), "spawn");
}

static void replay_open_world(replay* r)
{
    int32_t most = 1;
    for (size_t i = 0; i < (size_t)r->frames * r->options.objects; i++) {
        for (int j = 4; j < 7; j++) {
            int32_t value = abs(r->records[i * REPLAY_NUMBERS + (size_t)j]);
            if (value > most) most = value;
        }
    }
    double reach = (double)most / r->options.units;
    const necpnet_field fields[] = {
        NECPNET_VEC3(replay_object, position, 1, -reach, reach, 1 / r->options.units, NECPNET_FIELD_INTERPOLATE),
        NECPNET_QUAT(replay_object, rotation, 2, replay_step(r), NECPNET_FIELD_INTERPOLATE),
        NECPNET_BOOL(replay_object, flag, 3, 0),
        NECPNET_ENTITY_REFERENCE(replay_object, parent, 4, NECPNET_FIELD_PARENT),
    };
    const necpnet_entity_type type = {"object", 1, sizeof(replay_object), fields, r->options.parent < 0 ? 3 : 4};
    necpnet_logger logger;
    memset(&logger, 0, sizeof logger);
    logger.write = replay_log;
    logger.level = NECPNET_LOG_WARNING;
    replay_need(necpnet_schema_create(NULL, &logger, &type, 1, &r->schema), "schema");
    necpnet_world_config world;
    necpnet_world_config_default(&world);
    world.schema = r->schema;
    world.logger = logger;
    world.send_hz = 120;
    world.client_bytes_per_s = UINT32_MAX;
    world.codec = strcmp(r->options.codec, "thin") ? NECPNET_CODEC_DEFAULT : NECPNET_CODEC_THIN;
    replay_need(necpnet_world_create(&world, &r->world), "world");
    necpnet_view_config view;
    necpnet_view_config_default(&view);
    view.schema = r->schema;
    view.logger = logger;
    if (view.entities_max < r->options.objects) view.entities_max = r->options.objects;
    replay_need(necpnet_view_create(&view, &r->view), "view");
    r->entities = (necpnet_entity*)calloc(r->options.objects, sizeof(necpnet_entity));
    if (!r->entities) exit(1);
    for (uint32_t i = 0; i < r->options.objects; i++) replay_spawn(r, i);
}

/* Not random: equal runs are equal. */
static bool replay_fill(void* to, size_t bytes, void* user)
{
    replay* r = (replay*)user;
    for (size_t i = 0; i < bytes; i++) {
        r->entropy = r->entropy * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ((uint8_t*)to)[i] = (uint8_t)(r->entropy >> 56);
    }
    return true;
}

static void replay_set_loss(replay* r, double share)
{
    r->link_config.loss_ppm = (uint32_t)(share * 1e6);
    replay_need(necpnet_link_configure(r->link, r->client_transport, &r->link_config), "link");
}

static void replay_open_link(replay* r)
{
    const char* url = strcmp(r->options.transport, "ws") ? "udp://server:7777" : "ws://server:7777/ws";
    uint32_t round_trip_us = (r->options.age - 1) * 1000000u / r->options.hz + 2000;
    necpnet_link_config_default(&r->link_config);
    r->link_config.seed = r->options.seed;
    r->link_config.latency_us = round_trip_us / 2;
    r->now_us = 1000000;
    replay_need(necpnet_link_create(&r->link_config, &r->link), "link");
    necpnet_link_advance(r->link, r->now_us);
    replay_need(necpnet_link_add_server(r->link, 7777, &r->server_transport), "link");
    replay_need(necpnet_link_add_client(r->link, &r->client_transport), "link");
    necpnet_server_config server;
    necpnet_server_config_default(&server);
    server.transport = r->server_transport;
    server.world = r->world;
    server.tick_hz = r->options.hz;
    server.security = REPLAY_SECURITY;
    server.entropy.fill = replay_fill;
    server.entropy.user = r;
    replay_need(necpnet_server_create(&server, &r->server), "server");
    replay_need(necpnet_server_set_wall_time(r->server, UINT64_C(1700000000000000), r->now_us), "server");
    necpnet_client_config client;
    necpnet_client_config_default(&client);
    client.transport = r->client_transport;
    client.view = r->view;
    client.security = REPLAY_SECURITY;
    client.entropy.fill = replay_fill;
    client.entropy.user = r;
    replay_need(necpnet_client_create(&client, &r->client), "client");
    necpnet_client_update(r->client, r->now_us);
    replay_need(necpnet_client_connect(r->client, &url, 1), "connect");
}

static void replay_drain(replay* r)
{
    necpnet_event event;
    necpnet_view_event seen;
    while (necpnet_server_poll(r->server, &event)) {
    }
    while (necpnet_view_poll(r->view, &seen)) {
    }
    while (necpnet_client_poll(r->client, &event)) {
        if (event.type == NECPNET_EVENT_CONNECTED) r->connected = true;
        if (event.type == NECPNET_EVENT_DISCONNECTED || event.type == NECPNET_EVENT_CONNECT_FAILED) r->failed = true;
    }
    if (r->failed) {
        fprintf(stderr, "state_replay: the connection was lost: %s\n", event.text ? event.text : "");
        exit(1);
    }
}

/* Some time passes; what it costs each side is counted. */
static void replay_pass(replay* r, uint64_t us)
{
    r->now_us += us;
    necpnet_link_advance(r->link, r->now_us);
    uint64_t began = replay_now_ns();
    necpnet_client_update(r->client, r->now_us);
    uint64_t between = replay_now_ns();
    necpnet_server_update(r->server, r->now_us);
    uint64_t end = replay_now_ns();
    r->decode_ns += between - began;
    r->encode_ns += end - between;
    replay_drain(r);
}

/* ---- ticks */

/* tick: 1 for the first frame. */
static void replay_commit(replay* r, uint32_t tick)
{
    uint32_t frame = tick <= r->frames ? tick - 1 : r->frames - 1;
    for (uint32_t i = 0; i < r->options.objects; i++) {
        const int32_t* record = replay_record(r, frame, i);
        if (tick > 1 && frame > 0 && !memcmp(record, replay_record(r, frame - 1, i), REPLAY_NUMBERS * sizeof *record))
            continue;
        replay_convert(r, record, (replay_object*)necpnet_world_get(r->world, r->entities[i]));
        necpnet_world_mark(r->world, r->entities[i]);
    }
    uint64_t began = replay_now_ns();
    replay_need(necpnet_world_commit(r->world, tick), "commit");
    r->encode_ns += replay_now_ns() - began;
}

/* Every entity in view against the record: of the tick that the view has in whole, or (may_lag) of its own state's tick. */
static void replay_compare(replay* r, bool may_lag)
{
    necpnet_view_statistics statistics;
    necpnet_view_get_statistics(r->view, &statistics);
    if (statistics.states == 0) return;
    for (uint32_t i = 0; i < r->options.objects; i++) {
        replay_object object;
        uint32_t tick = 0;
        if (necpnet_view_get_latest(r->view, r->entities[i], &object, sizeof object, &tick)) {
            if (!may_lag) r->mismatches++;
            continue;
        }
        if (!may_lag) tick = statistics.tick;
        uint32_t frame = tick <= r->frames ? tick - 1 : r->frames - 1;
        if (!replay_equal(r, replay_record(r, frame, i), &object)) r->mismatches++;
    }
}

typedef struct replay_figures {
    uint64_t state_bytes;
    uint64_t wire_bytes;
    uint64_t updates;
} replay_figures;

static replay_figures replay_measure(const replay* r)
{
    replay_figures figures;
    necpnet_world_statistics world;
    necpnet_statistics statistics;
    memset(&figures, 0, sizeof figures);
    memset(&world, 0, sizeof world);
    necpnet_world_get_statistics(r->world, &world);
    figures.state_bytes = world.bytes_sent;
    figures.updates = world.updates_sent;
    if (necpnet_client_get_statistics(r->client, &statistics) == NECPNET_OK) {
        bool udp = statistics.transport == NECPNET_TRANSPORT_UDP;
        figures.wire_bytes = statistics.bytes_received + (udp ? REPLAY_UDP_IP_BYTES * statistics.packets_received : 0);
    }
    return figures;
}

/* Figures between two moments, so many ticks apart; printed when all has been compared. */
typedef struct replay_result {
    double seconds;
    double bytes;
    double wire_bytes;
    double updates;
    double encode_ns;
    double decode_ns;
} replay_result;

static replay_result replay_finish(const replay* r, const replay_figures* from, uint32_t ticks)
{
    replay_figures to = replay_measure(r);
    replay_result result;
    result.seconds = (double)ticks / (double)r->options.hz;
    result.bytes = (double)(to.state_bytes - from->state_bytes);
    result.wire_bytes = (double)(to.wire_bytes - from->wire_bytes);
    result.updates = to.updates > from->updates ? (double)(to.updates - from->updates) : 1;
    result.encode_ns = (double)r->encode_ns;
    result.decode_ns = (double)r->decode_ns;
    return result;
}

/* All frames; figures of those behind the first. */
static replay_result replay_play(replay* r)
{
    uint64_t began_us = r->now_us;
    uint32_t warm = 2 * r->options.age + 32;
    uint32_t healing = r->options.loss > 0 ? 4 * r->options.hz : r->options.age;
    replay_figures from;
    replay_result result;
    memset(&result, 0, sizeof result);
    replay_commit(r, 1);
    while (!r->connected) {
        if (r->now_us - began_us > REPLAY_TIMEOUT_US) {
            fprintf(stderr, "state_replay: no connection\n");
            exit(1);
        }
        replay_pass(r, REPLAY_STEP_US);
    }
    replay_set_loss(r, r->options.loss);
    from = replay_measure(r);
    r->started_us = r->now_us;
    for (uint32_t tick = 2; tick <= r->frames + healing; tick++) {
        if (tick == r->frames + 1) replay_set_loss(r, 0);
        if (tick == warm) {
            from = replay_measure(r);
            r->encode_ns = r->decode_ns = 0;
            memset(replay_spent, 0, sizeof replay_spent);
        }
        uint64_t due_us = r->started_us + (uint64_t)(tick - 1) * 1000000 / r->options.hz;
        while (r->now_us + REPLAY_STEP_US < due_us) replay_pass(r, REPLAY_STEP_US);
        replay_commit(r, tick);
        replay_pass(r, due_us - r->now_us);
        replay_compare(r, r->options.loss > 0 || tick < warm);
        if (tick == r->frames) result = replay_finish(r, &from, r->frames - warm + 1);
    }
    replay_compare(r, false);
    return result;
}

static void replay_set_defaults(replay* r)
{
    memset(r, 0, sizeof *r);
    r->options.codec = "default";
    r->options.transport = "udp";
    r->options.hz = 60;
    r->options.age = 6;
    r->options.parent = -1;
    r->options.units = 512;
    r->options.quaternion_max = 511;
    r->options.seed = 1;
}

/* The file's frames through server, link and client. */
static replay_result replay_run(replay* r)
{
    replay_open_world(r);
    replay_open_link(r);
    return replay_play(r);
}

static void replay_close(replay* r)
{
    necpnet_client_destroy(r->client);
    necpnet_server_destroy(r->server);
    necpnet_link_destroy(r->link);
    necpnet_view_destroy(r->view);
    necpnet_world_destroy(r->world);
    necpnet_schema_destroy(r->schema);
    free(r->entities);
    free(r->records);
}

#endif
