/* routes.h - the one table of routes: path, method, rule, parameters, handler. What the seeds name stands at the root and below
 * /api/v1/network; what is new below /api/v1. rest.c looks requests up here, edge.c upgrades; tests walk it.
 */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "fields.h"
#include "rest.h"
#include "rules.h"

#define ROUTES_PREFIX "/api/v1/network" /* of ROUTE_SEED */

enum {
    ROUTE_SEED = 1u,   /* also below ROUTES_PREFIX */
    ROUTE_UPGRADE = 2u /* a WebSocket: the worker serves it; a plain GET gets 426 */
};

typedef struct route {
    const char* method; /* "GET" brings HEAD with it */
    const char* path;   /* "/ws/connections/{connection_id}" */
    unsigned flags;
    rule rule;
    const field* fields; /* NULL: none */
    rest_handler handler;
} route;

/* What a method and path are. */
typedef struct route_match {
    const route* found;            /* NULL: no such path (methods empty), or no such method */
    char methods[64];              /* "GET, HEAD, OPTIONS": those that the path has */
    const char* parts[FIELDS_MAX]; /* of the path's parameters, in the order of the template; views into path */
    size_t part_bytes[FIELDS_MAX];
} route_match;

/* routes_find - the route of a request. path: as sent, percent-encoded. */
void routes_find(const char* method, const char* path, route_match* out_match);

/* routes_take_path - the parameters of a match into the values. */
bool routes_take_path(const route_match* match, field_values* values, field_fault* fault);

/* routes_list - the table; its end is where path is NULL. */
const route* routes_list(void);

/* routes_describe - the table as JSON, for `necpnet-server routes` and the tests: a list of {"method", "path", "aliases",
 * "upgrade", "roles", "owner", "limit", "fields"}. */
void routes_describe(text* out);

#endif
