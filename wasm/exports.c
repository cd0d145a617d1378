/* exports - the client for JavaScript: one object with its transport, delay and view; numbers and addresses alone. */
#include "exports.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "game.h"

#define DELAY_MS_MAX 10000.0

/* Events and figures as doubles, with their names for JavaScript. */
/* clang-format off: it never rests on lists like these */
#define EVENT_VALUES(X) \
    X(type, event->type) \
    X(channel, event->channel) \
    X(data, (uintptr_t)event->data) \
    X(bytes, event->bytes) \
    X(name, (uintptr_t)event->name) \
    X(reason, event->reason) \
    X(code, event->code) \
    X(text, (uintptr_t)event->text) \
    X(receipt, event->receipt) \
    X(count, event->count) \
    X(retry_in_ms, event->retry_in_ms) \
    X(will_reconnect, event->will_reconnect) \
    X(resumed, event->resumed)
#define STATISTICS_VALUES(X) \
    X(transport, s->transport) \
    X(encrypted, s->encrypted) \
    X(rtt_us, s->rtt_us) \
    X(rtt_min_us, s->rtt_min_us) \
    X(rtt_variance_us, s->rtt_variance_us) \
    X(jitter_us, s->jitter_us) \
    X(clock_offset_us, s->clock_offset_us) \
    X(clock_error_us, s->clock_error_us) \
    X(packets_sent, s->packets_sent) \
    X(packets_received, s->packets_received) \
    X(bytes_sent, s->bytes_sent) \
    X(bytes_received, s->bytes_received) \
    X(send_bytes_per_s, s->send_bytes_per_s) \
    X(receive_bytes_per_s, s->receive_bytes_per_s) \
    X(queue_bytes, s->queue_bytes) \
    X(memory_bytes, s->memory_bytes) \
    X(entities, v->entities) \
    X(interpolation_delay_us, v->delay_us) \
    X(state_tick, v->tick) \
    X(states, v->states) \
    X(updates, v->updates) \
    X(state_bytes, v->bytes) \
    X(late, v->late) \
    X(age_us, v->age_us) \
    X(extrapolated, v->extrapolated) \
    X(corrections, v->corrections) \
    X(correction_error, v->correction_error)
/* clang-format on */

#define VALUE_NAME(name, from) #name " "
#define VALUE_COUNT(name, from) +1
#define VALUE_DOUBLE(name, from) (double)(from),

#define OPTION(name) \
    { \
#name, offsetof(necpnet_client_config, name) \
    }
#define CHANNEL_OPTION(name) \
    { \
#name, offsetof(necpnet_channel_config, name) \
    }

typedef struct client_option {
    const char* name;
    size_t offset; /* of a uint32_t */
} client_option;

static const client_option client_options[] = {
    OPTION(connect_timeout_ms),
    OPTION(connect_stagger_ms),
    OPTION(reconnect_delay_min_ms),
    OPTION(reconnect_delay_max_ms),
    OPTION(reconnect_attempts_max),
    OPTION(websocket_ping_ms),
    OPTION(websocket_timeout_ms),
    OPTION(loading_timeout_ms),
    OPTION(bandwidth_limit),
    OPTION(receive_bytes_max),
    OPTION(inputs_max),
};

static const client_option channel_options[] = {
    CHANNEL_OPTION(message_bytes_max),
    CHANNEL_OPTION(queue_bytes_max),
    CHANNEL_OPTION(queue_messages_max),
    CHANNEL_OPTION(window_bytes),
};

