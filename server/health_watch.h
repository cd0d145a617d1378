/* health_watch.h - GET /health/ws: each WebSocket there gets a WebSocketHealthMessage when a status changes, and every 5 s. On one
 * worker's thread; what clients say is not read.
 */
#ifndef SERVER_HEALTH_WATCH_H
#define SERVER_HEALTH_WATCH_H

#include "edge.h"
#include "services.h"

#define HEALTH_WATCH_PERIOD_US 5000000u
#define HEALTH_WATCH_LOOK_US 250000u /* between looks for a change */
#define HEALTH_WATCH_MAX 256         /* of one worker */
#define HEALTH_WATCH_ADDRESS_MAX 16  /* of one address */

typedef struct health_watch health_watch;

necpnet_result health_watch_create(services* known, health_watch** out_watch);
void health_watch_destroy(health_watch* at);

/* health_watch_on_upgrade - an edge_upgrade; user is a health_watch. */
bool health_watch_on_upgrade(necpnet_web_connection* connection, const necpnet_web_request* request,
                             necpnet_web_answer* answer, void* user);

/* health_watch_work - after each update. Returns whether it queued something. */
bool health_watch_work(health_watch* at, uint64_t now_us);

#endif
