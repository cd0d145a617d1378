/* voice - speech for JavaScript, in builds with voice (voice_core.wasm): a necpnet_voice with room for the samples of one turn.
 * src/voice.ts declares the same. Users are client ids, as two numbers of 32 bits: low, high. */
#ifndef WASM_VOICE_H
#define WASM_VOICE_H

#include "exports.h"

#define WASM_VOICE_FRAMES_MAX 4800 /* of one push or pull: 100 ms */

typedef struct wasm_voice wasm_voice;

/* create, set options (fields of necpnet_voice_config), begin: before wasm_client_begin of that client. destroy: after the
 * client's. */
WASM_EXPORT wasm_voice* wasm_voice_create(void);
WASM_EXPORT int wasm_voice_set_option(wasm_voice* voice, const char* name, double value);
WASM_EXPORT int wasm_voice_begin(wasm_voice* voice, wasm_client* client);
WASM_EXPORT void wasm_voice_destroy(wasm_voice* voice);

/* Samples: 48 kHz, mono to be pushed, two channels interleaved from pull; at most WASM_VOICE_FRAMES_MAX at a time. */
WASM_EXPORT float* wasm_voice_input(wasm_voice* voice);
WASM_EXPORT float* wasm_voice_output(wasm_voice* voice);
WASM_EXPORT int wasm_voice_push(wasm_voice* voice, int frames);
WASM_EXPORT int wasm_voice_pull(wasm_voice* voice, int frames);

/* which: 0 talking, 1 muted, 2 deafened, 3 loopback. */
WASM_EXPORT int wasm_voice_switch(wasm_voice* voice, int which, int on);
WASM_EXPORT int wasm_voice_set_group(wasm_voice* voice, uint32_t group);
WASM_EXPORT int wasm_voice_whisper(wasm_voice* voice, uint32_t low, uint32_t high, int on);
WASM_EXPORT int wasm_voice_set_user_volume(wasm_voice* voice, uint32_t low, uint32_t high, double volume);
WASM_EXPORT int wasm_voice_set_user_position(wasm_voice* voice, uint32_t low, uint32_t high, double x, double y,
                                             double z);
WASM_EXPORT int wasm_voice_set_listener(wasm_voice* voice, double x, double y, double z, double right_x, double right_y,
                                        double right_z);

/* Events and figures as doubles, named. */
WASM_EXPORT const char* wasm_voice_event_names(void);
WASM_EXPORT const double* wasm_voice_poll(wasm_voice* voice);
WASM_EXPORT const char* wasm_voice_statistics_names(void);
WASM_EXPORT const double* wasm_voice_statistics(wasm_voice* voice);

#endif