struct wasm_client {
    necpnet_client_config config;
    necpnet_view_config view_config;
    necpnet_channel_config channels[NECPNET_CHANNELS_MAX];
    int channel_count; /* 0: the default table */
    necpnet_client* client;
    necpnet_view* view;
    const necpnet_transport* socket;
    wasm_delay* delay;
    uint32_t* rows;  /* four numbers an entity */
    uint8_t* states; /* a struct an entity, state_bytes apart */
    size_t row_capacity;
    size_t state_bytes;
    uint8_t* latest;         /* one struct */
    uint16_t predicted_type; /* that JavaScript steps */
    double event[0 EVENT_VALUES(VALUE_COUNT)];
    double statistics[0 STATISTICS_VALUES(VALUE_COUNT)];
    uint32_t small[10];
    double variable[7];
    int64_t integer; /* of the variable */
};

EM_JS(void, wasm_js_log_line, (int level, const char* line), {
    if (Module["necpnetLog"]) Module["necpnetLog"](level, UTF8ToString(line));
})

/* An own entity advances by one input, in JavaScript. */
EM_JS(void, wasm_js_step, (void* client, int type_id, void* state, const void* input, int bytes),
      { Module["necpnetStep"](client, type_id, state, input, bytes); })

static void client_log(necpnet_log_level level, const char* line, void* user)
{
    (void)user;
    wasm_js_log_line((int)level, line);
}

WASM_EXPORT void* wasm_take(size_t bytes)
{
    return malloc(bytes ? bytes : 1);
}

WASM_EXPORT void wasm_give(void* memory)
{
    free(memory);
}

WASM_EXPORT const char* wasm_version(void)
{
    return necpnet_version();
}

WASM_EXPORT const char* wasm_result_name(int result)
{
    return necpnet_result_name((necpnet_result)result);
}

WASM_EXPORT const char* wasm_result_text(int result)
{
    return necpnet_result_text((necpnet_result)result);
}

/* ---- life -- */

WASM_EXPORT wasm_client* wasm_client_create(void)
{
    wasm_client* self = calloc(1, sizeof *self);
    if (!self) return NULL;
    (void)necpnet_client_config_default(&self->config);
    (void)necpnet_view_config_default(&self->view_config);
    self->config.logger.write = client_log;
    self->config.logger.level = NECPNET_LOG_WARNING;
    self->view_config.logger = self->config.logger;
    return self;
}

static int client_set(void* config, const client_option* options, size_t count, const char* name, double value)
{
    if (!(value >= 0 && value <= 4294967295.0)) return NECPNET_ERR_INVALID_ARGUMENT;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, name) != 0) continue;
        uint32_t number = (uint32_t)value;
        memcpy((uint8_t*)config + options[i].offset, &number, sizeof number);
        return NECPNET_OK;
    }
    return NECPNET_ERR_NOT_FOUND;
}

WASM_EXPORT int wasm_client_set_option(wasm_client* self, const char* name, double value)
{
    if (strcmp(name, "reconnect") == 0) {
        self->config.reconnect = value != 0;
    } else if (strcmp(name, "security") == 0) {
        self->config.security = (necpnet_security)(int)value;
    } else if (strcmp(name, "log_level") == 0) {
        self->config.logger.level = (necpnet_log_level)(int)value;
        self->view_config.logger.level = self->config.logger.level;
    } else if (strcmp(name, "interpolation_min_ms") == 0) {
        self->view_config.delay_min_ms = (uint32_t)value;
    } else if (strcmp(name, "interpolation_max_ms") == 0) {
        self->view_config.delay_max_ms = (uint32_t)value;
    } else if (strcmp(name, "extrapolation_max_ms") == 0) {
        self->view_config.extrapolation_max_ms = (uint32_t)value;
    } else if (strcmp(name, "entities_max") == 0) {
        self->view_config.entities_max = (uint32_t)value;
    } else {
        return client_set(&self->config, client_options, sizeof client_options / sizeof *client_options, name, value);
    }
    return NECPNET_OK;
}

WASM_EXPORT int wasm_client_add_channel(wasm_client* self, int mode)
{
    if (self->channel_count == NECPNET_CHANNELS_MAX) return NECPNET_ERR_LIMIT_REACHED;
    int result = necpnet_channel_config_default(&self->channels[self->channel_count], (necpnet_channel_mode)mode);
    if (result == NECPNET_OK) self->channel_count++;
    return result;
}

