/* voice - speech for JavaScript: numbers, addresses and samples alone. */
#include "voice.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off: it never rests on lists like these */
#define VOICE_EVENT_VALUES(X) \
    X(type, event->type) \
    X(user_low, (uint32_t)event->user) \
    X(user_high, (uint32_t)(event->user >> 32)) \
    X(stream, event->stream) \
    X(group, event->group) \
    X(kind, event->kind) \
    X(is_silenced, event->is_silenced) \
    X(key_id, event->key_id)
#define VOICE_STATISTICS_VALUES(X) \
    X(packets_sent, s->packets_sent) \
    X(bytes_sent, s->bytes_sent) \
    X(packets_dropped, s->packets_dropped) \
    X(packets_received, s->packets_received) \
    X(packets_late, s->packets_late) \
    X(packets_lost, s->packets_lost) \
    X(packets_refused, s->packets_refused) \
    X(units_decoded, s->units_decoded) \
    X(units_recovered, s->units_recovered) \
    X(units_concealed, s->units_concealed) \
    X(units_comfort, s->units_comfort) \
    X(delay_ms, s->delay_ms) \
    X(speakers, s->speakers) \
    X(bitrate_bps, s->bitrate_bps) \
    X(frame_ms, s->frame_ms) \
    X(fec_percent, s->fec_percent) \
    X(loss_ppm, s->loss_ppm) \
    X(jitter_ms, s->jitter_ms) \
    X(level, s->level)
/* clang-format on */

#define VALUE_NAME(name, from) #name " "
#define VALUE_COUNT(name, from) +1
#define VALUE_DOUBLE(name, from) (double)(from),

#define OPTION(name) \
    { \
#name, offsetof(necpnet_voice_config, name) \
    }

typedef struct voice_option {
    const char* name;
    size_t offset; /* of a uint32_t */
} voice_option;

static const voice_option voice_options[] = {
    OPTION(frame_ms),    OPTION(bitrate_bps), OPTION(bitrate_min_bps), OPTION(complexity),   OPTION(loss_percent),
    OPTION(activity_db), OPTION(hangover_ms), OPTION(delay_min_ms),    OPTION(delay_max_ms), OPTION(speakers_max),
};

struct wasm_voice {
    necpnet_voice_config config;
    necpnet_voice* voice;
    double event[0 VOICE_EVENT_VALUES(VALUE_COUNT)];
    double statistics[0 VOICE_STATISTICS_VALUES(VALUE_COUNT)];
    float input[WASM_VOICE_FRAMES_MAX];
    float output[WASM_VOICE_FRAMES_MAX * 2];
};

WASM_EXPORT wasm_voice* wasm_voice_create(void)
{
    wasm_voice* self = calloc(1, sizeof *self);
    if (self) (void)necpnet_voice_config_default(&self->config);
    return self;
}

WASM_EXPORT int wasm_voice_set_option(wasm_voice* self, const char* name, double value)
{
    necpnet_voice_config* config = &self->config;
    if (!(value >= 0 && value <= 4294967295.0)) return NECPNET_ERR_INVALID_ARGUMENT;
    if (strcmp(name, "activation") == 0) {
        config->activation = (necpnet_voice_activation)(int)value;
    } else if (strcmp(name, "near_distance") == 0) {
        config->near_distance = (float)value;
    } else if (strcmp(name, "far_distance") == 0) {
        config->far_distance = (float)value;
    } else if (strcmp(name, "adapt") == 0) {
        config->adapt = value != 0;
    } else if (strcmp(name, "fec") == 0) {
        config->fec = value != 0;
    } else if (strcmp(name, "dtx") == 0) {
        config->dtx = value != 0;
    } else {
        uint32_t number = (uint32_t)value;
        for (size_t i = 0; i < sizeof voice_options / sizeof *voice_options; i++) {
            if (strcmp(voice_options[i].name, name) != 0) continue;
            memcpy((uint8_t*)config + voice_options[i].offset, &number, sizeof number);
            return NECPNET_OK;
        }
        return NECPNET_ERR_NOT_FOUND;
    }
    return NECPNET_OK;
}

WASM_EXPORT int wasm_voice_begin(wasm_voice* self, wasm_client* client)
{
    necpnet_client_config* config = wasm_client_get_config(client);
    self->config.logger = config->logger;
    int result = necpnet_voice_create(&self->config, &self->voice);
    if (result == NECPNET_OK) config->voice = self->voice;
    return result;
}

