/* rate_limits.h - how often: token buckets for each pair of a caller (address, player) and a class of routes. Any thread.
 *
 * A table of fixed size: a bucket that is full again is free, and among as many callers as it has places the one that was
 * seen longest ago makes room, which only ever allows more.
 */
#ifndef SERVER_RATE_LIMITS_H
#define SERVER_RATE_LIMITS_H

#include "config.h"

#define LIMITS_BUCKETS 16384 /* power of two; 24 bytes each */
#define LIMITS_PROBES 8
#define LIMITS_BURST_S 2 /* a full bucket holds so many seconds' worth */

/* Classes; the configuration has a rate for each: rate_health and so on. */
typedef enum limit_class {
    LIMIT_NONE = 0, /* files of pages */
    LIMIT_HEALTH,
    LIMIT_READ,
    LIMIT_WRITE,
    LIMIT_TOKEN, /* making credentials, and failing to show one */
    LIMIT_ADMIN,
    LIMIT_AUDIT, /* records of security events from one address: 10 a second; more are left out */
    LIMIT_CLASSES
} limit_class;

typedef struct limits limits;

/* limits_create - every bucket full.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY */
necpnet_result limits_create(const config* settings, limits** out_limits);
void limits_destroy(limits* table);

/* limits_take - one request of a class.
 *
 *   caller  "a:" and an address, or "p:" and a player.
 *
 * Returns  0: allowed; else after how many seconds to come again, at least 1. */
uint32_t limits_take(limits* table, limit_class class_, const char* caller, uint64_t now_us);

/* limits_refused - how many were refused since the start. */
uint64_t limits_refused(limits* table);

/* limits_class_name - "read". */
const char* limits_class_name(limit_class class_);

#endif