WASM_EXPORT int wasm_client_set_channel_option(wasm_client* self, const char* name, double value)
{
    if (self->channel_count == 0) return NECPNET_ERR_INVALID_STATE;
    necpnet_channel_config* channel = &self->channels[self->channel_count - 1];
    if (strcmp(name, "priority") == 0) {
        channel->priority = (necpnet_priority)(int)value;
    } else if (strcmp(name, "redundancy") == 0) {
        channel->redundancy = value != 0;
    } else if (strcmp(name, "compress") == 0) {
        channel->compress = value != 0;
    } else {
        return client_set(channel, channel_options, sizeof channel_options / sizeof *channel_options, name, value);
    }
    return NECPNET_OK;
}

static int client_begin_view(wasm_client* self, const necpnet_schema* schema)
{
    const necpnet_entity_type* type;
    for (int i = 0; (type = necpnet_schema_get_type(schema, i)) != NULL; i++) {
        size_t bytes = ((size_t)type->struct_bytes + 7) & ~(size_t)7;
        if (bytes > self->state_bytes) self->state_bytes = bytes;
    }
    self->latest = malloc(self->state_bytes + 1);
    if (!self->latest) return NECPNET_ERR_OUT_OF_MEMORY;
    self->view_config.schema = schema;
    int result = necpnet_view_create(&self->view_config, &self->view);
    self->config.view = self->view;
    return result;
}

WASM_EXPORT int wasm_client_begin(wasm_client* self, const wasm_schema* schema, const char* passphrase)
{
    necpnet_socket_config sockets;
    if (self->client) return NECPNET_ERR_INVALID_STATE;
    int result = necpnet_socket_config_default(&sockets);
    sockets.logger = self->config.logger;
    if (result == NECPNET_OK && wasm_schema_get(schema)) result = client_begin_view(self, wasm_schema_get(schema));
    if (result == NECPNET_OK) result = necpnet_socket_create(&sockets, &self->socket);
    if (result != NECPNET_OK) return result;
    self->delay = wasm_delay_create(self->socket);
    if (!self->delay) return NECPNET_ERR_OUT_OF_MEMORY;
    self->config.transport = wasm_delay_transport(self->delay);
    self->config.passphrase = passphrase;
    if (self->channel_count > 0) {
        self->config.channels = self->channels;
        self->config.channel_count = self->channel_count;
    }
    return necpnet_client_create(&self->config, &self->client);
}

necpnet_client_config* wasm_client_get_config(wasm_client* self)
{
    return &self->config;
}

WASM_EXPORT void wasm_client_destroy(wasm_client* self)
{
    if (!self) return;
    necpnet_client_destroy(self->client);
    necpnet_view_destroy(self->view);
    wasm_delay_destroy(self->delay);
    necpnet_socket_destroy(self->socket);
    free(self->rows);
    free(self->states);
    free(self->latest);
    free(self);
}

/* ---- connection -- */

