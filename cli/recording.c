/* recording - record what a client sees into a file, look at it, and serve it again. */
#include "cli.h"

#include "../server/arena_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_STEP_US 50000 /* between two lines of an entity */
#define REPLAY_TICK_HZ 60    /* served */
#define REPLAY_SLOTS 65536

/* -- record -- */

static bool keep(void* user, const void* data, size_t bytes)
{
    return fwrite(data, 1, bytes, (FILE*)user) == bytes;
}

static bool record_run(const cli_options* options, necpnet_client* client, necpnet_view* view)
{
    bool on = true, was_connected = false;
    uint64_t end_us = options->seconds ? necpnet_time_us() + (uint64_t)options->seconds * 1000000 : UINT64_MAX;
    while (on && !cli_interrupted && necpnet_time_us() < end_us) {
        necpnet_event event;
        necpnet_view_event seen;
        uint64_t now_us = necpnet_time_us();
        necpnet_client_update(client, now_us);
        necpnet_view_update(view, now_us);
        while (on && necpnet_client_poll(client, &event)) on = cli_answer(options, client, &event);
        while (necpnet_view_poll(view, &seen)) continue;
        if (necpnet_client_get_state(client) == NECPNET_CLIENT_CONNECTED) was_connected = true;
        necpnet_client_wait(client, 16000);
    }
    return was_connected;
}

