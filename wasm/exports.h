/* exports - what the compiled client offers to JavaScript; src/core.ts declares the same. Numbers and pointers alone: a
 * result is a necpnet_result, text is NUL-terminated UTF-8, memory that JavaScript fills comes from wasm_take. */
#ifndef WASM_EXPORTS_H
#define WASM_EXPORTS_H

#include <emscripten.h>

#include "necpnet.h"

#define WASM_EXPORT EMSCRIPTEN_KEEPALIVE

/* A schema in the making, or made. */
typedef struct wasm_schema wasm_schema;

/* A client with what belongs to it: transport, delay, view. */
typedef struct wasm_client wasm_client;

WASM_EXPORT void* wasm_take(size_t bytes);
WASM_EXPORT void wasm_give(void* memory);
WASM_EXPORT const char* wasm_version(void);
WASM_EXPORT const char* wasm_result_name(int result);
WASM_EXPORT const char* wasm_result_text(int result);

/* The schema: begin, add types and fields in turn (a field belongs to the newest type), finish; or the game's. offsets are
 * given in the order of the fields, each aligned to its number. describe: JSON of types with names and offsets. */
WASM_EXPORT wasm_schema* wasm_schema_begin(void);
WASM_EXPORT wasm_schema* wasm_schema_of_game(void);
WASM_EXPORT int wasm_schema_add_type(wasm_schema* schema, const char* name, int id);
WASM_EXPORT int wasm_schema_add_field(wasm_schema* schema, const char* name, int id, int kind, int storage_bytes,
                                      int count, int flags, double min, double max, double step);
WASM_EXPORT int wasm_schema_finish(wasm_schema* schema);
WASM_EXPORT const char* wasm_schema_describe(wasm_schema* schema);
WASM_EXPORT void wasm_schema_destroy(wasm_schema* schema);
const necpnet_schema* wasm_schema_get(const wasm_schema* schema);

/* The client: create, set options and channels, begin; then update and poll. */
WASM_EXPORT wasm_client* wasm_client_create(void);
WASM_EXPORT int wasm_client_set_option(wasm_client* client, const char* name, double value);
WASM_EXPORT int wasm_client_add_channel(wasm_client* client, int mode);
WASM_EXPORT int wasm_client_set_channel_option(wasm_client* client, const char* name, double value);
WASM_EXPORT int wasm_client_begin(wasm_client* client, const wasm_schema* schema, const char* passphrase);
WASM_EXPORT void wasm_client_destroy(wasm_client* client);
/* What begin will create the client with: voice.c adds the voice. */
necpnet_client_config* wasm_client_get_config(wasm_client* client);

/* urls: each NUL-terminated, one behind the other. */
WASM_EXPORT int wasm_client_connect(wasm_client* client, const char* urls, int count);
WASM_EXPORT int wasm_client_set_token(wasm_client* client, const char* token);
WASM_EXPORT int wasm_client_set_credential(wasm_client* client, const char* credential);
WASM_EXPORT int wasm_client_disconnect(wasm_client* client, int code, const char* text, int linger_ms);
WASM_EXPORT int wasm_client_suspend(wasm_client* client);
WASM_EXPORT int wasm_client_resume(wasm_client* client);
WASM_EXPORT void wasm_client_set_delay(wasm_client* client, double latency_ms, double jitter_ms);
WASM_EXPORT int wasm_client_update(wasm_client* client);
WASM_EXPORT double wasm_client_deadline_ms(const wasm_client* client); /* from now on; -1: never */
WASM_EXPORT int wasm_client_state(const wasm_client* client);

/* Events: the values of wasm_event_names as doubles; NULL when there is none. */
WASM_EXPORT const char* wasm_event_names(void);
WASM_EXPORT const double* wasm_client_poll(wasm_client* client);

/* name: NULL, or of a named message. receipt: below 0 for none. */
WASM_EXPORT int wasm_client_send(wasm_client* client, int channel, const void* data, size_t bytes, const char* name,
                                 double receipt);

/* The tick at which an input sent now arrives, -1 while unknown; the server's present one. */
WASM_EXPORT double wasm_client_input_tick(const wasm_client* client);
WASM_EXPORT double wasm_client_server_tick(const wasm_client* client);
/* Sends and predicts. */
WASM_EXPORT int wasm_client_send_input(wasm_client* client, double tick, const void* data, size_t bytes);
/* Predict own entities: the game's type, or a type that JavaScript steps through Module.necpnetStep. */
WASM_EXPORT int wasm_client_predict_game(wasm_client* client);
WASM_EXPORT int wasm_client_predict(wasm_client* client, int type_id);

/* Entities: look moves the view's time on and gathers all of them; rows are {id, type id, own, address of the struct}. */
WASM_EXPORT int wasm_client_look(wasm_client* client);
WASM_EXPORT const uint32_t* wasm_client_rows(const wasm_client* client);
/* {1 entered 2 left or another necpnet_view_event_type, id, type id, number}, or NULL */
WASM_EXPORT const uint32_t* wasm_client_poll_view(wasm_client* client);
WASM_EXPORT double wasm_client_view_tick(const wasm_client* client); /* shown now, with its fraction; -1 unknown */
/* The newest state of one entity, not interpolated: {tick, address}; NULL if it is not in view. */
WASM_EXPORT const uint32_t* wasm_client_latest(wasm_client* client, uint32_t entity);

/* Writing: edit gives {tick, address} of a struct to change, as it is shown or, of a shared entity, the newest; write sends it. At least
 * 0: the write's number. */
WASM_EXPORT const uint32_t* wasm_client_edit(wasm_client* client, uint32_t entity);
WASM_EXPORT double wasm_client_write(wasm_client* client, uint32_t entity, uint32_t tick);
/* what: 0 whether this client has authority, 1 ask for it, 2 give it back. */
WASM_EXPORT int wasm_client_authority(wasm_client* client, uint32_t entity, int what);

/* The object of a type, 0 without; variables: {scope, address of the key, type, number, address of an int64, data, bytes}, the next that
 * changed or one by its key, or NULL. */
WASM_EXPORT uint32_t wasm_client_object(const wasm_client* client, int type_id);
WASM_EXPORT const double* wasm_client_poll_variable(wasm_client* client);
WASM_EXPORT const double* wasm_client_variable(wasm_client* client, int scope, const char* key);

/* What the picture shows that it did not before, instead of events 1 and 2 of poll_view: addresses and counts {entered, their types, count,
 * left, their types, count, changed, their types, their fields, count}; NULL without memory. */
WASM_EXPORT const uint32_t* wasm_client_changes(wasm_client* client);

/* Figures: the values of wasm_statistics_names. */
WASM_EXPORT const char* wasm_statistics_names(void);
WASM_EXPORT const double* wasm_client_statistics(wasm_client* client);

#endif