WASM_EXPORT int wasm_client_connect(wasm_client* self, const char* urls, int count)
{
    const char* list[NECPNET_URLS_MAX];
    if (count < 0 || count > NECPNET_URLS_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    for (int i = 0; i < count; i++) {
        list[i] = urls;
        urls += strlen(urls) + 1;
    }
    return necpnet_client_connect(self->client, count > 0 ? list : NULL, count);
}

WASM_EXPORT int wasm_client_set_token(wasm_client* self, const char* token)
{
    return necpnet_client_set_token(self->client, token, necpnet_wall_time_us());
}

WASM_EXPORT int wasm_client_set_credential(wasm_client* self, const char* credential)
{
    return necpnet_client_set_credential(self->client, credential);
}

WASM_EXPORT int wasm_client_disconnect(wasm_client* self, int code, const char* text, int linger_ms)
{
    return necpnet_client_disconnect(self->client, (uint32_t)code, text, (uint32_t)linger_ms);
}

WASM_EXPORT int wasm_client_suspend(wasm_client* self)
{
    return necpnet_client_suspend(self->client, necpnet_time_us());
}

WASM_EXPORT int wasm_client_resume(wasm_client* self)
{
    return necpnet_client_resume(self->client, necpnet_time_us());
}

static uint32_t client_delay_us(double ms)
{
    return ms > 0 ? (uint32_t)((ms < DELAY_MS_MAX ? ms : DELAY_MS_MAX) * 1000) : 0;
}

WASM_EXPORT void wasm_client_set_delay(wasm_client* self, double latency_ms, double jitter_ms)
{
    wasm_delay_set(self->delay, client_delay_us(latency_ms), client_delay_us(jitter_ms));
}

WASM_EXPORT int wasm_client_update(wasm_client* self)
{
    return necpnet_client_update(self->client, necpnet_time_us());
}

WASM_EXPORT double wasm_client_deadline_ms(const wasm_client* self)
{
    uint64_t now_us = necpnet_time_us();
    uint64_t at_us = necpnet_client_deadline_us(self->client);
    uint64_t delay_us = wasm_delay_deadline_us(self->delay);
    if (delay_us < at_us) at_us = delay_us;
    if (at_us == UINT64_MAX) return -1;
    return at_us <= now_us ? 0 : (double)(at_us - now_us) / 1000;
}

WASM_EXPORT int wasm_client_state(const wasm_client* self)
{
    return (int)necpnet_client_get_state(self->client);
}

/* ---- events and messages -- */

WASM_EXPORT const char* wasm_event_names(void)
{
    return EVENT_VALUES(VALUE_NAME);
}

WASM_EXPORT const double* wasm_client_poll(wasm_client* self)
{
    necpnet_event polled;
    const necpnet_event* event = &polled;
    if (!necpnet_client_poll(self->client, &polled)) return NULL;
    const double values[] = {EVENT_VALUES(VALUE_DOUBLE)};
    memcpy(self->event, values, sizeof values);
    return self->event;
}

WASM_EXPORT int wasm_client_send(wasm_client* self, int channel, const void* data, size_t bytes, const char* name,
                                 double receipt)
{
    necpnet_send_options options = {name, false, 0, receipt >= 0, receipt >= 0 ? (uint64_t)receipt : 0};
    return necpnet_client_send_with(self->client, channel, data, bytes, &options);
}

/* ---- input -- */

WASM_EXPORT double wasm_client_input_tick(const wasm_client* self)
{
    uint32_t tick, input_tick;
    int result = necpnet_client_server_tick(self->client, necpnet_time_us(), &tick, &input_tick);
    return result == NECPNET_OK ? (double)input_tick : -1;
}

WASM_EXPORT double wasm_client_server_tick(const wasm_client* self)
{
    uint32_t tick, input_tick;
    int result = necpnet_client_server_tick(self->client, necpnet_time_us(), &tick, &input_tick);
    return result == NECPNET_OK ? (double)tick : -1;
}

WASM_EXPORT int wasm_client_send_input(wasm_client* self, double tick, const void* data, size_t bytes)
{
    int result = necpnet_client_send_input(self->client, (uint32_t)tick, data, bytes);
    if (result == NECPNET_OK && self->view) result = necpnet_view_predict(self->view, (uint32_t)tick, data, bytes);
    return result;
}

WASM_EXPORT int wasm_client_predict_game(wasm_client* self)
{
    const wasm_game* game = wasm_game_get();
    if (!game || !self->view || game->predicted_type == 0) return NECPNET_ERR_NOT_FOUND;
    return necpnet_view_set_prediction(self->view, game->predicted_type, game->step, NULL);
}

static void client_step(void* state, const void* input, size_t bytes, void* user)
{
    wasm_client* self = user;
    wasm_js_step(self, self->predicted_type, state, input, (int)bytes);
}

WASM_EXPORT int wasm_client_predict(wasm_client* self, int type_id)
{
    if (!self->view || type_id < 1 || type_id > 65535) return NECPNET_ERR_INVALID_ARGUMENT;
    if (self->predicted_type && self->predicted_type != type_id) return NECPNET_ERR_LIMIT_REACHED;
    self->predicted_type = (uint16_t)type_id;
    return necpnet_view_set_prediction(self->view, (uint16_t)type_id, client_step, self);
}

/* ---- entities -- */

static bool client_reserve(wasm_client* self, size_t count)
{
    if (count <= self->row_capacity) return true;
    size_t capacity = count + count / 2 + 16;
    uint32_t* rows = realloc(self->rows, capacity * 4 * sizeof *rows);
    if (!rows) return false;
    self->rows = rows;
    uint8_t* states = realloc(self->states, capacity * self->state_bytes);
    if (!states) return false;
    self->states = states;
    self->row_capacity = capacity;
    return true;
}

WASM_EXPORT int wasm_client_look(wasm_client* self)
{
    necpnet_view_statistics statistics;
    int count = 0;
    if (!self->view) return 0;
    (void)necpnet_view_update(self->view, necpnet_time_us());
    (void)necpnet_view_get_statistics(self->view, &statistics);
    if (!client_reserve(self, statistics.entities)) return NECPNET_ERR_OUT_OF_MEMORY;
    necpnet_entity entity = NECPNET_ENTITY_NONE;
    while ((entity = necpnet_view_next(self->view, entity)) != NECPNET_ENTITY_NONE) {
        if ((size_t)count == self->row_capacity) break;
        uint8_t* state = self->states + (size_t)count * self->state_bytes;
        if (necpnet_view_get(self->view, entity, state, self->state_bytes) != NECPNET_OK) continue;
        uint32_t* row = self->rows + (size_t)count * 4;
        row[0] = entity;
        row[1] = necpnet_view_get_type(self->view, entity);
        row[2] = necpnet_view_is_owner(self->view, entity);
        row[3] = (uint32_t)(uintptr_t)state;
        count++;
    }
    return count;
}

WASM_EXPORT const uint32_t* wasm_client_rows(const wasm_client* self)
{
    return self->rows;
}

WASM_EXPORT const uint32_t* wasm_client_poll_view(wasm_client* self)
{
    necpnet_view_event event;
    if (!self->view || !necpnet_view_poll(self->view, &event)) return NULL;
    self->small[0] = (uint32_t)event.type;
    self->small[1] = event.entity;
    self->small[2] = event.type_id;
    self->small[3] = event.number;
    return self->small;
}

WASM_EXPORT double wasm_client_view_tick(const wasm_client* self)
{
    uint32_t tick, share_ppm;
    if (!self->view || necpnet_view_get_tick(self->view, &tick, &share_ppm) != NECPNET_OK) return -1;
    return (double)tick + (double)share_ppm / 1e6;
}

WASM_EXPORT const uint32_t* wasm_client_latest(wasm_client* self, uint32_t entity)
{
    uint32_t tick;
    if (!self->view ||
        necpnet_view_get_latest(self->view, entity, self->latest, self->state_bytes, &tick) != NECPNET_OK) {
        return NULL;
    }
    self->small[0] = tick;
    self->small[1] = (uint32_t)(uintptr_t)self->latest;
    return self->small;
}

/* ---- writing -- */

WASM_EXPORT const uint32_t* wasm_client_edit(wasm_client* self, uint32_t entity)
{
    if (!wasm_client_latest(self, entity)) return NULL;
    if (necpnet_view_has_authority(self->view, entity, NULL) &&
        necpnet_view_get(self->view, entity, self->latest, self->state_bytes) != NECPNET_OK) {
        return NULL;
    }
    return self->small;
}

WASM_EXPORT double wasm_client_write(wasm_client* self, uint32_t entity, uint32_t tick)
{
    uint32_t number = 0;
    int result = necpnet_view_write(self->view, entity, self->latest, self->state_bytes, tick, &number);
    return result == NECPNET_OK ? (double)number : (double)result;
}

WASM_EXPORT int wasm_client_authority(wasm_client* self, uint32_t entity, int what)
{
    if (!self->view) return what == 0 ? 0 : NECPNET_ERR_NOT_FOUND;
    if (what == 0) return necpnet_view_has_authority(self->view, entity, NULL);
    return what == 1 ? necpnet_view_request_authority(self->view, entity)
                     : necpnet_view_release_authority(self->view, entity);
}

/* ---- objects, variables, changes -- */

WASM_EXPORT uint32_t wasm_client_object(const wasm_client* self, int type_id)
{
    return self->view ? necpnet_view_find_object(self->view, (uint16_t)type_id) : NECPNET_ENTITY_NONE;
}

static const double* client_variable(wasm_client* self, const necpnet_variable_change* change)
{
    const necpnet_value* value = &change->value;
    self->integer = value->integer;
    self->variable[0] = (double)change->scope;
    self->variable[1] = (double)(uintptr_t)change->key;
    self->variable[2] = (double)value->type;
    self->variable[3] = value->type == NECPNET_VALUE_BOOL ? (double)value->boolean : value->number;
    self->variable[4] = (double)(uintptr_t)&self->integer;
    self->variable[5] = (double)(uintptr_t)value->data;
    self->variable[6] = (double)value->bytes;
    return self->variable;
}

WASM_EXPORT const double* wasm_client_poll_variable(wasm_client* self)
{
    necpnet_variable_change change;
    return self->view && necpnet_view_poll_variable(self->view, &change) ? client_variable(self, &change) : NULL;
}

WASM_EXPORT const double* wasm_client_variable(wasm_client* self, int scope, const char* key)
{
    necpnet_variable_change change;
    change.scope = scope ? NECPNET_SCOPE_SESSION : NECPNET_SCOPE_WORLD;
    change.key = key;
    if (!self->view || necpnet_view_get_variable(self->view, change.scope, key, &change.value) != NECPNET_OK) {
        return NULL;
    }
    return client_variable(self, &change);
}

WASM_EXPORT const uint32_t* wasm_client_changes(wasm_client* self)
{
    necpnet_changes changes;
    if (!self->view || necpnet_view_take_changes(self->view, &changes) != NECPNET_OK) return NULL;
    const uint32_t values[] = {(uint32_t)(uintptr_t)changes.entered,
                               (uint32_t)(uintptr_t)changes.entered_types,
                               changes.entered_count,
                               (uint32_t)(uintptr_t)changes.left,
                               (uint32_t)(uintptr_t)changes.left_types,
                               changes.left_count,
                               (uint32_t)(uintptr_t)changes.changed,
                               (uint32_t)(uintptr_t)changes.changed_types,
                               (uint32_t)(uintptr_t)changes.changed_fields,
                               changes.changed_count};
    memcpy(self->small, values, sizeof values);
    return self->small;
}

/* ---- figures -- */

WASM_EXPORT const char* wasm_statistics_names(void)
{
    return STATISTICS_VALUES(VALUE_NAME);
}

WASM_EXPORT const double* wasm_client_statistics(wasm_client* self)
{
    necpnet_statistics connection;
    necpnet_view_statistics view;
    const necpnet_statistics* s = &connection;
    const necpnet_view_statistics* v = &view;
    memset(&connection, 0, sizeof connection);
    memset(&view, 0, sizeof view);
    (void)necpnet_client_get_statistics(self->client, &connection);
    if (self->view) (void)necpnet_view_get_statistics(self->view, &view);
    const double values[] = {STATISTICS_VALUES(VALUE_DOUBLE)};
    memcpy(self->statistics, values, sizeof values);
    return self->statistics;
}