int cli_record_command(const cli_options* options)
{
    necpnet_view_config config;
    necpnet_client_config client_config;
    necpnet_schema* schema = NULL;
    necpnet_view* view = NULL;
    necpnet_client* client = NULL;
    if (options->rest_count != 1) {
        cli_fail("record wants the file to write: necpnet record URL FILE");
        return CLI_EXIT_USAGE;
    }
    FILE* file = fopen(options->rest[0], "wb");
    if (!file) {
        cli_fail("%s cannot be written", options->rest[0]);
        return CLI_EXIT_FAILED;
    }
    necpnet_recorder recorder = {keep, file};
    necpnet_result result = necpnet_schema_create(NULL, NULL, arena_types, ARENA_TYPE_COUNT, &schema);
    necpnet_view_config_default(&config);
    config.schema = schema;
    config.entities_max = 65535;
    if (result == NECPNET_OK) result = necpnet_view_create(&config, &view);
    if (result == NECPNET_OK) result = necpnet_view_record(view, &recorder);
    cli_client_config(options, view, &client_config);
    if (result == NECPNET_OK) result = necpnet_client_create(&client_config, &client);
    bool connected = false;
    if (result) {
        cli_fail("%s", necpnet_result_text(result));
    } else {
        necpnet_client_update(client, necpnet_time_us());
        connected = cli_connect(options, client) && record_run(options, client, view);
    }
    necpnet_view_statistics statistics;
    memset(&statistics, 0, sizeof statistics);
    if (view) necpnet_view_get_statistics(view, &statistics);
    if (view && result == NECPNET_OK) result = necpnet_view_record(view, NULL);
    long bytes = ftell(file);
    if (fclose(file) != 0 && result == NECPNET_OK) result = NECPNET_ERR_IO;
    if (connected && result) cli_fail("%s: %s", options->rest[0], necpnet_result_text(result));
    if (connected && result == NECPNET_OK) {
        printf(options->json ? "{\"file\":\"%s\",\"frames\":%llu,\"bytes\":%ld}\n" : "%s: %llu frames, %ld bytes\n",
               options->rest[0], (unsigned long long)statistics.states, bytes);
    }
    necpnet_client_destroy(client);
    necpnet_view_destroy(view);
    necpnet_schema_destroy(schema);
    return connected && result == NECPNET_OK ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

/* -- a struct as JSON, whatever it is -- */

static double number_at(const necpnet_field* field, const uint8_t* at)
{
    bool is_float = field->kind >= NECPNET_FIELD_FLOAT && field->kind <= NECPNET_FIELD_ANGLE;
    bool is_signed = (field->flags & NECPNET_FIELD_SIGNED) != 0;
    uint64_t bits = 0;
    float narrow;
    double wide;
    if (is_float && field->storage_bytes == 8) {
        memcpy(&wide, at, 8);
        return wide;
    }
    if (is_float) {
        memcpy(&narrow, at, 4);
        return (double)narrow;
    }
    for (unsigned i = 0; i < field->storage_bytes; i++) bits |= (uint64_t)at[i] << (8 * i);
    unsigned unused = 64 - 8u * field->storage_bytes;
    if (!is_signed) return (double)bits;
    return (double)((int64_t)(bits << unused) >> unused);
}

static unsigned number_count(const necpnet_field* field)
{
    switch (field->kind) {
    case NECPNET_FIELD_VEC2: return 2;
    case NECPNET_FIELD_VEC3: return 3;
    case NECPNET_FIELD_QUAT: return 4;
    default: return 1;
    }
}

static void print_field(const necpnet_field* field, const uint8_t* state)
{
    char text[1024];
    const uint8_t* at = state + field->offset;
    printf(",\"%s\":", cli_plain(field->name, strlen(field->name), true, text, sizeof text));
    if (field->kind == NECPNET_FIELD_STRING) {
        printf("\"%s\"", cli_plain((const char*)at, field->count, true, text, sizeof text));
        return;
    }
    bool many = (field->flags & NECPNET_FIELD_ARRAY) || field->kind == NECPNET_FIELD_BYTES || number_count(field) > 1;
    unsigned numbers = number_count(field) * (field->count ? field->count : 1u);
    if (many) printf("[");
    for (unsigned i = 0; i < numbers; i++) {
        if (i) printf(",");
        if (field->kind == NECPNET_FIELD_BOOL) {
            printf("%s", at[i] ? "true" : "false");
        } else {
            printf("%.9g", number_at(field, at + (size_t)i * field->storage_bytes));
        }
    }
    if (many) printf("]");
}

static void print_entities(necpnet_replay* replay, uint64_t time_us)
{
    static uint64_t state[4096 / sizeof(uint64_t)];
    necpnet_view* view = necpnet_replay_get_view(replay);
    for (necpnet_entity e = necpnet_view_next(view, 0); e; e = necpnet_view_next(view, e)) {
        const necpnet_entity_type* type =
            necpnet_schema_find_type(necpnet_replay_get_schema(replay), necpnet_view_get_type(view, e));
        if (!type || necpnet_view_get(view, e, state, sizeof state)) continue;
        printf("{\"time\":%.3f,\"entity\":%u,\"type\":\"%s\"", (double)time_us / 1e6, (unsigned)e, type->name);
        for (int i = 0; i < type->field_count; i++) print_field(&type->fields[i], (const uint8_t*)state);
        printf("}\n");
    }
}

/* -- replay -- */

static size_t next_bytes(void* user, void* data, size_t bytes)
{
    return fread(data, 1, bytes, (FILE*)user);
}

static void log_line(necpnet_log_level level, const char* line, void* user)
{
    (void)user;
    (void)level;
    cli_fail("%s", line);
}

static int replay_finish(const cli_options* options, necpnet_replay* replay, necpnet_result result)
{
    necpnet_replay_info info;
    uint32_t entities = 0;
    necpnet_view* view = necpnet_replay_get_view(replay);
    necpnet_replay_get_info(replay, &info);
    for (necpnet_entity e = necpnet_view_next(view, 0); e; e = necpnet_view_next(view, e)) entities++;
    if (options->json) {
        printf("{\"seconds\":%.3f,\"frames\":%llu,\"records\":%llu,\"bytes\":%llu,\"entities\":%u,\"whole\":%s}\n",
               (double)info.time_us / 1e6, (unsigned long long)info.frames, (unsigned long long)info.records,
               (unsigned long long)info.bytes, (unsigned)entities, info.is_whole ? "true" : "false");
    } else {
        printf("%.1f s, %llu frames in %llu records, %llu bytes, %u entities at the end%s\n",
               (double)info.time_us / 1e6, (unsigned long long)info.frames, (unsigned long long)info.records,
               (unsigned long long)info.bytes, (unsigned)entities, info.is_whole ? "" : ", not whole");
    }
    return result == NECPNET_ERR_CLOSED ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static int replay_print(const cli_options* options, necpnet_replay* replay)
{
    necpnet_result result = NECPNET_OK;
    for (uint64_t time_us = 0; result == NECPNET_OK && !cli_interrupted; time_us += REPLAY_STEP_US) {
        necpnet_view_event event;
        result = necpnet_replay_update(replay, time_us);
        while (necpnet_view_poll(necpnet_replay_get_view(replay), &event)) continue;
        if (options->json && result == NECPNET_OK) print_entities(replay, time_us);
    }
    return replay_finish(options, replay, result);
}

/* -- serve -- */

typedef struct serving {
    necpnet_replay* replay;
    necpnet_world* world;
    necpnet_entity served[REPLAY_SLOTS]; /* by the slot of the view's entity */
    necpnet_entity source[REPLAY_SLOTS];
} serving;

/* References to entities name those that are served. */
static void serve_references(const serving* s, const necpnet_entity_type* type, uint8_t* state)
{
    for (int i = 0; i < type->field_count; i++) {
        const necpnet_field* field = &type->fields[i];
        if (field->kind != NECPNET_FIELD_ENTITY) continue;
        for (uint32_t j = 0; j < (field->count ? field->count : 1u); j++) {
            necpnet_entity entity;
            memcpy(&entity, state + field->offset + j * sizeof entity, sizeof entity);
            bool known = entity && s->source[entity & 0xffff] == entity;
            entity = known ? s->served[entity & 0xffff] : NECPNET_ENTITY_NONE;
            memcpy(state + field->offset + j * sizeof entity, &entity, sizeof entity);
        }
    }
}

static void serve_mirror(serving* s)
{
    static uint64_t state[4096 / sizeof(uint64_t)];
    necpnet_view* view = necpnet_replay_get_view(s->replay);
    for (uint32_t slot = 0; slot < REPLAY_SLOTS; slot++) {
        if (!s->source[slot] || necpnet_view_get_type(view, s->source[slot])) continue;
        necpnet_world_despawn(s->world, s->served[slot]);
        s->source[slot] = NECPNET_ENTITY_NONE;
    }
    for (necpnet_entity e = necpnet_view_next(view, 0); e; e = necpnet_view_next(view, e)) {
        uint16_t type_id = necpnet_view_get_type(view, e);
        const necpnet_entity_type* type = necpnet_schema_find_type(necpnet_replay_get_schema(s->replay), type_id);
        uint32_t slot = e & 0xffff;
        if (!type || necpnet_view_get(view, e, state, sizeof state)) continue;
        serve_references(s, type, (uint8_t*)state);
        if (s->source[slot] != e) {
            if (necpnet_world_spawn(s->world, type_id, state, &s->served[slot]) == NECPNET_OK) s->source[slot] = e;
            continue;
        }
        void* served = necpnet_world_get(s->world, s->served[slot]);
        if (!served || memcmp(served, state, type->struct_bytes) == 0) continue;
        memcpy(served, state, type->struct_bytes);
        necpnet_world_mark(s->world, s->served[slot]);
    }
}

static necpnet_result serve_run(const cli_options* options, serving* s, necpnet_server* server)
{
    necpnet_result result = NECPNET_OK;
    uint64_t began_us = necpnet_time_us();
    uint64_t end_us = options->seconds ? began_us + (uint64_t)options->seconds * 1000000 : UINT64_MAX;
    uint32_t committed = 0;
    necpnet_server_update(server, began_us);
    while (!cli_interrupted && necpnet_time_us() < end_us) {
        necpnet_event event;
        necpnet_view_event seen;
        uint64_t now_us = necpnet_time_us();
        uint32_t tick = necpnet_server_tick(server);
        if (result == NECPNET_OK) result = necpnet_replay_update(s->replay, now_us - began_us);
        if (result && result != NECPNET_ERR_CLOSED) break;
        while (necpnet_view_poll(necpnet_replay_get_view(s->replay), &seen)) continue;
        if (tick > committed) {
            serve_mirror(s);
            if (necpnet_world_commit(s->world, tick) == NECPNET_OK) committed = tick;
        }
        necpnet_server_update(server, now_us);
        while (necpnet_server_poll(server, &event)) continue;
        if (result == NECPNET_ERR_CLOSED && !options->seconds && necpnet_replay_next_us(s->replay) == UINT64_MAX) break;
        necpnet_server_wait(server, 5000);
    }
    return result;
}

static int replay_serve(const cli_options* options, necpnet_replay* replay)
{
    static serving s;
    necpnet_world_config world;
    necpnet_server_config config;
    necpnet_server* server = NULL;
    memset(&s, 0, sizeof s);
    s.replay = replay;
    necpnet_world_config_default(&world);
    world.schema = necpnet_replay_get_schema(replay);
    world.entities_max = 60000;
    world.client_bytes_per_s = 1000000;
    necpnet_server_config_default(&config);
    config.security = NECPNET_SECURITY_OPEN;
    config.passphrase = options->passphrase;
    config.udp_port = (int)options->serve;
    config.tcp_port = (int)options->serve;
    config.tick_hz = REPLAY_TICK_HZ;
    necpnet_result result = necpnet_world_create(&world, &s.world);
    config.world = s.world;
    if (result == NECPNET_OK) result = necpnet_server_create(&config, &server);
    if (result) {
        cli_fail("port %u: %s", (unsigned)options->serve, necpnet_result_text(result));
    } else {
        printf(options->json ? "{\"serving\":%u}\n" : "serving on udp and ws port %u, --open\n",
               (unsigned)options->serve);
        fflush(stdout);
        result = serve_run(options, &s, server);
    }
    necpnet_server_destroy(server);
    necpnet_world_destroy(s.world);
    if (!server) return CLI_EXIT_FAILED;
    return replay_finish(options, replay, cli_interrupted || result == NECPNET_OK ? NECPNET_ERR_CLOSED : result);
}

int cli_replay_command(const cli_options* options)
{
    necpnet_replay_config config;
    necpnet_replay* replay = NULL;
    if (options->rest_count != 1) {
        cli_fail("replay wants a file: necpnet replay FILE [--json] [--serve PORT]");
        return CLI_EXIT_USAGE;
    }
    FILE* file = fopen(options->rest[0], "rb");
    if (!file) {
        cli_fail("%s cannot be read", options->rest[0]);
        return CLI_EXIT_FAILED;
    }
    necpnet_replay_config_default(&config);
    config.read = next_bytes;
    config.user = file;
    config.logger.write = log_line;
    config.logger.level = NECPNET_LOG_WARNING;
    int code = CLI_EXIT_FAILED;
    necpnet_result result = necpnet_replay_create(&config, &replay);
    if (result == NECPNET_OK) code = options->serve ? replay_serve(options, replay) : replay_print(options, replay);
    if (result && result != NECPNET_ERR_BAD_DATA) cli_fail("%s: %s", options->rest[0], necpnet_result_text(result));
    necpnet_replay_destroy(replay);
    fclose(file);
    return code;
}
