/* rules.h - who may do what to whose object, and how often: one rule a route (routes.c) and a method of an RPC, judged by one
 * function.
 */
#ifndef SERVER_RULES_H
#define SERVER_RULES_H

#include "identity.h"
#include "rate_limits.h"

struct services;

/* Whose an object is, as seen by the one who asks. */
typedef enum rule_object {
    RULE_OBJECT_OWN,
    RULE_OBJECT_FOREIGN,
    RULE_OBJECT_MISSING,
    RULE_OBJECT_UNKNOWN /* the store did not say: 503 */
} rule_object;

/* Finds out. Any thread that may wait; an RPC's rule uses functions that do not wait. */
typedef rule_object (*rule_owner)(const struct services* known, const identity* who, const char* object);

typedef struct rule {
    unsigned roles; /* ROLE_.. bits; ROLE_ANYONE: also without credentials */
    rule_owner
        owner; /* NULL: no object. Asked for players alone: services and admins may touch every object that their role
                            lets them touch */
    const char* object; /* the field that names it */
    limit_class limit;
} rule;

typedef enum rule_verdict {
    RULE_ALLOWED = 0,
    RULE_NO_IDENTITY = 401,
    RULE_FORBIDDEN = 403,
    RULE_MISSING = 404,
    RULE_TOO_OFTEN = 429,
    RULE_UNAVAILABLE = 503
} rule_verdict;

/* rules_judge_role - whether somebody of this role may ask at all; before parameters are looked at. */
rule_verdict rules_judge_role(const rule* asked, const identity* who);

/* rules_judge_object - whether this object may be touched.
 *
 *   object  value of the rule's field; "" if the rule has none. */
rule_verdict rules_judge_object(const struct services* known, const rule* asked, const identity* who,
                                const char* object);

/* rules_owner_player - for objects that are players: a player's own is named by its sub. */
rule_object rules_owner_player(const struct services* known, const identity* who, const char* object);

/* rules_owner_connection - for connections (connections.c): whose they are by their client ids. Waits for a worker. */
rule_object rules_owner_connection(const struct services* known, const identity* who, const char* object);

/* rules_owner_crafting - for crafting sessions: their player's. */
rule_object rules_owner_crafting(const struct services* known, const identity* who, const char* object);

/* rules_owner_udp_session - the same; an id that is no crafting session's is nobody's, and anybody may take it. */
rule_object rules_owner_udp_session(const struct services* known, const identity* who, const char* object);

/* rules_owner_channel - for voice channels: one's own are those that one may know of; a channel that does not exist is missing. For
 * a channel of a guild the handler asks its service. */
rule_object rules_owner_channel(const struct services* known, const identity* who, const char* object);

#endif
