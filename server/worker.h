/* worker.h - one thread, one loop, one necpnet_server: UDP and the public TCP port, the game, the edge before civetweb. A worker
 * shares nothing but the services of its process; what other threads want of it they post to its loop.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <stdatomic.h>

#include "board.h"
#include "connections.h"
#include "config.h"
#include "game.h"
#include "rest.h"

#define WORKER_TICKS_AT_ONCE_MAX 5      /* after a pause; those before are skipped */
#define WORKER_WALL_PERIOD_US 10000000u /* between looks at the wall clock */
#define WORKER_STATE_HZ 10              /* of the world as JSON */
#define WORKER_RETRY_MS 2000u           /* what clients are told when the server drains */

typedef struct worker worker;

/* worker_create - open the ports, make the game.
 *
 *   known     its office's ports are set.
 *   back      the REST server.
 *   index     0 .. settings->workers - 1.
 *   crew      whom the ports are shared with; NULL: nobody.
 *   out_what  on failure: which step failed; static text.
 *
 * Returns  OK | as necpnet_server_create and the game's create */
necpnet_result worker_create(const game_interface* game, services* known, const rest* back, int index,
                             necpnet_workers* crew, worker** out_worker, const char** out_what);

/* worker_run - until drained.
 *
 *   signals  how many SIGTERM and SIGINT came; the first drains, the second ends at once.
 *
 * Returns  whether it ended in good order: false after a second signal. */
bool worker_run(worker* at, const atomic_int* signals);

/* worker_ask - let a worker's thread do something, and wait for it. From threads that may wait; the worker must exist.
 *
 *   run   called on the worker's thread with a copy of data.
 *   data  gets the copy back when it was done in time.
 *   drop  called with the copy when nobody waits any more after run was called; NULL: nothing to release.
 *
 * Returns  whether it was done within timeout_ms. If not it may still be done later. */
bool worker_ask(worker* at, void (*run)(worker* at, void* data), void* data, size_t bytes, void (*drop)(void* data),
                uint32_t timeout_ms);

/* For what runs on the worker's thread. */

/* worker_revoke - closes what was opened by a revoked JWT, connect token, or by a user: WebSockets with GATEWAY_CLOSE_REVOKED, sessions of
 * necpnet.v1 with ERR_TOKEN_REVOKED.
 *
 * Returns  as necpnet_server_revoke_client */
necpnet_result worker_revoke(worker* at, const revocation_news* news);
necpnet_server* worker_server(worker* at);
int worker_index(const worker* at);
struct gateway* worker_gateway(worker* at);
void worker_publish_now(worker* at);

/* worker_add_source - something that holds connections; before worker_run. In the order of letters. */
void worker_add_source(worker* at, const connection_source* source);
int worker_source_count(const worker* at);
const connection_source* worker_source(const worker* at, int index);

/* worker_settle - after everything that posts to loops has ended, before worker_destroy: takes the last posts. */
void worker_settle(worker* at);

/* worker_destroy - server, game, loop. NULL does nothing. */
void worker_destroy(worker* at);

#endif
