/* crafting_feed.h - who follows crafting on a worker, and what each gets when: the WebSockets GET /ws/crafting/{session_id} and
 * /ws/queue/{player_id}, and sessions of the gateway that called crafting.follow, as JSON or (necpnet.v1) as packets.
 *
 * Every follower has its own turn, spread over time: a wheel of milliseconds, so that ten thousand sessions at 10 Hz are a hundred
 * each millisecond and no burst. What changed (crafting_news) makes its followers' turn come at once. On the worker's thread.
 */
#ifndef SERVER_CRAFTING_FEED_H
#define SERVER_CRAFTING_FEED_H

#include "crafting_packet.h"
#include "edge.h"
#include "services.h"

#define CRAFTING_HZ_MAX 60
#define CRAFTING_HZ_DEFAULT 10
#define CRAFTING_FOLLOWS_MAX 64                /* of one session of the gateway */
#define CRAFTING_SOCKETS_OF_PLAYER_MAX 16      /* WebSockets of one user on a worker */
#define CRAFTING_PENDING_BYTES_MAX (64u << 10) /* not taken by a follower's network: it misses turns */

typedef struct crafting_feed crafting_feed;
typedef struct feed_follower feed_follower;

/* Where a follower of the gateway's is told. False: not now; its turn comes again. */
typedef struct crafting_sink {
    bool (*send_json)(void* to, const char* json, size_t bytes);
    bool (*send_packet)(void* to, const uint8_t* packet, size_t bytes, bool reliable); /* NULL: it takes JSON */
    void* to;
} crafting_sink;

/* crafting_feed_create - index 0 also looks after what is due, and tells announce of all that happened.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_LIMIT_REACHED */
necpnet_result crafting_feed_create(services* known, necpnet_loop* loop, int index,
                                    void (*announce)(void* user, const crafting_news* news), void* announce_user,
                                    crafting_feed** out_feed);

/* crafting_feed_destroy - after the server and the gateway. NULL does nothing. */
void crafting_feed_destroy(crafting_feed* at);

/* crafting_feed_on_upgrade - an edge_upgrade; user is a crafting_feed. */
bool crafting_feed_on_upgrade(necpnet_web_connection* connection, const necpnet_web_request* request,
                              necpnet_web_answer* answer, void* user);

/* crafting_feed_follow - for the gateway; all follows of one of its sessions hang on *list.
 *
 *   out_number  which of the list: 0 .. CRAFTING_FOLLOWS_MAX - 1; the same again for a session that it follows already.
 *
 * Returns  OK | ERR_NOT_FOUND | ERR_LIMIT_REACHED | ERR_OUT_OF_MEMORY */
necpnet_result crafting_feed_follow(crafting_feed* at, const crafting_sink* sink, feed_follower** list, const char* id,
                                    uint32_t hz, uint32_t* out_number);
/* Returns  OK | ERR_NOT_FOUND */
necpnet_result crafting_feed_unfollow(crafting_feed* at, feed_follower** list, const char* id);
void crafting_feed_drop_all(crafting_feed* at, feed_follower** list);
/* crafting_feed_next - what a list follows, one after the other: NULL for the first, NULL after the last. */
const feed_follower* crafting_feed_next(feed_follower* const* list, const feed_follower* after, const char** out_id,
                                        uint32_t* out_hz);
/* crafting_feed_move - another session of the gateway goes on with a list; all is told whole again. */
void crafting_feed_move(crafting_feed* at, feed_follower** from, feed_follower** to, const crafting_sink* sink);

/* crafting_feed_work - after each update. Returns whether it queued something. */
bool crafting_feed_work(crafting_feed* at, uint64_t now_us);

/* crafting_feed_next_us - when it wants to work again; UINT64_MAX: not by itself. */
uint64_t crafting_feed_next_us(const crafting_feed* at, uint64_t until_us);

/* crafting_feed_revoke - closes WebSockets that a revoked JWT, or user, opened. */
void crafting_feed_revoke(crafting_feed* at, const revocation_news* news);

void crafting_feed_drain(crafting_feed* at);

void crafting_feed_get_figures(const crafting_feed* at, board_crafting* out_figures);

#endif
