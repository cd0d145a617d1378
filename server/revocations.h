/* revocations.h - JWTs and users that are no longer taken: in memory for every check, in the store for the next start. Any thread.
 * What is kept are hashes: no id of a player stands here.
 */
#ifndef SERVER_REVOCATIONS_H
#define SERVER_REVOCATIONS_H

#include "bus/bus.h"
#include "identity.h"
#include "store/store.h"

#define REVOCATIONS_TOPIC "necpnet-revoked" /* of the bus */

#define REVOCATIONS_MAX 100000
#define REVOCATIONS_USER_KEPT_S (400u * 86400u) /* a JWT of a revoked user lives no longer than this */

typedef struct revocations revocations;

/* One revocation on its way to all workers and nodes. */
typedef enum revocation_kind {
    REVOCATION_JWT = 1,  /* key: its token_key; what it opened is closed */
    REVOCATION_USER = 2, /* key: the client id; JWTs and connect tokens issued until before_us, and what they opened */
    REVOCATION_ROTATED =
        3, /* key: of a JWT that was exchanged for another: refused from now on, but what it opened goes on */
    REVOCATION_CONNECT = 4 /* token_id: of a connect token */
} revocation_kind;

typedef struct revocation_news {
    revocation_kind kind;
    uint64_t key;
    uint64_t before_us;
    uint64_t until_us; /* forgotten then */
    uint8_t token_id[NECPNET_TOKEN_ID_BYTES];
} revocation_news;

/* revocations_create - reads those that the store has.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_NO_ENTROPY | ERR_IO (the store did not answer) */
necpnet_result revocations_create(store* records, revocations** out_list);
void revocations_destroy(revocations* list);

/* revocations_hit - whether this JWT is no longer taken. */
bool revocations_hit(revocations* list, const identity* who);

/* revocations_add - from now on, here and after a restart. A connect token is not for this list: it is told alone.
 *
 *   news    before_us and until_us of a USER are filled in.
 *   events  where other nodes hear of it, once the store has it; NULL: nowhere.
 *
 * Waits for the store: never on a loop's thread. Returns DESK_OK | DESK_BUSY (REVOCATIONS_MAX) | as store_write_all */
desk_result revocations_add(revocations* list, bus* events, revocation_news* news);

/* revocations_say - tells other nodes, for whoever added with NULL. */
void revocations_say(const revocations* list, bus* events, const revocation_news* news);

/* revocations_hear - what the bus brought: in this list from now on. False: it is none, or this list's own (whoever added it tells the
 * workers of its process itself, and waits for them). */
bool revocations_hear(revocations* list, const void* data, size_t bytes, revocation_news* out_news);

/* revocations_means - whether somebody's WebSocket is to be closed for it.
 *
 *   token_key, issued_us  of the JWT that opened it; 0: opened without one. */
bool revocations_means(const revocation_news* news, uint64_t client_id, uint64_t token_key, uint64_t issued_us);

/* revocations_token_id - what stands for a JWT in a session of necpnet.v1. */
void revocations_token_id(uint64_t token_key, uint8_t token_id[NECPNET_TOKEN_ID_BYTES]);

#endif
