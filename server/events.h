/* events.h - events by schema: what their data may be, who may publish them, and the same event as JSON and as bytes.
 *
 * A schema is a file schemas/events/<type>.<version>.json: a JSON Schema (schema.h) of the data with x-category (system, player,
 * world, game, chat, voice, custom), x-id (the number of the type, 1 .. 65,535, the same in all versions), x-version, x-publish (roles)
 * and an x-id for each property. The project's own are built in; a directory may hold more.
 *
 * As bytes the data is what Protocol Buffers write for a message with the properties' x-id as field numbers: boolean bool,
 * integer sint64, number double, string string, object message, array repeated; an object without properties is its JSON
 * as a string. The envelope is such a message, too (events_write).
 */
#ifndef SERVER_EVENTS_H
#define SERVER_EVENTS_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "text.h"

#define EVENTS_MAX 1024
#define EVENTS_TYPE_BYTES_MAX 63
#define EVENTS_DATA_BYTES_MAX 32768u /* of an event's data as JSON */

typedef struct events_kind {
    const char* type;
    const char* category;
    uint32_t id;
    uint32_t version;
    unsigned publish; /* ROLE_ bits */
    const cJSON* schema;
} events_kind;

typedef struct events events;

/* events_open - the built-in schemas and those of a directory ("": none). NULL: what says why. */
events* events_open(const char* directory, char* what, size_t what_bytes);
void events_close(events* catalogue);

/* events_find - by type and version; version 0: the newest. NULL: not known. */
const events_kind* events_find(const events* catalogue, const char* type, uint32_t version);
const events_kind* events_find_id(const events* catalogue, uint32_t id, uint32_t version);
int events_count(const events* catalogue);
const events_kind* events_at(const events* catalogue, int index);

/* events_nearest - the type that a misspelt one may mean; NULL: none. */
const char* events_nearest(const events* catalogue, const char* type);

/* One event on its way. */
typedef struct events_event {
    const events_kind* kind;
    const char* topic;
    uint64_t epoch;
    uint64_t offset;
    uint64_t time_ms; /* since 1970 */
    const char* from; /* sub; "" for the server */
    const cJSON* data;
} events_event;

/* events_put_json - {"type":..,"version":..,"category":..,"time":..,"from":..,"data":{..}}. */
void events_put_json(text* out, const events_event* event);

/* events_put_binary - the envelope: topic 1 string, epoch 2 uint64, offset 3 uint64, type 4 uint32 (x-id), version 5 uint32,
 * time_ms 6 uint64, from 7 string, data 8 bytes. Data must fit the schema. */
void events_put_binary(text* out, const events_event* event);

/* events_read_binary - such an envelope. topic and from are copied; data is made, cJSON_Delete it; it fits the schema.
 *
 * Returns  NULL, or what is wrong. */
typedef struct events_read {
    char topic[128];
    char from[256];
    events_event event; /* topic and from point above; kind NULL: the type is not known */
    cJSON* data;
} events_read;
bool events_read_binary(const events* catalogue, const void* bytes, size_t count, events_read* out, char* error,
                        size_t error_bytes);

#endif
