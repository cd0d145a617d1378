/* audit.h - what happened that concerns safety: one line in the log and one record in the store, kept for audit_days. Addresses are
 * shortened; who did it is named in the store, never in the log. What was refused is
 * limited for each address (LIMIT_AUDIT), so that nobody fills them.
 */
#ifndef SERVER_AUDIT_H
#define SERVER_AUDIT_H

#include "rest.h"

#define AUDIT_COLLECTION "audit"

/* audit_write - an event, while a request is served. Does not wait.
 *
 *   event   "credential_refused"; for machines, never changes.
 *   detail  for people; static or of the request; no secret, no id of a player.
 *   object  the player whom it was done to, or NULL. */
void audit_write(const services* known, const rest_request* request, const char* event, const char* detail,
                 const char* object);

#define AUDIT_AT_ONCE_MAX 32

/* What audit_put_all writes; texts are borrowed. */
typedef struct audit_entry {
    const char* event;
    const char* detail;
    const char* actor; /* NULL: the server itself, or nobody known */
    unsigned role;
    const char* object; /* the user whom it was done to, or NULL */
    const char* route;
    const char* from; /* a shortened address, or "" */
    const char* trace_id;
} audit_entry;

/* audit_put_all - records without lines in the log, for what is kept and nothing to worry about; count: 1 .. AUDIT_AT_ONCE_MAX. Does
 * not wait; any thread. */
void audit_put_all(const services* known, const audit_entry* entries, uint32_t count);

/* audit_refusal - the same for what was refused; some of many are left out. */
void audit_refusal(const services* known, const rest_request* request, const char* event, const char* detail);

/* audit_shorten - an address as it is logged and stored: without what tells one machine of a network from others. */
const char* audit_shorten(const char* address, char* to, size_t to_bytes);

#endif
