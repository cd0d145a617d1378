/* services.h - what a process has, for REST handlers and workers alike: configuration, stores, bus, limits, identities. Made by
 * main before any worker, ended after the last one has. The pointers do not change while other threads run.
 */
#ifndef SERVER_SERVICES_H
#define SERVER_SERVICES_H

#include <stdatomic.h>

#include "analysis.h"
#include "board.h"
#include "bus/bus.h"
#include "cache/cache.h"
#include "config.h"
#include "crafting.h"
#include "desk.h"
#include "events.h"
#include "health.h"
#include "identity.h"
#include "rate_limits.h"
#include "pages.h"
#include "partners.h"
#include "players.h"
#include "revocations.h"
#include "store/store.h"
#include "tokens.h"

typedef struct services {
    const config* settings;
    tokens* office; /* its ports are set by the workers */
    const pages* files;
    board* figures;
    store* records;
    cache* values;
    bus* events;
    events* kinds; /* schemas of events */
    partners* partners;
    crafting* crafts;
    limits* buckets;
    keyring* keys;
    revocations* revoked;
    identity_office identities;
    analysis* past;
    health* state;
    player_names* names;
    struct switchboard* switchboard; /* voice channels */
    desk* keeper;        /* a thread that looks after files and health, and samples the board, once a second */
    atomic_int* signals; /* how many SIGTERM came; an administrator's drain adds one */
    struct worker* workers[CONFIG_WORKERS_MAX];
    atomic_int worker_count; /* of those that run */
} services;

/* services_begin - opens store, cache and bus as the configuration says.
 *
 *   what  on failure what could not be opened and why, for people.
 *
 * Returns  OK | as store_open, cache_open, bus_open, limits_create. After a failure services_end. */
necpnet_result services_begin(services* out, const config* settings, tokens* office, const pages* files, board* figures,
                              char* what, size_t what_bytes);

/* services_stop - store and cache finish what is queued, and their threads end; calls after this find them DOWN. Answers for loops
 * wait there: each takes one more step. After the REST server and the workers' loops have ended, before those are destroyed. */
void services_stop(services* known);

/* services_end - after the workers are destroyed. */
void services_end(services* known);

#endif
