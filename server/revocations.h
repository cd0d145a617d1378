/* revocations.h - JWTs and users that are no longer taken: in memory for every check, in the store for the next start. Any thread.
 * What is kept are hashes: no id of a player stands here.
 */
#ifndef SERVER_REVOCATIONS_H
#define SERVER_REVOCATIONS_H

#include "identity.h"
#include "store/store.h"

#define REVOCATIONS_MAX 100000
#define REVOCATIONS_USER_KEPT_S (400u * 86400u) /* a JWT of a revoked user lives no longer than this */

typedef struct revocations revocations;

/* revocations_create - reads those that the store has.
 *
 * Returns  OK | ERR_OUT_OF_MEMORY | ERR_IO (the store did not answer) */
necpnet_result revocations_create(store* records, revocations** out_list);
void revocations_destroy(revocations* list);

/* revocations_hit - whether this JWT is no longer taken. */
bool revocations_hit(revocations* list, const identity* who);

/* revocations_add_token - no longer this JWT.  until_us: its exp.
 * revocations_add_user - no JWT of this user that was issued until now, or does not say when.
 *
 * Both wait for the store: never on a loop's thread. Returns DESK_OK | DESK_BUSY (REVOCATIONS_MAX) | as store_write_all */
desk_result revocations_add_token(revocations* list, uint64_t token_key, uint64_t until_us);
desk_result revocations_add_user(revocations* list, uint64_t client_id);

#endif
