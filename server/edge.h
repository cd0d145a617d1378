/* edge.h - the plain HTTP side of the public port: decides what a request is, takes each REST request in whole, hands it to
 * civetweb on loopback, and its answer back. Never blocks; everything on the worker's thread.
 *
 * A client's connection carries one request. Its body is read to the end (it has a limit and a deadline) before civetweb
 * hears of it, and an answer is held here until the client has taken it: no slow client holds one of civetweb's few threads. When
 * the answers held take more than EDGE_HELD_BYTES_MAX, the reader that took nothing for the longest time gives way.
 */
#ifndef SERVER_EDGE_H
#define SERVER_EDGE_H

#include "config.h"

#define EDGE_BACKENDS_MAX 32                /* requests at civetweb at once; the others wait here */
#define EDGE_PENDING_BYTES_MAX (256u << 10) /* of an answer, given to the client's connection ahead */
#define EDGE_HELD_BYTES_MAX (64u << 20)     /* of all answers, waiting for that */
#define EDGE_STRAY_BYTES_MAX (64u << 10)    /* behind a whole request: then the client is read no more */
#define EDGE_SWEEP_US 100000u               /* between looks at deadlines */

typedef struct edge edge;

/* The user data of a WebSocket that somebody else serves begins with this: the connection's calls go there, with the handlers' own
 * user. */
typedef struct edge_guest {
    const necpnet_web_handlers* handlers; /* on_open, on_message, on_writable, on_close; borrowed */
} edge_guest;

/* Judges a WebSocket upgrade. Returns false: not mine, the next one is asked. True: answer is filled (refused, or accepted with a
 * user_data that begins with an edge_guest). */
typedef bool (*edge_upgrade)(necpnet_web_connection* connection, const necpnet_web_request* request,
                             necpnet_web_answer* answer, void* user);

#define EDGE_HOSTS_MAX 4

typedef struct edge_figures {
    uint32_t active; /* requests under way */
    uint64_t forwarded;
    uint64_t refused;
} edge_figures;

/* edge_create - before the server: it wants the handlers.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY */
necpnet_result edge_create(const config* settings, edge** out_edge);

/* edge_destroy - after the server. NULL does nothing. */
void edge_destroy(edge* at);

const necpnet_web_handlers* edge_handlers(edge* at);

/* edge_attach - once the server and the REST server are up. secret is borrowed until edge_destroy. */
void edge_attach(edge* at, necpnet_web* web, int rest_port, const char* secret);

/* edge_host - asks decide about upgrades, in the order of these calls, before the edge's own (necpnet.v1 at ws_path). */
void edge_host(edge* at, edge_upgrade decide, void* user);

/* edge_work - what callbacks left to do, and deadlines; after each update.
 *
 * Returns  whether it queued bytes: then another update sends them. */
bool edge_work(edge* at, uint64_t now_us);

void edge_get_figures(const edge* at, edge_figures* out_figures);

#endif