WASM_EXPORT void wasm_voice_destroy(wasm_voice* self)
{
    if (!self) return;
    necpnet_voice_destroy(self->voice);
    free(self);
}

/* ---- sound -- */

WASM_EXPORT float* wasm_voice_input(wasm_voice* self)
{
    return self->input;
}

WASM_EXPORT float* wasm_voice_output(wasm_voice* self)
{
    return self->output;
}

WASM_EXPORT int wasm_voice_push(wasm_voice* self, int frames)
{
    if (frames < 0 || frames > WASM_VOICE_FRAMES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    return necpnet_voice_push(self->voice, 0, self->input, (size_t)frames, necpnet_time_us());
}

WASM_EXPORT int wasm_voice_pull(wasm_voice* self, int frames)
{
    if (frames < 1 || frames > WASM_VOICE_FRAMES_MAX) return NECPNET_ERR_INVALID_ARGUMENT;
    return necpnet_voice_pull(self->voice, self->output, (size_t)frames, necpnet_time_us());
}

/* ---- wishes -- */

WASM_EXPORT int wasm_voice_switch(wasm_voice* self, int which, int on)
{
    switch (which) {
    case 0: return necpnet_voice_set_talking(self->voice, on != 0);
    case 1: return necpnet_voice_set_muted(self->voice, on != 0);
    case 2: return necpnet_voice_set_deafened(self->voice, on != 0);
    case 3: return necpnet_voice_set_loopback(self->voice, on != 0);
    default: return NECPNET_ERR_INVALID_ARGUMENT;
    }
}

WASM_EXPORT int wasm_voice_set_group(wasm_voice* self, uint32_t group)
{
    return necpnet_voice_set_group(self->voice, 0, group);
}

static uint64_t voice_user(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

WASM_EXPORT int wasm_voice_whisper(wasm_voice* self, uint32_t low, uint32_t high, int on)
{
    return necpnet_voice_whisper(self->voice, voice_user(low, high), on != 0);
}

WASM_EXPORT int wasm_voice_set_user_volume(wasm_voice* self, uint32_t low, uint32_t high, double volume)
{
    return necpnet_voice_set_user_volume(self->voice, voice_user(low, high), (float)volume);
}

WASM_EXPORT int wasm_voice_set_user_position(wasm_voice* self, uint32_t low, uint32_t high, double x, double y,
                                             double z)
{
    const float position[3] = {(float)x, (float)y, (float)z};
    return necpnet_voice_set_user_position(self->voice, voice_user(low, high), position);
}

WASM_EXPORT int wasm_voice_set_listener(wasm_voice* self, double x, double y, double z, double right_x, double right_y,
                                        double right_z)
{
    const float position[3] = {(float)x, (float)y, (float)z};
    const float right[3] = {(float)right_x, (float)right_y, (float)right_z};
    return necpnet_voice_set_listener(self->voice, position, right);
}

WASM_EXPORT int wasm_voice_set_key(wasm_voice* self, uint32_t key_id, const uint8_t* key)
{
    return necpnet_voice_set_key(self->voice, key_id, key);
}

/* ---- events and figures -- */

WASM_EXPORT const char* wasm_voice_event_names(void)
{
    return VOICE_EVENT_VALUES(VALUE_NAME);
}

WASM_EXPORT const double* wasm_voice_poll(wasm_voice* self)
{
    necpnet_voice_event polled;
    const necpnet_voice_event* event = &polled;
    if (!necpnet_voice_poll(self->voice, &polled)) return NULL;
    const double values[] = {VOICE_EVENT_VALUES(VALUE_DOUBLE)};
    memcpy(self->event, values, sizeof values);
    return self->event;
}

WASM_EXPORT const char* wasm_voice_statistics_names(void)
{
    return VOICE_STATISTICS_VALUES(VALUE_NAME);
}

WASM_EXPORT const double* wasm_voice_statistics(wasm_voice* self)
{
    necpnet_voice_statistics figures;
    const necpnet_voice_statistics* s = &figures;
    memset(&figures, 0, sizeof figures);
    (void)necpnet_voice_get_statistics(self->voice, &figures);
    const double values[] = {VOICE_STATISTICS_VALUES(VALUE_DOUBLE)};
    memcpy(self->statistics, values, sizeof values);
    return self->statistics;
}
