/* services - what a process has. */
#include "services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "voice/switchboard.h"

static void services_keep(void* user)
{
    services* known = user;
    board_figures figures;
    keyring_refresh(known->keys);
    board_read(known->figures, &figures);
    if (figures.at_us) analysis_sample(known->past, &figures, necpnet_wall_time_us() / 1000000u);
    health_look(known->state, known);
    switchboard_keep(known->switchboard, false);
}

/* The keeper has no jobs, only its idle moments. */
static void services_no_work(desk_job* first, void* user)
{
    (void)first;
    (void)user;
}

static necpnet_result services_begin_identities(services* out, char* what, size_t what_bytes)
{
    char why[256];
    desk_config keeper = {.queue_max = 1, .work = services_no_work, .idle = services_keep, .user = out};
    necpnet_result result = keyring_create(out->settings, &out->keys, why, sizeof(why));
    snprintf(what, what_bytes, "the JWT keys (%s)", why);
    if (result != NECPNET_OK) return result;
    snprintf(what, what_bytes, "the list of revocations");
    result = revocations_create(out->records, &out->revoked);
    out->identities =
        (identity_office){.settings = out->settings, .keys = out->keys, .revoked = out->revoked, .names = out->names};
    if (result != NECPNET_OK) return result;
    snprintf(what, what_bytes, "the voice channels of the store");
    result = switchboard_create(out, &out->switchboard);
    if (result != NECPNET_OK) return result;
    snprintf(what, what_bytes, "memory");
    out->state = calloc(1, sizeof(*out->state));
    if (!out->state) return NECPNET_ERR_OUT_OF_MEMORY;
    health_begin(out->state);
    health_look(out->state, out);
    snprintf(what, what_bytes, "a thread");
    return desk_create(&keeper, &out->keeper);
}

necpnet_result services_begin(services* out, const config* settings, tokens* office, const pages* files, board* figures,
                              char* what, size_t what_bytes)
{
    memset(out, 0, sizeof(*out));
    out->settings = settings;
    out->office = office;
    out->files = files;
    out->figures = figures;
    snprintf(what, what_bytes, "memory for the history");
    out->past = analysis_create(settings->region, (uint32_t)settings->history_minutes);
    if (!out->past) return NECPNET_ERR_OUT_OF_MEMORY;
    snprintf(what, what_bytes, "the rate limits");
    necpnet_result result = limits_create(settings, &out->buckets);
    if (result == NECPNET_OK)
        result = players_create((size_t)(settings->players_remembered + settings->peers_max * settings->workers),
                                &out->names);
    if (result == NECPNET_OK) {
        char why[256];
        result = store_open(settings->store, true, &out->records, why, sizeof(why));
        if (result != NECPNET_OK) snprintf(what, what_bytes, "the store %s (%s)", settings->store, why);
    }
    if (result == NECPNET_OK) {
        snprintf(what, what_bytes, "the cache %s", settings->cache);
        result = cache_open(settings->cache, &out->values);
    }
    if (result == NECPNET_OK) {
        snprintf(what, what_bytes, "the bus %s", settings->bus);
        result = bus_open(settings->bus, &out->events);
    }
    if (result == NECPNET_OK) {
        out->kinds = events_open(settings->event_directory, what, what_bytes);
        if (!out->kinds) result = NECPNET_ERR_FILE;
    }
    if (result == NECPNET_OK) {
        snprintf(what, what_bytes, "the partner services");
        result = partners_create(settings, out->events, &out->partners);
    }
    if (result == NECPNET_OK) {
        bool development = settings->mode == CONFIG_DEVELOPMENT;
        crafting_config crafts = {.records = out->records,
                                  .slots = (uint32_t)settings->crafting_slots,
                                  .sessions_max = (uint32_t)settings->crafting_sessions_max,
                                  .issuer = development ? "necpnet development" : settings->jwt_issuer,
                                  .keep_us = (uint64_t)settings->crafting_keep_s * 1000000u};
        snprintf(what, what_bytes, "the crafting sessions of the store");
        result = crafting_create(&crafts, &out->crafts);
    }
    return result == NECPNET_OK ? services_begin_identities(out, what, what_bytes) : result;
}

void services_stop(services* known)
{
    desk_destroy(known->keeper);
    known->keeper = NULL;
    partners_stop(known->partners);
    if (known->switchboard) switchboard_keep(known->switchboard, true); /* what waits for the audit */
    if (known->records) store_stop(known->records);
    if (known->values) cache_stop(known->values);
}

void services_end(services* known)
{
    services_stop(known);
    crafting_destroy(known->crafts);
    switchboard_destroy(known->switchboard);
    revocations_destroy(known->revoked);
    keyring_destroy(known->keys);
    store_close(known->records);
    cache_close(known->values);
    partners_destroy(known->partners);
    bus_close(known->events);
    events_close(known->kinds);
    limits_destroy(known->buckets);
    analysis_destroy(known->past);
    players_destroy(known->names);
    if (known->state) health_end(known->state);
    free(known->state);
    memset(known, 0, sizeof(*known));
}
