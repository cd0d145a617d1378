/* health.h - how each part of the process is: looked at once a second by a thread that may wait, told to whoever asks at once.
 */
#ifndef SERVER_HEALTH_H
#define SERVER_HEALTH_H

#include <pthread.h>
#include <stdint.h>

#include "text.h"

struct services;

typedef enum health_part_name {
    HEALTH_STORE,
    HEALTH_CACHE,
    HEALTH_BUS,
    HEALTH_WEBSOCKET, /* the workers: how old their newest figures are */
    HEALTH_MEMORY,
    HEALTH_PARTS
} health_part_name;

typedef enum health_status { HEALTH_OK = 0, HEALTH_DEGRADED = 1, HEALTH_DOWN = 2 } health_status;

typedef struct health_part {
    health_status status;
    uint64_t latency_us; /* of asking it */
    uint64_t value; /* CACHE, STORE: jobs that wait; BUS: dropped; WEBSOCKET: connections; MEMORY: resident bytes */
} health_part;

typedef struct health {
    pthread_mutex_t lock;
    health_part parts[HEALTH_PARTS];
} health;

void health_begin(health* at);
void health_end(health* at);

/* health_look - asks every part. Waits for store and cache: not on a loop's thread. */
void health_look(health* at, const struct services* known);

/* health_read - the parts as health_look last found them. */
void health_read(health* at, health_part parts[HEALTH_PARTS]);

/* Names, and the worst status of all. */
const char* health_part_text(health_part_name part);
const char* health_status_text(health_status status);
health_status health_worst(const health_part parts[HEALTH_PARTS]);

/* health_find - the part of that name; HEALTH_PARTS: none. */
health_part_name health_find(const char* name);

/* health_put_part - {"status":"ok","latency_us":12,"queued":0}. */
void health_put_part(text* out, health_part_name part, const health_part* facts);

/* health_resident_bytes - memory of the process; 0 where the system does not tell. */
uint64_t health_resident_bytes(void);

/* health_overall - "stalled", "draining", "degraded" or "ok". */
const char* health_overall(const struct services* known, const health_part parts[HEALTH_PARTS]);

#endif
